//! What a pod's sandbox and containers are made from: `generatePodSandboxConfig`, `generateContainerConfig`, and the
//! files that the kubelet gives them.
//!
//! `pkg/kubelet/kuberuntime/kuberuntime_{sandbox,container}.go`, `pkg/kubelet/kubelet_pods.go` (`GeneratePodHostName`,
//! `makeMounts`, `managedHostsFileContent`), `pkg/kubelet/network/dns`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{
    Container, Pod, PodSecurityContext, PodSpec, ResourceRequirements, Secret, SecurityContext, Volume,
};

use crate::api::{ObjectKey, Resource};
use crate::client::Client;
use crate::machinery::quantity::Quantity;
use crate::machinery::shell::Signal;
use crate::machinery::shell::files::{MountPoint, normalise};
use crate::node::network::{CLUSTER_DOMAIN, DNS_ADDRESS};
use crate::node::runtime::{ContainerConfig, SandboxConfig};

use super::container_status::{StartFailure, pod_resources};
use super::environment::{self, Variables};
use super::events::{self, Warning, format_pod};
use super::host::Host;
use super::kuberuntime::{host_path_key, volume_key};
use super::volumes::{DEVICE, VolumeContent, bound_name};

/// The server that the machine itself asks.
const NODE_DNS_ADDRESS: &str = "10.0.0.2";
/// How many servers a resolver asks at most: `MaxDNSNameservers`.
const NAME_SERVERS_MAX: usize = 3;
/// The longest host name that Linux takes.
const HOST_NAME_BYTES_MAX: usize = 63;

fn spec_of(pod: &Pod) -> PodSpec {
    pod.spec.clone().unwrap_or_default()
}

/// The host name that a pod's containers see: `GeneratePodHostName`.
fn host_name(pod: &Pod, spec: &PodSpec, host: &Host) -> String {
    if spec.host_network == Some(true) {
        return host.config.name.clone();
    }
    let given = spec.hostname_override.as_ref().or(spec.hostname.as_ref()).filter(|name| !name.is_empty());
    let name = given.map_or_else(|| pod.name(), String::as_str);
    let end = name.len().min(HOST_NAME_BYTES_MAX);
    name[..end].trim_end_matches(['-', '.']).to_owned()
}

/// The host name that the kernel tells: the full one where the pod wants that: `GetNodenameForKernel`.
fn kernel_name(pod: &Pod, spec: &PodSpec, host: &Host) -> String {
    let name = host_name(pod, spec, host);
    let domain = spec.subdomain.as_ref().filter(|domain| !domain.is_empty() && spec.set_hostname_as_fqdn == Some(true));
    match domain {
        Some(domain) => format!("{name}.{domain}.{}.svc.{CLUSTER_DOMAIN}", pod.namespace()),
        None => name,
    }
}

/// What a pod's sandbox is made from.
pub(super) fn sandbox(pod: &Pod, attempt: u32, host: &Host) -> SandboxConfig {
    let spec = spec_of(pod);
    SandboxConfig {
        name: pod.name().to_owned(),
        namespace: pod.namespace().to_owned(),
        uid: pod.uid().to_owned(),
        attempt,
        hostname: kernel_name(pod, &spec, host),
        addresses: Vec::new(),
        host_network: spec.host_network == Some(true),
        shared_processes: spec.share_process_namespace == Some(true),
        annotations: pod.metadata.annotations.clone().unwrap_or_default(),
    }
}

