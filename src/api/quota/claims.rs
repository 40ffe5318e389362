//! What claims of volumes cost of a quota. Follows `pkg/quota/v1/evaluator/core/persistent_volume_claims.go`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, ScopedResourceSelectorRequirement};

use super::whole;
use crate::api::Object;
use crate::api::check::{list, text};
use crate::api::core::pod::resources::Amounts;
use crate::machinery::quantity::Quantity;

/// `storageClassSuffix`: `gold.storageclass.storage.k8s.io/requests.storage` is storage of the class `gold`.
const CLASS_SUFFIX: &str = ".storageclass.storage.k8s.io/";
/// The annotation that named the class before the field came.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) fn tracks(resource: &str) -> bool {
    let is_own = |name: &str| matches!(name, "persistentvolumeclaims" | "requests.storage");
    let of_class = resource.split_once(CLASS_SUFFIX).is_some_and(|(_, name)| is_own(name));
    resource == "count/persistentvolumeclaims" || is_own(resource) || of_class
}

/// `GetPersistentVolumeClaimClass`.
fn class(claim: &PersistentVolumeClaim) -> &str {
    let annotated = claim.metadata.annotations.as_ref().and_then(|annotations| annotations.get(CLASS_ANNOTATION));
    match annotated {
        Some(class) => class,
        None => claim.spec.as_ref().map_or("", |spec| text(&spec.storage_class_name)),
    }
}

/// What is asked for in whole bytes, or what was allocated when that is more: `getStorageUsage`.
fn storage(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    let requested = Quantity::of(resources.requests.as_ref()?.get("storage")?);
    let mut storage = allocated(claim).map_or(requested, |allocated| allocated.max(requested));
    storage.round_up(0);
    Some(storage)
}

fn allocated(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    claim.status.as_ref()?.allocated_resources.as_ref()?.get("storage").map(Quantity::of)
}

pub(super) fn usage(claim: &PersistentVolumeClaim) -> Amounts {
    let mut usage = Amounts::from([("persistentvolumeclaims".to_owned(), whole(1))]);
    usage.extend(storage(claim).map(|storage| ("requests.storage".to_owned(), storage)));
    let class = class(claim);
    if !class.is_empty() {
        let of_class: Vec<(String, Quantity)> =
            usage.iter().map(|(name, amount)| (format!("{class}{CLASS_SUFFIX}{name}"), *amount)).collect();
        usage.extend(of_class);
    }
    usage
}

/// The volume attributes classes that a claim refers to: `getReferencedVolumeAttributesClassNames`.
fn attributes_classes(claim: &PersistentVolumeClaim) -> BTreeSet<&str> {
    let wanted = claim.spec.iter().map(|spec| text(&spec.volume_attributes_class_name));
    let status = claim.status.as_ref();
    let current = status.map(|status| text(&status.current_volume_attributes_class_name));
    let target = status.and_then(|status| status.modify_volume_status.as_ref());
    let target = target.map(|modify| text(&modify.target_volume_attributes_class_name));
    wanted.chain(current).chain(target).filter(|class| !class.is_empty()).collect()
}

/// `pvcMatchesScopeFunc`.
pub(super) fn is_in_scope(claim: &PersistentVolumeClaim, scope: &ScopedResourceSelectorRequirement) -> bool {
    if scope.scope_name != "VolumeAttributesClass" {
        return false;
    }
    let classes = attributes_classes(claim);
    let named = |class: &&str| list(&scope.values).iter().any(|value| value == class);
    match scope.operator.as_str() {
        "Exists" => !classes.is_empty(),
        "DoesNotExist" => classes.is_empty(),
        "In" => classes.iter().any(named),
        _ => classes.is_empty() || classes.iter().any(|class| !named(class)),
    }
}

/// Whether a change of its status changes what a claim costs: `RequiresQuotaReplenish`.
pub(super) fn requires_replenish(new: &Object, old: &Object) -> bool {
    match (new.downcast::<PersistentVolumeClaim>(), old.downcast::<PersistentVolumeClaim>()) {
        (Some(new), Some(old)) => {
            allocated(new) != allocated(old) || attributes_classes(new) != attributes_classes(old)
        }
        _ => false,
    }
}
