//! What a KubeSchedulerConfiguration changes in decisions, worked out by hand from upstream's source.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kubetab::api::{Name, ObjectKey};
use kubetab::machinery::random::Random;
use kubetab::machinery::time::Time;
use kubetab::scheduler::Scheduler;
use kubetab::scheduler::configuration::load;
use kubetab::scheduler::schedule_one::Outcome;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const NOW: Time = Time::DEFAULT_START;
const NO_PREEMPTION: &str = "no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful \
                             for scheduling.";

struct Bench {
    scheduler: Scheduler,
    random: Random,
}

fn typed<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("a Kubernetes object")
}

impl Bench {
    /// Two nodes, `a` and `b`, each in a zone of its own, and a scheduler whose only profile is this one.
    fn new(profile: &str) -> Self {
        let head = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";
        let configuration = load(&format!("{head}profiles:\n- {profile}")).expect("a valid configuration");
        let mut this = Self { scheduler: Scheduler::new(configuration), random: Random::new(1) };
        for name in ["a", "b"] {
            let node: Node = typed(json!({
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "pool": name,
                    "topology.kubernetes.io/zone": format!("zone-{name}")}},
                "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110", "example.com/gpu": "0"}},
            }));
            this.scheduler.node_changed(None, Some(&Arc::new(node)), NOW);
        }
        this
    }

    fn add(&mut self, name: &str, spec: Value) {
        let pod: Pod = typed(json!({"metadata": {"name": name, "namespace": "default", "uid": name,
            "labels": {"app": "web"}}, "spec": spec}));
        self.scheduler.pod_changed(None, Some(&Arc::new(pod)), NOW);
    }

    /// A pod of one CPU and one gibibyte that runs on a node.
    fn running(&mut self, name: &str, node: &str, more: &Value) {
        self.add(name, spec(node, json!({"cpu": "1", "memory": "1Gi"}), more));
    }

    /// The message of the pod that is tried next, or the node that it gets.
    fn decide(&mut self) -> String {
        match self.scheduler.schedule_one(NOW, &mut self.random).expect("a pod waits").outcome {
            Outcome::Assumed { node, .. } => node.to_string(),
            Outcome::Unschedulable(failure) => failure.message,
            Outcome::Skipped { .. } => "skipped".to_owned(),
        }
    }

    /// What a plugin gave nodes `a` and `b` for a pod, times its weight.
    fn scores(&self, pod: &str, plugin: &str) -> [Option<i64>; 2] {
        let last = self.scheduler.explanations().last(pod).expect("every cycle is explained");
        let of = |node: &str| {
            let table = last.scores.as_ref()?;
            let mut weighted = table.weighted(table.row(node)?);
            weighted.find(|(known, _)| known.as_str() == plugin).map(|(_, score)| score)
        };
        [of("a"), of("b")]
    }
}

