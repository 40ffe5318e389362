//! What is written of a choice of devices: `AllocationResult`.

use serde_json::{Map, Value, json};

use crate::api::resource::claim::{items, spec, text};
use crate::machinery::sha256;

use super::allocator::{Chosen, Plan, Search};
use super::capacity;

/// What each claim is given.
pub(super) fn results(search: &Search<'_>) -> Result<Vec<Value>, String> {
    search.plans.iter().map(|plan| of_claim(search, plan)).collect()
}

fn of_claim(search: &Search<'_>, plan: &Plan<'_>) -> Result<Value, String> {
    let results: Vec<Value> = plan.chosen.iter().map(|chosen| of_device(search, plan, chosen)).collect();
    let mut devices = Map::new();
    devices.insert("results".to_owned(), results.into());
    let configuration = configuration(plan);
    if !configuration.is_empty() {
        devices.insert("config".to_owned(), configuration.into());
    }
    let mut allocation = Map::new();
    allocation.insert("devices".to_owned(), devices.into());
    if let Some(selector) = node_selector(search, plan)? {
        allocation.insert("nodeSelector".to_owned(), selector);
    }
    Ok(Value::Object(allocation))
}

fn of_device(search: &Search<'_>, plan: &Plan<'_>, chosen: &Chosen<'_>) -> Value {
    let candidate = &search.candidates[chosen.candidate];
    let pool = &search.pools[candidate.pool];
    let mut result = Map::new();
    let mut set = |field: &str, value: Value| drop(result.insert(field.to_owned(), value));
    set("request", chosen.full_name.as_str().into());
    set("driver", pool.driver.into());
    set("pool", pool.name.into());
    set("device", text(candidate.device, "name").into());
    if chosen.is_admin {
        set("adminAccess", true.into());
    }
    if let Some(consumed) = &chosen.consumed {
        set("shareID", share_id(plan, &chosen.full_name, &candidate.id).into());
        if !consumed.is_empty() {
            set("consumedCapacity", capacity::to_json(consumed));
        }
    }
    for (field, from) in [
        ("tolerations", chosen.asked),
        ("bindingConditions", candidate.device),
        ("bindingFailureConditions", candidate.device),
    ] {
        if !items(from, field).is_empty() {
            set(field, from[field].clone());
        }
    }
    Value::Object(result)
}

/// The name of one of the shares of a device: a claim's uid, the request and the device make it, where upstream draws one.
fn share_id(plan: &Plan<'_>, request: &str, device: &str) -> String {
    let uid = plan.claim.metadata.uid.as_deref().unwrap_or("");
    let hash = sha256::hex(format!("{uid}/{request}/{device}").as_bytes());
    format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[12..15], &hash[15..18], &hash[18..30])
}

/// The settings of the classes, each once, and those of the claim that are about what was chosen.
fn configuration(plan: &Plan<'_>) -> Vec<Value> {
    let chosen = || plan.wanted.iter().zip(&plan.alternatives).map(|(all, chosen)| &all[*chosen]);
    let mut all: Vec<(&str, Vec<&str>, &Value)> = Vec::new();
    let mut classes: Vec<(&str, std::ops::Range<usize>)> = Vec::new();
    for wanted in chosen() {
        let name = wanted.class.metadata.name.as_deref().unwrap_or("");
        if let Some((_, range)) = classes.iter().find(|(known, _)| *known == name) {
            all[range.clone()].iter_mut().for_each(|(_, requests, _)| requests.push(&wanted.full_name));
            continue;
        }
        let start = all.len();
        let of_class = items(spec(wanted.class), "config");
        all.extend(of_class.iter().map(|given| ("FromClass", vec![wanted.full_name.as_str()], given)));
        classes.push((name, start..all.len()));
    }
    for given in items(&spec(plan.claim)["devices"], "config") {
        let requests: Vec<&str> = items(given, "requests").iter().filter_map(Value::as_str).collect();
        if requests.is_empty() {
            all.push(("FromClaim", requests, given));
            continue;
        }
        for wanted in chosen() {
            if requests.contains(&wanted.request) || requests.contains(&wanted.full_name.as_str()) {
                all.push(("FromClaim", requests.clone(), given));
            }
        }
    }
    let shown = all.into_iter().map(|(source, requests, given)| {
        let mut map = Map::from_iter([("source".to_owned(), source.into())]);
        // None means all.
        if !requests.is_empty() && requests.len() != plan.wanted.len() {
            map.insert("requests".to_owned(), requests.into());
        }
        map.extend(given.get("opaque").map(|opaque| ("opaque".to_owned(), opaque.clone())));
        Value::Object(map)
    });
    shown.collect()
}

/// Where the claim can be used: `createNodeSelector`.
fn node_selector(search: &Search<'_>, plan: &Plan<'_>) -> Result<Option<Value>, String> {
    let mut term = Map::new();
    for chosen in &plan.chosen {
        let candidate = &search.candidates[chosen.candidate];
        let is_by_device = candidate.slice["perDeviceNodeSelection"] == true;
        let place = if is_by_device { candidate.device } else { candidate.slice };
        if place["nodeName"].is_string() || candidate.device["bindsToNode"] == true {
            let field = json!({ "key": "metadata.name", "operator": "In", "values": [&*search.node.name] });
            return Ok(Some(json!({ "nodeSelectorTerms": [{ "matchFields": [field] }] })));
        }
        let terms = items(&place["nodeSelector"], "nodeSelectorTerms");
        if terms.len() > 1 {
            let name = plan.claim.metadata.name.as_deref().unwrap_or("");
            let why = format!("unsupported ResourceSlice.NodeSelector with {} terms", terms.len());
            return Err(format!("create NodeSelector for claim {name}: {why}"));
        }
        for field in ["matchFields", "matchExpressions"] {
            for requirement in terms.iter().flat_map(|term| items(term, field)) {
                let known = term.entry(field).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(known) = known
                    && !known.contains(requirement)
                {
                    known.push(requirement.clone());
                }
            }
        }
    }
    Ok((!term.is_empty()).then(|| json!({ "nodeSelectorTerms": [term] })))
}
