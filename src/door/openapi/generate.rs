//! Makes the schemas of all kinds, in the form in which upstream publishes them. `build.rs` runs this, so that nothing of it
//! is in a program; the files that come of it are read by `schemas.rs`.
//!
//! Descriptions, types and references come from `k8s-openapi`, which is generated from upstream's own document; what it
//! leaves out, how lists and maps are merged and applied, comes from the table of types ([`crate::machinery::schema`]).

use std::collections::BTreeSet;

use k8s_openapi::schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::enums;
use crate::machinery::schema::{self, Field, Struct, Topology, Type};

/// Where a document keeps its schemas.
const PLACE: &str = "#/components/schemas/";
/// Where one of the older form does.
const PLACE_SECOND: &str = "#/definitions/";
/// What the metadata of every object is.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// What the documents of all groups have.
const COMMON: [&str; 2] =
    ["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "io.k8s.apimachinery.pkg.apis.meta.v1.Status"];

/// The schemas as they stand in documents.
pub struct Schemas {
    /// Those of each group and version (`apps/v1`), and under no name what they all have.
    pub groups: Vec<(String, Map<String, Value>)>,
    /// The schema of what every object's metadata is, and of all that is in it.
    pub metadata: Map<String, Value>,
    /// All of them in the older form.
    pub second: Map<String, Value>,
}

/// Makes them.
pub fn schemas() -> Schemas {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    add_all(&mut generator);
    let mut all = generator.take_definitions(false);
    for (name, value) in &mut all {
        publish(name, value);
    }
    let versions: BTreeSet<String> = all.values().flat_map(versions_of).collect();
    let common = || COMMON.map(str::to_owned).to_vec();
    let mut groups = vec![(String::new(), with_references(&all, common()))];
    for version in versions.into_iter().filter(|version| !version.is_empty()) {
        let mut wanted = common();
        wanted.extend(
            all.iter().filter(|(_, value)| versions_of(value).contains(&version)).map(|(name, _)| name.clone()),
        );
        groups.push((version, with_references(&all, wanted)));
    }
    Schemas {
        groups,
        metadata: with_references(&all, vec![METADATA.to_owned()]),
        second: all.iter().map(|(name, value)| (name.clone(), older(value))).collect(),
    }
}

/// The groups and versions that a schema is a kind of: one, or none.
fn versions_of(value: &Value) -> Vec<String> {
    let kinds = value["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
    kinds
        .map(|kind| {
            let group = kind["group"].as_str().unwrap_or("");
            let version = kind["version"].as_str().unwrap_or("");
            if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
        })
        .collect()
}

/// Lists types with the module that they are in.
macro_rules! add {
    ($generator:ident, $($($part:ident)::+ => [$($kind:ident)+])*) => {
        $({
            use k8s_openapi::$($part)::+ as module;
            $($generator.subschema_for::<module::$kind>();)+
        })*
    };
}

fn add_all(generator: &mut SchemaGenerator) {
    add! { generator,
        api::core::v1 => [
            Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod
            PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount
        ]
        api::admissionregistration::v1 => [
            MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
            ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration
        ]
        apiextensions_apiserver::pkg::apis::apiextensions::v1 => [CustomResourceDefinition]
        kube_aggregator::pkg::apis::apiregistration::v1 => [APIService]
        api::apps::v1 => [ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet]
        api::authentication::v1 => [SelfSubjectReview TokenRequest TokenReview]
        api::authorization::v1 => [
            LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
        ]
        api::autoscaling::v1 => [HorizontalPodAutoscaler Scale]
        api::autoscaling::v2 => [HorizontalPodAutoscaler]
        api::batch::v1 => [CronJob Job]
        api::certificates::v1 => [CertificateSigningRequest]
        api::coordination::v1 => [Lease]
        api::discovery::v1 => [EndpointSlice]
        api::events::v1 => [Event]
        api::flowcontrol::v1 => [FlowSchema PriorityLevelConfiguration]
        api::networking::v1 => [Ingress IngressClass IPAddress NetworkPolicy ServiceCIDR]
        api::node::v1 => [RuntimeClass]
        api::policy::v1 => [Eviction PodDisruptionBudget]
        api::rbac::v1 => [ClusterRole ClusterRoleBinding Role RoleBinding]
        api::resource::v1 => [DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice]
        api::scheduling::v1 => [PriorityClass]
        api::storage::v1 => [
            CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass
        ]
        apimachinery::pkg::apis::meta::v1 => [DeleteOptions Status]
    }
}

/// The table's struct behind one of upstream's names.
pub(super) fn structure(name: &str) -> Option<&'static Struct> {
    let mut parts = name.rsplit('.');
    let (own, version, group) = (parts.next()?, parts.next()?, parts.next()?);
    let versioned = schema::named(&format!("{group}.{version}"), own);
    versioned.or_else(|| schema::named(group, own).filter(|found| found.api_version.ends_with(version)))
}

/// Gives a schema the form that upstream publishes it in.
fn publish(name: &str, value: &mut Value) {
    match name.rsplit('.').next().unwrap_or("") {
        "Quantity" => return union(value, &["string", "number"]),
        "IntOrString" => return union(value, &["integer", "string"]),
        _ => {}
    }
    let structure = structure(name);
    let is_kind = structure.is_some_and(|found| found.is_kind);
    if let Some(properties) = value.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties.iter_mut() {
            publish_field(property, structure.and_then(|found| found.field(name)));
        }
    }
    // The Rust types cannot do without it, the API can.
    if let Some(required) = value.get_mut("required").and_then(Value::as_array_mut)
        && is_kind
    {
        required.retain(|name| name != "metadata");
        if required.is_empty() {
            value.as_object_mut().map(|fields| fields.shift_remove("required"));
        }
    }
    let Some(found) = structure else { return };
    if found.atomic {
        value["x-kubernetes-map-type"] = json!("atomic");
    }
    if is_kind {
        let (group, version) = found.api_version.split_once('/').unwrap_or(("", found.api_version));
        value["x-kubernetes-group-version-kind"] = json!([{ "group": group, "kind": found.name, "version": version }]);
    }
}

