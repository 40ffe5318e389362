use std::time::Duration;

use super::*;
use crate::machinery::time::Time;

#[test]
fn a_request_of_openssl_is_understood() {
    let request = Request::parse(samples::NODE_SERVER.as_bytes()).expect("it is sound");
    assert_eq!(request.common_name(), "system:node:worker-1");
    assert_eq!(request.organizations(), ["system:nodes"]);
    assert_eq!(request.named(Request::DNS).collect::<Vec<_>>(), ["worker-1"]);
    assert_eq!(request.named(Request::IP).collect::<Vec<_>>(), ["10.0.0.11"]);
    assert_eq!(Request::parse(b"AAAA"), Err("PEM block type must be CERTIFICATE REQUEST"));
    let cut = block("CERTIFICATE REQUEST", &[0x30, 0x20]);
    assert_eq!(Request::parse(cut.as_bytes()), Err("asn1: syntax error: data truncated"));
    let other = block("CERTIFICATE REQUEST", &[0x02, 0x01, 0x00]);
    assert_eq!(Request::parse(other.as_bytes()), Err("asn1: structure error: tags don't match"));
}

#[test]
fn a_certificate_tells_when_it_ends() {
    let request = Request::parse(samples::NODE_SERVER.as_bytes()).expect("it is sound");
    let not_after = Time::DEFAULT_START + Duration::from_secs(3600);
    let certificate = Certificate {
        request: &request,
        usages: &["digital signature", "key encipherment", "server auth"],
        issuer: "kubernetes",
        not_before: Time::DEFAULT_START,
        not_after,
        seed: "a",
    };
    let pem = certificate.to_pem();
    assert_eq!(check_certificates(&pem), Ok(()));
    assert_eq!(expiry(&pem), Some(not_after));
    assert_eq!(pem, certificate.to_pem());
    assert_ne!(pem, Certificate { seed: "b", ..certificate }.to_pem());
    let late = Time::parse("2051-02-03T04:05:06Z").expect("a time");
    assert_eq!(expiry(&Certificate { not_after: late, ..certificate }.to_pem()), Some(late));
}

#[test]
fn what_is_no_certificate_is_told() {
    for (text, why) in [
        ("", "must contain at least one CERTIFICATE PEM block"),
        (samples::ADA, "only CERTIFICATE PEM blocks are allowed, found \"CERTIFICATE REQUEST\""),
        (
            "-----BEGIN CERTIFICATE-----\na: b\n\nAAAA\n-----END CERTIFICATE-----\n",
            "no PEM block headers are permitted",
        ),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "x509: malformed certificate"),
    ] {
        assert_eq!(check_certificates(text), Err(why.to_owned()), "{text}");
    }
}
