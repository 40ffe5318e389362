//! One object: is it garbage, and may it go?
//!
//! Follows `attemptToDeleteItem` and what it calls in
//! `kubernetes/pkg/controller/garbagecollector/garbagecollector.go`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::{Kind, Name};
use crate::apiserver::Propagation;
use crate::client::{Client, ClientError};
use crate::etcd::Why;

use super::graph::{FOREGROUND, Identity, Node, ORPHAN, has_finalizer};
use super::{GarbageCollector, operations};

/// What came of looking at an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// All that there is to do for now.
    Done,
    /// The object is not there.
    Absent,
    /// It refers to what cannot own it, which no other try will change.
    NeverValid,
    /// It, or one of its owners, is of a kind that the API server does not know.
    UnknownKind,
}

/// What an owner is to its dependent.
enum OwnerState {
    /// It exists and does not wait for its dependents.
    Solid,
    /// It does not exist.
    Dangling,
    /// It is being deleted in the foreground.
    Waiting,
    /// Nobody can tell.
    UnknownKind,
    /// A namespaced owner of a cluster-scoped object.
    NeverValid,
}

/// The owners of an object by what they are to it.
#[derive(Debug, Default)]
struct Owners<'a> {
    solid: Vec<&'a OwnerReference>,
    dangling: Vec<&'a OwnerReference>,
    waiting: Vec<&'a OwnerReference>,
}

impl GarbageCollector {
    /// Deletes the object if all its owners are gone.
    pub(super) fn attempt_to_delete(&mut self, node: &Node, client: &mut Client<'_>) -> Result<Attempt, ClientError> {
        if node.being_deleted && !node.deleting_dependents {
            return Ok(Attempt::Done);
        }
        // The object, its owners and what is done to it: not begun before all of it can be done.
        client.reserve(3 + node.owners.len())?;
        let identity = &node.identity;
        let Some(kind) = client.kind_of(&identity.api_version, &identity.kind) else {
            return Ok(Attempt::UnknownKind);
        };
        // It is only known as the owner of an object of the cluster, and nothing can be looked up without its namespace.
        if kind.info().namespaced && identity.namespace.is_empty() {
            return Ok(Attempt::NeverValid);
        }
        let Some(latest) = operations::get(kind, identity, client)? else { return Ok(Attempt::Absent) };
        if latest.uid() != &*identity.uid {
            return Ok(Attempt::Absent);
        }
        if node.deleting_dependents {
            return self.process_deleting_dependents(kind, node, client);
        }
        let latest = latest.metadata();
        let references = latest.owner_references.as_deref().unwrap_or(&[]);
        if references.is_empty() {
            return Ok(Attempt::Done);
        }
        let mut owners = Owners::default();
        for reference in references {
            match self.owner_state(reference, identity, client)? {
                OwnerState::Solid => owners.solid.push(reference),
                OwnerState::Dangling => owners.dangling.push(reference),
                OwnerState::Waiting => owners.waiting.push(reference),
                OwnerState::UnknownKind => return Ok(Attempt::UnknownKind),
                OwnerState::NeverValid => return Ok(Attempt::NeverValid),
            }
        }
        if !owners.solid.is_empty() {
            keep(kind, identity, &owners, client)
        } else if !owners.waiting.is_empty() && !node.dependents.is_empty() {
            self.delete_in_foreground(kind, node, latest, &owners, client)
        } else {
            collect(kind, identity, latest, &owners, client)
        }
    }

    /// What an owner is to its dependent: `isDangling` and `classifyReferences`.
    fn owner_state(
        &mut self,
        reference: &OwnerReference,
        dependent: &Identity,
        client: &mut Client<'_>,
    ) -> Result<OwnerState, ClientError> {
        let in_cluster = Identity::named_by(reference, Name::from(""));
        let in_namespace = Identity::named_by(reference, dependent.namespace.clone());
        if self.absent.has(&in_cluster) || self.absent.has(&in_namespace) {
            return Ok(OwnerState::Dangling);
        }
        let Some(kind) = client.kind_of(&reference.api_version, &reference.kind) else {
            return Ok(OwnerState::UnknownKind);
        };
        let namespaced = kind.info().namespaced;
        if dependent.namespace.is_empty() && namespaced {
            return Ok(OwnerState::NeverValid);
        }
        let identity = if namespaced { in_namespace } else { in_cluster };
        Ok(match operations::get(kind, &identity, client)? {
            Some(owner) if owner.uid() == reference.uid => {
                if owner.is_deleting() && has_finalizer(owner.metadata(), FOREGROUND) {
                    OwnerState::Waiting
                } else {
                    OwnerState::Solid
                }
            }
            _ => {
                self.absent.add(identity);
                OwnerState::Dangling
            }
        })
    }

