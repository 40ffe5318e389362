//! `kubectl set env`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/set/set_env.go`.

use serde_json::{Value, json};

use super::builder::{self, Query};
use super::cli::{Cli, Step};
use super::failure::Failure;
use super::set::{find, pod_spec, selected_containers, update};
use crate::api::Kind;
use crate::machinery::quantity::Quantity;
use crate::machinery::{base64, names};

/// What is asked for.
#[derive(Clone, Debug, Default)]
struct Request {
    words: Vec<String>,
    /// Variables to set, in order, as they stand in a container.
    added: Vec<Value>,
    /// Variables to take away.
    removed: Vec<String>,
}

/// Runs `kubectl set env`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let mut request = parse(cli)?;
    if cli.flags().has("from") {
        let from = from_object(cli)?;
        request.added.extend(from);
    }
    if cli.flags().is("list", false) {
        return list(cli, &request.words);
    }
    let pattern = if cli.flags().has("containers") { cli.flags().text("containers") } else { "*" };
    let overwrite = cli.flags().is("overwrite", true);
    let words = request.words.clone();
    update(cli, &words, "env updated", |cli, info, object| {
        let Some(spec) = pod_spec(info.kind, object) else { return Ok(()) };
        let containers = selected_containers(spec, pattern);
        if containers.is_empty() {
            let name = format!("{}/{}", info.kind, info.name);
            cli.complain(&format!("Warning: {name} does not have any containers matching {pattern:?}"));
        }
        for container in containers {
            change(container, &request, overwrite)?;
        }
        Ok(())
    })
}

