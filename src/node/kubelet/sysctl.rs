//! Which kernel parameters a pod may set: those that stay within its own namespaces and are known to be harmless.
//!
//! `pkg/kubelet/sysctl/{allowlist,safe_sysctls}.go`, with no `--allowed-unsafe-sysctls`.

use k8s_openapi::api::core::v1::Pod;

use super::admission::Rejection;

/// `GetSafeSysctlAllowlist`, for a recent kernel.
const SAFE: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// Why a node does not take a pod that sets kernel parameters.
pub(super) fn refusal(pod: &Pod) -> Option<Rejection> {
    let spec = pod.spec.as_ref()?;
    let sysctls = spec.security_context.as_ref()?.sysctls.as_ref()?;
    let (host_network, host_ipc) = (spec.host_network.unwrap_or(false), spec.host_ipc.unwrap_or(false));
    let why = sysctls.iter().find_map(|sysctl| {
        let name = sysctl.name.replace('/', ".");
        let why = if !SAFE.contains(&name.as_str()) {
            "not allowlisted"
        } else if host_network && name.starts_with("net.") {
            "not allowed with host net enabled"
        } else if host_ipc && name.starts_with("kernel.shm") {
            "not allowed with host ipc enabled"
        } else {
            return None;
        };
        Some(format!("forbidden sysctl: {name:?} {why}"))
    })?;
    Some(Rejection { reason: "SysctlForbidden".to_owned(), message: why })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_safe_parameters_of_a_pod_s_own_are_set() {
        let cases = [
            ("kernel.shm_rmid_forced", false, None),
            ("net/ipv4/tcp_syncookies", false, None),
            ("net.core.somaxconn", false, Some("forbidden sysctl: \"net.core.somaxconn\" not allowlisted")),
            (
                "net.ipv4.tcp_rmem",
                true,
                Some("forbidden sysctl: \"net.ipv4.tcp_rmem\" not allowed with host net enabled"),
            ),
        ];
        for (name, host_network, wanted) in cases {
            let spec = json!({
                "hostNetwork": host_network,
                "containers": [],
                "securityContext": { "sysctls": [{ "name": name, "value": "1" }] },
            });
            let pod: Pod = crate::machinery::json::from_value(&json!({ "metadata": {}, "spec": spec })).expect("a pod");
            assert_eq!(refusal(&pod).map(|refusal| refusal.message).as_deref(), wanted);
        }
    }
}
