//! What plugins come to that take part at an extension point and not at the one before, which prepares it.
//!
//! A profile may switch a plugin off at PreFilter and leave it on at Filter, or likewise at PreScore and Score. Some
//! plugins then work out what they need, for the others something is wrong with every pod. Follows `getPreFilterState` and
//! `getPreScoreState` of the plugins in `pkg/scheduler/framework/plugins`.

use super::cycle_state::CycleState;
use super::extension_point::ExtensionPoint;
use super::plugin::Plugin;
use super::status::Rejection;
use super::{Handle, PreFilter, run_score};
use crate::scheduler::configuration::Profile;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::plugins::volume_zone;

/// What a read of the cycle's state says when nobody wrote it: `ErrNotFound`.
const NOT_FOUND: &str = "not found";

/// What the plugin says at Filter in every case, if it cannot do without PreFilter.
fn filter_error(plugin: Plugin) -> Option<String> {
    let key = format!("\"PreFilter{plugin}\"");
    match plugin {
        Plugin::NodePorts | Plugin::PodTopologySpread => Some(format!("reading {key} from cycleState: {NOT_FOUND}")),
        Plugin::NodeDeclaredFeatures => Some(format!("error reading {key} from cycle-state: {NOT_FOUND}")),
        Plugin::NodeResourcesFit | Plugin::InterPodAffinity => {
            Some(format!("error reading {key} from cycleState: {NOT_FOUND}"))
        }
        Plugin::VolumeRestrictions => Some(format!("cannot read {key} from cycleState")),
        Plugin::VolumeBinding | Plugin::DynamicResources => Some(NOT_FOUND.to_owned()),
        _ => None,
    }
}

/// Works out what the filters will say that were not prepared; `None` when they answer as usual.
pub(super) fn filter_verdict(plugin: Plugin, state: &mut CycleState, handle: Handle<'_>) -> Option<Rejection> {
    if let Some(error) = filter_error(plugin) {
        return Some(Rejection::error(plugin, error));
    }
    if plugin == Plugin::VolumeZone {
        return match volume_zone::pre_filter(state, handle) {
            PreFilter::Reject(rejection) => Some(rejection),
            _ => None,
        };
    }
    None
}

/// Lets a plugin compare nodes that was not asked at PreScore, and therefore could not say that it has nothing to say.
///
/// # Errors
/// It cannot do without.
pub fn run_unprepared_score(
    plugin: Plugin,
    state: &CycleState,
    handle: Handle<'_>,
    nodes: &[&NodeInfo],
) -> Result<Vec<i64>, String> {
    let key = format!("\"PreScore{plugin}\"");
    let error = match plugin {
        Plugin::TaintToleration | Plugin::InterPodAffinity => {
            format!("failed to read {key} from cycleState: {NOT_FOUND}")
        }
        Plugin::PodTopologySpread => format!("error reading {key} from cycleState: {NOT_FOUND}"),
        Plugin::DynamicResources => NOT_FOUND.to_owned(),
        _ => return Ok(run_score(plugin, state, handle, nodes).unwrap_or_else(|| vec![0; nodes.len()])),
    };
    Err(error)
}

/// What ends the binding of every pod, if a plugin is to keep something for pods at which it did not look before.
#[must_use]
pub fn binding_error(profile: &Profile) -> Option<String> {
    let is_unprepared =
        |plugin: &Plugin| ExtensionPoint::PreFilter.has(*plugin) && !profile.pre_filter.contains(plugin);
    let found = |at: &super::plugin::PluginSet| at.iter().find(is_unprepared);
    if let Some(plugin) = found(&profile.reserve) {
        return Some(format!("running Reserve plugin \"{plugin}\": {NOT_FOUND}"));
    }
    let plugin = found(&profile.pre_bind)?;
    Some(format!("running PreBindPreFlight \"{plugin}\": {NOT_FOUND}"))
}
