//! Deletion: at once, after a grace period, or when the last finalizer is gone.
//!
//! `k8s.io/apiserver/pkg/registry/generic/registry/store.go` and `registry/rest/delete.go`.

use k8s_openapi::api::core::v1::Pod;

use crate::api::scheduling::SYSTEM_CLASSES;
use crate::api::{Kind, Object, ObjectKey};
use crate::machinery::status::Status;
use crate::machinery::time::Time;

use super::admission;
use super::read::Filter;
use super::write::{has_namespace_finalizers, store_error};
use super::{ApiServer, Context, DeleteOptions, ListOptions, Propagation, Response, Target};

/// The finalizer that makes an owner wait for its dependents: `metav1.FinalizerDeleteDependents`.
const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer that lets dependents go first: `metav1.FinalizerOrphanDependents`.
const ORPHAN: &str = "orphan";
/// `deleteOptionWarnings` of `pkg/registry/batch/job/storage`.
const JOB_PODS_PRESERVED: &str = "child pods are preserved by default when jobs are deleted; set \
                                  propagationPolicy=Background to remove them or set propagationPolicy=Orphan to \
                                  suppress this warning";

impl ApiServer {
    pub(super) fn delete(
        &mut self,
        context: &mut Context<'_>,
        key: &ObjectKey,
        kind: Kind,
        options: &DeleteOptions,
    ) -> Result<Response, Status> {
        let existing = self.etcd.get(kind, key).cloned().ok_or_else(|| Self::not_found(kind, key))?;
        check_preconditions(&existing, options)?;
        admission::validate_deletion(&self.etcd, context, &existing, options.dry_run)?;
        if kind == Kind::PriorityClass && SYSTEM_CLASSES.iter().any(|(name, ..)| *name == &*key.name) {
            let why = "this is a system priority class and cannot be deleted";
            return Err(Status::forbidden(kind.info().group, kind.info().plural, &key.name, why));
        }
        if kind == Kind::CustomResourceDefinition && !existing.is_deleting() {
            return self.delete_definition(context, &existing, options.dry_run);
        }
        if kind == Kind::Namespace {
            return self.delete_namespace(context, &existing, options);
        }
        if kind == Kind::Job && options.propagation.is_none() {
            let warning = JOB_PODS_PRESERVED.to_owned();
            if !context.warnings.contains(&warning) {
                context.warnings.push(warning);
            }
        }
        let mut object = existing.clone();
        let propagation = options.propagation.or_else(|| default_propagation(&object));
        let mut changed = set_propagation_finalizers(&mut object, propagation);
        let grace = grace_seconds(&object, options);
        changed |= begin_deletion(&mut object, grace, context.now)?;
        let metadata = object.metadata();
        let waits = metadata.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty())
            || (is_graceful(kind) && metadata.deletion_grace_period_seconds.unwrap_or(0) > 0);
        if options.dry_run {
            return Ok(if waits || is_graceful(kind) { Response::Object(object) } else { success(&object) });
        }
        if waits {
            if !changed {
                return Ok(Response::Object(existing));
            }
            let updated = self
                .etcd
                .update(context.now, &existing, object, context.cause.clone())
                .map_err(|error| store_error(kind, key, &error))?;
            return Ok(Response::Object(updated));
        }
        let removed = self
            .etcd
            .delete(context.now, &existing, context.cause.clone())
            .map_err(|error| store_error(kind, key, &error))?;
        self.allocator.release(&removed);
        self.note_address(context.now, Some(&removed), None);
        Ok(if is_graceful(kind) { Response::Object(removed) } else { success(&removed) })
    }

    /// A namespace is only marked here; the namespace controller empties it and takes its finalizer away.
    fn delete_namespace(
        &mut self,
        context: &mut Context<'_>,
        existing: &Object,
        options: &DeleteOptions,
    ) -> Result<Response, Status> {
        let key = existing.key();
        if matches!(&*key.name, "default" | "kube-system" | "kube-public") {
            return Err(Status::forbidden("", "namespaces", &key.name, "this namespace may not be deleted"));
        }
        let Object::Namespace(namespace) = existing else {
            return Err(Status::internal("the namespace store holds something else"));
        };
        let mut namespace = (**namespace).clone();
        if namespace.metadata.deletion_timestamp.is_none() {
            namespace.metadata.deletion_timestamp = Some(context.now.to_meta());
            namespace.status.get_or_insert_default().phase = Some("Terminating".to_owned());
        }
        let mut object = Object::from(namespace);
        set_propagation_finalizers(&mut object, options.propagation);
        let empty = object.metadata().finalizers.as_ref().is_none_or(Vec::is_empty);
        if options.dry_run {
            return Ok(Response::Object(object));
        }
        let result = if empty && !has_namespace_finalizers(&object) {
            self.etcd.delete(context.now, existing, context.cause.clone())
        } else if &object == existing {
            Ok(object)
        } else {
            self.etcd.update(context.now, existing, object, context.cause.clone())
        };
        result.map(Response::Object).map_err(|error| store_error(Kind::Namespace, &key, &error))
    }

    pub(super) fn delete_collection(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        options: &DeleteOptions,
        list: &ListOptions,
    ) -> Result<Response, Status> {
        let filter = Filter::parse(target, list)?;
        let namespace = Some(&*target.namespace).filter(|namespace| !namespace.is_empty());
        let keys: Vec<ObjectKey> = self
            .etcd
            .range(target.kind, namespace)
            .filter(|(_, object)| filter.selects(object))
            .map(|(key, _)| key.clone())
            .collect();
        let mut items = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(object) = self.etcd.get(target.kind, &key) {
                items.push(object.clone());
            }
            match self.delete(context, &key, target.kind, options) {
                Err(status) if !status.is_not_found() => return Err(status),
                _ => {}
            }
        }
        Ok(Response::List(super::List {
            kind: target.kind,
            items,
            revision: self.etcd.revision(),
            continue_token: String::new(),
            remaining: None,
        }))
    }
}

