//! Hints that keep requests in their zone while no zone's endpoints get too many: `service.kubernetes.io/topology-mode`.
//!
//! Follows `k8s.io/endpointslice/topologycache`. Zones get endpoints in proportion to their processors; where that cannot
//! be done without some endpoints getting a fifth more than their share, there are no hints at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, EndpointSlice, ForZone};

use crate::api::{ObjectKey, Resource};
use crate::client::EventType;
use crate::machinery::persistent::OrdMap;
use crate::machinery::quantity::Quantity;

/// How much more than its share an endpoint may get: `overloadThreshold`.
const OVERLOAD_THRESHOLD: f64 = 0.2;
/// `v1.AnnotationTopologyMode`, and its name before that.
const ANNOTATIONS: [&str; 2] = ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"];
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// Nodes with these do not count.
const EXCLUDED_LABELS: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

const ENABLED: &str = "Topology Aware Hints has been enabled";
const DISABLED: &str = "Topology Aware Hints has been disabled";
const NO_ZONE: &str = "One or more endpoints do not have a zone specified";
const NO_HINTS: &str = "No hints allocated for zones";
const INSUFFICIENT_NODE_INFO: &str =
    "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
const INSUFFICIENT_ENDPOINTS: &str = "Insufficient number of endpoints";
const OVERLOAD: &str =
    "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold";

/// How many endpoints each zone has: `EndpointZoneInfo`.
type Zones = BTreeMap<String, usize>;

/// What is told of a Service's hints: type, reason, message.
pub(super) type Told = (EventType, &'static str, String);

/// What is known of nodes and zones: `TopologyCache`.
#[derive(Clone, Debug, Default)]
pub(super) struct Topology {
    /// What share of the processors each zone has; `None` while that cannot be said.
    ratios: Option<Arc<BTreeMap<String, f64>>>,
    /// Whether that is of the nodes as they are.
    is_known: bool,
    /// The endpoints that zones were given, by Service and type of address.
    given: OrdMap<(ObjectKey, &'static str), Arc<Zones>>,
}

/// How many endpoints a zone is to have.
struct Allocation {
    maximum: usize,
    desired: f64,
}

/// `hintsEnabled`.
pub(super) fn is_wanted(service: &Service) -> bool {
    let annotations = service.metadata.annotations.as_ref();
    let mode = annotations.and_then(|all| ANNOTATIONS.iter().find_map(|name| all.get(*name)));
    mode.is_some_and(|mode| matches!(mode.as_str(), "Auto" | "auto"))
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(true)
}

/// Whether a node counts otherwise than before.
pub(super) fn counts_otherwise(before: Option<&Node>, after: Option<&Node>) -> bool {
    let count = |node: Option<&Node>| {
        let node = node?;
        let cpu = node.status.as_ref().and_then(|status| status.allocatable.as_ref()?.get("cpu").cloned());
        let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let is_ready = conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
        Some((node.metadata.labels.clone(), cpu, is_ready))
    };
    count(before) != count(after)
}

fn for_zone(zone: &str) -> Option<EndpointHints> {
    Some(EndpointHints { for_zones: Some(vec![ForZone { name: zone.to_owned() }]), for_nodes: None })
}

/// The share of processors that each zone has: `SetNodes`.
fn ratios<'a>(nodes: impl Iterator<Item = &'a Arc<Node>>) -> Option<BTreeMap<String, f64>> {
    let mut by_zone: BTreeMap<String, i64> = BTreeMap::new();
    for node in nodes {
        let label = |name: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(name));
        let status = node.status.as_ref();
        let mut conditions = status.iter().flat_map(|status| status.conditions.iter().flatten());
        let is_ready = conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
        if !is_ready || EXCLUDED_LABELS.iter().any(|name| label(name).is_some()) {
            continue;
        }
        let cpu = status.and_then(|status| status.allocatable.as_ref()?.get("cpu"));
        let cpu = cpu.map_or(0, |cpu| Quantity::of(cpu).milli_value());
        let zone = label(ZONE_LABEL).filter(|zone| !zone.is_empty() && cpu > 0)?;
        *by_zone.entry(zone.clone()).or_default() += cpu;
    }
    let total: i64 = by_zone.values().sum();
    (by_zone.len() >= 2).then(|| by_zone.into_iter().map(|(zone, cpu)| (zone, cpu as f64 / total as f64)).collect())
}

