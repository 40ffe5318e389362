//! What is done to objects of custom kinds before they are stored: `pkg/registry/customresource/strategy.go`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::custom_kind::{CustomKind, Scale};
use super::embedded;
use crate::api::kind::{Kind, Subresource};
use crate::api::meta;
use crate::api::object::Object;
use crate::api::unstructured::Unstructured;
use crate::machinery::field::{ErrorList, ErrorType, FieldError, Path};
use crate::machinery::go_json;
use crate::machinery::names;
use crate::machinery::structural::{fill, lists, nested, prune, rules, validate as by_schema};

/// Fills in the defaults of the schema, also for what is null and may not be.
#[inline(never)]
pub(crate) fn default(object: &mut Unstructured, kind: CustomKind) {
    let schema = &kind.definition().schema;
    prune::drop_nulls_of_fields(&mut object.fields, schema);
    fill::fill_fields(&mut object.fields, schema);
}

/// The object as another version of its kind has it, or its own after the definition changed: what is not known there is
/// gone, and what is missing has its default.
#[must_use]
#[inline(never)]
pub fn in_version(object: Arc<Unstructured>, wanted: CustomKind) -> Arc<Unstructured> {
    if object.kind.custom().is_none_or(|own| own.is_same(wanted)) {
        return object;
    }
    let mut object = Arc::unwrap_or_clone(object);
    object.kind = Kind::Custom(wanted);
    prune::prune(&mut object.fields, &wanted.definition().schema);
    default(&mut object, wanted);
    Arc::new(object)
}

/// `PrepareForUpdate`: a write below `status` changes nothing else, any other leaves it, and counts what it changes.
#[inline(never)]
pub(crate) fn prepare_for_update(new: &mut Unstructured, old: &Unstructured, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        let status = new.fields.shift_remove("status");
        new.fields.clone_from(&old.fields);
        set_status(new, status);
        new.metadata = old.metadata.clone();
        return;
    }
    if new.kind.has(Subresource::Status) {
        set_status(new, old.fields.get("status").cloned());
    }
    if !is_same(&new.fields, &old.fields) {
        new.metadata.generation = Some(old.metadata.generation.unwrap_or(0) + 1);
    }
}

/// Whether both have the same fields, whatever their order.
fn is_same(new: &Map<String, Value>, old: &Map<String, Value>) -> bool {
    new == old
}

fn set_status(object: &mut Unstructured, status: Option<Value>) {
    object.fields.shift_remove("status");
    if let Some(status) = status {
        object.fields.insert("status".to_owned(), status);
    }
}

/// Everything that is wrong with a new object, or with one that takes the place of another by a write of this sort.
#[inline(never)]
pub(crate) fn validate(
    new: &Unstructured,
    old: Option<(&Unstructured, Option<Subresource>)>,
    kind: CustomKind,
) -> ErrorList {
    let definition = kind.definition();
    let (value, old_value) = (new.to_value(), old.map(|(old, _)| old.to_value()));
    let is_status = old.is_some_and(|(_, subresource)| subresource == Some(Subresource::Status));
    let mut errors = ErrorList::new();
    if old.is_none() {
        let finalizers = meta::Finalizers::Qualified;
        let namespaced = definition.info.namespaced;
        errors.extend(meta::validate_with(&new.metadata, namespaced, names::is_dns1123_subdomain, finalizers));
    }
    errors.extend(by_schema::validate(&value, old_value.as_ref(), &definition.schema));
    if let Some(scale) = &definition.scale {
        validate_scale(&value, scale, is_status, &mut errors);
    }
    embedded::validate(&Path::root(), &value, &definition.schema, &mut errors);
    let mut doubles = ErrorList::new();
    lists::validate_fields(&Path::root(), &new.fields, &definition.schema, &mut doubles);
    // What was so before may stay so.
    let mut before = ErrorList::new();
    if let Some((old, _)) = old.filter(|_| !doubles.is_empty()) {
        lists::validate_fields(&Path::root(), &old.fields, &definition.schema, &mut before);
    }
    if before.is_empty() {
        errors.extend(doubles);
    }
    if rules::has_any(&definition.schema) {
        if errors.iter().any(blocks_rules) {
            let why = "some validation rules were not checked because the object was invalid; correct the existing errors \
                       to complete validation";
            errors.push(FieldError::invalid(&Path::root(), Value::Null, why));
        } else {
            rules::validate(&Path::root(), &value, old_value.as_ref(), &definition.schema, &mut errors);
        }
    }
    errors
}

/// Whether rules cannot be asked of an object with this error: `hasBlockingErr`.
fn blocks_rules(error: &FieldError) -> bool {
    use ErrorType::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    matches!(error.error_type, NotSupported | Required | TooLong | TooMany | TypeInvalid)
}

/// `ValidateScaleSpec` and `ValidateScaleStatus`.
fn validate_scale(value: &Value, scale: &Scale, is_status: bool, errors: &mut ErrorList) {
    if !is_status {
        validate_replicas(value, &scale.spec_replicas, errors);
    }
    validate_replicas(value, &scale.status_replicas, errors);
    let Some(path) = &scale.label_selector else { return };
    if let Some(found) = nested(value, path).filter(|found| !found.is_string()) {
        let detail = accessor_error(path, found, "string");
        errors.push(FieldError::invalid(&Path::new(path), "", detail));
    }
}

fn accessor_error(path: &str, found: &Value, wanted: &str) -> String {
    let (shown, ty) = match found {
        Value::Null => ("<nil>".to_owned(), "<nil>"),
        Value::Bool(value) => (value.to_string(), "bool"),
        Value::Number(number) if number.is_f64() => (number.to_string(), "float64"),
        Value::Number(number) => (number.to_string(), "int64"),
        Value::String(text) => (text.clone(), "string"),
        Value::Array(_) => (go_json::marshal(found), "[]interface {}"),
        Value::Object(_) => (go_json::marshal(found), "map[string]interface {}"),
    };
    format!("{path} accessor error: {shown} is of the type {ty}, expected {wanted}")
}

fn validate_replicas(value: &Value, path: &str, errors: &mut ErrorList) {
    let Some(found) = nested(value, path) else { return };
    let at = Path::new(path);
    let error = match found.as_i64() {
        None => FieldError::invalid(&at, 0, accessor_error(path, found, "int64")),
        Some(number) if number < 0 => FieldError::invalid(&at, number, "should be a non-negative integer"),
        Some(number) if number > i64::from(i32::MAX) => {
            FieldError::invalid(&at, number, format!("should be less than or equal to {}", i32::MAX))
        }
        Some(_) => return,
    };
    errors.push(error);
}

/// Finalizers that are new and could be another's: `validateKubeFinalizerName`.
#[inline(never)]
pub(crate) fn warnings(new: &Unstructured, old: Option<&Object>) -> Vec<String> {
    let mut added: Vec<&String> = new.metadata.finalizers.iter().flatten().collect();
    added.retain(|name| {
        let old = old.map(Object::metadata);
        !old.is_some_and(|old| old.finalizers.iter().flatten().any(|known| known == *name))
    });
    added.sort();
    let standard = ["foregroundDeletion", "orphan", "kubernetes"];
    let is_odd = |name: &&&String| !name.contains('/') && !standard.contains(&name.as_str());
    let warning = |name: &&String| {
        format!(
            "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental \
             conflicts with other finalizer writers"
        )
    };
    added.iter().filter(is_odd).map(warning).collect()
}
