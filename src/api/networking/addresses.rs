//! ServiceCIDRs and IPAddresses, which have no types of their own.
//!
//! Follows `ValidateServiceCIDR`, `ValidateIPAddress` of `pkg/apis/networking/validation/validation.go`,
//! `printServiceCIDR`, `printIPAddress`, and for what the server writes itself
//! `pkg/controlplane/controller/defaultservicecidr` and `pkg/registry/core/service/ipallocator/ipallocator.go`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use crate::api::kind::Kind;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::api::unstructured::Unstructured;
use crate::api::{check, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// The name of the range that the server was started with.
const DEFAULT_NAME: &str = "kubernetes";

/// The range that every cluster begins with, as it is once its controller has looked at it.
pub(crate) fn default_service_cidr(range: &str, now: Time) -> Unstructured {
    let metadata = ObjectMeta {
        name: Some(DEFAULT_NAME.to_owned()),
        finalizers: Some(vec!["networking.k8s.io/service-cidr-finalizer".to_owned()]),
        ..ObjectMeta::default()
    };
    let status = json!({ "conditions": [{
        "type": "Ready", "status": "True", "lastTransitionTime": now.to_string(), "reason": "",
        "message": "Kubernetes Service CIDR is ready",
    }] });
    let fields = [("spec".to_owned(), json!({ "cidrs": [range] })), ("status".to_owned(), status)];
    Unstructured { kind: Kind::ServiceCIDR, metadata, fields: Map::from_iter(fields) }
}

/// What the allocator writes of an address that a Service has.
pub(crate) fn ip_address(address: &str, namespace: &str, service: &str) -> Unstructured {
    let labels =
        [("ipaddress.kubernetes.io/ip-family", "IPv4"), ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io")];
    let labels: BTreeMap<String, String> =
        labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let metadata = ObjectMeta { name: Some(address.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let parent = json!({ "group": "", "resource": "services", "namespace": namespace, "name": service });
    let fields = Map::from_iter([("spec".to_owned(), json!({ "parentRef": parent }))]);
    Unstructured { kind: Kind::IPAddress, metadata, fields }
}

/// Everything that is wrong with an object of either kind.
pub(crate) fn validate(object: &Unstructured) -> ErrorList {
    let missing = Value::Null;
    let spec = object.fields.get("spec").unwrap_or(&missing);
    if object.kind == Kind::IPAddress { validate_address(object, spec) } else { validate_cidr(object, spec) }
}

/// `ValidateServiceCIDR`.
fn validate_cidr(object: &Unstructured, spec: &Value) -> ErrorList {
    let mut errors = meta::validate(&object.metadata, false, names::is_dns1123_subdomain);
    let path = Path::new("spec").child("cidrs");
    let cidrs: Vec<&str> = spec["cidrs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if cidrs.is_empty() {
        errors.push(FieldError::required(&path, "at least one CIDR required"));
        return errors;
    }
    if cidrs.len() > 2 {
        let why = "may only hold up to 2 values";
        errors.push(FieldError::invalid(&path, json!(cidrs), why));
        return errors;
    }
    for (index, cidr) in cidrs.iter().enumerate() {
        check::cidr(&mut errors, &path.index(index), cidr);
    }
    let families: Vec<bool> = cidrs.iter().map(|cidr| cidr.contains(':')).collect();
    if families.len() == 2 && families[0] == families[1] {
        let why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.push(FieldError::invalid(&path, json!(cidrs), why));
    }
    errors
}

/// `ValidateIPAddress`.
fn validate_address(object: &Unstructured, spec: &Value) -> ErrorList {
    fn is_ip(name: &str) -> Vec<String> {
        match check::parse_ip(name) {
            Some(ip) if ip.to_string() == name => Vec::new(),
            Some(ip) => vec![format!("must be in canonical form ({:?})", ip.to_string())],
            None => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        }
    }
    let mut errors = meta::validate(&object.metadata, false, is_ip);
    let path = Path::new("spec").child("parentRef");
    let Some(parent) = spec["parentRef"].as_object() else {
        errors.push(FieldError::required(&path, ""));
        return errors;
    };
    let text = |field: &str| parent.get(field).and_then(Value::as_str).unwrap_or("");
    for (field, check) in [("resource", true), ("name", true), ("namespace", false)] {
        let value = text(field);
        if value.is_empty() {
            if check {
                errors.push(FieldError::required(&path.child(field), ""));
            }
            continue;
        }
        let why = names::is_path_segment_name(value);
        check::invalid_each(&mut errors, &path.child(field), value, why);
    }
    errors
}

/// What an update may not change.
pub(crate) fn validate_update(new: &Unstructured, old: &Unstructured) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    let part = if new.kind == Kind::IPAddress { "parentRef" } else { "cidrs" };
    let field = |object: &Unstructured| object.fields.get("spec").map_or(Value::Null, |spec| spec[part].clone());
    if field(new) != field(old) {
        errors.push(FieldError::invalid(&Path::new("spec").child(part), field(new), check::IMMUTABLE));
    }
    errors
}

const CIDR_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "CIDRs",
        "CIDRs defines the IP blocks in CIDR notation (e.g. \"192.168.0.0/24\" or \"2001:db8::/64\") from which to \
         assign service cluster IPs. Max of two CIDRs is allowed, one of each IP family. This field is immutable.",
    ),
    AGE,
];

const ADDRESS_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "ParentRef",
        "ParentRef references the resource that an IPAddress is attached to. An IPAddress must reference a parent object.",
    ),
    AGE,
];

/// The columns of both kinds.
pub(crate) const fn columns(kind: Kind) -> &'static [ColumnDefinition] {
    match kind {
        Kind::IPAddress => ADDRESS_COLUMNS,
        _ => CIDR_COLUMNS,
    }
}

pub(crate) fn row(object: &Unstructured, now: Time) -> Vec<Value> {
    let missing = Value::Null;
    let spec = object.fields.get("spec").unwrap_or(&missing);
    let cell = if object.kind == Kind::IPAddress {
        let text = |field: &str| spec["parentRef"][field].as_str().unwrap_or("").to_owned();
        let group = text("group");
        let resource = if group.is_empty() { text("resource") } else { format!("{}.{group}", text("resource")) };
        [resource, text("namespace"), text("name")]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/")
    } else {
        let cidrs = spec["cidrs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        cidrs.collect::<Vec<_>>().join(",")
    };
    vec![name_of(&object.metadata), cell.into(), age_of(&object.metadata, now)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_writes_itself_is_sound() {
        let cidr = default_service_cidr("10.96.0.0/16", Time::DEFAULT_START);
        let address = ip_address("10.96.0.1", "default", "kubernetes");
        assert_eq!((validate(&cidr), validate(&address)), (vec![], vec![]));
        assert_eq!(row(&address, Time::DEFAULT_START)[1], "services/default/kubernetes");
    }

    #[test]
    fn ranges_are_one_of_each_family() {
        let check = |cidrs: Value| {
            let mut object = default_service_cidr("", Time::DEFAULT_START);
            object.fields.insert("spec".to_owned(), json!({ "cidrs": cidrs }));
            validate(&object).len()
        };
        assert_eq!(check(json!(["10.0.0.0/24", "fd00::/108"])), 0);
        for wrong in [json!([]), json!(["10.0.0.0/24", "10.1.0.0/24"]), json!(["x"]), json!(["10.0.0.1/24"])] {
            assert!(check(wrong.clone()) > 0, "{wrong}");
        }
    }
}
