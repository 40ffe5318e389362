//! Generators of ConfigMaps and Secrets: `kubectl create configmap` and `kubectl create secret`.
//!
//! Follows `create_configmap.go` and `create_secret*.go` of `k8s.io/kubectl/pkg/cmd/create`.

use serde_json::{Map, Value, json};

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::generate::{make, name};
use super::hash;
use crate::api::Kind;
use crate::machinery::{base64, go_json, names};

/// The registry that is meant when none is named.
const REGISTRY: &str = "https://index.docker.io/v1/";

/// The key of what such a registry is reached with.
const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// Creates the object, with its hash behind its name when that is asked for.
fn make_hashed(cli: &mut Cli<'_>, kind: Kind, mut value: Value) -> Result<Step, Failure> {
    if cli.flags().is("append-hash", false) {
        let name = value["metadata"]["name"].as_str().unwrap_or("");
        value["metadata"]["name"] = format!("{name}-{}", hash::suffix(&value)).into();
    }
    make(cli, kind, value)
}

/// Runs `kubectl create configmap`.
pub(super) fn config_map(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?;
    let mut value = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
    put_data(&mut value, entries(cli, "ConfigMap", name)?);
    make_hashed(cli, Kind::ConfigMap, value)
}

/// Puts entries into a ConfigMap, those that are no texts as bytes.
pub(super) fn put_data(map: &mut Value, entries: Vec<(String, Vec<u8>)>) {
    let (mut texts, mut binary) = (Map::new(), Map::new());
    for (key, bytes) in entries {
        match String::from_utf8(bytes) {
            Ok(text) => texts.insert(key, text.into()),
            Err(error) => binary.insert(key, base64::encode(error.as_bytes()).into()),
        };
    }
    for (field, entries) in [("data", texts), ("binaryData", binary)] {
        if !entries.is_empty() {
            map[field] = entries.into();
        }
    }
}

fn secret(name: &str, sort: &str, data: Map<String, Value>) -> Value {
    let mut value = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
    if !data.is_empty() {
        value["data"] = data.into();
    }
    if !sort.is_empty() {
        value["type"] = sort.into();
    }
    value
}

fn encoded(entries: Vec<(String, Vec<u8>)>) -> Map<String, Value> {
    entries.into_iter().map(|(key, bytes)| (key, base64::encode(&bytes).into())).collect()
}

/// Runs `kubectl create secret generic`.
pub(super) fn generic(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?;
    let data = encoded(entries(cli, "Secret", name)?);
    let value = secret(name, cli.flags().text("type"), data);
    make_hashed(cli, Kind::Secret, value)
}

/// Runs `kubectl create secret docker-registry`.
pub(super) fn docker_registry(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?;
    let flags = cli.flags();
    let server = if flags.has("docker-server") { flags.text("docker-server") } else { REGISTRY };
    let (user, password) = (flags.text("docker-username"), flags.text("docker-password"));
    let data = if flags.has("from-file") {
        let mut found = entries(cli, "Secret", name)?;
        if let [only] = flags.all("from-file") {
            // A file without a name of its own is the one that such a Secret holds.
            if let (false, [(key, _)]) = (only.contains('='), found.as_mut_slice()) {
                DOCKER_CONFIG.clone_into(key);
            }
        }
        encoded(found)
    } else if [user, password, server].contains(&"") {
        return Err(Failure::message(
            "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
        ));
    } else {
        let quoted = |text: &str| go_json::marshal(&Value::from(text));
        let mut fields = format!("\"username\":{},\"password\":{}", quoted(user), quoted(password));
        let email = flags.text("docker-email");
        if !email.is_empty() {
            fields.push_str(&format!(",\"email\":{}", quoted(email)));
        }
        let both = base64::encode(format!("{user}:{password}").as_bytes());
        let config = format!("{{\"auths\":{{{}:{{{fields},\"auth\":{}}}}}}}", quoted(server), quoted(&both));
        encoded(vec![(DOCKER_CONFIG.to_owned(), config.into_bytes())])
    };
    make_hashed(cli, Kind::Secret, secret(name, "kubernetes.io/dockerconfigjson", data))
}

