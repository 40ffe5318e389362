//! How much of a device a request takes that others may share: `consumable_capacity.go`, and the counters that the parts of
//! one device share.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::resource::claim::items;
use crate::machinery::quantity::Quantity;

/// Amounts by their names.
pub(super) type Amounts = BTreeMap<String, Quantity>;

fn quantity(value: &Value) -> Option<Quantity> {
    (!value.is_null()).then(|| Quantity::parse_json(value).ok())?
}

/// Adds amounts to others.
pub(super) fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        total.entry(name.clone()).and_modify(|total| total.add(*amount)).or_insert(*amount);
    }
}

/// The amounts of a map as JSON has it.
pub(super) fn amounts(map: &Value, amount: impl Fn(&Value) -> &Value) -> Amounts {
    let given = map.as_object().into_iter().flatten();
    given.filter_map(|(name, value)| Some((name.clone(), quantity(amount(value))?))).collect()
}

/// Amounts as JSON.
pub(super) fn to_json(amounts: &Amounts) -> Value {
    let map: Map<String, Value> =
        amounts.iter().map(|(name, amount)| (name.clone(), amount.to_string().into())).collect();
    Value::Object(map)
}

/// What a request for `asked` takes of a capacity: `calculateConsumedCapacity`.
fn consumed(asked: Option<Quantity>, capacity: &Value) -> Option<Quantity> {
    let policy = &capacity["requestPolicy"];
    let Some(asked) = asked else { return quantity(&policy["default"]).or_else(|| quantity(&capacity["value"])) };
    let range = &policy["validRange"];
    if let Some(min) = quantity(&range["min"]) {
        if asked < min {
            return Some(min);
        }
        let Some(step) = quantity(&range["step"]).map(Quantity::value).filter(|step| *step > 0) else {
            return Some(asked);
        };
        let above = asked.value().saturating_sub(min.value());
        let steps = above / step + i64::from(above % step != 0);
        let mut rounded = min;
        rounded.add(Quantity::new(steps.saturating_mul(step), asked.format()));
        return Some(rounded.with_format(asked.format()));
    }
    let valid = items(policy, "validValues").iter().filter_map(quantity).find(|valid| *valid >= asked);
    Some(valid.unwrap_or(asked))
}

/// `violatesPolicy`.
fn violates(amount: Quantity, policy: &Value) -> bool {
    if policy.is_null() || quantity(&policy["default"]) == Some(amount) {
        return false;
    }
    let (range, valid) = (&policy["validRange"], items(policy, "validValues"));
    let is_above = quantity(&range["max"]).is_some_and(|max| amount > max);
    let is_between = || {
        let (min, step) = (quantity(&range["min"])?.value(), quantity(&range["step"])?.value());
        Some(step > 0 && amount.value().saturating_sub(min) % step != 0)
    };
    let is_other = !valid.is_empty() && !valid.iter().any(|valid| quantity(valid) == Some(amount));
    is_above || is_between().unwrap_or(false) || is_other
}

/// What a request takes of a device of which `taken` is taken already; nothing when the device has not enough, or not of
/// what is asked for: `CmpRequestOverCapacity`.
pub(super) fn take(device: &Value, request: &Value, taken: &Amounts) -> Option<Amounts> {
    let capacities = &device["capacity"];
    let asked = &request["capacity"]["requests"];
    let mut names = asked.as_object().into_iter().flatten().map(|(name, _)| name);
    if !names.all(|name| capacities.get(name).is_some()) {
        return None;
    }
    let mut amounts = Amounts::new();
    for (name, capacity) in capacities.as_object().into_iter().flatten() {
        let amount = consumed(quantity(&asked[name]), capacity)?;
        if violates(amount, &capacity["requestPolicy"]) {
            return None;
        }
        let mut total = amount;
        if let Some(taken) = taken.get(name) {
            total.add(*taken);
        }
        if total > quantity(&capacity["value"])? {
            return None;
        }
        amounts.insert(name.clone(), amount);
    }
    Some(amounts)
}

/// The counters that a device takes, by set and name.
pub(super) fn counters(device: &Value) -> Amounts {
    let mut all = Amounts::new();
    for consumption in items(device, "consumesCounters") {
        let set = consumption["counterSet"].as_str().unwrap_or("");
        let of_set = amounts(&consumption["counters"], |counter| &counter["value"]);
        all.extend(of_set.into_iter().map(|(name, amount)| (format!("{set}/{name}"), amount)));
    }
    all
}

/// The counters that a pool's slices share out, by set and name.
pub(super) fn shared_counters(slices: &[&Value]) -> Amounts {
    let mut all = Amounts::new();
    for set in slices.iter().flat_map(|slice| items(slice, "sharedCounters")) {
        let name = set["name"].as_str().unwrap_or("");
        let of_set = amounts(&set["counters"], |counter| &counter["value"]);
        all.extend(of_set.into_iter().map(|(counter, amount)| (format!("{name}/{counter}"), amount)));
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_are_rounded_and_checked() {
        let range = json!({ "default": "1Gi", "validRange": { "min": "1Gi", "max": "6Gi", "step": "2Gi" } });
        let values = json!({ "default": "1Gi", "validValues": ["1Gi", "4Gi"] });
        let table = [
            (json!(null), json!("3Gi"), "0", Some("3Gi")),
            (json!(null), json!(null), "0", Some("8Gi")),
            (json!(null), json!("5Gi"), "4Gi", None),
            (range.clone(), json!("500Mi"), "0", Some("1Gi")),
            (range.clone(), json!("2Gi"), "0", Some("3Gi")),
            (range.clone(), json!(null), "0", Some("1Gi")),
            (range, json!("6Gi"), "0", None),
            (values.clone(), json!("2Gi"), "0", Some("4Gi")),
            (values, json!("5Gi"), "0", None),
        ];
        for (policy, asked, taken, expected) in table {
            let device = json!({ "capacity": { "memory": { "value": "8Gi", "requestPolicy": policy } } });
            let request =
                if asked.is_null() { json!({}) } else { json!({ "capacity": { "requests": { "memory": asked } } }) };
            let taken = Amounts::from([("memory".to_owned(), Quantity::parse(taken).expect("an amount"))]);
            let got = take(&device, &request, &taken).map(|amounts| amounts["memory"].to_string());
            assert_eq!(got.as_deref(), expected, "{policy} {asked}");
        }
        let unknown = json!({ "capacity": { "requests": { "cores": "1" } } });
        assert_eq!(take(&json!({ "capacity": {} }), &unknown, &Amounts::new()), None);
    }
}
