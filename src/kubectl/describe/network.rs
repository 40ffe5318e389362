//! Services, what is behind them, and what leads to them.

use std::net::IpAddr;

use serde_json::Value;

use super::super::cli::Cli;
use super::containers::optional;
use super::writer::{Writer, int_or_text, items, joined_or_none, number, on_one_line, text, text_or, texts};
use super::{Settings, list};
use crate::api::Kind;

/// The label that says which Service a slice is of.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// So many addresses are shown.
const ENDPOINTS_MAX: usize = 3;

fn slices_of(cli: &mut Cli<'_>, namespace: &str, service: &str, settings: Settings) -> Result<Vec<Value>, String> {
    let labels = format!("{SERVICE_NAME}={service}");
    let slices = list(cli, Kind::EndpointSlice, namespace, (&labels, ""), settings);
    slices.map_err(|status| status.message().to_owned())
}

/// Writes a Service: `describeService`.
pub(super) fn service(cli: &mut Cli<'_>, writer: &mut Writer, service: &Value, settings: Settings) {
    let (metadata, spec) = (&service["metadata"], &service["spec"]);
    let slices = slices_of(cli, text(&metadata["namespace"]), text(&metadata["name"]), settings).unwrap_or_default();
    writer.name_and_namespace(service);
    writer.labels_and_annotations(service);
    writer.field(0, "Selector", &on_one_line(&spec["selector"]));
    writer.field(0, "Type", text(&spec["type"]));
    optional(writer, 0, "IP Family Policy", &spec["ipFamilyPolicy"]);
    writer.field(0, "IP Families", &joined_or_none(&spec["ipFamilies"], ","));
    writer.field(0, "IP", text(&spec["clusterIP"]));
    writer.field(0, "IPs", &joined_or_none(&spec["clusterIPs"], ","));
    if !items(&spec["externalIPs"]).is_empty() {
        writer.field(0, "External IPs", &texts(&spec["externalIPs"]).join(","));
    }
    optional(writer, 0, "Desired LoadBalancer IP", &spec["loadBalancerIP"]);
    optional(writer, 0, "External Name", &spec["externalName"]);
    let ingress = items(&service["status"]["loadBalancer"]["ingress"]);
    if !ingress.is_empty() {
        let each = ingress.iter().map(|ingress| match (text(&ingress["ip"]), ingress["ipMode"].as_str()) {
            ("", _) => text(&ingress["hostname"]).to_owned(),
            (ip, Some(mode)) => format!("{ip} ({mode})"),
            (ip, None) => ip.to_owned(),
        });
        writer.field(0, "LoadBalancer Ingress", &each.collect::<Vec<_>>().join(", "));
    }
    for port in items(&spec["ports"]) {
        let (name, protocol) = (text_or(&port["name"], "<unset>"), text(&port["protocol"]));
        writer.field(0, "Port", &format!("{name}\t{}/{protocol}", number(&port["port"])));
        writer.field(0, "TargetPort", &format!("{}/{protocol}", int_or_text(&port["targetPort"])));
        let node_port = number(&port["nodePort"]);
        if node_port != 0 {
            writer.field(0, "NodePort", &format!("{name}\t{node_port}/{protocol}"));
        }
        writer.field(0, "Endpoints", &endpoints_in(&slices, text(&port["name"])));
    }
    writer.field(0, "Session Affinity", text(&spec["sessionAffinity"]));
    optional(writer, 0, "External Traffic Policy", &spec["externalTrafficPolicy"]);
    optional(writer, 0, "Internal Traffic Policy", &spec["internalTrafficPolicy"]);
    let health = number(&spec["healthCheckNodePort"]);
    if health != 0 {
        writer.field(0, "HealthCheck NodePort", &health.to_string());
    }
    if !items(&spec["loadBalancerSourceRanges"]).is_empty() {
        writer.field(0, "LoadBalancer Source Ranges", &texts(&spec["loadBalancerSourceRanges"]).join(","));
    }
}

/// The ready addresses behind a port, the first few of them: `formatEndpointSlices`.
fn endpoints_in(slices: &[Value], port_name: &str) -> String {
    if slices.is_empty() {
        return "<none>".to_owned();
    }
    let mut all: Vec<String> = Vec::new();
    let is_ready = |endpoint: &&Value| endpoint["conditions"]["ready"] != false;
    for slice in slices {
        let endpoints = || items(&slice["endpoints"]).iter().filter(is_ready).map(|one| text(&one["addresses"][0]));
        if items(&slice["ports"]).is_empty() {
            all.extend(endpoints().map(str::to_owned));
        }
        for port in items(&slice["ports"]).iter().filter(|port| text(&port["name"]) == port_name) {
            all.extend(endpoints().map(|address| with_port(address, number(&port["port"]))));
        }
    }
    let shown = all[..all.len().min(ENDPOINTS_MAX)].join(",");
    if all.len() > ENDPOINTS_MAX { format!("{shown} + {} more...", all.len() - ENDPOINTS_MAX) } else { shown }
}

