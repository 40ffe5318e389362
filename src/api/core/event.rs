//! Events. Follows `pkg/apis/core/validation/events.go`.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::Value;

use crate::api::check::{self, text};
use crate::api::meta;
use crate::api::table::{ColumnDefinition, NAME, age, name_of};
use crate::machinery::duration;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::time::Time;

/// `ReportingInstanceLengthLimit`, `ActionLengthLimit` and `ReasonLengthLimit`, in bytes.
const TEXT_BYTES_MAX: usize = 128;
/// `NoteLengthLimit`, in bytes.
const NOTE_BYTES_MAX: usize = 1024;

/// `ValidateEventCreate` for the core group.
pub(crate) fn validate(event: &Event) -> ErrorList {
    let mut errors = ErrorList::new();
    let namespace = text(&event.metadata.namespace);
    let about = text(&event.involved_object.namespace);
    // An event of the newer sort has an event time.
    let newer = event.event_time.is_some();
    let agrees = match (about.is_empty(), newer) {
        (true, false) => matches!(namespace, "" | "default"),
        (true, true) => matches!(namespace, "default" | "kube-system"),
        (false, false) => namespace == about,
        (false, true) => true,
    };
    if !agrees {
        let path = Path::new("involvedObject").child("namespace");
        errors.push(FieldError::invalid(&path, about, "does not match event.namespace"));
    }
    if newer {
        validate_newer(&mut errors, event);
    }
    check::dns_subdomain(&mut errors, &Path::new("namespace"), namespace);
    errors
}

fn validate_newer(errors: &mut ErrorList, event: &Event) {
    let controller = Path::new("reportingComponent");
    check::required(errors, &controller, text(&event.reporting_component));
    check::qualified_name(errors, &controller, text(&event.reporting_component));
    // The misspelling is upstream's.
    for (field, long_field, value) in [
        ("reportingInstance", "reportingIntance", &event.reporting_instance),
        ("action", "action", &event.action),
        ("reason", "reason", &event.reason),
    ] {
        check::required(errors, &Path::new(field), text(value));
        if text(value).len() > TEXT_BYTES_MAX {
            let detail = format!("can have at most {TEXT_BYTES_MAX} characters");
            errors.push(FieldError::invalid(&Path::new(long_field), "", detail));
        }
    }
    if text(&event.message).len() > NOTE_BYTES_MAX {
        let detail = format!("can have at most {NOTE_BYTES_MAX} characters");
        errors.push(FieldError::invalid(&Path::new("message"), "", detail));
    }
}

/// `ValidateEventUpdate` for the core group.
pub(crate) fn validate_update(new: &Event, old: &Event) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    errors.extend(validate(new));
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    ColumnDefinition::text("Last Seen", "The time at which the most recent occurrence of this event was recorded."),
    ColumnDefinition::text("Type", "Type of this event (Normal, Warning), new types could be added in the future"),
    ColumnDefinition::text(
        "Reason",
        "This should be a short, machine understandable string that gives the reason for the transition into the \
         object's current status.",
    ),
    ColumnDefinition::text("Object", "The object that this event is about."),
    ColumnDefinition::text(
        "Subobject",
        "If referring to a piece of an object instead of an entire object, this string should contain a valid JSON/Go \
         field access statement, such as desiredState.manifest.containers[2]. For example, if the object reference is \
         to a container within a pod, this would take on a value like: \"spec.containers{name}\" (where \"name\" refers \
         to the name of the container that triggered the event) or if no container name is specified \
         \"spec.containers[2]\" (container with index 2 in this pod). This syntax is chosen only to have some \
         well-defined way of referencing a part of an object.",
    )
    .wide(),
    ColumnDefinition::text("Source", "The component reporting this event. Should be a short machine understandable string.")
        .wide(),
    ColumnDefinition::text("Message", "A human-readable description of the status of this operation."),
    ColumnDefinition::text(
        "First Seen",
        "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)",
    )
    .wide(),
    ColumnDefinition::text("Count", "The number of times this event has occurred.").wide(),
    NAME.wide(),
];

pub(crate) fn row(event: &Event, now: Time) -> Vec<Value> {
    let micro = |time: &MicroTime| duration::age(Time::from(time), now);
    let event_time = event.event_time.as_ref().map_or_else(|| "<unknown>".to_owned(), micro);
    let first = event.first_timestamp.as_ref().map_or(event_time, |time| age(Some(time), now));
    let mut last = event.last_timestamp.as_ref().map_or_else(|| first.clone(), |time| age(Some(time), now));
    let mut count = match event.count.unwrap_or(0) {
        0 => 1,
        count => count,
    };
    if let Some(series) = &event.series {
        last = series.last_observed_time.as_ref().map_or_else(|| "<unknown>".to_owned(), micro);
        count = series.count.unwrap_or(0);
    }
    let object = &event.involved_object;
    let kind = text(&object.kind).to_lowercase();
    let target = match text(&object.name) {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        last.into(),
        text(&event.type_).into(),
        text(&event.reason).into(),
        target.into(),
        text(&object.field_path).into(),
        source(event).into(),
        text(&event.message).trim().into(),
        first.into(),
        count.into(),
        name_of(&event.metadata),
    ]
}

/// Who reported the event and from where (`formatEventSource`).
fn source(event: &Event) -> String {
    let source = event.source.clone().unwrap_or_default();
    let or = |first: &str, second: &str| if first.is_empty() { second.to_owned() } else { first.to_owned() };
    let component = or(text(&source.component), text(&event.reporting_component));
    let host = or(text(&source.host), text(&event.reporting_instance));
    if host.is_empty() { component } else { format!("{component}, {host}") }
}
