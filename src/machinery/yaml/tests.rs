//! Text cases: what a text means, what is said of a broken one, and where things stand.

use expect_test::{Expect, expect};

use super::{MAX_DEPTH, Segment, path_text, read, read_one};

/// The documents as JSON, one a line, or what kubectl would say of them.
fn check(text: &str, expected: Expect) {
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
    expected.assert_eq(&found);
}

#[test]
fn smoke() {
    check("a: 1\n---\nb: [x, {y: z}]\n", expect![""]);
}
