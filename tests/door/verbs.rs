//! The rest of what a person does with kubectl: every kind, every form of output, rights, budgets, watching.

use super::*;

/// One object of every kind that can be made and taken away; `a` in the namespace `all-kinds`.
const KINDS: &str = include_str!("kinds.yaml");

#[test]
fn every_kind_is_made_shown_and_taken_away() {
    let Some(cluster) = Cluster::open("kinds") else { return };
    let resources = cluster.kubectl("api-resources --verbs=create,delete -o name").ok();
    let made = cluster.sh("kubectl create -f -", KINDS).ok();
    let shown = cluster.sh("kubectl get -f - -o name", KINDS).ok();
    // Two groups serve events; of everything else there is one.
    assert_eq!(made.lines().count(), resources.lines().count() - 1, "{made}{resources}");
    assert_eq!(made.lines().count(), shown.lines().count(), "{made}");
    let wide = cluster.sh("kubectl get -f - -o wide", KINDS);
    assert_eq!(wide.code, Some(0), "{}", wide.error);
    // A kubectl before 1.34 asks for older versions of these.
    let newer = ["kind: ServiceCIDR", "kind: IPAddress", "kind: VolumeAttributesClass"];
    let rest: Vec<&str> = KINDS.split("---\n").filter(|one| !newer.iter().any(|kind| one.contains(kind))).collect();
    let described = cluster.sh("kubectl describe -f -", &rest.join("---\n"));
    assert_eq!(described.code, Some(0), "{}", described.error);
    let gone = cluster.sh("kubectl delete -f - --timeout=120s", KINDS).ok();
    assert_eq!(gone.lines().count(), made.lines().count(), "{gone}");
    let left = cluster.sh("kubectl get -f - -o name --ignore-not-found", KINDS).ok();
    assert_eq!(left, "");
}

#[test]
fn objects_are_shown_in_every_form() {
    let Some(cluster) = Cluster::open("forms") else { return };
    cluster.kubectl("create configmap a --from-literal=k=v").ok();
    cluster.kubectl("label configmap a tier=one").ok();
    cluster.sh("echo '{.data.k}' > path; echo '{{.data.k}}' > template; printf 'K V\\n.metadata.name .data.k\\n' > columns", "").ok();
    for (form, expected) in [
        ("name", "configmap/a\n"),
        ("jsonpath={.data.k}", "v"),
        ("jsonpath-as-json={.data}", "\"k\": \"v\""),
        ("jsonpath-file=path", "v"),
        ("go-template={{.data.k}}", "v"),
        ("go-template-file=template", "v"),
        ("custom-columns=K:.metadata.name,V:.data.k", "K     V\na     v\n"),
        ("custom-columns-file=columns", "K     V\na     v\n"),
        ("json", "\"k\": \"v\""),
        ("yaml", "  k: v\n"),
        ("wide", "a      1      "),
    ] {
        let shown = cluster.kubectl(&format!("get configmap a -o '{form}'")).ok();
        assert!(shown.contains(expected), "{form}: {shown}");
    }
    assert!(cluster.kubectl("get configmap a --show-labels").ok().contains("tier=one"));
    assert!(cluster.kubectl("get configmap -L tier -l tier=one --no-headers").ok().trim_end().ends_with("one"));
    assert!(cluster.kubectl("get configmap --field-selector metadata.name=a -o name").ok().contains("configmap/a"));
    assert!(
        cluster.kubectl("get configmap --sort-by=.metadata.name -o name --chunk-size=1").ok().contains("configmap/a")
    );
}

