//! The group `storage.k8s.io`. Follows `pkg/apis/storage/validation`, `pkg/registry/storage` and the printers of its
//! kinds.

pub mod attributes_class;
pub(crate) mod capacity;
pub(crate) mod class;
pub mod csi_driver;
pub(crate) mod csi_node;
pub(crate) mod volume_attachment;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::check;
use super::core::claim::annotation;
use crate::machinery::field::{ErrorList, FieldError, Path};

pub use class::is_default;

/// `maxProvisionerParameterLen`.
const PARAMETERS_MAX: usize = 512;
/// `maxProvisionerParameterSize`.
const PARAMETERS_BYTES_MAX: usize = 256 * 1024;

/// Whether one of these annotations of an object says `true`.
fn says_true(metadata: &ObjectMeta, keys: &[&str]) -> bool {
    keys.iter().any(|key| annotation(metadata, key) == Some("true"))
}

/// `validateProvisioner`: the name of whoever makes volumes, judged in lower case.
fn validate_provisioner(errors: &mut ErrorList, path: &Path, name: &str) {
    check::required(errors, path, name);
    if !name.is_empty() {
        check::qualified_name(errors, path, &name.to_lowercase());
    }
}

/// `validateParameters`.
fn validate_parameters(errors: &mut ErrorList, path: &Path, parameters: &BTreeMap<String, String>, allow_none: bool) {
    if parameters.len() > PARAMETERS_MAX {
        errors.push(FieldError::too_long(path, PARAMETERS_MAX));
        return;
    }
    if parameters.contains_key("") {
        errors.push(FieldError::invalid(path, "", "field can not be empty."));
    }
    if parameters.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > PARAMETERS_BYTES_MAX {
        errors.push(FieldError::too_long(path, PARAMETERS_BYTES_MAX));
    }
    if !allow_none && parameters.is_empty() {
        errors.push(FieldError::required(path, "must contain at least one key/value pair"));
    }
}

/// Refuses a change of a field, in the words of this group.
fn forbid_update(errors: &mut ErrorList, field: &str, changed: bool) {
    if changed {
        errors.push(FieldError::forbidden(&Path::new(field), format!("updates to {field} are forbidden.")));
    }
}
