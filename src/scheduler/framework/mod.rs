//! The points at which plugins take part in a scheduling cycle, and the order in which they do.
//!
//! Follows `pkg/scheduler/framework/runtime/framework.go`. Upstream finds plugins in a registry at run time; here a match
//! over [`Plugin`] is the registry, and the [`Profile`] says who takes part where. A plugin that comes later adds a
//! variant, its extension points, and an arm at each of them.

pub mod cycle_state;
pub mod diagnosis;
pub mod events;
pub mod extension_point;
pub mod plugin;
pub mod score_table;
pub mod status;
pub mod unprepared;

use std::collections::BTreeSet;

use crate::api::Name;

use super::cache::Cache;
use super::configuration::Profile;
use super::dra_manager::DraManager;
use super::listers::Listers;
use super::node_info::NodeInfo;
use super::plugins::{
    balanced_allocation, dynamic_resources, image_locality, inter_pod_affinity, node_affinity, node_declared_features,
    node_name, node_ports, node_resources_fit, node_unschedulable, node_volume_limits, pod_topology_spread,
    scheduling_gates, taint_toleration, volume_binding, volume_restrictions, volume_zone,
};
use super::pod_info::PodInfo;
use cycle_state::CycleState;
use events::{Change, ClusterEvent, QueueingHint};
use plugin::{Plugin, PluginSet};
use status::{Code, Reason, Rejection};

/// What plugins read besides the pod and the node.
#[derive(Clone, Copy, Debug)]
pub struct Handle<'a> {
    /// Nodes and their pods.
    pub cache: &'a Cache,
    /// Other kinds.
    pub listers: &'a Listers,
}

/// What a plugin says of a pod before nodes are looked at.
#[derive(Clone, Debug)]
pub enum PreFilter {
    /// Look at all nodes.
    All,
    /// Look at these nodes only.
    Only(BTreeSet<Name>),
    /// This plugin's filter has nothing to say.
    Skip,
    /// No node will do.
    Reject(Rejection),
}

/// The nodes that PreFilter left.
#[derive(Clone, Debug, Default)]
pub struct PreFilterResult {
    /// `None` for all.
    pub nodes: Option<BTreeSet<Name>>,
    /// The plugins that ruled nodes out.
    pub plugins: PluginSet,
}

/// Asks whether a pod may enter the active queue; names the plugin that holds it back.
#[must_use]
pub fn run_pre_enqueue(profile: &Profile, pod: &PodInfo, claims: &DraManager) -> Option<Plugin> {
    let takes_part = |plugin: &Plugin| profile.pre_enqueue.contains(*plugin);
    [Plugin::SchedulingGates, Plugin::DynamicResources].into_iter().filter(takes_part).find(|plugin| match plugin {
        Plugin::SchedulingGates => scheduling_gates::pre_enqueue(pod),
        _ => dynamic_resources::pre_enqueue(pod, claims),
    })
}

/// Lets plugins look at the pod, and collects which nodes and which filters can be left out.
///
/// # Errors
/// The first plugin's no.
pub fn run_pre_filter(state: &mut CycleState, handle: Handle<'_>) -> Result<PreFilterResult, Rejection> {
    let mut result = PreFilterResult::default();
    let profile = std::sync::Arc::clone(&state.profile);
    let mut verdicts: Vec<Rejection> = Vec::new();
    for plugin in profile.unprepared_filters.iter() {
        if let Some(verdict) = unprepared::filter_verdict(plugin, state, handle) {
            state.skip_filter.insert(plugin);
            verdicts.push(verdict);
        }
    }
    for &plugin in &profile.pre_filter {
        let said = match plugin {
            Plugin::NodeAffinity => node_affinity::pre_filter(state),
            Plugin::NodePorts => node_ports::pre_filter(state),
            Plugin::VolumeRestrictions => volume_restrictions::pre_filter(state, handle),
            Plugin::NodeVolumeLimits => node_volume_limits::pre_filter(state),
            Plugin::VolumeBinding => volume_binding::pre_filter(state, handle),
            Plugin::VolumeZone => volume_zone::pre_filter(state, handle),
            Plugin::PodTopologySpread => pod_topology_spread::pre_filter(state, handle),
            Plugin::InterPodAffinity => inter_pod_affinity::pre_filter(state, handle),
            Plugin::DynamicResources => dynamic_resources::pre_filter(state, handle),
            Plugin::NodeDeclaredFeatures => node_declared_features::pre_filter(state),
            _ => PreFilter::All,
        };
        match said {
            PreFilter::All => {}
            PreFilter::Skip => state.skip_filter.insert(plugin),
            PreFilter::Reject(rejection) => return Err(rejection),
            PreFilter::Only(names) => {
                result.plugins.insert(plugin);
                result.nodes = Some(match result.nodes.take() {
                    None => names,
                    Some(known) => known.intersection(&names).cloned().collect(),
                });
            }
        }
        if result.nodes.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(ruled_out(result.plugins, " simultaneously"));
        }
    }
    // Worked out once, and not for each of a thousand nodes.
    let has_a_say = |plugin: &Plugin| match plugin {
        Plugin::NodeName => !state.pod.node_name().is_empty(),
        plugin => !state.skip_filter.contains(*plugin),
    };
    let is_lost = |plugin: &Plugin| verdicts.iter().any(|verdict| verdict.plugin == Some(*plugin));
    state.filters = profile.filter.iter().copied().take_while(|plugin| !is_lost(plugin)).filter(has_a_say).collect();
    if let Some(plugin) = profile.filter.iter().copied().find(is_lost) {
        state.unprepared = verdicts.into_iter().find(|verdict| verdict.plugin == Some(plugin));
    }
    Ok(result)
}

