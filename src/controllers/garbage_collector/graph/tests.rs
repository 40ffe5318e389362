//! Sequences of changes, and what the graph makes of them.

use expect_test::{Expect, expect};

use super::*;
use crate::machinery::time::Time;

/// `name[@namespace] [owned-by OWNER[!]]… [deleting[=FINALIZER]] [absent|gone]`, a change a line. A name is its own
/// uid; `!` means that the owner is blocked; `/` in an owner separates its uid from another name.
fn check(script: &str, expected: &Expect) {
    let mut graph = Graph::default();
    let mut seen: std::collections::BTreeMap<String, ObjectMeta> = std::collections::BTreeMap::new();
    let mut out = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split(' ');
        let subject = words.next().unwrap_or("");
        let (name, namespace) = subject.split_once('@').unwrap_or((subject, "default"));
        let mut after = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
            uid: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        let (mut gone, mut absent) = (false, false);
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("gone", _) => gone = true,
                ("absent", _) => absent = true,
                ("deleting", finalizer) => {
                    after.deletion_timestamp = Some(Time::DEFAULT_START.to_meta());
                    after.finalizers = Some(vec![finalizer.to_owned()]);
                }
                (owner, _) => after.owner_references.get_or_insert_default().push(reference(owner)),
            }
        }
        let before = seen.get(name).cloned();
        let effects = if absent {
            let identity = graph.get(name).expect("the node is known").identity.clone();
            graph.observe_absence(&identity)
        } else if gone {
            seen.remove(name);
            graph.observe(Kind::ConfigMap, before.as_ref(), None)
        } else {
            seen.insert(name.to_owned(), after.clone());
            graph.observe(Kind::ConfigMap, before.as_ref(), Some(&after))
        };
        out.push_str(&format!("{line}: {}\n", effects.iter().map(describe).collect::<Vec<_>>().join(", ")));
    }
    out.push_str(&format!("{} nodes\n", graph.len()));
    expected.assert_eq(&out);
}

fn reference(text: &str) -> OwnerReference {
    let (text, block) = text.strip_suffix('!').map_or((text, false), |text| (text, true));
    let (uid, name) = text.split_once('/').unwrap_or((text, text));
    OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        block_owner_deletion: block.then_some(true),
        ..OwnerReference::default()
    }
}

fn describe(effect: &Effect) -> String {
    match effect {
        Effect::AttemptToDelete(uid) => format!("look at {uid}"),
        Effect::AttemptToDeleteLater(uid) => format!("look at {uid} later"),
        Effect::AttemptToOrphan(uid) => format!("orphan those of {uid}"),
        Effect::Absent(identity) => format!("{}/{} is absent", identity.namespace, identity.name),
        Effect::InvalidNamespace { dependent, owner } => format!("{owner} is no owner for {dependent}"),
    }
}

#[test]
fn background() {
    check(
        "owner\nchild owner\ngrandchild child\nowner gone\nchild deleting=x owner\nchild gone\ngrandchild gone",
        &expect![[r#"
            owner: 
            child owner: 
            grandchild child: 
            owner gone: default/owner is absent, look at child
            child deleting=x owner: 
            child gone: default/child is absent, look at grandchild
            grandchild gone: 
            0 nodes
        "#]],
    );
}

#[test]
fn the_last_that_blocks_frees_an_owner_that_waits() {
    check(
        "owner
         a owner!
         b owner!
         c owner
         owner deleting=foregroundDeletion
         d owner!
         a gone
         c gone
         b owner
         d gone
         b gone",
        &expect![[r#"
            owner: 
            a owner!: 
            b owner!: 
            c owner: 
            owner deleting=foregroundDeletion: look at a, look at b, look at c, look at owner
            d owner!: look at d
            a gone: 
            c gone: 
            b owner: 
            d gone: look at owner
            b gone: look at owner
            1 nodes
        "#]],
    );
}

#[test]
fn an_orphan_is_let_go() {
    check(
        "owner\nchild owner\nowner deleting=orphan\nchild\nowner gone\nchild gone",
        &expect![[r#"
            owner: 
            child owner: 
            owner deleting=orphan: orphan those of owner
            child: 
            owner gone: 
            child gone: 
            0 nodes
        "#]],
    );
}

#[test]
fn an_owner_that_was_only_named_is_looked_for() {
    check(
        "child nobody\nnobody absent\nother late\nlate\nlate gone",
        &expect![[r#"
            child nobody: look at nobody
            nobody absent: default/nobody is absent, look at child
            other late: look at late
            late: 
            late gone: default/late is absent, look at other
            2 nodes
        "#]],
    );
}

#[test]
fn owners_in_other_namespaces_are_told_of_in_either_order() {
    check(
        "owner@a\nchild@b owner\nearly@b late\nlate@a\ncluster@ owner\nnode@\nfine@b node",
        &expect![[r#"
            owner@a: 
            child@b owner: owner is no owner for child, look at child
            early@b late: look at late
            late@a: late is no owner for early, look at early
            cluster@ owner: owner is no owner for cluster, look at cluster
            node@: 
            fine@b node: 
            7 nodes
        "#]],
    );
}

#[test]
fn dependents_that_disagree_about_a_name_are_judged_apart() {
    check(
        "a uid/x\nb uid/y\nuid absent\nuid absent\na gone\nuid absent",
        &expect![[r#"
            a uid/x: look at uid
            b uid/y: look at b
            uid absent: default/x is absent, look at a, look at uid later
            uid absent: default/y is absent, look at b, look at uid later
            a gone: 
            uid absent: look at uid later
            2 nodes
        "#]],
    );
}
