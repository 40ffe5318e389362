//! Who owns whom: every object that was heard of, and every owner that was only named.
//!
//! Follows `kubernetes/pkg/controller/garbagecollector/{graph,graph_builder}.go`. Upstream keeps pointers between nodes;
//! here an edge is a uid, and each owner counts the dependents that block it, so that no event costs more than the
//! objects it concerns.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::{Kind, Name};

/// The finalizer of an owner that waits for its dependents: `metav1.FinalizerDeleteDependents`.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an owner whose dependents are to stay: `metav1.FinalizerOrphanDependents`.
pub(super) const ORPHAN: &str = "orphan";

/// Where an object is, or is said to be: `objectReference`. The order of the fields is that of `referenceLessThan`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub kind: Name,
    pub api_version: Name,
    /// Empty for cluster-scoped objects.
    pub namespace: Name,
    pub name: Name,
    pub uid: Name,
}

impl Identity {
    /// The identity of an object that exists.
    pub fn of(kind: Kind, metadata: &ObjectMeta) -> Self {
        let text = |text: &Option<String>| Name::from(text.as_deref().unwrap_or(""));
        Self {
            kind: Name::from(kind.info().kind),
            api_version: Name::from(kind.api_version()),
            namespace: text(&metadata.namespace),
            name: text(&metadata.name),
            uid: text(&metadata.uid),
        }
    }

    /// The identity that a reference means for a dependent in `namespace`.
    pub fn named_by(owner: &OwnerReference, namespace: Name) -> Self {
        Self {
            kind: Name::from(owner.kind.as_str()),
            api_version: Name::from(owner.api_version.as_str()),
            namespace,
            name: Name::from(owner.name.as_str()),
            uid: Name::from(owner.uid.as_str()),
        }
    }

    /// Whether a reference names these coordinates, the namespace apart.
    fn matches(&self, owner: &OwnerReference) -> bool {
        *self.uid == *owner.uid
            && *self.name == *owner.name
            && *self.kind == *owner.kind
            && *self.api_version == *owner.api_version
    }
}

/// What the graph knows of an object.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub identity: Identity,
    pub owners: Arc<[OwnerReference]>,
    /// The uids of those that name it as their owner, and whether they block its deletion.
    pub dependents: OrdMap<Name, bool>,
    /// How many of the dependents block its deletion.
    pub blocking: usize,
    /// Named by others, but not seen.
    pub is_virtual: bool,
    pub being_deleted: bool,
    /// It waits for its dependents: deletion in the foreground.
    pub deleting_dependents: bool,
}

impl Node {
    fn new(identity: Identity, owners: Arc<[OwnerReference]>) -> Self {
        Self {
            identity,
            owners,
            dependents: OrdMap::new(),
            blocking: 0,
            is_virtual: false,
            being_deleted: false,
            deleting_dependents: false,
        }
    }

    fn link(&mut self, dependent: Name, blocks: bool) {
        let before = self.dependents.insert(dependent, blocks).unwrap_or(false);
        self.blocking = self.blocking + usize::from(blocks) - usize::from(before);
    }

    fn unlink(&mut self, dependent: &Name) {
        if self.dependents.remove(dependent) == Some(true) {
            self.blocking -= 1;
        }
    }
}

/// What follows from a change of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Look whether the object of this uid should be deleted.
    AttemptToDelete(Name),
    /// The same, after the key's back-off.
    AttemptToDeleteLater(Name),
    /// Take the owner of this uid away from its dependents.
    AttemptToOrphan(Name),
    /// Nothing is there; dependents that name it dangle.
    Absent(Identity),
    /// The dependent names an owner that lives in another namespace.
    InvalidNamespace {
        /// The uid of the dependent.
        dependent: Name,
        /// The uid of the owner.
        owner: Name,
    },
}

/// The graph.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    nodes: OrdMap<Name, Node>,
}

fn being_deleted(metadata: &ObjectMeta) -> bool {
    metadata.deletion_timestamp.is_some()
}

pub(super) fn has_finalizer(metadata: &ObjectMeta, finalizer: &str) -> bool {
    metadata.finalizers.iter().flatten().any(|known| known == finalizer)
}

/// Whether the deletion of an object begins to wait with this finalizer: `deletionStartsWithFinalizer`.
fn starts_waiting(before: Option<&ObjectMeta>, after: &ObjectMeta, finalizer: &str) -> bool {
    let waits = |metadata: &ObjectMeta| being_deleted(metadata) && has_finalizer(metadata, finalizer);
    waits(after) && !before.is_some_and(waits)
}

/// Whether any of the references to `owner` blocks its deletion.
fn blocks(owners: &[OwnerReference], owner: &str) -> bool {
    owners.iter().any(|reference| reference.uid == owner && reference.block_owner_deletion == Some(true))
}

fn uids(owners: &[OwnerReference]) -> BTreeSet<&str> {
    owners.iter().map(|owner| owner.uid.as_str()).collect()
}

