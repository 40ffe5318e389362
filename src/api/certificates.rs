//! CertificateSigningRequests, which have no type of their own. Nobody signs here: a certificate that is worth its name
//! needs keys, and nothing in the cluster would look at it.
//!
//! Follows `pkg/registry/certificates/certificates/strategy.go`, `pkg/apis/certificates/validation/validation.go`,
//! `plugin/pkg/admission/certificates/*` and `printCertificateSigningRequest`.

use serde_json::{Value, json};

use super::kind::Subresource;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use super::unstructured::Unstructured;
use super::{check, meta};
use crate::machinery::duration::GoDuration;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::time::Time;
use crate::machinery::{base64, names};

/// The signer of clients of the API server.
pub(crate) const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// What a certificate may be used for.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
/// The shortest life that one may ask for.
const EXPIRATION_SECONDS_MIN: i64 = 600;
/// `organizationName` in DER, as an object identifier with its tag and length.
const ORGANIZATION: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x0a];

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

/// The request's DER, out of its base64 and PEM; or what is wrong with it.
fn der(request: &Unstructured) -> Result<Vec<u8>, &'static str> {
    const TYPE: &str = "PEM block type must be CERTIFICATE REQUEST";
    let text = spec(request)["request"].as_str().and_then(|text| base64::decode(text).ok()).ok_or(TYPE)?;
    let text = String::from_utf8(text).map_err(|_| TYPE)?;
    let body = text.split_once("-----BEGIN CERTIFICATE REQUEST-----").ok_or(TYPE)?.1;
    let body: String = body.split_once("-----END CERTIFICATE REQUEST-----").ok_or(TYPE)?.0.split_whitespace().collect();
    let der = base64::decode(&body).map_err(|_| TYPE)?;
    if der.first() == Some(&0x30) { Ok(der) } else { Err("asn1: structure error: tags don't match") }
}

/// The organisations that the request's subject is in: its groups, once it is signed.
pub(crate) fn organizations(request: &Unstructured) -> Vec<String> {
    let Ok(der) = der(request) else { return Vec::new() };
    let places = der.windows(ORGANIZATION.len()).enumerate().filter(|(_, window)| *window == ORGANIZATION);
    let texts = places.filter_map(|(at, _)| {
        let value = der.get(at + ORGANIZATION.len()..)?;
        let (&[_, length], rest) = value.split_first_chunk::<2>()?;
        String::from_utf8(rest.get(..usize::from(length))?.to_vec()).ok()
    });
    texts.collect()
}

/// `ValidateCertificateSigningRequestCreate`.
pub(crate) fn validate(request: &Unstructured) -> ErrorList {
    let mut errors = meta::validate(&request.metadata, false, names::is_path_segment_name);
    let path = Path::new("spec");
    let fields = spec(request);
    if let Err(why) = der(request) {
        errors.push(FieldError::invalid(&path.child("request"), fields["request"].clone(), why));
    }
    let usages: Vec<&str> = fields["usages"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if usages.is_empty() {
        errors.push(FieldError::required(&path.child("usages"), ""));
    }
    for (index, usage) in usages.iter().enumerate() {
        if !USAGES.contains(usage) {
            errors.push(FieldError::not_supported(&path.child("usages").index(index), *usage, &USAGES));
        }
        if usages[..index].contains(usage) {
            errors.push(FieldError::duplicate(&path.child("usages").index(index), *usage));
        }
    }
    validate_signer(&mut errors, &path.child("signerName"), signer(request));
    if let Some(seconds) = fields["expirationSeconds"].as_i64().filter(|seconds| *seconds < EXPIRATION_SECONDS_MIN) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid(&path.child("expirationSeconds"), seconds, why));
    }
    errors
}

/// `ValidateSignerName`: a domain, a slash and a path.
fn validate_signer(errors: &mut ErrorList, path: &Path, name: &str) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let Some((domain, rest)) = name.split_once('/').filter(|(_, rest)| !rest.contains('/')) else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(FieldError::invalid(path, name, why));
        return;
    };
    if !domain.contains('.') {
        errors.push(FieldError::invalid(
            path,
            domain,
            "should be a domain with at least two segments separated by dots",
        ));
        return;
    }
    for why in names::is_dns1123_subdomain(domain) {
        errors.push(FieldError::invalid(path, domain, format!("validating label {domain:?}: {why}")));
    }
    for why in names::is_dns1123_subdomain(rest) {
        errors.push(FieldError::invalid(path, rest, format!("validating label {rest:?}: {why}")));
    }
}

fn conditions(request: &Unstructured) -> &[Value] {
    let conditions = request.fields.get("status").and_then(|status| status["conditions"].as_array());
    conditions.map_or(&[], Vec::as_slice)
}

