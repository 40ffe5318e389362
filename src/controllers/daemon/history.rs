//! Which templates a DaemonSet has had.
//!
//! Follows `update.go` (`constructHistory`, `snapshot`, `dedupCurHistories`, `cleanupHistory`).

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::ClientError;
use crate::controllers::claim::{Owner, claim};
use crate::controllers::history::{self, REVISION_LABEL};
use crate::controllers::pod_control::compute_hash;
use crate::etcd::Why;
use crate::machinery::labels::Selector;
use crate::machinery::order::Order as _;
use crate::machinery::status::{Reason, Status};

use super::Control;
use super::pods::by_node;

/// The revisions of a DaemonSet: the one of its template, and all others.
pub(super) struct Histories {
    pub current: Arc<ControllerRevision>,
    pub old: Vec<Arc<ControllerRevision>>,
}

impl Histories {
    /// What tells pods of the current template from others.
    pub(super) fn hash(&self) -> String {
        label(&self.current).unwrap_or_default().to_owned()
    }
}

fn label(revision: &ControllerRevision) -> Option<&str> {
    revision.metadata.labels.as_ref()?.get(REVISION_LABEL).map(String::as_str)
}

impl Control<'_, '_> {
    fn template_patch(&self) -> Value {
        history::patch_of(&self.set.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default())
    }

    /// Sorts the revisions, makes the one of the template if there is none, and numbers it as the newest.
    pub(super) fn construct_history(&mut self, selector: &Selector) -> Result<Histories, ClientError> {
        let set = self.set.clone();
        let candidates = self.listers.claimable::<ControllerRevision>(set.namespace(), set.uid());
        let candidates: Vec<_> = candidates.into_iter().cloned().collect();
        let histories = claim(&*set, selector, candidates.into_iter(), self.client)?;
        let data = self.template_patch();
        let (mut current, mut old) = (Vec::new(), Vec::new());
        for mut revision in histories {
            if label(&revision).is_none() {
                let mut labelled = (*revision).clone();
                let name = revision.name().to_owned();
                labelled.metadata.labels.get_or_insert_default().insert(REVISION_LABEL.to_owned(), name);
                revision = self.update_revision(labelled)?;
            }
            let is_current = history::data_of(&revision) == Some(&data);
            if is_current { current.push(revision) } else { old.push(revision) }
        }
        let number = old.iter().map(|revision| revision.revision).max().unwrap_or(0) + 1;
        let current = match current.len() {
            0 => self.snapshot(data, number)?,
            _ => self.deduplicate(current, selector)?,
        };
        if current.revision < number {
            let mut renumbered = (*current).clone();
            renumbered.revision = number;
            self.update_revision(renumbered)?;
        }
        Ok(Histories { current, old })
    }

    fn update_revision(&mut self, revision: ControllerRevision) -> Result<Arc<ControllerRevision>, ClientError> {
        self.client.because(Why::new(
            "DaemonSet {} went back to the template of revision {}, or marks it as its own.",
            [self.set.name().to_owned(), revision.name().to_owned()],
        ));
        self.client.update(revision)
    }

    /// Stores the template as a revision: `snapshot`.
    fn snapshot(&mut self, data: Value, number: i64) -> Result<Arc<ControllerRevision>, ClientError> {
        let set = self.set.clone();
        let template = set.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
        let collisions = set.status.as_ref().and_then(|status| status.collision_count);
        let hash = compute_hash(&template, collisions);
        let name = format!("{}-{hash}", set.name());
        let mut labels = template.metadata.and_then(|metadata| metadata.labels).unwrap_or_default();
        labels.insert(REVISION_LABEL.to_owned(), hash);
        let revision = history::new_revision(Owner::of(&*set), name.clone(), labels, data.clone(), number);
        self.client.because(Why::new(
            "The pod template of DaemonSet {} is one that no revision has.",
            [set.name().to_owned()],
        ));
        let error = match self.client.create(revision) {
            Err(error) if error.is_already_exists() => error,
            result => return result,
        };
        let existing = self.client.get::<ControllerRevision>(&ObjectKey::new(set.namespace(), name))?;
        if history::data_of(&existing) == Some(&data) {
            return Ok(existing);
        }
        self.count_collision(collisions)?;
        Err(error)
    }

