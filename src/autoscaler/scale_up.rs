//! Which group grows, and by how much.
//!
//! Follows `cluster-autoscaler/core/scaleup/orchestrator`, `estimator/binpacking_estimator.go` (first fit, the largest
//! pods first) and `expander/waste`. Of groups that waste alike upstream takes one by chance, here the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Node;

use crate::api::{Name, Resource as _};
use crate::controllers::daemon_pod_for;
use crate::machinery::order::Order as _;
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::what_if::unplaced;

use super::{NodeGroup, Snapshot};

/// How many nodes a group grows by at most at once: `MaxNodesPerScaleUp`.
const MAX_NODES_PER_SCALE_UP: usize = 1000;
/// `MaxLimitReachedReason`.
const MAX_LIMIT_REACHED: &str = "max node group size reached";
/// `BackoffReason`.
const IN_BACKOFF: &str = "in backoff after failed scale-up";

/// What is to be done for pods that find no room.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// A group grows.
    Grow(Growth),
    /// No group can help; and why not, for each pod.
    Nothing(Vec<(Arc<PodInfo>, String)>),
}

/// A group that grows: `ScaleUpInfo`.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    pub group: Name,
    pub from: u32,
    pub to: u32,
    pub max: u32,
    /// The pods that the new nodes are for.
    pub pods: Vec<Arc<PodInfo>>,
}

/// How a group could help: `expander.Option`.
struct Choice<'a> {
    group: &'a NodeGroup,
    nodes: usize,
    pods: Vec<Arc<PodInfo>>,
}

/// Puts a node of a group into a snapshot, with the daemons that it would run.
pub(super) fn add_template(snapshot: &mut Snapshot, node: &Arc<Node>, daemons: &[Arc<DaemonSet>]) {
    snapshot.set_node(Arc::clone(node));
    for set in daemons {
        if let Some(mut pod) = daemon_pod_for(set, node) {
            pod.metadata.uid = Some(format!("{}/{}", set.uid(), node.name()));
            snapshot.place(&unplaced(&pod), node.name());
        }
    }
}

/// Decides for pods that would fit on no node, neither one that is there nor one that is on its way.
pub(super) fn plan(
    groups: &[NodeGroup],
    snapshot: &Snapshot,
    pods: &[Arc<PodInfo>],
    daemons: &[Arc<DaemonSet>],
    is_backed_off: &dyn Fn(&NodeGroup) -> bool,
) -> Plan {
    let (safe, backed_off): (Vec<&NodeGroup>, Vec<&NodeGroup>) = groups.iter().partition(|group| !is_backed_off(group));
    let (can_grow, full): (Vec<&NodeGroup>, Vec<&NodeGroup>) =
        safe.into_iter().partition(|group| group.target < group.max);
    let skipped = [(MAX_LIMIT_REACHED, full.len()), (IN_BACKOFF, backed_off.len())];
    let mut reasons: Vec<BTreeMap<String, usize>> = vec![BTreeMap::new(); pods.len()];
    let mut is_schedulable = vec![false; pods.len()];
    let mut choices = Vec::new();
    for group in can_grow {
        let mut test = snapshot.clone();
        let node = group.node(&format!("template-node-for-{}", group.name), &group.next_zone(&[]));
        add_template(&mut test, &node, daemons);
        let Some(info) = test.node(node.name()) else { continue };
        let mut fitting = Vec::new();
        for (index, pod) in pods.iter().enumerate() {
            match test.check(pod, info) {
                Ok(()) => {
                    is_schedulable[index] = true;
                    fitting.push(Arc::clone(pod));
                }
                Err(rejection) => {
                    for reason in &rejection.reasons {
                        *reasons[index].entry(reason.as_str().to_owned()).or_default() += 1;
                    }
                }
            }
        }
        let choice = estimate(group, snapshot, fitting, daemons);
        if choice.nodes > 0 {
            choices.push(choice);
        }
    }
    match choices.into_iter().map(|choice| (waste(&choice), choice)).min_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, choice)) => Plan::Grow(grow(choice)),
        None => {
            let without = pods.iter().zip(reasons).zip(is_schedulable).filter(|(_, is_schedulable)| !is_schedulable);
            Plan::Nothing(without.map(|((pod, reasons), _)| (Arc::clone(pod), message(reasons, skipped))).collect())
        }
    }
}

