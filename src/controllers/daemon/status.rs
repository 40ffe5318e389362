//! What a DaemonSet says of itself.
//!
//! Follows `updateDaemonSetStatus` and `storeDaemonSetStatus` of `daemon_controller.go`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};
use k8s_openapi::api::core::v1::Pod;

use crate::api::Resource;
use crate::client::ClientError;
use crate::controllers::pod_control::{is_available, is_ready, next_availability};
use crate::etcd::Why;

use super::{Control, PodsByNode, is_updated, min_ready};

/// How often a status is written again after a refusal: `StatusUpdateRetries`.
const UPDATE_RETRIES: usize = 1;

/// The numbers of a status, with Go's zeros.
fn numbers(status: &DaemonSetStatus) -> [i32; 7] {
    [
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_misscheduled,
        status.number_ready,
        status.updated_number_scheduled.unwrap_or(0),
        status.number_available.unwrap_or(0),
        status.number_unavailable.unwrap_or(0),
    ]
}

impl Control<'_, '_> {
    /// Counts nodes and pods: the oldest pod of a node speaks for it.
    fn calculate_status(&self, by_node: &PodsByNode, hash: &str) -> DaemonSetStatus {
        let (mut desired, mut current, mut misscheduled, mut ready) = (0, 0, 0, 0);
        let (mut updated, mut available) = (0, 0);
        for node in &self.nodes {
            let oldest: Option<&Arc<Pod>> = by_node.get(node.name()).and_then(|pods| pods.first());
            if !self.eligibility.of_node(node).should_run {
                misscheduled += i32::from(oldest.is_some());
                continue;
            }
            desired += 1;
            let Some(pod) = oldest else { continue };
            current += 1;
            ready += i32::from(is_ready(pod));
            available += i32::from(is_available(pod, min_ready(&self.set), self.client.now));
            updated += i32::from(is_updated(pod, hash, &self.set));
        }
        let positive = |count: i32| (count != 0).then_some(count);
        let known = self.set.status.clone().unwrap_or_default();
        DaemonSetStatus {
            desired_number_scheduled: desired,
            current_number_scheduled: current,
            number_misscheduled: misscheduled,
            number_ready: ready,
            updated_number_scheduled: positive(updated),
            number_available: positive(available),
            number_unavailable: positive(desired - available),
            ..known
        }
    }

    /// Writes the status if it says anything new, and comes back when the next pod becomes available. The generation
    /// counts as observed only if it was acted upon.
    pub(super) fn update_status(
        &mut self,
        by_node: &PodsByNode,
        hash: &str,
        observes_generation: bool,
    ) -> Result<(), ClientError> {
        let mut status = self.calculate_status(by_node, hash);
        let known = self.set.status.clone().unwrap_or_default();
        if numbers(&status) != numbers(&known) || known.observed_generation < self.set.metadata.generation {
            if observes_generation {
                status.observed_generation = self.set.metadata.generation;
            }
            self.store_status(&status)?;
        }
        if !min_ready(&self.set).is_zero() && status.number_ready != status.number_available.unwrap_or(0) {
            let pods = by_node.values().flatten().map(|pod| &**pod);
            if let Some(wait) = next_availability(pods, min_ready(&self.set), self.client.now) {
                self.client.enqueue_after(self.key.clone(), wait);
            }
        }
        Ok(())
    }

    fn store_status(&mut self, status: &DaemonSetStatus) -> Result<(), ClientError> {
        let name = self.set.name().to_owned();
        self.client.because(Why::new("DaemonSet {} tells on how many nodes its pods are.", [name]));
        let mut fresh = self.set.clone();
        let mut tries = 0;
        loop {
            let mut changed = (*fresh).clone();
            let collision_count = changed.status.as_ref().and_then(|status| status.collision_count);
            changed.status = Some(DaemonSetStatus { collision_count, ..status.clone() });
            match self.client.update_status(changed) {
                Err(ClientError::Api(_)) if tries < UPDATE_RETRIES => {
                    tries += 1;
                    fresh = self.client.get::<DaemonSet>(self.key)?;
                }
                result => return result.map(drop),
            }
        }
    }
}
