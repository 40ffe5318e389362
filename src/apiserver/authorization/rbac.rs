//! Roles and what is bound to whom.
//!
//! Follows `kubernetes/pkg/registry/rbac/validation/rule.go` and `pkg/apis/rbac/v1/evaluation_helpers.go`.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::{Attributes, Decision};
use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::User;
use crate::etcd::Etcd;

/// The rules that apply to a user in a namespace, with why: `VisitRulesFor`. Stops when `visit` says so.
pub(super) fn visit_rules(
    etcd: &Etcd,
    user: &User,
    namespace: &str,
    visit: &mut dyn FnMut(&PolicyRule, &dyn Fn() -> String) -> bool,
) -> Vec<String> {
    let mut errors = Vec::new();
    let cluster_wide = etcd.range(Kind::ClusterRoleBinding, None).filter_map(|(_, object)| object.downcast());
    for binding in cluster_wide.map(|binding: &std::sync::Arc<ClusterRoleBinding>| &**binding) {
        let subjects = binding.subjects.as_deref().unwrap_or(&[]);
        let Some(subject) = subjects.iter().find(|subject| applies(user, subject, "")) else { continue };
        let why = || reason("ClusterRoleBinding", binding.name(), &binding.role_ref, subject, "");
        if !visit_role(etcd, &binding.role_ref, "", &mut |rule| visit(rule, &why), &mut errors) {
            return errors;
        }
    }
    if namespace.is_empty() {
        return errors;
    }
    let local = etcd.range(Kind::RoleBinding, Some(namespace)).filter_map(|(_, object)| object.downcast());
    for binding in local.map(|binding: &std::sync::Arc<RoleBinding>| &**binding) {
        let subjects = binding.subjects.as_deref().unwrap_or(&[]);
        let Some(subject) = subjects.iter().find(|subject| applies(user, subject, namespace)) else { continue };
        let name = format!("{}/{namespace}", binding.name());
        let why = || reason("RoleBinding", &name, &binding.role_ref, subject, namespace);
        if !visit_role(etcd, &binding.role_ref, namespace, &mut |rule| visit(rule, &why), &mut errors) {
            return errors;
        }
    }
    errors
}

fn visit_role(
    etcd: &Etcd,
    role: &RoleRef,
    namespace: &str,
    visit: &mut dyn FnMut(&PolicyRule) -> bool,
    errors: &mut Vec<String>,
) -> bool {
    match rules_of(etcd, role, namespace) {
        Ok(rules) => rules.iter().all(visit),
        Err(error) => {
            errors.push(error);
            true
        }
    }
}

/// The rules of the role that a binding names: `GetRoleReferenceRules`.
pub(super) fn rules_of(etcd: &Etcd, role: &RoleRef, namespace: &str) -> Result<Vec<PolicyRule>, String> {
    let (kind, namespace) = if role.kind == "Role" { (Kind::Role, namespace) } else { (Kind::ClusterRole, "") };
    let object = etcd.get(kind, &ObjectKey::new(namespace, role.name.as_str()));
    let rules = match kind {
        Kind::Role => object.and_then(|object| object.downcast::<Role>()).map(|role| role.rules.clone()),
        _ => object.and_then(|object| object.downcast::<ClusterRole>()).map(|role| role.rules.clone()),
    };
    let missing = || format!("{}.rbac.authorization.k8s.io {:?} not found", kind.info().singular, role.name);
    rules.map(Option::unwrap_or_default).ok_or_else(missing)
}

/// `appliesToUser`.
fn applies(user: &User, subject: &Subject, namespace: &str) -> bool {
    match subject.kind.as_str() {
        "User" => *user.name == *subject.name,
        "Group" => user.groups.contains(&subject.name),
        "ServiceAccount" => {
            let given = subject.namespace.as_deref().filter(|given| !given.is_empty());
            let namespace = given.unwrap_or(namespace);
            !namespace.is_empty() && *user.name == *format!("system:serviceaccount:{namespace}:{}", subject.name)
        }
        _ => false,
    }
}

