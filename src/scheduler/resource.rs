//! Amounts of resources as integers, so that nothing is parsed while nodes are compared.
//!
//! Follows `pkg/scheduler/framework/types.go` (`Resource`) and `k8s.io/component-helpers/resource` (`PodRequests`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::api::Name;
use crate::machinery::quantity::Quantity;

/// The milli-CPU that a container without a CPU request counts for when nodes are scored.
pub const DEFAULT_MILLI_CPU_REQUEST: i64 = 100;
/// The bytes of memory that a container without a memory request counts for when nodes are scored.
pub const DEFAULT_MEMORY_REQUEST: i64 = 200 * 1024 * 1024;

/// What a pod asks for, or what a node has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Thousandths of a CPU.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// How many pods a node takes; 0 for what a pod asks for.
    pub allowed_pod_number: i64,
    /// Extended resources, huge pages and the like, by name.
    pub scalar: BTreeMap<Name, i64>,
}

impl Resource {
    /// The amounts of a resource list; resources that the scheduler does not know are left out.
    #[must_use]
    pub fn from_list(list: Option<&BTreeMap<String, ApiQuantity>>) -> Self {
        let mut resource = Self::default();
        for (name, quantity) in list.into_iter().flatten() {
            resource.set(name, Quantity::of(quantity));
        }
        resource
    }

    fn set(&mut self, name: &str, quantity: Quantity) {
        match name {
            "cpu" => self.milli_cpu = quantity.milli_value(),
            "memory" => self.memory = quantity.value(),
            "ephemeral-storage" => self.ephemeral_storage = quantity.value(),
            "pods" => self.allowed_pod_number = quantity.value(),
            _ if is_scalar_resource_name(name) => {
                self.scalar.insert(name.into(), quantity.value());
            }
            _ => {}
        }
    }

    /// Adds `other`, the number of pods left aside.
    pub fn add(&mut self, other: &Self) {
        self.milli_cpu = self.milli_cpu.saturating_add(other.milli_cpu);
        self.memory = self.memory.saturating_add(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.saturating_add(other.ephemeral_storage);
        for (name, value) in &other.scalar {
            let sum = self.scalar.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*value);
        }
    }

    /// Takes `other` away, the number of pods left aside.
    pub fn sub(&mut self, other: &Self) {
        self.milli_cpu = self.milli_cpu.saturating_sub(other.milli_cpu);
        self.memory = self.memory.saturating_sub(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.saturating_sub(other.ephemeral_storage);
        for (name, value) in &other.scalar {
            let rest = self.scalar.entry(name.clone()).or_default();
            *rest = rest.saturating_sub(*value);
        }
    }

    /// Raises each amount to that of `other` where that is larger.
    pub fn max(&mut self, other: &Self) {
        self.milli_cpu = self.milli_cpu.max(other.milli_cpu);
        self.memory = self.memory.max(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.max(other.ephemeral_storage);
        for (name, value) in &other.scalar {
            let largest = self.scalar.entry(name.clone()).or_default();
            *largest = (*largest).max(*value);
        }
    }

    /// The amount of a scalar resource; 0 when there is none.
    #[must_use]
    pub fn scalar(&self, name: &str) -> i64 {
        if self.scalar.is_empty() { 0 } else { self.scalar.get(name).copied().unwrap_or(0) }
    }

    /// Whether neither CPU, memory, storage nor any scalar resource is named.
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        self.milli_cpu == 0 && self.memory == 0 && self.ephemeral_storage == 0 && self.scalar.is_empty()
    }
}

/// Whether the scheduler counts a resource of this name one by one: `schedutil.IsScalarResourceName`.
#[must_use]
pub fn is_scalar_resource_name(name: &str) -> bool {
    let in_kubernetes_domain = name.contains("kubernetes.io/");
    let extended = name.contains('/') && !in_kubernetes_domain && !name.starts_with("requests.");
    extended || name.starts_with("hugepages-") || in_kubernetes_domain || name.starts_with("attachable-volumes-")
}

/// What a pod asks for, and what it counts for in the score when a request is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRequests {
    /// The requests themselves: the filter's view.
    pub requests: Resource,
    /// Milli-CPU with [`DEFAULT_MILLI_CPU_REQUEST`] for each container that asks for none.
    pub non_zero_milli_cpu: i64,
    /// Bytes of memory with [`DEFAULT_MEMORY_REQUEST`] for each container that asks for none.
    pub non_zero_memory: i64,
    /// Milli-CPU that the pod counts for on its node: as [`Self::non_zero_milli_cpu`], but a pod with requests of its own
    /// as a whole gets nothing added where anybody names the resource.
    pub counted_milli_cpu: i64,
    /// Bytes of memory that the pod counts for on its node, likewise.
    pub counted_memory: i64,
}

