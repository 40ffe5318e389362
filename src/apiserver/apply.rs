//! Server-side apply.
//!
//! `k8s.io/apiserver/pkg/endpoints/handlers/patch.go` (`applyPatcher`) and
//! `apimachinery/pkg/util/managedfields/internal/{structuredmerge,versioncheck}.go`.

use std::sync::Arc;

use serde_json::Value;

use super::write::{check_name, check_namespace};
use super::{ApiServer, Body, Context, Response, Target, WriteOptions, decode};
use crate::api::{Kind, Name, Object, managed_fields, strategy};
use crate::etcd::Ownership;
use crate::machinery::field::{FieldError, Path};
use crate::machinery::patch::apply::{Applied, ApplyError, Managed, Updater, validate};
use crate::machinery::status::{Reason, Status};

impl ApiServer {
    /// Makes an object as `config` says, as far as it says something, or creates it.
    pub(super) fn apply(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        config: &Value,
        options: &WriteOptions,
    ) -> Result<Response, Status> {
        let manager = manager(options)?;
        check_config(target.kind, config)?;
        let existing = self.etcd.get(target.kind, &target.key()).cloned();
        let existing = existing.map(|existing| existing.in_version(target.kind));
        if existing.is_none() && target.subresource.is_some() {
            return Err(Self::not_found(target.kind, &target.key()));
        }
        let held = existing.as_ref().map_or_else(Managed::default, |existing| self.etcd.managed_fields(existing));
        let applied = merge(context, target, config, existing.as_ref(), &held, &manager, options.force)?;
        let mut object = match (&existing, &applied.object) {
            (Some(existing), None) => existing.clone(),
            (_, object) => read(target.kind, config, object.as_ref())?,
        };
        context.cause.ownership = Ownership::Settled(Arc::new(applied.managed));
        strategy::default(&mut object);
        check_name(target, object.metadata().name.as_deref())?;
        check_namespace(target, &mut object)?;
        match existing {
            Some(existing) => self.replace(context, target, &existing, object, options),
            None => {
                check_uid(target, &object)?;
                object.metadata_mut().resource_version = None;
                self.create(context, target, Body::Object(object), options)
            }
        }
    }
}

/// Who applies: there is no default.
fn manager(options: &WriteOptions) -> Result<Name, Status> {
    options.field_manager.clone().filter(|manager| !manager.is_empty()).ok_or_else(|| {
        let error = FieldError::required(&Path::new("fieldManager"), "is required for apply patch");
        Status::invalid("meta.k8s.io", "PatchOptions", "", &vec![error])
    })
}

/// `schema.GroupVersionKind.String()`.
fn printed(api_version: &str, kind: &str) -> String {
    let separator = if api_version.contains('/') { "" } else { "/" };
    format!("{separator}{api_version}, Kind={kind}")
}

fn check_config(kind: Kind, config: &Value) -> Result<(), Status> {
    let text = |field: &str| config[field].as_str().unwrap_or("");
    let said = (text("apiVersion"), text("kind"));
    if said != (&kind.api_version(), kind.info().kind) {
        return Err(Status::bad_request(format!("invalid object type: {}", printed(said.0, said.1))));
    }
    if config["metadata"]["managedFields"].is_null() {
        return Ok(());
    }
    Err(Status::bad_request("metadata.managedFields must be nil"))
}

fn merge(
    context: &Context<'_>,
    target: &Target,
    config: &Value,
    existing: Option<&Object>,
    held: &Managed,
    manager: &str,
    force: bool,
) -> Result<Applied, Status> {
    let kind = target.kind;
    let live = existing.map(managed_fields::structured);
    let updater = Updater {
        of: managed_fields::type_of(kind),
        api_version: &kind.api_version(),
        subresource: target.subresource.map_or("", crate::api::Subresource::as_str),
        reset: &managed_fields::reset_fields(kind, target.subresource),
        empty: &managed_fields::empty(kind),
        now: context.now,
    };
    updater.apply(live.as_ref(), config, held, manager, force).map_err(|error| match error {
        ApplyError::Conflicts(conflicts) => conflicts.into(),
        ApplyError::Typed(errors) => failed("create typed patch object", config, &validate::text(&errors)),
        ApplyError::Other(why) => Status::new(Reason::Unknown, why),
    })
}

/// `failed to DO (NAMESPACE/NAME; GROUP/VERSION, Kind=KIND): WHY`, which comes without a reason.
fn failed(to: &str, config: &Value, why: &str) -> Status {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let metadata = &config["metadata"];
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    let kind = printed(&text(&config["apiVersion"]), &text(&config["kind"]));
    Status::new(Reason::Unknown, format!("failed to {to} ({namespace}/{name}; {kind}): {why}"))
}

/// The object that was merged, as its type.
fn read(kind: Kind, config: &Value, merged: Option<&Value>) -> Result<Object, Status> {
    let value = merged.unwrap_or(config).clone();
    decode::merged(kind, value).map_err(|why| failed("convert new object", config, &why))
}

fn check_uid(target: &Target, object: &Object) -> Result<(), Status> {
    let uid = object.uid();
    if uid.is_empty() {
        return Ok(());
    }
    let info = target.kind.info();
    let why = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
    Err(Status::conflict(info.group, info.plural, &target.name, &why))
}