/// Why a binding allows something, as a review tells it.
fn reason(sort: &str, name: &str, role: &RoleRef, subject: &Subject, namespace: &str) -> String {
    let whom = if subject.kind == "ServiceAccount" {
        let given = subject.namespace.as_deref().filter(|given| !given.is_empty());
        format!("{}/{}", subject.name, given.unwrap_or(namespace))
    } else {
        subject.name.clone()
    };
    format!("RBAC: allowed by {sort} {name:?} of {} {:?} to {} {whom:?}", role.kind, role.name, subject.kind)
}

/// `RBACAuthorizer.Authorize`.
pub(super) fn decide(etcd: &Etcd, user: &User, attributes: &Attributes<'_>) -> Decision {
    let namespace = match attributes {
        Attributes::Resource { namespace, .. } => *namespace,
        Attributes::Path { .. } => "",
    };
    let mut allowed = None;
    let errors = visit_rules(etcd, user, namespace, &mut |rule, why| {
        if allows(rule, attributes) {
            allowed = Some(why());
        }
        allowed.is_none()
    });
    if let Some(reason) = allowed {
        return Decision { allowed: true, reason };
    }
    let reason = match errors.as_slice() {
        [] => String::new(),
        [one] => format!("RBAC: {one}"),
        many => format!("RBAC: [{}]", many.join(", ")),
    };
    Decision { allowed: false, reason }
}

/// `RuleAllows`.
pub(super) fn allows(rule: &PolicyRule, attributes: &Attributes<'_>) -> bool {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let has = |list: &[String], wanted: &str| list.iter().any(|known| known == "*" || known == wanted);
    match attributes {
        Attributes::Path { verb, path } => {
            has(&rule.verbs, verb) && list(&rule.non_resource_urls).iter().any(|pattern| matches_path(pattern, path))
        }
        Attributes::Resource { verb, group, resource, subresource, name, .. } => {
            let names = list(&rule.resource_names);
            has(&rule.verbs, verb)
                && has(&list(&rule.api_groups), group)
                && list(&rule.resources).iter().any(|pattern| matches_resource(pattern, resource, subresource))
                && (names.is_empty() || names.iter().any(|known| known == name))
        }
    }
}

/// `ResourceMatches`.
fn matches_resource(pattern: &str, resource: &str, subresource: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.split_once('/') {
        None => pattern == resource && subresource.is_empty(),
        Some((of, below)) => !subresource.is_empty() && below == subresource && (of == "*" || of == resource),
    }
}

/// `NonResourceURLMatches`.
fn matches_path(pattern: &str, path: &str) -> bool {
    pattern == "*" || pattern == path || pattern.strip_suffix('*').is_some_and(|begin| path.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> PolicyRule {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        PolicyRule {
            api_groups: Some(owned(groups)),
            resources: Some(owned(resources)),
            verbs: owned(verbs),
            ..PolicyRule::default()
        }
    }

    #[test]
    fn a_rule_names_verbs_groups_and_resources() {
        let wants = |verb, group, resource, subresource| Attributes::Resource {
            verb,
            namespace: "a",
            group,
            resource,
            subresource,
            name: "x",
        };
        let pods = rule(&[""], &["pods", "*/scale"], &["get"]);
        assert!(allows(&pods, &wants("get", "", "pods", "")));
        assert!(allows(&pods, &wants("get", "", "replicationcontrollers", "scale")));
        assert!(!allows(&pods, &wants("get", "", "pods", "log")));
        assert!(!allows(&pods, &wants("list", "", "pods", "")));
        assert!(!allows(&pods, &wants("get", "apps", "pods", "")));
        assert!(allows(&rule(&["*"], &["*"], &["*"]), &wants("escalate", "x.y", "z", "status")));
        let named = PolicyRule { resource_names: Some(vec!["y".to_owned()]), ..pods };
        assert!(!allows(&named, &wants("get", "", "pods", "")));
    }

    #[test]
    fn paths_may_end_in_anything() {
        assert!(matches_path("/api/*", "/api/v1") && !matches_path("/api/*", "/api"));
        assert!(matches_path("*", "/metrics") && matches_path("/healthz", "/healthz"));
    }
}
