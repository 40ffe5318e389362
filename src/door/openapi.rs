//! `/openapi/v2` and `/openapi/v3`: what is served, with its schemas, for `kubectl explain` and for clients that merge.
//!
//! The schemas are made when the program is built ([`schemas`]); the addresses, from the table of kinds, are put in front of
//! them when somebody asks first. The documents of custom kinds ([`custom`]) are made for each who asks.

mod custom;
#[cfg(test)]
mod enums;
#[cfg(test)]
mod generate;
mod gnostic;
mod schemas;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::api::{Kind, Subresource};
use crate::apiserver::ApiServer;

use super::discovery::GroupVersion;
use super::keep::fingerprint;
use super::route::VERSION;

/// The documents, one a group and version, as text, each with the hash that is part of its address.
static DOCUMENTS: LazyLock<Vec<Document>> =
    LazyLock::new(|| GroupVersion::all(&[]).into_iter().map(Document::of).collect());

struct Document {
    path: String,
    text: String,
    hash: u64,
}

impl Document {
    fn of(own: GroupVersion) -> Self {
        Self::with(own, &[], schemas::of(own))
    }

    /// A document of schemas that are JSON already.
    fn with(own: GroupVersion, custom: &[Kind], schemas: &str) -> Self {
        let (info, paths) = (information(), Value::Object(paths(own, custom, Form::Third)));
        let text = format!(
            "{{\"openapi\":\"3.0.0\",\"info\":{info},\"paths\":{paths},\"components\":{{\"schemas\":{schemas}}}}}"
        );
        Self { path: own.path(), hash: fingerprint(text.as_bytes()), text }
    }
}

/// Which version of OpenAPI.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Second,
    Third,
}

/// The address of one object, or of all when there is no name.
fn object_path(kind: Kind, own: GroupVersion, below: &str) -> String {
    let info = kind.info();
    let place = if info.namespaced { "namespaces/{namespace}/" } else { "" };
    format!("/{}/{place}{}{below}", own.path(), info.plural)
}

fn parameter(name: &str, form: Form) -> Value {
    let kind = if name == "force" { "boolean" } else { "string" };
    match form {
        Form::Third => json!({ "name": name, "in": "query", "schema": { "type": kind, "uniqueItems": true } }),
        Form::Second => json!({ "name": name, "in": "query", "type": kind, "uniqueItems": true }),
    }
}

/// One method of an address.
fn operation(action: &str, kind: &Value, form: Form) -> Value {
    let names: &[&str] = match action {
        "post" | "put" => &["dryRun", "fieldManager", "fieldValidation"],
        "patch" => &["dryRun", "fieldManager", "fieldValidation", "force"],
        "delete" | "deletecollection" => &["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"],
        "list" => &["continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch"],
        _ => &[],
    };
    json!({
        "parameters": names.iter().map(|name| parameter(name, form)).collect::<Vec<_>>(),
        "responses": { "200": { "description": "OK" } },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind,
    })
}

fn paths(own: GroupVersion, custom: &[Kind], form: Form) -> Map<String, Value> {
    let mut paths = Map::new();
    for kind in own.kinds(custom) {
        let info = kind.info();
        let name = json!({ "group": own.group, "version": own.version, "kind": info.kind });
        let of = |actions: &[(&str, &str)]| -> Value {
            actions.iter().map(|(method, action)| ((*method).to_owned(), operation(action, &name, form))).collect()
        };
        let all = [("get", "list"), ("post", "post"), ("delete", "deletecollection")];
        paths.insert(object_path(kind, own, ""), of(&all));
        let one = [("get", "get"), ("put", "put"), ("patch", "patch"), ("delete", "delete")];
        paths.insert(object_path(kind, own, "/{name}"), of(&one));
        for subresource in info.subresources {
            let below = format!("/{{name}}/{}", subresource.as_str());
            let actions: &[(&str, &str)] = match subresource {
                Subresource::Status
                | Subresource::Scale
                | Subresource::EphemeralContainers
                | Subresource::Resize
                | Subresource::Approval => &[("get", "get"), ("put", "put"), ("patch", "patch")],
                Subresource::Binding | Subresource::Eviction | Subresource::Token => &[("post", "post")],
                Subresource::Finalize => &[("put", "put")],
                Subresource::Log => &[("get", "get")],
                Subresource::Exec | Subresource::Attach | Subresource::PortForward | Subresource::Proxy => {
                    &[("get", "connect"), ("post", "connect")]
                }
            };
            paths.insert(object_path(kind, own, &below), of(actions));
        }
    }
    paths
}

fn information() -> Value {
    json!({ "title": "Kubernetes", "version": VERSION })
}

/// The documents that there are, each with its address.
pub(super) fn index(api: &ApiServer) -> Value {
    let custom = custom::documents(api);
    let documents = DOCUMENTS.iter().chain(&custom).map(|document| {
        // Clients keep a document for as long as its address stays the same.
        let address = format!("/openapi/v3/{}?hash={:016X}", document.path, document.hash);
        (document.path.clone(), json!({ "serverRelativeURL": address }))
    });
    json!({ "paths": documents.collect::<Map<_, _>>() })
}

/// The document of `api/v1` or `apis/apps/v1`, as JSON, with its hash, if there is one.
pub(super) fn v3(path: &str, api: &ApiServer) -> Option<(String, u64)> {
    let built_in = DOCUMENTS.iter().find(|document| document.path == path);
    built_in.map(|document| (document.text.clone(), document.hash)).or_else(|| {
        let mut custom = custom::documents(api).into_iter();
        custom.find(|document| document.path == path).map(|document| (document.text, document.hash))
    })
}

/// The older form in Protobuf, as client-go asks for it.
static V2_PROTOBUF: LazyLock<Vec<u8>> = LazyLock::new(|| gnostic::document(&v2()));

/// All in one, in the older form, as Protobuf.
pub(super) fn v2_protobuf() -> Vec<u8> {
    V2_PROTOBUF.clone()
}

/// All in one, in the older form.
pub(super) fn v2() -> Value {
    let mut all = Map::new();
    for own in GroupVersion::all(&[]) {
        all.extend(paths(own, &[], Form::Second));
    }
    json!({ "swagger": "2.0", "info": information(), "paths": all, "definitions": schemas::second() })
}
