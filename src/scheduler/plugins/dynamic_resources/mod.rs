//! DynamicResources: the claims of a pod for devices.
//!
//! Follows `pkg/scheduler/framework/plugins/dynamicresources/dynamicresources.go`. A node's devices are looked for when the
//! node is filtered, and again for the node that is chosen: what was found is the same both times.

pub mod allocator;
mod capacity;
mod constraint;
pub mod extended;
mod pools;
pub mod readiness;
mod result;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use k8s_openapi::api::core::v1::NodeSelector;
use serde_json::Value;

use crate::api::resource::claim::{self, items, requests, text};
use crate::api::{ObjectKey, Unstructured};
use crate::machinery::json;
use crate::machinery::node_selector::NodeTerms;
use crate::scheduler::dra_manager::{DraManager, Reservation};
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::diagnosis::Diagnosis;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::framework::{Handle, PreFilter, default_normalize_score};
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;
use allocator::{Allocator, Failure};
use extended::{ExtendedResources, OnNode};

/// What it says when no node will do, and no claim of the pod is in the way.
pub const POST_FILTER_MESSAGE: &str = "no new claims to deallocate";
/// What it says when an earlier plugin refused the pod before this one could look at it.
pub const NOT_FOUND_MESSAGE: &str = "not found";
/// `FirstAvailableDeviceRequestMaxSize`.
const ALTERNATIVES_MAX: usize = 8;

/// A claim of the pod that is being placed.
#[derive(Clone, Debug)]
struct PodClaim {
    claim: Arc<Unstructured>,
    /// Where it can be used, if it was given devices that are not everywhere.
    available_on: Option<NodeTerms>,
    /// Whether its devices could not be made ready, or not in time.
    is_lost: bool,
}

/// The pod's claims, as they were when the cycle began.
#[derive(Clone, Debug)]
pub struct PodClaims {
    claims: Vec<PodClaim>,
    /// Those that have no devices yet.
    to_allocate: Vec<Arc<Unstructured>>,
    /// What is asked for as a resource.
    extended: Option<ExtendedResources>,
    allocator: Allocator,
}

/// Whether the pod has to wait for its claims: `PreEnqueue`.
#[must_use]
pub fn pre_enqueue(pod: &PodInfo, manager: &DraManager) -> bool {
    !claim::references(&pod.pod).is_empty() && manager.claims_of(&pod.pod).is_err()
}

/// Looks up the pod's claims, and what could be given to those that have nothing.
#[must_use]
pub fn pre_filter(state: &mut CycleState, handle: Handle<'_>) -> PreFilter {
    let asks_for_scalars = !state.pod.requests.requests.scalar.is_empty();
    if claim::references(&state.pod.pod).is_empty() && !asks_for_scalars {
        return PreFilter::Skip;
    }
    match look_up(state, &handle.listers.dra) {
        Ok(claims) if claims.claims.is_empty() && claims.extended.is_none() => PreFilter::Skip,
        Ok(claims) => {
            state.devices = Some(Arc::new(claims));
            PreFilter::All
        }
        Err(why) => PreFilter::Reject(Rejection::unresolvable_made(Plugin::DynamicResources, why)),
    }
}

fn look_up(state: &CycleState, manager: &DraManager) -> Result<PodClaims, String> {
    let (pod, args) = (&state.pod, state.args().dynamic_resources);
    let extended = extended::look_up(pod, manager);
    let (claims, to_allocate) = (Vec::new(), Vec::new());
    let mut all = PodClaims { claims, to_allocate, extended, allocator: Allocator::default() };
    for claim in manager.claims_of(&pod.pod)? {
        let mut available_on = None;
        let is_lost = readiness::is_lost(&claim, state.now, args.binding_timeout);
        if let Some(allocation) = claim::allocation(&claim) {
            let is_full = claim::reserved_for(&claim).len() >= claim::CONSUMERS_MAX;
            if is_full && !claim::is_reserved_for(&claim, &pod.uid) {
                return Err("resourceclaim in use".to_owned());
            }
            let selector = Some(&allocation["nodeSelector"]).filter(|selector| selector.is_object());
            let selector = selector.and_then(|selector| json::from_value::<NodeSelector>(selector).ok());
            available_on = selector.map(|selector| NodeTerms::new(&selector));
        } else {
            let key = ObjectKey::of(&claim.metadata);
            if manager.is_in_flight(&claim) {
                return Err(format!("resource claim {key} is in the process of being allocated"));
            }
            requests(&claim).iter().try_for_each(|request| check_classes(&key, request, manager))?;
            all.to_allocate.push(Arc::clone(&claim));
        }
        all.claims.push(PodClaim { claim, available_on, is_lost });
    }
    if !all.to_allocate.is_empty() || all.extended.is_some() {
        all.allocator = manager.allocator();
        all.allocator.timeout = args.filter_timeout;
    }
    Ok(all)
}

