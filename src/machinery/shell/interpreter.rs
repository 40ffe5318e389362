//! The interpreter: takes the top frame of a shell, does one small thing, and leaves what is still to be done.

mod compound;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builtins;
use super::expand::{Expansion, Stop};
use super::host::{Flavor, Signal};
use super::io::{CommandIo, Descriptor, Input};
use super::parser;
use super::shell::{Event, Frame, Saved, Shell, Substituted};
use super::syntax::{Chain, Command, Joint, List};
use super::table::{Body, Pid, Step, Wait};
use compound::{choose_branch, count, go_round, next_item, run_command};

/// How many frames a shell may stack up, which ends a function that calls itself for ever.
const FRAMES_MAX: usize = 2000;

/// How the interpreter goes on.
pub(super) enum Flow {
    /// With the top frame.
    Next,
    /// When this has come.
    Block(Wait),
    /// As another program.
    Become(Body),
    /// Not at all.
    Exit(i32),
}

/// Runs a shell until it waits, ends or has used up its budget.
pub(super) fn step(shell: &mut Shell, io: &mut CommandIo<'_>) -> Step {
    if shell.main_pid.is_none() {
        shell.main_pid = Some(io.process.pid);
    }
    while io.budget > 0 && !io.process.broken_pipe && io.process.pending.is_empty() {
        io.budget -= 1;
        handle_signals(shell, io);
        if shell.frames.len() > FRAMES_MAX {
            report(shell, io, "maximum nesting level reached");
            return Step::Exited(2);
        }
        match advance(shell, io) {
            Flow::Next => {}
            Flow::Block(wait) => return Step::Wait(wait),
            Flow::Become(body) => return Step::Become(body),
            Flow::Exit(code) => return Step::Exited(code),
        }
    }
    Step::Wait(Wait::Ready)
}

/// Prints an error of the shell itself.
pub(super) fn report(shell: &Shell, io: &mut CommandIo<'_>, message: &str) {
    let line = format!("{}{message}\n", shell.prefix(None));
    io.write(2, line.as_bytes());
}

fn handle_signals(shell: &mut Shell, io: &mut CommandIo<'_>) {
    if std::mem::take(&mut shell.interrupted) {
        io.kill_children(Signal::Interrupt);
        while shell.frames.last().is_some_and(|frame| !matches!(frame, Frame::Reader { .. })) {
            pop_frame(shell, io);
        }
        if let Some(Frame::Reader { text, prompted }) = shell.frames.last_mut() {
            text.clear();
            *prompted = false;
        }
        shell.status = Signal::Interrupt.exit_code();
        io.write(2, b"\n");
    }
    // A trap waits until the command in the foreground has ended; only `wait` is cut short.
    let in_foreground = matches!(
        shell.frames.last(),
        Some(Frame::Foreground { .. } | Frame::Pipeline { .. } | Frame::Substitute { .. })
    );
    if in_foreground || shell.caught.is_empty() {
        return;
    }
    let signal = shell.caught.remove(0);
    if matches!(shell.frames.last(), Some(Frame::WaitFor { .. })) {
        shell.frames.pop();
        shell.status = signal.exit_code();
    }
    if let Some(action) = shell.traps.get(&Event::Signal(signal)).cloned() {
        shell.frames.push(Frame::Action { status: shell.status });
        shell.frames.push(Frame::Script(action.into()));
    }
}

/// Takes the top frame away and puts back what it holds.
pub(super) fn pop_frame(shell: &mut Shell, io: &mut CommandIo<'_>) -> Option<Frame> {
    let frame = shell.frames.pop()?;
    match &frame {
        Frame::Restore { descriptors } => io.process.descriptors.clone_from(descriptors),
        Frame::Unassign { saved } => put_back(saved, io),
        Frame::Call { positional, locals } => {
            shell.positional.clone_from(positional);
            put_back(locals, io);
        }
        _ => {}
    }
    Some(frame)
}

fn put_back(saved: &Saved, io: &mut CommandIo<'_>) {
    for (name, held) in saved.iter().rev() {
        match held {
            Some(variable) => drop(io.process.variables.insert(name.clone(), variable.clone())),
            None => drop(io.process.variables.remove(name)),
        }
    }
}

