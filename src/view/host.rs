//! The worker's mind: a session, how time runs in it, and what the page has been shown of it.
//!
//! There is no browser in here. Whoever drives a [`Host`] hands it the page's commands and, some thirty times a
//! second, the time that has passed; it answers with reports.

mod lesson;
mod pulses;
mod running;

use std::sync::Arc;
use std::time::Duration;

use crate::api::Kind;
use crate::etcd::Revision;
use crate::machinery::time::Time;
use crate::session::link;
use crate::session::scenario::{self, LessonStep, Scenario};
use crate::session::{Action, File, ObjectName, Outcome, Session, SessionConfig, SessionLog};

use super::actions::describe;
use super::inspect::Details;
use super::is_sign_of_life;
use super::protocol::{Answer, Clock, Command, Counts, Frame, Problem, Report, Start};
use super::requests::{self, ClientView};
use super::scene::{Filter, NodeGroupView, Scene, SceneChanges};
use super::terminal::{Terminal, TerminalInput};
use super::timeline::{Mark, MarkKind, mark_of};
use super::{Selection, Sentence, decision, events, hints, inspect, logs, why};

pub(super) use pulses::explanation;
use running::Running;

/// How old a new cluster is when it is first shown: its nodes are ready by then, as somebody who wants to try
/// something expects.
const NEW_CLUSTER_AGE: Duration = Duration::from_secs(10);
/// How many events the page lists.
const EVENTS_MAX: usize = 200;
/// How many marks a frame brings at most; the newest are kept.
const MARKS_MAX: usize = 400;
/// Logs up to this size are saved while time runs, larger ones only when something is done.
const SAVED_WHILE_RUNNING_BYTES_MAX: usize = 300_000;
/// How much real time passes between two savings while time runs, in seconds.
const SAVE_INTERVAL_SECONDS: f64 = 2.0;

/// What the page has been shown.
#[derive(Clone, Debug, Default)]
struct Shown {
    scene: Scene,
    clock: Clock,
    counts: Counts,
    details: Option<Details>,
    /// The revision up to which marks were told.
    marked: Revision,
    /// The revision up to which writes were drawn.
    pulsed: Revision,
    /// The delivery up to which watch events were drawn.
    delivered: u64,
    /// The request up to which ways through the network were drawn.
    flown: u64,
    clients: Vec<ClientView>,
    /// The revision at which the list of events was sent.
    events: Option<Revision>,
    /// The moment and step for which a hash was sent.
    hashed: Option<(Time, u64)>,
}

/// A session with the page's view of it.
#[derive(Debug)]
pub struct Host {
    session: Session,
    running: Running,
    terminal: Terminal,
    /// What the steps of the lesson do, when one is taken.
    lesson: Vec<LessonStep>,
    /// The lesson's step that is read, until what it leads to is there.
    attended: Option<usize>,
    filter: Filter,
    selection: Option<Selection>,
    wants_events: bool,
    shown: Shown,
    /// Marks of what the user did, to be sent with the next frame.
    marks: Vec<Mark>,
    /// Whether the page waits for a frame whatever it holds.
    wanted: bool,
    whole: bool,
    frame: u32,
    drawn: u32,
    unsaved_seconds: f64,
    saved_steps: Option<u64>,
    reports: Vec<Report>,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host with a new cluster in which time stands.
    #[must_use]
    pub fn new() -> Self {
        Self {
            session: Session::new(SessionConfig::default()),
            running: Running::default(),
            terminal: Terminal::default(),
            lesson: Vec::new(),
            attended: None,
            filter: Filter::default(),
            selection: None,
            wants_events: false,
            shown: Shown::default(),
            marks: Vec::new(),
            wanted: true,
            whole: true,
            frame: 0,
            drawn: 0,
            unsaved_seconds: 0.0,
            saved_steps: None,
            reports: vec![Report::Ready { version: env!("CARGO_PKG_VERSION").to_owned() }],
        }
    }

