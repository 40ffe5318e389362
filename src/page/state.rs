//! What the page knows: signals that the worker's reports set and the components read.

use std::collections::VecDeque;

use leptos::prelude::*;

use crate::etcd::Revision;
use crate::machinery::time::Time;
use crate::session::scenario::Card;
use crate::session::{Action, File, ObjectName};
use crate::view::events::EventRow;
use crate::view::inspect::Details;
use crate::view::protocol::{Answer, Clock, Command, Counts, Frame, Lesson, Problem, Pulse, Report, Start};
use crate::view::requests::{ClientView, Flight};
use crate::view::scene::{Filter, Scene};
use crate::view::terminal::{TerminalInput, is_for_kubectl};
use crate::view::timeline::Mark;
use crate::view::why::Link;
use crate::view::words::{self, Key, Language};
use crate::view::{Selection, Sentence, Subject};

use super::lesson::Taken;
use super::link::WorkerLink;
pub(super) use super::looks::{Folded, Room, Theme};
use super::requests::Draft;
use super::storage;
use super::terminal::Screen;

/// How many marks the timeline keeps; the oldest go first.
const MARKS_MAX: usize = 2_000;
/// How many pulses wait to be drawn; later ones are dropped when the screen cannot keep up.
const PULSES_MAX: usize = 240;
/// After a frame the page rests so many times as long as it took to draw it.
const REST_PER_WORK: f64 = 2.0;
/// How many other branches are kept.
const BRANCHES_MAX: usize = 8;

/// How the engine fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Engine {
    /// The worker is loading.
    #[default]
    Starting,
    /// It answers.
    Live,
    /// It died and was started again from what was saved.
    Restored,
    /// It died again soon after: the user decides.
    Dead(String),
}

impl Engine {
    pub(super) const fn id(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Restored => "restored",
            Self::Dead(_) => "dead",
        }
    }
}

/// A dialog that lies above the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dialog {
    /// The scenario gallery.
    Gallery,
    /// Link, file and embedding.
    Share,
    /// A new node.
    AddNode,
    /// An image that shall not be pulled.
    BreakImage,
    /// Delete this?
    Delete(ObjectName),
}

/// Something told to the user in passing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) id: u32,
    pub(super) bad: bool,
    pub(super) text: String,
}

/// A session that was left: another branch of time, or the user's own work before a link was opened.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Branch {
    /// The session.
    pub(super) text: String,
    /// The clock where it was left, as shown.
    pub(super) clock: String,
}

/// What the answer to an action is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Files were applied from the editor.
    Apply,
    /// Files were tried from the editor.
    DryRun,
    /// Files are checked while they are written.
    Check,
    /// Anything else.
    Other,
}

/// What is said below the editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// What was done.
    Line(String),
    /// What is wrong at a place.
    Problem(Problem),
    /// What was refused.
    Refusal(String),
}

/// The files in the editor.
#[derive(Clone, Copy)]
pub(super) struct Files {
    pub(super) list: RwSignal<Vec<File>>,
    pub(super) current: RwSignal<String>,
    /// Counts how often the page itself changed texts, so that the editor shows them.
    pub(super) replaced: RwSignal<u32>,
    pub(super) problems: RwSignal<Vec<Problem>>,
    pub(super) messages: RwSignal<Vec<Message>>,
    /// A place that the editor shall show: file, line, column.
    pub(super) go_to: RwSignal<Option<(String, usize, usize)>>,
}

/// What is known of the cluster.
#[derive(Clone, Copy)]
pub(super) struct Cluster {
    pub(super) scene: RwSignal<Scene>,
    pub(super) clock: RwSignal<Clock>,
    pub(super) counts: RwSignal<Counts>,
    pub(super) start: RwSignal<Time>,
    pub(super) hash: RwSignal<String>,
    /// In the order of time.
    pub(super) marks: RwSignal<Vec<Mark>>,
    pub(super) events: RwSignal<Vec<EventRow>>,
    pub(super) pulses: StoredValue<VecDeque<Pulse>>,
    pub(super) flights: StoredValue<VecDeque<Flight>>,
    pub(super) clients: RwSignal<Vec<ClientView>>,
    pub(super) frames: RwSignal<u32>,
}

