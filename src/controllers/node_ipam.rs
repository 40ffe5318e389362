//! Gives each node a range of addresses for its pods.
//!
//! Guarantees that every node has a `podCIDR` of its own while there are any left, and that the range of a node that is
//! gone is given to another one. Watches Nodes. Follows `kubernetes/pkg/controller/nodeipam/ipam/range_allocator.go` and
//! `cidrset`, which `--allocate-node-cidrs` starts.
//!
//! Not simulated: ranges of IPv6, and a cloud that hands out ranges itself.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Node, ObjectReference};
use serde_json::json;

use crate::api::{Kind, Name, Resource};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::persistent::{OrdMap, OrdSet};
use crate::machinery::status::Status;

/// How many bits of an address are a node's: `--node-cidr-mask-size`.
const NODE_MASK_SIZE: u32 = 24;
/// How many nodes are given ranges at once: `cidrUpdateWorkers`.
const WORKERS: usize = 30;
/// How the controller calls itself in events.
const RECORDER: &str = "cidrAllocator";

/// The ranges that the nodes of a cluster get theirs from: `cidrset.CidrSet`.
#[derive(Clone, Debug)]
struct CidrSet {
    base: u32,
    count: u32,
    used: OrdSet<u32>,
    /// Where the search goes on, so that a range is not used again at once.
    next: u32,
}

impl CidrSet {
    /// The ranges of a block such as 10.244.0.0/16.
    fn new(base: Ipv4Addr, mask: u32) -> Self {
        assert!(mask <= NODE_MASK_SIZE, "a node's range is no larger than the cluster's");
        Self { base: u32::from(base), count: 1 << (NODE_MASK_SIZE - mask), used: OrdSet::new(), next: 0 }
    }

    /// `AllocateNext`.
    fn allocate(&mut self) -> Option<u32> {
        let candidates = (0..self.count).map(|offset| (self.next + offset) % self.count);
        let free = candidates.into_iter().find(|index| !self.used.contains(index))?;
        self.used.insert(free);
        self.next = free + 1;
        Some(free)
    }

    fn text(&self, index: u32) -> String {
        format!("{}/{NODE_MASK_SIZE}", Ipv4Addr::from(self.base + (index << (32 - NODE_MASK_SIZE))))
    }

    /// The ranges that a block shares addresses with; none when it is somebody else's.
    fn indices(&self, cidr: &str) -> std::ops::Range<u32> {
        let parsed = cidr.split_once('/').and_then(|(address, bits)| {
            Some((u32::from(address.parse::<Ipv4Addr>().ok()?), bits.parse::<u32>().ok().filter(|bits| *bits <= 32)?))
        });
        let Some((address, bits)) = parsed else { return 0..0 };
        let width = 32 - NODE_MASK_SIZE;
        let last = address | u32::MAX.checked_shr(bits).unwrap_or(0);
        let end = self.base + ((self.count - 1) << width | ((1 << width) - 1));
        if last < self.base || address > end {
            return 0..0;
        }
        (address.max(self.base) - self.base) >> width..((last.min(end) - self.base) >> width) + 1
    }

    fn occupy(&mut self, cidr: &str) {
        for index in self.indices(cidr) {
            self.used.insert(index);
        }
    }

    fn release(&mut self, cidr: &str) {
        for index in self.indices(cidr) {
            self.used.remove(&index);
        }
    }
}

/// The node IPAM controller.
#[derive(Clone, Debug)]
pub struct NodeIpamController {
    ranges: CidrSet,
    control_plane: &'static str,
    /// What is reserved for nodes until they are seen to have it.
    reserved: OrdMap<Name, String>,
}

impl NodeIpamController {
    /// A controller that hands out the ranges of a block (`--cluster-cidr`), but for one that the control plane's own
    /// machine has.
    #[must_use]
    pub fn new(base: Ipv4Addr, mask: u32, control_plane: &'static str) -> Self {
        let mut controller = Self { ranges: CidrSet::new(base, mask), control_plane, reserved: OrdMap::new() };
        controller.reset();
        controller
    }
}

fn cidrs(node: &Node) -> &[String] {
    node.spec.as_ref().and_then(|spec| spec.pod_cidrs.as_deref()).unwrap_or_default()
}

