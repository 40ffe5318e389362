//! What objects cost of a quota, for admission and for the quota controller.
//!
//! Follows `k8s.io/apiserver/pkg/quota/v1` and `kubernetes/pkg/quota/v1/evaluator/core`. An evaluator knows the
//! resources that objects of one kind use; everything here is pure.

mod claims;
mod devices;
mod pods;
mod services;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::check::list;
use super::core::pod::resources::Amounts;
use super::{Kind, Object, Subresource};
use crate::machinery::quantity::{Format, Quantity};
use crate::machinery::time::Time;

/// Knows what objects of one kind cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluator {
    /// Pods: their number, and what they ask for.
    Pods,
    /// Services: their number, node ports and load balancers.
    Services,
    /// Claims of volumes: their number and storage, also by class.
    Claims,
    /// Any other kind: the number of its objects.
    ObjectCount(Kind),
}

/// Kinds whose number had a name before `count/…` came: `legacyObjectCountAliases`.
const ALIASES: [Kind; 4] = [Kind::ConfigMap, Kind::ResourceQuota, Kind::ReplicationController, Kind::Secret];

/// `count/deployments.apps`.
fn object_count_name(kind: Kind) -> String {
    format!("count/{}", kind.resource())
}

impl Evaluator {
    /// The evaluator of a kind; `None` for kinds that no quota counts: those without a namespace, and Events.
    #[must_use]
    pub fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Pod => Some(Self::Pods),
            Kind::Service => Some(Self::Services),
            Kind::PersistentVolumeClaim => Some(Self::Claims),
            Kind::Event => None,
            kind => (kind.info().namespaced && kind.is_stored()).then_some(Self::ObjectCount(kind)),
        }
    }

    /// The evaluators of all kinds that are built in, and of `custom` ones.
    pub fn all(custom: &[Kind]) -> impl Iterator<Item = Self> {
        Kind::ALL.iter().chain(custom).copied().filter_map(Self::of)
    }

    /// The kind whose objects it evaluates.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Pods => Kind::Pod,
            Self::Services => Kind::Service,
            Self::Claims => Kind::PersistentVolumeClaim,
            Self::ObjectCount(kind) => kind,
        }
    }

    /// Whether a quota over the resource concerns the kind: `MatchingResources`.
    #[must_use]
    pub fn tracks(self, resource: &str) -> bool {
        match self {
            Self::Pods => pods::tracks(resource),
            Self::Services => services::tracks(resource),
            Self::Claims => claims::tracks(resource),
            Self::ObjectCount(kind) => {
                if kind == Kind::ResourceClaim {
                    return devices::tracks(resource);
                }
                let is_count = || resource.strip_prefix("count/").is_some_and(|counted| counted == kind.resource());
                is_count() || (ALIASES.contains(&kind) && resource == kind.info().plural)
            }
        }
    }

    /// Whether a write can change what is used: `Handles`. `old` is `None` for a creation.
    #[must_use]
    pub fn handles(self, new: &Object, old: Option<&Object>, subresource: Option<Subresource>) -> bool {
        match (self, old, subresource) {
            (Self::Pods, Some(old), None) => pods::changes_scope(new, old),
            (Self::Pods, Some(_), Some(Subresource::Resize)) => true,
            (Self::Services | Self::Claims, Some(_), None) => true,
            (Self::Claims, Some(old), Some(Subresource::Status)) => claims::requires_replenish(new, old),
            (_, None, None) => true,
            _ => false,
        }
    }

    /// Whether a change of an object may have freed something, so that quotas are to be counted anew: the update filter
    /// of the quota controller.
    #[must_use]
    pub fn frees(self, old: &Object, new: &Object) -> bool {
        match (self, old, new) {
            (Self::Pods, Object::Pod(old_pod), Object::Pod(new_pod)) => {
                pods::frees(old_pod, new_pod) || pods::changes_scope(new, old)
            }
            (Self::Services, Object::Service(old), Object::Service(new)) => {
                services::takes_of_node(old) != services::takes_of_node(new)
            }
            (Self::Claims, ..) => claims::requires_replenish(new, old),
            _ => false,
        }
    }

    /// Whether an object is in a scope.
    #[must_use]
    pub fn is_in_scope(self, object: &Object, scope: &ScopedResourceSelectorRequirement) -> bool {
        match (self, object) {
            (Self::Pods, Object::Pod(pod)) => pods::is_in_scope(pod, scope),
            (Self::Claims, Object::PersistentVolumeClaim(claim)) => claims::is_in_scope(claim, scope),
            _ => false,
        }
    }

    /// Whether an object gives all that a quota over these resources asks of it: `Constraints`.
    ///
    /// # Errors
    /// What is missing.
    pub fn constraints(self, object: &Object, resources: &[&str]) -> Result<(), String> {
        match (self, object) {
            (Self::Pods, Object::Pod(pod)) => pods::constraints(pod, resources),
            _ => Ok(()),
        }
    }

    /// What an object uses: `Usage`.
    #[must_use]
    pub fn usage(self, object: &Object, now: Time) -> Amounts {
        let mut usage = match (self, object) {
            (Self::Pods, Object::Pod(pod)) => pods::usage(pod, now),
            (Self::Services, Object::Service(service)) => services::usage(service),
            (Self::Claims, Object::PersistentVolumeClaim(claim)) => claims::usage(claim),
            (Self::ObjectCount(Kind::ResourceClaim), Object::Unstructured(claim)) => devices::usage(claim),
            _ => Amounts::new(),
        };
        let kind = self.kind();
        usage.insert(object_count_name(kind), whole(1));
        if ALIASES.contains(&kind) {
            usage.insert(kind.info().plural.to_owned(), whole(1));
        }
        usage
    }
}