fn spec(node: &str, requests: Value, more: &Value) -> Value {
    let mut spec = json!({"containers": [{"name": "c", "image": "nginx:1", "resources": {"requests": requests}}]});
    if !node.is_empty() {
        spec["nodeName"] = node.into();
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

fn usual() -> Value {
    spec("", json!({"cpu": "1", "memory": "1Gi"}), &json!({}))
}

/// The scores of NodeResourcesFit for a pod like the one that runs on `a` already.
fn fit(args: &str) -> [Option<i64>; 2] {
    let mut bench =
        Bench::new(&format!("pluginConfig: [{{name: NodeResourcesFit, args: {{scoringStrategy: {args}}}}}]"));
    bench.running("there", "a", &json!({}));
    bench.add("p", usual());
    bench.decide();
    bench.scores("p", "NodeResourcesFit")
}

#[test]
fn nodes_are_compared_by_strategy() {
    // With the pod, half of the processors and a quarter of the memory of `a` are used, and half as much of `b`.
    assert_eq!(fit("{type: LeastAllocated}"), [Some((50 + 75) / 2), Some((75 + 87) / 2)]);
    assert_eq!(fit("{type: MostAllocated}"), [Some((50 + 25) / 2), Some((25 + 12) / 2)]);
    let weighted = "{type: LeastAllocated, resources: [{name: cpu, weight: 3}, {name: memory, weight: 1}]}";
    assert_eq!(fit(weighted), [Some((150 + 75) / 4), Some((225 + 87) / 4)]);
    let ratio = |shape: &str| {
        fit(&format!("{{type: RequestedToCapacityRatio, requestedToCapacityRatio: {{shape: [{shape}]}}}}"))
    };
    // The mean is rounded, not cut.
    assert_eq!(ratio("{utilization: 0, score: 0}, {utilization: 100, score: 10}"), [Some(38), Some(19)]);
    // A resource that is worth nothing does not count: of `b` only the memory does.
    assert_eq!(ratio("{utilization: 0, score: 10}, {utilization: 25, score: 0}"), [Some(0), Some(52)]);
}

#[test]
fn weights_change_what_a_plugin_counts() {
    let mut bench = Bench::new("plugins: {score: {enabled: [{name: NodeResourcesFit, weight: 50}]}}");
    bench.running("there", "a", &json!({}));
    bench.add("p", usual());
    assert_eq!(bench.decide(), "b");
    assert_eq!(bench.scores("p", "NodeResourcesFit"), [Some(50 * 62), Some(50 * 81)]);
}

#[test]
fn without_scores_the_first_node_is_taken() {
    let mut bench = Bench::new("plugins: {score: {disabled: [{name: '*'}]}}");
    for (pod, node) in [("p", "a"), ("q", "b"), ("r", "a")] {
        bench.add(pod, usual());
        assert_eq!(bench.decide(), node, "the search goes on where the last one ended");
        assert_eq!(bench.scores(pod, "NodeResourcesFit"), [None, None]);
    }
}

#[test]
fn resources_that_need_not_fit() {
    let wants_gpu = || spec("", json!({"cpu": "1", "example.com/gpu": "1"}), &json!({}));
    let mut bench = Bench::new("schedulerName: default-scheduler");
    bench.add("p", wants_gpu());
    let missing = "0/2 nodes are available: 2 Insufficient example.com/gpu.";
    assert_eq!(bench.decide(), format!("{missing} {NO_PREEMPTION}"));
    for args in ["{ignoredResources: [example.com/gpu]}", "{ignoredResourceGroups: [example.com]}"] {
        let mut bench = Bench::new(&format!("pluginConfig: [{{name: NodeResourcesFit, args: {args}}}]"));
        bench.add("p", wants_gpu());
        assert_eq!(bench.decide().len(), 1, "{args}");
    }
}

#[test]
fn a_profile_keeps_its_pods_to_some_nodes() {
    let added = |pool: &str| {
        format!(
            "pluginConfig: [{{name: NodeAffinity, args: {{addedAffinity: \
             {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{matchExpressions: \
             [{{key: pool, operator: In, values: [{pool}]}}]}}]}}}}}}}}]"
        )
    };
    let mut bench = Bench::new(&added("b"));
    bench.add("p", usual());
    assert_eq!(bench.decide(), "b");
    bench.add("q", spec("", json!({"cpu": "1"}), &json!({"nodeSelector": {"pool": "a"}})));
    assert_eq!(
        bench.decide(),
        format!(
            "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't match \
             scheduler-enforced node affinity. {NO_PREEMPTION}"
        )
    );
}

#[test]
fn pods_behind_a_service_are_spread_as_the_profile_says() {
    let mut bench = Bench::new(
        "pluginConfig: [{name: PodTopologySpread, args: {defaultingType: List, defaultConstraints: \
         [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, \
         nodeAffinityPolicy: Ignore}]}}]",
    );
    bench.running("there", "a", &json!({}));
    bench.add("alone", spec("", json!({"cpu": "1"}), &json!({"nodeSelector": {"pool": "a"}})));
    assert_eq!(bench.decide(), "a", "no Service tells which pods belong together");
    let service = json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"selector": {"app": "web"}}});
    bench.scheduler.listers.services.insert(ObjectKey::new("default", "web"), Arc::new(typed(service)));
    bench.add("p", spec("", json!({"cpu": "1"}), &json!({"nodeSelector": {"pool": "a"}})));
    assert_eq!(
        bench.decide(),
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't match pod topology \
         spread constraints. no new claims to deallocate, preemption: 0/2 nodes are available: 1 No preemption victims \
         found for incoming pod, 1 Preemption is not helpful for scheduling."
    );
}

