//! `kubectl edit`: objects in an editor, and what was changed there becomes a patch.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/util/editor`. The editor is a program of the shell that kubectl was called from:
//! `$KUBE_EDITOR`, `$EDITOR` or `vi`. `kubectl apply edit-last-applied` is the same with what was applied last.

use serde_json::Value;

use super::apply::{self, LAST_APPLIED};
use super::builder::{self, Info, Query};
use super::cli::{Cli, Step, Waiting};
use super::failure::Failure;
use super::printer::Printer;
use super::set;
use crate::api::Kind;
use crate::apiserver::{Patch, Target};
use crate::machinery::status::Reason;
use crate::machinery::{go_json, yaml};

const HEADER: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will \
                      abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant \
                      failures.\n#\n";

/// What is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The objects themselves.
    Objects,
    /// What was applied last: the annotation that holds it.
    Applied,
    /// Manifests, which are created as they are saved.
    Manifests,
}

/// An editor that is open, or is to be opened.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    mode: Mode,
    /// The objects as the server has them.
    infos: Vec<Info>,
    /// The file, and what stood in it when it was opened.
    file: String,
    shown: String,
    /// What was wrong when it was saved last.
    complaints: Vec<String>,
    /// What was saved last, if it was refused.
    refused: Option<String>,
    is_open: bool,
}

/// Runs `kubectl edit`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    begin(cli, Mode::Objects)
}

/// Runs `kubectl apply edit-last-applied`.
pub(super) fn last_applied(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    begin(cli, Mode::Applied)
}

/// Runs `kubectl create --edit`.
pub(super) fn before_create(cli: &mut Cli<'_>, infos: Vec<Info>) -> Result<Step, Failure> {
    open_file(cli, Mode::Manifests, infos)
}

fn begin(cli: &mut Cli<'_>, mode: Mode) -> Result<Step, Failure> {
    if !matches!(cli.flags().text("output"), "" | "yaml" | "json") {
        return Err(Failure::message("The flag 'output' must be one of yaml|json"));
    }
    let subresource = cli.subresource()?;
    let infos =
        builder::find(cli, Query { subresource, kind_means_all: true, ..Query::new(cli.arguments()) })?.all()?;
    if infos.is_empty() {
        cli.complain("Edit cancelled, no objects found");
        return Ok(Step::Done);
    }
    if let Some(info) = infos.iter().find(|info| mode == Mode::Applied && applied(info).is_none()) {
        return Err(Failure::Message(format!(
            "no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command \
             with --create-annotation",
            info.name
        )));
    }
    open_file(cli, mode, infos)
}

fn open_file(cli: &mut Cli<'_>, mode: Mode, infos: Vec<Info>) -> Result<Step, Failure> {
    let extension = if cli.flags().text("output") == "json" { "json" } else { "yaml" };
    let suffix = super::debug::suffix(cli, &infos[0].name);
    let file = format!("kubectl-edit-{suffix}.{extension}");
    let edit = Edit { mode, infos, file, shown: String::new(), complaints: Vec::new(), refused: None, is_open: false };
    edit.poll(cli)
}

/// What was applied last of an object.
fn applied(info: &Info) -> Option<Value> {
    serde_json::from_str(info.object["metadata"]["annotations"][LAST_APPLIED].as_str()?).ok()
}

impl Edit {
    /// Opens the editor, or takes in what was saved there.
    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        if !std::mem::replace(&mut self.is_open, true) {
            return self.open(cli);
        }
        let status = cli.status.take().unwrap_or(0);
        if status != 0 {
            self.put_away(cli);
            return Err(Failure::Message(format!(
                "there was a problem with the editor {:?}: exit status {status}",
                cli.config.editor
            )));
        }
        let saved = cli.files.read(&self.file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let saved = saved.unwrap_or_else(|_| self.shown.clone());
        let plain = without_comments(&saved);
        if plain == without_comments(&self.shown) && self.mode != Mode::Manifests {
            return self.cancelled(cli, "Edit cancelled, no changes made.");
        }
        if plain.trim().is_empty() {
            return self.cancelled(cli, "Edit cancelled, saved file was empty.");
        }
        match self.take(cli, &plain) {
            Ok(()) => {
                self.put_away(cli);
                Ok(Step::Done)
            }
            Err(complaints) => {
                self.complaints = complaints;
                self.refused = Some(plain);
                self.is_open = true;
                self.open(cli)
            }
        }
    }

    /// Ends without a change; when something was refused before, that is kept.
    fn cancelled(&self, cli: &mut Cli<'_>, why: &str) -> Result<Step, Failure> {
        if self.refused.is_none() {
            self.put_away(cli);
            cli.complain(why);
            return Ok(Step::Done);
        }
        cli.complain(&format!("A copy of your changes has been stored to {:?}", self.file));
        Err(Failure::message("Edit cancelled, no valid changes were saved."))
    }

    fn put_away(&self, cli: &mut Cli<'_>) {
        cli.files.remove(&self.file);
    }

