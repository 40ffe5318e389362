//! Before a pod is bound to its node, its volumes are: `PreBind` of the plugin VolumeBinding (`BindPodVolumes`). Devices that
//! have to be made ready are waited for likewise.
//!
//! The decisions are written, and then it is looked at once a second whether the binder has carried them out.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use serde_json::json;

use crate::api::{Kind, Name, Object, Resource};
use crate::client::volumes::{SELECTED_NODE, annotation};
use crate::client::{Client, ClientError, EventType, InformerEvent};
use crate::etcd::Why;
use crate::machinery::time::Time;
use crate::scheduler::framework::events::{Change, ClusterEvent};
use crate::scheduler::plugins::volume_binding::{Decisions, is_fully_bound};
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::queue::QueuedPodInfo;

use super::{KubeScheduler, PRE_BIND, both, keep, keep_named, patch_status, tell};

/// How often it is looked whether the claims are bound.
const POLL_PERIOD: Duration = Duration::from_secs(1);
/// Waiting for longer than this may go on for ever.
const REST: Duration = Duration::from_secs(30);

/// A pod whose node is chosen and whose volumes are not bound yet.
#[derive(Clone, Debug)]
pub(super) struct PendingBinding {
    queued: QueuedPodInfo,
    node: Name,
    decisions: Decisions,
    since: Time,
    /// Whether the volumes are there, and devices have to be made ready.
    awaits_devices: bool,
}

impl PendingBinding {
    /// The pod.
    pub(super) const fn pod(&self) -> &Arc<PodInfo> {
        &self.queued.pod
    }

    /// What is being waited for.
    pub(super) const fn decisions(&self) -> &Decisions {
        &self.decisions
    }
}

impl KubeScheduler {
    /// Writes what was decided about a pod's volumes, and begins to wait.
    pub(super) fn pre_bind(
        &mut self,
        client: &mut Client<'_>,
        queued: QueuedPodInfo,
        node: Name,
        decisions: Decisions,
    ) {
        let pod = &queued.pod;
        client.because(Why::new(
            "Pod {} is to run on node {}, and its volumes are to be there.",
            [pod.key.name.to_string(), node.to_string()],
        ));
        // Others may see where it is going to be: nobody has to, so a refusal does not matter.
        let _ = patch_status(client, pod, json!({ "nominatedNodeName": &*node }));
        let pending = PendingBinding { node, decisions, since: client.now, queued, awaits_devices: false };
        match write(&pending.decisions, client) {
            Ok(()) => {
                self.pending.insert(pending.queued.pod.uid.clone(), pending);
                self.arm_pending(client);
            }
            Err(error) => self.volumes_failed(pending, &error.to_string(), client),
        }
    }

    /// Asks to be woken when one of the pods is to be looked at next: each once a second, from its own beginning on.
    fn arm_pending(&mut self, client: &mut Client<'_>) {
        let now = client.now;
        let next_look = |pending: &PendingBinding| {
            let rounds = now.since(pending.since).as_secs() + 1;
            pending.since + Duration::from_secs(rounds)
        };
        let Some(next) = self.pending.values().map(next_look).min() else { return };
        if self.look_at.is_some_and(|at| at > now && at <= next) {
            return;
        }
        self.look_at = Some(next);
        if self.pending.values().any(|pending| now.since(pending.since) < REST) {
            client.wake_at(next, PRE_BIND);
        } else {
            client.wake_in_background(next, PRE_BIND);
        }
    }

    /// Looks which of the pods that wait can be bound now.
    pub(super) fn look_at_pending(&mut self, client: &mut Client<'_>) {
        self.look_at = None;
        let due: Vec<Name> = self
            .pending
            .iter()
            .filter(|(_, pending)| client.now.since(pending.since) >= POLL_PERIOD)
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in due {
            let Some(pending) = self.pending.get(&uid).cloned() else { continue };
            if pending.awaits_devices {
                self.look_at_devices(pending, client);
                continue;
            }
            match self.are_bound(&pending) {
                Ok(true) => {
                    self.pending.remove(&uid);
                    client.triggered_by(pending.queued.woken_by);
                    self.bind(client, &pending.queued, &pending.node);
                }
                Ok(false) if client.now.since(pending.since) < pending.queued.profile.args.bind_timeout => {}
                Ok(false) => self.volumes_failed(pending, "context deadline exceeded", client),
                Err(why) => self.volumes_failed(pending, &why, client),
            }
        }
        self.arm_pending(client);
    }

    /// Waits until the devices of a pod's claims are ready.
    pub(super) fn await_devices(&mut self, client: &mut Client<'_>, queued: &QueuedPodInfo, node: &str) {
        let pod = &queued.pod;
        let note = format!("waiting for binding conditions for device on node {node}");
        tell(client, pod, pod, EventType::Normal, ["BindingConditionsPending", "Scheduling", &note]);
        let (node, decisions) = (Name::from(node), Decisions::default());
        let pending =
            PendingBinding { node, decisions, since: client.now, queued: queued.clone(), awaits_devices: true };
        self.pending.insert(pod.uid.clone(), pending);
        self.arm_pending(client);
    }

