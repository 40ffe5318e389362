//! The allocator, case by case: what there is, what is asked for, and what is given.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::allocator::{Allocated, Allocator, Failure};
use super::extended;
use crate::api::resource::claim::{self, items, text};
use crate::api::{Kind, Unstructured};
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;
use crate::scheduler::dra_manager::DraManager;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

fn object(kind: Kind, name: &str, spec: Value) -> Arc<Unstructured> {
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some("default".to_owned()),
        uid: Some(format!("uid-{name}")),
        ..ObjectMeta::default()
    };
    let fields = json!({ "spec": spec }).as_object().cloned().unwrap_or_default();
    Arc::new(Unstructured { kind, metadata, fields })
}

fn node(name: &str) -> NodeInfo {
    let node = json!({ "metadata": { "name": name, "labels": { "zone": "a" } } });
    NodeInfo::of(Arc::new(serde_json::from_value(node).expect("it is a node")))
}

/// A slice of the driver `d` on `node-1`, with what else its spec says.
fn slice(devices: Value, more: Value) -> Arc<Unstructured> {
    let pool = json!({ "name": "p", "generation": 1, "resourceSliceCount": 1 });
    let mut spec = json!({ "driver": "d", "nodeName": "node-1", "pool": pool, "devices": devices });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    object(Kind::ResourceSlice, "slice", spec)
}

fn one(name: &str, more: Value) -> Value {
    let mut exactly = json!({ "deviceClassName": "any", "allocationMode": "ExactCount", "count": 1 });
    for (field, value) in more.as_object().into_iter().flatten() {
        exactly[field] = value.clone();
    }
    json!({ "name": name, "exactly": exactly })
}

fn selector(expression: &str) -> Value {
    json!({ "selectors": [{ "cel": { "expression": expression } }] })
}

/// What a claim with these requests and constraints is given: `request=device …`, or why it is not.
fn given(slices: Vec<Arc<Unstructured>>, requests: Value, constraints: Value) -> String {
    let claim = json!({ "devices": { "requests": requests, "constraints": constraints } });
    let classes = OrdMap::from_iter([("any".into(), object(Kind::DeviceClass, "any", json!({})))]);
    let allocator = Allocator { classes, slices, allocated: Allocated::default(), timeout: Duration::from_secs(10) };
    match allocator.allocate(&node("node-1"), &[object(Kind::ResourceClaim, "c", claim)]) {
        Ok(allocations) => {
            let results = items(&allocations[0]["devices"], "results").iter();
            let shown = results.map(|result| format!("{}={}", text(result, "request"), text(result, "device")));
            shown.collect::<Vec<_>>().join(" ")
        }
        Err(Failure::None) => "none".to_owned(),
        Err(Failure::OnNode(why)) => format!("on the node: {why}"),
        Err(Failure::Fatal(why)) => format!("fatal: {why}"),
    }
}

fn numbered(slots: &[i64]) -> Value {
    let devices = slots
        .iter()
        .enumerate()
        .map(|(index, slot)| json!({ "name": format!("g{index}"), "attributes": { "slot": { "int": slot } } }));
    devices.collect()
}

#[test]
fn devices_are_given_in_their_order() {
    let three = || vec![slice(numbered(&[0, 1, 1]), json!({}))];
    let none = || json!([]);
    let table = [
        (json!([one("a", json!({}))]), none(), "a=g0"),
        (json!([one("a", json!({ "count": 2 })), one("b", json!({}))]), none(), "a=g0 a=g1 b=g2"),
        (json!([one("a", json!({ "count": 4 }))]), none(), "none"),
        (json!([one("a", json!({ "allocationMode": "All", "count": 0 }))]), none(), "a=g0 a=g1 a=g2"),
        (json!([one("a", selector("device.attributes['d'].slot == 1"))]), none(), "a=g1"),
        // The first choice of `a` leaves nothing for `b`, so that it is taken back.
        (json!([one("a", json!({})), one("b", selector("device.attributes['d'].slot == 0"))]), none(), "a=g1 b=g0"),
        (json!([one("a", json!({ "count": 2 }))]), json!([{ "matchAttribute": "d/slot" }]), "a=g1 a=g2"),
        (json!([one("a", json!({ "count": 2 }))]), json!([{ "distinctAttribute": "d/slot" }]), "a=g0 a=g1"),
        (json!([one("a", json!({ "count": 3 }))]), json!([{ "matchAttribute": "d/slot" }]), "none"),
        (
            json!([one("a", json!({})), one("b", json!({ "count": 2 }))]),
            json!([{ "matchAttribute": "d/slot", "requests": ["b"] }]),
            "a=g0 b=g1 b=g2",
        ),
        (json!([one("a", json!({ "count": 1 }))]), json!([{ "matchAttribute": "other/slot" }]), "none"),
        (json!([one("a", json!({ "count": 33 }))]), none(), TOO_MANY),
        (json!([one("a", selector("device.attributes['d'].colour == 1"))]), none(), NO_KEY),
    ];
    for (requests, constraints, expected) in table {
        assert_eq!(given(three(), requests.clone(), constraints), expected, "{requests}");
    }
}

