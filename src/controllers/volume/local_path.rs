//! Makes folders of nodes into volumes, for classes with the provisioner `rancher.io/local-path`.
//!
//! It is what a kind cluster has beside the control plane. A volume stays with the node that the scheduler chose, and
//! says so in its node affinity: a pod that uses it can run nowhere else. Watches PersistentVolumes,
//! PersistentVolumeClaims and StorageClasses. Follows `rancher/local-path-provisioner` and
//! `sigs.k8s.io/sig-storage-lib-external-provisioner`; the helper pods that make and remove folders are left out.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume,
    PersistentVolumeClaim, PersistentVolumeSpec, VolumeNodeAffinity,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::core::{claim, persistent_volume};
use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::volumes::{PROVISIONED_BY, SELECTED_NODE, STORAGE_PROVISIONER, annotation};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
    reference,
};
use crate::etcd::Why;
use crate::machinery::order::map_of;

/// The provisioner's name in classes.
const PROVISIONER: &str = "rancher.io/local-path";
/// Where it makes folders on each node.
const BASE_PATH: &str = "/var/local-path-provisioner";
/// The provisioner that Minikube has in its place, which tutorials name: its volumes belong to no node.
const MINIKUBE: &str = "k8s.io/minikube-hostpath";
/// Where that one makes folders.
const MINIKUBE_PATH: &str = "/tmp/hostpath-provisioner";

/// The first and the longest wait of what failed: those of the library.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(1000));

/// The provisioner of folders.
#[derive(Clone, Copy, Debug)]
pub struct LocalPathProvisioner;

/// A claim waits for a volume from here once the binder and, for its node, the scheduler have said so.
fn is_wanted(claim: &PersistentVolumeClaim) -> bool {
    matches!(annotation(&claim.metadata, STORAGE_PROVISIONER), Some(PROVISIONER | MINIKUBE))
        && claim::volume_name(claim).is_empty()
        && !claim.is_deleting()
}

fn is_ours(provisioner: &str) -> bool {
    matches!(provisioner, PROVISIONER | MINIKUBE)
}

/// Why no volume can be made for a claim, as the event tells it.
fn refusal(claim: &PersistentVolumeClaim, provisioner: &str) -> Option<String> {
    if provisioner == MINIKUBE {
        return None;
    }
    let spec = claim.spec.clone().unwrap_or_default();
    let is_shared = |mode: &String| !matches!(mode.as_str(), "ReadWriteOnce" | "ReadWriteOncePod");
    if spec.selector.is_some() {
        Some("claim.Spec.Selector is not supported".to_owned())
    } else if spec.access_modes.iter().flatten().any(is_shared) {
        Some("NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes".to_owned())
    } else if annotation(&claim.metadata, SELECTED_NODE).is_none() {
        Some("configuration error, no node was specified".to_owned())
    } else {
        None
    }
}

fn volume_for(claim: &PersistentVolumeClaim, class: &StorageClass, node: &str) -> PersistentVolume {
    let name = format!("pvc-{}", claim.uid());
    let path = format!("{BASE_PATH}/{name}_{}_{}", claim.namespace(), claim.name());
    let spec = claim.spec.clone().unwrap_or_default();
    let asked = spec.resources.and_then(|resources| resources.requests).and_then(|mut map| map.remove("storage"));
    let here = NodeSelectorRequirement {
        key: "kubernetes.io/hostname".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_expressions: Some(vec![here]), match_fields: None };
    if class.provisioner == MINIKUBE {
        return minikube_volume(name, claim, class);
    }
    PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name),
            annotations: Some(map_of([
                ("local.path.provisioner/selected-node".to_owned(), node.to_owned()),
                (PROVISIONED_BY.to_owned(), PROVISIONER.to_owned()),
            ])),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: asked.map(|amount| map_of([("storage".to_owned(), amount)])),
            claim_ref: Some(reference(claim)),
            host_path: Some(HostPathVolumeSource { path, type_: Some("DirectoryOrCreate".to_owned()) }),
            mount_options: class.mount_options.clone(),
            node_affinity: Some(VolumeNodeAffinity {
                required: Some(NodeSelector { node_selector_terms: vec![term] }),
            }),
            persistent_volume_reclaim_policy: class.reclaim_policy.clone(),
            storage_class_name: class.metadata.name.clone(),
            volume_mode: spec.volume_mode,
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    }
}

