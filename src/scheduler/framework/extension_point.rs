//! Where a plugin can take part in a scheduling cycle, and which plugins do where.
//!
//! Follows `getExtensionPoints` of `pkg/scheduler/framework/runtime/framework.go` and the interfaces that each plugin
//! implements.

use super::plugin::Plugin;

/// A point of a scheduling cycle at which plugins are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's")]
pub enum ExtensionPoint {
    PreFilter,
    Filter,
    PostFilter,
    Reserve,
    PreScore,
    Score,
    PreBind,
    Bind,
    PostBind,
    Permit,
    PreEnqueue,
    QueueSort,
}

impl ExtensionPoint {
    /// All points, in the order in which upstream sets them up.
    pub const ALL: [Self; 12] = [
        Self::PreFilter,
        Self::Filter,
        Self::PostFilter,
        Self::Reserve,
        Self::PreScore,
        Self::Score,
        Self::PreBind,
        Self::Bind,
        Self::PostBind,
        Self::Permit,
        Self::PreEnqueue,
        Self::QueueSort,
    ];

    /// Its field in a profile's `plugins`.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::PreFilter => "preFilter",
            Self::Filter => "filter",
            Self::PostFilter => "postFilter",
            Self::Reserve => "reserve",
            Self::PreScore => "preScore",
            Self::Score => "score",
            Self::PreBind => "preBind",
            Self::Bind => "bind",
            Self::PostBind => "postBind",
            Self::Permit => "permit",
            Self::PreEnqueue => "preEnqueue",
            Self::QueueSort => "queueSort",
        }
    }

    /// The name of the interface in upstream's messages.
    #[must_use]
    pub const fn go_type(self) -> &'static str {
        match self {
            Self::PreFilter => "PreFilterPlugin",
            Self::Filter => "FilterPlugin",
            Self::PostFilter => "PostFilterPlugin",
            Self::Reserve => "ReservePlugin",
            Self::PreScore => "PreScorePlugin",
            Self::Score => "ScorePlugin",
            Self::PreBind => "PreBindPlugin",
            Self::Bind => "BindPlugin",
            Self::PostBind => "PostBindPlugin",
            Self::Permit => "PermitPlugin",
            Self::PreEnqueue => "PreEnqueuePlugin",
            Self::QueueSort => "QueueSortPlugin",
        }
    }

    /// Whether the plugin has something to do here.
    #[must_use]
    pub fn has(self, plugin: Plugin) -> bool {
        points_of(plugin).contains(&self)
    }
}

const fn points_of(plugin: Plugin) -> &'static [ExtensionPoint] {
    use ExtensionPoint::{
        Bind, Filter, PostFilter, PreBind, PreEnqueue, PreFilter, PreScore, QueueSort, Reserve, Score,
    };
    match plugin {
        Plugin::SchedulingGates => &[PreEnqueue],
        Plugin::PrioritySort => &[QueueSort],
        Plugin::NodeUnschedulable | Plugin::NodeName => &[Filter],
        Plugin::TaintToleration => &[Filter, PreScore, Score],
        Plugin::NodeAffinity | Plugin::NodeResourcesFit | Plugin::PodTopologySpread | Plugin::InterPodAffinity => {
            &[PreFilter, Filter, PreScore, Score]
        }
        Plugin::NodePorts
        | Plugin::VolumeRestrictions
        | Plugin::NodeVolumeLimits
        | Plugin::VolumeZone
        | Plugin::NodeDeclaredFeatures => &[PreFilter, Filter],
        Plugin::VolumeBinding => &[PreFilter, Filter, PreScore, Score, Reserve, PreBind],
        Plugin::DynamicResources => &[PreEnqueue, PreFilter, Filter, PostFilter, Score, Reserve, PreBind],
        Plugin::DefaultPreemption => &[PreEnqueue, PostFilter],
        Plugin::NodeResourcesBalancedAllocation => &[PreScore, Score],
        Plugin::ImageLocality => &[Score],
        Plugin::DefaultBinder => &[Bind],
    }
}
