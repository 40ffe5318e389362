//! Devices that a pod asks for as for any other resource: `example.com/gpu: 1`, where a class of devices says that it stands
//! behind that name.
//!
//! Follows `extendeddynamicresources.go`, and `extended/deviceclassresolver.go` for the names. The claim for such devices is
//! made when the pod's node is known; until then it has a name that no object can have. What a node has of such a resource
//! by itself, because a device plugin says so, goes before the class.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Map, Value, json};

use crate::api::resource::claim::{self, EXTENDED_RESOURCE_CLAIM};
use crate::api::{Kind, Name, ObjectKey, Resource as _, Unstructured};
use crate::machinery::order::Order as _;
use crate::machinery::quantity::Quantity;
use crate::scheduler::dra_manager::DraManager;
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// The name of a claim that is not made yet: `specialClaimInMemName`.
const IN_MEMORY_NAME: &str = "<extended-resources>";

/// What a pod asks for that classes of devices stand behind.
#[derive(Clone, Debug)]
pub struct ExtendedResources {
    /// The claim without its requests, or the one that is left of an earlier try.
    claim: Arc<Unstructured>,
    /// Whether it is left of an earlier try: it has to go first.
    is_left: bool,
    /// The classes behind the resources that the pod asks for.
    classes: BTreeMap<Name, Name>,
    /// All that is asked for, if none of it is on the node already, which is so on most nodes.
    whole: OnNode,
}

/// What is to be claimed for a pod on a node.
#[derive(Clone, Debug)]
pub struct OnNode {
    /// The claim.
    pub claim: Arc<Unstructured>,
    /// Which of its requests is for which container and resource: `requestMappings`.
    pub mappings: Vec<Value>,
}

/// Whether a claim has not been made yet.
#[must_use]
pub fn is_in_memory(claim: &Unstructured) -> bool {
    claim.metadata.name.as_deref() == Some(IN_MEMORY_NAME)
}

impl ExtendedResources {
    /// Whether a class stands behind a resource on a node that has none of it by itself: `shouldDelegateResourceToDRA`.
    #[must_use]
    pub fn stands_behind(&self, resource: &str, node: &NodeInfo) -> bool {
        self.classes.contains_key(resource) && node.allocatable.scalar(resource) == 0
    }

    /// The claim of an earlier try, which has to go first.
    #[must_use]
    pub fn left_over(&self) -> Option<&Arc<Unstructured>> {
        self.is_left.then_some(&self.claim)
    }

    /// What is to be claimed on a node; nothing when it has all of it by itself. `filterExtendedResources`.
    ///
    /// # Errors
    /// The node will not do.
    pub fn on_node(&self, pod: &PodInfo, node: &NodeInfo) -> Result<Option<OnNode>, Rejection> {
        if self.is_left {
            let why = "cannot schedule extended resource claim";
            return Err(Rejection::unresolvable(Plugin::DynamicResources, why));
        }
        let behind: BTreeMap<Name, Name> = self
            .classes
            .iter()
            .filter(|(resource, _)| self.stands_behind(resource, node))
            .map(|(resource, class)| (resource.clone(), class.clone()))
            .collect();
        if behind.is_empty() {
            return Ok(None);
        }
        if behind.len() == self.classes.len() {
            return Ok(Some(self.whole.clone()));
        }
        Ok(Some(requested(&self.claim, &pod.pod, &behind)))
    }
}

/// Finds out what a pod asks for that classes of devices stand behind: `preFilterExtendedResources`.
#[must_use]
pub fn look_up(pod: &PodInfo, manager: &DraManager) -> Option<ExtendedResources> {
    let asked = pod.requests.requests.scalar.iter().filter(|(_, amount)| **amount != 0);
    let classes: BTreeMap<Name, Name> =
        asked.filter_map(|(resource, _)| Some((resource.clone(), manager.class_behind(resource)?))).collect();
    if classes.is_empty() {
        return None;
    }
    let left = manager.extended_claim_of(&pod.pod).cloned();
    let is_left = left.is_some();
    let claim = left.unwrap_or_else(|| Arc::new(in_memory(&pod.pod)));
    let whole = requested(&claim, &pod.pod, &classes);
    Some(ExtendedResources { claim, is_left, classes, whole })
}

/// The claim for a pod without what it asks for.
fn in_memory(pod: &Pod) -> Unstructured {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: pod.name().to_owned(),
        uid: pod.uid().to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    let metadata = ObjectMeta {
        name: Some(IN_MEMORY_NAME.to_owned()),
        generate_name: Some(format!("{}-extended-resources-", pod.name())),
        namespace: Some(pod.namespace().to_owned()),
        // It is counted with under this uid before it has one.
        uid: Some(format!("{IN_MEMORY_NAME}/{}", pod.uid())),
        annotations: Some(BTreeMap::from([(EXTENDED_RESOURCE_CLAIM.to_owned(), "true".to_owned())])),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    };
    let fields = Map::from_iter([("spec".to_owned(), json!({}))]);
    Unstructured { kind: Kind::ResourceClaim, metadata, fields }
}

/// The claim as it is sent to the API server.
#[must_use]
pub fn to_create(claim: &Unstructured) -> Unstructured {
    let mut claim = claim.clone();
    claim.metadata.name = None;
    claim.metadata.uid = None;
    claim.fields.shift_remove("status");
    claim
}

fn requested(claim: &Unstructured, pod: &Pod, classes: &BTreeMap<Name, Name>) -> OnNode {
    let (requests, mappings) = requests_and_mappings(pod, classes);
    let mut claim = claim.clone();
    claim.fields.insert("spec".to_owned(), json!({ "devices": { "requests": requests } }));
    OnNode { claim: Arc::new(claim), mappings }
}

