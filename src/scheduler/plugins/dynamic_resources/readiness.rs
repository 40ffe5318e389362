//! Devices that have to be made ready before a pod that uses them is bound: their binding conditions.
//!
//! Follows `isClaimReadyForBinding` and `isClaimTimeout` of `dynamicresources.go`.

use std::time::Duration;

use serde_json::Value;

use crate::api::Unstructured;
use crate::api::resource::claim::{self, items, status, text};
use crate::machinery::time::Time;

fn results(claim: &Unstructured) -> impl Iterator<Item = &Value> {
    let devices = claim::allocation(claim).map(|allocation| &allocation["devices"]);
    let results = devices.into_iter().flat_map(|devices| items(devices, "results"));
    results.filter(|result| !items(result, "bindingConditions").is_empty())
}

/// Whether all devices of a claim are ready.
///
/// # Errors
/// One of them never will be.
pub fn is_ready(claim: &Unstructured) -> Result<bool, String> {
    for result in results(claim) {
        let is_it = |device: &&Value| ["driver", "pool", "device"].iter().all(|field| device[*field] == result[*field]);
        let Some(device) = items(status(claim), "devices").iter().find(is_it) else { return Ok(false) };
        let holds = |wanted: &Value| {
            let mut conditions = items(device, "conditions").iter();
            conditions.find(|condition| condition["type"] == *wanted && condition["status"] == "True")
        };
        if let Some(failed) = items(result, "bindingFailureConditions").iter().find_map(holds) {
            let name = claim.metadata.name.as_deref().unwrap_or("");
            let (reason, message) = (text(failed, "reason"), text(failed, "message"));
            return Err(format!("claim {name} binding failed: reason={reason}, message={message:?}"));
        }
        if !items(result, "bindingConditions").iter().all(|wanted| holds(wanted).is_some()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a claim's devices had their time to become ready.
#[must_use]
pub fn is_late(claim: &Unstructured, now: Time, timeout: Duration) -> bool {
    let since = claim::allocation(claim).map_or("", |allocation| text(allocation, "allocationTimestamp"));
    let since = Time::parse(since);
    results(claim).next().is_some() && since.is_some_and(|since| now > since + timeout)
}

/// Whether a claim's devices could not be made ready, or not in time: it is to be given others.
#[must_use]
pub fn is_lost(claim: &Unstructured, now: Option<Time>, timeout: Duration) -> bool {
    match is_ready(claim) {
        Ok(is_ready) => !is_ready && now.is_some_and(|now| is_late(claim, now, timeout)),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::api::Kind;

    const TIMEOUT: Duration = Duration::from_secs(600);

    fn claim(conditions: Value) -> Unstructured {
        let device = json!({ "driver": "d", "pool": "p", "device": "x", "conditions": conditions });
        let result = json!({
            "request": "r", "driver": "d", "pool": "p", "device": "x",
            "bindingConditions": ["Attached"], "bindingFailureConditions": ["Broken"],
        });
        let allocation = json!({ "devices": { "results": [result] }, "allocationTimestamp": "2026-01-01T00:00:00Z" });
        let fields = json!({ "status": { "allocation": allocation, "devices": [device] } });
        let metadata = ObjectMeta { name: Some("c".to_owned()), ..ObjectMeta::default() };
        Unstructured { kind: Kind::ResourceClaim, metadata, fields: fields.as_object().cloned().unwrap_or_default() }
    }

    #[test]
    fn conditions_decide() {
        let waiting = claim(json!([]));
        assert_eq!(is_ready(&waiting), Ok(false));
        assert!(!is_late(&waiting, Time::DEFAULT_START + TIMEOUT, TIMEOUT));
        assert!(is_lost(&waiting, Some(Time::DEFAULT_START + TIMEOUT * 2), TIMEOUT));
        assert_eq!(is_ready(&claim(json!([{ "type": "Attached", "status": "True" }]))), Ok(true));
        let broken = json!([{ "type": "Broken", "status": "True", "reason": "Why", "message": "no" }]);
        assert_eq!(is_ready(&claim(broken)), Err("claim c binding failed: reason=Why, message=\"no\"".to_owned()));
    }
}
