//! Names: questions to the cluster's DNS server, and their answers.

use std::time::Duration;

use crate::machinery::shell::{NetworkAnswer, NetworkRequest, RecordKind};
use crate::node::network::{ClusterDns, DNS_ADDRESS, Found, Lookup, Party};

use super::super::cluster::Cluster;
use super::super::processes::{ProcessId, Program};
use super::internet;
use super::packet::{DNS_POD, Flow, Packet};

/// How long a program waits for a name: two attempts of five seconds.
const NAME_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the DNS server thinks.
const DNS_TIME: Duration = Duration::from_micros(100);
/// The resolver that machines have from their surroundings. It knows the world outside.
const NODE_RESOLVER: &str = "10.0.0.2";

impl Cluster {
    /// Asks the DNS server for an address.
    pub(super) fn ask(&mut self, flow: Flow, lookup: Lookup) {
        let latency = self.profile.latencies.packet();
        let is_there = self.processes.contains_key(&ProcessId::ClusterDns);
        if !is_there || lookup.server == NODE_RESOLVER {
            let server = format!("{}:53", lookup.server);
            let answer = match internet::find(&lookup.names, lookup.kind) {
                Some(records) => NetworkAnswer::Resolved { server, records },
                None => NetworkAnswer::NameUnknown { server },
            };
            return match flow.request {
                NetworkRequest::Resolve(_) => self.finish(flow, answer, latency),
                _ => self.arrive_resolved(flow, answer),
            };
        }
        let target = Party { pod: Some(&self.network.dns_pod), address: DNS_POD };
        let is_allowed =
            self.policies().is_none_or(|agent| agent.allows(&flow.source.party(), &target, Some(53), "UDP"));
        let is_reached = self.is_reachable(flow.source.node.as_ref());
        if lookup.server != DNS_ADDRESS || !is_allowed || !is_reached || !self.is_running(&ProcessId::ClusterDns) {
            let answer = match flow.request {
                NetworkRequest::Resolve(_) => NetworkAnswer::TimedOut { address: lookup.server },
                _ => NetworkAnswer::NameUnknown { server: format!("{}:53", lookup.server) },
            };
            return self.finish(flow, answer, NAME_TIMEOUT);
        }
        let background = flow.background;
        self.post(latency, Packet::Query(flow, lookup), background);
    }

    /// The DNS server answers. A program asks for one name after another; the time that takes is added up.
    pub(super) fn arrive_query(&mut self, flow: Flow, lookup: &Lookup) {
        let latency = self.profile.latencies.packet();
        let server = format!("{DNS_ADDRESS}:53");
        let Some(dns) = self.dns() else { return self.lose(flow) };
        let (mut asked, mut is_known, mut records) = (0, false, Vec::new());
        for name in &lookup.names {
            asked += 1;
            if let Found::Records(found) = dns.find(name, lookup.kind) {
                is_known = true;
                records = found;
            }
            if !records.is_empty() {
                break;
            }
        }
        // What it does not know it asks the resolver of its machine.
        if !is_known && let Some(found) = internet::find(&lookup.names, lookup.kind) {
            (is_known, records) = (true, found);
        }
        // The server's `loadbalance` shuffles addresses.
        let aliases = records.iter().take_while(|record| record.kind == RecordKind::Cname).count();
        let addresses = &mut records[aliases..];
        if addresses.len() > 1 {
            let by = self.network.random.below(addresses.len() as u64);
            addresses.rotate_left(usize::try_from(by).unwrap_or(0));
        }
        let answer = match is_known {
            true => NetworkAnswer::Resolved { server, records },
            false => NetworkAnswer::NameUnknown { server },
        };
        let takes = (latency + DNS_TIME) * (2 * asked).max(1) - latency;
        let background = flow.background;
        match flow.request {
            NetworkRequest::Resolve(_) => self.post(takes, Packet::Answer(flow, answer), background),
            _ => self.post(takes, Packet::Resolved(flow, answer), background),
        }
    }

    /// A request goes on, now that its address is known.
    pub(super) fn arrive_resolved(&mut self, flow: Flow, answer: NetworkAnswer) {
        let address = match &answer {
            NetworkAnswer::Resolved { records, .. } => {
                records.iter().find(|record| record.kind == RecordKind::A).and_then(|record| record.data.parse().ok())
            }
            _ => None,
        };
        match address {
            Some(address) => self.depart(flow, address),
            None => {
                self.finish(flow, NetworkAnswer::NameUnknown { server: format!("{DNS_ADDRESS}:53") }, Duration::ZERO)
            }
        }
    }

    fn dns(&self) -> Option<&ClusterDns> {
        match &self.processes.get(&ProcessId::ClusterDns)?.program {
            Program::ClusterDns(program) => Some(program),
            _ => None,
        }
    }
}
