//! Objects of kinds that are only stored: their metadata as a type, the rest as JSON.
//!
//! Upstream's name for it (`apimachinery/pkg/apis/meta/v1/unstructured`). A type costs some ten kilobytes of download,
//! and a kind that no component reads by its fields needs none: strict decoding, Go's form and patches work on the table
//! of types (`machinery/schema`).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

use super::kind::Kind;
use crate::machinery::json::{self, ReadError};

/// An object without a type of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Unstructured {
    /// The kind.
    pub kind: Kind,
    /// The metadata, which every kind has.
    pub metadata: ObjectMeta,
    /// All other fields but `apiVersion` and `kind`: `spec`, `status` and what else the kind has.
    pub fields: Map<String, Value>,
}

impl Unstructured {
    /// Reads an object whose shape was checked before.
    pub(super) fn from_value(kind: Kind, value: &Value) -> Result<Self, ReadError> {
        let metadata = value.get("metadata").map_or_else(|| Ok(ObjectMeta::default()), json::from_value)?;
        let is_own = |(name, _): &(&String, &Value)| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
        let fields = value.as_object().into_iter().flatten().filter(is_own);
        Ok(Self { kind, metadata, fields: fields.map(|(name, value)| (name.clone(), value.clone())).collect() })
    }

    /// The object as JSON, with `apiVersion` and `kind`.
    pub(super) fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("apiVersion".to_owned(), self.kind.api_version().into());
        map.insert("kind".to_owned(), self.kind.info().kind.into());
        map.insert("metadata".to_owned(), json::to_value(&self.metadata));
        map.extend(self.fields.iter().map(|(name, value)| (name.clone(), value.clone())));
        Value::Object(map)
    }

    /// `PrepareForCreate` as most kinds have it: status is the server's, and the first generation is 1.
    pub(super) fn prepare_for_create(&mut self) {
        if self.kind.custom().is_some() && self.kind.has(super::kind::Subresource::Status) {
            self.fields.shift_remove("status");
        }
        if self.kind.has(super::kind::Subresource::Status) {
            self.clear_status();
        }
        if self.kind.info().generation {
            self.metadata.generation = Some(1);
        }
    }

    fn clear_status(&mut self) {
        if let Some(status) = self.fields.get_mut("status") {
            *status = Value::Object(Map::new());
        }
    }

    /// `PrepareForUpdate` as most kinds have it: a write below `status` changes nothing else, any other leaves it.
    pub(super) fn prepare_for_update(&mut self, old: &Self, subresource: Option<super::kind::Subresource>) {
        use super::kind::Subresource;
        match subresource {
            Some(Subresource::Status | Subresource::Approval) => {
                let status = self.fields.remove("status");
                self.fields.clone_from(&old.fields);
                self.set_status(status);
            }
            _ if self.kind.has(Subresource::Status) => {
                let status = old.fields.get("status").cloned();
                self.fields.remove("status");
                self.set_status(status);
            }
            _ => {}
        }
        let is_spec = |(name, _): &(&String, &Value)| name.as_str() != "status";
        let same = self.fields.iter().filter(is_spec).eq(old.fields.iter().filter(is_spec));
        if self.kind.info().generation && !same {
            self.metadata.generation = Some(old.metadata.generation.unwrap_or(0) + 1);
        }
    }

    fn set_status(&mut self, status: Option<Value>) {
        if let Some(status) = status {
            self.fields.insert("status".to_owned(), status);
        }
    }
}
