//! `kubectl taint`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/taint`.

use serde_json::{Value, json};

use super::builder::{self, Query};
use super::cli::{Cli, DryRun, Step};
use super::failure::Failure;
use super::printer::Printer;
use super::resource;
use super::set::changes;
use crate::api::Kind;
use crate::apiserver::Patch;
use crate::machinery::names;

/// A taint of the command line; without an effect it stands for all of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Taint {
    key: String,
    value: String,
    effect: String,
}

impl Taint {
    fn matches(&self, taint: &Value) -> bool {
        taint["key"] == self.key.as_str() && (self.effect.is_empty() || taint["effect"] == self.effect.as_str())
    }

    fn to_value(&self) -> Value {
        let mut value = json!({ "effect": self.effect, "key": self.key });
        if !self.value.is_empty() {
            value["value"] = self.value.as_str().into();
        }
        value
    }

    /// As Go prints it: `key=value:Effect`.
    fn text(&self) -> String {
        match (self.value.is_empty(), self.effect.is_empty()) {
            (true, true) => self.key.clone(),
            (true, false) => format!("{}:{}", self.key, self.effect),
            (false, _) => format!("{}={}:{}", self.key, self.value, self.effect),
        }
    }
}

fn parse(text: &str) -> Result<Taint, String> {
    let invalid = || format!("invalid taint spec: {text}");
    let mut parts = text.split(':');
    let (pair, effect) = (parts.next().unwrap_or(""), parts.next());
    if parts.next().is_some() {
        return Err(invalid());
    }
    let effect = effect.unwrap_or("");
    let mut taint = Taint { key: pair.to_owned(), value: String::new(), effect: effect.to_owned() };
    if text.contains(':') {
        if !matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            return Err(format!("invalid taint effect: {effect}, unsupported taint effect"));
        }
        if let Some((key, value)) = pair.split_once('=') {
            let errors = names::is_label_value(value);
            if value.contains('=') {
                return Err(invalid());
            }
            if !errors.is_empty() {
                return Err(format!("{}, {}", invalid(), errors.join("; ")));
            }
            (taint.key, taint.value) = (key.to_owned(), value.to_owned());
        }
    }
    let errors = names::is_qualified_name(&taint.key);
    if errors.is_empty() { Ok(taint) } else { Err(format!("{}, {}", invalid(), errors.join("; "))) }
}

/// Taints to add, and taints to take away.
fn parse_all(words: &[String]) -> Result<(Vec<Taint>, Vec<Taint>), String> {
    let (mut added, mut removed): (Vec<Taint>, Vec<Taint>) = (Vec::new(), Vec::new());
    for word in words {
        if let Some(word) = word.strip_suffix('-') {
            removed.push(parse(word)?);
            continue;
        }
        let taint = parse(word)?;
        if taint.effect.is_empty() {
            return Err(format!("invalid taint spec: {word}"));
        }
        if added.iter().any(|known| known.key == taint.key && known.effect == taint.effect) {
            return Err(format!(
                "duplicated taints with the same key and effect: {{{} {} {} <nil>}}",
                taint.key, taint.value, taint.effect
            ));
        }
        added.push(taint);
    }
    Ok((added, removed))
}

/// Runs `kubectl taint`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let is_taint = |word: &String| word.contains(['=', ':']) || word.ends_with('-');
    let words = cli.arguments();
    let at = words.iter().position(is_taint).unwrap_or(words.len());
    let (resources, taints) = words.split_at(at);
    if let Some(word) = taints.iter().find(|word| !is_taint(word)) {
        return Err(Failure::Message(format!("all resources must be specified before taint changes: {word}")));
    }
    let Some(first) = resources.first() else {
        return Err(Failure::message("one or more resources must be specified as <resource> <name>"));
    };
    if taints.is_empty() {
        return Err(Failure::message("at least one taint update is required"));
    }
    let (added, removed) = parse_all(taints).map_err(|why| cli.usage(&why))?;
    let conflicts = added.iter().flat_map(|taint| removed.iter().filter(|gone| gone.matches(&taint.to_value())));
    let conflicts: Vec<String> = conflicts.map(|gone| format!("{}={}", gone.key, gone.effect)).collect();
    if !conflicts.is_empty() {
        return Err(Failure::Message(format!(
            "can not both modify and remove the following taint(s) in the same command: {}",
            conflicts.join(",")
        )));
    }
    if resource::kind_of(cli.api, first)? != Kind::Node {
        return Err(Failure::Message(format!("invalid resource type {first}, only node types are supported")));
    }
    let selects = cli.flags().is("all", false) || cli.flags().has("selector");
    if !selects && resources.len() < 2 {
        return Err(Failure::message("at least one resource name must be specified since 'all' parameter is not set"));
    }
    change(cli, resources, &added, &removed)
}

fn change(cli: &mut Cli<'_>, resources: &[String], added: &[Taint], removed: &[Taint]) -> Result<Step, Failure> {
    let overwrite = cli.flags().is("overwrite", false);
    let dry_run = cli.dry_run()?;
    let found = builder::find(cli, Query::new(resources))?;
    found.each(cli, |cli, info| {
        let old = info.object["spec"]["taints"].as_array().cloned().unwrap_or_default();
        if !overwrite {
            let taken = added.iter().filter(|taint| old.iter().any(|known| taint.matches(known)));
            let taken: Vec<&str> = taken.map(|taint| taint.key.as_str()).collect();
            if !taken.is_empty() {
                return Err(Failure::Message(format!(
                    "node {} already has {} taint(s) with same effect(s) and --overwrite is false",
                    info.name,
                    taken.join(",")
                )));
            }
        }
        let mut new: Vec<Value> = added.iter().map(Taint::to_value).collect();
        let kept = old.iter().filter(|known| !added.iter().any(|taint| taint.matches(known)));
        new.extend(kept.cloned());
        let grew = new.len() != old.len();
        let (mut shrank, mut failures) = (false, Vec::new());
        for taint in removed {
            let before = new.len();
            new.retain(|known| !taint.matches(known));
            shrank = new.len() != before;
            if !shrank {
                failures.push(Failure::Message(format!("taint {:?} not found", taint.text())));
            }
        }
        Failure::of(failures)?;
        let operation = match (grew, shrank) {
            (true, true) => "modified",
            _ if overwrite => "modified",
            (true, false) => "tainted",
            _ => "untainted",
        };
        let mut after = info.object.clone();
        after["spec"]["taints"] = new.into();
        if dry_run != DryRun::Client {
            let patch = changes(info.kind, &info.object, &after)?.unwrap_or_else(|| json!({}));
            let options = cli.write_options("kubectl-taint");
            after = cli.patch(info.target(), Patch::Strategic(patch), options)?;
        }
        Printer::without_dry_run(cli, operation)?.typed().print(cli, &after)
    })?;
    Ok(Step::Done)
}
