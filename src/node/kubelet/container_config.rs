//! What a pod's sandbox and containers are made from: `generatePodSandboxConfig`, `generateContainerConfig`, and the
//! files that the kubelet gives them.
//!
//! `pkg/kubelet/kuberuntime/kuberuntime_{sandbox,container}.go`, `pkg/kubelet/kubelet_pods.go` (`GeneratePodHostName`,
//! `makeMounts`, `managedHostsFileContent`), `pkg/kubelet/network/dns`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{
    Container, Pod, PodSecurityContext, PodSpec, ResourceRequirements, SecurityContext, Volume,
};

use crate::api::Resource;
use crate::client::Client;
use crate::machinery::quantity::Quantity;
use crate::machinery::shell::Signal;
use crate::machinery::shell::files::{MountPoint, normalise};
use crate::node::network::{CLUSTER_DOMAIN, DNS_ADDRESS};
use crate::node::runtime::{ContainerConfig, SandboxConfig};

use super::container_status::StartFailure;
use super::environment::{self, Variables};
use super::events::format_pod;
use super::host::Host;
use super::kuberuntime::{host_path_key, volume_key};
use super::volumes::VolumeContent;

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

/// What a pod's sandbox is made from.
pub(super) fn sandbox(pod: &Pod, attempt: u32, host: &Host) -> SandboxConfig {
    let spec = spec_of(pod);
    SandboxConfig {
        name: pod.name().to_owned(),
        namespace: pod.namespace().to_owned(),
        uid: pod.uid().to_owned(),
        attempt,
        hostname: host_name(pod, &spec, host),
        addresses: Vec::new(),
        host_network: spec.host_network == Some(true),
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
        mounts: mounts(pod, container, &spec, volumes, &environment).map_err(fail)?,
        files: files(pod, &spec, host),
        ports: ports.filter_map(|port| u16::try_from(port.container_port).ok()).collect(),
        memory_limit,
        processor_limit,
        user,
        group: own.run_as_group.or(of_pod.run_as_group),
        groups: of_pod.fs_group.into_iter().chain(of_pod.supplemental_groups.clone().unwrap_or_default()).collect(),
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
        || volume.persistent_volume_claim.as_ref().is_some_and(|source| source.read_only == Some(true))
}

fn mounts(
    pod: &Pod,
    container: &Container,
    spec: &PodSpec,
    mounted: &BTreeMap<String, VolumeContent>,
    environment: &Variables,
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
        mounts.push(MountPoint {
            path: normalise(&mount.mount_path, "/"),
            volume: key,
            sub_path: sub_path.trim_matches('/').to_owned(),
            read_only: mount.read_only == Some(true) || is_read_only(volume),
        });
    }
    Ok(mounts)
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

/// What pods find their DNS server by: `GetPodDNS`.
fn resolver_file(pod: &Pod, spec: &PodSpec) -> String {
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let on_host = spec.host_network == Some(true) && policy == "ClusterFirst";
    let of_cluster = policy.starts_with("ClusterFirst") && !on_host;
    let (mut servers, mut searches, mut options) = (Vec::new(), Vec::new(), Vec::new());
    if of_cluster {
        servers.push(DNS_ADDRESS.to_owned());
        let namespace = pod.namespace();
        searches.extend([format!("{namespace}.svc.{CLUSTER_DOMAIN}"), format!("svc.{CLUSTER_DOMAIN}")]);
        searches.push(CLUSTER_DOMAIN.to_owned());
        options.push("ndots:5".to_owned());
    } else if policy != "None" {
        servers.push("10.0.0.2".to_owned());
    }
    if let Some(config) = &spec.dns_config {
        servers.extend(config.nameservers.iter().flatten().cloned());
        searches.extend(config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            options.retain(|known: &String| known.split(':').next() != Some(&name));
            options.push(option.value.as_ref().map_or(name.clone(), |value| format!("{name}:{value}")));
        }
    }
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
