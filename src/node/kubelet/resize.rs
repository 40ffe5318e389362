//! Resources that change while a pod runs: what the node grants, what containers were given, and who is started again.
//!
//! `pkg/kubelet/allocation/allocation_manager.go` and `pkg/kubelet/kuberuntime/kuberuntime_manager.go`
//! (`computePodResizeAction`).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Node, Pod, PodSpec, ResourceRequirements};
use serde_json::{Value, json};

use crate::machinery::json::to_value;
use crate::machinery::quantity::Quantity;

use super::admission;
use super::container_status::pod_requests;

/// Why a node does not grant what a pod wants by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// `Infeasible`: never on this node; `Deferred`: not while the others are there.
    pub reason: &'static str,
    pub message: String,
}

/// What a pod's containers may have and what they have.
#[derive(Clone, Debug, Default)]
pub(super) struct Resize {
    /// What the node has granted, by container.
    granted: Vec<(String, Arc<ResourceRequirements>)>,
    /// What each container was given when it was last started or changed.
    given: Vec<(String, Arc<ResourceRequirements>)>,
    /// What the node has granted to the pod as a whole.
    granted_pod: Option<Arc<ResourceRequirements>>,
    /// What was granted to the whole pod when a container was last started or changed: it bounds those without limits.
    bounds: Vec<(String, Option<Arc<ResourceRequirements>>)>,
    pub pending: Option<Pending>,
    /// Whether something was granted that not all containers were given yet.
    pub under_way: bool,
    /// Why a container was not given what was granted.
    pub error: Option<String>,
}

/// What becomes of a running container whose resources change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    InPlace,
    Restart,
}

/// What a container wants that says nothing.
static NOTHING: ResourceRequirements = ResourceRequirements { claims: None, limits: None, requests: None };

fn known<'a>(all: &'a [(String, Arc<ResourceRequirements>)], container: &str) -> Option<&'a Arc<ResourceRequirements>> {
    all.iter().find(|(name, _)| name == container).map(|(_, resources)| resources)
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.containers.iter().chain(spec.init_containers.iter().flatten())
}

/// Whether two versions of a pod want different resources.
pub(super) fn differs(before: &Pod, after: &Pod) -> bool {
    let (Some(before), Some(after)) = (&before.spec, &after.spec) else { return false };
    before.resources != after.resources
        || containers(before).zip(containers(after)).any(|(before, after)| before.resources != after.resources)
}

/// Why the node cannot grant what a pod wants: `canResizePod`.
pub(super) fn refusal(
    pod: &Pod,
    others: &[&Pod],
    node: Option<&Node>,
    capacity: &BTreeMap<String, String>,
) -> Option<Pending> {
    let requests = pod_requests(pod.spec.as_ref()?);
    for (name, unit) in [("cpu", 1000), ("memory", 1)] {
        let all = capacity.get(name).and_then(|amount| Quantity::parse(amount).ok()).unwrap_or(Quantity::ZERO);
        let wanted = requests.get(name).map_or(Quantity::ZERO, Quantity::of);
        if wanted > all {
            let count = |amount: Quantity| if unit == 1000 { amount.milli_value() } else { amount.value() };
            let (requested, capacity) = (count(wanted), count(all));
            let message =
                format!("Node didn't have enough capacity: {name}, requested: {requested}, capacity: {capacity}");
            return Some(Pending { reason: "Infeasible", message });
        }
    }
    let rejection = admission::reject(pod, others, node, capacity)?;
    let is_short = rejection.reason.starts_with("OutOf");
    is_short.then_some(Pending { reason: "Deferred", message: rejection.message })
}

/// Why a container is not given less memory than it uses: `validateMemoryResizeAction`.
pub(super) fn refusal_by_use(container: &str, limit: Option<u64>, before: Option<u64>, used: u64) -> Option<String> {
    let limit = limit.filter(|limit| before.is_none_or(|before| *limit < before) && used >= *limit)?;
    Some(format!("attempting to set container {container:?} memory limit ({limit}) below current usage ({used})"))
}

impl Resize {
    /// Of a pod that is new to the node: what it wants was granted with its admission.
    pub(super) fn new(pod: &Pod) -> Self {
        let mut resize = Self::default();
        resize.grant(pod);
        resize
    }

    /// Grants what a pod wants.
    pub(super) fn grant(&mut self, pod: &Pod) {
        let all = pod.spec.iter().flat_map(containers);
        self.granted = all.map(|one| (one.name.clone(), Arc::new(one.resources.clone().unwrap_or_default()))).collect();
        self.granted_pod = pod.spec.as_ref().and_then(|spec| spec.resources.clone()).map(Arc::new);
        self.pending = None;
        self.error = None;
    }

