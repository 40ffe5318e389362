//! Pods one after another: what a sync does about each place, and in which order.
//!
//! Follows `stateful_set_control.go` (`updateStatefulSet`, `processReplica`, `processCondemned`).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;

use crate::api::Resource;
use crate::client::ClientError;
use crate::controllers::pod_control::{SLOW_START_INITIAL_BATCH_SIZE, is_available, is_ready};
use crate::etcd::Why;
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;

use super::identity::{self, is_in_range, ordinal, revision_of, start, strategy, template, wanted};
use super::revisions::Revisions;
use super::{Control, min_ready, status};

/// `MaxBatchSize`: so many pods are created or deleted at once under `Parallel`.
const MAX_BATCH_SIZE: usize = 500;

/// A pod's phase as it is written; empty before the pod is stored.
pub(super) fn stored_phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("")
}

/// `isRunningAndReady`.
pub(super) fn is_running_and_ready(pod: &Pod) -> bool {
    stored_phase(pod) == "Running" && is_ready(pod)
}

/// `isUnavailable`.
fn is_unavailable(pod: &Pod, min_ready: Duration, now: Time) -> bool {
    !is_available(pod, min_ready, now) || pod.is_deleting()
}

/// Whether pods may come and go without waiting for each other: `allowsBurst`.
fn allows_burst(set: &StatefulSet) -> bool {
    set.spec.as_ref().and_then(|spec| spec.pod_management_policy.as_deref()) == Some("Parallel")
}

/// The pods of a set by what becomes of them.
struct Plan {
    /// One for each place, in order; those that are not there yet are made up.
    replicas: Vec<Arc<Pod>>,
    /// Those without a place, the last first.
    condemned: Vec<Arc<Pod>>,
    /// The name of the first pod that is not available: the only one that may go while others are not well.
    first_unavailable: Option<String>,
}

/// What one step of a sync came to.
enum Step {
    /// On to the next pod.
    Continue,
    /// Nothing more can be done now.
    Stop,
}

/// What is done with each pod in turn.
type Process<'f, C> = &'f mut dyn FnMut(&mut C, &Arc<Pod>) -> Result<Step, ClientError>;

/// Whether the pod of a place is made of the current revision rather than of the update:
/// `newVersionedStatefulSetPod`.
fn is_of_current(set: &StatefulSet, ordinal: i32) -> bool {
    let strategy = strategy(set);
    let current = set.status.as_ref().and_then(|status| status.current_replicas).unwrap_or(0);
    match strategy.rolling_update {
        Some(rolling) => ordinal < start(set) + rolling.partition.unwrap_or(0),
        None => strategy.type_.as_deref() == Some("RollingUpdate") && ordinal < start(set) + current,
    }
}

impl Control<'_, '_> {
    /// Sorts the pods by their places, and makes up those that lack.
    fn plan(&self, pods: &[Arc<Pod>], revisions: &Revisions) -> Plan {
        let set = &self.set;
        let (current, update) = (self.template(&revisions.current), template(set));
        let place = |ordinal: i32| {
            let known = pods.iter().rfind(|pod| identity::ordinal(pod) == ordinal).cloned();
            known.unwrap_or_else(|| {
                let (template, revision) = match is_of_current(set, ordinal) {
                    true => (&current, &revisions.current),
                    false => (&update, &revisions.update),
                };
                Arc::new(identity::new_pod(set, template, revision.name(), ordinal))
            })
        };
        let replicas: Vec<Arc<Pod>> = (0..wanted(set)).map(|index| place(start(set).saturating_add(index))).collect();
        let has_no_place = |pod: &&Arc<Pod>| !is_in_range(set, pod) && ordinal(pod) >= 0;
        let mut condemned: Vec<Arc<Pod>> = pods.iter().filter(has_no_place).cloned().collect();
        condemned.order_by_key(|pod| std::cmp::Reverse(ordinal(pod)));
        let (wait, now) = (min_ready(set), self.client.now);
        let mut in_order = replicas.iter().chain(condemned.iter().rev());
        let first_unavailable = in_order.find(|pod| is_unavailable(pod, wait, now)).map(|pod| pod.name().to_owned());
        Plan { replicas, condemned, first_unavailable }
    }

    /// Brings the pods nearer to what is wanted; the status is told even when that fails: `updateStatefulSet`.
    pub(super) fn update_pods(
        &mut self,
        pods: &[Arc<Pod>],
        revisions: &Revisions,
    ) -> (StatefulSetStatus, Result<(), ClientError>) {
        let mut status = status::new(&self.set, revisions);
        status::count(&mut status, pods.iter(), min_ready(&self.set), revisions, self.client.now);
        if self.set.is_deleting() {
            return (status, Ok(()));
        }
        let plan = self.plan(pods, revisions);
        let result = self.create_and_condemn(&plan);
        let all = plan.replicas.iter().chain(&plan.condemned);
        status::count(&mut status, all, min_ready(&self.set), revisions, self.client.now);
        match result {
            Ok(Step::Continue) => {
                let result = self.roll(&plan.replicas, revisions, &mut status);
                (status, result)
            }
            Ok(Step::Stop) => (status, Ok(())),
            Err(error) => (status, Err(error)),
        }
    }

    /// Everything but replacing pods of an old revision: places are filled, and what has none goes.
    fn create_and_condemn(&mut self, plan: &Plan) -> Result<Step, ClientError> {
        let monotonic = !allows_burst(&self.set);
        let mut process = |control: &mut Self, pod: &Arc<Pod>| control.process_replica(pod, monotonic);
        if let Step::Stop = self.run_for_all(&plan.replicas, monotonic, &mut process)? {
            return Ok(Step::Stop);
        }
        let mut fix_claims = |control: &mut Self, pod: &Arc<Pod>| {
            if !control.claims_match(pod) {
                control.update_claims(pod)?;
            }
            Ok(Step::Continue)
        };
        if let Step::Stop = self.run_for_all(&plan.condemned, monotonic, &mut fix_claims)? {
            return Ok(Step::Stop);
        }
        let mut condemn = |control: &mut Self, pod: &Arc<Pod>| control.process_condemned(pod, plan, monotonic);
        self.run_for_all(&plan.condemned, monotonic, &mut condemn)
    }

