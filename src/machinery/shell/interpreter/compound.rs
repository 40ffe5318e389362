//! Compound commands: groups, subshells, branches and loops.

use std::sync::Arc;

use super::super::expand::{Expansion, Stop, set_variable};
use super::super::io::CommandIo;
use super::super::pattern;
use super::super::shell::{Frame, Shell, Substituted};
use super::super::simple;
use super::super::syntax::{Command, CommandKind, List, Word};
use super::super::table::Wait;
use super::super::test;
use super::{Flow, attempt, cannot_fork, fail, fork, report, wait_on};

pub(super) fn run_command(
    shell: &mut Shell,
    io: &mut CommandIo<'_>,
    command: Arc<Command>,
    memo: Vec<Substituted>,
) -> Flow {
    shell.line = command.line;
    if io.is_congested(1) {
        return wait_on(shell, Frame::Command { command, memo }, Wait::Writable(1));
    }
    if matches!(command.kind, CommandKind::Simple { .. }) {
        return simple::run(shell, io, command, memo);
    }
    let again = Arc::clone(&command);
    let frame = move |memo| Frame::Command { command: again, memo };
    let prepared = attempt(shell, io, frame, memo, |expansion| {
        let redirects = simple::expand_redirects(expansion, &command.redirects)?;
        let words = match &command.kind {
            CommandKind::For { words: Some(words), .. } => expansion.words(words)?,
            CommandKind::Case { word, arms } => vec![case_arm(expansion, word, arms)?],
            CommandKind::Test(words) => simple::test_words(expansion, words)?,
            CommandKind::Arithmetic(word) => vec![expansion.number(word)?.to_string()],
            _ => Vec::new(),
        };
        Ok((redirects, words))
    });
    let (redirects, words) = match prepared {
        Ok(prepared) => prepared,
        Err(flow) => return flow,
    };
    if !redirects.is_empty() {
        match simple::redirected(shell, io, &redirects) {
            Ok(descriptors) => {
                let before = std::mem::replace(&mut io.process.descriptors, descriptors);
                shell.frames.push(Frame::Restore { descriptors: before });
            }
            Err(message) => {
                report(shell, io, &message);
                shell.status = 1;
                return Flow::Next;
            }
        }
    }
    begin_compound(shell, io, command, words)
}

/// The number of the arm that matches, or nothing.
fn case_arm(expansion: &mut Expansion<'_, '_>, word: &Word, arms: &[(Vec<Word>, Arc<List>)]) -> Result<String, Stop> {
    let text = expansion.text(word)?;
    for (index, (patterns, _)) in arms.iter().enumerate() {
        for pattern in patterns {
            if pattern::matches(&expansion.pattern(pattern)?, &text) {
                return Ok(index.to_string());
            }
        }
    }
    Ok(String::new())
}

fn begin_compound(shell: &mut Shell, io: &mut CommandIo<'_>, command: Arc<Command>, words: Vec<String>) -> Flow {
    match &command.kind {
        CommandKind::Group(list) => shell.frames.push(Frame::List { list: Arc::clone(list), next: 0 }),
        CommandKind::Subshell(list) => {
            let frame = Frame::List { list: Arc::clone(list), next: 0 };
            let descriptors = io.process.descriptors.clone();
            match fork(shell, io, descriptors, frame) {
                Some(pid) => shell.frames.push(Frame::Foreground { pid }),
                None => return cannot_fork(shell, io),
            }
        }
        CommandKind::If { branches, .. } => {
            let condition = Arc::clone(&branches[0].0);
            shell.frames.push(Frame::If { command, branch: 0 });
            shell.frames.push(Frame::List { list: condition, next: 0 });
        }
        CommandKind::Loop { condition, .. } => {
            let condition = Arc::clone(condition);
            shell.frames.push(Frame::Loop { command, in_condition: true, status: 0 });
            shell.frames.push(Frame::List { list: condition, next: 0 });
        }
        CommandKind::For { words: listed, .. } => {
            let items = if listed.is_some() { words } else { shell.positional.clone() };
            shell.status = 0;
            shell.frames.push(Frame::For { command, items, next: 0 });
        }
        CommandKind::Count { .. } => {
            shell.frames.push(Frame::Count { command, started: false, memo: Vec::new() });
        }
        CommandKind::Case { arms, .. } => {
            shell.status = 0;
            if let Some((_, body)) = words[0].parse::<usize>().ok().and_then(|index| arms.get(index)) {
                shell.frames.push(Frame::List { list: Arc::clone(body), next: 0 });
            }
        }
        CommandKind::Function { name, body } => {
            shell.functions.insert(name.clone(), Arc::clone(body));
            shell.status = 0;
        }
        CommandKind::Test(_) => {
            if shell.options.trace {
                io.write(2, format!("+ [[ {} ]]\n", words.join(" ")).as_bytes());
            }
            shell.status = test::evaluate(io, "[[", &words);
        }
        CommandKind::Arithmetic(_) => shell.status = i32::from(words[0] == "0"),
        CommandKind::Simple { .. } => unreachable!("simple commands have a room of their own"),
    }
    Flow::Next
}

