//! Validation of pods and pod templates. Follows `ValidatePodCreate` and `ValidatePodSpec` of
//! `pkg/apis/core/validation`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Pod, PodDNSConfig, PodResourceClaim, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::containers::{self, Context};
use super::{app_armor, containers_with_field, env, placement, requirements, security, volumes};
use crate::api::check::{self, has_text, invalid_each, list, text};
use crate::api::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

/// `controller.kubernetes.io/pod-deletion-cost`.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// The annotation of pods that a kubelet made from a file.
pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";

/// What differs between a pod and a template of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Whether the spec is a pod's own.
    pub is_pod: bool,
}

/// `ValidatePodCreate`.
pub(crate) fn validate_create(pod: &Pod) -> ErrorList {
    let mut errors = validate_metadata_and_spec(pod);
    let path = Path::new("spec");
    let Some(spec) = &pod.spec else { return errors };
    if !list(&spec.ephemeral_containers).is_empty() {
        errors.push(FieldError::forbidden(&path.child("ephemeralContainers"), "cannot be set on create"));
    }
    if has_text(&spec.node_name) && !list(&spec.scheduling_gates).is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.push(FieldError::forbidden(&path.child("nodeName"), detail));
    }
    errors
}

/// `validatePodMetadataAndSpec`.
pub(super) fn validate_metadata_and_spec(pod: &Pod) -> ErrorList {
    let path = Path::new("spec");
    let mut errors = meta::validate(&pod.metadata, true, names::is_dns1123_subdomain);
    let missing = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&missing);
    let annotations = Path::new("metadata").child("annotations");
    validate_annotations(&mut errors, &annotations, &pod.metadata, spec);
    validate_spec(&mut errors, &path, spec, Some(&pod.metadata), Options { is_pod: true });
    validate_token_volumes(&mut errors, &path, spec);
    for (index, container) in spec.containers.iter().enumerate() {
        containers::validate_image_only_for_pod(&mut errors, &path.child("containers").index(index), container);
    }
    for (index, container) in list(&spec.init_containers).iter().enumerate() {
        containers::validate_image_only_for_pod(&mut errors, &path.child("initContainers").index(index), container);
    }
    errors
}

/// A token can only be that of an account.
fn validate_token_volumes(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    if has_text(&spec.service_account_name) {
        return;
    }
    for (index, volume) in list(&spec.volumes).iter().enumerate() {
        let sources = volume.projected.as_ref().map_or(&[][..], |projected| list(&projected.sources));
        for (source, _) in sources.iter().enumerate().filter(|(_, source)| source.service_account_token.is_some()) {
            let path = path.child("volumes").index(index).child("projected").child("sources").index(source);
            let detail = "must not be specified when serviceAccountName is not set";
            errors.push(FieldError::forbidden(&path.child("serviceAccountToken"), detail));
        }
    }
}

/// `ValidatePodTemplateSpec`.
pub(crate) fn validate_template(errors: &mut ErrorList, path: &Path, template: &PodTemplateSpec) {
    let (no_metadata, no_spec) = (ObjectMeta::default(), PodSpec::default());
    let metadata = template.metadata.as_ref().unwrap_or(&no_metadata);
    let spec = template.spec.as_ref().unwrap_or(&no_spec);
    check::labels(errors, &path.child("labels"), metadata.labels.as_ref());
    meta::validate_annotations(errors, &path.child("annotations"), metadata);
    validate_annotations(errors, &path.child("annotations"), metadata, spec);
    validate_spec(errors, &path.child("spec"), spec, None, Options { is_pod: false });
    if !list(&spec.ephemeral_containers).is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(&path.child("spec").child("ephemeralContainers"), detail));
    }
}

/// `ValidatePodSpecificAnnotations`.
pub(super) fn validate_annotations(errors: &mut ErrorList, path: &Path, metadata: &ObjectMeta, spec: &PodSpec) {
    let Some(annotations) = &metadata.annotations else { return };
    if let Some(value) = annotations.get(MIRROR).filter(|_| !has_text(&spec.node_name)) {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(FieldError::invalid(&path.key(MIRROR), value.as_str(), detail));
    }
    if let Some(cost) = annotations.get(DELETION_COST).filter(|cost| !is_deletion_cost(cost)) {
        let detail = "must be a 32bit integer";
        errors.push(FieldError::invalid(&path.key(DELETION_COST), cost.as_str(), detail));
    }
    app_armor::validate(errors, path, metadata, spec);
}

/// A whole number without a plus sign or leading zeros.
fn is_deletion_cost(cost: &str) -> bool {
    let begins_well = cost == "0" || cost.starts_with(|first| matches!(first, '-' | '1'..='9'));
    begins_well && cost.parse::<i32>().is_ok()
}

