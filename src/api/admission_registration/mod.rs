//! The admissionregistration group: policies, their bindings and webhooks as JSON.
//!
//! Follows `pkg/apis/admissionregistration/v1/defaults.go`, `pkg/apis/admissionregistration/validation/validation.go`
//! and `pkg/printers/internalversion/printers.go`.

mod policies;
mod rules;
pub(super) mod webhooks;

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use super::unstructured::Unstructured;
use super::{check, meta};
use crate::machinery::field::{ErrorList, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// Whether a kind is one of the group's.
pub(crate) fn has(kind: Kind) -> bool {
    kind.info().group == "admissionregistration.k8s.io"
}

/// The defaults of the group's `v1/defaults.go`.
pub(crate) fn default(object: &mut Unstructured) {
    match object.kind {
        Kind::ValidatingWebhookConfiguration | Kind::MutatingWebhookConfiguration => {
            let mutates = object.kind == Kind::MutatingWebhookConfiguration;
            let hooks = object.fields.get_mut("webhooks").and_then(Value::as_array_mut);
            hooks
                .into_iter()
                .flatten()
                .filter_map(Value::as_object_mut)
                .for_each(|hook| default_webhook(hook, mutates));
        }
        Kind::ValidatingAdmissionPolicy | Kind::MutatingAdmissionPolicy => {
            let Some(spec) = object.fields.get_mut("spec").and_then(Value::as_object_mut) else { return };
            set(spec, "failurePolicy", "Fail");
            spec.get_mut("matchConstraints").and_then(Value::as_object_mut).into_iter().for_each(default_match);
        }
        _ => {
            let spec = object.fields.get_mut("spec").and_then(|spec| spec.get_mut("matchResources"));
            spec.and_then(Value::as_object_mut).into_iter().for_each(default_match);
        }
    }
}

fn set(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    if map.get(field).is_none_or(Value::is_null) {
        map.insert(field.to_owned(), value.into());
    }
}

/// What of the cluster a policy or a webhook looks at: everything, by whatever name.
fn default_match(constraints: &mut Map<String, Value>) {
    set(constraints, "matchPolicy", "Equivalent");
    set(constraints, "namespaceSelector", json!({}));
    set(constraints, "objectSelector", json!({}));
    for field in ["resourceRules", "excludeResourceRules", "rules"] {
        let rules = constraints.get_mut(field).and_then(Value::as_array_mut);
        rules.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|rule| set(rule, "scope", "*"));
    }
}

fn default_webhook(hook: &mut Map<String, Value>, mutates: bool) {
    set(hook, "failurePolicy", "Fail");
    default_match(hook);
    set(hook, "timeoutSeconds", 10);
    if mutates {
        set(hook, "reinvocationPolicy", "Never");
    }
    let service = hook.get_mut("clientConfig").and_then(|config| config.get_mut("service"));
    service.and_then(Value::as_object_mut).into_iter().for_each(|service| set(service, "port", 443));
}

/// Everything that is wrong with an object of the group.
pub(crate) fn validate(object: &Unstructured) -> ErrorList {
    let mut errors = meta::validate(&object.metadata, false, names::is_dns1123_subdomain);
    let missing = Value::Null;
    let spec = object.fields.get("spec").unwrap_or(&missing);
    let path = Path::new("spec");
    match object.kind {
        Kind::ValidatingAdmissionPolicy => policies::validate_policy(&mut errors, &path, spec),
        Kind::MutatingAdmissionPolicy => policies::validate_mutating_policy(&mut errors, &path, spec),
        Kind::ValidatingAdmissionPolicyBinding => policies::validate_binding(&mut errors, &path, spec, true),
        Kind::MutatingAdmissionPolicyBinding => policies::validate_binding(&mut errors, &path, spec, false),
        _ => {
            let hooks = object.fields.get("webhooks").unwrap_or(&missing);
            webhooks::validate(&mut errors, hooks, object.kind == Kind::MutatingWebhookConfiguration);
        }
    }
    errors
}

/// The text of a field; empty when there is none.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("")
}

/// The texts of a list.
fn texts<'a>(value: &'a Value, field: &str) -> Vec<&'a str> {
    value[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The items of a list.
fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// A text that, where it is given, must be one of these.
fn supported(errors: &mut ErrorList, path: &Path, value: &Value, field: &str, choices: &[&str]) {
    if let Some(given) = value[field].as_str() {
        check::supported(errors, &path.child(field), given, choices);
    }
}

const POLICY_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::integer(
        "Validations",
        "Validations indicates the number of validation rules defined in this configuration",
    ),
    ColumnDefinition::text("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy"),
    AGE,
];

const MUTATING_POLICY_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::integer(
        "Mutations",
        "Mutation indicates the number of mutations rules defined in this configuration",
    ),
    ColumnDefinition::text("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy"),
    AGE,
];

const BINDING_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "PolicyName",
        "PolicyName indicates the policy definition which the policy binding binded to",
    ),
    ColumnDefinition::text("ParamRef", "ParamRef indicates the param resource which sets the configration param"),
    AGE,
];

const WEBHOOK_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::integer("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration"),
    AGE,
];

/// The columns of a kind of the group.
pub(crate) const fn columns(kind: Kind) -> &'static [ColumnDefinition] {
    match kind {
        Kind::ValidatingAdmissionPolicy => POLICY_COLUMNS,
        Kind::MutatingAdmissionPolicy => MUTATING_POLICY_COLUMNS,
        Kind::ValidatingAdmissionPolicyBinding | Kind::MutatingAdmissionPolicyBinding => BINDING_COLUMNS,
        _ => WEBHOOK_COLUMNS,
    }
}

