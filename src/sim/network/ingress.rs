//! The ingress controller as requests meet it.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::machinery::shell::{HttpAnswer, HttpRequest, NetworkAnswer, NetworkRequest};
use crate::node::network::Routed;

use super::super::cluster::Cluster;
use super::super::processes::{ProcessId, Program};
use super::packet::{Flow, INGRESS_POD, Source};

/// How many endpoints it tries: `proxy-next-upstream-tries`.
const UPSTREAM_TRIES: usize = 3;

impl Cluster {
    /// A request reaches the ingress controller, which sends it on to an endpoint.
    pub(super) fn arrive_ingress(&mut self, flow: Flow) {
        let NetworkRequest::Http(request) = &flow.request else {
            return self.finish(flow, NetworkAnswer::Connected { address: String::new() }, Duration::ZERO);
        };
        let routed = match self.processes.get(&ProcessId::IngressController).map(|slot| &slot.program) {
            Some(Program::IngressController(program)) => program.route(request, &mut self.network.random),
            _ => Routed::Status(502),
        };
        let (endpoints, path) = match routed {
            Routed::Endpoints(endpoints, path) => (endpoints, path),
            Routed::Status(status) => {
                return self.finish(flow, NetworkAnswer::Http(nginx_page(status)), Duration::ZERO);
            }
            Routed::Redirect(location) => {
                let mut page = nginx_page(308);
                page.headers.push(("Location".to_owned(), location));
                return self.finish(flow, NetworkAnswer::Http(page), Duration::ZERO);
            }
        };
        let mut onward = HttpRequest { path, ..request.clone() };
        onward.headers.push(("X-Real-IP".to_owned(), flow.source.address.to_string()));
        self.send_on(flow, endpoints, onward);
    }

    /// A request goes on to one of some endpoints, from which the others are tried when it does not answer.
    pub(super) fn send_on(&mut self, mut flow: Flow, mut endpoints: Vec<(Ipv4Addr, u16)>, request: HttpRequest) {
        let from = self.network.random.below(endpoints.len() as u64);
        endpoints.rotate_left(usize::try_from(from).unwrap_or(0));
        endpoints.truncate(UPSTREAM_TRIES);
        endpoints.reverse();
        let host = request.header("host").unwrap_or(&request.host).to_owned();
        let mut onward = HttpRequest { host, secure: false, ..request };
        onward.headers.push(("X-Forwarded-For".to_owned(), flow.source.address.to_string()));
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

/// nginx's own page for a status.
fn nginx_page(status: u16) -> HttpAnswer {
    let reason = match status {
        308 => "Permanent Redirect",
        503 => "Service Temporarily Unavailable",
        _ => HttpAnswer::text(status, "").reason(),
    };
    HttpAnswer::text(
        status,
        format!(
            "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1>\
             </center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        ),
    )
}
