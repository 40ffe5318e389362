//! What a node is like before its kubelet starts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Taint;

use crate::machinery::quantity::Quantity;
use crate::node::runtime::RuntimeProfile;

/// A machine of the cluster: what an administrator would give to its kubelet as flags and configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeConfig {
    /// The node's name.
    pub name: String,
    /// Labels besides those that every kubelet sets: `--node-labels`.
    pub labels: BTreeMap<String, String>,
    /// Taints that it registers with: `--register-with-taints`.
    pub taints: Vec<Taint>,
    /// How much of each resource there is, as quantities: `cpu`, `memory`, `pods`, `ephemeral-storage` and any
    /// extended resource. What is missing of the four is filled in.
    pub capacity: BTreeMap<String, String>,
    /// The value of the label `topology.kubernetes.io/zone`; empty for none.
    pub zone: String,
    /// The value of the label `topology.kubernetes.io/region`; empty for none.
    pub region: String,
    /// Whether the machine is a cloud's, whose controllers complete its node: `--cloud-provider=external`.
    pub is_in_cloud: bool,
    /// The machine's own address.
    pub internal_ip: String,
    /// The range that pods get their addresses from while the Node object names none, such as `10.244.1.0/24`.
    pub pod_cidr: String,
    /// Images that are on the machine already.
    pub preloaded_images: Vec<String>,
    /// From what on pods are evicted: `evictionHard`, by the names of its signals, in place of all that holds by default.
    pub eviction_hard: BTreeMap<String, String>,
    /// How many processes a container may have: `podPidsLimit`.
    pub pod_pids_limit: Option<u32>,
    /// How fast and how strict its container runtime is; processors and memory follow from the capacity.
    pub runtime: RuntimeProfile,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            name: "node-1".to_owned(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            capacity: BTreeMap::new(),
            zone: String::new(),
            region: String::new(),
            is_in_cloud: false,
            internal_ip: "10.0.0.11".to_owned(),
            pod_cidr: "10.244.1.0/24".to_owned(),
            preloaded_images: Vec::new(),
            eviction_hard: BTreeMap::new(),
            pod_pids_limit: None,
            runtime: RuntimeProfile::default(),
        }
    }
}

/// What a machine has when its configuration says nothing.
const DEFAULT_CAPACITY: [(&str, &str); 4] =
    [("cpu", "4"), ("ephemeral-storage", "100Gi"), ("memory", "8Gi"), ("pods", "110")];

impl NodeConfig {
    /// The machine with this number, counted from 1: named, and with addresses of its own.
    #[must_use]
    pub fn numbered(name: impl Into<String>, number: u32) -> Self {
        let (high, low) = (number / 200, number % 200);
        Self {
            name: name.into(),
            internal_ip: format!("10.0.{high}.{}", low + 10),
            pod_cidr: format!("10.{}.{}.0/24", 244 + (number >> 8) % 8, number & 0xff),
            ..Self::default()
        }
    }

    /// The habits of its container runtime, with the machine's own size.
    #[must_use]
    pub fn runtime_profile(&self) -> RuntimeProfile {
        let capacity = self.full_capacity();
        let amount = |name: &str| capacity.get(name).and_then(|text| Quantity::parse(text).ok());
        let processors = amount("cpu").and_then(|cpu| u32::try_from(cpu.value()).ok()).unwrap_or(1);
        let memory_bytes = amount("memory").and_then(|memory| u64::try_from(memory.value()).ok()).unwrap_or(0);
        RuntimeProfile { processors, memory_bytes, ..self.runtime.clone() }
    }

    /// The capacity with defaults filled in.
    #[must_use]
    pub fn full_capacity(&self) -> BTreeMap<String, String> {
        let defaults = DEFAULT_CAPACITY.iter().map(|&(name, amount)| (name.to_owned(), amount.to_owned()));
        defaults.chain(self.capacity.clone()).collect()
    }
}
