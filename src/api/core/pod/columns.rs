//! A pod in a table. Follows `printPod`.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};
use serde_json::{Value, json};

use super::is_restartable_init;
use crate::api::check::{list, text};
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of, or_none};
use crate::machinery::duration;
use crate::machinery::order::map_of;
use crate::machinery::time::Time;

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Ready", "The aggregate readiness state of this pod for accepting traffic."),
    ColumnDefinition::text("Status", "The aggregate status of the containers in this pod."),
    ColumnDefinition::text(
        "Restarts",
        "The number of times the containers in this pod have been restarted and when the last container in this pod \
         has restarted.",
    ),
    AGE,
    ColumnDefinition::text(
        "IP",
        "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated.",
    )
    .wide(),
    ColumnDefinition::text(
        "Node",
        "NodeName indicates in which node this pod is scheduled. If empty, this pod is a candidate for scheduling by \
         the scheduler defined in schedulerName.",
    )
    .wide(),
    ColumnDefinition::text(
        "Nominated Node",
        "nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be scheduled right \
         away as preemption victims receive their graceful termination periods.",
    )
    .wide(),
    ColumnDefinition::text(
        "Readiness Gates",
        "If specified, all readiness gates will be evaluated for pod readiness. A pod is ready when all its containers \
         are ready AND all conditions specified in the readiness gates have status equal to \"True\"",
    )
    .wide(),
];

/// What a pod's containers amount to.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<Time>,
}

pub(crate) fn row(pod: &Pod, now: Time) -> Vec<Value> {
    let summary = summarize(pod);
    let restarts = match summary.last_restart {
        Some(time) if summary.restarts != 0 => format!("{} ({} ago)", summary.restarts, duration::age(time, now)),
        _ => summary.restarts.to_string(),
    };
    let status = pod.status.clone().unwrap_or_default();
    let spec = pod.spec.clone().unwrap_or_default();
    let ip = list(&status.pod_ips).first().map_or_else(|| text(&status.pod_ip).to_owned(), |ip| ip.ip.clone());
    vec![
        name_of(&pod.metadata),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        age_of(&pod.metadata, now),
        or_none(&ip),
        or_none(text(&spec.node_name)),
        or_none(text(&status.nominated_node_name)),
        readiness_gates(pod).into(),
    ]
}

/// What marks a row as that of a pod that has ended.
pub(crate) fn row_conditions(pod: &Pod) -> Vec<Value> {
    let (reason, message) = match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Succeeded") => ("Succeeded", "The pod has completed successfully."),
        Some("Failed") => ("Failed", "The pod failed."),
        _ => return Vec::new(),
    };
    vec![json!({ "type": "Completed", "status": "True", "reason": reason, "message": message })]
}

/// The word for a pod's state that `kubectl get` shows under STATUS.
#[must_use]
pub fn status_text(pod: &Pod) -> String {
    summarize(pod).reason
}

fn readiness_gates(pod: &Pod) -> String {
    let gates = pod.spec.as_ref().map_or(&[][..], |spec| list(&spec.readiness_gates));
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|gate| has_condition(pod, &gate.condition_type)).count();
    format!("{open}/{}", gates.len())
}

/// Whether a condition of the pod is true.
fn has_condition(pod: &Pod, condition_type: &str) -> bool {
    let conditions = pod.status.as_ref().map_or(&[][..], |status| list(&status.conditions));
    let condition = conditions.iter().find(|condition| condition.type_ == condition_type);
    condition.is_some_and(|condition| condition.status == "True")
}

