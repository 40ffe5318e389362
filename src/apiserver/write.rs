//! Create, update and patch.

use serde_json::Value;

use crate::api::{Kind, Object, ObjectKey, Parts, strategy};
use crate::etcd::StoreError;
use crate::machinery::field::{FieldError, Path};
use crate::machinery::quote::plain;
use crate::machinery::status::{Reason, Status};
use crate::machinery::{patch, strict};

use super::admission::Attributes;
use super::{
    ApiServer, Body, Context, FieldValidation, Patch, Response, Target, WriteOptions, admission, decode, managed_fields,
};

/// `OptimisticLockErrorMsg` of `k8s.io/apiserver/pkg/registry/generic/registry`.
const MODIFIED: &str = "the object has been modified; please apply your changes to the latest version and try again";

/// How custom resources can be patched: nobody knows how their lists are merged.
const CUSTOM_PATCHES: &str = "the body of the request was in an unknown format - accepted media types include: \
                              application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";

/// How long the random end of a generated name is.
const NAME_SUFFIX_LENGTH: usize = 5;
/// The longest name that `generateName` makes.
const GENERATED_NAME_BYTES_MAX: usize = 63;

impl ApiServer {
    pub(super) fn create(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Response, Status> {
        let mut object = decode::object(target.kind, body, options.field_validation, &mut context.warnings)?;
        check_namespace(target, &mut object)?;
        strategy::default(&mut object);
        let given = self.note_maker(context, target, &mut object);
        let version = object.metadata().resource_version.as_deref().unwrap_or("");
        let has_version = version.parse::<u64>().is_ok_and(|version| version != 0);
        self.name_object(context, &mut object);
        let attributes =
            Attributes { old: None, subresource: None, dry_run: options.dry_run, deletes: false, connects: None };
        admission::mutate(&self.etcd, context, &mut object, attributes)?;
        prepare_metadata_for_create(context, &mut object);
        strategy::prepare_for_create(&mut object);
        strategy::stamp_new(&mut object, context.now);
        let allocated = self.allocator.allocate(&mut object, None, context.random)?;
        let mut errors = strategy::validate(&object);
        errors.extend(admission::admin_access::check(&self.etcd, &object).into_iter().flatten());
        if !errors.is_empty() {
            return Err(invalid(&object, &errors));
        }
        context.warnings.extend(strategy::warnings(&object, None));
        strategy::canonicalize(&mut object);
        admission::validate(&mut self.etcd, context, &object, attributes)?;
        // It is the store that minds, and a dry run does not come so far.
        if has_version && !options.dry_run {
            return Err(Status::new(Reason::Unknown, "resourceVersion should not be set on objects to be created"));
        }
        let key = object.key();
        if let Some(existing) = self.etcd.get(target.kind, &key) {
            return Err(already_exists(existing));
        }
        context.created = true;
        self.settle_owners(context, given, None, &object);
        if options.dry_run {
            self.show_owners_to_be(context, None, &mut object);
            return Ok(Response::Object(object));
        }
        self.note_address(context.now, None, Some(&object));
        let created = self
            .etcd
            .create(context.now, self.in_storage_version(object)?, context.cause.clone())
            .map_err(|error| store_error(target.kind, &key, &error))?;
        if let Some(allocated) = allocated {
            self.allocator = allocated;
        }
        Ok(Response::Object(created))
    }

    /// Gives an object that only has a `generateName` its name.
    fn name_object(&self, context: &mut Context<'_>, object: &mut Object) {
        let metadata = object.metadata();
        let (None | Some(""), Some(base)) = (metadata.name.as_deref(), metadata.generate_name.clone()) else {
            return;
        };
        if base.is_empty() {
            return;
        }
        let room = GENERATED_NAME_BYTES_MAX - NAME_SUFFIX_LENGTH;
        let cut = base.char_indices().map(|(at, _)| at).take_while(|&at| at <= room).last().unwrap_or(0);
        let base = if base.len() > room { &base[..cut] } else { &base };
        // The generator tries again when a name is taken, as the server does since 1.32.
        for _ in 0..8 {
            let name = format!("{base}{}", context.random.suffix(NAME_SUFFIX_LENGTH));
            let key = ObjectKey::new(object.metadata().namespace.as_deref().unwrap_or(""), name.as_str());
            let taken = self.etcd.get(object.kind(), &key).is_some();
            object.metadata_mut().name = Some(name);
            if !taken {
                return;
            }
        }
    }

    pub(super) fn update(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Response, Status> {
        let mut object = decode::object(target.kind, body, options.field_validation, &mut context.warnings)?;
        check_namespace(target, &mut object)?;
        check_name(target, object.metadata().name.as_deref())?;
        strategy::default(&mut object);
        let existing = self.etcd.get(target.kind, &target.key()).cloned();
        let Some(existing) = existing.map(|existing| existing.in_version(target.kind)) else {
            if allows_create_on_update(target.kind) && target.subresource.is_none() {
                return self.create(context, target, Body::Object(object), options);
            }
            return Err(Self::not_found(target.kind, &target.key()));
        };
        check_conditional(target.kind, &object)?;
        self.replace(context, target, &existing, object, options)
    }

    /// Puts `object` in the place of `existing`: `rest.BeforeUpdate` and what follows it.
    pub(super) fn replace(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        existing: &Object,
        mut object: Object,
        options: &WriteOptions,
    ) -> Result<Response, Status> {
        check_preconditions(target.kind, existing, &object)?;
        let given = self.given_owners(target, Some(existing), &mut object);
        keep_system_metadata(&mut object, existing);
        let asked = (!super::authorization::is_component(&context.user)).then(|| object.clone());
        let (subresource, dry_run) = (context.subresource, options.dry_run);
        let attributes = Attributes { old: Some(existing), subresource, dry_run, deletes: false, connects: None };
        admission::mutate(&self.etcd, context, &mut object, attributes)?;
        strategy::prepare_for_update(&mut object, existing, target.subresource);
        strategy::stamp(&mut object, existing, context.now);
        let mut allocated = None;
        if target.subresource.is_none() {
            allocated = self.allocator.allocate(&mut object, Some(existing), context.random)?;
        }
        let errors = strategy::validate_update(&object, existing, target.subresource);
        if !errors.is_empty() {
            return Err(invalid(&object, &errors));
        }
        if target.subresource.is_none() {
            context.warnings.extend(strategy::warnings(&object, Some(existing)));
        }
        strategy::canonicalize(&mut object);
        object.metadata_mut().resource_version.clone_from(&existing.metadata().resource_version);
        admission::validate(&mut self.etcd, context, &object, attributes)?;
        self.settle_owners(context, given, Some(existing), &object);
        if options.dry_run {
            self.show_owners_to_be(context, Some(existing), &mut object);
            return Ok(Response::Object(object));
        }
        // A write that changes nothing is answered, but makes no revision.
        if &object == existing
            && !context.touches
            && !self.changes_owners(context, existing)
            && !self.claims(context, existing, asked)
        {
            return Ok(Response::Object(object));
        }
        let key = object.key();
        if self.is_done_deleting(&object) {
            let removed = self
                .etcd
                .delete(context.now, existing, context.cause.clone())
                .map_err(|error| store_error(target.kind, &key, &error))?;
            self.allocator.release(&removed);
            self.note_address(context.now, Some(&removed), None);
            return Ok(Response::Object(object));
        }
        self.note_address(context.now, Some(existing), Some(&object));
        let updated = self
            .etcd
            .update(context.now, existing, self.in_storage_version(object)?, context.cause.clone())
            .map_err(|error| store_error(target.kind, &key, &error))?;
        if let Some(allocated) = allocated {
            self.allocator = allocated;
        }
        Ok(Response::Object(updated))
    }

    /// Whether an object under deletion has nothing left to wait for, so that this update removes it.
    fn is_done_deleting(&self, object: &Object) -> bool {
        let metadata = object.metadata();
        metadata.deletion_timestamp.is_some()
            && metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
            && metadata.deletion_grace_period_seconds.unwrap_or(0) == 0
            && !has_namespace_finalizers(object)
    }

    pub(super) fn patch(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        patch: Patch,
        options: &WriteOptions,
    ) -> Result<Response, Status> {
        if let Patch::Apply(config) = patch {
            return self.apply(context, target, &config, options);
        }
        if matches!((&patch, target.kind), (Patch::Strategic(_), Kind::Custom(_))) {
            return Err(Status::new(Reason::UnsupportedMediaType, CUSTOM_PATCHES));
        }
        let existing = self.get(target)?;
        let mut seen = existing.clone();
        context.touches = says_old_version(target.kind, &patch);
        if managed_fields::names_owners(&patch) {
            self.show_owners(&mut seen);
        }
        let mut object = patched_by(context, &seen, patch, options.field_validation)?;
        check_same_uid(&existing, &object)?;
        check_name(target, object.metadata().name.as_deref())?;
        check_namespace(target, &mut object)?;
        strategy::default(&mut object);
        self.replace(context, target, &existing, object, options)
    }
}

/// Whether a patch is written in a version that is not served any more: then somebody manages fields of that version from
/// now on, and so there is something to store.
fn says_old_version(kind: Kind, patch: &Patch) -> bool {
    let Patch::Merge(patch) = patch else { return false };
    patch["apiVersion"].as_str().is_some_and(|version| decode::is_old_version(kind, version))
}

/// What somebody's patch makes of an object.
pub(super) fn patched_by(
    context: &mut Context<'_>,
    existing: &Object,
    patch: Patch,
    validation: FieldValidation,
) -> Result<Object, Status> {
    match patch {
        // A component knows the types, and is spared the copy that is only needed to tell what is wrong.
        Patch::Strategic(merge) if !super::authorization::is_component(&context.user) => {
            patched_by_map(existing, merge, validation, &mut context.warnings)
        }
        patch => patched_object(existing, patch, validation, &mut context.warnings),
    }
}

/// A strategic merge patch of a person's. Upstream makes an object of the patched map without going through JSON
/// (`applyPatchToObject`): what the map says of its kind does not matter, and wrong types are told in other words.
#[inline(never)]
fn patched_by_map(
    existing: &Object,
    mut merge: Value,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Object, Status> {
    let given = merge.clone();
    if let Some(fields) = merge.as_object_mut() {
        fields.shift_remove("apiVersion");
        fields.shift_remove("kind");
    }
    let result = patched_object(existing, Patch::Strategic(merge.clone()), validation, warnings);
    result.map_err(|status| told_of_map(existing, merge, &given, status))
}

/// The refusal of a patched map that fits no object, in the converter's words; any other refusal as it is.
fn told_of_map(existing: &Object, merge: Value, given: &Value, status: Status) -> Status {
    const STRICT: &str = "strict decoding error: ";
    let Some(schema) = existing.kind().schema().filter(|_| status.reason() == Reason::Invalid) else { return status };
    let Ok(whole) = patched(existing.kind(), existing.to_value(), Patch::Strategic(merge)) else { return status };
    let unknown = || status.message().find(STRICT).map(|at| status.message()[at..].to_owned());
    let Some(why) = strict::converter_error(schema, &whole).or_else(unknown) else { return status };
    let error = FieldError::invalid(&Path::new("patch"), plain(given), why);
    Status::invalid("", "", "", &vec![error])
}

/// What a patch makes of an object. Only the part of the object that the patch names goes through JSON.
fn patched_object(
    existing: &Object,
    patch: Patch,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Object, Status> {
    let left = match &patch {
        Patch::Merge(patch) | Patch::Strategic(patch) => Parts::left_by(patch),
        Patch::Json(_) | Patch::Apply(_) => Parts::default(),
    };
    let (value, left) = existing.to_value_without(left);
    let value = patched(existing.kind(), value, patch)?;
    let complete = |value: &mut Value| left.copy(&existing.to_value(), value);
    let mut object = decode::patched(existing.kind(), &value, &complete, validation, warnings)?;
    object.take_over(left, existing);
    Ok(object)
}

/// Applies a patch to an object's JSON.
pub(super) fn patched(kind: Kind, value: Value, patch: Patch) -> Result<Value, Status> {
    let result = match patch {
        Patch::Json(operations) => {
            patch::json::decode(&operations).and_then(|operations| patch::json::apply(value, &operations))
        }
        Patch::Merge(merge) => patch::merge::apply(value, merge),
        Patch::Strategic(merge) => {
            let schema = kind.schema().ok_or_else(|| Status::internal("the kind has no schema"))?;
            patch::strategic::apply(value, merge, schema)
        }
        Patch::Apply(_) => return Err(Status::new(Reason::UnsupportedMediaType, "415: Unsupported Media Type")),
    };
    Ok(result?)
}

pub(super) fn invalid(object: &Object, errors: &crate::machinery::field::ErrorList) -> Status {
    let info = object.kind().info();
    Status::invalid(info.group, info.kind, object.metadata().name.as_deref().unwrap_or(""), errors)
}

fn already_exists(existing: &Object) -> Status {
    let info = existing.kind().info();
    let name = existing.metadata().name.as_deref().unwrap_or("");
    if existing.is_deleting() {
        let message = format!("object is being deleted: {} {name:?} already exists", existing.kind().resource());
        let details = Status::already_exists(info.group, info.plural, name).details().clone();
        return Status::with_details(Reason::AlreadyExists, message, details);
    }
    Status::already_exists(info.group, info.plural, name)
}

pub(super) fn store_error(kind: Kind, key: &ObjectKey, error: &StoreError) -> Status {
    let info = kind.info();
    match error {
        StoreError::NotFound => Status::not_found(info.group, info.plural, &key.name),
        StoreError::AlreadyExists => Status::already_exists(info.group, info.plural, &key.name),
        StoreError::Conflict => Status::conflict(info.group, info.plural, &key.name, MODIFIED),
        StoreError::Compacted | StoreError::Future => Status::expired("The resourceVersion is not available."),
    }
}

/// The object's namespace must be the one of the address; it may be left out.
pub(super) fn check_namespace(target: &Target, object: &mut Object) -> Result<(), Status> {
    let metadata = object.metadata_mut();
    if !target.kind.info().namespaced {
        metadata.namespace = None;
        return Ok(());
    }
    match metadata.namespace.as_deref() {
        None | Some("") => {
            metadata.namespace = Some(target.namespace.to_string());
            Ok(())
        }
        Some(namespace) if namespace == &*target.namespace => Ok(()),
        Some(_) => Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// The object's name must be the one of the address.
pub(super) fn check_name(target: &Target, name: Option<&str>) -> Result<(), Status> {
    match name {
        None | Some("") => Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            target.name
        ))),
        Some(name) if name == &*target.name => Ok(()),
        Some(name) => Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        ))),
    }
}

