//! What the last cycles of each pod came to, kept so that one can ask why.

use std::sync::Arc;

use crate::machinery::persistent::OrdMap;
use imbl::Vector;

use crate::api::{Name, ObjectKey};
use crate::machinery::time::Time;

use super::framework::diagnosis::{Diagnosis, Verdict};
use super::framework::score_table::ScoreTable;
use super::schedule_one::Outcome;

/// How many cycles of a pod are kept.
const CYCLES_PER_POD_MAX: usize = 3;
/// About how many bytes the cycles may take of which every node's verdict and scores are kept.
const WHOLE_BYTES_MAX: usize = 4 << 20;
/// About how many bytes the older ones may take, of which only the best nodes are kept.
const SHORT_BYTES_MAX: usize = 16 << 20;
/// Of how many nodes an older cycle is kept: as many as are ever shown.
pub const ROWS_MAX: usize = 40;

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
    /// Every node's verdict; of an older cycle that of the best [`ROWS_MAX`] nodes.
    pub diagnosis: Arc<Diagnosis>,
    /// Every candidate's scores, or those of the best; absent when there were fewer than two candidates.
    pub scores: Option<Arc<ScoreTable>>,
}

impl Explanation {
    fn bytes(&self) -> usize {
        let scored = self.scores.as_ref().map_or(0, |scores| scores.len() * 20);
        512 + self.diagnosis.node_count() * 2 + scored
    }

    /// The same with the candidates that have the most points, and as many of the refused nodes as there is room for.
    fn shortened(&self) -> Self {
        let scores = self.scores.as_ref().map(|scores| scores.best(ROWS_MAX));
        let mut positions: Vec<usize> = scores.iter().flat_map(ScoreTable::positions).collect();
        let room = ROWS_MAX.saturating_sub(positions.len());
        let others = self.diagnosis.verdicts().enumerate().filter(|(_, (name, verdict))| match verdict {
            Verdict::Rejected(_) => true,
            // A node that is the only one that would do has no scores.
            Verdict::Feasible | Verdict::NotExamined => scores.is_none() && self.node.as_ref() == Some(name),
        });
        let others: Vec<usize> = others.map(|(position, _)| position).collect();
        let (chosen, refused): (Vec<usize>, Vec<usize>) =
            others.into_iter().partition(|position| self.node.as_ref() == Some(&self.diagnosis.names()[*position]));
        positions.extend(chosen.into_iter().chain(refused).take(room));
        Self { diagnosis: Arc::new(self.diagnosis.of_nodes(&positions)), scores: scores.map(Arc::new), ..self.clone() }
    }
}

/// The last cycles of pods: the newest whole, older ones shortened, the oldest dropped first.
#[derive(Clone, Debug, Default)]
pub struct Explanations {
    by_pod: OrdMap<Name, Vector<Arc<Explanation>>>,
    whole: ByAge,
    short: ByAge,
}

/// Cycles in the order in which they were.
#[derive(Clone, Debug, Default)]
struct ByAge {
    cycles: Vector<Arc<Explanation>>,
    bytes: usize,
}

impl ByAge {
    fn push(&mut self, explanation: Arc<Explanation>) {
        self.bytes += explanation.bytes();
        self.cycles.push_back(explanation);
    }

    fn pop_over(&mut self, bytes_max: usize) -> Option<Arc<Explanation>> {
        if self.bytes <= bytes_max {
            return None;
        }
        let oldest = self.cycles.pop_front()?;
        self.bytes -= oldest.bytes();
        Some(oldest)
    }
}

impl Explanations {
    pub(super) fn add(&mut self, explanation: Explanation) {
        let explanation = Arc::new(explanation);
        let cycles = self.by_pod.entry(explanation.uid.clone()).or_default();
        cycles.push_back(Arc::clone(&explanation));
        if cycles.len() > CYCLES_PER_POD_MAX {
            cycles.pop_front();
        }
        self.whole.push(explanation);
        while let Some(oldest) = self.whole.pop_over(WHOLE_BYTES_MAX) {
            self.shorten(&oldest);
        }
        while let Some(oldest) = self.short.pop_over(SHORT_BYTES_MAX) {
            self.forget_cycle(&oldest);
        }
    }

