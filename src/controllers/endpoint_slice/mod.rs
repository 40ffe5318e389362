//! Lists the addresses behind each Service.
//!
//! Guarantees that the EndpointSlices of a Service with a selector hold the pods that match it, with their state, at
//! most [`reconcile::MAX_ENDPOINTS`] a slice. Watches Services, Pods, Nodes and EndpointSlices. Follows
//! `kubernetes/pkg/controller/endpointslice` and `k8s.io/endpointslice`.

pub(super) mod endpoint;
mod reconcile;
mod topology;
mod tracker;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::labels::Selector;
use crate::machinery::time::Time;

pub(super) use reconcile::{LABEL_MANAGED_BY, LABEL_SERVICE};
use reconcile::{MANAGED_BY, Plan};
use topology::Topology;
use tracker::SliceTracker;
pub(super) use tracker::TriggerTimes;

/// How long a slice that somebody else changed is left alone: `endpointSliceChangeMinSyncDelay`.
const CHANGE_MIN_SYNC_DELAY: Duration = Duration::from_secs(1);
/// The first and the longest wait of a Service that failed: `defaultSyncBackOff`, `maxSyncBackOff`.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(1000));
/// `v1.EndpointsLastChangeTriggerTime`.
pub(super) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The EndpointSlice controller.
#[derive(Clone, Debug, Default)]
pub struct EndpointSliceController {
    tracker: SliceTracker,
    topology: Topology,
    trigger_times: TriggerTimes,
}

fn label<'a>(slice: &'a EndpointSlice, key: &str) -> Option<&'a str> {
    slice.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn is_managed(slice: &EndpointSlice) -> bool {
    label(slice, LABEL_MANAGED_BY) == Some(MANAGED_BY)
}

/// The Service that a slice says it belongs to.
pub(super) fn service_of(slice: &EndpointSlice) -> Option<ObjectKey> {
    let name = label(slice, LABEL_SERVICE).filter(|name| !name.is_empty())?;
    Some(ObjectKey::new(slice.namespace(), name))
}

/// What a Service selects pods by; `None` when it selects none itself.
pub(super) fn selector_of(service: &Service) -> Option<Selector> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    spec.selector.as_ref().map(Selector::from_map)
}

fn selects(service: &Service, pod: &Pod) -> bool {
    selector_of(service).is_some_and(|selector| selector.matches(&pod.metadata.labels))
}

/// `GetServicesToUpdateOnPodChange`.
pub(super) fn on_pod(before: Option<&Pod>, after: Option<&Pod>, listers: &Informers, queue: &mut WorkQueue) {
    let (changed, moved) = match (before, after) {
        (Some(before), Some(after)) => endpoint::pod_changed(before, after),
        _ => (true, true),
    };
    let Some(namespace) = after.or(before).map(Resource::namespace) else { return };
    if !changed && !moved {
        return;
    }
    for service in listers.list_in::<Service>(namespace) {
        let was = before.is_some_and(|pod| selects(service, pod));
        let is = after.is_some_and(|pod| selects(service, pod));
        if if changed { was || is } else { was != is } {
            queue.add(service.key());
        }
    }
}

impl EndpointSliceController {
    fn on_slice(&mut self, before: Option<&EndpointSlice>, after: Option<&EndpointSlice>, queue: &mut WorkQueue) {
        let mut later = |slice: &EndpointSlice| {
            if let Some(service) = service_of(slice) {
                queue.add_after(service, CHANGE_MIN_SYNC_DELAY);
            }
        };
        match (before, after) {
            (Some(before), Some(after)) if service_of(before) != service_of(after) => {
                later(after);
                later(before);
            }
            (before, Some(after)) => {
                let passed_on = before.is_some_and(|before| is_managed(before) != is_managed(after));
                let news = service_of(after).is_some_and(|service| self.tracker.is_news(&service, after));
                if passed_on || (is_managed(after) && news) {
                    later(after);
                }
            }
            (Some(before), None)
                if is_managed(before)
                    && service_of(before).is_some_and(|service| self.tracker.is_gone(&service, before)) =>
            {
                later(before);
            }
            _ => {}
        }
    }

