//! A request as HTTP has it: what the log of a session keeps of a real client's writes.
//!
//! `k8s.io/apiserver/pkg/endpoints/handlers/{create,update,patch,delete,get}.go`: which verb a method means, and how
//! its options are read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::address::{Query, unknown_address};
use super::{
    ApiServer, Body, DeleteOptions, FieldValidation, ListOptions, Patch, Propagation, Request, Target, User, Verb,
    VersionMatch, WriteOptions,
};
use crate::api::{Kind, Name, Subresource};
use crate::etcd::{Cause, Why};
use crate::machinery::field::{FieldError, Path};
use crate::machinery::status::{Reason, Status};

/// `FieldManagerMaxLength`.
const FIELD_MANAGER_BYTES_MAX: usize = 128;

/// A request in the words of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Call {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The address with its query.
    pub path: String,
    /// The media type of the body, which says what sort of patch it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub content_type: String,
    /// The body, read; `null` when there is none.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// The client's name, such as `kubectl`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// The command line that it comes from, where that is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub line: String,
    /// Who sends it; the administrator when that is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Caller>,
}

/// Who sends a call, as they were authenticated or impersonated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Caller {
    /// The name.
    pub name: String,
    /// The uid, if there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// More that is known, as names and values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

impl Caller {
    /// The caller that is a user.
    #[must_use]
    pub fn of(user: &User) -> Self {
        Self { name: user.name.to_string(), groups: user.groups.to_vec(), ..Self::default() }
    }

    /// The user that the caller is.
    #[must_use]
    pub fn user(&self) -> User {
        User { name: Name::from(self.name.as_str()), groups: self.groups.clone().into() }
    }
}

impl Call {
    /// What the call asks of the API server.
    ///
    /// # Errors
    /// The refusal of a call that asks for nothing that there is.
    pub fn request(&self, api: &ApiServer) -> Result<Request, Status> {
        let target = api.address(&self.path)?;
        let query = Query::of(&self.path);
        let verb = self.verb(&target, &query)?;
        if verb == Verb::Get {
            super::read::check_version(query.get("resourceVersion"), api.etcd().revision())?;
        }
        let actor = if self.client.is_empty() { "unknown" } else { &self.client };
        let object = [target.kind.to_string(), self.object_name(&target)];
        let why = match verb {
            _ if !self.line.is_empty() => Why::new("You ran {}.", [self.line.clone()]),
            Verb::Delete(_) | Verb::DeleteCollection(..) => Why::new("You deleted {} {}.", object),
            _ => Why::new("You changed {} {}.", object),
        };
        let user = self.user.as_ref().map_or_else(User::admin, Caller::user);
        Ok(Request { user, cause: Cause::new(actor, why), target, verb })
    }

    fn object_name(&self, target: &Target) -> String {
        let name = if target.name.is_empty() { self.body["metadata"]["name"].as_str() } else { Some(&*target.name) };
        name.unwrap_or("").to_owned()
    }

    fn verb(&self, target: &Target, query: &Query) -> Result<Verb, Status> {
        let is_collection = target.name.is_empty();
        let body = || Body::Json(self.body.clone());
        match self.method.as_str() {
            "GET" | "HEAD" if is_collection => Ok(Verb::List(list_options(query)?)),
            "GET" | "HEAD" => Ok(Verb::Get),
            "POST" if is_collection != target.subresource.is_some() => {
                if target.kind.info().namespaced && target.namespace.is_empty() {
                    return Err(Status::method_not_allowed());
                }
                Ok(Verb::Create { body: body(), options: write_options(query, "CreateOptions")? })
            }
            "PUT" if !is_collection => {
                Ok(Verb::Update { body: body(), options: write_options(query, "UpdateOptions")? })
            }
            "PATCH" if !is_collection => {
                let patch = self.patch(target)?;
                let options = write_options(query, "PatchOptions")?;
                check_patch_options(&patch, query)?;
                Ok(Verb::Patch { patch, options })
            }
            "DELETE" if is_collection && target.kind == Kind::Namespace => Err(Status::method_not_allowed()),
            "DELETE" if target.subresource.is_some() => Err(Status::method_not_allowed()),
            "DELETE" => {
                let options = delete_options(query, &self.body)?;
                if is_collection {
                    return Ok(Verb::DeleteCollection(options, list_options(query)?));
                }
                Ok(Verb::Delete(options))
            }
            "POST" | "PUT" | "PATCH" => Err(Status::method_not_allowed()),
            _ => Err(unknown_address()),
        }
    }

