//! Makes volumes for claims, and takes them away: `kubernetes-csi/external-provisioner`, with
//! `sigs.k8s.io/sig-storage-lib-external-provisioner` in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume,
    PersistentVolumeClaim, PersistentVolumeSpec, TopologySelectorLabelRequirement, VolumeNodeAffinity,
};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::core::{claim, persistent_volume};
use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::volumes::{
    PROVISIONED_BY, SELECTED_NODE, STORAGE_PROVISIONER, annotation, is_delayed, migrated_driver,
};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
    reference,
};
use crate::etcd::Why;
use crate::machinery::order::map_of;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;

use super::drivers::Storage;
use super::{capacity, installed};

/// Keeps a volume until the driver has taken its storage away: `finalizerPV`.
const FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";

/// Where a volume can be used: a label of nodes and its value.
pub(super) type Segment = (String, String);

/// The provisioner of all installed drivers.
#[derive(Clone, Debug, Default)]
pub struct CsiProvisioner {
    /// Since when the cloud works on a claim's volume.
    working: OrdMap<ObjectKey, Time>,
}

/// The driver that is to make a volume for a claim.
fn driver_for<'a>(claim: &'a PersistentVolumeClaim, listers: &Informers) -> Option<&'a str> {
    let driver = annotation(&claim.metadata, STORAGE_PROVISIONER)?;
    let is_wanted =
        claim::volume_name(claim).is_empty() && !claim.is_deleting() && installed(driver, listers).is_some();
    is_wanted.then_some(driver)
}

/// The label by which a driver tells its places on a node apart.
fn topology_key(node: &CSINode, driver: &str) -> Option<String> {
    let driver = node.spec.drivers.iter().find(|known| known.name == driver)?;
    driver.topology_keys.as_ref()?.first().cloned()
}

/// The place that a node is in, as a driver sees it.
fn segment_of(node: &CSINode, driver: &str, listers: &Informers) -> Option<Segment> {
    let key = topology_key(node, driver)?;
    let labels = listers.get::<Node>(&ObjectKey::new("", node.name()))?.metadata.labels.as_ref()?;
    labels.get(&key).cloned().map(|value| (key, value))
}

/// The places that a driver has; none for one whose volumes can be used everywhere.
pub(super) fn segments(driver: &str, listers: &Informers) -> BTreeSet<Segment> {
    listers.list::<CSINode>().filter_map(|node| segment_of(node, driver, listers)).collect()
}

/// Where a new volume is to be: by the node that the scheduler chose, or somewhere that the class allows. `None` for
/// drivers whose volumes can be used everywhere.
fn segment(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    driver: &str,
    listers: &Informers,
) -> Result<Option<Segment>, String> {
    if let Some(selected) = annotation(&claim.metadata, SELECTED_NODE) {
        let node = listers.get::<CSINode>(&ObjectKey::new("", selected));
        let node = node.filter(|node| node.spec.drivers.iter().any(|known| known.name == driver));
        return match node {
            Some(node) => Ok(segment_of(node, driver, listers)),
            None => {
                Err(format!("error generating accessibility requirements: no topology key found on CSINode {selected}"))
            }
        };
    }
    let terms = class.allowed_topologies.as_deref().unwrap_or_default();
    let is_allowed = |(key, value): &Segment| {
        let fits =
            |expression: &TopologySelectorLabelRequirement| expression.key != *key || expression.values.contains(value);
        terms.is_empty() || terms.iter().any(|term| term.match_label_expressions.iter().flatten().all(fits))
    };
    let found: Vec<Segment> = segments(driver, listers).into_iter().filter(is_allowed).collect();
    // Claims are spread over what there is by their names: `GetPVCHash`.
    let sum: usize = claim.name().bytes().map(usize::from).sum();
    Ok(found.get(sum.checked_rem(found.len()).unwrap_or(0)).cloned())
}

/// What a driver says that has too little room for a claim, if it tells of its room at all.
fn lack(claim: &PersistentVolumeClaim, driver: &str, place: Option<&Segment>, listers: &Informers) -> Option<String> {
    let asked = claim::requested(claim).filter(|_| capacity::tells(driver, listers))?;
    let room = capacity::room(driver, place, listers);
    (asked > room).then(|| {
        format!(
            "rpc error: code = ResourceExhausted desc = not enough capacity: have {}, need {}",
            room.value(),
            asked.value()
        )
    })
}

