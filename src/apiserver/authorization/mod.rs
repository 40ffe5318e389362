//! Who may do what.
//!
//! Follows `k8s.io/apiserver/pkg/endpoints/filters/authorization.go` and
//! `kubernetes/plugin/pkg/auth/authorizer/rbac`. Members of `system:masters` may do everything, as upstream's first
//! authorizer lets them; all others what roles are bound to them for.
//!
//! The roles of the control plane's own components are stored, for people to see, but do not decide: their requests carry
//! the group [`COMPONENTS`], which stands for them.

pub(super) mod escalation;
mod node;
mod policy;
mod rbac;
mod review;

pub(super) use node::identity as node_identity;
pub(crate) use policy::policy;

use crate::api::{Kind, Name, Subresource};
use crate::etcd::Etcd;
use crate::machinery::status::{Details, Reason, Status};
use crate::machinery::time::Time;

use super::{ApiServer, Context, Request, Target, User, Verb};

/// The group whose members may do everything.
const MASTERS: &str = "system:masters";
/// The group of requests that components of the cluster itself make.
pub(super) const COMPONENTS: &str = "kubetab:components";

/// What somebody wants to do: `authorizer.AttributesRecord`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attributes<'a> {
    /// Something to objects of the API.
    Resource {
        /// `get`, `list`, `watch`, `create` …
        verb: &'a str,
        /// The namespace; empty for the whole cluster.
        namespace: &'a str,
        /// The API group.
        group: &'a str,
        /// The resource's plural name.
        resource: &'a str,
        /// What below it, or empty.
        subresource: &'a str,
        /// The object, or empty.
        name: &'a str,
    },
    /// Something else that the server has, such as `/healthz`.
    Path {
        /// `get`, `post` …
        verb: &'a str,
        /// The path.
        path: &'a str,
    },
}

/// What came of the question.
pub(crate) struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why, in the authorizer's words.
    pub reason: String,
}

/// Whether a user may do it.
pub(crate) fn decide(etcd: &Etcd, user: &User, attributes: &Attributes<'_>) -> Decision {
    if is_master(user) {
        return Decision { allowed: true, reason: String::new() };
    }
    // As with `--authorization-mode=Node,RBAC`: what the first does not allow, the second may.
    let of_node = node::decide(etcd, user, attributes);
    if let Some(decision) = of_node.as_ref().filter(|decision| decision.allowed) {
        return Decision { allowed: true, reason: decision.reason.clone() };
    }
    let of_roles = rbac::decide(etcd, user, attributes);
    match of_node {
        Some(of_node) if !of_roles.allowed && of_roles.reason.is_empty() => of_node,
        _ => of_roles,
    }
}

/// Whether a request is one of the cluster's own components.
pub(super) fn is_component(user: &User) -> bool {
    user.groups.iter().any(|group| group == COMPONENTS)
}

fn is_master(user: &User) -> bool {
    user.groups.iter().any(|group| group == MASTERS)
}

impl ApiServer {
    /// Refuses a request whose user may not make it.
    pub(super) fn authorize_request(&self, request: &Request) -> Result<(), Status> {
        if is_component(&request.user) || is_master(&request.user) {
            return Ok(());
        }
        self.authorize(&request.user, verb(&request.verb, &request.target), &request.target)
    }

    /// Refuses what a user may not do: `verb` is `watch`, `get`, `create` …
    ///
    /// # Errors
    /// `Forbidden`, which says who may not do what where.
    pub fn authorize(&self, user: &User, verb: &str, target: &Target) -> Result<(), Status> {
        let info = target.kind.info();
        let attributes = Attributes::Resource {
            verb,
            namespace: namespace_of(target),
            group: info.group,
            resource: info.plural,
            subresource: target.subresource.map_or("", Subresource::as_str),
            name: &target.name,
        };
        self.authorize_attributes(user, &attributes)
    }

    /// Refuses what a user may not do.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn authorize_attributes(&self, user: &User, attributes: &Attributes<'_>) -> Result<(), Status> {
        let decision = decide(&self.etcd, user, attributes);
        if decision.allowed { Ok(()) } else { Err(forbidden(user, attributes, &decision.reason)) }
    }

    /// The user that a token makes its bearer.
    ///
    /// # Errors
    /// `Unauthorized` for a token that is not taken.
    pub fn authenticate(&self, now: Time, token: &str) -> Result<User, Status> {
        let bearer = super::token::bearer(&self.etcd, now, token, &[super::token::AUDIENCE]);
        bearer.map(|bearer| bearer.user).map_err(|_| Status::new(Reason::Unauthorized, "Unauthorized"))
    }

    /// Refuses a path that a user may not read, such as `/healthz`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn authorize_path(&self, user: &User, path: &str) -> Result<(), Status> {
        self.authorize_attributes(user, &Attributes::Path { verb: "get", path })
    }
}

/// A namespace is in itself, for the authorizer: `RequestInfoFactory`.
fn namespace_of(target: &Target) -> &str {
    if target.kind == Kind::Namespace { &target.name } else { &target.namespace }
}

/// The verb that roles speak of.
fn verb(verb: &Verb, target: &Target) -> &'static str {
    match verb {
        Verb::Get if target.name.is_empty() => "list",
        other => other.as_str(),
    }
}

/// `responsewriters.Forbidden`.
fn forbidden(user: &User, attributes: &Attributes<'_>, reason: &str) -> Status {
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match attributes {
        Attributes::Path { verb, path } => {
            let message = format!("forbidden: User {:?} cannot {verb} path {path:?}{why}", &*user.name);
            Status::with_details(Reason::Forbidden, message, Details::default())
        }
        Attributes::Resource { verb, namespace, group, resource, subresource, name } => {
            let place = if namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {namespace:?}")
            };
            let below = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
            let text = format!(
                "User {:?} cannot {verb} resource \"{resource}{below}\" in API group {group:?} {place}{why}",
                &*user.name
            );
            Status::forbidden(group, resource, name, &text)
        }
    }
}

/// The user that a service account is.
pub(crate) fn service_account(namespace: &str, name: &str) -> User {
    let of_namespace = format!("system:serviceaccounts:{namespace}");
    User::new(
        Name::from(format!("system:serviceaccount:{namespace}:{name}")),
        &["system:serviceaccounts", &of_namespace, "system:authenticated"],
    )
}

impl Context<'_> {
    /// Who asks.
    pub(super) const fn user(&self) -> &User {
        &self.user
    }
}
