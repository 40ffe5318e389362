//! Policies in CEL refuse what they do not like, or warn of it.
//!
//! `k8s.io/apiserver/pkg/admission/plugin/policy`. Not simulated: nothing is audited.
//! What is wrong with the types of expressions is told by a controller (`controllers/validating_policy_status.rs`).

mod matching;
mod mutating;
mod webhooks;

use serde_json::{Value as Json, json};

use super::Attributes;
use crate::api::{Kind, Object, ObjectKey};
use crate::apiserver::Context;
use crate::etcd::Etcd;
use crate::machinery::cel::{Program, Value};
use crate::machinery::labels::Selector;
use crate::machinery::status::{Cause, Details, Reason, Status};

use matching::Matcher;
pub(super) use mutating::mutate;
pub(super) use webhooks::call as call_webhooks;
pub(in crate::apiserver) use webhooks::unreachable;

/// The names that expressions may use.
const DECLARED: [&str; 7] = ["object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables"];

/// Why a policy does not like a request.
struct Decision {
    message: String,
    reason: Reason,
}

impl Decision {
    fn of(message: String) -> Self {
        Self { message, reason: Reason::Invalid }
    }
}

pub(super) fn validate(
    etcd: &Etcd,
    context: &mut Context<'_>,
    object: &Object,
    attributes: Attributes<'_>,
) -> Result<(), Status> {
    // Policies do not judge policies, lest nobody get rid of them any more.
    let is_policy = object.kind().info().group == "admissionregistration.k8s.io";
    if is_policy || etcd.count(Kind::ValidatingAdmissionPolicyBinding) == 0 {
        return Ok(());
    }
    let matcher = Matcher::new(etcd, object, attributes);
    let mut environment = None;
    for (key, policy) in stored(etcd, Kind::ValidatingAdmissionPolicy) {
        if !matcher.matches(&policy["matchConstraints"]) {
            continue;
        }
        for (binding_key, binding) in stored(etcd, Kind::ValidatingAdmissionPolicyBinding) {
            let is_bound = binding["policyName"].as_str() == Some(&*key.name);
            if !is_bound || (!binding["matchResources"].is_null() && !matcher.matches(&binding["matchResources"])) {
                continue;
            }
            let environment = environment.get_or_insert_with(|| Environment::new(etcd, context, object, attributes));
            let decisions = judge(etcd, environment, policy, binding);
            for action in binding["validationActions"].as_array().into_iter().flatten().filter_map(Json::as_str) {
                let who = format!("ValidatingAdmissionPolicy '{}' with binding '{}'", key.name, binding_key.name);
                match (action, decisions.first()) {
                    ("Deny", Some(decision)) => return Err(refusal(object, &who, decision)),
                    ("Warn", _) => context.warnings.extend(
                        decisions.iter().map(|decision| format!("Validation failed for {who}: {}", decision.message)),
                    ),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// The specs of the objects of a kind that has no type.
fn stored(etcd: &Etcd, kind: Kind) -> impl Iterator<Item = (&ObjectKey, &Json)> {
    etcd.range(kind, None).filter_map(|(key, object)| match object {
        Object::Unstructured(object) => Some((key, object.fields.get("spec")?)),
        _ => None,
    })
}

/// The webhooks of all configurations of a kind, by the names of the configurations.
fn stored_hooks(etcd: &Etcd, kind: Kind) -> impl Iterator<Item = &Json> {
    let lists = etcd.range(kind, None).filter_map(|(_, object)| match object {
        Object::Unstructured(object) => object.fields.get("webhooks")?.as_array(),
        _ => None,
    });
    lists.flatten()
}

fn refusal(object: &Object, who: &str, decision: &Decision) -> Status {
    let told = format!("{who} denied request: {}", decision.message);
    let plain = super::forbidden(object, &told);
    let cause = Cause { reason: String::new(), message: told, field: String::new() };
    Status::with_details(decision.reason, plain.message(), Details { causes: vec![cause], ..plain.details().clone() })
}

/// What a policy has against a request, for each object of parameters that a binding gives it.
fn judge(etcd: &Etcd, environment: &mut Environment, policy: &Json, binding: &Json) -> Vec<Decision> {
    let fails = policy["failurePolicy"] != "Ignore";
    let parameters = match parameters(etcd, policy, binding, &environment.namespace) {
        Ok(parameters) => parameters,
        Err(why) if fails => return vec![Decision::of(format!("failed to configure binding: {why}"))],
        Err(_) => return Vec::new(),
    };
    environment.variables = compile_variables(policy);
    let mut decisions = Vec::new();
    for parameter in parameters {
        environment.set_parameter(parameter.as_ref());
        match environment.meets_conditions(policy) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(why) => {
                decisions.extend(fails.then(|| Decision::of(why)));
                continue;
            }
        }
        let validations = policy["validations"].as_array().into_iter().flatten();
        decisions.extend(validations.filter_map(|validation| environment.decide(validation, fails)));
    }
    decisions
}

/// The objects that a policy takes its parameters from; one `None` for a policy without parameters.
fn parameters(etcd: &Etcd, policy: &Json, binding: &Json, namespace: &str) -> Result<Vec<Option<Object>>, String> {
    let (kind, reference) = (&policy["paramKind"], &binding["paramRef"]);
    if kind.is_null() || reference.is_null() {
        return Ok(vec![None]);
    }
    let text = |value: &Json| value.as_str().unwrap_or("").to_owned();
    let (version, name) = (text(&kind["apiVersion"]), text(&kind["kind"]));
    let is_meant = |kind: &Kind| kind.api_version() == version && kind.info().kind == name;
    let custom = || etcd.custom_kinds().find(is_meant);
    let Some(kind) = Kind::from_manifest(&version, &name).or_else(custom) else {
        return Err(format!("failed to find resource referenced by paramKind: '{version}, Kind={name}'"));
    };
    let given = text(&reference["namespace"]);
    let namespace = if given.is_empty() { namespace } else { &given };
    let namespace = if kind.info().namespaced { namespace } else { "" };
    let wanted = text(&reference["name"]);
    let found: Vec<Option<Object>> = if wanted.is_empty() {
        let selector = crate::machinery::json::from_value(&reference["selector"]).ok();
        let selector = Selector::from_label_selector(selector.as_ref())?;
        let all = etcd.range(kind, Some(namespace)).map(|(_, object)| object);
        let labels = |object: &Object| object.metadata().labels.clone().unwrap_or_default();
        all.filter(|object| selector.matches(&labels(object))).cloned().map(Some).collect()
    } else {
        etcd.get(kind, &ObjectKey::new(namespace, wanted)).into_iter().cloned().map(Some).collect()
    };
    if found.is_empty() && reference["parameterNotFoundAction"] == "Deny" {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
    }
    Ok(found)
}

/// A variable of a policy with its expression, or why that is none.
type Variable = (String, Result<Program, String>);

fn compile_variables(policy: &Json) -> Vec<Variable> {
    let variables = policy["variables"].as_array().into_iter().flatten();
    let compile = |variable: &Json| {
        let text = |field: &str| variable[field].as_str().unwrap_or("");
        (text("name").to_owned(), Program::compile(text("expression"), &DECLARED))
    };
    variables.map(compile).collect()
}

/// What expressions see.
struct Environment {
    namespace: String,
    object: Value,
    old_object: Value,
    request: Value,
    namespace_object: Value,
    params: Value,
    variables: Vec<Variable>,
}

impl Environment {
    fn new(etcd: &Etcd, context: &Context<'_>, object: &Object, attributes: Attributes<'_>) -> Self {
        let info = object.kind().info();
        let metadata = object.metadata();
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let own = etcd.get(Kind::Namespace, &ObjectKey::new("", namespace.as_str()));
        let user = &context.user;
        let kind = attributes.connects.map_or(info.kind, |options| options["kind"].as_str().unwrap_or(""));
        let request = json!({
            "kind": { "group": info.group, "version": info.version, "kind": kind },
            "resource": { "group": info.group, "version": info.version, "resource": info.plural },
            "subResource": attributes.subresource.map_or("", crate::api::Subresource::as_str),
            "name": metadata.name,
            "namespace": namespace,
            "operation": attributes.operation(),
            "userInfo": { "username": &*user.name, "groups": &*user.groups },
            "dryRun": attributes.dry_run,
        });
        let value = |object: Option<&Object>| object.map_or(Value::Null, |object| Value::from_json(&object.to_value()));
        Self {
            namespace,
            object: match attributes.connects {
                Some(options) => Value::from_json(options),
                None => value(Some(object).filter(|_| !attributes.deletes)),
            },
            old_object: value(attributes.old),
            request: Value::from_json(&request),
            namespace_object: value(own),
            params: Value::Null,
            variables: Vec::new(),
        }
    }

    fn set_parameter(&mut self, parameter: Option<&Object>) {
        self.params = parameter.map_or(Value::Null, |object| Value::from_json(&object.to_value()));
    }

    /// What a name means to a variable, which sees those before it, or to an expression, which sees all.
    fn lookup(&self, name: &str, variables: usize) -> Option<Result<Value, String>> {
        let value = match name {
            "object" => &self.object,
            "oldObject" => &self.old_object,
            "request" => &self.request,
            "params" => &self.params,
            "namespaceObject" => &self.namespace_object,
            _ => {
                let name = name.strip_prefix("variables.")?;
                let found = self.variables[..variables].iter().position(|(known, _)| known == name);
                return Some(match found.map(|at| (at, &self.variables[at].1)) {
                    None => Err(format!("no such key: {name}")),
                    Some((_, Err(why))) => Err(format!("composited variable {name:?} fails to compile: {why}")),
                    Some((at, Ok(program))) => program
                        .evaluate(&|name| self.lookup(name, at))
                        .map_err(|why| format!("composited variable {name:?} fails to evaluate: {why}")),
                });
            }
        };
        Some(Ok(value.clone()))
    }

    fn evaluate(&self, expression: &str) -> Result<Value, String> {
        let program = Program::compile(expression, &DECLARED)?;
        program.evaluate(&|name| self.lookup(name, self.variables.len()))
    }

    /// Whether a policy wants to look at the request at all.
    fn meets_conditions(&self, policy: &Json) -> Result<bool, String> {
        for condition in policy["matchConditions"].as_array().into_iter().flatten() {
            let expression = condition["expression"].as_str().unwrap_or("");
            match self.evaluate(expression) {
                Ok(Value::Bool(true)) => {}
                Ok(_) => return Ok(false),
                Err(why) => return Err(format!("expression '{expression}' resulted in error: {why}")),
            }
        }
        Ok(true)
    }

    /// What a validation has against the request.
    fn decide(&self, validation: &Json, fails: bool) -> Option<Decision> {
        let text = |field: &str| validation[field].as_str().unwrap_or("").trim();
        let expression = text("expression");
        match self.evaluate(expression) {
            Ok(Value::Bool(true)) => return None,
            Ok(_) => {}
            Err(why) => {
                let why = format!("expression '{expression}' resulted in error: {why}");
                return fails.then(|| Decision::of(why));
            }
        }
        let computed = match self.evaluate(text("messageExpression")) {
            Ok(Value::Text(message)) if !message.trim().is_empty() && !message.contains('\n') => {
                Some(message.trim().to_owned())
            }
            _ => None,
        };
        let fixed = Some(text("message")).filter(|message| !message.is_empty()).map(str::to_owned);
        let message = computed.or(fixed).unwrap_or_else(|| format!("failed expression: {expression}"));
        let reason = match text("reason") {
            "Forbidden" => Reason::Forbidden,
            "Unauthorized" => Reason::Unauthorized,
            "RequestEntityTooLarge" => Reason::RequestEntityTooLarge,
            _ => Reason::Invalid,
        };
        Some(Decision { message, reason })
    }
}
