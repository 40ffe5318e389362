//! Mirrors Endpoints that people keep by hand into EndpointSlices.
//!
//! Guarantees that the Endpoints of a Service without a selector have slices with the same addresses. Watches Endpoints,
//! Services and EndpointSlices. Follows `kubernetes/pkg/controller/endpointslicemirroring`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::endpoint_slice::{LABEL_MANAGED_BY, LABEL_SERVICE, TRIGGER_TIME, service_of};
use super::pod_control::controller_ref;
use crate::api::{Kind, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
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

/// The slices that Endpoints should have, without names.
fn wanted(endpoints: &Endpoints) -> Vec<EndpointSlice> {
    let mut slices = Vec::new();
    for subset in endpoints.subsets.iter().flatten() {
        for (address_type, is_v6) in [("IPv4", false), ("IPv6", true)] {
            let found = mirrored(subset, is_v6);
            if !found.is_empty() {
                slices.push(new_slice(endpoints, address_type, subset, found));
            }
        }
    }
    slices
}

fn mirrored(subset: &EndpointSubset, is_v6: bool) -> Vec<Endpoint> {
    let of_family = |address: &&EndpointAddress| parse_ip(&address.ip).is_some_and(|ip| ip.is_ipv6() == is_v6);
    let ready = subset.addresses.iter().flatten().filter(of_family).map(|address| endpoint(address, true));
    let not_ready = subset.not_ready_addresses.iter().flatten().filter(of_family);
    ready.chain(not_ready.map(|address| endpoint(address, false))).take(ENDPOINTS_PER_SUBSET_MAX).collect()
}

/// `addressToEndpoint`.
fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|hostname| !hostname.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

/// `newEndpointSlice`.
fn new_slice(
    endpoints: &Endpoints,
    address_type: &str,
    subset: &EndpointSubset,
    found: Vec<Endpoint>,
) -> EndpointSlice {
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    labels.insert(LABEL_SERVICE.to_owned(), endpoints.name().to_owned());
    labels.insert(LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned());
    let annotations = endpoints.metadata.annotations.iter().flatten();
    let kept = annotations.filter(|(key, _)| !matches!(key.as_str(), TRIGGER_TIME | LAST_APPLIED));
    let annotations: BTreeMap<String, String> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    let ports = subset.ports.iter().flatten().map(|port| EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: port.protocol.clone(),
        app_protocol: port.app_protocol.clone(),
    });
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
        endpoints: Some(found),
        ports: Some(ports.collect()),
    }
}

/// What is to be written.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    create: Vec<EndpointSlice>,
    update: Vec<EndpointSlice>,
    delete: Vec<Arc<EndpointSlice>>,
}

/// Compares what there is with what there should be. A slice keeps its name as long as its addresses are of one sort
/// and its ports the same.
fn plan(wanted: Vec<EndpointSlice>, existing: &[Arc<EndpointSlice>]) -> Plan {
    let mut plan = Plan::default();
    let mut left: Vec<&Arc<EndpointSlice>> = existing.iter().collect();
    for slice in wanted {
        let fits = |old: &&Arc<EndpointSlice>| {
            old.address_type == slice.address_type && old.ports.iter().flatten().eq(slice.ports.iter().flatten())
        };
        let Some(at) = left.iter().position(fits) else {
            plan.create.push(slice);
            continue;
        };
        let old = left.remove(at);
        let same = old.endpoints == slice.endpoints
            && old.metadata.labels == slice.metadata.labels
            && old.metadata.annotations == slice.metadata.annotations;
        if !same {
            let metadata = ObjectMeta {
                labels: slice.metadata.labels,
                annotations: slice.metadata.annotations,
                ..old.metadata.clone()
            };
            plan.update.push(EndpointSlice { metadata, ..slice });
        }
    }
    plan.delete = left.into_iter().cloned().collect();
    plan
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
        let plan = plan(wanted, &existing);
        client.reserve(plan.create.len() + plan.update.len() + plan.delete.len())?;
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
        let slices = wanted(&endpoints(&["10.0.0.1", "fd00::1"]));
        let types: Vec<&str> = slices.iter().map(|slice| slice.address_type.as_str()).collect();
        assert_eq!(types, ["IPv4", "IPv6"]);
    }

    #[test]
    fn what_is_right_is_left_and_what_changed_keeps_its_name() {
        let mut slice = wanted(&endpoints(&["10.0.0.1"])).remove(0);
        slice.metadata.name = Some("web-abcde".to_owned());
        let existing = [Arc::new(slice)];
        assert_eq!(plan(wanted(&endpoints(&["10.0.0.1"])), &existing), Plan::default());
        let plan = plan(wanted(&endpoints(&["10.0.0.2"])), &existing);
        assert_eq!(plan.update[0].metadata.name.as_deref(), Some("web-abcde"));
        assert!(plan.create.is_empty() && plan.delete.is_empty());
    }
}
