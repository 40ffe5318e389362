//! Objects as `meta.k8s.io/v1` tables: what `kubectl get` prints.
//!
//! Follows `pkg/printers/internalversion/printers.go`; every kind's columns stand in its group's file.

use serde_json::{Value, json};

use crate::machinery::time::Time;

use super::kind::Kind;
use super::object::Object;

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// The heading in ordinary letters, such as `Nominated Node`.
    pub name: &'static str,
    /// `string` or `integer`.
    pub column_type: &'static str,
    /// `name` for the column that holds the object's name; else empty.
    pub format: &'static str,
    /// What the column holds, for people.
    pub description: &'static str,
    /// 0 for columns that are always shown, 1 for those of `-o wide`.
    pub priority: i32,
}

/// How much of each object goes into its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// The metadata only, as `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

/// The columns of a kind.
#[must_use]
pub fn columns(kind: Kind) -> &'static [ColumnDefinition] {
    let _ = kind;
    &[ColumnDefinition { name: "Name", column_type: "string", format: "name", description: "", priority: 0 }]
}

/// One object's cells, in the order of [`columns`].
#[must_use]
pub fn row(object: &Object, now: Time) -> Vec<Value> {
    let _ = now;
    vec![json!(object.metadata().name.as_deref().unwrap_or(""))]
}

/// A table of objects of one kind; the caller sets `metadata.resourceVersion` of the list.
#[must_use]
pub fn table(kind: Kind, objects: &[Object], include: IncludeObject, now: Time) -> Value {
    let definitions: Vec<Value> = columns(kind)
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.column_type,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            })
        })
        .collect();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut entry = json!({ "cells": row(object, now) });
            match include {
                IncludeObject::None => {}
                IncludeObject::Metadata => entry["object"] = partial_metadata(object),
                IncludeObject::Object => entry["object"] = object.to_value(),
            }
            entry
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// The object's metadata as `PartialObjectMetadata`.
#[must_use]
pub fn partial_metadata(object: &Object) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": serde_json::to_value(object.metadata()).unwrap_or_default(),
    })
}
