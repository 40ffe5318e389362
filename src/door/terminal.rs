//! The line discipline of a terminal: what a kernel does between a keyboard and the program behind it.
//!
//! kubectl puts the user's own terminal into raw mode and leaves all of this to the other end: echo, erasing, Ctrl-C,
//! the end of input, and the carriage returns before line feeds (`termios(3)`, canonical mode).

use crate::node::runtime::StreamInput;

/// How long a line may become: `MAX_CANON`.
const LINE_BYTES_MAX: usize = 4096;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const KILL_LINE: u8 = 0x15;
const ERASE_WORD: u8 = 0x17;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;

/// What has been typed of the current line.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    line: Vec<u8>,
    /// Whether an escape sequence is being typed, and what it has had of its introducer. There is nothing that arrow
    /// keys could move in, so that they do nothing.
    escape: Escape,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    Control,
}

/// What comes of some keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// What is shown at once.
    pub(super) echo: Vec<u8>,
    /// What the program gets.
    pub(super) inputs: Vec<StreamInput>,
}

impl Terminal {
    /// Takes keys.
    pub(super) fn take(&mut self, keys: &[u8]) -> Typed {
        let mut typed = Typed::default();
        for key in keys {
            self.key(*key, &mut typed);
        }
        typed
    }

    fn key(&mut self, key: u8, typed: &mut Typed) {
        match self.escape {
            Escape::Begun => {
                self.escape = if matches!(key, b'[' | b'O') { Escape::Control } else { Escape::None };
                return;
            }
            Escape::Control => {
                if (0x40..=0x7e).contains(&key) {
                    self.escape = Escape::None;
                }
                return;
            }
            Escape::None => {}
        }
        match key {
            ESCAPE => self.escape = Escape::Begun,
            b'\r' | b'\n' => {
                typed.echo.extend(b"\r\n");
                self.line.push(b'\n');
                self.send(typed);
            }
            INTERRUPT => {
                typed.echo.extend(b"^C");
                self.line.clear();
                typed.inputs.push(StreamInput::Interrupt);
            }
            END if self.line.is_empty() => typed.inputs.push(StreamInput::End),
            END => self.send(typed),
            BACKSPACE | DELETE => {
                self.erase(typed);
            }
            KILL_LINE => while self.erase(typed) {},
            ERASE_WORD => {
                while self.line.last() == Some(&b' ') && self.erase(typed) {}
                while self.line.last().is_some_and(|last| *last != b' ') && self.erase(typed) {}
            }
            key if (key >= b' ' || key == b'\t') && self.line.len() < LINE_BYTES_MAX => {
                typed.echo.push(key);
                self.line.push(key);
            }
            _ => {}
        }
    }

    fn send(&mut self, typed: &mut Typed) {
        typed.inputs.push(StreamInput::of_bytes(&self.line));
        self.line.clear();
    }

    /// Takes the last letter back, with all its bytes. Says whether there was one.
    fn erase(&mut self, typed: &mut Typed) -> bool {
        while self.line.last().is_some_and(|byte| byte & 0xc0 == 0x80) {
            self.line.pop();
        }
        let was_there = self.line.pop().is_some();
        if was_there {
            typed.echo.extend(b"\x08 \x08");
        }
        was_there
    }
}

/// What a program writes as a terminal shows it: each line begins at the left.
pub(super) fn shown(bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len() + 16);
    for byte in bytes {
        if *byte == b'\n' {
            shown.push(b'\r');
        }
        shown.push(*byte);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> StreamInput {
        StreamInput::Text(text.to_owned())
    }

    #[test]
    fn lines_are_edited_before_a_program_reads_them() {
        let mut terminal = Terminal::default();
        let typed = terminal.take(b"lss\x7f -l\r");
        assert_eq!((typed.echo.as_slice(), typed.inputs), (&b"lss\x08 \x08 -l\r\n"[..], vec![text("ls -l\n")]));
        assert_eq!(terminal.take("é\x7f\r".as_bytes()).inputs, [text("\n")]);
        assert_eq!(terminal.take(b"echo one two\x17\x17three\n").inputs, [text("echo three\n")]);
        assert_eq!(terminal.take(b"gone\x15kept\x1b[A\x1bOB\n").inputs, [text("kept\n")]);
        assert_eq!(terminal.take(b"half\x03\x04").inputs, [StreamInput::Interrupt, StreamInput::End]);
        assert_eq!(terminal.take(b"part\x04").inputs, [text("part")]);
        assert_eq!(shown(b"a\nb\n"), b"a\r\nb\r\n");
    }
}
