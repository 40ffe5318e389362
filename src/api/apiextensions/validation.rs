//! What may be wrong with a CustomResourceDefinition: `pkg/apis/apiextensions/validation/validation.go`.
//!
//! Upstream validates its internal form, in which what all versions have in common stands once at the top:
//! `spec.validation` and not `spec.versions[0].schema`. So do the errors here.

use serde_json::{Map, Value, json};

use super::conditions::{APPROVED, approval, is_true};
use super::{rules, structural};
use crate::api::admission_registration::webhooks::{validate_client, validate_review_versions};
use crate::api::check::{IMMUTABLE, invalid_each, required, required_supported};
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::api::unstructured::Unstructured;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

/// The types that a column may have.
const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
/// The formats that a column may have.
const COLUMN_FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
/// How many fields lists can be selected by.
const SELECTABLE_FIELDS_MAX: usize = 8;
/// The longest warning of a version that is deprecated.
const WARNING_LETTERS_MAX: usize = 256;

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or("")
}

fn part<'a>(definition: &'a Unstructured, name: &str) -> &'a Value {
    definition.fields.get(name).unwrap_or(&Value::Null)
}

/// Everything that is wrong with a new definition.
#[inline(never)]
pub(crate) fn validate(definition: &Unstructured) -> ErrorList {
    let spec = part(definition, "spec");
    let mut errors =
        meta::validate_with(&definition.metadata, false, names::is_dns1123_subdomain, meta::Finalizers::Qualified);
    let name = definition.metadata.name.as_deref().unwrap_or("");
    if !name.is_empty() && name != format!("{}.{}", text(&spec["names"], "plural"), text(spec, "group")) {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        // Upstream asks this together with the form of the name, before anything else of the metadata.
        errors.insert(0, FieldError::invalid(&Path::new("metadata").child("name"), name, detail));
    }
    validate_spec(spec, &mut errors);
    validate_stored_versions(
        spec,
        part(definition, "status"),
        &Path::new("status").child("storedVersions"),
        &mut errors,
    );
    validate_approval(definition, &mut errors);
    validate_preserving(spec, &Value::Null, &mut errors);
    errors
}

/// Everything that is wrong with an update.
#[inline(never)]
pub(crate) fn validate_update(new: &Unstructured, old: &Unstructured, subresource: Option<Subresource>) -> ErrorList {
    let mut errors = ErrorList::new();
    let (spec, status) = (part(new, "spec"), part(new, "status"));
    let path = Path::new("status");
    if subresource.is_none() {
        validate_spec(spec, &mut errors);
        validate_immutable(spec, part(old, "spec"), is_true(part(old, "status"), "Established"), &mut errors);
    }
    validate_names(&status["acceptedNames"], &path.child("acceptedNames"), &mut errors);
    validate_stored_versions(spec, status, &path.child("storedVersions"), &mut errors);
    if subresource.is_none() {
        validate_preserving(spec, part(old, "spec"), &mut errors);
    }
    errors
}

/// What schemas do not know is dropped in this version, unless they say otherwise.
fn validate_preserving(spec: &Value, old: &Value, errors: &mut ErrorList) {
    if spec["preserveUnknownFields"] == true && old["preserveUnknownFields"] != true {
        let detail =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(FieldError::invalid(&Path::new("spec").child("preserveUnknownFields"), true, detail));
    }
}

fn validate_immutable(spec: &Value, old: &Value, established: bool, errors: &mut ErrorList) {
    let path = Path::new("spec");
    let mut same = |new: &Value, old: &Value, path: &Path| {
        if new != old {
            errors.push(FieldError::invalid(path, new.clone(), IMMUTABLE));
        }
    };
    let names = path.child("names");
    if established {
        same(&spec["scope"], &old["scope"], &path.child("scope"));
        same(&spec["names"]["kind"], &old["names"]["kind"], &names.child("kind"));
    }
    same(&spec["group"], &old["group"], &path.child("group"));
    same(&spec["names"]["plural"], &old["names"]["plural"], &names.child("plural"));
}