/// Ends the shell, after its exit trap.
pub(super) fn exit(shell: &mut Shell, code: i32) -> Flow {
    shell.status = code;
    shell.frames.clear();
    match shell.traps.remove(&Event::Exit).filter(|action| !action.is_empty()) {
        Some(action) => {
            shell.frames.push(Frame::Exit { code });
            shell.frames.push(Frame::Script(action.into()));
            Flow::Next
        }
        None => Flow::Exit(code & 0xff),
    }
}

/// Does the next small thing.
fn advance(shell: &mut Shell, io: &mut CommandIo<'_>) -> Flow {
    let Some(frame) = pop_frame(shell, io) else {
        return exit(shell, shell.status);
    };
    match frame {
        Frame::Script(text) => script(shell, io, &text),
        Frame::Reader { text, prompted } => read_commands(shell, io, text, prompted),
        Frame::List { list, next } => list_item(shell, io, list, next),
        Frame::Chain { chain, next } => chain_link(shell, io, chain, next),
        Frame::Negate => {
            shell.status = i32::from(shell.status == 0);
            Flow::Next
        }
        Frame::Command { command, memo } => run_command(shell, io, command, memo),
        Frame::Substitute { pid, capture } => substituted(shell, io, pid, capture),
        Frame::Foreground { pid } => match take_child(io, pid) {
            None => wait_on(shell, Frame::Foreground { pid }, Wait::Child(pid, None)),
            Some(code) => {
                shell.status = code;
                Flow::Next
            }
        },
        Frame::Pipeline { pids } => pipeline_ended(shell, io, pids),
        Frame::If { command, branch } => choose_branch(shell, &command, branch),
        Frame::Loop { command, in_condition, status } => go_round(shell, command, in_condition, status),
        Frame::For { command, items, next } => next_item(shell, io, command, items, next),
        Frame::Count { command, started, memo } => count(shell, io, command, started, memo),
        Frame::Action { status } => {
            shell.status = status;
            Flow::Next
        }
        Frame::WaitFor { pids } => builtins::wait_for(shell, io, pids),
        Frame::Read { read } => builtins::continue_read(shell, io, read),
        Frame::Exit { code } => Flow::Exit(code & 0xff),
        Frame::Restore { .. } | Frame::Unassign { .. } | Frame::Call { .. } | Frame::Source => Flow::Next,
    }
}

pub(super) fn wait_on(shell: &mut Shell, frame: Frame, wait: Wait) -> Flow {
    shell.frames.push(frame);
    Flow::Block(wait)
}

/// The exit code of a child that ended; a child that is not known counts as ended with 127.
pub(super) fn take_child(io: &mut CommandIo<'_>, pid: Pid) -> Option<i32> {
    match io.process.children.get(&pid) {
        Some(None) => None,
        Some(Some(code)) => {
            let code = *code;
            io.process.children.remove(&pid);
            Some(code)
        }
        None => Some(127),
    }
}

fn script(shell: &mut Shell, io: &mut CommandIo<'_>, text: &str) -> Flow {
    // `sh FILE` reads its file at the first step, as only then the files are at hand.
    let mut text = std::borrow::Cow::Borrowed(text);
    if shell.is_file && shell.frames.is_empty() && text.is_empty() {
        let path = io.path(&shell.name);
        match io.files(|files| files.read(&path)) {
            Ok(bytes) => text = String::from_utf8_lossy(&bytes).into_owned().into(),
            Err(error) => {
                let flavor = shell.flavor;
                let name = io.name();
                let message = match flavor {
                    Flavor::Ash => format!("{name}: can't open '{}': {error}\n", shell.name),
                    Flavor::Dash => format!("{name}: 0: cannot open {}: {error}\n", shell.name),
                    Flavor::Bash => format!("{name}: {}: {error}\n", shell.name),
                };
                io.write(2, message.as_bytes());
                return exit(shell, if flavor == Flavor::Dash { 2 } else { 127 });
            }
        }
    }
    // An alias holds for what is read after it was made, so a script that makes some is read command by command.
    if shell.frames.is_empty()
        && text.contains("alias")
        && let Some(end) = first_commands(shell, &text)
    {
        // Empty lines keep the numbers of those that follow.
        let lines = "\n".repeat(text[..end].matches('\n').count());
        shell.frames.push(Frame::Script(format!("{lines}{}", &text[end..]).into()));
        text = text[..end].to_owned().into();
    }
    let aliases = shell.aliases_in_use();
    let parsed = match io.host.scripts().filter(|_| aliases.is_empty()) {
        Some(scripts) => scripts.parse(&text),
        None => parser::parse_with(&text, &aliases),
    };
    match parsed {
        Ok(list) => {
            if !shell.options.no_execute {
                shell.frames.push(Frame::List { list, next: 0 });
            }
            Flow::Next
        }
        Err(error) => {
            shell.line = error.line;
            report(shell, io, &error.to_string());
            exit(shell, 2)
        }
    }
}

