//! `kubectl diff`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/diff/diff.go`, with `diff -u -N` built in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::apply::{self, LAST_APPLIED};
use super::builder::{self, Info, Query};
use super::cli::{Cli, Step};
use super::failure::Failure;
use super::prune;
use crate::apiserver::Patch;
use crate::machinery::diff::unified;
use crate::machinery::yaml;

/// What is shown instead of what is secret: the same on both sides, or two different values.
const MASKED: &str = "***";
const MASKED_BEFORE: &str = "*** (before)";
const MASKED_AFTER: &str = "*** (after)";

/// Runs `kubectl diff`: it ends with 0 without differences, with 1 with some, and with more when something is wrong.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    match differs(cli) {
        Ok(false) => Ok(Step::Done),
        Ok(true) => Err(Failure::Silent),
        Err(failure) => Err(Failure::Code(2, Box::new(failure))),
    }
}

fn differs(cli: &mut Cli<'_>) -> Result<bool, Failure> {
    if !cli.arguments().is_empty() {
        return Err(cli.usage(&format!("Unexpected args: [{}]", cli.arguments().join(" "))));
    }
    if !cli.flags().has("filename") && !cli.flags().has("kustomize") {
        return Err(Failure::message("must specify one of -f and -k"));
    }
    if cli.flags().is("force-conflicts", false) && !cli.flags().is("server-side", false) {
        return Err(Failure::message("--force-conflicts only works with --server-side"));
    }
    if cli.flags().is("prune", false) {
        prune::kinds(cli)?;
    }
    let found = builder::find(cli, Query { latest: false, ..Query::new(&[]) })?;
    let mut files: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut visited = prune::Visited::default();
    for info in found.infos {
        let info = info?;
        let live = match cli.get(info.kind, &info.namespace, &info.name) {
            Ok(live) => Some(live),
            Err(status) if status.is_not_found() => None,
            Err(status) => return Err(status.into()),
        };
        visited.add(&info.namespace, live.as_ref().unwrap_or(&Value::Null));
        let mut merged = merged(cli, &info, live.as_ref())?;
        let mut live = live.unwrap_or(Value::Null);
        if !cli.flags().is("show-managed-fields", false) {
            [&mut live, &mut merged].into_iter().for_each(omit_managed_fields);
        }
        if merged["kind"] == "Secret" && merged["apiVersion"] == "v1" {
            mask(&mut live, &mut merged);
        }
        let text = |value: &Value| if value.is_null() { String::new() } else { yaml::print(value) };
        files.insert(file_name(&info), (text(&live), text(&merged)));
    }
    if cli.flags().is("prune", false) {
        for (kind, namespace, mut live) in prune::forgotten(cli, &visited)? {
            omit_managed_fields(&mut live);
            let name = live["metadata"]["name"].as_str().unwrap_or("").to_owned();
            let gone = Info { kind, namespace, name, source: String::new(), object: Value::Null, row: None };
            files.insert(file_name(&gone), (yaml::print(&live), String::new()));
        }
    }
    let mut is_different = false;
    for (name, (old, new)) in files.into_iter().filter(|(_, (old, new))| old != new) {
        is_different = true;
        let text = hunks(cli, &name, &old, &new);
        cli.out.push_str(&text);
    }
    Ok(is_different)
}

fn omit_managed_fields(object: &mut Value) {
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
}

/// `apps.v1.Deployment.default.web`
fn file_name(info: &Info) -> String {
    let kind = info.kind.info();
    let group = if kind.group.is_empty() { String::new() } else { format!("{}.", kind.group) };
    format!("{group}{}.{}.{}.{}", kind.version, kind.kind, info.namespace, info.name)
}

/// The object as it would be if it was applied: `InfoObject.Merged`.
fn merged(cli: &mut Cli<'_>, info: &Info, live: Option<&Value>) -> Result<Value, Failure> {
    let flags = cli.flags();
    let mut options = cli.write_options("kubectl-client-side-apply");
    options.dry_run = true;
    if flags.is("server-side", false) {
        options.force = flags.is("force-conflicts", false);
        return Ok(cli.patch(info.target(), Patch::Apply(info.object.clone()), options)?);
    }
    let mut modified = info.object.clone();
    // What is remembered of the last time says what is to go, but is itself no difference.
    match modified.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        Some(annotations) => {
            annotations.shift_remove(LAST_APPLIED);
        }
        None => modified["metadata"]["annotations"] = Value::Object(Map::new()),
    }
    let Some(live) = live else {
        return Ok(cli.create(info.kind, &info.namespace, modified, options)?);
    };
    let changes = apply::three_way(info.kind, &modified, live)?;
    if changes.as_object().is_none_or(Map::is_empty) {
        return Ok(live.clone());
    }
    Ok(cli.patch(info.target(), Patch::Strategic(changes), options)?)
}

/// Hides the values of a Secret, so that it is seen that they differ: `Masker`.
fn mask(live: &mut Value, merged: &mut Value) {
    let data = |object: &Value| object["data"].as_object().cloned().unwrap_or_default();
    let (old, new) = (data(live), data(merged));
    let masked = |own: &Map<String, Value>, other: &Map<String, Value>, changed: &str| {
        let mask = |(key, value): (&String, &Value)| {
            let differs = other.get(key).is_some_and(|other| other != value);
            (key.clone(), Value::from(if differs { changed } else { MASKED }))
        };
        own.iter().map(mask).collect::<Map<_, _>>()
    };
    if !old.is_empty() {
        live["data"] = masked(&old, &new, MASKED_BEFORE).into();
    }
    if !new.is_empty() {
        merged["data"] = masked(&new, &old, MASKED_AFTER).into();
    }
}

/// The difference of two files in directories for temporary files, whose names come from the time.
fn hunks(cli: &Cli<'_>, name: &str, old: &str, new: &str) -> String {
    let now = cli.api.now();
    let number = |salt: u64| {
        let time = now.to_rfc3339_micro();
        time.bytes()
            .filter(u8::is_ascii_digit)
            .fold(salt, |sum, digit| sum.wrapping_mul(31).wrapping_add(u64::from(digit)))
            % 4_000_000_000
    };
    let (live, merged) = (format!("/tmp/LIVE-{}/{name}", number(7)), format!("/tmp/MERGED-{}/{name}", number(11)));
    let time = now.to_rfc3339_micro().replace('T', " ").replace('Z', "000 +0000");
    let changes = if old.is_empty() {
        let lines: Vec<String> = new.lines().map(|line| format!("+{line}\n")).collect();
        format!("@@ -0,0 +1,{} @@\n{}", lines.len(), lines.concat())
    } else {
        unified(old.trim_end_matches('\n'), new.trim_end_matches('\n'))
    };
    format!("diff -u -N {live} {merged}\n--- {live}\t{time}\n+++ {merged}\t{time}\n{changes}")
}
