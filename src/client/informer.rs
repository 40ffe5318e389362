//! A process's own copy of what it watches, which is as old as the last event that reached it.

use crate::machinery::order::Order as _;
use crate::machinery::persistent::OrdMap;

use crate::api::{Kind, KindMap, Name, Object, ObjectKey, Resource, controller_of};
use crate::etcd::{Commit, Revision};

use super::volumes::claims_of;

/// Which objects of a kind a process watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchSelector {
    /// All of them.
    All,
    /// Pods bound to a node: `spec.nodeName=…`.
    OnNode(Name),
    /// The one of this name: `metadata.name=…`.
    Named(Name),
}

impl WatchSelector {
    /// Whether an object is among those watched.
    #[must_use]
    pub fn selects(&self, object: &Object) -> bool {
        match self {
            Self::All => true,
            Self::OnNode(node) => node_of(object) == Some(node),
            Self::Named(name) => object.metadata().name.as_deref() == Some(name),
        }
    }
}

/// The node that a pod is bound to.
fn node_of(object: &Object) -> Option<&str> {
    match object {
        Object::Pod(pod) => pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty()),
        _ => None,
    }
}

/// A watch that a process keeps open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSpec {
    /// The kind.
    pub kind: Kind,
    /// Which objects of it.
    pub selector: WatchSelector,
}

impl WatchSpec {
    /// A watch of all objects of a kind.
    #[must_use]
    pub const fn all(kind: Kind) -> Self {
        Self { kind, selector: WatchSelector::All }
    }

    /// What a commit looks like through this watch; `None` when it concerns objects that are not watched.
    #[must_use]
    pub fn view(&self, commit: &Commit) -> Option<InformerEvent> {
        let seen = |object: &Option<Object>| object.as_ref().filter(|object| self.selector.selects(object)).cloned();
        let (before, after) = (seen(&commit.before), seen(&commit.after));
        let kind = commit.kind();
        if kind.as_watched() != self.kind || (before.is_none() && after.is_none()) {
            return None;
        }
        Some(InformerEvent { kind, key: commit.key.clone(), before, after, revision: commit.revision })
    }
}

/// A change as a process sees it: added (no `before`), modified (both) or deleted (no `after`).
#[derive(Clone, Debug)]
pub struct InformerEvent {
    /// The object's kind.
    pub kind: Kind,
    /// The object's key.
    pub key: ObjectKey,
    /// What the process knew before.
    pub before: Option<Object>,
    /// What it knows now.
    pub after: Option<Object>,
    /// The revision that made the change.
    pub revision: Revision,
}

impl InformerEvent {
    /// The state before, when it is a `K`.
    #[must_use]
    pub fn before<K: Resource>(&self) -> Option<&K> {
        Some(self.before.as_ref()?.downcast::<K>()?)
    }

    /// The state after, when it is a `K`.
    #[must_use]
    pub fn after<K: Resource>(&self) -> Option<&K> {
        Some(self.after.as_ref()?.downcast::<K>()?)
    }

    /// The newest state that the event tells, when it is a `K`: the one after, or the last one of a deleted object.
    #[must_use]
    pub fn newest<K: Resource>(&self) -> Option<&K> {
        self.after().or_else(|| self.before())
    }
}

/// Objects in groups, each in the order of its keys, so that a group is walked without looking anything up.
#[derive(Clone, Debug, Default)]
struct Index {
    groups: OrdMap<Name, OrdMap<ObjectKey, Object>>,
}

impl Index {
    fn remove(&mut self, group: &str, key: &ObjectKey) {
        let Some(objects) = self.groups.get_mut(group) else { return };
        objects.remove(key);
        if objects.is_empty() {
            self.groups.remove(group);
        }
    }

    fn insert(&mut self, group: &str, key: &ObjectKey, object: &Object) {
        match self.groups.get_mut(group) {
            Some(objects) => {
                objects.insert(key.clone(), object.clone());
            }
            None => {
                self.groups.insert(group.into(), OrdMap::from_iter([(key.clone(), object.clone())]));
            }
        }
    }

