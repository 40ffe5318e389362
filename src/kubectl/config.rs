//! `kubectl config`: the kubeconfig, which is a file like any other.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/config`. There is one cluster, and so one cluster's entry is enough; contexts are as many
//! as somebody makes. Without a file there is one context.

use serde_json::{Value, json};

use super::cli::{Cli, Config, Files, Step};
use super::discovery::SERVER;
use super::failure::Failure;
use super::help;
use super::printer::{Formats, Printer};
use super::tabwriter::TabWriter;
use crate::machinery::yaml;

/// The name of the only cluster, user and context.
const NAME: &str = "kubetab";
const USER: &str = "kubernetes-admin";

/// A kubeconfig's text as a value.
fn read(text: &str) -> Option<Value> {
    let config = yaml::read_one(text).ok()?.value;
    config["contexts"].is_array().then_some(config)
}

/// The kubeconfig, from its file where there is one.
fn load(files: &mut dyn Files, file: &str, namespace: &str) -> Value {
    let bytes = if file.is_empty() { None } else { files.read(file).ok() };
    bytes.and_then(|bytes| read(&String::from_utf8_lossy(&bytes))).unwrap_or_else(|| {
        let mut context = json!({ "cluster": NAME, "user": USER });
        if !namespace.is_empty() && namespace != "default" {
            context["namespace"] = namespace.into();
        }
        json!({
            "apiVersion": "v1",
            "clusters": [{ "cluster": { "server": SERVER }, "name": NAME }],
            "contexts": [{ "context": context, "name": NAME }],
            "current-context": NAME,
            "kind": "Config",
            "users": [{ "name": USER, "user": {} }],
        })
    })
}

fn context<'a>(config: &'a Value, name: &str) -> Option<&'a Value> {
    config["contexts"].as_array()?.iter().find(|entry| entry["name"] == name).map(|entry| &entry["context"])
}

/// The namespace of the current context in a kubeconfig.
#[must_use]
pub fn namespace_of_config(text: &str) -> Option<String> {
    let config = read(text)?;
    let context = context(&config, config["current-context"].as_str()?)?;
    context["namespace"].as_str().map(str::to_owned)
}

/// The namespace of the context that `--context` names; nothing when none is named.
pub(super) fn namespace(files: &mut dyn Files, config: &Config, wanted: &str) -> Result<Option<String>, Failure> {
    if wanted.is_empty() || config.file.is_empty() {
        return Ok(None);
    }
    let config = load(files, &config.file, &config.namespace);
    match context(&config, wanted) {
        Some(context) => Ok(Some(context["namespace"].as_str().unwrap_or("default").to_owned())),
        None => Err(Failure::Message(format!("context {wanted:?} does not exist"))),
    }
}

pub(super) fn current(cli: &mut Cli<'_>) -> Value {
    load(cli.files, &cli.config.file, &cli.config.namespace)
}

pub(super) fn store(cli: &mut Cli<'_>, config: &Value) -> Result<(), Failure> {
    let file = &cli.config.file;
    if file.is_empty() {
        return Err(Failure::message("the configuration cannot be changed here"));
    }
    let written = cli.files.write(file, yaml::print(config).as_bytes());
    written.map_err(|why| Failure::Message(format!("open {file}: {why}")))
}

/// Runs `kubectl config view`.
pub(super) fn view(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if !cli.arguments().is_empty() {
        return Err(cli.usage(&format!("unexpected arguments: [{}]", cli.arguments().join(" "))));
    }
    let output = match cli.flags().text("output") {
        "" => "yaml".to_owned(),
        given => given.to_owned(),
    };
    let mut config = current(cli);
    if cli.flags().is("minify", false) {
        let name = config["current-context"].clone();
        if let Some(contexts) = config["contexts"].as_array_mut() {
            contexts.retain(|entry| entry["name"] == name);
        }
    }
    let mut printer = Printer::parse(cli, &output, Formats::Common)?;
    printer.print(cli, &config)?;
    Ok(Step::Done)
}

/// Runs `kubectl config current-context`.
pub(super) fn current_context(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    match current(cli)["current-context"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => cli.say(name),
        None => return Err(Failure::message("current-context is not set")),
    }
    Ok(Step::Done)
}