fn volume_for(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    driver: &str,
    place: Option<&Segment>,
    client: &mut Client<'_>,
) -> PersistentVolume {
    let name = format!("pvc-{}", claim.uid());
    let spec = claim.spec.clone().unwrap_or_default();
    let storage = Storage::of(driver);
    let size = claim::requested(claim).map(|asked| map_of([("storage".to_owned(), ApiQuantity(storage.size(&asked)))]));
    let parameters = class.parameters.clone().unwrap_or_default();
    let is_block = spec.volume_mode.as_deref() == Some("Block");
    let file_system = parameters.get("csi.storage.k8s.io/fstype").or_else(|| parameters.get("fsType"));
    let identity = format!("{}-{}-{driver}", client.now.as_micros() / 1000, client.random.below(10_000));
    let requirement = |(key, value): &Segment| NodeSelectorRequirement {
        key: key.clone(),
        operator: "In".to_owned(),
        values: Some(vec![value.clone()]),
    };
    PersistentVolume {
        metadata: ObjectMeta {
            annotations: Some(map_of([
                (PROVISIONED_BY.to_owned(), driver.to_owned()),
                ("volume.kubernetes.io/provisioner-deletion-secret-name".to_owned(), String::new()),
                ("volume.kubernetes.io/provisioner-deletion-secret-namespace".to_owned(), String::new()),
            ])),
            finalizers: (class.reclaim_policy.as_deref() != Some("Retain")).then(|| vec![FINALIZER.to_owned()]),
            name: Some(name.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: size,
            claim_ref: Some(reference(claim)),
            csi: Some(CSIPersistentVolumeSource {
                driver: driver.to_owned(),
                fs_type: (!is_block).then(|| file_system.cloned().unwrap_or_else(|| "ext4".to_owned())),
                volume_attributes: Some(map_of([(
                    "storage.kubernetes.io/csiProvisionerIdentity".to_owned(),
                    identity,
                )])),
                volume_handle: storage.handle(&name, place.map_or("", |(_, value)| value), client.random),
                ..CSIPersistentVolumeSource::default()
            }),
            mount_options: class.mount_options.clone(),
            node_affinity: place.map(|place| VolumeNodeAffinity {
                required: Some(NodeSelector {
                    node_selector_terms: vec![NodeSelectorTerm {
                        match_expressions: Some(vec![requirement(place)]),
                        match_fields: None,
                    }],
                }),
            }),
            persistent_volume_reclaim_policy: class.reclaim_policy.clone(),
            storage_class_name: class.metadata.name.clone(),
            volume_attributes_class_name: spec.volume_attributes_class_name,
            volume_mode: spec.volume_mode,
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    }
}

impl CsiProvisioner {
    fn provision(
        &mut self,
        claim: &Arc<PersistentVolumeClaim>,
        driver: &str,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let class = listers.get::<StorageClass>(&ObjectKey::new("", claim::class_of(claim)));
        let is_of = |class: &&Arc<StorageClass>| {
            class.provisioner == driver || migrated_driver(&class.provisioner) == Some(driver)
        };
        let Some(class) = class.filter(is_of).cloned() else { return Ok(Requeue::Forget) };
        let name = format!("pvc-{}", claim.uid());
        let waits = is_delayed(Some(&class)) && annotation(&claim.metadata, SELECTED_NODE).is_none();
        if waits || listers.get::<PersistentVolume>(&ObjectKey::new("", name.as_str())).is_some() {
            return Ok(Requeue::Forget);
        }
        let began = self.working.get(&claim.key()).copied();
        if began.is_none() {
            let message =
                format!("External provisioner is provisioning volume for claim {:?}", claim.key().to_string());
            client.event_from(driver, &**claim, EventType::Normal, "Provisioning", &message);
        }
        let place = match Storage::of(driver).refusal(claim) {
            Some(why) => Err(why.to_owned()),
            None => segment(claim, &class, driver, listers),
        };
        let place = match place {
            Ok(place) => match lack(claim, driver, place.as_ref(), listers) {
                None => place,
                Some(why) if began.is_none() => return Self::reschedule(claim, &class, driver, &why, client),
                Some(_) => place,
            },
            Err(why) => {
                let message = format!("failed to provision volume with StorageClass {:?}: {why}", class.name());
                client.event_from(driver, &**claim, EventType::Warning, "ProvisioningFailed", &message);
                return Ok(Requeue::RateLimited);
            }
        };
        let began = *self.working.entry(claim.key()).or_insert_with(|| client.now);
        let (time, done) = (Storage::of(driver).create_time(), client.now.since(began));
        if done < time {
            return Ok(Requeue::After(time - done));
        }
        self.working.remove(&claim.key());
        client.because(Why::new("{} has made a volume for claim {}.", [driver.to_owned(), claim.name().to_owned()]));
        let volume = volume_for(claim, &class, driver, place.as_ref(), client);
        match client.create(volume) {
            Err(error) if !error.is_already_exists() => return Err(error),
            _ => {}
        }
        let message = format!("Successfully provisioned volume {name}");
        client.event_from(driver, &**claim, EventType::Normal, "ProvisioningSucceeded", &message);
        Ok(Requeue::Forget)
    }

    /// There is no room where the scheduler wants the volume: it has to choose again.
    fn reschedule(
        claim: &Arc<PersistentVolumeClaim>,
        class: &StorageClass,
        driver: &str,
        why: &str,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let message = format!("failed to provision volume with StorageClass {:?}: {why}", class.name());
        client.event_from(driver, &**claim, EventType::Warning, "ProvisioningFailed", &message);
        if annotation(&claim.metadata, SELECTED_NODE).is_none() {
            return Ok(Requeue::RateLimited);
        }
        let mut changed = PersistentVolumeClaim::clone(claim);
        changed.metadata.annotations.iter_mut().for_each(|all| drop(all.remove(SELECTED_NODE)));
        client.because(Why::new("{} has no room for claim {} there.", [driver.to_owned(), claim.name().to_owned()]));
        client.update(changed).map(|_| Requeue::Forget)
    }

    /// `shouldDelete` and `deleteVolumeOperation`.
    fn delete(
        &mut self,
        volume: &Arc<PersistentVolume>,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let driver = annotation(&volume.metadata, PROVISIONED_BY).unwrap_or("");
        let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        let is_kept = volume.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER);
        if installed(driver, listers).is_none() || (volume.is_deleting() && !is_kept) {
            return Ok(Requeue::Forget);
        }
        if policy != Some("Delete") {
            return if is_kept { Self::release(volume, client) } else { Ok(Requeue::Forget) };
        }
        if persistent_volume::phase_of(volume) != "Released" {
            return Ok(Requeue::Forget);
        }
        let is_attached_by = |attachment: &&Arc<VolumeAttachment>| {
            attachment.spec.source.persistent_volume_name.as_deref() == Some(volume.name())
        };
        if let Some(attachment) = listers.list::<VolumeAttachment>().find(is_attached_by) {
            let (name, node) = (volume.name(), &attachment.spec.node_name);
            let message = format!("persistentvolume {name} is still attached to node {node}");
            client.event_from(driver, &**volume, EventType::Warning, "VolumeFailedDelete", &message);
            return Ok(Requeue::RateLimited);
        }
        let began = *self.working.entry(volume.key()).or_insert_with(|| client.now);
        let (time, done) = (Storage::of(driver).create_time(), client.now.since(began));
        if done < time {
            return Ok(Requeue::After(time - done));
        }
        self.working.remove(&volume.key());
        client
            .because(Why::new("Volume {} is deleted with its claim, as its policy says.", [volume.name().to_owned()]));
        if !volume.is_deleting() {
            match client.delete(Kind::PersistentVolume, &volume.key(), DeleteOptions::default()) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Self::release(volume, client)
    }

    /// The driver's storage is gone, or is none of its business any more.
    fn release(volume: &Arc<PersistentVolume>, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let newest = match client.get::<PersistentVolume>(&volume.key()) {
            Err(error) if error.is_not_found() => return Ok(Requeue::Forget),
            newest => newest?,
        };
        let mut changed = PersistentVolume::clone(&newest);
        changed.metadata.finalizers.iter_mut().for_each(|all| all.retain(|finalizer| finalizer != FINALIZER));
        client.because(Why::new("The storage of volume {} is taken care of.", [volume.name().to_owned()]));
        match client.update(changed) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }
}

impl Controller for CsiProvisioner {
    fn name(&self) -> &'static str {
        "csi-provisioner"
    }

    fn workers(&self) -> usize {
        10
    }

    fn backoff(&self) -> (std::time::Duration, std::time::Duration) {
        super::BACKOFF
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [
            Kind::CSIDriver,
            Kind::CSINode,
            Kind::Node,
            Kind::StorageClass,
            Kind::PersistentVolume,
            Kind::PersistentVolumeClaim,
            Kind::VolumeAttachment,
        ]
        .map(WatchSpec::all)
        .to_vec()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::PersistentVolumeClaim | Kind::PersistentVolume if event.after.is_none() => {
                self.working.remove(&event.key);
            }
            Kind::PersistentVolumeClaim => {
                let claim = event.after::<PersistentVolumeClaim>();
                if claim.is_some_and(|claim| driver_for(claim, listers).is_some()) {
                    queue.add(event.key.clone());
                }
            }
            Kind::PersistentVolume => {
                let volume = event.after::<PersistentVolume>();
                let provisioner = volume.and_then(|volume| annotation(&volume.metadata, PROVISIONED_BY));
                if provisioner.is_some_and(|driver| installed(driver, listers).is_some()) {
                    queue.add(event.key.clone());
                }
            }
            Kind::CSIDriver => {
                let claims = listers.list::<PersistentVolumeClaim>();
                let waiting = claims.filter(|claim| driver_for(claim, listers) == Some(&*event.key.name));
                waiting.for_each(|claim| queue.add(claim.key()));
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        client.reserve(4)?;
        if key.namespace.is_empty() {
            let Some(volume) = listers.get::<PersistentVolume>(key) else { return Ok(Requeue::Forget) };
            return self.delete(volume, listers, client);
        }
        let Some(claim) = listers.get::<PersistentVolumeClaim>(key) else { return Ok(Requeue::Forget) };
        match driver_for(claim, listers) {
            Some(driver) => self.provision(claim, driver, listers, client),
            None => Ok(Requeue::Forget),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
