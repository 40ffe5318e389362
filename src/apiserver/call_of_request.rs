//! A request as it would go over HTTP: what a session's log keeps of a client that lives in the same program.

use serde_json::{Value, json};

use super::call::{Call, Caller};
use super::{
    Body, DeleteOptions, FieldValidation, ListOptions, Patch, Propagation, Request, Target, User, Verb, VersionMatch,
    WriteOptions,
};

impl Call {
    /// The call that asks for the same as a request. `line` is the command line that it comes from.
    ///
    /// Its own [`Call::request`] is the request again, but for the cause, which is worked out anew.
    #[must_use]
    pub fn of_request(request: &Request, line: &str) -> Self {
        let mut query = Vec::new();
        let (method, content_type, body) = parts(&request.verb, &mut query);
        let user = (request.user != User::admin()).then(|| Caller::of(&request.user));
        Self {
            method: method.to_owned(),
            path: format!("{}{}", path(&request.target), Pairs(&query)),
            content_type: content_type.to_owned(),
            body,
            client: request.cause.actor.to_string(),
            line: line.to_owned(),
            user,
        }
    }
}

type Query = Vec<(&'static str, String)>;

/// Method, media type and body of a verb; what goes into the address is added to the query.
fn parts(verb: &Verb, query: &mut Query) -> (&'static str, &'static str, Value) {
    if let Some(options) = verb.write_options() {
        write_query(options, query);
    }
    match verb {
        Verb::Get => ("GET", "", Value::Null),
        Verb::List(options) => {
            list_query(options, query);
            ("GET", "", Value::Null)
        }
        Verb::Create { body, .. } => ("POST", "application/json", json_of(body)),
        Verb::Update { body, .. } => ("PUT", "application/json", json_of(body)),
        Verb::Patch { patch, .. } => {
            let (media, body) = match patch {
                Patch::Json(body) => ("application/json-patch+json", body),
                Patch::Merge(body) => ("application/merge-patch+json", body),
                Patch::Strategic(body) => ("application/strategic-merge-patch+json", body),
                Patch::Apply(body) => ("application/apply-patch+yaml", body),
            };
            ("PATCH", media, body.clone())
        }
        Verb::Delete(options) => ("DELETE", "application/json", delete_body(options)),
        Verb::DeleteCollection(options, list) => {
            list_query(list, query);
            ("DELETE", "application/json", delete_body(options))
        }
    }
}

fn json_of(body: &Body) -> Value {
    match body {
        Body::Object(object) => object.to_value(),
        Body::Json(value) => value.clone(),
    }
}

fn delete_body(options: &DeleteOptions) -> Value {
    let mut body = json!({ "kind": "DeleteOptions", "apiVersion": "v1" });
    if let Some(seconds) = options.grace_period_seconds {
        body["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(propagation) = options.propagation {
        let policy = match propagation {
            Propagation::Orphan => "Orphan",
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
        };
        body["propagationPolicy"] = policy.into();
    }
    if let Some(uid) = &options.uid {
        body["preconditions"]["uid"] = uid.as_str().into();
    }
    if let Some(version) = &options.resource_version {
        body["preconditions"]["resourceVersion"] = version.as_str().into();
    }
    if options.dry_run {
        body["dryRun"] = json!(["All"]);
    }
    body
}

fn write_query(options: &WriteOptions, query: &mut Query) {
    if options.dry_run {
        query.push(("dryRun", "All".to_owned()));
    }
    match options.field_validation {
        FieldValidation::Warn => {}
        FieldValidation::Strict => query.push(("fieldValidation", "Strict".to_owned())),
        FieldValidation::Ignore => query.push(("fieldValidation", "Ignore".to_owned())),
    }
    if let Some(manager) = &options.field_manager {
        query.push(("fieldManager", manager.to_string()));
    }
    if options.force {
        query.push(("force", "true".to_owned()));
    }
}

fn list_query(options: &ListOptions, query: &mut Query) {
    let texts = [
        ("labelSelector", &options.label_selector),
        ("fieldSelector", &options.field_selector),
        ("continue", &options.continue_token),
        ("resourceVersion", &options.resource_version),
    ];
    query.extend(texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, text.clone())));
    if options.limit > 0 {
        query.push(("limit", options.limit.to_string()));
    }
    if let Some(version_match) = options.version_match {
        let text = match version_match {
            VersionMatch::Exact => "Exact",
            VersionMatch::NotOlderThan => "NotOlderThan",
        };
        query.push(("resourceVersionMatch", text.to_owned()));
    }
}

