//! Hands out certificates for what was approved.
//!
//! Guarantees that an approved request to one of the cluster's own signers gets its certificate, or the condition `Failed`
//! when that signer does not sign such a thing. Watches CertificateSigningRequests. Follows `signer/signer.go`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{ACCOUNT, BACKOFF};
use crate::api::certificates::{self, CLIENT_SIGNER, KUBELET_CLIENT_SIGNER, KUBELET_SERVING_SIGNER};
use crate::api::{Subresource, Unstructured};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::base64;
use crate::machinery::time::Time;
use crate::machinery::x509::{Certificate, Request};

/// For how long a certificate is good at most: `--cluster-signing-duration`.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// The shortest life that is taken at its word.
const SHORTEST: Duration = Duration::from_secs(600);
/// By how much clocks may be wrong: a certificate begins so long ago.
const BACKDATE: Duration = Duration::from_secs(300);
/// From this life on, that comes off its end.
const SHORT: Duration = Duration::from_secs(8 * 3600);
/// The common name of the cluster's authority, as kubeadm sets it up.
const ISSUER: &str = "kubernetes";

/// The signing controller of one signer.
#[derive(Clone, Copy, Debug)]
pub struct SigningController {
    name: &'static str,
    signer: &'static str,
}

impl SigningController {
    /// The controllers of all signers of the cluster.
    pub fn all() -> [Self; 3] {
        [
            Self { name: "csrsigning-kubelet-serving", signer: KUBELET_SERVING_SIGNER },
            Self { name: "csrsigning-kubelet-client", signer: KUBELET_CLIENT_SIGNER },
            Self { name: "csrsigning-kube-apiserver-client", signer: CLIENT_SIGNER },
        ]
    }

    fn check(self, wanted: &Request, usages: &[&str]) -> Result<(), String> {
        match self.signer {
            KUBELET_SERVING_SIGNER => super::check_kubelet_server(wanted, usages),
            KUBELET_CLIENT_SIGNER => super::check_kubelet_client(wanted, usages),
            _ => super::check_client(usages),
        }
    }
}

/// The certificate for a request: `PermissiveSigningPolicy`.
fn sign(request: &Unstructured, wanted: &Request, now: Time) -> String {
    let seconds = request.fields["spec"]["expirationSeconds"].as_u64();
    let life = seconds.map_or(LONGEST, |seconds| Duration::from_secs(seconds).clamp(SHORTEST, LONGEST));
    let not_after = if life < SHORT { now + life } else { now + (life - BACKDATE) };
    let certificate = Certificate {
        request: wanted,
        usages: &certificates::usages(request),
        issuer: ISSUER,
        not_before: now - BACKDATE,
        not_after,
        seed: request.metadata.uid.as_deref().unwrap_or(""),
    };
    certificate.to_pem()
}

impl Controller for SigningController {
    fn name(&self) -> &'static str {
        self.name
    }

    fn account(&self) -> &'static str {
        ACCOUNT
    }

    fn backoff(&self) -> (Duration, Duration) {
        BACKOFF
    }

    fn watches(&self) -> Vec<WatchSpec> {
        super::watches()
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        super::enqueue(event, queue);
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(request) = super::waiting(key, listers) else { return Ok(Requeue::Forget) };
        let is_open = certificates::has(request, "Approved")
            && !certificates::has(request, "Denied")
            && !certificates::has(request, "Failed");
        if !is_open || certificates::signer(request) != self.signer {
            return Ok(Requeue::Forget);
        }
        // What cannot be read was never let in.
        let Ok(wanted) = certificates::request(request) else { return Ok(Requeue::Forget) };
        let mut written = Arc::unwrap_or_clone(request.clone());
        let status = written.fields.entry("status").or_insert_with(|| json!({}));
        if let Err(why) = self.check(&wanted, &certificates::usages(request)) {
            client.because(Why::new("{} is not what its signer signs.", [key.name.to_string()]));
            let mut conditions = certificates::conditions(request).to_vec();
            conditions.push(json!({
                "type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": why,
                "lastUpdateTime": client.now.to_rfc3339(),
            }));
            status["conditions"] = conditions.into();
        } else {
            client.because(Why::new("{} was approved, so its signer signs it.", [key.name.to_string()]));
            status["certificate"] = base64::encode(sign(request, &wanted, client.now).as_bytes()).into();
        }
        super::write(key, written, Subresource::Status, client)?;
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
