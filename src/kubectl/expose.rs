//! `kubectl expose`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/expose/expose.go`.

use serde_json::{Map, Value, json};

use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step};
use super::failure::Failure;
use super::generate::{overridden, parse_labels, port_number, typed};
use super::printer::Printer;
use crate::api::Kind;

/// Runs `kubectl expose`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let found = builder::find(cli, Query { selects: false, ..Query::new(cli.arguments()) })?;
    let dry_run = cli.dry_run()?;
    let mut printer = Printer::of(cli, "exposed")?;
    if dry_run == DryRun::Client {
        printer = printer.typed();
    }
    found.each(cli, |cli, info| {
        let service = service(cli, &info)?;
        let mut object = typed(Kind::Service, overridden(cli, Kind::Service, service)?)?;
        if dry_run != DryRun::Client {
            let options = cli.write_options("kubectl-expose");
            object = cli.create(Kind::Service, &info.namespace, object, options)?;
        }
        printer.print(cli, &object)
    })?;
    Ok(Step::Done)
}

fn service(cli: &Cli<'_>, info: &Info) -> Result<Value, Failure> {
    let flags = cli.flags();
    let affinity = flags.text("session-affinity");
    if !matches!(affinity, "" | "None" | "ClientIP") {
        return Err(Failure::Message(format!("unknown session affinity: {affinity}")));
    }
    let selector = selector(cli, info)?;
    let ports = ports(cli, info)?;
    let name = if flags.has("name") { flags.text("name").to_owned() } else { info.name.clone() };
    let labels = if flags.has("labels") {
        parse_labels(flags.text("labels"))?
    } else {
        info.object["metadata"]["labels"].as_object().cloned().unwrap_or_default()
    };
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name },
        "spec": { "ports": ports, "selector": selector },
    });
    if !labels.is_empty() {
        service["metadata"]["labels"] = labels.into();
    }
    let spec = &mut service["spec"];
    let mut set = |flag: &str, field: &str| {
        let value = flags.text(flag);
        if !value.is_empty() {
            spec[field] = value.into();
        }
    };
    set("type", "type");
    set("load-balancer-ip", "loadBalancerIP");
    set("session-affinity", "sessionAffinity");
    set("cluster-ip", "clusterIP");
    if flags.has("external-ip") {
        service["spec"]["externalIPs"] = json!([flags.text("external-ip")]);
    }
    Ok(service)
}

/// The labels that the service selects by: those that the exposed object selects, or has.
fn selector(cli: &Cli<'_>, info: &Info) -> Result<Map<String, Value>, Failure> {
    if cli.flags().has("selector") {
        return parse_labels(cli.flags().text("selector"));
    }
    let refused = |why: &str| {
        Failure::Message(format!("couldn't retrieve selectors via --selector flag or introspection: {why}"))
    };
    let map = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let object = &info.object;
    match info.kind {
        Kind::Pod => {
            let labels = map(&object["metadata"]["labels"]);
            if labels.is_empty() { Err(refused("the pod has no labels and cannot be exposed")) } else { Ok(labels) }
        }
        Kind::Service => {
            let selector = map(&object["spec"]["selector"]);
            if selector.is_empty() { Err(refused("the service has no pod selector set")) } else { Ok(selector) }
        }
        Kind::ReplicationController => Ok(map(&object["spec"]["selector"])),
        Kind::Deployment | Kind::ReplicaSet => {
            if object["spec"]["selector"]["matchExpressions"]
                .as_array()
                .is_some_and(|expressions| !expressions.is_empty())
            {
                return Err(refused("couldn't convert expressions - \"[]\" to map-based selector format"));
            }
            Ok(map(&object["spec"]["selector"]["matchLabels"]))
        }
        other => {
            let info = other.info();
            let group = if info.group.is_empty() { String::new() } else { format!(".{}", info.group) };
            Err(Failure::Message(format!("cannot expose a {}{group}", info.kind)))
        }
    }
}

fn ports(cli: &Cli<'_>, info: &Info) -> Result<Value, Failure> {
    let flags = cli.flags();
    let given = flags.text("port");
    let known = known_ports(info);
    let numbers: Vec<i64> = if given.is_empty() {
        known.iter().map(|(port, _)| *port).collect()
    } else {
        given.split(',').map(port_number).collect::<Result<_, _>>()?
    };
    if numbers.is_empty() {
        return Err(Failure::message("couldn't find port via --port flag or introspection"));
    }
    let several = numbers.len() > 1;
    let ports = numbers.iter().enumerate().map(|(at, port)| {
        let known = known.iter().find(|(number, _)| number == port);
        let protocol = match flags.text("protocol") {
            "" => known.map_or("TCP", |(_, protocol)| protocol.as_str()),
            given => given,
        };
        let target = match flags.text("target-port") {
            "" => (*port).into(),
            text => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        };
        let mut entry = json!({ "port": port, "protocol": protocol, "targetPort": target });
        if several {
            entry["name"] = format!("port-{}", at + 1).into();
        }
        entry
    });
    Ok(ports.collect())
}

/// The ports of an object with their protocols.
fn known_ports(info: &Info) -> Vec<(i64, String)> {
    let lists: Vec<&Value> = match info.kind {
        Kind::Service => vec![&info.object["spec"]["ports"]],
        Kind::Pod => containers(&info.object["spec"]),
        _ => containers(&info.object["spec"]["template"]["spec"]),
    };
    let ports = lists.into_iter().filter_map(Value::as_array).flatten();
    ports
        .filter_map(|port| {
            let number = port["containerPort"].as_i64().or_else(|| port["port"].as_i64())?;
            Some((number, port["protocol"].as_str().unwrap_or("TCP").to_owned()))
        })
        .collect()
}

fn containers(spec: &Value) -> Vec<&Value> {
    spec["containers"].as_array().into_iter().flatten().map(|container| &container["ports"]).collect()
}