    /// The session, to be read.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// What there is to say to the page.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Does what the page asks.
    pub fn command(&mut self, command: Command) {
        let is_quiet = matches!(
            command,
            Command::Drawn(_) | Command::Try { .. } | Command::Explain(_) | Command::Export | Command::Gallery
        );
        self.wanted |= !is_quiet;
        match command {
            Command::Open { start, play } => self.open(start, play),
            Command::Act { id, action } => self.act(id, action),
            Command::Try { id, action } => {
                let outcome = self.session.clone().act(action).map(answer).map_err(|error| error.to_string());
                self.reports.push(Report::Tried { id, outcome });
            }
            Command::Restart { id, object } => self.act(id, restart(object, self.session.now())),
            Command::Lesson(id) => self.resume_lesson(&id),
            Command::Attend(step) => self.attend(step),
            Command::Perform { id, step } => self.perform(id, step),
            Command::Play(play) => self.play(play),
            Command::Speed(speed) => self.running.set_speed(speed),
            Command::Step => self.step(),
            Command::StepBack => self.step_back(),
            Command::UntilIdle => self.running.until_idle(self.session.now()),
            Command::Skip(seconds) => self.running.skip(self.session.now(), seconds),
            Command::Seek(time) => self.seek(time),
            Command::Fork => self.fork(),
            Command::Select(selection) => {
                self.selection = selection;
                self.tell_details();
            }
            Command::Explain(revision) => {
                let links = why::chain(self.session.cluster().api().etcd(), revision);
                self.reports.push(Report::Chain(revision, links));
            }
            Command::Filter(filter) => {
                self.reports.push(Report::FilterError(filter.parsed().err()));
                self.filter = filter;
                self.shown.events = None;
            }
            Command::Events(wanted) => {
                self.wants_events = wanted;
                self.shown.events = None;
            }
            Command::Drawn(number) => self.drawn = number,
            Command::Export => self.reports.push(Report::Exported(self.session.log().to_json())),
            Command::Gallery => self.reports.push(Report::Gallery(scenario::gallery())),
            Command::Terminal(input) => self.hear(input),
        }
    }

    fn open(&mut self, start: Start, play: bool) {
        let (session, scenario) = match begin(start) {
            Ok(begun) => begun,
            Err(why) => {
                self.reports.push(Report::NotOpened(why));
                return;
            }
        };
        self.with_terminal(Terminal::stop);
        self.session = session;
        self.running = Running::default();
        self.running.play(play);
        if let Some(speed) = scenario.as_ref().and_then(|(_, scenario)| scenario.speed) {
            self.running.set_speed(speed);
        }
        self.shown = Shown::default();
        // What travelled before it was opened does not travel again.
        self.skip_pulses();
        self.whole = true;
        self.wanted = true;
        self.marks = self.session.entries().iter().map(|entry| mark_of_action(entry.at, &entry.action)).collect();
        let lesson = scenario.as_ref().and_then(|(id, scenario)| lesson::shown(id, scenario));
        self.lesson = scenario.as_ref().map(|(_, scenario)| scenario.steps.clone()).unwrap_or_default();
        self.attended = Some(0);
        let files = scenario.map_or_else(|| self.applied_files(), |(_, scenario)| scenario.files);
        self.reports.push(Report::Opened { files, lesson, start: self.session.config().profile.start });
        self.save();
    }

    /// The files as they were last applied, for the editor of a session that came as text.
    fn applied_files(&self) -> Vec<File> {
        let mut files: Vec<File> = Vec::new();
        for entry in self.session.entries() {
            let Action::Apply { files: applied, .. } = &entry.action else { continue };
            for file in applied {
                match files.iter_mut().find(|known| known.name == file.name) {
                    Some(known) => known.text.clone_from(&file.text),
                    None => files.push(file.clone()),
                }
            }
        }
        files
    }

    fn act(&mut self, id: u32, action: Action) {
        self.leave_the_future();
        let at = self.session.now();
        let mark = mark_of_action(at, &action);
        let deed = deed(&action);
        let outcome = self.session.act(action).map(answer).map_err(|error| error.to_string());
        let outcome = outcome.map(|answer| answer.in_words(deed));
        if outcome.is_ok() {
            self.marks.push(mark);
            self.save();
        }
        self.reports.push(Report::Done { id, outcome });
    }

    /// Whoever acts in the past gives up what lay ahead; the page gets it as text.
    fn leave_the_future(&mut self) {
        if self.session.is_in_the_past() {
            self.reports.push(abandoned(&self.session));
        }
    }