    fn patch(&self, target: &Target) -> Result<Patch, Status> {
        let body = self.body.clone();
        match media_type(&self.content_type) {
            "application/json-patch+json" => Ok(Patch::Json(body)),
            "application/merge-patch+json" => Ok(Patch::Merge(body)),
            // A Scale is patched in the version of its own group, which knows no other way either.
            "application/strategic-merge-patch+json" if target.subresource == Some(Subresource::Scale) => {
                Ok(Patch::Merge(body))
            }
            "application/strategic-merge-patch+json" => Ok(Patch::Strategic(body)),
            "application/apply-patch+yaml" => match body {
                Value::Object(_) => Ok(Patch::Apply(body)),
                // Where there is no body yet, it is only asked whether there is such a way.
                Value::Null => Ok(Patch::Apply(body)),
                other => Err(Status::bad_request(format!(
                    "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go \
                     value of type map[string]interface {{}}",
                    json_word(&other)
                ))),
            },
            _ => Err(Status::new(Reason::UnsupportedMediaType, "415: Unsupported Media Type")),
        }
    }
}

/// The media type of a `Content-Type` without its parameters.
#[must_use]
pub fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or("").trim()
}

fn invalid_options(kind: &str, error: FieldError) -> Status {
    Status::invalid("meta.k8s.io", kind, "", &vec![error])
}

/// Whether nothing is to be stored: `dryRun`, which knows one value.
fn dry_run(given: &[&str], kind: &str) -> Result<bool, Status> {
    let given: Vec<&str> = given.iter().copied().filter(|value| !value.is_empty()).collect();
    if given.iter().any(|value| *value != "All") {
        let error = FieldError::not_supported(&Path::new("dryRun"), serde_json::json!(given), &["All"]);
        return Err(invalid_options(kind, error));
    }
    Ok(!given.is_empty())
}

/// What JSON calls a value, in Go's errors.
const fn json_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `ValidatePatchOptions`, as far as it is not like that of other writes.
fn check_patch_options(patch: &Patch, query: &Query) -> Result<(), Status> {
    let error = match patch {
        Patch::Apply(_) if query.get("fieldManager").is_empty() => {
            FieldError::required(&Path::new("fieldManager"), "is required for apply patch")
        }
        Patch::Apply(_) => return Ok(()),
        _ if query.has("force") => {
            FieldError::forbidden(&Path::new("force"), "may not be specified for non-apply patch")
        }
        _ => return Ok(()),
    };
    Err(invalid_options("PatchOptions", error))
}

/// `ValidateFieldManager`.
fn field_manager(query: &Query, kind: &str) -> Result<Option<Name>, Status> {
    let manager = query.get("fieldManager");
    let path = Path::new("fieldManager");
    if manager.len() > FIELD_MANAGER_BYTES_MAX {
        return Err(invalid_options(kind, FieldError::too_long(&path, FIELD_MANAGER_BYTES_MAX)));
    }
    if let Some((at, sign)) = manager.char_indices().find(|(_, sign)| sign.is_control()) {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(sign));
        return Err(invalid_options(kind, FieldError::invalid(&path, manager, &detail)));
    }
    Ok(Some(manager).filter(|manager| !manager.is_empty()).map(Name::from))
}

fn write_options(query: &Query, kind: &str) -> Result<WriteOptions, Status> {
    let field_validation = match query.get("fieldValidation") {
        "" | "Warn" => FieldValidation::Warn,
        "Strict" => FieldValidation::Strict,
        "Ignore" => FieldValidation::Ignore,
        other => {
            let known = ["", "Ignore", "Strict", "Warn"];
            let error = FieldError::not_supported(&Path::new("fieldValidation"), other, &known);
            return Err(invalid_options(kind, error));
        }
    };
    let given: Vec<&str> = query.all("dryRun").collect();
    Ok(WriteOptions {
        dry_run: dry_run(&given, kind)?,
        field_validation,
        field_manager: field_manager(query, kind)?,
        force: query.is_on("force"),
    })
}

/// `DeleteOptions`: the body's, or the query's when there is none.
fn delete_options(query: &Query, body: &Value) -> Result<DeleteOptions, Status> {
    const KIND: &str = "DeleteOptions";
    if !body.is_null() {
        return delete_options_of_body(body);
    }
    if query.has("orphanDependents") && query.has("propagationPolicy") {
        return Err(two_policies(query.get("propagationPolicy")));
    }
    let given: Vec<&str> = query.all("dryRun").collect();
    let grace_period_seconds = match query.get("gracePeriodSeconds") {
        "" => None,
        text => Some(text.parse().map_err(|_| Status::bad_request(parse_int_error(text)))?),
    };
    Ok(DeleteOptions {
        grace_period_seconds,
        propagation: propagation(query.get("propagationPolicy"), query.is_on("orphanDependents"))?,
        dry_run: dry_run(&given, KIND)?,
        ..DeleteOptions::default()
    })
}

