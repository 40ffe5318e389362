//! Playing a seed, playing its log again, and making that log short.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use kubetab::api::{Kind, Object, ObjectKey};
use kubetab::etcd::Commit;
use kubetab::machinery::time::Time;
use kubetab::session::{Action, LogEntry, Session, SessionConfig, SessionLog};
use kubetab::sim::Profile;
use serde_json::Value;

use super::checks::{Checks, Finding};
use super::faults::Faults;
use super::rest;
use super::user::User;

/// How long a cluster gets to come to rest: the longest back-offs and tolerations, and then some.
const REST_MAX: Duration = Duration::from_secs(45 * 60);
/// What happens in the background gets so long: a silent node is noticed, goes, and its pods after it. Taints that could
/// not be written are looked at again with the node's next status, which comes every five minutes.
const AFTERMATH: Duration = Duration::from_secs(330);
/// So often at most a log is played again to make it shorter.
const SHRINK_TRIES: usize = 400;

/// What a seed came to.
#[derive(Default)]
pub struct Report {
    pub steps: u64,
    pub actions: usize,
    pub revisions: u64,
    pub looks: BTreeMap<&'static str, u64>,
    /// What is wrong, and the log that shows it.
    pub failure: Option<(String, SessionLog)>,
    /// The last changes before that, a line each.
    pub story: Vec<String>,
}

/// A session that is being watched.
struct Play {
    session: Session,
    checks: Checks,
    faults: Faults,
    /// What is done while it is done, since a panic leaves no trace in the log.
    doing: Option<Action>,
    /// Whether the last action was taken.
    taken: bool,
}

impl Play {
    fn new(config: SessionConfig) -> Self {
        Self {
            session: Session::new(config),
            checks: Checks::default(),
            faults: Faults::default(),
            doing: None,
            taken: false,
        }
    }

    fn look(&mut self) -> Finding {
        self.checks.after_step(&self.session, &self.faults)
    }

    /// Lets time come to `until`, looking after each step.
    fn run_until(&mut self, until: Time) -> Finding {
        while self.session.cluster().next_step_at().is_some_and(|next| next <= until) {
            self.session.step();
            self.look()?;
        }
        self.session.run_until(until);
        Ok(())
    }

    fn act(&mut self, action: &Action) -> Finding {
        self.doing = Some(action.clone());
        let outcome = self.session.act(action.clone()).map_err(|error| error.to_string())?;
        self.doing = None;
        let is_success = outcome.is_success();
        self.taken = is_success;
        if is_success {
            self.faults.note(action, self.session.now());
        }
        self.checks.after_action(&self.session, action, is_success)?;
        self.look()
    }

    /// Mends all that is broken, and sees whether the cluster becomes what its users want.
    fn come_to_rest(&mut self) -> Finding {
        for action in self.faults.mend(&self.session) {
            self.act(&action)?;
        }
        // What the first could not reach: what was refused while nothing could be written, and containers of machines
        // that are only just starting.
        if !self.faults.mend(&self.session).is_empty() {
            self.run_until(self.session.now() + Duration::from_secs(60))?;
        }
        for action in self.faults.mend(&self.session) {
            self.act(&action)?;
        }
        for action in self.pods_to_give_up().into_iter().chain(self.jobs_to_give_up()) {
            self.act(&action)?;
        }
        let limit = self.session.now() + REST_MAX;
        while !self.session.cluster().is_idle() && self.session.now() < limit {
            self.session.step();
            self.look()?;
        }
        self.run_until(self.session.now() + AFTERMATH)?;
        while !self.session.cluster().is_idle() && self.session.now() < limit {
            self.session.step();
            self.look()?;
        }
        if !self.waits_in_vain() && !self.session.cluster().is_idle() {
            let cluster = self.session.cluster();
            let (unrest, stale) = (cluster.unrest(), cluster.stale_caches());
            return Err(format!("the cluster does not come to rest: {unrest:?}, stale: {stale:?}"));
        }
        rest::check(&self.session)
    }