    /// Keeps of a cycle what is ever shown, if it is still remembered.
    fn shorten(&mut self, whole: &Explanation) {
        let Some(cycles) = self.by_pod.get_mut(&whole.uid) else { return };
        let Some(place) = cycles.iter().position(|known| known.cycle == whole.cycle) else { return };
        let short = Arc::new(whole.shortened());
        cycles.set(place, Arc::clone(&short));
        self.short.push(short);
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
        if let Self::Assumed { node, .. } = self { Some(node) } else { None }
    }

    pub(super) fn message(&self) -> Option<&str> {
        if let Self::Unschedulable(failure) = self { Some(&failure.message) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::framework::plugin::Plugin;
    use super::super::framework::status::Rejection;
    use super::*;

    fn names() -> Arc<[Name]> {
        (0..1000).map(|index| Name::from(format!("node-{index}"))).collect()
    }

    fn explanation(cycle: u64, diagnosis: Diagnosis, scores: Option<ScoreTable>) -> Explanation {
        Explanation {
            pod: ObjectKey::new("default", format!("pod-{cycle}")),
            uid: format!("uid-{cycle}").into(),
            cycle,
            at: Time::DEFAULT_START,
            node: scores.as_ref().map(|scores| scores.name(scores.chosen()).clone()),
            message: None,
            diagnosis: Arc::new(diagnosis),
            scores: scores.map(Arc::new),
        }
    }

    /// Each second node would do, and the later the better.
    fn scored(cycle: u64) -> Explanation {
        let mut diagnosis = Diagnosis::new(names());
        for position in 0..1000 {
            if position % 2 == 0 {
                diagnosis.accept(position);
            } else {
                diagnosis.reject(position, Rejection::unresolvable(Plugin::NodeName, "no"));
            }
        }
        let mut scores = ScoreTable::new(names(), (0..1000).step_by(2).collect());
        scores.add(Plugin::NodeResourcesFit, 1, &(0..500).map(|row| row / 5).collect::<Vec<i64>>());
        scores.choose(499);
        explanation(cycle, diagnosis, Some(scores))
    }

    #[test]
    fn ten_thousand_pods_keep_their_best_nodes() {
        let mut explanations = Explanations::default();
        for cycle in 0..10_000 {
            explanations.add(scored(cycle));
        }
        let (first, last) = (explanations.last("uid-0").expect("it is kept"), explanations.last("uid-9999"));
        assert_eq!(last.map(|last| last.diagnosis.node_count()), Some(1000), "the newest are kept whole");
        let scores = first.scores.as_ref().expect("it had scores");
        assert_eq!((scores.len(), scores.total(0), scores.total(39)), (ROWS_MAX, 99, 92));
        assert_eq!(scores.name(scores.chosen()), first.node.as_ref().expect("it has a node"));
        assert_eq!(first.diagnosis.node_count(), ROWS_MAX, "there is no room for nodes that were refused");
        assert!(explanations.whole.bytes <= WHOLE_BYTES_MAX && explanations.short.bytes <= SHORT_BYTES_MAX);
    }

    #[test]
    fn totals_of_large_weights_are_ranked_too() {
        for weight in [1, 1_000, -7] {
            let mut scores = ScoreTable::new(names(), (0..100).collect());
            scores.add(Plugin::ImageLocality, weight, &(0..100).collect::<Vec<i64>>());
            scores.choose(50);
            let best = scores.best(3);
            let rows: Vec<&str> = (0..best.len()).map(|row| &**best.name(row)).collect();
            let expected = if weight > 0 { ["node-50", "node-99", "node-98"] } else { ["node-50", "node-0", "node-1"] };
            assert_eq!(rows, expected, "{weight}");
        }
    }

    #[test]
    fn a_pod_without_a_node_keeps_the_refusals() {
        let mut diagnosis = Diagnosis::new(names());
        for position in 0..1000 {
            let plugin = if position == 3 { Plugin::NodeName } else { Plugin::NodeAffinity };
            diagnosis.reject(position, Rejection::unresolvable(plugin, "no"));
        }
        let short = explanation(1, diagnosis, None).shortened();
        assert_eq!(short.diagnosis.node_count(), ROWS_MAX);
        assert_eq!(
            (short.diagnosis.plugin(2), short.diagnosis.plugin(3)),
            (Some(Plugin::NodeAffinity), Some(Plugin::NodeName))
        );
    }
}
