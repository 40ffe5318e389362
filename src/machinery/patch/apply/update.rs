//! What writes do to the owners of fields: `merge.Updater` and the managers that upstream wraps around it.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::compare::{Comparison, compare};
use super::conflict::Conflicts;
use super::fields::to_set;
use super::managed::{Managed, Manager, Operation, Owned};
use super::set::Set;
use super::typed::TypeRef;
use super::validate::{self, TypedError};
use super::{equal, merge, remove};
use crate::machinery::go_json;
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;

/// How many owners by updates an object keeps apart: `DefaultMaxUpdateManagers`.
const UPDATE_MANAGERS_MAX: usize = 10;
/// The owner of what the oldest updates wrote, once there were too many.
const ANCIENT_CHANGES: &str = "ancient-changes";
/// The owner of what was there when an object without owners was applied to.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The applier for whom the server keeps up what client-side apply remembers.
const KUBECTL: &str = "kubectl";
/// Where client-side apply remembers what was applied: `LastAppliedConfigAnnotation`.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// `TotalAnnotationSizeLimitB`.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// What nobody owns: `stripMetaManager`.
static STRIPPED: LazyLock<Set> = LazyLock::new(|| {
    Set::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

/// Keeps account of the owners of a kind's objects, for writes to the object or to what stands below it.
///
/// Objects are in the form of Go's structs: what Go always has is there, if only as null.
#[derive(Clone, Copy, Debug)]
pub struct Updater<'a> {
    /// The type of the objects.
    pub of: TypeRef,
    /// The version of the kind.
    pub api_version: &'a str,
    /// What below the object is written to; empty for itself.
    pub subresource: &'a str,
    /// The fields that such writes leave alone: nobody comes to own them by one.
    pub reset: &'a Set,
    /// An object of the kind that nothing was said of.
    pub empty: &'a Value,
    /// When it is.
    pub now: Time,
}

/// Why something cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError {
    /// Others own what is applied.
    Conflicts(Conflicts),
    /// What is applied is not of the kind's type.
    Typed(Vec<TypedError>),
    /// It cannot be merged.
    Other(String),
}

/// What an apply makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The object; nothing when it is as it was.
    pub object: Option<Value>,
    /// Its owners.
    pub managed: Managed,
}

impl Updater<'_> {
    /// Somebody wrote `after` over `before`, or created it: they own now what they changed.
    pub fn update(&self, before: Option<&Value>, after: &Value, managed: &mut Managed, manager: &str) {
        // Objects whose owners were forgotten are not followed again before somebody applies to them.
        if managed.is_empty() && before.is_some() {
            return;
        }
        let mut comparison = compare(before.unwrap_or(self.empty), after, self.of);
        comparison = comparison.without(self.reset);
        self.drop_other_versions(managed);
        take_away(&comparison, managed, None);
        let set = comparison.written().difference(&STRIPPED);
        if !set.is_empty() {
            let manager = Manager::new(manager, Operation::Update, self.api_version, self.subresource);
            let set = managed.get(&manager).map_or_else(|| set.clone(), |owned| set.union(&owned.set));
            managed.insert(Owned { manager, api_version: self.api_version.into(), time: Some(self.now), set });
        }
        cap(managed);
    }

    /// What becomes of `live` when somebody applies `config`.
    ///
    /// # Errors
    /// When others own what is applied, unless it is forced; or when `config` is not of the kind's type.
    pub fn apply(
        &self,
        live: Option<&Value>,
        config: &Value,
        managed: &Managed,
        manager: &str,
        force: bool,
    ) -> Result<Applied, ApplyError> {
        let errors = validate::validate(config, self.of);
        if !errors.is_empty() {
            return Err(ApplyError::Typed(errors));
        }
        let mut managed = managed.clone();
        if managed.is_empty() && live.is_some() {
            self.update(None, live.unwrap_or(self.empty), &mut managed, BEFORE_FIRST_APPLY);
        }
        let live = live.unwrap_or(self.empty);
        let mut applied = match self.apply_once(live, config, &managed, manager, force) {
            Err(ApplyError::Conflicts(conflicts)) if manager == KUBECTL => {
                // What client-side apply wrote, and nobody changed since, was kubectl's already.
                let Some(allowed) = self.last_applied_set(live) else { return Err(ApplyError::Conflicts(conflicts)) };
                let left = conflicts.without(&allowed);
                if !left.0.is_empty() {
                    return Err(ApplyError::Conflicts(left));
                }
                self.apply_once(live, config, &managed, manager, true)?
            }
            other => other?,
        };
        if manager == KUBECTL {
            remember_applied(&mut applied.object, live, config);
        }
        Ok(applied)
    }

    /// `merge.Updater.Apply`.
    fn apply_once(
        &self,
        live: &Value,
        config: &Value,
        managed: &Managed,
        manager: &str,
        force: bool,
    ) -> Result<Applied, ApplyError> {
        let manager = Manager::new(manager, Operation::Apply, self.api_version, self.subresource);
        let mut managed = managed.clone();
        self.drop_other_versions(&mut managed);
        let merged = merge::merge(live, config, self.of)
            .map_err(|why| ApplyError::Other(format!("failed to merge config: {why}")))?
            .unwrap_or(Value::Null);
        let last = managed.remove(&manager);
        let set = to_set(config, self.of).recursive_difference(self.reset);
        let time = last.as_ref().and_then(|last| last.time);
        let api_version: Arc<str> = self.api_version.into();
        managed.insert(Owned { manager: manager.clone(), api_version, time, set });
        let object = match &last {
            Some(last) => self.prune(&merged, &managed, &last.set),
            None => merged,
        };
        let comparison = compare(live, &object, self.of).without(self.reset);
        let conflicts = conflicts(&comparison, &managed, &manager);
        if !force && !conflicts.0.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
        take_away(&comparison, &mut managed, Some(&manager));
        let object = Some(object).filter(|object| !equal(live, object));
        if let Some(mut owned) = managed.remove(&manager) {
            owned.set = owned.set.difference(&STRIPPED);
            if object.is_some() {
                owned.time = Some(self.now);
            }
            if !owned.set.is_empty() {
                managed.insert(owned);
            }
        }
        Ok(Applied { object, managed })
    }

    /// Removes what the applier applied last time and does not now, unless others own it.
    fn prune(&self, merged: &Value, managed: &Managed, last: &Set) -> Value {
        let named = |set: &Set| set.with_named_fields(self.of);
        let last = named(last);
        let pruned = remove::remove(merged, &last, self.of);
        // What others own comes back …
        let owned = managed.owners().iter().fold(Set::default(), |all, owned| all.union(&owned.set));
        let merged_set = named(&to_set(merged, self.of));
        let kept = named(&to_set(&pruned, self.of)).union(&named(&owned));
        let pruned = remove::remove(merged, &merged_set.difference(&kept), self.of);
        // … and so does what the applier did not own, but would have gone with an item of its own.
        let pruned_set = named(&to_set(&pruned, self.of));
        remove::remove(merged, &merged_set.difference(&pruned_set).intersection(&last), self.of)
    }

    /// There is one version of each kind here: what was written in another is of a version that is not served any more.
    fn drop_other_versions(&self, managed: &mut Managed) {
        managed.retain(|owned| &*owned.api_version == self.api_version);
    }

    /// What client-side apply applied last and is still so.
    fn last_applied_set(&self, live: &Value) -> Option<Set> {
        let text = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
        let last: Value = serde_json::from_str(text).ok()?;
        if last["apiVersion"].as_str() != Some(self.api_version) || !validate::validate(&last, self.of).is_empty() {
            return None;
        }
        let Comparison { removed, modified, added } = compare(&last, live, self.of);
        Some(to_set(&last, self.of).difference(&modified).difference(&added).difference(&removed))
    }
}

