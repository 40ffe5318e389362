//! Keeps the status of PodDisruptionBudgets: how many of their pods may be disrupted right now.
//!
//! Guarantees that `disruptionsAllowed` is what the pods' readiness leaves of what the budget demands, and 0 while that
//! cannot be told; that pods which were to be disrupted count as gone until they are, or for two minutes; and that a
//! pod's `DisruptionTarget` condition is taken back when nothing came of it. Watches PodDisruptionBudgets and Pods, and
//! reads what owns pods. Follows `kubernetes/pkg/controller/disruption`.

mod expected;
mod status;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use crate::api::{Kind, ObjectKey, Resource, policy};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::labels::Selector;
use crate::machinery::time::Time;

use super::pod_control::{condition, phase};
use super::pod_status::{patch_status, update_condition};

/// After this a pod that was to be disrupted, and was not, counts as staying: `stalePodDisruptionTimeout`.
const STALE_DISRUPTION_TIMEOUT: Duration = Duration::from_secs(120);
/// How the controller calls itself in events.
const RECORDER: &str = "controllermanager";
/// Keys whose namespace begins so are pods with a `DisruptionTarget` condition; a name has no slash.
const STALE: &str = "stale/";
/// Keys whose namespace begins so are pods under several budgets.
const SEVERAL: &str = "several/";

/// The disruption controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct DisruptionController;

fn pod_key(sort: &str, pod: &Pod) -> QueueKey {
    ObjectKey::new(format!("{sort}{}", pod.namespace()), pod.name())
}

/// The budgets whose selectors fit a pod, in the order of their names.
fn budgets_of<'a>(pod: &'a Pod, listers: &'a Informers) -> impl Iterator<Item = &'a PodDisruptionBudget> {
    let fits = move |budget: &&PodDisruptionBudget| {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        Selector::from_label_selector(selector).is_ok_and(|selector| selector.matches(&labels))
    };
    listers.list_in::<PodDisruptionBudget>(pod.namespace()).map(|budget| &**budget).filter(fits)
}

/// How long it takes until a pod's `DisruptionTarget` is stale; `None` when it cannot become so
/// (`nonTerminatingPodHasStaleDisruptionCondition`).
fn stale_in(pod: &Pod, now: Time) -> Option<Duration> {
    let has_ended = matches!(phase(pod), "Succeeded" | "Failed");
    let target = condition(pod, "DisruptionTarget").filter(|target| target.status == "True")?;
    if pod.is_deleting() || has_ended || target.reason.as_deref() == Some("TerminationByKubelet") {
        return None;
    }
    let since = target.last_transition_time.as_ref().map_or(now, Time::from);
    Some((since + STALE_DISRUPTION_TIMEOUT).since(now))
}

impl DisruptionController {
    /// Tells of a pod that several budgets claim: only one of them follows its changes.
    fn tell_of_several(pod: &Pod, listers: &Informers, client: &mut Client<'_>) {
        let mut budgets = budgets_of(pod, listers);
        let (Some(chosen), Some(_)) = (budgets.next(), budgets.next()) else { return };
        let message = format!(
            "Pod {:?}/{:?} matches multiple PodDisruptionBudgets.  Chose {:?} arbitrarily.",
            pod.namespace(),
            pod.name(),
            chosen.name()
        );
        client.event_from(RECORDER, pod, EventType::Warning, "MultiplePodDisruptionBudgets", &message);
    }

    /// Takes the condition of a disruption back that did not come: `syncStalePodDisruption`.
    fn clean_up(pod: &Pod, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        match stale_in(pod, client.now) {
            None => return Ok(Requeue::Forget),
            Some(wait) if !wait.is_zero() => return Ok(Requeue::After(wait)),
            Some(_) => {}
        }
        let mut status = pod.status.clone().unwrap_or_default();
        let target = PodCondition {
            type_: "DisruptionTarget".to_owned(),
            status: "False".to_owned(),
            observed_generation: pod.metadata.generation,
            ..PodCondition::default()
        };
        if update_condition(&mut status, target, client.now) {
            client.because(Why::new("Pod {} was to be disrupted and was not.", [pod.name().to_owned()]));
            patch_status(pod, &status, client)?;
        }
        Ok(Requeue::Forget)
    }