fn with_port(address: &str, port: i64) -> String {
    match address.parse() {
        Ok(IpAddr::V6(_)) => format!("[{address}]:{port}"),
        _ => format!("{address}:{port}"),
    }
}

/// Writes an Endpoints: `describeEndpoints`.
pub(super) fn endpoints(writer: &mut Writer, endpoints: &Value) {
    writer.name_and_namespace(endpoints);
    writer.labels_and_annotations(endpoints);
    writer.line(0, "Subsets:");
    for subset in items(&endpoints["subsets"]) {
        for (label, field) in [("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")] {
            let addresses: Vec<&str> = items(&subset[field]).iter().map(|address| text(&address["ip"])).collect();
            let addresses = if addresses.is_empty() { "<none>".to_owned() } else { addresses.join(",") };
            writer.field(1, label, &addresses);
        }
        if !items(&subset["ports"]).is_empty() {
            writer.line(1, "Ports:");
            ports(writer, 2, &subset["ports"]);
        }
        writer.line(0, "");
    }
}

fn ports(writer: &mut Writer, level: usize, ports: &Value) {
    writer.line(level, "Name\tPort\tProtocol");
    writer.line(level, "----\t----\t--------");
    for port in items(ports) {
        let name = text_or(&port["name"], "<unset>");
        let number = port["port"].as_i64().map_or_else(|| "<unset>".to_owned(), |number| number.to_string());
        writer.line(level, &format!("{name}\t{number}\t{}", text(&port["protocol"])));
    }
}

/// Writes an EndpointSlice: `describeEndpointSliceV1`.
pub(super) fn endpoint_slice(writer: &mut Writer, slice: &Value) {
    writer.name_and_namespace(slice);
    writer.labels_and_annotations(slice);
    writer.field(0, "AddressType", text(&slice["addressType"]));
    if items(&slice["ports"]).is_empty() {
        writer.line(0, "Ports: <unset>");
    } else {
        writer.line(0, "Ports:");
        ports(writer, 1, &slice["ports"]);
    }
    if items(&slice["endpoints"]).is_empty() {
        return writer.line(0, "Endpoints: <none>");
    }
    writer.line(0, "Endpoints:");
    for endpoint in items(&slice["endpoints"]) {
        let or_unset = |field: &str| endpoint[field].as_str().unwrap_or("<unset>").to_owned();
        writer.field(1, "- Addresses", &joined_or_none(&endpoint["addresses"], ", "));
        writer.line(2, "Conditions:");
        let ready = endpoint["conditions"]["ready"].as_bool();
        writer.field(3, "Ready", &ready.map_or_else(|| "<unset>".to_owned(), |ready| ready.to_string()));
        writer.field(2, "Hostname", &or_unset("hostname"));
        let target = &endpoint["targetRef"];
        if target.is_object() {
            writer.field(2, "TargetRef", &format!("{}/{}", text(&target["kind"]), text(&target["name"])));
        }
        writer.field(2, "NodeName", &or_unset("nodeName"));
        writer.field(2, "Zone", &or_unset("zone"));
    }
}

/// Writes an Ingress: `describeIngressV1`.
pub(super) fn ingress(cli: &mut Cli<'_>, writer: &mut Writer, ingress: &Value, settings: Settings) {
    let (metadata, spec) = (&ingress["metadata"], &ingress["spec"]);
    let namespace = text(&metadata["namespace"]);
    writer.field(0, "Name", text(&metadata["name"]));
    writer.labels("Labels", &metadata["labels"]);
    writer.field(0, "Namespace", namespace);
    let mut addresses: Vec<&str> = items(&ingress["status"]["loadBalancer"]["ingress"])
        .iter()
        .map(|address| text_or(&address["ip"], text(&address["hostname"])))
        .filter(|address| !address.is_empty())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    writer.field(0, "Address", &addresses.join(","));
    writer.field(0, "Ingress Class", spec["ingressClassName"].as_str().unwrap_or("<none>"));
    let default = match &spec["defaultBackend"] {
        Value::Null => "<default>".to_owned(),
        given => backend(cli, namespace, given, settings),
    };
    writer.field(0, "Default backend", &default);
    if !items(&spec["tls"]).is_empty() {
        writer.line(0, "TLS:");
        for tls in items(&spec["tls"]) {
            let hosts = texts(&tls["hosts"]).join(",");
            match text(&tls["secretName"]) {
                "" => writer.line(1, &format!("SNI routes {hosts}")),
                secret => writer.line(1, &format!("{secret} terminates {hosts}")),
            }
        }
    }
    writer.line(0, "Rules:\n  Host\tPath\tBackends");
    writer.line(1, "----\t----\t--------");
    let rules: Vec<&Value> = items(&spec["rules"]).iter().filter(|rule| rule["http"].is_object()).collect();
    for rule in &rules {
        writer.line(1, &format!("{}\t", text_or(&rule["host"], "*")));
        for path in items(&rule["http"]["paths"]) {
            let backend = backend(cli, namespace, &path["backend"], settings);
            writer.line(2, &format!("\t{} \t{backend}", text(&path["path"])));
        }
    }
    if rules.is_empty() {
        writer.line(1, &format!("*\t*\t{default}"));
    }
    writer.annotations("Annotations", &metadata["annotations"]);
}

