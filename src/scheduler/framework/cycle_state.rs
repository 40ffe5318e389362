//! What plugins remember of a pod from one extension point to the next.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::machinery::time::Time;

use crate::scheduler::configuration::{PluginArgs, Profile};
use crate::scheduler::plugins::dynamic_resources::PodClaims;
use crate::scheduler::plugins::inter_pod_affinity::AffinityState;
use crate::scheduler::plugins::pod_topology_spread::SpreadState;
use crate::scheduler::plugins::volume_binding::PodVolumes;
use crate::scheduler::plugins::volume_restrictions::ExclusiveClaims;
use crate::scheduler::plugins::volume_zone::Place;
use crate::scheduler::pod_info::PodInfo;

use super::plugin::{Plugin, PluginSet};
use super::status::Rejection;

/// The memory of one scheduling cycle. What needs no counting over nodes stands in [`PodInfo`] already.
#[derive(Clone, Debug)]
pub struct CycleState {
    /// The pod that is being placed.
    pub pod: Arc<PodInfo>,
    /// The profile that serves it.
    pub profile: Arc<Profile>,
    /// Filters that have nothing to say of this pod.
    pub skip_filter: PluginSet,
    /// What the first filter says that was not asked at PreFilter and cannot do without: the same of every node.
    pub unprepared: Option<Rejection>,
    /// The other filters of the profile, in their order, up to that one.
    pub filters: SmallVec<[Plugin; 16]>,
    /// How many matching pods each domain has, for hard constraints.
    pub spread: Option<SpreadState>,
    /// How many matching pods each topology has, for required terms.
    pub affinity: Option<AffinityState>,
    /// The claims that the pod wants for itself.
    pub exclusive_claims: Option<ExclusiveClaims>,
    /// The pod's volumes, bound and to be bound.
    pub volumes: Option<Arc<PodVolumes>>,
    /// Where the pod's volumes are, as their labels say.
    pub volume_places: Vec<Place>,
    /// The pod's claims for devices.
    pub devices: Option<Arc<PodClaims>>,
    /// When the cycle began, where that is known.
    pub now: Option<Time>,
}

impl CycleState {
    /// An empty memory for `pod`.
    #[must_use]
    pub fn new(pod: Arc<PodInfo>, profile: Arc<Profile>) -> Self {
        Self {
            pod,
            profile,
            skip_filter: PluginSet::EMPTY,
            unprepared: None,
            filters: SmallVec::new(),
            spread: None,
            affinity: None,
            exclusive_claims: None,
            volumes: None,
            volume_places: Vec::new(),
            devices: None,
            now: None,
        }
    }

    /// What the plugins are told.
    #[must_use]
    pub fn args(&self) -> &PluginArgs {
        &self.profile.args
    }
}
