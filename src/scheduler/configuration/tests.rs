//! What configurations come to, and what is said of those that are wrong. The messages are upstream's.

use expect_test::{Expect, expect};

use super::*;

const HEAD: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

fn loaded(text: &str) -> Configuration {
    load(&format!("{HEAD}{text}")).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str, expected: Expect) {
    let error = load(&format!("{HEAD}{text}")).map(|_| "accepted".to_owned());
    expected.assert_eq(&error.unwrap_or_else(|error| error));
}

fn scores(profile: &Profile) -> String {
    let scores = profile.score.iter().filter(|(plugin, _)| *plugin != Plugin::VolumeBinding);
    scores.map(|(plugin, weight)| format!("{plugin} {weight}")).collect::<Vec<_>>().join(", ")
}

fn plugins(plugins: &[Plugin]) -> String {
    plugins.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_empty_configuration_is_the_default_one() {
    let configuration = loaded("");
    assert_eq!(format!("{configuration:?}"), format!("{:?}", Configuration::default()));
    assert_eq!(
        scores(&configuration.profiles[0]),
        "TaintToleration 3, NodeAffinity 2, NodeResourcesFit 1, PodTopologySpread 2, InterPodAffinity 2, \
         DynamicResources 1, NodeResourcesBalancedAllocation 1, ImageLocality 1",
    );
}

#[test]
fn profiles_serve_by_name() {
    let configuration = loaded("profiles: [{schedulerName: default-scheduler}, {schedulerName: packing}]");
    let name = |asked: &str| configuration.profile(asked).map(|profile| profile.scheduler_name.to_string());
    assert_eq!(name(""), Some("default-scheduler".to_owned()));
    assert_eq!(name("packing"), Some("packing".to_owned()));
    assert_eq!(name("other"), None);
    // A single profile has the default name only if it gives itself none.
    assert!(loaded("profiles: [{schedulerName: packing}]").profile("").is_none());
}

#[test]
fn plugins_are_switched_on_and_off() {
    let profile = |plugins: &str| Arc::clone(&loaded(&format!("profiles: [{{plugins: {plugins}}}]")).profiles[0]);
    // A weight that is set for the point itself goes before the default one, and the plugin comes first.
    let weighted = profile("{score: {enabled: [{name: ImageLocality, weight: 7}], disabled: [{name: NodeAffinity}]}}");
    assert_eq!(
        scores(&weighted),
        "ImageLocality 7, TaintToleration 3, NodeResourcesFit 1, PodTopologySpread 2, InterPodAffinity 2, \
         DynamicResources 1, NodeResourcesBalancedAllocation 1",
    );
    assert!(weighted.filter.contains(&Plugin::NodeAffinity), "it still filters");
    let everywhere =
        profile("{multiPoint: {enabled: [{name: NodeAffinity, weight: 5}], disabled: [{name: ImageLocality}]}}");
    assert_eq!(
        scores(&everywhere),
        "TaintToleration 3, NodeAffinity 5, NodeResourcesFit 1, PodTopologySpread 2, InterPodAffinity 2, \
         DynamicResources 1, NodeResourcesBalancedAllocation 1",
    );
    let few = profile("{score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}]}}");
    assert_eq!(scores(&few), "NodeResourcesFit 1");
    let off = profile(
        "{filter: {disabled: [{name: TaintToleration}, {name: NodeName}]}, postFilter: {disabled: [{name: '*'}]}}",
    );
    assert_eq!(
        plugins(&off.filter),
        "NodeUnschedulable NodeAffinity NodePorts NodeResourcesFit VolumeRestrictions NodeVolumeLimits VolumeBinding \
         VolumeZone PodTopologySpread InterPodAffinity DynamicResources NodeDeclaredFeatures",
    );
    assert_eq!(plugins(&off.post_filter), "");
    let all_off = profile(
        "{multiPoint: {disabled: [{name: '*'}], enabled: [{name: PrioritySort}, {name: DefaultBinder}, {name: NodeName}]}}",
    );
    assert_eq!((plugins(&all_off.filter), scores(&all_off)), ("NodeName".to_owned(), String::new()));
    assert!(all_off.pre_enqueue.is_empty());
}

#[test]
fn arguments_are_taken_over() {
    let configuration = loaded(
        "percentageOfNodesToScore: 40
podInitialBackoffSeconds: 2
podMaxBackoffSeconds: 20
profiles:
- percentageOfNodesToScore: 70
  pluginConfig:
  - name: NodeResourcesFit
    args:
      ignoredResources: [example.com/a]
      ignoredResourceGroups: [example.org]
      scoringStrategy:
        type: RequestedToCapacityRatio
        resources: [{name: cpu, weight: 3}, {name: example.com/gpu}]
        requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}
  - name: NodeResourcesBalancedAllocation
    args: {resources: [{name: cpu}, {name: memory, weight: 1}, {name: ephemeral-storage, weight: 1}]}
  - name: InterPodAffinity
    args: {hardPodAffinityWeight: 0, ignorePreferredTermsOfExistingPods: true}
  - name: DefaultPreemption
    args: {minCandidateNodesPercentage: 50}
  - name: VolumeBinding
    args: {kind: VolumeBindingArgs, apiVersion: kubescheduler.config.k8s.io/v1, bindTimeoutSeconds: 30}
  - name: PodTopologySpread
    args:
      defaultingType: List
      defaultConstraints: [{maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchExpressions: [{key: pool, operator: In, values: [batch]}]}]
  - {name: SomebodysOwn, args: {anything: 1}}
",
    );
    let profile = &configuration.profiles[0];
    let fit = &profile.args.node_resources_fit;
    assert_eq!(configuration.percentage_of_nodes_to_score, 40);
    assert_eq!(profile.percentage_of_nodes_to_score, Some(70));
    assert_eq!((configuration.backoff.initial.as_secs(), configuration.backoff.max.as_secs()), (2, 20));
    let point = |utilization, score| ShapePoint { utilization, score };
    assert_eq!(fit.strategy, ScoringStrategy::RequestedToCapacityRatio(vec![point(0, 0), point(100, 100)]));
    let gpu = ScoredResource::Scalar("example.com/gpu".into());
    assert_eq!(fit.resources, [(ScoredResource::Cpu, 3), (gpu, 1)]);
    assert!(fit.ignored_resources.contains("example.com/a") && fit.ignored_resource_groups.contains("example.org"));
    assert_eq!(
        profile.args.balanced_allocation,
        [ScoredResource::Cpu, ScoredResource::Memory, ScoredResource::EphemeralStorage],
    );
    let affinity = profile.args.inter_pod_affinity;
    assert_eq!((affinity.hard_pod_affinity_weight, affinity.ignore_preferred_terms_of_existing_pods), (0, true));
    let preemption = profile.args.default_preemption;
    assert_eq!((preemption.min_candidate_nodes_percentage, preemption.min_candidate_nodes_absolute), (50, 100));
    assert_eq!(profile.args.bind_timeout.as_secs(), 30);
    let spread = &profile.args.pod_topology_spread;
    let constraint = &spread.default_constraints[0];
    assert_eq!((constraint.max_skew, &*constraint.topology_key, constraint.is_hard), (2, "rack", true));
    assert!(!spread.is_system_defaulting);
    assert!(profile.args.node_affinity.required.is_some() && profile.args.node_affinity.preferred.is_none());
}