/// Which fields others lose by a change.
fn conflicts(comparison: &Comparison, managed: &Managed, manager: &Manager) -> Conflicts {
    let written = comparison.written();
    let mut conflicts = Conflicts::default();
    for owned in managed.owners().iter().filter(|owned| owned.manager != *manager) {
        conflicts.add(&owned.manager, &owned.set.intersection(&written));
    }
    conflicts
}

/// Takes from all owners but one what was changed or removed.
fn take_away(comparison: &Comparison, managed: &mut Managed, except: Option<&Manager>) {
    let changed = comparison.written().union(&comparison.removed);
    for owned in managed.owners_mut() {
        if Some(&owned.manager) != except {
            owned.set = owned.set.difference(&changed);
        }
    }
    managed.retain(|owned| Some(&owned.manager) == except || !owned.set.is_empty());
}

/// Puts the oldest updates together when there are too many: `capManagersManager`.
fn cap(managed: &mut Managed) {
    let mut updaters: Vec<Owned> = managed.owners().iter().filter(|owned| !owned.manager.applies()).cloned().collect();
    let mut count = updaters.len();
    if count <= UPDATE_MANAGERS_MAX {
        return;
    }
    updaters.order_by(|a, b| {
        let seconds = |owned: &Owned| owned.time.map_or(0, Time::as_secs);
        seconds(a).cmp(&seconds(b)).then_with(|| a.manager.cmp(&b.manager))
    });
    let mut first: Option<&Owned> = None;
    for owned in &updaters {
        if count <= UPDATE_MANAGERS_MAX {
            break;
        }
        let Some(oldest) = first else {
            first = Some(owned);
            continue;
        };
        let bucket = Manager::new(ANCIENT_CHANGES, Operation::Update, &owned.api_version, "");
        let held = match managed.get(&bucket) {
            Some(held) => held.set.clone(),
            None => {
                managed.remove(&oldest.manager);
                oldest.set.clone()
            }
        };
        managed.remove(&owned.manager);
        let set = held.union(&owned.set);
        managed.insert(Owned { manager: bucket, api_version: owned.api_version.clone(), time: owned.time, set });
        count -= 1;
    }
}

/// Keeps up what client-side apply remembers, so that there is a way back to it: `lastAppliedUpdater`.
fn remember_applied(object: &mut Option<Value>, live: &Value, config: &Value) {
    let held = object.as_ref().unwrap_or(live)["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or("");
    if held.is_empty() {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove(LAST_APPLIED);
    }
    let text = format!("{}\n", go_json::marshal(&config));
    if held == text {
        return;
    }
    let object = object.get_or_insert_with(|| live.clone());
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return };
    annotations.insert(LAST_APPLIED.to_owned(), text.into());
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if bytes > ANNOTATIONS_BYTES_MAX {
        annotations.shift_remove(LAST_APPLIED);
    }
}
