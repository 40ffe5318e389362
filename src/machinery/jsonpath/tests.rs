//! Upstream's examples and a recorded case.

use serde_json::{Value, json};

use super::*;

fn run(template: &str, data: &Value, allow_missing: bool) -> Result<String, String> {
    JsonPath::parse(template)?.allow_missing_keys(allow_missing).execute(data)
}

fn nodes() -> Value {
    json!({
        "kind": "List",
        "items": [
            {
                "kind": "None",
                "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "127.0.0.1"}},
                "status": {
                    "capacity": {"cpu": "4"},
                    "ready": true,
                    "addresses": [{"type": "LegacyHostIP", "address": "127.0.0.1"}],
                },
            },
            {
                "kind": "None",
                "metadata": {"name": "127.0.0.2", "labels": {"kubernetes.io/hostname": "127.0.0.2"}},
                "status": {
                    "capacity": {"cpu": "8"},
                    "ready": false,
                    "addresses": [
                        {"type": "LegacyHostIP", "address": "127.0.0.2"},
                        {"type": "another", "address": "127.0.0.3"},
                    ],
                },
            },
        ],
        "users": [
            {"name": "myself", "user": {}},
            {"name": "e2e", "user": {"username": "admin", "password": "secret"}},
        ],
        "numbers": [1, 2, 3, 4],
        "floats": [1.0, 2.2],
        "none": null,
    })
}

