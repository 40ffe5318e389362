//! The hand that a process is lent while it acts: requests, events, timers and chance.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::Value;

use crate::api::{Kind, Name, Object, ObjectKey, Resource, Subresource, Unstructured};
use crate::apiserver::{ApiServer, Body, DeleteOptions, Patch, Request, Response, Target, User, Verb, WriteOptions};
use crate::etcd::{Cause, Revision, Why};
use crate::machinery::random::Random;
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;

use super::limiter::TokenBucket;
use super::process::Token;
use super::recorder::{EventType, Recorder};
use super::workqueue::QueueKey;

/// Who a process is to the API server.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The actor of its writes and the component of its events: `deployment-controller`, `kubelet`.
    pub component: Name,
    /// The machine it runs on, for `source.host` of its events; empty for the control plane.
    pub host: Name,
    /// The authenticated user.
    pub user: User,
}

/// Why a request of a process did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// The API server said no.
    Api(Status),
    /// The client's own rate limit: nothing may be sent before this moment.
    Throttled(Time),
    /// The API server cannot be reached from here.
    Unreachable,
}

impl ClientError {
    /// Whether the object was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Api(status) if status.is_not_found())
    }

    /// Whether another write came first.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(status) if status.is_conflict())
    }

    /// Whether the object was already there.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Api(status) if status.is_already_exists())
    }

    /// The API server's answer, if it gave one.
    #[must_use]
    pub const fn status(&self) -> Option<&Status> {
        if let Self::Api(status) = self { Some(status) } else { None }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Api(status)
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Api(status) => status.fmt(f),
            Self::Throttled(until) => write!(f, "client rate limiter: nothing may be sent before {until}"),
            Self::Unreachable => f.write_str("the API server cannot be reached"),
        }
    }
}

/// A wish to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeUp {
    /// When.
    pub time: Time,
    /// What the process gave to remember why.
    pub token: Token,
    /// Whether it goes on for ever in a cluster at rest.
    pub background: bool,
}

/// What a process may do while it runs. Lent for one delivery or one wake.
pub struct Client<'a> {
    /// What time it is.
    pub now: Time,
    /// Chance.
    pub random: &'a mut Random,
    api: &'a mut ApiServer,
    identity: &'a Identity,
    /// The program that sends the requests, whichever part of it acts: the manager of the fields that they write.
    program: &'a Name,
    recorder: &'a mut Recorder,
    limiter: Option<&'a mut TokenBucket>,
    wakes: &'a mut Vec<WakeUp>,
    connected: bool,
    trigger: Option<Revision>,
    why: Why,
    requests: u32,
    has_written: bool,
    follow_ups: Vec<(QueueKey, Duration)>,
}

impl<'a> Client<'a> {
    /// A hand for the process that `identity` names; `connected` is whether it can reach the API server.
    #[allow(clippy::too_many_arguments, reason = "one borrow for each part of the cluster that a process may touch")]
    pub fn new(
        now: Time,
        random: &'a mut Random,
        api: &'a mut ApiServer,
        identity: &'a Identity,
        recorder: &'a mut Recorder,
        wakes: &'a mut Vec<WakeUp>,
        connected: bool,
        trigger: Option<Revision>,
    ) -> Self {
        Self {
            now,
            random,
            api,
            identity,
            program: &identity.component,
            recorder,
            limiter: None,
            wakes,
            connected,
            trigger,
            why: Why::default(),
            requests: 0,
            has_written: false,
            follow_ups: Vec::new(),
        }
    }

