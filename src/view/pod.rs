//! A pod as the graph shows it: a sign, a few words, whose it is and where it runs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use serde::{Deserialize, Serialize};

use crate::api::{Resource as _, controller_of};
use crate::machinery::time::Time;

use super::node::NodeView;
use super::workload::Revisions;

/// How a pod fares, said by a sign besides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sign {
    /// All containers are ready.
    Ready,
    /// It runs, but is not ready.
    NotReady,
    /// The kubelet makes it: images are pulled, init containers run, containers start.
    Starting,
    /// It has no node yet.
    Waiting,
    /// It had no luck with a container and will try again: crash loops, images that cannot be pulled.
    Trouble,
    /// It has failed for good.
    Failed,
    /// It has ended well.
    Done,
    /// It is being stopped.
    Terminating,
    /// Its node does not answer.
    Lost,
}

impl Sign {
    /// A name without blanks for attributes and style sheets.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not-ready",
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Trouble => "trouble",
            Self::Failed => "failed",
            Self::Done => "done",
            Self::Terminating => "terminating",
            Self::Lost => "lost",
        }
    }
}

/// Which template of its workload a pod was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Generation {
    /// It belongs to no roll-out.
    #[default]
    Only,
    /// From an older template than the newest.
    Old,
    /// From the newest.
    New,
}

impl Generation {
    /// A name without blanks for attributes and style sheets.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// A pod as the graph shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The node it is bound to.
    pub node: Option<String>,
    /// `status.phase`.
    pub phase: String,
    /// What `kubectl get pods` prints as STATUS.
    pub status: String,
    /// The sign for it.
    pub sign: Sign,
    /// How many containers are ready.
    pub ready: usize,
    /// How many containers there are.
    pub containers: usize,
    /// How often containers were started again.
    pub restarts: i32,
    /// Which template it was made from.
    pub generation: Generation,
    /// The uid of the workload that it is drawn with: of its Deployment, or else of its owner.
    pub workload: Option<String>,
    /// The uid of the object that controls it.
    pub owner: Option<String>,
    /// The images of its containers.
    pub images: Vec<String>,
    /// When it was created.
    pub created: Time,
}

impl PodView {
    /// The end of the name, which tells it from its siblings.
    #[must_use]
    pub fn short_name(&self) -> &str {
        match self.name.rsplit_once('-') {
            Some((_, suffix)) if self.owner.is_some() && (1..=10).contains(&suffix.len()) => suffix,
            _ => &self.name,
        }
    }

    /// `1/2`.
    #[must_use]
    pub fn ready_text(&self) -> String {
        format!("{}/{}", self.ready, self.containers)
    }
}

/// Makes the view of a pod.
#[must_use]
pub fn view(pod: &Pod, revisions: &Revisions, nodes: &BTreeMap<String, NodeView>) -> PodView {
    let spec = pod.spec.as_ref();
    let node = spec.and_then(|spec| spec.node_name.clone()).filter(|name| !name.is_empty());
    let lost = node.as_ref().is_some_and(|name| nodes.get(name).is_none_or(|node| !node.answers));
    let printed = print(pod);
    let owner = controller_of(&pod.metadata).map(|owner| owner.uid.clone());
    let place = revisions.place_of(pod);
    PodView {
        namespace: pod.namespace().to_owned(),
        name: pod.name().to_owned(),
        phase: phase(pod).to_owned(),
        sign: sign(pod, &printed, node.is_some(), lost),
        node,
        status: printed.status,
        ready: printed.ready,
        containers: printed.containers,
        restarts: printed.restarts,
        generation: place.as_ref().map_or(Generation::Only, |place| place.generation),
        workload: place.map(|place| place.workload),
        owner,
        images: spec.map_or_else(Vec::new, |spec| {
            spec.containers.iter().map(|container| container.image.clone().unwrap_or_default()).collect()
        }),
        created: pod.metadata.creation_timestamp.as_ref().map_or_else(Time::default, Time::from),
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

fn sign(pod: &Pod, printed: &Printed, bound: bool, lost: bool) -> Sign {
    let phase = phase(pod);
    if lost && !matches!(phase, "Succeeded" | "Failed") {
        return Sign::Lost;
    }
    if pod.is_deleting() {
        return Sign::Terminating;
    }
    match phase {
        "Succeeded" => Sign::Done,
        "Failed" => Sign::Failed,
        _ if !bound => Sign::Waiting,
        _ if is_trouble(&printed.status) => Sign::Trouble,
        "Running" if is_ready(pod) => Sign::Ready,
        "Running" => Sign::NotReady,
        _ => Sign::Starting,
    }
}

/// Whether a STATUS tells of something that went wrong and is tried again.
fn is_trouble(status: &str) -> bool {
    let status = status.strip_prefix("Init:").unwrap_or(status);
    ["BackOff", "Err", "Error", "Invalid", "ExitCode", "Signal", "OOMKilled"].iter().any(|part| status.contains(part))
}

fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready") == Some("True")
}

/// The status of one of the pod's conditions.
fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_).map(|condition| condition.status.as_str())
}

