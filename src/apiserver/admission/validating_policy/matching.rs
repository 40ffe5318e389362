//! Which requests a policy or a binding is about. Follows
//! `k8s.io/apiserver/pkg/admission/plugin/policy/matching` and `plugin/webhook/predicates`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Attributes;
use crate::api::{Kind, Object, ObjectKey};
use crate::etcd::Etcd;
use crate::machinery::labels::Selector;

type Labels = BTreeMap<String, String>;

/// A request as rules and selectors see it.
pub(in super::super) struct Matcher<'a> {
    kind: Kind,
    name: &'a str,
    operation: &'static str,
    /// `deployments` or `deployments/scale`.
    resource: &'static str,
    subresource: &'static str,
    /// The labels of the object after and before.
    labels: [Option<&'a Labels>; 2],
    /// The labels of the object's namespace; `None` for what has none.
    namespace: Option<Labels>,
}

impl<'a> Matcher<'a> {
    pub(in super::super) fn new(etcd: &Etcd, object: &'a Object, attributes: Attributes<'a>) -> Self {
        let kind = object.kind();
        let metadata = object.metadata();
        let labels_of = |object: &Object| object.metadata().labels.clone().unwrap_or_default();
        let namespace = match kind {
            Kind::Namespace => Some(labels_of(object)),
            _ => metadata
                .namespace
                .as_deref()
                .map(|name| etcd.get(Kind::Namespace, &ObjectKey::new("", name)).map(labels_of).unwrap_or_default()),
        };
        static NONE: Labels = Labels::new();
        let labels = |object: &'a Object| object.metadata().labels.as_ref().unwrap_or(&NONE);
        Self {
            kind,
            name: metadata.name.as_deref().unwrap_or(""),
            operation: attributes.operation(),
            resource: kind.info().plural,
            subresource: attributes.subresource.map_or("", crate::api::Subresource::as_str),
            labels: [Some(labels(object)), attributes.old.map(labels)],
            namespace,
        }
    }

    /// Whether constraints are about the request: its namespace, its object, and what is done to it.
    pub(in super::super) fn matches(&self, constraints: &Value) -> bool {
        let in_namespace =
            self.namespace.as_ref().is_none_or(|labels| selects(&constraints["namespaceSelector"], labels));
        let about_object =
            || self.labels.into_iter().flatten().any(|labels| selects(&constraints["objectSelector"], labels));
        let rules = |field: &str| constraints[field].as_array().into_iter().flatten();
        in_namespace
            && about_object()
            && !rules("excludeResourceRules").any(|rule| self.follows(rule))
            && (rules("resourceRules").next().is_none() || rules("resourceRules").any(|rule| self.follows(rule)))
    }

    /// Whether a webhook wants to see the request.
    pub(super) fn matches_hook(&self, hook: &Value) -> bool {
        let rules = hook["rules"].as_array().into_iter().flatten();
        self.matches(&serde_json::json!({
            "namespaceSelector": hook["namespaceSelector"], "objectSelector": hook["objectSelector"],
        })) && rules.into_iter().any(|rule| self.follows(rule))
    }

    /// Whether a rule is about the request.
    fn follows(&self, rule: &Value) -> bool {
        let info = self.kind.info();
        let list = |field: &str| rule[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        let has = |field: &str, value: &str| list(field).any(|given| given == "*" || given == value);
        let in_scope = match rule["scope"].as_str() {
            Some("Namespaced") => info.namespaced,
            Some("Cluster") => !info.namespaced,
            _ => true,
        };
        let resource = list("resources").any(|given| {
            let (resource, subresource) = given.split_once('/').unwrap_or((given, ""));
            (resource == "*" || resource == self.resource) && (subresource == "*" || subresource == self.subresource)
        });
        let named = list("resourceNames").next().is_none() || list("resourceNames").any(|name| name == self.name);
        in_scope
            && resource
            && named
            && has("apiGroups", info.group)
            && has("apiVersions", info.version)
            && has("operations", self.operation)
    }
}

/// Whether a selector, which may be missing, selects labels.
fn selects(selector: &Value, labels: &Labels) -> bool {
    let Some(selector) = crate::machinery::json::from_value(selector).ok().filter(|_| !selector.is_null()) else {
        return true;
    };
    Selector::from_label_selector(Some(&selector)).is_ok_and(|selector| selector.matches(labels))
}
