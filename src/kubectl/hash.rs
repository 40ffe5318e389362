//! The hash of a ConfigMap or a Secret that is put behind its name.
//!
//! Follows `k8s.io/kubectl/pkg/util/hash`, and for kustomize `sigs.k8s.io/kustomize/api/hasher`.

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
    letters(&content)
}

/// The same as kustomize makes them: the name is left out, and what is missing is an empty text.
pub(super) fn kustomize_suffix(object: &Value) -> String {
    let is_secret = object["kind"] == "Secret";
    let data = object.get("data").cloned().unwrap_or_else(|| "".into());
    let mut content = json!({ "kind": object["kind"], "name": "", "data": data });
    if is_secret {
        content["type"] = object["type"].as_str().unwrap_or("").into();
    }
    let more = if is_secret { "stringData" } else { "binaryData" };
    if let Some(value) = object.get(more).filter(|value| value.is_object()) {
        content[more] = value.clone();
    }
    letters(&content)
}

fn letters(content: &Value) -> String {
    let hash = sha256::hex(go_json::marshal(content).as_bytes());
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

    use super::{kustomize_suffix, suffix};

    #[test]
    fn kustomize_leaves_the_name_out() {
        let data = json!({ "color": "green", "text": "two words" });
        let map = json!({ "kind": "ConfigMap", "metadata": { "name": "any" }, "data": data });
        assert_eq!(kustomize_suffix(&map), "7k98hfckdf");
        assert_eq!(kustomize_suffix(&json!({ "kind": "ConfigMap" })), "6ct58987ht");
        let secret = json!({ "kind": "Secret", "type": "Opaque", "data": { "p": "cQ==" } });
        assert_eq!(kustomize_suffix(&secret), "hb2dth72f6");
    }

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
