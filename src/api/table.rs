//! Objects as `meta.k8s.io/v1` tables: what `kubectl get` prints.
//!
//! Follows `pkg/printers/internalversion/printers.go`; every kind's columns stand in its group's file.

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{self as meta, ObjectMeta};
use serde_json::{Value, json};

use crate::machinery::duration;
use crate::machinery::time::Time;

use super::check;
use super::kind::Kind;
use super::object::Object;
use super::unstructured::Unstructured;
use super::{
    admission_registration, api_registration, apiextensions, apps, autoscaling, batch, certificates, computed,
    coordination, core, discovery, flow_control, networking, node, policy, rbac, resource, scheduling, storage,
};

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

impl ColumnDefinition {
    pub(super) const fn text(name: &'static str, description: &'static str) -> Self {
        Self { name, column_type: "string", format: "", description, priority: 0 }
    }

    pub(super) const fn integer(name: &'static str, description: &'static str) -> Self {
        Self { name, column_type: "integer", format: "", description, priority: 0 }
    }

    pub(super) const fn boolean(name: &'static str, description: &'static str) -> Self {
        Self { name, column_type: "boolean", format: "", description, priority: 0 }
    }

    /// When the object was made: what kinds without columns of their own show.
    pub(super) const CREATED_AT: Self =
        Self { name: "Created At", column_type: "date", format: "", description: AGE.description, priority: 0 };