/// A version in which objects may be stored cannot go.
fn validate_stored_versions(spec: &Value, status: &Value, path: &Path, errors: &mut ErrorList) {
    let stored = status["storedVersions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if stored.is_empty() {
        errors.push(FieldError::invalid(path, Value::Null, "must have at least one stored version"));
    }
    let versions = || spec["versions"].as_array().into_iter().flatten();
    for (index, name) in stored.iter().enumerate() {
        if !versions().any(|version| version["name"] == *name) {
            let name = name.as_str().unwrap_or("");
            let detail = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until \
                 a storage migration ensures no data remains persisted in {name} and removes {name} from \
                 status.storedVersions"
            );
            errors.push(FieldError::invalid(&path.index(index), name, detail));
        }
    }
}

fn validate_approval(definition: &Unstructured, errors: &mut ErrorList) {
    let annotation = definition.metadata.annotations.as_ref().and_then(|annotations| annotations.get(APPROVED));
    let group = text(part(definition, "spec"), "group");
    let Some(state) = approval(group, annotation.map(String::as_str)) else { return };
    let path = Path::new("metadata").child("annotations").key(APPROVED);
    match state.reason {
        "MissingAnnotation" => errors.push(FieldError::required(&path, state.message)),
        "InvalidAnnotation" => errors.push(FieldError::invalid(&path, annotation.cloned(), state.message)),
        _ => {}
    }
}

/// What stands at the top when it is the same in all versions, and what it is called there.
const COMMON: [(&str, &str, &str); 4] = [
    ("schema", "validation", "Schema"),
    ("subresources", "subresources", "Subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns", "AdditionalPrinterColumns"),
    ("selectableFields", "selectableFields", "SelectableFields"),
];

/// Whether all versions have the same of something.
fn is_common(versions: &[Value], name: &str) -> bool {
    versions.iter().all(|version| version[name] == versions[0][name])
}

/// The versions in the internal form, as an error shows them.
fn shown(versions: &[Value]) -> Value {
    let show = |version: &Value| {
        let mut shown = json!({
            "Name": version["name"],
            "Served": version["served"] == true,
            "Storage": version["storage"] == true,
            "Deprecated": version["deprecated"] == true,
            "DeprecationWarning": version["deprecationWarning"],
        });
        for (name, _, shown_name) in COMMON {
            shown[shown_name] = if is_common(versions, name) { Value::Null } else { version[name].clone() };
        }
        shown
    };
    if versions.is_empty() { Value::Null } else { versions.iter().map(show).collect() }
}

fn validate_spec(spec: &Value, errors: &mut ErrorList) {
    let path = Path::new("spec");
    validate_group(text(spec, "group"), &path.child("group"), errors);
    required_supported(errors, &path.child("scope"), text(spec, "scope"), &["Cluster", "Namespaced"]);
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let path_of_versions = path.child("versions");
    let has_schema = |version: &Value| version["schema"]["openAPIV3Schema"].is_object();
    if versions.is_empty() || !is_common(versions, "schema") || !has_schema(&versions[0]) {
        for (index, version) in versions.iter().enumerate() {
            if version["served"] == true && !has_schema(version) {
                let path = path_of_versions.index(index).child("schema").child("openAPIV3Schema");
                errors.push(FieldError::required(&path, "schemas are required"));
            }
        }
    }
    validate_versions(versions, &path_of_versions, errors);
    for name in ["plural", "singular", "kind", "listKind"] {
        required(errors, &path.child("names").child(name), text(&spec["names"], name));
    }
    validate_names(&spec["names"], &path.child("names"), errors);
    if let Some(first) = versions.first() {
        let common = |name: &str| is_common(versions, name);
        validate_parts(first, &path, true, &common, errors);
    }
    validate_conversion(&spec["conversion"], &path.child("conversion"), errors);
}

