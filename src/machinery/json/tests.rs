use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ReadError, from_value, to_value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Nothing,
    One(u32),
    Pair(i64, String),
    Named { left: Option<f64>, right: Vec<bool> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    choices: Vec<Choice>,
    numbers: BTreeMap<i32, (u8, char)>,
    any: Value,
    missing: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    empty: Vec<String>,
}

fn everything() -> Everything {
    Everything {
        choices: vec![
            Choice::Nothing,
            Choice::One(7),
            Choice::Pair(-3, "x".to_owned()),
            Choice::Named { left: Some(0.5), right: vec![true, false] },
        ],
        numbers: BTreeMap::from([(-1, (255, 'é'))]),
        any: json!({"a": [1, -2, 3.5, "s", null, true, {"b": {}}]}),
        missing: None,
        empty: Vec::new(),
    }
}

#[test]
fn what_is_written_is_what_serde_json_writes() {
    let expected = serde_json::to_value(everything()).expect("it is JSON");
    assert_eq!(to_value(&everything()).to_string(), expected.to_string(), "with the same order of fields");
}

#[test]
fn what_was_written_can_be_read() {
    assert_eq!(from_value::<Everything>(&to_value(&everything())), Ok(everything()));
}

#[test]
fn objects_of_kubernetes_come_back_as_they_were() {
    let pod = json!({
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1"}},
            "livenessProbe": {"httpGet": {"port": "http"}}, "startupProbe": {"tcpSocket": {"port": 8080}}}]},
    });
    let secret = json!({"metadata": {"name": "s"}, "data": {"k": "dmFsdWU="}});
    let event = json!({"metadata": {}, "involvedObject": {}, "eventTime": "2026-01-01T00:00:00.000001Z"});
    fn check<K: Serialize + for<'de> Deserialize<'de>>(value: &Value) {
        let read: K = from_value(value).expect("it has the shape of its kind");
        let expected: K = serde_json::from_value(value.clone()).expect("it has the shape of its kind");
        let expected = serde_json::to_value(expected).expect("it is JSON");
        assert_eq!(to_value(&read).to_string(), expected.to_string());
    }
    check::<Pod>(&pod);
    check::<Secret>(&secret);
    check::<Event>(&event);
}

#[test]
fn what_does_not_fit_is_told_in_few_words() {
    let wrong = |value: Value| from_value::<Everything>(&value).map_err(|error: ReadError| error.to_string());
    assert_eq!(wrong(json!({})), Err("missing field \"choices\"".to_owned()));
    assert_eq!(wrong(json!([])), Err("a value has the wrong type".to_owned()));
    assert_eq!(wrong(json!({"choices": ["None"]})), Err("a choice is unknown".to_owned()));
    assert_eq!(wrong(json!({"choices": [{"One": -1}]})), Err("a value has the wrong type".to_owned()));
    assert_eq!(
        wrong(json!({"choices": [{"One": 1}, {"One": 5_000_000_000_u64}]})),
        Err("a value is out of range".to_owned())
    );
}
