//! The fields that a list or watch can select by, a kind each.
//!
//! `kubernetes/pkg/apis/*/v1/conversion.go` (`AddFieldLabelConversionFunc`) and `registry/*/strategy.go`.

use crate::api::{Kind, Object};
use crate::machinery::jsonpath;
use crate::machinery::status::Status;
use crate::machinery::structural::nested;

/// The fields of a kind that can be selected by, besides `metadata.name` and `metadata.namespace`.
#[must_use]
pub const fn selectable_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Pod => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        Kind::Node => &["spec.unschedulable"],
        Kind::Namespace => &["status.phase"],
        Kind::Job => &["status.successful"],
        Kind::ReplicaSet | Kind::ReplicationController => &["status.replicas"],
        Kind::Secret => &["type"],
        Kind::Service => &["spec.clusterIP", "spec.type"],
        Kind::CertificateSigningRequest => &["spec.signerName"],
        Kind::ResourceSlice => &["spec.driver", "spec.nodeName"],
        Kind::Event => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        _ => &[],
    }
}

/// Whether lists of a custom kind can be selected by a field.
#[inline(never)]
fn is_selectable(kind: Kind, field: &str) -> bool {
    kind.custom().is_some_and(|custom| custom.definition().selectable_fields.iter().any(|known| known == field))
}

/// Refuses a field that the kind cannot be selected by.
pub(super) fn check_label(kind: Kind, field: &str) -> Result<(), Status> {
    let known = field == "metadata.name"
        || (field == "metadata.namespace" && kind.info().namespaced)
        || selectable_fields(kind).contains(&field)
        || is_selectable(kind, field);
    if known {
        return Ok(());
    }
    Err(Status::bad_request(match kind {
        Kind::Pod
        | Kind::Node
        | Kind::Namespace
        | Kind::ReplicationController
        | Kind::Secret
        | Kind::Service
        | Kind::CertificateSigningRequest
        | Kind::Event => {
            format!("field label not supported: {field}")
        }
        Kind::Job => format!("field label {field:?} not supported for Job"),
        Kind::Custom(_) => format!("field label not supported: {field}"),
        Kind::ResourceSlice => {
            format!("field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {field}")
        }
        _ => format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
    }))
}

/// The text that a field selector compares with.
pub(super) fn field_value(object: &Object, field: &str) -> Option<String> {
    let metadata = object.metadata();
    match field {
        "metadata.name" => return metadata.name.clone(),
        "metadata.namespace" => return metadata.namespace.clone(),
        _ => {}
    }
    match object {
        Object::Pod(pod) => pod_field(pod, field),
        Object::Node(node) => match field {
            "spec.unschedulable" => {
                Some(node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false).to_string())
            }
            _ => None,
        },
        Object::Namespace(namespace) => namespace.status.as_ref()?.phase.clone(),
        Object::Job(job) => Some(job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0).to_string()),
        Object::ReplicaSet(set) => Some(set.status.as_ref().map_or(0, |status| status.replicas).to_string()),
        Object::ReplicationController(controller) => {
            Some(controller.status.as_ref().map_or(0, |status| status.replicas).to_string())
        }
        Object::Secret(secret) => secret.type_.clone(),
        Object::Service(service) => match field {
            "spec.clusterIP" => service.spec.as_ref()?.cluster_ip.clone(),
            _ => service.spec.as_ref()?.type_.clone(),
        },
        Object::Event(event) => event_field(event, field),
        Object::Unstructured(object)
            if is_selectable(object.kind, field) || selectable_fields(object.kind).contains(&field) =>
        {
            let (first, rest) = field.split_once('.').map_or((field, None), |(first, rest)| (first, Some(rest)));
            let value = object.fields.get(first)?;
            Some(jsonpath::print(rest.map_or(Some(value), |rest| nested(value, rest))?))
        }
        _ => None,
    }
}

fn pod_field(pod: &k8s_openapi::api::core::v1::Pod, field: &str) -> Option<String> {
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    match field {
        "spec.nodeName" => spec?.node_name.clone(),
        "spec.restartPolicy" => spec?.restart_policy.clone(),
        "spec.schedulerName" => spec?.scheduler_name.clone(),
        "spec.serviceAccountName" => spec?.service_account_name.clone(),
        "spec.hostNetwork" => Some(spec?.host_network.unwrap_or(false).to_string()),
        "status.phase" => status?.phase.clone(),
        "status.podIP" => status?.pod_ip.clone(),
        "status.podIPs" => {
            let ips = status?.pod_ips.as_ref()?;
            Some(ips.iter().map(|ip| ip.ip.as_str()).collect::<Vec<_>>().join(","))
        }
        "status.nominatedNodeName" => status?.nominated_node_name.clone(),
        _ => None,
    }
}

fn event_field(event: &k8s_openapi::api::core::v1::Event, field: &str) -> Option<String> {
    let about = &event.involved_object;
    match field {
        "involvedObject.kind" => about.kind.clone(),
        "involvedObject.namespace" => about.namespace.clone(),
        "involvedObject.name" => about.name.clone(),
        "involvedObject.uid" => about.uid.clone(),
        "involvedObject.apiVersion" => about.api_version.clone(),
        "involvedObject.resourceVersion" => about.resource_version.clone(),
        "involvedObject.fieldPath" => about.field_path.clone(),
        "reason" => event.reason.clone(),
        "reportingComponent" => event.reporting_component.clone(),
        "source" => {
            let source = event.source.as_ref().and_then(|source| source.component.clone());
            source.filter(|source| !source.is_empty()).or_else(|| event.reporting_component.clone())
        }
        "type" => event.type_.clone(),
        _ => None,
    }
}