/// `validateDeviceClass`, for a request or all its alternatives.
fn check_classes(key: &ObjectKey, request: &Value, manager: &DraManager) -> Result<(), String> {
    let (name, alternatives) = (text(request, "name"), items(request, "firstAvailable"));
    let check = |name: &str, asked: &Value| {
        let class = text(asked, "deviceClassName");
        let exists = manager.has_class(class);
        if exists { Ok(()) } else { Err(format!("request {name}: device class {class} does not exist")) }
    };
    if request["exactly"].is_object() {
        return check(name, &request["exactly"]);
    }
    if alternatives.is_empty() {
        return Err(format!("resource claim {key}, request {name}: unknown request type"));
    }
    alternatives.iter().try_for_each(|asked| check(&format!("{name}/{}", text(asked, "name")), asked))
}

impl PodClaims {
    /// Whether a class of devices stands behind a resource that the pod asks for, on a node that has none by itself.
    #[must_use]
    pub fn stands_behind(&self, resource: &str, node: &NodeInfo) -> bool {
        self.extended.as_ref().is_some_and(|extended| extended.stands_behind(resource, node))
    }

    /// What has to be allocated on a node: the claims without devices, and what is asked for as a resource.
    fn wanted_on(&self, pod: &PodInfo, node: &NodeInfo) -> Result<(Vec<Arc<Unstructured>>, Option<OnNode>), Rejection> {
        let mut wanted = self.to_allocate.clone();
        let extended = match &self.extended {
            Some(extended) => extended.on_node(pod, node)?,
            None => None,
        };
        wanted.extend(extended.iter().map(|on_node| Arc::clone(&on_node.claim)));
        Ok((wanted, extended))
    }
}

impl PodClaim {
    fn is_available_on(&self, node: &NodeInfo) -> bool {
        !self.is_lost && self.available_on.as_ref().is_none_or(|terms| terms.matches(&node.name, node.labels()))
    }
}

/// Refuses nodes that cannot reach the devices of a claim, or have none for it.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    let Some(devices) = &state.devices else { return Ok(()) };
    let (wanted, _) = devices.wanted_on(&state.pod, node)?;
    if !wanted.is_empty() {
        match devices.allocator.allocate(node, &wanted) {
            Ok(_) => {}
            Err(Failure::None) => {
                return Err(Rejection::unresolvable(Plugin::DynamicResources, "cannot allocate all claims"));
            }
            Err(Failure::OnNode(why)) => return Err(Rejection::unresolvable_made(Plugin::DynamicResources, why)),
            Err(Failure::Fatal(why)) => return Err(Rejection::error(Plugin::DynamicResources, why)),
        }
    }
    if devices.claims.iter().all(|claim| claim.is_available_on(node)) {
        return Ok(());
    }
    Err(Rejection::unresolvable(Plugin::DynamicResources, "resourceclaim not available on the node"))
}

/// What it says when no node would do, and the claim that is to be given up for that another node can be tried:
/// `PostFilter`.
#[must_use]
pub fn post_filter(
    state: &CycleState,
    diagnosis: &Diagnosis,
    handle: Handle<'_>,
) -> (&'static str, Option<Arc<Unstructured>>) {
    let Some(devices) = &state.devices else { return (POST_FILTER_MESSAGE, None) };
    if let Some(left) = devices.extended.as_ref().and_then(ExtendedResources::left_over) {
        return ("deletion of ResourceClaim completed", Some(Arc::clone(left)));
    }
    let nodes = diagnosis
        .verdicts()
        .enumerate()
        .filter(|(position, _)| diagnosis.plugin(*position) == Some(Plugin::DynamicResources));
    let nodes: Vec<&Arc<NodeInfo>> = nodes.filter_map(|(_, (name, _))| handle.cache.node_by_name(name)).collect();
    let is_in_the_way = |claim: &&PodClaim| nodes.iter().any(|node| !claim.is_available_on(node));
    let is_unused = |claim: &&PodClaim| {
        let consumers = claim::reserved_for(&claim.claim);
        consumers.iter().all(|consumer| consumer["uid"] == *state.pod.uid)
    };
    let Some(found) = devices.claims.iter().filter(is_in_the_way).find(is_unused) else {
        return ("still not schedulable", None);
    };
    let mut given_up = Unstructured::clone(&found.claim);
    let status = claim::status_mut(&mut given_up);
    ["allocation", "reservedFor", "devices"].into_iter().for_each(|field| drop(status.shift_remove(field)));
    ("deallocation of ResourceClaim completed", Some(Arc::new(given_up)))
}