    /// `failSafe`: what cannot be counted must not be disrupted.
    fn fail_safe(budget: &PodDisruptionBudget, error: &str, client: &mut Client<'_>) -> Result<(), ClientError> {
        let mut changed = budget.clone();
        let status = changed.status.get_or_insert_default();
        status.disruptions_allowed = Some(0);
        policy::set_condition(status, "False", "SyncFailed", error, client.now);
        client.because(Why::new("The pods of PodDisruptionBudget {} cannot be counted.", [budget.name().to_owned()]));
        client.update_status(changed).map(drop)
    }
}

impl Controller for DisruptionController {
    fn name(&self) -> &'static str {
        "disruption-controller"
    }

    /// `disruption-controller` runs one worker for its budgets.
    fn workers(&self) -> usize {
        1
    }

    fn watches(&self) -> Vec<WatchSpec> {
        let kinds = [
            Kind::PodDisruptionBudget,
            Kind::Pod,
            Kind::ReplicationController,
            Kind::ReplicaSet,
            Kind::Deployment,
            Kind::StatefulSet,
        ];
        kinds.into_iter().map(WatchSpec::all).collect()
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        if event.kind == Kind::PodDisruptionBudget {
            if event.after.is_some() || event.before.is_some() {
                queue.add(event.key.clone());
            }
            return;
        }
        let Some(pod) = event.newest::<Pod>() else { return };
        let mut budgets = budgets_of(pod, listers);
        if let Some(budget) = budgets.next() {
            queue.add(budget.key());
            if budgets.next().is_some() {
                queue.add(pod_key(SEVERAL, pod));
            }
        }
        let is_target = condition(pod, "DisruptionTarget").is_some_and(|target| target.status == "True");
        if event.after.is_some() && is_target && !pod.is_deleting() {
            queue.add(pod_key(STALE, pod));
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        for sort in [STALE, SEVERAL] {
            let Some(namespace) = key.namespace.strip_prefix(sort) else { continue };
            let Some(pod) = listers.get::<Pod>(&ObjectKey::new(namespace, key.name.clone())).cloned() else {
                return Ok(Requeue::Forget);
            };
            if sort == STALE {
                return Self::clean_up(&pod, client);
            }
            Self::tell_of_several(&pod, listers, client);
            return Ok(Requeue::Forget);
        }
        let Some(budget) = listers.get::<PodDisruptionBudget>(key).cloned() else { return Ok(Requeue::Forget) };
        match status::sync(&budget, listers, client) {
            Ok(requeue) => Ok(requeue),
            Err(status::SyncError::Client(error)) => match &error {
                ClientError::Api(status) if !status.is_conflict() => {
                    Self::fail_safe(&budget, status.message(), client)?;
                    Ok(Requeue::Forget)
                }
                _ => Err(error),
            },
            Err(status::SyncError::Uncountable(why)) => {
                Self::fail_safe(&budget, &why, client)?;
                Ok(Requeue::Forget)
            }
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_disruption_that_does_not_come_grows_stale() {
        let now = Time::DEFAULT_START;
        let pod = |status: &str, phase: &str, reason: &str| -> Pod {
            let condition = json!({
                "type": "DisruptionTarget", "status": status, "reason": reason, "lastTransitionTime": now.to_meta(),
            });
            serde_json::from_value(json!({ "status": { "phase": phase, "conditions": [condition] } })).expect("a pod")
        };
        let later = now + Duration::from_secs(90);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let table = [
            (pod("True", "Running", "EvictionByEvictionAPI"), now, seconds(120)),
            (pod("True", "Running", "EvictionByEvictionAPI"), later, seconds(30)),
            (pod("True", "Running", "EvictionByEvictionAPI"), later + Duration::from_secs(60), seconds(0)),
            (pod("True", "Running", "TerminationByKubelet"), later, None),
            (pod("True", "Failed", "EvictionByEvictionAPI"), later, None),
            (pod("False", "Running", ""), later, None),
        ];
        for (pod, now, expected) in table {
            assert_eq!(stale_in(&pod, now), expected, "{:?}", pod.status);
        }
    }
}