fn parse(cli: &Cli<'_>) -> Result<Request, Failure> {
    let mut request = Request::default();
    let given = cli.flags().all("env");
    let is_variable = |word: &str| word.contains('=') && !word.starts_with('=') || word.ends_with('-') && word != "-";
    for word in cli.arguments() {
        if !is_variable(word) {
            if !request.added.is_empty() || !request.removed.is_empty() {
                return Err(Failure::Message(format!(
                    "all resources must be specified before environment changes: {word}"
                )));
            }
            request.words.push(word.clone());
            continue;
        }
        variable(word, &mut request)?;
    }
    for word in given {
        variable(word, &mut request)?;
    }
    let is_removed = |added: &Value| request.removed.iter().any(|name| added["name"] == name.as_str());
    if request.added.iter().any(is_removed) {
        return Err(Failure::message(
            "can not both modify and remove the same environment variable in the same command",
        ));
    }
    if request.words.is_empty() && !cli.flags().has("filename") {
        return Err(Failure::message(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    Ok(request)
}

fn variable(word: &str, request: &mut Request) -> Result<(), Failure> {
    match word.split_once('=') {
        Some((name, value)) => {
            let errors = names::is_relaxed_env_var_name(name);
            let errors = if errors.is_empty() { names::is_env_var_name(name) } else { errors };
            if !errors.is_empty() {
                let errors = names::is_env_var_name(name);
                return Err(Failure::Message(format!("{name:?} is not a valid key name: {}", errors.join(","))));
            }
            request.added.push(json!({ "name": name, "value": value }));
        }
        None => request.removed.push(word.trim_end_matches('-').to_owned()),
    }
    Ok(())
}

/// The variables that stand for the keys of a ConfigMap or Secret: `--from`.
fn from_object(cli: &mut Cli<'_>) -> Result<Vec<Value>, Failure> {
    let from = cli.flags().text("from").to_owned();
    let words = vec![from];
    let info = builder::find(cli, Query::new(&words))?.all()?.remove(0);
    let field = match info.kind {
        Kind::ConfigMap => "configMapKeyRef",
        Kind::Secret => "secretKeyRef",
        _ => {
            return Err(Failure::message("unsupported resource specified in --from"));
        }
    };
    let (wanted, prefix) = (cli.flags().texts("keys"), cli.flags().text("prefix"));
    let mut keys: Vec<&String> = info.object["data"].as_object().into_iter().flatten().map(|(key, _)| key).collect();
    keys.sort();
    let mut variables = Vec::new();
    for key in keys.into_iter().filter(|key| wanted.is_empty() || wanted.contains(key)) {
        let name: String =
            key.to_uppercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if name != *key {
            cli.complain(&format!("Warning: key {key} transferred to {name}"));
        }
        let name = format!("{prefix}{name}");
        variables.push(json!({ "name": name, "valueFrom": { field: { "name": info.name, "key": key } } }));
    }
    Ok(variables)
}

fn change(container: &mut Value, request: &Request, overwrite: bool) -> Result<(), Failure> {
    let mut variables = container["env"].as_array().cloned().unwrap_or_default();
    if !overwrite {
        for added in &request.added {
            if variables.iter().any(|known| known["name"] == added["name"]) {
                let name = added["name"].as_str().unwrap_or("");
                let value = added["value"].as_str().unwrap_or("");
                return Err(Failure::Message(format!(
                    "'{name}' already has a value ({value}), and --overwrite is false"
                )));
            }
        }
    }
    variables.retain(|known| !request.removed.iter().any(|name| known["name"] == name.as_str()));
    for added in &request.added {
        match variables.iter_mut().find(|known| known["name"] == added["name"]) {
            Some(known) => *known = added.clone(),
            None => variables.push(added.clone()),
        }
    }
    if variables.is_empty() {
        if let Some(fields) = container.as_object_mut() {
            fields.shift_remove("env");
        }
    } else {
        container["env"] = variables.into();
    }
    Ok(())
}

fn list(cli: &mut Cli<'_>, words: &[String]) -> Result<Step, Failure> {
    let resolve = cli.flags().is("resolve", false);
    let pattern = if cli.flags().has("containers") { cli.flags().text("containers") } else { "*" };
    let found = find(cli, words)?;
    found.each(cli, |cli, mut info| {
        let (kind, name) = (info.kind, info.name.clone());
        let metadata = info.object["metadata"].clone();
        let namespace = info.namespace.clone();
        let mut failed = Vec::new();
        let Some(spec) = pod_spec(kind, &mut info.object) else { return Ok(()) };
        let first = spec["initContainers"].as_array().cloned().unwrap_or_default();
        let mut containers: Vec<Value> =
            selected_containers(spec, pattern).into_iter().map(|container| container.clone()).collect();
        containers.sort_by_key(|container| first.contains(container));
        for container in containers {
            let of = container["name"].as_str().unwrap_or("");
            cli.say(&format!("# {kind} {name}, container {of}"));
            for variable in container["env"].as_array().into_iter().flatten() {
                let resolved = if resolve { resolved(&metadata, &container, variable) } else { None };
                match resolved {
                    Some(Ok(value)) => cli.say(&format!("{}={value}", variable["name"].as_str().unwrap_or(""))),
                    unresolved => {
                        if let Some(Err(why)) = unresolved {
                            let name = variable["name"].as_str().unwrap_or("");
                            failed.push(format!("error retrieving reference for {name}: {why}"));
                        }
                        let line = variable_line(cli, &namespace, variable, resolve)?;
                        cli.say(&line);
                    }
                }
            }
        }
        failed.sort();
        failed.iter().for_each(|line| cli.complain(line));
        Ok(())
    })?;
    Ok(Step::Done)
}

/// What a variable that refers to the object or to the container's resources comes to: `ResolveValueFrom`.
fn resolved(metadata: &Value, container: &Value, variable: &Value) -> Option<Result<String, String>> {
    let source = &variable["valueFrom"];
    if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
        let pairs = |field: &str| {
            let mut lines: Vec<String> = metadata[field]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| format!("{key}={:?}", value.as_str().unwrap_or("")))
                .collect();
            lines.sort();
            lines.join("\n")
        };
        return Some(match path {
            "metadata.name" | "metadata.namespace" | "metadata.uid" => {
                Ok(metadata[&path["metadata.".len()..]].as_str().unwrap_or("").to_owned())
            }
            "metadata.labels" => Ok(pairs("labels")),
            "metadata.annotations" => Ok(pairs("annotations")),
            other => Err(format!("unsupported fieldPath: {other}")),
        });
    }
    let reference = &source["resourceFieldRef"];
    let (list, name) = reference["resource"].as_str()?.split_once('.')?;
    let quantity = |value: &Value| value.as_str().and_then(|text| Quantity::parse(text).ok());
    let amount = quantity(&container["resources"][list][name]).unwrap_or_default().milli_value();
    let divisor = quantity(&reference["divisor"]).map(|divisor| divisor.milli_value()).filter(|divisor| *divisor > 0);
    // Both in thousandths, and rounded up.
    Some(Ok((amount + divisor.unwrap_or(1000) - 1).div_euclid(divisor.unwrap_or(1000)).to_string()))
}

fn variable_line(cli: &mut Cli<'_>, namespace: &str, variable: &Value, resolve: bool) -> Result<String, Failure> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let name = text(&variable["name"]);
    let source = &variable["valueFrom"];
    for (field, kind) in [("configMapKeyRef", Kind::ConfigMap), ("secretKeyRef", Kind::Secret)] {
        let reference = &source[field];
        if reference.is_null() {
            continue;
        }
        let (of, key) = (text(&reference["name"]), text(&reference["key"]));
        if !resolve {
            return Ok(format!("# {name} from {} {of}, key {key}", kind.info().singular));
        }
        let object = cli.get(kind, namespace, &of)?;
        let held = text(&object["data"][key.as_str()]);
        let value = if kind == Kind::Secret {
            String::from_utf8_lossy(&base64::decode(&held).unwrap_or_default()).into_owned()
        } else {
            held
        };
        return Ok(format!("{name}={value}"));
    }
    if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
        return Ok(format!("# {name} from field path {path}"));
    }
    if let Some(resource) = source["resourceFieldRef"]["resource"].as_str() {
        let container = source["resourceFieldRef"]["containerName"].as_str().filter(|name| !name.is_empty());
        let container = container.map_or_else(String::new, |name| format!("{name}/"));
        return Ok(format!("# {name} from resource field {container}{resource}"));
    }
    if source.is_object() {
        return Ok(format!("# {name} from invalid valueFrom"));
    }
    Ok(format!("{name}={}", text(&variable["value"])))
}
