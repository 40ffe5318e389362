//! The single rules of the pod security standards. Follows `k8s.io/pod-security-admission/policy/check_*.go`, a
//! function a check, in the order in which upstream registers them.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::core::v1::{
    Container, HTTPGetAction, PodSpec, SELinuxOptions, SecurityContext, TCPSocketAction, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::policy::{Level, LevelVersion};

/// One way in which a pod is beyond a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub reason: &'static str,
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.detail)
    }
}

fn violation(reason: &'static str, detail: String) -> Option<Violation> {
    Some(Violation { reason, detail })
}

/// What of a pod is beyond a level: `checkRegistry.EvaluatePod`. Rules that a stricter one covers come last, and only
/// where that one is not asked.
pub(super) fn evaluate(at: LevelVersion, metadata: &ObjectMeta, spec: &PodSpec) -> Vec<Violation> {
    if at.level == Level::Privileged {
        return Vec::new();
    }
    let baseline = [
        app_armor(metadata, spec),
        host_namespaces(spec),
        host_ports(spec),
        host_probes(at, spec),
        privileged(spec),
        proc_mount(at, spec),
        se_linux(at, spec),
        sysctls(at, spec),
        windows_host_process(spec),
    ];
    let rest = if at.level == Level::Baseline {
        vec![capabilities_baseline(spec), host_path_volumes(spec), seccomp_baseline(at, metadata, spec)]
    } else {
        vec![
            privilege_escalation(at, spec),
            capabilities_restricted(at, spec),
            restricted_volumes(spec),
            run_as_non_root(at, spec),
            run_as_user(at, spec),
            seccomp_restricted(at, spec),
        ]
    };
    baseline.into_iter().chain(rest).flatten().collect()
}

/// What a check reads of a container.
struct Part<'a> {
    name: &'a str,
    context: Option<&'a SecurityContext>,
    container: Option<&'a Container>,
}

/// Init containers, containers and ephemeral ones: `visitContainers`.
fn parts(spec: &PodSpec) -> impl Iterator<Item = Part<'_>> {
    let ordinary = spec.init_containers.iter().flatten().chain(&spec.containers).map(|container| Part {
        name: &container.name,
        context: container.security_context.as_ref(),
        container: Some(container),
    });
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|container| Part {
        name: &container.name,
        context: container.security_context.as_ref(),
        container: None,
    });
    ordinary.chain(ephemeral)
}

/// The names of the containers of which something holds.
fn names<'a>(spec: &'a PodSpec, holds: impl Fn(&Part<'a>) -> bool) -> Vec<&'a str> {
    parts(spec).filter(holds).map(|part| part.name).collect()
}

fn pluralize(one: &'static str, many: &'static str, count: usize) -> &'static str {
    if count == 1 { one } else { many }
}

/// `"a", "b"`.
fn quoted<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    items.into_iter().map(|item| format!("\"{}\"", item.as_ref())).collect::<Vec<_>>().join(", ")
}

/// `container "a"` or `containers "a", "b"`.
fn containers(names: &[&str]) -> String {
    format!("{} {}", pluralize("container", "containers", names.len()), quoted(names))
}

/// Who set something: the pod, containers, or both.
fn setters(pod: bool, names: &[&str]) -> Option<String> {
    match (pod, names) {
        (false, []) => None,
        (true, []) => Some("pod".to_owned()),
        (false, names) => Some(containers(names)),
        (true, names) => Some(format!("pod and {}", containers(names))),
    }
}

/// From v1.35 on, a pod with users of its own may be root inside (`relaxPolicyForUserNamespacePod`).
fn has_own_users(at: LevelVersion, spec: &PodSpec) -> bool {
    at.since(35) && spec.host_users == Some(false)
}

/// From v1.25 on, rules about Linux do not bind pods for Windows.
fn is_windows(at: LevelVersion, spec: &PodSpec) -> bool {
    at.since(25) && spec.os.as_ref().is_some_and(|os| os.name == "windows")
}

