//! Who may decide about requests for certificates, who may hand them out, and what nobody may ask for.
//!
//! `kubernetes/plugin/pkg/admission/certificates/{approval,signing,subjectrestriction}`.

use crate::api::{Object, Subresource, Unstructured, certificates};
use crate::apiserver::User;
use crate::apiserver::authorization::{Attributes as Rights, decide};
use crate::etcd::Etcd;
use crate::machinery::status::Status;

use super::{Attributes, forbidden};

/// `system:masters` is a group that no certificate of this signer may put anybody in.
const MASTERS: &str = "system:masters";

#[inline(never)]
pub(super) fn admit(etcd: &Etcd, user: &User, object: &Object, attributes: Attributes<'_>) -> Result<(), Status> {
    let Object::Unstructured(new) = object else { return Ok(()) };
    let signer = certificates::signer(new);
    match (attributes.old, attributes.subresource) {
        (None, None) => check_subject(object, new),
        (Some(_), Some(Subresource::Approval)) => {
            check_right(etcd, user, object, "approve", signer, "approve requests with signerName")
        }
        (Some(Object::Unstructured(old)), Some(Subresource::Status)) if certificates::signs(new, old) => {
            check_right(etcd, user, object, "sign", signer, "sign requests with signerName")
        }
        _ => Ok(()),
    }
}

fn check_subject(object: &Object, request: &Unstructured) -> Result<(), Status> {
    if certificates::signer(request) != certificates::CLIENT_SIGNER
        || !certificates::request(request).is_ok_and(|request| request.organizations().contains(&MASTERS))
    {
        return Ok(());
    }
    let why = format!("use of {} signer with {MASTERS} group is not allowed", certificates::CLIENT_SIGNER);
    Err(forbidden(object, &why))
}

/// `IsAuthorizedForSignerName`: for the signer itself, or for all of its domain.
fn check_right(etcd: &Etcd, user: &User, object: &Object, verb: &str, signer: &str, what: &str) -> Result<(), Status> {
    let may = |name: &str| {
        let rights = Rights::Resource {
            verb,
            namespace: "",
            group: "certificates.k8s.io",
            resource: "signers",
            subresource: "",
            name,
        };
        decide(etcd, user, &rights).allowed
    };
    let domain = signer.split('/').next().unwrap_or("");
    if may(signer) || may(&format!("{domain}/*")) {
        return Ok(());
    }
    Err(forbidden(object, &format!("user not permitted to {what} {signer:?}")))
}