    /// An owner that is deleted in the foreground goes once no dependent blocks it.
    fn process_deleting_dependents(
        &mut self,
        kind: Kind,
        node: &Node,
        client: &mut Client<'_>,
    ) -> Result<Attempt, ClientError> {
        if node.blocking == 0 {
            client.because(Why::new(
                "The dependents of {} {} are gone, so it may go too.",
                [node.identity.kind.to_string(), node.identity.name.to_string()],
            ));
            operations::remove_finalizer(kind, &node.identity, FOREGROUND, client)?;
        }
        // The dependents were put into the queue when the owner began to wait.
        Ok(Attempt::Done)
    }

    /// An object whose owner waits for it, and which has dependents itself.
    fn delete_in_foreground(
        &self,
        kind: Kind,
        node: &Node,
        latest: &ObjectMeta,
        owners: &Owners<'_>,
        client: &mut Client<'_>,
    ) -> Result<Attempt, ClientError> {
        client.because(why_first(&node.identity, owners));
        let mut dependents = node.dependents.keys().filter_map(|uid| self.graph.get(uid));
        if dependents.any(|dependent| dependent.deleting_dependents) {
            // They may own each other in a circle: nobody must wait for this one.
            operations::unblock_owners(kind, &node.identity, &node.owners, client)?;
            let Some(latest) = operations::get(kind, &node.identity, client)? else { return Ok(Attempt::Absent) };
            return delete(kind, &node.identity, latest.metadata(), Propagation::Foreground, client);
        }
        delete(kind, &node.identity, latest, Propagation::Foreground, client)
    }
}

/// An object with an owner that stays loses its references to those that do not.
fn keep(kind: Kind, identity: &Identity, owners: &Owners<'_>, client: &mut Client<'_>) -> Result<Attempt, ClientError> {
    let mut gone = owners.dangling.iter().chain(&owners.waiting);
    if let Some(first) = gone.clone().next() {
        client.because(Why::new(
            "{} {} still has another owner, so it only forgets {} {}, which is gone or going.",
            [identity.kind.to_string(), identity.name.to_string(), first.kind.clone(), first.name.clone()],
        ));
        operations::remove_owners(kind, identity, gone.by_ref().map(|owner| owner.uid.as_str()), client)?;
    }
    Ok(Attempt::Done)
}

/// An object without any owner that stays is deleted, as the finalizers that it has already want it.
fn collect(
    kind: Kind,
    identity: &Identity,
    latest: &ObjectMeta,
    owners: &Owners<'_>,
    client: &mut Client<'_>,
) -> Result<Attempt, ClientError> {
    let propagation = if has_finalizer(latest, ORPHAN) {
        Propagation::Orphan
    } else if has_finalizer(latest, FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    client.because(why_first(identity, owners));
    delete(kind, identity, latest, propagation, client)
}

fn delete(
    kind: Kind,
    identity: &Identity,
    latest: &ObjectMeta,
    propagation: Propagation,
    client: &mut Client<'_>,
) -> Result<Attempt, ClientError> {
    let was_there = operations::delete(kind, identity, latest, propagation, client)?;
    Ok(if was_there { Attempt::Done } else { Attempt::Absent })
}

/// Why an object goes: for its first owner that waits, else for its first that is gone.
fn why_first(identity: &Identity, owners: &Owners<'_>) -> Why {
    let template = if owners.waiting.is_empty() {
        "{} {} is garbage: its owner {} {} does not exist any more."
    } else {
        "{} {} goes before its owner {} {}, which waits for its dependents."
    };
    let owner = owners.waiting.first().or_else(|| owners.dangling.first());
    let (kind, name) = owner.map_or_else(Default::default, |owner| (owner.kind.clone(), owner.name.clone()));
    Why::new(template, [identity.kind.to_string(), identity.name.to_string(), kind, name])
}