/// Everything that the components share. Copy it freely: it is a bundle of signals.
#[derive(Clone, Copy)]
pub(super) struct App {
    pub(super) language: RwSignal<Language>,
    pub(super) theme: RwSignal<Theme>,
    pub(super) dark: Memo<bool>,
    pub(super) folded: RwSignal<Folded>,
    pub(super) engine: RwSignal<Engine>,
    /// Whether a part of the page could not be loaded so far.
    pub(super) incomplete: RwSignal<bool>,
    pub(super) cluster: Cluster,
    pub(super) files: Files,
    pub(super) selection: RwSignal<Option<Selection>>,
    pub(super) details: RwSignal<Option<Details>>,
    pub(super) chain: RwSignal<Option<(Revision, Vec<Link>)>>,
    pub(super) filter: RwSignal<Filter>,
    pub(super) filter_error: RwSignal<Option<String>>,
    pub(super) gallery: RwSignal<Vec<Card>>,
    pub(super) lesson: RwSignal<Option<Taken>>,
    pub(super) notices: RwSignal<Vec<Notice>>,
    pub(super) dialog: RwSignal<Option<Dialog>>,
    pub(super) room: RwSignal<Room>,
    /// What is shown below the timeline: the events, the terminal or the requests.
    pub(super) panel: RwSignal<Room>,
    pub(super) screen: Screen,
    pub(super) draft: Draft,
    pub(super) branches: RwSignal<Vec<Branch>>,
    pub(super) saved: RwSignal<String>,
    pub(super) embedded: bool,
    pending: StoredValue<Vec<(u32, Purpose)>>,
    next_id: StoredValue<u32>,
    link: StoredValue<WorkerLink, LocalStorage>,
}

impl App {
    pub(super) fn new(language: Language, prefers_dark: RwSignal<bool>, embedded: bool) -> Self {
        let theme = RwSignal::new(storage::load(super::THEME).map_or(Theme::Auto, |id| Theme::from_id(&id)));
        let dark = Memo::new(move |_| match theme.get() {
            Theme::Auto => prefers_dark.get(),
            theme => theme == Theme::Dark,
        });
        Self {
            language: RwSignal::new(language),
            theme,
            dark,
            folded: RwSignal::new(Folded(storage::load(super::FOLDED).unwrap_or_default())),
            engine: RwSignal::default(),
            incomplete: RwSignal::default(),
            cluster: Cluster {
                scene: RwSignal::default(),
                clock: RwSignal::default(),
                counts: RwSignal::default(),
                start: RwSignal::default(),
                hash: RwSignal::default(),
                marks: RwSignal::default(),
                events: RwSignal::default(),
                pulses: StoredValue::default(),
                flights: StoredValue::default(),
                clients: RwSignal::default(),
                frames: RwSignal::default(),
            },
            files: Files {
                list: RwSignal::new(storage::load_files()),
                current: RwSignal::default(),
                replaced: RwSignal::default(),
                problems: RwSignal::default(),
                messages: RwSignal::default(),
                go_to: RwSignal::default(),
            },
            selection: RwSignal::default(),
            details: RwSignal::default(),
            chain: RwSignal::default(),
            filter: RwSignal::default(),
            filter_error: RwSignal::default(),
            gallery: RwSignal::default(),
            lesson: RwSignal::default(),
            notices: RwSignal::default(),
            dialog: RwSignal::default(),
            room: RwSignal::new(Room::Graph),
            panel: RwSignal::new(storage::load(super::PANEL).map_or(Room::Events, |id| Room::panel(&id))),
            screen: Screen::default(),
            draft: Draft::default(),
            branches: RwSignal::new(storage::load_branches()),
            saved: RwSignal::new(storage::load_session().unwrap_or_default()),
            embedded,
            pending: StoredValue::default(),
            next_id: StoredValue::default(),
            link: StoredValue::new_local(WorkerLink::default()),
        }
    }

