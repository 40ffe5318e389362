//! What the devices of a claim must have in common, or not.

use serde_json::Value;

use crate::api::resource::claim::{items, text};
use crate::api::resource::device;

/// A constraint of a claim, and what has been chosen under it so far: `matchAttributeConstraint` and
/// `distinctAttributeConstraint`.
#[derive(Debug)]
pub(super) struct Constraint<'a> {
    is_distinct: bool,
    attribute: &'a str,
    requests: Vec<&'a str>,
    values: Vec<&'a Value>,
}

impl<'a> Constraint<'a> {
    /// Reads a constraint; nothing when it is of a sort that is not known.
    pub(super) fn new(constraint: &'a Value) -> Option<Self> {
        let (matching, distinct) = (text(constraint, "matchAttribute"), text(constraint, "distinctAttribute"));
        let attribute = if matching.is_empty() { distinct } else { matching };
        (!attribute.is_empty()).then(|| Self {
            is_distinct: matching.is_empty(),
            attribute,
            requests: items(constraint, "requests").iter().filter_map(Value::as_str).collect(),
            values: Vec::new(),
        })
    }

    /// Whether it is about a request, by its name or that of its alternative.
    fn concerns(&self, request: &str, full_name: &str) -> bool {
        self.requests.is_empty() || self.requests.contains(&request) || self.requests.contains(&full_name)
    }

    /// Takes a device in; says whether it may be.
    pub(super) fn add(&mut self, request: &str, full_name: &str, driver: &str, given: &'a Value) -> bool {
        if !self.concerns(request, full_name) {
            return true;
        }
        let Some(value) = device::attribute(driver, given, self.attribute) else { return false };
        let fits = if self.is_distinct {
            !self.values.contains(&value)
        } else {
            self.values.first().is_none_or(|first| *first == value)
        };
        if fits {
            self.values.push(value);
        }
        fits
    }

    /// Takes the device out that was taken in last.
    pub(super) fn remove(&mut self, request: &str, full_name: &str) {
        if self.concerns(request, full_name) {
            self.values.pop();
        }
    }
}
