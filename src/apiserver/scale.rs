//! The `scale` subresource of what has replicas.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::{Kind, Object, Unstructured};
use crate::machinery::json::to_value;
use crate::machinery::labels::{Selector, format_label_selector};
use crate::machinery::status::Status;
use crate::machinery::strict::go_kind;
use crate::machinery::structural::nested;

use super::write::{check_name, patched};
use super::{ApiServer, Body, Context, Patch, Response, Target, Verb, WriteOptions};

/// The parts of a workload that a `Scale` shows.
struct Parts {
    wanted: i32,
    actual: i32,
    selector: String,
}

fn parts(object: &Object) -> Result<Parts, Status> {
    match object {
        Object::Deployment(deployment) => {
            let spec = deployment.spec.as_ref();
            Ok(Parts {
                wanted: spec.and_then(|spec| spec.replicas).unwrap_or(0),
                actual: deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or(0),
                selector: format_label_selector(spec.map(|spec| &spec.selector)),
            })
        }
        Object::ReplicaSet(set) => {
            let spec = set.spec.as_ref();
            Ok(Parts {
                wanted: spec.and_then(|spec| spec.replicas).unwrap_or(0),
                actual: set.status.as_ref().map_or(0, |status| status.replicas),
                selector: format_label_selector(spec.map(|spec| &spec.selector)),
            })
        }
        Object::ReplicationController(controller) => {
            let spec = controller.spec.as_ref();
            Ok(Parts {
                wanted: spec.and_then(|spec| spec.replicas).unwrap_or(0),
                actual: controller.status.as_ref().map_or(0, |status| status.replicas),
                selector: spec
                    .and_then(|spec| spec.selector.as_ref())
                    .map_or_else(String::new, |selector| Selector::from_map(selector).to_string()),
            })
        }
        Object::StatefulSet(set) => {
            let spec = set.spec.as_ref();
            Ok(Parts {
                wanted: spec.and_then(|spec| spec.replicas).unwrap_or(0),
                actual: set.status.as_ref().map_or(0, |status| status.replicas),
                selector: format_label_selector(spec.map(|spec| &spec.selector)),
            })
        }
        Object::Unstructured(object) => custom_parts(object),
        _ => Err(Status::method_not_allowed()),
    }
}

/// What a custom resource has where its definition says.
#[inline(never)]
fn custom_parts(object: &Unstructured) -> Result<Parts, Status> {
    let scale = object.kind.custom().and_then(|kind| kind.definition().scale.as_ref());
    let scale = scale.ok_or_else(Status::method_not_allowed)?;
    let found = |path: &str| {
        let (first, rest) = path.trim_start_matches('.').split_once('.')?;
        nested(object.fields.get(first)?, rest)
    };
    let number = |path: &str| found(path).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok());
    let selector = scale.label_selector.as_deref().and_then(found).and_then(Value::as_str);
    Ok(Parts {
        wanted: number(&scale.spec_replicas).unwrap_or(0),
        actual: number(&scale.status_replicas).unwrap_or(0),
        selector: selector.unwrap_or("").to_owned(),
    })
}

/// The scale of a custom resource that says no number cannot be read.
#[inline(never)]
fn check_replicas(object: &Unstructured) -> Result<(), Status> {
    let scale = object.kind.custom().and_then(|kind| kind.definition().scale.as_ref());
    let Some(path) = scale.map(|scale| &scale.spec_replicas) else { return Ok(()) };
    let (first, rest) = path.trim_start_matches('.').split_once('.').unwrap_or((path, ""));
    if object.fields.get(first).and_then(|value| nested(value, rest)).is_some() {
        return Ok(());
    }
    Err(Status::internal(&format!("the spec replicas field {path:?} does not exist")))
}

#[inline(never)]
fn set_custom(object: &mut Unstructured, replicas: i32) {
    let scale = object.kind.custom().and_then(|kind| kind.definition().scale.as_ref());
    let Some(path) = scale.map(|scale| scale.spec_replicas.trim_start_matches('.')) else { return };
    let mut names = path.split('.');
    let Some(first) = names.next() else { return };
    let root = object.fields.entry(first).or_insert_with(|| json!({}));
    let place = names.try_fold(root, |value, name| {
        value.as_object_mut().map(|fields| fields.entry(name).or_insert_with(|| json!({})))
    });
    if let Some(place) = place {
        *place = replicas.into();
    }
}

