//! Eviction: deletes a pod as politely as its disruption budget asks for.
//!
//! `kubernetes/pkg/registry/core/pod/storage/eviction.go`. Upstream tries again when a budget or pod changes between
//! its reads and its writes; here nothing comes between them.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::Value;

use crate::api::{Kind, Object, Resource, policy};
use crate::machinery::labels::Selector;
use crate::machinery::status::{Cause, Details, Reason, Status};

use super::pod::{is_ready, json, set_condition};
use super::write::store_error;
use super::{ApiServer, Body, Context, DeleteOptions, Response, Target, WriteOptions};

/// So many evictions a budget waits for at most: `MaxDisruptedPodSize`.
const DISRUPTED_PODS_MAX: usize = 2000;
const REFUSAL: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

impl ApiServer {
    /// Answers `POST …/pods/NAME/eviction`.
    pub(super) fn evict(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Response, Status> {
        let eviction = json(body)?;
        if eviction["metadata"]["name"].as_str().unwrap_or("") != &*target.name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        let mut delete = delete_options(&eviction["deleteOptions"], options)?;
        let pod = self.pod(target)?;
        if !ignores_budgets(&pod) {
            self.ask_budget(context, &pod, delete.dry_run)?;
        }
        if !delete.dry_run {
            check_preconditions(&pod, &delete)?;
            self.mark_evicted(context, &pod)?;
            // The mark made a new version; the one that was asked for has been checked.
            delete.resource_version = None;
        }
        self.delete(context, &target.key(), Kind::Pod, &delete)?;
        Ok(Response::Value(serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
        })))
    }

    /// Takes one disruption from the budget over a pod, unless the pod may go without.
    fn ask_budget(&mut self, context: &Context<'_>, pod: &Pod, dry_run: bool) -> Result<(), Status> {
        let budgets = self.budgets_of(pod);
        let budget = match budgets.as_slice() {
            [] => return Ok(()),
            [budget] => Arc::clone(budget),
            _ => {
                let why =
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Err(Status::new(Reason::Unknown, why));
            }
        };
        if !is_ready(pod) && may_lose_unhealthy(&budget) {
            return Ok(());
        }
        let Some(changed) = check_and_decrement(&budget, pod, context.now)?.filter(|_| !dry_run) else { return Ok(()) };
        let key = budget.key();
        self.etcd
            .update(context.now, &Object::PodDisruptionBudget(budget), Object::from(changed), context.cause.clone())
            .map(drop)
            .map_err(|error| store_error(Kind::PodDisruptionBudget, &key, &error))
    }

    /// The budgets whose selectors fit a pod.
    fn budgets_of(&self, pod: &Pod) -> Vec<Arc<PodDisruptionBudget>> {
        let budgets = self.etcd.range(Kind::PodDisruptionBudget, Some(pod.namespace()));
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let fits = |budget: &&Arc<PodDisruptionBudget>| {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            Selector::from_label_selector(selector).is_ok_and(|selector| selector.matches(&labels))
        };
        budgets.filter_map(|(_, object)| object.downcast()).filter(fits).cloned().collect()
    }

    /// Says in a pod's status why it goes: `addConditionAndDeletePod`.
    fn mark_evicted(&mut self, context: &Context<'_>, pod: &Arc<Pod>) -> Result<(), Status> {
        let mut marked = (**pod).clone();
        let conditions = marked.status.get_or_insert_default().conditions.get_or_insert_default();
        let why = Some(("EvictionByEvictionAPI", "Eviction API: evicting"));
        set_condition(conditions, "DisruptionTarget", "True", why, None, context.now);
        if marked == **pod {
            return Ok(());
        }
        self.etcd
            .update(context.now, &Object::Pod(Arc::clone(pod)), Object::from(marked), context.cause.clone())
            .map(drop)
            .map_err(|error| store_error(Kind::Pod, &pod.key(), &error))
    }
}

/// The options of the deletion, which may say as well that it is a trial: `propagateDryRun`.
fn delete_options(wanted: &Value, options: &WriteOptions) -> Result<DeleteOptions, Status> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let propagation = match wanted["propagationPolicy"].as_str() {
        Some("Orphan") => Some(super::Propagation::Orphan),
        Some("Background") => Some(super::Propagation::Background),
        Some("Foreground") => Some(super::Propagation::Foreground),
        _ => None,
    };
    let tries: Vec<&str> = wanted["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if tries.iter().any(|value| *value != "All") {
        let path = crate::machinery::field::Path::new("dryRun");
        let error = crate::machinery::field::FieldError::not_supported(&path, serde_json::json!(tries), &["All"]);
        return Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", &vec![error]));
    }
    Ok(DeleteOptions {
        grace_period_seconds: wanted["gracePeriodSeconds"].as_i64(),
        propagation,
        uid: text(&wanted["preconditions"]["uid"]),
        resource_version: text(&wanted["preconditions"]["resourceVersion"]),
        dry_run: options.dry_run || !tries.is_empty(),
    })
}

