//! Mirrors Endpoints that people keep by hand into EndpointSlices.
//!
//! Guarantees that the Endpoints of a Service without a selector have slices with the same addresses. Watches Endpoints,
//! Services and EndpointSlices. Follows `kubernetes/pkg/controller/endpointslicemirroring`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::endpoint_slice::{LABEL_MANAGED_BY, LABEL_SERVICE, TRIGGER_TIME, service_of};
use super::pod_control::controller_ref;
use crate::api::{Kind, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::ip::parse_ip;

/// What this controller writes into the label that names who keeps a slice.
const MANAGED_BY: &str = "endpointslicemirroring-controller.k8s.io";
/// `discovery.LabelSkipMirror`.
const LABEL_SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// `resourcelock.LeaderElectionRecordAnnotationKey`: Endpoints that are a lock are no endpoints.
const LEADER_ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";
/// What `kubectl apply` keeps is not mirrored.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// How many addresses of a subset are mirrored: `mirroringMaxEndpointsPerSubset`.
const ENDPOINTS_PER_SUBSET_MAX: usize = 1000;

/// The EndpointSlice mirroring controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointSliceMirroringController;

fn is_own(slice: &EndpointSlice) -> bool {
    slice.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_MANAGED_BY)).map(String::as_str)
        == Some(MANAGED_BY)
}

/// `shouldMirror`.
fn is_mirrored(endpoints: &Endpoints) -> bool {
    let metadata = &endpoints.metadata;
    let is_skipped =
        metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_SKIP)).is_some_and(|skip| skip == "true");
    let is_lock = metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(LEADER_ANNOTATION));
    !is_skipped && !is_lock
}

/// What Endpoints come to.
#[derive(Debug, Default)]
struct Wanted {
    /// The slices that they should have, without names: one for each set of ports and family of addresses.
    slices: Vec<EndpointSlice>,
    /// How many addresses were left out, since a subset has too many.
    skipped: usize,
}

/// Ports whatever their order: `NewPortMapKey`.
type PortsKey = BTreeSet<(Option<String>, Option<i32>, Option<String>, Option<String>)>;

fn ports_key(ports: &[EndpointPort]) -> PortsKey {
    ports.iter().cloned().map(|port| (port.name, port.port, port.protocol, port.app_protocol)).collect()
}

/// Whether a slice is for these addresses with these ports.
fn is_for(slice: &EndpointSlice, address_type: &str, ports: &[EndpointPort]) -> bool {
    slice.address_type == address_type && ports_key(slice.ports.as_deref().unwrap_or(&[])) == ports_key(ports)
}

/// `desiredCalc`: subsets with the same ports come together.
fn wanted(endpoints: &Endpoints) -> Wanted {
    let mut wanted = Wanted::default();
    for subset in endpoints.subsets.iter().flatten() {
        let ready = subset.addresses.iter().flatten().map(|address| (address, true));
        let not_ready = subset.not_ready_addresses.iter().flatten().map(|address| (address, false));
        let ports = ports(subset);
        for (index, (address, ready)) in ready.chain(not_ready).enumerate() {
            if index >= ENDPOINTS_PER_SUBSET_MAX {
                wanted.skipped += 1;
                continue;
            }
            let Some(ip) = parse_ip(&address.ip) else { continue };
            let address_type = if ip.is_ipv6() { "IPv6" } else { "IPv4" };
            let at = wanted.slices.iter().position(|slice| is_for(slice, address_type, &ports)).unwrap_or_else(|| {
                wanted.slices.push(new_slice(endpoints, address_type, &ports));
                wanted.slices.len() - 1
            });
            let found = wanted.slices[at].endpoints.get_or_insert_default();
            found.push(endpoint(address, &ip.to_string(), ready));
        }
    }
    wanted
}

/// `epPortsToEpsPorts`.
fn ports(subset: &EndpointSubset) -> Vec<EndpointPort> {
    let ports = subset.ports.iter().flatten().map(|port| EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: port.protocol.clone(),
        app_protocol: port.app_protocol.clone(),
    });
    ports.collect()
}

