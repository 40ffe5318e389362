//! No text that a user can write may make the readers of this room panic.

use serde_json::{Value, json};

use super::random::Random;
use super::{
    cel, duration, fields, go_json, go_regex, intstr, ip, jsonpath, labels, names, patch, quantity, quote, schema,
};

/// Pieces that mean something to one reader or another.
const PIECES: &[&str] = &[
    "1",
    "0",
    "9",
    "999999999999999999999",
    ".",
    ",",
    "=",
    "!",
    "==",
    "!=",
    "(",
    ")",
    " in ",
    "notin",
    "<",
    ">",
    "{",
    "}",
    "[",
    "]",
    "?(",
    "@",
    "$",
    "..",
    "*",
    ":",
    "-",
    "+",
    "\\",
    "\"",
    "'",
    "/",
    "~1",
    "%",
    "Ki",
    "Mi",
    "Ei",
    "m",
    "n",
    "k",
    "e",
    "E",
    "i",
    "h",
    "µs",
    "ms",
    "range ",
    "end",
    ".items",
    "name",
    "é",
    "한",
    "\u{0}",
    "\n",
    " ",
    "_",
];

fn text(random: &mut Random) -> String {
    let length = random.below(9);
    (0..length).map(|_| PIECES[random.below(PIECES.len() as u64) as usize]).collect()
}

#[test]
fn texts_never_panic() {
    let mut random = Random::new(7);
    let data = json!({"items": [{"name": "a", "n": [1, 2.5, null, true]}, {"name": "é"}], "s": "x"});
    for _ in 0..15_000 {
        let text = text(&mut random);
        if let Ok(number) = quantity::Quantity::parse(&text) {
            let shown = number.to_string();
            assert!(quantity::Quantity::parse(&shown).is_ok(), "{text:?} -> {shown:?}");
            let _ = (number.value(), number.milli_value(), number.cmp_int(1), number.negated().as_f64());
            let mut sum = number;
            sum.add(quantity::Quantity::parse("1500m").expect("valid"));
            sum.sub(number);
            sum.mul(i64::MIN);
            assert!(quantity::Quantity::canonicalize(&text).is_ok());
        }
        if let Ok(selector) = labels::Selector::parse(&text) {
            assert_eq!(labels::Selector::parse(&selector.to_string()).as_ref(), Ok(&selector), "{text:?}");
        }
        if let Ok(selector) = fields::Selector::parse(&text) {
            assert_eq!(fields::Selector::parse(&selector.to_string()).as_ref(), Ok(&selector), "{text:?}");
        }
        if let Ok(span) = duration::GoDuration::parse(&text) {
            assert_eq!(duration::GoDuration::parse(&span.to_string()), Ok(span), "{text:?}");
            let _ = (span.human(), span.short_human());
        }
        for template in [text.clone(), format!("{{{text}}}"), format!("{{.items[?({text})]}}")] {
            if let Ok(template) = jsonpath::JsonPath::parse(&template) {
                let _ = template.execute(&data);
            }
        }
        for pattern in [text.clone(), format!("\\p{{{text}"), format!("[\\x{text}"), format!("({text}-\\{text}]")] {
            let _ = go_regex::compile(&pattern).map(|regex| regex.map(|regex| regex.is_match(&text)));
        }
        if let Ok(program) = cel::Program::compile(&text, &["name"]) {
            let _ = program.evaluate(&|_| Some(Ok(cel::Value::from_json(&data))));
        }
        let _ = (ip::is_cidr(&text), ip::parse_ip(&text), intstr::from_text(&text), labels::parse_map(&text));
        let _ = (names::is_qualified_name(&text), names::is_domain_prefixed_path(&text), names::is_port_name(&text));
        let _ = (names::generate_name(&text, &mut random), quote::quote(&text), go_json::marshal(&text.into()));
    }
}

