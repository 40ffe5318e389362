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

fn change(cli: &mut Cli<'_>, part: Part) -> Result<Step, Failure> {
    let (words, pairs) = words_and_pairs(cli.arguments(), true, part.word())?;
    if words.is_empty() && !cli.flags().has("filename") {
        return Err(Failure::message(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    let listing = cli.flags().is("list", false);
    if pairs.is_empty() && !listing {
        return Err(Failure::Message(format!("at least one {} update is required", part.word())));
    }
    let (added, removed) = parse_pairs(&pairs, part)?;
    let overwrite = cli.flags().is("overwrite", false);
    let dry_run = cli.dry_run()?;
    let found = builder::find(cli, Query { latest: true, ..Query::new(&words) })?;
    found.each(cli, |cli, info| {
        if listing {
            return list(cli, &info, part);
        }
        let mut after = info.object.clone();
        let held = map_of(&mut after, part);
        if !overwrite {
            refuse_overwriting(held, &added)?;
        }
        for (key, value) in &added {
            held.insert(key.clone(), value.as_str().into());
        }
        for key in &removed {
            if held.shift_remove(key).is_none() && part == Part::Labels {
                let line = format!("label {key:?} not found.");
                cli.say(&line);
            }
        }
        let operation = match part {
            Part::Annotations => "annotated",
            Part::Labels if after["metadata"]["labels"] == before(&info, part) => "not labeled",
            Part::Labels if added.is_empty() => "unlabeled",
            Part::Labels => "labeled",
        };
        let mut changes = Map::new();
        changes.extend(added.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))));
        changes.extend(removed.iter().map(|key| (key.clone(), Value::Null)));
        if dry_run != DryRun::Client {
            let patch = Patch::Merge(json!({ "metadata": { part.field(): changes } }));
            let options = cli.write_options(if part == Part::Labels { "kubectl-label" } else { "kubectl-annotate" });
            after = cli.patch(info.target(), patch, options)?;
        }
        Printer::of(cli, operation)?.print(cli, &after)
    })?;
    Ok(Step::Done)
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

fn list(cli: &mut Cli<'_>, info: &Info, part: Part) -> Result<(), Failure> {
    let mut object = info.object.clone();
    let held = map_of(&mut object, part).clone();
    let mut lines: Vec<String> =
        held.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or(""))).collect();
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
        match pair.split_once('=') {
            Some((key, value)) => {
                if part == Part::Labels {
                    let errors = names::is_label_value(value);
                    if !errors.is_empty() {
                        return Err(Failure::Message(format!("invalid label value: {pair:?}: {}", errors.join(";"))));
                    }
                }
                added.push((key.to_owned(), value.to_owned()));
            }
            None => match pair.strip_suffix('-') {
                Some(key) => removed.push(key.to_owned()),
                None => return Err(Failure::Message(format!("unknown {} spec: {pair}", part.word()))),
            },
        }
    }
    if added.iter().any(|(key, _)| removed.contains(key)) {
        return Err(Failure::Message(match part {
            Part::Labels => "can not both modify and remove a label in the same command".to_owned(),
            Part::Annotations => {
                "can not both modify and remove the following annotation(s) in the same command".to_owned()
            }
        }));
    }
    Ok((added, removed))
}