    /// What was granted to the pod as a whole.
    pub(super) fn granted_pod(&self) -> Option<&ResourceRequirements> {
        self.granted_pod.as_deref()
    }

    /// What was granted to a container.
    pub(super) fn granted<'a>(&'a self, container: &'a Container) -> &'a ResourceRequirements {
        let of_pod = || container.resources.as_ref().unwrap_or(&NOTHING);
        known(&self.granted, &container.name).map_or_else(of_pod, |granted| &**granted)
    }

    /// What a container has.
    pub(super) fn given<'a>(&'a self, container: &'a Container) -> &'a ResourceRequirements {
        known(&self.given, &container.name).map_or_else(|| self.granted(container), |given| &**given)
    }

    /// Notes what a container has from now on.
    pub(super) fn give(&mut self, container: &str, resources: ResourceRequirements) {
        // It is what was granted but while that changes.
        let granted = known(&self.granted, container).filter(|granted| ***granted == resources);
        let resources = granted.map_or_else(|| Arc::new(resources), Arc::clone);
        self.given.retain(|(name, _)| name != container);
        self.given.push((container.to_owned(), resources));
        self.bounds.retain(|(name, _)| name != container);
        self.bounds.push((container.to_owned(), self.granted_pod.clone()));
    }

    /// What has to be done to a running container.
    pub(super) fn change(&self, container: &Container) -> Change {
        let (granted, given) = (self.granted(container), self.given(container));
        let bound = self.bounds.iter().find(|(name, _)| *name == container.name);
        let bound = bound.map_or(&self.granted_pod, |(_, bound)| bound);
        let changed = |name: &str| {
            let of = |resources: &ResourceRequirements, whole: &Option<Arc<ResourceRequirements>>| {
                let amount =
                    |list: &Option<BTreeMap<_, _>>| list.as_ref().and_then(|list| list.get(name)).map(Quantity::of);
                let limit = || whole.as_ref().and_then(|whole| amount(&whole.limits));
                (amount(&resources.requests), amount(&resources.limits).or_else(limit))
            };
            of(granted, &self.granted_pod) != of(given, bound)
        };
        let restarts = |name: &str| {
            let mut policies = container.resize_policy.iter().flatten();
            policies.any(|policy| policy.resource_name == name && policy.restart_policy == "RestartContainer")
        };
        let changes: Vec<&str> = ["cpu", "memory"].into_iter().filter(|name| changed(name)).collect();
        if changes.iter().any(|name| restarts(name)) {
            Change::Restart
        } else if changes.is_empty() {
            Change::Nothing
        } else {
            Change::InPlace
        }
    }

    /// Whether every container has what was granted to it.
    pub(super) fn is_settled(&self, pod: &Pod) -> bool {
        pod.spec.iter().flat_map(|spec| &spec.containers).all(|one| self.change(one) == Change::Nothing)
    }

    /// What events say of a resize that has to wait: the containers with what they want, and why they do not get it.
    pub(super) fn wanted(pod: &Pod, error: &str) -> String {
        let one = |container: &Container| json!({"name": container.name, "resources": to_value(&container.resources.clone().unwrap_or_default())});
        let all: Vec<Value> = pod.spec.iter().flat_map(|spec| &spec.containers).map(one).collect();
        let (all, error) = (Value::Array(all), Value::from(error));
        let generation = pod.metadata.generation.unwrap_or(0);
        format!("{{\"containers\":{all},\"generation\":{generation},\"error\":{error}}}")
    }

    /// What events say of a resize: the containers with what was granted, and the pod's generation.
    pub(super) fn told(&self, pod: &Pod) -> String {
        let one =
            |container: &Container| json!({"name": container.name, "resources": to_value(self.granted(container))});
        let all: Vec<Value> = pod.spec.iter().flat_map(|spec| &spec.containers).map(one).collect();
        let generation = pod.metadata.generation.unwrap_or(0);
        format!("{{\"containers\":{},\"generation\":{generation}}}", Value::Array(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_keeps_the_memory_that_it_uses() {
        let told = |limit, before, used| refusal_by_use("c", limit, before, used);
        assert_eq!(told(Some(200), Some(100), 150), None, "it may have more");
        assert_eq!(told(Some(100), Some(200), 50), None, "it uses less");
        assert_eq!(told(None, Some(200), 150), None, "it has no limit any more");
        let why = "attempting to set container \"c\" memory limit (100) below current usage (150)";
        assert_eq!(told(Some(100), Some(200), 150).as_deref(), Some(why));
        assert_eq!(told(Some(100), None, 150).as_deref(), Some(why));
    }
}
