//! What must be true after every step of every cluster, whatever its users do.
//!
//! The checker looks at the commits since it last looked, so that it can run after each step. What it finds is a bug of
//! Kubetab's, never of a user's.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, Node, Pod};

use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::etcd::{Commit, Revision};
use crate::machinery::order::Order as _;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

use super::cluster::Cluster;

/// Follows a cluster and says when something is not as it must be.
#[derive(Clone, Debug, Default)]
pub struct Invariants {
    revision: Revision,
    time: Time,
    /// The uids that objects ever had.
    uids: BTreeSet<String>,
}

/// What is wrong with a commit; the text says it.
type Finding = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Finding {
    if holds { Ok(()) } else { Err(what()) }
}

impl Invariants {
    /// Looks at what happened since the last look.
    ///
    /// # Errors
    /// The first thing that is not as it must be, with the revision that shows it.
    pub fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        ensure(cluster.now() >= self.time, || format!("time ran backwards to {}", cluster.now()))?;
        for commit in cluster.api().etcd().commits(self.revision) {
            self.commit(cluster, commit)
                .map_err(|what| format!("revision {} ({} {}): {what}", commit.revision, commit.kind(), commit.key))?;
            self.revision = commit.revision;
        }
        self.time = cluster.now();
        Ok(())
    }

    fn commit(&mut self, cluster: &Cluster, commit: &Commit) -> Finding {
        ensure(commit.revision == self.revision + 1, || format!("follows {}", self.revision))?;
        ensure(commit.time >= self.time && commit.time <= cluster.now(), || format!("is of {}", commit.time))?;
        if let Some(after) = &commit.after {
            let metadata = after.metadata();
            let version = commit.revision.to_string();
            ensure(metadata.resource_version.as_deref() == Some(&version), || "carries another version".to_owned())?;
            let Some(uid) = &metadata.uid else { return Err("has no uid".to_owned()) };
            if commit.before.is_none() {
                ensure(self.uids.insert(uid.clone()), || format!("has the uid {uid} of another object"))?;
            }
            let owners = metadata.owner_references.iter().flatten();
            let controllers = owners.filter(|owner| owner.controller == Some(true)).count();
            ensure(controllers <= 1, || "has several controllers".to_owned())?;
        }
        if let (Some(before), Some(after)) = (&commit.before, &commit.after) {
            identity(before, after)?;
            if let (Object::Pod(before), Object::Pod(after)) = (before, after) {
                pod(before, after)?;
                binding(cluster, commit, before, after)?;
            }
        }
        Ok(())
    }
}

/// What no update changes about an object.
fn identity(before: &Object, after: &Object) -> Finding {
    let (old, new) = (before.metadata(), after.metadata());
    ensure(old.uid == new.uid && old.name == new.name, || "became another object".to_owned())?;
    ensure(old.creation_timestamp == new.creation_timestamp, || "was created at another time".to_owned())?;
    ensure(old.generation <= new.generation, || "went back a generation".to_owned())?;
    ensure(old.deletion_timestamp.is_none() || new.deletion_timestamp.is_some(), || "came back to life".to_owned())
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("")
}

fn node_of(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("")
}

/// A pod stays on its node, stays over when it is over, and its restarts are only ever counted up.
fn pod(before: &Pod, after: &Pod) -> Finding {
    ensure(node_of(before).is_empty() || node_of(before) == node_of(after), || "moved to another node".to_owned())?;
    // A machine's own pod runs again when the machine does, and its mirror tells so.
    let is_mirror = after.metadata.annotations.iter().flatten().any(|(key, _)| key == "kubernetes.io/config.mirror");
    let over = matches!(phase(before), "Succeeded" | "Failed") && !is_mirror;
    ensure(!over || phase(before) == phase(after), || format!("left the phase {}", phase(before)))?;
    let restarts = |pod: &Pod| -> BTreeMap<String, i32> {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        statuses.map(|status| (status.name.clone(), status.restart_count)).collect()
    };
    let new = restarts(after);
    // The kubelet counts by the logs that it finds: another machine of the same name has none, and begins anew.
    let is_fewer = |new: i32, before: i32| new < before && new > 0;
    let fewer =
        restarts(before).into_iter().find(|(name, count)| new.get(name).is_some_and(|new| is_fewer(*new, *count)));
    ensure(fewer.is_none(), || format!("counts fewer restarts: {fewer:?}"))
}

