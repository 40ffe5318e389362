//! `kubectl apply`: what was said last, what is said now and what is there become one.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/apply`: client-side, with the `last-applied-configuration` annotation; with
//! `--server-side` see [`super::server_side`].

use serde_json::{Map, Value};

use crate::api::{Kind, ObjectKey};
use crate::apiserver::{Body, FieldValidation, Patch, Request, Response, Target, User, Verb, WriteOptions};
use crate::etcd::{Cause, Why};
use crate::machinery::go_json;
use crate::machinery::order::Order as _;
use crate::machinery::patch::{self, changes_identity};
use crate::machinery::schema;
use crate::machinery::status::Status;

use super::api::Api;
use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step};
use super::failure::Failure;
use super::printer::Printer;
use super::{delete, prune, server_side};
use crate::machinery::yaml;

/// Where kubectl remembers what was applied: `v1.LastAppliedConfigAnnotation`.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was not there and was created.
    Created,
    /// It was there and was changed.
    Configured,
    /// It was there and already so.
    Unchanged,
}

impl Applied {
    /// kubectl's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// An object that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Result {
    /// Its kind.
    pub kind: Kind,
    /// Its key.
    pub key: ObjectKey,
    /// What became of it.
    pub applied: Applied,
    /// What the server wants the user to know besides.
    pub warnings: Vec<String>,
}

/// How a manifest is applied.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of objects that name none.
    pub namespace: String,
    /// Do everything but store.
    pub dry_run: bool,
}

/// Which kind a manifest is of.
///
/// # Errors
/// kubectl's own error when the cluster knows no such kind.
pub fn kind_of(api: &dyn Api, manifest: &Value) -> std::result::Result<Kind, Status> {
    let text = |field: &str| manifest[field].as_str().unwrap_or("").to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let custom = || {
        let is_meant = |known: &Kind| known.api_version() == api_version && known.info().kind == kind;
        api.custom_kinds().into_iter().find(is_meant)
    };
    Kind::from_manifest(&api_version, &kind).or_else(custom).ok_or_else(|| {
        Status::bad_request(format!(
            "resource mapping not found for name: {:?} namespace: {:?} from \"STDIN\": no matches for kind {kind:?} \
             in version {api_version:?}\nensure CRDs are installed first",
            manifest["metadata"]["name"].as_str().unwrap_or(""),
            manifest["metadata"]["namespace"].as_str().unwrap_or(""),
        ))
    })
}

