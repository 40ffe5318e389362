//! The batch group: defaults, validation, strategies and columns of its kinds.

pub(crate) mod cron_job;
pub(crate) mod job;

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::core::pod::{defaults, warnings};
use super::meta;
use crate::machinery::field::Path;

/// From so many completions and such a parallelism on, not all failed indexes may find room in the status.
const COMPLETIONS_SOFT_LIMIT: i32 = 100_000;
const PARALLELISM_SOFT_LIMIT: i32 = 10_000;

/// The defaults of a Job's parts, which a template of a Job has too: the pod template's and the failure policy's.
fn default_parts(spec: &mut JobSpec) {
    defaults::template(&mut spec.template);
    let rules = spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules);
    for pattern in rules.flat_map(|rule| rule.on_pod_conditions.iter_mut().flatten()) {
        defaults::text_or(&mut pattern.status, "True");
    }
}

/// What the strategies warn of: the name on creation, the spec whenever it may have changed.
fn spec_warnings(path: &Path, name: Option<&str>, spec: &JobSpec) -> Vec<String> {
    let mut result: Vec<String> = Vec::new();
    result.extend(name.and_then(|name| warnings::name_warning(name, "Pod names and hostnames")));
    let is_indexed = spec.completion_mode.as_deref() == Some("Indexed");
    let (completions, parallelism) = (spec.completions.unwrap_or(0), spec.parallelism.unwrap_or(0));
    if is_indexed && completions > COMPLETIONS_SOFT_LIMIT && parallelism > PARALLELISM_SOFT_LIMIT {
        result.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    let metadata = spec.template.metadata.clone().unwrap_or_default();
    let pod = spec.template.spec.clone().unwrap_or_default();
    result.extend(warnings::of_spec(&path.child("template"), &metadata, &pod));
    result
}

/// Brings a pod template into the one form in which it is stored.
pub(super) fn canonicalize(template: &mut PodTemplateSpec) {
    template.metadata.iter_mut().for_each(meta::canonicalize);
}
