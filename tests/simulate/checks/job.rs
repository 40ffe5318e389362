//! A Job counts each of its pods once, and has no more of them than it may.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kubetab::api::{Object, Resource as _, controller_of};

use super::{Finding, Lately, Sight, actor, created, has_ended, is_active, is_deleting, look, phase, pods_of};

#[derive(Default)]
struct Account {
    parallelism: Lately<i32>,
    succeeded: BTreeSet<String>,
    /// Those that ended or were asked to. Of a Job that is over every pod counts as failed of which the controller does
    /// not know that it succeeded.
    ended: BTreeSet<String>,
}

/// By the uid of a Job.
#[derive(Default)]
pub struct Jobs(BTreeMap<String, Account>);

impl Jobs {
    pub fn commit(&mut self, sight: &Sight<'_>, looks: &mut BTreeMap<&'static str, u64>) -> Finding {
        match sight.commit.object() {
            Object::Job(job) => self.job(sight, job, looks),
            Object::Pod(pod) => match controller_of(&pod.metadata).filter(|owner| owner.kind == "Job") {
                Some(owner) => self.pod(sight, pod, &owner.uid.clone(), looks),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn pod(&mut self, sight: &Sight<'_>, pod: &Pod, job: &str, looks: &mut BTreeMap<&'static str, u64>) -> Finding {
        let account = self.0.entry(job.to_owned()).or_default();
        let uid = pod.uid().to_owned();
        if has_ended(pod) || is_deleting(pod) || sight.commit.after.is_none() {
            account.ended.insert(uid.clone());
        }
        if phase(pod) == "Succeeded" {
            account.succeeded.insert(uid);
        }
        let Some(pod) = created::<Pod>(sight.commit).filter(|_| actor(sight.commit) == "job-controller") else {
            return Ok(());
        };
        look(looks, "job pods");
        let active: Vec<&Pod> = pods_of(sight.cluster, pod.namespace(), job).filter(|pod| is_active(pod)).collect();
        let most = account.parallelism.most(sight.commit.time).unwrap_or(0);
        if active.len() as i64 > i64::from(most) {
            return Err(format!("is one of {} active pods of a Job that wants {most} at once", active.len()));
        }
        let index =
            |pod: &Pod| pod.metadata.annotations.as_ref()?.get("batch.kubernetes.io/job-completion-index").cloned();
        let Some(own) = index(pod) else { return Ok(()) };
        let others = active.iter().filter(|other| other.uid() != pod.uid() && index(other).as_ref() == Some(&own));
        match others.count() {
            0 => Ok(()),
            _ => Err(format!("has the index {own}, which another active pod has")),
        }
    }

    fn job(&mut self, sight: &Sight<'_>, job: &Job, looks: &mut BTreeMap<&'static str, u64>) -> Finding {
        let account = self.0.entry(job.uid().to_owned()).or_default();
        let spec = job.spec.clone().unwrap_or_default();
        account.parallelism.note(sight.commit.time, spec.parallelism.unwrap_or(1));
        let status = job.status.clone().unwrap_or_default();
        look(looks, "job statuses");
        let uncounted = status.uncounted_terminated_pods.clone().unwrap_or_default();
        let waiting = |uids: &Option<Vec<String>>| uids.as_ref().map_or(0, Vec::len) as i64;
        let succeeded = i64::from(status.succeeded.unwrap_or(0)) + waiting(&uncounted.succeeded);
        let failed = i64::from(status.failed.unwrap_or(0)) + waiting(&uncounted.failed);
        let is_indexed = spec.completion_mode.as_deref() == Some("Indexed");
        if succeeded > account.succeeded.len() as i64 {
            return Err(format!("counts {succeeded} pods that succeeded, of {}", account.succeeded.len()));
        }
        if succeeded + failed > account.ended.len() as i64 {
            return Err(format!("counts {succeeded} + {failed} pods that ended, of {}", account.ended.len()));
        }
        if let Some(completions) = spec.completions
            && succeeded > i64::from(completions)
        {
            return Err(format!("counts {succeeded} pods that succeeded, and wants {completions}"));
        }
        if is_indexed && sight.commit.after.is_some() {
            let indexes = indexes(status.completed_indexes.as_deref().unwrap_or(""));
            if indexes != i64::from(status.succeeded.unwrap_or(0)) {
                return Err(format!("has {indexes} completed indexes and counts {:?} of them", status.succeeded));
            }
        }
        Ok(())
    }
}

/// How many numbers `1,3-5` names.
fn indexes(text: &str) -> i64 {
    let number = |text: &str| text.parse::<i64>().unwrap_or(i64::MAX / 2);
    let ranges = text.split(',').filter(|range| !range.is_empty());
    let count = ranges.map(|range| match range.split_once('-') {
        Some((first, last)) => number(last) - number(first) + 1,
        None => 1,
    });
    count.sum()
}