    /// The deletions of pods whose claims are being deleted. As long as such a pod runs, its claim stays; but a machine that
    /// was switched off meanwhile does not mount it again, as upstream's does not ("PVC is being deleted"), so that the pod
    /// never runs again. Whoever deleted the claim has to delete the pod, too.
    fn pods_to_give_up(&self) -> Vec<Action> {
        let etcd = self.session.cluster().api().etcd();
        let deleted = |namespace: &str, claim: &Value| {
            let key = ObjectKey::new(namespace, claim["persistentVolumeClaim"]["claimName"].as_str().unwrap_or(""));
            etcd.get(Kind::PersistentVolumeClaim, &key).is_some_and(Object::is_deleting)
        };
        let has_deleted_claim = |key: &ObjectKey, pod: &Object| {
            let pod = pod.to_value();
            pod["spec"]["volumes"].as_array().into_iter().flatten().any(|volume| deleted(&key.namespace, volume))
        };
        let pods = etcd.range(Kind::Pod, None).filter(|(key, pod)| !pod.is_deleting() && has_deleted_claim(key, pod));
        pods.map(|(key, _)| super::user::delete("v1", "Pod", &key.namespace, &key.name)).collect()
    }

    /// The deletions of Jobs with a limit for each index whose namespace is being deleted. Such a Job keeps the last failed
    /// pod of an index until the next one is made, which is forbidden there; and a namespace that is being deleted waits for
    /// its pods before it deletes anything else. Upstream's is stuck so, too, until somebody deletes the Job.
    fn jobs_to_give_up(&self) -> Vec<Action> {
        let etcd = self.session.cluster().api().etcd();
        let is_going = |namespace: &str| {
            etcd.get(Kind::Namespace, &ObjectKey::new("", namespace)).is_some_and(Object::is_deleting)
        };
        let limits_indexes = |job: &Object| !job.to_value()["spec"]["backoffLimitPerIndex"].is_null();
        let jobs = etcd.range(Kind::Job, None).filter(|(key, job)| is_going(&key.namespace) && limits_indexes(job));
        jobs.map(|(key, _)| super::user::delete("batch/v1", "Job", &key.namespace, &key.name)).collect()
    }

    /// Whether something is wanted that cannot be: what a quota forbids is tried for ever, and so is a Deployment looked
    /// at that was complete and has lost its room. Failed pods of a DaemonSet are cleared away one by one, each after a
    /// back-off of up to a quarter of an hour.
    fn waits_in_vain(&self) -> bool {
        let etcd = self.session.cluster().api().etcd();
        let waits = |object: &Object| {
            let pod = object.to_value();
            let is_of_daemon_set = pod["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet";
            pod["spec"]["nodeName"].is_null() || is_of_daemon_set && pod["status"]["phase"] == "Failed"
        };
        etcd.count(Kind::ResourceQuota) > 0 || etcd.range(Kind::Pod, None).any(|(_, object)| waits(object))
    }

    /// Plays something, and takes a panic for a finding.
    fn guarded(&mut self, play: impl FnOnce(&mut Self) -> Finding) -> Finding {
        let played = catch_unwind(AssertUnwindSafe(|| play(self)));
        played.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        })
    }

    fn log(&self) -> SessionLog {
        let mut log = self.session.log();
        if let Some(action) = &self.doing {
            log.entries.push(LogEntry { at: self.session.now(), action: action.clone() });
        }
        log
    }
}

/// A cluster of a seed: small, with or without what surrounds a cluster.
fn config(seed: u64) -> SessionConfig {
    let whole = if seed.is_multiple_of(3) { Profile::default() } else { Profile::bare() };
    let default_storage_class = true;
    let nodes = 2 + (seed / 3 % 3) as u32;
    let cloud = if seed % 3 == 1 { Profile::default().cloud } else { whole.cloud.clone() };
    let profile = Profile { nodes, node_cpu: "2".to_owned(), default_storage_class, cloud, ..whole };
    SessionConfig { seed, profile, ..SessionConfig::default() }
}

