//! `kubectl config`, as far as there is something to show: one cluster, one user, one context.

use serde_json::{Value, json};

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::printer::{Formats, Printer};
use super::tabwriter::TabWriter;

/// The name of the only cluster, user and context.
const NAME: &str = "kubetab";
/// The name of the only user.
const USER: &str = "kubernetes-admin";

/// Runs `kubectl config` without a command.
pub(super) fn help(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    match cli.arguments() {
        [] => Ok(Step::Done),
        words => Err(cli.usage(&format!("unknown command {:?}", words.join(" ")))),
    }
}

/// Runs `kubectl config view`.
pub(super) fn view(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let output = match cli.flags().text("output") {
        "" => "yaml".to_owned(),
        given => given.to_owned(),
    };
    let config = kubeconfig(&cli.config.namespace);
    let printer = Printer::parse(cli, &output, Formats::Common)?;
    printer.print(cli, &config)?;
    Ok(Step::Done)
}

/// The whole configuration, with the namespace of its context.
fn kubeconfig(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "clusters": [{ "cluster": { "server": "https://127.0.0.1:6443" }, "name": NAME }],
        "contexts": [{ "context": { "cluster": NAME, "namespace": namespace, "user": USER }, "name": NAME }],
        "current-context": NAME,
        "kind": "Config",
        "users": [{ "name": USER, "user": {} }],
    })
}

/// The namespace of the context in a configuration that [`set_context`] wrote.
#[must_use]
pub fn namespace_of_config(text: &str) -> Option<String> {
    let config: Value = serde_json::from_str(text).ok()?;
    config["contexts"][0]["context"]["namespace"].as_str().map(str::to_owned)
}

/// Runs `kubectl config set-context`.
pub(super) fn set_context(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let current = cli.flags().is("current", false);
    match cli.arguments() {
        [] if current => {}
        [name] if !current && name == NAME => {}
        [_] if !current => return Err(Failure::Message(format!("there is one context only: {NAME:?}"))),
        _ => return Err(cli.usage("Unexpected args: a context's name or --current is wanted")),
    }
    let namespace = cli.flags().text("namespace").to_owned();
    if !namespace.is_empty() {
        // JSON is YAML, and read faster.
        let text = kubeconfig(&namespace).to_string();
        let file = cli.config.file.clone();
        cli.files.write(&file, text.as_bytes()).map_err(|error| Failure::Message(format!("open {file}: {error}")))?;
    }
    cli.say(&format!("Context {NAME:?} modified."));
    Ok(Step::Done)
}

/// Runs `kubectl config use-context`.
pub(super) fn use_context(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    match cli.arguments() {
        [name] if name == NAME => {
            cli.say(&format!("Switched to context {NAME:?}."));
            Ok(Step::Done)
        }
        [name] => Err(Failure::Message(format!("no context exists with the name: {name:?}"))),
        _ => Err(cli.usage("Unexpected args: one context's name is wanted")),
    }
}

/// Runs `kubectl config get-contexts`.
pub(super) fn get_contexts(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if cli.flags().text("output") == "name" {
        cli.say(NAME);
        return Ok(Step::Done);
    }
    let mut text = String::new();
    if !cli.flags().is("no-headers", false) {
        text.push_str("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
    }
    text.push_str(&format!("*\t{NAME}\t{NAME}\t{USER}\t{}\n", cli.config.namespace));
    cli.out.push_str(&TabWriter::TABLE.format(&text));
    Ok(Step::Done)
}

/// Runs `kubectl config current-context`.
pub(super) fn current_context(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    cli.say(NAME);
    Ok(Step::Done)
}
