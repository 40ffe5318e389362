//! Whether a value is what its schema says: `k8s.io/kube-openapi/pkg/validation/validate`, with the errors that
//! `apiextensions-apiserver/pkg/apiserver/validation` makes of them.
//!
//! What an update leaves as it was may stay wrong (`ratcheting.go`): a schema may have become stricter since.

use serde_json::{Map, Value};

use super::{Additional, Bound, Checks, ListType, Schema, formats};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::patch::apply::equal;

/// Everything that is wrong with a value; `old` is what it was before, where that can be told.
#[must_use]
pub fn validate(value: &Value, old: Option<&Value>, schema: &Schema) -> ErrorList {
    check(&Path::root(), value, old, schema).errors
}

/// What was found, and how much was looked at: of several schemas, the one that most fits is told of.
#[derive(Default)]
struct Outcome {
    errors: ErrorList,
    matches: usize,
}

impl Outcome {
    fn add(&mut self, error: FieldError) {
        if !self.errors.iter().any(|known| known.field == error.field && known.body == error.body) {
            self.errors.push(error);
        }
    }

    fn merge(&mut self, other: Self) {
        self.matches += other.matches;
        other.errors.into_iter().for_each(|error| self.add(error));
    }

    fn of(error: FieldError) -> Self {
        Self { errors: vec![error], matches: 0 }
    }
}

/// `spec.size in body should …`
fn in_body(path: &Path, what: &str) -> String {
    format!("{path} in body {what}")
}

/// An error that names no field, and the place only in its text.
fn nowhere(detail: String) -> FieldError {
    FieldError::invalid(&Path::root(), "", detail)
}

fn check(path: &Path, value: &Value, old: Option<&Value>, schema: &Schema) -> Outcome {
    if old.is_some_and(|old| equal(old, value)) {
        return Outcome::default();
    }
    let mut outcome = Outcome::default();
    outcome.merge(check_type(path, value, schema));
    if value.is_null() {
        check_enumeration(path, value, schema, &mut outcome);
        return outcome;
    }
    check_junctors(path, value, &schema.checks, &mut outcome);
    match value {
        Value::String(text) => {
            outcome.errors.extend(text_error(path, text, &schema.checks));
            if !schema.format.is_empty() && !formats::fits(&schema.format, text) {
                let detail = in_body(path, &format!("must be of type {}: {text:?}", schema.format));
                outcome.add(FieldError::type_invalid(path, text.as_str(), detail));
            }
        }
        Value::Number(_) => check_number(path, value, schema, &mut outcome),
        Value::Array(items) => check_items(path, items, old, schema, &mut outcome),
        _ => {}
    }
    check_enumeration(path, value, schema, &mut outcome);
    if let Value::Object(fields) = value {
        outcome.merge(check_fields(path, fields, old, schema));
    }
    outcome.matches += 1;
    outcome
}

