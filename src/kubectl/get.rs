//! `kubectl get`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/get` and the table printer of `k8s.io/cli-runtime/pkg/printers`.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::builder::{self, Found, Info, Query};
use super::cli::{Cli, Step, Waiting};
use super::failure::Failure;
use super::printer::{Formats, Printer, go_print};
use super::tabwriter::TabWriter;
use super::{raw, resource};
use crate::api::Kind;
use crate::api::table::IncludeObject;
use crate::apiserver::{List, Response};
use crate::etcd::Revision;
use crate::machinery::duration::GoDuration;
use crate::machinery::jsonpath::{self, JsonPath};
use crate::machinery::labels::Selector;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

/// Runs `kubectl get`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if flags.has("raw") {
        let path = flags.text("raw");
        raw::check(cli)?;
        return raw::get(cli, path).map(|()| Step::Done);
    }
    check(cli)?;
    if cli.arguments().is_empty() && !flags.has("filename") && !flags.has("kustomize") {
        cli.complain(
            "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported \
             resources.\n",
        );
        return Err(Failure::Message(format!(
            "Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that \
             resource (e.g. kubectl explain pods).\nSee '{} -h' for help and examples",
            cli.parsed.path
        )));
    }
    let printer = match cli.output() {
        "" | "wide" => None,
        output => Some(Printer::parse(cli, output, Formats::Get)?),
    };
    let sorted = !flags.text("sort-by").is_empty();
    let include = if sorted { IncludeObject::Object } else { IncludeObject::Metadata };
    let query = Query {
        kind_means_all: true,
        subresource: cli.subresource()?,
        table: printer.is_none().then_some(include),
        ..Query::new(cli.arguments())
    };
    let revision = cli.api.revision();
    let mut found = builder::find(cli, query)?;
    if flags.is("ignore-not-found", false) {
        found.infos.retain(|info| !matches!(info, Err(failure) if failure.is_not_found()));
    }
    if !sort(cli, &mut found, printer.is_some())? {
        found.infos.clear();
    }
    if flags.is("watch", false) || flags.is("watch-only", false) {
        return Watch::begin(cli, found, printer, revision);
    }
    match printer {
        None => print_tables(cli, found),
        Some(mut printer) => print_all(cli, found, &mut printer),
    }?;
    Ok(Step::Done)
}

/// Prints what was found as one object, or as a list.
fn print_all(cli: &mut Cli<'_>, found: Found, printer: &mut Printer) -> Result<(), Failure> {
    let single = found.single;
    let (infos, failures): (Vec<_>, Vec<_>) = found.infos.into_iter().partition(Result::is_ok);
    let mut objects: Vec<Value> = infos.into_iter().flatten().map(|info| info.object).collect();
    let failures = each_once(failures.into_iter().filter_map(Result::err).collect());
    if objects.is_empty() && (!failures.is_empty() || single) {
        return Failure::of(failures);
    }
    let object = if single {
        objects.remove(0)
    } else {
        json!({ "apiVersion": "v1", "items": objects, "kind": "List", "metadata": { "resourceVersion": "" } })
    };
    printer.print(cli, &object)?;
    Failure::of(failures)
}

/// Prints tables, one after the other where the kinds differ.
fn print_tables(cli: &mut Cli<'_>, found: Found) -> Result<(), Failure> {
    let mut failures = Vec::new();
    let mut groups: Vec<Vec<Info>> = Vec::new();
    for info in found.infos {
        match info {
            Err(failure) => failures.push(failure),
            Ok(info) => match groups.last_mut().filter(|group| group[0].kind == info.kind) {
                Some(group) => group.push(info),
                None => groups.push(vec![info]),
            },
        }
    }
    let several = groups.len() > 1 || asks_for_several(cli);
    let headers = !cli.flags().is("no-headers", false);
    for (at, group) in groups.iter().enumerate() {
        if at > 0 && headers {
            cli.say("");
        }
        let shown = Shown { with_kind: several || cli.flags().is("show-kind", false), ..Shown::of(cli) };
        let text = if cli.flags().is("server-print", true) {
            shown.table(group, headers)
        } else {
            shown.plain_table(group, headers, cli.api.now())
        };
        cli.out.push_str(&text);
    }
    if groups.is_empty() && failures.is_empty() && !cli.flags().is("ignore-not-found", false) {
        let everywhere = cli.flags().is("all-namespaces", false) || !asks_for_namespaced(cli);
        let place = if everywhere { String::new() } else { format!(" in {} namespace.", cli.namespace()) };
        cli.complain(&format!("No resources found{place}"));
    }
    Failure::of(each_once(failures))
}

