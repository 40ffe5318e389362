//! Versions in which a kind is served besides the one in which it is stored.
//!
//! Follows `kubernetes/pkg/apis/autoscaling/v1/conversion.go` and `pkg/apis/events/v1/conversion.go`.

use serde_json::{Map, Value, json};

use super::kind::Kind;

/// A version of a kind that is not the one in the table of kinds.
#[derive(Debug)]
pub struct OtherVersion {
    /// The kind.
    pub kind: Kind,
    /// The API group, which may be another one too.
    pub group: &'static str,
    /// The version in the group.
    pub version: &'static str,
    /// The group behind which discovery lists this one.
    pub listed_after: &'static str,
    to_stored: fn(&mut Map<String, Value>),
    from_stored: fn(&mut Map<String, Value>),
}

/// All other versions.
pub const OTHER_VERSIONS: &[OtherVersion] = &[
    OtherVersion {
        kind: Kind::HorizontalPodAutoscaler,
        group: "autoscaling",
        version: "v1",
        listed_after: "autoscaling",
        to_stored: autoscaler_to_v2,
        from_stored: autoscaler_to_v1,
    },
    OtherVersion {
        kind: Kind::Event,
        group: "events.k8s.io",
        version: "v1",
        listed_after: "apps",
        to_stored: event_to_core,
        from_stored: event_from_core,
    },
];

impl OtherVersion {
    /// The version that an `apiVersion` and a kind name.
    #[must_use]
    pub fn from_manifest(api_version: &str, kind: &str) -> Option<&'static Self> {
        OTHER_VERSIONS.iter().find(|other| other.kind.info().kind == kind && other.api_version() == api_version)
    }

    /// `autoscaling/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// An object of this version in the version in which it is stored.
    #[must_use]
    pub fn to_stored(&self, mut value: Value) -> Value {
        if let Value::Object(fields) = &mut value {
            (self.to_stored)(fields);
            fields.insert("apiVersion".to_owned(), self.kind.api_version().into());
        }
        value
    }

    /// A stored object in this version.
    #[must_use]
    pub fn from_stored(&self, mut value: Value) -> Value {
        if let Value::Object(fields) = &mut value {
            (self.from_stored)(fields);
            fields.insert("apiVersion".to_owned(), self.api_version().into());
        }
        value
    }
}

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

/// Takes an annotation that holds JSON.
fn take_annotation(fields: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let annotations = fields.get_mut("metadata")?.get_mut("annotations")?.as_object_mut()?;
    let text = annotations.shift_remove(name)?;
    serde_json::from_str(text.as_str()?).ok()
}

fn set_annotation(fields: &mut Map<String, Value>, name: &str, value: &Value) {
    if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations[name] = value.to_string().into();
    }
}

fn is_cpu_utilization(metric: &Value, target: &str) -> bool {
    metric["type"] == "Resource"
        && metric["resource"]["name"] == "cpu"
        && !metric["resource"][target]["averageUtilization"].is_null()
}

fn autoscaler_to_v2(fields: &mut Map<String, Value>) {
    let metrics = take_annotation(fields, METRICS);
    let behavior = take_annotation(fields, BEHAVIOR);
    let current = take_annotation(fields, CURRENT_METRICS);
    let conditions = take_annotation(fields, CONDITIONS);
    if let Some(Value::Object(spec)) = fields.get_mut("spec") {
        let utilization = spec.shift_remove("targetCPUUtilizationPercentage").map(|utilization| {
            json!({
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": { "type": "Utilization", "averageUtilization": utilization },
                },
            })
        });
        let others = metrics.as_ref().and_then(Value::as_array).into_iter().flatten().cloned();
        let metrics: Vec<Value> = utilization.into_iter().chain(others).collect();
        if !metrics.is_empty() {
            spec.insert("metrics".to_owned(), metrics.into());
        }
        if let Some(behavior) = behavior {
            spec.insert("behavior".to_owned(), behavior);
        }
    }
    if let Some(Value::Object(status)) = fields.get_mut("status") {
        status.shift_remove("currentCPUUtilizationPercentage");
        for (field, value) in [("currentMetrics", current), ("conditions", conditions)] {
            if let Some(value) = value {
                status.insert(field.to_owned(), value);
            }
        }
    }
}

