//! `kubectl label` and `kubectl annotate`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/label` and `pkg/cmd/annotate`.

use serde_json::{Map, Value, json};

use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step};
use super::failure::Failure;
use super::printer::Printer;
use crate::apiserver::Patch;
use crate::machinery::names;

/// Which of the two maps of an object's metadata is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Labels,
    Annotations,
}

impl Part {
    const fn field(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Annotations => "annotations",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Labels => "label",
            Self::Annotations => "annotation",
        }
    }
}

/// Runs `kubectl label`.
pub(super) fn label(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    change(cli, Part::Labels)
}

/// Runs `kubectl annotate`.
pub(super) fn annotate(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    change(cli, Part::Annotations)
}

/// Words parted into those that name objects and those that say what to change: `GetResourcesAndPairs`.
pub(super) fn words_and_pairs(
    words: &[String],
    with_removal: bool,
    what: &str,
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let is_pair = |word: &String| word.contains('=') && !word.starts_with('=') || with_removal && word.ends_with('-');
    let at = words.iter().position(is_pair).unwrap_or(words.len());
    let (resources, pairs) = words.split_at(at);
    if let Some(word) = pairs.iter().find(|word| !is_pair(word)) {
        return Err(Failure::Message(format!("all resources must be specified before {what} changes: {word}")));
    }
    Ok((resources.to_vec(), pairs.to_vec()))
}

/// What the command line asks for.
struct Request {
    part: Part,
    added: Vec<(String, String)>,
    removed: Vec<String>,
    overwrite: bool,
    listing: bool,
    /// Whether nothing is sent.
    is_local: bool,
    version: String,
}

fn change(cli: &mut Cli<'_>, part: Part) -> Result<Step, Failure> {
    let (words, pairs) = words_and_pairs(cli.arguments(), true, part.word())?;
    let (added, removed) = parse_pairs(&pairs, part)?;
    let flags = cli.flags();
    if flags.is("list", false) && flags.has("output") {
        return Err(Failure::message("--list and --output may not be specified together"));
    }
    let dry_run = cli.dry_run()?;
    let local = flags.is("local", false);
    check(cli, part, &words, added.is_empty() && removed.is_empty(), dry_run)?;
    let found = builder::find(cli, Query { latest: !local, local, ..Query::new(&words) })?;
    let request = Request {
        part,
        added,
        removed,
        overwrite: flags.is("overwrite", false),
        listing: flags.is("list", false),
        is_local: local || dry_run == DryRun::Client,
        version: flags.text("resource-version").to_owned(),
    };
    let single = found.single;
    if !single && !request.version.is_empty() {
        return Err(Failure::message("--resource-version may only be used with a single resource"));
    }
    // Upstream prints annotated objects one after another, and labelled ones each by itself.
    let mut row = (part == Part::Annotations).then(|| Printer::of(cli, "annotated")).transpose()?;
    found.each(cli, |cli, info| request.carry_out(cli, &info, single, row.as_mut()))?;
    Ok(Step::Done)
}

/// What does not go together: `Validate`.
fn check(cli: &Cli<'_>, part: Part, words: &[String], is_empty: bool, dry_run: DryRun) -> Result<(), Failure> {
    let flags = cli.flags();
    let has_files = flags.has("filename") || flags.has("kustomize");
    let all = flags.is("all", false);
    let local = flags.is("local", false);
    let wrong = if all && !flags.text("selector").is_empty() {
        "cannot set --all and --selector at the same time"
    } else if all && !flags.text("field-selector").is_empty() {
        "cannot set --all and --field-selector at the same time"
    } else if local && dry_run == DryRun::Server {
        "cannot specify --local and --dry-run=server - did you mean --dry-run=client?"
    } else if local && !words.is_empty() {
        "can only use local files by -f pod.yaml or --filename=pod.json when --local=true is set"
    } else if local && !has_files {
        "one or more files must be specified as -f rsrc.yaml or --filename=rsrc.json when --local=true is set"
    } else if words.is_empty() && !has_files {
        "one or more resources must be specified as <resource> <name> or <resource>/<name>"
    } else if is_empty && !flags.is("list", false) {
        return Err(Failure::Message(format!("at least one {} update is required", part.word())));
    } else {
        return Ok(());
    };
    Err(Failure::message(wrong))
}

