//! What can be asked of the API server, and what it answers.

use std::sync::Arc;

use serde_json::Value;

use crate::api::table::{self, IncludeObject};
use crate::api::{Kind, Name, Object, ObjectKey, Subresource, form};
use crate::etcd::{Cause, Revision};
use crate::machinery::time::Time;

use super::authorization::COMPONENTS;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's name, such as `system:kube-scheduler`.
    pub name: Name,
    /// The groups the user is in.
    pub groups: Arc<[String]>,
}

impl User {
    /// A user in the groups given.
    pub fn new(name: impl Into<Name>, groups: &[&str]) -> Self {
        Self { name: name.into(), groups: groups.iter().map(|&group| group.to_owned()).collect() }
    }

    /// The user that somebody who may do everything asks to be taken for: `filters/impersonation.go`. Service accounts
    /// are in the groups of service accounts, and everybody is authenticated.
    #[must_use]
    pub fn impersonated(name: &str, groups: &[String]) -> Self {
        let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        let mut groups = groups.to_vec();
        if let Some((namespace, _)) = account.filter(|_| groups.is_empty()) {
            groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        }
        let is_in = |wanted: &str| groups.iter().any(|group| group == wanted);
        let everybody = if name == "system:anonymous" { "system:unauthenticated" } else { "system:authenticated" };
        if !is_in(everybody) && !is_in("system:unauthenticated") {
            groups.push(everybody.to_owned());
        }
        Self { name: name.into(), groups: groups.into() }
    }

    /// A part of the cluster itself, which may do what it has to.
    pub(crate) fn component(name: impl Into<Name>, groups: &[&str]) -> Self {
        let groups = groups.iter().chain(&[COMPONENTS]).map(|&group| group.to_owned());
        Self { name: name.into(), groups: groups.collect() }
    }

    /// The user that may do everything: `kubernetes-admin` in `system:masters`.
    #[must_use]
    pub fn admin() -> Self {
        Self::new("kubernetes-admin", &["system:masters", "system:authenticated"])
    }
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The kind.
    pub kind: Kind,
    /// The namespace; empty for cluster-scoped kinds and for lists over all namespaces.
    pub namespace: Name,
    /// The name; empty for collections.
    pub name: Name,
    /// What below the object, if anything.
    pub subresource: Option<Subresource>,
}

impl Target {
    /// One object.
    #[must_use]
    pub fn object(kind: Kind, key: &ObjectKey) -> Self {
        Self { kind, namespace: key.namespace.clone(), name: key.name.clone(), subresource: None }
    }

    /// All objects of a kind, in a namespace or, when that is empty, in all.
    pub fn collection(kind: Kind, namespace: impl Into<Name>) -> Self {
        Self { kind, namespace: namespace.into(), name: Name::from(""), subresource: None }
    }

    /// The key of the object.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// The same object's subresource.
    #[must_use]
    pub fn below(self, subresource: Subresource) -> Self {
        Self { subresource: Some(subresource), ..self }
    }
}

/// An object in a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Made by a component: its shape is right by construction.
    Object(Object),
    /// Came from outside: decoded strictly, or as `fieldValidation` says.
    Json(Value),
}

/// What happens to fields that the kind does not have: `fieldValidation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped in silence.
    Ignore,
    /// They are dropped with a warning.
    #[default]
    Warn,
    /// They are refused.
    Strict,
}

/// `CreateOptions`, `UpdateOptions` and `PatchOptions` in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Do everything but store.
    pub dry_run: bool,
    /// What to do about unknown and duplicate fields.
    pub field_validation: FieldValidation,
    /// Who manages the fields that are written; the client itself when it does not say.
    pub field_manager: Option<Name>,
    /// An apply takes the fields that others own.
    pub force: bool,
}

/// A change to an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7396.
    Merge(Value),
    /// Kubernetes's own, which knows the keys of lists.
    Strategic(Value),
    /// No change, but a part of the object as it shall be: server-side apply.
    Apply(Value),
}

/// What becomes of dependents when their owner is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay, without the owner.
    Orphan,
    /// They are deleted after the owner.
    Background,
    /// They are deleted before the owner.
    Foreground,
}

/// `DeleteOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds that the object gets to end by itself; the kind's default when absent.
    pub grace_period_seconds: Option<i64>,
    /// What becomes of dependents; the kind's default when absent.
    pub propagation: Option<Propagation>,
    /// The object must have this uid.
    pub uid: Option<String>,
    /// The object must be at this version.
    pub resource_version: Option<String>,
    /// Do everything but delete.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// With a precondition on the uid, as controllers delete.
    pub fn of_uid(uid: impl Into<String>) -> Self {
        Self { uid: Some(uid.into()), ..Self::default() }
    }

    /// With a propagation policy.
    #[must_use]
    pub fn propagate(self, propagation: Propagation) -> Self {
        Self { propagation: Some(propagation), ..self }
    }

    /// With a grace period in seconds.
    #[must_use]
    pub fn grace(self, seconds: i64) -> Self {
        Self { grace_period_seconds: Some(seconds), ..self }
    }
}

/// `resourceVersionMatch` of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    /// Exactly that version.
    Exact,
    /// That version or any newer.
    NotOlderThan,
}