    /// `object` takes the place of the one that was in group `old`, if there was one.
    fn change(&mut self, old: Option<&str>, new: Option<&str>, key: &ObjectKey, object: Option<&Object>) {
        if let Some(old) = old.filter(|old| new != Some(old)) {
            self.remove(old, key);
        }
        if let (Some(new), Some(object)) = (new, object) {
            self.insert(new, key, object);
        }
    }

    fn under(&self, group: &str) -> impl Iterator<Item = &Object> {
        self.groups.get(group).into_iter().flat_map(OrdMap::values)
    }
}

#[derive(Clone, Debug, Default)]
struct Cache {
    objects: OrdMap<ObjectKey, Object>,
    /// By the uid of the controlling owner; what has none stands under the empty name.
    by_controller: Index,
    by_node: Index,
    /// Pods by the claims that they use, as texts: `common.PodPVCIndex`.
    by_claim: Index,
}

fn controller_uid(object: &Object) -> &str {
    controller_of(object.metadata()).map_or("", |owner| owner.uid.as_str())
}

/// The claims that an object uses, if it is a pod.
fn claims(object: &Object) -> Vec<String> {
    match object {
        Object::Pod(pod) => claims_of(pod).map(|claim| claim.to_string()).collect(),
        _ => Vec::new(),
    }
}

/// The caches of a process, a kind each, with the indices that controllers ask most.
#[derive(Clone, Debug)]
pub struct Informers {
    caches: KindMap<Cache>,
}

impl Default for Informers {
    fn default() -> Self {
        Self::new()
    }
}