fn autoscaler_to_v1(fields: &mut Map<String, Value>) {
    let mut annotations: Vec<(&str, Value)> = Vec::new();
    if let Some(Value::Object(spec)) = fields.get_mut("spec") {
        let metrics = spec.shift_remove("metrics").unwrap_or_default();
        let metrics: Vec<Value> = metrics.as_array().cloned().unwrap_or_default();
        let (cpu, others): (Vec<Value>, Vec<Value>) =
            metrics.into_iter().partition(|metric| is_cpu_utilization(metric, "target"));
        if let Some(metric) = cpu.first() {
            let utilization = metric["resource"]["target"]["averageUtilization"].clone();
            spec.insert("targetCPUUtilizationPercentage".to_owned(), utilization);
        }
        if !others.is_empty() {
            annotations.push((METRICS, others.into()));
        }
        annotations.extend(spec.shift_remove("behavior").map(|behavior| (BEHAVIOR, behavior)));
    }
    if let Some(Value::Object(status)) = fields.get_mut("status") {
        let current = status.shift_remove("currentMetrics").unwrap_or_default();
        let current: Vec<Value> = current.as_array().cloned().unwrap_or_default();
        if let Some(metric) = current.iter().find(|metric| is_cpu_utilization(metric, "current")) {
            let utilization = metric["resource"]["current"]["averageUtilization"].clone();
            status.insert("currentCPUUtilizationPercentage".to_owned(), utilization);
        }
        if !current.is_empty() {
            annotations.push((CURRENT_METRICS, current.into()));
        }
        annotations.extend(status.shift_remove("conditions").map(|conditions| (CONDITIONS, conditions)));
        status.entry("currentReplicas").or_insert_with(|| 0.into());
    }
    for (name, value) in annotations {
        set_annotation(fields, name, &value);
    }
}

/// What the fields of an event are called in its own group and in core.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

fn event_to_core(fields: &mut Map<String, Value>) {
    for (own, core) in EVENT_FIELDS {
        if let Some(value) = fields.shift_remove(*own) {
            fields.insert((*core).to_owned(), value);
        }
    }
}

fn event_from_core(fields: &mut Map<String, Value>) {
    for (own, core) in EVENT_FIELDS {
        if let Some(value) = fields.shift_remove(*core) {
            fields.insert((*own).to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_autoscaler_goes_to_its_new_version_and_back() {
        let old = json!({
            "apiVersion": "autoscaling/v1",
            "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": "web" },
            "spec": { "maxReplicas": 3, "targetCPUUtilizationPercentage": 50 },
        });
        let version = OtherVersion::from_manifest("autoscaling/v1", "HorizontalPodAutoscaler").expect("it is served");
        let new = version.to_stored(old.clone());
        assert_eq!(new["apiVersion"], "autoscaling/v2");
        assert_eq!(new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
        assert_eq!(version.from_stored(new), old);
    }

    #[test]
    fn what_the_old_version_has_no_field_for_stands_in_annotations() {
        let version = OtherVersion::from_manifest("autoscaling/v1", "HorizontalPodAutoscaler").expect("it is served");
        let new = json!({
            "apiVersion": "autoscaling/v2",
            "metadata": { "name": "web" },
            "spec": { "metrics": [{ "type": "Pods", "pods": { "metric": { "name": "m" } } }] },
        });
        let old = version.from_stored(new.clone());
        assert!(old["metadata"]["annotations"][METRICS].is_string());
        assert_eq!(version.to_stored(old)["spec"], new["spec"]);
    }

    #[test]
    fn an_event_is_the_same_event_in_its_own_group() {
        let version = OtherVersion::from_manifest("events.k8s.io/v1", "Event").expect("it is served");
        let core = json!({ "apiVersion": "v1", "message": "Pulled", "involvedObject": { "name": "p" } });
        let own = version.from_stored(core.clone());
        assert_eq!((&own["note"], &own["regarding"]["name"]), (&json!("Pulled"), &json!("p")));
        assert_eq!(version.to_stored(own), core);
    }
}