const TOO_MANY: &str = "fatal: claim default/c: number of requested devices 33 exceeds the claim limit of 32";
const NO_KEY: &str = "fatal: claim default/c: selector #0 on device d/p/g0: CEL runtime error: no such key: colour. \
                      Consider using CEL optional chaining (?), has() macro, or orValue() for optional fields";

#[test]
fn the_first_alternative_that_works_out_is_taken() {
    let alternatives = |counts: [u64; 2]| {
        let alternative = |name: &str, count: u64| json!({ "name": name, "deviceClassName": "any", "allocationMode": "ExactCount", "count": count });
        json!([{ "name": "a", "firstAvailable": [alternative("x", counts[0]), alternative("y", counts[1])] }])
    };
    let two = || vec![slice(numbered(&[0, 0]), json!({}))];
    assert_eq!(given(two(), alternatives([2, 1]), json!([])), "a/x=g0 a/x=g1");
    assert_eq!(given(two(), alternatives([3, 1]), json!([])), "a/y=g0");
    assert_eq!(given(two(), alternatives([3, 4]), json!([])), "none");
}

#[test]
fn pools_are_whole_and_near() {
    let devices = || numbered(&[0]);
    let all = json!([one("a", json!({ "allocationMode": "All", "count": 0 }))]);
    let half = json!({ "pool": { "name": "p", "generation": 1, "resourceSliceCount": 2 } });
    let newer = json!({ "pool": { "name": "p", "generation": 2, "resourceSliceCount": 1 }, "nodeName": "node-2" });
    let near = json!({ "nodeName": null, "nodeSelector": { "nodeSelectorTerms": [
        { "matchExpressions": [{ "key": "zone", "operator": "In", "values": ["a"] }] },
    ] } });
    let by_device = json!({ "nodeName": null, "perDeviceNodeSelection": true });
    let placed = json!([{ "name": "far", "nodeName": "node-2" }, { "name": "near", "allNodes": true }]);
    let twice = json!([{ "name": "g" }, { "name": "g" }]);
    let updated =
        "fatal: claim default/c, request a: asks for all devices, but resource pool d/p is currently being updated";
    let table = [
        (vec![slice(devices(), half.clone())], json!([one("a", json!({}))]), "none"),
        (vec![slice(devices(), half)], all, updated),
        (vec![slice(devices(), json!({})), slice(devices(), newer)], json!([one("a", json!({}))]), "none"),
        (vec![slice(devices(), json!({ "nodeName": "node-2" }))], json!([one("a", json!({}))]), "none"),
        (vec![slice(devices(), near)], json!([one("a", json!({}))]), "a=g0"),
        (vec![slice(placed, by_device)], json!([one("a", json!({}))]), "a=near"),
        (
            vec![slice(twice, json!({}))],
            json!([one("a", json!({}))]),
            "on the node: invalid resource pools were encountered",
        ),
    ];
    for (slices, requests, expected) in table {
        assert_eq!(given(slices, requests.clone(), json!([])), expected, "{requests}");
    }
}

#[test]
fn taints_and_counters_hold_devices_back() {
    let tainted = json!([{ "name": "g", "taints": [{ "key": "k", "effect": "NoExecute" }] }]);
    let tolerates = json!({ "tolerations": [{ "key": "k", "operator": "Exists" }] });
    assert_eq!(given(vec![slice(tainted.clone(), json!({}))], json!([one("a", json!({}))]), json!([])), "none");
    assert_eq!(given(vec![slice(tainted, json!({}))], json!([one("a", tolerates)]), json!([])), "a=g");
    let takes = |amount: &str| json!([{ "counterSet": "s", "counters": { "memory": { "value": amount } } }]);
    let parts = json!([
        { "name": "half", "consumesCounters": takes("4Gi") },
        { "name": "whole", "consumesCounters": takes("8Gi") },
        { "name": "other", "consumesCounters": takes("4Gi") },
    ]);
    let pool = json!({ "name": "p", "generation": 1, "resourceSliceCount": 2 });
    let counters = json!([{ "name": "s", "counters": { "memory": { "value": "8Gi" } } }]);
    let shared = json!({ "pool": pool, "sharedCounters": counters, "devices": null });
    let slices = || vec![slice(parts.clone(), json!({ "pool": pool })), slice(Value::Null, shared.clone())];
    assert_eq!(given(slices(), json!([one("a", json!({ "count": 2 }))]), json!([])), "a=half a=other");
    assert_eq!(given(slices(), json!([one("a", json!({ "count": 3 }))]), json!([])), "none");
}

