use serde_json::{Value, json};

use super::{Schema, fill, lists, prune, rules, validate};
use crate::machinery::field::{ErrorList, Path};

fn texts(errors: &ErrorList) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// What is wrong with a value under `spec`.
fn check(schema: &Value, value: &Value) -> Vec<String> {
    let schema = Schema::read(&json!({ "type": "object", "properties": { "x": schema } }));
    texts(&validate::validate(&json!({ "x": value }), None, &schema))
}

#[test]
fn values_are_judged_in_the_servers_words() {
    let table = [
        (json!({ "type": "string" }), json!("a"), vec![]),
        (
            json!({ "type": "string" }),
            json!(1),
            vec!["x: Invalid value: \"integer\": x in body must be of type string: \"integer\""],
        ),
        (
            json!({ "type": "string" }),
            Value::Null,
            vec!["x: Invalid value: \"null\": x in body must be of type string: \"null\""],
        ),
        (json!({ "type": "string", "nullable": true }), Value::Null, vec![]),
        (
            json!({ "type": "integer", "minimum": 0 }),
            json!(1.5),
            vec![
                "x: Invalid value: \"number\": x in body must be of type integer: \"number\"",
                "<nil>: Invalid value: \"\": Checked value must be of type integer (default format) in x",
            ],
        ),
        (json!({ "type": "integer" }), json!(2.0), vec![]),
        (
            json!({ "type": "integer", "format": "int32" }),
            json!(3_000_000_000_u64),
            vec!["<nil>: Invalid value: \"\": Checked value must be of type integer with format int32 in x"],
        ),
        (
            json!({ "type": "number", "exclusiveMinimum": true, "minimum": 1, "multipleOf": 2 }),
            json!(1),
            vec![
                "x: Invalid value: 1: x in body should be a multiple of 2",
                "x: Invalid value: 1: x in body should be greater than 1",
            ],
        ),
        (
            json!({ "type": "string", "minLength": 2 }),
            json!("a"),
            vec!["x: Invalid value: \"a\": x in body should be at least 2 chars long"],
        ),
        (
            json!({ "type": "string", "maxLength": 1, "pattern": "^b" }),
            json!("aa"),
            vec!["x: Too long: may not be more than 1 bytes"],
        ),
        (
            json!({ "type": "string", "pattern": "^b" }),
            json!("aa"),
            vec!["x: Invalid value: \"aa\": x in body should match '^b'"],
        ),
        (json!({ "enum": ["a", 1] }), json!("b"), vec!["x: Unsupported value: \"b\": supported values: \"a\", \"1\""]),
        (
            json!({ "type": "string", "format": "date-time" }),
            json!("2026-01-01"),
            vec!["x: Invalid value: \"2026-01-01\": x in body must be of type date-time: \"2026-01-01\""],
        ),
        (
            json!({ "type": "array", "minItems": 2, "items": { "type": "string" } }),
            json!([1]),
            vec![
                "x[0]: Invalid value: \"integer\": x[0] in body must be of type string: \"integer\"",
                "x: Invalid value: 1: x in body should have at least 2 items",
            ],
        ),
        (
            json!({ "type": "object", "maxProperties": 1 }),
            json!({ "a": 1, "b": 2 }),
            vec!["x: Too many: 2: must have at most 1 items"],
        ),
        (json!({ "type": "object", "required": ["a"] }), json!({}), vec!["x.a: Required value"]),
        (
            json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
            json!({ "a": "b" }),
            vec!["x.a: Invalid value: \"string\": x.a in body must be of type integer: \"string\""],
        ),
        (json!({ "x-kubernetes-int-or-string": true }), json!("50%"), vec![]),
        (
            json!({ "x-kubernetes-int-or-string": true }),
            json!(true),
            vec!["x: Invalid value: \"boolean\": x in body must be of type integer,string: \"boolean\""],
        ),
        (
            json!({ "type": "object", "oneOf": [{ "required": ["a"] }, { "required": ["b"] }] }),
            json!({ "a": 1, "b": 1 }),
            vec![
                "<nil>: Invalid value: \"\": \"x\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
            ],
        ),
        (
            json!({ "type": "object", "anyOf": [{ "required": ["a"] }] }),
            json!({}),
            vec!["<nil>: Invalid value: \"\": \"x\" must validate at least one schema (anyOf)", "x.a: Required value"],
        ),
        (
            json!({ "type": "integer", "not": { "minimum": 3 } }),
            json!(5),
            vec!["<nil>: Invalid value: \"\": \"x\" must not validate the schema (not)"],
        ),
    ];
    for (schema, value, expected) in table {
        assert_eq!(check(&schema, &value), expected, "{schema} {value}");
    }
}

