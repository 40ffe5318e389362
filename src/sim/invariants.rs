//! What must be true after every step of every cluster, whatever its users do.
//!
//! The checker looks at the commits since it last looked, so that it can run after each step. What it finds is a bug of
//! Kubetab's, never of a user's.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};

use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::etcd::{Commit, Revision};
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

use super::cluster::Cluster;

/// Follows a cluster and says when something is not as it must be.
#[derive(Clone, Debug, Default)]
pub struct Invariants {
    revision: Revision,
    time: Time,
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

    fn commit(&self, cluster: &Cluster, commit: &Commit) -> Finding {
        ensure(commit.revision == self.revision + 1, || format!("follows {}", self.revision))?;
        ensure(commit.time >= self.time && commit.time <= cluster.now(), || format!("is of {}", commit.time))?;
        if let Some(after) = &commit.after {
            let metadata = after.metadata();
            let version = commit.revision.to_string();
            ensure(metadata.resource_version.as_deref() == Some(&version), || "carries another version".to_owned())?;
            ensure(metadata.uid.is_some(), || "has no uid".to_owned())?;
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
    let over = matches!(phase(before), "Succeeded" | "Failed");
    ensure(!over || phase(before) == phase(after), || format!("left the phase {}", phase(before)))?;
    let restarts = |pod: &Pod| -> BTreeMap<String, i32> {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        statuses.map(|status| (status.name.clone(), status.restart_count)).collect()
    };
    let new = restarts(after);
    let fewer = restarts(before).into_iter().find(|(name, count)| new.get(name).is_some_and(|new| new < count));
    ensure(fewer.is_none(), || format!("counts fewer restarts: {fewer:?}"))
}

/// The scheduler never binds more to a node than it has room for.
fn binding(cluster: &Cluster, commit: &Commit, before: &Pod, after: &Pod) -> Finding {
    if !node_of(before).is_empty() || node_of(after).is_empty() {
        return Ok(());
    }
    let etcd = cluster.api().etcd();
    let Ok(pods) = etcd.at(Kind::Pod, commit.revision) else { return Ok(()) };
    let Ok(nodes) = etcd.at(Kind::Node, commit.revision) else { return Ok(()) };
    let Some(node) = nodes.get(&ObjectKey::new("", node_of(after))).and_then(Object::downcast::<Node>) else {
        return Err(format!("was bound to {:?}, which is not there", node_of(after)));
    };
    let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    let room = |resource: &str| {
        let amount = allocatable.and_then(|amounts| amounts.get(resource))?;
        Quantity::parse(&amount.0).ok().map(|quantity| quantity.milli_value())
    };
    let on_node = pods
        .values()
        .filter_map(Object::downcast::<Pod>)
        .filter(|pod| node_of(pod) == node.name() && !matches!(phase(pod), "Succeeded" | "Failed"));
    let (mut cpu, mut memory) = (0i64, 0i64);
    for pod in on_node {
        let Some(spec) = &pod.spec else { continue };
        cpu = cpu.saturating_add(requested(spec, "cpu"));
        memory = memory.saturating_add(requested(spec, "memory"));
    }
    ensure(room("cpu").is_none_or(|room| cpu <= room), || format!("overfills the CPU of {}", node.name()))?;
    ensure(room("memory").is_none_or(|room| memory <= room), || format!("overfills the memory of {}", node.name()))
}

/// What a pod's ordinary containers ask for, in thousandths.
fn requested(spec: &PodSpec, resource: &str) -> i64 {
    let requests = spec.containers.iter().filter_map(|container| {
        let amount = container.resources.as_ref()?.requests.as_ref()?.get(resource)?;
        Some(Quantity::parse(&amount.0).ok()?.milli_value())
    });
    requests.fold(0, i64::saturating_add)
}
