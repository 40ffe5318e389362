//! When which container has something to do next, so that nobody has to ask each of them.

use std::sync::Arc;
use std::time::Duration;

use crate::machinery::persistent::OrdSet;

use super::container::Id;
use crate::machinery::time::Time;

/// A wait that is longer than this is rest: nobody who waits for a cluster to become idle waits for its end.
const REST: Duration = Duration::from_secs(60);

/// After so many wakes of its own a container counts as one that goes on for ever: a script that counts, looks and
/// sleeps in a loop without end.
pub(super) const WAKES_BEFORE_REST: u32 = 30;

/// When a container next goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wake {
    pub time: Time,
    /// Whether it only goes on with what it has been doing all the time.
    pub background: bool,
}

impl Wake {
    /// The wake of a container whose processes wait until `time`, at `now`, after `wakes` earlier ones.
    pub(super) fn of_processes(time: Time, now: Time, wakes: u32) -> Self {
        Self { time, background: wakes > WAKES_BEFORE_REST || time.since(now) > REST }
    }
}

/// A container's place: what is due at one time goes on in the order in which it was made.
type Place = (Time, u64, Id);

/// The containers in the order in which they go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    foreground: OrdSet<Place>,
    background: OrdSet<Place>,
}

impl Agenda {
    /// Moves the container of a number from one wake to another.
    pub(super) fn reschedule(&mut self, number: u64, id: &Id, from: Option<Wake>, to: Option<Wake>) {
        if from == to {
            return;
        }
        if let Some(from) = from {
            self.side(from.background).remove(&(from.time, number, Arc::clone(id)));
        }
        if let Some(to) = to {
            self.side(to.background).insert((to.time, number, Arc::clone(id)));
        }
    }

    fn side(&mut self, background: bool) -> &mut OrdSet<Place> {
        if background { &mut self.background } else { &mut self.foreground }
    }

    /// The soonest wake of either kind.
    pub(super) fn next(&self, background: bool) -> Option<Time> {
        let side = if background { &self.background } else { &self.foreground };
        side.get_min().map(|(time, ..)| *time)
    }

    /// The container that is due first, if one is due.
    pub(super) fn due(&self, now: Time) -> Option<Id> {
        let first = self.foreground.get_min().into_iter().chain(self.background.get_min()).min()?;
        (first.0 <= now).then(|| Arc::clone(&first.2))
    }
}
