//! Tells each kubelet for how long it may keep ConfigMaps and Secrets without asking again: longer in large clusters.
//!
//! Guarantees the annotation `node.alpha.kubernetes.io/ttl` on every node. Watches Nodes. Follows
//! `kubernetes/pkg/controller/ttl`.

use k8s_openapi::api::core::v1::Node;
use serde_json::json;

use crate::api::{Kind, Resource};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;

/// `v1.ObjectTTLAnnotationKey`.
const ANNOTATION: &str = "node.alpha.kubernetes.io/ttl";

/// `ttlBoundaries`: from and up to how many nodes, and the seconds. They overlap, lest one node tip the scales twice.
const BOUNDARIES: [(usize, usize, u32); 5] =
    [(0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, usize::MAX, 300)];

/// The TTL controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct TtlController {
    step: usize,
}

/// The step for so many nodes, coming from another.
fn next_step(step: usize, nodes: usize) -> usize {
    let (min, max, _) = BOUNDARIES[step];
    if nodes > max && step + 1 < BOUNDARIES.len() {
        step + 1
    } else if nodes < min && step > 0 {
        step - 1
    } else {
        step
    }
}

impl Controller for TtlController {
    fn name(&self) -> &'static str {
        "ttl-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Node)]
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        if event.before.is_none() || event.after.is_none() {
            self.step = next_step(self.step, listers.count(Kind::Node));
        }
        if event.after.is_some() {
            queue.add(event.key.clone());
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(node) = listers.get::<Node>(key) else { return Ok(Requeue::Forget) };
        let seconds = BOUNDARIES[self.step].2.to_string();
        let known = node.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION));
        if known == Some(&seconds) {
            return Ok(Requeue::Forget);
        }
        client.because(Why::new(
            "The kubelet of node {} may keep ConfigMaps and Secrets for {} seconds.",
            [node.name().to_owned(), seconds.clone()],
        ));
        match client.patch::<Node>(key, json!({ "metadata": { "annotations": { ANNOTATION: seconds } } })) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_overlap() {
        let table = [(0, 100, 0), (0, 101, 1), (1, 95, 1), (1, 89, 0), (1, 501, 2), (4, 100_000, 4), (4, 1799, 3)];
        for (step, nodes, expected) in table {
            assert_eq!(next_step(step, nodes), expected, "{nodes} nodes at step {step}");
        }
    }
}
