//! No namespace uses more than its quotas allow.
//!
//! `k8s.io/apiserver/pkg/admission/plugin/resourcequota`. Here requests come one after another, so that the quotas are
//! read and charged in one go; as upstream, they stay charged when the object is refused afterwards, until the quota
//! controller looks again.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ResourceQuota;

use super::{Attributes, forbidden};
use crate::api::core::pod::resources::Amounts;
use crate::api::quota::{self, Evaluator};
use crate::api::{Kind, Object, Resource};
use crate::apiserver::Context;
use crate::etcd::Etcd;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

pub(super) fn validate(
    etcd: &mut Etcd,
    context: &Context<'_>,
    object: &Object,
    attributes: Attributes<'_>,
) -> Result<(), Status> {
    let Some(evaluator) = Evaluator::of(object.kind()) else { return Ok(()) };
    if !evaluator.handles(object, attributes.old, attributes.subresource) {
        return Ok(());
    }
    let namespace = object.metadata().namespace.as_deref().unwrap_or("");
    let quotas: Vec<Arc<ResourceQuota>> =
        etcd.range(Kind::ResourceQuota, Some(namespace)).filter_map(|(_, quota)| quota.downcast().cloned()).collect();
    if quotas.is_empty() {
        return Ok(());
    }
    let charged =
        check(&quotas, evaluator, object, attributes.old, context.now).map_err(|why| forbidden(object, &why))?;
    if attributes.dry_run {
        return Ok(());
    }
    for (quota, used) in charged {
        let mut changed = (*quota).clone();
        changed.status.get_or_insert_default().used = Some(quota::to_api(&used));
        etcd.update(context.now, &Object::ResourceQuota(quota.clone()), Object::from(changed), context.cause.clone())
            .map_err(|error| crate::apiserver::write::store_error(Kind::ResourceQuota, &quota.key(), &error))?;
    }
    Ok(())
}

/// What the quotas that count an object are charged with, or why one of them forbids it: `CheckRequest`.
fn check(
    quotas: &[Arc<ResourceQuota>],
    evaluator: Evaluator,
    object: &Object,
    old: Option<&Object>,
    now: Time,
) -> Result<Vec<(Arc<ResourceQuota>, Amounts)>, String> {
    let mut concerned = Vec::new();
    for quota in quotas.iter().filter(|quota| quota::matches(evaluator, quota, object)) {
        let status = quota.status.clone().unwrap_or_default();
        let (hard, used) = (quota::amounts(status.hard.as_ref()), quota::amounts(status.used.as_ref()));
        let tracked: Vec<&str> = hard.keys().map(String::as_str).filter(|name| evaluator.tracks(name)).collect();
        let name = quota.name();
        evaluator.constraints(object, &tracked).map_err(|why| format!("failed quota: {name}: {why}"))?;
        if tracked.iter().any(|name| !used.contains_key(*name)) {
            return Err(format!("status unknown for quota: {name}, resources: {}", tracked.join(",")));
        }
        concerned.push((quota, hard, used));
    }
    let usage = evaluator.usage(object, now);
    let negative: Vec<&str> =
        usage.iter().filter(|(_, amount)| amount.sign() < 0).map(|(name, _)| name.as_str()).collect();
    if !negative.is_empty() {
        return Err(format!("quota usage is negative for resource(s): {}", negative.join(",")));
    }
    let mut charged = Vec::new();
    for (quota, hard, used) in concerned {
        let counted_before = old.filter(|old| quota::matches(evaluator, quota, old));
        let more =
            counted_before.map_or_else(|| usage.clone(), |old| quota::increase(&usage, &evaluator.usage(old, now)));
        let more = quota::mask(&more, |name| hard.contains_key(name) && !more[name].is_zero());
        if let Some(sum) = charge(quota.name(), &more, &used, &hard)? {
            charged.push((Arc::clone(quota), sum));
        }
    }
    Ok(charged)
}

