//! The volumes of a pod: what is in them, and waiting for what is not there yet.
//!
//! `pkg/kubelet/volumemanager` and `pkg/volume/{configmap,secret,downwardapi,projected,emptydir,hostpath}`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, Pod, ServiceAccountTokenProjection, Volume, VolumeMount,
    VolumeProjection,
};

use crate::api::{ObjectKey, Resource};
use crate::client::Client;
use crate::client::csi_translation::InlineDisk;
use crate::machinery::order::map_of;
use crate::machinery::shell::files::FileTree;
use crate::machinery::time::Time;

use super::claims::{self, Trouble};
use super::csi;
use super::environment;
use super::events::{self, Warning};
use super::host::Host;
use super::host_path;
use super::kuberuntime::{host_path_key, volume_key};

/// The first wait after a volume could not be set up: `initialDurationBeforeRetry`.
const RETRY_MIN: Duration = Duration::from_millis(500);
/// The longest wait: `maxDurationBeforeRetry`.
const RETRY_MAX: Duration = Duration::from_secs(122);
/// How long a sync waits for the pod's volumes: `podAttachAndMountTimeout`.
const TIMEOUT: Duration = Duration::from_secs(123);
/// Under this name a block device lies in its volume.
pub(super) const DEVICE: &str = "/device";
/// Its permission bits, and that it is a block device.
const DEVICE_MODE: u32 = 0o060_660;
/// The permission bits of a new `emptyDir`: `perm`.
const EMPTY_DIR_MODE: u32 = 0o777;
/// The trust anchor of the cluster, which each namespace's ConfigMap of this name holds.
const ROOT_CA: &str = "kube-root-ca.crt";

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VolumeFile {
    bytes: Vec<u8>,
    /// Its permission bits, where they are not the volume's own.
    mode: Option<i32>,
}

/// The files of a volume by their paths in it.
pub(super) type Files = BTreeMap<String, VolumeFile>;

/// What a volume is to the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum VolumeContent {
    /// Files that the API server holds, and their permission bits; containers cannot write here.
    Files(Files, i32),
    /// An empty folder that lives as long as the pod.
    Empty,
    /// A folder of the machine, which outlives the pod.
    HostPath(String),
}

/// A pod's volumes on the node.
#[derive(Clone, Debug, Default)]
pub(super) struct PodVolumes {
    pub mounted: Arc<BTreeMap<String, VolumeContent>>,
    /// Volumes that could not be set up: how long to wait, and until when.
    failed: BTreeMap<String, (Duration, Time)>,
    /// Volumes that are not attached to the node yet.
    unattached: Vec<String>,
    /// Volumes whose claims are not as they should be, and why.
    unprocessed: BTreeMap<String, String>,
    waiting_since: Option<Time>,
}

/// Whether a pod's volumes are there.
pub(super) enum Mounted {
    All,
    /// Not yet: another try at this moment.
    Wait(Time),
    /// Not in time, or not as they should be: the sync fails.
    Failed,
}

impl PodVolumes {
    /// Sets up what is not there yet, and renews what the API server holds.
    pub(super) fn mount(&mut self, pod: &Pod, host: &mut Host, client: &mut Client<'_>) -> Mounted {
        let now = client.now;
        self.unattached.clear();
        self.unprocessed.clear();
        let volumes: Vec<Volume> = pod.spec.iter().flat_map(|spec| spec.volumes.clone().unwrap_or_default()).collect();
        for volume in &volumes {
            let waits = self.failed.get(&volume.name).is_some_and(|&(_, until)| now < until);
            let settled =
                matches!(self.mounted.get(&volume.name), Some(VolumeContent::Empty | VolumeContent::HostPath(_)));
            if waits || settled {
                if let (true, Some(claim)) = (settled, claims::claim_name(pod, volume)) {
                    csi::expand(pod, &claim, &host.config.name, client);
                }
                continue;
            }
            self.set_up(pod, volume, host, client);
        }
        let unmounted: Vec<&str> = volumes
            .iter()
            .map(|volume| volume.name.as_str())
            .filter(|&name| !self.mounted.contains_key(name))
            .collect();
        if unmounted.is_empty() {
            self.waiting_since = None;
            return Mounted::All;
        }
        let since = *self.waiting_since.get_or_insert(now);
        if now.since(since) >= TIMEOUT || !self.unprocessed.is_empty() {
            self.waiting_since = None;
            let message = self.failure(&unmounted);
            client.event_about(&events::pod_reference(pod), Warning, "FailedMount", &message);
            return Mounted::Failed;
        }
        let next = self.failed.values().map(|&(_, until)| until).filter(|&until| until > now).min();
        Mounted::Wait(next.unwrap_or(now + RETRY_MIN).min(since + TIMEOUT))
    }

