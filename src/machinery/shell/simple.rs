//! Simple commands: their words, assignments and redirections, and what they run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arrays;
use super::builtins;
use super::expand::{Expansion, Stop, set_variable};
use super::files::{FileError, FileKind, WriteAt};
use super::host::{Flavor, Lookup};
use super::interpreter::{Flow, attempt, cannot_fork, exit, fail, report};
use super::io::{CommandIo, Descriptor, OpenFile, Stream};
use super::shell::{Frame, Saved, Shell, Substituted, Variable};
use super::syntax::{Command, CommandKind, Redirect, RedirectKind, Word};
use super::table::{Body, SpawnError, exported, resolve};

/// A redirection whose words are expanded.
#[derive(Debug)]
pub(super) struct Redirected {
    descriptor: u32,
    kind: RedirectKind,
    target: String,
}

pub(super) fn expand_redirects(
    expansion: &mut Expansion<'_, '_>,
    redirects: &[Redirect],
) -> Result<Vec<Redirected>, Stop> {
    let expand = |redirect: &Redirect| {
        let input = matches!(
            redirect.kind,
            RedirectKind::Input | RedirectKind::Both | RedirectKind::Duplicate | RedirectKind::Text
        );
        let descriptor = redirect.descriptor.unwrap_or(u32::from(!input));
        Ok(Redirected { descriptor, kind: redirect.kind, target: expansion.text(&redirect.target)? })
    };
    redirects.iter().map(expand).collect()
}

/// The words of `[[ ]]`: neither split nor globbed; on the right of `==` and `!=` they are patterns.
pub(super) fn test_words(expansion: &mut Expansion<'_, '_>, words: &[Word]) -> Result<Vec<String>, Stop> {
    let mut expanded: Vec<String> = Vec::new();
    for word in words {
        let is_pattern = expanded.last().is_some_and(|last| matches!(last.as_str(), "=" | "==" | "!="));
        expanded.push(if is_pattern { expansion.pattern(word)? } else { expansion.text(word)? });
    }
    Ok(expanded)
}

/// The descriptors after redirections.
pub(super) fn redirected(
    shell: &Shell,
    io: &mut CommandIo<'_>,
    redirects: &[Redirected],
) -> Result<BTreeMap<u32, Descriptor>, String> {
    let mut descriptors = io.process.descriptors.clone();
    for redirect in redirects {
        let target = match redirect.kind {
            RedirectKind::Duplicate if redirect.target == "-" => {
                descriptors.remove(&redirect.descriptor);
                continue;
            }
            RedirectKind::Duplicate => {
                let held = redirect.target.parse().ok().and_then(|number: u32| descriptors.get(&number));
                match held {
                    Some(held) => held.clone(),
                    None if redirect.target.parse::<u32>().is_ok() => {
                        return Err(format!("{}: Bad file descriptor", redirect.target));
                    }
                    // `>&file` is bash's older way to write `&>file`.
                    None => open(shell, io, &redirect.target, RedirectKind::OutputAndError)?,
                }
            }
            RedirectKind::Text => Descriptor::PipeRead(io.table.new_pipe(redirect.target.clone().into_bytes())),
            kind => open(shell, io, &redirect.target, kind)?,
        };
        let both = matches!(redirect.kind, RedirectKind::OutputAndError | RedirectKind::AppendOutputAndError)
            || (redirect.kind == RedirectKind::Duplicate && redirect.target.parse::<u32>().is_err());
        if both {
            descriptors.insert(2, target.clone());
        }
        descriptors.insert(redirect.descriptor, target);
    }
    Ok(descriptors)
}

/// Devices, which no tree of files holds.
fn device(io: &CommandIo<'_>, path: &str) -> Option<Descriptor> {
    let root = io.process.root;
    Some(match path {
        "/dev/null" => Descriptor::Null,
        "/dev/zero" => Descriptor::Zero,
        "/dev/full" => Descriptor::Full,
        "/dev/random" | "/dev/urandom" => Descriptor::Random,
        "/dev/tty" | "/dev/console" => Descriptor::Output(root, Stream::Out),
        "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0" => io.process.descriptors.get(&0)?.clone(),
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => io.process.descriptors.get(&1)?.clone(),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => io.process.descriptors.get(&2)?.clone(),
        // The container's own log, to which scripts and cron jobs write.
        "/proc/1/fd/1" => Descriptor::Output(1, Stream::Out),
        "/proc/1/fd/2" => Descriptor::Output(1, Stream::Error),
        _ => return None,
    })
}