#[test]
fn what_is_no_configuration_is_refused() {
    let refused = |text: &str, expected: Expect| {
        let error = load(text).map(|_| "accepted".to_owned());
        expected.assert_eq(&error.unwrap_or_else(|error| error));
    };
    refused("profiles: [", expect![[r#"yaml: line 1: did not find expected node content"#]]);
    refused("profiles: []", expect!["Object 'Kind' is missing in 'profiles: []'"]);
    refused(
        "kind: KubeSchedulerConfiguration",
        expect![["Object 'apiVersion' is missing in 'kind: KubeSchedulerConfiguration'"]],
    );
    refused(
        "apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration",
        expect![[
            r#"no kind "KubeSchedulerConfiguration" is registered for version "kubescheduler.config.k8s.io/v1beta3" in scheme "pkg/scheduler/apis/config/scheme/scheme.go:33""#
        ]],
    );
    refused(
        "apiVersion: v1\nkind: Pod",
        expect![[
            r#"no kind "Pod" is registered for version "v1" in scheme "pkg/scheduler/apis/config/scheme/scheme.go:33""#
        ]],
    );
    refused(
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: NodeAffinityArgs",
        expect![[
            "couldn't decode as KubeSchedulerConfiguration, got kubescheduler.config.k8s.io/v1, Kind=NodeAffinityArgs: "
        ]],
    );
}

#[test]
fn decoding_is_strict() {
    refused("profile: []", expect![[r#"strict decoding error: unknown field "profile""#]]);
    refused(
        "parallelism: many",
        expect![[
            "json: cannot unmarshal string into Go struct field KubeSchedulerConfiguration.parallelism of type int32"
        ]],
    );
    refused(
        "profiles: [{pluginConfig: [{name: InterPodAffinity, args: {foo: bar}}]}]",
        expect![[
            r#"strict decoding error: decoding .profiles[0].pluginConfig[0]: strict decoding error: decoding args for plugin InterPodAffinity: strict decoding error: unknown field "foo""#
        ]],
    );
    refused(
        "profiles: [{pluginConfig: [{name: DefaultPreemption, args: {kind: InterPodAffinityArgs, apiVersion: kubescheduler.config.k8s.io/v1}}]}]",
        expect![
            "decoding .profiles[0].pluginConfig[0]: args for plugin DefaultPreemption were not of type DefaultPreemptionArgs.kubescheduler.config.k8s.io, got InterPodAffinityArgs.kubescheduler.config.k8s.io"
        ],
    );
    refused(
        "profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: heavy}}]}]",
        expect![
            "decoding .profiles[0].pluginConfig[0]: decoding args for plugin InterPodAffinity: json: cannot unmarshal string into Go struct field InterPodAffinityArgs.hardPodAffinityWeight of type int32"
        ],
    );
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    refused(
        "parallelism: 0\npercentageOfNodesToScore: 101\npodInitialBackoffSeconds: 0\npodMaxBackoffSeconds: -1",
        expect![[
            r#"[parallelism: Invalid value: 0: should be an integer value greater than zero, percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100], podInitialBackoffSeconds: Invalid value: 0: must be greater than 0, podMaxBackoffSeconds: Invalid value: -1: must be greater than or equal to PodInitialBackoffSeconds]"#
        ]],
    );
    refused(
        "profiles: [{}, {schedulerName: a}, {schedulerName: a}]",
        expect![[
            r#"[profiles[0].schedulerName: Required value, profiles[2].schedulerName: Duplicate value: "profiles[1].schedulerName"]"#
        ]],
    );
    refused(
        "profiles: [{plugins: {filter: {enabled: [{name: EBSLimits}]}}, pluginConfig: [{name: A}, {name: A}]}]",
        expect![[
            r#"[profiles[0].plugins.filter.enabled[0]: Invalid value: "EBSLimits": was invalid in version "v1" (KubeSchedulerConfiguration is version "kubescheduler.config.k8s.io/v1"), profiles[0].pluginConfig[1]: Duplicate value: "A"]"#
        ]],
    );
    refused(
        "extenders: [{urlPrefix: 'http://x', prioritizeVerb: p}]",
        expect![[
            "[extenders[0].weight: Invalid value: 0: must have a positive weight applied to it, extenders: Forbidden: extenders are not simulated: nobody answers at their addresses]"
        ]],
    );
    refused(
        "leaderElection: {leaderElect: true, resourceLock: endpoints}",
        expect![[r#"leaderElection.resourceLock: Invalid value: "endpoints": resourceLock value must be "leases""#]],
    );
}

#[test]
fn wrong_arguments_are_refused() {
    let args = |plugin: &str, args: &str| format!("profiles: [{{pluginConfig: [{{name: {plugin}, args: {args}}}]}}]");
    refused(
        &args("InterPodAffinity", "{hardPodAffinityWeight: 101}"),
        expect![[
            "profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]"
        ]],
    );
    refused(
        &args("DefaultPreemption", "{minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0}"),
        expect![
            "[profiles[0].pluginConfig[0].args.minCandidateNodesPercentage: Invalid value: 0: cannot be zero at the same time as minCandidateNodesAbsolute, profiles[0].pluginConfig[0].args.minCandidateNodesAbsolute: Invalid value: 0: cannot be zero at the same time as minCandidateNodesPercentage]"
        ],
    );
    refused(
        &args("PodTopologySpread", "{defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: Never}]}"),
        expect![[
            r#"[profiles[0].pluginConfig[0].args.defaultingType: Invalid value: "System": when .defaultConstraints are not empty, profiles[0].pluginConfig[0].args.defaultConstraints[0].whenUnsatisfiable: Unsupported value: "Never": supported values: "DoNotSchedule", "ScheduleAnyway"]"#
        ]],
    );
    refused(
        &args("VolumeBinding", "{bindTimeoutSeconds: -1}"),
        expect![[
            "profiles[0].pluginConfig[0].args.bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, should not be a negative value"
        ]],
    );
    refused(
        &args("NodeResourcesBalancedAllocation", "{resources: [{name: cpu, weight: 2}]}"),
        expect![["profiles[0].pluginConfig[0].args.resources[0].weight: Invalid value: 2: must be 1"]],
    );
    // Upstream looks at these only when the plugin is set up.
    refused(
        &args("NodeResourcesFit", "{scoringStrategy: {type: Best}}"),
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: initializing plugin "NodeResourcesFit": scoringStrategy.type: Unsupported value: "Best": supported values: "LeastAllocated", "MostAllocated", "RequestedToCapacityRatio""#
        ]],
    );
    refused(
        &args(
            "NodeResourcesFit",
            "{scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 5, score: 11}, {utilization: 5, score: 0}]}}}",
        ),
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: initializing plugin "NodeResourcesFit": [scoringStrategy.requestedToCapacityRatio.shape[1].utilization: Invalid value: 5: values must be sorted in increasing order, scoringStrategy.requestedToCapacityRatio.shape[0].score: Invalid value: 11: not in valid range [0, 10]]"#
        ]],
    );
}

#[test]
fn plugins_that_do_not_fit_are_refused() {
    let plugins = |plugins: &str| format!("profiles: [{{plugins: {plugins}}}]");
    refused(
        &plugins("{score: {enabled: [{name: Best}]}}"),
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: ScorePlugin "Best" does not exist"#
        ]],
    );
    refused(
        &plugins("{score: {enabled: [{name: NodeName}]}}"),
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: plugin "NodeName" does not extend ScorePlugin plugin"#
        ]],
    );
    refused(
        &plugins("{score: {enabled: [{name: ImageLocality}, {name: ImageLocality}]}}"),
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: plugin "ImageLocality" already registered as "ScorePlugin""#
        ]],
    );
    refused(
        &plugins("{bind: {disabled: [{name: '*'}]}}"),
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: at least one bind plugin is needed for profile with scheduler name "default-scheduler""#
        ]],
    );
    refused(
        &plugins("{multiPoint: {disabled: [{name: PrioritySort}]}}"),
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: only one queue sort plugin required for profile with scheduler name "default-scheduler", but got 0"#
        ]],
    );
}