    /// One pod after another until one says stop, or all in batches that double: `runForAll`.
    fn run_for_all(
        &mut self,
        pods: &[Arc<Pod>],
        monotonic: bool,
        process: Process<'_, Self>,
    ) -> Result<Step, ClientError> {
        if monotonic {
            for pod in pods {
                if let Step::Stop = process(self, pod)? {
                    return Ok(Step::Stop);
                }
            }
            return Ok(Step::Continue);
        }
        let (mut rest, mut batch) = (pods, SLOW_START_INITIAL_BATCH_SIZE);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(batch.min(rest.len()));
            let mut failure = None;
            for pod in now {
                match process(self, pod) {
                    Err(error @ ClientError::Throttled(_)) => return Err(error),
                    Err(error) => drop(failure.get_or_insert(error)),
                    Ok(_) => {}
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
            (rest, batch) = (later, (2 * batch).min(MAX_BATCH_SIZE));
        }
        Ok(Step::Continue)
    }

    /// Fills a place, or waits for the pod in it: `processReplica`.
    fn process_replica(&mut self, pod: &Arc<Pod>, monotonic: bool) -> Result<Step, ClientError> {
        let phase = stored_phase(pod);
        if matches!(phase, "Failed" | "Succeeded") {
            // Its successor comes when it is gone.
            if !pod.is_deleting() {
                let gaps = [pod.name().to_owned(), self.set.name().to_owned()];
                self.delete_pod(pod, Why::new("Pod {} of StatefulSet {} has ended and makes room for another.", gaps))?;
            }
            return Ok(Step::Stop);
        }
        if phase.is_empty() {
            if self.has_stale_claim(pod) {
                return Ok(Step::Stop);
            }
            self.create_pod(pod)?;
            if monotonic {
                return Ok(Step::Stop);
            }
        }
        if phase == "Pending" {
            self.create_missing_claims(pod)?;
        }
        let available = is_available(pod, min_ready(&self.set), self.client.now);
        if monotonic && (pod.is_deleting() || !is_running_and_ready(pod) || !available) {
            return Ok(Step::Stop);
        }
        let set = &self.set;
        let matches =
            identity::identity_matches(set, pod) && identity::storage_matches(set, pod) && self.claims_match(pod);
        if !matches && !phase.is_empty() {
            self.update_pod(pod)?;
        }
        Ok(Step::Continue)
    }

    /// Lets a pod without a place go, when nothing stands in its way: `processCondemned`.
    fn process_condemned(&mut self, pod: &Arc<Pod>, plan: &Plan, monotonic: bool) -> Result<Step, ClientError> {
        if pod.is_deleting() {
            return Ok(if monotonic { Step::Stop } else { Step::Continue });
        }
        let well = is_running_and_ready(pod) && is_available(pod, min_ready(&self.set), self.client.now);
        if monotonic && !well && plan.first_unavailable.as_deref() != Some(pod.name()) {
            return Ok(Step::Stop);
        }
        let gaps = [self.set.name().to_owned(), wanted(&self.set).to_string(), pod.name().to_owned()];
        self.delete_pod(pod, Why::new("StatefulSet {} wants {} pods, and pod {} is the last one.", gaps))?;
        Ok(Step::Stop)
    }

    /// Replaces the last pod that is not of the update revision, once all after it are well.
    fn roll(
        &mut self,
        replicas: &[Arc<Pod>],
        revisions: &Revisions,
        status: &mut StatefulSetStatus,
    ) -> Result<(), ClientError> {
        let strategy = strategy(&self.set);
        if strategy.type_.as_deref() == Some("OnDelete") {
            return Ok(());
        }
        let partition = strategy.rolling_update.and_then(|rolling| rolling.partition).unwrap_or(0);
        let partition = usize::try_from(partition).unwrap_or(0);
        for pod in replicas.iter().skip(partition).rev() {
            if revision_of(pod) != revisions.update.name() && !pod.is_deleting() {
                let gaps = [pod.name().to_owned(), self.set.name().to_owned()];
                let why = Why::new("Pod {} is not of the newest revision of StatefulSet {}.", gaps);
                match self.delete_pod(pod, why) {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
                status.current_replicas = status.current_replicas.map(|count| count - 1).filter(|&count| count != 0);
                return Ok(());
            }
            if is_unavailable(pod, min_ready(&self.set), self.client.now) {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_partition_says_which_places_keep_the_current_revision() {
        let set = |strategy: serde_json::Value| -> StatefulSet {
            serde_json::from_value(json!({
                "metadata": {},
                "spec": { "selector": {}, "template": {}, "ordinals": { "start": 2 }, "updateStrategy": strategy },
                "status": { "replicas": 3, "currentReplicas": 1 },
            }))
            .expect("the set is well-formed")
        };
        let table = [
            (json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } }), [false, false, false]),
            (json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 2 } }), [true, true, false]),
            (json!({ "type": "RollingUpdate" }), [true, false, false]),
            (json!({ "type": "OnDelete" }), [false, false, false]),
        ];
        for (strategy, expected) in table {
            let set = set(strategy.clone());
            assert_eq!([2, 3, 4].map(|ordinal| is_of_current(&set, ordinal)), expected, "{strategy}");
        }
    }
}
