//! How time runs in a session: not at all, at a speed, or as fast as it can towards a moment.

use std::time::Duration;

use crate::api::Kind;
use crate::machinery::time::Time;
use crate::session::Session;

use super::super::protocol::Clock;

/// The slowest and the fastest that time runs, in simulated seconds a second.
const SPEED_MIN: f64 = 0.01;
const SPEED_MAX: f64 = 1000.0;
/// However long the browser was away, at most so much real time is made up for, in seconds.
const ELAPSED_SECONDS_MAX: f64 = 0.25;
/// How many steps are made between two looks at the real clock.
const STEPS_PER_SLICE: u64 = 64;
/// "Until idle" gives up after so much simulated time: something may go on for ever.
const IDLE_LIMIT: Duration = Duration::from_secs(3_600);
/// How many steps a single step may take until something can be seen.
const STEPS_UNSEEN_MAX: usize = 10_000;

/// Where time is going.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Goal {
    /// Nowhere in particular.
    None,
    /// To a moment, as fast as it can.
    Moment(Time),
    /// Until nothing is left to do, or to this moment.
    Idle(Time),
}

/// How time runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    playing: bool,
    speed: f64,
    behind: bool,
    goal: Goal,
    /// Simulated time that is due but less than a microsecond, in seconds.
    rest: f64,
}

impl Default for Running {
    fn default() -> Self {
        Self { playing: false, speed: 1.0, behind: false, goal: Goal::None, rest: 0.0 }
    }
}

impl Running {
    pub(super) const fn play(&mut self, play: bool) {
        self.playing = play;
        self.goal = Goal::None;
    }

    pub(super) const fn set_speed(&mut self, speed: f64) {
        // A speed that is no number leaves everything as it is.
        if speed.is_finite() {
            self.speed = speed.clamp(SPEED_MIN, SPEED_MAX);
        }
    }

    pub(super) fn until_idle(&mut self, now: Time) {
        self.goal = Goal::Idle(now + IDLE_LIMIT);
    }

    pub(super) fn skip(&mut self, now: Time, seconds: f64) {
        let seconds = if seconds.is_finite() { seconds.clamp(0.0, 86_400.0) } else { 0.0 };
        self.goal = Goal::Moment(now + Duration::from_secs_f64(seconds));
    }

    pub(super) const fn run_to(&mut self, time: Time) {
        self.goal = Goal::Moment(time);
    }

    pub(super) const fn arrive(&mut self) {
        self.goal = Goal::None;
    }

    /// Whether time passes.
    pub(super) fn is_busy(&self) -> bool {
        self.playing || self.goal != Goal::None
    }

    pub(super) fn clock(&self, session: &Session) -> Clock {
        Clock {
            now: session.now(),
            end: session.end(),
            playing: self.playing,
            speed: self.speed,
            behind: self.behind,
            idle: session.cluster().is_idle(),
            steps: session.cluster().steps(),
        }
    }

    /// Moves a session on for a moment of real time.
    pub(super) fn advance(&mut self, session: &mut Session, elapsed: f64, time_left: &mut dyn FnMut() -> bool) {
        match self.goal {
            Goal::Moment(time) => {
                if run(session, time, time_left) {
                    self.goal = Goal::None;
                }
            }
            Goal::Idle(limit) => {
                if run_until_idle(session, limit, time_left) {
                    self.goal = Goal::None;
                }
            }
            Goal::None if self.playing => self.play_on(session, elapsed, time_left),
            Goal::None => self.behind = false,
        }
    }

    fn play_on(&mut self, session: &mut Session, elapsed: f64, time_left: &mut dyn FnMut() -> bool) {
        self.rest += elapsed.clamp(0.0, ELAPSED_SECONDS_MAX) * self.speed;
        let due = Duration::from_secs_f64(self.rest);
        let due = Duration::from_micros(u64::try_from(due.as_micros()).unwrap_or(0));
        self.rest = (self.rest - due.as_secs_f64()).max(0.0);
        // What cannot be done in time is not made up for: the cluster is slower than was asked, and says so.
        self.behind = !run(session, session.now() + due, time_left);
    }
}

fn run(session: &mut Session, until: Time, time_left: &mut dyn FnMut() -> bool) -> bool {
    loop {
        if session.run_some(until, STEPS_PER_SLICE) {
            return true;
        }
        if !time_left() {
            return false;
        }
    }
}

/// Whether it is done: idle, or at the limit.
fn run_until_idle(session: &mut Session, limit: Time, time_left: &mut dyn FnMut() -> bool) -> bool {
    loop {
        for _ in 0..STEPS_PER_SLICE {
            let redone = session.is_in_the_past();
            let next = session.cluster().next_step_at();
            if (session.cluster().is_idle() && !redone) || next.is_none_or(|next| next > limit) {
                return true;
            }
            session.step();
        }
        if !time_left() {
            return false;
        }
    }
}

/// Makes steps until something was written or a watch event arrived that is more than a sign of life.
pub(super) fn step_to_something_visible(session: &mut Session) {
    for _ in 0..STEPS_UNSEEN_MAX {
        let before = (session.cluster().api().etcd().revision(), session.cluster().activity().end());
        if session.step().is_none() {
            return;
        }
        let cluster = session.cluster();
        let etcd = cluster.api().etcd();
        let is_seen = |revision| etcd.commit_at(revision).is_some_and(|commit| commit.kind() != Kind::Lease);
        let wrote = (before.0 + 1..=etcd.revision()).any(is_seen);
        let told = cluster.activity().since(before.1).any(|activity| is_seen(activity.revision));
        if wrote || told {
            return;
        }
    }
}