/// What a container is made from.
///
/// # Errors
/// What is missing, as it stands in `CreateContainerConfigError`.
pub(super) fn container(
    pod: &Pod,
    container: &Container,
    volumes: &BTreeMap<String, VolumeContent>,
    attempt: u32,
    host: &Host,
    client: &mut Client<'_>,
) -> Result<ContainerConfig, StartFailure> {
    let fail = |message: String| StartFailure { reason: "CreateContainerConfigError", message };
    let spec = spec_of(pod);
    let environment = environment::variables(pod, container, host, client).map_err(fail)?;
    let expand = |texts: &Option<Vec<String>>| -> Vec<String> {
        texts.iter().flatten().map(|text| environment::expand(text, &environment)).collect()
    };
    let own = container.security_context.clone().unwrap_or_default();
    let of_pod = spec.security_context.clone().unwrap_or_default();
    let user = own.run_as_user.or(of_pod.run_as_user);
    let image = container.image.clone().unwrap_or_default();
    if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) {
        let image_user = host.runtime.image(&super::images::with_default_tag(&image)).map_or(0, |image| image.user);
        verify_not_root(pod, container, user, image_user).map_err(fail)?;
    }
    let (memory_limit, processor_limit) = limits(container, spec.resources.as_ref());
    let ports = container.ports.iter().flatten().filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    let path = container.termination_message_path.clone().filter(|path| !path.is_empty());
    Ok(ContainerConfig {
        name: container.name.clone(),
        image,
        attempt,
        command: expand(&container.command),
        args: expand(&container.args),
        directory: container.working_dir.clone().unwrap_or_default(),
        mounts: mounts(pod, container, &spec, volumes, &environment, host).map_err(fail)?,
        files: files(pod, &spec, host),
        ports: ports.filter_map(|port| u16::try_from(port.container_port).ok()).collect(),
        memory_limit,
        processor_limit,
        process_limit: host.config.pod_pids_limit,
        user,
        group: own.run_as_group.or(of_pod.run_as_group),
        groups: of_pod.supplemental_groups.iter().flatten().copied().chain(of_pod.fs_group).collect(),
        seccomp_profile: seccomp_profile(&own, &of_pod),
        app_armor_profile: app_armor_profile(&own, &of_pod),
        read_only_root: own.read_only_root_filesystem == Some(true),
        stop_signal: container.lifecycle.as_ref().and_then(|hooks| Signal::parse(hooks.stop_signal.as_deref()?)),
        stdin: container.stdin == Some(true),
        terminal: container.tty == Some(true),
        termination_message_path: path.unwrap_or_else(|| "/dev/termination-log".to_owned()),
        termination_message_from_log: container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError"),
        environment,
    })
}

/// The path of the seccomp profile that a container wants of its machine.
fn seccomp_profile(own: &SecurityContext, of_pod: &PodSecurityContext) -> Option<String> {
    let profile = own.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref())?;
    let path = profile.localhost_profile.as_ref().filter(|_| profile.type_ == "Localhost")?;
    Some(format!("/var/lib/kubelet/seccomp/{path}"))
}

/// The name of the AppArmor profile that a container wants of its machine.
fn app_armor_profile(own: &SecurityContext, of_pod: &PodSecurityContext) -> Option<String> {
    let profile = own.app_armor_profile.as_ref().or(of_pod.app_armor_profile.as_ref())?;
    profile.localhost_profile.clone().filter(|_| profile.type_ == "Localhost")
}

/// A container's limits of memory in bytes and of processor time in thousandths. What bounds the pod as a whole bounds each
/// of its containers.
pub(super) fn limits(container: &Container, of_pod: Option<&ResourceRequirements>) -> (Option<u64>, Option<u32>) {
    let (memory, processor) = limits_of(container.resources.as_ref());
    let (of_pod_memory, of_pod_processor) = limits_of(of_pod);
    (memory.or(of_pod_memory), processor.or(of_pod_processor))
}

fn limits_of(resources: Option<&ResourceRequirements>) -> (Option<u64>, Option<u32>) {
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let limit = |name: &str| limits.and_then(|limits| limits.get(name)).map(Quantity::of);
    let memory = limit("memory").and_then(|limit| u64::try_from(limit.value()).ok());
    let processor = limit("cpu").and_then(|limit| u32::try_from(limit.milli_value()).ok());
    (memory.filter(|limit| *limit > 0), processor.filter(|limit| *limit > 0))
}

/// `verifyRunAsNonRoot`.
fn verify_not_root(pod: &Pod, container: &Container, user: Option<i64>, image_user: i64) -> Result<(), String> {
    let why = match user {
        Some(0) => "container's runAsUser breaks non-root policy",
        None if image_user == 0 => "container has runAsNonRoot and image will run as root",
        _ => return Ok(()),
    };
    Err(format!("{why} (pod: \"{}\", container: {})", format_pod(pod), container.name))
}

/// Whether containers cannot write into a volume, whatever their mounts say.
fn is_read_only(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
        || volume.image.is_some()
        || volume.persistent_volume_claim.as_ref().is_some_and(|source| source.read_only == Some(true))
}

