//! `configMapGenerator` and `secretGenerator`.

use serde_json::{Map, Value, json};

use super::super::cli::Cli;
use super::super::failure::Failure;
use super::super::generate_secrets::put_data;
use super::{Resource, items, text};
use crate::machinery::base64;

/// Makes what the generators say, or changes what bases have made.
pub(super) fn run(
    cli: &mut Cli<'_>,
    directory: &str,
    own: &Value,
    resources: &mut Vec<Resource>,
) -> Result<(), Failure> {
    for (field, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
        for arguments in items(&own[field]) {
            let made = generate(cli, directory, kind, arguments, &own["generatorOptions"])?;
            put(made, text(&arguments["behavior"]), resources)?;
        }
    }
    Ok(())
}

/// Puts a generated object among the others: `behavior`.
fn put(made: Resource, behavior: &str, resources: &mut Vec<Resource>) -> Result<(), Failure> {
    let same = |known: &&mut Resource| known.kind() == made.kind() && known.names.contains(&made.names[0]);
    let known = resources.iter_mut().find(same);
    match (known, behavior) {
        (None, "" | "create") => resources.push(made),
        (Some(_), "" | "create") => {
            return Err(Failure::Message(format!(
                "may not add resource with an already registered id: {}.v1.[noGrp]/{}.[noNs]",
                made.kind(),
                made.name()
            )));
        }
        (None, _) => {
            return Err(Failure::Message(format!(
                "merging from generator: id {} does not exist; cannot merge or replace",
                made.name()
            )));
        }
        (Some(known), behavior) => {
            for field in ["data", "binaryData"] {
                let mut entries = match behavior {
                    "merge" => known.object[field].as_object().cloned().unwrap_or_default(),
                    _ => Map::new(),
                };
                entries.extend(made.object[field].as_object().cloned().unwrap_or_default());
                if entries.is_empty() {
                    known.object.as_object_mut().map(|object| object.shift_remove(field));
                } else {
                    known.object[field] = entries.into();
                }
            }
            known.hashed |= made.hashed;
        }
    }
    Ok(())
}

fn generate(
    cli: &mut Cli<'_>,
    directory: &str,
    kind: &str,
    arguments: &Value,
    common: &Value,
) -> Result<Resource, Failure> {
    let name = text(&arguments["name"]);
    let mut object = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
    if let Some(namespace) = arguments["namespace"].as_str() {
        object["metadata"]["namespace"] = namespace.into();
    }
    let entries = entries(cli, directory, arguments)?;
    if kind == "Secret" {
        let data: Map<String, Value> =
            entries.into_iter().map(|(key, bytes)| (key, base64::encode(&bytes).into())).collect();
        object["type"] = arguments["type"].as_str().unwrap_or("Opaque").into();
        if !data.is_empty() {
            object["data"] = data.into();
        }
    } else {
        put_data(&mut object, entries);
    }
    let options = [common, &arguments["options"]];
    for options in options {
        for map in ["labels", "annotations"] {
            for (key, value) in options[map].as_object().into_iter().flatten() {
                object["metadata"][map][key.as_str()] = value.clone();
            }
        }
        if options["immutable"] == true {
            object["immutable"] = true.into();
        }
    }
    let hashed = !options.iter().any(|options| options["disableNameSuffixHash"] == true);
    Ok(Resource { hashed, ..Resource::new(object) })
}

/// What `envs`, `files` and `literals` give, in this order.
fn entries(cli: &mut Cli<'_>, directory: &str, arguments: &Value) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut found = Vec::new();
    let read = |cli: &mut Cli<'_>, path: &str| {
        let path = format!("{directory}/{path}");
        cli.files.read(&path).map_err(|why| Failure::Message(format!("loading KV pairs: open {path}: {why}")))
    };
    for path in items(&arguments["envs"]).iter().chain(std::iter::once(&arguments["env"])).filter_map(Value::as_str) {
        let file = String::from_utf8_lossy(&read(cli, path)?).into_owned();
        let lines = file.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
        found.extend(lines.map(|line| {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            (key.to_owned(), value.as_bytes().to_vec())
        }));
    }
    for source in items(&arguments["files"]).iter().map(text) {
        let (key, path) = source.split_once('=').unwrap_or((source.rsplit('/').next().unwrap_or(source), source));
        found.push((key.to_owned(), read(cli, path)?));
    }
    for literal in items(&arguments["literals"]).iter().map(text) {
        let (key, value) = literal.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
            Failure::Message(format!(
                "loading KV pairs: literal sources: invalid literal source {literal}, expected key=value"
            ))
        })?;
        found.push((key.to_owned(), unquoted(value).as_bytes().to_vec()));
    }
    Ok(found)
}

/// A value without the quotation marks around it.
fn unquoted(value: &str) -> &str {
    ['"', '\''].iter().find_map(|mark| value.strip_prefix(*mark)?.strip_suffix(*mark)).unwrap_or(value)
}
