//! The revisioned, multi-version store behind the API server.
//!
//! Follows etcd's data model (`etcd.io/docs/v3.6/learning/data_model`): one counter for the whole store, ranges at any
//! revision that is not compacted, compare-and-swap, and watches from a revision. Beyond etcd, every commit says what
//! caused it: the record that rewinding and explanations read.
//!
//! The store is a persistent value: a clone shares everything with its original.

mod cause;
mod ownership;

use std::ops::Bound;
use std::sync::Arc;

use crate::machinery::persistent::{OrdMap, OrdSet};
use imbl::Vector;
use serde_json::Value;

use crate::api::{Kind, KindMap, Name, Object, ObjectKey};
use crate::machinery::time::Time;

pub use cause::{Cause, Why};
use ownership::Entry;
pub use ownership::{Ownership, Writer};

/// A point in the store's history. The first write makes revision 1.
pub type Revision = u64;

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The revision that the change made.
    pub revision: Revision,
    /// When.
    pub time: Time,
    /// Which object.
    pub key: ObjectKey,
    /// The object before; `None` when it was created.
    pub before: Option<Object>,
    /// The object after; `None` when it was deleted.
    pub after: Option<Object>,
    /// Who wrote, and why.
    pub cause: Cause,
    /// The first of the commits of this object that one writer made in a row, up to this one.
    pub run: Revision,
}

impl Commit {
    /// The object that the change leaves, or the last state of one that it removed.
    ///
    /// # Panics
    /// Never: a commit has at least one of the two.
    #[must_use]
    pub fn object(&self) -> &Object {
        self.after.as_ref().or(self.before.as_ref()).expect("a commit changes an object")
    }

    /// The kind of the object that changed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.object().kind()
    }
}

/// Why the store refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The object is not there.
    NotFound,
    /// The object is there already.
    AlreadyExists,
    /// The object is at another revision than the one compared with.
    Conflict,
    /// The revision is older than what is kept.
    Compacted,
    /// The revision has not happened yet.
    Future,
}

/// The store.
#[derive(Clone, Debug)]
pub struct Etcd {
    revision: Revision,
    compacted: Revision,
    objects: KindMap<OrdMap<ObjectKey, Object>>,
    /// The namespaces that there ever were objects in.
    namespaces: OrdSet<Name>,
    /// Shared with the watch events that are on their way, which may be slower than the log forgets.
    log: Vector<Arc<Commit>>,
    /// About how much the objects in the log take: the sum of their [`kibibytes`].
    log_kibibytes: usize,
    /// By kind: who owned which field after the last commit of an object that the log has lost.
    accounts: KindMap<OrdMap<ObjectKey, Entry>>,
}

/// About how much a commit's version of an object takes. It counts as equally much everywhere, since what is forgotten
/// must not depend on the machine.
fn kibibytes(commit: &Commit) -> usize {
    match commit.after.as_ref().or(commit.before.as_ref()) {
        Some(Object::Pod(_)) => 10,
        Some(Object::Deployment(_) | Object::ReplicaSet(_)) => 6,
        Some(Object::Node(_)) => 4,
        Some(Object::Event(_)) => 2,
        Some(Object::ConfigMap(config)) => {
            let texts = config.data.iter().flatten().map(|(_, text)| text.len());
            let bytes = config.binary_data.iter().flatten().map(|(_, bytes)| bytes.0.len());
            1 + texts.chain(bytes).sum::<usize>() / 1024
        }
        Some(Object::Secret(secret)) => {
            1 + secret.data.iter().flatten().map(|(_, bytes)| bytes.0.len()).sum::<usize>() / 1024
        }
        // Definitions may be large, and so may what they declare.
        Some(Object::Unstructured(object))
            if matches!(object.kind, Kind::Custom(_) | Kind::CustomResourceDefinition) =>
        {
            1 + object.fields.values().map(json_bytes).sum::<usize>() / 1024
        }
        _ => 1,
    }
}

/// About how long a value is as JSON.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(json_bytes).sum::<usize>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + json_bytes(value) + 4).sum::<usize>() + 2
        }
        _ => 5,
    }
}

impl Default for Etcd {
    fn default() -> Self {
        Self::new()
    }
}

impl Etcd {
    /// About how much of history is kept for watches and explanations; the oldest goes first. It is enough for some
    /// thirteen thousand writes of pods, or ten times as many renewals of leases.
    pub const HISTORY_KIBIBYTES_MAX: usize = 128 << 10;