impl PodRequests {
    /// The requests of a pod: init containers one after another, sidecars along with what follows them, requests of
    /// the pod as a whole instead of its containers', and its overhead on top.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let plain = pod_requests(pod, false);
        let non_zero = pod_requests(pod, true);
        let is_whole = has_own_requests(pod);
        let counted = |name: &str, plain: i64, filled: i64| if is_whole && names(pod, name) { plain } else { filled };
        Self {
            counted_milli_cpu: counted("cpu", plain.milli_cpu, non_zero.milli_cpu),
            counted_memory: counted("memory", plain.memory, non_zero.memory),
            non_zero_milli_cpu: non_zero.milli_cpu,
            non_zero_memory: non_zero.memory,
            requests: plain,
        }
    }
}

/// Whether a pod as a whole may ask for a resource: `IsSupportedPodLevelResource`.
fn is_for_whole_pods(name: &str) -> bool {
    name == "cpu" || name == "memory" || name.starts_with("hugepages-")
}

/// Whether the pod asks for something as a whole: `IsPodLevelRequestsSet`.
fn has_own_requests(pod: &Pod) -> bool {
    let own = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    own.is_some_and(|own| own.keys().any(|name| is_for_whole_pods(name)))
}

/// Whether the pod or one of its containers asks for a resource, be it for none of it.
fn names(pod: &Pod, resource: &str) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let of_containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let of_containers = of_containers.filter_map(|container| container.resources.as_ref()?.requests.as_ref());
    let own = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    of_containers.chain(own).chain(&spec.overhead).any(|requests| requests.contains_key(resource))
}

/// While a pod as a whole is resized, it counts for the larger of what it has and what it shall have.
fn largest_of_whole(pod: &Pod, name: &str, wanted: Quantity) -> Quantity {
    let Some(status) = &pod.status else { return wanted };
    let actual = status.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let actual = actual.and_then(|requests| requests.get(name)).map(Quantity::of);
    let allocated = status.allocated_resources.as_ref().and_then(|allocated| allocated.get(name)).map(Quantity::of);
    let wanted = actual.filter(|_| is_resize_infeasible(pod)).unwrap_or(wanted);
    [actual, allocated].into_iter().flatten().fold(wanted, Quantity::max)
}

fn pod_requests(pod: &Pod, default_missing: bool) -> Resource {
    let Some(spec) = &pod.spec else { return Resource::default() };
    let mut requests = container_requests(pod, default_missing);
    let pod_level = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    for (name, quantity) in pod_level.into_iter().flatten() {
        if is_for_whole_pods(name) {
            requests.set(name, largest_of_whole(pod, name, Quantity::of(quantity)));
        }
    }
    if let Some(overhead) = &spec.overhead {
        requests.add(&Resource::from_list(Some(overhead)));
    }
    // A limit on the number of pods is no request.
    requests.allowed_pod_number = 0;
    requests
}

/// `AggregateContainerRequests`.
fn container_requests(pod: &Pod, default_missing: bool) -> Resource {
    let Some(spec) = &pod.spec else { return Resource::default() };
    let status = pod.status.as_ref();
    let infeasible = is_resize_infeasible(pod);
    let of = |container: &Container, statuses: Option<&Vec<ContainerStatus>>| {
        let known = statuses.into_iter().flatten().find(|status| status.name == container.name);
        one_container(container, known, infeasible, default_missing)
    };
    let mut sum = Resource::default();
    for container in &spec.containers {
        sum.add(&of(container, status.and_then(|status| status.container_statuses.as_ref())));
    }
    let mut sidecars = Resource::default();
    let mut largest_init = Resource::default();
    for container in spec.init_containers.iter().flatten() {
        let mut needed = of(container, status.and_then(|status| status.init_container_statuses.as_ref()));
        if container.restart_policy.as_deref() == Some("Always") {
            sum.add(&needed);
            sidecars.add(&needed);
            needed = sidecars.clone();
        } else {
            needed.add(&sidecars);
        }
        largest_init.max(&needed);
    }
    sum.max(&largest_init);
    sum
}