fn validate_group(group: &str, path: &Path, errors: &mut ErrorList) {
    let wrong = names::is_dns1123_subdomain(group);
    if group.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !wrong.is_empty() {
        errors.push(FieldError::invalid(path, group, wrong.join(",")));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid(path, group, "should be a domain with at least one dot"));
    }
}

fn validate_versions(versions: &[Value], path: &Path, errors: &mut ErrorList) {
    for (index, version) in versions.iter().enumerate() {
        let path = path.index(index);
        let name = text(version, "name");
        let wrong = names::is_dns1035_label(name);
        if !wrong.is_empty() {
            errors.push(FieldError::invalid(&path.child("name"), name, wrong.join(",")));
        }
        validate_warning(version, &path.child("deprecationWarning"), errors);
        validate_parts(version, &path, false, &|name| !is_common(versions, name), errors);
    }
    let is_double =
        |(index, version): (usize, &Value)| versions[..index].iter().any(|other| other["name"] == version["name"]);
    if versions.iter().enumerate().any(is_double) {
        errors.push(FieldError::invalid(path, shown(versions), "must contain unique version names"));
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let detail = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(path, shown(versions), detail));
    }
}

fn validate_warning(version: &Value, path: &Path, errors: &mut ErrorList) {
    let Some(warning) = version["deprecationWarning"].as_str() else { return };
    let mut wrong = |detail: String| errors.push(FieldError::invalid(path, warning, detail));
    if version["deprecated"] != true {
        wrong("can only be set for deprecated versions".to_owned());
    }
    if warning.is_empty() {
        return wrong("must not be empty if specified".to_owned());
    }
    if warning.len() > WARNING_LETTERS_MAX {
        wrong(format!("must be <= {WARNING_LETTERS_MAX} characters long"));
    }
    if let Some(at) = warning.find(char::is_control) {
        wrong(format!("must only contain printable UTF-8 characters; non-printable character found at index {at}"));
    }
}

/// Schema, subresources, columns and fields to select by: those that `applies` says stand here.
fn validate_parts(version: &Value, path: &Path, at_top: bool, applies: &dyn Fn(&str) -> bool, errors: &mut ErrorList) {
    let has_status = version["subresources"]["status"].is_object();
    let at = |index: usize| path.child(if at_top { COMMON[index].1 } else { COMMON[index].0 });
    let schema = &version["schema"]["openAPIV3Schema"];
    if applies("schema") && schema.is_object() {
        validate_schema(schema, &at(0).child("openAPIV3Schema"), has_status, errors);
    }
    if applies("subresources") {
        validate_subresources(&version["subresources"], &at(1), errors);
    }
    if applies("additionalPrinterColumns") {
        for (index, column) in version["additionalPrinterColumns"].as_array().into_iter().flatten().enumerate() {
            validate_column(column, &at(2).index(index), errors);
        }
    }
    if applies("selectableFields") {
        let fields = version["selectableFields"].as_array().map(Vec::as_slice).unwrap_or_default();
        validate_selectable_fields(fields, schema, &at(3), errors);
    }
}

fn validate_schema(schema: &Value, path: &Path, has_status: bool, errors: &mut ErrorList) {
    if has_status {
        validate_root(schema, path, errors);
    }
    if schema["nullable"] == true {
        errors.push(FieldError::forbidden(&path.child("nullable"), "nullable cannot be true at the root"));
    }
    rules::validate_schema(schema, path, errors);
    structural::validate(schema, path, errors);
}

