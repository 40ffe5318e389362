//! How the scheduler came to a pod's node, as a table.

use std::collections::BTreeMap;

use crate::machinery::order::{Order as _, map_of};
use crate::scheduler::explanation::{Explanation, ROWS_MAX};
use crate::scheduler::framework::diagnosis::Verdict;
use crate::scheduler::framework::plugin::{Plugin, PluginSet};

use super::inspect::{Decision, LegendEntry, NodeVerdict};
use super::layout::natural;
use super::plugins::{filter_sentence, score_sentence};

/// How many nodes are told of; those with the most points come first.
const NODES_MAX: usize = ROWS_MAX;

/// The last cycle of a pod as a table.
#[must_use]
pub fn of(explanation: &Explanation) -> Decision {
    let scores = explanation.scores.as_deref();
    let plugins: Vec<String> = scores
        .filter(|scores| !scores.is_empty())
        .map(|scores| scores.weighted(0).map(|(plugin, _)| plugin.to_string()).collect())
        .unwrap_or_default();
    let rows: BTreeMap<&str, usize> =
        map_of(scores.into_iter().flat_map(|scores| (0..scores.len()).map(|row| (&**scores.name(row), row))));
    let mut nodes = Vec::new();
    for (position, (name, verdict)) in explanation.diagnosis.verdicts().enumerate() {
        let row = scores.and_then(|scores| Some((scores, *rows.get(&**name)?)));
        let rejection = match &verdict {
            Verdict::Rejected(rejection) => Some(rejection),
            _ => None,
        };
        // A node that was not looked at, because enough others would do, has no verdict to tell.
        if rejection.is_none() && row.is_none() && explanation.node.as_deref() != Some(name) {
            continue;
        }
        nodes.push(NodeVerdict {
            node: name.to_string(),
            filtered_by: rejection
                .and_then(|_| explanation.diagnosis.plugin(position))
                .map(|plugin| plugin.to_string()),
            reasons: rejection
                .map(|rejection| rejection.reasons.iter().map(|reason| reason.as_str().to_owned()).collect())
                .unwrap_or_default(),
            scores: row.map_or_else(Vec::new, |(scores, row)| scores.weighted(row).map(|(_, score)| score).collect()),
            total: row.map_or(0, |(scores, row)| scores.total(row)),
        });
    }
    nodes.order_by(|left, right| {
        let key = |verdict: &NodeVerdict| (verdict.filtered_by.is_some(), std::cmp::Reverse(verdict.total));
        key(left).cmp(&key(right)).then_with(|| natural(&left.node).cmp(&natural(&right.node)))
    });
    nodes.truncate(NODES_MAX);
    Decision {
        at: explanation.at,
        chosen: explanation.node.as_ref().map(ToString::to_string),
        message: explanation.message.clone().unwrap_or_default(),
        plugins,
        nodes,
        legend: legend(explanation),
    }
}

/// What those look at who had something to say, in the order in which they are asked.
fn legend(explanation: &Explanation) -> Vec<LegendEntry> {
    let refusing = explanation.diagnosis.verdicts().filter_map(|(_, verdict)| match verdict {
        Verdict::Rejected(rejection) => rejection.plugin,
        _ => None,
    });
    let refusing: PluginSet = refusing.collect();
    let scoring = explanation.scores.as_deref().filter(|scores| !scores.is_empty());
    let scoring = scoring.into_iter().flat_map(|scores| scores.weighted(0).map(|(plugin, _)| plugin));
    let entry = |plugin: Plugin, rules_out: bool, sentence: Option<&'static str>| {
        Some(LegendEntry { plugin: plugin.to_string(), rules_out, sentence: sentence?.to_owned() })
    };
    let refusing = refusing.iter().filter_map(|plugin| entry(plugin, true, filter_sentence(plugin)));
    refusing.chain(scoring.filter_map(|plugin| entry(plugin, false, score_sentence(plugin)))).collect()
}
