//! The parser's second half: words, with their quotes, parameter expansions and substitutions.

use std::sync::Arc;

use super::parser::{Parsed, Parser, Token, is_name};
use super::syntax::{Command, CommandKind, List, Operation, Parameter, Part, Word};

/// Characters that end an unquoted word.
const WORD_ENDS: &str = " \t\r\n;&|<>()";

/// `$(<file)` is what `$(cat <file)` is.
fn reading(mut list: Arc<List>) -> Arc<List> {
    let is_single = list.items.len() == 1 && list.items.iter().all(|item| item.chain.links.len() == 1);
    let only = list.items.first().and_then(|item| item.chain.links.first()).filter(|_| is_single);
    let command = only.and_then(|(_, pipeline)| pipeline.commands.first()).cloned();
    if let Some(command) = command
        && matches!(&command.kind, CommandKind::Simple { assignments, words } if assignments.is_empty() && words.is_empty())
        && !command.redirects.is_empty()
    {
        let words = vec![Word { parts: vec![Part::Quoted("cat".to_owned())] }];
        let kind = CommandKind::Simple { assignments: Vec::new(), words };
        let item = &mut Arc::make_mut(&mut list).items[0];
        Arc::make_mut(&mut item.chain).links[0].1.commands[0] = Arc::new(Command { kind, ..Command::clone(&command) });
    }
    list
}

impl Parser {
    /// A word from the current place.
    pub(super) fn word(&mut self) -> Parsed<Word> {
        let mut parts = Vec::new();
        while let Some(next) = self.peek_char() {
            if self.looking_at("<(") {
                self.next_char();
                self.next_char();
                if let Part::Substitution(list) = self.substitution()? {
                    parts.push(Part::Process(list));
                }
                continue;
            }
            if WORD_ENDS.contains(next) {
                break;
            }
            self.part(&mut parts, false)?;
        }
        Ok(Word { parts })
    }

    /// The regular expression after `=~`, in which parentheses and bars are no operators.
    pub(super) fn regex_word(&mut self) -> Parsed<Word> {
        while matches!(self.peek_char(), Some(' ' | '\t')) {
            self.next_char();
        }
        let mut parts = Vec::new();
        while let Some(next) = self.peek_char() {
            match next {
                ' ' | '\t' | '\n' => break,
                '\\' => {
                    self.next_char();
                    if let Some(escaped) = self.next_char() {
                        parts.push(Part::Quoted(format!("\\{escaped}")));
                    }
                }
                '"' | '\'' | '$' if self.text.get(self.at + 1).is_some_and(|c| *c != ' ') => {
                    self.part(&mut parts, false)?;
                }
                other => {
                    self.next_char();
                    push_literal(&mut parts, other);
                }
            }
        }
        Ok(Word { parts })
    }

    /// A text that is expanded but not split: arithmetic, and bodies of here-documents.
    pub(super) fn nested_word(&mut self, text: &str) -> Parsed<Word> {
        self.nested(text, |parser| parser.parts_to_end('\0'))
    }

    /// The body of a here-document whose delimiter was not quoted.
    pub(super) fn here_word(&mut self, text: &str) -> Parsed<Word> {
        let word = self.nested_word(text)?;
        Ok(Word { parts: vec![Part::Double(word.parts)] })
    }

    fn nested<T>(&mut self, text: &str, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.deeper()?;
        let mut inner = Self::new(text, self.depth);
        let result = read(&mut inner).map_err(|mut error| {
            error.line += self.line - 1;
            error
        });
        self.depth -= 1;
        result
    }

    /// Parts as between double quotes, to the end of the text.
    fn parts_to_end(&mut self, quote: char) -> Parsed<Word> {
        let mut parts = Vec::new();
        while self.peek_char().is_some() {
            self.double_part(&mut parts, quote)?;
        }
        Ok(Word { parts })
    }

    /// One part outside of double quotes; `in_braces` is set within `${…}`.
    fn part(&mut self, parts: &mut Vec<Part>, in_braces: bool) -> Parsed<()> {
        let Some(next) = self.next_char() else {
            return Ok(());
        };
        match next {
            '\\' => match self.next_char() {
                Some('\n') => {}
                Some(escaped) => parts.push(Part::Quoted(escaped.to_string())),
                None => push_literal(parts, '\\'),
            },
            '\'' => {
                let mut text = String::new();
                loop {
                    match self.next_char() {
                        Some('\'') => break,
                        Some(other) => text.push(other),
                        None => return self.unfinished("unterminated quoted string"),
                    }
                }
                parts.push(Part::Quoted(text));
            }
            '"' => {
                let mut inner = Vec::new();
                while self.peek_char() != Some('"') {
                    if self.peek_char().is_none() {
                        return self.unfinished("unterminated quoted string");
                    }
                    self.double_part(&mut inner, '"')?;
                }
                self.next_char();
                parts.push(Part::Double(inner));
            }
            '$' if self.peek_char() == Some('\'') => {
                self.next_char();
                parts.push(Part::Quoted(self.dollar_quoted()?));
            }
            '$' => self.dollar(parts, false)?,
            '`' => self.backticks(parts, false)?,
            other => {
                debug_assert!(in_braces || !WORD_ENDS.contains(other));
                push_literal(parts, other);
            }
        }
        Ok(())
    }