pub(super) fn choose_branch(shell: &mut Shell, command: &Arc<Command>, branch: usize) -> Flow {
    let CommandKind::If { branches, otherwise } = &command.kind else {
        unreachable!("an If frame holds an if command");
    };
    if shell.status == 0 {
        shell.frames.push(Frame::List { list: Arc::clone(&branches[branch].1), next: 0 });
    } else if let Some((condition, _)) = branches.get(branch + 1) {
        shell.frames.push(Frame::If { command: Arc::clone(command), branch: branch + 1 });
        shell.frames.push(Frame::List { list: Arc::clone(condition), next: 0 });
    } else {
        shell.status = 0;
        if let Some(list) = otherwise {
            shell.frames.push(Frame::List { list: Arc::clone(list), next: 0 });
        }
    }
    Flow::Next
}

pub(super) fn go_round(shell: &mut Shell, command: Arc<Command>, in_condition: bool, status: i32) -> Flow {
    let CommandKind::Loop { until, condition, body } = &command.kind else {
        unreachable!("a Loop frame holds a loop command");
    };
    if in_condition && (shell.status == 0) == *until {
        shell.status = status;
        return Flow::Next;
    }
    let list = Arc::clone(if in_condition { body } else { condition });
    let status = if in_condition { status } else { shell.status };
    shell.frames.push(Frame::Loop { command, in_condition: !in_condition, status });
    shell.frames.push(Frame::List { list, next: 0 });
    Flow::Next
}

pub(super) fn next_item(
    shell: &mut Shell,
    io: &mut CommandIo<'_>,
    command: Arc<Command>,
    items: Vec<String>,
    next: usize,
) -> Flow {
    let CommandKind::For { name, body, .. } = &command.kind else {
        unreachable!("a For frame holds a for command");
    };
    let Some(item) = items.get(next) else {
        return Flow::Next;
    };
    if let Err(message) = set_variable(shell, io, name, item.clone()) {
        report(shell, io, &message);
        return fail(shell, io);
    }
    let list = Arc::clone(body);
    shell.frames.push(Frame::For { command, items, next: next + 1 });
    shell.frames.push(Frame::List { list, next: 0 });
    Flow::Next
}

pub(super) fn count(
    shell: &mut Shell,
    io: &mut CommandIo<'_>,
    command: Arc<Command>,
    started: bool,
    memo: Vec<Substituted>,
) -> Flow {
    let CommandKind::Count { expressions, body } = &command.kind else {
        unreachable!("a Count frame holds a counted loop");
    };
    let again = Arc::clone(&command);
    let frame = move |memo| Frame::Count { command: again, started, memo };
    let goes_on = attempt(shell, io, frame, memo, |expansion| {
        expansion.number(&expressions[if started { 2 } else { 0 }])?;
        let empty = expressions[1].parts.is_empty();
        Ok(empty || expansion.number(&expressions[1])? != 0)
    });
    match goes_on {
        Err(flow) => flow,
        Ok(false) => {
            shell.status = 0;
            Flow::Next
        }
        Ok(true) => {
            let list = Arc::clone(body);
            shell.frames.push(Frame::Count { command, started: true, memo: Vec::new() });
            shell.frames.push(Frame::List { list, next: 0 });
            Flow::Next
        }
    }
}
