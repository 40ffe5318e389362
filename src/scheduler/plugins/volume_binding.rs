//! VolumeBinding: where the pod's volumes can be used, and for claims that wait for a pod, which volume they get.
//!
//! Follows `pkg/scheduler/framework/plugins/volumebinding`: `volume_binding.go` and `binder.go`. Scoring by capacity is
//! behind a gate that is off.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, TopologySelectorTerm};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};
use serde_json::Value;

use crate::api::core::claim::{class_of, phase_of, requested, volume_name};
use crate::api::core::persistent_volume;
use crate::api::storage::csi_driver;
use crate::api::{Name, Resource as _, Unstructured, controller_of};
use crate::client::volumes::{
    BIND_COMPLETED, NO_PROVISIONER, SELECTED_NODE, Seeker, annotation, bind_volume_to_claim, find_matching, is_delayed,
};
use crate::machinery::node_selector::NodeTerms;
use crate::machinery::order::Order as _;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::framework::{Handle, PreFilter};
use crate::scheduler::listers::{Listers, volume_limit};
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::plugins::node_volume_limits::MIGRATED_PLUGINS;
use crate::scheduler::pod_info::{ClaimUse, PodInfo};

/// `ErrReasonNodeConflict`.
const NODE_CONFLICT: &str = "node(s) didn't match PersistentVolume's node affinity";
/// `ErrReasonBindConflict`.
const BIND_CONFLICT: &str = "node(s) didn't find available persistent volumes to bind";
/// `ErrReasonNotEnoughSpace`.
const NOT_ENOUGH_SPACE: &str = "node(s) did not have enough free storage";
/// `ErrReasonPVNotExist`.
const VOLUME_MISSING: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
const UNBOUND: &str = "pod has unbound immediate PersistentVolumeClaims";

/// A claim that gets its volume with the pod's node.
#[derive(Clone, Debug)]
struct DelayedClaim {
    claim: Arc<PersistentVolumeClaim>,
    class: Arc<StorageClass>,
    /// The volumes of its class, the candidates.
    volumes: Vec<Arc<PersistentVolume>>,
}

/// The pod's volumes, as they were when the cycle began.
#[derive(Clone, Debug, Default)]
pub struct PodVolumes {
    /// Where each bound volume can be used; `None` for everywhere.
    bound: Vec<Option<NodeTerms>>,
    /// Whether a claim is bound to a volume that does not exist.
    is_missing: bool,
    delayed: Vec<DelayedClaim>,
    /// Which nodes have room for new volumes is asked of these.
    listers: Listers,
}

/// What is to be written before the pod can be bound to its node: `PodVolumes` of upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// Volumes bound to claims.
    pub bindings: Vec<PersistentVolume>,
    /// Claims whose volumes are to be made for the node.
    pub provisions: Vec<PersistentVolumeClaim>,
    /// Whether some claim is not bound yet, even if there is nothing to write.
    pub has_unbound_claims: bool,
}

impl Decisions {
    /// Whether there is nothing to do and nothing to wait for.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.has_unbound_claims
    }
}

/// `isPVCFullyBound`.
#[must_use]
pub fn is_fully_bound(claim: &PersistentVolumeClaim) -> bool {
    !volume_name(claim).is_empty() && annotation(&claim.metadata, BIND_COMPLETED).is_some()
}

