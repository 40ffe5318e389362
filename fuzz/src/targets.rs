//! One function a target: it takes any bytes, must not panic, and asserts what must be true of what it read.
//!
//! Inputs that are made of several parts have them divided by lines `---`.

use std::sync::LazyLock;
use std::time::Duration;

use kubetab::api::table::IncludeObject;
use kubetab::apiserver::Call;
use kubetab::apiserver::address::{self, Query};
use kubetab::machinery::patch::apply::typed::TypeRef;
use kubetab::machinery::patch::apply::{Managed, Set, Updater, equal, fields};
use kubetab::machinery::schema::{self, Struct};
use kubetab::machinery::time::Time;
use kubetab::machinery::{cel, jsonpath, labels, manifest, patch, quantity, strict, yaml};
use kubetab::session::{Session, SessionConfig, link};
use kubetab::sim::Profile;
use serde_json::{Value, json};

/// What takes an input.
type Target = fn(&[u8]);

/// Every target by its name.
pub const ALL: &[(&str, Target)] = &[
    ("address", address),
    ("apply", apply),
    ("cel", cel),
    ("jsonpath", jsonpath),
    ("json_patch", json_patch),
    ("labels", labels),
    ("link", link),
    ("merge_patch", merge_patch),
    ("quantity", quantity),
    ("request", request),
    ("strategic_patch", strategic_patch),
    ("strict", strict),
    ("yaml", yaml),
];

fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap_or("")
}

/// The documents of an input that can be read.
fn documents(data: &[u8]) -> Vec<Value> {
    yaml::read(text(data)).into_iter().flatten().map(|document| document.value).collect()
}

fn deployment() -> &'static Struct {
    schema::lookup("apps/v1", "Deployment").expect("a built-in kind")
}

/// The path of a request, and its query.
pub fn address(data: &[u8]) {
    let text = text(data);
    if let Ok(target) = address::target(text) {
        assert!(!target.name.contains('/') || text.contains("%2"), "{text:?}");
    }
    let query = Query::of(text);
    let _ = (query.get("labelSelector"), query.is_on("watch"), query.all("dryRun").count());
}

/// Server-side apply: a live object, and what is applied to it.
pub fn apply(data: &[u8]) {
    let [live, config, ..] = documents(data).try_into().unwrap_or([Value::Null, Value::Null]);
    if !live.is_object() || !config.is_object() {
        return;
    }
    let (empty, reset) = (json!({}), Set::default());
    for of in [TypeRef::Deduced, TypeRef::Struct(deployment())] {
        let set = fields::to_set(&live, of);
        assert_eq!(Set::from_value(&set.to_value()), Ok(set));
        let now = Time::DEFAULT_START;
        let updater = Updater { of, api_version: "apps/v1", subresource: "", reset: &reset, empty: &empty, now };
        let mut managed = Managed::default();
        updater.update(None, &live, &mut managed, "one");
        let Ok(applied) = updater.apply(Some(&live), &config, &managed, "two", true) else { continue };
        let object = applied.object.unwrap_or(live.clone());
        let again = updater.apply(Some(&object), &config, &applied.managed, "two", false);
        assert!(again.is_ok_and(|again| again.object.is_none()), "what was applied is applied");
    }
}

/// An expression over a Deployment.
pub fn cel(data: &[u8]) {
    let text = text(data);
    let Ok(program) = cel::Program::compile(text, &["object", "variables"]) else { return };
    let object = json!({
        "metadata": { "name": "web", "labels": { "app": "a" } }, "spec": { "replicas": 3, "ports": [80, 443] },
    });
    let value = program.evaluate(&|name| (name == "object").then(|| Ok(cel::Value::from_json(&object))));
    if let Ok(value) = value {
        let _ = (value.show(), value.to_json());
    }
    let _ = (program.static_type(), program.check_types(text, deployment()));
}

/// A template over a list.
pub fn jsonpath(data: &[u8]) {
    let list = json!({ "items": [{ "name": "a", "n": [1, 2.5, null, true] }, { "name": "é" }], "s": "x" });
    if let Ok(template) = jsonpath::JsonPath::parse(text(data)) {
        let _ = template.execute(&list);
    }
}

/// A JSON patch behind the document that it is for.
pub fn json_patch(data: &[u8]) {
    let [document, operations, ..] = documents(data).try_into().unwrap_or([Value::Null, Value::Null]);
    if let Ok(operations) = patch::json::decode(&operations) {
        let _ = patch::json::apply(document, &operations);
    }
}

/// A label selector, which must read as it prints.
pub fn labels(data: &[u8]) {
    let text = text(data);
    if let Ok(selector) = labels::Selector::parse(text) {
        assert_eq!(labels::Selector::parse(&selector.to_string()).as_ref(), Ok(&selector), "{text:?}");
    }
    let _ = (labels::parse_map(text), labels::parse_to_label_selector(text));
}