/// What does not go together: `Validate`.
fn check(cli: &Cli<'_>) -> Result<(), Failure> {
    let flags = cli.flags();
    if flags.is("output-watch-events", false) && !flags.is("watch", false) && !flags.is("watch-only", false) {
        return Err(Failure::message("--output-watch-events option can only be used with --watch or --watch-only"));
    }
    if flags.is("show-labels", false) && !matches!(cli.output(), "" | "wide") {
        return Err(Failure::Message(format!("--show-labels option cannot be used with {} printer", cli.output())));
    }
    let names_objects = cli.arguments().len() > 1 || cli.arguments().iter().any(|word| word.contains('/'));
    if flags.has("subresource") && !names_objects && !flags.has("filename") {
        return Err(Failure::message("subresource cannot be used when bulk resources are specified"));
    }
    Ok(())
}

/// Each failure once, as its text tells it.
fn each_once(failures: Vec<Failure>) -> Vec<Failure> {
    let mut told: Vec<Failure> = Vec::new();
    for failure in failures {
        if !told.iter().any(|known| known.bare() == failure.bare()) {
            told.push(failure);
        }
    }
    told
}

/// Whether the command line asks for all objects of several kinds, whether there are any or not:
/// `multipleGVKsRequested`.
fn asks_for_several(cli: &Cli<'_>) -> bool {
    let [kinds] = cli.arguments() else { return false };
    !kinds.contains('/') && resource::kinds_of(cli.api, kinds).is_ok_and(|kinds| kinds.len() > 1)
}

/// Whether all kinds of the command line live in namespaces.
fn asks_for_namespaced(cli: &Cli<'_>) -> bool {
    let kinds = cli.arguments().first().map(|word| resource::kinds_of(cli.api, word));
    matches!(kinds, Some(Ok(kinds)) if kinds.iter().all(|kind| kind.info().namespaced))
}

/// Which columns a table has besides its own.
#[derive(Clone, Debug, Default)]
struct Shown {
    wide: bool,
    with_kind: bool,
    with_namespace: bool,
    with_labels: bool,
    label_columns: Vec<String>,
}

impl Shown {
    fn of(cli: &Cli<'_>) -> Self {
        let flags = cli.flags();
        Self {
            wide: flags.text("output") == "wide",
            with_kind: false,
            with_namespace: flags.is("all-namespaces", false),
            with_labels: flags.is("show-labels", false),
            label_columns: flags.texts("label-columns"),
        }
    }

    /// Names and ages, which kubectl knows of each object without asking the server for a table: `--server-print=false`.
    fn plain_table(&self, infos: &[Info], headers: bool, now: Time) -> String {
        let mut text = String::new();
        if headers {
            text.push_str(&self.header(vec!["NAME".to_owned(), "AGE".to_owned()]).join("\t"));
            text.push('\n');
        }
        let column = json!({ "name": "Name" });
        for info in infos {
            let made = info.object["metadata"]["creationTimestamp"].as_str().and_then(Time::parse);
            let age = made.map_or_else(|| "<unknown>".to_owned(), |made| GoDuration::between(made, now).human());
            let name = self.cell(info, &column, &info.name.as_str().into());
            text.push_str(&self.row(info, vec![name, age]).join("\t"));
            text.push('\n');
        }
        TabWriter::TABLE.format(&text)
    }

    fn table(&self, infos: &[Info], headers: bool) -> String {
        TabWriter::TABLE.format(&self.rows(infos, headers))
    }

