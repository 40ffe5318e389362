//! As many pods as a Job is to have: `manageJob`.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use serde_json::json;

use super::JobController;
use super::backoff::remaining_for_index;
use super::context::{SyncContext, TRACKING_FINALIZER, has_finalizer, is_indexed, is_suspended, replaces_only_failed};
use super::failure_policy;
use super::indexes::{
    COMPLETION_INDEX, FAILURE_COUNT, IGNORED_FAILURE_COUNT, add_completion_index_variable, completion_index,
    failure_count, generate_name, ignored_failure_count, indexes_of,
};
use crate::api::{Kind, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{Client, ClientError, EventType, QueueKey};
use crate::controllers::pod_control::{
    SLOW_START_INITIAL_BATCH_SIZE, is_namespace_terminating, is_ready, is_terminating, max_restarts, node_name, phase,
    pod_from_template, ready_since,
};
use crate::etcd::Why;
use crate::machinery::order::Order as _;
use crate::machinery::patch::strategic::DELETE_FROM_PRIMITIVE_LIST;
use crate::machinery::time::Time;

/// `MaxPodCreateDeletePerSync`.
const PODS_PER_SYNC_MAX: usize = 500;
/// `syncJobBatchPeriod`: so long, changes are gathered before the Job is looked at.
pub(super) const SYNC_JOB_BATCH_PERIOD: Duration = Duration::from_secs(1);

/// What came of it.
pub(super) struct Managed {
    /// How many pods are active now.
    pub active: i32,
    /// The first request that failed.
    pub failure: Option<ClientError>,
}

fn as_count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// How many pods should be active.
fn wanted(spec: &JobSpec, succeeded: i32, active: i32) -> i32 {
    let parallelism = spec.parallelism.unwrap_or(1);
    match spec.completions {
        // Pods that work on a queue are left to end once one of them found nothing more to do.
        None if succeeded > 0 => active,
        None => parallelism,
        Some(completions) => (completions - succeeded).min(parallelism).max(0),
    }
}

/// The sooner a pod goes, the less it has come to: `controller.ActivePods`.
fn sort_for_removal(pods: &mut [Arc<Pod>]) {
    let stage = |pod: &Pod| match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(Time::from).unwrap_or_default();
    let worth = |pod: &Pod| {
        (
            !node_name(pod).is_empty(),
            stage(pod),
            is_ready(pod),
            Reverse(ready_since(pod).unwrap_or_default()),
            Reverse(max_restarts(pod)),
            Reverse(created(pod)),
        )
    };
    pods.order_by(|a, b| worth(a).cmp(&worth(b)));
}

/// At least so many pods to remove; of an indexed Job all that have no number, one that is too large, or the number of
/// another: `activePodsForRemoval`.
fn pods_for_removal(spec: &JobSpec, pods: &[Arc<Pod>], at_least: usize) -> Vec<Arc<Pod>> {
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    if is_indexed(spec) {
        let index_of = |pod: &Arc<Pod>| completion_index(pod).filter(|at| *at < spec.completions.unwrap_or(0));
        removed.extend(pods.iter().filter(|pod| index_of(pod).is_none()).cloned());
        for index in indexes_of(pods) {
            let mut same: Vec<Arc<Pod>> = pods.iter().filter(|pod| index_of(pod) == Some(index)).cloned().collect();
            sort_for_removal(&mut same);
            left.extend(same.pop());
            removed.extend(same);
        }
    } else {
        left = pods.to_vec();
    }
    if removed.len() < at_least {
        sort_for_removal(&mut left);
        let more = at_least - removed.len();
        removed.extend(left.into_iter().take(more));
    }
    removed
}

impl JobController {
    /// Creates the pods that are missing, or deletes those that are too many.
    pub(super) fn manage(&mut self, key: &QueueKey, context: &mut SyncContext<'_>, client: &mut Client<'_>) -> Managed {
        let spec = context.spec;
        let active = as_count(context.active_pods.len());
        if is_suspended(spec) {
            client.because(Why::new("Job {} is suspended.", [context.job.name().to_owned()]));
            let pods = pods_for_removal(spec, &context.active_pods, context.active_pods.len());
            return self.delete_pods(key, context, pods, client);
        }
        let wanted = wanted(spec, context.succeeded, active);
        let at_least = usize::try_from(active - wanted).unwrap_or(0);
        let mut pods = pods_for_removal(spec, &context.active_pods, at_least);
        pods.truncate(PODS_PER_SYNC_MAX);
        if !pods.is_empty() {
            client.because(Why::new(
                "{} pods of Job {} are active where {} are to be.",
                [active.to_string(), context.job.name().to_owned(), wanted.to_string()],
            ));
            return self.delete_pods(key, context, pods, client);
        }
        let terminating = if replaces_only_failed(spec) { context.terminating } else { 0 };
        let missing = usize::try_from(wanted - terminating - active).unwrap_or(0);
        if missing == 0 {
            return Managed { active, failure: None };
        }
        self.create_missing(key, context, missing.min(PODS_PER_SYNC_MAX), client)
    }

    /// Creates pods, unless failures before make it wait.
    fn create_missing(
        &mut self,
        key: &QueueKey,
        context: &SyncContext<'_>,
        missing: usize,
        client: &mut Client<'_>,
    ) -> Managed {
        let per_index = context.spec.backoff_limit_per_index.is_some();
        let wait = if per_index { Duration::ZERO } else { context.backoff.remaining(client.now) };
        let chosen = if is_indexed(context.spec) { Some(pending_indexes(context, missing)) } else { None };
        let (indexes, wait) = match chosen {
            Some(indexes) if per_index => indexes_due(context, indexes, client.now),
            chosen => (chosen.unwrap_or_default(), wait),
        };
        if !wait.is_zero() {
            client.enqueue_after(key.clone(), wait.max(SYNC_JOB_BATCH_PERIOD));
            // While it waits, upstream's `manageJob` says that no pod is active, whatever others go on running.
            return Managed { active: 0, failure: None };
        }
        let count = if is_indexed(context.spec) { indexes.len() } else { missing };
        client.because(Why::new(
            "{} pods of Job {} are active, and {} more are to be.",
            [context.active_pods.len().to_string(), context.job.name().to_owned(), count.to_string()],
        ));
        self.create_pods(key, context, count, &indexes, client)
    }

    /// Creates pods in batches that double as long as all succeed.
    fn create_pods(
        &mut self,
        key: &QueueKey,
        context: &SyncContext<'_>,
        count: usize,
        indexes: &[i32],
        client: &mut Client<'_>,
    ) -> Managed {
        self.expectations.expect_creations(key, count, client.now);
        let template = tracked_template(context.spec);
        let mut active = as_count(context.active_pods.len());
        let (mut tried, mut batch, mut failure) = (0, SLOW_START_INITIAL_BATCH_SIZE, None);
        while tried < count && failure.is_none() {
            for _ in 0..batch.min(count - tried) {
                let pod = new_pod(context, &template, indexes.get(tried).copied());
                tried += 1;
                match client.create(pod) {
                    Ok(pod) => {
                        active += 1;
                        let message = format!("Created pod: {}", pod.name());
                        client.event(context.job, EventType::Normal, "SuccessfulCreate", &message);
                    }
                    Err(error) => {
                        self.expectations.creation_observed(key);
                        if is_namespace_terminating(&error) {
                            continue;
                        }
                        if let ClientError::Api(status) = &error {
                            let message = format!("Error creating: {status}");
                            client.event(context.job, EventType::Warning, "FailedCreate", &message);
                        }
                        let limited = matches!(error, ClientError::Throttled(_));
                        failure.get_or_insert(error);
                        if limited {
                            break;
                        }
                    }
                }
            }
            batch *= 2;
        }
        // What was not even tried will not be seen either.
        for _ in tried..count {
            self.expectations.creation_observed(key);
        }
        Managed { active, failure }
    }

    /// Deletes pods that are not to be counted, so that nothing need keep them: `deleteJobPods`.
    fn delete_pods(
        &mut self,
        key: &QueueKey,
        context: &mut SyncContext<'_>,
        pods: Vec<Arc<Pod>>,
        client: &mut Client<'_>,
    ) -> Managed {
        self.expectations.expect_deletions(key, pods.iter().map(|pod| pod.uid().to_owned()), client.now);
        let mut managed = Managed { active: as_count(context.active_pods.len()), failure: None };
        for pod in pods {
            let removed = remove_finalizer(&pod, client).and_then(|()| delete_pod(context, &pod, client));
            if let Err(error) = removed {
                self.expectations.deletion_observed(key, pod.uid());
                if !error.is_not_found() {
                    managed.failure.get_or_insert(error);
                    continue;
                }
            }
            managed.active -= 1;
            context.terminating += 1;
            context.ready -= i32::from(is_ready(&pod));
        }
        managed
    }

    /// Deletes the pods of a Job that is about to end; their ends are still to be counted: `deleteActivePods`.
    pub(super) fn delete_active_pods(context: &mut SyncContext<'_>, client: &mut Client<'_>) -> Managed {
        client.because(Why::new("Job {} is about to end.", [context.job.name().to_owned()]));
        let pods = context.active_pods.clone();
        let mut managed = Managed { active: as_count(pods.len()), failure: None };
        for pod in pods {
            context.ready -= i32::from(is_ready(&pod));
            match delete_pod(context, &pod, client) {
                Err(error) if !error.is_not_found() => drop(managed.failure.get_or_insert(error)),
                _ => {
                    managed.active -= 1;
                    context.terminating += 1;
                }
            }
        }
        managed
    }
}

/// The numbers that no pod works at, and that are neither done nor given up: `firstPendingIndexes`.
fn pending_indexes(context: &SyncContext<'_>, count: usize) -> Vec<i32> {
    let mut taken = context.succeeded_indexes.with(indexes_of(&context.active_pods));
    if replaces_only_failed(context.spec) {
        taken = taken.with(indexes_of(context.pods.iter().filter(|pod| is_terminating(pod))));
    }
    if let Some(failed) = &context.failed_indexes {
        taken = taken.merge(failed);
    }
    taken.first_missing(count, context.spec.completions.unwrap_or(0))
}

/// Those of the numbers that need not wait, or else how long the first must:
/// `getPodCreationInfoForIndependentIndexes`.
fn indexes_due(context: &SyncContext<'_>, indexes: Vec<i32>, now: Time) -> (Vec<i32>, Duration) {
    let wait = |index: &i32| remaining_for_index(context.delayed.get(index).map(|pod| &**pod), now);
    let due: Vec<i32> = indexes.iter().copied().filter(|index| wait(index).is_zero()).collect();
    if !due.is_empty() {
        return (due, Duration::ZERO);
    }
    (due, indexes.iter().map(wait).min().unwrap_or_default())
}

/// The Job's template with the finalizer, and with the pods' number among the variables.
fn tracked_template(spec: &JobSpec) -> PodTemplateSpec {
    let mut template = spec.template.clone();
    if is_indexed(spec) {
        add_completion_index_variable(&mut template);
    }
    let finalizers = template.metadata.get_or_insert_default().finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == TRACKING_FINALIZER) {
        finalizers.push(TRACKING_FINALIZER.to_owned());
    }
    template
}

