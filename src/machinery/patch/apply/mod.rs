//! Server-side apply: who owns which field, and what becomes of an object when somebody applies a part of it.
//!
//! Follows `sigs.k8s.io/structured-merge-diff` and `k8s.io/apimachinery/pkg/util/managedfields`. Everything here works on
//! JSON and the table of types ([`crate::machinery::schema`]); nothing knows of a store or of a kind's own rules.
//!
//! - [`element`] and [`set`]: paths, sets of paths and their JSON form, `FieldsV1`.
//! - [`typed`]: what a value is to ownership: scalar, list or map, owned whole or in parts.
//! - [`validate`], [`fields`], [`merge`], [`compare`] and [`remove`]: the walks over values.
//! - [`managed`]: the owners of an object, `metadata.managedFields`.
//! - [`update`]: the two things that happen to them, an update and an apply.
//! - [`conflict`]: how an apply is refused that would take fields from others.

pub mod compare;
pub mod conflict;
pub mod element;
pub mod fields;
pub mod managed;
pub mod merge;
pub mod remove;
pub mod set;
pub mod typed;
pub mod update;
pub mod validate;

#[cfg(test)]
mod tests;

use serde_json::{Number, Value};

pub use conflict::{Conflict, Conflicts};
pub use element::{Element, Scalar};
pub use managed::{Managed, Manager, Operation, Owned};
pub use set::Set;
pub use update::{Applied, ApplyError, Updater};

/// Whether two values are one to ownership: numbers are compared by value, however they are written.
#[must_use]
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn compare_numbers(a: &Number, b: &Number) -> std::cmp::Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or(f64::NAN).total_cmp(&b.as_f64().unwrap_or(f64::NAN)),
    }
}
