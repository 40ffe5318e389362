//! From what a request carries to an object of a custom kind.
//!
//! `schemaCoercingDecoder` of `k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go`.

use serde_json::Value;

use crate::api::{CustomKind, Kind, Object, form};
use crate::machinery::go_json;
use crate::machinery::quote::quote;
use crate::machinery::status::Status;
use crate::machinery::strict;
use crate::machinery::structural::prune::prune;

use super::FieldValidation;

/// Decodes an object of a custom kind: fields that its schema does not know are refused, told or dropped.
#[inline(never)]
pub(super) fn decode(
    custom: CustomKind,
    mut value: Value,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Object, Status> {
    let (kind, info) = (Kind::Custom(custom), custom.info());
    check_type(kind, &value)?;
    let refused = |error: &str| Status::bad_request(strict::cannot_be_handled(&kind.api_version(), info.kind, error));
    let mut unknown = match &mut value {
        Value::Object(fields) => prune(fields, &custom.definition().schema),
        _ => Vec::new(),
    };
    unknown = unknown.iter().map(|path| format!("unknown field {}", quote(path))).collect();
    unknown.extend(decode_metadata(&mut value).map_err(|error| refused(&error))?);
    match validation {
        FieldValidation::Strict if !unknown.is_empty() => {
            return Err(refused(&format!("strict decoding error: {}", unknown.join(", "))));
        }
        FieldValidation::Warn => warnings.extend(unknown),
        _ => {}
    }
    Object::from_value(kind, &value).map_err(|error| refused(&error.to_string()))
}

/// The metadata in Go's form; returns what it should not have.
fn decode_metadata(value: &mut Value) -> Result<Vec<String>, String> {
    let metadata = value.get("metadata").cloned().unwrap_or_default();
    // Metadata is the same in all kinds.
    let Some(schema) = Kind::ConfigMap.schema() else { return Ok(Vec::new()) };
    let decoded = strict::decode(schema, &serde_json::json!({ "metadata": metadata }))?;
    let mut holder = decoded.value;
    form::tidy(Kind::ConfigMap, &mut holder);
    value["metadata"] = holder["metadata"].take();
    Ok(decoded.strict_errors)
}

/// The object must say of itself what the address says of it.
fn check_type(kind: Kind, value: &Value) -> Result<(), Status> {
    let (said_version, said_kind) = strict::type_meta(value).map_err(Status::bad_request)?;
    let version = kind.api_version();
    let missing =
        |name: &str| Err(Status::bad_request(format!("Object '{name}' is missing in '{}'", go_json::marshal(value))));
    if said_kind.is_empty() {
        return missing("Kind");
    }
    if said_version.is_empty() {
        return missing("apiVersion");
    }
    if said_version != version {
        return Err(Status::bad_request(format!(
            "the API version in the data ({said_version}) does not match the expected API version ({version})"
        )));
    }
    let info = kind.info();
    if said_kind == info.kind {
        return Ok(());
    }
    let path = crate::machinery::field::Path::new("kind");
    let error = crate::machinery::field::FieldError::invalid(&path, said_kind, format!("must be {}", info.kind));
    let name = value["metadata"]["name"].as_str().unwrap_or("");
    Err(Status::invalid(info.group, info.kind, name, &vec![error]))
}
