//! The gateway controller: brings HTTP requests from outside to Services as the Gateway API says.
//!
//! Guarantees that each Gateway of a class of this controller has an address, that requests to it go where the HTTPRoutes
//! that are attached to its listeners send them (hosts, paths, headers, query, methods, weights, filters), and that
//! statuses tell what was accepted. Watches CustomResourceDefinitions, custom kinds, Namespaces, Services and
//! EndpointSlices. Follows the specification at gateway-api.sigs.k8s.io for the channel `standard`; where that leaves a
//! choice, what Envoy Gateway does.
//!
//! The kinds are not there before somebody installs them; then the controller makes its class.
//!
//! Not simulated: certificates, listeners for other protocols than HTTP and HTTPS, GRPCRoutes, retries, and the
//! pods of the gateway.

mod attach;
mod request;
mod status;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{CustomKind, Kind, Name, Object, ObjectKey, Subresource, Unstructured};
use crate::apiserver::{Body, Patch, Target, User, Verb, WriteOptions};
use crate::client::{Client, Identity, InformerEvent, Informers, Process, Token, WatchSpec};
use crate::etcd::Why;
use crate::machinery::persistent::OrdMap;
use crate::machinery::random::Random;
use crate::machinery::shell::HttpRequest;

pub use request::Sent;

/// The CustomResourceDefinitions of the Gateway API.
pub const GATEWAY_API: &str = include_str!("../../../../assets/gateway-api.yaml");
/// The class that the controller makes.
pub const GATEWAY_CLASS: &str = "kubetab";
/// The controller of that class.
pub const GATEWAY_CONTROLLER: &str = "kubetab.dev/gateway-controller";
/// The group of the Gateway API.
const GROUP: &str = "gateway.networking.k8s.io";
/// Gateways have addresses from here on.
const NETWORK: [u8; 3] = [198, 18, 254];
/// How long the controller waits for more events before it works out what follows from them.
const SETTLE_TIME: Duration = Duration::from_millis(50);
/// The only timer.
const SYNC: Token = 0;

type Objects = OrdMap<ObjectKey, Arc<Unstructured>>;

/// The objects of the Gateway API that the controller knows.
#[derive(Clone, Debug, Default)]
struct Known {
    classes: Objects,
    gateways: Objects,
    routes: Objects,
    grants: Objects,
}

impl Known {
    fn of_kind(&mut self, kind: &str) -> Option<&mut Objects> {
        match kind {
            "GatewayClass" => Some(&mut self.classes),
            "Gateway" => Some(&mut self.gateways),
            "HTTPRoute" => Some(&mut self.routes),
            "ReferenceGrant" => Some(&mut self.grants),
            _ => None,
        }
    }

    /// Whether a Gateway is of one of the controller's classes.
    fn is_ours(&self, gateway: &Unstructured) -> bool {
        let class = text(&spec(gateway)["gatewayClassName"]);
        self.classes.get(&ObjectKey::new("", class)).is_some_and(|class| is_our_class(class))
    }
}

fn is_our_class(class: &Unstructured) -> bool {
    text(&spec(class)["controllerName"]) == GATEWAY_CONTROLLER
}