/// A type that is one of several in JSON.
fn union(value: &mut Value, types: &[&str]) {
    let Some(fields) = value.as_object_mut() else { return };
    fields.shift_remove("x-kubernetes-int-or-string");
    fields.insert("oneOf".to_owned(), types.iter().map(|name| json!({ "type": name })).collect());
}

fn publish_field(property: &mut Value, field: Option<&Field>) {
    let ty = field.map(|field| &field.ty);
    refer(property, ty);
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = property.get_mut(inner).filter(|inner| inner.is_object()) {
            refer(inner, ty.and_then(Type::items));
        }
    }
    let Some(field) = field else { return };
    if let Type::String(Some((_, name))) = field.ty.underlying() {
        enums::publish(property, name);
    }
    if field.required
        && let Some(default) = zero(&field.ty)
        && property.get("default").is_none()
    {
        property["default"] = default;
    }
    extend(property, field);
}

/// A reference stands in an `allOf`, since what stands beside it would not count otherwise.
fn refer(property: &mut Value, ty: Option<&Type>) {
    let Some(reference) = property.as_object_mut().and_then(|fields| fields.shift_remove("$ref")) else { return };
    property["allOf"] = json!([{ "$ref": reference }]);
    if matches!(ty, Some(Type::Struct(_))) {
        property["default"] = json!({});
    }
}

/// What Go writes for a value that nobody gave.
fn zero(ty: &Type) -> Option<Value> {
    match ty {
        Type::Bool => Some(json!(false)),
        Type::Int32 | Type::Int64 | Type::Float64 => Some(json!(0)),
        Type::String(_) => Some(json!("")),
        _ => None,
    }
}

/// How a field is merged and applied.
fn extend(property: &mut Value, field: &Field) {
    match &field.topology {
        Topology::Atomic if field.ty.is_list() => property["x-kubernetes-list-type"] = json!("atomic"),
        Topology::Atomic => property["x-kubernetes-map-type"] = json!("atomic"),
        Topology::Granular => property["x-kubernetes-map-type"] = json!("granular"),
        Topology::Set => property["x-kubernetes-list-type"] = json!("set"),
        Topology::Map(keys) => {
            property["x-kubernetes-list-map-keys"] = keys.iter().map(|key| key.name).collect();
            property["x-kubernetes-list-type"] = json!("map");
        }
        Topology::Default => {}
    }
    if let Some(key) = field.patch.merge_key {
        property["x-kubernetes-patch-merge-key"] = json!(key);
    }
    let strategies = [("merge", field.patch.merge), ("retainKeys", field.patch.retain_keys)];
    let strategies: Vec<&str> = strategies.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    if !strategies.is_empty() {
        property["x-kubernetes-patch-strategy"] = json!(strategies.join(","));
    }
}

/// What a schema refers to, directly.
pub(super) fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "$ref" => {
                        found.extend(text.strip_prefix(PLACE).map(str::to_owned));
                    }
                    value => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// Schemas with all that is in them, by name.
fn with_references(all: &Map<String, Value>, mut wanted: Vec<String>) -> Map<String, Value> {
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if let Some(value) = all.get(&name)
            && seen.insert(name)
        {
            references(value, &mut wanted);
        }
    }
    seen.into_iter().filter_map(|name| Some((name.clone(), all.get(&name)?.clone()))).collect()
}

/// A schema in the older form, which knows no `allOf` around references and no `oneOf`.
fn older(value: &Value) -> Value {
    let Value::Object(fields) = value else {
        return match value {
            Value::Array(items) => items.iter().map(older).collect(),
            value => value.clone(),
        };
    };
    let mut older_fields = Map::new();
    for (key, value) in fields {
        let (key, value) = match key.as_str() {
            "allOf" => ("$ref", value[0]["$ref"].as_str().unwrap_or("").replace(PLACE, PLACE_SECOND).into()),
            "oneOf" => ("type", json!("string")),
            "default" => continue,
            // Fields may have any name, that of a keyword, too.
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                (key.as_str(), fields.map(|(name, field)| (name.clone(), older(field))).collect())
            }
            key => (key, older(value)),
        };
        older_fields.insert(key.to_owned(), value);
    }
    older_fields.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_has_plain_references_and_keeps_fields_of_any_name() {
        let newer = json!({
            "default": {},
            "properties": { "default": { "allOf": [{ "$ref": "#/components/schemas/a" }] }, "oneOf": { "type": "array" } },
        });
        let wanted =
            json!({ "properties": { "default": { "$ref": "#/definitions/a" }, "oneOf": { "type": "array" } } });
        assert_eq!(older(&newer), wanted);
    }

    #[test]
    fn what_was_built_is_what_this_makes() {
        let made = schemas();
        assert_eq!(Value::Object(made.second), Value::Object(super::super::schemas::second()));
        assert_eq!(Value::Object(made.metadata), Value::Object(super::super::schemas::of_metadata()));
        assert!(made.groups.iter().any(|(version, schemas)| version == "batch/v1" && schemas.len() > 100));
    }
}
