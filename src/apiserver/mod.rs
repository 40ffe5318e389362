//! The API server: the only door to the store.
//!
//! A request is authenticated by whoever brings it in, then decoded, defaulted, admitted, validated and stored, as in
//! `k8s.io/apiserver/pkg/registry/generic/registry/store.go`. Nothing here knows of simulated time beyond the moment
//! that each request is told.

pub mod address;
mod admission;
mod allocator;
mod apply;
pub(crate) mod authorization;
mod call;
mod call_of_request;
mod computed;
mod continuation;
mod conversion;
mod custom;
mod decode;
mod definitions;
mod delete;
mod event_ttl;
mod eviction;
mod fields;
mod leases;
mod managed_fields;
pub mod metrics;
mod pod;
mod read;
mod request;
mod scale;
mod start;
mod token;
mod upkeep;
mod write;

use crate::api::{Kind, Name, ObjectKey, Subresource};
use crate::etcd::{Cause, Etcd};
use crate::machinery::random::Random;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

use allocator::Allocator;
#[cfg(feature = "serve")]
pub(crate) use call::check_integer;
pub use call::{Call, Caller, media_type};
pub use decode::decode_manifest;
#[cfg(feature = "serve")]
pub(crate) use decode::unrecognized;
use definitions::Served;
pub(crate) use event_ttl::EXPIRY;
use event_ttl::EventLeases;
pub use fields::selectable_fields;
pub use read::Filter;
#[cfg(feature = "serve")]
pub(crate) use read::too_large;
pub use request::{
    Answer, Body, DeleteOptions, FieldValidation, List, ListOptions, Patch, Propagation, Request, Response, Target,
    User, Verb, VersionMatch, WriteOptions,
};
pub use token::{AUDIENCE as TOKEN_AUDIENCE, KEY as TOKEN_KEY, legacy_token};

/// What every request for Endpoints is warned of since v1.33.
/// What etcd says to every write once its quota is used up: `ErrNoSpace`.
const ETCD_FULL: &str = "etcdserver: mvcc: database space exceeded";
const ENDPOINTS_DEPRECATED: &str = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/// The API server with its store.
#[derive(Clone, Debug)]
pub struct ApiServer {
    etcd: Etcd,
    allocator: Allocator,
    event_leases: EventLeases,
    metrics: Option<std::sync::Arc<metrics::Metrics>>,
    /// The revision at which the server was ready.
    started_at: crate::etcd::Revision,
    served: Served,
    /// Whether etcd has no room left, so that nothing can be written.
    is_full: bool,
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}

/// What a request carries through the server.
pub(crate) struct Context<'a> {
    now: Time,
    random: &'a mut Random,
    user: User,
    /// What below the object the request is about: of a scale, the scale, although its object is written.
    subresource: Option<Subresource>,
    cause: Cause,
    warnings: Vec<String>,
    created: bool,
    /// Whether there is something to store even when the object stays as it is.
    touches: bool,
}

