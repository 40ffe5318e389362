//! Whether what a cluster has come to is really looked at: while those who would set it right are stopped, something is
//! written that must not be so at rest.

use std::sync::LazyLock;
use std::time::Duration;

use kubetab::api::{Kind, Object};
use kubetab::session::{Action, Disturbance, NodeName, Session};
use kubetab::sim::ComponentFault;
use serde_json::{Value, json};

use super::play::at_rest;
use super::rest;
use super::rogue::{apply, change, create, request, template, workload};

/// One workload of each kind, and what belongs to them, at rest.
static CLUSTER: LazyLock<Session> = LazyLock::new(|| {
    let mut work = template("10m");
    work["metadata"]["labels"] = json!({ "work": "true" });
    work["spec"]["restartPolicy"] = json!("Never");
    work["spec"]["containers"][0]["image"] = json!("busybox:1.36");
    work["spec"]["containers"][0]["command"] = json!(["true"]);
    let mut agent = workload("DaemonSet", "agent", json!({ "template": template("10m") }));
    let mut store = workload("StatefulSet", "store", json!({ "replicas": 1, "template": template("10m") }));
    for (set, name) in [(&mut agent, "agent"), (&mut store, "store")] {
        set["spec"]["selector"] = json!({ "matchLabels": { "app": name } });
        set["spec"]["template"]["metadata"]["labels"] = json!({ "app": name });
    }
    let claim = json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
    store["spec"]["volumeClaimTemplates"] = json!([{ "metadata": { "name": "data" }, "spec": claim }]);
    store["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{ "name": "data", "mountPath": "/data" }]);
    let indexed = json!({ "completions": 2, "parallelism": 2, "completionMode": "Indexed", "template": work });
    let later = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "later" },
        "spec": {
            "schedule": "0 0 1 1 *", "successfulJobsHistoryLimit": 0,
            "jobTemplate": { "spec": { "template": work } },
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "type": "LoadBalancer", "selector": { "app": "web" }, "ports": [{ "port": 80 }] },
    });
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "web" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } },
    });
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "web" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "minReplicas": 2, "maxReplicas": 3,
        },
    });
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few", "namespace": "team" },
        "spec": { "hard": { "pods": "4" } },
    });
    let team = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "team" } });
    let web = workload("Deployment", "web", json!({ "replicas": 2, "template": template("10m") }));
    let done = workload("Job", "done", json!({ "template": work }));
    let indexed = workload("Job", "indexed", indexed);
    let all = json!([team, web, agent, store, done, indexed, later, service, budget, autoscaler]);
    at_rest(&[(5, apply(&all)), (20, apply(&json!([quota])))])
});

/// The first object of a kind whose name begins so.
fn find(kind: Kind, name: &str) -> Object {
    let mut objects = CLUSTER.cluster().api().etcd().range(kind, None);
    let found = objects.find(|(key, _)| key.name.starts_with(name)).map(|(_, object)| object.clone());
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// Its path.
fn path(kind: Kind, name: &str) -> String {
    let (info, key) = (kind.info(), find(kind, name).key());
    let version = if info.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", info.group) };
    let namespace = if info.namespaced { format!("/namespaces/{}", key.namespace) } else { String::new() };
    format!("{version}/{}{namespace}/{}/{}", info.version, info.plural, key.name)
}

fn status(kind: Kind, name: &str, status: Value) -> Action {
    change("rogue", &format!("{}/status", path(kind, name)), json!({ "status": status }))
}

fn spec(kind: Kind, name: &str, spec: Value) -> Action {
    change("rogue", &path(kind, name), json!({ "spec": spec }))
}

fn remove(kind: Kind, name: &str) -> Action {
    let now = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0 });
    request("rogue", "DELETE", &path(kind, name), "application/json", now)
}

/// Something that an object controls.
fn owned(mut object: Value, kind: Kind, name: &str) -> Value {
    let owner = find(kind, name);
    let uid = owner.metadata().uid.clone().unwrap_or_default();
    let reference = json!({
        "apiVersion": kind.api_version(), "kind": kind.to_string(), "name": owner.key().name.to_string(),
        "uid": uid, "controller": true,
    });
    object["metadata"]["ownerReferences"] = json!([reference]);
    object
}

/// Stops those who would set it right, does the deeds, and compares what is found when everybody has heard of them.
fn check(deeds: Vec<Action>, wanted: &str) {
    let mut session = CLUSTER.clone();
    let stop =
        |component: &str| Action::Disturb(Disturbance { component: component.to_owned(), fault: ComponentFault::Stop });
    let central = ["kube-controller-manager", "kube-scheduler", "cloud-controller-manager"];
    for action in central.into_iter().map(stop).chain(deeds) {
        let outcome = session.act(action.clone()).expect("it is taken");
        assert!(outcome.is_success(), "{wanted}: {action:?}: {outcome:?}");
    }
    session.run_until(session.now() + Duration::from_secs(3));
    let found = rest::check(&session).expect_err(wanted);
    assert!(found.contains(wanted), "{wanted}: {found}");
}

