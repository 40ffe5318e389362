//! A node as the graph shows it: whether it answers, and how much of it is spoken for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde::{Deserialize, Serialize};

use crate::api::{Kind, Resource as _};
use crate::etcd::Etcd;
use crate::machinery::order::map_of;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

/// How much of a resource there is and how much pods request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// What the pods on the node request together.
    pub requested: i64,
    /// What the node has for pods.
    pub allocatable: i64,
}

impl Share {
    /// The requested part, between 0 and 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "it is drawn a few hundred pixels wide")]
    pub fn fraction(self) -> f64 {
        if self.allocatable <= 0 { 0.0 } else { (self.requested as f64 / self.allocatable as f64).clamp(0.0, 1.0) }
    }
}

/// A node as the graph shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// `True`, `False` or `Unknown`, as the condition Ready says.
    pub ready: String,
    /// The condition's reason.
    pub ready_reason: String,
    /// Whether the control plane hears of its kubelet: Ready is not Unknown.
    pub answers: bool,
    /// Since when Ready is as it is.
    pub since: Time,
    /// When its kubelet last renewed its lease.
    pub heartbeat: Option<Time>,
    /// Whether new pods are kept away (`kubectl cordon`).
    pub cordoned: bool,
    /// Its taints as kubectl prints them: `key=value:Effect`.
    pub taints: Vec<String>,
    /// Conditions other than Ready that are True: `MemoryPressure` …
    pub pressures: Vec<String>,
    /// CPU, in thousandths of a core.
    pub cpu: Share,
    /// Memory, in bytes.
    pub memory: Share,
    /// Pods, counted.
    pub pods: Share,
    /// What the simulation does to it, which no one in the cluster is told: `stopped`, `partitioned`.
    pub fault: Option<String>,
}

/// All nodes, by name.
#[must_use]
pub fn views(etcd: &Etcd) -> BTreeMap<String, NodeView> {
    let nodes = etcd.range(Kind::Node, None).filter_map(|(_, object)| object.downcast::<Node>());
    let mut views = map_of(nodes.map(|node| (node.name().to_owned(), view(node, etcd))));
    for (_, object) in etcd.range(Kind::Pod, None) {
        let Some(pod) = object.downcast::<Pod>() else { continue };
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).and_then(|name| views.get_mut(name));
        if let Some(node) = node.filter(|_| !has_ended(pod)) {
            node.cpu.requested += request(pod, "cpu");
            node.memory.requested += request(pod, "memory");
            node.pods.requested += 1;
        }
    }
    views
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn view(node: &Node, etcd: &Etcd) -> NodeView {
    let status = node.status.as_ref();
    let spec = node.spec.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    let allocatable = |name: &str| {
        let quantity = status.and_then(|status| status.allocatable.as_ref()).and_then(|all| all.get(name));
        Share { requested: 0, allocatable: quantity.map_or(0, |quantity| amount(name, quantity)) }
    };
    NodeView {
        name: node.name().to_owned(),
        ready: ready.map_or_else(|| "Unknown".to_owned(), |condition| condition.status.clone()),
        ready_reason: ready.and_then(|condition| condition.reason.clone()).unwrap_or_default(),
        answers: ready.is_some_and(|condition| condition.status != "Unknown"),
        since: ready
            .and_then(|condition| condition.last_transition_time.as_ref())
            .map_or_else(Time::default, Time::from),
        heartbeat: heartbeat(etcd, node.name()),
        cordoned: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
        taints: spec
            .and_then(|spec| spec.taints.as_deref())
            .unwrap_or_default()
            .iter()
            .map(|taint| match taint.value.as_deref() {
                Some(value) if !value.is_empty() => format!("{}={value}:{}", taint.key, taint.effect),
                _ => format!("{}:{}", taint.key, taint.effect),
            })
            .collect(),
        pressures: conditions
            .iter()
            .filter(|condition| condition.type_ != "Ready" && condition.status == "True")
            .map(|condition| condition.type_.clone())
            .collect(),
        cpu: allocatable("cpu"),
        memory: allocatable("memory"),
        pods: allocatable("pods"),
        fault: None,
    }
}

