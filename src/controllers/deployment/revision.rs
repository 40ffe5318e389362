//! Which set has the Deployment's template, and how revisions are counted.
//!
//! Follows `sync.go` (`getAllReplicaSetsAndSyncRevision`, `getNewReplicaSet`) and `util/deployment_util.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{ObjectKey, Resource, controller_of};
use crate::client::{ClientError, EventType};
use crate::controllers::pod_control::{compute_hash, controller_ref};
use crate::etcd::Why;
use crate::machinery::order::Order as _;

use super::{Rollout, Sets, bounds, progress};

/// Counts a Deployment's templates.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// The earlier numbers of a template that came back.
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// How many pods the Deployment wanted when the set was last scaled.
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// How many pods there might be at most when the set was last scaled.
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// Tells the pods of one template from those of another.
pub(super) const TEMPLATE_HASH: &str = "pod-template-hash";

/// How long the history of revisions may grow: `maxRevHistoryLengthInChars`.
const HISTORY_BYTES_MAX: usize = 2000;

/// Annotations that belong to a Deployment alone: `annotationsToSkip`.
const SKIPPED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// An annotation of a set.
pub(super) fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// An object's revision; 0 when it has none.
pub(super) fn revision(metadata: &ObjectMeta) -> i64 {
    annotation(metadata, REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

fn template(deployment: &Deployment) -> PodTemplateSpec {
    deployment.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default()
}

/// Whether two templates are the same but for the label that tells them apart: `EqualIgnoreHash`.
fn same_template(a: &PodTemplateSpec, b: &PodTemplateSpec) -> bool {
    let strip = |template: &PodTemplateSpec| {
        let mut template = template.clone();
        let metadata = template.metadata.get_or_insert_default();
        if let Some(labels) = &mut metadata.labels {
            labels.remove(TEMPLATE_HASH);
        }
        metadata.labels = metadata.labels.take().filter(|labels| !labels.is_empty());
        metadata.annotations = metadata.annotations.take().filter(|annotations| !annotations.is_empty());
        template
    };
    strip(a) == strip(b)
}

/// The set that has the Deployment's template; the oldest, should there be several: `FindNewReplicaSet`.
fn find_new(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Option<Arc<ReplicaSet>> {
    let wanted = template(deployment);
    let mut sets: Vec<_> = sets.to_vec();
    sets.order_by_key(|set| bounds::creation(set));
    let has_template = |set: &&Arc<ReplicaSet>| {
        set.spec.as_ref().and_then(|spec| spec.template.as_ref()).is_some_and(|own| same_template(own, &wanted))
    };
    sets.iter().find(has_template).cloned()
}

/// Gives a set the Deployment's annotations and the revision: `SetNewReplicaSetAnnotations`. Says whether any changed.
fn set_annotations(deployment: &Deployment, set: &mut ReplicaSet, new_revision: i64, exists: bool) -> bool {
    let mut changed = false;
    let annotations = set.metadata.annotations.get_or_insert_default();
    for (name, value) in deployment.metadata.annotations.iter().flatten() {
        if !SKIPPED.contains(&name.as_str()) && annotations.get(name) != Some(value) {
            annotations.insert(name.clone(), value.clone());
            changed = true;
        }
    }
    let old = annotations.get(REVISION).cloned();
    let old_revision: i64 = old.as_deref().and_then(|old| old.parse().ok()).unwrap_or(0);
    if old_revision < new_revision {
        annotations.insert(REVISION.to_owned(), new_revision.to_string());
        changed = true;
        // A template that comes back gets a new number and remembers its old ones.
        if let Some(old) = old.filter(|old| !old.is_empty() && exists) {
            remember_revision(annotations, &old);
        }
    }
    if !exists {
        changed |= set_replicas_annotations(deployment, annotations);
    }
    changed
}

fn remember_revision(annotations: &mut BTreeMap<String, String>, old: &str) {
    let history = annotations.get(REVISION_HISTORY).cloned().unwrap_or_default();
    let mut revisions: Vec<&str> = history.split(',').filter(|revision| !revision.is_empty()).collect();
    revisions.push(old);
    while revisions.join(",").len() > HISTORY_BYTES_MAX {
        revisions.remove(0);
    }
    let history = revisions.join(",");
    annotations.insert(REVISION_HISTORY.to_owned(), history);
}

/// Writes what the Deployment wants and may have into a set's annotations: `SetReplicasAnnotations`.
pub(super) fn set_replicas_annotations(deployment: &Deployment, annotations: &mut BTreeMap<String, String>) -> bool {
    let wanted = bounds::wanted(deployment);
    let most = wanted.saturating_add(bounds::max_surge(deployment));
    let mut changed = false;
    for (name, value) in [(DESIRED_REPLICAS, wanted), (MAX_REPLICAS, most)] {
        let value = value.to_string();
        if annotations.get(name) != Some(&value) {
            annotations.insert(name.to_owned(), value);
            changed = true;
        }
    }
    changed
}

impl Rollout<'_, '_> {
    /// Sorts the sets into the new one and the old ones, with revisions in order; makes the new one if asked to.
    pub(super) fn sets(&mut self, sets: &[Arc<ReplicaSet>], create: bool) -> Result<Sets, ClientError> {
        let new = find_new(&self.deployment, sets);
        let old: Vec<_> =
            sets.iter().filter(|set| new.as_ref().is_none_or(|new| new.uid() != set.uid())).cloned().collect();
        let revision = old.iter().map(|set| revision(&set.metadata)).max().unwrap_or(0) + 1;
        let new = match new {
            Some(existing) => Some(self.adjust_existing(&existing, revision)?),
            None if create => Some(self.create_new(&old, revision)?),
            None => None,
        };
        Ok(Sets { new, old })
    }

    /// Brings annotations and `minReadySeconds` of the new set up to date.
    fn adjust_existing(&mut self, existing: &Arc<ReplicaSet>, revision: i64) -> Result<Arc<ReplicaSet>, ClientError> {
        let mut set = (**existing).clone();
        let annotated = set_annotations(&self.deployment, &mut set, revision, true);
        let min_ready = self.deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
        let spec = set.spec.get_or_insert_default();
        let same = spec.min_ready_seconds.unwrap_or(0) == min_ready.unwrap_or(0);
        if annotated || !same {
            spec.min_ready_seconds = min_ready;
            self.client.because(Why::new(
                "Deployment {} went back to the template of ReplicaSet {}, or changed how it is described.",
                [self.deployment.name().to_owned(), existing.name().to_owned()],
            ));
            return self.client.update(set);
        }
        let own = annotation(&existing.metadata, REVISION).unwrap_or("").to_owned();
        let mut changed = self.set_revision(&own);
        if progress::deadline(&self.deployment).is_some() && self.condition("Progressing").is_none() {
            let message = format!("Found new replica set {:?}", existing.name());
            self.set_condition("Progressing", "True", "FoundNewReplicaSet", &message);
            changed = true;
        }
        if changed {
            self.write_status("Deployment {} found the ReplicaSet of its template.")?;
        }
        Ok(existing.clone())
    }

    fn set_revision(&mut self, revision: &str) -> bool {
        let annotations = self.deployment.metadata.annotations.get_or_insert_default();
        if annotations.get(REVISION).map(String::as_str) == Some(revision) {
            return false;
        }
        annotations.insert(REVISION.to_owned(), revision.to_owned());
        true
    }

    fn create_new(&mut self, old: &[Arc<ReplicaSet>], revision: i64) -> Result<Arc<ReplicaSet>, ClientError> {
        let set = self.new_set(old, revision);
        let size = bounds::size(&set);
        let name = set.name().to_owned();
        self.client.because(Why::new(
            "The pod template of Deployment {} is one that no ReplicaSet has.",
            [self.deployment.name().to_owned()],
        ));
        let (created, existed) = match self.client.create(set.clone()) {
            Ok(created) => (created, false),
            Err(error) if error.is_already_exists() => (self.resolve_collision(&set, error)?, true),
            Err(error) => return Err(self.report_create_error(&name, error)),
        };
        if !existed && size > 0 {
            let message = format!("Scaled up replica set {} from 0 to {size}", created.name());
            self.client.event(&self.deployment, EventType::Normal, "ScalingReplicaSet", &message);
        }
        let mut changed = self.set_revision(&revision.to_string());
        if !existed && progress::deadline(&self.deployment).is_some() {
            let message = format!("Created new replica set {:?}", created.name());
            self.set_condition("Progressing", "True", "NewReplicaSetCreated", &message);
            changed = true;
        }
        if changed {
            self.write_status("Deployment {} created a ReplicaSet for its template.")?;
        }
        Ok(created)
    }

    fn new_set(&self, old: &[Arc<ReplicaSet>], revision: i64) -> ReplicaSet {
        let deployment = &self.deployment;
        let mut template = template(deployment);
        let collisions = deployment.status.as_ref().and_then(|status| status.collision_count);
        let hash = compute_hash(&template, collisions);
        let metadata = template.metadata.get_or_insert_default();
        metadata.labels.get_or_insert_default().insert(TEMPLATE_HASH.to_owned(), hash.clone());
        let labels = metadata.labels.clone();
        let spec = deployment.spec.as_ref();
        let mut selector = spec.map(|spec| spec.selector.clone()).unwrap_or_default();
        selector.match_labels.get_or_insert_default().insert(TEMPLATE_HASH.to_owned(), hash.clone());
        let mut set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{}-{hash}", deployment.name())),
                namespace: Some(deployment.namespace().to_owned()),
                owner_references: Some(vec![controller_ref(deployment)]),
                labels,
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(bounds::new_size(deployment, old, 0)),
                min_ready_seconds: spec.and_then(|spec| spec.min_ready_seconds),
                selector,
                template: Some(template),
            }),
            status: None,
        };
        set_annotations(deployment, &mut set, revision, false);
        set
    }

    /// A set of that name is there: it is either ours, seen late, or another template has the same hash.
    fn resolve_collision(&mut self, set: &ReplicaSet, error: ClientError) -> Result<Arc<ReplicaSet>, ClientError> {
        let key = ObjectKey::new(set.namespace(), set.name());
        let existing = match self.listers.get::<ReplicaSet>(&key) {
            Some(existing) => existing.clone(),
            None => self.client.get::<ReplicaSet>(&key)?,
        };
        let ours = controller_of(&existing.metadata).is_some_and(|owner| owner.uid == self.deployment.uid());
        let own = existing.spec.as_ref().and_then(|spec| spec.template.as_ref());
        if ours && own.is_some_and(|own| same_template(own, &template(&self.deployment))) {
            return Ok(existing);
        }
        let status = self.deployment.status.get_or_insert_default();
        status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
        self.write_status("Another ReplicaSet has the name that Deployment {} wanted to give.")?;
        Err(error)
    }

    fn report_create_error(&mut self, name: &str, error: ClientError) -> ClientError {
        let terminating = error
            .status()
            .is_some_and(|status| status.details().causes.iter().any(|cause| cause.reason == "NamespaceTerminating"));
        let ClientError::Api(status) = &error else { return error };
        if terminating {
            return error;
        }
        let message = format!("Failed to create new replica set {name:?}: {status}");
        if progress::deadline(&self.deployment).is_some() {
            self.set_condition("Progressing", "False", "ReplicaSetCreateError", &message);
            // The error that is reported counts; a status that could not be written comes with the next try.
            let _ = self.write_status("Deployment {} could not create a ReplicaSet.");
        }
        self.client.event(&self.deployment, EventType::Warning, "ReplicaSetCreateError", &message);
        error
    }
}
