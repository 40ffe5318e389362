//! The pods that wait for a node.
//!
//! Follows `pkg/scheduler/backend/queue/{scheduling_queue,active_queue,backoff_queue}.go`. A pod that failed waits in
//! the unschedulable part until an event comes of which a plugin that refused it says that it may help
//! ([`run_hint`]); then it goes to the active part, or to the back-off part while its wait is not over. When the active
//! part is empty, pods are taken from the back-off part before their time (`SchedulerPopFromBackoffQ`).

mod in_flight;
mod nominator;
mod queued_pod;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::machinery::persistent::{OrdMap, OrdSet};

use crate::api::Name;
use crate::etcd::Revision;
use crate::machinery::time::Time;

use super::configuration::{Backoff, Profile};
use super::dra_manager::DraManager;
use super::framework::events::{Change, ClusterEvent, EventResource, QueueingHint, pod_changes};
use super::framework::plugin::{Plugin, PluginSet};
use super::framework::{run_hint, run_pre_enqueue};
use super::listers::Listers;
use super::plugins::priority_sort::QueueOrder;
use super::pod_info::PodInfo;
use in_flight::InFlight;
use queued_pod::align;

pub use nominator::Nominator;
pub use queued_pod::{BACKOFF_ORDERING_WINDOW, Place, QueuedPodInfo};

/// How long a pod waits for an event before it is tried without one.
pub const POD_MAX_IN_UNSCHEDULABLE_PODS_DURATION: Duration = Duration::from_secs(5 * 60);
/// How often it is looked for such pods.
const UNSCHEDULABLE_FLUSH_PERIOD: Duration = Duration::from_secs(30);

/// The queue. Time is told, not asked.
#[derive(Clone, Debug, Default)]
pub struct SchedulingQueue {
    pods: OrdMap<Name, Arc<QueuedPodInfo>>,
    active: OrdMap<QueueOrder, Name>,
    backoff: OrdMap<(Time, QueueOrder), Name>,
    error_backoff: OrdMap<(Time, QueueOrder), Name>,
    unschedulable: OrdSet<(Time, Name)>,
    gated: OrdSet<Name>,
    in_flight: InFlight,
    nominator: Nominator,
    sequence: u64,
    trigger: Option<Revision>,
    backoff_limits: Backoff,
    claims: DraManager,
}

/// What is to become of a pod after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    Skip,
    AfterBackoff,
}

impl SchedulingQueue {
    /// An empty queue in which pods wait so long after a failure.
    #[must_use]
    pub fn new(backoff_limits: Backoff) -> Self {
        Self { backoff_limits, ..Self::default() }
    }

    /// Pods for which nodes are being cleared.
    #[must_use]
    pub const fn nominator(&self) -> &Nominator {
        &self.nominator
    }

    /// Pods for which nodes are being cleared, to be changed.
    pub const fn nominator_mut(&mut self) -> &mut Nominator {
        &mut self.nominator
    }

