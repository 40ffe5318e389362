//! The processor time that a container uses: the model behind `kubectl top`.
//!
//! What a process costs while it waits (an idle server's few thousandths) and while it is busy (a whole processor) is
//! counted by time, what a request costs when it is answered, and every turn of a shell costs a little.

use super::Runtime;
use super::container::{Container, ContainerState};
use crate::machinery::shell::ProcessTable;
use crate::machinery::time::Time;

/// What it costs to let a shell go on.
const TURN_NANOS: u64 = 1_000_000;

/// Counts the processor time of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meter {
    /// What was counted up to `since`.
    nanos: u64,
    since: Time,
    /// What its processes have used since then, in thousandths of a processor.
    millis: u32,
    /// What requests had cost by then, in milliseconds.
    spent: u64,
}

impl Meter {
    /// A meter of a container that starts now.
    pub(super) fn start(now: Time) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// What it shows at a moment.
    pub(super) fn nanos(&self, table: &ProcessTable, now: Time) -> u64 {
        let micros = u64::try_from(now.since(self.since).as_micros()).unwrap_or(u64::MAX);
        // A thousandth of a processor is a nanosecond a microsecond.
        let by_time = u64::from(self.millis).saturating_mul(micros);
        let by_requests = table.spent().saturating_sub(self.spent).saturating_mul(1_000_000);
        self.nanos.saturating_add(by_time).saturating_add(by_requests)
    }

    /// Counts up to a moment, before its processes go on.
    pub(super) fn count(&mut self, table: &ProcessTable, now: Time) {
        self.nanos = self.nanos(table, now);
        (self.since, self.spent) = (now, table.spent());
    }

    /// Notes what its processes do from now on, after they went on.
    pub(super) fn note(&mut self, table: &ProcessTable, most: u32, now: Time) {
        self.millis = table.processor_at_rest(now).min(most);
        self.spent = table.spent();
        if table.has_shell() {
            self.nanos += TURN_NANOS;
        }
    }
}

impl Runtime {
    /// The most that a container gets, in thousandths of a processor.
    pub(super) fn processor_most(&self, container: &Container) -> u32 {
        container.processor_limit.unwrap_or(u32::MAX).min(self.profile.processors.saturating_mul(1000))
    }
}

impl Container {
    /// The processor time that it has used since it was started, in nanoseconds.
    pub(super) fn processor_nanos(&self, now: Time) -> u64 {
        if self.state == ContainerState::Running {
            self.processor.nanos(&self.table, now)
        } else {
            self.processor.nanos
        }
    }
}
