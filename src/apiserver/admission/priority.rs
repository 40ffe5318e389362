//! A pod's class becomes its number, and at most one class is everybody's.
//!
//! `kubernetes/plugin/pkg/admission/priority`.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::scheduling::v1::PriorityClass;

use super::{Attributes, forbidden};
use crate::api::scheduling::PREEMPT_LOWER_PRIORITY;
use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::etcd::Etcd;
use crate::machinery::status::Status;

pub(super) fn admit(etcd: &Etcd, pod: &mut Pod, attributes: Attributes<'_>) -> Result<(), Status> {
    let name = pod.name().to_owned();
    let refuse = |why: &str| Err(Status::forbidden("", "pods", &name, why));
    let Some(spec) = pod.spec.as_mut() else { return Ok(()) };
    if let Some(old) = attributes.old {
        // What a client leaves out of an update stays as it is.
        let old = old.downcast::<Pod>().and_then(|old| old.spec.as_ref());
        spec.priority = spec.priority.or_else(|| old?.priority);
        spec.preemption_policy = spec.preemption_policy.take().or_else(|| old?.preemption_policy.clone());
        return Ok(());
    }
    let class_name = spec.priority_class_name.clone().unwrap_or_default();
    let class = if class_name.is_empty() {
        default_class(etcd)
    } else {
        let known = etcd.get(Kind::PriorityClass, &ObjectKey::new("", class_name.as_str()));
        let Some(class) = known.and_then(Object::downcast::<PriorityClass>) else {
            return refuse(&format!("no PriorityClass with name {class_name} was found"));
        };
        Some(&**class)
    };
    if let Some(class) = class.filter(|_| class_name.is_empty()) {
        spec.priority_class_name = Some(class.name().to_owned());
    }
    let value = class.and_then(|class| class.value).unwrap_or(0);
    if let Some(given) = spec.priority.filter(|given| *given != value) {
        return refuse(&format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {value} from the given PriorityClass name"
        ));
    }
    spec.priority = Some(value);
    let policy = class.map_or(Some(PREEMPT_LOWER_PRIORITY), |class| class.preemption_policy.as_deref());
    let Some(policy) = policy else { return Ok(()) };
    if let Some(given) = spec.preemption_policy.as_ref().filter(|given| *given != policy) {
        return refuse(&format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        ));
    }
    spec.preemption_policy = Some(policy.to_owned());
    Ok(())
}

/// The class of pods that name none; of several the lowest (`getDefaultPriorityClass`).
fn default_class(etcd: &Etcd) -> Option<&PriorityClass> {
    let classes = etcd.range(Kind::PriorityClass, None).filter_map(|(_, object)| object.downcast::<PriorityClass>());
    let defaults = classes.filter(|class| class.global_default == Some(true));
    defaults.min_by_key(|class| class.value.unwrap_or(0)).map(|class| &**class)
}

/// There is no second default.
pub(super) fn validate(etcd: &Etcd, object: &Object) -> Result<(), Status> {
    let Object::PriorityClass(class) = object else { return Ok(()) };
    if class.global_default != Some(true) {
        return Ok(());
    }
    match default_class(etcd).map(Resource::name).filter(|name| *name != class.name()) {
        None => Ok(()),
        Some(other) => {
            let why = format!("PriorityClass {other} is already marked as default. Only one default can exist");
            Err(forbidden(object, &why))
        }
    }
}
