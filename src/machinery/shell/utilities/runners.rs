//! Utilities that wait or run other commands.

use std::time::Duration;

use super::super::host::{CommandPoll, CommandRun, Signal};
use super::super::io::{CommandIo, Input};
use super::super::shell::Variable;
use super::Arguments;
use crate::machinery::time::Time;

/// A duration as `sleep` and `timeout` read it; nothing for `infinity`.
fn duration(text: &str) -> Result<Option<Duration>, String> {
    if matches!(text, "infinity" | "inf") {
        return Ok(None);
    }
    let unit = text.chars().last().unwrap_or_default();
    let (digits, factor) = match unit {
        's' => (&text[..text.len() - 1], 1.0),
        'm' => (&text[..text.len() - 1], 60.0),
        'h' => (&text[..text.len() - 1], 3600.0),
        'd' => (&text[..text.len() - 1], 86_400.0),
        _ => (text, 1.0),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = digits.parse::<f64>().ok().filter(|_| plain).ok_or_else(|| format!("invalid number '{text}'"))?;
    Ok(Some(Duration::from_secs_f64((seconds * factor).min(1e11))))
}

#[derive(Clone, Debug)]
struct Sleep {
    arguments: Vec<String>,
    until: Option<Time>,
}

/// `sleep`.
pub(super) fn sleep(arguments: &[String]) -> Box<dyn CommandRun> {
    Box::new(Sleep { arguments: arguments.to_vec(), until: None })
}

impl CommandRun for Sleep {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if let Some(until) = self.until {
            return if until <= io.now() { CommandPoll::Exited(0) } else { CommandPoll::Until(until) };
        }
        if self.arguments.is_empty() {
            io.complain("missing operand");
            return CommandPoll::Exited(1);
        }
        let mut total = Duration::ZERO;
        for argument in self.arguments.clone() {
            match duration(&argument) {
                Ok(Some(part)) => total = total.saturating_add(part),
                Ok(None) => return CommandPoll::Forever,
                Err(problem) => {
                    io.complain(&problem);
                    return CommandPoll::Exited(1);
                }
            }
        }
        if total.is_zero() {
            return CommandPoll::Exited(0);
        }
        let until = io.now() + total;
        self.until = Some(until);
        CommandPoll::Until(until)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// A utility that prepares something and then becomes another command.
#[derive(Clone, Debug)]
struct Prefix {
    name: String,
    arguments: Vec<String>,
}

/// `env`, `nice`, `nohup` and their like.
pub(super) fn prefix(name: &str, arguments: &[String]) -> Box<dyn CommandRun> {
    Box::new(Prefix { name: name.to_owned(), arguments: arguments.to_vec() })
}

impl CommandRun for Prefix {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let mut rest = self.arguments.as_slice();
        while let Some(word) = rest.first() {
            match word.as_str() {
                "-i" | "-" if self.name == "env" => io.process.variables.clear(),
                "-u" if self.name == "env" => {
                    if let Some(name) = rest.get(1) {
                        io.process.variables.remove(name);
                    }
                    rest = &rest[1..];
                }
                "-n" | "-c" if self.name != "env" => rest = &rest[1..],
                option if option.starts_with('-') => {}
                _ => match word.split_once('=') {
                    Some((name, value)) if self.name == "env" => {
                        io.process.variables.insert(name.to_owned(), Variable::exported(value.to_owned()));
                    }
                    _ => break,
                },
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            return CommandPoll::Exec(rest.to_vec());
        }
        if self.name == "env" {
            super::basic::printenv(io, &[]);
        }
        CommandPoll::Exited(0)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

#[derive(Clone, Debug)]
struct Timeout {
    limit: Result<Option<Duration>, String>,
    signal: Signal,
    command: Vec<String>,
    deadline: Option<Time>,
    started: bool,
    killed: bool,
}

/// `timeout`.
pub(super) fn timeout(arguments: &[String]) -> Box<dyn CommandRun> {
    // Options end where the duration stands: what follows belongs to the command.
    let (mut at, mut signal, mut limit) = (0, Signal::Terminate, None);
    while let Some(word) = arguments.get(at).filter(|word| word.starts_with('-')) {
        match word.as_str() {
            "-s" | "-k" | "-t" => {
                at += 1;
                let value = arguments.get(at).map_or("", String::as_str);
                if word == "-s" {
                    signal = Signal::parse(value).unwrap_or(signal);
                }
                if word == "-t" {
                    limit = Some(duration(value));
                }
            }
            _ => {}
        }
        at += 1;
    }
    let limit = limit.unwrap_or_else(|| {
        at += 1;
        duration(arguments.get(at - 1).map_or("", String::as_str))
    });
    let command = arguments.get(at..).unwrap_or_default().to_vec();
    Box::new(Timeout { limit, signal, command, deadline: None, started: false, killed: false })
}

impl CommandRun for Timeout {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let limit = match &self.limit {
            Ok(limit) => *limit,
            Err(problem) => {
                let problem = problem.clone();
                io.complain(&problem);
                return CommandPoll::Exited(1);
            }
        };
        if !self.started {
            self.started = true;
            if self.command.is_empty() {
                io.complain("missing operand");
                return CommandPoll::Exited(1);
            }
            self.deadline = limit.map(|limit| io.now() + limit);
            return CommandPoll::Run(self.command.clone(), self.deadline);
        }
        if let Some(code) = io.take_status() {
            return CommandPoll::Exited(code);
        }
        if !self.killed && self.deadline.is_some_and(|deadline| deadline <= io.now()) {
            self.killed = true;
            io.kill_children(self.signal);
        }
        let deadline = self.deadline.filter(|_| !self.killed);
        CommandPoll::Run(Vec::new(), deadline)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

#[derive(Clone, Debug)]
struct Xargs {
    parsed: Arguments,
    command: Vec<String>,
    input: Vec<u8>,
    /// The commands still to run, last first; nothing until the input has ended.
    queue: Option<Vec<Vec<String>>>,
    code: i32,
}

/// `xargs`.
pub(super) fn xargs(arguments: &[String]) -> Box<dyn CommandRun> {
    let options = |word: &&String| word.starts_with('-');
    let mut at = 0;
    while let Some(word) = arguments.get(at).filter(options) {
        at += if matches!(word.as_str(), "-n" | "-I" | "-P" | "-d" | "-L" | "-s" | "-a") { 2 } else { 1 };
    }
    let at = at.min(arguments.len());
    let parsed = Arguments::parse(&arguments[..at], "n I P d L s a");
    let command = if at < arguments.len() { arguments[at..].to_vec() } else { vec!["echo".to_owned()] };
    Box::new(Xargs { parsed, command, input: Vec::new(), queue: None, code: 0 })
}

impl Xargs {
    fn commands(&self) -> Vec<Vec<String>> {
        let text = String::from_utf8_lossy(&self.input).into_owned();
        if let Some(mark) = self.parsed.value("I") {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            return lines.map(|line| self.command.iter().map(|word| word.replace(mark, line)).collect()).collect();
        }
        let words: Vec<String> = if self.parsed.has("0") {
            text.split('\0').filter(|word| !word.is_empty()).map(str::to_owned).collect()
        } else if let Some(delimiter) = self.parsed.value("d") {
            let delimiter = String::from_utf8_lossy(&super::super::escape::unescape(delimiter).bytes).into_owned();
            text.split(&delimiter)
                .map(|word| word.trim_end_matches('\n').to_owned())
                .filter(|word| !word.is_empty())
                .collect()
        } else {
            text.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect()
        };
        if words.is_empty() {
            return if self.parsed.has("r") { Vec::new() } else { vec![self.command.clone()] };
        }
        let most = self.parsed.value("n L").and_then(|text| text.parse().ok()).unwrap_or(1000_usize).max(1);
        words.chunks(most).map(|chunk| [self.command.as_slice(), chunk].concat()).collect()
    }
}

impl CommandRun for Xargs {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        while self.queue.is_none() {
            match io.read(0, 16 << 10) {
                Input::Data(bytes) => {
                    self.input.extend_from_slice(&bytes);
                    if self.input.len() > 1 << 20 {
                        io.complain("argument list too long");
                        return CommandPoll::Exited(1);
                    }
                }
                Input::Pending => return CommandPoll::Readable(0),
                Input::End => {
                    let mut commands = self.commands();
                    commands.reverse();
                    self.queue = Some(commands);
                }
            }
        }
        match io.take_status() {
            Some(0) | None => {}
            Some(code @ (126 | 127)) => self.code = code,
            Some(_) => self.code = 123,
        }
        match self.queue.as_mut().and_then(Vec::pop) {
            Some(command) => CommandPoll::Run(command, None),
            None => CommandPoll::Exited(self.code),
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