/// What `kubectl get pods` prints as STATUS.
#[must_use]
pub fn status_text(pod: &Pod) -> String {
    print(pod).status
}

/// The columns READY, STATUS and RESTARTS.
struct Printed {
    status: String,
    ready: usize,
    containers: usize,
    restarts: i32,
}

/// Follows `printPod` in `pkg/printers/internalversion/printers.go`.
fn print(pod: &Pod) -> Printed {
    let status = pod.status.as_ref();
    let own_reason = status.and_then(|status| status.reason.as_deref()).filter(|reason| !reason.is_empty());
    let mut printed = Printed {
        status: own_reason.unwrap_or_else(|| phase(pod)).to_owned(),
        ready: 0,
        containers: pod.spec.as_ref().map_or(0, |spec| spec.containers.len()),
        restarts: 0,
    };
    let gated =
        status.and_then(|status| status.conditions.as_ref()).into_iter().flatten().any(|condition| {
            condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("SchedulingGated")
        });
    if gated {
        "SchedulingGated".clone_into(&mut printed.status);
    }
    let initializing = print_init_containers(pod, &mut printed);
    if !initializing || condition(pod, "Initialized") == Some("True") {
        print_containers(pod, &mut printed);
    }
    if pod.is_deleting() {
        if own_reason == Some("NodeLost") {
            "Unknown".clone_into(&mut printed.status);
        } else if !matches!(phase(pod), "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut printed.status);
        }
    }
    printed
}

fn state(status: &ContainerStatus) -> ContainerState {
    status.state.clone().unwrap_or_default()
}

/// Says how far the init containers have come; whether they are still at it.
fn print_init_containers(pod: &Pod, printed: &mut Printed) -> bool {
    let specs = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let is_sidecar =
        |name: &str| specs.iter().any(|spec| spec.name == name && spec.restart_policy.as_deref() == Some("Always"));
    printed.containers += specs.iter().filter(|spec| spec.restart_policy.as_deref() == Some("Always")).count();
    let statuses = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    let mut initializing = false;
    for (index, container) in statuses.iter().enumerate() {
        printed.restarts += container.restart_count;
        if initializing {
            continue;
        }
        let state = state(container);
        if state.terminated.as_ref().is_some_and(|terminated| terminated.exit_code == 0) {
            continue;
        }
        if is_sidecar(&container.name) && container.started == Some(true) {
            printed.ready += usize::from(container.ready);
            continue;
        }
        let waiting = state.waiting.and_then(|waiting| waiting.reason).unwrap_or_default();
        printed.status = match state.terminated {
            Some(terminated) => match (terminated.reason.as_deref(), terminated.signal) {
                (Some(reason), _) if !reason.is_empty() => format!("Init:{reason}"),
                (_, Some(signal)) if signal != 0 => format!("Init:Signal:{signal}"),
                _ => format!("Init:ExitCode:{}", terminated.exit_code),
            },
            None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
            None => format!("Init:{index}/{}", specs.len()),
        };
        initializing = true;
    }
    initializing
}

