//! A node changes nothing but itself and the pods on it.
//!
//! `kubernetes/plugin/pkg/admission/noderestriction`. Looked at are users that are nodes; the kubelets of the cluster
//! itself keep to it by what they are.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};

use super::{Attributes, forbidden};
use crate::api::core::pod::containers_with_field;
use crate::api::{Object, Subresource};
use crate::apiserver::User;
use crate::apiserver::authorization::{COMPONENTS, node_identity};
use crate::machinery::status::Status;

/// What pods that a kubelet makes for itself carry.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Labels that only administrators may write: `node-restriction.kubernetes.io/…`.
const RESTRICTED: &str = "node-restriction.kubernetes.io";
/// Labels of Kubernetes's own that kubelets write: `kubeletapis.IsKubeletLabel`.
const KUBELET_LABELS: [&str; 12] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "node.kubernetes.io/windows-build",
];
/// And those below these.
const KUBELET_LABEL_NAMESPACES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Refuses what a node may not write.
pub(super) fn admit(user: &User, object: &Object, attributes: Attributes<'_>) -> Result<(), Status> {
    if user.groups.iter().any(|group| group == COMPONENTS) {
        return Ok(());
    }
    let Some(node) = node_identity(user) else { return Ok(()) };
    let refused = |why: Option<String>| why.map_or(Ok(()), |why| Err(forbidden(object, &why)));
    match (object, attributes.old, attributes.subresource) {
        (Object::Pod(pod), None, None) => refused(new_pod(node, pod)),
        (Object::Pod(new), Some(Object::Pod(old)), Some(Subresource::Status)) => refused(pod_status(node, new, old)),
        (Object::Pod(_), Some(_), None) => refused(Some(format!(
            "unexpected operation \"UPDATE\", node {node:?} can only create and delete mirror pods"
        ))),
        (Object::Pod(_), _, Some(Subresource::Binding | Subresource::Resize | Subresource::EphemeralContainers)) => {
            let name = attributes.subresource.map_or("", Subresource::as_str);
            let why = format!("unexpected pod subresource {name:?}, only 'status' and 'eviction' are allowed");
            refused(Some(why))
        }
        (Object::Node(new), old, _) => refused(own_node(node, new, old)),
        (Object::PersistentVolumeClaim(_), _, None) => refused(Some("may only update PVC status".to_owned())),
        (Object::Lease(lease), ..) => {
            let metadata = &lease.metadata;
            if metadata.namespace.as_deref() != Some("kube-node-lease") {
                let why = "can only access leases in the \"kube-node-lease\" system namespace";
                return refused(Some(why.to_owned()));
            }
            let is_own = metadata.name.as_deref() == Some(node);
            refused(
                (!is_own).then(|| "can only access node lease with the same name as the requesting node".to_owned()),
            )
        }
        (Object::CSINode(csi), ..) => {
            let is_own = csi.metadata.name.as_deref() == Some(node);
            refused((!is_own).then(|| "can only access CSINode with the same name as the requesting node".to_owned()))
        }
        _ => Ok(()),
    }
}

