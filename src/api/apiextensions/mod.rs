//! CustomResourceDefinitions and the kinds that they declare.
//!
//! Follows `k8s.io/apiextensions-apiserver`: `pkg/apis/apiextensions/v1/defaults.go`,
//! `pkg/registry/customresourcedefinition/strategy.go`. Versions differ in name and schema only: a webhook that
//! converts is asked in vain (`apiserver/conversion.rs`).
//!
//! - [`CustomKind`]: a kind as a version of a definition declares it.
//! - [`custom`]: what is done to objects of these kinds before they are stored.
//! - [`validation`] and [`structural`]: what may be wrong with a definition and its schemas.
//! - [`conditions`]: names, conditions, and whether a kind is served.

mod columns;
pub mod conditions;
pub mod custom;
mod custom_kind;
mod embedded;
mod rules;
mod structural;
mod validation;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::kind::Subresource;
use super::object::Object;
use super::table::{ColumnDefinition, NAME};
use super::unstructured::Unstructured;
use crate::machinery::structural::is_known_format;

pub(crate) use columns::{Column, row};
pub use custom::in_version;
pub use custom_kind::{CustomKind, Definition, Scale};
pub(crate) use validation::{validate, validate_update};

/// The finalizer of a definition whose objects are still to be deleted: `CustomResourceCleanupFinalizer`.
pub const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The columns of CustomResourceDefinitions, as the table that serves kinds without printers makes them.
pub(crate) const COLUMNS: &[ColumnDefinition] = &[NAME, ColumnDefinition::CREATED_AT];

/// The cells of a CustomResourceDefinition.
#[inline(never)]
pub(crate) fn definition_row(metadata: &ObjectMeta) -> Vec<Value> {
    let created = metadata.creation_timestamp.as_ref().map(super::check::json);
    vec![metadata.name.clone().into(), created.unwrap_or_default()]
}

/// `SetDefaults_CustomResourceDefinitionSpec`.
#[inline(never)]
pub(crate) fn default(definition: &mut Unstructured) {
    let Some(Value::Object(spec)) = definition.fields.get_mut("spec") else { return };
    if let Some(Value::Object(names)) = spec.get_mut("names") {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or("").to_owned();
        let mut fill = |name: &str, value: String| {
            if names.get(name).and_then(Value::as_str).is_none_or(str::is_empty) && !value.is_empty() {
                names.insert(name.to_owned(), value.into());
            }
        };
        fill("singular", kind.to_lowercase());
        if !kind.is_empty() {
            fill("listKind", format!("{kind}List"));
        }
    }
    if spec.get("conversion").is_none_or(Value::is_null) {
        spec.insert("conversion".to_owned(), json!({ "strategy": "None" }));
    }
    let service =
        spec.get_mut("conversion").and_then(|conversion| conversion.pointer_mut("/webhook/clientConfig/service"));
    if let Some(service) = service
        && service["port"].is_null()
    {
        service["port"] = 443.into();
    }
}

/// The version in which objects are stored.
fn storage_version(spec: &Value) -> Option<&str> {
    let mut versions = spec["versions"].as_array().into_iter().flatten();
    versions.find(|version| version["storage"] == true)?["name"].as_str()
}

/// Adds the version in which objects are stored to those in which some may be.
fn note_stored_version(definition: &mut Unstructured) {
    let spec = definition.fields.get("spec").cloned().unwrap_or_default();
    let Some(version) = storage_version(&spec) else { return };
    let status = definition.fields.entry("status").or_insert_with(|| json!({}));
    if !status["storedVersions"].is_array() {
        status["storedVersions"] = json!([]);
    }
    let stored = status["storedVersions"].as_array_mut().into_iter();
    stored.filter(|stored| !stored.iter().any(|known| known == version)).for_each(|stored| stored.push(version.into()));
}

/// `PrepareForCreate`: the status is the server's.
#[inline(never)]
pub(crate) fn prepare_for_create(definition: &mut Unstructured) {
    definition.fields.insert("status".to_owned(), Value::Object(Map::new()));
    note_stored_version(definition);
}

/// `PrepareForUpdate`.
#[inline(never)]
pub(crate) fn prepare_for_update(new: &mut Unstructured, old: &Unstructured, subresource: Option<Subresource>) {
    new.prepare_for_update(old, subresource);
    if subresource.is_none() {
        note_stored_version(new);
    }
}

/// Formats that mean nothing, which the old definition does not have.
#[inline(never)]
pub(crate) fn warnings(new: &Unstructured, old: Option<&Object>) -> Vec<String> {
    let known = match old {
        Some(Object::Unstructured(old)) => unknown_formats(old).into_iter().collect(),
        _ => BTreeSet::new(),
    };
    let new = unknown_formats(new).into_iter().filter(|format| !known.contains(format));
    new.map(|format| format!("unrecognized format {format:?}")).collect()
}

fn unknown_formats(definition: &Unstructured) -> Vec<String> {
    let mut formats = Vec::new();
    for version in definition.fields.get("spec").and_then(|spec| spec["versions"].as_array()).into_iter().flatten() {
        collect_formats(&version["schema"]["openAPIV3Schema"], &mut formats);
    }
    formats
}

fn collect_formats(schema: &Value, formats: &mut Vec<String>) {
    let Value::Object(fields) = schema else { return };
    let format = fields.get("format").and_then(Value::as_str).filter(|format| !format.is_empty());
    formats.extend(format.filter(|format| !is_known_format(format)).map(str::to_owned));
    below(schema, &mut |_, schema| collect_formats(schema, formats));
}

/// Visits the schemas right below a schema, each with how it is reached: upstream's order, but maps by their keys.
fn below(schema: &Value, visit: &mut dyn FnMut(&[Step<'_>], &Value)) {
    for name in ["items", "additionalProperties", "not"] {
        if schema[name].is_object() {
            visit(&[Step::Child(name)], &schema[name]);
        }
    }
    let mut properties: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    properties.sort_by_key(|(name, _)| *name);
    for (name, schema) in properties {
        visit(&[Step::Child("properties"), Step::Key(name)], schema);
    }
    for name in ["allOf", "oneOf", "anyOf"] {
        for (index, schema) in schema[name].as_array().into_iter().flatten().enumerate() {
            visit(&[Step::Child(name), Step::Index(index)], schema);
        }
    }
}

/// A step of a path into a schema.
enum Step<'a> {
    Child(&'a str),
    Key(&'a str),
    Index(usize),
}

impl Step<'_> {
    fn from(path: &crate::machinery::field::Path, steps: &[Self]) -> crate::machinery::field::Path {
        steps.iter().fold(path.clone(), |path, step| match step {
            Self::Child(name) => path.child(name),
            Self::Key(key) => path.key(key),
            Self::Index(index) => path.index(*index),
        })
    }
}
