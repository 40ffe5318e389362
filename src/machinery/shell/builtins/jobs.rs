//! `jobs`, `fg`, `kill` and `wait`: the children that run in the background.
//!
//! A job's number is its place among those that still run. None is ever stopped, so `bg` has nothing to do.

use super::super::interpreter::{Flow, take_child, wait_on};
use super::super::io::CommandIo;
use super::super::shell::{Frame, Shell};
use super::super::table::{Pid, Wait};
use super::super::utilities;
use super::complain;

/// The jobs that run, oldest first, each with its command.
fn running(io: &CommandIo<'_>) -> Vec<(Pid, String)> {
    let own = io.process.pid;
    io.processes().into_iter().filter(|row| row.1 == own).map(|row| (row.0, row.2)).collect()
}

/// The job that `%1`, `%%` or `%name` means; the newest when nothing is named.
fn job(io: &CommandIo<'_>, word: &str) -> Option<(Pid, String)> {
    let mut jobs = running(io);
    let name = word.trim_start_matches('%');
    match name {
        "" | "%" | "+" => jobs.pop(),
        "-" => jobs.pop().and_then(|_| jobs.pop()),
        _ => match name.parse::<usize>() {
            Ok(number) => number.checked_sub(1).filter(|at| *at < jobs.len()).map(|at| jobs.swap_remove(at)),
            Err(_) => jobs.into_iter().rev().find(|(_, command)| command.starts_with(name)),
        },
    }
}

pub(super) fn jobs(_: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let only_pids = arguments.iter().any(|word| word == "-p");
    let with_pids = arguments.iter().any(|word| word == "-l");
    let jobs = running(io);
    for (at, (pid, command)) in jobs.iter().enumerate() {
        let mark = match jobs.len() - at {
            1 => "+",
            2 => "-",
            _ => " ",
        };
        let pid_shown = if with_pids { format!(" {pid}") } else { String::new() };
        let line = if only_pids {
            format!("{pid}\n")
        } else {
            format!("[{}]{mark}{pid_shown}  Running                 {command} &\n", at + 1)
        };
        io.out(&line);
    }
    0
}

/// `fg`: waits for a job as if it had never been put aside.
pub(super) fn foreground(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> Flow {
    let word = arguments.first().map_or("%+", String::as_str);
    let Some((pid, command)) = job(io, word) else {
        let named = arguments.first().map_or("current", String::as_str);
        complain(shell, io, "fg", &format!("{named}: no such job"));
        shell.status = 1;
        return Flow::Next;
    };
    io.out(&format!("{command}\n"));
    wait_on(shell, Frame::Foreground { pid }, Wait::Child(pid, None))
}

/// `kill`, which knows jobs besides processes.
pub(super) fn kill(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let mut words = Vec::with_capacity(arguments.len());
    for word in arguments {
        if !word.starts_with('%') {
            words.push(word.clone());
            continue;
        }
        match job(io, word) {
            Some((pid, _)) => words.push(pid.to_string()),
            None => {
                complain(shell, io, "kill", &format!("{word}: no such job"));
                return 1;
            }
        }
    }
    utilities::kill(io, &words)
}

pub(super) fn wait(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> Flow {
    let pid = |word: &String| {
        if word.starts_with('%') { job(io, word).map(|(pid, _)| pid) } else { word.parse().ok() }
    };
    let pids: Vec<Pid> = arguments.iter().filter_map(pid).collect();
    wait_for(shell, io, if pids.is_empty() { None } else { Some(pids) })
}

/// Goes on with `wait`.
pub(in super::super) fn wait_for(shell: &mut Shell, io: &mut CommandIo<'_>, pids: Option<Vec<Pid>>) -> Flow {
    let Some(mut pids) = pids else {
        let running = io.process.children.iter().find(|(_, code)| code.is_none()).map(|(pid, _)| *pid);
        return match running {
            Some(pid) => wait_on(shell, Frame::WaitFor { pids: None }, Wait::Child(pid, None)),
            None => {
                io.process.children.clear();
                shell.status = 0;
                Flow::Next
            }
        };
    };
    while let Some(pid) = pids.first().copied() {
        match take_child(io, pid) {
            Some(code) => shell.status = code,
            None => return wait_on(shell, Frame::WaitFor { pids: Some(pids) }, Wait::Child(pid, None)),
        }
        pids.remove(0);
    }
    Flow::Next
}
