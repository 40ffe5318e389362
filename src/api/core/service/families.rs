//! IP families of Services, as a cluster with IPv4 only decides them.
//!
//! Follows `initIPFamilyFields` of `pkg/registry/core/service/storage/alloc.go`.

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::{is_headless, needs_cluster_ip};
use crate::api::check::{list, text};
use crate::machinery::field::{ErrorList, FieldError, Path};

/// The only family that this cluster has.
const FAMILY: &str = "IPv4";

/// Fills in families and policy where the manifest leaves them open; wrong ones stay for [`validate_families`].
pub(super) fn initialize(spec: &mut ServiceSpec, old: Option<&ServiceSpec>) {
    if !needs_cluster_ip(spec) || !super::validation::cluster_ip_errors(spec).is_empty() {
        return;
    }
    if is_headless(spec) && spec.selector.as_ref().is_none_or(|selector| selector.is_empty()) {
        // Without a selector whoever writes the endpoints decides, so both families are allowed.
        spec.ip_family_policy.get_or_insert_with(|| "RequireDualStack".to_owned());
        if list(&spec.ip_families).is_empty() {
            let both = spec.ip_family_policy.as_deref() != Some("SingleStack");
            let families = if both { &["IPv4", "IPv6"][..] } else { &[FAMILY] };
            spec.ip_families = Some(families.iter().map(|family| (*family).to_owned()).collect());
        }
        return;
    }
    if spec.ip_family_policy.is_none() {
        let two = list(&spec.cluster_ips).len() == 2 || list(&spec.ip_families).len() == 2;
        let kept = old.and_then(|old| old.ip_family_policy.clone());
        let policy = if two { "RequireDualStack" } else { "SingleStack" };
        spec.ip_family_policy = Some(kept.unwrap_or_else(|| policy.to_owned()));
    }
    if list(&spec.ip_families).is_empty() {
        let of_ip = |ip: &String| if ip.contains(':') { "IPv6" } else { "IPv4" };
        let ips = list(&spec.cluster_ips).iter().filter(|ip| *ip != "None");
        let families: Vec<String> = ips.map(|ip| of_ip(ip).to_owned()).collect();
        spec.ip_families = Some(if families.is_empty() { vec![FAMILY.to_owned()] } else { families });
    }
}

/// What keeps the server from giving the Service an address; judged before anything else of it. `is_stored` is whether it
/// has been there before.
#[must_use]
pub fn validate_families(service: &Service, is_stored: bool) -> ErrorList {
    let Some(spec) = service.spec.as_ref().filter(|spec| needs_cluster_ip(spec)) else { return ErrorList::new() };
    let errors = super::validation::cluster_ip_errors(spec);
    let headless_without_selector =
        is_headless(spec) && spec.selector.as_ref().is_none_or(|selector| selector.is_empty());
    if !errors.is_empty() || headless_without_selector {
        return errors;
    }
    let mut errors = ErrorList::new();
    let path = Path::new("spec");
    let families = list(&spec.ip_families);
    let (policy, at) = (text(&spec.ip_family_policy), path.child("ipFamilyPolicy"));
    let dual = FieldError::invalid(&at, policy, "this cluster is not configured for dual-stack services");
    // What was inferred for a Service without a selector counts as asked for once it gets one.
    if policy == "RequireDualStack" && is_stored {
        errors.push(dual.clone());
    }
    for (index, family) in families.iter().enumerate().filter(|(_, family)| *family != FAMILY) {
        let path = path.child("ipFamilies").index(index);
        errors.push(FieldError::invalid(&path, family.as_str(), "not configured on this cluster"));
    }
    if !errors.is_empty() {
        return errors;
    }
    if policy == "RequireDualStack" {
        errors.push(dual);
    } else if policy == "SingleStack" {
        for (count, what) in [(list(&spec.cluster_ips).len(), "clusterIPs"), (families.len(), "ipFamilies")] {
            if count == 2 {
                let detail = format!("must be RequireDualStack or PreferDualStack when multiple {what} are specified");
                errors.push(FieldError::invalid(&at, policy, detail));
            }
        }
    }
    errors
}