fn heartbeat(etcd: &Etcd, node: &str) -> Option<Time> {
    let key = crate::api::ObjectKey::new("kube-node-lease", node);
    let lease = etcd.get(Kind::Lease, &key)?.downcast::<k8s_openapi::api::coordination::v1::Lease>()?;
    let renewed = lease.spec.as_ref()?.renew_time.as_ref()?;
    // Every ten seconds a new time would redraw each node for nothing; a silence is told in whole tens.
    let seconds = Time::from(renewed).as_secs() / 10 * 10;
    Some(Time::from_micros(seconds * 1_000_000))
}

/// Thousandths of a core for CPU, whole units for everything else.
fn amount(resource: &str, quantity: &ApiQuantity) -> i64 {
    let quantity = Quantity::of(quantity);
    if resource == "cpu" { quantity.milli_value() } else { quantity.value() }
}

/// What a pod requests of a resource: the sum over its containers, or the largest init container if that is more.
/// `k8s.io/component-helpers/resource.PodRequests`, without what resizes in place.
#[must_use]
pub fn request(pod: &Pod, resource: &str) -> i64 {
    let Some(spec) = &pod.spec else { return 0 };
    let of = |container: &Container| {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        requests.and_then(|requests| requests.get(resource)).map_or(0, |quantity| amount(resource, quantity))
    };
    let mut running: i64 = spec.containers.iter().map(of).sum();
    let mut sidecars = 0;
    let mut initial = 0;
    for container in spec.init_containers.iter().flatten() {
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars += of(container);
            initial = initial.max(sidecars);
        } else {
            initial = initial.max(sidecars + of(container));
        }
    }
    running += sidecars;
    let overhead = spec.overhead.as_ref().and_then(|overhead| overhead.get(resource));
    running.max(initial) + overhead.map_or(0, |quantity| amount(resource, quantity))
}

/// Cores as a person writes them: `2.5`.
#[must_use]
pub fn cores(milli: i64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes as a person writes them: `3.1 Gi`.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub fn bytes(bytes: i64) -> String {
    let mut value = bytes as f64;
    let mut unit = "";
    for next in ["Ki", "Mi", "Gi", "Ti"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    // Tenths as a whole number: writing floating point would be a large part of the page's download.
    #[allow(clippy::cast_possible_truncation, reason = "less than 1024 of the unit, or as many Ti as fit an i64")]
    let tenths = (value * 10.0).round() as i64;
    let (whole, rest) = (tenths / 10, tenths % 10);
    let text = if rest == 0 { whole.to_string() } else { format!("{whole}.{rest}") };
    if unit.is_empty() { text } else { format!("{text} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        assert_eq!([cores(2500), cores(4000), cores(50), cores(0)], ["2.5", "4", "0.05", "0"]);
        assert_eq!([bytes(0), bytes(64 << 20), bytes(8 << 30), bytes(3_328_599_654)], ["0", "64 Mi", "8 Gi", "3.1 Gi"]);
    }

    #[test]
    fn a_pod_requests_the_larger_of_init_and_running() {
        let request_of = |cpu: &str| serde_json::json!({"requests": {"cpu": cpu}});
        let pod: Pod = serde_json::from_value(serde_json::json!({"metadata": {}, "spec": {
            "initContainers": [
                {"name": "big", "resources": request_of("2")},
                {"name": "side", "restartPolicy": "Always", "resources": request_of("100m")},
            ],
            "containers": [{"name": "a", "resources": request_of("500m")}, {"name": "b", "resources": request_of("1")}],
        }}))
        .expect("a pod");
        assert_eq!(request(&pod, "cpu"), 2000);
        assert_eq!(request(&pod, "memory"), 0);
    }
}
