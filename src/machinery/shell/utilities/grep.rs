//! `grep`, `egrep` and `fgrep`.

use super::super::host::CommandRun;
use super::super::io::CommandIo;
use super::super::regex::Regex;
use super::Arguments;
use super::filter::{Filter, Lines};
use super::text::{lossy, put};

#[derive(Clone, Debug)]
struct Grep {
    patterns: Vec<Result<Regex, String>>,
    parsed: Arguments,
    name: String,
    with_name: bool,
    matched: u64,
    in_file: u64,
    number: u64,
    context_after: u64,
    after_left: u64,
    before: Vec<Vec<u8>>,
}

impl Grep {
    fn matches(&self, line: &str) -> bool {
        let found = self.patterns.iter().flatten().any(|pattern| pattern.is_match(line));
        found != self.parsed.has("v")
    }

    fn show(&self, line: &[u8], number: u64, mark: char, io: &mut CommandIo<'_>) {
        let mut text = String::new();
        if self.with_name {
            text.push_str(&format!("{}{mark}", self.name));
        }
        if self.parsed.has("n") {
            text.push_str(&format!("{number}{mark}"));
        }
        if self.parsed.has("o") && mark == ':' {
            let chars: Vec<char> = lossy(line).chars().collect();
            let mut at = 0;
            while let Some((start, end)) =
                self.patterns.iter().flatten().find_map(|p| p.find(&chars, at)).and_then(|g| g[0])
            {
                if end > start {
                    let found: String = chars[start..end].iter().collect();
                    io.out(&format!("{text}{found}\n"));
                }
                at = end.max(start + 1);
            }
            return;
        }
        put(io, &[text.as_bytes(), line].concat(), true);
    }
}

impl Lines for Grep {
    fn names(&self, names: Vec<String>, io: &mut CommandIo<'_>) -> Vec<String> {
        if self.parsed.has("r R") { super::find::files_below(names, io) } else { names }
    }

    fn begin(&mut self, io: &mut CommandIo<'_>) -> Option<i32> {
        let problem = self.patterns.iter().find_map(|pattern| pattern.as_ref().err().cloned());
        if self.patterns.is_empty() {
            io.write(2, b"Usage: grep [-HhnlLoqvsriwFE] PATTERN [FILE]...\n");
            return Some(2);
        }
        problem.map(|text| {
            io.complain(&format!("bad regex: {text}"));
            2
        })
    }

    fn file(&mut self, name: &str, count: usize, _: &mut CommandIo<'_>) {
        self.name = if name == "-" { "(standard input)".to_owned() } else { name.to_owned() };
        self.with_name = (count > 1 || self.parsed.has("H r R")) && !self.parsed.has("h");
        (self.in_file, self.number, self.after_left) = (0, 0, 0);
    }

    fn line(&mut self, line: &[u8], _: bool, io: &mut CommandIo<'_>) -> bool {
        self.number += 1;
        let quiet = self.parsed.has("q l L c");
        if !self.matches(&lossy(line)) {
            if self.after_left > 0 && !quiet {
                self.after_left -= 1;
                self.show(line, self.number, '-', io);
            } else {
                self.before.push(line.to_vec());
                let most = number_of(&self.parsed, "B C");
                let surplus = self.before.len().saturating_sub(usize::try_from(most).unwrap_or(0));
                self.before.drain(..surplus);
            }
            return true;
        }
        self.in_file += 1;
        self.matched += 1;
        if self.parsed.has("q") {
            return false;
        }
        if !quiet {
            let first = self.number - self.before.len() as u64;
            for (index, held) in std::mem::take(&mut self.before).iter().enumerate() {
                self.show(held, first + index as u64, '-', io);
            }
            self.show(line, self.number, ':', io);
            self.after_left = self.context_after;
        }
        let most = self.parsed.value("m").and_then(|text| text.parse().ok());
        most.is_none_or(|most: u64| self.in_file < most)
    }

    fn file_end(&mut self, _: &str, io: &mut CommandIo<'_>) {
        if self.parsed.has("c") {
            let name = if self.with_name { format!("{}:", self.name) } else { String::new() };
            io.out(&format!("{name}{}\n", self.in_file));
        }
        if (self.parsed.has("l") && self.in_file > 0) || (self.parsed.has("L") && self.in_file == 0) {
            io.out(&format!("{}\n", self.name));
        }
        self.before.clear();
    }

    fn end(&mut self, _: &mut CommandIo<'_>, failed: bool) -> i32 {
        match (self.matched > 0, failed) {
            (true, false) => 0,
            (true, true) if self.parsed.has("q") => 0,
            (_, true) => 2,
            (false, false) => 1,
        }
    }

    fn problem(&self, name: &str, error: &str) -> String {
        format!("{name}: {error}")
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

fn number_of(parsed: &Arguments, names: &str) -> u64 {
    parsed.value(names).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// `grep`, `egrep` and `fgrep`.
pub(super) fn grep(name: &str, arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "e m A B C f regexp max-count color");
    let mut files = parsed.rest.clone();
    let mut texts: Vec<String> = parsed.values("e regexp").iter().map(|text| (*text).to_owned()).collect();
    if texts.is_empty() && !files.is_empty() {
        texts.push(files.remove(0));
    }
    let fixed = name == "fgrep" || parsed.has("F fixed-strings");
    let extended = name == "egrep" || parsed.has("E P extended-regexp") || fixed;
    let compile = |text: &str| {
        let mut text = text.to_owned();
        if fixed {
            text = text
                .chars()
                .flat_map(|c| if c.is_alphanumeric() || c.is_whitespace() { vec![c] } else { vec!['\\', c] })
                .collect();
        }
        if parsed.has("w") {
            text = if extended { format!("\\b({text})\\b") } else { format!("\\b\\({text}\\)\\b") };
        }
        if parsed.has("x") {
            text = if extended { format!("^({text})$") } else { format!("^\\({text}\\)$") };
        }
        Regex::new(&text, extended, parsed.has("i ignore-case"))
    };
    let patterns = texts.iter().flat_map(|text| text.split('\n')).map(compile).collect();
    let context_after = number_of(&parsed, "A C");
    let grep = Grep {
        patterns,
        parsed,
        name: String::new(),
        with_name: false,
        matched: 0,
        in_file: 0,
        number: 0,
        context_after,
        after_left: 0,
        before: Vec::new(),
    };
    Filter::run(Box::new(grep), files)
}