/// Where status is judged by itself, the root may only say what can be divided.
fn validate_root(schema: &Value, path: &Path, errors: &mut ErrorList) {
    const ALLOWED: [(&str, &str); 11] = [
        ("description", "Description"),
        ("type", "Type"),
        ("format", "Format"),
        ("title", "Title"),
        ("maximum", "Maximum"),
        ("exclusiveMaximum", "ExclusiveMaximum"),
        ("minimum", "Minimum"),
        ("exclusiveMinimum", "ExclusiveMinimum"),
        ("maxLength", "MaxLength"),
        ("minLength", "MinLength"),
        ("pattern", "Pattern"),
    ];
    const MORE: [(&str, &str); 14] = [
        ("maxItems", "MaxItems"),
        ("minItems", "MinItems"),
        ("uniqueItems", "UniqueItems"),
        ("multipleOf", "MultipleOf"),
        ("required", "Required"),
        ("enum", "Enum"),
        ("items", "Items"),
        ("properties", "Properties"),
        ("externalDocs", "ExternalDocs"),
        ("example", "Example"),
        ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"),
        ("x-kubernetes-validations", "XValidations"),
        ("x-kubernetes-map-type", "XMapType"),
        ("nullable", "Nullable"),
    ];
    let ty = text(schema, "type");
    if ty != "object" && !ty.is_empty() {
        let detail =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        errors.push(FieldError::invalid(&path.child("type"), ty, detail));
    }
    let allowed = || ALLOWED.iter().chain(&MORE);
    let is_allowed = |name: &str| allowed().any(|(known, _)| *known == name);
    if schema.as_object().is_some_and(|fields: &Map<String, Value>| !fields.keys().all(|name| is_allowed(name))) {
        let names: Vec<&str> = allowed().map(|(_, name)| *name).filter(|name| *name != "Nullable").collect();
        let detail = format!(
            "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
            names.join(" ")
        );
        errors.push(FieldError::invalid(path, schema.clone(), detail));
    }
}

fn validate_subresources(subresources: &Value, path: &Path, errors: &mut ErrorList) {
    let scale = &subresources["scale"];
    if !scale.is_object() {
        return;
    }
    for (name, root) in
        [("specReplicasPath", ".spec"), ("statusReplicasPath", ".status"), ("labelSelectorPath", ".status")]
    {
        let path = path.child(&format!("scale.{name}"));
        match text(scale, name) {
            "" if name == "labelSelectorPath" => {}
            "" => errors.push(FieldError::required(&path, "")),
            json_path if !validate_json_path(json_path, &path, errors) => {}
            json_path if !json_path.starts_with(&format!("{root}.")) => {
                errors.push(FieldError::invalid(&path, json_path, format!("should be a json path under {root}")));
            }
            _ => {}
        }
    }
}

/// `validateSimpleJSONPath`; says whether it is one.
fn validate_json_path(json_path: &str, path: &Path, errors: &mut ErrorList) -> bool {
    let detail = match json_path {
        "" => "must not be empty",
        path if !path.starts_with('.') => "must be a simple json path starting with .",
        _ => return true,
    };
    errors.push(FieldError::invalid(path, json_path, detail));
    false
}

fn validate_column(column: &Value, path: &Path, errors: &mut ErrorList) {
    required(errors, &path.child("name"), text(column, "name"));
    let one_of = |known: &[&str]| format!("must be one of {}", known.join(","));
    match text(column, "type") {
        "" => errors.push(FieldError::required(&path.child("type"), one_of(&COLUMN_TYPES))),
        ty if !COLUMN_TYPES.contains(&ty) => {
            errors.push(FieldError::invalid(&path.child("type"), ty, one_of(&COLUMN_TYPES)));
        }
        _ => {}
    }
    let format = text(column, "format");
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
        errors.push(FieldError::invalid(&path.child("format"), format, one_of(&COLUMN_FORMATS)));
    }
    match text(column, "jsonPath") {
        "" => errors.push(FieldError::required(&path.child("JSONPath"), "")),
        json_path => drop(validate_json_path(json_path, &path.child("jsonPath"), errors)),
    }
}

fn validate_selectable_fields(fields: &[Value], schema: &Value, path: &Path, errors: &mut ErrorList) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let path = path.index(index).child("jsonPath");
        let json_path = text(field, "jsonPath");
        if json_path.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        if let Err(why) = selectable(json_path, schema) {
            errors.push(FieldError::invalid(&path, json_path, why));
        }
        if seen.contains(&json_path) {
            errors.push(FieldError::duplicate(&path, json_path));
        }
        seen.push(json_path);
    }
    if fields.len() > SELECTABLE_FIELDS_MAX {
        errors.push(FieldError::too_many(path, fields.len(), SELECTABLE_FIELDS_MAX));
    }
}

