//! From what a request carries to a typed object.

use crate::api::{Kind, Object};
use crate::machinery::status::Status;

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
    let _ = (validation, &warnings);
    Object::from_value(kind, value).map_err(|error| {
        let info = kind.info();
        Status::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {error}",
            info.kind, info.version, info.kind
        ))
    })
}