/// Applies one manifest.
///
/// # Errors
/// The API server's refusal.
pub fn apply(api: &mut dyn Api, manifest: &Value, options: &Options) -> std::result::Result<Result, Status> {
    let kind = kind_of(api, manifest)?;
    let mut modified = manifest.clone();
    let namespace = if kind.info().namespaced {
        let namespace = manifest["metadata"]["namespace"].as_str().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or(&options.namespace).to_owned();
        modified["metadata"]["namespace"] = namespace.clone().into();
        namespace
    } else {
        String::new()
    };
    let name = manifest["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let key = ObjectKey::new(namespace.as_str(), name.as_str());
    let cause = Cause::new("kubectl", Why::new("You applied {} {}.", [kind.to_string(), name]));
    remember_applied(&mut modified);
    let write = WriteOptions {
        dry_run: options.dry_run,
        field_validation: FieldValidation::Strict,
        field_manager: Some("kubectl-client-side-apply".into()),
        force: false,
    };
    let send = |api: &mut dyn Api, target: Target, verb: Verb| {
        api.request(Request { user: User::admin(), cause: cause.clone(), target, verb })
    };
    let current = match send(api, Target::object(kind, &key), Verb::Get) {
        Ok(answer) => answer.response.to_value(),
        Err(status) if status.is_not_found() => {
            let target = Target::collection(kind, namespace);
            let answer = send(api, target, Verb::Create { body: Body::Json(modified), options: write })?;
            return Ok(Result { kind, key, applied: Applied::Created, warnings: answer.warnings });
        }
        Err(status) => return Err(status),
    };
    let changes = three_way(kind, &modified, &current)?;
    let mut warnings = Vec::new();
    if current["metadata"]["annotations"][LAST_APPLIED].is_null() {
        warnings.push(missing_annotation(kind, &key));
    }
    if changes.as_object().is_none_or(Map::is_empty) {
        return Ok(Result { kind, key, applied: Applied::Unchanged, warnings });
    }
    let verb = Verb::Patch { patch: as_patch(kind, changes), options: write };
    let answer = send(api, Target::object(kind, &key), verb)?;
    warnings.extend(answer.warnings);
    let after = match &answer.response {
        Response::Object(object) => object.metadata().resource_version.clone(),
        _ => None,
    };
    let same = after.as_deref() == current["metadata"]["resourceVersion"].as_str() && !options.dry_run;
    Ok(Result { kind, key, applied: if same { Applied::Unchanged } else { Applied::Configured }, warnings })
}

fn missing_annotation(kind: Kind, key: &ObjectKey) -> String {
    format!(
        "resource {}/{} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. kubectl apply \
         should only be used on resources created declaratively by either kubectl create --save-config or kubectl \
         apply. The missing annotation will be patched automatically.",
        kind.info().plural,
        key.name
    )
}

/// Writes what is applied into the annotation that remembers it: `util.GetModifiedConfiguration`.
pub(super) fn remember_applied(modified: &mut Value) {
    if let Some(annotations) = modified["metadata"]["annotations"].as_object_mut() {
        annotations.shift_remove(LAST_APPLIED);
    } else {
        modified["metadata"]["annotations"] = Value::Object(Map::new());
    }
    modified["metadata"]["annotations"][LAST_APPLIED] = applied_text(modified).into();
}

/// What the annotation holds of a manifest.
pub(super) fn applied_text(manifest: &Value) -> String {
    let mut text = sorted(manifest).to_string();
    text.push('\n');
    text
}

/// The value with the keys of all maps in order, as Go prints JSON.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.order();
            keys.into_iter().map(|key| (key.clone(), sorted(&map[key]))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The patch as the kind takes it: how lists of custom resources are merged, nobody knows.
fn as_patch(kind: Kind, changes: Value) -> Patch {
    if kind.custom().is_some() { Patch::Merge(changes) } else { Patch::Strategic(changes) }
}

/// The patch that brings `current` to `modified`, given what `current` remembers of the last time.
pub(super) fn three_way(kind: Kind, modified: &Value, current: &Value) -> std::result::Result<Value, Status> {
    let original = current["metadata"]["annotations"][LAST_APPLIED].as_str();
    let original: Option<Value> = original.and_then(|text| serde_json::from_str(text).ok());
    let empty = Map::new();
    let object = |value: &'_ Value| value.as_object().cloned().unwrap_or_default();
    let original = original.as_ref().map(object);
    if kind.custom().is_some() {
        let original = original.as_ref().unwrap_or(&empty);
        return Ok(patch::merge::create_three_way(original, &object(modified), &object(current)));
    }
    let schema = schema::lookup(&kind.api_version(), kind.info().kind)
        .ok_or_else(|| Status::internal("the kind has no schema"))?;
    let changes = patch::diff::create_three_way(
        original.as_ref().unwrap_or(&empty),
        &object(modified),
        &object(current),
        schema,
    )?;
    debug_assert!(!changes_identity(&changes), "apply keeps an object's identity: {changes}");
    Ok(changes)
}

/// Runs `kubectl apply`.
pub(super) fn run(cli: &mut Cli<'_>) -> std::result::Result<Step, Failure> {
    if !cli.flags().has("filename") && !cli.flags().has("kustomize") {
        return Err(Failure::message("must specify one of -f and -k"));
    }
    if !cli.arguments().is_empty() {
        return Err(cli.usage(&format!("Unexpected args: [{}]", cli.arguments().join(" "))));
    }
    delete::propagation(cli)?;
    let validation = cli.validation()?;
    let dry_run = cli.dry_run()?;
    let on_server = cli.flags().is("server-side", false);
    server_side::check_flags(cli, dry_run)?;
    prune::check_flags(cli)?;
    let query = Query { latest: false, validate: true, ..Query::new(&[]) };
    let found = builder::find(cli, query)?;
    if found.infos.is_empty() {
        return Err(Failure::message("no objects passed to apply"));
    }
    let mut applied = Vec::new();
    let mut visited = prune::Visited::default();
    let result = found.each(cli, |cli, info| {
        let namespace = info.namespace.clone();
        let (operation, object) = if on_server {
            server_side::apply(cli, info, validation)?
        } else {
            apply_info(cli, info, validation, dry_run)?
        };
        visited.add(&namespace, &object);
        if prints_objects(cli) {
            applied.push(object);
            return Ok(());
        }
        Printer::of(cli, operation)?.print(cli, &object)
    });
    if !applied.is_empty() {
        let object = match applied.len() {
            1 => applied.remove(0),
            _ => serde_json::json!({ "apiVersion": "v1", "items": applied, "kind": "List", "metadata": {} }),
        };
        let printer = Printer::of(cli, "")?;
        // A list is a type of its own, which holds what the server sent.
        let mut printer = if object["kind"] == "List" { printer.typed() } else { printer };
        printer.print(cli, &object)?;
    }
    result?;
    if cli.flags().is("prune", false) {
        prune::run(cli, &visited)?;
    }
    Ok(Step::Done)
}

/// Whether the objects themselves are printed, all together at the end: `shouldPrintObject`.
fn prints_objects(cli: &Cli<'_>) -> bool {
    !matches!(cli.flags().text("output"), "" | "name")
}

/// Applies one object of a file; what became of it, and the object.
fn apply_info(
    cli: &mut Cli<'_>,
    mut info: Info,
    validation: FieldValidation,
    dry_run: DryRun,
) -> std::result::Result<(&'static str, Value), Failure> {
    remember_applied(&mut info.object);
    let mut options = cli.write_options("kubectl-client-side-apply");
    options.field_validation = validation;
    let current = match cli.get(info.kind, &info.namespace, &info.name) {
        Ok(current) => current,
        Err(status) if status.is_not_found() => {
            let mut created = info.object;
            if dry_run != DryRun::Client {
                created = cli
                    .create(info.kind, &info.namespace, created, options)
                    .map_err(|status| Failure::FromSource(status, "creating", info.source.clone()))?;
            }
            return Ok(("created", created));
        }
        Err(status) => {
            let message = format!("retrieving current configuration of:\n{}\nfrom server for", info.printed());
            return Err(Failure::Message(format!("{message}: {:?}: {}", info.source, status.message())));
        }
    };
    if current["metadata"]["annotations"][LAST_APPLIED].is_null() {
        let key = ObjectKey::new(info.namespace.as_str(), info.name.as_str());
        cli.complain(&format!("Warning: {}", missing_annotation(info.kind, &key)));
    }
    let changes = three_way(info.kind, &info.object, &current)?;
    if changes.as_object().is_none_or(Map::is_empty) {
        return Ok(("unchanged", current));
    }
    let mut after = current.clone();
    if dry_run == DryRun::Client && info.kind.custom().is_some() {
        after = patch::merge::apply(after, changes).map_err(|error| Failure::message(error.message()))?;
    } else if dry_run == DryRun::Client {
        let schema = schema::lookup(&info.kind.api_version(), info.kind.info().kind)
            .ok_or_else(|| Failure::message("the kind has no schema"))?;
        after = patch::strategic::apply(after, changes, schema).map_err(|error| Failure::message(error.message()))?;
    } else {
        after = cli
            .patch(info.target(), as_patch(info.kind, changes.clone()), options)
            .map_err(|status| patch_failure(&info, &changes, &status))?;
    }
    Ok((if after == current { "unchanged" } else { "configured" }, after))
}

/// A refusal of a patch, with the patch and what it was meant for.
fn patch_failure(info: &Info, changes: &Value, status: &Status) -> Failure {
    let (source, kind) = (&info.source, info.kind.info());
    let message = format!(
        "error when applying patch:\n{}\nto:\nResource: \"{}/{version}, Resource={}\", GroupVersionKind: \
         \"{}/{version}, Kind={}\"\nName: {:?}, Namespace: {:?}\nfor: {source:?}: error when patching {source:?}: {}",
        go_json::marshal(changes),
        kind.group,
        kind.plural,
        kind.group,
        kind.kind,
        info.name,
        info.namespace,
        status.message(),
        version = kind.version,
    );
    Failure::Status(Status::with_details(status.reason(), message, status.details().clone()))
}

/// Runs `kubectl apply view-last-applied`.
pub(super) fn view_last_applied(cli: &mut Cli<'_>) -> std::result::Result<Step, Failure> {
    let output = cli.flags().text("output").to_owned();
    if !matches!(output.as_str(), "" | "yaml" | "json") {
        return Err(
            cli.usage(&format!("Unexpected -o output mode: {output}, the flag 'output' must be one of yaml|json"))
        );
    }
    let found = builder::find(cli, Query::new(cli.arguments()))?;
    found.each(cli, |cli, info| {
        let Some(text) = info.object["metadata"]["annotations"][LAST_APPLIED].as_str() else {
            if info.source.is_empty() {
                return Ok(());
            }
            // Upstream puts an error here that is none.
            return Err(Failure::Message(format!(
                "error when no last-applied-configuration annotation found on resource: {}\n {:?}: <nil>",
                info.name, info.source
            )));
        };
        let value: Value = serde_json::from_str(text).map_err(|error| Failure::Message(error.to_string()))?;
        if output == "json" {
            cli.say(&crate::machinery::go_json::marshal_indent(&value, "  "));
        } else {
            cli.out.push_str(&yaml::print(&value));
        }
        Ok(())
    })?;
    Ok(Step::Done)
}

/// Runs `kubectl apply set-last-applied`.
pub(super) fn set_last_applied(cli: &mut Cli<'_>) -> std::result::Result<Step, Failure> {
    let mut printer = Printer::of(cli, "configured")?;
    let dry_run = cli.dry_run()?;
    let mut found = Vec::new();
    for info in builder::find(cli, Query { latest: false, ..Query::new(&[]) })?.all()? {
        let current = cli.get(info.kind, &info.namespace, &info.name)?;
        let is_new = current["metadata"]["annotations"][LAST_APPLIED].is_null();
        if is_new && !cli.flags().is("create-annotation", false) {
            return Err(Failure::Message(format!(
                "no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command \
                 with --create-annotation",
                info.name
            )));
        }
        found.push((info, current));
    }
    for (info, mut current) in found {
        let text = applied_text(&info.object);
        let held = current["metadata"]["annotations"][LAST_APPLIED].as_str();
        if held != Some(&text) && dry_run != DryRun::Client {
            let patch = serde_json::json!({ "metadata": { "annotations": { LAST_APPLIED: text } } });
            let options = cli.write_options("kubectl");
            current = cli.patch(info.target(), Patch::Merge(patch), options)?;
        }
        printer.print(cli, &current)?;
    }
    Ok(Step::Done)
}
