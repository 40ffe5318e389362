//! The subresources of pods that change something: binding, ephemeral containers, resize.
//!
//! `kubernetes/pkg/registry/core/pod/storage`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use serde_json::Value;

use crate::api::{Kind, Object, Resource};
use crate::machinery::field::{FieldError, Path};
use crate::machinery::status::{Details, Reason, Status};

use super::{ApiServer, Body, Context, Patch, Response, Target, Verb, WriteOptions, admission, decode};

impl ApiServer {
    pub(super) fn pod(&self, target: &Target) -> Result<Arc<Pod>, Status> {
        let object = self.get(target)?;
        object.downcast::<Pod>().cloned().ok_or_else(Status::method_not_allowed)
    }

    pub(super) fn bind(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Response, Status> {
        let binding = json(body)?;
        let node = binding["target"]["name"].as_str().unwrap_or("").to_owned();
        let pod = self.pod(target)?;
        check_binding(&pod, &binding, &node)?;
        let labels = admission::labels_of_node(&self.etcd, &node);
        let mut bound = (*pod).clone();
        let spec = bound.spec.get_or_insert_default();
        spec.node_name = Some(node);
        let generation = bound.metadata.generation;
        let status = bound.status.get_or_insert_default();
        status.nominated_node_name = None;
        let conditions = status.conditions.get_or_insert_default();
        set_condition(conditions, "PodScheduled", "True", None, generation, context.now);
        let annotations = binding["metadata"]["annotations"].as_object();
        for (key, value) in annotations.into_iter().flatten() {
            let value = value.as_str().unwrap_or("").to_owned();
            bound.metadata.annotations.get_or_insert_default().insert(key.clone(), value);
        }
        for (key, value) in labels {
            bound.metadata.labels.get_or_insert_default().entry(key).or_insert(value);
        }
        if !options.dry_run {
            self.etcd
                .update(context.now, &Object::Pod(pod.clone()), Object::from(bound), context.cause.clone())
                .map_err(|error| super::write::store_error(Kind::Pod, &pod.key(), &error))?;
        }
        Ok(Response::Value(serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
        })))
    }

    pub(super) fn pod_subresource(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        verb: Verb,
    ) -> Result<Response, Status> {
        let pod = self.pod(target)?;
        let existing = Object::Pod(pod);
        let (mut object, options) = match verb {
            Verb::Get => return Ok(Response::Object(existing)),
            Verb::Update { body, options } => {
                (decode::object(Kind::Pod, body, options.field_validation, &mut context.warnings)?, options)
            }
            Verb::Patch { patch: Patch::Apply(config), options } => {
                return self.apply(context, target, &config, &options);
            }
            Verb::Patch { patch, options } => {
                (super::write::patched_by(context, &existing, patch, options.field_validation)?, options)
            }
            _ => return Err(Status::method_not_allowed()),
        };
        crate::api::strategy::default(&mut object);
        self.replace(context, target, &existing, object, &options)
    }
}

/// The body of a request that is no stored kind.
pub(super) fn json(body: Body) -> Result<Value, Status> {
    match body {
        Body::Json(value) => Ok(value),
        Body::Object(_) => Err(Status::bad_request("the request's body is of another kind")),
    }
}

/// Whether a pod says that it is ready.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn check_binding(pod: &Pod, binding: &Value, node: &str) -> Result<(), Status> {
    let (target, mut errors) = (Path::new("target"), Vec::new());
    let kind = binding["target"]["kind"].as_str().unwrap_or("");
    if !matches!(kind, "" | "Node") {
        errors.push(FieldError::not_supported(&target.child("kind"), kind, &["Node", "<empty>"]).to_string());
    }
    if node.is_empty() {
        errors.push(FieldError::required(&target.child("name"), "").to_string());
    }
    match errors.as_slice() {
        [] => {}
        [error] => return Err(Status::new(Reason::Unknown, error)),
        errors => return Err(Status::new(Reason::Unknown, format!("[{}]", errors.join(", ")))),
    }
    let name = pod.name();
    let conflict = |message: String| {
        let details = Details { name: name.to_owned(), kind: "pods/binding".to_owned(), ..Details::default() };
        Err(Status::with_details(
            Reason::Conflict,
            format!("Operation cannot be fulfilled on pods/binding {name:?}: {message}"),
            details,
        ))
    };
    if let Some(uid) = binding["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty())
        && uid != pod.uid()
    {
        return conflict(format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", pod.uid()));
    }
    if pod.is_deleting() {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let spec = pod.spec.as_ref();
    if let Some(assigned) = spec.and_then(|spec| spec.node_name.as_deref()).filter(|node| !node.is_empty()) {
        return conflict(format!("pod {name} is already assigned to node {assigned:?}"));
    }
    if spec.and_then(|spec| spec.scheduling_gates.as_ref()).is_some_and(|gates| !gates.is_empty()) {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    Ok(())
}

/// Sets a condition; its transition time moves only when its status does.
pub(super) fn set_condition(
    conditions: &mut Vec<PodCondition>,
    condition_type: &str,
    status: &str,
    why: Option<(&str, &str)>,
    generation: Option<i64>,
    now: crate::machinery::time::Time,
) {
    let (reason, message) = why.unzip();
    let mut condition = PodCondition {
        type_: condition_type.to_owned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        message: message.map(str::to_owned),
        last_transition_time: Some(now.to_meta()),
        observed_generation: generation,
        ..PodCondition::default()
    };
    match conditions.iter_mut().find(|known| known.type_ == condition_type) {
        Some(known) => {
            if known.status == condition.status {
                condition.last_transition_time.clone_from(&known.last_transition_time);
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
}
