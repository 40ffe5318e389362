//! What the last cycles of each pod came to, kept so that one can ask why.

use std::sync::Arc;

use crate::machinery::persistent::OrdMap;
use imbl::Vector;

use crate::api::{Name, ObjectKey};
use crate::machinery::time::Time;

use super::framework::diagnosis::Diagnosis;
use super::framework::score_table::ScoreTable;
use super::schedule_one::Outcome;

/// How many cycles of a pod are kept.
const CYCLES_PER_POD_MAX: usize = 3;
/// About how many bytes all of them may take.
const BYTES_MAX: usize = 4 << 20;

/// One cycle of one pod: plain data.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The pod.
    pub pod: ObjectKey,
    /// Its uid.
    pub uid: Name,
    /// The cycle's number, counted from the scheduler's start.
    pub cycle: u64,
    /// When it was.
    pub at: Time,
    /// The node that was chosen, if one was.
    pub node: Option<Name>,
    /// The message of the failure, if it was one.
    pub message: Option<String>,
    /// Every node's verdict.
    pub diagnosis: Arc<Diagnosis>,
    /// Every candidate's scores; absent when there were fewer than two candidates.
    pub scores: Option<Arc<ScoreTable>>,
}

impl Explanation {
    fn bytes(&self) -> usize {
        let scored = self.scores.as_ref().map_or(0, |scores| scores.len() * 16);
        256 + self.diagnosis.node_count() * 2 + scored
    }
}

/// The last cycles of pods, the oldest dropped first.
#[derive(Clone, Debug, Default)]
pub struct Explanations {
    by_pod: OrdMap<Name, Vector<Arc<Explanation>>>,
    by_age: Vector<Arc<Explanation>>,
    bytes: usize,
}

impl Explanations {
    pub(super) fn add(&mut self, explanation: Explanation) {
        let explanation = Arc::new(explanation);
        let cycles = self.by_pod.entry(explanation.uid.clone()).or_default();
        cycles.push_back(Arc::clone(&explanation));
        if cycles.len() > CYCLES_PER_POD_MAX {
            cycles.pop_front();
        }
        self.bytes += explanation.bytes();
        self.by_age.push_back(explanation);
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.by_age.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.forget_cycle(&oldest);
        }
    }

    fn forget_cycle(&mut self, oldest: &Explanation) {
        let Some(cycles) = self.by_pod.get_mut(&oldest.uid) else { return };
        cycles.retain(|known| known.cycle != oldest.cycle);
        if cycles.is_empty() {
            self.by_pod.remove(&oldest.uid);
        }
    }

    pub(super) fn forget_pod(&mut self, uid: &str) {
        self.by_pod.remove(uid);
    }

    /// A pod's cycles, the oldest first.
    pub fn of(&self, uid: &str) -> impl Iterator<Item = &Arc<Explanation>> {
        self.by_pod.get(uid).into_iter().flatten()
    }

    /// A pod's last cycle.
    #[must_use]
    pub fn last(&self, uid: &str) -> Option<&Arc<Explanation>> {
        self.by_pod.get(uid)?.back()
    }
}

impl Outcome {
    pub(super) fn node(&self) -> Option<&Name> {
        if let Self::Assumed { node } = self { Some(node) } else { None }
    }

    pub(super) fn message(&self) -> Option<&str> {
        if let Self::Unschedulable(failure) = self { Some(&failure.message) } else { None }
    }
}
