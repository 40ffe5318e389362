//! Which slices a Service should have, and how to come there with few writes.
//!
//! Follows `k8s.io/endpointslice/reconciler.go`, `utils.go` and `trafficdist/trafficdist.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, EndpointPort, EndpointSlice, ForNode, ForZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::Resource;
use crate::controllers::pod_control::{controller_ref, node_name};
use crate::machinery::order::Order as _;

use super::endpoint::{self, EndpointKey};
use super::topology::{self, Told, Topology};

/// How many endpoints a slice holds: `--max-endpoints-per-slice`.
pub(super) const MAX_ENDPOINTS: usize = 100;
/// The label that names a slice's Service.
pub(in crate::controllers) const LABEL_SERVICE: &str = "kubernetes.io/service-name";
/// The label that names who keeps a slice.
pub(in crate::controllers) const LABEL_MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// What this controller writes there.
pub(super) const MANAGED_BY: &str = "endpointslice-controller.k8s.io";
const LABEL_HEADLESS: &str = "service.kubernetes.io/headless";

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub create: Vec<EndpointSlice>,
    pub update: Vec<EndpointSlice>,
    pub delete: Vec<Arc<EndpointSlice>>,
    /// What was left out, in upstream's words.
    pub errors: Vec<String>,
    /// What is told of hints.
    pub told: Vec<Told>,
}

impl Plan {
    pub const fn writes(&self) -> usize {
        self.create.len() + self.update.len() + self.delete.len()
    }
}

/// Ports whatever their order: `NewPortMapKey`.
type PortsKey = BTreeSet<(Option<String>, Option<i32>, Option<String>, Option<String>)>;

fn ports_key(ports: &[EndpointPort]) -> PortsKey {
    ports.iter().cloned().map(|port| (port.name, port.port, port.protocol, port.app_protocol)).collect()
}

fn count(slice: &EndpointSlice) -> usize {
    slice.endpoints.as_ref().map_or(0, Vec::len)
}

/// The kinds of addresses that a Service's slices hold: `getAddressTypesForService`.
fn address_types(service: &Service) -> Vec<&'static str> {
    let spec = service.spec.as_ref();
    let families = spec.and_then(|spec| spec.ip_families.as_deref()).unwrap_or(&[]);
    let types: Vec<&'static str> =
        ["IPv4", "IPv6"].into_iter().filter(|known| families.iter().any(|family| family == known)).collect();
    if !types.is_empty() {
        return types;
    }
    match spec.and_then(|spec| spec.cluster_ip.as_deref()) {
        None | Some("" | "None") => vec!["IPv4", "IPv6"],
        Some(address) if address.contains(':') => vec!["IPv6"],
        Some(_) => vec!["IPv4"],
    }
}

fn owned_by(slice: &EndpointSlice, service: &Service) -> bool {
    let mut owners = slice.metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.uid == service.uid() && owner.kind == "Service" && owner.api_version == "v1")
}

/// The labels that a slice should have, and whether those of the Service changed: `setEndpointSliceLabels`.
fn labels(slice: &EndpointSlice, service: &Service) -> (BTreeMap<String, String>, bool) {
    let reserved = |key: &str| matches!(key, LABEL_SERVICE | LABEL_MANAGED_BY | LABEL_HEADLESS);
    let own = |metadata: &ObjectMeta| -> BTreeMap<String, String> {
        let labels = metadata.labels.iter().flatten().filter(|(key, _)| !reserved(key));
        labels.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let mut labels = own(&service.metadata);
    let changed = own(&slice.metadata) != labels;
    if matches!(service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()), None | Some("" | "None")) {
        labels.insert(LABEL_HEADLESS.to_owned(), String::new());
    }
    labels.insert(LABEL_SERVICE.to_owned(), service.name().to_owned());
    labels.insert(LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned());
    (labels, changed)
}

fn new_slice(service: &Service, address_type: &str, ports: &[EndpointPort]) -> EndpointSlice {
    let mut slice = EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name())),
            namespace: Some(service.namespace().to_owned()),
            owner_references: Some(vec![controller_ref(service)]),
            ..ObjectMeta::default()
        },
        address_type: address_type.to_owned(),
        endpoints: Some(Vec::new()),
        ports: Some(ports.to_vec()),
    };
    slice.metadata.labels = Some(labels(&slice, service).0);
    slice
}

/// The endpoints that are wanted with one set of ports.
struct Wanted {
    ports: Vec<EndpointPort>,
    endpoints: BTreeMap<EndpointKey, Endpoint>,
}