fn app_armor(metadata: &ObjectMeta, spec: &PodSpec) -> Option<Violation> {
    const PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
    let is_bad = |profile: &str| !matches!(profile, "RuntimeDefault" | "Localhost");
    let profile = spec.security_context.as_ref().and_then(|context| context.app_armor_profile.as_ref());
    let of_pod = profile.map(|profile| profile.type_.as_str()).filter(|profile| is_bad(profile));
    let of = |part: &Part<'_>| {
        let profile = part.context?.app_armor_profile.as_ref()?;
        Some(profile.type_.clone()).filter(|profile| is_bad(profile))
    };
    let bad = names(spec, |part| of(part).is_some());
    let values: BTreeSet<String> =
        of_pod.map(str::to_owned).into_iter().chain(parts(spec).filter_map(|part| of(&part))).collect();
    let mut values: Vec<String> = values.into_iter().collect();
    let mut who: Vec<String> = setters(of_pod.is_some(), &bad).into_iter().collect();
    let is_allowed = |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    let annotations = metadata.annotations.iter().flatten();
    let annotated = annotations.filter(|(name, value)| name.starts_with(PREFIX) && !is_allowed(value));
    let annotated: Vec<String> = annotated.map(|(name, value)| format!("{name}={value:?}")).collect();
    if !annotated.is_empty() {
        who.push(pluralize("annotation", "annotations", annotated.len()).to_owned());
        values.extend(annotated);
    }
    if who.is_empty() {
        return None;
    }
    let reason = pluralize("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
    violation(reason, format!("{} must not set AppArmor profile type to {}", who.join(" and "), quoted(&values)))
}

fn capabilities_baseline(spec: &PodSpec) -> Option<Violation> {
    const ALLOWED: [&str; 13] = [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ];
    let (bad, added) = added_capabilities(spec, |capability| !ALLOWED.contains(&capability));
    if bad.is_empty() {
        return None;
    }
    let detail = format!("{} must not include {} in securityContext.capabilities.add", containers(&bad), quoted(added));
    violation("non-default capabilities", detail)
}

/// The containers that add a forbidden capability, and these.
fn added_capabilities(spec: &PodSpec, is_bad: impl Fn(&str) -> bool) -> (Vec<&str>, BTreeSet<&str>) {
    let (mut bad, mut added) = (Vec::new(), BTreeSet::new());
    for part in parts(spec) {
        let Some(capabilities) = part.context.and_then(|context| context.capabilities.as_ref()) else { continue };
        let forbidden: Vec<&str> =
            capabilities.add.iter().flatten().map(String::as_str).filter(|name| is_bad(name)).collect();
        added.extend(forbidden.iter().copied());
        if !forbidden.is_empty() {
            bad.push(part.name);
        }
    }
    (bad, added)
}

fn host_namespaces(spec: &PodSpec) -> Option<Violation> {
    let set =
        [("hostNetwork=true", spec.host_network), ("hostPID=true", spec.host_pid), ("hostIPC=true", spec.host_ipc)];
    let told: Vec<&str> = set.into_iter().filter(|(_, set)| *set == Some(true)).map(|(told, _)| told).collect();
    if told.is_empty() { None } else { violation("host namespaces", told.join(", ")) }
}

fn host_path_volumes(spec: &PodSpec) -> Option<Violation> {
    let volumes = spec.volumes.iter().flatten().filter(|volume| volume.host_path.is_some());
    let names: Vec<&str> = volumes.map(|volume| volume.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    violation("hostPath volumes", format!("{} {}", pluralize("volume", "volumes", names.len()), quoted(&names)))
}

fn host_ports(spec: &PodSpec) -> Option<Violation> {
    let of = |part: &Part<'_>| -> Vec<i32> {
        let ports = part.container.iter().flat_map(|container| container.ports.iter().flatten());
        ports.filter_map(|port| port.host_port).filter(|port| *port != 0).collect()
    };
    let bad = names(spec, |part| !of(part).is_empty());
    if bad.is_empty() {
        return None;
    }
    // Sorted as texts.
    let ports: BTreeSet<String> = parts(spec).flat_map(|part| of(&part)).map(|port| port.to_string()).collect();
    let uses = pluralize("uses", "use", bad.len());
    let what = pluralize("hostPort", "hostPorts", ports.len());
    let ports: Vec<String> = ports.into_iter().collect();
    violation("hostPort", format!("{} {uses} {what} {}", containers(&bad), ports.join(", ")))
}