    /// Hears what is typed in the terminal.
    #[inline(never)]
    fn hear(&mut self, input: TerminalInput) {
        if let TerminalInput::Complete { line, files } = &input {
            let completion = self.terminal.complete(line, files, &mut self.session);
            self.reports.push(Report::Completed(completion));
            return;
        }
        self.with_terminal(|terminal, session| terminal.hear(input, session));
    }

    /// Lets the terminal work on the session. What it did is marked, and saved.
    #[inline(never)]
    fn with_terminal(&mut self, work: impl FnOnce(&mut Terminal, &mut Session)) {
        let past = self.session.is_in_the_past().then(|| self.session.clone());
        let done = self.session.log_length();
        work(&mut self.terminal, &mut self.session);
        if let Some(past) = past.filter(|_| !self.session.is_in_the_past()) {
            self.reports.push(abandoned(&past));
        }
        let new = self.session.entries().get(done..).unwrap_or_default();
        if !new.is_empty() && !self.session.is_in_the_past() {
            self.marks.extend(new.iter().map(|entry| mark_of_action(entry.at, &entry.action)));
            self.save();
        }
        self.reports.extend(self.terminal.take_output().map(Report::Terminal));
    }

    fn fork(&mut self) {
        if self.session.is_in_the_past() {
            self.leave_the_future();
            self.session = Session::from_log(self.session.log());
            self.save();
        }
    }

    fn seek(&mut self, time: Time) {
        let start = self.session.config().profile.start;
        let time = time.max(start);
        if time < self.session.now() {
            self.with_terminal(Terminal::stop);
            self.session.rewind_to(time);
            self.running.arrive();
            // What was drawn of the future is void; nothing that is passed again on the way is drawn twice.
            let etcd = self.session.cluster().api().etcd();
            self.shown.marked = self.shown.marked.min(etcd.revision());
            self.skip_pulses();
        } else {
            self.running.run_to(time.min(self.session.end()));
        }
    }

    /// Leaves out what travelled so far.
    fn skip_pulses(&mut self) {
        self.shown.pulsed = self.session.cluster().api().etcd().revision();
        self.shown.delivered = self.session.cluster().activity().end();
        self.shown.flown = self.session.cluster().journeys().end();
    }

    fn save(&mut self) {
        let text = link::pack(&self.session.log().to_json());
        self.unsaved_seconds = 0.0;
        self.saved_steps = Some(self.session.cluster().steps());
        self.reports.push(Report::Saved(text));
    }

    fn save_now_and_then(&mut self, elapsed_seconds: f64) {
        self.unsaved_seconds += elapsed_seconds;
        if self.unsaved_seconds < SAVE_INTERVAL_SECONDS
            || self.saved_steps == Some(self.session.cluster().steps())
            || self.session.is_in_the_past()
        {
            return;
        }
        let bytes: usize = self.session.entries().iter().map(|entry| bytes(&entry.action)).sum();
        if bytes <= SAVED_WHILE_RUNNING_BYTES_MAX {
            self.save();
        } else {
            self.unsaved_seconds = 0.0;
        }
    }

    /// Lets `elapsed_seconds` of real time pass, as long as `time_left` says that there is some, and makes the next
    /// frame when the page is ready for it.
    pub fn tick(&mut self, elapsed_seconds: f64, time_left: &mut dyn FnMut() -> bool) {
        self.advance(elapsed_seconds, time_left);
        self.save_now_and_then(elapsed_seconds);
        if self.drawn == self.frame {
            self.make_frame();
        }
    }

    /// Moves time on. A command of the terminal that waits has its turn at each moment that it waits for.
    fn advance(&mut self, elapsed_seconds: f64, time_left: &mut dyn FnMut() -> bool) {
        if self.terminal.is_running() {
            self.with_terminal(Terminal::step);
        }
        self.running.begin(&self.session, elapsed_seconds);
        loop {
            let stop = self.terminal.wake();
            let arrived = self.running.advance(&mut self.session, stop, time_left);
            if stop.is_none_or(|stop| stop > self.session.now()) {
                return;
            }
            self.with_terminal(Terminal::step);
            if arrived || !time_left() {
                return;
            }
        }
    }

