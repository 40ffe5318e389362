//! CSINodes. Follows `ValidateCSINode` and `printCSINode`.

use std::collections::BTreeSet;

use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver};
use serde_json::Value;

use crate::api::check::{self, IMMUTABLE, list};
use crate::api::core::pod::volumes::validate_csi_driver_name;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `csiNodeIDLongerMaxLength`.
const NODE_ID_LENGTH_MAX: usize = 256;

/// `ValidateCSINode`.
pub(crate) fn validate(node: &CSINode) -> ErrorList {
    let mut errors = meta::validate(&node.metadata, false, names::is_dns1123_subdomain);
    let path = Path::new("spec").child("drivers");
    let mut known = BTreeSet::new();
    for (index, driver) in node.spec.drivers.iter().enumerate() {
        let path = path.index(index);
        validate_driver(&mut errors, &path, driver);
        if !known.insert(&driver.name) {
            errors.push(FieldError::duplicate(&path.child("name"), driver.name.as_str()));
        }
        validate_topology_keys(&mut errors, &path, list(&driver.topology_keys));
    }
    errors
}

fn validate_driver(errors: &mut ErrorList, path: &Path, driver: &CSINodeDriver) {
    validate_csi_driver_name(errors, &path.child("name"), &driver.name);
    let at = path.child("nodeID");
    check::required(errors, &at, &driver.node_id);
    if driver.node_id.len() > NODE_ID_LENGTH_MAX {
        let detail = format!("must be {NODE_ID_LENGTH_MAX} characters or less");
        errors.push(FieldError::invalid(&at, driver.node_id.as_str(), detail));
    }
    if let Some(count) = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count) {
        check::not_negative(errors, &path.child("allocatable").child("count"), i64::from(count));
    }
}

fn validate_topology_keys(errors: &mut ErrorList, path: &Path, keys: &[String]) {
    let mut known = BTreeSet::new();
    for key in keys {
        check::required(errors, path, key);
        if !known.insert(key) {
            errors.push(FieldError::duplicate(path, key.as_str()));
        }
        check::qualified_name(errors, path, key);
    }
}

/// `ValidateCSINodeUpdate`: of a driver only the number of volumes may change.
pub(crate) fn validate_update(new: &CSINode, old: &CSINode) -> ErrorList {
    let mut errors = validate(new);
    for old in &old.spec.drivers {
        for new in new.spec.drivers.iter().filter(|new| new.name == old.name) {
            let changed = CSINodeDriver { allocatable: None, ..new.clone() };
            if changed != (CSINodeDriver { allocatable: None, ..old.clone() }) {
                let shown = check::json(&changed);
                errors.push(FieldError::invalid(&Path::new("spec").child("drivers"), shown, IMMUTABLE));
            }
        }
    }
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::integer("Drivers", "Drivers indicates the number of CSI drivers registered on the node"),
    AGE,
];

pub(crate) fn row(node: &CSINode, now: Time) -> Vec<Value> {
    vec![name_of(&node.metadata), node.spec.drivers.len().into(), age_of(&node.metadata, now)]
}