fn open(shell: &Shell, io: &mut CommandIo<'_>, target: &str, kind: RedirectKind) -> Result<Descriptor, String> {
    let path = io.path(target);
    if let Some(device) = device(io, &path) {
        return Ok(device);
    }
    let reading = kind == RedirectKind::Input;
    let append = matches!(kind, RedirectKind::Append | RedirectKind::AppendOutputAndError);
    let clobbers = matches!(kind, RedirectKind::Output | RedirectKind::OutputAndError);
    let guarded = shell.options.no_clobber && kind == RedirectKind::Output;
    let opened = io.files(|files| {
        let entry = files.stat(&path, true);
        match (&entry, reading) {
            (Ok(entry), _) if matches!(entry.kind, FileKind::Directory) && !reading => Err(FileError::IsDirectory),
            (Ok(_), false) if guarded => Err(FileError::Exists),
            (Err(error), true) => Err(*error),
            (Ok(_), true) => Ok(()),
            (_, false) => files.write(&path, b"", if clobbers { WriteAt::Start } else { WriteAt::End }),
        }
    });
    if let Err(error) = opened {
        let (verb, text) = match (reading, error) {
            (true, FileError::NotFound) => ("open", "no such file".to_owned()),
            (false, FileError::NotFound) => ("create", "nonexistent directory".to_owned()),
            (true, error) => ("open", error.to_string()),
            (false, error) => ("create", error.to_string()),
        };
        return Err(match shell.flavor {
            Flavor::Bash => format!("{target}: {error}"),
            Flavor::Dash => {
                let text = text.replace("nonexistent directory", "Directory nonexistent");
                format!("cannot {verb} {target}: {}", text.replace("no such file", "No such file"))
            }
            Flavor::Ash => format!("can't {verb} {target}: {text}"),
        });
    }
    if !reading {
        io.table.files_changed = true;
    }
    let readable = reading || kind == RedirectKind::Both;
    Ok(Descriptor::File(io.table.new_open_file(OpenFile { path, offset: 0, append, readable })))
}

/// A simple command whose words are expanded.
struct Prepared {
    assignments: Vec<(String, String)>,
    argv: Vec<String>,
    redirects: Vec<Redirected>,
}

/// Runs a simple command.
pub(super) fn run(shell: &mut Shell, io: &mut CommandIo<'_>, command: Arc<Command>, memo: Vec<Substituted>) -> Flow {
    let CommandKind::Simple { assignments, words } = &command.kind else {
        unreachable!("run is for simple commands");
    };
    if memo.is_empty() {
        shell.substituted = None;
    }
    let again = Arc::clone(&command);
    let frame = move |memo| Frame::Command { command: again, memo };
    let prepared = attempt(shell, io, frame, memo, |expansion| {
        let argv = expansion.words(words)?;
        let mut values = Vec::new();
        for assignment in assignments {
            if let Some(items) = &assignment.items {
                if expansion.shell.flavor != Flavor::Bash {
                    return Err(Stop::Fail("syntax error: unexpected \"(\"".to_owned()));
                }
                let items = expansion.words(items)?;
                arrays::set(expansion.io, &assignment.name, items, assignment.append);
                continue;
            }
            let mut value = expansion.text(&assignment.value)?;
            if assignment.append {
                value.insert_str(0, &expansion.value(&assignment.name).unwrap_or_default());
            }
            // Later assignments see earlier ones; what is only for the command is put back afterwards.
            if argv.is_empty() {
                set_variable(expansion.shell, expansion.io, &assignment.name, value.clone()).map_err(Stop::Fail)?;
            }
            values.push((assignment.name.clone(), value));
        }
        let redirects = expand_redirects(expansion, &command.redirects)?;
        Ok(Prepared { assignments: values, argv, redirects })
    });
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(flow) => return flow,
    };
    if shell.options.trace {
        trace(io, &prepared);
    }
    let descriptors = match redirected(shell, io, &prepared.redirects) {
        Ok(descriptors) => descriptors,
        Err(message) => {
            report(shell, io, &message);
            shell.status = if shell.flavor == Flavor::Dash { 2 } else { 1 };
            return Flow::Next;
        }
    };
    if prepared.argv.is_empty() {
        shell.status = shell.substituted.unwrap_or(0);
        return Flow::Next;
    }
    dispatch(shell, io, prepared, descriptors)
}

