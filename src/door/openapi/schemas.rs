//! The schemas of all kinds, in the form in which upstream publishes them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use k8s_openapi::schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::enums;
use crate::door::discovery::GroupVersion;
use crate::machinery::schema::{self, Field, Struct, Topology, Type};

/// Where a document keeps its schemas.
const PLACE: &str = "#/components/schemas/";
/// Where one of the older form does.
const PLACE_SECOND: &str = "#/definitions/";

/// Every schema by upstream's name, such as `io.k8s.api.core.v1.Pod`.
static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    add_all(&mut generator);
    let mut schemas = generator.take_definitions(false);
    for (name, value) in &mut schemas {
        publish(name, value);
    }
    schemas
});

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
fn structure(name: &str) -> Option<&'static Struct> {
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
fn references(value: &Value, found: &mut Vec<String>) {
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

/// The schema of what every object's metadata is, and of all that is in it.
pub(super) fn of_metadata() -> Map<String, Value> {
    with_references(vec![METADATA.to_owned()])
}

/// The name of the metadata's schema.
pub(super) const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// A reference to a schema of the same document.
pub(super) fn reference(name: &str) -> Value {
    json!({ "allOf": [{ "$ref": format!("{PLACE}{name}") }] })
}

/// The schemas of a group's kinds and of all that is in them.
pub(super) fn of(own: GroupVersion) -> Map<String, Value> {
    let api_version = own.name();
    let is_own = |value: &Value| {
        let kinds = value["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
        kinds.into_iter().any(|kind| {
            let group = kind["group"].as_str().unwrap_or("");
            let version = kind["version"].as_str().unwrap_or("");
            if group.is_empty() { version == api_version } else { format!("{group}/{version}") == api_version }
        })
    };
    let mut wanted: Vec<String> =
        SCHEMAS.iter().filter(|(_, value)| is_own(value)).map(|(name, _)| name.clone()).collect();
    wanted.push("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions".to_owned());
    wanted.push("io.k8s.apimachinery.pkg.apis.meta.v1.Status".to_owned());
    with_references(wanted)
}

fn with_references(mut wanted: Vec<String>) -> Map<String, Value> {
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if let Some(value) = SCHEMAS.get(&name)
            && seen.insert(name)
        {
            references(value, &mut wanted);
        }
    }
    seen.into_iter().filter_map(|name| Some((name.clone(), SCHEMAS.get(&name)?.clone()))).collect()
}

/// What the schemas say of types and their fields, in the form that `kubectl explain` in the page reads
/// (`kubectl/explain/descriptions.rs`).
#[cfg(test)]
fn descriptions() -> String {
    let escaped = |value: &Value| {
        let text = value["description"].as_str().unwrap_or("");
        text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t")
    };
    let mut sections = Vec::new();
    for (name, schema) in SCHEMAS.iter() {
        // What is no struct there is one of a few types that are written as a text or a number.
        let found = structure(name).map(|found| (found.package, found.name));
        let (package, own) = found.unwrap_or_else(|| ("meta", name.rsplit('.').next().unwrap_or("")));
        let mut section = format!("= {package} {own}\n{}\n", escaped(schema));
        let mut fields: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
        fields.sort_by_key(|(name, _)| *name);
        for (field, property) in fields.into_iter().filter(|(_, property)| property["description"].is_string()) {
            section.push_str(&format!("\t{field}\t{}\n", escaped(property)));
        }
        sections.push(section);
    }
    sections.sort();
    sections.concat()
}

/// All schemas in the older form, which knows no `allOf` around references and no `oneOf`.
pub(super) fn second() -> Map<String, Value> {
    SCHEMAS.iter().map(|(name, value)| (name.clone(), older(value))).collect()
}

fn older(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut older_fields = Map::new();
            for (key, value) in fields {
                match key.as_str() {
                    "allOf" => {
                        let reference = value[0]["$ref"].as_str().unwrap_or("");
                        older_fields.insert("$ref".to_owned(), reference.replace(PLACE, PLACE_SECOND).into());
                    }
                    "oneOf" => {
                        older_fields.insert("type".to_owned(), json!("string"));
                    }
                    "default" => {}
                    _ => {
                        older_fields.insert(key.clone(), older(value));
                    }
                }
            }
            older_fields.into()
        }
        Value::Array(items) => items.iter().map(older).collect(),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_EXPECT=1 cargo test --features serve --lib descriptions` writes the file anew.
    #[test]
    fn the_page_serves_the_same_descriptions() {
        expect_test::expect_file!["../../../assets/descriptions.txt"].assert_eq(&descriptions());
    }

    #[test]
    fn schemas_say_how_their_lists_are_merged() {
        let apps = of(GroupVersion { group: "apps", version: "v1" });
        let containers = &apps["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["items"]["allOf"][0]["$ref"], "#/components/schemas/io.k8s.api.core.v1.Container");
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
        let deployment = &apps["io.k8s.api.apps.v1.Deployment"];
        let kind = json!([{ "group": "apps", "kind": "Deployment", "version": "v1" }]);
        assert_eq!(deployment["x-kubernetes-group-version-kind"], kind);
        assert!(deployment.get("required").is_none(), "{deployment}");
        assert!(!apps.contains_key("io.k8s.api.batch.v1.Job"), "it belongs to another document");
    }

    #[test]
    fn every_type_of_the_table_that_is_published_has_the_same_fields() {
        for (name, value) in SCHEMAS.iter() {
            let (Some(found), Some(properties)) = (structure(name), value["properties"].as_object()) else { continue };
            let known: BTreeSet<&str> = found.fields().iter().map(|field| field.name).collect();
            let published: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            let missing: Vec<&&str> =
                published.difference(&known).filter(|name| **name != "apiVersion" && **name != "kind").collect();
            assert!(missing.is_empty(), "{name}: the table does not know {missing:?}");
        }
    }

    #[test]
    fn nothing_is_referred_to_that_is_not_there() {
        // metrics-server says nothing of its fields.
        for own in GroupVersion::all(&[]).into_iter().filter(|own| own.group != "metrics.k8s.io") {
            let schemas = of(own);
            let mut wanted = Vec::new();
            schemas.values().for_each(|value| references(value, &mut wanted));
            for name in wanted {
                assert!(schemas.contains_key(&name), "{} lacks {name}", own.path());
            }
            for kind in own.kinds(&[]) {
                let name = kind.info().kind;
                assert!(
                    schemas.keys().any(|known| known.ends_with(&format!(".{name}"))),
                    "{} lacks {name}",
                    own.path()
                );
            }
        }
    }
}
