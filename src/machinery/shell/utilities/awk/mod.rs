//! `awk`, as far as scripts use it to pick columns, count and add up.
//!
//! Not there: functions of one's own, `getline`, pipes and commands.

mod functions;
mod lexer;
mod parse;
mod run;
mod syntax;
mod value;

use super::super::host::CommandRun;
use super::super::io::CommandIo;
use super::filter::{Filter, Lines, read_named};
use super::text::lossy;
use crate::machinery::shell::escape::unescape;
use crate::machinery::shell::parser::is_name;
use run::{Machine, Stop};
use value::Value;

/// The command line of an awk.
#[derive(Clone, Debug, Default)]
struct Arguments {
    separator: Option<String>,
    variables: Vec<(String, String)>,
    files: Vec<String>,
    program: Option<String>,
    rest: Vec<String>,
}

impl Arguments {
    fn parse(words: &[String]) -> Self {
        let mut arguments = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix('-').filter(|flag| !flag.is_empty() && *flag != "-") else {
                let first = if word == "--" { words.next() } else { Some(word) };
                let mut rest: Vec<String> = first.into_iter().chain(words.by_ref()).cloned().collect();
                if arguments.files.is_empty() && !rest.is_empty() {
                    arguments.program = Some(rest.remove(0));
                }
                arguments.rest = rest;
                break;
            };
            let mut value = || match &flag[1..] {
                "" => words.next().cloned().unwrap_or_default(),
                attached => attached.to_owned(),
            };
            match flag.chars().next() {
                Some('F') => arguments.separator = Some(value()),
                Some('v') => {
                    if let Some((name, text)) = value().split_once('=') {
                        arguments.variables.push((name.to_owned(), text.to_owned()));
                    }
                }
                Some('f') => arguments.files.push(value()),
                _ => {}
            }
        }
        arguments
    }
}

/// What an operand such as `OFS=-` sets; it is a file's name when it sets nothing.
fn assignment(word: &str) -> Option<(&str, &str)> {
    word.split_once('=').filter(|(name, _)| is_name(name))
}

fn unescaped(text: &str) -> String {
    lossy(&unescape(text).bytes)
}

/// `awk`.
pub(super) fn awk(arguments: &[String]) -> Box<dyn CommandRun> {
    let arguments = Arguments::parse(arguments);
    let names = arguments.rest.iter().filter(|word| assignment(word).is_none()).cloned().collect();
    Filter::run(Box::new(Awk { arguments, machine: None, failed: false }), names)
}

#[derive(Clone, Debug)]
struct Awk {
    arguments: Arguments,
    /// The program, once it was read.
    machine: Option<Box<Machine>>,
    failed: bool,
}

impl Awk {
    fn machine(&self, io: &mut CommandIo<'_>) -> Result<Machine, String> {
        let mut text = self.arguments.program.clone().unwrap_or_default();
        for file in &self.arguments.files {
            let bytes = read_named(io, file).map_err(|error| format!("{file}: {error}"))?;
            text.push_str(&lossy(&bytes));
            text.push('\n');
        }
        if text.is_empty() && self.arguments.files.is_empty() && self.arguments.program.is_none() {
            return Err("usage: awk [-F fs] [-v var=value] 'prog' [file ...]".to_owned());
        }
        let mut machine = Machine::new(parse::program(&text)?);
        if let Some(separator) = &self.arguments.separator {
            let separator = if separator == "t" { "\t".to_owned() } else { unescaped(separator) };
            machine.set("FS", Value::Text(separator));
        }
        let among_files = self.arguments.rest.iter().filter_map(|word| assignment(word));
        let variables = self.arguments.variables.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in variables.chain(among_files) {
            machine.set(name, Value::of_input(&unescaped(text)));
        }
        Ok(machine)
    }

    /// What comes of how an action ended; whether it goes on with the next line.
    fn goes_on(&mut self, done: Result<(), Stop>, io: &mut CommandIo<'_>) -> bool {
        match done {
            Ok(()) | Err(Stop::Next | Stop::Break | Stop::Continue) => true,
            Err(Stop::Exit(code)) => {
                if let Some(machine) = &mut self.machine {
                    machine.exited = Some(code);
                }
                false
            }
            Err(Stop::Failed(why)) => {
                io.complain(&why);
                self.failed = true;
                false
            }
        }
    }

    fn code(&self) -> i32 {
        let exited = self.machine.as_ref().and_then(|machine| machine.exited);
        if self.failed { 2 } else { exited.unwrap_or(0) }
    }
}

impl Lines for Awk {
    fn begin(&mut self, io: &mut CommandIo<'_>) -> Option<i32> {
        match self.machine(io) {
            Ok(machine) => self.machine = Some(Box::new(machine)),
            Err(why) => {
                io.complain(&why);
                return Some(2);
            }
        }
        let done = self.machine.as_mut().map_or(Ok(()), |machine| machine.moment(false, io));
        let goes_on = self.goes_on(done, io);
        let reads = self.machine.as_ref().is_some_and(|machine| machine.reads());
        (!goes_on || !reads).then(|| self.code())
    }

    fn file(&mut self, name: &str, _: usize, _: &mut CommandIo<'_>) {
        if let Some(machine) = &mut self.machine {
            machine.set("FILENAME", Value::Text(name.to_owned()));
            machine.set("FNR", Value::Number(0.0));
        }
    }

    fn line(&mut self, line: &[u8], _: bool, io: &mut CommandIo<'_>) -> bool {
        let line = lossy(line);
        let done = self.machine.as_mut().map_or(Ok(()), |machine| machine.take(&line, io));
        self.goes_on(done, io)
    }

    fn end(&mut self, io: &mut CommandIo<'_>, failed: bool) -> i32 {
        if !self.failed {
            let done = self.machine.as_mut().map_or(Ok(()), |machine| machine.moment(true, io));
            self.goes_on(done, io);
        }
        if failed && self.code() == 0 { 2 } else { self.code() }
    }

    fn problem(&self, name: &str, error: &str) -> String {
        format!("{name}: {error}")
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}