/// Compares what there is with what there should be: `Reconcile`.
pub(super) fn plan<'a>(
    service: &Service,
    pods: &[Arc<Pod>],
    existing: &[Arc<EndpointSlice>],
    node: impl Fn(&str) -> Option<&'a Arc<Node>>,
    topology: &mut Topology,
) -> Plan {
    let types = address_types(service);
    let mut plan = Plan::default();
    for address_type in &types {
        let of_type: Vec<&Arc<EndpointSlice>> =
            existing.iter().filter(|slice| slice.address_type == *address_type).collect();
        let part = plan_type(service, pods, &of_type, address_type, &node, topology);
        plan.create.extend(part.create);
        plan.update.extend(part.update);
        plan.delete.extend(part.delete);
        plan.errors.extend(part.errors);
        plan.told.extend(part.told);
    }
    let unsupported = existing.iter().filter(|slice| !types.contains(&slice.address_type.as_str()));
    plan.delete.extend(unsupported.cloned());
    plan
}

fn wanted<'a>(
    service: &Service,
    pods: &[Arc<Pod>],
    address_type: &str,
    node: &impl Fn(&str) -> Option<&'a Arc<Node>>,
    errors: &mut Vec<String>,
) -> BTreeMap<PortsKey, Wanted> {
    let publish = service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false);
    let mut groups: BTreeMap<PortsKey, Wanted> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| endpoint::belongs(pod)) {
        let ports = endpoint::ports(service, pod);
        let group = groups.entry(ports_key(&ports)).or_insert_with(|| Wanted { ports, endpoints: BTreeMap::new() });
        let node_name = node_name(pod);
        let found = node(node_name);
        if found.is_none() && !publish {
            let (pod, namespace, name) = (pod.name(), service.namespace(), service.name());
            errors.push(format!("skipping Pod {pod} for Service {namespace}/{name}: Node {node_name} Not Found"));
            continue;
        }
        let endpoint = endpoint::endpoint(pod, found.map(|node| &**node), service, address_type);
        if !endpoint.addresses.is_empty() {
            group.endpoints.insert(endpoint::key(&endpoint), endpoint);
        }
    }
    groups
}

/// The part of the plan for one address type: `reconcileByAddressType`.
fn plan_type<'a>(
    service: &Service,
    pods: &[Arc<Pod>],
    existing: &[&Arc<EndpointSlice>],
    address_type: &'static str,
    node: &impl Fn(&str) -> Option<&'a Arc<Node>>,
    topology: &mut Topology,
) -> Plan {
    let mut plan = Plan::default();
    let mut by_ports: BTreeMap<PortsKey, Vec<&Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        if owned_by(slice, service) {
            by_ports.entry(ports_key(slice.ports.as_deref().unwrap_or(&[]))).or_default().push(slice);
        } else {
            plan.delete.push((*slice).clone());
        }
    }
    for (key, group) in wanted(service, pods, address_type, node, &mut plan.errors) {
        let slices = by_ports.remove(&key).unwrap_or_default();
        plan_ports(service, &slices, group, address_type, &mut plan);
    }
    plan.delete.extend(by_ports.into_values().flatten().cloned());
    // A Service without endpoints has an empty slice all the same.
    if plan.delete.len() == existing.len() && plan.create.is_empty() {
        let placeholder = new_slice(service, address_type, &[]);
        let is_there = matches!(&plan.delete[..], [only] if is_placeholder(only, &placeholder));
        if is_there {
            plan.delete.clear();
        } else {
            plan.create.push(placeholder);
        }
    }
    set_hints(service, existing, address_type, topology, &mut plan);
    reuse(service, &mut plan);
    plan
}

fn is_placeholder(slice: &EndpointSlice, placeholder: &EndpointSlice) -> bool {
    count(slice) == 0
        && slice.ports.as_ref().is_none_or(Vec::is_empty)
        && slice.metadata.labels == placeholder.metadata.labels
        && slice.metadata.owner_references == placeholder.metadata.owner_references
}

