//! What GatewayClasses, Gateways and HTTPRoutes are told of themselves.

use serde_json::{Value, json};

use crate::api::Unstructured;
use crate::client::Informers;
use crate::machinery::json;
use crate::machinery::time::Time;

use super::attach::{attach, attach_any, backend, is_supported, means_gateway, takes_http_routes};
use super::{GATEWAY_CONTROLLER, GROUP, Known, items, spec, text};

/// Makes conditions; what was told before keeps its time.
struct Teller<'a> {
    known: &'a Value,
    generation: Option<i64>,
    now: Time,
}

impl Teller<'_> {
    fn condition(&self, kind: &str, holds: bool, reason: &str, message: &str) -> Value {
        let status = if holds { "True" } else { "False" };
        let same = items(self.known).find(|known| text(&known["type"]) == kind && text(&known["status"]) == status);
        let since = same.map(|known| known["lastTransitionTime"].clone());
        json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": self.generation,
            "lastTransitionTime": since.unwrap_or_else(|| json!(self.now.to_meta())),
        })
    }
}

fn status(object: &Unstructured) -> &Value {
    object.fields.get("status").unwrap_or(&Value::Null)
}

/// Whether an object is told all that a status says: lists as they are, of maps the fields that it has.
pub(super) fn is_told(known: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(fields) => fields.iter().all(|(name, value)| is_told(&known[name.as_str()], value)),
        wanted => known == wanted,
    }
}

/// `Accepted` of a class.
pub(super) fn of_class(class: &Unstructured, now: Time) -> Value {
    let teller = Teller { known: &status(class)["conditions"], generation: class.metadata.generation, now };
    json!({ "conditions": [teller.condition("Accepted", true, "Accepted", "Valid GatewayClass")] })
}

/// Why a listener cannot be with another one of its Gateway.
fn conflict(listener: &Value, listeners: &Value) -> Option<&'static str> {
    let others =
        || items(listeners).filter(|other| other["name"] != listener["name"] && other["port"] == listener["port"]);
    if others().any(|other| other["protocol"] != listener["protocol"]) {
        return Some("ProtocolConflict");
    }
    let hostname = |one: &Value| text(&one["hostname"]).to_ascii_lowercase();
    others().any(|other| hostname(other) == hostname(listener)).then_some("HostnameConflict")
}

fn attached_routes(known: &Known, informers: &Informers, gateway: &Unstructured, listener: &Value) -> usize {
    let is_attached = |route: &Unstructured| {
        items(&spec(route)["parentRefs"]).any(|reference| {
            means_gateway(reference, route, gateway) && attach(reference, listener, route, gateway, informers).is_ok()
        })
    };
    known.routes.values().filter(|route| is_attached(route)).count()
}

fn of_listener(
    known: &Known,
    informers: &Informers,
    gateway: &Unstructured,
    listener: &Value,
    now: Time,
) -> (Value, bool) {
    let before = items(&status(gateway)["listeners"]).find(|told| told["name"] == listener["name"]);
    let conditions = before.map_or(&Value::Null, |before| &before["conditions"]);
    let teller = Teller { known: conditions, generation: gateway.metadata.generation, now };
    let conflict = conflict(listener, &spec(gateway)["listeners"]);
    let is_valid = is_supported(listener) && conflict.is_none();
    let accepted = if is_supported(listener) {
        teller.condition("Accepted", true, "Accepted", "Listener has been successfully translated")
    } else {
        let message = format!("Protocol {} is unsupported, must be HTTP or HTTPS.", text(&listener["protocol"]));
        teller.condition("Accepted", false, "UnsupportedProtocol", &message)
    };
    let programmed = if is_valid {
        teller.condition(
            "Programmed",
            true,
            "Programmed",
            "Sending translated listener configuration to the data plane",
        )
    } else {
        teller.condition("Programmed", false, "Invalid", "Listener is invalid, see other Conditions for details.")
    };
    let resolved = if takes_http_routes(listener) {
        teller.condition("ResolvedRefs", true, "ResolvedRefs", "Listener references have been resolved")
    } else {
        teller.condition("ResolvedRefs", false, "InvalidRouteKinds", "Only HTTPRoute is supported")
    };
    let mut told = vec![accepted, programmed, resolved];
    if let Some(reason) = conflict {
        let message = "All listeners for a given port must use a compatible protocol and a distinct hostname";
        told.push(teller.condition("Conflicted", true, reason, message));
    }
    let kinds = if takes_http_routes(listener) { json!([{ "group": GROUP, "kind": "HTTPRoute" }]) } else { json!([]) };
    let listener = json!({
        "name": listener["name"],
        "supportedKinds": kinds,
        "attachedRoutes": attached_routes(known, informers, gateway, listener),
        "conditions": told,
    });
    (listener, is_valid)
}

