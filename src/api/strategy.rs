//! What the API server does to an object of any kind between reading and storing it: the single entry.
//!
//! Follows `k8s.io/apiserver/pkg/registry/rest` (`BeforeCreate`, `BeforeUpdate`) and each kind's
//! `pkg/registry/<group>/<kind>/strategy.go`. For a creation the server calls [`default`], [`prepare_for_create`],
//! [`validate`], [`warnings`] and [`canonicalize`]; for an update [`default`], [`prepare_for_update`],
//! [`validate_update`], [`warnings`] and [`canonicalize`]. All are pure: no clock, no store. What needs either (uid,
//! creation time, cluster IPs, the existence of a namespace) is the caller's work, between these calls.

use crate::machinery::field::ErrorList;

use super::kind::Subresource;
use super::object::Object;

/// Fills in what the manifest left out, as the kind's `SetDefaults_…` functions do.
pub fn default(object: &mut Object) {
    let _ = object;
}

/// Clears what a client may not set at creation (status above all) and sets what every new object has.
///
/// Name, namespace, uid and creation time are the caller's.
pub fn prepare_for_create(object: &mut Object) {
    let _ = object;
}

/// Everything that is wrong with a new object, in upstream's order.
#[must_use]
pub fn validate(object: &Object) -> ErrorList {
    let _ = object;
    ErrorList::new()
}

/// Takes over from `old` what an update of this sort may not change, and counts the generation.
///
/// `subresource` is `None` for the object itself.
///
/// # Panics
/// When both are not of one kind, which the server rules out before.
pub fn prepare_for_update(new: &mut Object, old: &Object, subresource: Option<Subresource>) {
    assert_eq!(new.kind(), old.kind(), "an update never changes the kind");
    let _ = subresource;
}

/// Everything that is wrong with an update, in upstream's order.
///
/// # Panics
/// When both are not of one kind, which the server rules out before.
#[must_use]
pub fn validate_update(new: &Object, old: &Object, subresource: Option<Subresource>) -> ErrorList {
    assert_eq!(new.kind(), old.kind(), "an update never changes the kind");
    let _ = subresource;
    ErrorList::new()
}

/// What the server says in `Warning` headers about a write that it accepts; `old` is `None` for a creation.
#[must_use]
pub fn warnings(new: &Object, old: Option<&Object>) -> Vec<String> {
    let _ = (new, old);
    Vec::new()
}

/// Brings an object that passed validation into the one form in which it is stored.
pub fn canonicalize(object: &mut Object) {
    let _ = object;
}