/// Whether lists can be selected by the field at a path: one of a simple type, and not of the metadata.
fn selectable(json_path: &str, schema: &Value) -> Result<(), String> {
    let Some(inner) = json_path.strip_prefix('.') else {
        return Err("is an invalid path: expected [ or . but got: ".to_owned() + json_path);
    };
    if inner.contains('[') {
        return Err("is an invalid path: array notation is not allowed".to_owned());
    }
    let found = inner.split('.').try_fold(schema, |schema, name| schema["properties"].get(name));
    let found = found.ok_or("is an invalid path: does not refer to a valid field")?;
    if inner == "metadata" || inner.starts_with("metadata.") {
        return Err("must not point to fields in metadata".to_owned());
    }
    match text(found, "type") {
        "string" | "boolean" | "integer" => Ok(()),
        _ => Err("must point to a field of type string, boolean or integer. Enum string fields and strings with formats are \
                  allowed."
            .to_owned()),
    }
}

fn validate_conversion(conversion: &Value, path: &Path, errors: &mut ErrorList) {
    let strategy = text(conversion, "strategy");
    required_supported(errors, &path.child("strategy"), strategy, &["None", "Webhook"]);
    let webhook = &conversion["webhook"];
    if strategy != "Webhook" {
        if webhook["clientConfig"].is_object() {
            let detail = "should not be set when strategy is not set to Webhook";
            errors.push(FieldError::forbidden(&path.child("webhookClientConfig"), detail));
        }
        if webhook["conversionReviewVersions"].as_array().is_some_and(|versions| !versions.is_empty()) {
            let detail = "should not be set when strategy is not set to Webhook";
            errors.push(FieldError::forbidden(&path.child("conversionReviewVersions"), detail));
        }
        return;
    }
    let at = path.child("webhookClientConfig");
    if webhook["clientConfig"].is_object() {
        validate_client(errors, &at, &webhook["clientConfig"]);
    } else {
        errors.push(FieldError::required(&at, "required when strategy is set to Webhook"));
    }
    let versions = webhook["conversionReviewVersions"].as_array().into_iter().flatten();
    let versions: Vec<&str> = versions.filter_map(Value::as_str).collect();
    validate_review_versions(errors, &path.child("conversionReviewVersions"), &versions, "");
}

/// `ValidateCustomResourceDefinitionNames`.
fn validate_names(names: &Value, path: &Path, errors: &mut ErrorList) {
    let label = |name: &str, lower: bool, errors: &mut ErrorList| {
        let value = text(names, name);
        let wrong = names::is_dns1035_label(&if lower { value.to_lowercase() } else { value.to_owned() });
        if !value.is_empty() && !wrong.is_empty() {
            let before = if lower { "may have mixed case, but should otherwise match: " } else { "" };
            errors.push(FieldError::invalid(&path.child(name), value, format!("{before}{}", wrong.join(","))));
        }
    };
    label("plural", false, errors);
    label("singular", false, errors);
    label("kind", true, errors);
    label("listKind", true, errors);
    let each = |name: &str, errors: &mut ErrorList| {
        for (index, value) in names[name].as_array().into_iter().flatten().enumerate() {
            let value = value.as_str().unwrap_or("");
            let wrong = names::is_dns1035_label(value);
            if !wrong.is_empty() {
                invalid_each(errors, &path.child(name).index(index), value, vec![wrong.join(",")]);
            }
        }
    };
    each("shortNames", errors);
    let (kind, list_kind) = (text(names, "kind"), text(names, "listKind"));
    if !kind.is_empty() && kind == list_kind {
        errors.push(FieldError::invalid(&path.child("listKind"), list_kind, "kind and listKind may not be the same"));
    }
    each("categories", errors);
}
