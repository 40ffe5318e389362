//! Lists the addresses behind each Service in the old way: one Endpoints object a Service.
//!
//! Guarantees that the Endpoints of a Service with a selector hold the pods that match it, ready and not. Watches
//! Services, Pods and Endpoints. Follows `kubernetes/pkg/controller/endpoint/endpoints_controller.go`.

mod subsets;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::endpoint_slice::{self, TRIGGER_TIME, TriggerTimes};
use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
    reference_to,
};
use crate::etcd::Why;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;

/// `v1.IsHeadlessService`.
const LABEL_HEADLESS: &str = "service.kubernetes.io/headless";
/// The label that names who keeps an Endpoints object.
const LABEL_MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
/// What this controller writes there.
const MANAGED_BY: &str = "endpoint-controller";
/// `v1.EndpointsOverCapacity`.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// The Endpoints controller.
#[derive(Clone, Debug, Default)]
pub struct EndpointsController {
    trigger_times: TriggerTimes,
    /// The version of each object that an update has replaced. While the cache still has it, nothing is written, since
    /// the update would be refused: `staleEndpointsTracker`.
    replaced: OrdMap<ObjectKey, String>,
}

/// What the Endpoints of a Service should be, beginning with what there is: the end of `syncService`.
fn wanted(service: &Service, pods: &[Arc<Pod>], current: &Endpoints, trigger: Option<Time>) -> Endpoints {
    let mut subsets = subsets::of(service, pods);
    let is_truncated = subsets::truncate(&mut subsets);
    let mut annotations = current.metadata.annotations.clone().unwrap_or_default();
    set(&mut annotations, TRIGGER_TIME, trigger.map(|time| time.to_rfc3339()));
    set(&mut annotations, OVER_CAPACITY, is_truncated.then(|| "truncated".to_owned()));
    Endpoints {
        metadata: ObjectMeta {
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            labels: Some(labels(service)),
            ..current.metadata.clone()
        },
        subsets: Some(subsets).filter(|subsets| !subsets.is_empty()),
    }
}

fn set(annotations: &mut BTreeMap<String, String>, key: &str, value: Option<String>) {
    match value {
        Some(value) => annotations.insert(key.to_owned(), value),
        None => annotations.remove(key),
    };
}

/// The Service's labels with this controller's own.
fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    let is_headless =
        matches!(service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()), None | Some("" | "None"));
    set(&mut labels, LABEL_HEADLESS, is_headless.then(String::new));
    labels.insert(LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned());
    labels
}

/// Whether nothing needs to be written. When the trigger time alone is new, nothing does.
fn is_same(wanted: &Endpoints, current: &Endpoints) -> bool {
    let capacity = |endpoints: &Endpoints| {
        endpoints.metadata.annotations.as_ref().and_then(|annotations| annotations.get(OVER_CAPACITY).cloned())
    };
    wanted.subsets.iter().flatten().eq(current.subsets.iter().flatten())
        && wanted.metadata.labels == current.metadata.labels
        && capacity(wanted) == capacity(current)
}

/// The event of a write that failed. What was to be created has no namespace yet when upstream's controller speaks of it,
/// so that its event is in `default`.
fn tell_failure(key: &ObjectKey, current: Option<&Endpoints>, error: &ClientError, client: &mut Client<'_>) {
    if let Some(current) = current {
        let message = format!("Failed to update endpoint {key}: {error}");
        client.event(current, EventType::Warning, "FailedToUpdateEndpoint", &message);
    } else {
        let metadata = ObjectMeta { name: Some(key.name.to_string()), ..ObjectMeta::default() };
        let about = reference_to(Kind::Endpoints, &metadata);
        let message = format!("Failed to create endpoint for service {key}: {error}");
        client.event_about(&about, EventType::Warning, "FailedToCreateEndpoint", &message);
    }
}

impl Controller for EndpointsController {
    fn name(&self) -> &'static str {
        "endpoint-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::Service, Kind::Pod, Kind::Endpoints].map(WatchSpec::all).to_vec()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::Service => queue.add(event.key.clone()),
            Kind::Pod => endpoint_slice::on_pod(event.before(), event.after(), listers, queue),
            Kind::Endpoints if event.after::<Endpoints>().is_none() => queue.add(event.key.clone()),
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(service) = listers.get::<Service>(key).cloned() else {
            client.because(Why::new("Service {} is gone.", [key.name.to_string()]));
            return match client.delete(Kind::Endpoints, key, DeleteOptions::default()) {
                Err(error) if !error.is_not_found() => Err(error),
                _ => {
                    self.trigger_times.forget(key);
                    self.replaced.remove(key);
                    Ok(Requeue::Forget)
                }
            };
        };
        let Some(selector) = endpoint_slice::selector_of(&service) else { return Ok(Requeue::Forget) };
        let of_service = |pod: &&Arc<Pod>| selector.matches(&pod.metadata.labels);
        let pods: Vec<Arc<Pod>> = listers.list_in::<Pod>(&key.namespace).filter(of_service).cloned().collect();
        let current = listers.get::<Endpoints>(key).cloned();
        if current.as_ref().is_some_and(|current| {
            self.replaced.get(key).is_some_and(|replaced| current.metadata.resource_version.as_ref() == Some(replaced))
        }) {
            return Ok(Requeue::RateLimited);
        }
        let fresh = || {
            let metadata = ObjectMeta {
                name: Some(key.name.to_string()),
                namespace: Some(key.namespace.to_string()),
                ..ObjectMeta::default()
            };
            Endpoints { metadata, subsets: None }
        };
        client.reserve(1)?;
        let base = current.as_deref().cloned().unwrap_or_else(fresh);
        let wanted = wanted(&service, &pods, &base, self.trigger_times.take(&service, &pods));
        if current.as_deref().is_some_and(|current| is_same(&wanted, current)) {
            return Ok(Requeue::Forget);
        }
        client.because(Why::new(
            "The pods that Service {} selects are not those in its endpoints.",
            [service.name().to_owned()],
        ));
        let written = if current.is_some() { client.update(wanted) } else { client.create(wanted) };
        match (written, current) {
            (Ok(written), Some(current)) => {
                let version = current.metadata.resource_version.clone().unwrap_or_default();
                if written.metadata.resource_version.as_ref() != Some(&version) {
                    self.replaced.insert(key.clone(), version);
                }
                Ok(Requeue::Forget)
            }
            (Ok(_), None) => Ok(Requeue::Forget),
            (Err(error), None) if endpoint_slice::is_namespace_terminating(&error) => Ok(Requeue::Forget),
            (Err(error), current) => {
                tell_failure(key, current.as_deref(), &error, client);
                Err(error)
            }
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