/// The scheduler never binds more to a node than it has room for: by requests, the number of pods, and ports of the host.
fn binding(cluster: &Cluster, commit: &Commit, before: &Pod, after: &Pod) -> Finding {
    if !node_of(before).is_empty() || node_of(after).is_empty() {
        return Ok(());
    }
    let etcd = cluster.api().etcd();
    let Ok(pods) = etcd.at(Kind::Pod, commit.revision) else { return Ok(()) };
    let Ok(nodes) = etcd.at(Kind::Node, commit.revision) else { return Ok(()) };
    let Some(node) = nodes.get(&ObjectKey::new("", node_of(after))).and_then(Object::downcast::<Node>) else {
        // Whoever bound it may not have heard yet that the node is gone.
        let gone = |commit: &Commit| commit.kind() == Kind::Node && &*commit.key.name == node_of(after);
        let was_there = etcd.commits(0).any(gone);
        return ensure(was_there, || format!("was bound to {:?}, which is not there", node_of(after)));
    };
    let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    let on_node: Vec<&Pod> = pods
        .values()
        .filter_map(Object::downcast::<Pod>)
        .map(|pod| &**pod)
        .filter(|pod| node_of(pod) == node.name() && !matches!(phase(pod), "Succeeded" | "Failed"))
        .collect();
    for (resource, amount) in allocatable.into_iter().flatten() {
        let Ok(room) = Quantity::parse(&amount.0) else { continue };
        let used: i64 = match resource.as_str() {
            "pods" => i64::try_from(on_node.len()).unwrap_or(i64::MAX).saturating_mul(1000),
            _ => on_node.iter().fold(0, |sum, pod| sum.saturating_add(requested(pod, resource))),
        };
        ensure(used <= room.milli_value(), || format!("overfills the {resource} of {}", node.name()))?;
    }
    let mut ports: Vec<(i32, String, String)> = on_node.iter().flat_map(|pod| host_ports(pod)).collect();
    let count = ports.len();
    ports.order();
    ports.dedup();
    ensure(ports.len() == count, || format!("shares a port of {} with another pod", node.name()))
}

/// What a pod asks for, in thousandths: `PodRequests`.
fn requested(pod: &Pod, resource: &str) -> i64 {
    let Some(spec) = &pod.spec else { return 0 };
    let of = |container: &Container| {
        let amount = container.resources.as_ref().and_then(|resources| resources.requests.as_ref()?.get(resource));
        amount.and_then(|amount| Quantity::parse(&amount.0).ok()).map_or(0, |amount| amount.milli_value())
    };
    let mut total = spec.containers.iter().map(of).fold(0, i64::saturating_add);
    let (mut sidecars, mut most) = (0i64, 0i64);
    for container in spec.init_containers.iter().flatten() {
        let asked = of(container).saturating_add(sidecars);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = asked;
        }
        most = most.max(asked);
    }
    total = total.saturating_add(sidecars).max(most);
    let overhead = spec.overhead.as_ref().and_then(|overhead| Quantity::parse(&overhead.get(resource)?.0).ok());
    total.saturating_add(overhead.map_or(0, |overhead| overhead.milli_value()))
}

/// The ports of its host that a pod takes, each with its protocol and address.
fn host_ports(pod: &Pod) -> Vec<(i32, String, String)> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let taken = ports.filter_map(|port| {
        let number = port.host_port.filter(|&number| number > 0)?;
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        let address = port.host_ip.clone().filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned());
        Some((number, protocol, address))
    });
    taken.collect()
}