    /// Writes the file, and lets the editor show it.
    fn open(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        let mut text = HEADER.to_owned();
        for complaint in &self.complaints {
            for line in complaint.lines() {
                text.push_str(&format!("# {line}\n"));
            }
            text.push_str("#\n");
        }
        let is_json = self.file.ends_with("json");
        let body = match &self.refused {
            Some(refused) => refused.clone(),
            None => printed(&self.objects(cli), is_json),
        };
        text.push_str(&body);
        cli.files
            .write(&self.file, text.as_bytes())
            .map_err(|why| Failure::Message(format!("unable to launch the editor {:?}: {why}", cli.config.editor)))?;
        self.shown = text;
        cli.run = Some(vec!["sh".to_owned(), "-c".to_owned(), format!("{} {}", cli.config.editor, self.file)]);
        Ok(Step::Wait(Waiting::Edit(Box::new(self))))
    }

    /// What is shown of the objects.
    fn objects(&self, cli: &Cli<'_>) -> Vec<Value> {
        let shows_owners = cli.flags().is("show-managed-fields", false);
        let shown = self.infos.iter().map(|info| {
            if self.mode == Mode::Applied {
                return applied(info).unwrap_or(Value::Null);
            }
            let mut object = info.object.clone();
            if let Some(metadata) = object["metadata"].as_object_mut().filter(|_| !shows_owners) {
                metadata.shift_remove("managedFields");
            }
            object
        });
        shown.collect()
    }

    /// Brings to the server what was saved; what is wrong with it, if it is refused.
    fn take(&self, cli: &mut Cli<'_>, text: &str) -> Result<(), Vec<String>> {
        let syntax = |why: &str| vec![format!("The edited file had a syntax error: {why}")];
        let document = yaml::read_one(text).map_err(|error| syntax(&error.message))?;
        let edited = match document.value["items"].as_array().filter(|_| document.value["kind"] == "List") {
            Some(items) => items.clone(),
            None => vec![document.value],
        };
        let mut complaints = Vec::new();
        for object in &edited {
            let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
            let (name, namespace) = (text(&object["metadata"]["name"]), text(&object["metadata"]["namespace"]));
            let is_it = |info: &&Info| {
                info.name == name
                    && info.object["kind"] == object["kind"]
                    && (namespace.is_empty() || info.namespace == namespace)
            };
            let Some(info) = self.infos.iter().find(is_it) else {
                complaints.extend(syntax("At least one of apiVersion, kind and name was changed"));
                continue;
            };
            if let Err(failure) = self.change(cli, info, object) {
                complaints.push(told(info, &failure));
                cli.complain(
                    &told(info, &failure).lines().next().map_or_else(String::new, |line| format!("error: {line}")),
                );
            }
        }
        if complaints.is_empty() { Ok(()) } else { Err(complaints) }
    }

    fn change(&self, cli: &mut Cli<'_>, info: &Info, edited: &Value) -> Result<(), Failure> {
        let manager = if self.mode == Mode::Manifests { "kubectl-create" } else { "kubectl-edit" };
        let mut options = cli.write_options(manager);
        options.field_validation = cli.validation()?;
        if self.mode == Mode::Manifests {
            let created = cli.create(info.kind, &info.namespace, edited.clone(), options)?;
            return Printer::named("created").print(cli, &created);
        }
        if self.mode == Mode::Applied {
            let patch =
                serde_json::json!({ "metadata": { "annotations": { LAST_APPLIED: apply::applied_text(edited) } } });
            let after = cli.patch(info.target(), Patch::Merge(patch), options)?;
            return Printer::named("edited").print(cli, &after);
        }
        let before = self.objects(cli).into_iter().zip(&self.infos);
        let before = before.into_iter().find(|(_, known)| *known == info).map_or(Value::Null, |(object, _)| object);
        if before == *edited {
            return Printer::named("skipped").print(cli, &info.object);
        }
        let patch = difference(info.kind, &before, edited)?;
        if cli.flags().is("output-patch", false) {
            let text = match &patch {
                Patch::Merge(patch) | Patch::Strategic(patch) => go_json::marshal(patch),
                Patch::Json(_) | Patch::Apply(_) => String::new(),
            };
            cli.say(&format!("Patch: {text}"));
        }
        let target = Target { subresource: cli.subresource()?, ..info.target() };
        let after = cli.patch(target, patch, options)?;
        Printer::named("edited").print(cli, &after)
    }
}

/// The patch between two states of an object, as its kind takes it.
fn difference(kind: Kind, before: &Value, after: &Value) -> Result<Patch, Failure> {
    if kind.custom().is_some() {
        let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let before = fields(before);
        return Ok(Patch::Merge(crate::machinery::patch::merge::create_three_way(&before, &fields(after), &before)));
    }
    Ok(Patch::Strategic(set::changes(kind, before, after)?.unwrap_or_else(|| Value::Object(serde_json::Map::new()))))
}

fn printed(objects: &[Value], is_json: bool) -> String {
    let value = match objects {
        [object] => object.clone(),
        objects => serde_json::json!({ "apiVersion": "v1", "items": objects, "kind": "List", "metadata": {} }),
    };
    if is_json { format!("{}\n", go_json::marshal_indent(&value, "    ")) } else { yaml::print(&value) }
}

/// How the file tells what was wrong with an object.
fn told(info: &Info, failure: &Failure) -> String {
    let name = super::resource::quoted(info.kind, &info.name);
    let Failure::Status(status) = failure else { return format!("{name} could not be patched: {}", failure.bare()) };
    if status.reason() != Reason::Invalid {
        return format!("{name} could not be patched: {}", status.message());
    }
    let mut text = format!("{name} was not valid:");
    for cause in &status.details().causes {
        text.push_str(&format!("\n* {}: {}", cause.field, cause.message));
    }
    text
}

/// The lines that are no comments.
fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}
