//! A session that is being played: forwards, backwards, and off into another branch.

use std::time::Duration;

use crate::api::Kind;
use crate::apiserver::{Answer, Call};
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;
use crate::sim::{Cluster, Step};

use super::action::{self, Action, ActionError, Outcome};
use super::log::{LogEntry, SessionConfig, SessionLog};

/// A cluster that remembers what was done to it.
#[derive(Clone, Debug)]
pub struct Session {
    config: SessionConfig,
    /// Everything that was done, also what lies ahead after a rewind.
    entries: Vec<LogEntry>,
    /// How many of the entries the cluster has seen.
    done: usize,
    cluster: Cluster,
    snapshots: Vec<Snapshot>,
    /// The furthest that time ever came on this branch.
    end: Time,
    steps_since_snapshot: u32,
    /// Whether the session goes on when its log is full.
    plays_on: bool,
    /// Where the log ends, when the session went on without it: the moment, and how many steps there had been.
    log_end: Option<(Time, u64)>,
}

/// The cluster as it was: cheap, since it shares all it can with its successors.
#[derive(Clone, Debug)]
struct Snapshot {
    cluster: Cluster,
    done: usize,
}

/// A snapshot is taken after so many steps.
const SNAPSHOT_STEPS: u32 = 2_000;
/// So many snapshots are kept; when there are more, every other of the older half goes.
const SNAPSHOTS_MAX: usize = 128;
/// Of a large cluster fewer are kept, but so many at least.
const SNAPSHOTS_MIN: usize = 16;
/// How many pods there may be in all snapshots together, since each may hold another version of every pod.
const SNAPSHOT_PODS_MAX: usize = 128_000;