/// `/apis/apps/v1/namespaces/default/deployments/web/scale`
fn path(target: &Target) -> String {
    let info = target.kind.info();
    let mut path = match info.group {
        "" => format!("/api/{}", info.version),
        group => format!("/apis/{group}/{}", info.version),
    };
    if info.namespaced && !target.namespace.is_empty() {
        path.push_str(&format!("/namespaces/{}", encoded(&target.namespace)));
    }
    path.push_str(&format!("/{}", info.plural));
    if !target.name.is_empty() {
        path.push_str(&format!("/{}", encoded(&target.name)));
    }
    if let Some(subresource) = target.subresource {
        path.push_str(&format!("/{}", subresource.as_str()));
    }
    path
}

/// A text in which nothing means anything to an address.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The pairs of a query behind their question mark; nothing when there are none.
struct Pairs<'a>(&'a Query);

impl std::fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={}", if index == 0 { '?' } else { '&' }, encoded(value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Kind, ObjectKey, Subresource};
    use crate::apiserver::ApiServer;
    use crate::etcd::{Cause, Why};

    #[test]
    fn a_call_asks_for_what_the_request_asked_for() {
        let web = || Target::object(Kind::Deployment, &ObjectKey::new("default", "web"));
        let options = WriteOptions {
            dry_run: true,
            field_validation: FieldValidation::Strict,
            field_manager: Some("kubectl client-side apply".into()),
            force: true,
        };
        let plain = WriteOptions { field_validation: FieldValidation::Warn, ..WriteOptions::default() };
        let body = || Body::Json(json!({"metadata": {"name": "a&b"}}));
        let list = ListOptions {
            label_selector: "app in (a, b),tier!=c".to_owned(),
            limit: 5,
            resource_version: "7".to_owned(),
            version_match: Some(VersionMatch::Exact),
            ..ListOptions::default()
        };
        let deletion = DeleteOptions {
            grace_period_seconds: Some(0),
            propagation: Some(Propagation::Orphan),
            uid: Some("u".to_owned()),
            resource_version: Some("9".to_owned()),
            dry_run: true,
        };
        let cases = [
            (web(), Verb::Get),
            (Target::collection(Kind::Pod, ""), Verb::List(list.clone())),
            (Target::collection(Kind::Deployment, "default"), Verb::Create { body: body(), options: plain.clone() }),
            (Target::object(Kind::Namespace, &ObjectKey::new("", "x")), Verb::Get),
            (web(), Verb::Update { body: body(), options: plain.clone() }),
            (web().below(Subresource::Scale), Verb::Patch { patch: Patch::Merge(json!({"a": 1})), options: plain }),
            (web(), Verb::Patch { patch: Patch::Apply(json!({"a": 1})), options }),
            (web(), Verb::Delete(deletion)),
            (Target::collection(Kind::Pod, "default"), Verb::DeleteCollection(DeleteOptions::default(), list)),
        ];
        for (target, verb) in cases {
            let cause = Cause::new("kubectl", Why::default());
            let user = User::impersonated("jane", &["team a".to_owned()]);
            let request = Request { user, cause, target, verb };
            let call = Call::of_request(&request, "kubectl do it");
            let again = call.request(&ApiServer::new()).unwrap_or_else(|error| panic!("{call:?}: {error}"));
            assert_eq!(Request { cause: request.cause.clone(), ..again }, request, "{call:?}");
        }
    }
}
