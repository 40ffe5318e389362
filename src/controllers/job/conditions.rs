//! The conditions of a Job: what they are called, and how they come and go.

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};

use crate::machinery::time::Time;

/// The Job is suspended, or was.
pub(super) const SUSPENDED: &str = "Suspended";
/// The Job is over, and succeeded.
pub(in crate::controllers) const COMPLETE: &str = "Complete";
/// The Job is over, and failed.
pub(super) const FAILED: &str = "Failed";
/// The Job will fail once its pods are gone.
pub(super) const FAILURE_TARGET: &str = "FailureTarget";
/// The Job will succeed once its pods are gone.
pub(super) const SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";

/// A condition that begins now: `newCondition`.
pub(super) fn new(condition: &str, status: bool, reason: &str, message: &str, now: Time) -> JobCondition {
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    JobCondition {
        type_: condition.to_owned(),
        status: if status { "True" } else { "False" }.to_owned(),
        last_probe_time: Some(now.to_meta()),
        last_transition_time: Some(now.to_meta()),
        reason: filled(reason),
        message: filled(message),
    }
}

/// A condition that says the same as another under another name.
pub(super) fn after(condition: &JobCondition, name: &str, now: Time) -> JobCondition {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    new(name, true, &text(&condition.reason), &text(&condition.message), now)
}

/// The condition of a name, if it is true.
pub(super) fn find_true<'a>(status: &'a JobStatus, name: &str) -> Option<&'a JobCondition> {
    let conditions = status.conditions.iter().flatten();
    conditions.into_iter().find(|condition| condition.type_ == name && condition.status == "True")
}

/// Whether the Job is over: `IsJobFinished`.
pub(in crate::controllers) fn is_finished(job: &Job) -> bool {
    finished(job).is_some()
}

/// The condition with which the Job ended.
pub(in crate::controllers) fn finished(job: &Job) -> Option<&JobCondition> {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .find(|condition| matches!(condition.type_.as_str(), COMPLETE | FAILED) && condition.status == "True")
}

/// Brings a condition to what it should say, and tells whether that is new; what was never true need not be called
/// false: `ensureJobConditionStatus`.
pub(super) fn ensure(status: &mut JobStatus, condition: JobCondition) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|known| known.type_ == condition.type_) {
        Some(known) => {
            let says = |condition: &JobCondition| {
                (condition.status.clone(), condition.reason.clone(), condition.message.clone())
            };
            let is_new = says(known) != says(&condition);
            if is_new {
                *known = condition;
            }
            is_new
        }
        None if condition.status == "False" => {
            if conditions.is_empty() {
                status.conditions = None;
            }
            false
        }
        None => {
            conditions.push(condition);
            true
        }
    }
}