fn new_pod(context: &SyncContext<'_>, template: &PodTemplateSpec, index: Option<i32>) -> Pod {
    let mut pod = pod_from_template(template, context.job);
    let Some(index) = index else { return pod };
    let name = context.job.name();
    pod.metadata.generate_name = Some(generate_name(name, index));
    pod.metadata.labels.get_or_insert_default().insert(COMPLETION_INDEX.to_owned(), index.to_string());
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(COMPLETION_INDEX.to_owned(), index.to_string());
    if context.spec.backoff_limit_per_index.is_some() {
        let (failures, ignored) = new_failure_counts(context, index);
        annotations.insert(FAILURE_COUNT.to_owned(), failures.to_string());
        if ignored > 0 {
            annotations.insert(IGNORED_FAILURE_COUNT.to_owned(), ignored.to_string());
        }
    }
    pod.spec.get_or_insert_default().hostname = Some(format!("{name}-{index}"));
    pod
}

/// How often the index failed, the pod that is replaced among them: `getNewIndexFailureCounts`.
fn new_failure_counts(context: &SyncContext<'_>, index: i32) -> (i32, i32) {
    let Some(replaced) = context.delayed.get(&index) else { return (0, 0) };
    let counts = failure_policy::judge(context.spec.pod_failure_policy.as_ref(), replaced).counts();
    (failure_count(replaced) + i32::from(counts), ignored_failure_count(replaced) + i32::from(!counts))
}