/// The verdict about nodes that PreFilter ruled out.
#[must_use]
pub fn ruled_out(plugins: PluginSet, how: &str) -> Rejection {
    let reason = Reason::Made(format!("node(s) didn't satisfy plugin(s) {plugins}{how}").into());
    Rejection { plugin: None, code: Code::UnschedulableAndUnresolvable, reasons: std::iter::once(reason).collect() }
}

/// Asks plugin after plugin whether a node will do, until one refuses it. [`run_pre_filter`] has to have been run.
///
/// # Errors
/// The first plugin's no.
pub fn run_filter(state: &CycleState, handle: Handle<'_>, node: &NodeInfo) -> Result<(), Rejection> {
    for &plugin in &state.filters {
        match plugin {
            Plugin::NodeUnschedulable => node_unschedulable::filter(state, node)?,
            Plugin::NodeName => node_name::filter(state, node)?,
            Plugin::TaintToleration => taint_toleration::filter(state, node)?,
            Plugin::NodeAffinity => node_affinity::filter(state, node)?,
            Plugin::NodePorts => node_ports::filter(state, node)?,
            Plugin::NodeResourcesFit => node_resources_fit::filter(state, node)?,
            Plugin::VolumeRestrictions => volume_restrictions::filter(state, node)?,
            Plugin::NodeVolumeLimits => node_volume_limits::filter(state, handle, node)?,
            Plugin::VolumeBinding => volume_binding::filter(state, node)?,
            Plugin::VolumeZone => volume_zone::filter(state, node)?,
            Plugin::PodTopologySpread => pod_topology_spread::filter(state, node)?,
            Plugin::InterPodAffinity => inter_pod_affinity::filter(state, node)?,
            Plugin::DynamicResources => dynamic_resources::filter(state, node)?,
            Plugin::NodeDeclaredFeatures => node_declared_features::filter(node)?,
            _ => {}
        }
    }
    match &state.unprepared {
        None => Ok(()),
        Some(verdict) => Err(verdict.clone()),
    }
}

/// Tells plugins that a pod was put on a node for the sake of a what-if, or taken from it.
pub fn run_pre_filter_extension(state: &mut CycleState, pod: &PodInfo, node: &NodeInfo, delta: i64) {
    if !state.skip_filter.contains(Plugin::VolumeRestrictions) {
        volume_restrictions::count_pod(state, pod, delta);
    }
    if !state.skip_filter.contains(Plugin::PodTopologySpread) {
        pod_topology_spread::count_pod(state, pod, node, delta);
    }
    if !state.skip_filter.contains(Plugin::InterPodAffinity) {
        inter_pod_affinity::count_pod(state, pod, node, delta);
    }
}

/// Lets a plugin compare nodes: 0 to 100 for each, or `None` when it has nothing to say of this pod.
#[must_use]
pub fn run_score(plugin: Plugin, state: &CycleState, handle: Handle<'_>, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    match plugin {
        Plugin::TaintToleration => Some(taint_toleration::score(state, nodes)),
        Plugin::NodeAffinity => node_affinity::score(state, nodes),
        Plugin::NodeResourcesFit => Some(node_resources_fit::score(state, nodes)),
        Plugin::PodTopologySpread => pod_topology_spread::score(state, handle, nodes),
        Plugin::InterPodAffinity => inter_pod_affinity::score(state, handle, nodes),
        Plugin::DynamicResources => Some(dynamic_resources::score(state, nodes)),
        Plugin::NodeResourcesBalancedAllocation => balanced_allocation::score(state, nodes),
        Plugin::ImageLocality => Some(image_locality::score(state, handle, nodes)),
        _ => None,
    }
}

/// Asks a plugin that refused a pod whether an event may change that; `None` when the event does not concern it.
#[must_use]
pub fn run_hint(
    plugin: Plugin,
    profile: &Profile,
    event: ClusterEvent,
    pod: &PodInfo,
    change: &Change,
    listers: &Listers,
) -> Option<QueueingHint> {
    match plugin {
        Plugin::SchedulingGates => scheduling_gates::hint(event, pod, change),
        Plugin::NodeUnschedulable => node_unschedulable::hint(event, pod, change),
        Plugin::NodeName => node_name::hint(event),
        Plugin::TaintToleration => taint_toleration::hint(event, pod, change),
        Plugin::NodeAffinity => node_affinity::hint(&profile.args.node_affinity, event, pod, change),
        Plugin::NodePorts => node_ports::hint(event, pod, change),
        Plugin::NodeResourcesFit => node_resources_fit::hint(event, pod, change, &listers.dra),
        Plugin::VolumeRestrictions => volume_restrictions::hint(event, pod, change),
        Plugin::NodeVolumeLimits => node_volume_limits::hint(event, pod, change, listers),
        Plugin::VolumeBinding => volume_binding::hint(event, pod, change),
        Plugin::VolumeZone => volume_zone::hint(event, pod, change),
        Plugin::PodTopologySpread => {
            pod_topology_spread::hint(&profile.args.pod_topology_spread, event, pod, change, listers)
        }
        Plugin::InterPodAffinity => inter_pod_affinity::hint(event, pod, change, listers),
        Plugin::DynamicResources => dynamic_resources::hint(event, pod, change, &listers.dra),
        Plugin::NodeDeclaredFeatures => node_declared_features::hint(event, change),
        _ => None,
    }
}

/// The largest score becomes 100 and the others follow; reversed, the largest becomes 0.
///
/// `pkg/scheduler/framework/plugins/helper/normalize_score.go`.
pub fn default_normalize_score(reverse: bool, scores: &mut [i64]) {
    let max = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        let scaled = if max == 0 { 0 } else { score_table::MAX_NODE_SCORE * *score / max };
        *score = if reverse { score_table::MAX_NODE_SCORE - scaled } else { scaled };
    }
}
