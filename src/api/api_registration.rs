//! The apiregistration group: which versions of which groups there are, and who serves them.
//!
//! Follows `k8s.io/kube-aggregator/pkg/apis/apiregistration/validation`, its printed columns, the priorities of
//! `pkg/controlplane/apiserver/aggregator.go` and the conditions of `pkg/controllers/status/{local,remote}`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::check;
use super::kind::Kind;
use super::meta;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use super::unstructured::Unstructured;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `apiVersionPriorities`: a group and its version, the group's priority and the version's.
const PRIORITIES: &[(&str, &str, i64, i64)] = &[
    ("", "v1", 18_000, 1),
    ("admissionregistration.k8s.io", "v1", 16_700, 15),
    ("apiextensions.k8s.io", "v1", 16_700, 15),
    ("apps", "v1", 17_800, 15),
    ("authentication.k8s.io", "v1", 17_700, 15),
    ("authorization.k8s.io", "v1", 17_600, 15),
    ("autoscaling", "v1", 17_500, 15),
    ("autoscaling", "v2", 17_500, 30),
    ("batch", "v1", 17_400, 15),
    ("certificates.k8s.io", "v1", 17_300, 15),
    ("coordination.k8s.io", "v1", 16_500, 15),
    ("discovery.k8s.io", "v1", 16_200, 15),
    ("events.k8s.io", "v1", 17_750, 15),
    ("flowcontrol.apiserver.k8s.io", "v1", 16_100, 21),
    ("networking.k8s.io", "v1", 17_200, 15),
    ("node.k8s.io", "v1", 16_300, 15),
    ("policy", "v1", 17_100, 15),
    ("rbac.authorization.k8s.io", "v1", 17_000, 15),
    ("resource.k8s.io", "v1", 16_200, 15),
    ("scheduling.k8s.io", "v1", 16_600, 15),
    ("storage.k8s.io", "v1", 16_800, 15),
];

/// The APIServices of what the server serves itself, in the order of their names.
pub(crate) fn local_services(now: Time) -> Vec<Unstructured> {
    let mut services: Vec<Unstructured> =
        PRIORITIES.iter().map(|&(group, version, first, second)| local(group, version, [first, second], now)).collect();
    services.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    services
}

fn local(group: &str, version: &str, [group_priority, version_priority]: [i64; 2], now: Time) -> Unstructured {
    let labels = BTreeMap::from([("kube-aggregator.kubernetes.io/automanaged".to_owned(), "onstart".to_owned())]);
    let metadata =
        ObjectMeta { name: Some(format!("{version}.{group}")), labels: Some(labels), ..ObjectMeta::default() };
    let mut spec = json!({
        "groupPriorityMinimum": group_priority, "version": version, "versionPriority": version_priority,
    });
    if !group.is_empty() {
        spec["group"] = group.into();
    }
    let fields = Map::from_iter([("spec".to_owned(), spec)]);
    let mut service = Unstructured { kind: Kind::APIService, metadata, fields };
    let status = status(&service, &|_, _| false, now);
    service.fields.insert("status".to_owned(), status);
    service
}

/// The APIService of metrics-server.
pub(crate) const METRICS: &str = "v1beta1.metrics.k8s.io";

