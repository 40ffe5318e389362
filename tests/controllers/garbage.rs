//! The garbage collector, after the recorded cases of `garbage/`.

use expect_test::expect;
use kubetab::apiserver::Propagation;
use serde_json::json;

use super::scene::Scene;

const ACTOR: &str = "garbage-collector-controller";

fn config_map(scene: &mut Scene, name: &str, owners: &[(&str, bool)]) {
    let references: Vec<_> = owners
        .iter()
        .map(|(owner, block)| {
            let uid = scene.uid(&format!("ConfigMap {owner}"));
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid, "blockOwnerDeletion": block})
        })
        .collect();
    let metadata = json!({"name": name, "ownerReferences": references});
    scene.create_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}));
}

fn owned_by(scene: &mut Scene, name: &str, owner: serde_json::Value) {
    let metadata = json!({"name": name, "ownerReferences": [owner]});
    scene.create_value(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}));
}

#[test]
fn background_dependents_follow_their_owner() {
    let mut scene = Scene::new();
    config_map(&mut scene, "owner", &[]);
    config_map(&mut scene, "child", &[("owner", true)]);
    config_map(&mut scene, "grandchild", &[("child", true)]);
    scene.run(1);
    scene.delete("ConfigMap owner");
    scene.run(3);
    expect![[r#"
          1 removes ConfigMap default/child: ConfigMap child is garbage: its owner ConfigMap owner does not exist any more.
          1 removes ConfigMap default/grandchild: ConfigMap grandchild is garbage: its owner ConfigMap child does not exist any more.
    "#]]
    .assert_eq(&scene.log(ACTOR));
}

#[test]
fn foreground_dependents_that_block_go_first() {
    let mut scene = Scene::new();
    config_map(&mut scene, "owner", &[]);
    config_map(&mut scene, "child", &[("owner", true)]);
    config_map(&mut scene, "grandchild", &[("child", true)]);
    config_map(&mut scene, "free", &[("owner", false)]);
    scene.patch("ConfigMap free", "metadata: {finalizers: [example.com/held]}");
    scene.run(1);
    scene.delete_as("ConfigMap owner", Propagation::Foreground);
    scene.run(3);
    // Dependents are looked at in the order of their uids, which are chance: upstream walks a map. So the one that does
    // not block is told of by itself.
    let log = scene.log(ACTOR);
    let (free, chain): (Vec<&str>, Vec<&str>) = log.lines().partition(|line| line.contains("ConfigMap free"));
    expect![[r#"
        ["1 marks ConfigMap default/free: ConfigMap free goes before its owner ConfigMap owner, which waits for its dependents."]"#]]
    .assert_eq(&format!("{free:?}"));
    expect![[r#"
        1 marks ConfigMap default/child: ConfigMap child goes before its owner ConfigMap owner, which waits for its dependents.
        1 removes ConfigMap default/grandchild: ConfigMap grandchild goes before its owner ConfigMap child, which waits for its dependents.
        1 removes ConfigMap default/child: The dependents of ConfigMap child are gone, so it may go too.
        1 removes ConfigMap default/owner: The dependents of ConfigMap owner are gone, so it may go too."#]]
    .assert_eq(&chain.join("\n"));
}

#[test]
fn orphans_stay() {
    let mut scene = Scene::new();
    config_map(&mut scene, "owner", &[]);
    config_map(&mut scene, "child", &[("owner", true)]);
    scene.run(1);
    scene.delete_as("ConfigMap owner", Propagation::Orphan);
    scene.run(3);
    assert!(!scene.exists("ConfigMap owner"));
    assert!(scene.get("ConfigMap child")["metadata"]["ownerReferences"].is_null());
    expect![[r#"
          1 changes ConfigMap default/child: ConfigMap child is to outlive its owner ConfigMap owner, which was deleted as an orphan.
          1 removes ConfigMap default/owner: All dependents of ConfigMap owner have forgotten it, so it may go.
    "#]]
    .assert_eq(&scene.log(ACTOR));
}

#[test]
fn with_two_owners_a_dependent_stays_until_both_are_gone() {
    for propagation in [Propagation::Background, Propagation::Foreground] {
        let mut scene = Scene::new();
        config_map(&mut scene, "one", &[]);
        config_map(&mut scene, "two", &[]);
        config_map(&mut scene, "child", &[("one", true), ("two", true)]);
        scene.run(1);
        scene.delete_as("ConfigMap one", propagation);
        scene.run(3);
        assert!(!scene.exists("ConfigMap one"), "the dependent does not hold it");
        let references = scene.get("ConfigMap child")["metadata"]["ownerReferences"].clone();
        assert_eq!((references.as_array().map(Vec::len), &references[0]["name"]), (Some(1), &json!("two")));
        scene.delete("ConfigMap two");
        scene.run(3);
        assert!(!scene.exists("ConfigMap child"));
    }
}

#[test]
fn an_owner_that_never_existed_is_none() {
    let mut scene = Scene::new();
    let uid = "11111111-2222-3333-4444-555555555555";
    owned_by(&mut scene, "child", json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": uid}));
    config_map(&mut scene, "owner", &[]);
    owned_by(&mut scene, "mistaken", json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}));
    scene.run(1);
    expect![[r#"
          0 removes ConfigMap default/child: ConfigMap child is garbage: its owner ConfigMap nobody does not exist any more.
          0 removes ConfigMap default/mistaken: ConfigMap mistaken is garbage: its owner ConfigMap owner does not exist any more.
    "#]]
    .assert_eq(&scene.log(ACTOR));
}

#[test]
fn an_owner_of_an_unknown_kind_keeps_its_dependents_for_ever() {
    let mut scene = Scene::new();
    let uid = "11111111-2222-3333-4444-555555555557";
    owned_by(
        &mut scene,
        "child",
        json!({"apiVersion": "nowhere.example/v1", "kind": "Thing", "name": "t", "uid": uid}),
    );
    let limit = scene.cluster.now() + std::time::Duration::from_secs(60);
    assert!(scene.cluster.run_until_idle(limit), "nobody asks for it again and again");
    scene.run(3600);
    assert!(scene.exists("ConfigMap child"));
}

#[test]
fn an_owner_in_another_namespace_is_none() {
    let mut scene = Scene::new();
    scene.create("{apiVersion: v1, kind: ConfigMap, metadata: {name: owner, namespace: kube-public}}");
    let uid = scene.uid("ConfigMap kube-public/owner");
    scene.run(1);
    owned_by(&mut scene, "child", json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}));
    scene.run(1);
    assert!(!scene.exists("ConfigMap child"));
    let message = format!(
        "1 Warning OwnerRefInvalidNamespace ConfigMap child: ownerRef [v1/ConfigMap, namespace: default, name: owner, \
         uid: {uid}] does not exist in namespace \"default\"\n"
    );
    assert_eq!(scene.events(ACTOR), message);
}

#[test]
fn a_namespaced_owner_of_a_cluster_scoped_object_is_an_error_that_stays() {
    let mut scene = Scene::new();
    config_map(&mut scene, "owner", &[]);
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": scene.uid("ConfigMap owner")});
    scene.run(1);
    let metadata = json!({"name": "n", "ownerReferences": [owner]});
    scene.create_value(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}));
    // Both are known before the owner goes.
    scene.run(1);
    scene.delete("ConfigMap owner");
    scene.run(60);
    assert!(scene.exists("Namespace n"));
    assert!(scene.events(ACTOR).contains("namespace: , name: owner"), "{}", scene.events(ACTOR));
}

#[test]
fn a_cluster_scoped_owner_takes_its_namespaced_dependents_with_it() {
    let mut scene = Scene::new();
    scene.create("{apiVersion: v1, kind: Node, metadata: {name: n}}");
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "n", "uid": scene.uid("Node n")});
    owned_by(&mut scene, "child", owner);
    scene.run(1);
    assert!(scene.exists("ConfigMap child"));
    scene.delete("Node n");
    scene.run(1);
    assert!(!scene.exists("ConfigMap child"));
}

#[test]
fn many_dependents_take_as_long_as_the_clients_rate_allows() {
    let mut scene = Scene::new();
    config_map(&mut scene, "owner", &[]);
    for index in 0..300 {
        config_map(&mut scene, &format!("child-{index}"), &[("owner", true)]);
    }
    scene.run(1);
    scene.delete_as("ConfigMap owner", Propagation::Foreground);
    scene.mark();
    while scene.exists("ConfigMap owner") {
        scene.run_millis(100);
        assert!(scene.log(ACTOR).lines().count() < 302, "each is deleted once");
    }
    // Three requests each, 40 a second after 60 at once: upstream asks for the owner every time while it exists.
    let took = scene.log(ACTOR).lines().last().map(|line| line[..3].trim().to_owned());
    assert_eq!(took.as_deref(), Some("21"));
}
