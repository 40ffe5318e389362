//! `kubectl create job` and `kubectl create cronjob`.
//!
//! Follows `create_job.go` and `create_cronjob.go` of `k8s.io/kubectl/pkg/cmd/create`.

use serde_json::{Map, Value, json};

use super::builder::{self, Query};
use super::cli::{Cli, Step};
use super::failure::Failure;
use super::generate::{command, make, name};
use crate::api::Kind;

/// The template of a pod with one container, named after what runs it.
fn template(cli: &Cli<'_>, name: &str, restart_policy: &str) -> Value {
    let mut container = json!({ "name": name, "image": cli.flags().text("image"), "resources": {} });
    let command = command(cli);
    if !command.is_empty() {
        container["command"] = command.into();
    }
    json!({ "spec": { "containers": [container], "restartPolicy": restart_policy } })
}

/// Runs `kubectl create job`.
pub(super) fn job(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?;
    let flags = cli.flags();
    let (image, from) = (flags.text("image"), flags.text("from"));
    if image.is_empty() == from.is_empty() {
        return Err(Failure::message("either --image or --from must be specified"));
    }
    if !from.is_empty() && !command(cli).is_empty() {
        return Err(Failure::message("cannot specify --from and command"));
    }
    let value = if from.is_empty() {
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": name },
            "spec": { "template": template(cli, name, "Never") },
        })
    } else {
        job_from_cron_job(cli, name, from)?
    };
    make(cli, Kind::Job, value)
}

/// `createJobFromCronJob`: the Job belongs to the CronJob, and says that a person made it.
fn job_from_cron_job(cli: &mut Cli<'_>, name: &str, from: &str) -> Result<Value, Failure> {
    let words = [from.to_owned()];
    let infos = builder::find(cli, Query { latest: true, ..Query::new(&words) })?.all()?;
    let [info] = infos.as_slice() else {
        return Err(Failure::message("from must be an existing cronjob"));
    };
    if info.kind != Kind::CronJob {
        let go_type = format!("*{}.{}", info.kind.info().version, info.kind);
        return Err(Failure::Message(format!("unknown object type {go_type}")));
    }
    let template = &info.object["spec"]["jobTemplate"];
    let mut annotations = Map::from_iter([("cronjob.kubernetes.io/instantiate".to_owned(), Value::from("manual"))]);
    annotations.extend(template["metadata"]["annotations"].as_object().cloned().unwrap_or_default());
    let mut metadata = json!({
        "name": name,
        "annotations": annotations,
        // It is no reason to keep the CronJob, unlike the reference that a controller makes.
        "ownerReferences": [{
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": info.name,
            "uid": info.object["metadata"]["uid"],
            "controller": true,
        }],
    });
    if template["metadata"]["labels"].is_object() {
        metadata["labels"] = template["metadata"]["labels"].clone();
    }
    Ok(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"] }))
}

/// Runs `kubectl create cronjob`.
pub(super) fn cron_job(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    let missing: Vec<String> =
        ["image", "schedule"].iter().filter(|flag| !flags.has(flag)).map(|flag| format!("{flag:?}")).collect();
    if !missing.is_empty() {
        return Err(Failure::Message(format!("required flag(s) {} not set", missing.join(", "))));
    }
    let name = name(cli)?;
    let restart = match cli.flags().text("restart") {
        "" => "OnFailure",
        restart => restart,
    };
    let value = json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": { "name": name },
        "spec": {
            "jobTemplate": {
                "metadata": { "name": name },
                "spec": { "template": template(cli, name, restart) },
            },
            "schedule": cli.flags().text("schedule"),
        },
    });
    make(cli, Kind::CronJob, value)
}