#[test]
fn fills_templates_in() {
    let data = nodes();
    let cases = [
        ("hello jsonpath", "hello jsonpath"),
        ("{range .items[*]}{.metadata.name}, {end}{.kind}", "127.0.0.1, 127.0.0.2, List"),
        ("{range .items[*]}{.metadata.name}{\"\\t\"}{end}", "127.0.0.1\t127.0.0.2\t"),
        ("{.items[*].status.addresses[*].address}", "127.0.0.1 127.0.0.2 127.0.0.3"),
        ("{range .items[*]}{range .status.addresses[*]}{.address}, {end}{end}", "127.0.0.1, 127.0.0.2, 127.0.0.3, "),
        ("{.items[*]['metadata.name', 'status.capacity']}", "127.0.0.1 127.0.0.2 {\"cpu\":\"4\"} {\"cpu\":\"8\"}"),
        (
            "{range .items[*]}[{.metadata.name}, {.status.capacity}] {end}",
            "[127.0.0.1, {\"cpu\":\"4\"}] [127.0.0.2, {\"cpu\":\"8\"}] ",
        ),
        ("{.users[?(@.name==\"e2e\")].user.password}", "secret"),
        ("{.users[?(@.name!='e2e')].name}", "myself"),
        ("{.items[0].metadata.labels.kubernetes\\.io/hostname}", "127.0.0.1"),
        ("{.items[?(@.metadata.labels.kubernetes\\.io/hostname==\"127.0.0.1\")].kind}", "None"),
        ("{.items[?(@..ready==true)].metadata.name}", "127.0.0.1"),
        ("{.users[?(@.user.username)].name}", "e2e"),
        ("{..name}", "127.0.0.1 127.0.0.2 myself e2e"),
        ("{...name}", "127.0.0.1 127.0.0.2 myself e2e"),
        ("{.numbers[?(@>=3)]}", "3 4"),
        ("{.numbers[1,3]}", "2 4"),
        ("{.numbers[0:2]}", "1 2"),
        ("{.numbers[:4:2]}", "1 3"),
        ("{.numbers[1::2]}", "2 4"),
        ("{.numbers[-1]}", "4"),
        ("{.numbers[-2:]}", "3 4"),
        ("{.numbers[2:2]}", ""),
        ("{.numbers}", "[1,2,3,4]"),
        ("{.floats[*]}", "1 2.2"),
        ("{.floats}", "[1,2.2]"),
        ("{.users[1].user.*}", "secret admin"),
        ("{'single'}{\"{\"}", "single{"),
        ("{$.kind} { .kind } {@.kind}", "List List List"),
        ("{.none}", "null"),
        ("{.items[0]['kind']}", "None"),
        ("{true}{1}{1.5}", "true11.5"),
        ("{range .items[?(@.kind=='Nope')]}{.metadata.name}{end}after", "after"),
        ("{range .users[*]}{.name}{range .user.groups[*]}({@}){end};{end}", "myself;e2e;"),
    ];
    for (template, expected) in cases {
        assert_eq!(run(template, &data, true).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn refuses_with_upstreams_words() {
    let data = nodes();
    let cases = [
        ("{hello}", "unrecognized identifier hello"),
        ("{.hello}", "hello is not found"),
        ("{.items[0].metadata[0]}", "map[string]interface {} is not array or slice"),
        ("{.numbers[?(@<>10)]}", "unrecognized filter operator <>"),
        ("{range .items[*]}{@}{end}{end}", "not in range, nothing to end"),
        ("{.numbers[4]}", "array index out of bounds: index 4, length 4"),
        ("{.numbers[0:5]}", "array index out of bounds: index 4, length 4"),
        ("{.numbers[3:1]}", "starting index 3 is greater than ending index 1"),
        ("{.numbers[::0]}", "step must be > 0"),
        ("{.numbers[?(@=='1')]}", "incompatible types for comparison"),
        ("{.items[?(@.status==1)]}", "invalid type for comparison"),
        ("{.kind[?(@.x)]}", "List is not array or slice and cannot be filtered"),
        ("{....name}", "invalid multiple recursive descent"),
        ("{.items", "unclosed action"),
        ("{.items[0}", "unterminated array"),
        ("{.items[a]}", "invalid array index a"),
        ("{.items[?(@.x}", "unterminated filter"),
        ("{.items[?(@.x)}", "unclosed array expect ]"),
        ("{\"x}", "unterminated quoted string"),
        ("{\"\\q\"}", "unquote string \"\\q\" error invalid syntax"),
        ("{~}", "unrecognized character in action: U+007E '~'"),
        ("{1.2.3}", "cannot parse number 1.2.3"),
    ];
    for (template, expected) in cases {
        assert_eq!(run(template, &data, false), Err(expected.to_owned()), "{template}");
    }
    let deep = format!("{}@{}", "{[?(".repeat(2000), ")]}".repeat(2000));
    assert!(run(&deep, &data, false).is_err());
}

#[test]
fn recorded_case() {
    let case: Value =
        serde_yaml::from_str(include_str!("../../../tests/cases/kubectl/k-get-jsonpath.yaml")).expect("a case");
    let recorded: Vec<Value> =
        serde_yaml::from_str(include_str!("../../../tests/cases/kubectl/k-get-jsonpath.recorded.yaml"))
            .expect("its answers");
    let manifest = case["steps"][0]["stdin"].as_str().expect("a manifest");
    let mut object: Value = serde_yaml::from_str(manifest).expect("YAML");
    object["spec"]["strategy"] = json!({
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    });
    let mut compared = 0;
    for (step, answer) in case["steps"].as_array().expect("steps").iter().zip(&recorded).skip(1) {
        let command = step["run"].as_str().expect("a command");
        let template = command.split_once('\'').expect("a template").1.trim_end_matches('\'');
        let expected = match (&answer["stdout"], &answer["json"]) {
            (Value::String(text), _) => text.clone(),
            (_, Value::Null) => answer["stderr"].as_str().expect("an error").to_owned(),
            (_, json) => go_json::marshal(json),
        };
        match run(template, &object, true) {
            Ok(text) => assert_eq!(text, expected, "{template}"),
            Err(error) => assert!(expected.contains(&error), "{template}: {error} in {expected}"),
        }
        compared += 1;
    }
    assert_eq!(compared, 24);
}

#[test]
fn as_json_and_relaxed() {
    let data = json!({"a": [1, "x"]});
    let template = JsonPath::parse("{.a[*]}").expect("valid");
    assert_eq!(template.execute_as_json(&data).as_deref(), Ok("[\n    1,\n    \"x\"\n]\n"));
    for text in ["a.b", ".a.b", "{a.b}", "{.a.b}"] {
        assert_eq!(relaxed(text).as_deref(), Ok("{.a.b}"), "{text}");
    }
    assert_eq!(relaxed(""), Ok(String::new()));
    for text in ["{a", "a}", "{}", "{{a}}"] {
        assert!(relaxed(text).is_err(), "{text}");
    }
}