fn allows_create_on_update(kind: Kind) -> bool {
    matches!(kind, Kind::Service | Kind::Lease | Kind::Event)
}

/// A patch cannot mean another object of the same name, as an update can: it would change the uid.
fn check_same_uid(existing: &Object, object: &Object) -> Result<(), Status> {
    let (old, new) = (existing.uid(), object.uid());
    if new.is_empty() || new == old {
        return Ok(());
    }
    let error = FieldError::invalid(&Path::new("metadata").child("uid"), new, "field is immutable");
    Err(invalid(object, &vec![error]))
}

/// Some kinds are updated only by who says which version of the object it was made of: `AllowUnconditionalUpdate`.
#[inline(never)]
fn check_conditional(kind: Kind, object: &Object) -> Result<(), Status> {
    let metadata = object.metadata();
    let is_said = !matches!(metadata.resource_version.as_deref(), None | Some("" | "0"));
    if is_said || !matches!(kind, Kind::Custom(_) | Kind::CustomResourceDefinition) {
        return Ok(());
    }
    let path = Path::new("metadata").child("resourceVersion");
    let error = FieldError::invalid(&path, 0, "must be specified for an update");
    // Upstream gives the resource in the place of the kind.
    let info = kind.info();
    Err(Status::invalid(info.group, info.plural, metadata.name.as_deref().unwrap_or(""), &vec![error]))
}

