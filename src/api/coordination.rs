//! Leases. Follows `pkg/apis/coordination/validation` and `printLease`.

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

use super::check::{self, NOT_NEGATIVE, has_text, text};
use super::meta::{self, Finalizers};
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `ValidateLease`.
pub(super) fn validate(lease: &Lease) -> ErrorList {
    let mut errors = meta::validate_with(&lease.metadata, true, names::is_dns1123_subdomain, Finalizers::Qualified);
    validate_spec(&mut errors, lease);
    errors
}

fn validate_spec(errors: &mut ErrorList, lease: &Lease) {
    let Some(spec) = &lease.spec else { return };
    let path = Path::new("spec");
    if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
        let at = path.child("leaseDurationSeconds");
        errors.push(FieldError::invalid(&at, seconds, "must be greater than 0"));
    }
    if let Some(transitions) = spec.lease_transitions.filter(|transitions| *transitions < 0) {
        errors.push(FieldError::invalid(&path.child("leaseTransitions"), transitions, NOT_NEGATIVE));
    }
    if let Some(strategy) = &spec.strategy {
        let at = path.child("strategy");
        check::invalid_each(errors, &at, strategy, names::is_qualified_name(strategy));
    }
    if has_text(&spec.preferred_holder) && !has_text(&spec.strategy) {
        let detail = "may only be specified if `strategy` is defined";
        errors.push(FieldError::forbidden(&path.child("preferredHolder"), detail));
    }
}

/// `ValidateLeaseUpdate`.
pub(super) fn validate_update(new: &Lease, old: &Lease) -> ErrorList {
    let mut errors = meta::validate_update_common(&new.metadata, &old.metadata);
    validate_spec(&mut errors, new);
    errors
}

pub(super) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Holder",
        "holderIdentity contains the identity of the holder of a current lease. If Coordinated Leader Election is used, \
         the holder identity must be equal to the elected LeaseCandidate.metadata.name field.",
    ),
    AGE,
];

pub(super) fn row(lease: &Lease, now: Time) -> Vec<Value> {
    let holder = lease.spec.as_ref().map_or("", |spec| text(&spec.holder_identity));
    vec![name_of(&lease.metadata), holder.into(), age_of(&lease.metadata, now)]
}