    /// The column as a table declares it.
    fn to_value(self) -> Value {
        json!({
            "name": self.name,
            "type": self.column_type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    /// The same column, shown only by `-o wide`.
    pub(super) const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }
}

/// The column of the object's name.
pub(super) const NAME: ColumnDefinition = ColumnDefinition {
    name: "Name",
    column_type: "string",
    format: "name",
    description: "Name must be unique within a namespace. Is required when creating resources, although some resources \
                  may allow a client to request the generation of an appropriate name automatically. Name is primarily \
                  intended for creation idempotence and configuration definition. Cannot be updated. More info: \
                  https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
    priority: 0,
};

/// The column of the object's age.
pub(super) const AGE: ColumnDefinition = ColumnDefinition::text(
    "Age",
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed \
     to be set in happens-before order across separate operations. Clients may not set this value. It is represented \
     in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: \
     https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
);

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

/// The columns of a kind that is built in.
#[must_use]
pub fn columns(kind: Kind) -> &'static [ColumnDefinition] {
    match kind {
        Kind::ConfigMap => core::config::CONFIG_MAP_COLUMNS,
        Kind::Event => core::event::COLUMNS,
        Kind::LimitRange => core::limit_range::COLUMNS,
        Kind::Namespace => core::namespace::COLUMNS,
        Kind::Node => core::node::COLUMNS,
        Kind::PersistentVolume => core::persistent_volume::COLUMNS,
        Kind::PersistentVolumeClaim => core::claim::COLUMNS,
        Kind::Pod => core::pod::columns::COLUMNS,
        Kind::ReplicationController => core::replication_controller::COLUMNS,
        Kind::PodDisruptionBudget => policy::COLUMNS,
        Kind::PriorityClass => scheduling::COLUMNS,
        Kind::ResourceQuota => core::resource_quota::COLUMNS,
        Kind::RuntimeClass => node::COLUMNS,
        Kind::Secret => core::config::SECRET_COLUMNS,
        Kind::ServiceAccount => core::config::SERVICE_ACCOUNT_COLUMNS,
        Kind::Service => core::service::columns::COLUMNS,
        Kind::ControllerRevision => apps::controller_revision::COLUMNS,
        Kind::DaemonSet => apps::daemon_set::COLUMNS,
        Kind::Deployment => apps::deployment::COLUMNS,
        Kind::ReplicaSet => apps::replica_set::COLUMNS,
        Kind::CronJob => batch::cron_job::COLUMNS,
        Kind::Job => batch::job::COLUMNS,
        Kind::StatefulSet => apps::stateful_set::COLUMNS,
        Kind::Lease => coordination::COLUMNS,
        Kind::EndpointSlice => discovery::COLUMNS,
        Kind::CSIDriver => storage::csi_driver::COLUMNS,
        Kind::CSINode => storage::csi_node::COLUMNS,
        Kind::CSIStorageCapacity => storage::capacity::COLUMNS,
        Kind::StorageClass => storage::class::COLUMNS,
        Kind::VolumeAttachment => storage::volume_attachment::COLUMNS,
        Kind::VolumeAttributesClass => storage::attributes_class::COLUMNS,
        Kind::ClusterRole | Kind::Role => rbac::ROLE_COLUMNS,
        Kind::ClusterRoleBinding => rbac::CLUSTER_BINDING_COLUMNS,
        Kind::Endpoints => core::endpoints::COLUMNS,
        Kind::HorizontalPodAutoscaler => autoscaling::COLUMNS,
        Kind::Ingress => networking::ingress::COLUMNS,
        Kind::IngressClass => networking::ingress_class::COLUMNS,
        Kind::NetworkPolicy => networking::network_policy::COLUMNS,
        Kind::PodTemplate => core::pod_template::COLUMNS,
        Kind::RoleBinding => rbac::BINDING_COLUMNS,
        Kind::APIService => api_registration::COLUMNS,
        Kind::CertificateSigningRequest => certificates::COLUMNS,
        Kind::ComponentStatus => computed::COMPONENT_STATUS_COLUMNS,
        Kind::NodeMetrics | Kind::PodMetrics => computed::METRICS_COLUMNS,
        Kind::IPAddress | Kind::ServiceCIDR => networking::addresses::columns(kind),
        Kind::CustomResourceDefinition => apiextensions::COLUMNS,
        kind if admission_registration::has(kind) => admission_registration::columns(kind),
        kind if flow_control::has(kind) => flow_control::columns(kind),
        kind if resource::has(kind) => resource::columns(kind),
        _ => &[NAME, AGE],
    }
}

/// One object's cells, in the order of [`columns`].
#[must_use]
pub fn row(object: &Object, now: Time) -> Vec<Value> {
    match object {
        Object::ConfigMap(object) => core::config::config_map_row(object, now),
        Object::Event(object) => core::event::row(object, now),
        Object::LimitRange(object) => core::limit_range::row(object),
        Object::Namespace(object) => core::namespace::row(object, now),
        Object::Node(object) => core::node::row(object, now),
        Object::PersistentVolume(object) => core::persistent_volume::row(object, now),
        Object::PersistentVolumeClaim(object) => core::claim::row(object, now),
        Object::Pod(object) => core::pod::columns::row(object, now),
        Object::ReplicationController(object) => core::replication_controller::row(object, now),
        Object::PodDisruptionBudget(object) => policy::row(object, now),
        Object::PriorityClass(object) => scheduling::row(object, now),
        Object::ResourceQuota(object) => core::resource_quota::row(object, now),
        Object::RuntimeClass(object) => node::row(object, now),
        Object::Secret(object) => core::config::secret_row(object, now),
        Object::ServiceAccount(object) => core::config::service_account_row(object, now),
        Object::Service(object) => core::service::columns::row(object, now),
        Object::ControllerRevision(object) => apps::controller_revision::row(object, now),
        Object::DaemonSet(object) => apps::daemon_set::row(object, now),
        Object::Deployment(object) => apps::deployment::row(object, now),
        Object::ReplicaSet(object) => apps::replica_set::row(object, now),
        Object::CronJob(object) => batch::cron_job::row(object, now),
        Object::Job(object) => batch::job::row(object, now),
        Object::StatefulSet(object) => apps::stateful_set::row(object, now),
        Object::Lease(object) => coordination::row(object, now),
        Object::Unstructured(object) if admission_registration::has(object.kind) => {
            admission_registration::row(object, now)
        }
        Object::EndpointSlice(object) => discovery::row(object, now),
        Object::ClusterRole(object) => rbac::role_row(&object.metadata),
        Object::ClusterRoleBinding(object) => {
            rbac::binding_row(&object.metadata, &object.role_ref, check::list(&object.subjects), now)
        }
        Object::Endpoints(object) => core::endpoints::row(object, now),
        Object::HorizontalPodAutoscaler(object) => autoscaling::row(object, now),
        Object::Ingress(object) => networking::ingress::row(object, now),
        Object::IngressClass(object) => networking::ingress_class::row(object, now),
        Object::NetworkPolicy(object) => networking::network_policy::row(object, now),
        Object::PodTemplate(object) => core::pod_template::row(object),
        Object::Role(object) => rbac::role_row(&object.metadata),
        Object::RoleBinding(object) => {
            rbac::binding_row(&object.metadata, &object.role_ref, check::list(&object.subjects), now)
        }
        Object::CSINode(object) => storage::csi_node::row(object, now),
        Object::StorageClass(object) => storage::class::row(object, now),
        Object::VolumeAttachment(object) => storage::volume_attachment::row(object, now),
        Object::Unstructured(unstructured) => unstructured_row(object, unstructured, now),
    }
}

#[inline(never)]
fn unstructured_row(whole: &Object, object: &Unstructured, now: Time) -> Vec<Value> {
    match object.kind {
        Kind::Custom(custom) => apiextensions::row(&custom.definition().columns, whole, now),
        Kind::CustomResourceDefinition => apiextensions::definition_row(&object.metadata),
        Kind::CSIDriver => storage::csi_driver::row(object, now),
        Kind::CSIStorageCapacity => storage::capacity::row(object),
        Kind::VolumeAttributesClass => storage::attributes_class::row(object, now),
        Kind::APIService => api_registration::row(object, now),
        Kind::CertificateSigningRequest => certificates::row(object, now),
        Kind::ComponentStatus => computed::component_status_row(object),
        Kind::NodeMetrics | Kind::PodMetrics => computed::metrics_row(object),
        Kind::IPAddress | Kind::ServiceCIDR => networking::addresses::row(object, now),
        kind if flow_control::has(kind) => flow_control::row(object, now),
        kind if resource::has(kind) => resource::row(object, now),
        _ => vec![name_of(&object.metadata), age_of(&object.metadata, now)],
    }
}

/// A table of objects of one kind; the caller sets `metadata.resourceVersion` of the list.
#[must_use]
pub fn table(kind: Kind, objects: &[Object], include: IncludeObject, now: Time) -> Value {
    let definitions: Vec<Value> = match kind.custom() {
        Some(custom) => {
            let columns = custom.definition().columns.iter().map(apiextensions::Column::definition);
            std::iter::once(NAME.to_value()).chain(columns).collect()
        }
        None => columns(kind).iter().map(|column| column.to_value()).collect(),
    };
    let rows: Vec<Value> = objects.iter().map(|object| table_row(object, include, now)).collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// A `Scale` as a table of one row (`printScale`).
#[must_use]
pub fn scale_table(scale: &Value, now: Time) -> Value {
    let column =
        |name: &str, column_type: &str| json!({ "name": name, "type": column_type, "format": "", "priority": 0 });
    let created = scale["metadata"]["creationTimestamp"].as_str().and_then(Time::parse);
    let number = |value: &Value| Value::from(value.as_i64().unwrap_or(0));
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [
            column("Name", "string"), column("Desired", "integer"), column("Available", "integer"), column("Age", "string"),
        ],
        "rows": [{
            "cells": [
                scale["metadata"]["name"],
                number(&scale["spec"]["replicas"]),
                number(&scale["status"]["replicas"]),
                created.map_or_else(|| "<unknown>".to_owned(), |created| duration::age(created, now)),
            ],
            "object": scale,
        }],
    })
}

