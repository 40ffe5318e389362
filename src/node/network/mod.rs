//! The cluster's network as its parts see it: names, policies, and what leaves a machine.
//!
//! Here are the processes that make a network out of machines: the cluster's DNS server ([`ClusterDns`]), the agent
//! that knows the network policies ([`PolicyAgent`]), the [`IngressController`] and the [`GatewayController`]. They have caches of their own, as old as the last event that reached
//! them. What travels is carried by `sim/network`, from one machine's kubelet to another's.

mod backends;
mod dns;
mod gateway;
mod headers;
mod ingress;
mod policy;
mod resolver;

pub use dns::{ClusterDns, Found};
pub use gateway::{GATEWAY_API, GatewayController, Sent};
pub use headers::HeaderChange;
pub use ingress::{INGRESS_ADDRESS, INGRESS_CLASS, INGRESS_CONTROLLER, IngressController, Routed};
pub use policy::{Party, PolicyAgent};
pub use resolver::ResolverConfig;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::api::ObjectKey;
use crate::machinery::shell::{NetworkRequest, RecordKind};
use crate::node::runtime::{Id, RequestNumber};

/// The cluster's DNS domain: `clusterDomain`.
pub const CLUSTER_DOMAIN: &str = "cluster.local";
/// The address of the cluster's DNS server, which pods find in `/etc/resolv.conf`.
pub const DNS_ADDRESS: &str = "10.96.0.10";

/// A pod as the machine that it runs on knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalPod {
    /// Its sandbox.
    pub sandbox: Id,
    /// What its kubelet knows of it.
    pub pod: Arc<Pod>,
    /// Its address: the machine's own for a pod on the node's network.
    pub address: String,
}

impl LocalPod {
    /// Its namespace and name.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::of(&self.pod.metadata)
    }

    /// Whether it has a network of its own, to which policies apply.
    #[must_use]
    pub fn has_own_network(&self) -> bool {
        self.pod.spec.as_ref().is_none_or(|spec| spec.host_network != Some(true))
    }
}

/// The process that waits for an answer, on its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The container that it runs in.
    pub container: Id,
    /// The number of its request.
    pub number: RequestNumber,
}

/// Names that a server is asked for, one after another until one is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The server's address.
    pub server: String,
    /// The full names.
    pub names: Vec<String>,
    /// What is asked for.
    pub kind: RecordKind,
}

/// Where a request goes, as far as a machine knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To an address.
    Address(String),
    /// To an address that a server has to be asked for.
    Lookup(Lookup),
}

/// A request on its way out of a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Who waits for the answer.
    pub sender: Sender,
    /// The pod that it comes from.
    pub from: LocalPod,
    /// Where it goes.
    pub aim: Aim,
    /// What is asked.
    pub request: NetworkRequest,
    /// Whether it is part of what goes on for ever.
    pub background: bool,
}