    /// The rows of a table, whose cells end with tabs.
    fn rows(&self, infos: &[Info], headers: bool) -> String {
        let mut text = String::new();
        for (at, info) in infos.iter().enumerate() {
            let Some(row) = &info.row else { continue };
            let columns: Vec<&Value> = row.columns.as_array().into_iter().flatten().collect();
            let is_shown = |column: &Value| self.wide || column["priority"] == 0;
            if at == 0 && headers {
                let names = columns.iter().filter(|column| is_shown(column));
                let names: Vec<String> =
                    names.map(|column| column["name"].as_str().unwrap_or("").to_uppercase()).collect();
                text.push_str(&self.header(names).join("\t"));
                text.push('\n');
            }
            let cells = columns.iter().zip(&row.cells).filter(|(column, _)| is_shown(column));
            let cells: Vec<String> = cells.map(|(column, cell)| self.cell(info, column, cell)).collect();
            text.push_str(&self.row(info, cells).join("\t"));
            text.push('\n');
        }
        text
    }

    fn header(&self, names: Vec<String>) -> Vec<String> {
        let mut header = Vec::new();
        if self.with_namespace {
            header.push("NAMESPACE".to_owned());
        }
        header.extend(names);
        let last_part = |label: &String| label.rsplit('/').next().unwrap_or(label).to_uppercase();
        header.extend(self.label_columns.iter().map(last_part));
        if self.with_labels {
            header.push("LABELS".to_owned());
        }
        header
    }

    fn row(&self, info: &Info, cells: Vec<String>) -> Vec<String> {
        let mut row = Vec::new();
        if self.with_namespace {
            row.push(info.namespace.clone());
        }
        row.extend(cells);
        let labels = &info.object["metadata"]["labels"];
        let label = |name: &String| labels[name.as_str()].as_str().unwrap_or("").to_owned();
        row.extend(self.label_columns.iter().map(label));
        if self.with_labels {
            row.push(format_labels(labels));
        }
        row
    }

    fn cell(&self, info: &Info, column: &Value, cell: &Value) -> String {
        let mut text = match cell {
            Value::Null => "<none>".to_owned(),
            Value::String(text) => text.clone(),
            other => go_print(other),
        };
        if let Some(at) = text.find(['\n', '\r', '\x0c']) {
            text.truncate(at);
            text.push_str("...");
        }
        if self.with_kind && column["name"] == "Name" {
            text = format!("{}/{text}", resource::printed(info.kind));
        }
        text
    }
}