/// `ReasonsMessage`, in the order of the reasons; upstream's order is that of a hash map.
fn message(mut reasons: BTreeMap<String, usize>, skipped: [(&str, usize); 2]) -> String {
    reasons.extend(skipped.into_iter().filter(|(_, count)| *count > 0).map(|(why, count)| (why.to_owned(), count)));
    let parts: Vec<String> = reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.join(", ")
}

fn grow(choice: Choice<'_>) -> Growth {
    let group = choice.group;
    let by = u32::try_from(choice.nodes).unwrap_or(u32::MAX);
    let to = group.target.saturating_add(by).min(group.max);
    Growth { group: group.name.clone(), from: group.target, to, max: group.max, pods: choice.pods }
}

/// How many new nodes of a group pods need, and which of them get a place: `BinpackingNodeEstimator`.
fn estimate<'a>(
    group: &'a NodeGroup,
    snapshot: &Snapshot,
    mut pods: Vec<Arc<PodInfo>>,
    daemons: &[Arc<DaemonSet>],
) -> Choice<'a> {
    let mut snapshot = snapshot.clone();
    let limit = (group.max.saturating_sub(group.target) as usize).min(MAX_NODES_PER_SCALE_UP);
    let size = |pod: &PodInfo| share(pod.requests.requests.milli_cpu, pod.requests.requests.memory, group);
    pods.order_by(|a, b| size(b).total_cmp(&size(a)));
    let mut zones: Vec<String> = Vec::new();
    let mut nodes: Vec<(Name, usize)> = Vec::new();
    let mut placed = Vec::new();
    for pod in pods {
        let fit = snapshot.first_fit(&pod, |node| nodes.iter().any(|(name, _)| *name == node.name));
        let fit = fit.or_else(|| {
            // An empty node that the pod does not fit on says that another one would not help it either.
            if nodes.len() >= limit || nodes.last().is_some_and(|(_, pods)| *pods == 0) {
                return None;
            }
            let zone = group.next_zone(&zones);
            let node = group.node(&format!("template-node-for-{}-{}", group.name, nodes.len()), &zone);
            add_template(&mut snapshot, &node, daemons);
            let name = Name::from(node.name());
            zones.push(zone);
            nodes.push((name.clone(), 0));
            snapshot.node(&name).is_some_and(|info| snapshot.check(&pod, info).is_ok()).then_some(name)
        });
        let Some(name) = fit else { continue };
        snapshot.place(&pod, &name);
        if let Some((_, pods)) = nodes.iter_mut().find(|(known, _)| *known == name) {
            *pods += 1;
        }
        placed.push(pod);
    }
    Choice { group, nodes: nodes.iter().filter(|(_, pods)| *pods > 0).count(), pods: placed }
}

/// The sum of two shares of a group's node.
fn share(milli_cpu: i64, memory: i64, group: &NodeGroup) -> f64 {
    let (cpu_of_node, memory_of_node) = amounts(group);
    let part = |amount: i64, of: i64| if of > 0 { amount as f64 / of as f64 } else { 0.0 };
    part(milli_cpu, cpu_of_node) + part(memory, memory_of_node)
}

fn amounts(group: &NodeGroup) -> (i64, i64) {
    let capacity = group.template.status.as_ref().and_then(|status| status.capacity.as_ref());
    let capacity = crate::scheduler::resource::Resource::from_list(capacity);
    (capacity.milli_cpu, capacity.memory)
}

