//! Nodes. Follows `pkg/registry/core/node` and `ValidateNode`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, NodeSpec, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::Value;

use super::pod::{defaults::round_up, placement, requirements};
use crate::api::check::{self, has_text, list, text};
use crate::api::kind::Subresource;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of, or_none};
use crate::api::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::ip::Cidr;
use crate::machinery::names;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

/// `SetDefaults_NodeStatus`, and the two fields for pod CIDRs brought together as the conversion does it.
pub(crate) fn default(node: &mut Node) {
    let spec = node.spec.get_or_insert_default();
    match (text(&spec.pod_cidr).to_owned(), list(&spec.pod_cidrs).first().cloned()) {
        (old, Some(first)) if old.is_empty() => spec.pod_cidr = Some(first),
        (old, first) if !old.is_empty() && first.as_ref() != Some(&old) => spec.pod_cidrs = Some(vec![old]),
        _ => {}
    }
    let Some(status) = &mut node.status else { return };
    status.capacity.iter_mut().chain(status.allocatable.iter_mut()).for_each(round_up);
    if status.allocatable.is_none() {
        status.allocatable.clone_from(&status.capacity);
    }
}

pub(crate) fn prepare_for_create(node: &mut Node) {
    if let Some(spec) = &mut node.spec {
        spec.config_source = None;
    }
}

pub(crate) fn prepare_for_update(new: &mut Node, old: &Node, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
    } else {
        new.status.clone_from(&old.status);
    }
}

pub(crate) fn validate(node: &Node) -> ErrorList {
    let mut errors = meta::validate(&node.metadata, false, names::is_dns1123_subdomain);
    let spec = node.spec.clone().unwrap_or_default();
    validate_taints(&mut errors, list(&spec.taints));
    validate_resources(&mut errors, node);
    validate_cidrs(&mut errors, &Path::new("spec").child("podCIDRs"), list(&spec.pod_cidrs));
    errors
}

/// `validateNodeTaints`. Upstream's path names the metadata.
fn validate_taints(errors: &mut ErrorList, taints: &[Taint]) {
    let path = Path::new("metadata").child("taints");
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        check::qualified_name(errors, &path.child("key"), &taint.key);
        let messages = names::is_label_value(text(&taint.value));
        if !messages.is_empty() {
            errors.push(FieldError::invalid(&path.child("value"), text(&taint.value), messages.join(";")));
        }
        placement::validate_taint_effect(errors, &path.child("effect"), &taint.effect);
        if !seen.insert((&taint.effect, &taint.key)) {
            let mut error = FieldError::duplicate(&path, internal::dump("Taint", &check::json(taint)));
            error.body.push_str(": taints must be unique by key and effect pair");
            errors.push(error);
        }
    }
}

fn validate_resources(errors: &mut ErrorList, node: &Node) {
    let Some(status) = &node.status else { return };
    let mut validate = |field: &str, amounts: &Option<BTreeMap<String, ApiQuantity>>| {
        for (name, quantity) in amounts.iter().flatten() {
            let path = Path::new("status").child(field).child(name);
            requirements::validate_quantity(errors, &path, name, Quantity::of(quantity));
        }
    };
    validate("capacity", &status.capacity);
    validate("allocatable", &status.allocatable);
}

fn validate_cidrs(errors: &mut ErrorList, path: &Path, cidrs: &[String]) {
    for (index, cidr) in cidrs.iter().enumerate() {
        check::cidr(errors, &path.index(index), cidr);
    }
    if cidrs.len() < 2 {
        return;
    }
    let families: BTreeSet<bool> =
        cidrs.iter().filter_map(|c| Cidr::parse(c)).map(|block| block.address.is_ipv6()).collect();
    if families.len() != 2 || cidrs.len() > 2 {
        let detail = "may specify no more than one CIDR for each IP family";
        errors.push(FieldError::invalid(path, cidrs.to_vec(), detail));
    }
    for (index, cidr) in cidrs.iter().enumerate().filter(|(index, cidr)| cidrs[..*index].contains(cidr)) {
        errors.push(FieldError::duplicate(&path.index(index), cidr.as_str()));
    }
}