fn spec(object: &Unstructured) -> &Value {
    object.fields.get("spec").unwrap_or(&Value::Null)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn namespace(object: &Unstructured) -> &str {
    object.metadata.namespace.as_deref().unwrap_or("")
}

fn name(object: &Unstructured) -> &str {
    object.metadata.name.as_deref().unwrap_or("")
}

/// The controller.
#[derive(Clone, Debug, Default)]
pub struct GatewayController {
    informers: Informers,
    known: Known,
    /// The addresses of Gateways.
    addresses: OrdMap<ObjectKey, u8>,
    is_due: bool,
}

impl GatewayController {
    /// What it knows of what it watches.
    #[must_use]
    pub const fn informers(&self) -> &Informers {
        &self.informers
    }

    /// Who the controller is to the API server.
    #[must_use]
    pub fn identity() -> Identity {
        let groups = ["system:serviceaccounts", "system:serviceaccounts:gateway-system", "system:authenticated"];
        Identity {
            component: Name::from("gateway-controller"),
            host: Name::from(""),
            user: User::component("system:serviceaccount:gateway-system:gateway-controller", &groups),
        }
    }

    /// Whether a Gateway has an address.
    #[must_use]
    pub fn serves(&self, address: Ipv4Addr) -> bool {
        self.gateway_at(address).is_some()
    }

    fn gateway_at(&self, address: Ipv4Addr) -> Option<&Arc<Unstructured>> {
        let [network @ .., number] = address.octets();
        let (key, _) = self.addresses.iter().find(|(_, known)| **known == number).filter(|_| network == NETWORK)?;
        self.known.gateways.get(key)
    }

    /// Where a request to a Gateway's address goes on.
    #[must_use]
    pub fn route(&self, address: Ipv4Addr, request: &HttpRequest, random: &mut Random) -> Sent {
        let Some(gateway) = self.gateway_at(address) else { return Sent::Refused };
        request::send(&self.known, &self.informers, gateway, request, random)
    }

    /// Gives Gateways addresses, the lowest that are free, and takes back those of Gateways that are gone.
    fn assign_addresses(&mut self) {
        let ours: Vec<(ObjectKey, Option<u8>)> = self
            .known
            .gateways
            .iter()
            .filter(|(_, gateway)| self.known.is_ours(gateway))
            .map(|(key, gateway)| (key.clone(), told_number(gateway)))
            .collect();
        self.addresses.retain(|key, _| ours.iter().any(|(known, _)| known == key));
        for (key, told) in ours {
            if self.addresses.contains_key(&key) {
                continue;
            }
            let is_free = |number: &u8| self.addresses.values().all(|taken| taken != number);
            // After a start a Gateway keeps the address that it was told.
            if let Some(number) = told.filter(is_free).or_else(|| (1..=254).find(is_free)) {
                self.addresses.insert(key, number);
            }
        }
    }

    fn plan(&mut self, client: &mut Client<'_>) {
        let is_used = !self.known.classes.is_empty() || !self.known.routes.is_empty();
        if is_used && !self.is_due {
            self.is_due = true;
            client.wake_at(client.now + SETTLE_TIME, SYNC);
        }
    }

    /// Makes the controller's class once there is such a kind.
    fn make_class(&self, client: &mut Client<'_>) {
        let api_version = format!("{GROUP}/v1");
        let Some(kind) = client.kind_of(&api_version, "GatewayClass") else { return };
        if !self.known.classes.is_empty() {
            return;
        }
        let class = json!({
            "apiVersion": api_version,
            "kind": "GatewayClass",
            "metadata": { "name": GATEWAY_CLASS },
            "spec": { "controllerName": GATEWAY_CONTROLLER },
        });
        client.because(Why::plain("The Gateway API is installed: its controller makes its class."));
        // It may be there already.
        let verb = Verb::Create { body: Body::Json(class), options: WriteOptions::default() };
        let _ = client.request(Target::collection(kind, ""), verb);
    }

    fn sync(&mut self, client: &mut Client<'_>) {
        self.assign_addresses();
        let now = client.now;
        let mut told = Vec::new();
        for class in self.known.classes.values().filter(|class| is_our_class(class)) {
            told.push((Arc::clone(class), status::of_class(class, now)));
        }
        for (key, gateway) in self.known.gateways.iter().filter(|(_, gateway)| self.known.is_ours(gateway)) {
            let address = self.addresses.get(key).map(|number| address(*number).to_string());
            told.push((Arc::clone(gateway), status::of_gateway(&self.known, &self.informers, gateway, address, now)));
        }
        for route in self.known.routes.values() {
            if let Some(status) = status::of_route(&self.known, &self.informers, route, now) {
                told.push((Arc::clone(route), status));
            }
        }
        for (object, status) in told {
            let known = object.fields.get("status").unwrap_or(&Value::Null);
            if status::is_told(known, &status) {
                continue;
            }
            let (kind, name) = (object.kind, name(&object));
            client.because(Why::new(
                "The gateway controller says of {} {} what became of it.",
                [kind.info().kind.to_owned(), name.to_owned()],
            ));
            let target = Target::object(kind, &ObjectKey::new(namespace(&object), name));
            let verb =
                Verb::Patch { patch: Patch::Merge(json!({ "status": status })), options: WriteOptions::default() };
            // Whoever is gone or changed meanwhile is looked at again with the next event.
            let _ = client.request(target.below(Subresource::Status), verb);
        }
    }
}

fn address(number: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, number)
}

/// The address that a Gateway's status tells, if it is one of these.
fn told_number(gateway: &Unstructured) -> Option<u8> {
    let told = gateway.fields.get("status")?["addresses"][0]["value"].as_str()?.parse::<Ipv4Addr>().ok()?;
    let [network @ .., number] = told.octets();
    (network == NETWORK).then_some(number)
}

impl Process for GatewayController {
    fn watches(&self) -> Vec<WatchSpec> {
        let kinds = [Kind::CustomResourceDefinition, Kind::Namespace, Kind::Service, Kind::EndpointSlice];
        kinds.into_iter().chain([Kind::Custom(CustomKind::ANY)]).map(WatchSpec::all).collect()
    }

    fn start(&mut self, _client: &mut Client<'_>) {
        *self = Self::default();
    }

    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        match event.kind {
            Kind::Custom(_) => {
                let info = event.kind.info();
                let Some(objects) = self.known.of_kind(info.kind).filter(|_| info.group == GROUP) else { return };
                match &event.after {
                    Some(Object::Unstructured(object)) => objects.insert(event.key.clone(), Arc::clone(object)),
                    _ => objects.remove(&event.key),
                };
                self.plan(client);
            }
            Kind::CustomResourceDefinition => {
                self.informers.apply(event);
                self.make_class(client);
            }
            Kind::EndpointSlice => self.informers.apply(event),
            _ => {
                self.informers.apply(event);
                // Whether what routes refer to is there.
                if event.before.is_none() || event.after.is_none() || event.kind == Kind::Namespace {
                    self.plan(client);
                }
            }
        }
    }

    fn wake(&mut self, _token: Token, client: &mut Client<'_>) {
        self.is_due = false;
        self.sync(client);
    }
}
