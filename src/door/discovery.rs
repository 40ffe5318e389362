//! What the server serves, from the table of kinds and the custom kinds that there are: `/api`, `/apis` and below, in both forms.
//!
//! `k8s.io/apiserver/pkg/endpoints/discovery` and `discovery/aggregated`.

use serde_json::{Value, json};

use crate::api::{Kind, OTHER_VERSIONS, OtherVersion, Subresource};

/// A group with one of its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupVersion {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
}

impl GroupVersion {
    /// All that are served, in the order of the table of kinds: groups by their priority, and in a group the version
    /// first that is preferred.
    pub(super) fn all(custom: &[Kind]) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for kind in Kind::ALL {
            let info = kind.info();
            let own = Self { group: info.group, version: info.version };
            if !found.contains(&own) {
                found.push(own);
            }
        }
        for other in OTHER_VERSIONS {
            let last = found.iter().rposition(|own| own.group == other.listed_after);
            let own = Self { group: other.group, version: other.version };
            found.insert(last.map_or(found.len(), |last| last + 1), own);
        }
        for kind in custom {
            let own = Self { group: kind.info().group, version: kind.info().version };
            if !found.contains(&own) {
                found.push(own);
            }
        }
        found
    }

    /// The groups, each with its versions.
    fn groups(custom: &[Kind]) -> Vec<(&'static str, Vec<Self>)> {
        let mut groups: Vec<(&'static str, Vec<Self>)> = Vec::new();
        for own in Self::all(custom) {
            match groups.iter_mut().find(|(group, _)| *group == own.group) {
                Some((_, versions)) => versions.push(own),
                None => groups.push((own.group, vec![own])),
            }
        }
        groups
    }

    /// Its address: `api/v1` or `apis/apps/v1`.
    pub(super) fn path(self) -> String {
        let Self { group, version } = self;
        if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
    }

    /// `v1` or `apps/v1`.
    pub(super) fn name(self) -> String {
        let Self { group, version } = self;
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
    }

    /// The kinds in it, by the names of their resources.
    pub(super) fn kinds(self, custom: &[Kind]) -> Vec<Kind> {
        let is_own = |kind: &&Kind| kind.info().group == self.group && kind.info().version == self.version;
        let is_other = |other: &&OtherVersion| (other.group, other.version) == (self.group, self.version);
        let others = OTHER_VERSIONS.iter().filter(is_other).map(|other| other.kind);
        let mut kinds: Vec<Kind> = Kind::ALL.iter().chain(custom).filter(is_own).copied().chain(others).collect();
        kinds.sort_by_key(|kind| kind.info().plural);
        kinds
    }
}

/// What can be done to a kind.
fn verbs(kind: Kind) -> Vec<&'static str> {
    if kind.is_computed() {
        return vec!["get", "list"];
    }
    if !kind.is_stored() {
        return vec!["create"];
    }
    if kind.custom().is_some() {
        return vec!["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
    }
    let all = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    all.into_iter().filter(|verb| kind != Kind::Namespace || *verb != "deletecollection").collect()
}

/// What can be done below an object, and with what: verbs, group, version and kind. An empty group is the kind's own.
fn below(kind: Kind, subresource: Subresource) -> (&'static [&'static str], &'static str, &'static str, String) {
    const CHANGE: &[&str] = &["get", "patch", "update"];
    const OPEN: &[&str] = &["create", "get"];
    const PASS: &[&str] = &["create", "delete", "get", "patch", "update"];
    let own = || kind.info().kind.to_owned();
    match subresource {
        Subresource::Status | Subresource::EphemeralContainers | Subresource::Resize | Subresource::Approval => {
            (CHANGE, "", "", own())
        }
        Subresource::Scale => (CHANGE, "autoscaling", "v1", "Scale".to_owned()),
        Subresource::Binding => (&["create"], "", "", "Binding".to_owned()),
        Subresource::Eviction => (&["create"], "policy", "v1", "Eviction".to_owned()),
        Subresource::Log => (&["get"], "", "", own()),
        Subresource::Exec => (OPEN, "", "", "PodExecOptions".to_owned()),
        Subresource::Attach => (OPEN, "", "", "PodAttachOptions".to_owned()),
        Subresource::PortForward => (OPEN, "", "", "PodPortForwardOptions".to_owned()),
        Subresource::Proxy => (PASS, "", "", format!("{}ProxyOptions", own())),
        Subresource::Token => (&["create"], "authentication.k8s.io", "v1", "TokenRequest".to_owned()),
        Subresource::Finalize => (&["update"], "", "", own()),
    }
}

fn subresources(kind: Kind) -> Vec<Subresource> {
    let mut subresources = kind.info().subresources.to_vec();
    subresources.sort_by_key(|subresource| subresource.as_str());
    subresources
}

