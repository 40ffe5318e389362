//! Roles and their bindings. Follows `pkg/apis/rbac` and the printers of its kinds.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::check::{self, invalid_each, list, text};
use super::core::pod::defaults::text_or;
use super::meta;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::labels::Selector;
use crate::machinery::names;
use crate::machinery::time::Time;

/// `rbac.GroupName`.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

/// `SetDefaults_RoleBinding`, and for cluster-wide ones `SetDefaults_ClusterRoleBinding`.
pub(super) fn default_binding(role: &mut RoleRef, subjects: Option<&mut Vec<Subject>>) {
    text_or(&mut role.api_group, GROUP);
    for subject in subjects.into_iter().flatten() {
        if text(&subject.api_group).is_empty() && matches!(subject.kind.as_str(), "User" | "Group") {
            subject.api_group = Some(GROUP.to_owned());
        }
    }
}

/// `ValidateRole`.
pub(super) fn validate_role(role: &Role) -> ErrorList {
    let mut errors = meta::validate(&role.metadata, true, names::is_path_segment_name);
    validate_rules(&mut errors, list(&role.rules), true);
    errors
}

/// `ValidateRoleUpdate`.
pub(super) fn validate_role_update(new: &Role, old: &Role) -> ErrorList {
    let mut errors = validate_role(new);
    errors.extend(meta::validate_update(&new.metadata, &old.metadata));
    errors
}

/// `ValidateClusterRole`.
pub(super) fn validate_cluster_role(role: &ClusterRole) -> ErrorList {
    let mut errors = meta::validate(&role.metadata, false, names::is_path_segment_name);
    validate_rules(&mut errors, list(&role.rules), false);
    let Some(aggregation) = &role.aggregation_rule else { return errors };
    let path = Path::new("aggregationRule").child("clusterRoleSelectors");
    let selectors = list(&aggregation.cluster_role_selectors);
    if selectors.is_empty() {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.push(FieldError::required(&path, detail));
    }
    for (index, selector) in selectors.iter().enumerate() {
        let path = path.index(index);
        check::label_selector(&mut errors, &path, Some(selector));
        if Selector::from_label_selector(Some(selector)).is_err() {
            errors.push(FieldError::invalid(&path, Value::Null, "invalid label selector."));
        }
    }
    errors
}

/// `ValidateClusterRoleUpdate`.
pub(super) fn validate_cluster_role_update(new: &ClusterRole, old: &ClusterRole) -> ErrorList {
    let mut errors = validate_cluster_role(new);
    errors.extend(meta::validate_update(&new.metadata, &old.metadata));
    errors
}

/// `validatePolicyRule` for each rule.
fn validate_rules(errors: &mut ErrorList, rules: &[PolicyRule], namespaced: bool) {
    for (index, rule) in rules.iter().enumerate() {
        validate_rule(errors, &Path::new("rules").index(index), rule, namespaced);
    }
}

fn validate_rule(errors: &mut ErrorList, path: &Path, rule: &PolicyRule, namespaced: bool) {
    if rule.verbs.is_empty() {
        errors.push(FieldError::required(&path.child("verbs"), "verbs must contain at least one value"));
    }
    let (groups, resources, names) = (list(&rule.api_groups), list(&rule.resources), list(&rule.resource_names));
    let urls = list(&rule.non_resource_urls);
    if !urls.is_empty() {
        let at = path.child("nonResourceURLs");
        if namespaced {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(&at, check::json(urls), detail));
        }
        if !groups.is_empty() || !resources.is_empty() || !names.is_empty() {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&at, check::json(urls), detail));
        }
        return;
    }
    if groups.is_empty() {
        let detail = "resource rules must supply at least one api group";
        errors.push(FieldError::required(&path.child("apiGroups"), detail));
    }
    if resources.is_empty() {
        let detail = "resource rules must supply at least one resource";
        errors.push(FieldError::required(&path.child("resources"), detail));
    }
    if !names.is_empty() && resources.len() > 1 {
        let detail = "resource names cannot apply to multiple resources";
        errors.push(FieldError::required(&path.child("resourceNames"), detail));
    }
}

/// What both sorts of bindings are judged by.
struct Binding<'a> {
    metadata: &'a ObjectMeta,
    role: &'a RoleRef,
    subjects: &'a [Subject],
    namespaced: bool,
}

impl<'a> Binding<'a> {
    fn of(binding: &'a RoleBinding) -> Self {
        let RoleBinding { metadata, role_ref, subjects } = binding;
        Self { metadata, role: role_ref, subjects: list(subjects), namespaced: true }
    }

    fn of_cluster(binding: &'a ClusterRoleBinding) -> Self {
        let ClusterRoleBinding { metadata, role_ref, subjects } = binding;
        Self { metadata, role: role_ref, subjects: list(subjects), namespaced: false }
    }

