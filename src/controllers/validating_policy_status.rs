//! Checks the types of ValidatingAdmissionPolicies' expressions against the kinds that they are about, and tells in their
//! status what cannot be right.
//!
//! Guarantees that a policy's `status.observedGeneration` comes to be its generation. Watches ValidatingAdmissionPolicies.
//! Follows `kubernetes/pkg/controller/validatingadmissionpolicystatus` and
//! `k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go`.
//!
//! Not simulated: the types of parameters and variables, which count as any type.

use serde_json::{Value, json};

use crate::api::{Kind, Object, Subresource, Unstructured};
use crate::apiserver::{Patch, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::cel::Program;

/// `maxTypesToCheck`.
const KINDS_MAX: usize = 10;
/// The names that expressions may use.
const DECLARED: [&str; 7] = ["object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables"];

/// The controller of policies' statuses.
#[derive(Clone, Copy, Debug, Default)]
pub struct ValidatingPolicyStatusController;

/// The kinds that a policy names, without those that it means by a star.
fn kinds(spec: &Value) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for rule in spec["matchConstraints"]["resourceRules"].as_array().into_iter().flatten() {
        let has = |field: &str, value: &str| rule[field].as_array().into_iter().flatten().any(|given| given == value);
        let named = Kind::ALL.iter().copied().filter(|kind| {
            let info = kind.info();
            has("apiGroups", info.group) && has("apiVersions", info.version) && has("resources", info.plural)
        });
        kinds.extend(named);
    }
    kinds.sort();
    kinds.dedup();
    kinds.truncate(KINDS_MAX);
    kinds
}

/// What the checker has against an expression, for each of the kinds.
fn warning(expression: &str, kinds: &[Kind]) -> Option<String> {
    let program = Program::compile(expression, &DECLARED).ok()?;
    let messages: Vec<String> = kinds
        .iter()
        .filter_map(|kind| {
            let why = program.check_types(expression, kind.schema()?).err()?;
            let separator = if kind.info().group.is_empty() { "/" } else { "" };
            Some(format!("{separator}{}, Kind={}: {why}\n", kind.api_version(), kind.info().kind))
        })
        .collect();
    (!messages.is_empty()).then(|| messages.join("\n"))
}

/// The status that a policy is to have.
fn status(policy: &Unstructured) -> Value {
    let missing = Value::Null;
    let spec = policy.fields.get("spec").unwrap_or(&missing);
    let kinds = kinds(spec);
    let mut warnings = Vec::new();
    for (index, validation) in spec["validations"].as_array().into_iter().flatten().enumerate() {
        for field in ["expression", "messageExpression"] {
            let expression = validation[field].as_str().unwrap_or("");
            if let Some(warning) = warning(expression, &kinds) {
                let place = format!("spec.validations[{index}].{field}");
                warnings.push(json!({ "fieldRef": place, "warning": warning }));
            }
        }
    }
    let checking = if warnings.is_empty() { json!({}) } else { json!({ "expressionWarnings": warnings }) };
    json!({ "observedGeneration": policy.metadata.generation, "typeChecking": checking })
}

impl Controller for ValidatingPolicyStatusController {
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
        let Some(Object::Unstructured(policy)) = listers.object(Kind::ValidatingAdmissionPolicy, key) else {
            return Ok(Requeue::Forget);
        };
        let observed = policy.fields.get("status").and_then(|status| status["observedGeneration"].as_i64());
        if observed.unwrap_or(0) >= policy.metadata.generation.unwrap_or(0) {
            return Ok(Requeue::Forget);
        }
        let name = policy.metadata.name.clone().unwrap_or_default();
        client.because(Why::new("The types of policy {} are checked.", [name]));
        let target = Target::object(Kind::ValidatingAdmissionPolicy, key).below(Subresource::Status);
        let patch = Patch::Merge(json!({ "status": status(policy) }));
        match client.request(target, Verb::Patch { patch, options: WriteOptions::default() }) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    #[test]
    fn what_cannot_be_right_is_told_for_each_kind() {
        let fields = json!({ "spec": {
            "matchConstraints": { "resourceRules": [
                { "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments", "replicasets"] },
                { "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"] },
            ] },
            "validations": [
                { "expression": "object.spec.replicas < 3" },
                { "expression": "object.spec.paused", "messageExpression": "object.meta" },
            ],
        } });
        let metadata = ObjectMeta { generation: Some(2), ..ObjectMeta::default() };
        let fields = fields.as_object().cloned().unwrap_or_default();
        let found = status(&Unstructured { kind: Kind::ValidatingAdmissionPolicy, metadata, fields });
        assert_eq!(found["observedGeneration"], 2);
        let warnings = found["typeChecking"]["expressionWarnings"].as_array().expect("there are some");
        assert_eq!(warnings.len(), 2);
        assert_eq!(
            warnings[0],
            json!({
                "fieldRef": "spec.validations[1].expression",
                "warning": "apps/v1, Kind=ReplicaSet: ERROR: <input>:1:12: undefined field 'paused'\n | \
                            object.spec.paused\n | ...........^\n",
            })
        );
        let both = warnings[1]["warning"].as_str().unwrap_or("");
        assert!(both.contains("Kind=Deployment") && both.contains("Kind=ReplicaSet"), "{both}");
    }
}
