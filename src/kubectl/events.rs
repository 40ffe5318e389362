//! `kubectl events`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/events`.

use serde_json::{Value, json};

use super::api::Change;
use super::cli::{Cli, Step, Waiting};
use super::describe::{interval, list_all};
use super::failure::Failure;
use super::printer::Printer;
use super::resource;
use super::tabwriter::TabWriter;
use crate::api::Kind;
use crate::etcd::Revision;
use crate::machinery::time::Time;

/// Which events are asked for, and how they are shown.
#[derive(Clone, Debug)]
pub(super) struct Events {
    namespace: String,
    /// The kind and the name of the object that they are about.
    about: Option<Box<About>>,
    types: Vec<String>,
    printer: Option<Printer>,
    /// Whether the headings were printed.
    headed: bool,
    /// What was seen of the changes, when more are waited for.
    revision: Revision,
}

/// The object that events are about, as they name it: some leave the version out, and are not found so.
#[derive(Clone, Debug)]
struct About {
    kind: String,
    version: String,
    name: String,
}

/// Runs `kubectl events`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    let about = match flags.text("for") {
        "" => None,
        word => {
            let parts: Vec<&str> = word.split('/').collect();
            let [kind, name] = parts[..] else {
                return Err(Failure::message(if parts.len() > 2 {
                    "arguments in resource/name form may not have more than one slash"
                } else {
                    "--for must be in resource/name form"
                }));
            };
            let kind = resource::kind_of(cli.api, kind).map_err(|failure| Failure::Plain(failure.bare()))?;
            let about = About { kind: kind.info().kind.to_owned(), version: kind.api_version(), name: name.to_owned() };
            Some(Box::new(about))
        }
    };
    let types = flags.texts("types");
    if types.iter().any(|kind| !kind.eq_ignore_ascii_case("Normal") && !kind.eq_ignore_ascii_case("Warning")) {
        return Err(Failure::message("valid --types are Normal or Warning"));
    }
    let printer = if flags.has("output") { Some(Printer::of(cli, "events")?.typed()) } else { None };
    let everywhere = flags.is("all-namespaces", false);
    let mut events = Events {
        namespace: if everywhere { String::new() } else { cli.namespace() },
        about,
        types,
        printer,
        headed: flags.is("no-headers", false),
        revision: cli.api.revision(),
    };
    let mut found = events.found(cli)?;
    if flags.is("watch", false) {
        for event in found {
            events.show(cli, &[event])?;
        }
        return Ok(Step::Wait(Waiting::Events(events)));
    }
    if found.is_empty() {
        let place = if everywhere { ".".to_owned() } else { format!(" in {} namespace.", events.namespace) };
        cli.complain(&format!("No events found{place}"));
        return Ok(Step::Done);
    }
    found.sort_by_key(last_seen);
    if let Some(printer) = &mut events.printer {
        printer.print(cli, &json!({ "apiVersion": "v1", "items": found, "kind": "EventList", "metadata": {} }))?;
    } else {
        events.show(cli, &found)?;
    }
    Ok(Step::Done)
}

/// When an event was seen last.
fn last_seen(event: &Value) -> Option<Time> {
    let times = [&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"]];
    times.into_iter().find_map(|time| Time::parse(time.as_str()?))
}

impl Events {
    fn found(&self, cli: &mut Cli<'_>) -> Result<Vec<Value>, Failure> {
        let fields = self.about.as_deref().map_or_else(String::new, |About { kind, version, name }| {
            format!("involvedObject.kind={kind},involvedObject.apiVersion={version},involvedObject.name={name}")
        });
        let mut found = list_all(cli, Kind::Event, &self.namespace, &fields)?;
        found.retain(|event| self.has_type(event));
        Ok(found)
    }

    fn has_type(&self, event: &Value) -> bool {
        let kind = event["type"].as_str().unwrap_or("");
        self.types.is_empty() || self.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind))
    }

    fn show(&mut self, cli: &mut Cli<'_>, events: &[Value]) -> Result<(), Failure> {
        if let Some(printer) = &mut self.printer {
            return events.iter().try_for_each(|event| printer.print(cli, event));
        }
        let everywhere = self.namespace.is_empty();
        let mut text = String::new();
        if !std::mem::replace(&mut self.headed, true) {
            let namespace = if everywhere { "NAMESPACE\t" } else { "" };
            text.push_str(&format!("{namespace}LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n"));
        }
        let now = cli.api.now();
        for event in events {
            if everywhere {
                text.push_str(&format!("{}\t", event["metadata"]["namespace"].as_str().unwrap_or("")));
            }
            let object = &event["involvedObject"];
            text.push_str(&format!(
                "{}\t{}\t{}\t{}/{}\t{}\n",
                interval(event, now),
                cell(&event["type"]),
                cell(&event["reason"]),
                cell(&object["kind"]),
                cell(&object["name"]),
                cell(&event["message"])
            ));
        }
        let table = TabWriter::TABLE.format(&text);
        cli.out.push_str(&table);
        Ok(())
    }

    /// Shows what has happened since.
    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        for change in cli.api.changes(Kind::Event, self.revision)? {
            self.revision = change.revision;
            let event = change.value();
            if self.is_meant(&change, &event) {
                self.show(cli, &[event])?;
            }
        }
        Ok(Step::Wait(Waiting::Events(self)))
    }

    fn is_meant(&self, change: &Change, event: &Value) -> bool {
        let object = &event["involvedObject"];
        let is_about = |about: &About| {
            object["kind"] == *about.kind && object["name"] == *about.name && object["apiVersion"] == *about.version
        };
        change.event != "DELETED"
            && (self.namespace.is_empty() || event["metadata"]["namespace"] == *self.namespace)
            && self.about.as_deref().is_none_or(is_about)
            && self.has_type(event)
    }
}

/// A text on one line: `escapeCell`.
fn cell(value: &Value) -> String {
    let text = value.as_str().unwrap_or("").trim();
    match text.find(['\n', '\r', '\u{c}']) {
        Some(at) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
