//! The controller manager and its controllers, a room each.
//!
//! Follows `kubernetes/cmd/kube-controller-manager`: one process, shared caches, and for each controller a queue, a
//! name and a rate-limited client of its own.

mod certificates;
mod claim;
mod cluster_role_aggregation;
mod cron_job;
mod daemon;
mod deployment;
mod device_taint_eviction;
mod disruption;
mod endpoint_slice;
mod endpoint_slice_mirroring;
mod endpoints;
mod garbage_collector;
mod history;
mod horizontal_pod_autoscaler;
mod job;
mod manager;
mod namespace;
mod node_ipam;
mod node_lifecycle;
pub mod pod_control;
mod pod_gc;
mod pod_status;
mod replicaset;
mod resource_claim;
mod resource_quota;
mod root_ca;
mod service_account;
mod service_account_token;
mod statefulset;
mod taint_eviction;
mod ttl;
mod ttl_after_finished;
mod validating_policy_status;
mod volume;

use crate::client::Controller;

pub use certificates::{ApprovingController, CleanerController, SigningController};
pub use claim::claim;
pub use cluster_role_aggregation::ClusterRoleAggregationController;
pub use cron_job::CronJobController;
pub use daemon::{DaemonSetController, daemon_pod_for};
pub use deployment::DeploymentController;
pub use device_taint_eviction::DeviceTaintEvictionController;
pub use disruption::DisruptionController;
pub use endpoint_slice::EndpointSliceController;
pub use endpoint_slice_mirroring::EndpointSliceMirroringController;
pub use endpoints::EndpointsController;
pub use garbage_collector::GarbageCollector;
pub use horizontal_pod_autoscaler::HorizontalPodAutoscalerController;
pub use job::{JobController, JobOrphanController};
pub use manager::ControllerManager;
pub use namespace::NamespaceController;
pub use node_ipam::NodeIpamController;
pub use node_lifecycle::NodeLifecycleController;
pub use pod_gc::PodGarbageCollector;
pub use replicaset::ReplicaSetController;
pub use resource_claim::ResourceClaimController;
pub use resource_quota::ResourceQuotaController;
pub use root_ca::RootCaController;
pub use service_account::ServiceAccountController;
pub use service_account_token::TokensController;
pub use statefulset::StatefulSetController;
pub use taint_eviction::TaintEvictionController;
pub use ttl::TtlController;
pub use ttl_after_finished::TtlAfterFinishedController;
pub use validating_policy_status::ValidatingPolicyStatusController;
pub use volume::{
    AttachDetachController, AttributesClassProtection, ClaimProtection, CsiAttacher, CsiCapacity, CsiModifier,
    CsiProvisioner, CsiResizer, EphemeralVolumeController, ExpandController, LocalPathProvisioner,
    PersistentVolumeController, VolumeProtection,
};

/// What stands beside storage drivers in a cloud.
#[must_use]
pub fn storage_sidecars() -> Vec<Box<dyn Controller + Send + Sync>> {
    vec![
        Box::<CsiProvisioner>::default(),
        Box::<CsiAttacher>::default(),
        Box::new(CsiCapacity),
        Box::<CsiModifier>::default(),
        Box::<CsiResizer>::default(),
    ]
}

/// The controllers that a cluster runs, in the order in which they start.
#[must_use]
pub fn all() -> Vec<Box<dyn Controller + Send + Sync>> {
    let mut all: Vec<Box<dyn Controller + Send + Sync>> = vec![
        Box::new(ServiceAccountController),
        Box::new(ClusterRoleAggregationController),
        Box::new(ReplicaSetController::new()),
        Box::new(ReplicaSetController::replication()),
        Box::new(DeploymentController),
        Box::new(StatefulSetController),
        Box::<DaemonSetController>::default(),
        Box::new(DisruptionController),
        Box::<NodeLifecycleController>::default(),
        Box::<EndpointsController>::default(),
        Box::<EndpointSliceController>::default(),
        Box::new(EndpointSliceMirroringController),
        Box::<GarbageCollector>::default(),
        Box::new(NamespaceController),
        Box::<PodGarbageCollector>::default(),
        Box::new(ResourceQuotaController),
        Box::new(RootCaController),
        Box::<TaintEvictionController>::default(),
        Box::<TtlController>::default(),
        Box::<JobController>::default(),
        Box::new(JobOrphanController),
        Box::new(TtlAfterFinishedController),
        Box::new(CronJobController),
        Box::<PersistentVolumeController>::default(),
        Box::<AttachDetachController>::default(),
        Box::new(ExpandController),
        Box::new(ClaimProtection),
        Box::new(VolumeProtection),
        Box::new(AttributesClassProtection),
        Box::new(EphemeralVolumeController),
        Box::new(ResourceClaimController),
        Box::<DeviceTaintEvictionController>::default(),
        Box::new(LocalPathProvisioner),
        Box::<HorizontalPodAutoscalerController>::default(),
        Box::new(TokensController),
        Box::new(ValidatingPolicyStatusController),
        Box::new(ApprovingController),
        Box::new(CleanerController),
    ];
    for signer in SigningController::all() {
        all.push(Box::new(signer));
    }
    all
}
