//! What each plugin gave each node in one cycle.

use std::sync::Arc;

use crate::api::Name;
use crate::machinery::order::Order as _;

use super::plugin::Plugin;

/// The highest score of a plugin, before its weight.
pub const MAX_NODE_SCORE: i64 = 100;
/// Up to so many points totals are counted one by one.
const COUNTED_TOTAL_MAX: i64 = 10_000;

/// The scores of one plugin.
#[derive(Clone, Debug)]
pub struct ScoreColumn {
    /// Whose.
    pub plugin: Plugin,
    /// How much they count.
    weight: i64,
    /// For each candidate, 0 to 100, before the weight.
    scores: Vec<u8>,
}

/// Candidates and what each plugin gave them. A byte a score.
#[derive(Clone, Debug)]
pub struct ScoreTable {
    names: Arc<[Name]>,
    /// Positions of the candidates among all nodes.
    candidates: Vec<u32>,
    columns: Vec<ScoreColumn>,
    totals: Vec<i64>,
    chosen: usize,
}

impl ScoreTable {
    /// A table without columns for the nodes at `candidates` among `names`.
    #[must_use]
    pub fn new(names: Arc<[Name]>, candidates: Vec<u32>) -> Self {
        let totals = vec![0; candidates.len()];
        Self { names, candidates, columns: Vec::new(), totals, chosen: 0 }
    }

    /// Adds what a plugin gave, which counts `weight` times.
    ///
    /// # Panics
    /// When a score is not between 0 and [`MAX_NODE_SCORE`]: a plugin's bug.
    pub fn add(&mut self, plugin: Plugin, weight: i64, scores: &[i64]) {
        assert_eq!(scores.len(), self.candidates.len(), "{plugin} scores every candidate");
        let narrow = |score: &i64| {
            assert!((0..=MAX_NODE_SCORE).contains(score), "{plugin} gives {score}");
            *score as u8
        };
        for (total, score) in self.totals.iter_mut().zip(scores) {
            *total += score * weight;
        }
        self.columns.push(ScoreColumn { plugin, weight, scores: scores.iter().map(narrow).collect() });
    }

    /// Says which candidate was taken.
    pub fn choose(&mut self, row: usize) {
        assert!(row < self.candidates.len(), "only a candidate is chosen");
        self.chosen = row;
    }

    /// How many candidates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Whether there is no candidate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// The row of the candidate that was taken.
    #[must_use]
    pub const fn chosen(&self) -> usize {
        self.chosen
    }

    /// The name of a candidate.
    #[must_use]
    pub fn name(&self, row: usize) -> &Name {
        &self.names[self.candidates[row] as usize]
    }

    /// A candidate's total.
    #[must_use]
    pub fn total(&self, row: usize) -> i64 {
        self.totals[row]
    }

    /// What each plugin gave a candidate, times the plugin's weight. Plugins that had nothing to say are absent.
    pub fn weighted(&self, row: usize) -> impl Iterator<Item = (Plugin, i64)> {
        self.columns.iter().map(move |column| (column.plugin, i64::from(column.scores[row]) * column.weight))
    }

    /// The row of a node of this name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<usize> {
        (0..self.len()).find(|row| &**self.name(*row) == name)
    }

    /// The positions of the candidates among all nodes.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> {
        self.candidates.iter().map(|candidate| *candidate as usize)
    }

    /// The smallest of the `count` largest totals: found by counting, which is quicker than to sort them all. Only
    /// weights that a user chose make totals that are too large for it.
    fn threshold(&self, count: usize) -> i64 {
        let most = self.totals.iter().copied().max().unwrap_or(0);
        let least = self.totals.iter().copied().min().unwrap_or(0);
        if least < 0 || most > COUNTED_TOTAL_MAX {
            let mut totals = self.totals.clone();
            totals.order_by_key(|total| std::cmp::Reverse(*total));
            return totals.get(count - 1).copied().unwrap_or(least);
        }
        let mut counts = vec![0_usize; most as usize + 1];
        for total in &self.totals {
            counts[*total as usize] += 1;
        }
        let mut found = 0;
        let reached = counts.iter().rposition(|of_total| {
            found += of_total;
            found >= count
        });
        reached.map_or(0, |total| total as i64)
    }

    /// The candidate that was taken and those with the largest totals, so many in all.
    pub(crate) fn best(&self, rows_max: usize) -> Self {
        let threshold = self.threshold(rows_max);
        let others = |wanted: std::cmp::Ordering| {
            let rows = self.totals.iter().enumerate().filter(move |(_, total)| (*total).cmp(&threshold) == wanted);
            rows.map(|(row, _)| row).filter(|row| *row != self.chosen)
        };
        let mut rows: Vec<usize> = std::iter::once(self.chosen).chain(others(std::cmp::Ordering::Greater)).collect();
        rows.truncate(rows_max);
        rows.extend(others(std::cmp::Ordering::Equal).take(rows_max - rows.len()));
        rows.order_by_key(|row| (*row != self.chosen, std::cmp::Reverse(self.totals[*row]), *row));
        let column = |column: &ScoreColumn| ScoreColumn {
            plugin: column.plugin,
            weight: column.weight,
            scores: rows.iter().map(|row| column.scores[*row]).collect(),
        };
        Self {
            names: Arc::clone(&self.names),
            candidates: rows.iter().map(|row| self.candidates[*row]).collect(),
            columns: self.columns.iter().map(column).collect(),
            totals: rows.iter().map(|row| self.totals[*row]).collect(),
            // It is the first in the new order.
            chosen: 0,
        }
    }

    pub(crate) fn totals(&self) -> &[i64] {
        &self.totals
    }
}