impl Session {
    /// A session in which nothing has been done yet.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        let cluster = Cluster::new(config.profile.clone(), config.seed);
        let end = cluster.now();
        let snapshots = vec![Snapshot { cluster: cluster.clone(), done: 0 }];
        Self {
            config,
            entries: Vec::new(),
            done: 0,
            cluster,
            snapshots,
            end,
            steps_since_snapshot: 0,
            plays_on: false,
            log_end: None,
        }
    }

    /// The session that a log tells, played up to where the log ends.
    #[must_use]
    pub fn from_log(log: SessionLog) -> Self {
        let mut session = Self::new(log.config);
        let end = log.entries.last().map_or(log.now, |entry| entry.at.max(log.now));
        session.entries = log.entries;
        session.run_to_step(end, if log.steps == 0 { u64::MAX } else { log.steps });
        session
    }

    /// Lets time come to `until`, or stops within that moment after the step with this number.
    fn run_to_step(&mut self, until: Time, step: u64) {
        // Far from the end there is nothing to count.
        self.run_until(until - Duration::from_micros(1));
        while self.done < self.entries.len() || self.cluster.steps() < step {
            let entry_at = self.entries.get(self.done).map(|entry| entry.at);
            let next = self.cluster.next_step_at().filter(|next| *next <= until);
            if entry_at.is_some_and(|at| next.is_none_or(|next| next > at)) {
                self.redo();
            } else if next.is_some() {
                self.cluster.step();
                self.count_step();
            } else {
                break;
            }
        }
        if self.cluster.next_step_at().is_none_or(|next| next > until) {
            self.cluster.run_until(until);
        }
    }

    /// The session as data, with everything up to now and nothing of what lies ahead after a rewind. When the session
    /// went on after its log was full, up to then.
    #[must_use]
    pub fn log(&self) -> SessionLog {
        let (now, steps) = self.log_end.unwrap_or((self.now(), self.cluster.steps()));
        SessionLog { config: self.config.clone(), entries: self.entries[..self.done].to_vec(), now, steps }
    }

    /// Lets the session go on when its log is full. The log then ends at that moment, and stays one that can be played.
    pub const fn play_on_when_full(&mut self) {
        self.plays_on = true;
    }

    /// Whether the session went on after its log was full.
    #[must_use]
    pub const fn is_beyond_its_log(&self) -> bool {
        self.log_end.is_some()
    }

    /// What the session began with.
    #[must_use]
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Everything that was done on this branch, also what lies ahead after a rewind.
    #[must_use]
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// How much was done up to now.
    #[must_use]
    pub const fn log_length(&self) -> usize {
        self.done
    }

    /// The cluster, to be read.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What time it is in the cluster.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.cluster.now()
    }

    /// The furthest that time ever came on this branch.
    #[must_use]
    pub fn end(&self) -> Time {
        self.end.max(self.now())
    }

    /// Whether the session was rewound and something lies ahead that was done before.
    #[must_use]
    pub fn is_in_the_past(&self) -> bool {
        self.done < self.entries.len() || self.now() < self.end
    }

    /// A number that two sessions share when their clusters are in the same state.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.cluster.hash()
    }

    /// Does something, now. What lay ahead after a rewind is given up: a clone keeps it.
    ///
    /// # Errors
    /// Why it could not be done. A refusal by the API server is no error of the session's: it is an [`Outcome`], and
    /// stands in the log like any other.
    pub fn act(&mut self, action: Action) -> Result<Outcome, ActionError> {
        self.begin(&action)?;
        let outcome = action::perform(&mut self.cluster, &action);
        self.record(action);
        Ok(outcome)
    }

    /// Answers a real client, now. What it wrote stands in the log; what it only read, tried or was refused leaves no
    /// trace.
    ///
    /// # Errors
    /// The API server's refusal, or `ServiceUnavailable` when the session can take no more.
    pub fn request(&mut self, call: &Call) -> Result<Answer, Status> {
        let request = call.request(self.cluster.api())?;
        if request.verb.is_read() {
            return self.cluster.request(request);
        }
        let before = self.cluster.api().etcd().revision();
        let (written, answer) = self.try_out(&Action::Request(call.clone()), |cluster| cluster.request(request))?;
        // A refusal may have written too, and what was only tried has not.
        if written.api().etcd().revision() > before {
            self.cluster = written;
            self.record(Action::Request(call.clone()));
        }
        answer
    }

    /// Does something that may be refused, and writes it down if it is not. What is refused leaves no trace.
    pub(super) fn attempt<T>(
        &mut self,
        action: Action,
        act: impl FnOnce(&mut Cluster) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let (acted, result) = self.try_out(&action, act)?;
        if result.is_ok() {
            self.cluster = acted;
            self.record(action);
        }
        result
    }

    /// Does something in a copy of the cluster.
    fn try_out<T>(&mut self, action: &Action, act: impl FnOnce(&mut Cluster) -> T) -> Result<(Cluster, T), Status> {
        let unavailable = |error: ActionError| Status::new(Reason::ServiceUnavailable, error.to_string());
        self.begin(action).map_err(unavailable)?;
        let mut cluster = self.cluster.clone();
        let result = act(&mut cluster);
        Ok((cluster, result))
    }

    /// Makes room for something to be done now: what lay ahead after a rewind is given up.
    fn begin(&mut self, action: &Action) -> Result<(), ActionError> {
        action.check()?;
        if self.done >= SessionLog::ENTRIES_MAX {
            if !self.plays_on {
                return Err(ActionError::LogFull);
            }
            self.log_end.get_or_insert((self.cluster.now(), self.cluster.steps()));
        }
        self.entries.truncate(self.done);
        // What is due now comes first, so that a replay, which cannot see between two events of one moment, does the
        // same.
        let now = self.now();
        self.cluster.run_until(now);
        self.end = now;
        self.snapshots.retain(|snapshot| snapshot.cluster.now() <= now);
        self.snapshot();
        Ok(())
    }

    /// Writes down what was done now.
    fn record(&mut self, action: Action) {
        if self.log_end.is_some() {
            return;
        }
        self.entries.push(LogEntry { at: self.now(), action });
        self.done = self.entries.len();
    }

    /// Makes one step: the next event of the cluster, or what was done next before a rewind.
    pub fn step(&mut self) -> Option<Step> {
        while let Some(entry) = self.entries.get(self.done) {
            if self.cluster.next_step_at().is_some_and(|next| next <= entry.at) {
                break;
            }
            self.redo();
        }
        let step = self.cluster.step();
        self.count_step();
        step
    }

    /// Lets time come to `until`, doing again what was done before a rewind.
    pub fn run_until(&mut self, until: Time) {
        self.run_some(until, u64::MAX);
    }

    /// As [`Self::run_until`], but after `steps_max` steps it stops where it is. Says whether it came all the way.
    pub fn run_some(&mut self, until: Time, steps_max: u64) -> bool {
        let mut steps = 0;
        loop {
            let entry_at = self.entries.get(self.done).map(|entry| entry.at);
            let target = entry_at.map_or(until, |at| at.min(until));
            while self.cluster.next_step_at().is_some_and(|next| next <= target) {
                if steps >= steps_max {
                    return false;
                }
                steps += 1;
                self.cluster.step();
                self.count_step();
            }
            if entry_at.is_some_and(|at| at <= until) {
                self.redo();
            } else {
                self.cluster.run_until(until);
                return true;
            }
        }
    }

    /// Runs until nothing is left to do but what goes on for ever, or until `limit`. Says whether it became idle.
    pub fn run_until_idle(&mut self, limit: Time) -> bool {
        while !(self.cluster.is_idle() && self.done == self.entries.len()) {
            let next = self.entries.get(self.done).map(|entry| entry.at);
            let next = [next, self.cluster.next_step_at()].into_iter().flatten().min();
            match next {
                Some(time) if time <= limit => self.step(),
                _ => return self.cluster.is_idle(),
            };
        }
        true
    }

    /// Does again what was done at this point before a rewind.
    fn redo(&mut self) {
        let Some(entry) = self.entries.get(self.done).cloned() else { return };
        self.cluster.run_until(entry.at);
        // The outcome was told when it was done first.
        let _ = action::perform(&mut self.cluster, &entry.action);
        self.done += 1;
    }

    /// Goes to any moment: back to what was, or forwards to what was known before.
    pub fn rewind_to(&mut self, time: Time) {
        self.end = self.end();
        if time < self.now() {
            let found = self.snapshots.iter().rposition(|snapshot| snapshot.cluster.now() <= time).unwrap_or(0);
            let snapshot = self.snapshots[found].clone();
            self.cluster = snapshot.cluster;
            self.done = snapshot.done;
            self.steps_since_snapshot = 0;
        }
        self.run_until(time);
    }

    fn count_step(&mut self) {
        self.steps_since_snapshot += 1;
        if self.steps_since_snapshot >= SNAPSHOT_STEPS {
            self.snapshot();
        }
    }

    /// Keeps the cluster as it is now, unless that moment is kept already.
    fn snapshot(&mut self) {
        self.steps_since_snapshot = 0;
        if self.snapshots.last().is_some_and(|last| last.cluster.steps() >= self.cluster.steps()) {
            return;
        }
        self.snapshots.push(Snapshot { cluster: self.cluster.clone(), done: self.done });
        let pods = self.cluster.api().etcd().count(Kind::Pod);
        let most = (SNAPSHOT_PODS_MAX / pods.max(1)).clamp(SNAPSHOTS_MIN, SNAPSHOTS_MAX);
        if self.snapshots.len() > most {
            let older = self.snapshots.len() / 2;
            let mut index = 0;
            self.snapshots.retain(|_| {
                index += 1;
                // The very first stays, since every moment must have a snapshot before it.
                index == 1 || index > older || index % 2 == 0
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::File;

    fn apply(text: &str) -> Action {
        let files = vec![File { name: "web.yaml".to_owned(), text: text.to_owned() }];
        Action::Apply { files, namespace: "default".to_owned(), dry_run: false }
    }

    const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: 'NUMBER'}\n";

    fn config(number: u32) -> Action {
        apply(&CONFIG.replace("NUMBER", &number.to_string()))
    }

    fn played() -> Session {
        let mut session = Session::new(SessionConfig::default());
        for number in 0..5 {
            let until = session.now() + Duration::from_millis(1234);
            session.run_until(until);
            let outcome = session.act(config(number)).expect("a small action is taken");
            assert!(outcome.is_success(), "{outcome:?}");
        }
        let until = session.now() + Duration::from_secs(10);
        session.run_until(until);
        session
    }

    #[test]
    fn a_log_gives_the_same_session_again() {
        let session = played();
        let log = SessionLog::from_json(&session.log().to_json()).expect("a session's own log is well-formed");
        assert_eq!(Session::from_log(log).hash(), session.hash());
    }

    #[test]
    fn what_real_clients_write_is_played_again_and_what_they_try_leaves_no_trace() {
        let mut session = played();
        let mut call = Call {
            method: "POST".to_owned(),
            path: "/api/v1/namespaces/default/configmaps".to_owned(),
            content_type: "application/json".to_owned(),
            body: serde_json::json!({"metadata": {"generateName": "b-"}}),
            client: "curl".to_owned(),
            line: String::new(),
            user: None,
        };
        session.request(&call).expect("it is written");
        let (hash, entries) = (session.hash(), session.entries().len());
        let dry = Call { path: format!("{}?dryRun=All", call.path), ..call.clone() };
        session.request(&dry).expect("it is tried");
        call.body = serde_json::json!({"metadata": {"name": "B"}});
        assert_eq!(session.request(&call).expect_err("a bad name").code(), 422);
        assert_eq!((session.hash(), session.entries().len()), (hash, entries));
        let log = SessionLog::from_json(&session.log().to_json()).expect("a session's own log is well-formed");
        assert_eq!(Session::from_log(log).hash(), hash);
    }

    #[test]
    fn a_session_whose_log_is_full_goes_on_only_if_it_was_told_to() {
        let mut session = played();
        let entry = session.entries[0].clone();
        session.entries = vec![entry; SessionLog::ENTRIES_MAX];
        session.done = session.entries.len();
        assert_eq!(session.act(config(9)), Err(ActionError::LogFull));
        assert!(!session.is_beyond_its_log());
        let full = session.log();
        session.play_on_when_full();
        assert!(session.act(config(9)).is_ok_and(|outcome| outcome.is_success()));
        session.run_until(session.now() + Duration::from_secs(5));
        assert!(session.is_beyond_its_log());
        assert_eq!(session.log(), full, "the log ends where it was full");
    }

    #[test]
    fn rewinding_and_running_on_leads_to_the_same_state() {
        let mut session = played();
        let (end, hash) = (session.now(), session.hash());
        let middle = end - Duration::from_secs(12);
        session.rewind_to(middle);
        assert_eq!(session.now(), middle);
        assert!(session.is_in_the_past());
        while session.step().is_some_and(|step| step.time < end) {}
        session.rewind_to(end);
        assert_eq!(session.hash(), hash);
    }

    #[test]
    fn acting_in_the_past_begins_another_branch() {
        let mut session = played();
        let kept = session.clone();
        session.rewind_to(kept.now() - Duration::from_secs(12));
        session.act(config(99)).expect("a small action is taken");
        assert!(session.entries().len() < kept.entries().len());
        assert!(!session.is_in_the_past());
        assert_ne!(session.hash(), kept.hash());
    }

    #[test]
    fn an_error_is_told_at_its_place() {
        let mut session = Session::new(SessionConfig::default());
        session.run_until(session.now() + Duration::from_secs(1));
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndatta:\n  x: y\n";
        let outcome = session.act(apply(text)).expect("a small action is taken");
        let [error] = outcome.errors.as_slice() else { panic!("one error: {outcome:?}") };
        assert_eq!((error.line, error.column, error.message.as_str()), (5, 1, "unknown field \"datta\""));
    }
}
