//! What rules over others: NetworkPolicies, PodDisruptionBudgets, ResourceQuotas, LimitRanges, and namespaces, which show
//! theirs.

use serde_json::Value;

use super::super::cli::Cli;
use super::super::failure::Failure;
use super::containers::selector;
use super::writer::{Writer, int_or_text, items, joined_or_none, number, sorted, text, texts};
use super::{Settings, list};
use crate::api::Kind;
use crate::machinery::quantity::Quantity;

/// Writes a NetworkPolicy: `describeNetworkPolicy`.
pub(super) fn network_policy(writer: &mut Writer, policy: &Value) {
    writer.name_and_namespace(policy);
    let created = text(&policy["metadata"]["creationTimestamp"]).replace('T', " ");
    writer.field(0, "Created on", &created.replace('Z', " +0000 UTC"));
    writer.labels_and_annotations(policy);
    let spec = &policy["spec"];
    writer.line(0, "Spec:");
    writer.write(1, "PodSelector: ");
    let selected = selector(&spec["podSelector"]);
    writer.line(
        2,
        if selected == "<none>" {
            "<none> (Allowing the specific traffic to all pods in this namespace)"
        } else {
            &selected
        },
    );
    let types = texts(&spec["policyTypes"]);
    for (kind, direction, peers, title, where_from) in
        [("Ingress", "ingress", "from", "From", "source"), ("Egress", "egress", "to", "To", "destination")]
    {
        if !types.contains(&kind) {
            writer.line(1, &format!("Not affecting {direction} traffic"));
            continue;
        }
        writer.line(1, &format!("Allowing {direction} traffic:"));
        let rules = items(&spec[direction]);
        if rules.is_empty() {
            writer.line(2, &format!("<none> (Selected pods are isolated for {direction} connectivity)"));
        }
        for (at, rule) in rules.iter().enumerate() {
            policy_ports(writer, &rule["ports"]);
            if items(&rule[peers]).is_empty() {
                writer.line(2, &format!("{title}: <any> (traffic not restricted by {where_from})"));
            }
            for peer in items(&rule[peers]) {
                writer.line(2, &format!("{title}:"));
                policy_peer(writer, peer);
            }
            if at + 1 < rules.len() {
                writer.line(2, "----------");
            }
        }
    }
    writer.line(1, &format!("Policy Types: {}", joined_or_none(&spec["policyTypes"], ", ")));
}

fn policy_ports(writer: &mut Writer, ports: &Value) {
    if items(ports).is_empty() {
        writer.line(2, "To Port: <any> (traffic allowed to all ports)");
    }
    for port in items(ports) {
        // A port that is not given prints as Go prints no pointer.
        let first = if port["port"].is_null() { "<nil>".to_owned() } else { int_or_text(&port["port"]) };
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["endPort"].as_i64() {
            None => writer.line(2, &format!("To Port: {first}/{protocol}")),
            Some(last) => writer.line(2, &format!("To Port Range: {first}-{last}/{protocol}")),
        }
    }
}

fn policy_peer(writer: &mut Writer, peer: &Value) {
    let mut is_selected = false;
    for (label, field) in [("NamespaceSelector", "namespaceSelector"), ("PodSelector", "podSelector")] {
        if peer[field].is_object() {
            is_selected = true;
            writer.line(3, &format!("{label}: {}", selector(&peer[field])));
        }
    }
    let block = &peer["ipBlock"];
    if block.is_object() && !is_selected {
        writer.line(3, "IPBlock:");
        writer.line(4, &format!("CIDR: {}", text(&block["cidr"])));
        writer.line(4, &format!("Except: {}", texts(&block["except"]).join(", ")));
    }
}

/// Writes a PodDisruptionBudget: `describePodDisruptionBudgetV1`.
pub(super) fn budget(writer: &mut Writer, budget: &Value) {
    let (spec, status) = (&budget["spec"], &budget["status"]);
    writer.name_and_namespace(budget);
    if !spec["minAvailable"].is_null() {
        writer.field(0, "Min available", &int_or_text(&spec["minAvailable"]));
    } else if !spec["maxUnavailable"].is_null() {
        writer.field(0, "Max unavailable", &int_or_text(&spec["maxUnavailable"]));
    }
    let selected = if spec["selector"].is_object() { selector(&spec["selector"]) } else { "<unset>".to_owned() };
    writer.field(0, "Selector", &selected);
    writer.line(0, "Status:");
    for (label, field) in [
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ] {
        writer.field(2, label, &number(&status[field]).to_string());
    }
}

