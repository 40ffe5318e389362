//! Jobs and CronJobs, beyond the recorded cases of `job/` and `cronjob/`.

use std::time::Duration;

use kubetab::api::{Kind, Object};
use kubetab::sim::ComponentFault;
use serde_json::{Value, json};

use super::scene::Scene;

/// The spec of a Job whose pods end as the annotation says.
fn job_spec(exit: &str) -> Value {
    json!({ "template": {
        "metadata": { "annotations": { "kubetab/exit": exit } },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "restartPolicy": "Never",
            "containers": [{ "name": "c", "image": "busybox:1.36" }],
        },
    }})
}

fn job(scene: &mut Scene, name: &str, exit: &str, more: Value) {
    let mut spec = job_spec(exit);
    for (field, value) in more.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    scene.create_value(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name }, "spec": spec }));
}

fn cron_job(scene: &mut Scene, name: &str, schedule: &str, more: Value) {
    let mut spec = json!({ "schedule": schedule, "jobTemplate": { "spec": job_spec("0@1s") } });
    for (field, value) in more.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    scene.create_value(
        json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": name }, "spec": spec }),
    );
}

/// The objects of a kind, as JSON.
fn all(scene: &Scene, kind: Kind) -> Vec<Value> {
    let objects = scene.cluster.api().etcd().range(kind, Some("default"));
    objects.map(|(_, object): (_, &Object)| object.to_value()).collect()
}

#[test]
fn a_schedule_is_that_of_its_time_zone() {
    let mut scene = Scene::with_nodes(1);
    // Half past nine in Seoul is half past midnight in UTC, when clusters begin.
    cron_job(&mut scene, "c", "30 9 * * *", json!({ "timeZone": "Asia/Seoul" }));
    scene.run(29 * 60);
    assert!(all(&scene, Kind::Job).is_empty());
    scene.run(60);
    let jobs = all(&scene, Kind::Job);
    let timestamp = &jobs[0]["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"];
    assert_eq!(timestamp, "2026-01-01T09:30:00+09:00");
    let status = &scene.get("CronJob c")["status"];
    assert_eq!(status["lastScheduleTime"], "2026-01-01T00:30:00Z");
    assert!(scene.get("CronJob c")["status"]["active"].is_null(), "the Job has ended: {status}");
}

#[test]
fn a_cluster_that_only_waits_for_a_schedule_is_idle() {
    let mut scene = Scene::with_nodes(1);
    cron_job(&mut scene, "c", "0 0 1 6 *", json!({}));
    let limit = scene.cluster.now() + Duration::from_secs(600);
    assert!(scene.cluster.run_until_idle(limit));
}

#[test]
fn pods_of_a_job_stay_when_nobody_says_what_becomes_of_them() {
    let mut scene = Scene::with_nodes(1);
    job(&mut scene, "j", "forever", json!({}));
    scene.run(5);
    scene.delete("Job j");
    scene.run(5);
    assert!(!scene.exists("Job j"));
    let pods = all(&scene, Kind::Pod);
    let metadata = &pods[0]["metadata"];
    assert!(metadata["ownerReferences"].is_null() && metadata["finalizers"].is_null(), "{metadata}");
}

#[test]
fn another_controllers_job_is_left_alone() {
    let mut scene = Scene::with_nodes(1);
    job(&mut scene, "j", "0@1s", json!({ "managedBy": "example.com/me" }));
    scene.run(5);
    assert!(all(&scene, Kind::Pod).is_empty());
    assert_eq!(scene.get("Job j")["status"], json!({}));
}

#[test]
fn an_orphan_that_a_job_selects_is_adopted_and_counted() {
    let mut scene = Scene::with_nodes(1);
    scene.create(
        "{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {x: z}, annotations: {kubetab/exit: 0@20s}},
          spec: {restartPolicy: Never, containers: [{name: c, image: 'busybox:1.36'}]}}",
    );
    let mut spec = job_spec("0@1s");
    spec["template"]["metadata"]["labels"] = json!({ "x": "z" });
    spec["manualSelector"] = true.into();
    spec["selector"] = json!({ "matchLabels": { "x": "z" } });
    scene.create_value(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "j" }, "spec": spec }));
    scene.run(10);
    let pod = scene.get("Pod p");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "Job");
    assert_eq!(pod["metadata"]["finalizers"], json!(["batch.kubernetes.io/job-tracking"]));
    scene.run(20);
    assert_eq!(scene.get("Job j")["status"]["succeeded"], 1);
    assert_eq!(all(&scene, Kind::Pod).len(), 1, "no other pod was needed");
    assert!(scene.get("Pod p")["metadata"]["finalizers"].is_null());
}

#[test]
fn many_pods_are_counted_once_each_though_requests_are_limited() {
    let mut scene = Scene::with_nodes(3);
    let indexed = json!({ "completions": 60, "parallelism": 60, "completionMode": "Indexed" });
    job(&mut scene, "indexed", "0@1s", indexed);
    job(&mut scene, "plain", "0@1s", json!({ "completions": 60, "parallelism": 60 }));
    scene.run(90);
    for name in ["indexed", "plain"] {
        let status = &scene.get(&format!("Job {name}"))["status"];
        assert_eq!(status["succeeded"], 60, "{name}: {status}");
        assert_eq!(status["conditions"][1]["type"], "Complete", "{name}: {status}");
    }
    assert_eq!(scene.get("Job indexed")["status"]["completedIndexes"], "0-59");
    let pods = all(&scene, Kind::Pod);
    assert_eq!(pods.len(), 120);
    assert!(pods.iter().all(|pod| pod["metadata"]["finalizers"].is_null()));
}

#[test]
fn many_missing_jobs_are_forgotten_although_requests_are_limited() {
    let mut scene = Scene::with_nodes(0);
    for number in 0..40 {
        cron_job(&mut scene, &format!("c{number}"), "* * * * *", json!({}));
    }
    scene.run(70);
    let active = |scene: &Scene| {
        let cron_jobs = all(scene, Kind::CronJob);
        cron_jobs.iter().filter(|cron_job| !cron_job["status"]["active"].is_null()).count()
    };
    assert_eq!(active(&scene), 40);
    // While nobody looks, all Jobs are taken away, and no more are to come.
    scene.cluster.disturb("kube-controller-manager", ComponentFault::Stop).expect("it runs");
    for number in 0..40 {
        scene.patch(&format!("CronJob c{number}"), "{spec: {suspend: true}}");
    }
    for job in all(&scene, Kind::Job) {
        scene.delete(&format!("Job {}", job["metadata"]["name"].as_str().expect("a name")));
    }
    scene.cluster.disturb("kube-controller-manager", ComponentFault::Start).expect("it does not run");
    // Each takes a look and a write: 80 requests, of which 30 may be sent at once and 20 a second after that.
    scene.run(20);
    assert_eq!(active(&scene), 0);
}
