use serde_json::{Value, json};

use super::conditions::{Taken, accept_names};
use crate::api::{CustomKind, Kind, Object, strategy, table};
use crate::machinery::random::Random;
use crate::machinery::time::Time;

fn definition(spec: Value) -> Object {
    let plural = spec["names"]["plural"].as_str().unwrap_or("").to_owned();
    let name = format!("{plural}.{}", spec["group"].as_str().unwrap_or(""));
    let value = json!({ "metadata": { "name": name }, "spec": spec });
    let mut object = Object::from_value(Kind::CustomResourceDefinition, &value).expect("it has its shape");
    strategy::default(&mut object);
    strategy::prepare_for_create(&mut object);
    object
}

fn spec(schema: Value) -> Value {
    json!({
        "group": "case.example",
        "scope": "Namespaced",
        "names": { "plural": "things", "kind": "Thing" },
        "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
    })
}

fn wrong(object: &Object) -> Vec<String> {
    strategy::validate(object).iter().map(ToString::to_string).collect()
}

#[test]
fn a_definition_is_filled_in() {
    let object = definition(spec(json!({ "type": "object" })));
    let value = object.to_value();
    assert_eq!(
        value["spec"]["names"],
        json!({ "plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList" })
    );
    assert_eq!(value["spec"]["conversion"], json!({ "strategy": "None" }));
    assert_eq!(value["status"], json!({ "storedVersions": ["v1"] }));
    assert_eq!(wrong(&object), [""; 0]);
}

#[test]
fn what_is_wrong_with_a_definition_is_told() {
    let mut bad = spec(json!({ "type": "object" }));
    bad["group"] = "nodots".into();
    bad["scope"] = "World".into();
    bad["names"]["shortNames"] = json!(["Bad"]);
    bad["preserveUnknownFields"] = true.into();
    bad["versions"][0]["storage"] = false.into();
    bad["versions"][0]["additionalPrinterColumns"] = json!([{ "name": "A", "type": "text", "jsonPath": "spec" }]);
    bad["versions"][0]["subresources"] =
        json!({ "scale": { "specReplicasPath": ".status.x", "statusReplicasPath": "" } });
    bad["versions"][0]["selectableFields"] = json!([{ "jsonPath": ".spec.x" }]);
    let label = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                 character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation \
                 is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    let shown = json!([{
        "Name": "v1", "Served": true, "Storage": false, "Deprecated": false, "DeprecationWarning": null, "Schema": null,
        "Subresources": null, "AdditionalPrinterColumns": null, "SelectableFields": null,
    }]);
    assert_eq!(
        wrong(&definition(bad)),
        [
            "spec.group: Invalid value: \"nodots\": should be a domain with at least one dot".to_owned(),
            "spec.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespaced\"".to_owned(),
            format!("spec.versions: Invalid value: {shown}: must have exactly one version marked as storage version"),
            format!("spec.names.shortNames[0]: Invalid value: \"Bad\": {label}"),
            "spec.subresources.scale.specReplicasPath: Invalid value: \".status.x\": should be a json path under .spec".to_owned(),
            "spec.subresources.scale.statusReplicasPath: Required value".to_owned(),
            "spec.additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of boolean,date,integer,number,string"
                .to_owned(),
            "spec.additionalPrinterColumns[0].jsonPath: Invalid value: \"spec\": must be a simple json path starting with ."
                .to_owned(),
            "spec.selectableFields[0].jsonPath: Invalid value: \".spec.x\": is an invalid path: does not refer to a valid field"
                .to_owned(),
            "status.storedVersions: Invalid value: null: must have at least one stored version".to_owned(),
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to \
             true in spec.versions[*].schema instead"
                .to_owned(),
        ]
    );
}

/// A rule as an error shows it.
fn shown_rule(rule: &str) -> Value {
    json!({
        "Rule": rule, "Message": "", "MessageExpression": "", "Reason": null, "FieldPath": "", "OptionalOldSelf": null,
    })
}

