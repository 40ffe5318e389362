//! Cluster IPs and node ports.
//!
//! `kubernetes/pkg/registry/core/service/{ipallocator,portallocator,storage/alloc.go}`. The server takes addresses at
//! random from the upper part of the range, which leaves the lower part to those who ask for one by name.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use crate::api::Object;
use crate::api::core::service::{
    is_headless, needs_cluster_ip, needs_health_check, needs_node_port, validate_families,
};
use crate::machinery::field::{FieldError, Path};
use crate::machinery::persistent::OrdSet;
use crate::machinery::random::Random;
use crate::machinery::status::Status;

use super::write::invalid;

/// 10.96.0.0/16, kubeadm's default is /12; what matters is that addresses look familiar.
const SERVICE_NETWORK: [u8; 2] = [10, 96];
/// The same as a block.
pub(super) const SERVICE_RANGE: &str = "10.96.0.0/16";
const NODE_PORT_FIRST: i32 = 30_000;
const NODE_PORT_COUNT: i32 = 2768;
/// Of both ranges, this much at the low end is left to those who ask for a certain one.
const STATIC_BAND: u32 = 256;
const STATIC_PORTS: i32 = 86;

/// Which addresses and ports are taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Allocator {
    addresses: OrdSet<u32>,
    ports: OrdSet<i32>,
}

fn text(offset: u32) -> String {
    format!("{}.{}.{}.{}", SERVICE_NETWORK[0], SERVICE_NETWORK[1], offset >> 8 & 255, offset & 255)
}

fn offset(address: &str) -> Option<u32> {
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    let [a, b, c, d] = address.octets();
    ([a, b] == SERVICE_NETWORK).then(|| u32::from(c) << 8 | u32::from(d))
}

/// `collectServiceNodePorts`.
fn node_ports(spec: &ServiceSpec) -> BTreeSet<i32> {
    spec.ports.iter().flatten().filter_map(|port| port.node_port).filter(|port| *port != 0).collect()
}

/// Whether the Service may have node ports; [`needs_node_port`] says whether it gets those that it does not name.
fn may_have_node_ports(spec: &ServiceSpec) -> bool {
    matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"))
}

impl Allocator {
    /// Gives a Service what it needs, or refuses it. Answers what is taken once the Service is written, so that a
    /// write which fails later on, or is only tried, takes nothing.
    pub(super) fn allocate(
        &self,
        object: &mut Object,
        existing: Option<&Object>,
        random: &mut Random,
    ) -> Result<Option<Self>, Status> {
        let Object::Service(service) = object else { return Ok(None) };
        let errors = validate_families(service, existing.is_some());
        if !errors.is_empty() {
            return Err(invalid(object, &errors));
        }
        let mut service = (**service).clone();
        let old = existing.and_then(Object::downcast::<Service>).and_then(|old| old.spec.as_ref());
        let mut after = self.clone();
        let result = service.spec.as_mut().map_or(Ok(()), |spec| match old {
            None => after.create(spec, random),
            Some(old) => after.update(spec, old, random),
        });
        *object = Object::from(service);
        result.map(|()| Some(after)).map_err(|error| invalid(object, &vec![error]))
    }

    /// `allocateCreate`.
    fn create(&mut self, spec: &mut ServiceSpec, random: &mut Random) -> Result<(), FieldError> {
        self.take_address(spec, random)?;
        if may_have_node_ports(spec) {
            self.init_node_ports(spec, random)?;
        }
        self.take_health_check_port(spec, random)
    }

    /// `allocateUpdate`.
    fn update(&mut self, spec: &mut ServiceSpec, old: &ServiceSpec, random: &mut Random) -> Result<(), FieldError> {
        if !needs_cluster_ip(old) {
            self.take_address(spec, random)?;
        } else if !needs_cluster_ip(spec) && !is_headless(old) {
            self.release_address(old);
        }
        if may_have_node_ports(spec) {
            self.update_node_ports(spec, old, random)?;
        } else {
            self.release_ports(&node_ports(old));
        }
        match (needs_health_check(old), needs_health_check(spec)) {
            (false, true) => self.take_health_check_port(spec, random)?,
            (true, false) => self.release_ports(&old.health_check_node_port.into_iter().collect()),
            _ => {}
        }
        Ok(())
    }