fn summarize(pod: &Pod) -> Summary {
    let spec = pod.spec.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let init = map_of(list(&spec.init_containers).iter().map(|container| (container.name.as_str(), container)));
    let sidecars = init.values().filter(|container| is_restartable_init(container)).count();
    let mut summary = Summary {
        ready: 0,
        total: spec.containers.len() + sidecars,
        reason: first_text(&status.reason, &status.phase),
        restarts: 0,
        last_restart: None,
    };
    let gated = list(&status.conditions)
        .iter()
        .any(|condition| condition.type_ == "PodScheduled" && text(&condition.reason) == "SchedulingGated");
    if gated {
        summary.reason = "SchedulingGated".to_owned();
    }
    let is_sidecar = |name: &str| init.get(name).is_some_and(|container| is_restartable_init(container));
    let initializing = add_init(&mut summary, list(&status.init_container_statuses), init.len(), is_sidecar);
    if !initializing || has_condition(pod, "Initialized") {
        let sidecars = list(&status.init_container_statuses).iter().filter(|status| is_sidecar(&status.name));
        (summary.restarts, summary.last_restart) = restarts_of(sidecars);
        add_main(&mut summary, pod, list(&status.container_statuses));
    }
    if pod.metadata.deletion_timestamp.is_some() {
        if text(&status.reason) == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !matches!(text(&status.phase), "Succeeded" | "Failed") {
            summary.reason = "Terminating".to_owned();
        }
    }
    summary
}

fn first_text(first: &Option<String>, second: &Option<String>) -> String {
    if text(first).is_empty() { text(second) } else { text(first) }.to_owned()
}

/// Goes through the init containers up to the first that is not done; whether there is one.
fn add_init(
    summary: &mut Summary,
    statuses: &[ContainerStatus],
    count: usize,
    is_sidecar: impl Fn(&str) -> bool,
) -> bool {
    for (index, status) in statuses.iter().enumerate() {
        (summary.restarts, summary.last_restart) = restarts_of(statuses[..=index].iter());
        let state = status.state.clone().unwrap_or_default();
        let waiting = state.waiting.as_ref().map_or("", |waiting| text(&waiting.reason));
        match &state.terminated {
            Some(terminated) if terminated.exit_code == 0 => continue,
            _ if is_sidecar(&status.name) && status.started == Some(true) => {
                summary.ready += usize::from(status.ready);
                continue;
            }
            Some(terminated) => summary.reason = format!("Init:{}", ended(terminated)),
            None if !waiting.is_empty() && waiting != "PodInitializing" => {
                summary.reason = format!("Init:{waiting}");
            }
            None => summary.reason = format!("Init:{index}/{count}"),
        }
        return true;
    }
    false
}

