//! ControllerRevisions. Follows `ValidateControllerRevision` and `printControllerRevision`.

use k8s_openapi::api::apps::v1::ControllerRevision;
use serde_json::Value;

use crate::api::check::{self, IMMUTABLE};
use crate::api::meta;
use crate::api::object::controller_of;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `ValidateControllerRevisionCreate`.
pub(crate) fn validate(revision: &ControllerRevision) -> ErrorList {
    let mut errors = meta::validate(&revision.metadata, true, names::is_dns1123_subdomain);
    if revision.data.is_none() {
        errors.push(FieldError::required(&Path::new("data"), "data is mandatory"));
    }
    check::not_negative(&mut errors, &Path::new("revision"), revision.revision);
    errors
}

/// `ValidateControllerRevisionUpdate`: the data never changes.
pub(crate) fn validate_update(new: &ControllerRevision, old: &ControllerRevision) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    errors.extend(validate(new));
    if new.data != old.data {
        errors.push(FieldError::invalid(&Path::new("data"), check::json(&new.data), IMMUTABLE));
    }
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Controller", "Controller of the object"),
    ColumnDefinition::text("Revision", "Revision indicates the revision of the state represented by Data."),
    AGE,
];

pub(crate) fn row(revision: &ControllerRevision, now: Time) -> Vec<Value> {
    let controller = controller_of(&revision.metadata).map(|owner| {
        let kind = owner.kind.to_lowercase();
        match owner.api_version.split_once('/') {
            Some((group, _)) => format!("{kind}.{group}/{}", owner.name),
            None => format!("{kind}/{}", owner.name),
        }
    });
    vec![
        name_of(&revision.metadata),
        controller.unwrap_or_else(|| "<none>".to_owned()).into(),
        revision.revision.into(),
        age_of(&revision.metadata, now),
    ]
}