/// Nodes do not differ, unless claims would get other alternatives there: the earlier the better.
#[must_use]
pub fn score(state: &CycleState, nodes: &[&NodeInfo]) -> Vec<i64> {
    let has_alternatives =
        |claim: &Arc<Unstructured>| requests(claim).iter().any(|request| !items(request, "firstAvailable").is_empty());
    let devices = state.devices.as_ref().filter(|devices| devices.to_allocate.iter().any(has_alternatives));
    let Some(devices) = devices else { return vec![0; nodes.len()] };
    let mut scores: Vec<i64> = nodes.iter().map(|node| points(devices, &state.pod, node)).collect();
    default_normalize_score(false, &mut scores);
    scores
}

/// `computeScore`.
fn points(devices: &PodClaims, pod: &PodInfo, node: &NodeInfo) -> i64 {
    let Ok((wanted, _)) = devices.wanted_on(pod, node) else { return 0 };
    let allocations = devices.allocator.allocate(node, &wanted).unwrap_or_default();
    let mut points = 0;
    for (claim, allocation) in devices.to_allocate.iter().zip(&allocations) {
        let results = items(&allocation["devices"], "results");
        for request in requests(claim) {
            for (place, alternative) in items(request, "firstAvailable").iter().enumerate() {
                let full_name = format!("{}/{}", text(request, "name"), text(alternative, "name"));
                if results.iter().any(|result| text(result, "request") == full_name) {
                    points += ALTERNATIVES_MAX.saturating_sub(place) as i64;
                }
            }
        }
    }
    points
}

/// What the pod's claims are to have before it is bound to the node that was chosen; nothing for a pod without claims.
#[must_use]
pub fn reserve(state: &CycleState, node: &NodeInfo) -> Vec<Reservation> {
    let Some(devices) = &state.devices else { return Vec::new() };
    let Ok((wanted, extended)) = devices.wanted_on(&state.pod, node) else { return Vec::new() };
    let mut allocations = devices.allocator.allocate(node, &wanted).unwrap_or_default().into_iter();
    let mut reservations = Vec::new();
    for PodClaim { claim, .. } in &devices.claims {
        let allocation = if claim::allocation(claim).is_none() { allocations.next() } else { None };
        reservations.push(Reservation { claim: Arc::clone(claim), allocation, mappings: Vec::new() });
    }
    if let Some(OnNode { claim, mappings }) = extended {
        reservations.push(Reservation { claim, allocation: allocations.next(), mappings });
    }
    reservations
}

/// Whether an event may help a pod that this plugin refused or holds back.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change, manager: &DraManager) -> Option<QueueingHint> {
    match change {
        Change::ResourceClaim(before, after) => Some(claim_hint(pod, before.as_deref(), after, manager)),
        // Whoever had the devices of it has them no more.
        Change::ResourceClaimGone(gone) => Some(QueueingHint::when(claim::allocation(gone).is_some())),
        Change::Devices | Change::DeviceClass(..) => Some(QueueingHint::Queue),
        Change::Pod(_, Some(new)) if event.is_pod(ActionType::UPDATE_POD_GENERATED_RESOURCE_CLAIM) => {
            Some(QueueingHint::when(new.uid == pod.uid && manager.claims_of(&new.pod).is_ok()))
        }
        Change::Node(_, Some(_)) if event.is_node(ActionType::ADD.or(ActionType::UPDATE_NODE_LABEL)) => {
            Some(QueueingHint::Queue)
        }
        _ => None,
    }
}

/// `isSchedulableAfterClaimChange`.
fn claim_hint(
    pod: &PodInfo,
    before: Option<&Unstructured>,
    after: &Unstructured,
    manager: &DraManager,
) -> QueueingHint {
    let Ok(claims) = manager.claims_of(&pod.pod) else { return QueueingHint::Skip };
    let was_given_up =
        before.is_some_and(|before| claim::allocation(before).is_some()) && claim::allocation(after).is_none();
    let is_own = claims.iter().any(|claim| claim.metadata.uid == after.metadata.uid);
    let is_other = before.is_none_or(|before| claim::status(before) != claim::status(after));
    QueueingHint::when(was_given_up || (is_own && is_other))
}