    /// A text in the page's language. Tracks the language.
    pub(super) fn text(self, key: Key) -> &'static str {
        key.text(self.language.get())
    }

    /// A text whose gaps are filled.
    pub(super) fn fill(self, key: Key, values: &[&str]) -> String {
        let language = self.language.get();
        let text = crate::view::sentence::fill(key.text(language), values);
        if language == Language::Korean { words::with_particles(&text) } else { text }
    }

    /// A sentence of the engine in the page's language.
    pub(super) fn say(self, sentence: &Sentence) -> String {
        words::say(sentence, self.language.get())
    }

    /// An English phrase of the engine in the page's language.
    pub(super) fn phrase(self, english: &str) -> String {
        words::phrase(english, self.language.get()).to_owned()
    }

    /// Time since the cluster began, as the clock shows it.
    pub(super) fn clock_text(self, time: Time) -> String {
        clock_text(time, self.cluster.start.get())
    }

    /// Connects the page to its worker.
    pub(super) fn connect(self, link: WorkerLink) {
        self.link.set_value(link);
    }

    /// Tells the worker something.
    pub(super) fn send(self, command: &Command) {
        self.link.with_value(|link| link.send(command));
    }

    /// Does something to the cluster.
    pub(super) fn act(self, action: Action) {
        let id = self.expect(Purpose::Other);
        self.send(&Command::Act { id, action });
    }

    /// Replaces a workload's pods by new ones.
    pub(super) fn restart(self, object: ObjectName) {
        let id = self.expect(Purpose::Other);
        self.send(&Command::Restart { id, object });
    }

    /// Does what a step of the lesson does besides writing and applying files.
    pub(super) fn perform(self, step: usize) {
        let id = self.expect(Purpose::Other);
        self.send(&Command::Perform { id, step });
    }

    /// Shows a room that may be folded away, or lie behind another on a phone.
    pub(super) fn show(self, room: Room) {
        self.room.set(room);
        let is_panel = Room::PANELS.contains(&room);
        if is_panel {
            self.panel.set(room);
        }
        let room = if is_panel { Room::Events } else { room };
        if self.folded.with_untracked(|folded| folded.contains(room)) {
            self.folded.update(|folded| folded.toggle(room));
        }
    }

    fn expect(self, purpose: Purpose) -> u32 {
        self.next_id.update_value(|id| *id += 1);
        let id = self.next_id.get_value();
        self.pending.update_value(|pending| pending.push((id, purpose)));
        id
    }

    /// The namespace into which files are applied that name none.
    fn namespace(self) -> String {
        self.filter.with_untracked(|filter| filter.namespace.clone()).unwrap_or_else(|| "default".to_owned())
    }

    fn files_action(self, dry_run: bool, names: Option<&[String]>) -> Option<Action> {
        let mut files = self.files.list.get_untracked();
        if let Some(names) = names {
            files.retain(|file| names.contains(&file.name));
        }
        files.retain(|file| !file.text.trim().is_empty() && !is_for_kubectl(&file.name));
        (!files.is_empty()).then(|| Action::Apply { files, namespace: self.namespace(), dry_run })
    }

    /// Applies the editor's files: all, or those named.
    pub(super) fn apply(self, names: Option<&[String]>) {
        let current = self.files.current.get_untracked();
        if names.is_none() && is_for_kubectl(&current) {
            // `kubectl edit` waits for it, and says itself what becomes of it.
            let files = self.files.list.get_untracked();
            self.show(Room::Terminal);
            self.tell_terminal(TerminalInput::Save { name: current, files });
            return;
        }
        if let Some(action) = self.files_action(false, names) {
            let id = self.expect(Purpose::Apply);
            self.send(&Command::Act { id, action });
        }
    }

    /// Says what applying the editor's files would come to.
    pub(super) fn dry_run(self) {
        if let Some(action) = self.files_action(true, None) {
            let id = self.expect(Purpose::DryRun);
            self.send(&Command::Try { id, action });
        }
    }

    /// Looks for mistakes in the editor's files.
    pub(super) fn check(self) {
        match self.files_action(true, None) {
            Some(action) => {
                let id = self.expect(Purpose::Check);
                self.send(&Command::Try { id, action });
            }
            None => self.files.problems.set(Vec::new()),
        }
    }

    /// Puts files into the editor in place of those of the same names.
    pub(super) fn put_files(self, files: Vec<File>) {
        let Some(first) = files.first().map(|file| file.name.clone()) else { return };
        self.files.list.update(|list| {
            for file in files {
                match list.iter_mut().find(|known| known.name == file.name) {
                    Some(known) => known.text = file.text,
                    None => list.push(file),
                }
            }
        });
        self.files.current.set(first);
        self.files.replaced.update(|count| *count += 1);
    }

    /// Selects something, or nothing.
    pub(super) fn select(self, selection: Option<Selection>) {
        if self.selection.get_untracked() == selection {
            return;
        }
        self.chain.set(None);
        if selection.is_none() {
            self.details.set(None);
        }
        self.selection.set(selection.clone());
        self.send(&Command::Select(selection));
    }

    /// Selects an object.
    pub(super) fn select_object(self, subject: Subject) {
        self.select(Some(Selection::Object(subject)));
    }

    /// Begins another session; the present one is kept among the branches.
    pub(super) fn open(self, start: Start, play: bool) {
        let saved = self.saved.get_untracked();
        if !saved.is_empty() && self.cluster.marks.with_untracked(|marks| has_actions(marks)) {
            let clock = clock_text(self.cluster.clock.get_untracked().now, self.cluster.start.get_untracked());
            self.keep_branch(Branch { text: saved, clock });
        }
        self.send(&Command::Open { start, play });
        // What another session was filtered by would only hide this one.
        self.filter.set(Filter::default());
        self.send(&Command::Filter(Filter::default()));
    }

    pub(super) fn keep_branch(self, branch: Branch) {
        self.branches.update(|branches| {
            branches.retain(|known| known.text != branch.text);
            branches.insert(0, branch);
            branches.truncate(BRANCHES_MAX);
        });
        self.branches.with_untracked(|branches| storage::save_branches(branches));
    }

    /// Tells the user something in passing.
    pub(super) fn notice(self, bad: bool, text: String) {
        self.next_id.update_value(|id| *id += 1);
        let id = self.next_id.get_value();
        self.notices.update(|notices| {
            notices.retain(|notice| notice.text != text);
            notices.push(Notice { id, bad, text });
            let surplus = notices.len().saturating_sub(4);
            notices.drain(..surplus);
        });
        let stay = if bad { 12_000 } else { 5_000 };
        set_timeout(
            move || self.notices.update(|notices| notices.retain(|notice| notice.id != id)),
            std::time::Duration::from_millis(stay),
        );
    }

    /// Takes in what the worker tells.
    pub(super) fn receive(self, report: Report) {
        match report {
            Report::Ready { .. } => {}
            Report::Gallery(cards) => self.gallery.set(cards),
            Report::Opened { files, lesson, start } => self.opened(files, lesson, start),
            Report::Lesson(lesson) => {
                let step = storage::load_lesson().map_or(0, |(_, step)| step);
                self.lesson.set(lesson.map(|lesson| Taken::at(lesson, step)));
                self.go_to_step(step);
            }
            Report::Reached(step) => self.lesson.update(|taken| {
                if let Some(taken) = taken.as_mut().filter(|taken| taken.step == step) {
                    taken.reached = true;
                }
            }),
            Report::NotOpened(why) => self.notice(true, self.fill(crate::key!("open.failed"), &[&why])),
            Report::Done { id, outcome } | Report::Tried { id, outcome } => self.answered(id, outcome),
            Report::Frame(frame) => self.draw(*frame),
            Report::Details(details) => self.details.set(details),
            Report::Chain(revision, links) => self.chain.set(Some((revision, links))),
            Report::FilterError(error) => self.filter_error.set(error),
            Report::Saved(text) => {
                storage::save_session(&text);
                self.saved.set(text);
            }
            Report::Abandoned { text, end, at } => {
                self.cluster.marks.update(|marks| marks.retain(|mark| mark.at <= at));
                self.keep_branch(Branch { text, clock: clock_text(end, self.cluster.start.get_untracked()) });
                self.notice(false, self.text(crate::key!("branch.kept")).to_owned());
            }
            Report::Exported(text) => storage::download("kubetab-session.json", &text),
            Report::Terminal(output) => self.hear_terminal(output),
            Report::Completed(completion) => self.hear_completion(completion),
        }
    }

    fn opened(self, files: Vec<File>, lesson: Option<Lesson>, start: Time) {
        self.cluster.start.set(start);
        self.cluster.marks.set(Vec::new());
        self.cluster.pulses.update_value(VecDeque::clear);
        self.select(None);
        self.files.messages.set(Vec::new());
        if !files.is_empty() {
            self.files.list.set(Vec::new());
            self.put_files(files);
        }
        self.lesson.set(lesson.map(|lesson| Taken::at(lesson, 0)));
    }

    fn answered(self, id: u32, outcome: Result<Answer, String>) {
        let mut purpose = Purpose::Other;
        self.pending.update_value(|pending| {
            if let Some(index) = pending.iter().position(|(waiting, _)| *waiting == id) {
                purpose = pending.swap_remove(index).1;
            }
        });
        let answer = outcome.unwrap_or_else(|why| Answer { refusals: vec![why], ..Answer::default() });
        if purpose == Purpose::Other {
            let bad = !answer.is_success();
            let deeds = answer.deeds.iter().map(|deed| self.say(deed));
            for text in answer.refusals.into_iter().chain(answer.lines).chain(deeds) {
                self.notice(bad, text);
            }
            return;
        }
        self.files.problems.set(answer.problems.clone());
        if purpose != Purpose::Check {
            let problems = answer.problems.into_iter().map(Message::Problem);
            let refusals = answer.refusals.into_iter().map(Message::Refusal);
            let deeds = answer.deeds.iter().map(|deed| self.say(deed));
            let lines = answer.lines.into_iter().chain(deeds).map(Message::Line);
            self.files.messages.set(problems.chain(refusals).chain(lines).collect());
        }
    }

    fn draw(self, frame: Frame) {
        let begun = now_ms();
        let cluster = self.cluster;
        if frame.whole {
            cluster.scene.update(|scene| {
                *scene = Scene::default();
                scene.apply(frame.changes);
            });
        } else if frame.changes != crate::view::scene::SceneChanges::default() {
            cluster.scene.update(|scene| scene.apply(frame.changes));
        }
        cluster.clock.set(frame.clock);
        if cluster.counts.get_untracked() != frame.counts {
            cluster.counts.set(frame.counts);
        }
        if !frame.marks.is_empty() {
            cluster.marks.update(|marks| {
                for mark in frame.marks {
                    // After a rewind the same marks come again.
                    let place = marks.partition_point(|known| *known < mark);
                    if marks.get(place) != Some(&mark) {
                        marks.insert(place, mark);
                    }
                }
                let surplus = marks.len().saturating_sub(MARKS_MAX);
                marks.drain(..surplus);
            });
        }
        if let Some(events) = frame.events {
            cluster.events.set(events);
        }
        match frame.hash {
            Some(hash) => cluster.hash.set(hash),
            None if frame.clock.playing && cluster.hash.with_untracked(|hash| !hash.is_empty()) => {
                cluster.hash.set(String::new());
            }
            None => {}
        }
        cluster.pulses.update_value(|pulses| {
            let room = PULSES_MAX.saturating_sub(pulses.len());
            pulses.extend(frame.pulses.into_iter().take(room));
        });
        cluster.flights.update_value(|flights| {
            let room = PULSES_MAX.saturating_sub(flights.len());
            flights.extend(frame.flights.into_iter().take(room));
        });
        if let Some(clients) = frame.clients {
            let is_new = !frame.whole && clients.len() > cluster.clients.with_untracked(Vec::len);
            if is_new && self.lesson.with_untracked(Option::is_some) {
                self.panel.set(Room::Requests);
            }
            cluster.clients.set(clients);
        }
        if self.engine.with_untracked(|engine| *engine == Engine::Starting) {
            self.engine.set(Engine::Live);
        }
        cluster.frames.set(frame.number);
        // The next frame comes when the browser has had time to paint this one. The more there is to draw, the rarer:
        // two thirds of the time are left for what moves, and for the user.
        set_timeout(
            move || {
                let took = now_ms() - begun;
                let rest = std::time::Duration::from_secs_f64((took * REST_PER_WORK / 1000.0).clamp(0.0, 0.5));
                set_timeout(move || request_animation_frame(move || self.send(&Command::Drawn(frame.number))), rest);
            },
            std::time::Duration::ZERO,
        );
    }
}

fn has_actions(marks: &[Mark]) -> bool {
    marks.iter().any(|mark| mark.kind == crate::view::timeline::MarkKind::Action)
}

/// `00:01:42.318`, with days in front when there are any.
pub(super) fn clock_text(time: Time, start: Time) -> String {
    let since = time.since(start);
    let seconds = since.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let clock = format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, since.subsec_millis());
    if days == 0 { clock } else { format!("{days}d {clock}") }
}

/// The browser's clock, in milliseconds.
pub(super) fn now_ms() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}
