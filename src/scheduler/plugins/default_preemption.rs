//! DefaultPreemption: when no node will do, pods of lower priority may have to go.

use crate::api::Name;
use crate::machinery::random::Random;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::diagnosis::Diagnosis;
use crate::scheduler::preemption::{Candidate, Evaluator, Preemption};

/// What the plugin came to.
#[derive(Clone, Debug, Default)]
pub struct PostFilter {
    /// Its part of the message; empty when victims were found.
    pub message: String,
    /// What becomes of the pod's nomination; `None` leaves it as it is.
    pub nomination: Option<Name>,
    /// The pods that have to go, and where.
    pub candidate: Option<Candidate>,
}

/// Asks whether preemption helps.
#[must_use]
pub fn post_filter(
    evaluator: Evaluator<'_>,
    state: &CycleState,
    diagnosis: &Diagnosis,
    random: &mut Random,
) -> PostFilter {
    let said = |message: &str| format!("preemption: {message}");
    match evaluator.preempt(state, diagnosis, random) {
        Preemption::Nominate(candidate) => {
            PostFilter { message: String::new(), nomination: Some(candidate.node.clone()), candidate: Some(candidate) }
        }
        Preemption::NotHelpful(message) => {
            PostFilter { message: said(&message), nomination: Some(Name::from("")), candidate: None }
        }
        Preemption::NotEligible(message) => PostFilter { message: said(message), nomination: None, candidate: None },
    }
}
