//! Counts what ResourceQuotas limit.
//!
//! Guarantees that a quota's status says what it limits and what its namespace uses of that: soon after the quota's
//! spec changed, soon after something that it counts is gone, and every five minutes. Between, admission charges what is
//! created. Watches ResourceQuotas and every kind with a namespace but Events. Follows
//! `kubernetes/pkg/controller/resourcequota`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};

use crate::api::core::pod::resources::Amounts;
use crate::api::quota::{self, Evaluator};
use crate::api::{CustomKind, Kind, Resource};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::time::Time;

/// How often everything is counted anew: `--resource-quota-sync-period`.
const SYNC_PERIOD: Duration = Duration::from_secs(300);

/// The quota controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceQuotaController;

/// The status that a quota should have; `None` when it has it (`syncResourceQuota`).
fn new_status(quota: &ResourceQuota, listers: &Informers, custom: &[Kind], now: Time) -> Option<ResourceQuotaStatus> {
    let status = quota.status.clone().unwrap_or_default();
    let hard = quota::amounts(quota.spec.as_ref().and_then(|spec| spec.hard.as_ref()));
    let list = |kind: Kind| listers.objects_in(kind, quota.namespace());
    let usage = quota::calculate_usage(quota, &hard, custom, now, list);
    // What nobody can count keeps the number that it had.
    let mut used: Amounts = quota::mask(&quota::amounts(status.used.as_ref()), |name| hard.contains_key(name));
    used.extend(usage);
    let is_new = status.hard.is_none() || status.used.is_none();
    let is_dirty = hard != quota::amounts(status.hard.as_ref()) || used != quota::amounts(status.used.as_ref());
    (is_new || is_dirty)
        .then(|| ResourceQuotaStatus { hard: Some(quota::to_api(&hard)), used: Some(quota::to_api(&used)) })
}

/// The quotas that limit something that the kind uses: `replenishQuota`.
fn replenish(evaluator: Evaluator, namespace: &str, listers: &Informers, queue: &mut WorkQueue) {
    for quota in listers.list_in::<ResourceQuota>(namespace) {
        let hard = quota.status.as_ref().and_then(|status| status.hard.as_ref());
        if hard.into_iter().flatten().any(|(name, _)| evaluator.tracks(name)) {
            queue.add(quota.key());
        }
    }
}

impl Controller for ResourceQuotaController {
    fn name(&self) -> &'static str {
        "resourcequota-controller"
    }

    /// `--concurrent-resource-quota-syncs`.
    fn workers(&self) -> usize {
        5
    }

    fn watches(&self) -> Vec<WatchSpec> {
        let any = [Kind::Custom(CustomKind::ANY)];
        Evaluator::all(&[]).map(Evaluator::kind).chain(any).map(WatchSpec::all).collect()
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        if event.kind == Kind::ResourceQuota
            && let Some(quota) = event.after::<ResourceQuota>()
            && event.before::<ResourceQuota>().is_none_or(|before| before.spec != quota.spec)
        {
            queue.add(event.key.clone());
        }
        // Most namespaces have no quota, and what an object costs takes a while to tell.
        if listers.list_in::<ResourceQuota>(&event.key.namespace).next().is_none() {
            return;
        }
        let Some(evaluator) = Evaluator::of(event.kind) else { return };
        let frees = match (&event.before, &event.after) {
            (Some(_), None) => true,
            (Some(before), Some(after)) => evaluator.frees(before, after),
            (None, _) => false,
        };
        if frees {
            replenish(evaluator, &event.key.namespace, listers, queue);
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(quota) = listers.get::<ResourceQuota>(key) else { return Ok(Requeue::Forget) };
        let Some(status) = new_status(quota, listers, &client.custom_kinds(), client.now) else {
            return Ok(Requeue::Forget);
        };
        client.because(Why::new(
            "ResourceQuota {} shows what namespace {} uses.",
            [quota.name().to_owned(), quota.namespace().to_owned()],
        ));
        client.update_status(ResourceQuota { status: Some(status), ..(**quota).clone() })?;
        Ok(Requeue::Forget)
    }

    fn period(&self) -> Option<Duration> {
        Some(SYNC_PERIOD)
    }

    fn tick(&mut self, listers: &Informers, queue: &mut WorkQueue, _client: &mut Client<'_>) {
        listers.list::<ResourceQuota>().for_each(|quota| queue.add(quota.key()));
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