fn mounts(
    pod: &Pod,
    container: &Container,
    spec: &PodSpec,
    mounted: &BTreeMap<String, VolumeContent>,
    environment: &Variables,
    host: &Host,
) -> Result<Vec<MountPoint>, String> {
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let Some(volume) = volumes.iter().find(|volume| volume.name == mount.name) else {
            return Err(format!("mount {:?} references a volume that is not there", mount.name));
        };
        // A claim's files are where its volume is.
        let key = match (&volume.host_path, mounted.get(&volume.name)) {
            (Some(source), _) => host_path_key(&source.path),
            (None, Some(VolumeContent::HostPath(path))) => host_path_key(path),
            (None, _) => volume_key(pod.uid(), &volume.name),
        };
        let expression = mount.sub_path_expr.as_ref().filter(|text| !text.is_empty());
        let sub_path = match expression {
            Some(text) => expand_sub_path(text, environment)?,
            None => mount.sub_path.clone().unwrap_or_default(),
        };
        if sub_path.starts_with('/') {
            return Err(format!("error SubPath `{sub_path}` must not be an absolute path"));
        }
        if sub_path.split('/').any(|part| part == "..") {
            return Err(format!("unable to provision SubPath `{sub_path}`: must not contain '..'"));
        }
        // Of files that the API server holds it sees what they were when it was made.
        let is_bound = !sub_path.is_empty() && matches!(mounted.get(&volume.name), Some(VolumeContent::Files(..)));
        let key = if is_bound { volume_key(pod.uid(), &bound_name(&volume.name, &container.name)) } else { key };
        mounts.push(MountPoint {
            path: normalise(&mount.mount_path, "/"),
            volume: key,
            sub_path: sub_path.trim_matches('/').to_owned(),
            read_only: mount.read_only == Some(true) || is_read_only(volume),
            in_memory: memory_size(volume, spec, host),
        });
    }
    for device in container.volume_devices.iter().flatten() {
        if let Some(VolumeContent::HostPath(path)) = mounted.get(&device.name) {
            mounts.push(MountPoint {
                path: normalise(&device.device_path, "/"),
                volume: host_path_key(path),
                sub_path: DEVICE.trim_start_matches('/').to_owned(),
                read_only: false,
                in_memory: None,
            });
        }
    }
    Ok(mounts)
}

/// How large a volume in memory gets: what it may, what the pod may use, or what the machine has, whichever is least
/// (`calculateEmptyDirMemorySize`).
fn memory_size(volume: &Volume, spec: &PodSpec, host: &Host) -> Option<u64> {
    let source = volume.empty_dir.as_ref().filter(|source| source.medium.as_deref() == Some("Memory"))?;
    let bytes = |amount: Quantity| u64::try_from(amount.value()).ok().filter(|bytes| *bytes > 0);
    let of_pod = pod_resources(spec).limits.and_then(|limits| bytes(Quantity::of(limits.get("memory")?)));
    let wanted = source.size_limit.as_ref().and_then(|limit| bytes(Quantity::of(limit)));
    let all = host.config.full_capacity().get("memory").and_then(|text| bytes(Quantity::parse(text).ok()?));
    [of_pod, wanted, all].into_iter().flatten().min()
}

/// The path that an expression of variables means: `ExpandContainerVolumeMounts`.
fn expand_sub_path(text: &str, environment: &Variables) -> Result<String, String> {
    let missing = environment::references(text).into_iter().filter(|name| {
        let known = environment.iter().rev().find(|(known, _)| known == name);
        known.is_none_or(|(_, value)| value.is_empty())
    });
    let missing: std::collections::BTreeSet<String> = missing.collect();
    if missing.is_empty() {
        return Ok(environment::expand(text, environment));
    }
    Err(format!("missing value for {}", missing.into_iter().collect::<Vec<_>>().join(", ")))
}

/// `/etc/hosts` and `/etc/resolv.conf`.
fn files(pod: &Pod, spec: &PodSpec, host: &Host) -> Vec<(String, String)> {
    vec![
        ("/etc/hosts".to_owned(), hosts_file(pod, spec, host)),
        ("/etc/resolv.conf".to_owned(), resolver_file(pod, spec)),
    ]
}

