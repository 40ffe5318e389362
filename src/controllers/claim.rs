//! Who controls whom: adopting orphans that match a selector, releasing what no longer does.
//!
//! Follows `kubernetes/pkg/controller/controller_ref_manager.go`.

use std::sync::Arc;

use serde_json::json;

use crate::api::{Resource, controller_of};
use crate::client::{Client, ClientError};
use crate::etcd::Why;
use crate::machinery::json::to_value;
use crate::machinery::labels::Selector;
use crate::machinery::patch::strategic::DELETE_FROM_PRIMITIVE_LIST;

use super::pod_control::controller_ref;

/// What a controller does about an object that it may control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Keep,
    Adopt,
    Release,
    Ignore,
}

/// Decides about one object: `BaseControllerRefManager.ClaimObject`.
fn decide<O: Resource, K: Resource>(owner: &O, selector: &Selector, object: &K) -> Claim {
    let empty = std::collections::BTreeMap::new();
    let matches = selector.matches(object.metadata().labels.as_ref().unwrap_or(&empty));
    match controller_of(object.metadata()) {
        Some(controller) if controller.uid != owner.uid() => Claim::Ignore,
        Some(_) if matches => Claim::Keep,
        Some(_) if owner.is_deleting() => Claim::Ignore,
        Some(_) => Claim::Release,
        None if owner.is_deleting() || !matches || object.is_deleting() => Claim::Ignore,
        None => Claim::Adopt,
    }
}

/// The objects among `candidates` that `owner` controls, once orphans are adopted and strangers released.
///
/// # Errors
/// The first refusal that is not a race; what was claimed up to then stays claimed.
pub fn claim<O: Resource, K: Resource>(
    owner: &O,
    selector: &Selector,
    candidates: impl Iterator<Item = Arc<K>>,
    client: &mut Client<'_>,
) -> Result<Vec<Arc<K>>, ClientError> {
    claim_with_finalizer(owner, selector, candidates, None, client)
}

/// As [`claim`]; what is adopted gets the finalizer, and what is released loses it.
///
/// # Errors
/// As [`claim`].
pub(super) fn claim_with_finalizer<O: Resource, K: Resource>(
    owner: &O,
    selector: &Selector,
    candidates: impl Iterator<Item = Arc<K>>,
    finalizer: Option<&str>,
    client: &mut Client<'_>,
) -> Result<Vec<Arc<K>>, ClientError> {
    let mut claimed = Vec::new();
    let mut can_adopt = None;
    for object in candidates {
        match decide(owner, selector, &*object) {
            Claim::Keep => claimed.push(object),
            Claim::Ignore => {}
            Claim::Release => release(owner, &*object, finalizer, client)?,
            Claim::Adopt => {
                // The cache may be old: an owner that is being deleted must not adopt.
                let may = match can_adopt {
                    Some(may) => may,
                    None => {
                        // The question and one adoption, or neither: a client that is always busy would otherwise ask
                        // for ever and adopt nothing.
                        client.reserve(2)?;
                        *can_adopt.insert(is_alive(owner, client)?)
                    }
                };
                if may && let Some(adopted) = adopt(owner, &*object, finalizer, client)? {
                    claimed.push(adopted);
                }
            }
        }
    }
    Ok(claimed)
}

/// Whether the owner, read past the cache, is still the same one and not being deleted.
fn is_alive<O: Resource>(owner: &O, client: &mut Client<'_>) -> Result<bool, ClientError> {
    match client.get::<O>(&owner.key()) {
        Ok(fresh) => Ok(fresh.uid() == owner.uid() && !fresh.is_deleting()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn adopt<O: Resource, K: Resource>(
    owner: &O,
    object: &K,
    finalizer: Option<&str>,
    client: &mut Client<'_>,
) -> Result<Option<Arc<K>>, ClientError> {
    client.because(Why::new(
        "{} {} matches the selector of {} {} and had no owner.",
        [kind::<K>(), object.name().to_owned(), kind::<O>(), owner.name().to_owned()],
    ));
    let mut patch =
        json!({ "metadata": { "ownerReferences": [to_value(&controller_ref(owner))], "uid": object.uid() } });
    if let Some(finalizer) = finalizer {
        patch["metadata"]["finalizers"] = json!([finalizer]);
    }
    match client.patch::<K>(&object.key(), patch) {
        Ok(adopted) => Ok(Some(adopted)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn release<O: Resource, K: Resource>(
    owner: &O,
    object: &K,
    finalizer: Option<&str>,
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    client.because(Why::new(
        "{} {} no longer matches the selector of {} {}.",
        [kind::<K>(), object.name().to_owned(), kind::<O>(), owner.name().to_owned()],
    ));
    let mut patch = json!({
        "metadata": { "ownerReferences": [{ "$patch": "delete", "uid": owner.uid() }], "uid": object.uid() },
    });
    if let Some(finalizer) = finalizer {
        patch["metadata"][format!("{DELETE_FROM_PRIMITIVE_LIST}/finalizers")] = json!([finalizer]);
    }
    match client.patch::<K>(&object.key(), patch) {
        Err(ClientError::Api(status))
            if status.is_not_found() || status.reason() == crate::machinery::status::Reason::Invalid =>
        {
            Ok(())
        }
        other => other.map(|_| ()),
    }
}

fn kind<K: Resource>() -> String {
    K::OBJECT_KIND.info().kind.to_owned()
}