pub(crate) fn validate_update(new: &Node, old: &Node, subresource: Option<Subresource>) -> ErrorList {
    let mut errors = if subresource.is_none() { validate(new) } else { ErrorList::new() };
    errors.extend(meta::validate_update(&new.metadata, &old.metadata));
    validate_resources(&mut errors, new);
    let addresses = new.status.as_ref().map_or(&[][..], |status| list(&status.addresses));
    for (index, address) in addresses.iter().enumerate().filter(|(index, a)| addresses[..*index].contains(a)) {
        let path = Path::new("status").child("addresses").index(index);
        errors.push(FieldError::duplicate(&path, internal::dump("NodeAddress", &check::json(address))));
    }
    let missing = NodeSpec::default();
    let (spec, before) = (new.spec.as_ref().unwrap_or(&missing), old.spec.as_ref().unwrap_or(&missing));
    let cidrs = list(&before.pod_cidrs);
    if !cidrs.is_empty() && cidrs != list(&spec.pod_cidrs) {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        errors.push(FieldError::forbidden(&Path::new("spec").child("podCIDRs"), detail));
    }
    if has_text(&before.provider_id) && before.provider_id != spec.provider_id {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.push(FieldError::forbidden(&Path::new("spec").child("providerID"), detail));
    }
    validate_taints(&mut errors, list(&spec.taints));
    if text(&spec.external_id) != text(&before.external_id) {
        errors.push(FieldError::forbidden(&Path::new("spec").child("externalID"), "may not be updated"));
    }
    errors
}

/// `fieldIsDeprecatedWarnings`.
pub(crate) fn warnings(node: &Node) -> Vec<String> {
    let Some(spec) = &node.spec else { return Vec::new() };
    let mut warnings = Vec::new();
    if spec.config_source.is_some() {
        warnings.push("spec.configSource: the feature is no longer available".to_owned());
    }
    if has_text(&spec.external_id) {
        warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
    }
    warnings
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Status", "The status of the node"),
    ColumnDefinition::text("Roles", "The roles of the node"),
    AGE,
    ColumnDefinition::text("Version", "Kubelet Version reported by the node."),
    ColumnDefinition::text(
        "Internal-IP",
        "List of addresses reachable to the node. Queried from cloud provider, if \
                           available. More info: https://kubernetes.io/docs/reference/node/node-status/#addresses",
    )
    .wide(),
    ColumnDefinition::text(
        "External-IP",
        "List of addresses reachable to the node. Queried from cloud provider, if \
                           available. More info: https://kubernetes.io/docs/reference/node/node-status/#addresses",
    )
    .wide(),
    ColumnDefinition::text(
        "OS-Image",
        "OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 \
                           (wheezy)).",
    )
    .wide(),
    ColumnDefinition::text(
        "Kernel-Version",
        "Kernel Version reported by the node from 'uname -r' (e.g. \
                           3.16.0-0.bpo.4-amd64).",
    )
    .wide(),
    ColumnDefinition::text(
        "Container-Runtime",
        "ContainerRuntime Version reported by the node through runtime remote \
                           API (e.g. containerd://1.4.2).",
    )
    .wide(),
];

pub(crate) fn row(node: &Node, now: Time) -> Vec<Value> {
    let status = node.status.clone().unwrap_or_default();
    let info = status.node_info.clone().unwrap_or_default();
    let unknown = |text: &str| -> Value { if text.is_empty() { "<unknown>" } else { text }.into() };
    let kernel = match (info.kernel_version.as_str(), info.architecture.as_str()) {
        ("", _) | (_, "") => info.kernel_version.clone(),
        (version, architecture) => format!("{version} ({architecture})"),
    };
    let address = |kind: &str| {
        let found = list(&status.addresses).iter().find(|address| address.type_ == kind);
        or_none(found.map_or("", |address| address.address.as_str()))
    };
    vec![
        name_of(&node.metadata),
        state(node).into(),
        or_none(&roles(node).join(",")),
        age_of(&node.metadata, now),
        info.kubelet_version.as_str().into(),
        address("InternalIP"),
        address("ExternalIP"),
        unknown(&info.os_image),
        unknown(&kernel),
        unknown(&info.container_runtime_version),
    ]
}

fn state(node: &Node) -> String {
    let conditions = node.status.as_ref().map_or(&[][..], |status| list(&status.conditions));
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    let mut state = match ready {
        Some(condition) if condition.status == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true)) {
        state.push_str(",SchedulingDisabled");
    }
    state
}

/// The roles that labels give a node (`findNodeRoles`).
fn roles(node: &Node) -> Vec<String> {
    let labels = node.metadata.labels.iter().flatten();
    let roles: BTreeSet<String> = labels
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role.to_owned()),
            _ if key == "kubernetes.io/role" && !value.is_empty() => Some(value.clone()),
            _ => None,
        })
        .collect();
    roles.into_iter().collect()
}
