//! The controller manager and its controllers, a room each.
//!
//! Follows `kubernetes/cmd/kube-controller-manager`: one process, shared caches, and for each controller a queue, a
//! name and a rate-limited client of its own.

mod claim;
mod cron_job;
mod deployment;
mod endpoint_slice;
mod endpoint_slice_mirroring;
mod endpoints;
mod garbage_collector;
mod job;
mod manager;
mod namespace;
mod node_lifecycle;
pub mod pod_control;
mod pod_gc;
mod pod_status;
mod replicaset;
mod root_ca;
mod service_account;
mod taint_eviction;
mod ttl;
mod ttl_after_finished;

use crate::client::Controller;

pub use claim::claim;
pub use cron_job::CronJobController;
pub use deployment::DeploymentController;
pub use endpoint_slice::EndpointSliceController;
pub use endpoint_slice_mirroring::EndpointSliceMirroringController;
pub use endpoints::EndpointsController;
pub use garbage_collector::GarbageCollector;
pub use job::{JobController, JobOrphanController};
pub use manager::ControllerManager;
pub use namespace::NamespaceController;
pub use node_lifecycle::NodeLifecycleController;
pub use pod_gc::PodGarbageCollector;
pub use replicaset::ReplicaSetController;
pub use root_ca::RootCaController;
pub use service_account::ServiceAccountController;
pub use taint_eviction::TaintEvictionController;
pub use ttl::TtlController;
pub use ttl_after_finished::TtlAfterFinishedController;

/// The controllers that a cluster runs, in the order in which they start.
#[must_use]
pub fn all() -> Vec<Box<dyn Controller + Send + Sync>> {
    vec![
        Box::new(ServiceAccountController),
        Box::<ReplicaSetController>::default(),
        Box::new(DeploymentController),
        Box::<NodeLifecycleController>::default(),
        Box::<EndpointsController>::default(),
        Box::<EndpointSliceController>::default(),
        Box::new(EndpointSliceMirroringController),
        Box::<GarbageCollector>::default(),
        Box::new(NamespaceController),
        Box::<PodGarbageCollector>::default(),
        Box::new(RootCaController),
        Box::<TaintEvictionController>::default(),
        Box::<TtlController>::default(),
        Box::<JobController>::default(),
        Box::new(JobOrphanController),
        Box::new(TtlAfterFinishedController),
        Box::new(CronJobController),
    ]
}
