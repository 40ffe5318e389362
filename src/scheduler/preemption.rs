//! Finding pods of lower priority whose removal would make room.
//!
//! Follows `pkg/scheduler/framework/preemption/preemption.go`.

use std::sync::Arc;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use crate::api::Name;
use crate::machinery::labels::Selector;
use crate::machinery::order::Order as _;
use crate::machinery::random::Random;
use crate::machinery::time::Time;

use super::framework::Handle;
use super::framework::cycle_state::CycleState;
use super::framework::diagnosis::Diagnosis;
use super::framework::plugin::Plugin;
use super::framework::run_pre_filter_extension;
use super::framework::status::{Code, Reason, Rejection};
use super::node_info::NodeInfo;
use super::pod_info::PodInfo;
use super::queue::Nominator;
use super::schedule_one::run_filter_with_nominated_pods;

/// A node and the pods that would have to go.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The node.
    pub node: Name,
    /// The pods, the most important first.
    pub victims: Vec<Arc<PodInfo>>,
    /// How many of them a disruption budget protects.
    pub pdb_violation_count: usize,
}

/// What preemption came to.
#[derive(Clone, Debug)]
pub enum Preemption {
    /// These pods have to go.
    Nominate(Candidate),
    /// It would not help; an earlier nomination is void.
    NotHelpful(String),
    /// The pod may not preempt now; an earlier nomination stands.
    NotEligible(&'static str),
}

/// What a dry run needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator<'a> {
    /// Nodes, pods and other kinds.
    pub handle: Handle<'a>,
    /// Pods for which nodes are being cleared.
    pub nominator: &'a Nominator,
    /// What time it is, for pods that have not started.
    pub now: Time,
}

impl Evaluator<'_> {
    /// Finds out whether and where taking pods away would let the pod be scheduled.
    #[must_use]
    pub fn preempt(&self, state: &CycleState, diagnosis: &Diagnosis, random: &mut Random) -> Preemption {
        if let Err(message) = self.check_eligible(&state.pod, diagnosis) {
            return Preemption::NotEligible(message);
        }
        let mut verdicts = Diagnosis::new(self.handle.cache.names());
        let mut candidates = self.find_candidates(state, diagnosis, &mut verdicts, random);
        if candidates.is_empty() {
            let reason = Reason::Fixed("Preemption is not helpful for scheduling");
            verdicts.absent = Some(Rejection {
                plugin: None,
                code: Code::UnschedulableAndUnresolvable,
                reasons: std::iter::once(reason).collect(),
            });
            return Preemption::NotHelpful(verdicts.message());
        }
        let best = self.pick_one(&candidates);
        Preemption::Nominate(candidates.swap_remove(best))
    }

    /// `PodEligibleToPreemptOthers`.
    fn check_eligible(&self, pod: &PodInfo, diagnosis: &Diagnosis) -> Result<(), &'static str> {
        let policy = pod.pod.spec.as_ref().and_then(|spec| spec.preemption_policy.as_deref());
        if policy == Some("Never") {
            return Err("not eligible due to preemptionPolicy=Never.");
        }
        let nominated = pod.nominated_node_name();
        if nominated.is_empty() {
            return Ok(());
        }
        let position = diagnosis.names().iter().position(|name| **name == *nominated);
        if position.is_none_or(|position| !diagnosis.may_preempt_on(position)) {
            return Ok(());
        }
        let makes_room = |other: &&Arc<PodInfo>| other.priority < pod.priority && other.is_terminating_by_preemption();
        match self.handle.cache.node_by_name(nominated) {
            Some(node) if node.pods.iter().any(|other| makes_room(&other)) => {
                Err("not eligible due to a terminating pod on the nominated node.")
            }
            _ => Ok(()),
        }
    }

    fn find_candidates(
        &self,
        state: &CycleState,
        diagnosis: &Diagnosis,
        verdicts: &mut Diagnosis,
        random: &mut Random,
    ) -> Vec<Candidate> {
        let potential: Vec<usize> =
            (0..diagnosis.node_count()).filter(|position| diagnosis.may_preempt_on(*position)).collect();
        if potential.is_empty() {
            return Vec::new();
        }
        let budgets = Budgets::new(self.handle.listers.pod_disruption_budgets.values());
        let offset = random.below(potential.len() as u64) as usize;
        let args = &state.args().default_preemption;
        let wanted = (potential.len() * args.min_candidate_nodes_percentage / 100)
            .max(args.min_candidate_nodes_absolute)
            .min(potential.len());
        let mut candidates: Vec<Candidate> = Vec::new();
        for index in 0..potential.len() {
            let position = potential[(offset + index) % potential.len()];
            let node = self.handle.cache.node(self.handle.cache.order()[position]);
            match self.select_victims(state, node, &budgets) {
                Ok(candidate) => candidates.push(candidate),
                Err(rejection) => verdicts.reject(position, rejection),
            }
            let has_harmless = candidates.iter().any(|candidate| candidate.pdb_violation_count == 0);
            if has_harmless && candidates.len() >= wanted {
                break;
            }
        }
        candidates
    }

    /// The fewest and least important pods of a node that have to go: `SelectVictimsOnNode`.
    fn select_victims(
        &self,
        state: &CycleState,
        node: &NodeInfo,
        budgets: &Budgets<'_>,
    ) -> Result<Candidate, Rejection> {
        let pod = Arc::clone(&state.pod);
        let mut potential: Vec<Arc<PodInfo>> =
            node.pods.iter().filter(|other| other.priority < pod.priority).cloned().collect();
        if potential.is_empty() {
            return Err(Rejection::unresolvable(
                Plugin::DefaultPreemption,
                "No preemption victims found for incoming pod",
            ));
        }
        let mut trial = Trial { evaluator: self, state: state.clone(), node: node.clone() };
        for victim in &potential {
            trial.remove(victim);
        }
        trial.fits()?;
        potential.order_by_key(|victim| importance(victim, self.now));
        let (violating, harmless) = budgets.split(potential);
        let mut victims = Vec::new();
        let mut pdb_violation_count = 0;
        for (pods, violates) in [(&violating, true), (&harmless, false)] {
            for other in pods {
                trial.add(other);
                if trial.fits().is_err() {
                    trial.remove(other);
                    victims.push(Arc::clone(other));
                    pdb_violation_count += usize::from(violates);
                }
            }
        }
        victims.order_by_key(|victim| importance(victim, self.now));
        Ok(Candidate { node: node.name.clone(), victims, pdb_violation_count })
    }

    /// The candidate that does the least harm: `pickOneNodeForPreemption`.
    fn pick_one(&self, candidates: &[Candidate]) -> usize {
        let harm = |candidate: &Candidate| {
            let highest = candidate.victims.first().map_or(i32::MIN, |victim| victim.priority);
            // Shifted so that more victims of a negative priority still weigh more.
            let sum: i64 =
                candidate.victims.iter().map(|victim| i64::from(victim.priority) + i64::from(i32::MAX) + 1).sum();
            let of_highest = candidate.victims.iter().filter(|victim| victim.priority == highest);
            let earliest_start = of_highest.map(|victim| start_time(victim, self.now)).min();
            let latest_is_best = std::cmp::Reverse(earliest_start);
            (candidate.pdb_violation_count, highest, sum, candidate.victims.len(), latest_is_best)
        };
        let indexed = candidates.iter().enumerate();
        indexed.min_by_key(|(_, candidate)| harm(candidate)).map_or(0, |(index, _)| index)
    }
}

