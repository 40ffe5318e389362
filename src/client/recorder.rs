//! Events: what components tell about their work, with repetitions counted instead of written again.
//!
//! `k8s.io/client-go/tools/record` (`EventCorrelator`: aggregation, spam filter, counting) and
//! `k8s.io/client-go/tools/events` for the scheduler.

use std::time::Duration;

use crate::machinery::persistent::{OrdMap, OrdSet};
use k8s_openapi::api::core::v1::{Event, EventSeries, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{ObjectKey, Resource};
use crate::machinery::time::Time;

use super::handle::Identity;

/// How an event is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    /// Information.
    Normal,
    /// Something is not as it should be.
    Warning,
}

impl EventType {
    /// As it stands in `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What a reference to an object says of it.
pub fn reference<K: Resource>(object: &K) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::OBJECT_KIND.api_version()),
        kind: Some(K::OBJECT_KIND.info().kind.to_owned()),
        name: object.metadata().name.clone(),
        namespace: object.metadata().namespace.clone(),
        resource_version: object.metadata().resource_version.clone(),
        uid: object.metadata().uid.clone(),
        field_path: None,
    }
}

/// What the recorder wants written.
pub(super) enum EventWrite {
    Create(Box<Event>),
    Patch(ObjectKey, serde_json::Value),
}

#[derive(Clone, Debug)]
struct Seen {
    key: ObjectKey,
    count: i32,
    first: Time,
    last: Time,
}

/// Similar events of one object: alike but for their message.
#[derive(Clone, Debug)]
struct Similar {
    messages: OrdSet<String>,
    last: Time,
}

#[derive(Clone, Debug)]
struct Allowance {
    full_at: Time,
}

/// The memory of a component's event recorder.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    seen: OrdMap<String, Seen>,
    similar: OrdMap<String, Similar>,
    allowances: OrdMap<String, Allowance>,
    last_name: u64,
}

/// From this many different messages within [`SIMILAR_WINDOW`] on, events are combined.
const SIMILAR_MAX: usize = 10;
/// How long similar events are remembered.
const SIMILAR_WINDOW: Duration = Duration::from_secs(600);
/// How many events about one object a component may write at once.
const SPAM_BURST: u32 = 25;
/// How long one more takes after that.
const SPAM_INTERVAL: Duration = Duration::from_secs(300);
/// A series of `events.k8s.io/v1` ends when it was silent so long.
const SERIES_IDLE: Duration = Duration::from_secs(360);
/// How many different events a component remembers: `maxLruCacheEntries`.
const MEMORY_MAX: usize = 4096;

impl Recorder {
    pub(super) fn record(
        &mut self,
        now: Time,
        identity: &Identity,
        about: &ObjectReference,
        event_type: EventType,
        reason: &str,
        message: &str,
    ) -> Option<EventWrite> {
        let object = object_text(identity, about);
        if !self.allows(now, &object) {
            return None;
        }
        let group = format!("{object}|{}|{reason}", event_type.as_str());
        let combined = self.combines(now, &group, message);
        let message = if combined { format!("(combined from similar events): {message}") } else { message.to_owned() };
        let identity_key = if combined { group } else { format!("{group}|{message}") };
        if let Some(seen) = self.seen.get_mut(&identity_key) {
            seen.count += 1;
            seen.last = now;
            let patch = serde_json::json!({
                "count": seen.count,
                "lastTimestamp": now.to_meta(),
                "message": message,
            });
            return Some(EventWrite::Patch(seen.key.clone(), patch));
        }
        let mut event = self.event(now, about, event_type, reason, &message);
        event.count = Some(1);
        event.first_timestamp = Some(now.to_meta());
        event.last_timestamp = Some(now.to_meta());
        event.source = Some(EventSource {
            component: Some(identity.component.to_string()),
            host: Some(identity.host.to_string()).filter(|host| !host.is_empty()),
        });
        event.reporting_component = Some(identity.component.to_string());
        event.reporting_instance = Some(identity.host.to_string());
        self.remember(identity_key, event.key(), now);
        Some(EventWrite::Create(Box::new(event)))
    }

