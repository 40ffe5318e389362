//! NetworkPolicies. Follows `ValidateNetworkPolicy` and `printNetworkPolicy`.

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::api::check::{self, list};
use crate::api::core::pod::defaults::text_or;
use crate::api::form::semantic_equal;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::ip::{self, Cidr};
use crate::machinery::labels::format_label_selector;
use crate::machinery::names;
use crate::machinery::time::Time;

const POLICY_TYPES: &[&str] = &["Ingress", "Egress"];

/// `SetDefaults_NetworkPolicy` and `SetDefaults_NetworkPolicyPort`.
pub(crate) fn default(policy: &mut NetworkPolicy) {
    let Some(spec) = &mut policy.spec else { return };
    if list(&spec.policy_types).is_empty() {
        let types = if list(&spec.egress).is_empty() { &POLICY_TYPES[..1] } else { POLICY_TYPES };
        spec.policy_types = Some(types.iter().map(|&policy_type| policy_type.to_owned()).collect());
    }
    let ingress = spec.ingress.iter_mut().flatten().filter_map(|rule| rule.ports.as_mut());
    let egress = spec.egress.iter_mut().flatten().filter_map(|rule| rule.ports.as_mut());
    for port in ingress.chain(egress).flatten() {
        text_or(&mut port.protocol, "TCP");
    }
}

pub(crate) fn prepare_for_create(policy: &mut NetworkPolicy) {
    policy.metadata.generation = Some(1);
}

