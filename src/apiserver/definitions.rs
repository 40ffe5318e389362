//! The custom kinds that are served, and what becomes of the CustomResourceDefinitions that declare them.
//!
//! Follows `k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go`, `pkg/registry/
//! customresourcedefinition/etcd.go` and the controllers under `pkg/controller`, which upstream runs within the API server
//! too: they do their work right after the write that they would see.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::apiextensions::CLEANUP_FINALIZER;
use crate::api::apiextensions::conditions::{Condition, Taken, accept_names, approval, is_true};
use crate::api::{CustomKind, Kind, Name, Object, ObjectKey, Subresource, Unstructured};
use crate::etcd::{Cause, Ownership, Revision, Why, Writer};
use crate::machinery::order::Order as _;
use crate::machinery::persistent::OrdMap;
use crate::machinery::random::Random;
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;

use super::{ApiServer, Context, DeleteOptions, ListOptions, Response, Target, User};

/// Who writes what the API server finds out about definitions.
const ACTOR: &str = "kube-apiserver";

/// What is served of the custom kinds, by their resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Served(OrdMap<CustomKind, Arc<Resource>>);

/// A resource that a definition declares.
#[derive(Debug)]
struct Resource {
    /// The versions in which it is served, the preferred one first.
    versions: Vec<CustomKind>,
    /// The version in which it is stored.
    storage: CustomKind,
    /// Whether its definition is being deleted.
    ends: bool,
    /// The webhook that brings objects from one version into another.
    webhook: Option<Value>,
}

impl Resource {
    /// What a definition declares, once its names are accepted.
    fn read(spec: &Value, status: &Value, ends: bool) -> Option<Self> {
        if !is_true(status, "Established") {
            return None;
        }
        let versions = || spec["versions"].as_array().into_iter().flatten();
        let kind = |version: &Value| CustomKind::define(spec, &status["acceptedNames"], version);
        let storage = versions().find(|version| version["storage"] == true).map(kind)?;
        let mut served: Vec<CustomKind> = versions().filter(|version| version["served"] == true).map(kind).collect();
        served.order_by(|a, b| by_maturity(a.info().version, b.info().version));
        Some(Self { versions: served, storage, ends, webhook: super::conversion::webhook(spec) })
    }
}