/// Since when a pod runs; one that does not yet runs from now on.
fn start_time(pod: &PodInfo, now: Time) -> Time {
    let started = pod.pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    started.map_or(now, Time::from)
}

/// Sorts the most important pod first: the higher priority, then the longer run.
fn importance(pod: &PodInfo, now: Time) -> (std::cmp::Reverse<i32>, Time) {
    (std::cmp::Reverse(pod.priority), start_time(pod, now))
}

/// A copy of a node from which pods are taken to see what would be.
struct Trial<'a> {
    evaluator: &'a Evaluator<'a>,
    state: CycleState,
    node: NodeInfo,
}

impl Trial<'_> {
    fn remove(&mut self, pod: &PodInfo) {
        self.node.remove_pod(&pod.uid);
        run_pre_filter_extension(&mut self.state, pod, &self.node, -1);
    }

    fn add(&mut self, pod: &Arc<PodInfo>) {
        self.node.add_pod(Arc::clone(pod));
        run_pre_filter_extension(&mut self.state, pod, &self.node, 1);
    }

    fn fits(&self) -> Result<(), Rejection> {
        run_filter_with_nominated_pods(&self.state, self.evaluator.handle, &self.node, self.evaluator.nominator)
    }
}

/// Disruption budgets and how much each still allows.
struct Budgets<'a>(Vec<(&'a PodDisruptionBudget, Selector, i32)>);

impl<'a> Budgets<'a> {
    fn new(budgets: impl Iterator<Item = &'a Arc<PodDisruptionBudget>>) -> Self {
        let selector = |budget: &PodDisruptionBudget| {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            // A budget without a selector, or with an empty one, protects nothing here.
            Selector::from_label_selector(selector).ok().filter(|selector| !selector.is_empty())
        };
        let allowed = |budget: &PodDisruptionBudget| {
            budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0)
        };
        Self(budgets.filter_map(|budget| Some((&**budget, selector(budget)?, allowed(budget)))).collect())
    }

    /// Parts pods into those whose removal would exceed a budget and the others: `filterPodsWithPDBViolation`.
    fn split(&self, pods: Vec<Arc<PodInfo>>) -> (Vec<Arc<PodInfo>>, Vec<Arc<PodInfo>>) {
        let mut allowed: Vec<i32> = self.0.iter().map(|(_, _, allowed)| *allowed).collect();
        pods.into_iter().partition(|pod| {
            let mut violates = false;
            for (index, (budget, selector, _)) in self.0.iter().enumerate() {
                let concerns = !pod.labels.is_empty()
                    && budget.metadata.namespace.as_deref() == Some(&*pod.key.namespace)
                    && selector.matches(&*pod.labels);
                let disrupted = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
                if !concerns || disrupted.is_some_and(|pods| pods.contains_key(&*pod.key.name)) {
                    continue;
                }
                allowed[index] -= 1;
                violates |= allowed[index] < 0;
            }
            violates
        })
    }
}
