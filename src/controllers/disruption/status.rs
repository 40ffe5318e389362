//! What a budget's status says. Follows `trySync` and what it calls in
//! `kubernetes/pkg/controller/disruption/disruption.go`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time as MetaTime};

use crate::api::{Resource, policy};
use crate::client::{Client, ClientError, EventType, Informers, Requeue};
use crate::controllers::pod_control::is_ready;
use crate::etcd::Why;
use crate::machinery::labels::{self, Selector};
use crate::machinery::time::Time;

use super::RECORDER;
use super::expected::{Expected, expected};

/// How long a pod that was to be disrupted counts as gone: `DeletionTimeout`.
const DELETION_TIMEOUT: Duration = Duration::from_secs(120);

/// Why a budget's status cannot be brought up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SyncError {
    /// A request failed.
    Client(ClientError),
    /// The pods that are meant to be there cannot be counted.
    Uncountable(String),
}

/// Brings a budget's status up to date.
pub(super) fn sync(
    budget: &PodDisruptionBudget,
    listers: &Informers,
    client: &mut Client<'_>,
) -> Result<Requeue, SyncError> {
    let spec = budget.spec.clone().unwrap_or_default();
    let selector = match Selector::from_label_selector(spec.selector.as_ref()) {
        Ok(selector) => selector,
        Err(why) => {
            let message = format!("Failed to get pods: {why}");
            client.event_from(RECORDER, budget, EventType::Warning, "NoPods", &message);
            return Err(SyncError::Uncountable(why));
        }
    };
    let is_meant = |pod: &&Arc<Pod>| selector.matches(&pod.metadata.labels.clone().unwrap_or_default());
    let pods: Vec<Arc<Pod>> = listers.list_in::<Pod>(budget.namespace()).filter(is_meant).cloned().collect();
    if pods.is_empty() {
        client.event_from(RECORDER, budget, EventType::Normal, "NoPods", "No matching pods found");
    }
    let expected = match expected(&spec, &pods, listers, client) {
        Ok(expected) => expected,
        Err(error) => {
            let why = match &error {
                SyncError::Uncountable(why) => why.clone(),
                SyncError::Client(ClientError::Api(status)) => status.message().to_owned(),
                SyncError::Client(_) => return Err(error),
            };
            let message = format!("Failed to calculate the number of expected pods: {why}");
            client.event_from(RECORDER, budget, EventType::Warning, "CalculateExpectedPodCountFailed", &message);
            return Err(error);
        }
    };
    if expected.has_unmanaged {
        client.event_from(RECORDER, budget, EventType::Warning, "UnmanagedPods", &unmanaged(spec.selector.as_ref()));
    }
    let known = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
    let disrupted = Disrupted::of(&pods, known, client.now);
    for pod in &disrupted.overdue {
        // Upstream names the namespace twice.
        let namespace = budget.namespace();
        let message = format!("Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't");
        client.event_from(RECORDER, &**pod, EventType::Warning, "NotDeleted", &message);
    }
    let healthy = count_healthy(&pods, &disrupted.waiting);
    update(budget, expected, healthy, &disrupted.waiting, client)?;
    let next = disrupted.next.map(|at| at.since(client.now));
    Ok(next.map_or(Requeue::Forget, Requeue::After))
}

/// What is said of pods that nobody can be asked about.
fn unmanaged(selector: Option<&LabelSelector>) -> String {
    format!(
        "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of \
         the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods \
         please set \".spec.minAvailable\" field of the PDB to an integer value.",
        labels::go_text(selector)
    )
}

/// The pods that a budget lets go and that are not gone yet.
#[derive(Debug, Default)]
struct Disrupted {
    /// Those that still count as gone, and since when.
    waiting: BTreeMap<String, MetaTime>,
    /// Those that should have gone by now.
    overdue: Vec<Arc<Pod>>,
    /// When the next one is overdue.
    next: Option<Time>,
}

impl Disrupted {
    /// `buildDisruptedPodMap`.
    fn of(pods: &[Arc<Pod>], known: Option<&BTreeMap<String, MetaTime>>, now: Time) -> Self {
        let mut disrupted = Self::default();
        for pod in pods.iter().filter(|pod| !pod.is_deleting()) {
            let Some(since) = known.and_then(|known| known.get(pod.name())) else { continue };
            let until = Time::from(since) + DELETION_TIMEOUT;
            if until < now {
                disrupted.overdue.push(Arc::clone(pod));
            } else {
                disrupted.next = Some(disrupted.next.map_or(until, |next| next.min(until)));
                disrupted.waiting.insert(pod.name().to_owned(), since.clone());
            }
        }
        disrupted
    }
}

