//! The API server as pods reach it over the network: `https://kubernetes.default`.
//!
//! Who a request is from is told by its token, or nobody. What is asked goes the way of every request. Not simulated here:
//! watches, discovery beyond its first page, tables, and TLS, which is neither needed nor checked.

use std::time::Duration;

use serde_json::{Value, json};

use crate::apiserver::{Call, Caller, User};
use crate::machinery::go_json;
use crate::machinery::order::Order as _;
use crate::machinery::shell::{HttpAnswer, HttpRequest, NetworkAnswer, NetworkRequest};
use crate::machinery::status::Status;

use super::super::bootstrap::{API_SERVER, API_SERVER_PORT};
use super::super::cluster::Cluster;
use super::packet::Flow;

/// How long the API server thinks.
const API_TIME: Duration = Duration::from_millis(2);

impl Cluster {
    /// A request reaches the API server.
    pub(super) fn arrive_at_api_server(&mut self, flow: Flow) {
        let answer = match &flow.request {
            NetworkRequest::Http(request) => {
                let request = request.clone();
                NetworkAnswer::Http(self.answer_as_api_server(&request))
            }
            _ => NetworkAnswer::Connected { address: String::new() },
        };
        self.finish(flow, answer, API_TIME);
    }

    /// The API server answers a request that reached it over the network.
    fn answer_as_api_server(&mut self, request: &HttpRequest) -> HttpAnswer {
        if !request.secure {
            return HttpAnswer::text(400, "Client sent an HTTP request to an HTTPS server.\n");
        }
        match self.ask_api_server(request) {
            Ok(Page::Text(text)) => HttpAnswer::text(200, text),
            Ok(Page::Value(code, value)) => document(code, &value),
            Err(status) => document(status.code(), &status.to_value()),
        }
    }

    fn ask_api_server(&mut self, request: &HttpRequest) -> Result<Page, Status> {
        let token = request.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
        let user = match token {
            Some(token) => self.api.authenticate(self.now, token.trim())?,
            None => User::new("system:anonymous", &["system:unauthenticated"]),
        };
        let address = request.path.split('?').next().unwrap_or_default();
        let page = match address {
            "/healthz" | "/livez" | "/readyz" => Some(Page::Text("ok")),
            "/version" => Some(Page::Value(200, version())),
            "/api" => Some(Page::Value(200, core_versions())),
            _ => None,
        };
        if let Some(page) = page {
            self.api.authorize_path(&user, address)?;
            return Ok(page);
        }
        let call = Call {
            method: request.method.clone(),
            path: request.path.clone(),
            content_type: request.header("content-type").unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
            client: request.header("user-agent").and_then(|agent| agent.split('/').next()).unwrap_or("").to_owned(),
            user: Some(Caller::of(&user)),
            ..Call::default()
        };
        let answer = self.request(call.request(self.api())?)?;
        Ok(Page::Value(if answer.created { 201 } else { 200 }, answer.response.wire()))
    }
}

/// What the server has to say.
enum Page {
    Text(&'static str),
    Value(u16, Value),
}

/// The order in which the server writes the fields of a document; all others follow in the order of their names.
const FIELDS: [&str; 12] = [
    "kind",
    "apiVersion",
    "metadata",
    "versions",
    "serverAddressByClientCIDRs",
    "spec",
    "items",
    "status",
    "message",
    "reason",
    "details",
    "code",
];

/// A document as a person's client gets it: over several lines.
fn document(code: u16, value: &Value) -> HttpAnswer {
    let mut fields: Vec<(&String, &Value)> = value.as_object().into_iter().flatten().collect();
    let place = |name: &str| FIELDS.iter().position(|known| *known == name).unwrap_or(FIELDS.len());
    fields.order_by_key(|(name, _)| place(name));
    let lines = fields.iter().map(|(name, value)| {
        let text = go_json::marshal_indent(value, "  ").replace('\n', "\n  ");
        format!("  {}: {text}", go_json::marshal(&Value::from(name.as_str())))
    });
    let text = lines.collect::<Vec<String>>().join(",\n");
    let mut answer = HttpAnswer::text(code, format!("{{\n{text}\n}}\n"));
    answer.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    answer
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": "v1.36.2",
        "gitTreeState": "clean",
        "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

fn core_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            { "clientCIDR": "0.0.0.0/0", "serverAddress": format!("{API_SERVER}:{API_SERVER_PORT}") },
        ],
    })
}
