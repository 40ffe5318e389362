//! Utilities that put lines side by side or against each other, and a few others that need their whole input: `column`,
//! `paste`, `comm`, `diff`, `envsubst`, `sha256sum`.

use super::super::host::CommandRun;
use super::super::io::CommandIo;
use super::Arguments;
use super::filter::{Gather, read_named};
use super::text::lossy;
use crate::machinery::diff::unified;
use crate::machinery::sha256;

/// `column -t`: a table of words.
pub(super) fn column(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "s separator o output-separator N table-columns c");
    Gather::run(parsed.rest, arguments, |io, arguments, input| {
        let parsed = Arguments::parse(arguments, "s separator o output-separator N table-columns c");
        let text = lossy(&input);
        if !parsed.has("t table") {
            io.out(&text);
            return 0;
        }
        let between = parsed.value("o output-separator").unwrap_or("  ");
        let cells = |line: &str| -> Vec<String> {
            match parsed.value("s separator") {
                Some(separators) => line.split(|letter| separators.contains(letter)).map(str::to_owned).collect(),
                None => line.split_whitespace().map(str::to_owned).collect(),
            }
        };
        let names = parsed.value("N table-columns").map(|names| names.split(',').map(str::to_owned).collect());
        let lines = text.lines().filter(|line| !line.trim().is_empty()).map(cells);
        let rows: Vec<Vec<String>> = names.into_iter().chain(lines).collect();
        let width =
            |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
        let mut out = String::new();
        for row in &rows {
            for (at, cell) in row.iter().enumerate() {
                if at + 1 == row.len() {
                    out.push_str(cell);
                } else {
                    out.push_str(&format!("{cell:<width$}{between}", width = widths[at]));
                }
            }
            out.push('\n');
        }
        io.out(&out);
        0
    })
}

/// `paste`: lines of files side by side, or with `-s` all lines of a file in one.
pub(super) fn paste(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "d delimiters");
    // Each file is read for itself; only standard input is gathered.
    let gathers = parsed.rest.is_empty() || parsed.rest.iter().any(|name| name == "-");
    Gather::run(vec![if gathers { "-" } else { "/dev/null" }.to_owned()], arguments, |io, arguments, input| {
        let parsed = Arguments::parse(arguments, "d delimiters");
        let delimiter = parsed.value("d delimiters").unwrap_or("\t").replace("\\t", "\t").replace("\\n", "\n");
        let names = if parsed.rest.is_empty() { vec!["-".to_owned()] } else { parsed.rest.clone() };
        let stdin = lossy(&input);
        let mut columns: Vec<Vec<String>> = Vec::new();
        let places = names.iter().filter(|name| *name == "-").count();
        for (at, name) in names.iter().enumerate() {
            if name == "-" {
                // `paste - -` deals the lines out.
                let place = names[..at].iter().filter(|name| *name == "-").count();
                columns.push(stdin.lines().skip(place).step_by(places.max(1)).map(str::to_owned).collect());
                continue;
            }
            match read_named(io, name) {
                Ok(bytes) => columns.push(lossy(&bytes).lines().map(str::to_owned).collect()),
                Err(error) => {
                    io.complain(&format!("{name}: {error}"));
                    return 1;
                }
            }
        }
        let mut out = String::new();
        if parsed.has("s serial") {
            for column in &columns {
                out.push_str(&column.join(&delimiter));
                out.push('\n');
            }
        } else {
            for at in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
                let cells: Vec<&str> = columns.iter().map(|column| column.get(at).map_or("", String::as_str)).collect();
                out.push_str(&cells.join(&delimiter));
                out.push('\n');
            }
        }
        io.out(&out);
        0
    })
}

/// The two texts that a utility compares; standard input is one of them where `-` says so.
fn two(io: &mut CommandIo<'_>, names: &[String], input: &[u8]) -> Result<(String, String), i32> {
    let [first, second] = names else {
        io.complain("missing operand");
        return Err(2);
    };
    let mut read = |name: &String| {
        if name == "-" {
            return Ok(lossy(input));
        }
        match read_named(io, name) {
            Ok(bytes) => Ok(lossy(&bytes)),
            Err(error) => {
                io.complain(&format!("{name}: {error}"));
                Err(2)
            }
        }
    };
    Ok((read(first)?, read(second)?))
}

