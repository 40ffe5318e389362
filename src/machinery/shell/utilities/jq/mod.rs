//! `jq`, as far as people use it on what an API server answers.
//!
//! Follows jq 1.7. Not there: functions of one's own, `foreach`, `label`, dates, modules and streams. A filter's results
//! are all made before the first is printed.

mod evaluate;
mod functions;
mod parse;
mod syntax;
mod values;

use serde_json::Value;

use super::super::host::CommandRun;
use super::super::io::CommandIo;
use super::filter::Gather;
use super::text::lossy;
use evaluate::{Item, Machine};

/// How `jq` was called.
#[derive(Clone, Debug, Default)]
struct Options {
    raw: bool,
    joined: bool,
    compact: bool,
    sorted: bool,
    slurp: bool,
    null_input: bool,
    raw_input: bool,
    tells_status: bool,
    tabs: bool,
    indent: Option<usize>,
    variables: Vec<(String, Value)>,
    filter: Option<String>,
    files: Vec<String>,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut next = || words.next().cloned().unwrap_or_default();
            match word.as_str() {
                "--arg" => {
                    let name = next();
                    options.variables.push((name, next().into()));
                }
                "--argjson" => {
                    let (name, text) = (next(), next());
                    let value =
                        serde_json::from_str(&text).map_err(|_| "Invalid JSON text passed to --argjson".to_owned())?;
                    options.variables.push((name, value));
                }
                "--indent" => options.indent = next().parse().ok(),
                long if long.starts_with("--") && long.len() > 2 => options.long(&long[2..])?,
                short if short.starts_with('-') && short.len() > 1 => {
                    for letter in short[1..].chars() {
                        options.short(letter)?;
                    }
                }
                other if options.filter.is_none() => options.filter = Some(other.to_owned()),
                file => options.files.push(file.to_owned()),
            }
        }
        Ok(options)
    }

    fn short(&mut self, letter: char) -> Result<(), String> {
        match letter {
            'r' => self.raw = true,
            'j' => (self.raw, self.joined) = (true, true),
            'c' => self.compact = true,
            'S' => self.sorted = true,
            's' => self.slurp = true,
            'n' => self.null_input = true,
            'R' => self.raw_input = true,
            'e' => self.tells_status = true,
            'C' | 'M' | 'a' => {}
            other => return Err(format!("Unknown arguments: -{other}")),
        }
        Ok(())
    }

    fn long(&mut self, name: &str) -> Result<(), String> {
        let letters = [
            ("raw-output", 'r'),
            ("join-output", 'j'),
            ("compact-output", 'c'),
            ("sort-keys", 'S'),
            ("slurp", 's'),
            ("null-input", 'n'),
            ("raw-input", 'R'),
            ("exit-status", 'e'),
            ("color-output", 'C'),
            ("monochrome-output", 'M'),
            ("ascii-output", 'a'),
        ];
        if name == "tab" {
            self.tabs = true;
            return Ok(());
        }
        let found = letters.into_iter().find(|(known, _)| *known == name);
        let (_, letter) = found.ok_or_else(|| format!("Unknown arguments: --{name}"))?;
        self.short(letter)
    }

    fn print(&self, value: &Value) -> String {
        let mut text = String::new();
        match value {
            Value::String(plain) if self.raw => text.clone_from(plain),
            value => {
                let value = if self.sorted { values::sorted(value) } else { value.clone() };
                let step = if self.tabs { "\t".to_owned() } else { " ".repeat(self.indent.unwrap_or(2).min(8)) };
                if self.compact || step.is_empty() {
                    text = value.to_string();
                } else {
                    pretty(&value, &step, "\n", &mut text);
                }
            }
        }
        if !self.joined {
            text.push('\n');
        }
        text
    }
}

/// Prints a value over several lines.
fn pretty(value: &Value, step: &str, line: &str, text: &mut String) {
    let inner = format!("{line}{step}");
    match value {
        Value::Array(list) if !list.is_empty() => {
            text.push('[');
            for (at, value) in list.iter().enumerate() {
                text.push_str(if at > 0 { "," } else { "" });
                text.push_str(&inner);
                pretty(value, step, &inner, text);
            }
            text.push_str(line);
            text.push(']');
        }
        Value::Object(fields) if !fields.is_empty() => {
            text.push('{');
            for (at, (key, value)) in fields.iter().enumerate() {
                text.push_str(if at > 0 { "," } else { "" });
                text.push_str(&inner);
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push_str(": ");
                pretty(value, step, &inner, text);
            }
            text.push_str(line);
            text.push('}');
        }
        other => text.push_str(&other.to_string()),
    }
}

