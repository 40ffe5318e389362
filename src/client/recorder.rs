//! Events: what components tell about their work, with repetitions counted instead of written again.
//!
//! `k8s.io/client-go/tools/record` (`EventCorrelator`: aggregation, spam filter, counting) and
//! `k8s.io/client-go/tools/events` for the scheduler.

use std::time::Duration;

use crate::machinery::persistent::OrdSet;
use k8s_openapi::api::core::v1::{Event, EventSeries, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Kind, ObjectKey, Resource};
use crate::machinery::time::Time;

use super::handle::Identity;
use super::lru::{Digest, Lru};

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
    reference_to(K::OBJECT_KIND, object.metadata())
}

/// As [`reference`], for an object of which only this much is known.
#[must_use]
pub fn reference_to(kind: Kind, metadata: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(kind.api_version()),
        kind: Some(kind.info().kind.to_owned()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        resource_version: metadata.resource_version.clone(),
        uid: metadata.uid.clone(),
        field_path: None,
    }
}

/// What the recorder wants written.
pub(super) enum EventWrite {
    Create(Box<Event>),
    /// A repetition; when the event is gone meanwhile, it is created again as it would be with the patch.
    Patch(serde_json::Value, Box<Event>),
}

#[derive(Clone, Debug)]
struct Seen {
    key: ObjectKey,
    count: i32,
    first: Time,
    last: Time,
}

impl Seen {
    fn again(&mut self, now: Time) {
        self.count += 1;
        self.last = now;
    }
}

/// Similar events of one object: alike but for their message.
#[derive(Clone, Debug)]
struct Similar {
    messages: OrdSet<Digest>,
    last: Time,
}

/// The memory of a component's event recorder.
#[derive(Clone, Debug)]
pub struct Recorder {
    seen: Lru<Seen>,
    similar: Lru<Similar>,
    /// For each object, when its allowance of events is full again.
    allowances: Lru<Time>,
    last_name: u64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            seen: Lru::new(MEMORY_MAX),
            similar: Lru::new(MEMORY_MAX),
            allowances: Lru::new(MEMORY_MAX),
            last_name: 0,
        }
    }
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
/// How many different events, groups of them and objects a component remembers: `maxLruCacheEntries`.
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
        let mut event = new_event(about, event_type, reason, &message);
        let mut patch = None;
        let (count, first) = match self.seen.get_mut(&identity_key, now) {
            Some(seen) => {
                seen.again(now);
                patch = Some(serde_json::json!({
                    "count": seen.count,
                    "lastTimestamp": now.to_meta(),
                    "message": message,
                }));
                event.metadata.name = Some(seen.key.name.to_string());
                (seen.count, seen.first)
            }
            None => (1, now),
        };
        event.count = Some(count);
        event.first_timestamp = Some(first.to_meta());
        event.last_timestamp = Some(now.to_meta());
        event.source = Some(EventSource {
            component: Some(identity.component.to_string()),
            host: Some(identity.host.to_string()).filter(|host| !host.is_empty()),
        });
        // Upstream leaves it out of events that stand for several (`EventAggregate`).
        let reporting = if combined { "" } else { &identity.component };
        event.reporting_component = Some(reporting.to_owned());
        event.reporting_instance = Some(identity.host.to_string());
        Some(self.write(identity_key, event, patch, now))
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
        let mut event = new_event(about, event_type, reason, note);
        let mut patch = None;
        let known = self.seen.get_mut(&identity_key, now).filter(|seen| now.since(seen.last) < SERIES_IDLE);
        if let Some(seen) = known {
            seen.again(now);
            let series = EventSeries { count: Some(seen.count), last_observed_time: Some(now.to_micro()) };
            patch = Some(serde_json::json!({ "series": series }));
            event.metadata.name = Some(seen.key.name.to_string());
            event.series = Some(series);
        }
        event.action = Some(action.to_owned());
        event.event_time = Some(now.to_micro());
        event.reporting_component = Some(identity.component.to_string());
        event.reporting_instance = Some(format!("{}-control-plane", identity.component));
        event.source = Some(EventSource::default());
        Some(self.write(identity_key, event, patch, now))
    }

    fn write(
        &mut self,
        identity_key: String,
        mut event: Event,
        patch: Option<serde_json::Value>,
        now: Time,
    ) -> EventWrite {
        if let Some(patch) = patch {
            return EventWrite::Patch(patch, Box::new(event));
        }
        // Upstream names an event after the nanosecond; two in one microsecond must not share a name here.
        self.last_name = (now.as_micros() * 1000).max(self.last_name + 1);
        let about = event.involved_object.name.as_deref().unwrap_or("");
        event.metadata.name = Some(format!("{about}.{:x}", self.last_name));
        let seen = Seen { key: event.key(), count: 1, first: now, last: now };
        self.seen.insert(&identity_key, seen, now);
        EventWrite::Create(Box::new(event))
    }

    /// Whether the spam filter lets an event about the object pass.
    fn allows(&mut self, now: Time, object: &str) -> bool {
        let known = self.allowances.get_mut(object, now);
        let full_at = known.as_deref().copied().unwrap_or_default().max(now) + SPAM_INTERVAL;
        if full_at.since(now) > SPAM_INTERVAL * SPAM_BURST {
            return false;
        }
        match known {
            Some(known) => *known = full_at,
            None => self.allowances.insert(object, full_at, now),
        }
        true
    }

    /// Whether so many similar events came that this one is combined with them.
    fn combines(&mut self, now: Time, group: &str, message: &str) -> bool {
        let message = Digest::of(message);
        let Some(similar) = self.similar.get_mut(group, now) else {
            let similar = Similar { messages: OrdSet::from_iter([message]), last: now };
            self.similar.insert(group, similar, now);
            return false;
        };
        if now.since(similar.last) > SIMILAR_WINDOW {
            similar.messages = OrdSet::new();
        }
        similar.last = now;
        if similar.messages.len() >= SIMILAR_MAX && !similar.messages.contains(&message) {
            return true;
        }
        similar.messages.insert(message);
        similar.messages.len() >= SIMILAR_MAX
    }
}

/// An event without a name and a time.
fn new_event(about: &ObjectReference, event_type: EventType, reason: &str, message: &str) -> Event {
    let namespace = about.namespace.clone().filter(|namespace| !namespace.is_empty());
    Event {
        metadata: ObjectMeta {
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
