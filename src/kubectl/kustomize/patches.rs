//! `patches`, `patchesStrategicMerge` and `patchesJson6902`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::cli::Cli;
use super::super::failure::Failure;
use super::{Resource, items, text};
use crate::machinery::labels::Selector;
use crate::machinery::{patch, schema, yaml};

/// Changes objects as the patches say.
pub(super) fn run(
    cli: &mut Cli<'_>,
    directory: &str,
    own: &Value,
    resources: &mut Vec<Resource>,
) -> Result<(), Failure> {
    for source in items(&own["patchesStrategicMerge"]).iter().map(text) {
        // It is a file, or the patch itself.
        let inline = source.contains('\n');
        let patch = if inline { source.to_owned() } else { file(cli, directory, source)? };
        apply(&patch, &Value::Null, resources)?;
    }
    for field in ["patches", "patchesJson6902"] {
        for entry in items(&own[field]) {
            let patch = match (entry["patch"].as_str(), entry["path"].as_str()) {
                (Some(patch), _) => patch.to_owned(),
                (None, Some(path)) => file(cli, directory, path)?,
                (None, None) => return Err(Failure::message("must specify one of patch and path in patches")),
            };
            apply(&patch, &entry["target"], resources)?;
        }
    }
    Ok(())
}

fn file(cli: &mut Cli<'_>, directory: &str, path: &str) -> Result<String, Failure> {
    let path = format!("{directory}/{path}");
    let bytes = cli.files.read(&path);
    let bytes =
        bytes.map_err(|why| Failure::Message(format!("failed to get the patch file from path({path}): {why}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn apply(text_of: &str, target: &Value, resources: &mut Vec<Resource>) -> Result<(), Failure> {
    let unreadable =
        |why: String| Failure::Message(format!("unable to parse SM or JSON patch from [{text_of}]: {why}"));
    for document in text_of.split("\n---\n").filter(|document| !document.trim().is_empty()) {
        let change = yaml::read_one(document).map_err(|error| unreadable(error.message))?.value;
        let mut is_used = false;
        for resource in resources.iter_mut() {
            let is_meant = if target.is_object() { is_target(resource, target)? } else { is_same(resource, &change) };
            if !is_meant {
                continue;
            }
            is_used = true;
            resource.object = if change.is_array() {
                patch::json::decode(&change)
                    .and_then(|operations| patch::json::apply(resource.object.clone(), &operations))
                    .map_err(|error| Failure::message(error.message()))?
            } else {
                strategic(resource, &change)?
            };
        }
        if !is_used && !target.is_object() {
            let (kind, name) = (text(&change["kind"]), text(&change["metadata"]["name"]));
            return Err(Failure::Message(format!(
                "no resource matches strategic merge patch \"{kind}.{name}\": no matches for Id {kind}/{name}; failed to find unique target for patch"
            )));
        }
    }
    resources.retain(|resource| resource.object["$patch"] != "delete" && !resource.object.is_null());
    Ok(())
}

/// A strategic merge; of kinds that the table of types does not know, a plain merge.
fn strategic(resource: &Resource, change: &Value) -> Result<Value, Failure> {
    if change["$patch"] == "delete" {
        return Ok(Value::Null);
    }
    let mut change = change.clone();
    // Which object is meant is no change of its name.
    if let Some(fields) = change.as_object_mut() {
        fields.shift_remove("apiVersion");
        fields.shift_remove("kind");
    }
    if let Some(metadata) = change.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("name");
        metadata.shift_remove("namespace");
    }
    let object = resource.object.clone();
    let result = match schema::lookup(text(&object["apiVersion"]), text(&object["kind"])) {
        Some(schema) => patch::strategic::apply(object, change, schema),
        None => patch::merge::apply(object, change),
    };
    result.map_err(|error| Failure::message(error.message()))
}

/// Whether a patch says of itself that it is for this object.
fn is_same(resource: &Resource, change: &Value) -> bool {
    let group = |object: &Value| text(&object["apiVersion"]).rsplit_once('/').map_or("", |(group, _)| group).to_owned();
    change["kind"] == resource.object["kind"]
        && group(change) == group(&resource.object)
        && resource.names.iter().any(|name| change["metadata"]["name"] == **name)
}

/// Whether a target selects this object. Names are patterns that must fit as a whole.
fn is_target(resource: &Resource, target: &Value) -> Result<bool, Failure> {
    let object = &resource.object;
    let (group, version) = text(&object["apiVersion"]).split_once('/').unwrap_or(("", text(&object["apiVersion"])));
    let fits = |field: &str, value: &str| target[field].as_str().is_none_or(|pattern| matches(pattern, value));
    let is_named =
        target["name"].as_str().is_none_or(|pattern| resource.names.iter().any(|name| matches(pattern, name)));
    let selects = |field: &str, map: &str| -> Result<bool, Failure> {
        let selector = Selector::parse(text(&target[field])).map_err(Failure::Message)?;
        let pairs = object["metadata"][map].as_object().into_iter().flatten();
        let pairs: BTreeMap<String, String> = pairs.map(|(key, value)| (key.clone(), text(value).to_owned())).collect();
        Ok(selector.matches(&pairs))
    };
    Ok(fits("group", group)
        && fits("version", version)
        && fits("kind", resource.kind())
        && fits("namespace", text(&object["metadata"]["namespace"]))
        && is_named
        && selects("labelSelector", "labels")?
        && selects("annotationSelector", "annotations")?)
}

/// Patterns of the simplest sort: `.*` for anything and `|` for one of several.
fn matches(pattern: &str, value: &str) -> bool {
    let one = |pattern: &str| {
        let mut parts = pattern.split(".*");
        let Some(mut rest) = parts.next().and_then(|first| value.strip_prefix(first)) else { return false };
        let parts: Vec<&str> = parts.collect();
        for (at, part) in parts.iter().enumerate() {
            if at + 1 == parts.len() {
                return rest.ends_with(part);
            }
            let Some(found) = rest.find(part) else { return false };
            rest = &rest[found + part.len()..];
        }
        rest.is_empty()
    };
    pattern.trim_start_matches('^').trim_end_matches('$').split('|').any(one)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_as_a_whole() {
        assert!(matches("web", "web") && !matches("we", "web") && matches("w.*", "web") && matches(".*", ""));
        assert!(matches("a|w.*b", "web") && !matches("a.*b", "acbd") && matches("^a.*b.*d$", "acbd"));
    }
}
