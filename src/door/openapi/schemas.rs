//! The schemas of all kinds, as `build.rs` made them (`generate.rs`).

use serde_json::{Map, Value, json};

use crate::door::discovery::GroupVersion;

// `GROUPS`: each group and version with its schemas as JSON, and under no name what all have; `METADATA_SCHEMAS`: those of
// what every object's metadata is; `SECOND`: all of them in the older form.
include!(concat!(env!("OUT_DIR"), "/schemas.rs"));

/// Where a document keeps its schemas.
const PLACE: &str = "#/components/schemas/";

/// The name of the metadata's schema.
pub(super) const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

fn read(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("what the build wrote can be read")
}

/// The schema of what every object's metadata is, and of all that is in it.
pub(super) fn of_metadata() -> Map<String, Value> {
    read(METADATA_SCHEMAS)
}

/// A reference to a schema of the same document.
pub(super) fn reference(name: &str) -> Value {
    json!({ "allOf": [{ "$ref": format!("{PLACE}{name}") }] })
}

/// The schemas of a group's kinds and of all that is in them, as JSON.
pub(super) fn of(own: GroupVersion) -> &'static str {
    let of = |name: &str| GROUPS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    // metrics-server says nothing of its fields.
    of(&own.name()).or_else(|| of("")).unwrap_or("{}")
}

/// All schemas in the older form.
pub(super) fn second() -> Map<String, Value> {
    read(SECOND)
}

/// What the schemas say of types and their fields, in the form that `kubectl explain` in the page reads
/// (`kubectl/explain/descriptions.rs`).
#[cfg(test)]
fn descriptions() -> String {
    let escaped = |value: &Value| {
        let text = value["description"].as_str().unwrap_or("");
        text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t")
    };
    let mut sections = Vec::new();
    for (name, schema) in &second() {
        // What is no struct there is one of a few types that are written as a text or a number.
        let found = super::generate::structure(name).map(|found| (found.package, found.name));
        let (package, own) = found.unwrap_or_else(|| ("meta", name.rsplit('.').next().unwrap_or("")));
        let mut section = format!("= {package} {own}\n{}\n", escaped(schema));
        let mut fields: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
        fields.sort_by_key(|(name, _)| *name);
        for (field, property) in fields.into_iter().filter(|(_, property)| property["description"].is_string()) {
            section.push_str(&format!("\t{field}\t{}\n", escaped(property)));
        }
        sections.push(section);
    }
    sections.sort();
    sections.concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::generate::{references, structure};
    use super::*;

    /// `UPDATE_EXPECT=1 cargo test --features serve --lib descriptions` writes the file anew.
    #[test]
    fn the_page_serves_the_same_descriptions() {
        expect_test::expect_file!["../../../assets/descriptions.txt"].assert_eq(&descriptions());
    }

    #[test]
    fn schemas_say_how_their_lists_are_merged() {
        let apps = read(of(GroupVersion { group: "apps", version: "v1" }));
        let containers = &apps["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["items"]["allOf"][0]["$ref"], "#/components/schemas/io.k8s.api.core.v1.Container");
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
        let deployment = &apps["io.k8s.api.apps.v1.Deployment"];
        let kind = json!([{ "group": "apps", "kind": "Deployment", "version": "v1" }]);
        assert_eq!(deployment["x-kubernetes-group-version-kind"], kind);
        assert!(deployment.get("required").is_none(), "{deployment}");
        assert!(!apps.contains_key("io.k8s.api.batch.v1.Job"), "it belongs to another document");
    }

    #[test]
    fn every_type_of_the_table_that_is_published_has_the_same_fields() {
        for (name, value) in &second() {
            let (Some(found), Some(properties)) = (structure(name), value["properties"].as_object()) else { continue };
            let known: BTreeSet<&str> = found.fields().iter().map(|field| field.name).collect();
            let published: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            let missing: Vec<&&str> =
                published.difference(&known).filter(|name| **name != "apiVersion" && **name != "kind").collect();
            assert!(missing.is_empty(), "{name}: the table does not know {missing:?}");
        }
    }

    #[test]
    fn nothing_is_referred_to_that_is_not_there() {
        // metrics-server says nothing of its fields.
        for own in GroupVersion::all(&[]).into_iter().filter(|own| own.group != "metrics.k8s.io") {
            let schemas = read(of(own));
            let mut wanted = Vec::new();
            schemas.values().for_each(|value| references(value, &mut wanted));
            for name in wanted {
                assert!(schemas.contains_key(&name), "{} lacks {name}", own.path());
            }
            for kind in own.kinds(&[]) {
                let name = kind.info().kind;
                assert!(
                    schemas.keys().any(|known| known.ends_with(&format!(".{name}"))),
                    "{} lacks {name}",
                    own.path()
                );
            }
        }
    }
}
