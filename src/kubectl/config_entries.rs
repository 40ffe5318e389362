//! `kubectl config`: entries of the kubeconfig other than contexts, and single properties.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/config`. Here is one cluster, so that other entries lead nowhere; they can be written
//! and read all the same.

use serde_json::{Map, Value, json};

use super::cli::{Cli, Step};
use super::config::{argument, current, store, unexpected};
use super::failure::Failure;
use super::help;

/// The lists of a kubeconfig, with what an entry of each holds.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("contexts", "context"), ("users", "user")];

/// What stands at the top of a kubeconfig.
const FIELDS: [&str; 7] = ["kind", "apiVersion", "preferences", "clusters", "users", "contexts", "current-context"];

fn entries<'a>(config: &'a mut Value, list: &str) -> Option<&'a mut Vec<Value>> {
    if !config[list].is_array() {
        config[list] = Value::Array(Vec::new());
    }
    config[list].as_array_mut()
}

/// The entry of a name, which is made when it is not there.
fn entry<'a>(config: &'a mut Value, (list, holds): (&str, &str), name: &str) -> Option<&'a mut Value> {
    let entries = entries(config, list)?;
    if !entries.iter().any(|entry| entry["name"] == name) {
        entries.push(json!({ holds: {}, "name": name }));
    }
    entries.iter_mut().find(|entry| entry["name"] == name).map(|entry| &mut entry[holds])
}

/// Writes flags into an entry, each under its name in the file.
fn set_entry(cli: &mut Cli<'_>, list: (&str, &str), fields: &[(&str, &str)]) -> Result<String, Failure> {
    let name = argument(cli)?.to_owned();
    let mut config = current(cli);
    if let Some(entry) = entry(&mut config, list, &name) {
        for (flag, field) in fields.iter().filter(|(flag, _)| cli.flags().has(flag)) {
            entry[*field] = cli.flags().text(flag).into();
        }
    }
    store(cli, &config)?;
    Ok(name)
}

/// Runs `kubectl config set-cluster`.
pub(super) fn set_cluster(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let fields = [
        ("server", "server"),
        ("certificate-authority", "certificate-authority"),
        ("tls-server-name", "tls-server-name"),
    ];
    let name = set_entry(cli, LISTS[0], &fields)?;
    cli.say(&format!("Cluster {name:?} set."));
    Ok(Step::Done)
}

/// Runs `kubectl config set-credentials`.
pub(super) fn set_credentials(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let fields = [
        ("token", "token"),
        ("username", "username"),
        ("password", "password"),
        ("client-certificate", "client-certificate"),
        ("client-key", "client-key"),
    ];
    let name = set_entry(cli, LISTS[2], &fields)?;
    cli.say(&format!("User {name:?} set."));
    Ok(Step::Done)
}

fn delete(cli: &mut Cli<'_>, list: &str, what: &str) -> Result<Step, Failure> {
    if cli.arguments().len() != 1 {
        help::show_text(cli);
        return Ok(Step::Done);
    }
    let (file, name) = (&cli.config.file, argument(cli)?);
    let mut config = current(cli);
    let Some(entries) = entries(&mut config, list).filter(|entries| entries.iter().any(|entry| entry["name"] == name))
    else {
        return Err(Failure::Message(format!("cannot delete {what} {name}, not in {file}")));
    };
    entries.retain(|entry| entry["name"] != name);
    store(cli, &config)?;
    cli.say(&format!("deleted {what} {name} from {file}"));
    Ok(Step::Done)
}

/// Runs `kubectl config delete-cluster`.
pub(super) fn delete_cluster(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    delete(cli, "clusters", "cluster")
}

/// Runs `kubectl config delete-user`.
pub(super) fn delete_user(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    delete(cli, "users", "user")
}

/// The place of a property such as `contexts.kubetab.namespace`, and its last name.
fn place<'a>(config: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), Failure> {
    let no_such = |name: &str| Failure::Message(format!("unable to parse {name} after [] at api.Config"));
    if !FIELDS.contains(&path.split('.').next().unwrap_or("")) {
        return Err(no_such(path));
    }
    let mut parts: Vec<&str> = path.split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or_else(|| no_such(path))?.to_owned();
    let mut held = config;
    if let [list, name, ..] = parts[..]
        && let Some(found) = LISTS.iter().find(|(known, _)| *known == list)
    {
        held = entry(held, *found, name).ok_or_else(|| no_such(path))?;
        parts.drain(..2);
    }
    for part in parts {
        if !held[part].is_object() {
            held[part] = Value::Object(Map::new());
        }
        held = &mut held[part];
    }
    Ok((held, last))
}

/// Runs `kubectl config set`.
pub(super) fn set(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let [path, value] = cli.arguments() else { return Err(unexpected(cli)) };
    let mut config = current(cli);
    let (held, last) = place(&mut config, path)?;
    held[last.as_str()] = value.as_str().into();
    store(cli, &config)?;
    cli.say(&format!("Property {path:?} set."));
    Ok(Step::Done)
}

/// Runs `kubectl config unset`.
pub(super) fn unset(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let path = argument(cli)?;
    let mut config = current(cli);
    let whole =
        path.split_once('.').filter(|(list, name)| !name.contains('.') && LISTS.iter().any(|(known, _)| known == list));
    if let Some((list, name)) = whole {
        if let Some(entries) = entries(&mut config, list) {
            entries.retain(|entry| entry["name"] != name);
        }
    } else {
        let (held, last) = place(&mut config, path)?;
        held.as_object_mut().map(|fields| fields.shift_remove(&last));
    }
    store(cli, &config)?;
    cli.say(&format!("Property {path:?} unset."));
    Ok(Step::Done)
}
