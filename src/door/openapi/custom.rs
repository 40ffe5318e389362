//! The documents of custom kinds: `k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder`.

use serde_json::{Map, Value, json};

use super::{Document, schemas};
use crate::api::{Kind, Object, ObjectKey};
use crate::apiserver::ApiServer;
use crate::door::discovery::GroupVersion;

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should \
                           convert recognized schemas to the latest internal value, and may reject unrecognized values. \
                           More info: https://git.k8s.io/community/contributors/devel/sig-architecture/\
                           api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this \
                    from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
                    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: \
                        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// The documents, one a group and version that has only custom kinds.
pub(super) fn documents(api: &ApiServer) -> Vec<Document> {
    let custom = api.custom_versions();
    let built_in = GroupVersion::all(&[]);
    let mut documents: Vec<Document> = Vec::new();
    for own in GroupVersion::all(&custom).into_iter().filter(|own| !built_in.contains(own)) {
        let mut all = schemas::of_metadata();
        for kind in own.kinds(&custom) {
            let (name, list_name) = names(kind);
            all.insert(list_name, list_schema(kind, &name));
            all.insert(name, schema(api, kind));
        }
        documents.push(Document::with(own, &custom, &Value::Object(all).to_string()));
    }
    documents
}

/// `example.case.v1.ApiUse`, and the same of the list.
fn names(kind: Kind) -> (String, String) {
    let info = kind.info();
    let group: Vec<&str> = info.group.rsplit('.').collect();
    let name = |own: &str| format!("{}.{}.{own}", group.join("."), info.version);
    (name(info.kind), name(&kind.list_kind()))
}

fn group_version_kind(kind: Kind, name: &str) -> Value {
    let info = kind.info();
    json!([{ "group": info.group, "kind": name, "version": info.version }])
}

/// The schema of a version, as its definition has it.
fn declared(api: &ApiServer, kind: Kind) -> Option<Value> {
    let Object::Unstructured(definition) =
        api.etcd().get(Kind::CustomResourceDefinition, &ObjectKey::new("", kind.resource()))?
    else {
        return None;
    };
    let versions = definition.fields.get("spec")?["versions"].as_array()?;
    let version = versions.iter().find(|version| version["name"] == kind.info().version)?;
    Some(version["schema"]["openAPIV3Schema"].clone()).filter(Value::is_object)
}

fn schema(api: &ApiServer, kind: Kind) -> Value {
    let mut schema = declared(api, kind).unwrap_or_else(|| json!({ "type": "object" }));
    embed(&mut schema, false);
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    add_metadata(&mut schema["properties"]);
    schema["x-kubernetes-group-version-kind"] = group_version_kind(kind, kind.info().kind);
    schema
}

/// Puts in what every resource has.
fn add_metadata(properties: &mut Value) {
    properties["apiVersion"] = json!({ "description": API_VERSION, "type": "string" });
    properties["kind"] = json!({ "description": KIND, "type": "string" });
    let mut metadata = schemas::reference(schemas::METADATA);
    metadata["description"] = METADATA.into();
    properties["metadata"] = metadata;
}

/// A resource within a resource has the same.
fn embed(schema: &mut Value, is_below: bool) {
    let Value::Object(fields) = schema else { return };
    let is_embedded = is_below && fields.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flatten().for_each(|(_, schema)| embed(schema, true));
    for name in ["items", "additionalProperties"] {
        fields.get_mut(name).into_iter().for_each(|schema| embed(schema, true));
    }
    if is_embedded {
        add_metadata(fields.entry("properties").or_insert_with(|| Value::Object(Map::new())));
    }
}

fn list_schema(kind: Kind, name: &str) -> Value {
    let (resource, list_kind) = (kind.info().plural, kind.list_kind());
    let mut items = schemas::reference(name);
    items["default"] = json!({});
    json!({
        "description": format!("{list_kind} is a list of {}", kind.info().kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": { "description": API_VERSION, "type": "string" },
            "items": {
                "description":
                    format!("List of {resource}. More info: https://git.k8s.io/community/contributors/devel/\
                             sig-architecture/api-conventions.md"),
                "type": "array",
                "items": items,
            },
            "kind": { "description": KIND, "type": "string" },
            "metadata": { "type": "object" },
        },
        "x-kubernetes-group-version-kind": group_version_kind(kind, &list_kind),
    })
}
