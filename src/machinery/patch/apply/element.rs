//! One step of a path into an object, as `fieldpath.PathElement`.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value};

use crate::machinery::{go_json, quote};

/// One step: a field, an item of a list by its keys or its value, or an item by its place.
///
/// The order is upstream's: fields, then keys, then values, then places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field of a struct or a key of a map.
    Field(Box<str>),
    /// The item of a list whose key fields have these values; sorted by name.
    Key(Vec<(Box<str>, Scalar)>),
    /// The item of a set that is this value.
    Value(Scalar),
    /// The item at a place: only in error messages, since lists without keys are owned whole.
    Index(usize),
}

/// A value without parts, with a total order over all of them.
#[derive(Clone, Debug)]
pub enum Scalar {
    /// A number.
    Number(Number),
    /// A text.
    Text(Box<str>),
    /// Yes or no.
    Bool(bool),
    /// Nothing.
    Null,
}

impl Scalar {
    /// The scalar that a value is; nothing when it has parts.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Array(_) | Value::Object(_) => return None,
        })
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.to_string()),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Text(_) => 1,
            Self::Bool(_) => 2,
            Self::Null => 3,
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => super::compare_numbers(a, b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scalar {}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(text) => f.write_str(&quote::quote(text)),
            other => f.write_str(&quote::plain(&other.to_value())),
        }
    }
}

impl Element {
    /// A field.
    #[must_use]
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// The element as a key of `FieldsV1`: `f:spec`, `k:{"name":"web"}`, `v:"10.0.0.1"`, `i:3`.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => {
                let fields: Map<String, Value> =
                    fields.iter().map(|(name, value)| (name.to_string(), value.to_value())).collect();
                format!("k:{}", go_json::marshal(&Value::Object(fields)))
            }
            Self::Value(value) => format!("v:{}", go_json::marshal(&value.to_value())),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// Reads a key of `FieldsV1`; nothing for a sort of element that is not known, which readers skip.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(text: &str) -> Result<Option<Self>, String> {
        if text.len() < 2 {
            return Err("key must be 2 characters long:".to_owned());
        }
        let Some((sort, rest)) = text.split_once(':').filter(|(sort, _)| sort.len() == 1) else {
            return Err(format!("missing colon: {text}"));
        };
        let json = || serde_json::from_str::<Value>(rest).map_err(|error| error.to_string());
        let no_scalar = || format!("no scalar: {rest}");
        Ok(Some(match sort {
            "f" => Self::field(rest),
            "v" => Self::Value(Scalar::of(&json()?).ok_or_else(no_scalar)?),
            "i" => Self::Index(rest.parse().map_err(|_| format!("no index: {rest}"))?),
            "k" => {
                let Value::Object(given) = json()? else { return Err(format!("no object: {rest}")) };
                let mut fields = Vec::with_capacity(given.len());
                for (name, value) in &given {
                    fields.push((name.as_str().into(), Scalar::of(value).ok_or_else(no_scalar)?));
                }
                Self::key(fields)
            }
            _ => return Ok(None),
        }))
    }

    /// The item of a list with these keys, which need not be in order.
    #[must_use]
    pub fn key(mut fields: Vec<(Box<str>, Scalar)>) -> Self {
        // There are three keys at most: insertion is the shortest way to order them.
        for at in 1..fields.len() {
            let mut place = at;
            while place > 0 && fields[place].0 < fields[place - 1].0 {
                fields.swap(place, place - 1);
                place -= 1;
            }
        }
        Self::Key(fields)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}={value}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path as messages show it: `.spec.template.spec.containers[name="web"].image`.
#[must_use]
pub fn path(elements: &[Element]) -> String {
    elements.iter().map(Element::to_string).collect()
}
