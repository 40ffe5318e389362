//! A pod and all that the scheduler works out of it once: requests, selectors, ports.
//!
//! Follows `pkg/scheduler/framework/types.go` (`PodInfo`).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod, PodResourceClaimStatus, Toleration};

use crate::api::{Name, ObjectKey, Resource as _};
use crate::machinery::node_selector::{PreferredNodeAffinity, RequiredNodeAffinity};

use super::affinity_term::AffinityTerms;
use super::plugins::pod_topology_spread::SpreadConstraint;
use super::resource::PodRequests;

/// A port of the node that a pod wants for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The address; `0.0.0.0` for all.
    pub ip: Name,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Name,
    /// The port.
    pub port: i32,
}

impl HostPort {
    /// The address that stands for all.
    pub const ANY: &'static str = "0.0.0.0";

    /// Whether two pods cannot both have their ports.
    #[must_use]
    pub fn conflicts(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || &*self.ip == Self::ANY || &*other.ip == Self::ANY)
    }
}

/// A claim that a pod uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimUse {
    /// The claim.
    pub key: ObjectKey,
    /// Whether it is made for the pod's own volume.
    pub is_ephemeral: bool,
}

/// A pod as the scheduler sees it. It does not change: a changed pod gets a new one.
#[derive(Clone, Debug)]
pub struct PodInfo {
    /// The pod itself.
    pub pod: Arc<Pod>,
    /// Its namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: Name,
    /// Its labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Its priority; 0 when it has none.
    pub priority: i32,
    /// Whether its deletion was asked for.
    pub terminating: bool,
    /// What it asks for.
    pub requests: PodRequests,
    /// Ports of the node.
    pub host_ports: Vec<HostPort>,
    /// The claims of its volumes, in their order.
    pub claims: Vec<ClaimUse>,
    /// The images of its containers with their tags.
    pub images: Vec<Name>,
    /// Pods that it wants near or far.
    pub affinity: Option<Box<AffinityTerms>>,
    /// Nodes that it may run on.
    pub required_node_affinity: Option<Box<RequiredNodeAffinity>>,
    /// Nodes that it would like to run on.
    pub preferred_node_affinity: Option<Box<PreferredNodeAffinity>>,
    /// How it spreads: its own constraints, hard and soft.
    pub spread: Vec<SpreadConstraint>,
}

impl PodInfo {
    /// Works out a pod.
    #[must_use]
    pub fn new(pod: Arc<Pod>) -> Self {
        let spec = pod.spec.as_ref();
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        Self {
            key: pod.key(),
            uid: pod.uid().into(),
            priority: spec.and_then(|spec| spec.priority).unwrap_or(0),
            terminating: pod.is_deleting(),
            requests: PodRequests::of(&pod),
            host_ports: host_ports(&pod),
            claims: claims(&pod),
            images: images(&pod),
            affinity: AffinityTerms::of(&pod),
            required_node_affinity: RequiredNodeAffinity::of(&pod),
            preferred_node_affinity: PreferredNodeAffinity::of(&pod),
            spread: SpreadConstraint::of(&pod, &labels),
            labels: Arc::new(labels),
            pod,
        }
    }

    /// The node that the pod is bound to; empty when it is not.
    #[must_use]
    pub fn node_name(&self) -> &str {
        self.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
    }