    /// One part between double quotes.
    fn double_part(&mut self, parts: &mut Vec<Part>, quote: char) -> Parsed<()> {
        let Some(next) = self.next_char() else {
            return Ok(());
        };
        match next {
            '\\' => match self.peek_char() {
                Some('\n') => drop(self.next_char()),
                Some(escaped) if escaped == quote || matches!(escaped, '$' | '`' | '\\') => {
                    self.next_char();
                    parts.push(Part::Quoted(escaped.to_string()));
                }
                _ => push_literal(parts, '\\'),
            },
            '$' => self.dollar(parts, true)?,
            '`' => self.backticks(parts, true)?,
            other => push_literal(parts, other),
        }
        Ok(())
    }

    fn dollar_quoted(&mut self) -> Parsed<String> {
        let mut text = String::new();
        loop {
            match self.next_char() {
                Some('\'') => return Ok(String::from_utf8_lossy(&super::escape::unescape(&text).bytes).into_owned()),
                Some('\\') => {
                    text.push('\\');
                    text.extend(self.next_char());
                }
                Some(other) => text.push(other),
                None => return self.unfinished("unterminated quoted string"),
            }
        }
    }

    /// What follows a `$`.
    fn dollar(&mut self, parts: &mut Vec<Part>, quoted: bool) -> Parsed<()> {
        match self.peek_char() {
            Some('(') => {
                self.next_char();
                if self.peek_char() == Some('(')
                    && let Some(text) = self.arithmetic_text(1)
                {
                    let word = self.nested_word(&text)?;
                    parts.push(Part::Arithmetic(Box::new(word)));
                    return Ok(());
                }
                let list = self.substitution()?;
                parts.push(list);
            }
            Some('{') => {
                self.next_char();
                let parameter = self.braces(quoted)?;
                parts.push(Part::Parameter(Box::new(parameter)));
            }
            Some(next) if next == '_' || next.is_ascii_alphabetic() => {
                let mut name = String::new();
                while let Some(c) = self.peek_char().filter(|c| *c == '_' || c.is_ascii_alphanumeric()) {
                    name.push(c);
                    self.next_char();
                }
                parts.push(Part::Parameter(Box::new(Parameter { name, operation: Operation::Plain })));
            }
            Some(next) if next.is_ascii_digit() || "@*#?-$!".contains(next) => {
                self.next_char();
                let name = next.to_string();
                parts.push(Part::Parameter(Box::new(Parameter { name, operation: Operation::Plain })));
            }
            _ => push_literal(parts, '$'),
        }
        Ok(())
    }

    /// `$(…)` after its parenthesis: the parser goes on in the same text.
    fn substitution(&mut self) -> Parsed<Part> {
        let list = self.list(&[])?;
        match self.take()? {
            Token::Operator(")") => Ok(Part::Substitution(reading(list))),
            Token::End => self.unfinished("unterminated quoted string"),
            token => Err(self.unexpected(&token)),
        }
    }

    fn backticks(&mut self, parts: &mut Vec<Part>, quoted: bool) -> Parsed<()> {
        let mut text = String::new();
        loop {
            match self.next_char() {
                Some('`') => break,
                Some('\\') => match self.next_char() {
                    Some(c) if matches!(c, '`' | '$' | '\\') || (quoted && c == '"') => text.push(c),
                    Some(c) => text.extend(['\\', c]),
                    None => return self.unfinished("EOF in backquote substitution"),
                },
                Some(other) => text.push(other),
                None => return self.unfinished("EOF in backquote substitution"),
            }
        }
        let list = self.nested(&text, |inner| {
            let list = inner.list(&[])?;
            match inner.take()? {
                Token::End => Ok(list),
                token => Err(inner.unexpected(&token)),
            }
        })?;
        parts.push(Part::Substitution(list));
        Ok(())
    }

