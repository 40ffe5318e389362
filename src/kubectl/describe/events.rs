//! What happened to an object.
//!
//! Follows `searchEvents` and `DescribeEvents` of `k8s.io/kubectl/pkg/describe/describe.go`.

use serde_json::Value;

use super::super::cli::Cli;
use super::writer::{Writer, items, number, text};
use super::{Settings, list};
use crate::api::Kind;
use crate::machinery::duration;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

/// Which events are about an object.
#[derive(Clone, Debug)]
pub(super) struct About<'a> {
    /// The object's kind; empty for any.
    pub kind: &'a str,
    /// Its namespace; empty for objects outside of namespaces.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

impl<'a> About<'a> {
    /// Those about an object.
    pub(super) fn object(kind: Kind, object: &'a Value) -> Self {
        let metadata = &object["metadata"];
        Self {
            kind: kind.info().kind,
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
            uid: text(&metadata["uid"]),
        }
    }

    /// Looks for them.
    pub(super) fn search(&self, cli: &mut Cli<'_>, settings: Settings) -> Result<Vec<Value>, Status> {
        let fields = [("kind", self.kind), ("name", self.name), ("namespace", self.namespace), ("uid", self.uid)];
        // The name and the namespace are always asked for, even when they are empty.
        let asked = fields.iter().filter(|(field, value)| !value.is_empty() || field.starts_with("name"));
        let selector: Vec<String> = asked.map(|(field, value)| format!("involvedObject.{field}={value}")).collect();
        list(cli, Kind::Event, self.namespace, ("", &selector.join(",")), settings)
    }
}

/// Writes the events of an object, oldest first; nothing when they could not be looked for.
pub(super) fn describe(cli: &Cli<'_>, writer: &mut Writer, events: Option<Vec<Value>>) {
    let Some(mut events) = events else { return };
    if events.is_empty() {
        return writer.field(0, "Events", "<none>");
    }
    events.sort_by_key(|event| Time::parse(text(&event["lastTimestamp"])));
    writer.line(0, "Events:");
    writer.line(1, "Type\tReason\tAge\tFrom\tMessage");
    writer.line(1, "----\t------\t----\t----\t-------");
    let now = cli.api.now();
    for event in &events {
        let source = Some(text(&event["source"]["component"])).filter(|source| !source.is_empty());
        writer.line(
            1,
            &format!(
                "{}\t{}\t{}\t{}\t{}",
                text(&event["type"]),
                text(&event["reason"]),
                interval(event, now),
                source.unwrap_or_else(|| text(&event["reportingComponent"])),
                text(&event["message"]).trim()
            ),
        );
    }
}

/// When it happened, and how often over which time.
pub(in super::super) fn interval(event: &Value, now: Time) -> String {
    let first = if event["eventTime"].is_string() { &event["eventTime"] } else { &event["firstTimestamp"] };
    let first = since(first, now);
    let series = &event["series"];
    if series.is_object() {
        return format!("{} (x{} over {first})", since(&series["lastObservedTime"], now), number(&series["count"]));
    }
    if number(&event["count"]) > 1 {
        return format!("{} (x{} over {first})", since(&event["lastTimestamp"], now), number(&event["count"]));
    }
    first
}

/// How long ago something was: `translateTimestampSince`.
pub(super) fn since(time: &Value, now: Time) -> String {
    Time::parse(text(time)).map_or_else(|| "<unknown>".to_owned(), |time| duration::age(time, now))
}

/// The condition of that name, as a readiness gate shows it.
pub(super) fn condition_status<'a>(conditions: &'a Value, name: &Value) -> &'a str {
    let found = items(conditions).iter().find(|condition| condition["type"] == *name);
    found.map_or("<none>", |condition| text(&condition["status"]))
}