/// One row with its object, as a watch of tables sends it too.
fn table_row(object: &Object, include: IncludeObject, now: Time) -> Value {
    let mut entry = json!({ "cells": row(object, now) });
    if let Object::Pod(pod) = object {
        let conditions = core::pod::columns::row_conditions(pod);
        if !conditions.is_empty() {
            entry["conditions"] = conditions.into();
        }
    }
    entry["object"] = match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => partial_metadata(object),
        IncludeObject::Object => super::form::encode(object),
    };
    entry
}

/// The object's metadata as `PartialObjectMetadata`.
#[must_use]
pub fn partial_metadata(object: &Object) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": super::check::json(object.metadata()),
    })
}

/// How long ago something was, as tables show it (`translateTimestampSince`).
pub(super) fn age(time: Option<&meta::Time>, now: Time) -> String {
    time.map_or_else(|| "<unknown>".to_owned(), |time| duration::age(Time::from(time), now))
}

/// The age of an object.
pub(super) fn age_of(metadata: &ObjectMeta, now: Time) -> Value {
    age(metadata.creation_timestamp.as_ref(), now).into()
}

/// The object's name as a cell.
pub(super) fn name_of(metadata: &ObjectMeta) -> Value {
    super::check::text(&metadata.name).into()
}

/// The text, or `<none>` when it is empty.
pub(super) fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>" } else { text }.into()
}

/// Names and images of containers, each as one cell (`layoutContainerCells`).
pub(super) fn container_cells(containers: &[Container]) -> (Value, Value) {
    let names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
    let images: Vec<&str> = containers.iter().map(|container| super::check::text(&container.image)).collect();
    (names.join(",").into(), images.join(",").into())
}
