//! NodeName: a pod that names its node runs there and nowhere else.

use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::node_info::NodeInfo;

const REASON: &str = "node(s) didn't match the requested node name";

/// Refuses every other node.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    let wanted = state.pod.node_name();
    if !wanted.is_empty() && *wanted != *node.name {
        return Err(Rejection::unresolvable(Plugin::NodeName, REASON));
    }
    Ok(())
}

/// A new node may be the one.
#[must_use]
pub fn hint(event: ClusterEvent) -> Option<QueueingHint> {
    event.is_node(ActionType::ADD).then_some(QueueingHint::Queue)
}
