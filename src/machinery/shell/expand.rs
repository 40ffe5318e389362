//! Expansion of words. It runs in one go: where it needs a command's output that is not there yet, it stops, and is run
//! again from the start once the command ended, with the outputs so far at hand.

use std::sync::Arc;

use super::files::{WriteAt, normalise};
use super::host::Flavor;
use super::io::CommandIo;
use super::pattern;
use super::shell::{Shell, Substituted, Variable};
use super::syntax::{List, Operation, Parameter, Part, Word};
use super::{arithmetic, arrays};

/// How many fields an expansion may give.
const FIELDS_MAX: usize = 100_000;
/// How long a variable's value may become, in bytes: a loop that doubles it ends here.
const VALUE_BYTES_MAX: usize = 4 << 20;

/// Why an expansion stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The output of this list is needed.
    Need(Arc<List>),
    /// An error, whose text follows the shell's name.
    Fail(String),
}

type Expanded<T> = Result<T, Stop>;

/// An expansion that is under way.
pub(super) struct Expansion<'a, 'b> {
    pub shell: &'a mut Shell,
    pub io: &'a mut CommandIo<'b>,
    pub memo: &'a [Substituted],
    /// How many of the outputs have been used.
    used: usize,
}

/// Fields as they grow. Their text is a pattern in which quoted characters are escaped.
#[derive(Default)]
struct Fields {
    done: Vec<String>,
    current: Option<String>,
}

impl Fields {
    fn push(&mut self, pattern: &str) {
        self.current.get_or_insert_default().push_str(pattern);
    }

    fn end(&mut self) {
        self.done.extend(self.current.take());
    }
}

impl<'a, 'b> Expansion<'a, 'b> {
    pub(super) fn new(shell: &'a mut Shell, io: &'a mut CommandIo<'b>, memo: &'a [Substituted]) -> Self {
        Self { shell, io, memo, used: 0 }
    }

    /// Words into arguments: split at blanks that came from expansions, and globbed.
    pub(super) fn words(&mut self, words: &[Word]) -> Expanded<Vec<String>> {
        let mut all = Vec::new();
        for word in words {
            for word in super::braces::expand(word, self.shell.flavor) {
                let mut fields = Fields::default();
                self.parts(&word.parts, &mut fields, true)?;
                fields.end();
                for field in fields.done {
                    self.glob(&field, &mut all);
                }
            }
            if all.len() > FIELDS_MAX {
                return Err(Stop::Fail("argument list too long".to_owned()));
            }
        }
        Ok(all)
    }

    /// A word into one text: not split, not globbed.
    pub(super) fn text(&mut self, word: &Word) -> Expanded<String> {
        Ok(pattern::unescape(&self.pattern(word)?))
    }

    /// A word into a pattern, in which what was quoted stands for itself.
    pub(super) fn pattern(&mut self, word: &Word) -> Expanded<String> {
        let mut fields = Fields::default();
        self.parts(&word.parts, &mut fields, false)?;
        fields.end();
        Ok(fields.done.join(" "))
    }

    /// The value of an arithmetic expression.
    pub(super) fn number(&mut self, word: &Word) -> Expanded<i64> {
        let quoted = Word { parts: vec![Part::Double(word.parts.clone())] };
        let text = self.text(&quoted)?;
        arithmetic::evaluate(&text, self).map_err(Stop::Fail)
    }