pub(crate) fn row(object: &Unstructured, now: Time) -> Vec<Value> {
    let missing = Value::Null;
    let spec = object.fields.get("spec").unwrap_or(&missing);
    let count = |list: &Value| Value::from(list.as_array().map_or(0, Vec::len));
    let middle = match object.kind {
        Kind::ValidatingAdmissionPolicy | Kind::MutatingAdmissionPolicy => {
            let list = if object.kind == Kind::ValidatingAdmissionPolicy { "validations" } else { "mutations" };
            let kind = &spec["paramKind"];
            let told = if kind.is_null() {
                "<unset>".to_owned()
            } else {
                format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind"))
            };
            vec![count(&spec[list]), told.into()]
        }
        Kind::ValidatingAdmissionPolicyBinding | Kind::MutatingAdmissionPolicyBinding => {
            vec![text(spec, "policyName").into(), param_ref(&spec["paramRef"]).into()]
        }
        _ => vec![count(object.fields.get("webhooks").unwrap_or(&missing))],
    };
    let mut row = vec![name_of(&object.metadata)];
    row.extend(middle);
    row.push(age_of(&object.metadata, now));
    row
}

/// `namespace/name`, or `*` for parameters that a selector finds.
fn param_ref(reference: &Value) -> String {
    if reference.is_null() {
        return "<unset>".to_owned();
    }
    let namespace = if text(reference, "namespace").is_empty() { "*" } else { text(reference, "namespace") };
    let name = if text(reference, "name").is_empty() { "*" } else { text(reference, "name") };
    format!("{namespace}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Object;
    use expect_test::expect;

    fn object(kind: Kind, value: &Value) -> Unstructured {
        match Object::from_value(kind, value).expect("an object") {
            Object::Unstructured(object) => (*object).clone(),
            other => panic!("{} has a type", other.kind()),
        }
    }

    fn refusals(kind: Kind, fields: &Value) -> String {
        let mut value = json!({ "metadata": { "name": "a" } });
        value.as_object_mut().expect("a map").extend(fields.as_object().expect("fields").clone());
        validate(&object(kind, &value)).iter().map(|error| format!("{error}\n")).collect()
    }

    #[test]
    fn what_is_left_out_matches_everything() {
        let mut policy = object(
            Kind::ValidatingAdmissionPolicy,
            &json!({ "spec": { "matchConstraints": { "resourceRules": [{ "resources": ["pods"] }] } } }),
        );
        default(&mut policy);
        expect![[r#"{"matchConstraints":{"resourceRules":[{"resources":["pods"],"scope":"*"}],"matchPolicy":"Equivalent","namespaceSelector":{},"objectSelector":{}},"failurePolicy":"Fail"}"#]]
            .assert_eq(&policy.fields["spec"].to_string());
        let service = json!({ "webhooks": [{ "clientConfig": { "service": { "name": "s" } } }] });
        let mut hooks = object(Kind::MutatingWebhookConfiguration, &service);
        default(&mut hooks);
        expect![[r#"[{"clientConfig":{"service":{"name":"s","port":443}},"failurePolicy":"Fail","matchPolicy":"Equivalent","namespaceSelector":{},"objectSelector":{},"timeoutSeconds":10,"reinvocationPolicy":"Never"}]"#]]
            .assert_eq(&hooks.fields["webhooks"].to_string());
    }

    #[test]
    fn a_binding_acts_in_one_way() {
        let spec = json!({ "spec": {
            "validationActions": ["Deny", "Warn", "Odd", "Deny"],
            "paramRef": { "name": "p", "selector": {} },
        } });
        expect![[r#"
            spec.policyName: Required value
            spec.paramRef.name: Forbidden: name and selector are mutually exclusive
            spec.paramRef.selector: Forbidden: name and selector are mutually exclusive
            spec.paramRef.parameterNotFoundAction: Required value
            spec.validationActions[2]: Unsupported value: "Odd": supported values: "Audit", "Deny", "Warn"
            spec.validationActions[3]: Duplicate value: "Deny"
            spec.validationActions: Invalid value: ["Deny","Odd","Warn"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)
        "#]]
        .assert_eq(&refusals(Kind::ValidatingAdmissionPolicyBinding, &spec));
    }

    #[test]
    fn a_webhook_has_an_address() {
        let hook = |config: Value| {
            json!({ "webhooks": [{
            "name": "a.b.example", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": config,
        }] })
        };
        let refused = |config: Value| refusals(Kind::ValidatingWebhookConfiguration, &hook(config));
        assert_eq!(refused(json!({ "url": "https://a.example/x" })), "");
        expect![[r#"
            webhooks[0].clientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]
            webhooks[0].clientConfig.url: Invalid value: "u": user information is not permitted in the URL
            webhooks[0].clientConfig.url: Invalid value: "f": fragments are not permitted in the URL
            webhooks[0].clientConfig.url: Invalid value: "q=1": query parameters are not permitted in the URL
        "#]]
        .assert_eq(&refused(json!({ "url": "http://u@a.example/x?q=1#f" })));
        expect![[r#"
            webhooks[0].clientConfig.service.namespace: Required value
            webhooks[0].clientConfig.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive
            webhooks[0].clientConfig.service.path: Invalid value: "a//b": must start with a '/'
            webhooks[0].clientConfig.service.path: Invalid value: "a//b": segment[0] may not be empty
            webhooks[0].clientConfig.service.path: Invalid value: "a//b": segment[1] may not be empty
        "#]]
        .assert_eq(&refused(json!({ "service": { "name": "s", "port": 0, "path": "a//b" } })));
    }
}
