//! The roles and bindings that every cluster begins with.
//!
//! Follows `kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/{policy,controller_policy,namespace_policy}.go`.
//! The roles of components are there for people to read and to bind; a request of a component itself is not judged by
//! them (see [`super`]).

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{
    AggregationRule, ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::api::Object;

/// The roles: a line `[NAMESPACE/]NAME [aggregates=LABEL] [label=LABEL]`, and below it its rules, `GROUPS RESOURCES VERBS
/// [NAMES]`, `urls PATHS VERBS`, or `events` for what nearly everybody may do to events. The core group is `core`.
const ROLES: &str = include_str!("roles.txt");
/// What is bound to whom: a line `[NAMESPACE/]NAME [role:ROLE] [SORT:SUBJECT]…`. The role has the binding's name where
/// none is given. What is called `system:controller:X` is bound to the service account X besides.
const BINDINGS: &str = include_str!("bindings.txt");
/// What `events` stands for in a role.
const EVENTS: &str = "core,events.k8s.io events create,patch,update";

/// What aggregated roles are labelled with.
const AGGREGATE_LABEL: &str = "rbac.authorization.k8s.io/";
const GROUP: &str = "rbac.authorization.k8s.io";
const CONTROLLER: &str = "system:controller:";

/// The roles and bindings: those of the whole cluster, then those of namespaces, each in the order of their names.
pub(crate) fn policy() -> Vec<Object> {
    let roles = roles();
    let of_controllers: Vec<Object> =
        roles.iter().filter(|role| role.namespace().is_empty()).filter_map(controller_binding).collect();
    roles.into_iter().map(Object::from).chain(BINDINGS.lines().map(binding)).chain(of_controllers).collect()
}

/// A role, wherever it holds.
struct AnyRole {
    metadata: ObjectMeta,
    aggregation_rule: Option<AggregationRule>,
    rules: Option<Vec<PolicyRule>>,
}

impl AnyRole {
    fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or("")
    }
}

impl From<AnyRole> for Object {
    fn from(role: AnyRole) -> Self {
        let AnyRole { metadata, aggregation_rule, rules } = role;
        if metadata.namespace.is_some() {
            return Self::from(Role { metadata, rules });
        }
        Self::from(ClusterRole { metadata, aggregation_rule, rules })
    }
}

/// The metadata of an object that is called `[NAMESPACE/]NAME`.
fn metadata(name: &str) -> ObjectMeta {
    let pair = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let (namespace, name) = name.split_once('/').map_or((None, name), |(space, name)| (Some(space.to_owned()), name));
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace,
        labels: Some(pair("kubernetes.io/bootstrapping", "rbac-defaults")),
        annotations: Some(pair("rbac.authorization.kubernetes.io/autoupdate", "true")),
        ..ObjectMeta::default()
    }
}

/// A controller's role is bound to the service account that it would act as.
fn controller_binding(role: &AnyRole) -> Option<Object> {
    let name = role.metadata.name.as_deref()?;
    let account = name.strip_prefix(CONTROLLER)?;
    Some(binding(&format!("{name} account:kube-system/{account}")))
}

fn binding(line: &str) -> Object {
    let mut words = line.split(' ');
    let metadata = metadata(words.next().unwrap_or(""));
    let mut role = metadata.name.clone().unwrap_or_default();
    let mut subjects = Vec::new();
    for word in words {
        match word.split_once(':') {
            Some(("role", name)) => name.clone_into(&mut role),
            Some((sort, name)) => subjects.push(subject(sort, name)),
            None => {}
        }
    }
    let subjects = Some(subjects).filter(|subjects| !subjects.is_empty());
    let kind = if metadata.namespace.is_some() { "Role" } else { "ClusterRole" };
    let role_ref = RoleRef { api_group: Some(GROUP.to_owned()), kind: kind.to_owned(), name: role };
    if metadata.namespace.is_some() {
        return Object::from(RoleBinding { metadata, role_ref, subjects });
    }
    Object::from(ClusterRoleBinding { metadata, role_ref, subjects })
}