fn whole(number: usize) -> Quantity {
    Quantity::new(i64::try_from(number).unwrap_or(i64::MAX), Format::DecimalSI)
}

/// The scopes of a quota, of both its lists: `getScopeSelectorsFromQuota`.
#[must_use]
pub fn scopes(spec: &ResourceQuotaSpec) -> Vec<ScopedResourceSelectorRequirement> {
    let plain = list(&spec.scopes).iter().map(|scope| ScopedResourceSelectorRequirement {
        scope_name: scope.clone(),
        operator: "Exists".to_owned(),
        values: None,
    });
    let selector = spec.scope_selector.iter().flat_map(|selector| list(&selector.match_expressions)).cloned();
    plain.chain(selector).collect()
}

/// Whether a quota counts an object: it limits a resource that the kind uses, and the object is in all its scopes.
#[must_use]
pub fn matches(evaluator: Evaluator, quota: &ResourceQuota, object: &Object) -> bool {
    let hard = quota.status.as_ref().and_then(|status| status.hard.as_ref());
    let limits = hard.into_iter().flatten().any(|(name, _)| evaluator.tracks(name));
    limits && in_all_scopes(evaluator, quota, object)
}

fn in_all_scopes(evaluator: Evaluator, quota: &ResourceQuota, object: &Object) -> bool {
    let scopes = quota.spec.as_ref().map(scopes).unwrap_or_default();
    scopes.iter().all(|scope| evaluator.is_in_scope(object, scope))
}

/// What the objects that a quota counts use of what it limits: `CalculateUsage`. `list` tells the objects of a kind in
/// the quota's namespace. Resources that nobody knows are left out.
#[must_use]
pub fn calculate_usage<'a, I: Iterator<Item = &'a Object>>(
    quota: &ResourceQuota,
    hard: &Amounts,
    custom: &[Kind],
    now: Time,
    list: impl Fn(Kind) -> I,
) -> Amounts {
    let mut used = Amounts::new();
    for evaluator in Evaluator::all(custom) {
        let tracked: Vec<&String> = hard.keys().filter(|name| evaluator.tracks(name)).collect();
        if tracked.is_empty() {
            continue;
        }
        for name in &tracked {
            used.entry((*name).clone()).or_default();
        }
        for object in list(evaluator.kind()).filter(|object| in_all_scopes(evaluator, quota, object)) {
            let usage = evaluator.usage(object, now);
            add(&mut used, &mask(&usage, |name| tracked.iter().any(|tracked| *tracked == name)));
        }
    }
    used
}

/// The amounts of an API object.
#[must_use]
pub fn amounts(list: Option<&BTreeMap<String, ApiQuantity>>) -> Amounts {
    list.into_iter().flatten().map(|(name, amount)| (name.clone(), Quantity::of(amount))).collect()
}

/// As an API object has them.
#[must_use]
pub fn to_api(amounts: &Amounts) -> BTreeMap<String, ApiQuantity> {
    amounts.iter().map(|(name, amount)| (name.clone(), amount.to_api())).collect()
}

/// Adds `more`.
pub fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        total.entry(name.clone()).and_modify(|sum| sum.add(*amount)).or_insert(*amount);
    }
}

/// The amounts whose names are wanted: `Mask`.
#[must_use]
pub fn mask(amounts: &Amounts, wanted: impl Fn(&str) -> bool) -> Amounts {
    amounts.iter().filter(|(name, _)| wanted(name)).map(|(name, amount)| (name.clone(), *amount)).collect()
}

