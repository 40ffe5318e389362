//! What nodes may do: the rules of the role `system:node`, and of what belongs to pods only what those on the node use.
//!
//! Follows `kubernetes/plugin/pkg/auth/authorizer/node/node_authorizer.go`. Upstream keeps a graph of what refers to what;
//! here the node's pods are looked through, since nobody but a person who tries it out asks.

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::{Attributes, Decision, policy, rbac};
use crate::api::resource::claim;
use crate::api::{Kind, Object};
use crate::apiserver::User;
use crate::etcd::Etcd;

const PREFIX: &str = "system:node:";
const GROUP: &str = "system:nodes";

/// The node that a user is, if they are one: `DefaultNodeIdentifier`.
pub(in crate::apiserver) fn identity(user: &User) -> Option<&str> {
    let name = user.name.strip_prefix(PREFIX)?;
    user.groups.iter().any(|group| group == GROUP).then_some(name)
}

/// What the node authorizer says; nothing of a user who is no node.
#[inline(never)]
pub(super) fn decide(etcd: &Etcd, user: &User, attributes: &Attributes<'_>) -> Option<Decision> {
    let node = identity(user)?;
    let refused = |reason: String| Some(Decision { allowed: false, reason });
    let Attributes::Resource { verb, namespace, group, resource, subresource, name } = attributes else {
        return refused(String::new());
    };
    let unrelated = || format!("no relationship found between node '{node}' and this object");
    let allowed = match (*group, *resource, *subresource) {
        ("", "secrets" | "configmaps", _) => match *verb {
            "get" | "list" | "watch" if name.is_empty() => {
                return refused("No Object name found".to_owned());
            }
            "get" | "list" | "watch" => uses(etcd, node, namespace, resource, name),
            _ => return refused("can only read resources of this type".to_owned()),
        },
        ("", "persistentvolumeclaims", "")
        | ("", "persistentvolumes", "")
        | ("storage.k8s.io", "volumeattachments", "")
        | ("resource.k8s.io", "resourceclaims", "") => match *verb {
            "get" => uses(etcd, node, namespace, resource, name),
            _ => return refused("can only get individual resources of this type".to_owned()),
        },
        ("", "persistentvolumeclaims", "status") => match *verb {
            "get" | "update" | "patch" => uses(etcd, node, namespace, resource, name),
            _ => return refused("can only get/update/patch this type".to_owned()),
        },
        ("", "serviceaccounts", "token") => match *verb {
            "create" => uses(etcd, node, namespace, resource, name),
            _ => return refused("can only create tokens for individual service accounts".to_owned()),
        },
        ("coordination.k8s.io", "leases", "") => {
            if *namespace != "kube-node-lease" {
                let why = "can only access leases in the \"kube-node-lease\" system namespace";
                return refused(why.to_owned());
            }
            if *verb != "create" && *name != node {
                return refused("can only access node lease with the same name as the requesting node".to_owned());
            }
            matches!(*verb, "get" | "create" | "update" | "patch" | "delete")
        }
        ("storage.k8s.io", "csinodes", "") => {
            if *verb != "create" && *name != node {
                return refused("can only access CSINode with the same name as the requesting node".to_owned());
            }
            matches!(*verb, "get" | "create" | "update" | "patch" | "delete")
        }
        ("", "nodes", "") if *verb == "get" && *name != node => {
            return refused(format!("node '{node}' cannot read '{name}', only its own Node object"));
        }
        ("", "pods", "") if *verb == "get" && !is_here(etcd, node, namespace, name) => return refused(unrelated()),
        _ => {
            let allowed = rules().iter().any(|rule| rbac::allows(rule, attributes));
            return Some(Decision { allowed, reason: String::new() });
        }
    };
    let reason = if allowed { String::new() } else { unrelated() };
    Some(Decision { allowed, reason })
}

/// `bootstrappolicy.NodeRules`.
fn rules() -> Vec<PolicyRule> {
    let roles = policy().into_iter().filter_map(|object| match object {
        Object::ClusterRole(role) if role.metadata.name.as_deref() == Some("system:node") => role.rules.clone(),
        _ => None,
    });
    roles.flatten().collect()
}

/// The pods on a node that have not ended.
fn pods<'a>(etcd: &'a Etcd, node: &'a str) -> impl Iterator<Item = &'a Pod> {
    etcd.range(Kind::Pod, None)
        .filter_map(|(_, object)| object.downcast::<Pod>())
        .map(|pod| &**pod)
        .filter(move |pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(node)))
}

fn is_here(etcd: &Etcd, node: &str, namespace: &str, name: &str) -> bool {
    pods(etcd, node)
        .any(|pod| pod.metadata.namespace.as_deref() == Some(namespace) && pod.metadata.name.as_deref() == Some(name))
}

/// Whether a pod on the node uses what has this name.
fn uses(etcd: &Etcd, node: &str, namespace: &str, resource: &str, name: &str) -> bool {
    pods(etcd, node).any(|pod| {
        let is_near = namespace.is_empty() || pod.metadata.namespace.as_deref() == Some(namespace);
        let is_claim = || resource == "resourceclaims" && claims(pod).any(|claim| claim == name);
        is_near && (pod.spec.as_ref().is_some_and(|spec| refers(spec, resource, name)) || is_claim())
    })
}

/// The claims for devices that a pod uses.
fn claims(pod: &Pod) -> impl Iterator<Item = &str> {
    claim::references(pod).iter().filter_map(|reference| Some(claim::name(pod, reference).ok()??.0))
}

fn refers(spec: &PodSpec, resource: &str, name: &str) -> bool {
    let is = |given: Option<&str>| given == Some(name);
    let volumes = || spec.volumes.iter().flatten();
    let sources =
        || volumes().filter_map(|volume| volume.projected.as_ref()).flat_map(|volume| volume.sources.iter().flatten());
    let containers = || spec.init_containers.iter().flatten().chain(&spec.containers);
    let values = || containers().flat_map(|it| it.env.iter().flatten()).filter_map(|it| it.value_from.as_ref());
    let all = || containers().flat_map(|it| it.env_from.iter().flatten());
    match resource {
        "secrets" => {
            volumes().any(|it| is(it.secret.as_ref().and_then(|it| it.secret_name.as_deref())))
                || sources().any(|it| is(it.secret.as_ref().map(|it| it.name.as_str())))
                || values().any(|it| is(it.secret_key_ref.as_ref().map(|it| it.name.as_str())))
                || all().any(|it| is(it.secret_ref.as_ref().map(|it| it.name.as_str())))
                || spec.image_pull_secrets.iter().flatten().any(|it| it.name == name)
        }
        "configmaps" => {
            volumes().any(|it| is(it.config_map.as_ref().map(|it| it.name.as_str())))
                || sources().any(|it| is(it.config_map.as_ref().map(|it| it.name.as_str())))
                || values().any(|it| is(it.config_map_key_ref.as_ref().map(|it| it.name.as_str())))
                || all().any(|it| is(it.config_map_ref.as_ref().map(|it| it.name.as_str())))
        }
        "persistentvolumeclaims" => {
            volumes().any(|it| is(it.persistent_volume_claim.as_ref().map(|it| it.claim_name.as_str())))
        }
        "serviceaccounts" => is(spec.service_account_name.as_deref()),
        _ => false,
    }
}