/// Where the first lines of a script end that are whole commands, if others follow them.
fn first_commands(shell: &Shell, text: &str) -> Option<usize> {
    let aliases = shell.aliases_in_use();
    let mut ends = text.match_indices('\n').map(|(at, _)| at + 1).filter(|end| *end < text.len());
    ends.find(|end| match parser::parse_with(&text[..*end], &aliases) {
        Ok(list) => !list.items.is_empty(),
        Err(error) => !error.incomplete,
    })
}

fn read_commands(shell: &mut Shell, io: &mut CommandIo<'_>, mut text: String, mut prompted: bool) -> Flow {
    if io.is_terminal(0) && shell.main_pid == Some(io.process.pid) && !shell.is_subshell {
        shell.interactive = true;
    }
    if shell.interactive && !prompted {
        let prompt = if text.is_empty() { prompt(shell, io) } else { "> ".to_owned() };
        io.write(2, prompt.as_bytes());
        prompted = true;
    }
    let ended = match read_line(io, 0, b'\n') {
        Input::Pending => {
            return wait_on(shell, Frame::Reader { text, prompted }, Wait::Readable(0, None));
        }
        Input::Data(line) => {
            let line = String::from_utf8_lossy(&line).into_owned();
            match typed(shell, io, line) {
                Some(line) => text.push_str(&line),
                None => {
                    shell.frames.push(Frame::Reader { text: String::new(), prompted: false });
                    return Flow::Next;
                }
            }
            false
        }
        Input::End => true,
    };
    match parser::parse_with(&text, &shell.aliases_in_use()) {
        Ok(list) if ended && list.items.is_empty() => {
            if shell.interactive {
                io.write(2, b"\n");
            }
            return exit(shell, shell.status);
        }
        Ok(list) => {
            if shell.interactive {
                builtins::remember(shell, &text);
            }
            if !ended {
                shell.frames.push(Frame::Reader { text: String::new(), prompted: false });
            }
            shell.frames.push(Frame::List { list, next: 0 });
        }
        Err(error) if error.incomplete && !ended => {
            shell.frames.push(Frame::Reader { text, prompted: false });
        }
        Err(error) => {
            shell.line = error.line;
            report(shell, io, &error.to_string());
            shell.status = 2;
            if ended || !shell.interactive {
                return exit(shell, 2);
            }
            shell.frames.push(Frame::Reader { text: String::new(), prompted: false });
        }
    }
    Flow::Next
}

/// A typed line with what its `!` stand for; nothing when there is no such event, which is said.
fn typed(shell: &mut Shell, io: &mut CommandIo<'_>, line: String) -> Option<String> {
    if !shell.interactive || shell.flavor != Flavor::Bash {
        return Some(line);
    }
    match builtins::expanded(&line, &shell.history) {
        Ok(None) => Some(line),
        Ok(Some(expanded)) => {
            io.write(2, expanded.as_bytes());
            Some(expanded)
        }
        Err(event) => {
            report(shell, io, &event);
            shell.status = 1;
            None
        }
    }
}

