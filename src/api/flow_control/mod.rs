//! The flowcontrol group: how the API server would ration requests. Nothing here rations; the objects are those that a
//! real server has, and are judged as it judges them.
//!
//! Follows `pkg/apis/flowcontrol/v1/defaults.go`, `pkg/apis/flowcontrol/validation/validation.go`,
//! `k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap/default.go` and `pkg/printers/internalversion/printers.go`.

mod bootstrap;
mod validation;

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use super::unstructured::Unstructured;
use crate::machinery::time::Time;

pub(crate) use bootstrap::objects;
pub(crate) use validation::validate;

/// `FlowSchemaDefaultMatchingPrecedence`.
const MATCHING_PRECEDENCE: i64 = 1000;
/// `PriorityLevelConfigurationDefaultNominalConcurrencyShares`.
const NOMINAL_CONCURRENCY_SHARES: i64 = 30;

/// Whether a kind is one of the group's.
pub(crate) fn has(kind: Kind) -> bool {
    kind.info().group == "flowcontrol.apiserver.k8s.io"
}

fn set(map: &mut Map<String, Value>, field: &str, value: i64) {
    if map.get(field).is_none_or(Value::is_null) {
        map.insert(field.to_owned(), value.into());
    }
}

/// A number that Go cannot tell from a missing one.
fn set_if_zero(map: &mut Map<String, Value>, field: &str, value: i64) {
    if map.get(field).and_then(Value::as_i64).unwrap_or(0) == 0 {
        map.insert(field.to_owned(), value.into());
    }
}

/// The defaults of the group's `v1/defaults.go`.
pub(crate) fn default(object: &mut Unstructured) {
    let Some(spec) = object.fields.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if object.kind == Kind::FlowSchema {
        set_if_zero(spec, "matchingPrecedence", MATCHING_PRECEDENCE);
        return;
    }
    if let Some(exempt) = spec.get_mut("exempt").and_then(Value::as_object_mut) {
        set(exempt, "nominalConcurrencyShares", 0);
        set(exempt, "lendablePercent", 0);
    }
    let Some(limited) = spec.get_mut("limited").and_then(Value::as_object_mut) else { return };
    set(limited, "nominalConcurrencyShares", NOMINAL_CONCURRENCY_SHARES);
    set(limited, "lendablePercent", 0);
    let queuing = limited.get_mut("limitResponse").and_then(|response| response.get_mut("queuing"));
    if let Some(queuing) = queuing.and_then(Value::as_object_mut) {
        set_if_zero(queuing, "handSize", 8);
        set_if_zero(queuing, "queues", 64);
        set_if_zero(queuing, "queueLengthLimit", 50);
    }
}

const FLOW_SCHEMA_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "PriorityLevel",
        "`priorityLevelConfiguration` should reference a PriorityLevelConfiguration in the cluster. If the reference \
         cannot be resolved, the FlowSchema will be ignored and marked as invalid in its status. Required.",
    ),
    ColumnDefinition::integer(
        "MatchingPrecedence",
        "`matchingPrecedence` is used to choose among the FlowSchemas that match a given request. The chosen \
         FlowSchema is among those with the numerically lowest (which we take to be logically highest) \
         MatchingPrecedence.  Each MatchingPrecedence value must be ranged in [1,10000]. Note that if the precedence \
         is not specified, it will be set to 1000 as default.",
    ),
    ColumnDefinition::text(
        "DistinguisherMethod",
        "`distinguisherMethod` defines how to compute the flow distinguisher for requests that match this schema. \
         `nil` specifies that the distinguisher is disabled and thus will always be the empty string.",
    ),
    AGE,
    ColumnDefinition::text("MissingPL", "references a broken or non-existent PriorityLevelConfiguration"),
];