/// `APIGroupDiscoveryList`: the core group for `/api`, all others for `/apis`.
pub(super) fn aggregated(is_core: bool, custom: &[Kind]) -> Value {
    let groups = GroupVersion::groups(custom);
    let items = groups.iter().filter(|(group, _)| group.is_empty() == is_core).map(|(group, versions)| {
        let versions = versions.iter().map(|own| {
            let resources: Vec<Value> = own.kinds(custom).into_iter().map(aggregated_resource).collect();
            json!({ "version": own.version, "resources": resources, "freshness": "Current" })
        });
        json!({
            "metadata": { "name": group, "creationTimestamp": null },
            "versions": versions.collect::<Vec<_>>(),
        })
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items.collect::<Vec<_>>(),
    })
}

fn aggregated_resource(kind: Kind) -> Value {
    let info = kind.info();
    let mut resource = json!({
        "resource": info.plural,
        "responseKind": { "group": "", "version": "", "kind": info.kind },
        "scope": if info.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": info.singular,
        "verbs": verbs(kind),
    });
    if !info.short_names.is_empty() {
        resource["shortNames"] = json!(info.short_names);
    }
    if !info.categories.is_empty() {
        resource["categories"] = json!(info.categories);
    }
    let below = subresources(kind).into_iter().map(|subresource| {
        let (verbs, group, version, kind) = below(kind, subresource);
        json!({
            "subresource": subresource.as_str(),
            "responseKind": { "group": group, "version": version, "kind": kind },
            "verbs": verbs,
        })
    });
    let below: Vec<Value> = below.collect();
    if !below.is_empty() {
        resource["subresources"] = below.into();
    }
    resource
}

/// `APIVersions`: what `/api` says to clients that know no aggregated discovery.
pub(super) fn core_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1" }],
    })
}

/// `APIGroupList`.
pub(super) fn groups(custom: &[Kind]) -> Value {
    let groups = GroupVersion::groups(custom);
    let groups = groups.iter().filter(|(group, _)| !group.is_empty());
    let groups: Vec<Value> = groups.map(|(group, versions)| group_body(group, versions)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

fn group_body(group: &str, versions: &[GroupVersion]) -> Value {
    let versions: Vec<Value> =
        versions.iter().map(|own| json!({ "groupVersion": own.name(), "version": own.version })).collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions.first() })
}

/// `APIGroup`, if there is one of that name.
pub(super) fn group(name: &str, custom: &[Kind]) -> Option<Value> {
    let groups = GroupVersion::groups(custom);
    let (group, versions) = groups.iter().find(|(group, _)| *group == name && !name.is_empty())?;
    let mut value = json!({ "kind": "APIGroup", "apiVersion": "v1" });
    for (key, part) in group_body(group, versions).as_object().into_iter().flatten() {
        value[key] = part.clone();
    }
    Some(value)
}

/// `APIResourceList`, if there is such a group and version.
pub(super) fn resources(group: &str, version: &str, custom: &[Kind]) -> Option<Value> {
    let own = GroupVersion::all(custom).into_iter().find(|own| own.group == group && own.version == version)?;
    let mut list = Vec::new();
    for kind in own.kinds(custom) {
        let info = kind.info();
        let mut resource = json!({
            "name": info.plural,
            "singularName": info.singular,
            "namespaced": info.namespaced,
            "kind": info.kind,
            "verbs": verbs(kind),
        });
        if !info.short_names.is_empty() {
            resource["shortNames"] = json!(info.short_names);
        }
        if !info.categories.is_empty() {
            resource["categories"] = json!(info.categories);
        }
        list.push(resource);
        for subresource in subresources(kind) {
            let (verbs, group, version, below_kind) = below(kind, subresource);
            let mut resource = json!({
                "name": format!("{}/{}", info.plural, subresource.as_str()),
                "singularName": "",
                "namespaced": info.namespaced,
            });
            if !group.is_empty() {
                resource["group"] = group.into();
                resource["version"] = version.into();
            }
            resource["kind"] = below_kind.into();
            resource["verbs"] = json!(verbs);
            list.push(resource);
        }
    }
    Some(json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": own.name(), "resources": list }))
}

/// The group that metrics-server serves.
pub(super) const METRICS: &str = "metrics.k8s.io";

/// Takes the group of metrics-server out of a list of groups or of paths, where there is none.
pub(super) fn without_metrics(value: &mut Value) {
    let is_other = |item: &Value| {
        item["name"] != METRICS
            && item["metadata"]["name"] != METRICS
            && !item.as_str().is_some_and(|path| path.contains(METRICS))
    };
    for list in ["groups", "items", "paths"] {
        value.get_mut(list).and_then(Value::as_array_mut).into_iter().for_each(|list| list.retain(is_other));
    }
}

/// What `/` lists.
pub(super) fn paths(custom: &[Kind]) -> Value {
    let mut paths: Vec<String> = [
        "/.well-known/openid-configuration",
        "/api",
        "/apis",
        "/apis/",
        "/metrics",
        "/metrics/slis",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
        "/openid/v1/jwks",
        "/version",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend(super::health::paths());
    for own in GroupVersion::all(custom) {
        paths.push(format!("/{}", own.path()));
        if !own.group.is_empty() {
            paths.push(format!("/apis/{}", own.group));
        }
    }
    paths.sort();
    paths.dedup();
    json!({ "paths": paths })
}