/// The cluster that given actions are played on.
pub fn script_config() -> SessionConfig {
    let profile = Profile { nodes: 3, node_cpu: "2".to_owned(), ..Profile::default() };
    SessionConfig { seed: 1, profile, ..SessionConfig::default() }
}

/// Plays given actions, each after a while, and lets the cluster come to rest when asked to. Every action must be taken.
pub fn script(actions: &[(u64, Action)], to_rest: bool) -> Finding {
    let mut play = Play::new(script_config());
    for (seconds, action) in actions {
        play.run_until(play.session.now() + Duration::from_secs(*seconds))?;
        let before = play.session.log_length();
        play.act(action)?;
        let taken = play.taken && play.session.log_length() > before;
        if !taken {
            return Err(format!("refused: {action:?}"));
        }
    }
    play.run_until(play.session.now() + Duration::from_secs(30))?;
    if to_rest { play.come_to_rest() } else { Ok(()) }
}

/// Plays a seed until so many steps are made, then lets the cluster come to rest.
pub fn play(seed: u64, steps_max: u64) -> Report {
    let mut play = Play::new(config(seed));
    let found = play.guarded(|play| {
        let mut user = User::new(seed);
        play.run_until(play.session.now() + Duration::from_secs(5))?;
        while play.session.cluster().steps() < steps_max {
            if let Some(action) = user.next(&play.session, &play.faults) {
                play.act(&action)?;
            }
            play.run_until(play.session.now() + user.pause())?;
        }
        play.come_to_rest()
    });
    report(play, found)
}

/// The newest changes, oldest first.
const STORY_LINES: usize = 400;

fn story(session: &Session) -> Vec<String> {
    let etcd = session.cluster().api().etcd();
    let from = etcd.revision().saturating_sub(STORY_LINES as u64);
    let line = |commit: &Commit| {
        let what = match (&commit.before, &commit.after) {
            (None, _) => "creates",
            (_, None) => "removes",
            _ => "changes",
        };
        let deleting = if commit.object().metadata().deletion_timestamp.is_some() { " (being deleted)" } else { "" };
        let value = commit.object().to_value();
        let details = match commit.kind() {
            Kind::Event => format!("{} {}", value["reason"], value["message"]),
            _ => value["status"].to_string(),
        };
        let (time, cause) = (commit.time, &commit.cause);
        let revision = commit.revision;
        format!("{revision} {time} {} {what} {} {}{deleting} {details}", cause.actor, commit.kind(), commit.key)
    };
    let mut lines: Vec<String> = etcd.commits(from).map(line).collect();
    for kind in [Kind::Deployment, Kind::ReplicaSet, Kind::StatefulSet, Kind::DaemonSet, Kind::Job, Kind::CronJob] {
        let left = etcd.range(kind, None).map(|(key, object)| (key, object.to_value()));
        lines.extend(left.map(|(key, object)| format!("in the end: {kind} {key} {}", object["status"])));
    }
    let waits = |object: &serde_json::Value| {
        let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
        !ready && object["status"]["phase"] != "Succeeded" && object["status"]["phase"] != "Failed"
    };
    let pods = etcd.range(Kind::Pod, None).map(|(key, object)| (key, object.to_value()));
    let waiting = pods.filter(|(_, object)| waits(object));
    lines.extend(
        waiting.map(|(key, pod)| format!("in the end: Pod {key} {} {}", pod["spec"]["nodeName"], pod["status"])),
    );
    lines
}

fn report(play: Play, found: Finding) -> Report {
    Report {
        story: if found.is_err() { story(&play.session) } else { Vec::new() },
        steps: play.session.cluster().steps(),
        actions: play.session.log_length(),
        revisions: play.session.cluster().api().etcd().revision(),
        failure: found.err().map(|what| (what, play.log())),
        looks: play.checks.looks,
    }
}

/// Plays a log again with all checks, and then lets the cluster come to rest.
pub fn replay(log: &SessionLog) -> Report {
    let mut play = Play::new(log.config.clone());
    let found = play.guarded(|play| {
        for entry in &log.entries {
            play.run_until(entry.at)?;
            play.act(&entry.action)?;
        }
        play.run_until(log.now)?;
        play.come_to_rest()
    });
    report(play, found)
}

