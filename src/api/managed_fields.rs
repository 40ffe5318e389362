//! What server-side apply must know of a kind: how its objects look to it, and which fields a write leaves alone.
//!
//! Upstream reads Go's structs (`value.NewValueReflect`): a field that Go always writes is there even when it is null.
//! What a strategy resets is its `GetResetFields`.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Map, Value, json};

use super::form;
use super::kind::{Kind, Subresource};
use super::object::Object;
use crate::machinery::patch::apply::Set;
use crate::machinery::patch::apply::typed::TypeRef;
use crate::machinery::schema::{Custom, Struct, Type};

/// The type of a kind's objects. Of a kind that is not in the table nothing is known.
#[must_use]
pub fn type_of(kind: Kind) -> TypeRef {
    if let Kind::Custom(custom) = kind {
        return TypeRef::Resource(&custom.definition().schema);
    }
    kind.schema().map_or(TypeRef::Deduced, TypeRef::Struct)
}

/// An object as Go's struct has it.
#[must_use]
pub fn structured(object: &Object) -> Value {
    let mut value = form::encode(object);
    complete(object.kind(), &mut value);
    value
}

/// A pod without its spec, for whoever only looks at the rest; any other object as it is.
#[must_use]
pub fn without_spec(object: &Object) -> Object {
    match object {
        Object::Pod(pod) => {
            Object::from(Pod { metadata: pod.metadata.clone(), spec: None, status: pod.status.clone() })
        }
        other => other.clone(),
    }
}

/// The object of a kind that nothing was said of.
#[must_use]
pub fn empty(kind: Kind) -> Value {
    let blank = json!({ "apiVersion": kind.api_version(), "kind": kind.info().kind, "metadata": {} });
    match Object::from_value(kind, &blank) {
        Ok(object) => structured(&object),
        // Some types cannot be without what their kind requires; then nothing counts as said before.
        Err(_) => blank,
    }
}

fn complete(kind: Kind, value: &mut Value) {
    if let (TypeRef::Struct(fields), Value::Object(map)) = (type_of(kind), value) {
        complete_struct(fields, map);
    }
}

/// Puts in as null what Go always has.
fn complete_struct(fields: &Struct, map: &mut Map<String, Value>) {
    for field in fields.fields() {
        match map.get_mut(field.name) {
            Some(value) => complete_value(&field.ty, value),
            None if is_always_there(&field.ty, field.required) && field.name != "creationTimestamp" => {
                map.insert(field.name.to_owned(), Value::Null);
            }
            None => {}
        }
    }
}

fn complete_value(ty: &Type, value: &mut Value) {
    match (ty.underlying(), value) {
        (Type::Struct(reference), Value::Object(map)) => complete_struct(reference.get(), map),
        (Type::List(item), Value::Array(items)) => items.iter_mut().for_each(|entry| complete_value(item, entry)),
        (Type::Map(_, item), Value::Object(map)) => map.iter_mut().for_each(|(_, entry)| complete_value(item, entry)),
        _ => {}
    }
}

/// Whether Go has the field when it was never set: `omitempty` does not leave out structs, which times are.
fn is_always_there(ty: &Type, required: bool) -> bool {
    match ty {
        Type::Custom(Custom::Time | Custom::MicroTime) => true,
        Type::Named(..) | Type::List(_) | Type::Map(..) | Type::Pointer(_) => required,
        _ => false,
    }
}

/// The fields that nobody comes to own by a write to the object, or to what stands below it.
#[must_use]
pub fn reset_fields(kind: Kind, subresource: Option<Subresource>) -> Set {
    if !kind.has(Subresource::Status) {
        return Set::default();
    }
    match (kind, subresource) {
        (Kind::Pod, Some(Subresource::Status)) => {
            Set::of_fields(&[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]])
        }
        (Kind::Deployment, Some(Subresource::Status)) => Set::of_fields(&[&["spec"], &["metadata", "labels"]]),
        (_, Some(Subresource::Approval)) => Set::of_fields(&[&["spec"], &["status", "certificate"]]),
        (_, Some(Subresource::Status)) => Set::of_fields(&[&["spec"]]),
        _ => Set::of_fields(&[&["status"]]),
    }
}

/// What a new object's maker left out and the server may have filled in before it was stored. Whoever made the object
/// does not own that: upstream looks at the object before admission, strategies and allocators do.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LeftOut {
    /// Nothing that the server fills in.
    #[default]
    Nothing,
    /// Of kinds that are made often: a mark for each part.
    Parts(u16),
    /// Of any other kind: the object as it was made tells it.
    AsMade(Object),
}

impl LeftOut {
    const SERVICE_ACCOUNT: u16 = 1;
    const TOKEN: u16 = 1 << 1;
    const TOLERATIONS: u16 = 1 << 2;
    const PRIORITY: u16 = 1 << 3;
    const PREEMPTION_POLICY: u16 = 1 << 4;
    const PULL_SECRETS: u16 = 1 << 5;
    const CLUSTER_IP: u16 = 1 << 6;
    const CLUSTER_IPS: u16 = 1 << 7;
    const FAMILIES: u16 = 1 << 8;
    const FAMILY_POLICY: u16 = 1 << 9;
    const NODE_PORTS: u16 = 1 << 10;
    const HEALTH_CHECK_PORT: u16 = 1 << 11;
    const FINALIZERS: u16 = 1 << 12;

