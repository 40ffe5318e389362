//! What pods cost of a quota. Follows `pkg/quota/v1/evaluator/core/pods.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm, PodSpec, ScopedResourceSelectorRequirement};

use super::{amounts, whole};
use crate::api::Object;
use crate::api::check::{list, text};
use crate::api::core::pod::qos;
use crate::api::core::pod::requirements::is_extended;
use crate::api::core::pod::resources::{Amounts, is_native, pod_limits, pod_requests};
use crate::machinery::time::Time;

/// `podResources`.
const RESOURCES: [&str; 11] = [
    "count/pods",
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
];

/// What every container must name when a quota limits it. Upstream calls it a mistake that stays: `validationSet`.
const REQUIRED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

pub(super) fn tracks(resource: &str) -> bool {
    RESOURCES.contains(&resource)
        || resource.starts_with("hugepages-")
        || resource.starts_with("requests.hugepages-")
        || (!is_native(resource) && resource.starts_with("requests."))
}

/// Whether a pod has a deadline: the scope `Terminating`.
fn has_deadline(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds).is_some_and(|seconds| seconds >= 0)
}

pub(super) fn changes_scope(new: &Object, old: &Object) -> bool {
    let deadline = |object: &Object| object.downcast::<Pod>().is_some_and(|pod| has_deadline(pod));
    deadline(new) != deadline(old)
}

/// `podMatchesScopeFunc`.
pub(super) fn is_in_scope(pod: &Pod, scope: &ScopedResourceSelectorRequirement) -> bool {
    let missing = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&missing);
    match scope.scope_name.as_str() {
        "Terminating" => has_deadline(pod),
        "NotTerminating" => !has_deadline(pod),
        "BestEffort" => qos::class(spec) == "BestEffort",
        "NotBestEffort" => qos::class(spec) != "BestEffort",
        "PriorityClass" => {
            let class = text(&spec.priority_class_name);
            let named = list(&scope.values).iter().any(|value| value == class);
            match scope.operator.as_str() {
                "Exists" => !class.is_empty(),
                "DoesNotExist" => class.is_empty(),
                "In" => !class.is_empty() && named,
                _ => class.is_empty() || !named,
            }
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(spec),
        _ => false,
    }
}

/// `usesCrossNamespacePodAffinity`.
fn crosses_namespaces(spec: &PodSpec) -> bool {
    let crosses = |term: &PodAffinityTerm| !list(&term.namespaces).is_empty() || term.namespace_selector.is_some();
    let Some(affinity) = &spec.affinity else { return false };
    let attracts = affinity.pod_affinity.iter().any(|affinity| {
        list(&affinity.required_during_scheduling_ignored_during_execution).iter().any(crosses)
            || list(&affinity.preferred_during_scheduling_ignored_during_execution)
                .iter()
                .any(|term| crosses(&term.pod_affinity_term))
    });
    let repels = affinity.pod_anti_affinity.iter().any(|affinity| {
        list(&affinity.required_during_scheduling_ignored_during_execution).iter().any(crosses)
            || list(&affinity.preferred_during_scheduling_ignored_during_execution)
                .iter()
                .any(|term| crosses(&term.pod_affinity_term))
    });
    attracts || repels
}

pub(super) fn constraints(pod: &Pod, resources: &[&str]) -> Result<(), String> {
    let required: BTreeSet<&str> = resources.iter().copied().filter(|name| REQUIRED.contains(name)).collect();
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let Some(spec) = &pod.spec else { return Ok(()) };
    for container in spec.containers.iter().chain(list(&spec.init_containers)) {
        let given = container.resources.as_ref();
        let requests = amounts(given.and_then(|given| given.requests.as_ref()));
        let limits = amounts(given.and_then(|given| given.limits.as_ref()));
        let named = compute_usage(&requests, &limits);
        for resource in required.iter().filter(|name| !named.contains_key(**name)) {
            missing.entry(resource).or_default().insert(&container.name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let each = |(resource, containers): (&str, BTreeSet<&str>)| {
        format!("{resource} for: {}", containers.into_iter().collect::<Vec<_>>().join(","))
    };
    Err(format!("must specify {}", missing.into_iter().map(each).collect::<Vec<_>>().join("; ")))
}

/// `podComputeUsageHelper`.
fn compute_usage(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut usage = Amounts::from([("pods".to_owned(), whole(1))]);
    for (name, amount) in requests {
        let is_compute = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        if is_compute || name.starts_with("hugepages-") {
            usage.insert(name.clone(), *amount);
        }
        if is_compute || name.starts_with("hugepages-") || is_extended(name) {
            usage.insert(format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            usage.insert(format!("limits.{name}"), *amount);
        }
    }
    usage
}

fn has_ended(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"))
}

/// Whether a pod ended with this change, or asks for something else.
pub(super) fn frees(old: &Pod, new: &Pod) -> bool {
    let amounts = |pod: &Pod| (pod_requests(pod), pod_limits(pod));
    let may_be_resized = old.metadata.generation != new.metadata.generation || old.status != new.status;
    (!has_ended(old) && has_ended(new)) || (may_be_resized && !has_ended(new) && amounts(old) != amounts(new))
}

/// Whether a pod uses anything but its place in the store (`QuotaV1Pod`): not once it has ended, or is long overdue.
fn counts(pod: &Pod, now: Time) -> bool {
    if has_ended(pod) {
        return false;
    }
    let metadata = &pod.metadata;
    match (&metadata.deletion_timestamp, metadata.deletion_grace_period_seconds) {
        (Some(deletion), Some(grace)) => {
            now <= Time::from(deletion) + Duration::from_secs(u64::try_from(grace).unwrap_or(0))
        }
        _ => true,
    }
}

/// `PodUsageFunc`.
pub(super) fn usage(pod: &Pod, now: Time) -> Amounts {
    if counts(pod, now) { compute_usage(&pod_requests(pod), &pod_limits(pod)) } else { Amounts::new() }
}
