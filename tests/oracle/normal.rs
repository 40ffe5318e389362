//! Normalisation: what a recording leaves out because no two runs share it. The rules are the recorder's own.

use std::sync::LazyLock;

use fancy_regex::Regex;
use serde_json::{Map, Value};

/// The letters of random suffixes.
const SAFE: &str = "bcdfghjklmnpqrstvwxz2456789";
/// Fields of metadata that differ from run to run.
const DROP: [&str; 4] = ["uid", "resourceVersion", "creationTimestamp", "selfLink"];

static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
        (r"\b(10|172|192|100)\.\d+\.\d+\.\d+\b", "<ip>"),
        (r"-[SAFE]{7,10}-[SAFE]{5}\b", "-<hash>-<rand>"),
        (r"(?<=[a-z0-9])-(?=[SAFE]*\d)[SAFE]{8,10}\b", "-<hash>"),
        (r"pod-template-hash=[SAFE]+", "pod-template-hash=<hash>"),
        (r"controller-revision-hash=\S+", "controller-revision-hash=<hash>"),
        (r"\((x\d+ )?(\d+[smhd])+( ago)?( over (\d+[smhd])+)?\)", "(<age>)"),
        (r"(?m)(?<=\s)(\d+[smhd])+( \(x\d+ over (\d+[smhd])+\))?(?=\s|$)", "<age>"),
        (r"<invalid>", "<age>"),
        (r#"resourceVersion: "?\d+"?|ResourceVersion:\s+\d+"#, "resourceVersion: <rv>"),
        (r"(kube-api-access|default-token)-[SAFE]{5}", "${1}-<rand>"),
        (r"[ \t]{2,}", "  "),
        (r"(?m)[ \t]+$", ""),
        (r"-{4,}", "----"),
    ];
    rules.map(|(rule, to)| (regex(&rule.replace("SAFE", SAFE)), to)).into()
});

/// A pattern as a case writes it.
pub fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("a pattern: {pattern}: {error}"))
}

/// A text without what differs from run to run.
pub fn text(text: &str) -> String {
    let mut text = text.to_owned();
    for (rule, to) in RULES.iter() {
        text = rule.replace_all(&text, *to).into_owned();
    }
    text
}

/// A value without what differs from run to run; `keep` names metadata that stays.
pub fn json(value: &Value, keep: &[String], key: &str) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let mut out = Map::new();
            for field in keys {
                let kept = keep.contains(field);
                let dropped = DROP.contains(&field.as_str()) && matches!(key, "metadata" | "")
                    || matches!(field.as_str(), "managedFields" | "uid");
                if dropped && !kept {
                    continue;
                }
                let value = &map[field];
                let normal = match field.as_str() {
                    "pod-template-hash"
                    | "controller-revision-hash"
                    | "controller-uid"
                    | "batch.kubernetes.io/controller-uid" => "<hash>".into(),
                    field if is_time(field) && value.is_string() => "<time>".into(),
                    field => json(value, keep, field),
                };
                out.insert(field.clone(), normal);
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(|item| json(item, keep, key)).collect(),
        Value::String(string) => text(string).into(),
        other => other.clone(),
    }
}

fn is_time(field: &str) -> bool {
    ["Time", "Timestamp", "At"].iter().any(|end| field.ends_with(end))
}
