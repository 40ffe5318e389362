//! How objects are printed: `-o`.
//!
//! Follows `k8s.io/cli-runtime/pkg/genericclioptions` and `k8s.io/kubectl/pkg/cmd/get` (custom columns).

use serde_json::Value;

use super::cli::Cli;
use super::failure::Failure;
use super::kyaml;
use super::tabwriter::TabWriter;
use super::template::Template;
use crate::machinery::jsonpath::{self, JsonPath};
use crate::machinery::{go_json, quote, yaml};

/// A format of `-o`.
#[derive(Clone, Debug)]
pub(super) enum Printer {
    /// `TYPE/NAME`, and what was done unless that was asked not to be told.
    Name {
        operation: String,
    },
    Json,
    /// JSON of what kubectl holds as a Go type, in whose order the fields are.
    TypedJson,
    /// It parts documents: whether one was printed before.
    Yaml(bool),
    /// The same in KYAML.
    Kyaml,
    JsonPath(String, JsonPath),
    JsonPathAsJson(String, JsonPath),
    Template(Template),
    Columns(Columns),
}

/// Which formats a command has besides the common ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Formats {
    /// Those of commands that change objects.
    Common,
    /// Those of `get`, without `wide`, which is a table.
    Get,
}

const COMMON: &str = "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,\
                      templatefile,yaml";
const GET: &str = "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,\
                   jsonpath-file,kyaml,name,template,templatefile,wide,yaml";

impl Printer {
    /// The printer that `-o` asks for; the name with the operation when it asks for none.
    pub(super) fn of(cli: &mut Cli<'_>, operation: &str) -> Result<Self, Failure> {
        let operation = format!("{operation}{}", cli.dry_run()?.suffix());
        Self::without_dry_run(cli, &operation)
    }

    /// The same where dry runs are not told.
    pub(super) fn without_dry_run(cli: &mut Cli<'_>, operation: &str) -> Result<Self, Failure> {
        let output = cli.output();
        if output.is_empty() {
            return Ok(Self::named(operation));
        }
        Self::parse(cli, output, Formats::Common)
    }

    /// The same for objects that kubectl holds as Go types, rather than as the server sent them.
    pub(super) fn typed(self) -> Self {
        if matches!(self, Self::Json) { Self::TypedJson } else { self }
    }

    /// The name with the operation, whatever was asked for.
    pub(super) fn named(operation: &str) -> Self {
        Self::Name { operation: operation.to_owned() }
    }

    /// The printer of a format.
    pub(super) fn parse(cli: &mut Cli<'_>, output: &str, formats: Formats) -> Result<Self, Failure> {
        let (name, attached) = output.split_once('=').map_or((output, None), |(name, value)| (name, Some(value)));
        let mut argument = attached.unwrap_or("").to_owned();
        if argument.is_empty() && !cli.flags().text("template").is_empty() {
            cli.flags().text("template").clone_into(&mut argument);
        }
        if let Some(plain) = name.strip_suffix("-file")
            && matches!(plain, "jsonpath" | "go-template" | "custom-columns")
            && !argument.is_empty()
        {
            let what = if plain == "custom-columns" { "template" } else { "--template" };
            let text = cli
                .files
                .read(&argument)
                .map_err(|why| Failure::Message(format!("error reading {what} {argument}, open {argument}: {why}")))?;
            let text = String::from_utf8_lossy(&text).into_owned();
            if plain == "custom-columns" && formats == Formats::Get {
                return Columns::of_file(&text).map(Self::Columns);
            }
            return Self::with_argument(cli, plain, &text, output, formats);
        }
        Self::with_argument(cli, name, &argument, output, formats)
    }

