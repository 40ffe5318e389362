//! `kubectl certificate approve` and `deny`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/certificates`.

use serde_json::{Value, json};

use super::builder::{self, Query};
use super::cli::{Cli, Step};
use super::failure::Failure;
use super::printer::Printer;
use crate::api::{Kind, Subresource};

/// Runs `kubectl certificate approve`.
pub(super) fn approve(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    decide(
        cli,
        "approved",
        ("Approved", "Denied"),
        "KubectlApprove",
        "This CSR was approved by kubectl certificate approve.",
    )
}

/// Runs `kubectl certificate deny`.
pub(super) fn deny(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    decide(cli, "denied", ("Denied", "Approved"), "KubectlDeny", "This CSR was denied by kubectl certificate deny.")
}

fn decide(
    cli: &mut Cli<'_>,
    operation: &str,
    (condition, opposite): (&str, &str),
    reason: &str,
    message: &str,
) -> Result<Step, Failure> {
    if cli.arguments().is_empty() && !cli.flags().has("filename") && !cli.flags().has("kustomize") {
        return Err(Failure::message("one or more CSRs must be specified as <name> or -f <filename>"));
    }
    let mut printer = Printer::of(cli, operation)?.typed();
    let mut words = cli.arguments().to_vec();
    if !words.is_empty() {
        words.insert(0, "certificatesigningrequests".to_owned());
    }
    let found = builder::find(cli, Query::new(&words))?;
    if found.infos.is_empty() {
        cli.say("No resources found");
    }
    let force = cli.flags().is("force", false);
    found.each(cli, |cli, info| {
        if info.kind != Kind::CertificateSigningRequest {
            let kind = info.kind.info();
            let got =
                if kind.group.is_empty() { kind.kind.to_owned() } else { format!("{}.{}", kind.kind, kind.group) };
            return Err(Failure::Message(format!(
                "can only handle CertificateSigningRequest.certificates.k8s.io objects, got {got}"
            )));
        }
        let mut request = info.object.clone();
        let conditions = request["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let has = |kind: &str| conditions.iter().any(|known| known["type"] == kind);
        if has(opposite) {
            return Err(Failure::Message(format!("certificate signing request {:?} is already {opposite}", info.name)));
        }
        let is_decided = has(condition);
        if !is_decided {
            let now = Value::from(cli.api.now().to_rfc3339());
            let added = json!({
                "type": condition, "status": "True", "reason": reason, "message": message, "lastUpdateTime": now,
            });
            request["status"]["conditions"] = [conditions, vec![added]].concat().into();
        }
        if !is_decided || force {
            let options = cli.write_options("kubectl");
            cli.update(info.target().below(Subresource::Approval), request, options)?;
        }
        printer.print(cli, &info.object)
    })?;
    Ok(Step::Done)
}