impl Graph {
    /// The node of a uid.
    pub fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// Takes in what a watch told: `processGraphChanges`.
    pub fn observe(&mut self, kind: Kind, before: Option<&ObjectMeta>, after: Option<&ObjectMeta>) -> Vec<Effect> {
        let mut effects = Vec::new();
        match (before, after) {
            (before, Some(after)) => self.changed(kind, before, after, &mut effects),
            (Some(before), None) => {
                let identity = Identity::of(kind, before);
                if self.nodes.contains_key(&*identity.uid) {
                    self.mark_observed(&identity, &mut effects);
                    self.remove(&identity, &mut effects);
                }
            }
            (None, None) => {}
        }
        effects
    }

    fn changed(&mut self, kind: Kind, before: Option<&ObjectMeta>, after: &ObjectMeta, effects: &mut Vec<Effect>) {
        let uid = after.uid.as_deref().unwrap_or("");
        let owners = after.owner_references.as_deref().unwrap_or(&[]);
        match self.nodes.get(uid) {
            None => {
                let mut node = Node::new(Identity::of(kind, after), owners.into());
                node.being_deleted = being_deleted(after);
                node.deleting_dependents = being_deleted(after) && has_finalizer(after, FOREGROUND);
                let uid = node.identity.uid.clone();
                self.nodes.insert(uid.clone(), node);
                self.link_to_owners(&uid, &uids(owners), effects);
            }
            Some(known) => {
                let (is_virtual, knew_owners, knew_deletion) =
                    (known.is_virtual, *known.owners == *owners, known.being_deleted);
                if is_virtual {
                    self.mark_observed(&Identity::of(kind, after), effects);
                }
                if !knew_owners {
                    self.owners_changed(uid, owners, effects);
                }
                if being_deleted(after)
                    && !knew_deletion
                    && let Some(node) = self.nodes.get_mut(uid)
                {
                    node.being_deleted = true;
                }
            }
        }
        self.process_transitions(uid, before, after, effects);
    }

    fn process_transitions(
        &mut self,
        uid: &str,
        before: Option<&ObjectMeta>,
        after: &ObjectMeta,
        effects: &mut Vec<Effect>,
    ) {
        if starts_waiting(before, after, ORPHAN) {
            effects.push(Effect::AttemptToOrphan(Name::from(uid)));
        } else if starts_waiting(before, after, FOREGROUND)
            && let Some(node) = self.nodes.get_mut(uid)
        {
            node.deleting_dependents = true;
            effects.extend(node.dependents.keys().cloned().map(Effect::AttemptToDelete));
            effects.push(Effect::AttemptToDelete(Name::from(uid)));
        }
    }

    /// An owner that was only named has been seen. Dependents that named it wrongly are looked at again.
    fn mark_observed(&mut self, observed: &Identity, effects: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(&observed.uid).filter(|node| node.is_virtual) else { return };
        node.is_virtual = false;
        if node.identity == *observed {
            return;
        }
        node.identity = observed.clone();
        let (_, others) = self.partition_dependents(observed);
        for dependent in others {
            let namespace = self.nodes.get(&dependent).map(|node| node.identity.namespace.clone());
            if !observed.namespace.is_empty() && namespace.as_ref() != Some(&observed.namespace) {
                let owner = observed.uid.clone();
                effects.push(Effect::InvalidNamespace { dependent: dependent.clone(), owner });
            }
            effects.push(Effect::AttemptToDelete(dependent));
        }
    }

    /// The references of an object changed: `referencesDiffs` and what follows from it.
    fn owners_changed(&mut self, uid: &str, owners: &[OwnerReference], effects: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(uid) else { return };
        let uid = node.identity.uid.clone();
        let before = std::mem::replace(&mut node.owners, owners.into());
        let (old, new) = (uids(&before), uids(owners));
        for &owner in &old {
            let (blocked, blocking) = (blocks(&before, owner), blocks(owners, owner));
            if let Some(node) = self.nodes.get_mut(owner) {
                if new.contains(owner) {
                    node.link(uid.clone(), blocking);
                } else {
                    node.unlink(&uid);
                }
            }
            if blocked && !blocking {
                self.owner_unblocked(owner, effects);
            }
        }
        self.link_to_owners(&uid, &new.difference(&old).copied().collect(), effects);
    }

    /// An owner that waits for its dependents is looked at once none of them blocks it any more. Upstream looks at it
    /// whenever one goes, which costs the square of their number.
    fn owner_unblocked(&self, owner: &str, effects: &mut Vec<Effect>) {
        if let Some(node) = self.nodes.get(owner).filter(|node| node.deleting_dependents && node.blocking == 0) {
            effects.push(Effect::AttemptToDelete(node.identity.uid.clone()));
        }
    }