    /// `allocClusterIPs`.
    fn take_address(&mut self, spec: &mut ServiceSpec, random: &mut Random) -> Result<(), FieldError> {
        if !needs_cluster_ip(spec) {
            return Ok(());
        }
        spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_owned()]);
        spec.ip_family_policy.get_or_insert_with(|| "SingleStack".to_owned());
        match spec.cluster_ip.as_deref() {
            Some("None") => {}
            None | Some("") => spec.cluster_ip = Some(self.any_address(random)?),
            Some(address) => self.take(address)?,
        }
        spec.cluster_ips = spec.cluster_ip.clone().map(|address| vec![address]);
        Ok(())
    }

    fn any_address(&mut self, random: &mut Random) -> Result<String, FieldError> {
        for _ in 0..1000 {
            let offset = STATIC_BAND + u32::try_from(random.below(65_534 - u64::from(STATIC_BAND))).unwrap_or(0);
            if self.addresses.insert(offset) {
                return Ok(text(offset));
            }
        }
        Err(FieldError::internal(
            &Path::new("spec").child("clusterIPs"),
            "failed to allocate a serviceIP: range is full",
        ))
    }

    fn take(&mut self, address: &str) -> Result<(), FieldError> {
        let path = Path::new("spec").child("clusterIPs");
        let refused = |why: &str| Err(FieldError::invalid(&path, serde_json::json!([address]), why));
        let Some(offset) = offset(address) else {
            return refused(&format!(
                "failed to allocate IP {address}: the provided network does not match the current range"
            ));
        };
        if self.addresses.insert(offset) {
            return Ok(());
        }
        refused(&format!("failed to allocate IP {address}: provided IP is already allocated"))
    }

    /// `initNodePorts`: one port may be served over several protocols under one node port.
    fn init_node_ports(&mut self, spec: &mut ServiceSpec, random: &mut Random) -> Result<(), FieldError> {
        let allocates = needs_node_port(spec);
        let ports = spec.ports.as_deref_mut().unwrap_or(&mut []);
        for index in 0..ports.len() {
            let (number, wanted) = (ports[index].port, ports[index].node_port.unwrap_or(0));
            if wanted == 0 && !allocates {
                continue;
            }
            let before = ports[..index].iter().find(|port| port.port == number).and_then(|port| port.node_port);
            // Somebody behind may ask for a certain one.
            let asked = || ports[index..].iter().filter(|port| port.port == number).find_map(|port| port.node_port);
            let taken = match before.filter(|before| *before != 0) {
                Some(before) if wanted == 0 || wanted == before => before,
                Some(_) => self.take_port(wanted, &node_port_path(index))?,
                None => match asked().filter(|asked| *asked != 0) {
                    Some(asked) => self.take_port(asked, &node_port_path(index))?,
                    None => self.any_port(random),
                },
            };
            ports[index].node_port = Some(taken);
        }
        Ok(())
    }

    /// `updateNodePorts`: what the Service had it keeps, whatever port it stands at now.
    fn update_node_ports(
        &mut self,
        spec: &mut ServiceSpec,
        old: &ServiceSpec,
        random: &mut Random,
    ) -> Result<(), FieldError> {
        let allocates = needs_node_port(spec);
        let mut own = node_ports(old);
        for (index, port) in spec.ports.iter_mut().flatten().enumerate() {
            match port.node_port.unwrap_or(0) {
                0 if !allocates => {}
                0 => port.node_port = Some(self.any_port(random)),
                wanted if own.contains(&wanted) => {}
                wanted => {
                    own.insert(self.take_port(wanted, &node_port_path(index))?);
                }
            }
        }
        let kept = node_ports(spec);
        self.release_ports(&node_ports(old).difference(&kept).copied().collect());
        Ok(())
    }

    /// `allocHealthCheckNodePort`.
    fn take_health_check_port(&mut self, spec: &mut ServiceSpec, random: &mut Random) -> Result<(), FieldError> {
        if needs_health_check(spec) {
            let path = Path::new("spec").child("healthCheckNodePort");
            let taken = match spec.health_check_node_port.filter(|port| *port != 0) {
                Some(wanted) => self.take_port(wanted, &path)?,
                None => self.any_port(random),
            };
            spec.health_check_node_port = Some(taken);
        }
        Ok(())
    }

    fn take_port(&mut self, wanted: i32, path: &Path) -> Result<i32, FieldError> {
        let refused = |why| Err(FieldError::invalid(path, wanted, why));
        if !(NODE_PORT_FIRST..NODE_PORT_FIRST + NODE_PORT_COUNT).contains(&wanted) {
            return refused("provided port is not in the valid range. The range of valid ports is 30000-32767");
        }
        if self.ports.insert(wanted) { Ok(wanted) } else { refused("provided port is already allocated") }
    }

    fn any_port(&mut self, random: &mut Random) -> i32 {
        loop {
            let offset = random.below(u64::from((NODE_PORT_COUNT - STATIC_PORTS).unsigned_abs()));
            let port = NODE_PORT_FIRST + STATIC_PORTS + i32::try_from(offset).unwrap_or(0);
            if self.ports.insert(port) {
                return port;
            }
        }
    }

    fn release_address(&mut self, spec: &ServiceSpec) {
        if let Some(offset) = spec.cluster_ip.as_deref().and_then(offset) {
            self.addresses.remove(&offset);
        }
    }

    fn release_ports(&mut self, ports: &BTreeSet<i32>) {
        for port in ports {
            self.ports.remove(port);
        }
    }

    /// Gives back what a deleted Service had.
    pub(super) fn release(&mut self, object: &Object) {
        let Object::Service(service) = object else { return };
        let Some(spec) = &service.spec else { return };
        self.release_address(spec);
        self.release_ports(&node_ports(spec));
        self.release_ports(&spec.health_check_node_port.into_iter().collect());
    }
}

