//! Requests by their path: `--raw`.

use serde_json::Value;

use super::cli::{Cli, wire};
use super::failure::Failure;
use crate::api::{Kind, Name};
use crate::apiserver::{Body, DeleteOptions, ListOptions, Response, Target, Verb, WriteOptions};
use crate::machinery::status::{Reason, Status};
use crate::machinery::{go_json, yaml};

/// What an address of the API is about.
fn target(path: &str) -> Result<Target, Failure> {
    let not_found =
        || Failure::Status(Status::new(Reason::NotFound, "the server could not find the requested resource"));
    let path = path.split('?').next().unwrap_or(path).trim_matches('/');
    let mut parts = path.split('/');
    let (group, version) = match parts.next() {
        Some("api") => ("", parts.next().unwrap_or("")),
        Some("apis") => (parts.next().unwrap_or(""), parts.next().unwrap_or("")),
        _ => return Err(not_found()),
    };
    let rest: Vec<&str> = parts.collect();
    let (namespace, rest) = match rest.as_slice() {
        ["namespaces", namespace, rest @ ..] if rest.len() > 1 || matches!(rest, [one] if is_plural(one)) => {
            (*namespace, rest)
        }
        rest => ("", rest),
    };
    let plural = rest.first().copied().unwrap_or("");
    let fits = |kind: &&Kind| {
        let info = kind.info();
        info.group == group && info.version == version && info.plural == plural
    };
    let kind = *Kind::ALL.iter().find(fits).ok_or_else(not_found)?;
    let subresource = match rest.get(2) {
        None => None,
        Some(name) => {
            let known = kind.info().subresources.iter().find(|known| known.as_str() == *name);
            Some(*known.ok_or_else(not_found)?)
        }
    };
    let name = rest.get(1).copied().unwrap_or("");
    Ok(Target { kind, namespace: Name::from(namespace), name: Name::from(name), subresource })
}

fn is_plural(word: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.info().plural == word)
}

fn body(cli: &mut Cli<'_>) -> Result<Value, Failure> {
    let path = cli.flags().texts("filename").into_iter().next().unwrap_or_default();
    let text = if path == "-" {
        cli.stdin.to_owned()
    } else {
        let bytes = cli.files.read(&path).map_err(|why| Failure::Message(format!("open {path}: {why}")))?;
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let document = yaml::read_one(&text).map_err(|error| Failure::Message(error.message))?;
    Ok(document.value)
}

fn show(cli: &mut Cli<'_>, response: &Response) {
    cli.say(&go_json::marshal(&wire(response)));
}

/// `kubectl get --raw`.
pub(super) fn get(cli: &mut Cli<'_>, path: &str) -> Result<(), Failure> {
    let target = target(path)?;
    let verb = if target.name.is_empty() { Verb::List(ListOptions::default()) } else { Verb::Get };
    let response = cli.send(target, verb)?;
    let text = go_json::marshal(&wire(&response));
    cli.out.push_str(&text);
    Ok(())
}

/// `kubectl create --raw`.
pub(super) fn create(cli: &mut Cli<'_>, path: &str) -> Result<(), Failure> {
    let target = target(path)?;
    let value = body(cli)?;
    // A Binding or an Eviction is created below an object, which `Create` addresses by its name.
    let response = cli.send(target, Verb::Create { body: Body::Json(value), options: WriteOptions::default() })?;
    show(cli, &response);
    Ok(())
}

/// `kubectl replace --raw`.
pub(super) fn replace(cli: &mut Cli<'_>, path: &str) -> Result<(), Failure> {
    let target = target(path)?;
    let value = body(cli)?;
    let response = cli.send(target, Verb::Update { body: Body::Json(value), options: WriteOptions::default() })?;
    show(cli, &response);
    Ok(())
}

/// `kubectl delete --raw`.
pub(super) fn delete(cli: &mut Cli<'_>, path: &str) -> Result<(), Failure> {
    let target = target(path)?;
    let response = cli.send(target, Verb::Delete(DeleteOptions::default()))?;
    show(cli, &response);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Subresource;

    #[test]
    fn paths_lead_to_objects_and_what_is_below_them() {
        let found = target("/api/v1/namespaces/a/pods/p/eviction").expect("an address");
        assert_eq!((found.kind, &*found.namespace, &*found.name), (Kind::Pod, "a", "p"));
        assert_eq!(found.subresource, Some(Subresource::Eviction));
        let found = target("/api/v1/namespaces/a").expect("an address");
        assert_eq!((found.kind, &*found.namespace, &*found.name), (Kind::Namespace, "", "a"));
        let found = target("/apis/apps/v1/deployments").expect("an address");
        assert_eq!((found.kind, &*found.namespace, &*found.name), (Kind::Deployment, "", ""));
        assert!(target("/apis/nowhere/v1/things").is_err());
    }
}