/// `addressToEndpoint`.
fn endpoint(address: &EndpointAddress, ip: &str, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![ip.to_owned()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|hostname| !hostname.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

/// `newEndpointSlice`.
fn new_slice(endpoints: &Endpoints, address_type: &str, ports: &[EndpointPort]) -> EndpointSlice {
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    labels.insert(LABEL_SERVICE.to_owned(), endpoints.name().to_owned());
    labels.insert(LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned());
    let annotations = endpoints.metadata.annotations.iter().flatten();
    let kept = annotations.filter(|(key, _)| !matches!(key.as_str(), TRIGGER_TIME | LAST_APPLIED));
    let annotations: BTreeMap<String, String> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", endpoints.name())),
            namespace: Some(endpoints.namespace().to_owned()),
            labels: Some(labels),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            owner_references: Some(vec![controller_ref(endpoints)]),
            ..ObjectMeta::default()
        },
        address_type: address_type.to_owned(),
        endpoints: None,
        ports: Some(ports.to_vec()),
    }
}

/// What is to be written.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    create: Vec<EndpointSlice>,
    update: Vec<EndpointSlice>,
    delete: Vec<Arc<EndpointSlice>>,
}

/// Compares what there is with what there should be. A slice keeps its name as long as its addresses are of one family
/// and its ports the same; one that is no longer wanted becomes one that is new: `reconcile` and `recycleSlices`.
fn plan(wanted: Vec<EndpointSlice>, existing: &[Arc<EndpointSlice>]) -> Plan {
    let mut plan = Plan::default();
    let mut left: Vec<&Arc<EndpointSlice>> = existing.iter().collect();
    let mut new = Vec::new();
    for slice in wanted {
        let ports = slice.ports.as_deref().unwrap_or(&[]);
        match left.iter().position(|old| is_for(old, &slice.address_type, ports)) {
            Some(at) => plan.renew(left.remove(at), slice),
            None => new.push(slice),
        }
    }
    for slice in new {
        match left.iter().position(|old| old.address_type == slice.address_type) {
            Some(at) => plan.renew(left.remove(at), slice),
            None => plan.create.push(slice),
        }
    }
    plan.delete = left.into_iter().cloned().collect();
    plan
}

impl Plan {
    /// A slice becomes another, if it is not that already.
    fn renew(&mut self, old: &EndpointSlice, slice: EndpointSlice) {
        let same = old.endpoints == slice.endpoints
            && old.ports == slice.ports
            && old.metadata.labels == slice.metadata.labels
            && old.metadata.annotations == slice.metadata.annotations;
        if !same {
            let metadata = ObjectMeta {
                labels: slice.metadata.labels,
                annotations: slice.metadata.annotations,
                ..old.metadata.clone()
            };
            self.update.push(EndpointSlice { metadata, ..slice });
        }
    }
}

