//! What a cluster is like before anybody acts on it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cloud::CloudConfig;
use crate::machinery::names;
use crate::machinery::time::Time;
use crate::node::runtime::RuntimeProfile;

use super::machines::{MachineError, NodeSpec};

/// How long things take on their way. All in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Latencies {
    /// The least time that a watch event takes to reach a process.
    pub watch_us_min: u64,
    /// How much longer it may take.
    pub watch_us_spread: u64,
    /// What a list takes when a process starts.
    pub list_us: u64,
    /// How long a packet is under way within a machine.
    pub packet_us_local: u64,
    /// How long it is from one machine to another.
    pub packet_us: u64,
    /// How long it is from outside to a machine.
    pub packet_us_outside: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            watch_us_min: 1_500,
            watch_us_spread: 3_000,
            list_us: 10_000,
            packet_us_local: 150,
            packet_us: 350,
            packet_us_outside: 5_000,
        }
    }
}

impl Latencies {
    pub(super) const fn list(&self) -> Duration {
        Duration::from_micros(self.list_us)
    }

    pub(super) const fn packet_local(&self) -> Duration {
        Duration::from_micros(self.packet_us_local)
    }

    pub(super) const fn packet(&self) -> Duration {
        Duration::from_micros(self.packet_us)
    }

    pub(super) const fn packet_outside(&self) -> Duration {
        Duration::from_micros(self.packet_us_outside)
    }
}

/// A cluster's beginning: with the seed and the log of actions, all that a session needs to be played again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Profile {
    /// When the cluster begins.
    pub start: Time,
    /// How many worker nodes it begins with.
    pub nodes: u32,
    /// What their names begin with; a number follows.
    pub node_prefix: String,
    /// CPU of each, as a quantity.
    pub node_cpu: String,
    /// Memory of each, as a quantity.
    pub node_memory: String,
    /// How many pods each takes.
    pub node_pods: u32,
    /// The cloud that the cluster runs in, if it runs in one.
    pub cloud: Option<CloudConfig>,
    /// Whether each node is given a block of addresses for its pods: `--allocate-node-cidrs`.
    pub node_cidrs: bool,
    /// Whether each node runs kube-proxy.
    pub kube_proxy: bool,
    /// Whether names of Services and pods are known.
    pub cluster_dns: bool,
    /// Whether the cluster's network plugin enforces network policies.
    pub network_policies: bool,
    /// Whether an ingress controller brings requests from outside to Services.
    pub ingress_controller: bool,
    /// Whether a controller serves the Gateway API once somebody installs its kinds.
    pub gateway_controller: bool,
    /// Whether the kinds of the Gateway API are there from the beginning.
    pub gateway_api: bool,
    /// Whether claims get volumes by default: the class `standard` makes folders of nodes into volumes, as in a kind
    /// cluster.
    pub default_storage_class: bool,
    /// Whether a metrics-server runs, so that `metrics.k8s.io` is served and autoscalers have something to go by.
    pub metrics: bool,
    /// How long things take on their way.
    pub latencies: Latencies,
    /// How fast and how strict the nodes' container runtimes are: the usual one, or that of the recorded cluster. A log
    /// tells which of the two it is.
    #[serde(rename = "recordedRuntime", with = "recorded_runtime", skip_serializing_if = "recorded_runtime::is_usual")]
    pub runtime: RuntimeProfile,
}

mod recorded_runtime {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::node::runtime::RuntimeProfile;

    pub(super) fn is_usual(runtime: &RuntimeProfile) -> bool {
        *runtime != RuntimeProfile::recorded()
    }

    pub(super) fn serialize<S: Serializer>(runtime: &RuntimeProfile, serializer: S) -> Result<S::Ok, S::Error> {
        (!is_usual(runtime)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RuntimeProfile, D::Error> {
        let recorded = bool::deserialize(deserializer)?;
        Ok(if recorded { RuntimeProfile::recorded() } else { RuntimeProfile::default() })
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            start: Time::DEFAULT_START,
            nodes: 3,
            node_prefix: "node-".to_owned(),
            node_cpu: "4".to_owned(),
            node_memory: "8Gi".to_owned(),
            node_pods: 110,
            cloud: Some(CloudConfig::default()),
            node_cidrs: true,
            kube_proxy: true,
            cluster_dns: true,
            network_policies: true,
            ingress_controller: true,
            gateway_controller: true,
            gateway_api: false,
            default_storage_class: true,
            metrics: true,
            latencies: Latencies::default(),
            runtime: RuntimeProfile::default(),
        }
    }
}

impl Profile {
    /// A cluster in no cloud, without kube-proxy, network add-ons, storage and metrics, as those were that the recorded
    /// cases come from.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            cloud: None,
            node_cidrs: false,
            kube_proxy: false,
            cluster_dns: false,
            network_policies: false,
            ingress_controller: false,
            gateway_controller: false,
            gateway_api: false,
            default_storage_class: false,
            metrics: false,
            ..Self::default()
        }
    }

    /// The node with this number, counted from 1.
    #[must_use]
    pub fn node(&self, number: u32) -> NodeSpec {
        let capacity = [
            ("cpu", self.node_cpu.clone()),
            ("memory", self.node_memory.clone()),
            ("pods", self.node_pods.to_string()),
        ];
        NodeSpec {
            name: format!("{}{number}", self.node_prefix),
            capacity: capacity.into_iter().map(|(name, amount)| (name.to_owned(), amount)).collect(),
            ..NodeSpec::default()
        }
    }

    /// Whether a cluster can begin like this.
    ///
    /// # Errors
    /// What is wrong with its nodes or its cloud.
    pub fn check(&self) -> Result<(), MachineError> {
        if let Some(cloud) = &self.cloud {
            let bad = |why: &str| Err(MachineError::BadCloud(why.to_owned()));
            if !(1..=CloudConfig::ZONES_MAX).contains(&cloud.zones) {
                return bad("a region has between 1 and 26 zones");
            }
            if cloud.region.is_empty() {
                return bad("a region has a name");
            }
            // The names of the zones have a letter more.
            if let Some(why) = names::is_label_value(&cloud.zone(1)).first() {
                return bad(why);
            }
        }
        super::machines::check_node(&self.node(1))
    }
}