/// `managedHostsFileContent`, `nodeHostsFileContent`.
fn hosts_file(pod: &Pod, spec: &PodSpec, host: &Host) -> String {
    let (first, address) = if spec.host_network == Some(true) {
        ("# Kubernetes-managed hosts file (host network).", Some(host.config.internal_ip.clone()))
    } else {
        ("# Kubernetes-managed hosts file.", host.runtime.pod(pod.uid()).ip().map(str::to_owned))
    };
    let mut text = format!(
        "{first}\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
         fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
    );
    let name = host_name(pod, spec, host);
    let domain = spec.subdomain.as_ref().filter(|subdomain| !subdomain.is_empty());
    let written = match (address, domain) {
        (Some(address), Some(subdomain)) => {
            let namespace = pod.namespace();
            writeln!(text, "{address}\t{name}.{subdomain}.{namespace}.svc.{CLUSTER_DOMAIN}\t{name}")
        }
        (Some(address), None) => writeln!(text, "{address}\t{name}"),
        (None, _) => Ok(()),
    };
    written.expect("a text grows");
    if let Some(aliases) = spec.host_aliases.as_ref().filter(|aliases| !aliases.is_empty()) {
        text.push_str("\n# Entries added by HostAliases.\n");
        for alias in aliases {
            let names = alias.hostnames.as_deref().unwrap_or_default();
            writeln!(text, "{}\t{}", alias.ip, names.join("\t")).expect("a text grows");
        }
    }
    text
}

/// What stands in a list for the second time does not count.
fn omit_duplicates(texts: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    texts.retain(|text| seen.insert(text.clone()));
}

/// Whether a pod asks the cluster's DNS server.
fn asks_cluster(spec: &PodSpec) -> bool {
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let on_host = spec.host_network == Some(true) && policy == "ClusterFirst";
    policy.starts_with("ClusterFirst") && !on_host
}

/// All servers that a pod would ask.
fn name_servers(spec: &PodSpec) -> Vec<String> {
    let of_policy = match spec.dns_policy.as_deref() {
        _ if asks_cluster(spec) => Some(DNS_ADDRESS),
        Some("None") => None,
        _ => Some(NODE_DNS_ADDRESS),
    };
    let config = spec.dns_config.iter().flat_map(|config| config.nameservers.iter().flatten());
    let mut servers: Vec<String> = of_policy.map(str::to_owned).into_iter().chain(config.cloned()).collect();
    omit_duplicates(&mut servers);
    servers
}

/// Tells of a pod that would ask more servers than a resolver does: `formDNSNameserversFitsLimits`.
pub(super) fn tell_name_servers(pod: &Pod, client: &mut Client<'_>) {
    let servers = pod.spec.as_ref().map(name_servers).unwrap_or_default();
    if servers.len() > NAME_SERVERS_MAX {
        let message = format!(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
            servers[..NAME_SERVERS_MAX].join(" ")
        );
        client.event_about(&events::pod_reference(pod), Warning, "DNSConfigForming", &message);
    }
}

/// Tells which of the secrets are not there that images are to be pulled with: `getPullSecretsForPod`.
pub(super) fn tell_missing_pull_secrets(pod: &Pod, client: &mut Client<'_>) {
    let named = pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten());
    let names: Vec<String> = named.map(|secret| secret.name.clone()).filter(|name| !name.is_empty()).collect();
    let mut missing = names;
    missing.retain(|name| client.get::<Secret>(&ObjectKey::new(pod.namespace(), name.as_str())).is_err());
    if !missing.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        client.event_about(&events::pod_reference(pod), Warning, "FailedToRetrieveImagePullSecret", &message);
    }
}

/// What pods find their DNS server by: `GetPodDNS`.
fn resolver_file(pod: &Pod, spec: &PodSpec) -> String {
    let of_cluster = asks_cluster(spec);
    let (mut servers, mut searches, mut options) = (name_servers(spec), Vec::new(), Vec::new());
    if of_cluster {
        let namespace = pod.namespace();
        searches.extend([format!("{namespace}.svc.{CLUSTER_DOMAIN}"), format!("svc.{CLUSTER_DOMAIN}")]);
        searches.push(CLUSTER_DOMAIN.to_owned());
        options.push("ndots:5".to_owned());
    }
    if let Some(config) = &spec.dns_config {
        searches.extend(config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            options.retain(|known: &String| known.split(':').next() != Some(&name));
            options.push(option.value.as_ref().map_or(name.clone(), |value| format!("{name}:{value}")));
        }
    }
    omit_duplicates(&mut searches);
    servers.truncate(NAME_SERVERS_MAX);
    let mut text = String::new();
    if !searches.is_empty() {
        writeln!(text, "search {}", searches.join(" ")).expect("a text grows");
    }
    for server in servers {
        writeln!(text, "nameserver {server}").expect("a text grows");
    }
    if !options.is_empty() {
        writeln!(text, "options {}", options.join(" ")).expect("a text grows");
    }
    text
}
