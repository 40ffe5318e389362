//! What the page and its worker say to each other.
//!
//! The page sends a [`Command`] whenever the user does something. The worker answers with [`Report`]s and, while it
//! has something new to show, with one [`Frame`] at a time: the next one waits until the page says that it has drawn
//! the last ([`Command::Drawn`]), so that a slow page is never flooded.

use serde::{Deserialize, Serialize};

use crate::etcd::Revision;
use crate::machinery::time::Time;
use crate::session::scenario::{Card, Pointed, Text};
use crate::session::{Action, File, ObjectName};

use super::events::EventRow;
use super::inspect::Details;
use super::requests::{ClientView, Flight};
use super::scene::{Filter, SceneChanges};
use super::terminal::{Completion, TerminalInput, TerminalOutput};
use super::timeline::Mark;
use super::why::Link;
use super::{Actor, Selection, Sentence};

/// What a session begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Start {
    /// A new cluster.
    New,
    /// One of the gallery, by its name.
    Scenario(String),
    /// A shared link, an exported file or what was saved: whatever it is, it is checked.
    Text(String),
    /// As `Text`, without the last thing that was done: the way out when that brought the engine down.
    WithoutLast(String),
}

/// A lesson as the page shows it. What its steps do is kept by the worker, see [`Command::Perform`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// The scenario's name.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// The steps.
    pub steps: Vec<LessonStep>,
}

/// A step of a lesson as the page shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LessonStep {
    /// What to read.
    pub text: Text,
    /// What stands on the button; without it there is nothing to do.
    pub button: Option<Text>,
    /// Files that take their place in the editor.
    pub files: Vec<File>,
    /// The files of the editor that are applied.
    pub apply: Vec<String>,
    /// What is shown in the inspector.
    pub select: Option<Pointed>,
    /// Whether it leads to something; [`Report::Reached`] tells when that is there.
    pub awaits: bool,
}

/// What the page asks of the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Begin a session in place of the present one. A start that cannot be read leaves the present one alone.
    Open {
        /// What to begin with.
        start: Start,
        /// Whether time runs at once.
        play: bool,
    },
    /// Do something to the cluster.
    Act {
        /// Comes back with the outcome.
        id: u32,
        /// What to do.
        action: Action,
    },
    /// Say what an action would come to, and leave the cluster as it is.
    Try {
        /// Comes back with the outcome.
        id: u32,
        /// What to try.
        action: Action,
    },
    /// Replace a workload's pods by new ones, as `kubectl rollout restart` does.
    Restart {
        /// Comes back with the outcome.
        id: u32,
        /// The Deployment, StatefulSet or DaemonSet.
        object: ObjectName,
    },
    /// Show the lesson of a scenario again, after a reload.
    Lesson(String),
    /// This step of the lesson is read now, counted from 0: tell when what it leads to is there.
    Attend(usize),
    /// Do what a step of the lesson does besides writing and applying files.
    Perform {
        /// Comes back with the outcome.
        id: u32,
        /// The number of the step, from 0.
        step: usize,
    },
    /// Let time run, or stop it.
    Play(bool),
    /// How much simulated time passes in a second.
    Speed(f64),
    /// Make one step.
    Step,
    /// Go back to before the last step.
    StepBack,
    /// Run until nothing is left to do.
    UntilIdle,
    /// Let this much simulated time pass at once, in seconds.
    Skip(f64),
    /// Go to a moment.
    Seek(Time),
    /// Go on from here and give up what lies ahead; the page keeps what it was sent as `abandoned`.
    Fork,
    /// Tell everything about this.
    Select(Option<Selection>),
    /// Tell what led to a revision.
    Explain(Revision),
    /// Show only some objects.
    Filter(Filter),
    /// Send the list of events, or stop sending it.
    Events(bool),
    /// The frame with this number was drawn.
    Drawn(u32),
    /// Write the session as a file.
    Export,
    /// Say what can be opened.
    Gallery,
    /// Something for the terminal.
    Terminal(TerminalInput),
}

/// Something wrong with a file, at its exact place. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// The line where it ends.
    pub end_line: usize,
    /// The column behind its end.
    pub end_column: usize,
    /// Whether it is only a warning.
    pub warning: bool,
    /// What kubectl or the API server says.
    pub message: String,
    /// What may help.
    pub hint: Option<Sentence>,
}

/// What came of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was done, as kubectl says it.
    pub lines: Vec<String>,
    /// What was done that kubectl has no words for.
    pub deeds: Vec<Sentence>,
    /// What is wrong with files.
    pub problems: Vec<Problem>,
    /// What was refused and belongs to no file.
    pub refusals: Vec<String>,
}