#[test]
fn nothing_is_found_where_nothing_was_done() {
    assert_eq!(rest::check(&CLUSTER), Ok(()));
}

#[test]
fn nodes_and_pods() {
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-9" } });
    let ready = |status: &str| json!([{ "type": "Ready", "status": status }]);
    let taint = json!({ "taints": [{ "key": "a", "effect": "PreferNoSchedule" }] });
    let mut waiting = template("10m");
    waiting["apiVersion"] = json!("v1");
    waiting["kind"] = json!("Pod");
    waiting["metadata"]["name"] = json!("waiting");
    let mut huge = waiting.clone();
    huge["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("99");
    let pods = "/api/v1/namespaces/default/pods";
    let keep = json!({ "metadata": { "name": "kept", "finalizers": ["example.com/kept"] } });
    let maps = "/api/v1/namespaces/default/configmaps";
    let forget = request("rogue", "DELETE", &format!("{maps}/kept"), "application/json", Value::Null);
    check(vec![create("rogue", "/api/v1/nodes", node)], "there are machines");
    // Its kubelet would say otherwise.
    let cut_off = Action::PartitionNode(NodeName { name: "node-1".to_owned() });
    let unready = status(Kind::Node, "node-1", json!({ "conditions": ready("False") }));
    check(vec![cut_off, unready], "Node /node-1 is not ready");
    check(vec![spec(Kind::Node, "node-1", taint)], "Node /node-1 has the taints");
    check(vec![create("rogue", pods, waiting)], "Pod default/waiting waits though it fits node-1");
    check(vec![create("rogue", maps, keep), forget], "ConfigMap default/kept is being deleted for ever");
    check(vec![status(Kind::Pod, "web", json!({ "phase": "Failed" }))], "still runs containers of pod default/web");
    check(vec![status(Kind::Pod, "web", json!({ "conditions": ready("False") }))], "is not ready: {");
    let claim_ready =
        change("rogue", &format!("{pods}/waiting/status"), json!({ "status": { "conditions": ready("True") } }));
    check(vec![create("rogue", pods, huge), claim_ready], "Pod default/waiting is ready and does not run");
}

#[test]
fn deployments_and_their_sets() {
    let set = |name: &str, replicas: i64| {
        let mut object = workload("ReplicaSet", name, json!({ "replicas": replicas, "template": template("10m") }));
        object["spec"]["selector"] = json!({ "matchLabels": { "app": "web", "of": name } });
        object["spec"]["template"]["metadata"]["labels"] = json!({ "app": "web", "of": name });
        create("rogue", "/apis/apps/v1/namespaces/default/replicasets", owned(object, Kind::Deployment, "web"))
    };
    let old = (0..12).map(|number| set(&format!("old-{number}"), 0)).collect();
    check(
        vec![spec(Kind::HorizontalPodAutoscaler, "web", json!({ "minReplicas": 1, "maxReplicas": 1 }))],
        "lets web have 2 pods",
    );
    check(
        vec![spec(Kind::Deployment, "web", json!({ "minReadySeconds": 1 }))],
        "Deployment default/web: is not observed",
    );
    for field in ["replicas", "readyReplicas", "availableReplicas", "updatedReplicas"] {
        // The others may not be more.
        let less = match field {
            "replicas" => json!({ "replicas": 0, "readyReplicas": 0, "availableReplicas": 0, "updatedReplicas": 0 }),
            "readyReplicas" => json!({ "readyReplicas": 1, "availableReplicas": 1 }),
            _ => json!({ field: 1 }),
        };
        check(vec![status(Kind::Deployment, "web", less)], &format!("Deployment default/web: /{field}"));
    }
    check(vec![set("second", 1)], "has several ReplicaSets with pods");
    check(old, "has too many old ReplicaSets");
    check(vec![spec(Kind::ReplicaSet, "web", json!({ "minReadySeconds": 1 }))], ": is not observed");
    check(vec![status(Kind::ReplicaSet, "web", json!({ "replicas": 3 }))], ": replicas: ");
    check(vec![status(Kind::ReplicaSet, "web", json!({ "availableReplicas": 1 }))], ": available: ");
    let orphan = json!({ "metadata": { "ownerReferences": null } });
    check(vec![change("rogue", &path(Kind::Pod, "web"), orphan)], ": pods: 2");
}

#[test]
fn sets_with_places_and_sets_of_nodes() {
    for field in ["replicas", "readyReplicas", "availableReplicas"] {
        let less = match field {
            "replicas" => {
                json!({ "replicas": 0, "readyReplicas": 0, "availableReplicas": 0, "currentReplicas": 0, "updatedReplicas": 0 })
            }
            "readyReplicas" => json!({ "readyReplicas": 0, "availableReplicas": 0 }),
            _ => json!({ "availableReplicas": 0 }),
        };
        check(vec![status(Kind::StatefulSet, "store", less)], &format!("StatefulSet default/store: /{field}"));
    }
    check(
        vec![spec(Kind::StatefulSet, "store", json!({ "minReadySeconds": 1 }))],
        "StatefulSet default/store: is not observed",
    );
    check(
        vec![status(Kind::StatefulSet, "store", json!({ "updateRevision": "another" }))],
        "StatefulSet default/store: is not updated",
    );
    for field in ["desiredNumberScheduled", "currentNumberScheduled", "numberReady", "numberAvailable"] {
        check(
            vec![status(Kind::DaemonSet, "agent", json!({ field: 2 }))],
            &format!("DaemonSet default/agent: /{field}"),
        );
    }
    check(
        vec![spec(Kind::DaemonSet, "agent", json!({ "minReadySeconds": 1 }))],
        "DaemonSet default/agent: is not observed",
    );
    check(
        vec![status(Kind::DaemonSet, "agent", json!({ "numberMisscheduled": 1 }))],
        "DaemonSet default/agent: misscheduled",
    );
    check(
        vec![status(Kind::DaemonSet, "agent", json!({ "updatedNumberScheduled": 2 }))],
        "DaemonSet default/agent: updated",
    );
}

#[test]
fn jobs_and_those_who_make_them() {
    let mut work = template("10m");
    work["spec"]["restartPolicy"] = json!("Never");
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    let job = |name: &str, spec: Value| create("rogue", jobs, workload("Job", name, spec));
    let of_later = |suspend: bool| {
        let object = workload("Job", "earlier", json!({ "suspend": suspend, "template": work }));
        create("rogue", jobs, owned(object, Kind::CronJob, "later"))
    };
    check(vec![job("fresh", json!({ "template": work }))], "Job default/fresh: has not ended");
    let mut pod = owned(template("10m"), Kind::Job, "done");
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("late");
    pod["spec"]["nodeName"] = json!("node-1");
    check(vec![create("rogue", "/api/v1/namespaces/default/pods", pod)], "Job default/done: active");
    let tracked = json!({ "metadata": { "finalizers": ["batch.kubernetes.io/job-tracking"] } });
    check(vec![change("rogue", &path(Kind::Pod, "done"), tracked)], "Job default/done: has not counted a pod");
    check(vec![of_later(true)], "CronJob default/later lists 0 active jobs of 1");
    let at = |seconds: u64| (CLUSTER.now() + Duration::from_secs(seconds)).to_string();
    let condition = |name: &str| {
        json!({
            "type": name, "status": "True", "reason": "CompletionsReached",
            "lastTransitionTime": at(0), "lastProbeTime": at(0),
        })
    };
    let over = json!({ "status": {
        "startTime": at(0), "completionTime": at(0), "succeeded": 1,
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
    } });
    let ended = change("rogue", &format!("{jobs}/earlier/status"), over);
    check(vec![of_later(false), ended], "CronJob default/later keeps 1 jobs of 0");
}

#[test]
fn budgets_quotas_and_services() {
    let budget = |fields: Value| status(Kind::PodDisruptionBudget, "web", fields);
    check(vec![budget(json!({ "currentHealthy": 1 }))], "PodDisruptionBudget default/web: healthy");
    check(vec![budget(json!({ "disruptionsAllowed": 0 }))], "PodDisruptionBudget default/web: allowed");
    check(
        vec![spec(Kind::PodDisruptionBudget, "web", json!({ "minAvailable": 2 }))],
        "PodDisruptionBudget default/web: is not observed",
    );
    check(
        vec![status(Kind::ResourceQuota, "few", json!({ "used": { "pods": "3" } }))],
        "ResourceQuota team/few counts 3 pods of 0",
    );
    check(vec![remove(Kind::EndpointSlice, "web")], "Service default/web has the endpoints {}");
    check(
        vec![status(Kind::Service, "web", json!({ "loadBalancer": null }))],
        "Service default/web has no address from outside",
    );
}

#[test]
fn claims_volumes_and_attachments() {
    let claim = |phase: &str| status(Kind::PersistentVolumeClaim, "data", json!({ "phase": phase }));
    check(vec![claim("Lost")], "PersistentVolumeClaim default/data-store-0 is Lost");
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": "spare" },
        "spec": {
            "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": { "namespace": "default", "name": "gone", "uid": "0" }, "nfs": { "server": "s", "path": "/" },
        },
    });
    let volumes = "/api/v1/persistentvolumes";
    let bound = change("rogue", &format!("{volumes}/spare/status"), json!({ "status": { "phase": "Bound" } }));
    check(vec![create("rogue", volumes, volume.clone())], "PersistentVolume /spare is Pending");
    check(
        vec![create("rogue", volumes, volume), bound],
        "PersistentVolume /spare is bound to default/gone, which is gone",
    );
    let attachment = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": { "name": "spare" },
        "spec": { "attacher": "none.example.com", "nodeName": "node-1", "source": { "persistentVolumeName": "spare" } },
    });
    let attachments = "/apis/storage.k8s.io/v1/volumeattachments";
    let attached = change("rogue", &format!("{attachments}/spare/status"), json!({ "status": { "attached": true } }));
    check(vec![create("rogue", attachments, attachment.clone())], "VolumeAttachment /spare is not attached");
    check(vec![create("rogue", attachments, attachment), attached], "spare stays attached to node-1 for nobody");
}
