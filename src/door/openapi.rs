//! `/openapi/v2` and `/openapi/v3`: which addresses take which parameters.
//!
//! As much as kubectl asks before it lets the server validate fields: for each kind the address of one object, with the
//! parameters of its patch. Schemas are not told yet, so `kubectl explain` has nothing to show, and apply merges by the
//! structures that kubectl itself brings.

use serde_json::{Map, Value, json};

use crate::api::Kind;

use super::discovery::GroupVersion;
use super::route::VERSION;

fn object_path(kind: Kind, own: GroupVersion) -> String {
    let info = kind.info();
    let place = if info.namespaced { "namespaces/{namespace}/" } else { "" };
    format!("/{}/{place}{}/{{name}}", own.path(), info.plural)
}

fn parameter(name: &str, is_v3: bool) -> Value {
    if is_v3 {
        json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } })
    } else {
        json!({ "name": name, "in": "query", "type": "string", "uniqueItems": true })
    }
}

fn paths(own: GroupVersion, is_v3: bool) -> Map<String, Value> {
    let mut paths = Map::new();
    for kind in own.kinds() {
        let info = kind.info();
        let operation = |action: &str| {
            let parameters = ["dryRun", "fieldManager", "fieldValidation"].map(|name| parameter(name, is_v3));
            json!({
                "parameters": parameters,
                "responses": { "200": { "description": "OK" } },
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": { "group": own.group, "version": own.version, "kind": info.kind },
            })
        };
        let item = json!({ "put": operation("put"), "patch": operation("patch") });
        paths.insert(object_path(kind, own), item);
    }
    paths
}

fn information() -> Value {
    json!({ "title": "Kubernetes", "version": VERSION })
}

/// The documents that there are, each with its address.
pub(super) fn index() -> Value {
    let documents = GroupVersion::all().into_iter().map(|own| {
        let path = own.path();
        // Clients keep a document for as long as its address stays the same.
        let address = format!("/openapi/v3/{path}?hash={:016X}", fingerprint(&document(own).to_string()));
        (path, json!({ "serverRelativeURL": address }))
    });
    json!({ "paths": documents.collect::<Map<_, _>>() })
}

/// FNV-1a, 64 bits.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn document(own: GroupVersion) -> Value {
    json!({ "openapi": "3.0.0", "info": information(), "paths": paths(own, true), "components": {} })
}

/// The document of `api/v1` or `apis/apps/v1`, if there is one.
pub(super) fn v3(path: &str) -> Option<Value> {
    GroupVersion::all().into_iter().find(|own| own.path() == path).map(document)
}

/// The older form in Protobuf, as client-go asks for it: what the document is, and that it tells of nothing. From that
/// kubectl learns that a kind is unknown here, and says so itself.
pub(super) fn v2_protobuf() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).unwrap_or(0);
        [&[number << 3 | 2, length], bytes].concat()
    };
    let information = [field(1, b"Kubernetes"), field(2, VERSION.as_bytes())].concat();
    [field(1, b"2.0"), field(2, &information), field(8, b"")].concat()
}

/// All in one, in the older form.
pub(super) fn v2() -> Value {
    let mut all = Map::new();
    for own in GroupVersion::all() {
        all.extend(paths(own, false));
    }
    json!({ "swagger": "2.0", "info": information(), "paths": all, "definitions": {} })
}