/// The type and the format of a value that Go's decoder made.
fn type_of(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(number) if number.is_f64() => ("number", "double"),
        Value::Number(_) => ("integer", "int64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    }
}

fn check_type(path: &Path, value: &Value, schema: &Schema) -> Outcome {
    let types: &[&str] = if schema.is_int_or_string { &["integer", "string"] } else { &[schema.ty.as_str()] };
    if types == [""] || (value.is_null() && schema.nullable) {
        return Outcome::default();
    }
    let (found, format) = type_of(value);
    let is_whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let fits = types.contains(&found)
        || (found == "number" && is_whole && types.contains(&"integer"))
        || (found == "integer" && types.contains(&"number"));
    if fits {
        return Outcome { errors: Vec::new(), matches: 1 };
    }
    let is_bare = matches!(value, Value::Null | Value::String(_) | Value::Array(_));
    let is_of_numbers = types.iter().any(|ty| matches!(*ty, "number" | "integer"));
    let (wanted, found) = match value {
        _ if schema.format.is_empty() || value.is_null() => (types.join(","), found),
        _ if !is_bare => (schema.format.clone(), format),
        // A text where the format speaks of something else is left to the format.
        _ if !is_of_numbers => return Outcome::default(),
        _ => (types.join(","), found),
    };
    let detail = in_body(path, &format!("must be of type {wanted}: {found:?}"));
    Outcome::of(FieldError::type_invalid(path, found, detail))
}

/// The first thing that is wrong with a text.
fn text_error(path: &Path, text: &str, checks: &Checks) -> Option<FieldError> {
    let length = text.chars().count();
    if let Some(max) = checks.max_length.filter(|max| length > *max) {
        return Some(FieldError::too_long(path, max));
    }
    if let Some(min) = checks.min_length.filter(|min| length < *min) {
        let detail = in_body(path, &format!("should be at least {min} chars long"));
        return Some(FieldError::invalid(path, text, detail));
    }
    let pattern = checks.pattern.as_ref()?;
    let matches = pattern.regex.as_ref().is_none_or(|regex| regex.is_match(text));
    (!matches).then(|| FieldError::invalid(path, text, in_body(path, &format!("should match '{}'", pattern.text))))
}

/// A number as Go's `%v` writes it.
fn shown(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e21 { format!("{number:.0}") } else { number.to_string() }
}

fn check_number(path: &Path, value: &Value, schema: &Schema, outcome: &mut Outcome) {
    let Some(number) = value.as_f64() else { return };
    let is_of_format = match (schema.ty.as_str(), schema.format.as_str()) {
        ("integer", "int32") => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        ("integer", _) => value.as_i64().is_some() || (number.fract() == 0.0 && number.abs() < 9.3e18),
        _ => true,
    };
    if !is_of_format && !schema.is_int_or_string {
        let format = match schema.format.as_str() {
            "" => "(default format)".to_owned(),
            format => format!("with format {format}"),
        };
        outcome.add(nowhere(format!("Checked value must be of type {} {format} in {path}", schema.ty)));
    }
    let checks = &schema.checks;
    if let Some(factor) = checks.multiple_of
        && (number / factor).fract() != 0.0
    {
        let detail = in_body(path, &format!("should be a multiple of {}", shown(factor)));
        outcome.add(FieldError::invalid(path, value.clone(), detail));
    }
    let mut bound = |bound: Option<Bound>, passes: fn(f64, f64) -> bool, word: &str| {
        let Some(Bound { at, exclusive }) = bound else { return };
        #[expect(clippy::float_cmp, reason = "a bound is reached when the number is the bound")]
        let is_at = number == at;
        if passes(number, at) || (is_at && !exclusive) {
            return;
        }
        let or_equal = if exclusive { "" } else { " or equal to" };
        let detail = in_body(path, &format!("should be {word} than{or_equal} {}", shown(at)));
        outcome.add(FieldError::invalid(path, value.clone(), detail));
    };
    bound(checks.minimum, |number, at| number > at, "greater");
    bound(checks.maximum, |number, at| number < at, "less");
}

fn check_enumeration(path: &Path, value: &Value, schema: &Schema, outcome: &mut Outcome) {
    let allowed = &schema.checks.enumeration;
    if allowed.is_empty() || allowed.iter().any(|allowed| equal(allowed, value)) {
        return;
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let allowed: Vec<String> = allowed.iter().map(text).collect();
    outcome.add(FieldError::not_supported(path, value.clone(), &allowed));
}

fn check_items(path: &Path, items: &[Value], old: Option<&Value>, schema: &Schema, outcome: &mut Outcome) {
    if let Some(schema_of_items) = &schema.items {
        for (index, item) in items.iter().enumerate() {
            let old = old.and_then(|old| correlated(old, item, &schema.list));
            outcome.merge(check(&path.index(index), item, old, schema_of_items));
        }
    }
    let (checks, count) = (&schema.checks, items.len());
    if let Some(min) = checks.min_items.filter(|min| count < *min) {
        let detail = in_body(path, &format!("should have at least {min} items"));
        outcome.add(FieldError::invalid(path, count, detail));
    }
    if let Some(max) = checks.max_items.filter(|max| count > *max) {
        outcome.add(FieldError::too_many(path, count, max));
    }
    let is_double = |(index, item): (usize, &Value)| items[..index].iter().any(|other| equal(other, item));
    if checks.unique_items && items.iter().enumerate().any(is_double) {
        let detail = in_body(path, "shouldn't contain duplicates");
        outcome.add(FieldError::invalid(path, "", detail));
    }
}

/// The item that this one was before: only a map's items can be told apart.
pub(super) fn correlated<'a>(old: &'a Value, item: &Value, list: &ListType) -> Option<&'a Value> {
    let ListType::Map(keys) = list else { return None };
    let is_same = |other: &&Value| keys.iter().all(|key| other.get(key) == item.get(key));
    old.as_array()?.iter().find(is_same)
}