/// A value in which directives of patches may stand anywhere.
fn value(random: &mut Random, depth: u32) -> Value {
    const KEYS: &[&str] = &[
        "spec",
        "template",
        "containers",
        "name",
        "metadata",
        "finalizers",
        "labels",
        "ports",
        "containerPort",
        "strategy",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
    ];
    const TEXTS: &[&str] = &["a", "b", "delete", "replace", "merge", "name"];
    match random.below(if depth == 0 { 4 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.below(3)),
        2 | 3 => json!(TEXTS[random.below(TEXTS.len() as u64) as usize]),
        4 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => {
            let fields = (0..random.below(5)).map(|_| {
                let key = KEYS[random.below(KEYS.len() as u64) as usize];
                (key.to_owned(), value(random, depth - 1))
            });
            Value::Object(fields.collect())
        }
    }
}

#[test]
fn patches_never_panic() {
    let mut random = Random::new(11);
    let kind = schema::lookup("apps/v1", "Deployment").expect("a built-in kind");
    for _ in 0..8_000 {
        let (original, change, current) = (value(&mut random, 5), value(&mut random, 5), value(&mut random, 5));
        let _ = patch::merge::apply(original.clone(), change.clone());
        let _ = patch::strategic::apply(original.clone(), change.clone(), kind);
        if let (Some(original), Some(change), Some(current)) =
            (original.as_object(), change.as_object(), current.as_object())
        {
            let _ = patch::merge::create_three_way(original, change, current);
            let _ = patch::diff::create_two_way(original, change, kind);
            let _ = patch::diff::create_three_way(original, change, current, kind);
            let made = Value::Object(patch::merge::create(original, change));
            if !go_json::marshal(&Value::Object(change.clone())).contains("null") {
                let result = patch::merge::apply(Value::Object(original.clone()), made);
                assert_eq!(result.ok().as_ref().and_then(Value::as_object), Some(change));
            }
        }
        let paths = ["/spec", "", "/metadata/labels/0", "/spec/-", "/containers/-1", "x/name"];
        let path = paths[random.below(paths.len() as u64) as usize];
        let ops = ["add", "remove", "replace", "move", "copy", "test"];
        let op = ops[random.below(ops.len() as u64) as usize];
        let operations = json!([{"op": op, "path": path, "from": "/spec", "value": change}]);
        if let Ok(operations) = patch::json::decode(&operations) {
            let _ = patch::json::apply(original, &operations);
        }
    }
}

#[test]
fn applies_never_panic_and_repeat_themselves() {
    use patch::apply::typed::TypeRef;
    use patch::apply::{Managed, Set, Updater, fields};

    let mut random = Random::new(13);
    let kind = schema::lookup("apps/v1", "Deployment").expect("a built-in kind");
    let (empty, reset) = (json!({}), Set::default());
    for _ in 0..4_000 {
        let (live, config, other) = (value(&mut random, 5), value(&mut random, 5), value(&mut random, 5));
        if ![&live, &config, &other].iter().all(|value| value.is_object()) {
            continue;
        }
        for of in [TypeRef::Deduced, TypeRef::Struct(kind)] {
            let now = super::time::Time::DEFAULT_START;
            let updater = Updater { of, api_version: "apps/v1", subresource: "", reset: &reset, empty: &empty, now };
            let set = fields::to_set(&live, of);
            assert_eq!(Set::from_value(&set.to_value()), Ok(set));
            let mut managed = Managed::default();
            updater.update(None, &live, &mut managed, "one");
            updater.update(Some(&live), &other, &mut managed, "two");
            assert_eq!(Managed::decode(&managed.encode()).as_ref(), Ok(&managed));
            let _ = updater.apply(Some(&other), &config, &managed, "three", false);
            let Ok(applied) = updater.apply(Some(&other), &config, &managed, "three", true) else { continue };
            let object = applied.object.unwrap_or(other.clone());
            let again =
                updater.apply(Some(&object), &config, &applied.managed, "three", false).expect("it is the same");
            assert_eq!((&again.object, &again.managed), (&None, &applied.managed), "{other} {config}");
        }
    }
}