/// What `new` is more than `old`, never less than nothing: `SubtractWithNonNegativeResult`.
#[must_use]
pub fn increase(new: &Amounts, old: &Amounts) -> Amounts {
    let more = |name: &String, amount: &Quantity| {
        let mut rest = *amount;
        if let Some(before) = old.get(name) {
            rest.sub(*before);
        }
        if rest.sign() > 0 { rest } else { Quantity::ZERO }
    };
    new.iter().map(|(name, amount)| (name.clone(), more(name, amount))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn quota(spec: Value) -> ResourceQuota {
        serde_json::from_value(json!({ "spec": spec, "status": { "hard": spec["hard"] } })).expect("a quota")
    }

    fn object(kind: Kind, value: &Value) -> Object {
        Object::from_value(kind, value).expect("an object")
    }

    fn used(quota: &ResourceQuota, objects: &[Object]) -> String {
        let hard = amounts(quota.spec.as_ref().and_then(|spec| spec.hard.as_ref()));
        let of_kind = |kind: Kind| objects.iter().filter(move |object| object.kind() == kind);
        let used = calculate_usage(quota, &hard, &[], Time::DEFAULT_START, of_kind);
        used.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn objects_are_counted_by_kind() {
        let objects = [
            object(Kind::ConfigMap, &json!({})),
            object(Kind::ConfigMap, &json!({})),
            object(Kind::Deployment, &json!({})),
            object(Kind::Service, &json!({ "spec": { "type": "NodePort", "ports": [{ "port": 1 }, { "port": 2 }] } })),
            object(
                Kind::PersistentVolumeClaim,
                &json!({ "spec": { "storageClassName": "gold", "resources": { "requests": { "storage": "1Gi" } } } }),
            ),
        ];
        let all = quota(json!({ "hard": {
            "configmaps": "9", "count/configmaps": "9", "count/deployments.apps": "9", "count/jobs.batch": "9",
            "services": "9", "services.nodeports": "9", "services.loadbalancers": "9", "requests.storage": "9Gi",
            "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "9", "count/unknown.example": "9",
            "tin.storageclass.storage.k8s.io/requests.storage": "9",
        } }));
        let expected = "configmaps=2,count/configmaps=2,count/deployments.apps=1,count/jobs.batch=0,\
                        gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,requests.storage=1Gi,services=1,\
                        services.loadbalancers=0,services.nodeports=2,\
                        tin.storageclass.storage.k8s.io/requests.storage=0";
        assert_eq!(used(&all, &objects), expected);
    }

    #[test]
    fn pods_are_counted_in_their_scopes() {
        let pod = |spec: Value, phase: &str| object(Kind::Pod, &json!({ "spec": spec, "status": { "phase": phase } }));
        let asks = json!({ "name": "c", "resources": { "requests": { "cpu": "100m" }, "limits": { "cpu": "1" } } });
        let objects = [
            pod(json!({ "containers": [asks] }), "Running"),
            pod(json!({ "containers": [asks], "priorityClassName": "high" }), "Pending"),
            pod(json!({ "containers": [{ "name": "c" }], "activeDeadlineSeconds": 9 }), "Running"),
            pod(json!({ "containers": [asks] }), "Succeeded"),
        ];
        let hard = json!({ "pods": "9", "count/pods": "9", "requests.cpu": "9", "limits.cpu": "9" });
        let table = [
            (json!({ "hard": hard }), "count/pods=4,limits.cpu=2,pods=3,requests.cpu=200m"),
            (json!({ "hard": { "pods": "9" }, "scopes": ["BestEffort"] }), "pods=1"),
            (json!({ "hard": { "pods": "9" }, "scopes": ["NotTerminating", "NotBestEffort"] }), "pods=2"),
            (
                json!({ "hard": { "pods": "9" }, "scopeSelector": { "matchExpressions": [
                    { "scopeName": "PriorityClass", "operator": "In", "values": ["high", "low"] },
                ] } }),
                "pods=1",
            ),
        ];
        for (spec, expected) in table {
            assert_eq!(used(&quota(spec.clone()), &objects), expected, "{spec}");
        }
    }

    #[test]
    fn an_update_is_charged_for_what_it_adds() {
        let list = |pairs: &[(&str, i64)]| -> Amounts {
            pairs.iter().map(|(name, amount)| ((*name).to_owned(), Quantity::new(*amount, Format::DecimalSI))).collect()
        };
        let more = increase(&list(&[("a", 3), ("b", 1), ("c", 2)]), &list(&[("a", 1), ("b", 4)]));
        assert_eq!(more, list(&[("a", 2), ("b", 0), ("c", 2)]));
    }
}
