//! Values of expressions.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::semver::Semver;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the language's own types")]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    /// A map of maps in which one that is looked up and is not there is an empty one.
    Domains(BTreeMap<String, Value>),
    Quantity(Quantity),
    /// A version.
    Semver(Semver),
    /// A moment.
    Timestamp(Time),
    /// A span of time, in nanoseconds.
    Duration(i64),
    /// What a field selected with `.?` holds, if it is there.
    Optional(Option<Box<Value>>),
    /// A type, by its name.
    Type(&'static str),
}

impl Value {
    /// The value of JSON.
    #[must_use]
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => {
                number.as_i64().map_or_else(|| Self::Double(number.as_f64().unwrap_or(0.0)), Self::Int)
            }
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            Json::Object(map) => {
                Self::Map(map.iter().map(|(key, value)| (key.clone(), Self::from_json(value))).collect())
            }
        }
    }

    /// The value as JSON; a type and a missing value are null.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null | Self::Type(_) | Self::Optional(None) => Json::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Double(value) => (*value).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Quantity(quantity) => quantity.to_string().into(),
            Self::Timestamp(_) | Self::Duration(_) => self.show().into(),
            Self::Optional(Some(value)) => value.to_json(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Semver(version) => version.show().into(),
            Self::Map(map) | Self::Domains(map) => {
                map.iter().map(|(key, value)| (key.clone(), value.to_json())).collect()
            }
        }
    }

    /// The name of its type.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) | Self::Domains(_) => "map",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
        }
    }

    /// The value as `string()` makes it.
    #[must_use]
    pub fn show(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
            Self::Text(text) => text.clone(),
            Self::Quantity(quantity) => quantity.to_string(),
            Self::Semver(version) => version.show(),
            Self::Timestamp(time) => time.to_rfc3339(),
            Self::Duration(nanoseconds) => format!("{}s", *nanoseconds as f64 / 1e9),
            Self::Type(name) => (*name).to_owned(),
            Self::List(_) | Self::Map(_) | Self::Domains(_) | Self::Optional(_) => self.type_name().to_owned(),
        }
    }

    /// Whether two values are one; numbers are compared by size.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(left), Self::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.equals(right))
            }
            (Self::Map(left), Self::Map(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| value.equals(other)))
            }
            _ => self == other || self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// How two values stand to each other, where they can be ordered.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => Some(left.cmp(right)),
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(right)),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Quantity(left), Self::Quantity(right)) => Some(left.cmp(right)),
            (Self::Semver(left), Self::Semver(right)) => Some(left.compare(right)),
            (Self::Timestamp(left), Self::Timestamp(right)) => Some(left.cmp(right)),
            (Self::Duration(left), Self::Duration(right)) => Some(left.cmp(right)),
            (Self::Double(left), Self::Double(right)) => left.partial_cmp(right),
            (Self::Int(left), Self::Double(right)) => (*left as f64).partial_cmp(right),
            (Self::Double(left), Self::Int(right)) => left.partial_cmp(&(*right as f64)),
            _ => None,
        }
    }
}
