//! The simulated cloud: instances and load balancers.
//!
//! Stands for what `k8s.io/cloud-provider` calls `InstancesV2` and `LoadBalancer`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeAddress, Service};
use serde::{Deserialize, Serialize};

use crate::api::{Name, Resource};
use crate::machinery::persistent::OrdMap;

/// The cloud's name, with which the ids of its instances begin.
pub const PROVIDER_NAME: &str = "kubetab";
/// What making a load balancer takes.
const CREATE_TIME: Duration = Duration::from_secs(5);
/// What changing a load balancer, or taking one away, takes.
const CHANGE_TIME: Duration = Duration::from_secs(1);
/// Load balancers have addresses from here on; 198.18.0.0/15 belongs to nobody (RFC 2544).
const BALANCER_NETWORK: [u8; 2] = [198, 18];
/// Instances can be reached from outside under these.
const INSTANCE_NETWORK: [u8; 2] = [198, 19];

/// Where in a cloud a cluster runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CloudConfig {
    /// The region's name. A letter more makes the names of its zones.
    pub region: String,
    /// How many zones it has; machines are spread over them in turn.
    pub zones: u32,
}

impl Default for CloudConfig {
    fn default() -> Self {
        Self { region: "tab-1".to_owned(), zones: 3 }
    }
}

impl CloudConfig {
    /// How many zones a region may have: one for each letter.
    pub const ZONES_MAX: u32 = 26;

    /// The zone of the machine with this number, counted from 1.
    #[must_use]
    pub fn zone(&self, number: u32) -> String {
        let index = number.saturating_sub(1) % self.zones.clamp(1, Self::ZONES_MAX);
        let letter = char::from(b'a' + u8::try_from(index).unwrap_or(0));
        format!("{}{letter}", self.region)
    }
}

/// A machine, as the cloud knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its number among all that the cloud ever made.
    pub number: u32,
    /// Its zone.
    pub zone: String,
    /// What it is called in the price list.
    pub instance_type: String,
    /// Its address within the cluster's network.
    pub internal_ip: String,
    /// Whether it was switched off.
    pub is_shut_down: bool,
}

impl Instance {
    /// `spec.providerID` of its node.
    #[must_use]
    pub fn provider_id(&self) -> String {
        format!("{PROVIDER_NAME}:///{}/i-{:08x}", self.zone, self.number)
    }

    /// The addresses of its node.
    #[must_use]
    pub(super) fn addresses(&self, name: &str) -> Vec<NodeAddress> {
        let address = |kind: &str, address: &str| NodeAddress { type_: kind.to_owned(), address: address.to_owned() };
        vec![
            address("InternalIP", &self.internal_ip),
            address("ExternalIP", &numbered(INSTANCE_NETWORK, self.number)),
            address("Hostname", name),
        ]
    }
}

/// A load balancer: an address, and the nodes among which it spreads what reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Its address.
    pub ip: String,
    /// The nodes.
    pub nodes: BTreeSet<Name>,
}

/// The cloud.
#[derive(Clone, Debug, Default)]
pub struct Cloud {
    config: CloudConfig,
    /// By the names of the machines, which are those of their nodes.
    instances: OrdMap<Name, Instance>,
    /// By their names.
    balancers: OrdMap<String, LoadBalancer>,
    last_address: u32,
    /// The blocks of addresses that are routed to machines, by their nodes.
    routes: OrdMap<Name, Vec<String>>,
}

fn numbered(network: [u8; 2], number: u32) -> String {
    let [.., high, low] = number.to_be_bytes();
    Ipv4Addr::new(network[0], network[1], high, low).to_string()
}

/// `DefaultLoadBalancerName`: by the Service's uid, since another Service of its name needs another balancer.
fn balancer_name(service: &Service) -> String {
    format!("a{}", service.uid()).replace('-', "").chars().take(32).collect()
}

