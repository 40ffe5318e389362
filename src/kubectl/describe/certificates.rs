//! CertificateSigningRequests, with what is asked for in the request itself.
//!
//! Follows `CertificateSigningRequestDescriber`.

use std::time::Duration;

use serde_json::Value;

use super::super::failure::Failure;
use super::writer::{Writer, items, on_one_line, text};
use crate::machinery::base64;
use crate::machinery::duration::GoDuration;
use crate::machinery::x509::Request;

/// Writes a CertificateSigningRequest: `describeCertificateSigningRequest`.
pub(super) fn describe(writer: &mut Writer, object: &Value) -> Result<(), Failure> {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let request = base64::decode(text(&spec["request"])).unwrap_or_default();
    let request = Request::parse(&request).map_err(|why| Failure::Message(format!("Error parsing CSR: {why}")))?;
    writer.field(0, "Name", text(&metadata["name"]));
    writer.field(0, "Labels", &on_one_line(&metadata["labels"]));
    writer.field(0, "Annotations", &on_one_line(&metadata["annotations"]));
    writer.created(object);
    writer.field(0, "Requesting User", text(&spec["username"]));
    super::containers::optional(writer, 0, "Signer", &spec["signerName"]);
    if let Some(seconds) = spec["expirationSeconds"].as_u64() {
        writer.field(0, "Requested Duration", &GoDuration::from(Duration::from_secs(seconds)).human());
    }
    writer.field(0, "Status", &status(&object["status"]));
    writer.line(0, "Subject:");
    writer.line(0, &format!("\tCommon Name:\t{}", request.common_name()));
    writer.line(0, &format!("\tSerial Number:\t{}", request.of(5).next_back().unwrap_or("")));
    for (label, part) in [
        ("Organization", 10),
        ("Organizational Unit", 11),
        ("Country", 6),
        ("Locality", 7),
        ("Province", 8),
        ("StreetAddress", 9),
        ("PostalCode", 17),
    ] {
        list(writer, label, &request.of(part).collect::<Vec<_>>());
    }
    if !request.alternatives.is_empty() {
        writer.line(0, "Subject Alternative Names:");
    }
    for (label, kind) in [
        ("DNS Names", Request::DNS),
        ("Email Addresses", Request::EMAIL),
        ("URIs", Request::URI),
        ("IP Addresses", Request::IP),
    ] {
        list(writer, label, &request.named(kind).collect::<Vec<_>>());
    }
    Ok(())
}

fn list(writer: &mut Writer, label: &str, values: &[&str]) {
    if !values.is_empty() {
        writer.line(0, &format!("\t{label}:\t{}", values.join("\n\t\t")));
    }
}

/// What became of the request: `extractCSRStatus`.
fn status(status: &Value) -> String {
    let has = |kind: &str| items(&status["conditions"]).iter().any(|condition| condition["type"] == kind);
    let mut words = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if has("Failed") {
        words.push_str(",Failed");
    }
    if !text(&status["certificate"]).is_empty() {
        words.push_str(",Issued");
    }
    words
}
