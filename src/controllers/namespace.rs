//! Empties a namespace that is being deleted, and then lets it go.
//!
//! Guarantees that everything in a terminating namespace is deleted, pods first and with the time that they are given,
//! that the namespace's conditions say what is left, and that its finalizer `kubernetes` goes last. Watches Namespaces.
//! Follows `kubernetes/pkg/controller/namespace` (`namespace_controller.go`,
//! `deletion/namespaced_resources_deleter.go`, `deletion/status_condition_utils.go`).
//!
//! Not simulated: failures of discovery, which is always there.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};

use crate::api::{Kind, Object, Resource, Subresource};
use crate::apiserver::{Body, DeleteOptions, ListOptions, Propagation, Response, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;

use super::pod_control::phase;

/// How long a namespace waits, so that every API server knows of its deletion: `namespaceDeletionGracePeriod`.
const DELETION_GRACE_PERIOD: Duration = Duration::from_secs(5);
/// The longest wait of a namespace that could not be emptied.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How long finalizers are thought to take: `finalizerEstimateSeconds`.
const FINALIZER_ESTIMATE: u64 = 15;
/// The finalizer in `spec.finalizers` that is this controller's: `v1.FinalizerKubernetes`.
const FINALIZER: &str = "kubernetes";

/// The conditions with the reason and message that they have when all is well, in upstream's order.
const CONDITIONS: [(&str, &str, &str); 5] = [
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (CONTENT_FAILURE, "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    (CONTENT_REMAINING, "ContentRemoved", "All content successfully removed"),
    (FINALIZERS_REMAINING, "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
];
const CONTENT_FAILURE: &str = "NamespaceDeletionContentFailure";
const CONTENT_REMAINING: &str = "NamespaceContentRemaining";
const FINALIZERS_REMAINING: &str = "NamespaceFinalizersRemaining";

/// The namespace controller.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceController;

/// What was found while a namespace was emptied: `allGVRDeletionMetadata` with the errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rest {
    /// How many objects of which `resource.group` are left.
    resources: BTreeMap<String, usize>,
    /// How many objects wait for which finalizer.
    finalizers: BTreeMap<String, usize>,
    /// What went wrong, in upstream's words.
    errors: Vec<String>,
    /// The longest time that anything is thought to take, in seconds.
    estimate: u64,
}

impl Rest {
    /// Adds what is left of a kind; `grace` is how long it may still take by itself, in seconds.
    fn add(&mut self, kind: Kind, namespace: &str, left: &[Object], grace: u64) {
        if left.is_empty() {
            return;
        }
        let info = kind.info();
        self.resources.insert(format!("{}.{}", info.plural, info.group), left.len());
        let finalizers = left.iter().flat_map(|object| object.metadata().finalizers.iter().flatten());
        let mut held = false;
        for finalizer in finalizers {
            held = true;
            *self.finalizers.entry(finalizer.clone()).or_default() += 1;
        }
        if grace > 0 {
            self.estimate = self.estimate.max(grace);
        } else if held {
            self.estimate = self.estimate.max(FINALIZER_ESTIMATE);
        } else {
            self.errors.push(format!(
                "unexpected items still remain in namespace: {namespace} for gvr: {}/{}, Resource={}",
                info.group, info.version, info.plural
            ));
        }
    }

    /// The conditions that differ from those of a namespace in which all is well.
    fn conditions(&self) -> BTreeMap<&'static str, (&'static str, String)> {
        let list = |counts: &BTreeMap<String, usize>, verb: &str| -> String {
            let texts: Vec<String> =
                counts.iter().map(|(name, count)| format!("{name} {verb} {count} resource instances")).collect();
            texts.join(", ")
        };
        let mut conditions = BTreeMap::new();
        if !self.errors.is_empty() {
            let mut errors = self.errors.clone();
            errors.order();
            let message =
                format!("Failed to delete all resource types, {} remaining: {}", errors.len(), errors.join(", "));
            conditions.insert(CONTENT_FAILURE, ("ContentDeletionFailed", message));
        }
        if !self.resources.is_empty() {
            let message = format!("Some resources are remaining: {}", list(&self.resources, "has"));
            conditions.insert(CONTENT_REMAINING, ("SomeResourcesRemain", message));
        }
        if !self.finalizers.is_empty() {
            let held = list(&self.finalizers, "in");
            let message = format!("Some content in the namespace has finalizers remaining: {held}");
            conditions.insert(FINALIZERS_REMAINING, ("SomeFinalizersRemain", message));
        }
        conditions
    }
}

/// Sets all conditions and says whether anything changed: `updateConditions`.
fn update_conditions(known: &mut Vec<NamespaceCondition>, rest: &Rest, now: Time) -> bool {
    let news = rest.conditions();
    let mut changed = false;
    for (condition_type, reason, message) in CONDITIONS {
        let (status, reason, message) = match news.get(condition_type) {
            Some((reason, message)) => ("True", *reason, message.clone()),
            None => ("False", reason, message.to_owned()),
        };
        let mut new = NamespaceCondition {
            type_: condition_type.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(now.to_meta()),
        };
        match known.iter_mut().find(|known| known.type_ == condition_type) {
            None => {
                known.push(new);
                changed = true;
            }
            Some(old) => {
                if old.status == new.status {
                    new.last_transition_time.clone_from(&old.last_transition_time);
                }
                changed |= *old != new;
                *old = new;
            }
        }
    }
    changed
}

/// Deletes all objects of a kind in a namespace and returns those that are left.
fn delete_all(kind: Kind, namespace: &str, client: &mut Client<'_>) -> Result<Vec<Object>, ClientError> {
    let target = Target::collection(kind, namespace);
    let options = DeleteOptions::default().propagate(Propagation::Background);
    client.request(target.clone(), Verb::DeleteCollection(options, ListOptions::default()))?;
    list(target, client)
}

fn list(target: Target, client: &mut Client<'_>) -> Result<Vec<Object>, ClientError> {
    match client.request(target, Verb::List(ListOptions::default()))? {
        Response::List(list) => Ok(list.items),
        _ => Ok(Vec::new()),
    }
}

/// The longest time that a namespace's pods are given, in seconds, unless it is over already:
/// `estimateGracefulTermination`.
fn pods_grace(pods: &[Object], deleted_at: Time, now: Time) -> u64 {
    let running = pods.iter().filter_map(|object| match object {
        Object::Pod(pod) if !matches!(phase(pod), "Succeeded" | "Failed") => Some(pod),
        _ => None,
    });
    let seconds = running.filter_map(|pod| pod.spec.as_ref()?.termination_grace_period_seconds);
    let longest = seconds.max().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
    if now.since(deleted_at) >= Duration::from_secs(longest) { 0 } else { longest }
}

/// Deletes what is in a namespace. As long as pods are left, nothing else is touched: they may need it.
fn delete_content(namespace: &Namespace, deleted_at: Time, client: &mut Client<'_>) -> Result<Rest, ClientError> {
    let name = namespace.name();
    let mut rest = Rest::default();
    let pods = list(Target::collection(Kind::Pod, name), client)?;
    let grace = pods_grace(&pods, deleted_at, client.now);
    let left = delete_all(Kind::Pod, name, client)?;
    rest.add(Kind::Pod, name, &left, grace);
    if !left.is_empty() {
        return Ok(rest);
    }
    let is_kept = |kind: &Kind| kind.info().namespaced && kind.is_stored() && !matches!(kind, Kind::Pod);
    let custom = client.custom_kinds();
    for kind in Kind::ALL.iter().copied().chain(custom).filter(is_kept) {
        match delete_all(kind, name, client) {
            Ok(left) => rest.add(kind, name, &left, 0),
            Err(ClientError::Api(status)) => rest.errors.push(status.message().to_owned()),
            Err(error) => return Err(error),
        }
    }
    Ok(rest)
}

/// Takes the controller's finalizer away, with which the namespace goes: `finalizeNamespace`.
fn finalize(namespace: &Namespace, client: &mut Client<'_>) -> Result<(), ClientError> {
    client.because(Why::new("Nothing is left in namespace {}.", [namespace.name().to_owned()]));
    let mut finalized = namespace.clone();
    if let Some(finalizers) = finalized.spec.as_mut().and_then(|spec| spec.finalizers.as_mut()) {
        finalizers.retain(|finalizer| finalizer != FINALIZER);
    }
    let target = Target::object(Kind::Namespace, &namespace.key()).below(Subresource::Finalize);
    let verb = Verb::Update { body: Body::Object(Object::from(finalized)), options: WriteOptions::default() };
    match client.request(target, verb) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

impl Controller for NamespaceController {
    fn name(&self) -> &'static str {
        "namespace-controller"
    }

    /// `--concurrent-namespace-syncs`.
    fn workers(&self) -> usize {
        10
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Namespace)]
    }

    fn rate_factors(&self) -> (u32, u32) {
        // It asks for every kind, again and again.
        (20, 100)
    }

    fn backoff(&self) -> (Duration, Duration) {
        (WorkQueue::BACKOFF_MIN, BACKOFF_MAX)
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if event.after::<Namespace>().is_some_and(|namespace| namespace.is_deleting()) {
            queue.add_after(event.key.clone(), DELETION_GRACE_PERIOD);
        }
    }

    fn sync(&mut self, key: &QueueKey, _listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        client.reserve(2 * (Kind::ALL.len() + client.custom_kinds().len()) + 4)?;
        let namespace = match client.get::<Namespace>(key) {
            Ok(namespace) => namespace,
            Err(error) if error.is_not_found() => return Ok(Requeue::Forget),
            Err(error) => return Err(error),
        };
        let Some(deleted_at) = namespace.metadata.deletion_timestamp.as_ref().map(Time::from) else {
            return Ok(Requeue::Forget);
        };
        if namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref()).is_none_or(Vec::is_empty) {
            return Ok(Requeue::Forget);
        }
        client.because(Why::new("Namespace {} is being deleted with all that is in it.", [key.name.to_string()]));
        let rest = delete_content(&namespace, deleted_at, client)?;
        let mut told = (*namespace).clone();
        let conditions = told.status.get_or_insert_default().conditions.get_or_insert_default();
        let mut current = namespace;
        if update_conditions(conditions, &rest, client.now) {
            client.because(Why::new("Namespace {} tells what is left in it.", [key.name.to_string()]));
            // Upstream only logs a failure here.
            if let Ok(updated) = client.update_status(told) {
                current = updated;
            }
        }
        if !rest.errors.is_empty() {
            return Ok(Requeue::RateLimited);
        }
        if rest.estimate > 0 {
            return Ok(Requeue::After(Duration::from_secs(rest.estimate / 2 + 1)));
        }
        finalize(&current, client).map(|()| Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn conditions_say_what_is_left() {
        let held: Object = Object::from_value(
            Kind::ConfigMap,
            &json!({ "metadata": { "name": "held", "finalizers": ["example.com/a"] } }),
        )
        .expect("it is a ConfigMap");
        let pod = Object::from_value(Kind::Pod, &json!({ "metadata": { "name": "p" } })).expect("it is a Pod");
        let mut rest = Rest::default();
        rest.add(Kind::ConfigMap, "n", &[held], 0);
        assert_eq!(rest.estimate, FINALIZER_ESTIMATE);
        rest.add(Kind::Pod, "n", &[pod], 0);
        let mut conditions = Vec::new();
        assert!(update_conditions(&mut conditions, &rest, Time::DEFAULT_START));
        assert!(!update_conditions(&mut conditions, &rest, Time::DEFAULT_START));
        let text: String = conditions
            .iter()
            .map(|known| {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                format!("{} {} {} {}\n", known.type_, known.status, text(&known.reason), text(&known.message))
            })
            .collect();
        expect![[r#"
            NamespaceDeletionDiscoveryFailure False ResourcesDiscovered All resources successfully discovered
            NamespaceDeletionGroupVersionParsingFailure False ParsedGroupVersions All legacy kube types successfully parsed
            NamespaceDeletionContentFailure True ContentDeletionFailed Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: n for gvr: /v1, Resource=pods
            NamespaceContentRemaining True SomeResourcesRemain Some resources are remaining: configmaps. has 1 resource instances, pods. has 1 resource instances
            NamespaceFinalizersRemaining True SomeFinalizersRemain Some content in the namespace has finalizers remaining: example.com/a in 1 resource instances
        "#]]
        .assert_eq(&text);
    }
}