    /// Another template has the hash: the next try has another count in it.
    fn count_collision(&mut self, counted: Option<i32>) -> Result<(), ClientError> {
        let fresh = self.client.get::<DaemonSet>(self.key)?;
        let known = fresh.status.as_ref().and_then(|status| status.collision_count);
        if known != counted {
            let text = format!(
                "found a stale collision count ({}, expected {}) of DaemonSet {:?} while processing; will retry until it is \
                 updated",
                counted.unwrap_or(0),
                known.unwrap_or(0),
                self.set.name()
            );
            return Err(Status::new(Reason::Unknown, text).into());
        }
        let mut changed = (*fresh).clone();
        changed.status.get_or_insert_default().collision_count = Some(known.unwrap_or(0) + 1);
        self.client.because(Why::new(
            "Another revision has the name that DaemonSet {} wanted to give.",
            [self.set.name().to_owned()],
        ));
        self.client.update_status(changed).map(drop)
    }

    /// Keeps the newest of several revisions of one template: `dedupCurHistories`.
    fn deduplicate(
        &mut self,
        mut current: Vec<Arc<ControllerRevision>>,
        selector: &Selector,
    ) -> Result<Arc<ControllerRevision>, ClientError> {
        let newest = current.iter().enumerate().max_by_key(|(place, revision)| (revision.revision, *place));
        let keep = current.remove(newest.map_or(0, |(place, _)| place));
        if current.is_empty() {
            return Ok(keep);
        }
        let set = self.set.clone();
        let hash = label(&keep).unwrap_or_default();
        let candidates = self.listers.claimable::<Pod>(set.namespace(), set.uid());
        let candidates: Vec<_> = candidates.into_iter().cloned().collect();
        for pod in claim(&*set, selector, candidates.into_iter(), self.client)? {
            let own = pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_LABEL));
            if own.map(String::as_str) != Some(hash) {
                self.client.because(Why::new(
                    "DaemonSet {} keeps only so many old revisions, and each template once.",
                    [set.name().to_owned()],
                ));
                let labels = json!({ REVISION_LABEL: hash });
                self.client.patch::<Pod>(&pod.key(), json!({ "metadata": { "labels": labels } }))?;
            }
        }
        for duplicate in current {
            self.delete_revision(&duplicate)?;
        }
        Ok(keep)
    }

    fn delete_revision(&mut self, revision: &ControllerRevision) -> Result<(), ClientError> {
        self.client.because(Why::new(
            "DaemonSet {} keeps only so many old revisions, and each template once.",
            [self.set.name().to_owned()],
        ));
        self.client.delete(Kind::ControllerRevision, &revision.key(), DeleteOptions::default())
    }

    /// Deletes revisions that no pod needs, beyond those that are kept: `cleanupHistory`.
    pub(super) fn clean_up_history(
        &mut self,
        pods: &[Arc<Pod>],
        mut old: Vec<Arc<ControllerRevision>>,
    ) -> Result<(), ClientError> {
        let limit = self.set.spec.as_ref().and_then(|spec| spec.revision_history_limit).unwrap_or(0);
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        if surplus == 0 {
            return Ok(());
        }
        let by_node = by_node(pods, true);
        let lives = |revision: &ControllerRevision| {
            let hash = label(revision).filter(|hash| !hash.is_empty());
            let of_pod =
                |pod: &Arc<Pod>| pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_LABEL).cloned());
            hash.is_some() && by_node.values().flatten().any(|pod| of_pod(pod).as_deref() == hash)
        };
        old.order_by_key(|revision| revision.revision);
        let dead: Vec<_> = old.into_iter().filter(|revision| !lives(revision)).take(surplus).collect();
        dead.iter().try_for_each(|revision| self.delete_revision(revision))
    }
}