fn delete_options_of_body(body: &Value) -> Result<DeleteOptions, Status> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if body["kind"].as_str().is_some_and(|kind| kind != "DeleteOptions") || !body.is_object() {
        return Err(Status::bad_request("expected a DeleteOptions object"));
    }
    if !body["orphanDependents"].is_null() && !body["propagationPolicy"].is_null() {
        return Err(two_policies(body["propagationPolicy"].as_str().unwrap_or("")));
    }
    let given: Vec<&str> = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    Ok(DeleteOptions {
        grace_period_seconds: body["gracePeriodSeconds"].as_i64(),
        propagation: propagation(
            body["propagationPolicy"].as_str().unwrap_or(""),
            body["orphanDependents"].as_bool().unwrap_or(false),
        )?,
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        dry_run: dry_run(&given, "DeleteOptions")?,
    })
}

/// An old and a new word about the dependents.
fn two_policies(policy: &str) -> Status {
    let detail = "orphanDependents and deletionPropagation cannot be both set";
    invalid_options("DeleteOptions", FieldError::invalid(&Path::new("propagationPolicy"), policy, detail))
}

fn propagation(policy: &str, orphan_dependents: bool) -> Result<Option<Propagation>, Status> {
    match policy {
        "" if orphan_dependents => Ok(Some(Propagation::Orphan)),
        "" => Ok(None),
        "Orphan" => Ok(Some(Propagation::Orphan)),
        "Background" => Ok(Some(Propagation::Background)),
        "Foreground" => Ok(Some(Propagation::Foreground)),
        other => {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            let error = FieldError::not_supported(&Path::new("propagationPolicy"), other, &known);
            Err(invalid_options("DeleteOptions", error))
        }
    }
}

fn parse_int_error(text: &str) -> String {
    format!("strconv.ParseInt: parsing {text:?}: invalid syntax")
}

/// An option that is a number must be one, before anything else is asked.
pub(crate) fn check_integer(query: &Query, option: &str) -> Result<(), Status> {
    match query.get(option) {
        "" => Ok(()),
        text => text.parse::<i64>().map(|_| ()).map_err(|_| Status::bad_request(parse_int_error(text))),
    }
}

/// `ValidateListOptions` of `apimachinery/pkg/apis/meta/internalversion/validation`.
fn list_option_errors(query: &Query) -> Vec<FieldError> {
    let (wanted, version) = (query.get("resourceVersionMatch"), query.get("resourceVersion"));
    let path = Path::new("resourceVersionMatch");
    let mut errors = Vec::new();
    if !wanted.is_empty() {
        if version.is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            errors.push(FieldError::forbidden(&path, why));
        }
        if !query.get("continue").is_empty() {
            errors.push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(wanted, "Exact" | "NotOlderThan") {
            errors.push(FieldError::not_supported(&path, wanted, &["Exact", "NotOlderThan", ""]));
        }
        if wanted == "Exact" && version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.push(FieldError::forbidden(&path, why));
        }
    }
    if query.has("sendInitialEvents") {
        let why = "sendInitialEvents is forbidden for list";
        errors.push(FieldError::forbidden(&Path::new("sendInitialEvents"), why));
    }
    errors
}

/// `ListOptions` of a list.
fn list_options(query: &Query) -> Result<ListOptions, Status> {
    check_integer(query, "timeoutSeconds")?;
    check_integer(query, "limit")?;
    let errors = list_option_errors(query);
    if !errors.is_empty() {
        return Err(Status::invalid("meta.k8s.io", "ListOptions", "", &errors));
    }
    let version_match = match query.get("resourceVersionMatch") {
        "Exact" => Some(VersionMatch::Exact),
        "NotOlderThan" => Some(VersionMatch::NotOlderThan),
        _ => None,
    };
    let limit = query.get("limit").parse::<i64>().unwrap_or(0);
    Ok(ListOptions {
        label_selector: query.get("labelSelector").to_owned(),
        field_selector: query.get("fieldSelector").to_owned(),
        limit: usize::try_from(limit).unwrap_or(0),
        continue_token: query.get("continue").to_owned(),
        resource_version: query.get("resourceVersion").to_owned(),
        version_match,
    })
}
