//! Making a volume for a claim: `provisionClaim`, and the provisioner `kubernetes.io/host-path`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, Node, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::SyncContext;
use super::reclaim::IN_TREE_FINALIZER;
use crate::api::core::claim;
use crate::api::{ObjectKey, Resource};
use crate::client::volumes::{
    BETA_STORAGE_PROVISIONER, BOUND_BY_CONTROLLER, PROVISIONED_BY, SELECTED_NODE, STORAGE_PROVISIONER, annotate,
    annotation, migrated_driver,
};
use crate::client::{ClientError, EventType, reference};
use crate::etcd::Why;
use crate::machinery::order::map_of;

/// The plugin that makes folders of a node into volumes.
pub(super) const HOST_PATH: &str = "kubernetes.io/host-path";
/// Where it makes them.
const BASE_PATH: &str = "/tmp/hostpath_pv";
/// `VolumeDynamicallyCreatedByKey`.
const CREATED_BY: &str = "kubernetes.io/createdby";

impl SyncContext<'_, '_> {
    /// Makes a volume, or asks whoever the class names to make one.
    pub(super) fn provision(&mut self, claim: &Arc<PersistentVolumeClaim>) -> Result<(), ClientError> {
        let name = claim::class_of(claim);
        let Some(class) = self.class(claim).cloned() else {
            let message = format!("storageclass.storage.k8s.io {name:?} not found");
            self.fail_provisioning(claim, &message);
            return Ok(());
        };
        let provisioner = class.provisioner.as_str();
        if provisioner == HOST_PATH {
            return self.provision_host_path(claim, &class);
        }
        match migrated_driver(provisioner) {
            Some(driver) => self.ask_external_provisioner(claim, driver),
            None if provisioner.starts_with("kubernetes.io/") => {
                self.fail_provisioning(claim, &format!("no volume plugin matched name: {provisioner}"));
                Ok(())
            }
            None => self.ask_external_provisioner(claim, provisioner),
        }
    }

    fn fail_provisioning(&mut self, claim: &PersistentVolumeClaim, message: &str) {
        self.client.event(claim, EventType::Warning, "ProvisioningFailed", message);
    }

    /// `setClaimProvisioner`: tells the provisioner to begin.
    fn set_provisioner(
        &mut self,
        claim: &Arc<PersistentVolumeClaim>,
        provisioner: &str,
    ) -> Result<Arc<PersistentVolumeClaim>, ClientError> {
        if annotation(&claim.metadata, STORAGE_PROVISIONER) == Some(provisioner) {
            return Ok(Arc::clone(claim));
        }
        self.client.because(Why::new(
            "{} is to make a volume for claim {}.",
            [provisioner.to_owned(), claim.name().to_owned()],
        ));
        let mut changed = PersistentVolumeClaim::clone(claim);
        annotate(&mut changed.metadata, BETA_STORAGE_PROVISIONER, provisioner);
        annotate(&mut changed.metadata, STORAGE_PROVISIONER, provisioner);
        self.write_claim(changed)
    }

    fn ask_external_provisioner(
        &mut self,
        claim: &Arc<PersistentVolumeClaim>,
        provisioner: &str,
    ) -> Result<(), ClientError> {
        let claim = self.set_provisioner(claim, provisioner)?;
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the \
             system administrator. If volume creation is delayed, please verify that the provisioner is running and \
             correctly registered."
        );
        self.client.event(&*claim, EventType::Normal, "ExternalProvisioning", &message);
        Ok(())
    }

    fn provision_host_path(
        &mut self,
        claim: &Arc<PersistentVolumeClaim>,
        class: &StorageClass,
    ) -> Result<(), ClientError> {
        if claim.spec.as_ref().is_some_and(|spec| spec.data_source.is_some()) {
            let message = format!(
                "plugin {HOST_PATH:?} is not a CSI plugin. Only CSI plugin can provision a claim with a datasource"
            );
            self.fail_provisioning(claim, &message);
            return Ok(());
        }
        self.client.reserve(3)?;
        let claim = &self.set_provisioner(claim, HOST_PATH)?;
        let name = format!("pvc-{}", claim.uid());
        if self.known.volumes.contains_key(name.as_str()) {
            return Ok(());
        }
        if let Err(message) = self.check_provisionable(claim, class) {
            self.fail_provisioning(claim, &message);
            return Ok(());
        }
        let path = format!("{BASE_PATH}/{}", self.client.random.uuid());
        self.client.because(Why::new(
            "Class {} makes a volume for claim {}.",
            [class.name().to_owned(), claim.name().to_owned()],
        ));
        match self.client.create(host_path_volume(name.clone(), path, claim, class)) {
            Ok(stored) => self.known.store_volume(&stored),
            Err(error) if error.is_already_exists() => {}
            Err(error) => {
                let message = format!(
                    "Error creating provisioned PV object for claim {}: {error}. Deleting the volume.",
                    claim.key()
                );
                self.fail_provisioning(claim, &message);
                return Ok(());
            }
        }
        let message = format!("Successfully provisioned volume {name} using {HOST_PATH}");
        self.client.event(&**claim, EventType::Normal, "ProvisioningSucceeded", &message);
        Ok(())
    }

    /// What keeps the plugin from making the volume, as the event tells it.
    fn check_provisionable(&self, claim: &PersistentVolumeClaim, class: &StorageClass) -> Result<(), String> {
        let options = class.mount_options.as_deref().unwrap_or_default();
        if !options.is_empty() {
            return Err(format!(
                "Mount options are not supported by the provisioner but StorageClass {:?} has mount options [{}]",
                class.name(),
                options.join(" ")
            ));
        }
        if let Some(node) = annotation(&claim.metadata, SELECTED_NODE)
            && self.listers.get::<Node>(&ObjectKey::new("", node)).is_none()
        {
            return Err(format!("Failed to get target node: node {node:?} not found"));
        }
        if claim.spec.as_ref().is_some_and(|spec| spec.volume_mode.as_deref() == Some("Block")) {
            return Err(format!(
                "Failed to provision volume with StorageClass {:?}: {HOST_PATH} does not support block volume \
                 provisioning",
                class.name()
            ));
        }
        Ok(())
    }
}

/// The volume that is a folder, bound to its claim from the beginning.
fn host_path_volume(
    name: String,
    path: String,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
) -> PersistentVolume {
    let spec = claim.spec.clone().unwrap_or_default();
    let asked = spec.resources.and_then(|resources| resources.requests).and_then(|mut map| map.remove("storage"));
    let policy = class.reclaim_policy.clone();
    let annotations = [
        (CREATED_BY.to_owned(), "hostpath-dynamic-provisioner".to_owned()),
        (BOUND_BY_CONTROLLER.to_owned(), "yes".to_owned()),
        (PROVISIONED_BY.to_owned(), HOST_PATH.to_owned()),
    ];
    let is_deleted = policy.as_deref() == Some("Delete");
    PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name),
            annotations: Some(map_of(annotations)),
            finalizers: is_deleted.then(|| vec![IN_TREE_FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: asked.map(|amount| map_of([("storage".to_owned(), amount)])),
            claim_ref: Some(reference(claim)),
            host_path: Some(HostPathVolumeSource { path, type_: None }),
            persistent_volume_reclaim_policy: policy,
            storage_class_name: Some(claim::class_of(claim).to_owned()),
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    }
}
