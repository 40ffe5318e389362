//! Who controls whom: adopting orphans that match a selector, releasing what no longer does.
//!
//! Follows `kubernetes/pkg/controller/controller_ref_manager.go`.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::api::{Kind, Object, ObjectKey, Resource, controller_of};
use crate::apiserver::{Patch, Response, Target, Verb, WriteOptions};
use crate::client::{Client, ClientError, Informers};
use crate::etcd::Why;
use crate::machinery::json::to_value;
use crate::machinery::labels::Selector;
use crate::machinery::patch::strategic::DELETE_FROM_PRIMITIVE_LIST;
use crate::machinery::status::Reason;

use super::pod_control::controller_ref_of;

/// Who claims: what this needs to know of a workload of any kind.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub kind: Kind,
    pub metadata: &'a ObjectMeta,
    /// What adopted objects get, and released ones lose.
    pub finalizer: Option<&'a str>,
}

impl<'a> Owner<'a> {
    pub(super) fn of<O: Resource>(owner: &'a O) -> Self {
        Self { kind: O::OBJECT_KIND, metadata: owner.metadata(), finalizer: None }
    }

    fn uid(&self) -> &'a str {
        self.metadata.uid.as_deref().unwrap_or("")
    }

    const fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    fn words(&self) -> [String; 2] {
        [self.kind.info().kind.to_owned(), self.metadata.name.clone().unwrap_or_default()]
    }
}

/// The key of the workload of a kind that controls an object, if the cache knows it under the uid that the object names:
/// `resolveControllerRef`.
pub(super) fn controller_key(kind: Kind, object: &ObjectMeta, listers: &Informers) -> Option<ObjectKey> {
    let owner = controller_of(object).filter(|owner| owner.kind == kind.info().kind)?;
    let key = ObjectKey::new(object.namespace.as_deref().unwrap_or(""), owner.name.as_str());
    listers.object(kind, &key).filter(|found| found.uid() == owner.uid).map(|_| key)
}

/// What a controller does about an object that it may control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Keep,
    Adopt,
    Release,
    Ignore,
}

