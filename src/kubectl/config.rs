//! `kubectl config`, as far as there is something to show: one cluster, one user, one context.

use serde_json::json;

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::printer::{Formats, Printer};

/// The name of the only cluster, user and context.
const NAME: &str = "kubetab";

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
    let config = json!({
        "apiVersion": "v1",
        "clusters": [{ "cluster": { "server": "https://127.0.0.1:6443" }, "name": NAME }],
        "contexts": [{
            "context": { "cluster": NAME, "namespace": cli.config.namespace, "user": "kubernetes-admin" }, "name": NAME,
        }],
        "current-context": NAME,
        "kind": "Config",
        "users": [{ "name": "kubernetes-admin", "user": {} }],
    });
    let printer = Printer::parse(cli, &output, Formats::Common)?;
    printer.print(cli, &config)?;
    Ok(Step::Done)
}

/// Runs `kubectl config current-context`.
pub(super) fn current_context(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    cli.say(NAME);
    Ok(Step::Done)
}
