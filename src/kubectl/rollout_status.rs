//! `kubectl rollout status`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/rollout/rollout_status.go` and `pkg/polymorphichelpers/rollout_status.go`.

use serde_json::Value;

use super::builder::{self, Info, Query};
use super::cli::{Cli, Step, Waiting};
use super::failure::Failure;
use super::history::revision_of;
use crate::api::Kind;
use crate::etcd::Revision;

/// Runs `kubectl rollout status`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if cli.arguments().is_empty() && !cli.flags().has("filename") {
        return Err(Failure::message("required resource not specified"));
    }
    if let Some(revision) = cli.flags().integer("revision").filter(|revision| *revision < 0) {
        return Err(Failure::Message(format!("revision must be a positive integer: {revision}")));
    }
    let revision = cli.api.revision();
    let found = builder::find(cli, Query { kind_means_all: true, ..Query::new(cli.arguments()) })?;
    let infos = found.all()?;
    if infos.is_empty() {
        cli.complain(&format!("No resources found in {} namespace.", cli.namespace()));
    }
    Rollout { infos, revision, seen: false }.poll(cli)
}

/// Follows workloads, one after the other, until each is rolled out.
#[derive(Clone, Debug)]
pub(super) struct Rollout {
    infos: Vec<Info>,
    revision: Revision,
    /// Whether the first one's state at the beginning was told.
    seen: bool,
}