/// `podHasPVCs`: what keeps a pod from its claim, before any node is looked at.
fn check_claim(pod: &PodInfo, claim: &ClaimUse, listers: &Listers) -> Result<Arc<PersistentVolumeClaim>, String> {
    let name = &*claim.key.name;
    let Some(found) = listers.claim(&claim.key) else {
        return Err(if claim.is_ephemeral {
            format!("waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}")
        } else {
            format!("persistentvolumeclaim {name:?} not found")
        });
    };
    if phase_of(found) == "Lost" {
        let volume = volume_name(found);
        return Err(format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"));
    }
    if found.is_deleting() {
        return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
    }
    if claim.is_ephemeral && controller_of(&found.metadata).is_none_or(|owner| owner.uid != *pod.uid) {
        return Err(format!("PVC {} was not created for pod {} (pod is not owner)", claim.key, pod.key));
    }
    Ok(Arc::clone(found))
}

/// Sorts the pod's claims: bound ones, those that wait for a node, and those that ought to be bound already.
#[must_use]
pub fn pre_filter(state: &mut CycleState, handle: Handle<'_>) -> PreFilter {
    if state.pod.claims.is_empty() {
        return PreFilter::Skip;
    }
    let listers = handle.listers;
    let mut claims = Vec::new();
    for claim in &state.pod.claims {
        match check_claim(&state.pod, claim, listers) {
            Ok(found) => claims.push(found),
            Err(why) => return PreFilter::Reject(Rejection::unresolvable_made(Plugin::VolumeBinding, why)),
        }
    }
    let mut volumes = PodVolumes { listers: listers.clone(), ..PodVolumes::default() };
    for claim in claims {
        let name = volume_name(&claim);
        if is_fully_bound(&claim) {
            match listers.volume(name) {
                Some(volume) => volumes.bound.push(node_terms(volume)),
                None => volumes.is_missing = true,
            }
            continue;
        }
        match listers.class_of(&claim).filter(|class| name.is_empty() && is_delayed(Some(class))) {
            Some(class) => volumes.delayed.push(DelayedClaim {
                volumes: listers
                    .volumes()
                    .filter(|volume| persistent_volume::class_of(volume) == class_of(&claim))
                    .cloned()
                    .collect(),
                class: Arc::clone(class),
                claim,
            }),
            None => return PreFilter::Reject(Rejection::unresolvable(Plugin::VolumeBinding, UNBOUND)),
        }
    }
    // The smallest claim chooses first: `byPVCSize`.
    volumes.delayed.order_by_key(|delayed| requested(&delayed.claim));
    state.volumes = Some(Arc::new(volumes));
    PreFilter::All
}

fn node_terms(volume: &PersistentVolume) -> Option<NodeTerms> {
    volume.spec.as_ref()?.node_affinity.as_ref()?.required.as_ref().map(NodeTerms::new)
}

/// `MatchTopologySelectorTerms`: one of the terms, if there are any, must fit the node's labels.
fn is_allowed(terms: &[TopologySelectorTerm], node: &NodeInfo) -> bool {
    let fits = |term: &TopologySelectorTerm| {
        let requirements = term.match_label_expressions.as_deref().unwrap_or_default();
        !requirements.is_empty()
            && requirements.iter().all(|it| node.labels().get(&it.key).is_some_and(|value| it.values.contains(value)))
    };
    terms.is_empty() || terms.iter().any(fits)
}

/// Why a node will not do.
#[derive(Default)]
struct Conflicts {
    bind: bool,
    space: bool,
}

/// `FindPodVolumes`, for the claims that wait for a node.
fn decide(volumes: &PodVolumes, node: &NodeInfo) -> Result<Decisions, Conflicts> {
    let mut decisions = Decisions { has_unbound_claims: !volumes.delayed.is_empty(), ..Decisions::default() };
    let mut taken: Vec<Name> = Vec::new();
    let (mut conflicts, mut to_make) = (Conflicts::default(), Vec::new());
    for delayed in &volumes.delayed {
        let claim = &delayed.claim;
        if let Some(selected) = annotation(&claim.metadata, SELECTED_NODE) {
            if selected != &*node.name {
                return Err(Conflicts { bind: true, space: false });
            }
            to_make.push(delayed);
            continue;
        }
        let is_usable =
            |volume: &PersistentVolume| node_terms(volume).is_none_or(|terms| terms.matches(&node.name, node.labels()));
        let free = delayed.volumes.iter().filter(|volume| taken.iter().all(|name| **name != *volume.name()));
        match find_matching(claim, free, Seeker::Scheduler(&is_usable)) {
            Some(volume) => {
                taken.push(volume.name().into());
                decisions.bindings.extend(bind_volume_to_claim(volume, claim));
            }
            None => to_make.push(delayed),
        }
    }
    for delayed in to_make {
        let provisioner = delayed.class.provisioner.as_str();
        let topologies = delayed.class.allowed_topologies.as_deref().unwrap_or_default();
        if provisioner.is_empty() || provisioner == NO_PROVISIONER || !is_allowed(topologies, node) {
            conflicts.bind = true;
            break;
        }
        if !volumes.listers.has_enough_capacity(&delayed.claim, &delayed.class, node) {
            conflicts.space = true;
            break;
        }
        let mut claim = PersistentVolumeClaim::clone(&delayed.claim);
        crate::client::volumes::annotate(&mut claim.metadata, SELECTED_NODE, &node.name);
        decisions.provisions.push(claim);
    }
    if conflicts.bind || conflicts.space { Err(conflicts) } else { Ok(decisions) }
}

/// Refuses nodes where a volume cannot be used, or none can be had.
///
/// # Errors
/// The refusal, with all its reasons.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    let Some(volumes) = &state.volumes else { return Ok(()) };
    let conflicts = decide(volumes, node).err().unwrap_or_default();
    let reasons = [
        (volumes.bound.iter().flatten().any(|terms| !terms.matches(&node.name, node.labels())), NODE_CONFLICT),
        (conflicts.bind, BIND_CONFLICT),
        (conflicts.space, NOT_ENOUGH_SPACE),
        (volumes.is_missing, VOLUME_MISSING),
    ];
    let given: Vec<&'static str> = reasons.into_iter().filter(|(given, _)| *given).map(|(_, reason)| reason).collect();
    if given.is_empty() { Ok(()) } else { Err(Rejection::unresolvable_for(Plugin::VolumeBinding, &given)) }
}

