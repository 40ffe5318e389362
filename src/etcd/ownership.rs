//! Who owns which field of an object, worked out from the log only when somebody asks.
//!
//! Upstream works the owners out at each write and stores them with the object. Here a commit only notes who wrote
//! ([`Ownership`]); the log has every object before and after, which is all it takes to work out `managedFields` later.
//! An apply, which must know the owners to find conflicts, notes what it worked out. When a commit falls out of the log,
//! its part is added to the object's [`Account`].
//!
//! Commits that one owner made one after the other count as one, so that a lease that was renewed a thousand times costs
//! no more than one that was renewed once. A field that an owner changed and changed back in between is therefore not its
//! own by that, where upstream would have it so.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use super::{Cause, Commit, Etcd, Revision};
use crate::api::managed_fields::{self, LeftOut};
use crate::api::{Name, Object, Subresource};
use crate::machinery::json;
use crate::machinery::patch::apply::{Managed, Manager, Operation, Owned, Set, Updater};
use crate::machinery::time::Time;

/// Who owns what a commit changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Ownership {
    /// Whoever owned it before: deletion marks, bindings, and all that the server does by itself.
    #[default]
    Kept,
    /// Whoever wrote it.
    Moved(Writer),
    /// Those who were worked out when it was made.
    Settled(Arc<Managed>),
}

/// Who wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Writer {
    /// The field manager: the one that the client named, or else the client itself.
    pub manager: Name,
    /// What below the object was written to.
    pub subresource: Option<Subresource>,
    /// Of a new object: what its maker left to the server.
    pub left_out: LeftOut,
}

/// The owners of an object after some of its commits.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    managed: Arc<Managed>,
    /// The last commits, if they are of one owner and the next may be too.
    run: Option<Run>,
}

/// An account as it is kept for an object: its owners are a text, a tenth of what the sets of their fields take.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    owners: Option<Arc<str>>,
    run: Option<Run>,
}

impl Entry {
    fn managed(&self) -> Managed {
        let owners = self.owners.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let owners = owners.and_then(|value| json::from_value::<Vec<ManagedFieldsEntry>>(&value).ok());
        owners.and_then(|entries| Managed::decode(&entries).ok()).unwrap_or_default()
    }

    fn set_managed(&mut self, managed: &Managed) {
        self.owners = (!managed.is_empty()).then(|| json::to_value(&managed.encode()).to_string().into());
    }

    fn open(&self) -> Account {
        Account { managed: Arc::new(self.managed()), run: self.run.clone() }
    }

    /// Adds a commit that falls out of the log, as [`Account::add`] does. When no other follows there, the object is left
    /// in peace, and the run is over, unless it is [slight](Run::is_slight): else it would keep an old version of each
    /// object for ever.
    fn add(&mut self, commit: &Commit, is_last: bool) {
        match &commit.cause.ownership {
            Ownership::Kept => self.close(commit.before.as_ref()),
            Ownership::Settled(managed) => {
                self.run = None;
                self.set_managed(managed);
            }
            Ownership::Moved(writer) => {
                if !self.run.as_mut().is_some_and(|run| run.goes_on_with(commit)) {
                    self.close(commit.before.as_ref());
                    self.run = Some(Run::begin(writer, commit));
                }
            }
        }
        if is_last && self.run.as_mut().is_some_and(|run| !run.is_slight()) {
            self.close(commit.after.as_ref());
        }
    }

    fn close(&mut self, after: Option<&Object>) {
        if let (Some(run), Some(after)) = (self.run.take(), after) {
            let mut managed = self.managed();
            run.write(after, &mut managed);
            self.set_managed(&managed);
        }
    }
}

#[derive(Clone, Debug)]
struct Run {
    writer: Writer,
    /// The object before the first of them.
    before: Option<Object>,
    /// When the last of them was.
    time: Time,
}

impl Account {
    /// Adds the object's next commit.
    fn add(&mut self, commit: &Commit) {
        match &commit.cause.ownership {
            Ownership::Kept => self.close(commit.before.as_ref()),
            Ownership::Settled(managed) => *self = Self { managed: managed.clone(), run: None },
            Ownership::Moved(writer) => {
                if self.run.as_mut().is_some_and(|run| run.goes_on_with(commit)) {
                    return;
                }
                self.close(commit.before.as_ref());
                self.run = Some(Run::begin(writer, commit));
            }
        }
    }

    /// Gives the run's writer what it changed. `after` is the object after the run.
    fn close(&mut self, after: Option<&Object>) {
        if let (Some(run), Some(after)) = (self.run.take(), after) {
            run.write(after, Arc::make_mut(&mut self.managed));
        }
    }

    /// The owners, once all commits up to this version of the object are added.
    fn finish(mut self, object: &Object) -> Managed {
        self.close(Some(object));
        Arc::unwrap_or_clone(self.managed)
    }
}

impl Run {
    fn begin(writer: &Writer, commit: &Commit) -> Self {
        Self { writer: writer.clone(), before: commit.before.clone(), time: commit.time }
    }