fn host_probes(at: LevelVersion, spec: &PodSpec) -> Option<Violation> {
    if !at.since(34) {
        return None;
    }
    let bad: BTreeSet<&str> = parts(spec).filter(|part| !hosts(part).is_empty()).map(|part| part.name).collect();
    if bad.is_empty() {
        return None;
    }
    let hosts: BTreeSet<String> = parts(spec).flat_map(|part| hosts(&part)).collect();
    let bad: Vec<&str> = bad.into_iter().collect();
    let uses = pluralize("uses", "use", bad.len());
    let what = pluralize("probe or lifecycle host", "probe or lifecycle hosts", hosts.len());
    violation("probe or lifecycle host", format!("{} {uses} {what} {}", containers(&bad), quoted(hosts)))
}

/// The hosts that a container's probes and hooks name.
fn hosts(part: &Part<'_>) -> Vec<String> {
    let Some(container) = part.container else { return Vec::new() };
    let mut found = Vec::new();
    let mut take = |http: &Option<HTTPGetAction>, tcp: &Option<TCPSocketAction>| {
        let hosts =
            [http.as_ref().and_then(|get| get.host.clone()), tcp.as_ref().and_then(|socket| socket.host.clone())];
        found.extend(hosts.into_iter().flatten().filter(|host| !host.is_empty()));
    };
    for probe in [&container.liveness_probe, &container.readiness_probe, &container.startup_probe].into_iter().flatten()
    {
        take(&probe.http_get, &probe.tcp_socket);
    }
    for hook in container.lifecycle.iter().flat_map(|hooks| [&hooks.post_start, &hooks.pre_stop]).flatten() {
        take(&hook.http_get, &hook.tcp_socket);
    }
    found
}

fn privileged(spec: &PodSpec) -> Option<Violation> {
    let bad = names(spec, |part| part.context.is_some_and(|context| context.privileged == Some(true)));
    if bad.is_empty() {
        return None;
    }
    violation("privileged", format!("{} must not set securityContext.privileged=true", containers(&bad)))
}

fn proc_mount(at: LevelVersion, spec: &PodSpec) -> Option<Violation> {
    if has_own_users(at, spec) {
        return None;
    }
    let of = |part: &Part<'_>| part.context?.proc_mount.clone().filter(|mount| mount != "Default");
    let bad = names(spec, |part| of(part).is_some());
    if bad.is_empty() {
        return None;
    }
    let mounts: BTreeSet<String> = parts(spec).filter_map(|part| of(&part)).collect();
    violation("procMount", format!("{} must not set securityContext.procMount to {}", containers(&bad), quoted(mounts)))
}