    /// The node that the pod is nominated for; empty when it is not.
    #[must_use]
    pub fn nominated_node_name(&self) -> &str {
        self.pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref()).unwrap_or_default()
    }

    /// The name of the scheduler that shall place the pod.
    #[must_use]
    pub fn scheduler_name(&self) -> &str {
        self.pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or_default()
    }

    /// Whether the pod uses a claim; claims of ephemeral volumes count when asked for.
    #[must_use]
    pub fn uses_claim(&self, key: &ObjectKey, with_ephemeral: bool) -> bool {
        self.claims.iter().any(|claim| claim.key == *key && (with_ephemeral || !claim.is_ephemeral))
    }

    /// Its tolerations.
    #[must_use]
    pub fn tolerations(&self) -> &[Toleration] {
        self.pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default()
    }

    /// The claims for devices that were made for it.
    #[must_use]
    pub fn claim_statuses(&self) -> &[PodResourceClaimStatus] {
        self.pod.status.as_ref().and_then(|status| status.resource_claim_statuses.as_deref()).unwrap_or_default()
    }

    /// Whether something holds it back from being scheduled.
    #[must_use]
    pub fn has_scheduling_gates(&self) -> bool {
        let gates = self.pod.spec.as_ref().and_then(|spec| spec.scheduling_gates.as_ref());
        gates.is_some_and(|gates| !gates.is_empty())
    }

    /// Whether it terminates because the scheduler preempted it: `podTerminatingByPreemption`.
    #[must_use]
    pub fn is_terminating_by_preemption(&self) -> bool {
        let conditions = self.pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        self.terminating
            && conditions.into_iter().flatten().any(|condition| {
                condition.type_ == "DisruptionTarget"
                    && condition.status == "True"
                    && condition.reason.as_deref() == Some("PreemptionByScheduler")
            })
    }
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn claims(pod: &Pod) -> Vec<ClaimUse> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let claims = volumes.filter_map(|volume| {
        let (name, is_ephemeral) = match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(source), _) => (source.claim_name.clone(), false),
            (None, Some(_)) => (format!("{}-{}", pod.name(), volume.name), true),
            (None, None) => return None,
        };
        Some(ClaimUse { key: ObjectKey::new(pod.namespace(), name), is_ephemeral })
    });
    claims.collect()
}

fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
    let ports = sidecars.chain(&spec.containers).flat_map(|container| container.ports.iter().flatten());
    let filled = |text: Option<&String>, default: &str| -> Name {
        text.filter(|text| !text.is_empty()).map_or(default, String::as_str).into()
    };
    ports
        .filter_map(|port| {
            let number = port.host_port.filter(|number| *number > 0)?;
            Some(HostPort {
                ip: filled(port.host_ip.as_ref(), HostPort::ANY),
                protocol: filled(port.protocol.as_ref(), "TCP"),
                port: number,
            })
        })
        .collect()
}

/// The images of init containers, containers and image volumes, each with a tag.
fn images(pod: &Pod) -> Vec<Name> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let volumes = spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref()?.reference.as_deref());
    let named = containers.map(|container| container.image.as_deref().unwrap_or_default()).chain(volumes);
    named.map(normalized_image_name).collect()
}

/// An image name with `:latest` when it has no tag.
fn normalized_image_name(name: &str) -> Name {
    let tag = name.rfind(':');
    let path = name.rfind('/');
    // A colon before the last slash belongs to a registry's port.
    if tag.is_none() || tag <= path { format!("{name}:latest").into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names() {
        let cases = [
            ("nginx", "nginx:latest"),
            ("nginx:1", "nginx:1"),
            ("registry:5000/nginx", "registry:5000/nginx:latest"),
            ("registry:5000/nginx:1", "registry:5000/nginx:1"),
        ];
        for (name, expected) in cases {
            assert_eq!(&*normalized_image_name(name), expected);
        }
    }

    #[test]
    fn ports_conflict() {
        let port = |ip: &str, protocol: &str, port| HostPort { ip: ip.into(), protocol: protocol.into(), port };
        let cases = [
            (port("0.0.0.0", "TCP", 80), port("1.2.3.4", "TCP", 80), true),
            (port("1.2.3.4", "TCP", 80), port("1.2.3.5", "TCP", 80), false),
            (port("0.0.0.0", "TCP", 80), port("0.0.0.0", "UDP", 80), false),
            (port("0.0.0.0", "TCP", 80), port("0.0.0.0", "TCP", 81), false),
        ];
        for (left, right, expected) in cases {
            assert_eq!(left.conflicts(&right), expected, "{left:?} {right:?}");
            assert_eq!(right.conflicts(&left), expected, "{left:?} {right:?}");
        }
    }
}
