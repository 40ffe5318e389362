//! The roles and bindings that every cluster begins with.
//!
//! Follows `kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`, without those for components of the
//! control plane.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{AggregationRule, ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::api::Object;

/// The roles: a line `NAME [aggregates=LABEL] [label=LABEL]`, and below it its rules, `GROUPS RESOURCES VERBS` or
/// `urls PATHS VERBS`. An empty list is `-`, the core group `core`.
const ROLES: &str = include_str!("roles.txt");

/// Which role is bound to which groups.
const BINDINGS: &[(&str, &[&str])] = &[
    ("cluster-admin", &["system:masters"]),
    ("system:basic-user", &["system:authenticated"]),
    ("system:discovery", &["system:authenticated"]),
    ("system:monitoring", &["system:monitoring"]),
    ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ("system:service-account-issuer-discovery", &["system:serviceaccounts"]),
];

/// What aggregated roles are labelled with.
const AGGREGATE_LABEL: &str = "rbac.authorization.k8s.io/";
const GROUP: &str = "rbac.authorization.k8s.io";

/// The roles and bindings, in the order of their names.
pub(crate) fn policy() -> Vec<Object> {
    let bindings = BINDINGS.iter().map(|(role, groups)| Object::from(binding(role, groups)));
    roles().into_iter().map(Object::from).chain(bindings).collect()
}

fn metadata(name: &str) -> ObjectMeta {
    let pair = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(pair("kubernetes.io/bootstrapping", "rbac-defaults")),
        annotations: Some(pair("rbac.authorization.kubernetes.io/autoupdate", "true")),
        ..ObjectMeta::default()
    }
}

fn binding(role: &str, groups: &[&str]) -> ClusterRoleBinding {
    let subject = |group: &&str| Subject {
        api_group: Some(GROUP.to_owned()),
        kind: "Group".to_owned(),
        name: (*group).to_owned(),
        namespace: None,
    };
    ClusterRoleBinding {
        metadata: metadata(role),
        role_ref: RoleRef { api_group: Some(GROUP.to_owned()), kind: "ClusterRole".to_owned(), name: role.to_owned() },
        subjects: Some(groups.iter().map(subject).collect()),
    }
}

fn roles() -> Vec<ClusterRole> {
    let mut roles: Vec<ClusterRole> = Vec::new();
    for line in ROLES.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix('\t') {
            None => roles.push(role(line)),
            Some(text) => {
                let role = roles.last_mut().expect("a rule stands below its role");
                role.rules.get_or_insert_default().push(rule(text));
            }
        }
    }
    roles
}

fn role(line: &str) -> ClusterRole {
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
    ClusterRole { metadata, aggregation_rule, rules: None }
}

fn rule(text: &str) -> PolicyRule {
    let mut words = text.split(' ').map(|word| {
        word.split(',').map(|item| if item == "core" { String::new() } else { item.to_owned() }).collect::<Vec<_>>()
    });
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let verbs = words.next().unwrap_or_default();
    if first == ["urls"] {
        return PolicyRule { non_resource_urls: Some(second), verbs, ..PolicyRule::default() };
    }
    PolicyRule { api_groups: Some(first), resources: Some(second), verbs, ..PolicyRule::default() }
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
}