    /// What the event of a failed sync tells.
    fn failure(&self, unmounted: &[&str]) -> String {
        let names: Vec<&str> = self.unprocessed.keys().map(String::as_str).collect();
        let whys: Vec<&str> = self.unprocessed.values().map(String::as_str).collect();
        let why = if whys.is_empty() { "context deadline exceeded".to_owned() } else { whys.join("; ") };
        format!(
            "Unable to attach or mount volumes: unmounted volumes=[{}], unattached volumes=[{}], failed to process \
             volumes=[{}]: {why}",
            unmounted.join(" "),
            self.unattached.join(" "),
            names.join(" ")
        )
    }

    fn set_up(&mut self, pod: &Pod, volume: &Volume, host: &mut Host, client: &mut Client<'_>) {
        let known = self.mounted.get(&volume.name);
        match content(pod, volume, known, host, client) {
            Ok(content) => {
                self.failed.remove(&volume.name);
                if self.mounted.get(&volume.name) != Some(&content) {
                    give_to_runtime(pod, &volume.name, &content, host, client.now);
                    Arc::make_mut(&mut self.mounted).insert(volume.name.clone(), content);
                }
            }
            // A volume that is there already stays as it was.
            Err(_) if self.mounted.contains_key(&volume.name) => {}
            Err(Trouble::Unprocessed(why)) => {
                self.unprocessed.insert(volume.name.clone(), why);
            }
            Err(Trouble::Unattached) => self.unattached.push(volume.name.clone()),
            Err(trouble) => {
                let message = match trouble {
                    Trouble::Device(name, why) => format!("MountVolume.MountDevice failed for volume {name:?} : {why}"),
                    Trouble::SetUp(why) => format!("MountVolume.SetUp failed for volume {:?} : {why}", volume.name),
                    Trouble::NewMounter(why) => {
                        format!("MountVolume.NewMounter initialization failed for volume {:?} : {why}", volume.name)
                    }
                    Trouble::Unprocessed(_) | Trouble::Unattached => return,
                };
                client.event_about(&events::pod_reference(pod), Warning, "FailedMount", &message);
                let before = self.failed.get(&volume.name).map(|&(wait, _)| wait);
                let wait = before.map_or(RETRY_MIN, |wait| (wait * 2).min(RETRY_MAX));
                self.failed.insert(volume.name.clone(), (wait, client.now + wait));
            }
        }
    }
}

