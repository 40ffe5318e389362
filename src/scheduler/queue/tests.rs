//! What the queue does with pods that fail.

use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::scheduler::framework::plugin::Plugin;

struct Bench {
    profile: Arc<Profile>,
    queue: SchedulingQueue,
    listers: Listers,
    now: Time,
}

fn pod(name: &str, spec: Value) -> Arc<PodInfo> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default", "uid": name}, "spec": spec,
    }))
    .expect("a pod");
    Arc::new(PodInfo::new(Arc::new(pod)))
}

fn plain(name: &str, priority: i32) -> Arc<PodInfo> {
    pod(name, json!({"priority": priority, "containers": []}))
}

impl Bench {
    fn new() -> Self {
        Self {
            profile: Arc::new(Profile::new("default-scheduler".into())),
            queue: SchedulingQueue::default(),
            listers: Listers::default(),
            now: Time::DEFAULT_START,
        }
    }

    fn add(&mut self, pod: Arc<PodInfo>) {
        self.queue.add(pod, Arc::clone(&self.profile), self.now);
        self.now += Duration::from_millis(1);
    }

    /// Tries the next pod, which `plugin` refuses; without one it fails for an error.
    fn fail(&mut self, plugin: Option<Plugin>) -> String {
        let Some(queued) = self.queue.pop() else { return "-".to_owned() };
        let name = queued.pod.key.name.to_string();
        self.queue.add_unschedulable(queued, plugin.into_iter().collect(), self.now, &self.listers);
        self.now += Duration::from_millis(1);
        name
    }

    fn pass(&mut self, duration: Duration) {
        self.now += duration;
        self.queue.flush(self.now);
    }

    fn pod_deleted(&mut self) {
        let gone = pod("gone", json!({"nodeName": "a", "containers": []}));
        let change = Change::Pod(Some(gone), None);
        self.queue.move_all(ClusterEvent::ASSIGNED_POD_DELETE, &change, self.now, &self.listers, |_| true);
    }

    fn check(&self, expected: Expect) {
        let line = |queued: &QueuedPodInfo| format!("{} {:?}", queued.pod.key.name, queued.place);
        let lines: Vec<String> = self.queue.iter().map(line).collect();
        expected.assert_eq(&lines.join(", "));
    }
}

#[test]
fn the_higher_priority_comes_first_and_among_equals_the_last_try_counts() {
    let mut bench = Bench::new();
    for (name, priority) in [("a", 0), ("b", 0), ("c", 5)] {
        bench.add(plain(name, priority));
    }
    let first = bench.fail(Some(Plugin::NodeResourcesFit));
    bench.queue.activate("c");
    let again = bench.fail(Some(Plugin::NodeResourcesFit));
    assert_eq!((&*first, &*again), ("c", "c"));
    assert_eq!(bench.fail(None), "a");
    bench.queue.activate("a");
    // a was tried later than b came.
    assert_eq!(bench.fail(None), "b");
    assert_eq!(bench.fail(None), "a");
}

#[test]
fn an_event_moves_pods_whose_plugin_says_that_it_may_help() {
    let mut bench = Bench::new();
    bench.add(plain("fit", 1));
    bench.add(plain("taint", 0));
    bench.fail(Some(Plugin::NodeResourcesFit));
    bench.fail(Some(Plugin::TaintToleration));
    bench.check(expect!["fit Unschedulable, taint Unschedulable"]);
    bench.pod_deleted();
    // Its back-off is not over, but nothing else is to be done, so that it is taken all the same.
    bench.check(expect!["fit Backoff, taint Unschedulable"]);
    assert!(bench.queue.has_work());
    assert_eq!(bench.fail(Some(Plugin::NodeResourcesFit)), "fit");
    bench.pass(Duration::from_secs(5));
    bench.pod_deleted();
    bench.check(expect!["fit Active, taint Unschedulable"]);
}

#[test]
fn errors_are_tried_again_after_their_backoff_and_not_before() {
    let mut bench = Bench::new();
    bench.add(plain("p", 0));
    bench.fail(None);
    bench.check(expect!["p ErrorBackoff"]);
    assert!(!bench.queue.has_work());
    let end = bench.queue.next_flush().expect("a back-off ends");
    assert_eq!(end, Time::DEFAULT_START + Duration::from_secs(2));
    bench.pass(Duration::from_secs(1));
    bench.check(expect!["p ErrorBackoff"]);
    bench.pass(Duration::from_secs(1));
    bench.check(expect!["p Active"]);
}

#[test]
fn who_waits_five_minutes_is_tried_without_an_event() {
    let mut bench = Bench::new();
    bench.add(plain("p", 0));
    bench.fail(Some(Plugin::NodeAffinity));
    let due = bench.queue.next_flush().expect("nobody waits for ever");
    assert_eq!(due, Time::DEFAULT_START + Duration::from_secs(330));
    bench.pass(Duration::from_secs(299));
    bench.check(expect!["p Unschedulable"]);
    bench.now = due;
    bench.pass(Duration::ZERO);
    bench.check(expect!["p Active"]);
}

#[test]
fn gates_hold_a_pod_back_until_the_last_is_gone() {
    let mut bench = Bench::new();
    let gated = pod("p", json!({"containers": [], "schedulingGates": [{"name": "x/y"}]}));
    bench.add(Arc::clone(&gated));
    bench.check(expect!["p Gated"]);
    assert_eq!(bench.queue.next_flush(), None);
    bench.queue.update(&gated, plain("p", 0), bench.now, &bench.listers);
    bench.check(expect!["p Active"]);
}

#[test]
fn what_happens_during_a_try_is_not_missed() {
    let mut bench = Bench::new();
    bench.add(plain("p", 0));
    let queued = bench.queue.pop().expect("a pod");
    bench.pod_deleted();
    let rejectors = std::iter::once(Plugin::NodeResourcesFit).collect();
    bench.queue.add_unschedulable(queued, rejectors, bench.now, &bench.listers);
    bench.check(expect!["p Backoff"]);
    // A second try without any event ends as usual.
    bench.fail(Some(Plugin::NodeResourcesFit));
    bench.check(expect!["p Unschedulable"]);
}

#[test]
fn a_nomination_outlives_an_update_that_does_not_know_of_it() {
    let mut bench = Bench::new();
    let waiting = plain("p", 0);
    bench.add(Arc::clone(&waiting));
    bench.queue.nominator_mut().nominate(Arc::clone(&waiting), "a");
    bench.queue.update(&waiting, plain("p", 0), bench.now, &bench.listers);
    assert_eq!(bench.queue.nominator().node_of("p").map(|node| &**node), Some("a"));
    bench.queue.delete("p");
    assert!(bench.queue.nominator().is_empty());
}

#[test]
fn only_changes_that_count_wake_a_pod_by_its_own_update() {
    let mut bench = Bench::new();
    let waiting = plain("p", 0);
    bench.add(Arc::clone(&waiting));
    bench.fail(Some(Plugin::TaintToleration));
    bench.queue.update(&waiting, plain("p", 0), bench.now, &bench.listers);
    bench.check(expect!["p Unschedulable"]);
    let tolerant = pod("p", json!({"containers": [], "tolerations": [{"operator": "Exists"}]}));
    bench.queue.update(&waiting, tolerant, bench.now, &bench.listers);
    bench.check(expect!["p Backoff"]);
}
