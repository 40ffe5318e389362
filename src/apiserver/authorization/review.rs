//! Questions about rights and identities, which are answered and not stored.
//!
//! Follows `kubernetes/pkg/registry/authorization/*/rest.go` and `pkg/registry/authentication/*/storage.go`.

use serde_json::{Value, json};

use super::{Attributes, decide, is_master, rbac};
use crate::api::Kind;
use crate::apiserver::{ApiServer, Body, Context, FieldValidation, Response, Target, User, decode, token};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::status::Status;

impl ApiServer {
    /// Answers a review.
    pub(in crate::apiserver) fn review(
        &self,
        context: &mut Context<'_>,
        target: &Target,
        body: Body,
        validation: FieldValidation,
    ) -> Result<Response, Status> {
        let mut review = decode::object(target.kind, body, validation, &mut context.warnings)?.to_value();
        let user = context.user().clone();
        let status = match target.kind {
            Kind::SelfSubjectReview => json!({ "userInfo": user_info(&user) }),
            Kind::SelfSubjectRulesReview => self.rules(&user, &review)?,
            Kind::TokenReview if review["spec"]["token"].as_str().unwrap_or("").is_empty() => {
                return Err(Status::bad_request("token is required for TokenReview in authentication"));
            }
            Kind::TokenReview => self.token_review(context, &review),
            kind => {
                let errors = validate(kind, &review, &target.namespace);
                if !errors.is_empty() {
                    let info = kind.info();
                    return Err(Status::invalid(info.group, info.kind, "", &errors));
                }
                let asked = if kind == Kind::SelfSubjectAccessReview { user } else { named_user(&review["spec"]) };
                self.access(&asked, &review["spec"])
            }
        };
        review["status"] = status;
        Ok(Response::Value(review))
    }

    /// Whether the user may do what the review asks about.
    fn access(&self, user: &User, spec: &Value) -> Value {
        let decision = decide(&self.etcd, user, &attributes(spec));
        let mut status = json!({ "allowed": decision.allowed });
        if !decision.reason.is_empty() {
            let (field, text) = if decision.allowed {
                ("reason", decision.reason.clone())
            } else {
                ("evaluationError", decision.reason.trim_start_matches("RBAC: ").to_owned())
            };
            status[field] = text.into();
        }
        status
    }

    /// Everything that the user may do in a namespace.
    fn rules(&self, user: &User, review: &Value) -> Result<Value, Status> {
        let namespace = review["spec"]["namespace"].as_str().unwrap_or("");
        if namespace.is_empty() {
            return Err(Status::bad_request("no namespace on request"));
        }
        let (mut resources, mut urls) = (Vec::new(), Vec::new());
        let errors = rbac::visit_rules(&self.etcd, user, namespace, &mut |rule, _| {
            if rule.non_resource_urls.as_ref().is_some_and(|urls| !urls.is_empty()) {
                urls.push(json!({ "verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls }));
            }
            if rule.resources.as_ref().is_some_and(|resources| !resources.is_empty()) {
                let mut entry =
                    json!({ "verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources });
                if let Some(names) = rule.resource_names.as_ref().filter(|names| !names.is_empty()) {
                    entry["resourceNames"] = json!(names);
                }
                resources.push(entry);
            }
            true
        });
        let mut status =
            json!({ "resourceRules": resources, "nonResourceRules": urls, "incomplete": !errors.is_empty() });
        if !errors.is_empty() {
            status["evaluationError"] = errors.join(", ").into();
        }
        Ok(status)
    }

    fn token_review(&self, context: &Context<'_>, review: &Value) -> Value {
        let token = review["spec"]["token"].as_str().unwrap_or("");
        let mut wanted: Vec<&str> =
            review["spec"]["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if wanted.is_empty() {
            wanted.push(token::AUDIENCE);
        }
        match token::bearer(&self.etcd, context.now, token, &wanted) {
            Ok(bearer) => {
                let mut info = user_info(&bearer.user);
                info["extra"] = bearer.extra;
                json!({ "authenticated": true, "user": info, "audiences": bearer.audiences })
            }
            Err(error) => json!({ "user": {}, "error": error }),
        }
    }
}

/// A user as `authentication.UserInfo`.
fn user_info(user: &User) -> Value {
    let mut info = json!({ "username": &*user.name });
    let groups: Vec<&String> = user.groups.iter().filter(|group| *group != super::COMPONENTS).collect();
    if !groups.is_empty() {
        info["groups"] = json!(groups);
    }
    // What a client that shows a certificate is told of it: the certificate of this cluster's admin never was.
    if is_master(user) && *user.name == *"kubernetes-admin" {
        info["extra"] = json!({ "authentication.kubernetes.io/credential-id": [CREDENTIAL] });
    }
    info
}

/// Stands for the fingerprint of the admin's certificate.
const CREDENTIAL: &str = "X509SHA256=0000000000000000000000000000000000000000000000000000000000000000";

fn named_user(spec: &Value) -> User {
    let groups: Vec<&str> = spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    User::new(spec["user"].as_str().unwrap_or(""), &groups)
}

fn attributes(spec: &Value) -> Attributes<'_> {
    fn text<'a>(value: &'a Value, field: &str) -> &'a str {
        value[field].as_str().unwrap_or("")
    }
    let path = &spec["nonResourceAttributes"];
    if path.is_object() {
        return Attributes::Path { verb: text(path, "verb"), path: text(path, "path") };
    }
    let resource = &spec["resourceAttributes"];
    Attributes::Resource {
        verb: text(resource, "verb"),
        namespace: text(resource, "namespace"),
        group: text(resource, "group"),
        resource: text(resource, "resource"),
        subresource: text(resource, "subresource"),
        name: text(resource, "name"),
    }
}

/// `ValidateSubjectAccessReviewSpec` and its like.
fn validate(kind: Kind, review: &Value, namespace: &str) -> ErrorList {
    let (spec, path) = (&review["spec"], Path::new("spec"));
    let mut errors = ErrorList::new();
    let (resource, url) = (spec["resourceAttributes"].is_object(), spec["nonResourceAttributes"].is_object());
    if resource && url {
        let detail = "cannot be specified in combination with resourceAttributes";
        // It has no names for JSON inside.
        let text = |field: &str| spec["nonResourceAttributes"][field].as_str().unwrap_or("");
        let shown = json!({ "Path": text("path"), "Verb": text("verb") });
        errors.push(FieldError::invalid(&path.child("nonResourceAttributes"), shown, detail));
    }
    if !resource && !url {
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(FieldError::invalid(&path.child("resourceAttributes"), Value::Null, detail));
    }
    if kind != Kind::SelfSubjectAccessReview {
        let is_empty = |field: &str| match &spec[field] {
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => true,
        };
        if is_empty("user") && is_empty("groups") {
            let detail = "at least one of user or group must be specified";
            errors.push(FieldError::invalid(&path.child("user"), "", detail));
        }
    }
    if kind == Kind::LocalSubjectAccessReview {
        if spec["resourceAttributes"]["namespace"].as_str().unwrap_or("") != namespace {
            let at = path.child("resourceAttributes").child("namespace");
            let shown = spec["resourceAttributes"]["namespace"].as_str().unwrap_or("");
            errors.push(FieldError::invalid(&at, shown, "must match metadata.namespace"));
        }
        if url {
            let at = path.child("nonResourceAttributes");
            errors.push(FieldError::invalid(&at, Value::Null, "disallowed on this kind of request"));
        }
    }
    errors
}