/// `admitPodCreate`.
fn new_pod(node: &str, pod: &Pod) -> Option<String> {
    let annotations = pod.metadata.annotations.as_ref();
    if !annotations.is_some_and(|annotations| annotations.contains_key(MIRROR)) {
        return Some(format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"));
    }
    let spec = pod.spec.as_ref()?;
    if spec.node_name.as_deref() != Some(node) {
        return Some(format!("node {node:?} can only create pods with spec.nodeName set to itself"));
    }
    let owners = pod.metadata.owner_references.as_deref().unwrap_or(&[]);
    let [owner] = owners else {
        let which = if owners.is_empty() { "an" } else { "a single" };
        return Some(format!("node {node:?} can only create pods with {which} owner reference set to itself"));
    };
    if (owner.api_version.as_str(), owner.kind.as_str(), owner.name.as_str()) != ("v1", "Node", node) {
        return Some(format!("node {node:?} can only create pods with an owner reference set to itself"));
    }
    if owner.controller != Some(true) {
        return Some(format!("node {node:?} can only create pods with a controller owner reference set to itself"));
    }
    if owner.block_owner_deletion == Some(true) {
        return Some(format!("node {node:?} must not set blockOwnerDeletion on an owner reference"));
    }
    let has_account = spec.service_account_name.as_deref().is_some_and(|name| !name.is_empty());
    let what = if has_account { "a service account" } else { referred(spec)? };
    Some(format!("node {node:?} can not create pods that reference {what}"))
}

/// What a mirror pod's volumes and variables would let the node read: there is nobody whose right it would be.
fn referred(spec: &PodSpec) -> Option<&'static str> {
    let volumes = || spec.volumes.iter().flatten();
    let variables = || {
        containers_with_field(spec)
            .flat_map(|(_, _, container)| container.env.iter().flatten())
            .filter_map(|variable| variable.value_from.as_ref())
    };
    let sets = || containers_with_field(spec).flat_map(|(_, _, container)| container.env_from.iter().flatten());
    let sources = || {
        volumes()
            .filter_map(|volume| volume.projected.as_ref())
            .flat_map(|projected| projected.sources.iter().flatten())
    };
    let has_secrets = volumes().any(|volume| volume.secret.is_some())
        || sources().any(|source| source.secret.is_some())
        || variables().any(|source| source.secret_key_ref.is_some())
        || sets().any(|source| source.secret_ref.is_some())
        || spec.image_pull_secrets.iter().flatten().any(|secret| !secret.name.is_empty());
    let has_config_maps = volumes().any(|volume| volume.config_map.is_some())
        || sources().any(|source| source.config_map.is_some())
        || variables().any(|source| source.config_map_key_ref.is_some())
        || sets().any(|source| source.config_map_ref.is_some());
    if has_secrets {
        Some("secrets")
    } else if has_config_maps {
        Some("configmaps")
    } else if spec.resource_claims.iter().flatten().next().is_some() {
        Some("resourceclaims or resourceclaimtemplates")
    } else if sources().any(|source| source.service_account_token.is_some()) {
        Some("serviceaccounts")
    } else if sources().any(|source| source.cluster_trust_bundle.is_some()) {
        Some("clustertrustbundles")
    } else {
        volumes().any(|volume| volume.persistent_volume_claim.is_some()).then_some("persistentvolumeclaims")
    }
}

/// Refuses that a node deletes the pod of another one.
#[inline(never)]
pub(super) fn admit_deletion(user: &User, existing: &Object) -> Result<(), Status> {
    if user.groups.iter().any(|group| group == COMPONENTS) {
        return Ok(());
    }
    let (Some(node), Object::Pod(pod)) = (node_identity(user), existing) else { return Ok(()) };
    if pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node) {
        return Ok(());
    }
    Err(forbidden(existing, &format!("node {node:?} can only delete pods with spec.nodeName set to itself")))
}

/// `admitPodStatus`.
fn pod_status(node: &str, new: &Pod, old: &Pod) -> Option<String> {
    if old.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) != Some(node) {
        return Some(format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself"));
    }
    let differs = new.metadata.labels != old.metadata.labels;
    differs.then(|| format!("node {node:?} cannot update labels through pod status"))
}

/// `admitNode`.
fn own_node(node: &str, new: &Node, old: Option<&Object>) -> Option<String> {
    let name = new.metadata.name.as_deref().unwrap_or("");
    if name != node {
        return Some(format!("node {node:?} is not allowed to modify node {name:?}"));
    }
    let none = BTreeMap::new();
    let labels = |node: &'_ Node| node.metadata.labels.clone().unwrap_or_default();
    let Some(Object::Node(old)) = old else {
        let wrong = forbidden_labels(&labels(new), &none);
        return (!wrong.is_empty())
            .then(|| format!("node {node:?} is not allowed to set the following labels: {}", wrong.join(", ")));
    };
    let taints = |node: &Node| node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    if taints(new) != taints(old) {
        return Some(format!("node {node:?} is not allowed to modify taints"));
    }
    let wrong = forbidden_labels(&labels(new), &labels(old));
    (!wrong.is_empty()).then(|| format!("is not allowed to modify labels: {}", wrong.join(", ")))
}