    /// The fields that go with each mark.
    const FIELDS: &[(u16, &[&str])] = &[
        (Self::SERVICE_ACCOUNT, &["serviceAccountName", "serviceAccount"]),
        (Self::TOLERATIONS, &["tolerations"]),
        (Self::PRIORITY, &["priority"]),
        (Self::PREEMPTION_POLICY, &["preemptionPolicy"]),
        (Self::PULL_SECRETS, &["imagePullSecrets"]),
        (Self::CLUSTER_IP, &["clusterIP"]),
        (Self::CLUSTER_IPS, &["clusterIPs"]),
        (Self::FAMILIES, &["ipFamilies"]),
        (Self::FAMILY_POLICY, &["ipFamilyPolicy"]),
        (Self::HEALTH_CHECK_PORT, &["healthCheckNodePort"]),
        (Self::FINALIZERS, &["finalizers"]),
    ];

    /// What an object leaves out.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        let mut marks = 0;
        let mut mark = |bit: u16, is_left_out: bool| marks |= if is_left_out { bit } else { 0 };
        match object {
            Object::Pod(pod) => {
                let Some(spec) = &pod.spec else { return Self::Nothing };
                mark(Self::SERVICE_ACCOUNT, spec.service_account_name.as_deref().is_none_or(str::is_empty));
                let mut volumes = spec.volumes.iter().flatten();
                mark(Self::TOKEN, !volumes.any(|volume| volume.name.starts_with(TOKEN_VOLUME)));
                mark(Self::TOLERATIONS, spec.tolerations.as_ref().is_none_or(Vec::is_empty));
                mark(Self::PRIORITY, spec.priority.is_none());
                mark(Self::PREEMPTION_POLICY, spec.preemption_policy.is_none());
                mark(Self::PULL_SECRETS, spec.image_pull_secrets.as_ref().is_none_or(Vec::is_empty));
            }
            Object::Service(service) => {
                let Some(spec) = &service.spec else { return Self::Nothing };
                mark(Self::CLUSTER_IP, spec.cluster_ip.as_deref().is_none_or(str::is_empty));
                mark(Self::CLUSTER_IPS, spec.cluster_ips.as_ref().is_none_or(Vec::is_empty));
                mark(Self::FAMILIES, spec.ip_families.as_ref().is_none_or(Vec::is_empty));
                mark(Self::FAMILY_POLICY, spec.ip_family_policy.is_none());
                let mut ports = spec.ports.iter().flatten();
                mark(Self::NODE_PORTS, ports.all(|port| port.node_port.unwrap_or(0) == 0));
                mark(Self::HEALTH_CHECK_PORT, spec.health_check_node_port.unwrap_or(0) == 0);
            }
            Object::Namespace(namespace) => {
                let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref());
                mark(Self::FINALIZERS, finalizers.is_none_or(Vec::is_empty));
            }
            Object::ConfigMap(_)
            | Object::ControllerRevision(_)
            | Object::Deployment(_)
            | Object::Endpoints(_)
            | Object::EndpointSlice(_)
            | Object::Event(_)
            | Object::Lease(_)
            | Object::ReplicaSet(_)
            | Object::Secret(_)
            | Object::ServiceAccount(_) => return Self::Nothing,
            other => return Self::AsMade(other.clone()),
        }
        Self::Parts(marks)
    }

    /// A new object as its maker made it, as Go's struct has it.
    #[must_use]
    pub fn as_made(&self, stored: &Object) -> Value {
        match self {
            Self::Nothing => structured(stored),
            Self::AsMade(object) => structured(object),
            Self::Parts(marks) => {
                let mut value = structured(stored);
                take_out(*marks, &mut value);
                value
            }
        }
    }
}

/// Takes out of a stored object what its maker had left out.
fn take_out(marks: u16, value: &mut Value) {
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for (bit, fields) in LeftOut::FIELDS {
        if marks & bit != 0 {
            fields.iter().for_each(|field| drop(spec.shift_remove(*field)));
        }
    }
    if marks & LeftOut::NODE_PORTS != 0 {
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
        ports.filter_map(Value::as_object_mut).for_each(|port| drop(port.shift_remove("nodePort")));
    }
    if marks & LeftOut::TOKEN != 0 {
        take_out_token(spec);
    }
}

/// How the volume of a pod's token is called, before its random end.
const TOKEN_VOLUME: &str = "kube-api-access-";

fn take_out_token(spec: &mut Map<String, Value>) {
    let is_token = |item: &Value| item["name"].as_str().is_some_and(|name| name.starts_with(TOKEN_VOLUME));
    without(spec, "volumes", &is_token);
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        containers.filter_map(Value::as_object_mut).for_each(|container| without(container, "volumeMounts", &is_token));
    }
}

/// Drops items of a list, and the list with the last of them.
fn without(map: &mut Map<String, Value>, list: &str, is_dropped: &dyn Fn(&Value) -> bool) {
    if let Some(items) = map.get_mut(list).and_then(Value::as_array_mut) {
        items.retain(|item| !is_dropped(item));
        if items.is_empty() {
            map.shift_remove(list);
        }
    }
}
