//! MutatingAdmissionPolicies change what is written: by a part of the object as it shall be, or by a JSON patch.
//!
//! `k8s.io/apiserver/pkg/admission/plugin/policy/mutating`. Not simulated: a second round over policies whose object
//! another one changed after them (`reinvocationPolicy`).

use serde_json::Value as Json;

use super::{Environment, Matcher, compile_variables, parameters, stored};
use crate::api::{Kind, Object, ObjectKey, managed_fields, strategy};
use crate::apiserver::admission::Attributes;
use crate::apiserver::{Context, decode};
use crate::etcd::Etcd;
use crate::machinery::cel::Value;
use crate::machinery::patch::apply::merge;
use crate::machinery::patch::apply::typed::{Atom, Relation, TypeRef};
use crate::machinery::patch::json;
use crate::machinery::status::{Reason, Status};

/// Lets the policies change an object that is to be written.
pub(in crate::apiserver::admission) fn mutate(
    etcd: &Etcd,
    context: &Context<'_>,
    object: &mut Object,
    attributes: Attributes<'_>,
) -> Result<(), Status> {
    let is_policy = object.kind().info().group == "admissionregistration.k8s.io";
    if is_policy || etcd.count(Kind::MutatingAdmissionPolicyBinding) == 0 {
        return Ok(());
    }
    for (key, policy) in stored(etcd, Kind::MutatingAdmissionPolicy) {
        for (binding_key, binding) in stored(etcd, Kind::MutatingAdmissionPolicyBinding) {
            if binding["policyName"].as_str() != Some(&*key.name) {
                continue;
            }
            let changed = {
                let matcher = Matcher::new(etcd, object, attributes);
                let is_meant = matcher.matches(&policy["matchConstraints"])
                    && (binding["matchResources"].is_null() || matcher.matches(&binding["matchResources"]));
                if !is_meant {
                    continue;
                }
                changed_by(etcd, context, object, attributes, policy, binding)
            };
            match changed {
                Ok(changed) => *object = changed,
                Err(_) if policy["failurePolicy"] == "Ignore" => {}
                Err(why) => return Err(refusal(object, key, binding_key, &why)),
            }
        }
    }
    Ok(())
}

fn refusal(object: &Object, policy: &ObjectKey, binding: &ObjectKey, why: &str) -> Status {
    let told = format!("policy '{}' with binding '{}' denied request: {why}", policy.name, binding.name);
    let plain = crate::apiserver::admission::forbidden(object, &told);
    Status::with_details(Reason::Invalid, plain.message(), plain.details().clone())
}

/// What a policy makes of an object, for each object of parameters that a binding gives it.
fn changed_by(
    etcd: &Etcd,
    context: &Context<'_>,
    object: &Object,
    attributes: Attributes<'_>,
    policy: &Json,
    binding: &Json,
) -> Result<Object, String> {
    let namespace = object.metadata().namespace.clone().unwrap_or_default();
    let parameters =
        parameters(etcd, policy, binding, &namespace).map_err(|why| format!("failed to configure binding: {why}"))?;
    let mut changed = object.clone();
    for parameter in parameters {
        let mut environment = Environment::new(etcd, context, &changed, attributes);
        environment.variables = compile_variables(policy);
        environment.set_parameter(parameter.as_ref());
        if !environment.meets_conditions(policy)? {
            continue;
        }
        for mutation in policy["mutations"].as_array().into_iter().flatten() {
            changed = mutated(&environment, &changed, mutation)?;
            // What comes next sees what was changed before.
            environment.object = Value::from_json(&changed.to_value());
        }
    }
    Ok(changed)
}

fn mutated(environment: &Environment, object: &Object, mutation: &Json) -> Result<Object, String> {
    let text = |field: &str| mutation[field]["expression"].as_str().unwrap_or("").trim().to_owned();
    let (field, is_patch) =
        if mutation["patchType"] == "JSONPatch" { ("jsonPatch", true) } else { ("applyConfiguration", false) };
    let expression = text(field);
    let value = environment
        .evaluate(&expression)
        .map_err(|why| format!("expression '{expression}' resulted in error: {why}"))?
        .to_json();
    let kind = object.kind();
    let result = if is_patch {
        let operations =
            json::decode(&value).map_err(|error| format!("invalid JSONPatch: {}", Status::from(error).message()))?;
        let patched = json::apply(object.to_value(), &operations);
        patched.map_err(|error| format!("JSON Patch: {}", Status::from(error).message()))?
    } else {
        apply(object, &value)?
    };
    let mut result = decode::merged(kind, result)?;
    keep_identity(&mut result, object);
    strategy::default(&mut result);
    Ok(result)
}

/// `ApplyStructuredMergeDiff`: as server-side apply, but nobody comes to own anything.
fn apply(object: &Object, config: &Json) -> Result<Json, String> {
    let kind = object.kind();
    let of = managed_fields::type_of(kind);
    check_parts(config, of, &mut Vec::new())?;
    let mut config = config.clone();
    config["apiVersion"] = kind.api_version().into();
    config["kind"] = kind.info().kind.into();
    let live = managed_fields::structured(object);
    Ok(merge::merge(&live, &config, of)?.unwrap_or(live))
}

/// Lists that are owned whole cannot be changed in part, so a configuration may not speak of them.
fn check_parts(config: &Json, of: TypeRef, path: &mut Vec<String>) -> Result<(), String> {
    let Json::Object(map) = config else { return Ok(()) };
    for (name, value) in map {
        let Some(field) = of.field(name) else { continue };
        path.push(name.clone());
        let is_whole =
            matches!(field.atom(Some(value)), Atom::List(Relation::Atomic, _) | Atom::Map { atomic: true, .. });
        if is_whole {
            return Err(format!("may not mutate atomic arrays, maps or structs: .{}", path.join(".")));
        }
        check_parts(value, field, path)?;
        path.pop();
    }
    Ok(())
}

/// Whatever a policy does, the object stays the one that was asked for.
fn keep_identity(result: &mut Object, object: &Object) {
    let old = object.metadata();
    let metadata = result.metadata_mut();
    metadata.name.clone_from(&old.name);
    metadata.namespace.clone_from(&old.namespace);
    metadata.uid.clone_from(&old.uid);
    metadata.resource_version.clone_from(&old.resource_version);
}
