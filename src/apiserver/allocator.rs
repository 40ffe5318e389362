//! Cluster IPs and node ports.
//!
//! `kubernetes/pkg/registry/core/service/{ipallocator,portallocator,storage}`. The server takes addresses at random
//! from the upper part of the range, which leaves the lower part to those who ask for one by name.

use crate::machinery::persistent::OrdSet;
use k8s_openapi::api::core::v1::Service;

use crate::api::core::service::{needs_health_check, validate_families};
use crate::api::{Kind, Object};
use crate::etcd::Etcd;
use crate::machinery::field::{FieldError, Path};
use crate::machinery::random::Random;
use crate::machinery::status::Status;

use super::write::invalid;

/// 10.96.0.0/16, kubeadm's default is /12; what matters is that addresses look familiar.
const SERVICE_NETWORK: [u8; 2] = [10, 96];
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

impl Allocator {
    /// Gives a Service what it needs, or refuses it.
    pub(super) fn allocate(
        &mut self,
        etcd: &Etcd,
        object: &mut Object,
        existing: Option<&Object>,
        random: &mut Random,
    ) -> Result<(), Status> {
        let Object::Service(service) = object else { return Ok(()) };
        let old = existing.and_then(Object::downcast::<Service>);
        let errors = validate_families(service);
        if !errors.is_empty() {
            return Err(invalid(object, &errors));
        }
        let mut service = (**service).clone();
        let result = self.allocate_service(etcd, &mut service, old.map(|old| &**old), random);
        *object = Object::from(service);
        result.map_err(|error| invalid(object, &vec![error]))
    }

    fn allocate_service(
        &mut self,
        etcd: &Etcd,
        service: &mut Service,
        old: Option<&Service>,
        random: &mut Random,
    ) -> Result<(), FieldError> {
        let Some(spec) = service.spec.as_mut() else { return Ok(()) };
        let service_type = spec.type_.as_deref().unwrap_or("ClusterIP").to_owned();
        if service_type == "ExternalName" {
            return Ok(());
        }
        let old_spec = old.and_then(|old| old.spec.as_ref());
        spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_owned()]);
        spec.ip_family_policy.get_or_insert_with(|| "SingleStack".to_owned());
        let old_address = old_spec.and_then(|old| old.cluster_ip.clone()).filter(|address| !address.is_empty());
        match spec.cluster_ip.as_deref() {
            Some("None") => {}
            None | Some("") => {
                let address = match old_address {
                    Some(address) => address,
                    None => self.take_any(etcd, random)?,
                };
                spec.cluster_ip = Some(address);
            }
            // A change of the address is not taken: validation refuses it.
            Some(_) if old_address.is_some() => {}
            Some(address) => self.take(address)?,
        }
        spec.cluster_ips = spec.cluster_ip.clone().map(|address| vec![address]);
        if matches!(service_type.as_str(), "NodePort" | "LoadBalancer")
            && spec.allocate_load_balancer_node_ports != Some(false)
        {
            for (index, port) in spec.ports.iter_mut().flatten().enumerate() {
                let path = Path::new("spec").child("ports").index(index).child("nodePort");
                let known = old_spec.and_then(|old| {
                    old.ports.iter().flatten().find(|old| old.port == port.port && old.protocol == port.protocol)
                });
                self.allocate_port(&mut port.node_port, known.and_then(|known| known.node_port), &path, random)?;
            }
        }
        if needs_health_check(spec) {
            let path = Path::new("spec").child("healthCheckNodePort");
            let known = old_spec.and_then(|old| old.health_check_node_port);
            self.allocate_port(&mut spec.health_check_node_port, known, &path, random)?;
        }
        Ok(())
    }

    fn take_any(&mut self, etcd: &Etcd, random: &mut Random) -> Result<String, FieldError> {
        debug_assert!(etcd.count(Kind::Service) < 60_000, "the range of addresses is never nearly full");
        for _ in 0..1000 {
            let offset = STATIC_BAND + u32::try_from(random.below(65_534 - u64::from(STATIC_BAND))).unwrap_or(0);
            if !self.addresses.contains(&offset) {
                self.addresses.insert(offset);
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
        if self.addresses.contains(&offset) {
            return refused(&format!("failed to allocate IP {address}: provided IP is already allocated"));
        }
        self.addresses.insert(offset);
        Ok(())
    }

    fn allocate_port(
        &mut self,
        port: &mut Option<i32>,
        known: Option<i32>,
        path: &Path,
        random: &mut Random,
    ) -> Result<(), FieldError> {
        match port.filter(|&port| port != 0) {
            Some(wanted) if Some(wanted) == known => {}
            Some(wanted) if !(NODE_PORT_FIRST..NODE_PORT_FIRST + NODE_PORT_COUNT).contains(&wanted) => {
                return Err(FieldError::invalid(
                    path,
                    wanted,
                    "provided port is not in the valid range. The range of valid ports is 30000-32767",
                ));
            }
            Some(wanted) if self.ports.contains(&wanted) => {
                return Err(FieldError::invalid(path, wanted, "provided port is already allocated"));
            }
            Some(wanted) => {
                self.ports.insert(wanted);
            }
            None => *port = Some(known.unwrap_or_else(|| self.any_port(random))),
        }
        Ok(())
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

    /// Gives back what a deleted Service had.
    pub(super) fn release(&mut self, object: &Object) {
        let Object::Service(service) = object else { return };
        let Some(spec) = &service.spec else { return };
        if let Some(offset) = spec.cluster_ip.as_deref().and_then(offset) {
            self.addresses.remove(&offset);
        }
        let ports = spec.ports.iter().flatten().filter_map(|port| port.node_port);
        for port in ports.chain(spec.health_check_node_port) {
            self.ports.remove(&port);
        }
    }
}