#[test]
fn devices_have_their_times() {
    let args = |args: &str| format!("profiles: [{{pluginConfig: [{{name: DynamicResources, args: {args}}}]}}]");
    let times = |text: &str| {
        let args = loaded(text).profiles[0].args.dynamic_resources;
        (args.filter_timeout.as_millis(), args.binding_timeout.as_secs())
    };
    assert_eq!(times(""), (10_000, 600));
    assert_eq!(times(&args("{filterTimeout: 1.5s, bindingTimeout: 2m}")), (1_500, 120));
    assert_eq!(times(&args("{filterTimeout: '0'}")), (0, 600));
    refused(
        &args("{filterTimeout: -1s, bindingTimeout: 500ms}"),
        expect![[
            r#"[profiles[0].pluginConfig[0].args.filterTimeout: Invalid value: "-1s": must be zero or positive, profiles[0].pluginConfig[0].args.bindingTimeout: Invalid value: "500ms": must be at least 1 second]"#
        ]],
    );
    refused(
        &args("{filterTimeout: soon}"),
        expect![[
            r#"decoding .profiles[0].pluginConfig[0]: decoding args for plugin DynamicResources: time: invalid duration "soon""#
        ]],
    );
}

#[test]
fn points_are_set_apart() {
    let profile = |plugins: &str| Arc::clone(&loaded(&format!("profiles: [{{plugins: {plugins}}}]")).profiles[0]);
    let default = profile("{}");
    assert!(default.unprepared_filters.is_empty() && default.unprepared_scores.is_empty());
    let apart = profile(
        "{preFilter: {disabled: [{name: NodePorts}]}, preScore: {disabled: [{name: TaintToleration}, {name: NodeAffinity}]},
            score: {disabled: [{name: NodeAffinity}]}}",
    );
    assert_eq!(apart.unprepared_filters.to_string(), "[NodePorts]");
    assert_eq!(apart.unprepared_scores.to_string(), "[TaintToleration]");
    refused(
        "profiles: [{plugins: {permit: {enabled: [{name: NodeName}]}}}]",
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: plugin "NodeName" does not extend PermitPlugin plugin"#
        ]],
    );
    refused(
        "profiles: [{plugins: {bind: {disabled: [{name: '*'}]}}}]",
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: at least one bind plugin is needed for profile with scheduler name "default-scheduler""#
        ]],
    );
    refused(
        "profiles: [{plugins: {queueSort: {disabled: [{name: '*'}]}}}]",
        expect![[
            r#"initializing profiles: creating profile for scheduler name default-scheduler: only one queue sort plugin required for profile with scheduler name "default-scheduler", but got 0"#
        ]],
    );
}
