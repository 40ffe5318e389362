//! cluster-autoscaler: makes groups of machines larger when pods find no room, and smaller when nodes are not needed.
//!
//! Follows `kubernetes/autoscaler/cluster-autoscaler` with its default options. Every ten seconds it asks the cloud what
//! groups there are ([`NodeGroup`]), and its caches what pods and nodes there are. Pods that the scheduler found
//! unschedulable, and that would not fit on nodes which are on their way either, are packed on nodes as the groups would
//! make them, judged by the scheduler's own filters ([`Snapshot`]); the group that wastes least grows. A node whose pods ask
//! for less than half of it, and would fit elsewhere, is a candidate to go; after ten minutes as one it is closed, drained
//! as budgets allow, and its machine given back.
//!
//! [`scale_up`] and [`scale_down`] decide, without clock and store; [`deletion`] carries a removal out over time.
//!
//! A group of which the cloud cannot make machines is left alone for a while ([`backoff`]).
//!
//! Not simulated: limits for the whole cluster, groups that are alike being balanced, priorities among groups, processors
//! for graphics, and its lease as a leader. It is no pod.

mod backoff;
mod deletion;
mod process;
mod readiness;
mod scale_down;
mod scale_up;
mod status;

use crate::cloud::NodeGroup;
use crate::scheduler::what_if::Snapshot;

pub use process::ClusterAutoscaler;
pub use status::STATUS_CONFIG_MAP;

/// `ToBeDeletedTaint`: the node is being removed.
const TO_BE_DELETED_TAINT: &str = "ToBeDeletedByClusterAutoscaler";
/// `DeletionCandidateTaint`: the node may be removed.
const DELETION_CANDIDATE_TAINT: &str = "DeletionCandidateOfClusterAutoscaler";
