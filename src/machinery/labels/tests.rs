//! Upstream's tables and recorded refusals.

use super::*;

fn labels(text: &str) -> BTreeMap<String, String> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn reads_and_prints() {
    let cases = [
        ("", ""),
        ("x=a,y=b,z=c", "x=a,y=b,z=c"),
        ("z=1,a==2", "a==2,z=1"),
        ("x!=a,y=b", "x!=a,y=b"),
        ("x=,z= ", "x=,z="),
        ("x", "x"),
        ("!x", "!x"),
        ("x in (b, a,b)", "x in (a,b)"),
        ("x notin ()", "x notin ()"),
        ("x in (,a)", "x in (,a)"),
        ("x in (a,,b)", "x in (,a,b)"),
        ("x in (in,notin)", "x in (in,notin)"),
        ("in=1,notin", "in=1,notin"),
        ("x>1,y<2", "x>1,y<2"),
        ("a.io/b in (c)", "a.io/b in (c)"),
        ("x =\t1", "x=1"),
    ];
    for (text, expected) in cases {
        assert_eq!(Selector::parse(text).expect(text).to_string(), expected, "{text}");
    }
}

#[test]
fn refuses_with_upstreams_words() {
    let cases = [
        ("bad selector!!", "unable to parse requirement: found 'selector', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        (
            "x=a||y=b",
            "unable to parse requirement: values[0][x]: Invalid value: \"a||y\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
        ("x==a==b", "found '==', expected: ',' or 'end of string'"),
        ("!x=a", "found '=', expected: ',' or 'end of string'"),
        (
            "x<a",
            "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        (
            "-a",
            "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(Selector::parse(text).expect_err(text), expected, "{text}");
    }
}

#[test]
fn matches_labels() {
    let all = labels("a=1,b=x");
    let yes = ["", "a=1", "a=1,b=x", "a in (1,2)", "a notin (2)", "c!=1", "!c", "a", "a>0", "a<2", "c notin (1)"];
    let no = ["a=2", "c", "!a", "a!=1", "a in (2)", "a>1", "b>1", "c=", "a notin (1,2)"];
    for text in yes {
        assert!(Selector::parse(text).expect(text).matches(&all), "{text}");
    }
    for text in no {
        assert!(!Selector::parse(text).expect(text).matches(&all), "{text}");
    }
    assert!(!Selector::nothing().matches(&all));
    assert!(Selector::parse("!a").expect("valid").matches(&None::<BTreeMap<String, String>>));
    assert!(Selector::from_map(&all).matches(&serde_json::json!({"a": "1", "b": "x", "c": ""})));
}

#[test]
fn api_selectors() {
    let selector = parse_to_label_selector("b=2,a in (y,x),!c").expect("valid");
    assert_eq!(format_label_selector(Some(&selector)), "a in (x,y),b=2,!c");
    assert_eq!(format_label_selector(None), "<none>");
    assert_eq!(Selector::from_label_selector(None), Ok(Selector::nothing()));
    let everything = Selector::from_label_selector(Some(&LabelSelector::default()));
    assert!(everything.is_ok_and(|selector| selector.is_empty()));
    let wrong = LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: "app".to_owned(),
            operator: "Like".to_owned(),
            values: None,
        }]),
        ..LabelSelector::default()
    };
    assert_eq!(
        Selector::from_label_selector(Some(&wrong)).expect_err("operator"),
        "\"Like\" is not a valid pod selector operator"
    );
    assert_eq!(format_label_selector(Some(&wrong)), "<error>");
}

#[test]
fn maps() {
    assert_eq!(parse_map("a=1, b=2"), Ok(labels("a=1,b=2")));
    assert_eq!(parse_map("a"), Err("invalid selector: [a]".to_owned()));
    assert_eq!(format_labels(Some(&labels("b=2,a=1"))), "a=1,b=2");
    assert_eq!(format_labels(None), "<none>");
    let selector = Selector::parse("a in (1),b!=2").expect("valid");
    assert_eq!(selector.requires_exact_match("a"), Some("1"));
    assert_eq!(selector.requires_exact_match("b"), None);
}

#[test]
fn selectors_are_printed_as_go_does() {
    let selector: LabelSelector = serde_json::from_value(serde_json::json!({
        "matchLabels": { "a": "b" },
        "matchExpressions": [{ "key": "c", "operator": "In", "values": ["d", "e"] }],
    }))
    .expect("a selector");
    let printed = "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{\
                   LabelSelectorRequirement{Key:c,Operator:In,Values:[d e],},},}";
    assert_eq!(go_text(Some(&selector)), printed);
    assert_eq!(go_text(None), "nil");
}
