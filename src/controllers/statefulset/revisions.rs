//! Which templates a StatefulSet has had: the one its pods have, the one they are to get, and those before.
//!
//! Follows `stateful_set_control.go` (`getStatefulSetRevisions`, `truncateHistory`) and `controller_history.go`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use serde_json::Value;

use crate::api::{ObjectKey, Resource, controller_of};
use crate::apiserver::DeleteOptions;
use crate::client::ClientError;
use crate::controllers::claim::{Owner, adopt, is_alive};
use crate::controllers::history;
use crate::etcd::Why;
use crate::machinery::labels::Selector;

use super::Control;
use super::identity::{revision_of, template};

/// On a revision, the hash of what it holds: `ControllerRevisionHashLabel`.
const HASH_LABEL: &str = "controller.kubernetes.io/hash";

/// The two revisions that matter to a sync, and how many names were taken already.
pub(super) struct Revisions {
    pub current: Arc<ControllerRevision>,
    pub update: Arc<ControllerRevision>,
    pub collisions: i32,
}

/// How a set's own template compares with the revisions that there are.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It is that of the newest one.
    Newest(usize),
    /// It is that of an older one: the set was rolled back.
    Older(usize),
    /// None has it.
    None,
}

/// Looks for the newest revision that holds `data`.
fn find(revisions: &[Arc<ControllerRevision>], data: &Value) -> Found {
    match revisions.iter().rposition(|revision| history::data_of(revision) == Some(data)) {
        None => Found::None,
        Some(place) if place + 1 == revisions.len() => Found::Newest(place),
        Some(place) => Found::Older(place),
    }
}

impl Control<'_, '_> {
    /// Takes revisions that nobody owns: `adoptOrphanRevisions`.
    pub(super) fn adopt_orphan_revisions(&mut self, selector: &Selector) -> Result<(), ClientError> {
        let owner = Owner::of(&*self.set);
        let orphans: Vec<(ObjectKey, String)> = history::list(owner, selector, self.listers)
            .iter()
            .filter(|revision| controller_of(&revision.metadata).is_none())
            .map(|revision| (revision.key(), revision.uid().to_owned()))
            .collect();
        if orphans.is_empty() || self.set.is_deleting() {
            return Ok(());
        }
        self.client.reserve(2)?;
        if !is_alive(&owner, self.client)? {
            return Ok(());
        }
        for (key, uid) in orphans {
            adopt(&owner, history::KIND, &key, &uid, self.client)?;
        }
        Ok(())
    }

    /// Finds the current and the update revision, which may have to be made: `getStatefulSetRevisions`.
    pub(super) fn revisions(&mut self, known: &[Arc<ControllerRevision>]) -> Result<Revisions, ClientError> {
        let status = self.set.status.as_ref();
        let mut collisions = status.and_then(|status| status.collision_count).unwrap_or(0);
        let current_name = status.and_then(|status| status.current_revision.clone()).unwrap_or_default();
        let data = history::patch_of(&template(&self.set));
        let next = known.last().map_or(1, |last| last.revision + 1);
        let update = match find(known, &data) {
            Found::Newest(place) => known[place].clone(),
            Found::Older(place) => self.renumber(&known[place], next)?,
            Found::None => self.create_revision(data, next, &mut collisions)?,
        };
        let current = known.iter().find(|revision| revision.name() == current_name);
        Ok(Revisions { current: current.unwrap_or(&update).clone(), update, collisions })
    }

    /// A template that comes back gets a new number: `UpdateControllerRevision`.
    fn renumber(
        &mut self,
        revision: &Arc<ControllerRevision>,
        number: i64,
    ) -> Result<Arc<ControllerRevision>, ClientError> {
        let mut changed = (**revision).clone();
        changed.revision = number;
        self.client.because(Why::new(
            "StatefulSet {} went back to the template of revision {}.",
            [self.set.name().to_owned(), revision.name().to_owned()],
        ));
        self.client.update(changed)
    }

    /// Stores a new revision under a name that is free: `CreateControllerRevision`.
    fn create_revision(
        &mut self,
        data: Value,
        number: i64,
        collisions: &mut i32,
    ) -> Result<Arc<ControllerRevision>, ClientError> {
        let metadata = template(&self.set).metadata;
        let mut labels = metadata.and_then(|metadata| metadata.labels).unwrap_or_default();
        labels.insert(HASH_LABEL.to_owned(), history::hash(&data, *collisions));
        loop {
            let name = history::revision_name(self.set.name(), &history::hash(&data, *collisions));
            let key = ObjectKey::new(self.set.namespace(), name.as_str());
            let owner = Owner::of(&*self.set);
            let revision = history::new_revision(owner, name, labels.clone(), data.clone(), number);
            self.client.because(Why::new(
                "The pod template of StatefulSet {} is one that no revision has.",
                [self.set.name().to_owned()],
            ));
            match self.client.create(revision) {
                Err(error) if error.is_already_exists() => {}
                result => return result,
            }
            let existing = self.client.get::<ControllerRevision>(&key)?;
            if history::data_of(&existing) == Some(&data) {
                return Ok(existing);
            }
            *collisions += 1;
        }
    }

    /// The template that a revision's pods are made of: `ApplyRevision`, of which only the template matters.
    pub(super) fn template(&self, revision: &ControllerRevision) -> PodTemplateSpec {
        history::template_of(revision).unwrap_or_else(|| template(&self.set))
    }

    /// Deletes revisions that no pod needs, beyond those that are kept: `truncateHistory`.
    pub(super) fn truncate_history(
        &mut self,
        pods: &[Arc<Pod>],
        known: &[Arc<ControllerRevision>],
        revisions: Option<&Revisions>,
    ) -> Result<(), ClientError> {
        let live = |name: &str| {
            revisions.is_some_and(|live| live.current.name() == name || live.update.name() == name)
                || pods.iter().any(|pod| revision_of(pod) == name)
        };
        let old: Vec<_> = known.iter().filter(|revision| !live(revision.name())).cloned().collect();
        // Below zero, everything is kept.
        let limit = self.set.spec.as_ref().and_then(|spec| spec.revision_history_limit);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let surplus = limit.and_then(|limit| old.len().checked_sub(limit)).unwrap_or(0);
        for revision in old.into_iter().take(surplus) {
            self.client.because(Why::new(
                "StatefulSet {} keeps {} old revisions.",
                [self.set.name().to_owned(), limit.unwrap_or(0).to_string()],
            ));
            self.client.delete(history::KIND, &revision.key(), DeleteOptions::default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_is_new_or_the_newest_or_comes_back() {
        let revision = |data: Value| {
            Arc::new(ControllerRevision { data: Some(RawExtension(data)), ..ControllerRevision::default() })
        };
        let known = [revision(json!({"a": 1})), revision(json!({"a": 2}))];
        assert_eq!(find(&known, &json!({"a": 2})), Found::Newest(1));
        assert_eq!(find(&known, &json!({"a": 1})), Found::Older(0));
        assert_eq!(find(&known, &json!({"a": 3})), Found::None);
        assert_eq!(find(&[], &json!({"a": 3})), Found::None);
    }
}
