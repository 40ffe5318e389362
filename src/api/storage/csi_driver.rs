//! CSIDrivers, which have no type of their own. Follows `ValidateCSIDriver` and `printCSIDriver`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::api::check::{self, IMMUTABLE};
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::api::unstructured::Unstructured;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// The least that a token of a driver lives, in seconds.
const TOKEN_SECONDS_MIN: i64 = 600;
/// The most.
const TOKEN_SECONDS_MAX: i64 = 1 << 32;

/// A field of the driver's spec.
#[must_use]
pub fn spec_field<'a>(driver: &'a Unstructured, name: &str) -> Option<&'a Value> {
    driver.fields.get("spec")?.get(name)
}

/// `SetDefaults_CSIDriver`.
pub(crate) fn default(driver: &mut Unstructured) {
    let spec = driver.fields.entry("spec").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(spec) = spec else { return };
    let defaults = [
        ("attachRequired", json!(true)),
        ("podInfoOnMount", json!(false)),
        ("storageCapacity", json!(false)),
        ("fsGroupPolicy", json!("ReadWriteOnceWithFSType")),
        ("volumeLifecycleModes", json!(["Persistent"])),
        ("requiresRepublish", json!(false)),
        ("seLinuxMount", json!(false)),
    ];
    for (field, value) in defaults {
        let missing =
            spec.get(field).is_none_or(|value| value.is_null() || value.as_array().is_some_and(Vec::is_empty));
        if missing {
            spec.insert(field.to_owned(), value);
        }
    }
}

/// What may change counts in the generation.
pub(crate) fn prepare_for_update(new: &mut Unstructured, old: &Unstructured) {
    if new.fields.get("spec") != old.fields.get("spec") {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateCSIDriver`.
pub(crate) fn validate(driver: &Unstructured) -> ErrorList {
    let mut errors = meta::validate(&driver.metadata, false, names::is_dns1123_subdomain);
    validate_spec(&mut errors, driver);
    errors
}

fn validate_spec(errors: &mut ErrorList, driver: &Unstructured) {
    let path = Path::new("spec");
    let field = |name| spec_field(driver, name);
    if let Some(policy) = field("fsGroupPolicy").and_then(Value::as_str) {
        let known = ["File", "None", "ReadWriteOnceWithFSType"];
        check::supported(errors, &path.child("fsGroupPolicy"), policy, &known);
    }
    validate_token_requests(errors, &path.child("tokenRequests"), field("tokenRequests"));
    for mode in field("volumeLifecycleModes").and_then(Value::as_array).into_iter().flatten() {
        let at = path.child("volumeLifecycleModes");
        check::supported(errors, &at, mode.as_str().unwrap_or(""), &["Persistent", "Ephemeral"]);
    }
    if let Some(period) = field("nodeAllocatableUpdatePeriodSeconds").and_then(Value::as_i64).filter(|it| *it < 10) {
        let at = path.child("nodeAllocatableUpdatePeriodSeconds");
        errors.push(FieldError::invalid(&at, period, "must be greater than or equal to 10 seconds"));
    }
}

/// `validateTokenRequests`.
fn validate_token_requests(errors: &mut ErrorList, path: &Path, requests: Option<&Value>) {
    let mut audiences = BTreeSet::new();
    for (index, request) in requests.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let path = path.index(index);
        let audience = request.get("audience").and_then(Value::as_str).unwrap_or("");
        if !audiences.insert(audience) {
            errors.push(FieldError::duplicate(&path.child("audience"), audience));
            continue;
        }
        let Some(seconds) = request.get("expirationSeconds").and_then(Value::as_i64) else { continue };
        let at = path.child("expirationSeconds");
        if seconds < TOKEN_SECONDS_MIN {
            errors.push(FieldError::invalid(&at, seconds, "may not specify a duration less than 10 minutes"));
        }
        if seconds > TOKEN_SECONDS_MAX {
            errors.push(FieldError::invalid(&at, seconds, "may not specify a duration larger than 2^32 seconds"));
        }
    }
}

/// `ValidateCSIDriverUpdate`.
pub(crate) fn validate_update(new: &Unstructured, old: &Unstructured) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    validate_spec(&mut errors, new);
    // Upstream calls the first field by another name than it has.
    for (field, shown) in [("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")] {
        let (new, old) = (spec_field(new, field), spec_field(old, field));
        if new != old {
            let value = new.cloned().unwrap_or(Value::Null);
            errors.push(FieldError::invalid(&Path::new("spec").child(shown), value, IMMUTABLE));
        }
    }
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition {
        column_type: "boolean",
        ..ColumnDefinition::text(
            "AttachRequired",
            "attachRequired indicates this CSI volume driver requires an attach operation (because it implements the \
             CSI ControllerPublishVolume() method), and that the Kubernetes attach detach controller should call the \
             attach volume interface which checks the volumeattachment status and waits until the volume is attached \
             before proceeding to mounting.",
        )
    },
    ColumnDefinition {
        column_type: "boolean",
        ..ColumnDefinition::text(
            "PodInfoOnMount",
            "podInfoOnMount indicates this CSI volume driver requires additional pod information (like podName, \
             podUID, etc.) during mount operations, if set to true.",
        )
    },
    ColumnDefinition {
        column_type: "boolean",
        ..ColumnDefinition::text(
            "StorageCapacity",
            "storageCapacity indicates that the CSI volume driver wants pod scheduling to consider the storage \
             capacity that the driver deployment will report by creating CSIStorageCapacity objects with capacity \
             information, if set to true.",
        )
    },
    ColumnDefinition::text(
        "TokenRequests",
        "tokenRequests indicates the CSI driver needs pods' service account tokens it is mounting volume for to do \
         necessary authentication.",
    ),
    ColumnDefinition {
        column_type: "boolean",
        ..ColumnDefinition::text(
            "RequiresRepublish",
            "requiresRepublish indicates the CSI driver wants `NodePublishVolume` being periodically called to reflect \
             any possible change in the mounted volume.",
        )
    },
    ColumnDefinition::text(
        "Modes",
        "volumeLifecycleModes defines what kind of volumes this CSI volume driver supports. The default if the list is \
         empty is \"Persistent\", which is the usage defined by the CSI specification and implemented in Kubernetes \
         via the usual PV/PVC mechanism.",
    ),
    AGE,
];

pub(crate) fn row(driver: &Unstructured, now: Time) -> Vec<Value> {
    let flag = |name, default| spec_field(driver, name).and_then(Value::as_bool).unwrap_or(default).into();
    let texts = |name: &str, field: Option<&str>| -> Option<String> {
        let items = spec_field(driver, name)?.as_array()?.iter();
        let texts = items.filter_map(|item| field.map_or(Some(item), |field| item.get(field))?.as_str());
        Some(texts.collect::<Vec<_>>().join(","))
    };
    vec![
        name_of(&driver.metadata),
        flag("attachRequired", true),
        flag("podInfoOnMount", false),
        flag("storageCapacity", false),
        texts("tokenRequests", Some("audience")).unwrap_or_else(|| "<unset>".to_owned()).into(),
        flag("requiresRepublish", false),
        texts("volumeLifecycleModes", None).filter(|modes| !modes.is_empty()).map_or("<none>".into(), Value::from),
        age_of(&driver.metadata, now),
    ]
}