fn set_wanted(object: &mut Object, replicas: i32) {
    match object {
        Object::Deployment(deployment) => {
            Arc::make_mut(deployment).spec.get_or_insert_default().replicas = Some(replicas);
        }
        Object::ReplicaSet(set) => {
            Arc::make_mut(set).spec.get_or_insert_default().replicas = Some(replicas);
        }
        Object::ReplicationController(controller) => {
            Arc::make_mut(controller).spec.get_or_insert_default().replicas = Some(replicas);
        }
        Object::StatefulSet(set) => {
            Arc::make_mut(set).spec.get_or_insert_default().replicas = Some(replicas);
        }
        Object::Unstructured(object) => set_custom(Arc::make_mut(object), replicas),
        _ => {}
    }
}

/// The object's `autoscaling/v1` Scale.
fn scale_of(object: &Object) -> Result<Value, Status> {
    let parts = parts(object)?;
    let metadata = object.metadata();
    let mut spec = json!({});
    if parts.wanted != 0 {
        spec["replicas"] = parts.wanted.into();
    }
    let mut status = json!({ "replicas": parts.actual });
    if !parts.selector.is_empty() {
        status["selector"] = parts.selector.into();
    }
    Ok(json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "creationTimestamp": to_value(&metadata.creation_timestamp),
        },
        "spec": spec,
        "status": status,
    }))
}

impl ApiServer {
    pub(super) fn scale(&mut self, context: &mut Context<'_>, target: &Target, verb: Verb) -> Result<Response, Status> {
        let object = self.get(target)?;
        if let (Object::Unstructured(object), Verb::Get) = (&object, &verb) {
            check_replicas(object)?;
        }
        let scale = scale_of(&object)?;
        let (wanted, options) = match verb {
            Verb::Get => return Ok(Response::Value(scale)),
            Verb::Update { body: Body::Json(value), options } => {
                check_name(target, value["metadata"]["name"].as_str())?;
                (value, options)
            }
            Verb::Patch { patch, options } => {
                let patched = patch_scale(scale, patch)?;
                read_replicas(&patched).map_err(|why| super::decode::refused_patch(&patched, &why))?;
                (patched, options)
            }
            _ => return Err(Status::method_not_allowed()),
        };
        let updated = self.set_scale(context, target, &object, &wanted, &options)?;
        Ok(Response::Value(scale_of(&updated)?))
    }

    fn set_scale(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        object: &Object,
        wanted: &Value,
        options: &WriteOptions,
    ) -> Result<Object, Status> {
        let replicas = read_replicas(wanted).map_err(|why| {
            Status::bad_request(format!("Scale in version \"v1\" cannot be handled as a Scale: {why}"))
        })?;
        if replicas < 0 {
            let name = target.name.to_string();
            let error = crate::machinery::field::FieldError::invalid(
                &crate::machinery::field::Path::new("spec").child("replicas"),
                replicas,
                "must be greater than or equal to 0",
            );
            return Err(Status::invalid("autoscaling", "Scale", &name, &vec![error]));
        }
        let mut changed = object.clone();
        set_wanted(&mut changed, replicas);
        if let Some(version) = wanted["metadata"]["resourceVersion"].as_str().filter(|version| !version.is_empty()) {
            changed.metadata_mut().resource_version = Some(version.to_owned());
        }
        let target = Target { subresource: None, ..target.clone() };
        match self.replace(context, &target, object, changed, options)? {
            Response::Object(object) => Ok(object),
            _ => Err(Status::internal("an update answered with something else")),
        }
    }
}

/// How many a Scale wants, or why that cannot be read.
fn read_replicas(scale: &Value) -> Result<i32, String> {
    let value = &scale["spec"]["replicas"];
    if value.is_null() {
        return Ok(0);
    }
    value.as_i64().and_then(|replicas| i32::try_from(replicas).ok()).ok_or_else(|| {
        let found = match value {
            Value::Number(number) => format!("number {number}"),
            other => go_kind(other).to_owned(),
        };
        format!("json: cannot unmarshal {found} into Go struct field ScaleSpec.spec.replicas of type int32")
    })
}

/// A Scale has no lists, so a strategic merge is a plain one.
fn patch_scale(scale: Value, patch: Patch) -> Result<Value, Status> {
    let patch = if let Patch::Strategic(merge) = patch { Patch::Merge(merge) } else { patch };
    patched(Kind::Deployment, scale, patch)
}
