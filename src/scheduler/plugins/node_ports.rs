//! NodePorts: a port of a node is held by one pod at a time.

use crate::scheduler::framework::PreFilter;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::{HostPort, PodInfo};

const REASON: &str = "node(s) didn't have free ports for the requested pod ports";

fn conflict(wanted: &[HostPort], used: &[HostPort]) -> bool {
    wanted.iter().any(|port| used.iter().any(|other| port.conflicts(other)))
}

/// Pods without host ports need no look.
#[must_use]
pub fn pre_filter(state: &CycleState) -> PreFilter {
    if state.pod.host_ports.is_empty() { PreFilter::Skip } else { PreFilter::All }
}

/// Refuses nodes on which a port is taken.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    if conflict(&state.pod.host_ports, &node.used_ports) {
        return Err(Rejection::unschedulable(Plugin::NodePorts, REASON));
    }
    Ok(())
}

/// A pod on a node that held one of the ports is gone, or there is a new node.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
    match change {
        Change::Pod(Some(old), None) if event.is_pod(ActionType::DELETE) => {
            let had_place = !old.node_name().is_empty() || !old.nominated_node_name().is_empty();
            Some(QueueingHint::when(had_place && conflict(&pod.host_ports, &old.host_ports)))
        }
        Change::Node(None, Some(_)) if event.is_node(ActionType::ADD) => Some(QueueingHint::Queue),
        _ => None,
    }
}