/// Where a rule leads: `describeBackendV1`.
fn backend(cli: &mut Cli<'_>, namespace: &str, backend: &Value, settings: Settings) -> String {
    let service = &backend["service"];
    if !service.is_object() {
        let resource = &backend["resource"];
        if !resource.is_object() {
            return String::new();
        }
        let group = resource["apiGroup"].as_str().unwrap_or("<none>");
        return format!("APIGroup: {group}, Kind: {}, Name: {}", text(&resource["kind"]), text(&resource["name"]));
    }
    let name = text(&service["name"]);
    let (asked, asked_name) = (number(&service["port"]["number"]), text(&service["port"]["name"]));
    let port = if asked == 0 { asked_name.to_owned() } else { asked.to_string() };
    let behind = slices_of(cli, namespace, name, settings).and_then(|slices| {
        let found = cli.get(Kind::Service, namespace, name).map_err(|status| status.message().to_owned())?;
        let is_meant = |port: &&Value| {
            let by_number = asked != 0 && number(&port["port"]) == asked;
            by_number || !asked_name.is_empty() && port["name"] == asked_name
        };
        let port = items(&found["spec"]["ports"]).iter().rfind(is_meant).map_or("", |port| text(&port["name"]));
        Ok(endpoints_in(&slices, port))
    });
    let behind = behind.unwrap_or_else(|why| format!("<error: {why}>"));
    format!("{name}:{port} ({behind})")
}

/// Writes an IngressClass: `describeIngressClassV1`.
pub(super) fn ingress_class(writer: &mut Writer, class: &Value) {
    writer.field(0, "Name", text(&class["metadata"]["name"]));
    writer.labels_and_annotations(class);
    writer.field(0, "Controller", text(&class["spec"]["controller"]));
    let parameters = &class["spec"]["parameters"];
    if parameters.is_object() {
        writer.line(0, "Parameters:");
        if let Some(group) = parameters["apiGroup"].as_str() {
            writer.field(1, "APIGroup", group);
        }
        writer.field(1, "Kind", text(&parameters["kind"]));
        writer.field(1, "Name", text(&parameters["name"]));
    }
}

/// Writes a ServiceCIDR: `describeServiceCIDRV1`.
pub(super) fn service_cidr(writer: &mut Writer, cidr: &Value) {
    writer.field(0, "Name", text(&cidr["metadata"]["name"]));
    writer.labels_and_annotations(cidr);
    writer.field(0, "CIDRs", &texts(&cidr["spec"]["cidrs"]).join(", "));
    let conditions = &cidr["status"]["conditions"];
    if !items(conditions).is_empty() {
        writer.line(0, "Status:");
        writer.conditions(conditions, &["Type", "Status", "LastTransitionTime", "Reason", "Message"], ("\t", "\t"));
    }
}

/// Writes an IPAddress: `describeIPAddressV1`.
pub(super) fn ip_address(writer: &mut Writer, address: &Value) {
    writer.field(0, "Name", text(&address["metadata"]["name"]));
    writer.labels_and_annotations(address);
    let parent = &address["spec"]["parentRef"];
    if parent.is_object() {
        writer.line(0, "Parent Reference:");
        for (label, field) in
            [("Group", "group"), ("Resource", "resource"), ("Namespace", "namespace"), ("Name", "name")]
        {
            writer.field(1, label, text(&parent[field]));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::endpoints_in;

    #[test]
    fn only_the_first_ready_endpoints_of_the_port_are_shown() {
        let endpoint = |last: u8, ready: bool| json!({ "addresses": [format!("10.0.0.{last}")], "conditions": { "ready": ready } });
        let endpoints: Vec<_> = (1..=6).map(|last| endpoint(last, last != 2)).collect();
        let slice =
            json!({ "ports": [{ "name": "a", "port": 80 }, { "name": "b", "port": 81 }], "endpoints": endpoints });
        assert_eq!(endpoints_in(&[slice], "b"), "10.0.0.1:81,10.0.0.3:81,10.0.0.4:81 + 2 more...");
        assert_eq!(endpoints_in(&[json!({ "ports": [{ "name": "", "port": 80 }] })], ""), "");
        assert_eq!(endpoints_in(&[], ""), "<none>");
    }
}
