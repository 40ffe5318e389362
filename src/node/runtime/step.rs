//! Letting containers go on: their processes, what they write and ask for, and what ends them.

use std::sync::Arc;
use std::time::Duration;

use super::agenda::Wake;
use super::container::{Container, ContainerState, EndReason, Id};
use super::directive::Ending;
use super::host::ContainerHost;
use super::{BUSY_TURN, Runtime, RuntimeEvent, SHARED_VOLUME};
use crate::machinery::shell::{Machine, Poll, ProcessTable, Signal};
use crate::machinery::time::Time;

/// How much the processes of a container may do in one turn.
const TURN_BUDGET: u32 = 20_000;
/// For how many turns a busy container is stepped at full speed; afterwards its turns grow rarer, so that a loop
/// without end costs little.
const BUSY_TURNS_MAX: u32 = 100;
/// How soon a process notices that a file it watches was written by another container.
const WATCH_TIME: Duration = Duration::from_millis(100);
/// The longest pause between two turns of a container that never waits.
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(10);

impl Runtime {
    /// Works on a container's processes with its surroundings at hand.
    pub(super) fn with_host<T>(
        &mut self,
        container: &mut Container,
        now: Time,
        work: impl FnOnce(&mut ProcessTable, &mut ContainerHost<'_>) -> T,
    ) -> T {
        let neighbours = self.reachable(&container.sandbox);
        let sandbox = self.sandboxes.get(&container.sandbox).filter(|sandbox| sandbox.config.shared_processes);
        let process_neighbours = sandbox.map(|sandbox| sandbox.containers.clone()).unwrap_or_default();
        let mut host = ContainerHost {
            now,
            random: &mut self.random,
            scripts: &mut self.scripts,
            root: &mut container.root,
            volumes: &mut self.volumes,
            config: &container.config,
            image: &container.image,
            known_image: container.known_image,
            surroundings: &container.surroundings,
            hostname: &container.hostname,
            addresses: &container.addresses,
            containers: &self.containers,
            neighbour_containers: &neighbours,
            own: &container.id,
            ports_are_shared: self.profile.answers_everywhere,
            machine: Machine {
                processors: self.profile.processors,
                processor_millis: container
                    .processor_limit
                    .unwrap_or(u32::MAX)
                    .min(self.profile.processors.saturating_mul(1000)),
                memory_bytes: container.memory_limit.unwrap_or(self.profile.memory_bytes),
            },
            written: Vec::new(),
            process_neighbours: &process_neighbours,
            signals: Vec::new(),
        };
        let result = work(&mut container.table, &mut host);
        let (written, signals) = (host.written, host.signals);
        for (other, pid, signal) in signals {
            self.change(&other, |other| {
                other.table.signal(pid, signal);
                other.wake = Some(Wake { time: now, background: false });
            });
        }
        if !written.is_empty() {
            let own = Arc::clone(&container.id);
            self.volumes_changed(&written, Some(&own), now);
        }
        result
    }

    /// A container wrote to volumes.
    fn volumes_changed(&mut self, keys: &[String], writer: Option<&str>, now: Time) {
        for key in keys.iter().filter(|key| key.starts_with(SHARED_VOLUME)) {
            if !self.written_shared.contains(key) {
                self.written_shared.push(key.clone());
            }
        }
        self.wake_watchers(keys, writer, now);
    }

    /// Wakes those who watch files in volumes that somebody else wrote.
    pub(super) fn wake_watchers(&mut self, keys: &[String], writer: Option<&str>, now: Time) {
        let watches = |container: &&Arc<Container>| {
            Some(&*container.id) != writer
                && container.state == ContainerState::Running
                && container.config.mounts.iter().any(|mount| keys.contains(&mount.volume))
                && container.table.watches_files()
        };
        let watching: Vec<Id> = self.containers.values().filter(watches).map(|held| Arc::clone(&held.id)).collect();
        let seen = now + WATCH_TIME;
        for id in watching {
            self.change(&id, |container| {
                container.table.touch_files();
                if container.wake.is_none_or(|wake| wake.time > seen) {
                    container.wake = Some(Wake::of_processes(seen, now, container.wakes));
                }
            });
        }
    }

    /// Does what is due in a container.
    pub(super) fn wake_container(&mut self, id: &str, now: Time) {
        let Some(container) = self.containers.get(id) else {
            return;
        };
        let kill_at = container.kill_at.filter(|time| *time <= now);
        let ending = container.ending.filter(|(time, _)| *time <= now);
        let wakes = container.wake.is_some_and(|wake| wake.time <= now);
        match (ending, kill_at) {
            (Some((_, Ending::OutOfMemory(_))), _) => {
                self.kill_container(id, Signal::Kill.exit_code(), EndReason::OutOfMemory, now);
                return;
            }
            (Some((_, Ending::Exit(code, _))), _) => {
                let reason = if code == 0 { EndReason::Completed } else { EndReason::Error };
                self.kill_container(id, code, reason, now);
                return;
            }
            _ => {}
        }
        if wakes {
            self.change(id, |container| container.wakes = container.wakes.saturating_add(1));
        }
        self.step_container(id, now);
        // What ends by itself at the last moment has ended by itself.
        if kill_at.is_some() {
            self.kill_container(id, Signal::Kill.exit_code(), EndReason::Error, now);
        }
    }

    /// Changes a container; what it does next may have changed with it. `None` when it is not there.
    pub(super) fn change<T>(&mut self, id: &str, change: impl FnOnce(&mut Container) -> T) -> Option<T> {
        let container = Arc::make_mut(self.containers.get_mut(id)?);
        let result = change(container);
        let wake = container.next_wake();
        let before = std::mem::replace(&mut container.scheduled, wake);
        self.agenda.reschedule(container.number, &container.id, before, wake);
        Some(result)
    }

    /// Takes a container out of the runtime, to be worked on and put back.
    pub(super) fn take_container(&mut self, id: &str) -> Option<Container> {
        self.containers.remove(id).map(Arc::unwrap_or_clone)
    }

    /// Puts a container back.
    pub(super) fn put_container(&mut self, mut container: Container) {
        let wake = container.next_wake();
        let before = std::mem::replace(&mut container.scheduled, wake);
        self.agenda.reschedule(container.number, &container.id, before, wake);
        self.containers.insert(Arc::clone(&container.id), Arc::new(container));
    }

    /// Lets the processes of a container go on.
    pub(super) fn step_container(&mut self, id: &str, now: Time) {
        if self.containers.get(id).is_none_or(|held| held.state != ContainerState::Running) {
            return;
        }
        let Some(mut container) = self.take_container(id) else {
            return;
        };
        let ready: Vec<_> = container.answers.range(..=(now, u64::MAX)).map(|(key, _)| *key).collect();
        for key in ready {
            if let Some(answer) = container.answers.remove(&key) {
                container.table.answer(key.1, answer);
            }
        }
        container.processor.count(&container.table, now);
        let poll = self.with_host(&mut container, now, |table, host| table.step(host, TURN_BUDGET));
        container.processor.note(&container.table, self.processor_most(&container), now);
        container.wake = match poll {
            Poll::Waiting(time) => {
                container.busy = 0;
                time
            }
            Poll::Running => {
                container.busy += 1;
                Some(now + busy_pause(container.busy))
            }
        }
        .map(|time| Wake::of_processes(time, now, container.wakes));
        self.gather_output(&mut container, now);
        let requests = container.table.take_requests();
        let main = container.table.exit_code(1);
        let memory = container.table.memory(now) + self.memory_of_mounts(&container);
        let limit = container.memory_limit.unwrap_or(u64::MAX).min(self.profile.memory_bytes);
        // A directive that lets the container live longer than its program holds it.
        let main = main.filter(|_| container.directed.is_none());
        self.put_container(container);
        for (request, content) in requests {
            self.send_request(id, request, content, now);
        }
        match main {
            Some(0) => self.end_container(id, 0, EndReason::Completed, now),
            Some(code) => self.end_container(id, code, EndReason::Error, now),
            None if memory > limit => {
                self.kill_container(id, Signal::Kill.exit_code(), EndReason::OutOfMemory, now);
            }
            None => {}
        }
    }

    /// Puts what processes wrote where it belongs.
    fn gather_output(&mut self, container: &mut Container, now: Time) {
        for output in container.table.take_output(1) {
            container.log.write(&output);
            if container.is_talkative() {
                container.talk.push(output);
            }
        }
        for exec in container.execs.iter_mut().filter(|exec| exec.code.is_none()) {
            for output in container.table.take_output(exec.pid) {
                exec.output.push(output);
            }
            if let Some(code) = container.table.exit_code(exec.pid) {
                exec.code = Some(code);
                container.table.forget(exec.pid);
                self.events.push(RuntimeEvent::ExecFinished { exec: exec.number });
            }
        }
        debug_assert!(container.started.is_none_or(|started| started <= now));
    }
}

/// How long a container that never waits has to wait for its next turn.
fn busy_pause(turns: u32) -> Duration {
    let slower = turns.saturating_sub(BUSY_TURNS_MAX) / 8;
    (BUSY_TURN * 2_u32.saturating_pow(slower.min(16))).min(BUSY_PAUSE_MAX)
}
