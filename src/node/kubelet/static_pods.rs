//! Static pods: those that a kubelet has from files of its machine, and the mirror pods that show them to the API server.
//!
//! `pkg/kubelet/config/{common,file}.go`, `pkg/kubelet/pod/mirror_client.go`, and what `SyncPod` and `HandlePodCleanups`
//! of `pkg/kubelet/kubelet.go` do about them. A file that cannot be read as a pod is passed over; what was wrong with it
//! is told to whoever wrote it, as the kubelet's log would tell it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::api::{Kind, Object, ObjectKey, Resource, strategy};
use crate::apiserver::{DeleteOptions, decode_manifest};
use crate::client::{Client, InformerEvent};
use crate::etcd::Why;
use crate::machinery::field::ErrorList;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;
use crate::machinery::toleration::NO_EXECUTE;
use crate::machinery::{sha256, yaml};

use super::admission::{MIRROR, SOURCE};
use super::agenda::{PodId, Work};
use super::pod_worker::{Stage, Worker};
use super::status_manager::SYNC_PERIOD;
use super::{HOUSEKEEPING_PERIOD, Kubelet};

/// Where a kubelet looks for manifests: `staticPodPath`.
pub const MANIFEST_FOLDER: &str = "/etc/kubernetes/manifests";
/// The annotation with the hash of a static pod: `ConfigHashAnnotationKey`.
const HASH: &str = "kubernetes.io/config.hash";
/// The annotation with the time at which the kubelet first saw a pod: `ConfigFirstSeenAnnotationKey`.
const SEEN: &str = "kubernetes.io/config.seen";
/// A static pod's identity has so many hexadecimal digits, as those of MD5.
const UID_DIGITS: usize = 32;

/// The manifests on a machine, and the pods that come of them.
#[derive(Clone, Debug, Default)]
pub(super) struct StaticPods {
    /// The files by their names.
    files: OrdMap<String, String>,
    running: OrdMap<ObjectKey, PodId>,
    /// New versions of pods whose old ones have not ended.
    waiting: OrdMap<ObjectKey, Arc<Pod>>,
    /// Mirror pods that stand for nothing and could not be taken out of the API yet.
    orphans: OrdMap<ObjectKey, Arc<Pod>>,
}

impl StaticPods {
    /// What a kubelet that starts knows: the files, and nothing else.
    pub(super) fn restarted(&self) -> Self {
        Self { files: self.files.clone(), ..Self::default() }
    }
}

fn annotation<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Whether a pod of the API stands for a static one.
pub(super) fn is_mirror(pod: &Pod) -> bool {
    annotation(pod, MIRROR).is_some()
}

/// The pod of a manifest: `tryDecodeSinglePod` and `applyDefaults`.
fn read(file: &str, text: &str, node: &str, now: Time) -> Result<Pod, String> {
    let document = yaml::read_one(text).map_err(|error| error.message)?;
    let value = document.value;
    let kind = Kind::from_manifest(value["apiVersion"].as_str().unwrap_or(""), value["kind"].as_str().unwrap_or(""));
    if kind != Some(Kind::Pod) {
        return Err(format!("couldn't parse as pod: it is of kind {:?}", value["kind"].as_str().unwrap_or("")));
    }
    let mut object = decode_manifest(Kind::Pod, value)?;
    strategy::default(&mut object);
    let Object::Pod(decoded) = &mut object else { return Err("invalid pod".to_owned()) };
    let pod = Arc::make_mut(decoded);
    let path = format!("{MANIFEST_FOLDER}/{file}");
    let hash = sha256::hex(format!("host:{node}file:{path}{text}").as_bytes());
    let name = format!("{}-{node}", pod.metadata.name.as_deref().unwrap_or(""));
    pod.metadata.name = Some(name);
    pod.metadata.namespace.get_or_insert_with(|| "default".to_owned());
    pod.metadata.uid.get_or_insert_with(|| hash[..UID_DIGITS].to_owned());
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    pod.metadata.creation_timestamp = None;
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(HASH.to_owned(), uid);
    annotations.insert(SEEN.to_owned(), now.to_rfc3339_micro());
    annotations.insert(SOURCE.to_owned(), "file".to_owned());
    let spec = pod.spec.get_or_insert_default();
    spec.node_name = Some(node.to_owned());
    let everything = Toleration {
        operator: Some("Exists".to_owned()),
        effect: Some(NO_EXECUTE.to_owned()),
        ..Toleration::default()
    };
    let tolerations = spec.tolerations.get_or_insert_default();
    if !tolerations.contains(&everything) {
        tolerations.push(everything);
    }
    if let Some(what) = api_reference(spec) {
        return Err(format!("static pods may not reference {what}"));
    }
    pod.status.get_or_insert_default().phase = Some("Pending".to_owned());
    let errors: ErrorList = strategy::validate(&object);
    if !errors.is_empty() {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        return Err(format!("invalid pod: [{}]", told.join(", ")));
    }
    let Object::Pod(pod) = object else { return Err("invalid pod".to_owned()) };
    Ok(Arc::unwrap_or_clone(pod))
}