    /// `${…}` after its brace.
    fn braces(&mut self, quoted: bool) -> Parsed<Parameter> {
        if self.peek_char() == Some('#') && self.text.get(self.at + 1) != Some(&'}') {
            self.next_char();
            let name = self.parameter_name()?;
            return self.closed(Parameter { name, operation: Operation::Length });
        }
        if self.peek_char() == Some('!') && self.text.get(self.at + 1) != Some(&'}') {
            self.next_char();
            let name = self.parameter_name()?;
            return self.closed(Parameter { name, operation: Operation::Indirect });
        }
        let name = self.parameter_name()?;
        let operation = self.operation(quoted)?;
        self.closed(Parameter { name, operation })
    }

    fn closed(&mut self, parameter: Parameter) -> Parsed<Parameter> {
        match self.next_char() {
            Some('}') => Ok(parameter),
            Some(_) => self.error("bad substitution"),
            None => self.unfinished("unterminated quoted string"),
        }
    }

    fn parameter_name(&mut self) -> Parsed<String> {
        let mut name = String::new();
        while let Some(c) = self.peek_char().filter(|c| *c == '_' || c.is_ascii_alphanumeric()) {
            name.push(c);
            self.next_char();
        }
        if name.is_empty() {
            name.extend(self.peek_char().filter(|c| "@*#?-$!".contains(*c)));
            self.at += name.len();
        }
        // An element of an array keeps its subscript in its name.
        if is_name(&name) && self.looking_at("[") {
            while let Some(c) = self.next_char() {
                name.push(c);
                if c == ']' {
                    return Ok(name);
                }
            }
        }
        let numeric = name.chars().all(|c| c.is_ascii_digit());
        if is_name(&name) || (!name.is_empty() && (numeric || name.len() == 1)) {
            Ok(name)
        } else if self.peek_char().is_none() {
            self.unfinished("unterminated quoted string")
        } else {
            self.error("bad substitution")
        }
    }

    fn take_text(&mut self, text: &str) -> bool {
        let found = self.looking_at(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn operation(&mut self, quoted: bool) -> Parsed<Operation> {
        let empty_too = self.looking_at(":") && matches!(self.text.get(self.at + 1), Some('-' | '=' | '?' | '+'));
        if empty_too {
            self.at += 1;
        }
        let operation = if self.take_text("-") {
            Operation::Default { empty_too, word: self.braced_word("}", quoted)? }
        } else if self.take_text("=") {
            Operation::Assign { empty_too, word: self.braced_word("}", quoted)? }
        } else if self.take_text("?") {
            Operation::Require { empty_too, word: self.braced_word("}", quoted)? }
        } else if self.take_text("+") {
            Operation::Alternative { empty_too, word: self.braced_word("}", quoted)? }
        } else if self.take_text("%") {
            Operation::TrimEnd { longest: self.take_text("%"), pattern: self.braced_word("}", false)? }
        } else if self.take_text("#") {
            Operation::TrimStart { longest: self.take_text("#"), pattern: self.braced_word("}", false)? }
        } else if self.take_text(":") {
            let offset = self.braced_word(":}", quoted)?;
            let length = if self.take_text(":") { Some(self.braced_word("}", quoted)?) } else { None };
            Operation::Slice { offset, length }
        } else if self.take_text("/") {
            let all = self.take_text("/");
            let pattern = self.braced_word("/}", false)?;
            let with = if self.take_text("/") { self.braced_word("}", quoted)? } else { Word::default() };
            Operation::Replace { all, pattern, with }
        } else if self.take_text("^") {
            Operation::Case { upper: true, all: self.take_text("^") }
        } else if self.take_text(",") {
            Operation::Case { upper: false, all: self.take_text(",") }
        } else {
            Operation::Plain
        };
        Ok(operation)
    }

    /// A word within `${…}` up to one of `ends`.
    fn braced_word(&mut self, ends: &str, quoted: bool) -> Parsed<Word> {
        self.deeper()?;
        let mut parts = Vec::new();
        while let Some(next) = self.peek_char() {
            if ends.contains(next) {
                break;
            }
            // Within double quotes single quotes are letters, while double quotes still quote.
            if quoted && next != '"' {
                self.double_part(&mut parts, '}')?;
            } else {
                self.part(&mut parts, true)?;
            }
        }
        self.depth -= 1;
        if self.peek_char().is_none() {
            return self.unfinished("unterminated quoted string");
        }
        Ok(Word { parts })
    }
}

fn push_literal(parts: &mut Vec<Part>, c: char) {
    match parts.last_mut() {
        Some(Part::Literal(text)) => text.push(c),
        _ => parts.push(Part::Literal(c.to_string())),
    }
}