/// What a quota's scope covers: `helpTextForResourceQuotaScope`.
fn scope_in_words(scope: &str) -> Option<&'static str> {
    Some(match scope {
        "Terminating" => {
            "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system."
        }
        "NotTerminating" => {
            "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate."
        }
        "BestEffort" => {
            "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service."
        }
        "NotBestEffort" => {
            "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service."
        }
        _ => return None,
    })
}

fn scopes(writer: &mut Writer, level: usize, quota: &Value, bullet: &str) {
    let mut scopes = texts(&quota["spec"]["scopes"]);
    if scopes.is_empty() {
        return;
    }
    scopes.sort_unstable();
    writer.field(level, "Scopes", &scopes.join(", "));
    for words in scopes.iter().filter_map(|scope| scope_in_words(scope)) {
        writer.line(level, &format!("{bullet}{words}"));
    }
}

/// Writes a ResourceQuota: `describeQuota`.
pub(super) fn quota(writer: &mut Writer, quota: &Value) {
    writer.name_and_namespace(quota);
    scopes(writer, 0, quota, " * ");
    writer.line(0, "Resource\tUsed\tHard");
    writer.line(0, "--------\t----\t----");
    for (resource, hard) in sorted(&quota["status"]["hard"]) {
        let amount = |value: &Value| Quantity::parse(text(value)).unwrap_or(Quantity::ZERO);
        let (used, limit) = (amount(&quota["status"]["used"][resource.as_str()]), amount(hard));
        // What is used is shown in the limit's unit, and whole.
        let used = if used.format() == limit.format() { used } else { Quantity::new(used.value(), limit.format()) };
        writer.line(0, &format!("{resource}\t{used}\t{}", text(hard)));
    }
}

/// Writes a LimitRange: `describeLimitRange`.
pub(super) fn limit_range(writer: &mut Writer, range: &Value) {
    writer.name_and_namespace(range);
    limits_header(writer, "");
    limits(writer, range, "");
}

fn limits_header(writer: &mut Writer, prefix: &str) {
    let heading = "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio";
    writer.line(0, &format!("{prefix}{heading}"));
    let rule = "----\t--------\t---\t---\t---------------\t-------------\t-----------------------";
    writer.line(0, &format!("{prefix}{rule}"));
}

fn limits(writer: &mut Writer, range: &Value, prefix: &str) {
    const FIELDS: [&str; 5] = ["min", "max", "defaultRequest", "default", "maxLimitRequestRatio"];
    for limit in items(&range["spec"]["limits"]) {
        let mut resources: Vec<&str> =
            FIELDS.iter().flat_map(|field| sorted(&limit[*field])).map(|(name, _)| name.as_str()).collect();
        resources.sort_unstable();
        resources.dedup();
        for resource in resources {
            let cells = FIELDS.map(|field| limit[field][resource].as_str().unwrap_or("-"));
            writer.line(0, &format!("{prefix}{}\t{resource}\t{}", text(&limit["type"]), cells.join("\t")));
        }
    }
}

/// Writes a namespace with its quotas and limits: `describeNamespace`.
pub(super) fn namespace(
    cli: &mut Cli<'_>,
    writer: &mut Writer,
    namespace: &Value,
    settings: Settings,
) -> Result<(), Failure> {
    let name = text(&namespace["metadata"]["name"]);
    let mut quotas = list(cli, Kind::ResourceQuota, name, ("", ""), settings)?;
    let ranges = list(cli, Kind::LimitRange, name, ("", ""), settings)?;
    writer.field(0, "Name", name);
    writer.labels_and_annotations(namespace);
    let status = &namespace["status"];
    writer.field(0, "Status", text(&status["phase"]));
    let columns = ["Type", "Status", "LastTransitionTime", "Reason", "Message"];
    writer.conditions(&status["conditions"], &columns, ("\t", "\t"));
    writer.line(0, "");
    if quotas.is_empty() {
        writer.line(0, "No resource quota.");
    } else {
        quotas.sort_by_key(|quota| text(&quota["metadata"]["name"]).to_owned());
        writer.line(0, "Resource Quotas");
        for quota in &quotas {
            writer.field(1, "Name", text(&quota["metadata"]["name"]));
            scopes(writer, 1, quota, "* ");
            writer.line(1, "Resource\tUsed\tHard");
            writer.line(1, "--------\t---\t---");
            for (resource, hard) in sorted(&quota["status"]["hard"]) {
                let used = quota["status"]["used"][resource.as_str()].as_str().unwrap_or("0");
                writer.line(1, &format!("{resource}\t{used}\t{}", text(hard)));
            }
        }
    }
    writer.line(0, "");
    if ranges.is_empty() {
        writer.line(0, "No LimitRange resource.");
    } else {
        writer.line(0, "Resource Limits");
        limits_header(writer, " ");
        for range in &ranges {
            limits(writer, range, " ");
        }
    }
    Ok(())
}
