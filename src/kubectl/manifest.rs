//! Objects from files and standard input: `-f`.
//!
//! Follows `FilenameParam` and the visitors of `k8s.io/cli-runtime/pkg/resource`.

use serde_json::Value;

use super::api::Api;
use super::builder::{Info, Query};
use super::cli::Cli;
use super::failure::Failure;
use super::kustomize;
use crate::api::{Kind, OtherVersion};
use crate::machinery::{go_json, manifest, strict};
use crate::node::network::GATEWAY_API;

/// The objects of all files of the command line, in order. What cannot be read stands in its place.
pub(super) fn read(cli: &mut Cli<'_>, query: Query<'_>) -> Vec<Result<Info, Failure>> {
    let mut found = Vec::new();
    if cli.flags().has("kustomize") {
        if cli.flags().has("filename") {
            found.push(Err(Failure::message("only one of -f or -k can be specified")));
            return found;
        }
        let directory = cli.flags().text("kustomize").trim_end_matches('/').to_owned();
        return kustomize::infos(cli, &directory, query);
    }
    for path in cli.flags().texts("filename") {
        match texts(cli, &path) {
            Err(failure) => found.push(Err(failure)),
            Ok(texts) => {
                for (source, text) in texts {
                    objects(cli, &source, &text, query, &mut found);
                }
            }
        }
    }
    // What cannot be read is told of when all else is done.
    found.sort_by_key(Result::is_err);
    found
}

/// The texts behind a path: standard input, a file, or the files of a directory.
fn texts(cli: &mut Cli<'_>, path: &str) -> Result<Vec<(String, String)>, Failure> {
    if path == "-" {
        return Ok(vec![("STDIN".to_owned(), cli.stdin.to_owned())]);
    }
    if path.starts_with("http://") || path.starts_with("https://") {
        // The one text of the internet that is here, since nothing works without it.
        if path.contains("gateway-api/releases/") && path.ends_with("-install.yaml") {
            return Ok(vec![(path.to_owned(), GATEWAY_API.to_owned())]);
        }
        return Err(Failure::Message(format!("unable to read URL {path:?}, there is no network here")));
    }
    let mut paths = vec![path.to_owned()];
    if let Some(names) = cli.files.list(path) {
        let of_objects = |name: &String| [".json", ".yaml", ".yml"].iter().any(|end| name.ends_with(end));
        paths = names.iter().filter(|name| of_objects(name)).map(|name| format!("{path}/{name}")).collect();
        if paths.is_empty() {
            return Err(Failure::Message(format!(
                "error reading [{path}]: recognized file extensions are [.json .yaml .yml]"
            )));
        }
    }
    let mut texts = Vec::with_capacity(paths.len());
    for path in paths {
        let bytes = cli.files.read(&path).map_err(|why| match why.as_str() {
            "no such file or directory" => Failure::Message(format!("the path {path:?} does not exist")),
            why => Failure::Message(format!("open {path}: {why}")),
        })?;
        texts.push((path, String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(texts)
}

fn objects(cli: &mut Cli<'_>, source: &str, text: &str, query: Query<'_>, found: &mut Vec<Result<Info, Failure>>) {
    let manifests = manifest::read(text);
    let (objects, error) = manifests.until_error();
    if objects.is_empty() && error.is_none() {
        found.push(Err(Failure::message("no objects passed to ".to_owned() + cli.parsed.command.name)));
    }
    let default = cli.namespace();
    let enforced = cli.flags().has("namespace");
    for object in objects {
        found.push(object_info(cli.api, source, &object.value, (&default, enforced), query));
    }
    if let Some(error) = error {
        found.push(Err(Failure::Message(format!("error parsing {source}: {}", error.message))));
    }
}

/// An object that does not come from a file of its own.
pub(super) fn info(cli: &Cli<'_>, source: &str, value: &Value, query: Query<'_>) -> Result<Info, Failure> {
    object_info(cli.api, source, value, (&cli.namespace(), cli.flags().has("namespace")), query)
}

fn object_info(
    api: &dyn Api,
    source: &str,
    value: &Value,
    (default, enforced): (&str, bool),
    query: Query<'_>,
) -> Result<Info, Failure> {
    if query.validate
        && let Err(why) = strict::validate(value)
    {
        return Err(Failure::Message(format!(
            "error validating {source:?}: error validating data: {why}; if you choose to ignore these errors, turn \
             validation off with --validate=false"
        )));
    }
    if let Err(why) = strict::check_metadata(value) {
        return Err(Failure::Message(format!("unable to decode {source:?}: {why}")));
    }
    if value["kind"].as_str().unwrap_or("").is_empty() {
        let text = go_json::marshal(value);
        return Err(Failure::Message(format!("unable to decode {source:?}: Object 'Kind' is missing in '{text}'")));
    }
    let kind = mapping(api, value, source)?;
    let mut object = value.clone();
    let said = value["metadata"]["namespace"].as_str().unwrap_or("");
    let mut namespace = String::new();
    if kind.info().namespaced {
        if enforced && !said.is_empty() && said != default {
            return Err(Failure::Message(format!(
                "the namespace from the provided object {said:?} does not match the namespace {default:?}. You must pass \
                 '--namespace={said}' to perform this operation."
            )));
        }
        namespace = if said.is_empty() { default.to_owned() } else { said.to_owned() };
        if !object["metadata"].is_object() {
            object["metadata"] = Value::Object(serde_json::Map::new());
        }
        if !query.local {
            object["metadata"]["namespace"] = namespace.clone().into();
        }
    }
    let name = value["metadata"]["name"].as_str().unwrap_or("").to_owned();
    Ok(Info { kind, namespace, name, source: source.to_owned(), object, row: None })
}

/// The kind of a manifest.
fn mapping(api: &dyn Api, value: &Value, source: &str) -> Result<Kind, Failure> {
    let text = |field: &str| value[field].as_str().unwrap_or("");
    let (version, kind) = (text("apiVersion"), text("kind"));
    // The mapper that kubectl makes of discovery knows each kind in small letters too.
    let in_small_letters = || {
        let fits = |known: &&Kind| known.api_version() == version && known.info().kind.to_lowercase() == kind;
        Kind::ALL.iter().find(fits).copied()
    };
    let custom =
        || api.custom_kinds().into_iter().find(|known| known.api_version() == version && known.info().kind == kind);
    let in_other_version = || OtherVersion::from_manifest(version, kind).map(|other| other.kind);
    let built_in = Kind::from_manifest(version, kind).or_else(in_other_version).or_else(in_small_letters);
    built_in.or_else(custom).ok_or_else(|| {
        let metadata = |field: &str| value["metadata"][field].as_str().unwrap_or("");
        Failure::Message(format!(
            "resource mapping not found for name: {:?} namespace: {:?} from {source:?}: no matches for kind {kind:?} in \
             version {version:?}\nensure CRDs are installed first",
            metadata("name"),
            metadata("namespace"),
        ))
    })
}