    #[allow(clippy::too_many_arguments, reason = "an event of events.k8s.io has so many parts")]
    pub(super) fn record_v1(
        &mut self,
        now: Time,
        identity: &Identity,
        about: &ObjectReference,
        event_type: EventType,
        reason: &str,
        action: &str,
        note: &str,
    ) -> Option<EventWrite> {
        let identity_key = format!("{}|{}|{reason}|{action}|{note}", object_text(identity, about), event_type.as_str());
        if let Some(seen) = self.seen.get_mut(&identity_key)
            && now.since(seen.last) < SERIES_IDLE
        {
            seen.count += 1;
            seen.last = now;
            let series = EventSeries { count: Some(seen.count), last_observed_time: Some(now.to_micro()) };
            return Some(EventWrite::Patch(seen.key.clone(), serde_json::json!({ "series": series })));
        }
        let mut event = self.event(now, about, event_type, reason, note);
        event.action = Some(action.to_owned());
        event.event_time = Some(now.to_micro());
        event.reporting_component = Some(identity.component.to_string());
        event.reporting_instance = Some(format!("{}-control-plane", identity.component));
        event.source = Some(EventSource::default());
        self.remember(identity_key, event.key(), now);
        Some(EventWrite::Create(Box::new(event)))
    }

    fn event(
        &mut self,
        now: Time,
        about: &ObjectReference,
        event_type: EventType,
        reason: &str,
        message: &str,
    ) -> Event {
        // Upstream names an event after the nanosecond; two in one microsecond must not share a name here.
        self.last_name = (now.as_micros() * 1000).max(self.last_name + 1);
        let namespace = about.namespace.clone().filter(|namespace| !namespace.is_empty());
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{:x}", about.name.as_deref().unwrap_or(""), self.last_name)),
                namespace: Some(namespace.unwrap_or_else(|| "default".to_owned())),
                ..ObjectMeta::default()
            },
            involved_object: about.clone(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            type_: Some(event_type.as_str().to_owned()),
            ..Event::default()
        }
    }

    fn remember(&mut self, identity_key: String, key: ObjectKey, now: Time) {
        if self.seen.len() >= MEMORY_MAX {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.last).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.seen.remove(&oldest);
            }
        }
        self.seen.insert(identity_key, Seen { key, count: 1, first: now, last: now });
    }

    /// Whether the spam filter lets an event about the object pass.
    fn allows(&mut self, now: Time, object: &str) -> bool {
        let allowance = self.allowances.entry(object.to_owned()).or_insert(Allowance { full_at: Time::default() });
        let full_at = allowance.full_at.max(now) + SPAM_INTERVAL;
        if full_at.since(now) > SPAM_INTERVAL * SPAM_BURST {
            return false;
        }
        allowance.full_at = full_at;
        true
    }

    /// Whether so many similar events came that this one is combined with them.
    fn combines(&mut self, now: Time, group: &str, message: &str) -> bool {
        let similar =
            self.similar.entry(group.to_owned()).or_insert_with(|| Similar { messages: OrdSet::new(), last: now });
        if now.since(similar.last) > SIMILAR_WINDOW {
            similar.messages = OrdSet::new();
        }
        similar.last = now;
        if similar.messages.len() >= SIMILAR_MAX && !similar.messages.contains(message) {
            return true;
        }
        similar.messages.insert(message.to_owned());
        similar.messages.len() >= SIMILAR_MAX
    }

    /// When an event that is still counted was first seen, by its key.
    #[must_use]
    pub fn first_seen(&self, key: &ObjectKey) -> Option<Time> {
        self.seen.values().find(|seen| &seen.key == key).map(|seen| seen.first)
    }
}

fn object_text(identity: &Identity, about: &ObjectReference) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!(
        "{}|{}|{}|{}|{}|{}|{}",
        identity.component,
        identity.host,
        part(&about.kind),
        part(&about.namespace),
        part(&about.name),
        part(&about.uid),
        part(&about.field_path),
    )
}