fn one_container(
    container: &Container,
    status: Option<&ContainerStatus>,
    infeasible: bool,
    default_missing: bool,
) -> Resource {
    let desired = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let mut resource = Resource::from_list(desired);
    // While a container is resized, it counts for the larger of what it has and what it shall have.
    if let Some(status) = status {
        let actual = status.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let allocated = status.allocated_resources.as_ref();
        if infeasible && actual.is_some() {
            resource = Resource::from_list(actual);
        } else {
            resource.max(&Resource::from_list(actual));
        }
        resource.max(&Resource::from_list(allocated));
    }
    if default_missing {
        let names = |name: &str| desired.is_some_and(|list| list.contains_key(name));
        if !names("cpu") {
            resource.milli_cpu = DEFAULT_MILLI_CPU_REQUEST;
        }
        if !names("memory") {
            resource.memory = DEFAULT_MEMORY_REQUEST;
        }
    }
    resource
}

fn is_resize_infeasible(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| {
        condition.type_ == "PodResizePending"
            && condition.status == "True"
            && condition.reason.as_deref() == Some("Infeasible")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn requests(spec: serde_json::Value) -> (i64, i64, i64, i64) {
        let pod: Pod = serde_json::from_value(json!({ "spec": spec })).expect("a pod");
        let requests = PodRequests::of(&pod);
        (requests.requests.milli_cpu, requests.requests.memory, requests.non_zero_milli_cpu, requests.non_zero_memory)
    }

    fn container(cpu: &str, memory: &str) -> serde_json::Value {
        json!({"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}})
    }

    #[test]
    fn requests_of_pods() {
        let none = json!({"containers": [{"name": "c"}, {"name": "d"}]});
        assert_eq!(requests(none), (0, 0, 200, 2 * DEFAULT_MEMORY_REQUEST));
        let two = json!({"containers": [container("100m", "1Ki"), container("1", "1Ki")]});
        assert_eq!(requests(two), (1100, 2048, 1100, 2048));
        let mut sidecar = container("200m", "2Ki");
        sidecar["restartPolicy"] = json!("Always");
        let init_first = json!({"containers": [container("100m", "1Ki")],
            "initContainers": [container("3", "1Ki"), sidecar]});
        assert_eq!(requests(init_first), (3000, 3072, 3000, 3072));
        let init_later = json!({"containers": [container("100m", "1Ki")],
            "initContainers": [sidecar, container("3", "1Ki")]});
        assert_eq!(requests(init_later), (3200, 3072, 3200, 3072));
        let overhead = json!({"containers": [container("100m", "1Ki")], "overhead": {"cpu": "1"}});
        assert_eq!(requests(overhead), (1100, 1024, 1100, 1024));
        let whole = json!({"containers": [{"name": "c"}], "resources": {"requests": {"cpu": "2"}}});
        assert_eq!(requests(whole), (2000, 0, 2000, DEFAULT_MEMORY_REQUEST));
    }

    #[test]
    fn a_pod_that_asks_as_a_whole_counts_for_what_is_named() {
        let counted = |spec: serde_json::Value, status: serde_json::Value| {
            let pod: Pod = serde_json::from_value(json!({ "spec": spec, "status": status })).expect("a pod");
            let requests = PodRequests::of(&pod);
            (requests.non_zero_memory, requests.counted_milli_cpu, requests.counted_memory)
        };
        let two = || json!([container("100m", "1Ki"), {"name": "d"}]);
        let (whole, none) = (|| json!({"requests": {"cpu": "2"}}), || json!({}));
        assert_eq!(
            counted(json!({"containers": two()}), none()),
            (1024 + DEFAULT_MEMORY_REQUEST, 200, 1024 + DEFAULT_MEMORY_REQUEST),
        );
        let spec = json!({"containers": two(), "resources": whole()});
        assert_eq!(counted(spec, none()), (1024 + DEFAULT_MEMORY_REQUEST, 2000, 1024));
        let spec = json!({"containers": [{"name": "c"}], "resources": whole()});
        assert_eq!(counted(spec.clone(), none()), (DEFAULT_MEMORY_REQUEST, 2000, DEFAULT_MEMORY_REQUEST));
        // Its last resize has not come about yet.
        let status = json!({"resources": {"requests": {"cpu": "3"}}, "allocatedResources": {"cpu": "1"}});
        assert_eq!(counted(spec, status), (DEFAULT_MEMORY_REQUEST, 3000, DEFAULT_MEMORY_REQUEST));
    }

    #[test]
    fn scalar_names() {
        for name in ["example.com/gpu", "hugepages-2Mi", "kubernetes.io/x", "attachable-volumes-csi"] {
            assert!(is_scalar_resource_name(name), "{name}");
        }
        for name in ["cpu", "memory", "requests.cpu/x", "storage"] {
            assert!(!is_scalar_resource_name(name), "{name}");
        }
    }
}