    /// `ValidateRoleBinding` and `ValidateClusterRoleBinding`.
    fn validate(&self) -> ErrorList {
        let mut errors = meta::validate(self.metadata, self.namespaced, names::is_path_segment_name);
        let path = Path::new("roleRef");
        check::supported(&mut errors, &path.child("apiGroup"), text(&self.role.api_group), &[GROUP]);
        let kinds: &[&str] = if self.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
        check::supported(&mut errors, &path.child("kind"), &self.role.kind, kinds);
        let name = self.role.name.as_str();
        check::required(&mut errors, &path.child("name"), name);
        invalid_each(&mut errors, &path.child("name"), name, names::is_path_segment_name(name));
        for (index, subject) in self.subjects.iter().enumerate() {
            self.validate_subject(&mut errors, &Path::new("subjects").index(index), subject);
        }
        errors
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        let mut errors = self.validate();
        errors.extend(meta::validate_update(self.metadata, old.metadata));
        if self.role != old.role {
            let shown = check::json(self.role);
            errors.push(FieldError::invalid(&Path::new("roleRef"), shown, "cannot change roleRef"));
        }
        errors
    }

    /// `validateRoleBindingSubject`.
    fn validate_subject(&self, errors: &mut ErrorList, path: &Path, subject: &Subject) {
        let (name, group) = (subject.name.as_str(), text(&subject.api_group));
        check::required(errors, &path.child("name"), name);
        match subject.kind.as_str() {
            "ServiceAccount" => {
                if !name.is_empty() {
                    check::dns_subdomain(errors, &path.child("name"), name);
                }
                if !group.is_empty() {
                    errors.push(FieldError::not_supported(&path.child("apiGroup"), group, &[""]));
                }
                if !self.namespaced {
                    check::required(errors, &path.child("namespace"), text(&subject.namespace));
                }
            }
            kind @ ("User" | "Group") => {
                if name.is_empty() {
                    let detail = format!("{} name cannot be empty", kind.to_lowercase());
                    errors.push(FieldError::invalid(&path.child("name"), name, detail));
                }
                check::supported(errors, &path.child("apiGroup"), group, &[GROUP]);
            }
            other => {
                let kinds = ["ServiceAccount", "User", "Group"];
                errors.push(FieldError::not_supported(&path.child("kind"), other, &kinds));
            }
        }
    }
}

pub(super) fn validate_binding(binding: &RoleBinding) -> ErrorList {
    Binding::of(binding).validate()
}

pub(super) fn validate_binding_update(new: &RoleBinding, old: &RoleBinding) -> ErrorList {
    Binding::of(new).validate_update(&Binding::of(old))
}

pub(super) fn validate_cluster_binding(binding: &ClusterRoleBinding) -> ErrorList {
    Binding::of_cluster(binding).validate()
}

pub(super) fn validate_cluster_binding_update(new: &ClusterRoleBinding, old: &ClusterRoleBinding) -> ErrorList {
    Binding::of_cluster(new).validate_update(&Binding::of_cluster(old))
}

pub(super) const ROLE_COLUMNS: &[ColumnDefinition] =
    &[NAME, ColumnDefinition { format: "date", ..ColumnDefinition::text("Created At", AGE.description) }];

/// `printRole`: with the moment of creation instead of an age.
pub(super) fn role_row(metadata: &ObjectMeta) -> Vec<Value> {
    let created = metadata.creation_timestamp.as_ref().map(|time| Time::from(time).to_string());
    vec![name_of(metadata), created.unwrap_or_default().into()]
}

pub(super) const BINDING_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Role",
        "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef \
         cannot be resolved, the Authorizer must return an error. This field is immutable.",
    ),
    AGE,
    ColumnDefinition::text("Users", "Users in the roleBinding").wide(),
    ColumnDefinition::text("Groups", "Groups in the roleBinding").wide(),
    ColumnDefinition::text("ServiceAccounts", "ServiceAccounts in the roleBinding").wide(),
];

pub(super) const CLUSTER_BINDING_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Role",
        "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the \
         Authorizer must return an error. This field is immutable.",
    ),
    AGE,
    ColumnDefinition::text("Users", "Users in the clusterRoleBinding").wide(),
    ColumnDefinition::text("Groups", "Groups in the clusterRoleBinding").wide(),
    ColumnDefinition::text("ServiceAccounts", "ServiceAccounts in the clusterRoleBinding").wide(),
];

/// `printRoleBinding` and `printClusterRoleBinding`.
pub(super) fn binding_row(metadata: &ObjectMeta, role: &RoleRef, subjects: &[Subject], now: Time) -> Vec<Value> {
    let names_of = |kind: &str| -> Value {
        let names = subjects.iter().filter(|subject| subject.kind == kind).map(|subject| match &subject.namespace {
            Some(namespace) if kind == "ServiceAccount" => format!("{namespace}/{}", subject.name),
            _ if kind == "ServiceAccount" => format!("/{}", subject.name),
            _ => subject.name.clone(),
        });
        names.collect::<Vec<_>>().join(", ").into()
    };
    vec![
        name_of(metadata),
        format!("{}/{}", role.kind, role.name).into(),
        age_of(metadata, now),
        names_of("User"),
        names_of("Group"),
        names_of("ServiceAccount"),
    ]
}