/// A session's link; what was packed unpacks to the same.
pub fn link(data: &[u8]) {
    let text = text(data);
    if let Ok(log) = link::unpack(text) {
        assert_eq!(link::unpack(&link::pack(&log)).as_ref(), Ok(&log));
    }
    assert_eq!(link::unpack(&link::pack(text)).as_deref(), Ok(text));
}

/// A merge patch: a document, what it is to be, and what it is by now.
pub fn merge_patch(data: &[u8]) {
    let documents = documents(data);
    let [original, modified, ..] = documents.as_slice() else { return };
    let patched = patch::merge::apply(original.clone(), modified.clone());
    if let Ok(patched) = &patched {
        // A merge patch says all there is to say at once.
        assert_eq!(patch::merge::apply(patched.clone(), modified.clone()).ok().as_ref(), Some(patched));
    }
    if let (Some(original), Some(modified)) = (original.as_object(), modified.as_object()) {
        let current = documents.get(2).and_then(Value::as_object).unwrap_or(original);
        let _ = patch::merge::create_three_way(original, modified, current);
    }
}

/// A quantity, which must read as it prints.
pub fn quantity(data: &[u8]) {
    let text = text(data);
    let Ok(number) = quantity::Quantity::parse(text) else { return };
    let shown = number.to_string();
    let again = quantity::Quantity::parse(&shown).expect("what is printed can be read");
    assert_eq!(again.to_string(), shown, "{text:?}");
    let _ = (number.value(), number.milli_value(), number.as_f64());
}

/// A cluster to send requests to.
static SESSION: LazyLock<Session> = LazyLock::new(|| {
    let profile = Profile { nodes: 1, node_prefix: "worker-".to_owned(), ..Profile::bare() };
    let mut session = Session::new(SessionConfig { seed: 5, profile, ..SessionConfig::default() });
    session.run_until(session.now() + Duration::from_secs(20));
    session
});

/// A request to the API server: a line with its method, its path and its content type, and behind it its body. What is
/// answered can be shown, and a cluster that took it goes on.
pub fn request(data: &[u8]) {
    let text = text(data);
    let (head, body) = text.split_once('\n').unwrap_or((text, ""));
    let words: Vec<&str> = head.split(' ').collect();
    let [method, path, content_type] = words.as_slice() else { return };
    let call = Call {
        method: (*method).to_owned(),
        path: (*path).to_owned(),
        content_type: (*content_type).to_owned(),
        body: yaml::read_one(body).map(|document| document.value).unwrap_or(Value::Null),
        client: "fuzz".to_owned(),
        ..Call::default()
    };
    let mut session = SESSION.clone();
    let Ok(mut answer) = session.request(&call) else { return };
    session.cluster().api().show_managed_fields(&mut answer.response);
    let _ = (answer.response.wire(), answer.response.to_table(IncludeObject::Object, session.now()));
    session.run_until(session.now() + Duration::from_secs(1));
}

/// A strategic merge patch of a Deployment, and the patches that kubectl makes of three documents.
pub fn strategic_patch(data: &[u8]) {
    let documents = documents(data);
    let [original, modified, ..] = documents.as_slice() else { return };
    let _ = patch::strategic::apply(original.clone(), modified.clone(), deployment());
    if let (Some(original), Some(modified)) = (original.as_object(), modified.as_object()) {
        let current = documents.get(2).and_then(Value::as_object).unwrap_or(original);
        let _ = patch::diff::create_two_way(original, modified, deployment());
        let _ = patch::diff::create_three_way(original, modified, current, deployment());
    }
}

/// A manifest that is decoded strictly; decoding what was decoded changes nothing.
pub fn strict(data: &[u8]) {
    for value in documents(data) {
        for (version, kind) in [("v1", "Pod"), ("apps/v1", "Deployment"), ("v1", "Service")] {
            let kind = schema::lookup(version, kind).expect("a built-in kind");
            let Ok(decoded) = strict::decode(kind, &value) else { continue };
            let _ = decoded.strict_error();
            let again = strict::decode(kind, &decoded.value).expect("it was decoded before");
            assert!(equal(&again.value, &decoded.value), "{value}");
        }
    }
}

/// A file of manifests: every place that is told lies in it, and what is printed reads as the same.
pub fn yaml(data: &[u8]) {
    let text = text(data);
    let manifests = manifest::read(text);
    for object in manifests.objects() {
        for path in ["metadata.name", "spec.containers[0].image", ".spec", "<nil>", "a[b].c"] {
            if let Some(span) = object.locate(path) {
                assert!(span.start.offset <= span.end.offset && span.end.offset <= text.len(), "{path}");
            }
        }
    }
    let _ = manifests.until_error();
    for value in documents(data) {
        let printed = yaml::print(&value);
        let again = yaml::read_one(&printed).map(|document| document.value);
        assert!(again.as_ref().is_ok_and(|again| equal(again, &value)), "{value} is printed as {printed:?}");
    }
}
