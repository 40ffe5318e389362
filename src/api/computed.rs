//! Kinds whose objects are worked out when somebody asks for them: the health of the control plane's parts, and what pods
//! and nodes use.
//!
//! Follows `pkg/registry/core/componentstatus/rest.go`, `printComponentStatus` and, for metrics,
//! `sigs.k8s.io/metrics-server/pkg/api/table.go`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::table::{ColumnDefinition, NAME, name_of};
use super::unstructured::Unstructured;
use crate::machinery::quantity::{Format, Quantity};

/// What every request for them is warned of.
pub(crate) const COMPONENT_STATUS_DEPRECATED: &str = "v1 ComponentStatus is deprecated in v1.19+";

/// The parts of the control plane, which are well for as long as somebody can ask.
pub(crate) fn component_statuses() -> Vec<Unstructured> {
    ["controller-manager", "etcd-0", "scheduler"].map(component_status).to_vec()
}

fn component_status(name: &str) -> Unstructured {
    let conditions = json!([{ "type": "Healthy", "status": "True", "message": "ok" }]);
    Unstructured {
        kind: Kind::ComponentStatus,
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        fields: Map::from_iter([("conditions".to_owned(), conditions)]),
    }
}

pub(crate) const COMPONENT_STATUS_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Status", "Status of the component conditions"),
    ColumnDefinition::text("Message", "Message of the component conditions"),
    ColumnDefinition::text("Error", "Error of the component conditions"),
];

pub(crate) fn component_status_row(object: &Unstructured) -> Vec<Value> {
    let missing = Value::Null;
    let condition = object.fields.get("conditions").map_or(&missing, |conditions| &conditions[0]);
    let status = if condition["status"] == "True" { "Healthy" } else { "Unhealthy" };
    let text = |field: &str| Value::from(condition[field].as_str().unwrap_or(""));
    vec![name_of(&object.metadata), status.into(), text("message"), text("error")]
}

pub(crate) const METRICS_COLUMNS: &[ColumnDefinition] = &[
    ColumnDefinition { description: "Name of the resource", ..NAME },
    ColumnDefinition::text("cpu", ""),
    ColumnDefinition::text("memory", ""),
    ColumnDefinition::text("Window", ""),
];

/// What a pod or a node uses in all.
pub(crate) fn metrics_row(object: &Unstructured) -> Vec<Value> {
    let missing = Value::Null;
    let field = |name: &str| object.fields.get(name).unwrap_or(&missing);
    let total = |name: &str, format: Format| {
        let of_node = field("usage").get(name);
        let of_containers = field("containers").as_array().into_iter().flatten().map(|it| &it["usage"][name]);
        let mut total = Quantity::new(0, format);
        for amount in of_node.into_iter().chain(of_containers) {
            if let Ok(amount) = Quantity::parse_json(amount) {
                total.add(amount);
            }
        }
        total.to_string().into()
    };
    let (cpu, memory) = (total("cpu", Format::DecimalSI), total("memory", Format::BinarySI));
    vec![name_of(&object.metadata), cpu, memory, field("window").clone()]
}