    /// Whether a commit is one more of the run, which then lasts until it.
    fn goes_on_with(&mut self, commit: &Commit) -> bool {
        let is_of_run = self.before.is_some()
            && matches!(&commit.cause.ownership, Ownership::Moved(writer) if *writer == self.writer);
        if is_of_run {
            self.time = commit.time;
        }
        is_of_run
    }

    /// Whether the run may stay open as long as its object lives. What it has to keep of the version before is then not
    /// much more than the owners' text; and to work that out for each pod of a large cluster takes longer than all else
    /// that the store does.
    fn is_slight(&mut self) -> bool {
        match &mut self.before {
            None | Some(Object::Lease(_)) => true,
            Some(before @ Object::Pod(_)) if self.writer.subresource == Some(Subresource::Status) => {
                *before = managed_fields::without_spec(before);
                true
            }
            Some(_) => false,
        }
    }

    fn write(&self, after: &Object, managed: &mut Managed) {
        let kind = after.kind();
        let part = |object: &Object| match self.writer.subresource {
            // Nothing else can have changed, and the rest of a pod is most of it.
            Some(Subresource::Status) => managed_fields::structured(&managed_fields::without_spec(object)),
            _ => managed_fields::structured(object),
        };
        let before = self.before.as_ref().map(part);
        let value = match &before {
            Some(_) => part(after),
            None => self.writer.left_out.as_made(after),
        };
        let api_version = kind.api_version();
        if self.writer.subresource == Some(Subresource::Scale) {
            let replicas = "/spec/replicas";
            if before.as_ref().and_then(|before| before.pointer(replicas)) != value.pointer(replicas) {
                take_replicas(managed, &self.writer.manager, &api_version);
            }
            return;
        }
        let empty = if before.is_none() { managed_fields::empty(kind) } else { serde_json::Value::Null };
        let updater = Updater {
            of: managed_fields::type_of(kind),
            api_version: &api_version,
            subresource: self.writer.subresource.map_or("", Subresource::as_str),
            reset: &managed_fields::reset_fields(kind, self.writer.subresource),
            empty: &empty,
            now: self.time,
        };
        updater.update(before.as_ref(), &value, managed, &self.writer.manager);
    }
}

/// What a write to the scale does to the owners of its object: `managedfields.ScaleHandler`. Nothing when nobody owned
/// the number of replicas; and, as upstream, without a time.
fn take_replicas(managed: &mut Managed, writer: &str, api_version: &str) {
    let replicas = Set::of_fields(&[&["spec", "replicas"]]);
    let owners: Vec<Owned> =
        managed.owners().iter().filter(|owned| !owned.set.intersection(&replicas).is_empty()).cloned().collect();
    if owners.is_empty() {
        return;
    }
    for mut owned in owners {
        managed.remove(&owned.manager);
        owned.set = owned.set.difference(&replicas);
        if !owned.set.is_empty() {
            managed.insert(owned);
        }
    }
    let manager = Manager::new(writer, Operation::Update, api_version, Subresource::Scale.as_str());
    managed.insert(Owned { manager, api_version: api_version.into(), time: None, set: replicas });
}

impl Etcd {
    /// The owners of an object's fields, at the version that is given.
    ///
    /// Of versions that are older than the log, those of the newest version that is not in it.
    #[must_use]
    pub fn managed_fields(&self, object: &Object) -> Managed {
        self.account(object).finish(object)
    }

    /// The owners after one more commit, which is not made (yet), upon `managed` or else upon those of the object before.
    #[must_use]
    pub fn managed_fields_after(&self, managed: Option<Managed>, commit: &Commit) -> Managed {
        let mut account = match (managed, &commit.before) {
            (Some(managed), _) => Account { managed: Arc::new(managed), run: None },
            (None, Some(before)) => self.account(before),
            (None, None) => Account::default(),
        };
        account.add(commit);
        account.finish(commit.object())
    }

    fn account(&self, object: &Object) -> Account {
        let (kind, key) = (object.kind(), object.key());
        let version = |object: &Object| object.metadata().resource_version.as_ref()?.parse().ok();
        let of_object = |commit: &&Commit| commit.key == key && commit.kind() == kind;
        let mut commits: Vec<&Commit> = Vec::new();
        let mut next = version(object);
        let mut account = loop {
            let Some(commit) = next.and_then(|revision| self.commit_at(revision)).filter(of_object) else {
                break self.accounts.get(kind).get(&key).map(Entry::open).unwrap_or_default();
            };
            commits.push(commit);
            let mut first = commit;
            if commit.run < commit.revision {
                // What lies between is of the same writer. A run that began before the log stands in the account.
                let Some(began) = self.commit_at(commit.run) else {
                    break self.accounts.get(kind).get(&key).map(Entry::open).unwrap_or_default();
                };
                commits.push(began);
                first = began;
            }
            match (&first.cause.ownership, &first.before) {
                (Ownership::Settled(_), _) | (_, None) => break Account::default(),
                (_, Some(before)) => next = version(before),
            }
        };
        commits.into_iter().rev().for_each(|commit| account.add(commit));
        account
    }

