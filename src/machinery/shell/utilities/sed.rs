//! `sed`: addresses, `s`, `p`, `d`, `q`, `a`, `i`, `c`, `y`, `=` and blocks; no hold space and no branches.

use super::super::files::WriteAt;
use super::super::host::{CommandPoll, CommandRun};
use super::super::io::CommandIo;
use super::super::regex::Regex;
use super::Arguments;
use super::filter::{Filter, Lines};

#[derive(Clone, Debug)]
enum Address {
    Line(u64),
    Last,
    Step(u64, u64),
    Pattern(Regex),
}

#[derive(Clone, Debug)]
enum Action {
    Substitute { pattern: Regex, with: String, number: usize, all: bool, print: bool },
    Print,
    Delete,
    Quit(i32),
    Append(String),
    Insert(String),
    Change(String),
    Translate(Vec<char>, Vec<char>),
    Number,
    Block(Vec<Command>),
}

#[derive(Clone, Debug)]
struct Command {
    first: Option<Address>,
    last: Option<Address>,
    negated: bool,
    action: Action,
    /// Whether the range is open, and since which line.
    open: Option<u64>,
}

#[derive(Clone, Debug)]
struct Engine {
    commands: Vec<Command>,
    quiet: bool,
    line: u64,
    quit: Option<i32>,
}

/// What a cycle has made so far.
struct Cycle {
    text: String,
    deleted: bool,
    out: String,
    after: String,
}

impl Engine {
    /// Runs the script on a line; what is to be written.
    fn cycle(&mut self, line: &str, is_last: bool) -> String {
        self.line += 1;
        let mut cycle = Cycle { text: line.to_owned(), deleted: false, out: String::new(), after: String::new() };
        let (number, quit) = (self.line, &mut self.quit);
        run(&mut self.commands, &mut cycle, number, is_last, quit);
        if !self.quiet && !cycle.deleted {
            cycle.out.push_str(&format!("{}\n", cycle.text));
        }
        cycle.out.push_str(&cycle.after);
        cycle.out
    }
}

fn matches(address: &Address, text: &str, line: u64, is_last: bool) -> bool {
    match address {
        Address::Line(number) => *number == line,
        Address::Last => is_last,
        Address::Step(first, step) => line >= *first && (line - first).is_multiple_of((*step).max(1)),
        Address::Pattern(pattern) => pattern.is_match(text),
    }
}

fn selected(command: &mut Command, text: &str, line: u64, is_last: bool) -> bool {
    let found = match (&command.first, &command.last) {
        (None, _) => true,
        (Some(first), None) => matches(first, text, line, is_last),
        (Some(first), Some(last)) => match command.open {
            Some(since) => {
                let ends = match last {
                    Address::Line(number) => *number <= line,
                    other => line > since && matches(other, text, line, is_last),
                };
                if ends {
                    command.open = None;
                }
                !matches!(last, Address::Line(number) if *number < line)
            }
            None => {
                let begins = matches(first, text, line, is_last);
                if begins && !matches!(last, Address::Line(number) if *number <= line) {
                    command.open = Some(line);
                }
                begins
            }
        },
    };
    found != command.negated
}

fn run(commands: &mut [Command], cycle: &mut Cycle, line: u64, is_last: bool, quit: &mut Option<i32>) {
    for command in commands {
        if cycle.deleted || quit.is_some() {
            return;
        }
        if !selected(command, &cycle.text, line, is_last) {
            continue;
        }
        match &mut command.action {
            Action::Substitute { pattern, with, number, all, print } => {
                if let Some(text) = pattern.replace(&cycle.text, with, *number, *all) {
                    cycle.text = text;
                    if *print {
                        cycle.out.push_str(&format!("{}\n", cycle.text));
                    }
                }
            }
            Action::Print => cycle.out.push_str(&format!("{}\n", cycle.text)),
            Action::Delete => cycle.deleted = true,
            Action::Quit(code) => *quit = Some(*code),
            Action::Append(text) => cycle.after.push_str(&format!("{text}\n")),
            Action::Insert(text) => cycle.out.push_str(&format!("{text}\n")),
            Action::Change(text) => {
                cycle.out.push_str(&format!("{text}\n"));
                cycle.deleted = true;
            }
            Action::Translate(from, to) => {
                let change = |c: char| from.iter().position(|held| *held == c).map_or(c, |index| to[index]);
                cycle.text = cycle.text.chars().map(change).collect();
            }
            Action::Number => cycle.out.push_str(&format!("{line}\n")),
            Action::Block(inner) => run(inner, cycle, line, is_last, quit),
        }
    }
}