    fn with_argument(
        cli: &Cli<'_>,
        name: &str,
        argument: &str,
        output: &str,
        formats: Formats,
    ) -> Result<Self, Failure> {
        let lenient = cli.flags().is("allow-missing-template-keys", true);
        let missing = |what: &str| Failure::Message(format!("template format specified but no {what} given"));
        match name.strip_suffix("-file").unwrap_or(name) {
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml(false)),
            "kyaml" => Ok(Self::Kyaml),
            "name" => Ok(Self::Name { operation: String::new() }),
            "jsonpath" | "jsonpath-as-json" => {
                if argument.is_empty() {
                    return Err(missing("template"));
                }
                let path = JsonPath::parse(argument)
                    .map_err(|why| Failure::Message(format!("error parsing jsonpath {argument}, {why}")))?
                    .allow_missing_keys(lenient);
                Ok(if name == "jsonpath" {
                    Self::JsonPath(argument.to_owned(), path)
                } else {
                    Self::JsonPathAsJson(argument.to_owned(), path)
                })
            }
            "go-template" | "template" => {
                if argument.is_empty() {
                    return Err(missing("template"));
                }
                let template = Template::parse(argument).map_err(|why| {
                    Failure::Message(format!("error parsing template {argument}, template: output:{why}"))
                })?;
                Ok(Self::Template(template))
            }
            "custom-columns" if formats == Formats::Get => Columns::parse(argument).map(Self::Columns),
            _ => {
                let allowed = if formats == Formats::Get { GET } else { COMMON };
                Err(Failure::Message(format!(
                    "unable to match a printer suitable for the output format {output:?}, allowed formats are: {allowed}"
                )))
            }
        }
    }

    /// Prints an object.
    pub(super) fn print(&mut self, cli: &mut Cli<'_>, object: &Value) -> Result<(), Failure> {
        // `OmitManagedFieldsPrinter`: only whole objects are shown without their owners.
        let hides = matches!(self, Self::Json | Self::TypedJson | Self::Yaml(_) | Self::Kyaml)
            && !cli.flags().is("show-managed-fields", false);
        let shown = if hides { without_managed(object) } else { object.clone() };
        match self {
            Self::Name { operation } => {
                let items = shown["items"].as_array().cloned();
                for item in items.unwrap_or_else(|| vec![shown]) {
                    let line =
                        if operation.is_empty() { name_of(&item) } else { format!("{} {operation}", name_of(&item)) };
                    cli.say(&line);
                }
            }
            Self::Json => cli.say(&go_json::marshal_indent(&shown, "    ")),
            Self::TypedJson => cli.say(&go_json::marshal_object_indent(&shown, "    ")),
            Self::Yaml(printed) => {
                if std::mem::replace(printed, true) {
                    cli.say("---");
                }
                cli.out.push_str(&yaml::print(&shown));
            }
            Self::Kyaml => cli.out.push_str(&kyaml::print(&shown)),
            Self::JsonPath(text, path) => {
                let printed = path.execute(&shown).map_err(|why| jsonpath_failed(text, &why, &shown))?;
                cli.out.push_str(&printed);
            }
            Self::JsonPathAsJson(text, path) => {
                let printed = path.execute_as_json(&shown).map_err(|why| jsonpath_failed(text, &why, &shown))?;
                cli.out.push_str(&printed);
            }
            Self::Template(template) => {
                let printed = template.execute(&shown).map_err(|why| {
                    Failure::Message(format!("error executing template {:?}: {why}", template.text()))
                })?;
                cli.out.push_str(&printed);
            }
            Self::Columns(columns) => {
                let headers = !cli.flags().is("no-headers", false);
                let printed = columns.print(&shown, headers)?;
                cli.out.push_str(&printed);
            }
        }
        Ok(())
    }
}

/// `deployment.apps/web`, from what the object says of itself.
pub(super) fn name_of(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let version = text(&object["apiVersion"]);
    let kind = text(&object["kind"]).to_lowercase();
    let mut name = text(&object["metadata"]["name"]);
    if name.is_empty() {
        "<unknown>".clone_into(&mut name);
    }
    match version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

fn without_managed(object: &Value) -> Value {
    let mut shown = object.clone();
    let drop = |object: &mut Value| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.shift_remove("managedFields");
        }
    };
    drop(&mut shown);
    shown.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(drop);
    shown
}