#[test]
fn what_an_update_leaves_as_it_was_may_stay_wrong() {
    let schema = Schema::read(&json!({
        "type": "object",
        "properties": { "a": { "type": "string", "maxLength": 1 }, "b": { "type": "string", "maxLength": 1 } },
    }));
    let (old, new) = (json!({ "a": "long", "b": "x" }), json!({ "a": "long", "b": "longer" }));
    assert_eq!(texts(&validate::validate(&new, Some(&old), &schema)), ["b: Too long: may not be more than 1 bytes"]);
}

#[test]
fn unknown_fields_go_and_defaults_come() {
    let schema = Schema::read(&json!({
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "n": { "type": "integer", "default": 1 },
                    "list": { "type": "array", "items": {
                        "type": "object", "properties": { "name": { "type": "string", "default": "main" } },
                    } },
                    "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
                        "known": { "type": "object", "properties": { "a": { "type": "string" } } },
                    } },
                    "inner": {
                        "type": "object", "x-kubernetes-embedded-resource": true,
                        "properties": { "spec": { "type": "object" } },
                    },
                    "map": { "type": "object", "additionalProperties": { "type": "string", "nullable": true } },
                    "gone": { "type": "string" },
                },
            },
        },
    }));
    let value = json!({
        "apiVersion": "a/v1", "metadata": { "x": 1 },
        "spec": {
            "n": null, "bogus": 1, "list": [{ "odd": 2 }, { "name": null }], "gone": null,
            "free": { "any": [{ "b": 1 }], "known": { "a": "b", "c": "d" } },
            "inner": { "kind": "K", "metadata": {}, "more": 1, "spec": { "x": 1 } },
            "map": { "a": null },
        },
    });
    let Value::Object(mut fields) = value else { unreachable!("it is an object") };
    let dropped = prune::prune(&mut fields, &schema);
    assert_eq!(
        dropped,
        ["spec.bogus", "spec.free.known.c", "spec.inner.more", "spec.inner.spec.x", "spec.list[0].odd"]
    );
    prune::drop_nulls_of_fields(&mut fields, &schema);
    fill::fill_fields(&mut fields, &schema);
    assert_eq!(
        fields["spec"],
        json!({
            "n": 1, "list": [{ "name": "main" }, { "name": "main" }],
            "free": { "any": [{ "b": 1 }], "known": { "a": "b" } },
            "inner": { "kind": "K", "metadata": {}, "spec": {} },
            "map": { "a": null },
        })
    );
}

#[test]
fn items_of_sets_and_maps_are_there_once() {
    let schema = Schema::read(&json!({
        "type": "object",
        "properties": {
            "set": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } },
            "map": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"],
                "items": { "type": "object" },
            },
        },
    }));
    let value = json!({ "set": ["x", "y", "x", "x"], "map": [{ "a": 1 }, { "a": 1, "b": 2 }, { "a": 1, "c": 3 }] });
    let mut errors = ErrorList::new();
    lists::validate(&Path::root(), &value, &schema, &mut errors);
    assert_eq!(texts(&errors), ["set[2]: Duplicate value: \"x\"", "map[2]: Duplicate value: {\"a\":1}"]);
}

#[test]
fn rules_see_what_a_value_was() {
    let schema = Schema::read(&json!({
        "type": "object",
        "properties": { "spec": {
            "type": "object",
            "x-kubernetes-validations": [
                { "rule": "self.n <= self.max", "messageExpression": "'at most ' + string(self.max)" },
                { "rule": "self.size == oldSelf.size", "message": "size is fixed", "fieldPath": ".size" },
                { "rule": "!has(self.secret)", "reason": "FieldValueForbidden", "fieldPath": ".labels['a']" },
                { "rule": "oldSelf.hasValue() || self.n == 1", "optionalOldSelf": true },
                { "rule": "self.nothing == 1" },
            ],
            "properties": {
                "n": { "type": "integer" }, "max": { "type": "integer" }, "size": { "type": "string" },
                "secret": { "type": "string" },
                "labels": { "type": "object", "additionalProperties": { "type": "string" } },
            },
        } },
    }));
    let judge = |new: Value, old: Option<Value>| {
        let (new, old) = (json!({ "spec": new }), old.map(|old| json!({ "spec": old })));
        let mut errors = ErrorList::new();
        rules::validate(&Path::root(), &new, old.as_ref(), &schema, &mut errors);
        texts(&errors)
    };
    let missing = "spec: Invalid value: no such key: nothing evaluating rule: self.nothing == 1";
    assert_eq!(
        judge(json!({ "n": 3, "max": 2, "size": "a" }), None),
        [
            "spec: Invalid value: at most 2",
            "spec: Invalid value: failed rule: oldSelf.hasValue() || self.n == 1",
            missing,
        ]
    );
    assert_eq!(
        judge(json!({ "n": 2, "max": 2, "size": "b", "secret": "s" }), Some(json!({ "n": 2, "max": 2, "size": "a" }))),
        [
            "spec.size: Invalid value: size is fixed",
            "spec.labels[a]: Forbidden: failed rule: !has(self.secret)",
            missing
        ]
    );
}

