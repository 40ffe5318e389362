//! What the API server warns of in pods and templates. Follows `pkg/api/pod/warnings.go`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, NodeSelectorTerm, PodAffinityTerm, PodSpec, Volume, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{app_armor, containers_with_field, env, overlaps};
use crate::api::check::{self, list, text};
use crate::api::core::claim;
use crate::machinery::field::Path;
use crate::machinery::ip;
use crate::machinery::names;
use crate::machinery::quantity::Quantity;

/// `SeccompPodAnnotationKey`.
pub(super) const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// `SeccompContainerAnnotationKeyPrefix`.
pub(super) const SECCOMP_CONTAINER_PREFIX: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// Annotations that fields replaced.
const DEPRECATED_ANNOTATIONS: &[(&str, &str)] = &[
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        r#"non-functional in v1.16+; use the "priorityClassName" field instead"#,
    ),
    ("security.alpha.kubernetes.io/sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
    ("security.alpha.kubernetes.io/unsafe-sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
];

/// `GetNodeLabelDeprecatedMessage`: what replaced a label of nodes.
pub(crate) fn deprecated_node_label(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => r#"deprecated since v1.14; use "kubernetes.io/arch" instead"#,
        "beta.kubernetes.io/os" => r#"deprecated since v1.14; use "kubernetes.io/os" instead"#,
        "failure-domain.beta.kubernetes.io/region" => {
            r#"deprecated since v1.17; use "topology.kubernetes.io/region" instead"#
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            r#"deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#
        }
        "beta.kubernetes.io/instance-type" => {
            r#"deprecated since v1.17; use "node.kubernetes.io/instance-type" instead"#
        }
        _ => return None,
    })
}

/// What the strategies of workloads say of a name that is no DNS label; `what` is where the name is used.
pub(crate) fn name_warning(name: &str, what: &str) -> Option<String> {
    let messages = names::is_dns1123_label(name);
    (!messages.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in {what}, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            messages.join(" ")
        )
    })
}

/// `GetWarningsForPod` with an empty path, `GetWarningsForPodTemplate` with the template's.
pub(crate) fn of_spec(path: &Path, metadata: &ObjectMeta, spec: &PodSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    let spec_path = path.child("spec");
    node_labels(&mut warnings, &spec_path, spec);
    for (key, message) in DEPRECATED_ANNOTATIONS {
        if metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(*key)) {
            warnings.push(format!("{}: {message}", path.child("metadata").child("annotations").key(key)));
        }
    }
    for (index, volume) in list(&spec.volumes).iter().enumerate() {
        volume_plugins(&mut warnings, &spec_path.child("volumes").index(index), volume);
    }
    warnings.extend(overlaps::warnings(list(&spec.volumes)));
    duplicates(&mut warnings, &spec_path, spec);
    if let Some(overhead) = &spec.overhead {
        fractional_bytes(&mut warnings, &spec_path.child("overhead"), overhead);
    }
    annotations_for_fields(&mut warnings, path, metadata, spec);
    for (field, index, container) in containers_with_field(spec) {
        of_container(&mut warnings, &spec_path.child(field).index(index), container);
    }
    ports(&mut warnings, &spec_path, spec);
    port_names(&mut warnings, &spec_path, spec);
    if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        let at = spec_path.child("terminationGracePeriodSeconds");
        warnings.push(format!("{at}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    affinity_selectors(&mut warnings, &spec_path.child("affinity"), spec);
    addresses(&mut warnings, &spec_path, spec);
    warnings
}

/// Addresses that are not written as RFC 5952 has it.
fn addresses(warnings: &mut Vec<String>, path: &Path, spec: &PodSpec) {
    let servers = spec.dns_config.iter().flat_map(|config| list(&config.nameservers));
    check::ip_warnings(warnings, &path.child("dnsConfig").child("nameservers"), servers);
    let at = path.child("hostAliases");
    for (index, alias) in list(&spec.host_aliases).iter().enumerate() {
        warnings.extend(ip::warnings_for_ip(&at.index(index).child("ip"), &alias.ip));
    }
}

/// Annotations of seccomp and AppArmor where the field that replaced them is missing. Of a pod's own AppArmor annotations
/// [`super::app_armor`] tells, since they become fields.
fn annotations_for_fields(warnings: &mut Vec<String>, path: &Path, metadata: &ObjectMeta, spec: &PodSpec) {
    let Some(annotations) = metadata.annotations.as_ref().filter(|annotations| !annotations.is_empty()) else { return };
    let at = path.child("metadata").child("annotations");
    let mut warn = |key: &str, message: &str| {
        if annotations.contains_key(key) {
            warnings.push(format!("{}: {message}", at.key(key)));
        }
    };
    const SECCOMP: &str = r#"non-functional in v1.27+; use the "seccompProfile" field instead"#;
    let context = spec.security_context.as_ref();
    if context.is_none_or(|context| context.seccomp_profile.is_none()) {
        warn(SECCOMP_POD, SECCOMP);
    }
    let pod_app_armor = context.is_some_and(|context| context.app_armor_profile.is_some());
    for (_, _, container) in containers_with_field(spec) {
        let own = container.security_context.as_ref();
        if own.is_none_or(|own| own.seccomp_profile.is_none()) {
            warn(&format!("{SECCOMP_CONTAINER_PREFIX}{}", container.name), SECCOMP);
        }
        let has_app_armor = pod_app_armor || own.is_some_and(|own| own.app_armor_profile.is_some());
        if !path.as_str().is_empty() && !has_app_armor {
            warn(&format!("{}{}", app_armor::PREFIX, container.name), app_armor::DEPRECATED);
        }
    }
}

fn node_labels(warnings: &mut Vec<String>, path: &Path, spec: &PodSpec) {
    for (key, _) in spec.node_selector.iter().flatten() {
        if let Some(message) = deprecated_node_label(key) {
            warnings.push(format!("{}: {message}", path.child("nodeSelector").key(key)));
        }
    }
    if let Some(affinity) = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref()) {
        let path = path.child("affinity").child("nodeAffinity");
        if let Some(selector) = &affinity.required_during_scheduling_ignored_during_execution {
            let path = path.child("requiredDuringSchedulingIgnoredDuringExecution").child("nodeSelectorTerms");
            for (index, term) in selector.node_selector_terms.iter().enumerate() {
                selector_term(warnings, &path.index(index), term, false);
            }
        }
        let path = path.child("preferredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in list(&affinity.preferred_during_scheduling_ignored_during_execution).iter().enumerate() {
            selector_term(warnings, &path.index(index).child("preference"), &term.preference, true);
        }
    }
    for (index, constraint) in list(&spec.topology_spread_constraints).iter().enumerate() {
        let path = path.child("topologySpreadConstraints").index(index);
        if let Some(message) = deprecated_node_label(&constraint.topology_key) {
            warnings.push(format!("{}: {} is {message}", path.child("topologyKey"), constraint.topology_key));
        }
        if constraint.label_selector.is_none() {
            warnings.push(null_selector(&path.child("labelSelector")));
        }
    }
}