    /// An empty store at revision 0.
    #[must_use]
    pub fn new() -> Self {
        Self {
            revision: 0,
            compacted: 0,
            objects: KindMap::default(),
            namespaces: OrdSet::new(),
            log: Vector::new(),
            log_kibibytes: 0,
            accounts: KindMap::default(),
        }
    }

    /// The revision of the newest commit.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The revision up to which history was given up for watches and ranges.
    #[must_use]
    pub const fn compacted(&self) -> Revision {
        self.compacted
    }

    /// The object under `key` now.
    #[must_use]
    pub fn get(&self, kind: Kind, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(kind).get(key)
    }

    /// All objects of a kind now, in the order of their keys; those of one namespace when it is given.
    pub fn range<'a>(
        &'a self,
        kind: Kind,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Object)> + 'a {
        self.range_after(kind, namespace, None)
    }

    /// As [`Self::range`], beginning behind `after`.
    pub fn range_after<'a>(
        &'a self,
        kind: Kind,
        namespace: Option<&'a str>,
        after: Option<ObjectKey>,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Object)> + 'a {
        let start = match (after, namespace) {
            (Some(key), _) => Bound::Excluded(key),
            (None, Some(namespace)) => Bound::Included(ObjectKey::new(namespace, "")),
            (None, None) => Bound::Unbounded,
        };
        self.objects
            .get(kind)
            .range((start, Bound::Unbounded))
            .take_while(move |(key, _)| namespace.is_none_or(|namespace| &*key.namespace == namespace))
    }

    /// The custom kinds of which there are or were objects, by group and name.
    pub fn custom_kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.objects.custom_kinds()
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.objects.get(kind).len()
    }

    /// All objects of a kind as they were at `revision`.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] or [`StoreError::Future`] when that revision cannot be told.
    pub fn at(&self, kind: Kind, revision: Revision) -> Result<OrdMap<ObjectKey, Object>, StoreError> {
        self.check_revision(revision)?;
        Ok(self.rewound(kind, revision))
    }

    /// As [`Self::at`], as far back as the log goes, whether compacted or not.
    #[must_use]
    pub fn kept_at(&self, kind: Kind, revision: Revision) -> Option<OrdMap<ObjectKey, Object>> {
        self.keeps(revision).then(|| self.rewound(kind, revision))
    }

    /// Whether the log has all commits after `revision`.
    #[must_use]
    pub fn keeps(&self, revision: Revision) -> bool {
        let oldest = self.log.front().map_or(self.revision + 1, |commit| commit.revision);
        revision <= self.revision && revision + 1 >= oldest
    }

    fn rewound(&self, kind: Kind, revision: Revision) -> OrdMap<ObjectKey, Object> {
        let mut objects = self.objects.get(kind).clone();
        for commit in self.log.iter().rev().take_while(|commit| commit.revision > revision) {
            if commit.kind() != kind {
                continue;
            }
            match &commit.before {
                Some(before) => objects.insert(commit.key.clone(), before.clone()),
                None => objects.remove(&commit.key),
            };
        }
        objects
    }

    fn check_revision(&self, revision: Revision) -> Result<(), StoreError> {
        if revision > self.revision {
            Err(StoreError::Future)
        } else if revision < self.compacted {
            Err(StoreError::Compacted)
        } else {
            Ok(())
        }
    }

    /// Writes `object`, which must not exist. It gets the new revision as its `resourceVersion`.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`].
    pub fn create(&mut self, time: Time, mut object: Object, cause: Cause) -> Result<Object, StoreError> {
        let mut key = object.key();
        if self.get(object.kind(), &key).is_some() {
            return Err(StoreError::AlreadyExists);
        }
        self.share_namespace(&mut key);
        self.stamp(&mut object);
        self.commit(time, key, None, Some(object.clone()), cause);
        Ok(object)
    }

    /// Writes `object` over the one at `expected`. It gets the new revision as its `resourceVersion`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or [`StoreError::Conflict`] when the stored object is not `expected` any more.
    pub fn update(
        &mut self,
        time: Time,
        expected: &Object,
        mut object: Object,
        cause: Cause,
    ) -> Result<Object, StoreError> {
        let (key, before) = self.compare(&object.key(), expected)?;
        self.stamp(&mut object);
        self.commit(time, key, Some(before), Some(object.clone()), cause);
        Ok(object)
    }

    /// Removes the object at `expected` and returns it with the revision of its removal, as a watch tells it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Conflict`].
    pub fn delete(&mut self, time: Time, expected: &Object, cause: Cause) -> Result<Object, StoreError> {
        let (key, before) = self.compare(&expected.key(), expected)?;
        let mut last = before.clone();
        self.stamp(&mut last);
        self.commit(time, key, Some(before), None, cause);
        Ok(last)
    }

    /// The object of a key, if it is at the revision that is expected, with the key as the store has it.
    fn compare(&self, key: &ObjectKey, expected: &Object) -> Result<(ObjectKey, Object), StoreError> {
        let stored = self.objects.get(expected.kind()).get_key_value(key);
        let (key, before) = stored.ok_or(StoreError::NotFound)?;
        if before.metadata().resource_version == expected.metadata().resource_version {
            Ok((key.clone(), before.clone()))
        } else {
            Err(StoreError::Conflict)
        }
    }

    /// Lets all keys of a namespace share its name: whoever compares them then finds it in one place, which is what
    /// looking up costs in a large store.
    fn share_namespace(&mut self, key: &mut ObjectKey) {
        match self.namespaces.get(&key.namespace) {
            Some(known) => key.namespace = known.clone(),
            None => drop(self.namespaces.insert(key.namespace.clone())),
        }
    }

    fn stamp(&mut self, object: &mut Object) {
        self.revision += 1;
        object.metadata_mut().resource_version = Some(self.revision.to_string());
    }

    fn commit(&mut self, time: Time, key: ObjectKey, before: Option<Object>, after: Option<Object>, cause: Cause) {
        let run = self.run_of(before.as_ref(), &cause).unwrap_or(self.revision);
        let commit = Arc::new(Commit { revision: self.revision, time, key, before, after, cause, run });
        let objects = self.objects.get_mut(commit.kind());
        match &commit.after {
            Some(after) => objects.insert(commit.key.clone(), after.clone()),
            None => objects.remove(&commit.key),
        };
        self.log_kibibytes += kibibytes(&commit);
        self.log.push_back(commit);
        // What was written in this moment has not been told to its watchers yet.
        while self.log_kibibytes > Self::HISTORY_KIBIBYTES_MAX
            && self.log.front().is_some_and(|oldest| oldest.time < time)
            && let Some(oldest) = self.log.pop_front()
        {
            self.log_kibibytes -= kibibytes(&oldest);
            self.compacted = self.compacted.max(oldest.revision);
            self.settle(&oldest);
        }
    }

    /// Gives up history before `revision` for watches and ranges. The commits stay readable through [`Self::commits`].
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when that was done already, [`StoreError::Future`] when it has not happened.
    pub fn compact(&mut self, revision: Revision) -> Result<(), StoreError> {
        self.check_revision(revision)?;
        self.compacted = revision;
        Ok(())
    }

    /// The commits after `revision` for a watch that starts there, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when some of them may be gone.
    pub fn watch(&self, revision: Revision) -> Result<impl Iterator<Item = &Commit>, StoreError> {
        if revision < self.compacted {
            return Err(StoreError::Compacted);
        }
        Ok(self.commits(revision))
    }

    /// The kept commits after `revision`, oldest first, whether compacted or not.
    pub fn commits(&self, revision: Revision) -> impl Iterator<Item = &Commit> {
        self.shared_commits(revision).map(|commit| &**commit)
    }

    /// As [`Self::commits`], for whoever keeps them for longer than the log does.
    pub fn shared_commits(&self, revision: Revision) -> impl Iterator<Item = &Arc<Commit>> {
        let start = self
            .log
            .front()
            .map_or(0, |oldest| usize::try_from((revision + 1).saturating_sub(oldest.revision)).unwrap_or(usize::MAX));
        // By index, since skipping walks over all that came before.
        (start..self.log.len()).filter_map(|index| self.log.get(index))
    }

    /// The commit that made `revision`, while it is kept.
    #[must_use]
    pub fn commit_at(&self, revision: Revision) -> Option<&Commit> {
        let oldest = self.log.front()?.revision;
        self.log.get(usize::try_from(revision.checked_sub(oldest)?).ok()?).map(|commit| &**commit)
    }

    /// All commits of one object, newest first.
    pub fn history<'a>(&'a self, kind: Kind, key: &'a ObjectKey) -> impl Iterator<Item = &'a Commit> + 'a {
        self.log.iter().rev().map(|commit| &**commit).filter(move |commit| commit.kind() == kind && &commit.key == key)
    }

    /// The namespaces that hold an object of `kind`, each once, in order.
    pub fn namespaces(&self, kind: Kind) -> Vec<Name> {
        let mut namespaces: Vec<Name> = self.objects.get(kind).keys().map(|key| key.namespace.clone()).collect();
        namespaces.dedup();
        namespaces
    }
}
