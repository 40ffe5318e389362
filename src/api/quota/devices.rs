//! What claims for devices cost: their number, and devices by class.
//!
//! Follows `kubernetes/pkg/quota/v1/evaluator/core/resource_claims.go`.

use std::collections::BTreeMap;

use super::whole;
use crate::api::core::pod::resources::Amounts;
use crate::api::resource::claim::{items, requests, text};
use crate::api::unstructured::Unstructured;

/// What the name of a resource ends in that counts the devices of a class: `ResourceClaimsPerClass`.
const PER_CLASS: &str = ".deviceclass.resource.k8s.io/devices";
/// A request for all devices may get so many: `AllocationResultsMaxSize`.
const ALL: usize = 32;

pub(super) fn tracks(resource: &str) -> bool {
    resource == "count/resourceclaims.resource.k8s.io" || resource.ends_with(PER_CLASS)
}

/// Of the alternatives of a request the one counts that takes most.
pub(super) fn usage(claim: &Unstructured) -> Amounts {
    let mut by_class: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests(claim) {
        let alternatives = items(request, "firstAvailable");
        let one = std::slice::from_ref(&request["exactly"]);
        let mut most: BTreeMap<&str, usize> = BTreeMap::new();
        for asked in if alternatives.is_empty() { one } else { alternatives } {
            let is_all = text(asked, "allocationMode") == "All";
            let count = if is_all { ALL } else { asked["count"].as_u64().unwrap_or(0) as usize };
            let known = most.entry(text(asked, "deviceClassName")).or_insert(0);
            *known = count.max(*known);
        }
        for (class, count) in most {
            *by_class.entry(class).or_insert(0) += count;
        }
    }
    by_class.into_iter().map(|(class, count)| (format!("{class}{PER_CLASS}"), whole(count))).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::api::Kind;

    #[test]
    fn devices_count_by_class() {
        let fields = json!({ "spec": { "devices": { "requests": [
            { "name": "a", "exactly": { "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2 } },
            { "name": "b", "firstAvailable": [
                { "name": "c", "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1 },
                { "name": "d", "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 3 },
                { "name": "e", "deviceClassName": "nic", "allocationMode": "All" },
            ] },
        ] } } });
        let fields = fields.as_object().cloned().unwrap_or_default();
        let claim = Unstructured { kind: Kind::ResourceClaim, metadata: ObjectMeta::default(), fields };
        let shown: Vec<String> = usage(&claim).iter().map(|(name, amount)| format!("{name} {amount}")).collect();
        let expected = ["gpu.deviceclass.resource.k8s.io/devices 5", "nic.deviceclass.resource.k8s.io/devices 32"];
        assert_eq!(shown, expected);
        assert!(tracks("gpu.deviceclass.resource.k8s.io/devices") && !tracks("count/pods"));
    }
}