fn null_selector(path: &Path) -> String {
    format!("{path}: a null labelSelector results in matching no pod")
}

/// `GetWarningsForNodeSelectorTerm`; validation refuses values that are no labels only where a term is required.
fn selector_term(warnings: &mut Vec<String>, path: &Path, term: &NodeSelectorTerm, check_values: bool) {
    for (index, expression) in list(&term.match_expressions).iter().enumerate() {
        if let Some(message) = deprecated_node_label(&expression.key) {
            let at = path.child("matchExpressions").index(index).child("key");
            warnings.push(format!("{at}: {} is {message}", expression.key));
        }
        let values = list(&expression.values).iter().enumerate().filter(|_| check_values);
        for (value_index, value) in values {
            let at = path.child("matchExpressions").index(index).child("values").index(value_index);
            let messages = names::is_label_value(value);
            warnings.extend(messages.into_iter().map(|message| format!("{at}: {value} is invalid, {message}")));
        }
    }
}

fn volume_plugins(warnings: &mut Vec<String>, path: &Path, volume: &Volume) {
    for (field, present, message) in [
        (
            "photonPersistentDisk",
            volume.photon_persistent_disk.is_some(),
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        ("gitRepo", volume.git_repo.is_some(), "deprecated in v1.11, and disabled by default in v1.33+"),
        ("scaleIO", volume.scale_io.is_some(), "deprecated in v1.16, non-functional in v1.22+"),
        ("flocker", volume.flocker.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
        ("storageOS", volume.storageos.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
        ("quobyte", volume.quobyte.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
        ("glusterfs", volume.glusterfs.is_some(), "deprecated in v1.25, non-functional in v1.26+"),
        ("cephfs", volume.cephfs.is_some(), "deprecated in v1.28, non-functional in v1.31+"),
        ("rbd", volume.rbd.is_some(), "deprecated in v1.28, non-functional in v1.31+"),
    ] {
        if present {
            warnings.push(format!("{}: {message}", path.child(field)));
        }
    }
    let template = volume.ephemeral.as_ref().and_then(|source| source.volume_claim_template.as_ref());
    if let Some(template) = template {
        let path = path.child("ephemeral").child("volumeClaimTemplate").child("spec");
        warnings.extend(claim::warnings_of_spec(&path, &template.spec));
    }
}

fn duplicates(warnings: &mut Vec<String>, path: &Path, spec: &PodSpec) {
    let mut seen = BTreeSet::new();
    for (index, alias) in list(&spec.host_aliases).iter().enumerate() {
        if !seen.insert(alias.ip.as_str()) {
            let at = path.child("hostAliases").index(index).child("ip");
            warnings.push(format!("{at}: duplicate ip {:?}", alias.ip));
        }
    }
    let mut seen = BTreeSet::new();
    let secrets = list(&spec.image_pull_secrets);
    let at = |index: usize| path.child("imagePullSecrets").index(index).child("name");
    for (index, secret) in secrets.iter().enumerate() {
        if !seen.insert(secret.name.as_str()) {
            warnings.push(format!("{}: duplicate name {:?}", at(index), secret.name));
        }
    }
    for (index, _) in secrets.iter().enumerate().filter(|(_, secret)| secret.name.is_empty()) {
        warnings.push(format!("{}: invalid empty name \"\"", at(index)));
    }
}

fn fractional_bytes(
    warnings: &mut Vec<String>,
    path: &Path,
    amounts: &BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
) {
    for name in ["memory", "ephemeral-storage"] {
        let Some(quantity) = amounts.get(name).map(Quantity::of) else { continue };
        if quantity.milli_value() % 1000 != 0 {
            let shown = quantity.to_string();
            let at = path.key(name);
            warnings.push(format!("{at}: fractional byte value {shown:?} is invalid, must be an integer"));
        }
    }
}

fn of_container(warnings: &mut Vec<String>, path: &Path, container: &Container) {
    if let Some(resources) = &container.resources {
        let path = path.child("resources");
        for (field, amounts) in [("limits", &resources.limits), ("requests", &resources.requests)] {
            amounts.iter().for_each(|amounts| fractional_bytes(warnings, &path.child(field), amounts));
        }
    }
    for (index, name) in env::hidden_definitions(&container.env) {
        let at = path.child("env").index(index);
        warnings.push(format!("{at}: hides previous definition of {name:?}, which may be dropped when using apply"));
    }
}

/// Names of ports that two containers have.
fn port_names(warnings: &mut Vec<String>, path: &Path, spec: &PodSpec) {
    let mut seen: BTreeMap<&str, Path> = BTreeMap::new();
    for (field, index, container) in containers_with_field(spec) {
        for (port_index, port) in list(&container.ports).iter().enumerate() {
            let name = text(&port.name);
            if name.is_empty() {
                continue;
            }
            let at = path.child(field).index(index).child("ports").index(port_index);
            match seen.get(name) {
                Some(first) => warnings.push(format!(
                    "{at}: duplicate port name {name:?} with {first}, services and probes that select ports by name \
                     will use {first}"
                )),
                None => drop(seen.insert(name, at)),
            }
        }
    }
}

/// Ports that stand twice, in one container or in several.
fn ports(warnings: &mut Vec<String>, path: &Path, spec: &PodSpec) {
    let mut seen: BTreeMap<(i32, &str), Vec<(Path, &ContainerPort)>> = BTreeMap::new();
    for (field, index, container) in containers_with_field(spec) {
        for (port_index, port) in list(&container.ports).iter().enumerate() {
            let at = path.child(field).index(index).child("ports").index(port_index);
            let (host_ip, host_port) = (text(&port.host_ip), port.host_port.unwrap_or(0));
            if !host_ip.is_empty() && host_port == 0 {
                let (name, number, protocol) = (text(&port.name), port.container_port, text(&port.protocol));
                warnings.push(format!(
                    "{at}: hostIP set without hostPort: {{Name:{name} HostPort:0 ContainerPort:{number} \
                     Protocol:{protocol} HostIP:{host_ip}}}"
                ));
            }
            let others = seen.entry((port.container_port, text(&port.protocol))).or_default();
            for (other_at, other) in others.iter() {
                let (other_ip, other_port) = (text(&other.host_ip), other.host_port.unwrap_or(0));
                let how = if host_ip == other_ip && host_port == other_port {
                    "duplicate"
                } else if host_port == 0 || other_port == 0 {
                    "overlapping"
                } else if host_port == other_port && host_ip.is_empty() != other_ip.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                warnings.push(format!("{at}: {how} port definition with {other_at}"));
            }
            others.push((at, port));
        }
    }
}

fn affinity_selectors(warnings: &mut Vec<String>, path: &Path, spec: &PodSpec) {
    let Some(affinity) = &spec.affinity else { return };
    let mut warn = |field: &str, required: &[PodAffinityTerm], preferred: &[WeightedPodAffinityTerm]| {
        let path = path.child(field);
        for (index, _) in required.iter().enumerate().filter(|(_, term)| term.label_selector.is_none()) {
            let at = path.child("requiredDuringSchedulingIgnoredDuringExecution").index(index);
            warnings.push(null_selector(&at.child("labelSelector")));
        }
        for (index, term) in preferred.iter().enumerate() {
            if term.pod_affinity_term.label_selector.is_none() {
                let at = path.child("preferredDuringSchedulingIgnoredDuringExecution").index(index);
                warnings.push(null_selector(&at.child("podAffinityTerm").child("labelSelector")));
            }
        }
    };
    if let Some(pods) = &affinity.pod_affinity {
        let required = list(&pods.required_during_scheduling_ignored_during_execution);
        warn("podAffinity", required, list(&pods.preferred_during_scheduling_ignored_during_execution));
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        let required = list(&pods.required_during_scheduling_ignored_during_execution);
        warn("podAntiAffinity", required, list(&pods.preferred_during_scheduling_ignored_during_execution));
    }
}