/// Runs `kubectl create secret tls`. That key and certificate belong together is not checked.
pub(super) fn tls(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?;
    let mut files = Vec::new();
    for flag in ["cert", "key"] {
        let path = cli.flags().text(flag);
        if path.is_empty() {
            return Err(Failure::message("key and cert must be specified"));
        }
        let read = cli.files.read(path);
        files.push(read.map_err(|why| Failure::Message(format!("Cannot read file {path}, open {path}: {why}")))?);
    }
    for ((what, end), file) in [("certificate", "CERTIFICATE"), ("key", "PRIVATE KEY")].iter().zip(&files) {
        let text = String::from_utf8_lossy(file);
        let blocks: Vec<&str> =
            text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")).collect();
        if blocks.is_empty() {
            return Err(Failure::Message(format!("tls: failed to find any PEM data in {what} input")));
        }
        if !blocks.iter().any(|block| block.ends_with(end)) {
            let found = blocks.join(" ");
            return Err(Failure::Message(if *what == "key" {
                format!(
                    "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{found}]"
                )
            } else {
                format!(
                    "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{found}]"
                )
            }));
        }
    }
    let names = ["tls.crt", "tls.key"].map(str::to_owned);
    let data = encoded(names.into_iter().zip(files).collect());
    make_hashed(cli, Kind::Secret, secret(name, "kubernetes.io/tls", data))
}

/// The entries that `--from-literal`, `--from-file` and `--from-env-file` give, in that order.
fn entries(cli: &mut Cli<'_>, kind: &str, of: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let flags = cli.flags();
    if flags.has("from-env-file") && (flags.has("from-file") || flags.has("from-literal")) {
        return Err(Failure::message("from-env-file cannot be combined with from-file or from-literal"));
    }
    let mut found = Vec::new();
    for source in flags.all("from-file").iter().filter(|source| !source.is_empty()) {
        from_file(cli, source, &mut found)?;
    }
    for source in flags.all("from-literal") {
        let Some((key, value)) = source.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::Message(format!("invalid literal source {source}, expected key=value")));
        };
        found.push((key.to_owned(), value.as_bytes().to_vec()));
    }
    for path in flags.all("from-env-file") {
        from_env_file(cli, path, &mut found)?;
    }
    for (at, (key, _)) in found.iter().enumerate() {
        let errors = names::is_config_map_key(key);
        if !errors.is_empty() {
            return Err(Failure::Message(format!(
                "{key:?} is not a valid key name for a {kind}: {}",
                errors.join(",")
            )));
        }
        if found[..at].iter().any(|(known, _)| known == key) {
            return Err(Failure::Message(format!(
                "cannot add key {key:?}, another key by that name already exists in Data for {kind} {of:?}"
            )));
        }
    }
    Ok(found)
}

fn from_file(cli: &mut Cli<'_>, source: &str, found: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    let parts: Vec<&str> = source.split('=').collect();
    let (key, path) = match parts.as_slice() {
        [path] => (path.rsplit('/').next().unwrap_or(path), *path),
        ["", _] => {
            let path = source.trim_start_matches('=');
            return Err(Failure::Message(format!("key name for file path {path} missing")));
        }
        [_, ""] => {
            return Err(Failure::Message(format!("file path for key name {} missing", source.trim_end_matches('='))));
        }
        [key, path] => (*key, *path),
        _ => return Err(Failure::message("key names or file paths cannot contain '='")),
    };
    if let Some(names) = cli.files.list(path) {
        for name in names {
            let bytes = read(cli, &format!("{path}/{name}"))?;
            found.push((name, bytes));
        }
        return Ok(());
    }
    let bytes = read(cli, path)?;
    found.push((key.to_owned(), bytes));
    Ok(())
}

fn read(cli: &mut Cli<'_>, path: &str) -> Result<Vec<u8>, Failure> {
    cli.files.read(path).map_err(|why| Failure::Message(format!("error reading {path}: {why}")))
}

fn from_env_file(cli: &mut Cli<'_>, path: &str, found: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(&read(cli, path)?).into_owned();
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let errors = names::is_env_var_name(key);
        if !errors.is_empty() {
            return Err(Failure::Message(format!("{key:?} is not a valid key name: {}", errors.join(";"))));
        }
        found.push((key.to_owned(), value.as_bytes().to_vec()));
    }
    Ok(())
}