#[test]
fn what_other_pods_wish_counts_as_the_profile_says() {
    let term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}});
    let near = json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}});
    let wish = json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
        [{"weight": 60, "podAffinityTerm": term}]}}});
    let scores = |args: &str| {
        let mut bench = Bench::new(&format!("pluginConfig: [{{name: InterPodAffinity, args: {args}}}]"));
        bench.running("near", "a", &near);
        bench.running("far", "b", &wish);
        bench.add("p", usual());
        bench.decide();
        bench.scores("p", "InterPodAffinity")
    };
    assert_eq!(scores("{}"), [Some(200), Some(0)]);
    // Without a weight only the wish of the other counts, against `b`.
    assert_eq!(scores("{hardPodAffinityWeight: 0}"), [Some(200), Some(0)]);
    assert_eq!(scores("{ignorePreferredTermsOfExistingPods: true}"), [None, None]);
}

#[test]
fn who_is_asked_when_no_node_will_do() {
    let message = |plugins: &str| {
        let mut bench = Bench::new(&format!("plugins: {{postFilter: {{disabled: [{plugins}]}}}}"));
        bench.add("p", spec("", json!({"cpu": "9"}), &json!({})));
        bench.decide()
    };
    let missing = "0/2 nodes are available: 2 Insufficient cpu.";
    assert_eq!(message(""), format!("{missing} {NO_PREEMPTION}"));
    assert_eq!(message("{name: DefaultPreemption}"), format!("{missing} no new claims to deallocate"));
    assert_eq!(message("{name: DynamicResources}"), format!("{missing} {}", &NO_PREEMPTION[29..]));
    assert_eq!(message("{name: '*'}"), missing);
}

/// Nodes on which driver `d` takes one volume, a claim `c` with a volume of it, and another that is not bound.
fn bench_with_volumes() -> Bench {
    let mut bench = Bench::new(
        "plugins: {preFilter: {disabled: [{name: VolumeBinding}]}, filter: {disabled: [{name: VolumeBinding}]}, reserve: {disabled: [{name: VolumeBinding}]}, preBind: {disabled: [{name: VolumeBinding}]}}",
    );
    let listers = &mut bench.scheduler.listers;
    for node in ["a", "b"] {
        let csi_node = json!({"metadata": {"name": node, "annotations":
            {"storage.alpha.kubernetes.io/migrated-plugins": "kubernetes.io/gce-pd"}},
            "spec": {"drivers": [{"name": "d", "nodeID": node, "allocatable": {"count": 1}},
                {"name": "pd.csi.storage.gke.io", "nodeID": node, "allocatable": {"count": 1}}]}});
        listers.csi_nodes.insert(Name::from(node), Arc::new(typed(csi_node)));
    }
    let class = json!({"metadata": {"name": "later"}, "provisioner": "d", "volumeBindingMode": "WaitForFirstConsumer"});
    listers.storage_classes.insert(Name::from("later"), Arc::new(typed(class)));
    for (claim, volume) in [("c", "v"), ("e", "w"), ("unbound", "")] {
        let object = json!({"metadata": {"name": claim, "namespace": "default"},
            "spec": {"volumeName": volume, "storageClassName": "later", "accessModes": ["ReadWriteMany"]}});
        listers.set_claim(ObjectKey::new("default", claim), Some(&Arc::new(typed(object))));
        if volume.is_empty() {
            continue;
        }
        let object = json!({"metadata": {"name": volume},
            "spec": {"csi": {"driver": "d", "volumeHandle": format!("handle-{volume}")}}});
        listers.set_volume(Name::from(volume), Some(&Arc::new(typed(object))));
    }
    bench
}

