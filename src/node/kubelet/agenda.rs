//! What a kubelet has to do and when: one entry for each piece of work, woken by at most two timers.

use crate::machinery::persistent::{OrdMap, OrdSet};

use crate::client::Client;
use crate::machinery::time::Time;

/// A pod's number on its node, short enough to stand in many entries.
pub(super) type PodId = u32;

/// A piece of work that waits for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// Let the container runtime come as far as the clock.
    Runtime,
    /// The same, for containers that only go on with what they have been doing all the time.
    RuntimeAtRest,
    /// Look at what changed in the runtime (the pod lifecycle event generator's relist).
    Relist,
    /// Begin a sync of a pod.
    Sync(PodId),
    /// Go on with the sync of a pod that waits for something.
    Step(PodId),
    /// Probe a container: the number of the probe among the pod's.
    Probe(PodId, u16),
    /// Write a pod's status, which waited for its turn.
    Status(PodId),
    /// Write a pod's status once more, since somebody else changed it.
    Reconcile(PodId),
    /// Register the node, or look whether its status must be written.
    NodeStatus,
    /// Tell which storage drivers the node has.
    CsiNode,
    /// Renew the node's lease.
    Lease,
    /// Look whether the node is short of memory or disk.
    Eviction,
    /// Look whether images fill the disk.
    ImageGc,
    /// Go on with the shutdown of the node.
    Shutdown,
    /// Look for containers of pods that should not be here.
    Housekeeping,
}

/// The work to come. Work in the background goes on for ever, even in a cluster at rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    due: OrdMap<Work, (Time, u64, bool)>,
    foreground: OrdSet<(Time, u64, Work)>,
    background: OrdSet<(Time, u64, Work)>,
    sequence: u64,
    armed_foreground: Option<Time>,
    armed_background: Option<Time>,
}

impl Agenda {
    /// Plans work, whatever was planned for it before.
    pub(super) fn set(&mut self, work: Work, time: Time, background: bool) {
        self.cancel(work);
        self.sequence += 1;
        self.due.insert(work, (time, self.sequence, background));
        let entry = (time, self.sequence, work);
        self.side(background).insert(entry);
    }

    /// Plans work, unless it is planned for the same time or sooner.
    pub(super) fn set_sooner(&mut self, work: Work, time: Time, background: bool) {
        if self.due.get(&work).is_none_or(|&(known, _, was_background)| time < known || (was_background && !background))
        {
            let time = self.due.get(&work).map_or(time, |&(known, _, _)| known.min(time));
            self.set(work, time, background);
        }
    }

    /// Whether work is planned.
    pub(super) fn is_planned(&self, work: Work) -> bool {
        self.due.contains_key(&work)
    }

    pub(super) fn cancel(&mut self, work: Work) {
        if let Some((time, sequence, background)) = self.due.remove(&work) {
            self.side(background).remove(&(time, sequence, work));
        }
    }

    fn side(&mut self, background: bool) -> &mut OrdSet<(Time, u64, Work)> {
        if background { &mut self.background } else { &mut self.foreground }
    }

    /// Takes the next work whose time has come.
    pub(super) fn pop(&mut self, now: Time) -> Option<Work> {
        let first = |side: &OrdSet<(Time, u64, Work)>| side.get_min().copied();
        let next = first(&self.foreground).into_iter().chain(first(&self.background)).min()?;
        if next.0 > now {
            return None;
        }
        self.cancel(next.2);
        Some(next.2)
    }

    /// Forgets the timers that have run down.
    pub(super) fn woken(&mut self, now: Time) {
        self.armed_foreground = self.armed_foreground.filter(|&time| time > now);
        self.armed_background = self.armed_background.filter(|&time| time > now);
    }

    /// Asks to be woken for the next work.
    pub(super) fn arm(&mut self, client: &mut Client<'_>) {
        if let Some(&(time, ..)) = self.foreground.get_min()
            && self.armed_foreground.is_none_or(|armed| time < armed)
        {
            self.armed_foreground = Some(time);
            client.wake_at(time, 0);
        }
        if let Some(&(time, ..)) = self.background.get_min()
            && self.armed_background.is_none_or(|armed| time < armed)
        {
            self.armed_background = Some(time);
            client.wake_in_background(time, 0);
        }
    }
}