#[test]
fn rights_and_reviews_are_told() {
    let Some(cluster) = Cluster::open("rights") else { return };
    assert_eq!(cluster.kubectl("auth can-i delete nodes").ok(), "yes\n");
    cluster.kubectl("create role reader --verb=get,list --resource=pods").ok();
    cluster.kubectl("create rolebinding readers --role=reader --user=jane").ok();
    assert_eq!(cluster.kubectl("auth can-i list pods --as jane").ok(), "yes\n");
    assert_eq!(cluster.kubectl("auth can-i delete pods --as jane").out, "no\n");
    let rules = cluster.kubectl("auth can-i --list --as jane").ok();
    assert!(rules.lines().any(|line| line.starts_with("pods ") && line.ends_with("[get list]")), "{rules}");
    assert!(cluster.kubectl("auth whoami --as jane").ok().contains("jane"));
    let refused = cluster.kubectl("delete pod x --as jane").failed();
    assert!(refused.contains("pods \"x\" is forbidden: User \"jane\" cannot delete resource \"pods\""), "{refused}");
    let token = cluster.kubectl("create token default --duration=10m").ok();
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
}

#[test]
fn budgets_hold_and_conflicts_are_told() {
    let Some(cluster) = Cluster::open("budget") else { return };
    cluster.apply(WEB);
    cluster.kubectl("rollout status deployment/web --timeout=60s").ok();
    cluster.kubectl("create pdb web --selector=app=web --min-available=3").ok();
    cluster.kubectl("wait pdb/web --for=jsonpath={.status.currentHealthy}=3 --timeout=60s").ok();
    let evict = "pod=$(kubectl get pods -l app=web -o jsonpath={.items[0].metadata.name})
         printf '{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"%s\"}}' $pod > evict
         kubectl create --raw /api/v1/namespaces/default/pods/$pod/eviction -f evict";
    let held = cluster.sh(evict, "").failed();
    assert!(held.contains("Cannot evict pod as it would violate the pod's disruption budget."), "{held}");
    cluster.kubectl("patch pdb web --type=merge -p '{\"spec\":{\"minAvailable\":2}}'").ok();
    cluster.kubectl("wait pdb/web --for=jsonpath={.status.disruptionsAllowed}=1 --timeout=60s").ok();
    assert!(cluster.sh(evict, "").ok().contains("Success"));
    // Two appliers: the second is told whose field it is, and may force it.
    let small = "---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1}}";
    let conflict = cluster.sh("kubectl apply --server-side --field-manager=other -f -", small).failed();
    assert!(conflict.contains("conflict with \"kubectl-client-side-apply\""), "{conflict}");
    cluster.sh("kubectl apply --server-side --field-manager=other --force-conflicts -f -", small).ok();
    assert!(cluster.kubectl("rollout history deployment/web").ok().contains("REVISION"));
    cluster.kubectl("rollout restart deployment/web").ok();
    cluster.kubectl("rollout pause deployment/web").ok();
    cluster.kubectl("rollout resume deployment/web").ok();
    cluster.kubectl("rollout status deployment/web --timeout=60s").ok();
    cluster.kubectl("delete deployment web --cascade=background").ok();
    cluster.kubectl("wait pods -l app=web --for=delete --timeout=120s").ok();
    assert_eq!(cluster.kubectl("get replicaset -o name").ok(), "");
}

#[test]
fn changes_are_watched() {
    let Some(cluster) = Cluster::open("watch") else { return };
    let script = "
        (timeout 6 kubectl get configmaps --watch --output-watch-events -l own=yes --no-headers > seen; true) & watch=$!
        sleep 2
        kubectl create configmap one -o name
        kubectl label configmap one own=yes
        kubectl label configmap one own=no --overwrite
        wait $watch
        awk '{print $1, $2}' seen";
    let said = cluster.sh(script, "").ok();
    assert!(said.ends_with("ADDED one\nDELETED one\n"), "{said}");
    cluster.kubectl("run once --image=busybox:1.36 --restart=Never --command -- sh -c 'for i in 1 2 3; do echo $i; sleep 40; done'").ok();
    cluster.kubectl("wait pod/once --for=condition=ContainersReady --timeout=30s").ok();
    assert_eq!(cluster.kubectl("logs -f once").ok(), "1\n2\n3\n");
    cluster.kubectl("wait pod/once --for=jsonpath={.status.phase}=Succeeded --timeout=60s").ok();
}
