//! Gateways as requests meet them.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::machinery::shell::{HttpAnswer, NetworkAnswer, NetworkRequest};
use crate::node::network::Sent;

use super::super::cluster::Cluster;
use super::super::processes::{ProcessId, Program};
use super::packet::{Flow, Proxy, Requester};

impl Cluster {
    /// Whether an address is a Gateway's.
    pub(super) fn is_gateway(&self, address: Ipv4Addr) -> bool {
        match self.processes.get(&ProcessId::GatewayController).map(|slot| &slot.program) {
            Some(Program::GatewayController(program)) => program.serves(address),
            _ => false,
        }
    }

    /// A request reaches a Gateway, which sends it on to an endpoint.
    pub(super) fn arrive_at_gateway(&mut self, flow: Flow, address: Ipv4Addr) {
        let NetworkRequest::Http(request) = &flow.request else {
            return self.finish(flow, NetworkAnswer::Connected { address: String::new() }, Duration::ZERO);
        };
        let sent = match self.processes.get(&ProcessId::GatewayController).map(|slot| &slot.program) {
            Some(Program::GatewayController(program)) => program.route(address, request, &mut self.network.random),
            _ => Sent::Refused,
        };
        let answer = match sent {
            Sent::Endpoints(endpoints, onward) => {
                for mirror in onward.mirrors {
                    let copy = Flow { proxy: Proxy::Envoy, requester: Requester::Nobody, ..flow.clone() };
                    self.send_on(copy, mirror, onward.request.clone());
                }
                let (changes, patience) = (onward.changes, onward.timeout);
                let flow = Flow { changes, patience, proxy: Proxy::Envoy, ..flow };
                return self.send_on(flow, endpoints, onward.request);
            }
            Sent::Refused => NetworkAnswer::Refused { address: String::new() },
            // What Envoy says when nothing that it could send to is ready.
            Sent::Status(503) => NetworkAnswer::Http(HttpAnswer::text(503, "no healthy upstream")),
            Sent::Status(status) => NetworkAnswer::Http(HttpAnswer::text(status, "")),
            Sent::Redirect(status, location) => {
                let mut answer = HttpAnswer::text(status, "");
                answer.headers.push(("location".to_owned(), location));
                NetworkAnswer::Http(answer)
            }
        };
        self.finish(flow, answer, Duration::ZERO);
    }
}