    fn look_at_devices(&mut self, pending: PendingBinding, client: &mut Client<'_>) {
        let timeout = pending.queued.profile.args.dynamic_resources.binding_timeout;
        let outcome = match self.devices_are_ready(pending.pod(), client.now, timeout) {
            Ok(false) if client.now.since(pending.since) < timeout => return,
            Ok(false) => Err("device binding timeout".to_owned()),
            outcome => outcome,
        };
        self.pending.remove(&pending.pod().uid);
        client.triggered_by(pending.queued.woken_by);
        match outcome {
            Ok(_) => self.bind(client, &pending.queued, &pending.node),
            Err(why) => self.claims_failed(&pending.queued, &why, client),
        }
    }

    /// `checkBindings`: whether all claims of the pod are bound.
    fn are_bound(&self, pending: &PendingBinding) -> Result<bool, String> {
        let listers = &self.scheduler.listers;
        for wanted in &pending.decisions.provisions {
            let Some(claim) = listers.claim(&wanted.key()) else {
                return Err(format!("could not find PVC {:?} from API server", wanted.key().to_string()));
            };
            // The provisioner gives up on a node by taking the annotation away.
            if !is_fully_bound(claim) && annotation(&claim.metadata, SELECTED_NODE) != Some(&*pending.node) {
                return Err(format!("provisioning failed for PVC {:?}", wanted.name()));
            }
        }
        for wanted in &pending.decisions.bindings {
            if listers.volume(wanted.name()).is_none() {
                return Err(format!("PV {:?} not found", wanted.name()));
            }
        }
        let claims = &pending.queued.pod.claims;
        Ok(claims.iter().all(|claim| listers.claim(&claim.key).is_some_and(|claim| is_fully_bound(claim))))
    }

    fn volumes_failed(&mut self, pending: PendingBinding, why: &str, client: &mut Client<'_>) {
        self.pending.remove(&pending.queued.pod.uid);
        self.scheduler.listers.revert(&pending.decisions);
        let message = format!("running PreBind plugin \"VolumeBinding\": binding volumes: {why}");
        self.binding_failed(&pending.queued, message, client);
    }

    /// A pod that waited is gone.
    pub(super) fn abandon(&mut self, uid: &str, client: &mut Client<'_>) {
        if let Some(pending) = self.pending.remove(uid) {
            self.scheduler.listers.revert(&pending.decisions);
            self.unreserve_claims(&pending.queued.pod, client);
            self.scheduler.binding_abandoned(&pending.queued.pod, client.now);
        }
    }

    /// Takes in what changed about storage; says what pods may be waiting for.
    pub(super) fn storage_changed(&mut self, event: &InformerEvent) -> Option<Change> {
        let listers = &mut self.scheduler.listers;
        let (key, name) = (event.key.clone(), event.key.name.clone());
        match event.kind {
            Kind::PersistentVolumeClaim => {
                let (before, after) = both::<PersistentVolumeClaim>(event);
                listers.set_claim(key, after);
                after.map(|claim| Change::Claim(before.cloned(), claim.clone()))
            }
            Kind::PersistentVolume => {
                let (before, after) = both::<PersistentVolume>(event);
                listers.set_volume(name, after);
                after.map(|volume| Change::Volume(before.cloned(), volume.clone()))
            }
            Kind::StorageClass => {
                let (before, after) = both(event);
                keep_named(&mut listers.storage_classes, name, after);
                after.map(|class| Change::Class(before.cloned(), class.clone()))
            }
            Kind::CSINode => {
                let (before, after) = both(event);
                keep_named(&mut listers.csi_nodes, name, after);
                after.map(|node| Change::CsiNode(before.cloned(), node.clone()))
            }
            Kind::VolumeAttachment => {
                let (before, after) = both(event);
                listers.set_attachment(before, after);
                before.filter(|_| after.is_none()).map(|gone| Change::Detached(gone.clone()))
            }
            _ => {
                let unstructured = |object: &Option<Object>| match object {
                    Some(Object::Unstructured(object)) => Some(object.clone()),
                    _ => None,
                };
                let (before, after) = (unstructured(&event.before), unstructured(&event.after));
                if event.kind == Kind::CSIDriver {
                    keep_named(&mut listers.csi_drivers, name, after.as_ref());
                    return after.map(|driver| Change::CsiDriver(before, driver));
                }
                keep(&mut listers.csi_storage_capacities, key, after.as_ref());
                after.map(|capacity| Change::StorageCapacity(before, capacity))
            }
        }
    }

    /// Pods that storage may help are tried again.
    pub(super) fn storage_may_help(&mut self, change: &Change, now: Time) {
        self.scheduler.move_all(ClusterEvent::STORAGE, change, now);
    }
}

fn write(decisions: &Decisions, client: &mut Client<'_>) -> Result<(), ClientError> {
    for volume in &decisions.bindings {
        client.update(volume.clone())?;
    }
    for claim in &decisions.provisions {
        client.update(claim.clone())?;
    }
    Ok(())
}