/// Takes the controller's finalizer from a pod that has it.
pub(super) fn remove_finalizer(pod: &Pod, client: &mut Client<'_>) -> Result<(), ClientError> {
    if !has_finalizer(pod) {
        return Ok(());
    }
    let list = format!("{DELETE_FROM_PRIMITIVE_LIST}/finalizers");
    let patch = json!({ "metadata": { list: [TRACKING_FINALIZER] } });
    client.patch::<Pod>(&pod.key(), patch).map(|_| ())
}

fn delete_pod(context: &SyncContext<'_>, pod: &Pod, client: &mut Client<'_>) -> Result<(), ClientError> {
    match client.delete(Kind::Pod, &pod.key(), DeleteOptions::default()) {
        Ok(()) => {
            let message = format!("Deleted pod: {}", pod.name());
            client.event(context.job, EventType::Normal, "SuccessfulDelete", &message);
            Ok(())
        }
        Err(error) => {
            if let ClientError::Api(status) = &error
                && !status.is_not_found()
            {
                let message = format!("Error deleting: {status}");
                client.event(context.job, EventType::Warning, "FailedDelete", &message);
            }
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallelism_and_what_is_left_bound_the_pods() {
        for (completions, parallelism, succeeded, active, expected) in [
            (Some(5), 2, 0, 0, 2),
            (Some(5), 2, 4, 1, 1),
            (Some(5), 2, 5, 0, 0),
            (Some(5), 2, 7, 0, 0),
            (Some(3), 10, 0, 0, 3),
            (None, 3, 0, 1, 3),
            (None, 3, 1, 2, 2),
            (Some(1), 0, 0, 0, 0),
        ] {
            let spec = JobSpec { completions, parallelism: Some(parallelism), ..JobSpec::default() };
            let wanted = wanted(&spec, succeeded, active);
            assert_eq!(wanted, expected, "{completions:?}/{parallelism}, {succeeded} succeeded, {active} active");
        }
    }

    fn pod(name: &str, index: Option<i32>, phase: &str) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.to_owned());
        if let Some(index) = index {
            pod.metadata.annotations.get_or_insert_default().insert(COMPLETION_INDEX.to_owned(), index.to_string());
        }
        pod.status.get_or_insert_default().phase = Some(phase.to_owned());
        Arc::new(pod)
    }

    #[test]
    fn pods_that_came_to_less_go_first_and_numbers_are_had_once() {
        let names = |pods: Vec<Arc<Pod>>| pods.iter().map(|pod| pod.name().to_owned()).collect::<Vec<_>>();
        let plain = [pod("running", None, "Running"), pod("pending", None, "Pending")];
        assert_eq!(names(pods_for_removal(&JobSpec::default(), &plain, 1)), ["pending"]);
        let indexed =
            JobSpec { completion_mode: Some("Indexed".to_owned()), completions: Some(2), ..JobSpec::default() };
        let pods = [
            pod("none", None, "Running"),
            pod("zero", Some(0), "Running"),
            pod("zero-too", Some(0), "Pending"),
            pod("one", Some(1), "Running"),
            pod("five", Some(5), "Running"),
        ];
        assert_eq!(names(pods_for_removal(&indexed, &pods, 0)), ["none", "five", "zero-too"]);
    }
}
