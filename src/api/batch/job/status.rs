//! What the status of a Job may say, and how it may change. Follows `ValidateJobUpdateStatus` and
//! `getStatusValidationOptions`.
//!
//! Most rules hold only when the fields that they are about change, so that one wrong field does not block all others.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};

use super::validation::is_indexed;
use crate::api::check::{self, list, text};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::intstr::atoi;
use crate::machinery::time::Time;

/// Whether the Job has a condition of the type that is true.
pub(crate) fn is_true(job: &Job, condition: &str) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|known| known.type_ == condition && known.status == "True")
}

/// Whether the Job is over, one way or the other: `IsJobFinished`.
pub(crate) fn is_finished(job: &Job) -> bool {
    is_true(job, "Complete") || is_true(job, "Failed")
}

/// A Job before and after an update of its status.
struct Update<'a> {
    new: &'a Job,
    old: &'a Job,
    spec: &'a JobSpec,
    status: &'a JobStatus,
    before: &'a JobStatus,
}

impl Update<'_> {
    fn is(&self, condition: &str) -> bool {
        is_true(self.new, condition)
    }

    fn was(&self, condition: &str) -> bool {
        is_true(self.old, condition)
    }

    fn changed(&self, condition: &str) -> bool {
        self.is(condition) != self.was(condition)
    }
}

/// `ValidateJobStatusUpdate`.
pub(super) fn validate_update(errors: &mut ErrorList, new: &Job, old: &Job) {
    let (no_spec, no_status) = (JobSpec::default(), JobStatus::default());
    let update = Update {
        new,
        old,
        spec: new.spec.as_ref().unwrap_or(&no_spec),
        status: new.status.as_ref().unwrap_or(&no_status),
        before: old.status.as_ref().unwrap_or(&no_status),
    };
    let path = Path::new("status");
    validate_counts(errors, &path, update.status);
    validate_end(errors, &path, &update);
    validate_finished(errors, &path, &update);
    validate_index_lists(errors, &path, &update);
    validate_pods(errors, &path, &update);
    validate_success_criteria(errors, &path, &update);
    validate_transition(errors, &path, &update);
}

fn validate_counts(errors: &mut ErrorList, path: &Path, status: &JobStatus) {
    for (field, count) in [
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ] {
        check::not_negative(errors, &path.child(field), i64::from(count.unwrap_or(0)));
    }
    let Some(uncounted) = &status.uncounted_terminated_pods else { return };
    let path = path.child("uncountedTerminatedPods");
    let mut seen = BTreeSet::new();
    for (field, uids) in [("succeeded", &uncounted.succeeded), ("failed", &uncounted.failed)] {
        for (index, uid) in list(uids).iter().enumerate() {
            let at = path.child(field).index(index);
            if uid.is_empty() {
                errors.push(FieldError::invalid(&at, "", "must not be empty"));
            } else if !seen.insert(uid) {
                errors.push(FieldError::duplicate(&at, uid.as_str()));
            }
        }
    }
}

/// Which conditions exclude or demand one another, and the times.
fn validate_end(errors: &mut ErrorList, path: &Path, update: &Update<'_>) {
    let (status, complete) = (update.status, update.is("Complete"));
    let complete_changed = update.changed("Complete");
    let mut refuse = |detail: &str| errors.push(FieldError::invalid_as_a_whole(&path.child("conditions"), detail));
    if (complete_changed || update.changed("Failed")) && complete && update.is("Failed") {
        refuse("cannot set Complete=True and Failed=true conditions");
    }
    if (complete_changed || update.changed("FailureTarget")) && complete && update.is("FailureTarget") {
        refuse("cannot set Complete=True and FailureTarget=true conditions");
    }
    let at = path.child("completionTime");
    let time_changed = status.completion_time != update.before.completion_time;
    let shown = || check::json(&status.completion_time);
    if complete_changed || time_changed {
        if status.completion_time.is_some() && !complete {
            let detail = "cannot set completionTime when there is no Complete=True condition";
            errors.push(FieldError::invalid(&at, shown(), detail));
        }
        if status.completion_time.is_none() && complete {
            errors.push(FieldError::required(&at, "completionTime is required for Complete jobs"));
        }
    }
    if (time_changed || status.start_time != update.before.start_time)
        && let (Some(start), Some(end)) = (&status.start_time, &status.completion_time)
        && Time::from(end) < Time::from(start)
    {
        errors.push(FieldError::invalid(&at, shown(), "completionTime cannot be set before startTime"));
    }
}

