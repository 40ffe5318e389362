//! `pods/NAME/proxy`, `services/NAME/proxy` and `nodes/NAME/proxy`: a request that the API server passes on to a server in
//! a pod, or to a kubelet.
//!
//! `pkg/registry/core/pod/strategy.go` (`ResourceLocation`) and `pkg/registry/core/service/storage/storage.go`. Of a
//! Service the first ready endpoint is asked, where upstream takes one by chance. A kubelet tells whether it is well and
//! which pods it has (`pkg/kubelet/server/server.go`), and nothing else.

use serde_json::{Value, json};

use crate::api::{Kind, ObjectKey, Subresource};
use crate::apiserver::{Target, address};
use crate::machinery::shell::NetworkAnswer;
use crate::machinery::status::{Reason, Status};
use crate::node::runtime::StreamInput;
use crate::session::{PodRequest, Session};
use crate::sim::{Cluster, PodAnswer};

use super::message::{Content, HttpRequest, Reply};

/// Where a request is passed on to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// A Pod, a Service or a Node.
    kind: Kind,
    /// Empty for a Node.
    namespace: String,
    name: String,
    /// A number or a name; empty for the first that there is.
    port: String,
    /// What is asked of the server there, with its query.
    path: String,
}

/// What an address passes on to, if it does.
pub(super) fn passage(path: &str) -> Option<Passage> {
    let (address, query) = path.split_once('?').map_or((path, None), |(address, query)| (address, Some(query)));
    let rest = address.strip_prefix("/api/v1/")?;
    let (kind, namespace, rest) = match rest.strip_prefix("nodes/") {
        Some(rest) => (Kind::Node, String::new(), rest),
        None => {
            let mut parts = rest.strip_prefix("namespaces/")?.splitn(3, '/');
            let namespace = address::decode(parts.next()?)?;
            let kind = match parts.next()? {
                "pods" => Kind::Pod,
                "services" => Kind::Service,
                _ => return None,
            };
            (kind, namespace, parts.next()?)
        }
    };
    let mut parts = rest.splitn(3, '/');
    let name = address::decode(parts.next()?)?;
    if parts.next()? != "proxy" {
        return None;
    }
    let mut path = format!("/{}", parts.next().unwrap_or(""));
    if let Some(query) = query {
        path = format!("{path}?{query}");
    }
    // `scheme:name:port`, where scheme and port may be missing.
    let words: Vec<&str> = name.split(':').collect();
    let (name, port) = match words.as_slice() {
        [name] => (*name, ""),
        [name, port] | [_, name, port] => (*name, *port),
        _ => return None,
    };
    Some(Passage { kind, namespace, name: name.to_owned(), port: port.to_owned(), path })
}

impl Passage {
    /// What a client needs the right for.
    pub(super) fn target(&self) -> Target {
        let key = ObjectKey::new(self.namespace.as_str(), self.name.as_str());
        Target::object(self.kind, &key).below(Subresource::Proxy)
    }

    /// What a client wants of the connection: `PodProxyOptions` and its like.
    pub(super) fn options(&self) -> Value {
        json!({ "path": self.path.split('?').next() })
    }

    /// Passes a request on, and gives the answer back.
    ///
    /// # Errors
    /// The API server's refusal: no such object or port, or nobody answers there.
    pub(super) fn answer(&self, session: &mut Session, request: &HttpRequest) -> Result<Reply, Status> {
        let (pod, port) = match self.kind {
            Kind::Node => return self.kubelet(session.cluster()),
            Kind::Service => self.endpoint(session.cluster())?,
            _ => (ObjectKey::new(self.namespace.as_str(), self.name.as_str()), self.pod_port(session.cluster())?),
        };
        let headers =
            [("Accept", &request.accept), ("Content-Type", &request.content_type), ("User-Agent", &request.user_agent)];
        let passed = PodRequest {
            namespace: pod.namespace.to_string(),
            pod: pod.name.to_string(),
            port,
            method: request.method.clone(),
            path: self.path.clone(),
            headers: headers
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
            body: (!request.body.is_empty()).then(|| StreamInput::of_bytes(&request.body)),
        };
        match session.pod_request(&passed)? {
            PodAnswer::Answered(NetworkAnswer::Http(answer)) => {
                let header = |wanted: &str| {
                    answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
                };
                let content_type = header("content-type").cloned().unwrap_or_else(|| "text/plain".to_owned());
                let content = Content::Whole(answer.body.into());
                Ok(Reply {
                    code: answer.status,
                    content_type: content_type.into(),
                    warnings: Vec::new(),
                    headers: Vec::new(),
                    content,
                })
            }
            PodAnswer::Answered(NetworkAnswer::Refused { address }) => {
                Err(unreachable(&address, port, "connection refused"))
            }
            _ => Err(unreachable(&self.name, port, "connection reset by peer")),
        }
    }