    /// The same hand under another name and with a rate limit: a controller within its manager.
    pub fn act_as<'b>(&'b mut self, identity: &'b Identity, limiter: Option<&'b mut TokenBucket>) -> Client<'b> {
        Client {
            now: self.now,
            random: self.random,
            api: self.api,
            identity,
            program: self.program,
            recorder: self.recorder,
            limiter,
            wakes: self.wakes,
            connected: self.connected,
            trigger: self.trigger,
            why: Why::default(),
            requests: 0,
            has_written: false,
            follow_ups: Vec::new(),
        }
    }

    /// Which revision made the process act: recorded as the trigger of its writes.
    pub fn triggered_by(&mut self, trigger: Option<Revision>) {
        self.trigger = trigger;
    }

    /// Why the coming writes are made: recorded with each of them.
    pub fn because(&mut self, why: Why) {
        self.why = why;
    }

    /// Makes sure that the client's rate limit lets the next `count` requests pass, so that work which must not stop
    /// half-way does not begin.
    ///
    /// # Errors
    /// [`ClientError::Throttled`] until there is room for so many.
    pub fn reserve(&self, count: usize) -> Result<(), ClientError> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.limiter.as_ref().map_or(Ok(()), |limiter| limiter.ready(count, self.now)).map_err(ClientError::Throttled)
    }

    /// The kind that an `apiVersion` and a kind mean, if it is served: discovery, which clients keep in mind.
    #[must_use]
    pub fn kind_of(&self, api_version: &str, kind: &str) -> Option<Kind> {
        self.api.kind_of(api_version, kind)
    }

    /// The custom kinds that are served.
    #[must_use]
    pub fn custom_kinds(&self) -> Vec<Kind> {
        self.api.custom_kinds().collect()
    }

    /// Puts another key into the queue of the controller that acts.
    pub fn enqueue(&mut self, key: QueueKey) {
        self.enqueue_after(key, Duration::ZERO);
    }

    /// Puts another key into the queue of the controller that acts, after a while.
    pub fn enqueue_after(&mut self, key: QueueKey, wait: Duration) {
        self.follow_ups.push((key, wait));
    }

    /// The keys that were enqueued, for whoever keeps the queue.
    pub fn take_follow_ups(&mut self) -> Vec<(QueueKey, Duration)> {
        std::mem::take(&mut self.follow_ups)
    }

    /// How many requests were sent through this hand.
    #[must_use]
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// Whether any of them was a write that was taken.
    #[must_use]
    pub const fn has_written(&self) -> bool {
        self.has_written
    }

    /// Who acts.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        self.identity
    }

    /// Wakes the process at `time` with `token`.
    pub fn wake_at(&mut self, time: Time, token: Token) {
        self.wakes.push(WakeUp { time: time.max(self.now), token, background: false });
    }

    /// As [`Self::wake_at`], for what goes on for ever in a cluster at rest, such as heartbeats: a cluster that waits
    /// for nothing else is idle.
    pub fn wake_in_background(&mut self, time: Time, token: Token) {
        self.wakes.push(WakeUp { time: time.max(self.now), token, background: true });
    }

    fn send(&mut self, target: Target, mut verb: Verb) -> Result<Response, ClientError> {
        if !self.connected {
            return Err(ClientError::Unreachable);
        }
        if let Some(limiter) = &mut self.limiter {
            limiter.take(self.now).map_err(ClientError::Throttled)?;
        }
        self.requests += 1;
        let is_write = !verb.is_read();
        if let Some(options) = verb.write_options_mut() {
            options.field_manager.get_or_insert_with(|| self.program.clone());
        }
        let cause = Cause { trigger: self.trigger, ..Cause::new(self.identity.component.clone(), self.why.clone()) };
        let request = Request { user: self.identity.user.clone(), cause, target, verb };
        let response = self.api.handle(self.now, self.random, request)?.response;
        self.has_written |= is_write;
        Ok(response)
    }

    fn object<K: Resource>(response: Response) -> Result<Arc<K>, ClientError> {
        match response {
            Response::Object(object) => object
                .downcast::<K>()
                .cloned()
                .ok_or_else(|| Status::internal("the answer is of another kind than was asked for").into()),
            _ => Err(Status::internal("the answer is no object").into()),
        }
    }

    /// Reads the object of a key from the API server, past the cache.
    ///
    /// # Errors
    /// Any refusal; `NotFound` above all.
    pub fn get<K: Resource>(&mut self, key: &ObjectKey) -> Result<Arc<K>, ClientError> {
        let response = self.send(Target::object(K::OBJECT_KIND, key), Verb::Get)?;
        Self::object(response)
    }

    fn unstructured(response: Response) -> Result<Arc<Unstructured>, ClientError> {
        match response {
            Response::Object(Object::Unstructured(object)) => Ok(object),
            _ => Err(Status::internal("the answer is of another kind than was asked for").into()),
        }
    }

    /// As [`Self::get`], of a kind without a type of its own.
    ///
    /// # Errors
    /// Any refusal; `NotFound` above all.
    pub fn get_unstructured(&mut self, kind: Kind, key: &ObjectKey) -> Result<Arc<Unstructured>, ClientError> {
        self.send(Target::object(kind, key), Verb::Get).and_then(Self::unstructured)
    }

    /// As [`Self::create`], of a kind without a type of its own.
    ///
    /// # Errors
    /// Any refusal.
    pub fn create_unstructured(&mut self, object: Unstructured) -> Result<Arc<Unstructured>, ClientError> {
        let target = Target::collection(object.kind, object.metadata.namespace.as_deref().unwrap_or(""));
        let body = Body::Object(Object::Unstructured(Arc::new(object)));
        self.send(target, Verb::Create { body, options: WriteOptions::default() }).and_then(Self::unstructured)
    }

    /// As [`Self::update`] or [`Self::update_status`], of a kind without a type of its own.
    ///
    /// # Errors
    /// Any refusal; `Conflict` above all.
    pub fn update_unstructured(
        &mut self,
        object: Unstructured,
        subresource: Option<Subresource>,
    ) -> Result<Arc<Unstructured>, ClientError> {
        let target = Target { subresource, ..Target::object(object.kind, &ObjectKey::of(&object.metadata)) };
        let body = Body::Object(Object::Unstructured(Arc::new(object)));
        self.send(target, Verb::Update { body, options: WriteOptions::default() }).and_then(Self::unstructured)
    }

    /// As [`Self::patch_status`], of a kind without a type of its own.
    ///
    /// # Errors
    /// Any refusal.
    pub fn patch_unstructured_status(
        &mut self,
        kind: Kind,
        key: &ObjectKey,
        patch: Value,
    ) -> Result<Arc<Unstructured>, ClientError> {
        let target = Target::object(kind, key).below(Subresource::Status);
        let verb = Verb::Patch { patch: Patch::Strategic(patch), options: WriteOptions::default() };
        self.send(target, verb).and_then(Self::unstructured)
    }

    /// Creates an object.
    ///
    /// # Errors
    /// Any refusal.
    pub fn create<K: Resource>(&mut self, object: K) -> Result<Arc<K>, ClientError> {
        let target = Target::collection(K::OBJECT_KIND, object.namespace());
        let body = Body::Object(K::into_object(Arc::new(object)));
        let response = self.send(target, Verb::Create { body, options: WriteOptions::default() })?;
        Self::object(response)
    }

    /// A token of a service account, for an audience or for the API server itself.
    ///
    /// # Errors
    /// Any refusal; `NotFound` above all.
    pub fn create_token(
        &mut self,
        account: &ObjectKey,
        seconds: i64,
        audience: Option<&str>,
        pod: &Pod,
    ) -> Result<String, ClientError> {
        let target = Target { subresource: Some(Subresource::Token), ..Target::object(Kind::ServiceAccount, account) };
        let audiences: Vec<&str> = audience.into_iter().collect();
        let request = serde_json::json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "expirationSeconds": seconds,
                "audiences": audiences,
                "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": pod.name(), "uid": pod.uid() },
            },
        });
        let response =
            self.send(target, Verb::Create { body: Body::Json(request), options: WriteOptions::default() })?;
        Ok(response.to_value()["status"]["token"].as_str().unwrap_or_default().to_owned())
    }

    fn put<K: Resource>(&mut self, object: K, subresource: Option<Subresource>) -> Result<Arc<K>, ClientError> {
        let target = Target { subresource, ..Target::object(K::OBJECT_KIND, &object.key()) };
        let body = Body::Object(K::into_object(Arc::new(object)));
        let response = self.send(target, Verb::Update { body, options: WriteOptions::default() })?;
        Self::object(response)
    }

    /// Replaces an object; its `resourceVersion`, when it has one, must still be the stored one.
    ///
    /// # Errors
    /// Any refusal; `Conflict` above all.
    pub fn update<K: Resource>(&mut self, object: K) -> Result<Arc<K>, ClientError> {
        self.put(object, None)
    }

    /// Replaces an object's status.
    ///
    /// # Errors
    /// Any refusal; `Conflict` above all.
    pub fn update_status<K: Resource>(&mut self, object: K) -> Result<Arc<K>, ClientError> {
        self.put(object, Some(Subresource::Status))
    }

    fn patched<K: Resource>(
        &mut self,
        key: &ObjectKey,
        subresource: Option<Subresource>,
        patch: Patch,
    ) -> Result<Arc<K>, ClientError> {
        let target = Target { subresource, ..Target::object(K::OBJECT_KIND, key) };
        let response = self.send(target, Verb::Patch { patch, options: WriteOptions::default() })?;
        Self::object(response)
    }

    /// Patches an object with a strategic merge patch.
    ///
    /// # Errors
    /// Any refusal.
    pub fn patch<K: Resource>(&mut self, key: &ObjectKey, patch: Value) -> Result<Arc<K>, ClientError> {
        self.patched(key, None, Patch::Strategic(patch))
    }

    /// Patches an object's status with a strategic merge patch.
    ///
    /// # Errors
    /// Any refusal.
    pub fn patch_status<K: Resource>(&mut self, key: &ObjectKey, patch: Value) -> Result<Arc<K>, ClientError> {
        self.patched(key, Some(Subresource::Status), Patch::Strategic(patch))
    }

    /// Asks for an object to be deleted.
    ///
    /// # Errors
    /// Any refusal; `NotFound` above all.
    pub fn delete(&mut self, kind: Kind, key: &ObjectKey, options: DeleteOptions) -> Result<(), ClientError> {
        self.send(Target::object(kind, key), Verb::Delete(options)).map(|_| ())
    }

    /// Binds a pod to a node.
    ///
    /// # Errors
    /// Any refusal; `Conflict` when the pod is bound already.
    pub fn bind(&mut self, pod: &Pod, node: &str) -> Result<(), ClientError> {
        let target = Target { subresource: Some(Subresource::Binding), ..Target::object(Kind::Pod, &pod.key()) };
        let binding = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid()},
            "target": {"kind": "Node", "name": node},
        });
        self.send(target, Verb::Create { body: Body::Json(binding), options: WriteOptions::default() }).map(|_| ())
    }

    /// Any other request: a list, a subresource of an object.
    ///
    /// # Errors
    /// Any refusal.
    pub fn request(&mut self, target: Target, verb: Verb) -> Result<Response, ClientError> {
        self.send(target, verb)
    }

    /// Records an event about an object, as `record.EventRecorder`. Events are best effort: a refusal is dropped, and
    /// the client's rate limit does not apply to them.
    pub fn event<K: Resource>(&mut self, object: &K, event_type: EventType, reason: &str, message: &str) {
        self.event_about(&crate::client::recorder::reference(object), event_type, reason, message);
    }

    /// As [`Self::event`], by a component that calls itself otherwise in events than in its writes.
    pub fn event_from<K: Resource>(
        &mut self,
        component: &str,
        object: &K,
        event_type: EventType,
        reason: &str,
        message: &str,
    ) {
        let about = crate::client::recorder::reference(object);
        let identity = Identity { component: Name::from(component), ..self.identity.clone() };
        if let Some(write) = self.recorder.record(self.now, &identity, &about, event_type, reason, message) {
            self.write_event(write);
        }
    }

    /// As [`Self::event`], about an object reference, for instance to a part of an object (`fieldPath`).
    pub fn event_about(
        &mut self,
        about: &k8s_openapi::api::core::v1::ObjectReference,
        event_type: EventType,
        reason: &str,
        message: &str,
    ) {
        let Some(write) = self.recorder.record(self.now, self.identity, about, event_type, reason, message) else {
            return;
        };
        self.write_event(write);
    }

    /// Records an event in the form of `events.k8s.io/v1`, as the scheduler does: with an `action`, and counted in
    /// series.
    pub fn event_v1<K: Resource>(&mut self, object: &K, event_type: EventType, reason: &str, action: &str, note: &str) {
        let component = self.identity.component.clone();
        self.event_v1_from(&component, object, event_type, reason, action, note);
    }

    /// As [`Self::event_v1`], by a component that calls itself otherwise in events than in its writes.
    pub fn event_v1_from<K: Resource>(
        &mut self,
        component: &str,
        object: &K,
        event_type: EventType,
        reason: &str,
        action: &str,
        note: &str,
    ) {
        let about = crate::client::recorder::reference(object);
        let identity = Identity { component: Name::from(component), ..self.identity.clone() };
        if let Some(write) = self.recorder.record_v1(self.now, &identity, &about, event_type, reason, action, note) {
            self.write_event(write);
        }
    }

    fn write_event(&mut self, write: super::recorder::EventWrite) {
        use super::recorder::EventWrite;
        let limiter = self.limiter.take();
        let trigger = self.trigger;
        let answer = match write {
            EventWrite::Create(event) => self.create(*event).map(|_| ()),
            EventWrite::Patch(patch, event) => {
                match self.patched::<Event>(&event.key(), None, Patch::Strategic(patch)).map(|_| ()) {
                    // It has expired meanwhile.
                    Err(error) if error.is_not_found() => self.create(*event).map(|_| ()),
                    answer => answer,
                }
            }
        };
        self.limiter = limiter;
        self.trigger = trigger;
        // Upstream drops an event that is refused too; nobody waits for it.
        debug_assert!(
            !matches!(&answer, Err(ClientError::Api(status)) if status.reason() == Reason::Invalid),
            "a component wrote an invalid event: {answer:?}"
        );
    }
}
