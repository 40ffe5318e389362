//! A pod's class becomes its number.
//!
//! `kubernetes/plugin/pkg/admission/priority`.

use k8s_openapi::api::core::v1::Pod;

use crate::api::Resource;
use crate::machinery::status::Status;

/// The two classes that every cluster has, with their values.
const SYSTEM_CLASSES: [(&str, i32); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

pub(super) fn admit(pod: &mut Pod) -> Result<(), Status> {
    let name = pod.name().to_owned();
    let Some(spec) = pod.spec.as_mut() else { return Ok(()) };
    let class = spec.priority_class_name.clone().unwrap_or_default();
    let value = if class.is_empty() {
        // Without PriorityClass objects a priority that was given by hand is taken as it is only when it is the default.
        0
    } else {
        match SYSTEM_CLASSES.iter().find(|(known, _)| *known == class) {
            Some((_, value)) => *value,
            None => {
                let why = format!("no PriorityClass with name {class} was found");
                return Err(Status::forbidden("", "pods", &name, &why));
            }
        }
    };
    if let Some(given) = spec.priority
        && given != value
    {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {value} from the given PriorityClass name"
        );
        return Err(Status::forbidden("", "pods", &name, &why));
    }
    spec.priority = Some(value);
    spec.preemption_policy.get_or_insert_with(|| "PreemptLowerPriority".to_owned());
    Ok(())
}