/// The folder that the files of a volume lie in at first: `newTimestampDir` of `pkg/volume/util/atomic_writer.go`. When they
/// change, all of them do at once, by a link to another such folder.
fn stamp(pod: &Pod, volume: &str, now: Time) -> String {
    let bytes = pod.uid().bytes().chain(volume.bytes());
    let digits = bytes.fold(now.as_micros(), |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let time = now.to_rfc3339().trim_end_matches('Z').replace(['-', 'T', ':'], "_");
    format!("..{time}.{}", digits % 10_000_000_000)
}

/// Files under a folder.
fn tree_of(files: &Files, mode: i32, folder: &str, now: Time) -> FileTree {
    let mut tree = FileTree::new();
    for (path, file) in files {
        let mode = u32::try_from(file.mode.unwrap_or(mode)).unwrap_or(0o644);
        tree.put(&format!("{folder}/{path}"), &file.bytes, mode, now);
    }
    tree
}

/// The name of what a container sees of a volume through a `subPath`.
pub(super) fn bound_name(volume: &str, container: &str) -> String {
    format!("{volume}.{container}")
}

impl PodVolumes {
    /// Binds files that the API server holds, and that a container is to see by a `subPath`, to what they are now: whoever
    /// changes them later changes nothing for the container.
    pub(super) fn bind_sub_paths(&self, pod: &Pod, container: &Container, host: &mut Host, now: Time) {
        let is_partial = |mount: &&VolumeMount| {
            [&mount.sub_path, &mount.sub_path_expr].into_iter().flatten().any(|path| !path.is_empty())
        };
        for mount in container.volume_mounts.iter().flatten().filter(is_partial) {
            if let Some(VolumeContent::Files(files, mode)) = self.mounted.get(&mount.name) {
                let key = volume_key(pod.uid(), &bound_name(&mount.name, &container.name));
                host.runtime.put_volume(&key, tree_of(files, *mode, "", now), now);
            }
        }
    }
}

/// Whether containers get a volume as a block device.
fn is_device(pod: &Pod, volume: &str) -> bool {
    let spec = pod.spec.iter();
    let mut containers = spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    containers.any(|one| one.volume_devices.iter().flatten().any(|device| device.name == volume))
}

/// Puts a volume's files where the pod's containers see them. What lives on through a kubelet's restart stays.
fn give_to_runtime(pod: &Pod, name: &str, content: &VolumeContent, host: &mut Host, now: Time) {
    let group = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref()?.fs_group);
    let group = group.and_then(|group| u32::try_from(group).ok());
    let (key, mut files) = match content {
        VolumeContent::Files(files, mode) => {
            let stamp = stamp(pod, name, now);
            let mut tree = tree_of(files, *mode, &stamp, now);
            tree.put_link("/..data", &stamp, now);
            let top: BTreeSet<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
            top.iter().for_each(|name| tree.put_link(&format!("/{name}"), &format!("..data/{name}"), now));
            if let Some(group) = group {
                tree.set_group(group);
            }
            return host.runtime.put_volume(&volume_key(pod.uid(), name), tree, now);
        }
        VolumeContent::Empty => (volume_key(pod.uid(), name), FileTree::new().with_root_mode(EMPTY_DIR_MODE)),
        VolumeContent::HostPath(path) => (host_path_key(path), FileTree::new()),
    };
    if !host.runtime.has_volume(&key) {
        if is_device(pod, name) {
            files.put(DEVICE, b"", DEVICE_MODE, now);
        }
        // Whose folders of the machine are is nobody's business but the machine's.
        if let (Some(group), VolumeContent::Empty) = (group, content) {
            files.set_group(group);
        }
        host.runtime.put_volume(&key, files, now);
        host.runtime.ask_for_shared(&key);
    }
}

fn content(
    pod: &Pod,
    volume: &Volume,
    known: Option<&VolumeContent>,
    host: &mut Host,
    client: &mut Client<'_>,
) -> Result<VolumeContent, Trouble> {
    match claims::claim_name(pod, volume) {
        Some(claim) => claims::folder(pod, volume, &claim, host, client).map(VolumeContent::HostPath),
        None if volume.csi.is_some() => csi::mount_inline(volume, host).map(|()| VolumeContent::Empty),
        None => {
            if let Some(disk) = InlineDisk::of(volume, pod.namespace()) {
                return csi::mount(&disk.csi(), &disk.name, pod, host, client).map(VolumeContent::HostPath);
            }
            claims::check_plugin(volume)?;
            own_content(pod, volume, known, host, client).map_err(Trouble::SetUp)
        }
    }
}

/// What is in a volume that needs no claim; `known` is what was in it before.
fn own_content(
    pod: &Pod,
    volume: &Volume,
    known: Option<&VolumeContent>,
    host: &Host,
    client: &mut Client<'_>,
) -> Result<VolumeContent, String> {
    let mut files = Files::new();
    let mode;
    if let Some(source) = &volume.config_map {
        mode = source.default_mode;
        config_map(pod, &source.name, source.items.as_deref(), source.optional, &mut files, client)?;
    } else if let Some(source) = &volume.secret {
        mode = source.default_mode;
        let name = source.secret_name.as_deref().unwrap_or("");
        secret(pod, name, source.items.as_deref(), source.optional, &mut files, client)?;
    } else if let Some(source) = &volume.downward_api {
        mode = source.default_mode;
        downward(pod, source.items.as_deref().unwrap_or(&[]), host, &mut files)?;
    } else if let Some(source) = &volume.projected {
        mode = source.default_mode;
        for projection in source.sources.iter().flatten() {
            project(pod, projection, known, host, &mut files, client)?;
        }
    } else if let Some(source) = &volume.host_path {
        host_path::check(source, &host.runtime)?;
        return Ok(VolumeContent::HostPath(source.path.clone()));
    } else if let Some(source) = &volume.nfs {
        return Ok(VolumeContent::HostPath(claims::network_folder(&source.server, &source.path)));
    } else {
        return Ok(VolumeContent::Empty);
    }
    Ok(VolumeContent::Files(files, mode.unwrap_or(0o644)))
}