impl ApiServer {
    /// A server in front of an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            etcd: Etcd::new(),
            allocator: Allocator::default(),
            event_leases: EventLeases::default(),
            metrics: None,
            started_at: 0,
            served: Served::default(),
            is_full: false,
        }
    }

    /// The store, to be read.
    #[must_use]
    pub const fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// Lets etcd have no room left, as behind an alarm `NOSPACE`, or have some again.
    pub const fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// Gives up history older than `revision` for watches, as the server does every five minutes.
    pub fn compact(&mut self, revision: crate::etcd::Revision) {
        // A revision that was compacted already needs nothing.
        let _ = self.etcd.compact(revision.min(self.etcd.revision()));
    }

    /// Answers a request at the moment `now`.
    ///
    /// # Errors
    /// The refusal, as a client would receive it.
    pub fn handle(&mut self, now: Time, random: &mut Random, request: Request) -> Result<Answer, Status> {
        self.authorize_request(&request)?;
        let Request { mut cause, mut target, verb, user } = request;
        if let Kind::Custom(kind) = target.kind {
            target.kind = Kind::Custom(self.served_kind(kind, authorization::is_component(&user))?);
        }
        if let Some(subresource) = target.subresource
            && !target.kind.has(subresource)
        {
            return Err(Status::new(
                crate::machinery::status::Reason::NotFound,
                "the server could not find the requested resource",
            ));
        }
        let asks_for_token = target.subresource == Some(Subresource::Token);
        if self.is_full && target.kind.is_stored() && verb.stores() && !asks_for_token {
            return Err(Status::new(crate::machinery::status::Reason::Unknown, ETCD_FULL));
        }
        cause.ownership = managed_fields::ownership(&cause.actor, &target, &verb);
        let mut context = Context {
            now,
            random,
            user,
            subresource: target.subresource,
            cause,
            warnings: Vec::new(),
            created: false,
            touches: false,
        };
        let writes_event = target.kind == Kind::Event
            && matches!(verb, Verb::Create { .. } | Verb::Update { .. } | Verb::Patch { .. });
        let before = self.etcd.revision();
        if target.kind == Kind::Endpoints {
            context.warnings.push(ENDPOINTS_DEPRECATED.to_owned());
        }
        if let Kind::Custom(kind) = target.kind {
            let creates = matches!(verb, Verb::Create { .. });
            self.admit_custom(kind, creates, &mut context.warnings)?;
            self.check_conversion(&target, &verb)?;
        }
        let response = match (target.subresource, verb) {
            (None, Verb::Create { body, options }) if !target.kind.is_stored() && !target.kind.is_computed() => {
                self.answer(&mut context, &target, body, &options)
            }
            (None, verb) if target.kind.is_computed() => self.computed(&mut context, &target, &verb),
            _ if !target.kind.is_stored() => Err(Status::method_not_allowed()),
            (Some(Subresource::Token), Verb::Create { body, .. }) => self.issue_token(&context, &target, body),
            (None | Some(Subresource::Status | Subresource::Approval), Verb::Get) => {
                self.get(&target).map(Response::Object)
            }
            (None, Verb::List(options)) => self.list(&target, &options).map(Response::List),
            (None, Verb::Create { body, options }) => self.create(&mut context, &target, body, &options),
            (
                None | Some(Subresource::Status | Subresource::Finalize | Subresource::Approval),
                Verb::Update { body, options },
            ) => self.update(&mut context, &target, body, &options),
            (None | Some(Subresource::Status | Subresource::Approval), Verb::Patch { patch, options }) => {
                self.patch(&mut context, &target, patch, &options)
            }
            (None, Verb::Delete(options)) => self.delete(&mut context, &target.key(), target.kind, &options),
            (None, Verb::DeleteCollection(options, list)) => {
                self.delete_collection(&mut context, &target, &options, &list)
            }
            (Some(Subresource::Scale), verb) => self.scale(&mut context, &target, verb),
            (Some(Subresource::Binding), Verb::Create { body, options }) => {
                self.bind(&mut context, &target, body, &options)
            }
            (Some(Subresource::Eviction), Verb::Create { body, options }) => {
                self.evict(&mut context, &target, body, &options)
            }
            (Some(Subresource::EphemeralContainers | Subresource::Resize), verb) => {
                self.pod_subresource(&mut context, &target, verb)
            }
            _ => Err(Status::method_not_allowed()),
        };
        if matches!(target.kind, Kind::Custom(_) | Kind::CustomResourceDefinition) {
            self.settle_definitions(now, context.random, before);
        }
        let response = match response {
            Ok(response) if target.kind.custom().is_some() => response.in_version(target.kind),
            Ok(response) => response,
            Err(status) => return Err(status.with_warnings(context.warnings)),
        };
        if writes_event
            && self.etcd.revision() > before
            && let Response::Object(event) = &response
        {
            self.event_leases.renew(event.key(), now);
        }
        let is_lease = leases::may_be(target.kind, &target.namespace);
        if self.etcd.revision() > before {
            self.look_after(target.kind, now);
            // Whoever leads takes its Lease again.
            if is_lease && self.started_at > 0 {
                self.take_leases(now);
            }
        }
        let response = if is_lease { leases::renew(response, now) } else { response };
        Ok(Answer { response, warnings: context.warnings, created: context.created })
    }

    /// Answers what is not stored.
    fn answer(
        &mut self,
        context: &mut Context<'_>,
        target: &Target,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Response, Status> {
        if target.kind != Kind::Binding {
            return self.review(context, target, body, options.field_validation);
        }
        let Body::Json(binding) = body else { return Err(Status::method_not_allowed()) };
        let pod = Name::from(binding["metadata"]["name"].as_str().unwrap_or(""));
        let target = Target { kind: Kind::Pod, name: pod, subresource: Some(Subresource::Binding), ..target.clone() };
        self.bind(context, &target, Body::Json(binding), options)
    }

    fn not_found(kind: Kind, key: &ObjectKey) -> Status {
        let info = kind.info();
        Status::not_found(info.group, info.plural, &key.name)
    }
}
