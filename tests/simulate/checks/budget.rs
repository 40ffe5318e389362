//! An eviction that is allowed leaves as many healthy pods as the budget wants.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kubetab::api::{Kind, Object, Resource as _};
use kubetab::machinery::labels::Selector;
use kubetab::machinery::time::Time;
use kubetab::session::{Action, Session};

use super::{Finding, Sight, is_deleting, is_ready, look};

/// So much after a pod broke, or a budget changed, the budget's status has to know.
const NOTICED: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Budgets {
    /// When a pod last ceased to be healthy otherwise than by an eviction, by namespace; when a budget or a workload
    /// was last changed.
    unsettled: BTreeMap<String, Time>,
}

impl Budgets {
    /// Notes what budgets cannot know of at once.
    pub fn commit(&mut self, sight: &Sight<'_>) {
        let commit = sight.commit;
        let is_unsettling = match (&commit.before, &commit.after) {
            (Some(Object::Pod(before)), after) if is_ready(before) && !is_deleting(before) => match after {
                Some(Object::Pod(after)) => {
                    !is_ready(after) || is_deleting(after) || before.metadata.labels != after.metadata.labels
                }
                _ => true,
            },
            (before, Some(Object::PodDisruptionBudget(after))) => match before {
                Some(Object::PodDisruptionBudget(before)) => before.spec != after.spec,
                _ => true,
            },
            (Some(before), Some(after)) => {
                // How many pods are wanted is read from their controllers.
                let workloads = [Kind::Deployment, Kind::ReplicaSet, Kind::StatefulSet];
                workloads.contains(&after.kind()) && before.metadata().generation != after.metadata().generation
            }
            _ => false,
        };
        let is_eviction = matches!(&commit.after, Some(Object::Pod(pod)) if is_evicted(pod));
        if is_unsettling && !is_eviction {
            self.unsettled.insert(commit.key.namespace.to_string(), commit.time);
        }
    }

    pub fn after_action(
        &mut self,
        session: &Session,
        action: &Action,
        is_success: bool,
        looks: &mut BTreeMap<&'static str, u64>,
    ) -> Finding {
        let Action::Request(call) = action else { return Ok(()) };
        if !is_success || !call.path.ends_with("/eviction") {
            return Ok(());
        }
        let body = &call.body["metadata"];
        let (namespace, name) = (body["namespace"].as_str().unwrap_or(""), body["name"].as_str().unwrap_or(""));
        let etcd = session.cluster().api().etcd();
        let evicted = etcd.commits(0).filter(|commit| &*commit.key.name == name && &*commit.key.namespace == namespace);
        let evicted = evicted.filter_map(|commit| commit.before.as_ref()?.downcast::<Pod>()).last();
        let Some(evicted) = evicted.filter(|pod| is_ready(pod)) else { return Ok(()) };
        if self.unsettled.get(namespace).is_some_and(|at| session.now().since(*at) < NOTICED) {
            return Ok(());
        }
        for (_, object) in etcd.range(Kind::PodDisruptionBudget, Some(namespace)) {
            let Some(budget) = object.downcast::<PodDisruptionBudget>() else { continue };
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            let Ok(selector) = Selector::from_label_selector(selector) else { continue };
            if !selector.matches(evicted.metadata.labels.as_ref().unwrap_or(&BTreeMap::new())) {
                continue;
            }
            look(looks, "evictions");
            let matching = etcd.range(Kind::Pod, Some(namespace)).filter_map(|(_, object)| object.downcast::<Pod>());
            let healthy = matching.filter(|pod| {
                let labels = pod.metadata.labels.clone().unwrap_or_default();
                selector.matches(&labels) && is_ready(pod) && !is_deleting(pod)
            });
            let (healthy, wanted) =
                (healthy.count(), budget.status.as_ref().and_then(|status| status.desired_healthy).unwrap_or(0));
            if (healthy as i64) < i64::from(wanted) {
                return Err(format!(
                    "evicting {name} leaves {healthy} healthy pods of {wanted} that budget {} wants",
                    budget.name()
                ));
            }
        }
        Ok(())
    }
}

fn is_evicted(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.reason.as_deref() == Some("EvictionByEvictionAPI"))
}