fn prompt(shell: &Shell, io: &mut CommandIo<'_>) -> String {
    if let Some(given) = io.process.variables.get("PS1") {
        return given.value.clone();
    }
    let user = io.host.user();
    let sign = if user.id == 0 { '#' } else { '$' };
    let directory = io.process.directory.clone();
    match shell.flavor {
        Flavor::Ash => format!("{directory} {sign} "),
        Flavor::Dash => format!("{sign} "),
        Flavor::Bash => {
            let name = user.name.unwrap_or_else(|| "I have no name!".to_owned());
            let short = if directory == "/root" { "~".to_owned() } else { directory };
            format!("{name}@{}:{short}{sign} ", io.host.hostname())
        }
    }
}

/// A line with its end, or what is there before the end of the input. What follows the line is left to be read.
pub(super) fn read_line(io: &mut CommandIo<'_>, descriptor: u32, delimiter: u8) -> Input {
    match io.read(descriptor, 4096) {
        Input::Data(mut bytes) => {
            if let Some(end) = bytes.iter().position(|byte| *byte == delimiter) {
                let rest = bytes.split_off(end + 1);
                io.unread(descriptor, &rest);
            }
            Input::Data(bytes)
        }
        other => other,
    }
}

fn list_item(shell: &mut Shell, io: &mut CommandIo<'_>, list: Arc<List>, next: usize) -> Flow {
    let Some(item) = list.items.get(next) else {
        return Flow::Next;
    };
    let (chain, background) = (Arc::clone(&item.chain), item.background);
    shell.frames.push(Frame::List { list, next: next + 1 });
    if !background {
        shell.frames.push(Frame::Chain { chain, next: 0 });
        return Flow::Next;
    }
    // A job in the background reads nothing.
    let mut descriptors = io.process.descriptors.clone();
    if !shell.interactive {
        descriptors.insert(0, Descriptor::Null);
    }
    match fork(shell, io, descriptors, Frame::Chain { chain, next: 0 }) {
        Some(pid) => {
            shell.background = Some(pid);
            shell.status = 0;
            Flow::Next
        }
        None => cannot_fork(shell, io),
    }
}

/// Starts a copy of the shell that runs `frame`.
pub(super) fn fork(
    shell: &Shell,
    io: &mut CommandIo<'_>,
    descriptors: BTreeMap<u32, Descriptor>,
    frame: Frame,
) -> Option<Pid> {
    let child = shell.subshell(io.process.pid, frame);
    let (argv, now) = (io.process.argv.clone(), io.now());
    io.table.fork(io.process, descriptors, argv, Body::Shell(Box::new(child)), now)
}

pub(super) fn cannot_fork(shell: &mut Shell, io: &mut CommandIo<'_>) -> Flow {
    report(shell, io, "can't fork: Resource temporarily unavailable");
    exit(shell, 2)
}

fn chain_link(shell: &mut Shell, io: &mut CommandIo<'_>, chain: Arc<Chain>, mut next: usize) -> Flow {
    let failed = next > 0 && shell.status != 0;
    if failed && shell.options.exit_on_error && next == chain.links.len() {
        let negated = chain.links.last().is_some_and(|(_, pipeline)| pipeline.negated);
        if !negated && !shell.is_in_condition() {
            return exit(shell, shell.status);
        }
    }
    while next > 0
        && let Some((joint, _)) = chain.links.get(next)
        && (*joint == Joint::And) == (shell.status != 0)
    {
        next += 1;
    }
    let Some((_, pipeline)) = chain.links.get(next) else {
        return Flow::Next;
    };
    let pipeline = pipeline.clone();
    shell.frames.push(Frame::Chain { chain, next: next + 1 });
    if pipeline.negated {
        shell.frames.push(Frame::Negate);
    }
    if let [command] = pipeline.commands.as_slice() {
        shell.frames.push(Frame::Command { command: Arc::clone(command), memo: Vec::new() });
        return Flow::Next;
    }
    start_pipeline(shell, io, &pipeline.commands)
}