/// What of the API a pod needs, which a static pod cannot have: `HasAPIObjectReference`.
fn api_reference(spec: &PodSpec) -> Option<&'static str> {
    if spec.service_account_name.as_deref().is_some_and(|name| !name.is_empty()) {
        return Some("serviceaccounts");
    }
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let sources = || containers().flat_map(|one| one.env_from.iter().flatten());
    let values = || containers().flat_map(|one| one.env.iter().flatten()).filter_map(|one| one.value_from.as_ref());
    let volumes = || spec.volumes.iter().flatten();
    let projections =
        || volumes().filter_map(|one| one.projected.as_ref()).flat_map(|projected| projected.sources.iter().flatten());
    if sources().any(|one| one.config_map_ref.is_some())
        || values().any(|one| one.config_map_key_ref.is_some())
        || volumes().any(|one| one.config_map.is_some())
        || projections().any(|one| one.config_map.is_some())
    {
        return Some("configmaps");
    }
    if sources().any(|one| one.secret_ref.is_some())
        || values().any(|one| one.secret_key_ref.is_some())
        || volumes().any(|one| one.secret.is_some())
        || projections().any(|one| one.secret.is_some())
        || spec.image_pull_secrets.as_ref().is_some_and(|secrets| !secrets.is_empty())
    {
        return Some("secrets");
    }
    let claimed = volumes().any(|one| one.persistent_volume_claim.is_some() || one.ephemeral.is_some());
    claimed.then_some("persistentvolumeclaims")
}

impl Kubelet {
    /// Puts a manifest into the machine's folder for static pods, or takes it out when there is no text. Answers what the
    /// kubelet's log says of it, if it does not like it.
    pub fn write_manifest(&mut self, file: &str, text: Option<&str>) -> Option<String> {
        match text {
            Some(text) => drop(self.statics.files.insert(file.to_owned(), text.to_owned())),
            None => drop(self.statics.files.remove(file)),
        }
        let node = &self.host.config.name;
        let error = text.and_then(|text| read(file, text, node, self.host.started_at).err())?;
        Some(format!("Could not process manifest file \"{MANIFEST_FOLDER}/{file}\": {error}"))
    }

    /// Whether the machine's folder for static pods has a file.
    #[must_use]
    pub fn has_manifest(&self, file: &str) -> bool {
        self.statics.files.contains_key(file)
    }

    /// Reads the manifests anew, and lets the pods run that they are of.
    pub fn read_manifests(&mut self, client: &mut Client<'_>) {
        let node = self.host.config.name.clone();
        let mut wanted: OrdMap<ObjectKey, Arc<Pod>> = OrdMap::new();
        // Hidden files are none.
        for (file, text) in self.statics.files.iter().filter(|(file, _)| !file.starts_with('.')) {
            if let Ok(pod) = read(file, text, &node, client.now) {
                wanted.insert(pod.key(), Arc::new(pod));
            }
        }
        let running: Vec<(ObjectKey, PodId)> =
            self.statics.running.iter().map(|(key, id)| (key.clone(), *id)).collect();
        self.statics.waiting = OrdMap::new();
        for (key, id) in running {
            let known = self.workers.get(&id).map(|worker| worker.uid.clone());
            if wanted.get(&key).is_some_and(|pod| known.as_deref() == Some(pod.uid())) {
                wanted.remove(&key);
                continue;
            }
            if let Some(next) = wanted.remove(&key) {
                self.statics.waiting.insert(key, next);
            }
            self.with_worker(id, client, |worker, host, client| worker.removed(host, client.now));
        }
        let fresh: Vec<Arc<Pod>> = wanted.values().cloned().collect();
        for pod in fresh {
            self.start_static(pod, client);
        }
        self.host.agenda.arm(client);
    }

    /// Lets a static pod run. A mirror that its forerunner left has to go before its own comes.
    fn start_static(&mut self, pod: Arc<Pod>, client: &mut Client<'_>) {
        let key = pod.key();
        let id = self.add_pod(pod, None, client);
        let old = self.statics.orphans.remove(&key);
        self.with_worker(id, client, |worker, _, _| worker.mirror = old);
        self.statics.running.insert(key, id);
    }

    /// A static pod has ended for good: its mirror goes, and what replaces it comes.
    pub(super) fn after_static(&mut self, worker: &Worker, client: &mut Client<'_>) {
        let key = worker.pod.key();
        self.statics.running.remove(&key);
        if let Some(mirror) = &worker.mirror {
            self.drop_mirror(mirror.clone(), client);
        }
        if let Some(next) = self.statics.waiting.remove(&key) {
            self.start_static(next, client);
        }
    }

