//! The environment of a container: `makeEnvironmentVariables` in `pkg/kubelet/kubelet_pods.go`,
//! `pkg/kubelet/envvars` and `third_party/forked/golang/expansion`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvFromSource, EnvVarSource, FileKeySelector, ObjectFieldSelector, Pod, PodSpec,
    ResourceFieldSelector, Secret, Service,
};

use crate::api::{ObjectKey, Resource};
use crate::client::Client;
use crate::machinery::quantity::{Format, Quantity};
use crate::machinery::shell::files::normalise;

use super::host::Host;
use super::kuberuntime::volume_key;

/// Name and value of each variable, in order.
pub(super) type Variables = Vec<(String, String)>;

fn set(variables: &mut Variables, name: &str, value: String) {
    match variables.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value,
        None => variables.push((name.to_owned(), value)),
    }
}

/// The environment of a container.
///
/// # Errors
/// What is missing, as it stands in `CreateContainerConfigError`.
pub(super) fn variables(
    pod: &Pod,
    container: &Container,
    host: &Host,
    client: &mut Client<'_>,
) -> Result<Variables, String> {
    let services = service_variables(pod, host);
    let mut result = Variables::new();
    for source in container.env_from.iter().flatten() {
        from_source(pod, source, &mut result, client)?;
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) if !value.is_empty() => {
                let known: Variables = services.iter().cloned().chain(result.iter().cloned()).collect();
                Some(expand(value, &known))
            }
            (_, Some(source)) => from_reference(pod, container, source, host, client)?,
            (value, None) => Some(value.clone().unwrap_or_default()),
        };
        if let Some(value) = value {
            set(&mut result, &variable.name, value);
        }
    }
    for (name, value) in services {
        if !result.iter().any(|(known, _)| *known == name) {
            result.push((name, value));
        }
    }
    Ok(result)
}

/// All keys of a ConfigMap or Secret as variables.
fn from_source(
    pod: &Pod,
    source: &EnvFromSource,
    result: &mut Variables,
    client: &mut Client<'_>,
) -> Result<(), String> {
    let prefix = source.prefix.as_deref().unwrap_or("");
    let data = if let Some(reference) = &source.config_map_ref {
        config_map(pod, &reference.name, reference.optional, client)?.map(|map| map.data.clone().unwrap_or_default())
    } else if let Some(reference) = &source.secret_ref {
        secret(pod, &reference.name, reference.optional, client)?.map(|secret| texts(&secret))
    } else {
        None
    };
    for (key, value) in data.into_iter().flatten() {
        set(result, &format!("{prefix}{key}"), value);
    }
    Ok(())
}

fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(key, bytes)| (key.clone(), String::from_utf8_lossy(&bytes.0).into_owned())).collect()
}