impl Cloud {
    /// A cloud with nothing in it yet.
    #[must_use]
    pub fn new(config: CloudConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Where in the cloud the cluster runs.
    #[must_use]
    pub const fn config(&self) -> &CloudConfig {
        &self.config
    }

    /// An instance is made.
    pub fn create_instance(&mut self, name: &str, instance: Instance) {
        self.instances.insert(Name::from(name), instance);
    }

    /// An instance is taken away for good.
    pub fn delete_instance(&mut self, name: &str) {
        self.instances.remove(name);
    }

    /// An instance is switched off or on.
    pub fn shut_down_instance(&mut self, name: &str, is_shut_down: bool) {
        if let Some(instance) = self.instances.get_mut(name) {
            instance.is_shut_down = is_shut_down;
        }
    }

    /// The instance behind a node: by its provider id, or by its name while it has none.
    pub(super) fn instance(&self, node: &Node) -> Option<&Instance> {
        match node.spec.as_ref().and_then(|spec| spec.provider_id.as_deref()).filter(|id| !id.is_empty()) {
            Some(id) => self.instances.values().find(|instance| instance.provider_id() == id),
            None => self.instances.get(node.name()),
        }
    }

    /// From now on these blocks of addresses are routed to these nodes, and no others.
    pub(super) fn set_routes<'a>(&mut self, routes: impl Iterator<Item = (&'a str, &'a [String])>) {
        self.routes = routes.map(|(node, blocks)| (Name::from(node), blocks.to_vec())).collect();
    }

    /// The blocks of addresses that are routed to a node.
    #[must_use]
    pub fn routes(&self, node: &str) -> &[String] {
        self.routes.get(node).map(Vec::as_slice).unwrap_or_default()
    }

    /// The load balancer of a Service.
    #[must_use]
    pub fn balancer(&self, service: &Service) -> Option<&LoadBalancer> {
        self.balancers.get(&balancer_name(service))
    }

    /// The nodes among which the load balancer at an address spreads what reaches it.
    #[must_use]
    pub fn balanced(&self, address: Ipv4Addr) -> Option<&BTreeSet<Name>> {
        let address = address.to_string();
        self.balancers.values().find(|balancer| balancer.ip == address).map(|balancer| &balancer.nodes)
    }

    /// The machine that can be reached from outside at an address.
    #[must_use]
    pub fn machine_at(&self, address: Ipv4Addr) -> Option<Name> {
        if address.octets()[..2] != INSTANCE_NETWORK {
            return None;
        }
        let address = address.to_string();
        let mut instances = self.instances.iter();
        let found = instances.find(|(_, instance)| numbered(INSTANCE_NETWORK, instance.number) == address);
        found.map(|(name, _)| name.clone())
    }

    /// Makes a Service's load balancer, or brings it up to date. Answers its address and what that takes.
    pub(super) fn ensure_balancer(&mut self, service: &Service, nodes: BTreeSet<Name>) -> (String, Duration) {
        let name = balancer_name(service);
        let wanted = service.spec.as_ref().and_then(|spec| spec.load_balancer_ip.clone()).filter(|ip| !ip.is_empty());
        if let Some(known) = self.balancers.get_mut(&name) {
            known.nodes = nodes;
            if let Some(ip) = wanted {
                known.ip = ip;
            }
            return (known.ip.clone(), CHANGE_TIME);
        }
        let ip = wanted.unwrap_or_else(|| {
            self.last_address += 1;
            numbered(BALANCER_NETWORK, self.last_address)
        });
        self.balancers.insert(name, LoadBalancer { ip: ip.clone(), nodes });
        (ip, CREATE_TIME)
    }

    /// Lets a Service's load balancer spread over other nodes.
    pub(super) fn update_balancer(&mut self, service: &Service, nodes: BTreeSet<Name>) {
        if let Some(balancer) = self.balancers.get_mut(&balancer_name(service)) {
            balancer.nodes = nodes;
        }
    }

    /// Takes a Service's load balancer away. Answers what that takes.
    pub(super) fn delete_balancer(&mut self, service: &Service) -> Duration {
        self.balancers.remove(&balancer_name(service));
        CHANGE_TIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_spread_over_the_zones() {
        let config = CloudConfig::default();
        let zones: Vec<String> = (1..=4).map(|number| config.zone(number)).collect();
        assert_eq!(zones, ["tab-1a", "tab-1b", "tab-1c", "tab-1a"]);
    }

    #[test]
    fn each_service_has_a_balancer_and_an_address_of_its_own() {
        let service = |uid: &str| {
            let mut service = Service::default();
            service.metadata.uid = Some(uid.to_owned());
            service
        };
        let mut cloud = Cloud::default();
        let (a, b) = (service("11111111-2222-3333-4444-555555555555"), service("b"));
        assert_eq!(cloud.ensure_balancer(&a, BTreeSet::new()), ("198.18.0.1".to_owned(), CREATE_TIME));
        assert_eq!(cloud.ensure_balancer(&b, BTreeSet::new()).0, "198.18.0.2");
        assert_eq!(cloud.ensure_balancer(&a, BTreeSet::new()), ("198.18.0.1".to_owned(), CHANGE_TIME));
        cloud.delete_balancer(&a);
        assert!(cloud.balancer(&a).is_none() && cloud.balancer(&b).is_some());
    }
}
