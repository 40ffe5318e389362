//! What a real API server of v1.36.2 refused, and in which words.
//!
//! Each file in `tests/validation` is a list of writes one after another, each with what kubectl said: `refused` with
//! the text of the refusal, or `accepted` with the warnings.

mod api_server;

use api_server::{Outcome, Server, read_cases};
use serde_json::Value;

#[test]
fn refusals_have_the_servers_words() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (file, case) in read_cases("validation") {
        let mut server = Server::new("case");
        for (index, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
            count += 1;
            let outcome = match step["create"].as_str() {
                Some(manifest) => {
                    let fill = step["fill"].as_u64().map(|letters| usize::try_from(letters).expect("a length"));
                    server.create(manifest, fill)
                }
                None => server.patch(&step["patch"]),
            };
            let (expected, actual) = (expectation(step), told(&outcome));
            if expected != actual {
                failures.push(format!("{file}, step {index}\nexpected: {expected}\n  actual: {actual}\n"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} differ:\n\n{}", failures.len(), failures.join("\n"));
}

fn expectation(step: &Value) -> String {
    match step["refused"].as_str() {
        Some(text) => squeeze(text),
        None => {
            let warnings = step["warnings"].as_array().into_iter().flatten();
            let warnings: Vec<&str> = warnings.filter_map(Value::as_str).collect();
            format!("accepted {}", warnings.join("\n")).trim_end().to_owned()
        }
    }
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Ok((_, warnings)) => format!("accepted {}", warnings.join("\n")).trim_end().to_owned(),
        Err(text) => squeeze(text),
    }
}

/// The recordings keep no more than two blanks in a row.
fn squeeze(text: &str) -> String {
    let mut squeezed = text.trim_end().to_owned();
    while squeezed.contains("   ") {
        squeezed = squeezed.replace("   ", "  ");
    }
    squeezed
}
