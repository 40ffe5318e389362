//! What kubectl checks on its own before an object goes to the server.

use serde_json::Value;

use crate::machinery::schema;

use super::decode::decode;

/// Whether `metadata` can be read (`metadataValidatingDecoder` of `k8s.io/cli-runtime`). Everything else is left to
/// the server, unknown fields of `metadata` too. kubectl says `unable to decode "FILE": ` before the error.
pub fn check_metadata(value: &Value) -> Result<(), String> {
    let kind = schema::named("meta", "metadataOnlyObject").expect("the table has it");
    decode(kind, value).map(|_| ())
}

/// Whether it is an object with an `apiVersion` and a `kind` (`ValidateBytes` of `k8s.io/kubectl/pkg/util/openapi`),
/// and each item too for a `v1` `List`. kubectl says `error validating "FILE": error validating data: ` before the
/// error and `; if you choose to ignore these errors, turn validation off with --validate=false` after it.
pub fn validate(value: &Value) -> Result<(), String> {
    let mut errors = type_errors(value);
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if errors.is_empty() && text("apiVersion") == Some("v1") && text("kind") == Some("List") {
        match value.get("items") {
            Some(Value::Array(items)) => errors.extend(items.iter().flat_map(type_errors)),
            _ => errors.push("invalid object to validate".to_owned()),
        }
    }
    aggregate(errors)
}

/// Go's `utilerrors.NewAggregate`: one error is itself, several stand in brackets, each text once.
fn aggregate(errors: Vec<String>) -> Result<(), String> {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        if !texts.contains(&error) {
            texts.push(error);
        }
    }
    match texts.len() {
        0 => Ok(()),
        1 => Err(texts.remove(0)),
        _ => Err(format!("[{}]", texts.join(", "))),
    }
}

fn type_errors(value: &Value) -> Vec<String> {
    let Value::Object(object) = value else {
        return vec!["invalid object to validate".to_owned()];
    };
    let mut errors = Vec::new();
    for name in ["apiVersion", "kind"] {
        match object.get(name) {
            None | Some(Value::Null) => errors.push(format!("{name} not set")),
            Some(Value::String(text)) if name == "apiVersion" && text.matches('/').count() > 1 => {
                errors.push(format!("unexpected GroupVersion string: {text}"));
            }
            Some(Value::String(_)) => {}
            Some(_) => errors.push(format!("{name} isn't string type")),
        }
    }
    errors
}