struct Parser<'a> {
    text: std::iter::Peekable<std::str::Chars<'a>>,
    extended: bool,
    depth: u32,
}

impl Parser<'_> {
    fn skip(&mut self, what: &str) {
        while self.text.next_if(|c| what.contains(*c)).is_some() {}
    }

    fn commands(&mut self) -> Result<Vec<Command>, String> {
        let mut commands = Vec::new();
        loop {
            self.skip(" \t\n;");
            match self.text.peek() {
                None if self.depth > 0 => return Err("unmatched '{'".to_owned()),
                None => return Ok(commands),
                Some('}') if self.depth > 0 => {
                    self.text.next();
                    return Ok(commands);
                }
                Some('#') => while self.text.next_if(|c| *c != '\n').is_some() {},
                Some(_) => commands.push(self.command()?),
            }
        }
    }

    fn number(&mut self) -> u64 {
        let mut number: u64 = 0;
        while let Some(digit) = self.text.peek().and_then(|c| c.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(u64::from(digit));
            self.text.next();
        }
        number
    }

    fn address(&mut self) -> Result<Option<Address>, String> {
        Ok(match self.text.peek().copied() {
            Some('$') => {
                self.text.next();
                Some(Address::Last)
            }
            Some(digit) if digit.is_ascii_digit() => {
                let first = self.number();
                if self.text.next_if_eq(&'~').is_some() {
                    Some(Address::Step(first, self.number()))
                } else {
                    Some(Address::Line(first))
                }
            }
            Some('/' | '\\') => {
                let mut delimiter = self.text.next().unwrap_or('/');
                if delimiter == '\\' {
                    delimiter = self.text.next().unwrap_or('/');
                }
                let pattern = self.until(delimiter)?;
                let ignore = self.text.next_if_eq(&'I').is_some();
                Some(Address::Pattern(Regex::new(&pattern, self.extended, ignore)?))
            }
            _ => None,
        })
    }

    /// The text up to a delimiter, which a backslash makes a letter.
    fn until(&mut self, delimiter: char) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.text.next() {
                None => return Err("unterminated address regex".to_owned()),
                Some(c) if c == delimiter => return Ok(text),
                Some('\\') => match self.text.next() {
                    Some(c) if c == delimiter => text.push(c),
                    Some(c) => text.extend(['\\', c]),
                    None => return Err("unterminated address regex".to_owned()),
                },
                Some(c) => text.push(c),
            }
        }
    }

    fn line(&mut self) -> String {
        self.skip(" \t");
        if self.text.next_if_eq(&'\\').is_some() {
            self.skip(" \t\n");
        }
        let mut text = String::new();
        while let Some(c) = self.text.next() {
            match c {
                '\n' => break,
                '\\' => text.extend(self.text.next()),
                other => text.push(other),
            }
        }
        text
    }

    fn command(&mut self) -> Result<Command, String> {
        let first = self.address()?;
        let mut last = None;
        self.skip(" ");
        if self.text.next_if_eq(&',').is_some() {
            self.skip(" ");
            last = self.address()?;
        }
        self.skip(" ");
        let negated = self.text.next_if_eq(&'!').is_some();
        self.skip(" ");
        let action = match self.text.next() {
            Some('s') => self.substitute()?,
            Some('p') => Action::Print,
            Some('d') => Action::Delete,
            Some('q') => {
                self.skip(" ");
                Action::Quit(i32::try_from(self.number()).unwrap_or(0))
            }
            Some('a') => Action::Append(self.line()),
            Some('i') => Action::Insert(self.line()),
            Some('c') => Action::Change(self.line()),
            Some('=') => Action::Number,
            Some('y') => {
                let delimiter = self.text.next().ok_or("bad format in y expression")?;
                let from: Vec<char> = self.until(delimiter)?.chars().collect();
                let to: Vec<char> = self.until(delimiter)?.chars().collect();
                if from.len() != to.len() {
                    return Err("strings for `y' command are different lengths".to_owned());
                }
                Action::Translate(from, to)
            }
            Some('{') => {
                self.depth += 1;
                if self.depth > 20 {
                    return Err("too deeply nested".to_owned());
                }
                let inner = self.commands()?;
                self.depth -= 1;
                Action::Block(inner)
            }
            Some(other) => return Err(format!("unsupported command {other}")),
            None => return Err("missing command".to_owned()),
        };
        Ok(Command { first, last, negated, action, open: None })
    }

    fn substitute(&mut self) -> Result<Action, String> {
        let delimiter = self.text.next().ok_or("bad format in substitution expression")?;
        let pattern = self.until(delimiter)?;
        let with = self.until(delimiter).map_err(|_| "unmatched '/'".to_owned())?;
        let (mut number, mut all, mut print, mut ignore) = (1, false, false, false);
        while let Some(flag) = self.text.peek().copied() {
            match flag {
                'g' => all = true,
                'p' => print = true,
                'i' | 'I' => ignore = true,
                digit if digit.is_ascii_digit() => {
                    number = usize::try_from(self.number()).unwrap_or(1).max(1);
                    continue;
                }
                _ => break,
            }
            self.text.next();
        }
        let pattern = Regex::new(&pattern, self.extended, ignore)?;
        Ok(Action::Substitute { pattern, with, number, all, print })
    }
}

