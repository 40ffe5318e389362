//! Requests by their path: `--raw`.

use serde_json::Value;

use super::cli::Cli;
use super::failure::Failure;
use crate::apiserver::{Body, DeleteOptions, ListOptions, Response, Verb, WriteOptions};
use crate::machinery::{go_json, yaml};

fn body(cli: &mut Cli<'_>) -> Result<Value, Failure> {
    let path = cli.flags().texts("filename").into_iter().next().unwrap_or_default();
    let text = if path == "-" {
        cli.stdin.to_owned()
    } else {
        let bytes = cli.files.read(&path).map_err(|why| Failure::Message(format!("open {path}: {why}")))?;
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let document = yaml::read_one(&text).map_err(|error| Failure::Message(error.message))?;
    Ok(document.value)
}

fn show(cli: &mut Cli<'_>, response: &Response) {
    match response {
        // A Status has the order of its type.
        Response::Value(value) => cli.say(&value.to_string()),
        response => cli.say(&go_json::marshal_object(&response.wire())),
    }
}

/// What does not go with a path.
pub(super) fn check(cli: &Cli<'_>) -> Result<(), Failure> {
    let flags = cli.flags();
    let wrong = if !cli.arguments().is_empty() {
        "arguments may not be passed when --raw is specified"
    } else if flags.is("recursive", false) {
        "--raw and --recursive are mutually exclusive"
    } else if !flags.text("selector").is_empty() {
        "--raw and --selector (-l) are mutually exclusive"
    } else if !flags.text("output").is_empty() {
        "--raw and --output are mutually exclusive"
    } else {
        return Ok(());
    };
    Err(Failure::message(wrong))
}

/// The same where the body comes from a file.
fn check_body(cli: &Cli<'_>) -> Result<(), Failure> {
    let files = cli.flags().texts("filename");
    let wrong = match files.as_slice() {
        _ if cli.flags().is("edit", false) => "--raw and --edit are mutually exclusive",
        [url] if url.starts_with("http://") || url.starts_with("https://") => "--raw cannot read from a url",
        [_] => return check(cli),
        _ => "--raw can only use a single local file or stdin",
    };
    Err(Failure::message(wrong))
}

/// `kubectl get --raw`.
pub(super) fn get(cli: &mut Cli<'_>, path: &str) -> Result<(), Failure> {
    if matches!(path, "/healthz" | "/livez" | "/readyz") {
        // Who asks in process is answered, so that the server is well.
        cli.out.push_str("ok");
        return Ok(());
    }
    let target = cli.api.address(path)?;
    let verb = if target.name.is_empty() { Verb::List(ListOptions::default()) } else { Verb::Get };
    let response = cli.send(target, verb)?;
    let text = go_json::marshal_object(&response.wire());
    cli.out.push_str(&text);
    cli.out.push('\n');
    Ok(())
}

/// `kubectl create --raw`.
pub(super) fn create(cli: &mut Cli<'_>, path: &str) -> Result<(), Failure> {
    check_body(cli)?;
    let target = cli.api.address(path)?;
    let value = body(cli)?;
    // A Binding or an Eviction is created below an object, which `Create` addresses by its name.
    let response = cli.send(target, Verb::Create { body: Body::Json(value), options: WriteOptions::default() })?;
    show(cli, &response);
    Ok(())
}

/// `kubectl replace --raw`.
pub(super) fn replace(cli: &mut Cli<'_>, path: &str) -> Result<(), Failure> {
    check_body(cli)?;
    let target = cli.api.address(path)?;
    let value = body(cli)?;
    let response = cli.send(target, Verb::Update { body: Body::Json(value), options: WriteOptions::default() })?;
    show(cli, &response);
    Ok(())
}

/// `kubectl delete --raw`.
pub(super) fn delete(cli: &mut Cli<'_>, path: &str) -> Result<(), Failure> {
    let target = cli.api.address(path)?;
    let response = cli.send(target, Verb::Delete(DeleteOptions::default()))?;
    show(cli, &response);
    Ok(())
}
