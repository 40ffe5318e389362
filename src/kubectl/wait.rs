//! `kubectl wait`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/wait`.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::builder::{self, Info, Query};
use super::cli::{Cli, Step, Waiting};
use super::failure::Failure;
use super::printer::{Printer, go_print};
use crate::machinery::jsonpath::{self, JsonPath};
use crate::machinery::time::Time;

/// How long is waited when nobody says.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// A timeout below zero means a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is waited for.
#[derive(Clone, Debug)]
enum Condition {
    Deleted,
    Created,
    /// A condition of the status with the value it must have.
    Status(String, String),
    /// A JSONPath, and the value it must yield; any value when none is given.
    Path(JsonPath, Option<String>),
}

/// Runs `kubectl wait`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    let condition = parse(flags.text("for"))?;
    let fetch = !matches!(condition, Condition::Created);
    let selects = flags.has("selector") || flags.has("field-selector") || flags.is("all", false);
    let query = Query { fetch: fetch && !selects, latest: fetch, ..Query::new(cli.arguments()) };
    let mut found = builder::find(cli, query)?;
    if matches!(condition, Condition::Deleted) {
        found.infos.retain(|info| !matches!(info, Err(failure) if failure.is_not_found()));
    }
    let infos = found.all()?;
    if infos.is_empty() {
        if matches!(condition, Condition::Deleted) {
            return Ok(Step::Done);
        }
        if !matches!(condition, Condition::Created) {
            return Err(Failure::message("no matching resources found"));
        }
    }
    let timeout = match cli.flags().text("timeout") {
        "" => DEFAULT_TIMEOUT,
        text if text.starts_with('-') => LONGEST,
        _ => cli.flags().duration("timeout").unwrap_or(Duration::ZERO),
    };
    let ends = cli.api.now() + timeout;
    Wait { infos, condition, failures: Vec::new(), ends, looks_once: timeout.is_zero() }.poll(cli)
}

fn parse(text: &str) -> Result<Condition, Failure> {
    if text.eq_ignore_ascii_case("delete") {
        return Ok(Condition::Deleted);
    }
    if text.eq_ignore_ascii_case("create") {
        return Ok(Condition::Created);
    }
    if let Some(condition) = text.strip_prefix("condition=") {
        let (name, value) = condition.split_once('=').unwrap_or((condition, "true"));
        return Ok(Condition::Status(name.to_owned(), value.to_owned()));
    }
    if let Some(rest) = text.strip_prefix("jsonpath=") {
        let (path, value) = split_path(rest)?;
        if path.is_empty() {
            return Err(Failure::message("jsonpath expression cannot be empty"));
        }
        let path = jsonpath::relaxed(path.trim_matches(['\'', '"'])).map_err(Failure::Message)?;
        let path = JsonPath::parse(&path).map_err(Failure::Message)?.allow_missing_keys(true);
        return Ok(Condition::Path(path, value));
    }
    Err(Failure::Message(format!("unrecognized condition: {text:?}")))
}

/// `{.a}=b`: the `=` that counts is the one behind the closing brace.
fn split_path(text: &str) -> Result<(String, Option<String>), Failure> {
    let end = text.rfind('}').map_or(0, |at| at + 1);
    let (path, value) = match text[end..].find('=') {
        Some(at) => (&text[..end + at], Some(text[end + at + 1..].trim_matches(['\'', '"']).to_owned())),
        None => (text, None),
    };
    if value.as_deref() == Some("") {
        return Err(Failure::message("jsonpath wait value cannot be empty"));
    }
    Ok((path.to_owned(), value))
}

/// Waits for objects, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    infos: Vec<Info>,
    condition: Condition,
    /// Why some of them were given up.
    failures: Vec<Failure>,
    /// When patience with all of them ends.
    ends: Time,
    /// Whether nothing is waited for: `--timeout=0`.
    looks_once: bool,
}