fn se_linux(at: LevelVersion, spec: &PodSpec) -> Option<Violation> {
    let is_allowed = |kind: &str| {
        matches!(kind, "" | "container_t" | "container_init_t" | "container_kvm_t")
            || (at.since(31) && kind == "container_engine_t")
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let is_bad = |options: &&SELinuxOptions| {
        !is_allowed(&text(&options.type_)) || !text(&options.user).is_empty() || !text(&options.role).is_empty()
    };
    let of_pod = spec.security_context.as_ref().and_then(|context| context.se_linux_options.as_ref()).filter(is_bad);
    let of =
        |part: &Part<'_>| part.context.and_then(|context| context.se_linux_options.clone()).filter(|one| is_bad(&one));
    let bad = names(spec, |part| of(part).is_some());
    let who = setters(of_pod.is_some(), &bad)?;
    let all: Vec<SELinuxOptions> =
        of_pod.cloned().into_iter().chain(parts(spec).filter_map(|part| of(&part))).collect();
    let types: BTreeSet<String> = all.iter().map(|one| text(&one.type_)).filter(|kind| !is_allowed(kind)).collect();
    let mut data = Vec::new();
    if !types.is_empty() {
        data.push(format!("{} {}", pluralize("type", "types", types.len()), quoted(&types)));
    }
    if all.iter().any(|one| !text(&one.user).is_empty()) {
        data.push("user may not be set".to_owned());
    }
    if all.iter().any(|one| !text(&one.role).is_empty()) {
        data.push("role may not be set".to_owned());
    }
    violation("seLinuxOptions", format!("{who} set forbidden securityContext.seLinuxOptions: {}", data.join("; ")))
}

fn sysctls(at: LevelVersion, spec: &PodSpec) -> Option<Violation> {
    /// Names, each with the minor version since which it is allowed.
    const ALLOWED: [(&str, u16); 12] = [
        ("kernel.shm_rmid_forced", 0),
        ("net.ipv4.ip_local_port_range", 0),
        ("net.ipv4.tcp_syncookies", 0),
        ("net.ipv4.ping_group_range", 0),
        ("net.ipv4.ip_unprivileged_port_start", 0),
        ("net.ipv4.ip_local_reserved_ports", 27),
        ("net.ipv4.tcp_keepalive_time", 29),
        ("net.ipv4.tcp_fin_timeout", 29),
        ("net.ipv4.tcp_keepalive_intvl", 29),
        ("net.ipv4.tcp_keepalive_probes", 29),
        ("net.ipv4.tcp_rmem", 32),
        ("net.ipv4.tcp_wmem", 32),
    ];
    let is_allowed = |name: &str| ALLOWED.iter().any(|(known, since)| *known == name && at.since(*since));
    let set = spec.security_context.iter().flat_map(|context| context.sysctls.iter().flatten());
    let bad: Vec<&str> = set.map(|sysctl| sysctl.name.as_str()).filter(|name| !is_allowed(name)).collect();
    if bad.is_empty() { None } else { violation("forbidden sysctls", bad.join(", ")) }
}

fn windows_host_process(spec: &PodSpec) -> Option<Violation> {
    let options = spec.security_context.as_ref().and_then(|context| context.windows_options.as_ref());
    let of_pod = options.is_some_and(|options| options.host_process == Some(true));
    let bad = names(spec, |part| {
        let options = part.context.and_then(|context| context.windows_options.as_ref());
        options.is_some_and(|options| options.host_process == Some(true))
    });
    let who = setters(of_pod, &bad)?;
    violation("hostProcess", format!("{who} must not set securityContext.windowsOptions.hostProcess=true"))
}

fn privilege_escalation(at: LevelVersion, spec: &PodSpec) -> Option<Violation> {
    if !at.since(8) || is_windows(at, spec) {
        return None;
    }
    let bad = names(spec, |part| part.context.is_none_or(|context| context.allow_privilege_escalation != Some(false)));
    if bad.is_empty() {
        return None;
    }
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&bad));
    violation("allowPrivilegeEscalation != false", detail)
}

fn capabilities_restricted(at: LevelVersion, spec: &PodSpec) -> Option<Violation> {
    if !at.since(22) || is_windows(at, spec) {
        return None;
    }
    let keeping = names(spec, |part| {
        let capabilities = part.context.and_then(|context| context.capabilities.as_ref());
        !capabilities.is_some_and(|capabilities| capabilities.drop.iter().flatten().any(|name| name == "ALL"))
    });
    let (adding, added) = added_capabilities(spec, |capability| capability != "NET_BIND_SERVICE");
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&keeping)));
    }
    if !adding.is_empty() {
        details.push(format!(
            "{} must not include {} in securityContext.capabilities.add",
            containers(&adding),
            quoted(added)
        ));
    }
    if details.is_empty() { None } else { violation("unrestricted capabilities", details.join("; ")) }
}

fn restricted_volumes(spec: &PodSpec) -> Option<Violation> {
    let bad: Vec<(&str, String)> = spec
        .volumes
        .iter()
        .flatten()
        .filter_map(|volume| restricted_type(volume).map(|kind| (volume.name.as_str(), kind)))
        .collect();
    if bad.is_empty() {
        return None;
    }
    let types: BTreeSet<&String> = bad.iter().map(|(_, kind)| kind).collect();
    let detail = format!(
        "{} {} {} {} {}",
        pluralize("volume", "volumes", bad.len()),
        quoted(bad.iter().map(|(name, _)| name)),
        pluralize("uses", "use", bad.len()),
        pluralize("restricted volume type", "restricted volume types", types.len()),
        quoted(types)
    );
    violation("restricted volume types", detail)
}