#[test]
fn a_schema_must_be_structural() {
    let at = "spec.validation.openAPIV3Schema";
    let table = [
        (json!({}), vec![format!("{at}.type: Required value: must not be empty at the root")]),
        (
            json!({ "type": "object", "properties": { "a": {}, "b": { "type": "array" } } }),
            vec![
                format!("{at}.properties[a].type: Required value: must not be empty for specified object fields"),
                format!("{at}.properties[b].items: Required value: must be specified"),
            ],
        ),
        (
            json!({ "type": "object", "anyOf": [{ "properties": { "a": { "type": "string", "minLength": 1 } } }] }),
            vec![
                format!("{at}.anyOf[0].properties[a].type: Forbidden: must be empty to be structural"),
                format!("{at}.properties[a]: Required value: because it is defined in {at}.anyOf[0].properties[a]"),
            ],
        ),
        (
            json!({ "type": "object", "properties": { "a": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": { "type": "object", "properties": { "k": { "type": "string" } } },
            } } }),
            vec![format!(
                "{at}.properties[a].items.properties[k].default: Required value: this property is in \
                 x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )],
        ),
        (
            json!({ "type": "object", "x-kubernetes-validations": [{ "rule": "self.a +" }, { "rule": "1" }] }),
            vec![
                format!(
                    "{at}.x-kubernetes-validations[0].rule: Invalid value: {}: compilation failed: ERROR: <input>:1:9: Syntax \
                     error: mismatched input '<EOF>' expecting {{'[', '{{', '(', '.', '-', '!', 'true', 'false', 'null', \
                     NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}}\n | self.a +\n | ........^",
                    json!({
                        "Rule": "self.a +", "Message": "", "MessageExpression": "", "Reason": null, "FieldPath": "",
                        "OptionalOldSelf": null,
                    })
                ),
                format!(
                    "{at}.x-kubernetes-validations[1].rule: Invalid value: {}: cel expression must evaluate to a bool",
                    json!({
                        "Rule": "1", "Message": "", "MessageExpression": "", "Reason": null, "FieldPath": "",
                        "OptionalOldSelf": null,
                    })
                ),
            ],
        ),
        (
            json!({
                "type": "object", "properties": { "n": { "type": "integer" } },
                "x-kubernetes-validations": [{ "rule": "self.m > 1" }, { "rule": "self.n > 'a'" }],
            }),
            vec![
                format!(
                    "{at}.x-kubernetes-validations[0].rule: Invalid value: {}: compilation failed: ERROR: <input>:1:5: undefined \
                     field 'm'\n | self.m > 1\n | ....^",
                    shown_rule("self.m > 1")
                ),
                format!(
                    "{at}.x-kubernetes-validations[1].rule: Invalid value: {}: compilation failed: ERROR: <input>:1:8: found no \
                     matching overload for '_>_' applied to '(int, string)'\n | self.n > 'a'\n | .......^",
                    shown_rule("self.n > 'a'")
                ),
            ],
        ),
        (
            json!({ "type": "object", "properties": { "a": {
                "type": "array", "items": { "type": "string", "x-kubernetes-validations": [{ "rule": "self == oldSelf" }] },
            } } }),
            vec![format!(
                "{at}.properties[a].items.x-kubernetes-validations[0].rule: Invalid value: \"self == oldSelf\": oldSelf cannot be \
                 used on the uncorrelatable portion of the schema within {at}.properties[a]"
            )],
        ),
        (
            json!({ "type": "object", "properties": { "a": { "type": "integer", "default": "x" } } }),
            vec![format!(
                "{at}.properties[a].default: Invalid value: \"string\":  in body must be of type integer: \"string\""
            )],
        ),
    ];
    for (schema, expected) in table {
        assert_eq!(wrong(&definition(spec(schema.clone()))), expected, "{schema}");
    }
}

#[test]
fn names_are_given_once_in_a_group() {
    let names = |short: &str| {
        json!({ "names": {
        "plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList", "shortNames": [short],
    } })
    };
    let now = Time::DEFAULT_START;
    let said = |status: &Value| -> Vec<String> {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        conditions
            .map(|one| {
                format!(
                    "{}={} {}: {}",
                    text(&one["type"]),
                    text(&one["status"]),
                    text(&one["reason"]),
                    text(&one["message"])
                )
            })
            .collect()
    };
    let first = accept_names(&names("t"), &json!({}), &Taken::default(), now).expect("it was judged");
    assert_eq!(
        said(&first),
        [
            "NamesAccepted=True NoConflicts: no conflicts found",
            "Established=True InitialNamesAccepted: the initial names have been accepted",
        ]
    );
    assert_eq!(accept_names(&names("t"), &first, &Taken::default(), now), None, "nothing is left to do");
    let mut taken = Taken::default();
    taken.add(&json!({ "plural": "others", "singular": "other", "kind": "Other", "listKind": "OtherList", "shortNames": ["t"] }));
    let second = accept_names(&names("t"), &json!({}), &taken, now).expect("it was judged");
    assert_eq!(
        said(&second),
        [
            "NamesAccepted=False ShortNamesConflict: \"t\" is already in use",
            "Established=False NotAccepted: not all names are accepted",
        ]
    );
    assert_eq!(second["acceptedNames"]["plural"], "things");
    assert!(second["acceptedNames"].get("shortNames").is_none());
}

/// A value of any shape, made of words that schemas know.
fn any_value(random: &mut Random, depth: u32) -> Value {
    const WORDS: [&str; 16] = [
        "object",
        "array",
        "string",
        "integer",
        "a",
        "b",
        "^[a-z",
        "(",
        "self.a > 1",
        "date-time",
        "duration",
        "1h",
        "map",
        "set",
        "",
        "x-kubernetes",
    ];
    const NAMES: [&str; 34] = [
        "type",
        "properties",
        "items",
        "additionalProperties",
        "default",
        "nullable",
        "required",
        "enum",
        "minimum",
        "maximum",
        "multipleOf",
        "pattern",
        "format",
        "maxLength",
        "minItems",
        "anyOf",
        "allOf",
        "oneOf",
        "not",
        "a",
        "b",
        "c",
        "metadata",
        "x-kubernetes-validations",
        "rule",
        "messageExpression",
        "fieldPath",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "optionalOldSelf",
        "x-kubernetes-map-type",
    ];
    let pick = |random: &mut Random, of: &[&str]| {
        let at = usize::try_from(random.below(of.len() as u64)).unwrap_or(0);
        of[at].to_owned()
    };
    match random.below(if depth == 0 { 6 } else { 12 }) {
        0 => Value::Null,
        1 => (random.below(2) == 0).into(),
        2 => (i64::try_from(random.below(9)).unwrap_or(0) - 3).into(),
        3 => json!(0.5),
        4 | 5 => pick(random, &WORDS).into(),
        6 | 7 => (0..random.below(4)).map(|_| any_value(random, depth - 1)).collect(),
        _ => {
            let field = |random: &mut Random| (pick(random, &NAMES), any_value(random, depth - 1));
            (0..random.below(6)).map(|_| field(random)).collect()
        }
    }
}

#[test]
fn no_schema_and_no_value_makes_the_server_panic() {
    let mut random = Random::new(7);
    for _ in 0..3000 {
        let mut schema = any_value(&mut random, 5);
        if let Value::Object(fields) = &mut schema {
            fields.insert("type".to_owned(), "object".into());
        }
        // What the decoder would refuse comes here too.
        let _ = wrong(&definition(spec(schema.clone())));
        let names = json!({ "plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList" });
        let version = json!({ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } });
        let kind = Kind::Custom(CustomKind::define(&spec(Value::Null), &names, &version));
        let mut value = json!({ "metadata": { "name": "a", "namespace": "default" } });
        for field in ["spec", "status", "a"] {
            value[field] = any_value(&mut random, 4);
        }
        let Ok(mut object) = Object::from_value(kind, &value) else { continue };
        strategy::default(&mut object);
        strategy::prepare_for_create(&mut object);
        let mut other = object.clone();
        let _ = strategy::validate(&object);
        strategy::prepare_for_update(&mut other, &object, None);
        let _ = strategy::validate_update(&other, &object, None);
        let _ = table::table(kind, &[object], table::IncludeObject::Object, Time::DEFAULT_START);
    }
}
