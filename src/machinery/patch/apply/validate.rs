//! Whether a value is what its type says: `TypedValue.Validate`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::element::Element;
use super::typed::{Atom, Relation, ScalarType, TypeRef};
use crate::machinery::quote::{plain, quote};

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedError {
    /// Where.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// What is wrong with a value, in upstream's words; the empty list when nothing is.
#[must_use]
pub fn validate(value: &Value, of: TypeRef) -> Vec<TypedError> {
    let mut walk = Walk { path: String::new(), errors: Vec::new() };
    walk.value(value, of);
    walk.errors
}

/// The findings as one text.
#[must_use]
pub fn text(errors: &[TypedError]) -> String {
    let line = |error: &TypedError| {
        if error.path.is_empty() { error.message.clone() } else { format!("{}: {}", error.path, error.message) }
    };
    match errors {
        [one] => line(one),
        many => {
            let mut lines = vec!["errors:".to_owned()];
            lines.extend(many.iter().map(|error| format!("  {}", line(error))));
            lines.join("\n")
        }
    }
}

struct Walk {
    path: String,
    errors: Vec<TypedError>,
}

impl Walk {
    fn error(&mut self, message: String) {
        self.errors.push(TypedError { path: self.path.clone(), message });
    }

    fn below(&mut self, element: &Element, value: &Value, of: TypeRef) {
        let length = self.path.len();
        self.path.push_str(&element.to_string());
        self.value(value, of);
        self.path.truncate(length);
    }

    fn value(&mut self, value: &Value, of: TypeRef) {
        match of.atom(Some(value)) {
            Atom::Scalar(scalar) => {
                if let Some(message) = scalar_error(scalar, value) {
                    self.error(message);
                }
            }
            Atom::List(relation, item) => self.list(value, relation, item),
            Atom::Map { .. } => self.map(value, of),
        }
    }

    fn list(&mut self, value: &Value, relation: Relation, of: TypeRef) {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => return,
            other => return self.error(format!("expected list, got &{{{}}}", plain(other))),
        };
        let mut seen: BTreeSet<Element> = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let element = if relation.is_atomic() { Ok(Element::Index(index)) } else { relation.element(item) };
            let element = match element {
                Ok(element) => element,
                // What is deeper cannot be named either.
                Err(why) => return self.error(format!("element {index}: {why}")),
            };
            if !relation.is_atomic() && !seen.insert(element.clone()) {
                self.error(format!("duplicate entries for key {element}"));
            }
            self.below(&element, item, of);
        }
    }

    fn map(&mut self, value: &Value, of: TypeRef) {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => return,
            other => return self.error(format!("expected map, got &{{{}}}", plain(other))),
        };
        for (name, value) in fields {
            let element = Element::field(name);
            let Some(of) = of.field(name) else {
                let path = format!("{}{element}", self.path);
                self.errors.push(TypedError { path, message: "field not declared in schema".to_owned() });
                // As upstream, which looks no further in this map.
                return;
            };
            self.below(&element, value, of);
        }
    }
}

/// What is wrong with a scalar.
fn scalar_error(scalar: ScalarType, value: &Value) -> Option<String> {
    let given = |what: &str| Some(format!("expected {what}, got &{{{}}}", plain(value)));
    match (scalar, value) {
        (_, Value::Null)
        | (ScalarType::Numeric, Value::Number(_))
        | (ScalarType::String, Value::String(_))
        | (ScalarType::Boolean, Value::Bool(_))
        | (ScalarType::Untyped, Value::Number(_) | Value::String(_) | Value::Bool(_)) => None,
        (ScalarType::Numeric, _) => Some(format!("expected numeric (int or float), got {}", go_type(value))),
        (ScalarType::String, _) => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(value)))
        }
        (ScalarType::Boolean, _) => given("boolean"),
        (ScalarType::Untyped, _) => given("any scalar"),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Null => "<nil>",
    }
}

/// A value as Go's `%#v` writes it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let fields: Vec<String> =
                map.iter().map(|(key, value)| format!("{}:{}", quote(key), go_syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
        other => plain(other),
    }
}
