//! Which objects a command line means.
//!
//! Follows `Builder` of `k8s.io/cli-runtime/pkg/resource`: files, `TYPE NAME…`, `TYPE/NAME …`, selectors, `--all`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::api::Api;
use super::cli::Cli;
use super::failure::Failure;
use super::{manifest, resource};
use crate::api::table::IncludeObject;
use crate::api::{Kind, ObjectKey, Subresource};
use crate::apiserver::{ListOptions, Response, Target, Verb};
use crate::machinery::labels::Selector;

/// An object that a command is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Info {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The file it came from; empty when it came from the server.
    pub source: String,
    /// The manifest, or what the server answered; nothing when it was not asked.
    pub object: Value,
    /// Its row, when a table was asked for.
    pub row: Option<Row>,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// The columns' definitions, which all rows of one answer share.
    pub columns: Arc<Value>,
    /// The cells.
    pub cells: Vec<Value>,
}

impl Info {
    /// `deployment.apps/web`.
    pub(super) fn printed(&self) -> String {
        format!("{}/{}", resource::printed(self.kind), self.name)
    }

    /// Its key.
    pub(super) fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.as_str(), self.name.as_str())
    }

    /// Its address.
    pub(super) fn target(&self) -> Target {
        Target::object(self.kind, &ObjectKey::new(self.namespace.as_str(), self.name.as_str()))
    }

    fn of(kind: Kind, namespace: &str, object: Value) -> Self {
        let metadata = |field: &str| object["metadata"][field].as_str().unwrap_or("").to_owned();
        let namespace = if kind.info().namespaced && metadata("namespace").is_empty() {
            namespace.to_owned()
        } else {
            metadata("namespace")
        };
        Self { kind, namespace, name: metadata("name"), source: String::new(), object, row: None }
    }

    /// The objects of an answer, with their rows when `table` asks for them.
    pub(super) fn of_response(
        cli: &Cli<'_>,
        kind: Kind,
        namespace: &str,
        response: &Response,
        table: Option<IncludeObject>,
    ) -> Vec<Self> {
        let table = table.and_then(|include| response.to_table(include, cli.api.now()));
        let Some(mut table) = table else {
            let answer = response.wire();
            return match answer["items"].as_array() {
                Some(items) => items.iter().map(|item| Self::of(kind, namespace, item.clone())).collect(),
                None => vec![Self::of(kind, namespace, answer)],
            };
        };
        let columns = Arc::new(table["columnDefinitions"].take());
        let rows = table["rows"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let info = |mut row: Value| {
            let cells = row["cells"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let row_of = Some(Row { columns: columns.clone(), cells });
            Self { row: row_of, ..Self::of(kind, namespace, row["object"].take()) }
        };
        rows.into_iter().map(info).collect()
    }
}

/// How the words of a command line are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    /// The words that name objects.
    pub words: &'a [String],
    /// Whether `--selector` selects objects, rather than meaning something else.
    pub selects: bool,
    /// Whether a kind alone means all its objects.
    pub kind_means_all: bool,
    /// Whether what is named is fetched: `RequireObject`.
    pub fetch: bool,
    /// Whether what comes from files is fetched too: `Latest`.
    pub latest: bool,
    /// Whether to go on after an error.
    pub go_on: bool,
    /// Whether files are validated as `--validate` asks.
    pub validate: bool,
    /// Whether objects from files stay as they are written there, also without a namespace: `Local`.
    pub local: bool,
    /// Whether tables are asked for, and what their rows hold of the objects.
    pub table: Option<IncludeObject>,
    /// What below the objects is meant.
    pub subresource: Option<Subresource>,
}

