//! Why no node would do: each node's verdict, and the message made of them.
//!
//! Follows `Diagnosis` and `FitError` of `pkg/scheduler/framework/types.go`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::api::Name;
use crate::machinery::order::Order as _;

use super::plugin::{Plugin, PluginSet};
use super::status::{Code, Rejection};

/// The verdict about one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// The search had enough nodes before it came here.
    NotExamined,
    /// All plugins let it pass.
    Feasible,
    /// A plugin refused it.
    Rejected(&'a Rejection),
}

const NOT_EXAMINED: u16 = 0;
const FEASIBLE: u16 = 1;
const FIRST_REJECTION: u16 = 2;

/// What a scheduling cycle found out about nodes. Two bytes a node: equal verdicts are kept once.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    names: Arc<[Name]>,
    verdicts: Vec<u16>,
    rejections: Vec<Rejection>,
    /// The verdict about all nodes that have none of their own.
    pub absent: Option<Rejection>,
    /// The plugins that refused some node.
    pub unschedulable_plugins: PluginSet,
    /// What PreFilter said, when it refused the pod as a whole.
    pub pre_filter_message: String,
    /// What PostFilter said.
    pub post_filter_message: String,
    /// What went wrong, if it is no plugin's no.
    pub error: String,
}

impl Diagnosis {
    /// Nothing known of any of the nodes with these names yet.
    #[must_use]
    pub fn new(names: Arc<[Name]>) -> Self {
        let verdicts = vec![NOT_EXAMINED; names.len()];
        Self { names, verdicts, ..Self::default() }
    }

    /// All plugins let the node at `position` pass.
    pub fn accept(&mut self, position: usize) {
        self.verdicts[position] = FEASIBLE;
    }

    /// A plugin refused the node at `position`.
    pub fn reject(&mut self, position: usize, rejection: Rejection) {
        if let Some(plugin) = rejection.plugin {
            self.unschedulable_plugins.insert(plugin);
        }
        let known = self.rejections.iter().rposition(|known| *known == rejection);
        let index = known.unwrap_or_else(|| {
            self.rejections.push(rejection);
            self.rejections.len() - 1
        });
        // There are far fewer different verdicts than sixteen bits count; one too many is told as the last of them.
        self.verdicts[position] = u16::try_from(index).unwrap_or(u16::MAX - FIRST_REJECTION) + FIRST_REJECTION;
    }

    /// What was found out about the nodes at `positions`, as if there were no others.
    pub(crate) fn of_nodes(&self, positions: &[usize]) -> Self {
        let mut kept = Self::new(positions.iter().map(|position| self.names[*position].clone()).collect());
        for (place, position) in positions.iter().enumerate() {
            match self.verdicts[*position] {
                NOT_EXAMINED => {}
                FEASIBLE => kept.accept(place),
                index => kept.reject(place, self.rejections[usize::from(index - FIRST_REJECTION)].clone()),
            }
        }
        Self {
            absent: self.absent.clone(),
            unschedulable_plugins: self.unschedulable_plugins,
            pre_filter_message: self.pre_filter_message.clone(),
            post_filter_message: self.post_filter_message.clone(),
            error: self.error.clone(),
            ..kept
        }
    }

    /// How many nodes the cluster has.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.verdicts.len()
    }

    /// The names of the nodes, in the order of the verdicts.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The verdict about the node at `position`.
    #[must_use]
    pub fn verdict(&self, position: usize) -> Verdict<'_> {
        match self.verdicts[position] {
            NOT_EXAMINED => self.absent.as_ref().map_or(Verdict::NotExamined, Verdict::Rejected),
            FEASIBLE => Verdict::Feasible,
            index => Verdict::Rejected(&self.rejections[usize::from(index - FIRST_REJECTION)]),
        }
    }

    /// Every node's name and verdict.
    pub fn verdicts(&self) -> impl Iterator<Item = (&Name, Verdict<'_>)> {
        self.names.iter().enumerate().map(|(position, name)| (name, self.verdict(position)))
    }

    /// Whether the node at `position` was refused for a reason that preemption could remove.
    #[must_use]
    pub fn may_preempt_on(&self, position: usize) -> bool {
        matches!(self.verdict(position), Verdict::Rejected(rejection) if rejection.code == Code::Unschedulable)
    }

    /// How many nodes have a verdict of their own that is a no.
    #[must_use]
    pub fn rejected_count(&self) -> usize {
        self.verdicts.iter().filter(|verdict| **verdict >= FIRST_REJECTION).count()
    }

    /// How many times each reason was given, for nodes refused one by one and for those ruled out together.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&str, usize> {
        let mut counts = vec![0_usize; self.rejections.len()];
        let mut absent_count = 0;
        for verdict in &self.verdicts {
            match *verdict {
                NOT_EXAMINED => absent_count += 1,
                FEASIBLE => {}
                index => counts[usize::from(index - FIRST_REJECTION)] += 1,
            }
        }
        let mut reasons = BTreeMap::new();
        let own = self.rejections.iter().zip(counts);
        for (rejection, count) in own.chain(self.absent.iter().map(|absent| (absent, absent_count))) {
            for reason in rejection.reasons.iter().filter(|_| count > 0) {
                *reasons.entry(reason.as_str()).or_insert(0) += count;
            }
        }
        reasons
    }

    /// The message that the pod's condition and event carry: `0/3 nodes are available: …`.
    #[must_use]
    pub fn message(&self) -> String {
        let mut message = format!("0/{} nodes are available:", self.node_count());
        // Writing to a String cannot fail.
        if self.pre_filter_message.is_empty() {
            // Sorted as text with the count in front: "10 …" comes before "2 …".
            let mut counted: Vec<String> =
                self.reasons().iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            counted.order();
            if !counted.is_empty() {
                let _ = write!(message, " {}.", counted.join(", "));
            }
        } else {
            let _ = write!(message, " {}.", self.pre_filter_message);
        }
        if !self.post_filter_message.is_empty() {
            let _ = write!(message, " {}", self.post_filter_message);
        }
        message
    }

    /// The plugin that refused the node at `position`, if one did.
    #[must_use]
    pub fn plugin(&self, position: usize) -> Option<Plugin> {
        match self.verdict(position) {
            Verdict::Rejected(rejection) => rejection.plugin,
            _ => None,
        }
    }
}