impl Request {
    fn carry_out(
        &self,
        cli: &mut Cli<'_>,
        info: &Info,
        single: bool,
        row: Option<&mut Printer>,
    ) -> Result<(), Failure> {
        let part = self.part;
        let mut after = info.object.clone();
        let held = map_of(&mut after, part);
        if !self.overwrite {
            refuse_overwriting(held, &self.added)?;
        }
        for (key, value) in &self.added {
            held.insert(key.clone(), value.as_str().into());
        }
        for key in &self.removed {
            let is_told = part == Part::Labels && !self.is_local && !self.listing;
            if held.shift_remove(key).is_none() && is_told {
                let line = format!("label {key:?} not found.");
                cli.say(&line);
            }
        }
        if self.listing {
            return list(cli, info, &after, part, single);
        }
        let operation = match part {
            Part::Annotations => "annotated",
            Part::Labels if after["metadata"]["labels"] == before(info, part) => "not labeled",
            Part::Labels if self.added.is_empty() && !self.overwrite => "unlabeled",
            Part::Labels => "labeled",
        };
        if !self.is_local {
            let mut changes = Map::new();
            changes.extend(self.added.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))));
            changes.extend(self.removed.iter().map(|key| (key.clone(), Value::Null)));
            let mut metadata = json!({ part.field(): changes });
            if !self.version.is_empty() {
                metadata["resourceVersion"] = self.version.as_str().into();
            }
            let options = cli.write_options(if part == Part::Labels { "kubectl-label" } else { "kubectl-annotate" });
            after = cli.patch(info.target(), Patch::Merge(json!({ "metadata": metadata })), options)?;
        }
        match row {
            Some(printer) => printer.print(cli, &after),
            None => Printer::of(cli, operation)?.print(cli, &after),
        }
    }
}

fn before(info: &Info, part: Part) -> Value {
    match &info.object["metadata"][part.field()] {
        Value::Null => Value::Object(Map::new()),
        held => held.clone(),
    }
}

/// Labels or annotations of an object, to be changed.
fn map_of(object: &mut Value, part: Part) -> &mut Map<String, Value> {
    let held = &mut object["metadata"][part.field()];
    if !held.is_object() {
        *held = Value::Object(Map::new());
    }
    held.as_object_mut().expect("it was made an object just now")
}

fn list(cli: &mut Cli<'_>, info: &Info, object: &Value, part: Part, single: bool) -> Result<(), Failure> {
    if !single {
        let kind = info.kind.info();
        cli.say(&format!("Listing {} for {}.{}/{}:", part.field(), kind.kind, kind.group, info.name));
    }
    let indent = if single { "" } else { " " };
    let held = object["metadata"][part.field()].as_object();
    let mut lines: Vec<String> = held
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{indent}{key}={}", value.as_str().unwrap_or("")))
        .collect();
    lines.sort();
    lines.iter().for_each(|line| cli.say(line));
    Ok(())
}

fn refuse_overwriting(held: &Map<String, Value>, added: &[(String, String)]) -> Result<(), Failure> {
    let taken = added.iter().filter_map(|(key, value)| {
        let old = held.get(key)?.as_str()?;
        let why = format!("'{key}' already has a value ({old}), and --overwrite is false");
        (old != value).then_some(Failure::Message(why))
    });
    Failure::of(taken.collect())
}

/// What is set and what is taken away.
type Changes = (Vec<(String, String)>, Vec<String>);

fn parse_pairs(pairs: &[String], part: Part) -> Result<Changes, Failure> {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            // What is no pair ends with a dash, or it would be among the resources.
            removed.push(pair.strip_suffix('-').unwrap_or(pair).to_owned());
            continue;
        };
        if part == Part::Labels {
            if value.contains('=') {
                return Err(Failure::Message(format!("invalid label spec: {pair}")));
            }
            let errors = names::is_label_value(value);
            if !errors.is_empty() {
                return Err(Failure::Message(format!("invalid label value: {pair:?}: {}", errors.join(";"))));
            }
        }
        added.push((key.to_owned(), value.to_owned()));
    }
    let both: Vec<&str> =
        removed.iter().filter(|key| added.iter().any(|(name, _)| name == *key)).map(String::as_str).collect();
    if !both.is_empty() {
        return Err(Failure::Message(match part {
            Part::Labels => "can not both modify and remove a label in the same command".to_owned(),
            Part::Annotations => format!(
                "can not both modify and remove the following annotation(s) in the same command: {}",
                both.join(", ")
            ),
        }));
    }
    Ok((added, removed))
}