/// `ValidatePodSpec`, in upstream's order: volumes, containers, then the fields of the spec itself.
pub(super) fn validate_spec(
    errors: &mut ErrorList,
    path: &Path,
    spec: &PodSpec,
    metadata: Option<&ObjectMeta>,
    options: Options,
) {
    if spec.termination_grace_period_seconds.is_none() {
        errors.push(FieldError::required(&path.child("terminationGracePeriodSeconds"), ""));
    }
    let claims = list(&spec.resource_claims);
    let context = Context {
        volumes: volumes::validate(errors, &path.child("volumes"), list(&spec.volumes), metadata, options),
        claims: claims.iter().map(|claim| claim.name.as_str()).filter(|name| !name.is_empty()).collect(),
        grace_seconds: spec.termination_grace_period_seconds,
        restart_policy: text(&spec.restart_policy),
        host_users: spec.host_users.unwrap_or(true),
    };
    validate_claims(errors, &path.child("resourceClaims"), claims);
    containers::validate_main(errors, &path.child("containers"), &spec.containers, &context);
    containers::validate_init(errors, &path.child("initContainers"), spec, &context);
    containers::validate_ephemeral(errors, &path.child("ephemeralContainers"), spec, &context);
    env::validate_file_volumes(errors, path, spec);
    requirements::validate_pod(errors, &path.child("resources"), spec, &context.claims);
    validate_host_network(errors, path, spec, options);
    validate_policies(errors, path, spec);
    placement::validate_affinity(errors, &path.child("affinity"), spec.affinity.as_ref());
    validate_dns(errors, &path.child("dnsConfig"), spec.dns_config.as_ref(), text(&spec.dns_policy));
    for (index, gate) in list(&spec.readiness_gates).iter().enumerate() {
        let at = path.child("readinessGates").index(index).child("conditionType");
        check::qualified_name(errors, &at, &gate.condition_type);
    }
    placement::validate_gates(errors, &path.child("schedulingGates"), list(&spec.scheduling_gates));
    let constraints = list(&spec.topology_spread_constraints);
    placement::validate_spreading(errors, &path.child("topologySpreadConstraints"), constraints);
    validate_host_process(errors, path, spec);
    validate_host_users(errors, path, spec);
    validate_names(errors, path, spec);
    placement::validate_tolerations(errors, &path.child("tolerations"), list(&spec.tolerations));
    validate_rest(errors, path, spec);
}

fn validate_policies(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    let policies = ["Always", "OnFailure", "Never"];
    check::required_supported(errors, &path.child("restartPolicy"), text(&spec.restart_policy), &policies);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    check::required_supported(errors, &path.child("dnsPolicy"), text(&spec.dns_policy), &policies);
    check::labels(errors, &path.child("nodeSelector"), spec.node_selector.as_ref());
    security::validate_pod(errors, &path.child("securityContext"), spec);
}

/// `validatePodResourceClaims`.
fn validate_claims(errors: &mut ErrorList, path: &Path, claims: &[PodResourceClaim]) {
    let mut seen = BTreeSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let path = path.index(index);
        if claim.name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        } else if !seen.insert(&claim.name) {
            errors.push(FieldError::duplicate(&path.child("name"), claim.name.as_str()));
        } else {
            check::dns_label(errors, &path.child("name"), &claim.name);
        }
        let names = [
            ("resourceClaimName", &claim.resource_claim_name),
            ("resourceClaimTemplateName", &claim.resource_claim_template_name),
        ];
        let detail = match names.iter().filter(|(_, name)| name.is_some()).count() {
            0 => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            1 => "",
            _ => "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
        };
        if !detail.is_empty() {
            let shown = internal::dump("PodResourceClaim", &check::json(claim));
            errors.push(FieldError::invalid(&path, shown, detail));
        }
        for (field, name) in names {
            if let Some(name) = name {
                check::dns_subdomain(errors, &path.child(field), name);
            }
        }
    }
}

/// `validatePodHostNetworkDeps`: on the host's network a container's port is the host's.
fn validate_host_network(errors: &mut ErrorList, path: &Path, spec: &PodSpec, options: Options) {
    if spec.host_network != Some(true) {
        return;
    }
    for (index, container) in spec.containers.iter().enumerate() {
        for (port_index, port) in list(&container.ports).iter().enumerate() {
            let host_port = port.host_port.unwrap_or(0);
            // Templates may leave it out: the pod made from them gets it as a default.
            if (options.is_pod || host_port != 0) && host_port != port.container_port {
                let path = path.child("containers").index(index).child("ports").index(port_index);
                let detail = "must match `containerPort` when `hostNetwork` is true";
                errors.push(FieldError::invalid(&path.child("hostPort"), host_port, detail));
            }
        }
    }
}

