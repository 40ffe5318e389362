//! Types that are one of some words. Their words stand in `enums.txt`, since the types of Rust know them as plain text.

use serde_json::{Value, json};

/// Each type on a line of its own, and below it, after a tabulator, its words with what they mean.
const SOURCE: &str = include_str!("enums.txt");

/// The words of a type, in order, each with what it means.
pub(super) fn words(name: &str) -> Vec<(&'static str, &'static str)> {
    let mut lines = SOURCE.lines().skip_while(|line| *line != name);
    if lines.next().is_none() {
        return Vec::new();
    }
    let own = lines.map_while(|line| line.strip_prefix('\t'));
    own.map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(word, meaning)| (word.trim_matches('"'), meaning))
        .collect()
}

/// Publishes the words of a type at a field: as a list, and in its description.
pub(super) fn publish(property: &mut Value, name: &str) {
    let words = words(name);
    if words.is_empty() {
        return;
    }
    property["enum"] = words.iter().map(|(word, _)| json!(word)).collect();
    let mut text = property["description"].as_str().unwrap_or("").to_owned();
    text += "\n\nPossible enum values:";
    for (word, meaning) in words {
        text += format!("\n - `{word:?}` {meaning}").trim_end();
    }
    property["description"] = text.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_published_in_order() {
        let types = SOURCE.lines().filter(|line| !line.starts_with(['\t', '#']));
        for name in types {
            let words: Vec<&str> = words(name).into_iter().map(|(word, _)| word).collect();
            assert!(!words.is_empty() && words.is_sorted(), "{name}: {words:?}");
        }
        let mut property = json!({ "description": "How." });
        publish(&mut property, "RestartPolicy");
        assert_eq!(property["enum"], json!(["Always", "Never", "OnFailure"]));
        let text = "How.\n\nPossible enum values:\n - `\"Always\"`\n - `\"Never\"`\n - `\"OnFailure\"`";
        assert_eq!(property["description"], text);
        assert!(words("NoSuchType").is_empty());
    }
}