fn has(request: &Unstructured, kind: &str) -> bool {
    conditions(request).iter().any(|condition| condition["type"] == kind)
}

/// Fills in when a decision was made, and keeps the rest as it was.
pub(crate) fn prepare_for_update(new: &mut Unstructured, old: &Unstructured, subresource: Option<Subresource>) {
    new.prepare_for_update(old, subresource);
    // What was asked is nobody's to change.
    if let Some(spec) = old.fields.get("spec") {
        new.fields.insert("spec".to_owned(), spec.clone());
    }
}

/// When a condition that says nothing of it was written: the one thing that the strategy needs a clock for.
pub(crate) fn stamp(new: &mut Unstructured, now: Time) {
    let conditions = new.fields.get_mut("status").and_then(|status| status.get_mut("conditions"));
    for condition in conditions.and_then(Value::as_array_mut).into_iter().flatten() {
        for field in ["lastUpdateTime", "lastTransitionTime"] {
            if condition[field].is_null() {
                condition[field] = now.to_string().into();
            }
        }
    }
}

/// `validateCertificateSigningRequestUpdate`: what was decided stays so.
pub(crate) fn validate_update(new: &Unstructured, old: &Unstructured, subresource: Option<Subresource>) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    let path = Path::new("status").child("conditions");
    for kind in ["Approved", "Denied", "Failed"] {
        if has(old, kind) && !has(new, kind) {
            errors.push(FieldError::forbidden(&path, format!("updates may not remove a condition of type {kind:?}")));
        }
        if subresource == Some(Subresource::Status) && kind != "Failed" && !has(old, kind) && has(new, kind) {
            errors.push(FieldError::forbidden(&path, format!("updates may not add a condition of type {kind:?}")));
        }
    }
    if has(new, "Approved") && has(new, "Denied") {
        let why = "Approved and Denied conditions are mutually exclusive";
        errors.push(FieldError::invalid(&path, "Denied", why));
    }
    for (index, condition) in conditions(new).iter().enumerate() {
        let path = path.index(index);
        let text = |field: &str| condition[field].as_str().unwrap_or("");
        check::required(&mut errors, &path.child("type"), text("type"));
        if matches!(text("type"), "Approved" | "Denied" | "Failed") && text("status") != "True" {
            errors.push(FieldError::not_supported(&path.child("status"), text("status"), &["True"]));
        }
    }
    errors
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
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;
    use crate::api::Kind;

    /// A request whose DER is nothing but a subject in these organisations.
    fn request(organizations: &[&str]) -> Unstructured {
        let mut der = vec![0x30, 0x80];
        for name in organizations {
            der.extend(ORGANIZATION);
            der.extend([0x0c, u8::try_from(name.len()).expect("names are short")]);
            der.extend(name.bytes());
        }
        let pem = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
            base64::encode(&der)
        );
        let fields = json!({ "spec": {
            "request": base64::encode(pem.as_bytes()), "signerName": CLIENT_SIGNER, "usages": ["client auth"],
        } });
        let metadata = ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() };
        Unstructured {
            kind: Kind::CertificateSigningRequest,
            metadata,
            fields: fields.as_object().cloned().unwrap_or_default(),
        }
    }

    #[test]
    fn a_request_says_what_it_asks_for() {
        let sound = request(&["system:masters", "dev"]);
        assert_eq!(validate(&sound), []);
        assert_eq!(organizations(&sound), ["system:masters", "dev"]);
        for (field, value) in [
            ("request", json!("AAAA")),
            ("usages", json!([])),
            ("signerName", json!("x")),
            ("expirationSeconds", json!(5)),
        ] {
            let mut wrong = sound.clone();
            wrong.fields["spec"][field] = value;
            assert_eq!(validate(&wrong).len(), 1, "{field}");
        }
    }

    #[test]
    fn a_decision_is_made_once() {
        let mut old = request(&[]);
        old.metadata.resource_version = Some("1".to_owned());
        let mut approved = old.clone();
        approved
            .fields
            .insert("status".to_owned(), json!({ "conditions": [{ "type": "Approved", "status": "True" }] }));
        stamp(&mut approved, Time::DEFAULT_START);
        assert!(approved.fields["status"]["conditions"][0]["lastUpdateTime"].is_string());
        assert_eq!(validate_update(&approved, &old, Some(Subresource::Approval)), []);
        assert_eq!(validate_update(&approved, &old, Some(Subresource::Status)).len(), 1);
        assert_eq!(validate_update(&old, &approved, Some(Subresource::Approval)).len(), 1);
        assert!(!signs(&approved, &old));
        assert_eq!(row(&approved, Time::DEFAULT_START)[5], "Approved");
    }
}
