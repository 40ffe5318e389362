//! The ingress controller as requests meet it.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::machinery::shell::{HttpRequest, NetworkAnswer, NetworkRequest};
use crate::node::network::Routed;

use super::super::cluster::Cluster;
use super::super::processes::{ProcessId, Program};
use super::packet::{Flow, INGRESS_POD, Proxy, Source, nginx_page};

/// How many endpoints it tries: `proxy-next-upstream-tries`.
const UPSTREAM_TRIES: usize = 3;

impl Cluster {
    /// A request reaches the ingress controller, which sends it on to an endpoint.
    pub(super) fn arrive_ingress(&mut self, flow: Flow) {
        let NetworkRequest::Http(request) = &flow.request else {
            return self.finish(flow, NetworkAnswer::Connected { address: String::new() }, Duration::ZERO);
        };
        let request = HttpRequest { client: flow.source.address.to_string(), ..request.clone() };
        let routed = match self.processes.get(&ProcessId::IngressController).map(|slot| &slot.program) {
            Some(Program::IngressController(program)) => program.route(&request, &mut self.network.random),
            _ => Routed::Status(502),
        };
        let page = match routed {
            Routed::Endpoints(endpoints, onward, patience) => {
                let flow = Flow { patience, proxy: Proxy::Nginx, ..flow };
                return self.send_on(flow, endpoints, *onward);
            }
            Routed::Status(status) => nginx_page(status),
            Routed::Redirect(status, location) => {
                let mut page = nginx_page(status);
                page.headers.push(("Location".to_owned(), location));
                page
            }
        };
        self.finish(flow, NetworkAnswer::Http(page), Duration::ZERO);
    }

    /// A request goes on to one of some endpoints, from which the others are tried when it does not answer.
    pub(super) fn send_on(&mut self, mut flow: Flow, mut endpoints: Vec<(Ipv4Addr, u16)>, request: HttpRequest) {
        let from = self.network.random.below(endpoints.len() as u64);
        endpoints.rotate_left(usize::try_from(from).unwrap_or(0));
        endpoints.truncate(UPSTREAM_TRIES);
        endpoints.reverse();
        let host = request.header("host").unwrap_or(&request.host).to_owned();
        let mut onward = HttpRequest { host, secure: false, ..request };
        if flow.proxy == Proxy::Envoy {
            onward.headers.push(("X-Forwarded-For".to_owned(), flow.source.address.to_string()));
        }
        flow.request = NetworkRequest::Http(onward);
        flow.forwards += 1;
        flow.source = Source { node: None, pod: Some(self.network.ingress_pod.clone()), address: INGRESS_POD };
        let first = endpoints.pop();
        flow.others = endpoints;
        match first {
            Some((address, port)) => self.travel(flow, address, port),
            None => self.lose(flow),
        }
    }
}
