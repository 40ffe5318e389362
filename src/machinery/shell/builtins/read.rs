//! `read`, which waits for its line.

use std::time::Duration;

use super::super::expand::set_variable;
use super::super::interpreter::{Flow, wait_on};
use super::super::io::{CommandIo, Input};
use super::super::shell::{Frame, Read, Shell};
use super::super::table::Wait;
use super::complain;

pub(super) fn read(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> Flow {
    let mut read = Read {
        names: Vec::new(),
        raw: false,
        descriptor: 0,
        deadline: None,
        count: None,
        delimiter: b'\n',
        text: Vec::new(),
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some(letters) = argument.strip_prefix('-').filter(|_| read.names.is_empty()) else {
            read.names.push(argument.clone());
            continue;
        };
        for (at, letter) in letters.char_indices() {
            if matches!(letter, 'r' | 's' | 'e') {
                read.raw |= letter == 'r';
                continue;
            }
            let attached = &letters[at + 1..];
            let value =
                if attached.is_empty() { rest.next().cloned().unwrap_or_default() } else { attached.to_owned() };
            match letter {
                'p' => io.write(2, value.as_bytes()),
                't' => {
                    let seconds: f64 = value.parse().unwrap_or(0.0);
                    read.deadline = Some(io.now() + Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
                }
                'n' | 'N' => read.count = value.parse().ok(),
                'u' => read.descriptor = value.parse().unwrap_or(0),
                'd' => read.delimiter = value.bytes().next().unwrap_or(0),
                _ => {
                    complain(shell, io, "read", &format!("Illegal option -{letter}"));
                    shell.status = 2;
                    return Flow::Next;
                }
            }
            break;
        }
    }
    continue_read(shell, io, Box::new(read))
}

/// Goes on with `read`.
pub(in super::super) fn continue_read(shell: &mut Shell, io: &mut CommandIo<'_>, mut read: Box<Read>) -> Flow {
    loop {
        let most = read.count.map_or(4096, |count| count.saturating_sub(read.text.len()).max(1));
        match io.read(read.descriptor, most) {
            Input::Pending => {
                if read.deadline.is_some_and(|deadline| deadline <= io.now()) {
                    shell.status = 1;
                    return Flow::Next;
                }
                let wait = Wait::Readable(read.descriptor, read.deadline);
                return wait_on(shell, Frame::Read { read }, wait);
            }
            Input::End => {
                let text = std::mem::take(&mut read.text);
                return finish_read(shell, io, &read, &text, 1);
            }
            Input::Data(bytes) => {
                let end = bytes.iter().position(|byte| *byte == read.delimiter);
                let taken = end.map_or(bytes.len(), |end| end + 1);
                read.text.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
                io.unread(read.descriptor, &bytes[taken..]);
                let continued = !read.raw && read.delimiter == b'\n' && ends_escaped(&read.text);
                if end.is_some() && continued {
                    read.text.pop();
                } else if end.is_some() || read.count.is_some_and(|count| read.text.len() >= count) {
                    let text = std::mem::take(&mut read.text);
                    return finish_read(shell, io, &read, &text, 0);
                }
            }
        }
    }
}

fn ends_escaped(text: &[u8]) -> bool {
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Splits what was read among the variables.
fn finish_read(shell: &mut Shell, io: &mut CommandIo<'_>, read: &Read, text: &[u8], status: i32) -> Flow {
    let separators = io.process.variables.get("IFS").map_or(" \t\n", |held| &held.value).to_owned();
    let text = String::from_utf8_lossy(text).into_owned();
    let text = if read.raw { text } else { unescaped(&text) };
    let is_blank = |c: char| separators.contains(c) && c.is_whitespace();
    let names = if read.names.is_empty() { vec!["REPLY".to_owned()] } else { read.names.clone() };
    let mut rest = if read.names.is_empty() { text.as_str() } else { text.trim_start_matches(is_blank) };
    shell.status = status;
    for (index, name) in names.iter().enumerate() {
        let value = if read.names.is_empty() {
            rest
        } else if index + 1 == names.len() {
            rest.trim_end_matches(is_blank)
        } else {
            let end = rest.find(|c| separators.contains(c)).unwrap_or(rest.len());
            let value = &rest[..end];
            rest = rest[end..].trim_start_matches(is_blank);
            if let Some(hard) = rest.chars().next().filter(|c| separators.contains(*c)) {
                rest = rest[hard.len_utf8()..].trim_start_matches(is_blank);
            }
            value
        };
        if let Err(message) = set_variable(shell, io, name, value.to_owned()) {
            complain(shell, io, "read", &message);
            shell.status = 2;
        }
    }
    Flow::Next
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' { plain.extend(chars.next()) } else { plain.push(c) }
    }
    plain
}