/// The order of versions, the preferred one first: `version.CompareKubeAwareVersionStrings`.
fn by_maturity(a: &str, b: &str) -> Ordering {
    match (maturity(a), maturity(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// `v2beta1` as stage, major and minor number.
fn maturity(version: &str) -> Option<(u8, u32, u32)> {
    let rest = version.strip_prefix('v')?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let major = rest[..digits].parse().ok()?;
    let (stage, minor) = match &rest[digits..] {
        "" => return Some((2, major, 0)),
        rest if rest.starts_with("beta") => (1, &rest[4..]),
        rest if rest.starts_with("alpha") => (0, &rest[5..]),
        _ => return None,
    };
    Some((stage, major, minor.parse().ok()?))
}

impl Served {
    fn get(&self, kind: CustomKind) -> Option<&Resource> {
        self.0.get(&kind).map(|resource| &**resource)
    }

    /// All versions of all kinds: by group, in it the preferred version first, in that by resource.
    fn versions(&self) -> Vec<CustomKind> {
        let mut versions: Vec<CustomKind> =
            self.0.values().flat_map(|resource| resource.versions.iter().copied()).collect();
        versions.order_by(|a, b| {
            let (a, b) = (a.info(), b.info());
            a.group.cmp(b.group).then_with(|| by_maturity(a.version, b.version)).then_with(|| a.plural.cmp(b.plural))
        });
        versions
    }
}

fn no_such_resource() -> Status {
    Status::new(Reason::NotFound, "the server could not find the requested resource")
}

impl ApiServer {
    /// The custom kinds that are served, each in each of its versions: by group, in it the preferred version first.
    #[must_use]
    pub fn custom_versions(&self) -> Vec<Kind> {
        self.served.versions().into_iter().map(Kind::Custom).collect()
    }

    /// The custom kinds that are served, each in the version that is preferred.
    pub fn custom_kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.served.0.values().filter_map(|resource| resource.versions.first().copied().map(Kind::Custom))
    }

    /// Whether a kind is served, which custom ones are for a while only.
    #[must_use]
    pub fn serves(&self, kind: Kind) -> bool {
        kind.custom().is_none_or(|custom| self.served_kind(custom, false).is_ok())
    }

    /// The kind that a manifest with these two fields means, built in or custom.
    #[must_use]
    pub fn kind_of(&self, api_version: &str, kind: &str) -> Option<Kind> {
        Kind::from_manifest(api_version, kind).or_else(|| {
            let (group, version) = api_version.split_once('/')?;
            self.custom_versions().into_iter().find(|known| {
                let info = known.info();
                (info.group, info.version, info.kind) == (group, version, kind)
            })
        })
    }

    /// What a path below `/api` or `/apis` is about; what follows a `?` is not looked at.
    ///
    /// # Errors
    /// `NotFound` when it leads nowhere.
    pub fn address(&self, path: &str) -> Result<Target, Status> {
        super::address::target_among(path, &|| self.custom_versions())
    }

    /// The kind as it is served now; a client may have an older definition in mind. A component that only knows how the
    /// object was stored speaks of the preferred version.
    #[inline(never)]
    pub(super) fn served_kind(&self, kind: CustomKind, by_component: bool) -> Result<CustomKind, Status> {
        let resource = self.served.get(kind).ok_or_else(no_such_resource)?;
        let version = kind.info().version;
        let asked = resource.versions.iter().find(|known| known.info().version == version);
        let preferred = resource.versions.first().filter(|_| by_component);
        asked.or(preferred).copied().ok_or_else(no_such_resource)
    }

    /// Warns of a version that is deprecated, and lets nothing be created that would be deleted at once.
    #[inline(never)]
    pub(super) fn admit_custom(
        &self,
        kind: CustomKind,
        creates: bool,
        warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        warnings.extend(kind.definition().deprecation.clone());
        if creates && self.served.get(kind).is_some_and(|resource| resource.ends) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Status::new(Reason::MethodNotAllowed, why));
        }
        Ok(())
    }

    /// The object in the version in which it is stored.
    pub(super) fn in_storage_version(&self, object: Object) -> Result<Object, Status> {
        match object.kind() {
            Kind::Custom(kind) => match self.served.get(kind) {
                Some(resource) => {
                    self.check_storage(kind, resource.storage)?;
                    Ok(object.in_version(Kind::Custom(resource.storage)))
                }
                None => Ok(object),
            },
            _ => Ok(object),
        }
    }

    /// How the webhook is reached that converts the objects of a kind, if one does.
    pub(super) fn conversion_webhook(&self, kind: CustomKind) -> Option<&Value> {
        self.served.get(kind)?.webhook.as_ref()
    }

    /// Marks a definition for deletion; its objects go first.
    #[inline(never)]
    pub(super) fn delete_definition(
        &mut self,
        context: &mut Context<'_>,
        existing: &Object,
        dry_run: bool,
    ) -> Result<Response, Status> {
        let mut object = existing.clone();
        let metadata = object.metadata_mut();
        metadata.deletion_timestamp = Some(context.now.to_meta());
        metadata.deletion_grace_period_seconds = Some(0);
        metadata.generation = metadata.generation.map(|generation| generation + 1);
        let finalizers = metadata.finalizers.get_or_insert_default();
        if !finalizers.iter().any(|name| name == CLEANUP_FINALIZER) {
            finalizers.push(CLEANUP_FINALIZER.to_owned());
        }
        let why = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        let terminating = Condition::new("Terminating", true, "InstanceDeletionPending", why);
        change_status(&mut object, |status| terminating.set(status, context.now));
        if dry_run {
            return Ok(Response::Object(object));
        }
        let key = object.key();
        let updated = self.etcd.update(context.now, existing, object, context.cause.clone());
        updated.map(Response::Object).map_err(|error| super::write::store_error(existing.kind(), &key, &error))
    }

    /// Does what follows from the commits after `before` for definitions: names are accepted or freed, kinds are served or
    /// are no more, the objects of a kind go before its definition.
    #[inline(never)]
    pub(super) fn settle_definitions(&mut self, now: Time, random: &mut Random, before: Revision) {
        let mut seen = before;
        // A definition that goes frees names, for which others in its group may wait: each turn takes up what the last one
        // changed, and ends when nothing was.
        while seen < self.etcd.revision() {
            let commits = self.etcd.commits(seen);
            let about = |commit: &crate::etcd::Commit| match commit.kind() {
                Kind::CustomResourceDefinition => Some(commit.key.name.clone()),
                // What becomes of an object matters only to a definition that waits for its end.
                Kind::Custom(kind) => {
                    let resource = self.served.get(kind).filter(|resource| resource.ends);
                    resource.map(|_| Name::from(commit.kind().resource()))
                }
                _ => None,
            };
            let mut names: Vec<Name> = commits.filter_map(about).collect();
            seen = self.etcd.revision();
            names.order();
            names.dedup();
            for name in names {
                self.settle(now, random, &name);
            }
        }
    }

    fn definition(&self, name: &Name) -> Option<Object> {
        self.etcd.get(Kind::CustomResourceDefinition, &ObjectKey::new("", name.clone())).cloned()
    }

    fn settle(&mut self, now: Time, random: &mut Random, name: &Name) {
        if let Some(definition) = self.definition(name) {
            if definition.is_deleting() {
                self.serve(name);
                self.finalize_definition(now, random, &definition);
            } else {
                self.judge_definition(now, &definition);
            }
        }
        self.serve(name);
        let Some((_, group)) = name.split_once('.') else { return };
        for other in self.definitions_of(group) {
            let is_other = other.key().name != *name && !other.is_deleting();
            if is_other && self.judge_definition(now, &other) {
                self.serve(&other.key().name);
            }
        }
    }

    fn definitions_of(&self, group: &str) -> Vec<Object> {
        let all = self.etcd.range(Kind::CustomResourceDefinition, None).map(|(_, object)| object);
        all.filter(|object| part(object, "spec")["group"] == group).cloned().collect()
    }

    /// Serves what a definition declares now, or does not any more.
    fn serve(&mut self, name: &Name) {
        let Some((plural, group)) = name.split_once('.') else { return };
        let declared = self
            .definition(name)
            .and_then(|object| Resource::read(part(&object, "spec"), part(&object, "status"), object.is_deleting()));
        match declared {
            Some(resource) => {
                self.served.0.insert(resource.storage, Arc::new(resource));
            }
            None => {
                let is_it = |kind: &CustomKind| (kind.info().group, kind.info().plural) == (group, plural);
                let gone = self.served.0.keys().copied().find(is_it);
                gone.into_iter().for_each(|kind| drop(self.served.0.remove(&kind)));
            }
        }
    }

    /// Accepts a definition's names, and says so. Returns whether that changed anything.
    fn judge_definition(&mut self, now: Time, definition: &Object) -> bool {
        let (spec, status) = (part(definition, "spec"), part(definition, "status"));
        let mut taken = Taken::default();
        let group = spec["group"].as_str().unwrap_or("");
        for other in self.definitions_of(group) {
            if other.key() != definition.key() {
                taken.add(&part(&other, "status")["acceptedNames"]);
            }
        }
        let mut new = accept_names(spec, status, &taken, now).unwrap_or_else(|| status.clone());
        let annotations = definition.metadata().annotations.as_ref();
        let approved = annotations.and_then(|annotations| annotations.get("api-approved.kubernetes.io"));
        if let Some(condition) = approval(group, approved.map(String::as_str)) {
            condition.set(&mut new, now);
        }
        if new != *status {
            let why = if is_true(&new, "Established") {
                "The API server serves {} from now on."
            } else {
                "The names of {} are in use already."
            };
            self.write_status(now, definition, new, why);
            return true;
        }
        false
    }

    /// Deletes the objects of a definition, and lets it go when there are none.
    fn finalize_definition(&mut self, now: Time, random: &mut Random, definition: &Object) {
        let finalizers = definition.metadata().finalizers.as_ref();
        if !finalizers.is_some_and(|finalizers| finalizers.iter().any(|name| name == CLEANUP_FINALIZER)) {
            return;
        }
        let status = part(definition, "status");
        let mut ended = Condition::new("Terminating", false, "NeverEstablished", "resource was never established");
        let name = definition.key().name;
        let kind = name.split_once('.').and_then(|(plural, group)| {
            let is_it = |kind: &&CustomKind| (kind.info().group, kind.info().plural) == (group, plural);
            self.served.0.keys().find(is_it).copied()
        });
        if let Some(kind) = kind.filter(|_| is_true(status, "Established")) {
            let why = "CustomResource deletion is in progress";
            let begun = Condition::new("Terminating", true, "InstanceDeletionInProgress", why);
            let mut new = status.clone();
            begun.set(&mut new, now);
            if new != *status {
                self.write_status(now, definition, new, "The objects of {} are deleted before it.");
            }
            self.delete_objects(now, random, Kind::Custom(kind));
            if self.etcd.count(Kind::Custom(kind)) > 0 {
                return;
            }
            ended = Condition::new("Terminating", false, "InstanceDeletionCompleted", "removed all instances");
        }
        let Some(current) = self.definition(&name) else { return };
        let mut last = current.clone();
        change_status(&mut last, |status| ended.set(status, now));
        let finalizers = last.metadata_mut().finalizers.take().unwrap_or_default();
        let left: Vec<String> = finalizers.into_iter().filter(|name| name != CLEANUP_FINALIZER).collect();
        let is_free = left.is_empty();
        last.metadata_mut().finalizers = Some(left).filter(|left| !left.is_empty());
        let cause = cause("No object of {} is left.", &name);
        // Nobody else writes in between.
        let _ =
            if is_free { self.etcd.delete(now, &current, cause) } else { self.etcd.update(now, &current, last, cause) };
    }

    fn delete_objects(&mut self, now: Time, random: &mut Random, kind: Kind) {
        let user = User::component(ACTOR, &["system:masters"]);
        let cause = cause("{} is being deleted with all its objects.", &Name::from(kind.resource()));
        let mut context = Context {
            now,
            random,
            user,
            subresource: None,
            cause,
            warnings: Vec::new(),
            created: false,
            touches: false,
        };
        let options = DeleteOptions::default();
        // What cannot be deleted now, waits for its finalizers.
        let _ = self.delete_collection(&mut context, &Target::collection(kind, ""), &options, &ListOptions::default());
    }

    fn write_status(&mut self, now: Time, definition: &Object, status: Value, why: &'static str) {
        let name = definition.key().name;
        let mut object = definition.clone();
        change_status(&mut object, |held| *held = status);
        let mut cause = cause(why, &name);
        cause.ownership = Ownership::Moved(Writer {
            manager: ACTOR.into(),
            subresource: Some(Subresource::Status),
            left_out: Default::default(),
        });
        // Nobody else writes in between.
        let _ = self.etcd.update(now, definition, object, cause);
    }
}

fn cause(why: &'static str, name: &Name) -> Cause {
    Cause::new(ACTOR, Why::new(why, [name.to_string()]))
}

/// A part of a definition, which has no type of its own.
fn part<'a>(definition: &'a Object, name: &str) -> &'a Value {
    match definition {
        Object::Unstructured(definition) => definition.fields.get(name).unwrap_or(&Value::Null),
        _ => &Value::Null,
    }
}

fn change_status(definition: &mut Object, change: impl FnOnce(&mut Value)) {
    if let Object::Unstructured(definition) = definition {
        let definition: &mut Unstructured = Arc::make_mut(definition);
        change(definition.fields.entry("status").or_insert_with(|| json!({})));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_mature_version_is_preferred() {
        let mut versions =
            vec!["v1alpha1", "foo1", "v1", "v11beta2", "v10", "v2", "v10beta3", "foo10", "v3beta1", "v12alpha1"];
        versions.order_by(|a, b| by_maturity(a, b));
        let expected = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v1alpha1", "foo1", "foo10"];
        assert_eq!(versions, expected);
    }
}