fn print_containers(pod: &Pod, printed: &mut Printed) {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    printed.restarts = statuses.iter().map(|container| container.restart_count).sum::<i32>() + sidecar_restarts(pod);
    let mut has_running = false;
    for container in statuses.iter().rev() {
        let state = state(container);
        if let Some(reason) = state.waiting.and_then(|waiting| waiting.reason).filter(|reason| !reason.is_empty()) {
            printed.status = reason;
        } else if let Some(terminated) = state.terminated {
            printed.status = match (terminated.reason.as_deref(), terminated.signal) {
                (Some(reason), _) if !reason.is_empty() => reason.to_owned(),
                (_, Some(signal)) if signal != 0 => format!("Signal:{signal}"),
                _ => format!("ExitCode:{}", terminated.exit_code),
            };
        } else if container.ready && state.running.is_some() {
            has_running = true;
            printed.ready += 1;
        }
    }
    if printed.status == "Completed" && has_running {
        (if is_ready(pod) { "Running" } else { "NotReady" }).clone_into(&mut printed.status);
    }
}

/// Once containers run, only sidecars' restarts count among those of the init containers.
fn sidecar_restarts(pod: &Pod) -> i32 {
    let specs = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let statuses = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    let sidecars = statuses.iter().filter(|container| {
        specs.iter().any(|spec| spec.name == container.name && spec.restart_policy.as_deref() == Some("Always"))
    });
    sidecars.map(|container| container.restart_count).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(spec: Value, status: Value) -> Pod {
        let metadata = json!({"name": "web-7d876db474-h9s2v", "namespace": "default"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).expect("a pod")
    }

    fn waiting(reason: &str) -> Value {
        json!([{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 3,
                "state": {"waiting": {"reason": reason}}}])
    }

    fn seen(status: Value) -> (String, Sign, i32) {
        let spec = json!({"containers": [{"name": "c", "image": "i"}], "nodeName": "node-1"});
        let pod = pod(spec, status);
        let printed = print(&pod);
        let sign = sign(&pod, &printed, true, false);
        (printed.status, sign, printed.restarts)
    }

    #[test]
    fn status_is_what_kubectl_prints() {
        let running = json!([{"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                              "state": {"running": {}}}]);
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let cases = [
            (json!({"phase": "Pending"}), ("Pending", Sign::Starting, 0)),
            (
                json!({"phase": "Pending", "containerStatuses": waiting("ContainerCreating")}),
                ("ContainerCreating", Sign::Starting, 3),
            ),
            (
                json!({"phase": "Pending", "containerStatuses": waiting("ImagePullBackOff")}),
                ("ImagePullBackOff", Sign::Trouble, 3),
            ),
            (
                json!({"phase": "Running", "containerStatuses": waiting("CrashLoopBackOff")}),
                ("CrashLoopBackOff", Sign::Trouble, 3),
            ),
            (json!({"phase": "Running", "containerStatuses": running}), ("Running", Sign::NotReady, 0)),
            (
                json!({"phase": "Running", "containerStatuses": running, "conditions": ready}),
                ("Running", Sign::Ready, 0),
            ),
            (json!({"phase": "Failed", "reason": "Evicted"}), ("Evicted", Sign::Failed, 0)),
        ];
        for (status, (text, sign, restarts)) in cases {
            assert_eq!(seen(status.clone()), (text.to_owned(), sign, restarts), "{status}");
        }
    }

    #[test]
    fn init_containers_are_counted() {
        let spec = json!({"containers": [{"name": "c"}], "initContainers": [{"name": "a"}, {"name": "b"}]});
        let done = json!({"name": "a", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                          "state": {"terminated": {"exitCode": 0}}});
        let running = json!({"name": "b", "image": "i", "imageID": "", "ready": false, "restartCount": 1,
                             "state": {"running": {}}});
        let printed = print(&pod(spec, json!({"phase": "Pending", "initContainerStatuses": [done, running]})));
        assert_eq!((printed.status.as_str(), printed.restarts), ("Init:1/2", 1));
    }
}