/// Decides about one object: `BaseControllerRefManager.ClaimObject`.
fn decide(owner: &Owner<'_>, matches: bool, object: &ObjectMeta) -> Claim {
    match controller_of(object) {
        Some(controller) if controller.uid != owner.uid() => Claim::Ignore,
        Some(_) if matches => Claim::Keep,
        Some(_) if owner.is_deleting() => Claim::Ignore,
        Some(_) => Claim::Release,
        None if owner.is_deleting() || !matches || object.deletion_timestamp.is_some() => Claim::Ignore,
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
    claim_matching(Owner::of(owner), &|object| selects(selector, object), candidates.collect(), client)
}

/// As [`claim`]; what is adopted gets the finalizer, and what is released loses it.
///
/// # Errors
/// As [`claim`].
pub(super) fn claim_with_finalizer<O: Resource, K: Resource>(
    owner: &O,
    selector: &Selector,
    candidates: impl Iterator<Item = Arc<K>>,
    finalizer: &str,
    client: &mut Client<'_>,
) -> Result<Vec<Arc<K>>, ClientError> {
    let owner = Owner { finalizer: Some(finalizer), ..Owner::of(owner) };
    claim_matching(owner, &|object| selects(selector, object), candidates.collect(), client)
}

/// Whether a selector selects an object.
pub(super) fn selects(selector: &Selector, object: &ObjectMeta) -> bool {
    let empty = std::collections::BTreeMap::new();
    selector.matches(object.labels.as_ref().unwrap_or(&empty))
}

/// As [`claim`], for objects that also have to match in other ways than by their labels.
///
/// # Errors
/// The first refusal that is not a race; what was claimed up to then stays claimed.
pub(super) fn claim_matching<K: Resource>(
    owner: Owner<'_>,
    matches: &dyn Fn(&ObjectMeta) -> bool,
    candidates: Vec<Arc<K>>,
    client: &mut Client<'_>,
) -> Result<Vec<Arc<K>>, ClientError> {
    let mut claimed = Vec::new();
    let mut can_adopt = None;
    for object in candidates {
        let key = object.key();
        match decide(&owner, matches(object.metadata()), object.metadata()) {
            Claim::Keep => claimed.push(object),
            Claim::Ignore => {}
            Claim::Release => release(&owner, K::OBJECT_KIND, &key, object.uid(), client)?,
            Claim::Adopt => {
                // The cache may be old: an owner that is being deleted must not adopt.
                let may = match can_adopt {
                    Some(may) => may,
                    None => {
                        // The question and one adoption, or neither: a client that is always busy would otherwise ask
                        // for ever and adopt nothing.
                        client.reserve(2)?;
                        *can_adopt.insert(is_alive(&owner, client)?)
                    }
                };
                if may {
                    let adopted = adopt(&owner, K::OBJECT_KIND, &key, object.uid(), client)?;
                    claimed.extend(adopted.and_then(|adopted| adopted.downcast::<K>().cloned()));
                }
            }
        }
    }
    Ok(claimed)
}

/// Whether the owner, read past the cache, is still the same one and not being deleted.
pub(super) fn is_alive(owner: &Owner<'_>, client: &mut Client<'_>) -> Result<bool, ClientError> {
    match client.request(Target::object(owner.kind, &ObjectKey::of(owner.metadata)), Verb::Get) {
        Ok(Response::Object(fresh)) => Ok(fresh.uid() == owner.uid() && !fresh.is_deleting()),
        Ok(_) => Ok(false),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn patch(kind: Kind, key: &ObjectKey, patch: Value, client: &mut Client<'_>) -> Result<Option<Object>, ClientError> {
    let verb = Verb::Patch { patch: Patch::Strategic(patch), options: WriteOptions::default() };
    match client.request(Target::object(kind, key), verb) {
        Ok(Response::Object(object)) => Ok(Some(object)),
        Ok(_) => Ok(None),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes `owner` the controller of an object that has none; `None` when the object is gone.
pub(super) fn adopt(
    owner: &Owner<'_>,
    kind: Kind,
    key: &ObjectKey,
    uid: &str,
    client: &mut Client<'_>,
) -> Result<Option<Object>, ClientError> {
    let [owner_kind, owner_name] = owner.words();
    client.because(Why::new(
        "{} {} matches the selector of {} {} and had no owner.",
        [kind.info().kind.to_owned(), key.name.to_string(), owner_kind, owner_name],
    ));
    let reference = to_value(&controller_ref_of(owner.kind, owner.metadata));
    let mut change = json!({ "metadata": { "ownerReferences": [reference], "uid": uid } });
    if let Some(finalizer) = owner.finalizer {
        change["metadata"]["finalizers"] = json!([finalizer]);
    }
    patch(kind, key, change, client)
}

fn release(
    owner: &Owner<'_>,
    kind: Kind,
    key: &ObjectKey,
    uid: &str,
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    let [owner_kind, owner_name] = owner.words();
    client.because(Why::new(
        "{} {} no longer matches the selector of {} {}.",
        [kind.info().kind.to_owned(), key.name.to_string(), owner_kind, owner_name],
    ));
    let mut change =
        json!({ "metadata": { "ownerReferences": [{ "$patch": "delete", "uid": owner.uid() }], "uid": uid } });
    if let Some(finalizer) = owner.finalizer {
        change["metadata"][format!("{DELETE_FROM_PRIMITIVE_LIST}/finalizers")] = json!([finalizer]);
    }
    match patch(kind, key, change, client) {
        // Somebody else released it, or it is another object of that name.
        Err(ClientError::Api(status)) if status.reason() == Reason::Invalid => Ok(()),
        other => other.map(drop),
    }
}