/// What is to be written for the pod on the node that was chosen.
#[must_use]
pub fn reserve(state: &CycleState, node: &NodeInfo) -> Decisions {
    state.volumes.as_ref().and_then(|volumes| decide(volumes, node).ok()).unwrap_or_default()
}

/// Nearly everything about storage may help: a claim of the pod's own, a volume, a class, a node.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
    match change {
        Change::Claim(_, claim) => Some(QueueingHint::when(pod.uses_claim(&claim.key(), true))),
        Change::Volume(..) | Change::CsiNode(None, _) | Change::StorageCapacity(None, _) => Some(QueueingHint::Queue),
        Change::CsiNode(Some(old), new) => {
            let migrated = |node: &CSINode| annotation(&node.metadata, MIGRATED_PLUGINS).map(str::to_owned);
            Some(QueueingHint::when(migrated(old) != migrated(new)))
        }
        Change::CsiDriver(old, new) => {
            // A driver that no longer tells of its room lets every node be tried.
            let tells = |driver: &Unstructured| {
                csi_driver::spec_field(driver, "storageCapacity").and_then(Value::as_bool) == Some(true)
            };
            old.as_ref().map(|old| QueueingHint::when(tells(old) && !tells(new)))
        }
        Change::StorageCapacity(Some(old), new) => {
            let (was, is) = (volume_limit(old), volume_limit(new));
            Some(QueueingHint::when(is.is_some_and(|is| was.is_none_or(|was| is.value() > was.value()))))
        }
        Change::Class(old, new) => {
            let helps = old.as_ref().is_none_or(|old| old.allowed_topologies != new.allowed_topologies);
            Some(QueueingHint::when(helps))
        }
        Change::Node(_, Some(_)) if event.is_node(ActionType::ADD.or(ActionType::UPDATE_NODE_LABEL)) => {
            Some(QueueingHint::Queue)
        }
        _ => None,
    }
}
