//! Text cases: what a text means, what is said of a broken one, and where things stand.

use expect_test::{Expect, expect};

use super::{MAX_DEPTH, MAX_TEXT_BYTES, Spans, path_text, read, read_one};

/// The documents as JSON, one a line, or what kubectl would say of them.
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&outcome(text));
}

fn outcome(text: &str) -> String {
    let mut found = String::new();
    for result in read(text) {
        match result {
            Ok(document) => {
                found += &document.value.to_string();
                for duplicate in &document.duplicates {
                    let (first, last) = (duplicate.first.start.line, duplicate.last.start.line);
                    found += &format!(" twice: {} at {first} and {last}", path_text(&duplicate.path));
                }
            }
            Err(error) => {
                let position = error.position;
                found += &format!("{}:{} {error}", position.line, position.column);
            }
        }
        found.push('\n');
    }
    found
}

#[test]
fn scalars_are_yaml_1_1() {
    check(
        "[yes, No, on, OFF, y, N, true, False, yEs, 'yes', \"no\"]",
        expect![[r#"
        [true,false,true,false,true,false,true,false,"yEs","yes","no"]
    "#]],
    );
    check(
        "[0644, 0o644, 0O7, 0b11, -0b11, 0x1F, 0XfF, 1_000, 1e3, +1, -0, 08, 1__2, 0x, -0x1F, +0b1, 0_7]",
        expect![[r#"
            [420,420,7,3,-3,31,255,1000,1000,1,0,8,12,"0x",-31,1,7]
        "#]],
    );
    check(
        "[1:30, 12:30:45, 2020-01-01, 1.0.0, 5m, 100Mi, 1e, e1, '5', 1-1, --1, +-1]",
        expect![[r#"
        ["1:30","12:30:45","2020-01-01","1.0.0","5m","100Mi","1e","e1","5","1-1","--1","+-1"]
    "#]],
    );
    check(
        "[1.50, .5, 5., 1.0, -.5e2, 1e-7, 1E5, +.5, 1e400, ., .e5, ._5, 1e21, 1e20, 123456789.125]",
        expect![[r#"
        [1.5,0.5,5,1,-50,1e-7,100000,0.5,"1e400",".",".e5","._5",1e+21,1e+20,123456789.125]
    "#]],
    );
    check(
        "[9223372036854775807, 9223372036854775808, -9223372036854775808, 18446744073709551616]",
        expect![[r#"
        [9223372036854775807,9.223372036854776e+18,-9223372036854775808,1.8446744073709552e+19]
    "#]],
    );
    check(
        "[~, null, Null, NULL, nULL, '', \"\", !!null '']",
        expect![[r#"
        [null,null,null,null,"nULL","","",null]
    "#]],
    );
    check(
        "[=, <<, *, a]",
        expect![[r#"
        1:10 error converting YAML to JSON: yaml: did not find expected alphabetic or numeric character
    "#]],
    );
    check(
        "[=, <<, @]",
        expect![[r#"
        1:9 error converting YAML to JSON: yaml: found character that cannot start any token
    "#]],
    );
    check(
        "a: .inf",
        expect![[r#"
        1:4 error converting YAML to JSON: json: unsupported value: +Inf
    "#]],
    );
    check(
        "a: -.Inf",
        expect![[r#"
        1:4 error converting YAML to JSON: json: unsupported value: -Inf
    "#]],
    );
    check(
        "a: .nan",
        expect![[r#"
        1:4 error converting YAML to JSON: json: unsupported value: NaN
    "#]],
    );
}

#[test]
fn tags() {
    check(
        "[!!str 5, !!int '5', !!float 3, !!bool yes, !foo 5, ! 5, !!binary aGk=, !!timestamp 2020-01-01]",
        expect![[r#"
            ["5",5,3,true,"5","5","hi","2020-01-01"]
        "#]],
    );
    check(
        "a: !!int x",
        expect![[r#"
        1:10 error converting YAML to JSON: yaml: cannot decode !!str `x` as a !!int
    "#]],
    );
    check(
        "a: !!bool 1",
        expect![[r#"
        1:11 error converting YAML to JSON: yaml: cannot decode !!int `1` as a !!bool
    "#]],
    );
    check(
        "a: !!binary '*'",
        expect![[r#"
        1:13 error converting YAML to JSON: yaml: !!binary value contains invalid base64 data
    "#]],
    );
    check(
        "!!map {a: !!seq [1]}",
        expect![[r#"
        {"a":[1]}
    "#]],
    );
    check(
        "a: !e!x 1",
        expect![[r#"
        1:4 error converting YAML to JSON: yaml: found undefined tag handle
    "#]],
    );
}

#[test]
fn keys_become_text() {
    check(
        "data: {1: a, true: b, 1.5: c, 0x10: d, 1e30: e, .inf: f}",
        expect![[r#"
        {"data":{".inf":"f","1":"a","1.5":"c","16":"d","1e+30":"e","true":"b"}}
    "#]],
    );
    check(
        "{b: 1, a: 2, B: 3, é: 4, 10: 5, 9: 6}",
        expect![[r#"
        {"10":5,"9":6,"B":3,"a":2,"b":1,"é":4}
    "#]],
    );
    check(
        "~: x",
        expect![[r#"
        1:1 error converting YAML to JSON: Unsupported map key of type: %!s(<nil>), key: <nil>, value: "x"
    "#]],
    );
    check(
        "18446744073709551615: 1",
        expect![[r#"
        1:1 error converting YAML to JSON: Unsupported map key of type: uint64, key: 0xffffffffffffffff, value: 1
    "#]],
    );
    check(
        "name: {{ .Values.name }}",
        expect![[r#"
        1:8 error converting YAML to JSON: yaml: invalid map key: map[interface {}]interface {}{".Values.name":interface {}(nil)}
    "#]],
    );
    check(
        "? [a, {b: 1, c: ~}]\n: 2",
        expect![[r#"
        1:3 error converting YAML to JSON: yaml: invalid map key: []interface {}{"a", map[interface {}]interface {}{"b":1, "c":interface {}(nil)}}
    "#]],
    );
    check(
        "? a\n: 1\n? b",
        expect![[r#"
        {"a":1,"b":null}
    "#]],
    );
}

#[test]
fn duplicates_last_wins() {
    check(
        "a: 1\nb: {c: 1, c: 2}\na: 3",
        expect![[r#"
        {"a":3,"b":{"c":2}} twice: b.c at 2 and 2 twice: a at 1 and 3
    "#]],
    );
    check(
        "1: a\n'1': b",
        expect![[r#"
        {"1":"b"} twice: 1 at 1 and 2
    "#]],
    );
}

#[test]
fn anchors_and_merges() {
    check(
        "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}",
        expect![[r#"
        {"a":{"b":1},"c":{"b":1},"d":{"b":1,"e":2}}
    "#]],
    );
    check(
        "a: &x {b: 1, c: 1}\nd:\n  b: 2\n  <<: *x\n  c: 3",
        expect![[r#"
        {"a":{"b":1,"c":1},"d":{"b":1,"c":3}}
    "#]],
    );
    check(
        "a: &x {k: 1, l: 1}\nb: &y {k: 2, m: 2}\nc: {<<: [*x, *y, {n: 3}]}",
        expect![[r#"
        {"a":{"k":1,"l":1},"b":{"k":2,"m":2},"c":{"false":3,"k":1,"l":1,"m":2}}
    "#]],
    );
    check(
        "a: &k key\n*k : 1",
        expect![[r#"
        {"a":"key","key":1}
    "#]],
    );
    check(
        "a: &x 1\nb: *x\nc: &x 2\nd: *x",
        expect![[r#"
        {"a":1,"b":1,"c":2,"d":2}
    "#]],
    );
    check(
        "<<: 1",
        expect![[r#"
        1:5 error converting YAML to JSON: yaml: map merge requires map or sequence of maps as the value
    "#]],
    );
    check(
        "a: &x [1]\nb: {<<: *x}",
        expect![[r#"
        2:9 error converting YAML to JSON: yaml: map merge requires map or sequence of maps as the value
    "#]],
    );
    check(
        "a: *nowhere",
        expect![[r#"
        1:4 error converting YAML to JSON: yaml: unknown anchor 'nowhere' referenced
    "#]],
    );
    check(
        "a: &x [1, *x]",
        expect![[r#"
        1:11 error converting YAML to JSON: yaml: anchor 'x' value contains itself
    "#]],
    );
    check(
        "'<<': 1",
        expect![[r#"
        {"<<":1}
    "#]],
    );
}

#[test]
fn streams() {
    check("", expect![""]);
    check("\n\n# only a comment\n", expect![""]);
    check(
        "---\n---\n# c\n---\na: 1\n--- # comment\nb: 1\n...\n---\nnull\n---\n",
        expect![[r#"
        {"a":1}
        {"b":1}
    "#]],
    );
    check(
        "a: 1\n--- b: 2\n",
        expect![[r#"
        2:1 invalid Yaml document separator: b: 2
    "#]],
    );
    check(
        "a: 1\n---\nb: [\n---\nc: 1\n",
        expect![[r#"
        {"a":1}
        4:1 error converting YAML to JSON: yaml: line 1: did not find expected node content
        {"c":1}
    "#]],
    );
    check(
        "a: 1\r\nb: |\r\n  x\r\n  y\r\n---\r\nc: 1\r\n",
        expect![[r#"
        {"a":1,"b":"x\ny\n"}
        {"c":1}
    "#]],
    );
    check(
        "a: |\n  text",
        expect![[r#"
        {"a":"text\n"}
    "#]],
    );
    check(
        "hello",
        expect![[r#"
        "hello"
    "#]],
    );
    check(
        "%YAML 1.2\n---\na: 1",
        expect![[r#"
            1:1 error converting YAML to JSON: yaml: found incompatible YAML document
            {"a":1}
        "#]],
    );
    check(
        "%YAML 1.1\n---\na: 1",
        expect![[r#"
        2:1 error converting YAML to JSON: yaml: line 1: did not find expected <document start>
        {"a":1}
    "#]],
    );
    check(
        "\n# c\n%YAML 1.2\n---\na: 1",
        expect![[r#"
            3:1 error converting YAML to JSON: yaml: line 2: found incompatible YAML document
            {"a":1}
        "#]],
    );
    check("# c\n%YAML 2 # c\n", expect![[r#"
        2:1 error converting YAML to JSON: yaml: line 1: found incompatible YAML document
    "#]]);
    check(
        "\u{feff}a: 1",
        expect![[r#"
        {"a":1}
    "#]],
    );
}

#[test]
fn json_streams() {
    check(
        "{\"b\": 1, \"a\": [1.0, 1e3, -0, 1.5, 12345678901234567890, \"\\u00e9\\ud83d\\ude00\\ud83d\\n\"]}",
        expect![[r#"
            {"a":[1,1000,0,1.5,1.2345678901234567e+19,"é😀�\n"],"b":1}
        "#]],
    );
    check(
        "{\"a\": 1}{\"b\": 2}\n{\"c\": 3}",
        expect![[r#"
        {"a":1}
        {"b":2}
        {"c":3}
    "#]],
    );
    check(
        "{\"a\": 1}\n---\nb: 2\n",
        expect![[r#"
        {"a":1}
        {"b":2}
    "#]],
    );
    check(
        "{\"a\": 1}\n{\"b\": 1}\n{c: 1}",
        expect![[r#"
        {"a":1}
        {"b":1}
        3:2 invalid character 'c' looking for beginning of object key string
    "#]],
    );
    check(
        "{a: b, c: [d]}",
        expect![[r#"
        {"a":"b","c":["d"]}
    "#]],
    );
    check(
        "{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}, \"a\": 2}",
        expect![[r#"
        {"a":2,"b":{"c":2}} twice: b.c at 1 and 1 twice: a at 1 and 1
    "#]],
    );
    check(
        "\t{\n\t\"a\":\t1}",
        expect![[r#"
        {"a":1}
    "#]],
    );
}

#[test]
fn broken_json() {
    let mut found = String::new();
    for text in [
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{\"a\":1 2}",
        "{\"a\":[1 2]}",
        "{\"a\":tru}",
        "{\"a\":nul",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u00g0\"}",
        "{'a':1}",
        "{\"a\":é}",
        "{\"a\":1}x",
        "{\"a\":1}{\"b\":1}x",
        "{\"a\":1e999}",
    ] {
        found += &format!("{text:?}\n  {}", outcome(text).replace('\n', "\n  ").trim_end_matches(' '));
    }
    expect![[r#"
        "{"
          1:2 unexpected EOF
        "{\"a\""
          1:5 unexpected EOF
        "{\"a\":"
          1:6 unexpected EOF
        "{\"a\":1"
          1:7 unexpected EOF
        "{\"a\":1,"
          1:8 unexpected EOF
        "{\"a\":1,}"
          {"a":1}
        "{\"a\" 1}"
          1:6 json: offset 6: invalid character '1' after object key
        "{\"a\":1 2}"
          {"a":"1 2"}
        "{\"a\":[1 2]}"
          {"a":["1 2"]}
        "{\"a\":tru}"
          {"a":"tru"}
        "{\"a\":nul"
          1:9 unexpected EOF
        "{\"a\":01}"
          {"a":1}
        "{\"a\":1.}"
          {"a":1}
        "{\"a\":1e}"
          {"a":"1e"}
        "{\"a\":-}"
          1:7 json: offset 7: invalid character '}' in numeric literal
        "{\"a\":\"\n\"}"
          {"a":" "}
        "{\"a\":\"\\x\"}"
          1:8 json: offset 8: invalid character 'x' in string escape code
        "{\"a\":\"\\u00g0\"}"
          1:11 json: offset 11: invalid character 'g' in \u hexadecimal character escape
        "{'a':1}"
          {"a":1}
        "{\"a\":é}"
          {"a":"é"}
        "{\"a\":1}x"
          {"a":1}
          "x"
        "{\"a\":1}{\"b\":1}x"
          {"a":1}
          {"b":1}
          1:15 invalid character 'x' looking for beginning of value
        "{\"a\":1e999}"
          {"a":"1e999"}
    "#]]
    .assert_eq(&found);
}

#[test]
fn broken_yaml() {
    let mut found = String::new();
    for text in [
        "kind: Pod\nmetadata:\n  name: a\n bad: x\n",
        "a:\n  - b\n c: 1\n",
        "a: [\n",
        "a: {b: 1\n",
        "a: {b: 1\nc: 2\n",
        "a: [1, 2\nb: 3\n",
        "a: b: c",
        "x: 1\na: b: c",
        "a:\n\tb: 1",
        "\ta: 1",
        "a: 1\n\tb: 2\n",
        "a\nb: 1\n",
        "x: 1\na\nb: 1\n",
        "a: 'b\n",
        "a: \"b\nc: d\n",
        "a: \"\\q\"\n",
        "x: 1\na: @b\n",
        "a: `b`\n",
        "a: %b\n",
        "a: - b\n",
        "- a\nb: c\n",
        "a: 1\n- b\n",
        "a: ]\n",
        "a: }\n",
        "}\n",
        "a: &\n",
        "a: *\n",
        "a: !<x\n",
        "a: |x\n  b\n",
        "a: 1\n b: 2\n",
        "a: \"b\" c\n",
        "a: 'b' c\n",
        "a: [b]]\n",
        "a: , b\n",
        "a: ,\n",
        "key: [a, b\n---\nc: 1",
        "a: \u{1}\n",
        "- - a\n - b\n",
        "spec:\n  containers:\n    - name: a\n     image: b\n",
        "spec:\n  containers:\n    - name: a\n       image: b\n",
        "spec:\n  containers:\n  - name: a\n   image: b\n",
        "a: {b: c, d}\nb: {e, f: [g: h]}\n",
        "{a: 1}}\n",
        "a: |\n  b\n c\n",
        "a: >-\n  b\n  c\nd\n",
        "? a\n? b\nc",
        "%FOO\n---\na: 1",
        "%\n---\na: 1",
        "a: 1\n%YAML 1.1\n---\nb: 1",
        "\"a\n\": 1",
    ] {
        found += &format!("{text:?}\n  {}", outcome(text).replace('\n', "\n  ").trim_end_matches(' '));
    }
    expect![[r#"
        "kind: Pod\nmetadata:\n  name: a\n bad: x\n"
          4:2 error converting YAML to JSON: yaml: line 3: did not find expected key
        "a:\n  - b\n c: 1\n"
          3:2 error converting YAML to JSON: yaml: line 2: did not find expected key
        "a: [\n"
          2:1 error converting YAML to JSON: yaml: line 1: did not find expected node content
        "a: {b: 1\n"
          2:1 error converting YAML to JSON: yaml: line 1: did not find expected ',' or '}'
        "a: {b: 1\nc: 2\n"
          2:2 error converting YAML to JSON: yaml: line 1: did not find expected ',' or '}'
        "a: [1, 2\nb: 3\n"
          2:2 error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'
        "a: b: c"
          1:5 error converting YAML to JSON: yaml: mapping values are not allowed in this context
        "x: 1\na: b: c"
          2:5 error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context
        "a:\n\tb: 1"
          2:1 error converting YAML to JSON: yaml: line 2: found character that cannot start any token
        "\ta: 1"
          1:1 error converting YAML to JSON: yaml: found character that cannot start any token
        "a: 1\n\tb: 2\n"
          2:1 error converting YAML to JSON: yaml: line 2: found a tab character that violates indentation
        "a\nb: 1\n"
          2:2 error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context
        "x: 1\na\nb: 1\n"
          3:1 error converting YAML to JSON: yaml: line 3: could not find expected ':'
        "a: 'b\n"
          2:1 error converting YAML to JSON: yaml: line 2: found unexpected end of stream
        "a: \"b\nc: d\n"
          3:1 error converting YAML to JSON: yaml: line 3: found unexpected end of stream
        "a: \"\\q\"\n"
          1:5 error converting YAML to JSON: yaml: found unknown escape character
        "x: 1\na: @b\n"
          2:4 error converting YAML to JSON: yaml: line 2: found character that cannot start any token
        "a: `b`\n"
          1:4 error converting YAML to JSON: yaml: found character that cannot start any token
        "a: %b\n"
          1:4 error converting YAML to JSON: yaml: found character that cannot start any token
        "a: - b\n"
          1:4 error converting YAML to JSON: yaml: block sequence entries are not allowed in this context
        "- a\nb: c\n"
          2:1 error converting YAML to JSON: yaml: line 1: did not find expected '-' indicator
        "a: 1\n- b\n"
          2:1 error converting YAML to JSON: yaml: line 1: did not find expected key
        "a: ]\n"
          1:4 error converting YAML to JSON: yaml: did not find expected node content
        "a: }\n"
          1:4 error converting YAML to JSON: yaml: did not find expected node content
        "}\n"
          1:1 error converting YAML to JSON: yaml: did not find expected node content
        "a: &\n"
          1:5 error converting YAML to JSON: yaml: did not find expected alphabetic or numeric character
        "a: *\n"
          1:5 error converting YAML to JSON: yaml: did not find expected alphabetic or numeric character
        "a: !<x\n"
          1:7 error converting YAML to JSON: yaml: did not find the expected '>'
        "a: |x\n  b\n"
          1:5 error converting YAML to JSON: yaml: did not find expected comment or line break
        "a: 1\n b: 2\n"
          2:3 error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context
        "a: \"b\" c\n"
          1:8 error converting YAML to JSON: yaml: did not find expected key
        "a: 'b' c\n"
          1:8 error converting YAML to JSON: yaml: did not find expected key
        "a: [b]]\n"
          1:7 error converting YAML to JSON: yaml: did not find expected key
        "a: , b\n"
          1:4 error converting YAML to JSON: yaml: did not find expected node content
        "a: ,\n"
          1:4 error converting YAML to JSON: yaml: did not find expected node content
        "key: [a, b\n---\nc: 1"
          2:1 error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'
          {"c":1}
        "a: \u{1}\n"
          1:1 error converting YAML to JSON: yaml: control characters are not allowed
        "- - a\n - b\n"
          2:2 error converting YAML to JSON: yaml: line 1: did not find expected '-' indicator
        "spec:\n  containers:\n    - name: a\n     image: b\n"
          4:6 error converting YAML to JSON: yaml: line 3: did not find expected '-' indicator
        "spec:\n  containers:\n    - name: a\n       image: b\n"
          4:13 error converting YAML to JSON: yaml: line 4: mapping values are not allowed in this context
        "spec:\n  containers:\n  - name: a\n   image: b\n"
          4:4 error converting YAML to JSON: yaml: line 3: did not find expected key
        "a: {b: c, d}\nb: {e, f: [g: h]}\n"
          {"a":{"b":"c","d":null},"b":{"e":null,"f":[{"g":"h"}]}}
        "{a: 1}}\n"
          1:2 json: offset 2: invalid character 'a' looking for beginning of object key string
        "a: |\n  b\n c\n"
          3:2 error converting YAML to JSON: yaml: line 2: did not find expected key
        "a: >-\n  b\n  c\nd\n"
          5:1 error converting YAML to JSON: yaml: line 5: could not find expected ':'
        "? a\n? b\nc"
          4:1 error converting YAML to JSON: yaml: line 4: could not find expected ':'
        "%FOO\n---\na: 1"
          1:5 error converting YAML to JSON: yaml: found unknown directive name
          {"a":1}
        "%\n---\na: 1"
          1:2 error converting YAML to JSON: yaml: could not find expected directive name
          {"a":1}
        "a: 1\n%YAML 1.1\n---\nb: 1"
          2:1 error converting YAML to JSON: yaml: line 2: missing explicit document end marker before directive
          {"b":1}
        "\"a\n\": 1"
          2:2 error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context
    "#]]
    .assert_eq(&found);
}

#[test]
fn limits() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(read_one(&deep(MAX_DEPTH)).is_ok());
    let mut found = format!("{}\n", read_one(&deep(MAX_DEPTH + 1)).expect_err("too deep"));
    let block = (0..=MAX_DEPTH).map(|level| " ".repeat(level) + "a:\n").collect::<String>();
    found += &format!("{}\n", read_one(&block).expect_err("too deep"));
    let json = "{\"a\":".repeat(MAX_DEPTH + 1);
    found += &format!("{}\n", read_one(&json).expect_err("too deep"));
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let item = format!("*a{}, ", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", item.repeat(10));
    }
    found += &format!("{}\n", read_one(&laughs).expect_err("too many"));
    let mut merges = "a0: &a0 {x: 1}\n".to_owned();
    for level in 1..200 {
        merges += &format!("a{level}: &a{level} {{<<: *a{}}}\n", level - 1);
    }
    found += &format!("{}\n", read_one(&merges).expect_err("too deep"));
    found += &format!("{}\n", read_one(&"é".repeat(MAX_TEXT_BYTES)).expect_err("too long"));
    expect![[r#"
        yaml: exceeded max depth of 120
        yaml: exceeded max depth of 120
        exceeded max depth
        yaml: document contains excessive aliasing
        yaml: exceeded max depth of 120
        the text is longer than 3145728 bytes
    "#]]
    .assert_eq(&found);
}

/// Every place of a text: path, key, value.
fn places(text: &str) -> String {
    fn walk(spans: &Spans, path: &mut Vec<super::Segment>, text: &str, found: &mut String) {
        let show = |span: super::Span| {
            let shown = &text[span.start.offset..span.end.offset];
            format!("{}:{}-{}:{} {shown:?}", span.start.line, span.start.column, span.end.line, span.end.column)
        };
        let key = spans.key.map_or(String::new(), |key| format!("{} → ", show(key)));
        *found += &format!("{}: {key}{}\n", path_text(path), show(spans.value));
        for (segment, child) in spans.children() {
            path.push(segment);
            walk(child, path, text, found);
            path.pop();
        }
    }
    let mut found = String::new();
    for document in read(text).into_iter().flatten() {
        walk(&document.spans, &mut Vec::new(), text, &mut found);
    }
    found
}

#[test]
fn spans() {
    expect![[r#"
        : 1:1-9:2 "a: é\nb:\n  - x: 'q'\n    y: |\n      text\n      more\n\n  - [1, {z: 2}]\nc"
        a: 1:1-1:2 "a" → 1:4-1:5 "é"
        b: 2:1-2:2 "b" → 3:3-8:16 "- x: 'q'\n    y: |\n      text\n      more\n\n  - [1, {z: 2}]"
        b[0]: 3:5-6:11 "x: 'q'\n    y: |\n      text\n      more"
        b[0].true: 4:5-4:6 "y" → 5:7-6:11 "text\n      more"
        b[0].x: 3:5-3:6 "x" → 3:8-3:11 "'q'"
        b[1]: 8:5-8:16 "[1, {z: 2}]"
        b[1][0]: 8:6-8:7 "1"
        b[1][1]: 8:9-8:15 "{z: 2}"
        b[1][1].z: 8:10-8:11 "z" → 8:13-8:14 "2"
        c: 9:1-9:2 "c" → 9:2-9:2 ""
    "#]]
    .assert_eq(&places("a: é\nb:\n  - x: 'q'\n    y: |\n      text\n      more\n\n  - [1, {z: 2}]\nc:\n# end\n"));
    expect![[r#"
        : 2:1-2:13 "a: &x {b: 1}"
        a: 2:1-2:2 "a" → 2:7-2:13 "{b: 1}"
        a.b: 2:8-2:9 "b" → 2:11-2:12 "1"
        : 4:1-5:6 "c: &x !!str 1\nd: *x"
        c: 4:1-4:2 "c" → 4:13-4:14 "1"
        d: 5:1-5:2 "d" → 5:4-5:6 "*x"
    "#]]
    .assert_eq(&places("---\na: &x {b: 1}\n---\nc: &x !!str 1\nd: *x\n"));
    expect![[r#"
        : 1:1-2:16 "{\"a\": [1,\n \"é\"], \"b\": {}}"
        a: 1:2-1:5 "\"a\"" → 1:7-2:6 "[1,\n \"é\"]"
        a[0]: 1:8-1:9 "1"
        a[1]: 2:2-2:5 "\"é\""
        b: 2:8-2:11 "\"b\"" → 2:13-2:15 "{}"
        : 3:1-3:12 "{\"c\": null}"
        c: 3:2-3:5 "\"c\"" → 3:7-3:11 "null"
    "#]]
    .assert_eq(&places("{\"a\": [1,\n \"é\"], \"b\": {}}\n{\"c\": null}"));
    expect![[r#"
        : 1:1-3:7 "a:\r\n- b\r\n- c: d"
        a: 1:1-1:2 "a" → 2:1-3:7 "- b\r\n- c: d"
        a[0]: 2:3-2:4 "b"
        a[1]: 3:3-3:7 "c: d"
        a[1].c: 3:3-3:4 "c" → 3:6-3:7 "d"
    "#]]
    .assert_eq(&places("a:\r\n- b\r\n- c: d\r\n"));
}

/// Texts made by chance from what matters to the grammar: nothing may panic, and every span must lie within the text.
#[test]
fn no_text_panics() {
    let pieces = [
        "a",
        ": ",
        "- ",
        "\n",
        "  ",
        "\t",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&x ",
        "*x",
        "!!int ",
        "!",
        "|",
        ">-",
        "'",
        "\"",
        "\\",
        "#",
        "%YAML 1.1",
        "---\n",
        "...\n",
        "<<: ",
        "~",
        "1",
        "0x",
        ".",
        "é",
        "\r\n",
        "? ",
        "@",
        "\u{feff}",
        "null",
        "\\u00",
        "e+",
        "true",
    ];
    let mut random = crate::machinery::random::Random::new(7);
    for _ in 0..20_000 {
        let length = random.below(14);
        let text: String = (0..length).map(|_| pieces[random.below(pieces.len() as u64) as usize]).collect();
        for result in read(&text) {
            match result {
                Ok(document) => check_spans(&document.spans, &text),
                Err(error) => assert!(text.is_char_boundary(error.position.offset), "{text:?}"),
            }
        }
    }
}

fn check_spans(spans: &Spans, text: &str) {
    for span in [Some(spans.value), spans.key].into_iter().flatten() {
        assert!(text.get(span.start.offset..span.end.offset).is_some(), "{text:?} {span:?}");
        let lines = text[..span.start.offset].matches('\n').count();
        assert_eq!(lines + 1, span.start.line, "{text:?} {span:?}");
    }
    spans.children().for_each(|(_, child)| check_spans(child, text));
}