/// What a Gateway is told: conditions, address, and of each listener how many routes it takes.
pub(super) fn of_gateway(
    known: &Known,
    informers: &Informers,
    gateway: &Unstructured,
    address: Option<String>,
    now: Time,
) -> Value {
    let teller = Teller { known: &status(gateway)["conditions"], generation: gateway.metadata.generation, now };
    let listeners: Vec<(Value, bool)> = items(&spec(gateway)["listeners"])
        .map(|listener| of_listener(known, informers, gateway, listener, now))
        .collect();
    let any_valid = listeners.iter().any(|(_, is_valid)| *is_valid);
    let all_valid = listeners.iter().all(|(_, is_valid)| *is_valid);
    let accepted = if all_valid {
        teller.condition("Accepted", true, "Accepted", "The Gateway has been scheduled by the gateway controller")
    } else {
        teller.condition("Accepted", any_valid, "ListenersNotValid", "One or more listeners are not valid")
    };
    let programmed = match &address {
        Some(_) if any_valid => teller.condition(
            "Programmed",
            true,
            "Programmed",
            "Address assigned to the Gateway, 1/1 replicas available",
        ),
        Some(_) => teller.condition("Programmed", false, "Invalid", "No listener is valid"),
        None => teller.condition("Programmed", false, "AddressNotAssigned", "No addresses have been assigned"),
    };
    let addresses: Vec<Value> =
        address.into_iter().map(|address| json!({ "type": "IPAddress", "value": address })).collect();
    let listeners: Vec<Value> = listeners.into_iter().map(|(listener, _)| listener).collect();
    json!({ "conditions": [accepted, programmed], "addresses": addresses, "listeners": listeners })
}

/// What a route is told by each Gateway of this controller that it refers to; `None` when there is nothing to tell.
pub(super) fn of_route(known: &Known, informers: &Informers, route: &Unstructured, now: Time) -> Option<Value> {
    let before = &status(route)["parents"];
    let is_ours = |parent: &&Value| text(&parent["controllerName"]) == GATEWAY_CONTROLLER;
    let mut parents: Vec<Value> = items(before).filter(|parent| !is_ours(parent)).cloned().collect();
    let others = parents.len();
    for reference in items(&spec(route)["parentRefs"]) {
        let mut gateways = known.gateways.values();
        let gateway = gateways.find(|gateway| means_gateway(reference, route, gateway) && known.is_ours(gateway));
        let Some(gateway) = gateway else { continue };
        let told = items(before).find(|parent| is_ours(parent) && parent["parentRef"] == *reference);
        let conditions = told.map_or(&Value::Null, |told| &told["conditions"]);
        let teller = Teller { known: conditions, generation: route.metadata.generation, now };
        let accepted = match attach_any(reference, route, gateway, informers) {
            Ok(()) => teller.condition("Accepted", true, "Accepted", "Route is accepted"),
            Err(reason) => teller.condition("Accepted", false, reason, refusal(reason)),
        };
        parents.push(json!({
            "parentRef": reference,
            "controllerName": GATEWAY_CONTROLLER,
            "conditions": [accepted, resolved(known, informers, route, &teller)],
        }));
    }
    let nothing_to_tell = parents.len() == others && items(before).count() == others;
    (!nothing_to_tell).then(|| json!({ "parents": json::to_value(&parents) }))
}

fn refusal(reason: &str) -> &'static str {
    match reason {
        "NotAllowedByListeners" => "No listeners included by this parent ref allowed this attachment.",
        "NoMatchingListenerHostname" => {
            "There were no hostname intersections between the HTTPRoute and this parent ref's Listener(s)."
        }
        _ => "No listeners match this parent ref",
    }
}

/// `ResolvedRefs` of a route: whether all of its backends are there and may be used.
fn resolved(known: &Known, informers: &Informers, route: &Unstructured, teller: &Teller<'_>) -> Value {
    let references = items(&spec(route)["rules"]).flat_map(|rule| items(&rule["backendRefs"]));
    let failed =
        references.filter_map(|reference| Some((reference, backend(known, informers, route, reference).err()?)));
    let Some((reference, reason)) = failed.into_iter().next() else {
        let message = "Resolved all the Object references for the Route";
        return teller.condition("ResolvedRefs", true, "ResolvedRefs", message);
    };
    let (name, kind) = (text(&reference["name"]), reference["kind"].as_str().unwrap_or("Service"));
    let of = reference["namespace"].as_str().unwrap_or(super::namespace(route));
    let message = match reason {
        "BackendNotFound" => format!("Service {of}/{name} not found"),
        "RefNotPermitted" => format!("Backend ref to Service {of}/{name} not permitted by any ReferenceGrant"),
        _ => format!("Group {:?} and kind {kind:?} of backend {name} are not supported", text(&reference["group"])),
    };
    teller.condition("ResolvedRefs", false, reason, &message)
}
