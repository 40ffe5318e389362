//! The FlowSchemas and priority levels that every cluster begins with.
//!
//! Follows `k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap/default.go` and, for their status,
//! `k8s.io/apiserver/pkg/util/flowcontrol/apf_controller.go`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::status_of_schema;
use crate::api::kind::Kind;
use crate::api::unstructured::Unstructured;
use crate::machinery::time::Time;

/// A line a level: `NAME [SHARES LENDABLE [QUEUES HAND LENGTH]]`. Without shares it is exempt, without queues it rejects.
const LEVELS: &str = include_str!("levels.txt");
/// The schemas: a line `NAME LEVEL PRECEDENCE METHOD SUBJECTS`, and below it its rules, `VERBS GROUPS RESOURCES [*]`, where
/// the star means the cluster's scope too, or `urls VERBS PATHS`.
const SCHEMAS: &str = include_str!("schemas.txt");

/// The levels and schemas as they are once the server has looked at them, in the order of their names.
pub(crate) fn objects(now: Time) -> Vec<Unstructured> {
    let levels = LEVELS.lines().map(level);
    let schemas = schemas().into_iter().map(|mut schema| {
        let status = status_of_schema(&schema, true, now);
        schema.fields.insert("status".to_owned(), status);
        schema
    });
    levels.chain(schemas).collect()
}

/// The spec of an object that nobody may change.
pub(super) fn mandatory(kind: Kind, name: &str) -> Option<Value> {
    if !matches!(name, "exempt" | "catch-all") {
        return None;
    }
    let fixed = match kind {
        Kind::FlowSchema => schemas().into_iter().find(|schema| schema.metadata.name.as_deref() == Some(name)),
        _ => LEVELS.lines().map(level).find(|level| level.metadata.name.as_deref() == Some(name)),
    };
    fixed.and_then(|mut object| object.fields.remove("spec"))
}

fn object(kind: Kind, name: &str, spec: Value, status: Value) -> Unstructured {
    let annotations = BTreeMap::from([("apf.kubernetes.io/autoupdate-spec".to_owned(), "true".to_owned())]);
    let metadata = ObjectMeta { name: Some(name.to_owned()), annotations: Some(annotations), ..ObjectMeta::default() };
    let fields = Map::from_iter([("spec".to_owned(), spec), ("status".to_owned(), status)]);
    Unstructured { kind, metadata, fields }
}

fn level(line: &str) -> Unstructured {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or("");
    let numbers: Vec<i64> = words.filter_map(|word| word.parse().ok()).collect();
    let spec = match *numbers {
        [shares, lendable, ref queuing @ ..] => {
            let response = match *queuing {
                [queues, hand, length] => {
                    json!({ "type": "Queue", "queuing": { "queues": queues, "handSize": hand, "queueLengthLimit": length } })
                }
                _ => json!({ "type": "Reject" }),
            };
            let limited =
                json!({ "nominalConcurrencyShares": shares, "limitResponse": response, "lendablePercent": lendable });
            json!({ "type": "Limited", "limited": limited })
        }
        _ => json!({ "type": "Exempt", "exempt": { "nominalConcurrencyShares": 0, "lendablePercent": 0 } }),
    };
    object(Kind::PriorityLevelConfiguration, name, spec, json!({}))
}

fn schemas() -> Vec<Unstructured> {
    let mut schemas: Vec<Unstructured> = Vec::new();
    for line in SCHEMAS.lines() {
        match line.strip_prefix('\t') {
            None => schemas.push(schema(line)),
            Some(rule) => {
                let spec = schemas.last_mut().and_then(|schema| schema.fields.get_mut("spec"));
                add_rule(&mut spec.expect("a rule stands below its schema")["rules"][0], rule);
            }
        }
    }
    schemas
}

fn schema(line: &str) -> Unstructured {
    let words: Vec<&str> = line.split(' ').collect();
    let [name, level, precedence, method, subjects] = *words else { panic!("a schema's line has five words") };
    let subjects: Vec<Value> = subjects.split(',').map(subject).collect();
    let mut spec = json!({
        "priorityLevelConfiguration": { "name": level },
        "matchingPrecedence": precedence.parse::<i64>().unwrap_or(0),
    });
    if method != "-" {
        spec["distinguisherMethod"] = json!({ "type": method });
    }
    spec["rules"] = json!([{ "subjects": subjects }]);
    object(Kind::FlowSchema, name, spec, json!({}))
}

fn subject(word: &str) -> Value {
    let (kind, name) = word.split_once(':').unwrap_or(("", word));
    match kind {
        "user" => json!({ "kind": "User", "user": { "name": name } }),
        "group" => json!({ "kind": "Group", "group": { "name": name } }),
        _ => {
            json!({ "kind": "ServiceAccount", "serviceAccount": { "namespace": "kube-system", "name": name } })
        }
    }
}

fn add_rule(rules: &mut Value, text: &str) {
    let words: Vec<Vec<&str>> = text
        .split(' ')
        .map(|word| word.split(',').map(|item| if item == "core" { "" } else { item }).collect())
        .collect();
    let (field, rule) = match words.as_slice() {
        [urls, verbs, paths] if urls.as_slice() == ["urls"] => {
            ("nonResourceRules", json!({ "verbs": verbs, "nonResourceURLs": paths }))
        }
        [verbs, groups, resources, rest @ ..] => {
            let mut rule = json!({ "verbs": verbs, "apiGroups": groups, "resources": resources });
            if !rest.is_empty() {
                rule["clusterScope"] = true.into();
            }
            rule["namespaces"] = json!(["*"]);
            ("resourceRules", rule)
        }
        _ => panic!("a rule's line has three or four words"),
    };
    match &mut rules[field] {
        Value::Array(rules) => rules.push(rule),
        missing => *missing = json!([rule]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::flow_control::validate;

    #[test]
    fn what_a_cluster_begins_with_is_as_it_must_be() {
        let objects = objects(Time::DEFAULT_START);
        assert_eq!(objects.len(), 8 + 13);
        for object in &objects {
            assert_eq!(validate(object), [], "{:?}", object.metadata.name);
        }
        let levels: Vec<&str> = objects
            .iter()
            .filter_map(|object| object.fields["spec"]["priorityLevelConfiguration"]["name"].as_str())
            .collect();
        let is_there = |name: &&str| {
            objects.iter().any(|object| {
                object.kind == Kind::PriorityLevelConfiguration && object.metadata.name.as_deref() == Some(*name)
            })
        };
        assert!(levels.len() == 13 && levels.iter().all(is_there), "{levels:?}");
    }

    #[test]
    fn what_must_stay_is_held_to_its_value() {
        let mut schema = objects(Time::DEFAULT_START)
            .into_iter()
            .find(|object| object.kind == Kind::FlowSchema && object.metadata.name.as_deref() == Some("exempt"))
            .expect("it is there from the beginning");
        schema.fields["spec"]["matchingPrecedence"] = 3.into();
        let errors = validate(&schema);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].body.ends_with("spec of 'exempt' must equal the fixed value"), "{}", errors[0].body);
    }
}
