//! How the scheduler is told to work: profiles, their plugins and what these are told.
//!
//! A user writes a `KubeSchedulerConfiguration` (`kubescheduler.config.k8s.io/v1`); [`load`] reads it as
//! `pkg/scheduler/apis/config` does, with its defaults, its validation and its words. What comes of it is a
//! [`Configuration`], in which everything is worked out that does not depend on a pod.
//!
//! Not simulated: extenders, which are refused since nothing answers at their addresses; leader election and the
//! client's settings are read and have no effect.

mod load;
mod plugin_args;
mod plugins;
mod validation;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::api::Name;

use super::DEFAULT_SCHEDULER_NAME;
use super::framework::extension_point::ExtensionPoint;
use super::framework::plugin::{Plugin, PluginSet};

pub use load::load;
pub use plugin_args::{
    DefaultPreemptionArgs, DynamicResourcesArgs, InterPodAffinityArgs, NodeAffinityArgs, NodeResourcesFitArgs,
    PluginArgs, PodTopologySpreadArgs, ScoredResource, ScoringStrategy, ShapePoint,
};

/// How long pods wait after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait: `podInitialBackoffSeconds`.
    pub initial: Duration,
    /// The longest: `podMaxBackoffSeconds`.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), max: Duration::from_secs(10) }
    }
}

/// What the scheduler is told.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// How many nodes that would do are enough, in hundredths of all; 0 lets it depend on their number.
    pub percentage_of_nodes_to_score: u32,
    /// How long pods wait after a failure.
    pub backoff: Backoff,
    /// One or more; each serves the pods that ask for it by name.
    pub profiles: Vec<Arc<Profile>>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self { percentage_of_nodes_to_score: 0, backoff: Backoff::default(), profiles: vec![Arc::default()] }
    }
}

impl Configuration {
    /// The profile that serves pods which ask for a scheduler of this name; `None` when they are left to somebody else.
    #[must_use]
    pub fn profile(&self, scheduler_name: &str) -> Option<&Arc<Profile>> {
        // The API server fills the name in; an empty one means the same.
        let wanted = if scheduler_name.is_empty() { DEFAULT_SCHEDULER_NAME } else { scheduler_name };
        self.profiles.iter().find(|profile| &*profile.scheduler_name == wanted)
    }
}

/// Which plugins take part where, and what they are told.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Pods ask for it by this name.
    pub scheduler_name: Name,
    /// Stands above the configuration's own.
    pub percentage_of_nodes_to_score: Option<u32>,
    /// Who may hold a pod back from being tried.
    pub pre_enqueue: PluginSet,
    /// Who looks at a pod before any node is looked at, in order.
    pub pre_filter: Vec<Plugin>,
    /// Who says whether a node will do, in order.
    pub filter: Vec<Plugin>,
    /// Who is asked when no node will do, in order.
    pub post_filter: Vec<Plugin>,
    /// Who compares nodes, in order, and how much each score counts.
    pub score: Vec<(Plugin, i64)>,
    /// Who is asked at Filter and could be asked at PreFilter before, and is not.
    pub unprepared_filters: PluginSet,
    /// Who is asked at Score and could be asked at PreScore before, and is not.
    pub unprepared_scores: PluginSet,
    /// Who reserves something on the node that was chosen.
    pub reserve: PluginSet,
    /// Who has something to do before the pod is bound.
    pub pre_bind: PluginSet,
    /// What the plugins are told.
    pub args: PluginArgs,
}

impl Default for Profile {
    fn default() -> Self {
        Self::new(DEFAULT_SCHEDULER_NAME.into())
    }
}

impl Profile {
    /// A profile with the default plugins: `getDefaultPlugins`.
    #[must_use]
    pub fn new(scheduler_name: Name) -> Self {
        let at = |point: ExtensionPoint| Plugin::ALL.into_iter().filter(move |plugin| point.has(*plugin));
        Self {
            scheduler_name,
            percentage_of_nodes_to_score: None,
            pre_enqueue: at(ExtensionPoint::PreEnqueue).collect(),
            pre_filter: at(ExtensionPoint::PreFilter).collect(),
            filter: at(ExtensionPoint::Filter).collect(),
            post_filter: at(ExtensionPoint::PostFilter).collect(),
            unprepared_filters: PluginSet::EMPTY,
            unprepared_scores: PluginSet::EMPTY,
            score: at(ExtensionPoint::Score).map(|plugin| (plugin, plugin.default_weight())).collect(),
            reserve: at(ExtensionPoint::Reserve).collect(),
            pre_bind: at(ExtensionPoint::PreBind).collect(),
            args: PluginArgs::default(),
        }
    }
}