fn subject(sort: &str, name: &str) -> Subject {
    let of_group = |kind: &str| Subject {
        api_group: Some(GROUP.to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: None,
    };
    match (sort, name.split_once('/')) {
        ("account", Some((namespace, name))) => Subject {
            api_group: None,
            kind: "ServiceAccount".to_owned(),
            name: name.to_owned(),
            namespace: Some(namespace.to_owned()),
        },
        ("user", _) => of_group("User"),
        _ => of_group("Group"),
    }
}

fn roles() -> Vec<AnyRole> {
    let mut roles: Vec<AnyRole> = Vec::new();
    for line in ROLES.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix('\t') {
            None => roles.push(role(line)),
            Some(text) => {
                let role = roles.last_mut().expect("a rule stands below its role");
                role.rules.get_or_insert_default().push(rule(if text == "events" { EVENTS } else { text }));
            }
        }
    }
    roles
}

fn role(line: &str) -> AnyRole {
    let mut words = line.split(' ');
    let mut metadata = metadata(words.next().unwrap_or(""));
    let mut aggregation_rule = None;
    for word in words {
        if let Some(label) = word.strip_prefix("aggregates=") {
            let labels = BTreeMap::from([(format!("{AGGREGATE_LABEL}{label}"), "true".to_owned())]);
            let selector = LabelSelector { match_labels: Some(labels), match_expressions: None };
            aggregation_rule = Some(AggregationRule { cluster_role_selectors: Some(vec![selector]) });
        } else if let Some(label) = word.strip_prefix("label=") {
            let labels = metadata.labels.get_or_insert_default();
            labels.insert(format!("{AGGREGATE_LABEL}{label}"), "true".to_owned());
        }
    }
    AnyRole { metadata, aggregation_rule, rules: None }
}

fn rule(text: &str) -> PolicyRule {
    let mut words = text.split(' ').map(|word| {
        word.split(',').map(|item| if item == "core" { String::new() } else { item.to_owned() }).collect::<Vec<_>>()
    });
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let verbs = words.next().unwrap_or_default();
    let resource_names = words.next();
    if first == ["urls"] {
        return PolicyRule { non_resource_urls: Some(second), verbs, ..PolicyRule::default() };
    }
    PolicyRule { api_groups: Some(first), resources: Some(second), resource_names, verbs, ..PolicyRule::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_are_read_whole() {
        let roles = roles();
        let named = |name: &str| {
            roles.iter().find(|role| role.metadata.name.as_deref() == Some(name)).expect("a role of this name")
        };
        assert_eq!(named("cluster-admin").rules.as_ref().map(Vec::len), Some(2));
        assert!(named("edit").aggregation_rule.is_some() && named("edit").rules.is_none());
        assert!(roles.iter().all(|role| {
            role.rules.iter().flatten().all(|rule| !rule.verbs.is_empty() && rule.api_groups != Some(vec![]))
        }));
    }

    #[test]
    fn every_binding_is_to_a_role_that_is_there() {
        let objects = policy();
        let has = |kind: &str, namespace: Option<&str>, name: &str| {
            objects.iter().any(|object| {
                let metadata = object.metadata();
                object.kind().info().kind == kind
                    && metadata.namespace.as_deref() == namespace
                    && metadata.name.as_deref() == Some(name)
            })
        };
        for object in &objects {
            let role = match object {
                Object::ClusterRoleBinding(binding) => &binding.role_ref,
                Object::RoleBinding(binding) => &binding.role_ref,
                _ => continue,
            };
            assert!(has(&role.kind, object.metadata().namespace.as_deref(), &role.name), "{}", role.name);
        }
        assert!(has("ClusterRoleBinding", None, "system:controller:job-controller"));
        assert!(has("RoleBinding", Some("kube-system"), "system:controller:token-cleaner"));
        assert!(!has("ClusterRoleBinding", None, "system:controller:token-cleaner"));
    }
}
