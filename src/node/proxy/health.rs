//! What kube-proxy answers whoever asks how it is.
//!
//! Follows `kubernetes/pkg/proxy/healthcheck`: `service_health.go` and `proxy_health.go`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::api::{ObjectKey, Resource};
use crate::machinery::shell::HttpAnswer;
use crate::machinery::time::Time;

use super::rules::is_ready;
use super::{KubeProxy, SERVICE_NAME, is_ours, label};

/// `--healthz-bind-address`.
const HEALTHZ_PORT: u16 = 10_256;

impl KubeProxy {
    /// What is answered at a port of the node, if this proxy answers there: at a Service's health check port, how many
    /// endpoints that are ready the node has; at its own, that it works.
    #[must_use]
    pub fn health(&self, port: u16, now: Time) -> Option<HttpAnswer> {
        if port == HEALTHZ_PORT {
            let (synced, now) = (self.synced_at.unwrap_or(now).to_rfc3339(), now.to_rfc3339());
            let text = format!("{{\"lastUpdated\": {synced:?},\"currentTime\": {now:?}, \"nodeEligible\": true}}");
            return Some(json(200, text));
        }
        let wanted = Some(i32::from(port));
        let has_port = |service: &&Service| {
            let spec = service.spec.as_ref();
            is_ours(&service.metadata) && spec.is_some_and(|spec| spec.health_check_node_port == wanted)
        };
        let service = self.informers.list::<Service>().map(|service| &**service).find(has_port)?;
        let count = self.ready_here(&service.key());
        let text = format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": {:?},\n\t\t\"name\": {:?}\n\t}},\n\t\"localEndpoints\": {count},\n\t\
             \"serviceProxyHealthy\": true\n}}",
            service.namespace(),
            service.name()
        );
        let mut answer = json(if count > 0 { 200 } else { 503 }, text);
        answer.headers.push(("X-Load-Balancing-Endpoint-Weight".to_owned(), count.to_string()));
        Some(answer)
    }

    /// How many endpoints of a Service are ready on the node: `LocalReadyEndpoints`.
    #[must_use]
    pub fn ready_here(&self, service: &ObjectKey) -> usize {
        let slices = self.informers.list_in::<EndpointSlice>(&service.namespace);
        let of_service = slices.filter(|slice| label(&slice.metadata, SERVICE_NAME) == Some(&*service.name));
        let endpoints = of_service.flat_map(|slice| slice.endpoints.iter().flatten());
        let here =
            endpoints.filter(|endpoint| is_ready(endpoint) && endpoint.node_name.as_deref() == Some(&*self.node));
        here.filter_map(|endpoint| endpoint.addresses.first()).collect::<BTreeSet<_>>().len()
    }
}

fn json(status: u16, text: String) -> HttpAnswer {
    let mut answer = HttpAnswer::text(status, text);
    answer.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    answer.headers.push(("X-Content-Type-Options".to_owned(), "nosniff".to_owned()));
    answer
}
