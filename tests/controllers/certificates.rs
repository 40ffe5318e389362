//! Requests for certificates, from the asking to the end.

use expect_test::expect;
use kubetab::api::{Kind, ObjectKey, Subresource};
use kubetab::apiserver::{Patch, Target, Verb, WriteOptions};
use serde_json::{Value, json};

use super::scene::Scene;

/// What OpenSSL wrote for `O = system:nodes, CN = system:node:worker-1`, and for `O = dev, O = ops, CN = ada`, in base64.
const NODE: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlId01JR1lBZ0VBTURZeEZUQVRCZ05WQkFvTURITjVjM1JsYlRwdWIyUmxjekVkTUJzR0ExVUVBd3dVYzNsegpkR1Z0T201dlpHVTZkMjl5YTJWeUxURXdXVEFUQmdjcWhrak9QUUlCQmdncWhrak9QUU1CQndOQ0FBUS82Ymd0CkxnbmVuS2Rsb216OWVDWVRkQUwwWnV3b0t6NXFRdGV3NWhJaDNSRXN2bGFTTU14T0xzYisrZ2RiQjQ3cWhXQ2QKQ2RDRmJJNnhlN0I5bCszUW9BQXdDZ1lJS29aSXpqMEVBd0lEUndBd1JBSWdSb0s3SmFNWFVoREwwN1JvdzBjagpNSlpodlMwOW9mQnJkUnVkVURacnlTSUNJRFNsWVA2SXdGYzk3aDZrbEcxRjU0L3ZFa1hPU1hkQTJKWjcrSkl4ClROdFMKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";
const ADA: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIbE1JR01BZ0VBTUNveEREQUtCZ05WQkFvTUEyUmxkakVNTUFvR0ExVUVDZ3dEYjNCek1Rd3dDZ1lEVlFRRApEQU5oWkdFd1dUQVRCZ2NxaGtqT1BRSUJCZ2dxaGtqT1BRTUJCd05DQUFRLzZiZ3RMZ25lbktkbG9tejllQ1lUCmRBTDBadXdvS3o1cVF0ZXc1aEloM1JFc3ZsYVNNTXhPTHNiKytnZGJCNDdxaFdDZENkQ0ZiSTZ4ZTdCOWwrM1EKb0FBd0NnWUlLb1pJemowRUF3SURTQUF3UlFJZ2JFanNFYS9Ua3NXR0s4UWp5Njk0VGtOR2l2ZTdVSmtHYnF0Qwo2UlBtcW5jQ0lRRDI2Nkhhc1djbXEzUXBuOTRPN1loNjFuSi9xakRGS3VpeHNsdXJhdjhFd2c9PQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K";

fn ask(scene: &mut Scene, name: &str, request: &str, signer: &str, usages: &[&str]) {
    scene.create_value(json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": { "name": name },
        "spec": { "request": request, "signerName": format!("kubernetes.io/{signer}"), "usages": usages },
    }));
}

fn decide(scene: &mut Scene, name: &str, decision: &str) {
    let target = Target::object(Kind::CertificateSigningRequest, &ObjectKey::new("", name));
    let condition = json!({ "type": decision, "status": "True", "reason": "Test", "message": "The test decides." });
    let patch = Patch::Merge(json!({ "status": { "conditions": [condition] } }));
    let verb = Verb::Patch { patch, options: WriteOptions::default() };
    scene.send(target.below(Subresource::Approval), verb).expect("it is decided");
}

fn status(scene: &Scene, name: &str) -> Value {
    scene.get(&format!("CertificateSigningRequest {name}"))["status"].clone()
}

#[test]
fn a_kubelets_request_is_approved_and_signed() {
    let mut scene = Scene::new();
    ask(&mut scene, "node", NODE, "kube-apiserver-client-kubelet", &["digital signature", "client auth"]);
    scene.run(1);
    let status = status(&scene, "node");
    assert_eq!(status["conditions"][0]["reason"], "AutoApproved");
    assert_eq!(
        status["conditions"][0]["message"],
        "Auto approving kubelet client certificate after SubjectAccessReview."
    );
    assert!(status["certificate"].as_str().is_some_and(|text| text.starts_with("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0t")));
    expect![[r#"
        0 changes CertificateSigningRequest node: node was approved, so its signer signs it.
    "#]]
    .assert_eq(&scene.log("csrsigning-kubelet-client"));
}

#[test]
fn what_a_signer_does_not_sign_fails() {
    let mut scene = Scene::new();
    ask(&mut scene, "ada", ADA, "kube-apiserver-client", &["server auth"]);
    scene.run(5);
    assert_eq!(status(&scene, "ada"), json!({}), "nobody decided");
    decide(&mut scene, "ada", "Approved");
    scene.run(1);
    let conditions = status(&scene, "ada")["conditions"].clone();
    assert_eq!((&conditions[0]["type"], &conditions[1]["type"]), (&json!("Approved"), &json!("Failed")));
    assert_eq!(conditions[1]["reason"], "SignerValidationFailure");
    assert_eq!(conditions[1]["message"], "invalid usage for client certificate: server auth");
}

#[test]
fn old_requests_go() {
    let mut scene = Scene::new();
    ask(&mut scene, "approved", ADA, "kube-apiserver-client", &["client auth"]);
    ask(&mut scene, "denied", ADA, "kube-apiserver-client", &["client auth"]);
    ask(&mut scene, "pending", ADA, "kube-apiserver-client", &["client auth"]);
    decide(&mut scene, "approved", "Approved");
    decide(&mut scene, "denied", "Denied");
    scene.run(3500);
    let is_there = |scene: &Scene, name: &str| scene.exists(&format!("CertificateSigningRequest {name}"));
    assert!(is_there(&scene, "approved") && is_there(&scene, "denied"));
    scene.run(2 * 3600);
    assert!(!is_there(&scene, "approved") && !is_there(&scene, "denied") && is_there(&scene, "pending"));
    scene.run(24 * 3600);
    assert!(!is_there(&scene, "pending"));
}

#[test]
fn leases_of_the_control_plane_are_as_new_as_their_reader() {
    let mut scene = Scene::new();
    let target = || Target::object(Kind::Lease, &ObjectKey::new("kube-system", "kube-scheduler"));
    let renewed = |scene: &mut Scene| {
        let read = scene.send(target(), Verb::Get).expect("it leads").to_value();
        read["spec"]["renewTime"].as_str().unwrap_or("").to_owned()
    };
    let revision = scene.cluster.api().etcd().revision();
    let before = renewed(&mut scene);
    scene.run(60);
    assert!(renewed(&mut scene) > before);
    let etcd = scene.cluster.api().etcd();
    assert_eq!(etcd.revision(), revision, "nobody wrote anything");
    scene.delete("Lease kube-system/kube-scheduler");
    assert!(scene.exists("Lease kube-system/kube-scheduler"), "whoever leads takes it again");
}