/// The labels that differ and that a node may not write: `getForbiddenLabels`.
fn forbidden_labels(new: &BTreeMap<String, String>, old: &BTreeMap<String, String>) -> Vec<String> {
    let within = |namespace: &str, of: &str| namespace == of || namespace.ends_with(&format!(".{of}"));
    let is_forbidden = |key: &&String| {
        let namespace = key.split_once('/').map_or("", |(namespace, _)| namespace);
        if within(namespace, RESTRICTED) {
            return true;
        }
        let is_kubernetes = within(namespace, "kubernetes.io") || within(namespace, "k8s.io");
        let is_kubelet = KUBELET_LABELS.contains(&key.as_str())
            || KUBELET_LABEL_NAMESPACES.iter().any(|known| within(namespace, known));
        is_kubernetes && !is_kubelet
    };
    let mut keys: Vec<&String> = new.keys().chain(old.keys()).filter(|key| new.get(*key) != old.get(*key)).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().filter(is_forbidden).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;

    #[test]
    fn labels_of_kubernetes_are_not_a_nodes_to_write() {
        let labels =
            |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), String::new())).collect::<BTreeMap<_, _>>();
        let new = labels(&[
            "app",
            "kubernetes.io/arch",
            "node.kubernetes.io/x",
            "x.kubernetes.io/y",
            "node-restriction.kubernetes.io/z",
            "node-role.kubernetes.io/a",
        ]);
        let wrong = forbidden_labels(&new, &labels(&["app", "x.kubernetes.io/y"]));
        assert_eq!(wrong, ["node-restriction.kubernetes.io/z", "node-role.kubernetes.io/a"]);
    }

    fn read(text: &str) -> Object {
        // What begins with a brace would have to be JSON.
        let value = crate::machinery::yaml::read_one(&format!("---\n{text}")).expect("YAML").value;
        let kind = Kind::ALL.iter().find(|kind| value["kind"] == kind.info().kind).expect("a kind");
        Object::from_value(*kind, &value).expect("an object")
    }

    /// What a node named `one` is told when it writes an object.
    fn told(object: &str, old: Option<&str>, subresource: Option<Subresource>) -> String {
        let old = old.map(read);
        let attributes = Attributes { old: old.as_ref(), subresource, dry_run: false, deletes: false, connects: None };
        let user = User::new("system:node:one", &["system:nodes", "system:authenticated"]);
        let told = admit(&user, &read(object), attributes).err();
        let message = told.map(|status| status.message().to_owned()).unwrap_or_default();
        message.split_once("is forbidden: ").map_or(message.clone(), |(_, why)| why.to_owned())
    }

    /// A mirror pod, with more in its metadata and in its spec.
    fn mirror(metadata: &str, spec: &str) -> String {
        format!(
            "{{kind: Pod, apiVersion: v1, metadata: {{name: p, annotations: {{kubernetes.io/config.mirror: x}}, {metadata}}}, \
             spec: {{nodeName: one, containers: [{{name: c, image: i}}], {spec}}}}}"
        )
    }

    const OWN: &str = "ownerReferences: [{apiVersion: v1, kind: Node, name: one, uid: u, controller: true}]";

    #[test]
    fn a_node_makes_mirror_pods_of_its_own_that_read_nothing() {
        let owner = |text: &str| format!("ownerReferences: [{{apiVersion: v1, kind: Node, name: one, uid: u{text}}}]");
        let cases = [
            (mirror(OWN, ""), ""),
            (mirror("", ""), "node \"one\" can only create pods with an owner reference set to itself"),
            (
                mirror(&OWN.replace("]", ", {apiVersion: v1, kind: Node, name: one, uid: v}]"), ""),
                "node \"one\" can only create pods with a single owner reference set to itself",
            ),
            (
                mirror(&OWN.replace("name: one", "name: two"), ""),
                "node \"one\" can only create pods with an owner reference set to itself",
            ),
            (
                mirror(&owner(""), ""),
                "node \"one\" can only create pods with a controller owner reference set to itself",
            ),
            (
                mirror(&owner(", controller: true, blockOwnerDeletion: true"), ""),
                "node \"one\" must not set blockOwnerDeletion on an owner reference",
            ),
            (
                mirror(OWN, "").replace("nodeName: one", "nodeName: two"),
                "node \"one\" can only create pods with spec.nodeName set to itself",
            ),
            (
                mirror(OWN, "").replace("kubernetes.io/config.mirror", "a"),
                "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"one\" can only create mirror pods",
            ),
        ];
        for (pod, expected) in cases {
            assert_eq!(told(&pod, None, None), expected, "{pod}");
        }
        for (spec, what) in [
            ("serviceAccountName: a", "a service account"),
            ("volumes: [{name: v, secret: {secretName: s}}]", "secrets"),
            ("imagePullSecrets: [{name: s}]", "secrets"),
            ("initContainers: [{name: i, image: i, envFrom: [{secretRef: {name: s}}]}]", "secrets"),
            ("volumes: [{name: v, configMap: {name: s}}]", "configmaps"),
            ("volumes: [{name: v, projected: {sources: [{configMap: {name: s}}]}}]", "configmaps"),
            ("resourceClaims: [{name: r, resourceClaimName: r}]", "resourceclaims or resourceclaimtemplates"),
            ("volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}]", "serviceaccounts"),
            ("volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]", "persistentvolumeclaims"),
        ] {
            let expected = format!("node \"one\" can not create pods that reference {what}");
            assert_eq!(told(&mirror(OWN, spec), None, None), expected, "{spec}");
        }
    }

    #[test]
    fn a_node_changes_only_itself_and_what_is_on_it() {
        let pod = mirror(OWN, "");
        let labelled = pod.replace("metadata: {", "metadata: {labels: {a: b}, ");
        let elsewhere = pod.replace("nodeName: one", "nodeName: two");
        let status = Some(Subresource::Status);
        let node =
            |name: &str, more: &str| format!("{{kind: Node, apiVersion: v1, metadata: {{name: {name}}}, {more}}}");
        let lease = |namespace: &str, name: &str| {
            format!(
                "{{kind: Lease, apiVersion: coordination.k8s.io/v1, metadata: {{name: {name}, namespace: {namespace}}}}}"
            )
        };
        let csi = |name: &str| {
            format!(
                "{{kind: CSINode, apiVersion: storage.k8s.io/v1, metadata: {{name: {name}}}, spec: {{drivers: []}}}}"
            )
        };
        let claim = "{kind: PersistentVolumeClaim, apiVersion: v1, metadata: {name: c}}".to_owned();
        let tainted = "spec: {taints: [{key: a, effect: NoSchedule}]}";
        let cases = [
            (pod.clone(), Some(pod.clone()), status, ""),
            (
                elsewhere.clone(),
                Some(elsewhere.clone()),
                status,
                "node \"one\" can only update pod status for pods with spec.nodeName set to itself",
            ),
            (labelled, Some(pod.clone()), status, "node \"one\" cannot update labels through pod status"),
            (
                pod.clone(),
                Some(pod.clone()),
                None,
                "unexpected operation \"UPDATE\", node \"one\" can only create and delete mirror pods",
            ),
            (
                pod.clone(),
                Some(pod),
                Some(Subresource::Resize),
                "unexpected pod subresource \"resize\", only 'status' and 'eviction' are allowed",
            ),
            (node("one", ""), Some(node("one", "")), None, ""),
            (node("two", ""), Some(node("two", "")), None, "node \"one\" is not allowed to modify node \"two\""),
            (node("one", tainted), None, None, ""),
            (node("one", tainted), Some(node("one", "")), None, "node \"one\" is not allowed to modify taints"),
            (lease("kube-node-lease", "one"), None, None, ""),
            (
                lease("kube-node-lease", "two"),
                None,
                None,
                "can only access node lease with the same name as the requesting node",
            ),
            (lease("default", "one"), None, None, "can only access leases in the \"kube-node-lease\" system namespace"),
            (csi("one"), None, None, ""),
            (csi("two"), None, None, "can only access CSINode with the same name as the requesting node"),
            (claim.clone(), Some(claim.clone()), status, ""),
            (claim.clone(), Some(claim), None, "may only update PVC status"),
        ];
        for (object, old, subresource, expected) in cases {
            assert_eq!(told(&object, old.as_deref(), subresource), expected, "{object}");
        }
        let user = User::new("system:node:one", &["system:nodes"]);
        let other = read(&elsewhere);
        let refused = admit_deletion(&user, &other).err().map(|status| status.message().to_owned());
        assert!(refused.is_some_and(|why| why.ends_with("can only delete pods with spec.nodeName set to itself")));
    }
}