    fn play(&mut self, play: bool) {
        let stops = self.running.is_busy() && !play;
        self.running.play(play);
        if stops {
            // What is kept and shared is the moment at which the user stopped.
            self.save();
        }
    }

    fn step(&mut self) {
        self.running.play(false);
        running::step_to_something_visible(&mut self.session);
        self.unsaved_seconds = SAVE_INTERVAL_SECONDS;
    }

    /// Goes back to the last moment before now at which something other than a sign of life was written.
    fn step_back(&mut self) {
        self.running.play(false);
        let now = self.session.now();
        let etcd = self.session.cluster().api().etcd();
        let newest_first = (0..=etcd.revision()).rev().map_while(|revision| etcd.commit_at(revision));
        let mut moments = newest_first.filter(|commit| !is_sign_of_life(commit)).map(|commit| commit.time);
        let start = self.session.config().profile.start;
        self.seek(moments.find(|moment| *moment < now).unwrap_or(start));
    }

    fn make_frame(&mut self) {
        let clock = self.running.clock(&self.session);
        let revision = self.session.cluster().api().etcd().revision();
        let changed = self.wanted
            || clock != self.shown.clock
            || revision != self.shown.counts.revision
            || self.session.cluster().activity().end() != self.shown.delivered
            || self.session.cluster().journeys().end() != self.shown.flown;
        if !changed {
            return;
        }
        self.wanted = false;
        if !self.lesson.is_empty() {
            self.watch_lesson();
        }
        let scene = self.scene();
        let changes = SceneChanges::between(&self.shown.scene, &scene);
        self.shown.scene = scene;
        self.shown.clock = clock;
        self.shown.counts = self.counts();
        self.frame += 1;
        let frame = Frame {
            number: self.frame,
            whole: std::mem::take(&mut self.whole),
            clock,
            counts: self.shown.counts,
            changes,
            pulses: pulses::new_pulses(&self.session, &mut self.shown.pulsed, &mut self.shown.delivered),
            flights: requests::new_flights(self.session.cluster(), &self.shown.scene, &mut self.shown.flown),
            clients: self.new_clients(),
            marks: self.new_marks(),
            events: self.new_events(),
            hash: self.new_hash(),
        };
        self.reports.push(Report::Frame(Box::new(frame)));
        self.tell_details();
    }

    fn scene(&self) -> Scene {
        let cluster = self.session.cluster();
        let mut scene = Scene::of(cluster.api().etcd(), &self.filter);
        scene.node_groups = cluster.node_groups().map(NodeGroupView::from).collect();
        for (name, node) in &mut scene.nodes {
            Arc::make_mut(node).fault = pulses::fault_of(cluster, name);
        }
        scene
    }

    fn counts(&self) -> Counts {
        let cluster = self.session.cluster();
        let revision = cluster.api().etcd().revision();
        Counts { revision, watches: cluster.watch_count(), ..pulses::queue_counts(cluster) }
    }

    fn new_clients(&mut self) -> Option<Vec<ClientView>> {
        let clients = requests::clients(self.session.cluster());
        if clients == self.shown.clients {
            return None;
        }
        self.shown.clients.clone_from(&clients);
        Some(clients)
    }

    fn new_marks(&mut self) -> Vec<Mark> {
        let etcd = self.session.cluster().api().etcd();
        let mut marks = std::mem::take(&mut self.marks);
        marks.extend(etcd.commits(self.shown.marked).filter_map(mark_of));
        self.shown.marked = etcd.revision();
        let surplus = marks.len().saturating_sub(MARKS_MAX);
        marks.drain(..surplus);
        marks
    }

    fn new_events(&mut self) -> Option<Vec<events::EventRow>> {
        let etcd = self.session.cluster().api().etcd();
        let since = self.shown.events.unwrap_or(0);
        let changed = self.shown.events.is_none()
            || since > etcd.revision()
            || etcd.commits(since).any(|commit| commit.kind() == Kind::Event);
        if !self.wants_events || !changed {
            return None;
        }
        self.shown.events = Some(etcd.revision());
        Some(events::latest(etcd, self.filter.namespace.as_deref(), EVENTS_MAX))
    }