/// A request that a container makes for a resource, in the making.
#[derive(Clone)]
struct Request {
    name: String,
    count: i64,
}

/// The request for what a container needs beyond `reusable` ones, if any, and what it uses: `createResourceRequestAndMappings`.
fn of_container(
    (index, container): (usize, &Container),
    resource: &str,
    reusable: &[Option<Request>],
) -> (Option<Request>, Vec<(String, String)>) {
    let mut mappings = Vec::new();
    let asked = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let amount = |quantity| Quantity::of(quantity).value();
    let Some(asked) = asked else { return (None, mappings) };
    let Some(wanted) = asked.get(resource).map(amount).filter(|wanted| *wanted != 0) else { return (None, mappings) };
    let mut sum = 0;
    for request in reusable.iter().flatten() {
        sum += request.count;
        mappings.push((container.name.clone(), request.name.clone()));
        if sum >= wanted {
            return (None, mappings);
        }
    }
    let place = asked.keys().position(|name| name == resource).unwrap_or(0);
    let name = format!("container-{index}-request-{place}");
    mappings.push((container.name.clone(), name.clone()));
    (Some(Request { name, count: wanted - sum }), mappings)
}

/// What the claim asks for, and which container uses which request: `createRequestsAndMappings`. Init containers that end
/// use what later containers ask for, and share what they need beyond that.
fn requests_and_mappings(pod: &Pod, classes: &BTreeMap<Name, Name>) -> (Vec<Value>, Vec<Value>) {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let all: Vec<(usize, &Container)> = init.iter().chain(containers).enumerate().collect();
    let ends = |index: usize, container: &Container| {
        index < init.len() && container.restart_policy.as_deref() != Some("Always")
    };
    let (mut requests, mut mappings) = (Vec::new(), Vec::new());
    for (resource, class) in classes {
        let mut used: Vec<(String, String)> = Vec::new();
        let mut lasting: Vec<Option<Request>> = vec![None; all.len()];
        for &(index, container) in all.iter().filter(|(index, container)| !ends(*index, container)) {
            let (request, uses) = of_container((index, container), resource, &[]);
            lasting[index] = request;
            used.extend(uses);
        }
        let (mut largest, mut shared): (Option<Request>, Vec<String>) = (None, Vec::new());
        let mut used_by_ending: Vec<(String, String)> = Vec::new();
        for &(index, container) in all.iter().filter(|(index, container)| ends(*index, container)) {
            let (request, uses) = of_container((index, container), resource, &lasting[index..]);
            used_by_ending.extend(uses);
            let Some(request) = request else { continue };
            shared.push(request.name.clone());
            if largest.as_ref().is_none_or(|largest| largest.count < request.count) {
                largest = Some(request);
            }
        }
        if let Some(largest) = &largest {
            for (_, name) in used_by_ending.iter_mut().filter(|(_, name)| shared.contains(name)) {
                name.clone_from(&largest.name);
            }
        }
        requests.extend(largest.into_iter().chain(lasting.into_iter().flatten()).map(|request| (request, class)));
        let mapping = |(container, request): (String, String)| json!({ "containerName": container, "resourceName": &**resource, "requestName": request });
        mappings.extend(used.into_iter().chain(used_by_ending).map(mapping));
    }
    requests.order_by_key(|(request, _)| request.name.clone());
    let shown = requests.into_iter().map(|(request, class)| {
        let exactly = json!({ "deviceClassName": &**class, "allocationMode": "ExactCount", "count": request.count });
        json!({ "name": request.name, "exactly": exactly })
    });
    (shown.collect(), mappings)
}

/// Whether a claim was made for what a pod asks for as a resource: `findExtendedResourceClaim`.
#[must_use]
pub fn is_made_for(claim: &Unstructured, pod: &Pod) -> bool {
    claim::is_for_extended_resources(claim) && claim::check_is_for_pod(pod, claim).is_ok()
}

/// The class behind a resource: the one that its name names, or the newest that says so itself; among equally old ones the
/// first by name.
#[must_use]
pub fn class_behind<'a>(resource: &str, classes: impl Iterator<Item = &'a Arc<Unstructured>>) -> Option<Name> {
    let is_behind = |class: &&Arc<Unstructured>| claim::spec(class)["extendedResourceName"] == resource;
    let newest = classes.filter(is_behind).max_by(|one, other| {
        let created = |class: &Unstructured| class.metadata.creation_timestamp.clone();
        created(one).cmp(&created(other)).then_with(|| other.metadata.name.cmp(&one.metadata.name))
    });
    newest.and_then(|class| class.metadata.name.as_deref()).map(Name::from)
}

/// Whether a changed class may stand behind something that a pod asks for, and did not before:
/// `isSchedulableAfterDeviceClassEvent` of NodeResourcesFit.
#[must_use]
pub fn class_may_help(pod: &PodInfo, before: Option<&Unstructured>, after: &Unstructured) -> bool {
    let explicit = |class: &Unstructured| claim::spec(class)["extendedResourceName"].as_str().map(str::to_owned);
    let (is, was) = (explicit(after), before.and_then(explicit));
    let implicit = format!("{}{}", claim::DEVICE_CLASS_PREFIX, after.metadata.name.as_deref().unwrap_or(""));
    let asks = |name: &str| pod.requests.requests.scalar(name) != 0;
    (before.is_none() && asks(&implicit)) || (is != was && is.is_some_and(|name| asks(&name)))
}

/// What tells a pod of its claim: `extendedResourceClaimStatus`.
#[must_use]
pub fn pod_status(claim: &Unstructured, mappings: &[Value]) -> Value {
    let key = ObjectKey::of(&claim.metadata);
    json!({ "extendedResourceClaimStatus": { "requestMappings": mappings, "resourceClaimName": &*key.name } })
}
