//! Gets load balancers for the Services that want one, and takes them away again.
//!
//! Guarantees that a Service of type LoadBalancer without a class of its own gets the address of a load balancer of the
//! cloud, is not removed before that balancer is, and that the balancer spreads over the nodes that there are. Watches
//! Services and Nodes. Follows `k8s.io/cloud-provider/controllers/service/controller.go`.
//!
//! The cloud takes its time to make a load balancer. Upstream's only worker waits in that call, and so other Services
//! wait too; here the key comes back when the call is over, and others come back after it.

mod change;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, Node, Service};

use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::client::node_taints::taints;
use crate::client::{Client, ClientError, EventType, InformerEvent, Informers, QueueKey, Requeue, WorkQueue};
use crate::etcd::Why;
use crate::machinery::patch::diff::create_two_way;
use crate::machinery::persistent::OrdMap;
use crate::machinery::schema;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

use super::provider::Cloud;
use change::{Change, change};

/// `minRetryDelay` and `maxRetryDelay`.
pub(super) const RETRY_DELAYS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// `LoadBalancerCleanupFinalizer`.
const CLEANUP_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
/// `LabelNodeExcludeBalancers`.
const EXCLUDE_BALANCERS: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// `ToBeDeletedTaint`: the cluster autoscaler is about to take the node away.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// A call to the cloud that takes its time.
#[derive(Clone, Debug)]
struct Call {
    key: ObjectKey,
    /// The Service as it was when the call began.
    service: Arc<Service>,
    /// The address that is being made; none when the balancer is being taken away.
    address: Option<String>,
    done_at: Time,
    /// Whether the Service changed meanwhile.
    is_outdated: bool,
}

/// The service controller.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceController {
    /// The Services that have or get a load balancer, as they were last seen: `serviceCache`.
    cache: OrdMap<ObjectKey, Arc<Service>>,
    /// For each, the nodes that its balancer was last told, with their provider ids: `lastSyncedNodes`.
    synced_nodes: OrdMap<ObjectKey, OrdMap<Name, String>>,
    call: Option<Call>,
}

/// Whether the Service wants a load balancer of the cloud, and not one of another class.
fn wants_balancer(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer") && spec.load_balancer_class.is_none())
}

fn has_finalizer(service: &Service) -> bool {
    service.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == CLEANUP_FINALIZER)
}

/// Whether the Service has a load balancer that it should not have any more.
fn needs_cleanup(service: &Service) -> bool {
    let is_balanced = service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
    has_finalizer(service) && (service.metadata.deletion_timestamp.is_some() || !is_balanced)
}

/// Whether nobody excluded the node from load balancers: `nodeIncludedPredicate`.
fn is_included(node: &Node) -> bool {
    let label = node.metadata.labels.as_ref().and_then(|labels| labels.get(EXCLUDE_BALANCERS));
    // `strconv.ParseBool`; what is no truth value excludes too.
    label.is_none_or(|value| matches!(value.as_str(), "0" | "f" | "F" | "false" | "False" | "FALSE"))
}

fn provider_id(node: &Node) -> &str {
    node.spec.as_ref().and_then(|spec| spec.provider_id.as_deref()).unwrap_or("")
}

/// The nodes that load balancers spread over: `stableNodeSetPredicates`.
fn balanced_nodes(listers: &Informers) -> OrdMap<Name, String> {
    let is_balanced = |node: &&Arc<Node>| {
        node.metadata.deletion_timestamp.is_none()
            && is_included(node)
            && !taints(node).iter().any(|taint| taint.key == TO_BE_DELETED)
    };
    let nodes = listers.list::<Node>().filter(is_balanced);
    nodes.map(|node| (Name::from(node.name()), provider_id(node).to_owned())).collect()
}

fn names(nodes: &OrdMap<Name, String>) -> BTreeSet<Name> {
    nodes.keys().cloned().collect()
}

/// `PatchService`: what differs between two states of a Service goes to its status.
fn patch(before: &Service, after: &Service, client: &mut Client<'_>) -> Result<(), ClientError> {
    let object = |service: &Service| match Service::into_object(Arc::new(service.clone())).to_value() {
        serde_json::Value::Object(object) => object,
        _ => serde_json::Map::new(),
    };
    let info = Kind::Service.info();
    let schema = schema::lookup(info.version, info.kind).ok_or_else(|| Status::internal("Services have no schema"))?;
    let patch = create_two_way(&object(before), &object(after), schema).map_err(Status::from)?;
    client.patch_status::<Service>(&before.key(), patch).map(|_| ())
}