/// What share of the new nodes stays unused, of processors and memory together: `leastwaste.BestOptions`.
fn waste(choice: &Choice<'_>) -> f64 {
    let sum = |amount: fn(&PodInfo) -> i64| choice.pods.iter().map(|pod| amount(pod)).sum::<i64>();
    let (cpu, memory) = (sum(|pod| pod.requests.requests.milli_cpu), sum(|pod| pod.requests.requests.memory));
    2.0 - share(cpu, memory, choice.group) / choice.nodes as f64
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    fn group(name: &str, (target, max): (u32, u32), cpu: &str) -> NodeGroup {
        let amounts = json!({ "cpu": cpu, "memory": "8Gi", "pods": "110" });
        let node = json!({
            "metadata": { "labels": { "kubernetes.io/hostname": "", "topology.kubernetes.io/zone": "", "group": name } },
            "status": { "allocatable": amounts, "capacity": amounts },
        });
        let template = Arc::new(serde_json::from_value(node).expect("the node is written out above"));
        let mut group = NodeGroup::new(Name::from(name), (0, max), vec!["a".to_owned(), "b".to_owned()], template);
        group.target = target;
        group
    }

    fn pods(count: usize, spec: &serde_json::Value) -> Vec<Arc<PodInfo>> {
        let pod = |index: usize| -> Pod {
            let name = format!("p-{index}");
            let metadata = json!({ "name": name, "namespace": "default", "uid": name, "labels": { "app": "web" } });
            serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).expect("a pod")
        };
        (0..count).map(|index| unplaced(&pod(index))).collect()
    }

    fn asking(cpu: &str) -> serde_json::Value {
        json!({ "containers": [{ "name": "c", "resources": { "requests": { "cpu": cpu, "memory": "1Gi" } } }] })
    }

    fn told(groups: &[NodeGroup], pods: &[Arc<PodInfo>], daemons: &[Arc<DaemonSet>]) -> String {
        match plan(groups, &Snapshot::default(), pods, daemons, &|group| &*group.name == "failed") {
            Plan::Grow(growth) => {
                format!("{} {}->{} for {}", growth.group, growth.from, growth.to, growth.pods.len())
            }
            Plan::Nothing(without) => {
                let mut told: Vec<String> = without.into_iter().map(|(_, why)| why).collect();
                told.dedup();
                told.join(" | ")
            }
        }
    }

    #[test]
    fn as_many_nodes_are_made_as_pods_need_and_the_group_may_have() {
        let four = pods(5, &asking("1500m"));
        assert_eq!(told(&[group("pool", (1, 9), "4")], &four, &[]), "pool 1->4 for 5");
        assert_eq!(told(&[group("pool", (1, 2), "4")], &four, &[]), "pool 1->2 for 2");
        assert_eq!(told(&[group("pool", (2, 2), "4")], &four, &[]), "1 max node group size reached");
    }

    #[test]
    fn the_group_that_wastes_least_grows() {
        let groups = [group("large", (0, 9), "16"), group("small", (0, 9), "2")];
        assert_eq!(told(&groups, &pods(1, &asking("1500m")), &[]), "small 0->1 for 1");
        assert_eq!(told(&groups, &pods(8, &asking("1900m")), &[]), "large 0->1 for 8");
    }

    #[test]
    fn what_no_group_can_help_is_told_why() {
        let groups = [group("a", (0, 9), "2"), group("b", (1, 1), "8"), group("c", (0, 9), "1")];
        let told = told(&groups, &pods(2, &asking("4")), &[]);
        assert_eq!(told, "2 Insufficient cpu, 1 max node group size reached");
    }

    #[test]
    fn a_group_that_failed_is_left_alone() {
        let groups = [group("failed", (0, 9), "8"), group("other", (0, 9), "2")];
        assert_eq!(told(&groups, &pods(1, &asking("1500m")), &[]), "other 0->1 for 1");
        let told = told(&groups, &pods(1, &asking("4")), &[]);
        assert_eq!(told, "1 Insufficient cpu, 1 in backoff after failed scale-up");
    }

    #[test]
    fn daemons_take_their_room_on_new_nodes() {
        let daemon: DaemonSet = serde_json::from_value(json!({
            "metadata": { "name": "agent", "namespace": "default", "uid": "agent" },
            "spec": { "selector": {}, "template": { "spec": asking("1") } },
        }))
        .expect("the set is written out above");
        let pods = pods(2, &asking("1500m"));
        assert_eq!(told(&[group("pool", (0, 9), "3")], &pods, &[]), "pool 0->1 for 2");
        assert_eq!(told(&[group("pool", (0, 9), "3")], &pods, &[Arc::new(daemon)]), "pool 0->2 for 2");
    }

    #[test]
    fn a_pod_that_bears_no_other_gets_a_node_of_its_own() {
        let mut spec = asking("100m");
        spec["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
            { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "web" } } },
        ] } });
        assert_eq!(told(&[group("pool", (0, 9), "4")], &pods(3, &spec), &[]), "pool 0->3 for 3");
    }
}
