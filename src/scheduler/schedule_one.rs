//! One scheduling cycle: a pod, the nodes that would do, the best of them.
//!
//! Follows `pkg/scheduler/schedule_one.go`.

use std::sync::Arc;

use crate::api::{Name, Unstructured};
use crate::machinery::random::Random;
use crate::machinery::time::Time;

use super::Scheduler;
use super::configuration::Profile;
use super::framework::cycle_state::CycleState;
use super::framework::diagnosis::Diagnosis;
use super::framework::plugin::{Plugin, PluginSet};
use super::framework::score_table::ScoreTable;
use super::framework::status::{Code, Rejection};
use super::framework::unprepared::{binding_error, run_unprepared_score};
use super::framework::{Handle, ruled_out, run_filter, run_pre_filter, run_pre_filter_extension, run_score};
use super::node_info::NodeInfo;
use super::plugins::default_preemption::{self, PostFilter};
use super::plugins::volume_binding::Decisions;
use super::plugins::{dynamic_resources, volume_binding};
use super::pod_info::PodInfo;
use super::preemption::{Candidate, Evaluator};
use super::queue::{Nominator, QueuedPodInfo};

/// With fewer nodes than this all are looked at, and of more at least so many.
const MIN_FEASIBLE_NODES_TO_FIND: usize = 100;
/// At least this share of nodes is to be found, in hundredths.
const MIN_FEASIBLE_NODES_PERCENTAGE_TO_FIND: usize = 5;

/// What one cycle came to.
#[derive(Clone, Debug)]
pub struct Cycle {
    /// The pod as it stood in the queue.
    pub queued: QueuedPodInfo,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a pod in a cycle.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A node was found, and the pod counts there already. It is to be bound now, and the scheduler to be told of it
    /// by [`Scheduler::binding_succeeded`] or [`Scheduler::binding_failed`].
    Assumed {
        /// The node.
        node: Name,
        /// What has to be written about its volumes before.
        volumes: Decisions,
    },
    /// No node would do. The pod is back in the queue.
    Unschedulable(Failure),
    /// There was no need to schedule the pod: it is being deleted, or placed already.
    Skipped {
        /// Whether it is being deleted.
        is_deleting: bool,
    },
}

/// Why a pod was not scheduled, and what is to be done about it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The message of its condition and event.
    pub message: String,
    /// What becomes of `status.nominatedNodeName`; `None` leaves it as it is.
    pub nomination: Option<Name>,
    /// Pods that have to go, so that the pod can have their room.
    pub preemption: Option<Candidate>,
    /// Pods of lower priority that were nominated for the same node and lose that.
    pub displaced: Vec<Arc<PodInfo>>,
    /// A claim that is to be given up, so that other nodes can be tried.
    pub given_up: Option<Arc<Unstructured>>,
    /// Whether something went wrong that is no plugin's no.
    pub is_error: bool,
}

/// A node was found.
struct Placement {
    node: Name,
    scores: Option<ScoreTable>,
}

/// Asks the filters about a node on which nominated pods of at least equal priority are taken to run: the pod must
/// fit with them, and without them too, since they may not come.
///
/// # Errors
/// The first plugin's no.
pub fn run_filter_with_nominated_pods(
    state: &CycleState,
    handle: Handle<'_>,
    node: &NodeInfo,
    nominator: &Nominator,
) -> Result<(), Rejection> {
    if !nominator.is_empty() {
        let pod = &state.pod;
        let mut others =
            nominator.on(&node.name).filter(|other| other.priority >= pod.priority && other.uid != pod.uid).peekable();
        if others.peek().is_some() {
            let (mut state, mut node) = (state.clone(), node.clone());
            for other in others {
                node.add_pod(Arc::clone(other));
                run_pre_filter_extension(&mut state, other, &node, 1);
            }
            run_filter(&state, handle, &node)?;
        }
    }
    run_filter(state, handle, node)
}

/// How many nodes that would do are enough: `numFeasibleNodesToFind`. With 0 hundredths it depends on their number.
#[must_use]
pub fn feasible_nodes_to_find(percentage: u32, node_count: usize) -> usize {
    if node_count < MIN_FEASIBLE_NODES_TO_FIND {
        return node_count;
    }
    let percentage = match percentage as usize {
        0 => 50_usize.saturating_sub(node_count / 125).max(MIN_FEASIBLE_NODES_PERCENTAGE_TO_FIND),
        percentage => percentage,
    };
    if percentage >= 100 {
        return node_count;
    }
    (node_count * percentage / 100).max(MIN_FEASIBLE_NODES_TO_FIND)
}