/// What must be announced before the Job is over, and what must be over when it is.
fn validate_finished(errors: &mut ErrorList, path: &Path, update: &Update<'_>) {
    let (status, before) = (update.status, update.before);
    for (end, target) in [("Failed", "FailureTarget"), ("Complete", "SuccessCriteriaMet")] {
        if (update.changed(end) || update.changed(target)) && update.is(end) && !update.is(target) {
            let detail = format!("cannot set {end}=True condition without the {target}=true condition");
            errors.push(FieldError::invalid_as_a_whole(&path.child("conditions"), detail));
        }
    }
    if !is_finished(update.new) {
        return;
    }
    let just_ended = !is_finished(update.old);
    let active = status.active.unwrap_or(0);
    if (just_ended || status.active != before.active) && active > 0 {
        errors.push(FieldError::invalid(&path.child("active"), active, "active>0 is invalid for finished job"));
    }
    if (just_ended || status.start_time != before.start_time) && status.start_time.is_none() {
        errors.push(FieldError::required(&path.child("startTime"), "startTime is required for finished job"));
    }
    let uncounted = status.uncounted_terminated_pods.as_ref();
    let are_left = uncounted.is_some_and(|pods| !list(&pods.failed).is_empty() || !list(&pods.succeeded).is_empty());
    if (just_ended || uncounted != before.uncounted_terminated_pods.as_ref()) && are_left {
        let detail = "uncountedTerminatedPods needs to be empty for finished job";
        errors.push(FieldError::invalid(&path.child("uncountedTerminatedPods"), check::json(&uncounted), detail));
    }
}

/// What is said of pods that run, or are about to end.
fn validate_pods(errors: &mut ErrorList, path: &Path, update: &Update<'_>) {
    let (status, before) = (update.status, update.before);
    let terminating = status.terminating.unwrap_or(0);
    let just_ended = is_finished(update.new) != is_finished(update.old);
    if (just_ended || status.terminating != before.terminating) && terminating > 0 && is_finished(update.new) {
        let detail = "terminating>0 is invalid for finished job";
        errors.push(FieldError::invalid(&path.child("terminating"), terminating, detail));
    }
    let (ready, active) = (status.ready.unwrap_or(0), status.active.unwrap_or(0));
    if (status.ready != before.ready || status.active != before.active) && ready > active {
        errors.push(FieldError::invalid(&path.child("ready"), ready, "cannot set more ready pods than active"));
    }
}

/// The lists of indexes.
fn validate_index_lists(errors: &mut ErrorList, path: &Path, update: &Update<'_>) {
    let (spec, status, before) = (update.spec, update.status, update.before);
    let completed = text(&status.completed_indexes);
    let completed_changed = completed != text(&before.completed_indexes);
    let failed_changed = status.failed_indexes != before.failed_indexes;
    let mut refuse = |field: &str, shown: &str, detail: String| {
        errors.push(FieldError::invalid(&path.child(field), shown, detail));
    };
    if let (true, Some(completions)) = (completed_changed, spec.completions)
        && let Err(error) = validate_indexes(completed, completions)
    {
        refuse("completedIndexes", completed, format!("error parsing completedIndexes: {error}"));
    }
    let failed = status.failed_indexes.as_deref();
    if let (true, Some(completions), Some(_), Some(failed)) =
        (failed_changed, spec.completions, spec.backoff_limit_per_index, failed)
        && let Err(error) = validate_indexes(failed, completions)
    {
        refuse("failedIndexes", failed, format!("error parsing failedIndexes: {error}"));
    }
    if completed_changed && !completed.is_empty() && !is_indexed(spec) {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        refuse("completedIndexes", completed, detail.to_owned());
    }
    if let (true, None, Some(failed)) = (failed_changed, spec.backoff_limit_per_index, failed) {
        let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        refuse("failedIndexes", failed, detail.to_owned());
    }
    if let (true, Some(completions), Some(failed)) = (failed_changed || completed_changed, spec.completions, failed)
        && let Some(index) = first_overlap(completed, failed, completions)
    {
        refuse("failedIndexes", failed, format!("failedIndexes and completedIndexes overlap at index: {index}"));
    }
}

