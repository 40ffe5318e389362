//! Requests for certificates: those of kubelets are approved, what was approved is signed, and old ones go.
//!
//! Follows `kubernetes/pkg/controller/certificates`. A certificate can be read like any other, but its signature is no real
//! one, since nothing here is encrypted.

mod approver;
mod cleaner;
mod signer;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Kind, Object, Subresource, Unstructured, certificates};
use crate::apiserver::{Body, Target, Verb, WriteOptions};
use crate::client::{Client, ClientError, InformerEvent, Informers, QueueKey, WatchSpec, WorkQueue};
use crate::machinery::x509::Request;

pub use approver::ApprovingController;
pub use cleaner::CleanerController;
pub use signer::SigningController;

/// The service account of all of them but the cleaner.
const ACCOUNT: &str = "certificate-controller";
/// How long a request waits that could not be handled: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1000));

fn watches() -> Vec<WatchSpec> {
    vec![WatchSpec::all(Kind::CertificateSigningRequest)]
}

fn enqueue(event: &InformerEvent, queue: &mut WorkQueue) {
    if event.kind == Kind::CertificateSigningRequest && event.after.is_some() {
        queue.add(event.key.clone());
    }
}

/// The request of a key, unless it has its certificate already.
fn waiting<'a>(key: &QueueKey, listers: &'a Informers) -> Option<&'a Arc<Unstructured>> {
    match listers.object(Kind::CertificateSigningRequest, key)? {
        Object::Unstructured(request) if certificates::certificate(request).is_none_or(|text| text.is_empty()) => {
            Some(request)
        }
        _ => None,
    }
}

/// Writes a request's status or what was decided about it.
fn write(
    key: &QueueKey,
    request: Unstructured,
    subresource: Subresource,
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    let target = Target::object(Kind::CertificateSigningRequest, key).below(subresource);
    let body = Body::Object(Object::Unstructured(Arc::new(request)));
    match client.request(target, Verb::Update { body, options: WriteOptions::default() }) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// What a kubelet's certificate as a client must ask for: `ValidateKubeletClientCSR`.
fn check_kubelet_client(request: &Request, usages: &[&str]) -> Result<(), String> {
    check_organization(request)?;
    for (kind, name) in [(Request::DNS, "DNS"), (Request::EMAIL, "Email"), (Request::IP, "IP"), (Request::URI, "URI")] {
        if request.named(kind).next().is_some() {
            return Err(format!("{name} subjectAltNames are not allowed"));
        }
    }
    check_common_name(request)?;
    check_usages(usages, "client auth")
}

/// What a kubelet's certificate as a server must ask for: `ValidateKubeletServingCSR`.
fn check_kubelet_server(request: &Request, usages: &[&str]) -> Result<(), String> {
    check_organization(request)?;
    let has = |kind: u8| request.named(kind).next().is_some();
    if !has(Request::DNS) && !has(Request::IP) {
        return Err("DNS or IP subjectAltName is required".to_owned());
    }
    for (kind, name) in [(Request::EMAIL, "Email"), (Request::URI, "URI")] {
        if has(kind) {
            return Err(format!("{name} subjectAltNames are not allowed"));
        }
    }
    check_usages(usages, "server auth")?;
    check_common_name(request)
}

fn check_organization(request: &Request) -> Result<(), String> {
    let is_it = request.organizations() == ["system:nodes"];
    if is_it { Ok(()) } else { Err("subject organization is not system:nodes".to_owned()) }
}

fn check_common_name(request: &Request) -> Result<(), String> {
    let is_it = request.common_name().starts_with("system:node:");
    if is_it { Ok(()) } else { Err("subject common name does not begin with system:node:".to_owned()) }
}

/// A key of another kind than RSA enciphers no keys, so that use may be missing.
fn check_usages(usages: &[&str], purpose: &str) -> Result<(), String> {
    let given: BTreeSet<&str> = usages.iter().copied().collect();
    let mut wanted: BTreeSet<&str> = BTreeSet::from(["digital signature", "key encipherment", purpose]);
    let listed = wanted.iter().copied().collect::<Vec<_>>().join(" ");
    let is_whole = given == wanted;
    wanted.remove("key encipherment");
    if is_whole || given == wanted { Ok(()) } else { Err(format!("usages did not match [{listed}]")) }
}

/// What a certificate of a client must be for: `validAPIServerClientUsages`.
fn check_client(usages: &[&str]) -> Result<(), String> {
    const CLIENT: &str = "client auth";
    for usage in usages {
        if !["digital signature", "key encipherment", CLIENT].contains(usage) {
            return Err(format!("invalid usage for client certificate: {usage}"));
        }
    }
    if usages.contains(&CLIENT) {
        Ok(())
    } else {
        Err(format!("missing required usage for client certificate: {CLIENT}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::x509::samples;

    fn of(pem: &str) -> Request {
        Request::parse(pem.as_bytes()).expect("it is sound")
    }

    #[test]
    fn a_kubelet_asks_for_what_kubelets_may_have() {
        let client = ["digital signature", "client auth"];
        let server = ["key encipherment", "digital signature", "server auth"];
        assert_eq!(check_kubelet_client(&of(samples::NODE), &client), Ok(()));
        assert_eq!(check_kubelet_server(&of(samples::NODE_SERVER), &server), Ok(()));
        let told = |result: Result<(), String>| result.expect_err("it is wrong");
        assert_eq!(told(check_kubelet_client(&of(samples::ADA), &client)), "subject organization is not system:nodes");
        assert_eq!(
            told(check_kubelet_client(&of(samples::NODE_SERVER), &client)),
            "DNS subjectAltNames are not allowed"
        );
        assert_eq!(
            told(check_kubelet_client(&of(samples::NODE), &["client auth"])),
            "usages did not match [client auth digital signature key encipherment]"
        );
        assert_eq!(told(check_kubelet_server(&of(samples::NODE), &server)), "DNS or IP subjectAltName is required");
        assert_eq!(check_client(&["client auth"]), Ok(()));
        assert_eq!(told(check_client(&["server auth"])), "invalid usage for client certificate: server auth");
    }
}
