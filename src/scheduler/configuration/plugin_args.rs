//! What plugins are told. Follows `pkg/scheduler/apis/config/types_pluginargs.go` and `v1/defaults.go`.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::{NodeAffinity, TopologySpreadConstraint};
use serde_json::{Value, json};

use crate::api::Name;
use crate::machinery::duration::GoDuration;
use crate::machinery::json::from_value;
use crate::machinery::node_selector::{NodeTerms, PreferredNodeAffinity};

use super::super::plugins::pod_topology_spread::SpreadConstraint;
use super::super::resource::Resource;

/// The largest score of a point of a shape: `MaxCustomPriorityScore`.
pub(super) const MAX_CUSTOM_PRIORITY_SCORE: i64 = 10;

/// The plugins that are told something; a plugin's arguments are the kind of its name with `Args` behind it.
pub(super) const WITH_ARGS: [&str; 8] = [
    "DefaultPreemption",
    "DynamicResources",
    "InterPodAffinity",
    "NodeAffinity",
    "NodeResourcesBalancedAllocation",
    "NodeResourcesFit",
    "PodTopologySpread",
    "VolumeBinding",
];

/// The arguments that are spans of time.
pub(super) const DURATIONS: [&str; 2] = ["filterTimeout", "bindingTimeout"];

/// What all plugins of a profile are told.
#[derive(Clone, Debug)]
pub struct PluginArgs {
    /// For DefaultPreemption.
    pub default_preemption: DefaultPreemptionArgs,
    /// For DynamicResources.
    pub dynamic_resources: DynamicResourcesArgs,
    /// For InterPodAffinity.
    pub inter_pod_affinity: InterPodAffinityArgs,
    /// For NodeAffinity.
    pub node_affinity: NodeAffinityArgs,
    /// For NodeResourcesBalancedAllocation: the resources that are to be used evenly.
    pub balanced_allocation: Vec<ScoredResource>,
    /// For NodeResourcesFit.
    pub node_resources_fit: NodeResourcesFitArgs,
    /// For PodTopologySpread.
    pub pod_topology_spread: PodTopologySpreadArgs,
    /// For VolumeBinding: how long a pod's volumes are waited for.
    pub bind_timeout: Duration,
}

impl Default for PluginArgs {
    fn default() -> Self {
        Self {
            default_preemption: DefaultPreemptionArgs::default(),
            dynamic_resources: DynamicResourcesArgs::default(),
            inter_pod_affinity: InterPodAffinityArgs::default(),
            node_affinity: NodeAffinityArgs::default(),
            balanced_allocation: vec![ScoredResource::Cpu, ScoredResource::Memory],
            node_resources_fit: NodeResourcesFitArgs::default(),
            pod_topology_spread: PodTopologySpreadArgs::default(),
            bind_timeout: Duration::from_secs(600),
        }
    }
}

/// How many nodes preemption looks at.
#[derive(Clone, Copy, Debug)]
pub struct DefaultPreemptionArgs {
    /// At least this share of the nodes, in hundredths.
    pub min_candidate_nodes_percentage: usize,
    /// At least so many.
    pub min_candidate_nodes_absolute: usize,
}

impl Default for DefaultPreemptionArgs {
    fn default() -> Self {
        Self { min_candidate_nodes_percentage: 10, min_candidate_nodes_absolute: 100 }
    }
}

/// How long DynamicResources takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicResourcesArgs {
    /// How long devices are looked for on one node; zero for as long as it takes.
    pub filter_timeout: Duration,
    /// How long devices may take to become ready before their pod is bound.
    pub binding_timeout: Duration,
}

impl Default for DynamicResourcesArgs {
    fn default() -> Self {
        Self { filter_timeout: Duration::from_secs(10), binding_timeout: Duration::from_secs(600) }
    }
}

/// How other pods' terms count.
#[derive(Clone, Copy, Debug)]
pub struct InterPodAffinityArgs {
    /// What a required affinity term of a pod that is there counts for a pod that it means.
    pub hard_pod_affinity_weight: i64,
    /// Whether pods without preferences of their own are spared those of the others.
    pub ignore_preferred_terms_of_existing_pods: bool,
}

impl Default for InterPodAffinityArgs {
    fn default() -> Self {
        Self { hard_pod_affinity_weight: 1, ignore_preferred_terms_of_existing_pods: false }
    }
}

/// A node affinity that all pods of the profile have besides their own.
#[derive(Clone, Debug, Default)]
pub struct NodeAffinityArgs {
    /// Nodes that pods may run on.
    pub required: Option<NodeTerms>,
    /// Nodes that pods would like to run on.
    pub preferred: Option<PreferredNodeAffinity>,
}

