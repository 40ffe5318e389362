//! How a process goes on after a step of its program, and what a command's name leads to.

use super::super::files::{base_name, normalise};
use super::super::host::{CommandPoll, Flavor, Host, Lookup};
use super::super::io::CommandIo;
use super::super::shell::{Shell, Variables};
use super::super::utilities;
use super::{Body, SpawnError, Step, Wait};
use crate::machinery::time::Time;

pub(super) fn after_program(poll: CommandPoll, io: &mut CommandIo<'_>) -> Step {
    Step::Wait(match poll {
        CommandPoll::Exited(code) => return Step::Exited(code.max(i32::from(io.process.write_failed))),
        CommandPoll::Again => Wait::Ready,
        CommandPoll::Readable(descriptor) => Wait::Readable(descriptor, None),
        CommandPoll::ReadableUntil(descriptor, time) => Wait::Readable(descriptor, Some(time)),
        CommandPoll::Writable(descriptor) => Wait::Writable(descriptor),
        CommandPoll::Until(time) => Wait::Until(time),
        CommandPoll::Files => Wait::Files(io.table.files_generation()),
        CommandPoll::Forever => Wait::Forever,
        CommandPoll::Network(request, deadline) => {
            let id = io.table.next_request;
            io.table.next_request += 1;
            io.table.requests.push((id, request));
            io.process.answer = None;
            Wait::Network(id, deadline)
        }
        CommandPoll::Run(argv, deadline) => return run_child(io, argv, deadline),
        CommandPoll::Exec(argv) => {
            return match resolve(&io.process.directory.clone(), io.host, &argv) {
                Ok(body) => {
                    io.process.argv = argv;
                    io.process.variables = exported(&io.process.variables);
                    Step::Become(body)
                }
                Err(error) => Step::Exited(complain_of(io, &argv, error)),
            };
        }
    })
}

/// What a new program inherits: exported variables only.
pub(in super::super) fn exported(variables: &Variables) -> Variables {
    if variables.values().all(|held| held.exported) {
        return variables.clone();
    }
    variables.iter().filter(|(_, held)| held.exported).map(|(name, held)| (name.clone(), held.clone())).collect()
}

/// Runs a command for a program; its code is in `child_status` when it ended.
fn run_child(io: &mut CommandIo<'_>, argv: Vec<String>, deadline: Option<Time>) -> Step {
    let now = io.now();
    if argv.is_empty() {
        // The program goes on waiting for the command that it already runs.
        let running = io.process.children.iter().find(|(_, code)| code.is_none()).map(|(pid, _)| *pid);
        return Step::Wait(running.map_or(Wait::Ready, |pid| Wait::Child(pid, deadline)));
    }
    io.process.children.clear();
    match resolve(&io.process.directory.clone(), io.host, &argv) {
        Err(error) => {
            let code = complain_of(io, &argv, error);
            io.process.child_status = Some(code);
            Step::Wait(Wait::Ready)
        }
        Ok(body) => {
            let descriptors = io.process.descriptors.clone();
            match io.table.fork(io.process, descriptors, argv, body, now) {
                Some(pid) => Step::Wait(Wait::Child(pid, deadline)),
                None => Step::Exited(126),
            }
        }
    }
}

fn complain_of(io: &mut CommandIo<'_>, argv: &[String], error: SpawnError) -> i32 {
    let name = argv.first().map_or("", String::as_str);
    let (text, code) = match error {
        SpawnError::NotFound => ("No such file or directory", 127),
        SpawnError::Denied => ("Permission denied", 126),
        SpawnError::BadFormat => ("Exec format error", 126),
        SpawnError::TooMany => ("Resource temporarily unavailable", 126),
    };
    io.complain(&format!("can't execute '{name}': {text}"));
    code
}

/// Finds what a command is: a file that may be run, or what the host knows under its name.
pub(in super::super) fn resolve(directory: &str, host: &mut dyn Host, argv: &[String]) -> Result<Body, SpawnError> {
    let Some(name) = argv.first().filter(|name| !name.is_empty()) else {
        return Err(SpawnError::NotFound);
    };
    if name.contains('/') {
        let path = normalise(name, directory);
        let mut file = None;
        host.with_files(&mut |files| {
            file = files.stat(&path, true).ok().map(|entry| (entry, files.read(&path).ok()));
        });
        match file {
            Some((entry, Some(bytes))) => {
                if entry.mode & 0o111 == 0 {
                    return Err(SpawnError::Denied);
                }
                // An empty executable file stands for a program that the host knows, if it knows one of that name.
                let known =
                    bytes.is_empty().then(|| host.lookup(name, argv)).filter(|known| !matches!(known, Lookup::Missing));
                if let Some(known) = known {
                    return from_lookup(host, known, argv);
                }
                let text = String::from_utf8(bytes.to_vec()).map_err(|_| SpawnError::BadFormat)?;
                return script(host, &text, name, argv);
            }
            Some((entry, None)) if entry.is_directory() => return Err(SpawnError::Denied),
            _ => {}
        }
    }
    let lookup = host.lookup(name, argv);
    from_lookup(host, lookup, argv)
}

fn from_lookup(host: &mut dyn Host, lookup: Lookup, argv: &[String]) -> Result<Body, SpawnError> {
    Ok(match lookup {
        Lookup::Missing => return Err(SpawnError::NotFound),
        Lookup::Run(program) => Body::Program(program),
        Lookup::Shell(flavor) => Body::Shell(Box::new(Shell::from_arguments(flavor, argv))),
        Lookup::Script(text) => {
            let name = argv.first().map_or("sh", String::as_str);
            return script(host, &text, name, argv);
        }
        Lookup::Utility => {
            let name = argv.first().map_or("", |name| base_name(name));
            Body::Program(utilities::find(name, argv).ok_or(SpawnError::NotFound)?)
        }
    })
}

/// A script, run by the interpreter that its first line names.
fn script(host: &mut dyn Host, text: &str, name: &str, argv: &[String]) -> Result<Body, SpawnError> {
    let first = text.lines().next().unwrap_or_default();
    let mut words = first.strip_prefix("#!").unwrap_or("/bin/sh").split_whitespace();
    let mut interpreter = words.next().unwrap_or("/bin/sh");
    if base_name(interpreter) == "env" {
        interpreter = words.next().unwrap_or("sh");
    }
    let base = base_name(interpreter);
    let mut interpreted = vec![base.to_owned()];
    interpreted.extend(words.map(str::to_owned));
    interpreted.push(name.to_owned());
    interpreted.extend(argv.iter().skip(1).cloned());
    match host.lookup(base, &interpreted) {
        Lookup::Shell(flavor) => Ok(Body::Shell(Box::new(Shell::from_script(flavor, text, name, &argv[1..])))),
        // A script that a shell's own image brings along needs no shell in that image.
        Lookup::Missing if matches!(base, "sh" | "bash") && host_script(host, name, argv) => {
            Ok(Body::Shell(Box::new(Shell::from_script(Flavor::Ash, text, name, &argv[1..]))))
        }
        lookup @ Lookup::Run(_) => from_lookup(host, lookup, &interpreted),
        _ => Err(SpawnError::NotFound),
    }
}

fn host_script(host: &mut dyn Host, name: &str, argv: &[String]) -> bool {
    matches!(host.lookup(name, argv), Lookup::Script(_))
}