fn comparing(arguments: &[String], work: fn(&mut CommandIo<'_>, &[String], Vec<u8>) -> i32) -> Box<dyn CommandRun> {
    let gathers = arguments.iter().any(|word| word == "-");
    Gather::run(vec![if gathers { "-" } else { "/dev/null" }.to_owned()], arguments, work)
}

/// `comm`: what two sorted files have alone and in common.
pub(super) fn comm(arguments: &[String]) -> Box<dyn CommandRun> {
    comparing(arguments, |io, arguments, input| {
        let parsed = Arguments::parse(arguments, "");
        let (first, second) = match two(io, &parsed.rest, &input) {
            Ok(texts) => texts,
            Err(code) => return code,
        };
        let (mut left, mut right) = (first.lines().peekable(), second.lines().peekable());
        let mut out = String::new();
        loop {
            let (column, line) = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(a), Some(b)) if a == b => {
                    right.next();
                    ("3", left.next())
                }
                (Some(a), other) if other.is_none_or(|b| a < b) => ("1", left.next()),
                _ => ("2", right.next()),
            };
            if parsed.has(column) {
                continue;
            }
            let before = ["1", "2"].iter().filter(|earlier| **earlier < column && !parsed.has(earlier)).count();
            out.push_str(&"\t".repeat(before));
            out.push_str(line.unwrap_or(""));
            out.push('\n');
        }
        io.out(&out);
        0
    })
}

/// `diff -u`, which ends with 1 when there is a difference.
pub(super) fn diff(arguments: &[String]) -> Box<dyn CommandRun> {
    comparing(arguments, |io, arguments, input| {
        let parsed = Arguments::parse(arguments, "U L label");
        let (first, second) = match two(io, &parsed.rest, &input) {
            Ok(texts) => texts,
            Err(code) => return code,
        };
        if first == second {
            return 0;
        }
        let names = (&parsed.rest[0], &parsed.rest[1]);
        if parsed.has("q brief") {
            io.out(&format!("Files {} and {} differ\n", names.0, names.1));
            return 1;
        }
        let changes = unified(first.trim_end_matches('\n'), second.trim_end_matches('\n'));
        io.out(&format!("--- {}\n+++ {}\n{changes}", names.0, names.1));
        1
    })
}

/// `envsubst`: puts the values of variables into a text.
pub(super) fn envsubst(arguments: &[String]) -> Box<dyn CommandRun> {
    Gather::run(Vec::new(), arguments, |io, arguments, input| {
        let only: Option<String> = arguments.first().cloned();
        let known = io.environment();
        let text = lossy(&input);
        let (mut out, mut rest) = (String::new(), text.as_str());
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let braced = behind.starts_with('{');
            let begin = usize::from(braced);
            let is_part = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
            let end = behind[begin..].find(|letter| !is_part(letter)).map_or(behind.len(), |end| begin + end);
            let name = &behind[begin..end];
            let closed = !braced || behind[end..].starts_with('}');
            let is_meant = only
                .as_ref()
                .is_none_or(|only| only.contains(&format!("${name}")) || only.contains(&format!("${{{name}}}")));
            if name.is_empty() || !closed || !is_meant || name.starts_with(|letter: char| letter.is_ascii_digit()) {
                out.push('$');
                rest = behind;
                continue;
            }
            out.push_str(known.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str()));
            rest = &behind[end + begin..];
        }
        out.push_str(rest);
        io.out(&out);
        0
    })
}

/// `sha256sum`.
pub(super) fn checksum(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "");
    Gather::run(parsed.rest, arguments, |io, arguments, input| {
        let parsed = Arguments::parse(arguments, "");
        let name = parsed.rest.first().map_or("-", String::as_str);
        io.out(&format!("{}  {name}\n", sha256::hex(&input)));
        0
    })
}
