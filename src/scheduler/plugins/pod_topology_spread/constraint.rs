//! Constraints: the pod's own, and those that every pod of a workload has by default.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::{Name, ObjectKey, controller_of};
use crate::machinery::labels::{Operator, Requirement, Selector};
use crate::scheduler::configuration::PodTopologySpreadArgs;
use crate::scheduler::listers::Listers;
use crate::scheduler::node_info::{LABEL_HOSTNAME, LABEL_ZONE, NodeInfo};
use crate::scheduler::plugins::taint_toleration::has_untolerated_taint;
use crate::scheduler::pod_info::PodInfo;

/// How unevenly pods may be spread over the values of a node label.
#[derive(Clone, Debug)]
pub struct SpreadConstraint {
    /// By how many pods a domain may exceed the emptiest one.
    pub max_skew: i64,
    /// The node label whose values are the domains.
    pub topology_key: Name,
    /// The pods that are counted.
    pub selector: Selector,
    /// With fewer domains than this the emptiest counts as empty.
    pub min_domains: i64,
    /// Whether a node that would exceed the skew is refused, or only liked less.
    pub is_hard: bool,
    honors_affinity: bool,
    honors_taints: bool,
}

/// The built-in constraints of pods that have none of their own: `systemDefaultConstraints`.
const SYSTEM_DEFAULTS: [(&str, i64); 2] = [(LABEL_HOSTNAME, 3), (LABEL_ZONE, 5)];

impl SpreadConstraint {
    /// The pod's own constraints; one that cannot be read is left out, since validation refused it.
    #[must_use]
    pub fn of(pod: &Pod, labels: &BTreeMap<String, String>) -> Vec<Self> {
        let constraints = pod.spec.as_ref().and_then(|spec| spec.topology_spread_constraints.as_ref());
        constraints.into_iter().flatten().filter_map(|constraint| Self::new(constraint, labels)).collect()
    }

    fn new(constraint: &TopologySpreadConstraint, labels: &BTreeMap<String, String>) -> Option<Self> {
        let selector = Selector::from_label_selector(constraint.label_selector.as_ref()).ok()?;
        let same = constraint.match_label_keys.iter().flatten().filter_map(|key| {
            let value = labels.get(key)?;
            Requirement::new(key, Operator::In, vec![value.clone()]).ok()
        });
        Some(Self {
            max_skew: constraint.max_skew.into(),
            topology_key: constraint.topology_key.as_str().into(),
            selector: selector.with(same),
            min_domains: constraint.min_domains.unwrap_or(1).into(),
            is_hard: constraint.when_unsatisfiable == "DoNotSchedule",
            honors_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honors_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        })
    }

    /// A constraint that a profile gives to pods without any of their own. Which pods it means is still open.
    #[must_use]
    pub fn default_of(constraint: &TopologySpreadConstraint) -> Self {
        Self {
            max_skew: constraint.max_skew.into(),
            topology_key: constraint.topology_key.as_str().into(),
            selector: Selector::nothing(),
            min_domains: constraint.min_domains.unwrap_or(1).into(),
            is_hard: constraint.when_unsatisfiable == "DoNotSchedule",
            honors_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honors_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        }
    }

    /// The built-in ones: soft, over hosts and zones.
    #[must_use]
    pub fn system_defaults() -> Vec<Self> {
        let constraint = |(key, max_skew): (&str, i64)| Self {
            max_skew,
            topology_key: key.into(),
            selector: Selector::nothing(),
            min_domains: 1,
            is_hard: false,
            honors_affinity: true,
            honors_taints: false,
        };
        SYSTEM_DEFAULTS.into_iter().map(constraint).collect()
    }

    /// What a pod is spread by, hard or soft: its own constraints, or, when it has none, the default ones, if a Service or
    /// an owner tells which pods belong together.
    #[must_use]
    pub fn of_pod<'a>(
        pod: &'a PodInfo,
        args: &PodTopologySpreadArgs,
        listers: &Listers,
        is_hard: bool,
    ) -> Cow<'a, [Self]> {
        let wanted = |constraint: &&Self| constraint.is_hard == is_hard;
        if !pod.spread.is_empty() {
            // Hardly ever has a pod both sorts.
            if pod.spread.iter().all(|constraint| wanted(&constraint)) {
                return Cow::Borrowed(&pod.spread);
            }
            return pod.spread.iter().filter(wanted).cloned().collect();
        }
        let mut defaults: Vec<Self> = args.default_constraints.iter().filter(wanted).cloned().collect();
        if defaults.is_empty() {
            return Cow::Owned(defaults);
        }
        let selector = default_selector(pod, listers);
        if selector.is_empty() {
            return Cow::Borrowed(&[]);
        }
        defaults.iter_mut().for_each(|constraint| constraint.selector = selector.clone());
        Cow::Owned(defaults)
    }

    /// Whether a node counts at all, by the constraint's policies.
    #[must_use]
    pub fn includes(&self, pod: &PodInfo, node: &NodeInfo) -> bool {
        let required = pod.required_node_affinity.as_ref().filter(|_| self.honors_affinity);
        let affine = required.is_none_or(|required| required.matches(&node.name, node.labels()));
        affine && !(self.honors_taints && has_untolerated_taint(pod, node))
    }
}

/// The pods that belong together with this one: `helper.DefaultSelector`. Empty when nothing tells.
fn default_selector(pod: &PodInfo, listers: &Listers) -> Selector {
    let namespace = &*pod.key.namespace;
    let mut labels = BTreeMap::new();
    for service in Listers::in_namespace(&listers.services, namespace) {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).filter(|map| !map.is_empty());
        if let Some(selector) = selector
            && selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
        {
            labels.extend(selector.clone());
        }
    }
    let Some(owner) = controller_of(&pod.pod.metadata) else { return Selector::from_map(&labels) };
    let key = ObjectKey::new(namespace, owner.name.as_str());
    let of_owner: Option<&LabelSelector> = match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("v1", "ReplicationController") => {
            let controller = listers.replication_controllers.get(&key);
            let selector = controller.and_then(|controller| controller.spec.as_ref()?.selector.as_ref());
            labels.extend(selector.cloned().unwrap_or_default());
            None
        }
        ("apps/v1", "ReplicaSet") => {
            listers.replica_sets.get(&key).and_then(|set| set.spec.as_ref()).map(|spec| &spec.selector)
        }
        ("apps/v1", "StatefulSet") => {
            listers.stateful_sets.get(&key).and_then(|set| set.spec.as_ref()).map(|spec| &spec.selector)
        }
        _ => None,
    };
    let selector = Selector::from_map(&labels);
    match of_owner.map(|owner| Selector::from_label_selector(Some(owner))) {
        Some(Ok(owner)) => selector.with(owner.requirements().iter().cloned()),
        _ => selector,
    }
}