/// The source of a volume, unless it is one that anybody may use.
fn restricted_type(volume: &Volume) -> Option<String> {
    const ALLOWED: [&str; 9] = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    let value = crate::machinery::json::to_value(volume);
    let mut sources = value.as_object()?.iter().filter(|(name, value)| *name != "name" && !value.is_null());
    let (source, _) = sources.next()?;
    (!ALLOWED.contains(&source.as_str())).then(|| source.clone())
}

fn run_as_non_root(at: LevelVersion, spec: &PodSpec) -> Option<Violation> {
    if has_own_users(at, spec) {
        return None;
    }
    const REASON: &str = "runAsNonRoot != true";
    let of_pod = spec.security_context.as_ref().and_then(|context| context.run_as_non_root);
    let of = |part: &Part<'_>| part.context.and_then(|context| context.run_as_non_root);
    let explicit = names(spec, |part| of(part) == Some(false));
    if let Some(who) = setters(of_pod == Some(false), &explicit) {
        return violation(REASON, format!("{who} must not set securityContext.runAsNonRoot=false"));
    }
    let implicit = names(spec, |part| of(part).is_none() && of_pod != Some(true));
    if implicit.is_empty() {
        return None;
    }
    violation(REASON, format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&implicit)))
}

fn run_as_user(at: LevelVersion, spec: &PodSpec) -> Option<Violation> {
    if !at.since(23) || has_own_users(at, spec) {
        return None;
    }
    let of_pod = spec.security_context.as_ref().and_then(|context| context.run_as_user) == Some(0);
    let bad = names(spec, |part| part.context.and_then(|context| context.run_as_user) == Some(0));
    violation("runAsUser=0", format!("{} must not set runAsUser=0", setters(of_pod, &bad)?))
}

fn seccomp_baseline(at: LevelVersion, metadata: &ObjectMeta, spec: &PodSpec) -> Option<Violation> {
    if at.since(19) { bad_seccomp(spec) } else { seccomp_annotations(metadata, spec) }
}

fn is_valid_seccomp(profile: &str) -> bool {
    matches!(profile, "RuntimeDefault" | "Localhost")
}

fn seccomp_of<'a>(part: &Part<'a>) -> Option<&'a str> {
    Some(part.context?.seccomp_profile.as_ref()?.type_.as_str())
}

fn seccomp_of_pod(spec: &PodSpec) -> Option<&str> {
    Some(spec.security_context.as_ref()?.seccomp_profile.as_ref()?.type_.as_str())
}

/// Profiles that are given and bad.
fn bad_seccomp(spec: &PodSpec) -> Option<Violation> {
    let of_pod = seccomp_of_pod(spec).filter(|profile| !is_valid_seccomp(profile));
    let bad = names(spec, |part| seccomp_of(part).is_some_and(|profile| !is_valid_seccomp(profile)));
    let who = setters(of_pod.is_some(), &bad)?;
    let of_containers = parts(spec).filter_map(|part| seccomp_of(&part)).filter(|profile| !is_valid_seccomp(profile));
    let values: BTreeSet<&str> = of_pod.into_iter().chain(of_containers).collect();
    violation("seccompProfile", format!("{who} must not set securityContext.seccompProfile.type to {}", quoted(values)))
}

/// Before v1.19 profiles were annotations.
fn seccomp_annotations(metadata: &ObjectMeta, spec: &PodSpec) -> Option<Violation> {
    let of_pod = "seccomp.security.alpha.kubernetes.io/pod".to_owned();
    let of = |part: Part<'_>| format!("container.seccomp.security.alpha.kubernetes.io/{}", part.name);
    let is_bad =
        |value: &str| !matches!(value, "runtime/default" | "docker/default") && !value.starts_with("localhost/");
    let forbidden: BTreeSet<String> = std::iter::once(of_pod)
        .chain(parts(spec).map(of))
        .filter_map(|name| {
            let value = metadata.annotations.as_ref()?.get(&name)?;
            is_bad(value).then(|| format!("{name}={value:?}"))
        })
        .collect();
    if forbidden.is_empty() {
        return None;
    }
    let what = pluralize("annotation", "annotations", forbidden.len());
    let told: Vec<String> = forbidden.into_iter().collect();
    violation("seccompProfile", format!("forbidden {what} {}", told.join(", ")))
}

