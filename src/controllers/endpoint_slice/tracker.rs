//! What was written and not yet seen, and since when a Service's endpoints changed.
//!
//! Follows `k8s.io/endpointslice/util/{endpointslice_tracker,trigger_time_tracker}.go`.

use std::sync::Arc;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::api::{Name, ObjectKey, Resource};
use crate::controllers::pod_control::condition;
use crate::machinery::time::Time;

/// The generation of each slice as it was written; `None` for one that was deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct SliceTracker {
    generations: OrdMap<ObjectKey, OrdMap<Name, Option<i64>>>,
}

fn generation(slice: &EndpointSlice) -> i64 {
    slice.metadata.generation.unwrap_or(0)
}

impl SliceTracker {
    /// A slice was written.
    pub fn wrote(&mut self, service: &ObjectKey, slice: &EndpointSlice) {
        let known = self.generations.entry(service.clone()).or_default();
        known.insert(Name::from(slice.uid()), Some(generation(slice)));
    }

    /// A slice was deleted.
    pub fn deleted(&mut self, service: &ObjectKey, slice: &EndpointSlice) {
        self.generations.entry(service.clone()).or_default().insert(Name::from(slice.uid()), None);
    }

    /// Whether a slice is news, and not the echo of what was written.
    pub fn is_news(&self, service: &ObjectKey, slice: &EndpointSlice) -> bool {
        let known = self.generations.get(service).and_then(|known| known.get(slice.uid()));
        known.is_none_or(|known| known.is_none_or(|written| generation(slice) > written))
    }

    /// A slice is gone. Says whether somebody else removed it.
    pub fn is_gone(&mut self, service: &ObjectKey, slice: &EndpointSlice) -> bool {
        let known = self.generations.get_mut(service).and_then(|known| known.remove(slice.uid()));
        matches!(known, Some(Some(_)))
    }

    /// Whether the cache lags behind what was written.
    pub fn is_stale(&self, service: &ObjectKey, slices: &[Arc<EndpointSlice>]) -> bool {
        let Some(known) = self.generations.get(service) else { return false };
        let behind = slices.iter().any(|slice| match known.get(slice.uid()) {
            Some(Some(written)) => *written > generation(slice),
            Some(None) => true,
            None => false,
        });
        let missing =
            known.iter().any(|(uid, written)| written.is_some() && !slices.iter().any(|slice| slice.uid() == &**uid));
        behind || missing
    }

    pub fn forget(&mut self, service: &ObjectKey) {
        self.generations.remove(service);
    }
}

/// When what a Service's endpoints follow from changed last.
#[derive(Clone, Debug, Default)]
pub(in crate::controllers) struct TriggerTimes {
    services: OrdMap<ObjectKey, (Option<Time>, OrdMap<Name, Time>)>,
}

impl TriggerTimes {
    /// The first change since the last time that this was asked: `ComputeEndpointLastChangeTriggerTime`.
    pub fn take(&mut self, service: &Service, pods: &[Arc<Pod>]) -> Option<Time> {
        let key = service.key();
        let known = self.services.get(&key);
        let created = service.metadata.creation_timestamp.as_ref().map(Time::from);
        let mut first: Option<Time> = None;
        let mut news = |time: Time, before: Option<Time>| {
            if before.is_none_or(|before| time > before) {
                first = Some(first.map_or(time, |first| first.min(time)));
            }
        };
        let mut times = OrdMap::new();
        for pod in pods {
            let Some(time) = condition(pod, "Ready").and_then(|ready| ready.last_transition_time.as_ref()) else {
                continue;
            };
            let time = Time::from(time);
            let name = Name::from(pod.name());
            news(time, known.and_then(|(_, times)| times.get(&name).copied()));
            times.insert(name, time);
        }
        if let Some(created) = created {
            news(created, known.and_then(|(created, _)| *created));
        }
        let first = if known.is_none() { created } else { first };
        self.services.insert(key, (created, times));
        first
    }

    pub fn forget(&mut self, service: &ObjectKey) {
        self.services.remove(service);
    }
}
