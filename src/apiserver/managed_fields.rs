//! Who owns the fields that requests write, and showing it.
//!
//! `k8s.io/apiserver/pkg/endpoints/handlers/fieldmanager`. The owners are worked out from the store's log
//! ([`crate::etcd::Ownership`]) when somebody asks; stored objects have no `managedFields`.

use std::sync::Arc;

use super::{ApiServer, Context, Patch, Response, Target, Verb};
use crate::api::managed_fields::LeftOut;
use crate::api::{Name, Object, Subresource};
use crate::etcd::{Commit, Ownership, Writer};
use crate::machinery::patch::apply::{Managed, managed};

/// Who owns what a request writes. What the server does with a binding or an eviction is nobody's.
pub(super) fn ownership(actor: &Name, target: &Target, verb: &Verb) -> Ownership {
    use Subresource::{Binding, Eviction, Token};
    if matches!(target.subresource, Some(Binding | Eviction | Token)) {
        return Ownership::Kept;
    }
    let Some(options) = verb.write_options() else { return Ownership::Kept };
    Ownership::Moved(Writer {
        manager: options.field_manager.as_ref().unwrap_or(actor).clone(),
        subresource: target.subresource,
        left_out: LeftOut::default(),
    })
}

/// Whether a patch speaks of the owners, and so must see them.
pub(super) fn names_owners(patch: &Patch) -> bool {
    match patch {
        Patch::Json(operations) => operations.as_array().into_iter().flatten().any(|operation| {
            let is_named = |field: &str| {
                operation[field]
                    .as_str()
                    .is_some_and(|path| path == "/metadata" || path.starts_with("/metadata/managedFields"))
            };
            is_named("path") || is_named("from")
        }),
        Patch::Merge(patch) | Patch::Strategic(patch) => patch["metadata"].get("managedFields").is_some(),
        Patch::Apply(_) => false,
    }
}

impl ApiServer {
    /// Puts `managedFields` into the objects of an answer, as every client over the wire sees them.
    pub fn show_managed_fields(&self, response: &mut Response) {
        match response {
            Response::Object(object) => self.show_owners(object),
            Response::List(list) => list.items.iter_mut().for_each(|object| self.show_owners(object)),
            Response::Value(_) => {}
        }
    }

    /// Puts `managedFields` into an object, unless it has them.
    pub fn show_owners(&self, object: &mut Object) {
        if object.metadata().managed_fields.is_none() {
            let managed = self.etcd.managed_fields(object);
            show(&managed, object);
        }
    }

    /// Of a new object, before the server fills it in: who makes it, or the owners that it brings along.
    pub(super) fn note_maker(
        &self,
        context: &mut Context<'_>,
        target: &Target,
        object: &mut Object,
    ) -> Option<Managed> {
        if let Ownership::Moved(writer) = &mut context.cause.ownership {
            writer.left_out = LeftOut::of(object);
        }
        self.given_owners(target, None, object)
    }

    /// The owners that a client wants an object to have, when they are others than it has. No object keeps them.
    pub(super) fn given_owners(
        &self,
        target: &Target,
        existing: Option<&Object>,
        object: &mut Object,
    ) -> Option<Managed> {
        // Asked first without a hand on the object, which would be copied when it is shared.
        object.metadata().managed_fields.as_ref()?;
        let entries = object.metadata_mut().managed_fields.take()?;
        if target.subresource.is_some() {
            return None;
        }
        if managed::is_reset(&entries) {
            return Some(Managed::default());
        }
        // Clients that do not understand the field and spoil it do no harm.
        let given = Managed::decode(&entries).ok().filter(|given| !given.is_empty())?;
        let held = existing.map(|existing| self.etcd.managed_fields(existing));
        (held.as_ref() != Some(&given)).then_some(given)
    }

    fn commit_to_be(context: &Context<'_>, existing: Option<&Object>, object: &Object) -> Commit {
        Commit {
            revision: 0,
            time: context.now,
            key: object.key(),
            before: existing.cloned(),
            after: Some(object.clone()),
            cause: context.cause.clone(),
            run: 0,
        }
    }

    /// Works out the owners now, when a client gave others than there were.
    pub(super) fn settle_owners(
        &self,
        context: &mut Context<'_>,
        given: Option<Managed>,
        existing: Option<&Object>,
        object: &Object,
    ) {
        if let Some(given) = given {
            let commit = Self::commit_to_be(context, existing, object);
            let managed = self.etcd.managed_fields_after(Some(given), &commit);
            context.cause.ownership = Ownership::Settled(Arc::new(managed));
        }
    }

    /// Whether a write that leaves the object as it is gives its fields to others.
    pub(super) fn changes_owners(&self, context: &Context<'_>, existing: &Object) -> bool {
        match &context.cause.ownership {
            Ownership::Settled(managed) => **managed != self.etcd.managed_fields(existing),
            Ownership::Kept | Ownership::Moved(_) => false,
        }
    }

    /// Whether a write of which the strategy left nothing gives fields to others all the same. Upstream works the owners
    /// out from what was asked for: who unsets an allocated address gets it back, and whoever owned it does so no more.
    #[inline(never)]
    pub(super) fn claims(&self, context: &mut Context<'_>, existing: &Object, asked: Option<Object>) -> bool {
        let Some(mut asked) = asked else { return false };
        asked.metadata_mut().resource_version.clone_from(&existing.metadata().resource_version);
        // Upstream resets the owners, too, where only a part of the object can be written.
        if &asked == existing || context.subresource.is_some() {
            return false;
        }
        let managed = self.etcd.managed_fields_after(None, &Self::commit_to_be(context, Some(existing), &asked));
        let held = self.etcd.managed_fields(existing);
        let sets = |managed: &Managed| -> Vec<_> {
            managed.owners().iter().map(|owned| (owned.manager.clone(), owned.set.clone())).collect()
        };
        let moved = sets(&managed) != sets(&held);
        if moved {
            context.cause.ownership = Ownership::Settled(Arc::new(managed));
        }
        moved
    }

    /// Puts the owners that an object would have into the answer to a dry run.
    pub(super) fn show_owners_to_be(&self, context: &Context<'_>, existing: Option<&Object>, object: &mut Object) {
        let commit = Self::commit_to_be(context, existing, object);
        show(&self.etcd.managed_fields_after(None, &commit), object);
    }
}

fn show(managed: &Managed, object: &mut Object) {
    object.metadata_mut().managed_fields = Some(managed.encode()).filter(|entries| !entries.is_empty());
}