fn seccomp_restricted(at: LevelVersion, spec: &PodSpec) -> Option<Violation> {
    if !at.since(19) || is_windows(at, spec) {
        return None;
    }
    if let Some(violation) = bad_seccomp(spec) {
        return Some(violation);
    }
    let missing = names(spec, |part| seccomp_of(part).is_none() && seccomp_of_pod(spec).is_none());
    if missing.is_empty() {
        return None;
    }
    let who = containers(&missing);
    let detail =
        format!("pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"");
    violation("seccompProfile", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::{Value, json};

    fn told(level: Level, version: Option<u16>, spec: Value) -> String {
        let spec: PodSpec = serde_json::from_value(spec).expect("a pod's spec");
        let found = evaluate(LevelVersion { level, version }, &ObjectMeta::default(), &spec);
        found.iter().map(|violation| format!("{violation}\n")).collect()
    }

    #[test]
    fn a_plain_pod_is_not_restricted() {
        let plain = || json!({ "containers": [{ "name": "a" }, { "name": "b" }] });
        expect![[r#"
            allowPrivilegeEscalation != false (containers "a", "b" must set securityContext.allowPrivilegeEscalation=false)
            unrestricted capabilities (containers "a", "b" must set securityContext.capabilities.drop=["ALL"])
            runAsNonRoot != true (pod or containers "a", "b" must set securityContext.runAsNonRoot=true)
            seccompProfile (pod or containers "a", "b" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")
        "#]]
        .assert_eq(&told(Level::Restricted, None, plain()));
        assert_eq!(told(Level::Baseline, None, plain()), "");
        expect![[r#"
            runAsNonRoot != true (pod or containers "a", "b" must set securityContext.runAsNonRoot=true)
        "#]]
        .assert_eq(&told(Level::Restricted, Some(7), plain()));
    }

    #[test]
    fn everything_at_once() {
        let container = json!({
            "name": "c",
            "ports": [{ "containerPort": 1, "hostPort": 80 }, { "containerPort": 2, "hostPort": 443 }],
            "livenessProbe": { "tcpSocket": { "host": "h", "port": 1 } },
            "securityContext": {
                "privileged": true, "procMount": "Unmasked", "runAsUser": 0, "allowPrivilegeEscalation": true,
                "capabilities": { "add": ["SYS_ADMIN"], "drop": ["ALL"] },
                "windowsOptions": { "hostProcess": true },
                "appArmorProfile": { "type": "Unconfined" },
            },
        });
        let spec = || {
            json!({
                "hostNetwork": true, "hostIPC": true,
                "securityContext": {
                    "sysctls": [{ "name": "kernel.msgmax", "value": "1" }, { "name": "net.ipv4.tcp_rmem", "value": "1" }],
                    "seLinuxOptions": { "type": "odd", "role": "r" },
                    "seccompProfile": { "type": "Unconfined" },
                    "runAsNonRoot": false,
                },
                "volumes": [{ "name": "v", "hostPath": { "path": "/" } }, { "name": "n", "nfs": { "server": "s", "path": "/" } }],
                "containers": [container],
            })
        };
        expect![[r#"
            forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")
            host namespaces (hostNetwork=true, hostIPC=true)
            hostPort (container "c" uses hostPorts 443, 80)
            probe or lifecycle host (container "c" uses probe or lifecycle host "h")
            privileged (container "c" must not set securityContext.privileged=true)
            procMount (container "c" must not set securityContext.procMount to "Unmasked")
            seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "odd"; role may not be set)
            forbidden sysctls (kernel.msgmax)
            hostProcess (container "c" must not set securityContext.windowsOptions.hostProcess=true)
            non-default capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add)
            hostPath volumes (volume "v")
            seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")
        "#]]
        .assert_eq(&told(Level::Baseline, None, spec()));
        let restricted = told(Level::Restricted, None, spec());
        let last: Vec<&str> = restricted.lines().skip(9).collect();
        expect![[r#"
            allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)
            unrestricted capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add)
            restricted volume types (volumes "v", "n" use restricted volume types "hostPath", "nfs")
            runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)
            runAsUser=0 (container "c" must not set runAsUser=0)
            seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")"#]]
        .assert_eq(&last.join("\n"));
    }
}