#[test]
fn rules_that_people_write_are_understood() {
    let schema = json!({
        "type": "object",
        "properties": {
            "namespace": { "type": "string" },
            "max-size": { "type": "integer" },
            "type": { "type": "string" },
            "value": { "type": "string" },
            "listeners": { "type": "array", "items": { "type": "object", "properties": {
                "name": { "type": "string" }, "port": { "type": "integer" }, "protocol": { "type": "string" },
                "tls": { "type": "object", "properties": { "mode": { "type": "string" } } },
            } } },
            "labels": { "type": "object", "additionalProperties": { "type": "string" } },
        },
    });
    let value = json!({
        "namespace": "a", "max-size": 3, "type": "Exact", "value": "/a%20b",
        "listeners": [
            { "name": "x", "port": 80, "protocol": "HTTP" },
            { "name": "y", "port": 443, "protocol": "HTTPS", "tls": { "mode": "Terminate" } },
        ],
        "labels": { "a-b": "c" },
    });
    for rule in [
        "has(self.__namespace__) && self.__namespace__ != ''",
        "self.max__dash__size > 2 && self.max__dash__size < 3.5",
        "self.listeners.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
        "self.listeners.all(l1, self.listeners.exists_one(l2, l1.name == l2.name && l1.port == l2.port))",
        "self.listeners.filter(l, l.protocol == 'HTTPS').size() <= 1 && size(self.listeners) <= 64",
        r#"(self.type) in ['Exact','PathPrefix'] ? self.value.matches(r"""^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$""") : true"#,
        "self.labels.all(k, k.startsWith('a') && self.labels[k].size() == 1) && 'a-b' in self.labels",
        "self.listeners.map(l, l.port).exists(p, p == 443) && !self.listeners.exists(l, l.port > 65535)",
        "self.value.split('/').size() == 2 && self.value.lowerAscii().indexOf('b') > 0",
        "self.?type.orValue('x') == 'Exact' && self.?value.hasValue()",
        "(has(self.type) && self.type == 'Exact') ? has(self.value) : !has(self.value)",
        "[1, 2, 3].exists(i, i == 2) && {'a': 1}['a'] == 1 && dyn(self.value) == '/a%20b'",
    ] {
        let mut schema = schema.clone();
        schema["x-kubernetes-validations"] = json!([{ "rule": rule }]);
        let schema = Schema::read(&schema);
        assert_eq!(super::Rule::compile(rule, "bool", &schema).err(), None, "{rule}");
        let mut errors = ErrorList::new();
        rules::validate(&Path::root(), &value, None, &schema, &mut errors);
        assert_eq!(texts(&errors), [""; 0], "{rule}");
    }
}

#[test]
fn rules_come_to_an_end() {
    let schema = Schema::read(&json!({
        "type": "object",
        "x-kubernetes-validations": [{ "rule": "self.a.all(x, self.a.all(y, self.a.all(z, x + y + z >= 0)))" }],
        "properties": { "a": { "type": "array", "items": { "type": "integer" } } },
    }));
    let mut errors = ErrorList::new();
    let value = json!({ "a": (0..200).collect::<Vec<i32>>() });
    rules::validate(&Path::root(), &value, None, &schema, &mut errors);
    assert_eq!(
        texts(&errors),
        [
            "<nil>: Invalid value: 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to \
          call cost exceeds limit for rule: self.a.all(x, self.a.all(y, self.a.all(z, x + y + z >= 0)))"
        ]
    );
}

#[test]
fn times_are_no_texts_to_rules() {
    let schema = Schema::read(&json!({
        "type": "object",
        "x-kubernetes-validations": [
            { "rule": "self.every >= duration('1m')", "message": "too often" },
            { "rule": "self.from < self.to", "message": "it ends before it begins" },
            { "rule": "self.share * 2.0 < 1.5", "message": "too much" },
        ],
        "properties": {
            "every": { "type": "string", "format": "duration" },
            "from": { "type": "string", "format": "date-time" },
            "to": { "type": "string", "format": "date" },
            "share": { "type": "number" },
        },
    }));
    let judge = |value: Value| {
        let mut errors = ErrorList::new();
        rules::validate(&Path::root(), &value, None, &schema, &mut errors);
        texts(&errors)
    };
    let good = json!({ "every": "90s", "from": "2026-01-01T10:00:00+02:00", "to": "2026-01-02", "share": 0 });
    assert_eq!(judge(good), [""; 0]);
    let bad = json!({ "every": "9s", "from": "2026-01-03T00:00:00Z", "to": "2026-01-02", "share": 1 });
    assert_eq!(
        judge(bad),
        ["too often", "it ends before it begins", "too much"].map(|why| format!("<nil>: Invalid value: {why}"))
    );
}