    /// Takes a mirror pod out of the API, and tries it again when that cannot be done now.
    fn drop_mirror(&mut self, mirror: Arc<Pod>, client: &mut Client<'_>) {
        if delete_mirror(&mirror, client) {
            self.statics.orphans.remove(&mirror.key());
        } else {
            self.statics.orphans.insert(mirror.key(), mirror);
            self.host.agenda.set_sooner(Work::Housekeeping, client.now + HOUSEKEEPING_PERIOD, true);
        }
    }

    /// Tries again to take mirror pods out of the API: `deleteOrphanedMirrorPods`.
    pub(super) fn drop_orphans(&mut self, client: &mut Client<'_>) {
        let orphans: Vec<Arc<Pod>> = self.statics.orphans.values().cloned().collect();
        for orphan in orphans {
            if self.statics.running.contains_key(&orphan.key()) {
                self.statics.orphans.remove(&orphan.key());
            } else {
                self.drop_mirror(orphan, client);
            }
        }
    }

    /// Something happened to a mirror pod.
    pub(super) fn deliver_mirror(&mut self, after: Option<Arc<Pod>>, event: &InformerEvent, client: &mut Client<'_>) {
        let Some(&id) = self.statics.running.get(&event.key) else {
            // Nobody knows what it stands for.
            if let Some(orphan) = after.filter(|_| !self.statics.waiting.contains_key(&event.key)) {
                self.drop_mirror(orphan, client);
            } else {
                self.statics.orphans.remove(&event.key);
            }
            return;
        };
        self.with_worker(id, client, |worker, host, client| {
            let is_lost = after.as_ref().is_none_or(|mirror| mirror.is_deleting() || !worker.is_told_of_by(mirror));
            if let Some(reported) = after.as_ref().and_then(|mirror| mirror.status.as_ref())
                && worker.needs_reconcile(reported)
            {
                host.agenda.set_sooner(Work::Reconcile(id), client.now + SYNC_PERIOD, false);
            }
            worker.mirror = after;
            if is_lost && worker.stage == Stage::Sync {
                worker.trigger = Some(event.revision);
                worker.request_sync(host, client.now);
            }
        });
    }
}

/// Takes a mirror pod out of the API at once. Says whether it is gone, be it that somebody else took it.
fn delete_mirror(mirror: &Pod, client: &mut Client<'_>) -> bool {
    client.because(Why::new("Mirror pod {} stands for nothing any more.", [mirror.name().to_owned()]));
    let deleted = client.delete(Kind::Pod, &mirror.key(), DeleteOptions::of_uid(mirror.uid()).grace(0));
    // Another one of its name is in conflict with the uid.
    match deleted {
        Ok(()) => true,
        Err(error) => error.is_not_found() || error.is_conflict(),
    }
}

impl Worker {
    /// Whether the pod is one of the machine's own files.
    pub(super) fn is_static(&self) -> bool {
        annotation(&self.pod, SOURCE).is_some_and(|source| source != "api")
    }

    /// Whether a pod of the API is this one, or stands for it: `IsMirrorPodOf`.
    pub(super) fn is_told_of_by(&self, pod: &Pod) -> bool {
        match annotation(&self.pod, HASH).filter(|_| self.is_static()) {
            Some(hash) => annotation(pod, MIRROR) == Some(hash),
            None => pod.uid() == self.pod.uid(),
        }
    }

    /// Sees to it that the API server shows a static pod as it is.
    pub(super) fn keep_mirror(&mut self, client: &mut Client<'_>) {
        if !self.is_static() {
            return;
        }
        if let Some(mirror) = self.mirror.take() {
            if !mirror.is_deleting() && self.is_told_of_by(&mirror) {
                self.mirror = Some(mirror);
                return;
            }
            if !delete_mirror(&mirror, client) {
                self.mirror = Some(mirror);
                return;
            }
        }
        let name = self.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("");
        let Ok(node) = client.get::<Node>(&ObjectKey::new("", name)) else { return };
        if node.is_deleting() {
            return;
        }
        let mut mirror = (*self.pod).clone();
        let annotations = mirror.metadata.annotations.get_or_insert_default();
        let hash = annotations.get(HASH).cloned().unwrap_or_default();
        annotations.insert(MIRROR.to_owned(), hash);
        mirror.metadata.uid = None;
        mirror.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: name.to_owned(),
            uid: node.uid().to_owned(),
            controller: Some(true),
            block_owner_deletion: None,
        }]);
        mirror.status = None;
        let (pod, node) = (mirror.name().to_owned(), name.to_owned());
        client.because(Why::new("Pod {} is one of node {}'s own, and its kubelet shows it.", [pod, node]));
        // One that cannot be made is tried again at the next sync.
        if let Ok(made) = client.create(mirror) {
            self.mirror = Some(made);
        }
    }
}