impl Answer {
    /// Whether everything was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.refusals.is_empty() && self.problems.iter().all(|problem| problem.warning)
    }

    /// Tells what was done by a sentence instead, if there is one and it was done.
    #[must_use]
    pub fn in_words(mut self, deed: Option<Sentence>) -> Self {
        if let Some(deed) = deed.filter(|_| self.is_success()) {
            self.lines.clear();
            self.deeds.push(deed);
        }
        self
    }
}

/// What the worker tells the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// It is there.
    Ready {
        /// The engine's version.
        version: String,
    },
    /// What can be opened.
    Gallery(Vec<Card>),
    /// A session was opened. What the page knew of another is void.
    Opened {
        /// The files for the editor, unless there are none to show.
        files: Vec<File>,
        /// The lesson that goes with it.
        lesson: Option<Lesson>,
        /// When the cluster began.
        start: Time,
    },
    /// The lesson that was asked for.
    Lesson(Option<Lesson>),
    /// What this step of the lesson leads to is there.
    Reached(usize),
    /// A session could not be opened; this is why.
    NotOpened(String),
    /// What came of an action.
    Done {
        /// The number that came with the action.
        id: u32,
        /// What came of it, or why it was not taken into the session.
        outcome: Result<Answer, String>,
    },
    /// What an action would come to.
    Tried {
        /// The number that came with the action.
        id: u32,
        /// What it would come to.
        outcome: Result<Answer, String>,
    },
    /// What there is to draw.
    Frame(Box<Frame>),
    /// Everything about what is selected.
    Details(Option<Details>),
    /// What led to a revision.
    Chain(Revision, Vec<Link>),
    /// A filter that cannot be read, in kubectl's words; `None` when it can.
    FilterError(Option<String>),
    /// The session as text, to be kept: the way back after a reload or a crash, and the share link.
    Saved(String),
    /// What lay ahead when the user acted in the past, as text.
    Abandoned {
        /// The other branch.
        text: String,
        /// Where it ends.
        end: Time,
        /// Where it parted.
        at: Time,
    },
    /// The session as a file.
    Exported(String),
    /// What was written in the terminal.
    Terminal(TerminalOutput),
    /// How a line of the terminal can go on.
    Completed(Completion),
}

/// How time stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// The simulated moment.
    pub now: Time,
    /// The furthest that is known, later than now after a rewind.
    pub end: Time,
    /// Whether time runs.
    pub playing: bool,
    /// How much simulated time passes in a second, if the engine can keep up.
    pub speed: f64,
    /// Whether the engine cannot keep up with that.
    pub behind: bool,
    /// Whether nothing is left to do but what goes on for ever.
    pub idle: bool,
    /// Steps since the cluster began.
    pub steps: u64,
}

/// Numbers of the control plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The store's newest revision.
    pub revision: Revision,
    /// How many watches are open.
    pub watches: usize,
    /// Pods that the scheduler is about to try.
    pub active: usize,
    /// Pods that it will try again after a while.
    pub backing_off: usize,
    /// Pods that it could not place and that wait for something to change.
    pub unschedulable: usize,
    /// Whether the scheduler was stopped.
    pub scheduler_down: bool,
    /// Whether the controllers were.
    pub controllers_down: bool,
    /// Whether the cloud's controllers were.
    pub cloud_down: bool,
}

impl Counts {
    /// Whether a part of the control plane was stopped.
    #[must_use]
    pub const fn is_down(&self, part: &Actor) -> bool {
        match part {
            Actor::Scheduler => self.scheduler_down,
            Actor::Controllers => self.controllers_down,
            Actor::Cloud => self.cloud_down,
            Actor::You | Actor::Etcd | Actor::ApiServer | Actor::Node(_) => false,
        }
    }
}

/// Something that went along an edge of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pulse {
    /// Whom it came from or went to, at the other end from the API server.
    pub actor: Actor,
    /// Whether it went to the API server (a write) or came from it (a watch event).
    pub write: bool,
    /// The kind of the object.
    pub kind: String,
    /// How many such there were.
    pub count: u32,
    /// When the first of them happened.
    pub at: Time,
}

/// What there is to draw since the last frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Its number, to be sent back with [`Command::Drawn`].
    pub number: u32,
    /// Whether it shows everything, not only what changed.
    pub whole: bool,
    /// How time stands.
    pub clock: Clock,
    /// Numbers of the control plane.
    pub counts: Counts,
    /// What is different in the scene.
    pub changes: SceneChanges,
    /// What went along the edges.
    pub pulses: Vec<Pulse>,
    /// The ways that requests went through the network.
    pub flights: Vec<Flight>,
    /// What clients came to, when it is not the same as before.
    pub clients: Option<Vec<ClientView>>,
    /// New marks on the timeline.
    pub marks: Vec<Mark>,
    /// The latest events, when they changed and the page wants them.
    pub events: Option<Vec<EventRow>>,
    /// A number that equal states share, in hexadecimal; told while time stands.
    pub hash: Option<String>,
}