/// What is said when a JSONPath does not fit, with what it was given.
fn jsonpath_failed(template: &str, why: &str, object: &Value) -> Failure {
    Failure::Message(format!(
        "error executing jsonpath {template:?}: Error executing template: {why}. Printing more information for debugging \
         the template:\n\ttemplate was:\n\t\t{template}\n\tobject given to jsonpath engine was:\n\t\t{}\n\n\n",
        go_syntax(object)
    ))
}

/// A value as Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quote::quote(text),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let fields: Vec<String> =
                fields.into_iter().map(|(key, value)| format!("{}:{}", quote::quote(key), go_syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// A value as Go's `fmt.Sprint` prints it.
pub(super) fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_print).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let fields: Vec<String> =
                fields.into_iter().map(|(key, value)| format!("{key}:{}", go_print(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        other => quote::plain(other),
    }
}

/// `custom-columns`.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    headers: Vec<String>,
    paths: Vec<JsonPath>,
}

impl Columns {
    fn parse(specification: &str) -> Result<Self, Failure> {
        if specification.is_empty() {
            return Err(Failure::message("custom-columns format specified but no custom columns given"));
        }
        let mut columns = Self { headers: Vec::new(), paths: Vec::new() };
        for column in specification.split(',') {
            let Some((header, path)) = column.split_once(':') else {
                return Err(Failure::Message(format!(
                    "unexpected custom-columns spec: {column}, expected <header>:<json-path-expr>"
                )));
            };
            let path = jsonpath::relaxed(path).map_err(Failure::Message)?;
            columns.headers.push(header.to_owned());
            columns.paths.push(JsonPath::parse(&path).map_err(Failure::Message)?.allow_missing_keys(true));
        }
        Ok(columns)
    }

    /// A line of headings, and under each of them a path: `NewCustomColumnsPrinterFromTemplate`.
    fn of_file(text: &str) -> Result<Self, Failure> {
        let missing = || {
            Failure::message(
                "invalid template, missing specification line. Expected format is one line of space separated column headers, one line of space separated column specs.",
            )
        };
        let mut lines = text.lines();
        let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return Err(missing()) };
        let headers: Vec<String> = first.split_whitespace().map(str::to_owned).collect();
        let specifications: Vec<&str> = second.split_whitespace().collect();
        if headers.len() != specifications.len() {
            return Err(Failure::Message(format!(
                "number of headers ({}) and field specifications ({}) don't match",
                headers.len(),
                specifications.len()
            )));
        }
        let mut columns = Self { headers, paths: Vec::new() };
        for specification in specifications {
            let path = jsonpath::relaxed(specification).map_err(Failure::Message)?;
            columns.paths.push(JsonPath::parse(&path).map_err(Failure::Message)?.allow_missing_keys(true));
        }
        Ok(columns)
    }

    fn print(&self, object: &Value, headers: bool) -> Result<String, Failure> {
        let mut text = String::new();
        if headers {
            text.push_str(&self.headers.join("\t"));
            text.push('\n');
        }
        let items = object["items"].as_array().map_or_else(|| std::slice::from_ref(object), Vec::as_slice);
        for item in items {
            let cells: Result<Vec<String>, Failure> = self.paths.iter().map(|path| cell(path, item)).collect();
            text.push_str(&cells?.join("\t"));
            text.push('\n');
        }
        Ok(TabWriter::TABLE.format(&text))
    }
}

fn cell(path: &JsonPath, item: &Value) -> Result<String, Failure> {
    let results = path.find(item).map_err(Failure::Message)?;
    let mut values: Vec<String> = results.iter().flatten().map(|value| go_print(value)).collect();
    if results.first().is_none_or(Vec::is_empty) {
        values.insert(0, "<none>".to_owned());
    }
    Ok(values.join(","))
}
