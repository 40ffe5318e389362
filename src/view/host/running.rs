//! How time runs in a session: not at all, at a speed, or as fast as it can towards a moment.

use std::time::Duration;

use crate::machinery::time::Time;
use crate::session::Session;

use super::super::is_sign_of_life;
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
    /// How far it is to come in this moment of real time.
    due: Time,
    /// Whether a command that waits has yet to see that nothing is left to do.
    looks_once_more: bool,
}

impl Default for Running {
    fn default() -> Self {
        Self {
            playing: false,
            speed: 1.0,
            behind: false,
            goal: Goal::None,
            rest: 0.0,
            due: Time::DEFAULT_START,
            looks_once_more: false,
        }
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
        self.looks_once_more = true;
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

    /// A moment of real time passes: how far the session is to come, if it plays.
    pub(super) fn begin(&mut self, session: &Session, elapsed: f64) {
        if self.goal != Goal::None || !self.playing {
            self.due = session.now();
            return;
        }
        self.rest += elapsed.clamp(0.0, ELAPSED_SECONDS_MAX) * self.speed;
        let due = Duration::from_secs_f64(self.rest);
        let due = Duration::from_micros(u64::try_from(due.as_micros()).unwrap_or(0));
        self.rest = (self.rest - due.as_secs_f64()).max(0.0);
        self.due = session.now() + due;
    }

    /// Moves a session on as far as it is to come in this moment of real time, or to `stop`, where somebody waits.
    /// Says whether it came all the way.
    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        stop: Option<Time>,
        time_left: &mut dyn FnMut() -> bool,
    ) -> bool {
        let stopped = |session: &Session| stop.is_some_and(|stop| session.now() >= stop);
        match self.goal {
            Goal::Moment(time) => {
                let came = run(session, earlier(time, stop), time_left);
                let arrived = came && session.now() >= time;
                if arrived {
                    self.goal = Goal::None;
                }
                arrived || !came
            }
            Goal::Idle(limit) => {
                let came = run_until_idle(session, limit, stop, time_left);
                // Who waits for the last thing that happened looks once more.
                let last_look = session.cluster().is_idle() && std::mem::take(&mut self.looks_once_more);
                if let Some(stop) = stop.filter(|_| came && last_look) {
                    session.run_until(stop);
                }
                if came && !stopped(session) {
                    self.goal = Goal::None;
                    return true;
                }
                !came
            }
            // What cannot be done in time is not made up for: the cluster is slower than was asked, and says so.
            Goal::None if self.playing => {
                let came = run(session, earlier(self.due, stop), time_left);
                self.behind = !came;
                !came || session.now() >= self.due
            }
            Goal::None => {
                self.behind = false;
                true
            }
        }
    }
}

fn earlier(time: Time, stop: Option<Time>) -> Time {
    stop.map_or(time, |stop| stop.min(time))
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

/// Whether it is done: idle, at the limit, or where somebody waits.
fn run_until_idle(session: &mut Session, limit: Time, stop: Option<Time>, time_left: &mut dyn FnMut() -> bool) -> bool {
    loop {
        for _ in 0..STEPS_PER_SLICE {
            let redone = session.is_in_the_past();
            let next = session.cluster().next_step_at();
            if (session.cluster().is_idle() && !redone) || next.is_none_or(|next| next > limit) {
                return true;
            }
            if let Some(stop) = stop.filter(|stop| next.is_some_and(|next| next > *stop)) {
                session.run_until(stop);
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
        let is_seen = |revision| etcd.commit_at(revision).is_some_and(|commit| !is_sign_of_life(commit));
        let wrote = (before.0 + 1..=etcd.revision()).any(is_seen);
        let told = cluster.activity().since(before.1).any(|activity| is_seen(activity.revision));
        if wrote || told {
            return;
        }
    }
}