fn trace(io: &mut CommandIo<'_>, prepared: &Prepared) {
    let quote = |text: &String| {
        let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
        if !text.is_empty() && text.chars().all(plain) { text.clone() } else { format!("'{text}'") }
    };
    let values = prepared.assignments.iter().map(|(name, value)| format!("{name}={}", quote(value)));
    let words: Vec<String> = values.chain(prepared.argv.iter().map(quote)).collect();
    io.write(2, format!("+ {}\n", words.join(" ")).as_bytes());
}

fn dispatch(
    shell: &mut Shell,
    io: &mut CommandIo<'_>,
    prepared: Prepared,
    descriptors: BTreeMap<u32, Descriptor>,
) -> Flow {
    let name = prepared.argv[0].clone();
    let function = shell.functions.get(&name).cloned();
    let builtin = builtins::find(&name).filter(|found| function.is_none() || found.is_special());
    if function.is_none() && builtin.is_none() {
        return run_program(shell, io, prepared, descriptors);
    }
    if let Some(flow) = builtin.filter(|_| name == "exec").and_then(|_| {
        let command = prepared.argv.get(1..).unwrap_or_default().to_vec();
        exec(shell, io, &prepared, command, &descriptors)
    }) {
        return flow;
    }
    if !prepared.redirects.is_empty() {
        let before = std::mem::replace(&mut io.process.descriptors, descriptors);
        shell.frames.push(Frame::Restore { descriptors: before });
    }
    if !prepared.assignments.is_empty() {
        let keeps = builtin.is_some_and(|found| found.is_special());
        match assign(shell, io, &prepared.assignments, function.is_some()) {
            Ok(saved) if !keeps => shell.frames.push(Frame::Unassign { saved }),
            Ok(_) => {}
            Err(message) => {
                report(shell, io, &message);
                return fail(shell, io);
            }
        }
    }
    match (function.filter(|_| builtin.is_none()), builtin) {
        (Some(body), _) => {
            let arguments = prepared.argv[1..].to_vec();
            let positional = std::mem::replace(&mut shell.positional, arguments);
            shell.frames.push(Frame::Call { positional, locals: Vec::new() });
            shell.frames.push(Frame::Command { command: body, memo: Vec::new() });
            Flow::Next
        }
        (None, Some(builtin)) => builtins::run(shell, io, builtin, &prepared.argv),
        (None, None) => unreachable!("one of the two was found"),
    }
}

fn assign(
    shell: &Shell,
    io: &mut CommandIo<'_>,
    assignments: &[(String, String)],
    export: bool,
) -> Result<Saved, String> {
    let mut saved = Vec::new();
    for (name, value) in assignments {
        saved.push((name.clone(), io.process.variables.get(name).cloned()));
        set_variable(shell, io, name, value.clone())?;
        if export && let Some(held) = io.process.variables.get_mut(name) {
            held.exported = true;
        }
    }
    Ok(saved)
}