/// Runs `kubectl config get-contexts`.
pub(super) fn get_contexts(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let config = current(cli);
    let mut contexts: Vec<Value> = config["contexts"].as_array().cloned().unwrap_or_default();
    contexts.sort_by_key(|entry| entry["name"].as_str().unwrap_or("").to_owned());
    let wanted = cli.arguments();
    let output = cli.flags().text("output");
    if !matches!(output, "" | "name") {
        return Err(Failure::Message(format!(
            "--output {output} is not available in kubectl config get-contexts; resetting to default output format"
        )));
    }
    let missing = wanted.iter().filter(|name| !contexts.iter().any(|entry| entry["name"] == ***name));
    let missing: Vec<Failure> = missing.map(|name| Failure::Message(format!("context {name} not found"))).collect();
    contexts.retain(|entry| wanted.is_empty() || wanted.iter().any(|name| entry["name"] == **name));
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    if cli.flags().text("output") == "name" {
        contexts.iter().for_each(|entry| cli.say(&word(&entry["name"])));
        return Ok(Step::Done);
    }
    let mut text = String::new();
    if !cli.flags().is("no-headers", false) {
        text.push_str("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
    }
    for entry in &contexts {
        let mark = if entry["name"] == config["current-context"] { "*" } else { "" };
        let context = &entry["context"];
        let [cluster, user, namespace] = ["cluster", "user", "namespace"].map(|field| word(&context[field]));
        text.push_str(&format!("{mark}\t{}\t{cluster}\t{user}\t{namespace}\n", word(&entry["name"])));
    }
    let table = TabWriter::TABLE.format(&text);
    cli.out.push_str(&table);
    Failure::of(missing).map(|()| Step::Done)
}

fn names(cli: &mut Cli<'_>, field: &str) {
    let config = current(cli);
    cli.say("NAME");
    for entry in config[field].as_array().into_iter().flatten() {
        cli.say(entry["name"].as_str().unwrap_or(""));
    }
}

/// Runs `kubectl config get-clusters`.
pub(super) fn get_clusters(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    names(cli, "clusters");
    Ok(Step::Done)
}

/// Runs `kubectl config get-users`.
pub(super) fn get_users(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    names(cli, "users");
    Ok(Step::Done)
}

/// The only argument.
pub(super) fn argument<'a>(cli: &mut Cli<'a>) -> Result<&'a str, Failure> {
    match cli.arguments() {
        [name] => Ok(name),
        _ => Err(unexpected(cli)),
    }
}

/// That there are too few or too many words, behind the command's help: `helpErrorf`.
pub(super) fn unexpected(cli: &mut Cli<'_>) -> Failure {
    help::show_text(cli);
    let first = if cli.parsed.command.name == "set-credentials" { "unexpected" } else { "Unexpected" };
    Failure::Message(format!("{first} args: [{}]", cli.arguments().join(" ")))
}

/// Runs `kubectl config use-context`.
pub(super) fn use_context(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = argument(cli)?;
    let mut config = current(cli);
    if context(&config, name).is_none() {
        return Err(Failure::Message(format!("no context exists with the name: {name:?}")));
    }
    config["current-context"] = name.into();
    store(cli, &config)?;
    cli.say(&format!("Switched to context {name:?}."));
    Ok(Step::Done)
}

/// Runs `kubectl config set-context`.
pub(super) fn set_context(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    let mut config = current(cli);
    let name = match (flags.is("current", false), cli.arguments()) {
        (true, []) => config["current-context"].as_str().unwrap_or("").to_owned(),
        (false, [name]) => name.clone(),
        (_, [_, _, ..]) => return Err(unexpected(cli)),
        _ => return Err(Failure::message("you must specify a non-empty context name or --current")),
    };
    let is_there = context(&config, &name).is_some();
    if let Some(contexts) = config["contexts"].as_array_mut() {
        if !is_there {
            contexts.push(json!({ "context": {}, "name": name }));
        }
        for entry in contexts.iter_mut().filter(|entry| entry["name"] == *name) {
            for flag in ["cluster", "namespace", "user"] {
                if flags.has(flag) {
                    entry["context"][flag] = flags.text(flag).into();
                }
            }
        }
    }
    store(cli, &config)?;
    cli.say(&format!("Context {name:?} {}.", if is_there { "modified" } else { "created" }));
    Ok(Step::Done)
}

/// Runs `kubectl config delete-context`.
pub(super) fn delete_context(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if cli.arguments().len() != 1 {
        help::show_text(cli);
        return Ok(Step::Done);
    }
    let file = &cli.config.file;
    let name = argument(cli)?;
    let mut config = current(cli);
    if context(&config, name).is_none() {
        return Err(Failure::Message(format!("cannot delete context {name}, not in {file}")));
    }
    if config["current-context"] == name {
        cli.complain(
            "warning: this removed your active context, use \"kubectl config use-context\" to select a different one",
        );
    }
    if let Some(contexts) = config["contexts"].as_array_mut() {
        contexts.retain(|entry| entry["name"] != name);
    }
    store(cli, &config)?;
    cli.say(&format!("deleted context {name} from {file}"));
    Ok(Step::Done)
}

/// Runs `kubectl config rename-context`.
pub(super) fn rename_context(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let file = &cli.config.file;
    let [old, new] = cli.arguments() else { return Err(unexpected(cli)) };
    let mut config = current(cli);
    if context(&config, old).is_none() {
        return Err(Failure::Message(format!("cannot rename the context {old:?}, it's not in {file}")));
    }
    if context(&config, new).is_some() {
        return Err(Failure::Message(format!(
            "cannot rename the context {old:?}, the context {new:?} already exists in {file}"
        )));
    }
    for entry in config["contexts"].as_array_mut().into_iter().flatten() {
        if entry["name"] == **old {
            entry["name"] = new.as_str().into();
        }
    }
    if config["current-context"] == **old {
        config["current-context"] = new.as_str().into();
    }
    store(cli, &config)?;
    cli.say(&format!("Context {old:?} renamed to {new:?}."));
    Ok(Step::Done)
}
