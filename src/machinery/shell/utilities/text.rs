//! Utilities that work on lines as they come.

use super::super::host::CommandRun;
use super::super::io::CommandIo;
use super::super::pattern::named_class;
use super::Arguments;
use super::filter::{Filter, Lines};

pub(super) fn lossy(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// Writes a line, with an end if it had one.
pub(super) fn put(io: &mut CommandIo<'_>, line: &[u8], ended: bool) {
    let mut bytes = line.to_vec();
    if ended {
        bytes.push(b'\n');
    }
    io.write(1, &bytes);
}

#[derive(Clone, Debug)]
struct Cat {
    number: Option<u64>,
    mark_ends: bool,
}

impl Lines for Cat {
    fn line(&mut self, line: &[u8], ended: bool, io: &mut CommandIo<'_>) -> bool {
        if let Some(number) = &mut self.number {
            *number += 1;
            io.out(&format!("{number:6}\t"));
        }
        if self.mark_ends && ended {
            put(io, &[line, b"$"].concat(), true);
        } else {
            put(io, line, ended);
        }
        true
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

/// `cat`.
pub(super) fn cat(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "");
    let cat = Cat { number: parsed.has("n").then_some(0), mark_ends: parsed.has("A e E") };
    Filter::run(Box::new(cat), parsed.rest)
}

/// `nl`.
pub(super) fn number_lines(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "b s w v");
    Filter::run(Box::new(Cat { number: Some(0), mark_ends: false }), parsed.rest)
}

#[derive(Clone, Debug)]
struct Reverse;

impl Lines for Reverse {
    fn line(&mut self, line: &[u8], ended: bool, io: &mut CommandIo<'_>) -> bool {
        let reversed: String = lossy(line).chars().rev().collect();
        put(io, reversed.as_bytes(), ended);
        true
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

/// `rev`.
pub(super) fn reverse(arguments: &[String]) -> Box<dyn CommandRun> {
    Filter::run(Box::new(Reverse), arguments.to_vec())
}

#[derive(Clone, Debug)]
struct Head {
    most: u64,
    bytes: bool,
    left: u64,
}

impl Lines for Head {
    fn file(&mut self, name: &str, count: usize, io: &mut CommandIo<'_>) {
        self.left = self.most;
        if count > 1 {
            io.out(&format!("==> {name} <==\n"));
        }
    }

    fn begin(&mut self, _: &mut CommandIo<'_>) -> Option<i32> {
        (self.most == 0).then_some(0)
    }

    fn line(&mut self, line: &[u8], ended: bool, io: &mut CommandIo<'_>) -> bool {
        if self.bytes {
            let length = (line.len() as u64 + u64::from(ended)).min(self.left);
            let all = [line, b"\n"].concat();
            io.write(1, &all[..usize::try_from(length).unwrap_or(all.len()).min(all.len())]);
            self.left -= length;
        } else {
            put(io, line, ended);
            self.left -= 1;
        }
        self.left > 0
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

/// `head`.
pub(super) fn head(arguments: &[String]) -> Box<dyn CommandRun> {
    let arguments = super::tail::modern(arguments);
    let parsed = Arguments::parse(&arguments, "n c lines bytes");
    let bytes = parsed.value("c bytes").and_then(super::parse_size);
    let lines = parsed.value("n lines").and_then(|text| text.parse().ok()).unwrap_or(10);
    if let (Some(count), ["/dev/zero"]) = (bytes, parsed.rest.iter().map(String::as_str).collect::<Vec<_>>().as_slice())
    {
        return super::load::zeros(count);
    }
    let most = bytes.unwrap_or(lines);
    Filter::run(Box::new(Head { most, bytes: bytes.is_some(), left: most }), parsed.rest)
}

#[derive(Clone, Debug)]
struct WordCount {
    show: [bool; 3],
    counts: [u64; 3],
    totals: [u64; 3],
    files: usize,
}

impl WordCount {
    fn print(&self, counts: [u64; 3], name: &str, io: &mut CommandIo<'_>) {
        let shown: Vec<u64> = (0..3).filter(|index| self.show[*index]).map(|index| counts[index]).collect();
        let mut text = match shown.as_slice() {
            [only] => only.to_string(),
            several => several.iter().map(|count| format!("{count:9}")).collect::<Vec<_>>().join(" "),
        };
        if name != "-" {
            text.push_str(&format!(" {name}"));
        }
        io.out(&format!("{text}\n"));
    }
}

impl Lines for WordCount {
    fn line(&mut self, line: &[u8], ended: bool, _: &mut CommandIo<'_>) -> bool {
        self.counts[0] += u64::from(ended);
        self.counts[1] += lossy(line).split_whitespace().count() as u64;
        self.counts[2] += line.len() as u64 + u64::from(ended);
        true
    }

    fn file_end(&mut self, name: &str, io: &mut CommandIo<'_>) {
        let counts = std::mem::take(&mut self.counts);
        for (total, count) in self.totals.iter_mut().zip(counts) {
            *total += count;
        }
        self.files += 1;
        self.print(counts, name, io);
    }

    fn end(&mut self, io: &mut CommandIo<'_>, failed: bool) -> i32 {
        if self.files > 1 {
            self.print(self.totals, "total", io);
        }
        i32::from(failed)
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

/// `wc`.
pub(super) fn word_count(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "");
    let mut show = [parsed.has("l"), parsed.has("w"), parsed.has("c m")];
    if show == [false; 3] {
        show = [true; 3];
    }
    Filter::run(Box::new(WordCount { show, counts: [0; 3], totals: [0; 3], files: 0 }), parsed.rest)
}

#[derive(Clone, Debug)]
struct Uniq {
    parsed: Arguments,
    last: Option<(String, u64)>,
}

impl Uniq {
    fn flush(&mut self, io: &mut CommandIo<'_>) {
        let Some((line, count)) = self.last.take() else {
            return;
        };
        if (self.parsed.has("d") && count < 2) || (self.parsed.has("u") && count > 1) {
            return;
        }
        if self.parsed.has("c") {
            io.out(&format!("{count:7} {line}\n"));
        } else {
            io.out(&format!("{line}\n"));
        }
    }
}

impl Lines for Uniq {
    fn line(&mut self, line: &[u8], _: bool, io: &mut CommandIo<'_>) -> bool {
        let line = lossy(line);
        let ignore = self.parsed.has("i");
        let same = |held: &str| if ignore { held.to_lowercase() == line.to_lowercase() } else { held == line };
        match &mut self.last {
            Some((held, count)) if same(held) => *count += 1,
            _ => {
                self.flush(io);
                self.last = Some((line, 1));
            }
        }
        true
    }

    fn end(&mut self, io: &mut CommandIo<'_>, failed: bool) -> i32 {
        self.flush(io);
        i32::from(failed)
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

/// `uniq`.
pub(super) fn uniq(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "f s w");
    let files = parsed.rest.clone();
    Filter::run(Box::new(Uniq { parsed, last: None }), files)
}

#[derive(Clone, Debug)]
struct Tee {
    names: Vec<String>,
    append: bool,
}

impl Lines for Tee {
    fn begin(&mut self, io: &mut CommandIo<'_>) -> Option<i32> {
        use super::super::files::WriteAt;
        for name in &self.names {
            let path = io.path(name);
            let at = if self.append { WriteAt::End } else { WriteAt::Start };
            if let Err(error) = io.files(|files| files.write(&path, b"", at)) {
                io.complain(&format!("{name}: {error}"));
            }
        }
        None
    }

    fn line(&mut self, line: &[u8], ended: bool, io: &mut CommandIo<'_>) -> bool {
        use super::super::files::WriteAt;
        put(io, line, ended);
        let all = if ended { [line, b"\n"].concat() } else { line.to_vec() };
        for name in self.names.clone() {
            let path = io.path(&name);
            // What could not be opened was told at the beginning.
            let _ = io.files(|files| files.write(&path, &all, WriteAt::End));
        }
        io.table.files_changed = true;
        true
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

/// `tee`.
pub(super) fn tee(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "");
    Filter::run(Box::new(Tee { names: parsed.rest.clone(), append: parsed.has("a") }), Vec::new())
}

#[derive(Clone, Debug)]
struct Cut {
    ranges: Vec<(usize, usize)>,
    delimiter: Option<char>,
    only_delimited: bool,
}

impl Lines for Cut {
    fn begin(&mut self, io: &mut CommandIo<'_>) -> Option<i32> {
        if self.ranges.is_empty() {
            io.complain("expected a list of bytes, characters, or fields");
            return Some(1);
        }
        None
    }

    fn line(&mut self, line: &[u8], _: bool, io: &mut CommandIo<'_>) -> bool {
        let line = lossy(line);
        let wanted = |index: &usize| self.ranges.iter().any(|(first, last)| (first..=last).contains(&&(index + 1)));
        let text: String = match self.delimiter {
            None => line.chars().enumerate().filter(|(index, _)| wanted(index)).map(|(_, c)| c).collect(),
            Some(delimiter) if !line.contains(delimiter) => {
                if self.only_delimited {
                    return true;
                }
                line
            }
            Some(delimiter) => {
                let fields: Vec<&str> = line
                    .split(delimiter)
                    .enumerate()
                    .filter(|(index, _)| wanted(index))
                    .map(|(_, field)| field)
                    .collect();
                fields.join(&delimiter.to_string())
            }
        };
        io.out(&format!("{text}\n"));
        true
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

/// `cut`.
pub(super) fn cut(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "d f c b delimiter fields");
    let fields = parsed.value("f fields");
    let list = fields.or_else(|| parsed.value("c b")).unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first = if first.is_empty() { Some(1) } else { first.parse().ok() }?;
        if part.is_empty() {
            return None;
        }
        let last = if last.is_empty() { Some(usize::MAX) } else { last.parse().ok() }?;
        Some((first, last))
    };
    let delimiter = parsed.value("d delimiter").and_then(|text| text.chars().next()).unwrap_or('\t');
    let cut = Cut {
        ranges: list.split(',').filter_map(range).collect(),
        delimiter: fields.map(|_| delimiter),
        only_delimited: parsed.has("s"),
    };
    Filter::run(Box::new(cut), parsed.rest)
}

#[derive(Clone, Debug)]
struct Translate {
    from: Vec<char>,
    to: Vec<char>,
    classes: Vec<String>,
    complement: bool,
    delete: bool,
    squeeze: bool,
    last: Option<char>,
}

impl Translate {
    fn holds(&self, c: char) -> bool {
        let found = self.from.contains(&c) || self.classes.iter().any(|class| named_class(class, c));
        found != self.complement
    }

    fn replacement(&self, c: char) -> char {
        match self.classes.first().map(String::as_str) {
            Some("lower") => return c.to_uppercase().next().unwrap_or(c),
            Some("upper") => return c.to_lowercase().next().unwrap_or(c),
            _ => {}
        }
        let index = self.from.iter().position(|held| *held == c).unwrap_or(usize::MAX);
        self.to.get(index).or(self.to.last()).copied().unwrap_or(c)
    }
}

impl Lines for Translate {
    fn line(&mut self, line: &[u8], ended: bool, io: &mut CommandIo<'_>) -> bool {
        let mut out = String::new();
        let text = lossy(line);
        for c in text.chars().chain(ended.then_some('\n')) {
            let held = self.holds(c);
            if held && self.delete {
                continue;
            }
            let new = if held && !(self.to.is_empty() && self.classes.len() < 2) { self.replacement(c) } else { c };
            if self.squeeze && held && self.last == Some(new) {
                continue;
            }
            self.last = Some(new);
            out.push(new);
        }
        io.out(&out);
        true
    }

    fn copy(&self) -> Box<dyn Lines> {
        Box::new(self.clone())
    }
}

/// The characters of a set of `tr`, and the classes it names.
fn set(text: &str, classes: &mut Vec<String>) -> Vec<char> {
    let unescaped = super::super::escape::unescape(text).bytes;
    let mut rest: Vec<char> = String::from_utf8_lossy(&unescaped).chars().collect();
    let mut all = Vec::new();
    let whole: String = rest.iter().collect();
    let mut plain = whole.as_str();
    let mut without = String::new();
    while let Some(start) = plain.find("[:") {
        let Some(end) = plain[start..].find(":]") else {
            break;
        };
        classes.push(plain[start + 2..start + end].to_owned());
        without.push_str(&plain[..start]);
        plain = &plain[start + end + 2..];
    }
    without.push_str(plain);
    rest = without.chars().collect();
    let mut at = 0;
    while at < rest.len() {
        if rest.get(at + 1) == Some(&'-') && at + 2 < rest.len() {
            all.extend((rest[at]..=rest[at + 2]).take(10_000));
            at += 3;
        } else {
            all.push(rest[at]);
            at += 1;
        }
    }
    all
}

/// `tr`.
pub(super) fn translate(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "");
    let mut classes = Vec::new();
    let from = parsed.rest.first().map(|text| set(text, &mut classes)).unwrap_or_default();
    let to = parsed.rest.get(1).map(|text| set(text, &mut classes)).unwrap_or_default();
    let work = Translate {
        from,
        to,
        classes,
        complement: parsed.has("c C"),
        delete: parsed.has("d"),
        squeeze: parsed.has("s"),
        last: None,
    };
    Filter::run(Box::new(work), Vec::new())
}