/// Goes through the main containers from the last to the first: the first has the last word.
fn add_main(summary: &mut Summary, pod: &Pod, statuses: &[ContainerStatus]) {
    let (restarts, last) = restarts_of(statuses.iter());
    summary.restarts += restarts;
    summary.last_restart = summary.last_restart.max(last);
    let mut has_running = false;
    for status in statuses.iter().rev() {
        let state: ContainerState = status.state.clone().unwrap_or_default();
        let waiting = state.waiting.as_ref().map_or("", |waiting| text(&waiting.reason));
        if !waiting.is_empty() {
            summary.reason = waiting.to_owned();
        } else if let Some(terminated) = &state.terminated {
            summary.reason = ended(terminated);
        } else if status.ready && state.running.is_some() {
            has_running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" && has_running {
        summary.reason = if has_condition(pod, "Ready") { "Running" } else { "NotReady" }.to_owned();
    }
}

fn ended(terminated: &ContainerStateTerminated) -> String {
    let reason = text(&terminated.reason);
    match terminated.signal.unwrap_or(0) {
        _ if !reason.is_empty() => reason.to_owned(),
        0 => format!("ExitCode:{}", terminated.exit_code),
        signal => format!("Signal:{signal}"),
    }
}

/// How often the containers were restarted and when the last of them ended before that.
fn restarts_of<'a>(statuses: impl Iterator<Item = &'a ContainerStatus>) -> (i64, Option<Time>) {
    statuses.fold((0, None), |(restarts, last), status| {
        let terminated = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let finished = terminated.and_then(|terminated| terminated.finished_at.as_ref()).map(Time::from);
        (restarts + i64::from(status.restart_count), last.max(finished))
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The READY, STATUS and RESTARTS of a pod with this spec and status, ten minutes after the start.
    fn check(pod: &Value, expected: &Expect) {
        let pod: Pod = serde_json::from_value(pod.clone()).expect("a pod");
        let now = Time::DEFAULT_START + std::time::Duration::from_secs(600);
        let cells: Vec<String> =
            row(&pod, now)[1..4].iter().filter_map(|cell| cell.as_str().map(str::to_owned)).collect();
        expected.assert_eq(&cells.join(" | "));
    }

    fn pod(init: &Value, statuses: &Value) -> Value {
        json!({
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": init},
            "status": statuses,
        })
    }

    #[test]
    fn a_pod_that_starts() {
        let waiting = json!({"name": "a", "state": {"waiting": {"reason": "ContainerCreating"}}});
        check(&pod(&json!([]), &json!({"phase": "Pending"})), &expect!["0/2 | Pending | 0"]);
        check(
            &pod(&json!([]), &json!({"phase": "Pending", "containerStatuses": [waiting]})),
            &expect!["0/2 | ContainerCreating | 0"],
        );
        let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
        check(
            &pod(&json!([]), &json!({"phase": "Pending", "conditions": gated})),
            &expect!["0/2 | SchedulingGated | 0"],
        );
    }

    #[test]
    fn init_containers_have_the_word_until_they_are_done() {
        let init = json!([{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]);
        let main = json!([{"name": "a", "state": {"waiting": {"reason": "PodInitializing"}}}]);
        let of = |i: Value, s: Value| {
            json!({"phase": "Pending", "containerStatuses": main.clone(), "initContainerStatuses": [
                {"name": "i", "state": i}, {"name": "s", "state": s, "started": false}]})
        };
        let nothing = || json!({"waiting": {"reason": "PodInitializing"}});
        let done = || json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        check(&pod(&init, &of(json!({"running": {}}), nothing())), &expect!["0/3 | Init:0/2 | 0"]);
        check(&pod(&init, &of(done(), nothing())), &expect!["0/3 | Init:1/2 | 0"]);
        let failed = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
        check(&pod(&init, &of(failed, nothing())), &expect!["0/3 | Init:Error | 0"]);
        let crashing = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        check(&pod(&init, &of(crashing, nothing())), &expect!["0/3 | Init:CrashLoopBackOff | 0"]);
        let killed = json!({"terminated": {"exitCode": 137, "signal": 9}});
        check(&pod(&init, &of(killed, nothing())), &expect!["0/3 | Init:Signal:9 | 0"]);
        let mut started = of(done(), json!({"running": {}}));
        started["initContainerStatuses"][1]["started"] = true.into();
        started["initContainerStatuses"][1]["ready"] = true.into();
        check(&pod(&init, &started), &expect!["1/3 | PodInitializing | 0"]);
    }

    #[test]
    fn a_pod_that_runs_and_ends() {
        let running = |name: &str| json!({"name": name, "ready": true, "state": {"running": {}}});
        let ended = |name: &str, reason: &str, code: i32| json!({"name": name, "state": {"terminated": {"reason": reason, "exitCode": code}}});
        let of = |phase: &str, statuses: Value| json!({"phase": phase, "containerStatuses": statuses});
        let both = json!([running("a"), running("b")]);
        check(&pod(&json!([]), &of("Running", both.clone())), &expect!["2/2 | Running | 0"]);
        let one_done = json!([ended("a", "Completed", 0), running("b")]);
        check(&pod(&json!([]), &of("Running", one_done)), &expect!["1/2 | NotReady | 0"]);
        let failed = json!([ended("a", "Error", 1), ended("b", "Completed", 0)]);
        check(&pod(&json!([]), &of("Failed", failed)), &expect!["0/2 | Error | 0"]);
        let mut deleted = pod(&json!([]), &of("Running", both));
        deleted["metadata"] = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        check(&deleted, &expect!["2/2 | Terminating | 0"]);
        let evicted = json!({"phase": "Failed", "reason": "Evicted"});
        check(&pod(&json!([]), &evicted), &expect!["0/2 | Evicted | 0"]);
    }

    #[test]
    fn restarts_tell_when_the_last_was() {
        let status = json!({"phase": "Running", "containerStatuses": [{
            "name": "a", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:08:55Z"}},
        }]});
        check(&pod(&json!([]), &status), &expect!["0/2 | CrashLoopBackOff | 4 (65s ago)"]);
    }
}