const PRIORITY_LEVEL_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Type",
        "`type` indicates whether this priority level is subject to limitation on request execution.  A value of \
         `\"Exempt\"` means that requests of this priority level are not subject to a limit (and thus are never \
         queued) and do not detract from the capacity made available to other priority levels.  A value of \
         `\"Limited\"` means that (a) requests of this priority level _are_ subject to limits and (b) some of the \
         server's limited capacity is made available exclusively to this priority level. Required.",
    ),
    ColumnDefinition::text(
        "NominalConcurrencyShares",
        "`nominalConcurrencyShares` (NCS) contributes to the computation of the NominalConcurrencyLimit (NominalCL) of \
         this level.",
    ),
    ColumnDefinition::text(
        "Queues",
        "`queues` is the number of queues for this priority level. The queues exist independently at each apiserver. \
         The value must be positive.  Setting it to 1 effectively precludes shufflesharding and thus makes the \
         distinguisher method of associated flow schemas irrelevant.  This field has a default value of 64.",
    ),
    ColumnDefinition::text(
        "HandSize",
        "`handSize` is a small positive number that configures the shuffle sharding of requests into queues.  When \
         enqueuing a request at this priority level the request's flow identifier (a string pair) is hashed and the \
         hash value is used to shuffle the list of queues and deal a hand of the size specified here.  The request is \
         put into one of the shortest queues in that hand. `handSize` must be no larger than `queues`, and should be \
         significantly smaller (so that a few heavy flows do not saturate most of the queues).  See the user-facing \
         documentation for more extensive guidance on setting this field.  This field has a default value of 8.",
    ),
    ColumnDefinition::text(
        "QueueLengthLimit",
        "`queueLengthLimit` is the maximum number of requests allowed to be waiting in a given queue of this priority \
         level at a time; excess requests are rejected.  This value must be positive.  If not specified, it will be \
         defaulted to 50.",
    ),
    AGE,
];

/// The columns of the group's kinds.
pub(crate) const fn columns(kind: Kind) -> &'static [ColumnDefinition] {
    match kind {
        Kind::FlowSchema => FLOW_SCHEMA_COLUMNS,
        _ => PRIORITY_LEVEL_COLUMNS,
    }
}

/// `printFlowSchema`, `printPriorityLevelConfiguration`.
pub(crate) fn row(object: &Unstructured, now: Time) -> Vec<Value> {
    let missing = Value::Null;
    let spec = object.fields.get("spec").unwrap_or(&missing);
    let (name, age) = (name_of(&object.metadata), age_of(&object.metadata, now));
    if object.kind == Kind::FlowSchema {
        let method = spec["distinguisherMethod"]["type"].as_str().unwrap_or("<none>");
        return vec![
            name,
            spec["priorityLevelConfiguration"]["name"].as_str().unwrap_or("").into(),
            spec["matchingPrecedence"].clone(),
            method.into(),
            age,
            dangling(object).into(),
        ];
    }
    let number = |value: &Value| value.as_i64().map_or_else(|| "<none>".into(), |number| number.to_string().into());
    let limited = &spec["limited"];
    let queuing = &limited["limitResponse"]["queuing"];
    vec![
        name,
        spec["type"].clone(),
        number(&limited["nominalConcurrencyShares"]),
        number(&queuing["queues"]),
        number(&queuing["handSize"]),
        number(&queuing["queueLengthLimit"]),
        age,
    ]
}

/// Whether the schema's priority level is missing, as its status says it.
fn dangling(schema: &Unstructured) -> &str {
    let conditions = schema.fields.get("status").and_then(|status| status.get("conditions")).and_then(Value::as_array);
    let dangling = conditions.into_iter().flatten().find(|condition| condition["type"] == "Dangling");
    dangling.and_then(|condition| condition["status"].as_str()).unwrap_or("?")
}

/// The status that upstream's `cfgController` gives a schema whose level is there, or is not.
pub(crate) fn status_of_schema(schema: &Unstructured, found: bool, now: Time) -> Value {
    let level =
        schema.fields.get("spec").map_or("", |spec| spec["priorityLevelConfiguration"]["name"].as_str().unwrap_or(""));
    let (status, reason, end) =
        if found { ("False", "Found", "and it exists") } else { ("True", "NotFound", "but there is no such object") };
    let message = format!("This FlowSchema references the PriorityLevelConfiguration object named \"{level}\" {end}");
    json!({ "conditions": [{
        "type": "Dangling", "status": status, "lastTransitionTime": now.to_string(), "reason": reason, "message": message,
    }] })
}