/// `countHealthyPods`.
fn count_healthy(pods: &[Arc<Pod>], disrupted: &BTreeMap<String, MetaTime>) -> i32 {
    let stays = |pod: &&Arc<Pod>| !pod.is_deleting() && !disrupted.contains_key(pod.name());
    let healthy = pods.iter().filter(stays).filter(|pod| is_ready(pod)).count();
    i32::try_from(healthy).unwrap_or(i32::MAX)
}

/// How many pods may be disrupted. Where none are expected none may be, lest the first ones come without protection.
const fn disruptions_allowed(expected: Expected, healthy: i32) -> i32 {
    let rest = healthy.saturating_sub(expected.healthy);
    if expected.count <= 0 || rest <= 0 { 0 } else { rest }
}

/// `updatePdbStatus`.
fn update(
    budget: &PodDisruptionBudget,
    expected: Expected,
    healthy: i32,
    disrupted: &BTreeMap<String, MetaTime>,
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    let allowed = disruptions_allowed(expected, healthy);
    let old = budget.status.clone().unwrap_or_default();
    let mut new = PodDisruptionBudgetStatus {
        current_healthy: Some(healthy),
        desired_healthy: Some(expected.healthy),
        expected_pods: Some(expected.count),
        disruptions_allowed: Some(allowed),
        disrupted_pods: Some(disrupted.clone()).filter(|pods| !pods.is_empty()),
        observed_generation: budget.metadata.generation,
        conditions: old.conditions.clone(),
    };
    let numbers = |status: &PodDisruptionBudgetStatus| {
        let all = [status.current_healthy, status.desired_healthy, status.expected_pods, status.disruptions_allowed];
        (all.map(|number| number.unwrap_or(0)), status.disrupted_pods.clone().unwrap_or_default())
    };
    if numbers(&new) == numbers(&old)
        && new.observed_generation == old.observed_generation
        && policy::condition_is_up_to_date(budget)
    {
        return Ok(());
    }
    policy::update_condition(&mut new, client.now);
    client.because(Why::new(
        "{} pods of PodDisruptionBudget {} are healthy and {} must be.",
        [healthy.to_string(), budget.name().to_owned(), expected.healthy.to_string()],
    ));
    client.update_status(PodDisruptionBudget { status: Some(new), ..budget.clone() }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, ready: &str) -> Arc<Pod> {
        let status = json!({ "conditions": [{ "type": "Ready", "status": ready }] });
        Arc::new(serde_json::from_value(json!({ "metadata": { "name": name }, "status": status })).expect("a pod"))
    }

    #[test]
    fn pods_that_are_to_go_do_not_count_for_a_while() {
        let now = Time::DEFAULT_START;
        let pods = [pod("a", "True"), pod("b", "True"), pod("c", "False"), pod("d", "True")];
        let known = BTreeMap::from([("a".to_owned(), now.to_meta()), ("gone".to_owned(), now.to_meta())]);
        let disrupted = Disrupted::of(&pods, Some(&known), now);
        assert_eq!(disrupted.waiting.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(disrupted.next, Some(now + DELETION_TIMEOUT));
        assert_eq!(count_healthy(&pods, &disrupted.waiting), 2);
        let later = Disrupted::of(&pods, Some(&known), now + DELETION_TIMEOUT + Duration::from_secs(1));
        assert_eq!((later.waiting.len(), later.overdue.len(), later.next), (0, 1, None));
    }

    #[test]
    fn what_is_left_may_be_disrupted() {
        let table = [((3, 2), 3, 1), ((3, 2), 2, 0), ((3, 2), 0, 0), ((0, 0), 4, 0), ((7, 0), 7, 7)];
        for ((count, desired), healthy, allowed) in table {
            let expected = Expected { count, healthy: desired, has_unmanaged: false };
            assert_eq!(disruptions_allowed(expected, healthy), allowed, "{expected:?} {healthy}");
        }
    }
}