/// A resource that is looked at when nodes are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScoredResource {
    /// `cpu`.
    Cpu,
    /// `memory`.
    Memory,
    /// `ephemeral-storage`.
    EphemeralStorage,
    /// Any other; nodes that do not have it, and pods that do not ask for it, leave it out.
    Scalar(Name),
}

impl ScoredResource {
    fn new(name: &str) -> Self {
        match name {
            "cpu" => Self::Cpu,
            "memory" => Self::Memory,
            "ephemeral-storage" => Self::EphemeralStorage,
            other => Self::Scalar(other.into()),
        }
    }

    /// The amount in a list of resources.
    #[must_use]
    pub fn amount(&self, of: &Resource) -> i64 {
        match self {
            Self::Cpu => of.milli_cpu,
            Self::Memory => of.memory,
            Self::EphemeralStorage => of.ephemeral_storage,
            Self::Scalar(name) => of.scalar(name),
        }
    }
}

/// A point of a broken line: what use of a resource, in hundredths, is worth how much, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapePoint {
    /// Where the point is.
    pub utilization: i64,
    /// How high.
    pub score: i64,
}

/// What makes one node better than another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScoringStrategy {
    /// The emptier.
    LeastAllocated,
    /// The fuller.
    MostAllocated,
    /// What the line through these points says.
    RequestedToCapacityRatio(Vec<ShapePoint>),
}

/// Which resources must fit and how nodes are compared by them.
#[derive(Clone, Debug)]
pub struct NodeResourcesFitArgs {
    /// Resources of somebody's own that need not fit.
    pub ignored_resources: BTreeSet<Name>,
    /// All resources of these domains need not either.
    pub ignored_resource_groups: BTreeSet<Name>,
    /// What makes one node better than another.
    pub strategy: ScoringStrategy,
    /// The resources that are looked at for it, and how much each counts.
    pub resources: Vec<(ScoredResource, i64)>,
}

impl Default for NodeResourcesFitArgs {
    fn default() -> Self {
        Self {
            ignored_resources: BTreeSet::new(),
            ignored_resource_groups: BTreeSet::new(),
            strategy: ScoringStrategy::LeastAllocated,
            resources: vec![(ScoredResource::Cpu, 1), (ScoredResource::Memory, 1)],
        }
    }
}

/// How pods are spread that say nothing of it themselves.
#[derive(Clone, Debug)]
pub struct PodTopologySpreadArgs {
    /// The constraints of such pods, with selectors still to be filled in.
    pub default_constraints: Vec<SpreadConstraint>,
    /// Whether these are the built-in ones, by which nodes without a zone are still spread over by host.
    pub is_system_defaulting: bool,
}

impl Default for PodTopologySpreadArgs {
    fn default() -> Self {
        Self { default_constraints: SpreadConstraint::system_defaults(), is_system_defaulting: true }
    }
}

/// A whole number of a decoded object.
pub(super) fn number(value: &Value, field: &str) -> Option<i64> {
    value.get(field)?.as_i64()
}

/// A text of a decoded object; empty when it is missing.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A list of a decoded object; empty when it is missing.
pub(super) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A span of time of a decoded object, as Go writes it.
pub(super) fn duration(value: &Value, field: &str) -> Option<GoDuration> {
    GoDuration::parse(value.get(field)?.as_str()?).ok()
}