fn least(share: f64) -> usize {
    (share / (1.0 + OVERLOAD_THRESHOLD)).ceil() as usize
}

/// How many of so many endpoints each zone is to have: `getAllocations`.
fn allocations(
    ratios: Option<&BTreeMap<String, f64>>,
    endpoints: usize,
) -> Result<BTreeMap<String, Allocation>, String> {
    let Some(ratios) = ratios else { return Err(INSUFFICIENT_NODE_INFO.to_owned()) };
    let refuse = |why: &str| Err(format!("{why} ({endpoints} endpoints, {} zones)", ratios.len()));
    if ratios.len() > endpoints {
        return refuse(INSUFFICIENT_ENDPOINTS);
    }
    let desired = |ratio: f64| ratio * endpoints as f64;
    let minimum: usize = ratios.values().map(|ratio| least(desired(*ratio))).sum();
    if minimum > endpoints {
        return refuse(OVERLOAD);
    }
    let allocation = |(zone, ratio): (&String, &f64)| {
        let own = least(desired(*ratio));
        let maximum = own + endpoints - minimum;
        (zone.clone(), Allocation { maximum, desired: desired(*ratio).max(own as f64) })
    };
    Ok(ratios.iter().map(allocation).collect())
}

/// The hints of a slice by zones; `None` when they are not as they may be: `getHintsByZone`.
fn hints_of(slice: &EndpointSlice, given: &Zones, allocations: &BTreeMap<String, Allocation>) -> Option<Zones> {
    let mut found = Zones::new();
    for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| is_ready(endpoint)) {
        let zones = endpoint.hints.as_ref()?.for_zones.as_ref().filter(|zones| !zones.is_empty())?;
        for zone in zones {
            allocations.get(&zone.name)?;
            *found.entry(zone.name.clone()).or_default() += 1;
        }
    }
    let fits = |(zone, count): (&String, &usize)| {
        let known = given.get(zone).copied().unwrap_or(0);
        allocations.get(zone).is_some_and(|allocation| count + known <= allocation.maximum)
    };
    found.iter().all(fits).then_some(found)
}

/// The zone with the most, the first of several.
fn most(zones: &BTreeMap<String, f64>) -> Option<(String, f64)> {
    let mut found: Option<(&String, f64)> = None;
    for (zone, amount) in zones {
        if *amount > found.map_or(0.0, |(_, most)| most) {
            found = Some((zone, *amount));
        }
    }
    found.map(|(zone, amount)| (zone.clone(), amount))
}

/// How many endpoints zones give to others, and how many they get: `getGivingAndReceivingZones`.
fn moves(allocations: &BTreeMap<String, Allocation>, given: &Zones) -> (Zones, Zones) {
    let (mut surplus, mut lack) = (BTreeMap::new(), BTreeMap::new());
    for (zone, allocation) in allocations {
        let has = given.get(zone).copied().unwrap_or(0) as f64;
        if has > allocation.desired {
            surplus.insert(zone.clone(), has - allocation.desired);
        } else if has < allocation.desired {
            lack.insert(zone.clone(), allocation.desired - has);
        }
    }
    let (mut giving, mut receiving) = (Zones::new(), Zones::new());
    while let (Some((from, more)), Some((to, less))) = (most(&surplus), most(&lack)) {
        if (more < 1.0 && less < 1.0) || more < 0.5 || less < 0.5 {
            break;
        }
        *giving.entry(from.clone()).or_default() += 1;
        *receiving.entry(to.clone()).or_default() += 1;
        surplus.entry(from).and_modify(|amount| *amount -= 1.0);
        lack.entry(to).and_modify(|amount| *amount -= 1.0);
    }
    (giving, receiving)
}

