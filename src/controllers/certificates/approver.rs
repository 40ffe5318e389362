//! Approves what kubelets ask for, when whoever asks may have it.
//!
//! Guarantees that a request by which a kubelet wants to be a client is approved, when its user has the right to `create`
//! `certificatesigningrequests/nodeclient` (or `selfnodeclient`, for its own node). Watches CertificateSigningRequests.
//! Follows `approver/sarapprove.go`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{ACCOUNT, BACKOFF, check_kubelet_client};
use crate::api::certificates::{self, KUBELET_CLIENT_SIGNER};
use crate::api::{Kind, Subresource, Unstructured};
use crate::apiserver::{Body, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;

/// The approving controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApprovingController;

/// The rights of which one is enough, each with what is said of an approval by it.
fn ways(request: &Unstructured) -> Vec<(&'static str, &'static str)> {
    let Ok(wanted) = certificates::request(request) else { return Vec::new() };
    let is_kubelet = certificates::signer(request) == KUBELET_CLIENT_SIGNER
        && check_kubelet_client(&wanted, &certificates::usages(request)).is_ok();
    if !is_kubelet {
        return Vec::new();
    }
    let own = ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.");
    let any = ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.");
    let is_own = request.fields["spec"]["username"] == wanted.common_name();
    if is_own { vec![own, any] } else { vec![any] }
}

/// Whether whoever asks has a right.
fn is_allowed(request: &Unstructured, subresource: &str, client: &mut Client<'_>) -> Result<bool, ClientError> {
    let spec = &request.fields["spec"];
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": spec["username"],
            "groups": spec["groups"],
            "resourceAttributes": {
                "group": "certificates.k8s.io",
                "resource": "certificatesigningrequests",
                "verb": "create",
                "subresource": subresource,
            },
        },
    });
    let target = Target::collection(Kind::SubjectAccessReview, "");
    let verb = Verb::Create { body: Body::Json(review), options: WriteOptions::default() };
    Ok(client.request(target, verb)?.to_value()["status"]["allowed"] == true)
}

impl Controller for ApprovingController {
    fn name(&self) -> &'static str {
        "certificatesigningrequest-approving-controller"
    }

    fn account(&self) -> &'static str {
        ACCOUNT
    }

    fn backoff(&self) -> (Duration, Duration) {
        BACKOFF
    }

    /// What nobody may approve is looked at again and again.
    fn waits_for_ever(&self) -> bool {
        true
    }

    fn watches(&self) -> Vec<WatchSpec> {
        super::watches()
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        super::enqueue(event, queue);
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(request) = super::waiting(key, listers) else { return Ok(Requeue::Forget) };
        if certificates::has(request, "Approved") || certificates::has(request, "Denied") {
            return Ok(Requeue::Forget);
        }
        let ways = ways(request);
        client.reserve(ways.len() + 1)?;
        for (subresource, message) in &ways {
            if !is_allowed(request, subresource, client)? {
                continue;
            }
            client.because(Why::new("{} is a kubelet's, and who asks may have it.", [key.name.to_string()]));
            let mut approved = Arc::unwrap_or_clone(request.clone());
            let mut conditions = certificates::conditions(request).to_vec();
            let decision =
                json!({ "type": "Approved", "status": "True", "reason": "AutoApproved", "message": message });
            conditions.push(decision);
            approved.fields.entry("status").or_insert_with(|| json!({}))["conditions"] = conditions.into();
            super::write(key, approved, Subresource::Approval, client)?;
            return Ok(Requeue::Forget);
        }
        Ok(if ways.is_empty() { Requeue::Forget } else { Requeue::RateLimited })
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