fn patch_status(service: &Service, address: Option<&String>, client: &mut Client<'_>) -> Result<(), ClientError> {
    let ingress = |ip: &String| vec![LoadBalancerIngress { ip: Some(ip.clone()), ..LoadBalancerIngress::default() }];
    let new = LoadBalancerStatus { ingress: address.map(ingress) };
    let known = service.status.as_ref().and_then(|status| status.load_balancer.clone()).unwrap_or_default();
    let ips = |status: &LoadBalancerStatus| -> Vec<Option<String>> {
        status.ingress.iter().flatten().map(|ingress| ingress.ip.clone()).collect()
    };
    if ips(&known) == ips(&new) {
        return Ok(());
    }
    let mut changed = service.clone();
    changed.status.get_or_insert_default().load_balancer = Some(new);
    match patch(service, &changed, client) {
        // It may be gone since its finalizer is.
        Err(error) if error.is_not_found() => Ok(()),
        result => result,
    }
}

impl ServiceController {
    pub(super) fn on_event(event: &InformerEvent, queue: &mut WorkQueue) {
        let concerns = match event.kind {
            Kind::Service => match (event.before::<Service>(), event.after::<Service>()) {
                (None, Some(after)) => wants_balancer(after) || needs_cleanup(after),
                (Some(before), Some(after)) => change(before, after) != Change::Nothing || needs_cleanup(after),
                // What is to be done is done before the object is removed.
                (_, None) => false,
            },
            Kind::Node => match (event.before::<Node>(), event.after::<Node>()) {
                (Some(before), Some(after)) => {
                    is_included(before) != is_included(after) || provider_id(before) != provider_id(after)
                }
                _ => true,
            },
            _ => false,
        };
        if concerns {
            queue.add(event.key.clone());
        }
    }

    pub(super) fn sync(
        &mut self,
        key: &QueueKey,
        cloud: &mut Cloud,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        if key.namespace.is_empty() {
            self.sync_nodes(cloud, listers, client);
            return Ok(Requeue::Forget);
        }
        if let Some(call) = &mut self.call {
            if client.now < call.done_at {
                call.is_outdated |= call.key == *key;
                return Ok(Requeue::After(call.done_at.since(client.now)));
            }
            if call.key != *key {
                return Ok(Requeue::After(Duration::from_millis(1)));
            }
            return self.end_call(client);
        }
        match listers.get::<Service>(key).cloned() {
            None => self.process_deletion(key, cloud, client),
            Some(service) => self.process(key, service, cloud, listers, client),
        }
    }

    /// `processServiceCreateOrUpdate` and the first half of `syncLoadBalancerIfNeeded`.
    fn process(
        &mut self,
        key: &ObjectKey,
        service: Arc<Service>,
        cloud: &mut Cloud,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        client.reserve(2)?;
        if let Some(known) = self.cache.get(key).filter(|known| known.uid() != service.uid()).cloned() {
            delete_at_once(&known, cloud, client);
        }
        self.cache.insert(key.clone(), service.clone());
        if !wants_balancer(&service) || needs_cleanup(&service) {
            let mut wait = Duration::ZERO;
            if cloud.balancer(&service).is_some() {
                client.event(&*service, EventType::Normal, "DeletingLoadBalancer", "Deleting load balancer");
                wait = cloud.delete_balancer(&service);
            }
            return self.begin_call(key, service, None, wait, client);
        }
        client.event(&*service, EventType::Normal, "EnsuringLoadBalancer", "Ensuring load balancer");
        if !has_finalizer(&service) {
            let mut changed = (*service).clone();
            changed.metadata.finalizers.get_or_insert_default().push(CLEANUP_FINALIZER.to_owned());
            client.because(Why::new(
                "Service {} must not go before its load balancer has gone.",
                [service.name().to_owned()],
            ));
            patch(&service, &changed, client)?;
        }
        let nodes = balanced_nodes(listers);
        if nodes.is_empty() {
            tell_unavailable(&service, client);
        }
        let (address, wait) = cloud.ensure_balancer(&service, names(&nodes));
        self.synced_nodes.insert(key.clone(), nodes);
        self.begin_call(key, service, Some(address), wait, client)
    }