/// `validatePodDNSConfig`.
fn validate_dns(errors: &mut ErrorList, path: &Path, config: Option<&PodDNSConfig>, policy: &str) {
    let Some(config) = config else {
        if policy == "None" {
            errors.push(FieldError::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
        }
        return;
    };
    let (servers, searches) = (list(&config.nameservers), list(&config.searches));
    let at = path.child("nameservers");
    if policy == "None" && servers.is_empty() {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.push(FieldError::required(&at, detail));
        return;
    }
    if servers.len() > 3 {
        errors.push(FieldError::invalid(&at, servers.to_vec(), "must not have more than 3 nameservers"));
    }
    for (index, server) in servers.iter().enumerate() {
        check::ip(errors, &at.index(index), server);
    }
    let at = path.child("searches");
    if searches.len() > 32 {
        errors.push(FieldError::invalid(&at, searches.to_vec(), "must not have more than 32 search paths"));
    }
    if searches.join(" ").len() > 2048 {
        let detail = "must not have more than 2048 characters (including spaces) in the search list";
        errors.push(FieldError::invalid(&at, searches.to_vec(), detail));
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        invalid_each(errors, &at.index(index), search, names::is_dns1123_subdomain_with_underscore(search));
    }
    for (index, option) in list(&config.options).iter().enumerate() {
        if !has_text(&option.name) {
            errors.push(FieldError::required(&path.child("options").index(index), "must not be empty"));
        }
    }
}

/// `validateWindowsHostProcessPod`.
fn validate_host_process(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    let of_pod = spec.security_context.as_ref().and_then(|context| context.windows_options.as_ref()?.host_process);
    let (mut count, mut host_processes) = (0, 0);
    for (field, index, container) in containers_with_field(spec) {
        count += 1;
        let own =
            container.security_context.as_ref().and_then(|context| context.windows_options.as_ref()?.host_process);
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let path = path.child(field).index(index).child("securityContext").child("windowsOptions");
            let detail = format!("pod hostProcess value must be identical if both are specified, was {pod}");
            errors.push(FieldError::invalid(&path.child("hostProcess"), own, detail));
        }
        if own.or(of_pod) == Some(true) {
            host_processes += 1;
        }
    }
    if host_processes == 0 {
        return;
    }
    if host_processes != count {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(FieldError::invalid(path, "", detail));
    }
    if spec.host_network != Some(true) {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(FieldError::invalid(&path.child("hostNetwork"), false, detail));
    }
}

/// `validateHostUsers`: own users and a host's other namespaces do not go together.
fn validate_host_users(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    if spec.host_users != Some(false) {
        return;
    }
    for (field, set) in [("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)] {
        if set == Some(true) {
            errors.push(FieldError::forbidden(&path.child(field), "when `pod.Spec.HostUsers` is false"));
        }
    }
}

fn validate_names(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    let subdomain = |errors: &mut ErrorList, field: &str, name: &Option<String>| {
        if has_text(name) {
            check::dns_subdomain(errors, &path.child(field), text(name));
        }
    };
    subdomain(errors, "serviceAccountName", &spec.service_account_name);
    subdomain(errors, "nodeName", &spec.node_name);
    if let Some(seconds) = spec.active_deadline_seconds.filter(|seconds| !(1..=i64::from(i32::MAX)).contains(seconds)) {
        let detail = names::inclusive_range_error(1, i64::from(i32::MAX));
        errors.push(FieldError::invalid(&path.child("activeDeadlineSeconds"), seconds, detail));
    }
    for (field, name) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
        if has_text(name) {
            check::dns_label(errors, &path.child(field), text(name));
        }
    }
    if has_text(&spec.hostname_override) {
        validate_hostname_override(errors, &path.child("hostnameOverride"), spec);
    }
}

fn validate_hostname_override(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    let name = text(&spec.hostname_override);
    check::dns_subdomain(errors, path, name);
    // What Linux allows a host to be called.
    if name.len() > 64 {
        errors.push(FieldError::too_long(path, 64));
    }
    if spec.set_hostname_as_fqdn == Some(true) {
        errors.push(FieldError::forbidden(path, "may not be specified when `setHostnameAsFQDN` is true"));
    }
    if spec.host_network == Some(true) {
        errors.push(FieldError::forbidden(path, "may not be specified when `hostNetwork` is true"));
    }
}

fn validate_rest(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    for (index, alias) in list(&spec.host_aliases).iter().enumerate() {
        let path = path.child("hostAliases").index(index);
        check::ip(errors, &path.child("ip"), &alias.ip);
        for (index, hostname) in list(&alias.hostnames).iter().enumerate() {
            check::dns_subdomain(errors, &path.child("hostnames").index(index), hostname);
        }
    }
    if has_text(&spec.priority_class_name) {
        check::dns_subdomain(errors, &path.child("priorityClassName"), text(&spec.priority_class_name));
    }
    if let Some(name) = &spec.runtime_class_name {
        check::dns_subdomain(errors, &path.child("runtimeClassName"), name);
    }
    if let Some(policy) = &spec.preemption_policy {
        let policies = ["PreemptLowerPriority", "Never"];
        check::required_supported(errors, &path.child("preemptionPolicy"), policy, &policies);
    }
    if let Some(overhead) = &spec.overhead {
        let limits =
            k8s_openapi::api::core::v1::ResourceRequirements { limits: Some(overhead.clone()), ..Default::default() };
        requirements::validate_container(errors, &path.child("overhead"), &limits, &BTreeSet::new());
    }
    security::validate_os(errors, path, spec);
}
