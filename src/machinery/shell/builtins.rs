//! Commands that are the shell's own, since they change it or make it wait.

mod alias;
mod history;
mod jobs;
mod read;
mod variables;

use std::sync::Arc;

use super::arithmetic;
use super::expand::{Expansion, set_variable};
use super::files::normalise;
use super::host::{Flavor, Lookup, Signal};
use super::interpreter::{Flow, exit, fail, pop_frame, report};
use super::io::CommandIo;
use super::shell::{Event, Frame, Shell};
use super::utilities::Immediate;
pub(super) use history::{expanded, remember};
pub(super) use jobs::wait_for;
pub(super) use read::continue_read;
use read::read;
use variables::{declare, export, local, quoted, readonly, set, unset};

/// What a builtin does.
#[derive(Clone, Copy)]
enum Action {
    /// It gives an exit code.
    Code(fn(&mut Shell, &mut CommandIo<'_>, &[String]) -> i32),
    /// It changes where the script goes on, or waits.
    Flow(fn(&mut Shell, &mut CommandIo<'_>, &[String]) -> Flow),
    /// It is a utility that shells have built in.
    Utility(Immediate),
}

/// A builtin.
#[derive(Clone, Copy)]
pub(super) struct Builtin {
    name: &'static str,
    action: Action,
}

const SPECIAL: [&str; 14] = [
    ":", ".", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "trap",
    "unset",
];

impl Builtin {
    /// POSIX's special builtins come before functions, and assignments before them stay.
    pub(super) fn is_special(self) -> bool {
        SPECIAL.contains(&self.name)
    }
}

/// The builtin of a name.
pub(super) fn find(name: &str) -> Option<Builtin> {
    let action = match name {
        ":" | "true" => Action::Code(|_, _, _| 0),
        "false" => Action::Code(|_, _, _| 1),
        "hash" | "bg" | "disown" | "enable" => Action::Code(|_, _, _| 0),
        // What Tab completes is not for scripts to say here.
        "bind" | "compgen" | "complete" | "compopt" => Action::Code(|_, _, _| 0),
        "fg" => Action::Flow(jobs::foreground),
        "history" => Action::Code(history::history),
        "alias" => Action::Code(alias::alias),
        "." | "source" => Action::Flow(source),
        "[" | "test" => Action::Utility(super::test::run),
        "break" => Action::Flow(|shell, io, arguments| leave_loop(shell, io, arguments, false)),
        "cd" => Action::Code(cd),
        "command" => Action::Flow(command),
        "continue" => Action::Flow(|shell, io, arguments| leave_loop(shell, io, arguments, true)),
        "declare" | "typeset" => Action::Code(declare),
        "echo" => Action::Utility(super::utilities::echo),
        "eval" => Action::Flow(eval),
        "exec" => Action::Code(|_, _, _| 0),
        "exit" | "logout" => Action::Flow(exit_builtin),
        "export" => Action::Code(export),
        "getopts" => Action::Code(getopts),
        "jobs" => Action::Code(jobs::jobs),
        "kill" => Action::Code(jobs::kill),
        "let" => Action::Code(let_builtin),
        "local" => Action::Code(local),
        "printf" => Action::Utility(super::utilities::printf),
        "pwd" => Action::Code(pwd),
        "read" => Action::Flow(read),
        "readonly" => Action::Code(readonly),
        "return" => Action::Flow(return_builtin),
        "set" => Action::Code(set),
        "shift" => Action::Code(shift),
        "shopt" => Action::Code(alias::shopt),
        "times" => Action::Code(times),
        "trap" => Action::Code(trap),
        "type" => Action::Code(type_builtin),
        "ulimit" => Action::Code(ulimit),
        "umask" => Action::Code(umask),
        "unalias" => Action::Code(alias::unalias),
        "unset" => Action::Code(unset),
        "wait" => Action::Flow(jobs::wait),
        _ => return None,
    };
    let name = SPECIAL.iter().find(|special| **special == name).copied().unwrap_or_default();
    Some(Builtin { name, action })
}

/// Runs a builtin; `argv` begins with its name.
pub(super) fn run(shell: &mut Shell, io: &mut CommandIo<'_>, builtin: Builtin, argv: &[String]) -> Flow {
    let arguments = &argv[1..];
    match builtin.action {
        Action::Flow(function) => return function(shell, io, arguments),
        Action::Code(function) => shell.status = function(shell, io, arguments),
        Action::Utility(function) => {
            let own = std::mem::replace(&mut io.process.argv, argv.to_vec());
            shell.status = function(io, arguments).max(i32::from(std::mem::take(&mut io.process.write_failed)));
            io.process.argv = own;
        }
    }
    Flow::Next
}

fn complain(shell: &Shell, io: &mut CommandIo<'_>, builtin: &str, message: &str) {
    let line = format!("{}{message}\n", shell.prefix(Some(builtin)));
    io.write(2, line.as_bytes());
}

fn eval(shell: &mut Shell, _: &mut CommandIo<'_>, arguments: &[String]) -> Flow {
    shell.status = 0;
    shell.frames.push(Frame::Script(arguments.join(" ").into()));
    Flow::Next
}

fn source(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> Flow {
    let Some(name) = arguments.first() else {
        complain(shell, io, ".", "filename argument required");
        shell.status = 2;
        return Flow::Next;
    };
    let path = io.path(name);
    match io.files(|files| files.read(&path)) {
        Ok(bytes) => {
            shell.status = 0;
            shell.frames.push(Frame::Source);
            shell.frames.push(Frame::Script(String::from_utf8_lossy(&bytes).into_owned().into()));
            Flow::Next
        }
        Err(_) => {
            let message = match shell.flavor {
                Flavor::Bash => format!("{name}: No such file or directory"),
                Flavor::Dash => format!("cannot open {name}: No such file"),
                Flavor::Ash => format!("can't open '{name}': No such file or directory"),
            };
            complain(shell, io, ".", &message);
            fail(shell, io)
        }
    }
}

fn number(arguments: &[String], default: i32) -> Option<i32> {
    match arguments.first() {
        None => Some(default),
        Some(text) => text.parse().ok(),
    }
}

fn leave_loop(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String], goes_on: bool) -> Flow {
    let Some(mut left) = number(arguments, 1).filter(|count| *count > 0) else {
        complain(shell, io, if goes_on { "continue" } else { "break" }, "Illegal number");
        return fail(shell, io);
    };
    shell.status = 0;
    let is_loop =
        |frame: &Frame| matches!(frame, Frame::Loop { .. } | Frame::For { .. } | Frame::Count { started: true, .. });
    while let Some(frame) = shell.frames.last() {
        if matches!(frame, Frame::Call { .. } | Frame::Source | Frame::Reader { .. } | Frame::Action { .. }) {
            break;
        }
        if is_loop(frame) {
            left -= 1;
            let outer = shell.frames.iter().rev().skip(1).any(is_loop);
            if left == 0 || !outer {
                if !goes_on {
                    shell.frames.pop();
                }
                break;
            }
        }
        pop_frame(shell, io);
    }
    Flow::Next
}

fn return_builtin(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> Flow {
    let status = number(arguments, shell.status).unwrap_or(2) & 0xff;
    if !shell.frames.iter().any(|frame| matches!(frame, Frame::Call { .. } | Frame::Source)) {
        return exit(shell, status);
    }
    while let Some(frame) = pop_frame(shell, io) {
        if matches!(frame, Frame::Call { .. } | Frame::Source) {
            break;
        }
    }
    shell.status = status;
    Flow::Next
}

fn exit_builtin(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> Flow {
    // In a trap's action, `exit` alone gives the status from before the trap.
    let before = shell.frames.iter().rev().find_map(|frame| match frame {
        Frame::Action { status } | Frame::Exit { code: status } => Some(*status),
        _ => None,
    });
    match number(arguments, before.unwrap_or(shell.status)) {
        Some(code) => exit(shell, code & 0xff),
        None => {
            let bad = if shell.flavor == Flavor::Bash { "numeric argument required" } else { "Illegal number" };
            let message = match shell.flavor {
                Flavor::Bash => format!("{}: {bad}", arguments[0]),
                _ => format!("{bad}: {}", arguments[0]),
            };
            complain(shell, io, "exit", &message);
            exit(shell, 2)
        }
    }
}

fn cd(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let get = |io: &CommandIo<'_>, name: &str| io.process.variables.get(name).map(|held| held.value.clone());
    let target = match arguments.iter().find(|argument| !matches!(argument.as_str(), "-P" | "-L" | "--")) {
        None => get(io, "HOME").unwrap_or_else(|| "/root".to_owned()),
        Some(dash) if dash == "-" => get(io, "OLDPWD").unwrap_or_else(|| io.process.directory.clone()),
        Some(path) => path.clone(),
    };
    let path = io.path(&target);
    let error = match io.files(|files| files.stat(&path, true)) {
        Ok(entry) if entry.is_directory() => {
            let old = std::mem::replace(&mut io.process.directory, path.clone());
            drop(set_variable(shell, io, "OLDPWD", old));
            drop(set_variable(shell, io, "PWD", path.clone()));
            if arguments.first().is_some_and(|argument| argument == "-") {
                io.out(&format!("{path}\n"));
            }
            return 0;
        }
        Ok(_) => super::files::FileError::NotDirectory,
        Err(error) => error,
    };
    let message = match shell.flavor {
        Flavor::Bash => format!("{target}: {error}"),
        Flavor::Dash => format!("can't cd to {target}"),
        Flavor::Ash => format!("can't cd to {target}: {error}"),
    };
    complain(shell, io, "cd", &message);
    if shell.flavor == Flavor::Dash { 2 } else { 1 }
}

fn pwd(_: &mut Shell, io: &mut CommandIo<'_>, _: &[String]) -> i32 {
    io.out(&format!("{}\n", io.process.directory.clone()));
    0
}

fn shift(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let count = number(arguments, 1).and_then(|count| usize::try_from(count).ok());
    match count {
        Some(count) if count <= shell.positional.len() => {
            shell.positional.drain(..count);
            0
        }
        _ => {
            if shell.flavor != Flavor::Bash {
                complain(shell, io, "shift", "can't shift that many");
            }
            1
        }
    }
}

fn times(_: &mut Shell, io: &mut CommandIo<'_>, _: &[String]) -> i32 {
    io.out("0m0.00s 0m0.00s\n0m0.00s 0m0.00s\n");
    0
}

fn event(text: &str) -> Option<Event> {
    match text {
        "EXIT" | "0" => Some(Event::Exit),
        // What bash calls on errors and steps has no counterpart, but scripts may ask for it.
        other => Signal::parse(other).map(Event::Signal),
    }
}

fn trap(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let arguments: &[String] = if arguments.first().is_some_and(|a| a == "--") { &arguments[1..] } else { arguments };
    if arguments.is_empty() || arguments[0] == "-p" {
        let name = |event: &Event| match event {
            Event::Exit => "EXIT",
            Event::Signal(signal) => signal.name(),
        };
        let lines: String =
            shell.traps.iter().map(|(event, action)| format!("trap -- {} {}\n", quoted(action), name(event))).collect();
        io.out(&lines);
        return 0;
    }
    let resets = arguments[0] == "-" || (arguments.len() == 1 && event(&arguments[0]).is_some());
    let names = if arguments[0] == "-" || !resets { &arguments[1..] } else { arguments };
    let mut code = 0;
    for name in names {
        if matches!(name.as_str(), "ERR" | "DEBUG" | "RETURN" | "CHLD" | "WINCH" | "TSTP" | "CONT" | "TTIN" | "TTOU") {
            continue;
        }
        let Some(event) = event(name) else {
            let message = match shell.flavor {
                Flavor::Bash => format!("{name}: invalid signal specification"),
                Flavor::Dash => format!("{name}: bad trap"),
                Flavor::Ash => format!("{name}: invalid signal specification"),
            };
            complain(shell, io, "trap", &message);
            code = 1;
            continue;
        };
        if let Event::Signal(signal) = event {
            io.process.ignored.retain(|ignored| *ignored != signal);
            if !resets && arguments[0].is_empty() {
                io.process.ignored.push(signal);
            }
        }
        if resets {
            shell.traps.remove(&event);
        } else {
            shell.traps.insert(event, arguments[0].clone());
        }
    }
    code
}

fn describe(shell: &Shell, io: &mut CommandIo<'_>, name: &str) -> Option<(String, String)> {
    if let Some(text) = shell.aliases.get(name) {
        return Some((alias::line(shell, name, text), format!("{name} is aliased to `{text}'")));
    }
    if shell.functions.contains_key(name) {
        return Some((name.to_owned(), format!("{name} is a function")));
    }
    if find(name).is_some() {
        return Some((name.to_owned(), format!("{name} is a shell builtin")));
    }
    let path = super::utilities::which(io, name)?;
    Some((path.clone(), format!("{name} is {path}")))
}

fn type_builtin(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let mut code = 0;
    for name in arguments.iter().filter(|argument| !argument.starts_with('-')) {
        match describe(shell, io, name) {
            Some((_, text)) => io.out(&format!("{text}\n")),
            None => {
                io.out(&format!("{name}: not found\n"));
                code = 127;
            }
        }
    }
    code
}

fn command(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> Flow {
    let flag = arguments.first().filter(|argument| matches!(argument.as_str(), "-v" | "-V"));
    let rest = if arguments.first().is_some_and(|a| a.starts_with('-')) { &arguments[1..] } else { arguments };
    if let Some(flag) = flag {
        shell.status = 0;
        for name in rest {
            match describe(shell, io, name) {
                Some((path, text)) => {
                    let line = if flag == "-v" { path } else { text };
                    io.out(&format!("{line}\n"));
                }
                None => shell.status = 127,
            }
        }
        return Flow::Next;
    }
    // `command x` runs x past any function of that name.
    let words = rest.iter().map(|word| super::syntax::Word { parts: vec![super::syntax::Part::Quoted(word.clone())] });
    let simple = super::syntax::Command {
        kind: super::syntax::CommandKind::Simple { assignments: Vec::new(), words: words.collect() },
        redirects: Vec::new(),
        line: shell.line,
    };
    if let Some(name) = rest.first() {
        if let Some(function) = shell.functions.remove(name) {
            // It is put back once the command has been found, which is before anything else can run.
            let flow = super::simple::run(shell, io, Arc::new(simple), Vec::new());
            shell.functions.insert(name.clone(), function);
            return flow;
        }
        return super::simple::run(shell, io, Arc::new(simple), Vec::new());
    }
    shell.status = 0;
    Flow::Next
}

fn umask(_: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    if arguments.is_empty() {
        io.out("0022\n");
    }
    0
}

fn ulimit(_: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let limit = match arguments.first().map(String::as_str) {
        Some("-n") => "1048576",
        _ => "unlimited",
    };
    io.out(&format!("{limit}\n"));
    0
}

fn let_builtin(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let mut last = 0;
    for argument in arguments {
        match arithmetic::evaluate(argument, &mut Expansion::new(shell, io, &[])) {
            Ok(value) => last = value,
            Err(message) => {
                complain(shell, io, "let", &message);
                return 2;
            }
        }
    }
    i32::from(last == 0)
}

fn getopts(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let [letters, name, rest @ ..] = arguments else {
        complain(shell, io, "getopts", "Usage: getopts optstring var [arg]");
        return 2;
    };
    let given = if rest.is_empty() { shell.positional.clone() } else { rest.to_vec() };
    let held = io.process.variables.get("OPTIND").and_then(|held| held.value.parse::<usize>().ok());
    let mut index = held.unwrap_or(1).max(1);
    let word = given.get(index - 1).cloned().unwrap_or_default();
    let place = shell.option_place.max(1);
    let Some(letter) = word.chars().nth(place).filter(|_| word.starts_with('-') && word != "--") else {
        shell.option_place = 0;
        if word == "--" {
            index += 1;
        }
        drop(set_variable(shell, io, "OPTIND", index.to_string()));
        drop(set_variable(shell, io, name, "?".to_owned()));
        return 1;
    };
    let more: String = word.chars().skip(place + 1).collect();
    shell.option_place = place + 1;
    let mut value = letter.to_string();
    io.process.variables.remove("OPTARG");
    match letters.find(letter).filter(|_| letter != ':') {
        None => {
            if !letters.starts_with(':') {
                report(shell, io, &format!("Illegal option -{letter}"));
            }
            value = "?".to_owned();
        }
        Some(at) if letters[at + 1..].starts_with(':') => {
            shell.option_place = 0;
            let argument = if more.is_empty() { given.get(index).cloned() } else { Some(more.clone()) };
            index += usize::from(more.is_empty());
            match argument {
                Some(argument) => drop(set_variable(shell, io, "OPTARG", argument)),
                None => {
                    report(shell, io, &format!("No arg for -{letter} option"));
                    value = "?".to_owned();
                }
            }
            index += 1;
        }
        Some(_) => {}
    }
    if shell.option_place > 0 && more.is_empty() {
        shell.option_place = 0;
        index += 1;
    }
    drop(set_variable(shell, io, "OPTIND", index.to_string()));
    drop(set_variable(shell, io, name, value));
    0
}

/// The path of a command among the files, if it is a file that may be run.
pub(super) fn executable(io: &mut CommandIo<'_>, name: &str) -> Option<String> {
    if name.contains('/') {
        let path = normalise(name, &io.process.directory);
        let file = io.files(|files| files.stat(&path, true)).ok();
        if file.is_some_and(|entry| entry.is_file() && entry.mode & 0o111 != 0) {
            return Some(name.to_owned());
        }
    }
    match io.host.lookup(name, &[name.to_owned()]) {
        Lookup::Missing => None,
        _ => Some(name.to_owned()),
    }
}
