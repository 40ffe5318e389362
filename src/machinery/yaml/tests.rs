//! Text cases: what a text means, what is said of a broken one, and where things stand.

use expect_test::{expect, expect_file};

use super::{MAX_DEPTH, MAX_TEXT_BYTES, Spans, path_text, read, read_one};

/// Each text of the file with what is found now; the file is what should be found.
#[test]
fn cases() {
    let mut found = String::new();
    for line in include_str!("cases.txt").lines() {
        if line.starts_with(['#', '>']) {
            let is_heading = line.starts_with('#') && found.ends_with("Rust), the lines below it are its\n");
            if !found.is_empty() && !is_heading {
                found.push('\n');
            }
            found += line;
            found.push('\n');
        }
        if let Some(text) = line.strip_prefix("> ") {
            found += &outcome(&unescape(text));
        }
    }
    expect_file!["./cases.txt"].assert_eq(&found);
}

fn unescape(text: &str) -> String {
    let mut result = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            result.push(character);
            continue;
        }
        result.push(match characters.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('u') => {
                let code: String = characters.by_ref().skip(1).take_while(|&c| c != '}').collect();
                u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).expect("a character's code")
            }
            other => other.expect("something follows a backslash"),
        });
    }
    result
}

/// The documents as JSON, one a line, or the place of a mistake and what kubectl would say of it.
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