/// `exec`: with a command it takes the shell's place; without one its redirections stay.
fn exec(
    shell: &mut Shell,
    io: &mut CommandIo<'_>,
    prepared: &Prepared,
    argv: Vec<String>,
    descriptors: &BTreeMap<u32, Descriptor>,
) -> Option<Flow> {
    io.process.descriptors.clone_from(descriptors);
    if argv.is_empty() {
        shell.status = 0;
        return Some(Flow::Next);
    }
    for (name, value) in &prepared.assignments {
        io.process.variables.insert(name.clone(), Variable::exported(value.clone()));
    }
    let directory = io.process.directory.clone();
    Some(match resolve(&directory, io.host, &argv) {
        Ok(body) => {
            io.process.argv = argv;
            io.process.variables = exported(&io.process.variables);
            io.process.children.clear();
            Flow::Become(body)
        }
        Err(error) => {
            let code = not_run(shell, io, &argv[0], error, true);
            exit(shell, code)
        }
    })
}

/// Says why a command cannot be run; the exit code for it.
fn not_run(shell: &Shell, io: &mut CommandIo<'_>, name: &str, error: SpawnError, by_exec: bool) -> i32 {
    let exec = by_exec.then_some("exec");
    let has_path = name.contains('/');
    let (text, code) = match (error, shell.flavor) {
        (SpawnError::NotFound, Flavor::Bash) if has_path => ("No such file or directory", 127),
        (SpawnError::NotFound, Flavor::Bash) => ("command not found", 127),
        (SpawnError::NotFound, _) => ("not found", 127),
        (SpawnError::Denied, _) => ("Permission denied", 126),
        (SpawnError::BadFormat, Flavor::Bash) => ("cannot execute binary file: Exec format error", 126),
        (SpawnError::BadFormat, _) => ("Exec format error", 126),
        (SpawnError::TooMany, _) => ("can't fork: Resource temporarily unavailable", 2),
    };
    let line = format!("{}{name}: {text}\n", shell.prefix(exec));
    io.write(2, line.as_bytes());
    code
}

fn run_program(
    shell: &mut Shell,
    io: &mut CommandIo<'_>,
    prepared: Prepared,
    descriptors: BTreeMap<u32, Descriptor>,
) -> Flow {
    let Prepared { assignments, argv, .. } = prepared;
    // A utility that neither waits nor reads its input needs no process of its own.
    let lists_processes = matches!(super::files::base_name(&argv[0]), "ps" | "pidof" | "pgrep" | "pkill" | "killall");
    if assignments.is_empty()
        && !lists_processes
        && let Some(function) = super::utilities::immediate(super::files::base_name(&argv[0]))
        && matches!(io.host.lookup(&argv[0], &argv), Lookup::Utility)
    {
        let own = std::mem::replace(&mut io.process.argv, argv.clone());
        let before = std::mem::replace(&mut io.process.descriptors, descriptors);
        shell.status = function(io, &argv[1..]).max(i32::from(std::mem::take(&mut io.process.write_failed)));
        io.process.descriptors = before;
        io.process.argv = own;
        return Flow::Next;
    }
    let directory = io.process.directory.clone();
    let body = match resolve(&directory, io.host, &argv) {
        Ok(body) => body,
        Err(error) => {
            // The message goes where the command's own would have gone.
            let before = std::mem::replace(&mut io.process.descriptors, descriptors);
            shell.status = not_run(shell, io, &argv[0], error, false);
            io.process.descriptors = before;
            return Flow::Next;
        }
    };
    let variables = io.process.variables.clone();
    io.process.variables = exported(&variables);
    for (name, value) in assignments {
        io.process.variables.insert(name, Variable::exported(value));
    }
    if shell.is_last_command() {
        io.process.descriptors = descriptors;
        io.process.argv = argv;
        return Flow::Become(body);
    }
    start_child(shell, io, argv, descriptors, body, variables)
}

fn start_child(
    shell: &mut Shell,
    io: &mut CommandIo<'_>,
    argv: Vec<String>,
    descriptors: BTreeMap<u32, Descriptor>,
    body: Body,
    variables: super::shell::Variables,
) -> Flow {
    let now = io.now();
    let child = io.table.fork(io.process, descriptors, argv, body, now);
    io.process.variables = variables;
    match child {
        Some(pid) => {
            shell.frames.push(Frame::Foreground { pid });
            Flow::Next
        }
        None => cannot_fork(shell, io),
    }
}