/// What a pod's claim asks for, and which container uses what, when class `gpu` stands behind `example.com/gpu`.
fn asked_as_resource(init: Value, containers: Value) -> String {
    let pod = json!({
        "metadata": { "name": "p", "namespace": "default", "uid": "uid-p" },
        "spec": { "initContainers": init, "containers": containers },
    });
    let pod = PodInfo::new(Arc::new(serde_json::from_value(pod).expect("it is a pod")));
    let mut manager = DraManager::default();
    let class = object(Kind::DeviceClass, "gpu", json!({ "extendedResourceName": "example.com/gpu" }));
    manager.set_class(&class);
    let Some(extended) = extended::look_up(&pod, &manager) else { return "nothing".to_owned() };
    let Ok(Some(on_node)) = extended.on_node(&pod, &node("node-1")) else { return "nothing here".to_owned() };
    let requests = claim::requests(&on_node.claim).iter();
    let requests = requests.map(|request| format!("{}: {}", text(request, "name"), request["exactly"]["count"]));
    let mappings = on_node
        .mappings
        .iter()
        .map(|mapping| format!("{} uses {}", text(mapping, "containerName"), text(mapping, "requestName")));
    requests.chain(mappings).collect::<Vec<_>>().join(", ")
}

#[test]
fn init_containers_use_what_later_ones_ask_for() {
    let asks = |name: &str, count: i64, more: Value| {
        let mut container =
            json!({ "name": name, "resources": { "requests": { "example.com/gpu": count.to_string() } } });
        for (field, value) in more.as_object().into_iter().flatten() {
            container[field] = value.clone();
        }
        container
    };
    let none = || json!({});
    let sidecar = || json!({ "restartPolicy": "Always" });
    assert_eq!(asked_as_resource(json!([]), json!([{ "name": "c" }])), "nothing");
    assert_eq!(
        asked_as_resource(json!([]), json!([asks("a", 1, none()), asks("b", 2, none())])),
        "container-0-request-0: 1, container-1-request-0: 2, a uses container-0-request-0, b uses container-1-request-0",
    );
    // The first needs no more than the last has; the second needs two more.
    assert_eq!(
        asked_as_resource(json!([asks("i", 1, none()), asks("j", 3, none())]), json!([asks("c", 1, none())]),),
        "container-1-request-0: 2, container-2-request-0: 1, c uses container-2-request-0, \
         i uses container-2-request-0, j uses container-2-request-0, j uses container-1-request-0",
    );
    // What ends does not share with a sidecar that runs already; what two of them need beyond the others is shared.
    assert_eq!(
        asked_as_resource(
            json!([asks("s", 1, sidecar()), asks("i", 1, none()), asks("j", 2, none())]),
            json!([{ "name": "c" }]),
        ),
        "container-0-request-0: 1, container-2-request-0: 2, s uses container-0-request-0, \
         i uses container-2-request-0, j uses container-2-request-0",
    );
}

#[test]
fn the_newest_class_stands_behind_a_resource() {
    let class = |name: &str, second: u64| {
        let mut class =
            Unstructured::clone(&object(Kind::DeviceClass, name, json!({ "extendedResourceName": "example.com/gpu" })));
        class.metadata.creation_timestamp = Some((Time::DEFAULT_START + Duration::from_secs(second)).to_meta());
        Arc::new(class)
    };
    let behind = |classes: &[Arc<Unstructured>]| extended::class_behind("example.com/gpu", classes.iter());
    assert_eq!(behind(&[class("old", 1), class("new", 2)]).as_deref(), Some("new"));
    assert_eq!(behind(&[class("b", 1), class("a", 1), class("c", 1)]).as_deref(), Some("a"));
    assert_eq!(extended::class_behind("example.com/tpu", [class("old", 1)].iter()), None);
}
