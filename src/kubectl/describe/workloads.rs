//! What makes pods: Deployments, ReplicaSets, ReplicationControllers, StatefulSets, DaemonSets, Jobs and CronJobs.

use std::borrow::Cow;

use serde_json::Value;

use super::super::cli::Cli;
use super::super::failure::Failure;
use super::containers::{pod_template, selector};
use super::writer::{Writer, int_or_text, items, number, on_one_line, text, time, truth};
use super::{Settings, controller, controller_of, list};
use crate::api::Kind;
use crate::machinery::duration::GoDuration;
use crate::machinery::json;
use crate::machinery::labels::Selector;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

/// How much of a list of indexes is shown.
const INDEXES_BYTES: usize = 50;

/// A selector as lists take it: `metav1.LabelSelectorAsSelector`.
fn asked(selector: &Value) -> String {
    let selector = json::from_value(selector).ok();
    Selector::from_label_selector(selector.as_ref()).map_or_else(|why| why, |selector| selector.to_string())
}

fn count(object: &Value, field: &str) -> i64 {
    number(&object[field])
}

/// Writes a Deployment: `describeDeployment`.
pub(super) fn deployment(
    cli: &mut Cli<'_>,
    writer: &mut Writer,
    deployment: &Value,
    settings: Settings,
) -> Result<(), Failure> {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    writer.name_and_namespace(deployment);
    writer.created(deployment);
    writer.labels_and_annotations(deployment);
    writer.field(0, "Selector", &asked(&spec["selector"]));
    writer.field(
        0,
        "Replicas",
        &format!(
            "{} desired | {} updated | {} total | {} available | {} unavailable",
            count(spec, "replicas"),
            count(status, "updatedReplicas"),
            count(status, "replicas"),
            count(status, "availableReplicas"),
            count(status, "unavailableReplicas")
        ),
    );
    writer.field(0, "StrategyType", text(&spec["strategy"]["type"]));
    writer.field(0, "MinReadySeconds", &count(spec, "minReadySeconds").to_string());
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        let (unavailable, surge) = (int_or_text(&rolling["maxUnavailable"]), int_or_text(&rolling["maxSurge"]));
        writer.field(0, "RollingUpdateStrategy", &format!("{unavailable} max unavailable, {surge} max surge"));
    }
    pod_template(writer, &spec["template"]);
    writer.workload_conditions(&status["conditions"]);
    let (old, new) = replica_sets(cli, deployment, settings).unwrap_or_default();
    if !old.is_empty() || !new.is_empty() {
        writer.field(0, "OldReplicaSets", &told(&old));
        writer.field(0, "NewReplicaSet", &told(&new));
    }
    Ok(())
}

/// The ReplicaSets of a Deployment, old ones and the new one, oldest first: `GetAllReplicaSetsInChunks`.
fn replica_sets(cli: &mut Cli<'_>, deployment: &Value, settings: Settings) -> Result<(Vec<Value>, Vec<Value>), Status> {
    let (metadata, spec) = (&deployment["metadata"], &deployment["spec"]);
    let mut sets =
        list(cli, Kind::ReplicaSet, text(&metadata["namespace"]), (&asked(&spec["selector"]), ""), settings)?;
    sets.retain(|set| controller_of(set).is_some_and(|owner| owner["uid"] == metadata["uid"]));
    let age = |set: &Value| {
        let metadata = &set["metadata"];
        (text(&metadata["creationTimestamp"]).to_owned(), text(&metadata["name"]).to_owned())
    };
    sets.sort_by_key(age);
    let template = without_hash(&spec["template"]);
    let new = sets.iter().position(|set| without_hash(&set["spec"]["template"]) == template);
    let new = new.map(|at| sets.remove(at));
    Ok((sets, new.into_iter().collect()))
}

