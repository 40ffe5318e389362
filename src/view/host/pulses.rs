//! What travelled along the edges since the last frame, and other things that only the cluster knows.

use std::collections::BTreeMap;

use crate::api::Kind;
use crate::etcd::Revision;
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;
use crate::scheduler::explanation::Explanation;
use crate::scheduler::queue::Place;
use crate::session::Session;
use crate::sim::{Cluster, ProcessId};

use super::super::Actor;
use super::super::protocol::{Counts, Pulse};

/// How many pulses a frame brings at most; the earliest are kept, since what follows them is much the same.
const PULSES_MAX: usize = 60;

/// The writes after revision `pulsed` and the watch events after number `delivered`, those alike counted together.
pub(super) fn new_pulses(session: &Session, pulsed: &mut Revision, delivered: &mut u64) -> Vec<Pulse> {
    let cluster = session.cluster();
    let etcd = cluster.api().etcd();
    let mut together: BTreeMap<(Actor, bool, Kind), (u32, Time)> = BTreeMap::new();
    let mut add = |actor: Actor, write: bool, kind: Kind, at: Time| {
        let entry = together.entry((actor, write, kind)).or_insert((0, at));
        entry.0 += 1;
    };
    for commit in etcd.commits(*pulsed) {
        add(Actor::from_name(&commit.cause.actor), true, commit.kind(), commit.time);
    }
    for activity in cluster.activity().since(*delivered) {
        if let Some(commit) = etcd.commit_at(activity.revision) {
            add(Actor::from_name(&activity.process.to_string()), false, commit.kind(), activity.time);
        }
    }
    *pulsed = etcd.revision();
    *delivered = cluster.activity().end();
    let mut pulses: Vec<Pulse> = together
        .into_iter()
        .map(|((actor, write, kind), (count, at))| Pulse { actor, write, kind: kind.info().kind.to_owned(), count, at })
        .collect();
    pulses.order_by_key(|pulse| pulse.at);
    pulses.truncate(PULSES_MAX);
    pulses
}

/// The scheduler's queue in numbers, and which parts of the control plane are stopped.
pub(super) fn queue_counts(cluster: &Cluster) -> Counts {
    let is_down = |id: &ProcessId| cluster.process_state(id).is_some_and(|state| !state.running);
    let mut counts = Counts {
        scheduler_down: is_down(&ProcessId::Scheduler),
        controllers_down: is_down(&ProcessId::ControllerManager),
        cloud_down: is_down(&ProcessId::CloudControllerManager),
        ..Counts::default()
    };
    let Some(scheduler) = cluster.scheduler() else { return counts };
    for queued in scheduler.queue().iter() {
        match queued.place {
            Place::Active => counts.active += 1,
            Place::Backoff | Place::ErrorBackoff => counts.backing_off += 1,
            Place::Unschedulable | Place::Gated => counts.unschedulable += 1,
        }
    }
    counts
}

/// Why the pod with this uid is where it is.
pub(in crate::view) fn explanation<'a>(cluster: &'a Cluster, uid: &str) -> Option<&'a Explanation> {
    cluster.scheduler()?.explanations().last(uid).map(|explanation| &**explanation)
}

/// What the simulation does to a node that no one in the cluster is told.
pub(super) fn fault_of(cluster: &Cluster, node: &str) -> Option<String> {
    let state = cluster.process_state(&ProcessId::Kubelet(node.into()))?;
    let fault = match (state.running, state.connected) {
        (false, _) => "stopped",
        (true, false) => "partitioned",
        (true, true) => return None,
    };
    Some(fault.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Action, Disturbance, File, SessionConfig};
    use crate::sim::ComponentFault;
    use std::time::Duration;

    #[test]
    fn a_part_that_was_stopped_is_known_to_be_down() {
        let mut session = Session::new(SessionConfig::default());
        session.run_until(session.now() + Duration::from_secs(5));
        for (fault, expected) in [(ComponentFault::Stop, true), (ComponentFault::Start, false)] {
            for part in [Actor::Scheduler, Actor::Controllers, Actor::Cloud] {
                assert_ne!(queue_counts(session.cluster()).is_down(&part), expected, "{part:?}");
                let component = part.id().to_owned();
                let outcome = session.act(Action::Disturb(Disturbance { component, fault }));
                assert!(outcome.is_ok_and(|outcome| outcome.is_success()));
                assert_eq!(queue_counts(session.cluster()).is_down(&part), expected, "{part:?}");
            }
        }
    }

    #[test]
    fn the_cloud_controller_manager_is_drawn_at_work_while_it_works() {
        let mut session = Session::new(SessionConfig::default());
        session.run_until(session.now() + Duration::from_secs(20));
        let (mut pulsed, mut delivered) = (0, 0);
        new_pulses(&session, &mut pulsed, &mut delivered);
        let text =
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: LoadBalancer, ports: [{port: 80}]}}";
        let files = vec![File { name: "a.yaml".to_owned(), text: text.to_owned() }];
        let outcome = session.act(Action::Apply { files, namespace: "default".to_owned(), dry_run: false });
        assert!(outcome.is_ok_and(|outcome| outcome.is_success()));
        session.run_until(session.now() + Duration::from_secs(1));
        let pulses = new_pulses(&session, &mut pulsed, &mut delivered);
        let of_cloud = |write: bool| {
            pulses.iter().any(|pulse| pulse.actor == Actor::Cloud && pulse.write == write && pulse.kind == "Service")
        };
        assert!(of_cloud(false), "it is told of the Service");
        assert!(of_cloud(true), "it writes its finalizer into it");
    }
}