/// A folder that is looked for on whatever node the pod is on; Minikube has only one.
fn minikube_volume(name: String, claim: &PersistentVolumeClaim, class: &StorageClass) -> PersistentVolume {
    let path = format!("{MINIKUBE_PATH}/{}/{}", claim.namespace(), claim.name());
    let spec = claim.spec.clone().unwrap_or_default();
    let asked = spec.resources.and_then(|resources| resources.requests).and_then(|mut map| map.remove("storage"));
    PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name),
            annotations: Some(map_of([(PROVISIONED_BY.to_owned(), MINIKUBE.to_owned())])),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: asked.map(|amount| map_of([("storage".to_owned(), amount)])),
            claim_ref: Some(reference(claim)),
            host_path: Some(HostPathVolumeSource { path, type_: Some(String::new()) }),
            persistent_volume_reclaim_policy: class.reclaim_policy.clone(),
            storage_class_name: class.metadata.name.clone(),
            volume_mode: spec.volume_mode,
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    }
}

impl LocalPathProvisioner {
    fn provision(
        claim: &Arc<PersistentVolumeClaim>,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let class = listers.get::<StorageClass>(&ObjectKey::new("", claim::class_of(claim)));
        let Some(class) = class.filter(|class| is_ours(&class.provisioner)) else { return Ok(Requeue::Forget) };
        let name = format!("pvc-{}", claim.uid());
        if listers.get::<PersistentVolume>(&ObjectKey::new("", name.as_str())).is_some() {
            return Ok(Requeue::Forget);
        }
        let message = format!("External provisioner is provisioning volume for claim {:?}", claim.key().to_string());
        client.event(&**claim, EventType::Normal, "Provisioning", &message);
        if let Some(why) = refusal(claim, &class.provisioner) {
            let message = format!("failed to provision volume with StorageClass {:?}: {why}", class.name());
            client.event(&**claim, EventType::Warning, "ProvisioningFailed", &message);
            return Ok(Requeue::RateLimited);
        }
        let node = annotation(&claim.metadata, SELECTED_NODE).unwrap_or("").to_owned();
        client.because(Why::new("Claim {} gets a folder on node {}.", [claim.name().to_owned(), node.clone()]));
        match client.create(volume_for(claim, class, &node)) {
            Err(error) if !error.is_already_exists() => return Err(error),
            _ => {}
        }
        let message = format!("Successfully provisioned volume {name}");
        client.event(&**claim, EventType::Normal, "ProvisioningSucceeded", &message);
        Ok(Requeue::Forget)
    }

    fn delete(volume: &PersistentVolume, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let is_ours = annotation(&volume.metadata, PROVISIONED_BY).is_some_and(is_ours);
        let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        let is_released = persistent_volume::phase_of(volume) == "Released";
        if !is_ours || !is_released || policy != Some("Delete") || volume.is_deleting() {
            return Ok(Requeue::Forget);
        }
        client
            .because(Why::new("Volume {} is deleted with its claim, as its policy says.", [volume.name().to_owned()]));
        match client.delete(Kind::PersistentVolume, &volume.key(), DeleteOptions::default()) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }
}

impl Controller for LocalPathProvisioner {
    fn name(&self) -> &'static str {
        PROVISIONER
    }

    fn account(&self) -> &'static str {
        "local-path-provisioner-service-account"
    }

    fn workers(&self) -> usize {
        4
    }

    fn backoff(&self) -> (Duration, Duration) {
        BACKOFF
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::StorageClass, Kind::PersistentVolume, Kind::PersistentVolumeClaim].map(WatchSpec::all).to_vec()
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        let concerns = match event.kind {
            Kind::PersistentVolumeClaim => event.after::<PersistentVolumeClaim>().is_some_and(is_wanted),
            Kind::PersistentVolume => event.after.is_some(),
            _ => false,
        };
        if concerns {
            queue.add(event.key.clone());
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        if key.namespace.is_empty() {
            let volume = listers.get::<PersistentVolume>(key);
            return volume.map_or(Ok(Requeue::Forget), |volume| Self::delete(volume, client));
        }
        match listers.get::<PersistentVolumeClaim>(key).filter(|claim| is_wanted(claim)) {
            Some(claim) => Self::provision(claim, listers, client),
            None => Ok(Requeue::Forget),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