/// `ListOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// `app=web,tier!=cache`
    pub label_selector: String,
    /// `spec.nodeName=node-1`
    pub field_selector: String,
    /// How many at most; 0 for all.
    pub limit: usize,
    /// Where the last page ended.
    pub continue_token: String,
    /// The version to list at; empty for the newest.
    pub resource_version: String,
    /// How to take that version.
    pub version_match: Option<VersionMatch>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the API's own verbs and their parts")]
pub enum Verb {
    Get,
    List(ListOptions),
    Create { body: Body, options: WriteOptions },
    Update { body: Body, options: WriteOptions },
    Patch { patch: Patch, options: WriteOptions },
    Delete(DeleteOptions),
    DeleteCollection(DeleteOptions, ListOptions),
}

impl Verb {
    /// The options of a write other than a deletion.
    #[must_use]
    pub const fn write_options(&self) -> Option<&WriteOptions> {
        match self {
            Self::Create { options, .. } | Self::Update { options, .. } | Self::Patch { options, .. } => Some(options),
            _ => None,
        }
    }

    /// As [`Self::write_options`], to be changed.
    pub const fn write_options_mut(&mut self) -> Option<&mut WriteOptions> {
        match self {
            Self::Create { options, .. } | Self::Update { options, .. } | Self::Patch { options, .. } => Some(options),
            _ => None,
        }
    }

    /// Whether it leaves everything as it is.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        matches!(self, Self::Get | Self::List(_))
    }

    /// Whether what it does is to be stored.
    #[must_use]
    pub const fn stores(&self) -> bool {
        match self {
            Self::Get | Self::List(_) => false,
            Self::Create { options, .. } | Self::Update { options, .. } | Self::Patch { options, .. } => {
                !options.dry_run
            }
            Self::Delete(options) | Self::DeleteCollection(options, _) => !options.dry_run,
        }
    }

    /// The verb as RBAC and audit name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List(_) => "list",
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Patch { .. } => "patch",
            Self::Delete(_) => "delete",
            Self::DeleteCollection(..) => "deletecollection",
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Who asks.
    pub user: User,
    /// What made them ask: recorded with every write.
    pub cause: Cause,
    /// About what.
    pub target: Target,
    /// What to do.
    pub verb: Verb,
}

/// Some objects of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// Their kind.
    pub kind: Kind,
    /// The objects, in the order of their keys.
    pub items: Vec<Object>,
    /// The version at which they were listed.
    pub revision: Revision,
    /// Where the next page begins; empty at the end.
    pub continue_token: String,
    /// How many more there are, when that is known.
    pub remaining: Option<usize>,
}

/// What a request that succeeded brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// An object.
    Object(Object),
    /// Several.
    List(List),
    /// Anything that is no stored kind: a `Scale`, a `Status` of success.
    Value(Value),
}

impl Response {
    /// The answer in the version of a custom kind that was asked for.
    #[must_use]
    #[inline(never)]
    pub(super) fn in_version(self, kind: Kind) -> Self {
        match (self, kind) {
            (Self::Object(object), Kind::Custom(_)) if object.kind() == kind => Self::Object(object.in_version(kind)),
            (Self::List(mut list), Kind::Custom(_)) => {
                list.kind = kind;
                list.items = list.items.into_iter().map(|object| object.in_version(kind)).collect();
                Self::List(list)
            }
            (response, _) => response,
        }
    }

    /// The answer as the JSON that goes over the wire.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Object(object) => object.to_value(),
            Self::Value(value) => value.clone(),
            Self::List(list) => serde_json::json!({
                "kind": list.kind.list_kind(),
                "apiVersion": list.kind.api_version(),
                "metadata": list.metadata(),
                "items": list.items.iter().map(Object::to_value).collect::<Vec<_>>(),
            }),
        }
    }
}

impl List {
    /// The list's own metadata.
    #[must_use]
    pub fn metadata(&self) -> Value {
        let mut metadata = serde_json::json!({ "resourceVersion": self.revision.to_string() });
        if !self.continue_token.is_empty() {
            metadata["continue"] = self.continue_token.clone().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }
}

impl Response {
    /// The answer as it goes over the wire: objects in the form that Go gives them.
    #[must_use]
    pub fn wire(&self) -> Value {
        match self {
            Self::Object(object) => form::encode(object),
            Self::Value(value) => value.clone(),
            Self::List(list) => serde_json::json!({
                "kind": list.kind.list_kind(),
                "apiVersion": list.kind.api_version(),
                "metadata": list.metadata(),
                "items": list.items.iter().map(form::encode).collect::<Vec<_>>(),
            }),
        }
    }

    /// The answer as a `Table`, for a client that accepts one; nothing for what has no columns.
    #[must_use]
    pub fn to_table(&self, include: IncludeObject, now: Time) -> Option<Value> {
        match self {
            Self::Object(object) => Some(table::table(object.kind(), std::slice::from_ref(object), include, now)),
            Self::List(list) => Some(table::table(list.kind, &list.items, include, now)),
            Self::Value(value) if value["kind"] == "Scale" => Some(table::scale_table(value, now)),
            Self::Value(_) => None,
        }
    }
}

/// An answer with what the server wants the user to know besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The answer.
    pub response: Response,
    /// `Warning` headers.
    pub warnings: Vec<String>,
    /// Whether there was no such object before.
    pub created: bool,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self { response, warnings: Vec::new(), created: false }
    }
}