fn check_preconditions(kind: Kind, existing: &Object, object: &Object) -> Result<(), Status> {
    let info = kind.info();
    let (old, new) = (existing.metadata(), object.metadata());
    let name = old.name.as_deref().unwrap_or("");
    if let Some(uid) = new.uid.as_deref().filter(|uid| !uid.is_empty())
        && Some(uid) != old.uid.as_deref()
    {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            old.uid.as_deref().unwrap_or("")
        );
        return Err(Status::conflict(info.group, info.plural, name, &why));
    }
    match new.resource_version.as_deref() {
        None | Some("" | "0") => Ok(()),
        version if version == old.resource_version.as_deref() => Ok(()),
        Some(version) if version.parse::<u64>().is_err() => {
            Err(Status::new(Reason::Unknown, format!("strconv.ParseUint: parsing {version:?}: invalid syntax")))
        }
        Some(_) => Err(Status::conflict(info.group, info.plural, name, MODIFIED)),
    }
}

/// What a client cannot change about an object: `rest.BeforeUpdate`.
fn keep_system_metadata(object: &mut Object, existing: &Object) {
    let old = existing.metadata();
    let new = object.metadata_mut();
    new.uid.clone_from(&old.uid);
    new.creation_timestamp.clone_from(&old.creation_timestamp);
    new.deletion_timestamp.clone_from(&old.deletion_timestamp);
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    new.generation = old.generation;
    new.generate_name.clone_from(&old.generate_name);
    drop_empty_collections(new);
}

