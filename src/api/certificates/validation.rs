//! What is wrong with a request for a certificate.

use serde_json::Value;

use super::{certificate, conditions, request, signer, spec, usages};
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::api::unstructured::Unstructured;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::{names, x509};

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
/// The signer of the first versions of the API.
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
/// The decisions, which are either made or not there.
const DECISIONS: [&str; 3] = ["Approved", "Denied", "Failed"];

/// `ValidateCertificateSigningRequestCreate`.
pub(crate) fn validate(object: &Unstructured) -> ErrorList {
    validate_object(object, None)
}

/// `validateCertificateSigningRequest`; what an old object had, the new one may have too.
fn validate_object(object: &Unstructured, old: Option<&Unstructured>) -> ErrorList {
    let mut errors = meta::validate(&object.metadata, false, |_| Vec::new());
    let path = Path::new("spec");
    let fields = spec(object);
    if let Err(why) = request(object) {
        errors.push(FieldError::invalid(&path.child("request"), fields["request"].clone(), why));
    }
    let usages = usages(object);
    if usages.is_empty() {
        errors.push(FieldError::required(&path.child("usages"), ""));
    }
    let place = |index: usize| path.child("usages").index(index);
    for (index, usage) in usages.iter().enumerate() {
        if !USAGES.contains(usage) {
            errors.push(FieldError::not_supported(&place(index), *usage, &USAGES));
        }
    }
    for (index, usage) in usages.iter().enumerate() {
        if usages[..index].contains(usage) {
            errors.push(FieldError::duplicate(&place(index), *usage));
        }
    }
    let signer_path = path.child("signerName");
    if signer(object) == LEGACY_SIGNER && old.is_none() {
        let why = "the legacy signerName is not allowed via this API version";
        errors.push(FieldError::invalid(&signer_path, LEGACY_SIGNER, why));
    } else {
        validate_signer(&mut errors, &signer_path, signer(object));
    }
    if let Some(seconds) = fields["expirationSeconds"].as_i64().filter(|seconds| *seconds < EXPIRATION_SECONDS_MIN) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid(&path.child("expirationSeconds"), seconds, why));
    }
    validate_conditions(&mut errors, object, old);
    if let Some(given) = certificate(object)
        && old.and_then(certificate).as_deref() != Some(&given)
        && let Err(why) = x509::check_certificates(&given)
    {
        let path = Path::new("status").child("certificate");
        errors.push(FieldError::invalid(&path, "<certificate data>", why));
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
    if domain.split('.').count() < 2 {
        errors.push(FieldError::invalid(
            path,
            domain,
            "should be a domain with at least two segments separated by dots",
        ));
        return;
    }
    for part in [domain, rest] {
        for label in part.split('.') {
            let wrong = names::is_dns1123_label(label);
            if !wrong.is_empty() {
                let why: Vec<String> = wrong.iter().map(|why| format!("validating label {label:?}: {why}")).collect();
                why.iter().for_each(|why| errors.push(FieldError::invalid(path, part, why)));
                break;
            }
        }
    }
    /// A label and a subdomain, with the dot between them.
    const PART_MAX: usize = 63 + 253 + 1;
    if name.len() > 253 + PART_MAX + 1 {
        errors.push(FieldError::too_long(path, 253 + PART_MAX + 1));
    }
}

fn validate_conditions(errors: &mut ErrorList, object: &Unstructured, old: Option<&Unstructured>) {
    let list = Path::new("status").child("conditions");
    let held = |kind: &str| old.is_some_and(|old| super::has(old, kind));
    let may_be_both = held("Approved") && held("Denied");
    let mut seen: Vec<&str> = Vec::new();
    for (index, condition) in conditions(object).iter().enumerate() {
        let path = list.index(index);
        let text = |field: &str| condition[field].as_str().unwrap_or("");
        let (kind, status) = (text("type"), text("status"));
        if kind.is_empty() {
            errors.push(FieldError::required(&path.child("type"), ""));
        }
        let supported: &[&str] = if DECISIONS.contains(&kind) { &["True"] } else { &["False", "True", "Unknown"] };
        if status.is_empty() {
            errors.push(FieldError::required(&path.child("status"), ""));
        } else if !supported.contains(&status) {
            errors.push(FieldError::not_supported(&path.child("status"), status, supported));
        }
        let opposite = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !may_be_both && !opposite.is_empty() && seen.contains(&opposite) {
            errors.push(FieldError::invalid(&list, kind, "Approved and Denied conditions are mutually exclusive"));
        }
        if seen.contains(&kind) {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
        seen.push(kind);
    }
}

/// `validateCertificateSigningRequestUpdate`: what was decided stays so.
pub(crate) fn validate_update(new: &Unstructured, old: &Unstructured, subresource: Option<Subresource>) -> ErrorList {
    let mut errors = validate_object(new, Some(old));
    let path = Path::new("status").child("conditions");
    let of = |object: &Unstructured, kind: &str| -> Vec<Value> {
        conditions(object).iter().filter(|condition| condition["type"] == kind).cloned().collect()
    };
    for kind in DECISIONS {
        if of(new, kind).len() < of(old, kind).len() {
            errors.push(FieldError::forbidden(&path, format!("updates may not remove a condition of type {kind:?}")));
        }
    }
    if subresource != Some(Subresource::Approval) {
        for kind in ["Approved", "Denied"] {
            if of(new, kind).len() > of(old, kind).len() {
                errors.push(FieldError::forbidden(&path, format!("updates may not add a condition of type {kind:?}")));
            }
        }
    }
    let (given, held) = (certificate(new), certificate(old));
    if given != held {
        let path = Path::new("status").child("certificate");
        if subresource != Some(Subresource::Status) {
            errors.push(FieldError::forbidden(&path, "updates may not set certificate content"));
        } else if held.is_some_and(|held| !held.is_empty()) {
            errors.push(FieldError::forbidden(&path, "updates may not modify existing certificate content"));
        }
    }
    errors.extend(meta::validate_update(&new.metadata, &old.metadata));
    errors
}