fn check_fields(path: &Path, fields: &Map<String, Value>, old: Option<&Value>, schema: &Schema) -> Outcome {
    let (checks, count) = (&schema.checks, fields.len());
    if let Some(min) = checks.min_properties.filter(|min| count < *min) {
        let detail = in_body(path, &format!("should have at least {min} properties"));
        return Outcome::of(FieldError::invalid(path, count, detail));
    }
    if let Some(max) = checks.max_properties.filter(|max| count > *max) {
        return Outcome::of(FieldError::too_many(path, count, max));
    }
    let mut outcome = Outcome::default();
    let mut others: Vec<&String> = fields.keys().filter(|name| !schema.properties.contains_key(*name)).collect();
    others.sort();
    for name in others {
        match &schema.additional {
            Some(Additional::Schema(schema)) => {
                let old = old.and_then(|old| old.get(name));
                outcome.merge(check(&path.child(name), &fields[name], old, schema));
            }
            Some(Additional::Allowed(false)) if !schema.preserves_unknown => {
                let path_of_field = path.child(name);
                outcome.add(FieldError::invalid(
                    &path_of_field,
                    "",
                    format!("{path}.{name} in body is a forbidden property"),
                ));
            }
            _ => {}
        }
    }
    for (name, schema) in &schema.properties {
        if let Some(value) = fields.get(name) {
            outcome.merge(check(&path.child(name), value, old.and_then(|old| old.get(name)), schema));
        }
    }
    for name in checks.required.iter().filter(|name| !fields.contains_key(*name)) {
        outcome.add(FieldError::required(&path.child(name), ""));
    }
    outcome
}

/// The outcomes of several schemas for one value.
struct Several {
    valid: usize,
    /// Of those that are not valid, the one that fits best.
    best: Option<Outcome>,
}

fn check_each(path: &Path, value: &Value, schemas: &[Schema]) -> Several {
    let mut several = Several { valid: 0, best: None };
    for schema in schemas {
        let outcome = check(path, value, None, schema);
        if outcome.errors.is_empty() {
            several.valid += 1;
        } else if several.best.as_ref().is_none_or(|best| outcome.matches > best.matches) {
            several.best = Some(outcome);
        }
    }
    several
}

/// `allOf`, `anyOf`, `oneOf` and `not`.
fn check_junctors(path: &Path, value: &Value, checks: &Checks, outcome: &mut Outcome) {
    if !checks.any_of.is_empty() {
        let several = check_each(path, value, &checks.any_of);
        if several.valid == 0 {
            outcome.add(nowhere(format!("\"{path}\" must validate at least one schema (anyOf)")));
            several.best.into_iter().for_each(|best| outcome.merge(best));
        }
    }
    if !checks.one_of.is_empty() {
        let several = check_each(path, value, &checks.one_of);
        if several.valid != 1 {
            let found = match several.valid {
                0 => "Found none valid".to_owned(),
                count => format!("Found {count} valid alternatives"),
            };
            outcome.add(nowhere(format!("\"{path}\" must validate one and only one schema (oneOf). {found}")));
            if several.valid == 0 {
                several.best.into_iter().for_each(|best| outcome.merge(best));
            }
        }
    }
    if !checks.all_of.is_empty() {
        let mut valid = 0;
        for schema in &checks.all_of {
            let one = check(path, value, None, schema);
            valid += usize::from(one.errors.is_empty());
            outcome.merge(one);
        }
        if valid != checks.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            outcome.add(nowhere(format!("\"{path}\" must validate all the schemas (allOf){none}")));
        }
    }
    if let Some(not) = &checks.not
        && check(path, value, None, not).errors.is_empty()
    {
        outcome.add(nowhere(format!("\"{path}\" must not validate the schema (not)")));
    }
}
