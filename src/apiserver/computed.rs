//! Reading what is worked out when somebody asks for it: the health of the control plane, and what pods and nodes use.

use std::sync::Arc;

use crate::api::{Kind, Object, Unstructured, computed};
use crate::machinery::status::Status;
use crate::machinery::time::Time;

use super::{ApiServer, Context, Filter, List, Response, Target, Verb};

impl ApiServer {
    /// Answers a request for objects of a kind that is not stored but can be read.
    #[inline(never)]
    pub(super) fn computed(&self, context: &mut Context<'_>, target: &Target, verb: &Verb) -> Result<Response, Status> {
        if target.kind == Kind::ComponentStatus {
            context.warnings.push(computed::COMPONENT_STATUS_DEPRECATED.to_owned());
        }
        if target.kind != Kind::ComponentStatus && !self.has_metrics() {
            return Err(super::address::unknown_address());
        }
        let objects = self.all_computed(target.kind, context.now);
        match verb {
            Verb::Get => objects
                .into_iter()
                .find(|object| object.key() == target.key())
                .map(Response::Object)
                .ok_or_else(|| Self::not_found(target.kind, &target.key())),
            Verb::List(options) => {
                let filter = Filter::parse(target, options)?;
                let is_here = |object: &Object| {
                    target.namespace.is_empty() || object.metadata().namespace.as_deref() == Some(&*target.namespace)
                };
                let items = objects.into_iter().filter(|object| is_here(object) && filter.selects(object)).collect();
                let continue_token = String::new();
                let revision = self.etcd.revision();
                Ok(Response::List(List { kind: target.kind, items, revision, continue_token, remaining: None }))
            }
            _ => Err(Status::method_not_allowed()),
        }
    }

    fn all_computed(&self, kind: Kind, now: Time) -> Vec<Object> {
        let objects: Vec<Unstructured> = match kind {
            Kind::ComponentStatus => computed::component_statuses(),
            kind => self.measured(kind, now),
        };
        objects.into_iter().map(|object| Object::Unstructured(Arc::new(object))).collect()
    }
}