/// `Status` of success, as a deletion that is done at once is answered.
fn success(removed: &Object) -> Response {
    let info = removed.kind().info();
    let mut details = serde_json::json!({ "name": removed.metadata().name, "kind": info.plural, "uid": removed.uid() });
    if !info.group.is_empty() {
        details["group"] = info.group.into();
    }
    Response::Value(serde_json::json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }))
}

fn check_preconditions(existing: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let info = existing.kind().info();
    let metadata = existing.metadata();
    let name = metadata.name.as_deref().unwrap_or("");
    let conflict = |why: String| Err(Status::conflict(info.group, info.kind, name, &why));
    if let Some(uid) = &options.uid
        && Some(uid) != metadata.uid.as_ref()
    {
        return conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            metadata.uid.as_deref().unwrap_or("")
        ));
    }
    if let Some(version) = &options.resource_version
        && Some(version) != metadata.resource_version.as_ref()
    {
        return conflict(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            metadata.resource_version.as_deref().unwrap_or("")
        ));
    }
    Ok(())
}

/// Whether objects of the kind get time to end by themselves.
const fn is_graceful(kind: Kind) -> bool {
    matches!(kind, Kind::Pod)
}

/// How long the object gets: `podStrategy.CheckGracefulDelete`.
fn grace_seconds(object: &Object, options: &DeleteOptions) -> i64 {
    let Object::Pod(pod) = object else { return 0 };
    let wanted = options
        .grace_period_seconds
        .or_else(|| pod.spec.as_ref()?.termination_grace_period_seconds)
        .unwrap_or(30)
        // A negative period means the shortest one that is graceful.
        .max(if options.grace_period_seconds == Some(0) { 0 } else { i64::MIN });
    let wanted = if wanted < 0 { 1 } else { wanted };
    if needs_no_kubelet(pod) { 0 } else { wanted }
}

/// A pod that no kubelet has seen, or that is over, goes at once.
fn needs_no_kubelet(pod: &Pod) -> bool {
    let unbound = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_none_or(str::is_empty);
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    unbound || matches!(phase, Some("Succeeded" | "Failed"))
}

/// Marks an object as being deleted, or shortens the time it has: `rest.BeforeDelete`. Says whether anything changed.
fn begin_deletion(object: &mut Object, grace: i64, now: Time) -> Result<bool, Status> {
    let metadata = object.metadata_mut();
    let deletion = now + std::time::Duration::from_secs(grace.unsigned_abs());
    match (&metadata.deletion_timestamp, metadata.deletion_grace_period_seconds) {
        (None, _) => {
            metadata.deletion_timestamp = Some(deletion.to_meta());
            metadata.deletion_grace_period_seconds = Some(grace);
            if let Some(generation) = &mut metadata.generation
                && *generation > 0
            {
                *generation += 1;
            }
            Ok(true)
        }
        (Some(earlier), Some(running)) if grace < running => {
            let began = Time::from(earlier) - std::time::Duration::from_secs(running.unsigned_abs());
            let shortened = began + std::time::Duration::from_secs(grace.unsigned_abs());
            metadata.deletion_timestamp = Some(shortened.max(now).to_meta());
            metadata.deletion_grace_period_seconds = Some(grace);
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// What becomes of dependents when nobody says: `DefaultGarbageCollectionPolicy`. The pods of a Job stay, as they did
/// before there was a garbage collector.
fn default_propagation(object: &Object) -> Option<Propagation> {
    let mut finalizers = object.metadata().finalizers.iter().flatten();
    let is_said = finalizers.any(|name| name == FOREGROUND || name == ORPHAN);
    (object.kind() == Kind::Job && !is_said).then_some(Propagation::Orphan)
}

/// Adds or takes away the finalizers that a propagation policy means.
fn set_propagation_finalizers(object: &mut Object, propagation: Option<Propagation>) -> bool {
    let Some(propagation) = propagation else { return false };
    let metadata = object.metadata_mut();
    let before = metadata.finalizers.clone().unwrap_or_default();
    let mut finalizers: Vec<String> =
        before.iter().filter(|name| *name != FOREGROUND && *name != ORPHAN).cloned().collect();
    match propagation {
        Propagation::Orphan => finalizers.push(ORPHAN.to_owned()),
        Propagation::Foreground => finalizers.push(FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    let changed = finalizers != before;
    metadata.finalizers = Some(finalizers).filter(|finalizers| !finalizers.is_empty());
    changed
}