/// Leaves out of a log what does not matter for its failing, and answers the shortest that still fails in about the
/// same words.
pub fn shrink(what: &str, log: &SessionLog) -> (String, SessionLog) {
    let mut best = (what.to_owned(), log.clone());
    let mut tries = 0;
    let mut part = log.entries.len().div_ceil(2);
    while part > 0 && tries < SHRINK_TRIES {
        let mut from = 0;
        while from < best.1.entries.len() && tries < SHRINK_TRIES {
            let mut shorter = best.1.clone();
            shorter.entries.drain(from..(from + part).min(shorter.entries.len()));
            shorter.now = shorter.entries.last().map_or(shorter.config.profile.start, |entry| entry.at);
            tries += 1;
            match replay(&shorter).failure {
                Some((found, mut failed)) if is_alike(&found, what) => {
                    // What was mended in the end is done anew each time.
                    failed.entries.truncate(shorter.entries.len());
                    best = (found, SessionLog { now: shorter.now, steps: 0, ..failed });
                }
                _ => from += part,
            }
        }
        part /= 2;
    }
    best
}

/// Whether two findings say the same of different things: their words without names and numbers.
fn is_alike(one: &str, other: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let is_word =
            |word: &&str| word.len() > 2 && word.chars().all(|c| c.is_ascii_alphabetic() || ",:;.'".contains(c));
        text.split([' ', '\n']).filter(is_word).take(8).map(str::to_owned).collect()
    };
    words(one) == words(other)
}

/// How time passes between one action and the next.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// At once, as where nobody looks.
    Leaps,
    /// In pictures, sixty a second, as where somebody looks at the real speed.
    Frames,
    /// Step by step, as where somebody presses the button.
    Steps,
}

/// How long a picture stands.
const FRAME: Duration = Duration::from_micros(16_667);
/// Pauses that are longer are leapt over by every clock, since nothing but time would be spent on them.
const FRAMES_MAX: u32 = 600;

impl Clock {
    fn run(self, session: &mut Session, until: Time) {
        match self {
            Self::Leaps => {}
            Self::Frames => {
                for _ in 0..FRAMES_MAX {
                    let picture = session.now() + FRAME;
                    if picture >= until {
                        break;
                    }
                    session.run_until(picture);
                }
            }
            Self::Steps => {
                while session.cluster().next_step_at().is_some_and(|next| next <= until) {
                    session.step();
                }
            }
        }
        session.run_until(until);
    }
}

/// What a seed's user does, with a clock of some speed.
pub fn at_speed(seed: u64, steps_max: u64, clock: Clock) -> Session {
    let mut play = Play::new(config(seed));
    let mut user = User::new(seed);
    while play.session.cluster().steps() < steps_max {
        if let Some(action) = user.next(&play.session, &play.faults) {
            let is_success = play.session.act(action.clone()).is_ok_and(|outcome| outcome.is_success());
            if is_success {
                play.faults.note(&action, play.session.now());
            }
        }
        let until = play.session.now() + user.pause();
        clock.run(&mut play.session, until);
    }
    play.session
}

/// Whether the log alone gives the same cluster again.
pub fn replays_alike(seed: u64, steps_max: u64) -> bool {
    let session = at_speed(seed, steps_max, Clock::Leaps);
    let log = SessionLog::from_json(&session.log().to_json()).expect("a session's own log is well-formed");
    Session::from_log(log).hash() == session.hash()
}

/// A cluster that came to rest after given actions, as its users want it.
pub fn at_rest(actions: &[(u64, Action)]) -> Session {
    let mut play = Play::new(script_config());
    for (seconds, action) in actions {
        play.run_until(play.session.now() + Duration::from_secs(*seconds)).expect("nothing is wrong yet");
        play.act(action).expect("nothing is wrong yet");
        assert!(play.taken, "refused: {action:?}");
    }
    play.come_to_rest().expect("the cluster comes to rest");
    play.session
}