/// Gives endpoints of zones that have too many to zones that have too few: `redistributeHints`.
fn redistribute(slices: &mut [EndpointSlice], giving: &mut Zones, receiving: &mut Zones, given: &mut Zones) {
    let take = |zones: &mut Zones, zone: &str| {
        if let Some(count) = zones.get_mut(zone) {
            *count -= 1;
            if *count == 0 {
                zones.remove(zone);
            }
        }
    };
    let endpoints = slices.iter_mut().flat_map(|slice| slice.endpoints.iter_mut().flatten());
    for endpoint in endpoints.filter(|endpoint| is_ready(endpoint)) {
        let Some(from) = endpoint.zone.clone().filter(|zone| giving.contains_key(zone)) else { continue };
        let Some(to) = receiving.keys().next().cloned() else { return };
        endpoint.hints = for_zone(&to);
        take(giving, &from);
        take(receiving, &to);
        take(given, &from);
        *given.entry(to).or_default() += 1;
    }
}

impl Topology {
    /// Nodes are others than before. Answers the Services with hints, which may have to be others, too.
    pub fn nodes_changed(&mut self) -> impl Iterator<Item = ObjectKey> {
        self.is_known = false;
        self.given.keys().map(|(service, _)| service.clone())
    }

    /// Looks at the nodes, if they have changed: `SetNodes`.
    pub fn look_at<'a>(&mut self, nodes: impl Iterator<Item = &'a Arc<Node>>) {
        if !std::mem::replace(&mut self.is_known, true) {
            self.ratios = ratios(nodes).map(Arc::new);
        }
    }

    /// A Service has no hints any more. Says whether it had any.
    pub fn forget(&mut self, service: &ObjectKey, address_type: &'static str) -> bool {
        self.given.remove(&(service.clone(), address_type)).is_some()
    }

    /// What is told of a Service that no longer wants hints, if it had any.
    pub fn give_up(&mut self, service: &ObjectKey, address_type: &'static str) -> Option<Told> {
        self.forget(service, address_type).then(|| told(EventType::Warning, DISABLED, address_type))
    }

    /// The slices with hints, those that are written anyhow first, and what is told of it: `AddHints`.
    #[inline(never)]
    pub fn add_hints(
        &mut self,
        service: &ObjectKey,
        address_type: &'static str,
        mut written: Vec<EndpointSlice>,
        unchanged: Vec<&Arc<EndpointSlice>>,
    ) -> (Vec<EndpointSlice>, Option<Told>) {
        let all = written.iter().chain(unchanged.iter().map(|slice| &***slice));
        let ready = all.flat_map(|slice| slice.endpoints.iter().flatten()).filter(|one| is_ready(one)).count();
        let wanted = allocations(self.ratios.as_deref(), ready).and_then(|allocations| {
            let has_zone = |endpoint: &Endpoint| endpoint.zone.as_ref().is_some_and(|zone| !zone.is_empty());
            let mut given = Zones::new();
            for slice in &unchanged {
                match hints_of(slice, &given, &allocations) {
                    Some(found) => found.into_iter().for_each(|(zone, count)| *given.entry(zone).or_default() += count),
                    None => written.push((***slice).clone()),
                }
            }
            for endpoint in written.iter_mut().flat_map(|slice| slice.endpoints.iter_mut().flatten()) {
                endpoint.hints = None;
                if !is_ready(endpoint) {
                    continue;
                }
                if !has_zone(endpoint) {
                    return Err(NO_ZONE.to_owned());
                }
                let zone = endpoint.zone.clone().unwrap_or_default();
                endpoint.hints = for_zone(&zone);
                *given.entry(zone).or_default() += 1;
            }
            let (mut giving, mut receiving) = moves(&allocations, &given);
            redistribute(&mut written, &mut giving, &mut receiving, &mut given);
            if given.is_empty() { Err(NO_HINTS.to_owned()) } else { Ok(given) }
        });
        match wanted {
            Ok(given) => {
                let had_none = self.given.insert((service.clone(), address_type), Arc::new(given)).is_none();
                (written, had_none.then(|| told(EventType::Normal, ENABLED, address_type)))
            }
            Err(why) => {
                self.forget(service, address_type);
                let known: Vec<String> = written.iter().filter_map(|slice| slice.metadata.name.clone()).collect();
                let hinted = |slice: &&&Arc<EndpointSlice>| {
                    slice.endpoints.iter().flatten().any(|endpoint| endpoint.hints.is_some())
                        && !known.iter().any(|name| name == slice.name())
                };
                written.extend(unchanged.iter().filter(hinted).map(|slice| (***slice).clone()));
                let endpoints = written.iter_mut().flat_map(|slice| slice.endpoints.iter_mut().flatten());
                endpoints.for_each(|endpoint| endpoint.hints = None);
                (written, Some(told(EventType::Warning, &why, address_type)))
            }
        }
    }
}