fn start_pipeline(shell: &mut Shell, io: &mut CommandIo<'_>, commands: &[Arc<Command>]) -> Flow {
    let (mut pids, mut input) = (Vec::new(), None);
    for (index, command) in commands.iter().enumerate() {
        let mut descriptors = io.process.descriptors.clone();
        if let Some(pipe) = input.take() {
            descriptors.insert(0, Descriptor::PipeRead(pipe));
        }
        if index + 1 < commands.len() {
            let pipe = io.table.new_pipe(Vec::new());
            descriptors.insert(1, Descriptor::PipeWrite(pipe));
            input = Some(pipe);
        }
        let frame = Frame::Command { command: Arc::clone(command), memo: Vec::new() };
        match fork(shell, io, descriptors, frame) {
            Some(pid) => pids.push(pid),
            None => return cannot_fork(shell, io),
        }
    }
    shell.frames.push(Frame::Pipeline { pids });
    Flow::Next
}

fn pipeline_ended(shell: &mut Shell, io: &mut CommandIo<'_>, pids: Vec<Pid>) -> Flow {
    if let Some(running) = pids.iter().find(|pid| matches!(io.process.children.get(pid), Some(None))) {
        let running = *running;
        return wait_on(shell, Frame::Pipeline { pids }, Wait::Child(running, None));
    }
    let codes: Vec<i32> = pids.iter().filter_map(|pid| take_child(io, *pid)).collect();
    shell.status = codes.last().copied().unwrap_or(0);
    if shell.options.pipe_fail {
        shell.status = codes.iter().rev().find(|code| **code != 0).copied().unwrap_or(0);
    }
    Flow::Next
}

fn substituted(shell: &mut Shell, io: &mut CommandIo<'_>, pid: Pid, capture: u32) -> Flow {
    let Some(status) = take_child(io, pid) else {
        return wait_on(shell, Frame::Substitute { pid, capture }, Wait::Child(pid, None));
    };
    let bytes = io.table.take_capture(capture);
    let text = String::from_utf8_lossy(&bytes).replace('\0', "");
    let text = text.trim_end_matches('\n').to_owned();
    match shell.frames.last_mut() {
        Some(Frame::Command { memo, .. } | Frame::Count { memo, .. }) => memo.push(Substituted { text, status }),
        other => unreachable!("a substitution stands above the command that needs it, not {other:?}"),
    }
    Flow::Next
}

/// Expands what a command needs. Where a substitution is missing, the command is put back and the substitution above
/// it; the variables are then as they were, since the expansion begins anew.
pub(super) fn attempt<T>(
    shell: &mut Shell,
    io: &mut CommandIo<'_>,
    frame: impl FnOnce(Vec<Substituted>) -> Frame,
    memo: Vec<Substituted>,
    work: impl FnOnce(&mut Expansion<'_, '_>) -> Result<T, Stop>,
) -> Result<T, Flow> {
    let before = io.process.variables.clone();
    match work(&mut Expansion::new(shell, io, &memo)) {
        Ok(value) => Ok(value),
        Err(Stop::Need(list)) => {
            let capture = io.table.new_capture();
            let mut descriptors = io.process.descriptors.clone();
            descriptors.insert(1, Descriptor::Capture(capture));
            let pid = fork(shell, io, descriptors, Frame::List { list, next: 0 });
            io.process.variables = before;
            let Some(pid) = pid else {
                return Err(cannot_fork(shell, io));
            };
            shell.frames.push(frame(memo));
            shell.frames.push(Frame::Substitute { pid, capture });
            Err(Flow::Next)
        }
        Err(Stop::Fail(message)) => {
            report(shell, io, &message);
            Err(fail(shell, io))
        }
    }
}

/// An error that ends a script, but only the line in an interactive shell.
pub(super) fn fail(shell: &mut Shell, io: &mut CommandIo<'_>) -> Flow {
    let code = if shell.flavor == Flavor::Bash { 1 } else { 2 };
    if !shell.interactive {
        return exit(shell, code);
    }
    shell.status = code;
    while shell.frames.last().is_some_and(|frame| !matches!(frame, Frame::Reader { .. })) {
        pop_frame(shell, io);
    }
    Flow::Next
}
