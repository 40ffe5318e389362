//! Nobody can give what they do not have.
//!
//! Follows `kubernetes/pkg/registry/rbac/{role,rolebinding}/policybased` and `component-helpers/auth/rbac/validation`
//! (`Covers`, `ConfirmNoEscalation`).

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef};

use super::{Attributes, decide, is_master, rbac};
use crate::api::Object;
use crate::apiserver::User;
use crate::etcd::Etcd;
use crate::machinery::status::Status;

/// What an object gives away.
struct Grant {
    rules: Vec<PolicyRule>,
    namespace: String,
    /// The verb that lets somebody give it without having it: `escalate` or `bind`.
    verb: &'static str,
    /// What that verb is about.
    resource: &'static str,
    name: String,
}

/// What a write gives away that was not given before.
fn grant(etcd: &Etcd, object: &Object, old: Option<&Object>) -> Result<Option<Grant>, Status> {
    let of_role = |rules: &Option<Vec<PolicyRule>>, resource: &'static str| Grant {
        rules: rules.clone().unwrap_or_default(),
        namespace: object.metadata().namespace.clone().unwrap_or_default(),
        verb: "escalate",
        resource,
        name: object.metadata().name.clone().unwrap_or_default(),
    };
    let of_binding = |role: &RoleRef| {
        let namespace = object.metadata().namespace.clone().unwrap_or_default();
        let resource = if role.kind == "Role" { "roles" } else { "clusterroles" };
        let rules = rbac::rules_of(etcd, role, &namespace)
            .map_err(|_| Status::not_found("rbac.authorization.k8s.io", resource, &role.name))?;
        Ok(Grant { rules, namespace, verb: "bind", resource, name: role.name.clone() })
    };
    match object {
        Object::Role(role) => {
            let old = old.and_then(Object::downcast::<Role>);
            Ok(old.is_none_or(|old| old.rules != role.rules).then(|| of_role(&role.rules, "roles")))
        }
        Object::ClusterRole(role) => {
            let old = old.and_then(Object::downcast::<ClusterRole>);
            Ok(old.is_none_or(|old| old.rules != role.rules).then(|| of_role(&role.rules, "clusterroles")))
        }
        Object::RoleBinding(binding) => {
            let old = old.and_then(Object::downcast::<RoleBinding>);
            let is_new = old.is_none_or(|old| (&old.role_ref, &old.subjects) != (&binding.role_ref, &binding.subjects));
            is_new.then(|| of_binding(&binding.role_ref)).transpose()
        }
        Object::ClusterRoleBinding(binding) => {
            let old = old.and_then(Object::downcast::<ClusterRoleBinding>);
            let is_new = old.is_none_or(|old| (&old.role_ref, &old.subjects) != (&binding.role_ref, &binding.subjects));
            is_new.then(|| of_binding(&binding.role_ref)).transpose()
        }
        _ => Ok(None),
    }
}

/// Refuses a role or a binding that would give more than its writer has.
pub(crate) fn check(etcd: &Etcd, user: &User, object: &Object, old: Option<&Object>) -> Result<(), Status> {
    let is_component = user.groups.iter().any(|group| group == super::COMPONENTS);
    if is_master(user) || is_component {
        return Ok(());
    }
    let Some(Grant { rules, namespace, verb, resource, name }) = grant(etcd, object, old)? else { return Ok(()) };
    let info = object.kind().info();
    let (namespace, name) = (namespace.as_str(), name.as_str());
    let wish = Attributes::Resource { verb, namespace, group: info.group, resource, subresource: "", name };
    if decide(etcd, user, &wish).allowed {
        return Ok(());
    }
    let missing = missing(etcd, user, namespace, &rules);
    if missing.is_empty() {
        return Ok(());
    }
    let groups = user.groups.iter().map(|group| format!("{group:?}")).collect::<Vec<_>>().join(" ");
    let why = format!(
        "user {:?} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{}",
        &*user.name,
        missing.join("\n")
    );
    Err(Status::forbidden(info.group, info.plural, object.metadata().name.as_deref().unwrap_or(""), &why))
}