/// `FormatWithAddressType`.
fn told(event_type: EventType, why: &str, address_type: &str) -> Told {
    let reason =
        if event_type == EventType::Normal { "TopologyAwareHintsEnabled" } else { "TopologyAwareHintsDisabled" };
    (event_type, reason, format!("{why}, addressType: {address_type}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, zone: &str, cpu: &str, ready: &str) -> Arc<Node> {
        let value = json!({
            "metadata": { "name": name, "labels": { ZONE_LABEL: zone } },
            "status": { "allocatable": { "cpu": cpu }, "conditions": [{ "type": "Ready", "status": ready }] },
        });
        Arc::new(crate::machinery::json::from_value(&value).expect("a node"))
    }

    fn slice(zones: &[&str]) -> EndpointSlice {
        let endpoints: Vec<_> = zones
            .iter()
            .map(|zone| json!({ "addresses": ["10.0.0.1"], "zone": zone, "conditions": { "ready": true } }))
            .collect();
        let value = json!({ "metadata": { "name": "s" }, "addressType": "IPv4", "endpoints": endpoints });
        crate::machinery::json::from_value(&value).expect("a slice")
    }

    /// The zones that endpoints are for, and what is told.
    fn hinted(topology: &mut Topology, zones: &[&str]) -> (String, String) {
        let key = ObjectKey::new("default", "web");
        let (written, told) = topology.add_hints(&key, "IPv4", vec![slice(zones)], Vec::new());
        let endpoints = written.iter().flat_map(|slice| slice.endpoints.iter().flatten());
        let zone = |endpoint: &Endpoint| {
            let zones = endpoint.hints.as_ref().and_then(|hints| hints.for_zones.as_ref());
            zones.map_or_else(|| "-".to_owned(), |zones| zones[0].name.clone())
        };
        (endpoints.map(zone).collect::<Vec<_>>().join(" "), told.map(|told| told.2).unwrap_or_default())
    }

    #[test]
    fn zones_get_endpoints_by_their_processors() {
        let mut topology = Topology::default();
        topology.look_at([node("a", "a", "4", "True"), node("b", "b", "4", "True")].iter());
        let enabled = "Topology Aware Hints has been enabled, addressType: IPv4";
        assert_eq!(hinted(&mut topology, &["a", "a", "b", "b"]), ("a a b b".to_owned(), enabled.to_owned()));
        assert_eq!(hinted(&mut topology, &["a", "a", "a", "a"]), ("b b a a".to_owned(), String::new()));
        let few = "Insufficient number of endpoints (1 endpoints, 2 zones), addressType: IPv4";
        assert_eq!(hinted(&mut topology, &["a"]), ("-".to_owned(), few.to_owned()));
        let unknown = "One or more endpoints do not have a zone specified, addressType: IPv4";
        assert_eq!(hinted(&mut topology, &["a", ""]), ("- -".to_owned(), unknown.to_owned()));
    }

    #[test]
    fn uneven_zones_can_be_too_uneven() {
        let mut topology = Topology::default();
        let three = [node("a", "a", "4", "True"), node("b", "b", "4", "True"), node("c", "c", "1", "True")];
        topology.look_at(three.iter());
        let told = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (3 \
                    endpoints, 3 zones), addressType: IPv4";
        assert_eq!(hinted(&mut topology, &["a", "b", "c"]), ("- - -".to_owned(), told.to_owned()));
        assert_eq!(topology.nodes_changed().count(), 0);
        topology.look_at([node("a", "a", "4", "True"), node("b", "b", "4", "False")].iter());
        let told = format!("{INSUFFICIENT_NODE_INFO}, addressType: IPv4");
        assert_eq!(hinted(&mut topology, &["a", "b"]), ("- -".to_owned(), told));
    }
}