    /// A pod that waits, by its uid.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&QueuedPodInfo> {
        self.pods.get(uid).map(|queued| &**queued)
    }

    /// All pods that wait, by uid.
    pub fn iter(&self) -> impl Iterator<Item = &QueuedPodInfo> {
        self.pods.values().map(|queued| &**queued)
    }

    /// Whether [`Self::pop`] would give a pod.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.active.is_empty() || !self.backoff.is_empty()
    }

    /// When the wait of a pod in back-off is over.
    #[must_use]
    pub fn next_backoff_end(&self) -> Option<Time> {
        let first = |parts: &OrdMap<(Time, QueueOrder), Name>| parts.get_min().map(|((expiry, _), _)| *expiry);
        let soonest = first(&self.backoff).into_iter().chain(first(&self.error_backoff)).min();
        soonest.map(|expiry| align(expiry) + BACKOFF_ORDERING_WINDOW)
    }

    /// When a pod has waited long enough for an event.
    fn next_leftover(&self) -> Option<Time> {
        let (since, _) = self.unschedulable.get_min()?;
        let period = UNSCHEDULABLE_FLUSH_PERIOD.as_micros() as u64;
        let due = (*since + POD_MAX_IN_UNSCHEDULABLE_PODS_DURATION).as_micros();
        Some(Time::from_micros((due / period + 1) * period))
    }

    /// When [`Self::flush`] has something to do next, without any event.
    #[must_use]
    pub fn next_flush(&self) -> Option<Time> {
        self.next_backoff_end().into_iter().chain(self.next_leftover()).min()
    }

    /// Says which revision the coming changes follow from.
    pub const fn begin(&mut self, trigger: Option<Revision>) {
        self.trigger = trigger;
    }

    fn insert(&mut self, mut queued: Arc<QueuedPodInfo>, place: Place) {
        Arc::make_mut(&mut queued).place = place;
        let uid = queued.pod.uid.clone();
        let order = queued.order();
        match place {
            Place::Active => {
                self.active.insert(order, uid.clone());
            }
            Place::Backoff => {
                self.backoff.insert((queued.backoff_expiration(), order), uid.clone());
            }
            Place::ErrorBackoff => {
                self.error_backoff.insert((queued.backoff_expiration(), order), uid.clone());
            }
            Place::Unschedulable => {
                self.unschedulable.insert((queued.timestamp, uid.clone()));
            }
            Place::Gated => {
                self.gated.insert(uid.clone());
            }
        }
        let replaced = self.pods.insert(uid, queued);
        assert!(replaced.is_none(), "a pod stands in the queue once");
    }

    fn take(&mut self, uid: &str) -> Option<Arc<QueuedPodInfo>> {
        let queued = self.pods.remove(uid)?;
        let order = queued.order();
        let was_there = match queued.place {
            Place::Active => self.active.remove(&order).is_some(),
            Place::Backoff => self.backoff.remove(&(queued.backoff_expiration(), order)).is_some(),
            Place::ErrorBackoff => self.error_backoff.remove(&(queued.backoff_expiration(), order)).is_some(),
            Place::Unschedulable => self.unschedulable.remove(&(queued.timestamp, queued.pod.uid.clone())),
            Place::Gated => self.gated.remove(&queued.pod.uid),
        };
        assert!(was_there, "a pod stands where it says");
        Some(queued)
    }

    /// Puts a pod into a part from which it is tried, unless a plugin holds it back.
    fn enqueue(&mut self, mut queued: Arc<QueuedPodInfo>, place: Place) {
        let gating_plugin = run_pre_enqueue(&queued.profile, &queued.pod, &self.claims);
        let info = Arc::make_mut(&mut queued);
        info.gating_plugin = gating_plugin;
        info.woken_by = self.trigger.or(info.woken_by);
        if let Some(plugin) = gating_plugin {
            info.unschedulable_plugins.insert(plugin);
        }
        self.insert(queued, if gating_plugin.is_some() { Place::Gated } else { place });
    }

    /// Tells it what claims there are: pods wait for theirs outside of the active queue.
    pub fn set_claims(&mut self, claims: DraManager) {
        self.claims = claims;
    }

    /// A pod without a node appeared.
    pub fn add(&mut self, pod: Arc<PodInfo>, profile: Arc<Profile>, now: Time) {
        if self.pods.contains_key(&pod.uid) || self.in_flight.contains(&pod.uid) {
            return;
        }
        self.nominator.update(None, Arc::clone(&pod));
        self.sequence += 1;
        let mut queued = QueuedPodInfo::new(pod, profile, now, self.sequence);
        queued.backoff_limits = self.backoff_limits;
        self.enqueue(Arc::new(queued), Place::Active);
    }

    /// A pod that waits, or is being tried, changed.
    pub fn update(&mut self, old: &Arc<PodInfo>, new: Arc<PodInfo>, now: Time, listers: &Listers) {
        if self.in_flight.contains(&new.uid) {
            let change = Change::Pod(Some(Arc::clone(old)), Some(Arc::clone(&new)));
            for event in pod_changes(EventResource::UnscheduledPod, old, &new) {
                self.in_flight.record(event, &change);
            }
            return;
        }
        let Some(mut queued) = self.take(&new.uid) else { return };
        self.nominator.update(Some(old), Arc::clone(&new));
        let place = queued.place;
        Arc::make_mut(&mut queued).pod = Arc::clone(&new);
        if !matches!(place, Place::Unschedulable | Place::Gated) {
            return self.insert(queued, place);
        }
        // The pod's own change may be what it waited for.
        let change = Change::Pod(Some(Arc::clone(old)), Some(Arc::clone(&new)));
        let events = pod_changes(EventResource::UnscheduledPod, old, &new);
        let helps = |event: &ClusterEvent| worth_requeuing(&queued, *event, &change, listers) != Strategy::Skip;
        if events.iter().any(helps) {
            self.requeue(queued, Strategy::AfterBackoff, now);
        } else {
            self.insert(queued, place);
        }
    }

    /// A pod that waited is gone, or was bound by somebody else.
    pub fn delete(&mut self, uid: &str) {
        self.take(uid);
        self.nominator.remove(uid);
    }

    /// Takes the pod that is tried next.
    pub fn pop(&mut self) -> Option<QueuedPodInfo> {
        let next = self.active.get_min().map(|(_, uid)| uid.clone());
        let uid = next.or_else(|| self.backoff.get_min().map(|(_, uid)| uid.clone()))?;
        let mut queued = Arc::unwrap_or_clone(self.take(&uid)?);
        queued.attempts += 1;
        queued.unschedulable_plugins = PluginSet::EMPTY;
        queued.gating_plugin = None;
        self.in_flight.start(uid);
        Some(queued)
    }

    /// The pod's try is over and it needs no other: it was placed, or is gone.
    pub fn done(&mut self, uid: &str) {
        self.in_flight.finish(uid);
    }

    /// The pod's try failed: because of `rejectors`, or of an error when there are none.
    pub fn add_unschedulable(&mut self, mut queued: QueuedPodInfo, rejectors: PluginSet, now: Time, listers: &Listers) {
        let missed = self.in_flight.finish(&queued.pod.uid);
        if self.pods.contains_key(&queued.pod.uid) {
            return;
        }
        queued.timestamp = now;
        self.sequence += 1;
        queued.sequence = self.sequence;
        queued.unschedulable_plugins = rejectors;
        if rejectors.is_empty() {
            queued.consecutive_errors_count += 1;
        } else {
            queued.consecutive_errors_count = 0;
            queued.unschedulable_count += 1;
        }
        let helps = |(event, change): &(ClusterEvent, Change)| {
            worth_requeuing(&queued, *event, change, listers) != Strategy::Skip
        };
        let strategy =
            if rejectors.is_empty() || missed.iter().any(helps) { Strategy::AfterBackoff } else { Strategy::Skip };
        self.requeue(Arc::new(queued), strategy, now);
    }

    fn requeue(&mut self, queued: Arc<QueuedPodInfo>, strategy: Strategy, now: Time) {
        if strategy == Strategy::Skip {
            return self.insert(queued, Place::Unschedulable);
        }
        let place = match (queued.is_backing_off(now), queued.unschedulable_plugins.is_empty()) {
            (false, _) => Place::Active,
            (true, true) => Place::ErrorBackoff,
            (true, false) => Place::Backoff,
        };
        self.enqueue(queued, place);
    }

    /// Something happened: pods move that it may help.
    pub fn move_all(
        &mut self,
        event: ClusterEvent,
        change: &Change,
        now: Time,
        listers: &Listers,
        concerns: impl Fn(&QueuedPodInfo) -> bool,
    ) {
        self.in_flight.record(event, change);
        let helped: Vec<Name> = self
            .unschedulable
            .iter()
            .filter_map(|(_, uid)| self.pods.get(uid))
            .filter(|queued| concerns(queued) && worth_requeuing(queued, event, change, listers) != Strategy::Skip)
            .map(|queued| queued.pod.uid.clone())
            .collect();
        for uid in helped.into_iter().chain(self.ungated_by(event, change, listers)) {
            if let Some(queued) = self.take(&uid) {
                self.requeue(queued, Strategy::AfterBackoff, now);
            }
        }
    }

    /// Pods that wait for their claims, and may have them now.
    fn ungated_by(&self, event: ClusterEvent, change: &Change, listers: &Listers) -> Vec<Name> {
        if event.resource != EventResource::Devices {
            return Vec::new();
        }
        let gated = self.gated.iter().filter_map(|uid| self.pods.get(uid));
        let gated = gated.filter(|queued| queued.gating_plugin == Some(Plugin::DynamicResources));
        let helped = gated.filter(|queued| worth_requeuing(queued, event, change, listers) != Strategy::Skip);
        helped.map(|queued| queued.pod.uid.clone()).collect()
    }

    /// What was to be done for a pod after its try went wrong.
    pub fn retry_after_error(&mut self, uid: &str, now: Time) {
        let Some(mut queued) = self.take(uid) else { return };
        let info = Arc::make_mut(&mut queued);
        info.timestamp = now;
        info.consecutive_errors_count += 1;
        info.unschedulable_plugins = PluginSet::EMPTY;
        self.requeue(queued, Strategy::AfterBackoff, now);
    }

    /// A pod is to be tried at once, wherever it stands.
    pub fn activate(&mut self, uid: &str) {
        if let Some(queued) = self.take(uid) {
            self.enqueue(queued, Place::Active);
        }
    }

    /// Moves pods whose waits are over.
    pub fn flush(&mut self, now: Time) {
        let over = |parts: &OrdMap<(Time, QueueOrder), Name>| {
            let due = parts.iter().take_while(|((expiry, _), _)| *expiry < align(now));
            due.map(|(_, uid)| uid.clone()).collect::<Vec<_>>()
        };
        let mut due = over(&self.backoff);
        due.extend(over(&self.error_backoff));
        for uid in due {
            self.activate(&uid);
        }
        let waited = |since: &Time| now.since(*since) > POD_MAX_IN_UNSCHEDULABLE_PODS_DURATION;
        let left: Vec<Name> =
            self.unschedulable.iter().take_while(|(since, _)| waited(since)).map(|(_, uid)| uid.clone()).collect();
        for uid in left {
            if let Some(queued) = self.take(&uid) {
                self.requeue(queued, Strategy::AfterBackoff, now);
            }
        }
    }
}

/// `isPodWorthRequeuing`: asks the plugins that refused the pod.
fn worth_requeuing(queued: &QueuedPodInfo, event: ClusterEvent, change: &Change, listers: &Listers) -> Strategy {
    let rejectors = queued.unschedulable_plugins;
    if rejectors.is_empty() || event.resource == EventResource::WildCard {
        return Strategy::AfterBackoff;
    }
    let helps = rejectors.iter().any(|plugin| {
        run_hint(plugin, &queued.profile, event, &queued.pod, change, listers) == Some(QueueingHint::Queue)
    });
    if helps { Strategy::AfterBackoff } else { Strategy::Skip }
}