fn validate_success_criteria(errors: &mut ErrorList, path: &Path, update: &Update<'_>) {
    let met = update.is("SuccessCriteriaMet");
    let mut refuse = |wrong: bool, detail: &str| {
        if wrong {
            errors.push(FieldError::invalid_as_a_whole(&path.child("conditions"), detail));
        }
    };
    refuse(met && update.is("Failed"), "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    refuse(met && update.is("FailureTarget"), "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    refuse(
        update.spec.success_policy.is_some() && !met && update.is("Complete"),
        "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
    );
}

/// What may not be taken back.
fn validate_transition(errors: &mut ErrorList, path: &Path, update: &Update<'_>) {
    let (spec, status, before) = (update.spec, update.status, update.before);
    let conditions = path.child("conditions");
    for condition in ["Failed", "Complete", "FailureTarget"] {
        if update.was(condition) && !update.is(condition) {
            let detail = format!("cannot disable the terminal {condition}=True condition");
            errors.push(FieldError::invalid_as_a_whole(&conditions, detail));
        }
    }
    // A Job that may shrink loses the indexes that it no longer has.
    let may_shrink = is_indexed(spec) && spec.completions == spec.parallelism;
    for (field, count, old, may_decrease) in
        [("failed", status.failed, before.failed, false), ("succeeded", status.succeeded, before.succeeded, may_shrink)]
    {
        let count = count.unwrap_or(0);
        if !may_decrease && count < old.unwrap_or(0) {
            errors.push(FieldError::invalid(&path.child(field), count, format!("cannot decrease the {field} counter")));
        }
    }
    if let (Some(new), Some(old)) = (&status.completion_time, &before.completion_time)
        && new != old
    {
        let detail = "completionTime cannot be mutated";
        errors.push(FieldError::invalid(&path.child("completionTime"), check::json(new), detail));
    }
    if before.start_time.is_some() && status.start_time != before.start_time && spec.suspend != Some(true) {
        let detail = "startTime cannot be removed for unsuspended job";
        errors.push(FieldError::required(&path.child("startTime"), detail));
    }
    let (met, was_met) = (update.is("SuccessCriteriaMet"), update.was("SuccessCriteriaMet"));
    if was_met && !met {
        let detail = "cannot disable the SuccessCriteriaMet=True condition";
        errors.push(FieldError::invalid_as_a_whole(&conditions, detail));
    }
    if update.was("Complete") && !was_met && met {
        let detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        errors.push(FieldError::invalid_as_a_whole(&conditions, detail));
    }
}

/// `validateIndexesFormat`: `1,3-5` in increasing order and below `completions`; how many indexes that are.
pub(super) fn validate_indexes(text: &str, completions: i32) -> Result<i64, String> {
    let mut total = 0;
    let mut last: Option<i64> = None;
    for interval in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = parse_interval(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// `parseIndexInterval`.
fn parse_interval(text: &str, completions: i32) -> Result<(i64, i64), String> {
    let limits: Vec<&str> = text.split('-').collect();
    if limits.len() > 2 {
        return Err(format!(
            "the fragment {text:?} violates the requirement that an index interval can have at most two parts separated \
             by '-'"
        ));
    }
    let index = |text: &str| {
        let index = atoi(text).map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if index >= i64::from(completions) { Err(format!("too large index: {text:?}")) } else { Ok(index) }
    };
    let first = index(limits[0])?;
    let Some(end) = limits.get(1) else { return Ok((first, first)) };
    let end = index(end)?;
    if first >= end {
        return Err(format!("non-increasing order, previous: {first}, current: {end}"));
    }
    Ok((first, end))
}

/// `validateFailedIndexesNotOverlapCompleted`; intervals that cannot be read are another rule's business.
fn first_overlap(completed: &str, failed: &str, completions: i32) -> Option<i64> {
    let intervals = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|interval| parse_interval(interval, completions).ok()).collect()
    };
    let failed = intervals(failed);
    intervals(completed).into_iter().find_map(|(first, last)| {
        let overlap = failed.iter().find(|(begin, end)| first <= *end && *begin <= last);
        overlap.map(|(begin, _)| first.max(*begin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_indexes_increase() {
        let table = [
            ("", Ok(0)),
            ("0-2,4", Ok(4)),
            ("5", Err("too large index: \"5\"")),
            ("1,0", Err("non-increasing order, previous: 1, current: 0")),
            ("2-1", Err("non-increasing order, previous: 2, current: 1")),
            ("a", Err("cannot convert string to integer for index: \"a\"")),
        ];
        for (text, expected) in table {
            assert_eq!(validate_indexes(text, 5), expected.map_err(str::to_owned), "{text}");
        }
        assert_eq!(first_overlap("0-2,4", "1,3", 5), Some(1));
        assert_eq!(first_overlap("0,2", "1,3", 5), None);
    }
}