    /// Adds an object to the dependents of its owners, of which those that nobody has seen become virtual nodes:
    /// `addDependentToOwners`.
    fn link_to_owners(&mut self, uid: &Name, added: &BTreeSet<&str>, effects: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get(uid) else { return };
        let (owners, namespace) = (node.owners.clone(), node.identity.namespace.clone());
        let mut may_be_invalid = false;
        for reference in owners.iter().filter(|owner| added.contains(owner.uid.as_str())) {
            let blocks = blocks(&owners, &reference.uid);
            let Some(owner) = self.nodes.get_mut(reference.uid.as_str()) else {
                let mut owner = Node::new(Identity::named_by(reference, namespace.clone()), Arc::from([]));
                owner.is_virtual = true;
                owner.link(uid.clone(), blocks);
                let owner_uid = owner.identity.uid.clone();
                effects.push(Effect::AttemptToDelete(owner_uid.clone()));
                self.nodes.insert(owner_uid, owner);
                continue;
            };
            owner.link(uid.clone(), blocks);
            if owner.deleting_dependents {
                effects.push(Effect::AttemptToDelete(uid.clone()));
            }
            if may_be_invalid {
                continue;
            }
            let is_namespaced = !owner.identity.namespace.is_empty();
            let elsewhere = owner.identity.namespace != namespace;
            if is_namespaced && elsewhere {
                may_be_invalid = true;
                if !owner.is_virtual {
                    let owner = owner.identity.uid.clone();
                    effects.push(Effect::InvalidNamespace { dependent: uid.clone(), owner });
                }
            } else if !owner.identity.matches(reference) || (elsewhere && owner.is_virtual) {
                may_be_invalid = true;
            }
        }
        if may_be_invalid {
            effects.push(Effect::AttemptToDelete(uid.clone()));
        }
    }

    /// Nothing is stored at an identity that somebody named or that was seen before: a virtual delete event.
    pub fn observe_absence(&mut self, absent: &Identity) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(node) = self.nodes.get(&absent.uid) else { return effects };
        if node.is_virtual {
            let (matching, others) = self.partition_dependents(absent);
            if others.is_empty() {
                self.remove(absent, &mut effects);
                return effects;
            }
            // The dependents do not agree on who their owner is.
            let was_this = node.identity == *absent;
            if !matching.is_empty() {
                effects.push(Effect::Absent(absent.clone()));
                effects.extend(matching.into_iter().map(Effect::AttemptToDelete));
            }
            if was_this
                && let Some(other) = self.alternate_identity(&others, absent)
                && let Some(node) = self.nodes.get_mut(&absent.uid)
            {
                node.identity = other;
                effects.push(Effect::AttemptToDeleteLater(absent.uid.clone()));
            }
        } else if node.identity == *absent {
            self.remove(absent, &mut effects);
        } else {
            let (matching, _) = self.partition_dependents(absent);
            if !matching.is_empty() {
                effects.push(Effect::Absent(absent.clone()));
                effects.extend(matching.into_iter().map(Effect::AttemptToDelete));
            }
        }
        effects
    }

    fn remove(&mut self, identity: &Identity, effects: &mut Vec<Effect>) {
        let Some(node) = self.nodes.remove(&identity.uid) else { return };
        for owner in uids(&node.owners) {
            if let Some(owner) = self.nodes.get_mut(owner) {
                owner.unlink(&identity.uid);
            }
        }
        if !node.dependents.is_empty() {
            effects.push(Effect::Absent(identity.clone()));
            effects.extend(node.dependents.keys().cloned().map(Effect::AttemptToDelete));
        }
        for owner in uids(&node.owners) {
            self.owner_unblocked(owner, effects);
        }
    }

    /// The dependents that name an owner by this identity, and those that name its uid otherwise. A dependent can be
    /// in both.
    fn partition_dependents(&self, owner: &Identity) -> (Vec<Name>, Vec<Name>) {
        let (mut matching, mut others) = (Vec::new(), Vec::new());
        let Some(node) = self.nodes.get(&owner.uid) else { return (matching, others) };
        for uid in node.dependents.keys() {
            let Some(dependent) = self.nodes.get(uid) else { continue };
            if !owner.namespace.is_empty() && owner.namespace != dependent.identity.namespace {
                others.push(uid.clone());
                continue;
            }
            let mut references = dependent.owners.iter().filter(|reference| *reference.uid == *owner.uid);
            if references.clone().any(|reference| owner.matches(reference)) {
                matching.push(uid.clone());
            }
            if references.any(|reference| !owner.matches(reference)) {
                others.push(uid.clone());
            }
        }
        (matching, others)
    }

    /// Another identity by which dependents name an owner: the next one in order, else the first.
    fn alternate_identity(&self, dependents: &[Name], absent: &Identity) -> Option<Identity> {
        let is_cluster_scoped = absent.namespace.is_empty();
        let named: BTreeSet<Identity> = dependents
            .iter()
            .filter_map(|uid| self.nodes.get(uid))
            .flat_map(|dependent| {
                let namespace = dependent.identity.namespace.clone();
                let references = dependent.owners.iter().filter(|reference| *reference.uid == *absent.uid);
                references.map(move |reference| Identity::named_by(reference, namespace.clone()))
            })
            .map(|mut identity| {
                if is_cluster_scoped && identity.kind == absent.kind && identity.api_version == absent.api_version {
                    identity.namespace = Name::from("");
                }
                identity
            })
            .filter(|identity| identity != absent)
            .collect();
        named.iter().find(|identity| *identity > absent).or_else(|| named.first()).cloned()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }
}

#[cfg(test)]
mod tests;