/// What of the rules a user does not have, each part printed as upstream prints a rule.
fn missing(etcd: &Etcd, user: &User, namespace: &str, wanted: &[PolicyRule]) -> Vec<String> {
    let mut held: Vec<PolicyRule> = Vec::new();
    rbac::visit_rules(etcd, user, namespace, &mut |rule, _| {
        held.push(rule.clone());
        true
    });
    let is_covered = |part: &PolicyRule| held.iter().any(|rule| covers(rule, part));
    let mut missing: Vec<String> = Vec::new();
    for rule in wanted {
        // Upstream puts the verbs of one resource together again.
        for resource in parts(rule) {
            let verbs: Vec<String> = rule
                .verbs
                .iter()
                .filter(|verb| !is_covered(&PolicyRule { verbs: vec![(*verb).clone()], ..resource.clone() }))
                .cloned()
                .collect();
            if !verbs.is_empty() {
                missing.push(compact(&PolicyRule { verbs, ..resource }));
            }
        }
    }
    missing.sort();
    missing.dedup();
    missing
}

/// A rule of one group, one resource and one name at most: `BreakdownRule` but for the verbs.
fn parts(rule: &PolicyRule) -> Vec<PolicyRule> {
    let mut parts = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            let base = PolicyRule {
                api_groups: Some(vec![group.clone()]),
                resources: Some(vec![resource.clone()]),
                ..PolicyRule::default()
            };
            match rule.resource_names.as_deref().filter(|names| !names.is_empty()) {
                None => parts.push(base),
                Some(names) => parts.extend(
                    names.iter().map(|name| PolicyRule { resource_names: Some(vec![name.clone()]), ..base.clone() }),
                ),
            }
        }
    }
    for url in rule.non_resource_urls.iter().flatten() {
        parts.push(PolicyRule { non_resource_urls: Some(vec![url.clone()]), ..PolicyRule::default() });
    }
    parts
}

/// `ruleCovers`: `part` has one of each.
fn covers(rule: &PolicyRule, part: &PolicyRule) -> bool {
    let has = |list: &Option<Vec<String>>, wanted: &Option<Vec<String>>| {
        let list = list.as_deref().unwrap_or(&[]);
        wanted.iter().flatten().all(|wanted| list.iter().any(|known| known == "*" || known == wanted))
    };
    let has_resource = part.resources.iter().flatten().all(|wanted| {
        let below = wanted.split_once('/').map(|(_, below)| format!("*/{below}"));
        rule.resources.iter().flatten().any(|known| known == "*" || known == wanted || Some(known) == below.as_ref())
    });
    let has_url = part.non_resource_urls.iter().flatten().all(|wanted| {
        rule.non_resource_urls
            .iter()
            .flatten()
            .any(|known| known == wanted || known.strip_suffix('*').is_some_and(|begin| wanted.starts_with(begin)))
    });
    let names_held = rule.resource_names.as_deref().unwrap_or(&[]);
    let names_wanted = part.resource_names.as_deref().unwrap_or(&[]);
    let has_names = names_held.is_empty()
        || (!names_wanted.is_empty() && names_wanted.iter().all(|wanted| names_held.contains(wanted)));
    has(&Some(rule.verbs.clone()), &Some(part.verbs.clone()))
        && has(&rule.api_groups, &part.api_groups)
        && has_resource
        && has_url
        && has_names
}

/// `rbac.PolicyRule.CompactString`.
fn compact(rule: &PolicyRule) -> String {
    let parts = [
        ("APIGroups", rule.api_groups.as_deref()),
        ("Resources", rule.resources.as_deref()),
        ("NonResourceURLs", rule.non_resource_urls.as_deref()),
        ("ResourceNames", rule.resource_names.as_deref()),
        ("Verbs", Some(rule.verbs.as_slice())),
    ];
    let shown = parts.iter().filter_map(|(name, list)| {
        let list = list.filter(|list| !list.is_empty())?;
        let items = list.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(" ");
        Some(format!("{name}:[{items}]"))
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_covers_what_it_names_and_stars_cover_all() {
        let rule = |resources: &[&str], verbs: &[&str]| PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(resources.iter().map(|&text| text.to_owned()).collect()),
            verbs: verbs.iter().map(|&text| text.to_owned()).collect(),
            ..PolicyRule::default()
        };
        assert!(covers(&rule(&["pods", "nodes"], &["get", "list"]), &rule(&["pods"], &["get"])));
        assert!(covers(&rule(&["*"], &["*"]), &rule(&["pods/log"], &["get"])));
        assert!(covers(&rule(&["*/status"], &["get"]), &rule(&["pods/status"], &["get"])));
        assert!(!covers(&rule(&["pods"], &["get"]), &rule(&["pods"], &["delete"])));
        assert_eq!(
            compact(&rule(&["pods"], &["get", "list"])),
            r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#
        );
    }
}