/// The use with `more`; `None` when that is nothing.
fn charge(quota: &str, more: &Amounts, used: &Amounts, hard: &Amounts) -> Result<Option<Amounts>, String> {
    if more.is_empty() {
        return Ok(None);
    }
    let mut sum = used.clone();
    quota::add(&mut sum, more);
    let exceeds = |name: &str| more.contains_key(name) && sum[name] > hard[name];
    let exceeded = quota::mask(more, exceeds);
    if exceeded.is_empty() {
        return Ok(Some(sum));
    }
    let those = |amounts: &Amounts| pretty(&quota::mask(amounts, |name| exceeded.contains_key(name)));
    Err(format!(
        "exceeded quota: {quota}, requested: {}, used: {}, limited: {}",
        pretty(&exceeded),
        those(used),
        those(hard)
    ))
}

/// `prettyPrint`.
fn pretty(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn quota(name: &str, spec: Value, used: Value) -> Arc<ResourceQuota> {
        let value =
            json!({ "metadata": { "name": name }, "spec": spec, "status": { "hard": spec["hard"], "used": used } });
        Arc::new(serde_json::from_value(value).expect("a quota"))
    }

    fn pod(spec: Value) -> Object {
        Object::from_value(Kind::Pod, &json!({ "metadata": { "name": "p" }, "spec": spec })).expect("a pod")
    }

    fn outcome(quotas: &[Arc<ResourceQuota>], object: &Object, old: Option<&Object>) -> String {
        match check(quotas, Evaluator::Pods, object, old, Time::DEFAULT_START) {
            Ok(charged) => charged
                .iter()
                .map(|(quota, used)| format!("{}: {}", quota.name(), pretty(used)))
                .collect::<Vec<_>>()
                .join("; "),
            Err(why) => why,
        }
    }

    #[test]
    fn a_quota_is_charged_or_forbids() {
        let asks =
            |cpu: &str| pod(json!({ "containers": [{ "name": "c", "resources": { "requests": { "cpu": cpu } } }] }));
        let free = quota(
            "q",
            json!({ "hard": { "pods": "2", "requests.cpu": "1" } }),
            json!({ "pods": "1", "requests.cpu": "500m" }),
        );
        let unknown = quota("u", json!({ "hard": { "pods": "2" } }), json!({}));
        let services = quota("s", json!({ "hard": { "services": "0" } }), json!({}));
        let table = [
            (vec![free.clone()], asks("500m"), "q: pods=2,requests.cpu=1"),
            (
                vec![free.clone()],
                asks("600m"),
                "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=500m, limited: requests.cpu=1",
            ),
            (
                vec![free],
                pod(json!({ "containers": [{ "name": "c" }] })),
                "failed quota: q: must specify requests.cpu for: c",
            ),
            (vec![unknown], asks("1m"), "status unknown for quota: u, resources: pods"),
            (vec![services], asks("1m"), ""),
        ];
        for (quotas, object, expected) in table {
            assert_eq!(outcome(&quotas, &object, None), expected);
        }
    }

    #[test]
    fn an_update_into_a_scope_is_charged_as_a_creation() {
        let terminating =
            quota("t", json!({ "hard": { "pods": "0" }, "scopes": ["Terminating"] }), json!({ "pods": "0" }));
        let all = quota("a", json!({ "hard": { "pods": "1" } }), json!({ "pods": "1" }));
        let plain = pod(json!({ "containers": [{ "name": "c" }] }));
        let limited = pod(json!({ "containers": [{ "name": "c" }], "activeDeadlineSeconds": 5 }));
        let refused = "exceeded quota: t, requested: pods=1, used: pods=0, limited: pods=0";
        assert_eq!(outcome(&[all.clone(), terminating], &limited, Some(&plain)), refused);
        assert_eq!(outcome(&[all], &limited, Some(&plain)), "");
    }
}