fn default_resources() -> Value {
    json!([{"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1}])
}

fn set_default(args: &mut Value, field: &str, default: impl FnOnce() -> Value) {
    if let Some(args) = args.as_object_mut()
        && !args.contains_key(field)
    {
        args.insert(field.to_owned(), default());
    }
}

/// No resources are the default ones; a resource without a weight, or with none, counts once.
fn set_resource_defaults(owner: &mut Value) {
    if list(owner, "resources").is_empty()
        && let Some(owner) = owner.as_object_mut()
    {
        owner.insert("resources".to_owned(), default_resources());
    }
    for resource in owner.get_mut("resources").and_then(Value::as_array_mut).into_iter().flatten() {
        if number(resource, "weight").unwrap_or(0) == 0
            && let Some(resource) = resource.as_object_mut()
        {
            resource.insert("weight".to_owned(), 1.into());
        }
    }
}

/// Fills in what a plugin's arguments leave open: `SetDefaults_…Args`.
pub(super) fn set_defaults(plugin: &str, args: &mut Value) {
    match plugin {
        "DefaultPreemption" => {
            set_default(args, "minCandidateNodesPercentage", || 10.into());
            set_default(args, "minCandidateNodesAbsolute", || 100.into());
        }
        "DynamicResources" => {
            set_default(args, DURATIONS[0], || "10s".into());
            set_default(args, DURATIONS[1], || "10m0s".into());
        }
        "InterPodAffinity" => set_default(args, "hardPodAffinityWeight", || 1.into()),
        "NodeResourcesBalancedAllocation" => set_resource_defaults(args),
        "NodeResourcesFit" => {
            set_default(args, "scoringStrategy", || json!({"type": "LeastAllocated"}));
            if let Some(strategy) = args.get_mut("scoringStrategy") {
                set_resource_defaults(strategy);
            }
        }
        "PodTopologySpread" => set_default(args, "defaultingType", || "System".into()),
        "VolumeBinding" => set_default(args, "bindTimeoutSeconds", || 600.into()),
        _ => {}
    }
}

fn unsigned(value: &Value, field: &str) -> u64 {
    number(value, field).and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

fn names(value: &Value, field: &str) -> BTreeSet<Name> {
    list(value, field).iter().filter_map(Value::as_str).map(Name::from).collect()
}

fn shape(strategy: &Value) -> Vec<ShapePoint> {
    let points = strategy.get("requestedToCapacityRatio").map_or(&[][..], |ratio| list(ratio, "shape"));
    let point = |point: &Value| ShapePoint {
        utilization: number(point, "utilization").unwrap_or(0),
        score: number(point, "score").unwrap_or(0) * (100 / MAX_CUSTOM_PRIORITY_SCORE),
    };
    points.iter().map(point).collect()
}

impl PluginArgs {
    /// Takes over a plugin's arguments, which are complete and valid.
    pub(super) fn set(&mut self, plugin: &str, args: &Value) {
        match plugin {
            "DefaultPreemption" => {
                self.default_preemption = DefaultPreemptionArgs {
                    min_candidate_nodes_percentage: unsigned(args, "minCandidateNodesPercentage") as usize,
                    min_candidate_nodes_absolute: unsigned(args, "minCandidateNodesAbsolute") as usize,
                };
            }
            "DynamicResources" => {
                let [filter_timeout, binding_timeout] =
                    DURATIONS.map(|field| duration(args, field).unwrap_or_default().to_std());
                self.dynamic_resources = DynamicResourcesArgs { filter_timeout, binding_timeout };
            }
            "InterPodAffinity" => {
                let ignores = args.get("ignorePreferredTermsOfExistingPods").and_then(Value::as_bool);
                self.inter_pod_affinity = InterPodAffinityArgs {
                    hard_pod_affinity_weight: number(args, "hardPodAffinityWeight").unwrap_or(1),
                    ignore_preferred_terms_of_existing_pods: ignores.unwrap_or(false),
                };
            }
            "NodeAffinity" => self.node_affinity = node_affinity(args),
            "NodeResourcesBalancedAllocation" => {
                let names = list(args, "resources").iter().map(|resource| text(resource, "name"));
                self.balanced_allocation = names.map(ScoredResource::new).collect();
            }
            "NodeResourcesFit" => self.node_resources_fit = node_resources_fit(args),
            "PodTopologySpread" => self.pod_topology_spread = pod_topology_spread(args),
            "VolumeBinding" => self.bind_timeout = Duration::from_secs(unsigned(args, "bindTimeoutSeconds")),
            _ => {}
        }
    }
}

fn node_affinity(args: &Value) -> NodeAffinityArgs {
    let added = args.get("addedAffinity").and_then(|added| from_value::<NodeAffinity>(added).ok()).unwrap_or_default();
    let preferred = added.preferred_during_scheduling_ignored_during_execution.filter(|terms| !terms.is_empty());
    NodeAffinityArgs {
        required: added.required_during_scheduling_ignored_during_execution.as_ref().map(NodeTerms::new),
        preferred: preferred.map(|terms| PreferredNodeAffinity::new(&terms)),
    }
}

fn node_resources_fit(args: &Value) -> NodeResourcesFitArgs {
    let strategy = &args["scoringStrategy"];
    let resource =
        |resource: &Value| (ScoredResource::new(text(resource, "name")), number(resource, "weight").unwrap_or(1));
    NodeResourcesFitArgs {
        ignored_resources: names(args, "ignoredResources"),
        ignored_resource_groups: names(args, "ignoredResourceGroups"),
        strategy: match text(strategy, "type") {
            "MostAllocated" => ScoringStrategy::MostAllocated,
            "RequestedToCapacityRatio" => ScoringStrategy::RequestedToCapacityRatio(shape(strategy)),
            _ => ScoringStrategy::LeastAllocated,
        },
        resources: list(strategy, "resources").iter().map(resource).collect(),
    }
}

fn pod_topology_spread(args: &Value) -> PodTopologySpreadArgs {
    if text(args, "defaultingType") == "System" {
        return PodTopologySpreadArgs::default();
    }
    let constraints = list(args, "defaultConstraints").iter();
    let read = |value: &Value| from_value::<TopologySpreadConstraint>(value).ok();
    PodTopologySpreadArgs {
        default_constraints: constraints.filter_map(read).map(|it| SpreadConstraint::default_of(&it)).collect(),
        is_system_defaulting: false,
    }
}
