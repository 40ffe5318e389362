//! The hash of a ConfigMap or a Secret that is put behind its name.
//!
//! Follows `k8s.io/kubectl/pkg/util/hash`.

use serde_json::{Map, Value, json};

use crate::machinery::{go_json, sha256};

/// How many letters there are.
const LETTERS: usize = 10;

/// The letters for what a ConfigMap or a Secret holds. Digits and vowels are others, so that no word can come of them.
pub(super) fn suffix(object: &Value) -> String {
    let is_secret = object["kind"] == "Secret";
    let data = object["data"].as_object().cloned().unwrap_or_else(Map::new);
    let mut content = json!({ "kind": object["kind"], "name": object["metadata"]["name"], "data": data });
    if is_secret {
        content["type"] = object["type"].as_str().unwrap_or("").into();
    }
    for field in ["immutable", "binaryData", "stringData"] {
        if let Some(value) = object.get(field).filter(|_| field != "stringData" || is_secret) {
            content[field] = value.clone();
        }
    }
    let hash = sha256::hex(go_json::marshal(&content).as_bytes());
    let letter = |letter| match letter {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    hash.chars().take(LETTERS).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::suffix;

    #[test]
    fn the_letters_are_those_of_upstream_s_own_tests() {
        let map = |data| json!({ "kind": "ConfigMap", "metadata": { "name": "" }, "data": data });
        assert_eq!(suffix(&map(json!({}))), "42745tchd9");
        assert_eq!(suffix(&map(json!({ "one": "" }))), "9g67k2htb6");
        assert_eq!(suffix(&map(json!({ "two": "2", "one": "", "three": "3" }))), "f5h7t85m9b");
        let secret = |data| json!({ "kind": "Secret", "metadata": { "name": "" }, "type": "my-type", "data": data });
        assert_eq!(suffix(&secret(json!({}))), "t75bgf6ctb");
        assert_eq!(suffix(&secret(json!({ "one": "" }))), "74bd68bm66");
    }
}