/// A template without the label that tells ReplicaSets apart.
fn without_hash(template: &Value) -> Cow<'_, Value> {
    let mut template = Cow::Borrowed(template);
    if template["metadata"]["labels"]["pod-template-hash"].is_string()
        && let Some(labels) = template.to_mut().pointer_mut("/metadata/labels").and_then(Value::as_object_mut)
    {
        labels.shift_remove("pod-template-hash");
    }
    template
}

fn told(sets: &[Value]) -> String {
    let each = sets.iter().map(|set| {
        let (there, wanted) = (count(&set["status"], "replicas"), count(&set["spec"], "replicas"));
        format!("{} ({there}/{wanted} replicas created)", text(&set["metadata"]["name"]))
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() { "<none>".to_owned() } else { each.join(", ") }
}

/// How the pods of a controller are: `getPodStatusForController`.
fn pods(cli: &mut Cli<'_>, owner: &Value, selector: &str, settings: Settings) -> Result<String, Status> {
    let metadata = &owner["metadata"];
    let pods = list(cli, Kind::Pod, text(&metadata["namespace"]), (selector, ""), settings)?;
    let own = |pod: &&Value| controller_of(pod).is_some_and(|owner| owner["uid"] == metadata["uid"]);
    let own: Vec<&Value> = pods.iter().filter(own).collect();
    let [running, waiting, succeeded, failed] = ["Running", "Pending", "Succeeded", "Failed"]
        .map(|phase| own.iter().filter(|pod| pod["status"]["phase"] == phase).count());
    Ok(format!("{running} Running / {waiting} Waiting / {succeeded} Succeeded / {failed} Failed"))
}

fn replicas(object: &Value) -> String {
    format!("{} current / {} desired", count(&object["status"], "replicas"), count(&object["spec"], "replicas"))
}

/// Writes a ReplicaSet: `describeReplicaSet`.
pub(super) fn replica_set(
    cli: &mut Cli<'_>,
    writer: &mut Writer,
    set: &Value,
    settings: Settings,
) -> Result<(), Failure> {
    let spec = &set["spec"];
    writer.name_and_namespace(set);
    writer.field(0, "Selector", &selector(&spec["selector"]));
    writer.labels_and_annotations(set);
    if let Some(controller) = controller(set) {
        writer.field(0, "Controlled By", &controller);
    }
    let pods = pods(cli, set, &asked(&spec["selector"]), settings)
        .unwrap_or_else(|status| format!("error in fetching pods: {}", status.message()));
    replicated(writer, set, &pods);
    Ok(())
}

/// What ReplicaSets and ReplicationControllers have in common.
fn replicated(writer: &mut Writer, object: &Value, pods: &str) {
    writer.field(0, "Replicas", &replicas(object));
    writer.field(0, "Pods Status", pods);
    pod_template(writer, &object["spec"]["template"]);
    writer.workload_conditions(&object["status"]["conditions"]);
}

/// Writes a ReplicationController: `describeReplicationController`.
pub(super) fn replication_controller(
    cli: &mut Cli<'_>,
    writer: &mut Writer,
    controller: &Value,
    settings: Settings,
) -> Result<(), Failure> {
    let selector = on_one_line(&controller["spec"]["selector"]);
    let pods = pods(cli, controller, &selector, settings)?;
    writer.name_and_namespace(controller);
    writer.field(0, "Selector", &selector);
    writer.labels_and_annotations(controller);
    replicated(writer, controller, &pods);
    Ok(())
}

/// Writes a StatefulSet: `describeStatefulSet`.
pub(super) fn stateful_set(
    cli: &mut Cli<'_>,
    writer: &mut Writer,
    set: &Value,
    settings: Settings,
) -> Result<(), Failure> {
    let spec = &set["spec"];
    let selector = asked(&spec["selector"]);
    let pods = pods(cli, set, &selector, settings)?;
    writer.name_and_namespace(set);
    writer.created(set);
    writer.field(0, "Selector", &selector);
    writer.labels_and_annotations(set);
    let (wanted, there) = (count(spec, "replicas"), count(&set["status"], "replicas"));
    writer.field(0, "Replicas", &format!("{wanted} desired | {there} total"));
    writer.field(0, "Update Strategy", text(&spec["updateStrategy"]["type"]));
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    if let Some(partition) = rolling["partition"].as_i64() {
        writer.field(1, "Partition", &partition.to_string());
        if !rolling["maxUnavailable"].is_null() {
            writer.field(1, "MaxUnavailable", &int_or_text(&rolling["maxUnavailable"]));
        }
    }
    writer.field(0, "Pods Status", &pods);
    pod_template(writer, &spec["template"]);
    claim_templates(writer, &spec["volumeClaimTemplates"]);
    Ok(())
}

fn claim_templates(writer: &mut Writer, templates: &Value) {
    if items(templates).is_empty() {
        return writer.field(0, "Volume Claims", "<none>");
    }
    writer.line(0, "Volume Claims:");
    for claim in items(templates) {
        writer.field(1, "Name", text(&claim["metadata"]["name"]));
        writer.field(1, "StorageClass", super::storage::class_of_claim(claim));
        writer.labels_indented("  ", "Labels", &claim["metadata"]["labels"]);
        writer.labels_indented("  ", "Annotations", &claim["metadata"]["annotations"]);
        writer.field(1, "Capacity", claim["spec"]["resources"]["requests"]["storage"].as_str().unwrap_or("<default>"));
        writer.field(1, "Access Modes", &super::writer::bracketed(&claim["spec"]["accessModes"]));
    }
}

/// Writes a DaemonSet: `describeDaemonSet`.
pub(super) fn daemon_set(
    cli: &mut Cli<'_>,
    writer: &mut Writer,
    set: &Value,
    settings: Settings,
) -> Result<(), Failure> {
    let (spec, status) = (&set["spec"], &set["status"]);
    let selector = asked(&spec["selector"]);
    let pods = pods(cli, set, &selector, settings)?;
    writer.name_and_namespace(set);
    writer.field(0, "Selector", &selector);
    writer.field(0, "Node-Selector", &on_one_line(&spec["template"]["spec"]["nodeSelector"]));
    writer.labels_and_annotations(set);
    for (label, field) in [
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        writer.line(0, &format!("{label}: {}", count(status, field)));
    }
    writer.field(0, "Pods Status", &pods);
    pod_template(writer, &spec["template"]);
    Ok(())
}

/// Writes a number where there is one, with a unit behind it.
fn counted(writer: &mut Writer, label: &str, value: &Value, unit: &str, otherwise: Option<&str>) {
    match (value.as_i64(), otherwise) {
        (Some(number), _) => writer.field(0, label, &format!("{number}{unit}")),
        (None, Some(otherwise)) => writer.field(0, label, otherwise),
        (None, None) => {}
    }
}

/// Writes a Job: `describeJob`.
pub(super) fn job(writer: &mut Writer, job: &Value) {
    let (spec, status) = (&job["spec"], &job["status"]);
    writer.name_and_namespace(job);
    writer.field(0, "Selector", &asked(&spec["selector"]));
    writer.labels_and_annotations(job);
    if let Some(controller) = controller(job) {
        writer.field(0, "Controlled By", &controller);
    }
    counted(writer, "Parallelism", &spec["parallelism"], "", None);
    counted(writer, "Completions", &spec["completions"], "", Some("<unset>"));
    if let Some(mode) = spec["completionMode"].as_str() {
        writer.field(0, "Completion Mode", mode);
    }
    if let Some(suspended) = spec["suspend"].as_bool() {
        writer.field(0, "Suspend", &suspended.to_string());
    }
    counted(writer, "Backoff Limit", &spec["backoffLimit"], "", None);
    counted(writer, "TTL Seconds After Finished", &spec["ttlSecondsAfterFinished"], "", None);
    for (label, field) in [("Start Time", "startTime"), ("Completed At", "completionTime")] {
        if status[field].is_string() {
            writer.field(0, label, &time(&status[field]));
        }
    }
    let [began, ended] = ["startTime", "completionTime"].map(|field| Time::parse(text(&status[field])));
    if let (Some(began), Some(ended)) = (began, ended) {
        writer.field(0, "Duration", &GoDuration::between(began, ended).human());
    }
    counted(writer, "Active Deadline Seconds", &spec["activeDeadlineSeconds"], "s", None);
    let ready = status["ready"].as_i64().map_or_else(String::new, |ready| format!(" ({ready} Ready)"));
    let [active, succeeded, failed] = ["active", "succeeded", "failed"].map(|field| count(status, field));
    writer.field(0, "Pods Statuses", &format!("{active} Active{ready} / {succeeded} Succeeded / {failed} Failed"));
    if spec["completionMode"] == "Indexed" {
        writer.field(0, "Completed Indexes", &indexes(text(&status["completedIndexes"])));
    }
    pod_template(writer, &spec["template"]);
}

/// A list of indexes, cut behind a comma when it is long: `capIndexesListOrNone`.
fn indexes(indexes: &str) -> String {
    if indexes.is_empty() {
        return "<none>".to_owned();
    }
    match indexes.get(INDEXES_BYTES..).and_then(|rest| rest.find(',')) {
        Some(at) => format!("{}...", &indexes[..=INDEXES_BYTES + at]),
        None => indexes.to_owned(),
    }
}

/// Writes a CronJob: `describeCronJob`.
pub(super) fn cron_job(writer: &mut Writer, cron_job: &Value) {
    let (spec, status) = (&cron_job["spec"], &cron_job["status"]);
    writer.name_and_namespace(cron_job);
    writer.labels_and_annotations(cron_job);
    writer.field(0, "Schedule", text(&spec["schedule"]));
    writer.field(0, "Concurrency Policy", text(&spec["concurrencyPolicy"]));
    writer.field(0, "Suspend", truth(&spec["suspend"]));
    let unset = Some("<unset>");
    writer.field(0, "Time Zone", spec["timeZone"].as_str().unwrap_or("<unset>"));
    counted(writer, "Successful Job History Limit", &spec["successfulJobsHistoryLimit"], "", unset);
    counted(writer, "Failed Job History Limit", &spec["failedJobsHistoryLimit"], "", unset);
    counted(writer, "Starting Deadline Seconds", &spec["startingDeadlineSeconds"], "s", unset);
    let job = &spec["jobTemplate"]["spec"];
    let selector = if job["selector"].is_object() { asked(&job["selector"]) } else { "<unset>".to_owned() };
    writer.field(0, "Selector", &selector);
    counted(writer, "Parallelism", &job["parallelism"], "", unset);
    counted(writer, "Completions", &job["completions"], "", unset);
    counted(writer, "Active Deadline Seconds", &job["activeDeadlineSeconds"], "s", None);
    pod_template(writer, &job["template"]);
    let last = &status["lastScheduleTime"];
    let last = if last.is_string() { time(last) } else { "<unset>".to_owned() };
    writer.field(0, "Last Schedule Time", &last);
    let active: Vec<&str> = items(&status["active"]).iter().map(|job| text(&job["name"])).collect();
    let active = if active.is_empty() { "<none>".to_owned() } else { active.join(", ") };
    writer.field(0, "Active Jobs", &active);
}

#[cfg(test)]
mod tests {
    use super::indexes;

    #[test]
    fn long_lists_of_indexes_are_cut_behind_a_comma() {
        let long: Vec<String> = (10..40).map(|index| index.to_string()).collect();
        assert_eq!(indexes(&long.join(",")), "10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,...");
        assert_eq!(indexes("0,1"), "0,1");
        assert_eq!(indexes(""), "<none>");
    }
}
