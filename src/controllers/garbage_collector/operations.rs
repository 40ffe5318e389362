//! The requests of the garbage collector, which know an object by its identity alone.
//!
//! Follows `kubernetes/pkg/controller/garbagecollector/{operations,patch}.go`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

use crate::api::{Kind, Object, ObjectKey};
use crate::apiserver::{DeleteOptions, Patch, Propagation, Response, Target, Verb, WriteOptions};
use crate::client::{Client, ClientError};
use crate::machinery::json::to_value;

use super::graph::Identity;

/// How often a finalizer is tried to be removed: the steps of `retry.DefaultBackoff`.
const FINALIZER_TRIES: usize = 4;

fn target(kind: Kind, identity: &Identity) -> Target {
    let namespace = if kind.info().namespaced { &*identity.namespace } else { "" };
    Target::object(kind, &ObjectKey::new(namespace, identity.name.clone()))
}

/// The stored object; `None` when there is none.
pub(super) fn get(kind: Kind, identity: &Identity, client: &mut Client<'_>) -> Result<Option<Object>, ClientError> {
    match client.request(target(kind, identity), Verb::Get) {
        Ok(Response::Object(object)) => Ok(Some(object)),
        Ok(_) => Ok(None),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes an object if it is still as it was read. Says whether it was there.
pub(super) fn delete(
    kind: Kind,
    identity: &Identity,
    latest: &ObjectMeta,
    propagation: Propagation,
    client: &mut Client<'_>,
) -> Result<bool, ClientError> {
    let options = DeleteOptions {
        resource_version: latest.resource_version.clone(),
        ..DeleteOptions::of_uid(&*identity.uid).propagate(propagation)
    };
    match client.request(target(kind, identity), Verb::Delete(options)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Patches an object's metadata if it still has its uid.
fn patch(kind: Kind, identity: &Identity, mut metadata: Value, client: &mut Client<'_>) -> Result<(), ClientError> {
    metadata["uid"] = json!(&*identity.uid);
    let patch = json!({ "metadata": metadata });
    let patch = if kind.custom().is_some() { Patch::Merge(patch) } else { Patch::Strategic(patch) };
    client.request(target(kind, identity), Verb::Patch { patch, options: WriteOptions::default() }).map(|_| ())
}

/// Takes owners away from an object: `GenerateDeleteOwnerRefStrategicMergeBytes`.
pub(super) fn remove_owners<'a>(
    kind: Kind,
    identity: &Identity,
    owners: impl Iterator<Item = &'a str>,
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    if kind.custom().is_some() {
        return remove_owners_of_custom(kind, identity, &owners.collect::<Vec<_>>(), client);
    }
    let references: Vec<Value> = owners.map(|uid| json!({ "$patch": "delete", "uid": uid })).collect();
    patch(kind, identity, json!({ "ownerReferences": references }), client)
}

/// The same of a custom resource, whose lists are only replaced as a whole: `deleteOwnerRefJSONMergePatch`.
fn remove_owners_of_custom(
    kind: Kind,
    identity: &Identity,
    owners: &[&str],
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    let Some(object) = get(kind, identity, client)? else { return Ok(()) };
    let metadata = object.metadata();
    let held = metadata.owner_references.iter().flatten();
    let left: Vec<Value> = held.filter(|owner| !owners.contains(&owner.uid.as_str())).map(to_value).collect();
    let version = &metadata.resource_version;
    patch(kind, identity, json!({ "resourceVersion": version, "ownerReferences": left }), client)
}

/// Makes an object block none of its owners: `unblockOwnerReferencesStrategicMergePatch`.
pub(super) fn unblock_owners(
    kind: Kind,
    identity: &Identity,
    owners: &[OwnerReference],
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    // A list that is replaced as a whole must have them all.
    let is_told = |owner: &&OwnerReference| kind.custom().is_some() || owner.block_owner_deletion == Some(true);
    let freed = |owner: &OwnerReference| {
        let block_owner_deletion = owner.block_owner_deletion.map(|_| false);
        to_value(&OwnerReference { block_owner_deletion, ..owner.clone() })
    };
    let references: Vec<Value> = owners.iter().filter(is_told).map(freed).collect();
    patch(kind, identity, json!({ "ownerReferences": references }), client)
}

/// Takes a finalizer away from an object, unless it is gone or has none: `removeFinalizer`.
pub(super) fn remove_finalizer(
    kind: Kind,
    identity: &Identity,
    finalizer: &str,
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    let mut tries = 0;
    loop {
        let Some(object) = get(kind, identity, client)? else { return Ok(()) };
        let metadata = object.metadata();
        let known = metadata.finalizers.as_deref().unwrap_or(&[]);
        if !known.iter().any(|known| known == finalizer) {
            return Ok(());
        }
        let left: Vec<&String> = known.iter().filter(|known| *known != finalizer).collect();
        let patch = json!({ "metadata": { "resourceVersion": metadata.resource_version, "finalizers": left } });
        let verb = Verb::Patch { patch: Patch::Merge(patch), options: WriteOptions::default() };
        match client.request(target(kind, identity), verb) {
            Err(error) if error.is_conflict() && tries < FINALIZER_TRIES => tries += 1,
            answer => return answer.map(|_| ()),
        }
    }
}
