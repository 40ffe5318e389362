//! What is going to happen, in order.

use std::sync::Arc;

use crate::machinery::persistent::OrdMap;

use crate::api::{Kind, Name};
use crate::client::{Token, WatchSelector};
use crate::etcd::Commit;
use crate::machinery::time::Time;

use super::network::Packet;
use super::processes::ProcessId;

/// Something that will happen to a process.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Its list of a kind is answered, and its watch begins.
    List { process: ProcessId, epoch: u32, kind: Kind, selector: WatchSelector },
    /// A watch event reaches it, unless the connection that it is sent on breaks. It carries what it tells: when much is
    /// written at once, the store's log has lost the commit before the event arrives.
    Deliver { process: ProcessId, connection: u32, commit: Arc<Commit> },
    /// A timer of its runs down.
    Wake { process: ProcessId, epoch: u32, token: Token },
    /// A machine that a group of machines makes has booted.
    Boot(Name),
    /// Something arrives over the cluster's network.
    Packet(Box<Packet>),
}

/// An event with whether it is part of what goes on for ever in a cluster at rest.
#[derive(Clone, Debug)]
pub(super) struct Scheduled {
    pub event: Event,
    pub background: bool,
}

/// The events to come. Those of one moment happen in the order in which they were scheduled.
#[derive(Clone, Debug, Default)]
pub(super) struct EventQueue {
    events: OrdMap<(Time, u64), Scheduled>,
    sequence: u64,
    foreground: usize,
}

impl EventQueue {
    pub(super) fn push(&mut self, time: Time, event: Event, background: bool) {
        self.sequence += 1;
        self.foreground += usize::from(!background);
        self.events.insert((time, self.sequence), Scheduled { event, background });
    }

    pub(super) fn next_time(&self) -> Option<Time> {
        self.events.get_min().map(|((time, _), _)| *time)
    }

    pub(super) fn pop(&mut self) -> Option<(Time, Scheduled)> {
        let (key, _) = self.events.get_min()?;
        let key = *key;
        let scheduled = self.events.remove(&key)?;
        self.foreground -= usize::from(!scheduled.background);
        Some((key.0, scheduled))
    }

    /// Whether only what never ends is left.
    pub(super) const fn is_idle(&self) -> bool {
        self.foreground == 0
    }

    /// What does not go on for ever, with its moment.
    pub(super) fn foreground(&self) -> impl Iterator<Item = (Time, &Event)> {
        let events = self.events.iter().filter(|(_, scheduled)| !scheduled.background);
        events.map(|((time, _), scheduled)| (*time, &scheduled.event))
    }

    /// The moments and numbers of all events, for the hash of a cluster.
    pub(super) fn keys(&self) -> impl Iterator<Item = &(Time, u64)> {
        self.events.keys()
    }
}