/// What the deletion would refuse must not leave a mark.
fn check_preconditions(pod: &Pod, delete: &DeleteOptions) -> Result<(), Status> {
    let differs = |what: &str, wanted: &Option<String>, found: &Option<String>| match wanted {
        Some(wanted) if Some(wanted) != found.as_ref() => {
            let found = found.as_deref().unwrap_or("");
            let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
            Err(Status::conflict("", "Pod", pod.name(), &why))
        }
        _ => Ok(()),
    };
    differs("UID", &delete.uid, &pod.metadata.uid)?;
    differs("ResourceVersion", &delete.resource_version, &pod.metadata.resource_version)
}

/// A pod that has ended, has not begun or goes already disrupts nothing: `canIgnorePDB`.
fn ignores_budgets(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.is_deleting() || matches!(phase, Some("Succeeded" | "Failed" | "Pending"))
}

/// Whether a pod that is not ready may go without asking: always, or while the others are healthy enough.
fn may_lose_unhealthy(budget: &PodDisruptionBudget) -> bool {
    let numbers = budget.status.as_ref().map(|status| (status.current_healthy, status.desired_healthy));
    let (current, desired) = numbers.map_or((0, 0), |(current, desired)| (current.unwrap_or(0), desired.unwrap_or(0)));
    policy::always_allows_unhealthy(budget) || (current >= desired && desired > 0)
}

/// The budget with one disruption less, or why there is none: `checkAndDecrement`.
fn check_and_decrement(
    budget: &PodDisruptionBudget,
    pod: &Pod,
    now: crate::machinery::time::Time,
) -> Result<Option<PodDisruptionBudget>, Status> {
    let name = budget.name();
    let mut changed = budget.clone();
    let status = changed.status.get_or_insert_default();
    if status.observed_generation.unwrap_or(0) < budget.metadata.generation.unwrap_or(0) {
        let cause = format!("The disruption budget {name} is still being processed by the server.");
        return Err(too_many_requests(cause, Some(10)));
    }
    let allowed = policy::allowed(Some(status));
    let forbidden = |why: &str| Err(Status::forbidden("policy", "poddisruptionbudget", name, why));
    if allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    if status.disrupted_pods.as_ref().is_some_and(|pods| pods.len() > DISRUPTED_PODS_MAX) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if allowed == 0 {
        let (desired, current) = (status.desired_healthy.unwrap_or(0), status.current_healthy.unwrap_or(0));
        let cause = format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently");
        return Err(too_many_requests(cause, None));
    }
    status.disruptions_allowed = Some(allowed - 1);
    if allowed == 1 {
        policy::update_condition(status, now);
    }
    status.disrupted_pods.get_or_insert_default().insert(pod.name().to_owned(), now.to_meta());
    Ok(Some(changed))
}

fn too_many_requests(message: String, retry_after_seconds: Option<u32>) -> Status {
    let cause = Cause { reason: "DisruptionBudget".to_owned(), message, field: String::new() };
    let details = Details { causes: vec![cause], retry_after_seconds, ..Details::default() };
    Status::with_details(Reason::TooManyRequests, REFUSAL, details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::time::Time;
    use serde_json::json;

    fn budget(status: Value) -> PodDisruptionBudget {
        serde_json::from_value(json!({ "metadata": { "name": "b", "generation": 2 }, "status": status }))
            .expect("a budget")
    }

    #[test]
    fn a_budget_is_used_up() {
        let pod: Pod = serde_json::from_value(json!({ "metadata": { "name": "p" } })).expect("a pod");
        let try_on = |status: Value| match check_and_decrement(&budget(status), &pod, Time::DEFAULT_START) {
            Ok(Some(changed)) => {
                let status = changed.status.unwrap_or_default();
                let waits = status.disrupted_pods.is_some_and(|pods| pods.contains_key("p"));
                format!("{} left, waits for it: {waits}", status.disruptions_allowed.unwrap_or(-1))
            }
            Ok(None) => String::new(),
            Err(status) => status.details().causes[0].message.clone(),
        };
        let table = [
            (json!({ "observedGeneration": 2, "disruptionsAllowed": 2 }), "1 left, waits for it: true"),
            (
                json!({ "observedGeneration": 1, "disruptionsAllowed": 2 }),
                "The disruption budget b is still being processed by the server.",
            ),
            (
                json!({ "observedGeneration": 2, "disruptionsAllowed": 0, "desiredHealthy": 3, "currentHealthy": 2 }),
                "The disruption budget b needs 3 healthy pods and has 2 currently",
            ),
        ];
        for (status, expected) in table {
            assert_eq!(try_on(status.clone()), expected, "{status}");
        }
    }

    #[test]
    fn a_pod_that_is_not_ready_may_go_while_the_others_are() {
        let table = [((2, 2), true), ((1, 2), false), ((0, 0), false)];
        for ((current, desired), expected) in table {
            let budget = budget(json!({ "currentHealthy": current, "desiredHealthy": desired }));
            assert_eq!(may_lose_unhealthy(&budget), expected, "{current} of {desired}");
        }
    }
}
