//! `find`.

use super::super::files::base_name;
use super::super::host::{CommandPoll, CommandRun};
use super::super::io::CommandIo;
use super::super::pattern;

/// How many files are looked at.
const FILES_MAX: usize = 20_000;

#[derive(Clone, Debug)]
struct Find {
    roots: Vec<String>,
    tests: Vec<(bool, String, String)>,
    depths: (usize, usize),
    execute: Vec<String>,
    at_once: bool,
    delete: bool,
    separator: char,
    queue: Option<Vec<Vec<String>>>,
    code: i32,
    problem: Option<String>,
}

/// `find`.
pub(super) fn find(arguments: &[String]) -> Box<dyn CommandRun> {
    let mut found = Find {
        roots: Vec::new(),
        tests: Vec::new(),
        depths: (0, usize::MAX),
        execute: Vec::new(),
        at_once: false,
        delete: false,
        separator: '\n',
        queue: None,
        code: 0,
        problem: None,
    };
    let mut left = arguments.iter();
    let mut negated = false;
    while let Some(word) = left.next() {
        match word.as_str() {
            "!" | "-not" => {
                negated = true;
                continue;
            }
            "-name" | "-iname" | "-path" | "-type" | "-size" | "-newer" | "-mmin" | "-mtime" | "-user" | "-perm" => {
                found.tests.push((negated, word.clone(), left.next().cloned().unwrap_or_default()));
            }
            "-empty" => found.tests.push((negated, word.clone(), String::new())),
            "-maxdepth" => found.depths.1 = left.next().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX),
            "-mindepth" => found.depths.0 = left.next().and_then(|text| text.parse().ok()).unwrap_or(0),
            "-print0" => found.separator = '\0',
            "-delete" => found.delete = true,
            "-print" | "-a" | "-and" | "-L" | "-H" | "-xdev" => {}
            "-exec" => {
                for word in left.by_ref() {
                    if word == ";" || word == "+" {
                        found.at_once = word == "+";
                        break;
                    }
                    found.execute.push(word.clone());
                }
            }
            option if option.starts_with('-') => found.problem = Some(format!("unrecognized: {option}")),
            path => found.roots.push(path.to_owned()),
        }
        negated = false;
    }
    if found.roots.is_empty() {
        found.roots.push(".".to_owned());
    }
    Box::new(found)
}

impl Find {
    fn matches(&self, io: &mut CommandIo<'_>, shown: &str, path: &str) -> bool {
        let Ok(entry) = io.files(|files| files.stat(path, false)) else {
            return false;
        };
        self.tests.iter().all(|(negated, test, value)| {
            let name = base_name(shown);
            let holds = match test.as_str() {
                "-name" => pattern::matches(value, name),
                "-iname" => pattern::matches(&value.to_lowercase(), &name.to_lowercase()),
                "-path" => pattern::matches(value, shown),
                "-type" => match value.as_str() {
                    "d" => entry.is_directory(),
                    "f" => entry.is_file(),
                    _ => !entry.is_directory() && !entry.is_file(),
                },
                "-empty" if entry.is_directory() => {
                    io.files(|files| files.list(path)).is_ok_and(|names| names.is_empty())
                }
                "-empty" => entry.size() == 0,
                "-newer" => {
                    let other = io.path(value);
                    let other = io.files(|files| files.stat(&other, true));
                    other.is_ok_and(|other| entry.modified > other.modified)
                }
                "-size" => {
                    let limit = super::parse_size(value.trim_start_matches(['+', '-'])).unwrap_or(0);
                    match value.chars().next() {
                        Some('+') => entry.size() > limit,
                        Some('-') => entry.size() < limit,
                        _ => entry.size() == limit,
                    }
                }
                "-mmin" | "-mtime" => {
                    let unit = if test == "-mmin" { 60 } else { 86_400 };
                    let age = io.now().since(entry.modified).as_secs() / unit;
                    let limit: u64 = value.trim_start_matches(['+', '-']).parse().unwrap_or(0);
                    match value.chars().next() {
                        Some('+') => age > limit,
                        Some('-') => age < limit,
                        _ => age == limit,
                    }
                }
                _ => true,
            };
            holds != *negated
        })
    }

    /// Every path that matches, directories after what is in them when they are to be deleted.
    fn walk(&mut self, io: &mut CommandIo<'_>) -> Vec<String> {
        let mut stack: Vec<(String, usize)> = self.roots.iter().rev().map(|root| (root.clone(), 0)).collect();
        let (mut found, mut seen) = (Vec::new(), 0);
        while let Some((shown, depth)) = stack.pop() {
            seen += 1;
            let path = io.path(&shown);
            let entry = match io.files(|files| files.stat(&path, false)) {
                Ok(entry) => entry,
                Err(error) => {
                    io.complain(&format!("{shown}: {error}"));
                    self.code = 1;
                    continue;
                }
            };
            if depth >= self.depths.0 && self.matches(io, &shown, &path) {
                found.push(shown.clone());
            }
            if entry.is_directory() && depth < self.depths.1 && seen < FILES_MAX {
                let names = io.files(|files| files.list(&path)).unwrap_or_default();
                let base = shown.trim_end_matches('/').to_owned();
                stack.extend(names.iter().rev().map(|name| (format!("{base}/{name}"), depth + 1)));
            }
        }
        found
    }
}

impl CommandRun for Find {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if let Some(problem) = self.problem.take() {
            io.complain(&problem);
            return CommandPoll::Exited(1);
        }
        if self.queue.is_none() {
            let found = self.walk(io);
            if self.delete {
                for shown in found.iter().rev() {
                    let path = io.path(shown);
                    if let Err(error) = io.files(|files| files.remove(&path)) {
                        io.complain(&format!("{shown}: {error}"));
                        self.code = 1;
                    }
                }
                return CommandPoll::Exited(self.code);
            }
            if self.execute.is_empty() {
                let text: String = found.iter().map(|shown| format!("{shown}{}", self.separator)).collect();
                io.out(&text);
                return CommandPoll::Exited(self.code);
            }
            let fill = |shown: &String| self.execute.iter().map(|word| word.replace("{}", shown)).collect();
            let mut queue: Vec<Vec<String>> = if self.at_once {
                let rest = self.execute.iter().filter(|word| *word != "{}").cloned();
                if found.is_empty() { Vec::new() } else { vec![rest.chain(found.iter().cloned()).collect()] }
            } else {
                found.iter().map(fill).collect()
            };
            queue.reverse();
            self.queue = Some(queue);
        }
        io.take_status();
        match self.queue.as_mut().and_then(Vec::pop) {
            Some(command) => CommandPoll::Run(command, None),
            None => CommandPoll::Exited(self.code),
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// Every file in these directories, for `grep -r`; what is no directory stays as it is.
pub(super) fn files_below(names: Vec<String>, io: &mut CommandIo<'_>) -> Vec<String> {
    let mut stack: Vec<String> =
        names.into_iter().rev().map(|name| if name == "-" { ".".to_owned() } else { name }).collect();
    let mut found = Vec::new();
    while let Some(name) = stack.pop().filter(|_| found.len() < FILES_MAX) {
        let path = io.path(&name);
        match io.files(|files| files.list(&path)) {
            Ok(inner) => {
                let base = name.trim_end_matches('/').to_owned();
                stack.extend(inner.iter().rev().map(|inner| format!("{base}/{inner}")));
            }
            Err(_) => found.push(name),
        }
    }
    found
}