impl Informers {
    /// Caches that know nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { caches: KindMap::default() }
    }

    /// Takes in what a watch told.
    pub fn apply(&mut self, event: &InformerEvent) {
        let cache = self.caches.get_mut(event.kind);
        let (key, after) = (&event.key, event.after.as_ref());
        let known = match after {
            Some(after) => cache.objects.insert(key.clone(), after.clone()),
            None => cache.objects.remove(key),
        };
        let known = known.as_ref();
        cache.by_controller.change(known.map(controller_uid), after.map(controller_uid), key, after);
        cache.by_node.change(known.and_then(node_of), after.and_then(node_of), key, after);
        let (used, uses) = (known.map(claims).unwrap_or_default(), after.map(claims).unwrap_or_default());
        used.iter().filter(|claim| !uses.contains(claim)).for_each(|claim| cache.by_claim.remove(claim, key));
        uses.iter().zip(after.into_iter().cycle()).for_each(|(claim, pod)| cache.by_claim.insert(claim, key, pod));
    }

    /// The object of a key, as last heard of.
    #[must_use]
    pub fn get<K: Resource>(&self, key: &ObjectKey) -> Option<&std::sync::Arc<K>> {
        self.object(K::OBJECT_KIND, key)?.downcast()
    }

    /// The object of a key, of any kind.
    #[must_use]
    pub fn object(&self, kind: Kind, key: &ObjectKey) -> Option<&Object> {
        self.caches.get(kind).objects.get(key)
    }

    /// All objects of a kind in the order of their keys.
    pub fn list<K: Resource>(&self) -> impl Iterator<Item = &std::sync::Arc<K>> {
        self.caches.get(K::OBJECT_KIND).objects.values().filter_map(Object::downcast)
    }

    /// All objects of a kind in a namespace, in the order of their names.
    pub fn list_in<'a, K: Resource>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a std::sync::Arc<K>> {
        self.caches
            .get(K::OBJECT_KIND)
            .objects
            .range(ObjectKey::new(namespace, "")..)
            .take_while(move |(key, _)| *key.namespace == *namespace)
            .filter_map(|(_, object)| object.downcast())
    }

    /// As [`Self::list`], of any kind.
    pub fn objects(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.caches.get(kind).objects.values()
    }

    /// As [`Self::list_in`], of any kind.
    pub fn objects_in<'a>(&'a self, kind: Kind, namespace: &'a str) -> impl Iterator<Item = &'a Object> + use<'a> {
        let objects = self.caches.get(kind).objects.range(ObjectKey::new(namespace, "")..);
        objects.take_while(move |(key, _)| *key.namespace == *namespace).map(|(_, object)| object)
    }

    /// All objects of a kind whose controlling owner has this uid.
    pub fn controlled_by<'a, K: Resource>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a std::sync::Arc<K>> {
        self.caches.get(K::OBJECT_KIND).by_controller.under(uid).filter_map(Object::downcast)
    }

    /// The objects of a kind in a namespace that `uid` controls and those that nobody does, in the order of their
    /// names: what an owner may claim (`FilterPodsByOwner`).
    pub fn claimable<'a, K: Resource>(&'a self, namespace: &'a str, uid: &'a str) -> Vec<&'a std::sync::Arc<K>> {
        let in_namespace = |uid: &'a str| self.controlled_by::<K>(uid).filter(|object| object.namespace() == namespace);
        let mut found: Vec<&std::sync::Arc<K>> = in_namespace(uid).collect();
        let owned = found.len();
        found.extend(in_namespace(""));
        if found.len() > owned {
            found.order_by(|left, right| left.name().cmp(right.name()));
        }
        found
    }

    /// All pods bound to a node.
    pub fn pods_on<'a>(
        &'a self,
        node: &'a str,
    ) -> impl Iterator<Item = &'a std::sync::Arc<k8s_openapi::api::core::v1::Pod>> {
        self.caches.get(Kind::Pod).by_node.under(node).filter_map(Object::downcast)
    }

    /// All pods that use a claim, in the order of their names.
    pub fn pods_using(&self, claim: &ObjectKey) -> Vec<&std::sync::Arc<k8s_openapi::api::core::v1::Pod>> {
        self.caches.get(Kind::Pod).by_claim.under(&claim.to_string()).filter_map(Object::downcast).collect()
    }

    /// How many objects of a kind are known.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.caches.get(kind).objects.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    #[test]
    fn pods_are_found_by_the_claims_that_they_use() {
        let pod = |name: &str, claims: &[&str]| {
            let volume =
                |claim: &&str| serde_json::json!({ "name": claim, "persistentVolumeClaim": { "claimName": claim } });
            let volumes: Vec<_> = claims.iter().map(volume).collect();
            let spec = serde_json::json!({ "containers": [], "volumes": volumes });
            let value = serde_json::json!({ "metadata": { "name": name, "namespace": "default" }, "spec": spec });
            Object::Pod(Arc::new(serde_json::from_value(value).expect("the pod is written out here")))
        };
        let mut informers = Informers::new();
        let mut known: std::collections::BTreeMap<&str, Object> = std::collections::BTreeMap::new();
        let mut apply = |informers: &mut Informers, name: &'static str, after: Option<Object>| {
            let key = ObjectKey::new("default", name);
            let before = match &after {
                Some(after) => known.insert(name, after.clone()),
                None => known.remove(name),
            };
            informers.apply(&InformerEvent { kind: Kind::Pod, key, before, after, revision: 1 });
        };
        let users = |informers: &Informers, claim: &str| {
            let pods = informers.pods_using(&ObjectKey::new("default", claim));
            pods.iter().map(|pod: &&Arc<Pod>| pod.name().to_owned()).collect::<Vec<_>>()
        };
        apply(&mut informers, "b", Some(pod("b", &["data", "logs"])));
        apply(&mut informers, "a", Some(pod("a", &["data"])));
        assert_eq!(
            (users(&informers, "data"), users(&informers, "logs")),
            (vec!["a".into(), "b".into()], vec!["b".into()])
        );
        apply(&mut informers, "b", Some(pod("b", &["logs"])));
        assert_eq!((users(&informers, "data"), users(&informers, "logs")), (vec!["a".into()], vec!["b".into()]));
        apply(&mut informers, "a", None);
        assert_eq!(users(&informers, "data"), Vec::<String>::new());
        assert_eq!(informers.pods_using(&ObjectKey::new("other", "logs")).len(), 0);
    }
}
