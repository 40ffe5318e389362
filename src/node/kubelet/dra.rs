//! The devices of a pod's claims are made ready before its sandbox is.
//!
//! `pkg/kubelet/cm/dra/manager.go` (`PrepareResources`). Drivers are simulated: one runs on a node when it tells of devices
//! there, and what it is asked for is ready at once.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;

use crate::api::resource::claim::{self, items, spec, text};
use crate::api::{Kind, Name, Object, ObjectKey, Resource};
use crate::apiserver::{ListOptions, Response, Target, User, Verb};
use crate::client::{Client, Identity};

/// Makes the devices ready that a pod's claims were given.
///
/// # Errors
/// Why they are not, as the event tells it.
pub(super) fn prepare(pod: &Pod, client: &mut Client<'_>) -> Result<(), String> {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("");
    let named = claim::references(pod).iter().map(|reference| claim::name(pod, reference));
    let of_resources = claim::extended_name(pod).map(|name| Ok(Some((name, true))));
    for named in named.chain(of_resources) {
        let Some((name, must_be_own)) = named? else { continue };
        let found = client.get_unstructured(Kind::ResourceClaim, &ObjectKey::new(pod.namespace(), name));
        let found = found.map_err(|error| format!("fetch ResourceClaim {name}: {error}"))?;
        if must_be_own {
            claim::check_is_for_pod(pod, &found)?;
        }
        if !claim::is_reserved_for(&found, pod.uid()) {
            let uid = found.metadata.uid.as_deref().unwrap_or("");
            return Err(format!(
                "pod {} ({}) is not allowed to use ResourceClaim {name} ({uid})",
                pod.name(),
                pod.uid()
            ));
        }
        let allocation =
            claim::allocation(&found).ok_or_else(|| format!("ResourceClaim {name}: claim is not allocated"))?;
        let drivers: BTreeSet<&str> =
            items(&allocation["devices"], "results").iter().map(|result| text(result, "driver")).collect();
        if let Some(missing) = drivers.into_iter().find(|driver| !runs_here(driver, node, client)) {
            return Err(format!("DRA driver {missing} is not registered"));
        }
    }
    Ok(())
}

/// Whether a driver tells of devices on the node, or of some that are on no node in particular. It is asked with an account
/// of the driver's, since a kubelet may not see what there is elsewhere.
fn runs_here(driver: &str, node: &str, client: &mut Client<'_>) -> bool {
    let user = User::new("system:serviceaccount:kube-system:dra-driver", &["system:masters"]);
    let identity = Identity { component: Name::from("dra-driver"), host: Name::from(node), user };
    let field_selector = format!("spec.driver={driver}");
    let options = ListOptions { field_selector, ..ListOptions::default() };
    let response =
        client.act_as(&identity, None).request(Target::collection(Kind::ResourceSlice, ""), Verb::List(options));
    let Ok(Response::List(list)) = response else { return false };
    list.items.iter().any(|object| match object {
        Object::Unstructured(slice) => {
            matches!(spec(slice)["nodeName"].as_str(), None | Some("")) || spec(slice)["nodeName"] == node
        }
        _ => false,
    })
}
