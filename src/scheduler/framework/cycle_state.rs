//! What plugins remember of a pod from one extension point to the next.

use std::sync::Arc;

use crate::scheduler::plugins::inter_pod_affinity::AffinityState;
use crate::scheduler::plugins::pod_topology_spread::SpreadState;
use crate::scheduler::pod_info::PodInfo;

use super::plugin::PluginSet;

/// The memory of one scheduling cycle. What needs no counting over nodes stands in [`PodInfo`] already.
#[derive(Clone, Debug)]
pub struct CycleState {
    /// The pod that is being placed.
    pub pod: Arc<PodInfo>,
    /// Filters that have nothing to say of this pod.
    pub skip_filter: PluginSet,
    /// How many matching pods each domain has, for hard constraints.
    pub spread: Option<SpreadState>,
    /// How many matching pods each topology has, for required terms.
    pub affinity: Option<AffinityState>,
}

impl CycleState {
    /// An empty memory for `pod`.
    #[must_use]
    pub const fn new(pod: Arc<PodInfo>) -> Self {
        Self { pod, skip_filter: PluginSet::EMPTY, spread: None, affinity: None }
    }
}