/// `jq`.
pub(super) fn jq(arguments: &[String]) -> Box<dyn CommandRun> {
    let options = Options::parse(arguments).unwrap_or_default();
    let mut files = options.files;
    if options.null_input {
        files = vec!["/dev/null".to_owned()];
    }
    Gather::run(files, arguments, filtered)
}

fn filtered(io: &mut CommandIo<'_>, arguments: &[String], input: Vec<u8>) -> i32 {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(why) => {
            io.write(2, format!("jq: {why}\nUse jq --help for help with command-line options,\nor see the jq manpage, or online docs  at https://jqlang.github.io/jq\n").as_bytes());
            return 2;
        }
    };
    let Some(text) = &options.filter else {
        io.write(2, b"Usage:\tjq [OPTIONS] FILTER [FILES...]\n");
        return 2;
    };
    let filter = match parse::filter(text) {
        Ok(filter) => filter,
        Err(why) => {
            io.write(2, format!("jq: error: {why} at <top-level>, line 1:\n{text}\njq: 1 compile error\n").as_bytes());
            return 3;
        }
    };
    let text = lossy(&input);
    let (inputs, problem) = inputs(&text, &options);
    let mut last = None;
    let mut code = 0;
    for (line, input) in inputs {
        let mut machine = Machine::with_variables(options.variables.clone());
        match machine.run(&filter, &Item::new(input)) {
            Ok(items) => {
                for item in items {
                    io.out(&options.print(&item.value));
                    last = Some(item.value);
                }
            }
            Err(why) => {
                let why = match &why {
                    Value::String(text) => format!(": {text}"),
                    other => format!(" (not a string): {other}"),
                };
                io.write(2, format!("jq: error (at <stdin>:{line}){why}\n").as_bytes());
                code = 5;
            }
        }
    }
    if let Some(why) = problem {
        io.write(2, format!("jq: parse error: {why}\n").as_bytes());
        return 2;
    }
    match last {
        _ if code != 0 || !options.tells_status => code,
        None => 4,
        Some(value) => i32::from(!values::is_true(&value)),
    }
}

/// The values of a text, with the lines that they end in, and what is wrong with what comes behind them.
fn inputs(text: &str, options: &Options) -> (Vec<(usize, Value)>, Option<String>) {
    let lines = |end: usize| text[..end].matches('\n').count();
    if options.null_input {
        return (vec![(0, Value::Null)], None);
    }
    if options.raw_input {
        if options.slurp {
            return (vec![(lines(text.len()), text.into())], None);
        }
        return (text.lines().enumerate().map(|(at, line)| (at + 1, line.into())).collect(), None);
    }
    let (mut found, mut at, mut problem) = (Vec::new(), 0, None);
    while let Some(begin) = text[at..].find(|letter: char| !letter.is_whitespace()).map(|begin| at + begin) {
        at = begin + length_of_value(&text[begin..]);
        let end = at + text[at..].starts_with('\n') as usize;
        match serde_json::from_str::<Value>(&text[begin..at]) {
            Ok(value) => found.push((lines(end), value)),
            Err(error) => {
                let line = lines(begin) + error.line();
                problem = Some(format!("Invalid literal at line {line}, column {}", error.column()));
                break;
            }
        }
    }
    if options.slurp {
        let all = found.into_iter().map(|(_, value)| value).collect();
        return (vec![(lines(text.len()), all)], problem);
    }
    (found, problem)
}

/// How long the value is with which a text begins.
fn length_of_value(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, letter) in text.char_indices() {
        if quoted {
            if escaped {
                escaped = false;
            } else if letter == '\\' {
                escaped = true;
            } else if letter == '"' {
                quoted = false;
                if depth == 0 {
                    return at + 1;
                }
            }
            continue;
        }
        match letter {
            '"' => quoted = true,
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            letter if depth == 0 && letter.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}