/// Reads a ConfigMap of the pod's namespace; `None` when it is optional and not there.
pub(super) fn config_map(
    pod: &Pod,
    name: &str,
    optional: Option<bool>,
    client: &mut Client<'_>,
) -> Result<Option<std::sync::Arc<ConfigMap>>, String> {
    match client.get::<ConfigMap>(&ObjectKey::new(pod.namespace(), name)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() && optional == Some(true) => Ok(None),
        Err(error) if error.is_not_found() => Err(format!("configmap {name:?} not found")),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a Secret of the pod's namespace; `None` when it is optional and not there.
pub(super) fn secret(
    pod: &Pod,
    name: &str,
    optional: Option<bool>,
    client: &mut Client<'_>,
) -> Result<Option<std::sync::Arc<Secret>>, String> {
    match client.get::<Secret>(&ObjectKey::new(pod.namespace(), name)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() && optional == Some(true) => Ok(None),
        Err(error) if error.is_not_found() => Err(format!("secret {name:?} not found")),
        Err(error) => Err(error.to_string()),
    }
}

/// A variable's value from somewhere else; `None` when it is optional and not there.
fn from_reference(
    pod: &Pod,
    container: &Container,
    source: &EnvVarSource,
    host: &Host,
    client: &mut Client<'_>,
) -> Result<Option<String>, String> {
    if let Some(field) = &source.field_ref {
        return field_value(pod, field, host).map(Some);
    }
    if let Some(resource) = &source.resource_field_ref {
        return resource_value(pod, container, resource, host).map(Some);
    }
    if let Some(reference) = &source.config_map_key_ref {
        let Some(map) = config_map(pod, &reference.name, reference.optional, client)? else { return Ok(None) };
        let value = map.data.as_ref().and_then(|data| data.get(&reference.key)).cloned();
        return match value {
            None if reference.optional != Some(true) => {
                Err(format!("couldn't find key {} in ConfigMap {}/{}", reference.key, pod.namespace(), reference.name))
            }
            value => Ok(value),
        };
    }
    if let Some(reference) = &source.secret_key_ref {
        let Some(secret) = secret(pod, &reference.name, reference.optional, client)? else { return Ok(None) };
        let value = texts(&secret).remove(&reference.key);
        return match value {
            None if reference.optional != Some(true) => {
                Err(format!("couldn't find key {} in Secret {}/{}", reference.key, pod.namespace(), reference.name))
            }
            value => Ok(value),
        };
    }
    match &source.file_key_ref {
        Some(selector) => from_file(pod, selector, host),
        None => Ok(Some(String::new())),
    }
}

/// A variable that an init container has written into a file of an `emptyDir`.
fn from_file(pod: &Pod, selector: &FileKeySelector, host: &Host) -> Result<Option<String>, String> {
    let key = volume_key(pod.uid(), &selector.volume_name);
    let path = normalise(&selector.path, "/");
    let file = host.runtime.cri.volume(&key).and_then(|files| files.get(&path));
    let text = file.as_ref().and_then(|entry| entry.bytes()).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let is_optional = selector.optional == Some(true);
    let value = match text.as_deref().map(|text| variable_in(text, &selector.key)) {
        None if is_optional => return Ok(None),
        None | Some(Err(())) => return Err("couldn't parse env file".to_owned()),
        Some(Ok(value)) => value,
    };
    match value {
        None if !is_optional => {
            Err(format!("environment variable key {:?} not found in file {:?}", selector.key, selector.path))
        }
        value => Ok(value),
    }
}

/// The value of a variable in a file whose lines are `NAME='value'`, where a value may go over several lines, and remarks.
fn variable_in(text: &str, name: &str) -> Result<Option<String>, ()> {
    let mut found = None;
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').ok_or(())?;
        let value = match value.strip_prefix('\'') {
            None => value.trim_matches('"').to_owned(),
            Some(value) => match value.split_once('\'') {
                Some((value, _)) => value.to_owned(),
                None => {
                    let (more, after) = rest.split_once('\'').ok_or(())?;
                    rest = after.split_once('\n').map_or("", |(_, after)| after);
                    format!("{value}\n{more}")
                }
            },
        };
        if key.trim() == name {
            found = Some(value);
        }
    }
    Ok(found)
}

/// A map's entries as the downward API prints them: `key="value"`, one a line.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A field of the pod: `podFieldSelectorRuntimeValue` and `ExtractFieldPathAsString`.
///
/// # Errors
/// When there is no such field.
pub(super) fn field_value(pod: &Pod, field: &ObjectFieldSelector, host: &Host) -> Result<String, String> {
    let path = field.field_path.as_str();
    let metadata = &pod.metadata;
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let map = match map {
            "metadata.labels" => metadata.labels.as_ref(),
            "metadata.annotations" => metadata.annotations.as_ref(),
            _ => return Err(format!("unsupported fieldPath: {path}")),
        };
        return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Ok(match path {
        "metadata.name" => text(&metadata.name),
        "metadata.namespace" => text(&metadata.namespace),
        "metadata.uid" => text(&metadata.uid),
        "metadata.labels" => format_map(metadata.labels.as_ref()),
        "metadata.annotations" => format_map(metadata.annotations.as_ref()),
        "spec.nodeName" => text(&spec.node_name),
        "spec.serviceAccountName" => text(&spec.service_account_name),
        "status.hostIP" | "status.hostIPs" => host.config.internal_ip.clone(),
        "status.podIP" | "status.podIPs" if spec.host_network == Some(true) => host.config.internal_ip.clone(),
        "status.podIP" | "status.podIPs" => host.runtime.pod(pod.uid()).ip().unwrap_or("").to_owned(),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// A container's resource in units of the divisor: `ExtractContainerResourceValue`.
///
/// # Errors
/// When there is no such container or resource.
pub(super) fn resource_value(
    pod: &Pod,
    container: &Container,
    selector: &ResourceFieldSelector,
    host: &Host,
) -> Result<String, String> {
    let of_name = selector.container_name.as_deref().filter(|name| !name.is_empty());
    let other = of_name
        .map(|name| super::termination::container_spec(pod, name).ok_or_else(|| format!("container {name} not found")));
    let other = other.transpose()?;
    let container = other.as_ref().unwrap_or(container);
    let (list, name) = selector
        .resource
        .split_once('.')
        .ok_or_else(|| format!("unsupported container resource: {}", selector.resource))?;
    let resources = container.resources.clone().unwrap_or_default();
    let map = if list == "limits" { resources.limits } else { resources.requests };
    let own = map.as_ref().and_then(|map| map.get(name)).map(Quantity::of);
    let amount = match own {
        Some(amount) if !amount.is_zero() => amount,
        // Without a limit a container may use all of the node.
        _ if list == "limits" => {
            let capacity = host.config.full_capacity();
            capacity.get(name).and_then(|amount| Quantity::parse(amount).ok()).unwrap_or(Quantity::ZERO)
        }
        _ => Quantity::ZERO,
    };
    let divisor = selector.divisor.as_ref().map(Quantity::of).filter(|divisor| !divisor.is_zero());
    let divisor = divisor.unwrap_or(Quantity::new(1, Format::DecimalSI));
    let ratio = if name == "cpu" {
        let (amount, divisor) = (amount.milli_value(), divisor.milli_value().max(1));
        amount.div_euclid(divisor) + i64::from(amount.rem_euclid(divisor) != 0)
    } else {
        let (amount, divisor) = (amount.value(), divisor.value().max(1));
        amount.div_euclid(divisor) + i64::from(amount.rem_euclid(divisor) != 0)
    };
    Ok(ratio.to_string())
}

/// The variables that tell a container where services are: `envvars.FromServices`.
fn service_variables(pod: &Pod, host: &Host) -> Variables {
    let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
    let mut result = Variables::new();
    for service in host.services.values() {
        let is_master = service.namespace() == "default" && service.name() == "kubernetes";
        if is_master || (links && service.namespace() == pod.namespace()) {
            of_service(service, &mut result);
        }
    }
    result
}

fn of_service(service: &Service, result: &mut Variables) {
    let Some(spec) = &service.spec else { return };
    let ip = spec.cluster_ip.as_deref().unwrap_or("");
    let ports = spec.ports.as_deref().unwrap_or(&[]);
    let Some(first) = ports.first().filter(|_| !ip.is_empty() && ip != "None") else { return };
    let upper = |text: &str| text.to_uppercase().replace('-', "_");
    let name = upper(service.name());
    let address = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    set(result, &format!("{name}_SERVICE_HOST"), ip.to_owned());
    set(result, &format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            set(result, &format!("{name}_SERVICE_PORT_{}", upper(port_name)), port.port.to_string());
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let (small, number) = (protocol.to_lowercase(), port.port);
        let url = format!("{small}://{address}:{number}");
        if index == 0 {
            set(result, &format!("{name}_PORT"), url.clone());
        }
        let prefix = format!("{name}_PORT_{number}_{}", protocol.to_uppercase());
        set(result, &prefix, url);
        set(result, &format!("{prefix}_PROTO"), small);
        set(result, &format!("{prefix}_PORT"), number.to_string());
        set(result, &format!("{prefix}_ADDR"), ip.to_owned());
    }
}

/// The names that a text refers to.
pub(super) fn references(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        rest = if let Some(after) = after.strip_prefix('$') {
            after
        } else if let Some((name, after)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            names.push(name.to_owned());
            after
        } else {
            after
        };
    }
    names
}

/// Replaces `$(NAME)` by what is known of NAME; `$$` is one dollar sign, and what is unknown stays as it is.
pub(super) fn expand(text: &str, variables: &[(String, String)]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => result.push_str(value),
                None => {
                    result.push_str("$(");
                    result.push_str(name);
                    result.push(')');
                }
            }
            rest = after;
        } else {
            result.push('$');
            rest = after;
        }
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_in_files() {
        let file = "# who\nA='1'\n\nB='two\nlines'\nA=2\nC=\"x y\"\n";
        let found = |name: &str| variable_in(file, name).expect("it can be read");
        assert_eq!(found("A").as_deref(), Some("2"));
        assert_eq!(found("B").as_deref(), Some("two\nlines"));
        assert_eq!(found("C").as_deref(), Some("x y"));
        assert_eq!(found("D"), None);
        assert_eq!(variable_in("no assignment", "A"), Err(()));
    }

    #[test]
    fn references_are_expanded() {
        let known = vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())];
        for (text, expected) in [
            ("$(A)", "1"),
            ("x-$(A)-$(B)", "x-1-$(A)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(C) $( $A $", "$(C) $( $A $"),
            ("$(A", "$(A"),
        ] {
            assert_eq!(expand(text, &known), expected, "{text}");
        }
    }
}