    fn begin_call(
        &mut self,
        key: &ObjectKey,
        service: Arc<Service>,
        address: Option<String>,
        wait: Duration,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let done_at = client.now + wait;
        self.call = Some(Call { key: key.clone(), service, address, done_at, is_outdated: false });
        if wait.is_zero() { self.end_call(client) } else { Ok(Requeue::After(wait)) }
    }

    /// The second half of `syncLoadBalancerIfNeeded`.
    fn end_call(&mut self, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        // It has to be ended once more when the client may send nothing now.
        client.reserve(2)?;
        let Some(call) = self.call.take() else { return Ok(Requeue::Forget) };
        match Self::write(&call, client) {
            Ok(()) if call.address.is_none() => {
                self.cache.remove(&call.key);
                self.synced_nodes.remove(&call.key);
            }
            Ok(()) => {}
            Err(error) => {
                let message = format!("Error syncing load balancer: {error}");
                client.event(&*call.service, EventType::Warning, "SyncLoadBalancerFailed", &message);
                return Err(error);
            }
        }
        if call.is_outdated {
            client.enqueue(call.key);
        }
        Ok(Requeue::Forget)
    }

    fn write(call: &Call, client: &mut Client<'_>) -> Result<(), ClientError> {
        let service = &*call.service;
        let name = service.name().to_owned();
        let Some(address) = &call.address else {
            client.because(Why::new("The load balancer of Service {} is gone.", [name]));
            if has_finalizer(service) {
                let mut changed = service.clone();
                changed.metadata.finalizers.iter_mut().for_each(|all| all.retain(|one| one != CLEANUP_FINALIZER));
                patch(service, &changed, client)?;
            }
            client.event(service, EventType::Normal, "DeletedLoadBalancer", "Deleted load balancer");
            return patch_status(service, None, client);
        };
        client.event(service, EventType::Normal, "EnsuredLoadBalancer", "Ensured load balancer");
        client.because(Why::new("The cloud made a load balancer for Service {} at {}.", [name, address.clone()]));
        patch_status(service, Some(address), client)
    }

    /// The object is gone although nobody waited for its balancer, since somebody took the finalizer away.
    fn process_deletion(
        &mut self,
        key: &ObjectKey,
        cloud: &mut Cloud,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        if let Some(service) = self.cache.remove(key) {
            self.synced_nodes.remove(key);
            delete_at_once(&service, cloud, client);
        }
        Ok(Requeue::Forget)
    }

    /// Tells the balancers of the nodes that there are now: `syncNodes`.
    fn sync_nodes(&mut self, cloud: &mut Cloud, listers: &Informers, client: &mut Client<'_>) {
        let nodes = balanced_nodes(listers);
        for (key, service) in self.cache.iter().filter(|(_, service)| wants_balancer(service)) {
            if self.synced_nodes.insert(key.clone(), nodes.clone()).as_ref() == Some(&nodes) {
                continue;
            }
            cloud.update_balancer(service, names(&nodes));
            if nodes.is_empty() {
                tell_unavailable(service, client);
            } else {
                let message = "Updated load balancer with new hosts";
                client.event(&**service, EventType::Normal, "UpdatedLoadBalancer", message);
            }
        }
    }
}

/// Tells of a change that the load balancer has to follow, as soon as it is seen.
pub(super) fn tell_change(before: &Service, after: &Service, client: &mut Client<'_>) {
    if let Change::Told(reason, message) = change(before, after) {
        client.event_from("service-controller", after, EventType::Normal, reason, &message);
    }
}

fn tell_unavailable(service: &Service, client: &mut Client<'_>) {
    let message = "There are no available nodes for LoadBalancer";
    client.event(service, EventType::Warning, "UnAvailableLoadBalancer", message);
}

/// `processLoadBalancerDelete`.
fn delete_at_once(service: &Service, cloud: &mut Cloud, client: &mut Client<'_>) {
    if wants_balancer(service) {
        client.event(service, EventType::Normal, "DeletingLoadBalancer", "Deleting load balancer");
        cloud.delete_balancer(service);
        client.event(service, EventType::Normal, "DeletedLoadBalancer", "Deleted load balancer");
    }
}