/// `RecordNodeStatusChange`.
fn tell(node: &Node, status: &str, client: &mut Client<'_>) {
    let about = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(node.name().to_owned()),
        uid: Some(node.uid().to_owned()),
        ..ObjectReference::default()
    };
    let message = format!("Node {} status is now: {status}", node.name());
    let identity = crate::client::Identity { component: Name::from(RECORDER), ..client.identity().clone() };
    client.act_as(&identity, None).event_about(&about, EventType::Normal, status, &message);
}

impl Controller for NodeIpamController {
    fn name(&self) -> &'static str {
        "node-ipam-controller"
    }

    fn account(&self) -> &'static str {
        "node-controller"
    }

    fn workers(&self) -> usize {
        WORKERS
    }

    /// A node that found no range tries for ever.
    fn waits_for_ever(&self) -> bool {
        true
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Node)]
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        match (event.before::<Node>(), event.after::<Node>()) {
            (Some(gone), None) => {
                for cidr in cidrs(gone) {
                    self.ranges.release(cidr);
                }
                if let Some(cidr) = self.reserved.remove(&event.key.name) {
                    self.ranges.release(&cidr);
                }
            }
            (_, Some(node)) if cidrs(node).is_empty() => queue.add(event.key.clone()),
            (_, Some(node)) => {
                if let Some(reserved) = self.reserved.remove(&event.key.name).filter(|cidr| !cidrs(node).contains(cidr))
                {
                    self.ranges.release(&reserved);
                }
                for cidr in cidrs(node) {
                    self.ranges.occupy(cidr);
                }
            }
            (None, None) => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(node) = listers.get::<Node>(key).filter(|node| cidrs(node).is_empty()) else {
            return Ok(Requeue::Forget);
        };
        client.reserve(1)?;
        let cidr = match self.reserved.get(&key.name) {
            Some(cidr) => cidr.clone(),
            None => {
                let Some(index) = self.ranges.allocate() else {
                    tell(node, "CIDRNotAvailable", client);
                    let why = "failed to allocate cidr from cluster cidr at idx:0: CIDR allocation failed; there are \
                               no remaining CIDRs left to allocate in the accepted range";
                    return Err(Status::internal(why).into());
                };
                let cidr = self.ranges.text(index);
                self.reserved.insert(key.name.clone(), cidr.clone());
                cidr
            }
        };
        client.because(Why::new("Pods on node {} get addresses of {}.", [node.name().to_owned(), cidr.clone()]));
        match client.patch::<Node>(key, json!({ "spec": { "podCIDR": cidr, "podCIDRs": [cidr] } })) {
            Err(ClientError::Api(status)) if !status.is_not_found() => {
                tell(node, "CIDRAssignmentFailed", client);
                if let Some(cidr) = self.reserved.remove(&key.name) {
                    self.ranges.release(&cidr);
                }
                Err(status.into())
            }
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }

    fn reset(&mut self) {
        (self.ranges.used, self.ranges.next, self.reserved) = (OrdSet::new(), 0, OrdMap::new());
        self.ranges.occupy(self.control_plane);
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> CidrSet {
        CidrSet::new(Ipv4Addr::new(10, 244, 0, 0), 22)
    }

    #[test]
    fn ranges_are_handed_out_in_turn_and_again_last() {
        let mut set = set();
        let mut next = || set.allocate().map(|index| set.text(index));
        assert_eq!(next().as_deref(), Some("10.244.0.0/24"));
        assert_eq!(next().as_deref(), Some("10.244.1.0/24"));
        set.release("10.244.0.0/24");
        let mut next = || set.allocate().map(|index| set.text(index));
        assert_eq!(next().as_deref(), Some("10.244.2.0/24"));
        assert_eq!(next().as_deref(), Some("10.244.3.0/24"));
        assert_eq!(next().as_deref(), Some("10.244.0.0/24"));
        assert_eq!(next(), None);
    }

    #[test]
    fn blocks_of_others_take_what_they_share() {
        let table = [
            ("10.244.1.0/24", 1..2),
            ("10.244.1.128/25", 1..2),
            ("10.244.2.0/23", 2..4),
            ("10.0.0.0/8", 0..4),
            ("10.245.0.0/24", 0..0),
            ("10.243.255.0/24", 0..0),
            ("0.0.0.0/0", 0..4),
            ("fd00::/64", 0..0),
            ("nonsense", 0..0),
        ];
        for (cidr, expected) in table {
            assert_eq!(set().indices(cidr), expected, "{cidr}");
        }
    }
}
