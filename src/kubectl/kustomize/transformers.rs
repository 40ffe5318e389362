//! What a kustomization says of all its objects: namespace, names, labels, annotations, replicas and images.

use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::set::pod_spec;
use super::{Resource, items, text};
use crate::api::Kind;

/// Kinds whose names stay: others must find them.
const NOT_RENAMED: [&str; 3] = ["CustomResourceDefinition", "APIService", "Namespace"];

/// Changes the objects in upstream's order.
pub(super) fn run(own: &Value, resources: &mut [Resource]) -> Result<(), Failure> {
    if let Some(namespace) = own["namespace"].as_str().filter(|namespace| !namespace.is_empty()) {
        set_namespace(namespace, resources);
    }
    let (prefix, suffix) = (text(&own["namePrefix"]), text(&own["nameSuffix"]));
    for resource in resources.iter_mut() {
        if !NOT_RENAMED.contains(&resource.kind()) {
            let name = format!("{prefix}{}{suffix}", resource.name());
            resource.rename(name);
        }
        for labels in items(&own["labels"]) {
            let selectors = labels["includeSelectors"] == true;
            let templates = selectors || labels["includeTemplates"] == true;
            set_labels(&mut resource.object, &labels["pairs"], selectors, templates);
        }
        set_labels(&mut resource.object, &own["commonLabels"], true, true);
        set_annotations(&mut resource.object, &own["commonAnnotations"]);
        for replicas in items(&own["replicas"]) {
            let scales =
                ["Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"].contains(&resource.kind());
            if scales && resource.names.iter().any(|name| replicas["name"] == **name) {
                resource.object["spec"]["replicas"] = replicas["count"].clone();
            }
        }
        for image in items(&own["images"]) {
            set_image(&mut resource.object, image);
        }
    }
    Ok(())
}

fn kind_of(object: &Value) -> Option<Kind> {
    Kind::from_manifest(text(&object["apiVersion"]), text(&object["kind"]))
}

fn set_namespace(namespace: &str, resources: &mut [Resource]) {
    let accounts: Vec<String> = resources
        .iter()
        .filter(|resource| resource.kind() == "ServiceAccount")
        .flat_map(|resource| resource.names.clone())
        .collect();
    for resource in resources.iter_mut() {
        if resource.kind() == "Namespace" {
            resource.rename(namespace.to_owned());
        } else if kind_of(&resource.object).is_none_or(|kind| kind.info().namespaced) {
            resource.object["metadata"]["namespace"] = namespace.into();
        }
        for subject in resource.object.pointer_mut("/subjects").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = text(&subject["name"]);
            let is_own = name == "default" || accounts.iter().any(|account| account == name);
            if subject["kind"] == "ServiceAccount" && is_own {
                subject["namespace"] = namespace.into();
            }
        }
    }
}

/// Puts pairs into a map, which is made when it is not there, unless only what is there counts. `[]` behind a part of the
/// path means each element.
fn put(object: &mut Value, path: &str, pairs: &Map<String, Value>, makes: bool) {
    let mut place = object;
    let mut rest = path;
    while !rest.is_empty() {
        let (part, after) = rest.split_once('.').unwrap_or((rest, ""));
        let (part, is_list) = part.strip_suffix("[]").map_or((part, false), |part| (part, true));
        if place[part].is_null() && !makes || !place.is_object() {
            return;
        }
        place = &mut place[part];
        if is_list {
            place.as_array_mut().into_iter().flatten().for_each(|element| put(element, after, pairs, makes));
            return;
        }
        rest = after;
    }
    for (key, value) in pairs {
        place[key.as_str()] = value.clone();
    }
}

/// Where templates of pods choose other pods.
const CHOICES: [&str; 5] = [
    "affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.labelSelector.matchLabels",
    "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[].labelSelector.matchLabels",
    "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.labelSelector.matchLabels",
    "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[].labelSelector.matchLabels",
    "topologySpreadConstraints[].labelSelector.matchLabels",
];

/// Where a kind's selectors and its templates are: `api/internal/konfig/builtinpluginconsts/commonlabels.go`.
fn places(kind: &str) -> (&'static [(&'static str, bool)], &'static [&'static str]) {
    match kind {
        "Service" => (&[("spec.selector", true)], &[]),
        "ReplicationController" => (&[("spec.selector", true)], &["spec.template.metadata"]),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => {
            (&[("spec.selector.matchLabels", true)], &["spec.template.metadata"])
        }
        "Job" => (&[("spec.selector.matchLabels", false)], &["spec.template.metadata"]),
        "CronJob" => (
            &[("spec.jobTemplate.spec.selector.matchLabels", false)],
            &["spec.jobTemplate.metadata", "spec.jobTemplate.spec.template.metadata"],
        ),
        "PodDisruptionBudget" => (&[("spec.selector.matchLabels", false)], &[]),
        "NetworkPolicy" => (
            &[
                ("spec.podSelector.matchLabels", false),
                ("spec.ingress[].from[].podSelector.matchLabels", false),
                ("spec.egress[].to[].podSelector.matchLabels", false),
            ],
            &[],
        ),
        _ => (&[], &[]),
    }
}

fn set_labels(object: &mut Value, pairs: &Value, selectors: bool, templates: bool) {
    let Some(pairs) = pairs.as_object().filter(|pairs| !pairs.is_empty()) else { return };
    put(object, "metadata.labels", pairs, true);
    let kind = text(&object["kind"]).to_owned();
    let (own, below) = places(&kind);
    if templates {
        below.iter().for_each(|place| put(object, &format!("{place}.labels"), pairs, true));
    }
    if !selectors {
        return;
    }
    own.iter().for_each(|(path, makes)| put(object, path, pairs, *makes));
    if matches!(kind.as_str(), "Deployment" | "StatefulSet") {
        CHOICES.iter().for_each(|path| put(object, &format!("spec.template.spec.{path}"), pairs, false));
    }
    let claims = object.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
    for claim in claims.into_iter().flatten().filter(|_| kind == "StatefulSet") {
        put(claim, "metadata.labels", pairs, true);
    }
}

fn set_annotations(object: &mut Value, pairs: &Value) {
    let Some(pairs) = pairs.as_object().filter(|pairs| !pairs.is_empty()) else { return };
    put(object, "metadata.annotations", pairs, true);
    let (_, below) = places(text(&object["kind"]));
    below.iter().for_each(|place| put(object, &format!("{place}.annotations"), pairs, true));
}

/// Gives an image another name, tag or digest, wherever it is used.
fn set_image(object: &mut Value, image: &Value) {
    let Some(spec) = kind_of(object).and_then(|kind| pod_spec(kind, object)) else { return };
    for field in ["containers", "initContainers"] {
        for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            let (name, rest) = split(text(&container["image"]));
            if image["name"] != name {
                continue;
            }
            let new = image["newName"].as_str().unwrap_or(name);
            let tag =
                image["newTag"].as_str().map(str::to_owned).or_else(|| Some(image["newTag"].as_i64()?.to_string()));
            let rest = match (image["digest"].as_str(), tag) {
                (Some(digest), _) => format!("@{digest}"),
                (None, Some(tag)) => format!(":{tag}"),
                (None, None) => rest.to_owned(),
            };
            container["image"] = json!(format!("{new}{rest}"));
        }
    }
}

/// The name of an image, and its tag or digest with what parts them.
fn split(image: &str) -> (&str, &str) {
    let at = image.find('@').or_else(|| {
        let last = image.rfind('/').unwrap_or(0);
        image[last..].find(':').map(|at| last + at)
    });
    image.split_at(at.unwrap_or(image.len()))
}
