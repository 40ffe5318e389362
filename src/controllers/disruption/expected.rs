//! How many pods a budget's pods are meant to be: what their controllers are scaled to.
//!
//! Follows `getExpectedPodCount` and the finders of `kubernetes/pkg/controller/disruption/disruption.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::api::policy::v1::PodDisruptionBudgetSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::{ObjectKey, Resource, Subresource, controller_of};
use crate::apiserver::{Response, Target, Verb};
use crate::client::{Client, ClientError, Informers};
use crate::machinery::intstr::{Round, scaled_value};

use super::status::SyncError;

/// A controller by its uid, and how many pods it is scaled to.
type Scale = (String, i32);

/// What a budget is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// How many pods there are meant to be.
    pub count: i32,
    /// How many of them must be healthy.
    pub healthy: i32,
    /// Whether some of the pods that are there have no controller that could tell.
    pub has_unmanaged: bool,
}

/// `getExpectedPodCount`.
pub(super) fn expected(
    spec: &PodDisruptionBudgetSpec,
    pods: &[Arc<Pod>],
    listers: &Informers,
    client: &mut Client<'_>,
) -> Result<Expected, SyncError> {
    let rounded =
        |value: &IntOrString, count: i32| scaled_value(value, count, Round::Up).map_err(SyncError::Uncountable);
    if let Some(unavailable) = &spec.max_unavailable {
        let (count, has_unmanaged) = expected_scale(pods, listers, client)?;
        return Ok(Expected { count, healthy: (count - rounded(unavailable, count)?).max(0), has_unmanaged });
    }
    match &spec.min_available {
        Some(IntOrString::Int(number)) => {
            let count = i32::try_from(pods.len()).unwrap_or(i32::MAX);
            Ok(Expected { count, healthy: *number, has_unmanaged: false })
        }
        Some(percent) => {
            let (count, has_unmanaged) = expected_scale(pods, listers, client)?;
            Ok(Expected { count, healthy: rounded(percent, count)?, has_unmanaged })
        }
        None => Ok(Expected { count: 0, healthy: 0, has_unmanaged: false }),
    }
}

/// The sum of what the pods' controllers are scaled to, and whether there are pods without one, which do not count
/// (`getExpectedScale`).
fn expected_scale(pods: &[Arc<Pod>], listers: &Informers, client: &mut Client<'_>) -> Result<(i32, bool), SyncError> {
    let mut scales: BTreeMap<String, i32> = BTreeMap::new();
    let mut has_unmanaged = false;
    for pod in pods {
        let Some(owner) = controller_of(&pod.metadata) else {
            has_unmanaged = true;
            continue;
        };
        if scales.contains_key(&owner.uid) {
            continue;
        }
        let scale = match scale_in_cache(owner, pod.namespace(), listers) {
            Some(scale) => Some(scale),
            None => scale_of(owner, pod.namespace(), client)?,
        };
        let Some((uid, count)) = scale else {
            return Err(SyncError::Uncountable(format!("found no controllers for pod {:?}", pod.name())));
        };
        scales.insert(uid, count);
    }
    Ok((scales.values().fold(0, |sum, count| sum.saturating_add(*count)), has_unmanaged))
}

/// The finders that read caches: ReplicationController, Deployment, ReplicaSet, StatefulSet.
fn scale_in_cache(owner: &OwnerReference, namespace: &str, listers: &Informers) -> Option<Scale> {
    let key = ObjectKey::new(namespace, owner.name.as_str());
    let found = |uid: &str, replicas: Option<i32>| (uid == owner.uid).then(|| (uid.to_owned(), replicas.unwrap_or(1)));
    match (owner.kind.as_str(), owner.api_version.split('/').next().unwrap_or("")) {
        ("ReplicationController", "v1") => {
            let object = listers.get::<ReplicationController>(&key)?;
            found(object.uid(), object.spec.as_ref().and_then(|spec| spec.replicas))
        }
        ("ReplicaSet", "apps" | "extensions") => {
            let set = listers.get::<ReplicaSet>(&key).filter(|set| set.uid() == owner.uid)?;
            match controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment") {
                None => found(set.uid(), set.spec.as_ref().and_then(|spec| spec.replicas)),
                Some(owner) => {
                    let deployment = listers.get::<Deployment>(&ObjectKey::new(namespace, owner.name.as_str()))?;
                    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
                    (deployment.uid() == owner.uid).then(|| (deployment.uid().to_owned(), replicas))
                }
            }
        }
        ("StatefulSet", "apps") => {
            let set = listers.get::<StatefulSet>(&key)?;
            found(set.uid(), set.spec.as_ref().and_then(|spec| spec.replicas))
        }
        _ => None,
    }
}

/// The finder for all other owners, which asks for their scale: `getScaleController`.
fn scale_of(owner: &OwnerReference, namespace: &str, client: &mut Client<'_>) -> Result<Option<Scale>, SyncError> {
    let Some(kind) = client.kind_of(&owner.api_version, &owner.kind) else {
        let why = format!("no matches for kind {:?} in version {:?}", owner.kind, owner.api_version);
        return Err(SyncError::Uncountable(why));
    };
    if !kind.has(Subresource::Scale) {
        let why = format!("{} does not implement the scale subresource", kind.resource());
        return Err(SyncError::Uncountable(why));
    }
    let key = ObjectKey::new(namespace, owner.name.as_str());
    match client.request(Target::object(kind, &key).below(Subresource::Scale), Verb::Get) {
        Ok(Response::Value(scale)) if scale["metadata"]["uid"] == owner.uid.as_str() => {
            let replicas = scale["spec"]["replicas"].as_i64().and_then(|count| i32::try_from(count).ok()).unwrap_or(0);
            Ok(Some((owner.uid.clone(), replicas)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(SyncError::from(error)),
    }
}

impl From<ClientError> for SyncError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
