//! Events as `kubectl get events` lists them.

use k8s_openapi::api::core::v1::Event;
use serde::{Deserialize, Serialize};

use k8s_openapi::Metadata as _;

use crate::api::Kind;
use crate::etcd::Etcd;
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;

use super::Subject;

/// An event, repetitions counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// When it happened last.
    pub last_seen: Time,
    /// Whether something is not as it should be.
    pub warning: bool,
    /// Its reason, such as `FailedScheduling`.
    pub reason: String,
    /// What it is about.
    pub subject: Subject,
    /// Who tells it.
    pub source: String,
    /// In words.
    pub message: String,
    /// How often it happened.
    pub count: i32,
}

impl EventRow {
    /// Reads an event of either API: `core/v1` or `events.k8s.io/v1`.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let series = event.series.as_ref();
        let last = series
            .and_then(|series| series.last_observed_time.as_ref())
            .map(Time::from)
            .or_else(|| event.last_timestamp.as_ref().map(Time::from))
            .or_else(|| event.event_time.as_ref().map(Time::from));
        let created = || event.metadata.creation_timestamp.as_ref().map(Time::from);
        let about = &event.involved_object;
        let source = event.source.as_ref().and_then(|source| source.component.clone());
        Self {
            last_seen: last.or_else(created).unwrap_or_default(),
            warning: event.type_.as_deref() == Some("Warning"),
            reason: event.reason.clone().unwrap_or_default(),
            subject: Subject::new(
                about.kind.clone().unwrap_or_default(),
                about.namespace.clone().unwrap_or_default(),
                about.name.clone().unwrap_or_default(),
            ),
            source: source.or_else(|| event.reporting_component.clone()).unwrap_or_default(),
            message: event.message.clone().unwrap_or_default(),
            count: series.and_then(|series| series.count).or(event.count).unwrap_or(1),
        }
    }
}

/// The latest events, newest first, at most `most` of them.
#[must_use]
pub fn latest(etcd: &Etcd, namespace: Option<&str>, most: usize) -> Vec<EventRow> {
    newest_first(all(etcd, namespace), most)
}

/// The events about one object, newest first. An object that was made again under its name has its own.
#[must_use]
pub fn about(etcd: &Etcd, subject: &Subject, uid: &str, most: usize) -> Vec<EventRow> {
    // The kubelet reports on its node under the node's name instead of its uid.
    let same = |event: &&Event| {
        let about = &event.involved_object;
        about.uid.as_deref() == Some(uid)
            || (subject.kind == "Node"
                && about.kind.as_deref() == Some("Node")
                && about.name.as_deref() == Some(&subject.name))
    };
    let namespace = (!subject.namespace.is_empty()).then_some(subject.namespace.as_str());
    newest_first(all(etcd, namespace).filter(same), most)
}

fn all<'a>(etcd: &'a Etcd, namespace: Option<&'a str>) -> impl Iterator<Item = &'a Event> {
    etcd.range(Kind::Event, namespace).filter_map(|(_, object)| object.downcast::<Event>()).map(|event| &**event)
}

fn newest_first<'a>(events: impl Iterator<Item = &'a Event>, most: usize) -> Vec<EventRow> {
    // Times of core/v1 events are whole seconds; the revision says which of one second came last.
    let revision = |event: &Event| -> u64 {
        event.metadata().resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
    };
    let mut rows: Vec<(u64, EventRow)> = events.map(|event| (revision(event), EventRow::of(event))).collect();
    rows.order_by_key(|(revision, row)| std::cmp::Reverse((row.last_seen.as_secs(), *revision)));
    rows.truncate(most);
    rows.into_iter().map(|(_, row)| row).collect()
}
