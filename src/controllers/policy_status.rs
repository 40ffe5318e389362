//! Says of a validating admission policy that it was looked at.
//!
//! Watches ValidatingAdmissionPolicies and writes the generation that it saw into their status. Follows
//! `kubernetes/pkg/controller/validatingadmissionpolicystatus`. Not simulated: the check of expressions against the
//! schemas of what they match, so nothing is ever found wrong with them.

use serde_json::{Value, json};

use crate::api::{Kind, Object, Subresource};
use crate::apiserver::{Body, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;

/// The controller of policies' statuses.
#[derive(Clone, Copy, Debug)]
pub struct PolicyStatusController;

/// The policy with a status of its present generation, if it has none yet.
fn with_status(policy: &Object) -> Option<Object> {
    let Object::Unstructured(known) = policy else { return None };
    let generation = known.metadata.generation.unwrap_or(0);
    let observed = known.fields.get("status").and_then(|status| status.get("observedGeneration"));
    if observed.and_then(Value::as_i64) == Some(generation) {
        return None;
    }
    let mut told = (**known).clone();
    told.fields.insert("status".to_owned(), json!({ "observedGeneration": generation, "typeChecking": {} }));
    Some(Object::Unstructured(told.into()))
}

impl Controller for PolicyStatusController {
    fn name(&self) -> &'static str {
        "validatingadmissionpolicy-status-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::ValidatingAdmissionPolicy)]
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if event.after.is_some() {
            queue.add(event.key.clone());
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let known = listers.object(Kind::ValidatingAdmissionPolicy, key);
        let Some(told) = known.and_then(with_status) else { return Ok(Requeue::Forget) };
        client.because(Why::new("The policy {} has changed since its status was written.", [key.name.to_string()]));
        let subresource = Some(Subresource::Status);
        let target = Target { subresource, ..Target::object(Kind::ValidatingAdmissionPolicy, key) };
        let verb = Verb::Update { body: Body::Object(told), options: WriteOptions::default() };
        match client.request(target, verb) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