    /// Does what was planned: `finalize`.
    fn write(
        &mut self,
        service: &Service,
        plan: Plan,
        trigger: Option<Time>,
        client: &mut Client<'_>,
    ) -> Result<(), ClientError> {
        let key = service.key();
        client.because(Why::new(
            "The pods that Service {} selects are not those in its slices.",
            [service.name().to_owned()],
        ));
        for mut slice in plan.create {
            if service.is_deleting() {
                break;
            }
            set_trigger_time(&mut slice, trigger);
            match client.create(slice) {
                Ok(created) => self.tracker.wrote(&key, &created),
                Err(error) if is_namespace_terminating(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        for mut slice in plan.update {
            set_trigger_time(&mut slice, trigger);
            let updated = client.update(slice)?;
            self.tracker.wrote(&key, &updated);
        }
        for slice in plan.delete {
            match client.delete(Kind::EndpointSlice, &slice.key(), DeleteOptions::default()) {
                Ok(()) => self.tracker.deleted(&key, &slice),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn set_trigger_time(slice: &mut EndpointSlice, trigger: Option<Time>) {
    let annotations = slice.metadata.annotations.get_or_insert_default();
    match trigger {
        Some(time) => annotations.insert(TRIGGER_TIME.to_owned(), time.to_rfc3339()),
        None => annotations.remove(TRIGGER_TIME),
    };
}

pub(super) fn is_namespace_terminating(error: &ClientError) -> bool {
    error
        .status()
        .is_some_and(|status| status.details().causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
}

impl Controller for EndpointSliceController {
    fn name(&self) -> &'static str {
        "endpointslice-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::Service, Kind::Pod, Kind::Node, Kind::EndpointSlice].map(WatchSpec::all).to_vec()
    }

    fn backoff(&self) -> (Duration, Duration) {
        BACKOFF
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::Service => queue.add(event.key.clone()),
            Kind::Pod => on_pod(event.before(), event.after(), listers, queue),
            Kind::Node if topology::counts_otherwise(event.before(), event.after()) => {
                self.topology.nodes_changed().for_each(|service| queue.add(service));
            }
            Kind::EndpointSlice => self.on_slice(event.before(), event.after(), queue),
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(service) = listers.get::<Service>(key).cloned() else {
            self.tracker.forget(key);
            self.topology.forget(key, "IPv4");
            self.topology.forget(key, "IPv6");
            self.trigger_times.forget(key);
            return Ok(Requeue::Forget);
        };
        let Some(selector) = selector_of(&service) else { return Ok(Requeue::Forget) };
        let pods: Vec<Arc<Pod>> = listers
            .list_in::<Pod>(&key.namespace)
            .filter(|pod| selector.matches(&pod.metadata.labels))
            .cloned()
            .collect();
        let slices: Vec<Arc<EndpointSlice>> = listers
            .list_in::<EndpointSlice>(&key.namespace)
            .filter(|slice| is_managed(slice) && label(slice, LABEL_SERVICE) == Some(&*key.name))
            .filter(|slice| !slice.is_deleting())
            .cloned()
            .collect();
        if self.tracker.is_stale(key, &slices) {
            return Ok(Requeue::RateLimited);
        }
        if topology::is_wanted(&service) {
            self.topology.look_at(listers.list::<Node>());
        }
        let node = |name: &str| listers.get::<Node>(&ObjectKey::new("", name));
        let plan = reconcile::plan(&service, &pods, &slices, node, &mut self.topology);
        // Half of the writes would make the cache stale for the other half.
        client.reserve(plan.writes())?;
        let trigger = self.trigger_times.take(&service, &pods);
        let (mut errors, told) = (plan.errors.clone(), plan.told.clone());
        let written = self.write(&service, plan, trigger, client);
        errors.extend(written.as_ref().err().map(ToString::to_string));
        for (event_type, reason, message) in told.iter().filter(|_| written.is_ok()) {
            client.event(&*service, *event_type, reason, message);
        }
        if errors.is_empty() {
            return Ok(Requeue::Forget);
        }
        let text = if errors.len() == 1 { errors.remove(0) } else { format!("[{}]", errors.join(", ")) };
        let message = format!("Error updating Endpoint Slices for Service {key}: {text}");
        client.event(&*service, EventType::Warning, "FailedToUpdateEndpointSlices", &message);
        written.map(|()| Requeue::RateLimited)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
