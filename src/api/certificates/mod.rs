//! CertificateSigningRequests, which have no type of their own.
//!
//! Follows `pkg/registry/certificates/certificates/strategy.go`, `pkg/apis/certificates/validation/validation.go`,
//! `plugin/pkg/admission/certificates/*` and `printCertificateSigningRequest`.

use serde_json::{Value, json};

use super::kind::Subresource;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use super::unstructured::Unstructured;
use crate::machinery::base64;
use crate::machinery::duration::GoDuration;
use crate::machinery::time::Time;
use crate::machinery::x509::Request;

mod validation;

pub(crate) use validation::{validate, validate_update};

/// The signer of clients of the API server.
pub(crate) const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// The signer of kubelets as clients.
pub(crate) const KUBELET_CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// The signer of kubelets as servers.
pub(crate) const KUBELET_SERVING_SIGNER: &str = "kubernetes.io/kubelet-serving";
fn spec(request: &Unstructured) -> &Value {
    request.fields.get("spec").unwrap_or(&Value::Null)
}

/// Who signs.
pub(crate) fn signer(request: &Unstructured) -> &str {
    spec(request)["signerName"].as_str().unwrap_or("")
}

/// Writes down who asks: `PrepareForCreate`.
pub(crate) fn identify(request: &mut Unstructured, name: &str, groups: &[String]) {
    let fields = request.fields.get_mut("spec").and_then(Value::as_object_mut);
    if let Some(fields) = fields {
        fields.insert("username".to_owned(), name.into());
        fields.insert("groups".to_owned(), json!(groups));
        fields.remove("uid");
        fields.remove("extra");
    }
}

/// What is asked for, out of its base64 and PEM; or what is wrong with it.
pub(crate) fn request(object: &Unstructured) -> Result<Request, &'static str> {
    let text = spec(object)["request"].as_str().unwrap_or("");
    Request::parse(&base64::decode(text).unwrap_or_default())
}

/// What the certificate is to be used for.
pub(crate) fn usages(request: &Unstructured) -> Vec<&str> {
    spec(request)["usages"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The text of the certificate that was handed out.
pub(crate) fn certificate(request: &Unstructured) -> Option<String> {
    let text = request.fields.get("status")?["certificate"].as_str()?;
    Some(String::from_utf8_lossy(&base64::decode(text).ok()?).into_owned())
}

/// What was decided.
pub(crate) fn conditions(request: &Unstructured) -> &[Value] {
    let conditions = request.fields.get("status").and_then(|status| status["conditions"].as_array());
    conditions.map_or(&[], Vec::as_slice)
}

/// Whether there is a condition of a type.
pub(crate) fn has(request: &Unstructured, kind: &str) -> bool {
    conditions(request).iter().any(|condition| condition["type"] == kind)
}

/// What an update may not change stays as it was: the spec, and what the subresource does not write.
pub(crate) fn prepare_for_update(new: &mut Unstructured, old: &Unstructured, subresource: Option<Subresource>) {
    new.prepare_for_update(old, subresource);
    // What was asked is nobody's to change.
    if let Some(spec) = old.fields.get("spec") {
        new.fields.insert("spec".to_owned(), spec.clone());
    }
    match subresource {
        // Who decides hands nothing out.
        Some(Subresource::Approval) => {
            let decided = new.fields.get("status").and_then(|status| status.get("conditions")).cloned();
            let mut status = old.fields.get("status").cloned().unwrap_or_else(|| json!({}));
            if let Some(fields) = status.as_object_mut() {
                match decided {
                    Some(decided) => drop(fields.insert("conditions".to_owned(), decided)),
                    None => drop(fields.shift_remove("conditions")),
                }
            }
            new.fields.insert("status".to_owned(), status);
        }
        Some(Subresource::Status) => ["Approved", "Denied"].iter().for_each(|kind| preserve(new, old, kind)),
        _ => {}
    }
}

/// `preserveConditionInstances`: conditions of a type stay as they are, unless some are added or removed.
fn preserve(new: &mut Unstructured, old: &Unstructured, kind: &str) {
    let held: Vec<Value> = conditions(old).iter().filter(|condition| condition["type"] == kind).cloned().collect();
    let conditions = new.fields.get_mut("status").and_then(|status| status.get_mut("conditions"));
    let given: Vec<&mut Value> = conditions
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter(|condition| condition["type"] == kind)
        .collect();
    if given.len() == held.len() {
        given.into_iter().zip(held).for_each(|(given, held)| *given = held);
    }
}

/// When a condition that says nothing of it was written: `populateConditionTimestamps`, the one thing that the strategy
/// needs a clock for.
pub(crate) fn stamp(new: &mut Unstructured, old: &Unstructured, now: Time) {
    let conditions = new.fields.get_mut("status").and_then(|status| status.get_mut("conditions"));
    for condition in conditions.and_then(Value::as_array_mut).into_iter().flatten() {
        if condition["lastTransitionTime"].is_null() {
            let same = self::conditions(old).iter().find(|held| {
                (&held["type"], &held["status"]) == (&condition["type"], &condition["status"])
                    && held["lastTransitionTime"].is_string()
            });
            let since = same.map_or_else(|| now.to_rfc3339().into(), |held| held["lastTransitionTime"].clone());
            condition["lastTransitionTime"] = since;
        }
        if condition["lastUpdateTime"].is_null() {
            condition["lastUpdateTime"] = now.to_rfc3339().into();
        }
    }
}

/// Whether the update hands a certificate out, or says that there will be none.
pub(crate) fn signs(new: &Unstructured, old: &Unstructured) -> bool {
    let certificate = |request: &Unstructured| request.fields.get("status")?.get("certificate").cloned();
    certificate(new) != certificate(old) || has(new, "Failed") != has(old, "Failed")
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    AGE,
    ColumnDefinition::text("SignerName", "signerName indicates the requested signer, and is a qualified name."),
    ColumnDefinition::text(
        "Requestor",
        "request contains an x509 certificate signing request encoded in a \"CERTIFICATE REQUEST\" PEM block. When \
         serialized as JSON or YAML, the data is additionally base64-encoded.",
    ),
    ColumnDefinition::text(
        "RequestedDuration",
        "expirationSeconds is the requested duration of validity of the issued certificate.",
    ),
    ColumnDefinition::text(
        "Condition",
        "conditions applied to the request. Known conditions are \"Approved\", \"Denied\", and \"Failed\".",
    ),
];

pub(crate) fn row(request: &Unstructured, now: Time) -> Vec<Value> {
    let fields = spec(request);
    let seconds = fields["expirationSeconds"].as_i64();
    let mut condition = match (has(request, "Denied"), has(request, "Approved")) {
        (true, _) => "Denied",
        (_, true) => "Approved",
        _ => "Pending",
    }
    .to_owned();
    if has(request, "Failed") {
        condition.push_str(",Failed");
    }
    if request.fields.get("status").is_some_and(|status| status["certificate"].is_string()) {
        condition.push_str(",Issued");
    }
    vec![
        name_of(&request.metadata),
        age_of(&request.metadata, now),
        signer(request).into(),
        fields["username"].as_str().unwrap_or("").into(),
        seconds.map_or_else(|| "<none>".to_owned(), |seconds| GoDuration::from_secs(seconds).human()).into(),
        condition.into(),
    ]
}

#[cfg(test)]
mod tests;