/// Whether the profile sees to the pod's volumes before it is bound.
fn reserves_volumes(profile: &Profile) -> bool {
    profile.reserve.contains(Plugin::VolumeBinding) && profile.pre_bind.contains(Plugin::VolumeBinding)
}

impl Scheduler {
    const fn handle(&self) -> Handle<'_> {
        Handle { cache: &self.cache, listers: &self.listers }
    }

    /// Takes the next pod from the queue and looks for a node. `None` when no pod is to be tried.
    pub fn schedule_one(&mut self, now: Time, random: &mut Random) -> Option<Cycle> {
        let queued = self.queue.pop()?;
        let pod = Arc::clone(&queued.pod);
        if pod.terminating || self.cache.is_assumed(&pod.uid) {
            self.queue.done(&pod.uid);
            return Some(Cycle { outcome: Outcome::Skipped { is_deleting: pod.terminating }, queued });
        }
        self.cycle_count += 1;
        self.cache.refresh_order();
        let mut state = CycleState::new(Arc::clone(&pod), Arc::clone(&queued.profile));
        state.now = Some(now);
        let mut diagnosis = Diagnosis::new(self.cache.names());
        if self.cache.node_count() == 0 {
            let outcome = self.fail(&queued, "no nodes available to schedule pods".to_owned(), now);
            self.explain(&pod, now, &outcome, diagnosis, None);
            return Some(Cycle { queued, outcome });
        }
        let mut placement = self.schedule_pod(&mut state, &mut diagnosis, random);
        if placement.is_some()
            && let Some(error) = binding_error(&state.profile)
        {
            diagnosis.error = error;
            placement = None;
        }
        match placement {
            Some(placement) => {
                let node = self.cache.node_by_name(&placement.node);
                let binds = reserves_volumes(&state.profile);
                let volumes = node.filter(|_| binds).map(|node| volume_binding::reserve(&state, node));
                let volumes = volumes.unwrap_or_default();
                self.listers.assume(&volumes);
                self.reserve_claims(&state, &placement.node);
                self.cache.assume_pod(Arc::clone(&pod), &placement.node);
                self.queue.nominator_mut().remove(&pod.uid);
                let outcome = Outcome::Assumed { node: placement.node, volumes };
                self.explain(&pod, now, &outcome, diagnosis, placement.scores);
                Some(Cycle { queued, outcome })
            }
            None if !diagnosis.error.is_empty() => {
                let mut outcome = self.fail(&queued, diagnosis.error.clone(), now);
                self.explain(&pod, now, &outcome, diagnosis, None);
                if let Outcome::Unschedulable(failure) = &mut outcome {
                    failure.is_error = true;
                }
                Some(Cycle { queued, outcome })
            }
            None => {
                let outcome = self.give_up(&queued, &state, &mut diagnosis, now, random);
                self.explain(&pod, now, &outcome, diagnosis, None);
                Some(Cycle { queued, outcome })
            }
        }
    }

    fn schedule_pod(
        &mut self,
        state: &mut CycleState,
        diagnosis: &mut Diagnosis,
        random: &mut Random,
    ) -> Option<Placement> {
        let feasible = self.find_nodes_that_fit(state, diagnosis);
        let handle = self.handle();
        let node_at = |position: usize| handle.cache.node(handle.cache.order()[position]);
        match feasible[..] {
            [] => None,
            [only] => Some(Placement { node: node_at(only).name.clone(), scores: None }),
            _ => {
                let nodes: Vec<&NodeInfo> = feasible.iter().map(|position| &**node_at(*position)).collect();
                let candidates = feasible.iter().map(|position| *position as u32).collect();
                let mut table = ScoreTable::new(handle.cache.names(), candidates);
                for &(plugin, weight) in &state.profile.score {
                    let scores = if state.profile.unprepared_scores.contains(plugin) {
                        match run_unprepared_score(plugin, state, handle, &nodes) {
                            Ok(scores) => Some(scores),
                            Err(why) => {
                                let name = plugin.as_str();
                                diagnosis.error = format!("running Score plugins: plugin {name:?} failed with: {why}");
                                return None;
                            }
                        }
                    } else {
                        run_score(plugin, state, handle, &nodes)
                    };
                    if let Some(scores) = scores {
                        table.add(plugin, weight, &scores);
                    }
                }
                let chosen = select_host(&table, random);
                table.choose(chosen);
                Some(Placement { node: nodes[chosen].name.clone(), scores: Some(table) })
            }
        }
    }

    /// Positions of nodes that would do; what is wrong with the others stands in the diagnosis.
    fn find_nodes_that_fit(&mut self, state: &mut CycleState, diagnosis: &mut Diagnosis) -> Vec<usize> {
        let pre_filter = match run_pre_filter(state, self.handle()) {
            Ok(result) => result,
            Err(rejection) => {
                diagnosis.pre_filter_message = rejection.message();
                diagnosis.unschedulable_plugins.extend_with(rejection.plugin);
                diagnosis.absent = Some(rejection);
                return Vec::new();
            }
        };
        if let Some(position) = self.evaluate_nominated_node(state, diagnosis) {
            return vec![position];
        }
        let positions: Vec<usize> = match &pre_filter.nodes {
            None => (0..self.cache.node_count()).collect(),
            Some(names) => {
                diagnosis.absent = Some(ruled_out(pre_filter.plugins, ""));
                diagnosis.unschedulable_plugins = diagnosis.unschedulable_plugins.union(pre_filter.plugins);
                let all = self.cache.names();
                names.iter().filter_map(|name| all.iter().position(|known| known == name)).collect()
            }
        };
        let feasible = self.find_nodes_that_pass_filters(state, diagnosis, &positions);
        let processed = feasible.len() + diagnosis.rejected_count();
        self.next_start_node_index = (self.next_start_node_index + processed) % self.cache.node_count();
        feasible
    }

    fn feasible_nodes_to_find(&self, profile: &Profile, node_count: usize) -> usize {
        // Where nobody compares nodes, the first that would do is taken.
        if profile.score.is_empty() {
            return 1;
        }
        let percentage =
            profile.percentage_of_nodes_to_score.unwrap_or(self.configuration.percentage_of_nodes_to_score);
        feasible_nodes_to_find(percentage, node_count)
    }

    /// The node that was cleared for the pod is tried before all others.
    fn evaluate_nominated_node(&self, state: &CycleState, diagnosis: &mut Diagnosis) -> Option<usize> {
        let name = state.pod.nominated_node_name();
        let node = self.cache.node_by_name(name)?;
        let position = self.cache.order().iter().position(|id| *id == node.id)?;
        match run_filter_with_nominated_pods(state, self.handle(), node, self.queue.nominator()) {
            Ok(()) => {
                diagnosis.accept(position);
                Some(position)
            }
            Err(rejection) => {
                diagnosis.reject(position, rejection);
                None
            }
        }
    }

    fn find_nodes_that_pass_filters(
        &self,
        state: &CycleState,
        diagnosis: &mut Diagnosis,
        positions: &[usize],
    ) -> Vec<usize> {
        let wanted = self.feasible_nodes_to_find(&state.profile, positions.len());
        let mut feasible = Vec::with_capacity(wanted);
        for index in 0..positions.len() {
            // The search goes on where the last one ended, so that all nodes get their turn.
            let position = positions[(self.next_start_node_index + index) % positions.len()];
            let node = self.cache.node(self.cache.order()[position]);
            match run_filter_with_nominated_pods(state, self.handle(), node, self.queue.nominator()) {
                Ok(()) => {
                    diagnosis.accept(position);
                    feasible.push(position);
                    if feasible.len() == wanted {
                        break;
                    }
                }
                Err(rejection) if rejection.code == Code::Error => {
                    let name = rejection.plugin.map_or("", Plugin::as_str);
                    diagnosis.error = format!("running {name:?} filter plugin: {}", rejection.message());
                    diagnosis.reject(position, rejection);
                    return Vec::new();
                }
                Err(rejection) => diagnosis.reject(position, rejection),
            }
        }
        feasible
    }

    /// No node would do: asks whether preemption helps, and puts the pod back into the queue.
    fn give_up(
        &mut self,
        queued: &QueuedPodInfo,
        state: &CycleState,
        diagnosis: &mut Diagnosis,
        now: Time,
        random: &mut Random,
    ) -> Outcome {
        let pod = Arc::clone(&queued.pod);
        let (result, given_up) = self.run_post_filters(state, diagnosis, now, random);
        let PostFilter { message, nomination, candidate: preemption } = result;
        diagnosis.post_filter_message = message;
        let displaced: Vec<Arc<PodInfo>> = match &preemption {
            Some(candidate) => {
                let nominated = self.queue.nominator().on(&candidate.node);
                nominated.filter(|other| other.priority < pod.priority).cloned().collect()
            }
            None => Vec::new(),
        };
        self.queue.add_unschedulable(queued.clone(), diagnosis.unschedulable_plugins, now, &self.listers);
        match &nomination {
            Some(node) => self.queue.nominator_mut().nominate(pod, node),
            None => {
                let node = pod.nominated_node_name().to_owned();
                self.queue.nominator_mut().nominate(pod, &node);
            }
        }
        let (message, is_error) = (diagnosis.message(), false);
        Outcome::Unschedulable(Failure { message, nomination, preemption, displaced, given_up, is_error })
    }

    /// The pod's claims are to have what they need on its node.
    fn reserve_claims(&mut self, state: &CycleState, node: &str) {
        let takes_part = state.profile.reserve.contains(Plugin::DynamicResources)
            && state.profile.pre_bind.contains(Plugin::DynamicResources);
        if state.devices.is_none() || !takes_part {
            return;
        }
        if let Some(node) = self.cache.node_by_name(node) {
            let reservations = dynamic_resources::reserve(state, node);
            self.listers.dra.reserve(&state.pod.uid, reservations);
        }
    }

    /// `RunPostFilterPlugins`: plugin after plugin is asked what would help, until one makes room.
    fn run_post_filters(
        &self,
        state: &CycleState,
        diagnosis: &Diagnosis,
        now: Time,
        random: &mut Random,
    ) -> (PostFilter, Option<Arc<Unstructured>>) {
        let mut result = PostFilter::default();
        let mut given_up = None;
        let mut said: Vec<String> = Vec::new();
        for plugin in &state.profile.post_filter {
            if *plugin == Plugin::DynamicResources {
                // It remembers nothing of a pod that an earlier plugin refused as a whole: an error, which ends the round.
                let is_own = diagnosis.unschedulable_plugins.contains(Plugin::DynamicResources);
                let was_asked = state.profile.pre_filter.contains(&Plugin::DynamicResources);
                if !was_asked || (!diagnosis.pre_filter_message.is_empty() && !is_own) {
                    let message = dynamic_resources::NOT_FOUND_MESSAGE.to_owned();
                    return (PostFilter { message, ..PostFilter::default() }, None);
                }
                let (message, claim) = dynamic_resources::post_filter(state, diagnosis, self.handle());
                given_up = claim;
                said.push(message.to_owned());
                continue;
            }
            let evaluator = Evaluator { handle: self.handle(), nominator: self.queue.nominator(), now };
            result = default_preemption::post_filter(evaluator, state, diagnosis, random);
            if result.candidate.is_some() {
                return (result, given_up);
            }
            said.push(std::mem::take(&mut result.message));
        }
        (PostFilter { message: said.join(", "), ..result }, given_up)
    }

    /// Something went wrong that is no plugin's no.
    pub(super) fn fail(&mut self, queued: &QueuedPodInfo, message: String, now: Time) -> Outcome {
        self.queue.add_unschedulable(queued.clone(), PluginSet::EMPTY, now, &self.listers);
        let (preemption, displaced, given_up) = (None, Vec::new(), None);
        Outcome::Unschedulable(Failure { message, nomination: None, preemption, displaced, given_up, is_error: false })
    }
}

/// The row with the largest total; among equals chance decides.
fn select_host(table: &ScoreTable, random: &mut Random) -> usize {
    let totals = table.totals();
    let best = totals.iter().copied().max().unwrap_or(0);
    let ties = totals.iter().filter(|total| **total == best).count();
    let pick = if ties > 1 { random.below(ties as u64) as usize } else { 0 };
    let mut rows = totals.iter().enumerate().filter(|(_, total)| **total == best);
    rows.nth(pick).map_or(0, |(row, _)| row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_nodes_are_enough() {
        let cases = [
            (0, 10, 10),
            (0, 99, 99),
            (0, 100, 100),
            (0, 1000, 420),
            (0, 6000, 300),
            (30, 1000, 300),
            (1, 1000, 100),
            (100, 1000, 1000),
        ];
        for (percentage, nodes, expected) in cases {
            assert_eq!(feasible_nodes_to_find(percentage, nodes), expected, "{percentage} of {nodes}");
        }
    }
}