fn node_port_path(index: usize) -> Path {
    Path::new("spec").child("ports").index(index).child("nodePort")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn service(mut spec: Value) -> Object {
        if let Some(address) = spec.get("clusterIP").cloned() {
            spec["clusterIPs"] = json!([address]);
        }
        let service = json!({ "metadata": { "name": "a", "namespace": "b" }, "spec": spec });
        Object::from(serde_json::from_value::<Service>(service).expect("the Service is written out"))
    }

    fn spec(object: &Object) -> ServiceSpec {
        object.downcast::<Service>().and_then(|service| service.spec.clone()).unwrap_or_default()
    }

    /// Writes a Service, in place of another if there was one.
    fn write(allocator: &mut Allocator, new: Value, old: Option<&Object>) -> Object {
        let mut object = service(new);
        let after = allocator.allocate(&mut object, old, &mut Random::new(1)).expect("it is allowed");
        *allocator = after.expect("it is a Service");
        object
    }

    #[test]
    fn a_service_that_becomes_a_name_gives_everything_back() {
        let mut allocator = Allocator::default();
        let balanced = json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{ "port": 80 }] });
        let old = write(&mut allocator, balanced, None);
        assert_eq!((allocator.addresses.len(), allocator.ports.len()), (1, 2));
        let name = json!({ "type": "ExternalName", "externalName": "example.com" });
        let named = write(&mut allocator, name, Some(&old));
        assert_eq!((allocator.addresses.len(), allocator.ports.len()), (0, 0));
        assert_eq!(spec(&named).cluster_ip, None);
        let back = write(&mut allocator, json!({ "type": "ClusterIP", "ports": [{ "port": 80 }] }), Some(&named));
        assert!(spec(&back).cluster_ip.is_some() && allocator.addresses.len() == 1);
    }

    #[test]
    fn a_node_port_stays_with_its_service_and_goes_when_nobody_names_it() {
        let mut allocator = Allocator::default();
        let node_port = |port: u32, node_port: u32| json!({ "type": "NodePort", "clusterIP": "10.96.0.9", "ports": [{ "port": port, "nodePort": node_port }] });
        let old = write(&mut allocator, node_port(80, 30_080), None);
        let moved = write(&mut allocator, node_port(81, 30_080), Some(&old));
        assert_eq!(spec(&moved).ports.unwrap_or_default()[0].node_port, Some(30_080));
        let changed = write(&mut allocator, node_port(81, 30_081), Some(&moved));
        assert_eq!(allocator.ports, OrdSet::from_iter([30_081]));
        write(&mut allocator, json!({ "type": "ClusterIP", "clusterIP": "10.96.0.9" }), Some(&changed));
        assert!(allocator.ports.is_empty());
    }

    #[test]
    fn one_port_over_two_protocols_has_one_node_port() {
        let mut allocator = Allocator::default();
        let ports = json!([
            { "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP", "nodePort": 30_053 }, { "port": 80 },
        ]);
        let object = write(&mut allocator, json!({ "type": "NodePort", "ports": ports }), None);
        let taken: Vec<Option<i32>> = spec(&object).ports.iter().flatten().map(|port| port.node_port).collect();
        assert_eq!(taken[..2], [Some(30_053), Some(30_053)]);
        assert_eq!(allocator.ports.len(), 2);
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let mut allocator = Allocator::default();
        write(
            &mut allocator,
            json!({ "clusterIP": "10.96.0.9", "type": "NodePort", "ports": [{ "port": 1, "nodePort": 30_001 }] }),
            None,
        );
        let mut second = service(json!({ "type": "NodePort", "ports": [{ "port": 1, "nodePort": 30_001 }] }));
        let refused = allocator.allocate(&mut second, None, &mut Random::new(1)).expect_err("the port is taken");
        assert!(refused.to_string().contains("provided port is already allocated"), "{refused}");
        assert_eq!((allocator.addresses.len(), allocator.ports.len()), (1, 1));
    }

    #[test]
    fn a_load_balancer_may_do_without_node_ports_but_keeps_those_it_names() {
        let mut allocator = Allocator::default();
        let ports = json!([{ "port": 80 }, { "port": 81, "nodePort": 30_081 }]);
        let spec_of = json!({ "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": ports });
        let object = write(&mut allocator, spec_of, None);
        let taken: Vec<Option<i32>> = spec(&object).ports.iter().flatten().map(|port| port.node_port).collect();
        assert_eq!(taken, [None, Some(30_081)]);
    }
}