/// An empty map or list in metadata is stored as none, as protobuf does.
fn drop_empty_collections(metadata: &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) {
    metadata.labels = metadata.labels.take().filter(|labels| !labels.is_empty());
    metadata.annotations = metadata.annotations.take().filter(|annotations| !annotations.is_empty());
    metadata.finalizers = metadata.finalizers.take().filter(|finalizers| !finalizers.is_empty());
    metadata.owner_references = metadata.owner_references.take().filter(|owners| !owners.is_empty());
}

fn prepare_metadata_for_create(context: &mut Context<'_>, object: &mut Object) {
    let now = context.now.to_meta();
    let uid = context.random.uuid();
    let metadata = object.metadata_mut();
    metadata.uid = Some(uid);
    metadata.creation_timestamp = Some(now);
    metadata.deletion_timestamp = None;
    metadata.deletion_grace_period_seconds = None;
    metadata.resource_version = None;
    metadata.self_link = None;
    metadata.generation = None;
    drop_empty_collections(metadata);
}

pub(super) fn has_namespace_finalizers(object: &Object) -> bool {
    match object {
        Object::Namespace(namespace) => namespace
            .spec
            .as_ref()
            .and_then(|spec| spec.finalizers.as_ref())
            .is_some_and(|finalizers| !finalizers.is_empty()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Object {
        let manifest = json!({
            "metadata": { "name": "a", "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "c", "image": "nginx", "ports": [{ "containerPort": 80 }] }] },
            "status": { "phase": "Pending", "conditions": [{ "type": "Ready", "status": "False" }] },
        });
        let mut pod = Object::from_value(Kind::Pod, &manifest).expect("it has the shape of its kind");
        strategy::default(&mut pod);
        pod
    }

    #[test]
    fn a_patch_does_to_a_part_what_it_does_to_the_whole() {
        let existing = pod();
        for merge in [
            json!({}),
            json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }], "message": "yes" } }),
            json!({ "metadata": { "labels": { "app": null, "b": "c" } }, "status": { "phase": "Running" } }),
            json!({ "spec": { "containers": [{ "name": "c", "image": "other" }] } }),
            json!({ "spec": null }),
            json!({ "status": { "unknown": 1 }, "unknown": {} }),
            json!({ "status": { "phase": 1 } }),
            json!({ "metadata": { "labels": { "a": 1 } } }),
            json!({ "kind": "Node" }),
            json!({ "$patch": "replace", "metadata": { "name": "a" } }),
            json!({ "$retainKeys": ["metadata"], "metadata": { "name": "b" } }),
            json!([]),
            json!(null),
        ] {
            for patch in [Patch::Strategic(merge.clone()), Patch::Merge(merge)] {
                for validation in [FieldValidation::Warn, FieldValidation::Strict] {
                    let (mut warnings, mut expected_warnings) = (Vec::new(), Vec::new());
                    let result = patched_object(&existing, patch.clone(), validation, &mut warnings);
                    let expected = patched(Kind::Pod, existing.to_value(), patch.clone()).and_then(|value| {
                        decode::patched(Kind::Pod, &value, &|_| (), validation, &mut expected_warnings)
                    });
                    assert_eq!(result, expected, "{patch:?}");
                    assert_eq!(warnings, expected_warnings, "{patch:?}");
                }
            }
        }
    }

    #[test]
    fn a_map_that_fits_no_object_is_told_as_the_converter_does() {
        let refused = |merge: Value, validation| {
            let refused = patched_by_map(&pod(), merge, validation, &mut Vec::new());
            refused.map(|_| ()).map_err(|status| status.message().to_owned())
        };
        assert_eq!(
            refused(json!({ "status": { "phase": 1 } }), FieldValidation::Warn),
            Err(r#" "" is invalid: patch: Invalid value: "map[status:map[phase:1]]": unrecognized type: string"#
                .to_owned())
        );
        assert_eq!(
            refused(json!({ "spec": { "nosuch": 1 } }), FieldValidation::Strict),
            Err(r#" "" is invalid: patch: Invalid value: "map[spec:map[nosuch:1]]": strict decoding error: unknown field "spec.nosuch""#
                .to_owned())
        );
        assert_eq!(refused(json!({ "kind": "Node", "apiVersion": "x" }), FieldValidation::Warn), Ok(()));
    }

    #[test]
    fn what_a_patch_made_is_shown_as_a_whole() {
        let patch = Patch::Merge(json!({ "status": { "phase": 1 } }));
        let refused = patched_object(&pod(), patch, FieldValidation::Warn, &mut Vec::new());
        let message = refused.expect_err("a phase is a text").message().to_owned();
        let shown = "\\\"name\\\":\\\"c\\\"";
        assert!(message.contains(shown) && message.contains("\\\"phase\\\":1"), "{message}");
        assert!(
            message
                .ends_with("cannot unmarshal number into Go struct field PodStatus.status.phase of type v1.PodPhase"),
            "{message}"
        );
    }
}