/// The part of the plan for one set of ports: `reconcileByPortMapping`. Slices that change anyhow are filled first, then
/// one that has room for all that is left, then new ones.
fn plan_ports(
    service: &Service,
    existing: &[&Arc<EndpointSlice>],
    mut wanted: Wanted,
    address_type: &str,
    plan: &mut Plan,
) {
    let mut updates: Vec<EndpointSlice> = Vec::new();
    let mut unchanged: Vec<&Arc<EndpointSlice>> = Vec::new();
    for &slice in existing {
        let mut kept = Vec::new();
        let mut changed = false;
        for endpoint in slice.endpoints.iter().flatten() {
            if let Some(desired) = wanted.endpoints.remove(&endpoint::key(endpoint)) {
                changed |= !endpoint::same_state(&desired, endpoint);
                // Hints are set again below, so those that are right must not be lost meanwhile.
                kept.push(Endpoint { hints: endpoint.hints.clone(), ..desired });
            }
        }
        let (labels, labels_changed) = labels(slice, service);
        changed |= kept.len() != count(slice);
        if changed && kept.is_empty() {
            plan.delete.push(slice.clone());
        } else if changed || labels_changed {
            let mut slice = (**slice).clone();
            slice.endpoints = Some(kept);
            slice.metadata.labels = Some(labels);
            updates.push(slice);
        } else {
            unchanged.push(slice);
        }
    }
    let mut left = wanted.endpoints.into_values().collect::<std::collections::VecDeque<_>>();
    updates.order_by_key(|slice| std::cmp::Reverse(count(slice)));
    for slice in &mut updates {
        fill(slice, &mut left);
    }
    while !left.is_empty() {
        let room = unchanged
            .iter()
            .enumerate()
            .filter(|(_, slice)| left.len() < MAX_ENDPOINTS && count(slice) + left.len() <= MAX_ENDPOINTS)
            .max_by_key(|(index, slice)| (count(slice), std::cmp::Reverse(*index)))
            .map(|(index, _)| index);
        match room {
            Some(index) => {
                let mut slice = (**unchanged.remove(index)).clone();
                fill(&mut slice, &mut left);
                updates.push(slice);
            }
            None => {
                let mut slice = new_slice(service, address_type, &wanted.ports);
                fill(&mut slice, &mut left);
                plan.create.push(slice);
            }
        }
    }
    plan.update.extend(updates);
}

fn fill(slice: &mut EndpointSlice, left: &mut std::collections::VecDeque<Endpoint>) {
    let endpoints = slice.endpoints.get_or_insert_default();
    let room = MAX_ENDPOINTS.saturating_sub(endpoints.len()).min(left.len());
    endpoints.extend(left.drain(..room));
}

/// Who should use an endpoint, after `spec.trafficDistribution`.
fn hints(distribution: Option<&str>, endpoint: &Endpoint) -> Option<EndpointHints> {
    let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(true);
    let zones = || endpoint.zone.clone().map(|name| vec![ForZone { name }]);
    let nodes = || endpoint.node_name.clone().map(|name| vec![ForNode { name }]);
    let hints = match distribution {
        Some("PreferClose" | "PreferSameZone") if ready => EndpointHints { for_zones: zones(), for_nodes: None },
        Some("PreferSameNode") if ready => EndpointHints { for_zones: zones(), for_nodes: nodes() },
        _ => return None,
    };
    Some(hints).filter(|hints| hints.for_zones.is_some() || hints.for_nodes.is_some())
}

fn with_hints(slice: &EndpointSlice, distribution: Option<&str>) -> EndpointSlice {
    let mut slice = slice.clone();
    for endpoint in slice.endpoints.iter_mut().flatten() {
        endpoint.hints = hints(distribution, endpoint);
    }
    slice
}

/// Sets the hints of all slices; those that change by it alone are updated too: `ReconcileHints`.
fn set_hints(
    service: &Service,
    existing: &[&Arc<EndpointSlice>],
    address_type: &'static str,
    topology: &mut Topology,
    plan: &mut Plan,
) {
    let distribution = service.spec.as_ref().and_then(|spec| spec.traffic_distribution.as_deref());
    let touched: BTreeSet<String> = plan
        .update
        .iter()
        .map(|slice| slice.name().to_owned())
        .chain(plan.delete.iter().map(|slice| slice.name().to_owned()))
        .collect();
    if topology::is_wanted(service) {
        let created = plan.create.len();
        let written = std::mem::take(&mut plan.create).into_iter().chain(std::mem::take(&mut plan.update)).collect();
        let unchanged = existing.iter().filter(|slice| !touched.contains(slice.name())).copied().collect();
        let (written, told) = topology.add_hints(&service.key(), address_type, written, unchanged);
        let mut written = written.into_iter();
        plan.create = written.by_ref().take(created).collect();
        plan.update = written.collect();
        plan.told.extend(told);
        return;
    }
    plan.told.extend(topology.give_up(&service.key(), address_type));
    for slice in plan.create.iter_mut().chain(&mut plan.update) {
        *slice = with_hints(slice, distribution);
    }
    for slice in existing.iter().filter(|slice| !touched.contains(slice.name())) {
        let hinted = with_hints(slice, distribution);
        if hinted != ***slice {
            plan.update.push(hinted);
        }
    }
}

/// A slice that would be deleted becomes one that would be created: one write instead of two.
fn reuse(service: &Service, plan: &mut Plan) {
    let mut kept = Vec::new();
    for old in std::mem::take(&mut plan.delete) {
        let fits =
            owned_by(&old, service) && plan.create.last().is_some_and(|slice| slice.address_type == old.address_type);
        match plan.create.pop_if(|_| fits) {
            Some(mut slice) => {
                slice.metadata.name.clone_from(&old.metadata.name);
                plan.update.push(slice);
            }
            None => kept.push(old),
        }
    }
    plan.delete = kept;
}

#[cfg(test)]
mod tests;
