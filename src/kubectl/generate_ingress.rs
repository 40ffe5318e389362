//! `kubectl create ingress`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/create/create_ingress.go`.

use serde_json::{Map, Value, json};

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::generate::{make, name};
use crate::api::Kind;

/// `host/path=service:port[,tls[=secret]]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule<'a> {
    host: &'a str,
    path: &'a str,
    service: &'a str,
    port: &'a str,
    /// The secret, empty when none is named; nothing without TLS.
    secret: Option<&'a str>,
}

impl<'a> Rule<'a> {
    fn read(rule: &'a str) -> Option<Self> {
        let is_word = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        let is_host = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.*".contains(&byte));
        let (rule, tls) = rule.split_once(',').map_or((rule, None), |(rule, tls)| (rule, Some(tls)));
        let (place, backend) = rule.split_once('=')?;
        let at = place.find('/')?;
        let (host, path) = place.split_at(at);
        let (service, port) = backend.split_once(':')?;
        let secret = match tls {
            None => None,
            Some(tls) => {
                let secret = tls.strip_prefix("tls")?;
                Some(secret.strip_prefix('=').unwrap_or(secret)).filter(|secret| secret.is_empty() || is_word(secret))
            }
        };
        let fits = is_host(host) && is_word(service) && is_word(port) && tls.is_some() == secret.is_some();
        fits.then_some(Self { host, path, service, port, secret })
    }
}

fn backend(service: &str, port: &str) -> Value {
    let port = match port.parse::<i32>() {
        Ok(number) => json!({ "number": number }),
        Err(_) => json!({ "name": port }),
    };
    json!({ "service": { "name": service, "port": port } })
}

/// Runs `kubectl create ingress`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?;
    let flags = cli.flags();
    let default = flags.text("default-backend");
    if default.is_empty() && flags.all("rule").is_empty() {
        return Err(Failure::message(
            "not enough information provided: every ingress has to either specify a default-backend (which catches all \
             traffic) or a list of rules (which catch specific paths)",
        ));
    }
    if let Some(rule) = flags.all("rule").iter().find(|rule| Rule::read(rule).is_none()) {
        return Err(Failure::Message(format!(
            "rule {rule} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
        )));
    }
    let rules: Vec<Rule<'_>> = flags.all("rule").iter().filter_map(|rule| Rule::read(rule)).collect();
    let mut annotations = Map::new();
    for annotation in flags.all("annotation") {
        let (key, value) = annotation.split_once('=').ok_or_else(|| {
            Failure::Message(format!("annotation {annotation} is invalid and should be in format key=[value]"))
        })?;
        annotations.insert(key.to_owned(), value.into());
    }
    let mut spec = json!({});
    if !flags.text("class").is_empty() {
        spec["ingressClassName"] = flags.text("class").into();
    }
    if !default.is_empty() {
        let [service, port] = default.split(':').collect::<Vec<_>>()[..] else {
            return Err(Failure::message("default-backend should be in format servicename:serviceport"));
        };
        spec["defaultBackend"] = backend(service, port);
    }
    for (field, list) in [("tls", tls(&rules)), ("rules", hosts(&rules))] {
        if !list.is_empty() {
            spec[field] = list.into();
        }
    }
    let mut metadata = json!({ "name": name });
    if !annotations.is_empty() {
        metadata["annotations"] = annotations.into();
    }
    let value = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec });
    make(cli, Kind::Ingress, value)
}

/// The hosts of each secret; a host counts once: `buildTLSRules`.
fn tls(rules: &[Rule<'_>]) -> Vec<Value> {
    let mut hosts: Vec<&str> = Vec::new();
    let mut list: Vec<(&str, Vec<&str>)> = Vec::new();
    for rule in rules {
        let Some(secret) = rule.secret else { continue };
        if hosts.contains(&rule.host) {
            continue;
        }
        hosts.push(rule.host);
        match list.iter_mut().find(|(known, _)| *known == secret) {
            Some((_, hosts)) => hosts.push(rule.host),
            None if rule.host.is_empty() && secret.is_empty() => {}
            None => list.push((secret, Some(rule.host).filter(|host| !host.is_empty()).into_iter().collect())),
        }
    }
    let entry = |(secret, hosts): (&str, Vec<&str>)| {
        let mut entry = json!({});
        if !hosts.is_empty() {
            entry["hosts"] = json!(hosts);
        }
        if !secret.is_empty() {
            entry["secretName"] = secret.into();
        }
        entry
    };
    list.into_iter().map(entry).collect()
}

/// The paths of each host: `buildIngressRules`.
fn hosts(rules: &[Rule<'_>]) -> Vec<Value> {
    let mut list: Vec<(&str, Vec<Value>)> = Vec::new();
    for rule in rules {
        let (path, path_type) = match rule.path.strip_suffix('*') {
            Some(path) => (path, "Prefix"),
            None => (rule.path, "Exact"),
        };
        let path = json!({ "path": path, "pathType": path_type, "backend": backend(rule.service, rule.port) });
        match list.iter_mut().find(|(host, _)| *host == rule.host) {
            Some((_, paths)) => paths.push(path),
            None => list.push((rule.host, vec![path])),
        }
    }
    let entry = |(host, paths): (&str, Vec<Value>)| {
        let mut entry = json!({ "http": { "paths": paths } });
        if !host.is_empty() {
            entry["host"] = host.into();
        }
        entry
    };
    list.into_iter().map(entry).collect()
}