impl<'a> Query<'a> {
    /// Objects by name, which must be there.
    pub(super) const fn new(words: &'a [String]) -> Self {
        Self {
            words,
            selects: true,
            kind_means_all: false,
            fetch: true,
            latest: true,
            go_on: true,
            validate: false,
            local: false,
            table: None,
            subresource: None,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The objects, with errors in their places.
    pub infos: Vec<Result<Info, Failure>>,
    /// Whether one object was asked for by its name, so that no list is printed: `IsSingleItemImplied`.
    pub single: bool,
}

impl Found {
    /// The objects, or the errors if there are any.
    pub(super) fn all(self) -> Result<Vec<Info>, Failure> {
        let (mut infos, mut failures) = (Vec::new(), Vec::new());
        for info in self.infos {
            match info {
                Ok(info) => infos.push(info),
                Err(failure) => failures.push(failure),
            }
        }
        Failure::of(failures).map(|()| infos)
    }

    /// Runs `work` on each object, and goes on after errors.
    pub(super) fn each(
        self,
        cli: &mut Cli<'_>,
        mut work: impl FnMut(&mut Cli<'_>, Info) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut failures = Vec::new();
        for info in self.infos {
            failures.extend(info.and_then(|info| work(cli, info)).err());
        }
        Failure::of(failures)
    }
}

const COMBINED: &str = "there is no need to specify a resource type as a separate argument when passing arguments in \
                        resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource \
                        resource/<resource_name>'";
pub(super) const MISSING: &str = "You must provide one or more resources by argument or filename.\nExample resource specifications \
                       include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";

/// What was named: kinds, and the names of one of them, or kinds with names.
enum Named {
    Kinds(Vec<Kind>, Vec<String>),
    Pairs(Vec<(Kind, String)>),
}

fn names(api: &dyn Api, words: &[String]) -> Result<Option<Named>, Failure> {
    if words.iter().any(|word| word.contains('/')) {
        return pairs(api, words).map(|pairs| Some(Named::Pairs(pairs)));
    }
    match words {
        [] => Ok(None),
        [kinds, names @ ..] => {
            let kinds = resource::kinds_of(api, kinds)?;
            Ok(Some(Named::Kinds(kinds, names.to_vec())))
        }
    }
}

fn pairs(api: &dyn Api, words: &[String]) -> Result<Vec<(Kind, String)>, Failure> {
    let mut pairs = Vec::new();
    for word in words {
        let parts: Vec<&str> = word.split('/').collect();
        match parts.as_slice() {
            [_] => return Err(Failure::message(COMBINED)),
            [kind, name] if kind.is_empty() || name.is_empty() || kind.contains(',') => {
                return Err(Failure::message("arguments in resource/name form must have a single resource and name"));
            }
            [kind, name] => pairs.push((resource::kind_of(api, kind)?, (*name).to_owned())),
            _ => {
                return Err(Failure::message("arguments in resource/name form may not have more than one slash"));
            }
        }
    }
    Ok(pairs)
}

/// Finds the objects that the command line means.
pub(super) fn find(cli: &mut Cli<'_>, query: Query<'_>) -> Result<Found, Failure> {
    let flags = cli.flags();
    let labels = if query.selects { flags.text("selector").to_owned() } else { String::new() };
    let fields = flags.text("field-selector").to_owned();
    let (all, everywhere) = (flags.is("all", false), flags.is("all-namespaces", false));
    let selects = !labels.is_empty() || !fields.is_empty();
    if flags.has("filename") || flags.has("kustomize") {
        if !query.words.is_empty() {
            return Err(Failure::message(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
            ));
        }
        return from_files(cli, query);
    }
    if all && !labels.is_empty() {
        return Err(Failure::message("setting 'all' parameter but found a non empty selector. "));
    }
    let kinds = match names(cli.api, query.words)? {
        None => return Err(Failure::message(MISSING)),
        Some(Named::Pairs(_)) if selects || all => {
            return Err(Failure::message("name cannot be provided when a selector is specified"));
        }
        Some(Named::Kinds(_, names)) if !names.is_empty() && (selects || all) => {
            return Err(Failure::message("name cannot be provided when a selector is specified"));
        }
        Some(Named::Pairs(pairs)) => return by_name(cli, &pairs, query),
        Some(Named::Kinds(kinds, names)) if !names.is_empty() => {
            let named = |kind: Kind| names.iter().map(move |name| (kind, name.clone()));
            let pairs: Vec<(Kind, String)> = kinds.into_iter().flat_map(named).collect();
            return by_name(cli, &pairs, query);
        }
        Some(Named::Kinds(kinds, _)) => kinds,
    };
    if !selects && !all && !query.kind_means_all && !everywhere {
        return Err(Failure::message("resource(s) were provided, but no name was specified"));
    }
    let mut found = Found::default();
    for kind in kinds {
        list_kind(cli, kind, (&labels, &fields), everywhere, query, &mut found);
    }
    Ok(found)
}

fn list_kind(
    cli: &mut Cli<'_>,
    kind: Kind,
    (labels, fields): (&str, &str),
    everywhere: bool,
    query: Query<'_>,
    found: &mut Found,
) {
    let namespace = if kind.info().namespaced && !everywhere { cli.namespace() } else { String::new() };
    let options =
        ListOptions { label_selector: labels.to_owned(), field_selector: fields.to_owned(), ..ListOptions::default() };
    match cli.list(kind, &namespace, options) {
        Ok(response) => {
            let infos = Info::of_response(cli, kind, &namespace, &response, query.table);
            found.infos.extend(infos.into_iter().map(Ok));
        }
        Err(status) => found.infos.push(Err(status.into())),
    }
}

fn fetch(cli: &mut Cli<'_>, kind: Kind, namespace: &str, name: &str, query: Query<'_>) -> Result<Info, Failure> {
    let target = Target { subresource: query.subresource, ..Target::object(kind, &ObjectKey::new(namespace, name)) };
    let response = cli.send(target, Verb::Get)?;
    let info = Info::of_response(cli, kind, namespace, &response, query.table).pop();
    info.ok_or_else(|| Failure::message("the server answered without an object"))
}

fn by_name(cli: &mut Cli<'_>, pairs: &[(Kind, String)], query: Query<'_>) -> Result<Found, Failure> {
    if cli.flags().is("all-namespaces", false) && pairs.iter().any(|(kind, _)| kind.info().namespaced) {
        return Err(Failure::message("a resource cannot be retrieved by name across all namespaces"));
    }
    let mut found = Found { single: pairs.len() == 1, ..Found::default() };
    for (kind, name) in pairs {
        let namespace = if kind.info().namespaced { cli.namespace() } else { String::new() };
        let info = if query.fetch {
            fetch(cli, *kind, &namespace, name, query)
        } else {
            Ok(Info {
                kind: *kind,
                namespace,
                name: name.clone(),
                source: String::new(),
                object: Value::Null,
                row: None,
            })
        };
        let failed = info.is_err();
        found.infos.push(info);
        if failed && !query.go_on {
            break;
        }
    }
    Ok(found)
}

fn labels_of(object: &Value) -> BTreeMap<String, String> {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or("").to_owned())).collect()
}

fn from_files(cli: &mut Cli<'_>, query: Query<'_>) -> Result<Found, Failure> {
    let mut infos = manifest::read(cli, query);
    let labels = if query.selects { cli.flags().text("selector") } else { "" };
    if !labels.is_empty() {
        // What files hold is chosen here: `FilterByLabelSelector`.
        let selector = Selector::parse(labels).map_err(Failure::Message)?;
        infos.retain(|info| info.as_ref().map_or(true, |info| selector.matches(&labels_of(&info.object))));
    }
    if query.latest {
        for info in &mut infos {
            if let Ok(known) = info {
                let (kind, namespace, name) = (known.kind, known.namespace.clone(), known.name.clone());
                match fetch(cli, kind, &namespace, &name, query) {
                    Ok(fetched) => *known = Info { source: std::mem::take(&mut known.source), ..fetched },
                    Err(failure) => *info = Err(failure),
                }
            }
        }
    }
    if !query.go_on
        && let Some(at) = infos.iter().position(Result::is_err)
    {
        infos.truncate(at + 1);
    }
    Ok(Found { single: infos.len() == 1, infos })
}