/// The APIService that metrics-server brings along.
pub(crate) fn metrics_service(now: Time) -> Unstructured {
    let labels = BTreeMap::from([("k8s-app".to_owned(), "metrics-server".to_owned())]);
    let metadata = ObjectMeta { name: Some(METRICS.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let spec = json!({
        "group": "metrics.k8s.io", "groupPriorityMinimum": 100, "insecureSkipTLSVerify": true,
        "service": { "name": "metrics-server", "namespace": "kube-system", "port": 443 },
        "version": "v1beta1", "versionPriority": 100,
    });
    let fields = [("spec".to_owned(), spec), ("status".to_owned(), passed(now))];
    Unstructured { kind: Kind::APIService, metadata, fields: Map::from_iter(fields) }
}

/// The status of an APIService whose server answers.
pub(crate) fn passed(now: Time) -> Value {
    condition("True", "Passed", "all checks passed", now)
}

fn condition(status: &str, reason: &str, message: &str, now: Time) -> Value {
    json!({ "conditions": [{
        "type": "Available", "status": status, "lastTransitionTime": now.to_string(), "reason": reason, "message": message,
    }] })
}

/// The status that the aggregator's controllers give an APIService; `has_service` says whether a Service is there.
pub(crate) fn status(service: &Unstructured, has_service: &dyn Fn(&str, &str) -> bool, now: Time) -> Value {
    let missing = Value::Null;
    let spec = service.fields.get("spec").unwrap_or(&missing);
    let (status, reason, message) = match &spec["service"] {
        Value::Object(reference) => {
            let text = |field: &str| reference.get(field).and_then(Value::as_str).unwrap_or("");
            let (namespace, name) = (text("namespace"), text("name"));
            if has_service(namespace, name) {
                let port = reference.get("port").and_then(Value::as_i64).unwrap_or(443);
                let message = format!(
                    "endpoints for service/{name} in {namespace:?} have no addresses with port name \"\" or port {port}"
                );
                ("False", "MissingEndpoints", message)
            } else {
                ("False", "ServiceNotFound", format!("service/{name} in {namespace:?} is not present"))
            }
        }
        _ => ("True", "Local", "Local APIServices are always available".to_owned()),
    };
    condition(status, reason, &message, now)
}

/// `SetDefaults_ServiceReference`.
pub(crate) fn default(service: &mut Unstructured) {
    let spec = service.fields.get_mut("spec").and_then(Value::as_object_mut);
    let reference = spec.and_then(|spec| spec.get_mut("service")).and_then(Value::as_object_mut);
    if let Some(reference) = reference {
        reference.entry("port").or_insert_with(|| 443.into());
    }
}

/// `ValidateAPIService`.
pub(crate) fn validate(service: &Unstructured) -> ErrorList {
    let missing = Value::Null;
    let spec = service.fields.get("spec").unwrap_or(&missing);
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or("").to_owned();
    let (group, version) = (text(spec, "group"), text(spec, "version"));
    let mut errors = meta::validate(&service.metadata, false, names::is_path_segment_name);
    let name = check::text(&service.metadata.name);
    let required = format!("{version}.{group}");
    if name != required {
        let why = format!("must be `spec.version+\".\"+spec.group`: {required:?}");
        errors.push(FieldError::invalid(&Path::new("metadata").child("name"), name, why));
    }
    let path = Path::new("spec");
    if !group.is_empty() {
        check::invalid_each(&mut errors, &path.child("group"), &group, names::is_dns1123_subdomain(&group));
    }
    check::invalid_each(&mut errors, &path.child("version"), &version, names::is_dns1035_label(&version));
    for (field, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
        let priority = spec[field].as_i64().unwrap_or(0);
        if !(1..=most).contains(&priority) {
            let why = format!("must be positive and less than {most}");
            errors.push(FieldError::invalid(&path.child(field), priority, why));
        }
    }
    validate_service(&mut errors, &path, spec);
    errors
}

fn validate_service(errors: &mut ErrorList, path: &Path, spec: &Value) {
    let (insecure, bundle) = (spec["insecureSkipTLSVerify"] == true, spec["caBundle"].is_string());
    let Some(reference) = spec["service"].as_object() else {
        let forbid = |errors: &mut ErrorList, field: &str, value: Value, what: &str| {
            let why = format!("local APIServices {what}");
            errors.push(FieldError::invalid(&path.child(field), value, why));
        };
        if bundle {
            forbid(errors, "caBundle", spec["caBundle"].clone(), "may not have a caBundle");
        }
        if insecure {
            forbid(errors, "insecureSkipTLSVerify", true.into(), "may not have insecureSkipTLSVerify");
        }
        return;
    };
    let at = path.child("service");
    for field in ["namespace", "name"] {
        check::required(errors, &at.child(field), reference.get(field).and_then(Value::as_str).unwrap_or(""));
    }
    if let Some(port) = reference.get("port").and_then(Value::as_i64).filter(|port| !(1..=65_535).contains(port)) {
        let why = "port is not valid: must be between 1 and 65535, inclusive";
        errors.push(FieldError::invalid(&at.child("port"), port, why));
    }
    if insecure && bundle {
        let why = "may not be true if caBundle is present";
        errors.push(FieldError::invalid(&path.child("insecureSkipTLSVerify"), true, why));
    }
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Service", "The reference to the service that hosts this API endpoint."),
    ColumnDefinition::text("Available", "Whether this service is available."),
    AGE,
];

pub(crate) fn row(service: &Unstructured, now: Time) -> Vec<Value> {
    let missing = Value::Null;
    let reference = &service.fields.get("spec").unwrap_or(&missing)["service"];
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or("").to_owned();
    let place = match reference {
        Value::Object(_) => format!("{}/{}", text(reference, "namespace"), text(reference, "name")),
        _ => "Local".to_owned(),
    };
    let conditions = service.fields.get("status").and_then(|status| status["conditions"].as_array());
    let available = conditions.into_iter().flatten().find(|condition| condition["type"] == "Available");
    let available = match available.map(|condition| (text(condition, "status"), text(condition, "reason"))) {
        None => "Unknown".to_owned(),
        Some((status, _)) if status == "True" => status,
        Some((status, reason)) => format!("{status} ({reason})"),
    };
    vec![name_of(&service.metadata), place.into(), available.into(), age_of(&service.metadata, now)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_that_is_served_has_its_service() {
        let services = local_services(Time::DEFAULT_START);
        for service in &services {
            assert_eq!(validate(service), [], "{:?}", service.metadata.name);
            assert_eq!(row(service, Time::DEFAULT_START)[2], "True");
        }
        let served: std::collections::BTreeSet<String> = Kind::ALL
            .iter()
            .map(|kind| kind.info())
            .filter(|info| !matches!(info.group, "apiregistration.k8s.io" | "metrics.k8s.io"))
            .map(|info| format!("{}.{}", info.version, info.group))
            .chain(["v1.autoscaling".to_owned(), "v1.events.k8s.io".to_owned()])
            .collect();
        let named: std::collections::BTreeSet<String> =
            services.iter().filter_map(|service| service.metadata.name.clone()).collect();
        assert_eq!(named, served);
    }

    #[test]
    fn a_service_elsewhere_is_looked_for() {
        let fields = json!({ "spec": {
            "group": "example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": { "namespace": "default", "name": "api" },
        } });
        let metadata = ObjectMeta { name: Some("v1.example.com".to_owned()), ..ObjectMeta::default() };
        let fields = fields.as_object().cloned().unwrap_or_default();
        let mut service = Unstructured { kind: Kind::APIService, metadata, fields };
        default(&mut service);
        assert_eq!(service.fields["spec"]["service"]["port"], 443);
        assert_eq!(validate(&service), []);
        let reason =
            |there: bool| status(&service, &|_, _| there, Time::DEFAULT_START)["conditions"][0]["reason"].clone();
        assert_eq!((reason(false), reason(true)), ("ServiceNotFound".into(), "MissingEndpoints".into()));
        service.metadata.name = Some("other".to_owned());
        assert_eq!(validate(&service).len(), 1);
    }
}