fn claims(names: &[&str]) -> Value {
    let volume = |name: &&str| json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
    json!({"volumes": names.iter().map(volume).collect::<Vec<_>>()})
}

#[test]
fn a_node_takes_so_many_volumes() {
    let small = || json!({"cpu": "100m"});
    let full = format!(
        "0/2 nodes are available: 2 node(s) exceed max volume count. {}",
        "no new claims to deallocate, preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    );
    let mut bench = bench_with_volumes();
    bench.running("there", "a", &claims(&["c"]));
    // The node has this volume already, so that it is not one more; another one is.
    bench.add("same", spec("", small(), &claims(&["c"])));
    assert_eq!(bench.decide().len(), 1);
    let mut bench = bench_with_volumes();
    bench.running("there", "a", &claims(&["c"]));
    bench.add("other", spec("", small(), &claims(&["unbound"])));
    assert_eq!(bench.decide(), "b");
    bench.add("third", spec("", small(), &claims(&["e"])));
    assert_eq!(bench.decide(), full);
    bench.add("two", spec("", small(), &claims(&["c", "e"])));
    assert_eq!(bench.decide(), full);
}

#[test]
fn volumes_that_are_still_attached_count() {
    let mut bench = bench_with_volumes();
    let attachment = json!({"metadata": {"name": "x"},
        "spec": {"attacher": "d", "nodeName": "a", "source": {"persistentVolumeName": "v"}}});
    let attachment = Arc::new(typed(attachment));
    bench.scheduler.listers.set_attachment(None, Some(&attachment));
    bench.add("p", spec("", json!({"cpu": "100m"}), &claims(&["e"])));
    assert_eq!(bench.decide(), "b");
    bench.scheduler.listers.set_attachment(Some(&attachment), None);
    assert!(bench.scheduler.listers.volume_attachments.is_empty());
}

#[test]
fn volumes_of_the_old_types_count_for_their_drivers() {
    let mut bench = bench_with_volumes();
    let disk = |name: &str| json!({"volumes": [{"name": "d", "gcePersistentDisk": {"pdName": name}}]});
    bench.running("there", "a", &disk("one"));
    bench.add("p", spec("", json!({"cpu": "100m"}), &disk("two")));
    assert_eq!(bench.decide(), "b");
}

/// What becomes of a usual pod under a profile with these plugins.
fn under(plugins: &str) -> String {
    let mut bench = Bench::new(&format!("plugins: {plugins}"));
    bench.running("there", "a", &json!({}));
    bench.add("p", usual());
    bench.decide()
}

#[test]
fn a_plugin_that_is_not_asked_at_pre_filter_may_be_lost_at_filter() {
    for (plugin, said) in [
        ("NodePorts", "reading \"PreFilterNodePorts\" from cycleState: not found"),
        ("NodeResourcesFit", "error reading \"PreFilterNodeResourcesFit\" from cycleState: not found"),
        ("VolumeRestrictions", "cannot read \"PreFilterVolumeRestrictions\" from cycleState"),
        ("VolumeBinding", "not found"),
        ("PodTopologySpread", "reading \"PreFilterPodTopologySpread\" from cycleState: not found"),
        ("InterPodAffinity", "error reading \"PreFilterInterPodAffinity\" from cycleState: not found"),
        ("DynamicResources", "not found"),
    ] {
        let off = format!("{{preFilter: {{disabled: [{{name: {plugin}}}]}}}}");
        assert_eq!(under(&off), format!("running {plugin:?} filter plugin: {said}"), "{plugin}");
        let off =
            format!("{{preFilter: {{disabled: [{{name: {plugin}}}]}}, filter: {{disabled: [{{name: {plugin}}}]}}}}");
        let expected = match plugin {
            "VolumeBinding" => "running Reserve plugin \"VolumeBinding\": not found",
            "DynamicResources" => "running Score plugins: plugin \"DynamicResources\" failed with: not found",
            _ => "b",
        };
        assert_eq!(under(&off), expected, "{plugin}");
    }
    for plugin in ["NodeAffinity", "NodeVolumeLimits", "VolumeZone"] {
        assert_eq!(under(&format!("{{preFilter: {{disabled: [{{name: {plugin}}}]}}}}")), "b", "{plugin}");
    }
}

#[test]
fn a_filter_that_is_off_leaves_what_pre_filter_says() {
    let by_name = json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}]}}}});
    for (plugins, expected) in [
        ("{filter: {disabled: [{name: NodeAffinity}]}}", "a"),
        ("{multiPoint: {disabled: [{name: NodeAffinity}]}}", "b"),
        // Without PreFilter, the filter looks at each node.
        ("{preFilter: {disabled: [{name: NodeAffinity}]}}", "a"),
    ] {
        let mut bench = Bench::new(&format!("plugins: {plugins}"));
        bench.running("there", "a", &json!({}));
        bench.add("p", spec("", json!({"cpu": "1", "memory": "1Gi"}), &by_name));
        assert_eq!(bench.decide(), expected, "{plugins}");
    }
    // A volume's claim that is not there is told of each node where PreFilter does not look.
    let mut bench = Bench::new(
        "plugins: {preFilter: {disabled: [{name: VolumeZone}, {name: VolumeBinding}, {name: VolumeRestrictions}]},
            filter: {disabled: [{name: VolumeBinding}, {name: VolumeRestrictions}]}}",
    );
    let volume = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]});
    bench.add("p", spec("", json!({}), &volume));
    assert_eq!(
        bench.decide(),
        format!("0/2 nodes are available: 2 persistentvolumeclaim \"data\" not found. {NO_PREEMPTION}"),
    );
}

