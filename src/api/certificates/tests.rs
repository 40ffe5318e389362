use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;
use crate::api::Kind;
use crate::machinery::x509::samples;

/// What asks for a certificate with this text.
fn sample(pem: &str) -> Unstructured {
    let fields = json!({ "spec": {
        "request": base64::encode(pem.as_bytes()), "signerName": CLIENT_SIGNER, "usages": ["client auth"],
    } });
    let metadata = ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() };
    let fields = fields.as_object().cloned().unwrap_or_default();
    Unstructured { kind: Kind::CertificateSigningRequest, metadata, fields }
}

fn details(errors: &[crate::machinery::field::FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_request_says_what_it_asks_for() {
    let sound = sample(samples::ADA);
    assert_eq!(validate(&sound), []);
    assert_eq!(request(&sound).map(|request| request.organizations().join(",")), Ok("dev,ops".to_owned()));
    for (field, value) in [
        ("request", json!("AAAA")),
        ("usages", json!([])),
        ("usages", json!(["client auth", "client auth"])),
        ("signerName", json!("x")),
        ("signerName", json!("kubernetes.io/legacy-unknown")),
        ("signerName", json!("example.com/A")),
        ("expirationSeconds", json!(5)),
    ] {
        let mut wrong = sound.clone();
        wrong.fields["spec"][field] = value;
        assert_eq!(validate(&wrong).len(), 1, "{field}");
    }
}

#[test]
fn a_decision_is_made_once() {
    let mut old = sample(samples::ADA);
    old.metadata.resource_version = Some("1".to_owned());
    let mut approved = old.clone();
    let decision = json!({ "conditions": [{ "type": "Approved", "status": "True" }] });
    approved.fields.insert("status".to_owned(), decision);
    stamp(&mut approved, &old, Time::DEFAULT_START);
    assert_eq!(approved.fields["status"]["conditions"][0]["lastUpdateTime"], "2026-01-01T00:00:00Z");
    assert_eq!(validate_update(&approved, &old, Some(Subresource::Approval)), []);
    assert_eq!(
        details(&validate_update(&approved, &old, Some(Subresource::Status))),
        [r#"status.conditions: Forbidden: updates may not add a condition of type "Approved""#]
    );
    assert_eq!(
        details(&validate_update(&old, &approved, Some(Subresource::Approval))),
        [r#"status.conditions: Forbidden: updates may not remove a condition of type "Approved""#]
    );
    assert!(!signs(&approved, &old));
    assert_eq!(row(&approved, Time::DEFAULT_START)[5], "Approved");
}

#[test]
fn who_decides_hands_out_no_certificate_and_who_signs_decides_nothing() {
    let mut old = sample(samples::ADA);
    old.metadata.resource_version = Some("1".to_owned());
    let held = json!({ "conditions": [{ "type": "Approved", "status": "True", "reason": "x" }] });
    old.fields.insert("status".to_owned(), held);
    let mut new = old.clone();
    new.fields["status"] = json!({ "certificate": "QQ==", "conditions": [{ "type": "Approved", "status": "True" }] });
    let mut decided = new.clone();
    prepare_for_update(&mut decided, &old, Some(Subresource::Approval));
    assert_eq!(decided.fields["status"].get("certificate"), None);
    prepare_for_update(&mut new, &old, Some(Subresource::Status));
    assert_eq!(new.fields["status"]["conditions"][0]["reason"], "x");
    assert_eq!(
        details(&validate_update(&new, &old, Some(Subresource::Status))),
        ["status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block"]
    );
}