impl Rollout {
    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        while let Some(info) = self.infos.first().cloned() {
            if !matches!(info.kind, Kind::DaemonSet | Kind::Deployment | Kind::StatefulSet) {
                let known = info.kind.info();
                let group = if known.group.is_empty() { String::new() } else { format!(".{}", known.group) };
                return Err(Failure::Message(format!(
                    "no status viewer has been implemented for {}{group}",
                    known.kind
                )));
            }
            if !self.follow(cli, &info)? {
                let late = cli.flags().duration("timeout").is_some_and(|timeout| cli.api.now() >= cli.began + timeout);
                if late {
                    return Err(Failure::message("timed out waiting for the condition"));
                }
                return Ok(Step::Wait(Waiting::Rollout(self)));
            }
            self.infos.remove(0);
            self.seen = false;
        }
        Ok(Step::Done)
    }

    /// Tells each state of a workload that has not been told; whether its rollout is over.
    fn follow(&mut self, cli: &mut Cli<'_>, info: &Info) -> Result<bool, Failure> {
        if !std::mem::replace(&mut self.seen, true) {
            let object = cli.get(info.kind, &info.namespace, &info.name)?;
            self.revision = cli.api.revision();
            if tell(cli, info.kind, &object)? {
                return Ok(true);
            }
        }
        for change in cli.api.changes(info.kind, self.revision)? {
            self.revision = change.revision;
            let metadata = change.object.metadata();
            let same =
                metadata.name.as_deref() == Some(&info.name) && metadata.namespace.as_deref() == Some(&info.namespace);
            if !same {
                continue;
            }
            if change.event == "DELETED" {
                return Err(Failure::message("object has been deleted"));
            }
            if tell(cli, info.kind, &change.value())? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Prints how far a rollout is; whether there is no more to wait for.
fn tell(cli: &mut Cli<'_>, kind: Kind, object: &Value) -> Result<bool, Failure> {
    let (line, done) = match kind {
        Kind::DaemonSet => daemon_set_status(object)?,
        Kind::StatefulSet => stateful_set_status(object)?,
        _ => status(object, cli.flags().integer("revision").unwrap_or(0))?,
    };
    cli.say(&line);
    Ok(done || !cli.flags().is("watch", true))
}

/// How far a Deployment's rollout is: `DeploymentStatusViewer.Status`.
fn status(deployment: &Value, revision: i64) -> Result<(String, bool), Failure> {
    let name = deployment["metadata"]["name"].as_str().unwrap_or("");
    if revision > 0 {
        let running =
            revision_of(deployment).ok_or_else(|| Failure::message("cannot get the revision of the deployment"))?;
        if revision != running {
            return Err(Failure::Message(format!(
                "desired revision ({revision}) is different from the running revision ({running})"
            )));
        }
    }
    let status = &deployment["status"];
    if number(&deployment["metadata"]["generation"]) > number(&status["observedGeneration"]) {
        return Ok(("Waiting for deployment spec update to be observed...".to_owned(), false));
    }
    let conditions = status["conditions"].as_array();
    let progressing = conditions.into_iter().flatten().find(|condition| condition["type"] == "Progressing");
    if progressing.is_some_and(|condition| condition["reason"] == "ProgressDeadlineExceeded") {
        return Err(Failure::Message(format!("deployment {name:?} exceeded its progress deadline")));
    }
    let (wanted, replicas) = (number(&deployment["spec"]["replicas"]), number(&status["replicas"]));
    let (updated, available) = (number(&status["updatedReplicas"]), number(&status["availableReplicas"]));
    let waiting = |what: String| (format!("Waiting for deployment {name:?} rollout to finish: {what}..."), false);
    Ok(if updated < wanted {
        waiting(format!("{updated} out of {wanted} new replicas have been updated"))
    } else if replicas > updated {
        waiting(format!("{} old replicas are pending termination", replicas - updated))
    } else if available < updated {
        waiting(format!("{available} of {updated} updated replicas are available"))
    } else {
        (format!("deployment {name:?} successfully rolled out"), true)
    })
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Only workloads that roll by themselves can be waited for.
fn check_rolls(object: &Value) -> Result<(), Failure> {
    if object["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
        return Ok(());
    }
    Err(Failure::message("rollout status is only available for RollingUpdate strategy type"))
}

/// How far a DaemonSet's rollout is: `DaemonSetStatusViewer.Status`.
fn daemon_set_status(set: &Value) -> Result<(String, bool), Failure> {
    check_rolls(set)?;
    let name = set["metadata"]["name"].as_str().unwrap_or("");
    let status = &set["status"];
    if number(&set["metadata"]["generation"]) > number(&status["observedGeneration"]) {
        return Ok(("Waiting for daemon set spec update to be observed...".to_owned(), false));
    }
    let desired = number(&status["desiredNumberScheduled"]);
    let (updated, available) = (number(&status["updatedNumberScheduled"]), number(&status["numberAvailable"]));
    let waiting = |what: String| (format!("Waiting for daemon set {name:?} rollout to finish: {what}..."), false);
    Ok(if updated < desired {
        waiting(format!("{updated} out of {desired} new pods have been updated"))
    } else if available < desired {
        waiting(format!("{available} of {desired} updated pods are available"))
    } else {
        (format!("daemon set {name:?} successfully rolled out"), true)
    })
}

/// How far a StatefulSet's rollout is: `StatefulSetStatusViewer.Status`.
fn stateful_set_status(set: &Value) -> Result<(String, bool), Failure> {
    check_rolls(set)?;
    let (spec, status) = (&set["spec"], &set["status"]);
    let observed = number(&status["observedGeneration"]);
    if observed == 0 || number(&set["metadata"]["generation"]) > observed {
        return Ok(("Waiting for statefulset spec update to be observed...".to_owned(), false));
    }
    let (wanted, ready) = (number(&spec["replicas"]), number(&status["readyReplicas"]));
    if ready < wanted {
        return Ok((format!("Waiting for {} pods to be ready...", wanted - ready), false));
    }
    let updated = number(&status["updatedReplicas"]);
    if let Some(rolling) = spec["updateStrategy"]["rollingUpdate"].as_object() {
        let to_update = wanted - rolling.get("partition").map_or(0, number);
        if rolling.contains_key("partition") && updated < to_update {
            let what = format!("{updated} out of {to_update} new pods have been updated");
            return Ok((format!("Waiting for partitioned roll out to finish: {what}..."), false));
        }
        return Ok((format!("partitioned roll out complete: {updated} new pods have been updated..."), true));
    }
    let revision = |field: &str| status[field].as_str().unwrap_or("").to_owned();
    let (update, current) = (revision("updateRevision"), revision("currentRevision"));
    Ok(if update == current {
        let count = number(&status["currentReplicas"]);
        (format!("statefulset rolling update complete {count} pods at revision {current}..."), true)
    } else {
        let what = format!("{updated} pods at revision {update}");
        (format!("waiting for statefulset rolling update to complete {what}..."), false)
    })
}
