//! What must be true after every step, whatever is broken. Each checker is a file.
//!
//! Checkers look at the store as it is, at its commits since they last looked, and at what machines really run; never at
//! what a component believes.

mod attachment;
mod budget;
mod identity;
mod job;
mod rollout;
mod update;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kubetab::api::{Kind, Object, Resource, controller_of};
use kubetab::etcd::{Commit, Revision};
use kubetab::machinery::time::Time;
use kubetab::session::{Action, Session};
use kubetab::sim::{Cluster, Invariants};

use super::faults::Faults;

/// What is not as it must be.
pub type Finding = Result<(), String>;

/// How long a component may go by what is not true any more: a slow watch, and then some.
pub const LATE: Duration = Duration::from_secs(60);

/// All checkers.
#[derive(Default)]
pub struct Checks {
    invariants: Invariants,
    revision: Revision,
    identity: identity::Identity,
    rollouts: rollout::Rollouts,
    updates: update::Updates,
    budgets: budget::Budgets,
    jobs: job::Jobs,
    /// How often each of the checkers had something to look at.
    pub looks: BTreeMap<&'static str, u64>,
}

/// What checkers see of a change.
pub struct Sight<'a> {
    pub cluster: &'a Cluster,
    pub commit: &'a Commit,
    /// Whether nothing is broken and nothing was lately.
    pub is_calm: bool,
}

impl Checks {
    /// Looks at what came of a step.
    pub fn after_step(&mut self, session: &Session, faults: &Faults) -> Finding {
        let cluster = session.cluster();
        self.invariants.check(cluster)?;
        let mut has_new_pod_state = false;
        for commit in cluster.api().etcd().commits(self.revision) {
            self.revision = commit.revision;
            let sight = Sight { cluster, commit, is_calm: faults.is_calm(commit.time) };
            has_new_pod_state |= matches!(commit.object(), Object::Pod(_));
            let what =
                |what: String| format!("revision {} ({} {}): {what}", commit.revision, commit.kind(), commit.key);
            self.rollouts.commit(&sight, &mut self.looks).map_err(what)?;
            self.updates.commit(&sight, &mut self.looks).map_err(what)?;
            self.jobs.commit(&sight, &mut self.looks).map_err(what)?;
            attachment::commit(&sight, &mut self.looks).map_err(what)?;
            self.budgets.commit(&sight);
        }
        if has_new_pod_state {
            self.identity.check(session, &mut self.looks)?;
        }
        Ok(())
    }

    /// Looks at what the user did before anything follows from it.
    pub fn after_action(&mut self, session: &Session, action: &Action, is_success: bool) -> Finding {
        self.budgets.after_action(session, action, is_success, &mut self.looks)
    }
}

/// Counts a look.
pub fn look(looks: &mut BTreeMap<&'static str, u64>, what: &'static str) {
    *looks.entry(what).or_default() += 1;
}

/// The values that something had lately, so that nobody is blamed for not having heard of the newest.
#[derive(Clone, Debug)]
pub struct Lately<T> {
    /// Since when it had each, oldest first.
    values: Vec<(Time, T)>,
}

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

impl<T: Copy + Ord> Lately<T> {
    pub fn note(&mut self, now: Time, value: T) {
        // What was replaced long ago is what nobody can still go by.
        let old = self.values.windows(2).take_while(|pair| now.since(pair[1].0) > LATE).count();
        self.values.drain(..old);
        if self.values.last().is_none_or(|(_, last)| *last != value) {
            self.values.push((now, value));
        }
    }

    fn recent(&self, now: Time) -> impl Iterator<Item = T> {
        let old = self.values.windows(2).take_while(|pair| now.since(pair[1].0) > LATE).count();
        self.values[old..].iter().map(|(_, value)| *value)
    }

    pub fn most(&self, now: Time) -> Option<T> {
        self.recent(now).max()
    }

    pub fn least(&self, now: Time) -> Option<T> {
        self.recent(now).min()
    }
}

/// The pods that an object controls.
pub fn pods_of<'a>(cluster: &'a Cluster, namespace: &'a str, uid: &'a str) -> impl Iterator<Item = &'a Pod> {
    let pods = cluster.api().etcd().range(Kind::Pod, Some(namespace));
    let pods = pods.filter_map(|(_, object)| object.downcast::<Pod>()).map(|pod| &**pod);
    pods.filter(move |pod| controller_of(&pod.metadata).is_some_and(|owner| owner.uid == uid))
}

pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("")
}

pub fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// `IsPodActive`.
pub fn is_active(pod: &Pod) -> bool {
    !has_ended(pod) && !is_deleting(pod)
}

/// Since when a pod is ready, if it is.
pub fn ready_since(pod: &Pod) -> Option<Time> {
    let conditions = pod.status.as_ref()?.conditions.as_deref().unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    ready.last_transition_time.as_ref().map(|time| Time::from_timestamp(time.0))
}

pub fn is_ready(pod: &Pod) -> bool {
    ready_since(pod).is_some()
}

/// Who did what the commit says.
pub fn actor(commit: &Commit) -> &str {
    &commit.cause.actor
}

/// A pod that was created with this commit.
pub fn created<K: Resource>(commit: &Commit) -> Option<&K> {
    if commit.before.is_some() {
        return None;
    }
    commit.after.as_ref()?.downcast::<K>().map(|object| &**object)
}

/// A pod that was asked to end with this commit, or is gone with it without having been asked.
pub fn condemned(commit: &Commit) -> Option<&Pod> {
    let before = commit.before.as_ref()?.downcast::<Pod>()?;
    let after = commit.after.as_ref().and_then(|after| after.downcast::<Pod>());
    (!is_deleting(before) && after.is_none_or(|after| is_deleting(after))).then_some(before)
}
