//! What a workload's pods were made of before: ControllerRevisions, which StatefulSets and DaemonSets share.
//!
//! Follows `kubernetes/pkg/controller/history/controller_history.go` and `getPatch` of both controllers. A revision holds
//! a strategic merge patch that brings back the pod template.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::{Map, Value, json};

use crate::api::{Kind, Resource, controller_of};
use crate::client::Informers;
use crate::machinery::labels::Selector;
use crate::machinery::names::safe_encode;
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;
use crate::machinery::{go_json, json as reader};

use super::claim::{Owner, selects};
use super::pod_control::controller_ref_of;

/// `ControllerRevisionHashLabelKey`: on pods, which revision they are of.
pub(super) const REVISION_LABEL: &str = "controller-revision-hash";

/// The longest part of a workload's name that goes into the names of its revisions.
const PREFIX_BYTES_MAX: usize = 223;

/// The patch that brings back a template, whatever is in its place: `getPatch`.
pub(super) fn patch_of(template: &PodTemplateSpec) -> Value {
    let mut template = match reader::to_value(template) {
        Value::Object(template) => template,
        _ => Map::new(),
    };
    template.insert("$patch".to_owned(), "replace".into());
    json!({ "spec": { "template": template } })
}

/// The template that a revision brings back; `None` for one that is not of [`patch_of`]'s making.
pub(super) fn template_of(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.as_ref()?.0.pointer("/spec/template")?.clone();
    template.as_object_mut()?.shift_remove("$patch");
    reader::from_value(&template).ok()
}

/// What a revision holds.
pub(super) fn data_of(revision: &ControllerRevision) -> Option<&Value> {
    revision.data.as_ref().map(|data| &data.0)
}

/// A text that tells what a revision holds from what others do: `HashControllerRevision`, FNV-1 over Go's JSON.
pub(super) fn hash(data: &Value, collisions: i32) -> String {
    let text = format!("{}{collisions}", go_json::marshal(data));
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte));
    safe_encode(&hash.to_string())
}

/// `ControllerRevisionName`.
pub(super) fn revision_name(parent: &str, hash: &str) -> String {
    let prefix = parent.get(..PREFIX_BYTES_MAX).unwrap_or(parent);
    format!("{prefix}-{hash}")
}

/// A revision that is yet to be stored: `NewControllerRevision`, with the annotations of its owner.
pub(super) fn new_revision(
    owner: Owner<'_>,
    name: String,
    labels: BTreeMap<String, String>,
    data: Value,
    revision: i64,
) -> ControllerRevision {
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: owner.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: owner.metadata.annotations.clone(),
            owner_references: Some(vec![controller_ref_of(owner.kind, owner.metadata)]),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(data)),
        revision,
    }
}

/// The revisions that an owner has or may adopt, oldest first: `ListControllerRevisions`.
pub(super) fn list(owner: Owner<'_>, selector: &Selector, listers: &Informers) -> Vec<Arc<ControllerRevision>> {
    let namespace = owner.metadata.namespace.as_deref().unwrap_or("");
    let is_ours = |revision: &&Arc<ControllerRevision>| {
        controller_of(&revision.metadata).is_none_or(|other| Some(&other.uid) == owner.metadata.uid.as_ref())
    };
    let all = listers.list_in::<ControllerRevision>(namespace);
    let mut found: Vec<_> =
        all.filter(|revision| selects(selector, &revision.metadata)).filter(is_ours).cloned().collect();
    found.order_by_key(|revision| order_of(revision));
    found
}

/// Revisions come one after another by their number, then by age, then by name: `byRevision`.
pub(super) fn order_of(revision: &ControllerRevision) -> (i64, Option<Time>, String) {
    let created = revision.metadata.creation_timestamp.as_ref().map(Time::from);
    (revision.revision, created, revision.name().to_owned())
}

/// The kind of revisions, for requests that are not typed.
pub(super) const KIND: Kind = Kind::ControllerRevision;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_comes_back_as_it_was() {
        let template: PodTemplateSpec = serde_json::from_value(json!({
            "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "c", "image": "nginx" }] },
        }))
        .expect("the template is well-formed");
        let data = patch_of(&template);
        assert_eq!(data["spec"]["template"]["$patch"], "replace");
        let revision = ControllerRevision { data: Some(RawExtension(data)), ..ControllerRevision::default() };
        assert_eq!(template_of(&revision), Some(template));
    }

    #[test]
    fn hashes_are_fnv_1_over_sorted_json() {
        // FNV-1 of `{"a":1,"b":2}0`, in upstream's safe alphabet.
        let (one, other) = (hash(&json!({ "b": 2, "a": 1 }), 0), hash(&json!({ "a": 1, "b": 2 }), 0));
        assert_eq!(one, other);
        assert_ne!(one, hash(&json!({ "a": 1, "b": 2 }), 1));
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(revision_name("web", "abc"), "web-abc");
        assert_eq!(revision_name(&"x".repeat(250), "abc").len(), 227);
    }
}
