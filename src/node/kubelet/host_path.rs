//! What is on a machine where a pod wants to have something of it: `pkg/volume/hostpath/host_path.go` (`checkType`).

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use crate::machinery::shell::files::normalise;

use super::kuberuntime::{KubeRuntime, host_path_key};

/// Folders that every machine has.
const FOLDERS: [&str; 34] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/cni",
    "/etc/cni/net.d",
    "/etc/containerd",
    "/etc/kubernetes",
    "/etc/kubernetes/manifests",
    "/etc/ssl",
    "/etc/ssl/certs",
    "/home",
    "/lib",
    "/lib/modules",
    "/media",
    "/mnt",
    "/opt",
    "/opt/cni/bin",
    "/proc",
    "/root",
    "/run",
    "/run/containerd",
    "/srv",
    "/sys",
    "/sys/fs/cgroup",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log",
    "/var/run",
];
/// Files that it has.
const FILES: [&str; 8] = [
    "/etc/hostname",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/run/xtables.lock",
];
/// The sockets of its programs.
const SOCKETS: [&str; 4] = [
    "/run/containerd/containerd.sock",
    "/var/run/containerd/containerd.sock",
    "/run/dbus/system_bus_socket",
    "/dev/log",
];
/// Its character devices.
const CHARACTER_DEVICES: [&str; 8] =
    ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/full", "/dev/fuse", "/dev/kmsg"];
/// Its disks.
const BLOCK_DEVICES: [&str; 2] = ["/dev/vda", "/dev/vda1"];

/// Checks that a path is what a pod takes it for.
///
/// # Errors
/// What it is not.
pub(super) fn check(source: &HostPathVolumeSource, runtime: &KubeRuntime) -> Result<(), String> {
    let path = normalise(&source.path, "/");
    let wrong = |what: &str| Err(format!("hostPath type check failed: {} is not a {what}", source.path));
    let is_other = [&FILES[..], &SOCKETS, &CHARACTER_DEVICES, &BLOCK_DEVICES].concat().contains(&path.as_str());
    match source.type_.as_deref().unwrap_or("") {
        "DirectoryOrCreate" if is_other => wrong("directory"),
        // Where a pod has been before, there is a folder.
        "Directory" if !FOLDERS.contains(&path.as_str()) && !runtime.has_volume(&host_path_key(&source.path)) => {
            wrong("directory")
        }
        "File" if !FILES.contains(&path.as_str()) && !runtime.has_volume(&host_path_key(&source.path)) => wrong("file"),
        "FileOrCreate" if FOLDERS.contains(&path.as_str()) => wrong("file"),
        "Socket" if !SOCKETS.contains(&path.as_str()) => wrong("socket file"),
        "CharDevice" if !CHARACTER_DEVICES.contains(&path.as_str()) => wrong("character device"),
        "BlockDevice" if !BLOCK_DEVICES.contains(&path.as_str()) => wrong("block device"),
        _ => Ok(()),
    }
}