impl Controller for EndpointSliceMirroringController {
    fn name(&self) -> &'static str {
        "endpointslice-mirroring-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::Endpoints, Kind::Service, Kind::EndpointSlice].map(WatchSpec::all).to_vec()
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::Endpoints | Kind::Service => queue.add(event.key.clone()),
            Kind::EndpointSlice => {
                let slice: Option<&EndpointSlice> = event.after().or_else(|| event.before());
                if let Some(service) = slice.filter(|slice| is_own(slice)).and_then(service_of) {
                    queue.add(service);
                }
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let existing: Vec<Arc<EndpointSlice>> = listers
            .list_in::<EndpointSlice>(&key.namespace)
            .filter(|slice| is_own(slice) && service_of(slice).as_ref() == Some(key) && !slice.is_deleting())
            .cloned()
            .collect();
        let is_selfmade = |service: &Service| service.spec.as_ref().is_some_and(|spec| spec.selector.is_some());
        let is_wanted = listers.get::<Service>(key).is_some_and(|service| !is_selfmade(service));
        let endpoints = listers.get::<Endpoints>(key).filter(|endpoints| is_wanted && is_mirrored(endpoints)).cloned();
        let wanted = endpoints.as_deref().map(wanted).unwrap_or_default();
        let plan = plan(wanted.slices, &existing);
        client.reserve(plan.create.len() + plan.update.len() + plan.delete.len())?;
        if let Some(endpoints) = endpoints.filter(|_| wanted.skipped > 0) {
            let message = format!(
                "A max of {ENDPOINTS_PER_SUBSET_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset. \
                 {} addresses were skipped",
                wanted.skipped
            );
            client.event(&*endpoints, EventType::Warning, "TooManyAddressesToMirror", &message);
        }
        client.because(Why::new("The Endpoints {} are not those in its slices.", [key.name.to_string()]));
        for slice in plan.create {
            match client.create(slice) {
                Ok(_) => {}
                Err(error) if super::endpoint_slice::is_namespace_terminating(&error) => return Ok(Requeue::Forget),
                Err(error) => return Err(error),
            }
        }
        for slice in plan.update {
            client.update(slice)?;
        }
        for slice in plan.delete {
            match client.delete(Kind::EndpointSlice, &slice.key(), DeleteOptions::default()) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(ips: &[&str]) -> Endpoints {
        let address = |ip: &&str| EndpointAddress { ip: (*ip).to_owned(), ..EndpointAddress::default() };
        let subset = EndpointSubset { addresses: Some(ips.iter().map(address).collect()), ..EndpointSubset::default() };
        let metadata = ObjectMeta { name: Some("web".to_owned()), ..ObjectMeta::default() };
        Endpoints { metadata, subsets: Some(vec![subset]) }
    }

    #[test]
    fn each_family_has_a_slice_of_its_own() {
        let slices = wanted(&endpoints(&["10.0.0.1", "fd00::1"])).slices;
        let types: Vec<&str> = slices.iter().map(|slice| slice.address_type.as_str()).collect();
        assert_eq!(types, ["IPv4", "IPv6"]);
    }

    #[test]
    fn subsets_with_the_same_ports_have_one_slice_and_no_subset_more_than_a_thousand_addresses() {
        let mut two = endpoints(&["10.0.0.1"]);
        let other = endpoints(&["10.0.0.2"]).subsets.expect("a subset");
        two.subsets.get_or_insert_default().extend(other);
        let slices = wanted(&two).slices;
        assert_eq!(slices.len(), 1);
        assert_eq!(slices[0].endpoints.as_ref().map(Vec::len), Some(2));
        let many: Vec<String> = (0..1_003).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
        let wanted = wanted(&endpoints(&many.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(wanted.slices[0].endpoints.as_ref().map(Vec::len), Some(1_000));
        assert_eq!(wanted.skipped, 3);
    }

    #[test]
    fn what_is_right_is_left_and_what_changed_keeps_its_name() {
        let mut slice = wanted(&endpoints(&["10.0.0.1"])).slices.remove(0);
        slice.metadata.name = Some("web-abcde".to_owned());
        let existing = [Arc::new(slice)];
        assert_eq!(plan(wanted(&endpoints(&["10.0.0.1"])).slices, &existing), Plan::default());
        let changed = plan(wanted(&endpoints(&["10.0.0.2"])).slices, &existing);
        assert_eq!(changed.update[0].metadata.name.as_deref(), Some("web-abcde"));
        assert!(changed.create.is_empty() && changed.delete.is_empty());
        // With other ports, too.
        let mut moved = endpoints(&["10.0.0.1"]);
        let port = k8s_openapi::api::core::v1::EndpointPort { port: 81, ..Default::default() };
        moved.subsets.get_or_insert_default()[0].ports = Some(vec![port]);
        let moved = plan(wanted(&moved).slices, &existing);
        assert_eq!(moved.update[0].metadata.name.as_deref(), Some("web-abcde"));
        assert!(moved.create.is_empty() && moved.delete.is_empty());
    }
}