    /// What the kubelet of a node says.
    fn kubelet(&self, cluster: &Cluster) -> Result<Reply, Status> {
        self.object(cluster, Kind::Node)?;
        match self.path.split('?').next().unwrap_or("") {
            "/healthz" | "/healthz/ping" => Ok(Reply::text(200, "ok")),
            "/pods" | "/pods/" | "/runningpods/" => {
                let pods = cluster.api().etcd().range(Kind::Pod, None).map(|(_, pod)| pod.to_value());
                let own: Vec<Value> = pods.filter(|pod| pod["spec"]["nodeName"] == *self.name).collect();
                let list = json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": own });
                Ok(Reply { content_type: "application/json".into(), ..Reply::text(200, list.to_string()) })
            }
            _ => Ok(Reply::text(404, "404 page not found\n")),
        }
    }

    fn object(&self, cluster: &Cluster, kind: Kind) -> Result<Value, Status> {
        let key = ObjectKey::new(self.namespace.as_str(), self.name.as_str());
        let found = cluster.api().etcd().get(kind, &key);
        let info = kind.info();
        found.map(crate::api::Object::to_value).ok_or_else(|| Status::not_found(info.group, info.plural, &self.name))
    }

    /// The port of a pod: the one named, or the first that it declares.
    fn pod_port(&self, cluster: &Cluster) -> Result<u16, Status> {
        let pod = self.object(cluster, Kind::Pod)?;
        if !self.port.is_empty() {
            let unknown = || Status::bad_request(format!("invalid pod request \"{}:{}\"", self.name, self.port));
            return self.port.parse().map_err(|_| unknown());
        }
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
        Ok(ports.find_map(|port| number(&port["containerPort"])).unwrap_or(80))
    }

    /// The first ready endpoint of a Service, and the port there.
    fn endpoint(&self, cluster: &Cluster) -> Result<(ObjectKey, u16), Status> {
        let service = self.object(cluster, Kind::Service)?;
        let ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
        let is_meant = |port: &&Value| {
            self.port.is_empty() || port["name"] == *self.port || number(&port["port"]) == self.port.parse().ok()
        };
        let unavailable = |message: String| Status::new(Reason::ServiceUnavailable, message);
        let port = ports
            .iter()
            .find(is_meant)
            .ok_or_else(|| unavailable(format!("no service port {:?} found for service {:?}", self.port, self.name)))?;
        let port_name = port["name"].as_str().unwrap_or("");
        let slices = cluster.api().etcd().range(Kind::EndpointSlice, Some(&self.namespace));
        for (_, slice) in slices {
            let slice = slice.to_value();
            if slice["metadata"]["labels"]["kubernetes.io/service-name"] != *self.name {
                continue;
            }
            let mut ports = slice["ports"].as_array().into_iter().flatten();
            let found = ports.find(|port| port["name"].as_str().unwrap_or("") == port_name);
            let mut endpoints = slice["endpoints"].as_array().into_iter().flatten();
            let ready = endpoints
                .find(|endpoint| endpoint["conditions"]["ready"] != false && endpoint["targetRef"]["kind"] == "Pod");
            if let (Some(port), Some(endpoint)) = (found.and_then(|port| number(&port["port"])), ready) {
                let pod = endpoint["targetRef"]["name"].as_str().unwrap_or("");
                return Ok((ObjectKey::new(self.namespace.as_str(), pod), port));
            }
        }
        Err(unavailable(format!("no endpoints available for service {:?}", self.name)))
    }
}

fn number(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|number| u16::try_from(number).ok())
}

fn unreachable(address: &str, port: u16, why: &str) -> Status {
    let message = format!("error trying to reach service: dial tcp {address}:{port}: connect: {why}");
    Status::new(Reason::ServiceUnavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_where_to_pass_on() {
        let passage_of = |path: &str| passage(path).map(|it| (it.kind, it.name, it.port, it.path));
        let text = str::to_owned;
        let pod = passage_of("/api/v1/namespaces/a/pods/p:81/proxy/deep/er?q=1");
        assert_eq!(pod, Some((Kind::Pod, text("p"), text("81"), text("/deep/er?q=1"))));
        let service = passage_of("/api/v1/namespaces/a/services/http:s:web/proxy");
        assert_eq!(service, Some((Kind::Service, text("s"), text("web"), text("/"))));
        assert_eq!(passage_of("/api/v1/namespaces/a/services/s/status"), None);
        assert_eq!(passage_of("/api/v1/namespaces/a/nodes/n/proxy/"), None);
        let node = passage_of("/api/v1/nodes/n:10250/proxy/healthz");
        assert_eq!(node, Some((Kind::Node, text("n"), text("10250"), text("/healthz"))));
    }
}
