//! A process's own copy of what it watches, which is as old as the last event that reached it.

use crate::machinery::persistent::{OrdMap, OrdSet};

use crate::api::{Kind, Name, Object, ObjectKey, Resource, controller_of};
use crate::etcd::{Commit, Revision};

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
        if commit.kind() != self.kind || (before.is_none() && after.is_none()) {
            return None;
        }
        Some(InformerEvent { kind: self.kind, key: commit.key.clone(), before, after, revision: commit.revision })
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

#[derive(Clone, Debug, Default)]
struct Cache {
    objects: OrdMap<ObjectKey, Object>,
    /// (uid of the controlling owner, key)
    by_controller: OrdSet<(Name, ObjectKey)>,
    /// (node, key)
    by_node: OrdSet<(Name, ObjectKey)>,
}

impl Cache {
    fn unindex(&mut self, key: &ObjectKey, object: &Object) {
        if let Some(owner) = controller_of(object.metadata()) {
            self.by_controller.remove(&(Name::from(owner.uid.as_str()), key.clone()));
        }
        if let Some(node) = node_of(object) {
            self.by_node.remove(&(Name::from(node), key.clone()));
        }
    }

    fn index(&mut self, key: &ObjectKey, object: &Object) {
        if let Some(owner) = controller_of(object.metadata()) {
            self.by_controller.insert((Name::from(owner.uid.as_str()), key.clone()));
        }
        if let Some(node) = node_of(object) {
            self.by_node.insert((Name::from(node), key.clone()));
        }
    }

    /// The objects whose entry in `index` begins with `first`.
    fn under<'a>(
        &'a self,
        index: &'a OrdSet<(Name, ObjectKey)>,
        first: &'a str,
    ) -> impl Iterator<Item = &'a Object> + 'a {
        index
            .range((Name::from(first), ObjectKey::new("", ""))..)
            .take_while(move |(name, _)| **name == *first)
            .filter_map(|(_, key)| self.objects.get(key))
    }
}

/// The caches of a process, a kind each, with the indices that controllers ask most.
#[derive(Clone, Debug)]
pub struct Informers {
    caches: Vec<Cache>,
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
        Self { caches: vec![Cache::default(); Kind::ALL.len()] }
    }

    /// Takes in what a watch told.
    pub fn apply(&mut self, event: &InformerEvent) {
        let cache = &mut self.caches[event.kind.index()];
        if let Some(known) = cache.objects.get(&event.key).cloned() {
            cache.unindex(&event.key, &known);
        }
        match &event.after {
            Some(after) => {
                cache.index(&event.key, after);
                cache.objects.insert(event.key.clone(), after.clone());
            }
            None => {
                cache.objects.remove(&event.key);
            }
        }
    }

    /// The object of a key, as last heard of.
    #[must_use]
    pub fn get<K: Resource>(&self, key: &ObjectKey) -> Option<&std::sync::Arc<K>> {
        self.object(K::OBJECT_KIND, key)?.downcast()
    }

    /// The object of a key, of any kind.
    #[must_use]
    pub fn object(&self, kind: Kind, key: &ObjectKey) -> Option<&Object> {
        self.caches[kind.index()].objects.get(key)
    }

    /// All objects of a kind in the order of their keys.
    pub fn list<K: Resource>(&self) -> impl Iterator<Item = &std::sync::Arc<K>> {
        self.caches[K::OBJECT_KIND.index()].objects.values().filter_map(Object::downcast)
    }

    /// All objects of a kind in a namespace, in the order of their names.
    pub fn list_in<'a, K: Resource>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a std::sync::Arc<K>> {
        self.caches[K::OBJECT_KIND.index()]
            .objects
            .range(ObjectKey::new(namespace, "")..)
            .take_while(move |(key, _)| *key.namespace == *namespace)
            .filter_map(|(_, object)| object.downcast())
    }

    /// All objects of a kind whose controlling owner has this uid.
    pub fn controlled_by<'a, K: Resource>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a std::sync::Arc<K>> {
        let cache = &self.caches[K::OBJECT_KIND.index()];
        cache.under(&cache.by_controller, uid).filter_map(Object::downcast)
    }

    /// All pods bound to a node.
    pub fn pods_on<'a>(
        &'a self,
        node: &'a str,
    ) -> impl Iterator<Item = &'a std::sync::Arc<k8s_openapi::api::core::v1::Pod>> {
        let cache = &self.caches[Kind::Pod.index()];
        cache.under(&cache.by_node, node).filter_map(Object::downcast)
    }

    /// How many objects of a kind are known.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.caches[kind.index()].objects.len()
    }
}