/// Puts the keys of `data` into files: all under their own names, or those asked for under the paths asked for.
fn payload(
    what: &str,
    data: &BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    files: &mut Files,
) -> Result<(), String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        let whole = |bytes: &Vec<u8>| VolumeFile { bytes: bytes.clone(), mode: None };
        files.extend(data.iter().map(|(key, bytes)| (key.clone(), whole(bytes))));
        return Ok(());
    };
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => {
                files.insert(item.path.clone(), VolumeFile { bytes: bytes.clone(), mode: item.mode });
            }
            None if optional == Some(true) => {}
            None => return Err(format!("references non-existent {what} key: {}", item.key)),
        }
    }
    Ok(())
}

fn config_map(
    pod: &Pod,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    files: &mut Files,
    client: &mut Client<'_>,
) -> Result<(), String> {
    let found = match environment::config_map(pod, name, optional, client) {
        // Each namespace has it from the moment of its creation on.
        Err(_) if name == ROOT_CA => {
            let certificate = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_vec();
            return payload("config", &map_of([("ca.crt".to_owned(), certificate)]), items, optional, files);
        }
        found => found?,
    };
    let Some(found) = found else { return Ok(()) };
    let texts = found.data.iter().flatten();
    let mut data = map_of(texts.map(|(key, text)| (key.clone(), text.clone().into_bytes())));
    data.extend(found.binary_data.iter().flatten().map(|(key, bytes)| (key.clone(), bytes.0.clone())));
    payload("config", &data, items, optional, files).map_err(|error| format!("configmap {error}"))
}

fn secret(
    pod: &Pod,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    files: &mut Files,
    client: &mut Client<'_>,
) -> Result<(), String> {
    let Some(found) = environment::secret(pod, name, optional, client)? else { return Ok(()) };
    let data = map_of(found.data.iter().flatten().map(|(key, bytes)| (key.clone(), bytes.0.clone())));
    payload("secret", &data, items, optional, files)
}

fn downward(pod: &Pod, items: &[DownwardAPIVolumeFile], host: &Host, files: &mut Files) -> Result<(), String> {
    for item in items {
        let value = if let Some(field) = &item.field_ref {
            environment::field_value(pod, field, host)?
        } else if let Some(resource) = &item.resource_field_ref {
            environment::resource_value(pod, &Container::default(), resource, host)?
        } else {
            String::new()
        };
        files.insert(item.path.clone(), VolumeFile { bytes: value.into_bytes(), mode: item.mode });
    }
    Ok(())
}

/// A token of the pod's account. The API server lets those that pods get by themselves live for a year, so that they are not
/// renewed here.
fn token(pod: &Pod, source: &ServiceAccountTokenProjection, client: &mut Client<'_>) -> Result<String, String> {
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
    let seconds = source.expiration_seconds.unwrap_or(3600);
    let key = ObjectKey::new(pod.namespace(), account);
    let audience = source.audience.as_deref().filter(|audience| !audience.is_empty());
    client.create_token(&key, seconds, audience, pod).map_err(|error| format!("failed to fetch token: {error}"))
}

fn project(
    pod: &Pod,
    projection: &VolumeProjection,
    known: Option<&VolumeContent>,
    host: &Host,
    files: &mut Files,
    client: &mut Client<'_>,
) -> Result<(), String> {
    if let Some(source) = &projection.config_map {
        config_map(pod, &source.name, source.items.as_deref(), source.optional, files, client)?;
    }
    if let Some(source) = &projection.secret {
        secret(pod, &source.name, source.items.as_deref(), source.optional, files, client)?;
    }
    if let Some(source) = &projection.downward_api {
        downward(pod, source.items.as_deref().unwrap_or(&[]), host, files)?;
    }
    if let Some(source) = &projection.service_account_token {
        let held = match known {
            Some(VolumeContent::Files(files, _)) => files.get(&source.path).cloned(),
            _ => None,
        };
        let file = match held {
            Some(held) => held,
            None => VolumeFile { bytes: token(pod, source, client)?.into_bytes(), mode: None },
        };
        files.insert(source.path.clone(), file);
    }
    Ok(())
}