pub(crate) fn prepare_for_update(new: &mut NetworkPolicy, old: &NetworkPolicy) {
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateNetworkPolicy`.
pub(crate) fn validate(policy: &NetworkPolicy) -> ErrorList {
    let mut errors = meta::validate(&policy.metadata, true, names::is_dns1123_subdomain);
    validate_spec(&mut errors, policy, &[]);
    errors
}

/// `ValidateNetworkPolicyUpdate`: blocks that were there before are not judged again.
pub(crate) fn validate_update(new: &NetworkPolicy, old: &NetworkPolicy) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    let spec = old.spec.clone().unwrap_or_default();
    let from = list(&spec.ingress).iter().flat_map(|rule| list(&rule.from));
    let to = list(&spec.egress).iter().flat_map(|rule| list(&rule.to));
    let known = from.chain(to).filter_map(|peer| peer.ip_block.as_ref());
    let known: Vec<&str> =
        known.flat_map(|block| std::iter::once(&block.cidr).chain(list(&block.except))).map(String::as_str).collect();
    validate_spec(&mut errors, new, &known);
    errors
}

fn validate_spec(errors: &mut ErrorList, policy: &NetworkPolicy, known: &[&str]) {
    let missing = NetworkPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    check::label_selector(errors, &path.child("podSelector"), spec.pod_selector.as_ref());
    for (index, rule) in list(&spec.ingress).iter().enumerate() {
        let path = path.child("ingress").index(index);
        validate_rule(errors, &path, list(&rule.ports), ("from", list(&rule.from)), known);
    }
    for (index, rule) in list(&spec.egress).iter().enumerate() {
        let path = path.child("egress").index(index);
        validate_rule(errors, &path, list(&rule.ports), ("to", list(&rule.to)), known);
    }
    let (types, at) = (list(&spec.policy_types), path.child("policyTypes"));
    if types.len() > POLICY_TYPES.len() {
        errors.push(FieldError::invalid(&at, check::json(types), "may not specify more than two policyTypes"));
        return;
    }
    for (index, policy_type) in types.iter().enumerate() {
        check::supported(errors, &at.index(index), policy_type, POLICY_TYPES);
    }
}

/// `networkPolicyWarnings`: blocks that are written in an odd way.
#[inline(never)]
pub(crate) fn warnings(policy: &NetworkPolicy) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(spec) = &policy.spec else { return warnings };
    let path = Path::new("spec");
    let mut of = |path: &Path, peers: &[NetworkPolicyPeer]| {
        for (index, peer) in peers.iter().enumerate() {
            let Some(block) = &peer.ip_block else { continue };
            let path = path.index(index).child("ipBlock");
            warnings.extend(ip::warnings_for_cidr(&path.child("cidr"), &block.cidr));
            for (index, except) in list(&block.except).iter().enumerate() {
                warnings.extend(ip::warnings_for_cidr(&path.child("except").index(index), except));
            }
        }
    };
    for (index, rule) in list(&spec.ingress).iter().enumerate() {
        of(&path.child("ingress").index(index).child("from"), list(&rule.from));
    }
    for (index, rule) in list(&spec.egress).iter().enumerate() {
        of(&path.child("egress").index(index).child("to"), list(&rule.to));
    }
    warnings
}

fn validate_rule(
    errors: &mut ErrorList,
    path: &Path,
    ports: &[NetworkPolicyPort],
    (field, peers): (&str, &[NetworkPolicyPeer]),
    known: &[&str],
) {
    for (index, port) in ports.iter().enumerate() {
        validate_port(errors, &path.child("ports").index(index), port);
    }
    for (index, peer) in peers.iter().enumerate() {
        validate_peer(errors, &path.child(field).index(index), peer, known);
    }
}

/// `ValidateNetworkPolicyPort`.
fn validate_port(errors: &mut ErrorList, path: &Path, port: &NetworkPolicyPort) {
    if let Some(protocol) = &port.protocol {
        check::supported(errors, &path.child("protocol"), protocol, &["TCP", "UDP", "SCTP"]);
    }
    let (end, at) = (port.end_port, path.child("endPort"));
    match &port.port {
        Some(IntOrString::Int(number)) => {
            check::port_number(errors, &path.child("port"), *number);
            if let Some(end) = end {
                if end < *number {
                    // Upstream shows the port here, not its end.
                    errors.push(FieldError::invalid(&at, *number, "must be greater than or equal to `port`"));
                }
                check::port_number(errors, &at, end);
            }
        }
        Some(name @ IntOrString::String(_)) => {
            if let Some(end) = end {
                errors.push(FieldError::invalid(&at, end, "may not be specified when `port` is non-numeric"));
            }
            check::port_number_or_name(errors, &path.child("port"), name);
        }
        None => {
            if let Some(end) = end {
                errors.push(FieldError::invalid(&at, end, "may not be specified when `port` is not specified"));
            }
        }
    }
}

/// `ValidateNetworkPolicyPeer`.
fn validate_peer(errors: &mut ErrorList, path: &Path, peer: &NetworkPolicyPeer, known: &[&str]) {
    check::label_selector(errors, &path.child("podSelector"), peer.pod_selector.as_ref());
    check::label_selector(errors, &path.child("namespaceSelector"), peer.namespace_selector.as_ref());
    let by_labels = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    match &peer.ip_block {
        Some(block) => {
            validate_block(errors, &path.child("ipBlock"), block, known);
            if by_labels {
                errors.push(FieldError::forbidden(path, "may not specify both ipBlock and another peer"));
            }
        }
        None if !by_labels => errors.push(FieldError::required(path, "must specify a peer")),
        None => {}
    }
}

/// `ValidateIPBlock`.
fn validate_block(errors: &mut ErrorList, path: &Path, block: &IPBlock, known: &[&str]) {
    let judge = |errors: &mut ErrorList, path: &Path, cidr: &str| {
        if !known.contains(&cidr) {
            check::cidr(errors, path, cidr);
        }
        Cidr::parse(cidr)
    };
    let at = path.child("cidr");
    if block.cidr.is_empty() {
        errors.push(FieldError::required(&at, ""));
        return;
    }
    let Some(whole) = judge(errors, &at, &block.cidr) else { return };
    for (index, except) in list(&block.except).iter().enumerate() {
        let at = path.child("except").index(index);
        let Some(part) = judge(errors, &at, except) else { continue };
        if !whole.contains(part.address) || whole.prefix >= part.prefix {
            errors.push(FieldError::invalid(&at, except.as_str(), "must be a strict subset of `cidr`"));
        }
    }
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Pod-Selector",
        "podSelector selects the pods to which this NetworkPolicy object applies. The array of rules is applied to any \
         pods selected by this field. An empty selector matches all pods in the policy's namespace. Multiple network \
         policies can select the same set of pods. In this case, the ingress rules for each are combined additively. \
         This field is optional. If it is not specified, it defaults to an empty selector.",
    ),
    AGE,
];

pub(crate) fn row(policy: &NetworkPolicy, now: Time) -> Vec<Value> {
    let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
    let metadata = &policy.metadata;
    vec![name_of(metadata), format_label_selector(selector).into(), age_of(metadata, now)]
}