    /// The hash reads every object, so it is made only when time stands.
    fn new_hash(&mut self) -> Option<String> {
        let cluster = self.session.cluster();
        let state = (cluster.now(), cluster.steps());
        if self.running.is_busy() || self.shown.hashed == Some(state) {
            return None;
        }
        self.shown.hashed = Some(state);
        Some(format!("{:016x}", self.session.hash()))
    }

    fn tell_details(&mut self) {
        let cluster = self.session.cluster();
        let details = self.selection.as_ref().map(|selection| match selection {
            Selection::Part(actor) => inspect::part(cluster.api().etcd(), actor),
            Selection::Object(subject) => {
                let mut details = inspect::object(cluster.api().etcd(), subject, cluster.now());
                if let Details::Object(object) = &mut details
                    && subject.known_kind() == Some(Kind::Pod)
                {
                    Arc::make_mut(object).logs = logs::of(cluster, &subject.key());
                }
                if let Details::Object(object) = &mut details
                    && let Some(explanation) = pulses::explanation(cluster, &object.uid)
                {
                    Arc::make_mut(object).decision = Some(decision::of(explanation));
                }
                details
            }
        });
        if details != self.shown.details {
            self.shown.details.clone_from(&details);
            self.reports.push(Report::Details(details));
        }
    }
}

/// What lies ahead of a session, as text.
fn abandoned(session: &Session) -> Report {
    let log = SessionLog {
        config: session.config().clone(),
        entries: session.entries().to_vec(),
        now: session.end(),
        steps: 0,
    };
    Report::Abandoned { text: link::pack(&log.to_json()), end: log.now, at: session.now() }
}

type Begun = (Session, Option<(String, Scenario)>);

/// Makes the session that a start describes.
fn begin(start: Start) -> Result<Begun, String> {
    match start {
        Start::New => {
            let mut session = Session::new(SessionConfig::default());
            session.run_until(session.now() + NEW_CLUSTER_AGE);
            Ok((session, None))
        }
        Start::Scenario(id) => {
            let scenario = Scenario::named(&id).ok_or_else(|| format!("there is no scenario {id:?}"))?;
            Ok((scenario.session(), Some((id, scenario))))
        }
        Start::Text(text) => Ok((Session::from_log(read(&text)?), None)),
        Start::WithoutLast(text) => {
            let mut log = read(&text)?;
            if let Some(last) = log.entries.pop() {
                log.now = last.at;
            }
            Ok((Session::from_log(log), None))
        }
    }
}

/// Reads a log from a link, or from the text of a file.
fn read(text: &str) -> Result<SessionLog, String> {
    let json = if text.trim_start().starts_with('{') {
        text.to_owned()
    } else {
        link::unpack(text).map_err(|error| error.to_string())?
    };
    SessionLog::from_json(&json).map_err(|error| error.to_string())
}

/// What `kubectl rollout restart` does.
fn restart(object: ObjectName, now: Time) -> Action {
    let annotations = serde_json::json!({ "kubectl.kubernetes.io/restartedAt": now.to_rfc3339() });
    let patch = serde_json::json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
    Action::Patch { object, patch }
}

fn answer(outcome: Outcome) -> Answer {
    let problems = outcome.errors.into_iter().map(|error| Problem {
        hint: hints::hint(&error.message),
        file: error.file,
        line: error.line,
        column: error.column,
        end_line: error.end_line,
        end_column: error.end_column,
        warning: error.warning,
        message: error.message,
    });
    Answer { lines: outcome.lines, deeds: Vec::new(), problems: problems.collect(), refusals: outcome.refusals }
}

/// An action that kubectl has no words for.
fn deed(action: &Action) -> Option<Sentence> {
    let is_of_kubectl = matches!(
        action,
        Action::Apply { .. } | Action::Delete { .. } | Action::Scale { .. } | Action::Patch { .. } | Action::Request(_)
    );
    (!is_of_kubectl).then(|| describe(action).0)
}

/// About how much an action adds to a saved session.
fn bytes(action: &Action) -> usize {
    match action {
        Action::Apply { files, .. } => files.iter().map(|file| file.text.len()).sum(),
        _ => 100,
    }
}

fn mark_of_action(at: Time, action: &Action) -> Mark {
    let (text, subject) = describe(action);
    Mark { at, kind: MarkKind::Action, text, subject }
}

#[cfg(test)]
mod tests;