    fn parts(&mut self, parts: &[Part], fields: &mut Fields, split: bool) -> Expanded<()> {
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Literal(text) => {
                    let rest = (index == 0).then(|| self.home(text)).flatten();
                    match rest {
                        Some((home, rest)) => {
                            fields.push(&pattern::escape(&home));
                            fields.push(&rest);
                        }
                        None => fields.push(text),
                    }
                }
                Part::Quoted(text) => fields.push(&pattern::escape(text)),
                Part::Double(inner) => self.double(inner, fields)?,
                Part::Parameter(parameter) => self.parameter(parameter, fields, split)?,
                Part::Substitution(list) => {
                    let text = self.substitution(list)?;
                    self.push_unquoted(&text, fields, split);
                }
                Part::Process(list) => {
                    let path = self.process_file(list)?;
                    fields.push(&pattern::escape(&path));
                }
                Part::Arithmetic(word) => {
                    let value = self.number(word)?.to_string();
                    fields.push(&pattern::escape(&value));
                }
            }
        }
        Ok(())
    }

    /// The file of `<(…)`, under the name that bash gives it. All is written before somebody reads it.
    fn process_file(&mut self, list: &Arc<List>) -> Expanded<String> {
        let mut text = self.substitution(list)?;
        if !text.is_empty() {
            text.push('\n');
        }
        let path = format!("/dev/fd/{}", 64_usize.saturating_sub(self.used));
        let written = self.io.files(|files| {
            for directory in ["/dev", "/dev/fd"] {
                // One that is there already is what is wanted.
                let _ = files.make_directory(directory);
            }
            files.write(&path, text.as_bytes(), WriteAt::Start)
        });
        written.map(|()| path.clone()).map_err(|error| Stop::Fail(format!("{path}: {error}")))
    }

    /// `~` at the beginning of a word: the home directory and what follows.
    fn home(&mut self, text: &str) -> Option<(String, String)> {
        let rest = text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        let home = self.value("HOME").unwrap_or_else(|| "/root".to_owned());
        Some((home, rest.to_owned()))
    }

    fn double(&mut self, parts: &[Part], fields: &mut Fields) -> Expanded<()> {
        let is_arguments = |name: &str| name == "@" || name.ends_with("[@]");
        let only_arguments =
            matches!(parts, [Part::Parameter(p)] if is_arguments(&p.name) && p.operation == Operation::Plain);
        if !only_arguments {
            fields.push("");
        }
        for part in parts {
            match part {
                Part::Literal(text) | Part::Quoted(text) => fields.push(&pattern::escape(text)),
                Part::Parameter(parameter) => match &parameter.operation {
                    Operation::Plain if is_arguments(&parameter.name) => {
                        let arguments = self.list(&parameter.name);
                        for (index, argument) in arguments.iter().enumerate() {
                            if index > 0 {
                                fields.end();
                            }
                            fields.push(&pattern::escape(argument));
                        }
                    }
                    _ => {
                        let mut inner = Fields::default();
                        self.parameter(parameter, &mut inner, false)?;
                        inner.end();
                        let text = pattern::unescape(&inner.done.join(" "));
                        fields.push(&pattern::escape(&text));
                    }
                },
                Part::Substitution(list) => {
                    let text = self.substitution(list)?;
                    fields.push(&pattern::escape(&text));
                }
                Part::Arithmetic(word) => {
                    let value = self.number(word)?.to_string();
                    fields.push(&pattern::escape(&value));
                }
                Part::Double(inner) => self.double(inner, fields)?,
                // Between quotes it is a text like any other.
                Part::Process(_) => {}
            }
        }
        Ok(())
    }

    /// The texts that a name stands for that stands for several.
    fn list(&self, name: &str) -> Vec<String> {
        match name.split_once('[') {
            Some((array, _)) => arrays::elements(self.io, array),
            None => self.shell.positional.clone(),
        }
    }

    fn substitution(&mut self, list: &Arc<List>) -> Expanded<String> {
        match self.memo.get(self.used) {
            Some(made) => {
                self.used += 1;
                self.shell.substituted = Some(made.status);
                Ok(made.text.clone())
            }
            None => Err(Stop::Need(Arc::clone(list))),
        }
    }

    /// Text from an expansion outside of quotes: split at `$IFS`, its glob characters alive.
    fn push_unquoted(&mut self, text: &str, fields: &mut Fields, split: bool) {
        let separators = self.io.process.variables.get("IFS").map_or(" \t\n", |held| &held.value).to_owned();
        let mut after_hard = false;
        for c in text.chars() {
            if split && separators.contains(c) {
                if !c.is_whitespace() && (fields.current.is_none() && (after_hard || fields.done.is_empty())) {
                    fields.push("");
                }
                after_hard = !c.is_whitespace() || (after_hard && fields.current.is_none());
                fields.end();
            } else {
                after_hard = false;
                if c == '\\' {
                    fields.push("\\");
                }
                fields.push(c.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn glob(&mut self, field: &str, all: &mut Vec<String>) {
        if pattern::is_glob(field) && !self.shell.options.no_glob {
            let found = self.matching_paths(field);
            if !found.is_empty() {
                all.extend(found);
                return;
            }
        }
        all.push(pattern::unescape(field));
    }

    fn matching_paths(&mut self, field: &str) -> Vec<String> {
        let mut found = vec![if field.starts_with('/') { "/".to_owned() } else { String::new() }];
        let parts: Vec<&str> = field.split('/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            let mut next = Vec::new();
            for base in &found {
                if !pattern::is_glob(part) {
                    next.push(format!("{base}{}", pattern::unescape(part)));
                    continue;
                }
                let directory = normalise(base, &self.io.process.directory);
                let names = self.io.files(|files| files.list(&directory)).unwrap_or_default();
                let visible = names.iter().filter(|name| !name.starts_with('.') || part.starts_with('.'));
                next.extend(visible.filter(|name| pattern::matches(part, name)).map(|name| format!("{base}{name}")));
            }
            if index + 1 < parts.len() {
                next.iter_mut().for_each(|path| path.push('/'));
            }
            found = next;
        }
        let directory = self.io.process.directory.clone();
        found.retain(|path| self.io.files(|files| files.stat(&normalise(path, &directory), false)).is_ok());
        found
    }

    /// A parameter's value, if it is set.
    pub(super) fn value(&mut self, name: &str) -> Option<String> {
        let shell = &*self.shell;
        if let Ok(index) = name.parse::<usize>() {
            return if index == 0 { Some(shell.name.clone()) } else { shell.positional.get(index - 1).cloned() };
        }
        let now = self.io.now();
        let value = match name {
            "?" => shell.status.to_string(),
            "$" => shell.main_pid.unwrap_or(self.io.process.pid).to_string(),
            "!" => return shell.background.map(|pid| pid.to_string()),
            "#" => shell.positional.len().to_string(),
            "@" | "*" if shell.positional.is_empty() => return None,
            "@" | "*" => shell.positional.join(" "),
            "-" => shell.options.letters(),
            "LINENO" => shell.line.to_string(),
            "PPID" => self.io.process.parent.to_string(),
            "RANDOM" => (self.io.host.random() & 0x7fff).to_string(),
            "SECONDS" => now.since(self.io.process.started).as_secs().to_string(),
            "EPOCHSECONDS" => now.as_secs().to_string(),
            "HOSTNAME" if shell.flavor == Flavor::Bash && !self.io.process.variables.contains_key(name) => {
                self.io.host.hostname()
            }
            "PWD" if !self.io.process.variables.contains_key(name) => self.io.process.directory.clone(),
            _ if name.ends_with(']') => return arrays::value(self, name),
            _ => return self.io.process.variables.get(name).map(|held| held.value.clone()),
        };
        Some(value)
    }

    fn parameter(&mut self, parameter: &Parameter, fields: &mut Fields, split: bool) -> Expanded<()> {
        let name = parameter.name.as_str();
        let value = self.value(name);
        let absent = |empty_too: bool| match &value {
            None => true,
            Some(text) => empty_too && text.is_empty(),
        };
        match &parameter.operation {
            Operation::Plain if is_list(name) && split => {
                for (index, argument) in self.list(name).iter().enumerate() {
                    if index > 0 {
                        fields.end();
                    }
                    self.push_unquoted(argument, fields, split);
                }
                return Ok(());
            }
            Operation::Default { empty_too, word } if absent(*empty_too) => {
                return self.parts(&word.parts, fields, split);
            }
            Operation::Alternative { empty_too, word } => {
                return if absent(*empty_too) { Ok(()) } else { self.parts(&word.parts, fields, split) };
            }
            Operation::Assign { empty_too, word } if absent(*empty_too) => {
                let text = self.text(word)?;
                self.set(name, &text)?;
                self.push_unquoted(&text, fields, split);
                return Ok(());
            }
            Operation::Require { empty_too, word } if absent(*empty_too) => {
                let message = self.text(word)?;
                let message = match message.as_str() {
                    "" if *empty_too => "parameter null or not set",
                    "" => "parameter not set",
                    text => text,
                };
                return Err(Stop::Fail(format!("{name}: {message}")));
            }
            _ => {}
        }
        let tolerant = is_list(name)
            || matches!(
                parameter.operation,
                Operation::Default { .. } | Operation::Assign { .. } | Operation::Require { .. }
            );
        if value.is_none() && self.shell.options.no_unset && !tolerant {
            let text = if self.shell.flavor == Flavor::Bash { "unbound variable" } else { "parameter not set" };
            return Err(Stop::Fail(format!("{name}: {text}")));
        }
        let text = self.operate(name, value.unwrap_or_default(), &parameter.operation)?;
        self.push_unquoted(&text, fields, split);
        Ok(())
    }

    fn operate(&mut self, name: &str, value: String, operation: &Operation) -> Expanded<String> {
        Ok(match operation {
            Operation::Length if is_list(name) => self.list(name).len().to_string(),
            Operation::Length => value.chars().count().to_string(),
            Operation::Indirect => self.value(&value).unwrap_or_default(),
            Operation::TrimEnd { longest, pattern } => {
                let pattern = self.pattern(pattern)?;
                let end = pattern::suffix(&pattern, &value, *longest).unwrap_or(value.len());
                value[..end].to_owned()
            }
            Operation::TrimStart { longest, pattern } => {
                let pattern = self.pattern(pattern)?;
                let start = pattern::prefix(&pattern, &value, *longest).unwrap_or(0);
                value[start..].to_owned()
            }
            Operation::Slice { offset, length } => {
                let offset = self.number(offset)?;
                let length = length.as_ref().map(|length| self.number(length)).transpose()?;
                slice(&value, offset, length)
            }
            Operation::Replace { all, pattern, with } => {
                let pattern = self.pattern(pattern)?;
                let with = self.text(with)?;
                replace(&value, &pattern, &with, *all)
            }
            Operation::Case { upper, all } => {
                let change = |text: &str| if *upper { text.to_uppercase() } else { text.to_lowercase() };
                let first = value.chars().next().map_or(0, char::len_utf8);
                if *all { change(&value) } else { change(&value[..first]) + &value[first..] }
            }
            _ => value,
        })
    }

    fn set(&mut self, name: &str, value: &str) -> Expanded<()> {
        set_variable(self.shell, self.io, name, value.to_owned()).map_err(Stop::Fail)
    }
}

impl arithmetic::Variables for Expansion<'_, '_> {
    fn get(&self, name: &str) -> Option<String> {
        self.io.process.variables.get(name).map(|held| held.value.clone())
    }

    fn set(&mut self, name: &str, value: i64) {
        drop(set_variable(self.shell, self.io, name, value.to_string()));
    }
}

/// Whether a name stands for several texts: all arguments, or all elements of an array.
fn is_list(name: &str) -> bool {
    matches!(name, "@" | "*") || name.ends_with("[@]") || name.ends_with("[*]")
}

/// Sets a variable of the shell.
pub(super) fn set_variable(shell: &Shell, io: &mut CommandIo<'_>, name: &str, value: String) -> Result<(), String> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(format!("{name}: cannot allocate memory"));
    }
    let held = io.process.variables.get(name);
    if held.is_some_and(|held| held.read_only) {
        let text = if shell.flavor == Flavor::Bash { "readonly variable" } else { "is read only" };
        return Err(format!("{name}: {text}"));
    }
    let exported = held.is_some_and(|held| held.exported) || shell.options.all_export;
    io.process.variables.insert(name.to_owned(), Variable { value, exported, read_only: false });
    Ok(())
}

fn slice(value: &str, offset: i64, length: Option<i64>) -> String {
    let count = value.chars().count() as i64;
    let start = if offset < 0 { count + offset } else { offset }.clamp(0, count);
    let end = match length {
        None => count,
        Some(length) if length < 0 => count + length,
        Some(length) => start.saturating_add(length),
    };
    let end = end.clamp(start, count);
    value.chars().skip(start as usize).take((end - start) as usize).collect()
}

fn replace(value: &str, pattern: &str, with: &str, all: bool) -> String {
    let (anchor, pattern) = match pattern.as_bytes().first() {
        Some(b'#') => (Some(true), &pattern[1..]),
        Some(b'%') => (Some(false), &pattern[1..]),
        _ => (None, pattern),
    };
    if anchor == Some(false) {
        let start = pattern::suffix(pattern, value, true);
        return start.map_or_else(|| value.to_owned(), |start| format!("{}{with}", &value[..start]));
    }
    let (mut out, mut at) = (String::new(), 0);
    while at < value.len() {
        match pattern::prefix(pattern, &value[at..], true).filter(|length| *length > 0) {
            Some(length) => {
                out.push_str(with);
                at += length;
                if !all {
                    break;
                }
            }
            None if anchor.is_some() => break,
            None => {
                let c = value[at..].chars().next().unwrap_or_default();
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    out.push_str(&value[at..]);
    out
}