fn format_labels(labels: &Value) -> String {
    let mut pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    pairs.sort();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// `--sort-by`. A table without the field is not shown, and nobody says why; tables of several kinds have no field in
/// common, and upstream refuses them.
fn sort(cli: &mut Cli<'_>, found: &mut Found, is_printed: bool) -> Result<bool, Failure> {
    let field = cli.flags().text("sort-by");
    if field.is_empty() {
        return Ok(true);
    }
    if cli.flags().is("watch", false) || cli.flags().is("watch-only", false) {
        cli.complain("warning: --watch requested, --sort-by will be ignored for watch events received");
    }
    let text = jsonpath::relaxed(field).map_err(Failure::Message)?;
    let path = JsonPath::parse(&text).map_err(Failure::Message)?.allow_missing_keys(true);
    let key = |info: &Result<Info, Failure>| {
        let found = path.find(&info.as_ref().ok()?.object).ok()?;
        found.into_iter().flatten().next().map(std::borrow::Cow::into_owned)
    };
    let objects = || found.infos.iter().flatten();
    let is_missing = found.infos.iter().all(|info| key(info).is_none());
    let mixed = objects().any(|info| objects().next().is_some_and(|first| first.kind != info.kind));
    if objects().count() > 1 && (is_missing || mixed) {
        if !is_printed && !mixed {
            return Ok(false);
        }
        if is_missing || !is_printed {
            return Err(Failure::Message(format!("couldn't find any field with path {text:?} in the list of objects")));
        }
    }
    found.infos.sort_by(|a, b| order(key(a).as_ref(), key(b).as_ref()));
    Ok(true)
}

/// How two values stand to each other: numbers and quantities by size, texts by their letters.
fn order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Some(Value::String(a)), Some(Value::String(b))) => match (Quantity::parse(a), Quantity::parse(b)) {
            (Ok(a), Ok(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            _ => a.cmp(b),
        },
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// `kubectl get --watch`: goes on until somebody interrupts it.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    kind: Kind,
    namespace: String,
    /// The one object that was asked for by name.
    name: Option<String>,
    labels: Selector,
    revision: Revision,
    printer: Option<Printer>,
    shown: Shown,
    /// Whether the header was printed.
    headed: bool,
    /// How wide the columns have become.
    widths: Vec<usize>,
}

impl Watch {
    fn begin(cli: &mut Cli<'_>, found: Found, printer: Option<Printer>, revision: Revision) -> Result<Step, Failure> {
        let flags = cli.flags();
        let words = cli.arguments();
        let word = words.first().map_or("", String::as_str);
        let kinds = resource::kinds_of(cli.api, word.split('/').next().unwrap_or(word))?;
        let [kind] = kinds[..] else {
            return Err(Failure::message("you may only specify a single resource type"));
        };
        let (single, everywhere) = (found.single, flags.is("all-namespaces", false));
        let infos = found.all()?;
        let mut watch = Self {
            kind,
            namespace: if kind.info().namespaced && !everywhere { cli.namespace() } else { String::new() },
            name: infos.first().filter(|_| single).map(|info| info.name.clone()),
            labels: Selector::parse(flags.text("selector")).map_err(Failure::Message)?,
            revision,
            printer,
            shown: Shown::of(cli),
            headed: flags.is("no-headers", false),
            widths: Vec::new(),
        };
        if !flags.is("watch-only", false) && !infos.is_empty() {
            watch.show(cli, "ADDED", infos)?;
        }
        Ok(Step::Wait(Waiting::Watch(Box::new(watch))))
    }

    fn show(&mut self, cli: &mut Cli<'_>, event: &str, infos: Vec<Info>) -> Result<(), Failure> {
        let with_events = cli.flags().is("output-watch-events", false);
        if let Some(printer) = &mut self.printer {
            return infos.into_iter().try_for_each(|info| {
                let shown = if with_events { json!({ "type": event, "object": info.object }) } else { info.object };
                printer.print(cli, &shown)
            });
        }
        let headers = !std::mem::replace(&mut self.headed, true);
        let mut text = self.shown.rows(&infos, headers);
        if with_events {
            let first = |at: usize| if headers && at == 0 { "EVENT" } else { event };
            text = text.lines().enumerate().map(|(at, line)| format!("{}\t{line}\n", first(at))).collect();
        }
        let table = TabWriter::TABLE.format_after(&text, &mut self.widths);
        cli.out.push_str(&table);
        Ok(())
    }

    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        for change in cli.api.changes(self.kind, self.revision)? {
            self.revision = change.revision;
            let metadata = change.object.metadata();
            let labels = metadata.labels.clone().unwrap_or_default();
            let elsewhere = !self.namespace.is_empty() && metadata.namespace.as_deref() != Some(&self.namespace);
            let another = self.name.is_some() && metadata.name != self.name;
            if elsewhere || another || !self.labels.matches(&labels) {
                continue;
            }
            let list = List {
                kind: self.kind,
                items: vec![change.object.clone()],
                revision: change.revision,
                continue_token: String::new(),
                remaining: None,
            };
            let include = self.printer.is_none().then_some(IncludeObject::Metadata);
            let mut response = Response::List(list);
            if cli.sees_managed_fields() {
                cli.api.show_managed_fields(&mut response);
            }
            let infos = Info::of_response(cli, self.kind, &self.namespace.clone(), &response, include);
            self.show(cli, change.event, infos)?;
        }
        Ok(Step::Wait(Waiting::Watch(Box::new(self))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_ordered_by_size_or_by_their_letters() {
        let compare = |a: Value, b: Value| order(Some(&a), Some(&b));
        assert_eq!(compare("min-100pct".into(), "min-2".into()), Ordering::Less);
        assert_eq!(compare("2Gi".into(), "10Mi".into()), Ordering::Greater);
        assert_eq!(compare(2.into(), 10.into()), Ordering::Less);
        assert_eq!(order(None, Some(&"a".into())), Ordering::Less);
    }
}
