//! Structural schemas: what the values of a custom resource may be.
//!
//! Follows `k8s.io/apiextensions-apiserver/pkg/apiserver/schema`. A [`Schema`] is read once from the JSON of a
//! CustomResourceDefinition; all else walks a value beside it.
//!
//! - [`prune`]: fields that the schema does not know, and nulls where there may be none.
//! - [`fill`], defaults: what is missing.
//! - [`validate`]: types, bounds, patterns, formats, in the words of `k8s.io/kube-openapi/pkg/validation`.
//! - [`lists`]: the items of sets and maps, of which each may be there once.
//! - [`rules`]: `x-kubernetes-validations`, in the Common Expression Language.

pub mod fill;
mod formats;
pub mod lists;
pub mod prune;
mod read;
pub mod rules;
pub mod validate;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::machinery::shell::regex::Regex;

pub use formats::is_known as is_known_format;
pub use rules::Rule;

/// What a value may be.
#[derive(Clone, Debug)]
pub struct Schema {
    /// `object`, `array`, `string`, `integer`, `number` or `boolean`; empty when that is not said.
    pub ty: String,
    /// What sort of text or number: `date-time`, `int32`.
    pub format: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it is when it is missing.
    pub default: Option<Value>,
    /// The fields of an object, by name.
    pub properties: BTreeMap<String, Schema>,
    /// What other fields may be.
    pub additional: Option<Additional>,
    /// What the items of an array may be.
    pub items: Option<Box<Schema>>,
    /// `x-kubernetes-preserve-unknown-fields`
    pub preserves_unknown: bool,
    /// `x-kubernetes-embedded-resource`
    pub is_embedded: bool,
    /// `x-kubernetes-int-or-string`
    pub is_int_or_string: bool,
    /// `x-kubernetes-list-type`, with the keys of a map.
    pub list: ListType,
    /// `x-kubernetes-map-type: atomic`
    pub is_atomic_map: bool,
    /// What else a value must hold.
    pub checks: Checks,
    /// `x-kubernetes-validations`
    pub rules: Vec<Rule>,
    /// For people.
    pub description: String,
}

/// What the fields of an object may be that have no schema of their own: `additionalProperties`.
#[derive(Clone, Debug)]
pub enum Additional {
    /// Anything, or nothing at all.
    Allowed(bool),
    /// Each has this schema.
    Schema(Box<Schema>),
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// They are not.
    #[default]
    Atomic,
    /// By their values.
    Set,
    /// By the values of these fields.
    Map(Vec<String>),
}

/// The bounds of a value: what a schema says besides its structure.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are OpenAPI's own")]
pub struct Checks {
    pub maximum: Option<Bound>,
    pub minimum: Option<Bound>,
    pub multiple_of: Option<f64>,
    pub max_length: Option<usize>,
    pub min_length: Option<usize>,
    pub pattern: Option<Pattern>,
    pub max_items: Option<usize>,
    pub min_items: Option<usize>,
    pub unique_items: bool,
    pub max_properties: Option<usize>,
    pub min_properties: Option<usize>,
    pub required: Vec<String>,
    pub enumeration: Vec<Value>,
    pub all_of: Vec<Schema>,
    pub any_of: Vec<Schema>,
    pub one_of: Vec<Schema>,
    pub not: Option<Box<Schema>>,
}

/// The largest or smallest number that is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The number.
    pub at: f64,
    /// Whether the number itself is too much.
    pub exclusive: bool,
}

/// A regular expression with its text.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As it was written.
    pub text: String,
    /// As it was understood; nothing when it was not.
    pub regex: Option<Regex>,
}

impl Checks {
    const NONE: Self = Self {
        maximum: None,
        minimum: None,
        multiple_of: None,
        max_length: None,
        min_length: None,
        pattern: None,
        max_items: None,
        min_items: None,
        unique_items: false,
        max_properties: None,
        min_properties: None,
        required: Vec::new(),
        enumeration: Vec::new(),
        all_of: Vec::new(),
        any_of: Vec::new(),
        one_of: Vec::new(),
        not: None,
    };
}

impl Schema {
    /// A schema that says nothing.
    pub const NONE: Self = Self {
        ty: String::new(),
        format: String::new(),
        nullable: false,
        default: None,
        properties: BTreeMap::new(),
        additional: None,
        items: None,
        preserves_unknown: false,
        is_embedded: false,
        is_int_or_string: false,
        list: ListType::Atomic,
        is_atomic_map: false,
        checks: Checks::NONE,
        rules: Vec::new(),
        description: String::new(),
    };

    /// Reads a schema that a CustomResourceDefinition holds.
    #[must_use]
    pub fn read(json: &Value) -> Self {
        read::schema(json)
    }

    /// A schema that knows nothing and lets everything pass.
    #[must_use]
    pub fn open() -> Self {
        Self { ty: "object".to_owned(), preserves_unknown: true, ..Self::NONE }
    }

    /// The schema of a field; nothing when the field is not declared.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or_else(|| self.additional_schema())
    }

    /// What fields are that have no schema of their own.
    #[must_use]
    pub fn additional_schema(&self) -> Option<&Self> {
        match &self.additional {
            Some(Additional::Schema(schema)) => Some(schema),
            _ => None,
        }
    }

    /// Whether a null is no value here, but a missing one.
    fn refuses(&self, value: &Value) -> bool {
        value.is_null() && !self.nullable
    }
}

/// A path of fields: what stands at the end of `.spec.replicas`, without the dot it begins with.
#[must_use]
pub fn nested<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.').split('.').try_fold(value, |value, name| value.get(name))
}
