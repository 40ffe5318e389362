//! Validation of security contexts, of pods and of containers.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, PodSpec, SeccompProfile, SecurityContext, Sysctl, WindowsSecurityContextOptions,
};

use super::containers_with_field;
use crate::api::check::{self, list};
use crate::api::internal;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

/// `validatePodSpecSecurityContext`.
pub(super) fn validate_pod(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    let Some(context) = &spec.security_context else { return };
    for (field, id) in
        [("fsGroup", context.fs_group), ("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)]
    {
        validate_id(errors, &path.child(field), id);
    }
    for (index, group) in list(&context.supplemental_groups).iter().enumerate() {
        validate_id(errors, &path.child("supplementalGroups").index(index), Some(*group));
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(&path.child("shareProcessNamespace"), true, detail));
    }
    validate_sysctls(errors, &path.child("sysctls"), list(&context.sysctls), spec);
    if let Some(policy) = &context.fs_group_change_policy {
        check::supported(errors, &path.child("fsGroupChangePolicy"), policy, &["Always", "OnRootMismatch"]);
    }
    validate_seccomp(errors, &path.child("seccompProfile"), context.seccomp_profile.as_ref());
    validate_windows(errors, &path.child("windowsOptions"), context.windows_options.as_ref());
    validate_app_armor(errors, &path.child("appArmorProfile"), context.app_armor_profile.as_ref());
    if let Some(policy) = &context.supplemental_groups_policy {
        check::supported(errors, &path.child("supplementalGroupsPolicy"), policy, &["Merge", "Strict"]);
    }
    if let Some(policy) = &context.se_linux_change_policy {
        check::supported(errors, &path.child("seLinuxChangePolicy"), policy, &["MountOption", "Recursive"]);
    }
}

/// `ValidateSecurityContext`. `host_users` says whether the pod shares the host's users.
pub(super) fn validate_container(errors: &mut ErrorList, path: &Path, context: &SecurityContext, host_users: bool) {
    validate_id(errors, &path.child("runAsUser"), context.run_as_user);
    validate_id(errors, &path.child("runAsGroup"), context.run_as_group);
    if let Some(mount) = &context.proc_mount {
        let at = path.child("procMount");
        check::supported(errors, &at, mount, &["Default", "Unmasked"]);
        if host_users && mount == "Unmasked" {
            errors.push(FieldError::invalid(&at, mount.as_str(), "`hostUsers` must be false to use `Unmasked`"));
        }
    }
    validate_seccomp(errors, &path.child("seccompProfile"), context.seccomp_profile.as_ref());
    if context.allow_privilege_escalation == Some(false) {
        validate_no_escalation(errors, path, context);
    }
    validate_windows(errors, &path.child("windowsOptions"), context.windows_options.as_ref());
    validate_app_armor(errors, &path.child("appArmorProfile"), context.app_armor_profile.as_ref());
}

fn validate_no_escalation(errors: &mut ErrorList, path: &Path, context: &SecurityContext) {
    let shown = || internal::dump("SecurityContext", &check::json(context));
    if context.privileged == Some(true) {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        errors.push(FieldError::invalid(path, shown(), detail));
    }
    let added = context.capabilities.as_ref().map_or(&[][..], |capabilities| list(&capabilities.add));
    for _ in added.iter().filter(|capability| *capability == "CAP_SYS_ADMIN") {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
        errors.push(FieldError::invalid(path, shown(), detail));
    }
}

fn validate_id(errors: &mut ErrorList, path: &Path, id: Option<i64>) {
    let Some(id) = id else { return };
    errors.extend(names::is_unix_id(id).into_iter().map(|message| FieldError::invalid(path, id, message)));
}

fn validate_sysctls(errors: &mut ErrorList, path: &Path, sysctls: &[Sysctl], spec: &PodSpec) {
    let mut seen = BTreeSet::new();
    for (index, sysctl) in sysctls.iter().enumerate() {
        let at = path.index(index).child("name");
        let name = sysctl.name.as_str();
        if name.is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else if !is_sysctl(name) {
            let detail = r"must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(FieldError::invalid(&at, name, detail));
        } else if seen.contains(name) {
            errors.push(FieldError::duplicate(&at, name));
        }
        if spec.host_network == Some(true) && namespace_of(name) == Some("net") {
            errors.push(FieldError::invalid(&at, name, "may not be specified when 'hostNetwork' is true"));
        } else if spec.host_ipc == Some(true) && namespace_of(name) == Some("ipc") {
            errors.push(FieldError::invalid(&at, name, "may not be specified when 'hostIPC' is true"));
        }
        seen.insert(name);
    }
}

/// `IsValidSysctlName`.
fn is_sysctl(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let segment = |segment: &str| {
        let bytes = segment.as_bytes();
        bytes.first().is_some_and(|byte| alphanumeric(*byte))
            && bytes.last().is_some_and(|byte| alphanumeric(*byte))
            && bytes.iter().all(|byte| alphanumeric(*byte) || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}

/// The namespace that a sysctl belongs to: `utilsysctl.GetNamespace`.
fn namespace_of(name: &str) -> Option<&'static str> {
    let name = name.replace('/', ".");
    if name.starts_with("net.") {
        return Some("net");
    }
    let ipc = name == "kernel.sem" || ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|p| name.starts_with(p));
    ipc.then_some("ipc")
}

/// `validateSeccompProfileField`.
fn validate_seccomp(errors: &mut ErrorList, path: &Path, profile: Option<&SeccompProfile>) {
    let Some(profile) = profile else { return };
    let at = path.child("type");
    if profile.type_.is_empty() {
        errors.push(FieldError::required(&at, "type is required when seccompProfile is set"));
    } else {
        check::supported(errors, &at, &profile.type_, &["Localhost", "RuntimeDefault", "Unconfined"]);
    }
    let at = path.child("localhostProfile");
    match (profile.type_ == "Localhost", &profile.localhost_profile) {
        (true, None) => errors.push(FieldError::required(&at, "must be set when seccomp type is Localhost")),
        (true, Some(file)) => super::volumes::validate_descending_path(errors, &at, file),
        (false, Some(_)) => {
            let shown = internal::dump("SeccompProfile", &check::json(profile));
            errors.push(FieldError::invalid(&at, shown, "can only be set when seccomp type is Localhost"));
        }
        (false, None) => {}
    }
}

/// `ValidateAppArmorProfileField`.
fn validate_app_armor(errors: &mut ErrorList, path: &Path, profile: Option<&AppArmorProfile>) {
    let Some(profile) = profile else { return };
    let at = path.child("localhostProfile");
    let file = profile.localhost_profile.as_deref();
    match profile.type_.as_str() {
        "Localhost" => {
            if let Some(file) = file.filter(|file| file.trim() != *file) {
                errors.push(FieldError::invalid(&at, file, "must not be padded with whitespace"));
            } else if file.unwrap_or("").is_empty() {
                errors.push(FieldError::required(&at, "must be set when AppArmor type is Localhost"));
            }
            // A path of the host: PATH_MAX less one.
            if file.is_some_and(|file| file.len() > 4095) {
                errors.push(FieldError::too_long(&at, 4095));
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if let Some(file) = file {
                errors.push(FieldError::invalid(&at, file, "can only be set when AppArmor type is Localhost"));
            }
        }
        "" => {
            let detail = "type is required when appArmorProfile is set";
            errors.push(FieldError::required(&path.child("type"), detail));
        }
        other => check::supported(errors, &path.child("type"), other, &["Localhost", "RuntimeDefault", "Unconfined"]),
    }
}

/// `validateWindowsSecurityContextOptions`.
fn validate_windows(errors: &mut ErrorList, path: &Path, options: Option<&WindowsSecurityContextOptions>) {
    let Some(options) = options else { return };
    if let Some(name) = &options.gmsa_credential_spec_name {
        check::dns_subdomain(errors, &path.child("gmsaCredentialSpecName"), name);
    }
    if let Some(spec) = &options.gmsa_credential_spec {
        let at = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.push(FieldError::invalid(&at, "", "gmsaCredentialSpec cannot be an empty string"));
        } else if spec.len() > 64 * 1024 {
            errors.push(FieldError::invalid(&at, spec.as_str(), "gmsaCredentialSpec size must be under 64 KiB"));
        }
    }
    let Some(user) = &options.run_as_user_name else { return };
    let at = path.child("runAsUserName");
    let detail = if user.is_empty() {
        "runAsUserName cannot be an empty string"
    } else if user.contains(|character: char| character.is_ascii_control()) {
        "runAsUserName cannot contain control characters"
    } else if user.matches('\\').count() > 1 {
        "runAsUserName cannot contain more than one backslash"
    } else {
        validate_windows_user(errors, &at, user);
        return;
    };
    errors.push(FieldError::invalid(&at, user.as_str(), detail));
}

fn validate_windows_user(errors: &mut ErrorList, path: &Path, name: &str) {
    let (domain, user) = name.split_once('\\').unwrap_or(("", name));
    if domain.len() >= 256 {
        let detail = "runAsUserName's Domain length must be under 256 characters";
        errors.push(FieldError::invalid(path, name, detail));
    }
    if !domain.is_empty() && !is_windows_domain(domain) {
        let detail = "runAsUserName's Domain doesn't match the NetBIOS nor the DNS format";
        errors.push(FieldError::invalid(path, name, detail));
    }
    if user.is_empty() {
        errors.push(FieldError::invalid(path, name, "runAsUserName's User cannot be empty"));
    } else if user.len() > 104 {
        let detail = "runAsUserName's User length must not be longer than 104 characters";
        errors.push(FieldError::invalid(path, name, detail));
    }
    if !user.is_empty() && user.chars().all(|character| matches!(character, '.' | ' ')) {
        errors.push(FieldError::invalid(path, name, "runAsUserName's User cannot contain only periods or spaces"));
    }
    if user.contains(|character: char| "\"/\\:;|=,+*?<>@[]".contains(character)) {
        let detail = r#"runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"#;
        errors.push(FieldError::invalid(path, name, detail));
    }
}

/// The name of a computer as NetBIOS has it, or as DNS has it.
fn is_windows_domain(domain: &str) -> bool {
    let is_net_bios = domain.chars().count() <= 15
        && !domain.starts_with('.')
        && !domain.contains(|letter: char| "\\/:*?\"<>|".contains(letter));
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    is_net_bios || domain.split('.').all(is_label)
}

/// `validateOS` and what each system forbids; `path` is the spec's.
pub(super) fn validate_os(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    let Some(os) = &spec.os else { return };
    match os.name.as_str() {
        "" => errors.push(FieldError::required(&path.child("os").child("name"), "cannot be empty")),
        "linux" => {
            let detail = "windows options cannot be set for a linux pod";
            if spec.security_context.as_ref().is_some_and(|context| context.windows_options.is_some()) {
                let at = path.child("securityContext").child("windowsOptions");
                errors.push(FieldError::forbidden(&at, detail));
            }
            for (field, index, container) in containers_with_field(spec) {
                if container.security_context.as_ref().is_some_and(|context| context.windows_options.is_some()) {
                    let at = path.child(field).index(index).child("securityContext").child("windowsOptions");
                    errors.push(FieldError::forbidden(&at, detail));
                }
            }
        }
        "windows" => validate_windows_pod(errors, path, spec),
        other => check::supported(errors, &path.child("os"), other, &["linux", "windows"]),
    }
}

fn validate_windows_pod(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    let context = path.child("securityContext");
    let options = spec.security_context.clone().unwrap_or_default();
    for (at, set) in [
        (context.child("appArmorProfile"), options.app_armor_profile.is_some()),
        (context.child("seLinuxOptions"), options.se_linux_options.is_some()),
        (path.child("hostUsers"), spec.host_users.is_some()),
        (path.child("hostPID"), spec.host_pid == Some(true)),
        (path.child("hostIPC"), spec.host_ipc == Some(true)),
        (context.child("seccompProfile"), options.seccomp_profile.is_some()),
        (context.child("fsGroup"), options.fs_group.is_some()),
        (context.child("fsGroupChangePolicy"), options.fs_group_change_policy.is_some()),
        (context.child("sysctls"), !list(&options.sysctls).is_empty()),
        (path.child("shareProcessNamespace"), spec.share_process_namespace.is_some()),
        (context.child("runAsUser"), options.run_as_user.is_some()),
        (context.child("runAsGroup"), options.run_as_group.is_some()),
        (context.child("supplementalGroups"), options.supplemental_groups.is_some()),
        (context.child("supplementalGroupsPolicy"), options.supplemental_groups_policy.is_some()),
        (context.child("seLinuxChangePolicy"), options.se_linux_change_policy.is_some()),
    ] {
        if set {
            errors.push(FieldError::forbidden(&at, "cannot be set for a windows pod"));
        }
    }
    for (field, index, container) in containers_with_field(spec) {
        let Some(options) = &container.security_context else { continue };
        let context = path.child(field).index(index).child("securityContext");
        for (field, set) in [
            ("appArmorProfile", options.app_armor_profile.is_some()),
            ("seLinuxOptions", options.se_linux_options.is_some()),
            ("seccompProfile", options.seccomp_profile.is_some()),
            ("capabilities", options.capabilities.is_some()),
            ("readOnlyRootFilesystem", options.read_only_root_filesystem.is_some()),
            ("privileged", options.privileged.is_some()),
            ("allowPrivilegeEscalation", options.allow_privilege_escalation.is_some()),
            ("procMount", options.proc_mount.is_some()),
            ("runAsUser", options.run_as_user.is_some()),
            ("runAsGroup", options.run_as_group.is_some()),
        ] {
            if set {
                errors.push(FieldError::forbidden(&context.child(field), "cannot be set for a windows pod"));
            }
        }
    }
}
