//! Utilities that need their whole input: `sort`, `tac`, `shuf`, `base64`.

use super::super::host::CommandRun;
use super::super::io::CommandIo;
use super::Arguments;
use super::filter::Gather;
use crate::machinery::base64;
use crate::machinery::order::Order as _;

/// `sort`, `tac` and `shuf`.
pub(super) fn sort(name: &str, arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "k t o n-lines");
    let work = match name {
        "tac" => |io: &mut CommandIo<'_>, _: &[String], input: Vec<u8>| {
            put(io, lines(&input).into_iter().rev().collect());
            0
        },
        "shuf" => |io: &mut CommandIo<'_>, _: &[String], input: Vec<u8>| {
            let mut all = lines(&input);
            for index in (1..all.len()).rev() {
                let other = (io.host.random() % (index as u64 + 1)) as usize;
                all.swap(index, other);
            }
            put(io, all);
            0
        },
        _ => sorted,
    };
    Gather::run(parsed.rest, arguments, work)
}

fn lines(input: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(input).lines().map(str::to_owned).collect()
}

fn put(io: &mut CommandIo<'_>, lines: Vec<String>) {
    let mut text = lines.join("\n");
    if !text.is_empty() || lines.len() == 1 {
        text.push('\n');
    }
    io.out(&text);
}

/// The number that a text begins with, as `sort -n` reads it; with `units` also `1K` and `2G`.
fn number(text: &str, units: bool) -> f64 {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    let value: f64 = text[..end].parse().unwrap_or(0.0);
    let unit = text[end..].chars().next().filter(|_| units);
    let power = unit.and_then(|unit| "KMGT".find(unit.to_ascii_uppercase())).map_or(0, |index| index + 1);
    value * 1024_f64.powi(power as i32)
}

fn sorted(io: &mut CommandIo<'_>, arguments: &[String], input: Vec<u8>) -> i32 {
    let parsed = Arguments::parse(arguments, "k t o");
    let separator = parsed.value("t").and_then(|text| text.chars().next());
    let keys: Vec<(usize, usize, String)> = parsed
        .values("k")
        .iter()
        .map(|key| {
            let flags: String = key.chars().filter(char::is_ascii_alphabetic).collect();
            let mut bounds = key.split(',').map(|part| {
                let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
                digits.parse::<usize>().unwrap_or(1).max(1)
            });
            (bounds.next().unwrap_or(1), bounds.next().unwrap_or(usize::MAX), flags)
        })
        .collect();
    let part = |line: &str, first: usize, last: usize| {
        let fields: Vec<&str> = match separator {
            Some(separator) => line.split(separator).collect(),
            None => line.split_whitespace().collect(),
        };
        let last = last.min(fields.len());
        fields.get(first - 1..last).unwrap_or_default().join(" ")
    };
    let compare_texts = |left: &str, right: &str, flags: &str| {
        let order = if flags.contains(['n', 'g', 'h']) {
            let units = flags.contains('h');
            number(left, units).total_cmp(&number(right, units))
        } else if flags.contains('f') {
            left.to_lowercase().cmp(&right.to_lowercase())
        } else {
            left.cmp(right)
        };
        if flags.contains('r') { order.reverse() } else { order }
    };
    let global: String = ["n", "g", "h", "f", "r"].into_iter().filter(|flag| parsed.has(flag)).collect();
    let compare = |left: &String, right: &String| {
        for (first, last, flags) in &keys {
            let flags = if flags.is_empty() { &global } else { flags };
            let order = compare_texts(&part(left, *first, *last), &part(right, *first, *last), flags);
            if order.is_ne() {
                return order;
            }
        }
        if keys.is_empty() { compare_texts(left, right, &global) } else { std::cmp::Ordering::Equal }
    };
    let mut all = lines(&input);
    if keys.is_empty() && !global.is_empty() {
        all.order();
    }
    all.order_by(compare);
    if parsed.has("u") {
        all.dedup_by(|left, right| compare(left, right).is_eq());
    }
    if let Some(name) = parsed.value("o") {
        let path = io.path(name);
        let mut text = all.join("\n");
        text.push('\n');
        // What cannot be written is told by the exit code alone.
        let written = io.files(|files| files.write(&path, text.as_bytes(), super::super::files::WriteAt::Start));
        return i32::from(written.is_err()) * 2;
    }
    put(io, all);
    0
}

/// `base64`.
pub(super) fn base64(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "w wrap");
    Gather::run(parsed.rest, arguments, |io, arguments, input| {
        let parsed = Arguments::parse(arguments, "w wrap");
        if parsed.has("d D decode") {
            let text: String = String::from_utf8_lossy(&input).split_whitespace().collect();
            return match base64::decode(&text) {
                Ok(bytes) => {
                    io.write(1, &bytes);
                    0
                }
                Err(_) => {
                    io.complain("invalid input");
                    1
                }
            };
        }
        let encoded = base64::encode(&input);
        let wrap: usize = parsed.value("w wrap").and_then(|text| text.parse().ok()).unwrap_or(76);
        if wrap == 0 {
            io.out(&encoded);
            return 0;
        }
        let rows: Vec<String> =
            encoded.as_bytes().chunks(wrap).map(|row| String::from_utf8_lossy(row).into_owned()).collect();
        put(io, rows);
        0
    })
}
