//! How processes come to know what there is: lists, watches, and what becomes of them when a connection breaks.
//!
//! `k8s.io/client-go/tools/cache/reflector.go` (`ListAndWatch`) and `delta_fifo.go` (`Replace`).

use std::sync::Arc;
use std::time::Duration;

use crate::api::{Kind, Object, ObjectKey};
use crate::client::{InformerEvent, WatchSelector};
use crate::etcd::{Commit, Revision};
use crate::machinery::persistent::OrdMap;

use super::cluster::Cluster;
use super::processes::ProcessId;
use super::queue::Event;

/// How soon a list that found no API server is tried again.
const LIST_RETRY: Duration = Duration::from_secs(1);

impl Cluster {
    /// Answers a process's list and lets its watch begin; tries again later when it cannot be reached. To a process that
    /// knew the kind before, the list tells what came of it since, object by object: of one that was deleted and made
    /// anew meanwhile, it sees a single change.
    pub(super) fn list(&mut self, id: &ProcessId, kind: Kind, selector: &WatchSelector, connected: bool) {
        let Some(slot) = self.processes.get_mut(id) else { return };
        if !connected {
            let event = Event::List { process: id.clone(), epoch: slot.epoch, kind, selector: selector.clone() };
            return self.queue.push(self.now + LIST_RETRY, event, true);
        }
        let known_at = slot.sent.insert(kind, self.api.etcd().revision());
        self.subscriptions.add(id, kind, selector);
        let is_any = kind.custom().is_some();
        let kinds: Vec<Kind> = if is_any { self.api.etcd().custom_kinds().collect() } else { vec![kind] };
        let listed: Vec<InformerEvent> =
            kinds.into_iter().flat_map(|kind| self.changes_since(kind, selector, known_at)).collect();
        for event in listed {
            self.act(id, Some(event.revision), |process, client| process.deliver(&event, client));
        }
    }

    /// What a list says of a kind to somebody who knew it as it was at a revision, or not at all.
    fn changes_since(&self, kind: Kind, selector: &WatchSelector, known_at: Option<Revision>) -> Vec<InformerEvent> {
        let etcd = self.api.etcd();
        let known = known_at.and_then(|revision| etcd.kept_at(kind, revision)).unwrap_or_default();
        let selected = |object: &&Object| selector.selects(object);
        let change = |key: &ObjectKey, after: Option<&Object>| {
            let before = known.get(key).filter(selected).cloned();
            let after = after.filter(selected).cloned();
            let revision = after.as_ref().or(before.as_ref()).map(revision_of)?;
            Some(InformerEvent { kind, key: key.clone(), before, after, revision })
        };
        let gone = known.keys().filter(|key| etcd.get(kind, key).is_none()).filter_map(|key| change(key, None));
        let there = etcd.range(kind, None).filter_map(|(key, object)| change(key, Some(object)));
        there.chain(gone).collect()
    }

    /// Cuts a process off from the API server, or joins it again: then its watches go on where they broke off.
    pub(super) fn connect_process(&mut self, id: &ProcessId, connected: bool) {
        let Some(slot) = self.processes.get_mut(id).filter(|slot| slot.state.connected != connected) else { return };
        slot.state.connected = connected;
        slot.connection += 1;
        if connected {
            self.resume_watches(id);
        }
    }

    /// The watches of a process break, with what was on its way in them, and are opened again.
    pub(super) fn break_watches(&mut self, id: &ProcessId) {
        let Some(slot) = self.processes.get_mut(id).filter(|slot| slot.state.running) else { return };
        slot.connection += 1;
        if slot.state.connected {
            self.resume_watches(id);
        }
    }

    /// Lets the watches of a process go on after what it was told last. When that is not kept any more (410 Expired), it
    /// lists anew.
    fn resume_watches(&mut self, id: &ProcessId) {
        let Some(slot) = self.processes.get_mut(id) else { return };
        // Nothing is on its way any more that could be overtaken.
        slot.horizon = OrdMap::new();
        let sent = slot.sent.clone();
        let Some(&oldest) = sent.values().min() else { return };
        if oldest < self.api.etcd().compacted() {
            return self.expire_watches(id);
        }
        let is_missed =
            |commit: &&Arc<Commit>| sent.get(&commit.kind().as_watched()).is_some_and(|sent| commit.revision > *sent);
        let missed: Vec<Arc<Commit>> = self.api.etcd().shared_commits(oldest).filter(is_missed).cloned().collect();
        for commit in &missed {
            self.send(id, commit, false);
        }
    }

    /// The API server does not know any more what a process missed, which therefore lists anew. What even the log has
    /// lost nobody can tell it: then it begins again from nothing.
    pub(super) fn expire_watches(&mut self, id: &ProcessId) {
        let Some(slot) = self.processes.get_mut(id).filter(|slot| slot.state.running) else { return };
        slot.connection += 1;
        slot.horizon = OrdMap::new();
        let (epoch, watches, sent) = (slot.epoch, slot.watches.clone(), slot.sent.clone());
        let oldest = sent.values().min().copied().unwrap_or(Revision::MAX);
        if !self.api.etcd().keeps(oldest) {
            self.stop_process(id);
            return self.start_process(id);
        }
        self.subscriptions.remove(id, &watches);
        let at = self.now + self.profile.latencies.list();
        // What was never listed is being listed already.
        for spec in watches.iter().filter(|spec| sent.contains_key(&spec.kind)) {
            let event = Event::List { process: id.clone(), epoch, kind: spec.kind, selector: spec.selector.clone() };
            self.queue.push(at, event, false);
        }
    }
}

fn revision_of(object: &Object) -> Revision {
    object.metadata().resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}
