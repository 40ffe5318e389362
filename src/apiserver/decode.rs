//! From what a request carries to a typed object.

use crate::api::{Kind, Object, OtherVersion, form};
use crate::machinery::field::{FieldError, Path};
use crate::machinery::status::Status;
use crate::machinery::{go_json, schema, strict};

use serde_json::Value;

use super::{Body, FieldValidation};

/// Decodes the object of a request as the kind that its address says.
pub(super) fn object(
    kind: Kind,
    body: Body,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Object, Status> {
    let value = match body {
        Body::Object(object) => {
            assert_eq!(object.kind(), kind, "a component sends an object to its own kind's address");
            return Ok(object);
        }
        Body::Json(value) => value,
    };
    if let Kind::Custom(custom) = kind {
        return super::custom::decode(custom, value, validation, warnings);
    }
    let info = kind.info();
    let version = kind.api_version();
    let value = match other_version(kind, &value) {
        Some(other) => from_other_version(other, &value, validation, warnings)?,
        None => value,
    };
    check_type(kind, &version, &value)?;
    let refused = |error: &str| Status::bad_request(strict::cannot_be_handled(&version, info.kind, error));
    decode(kind, &value, validation, warnings, &refused)
}

/// Decodes what a patch made of an object; what cannot be read is told as the patch's fault. The value need not have what
/// the patch leaves alone: `complete` puts that in, should the whole have to be shown.
pub(super) fn patched(
    kind: Kind,
    value: &Value,
    complete: &dyn Fn(&mut Value),
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Object, Status> {
    if let Kind::Custom(custom) = kind {
        return super::custom::decode(custom, value.clone(), validation, warnings);
    }
    let refused = |error: &str| {
        let mut whole = value.clone();
        complete(&mut whole);
        refused_patch(&whole, error)
    };
    let (said_version, said_kind) = strict::type_meta(value).map_err(Status::bad_request)?;
    if let Some(said) = Kind::from_manifest(said_version, said_kind).filter(|said| *said != kind) {
        return Err(refused(&unknown_conversion(said, kind)));
    }
    let (own_version, own_kind) = (kind.api_version(), kind.info().kind);
    if (said_version.is_empty() || said_version == own_version) && (said_kind.is_empty() || said_kind == own_kind) {
        return decode(kind, value, validation, warnings, &refused);
    }
    // Go knows other versions, and some that are no longer served, and converts them.
    let is_known = is_old_version(kind, said_version) || OtherVersion::from_manifest(said_version, own_kind).is_some();
    if !is_known || said_kind != own_kind {
        let why = format!("no kind {said_kind:?} is registered for version {said_version:?} in scheme {SCHEME:?}");
        return Err(refused(&why));
    }
    let mut value = value.clone();
    value["apiVersion"] = kind.api_version().into();
    decode(kind, &value, validation, warnings, &refused)
}

/// What a patch is answered with that makes something of an object that cannot be read.
pub(super) fn refused_patch(patched: &Value, error: &str) -> Status {
    let text = go_json::marshal(patched);
    Status::invalid("", "", "", &vec![FieldError::invalid(&Path::new("patch"), text, error)])
}

/// Decodes what server-side apply has merged; its fields are known to be those of the kind.
pub(super) fn merged(kind: Kind, value: Value) -> Result<Object, String> {
    if let Kind::Custom(custom) = kind {
        let decoded = super::custom::decode(custom, value, FieldValidation::Ignore, &mut Vec::new());
        return decoded.map_err(|status| status.message().to_owned());
    }
    let why = std::cell::RefCell::new(String::new());
    let refused = |error: &str| {
        error.clone_into(&mut why.borrow_mut());
        Status::internal(error)
    };
    decode(kind, &value, FieldValidation::Ignore, &mut Vec::new(), &refused).map_err(|_| why.take())
}

/// Decodes a manifest that reaches a kubelet by another way than the API server; what it has too much is dropped.
///
/// # Errors
/// What cannot be read, in the decoder's words.
pub fn decode_manifest(kind: Kind, value: Value) -> Result<Object, String> {
    merged(kind, value)
}

/// Decodes a value by a schema; what it has too much is refused, told or dropped.
fn strict_value(
    schema: &'static schema::Struct,
    value: &Value,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
    refused: &dyn Fn(&str) -> Status,
) -> Result<Value, Status> {
    let decoded = strict::decode(schema, value).map_err(|error| refused(&error))?;
    match validation {
        FieldValidation::Strict => {
            if let Some(error) = decoded.strict_error() {
                return Err(refused(&error));
            }
        }
        FieldValidation::Warn => warnings.extend(decoded.strict_errors),
        FieldValidation::Ignore => {}
    }
    Ok(decoded.value)
}

fn decode(
    kind: Kind,
    value: &Value,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
    refused: &dyn Fn(&str) -> Status,
) -> Result<Object, Status> {
    let schema = kind.schema().ok_or_else(|| Status::internal("the kind has no schema"))?;
    let mut value = strict_value(schema, value, validation, warnings, refused)?;
    form::tidy(kind, &mut value);
    Object::from_value(kind, &value).map_err(|error| refused(&error.to_string()))
}

/// The version that the object says it has, when it is not the one that is stored.
fn other_version(kind: Kind, value: &Value) -> Option<&'static OtherVersion> {
    let (version, said) = (value["apiVersion"].as_str()?, value["kind"].as_str()?);
    OtherVersion::from_manifest(version, said).filter(|other| other.kind == kind)
}

/// Decodes an object of another version strictly by that version's own fields, and converts it.
fn from_other_version(
    other: &OtherVersion,
    value: &Value,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Value, Status> {
    let (version, kind) = (other.api_version(), other.kind.info().kind);
    let refused = |error: &str| Status::bad_request(strict::cannot_be_handled(&version, kind, error));
    let schema = schema::lookup(&version, kind).ok_or_else(|| Status::internal("the version has no schema"))?;
    let decoded = strict_value(schema, value, validation, warnings, &refused)?;
    Ok(other.to_stored(decoded))
}

/// Where upstream makes the scheme that knows all kinds; it names the place in an error.
const SCHEME: &str = "pkg/api/legacyscheme/scheme.go:30";

/// Versions of a group's kinds that are not served any more, but still known to upstream's scheme.
const OLD_VERSIONS: &[(&str, &str)] = &[
    ("apps", "apps/v1beta1"),
    ("apps", "apps/v1beta2"),
    ("autoscaling", "autoscaling/v2beta1"),
    ("autoscaling", "autoscaling/v2beta2"),
    ("batch", "batch/v1beta1"),
    ("networking.k8s.io", "networking.k8s.io/v1beta1"),
    ("policy", "policy/v1beta1"),
    ("rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1beta1"),
    ("storage.k8s.io", "storage.k8s.io/v1beta1"),
];

/// Whether a version of a kind is known only because it was served once.
pub(super) fn is_old_version(kind: Kind, version: &str) -> bool {
    OLD_VERSIONS.contains(&(kind.info().group, version))
}

/// Both kinds are known, and there is no way from one to the other (`runtime.Scheme.ConvertToVersion`).
fn unknown_conversion(said: Kind, kind: Kind) -> String {
    let internal = kind.info().group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
    format!("converting ({}.{said}) to ({internal}.{kind}): unknown conversion", said.info().version)
}

/// What upstream says of a body that does not even tell its kind (`transformDecodeError`).
#[must_use]
pub fn unrecognized(kind: &str, error: &str, body: &[u8]) -> Status {
    const MAX: usize = 30;
    let start = &body[..body.len().min(MAX)];
    let mut shown = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(start).into_owned(),
        Some(_) => start.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if body.len() > MAX {
        shown += " ...";
    }
    Status::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {error} ({shown})"))
}

/// The object must say of itself what the address says of it.
fn check_type(kind: Kind, version: &str, value: &Value) -> Result<(), Status> {
    let (said_version, said_kind) = strict::type_meta(value)
        .map_err(|error| unrecognized(kind.info().kind, &error, value.to_string().as_bytes()))?;
    if (said_version.is_empty() || said_version == version) && (said_kind.is_empty() || said_kind == kind.info().kind) {
        return Ok(());
    }
    if let Some(said) = Kind::from_manifest(said_version, said_kind).filter(|said| *said != kind) {
        let error = unknown_conversion(said, kind);
        return Err(Status::bad_request(format!(
            "{said} in version {:?} cannot be handled as a {kind}: {error}",
            said.info().version,
        )));
    }
    if said_version == version {
        let why = format!("no kind {said_kind:?} is registered for version {version:?} in scheme {SCHEME:?}");
        return Err(Status::bad_request(format!(
            "{said_kind} in version {:?} cannot be handled as a {kind}: {why}",
            kind.info().version
        )));
    }
    let is_known = Kind::from_manifest(said_version, kind.info().kind).is_some()
        || OLD_VERSIONS.iter().any(|(_, version)| *version == said_version);
    if !is_known {
        let (_, short) = said_version.rsplit_once('/').unwrap_or(("", said_version));
        let why = format!("no kind {said_kind:?} is registered for version {said_version:?} in scheme {SCHEME:?}");
        return Err(Status::bad_request(format!(
            "{said_kind} in version {short:?} cannot be handled as a {kind}: {why}"
        )));
    }
    Err(Status::bad_request(format!(
        "the API version in the data ({said_version}) does not match the expected API version ({version})"
    )))
}