impl Wait {
    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        while let Some(info) = self.infos.first().cloned() {
            let object = match cli.get(info.kind, &info.namespace, &info.name) {
                Ok(object) => Some(object),
                Err(status) if status.is_not_found() => None,
                Err(status) => return Err(status.into()),
            };
            let met = self.is_met(&info, object.as_ref());
            if met == Ok(false) && cli.api.now() < self.ends {
                return Ok(Step::Wait(Waiting::Wait(self)));
            }
            if met != Ok(true) {
                self.give_up(met.err());
                continue;
            }
            let mut shown = object.unwrap_or(Value::Null);
            if shown.is_null() {
                shown = serde_json::json!({
                    "apiVersion": info.kind.api_version(), "kind": info.kind.info().kind, "metadata": { "name": info.name },
                });
            }
            Printer::of(cli, "condition met")?.print(cli, &shown)?;
            self.infos.remove(0);
        }
        Failure::of(self.failures).map(|()| Step::Done)
    }

    /// Gives the first one up: because of what the server said, or because time is over, which it is for the others too.
    fn give_up(&mut self, why: Option<Failure>) {
        if let Some(why) = why {
            self.failures.push(why);
            self.infos.remove(0);
            return;
        }
        for info in std::mem::take(&mut self.infos) {
            let (plural, name) = (info.kind.info().plural, &info.name);
            self.failures.push(Failure::Message(match self.condition {
                Condition::Status(..) | Condition::Path(..) if self.looks_once => {
                    format!("condition not met for {plural}/{name}")
                }
                Condition::Created => "timed out waiting for the condition".to_owned(),
                _ => format!("timed out waiting for the condition on {plural}/{name}"),
            }));
        }
    }

    fn is_met(&self, info: &Info, object: Option<&Value>) -> Result<bool, Failure> {
        let Some(object) = object else {
            return match self.condition {
                Condition::Deleted => Ok(true),
                Condition::Created => Ok(false),
                _ => Err(Failure::Status(crate::machinery::status::Status::not_found(
                    info.kind.info().group,
                    info.kind.info().plural,
                    &info.name,
                ))),
            };
        };
        Ok(match &self.condition {
            // Another object under the same name means that the first one is gone.
            Condition::Deleted => !info.object.is_null() && info.object["metadata"]["uid"] != object["metadata"]["uid"],
            Condition::Created => true,
            Condition::Status(name, value) => has_condition(object, name, value),
            Condition::Path(path, value) => {
                let results = path.find(object).map_err(Failure::Message)?;
                if value.is_some() {
                    check_single(&results)?;
                }
                let mut found = results.iter().flatten();
                match value {
                    None => found.next().is_some(),
                    Some(value) => found.next().is_some_and(|result| go_print(result) == *value),
                }
            }
        })
    }
}

/// That a path leads to one plain value, if it leads anywhere: `verifyParsedJSONPath`.
fn check_single(results: &[Vec<Cow<'_, Value>>]) -> Result<(), Failure> {
    let wrong = match results {
        [] | [_] if results.iter().flatten().count() == 0 => return Ok(()),
        [found] if found.len() == 1 && !found[0].is_object() && !found[0].is_array() => return Ok(()),
        [found] if found.len() == 1 => "jsonpath leads to a nested object or list which is not supported",
        [_] => "given jsonpath expression matches more than one value",
        _ => "given jsonpath expression matches more than one list",
    };
    Err(Failure::message(wrong))
}

/// Whether a condition has a value, and was observed at the object's newest generation.
fn has_condition(object: &Value, name: &str, value: &str) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let conditions = object["status"]["conditions"].as_array();
    let Some(condition) =
        conditions.into_iter().flatten().find(|condition| text(&condition["type"]).eq_ignore_ascii_case(name))
    else {
        return false;
    };
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    let observed = condition["observedGeneration"].as_i64().or_else(|| object["status"]["observedGeneration"].as_i64());
    if observed.is_some_and(|observed| observed < generation) {
        return false;
    }
    text(&condition["status"]).eq_ignore_ascii_case(value)
}