#[test]
fn a_plugin_that_is_not_asked_at_pre_score_scores_every_pod() {
    let pre_score_off = |plugin: &str| format!("{{preScore: {{disabled: [{{name: {plugin}}}]}}}}");
    for (plugin, said) in [
        ("TaintToleration", "failed to read \"PreScoreTaintToleration\" from cycleState: not found"),
        ("PodTopologySpread", "error reading \"PreScorePodTopologySpread\" from cycleState: not found"),
        ("InterPodAffinity", "failed to read \"PreScoreInterPodAffinity\" from cycleState: not found"),
    ] {
        let expected = format!("running Score plugins: plugin {plugin:?} failed with: {said}");
        assert_eq!(under(&pre_score_off(plugin)), expected);
    }
    for (plugin, requests, expected) in [
        ("NodeAffinity", json!({"cpu": "1"}), Some(0)),
        ("NodeResourcesBalancedAllocation", json!({}), Some(0)),
        ("VolumeBinding", json!({}), Some(0)),
    ] {
        let mut bench = Bench::new(&format!("plugins: {}", pre_score_off(plugin)));
        bench.add("p", spec("", requests.clone(), &json!({})));
        bench.decide();
        assert_eq!(bench.scores("p", plugin)[0], expected, "{plugin}");
        let mut usual = Bench::new("plugins: {}");
        usual.add("p", spec("", requests, &json!({})));
        usual.decide();
        assert_eq!(usual.scores("p", plugin)[0], None, "{plugin} has nothing to say");
    }
}