#[derive(Clone, Debug)]
struct Sed {
    engine: Result<Engine, String>,
    /// The line before, as only the next one tells whether it was the last.
    held: Option<(String, bool)>,
}

impl Lines for Sed {
    fn begin(&mut self, io: &mut CommandIo<'_>) -> Option<i32> {
        let problem = self.engine.as_ref().err().cloned()?;
        io.complain(&problem);
        Some(1)
    }

    fn line(&mut self, line: &[u8], ended: bool, io: &mut CommandIo<'_>) -> bool {
        let line = String::from_utf8_lossy(line).into_owned();
        let Some((before, _)) = self.held.replace((line, ended)) else {
            return true;
        };
        self.give(&before, false, true, io)
    }

    fn end(&mut self, io: &mut CommandIo<'_>, failed: bool) -> i32 {
        if let Some((line, ended)) = self.held.take()
            && self.engine.as_ref().is_ok_and(|engine| engine.quit.is_none())
        {
            self.give(&line, true, ended, io);
        }
        let quit = self.engine.as_ref().ok().and_then(|engine| engine.quit);
        quit.unwrap_or(i32::from(failed))
    }

    fn problem(&self, name: &str, error: &str) -> String {
        format!("{name}: {error}")
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

impl Sed {
    fn give(&mut self, line: &str, is_last: bool, ended: bool, io: &mut CommandIo<'_>) -> bool {
        let Ok(engine) = &mut self.engine else {
            return false;
        };
        let mut out = engine.cycle(line, is_last);
        if !ended {
            out.truncate(out.trim_end_matches('\n').len());
        }
        io.out(&out);
        engine.quit.is_none()
    }
}

/// `sed -i`: each file is read, changed and written.
#[derive(Clone, Debug)]
struct InPlace {
    engine: Result<Engine, String>,
    names: Vec<String>,
}

impl CommandRun for InPlace {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let engine = match &self.engine {
            Ok(engine) => engine.clone(),
            Err(problem) => {
                let problem = problem.clone();
                io.complain(&problem);
                return CommandPoll::Exited(1);
            }
        };
        let mut code = 0;
        for name in self.names.clone() {
            let path = io.path(&name);
            let mut engine = engine.clone();
            let result = io.files(|files| {
                let bytes = files.read(&path)?;
                let text = String::from_utf8_lossy(&bytes);
                let lines: Vec<&str> = text.lines().collect();
                let mut out = String::new();
                for (index, line) in lines.iter().enumerate() {
                    if engine.quit.is_some() {
                        out.push_str(&format!("{line}\n"));
                    } else {
                        out.push_str(&engine.cycle(line, index + 1 == lines.len()));
                    }
                }
                files.write(&path, out.as_bytes(), WriteAt::Start)
            });
            if let Err(error) = result {
                io.complain(&format!("{name}: {error}"));
                code = 1;
            }
        }
        io.table.files_changed = true;
        CommandPoll::Exited(code)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// `sed`.
pub(super) fn sed(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "e f expression");
    let mut files = parsed.rest.clone();
    let mut script = parsed.values("e expression").join("\n");
    if script.is_empty() && !files.is_empty() {
        script = files.remove(0);
    }
    let extended = parsed.has("E r regexp-extended");
    let mut parser = Parser { text: script.chars().peekable(), extended, depth: 0 };
    let quiet = parsed.has("n quiet silent");
    let engine = parser.commands().map(|commands| Engine { commands, quiet, line: 0, quit: None });
    if parsed.has("i in-place") {
        return Box::new(InPlace { engine, names: files });
    }
    Filter::run(Box::new(Sed { engine, held: None }), files)
}