    /// The first of the commits that one writer made of an object in a row, of which one more is made now.
    pub(super) fn run_of(&self, before: Option<&Object>, cause: &Cause) -> Option<Revision> {
        let Ownership::Moved(writer) = &cause.ownership else { return None };
        let revision = before?.metadata().resource_version.as_ref()?.parse().ok()?;
        let last = self.commit_at(revision)?;
        let goes_on =
            last.before.is_some() && matches!(&last.cause.ownership, Ownership::Moved(other) if other == writer);
        goes_on.then_some(last.run)
    }

    /// Keeps what a commit that falls out of the log means for the owners of its object, while there is one.
    pub(super) fn settle(&mut self, commit: &Commit) {
        let kind = commit.kind();
        let uid = commit.object().uid();
        let stored = self.get(kind, &commit.key).filter(|object| object.uid() == uid);
        let is_last = stored.zip(commit.after.as_ref()).map(|(stored, after)| stored.ptr_eq(after));
        let accounts = self.accounts.get_mut(kind);
        match is_last {
            None => drop(accounts.remove(&commit.key)),
            Some(is_last) => accounts.entry(commit.key.clone()).or_default().add(commit, is_last),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;
    use crate::api::{Kind, ObjectKey};
    use crate::etcd::Why;

    fn cause(manager: &str) -> Cause {
        let writer = Writer { manager: manager.into(), subresource: None, left_out: LeftOut::default() };
        Cause { ownership: Ownership::Moved(writer), ..Cause::new(manager, Why::default()) }
    }

    fn config(name: &str, data: &[(&str, &str)]) -> Object {
        let mut config = ConfigMap::default();
        config.metadata.name = Some(name.to_owned());
        config.metadata.namespace = Some("default".to_owned());
        config.metadata.uid = Some(format!("uid-of-{name}"));
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        config.data = Some(data.collect::<BTreeMap<_, _>>());
        config.into()
    }

    fn owners(etcd: &Etcd, object: &Object) -> Vec<String> {
        let managed = etcd.managed_fields(object);
        let owners = managed.owners().iter();
        owners
            .map(|owned| {
                let seconds = owned.time.map_or(0, |time| time.since(Time::DEFAULT_START).as_secs());
                format!("{}@{seconds}: {}", owned.manager.name, owned.set.to_value())
            })
            .collect()
    }

    #[test]
    fn owners_are_told_of_any_version_and_outlive_the_log() {
        let mut etcd = Etcd::new();
        let at = |seconds: u64| Time::DEFAULT_START + std::time::Duration::from_secs(seconds);
        let first = etcd.create(at(1), config("a", &[("x", "1")]), cause("one")).expect("it is new");
        let mut last = first.clone();
        for second in 2..6 {
            let value = second.to_string();
            let after = config("a", &[("x", "1"), ("y", &value)]);
            last = etcd.update(at(second), &last, after, cause("two")).expect("it is there");
        }
        let kept = Cause::new("nobody", Why::default());
        last =
            etcd.update(at(6), &last, config("a", &[("x", "1"), ("y", "5"), ("z", "1")]), kept).expect("it is there");
        last = etcd.update(at(7), &last, config("a", &[("x", "2"), ("y", "5"), ("z", "1")]), cause("two")).expect("so");
        let of_first = vec![r#"one@1: {"f:data":{".":{},"f:x":{}}}"#.to_owned()];
        let of_last = vec![r#"one@1: {"f:data":{}}"#.to_owned(), r#"two@7: {"f:data":{"f:x":{},"f:y":{}}}"#.to_owned()];
        assert_eq!(owners(&etcd, &first), of_first);
        assert_eq!(owners(&etcd, &last), of_last);

        let big = "x".repeat(8 << 20);
        let mut other = etcd.create(at(8), config("b", &[("x", "")]), cause("three")).expect("it is new");
        for count in 0..20 {
            let (text, time) = (format!("{count}{big}"), at(9) + std::time::Duration::from_millis(count));
            other = etcd.update(time, &other, config("b", &[("x", &text)]), cause("three")).expect("it is there");
        }
        assert!(etcd.commit_at(7).is_none(), "the log has lost what is older");
        assert_eq!(owners(&etcd, &last), of_last);
        last = etcd.update(at(10), &last, config("a", &[("x", "3"), ("y", "5")]), cause("one")).expect("it is there");
        assert_eq!(
            owners(&etcd, &last),
            [r#"one@10: {"f:data":{".":{},"f:x":{}}}"#, r#"two@7: {"f:data":{"f:y":{}}}"#]
        );
        assert_eq!(etcd.accounts.get(Kind::ConfigMap).iter().count(), 2);
        let key = ObjectKey::new("default", "a");
        assert!(etcd.accounts.get(Kind::ConfigMap).get(&key).is_some());
    }
}
