//! Characters and tokens.

use super::super::syntax::{Part, Word};
use super::{OPERATORS, Parsed, Parser, Token, plain_text};

impl Parser {
    pub(in super::super) fn peek_char(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    pub(in super::super) fn next_char(&mut self) -> Option<char> {
        let next = self.peek_char()?;
        self.at += 1;
        if next == '\n' {
            self.line += 1;
            if let Some((newline, resume)) = self.here
                && newline + 1 == self.at
            {
                self.line += self.text[self.at..resume].iter().filter(|c| **c == '\n').count() as u32;
                self.at = resume;
                self.here = None;
            }
        }
        Some(next)
    }

    pub(in super::super) fn looking_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(index, wanted)| self.text.get(self.at + index) == Some(&wanted))
    }

    pub(super) fn skip_blanks(&mut self) {
        loop {
            match self.peek_char() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.text.get(self.at + 1) == Some(&'\n') => {
                    self.at += 1;
                    self.next_char();
                }
                Some('#') => {
                    while self.peek_char().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    pub(super) fn token(&mut self) -> Parsed<Token> {
        if let Some(token) = &self.peeked {
            return Ok(token.clone());
        }
        let token = self.read_token()?;
        self.peeked = Some(token.clone());
        Ok(token)
    }

    pub(in super::super) fn take(&mut self) -> Parsed<Token> {
        let token = self.token()?;
        self.peeked = None;
        Ok(token)
    }

    pub(super) fn read_token(&mut self) -> Parsed<Token> {
        self.skip_blanks();
        match self.peek_char() {
            None => return Ok(Token::End),
            Some('\n') => {
                self.next_char();
                return Ok(Token::Newline);
            }
            _ => {}
        }
        if self.looking_at("<(") {
            return Ok(Token::Word(self.word()?));
        }
        if let Some(operator) = OPERATORS.iter().find(|operator| self.looking_at(operator)) {
            self.at += operator.len();
            return Ok(Token::Operator(operator));
        }
        let digits = self.text[self.at..].iter().take_while(|c| c.is_ascii_digit()).count();
        if (1..=3).contains(&digits) && matches!(self.text.get(self.at + digits), Some('<' | '>')) {
            let number: String = self.text[self.at..self.at + digits].iter().collect();
            self.at += digits;
            return Ok(Token::Descriptor(number.parse().unwrap_or(0)));
        }
        Ok(Token::Word(self.word()?))
    }

    /// Reads the body of a here-document, which begins after the line that is being read.
    pub(super) fn here_document(&mut self, delimiter: &Word, strip_tabs: bool) -> Parsed<Word> {
        let quoted = !matches!(delimiter.parts.as_slice(), [Part::Literal(_)]);
        let delimiter: String = delimiter.parts.iter().map(plain_text).collect();
        let (newline, mut at) = match self.here {
            Some(here) => here,
            None => {
                let newline = self.line_end();
                (newline, newline + 1)
            }
        };
        let mut body = String::new();
        loop {
            if at >= self.text.len() {
                return self.unfinished(format!("unexpected end of file (expecting \"{delimiter}\")"));
            }
            let end = self.text[at..].iter().position(|c| *c == '\n').map_or(self.text.len(), |found| at + found);
            let line: String = self.text[at..end].iter().collect();
            at = (end + 1).min(self.text.len());
            let line = if strip_tabs { line.trim_start_matches('\t') } else { &line };
            if line == delimiter {
                break;
            }
            body.push_str(line);
            body.push('\n');
        }
        self.here = Some((newline, at));
        if quoted { Ok(Word { parts: vec![Part::Quoted(body)] }) } else { self.here_word(&body) }
    }

    /// Where the line that is being read ends, line ends in quotes not counted.
    pub(super) fn line_end(&self) -> usize {
        let (mut at, mut quote) = (self.at, None);
        while let Some(c) = self.text.get(at) {
            match (quote, c) {
                (None, '\n') => return at,
                (None, '\'' | '"') => quote = Some(*c),
                (None | Some('"'), '\\') => at += 1,
                (Some(open), c) if open == *c => quote = None,
                _ => {}
            }
            at += 1;
        }
        self.text.len()
    }

    /// The text of `((…))` after its first parenthesis was read `opened` times, or nothing when it is none.
    pub(in super::super) fn arithmetic_text(&mut self, opened: usize) -> Option<String> {
        let start = self.at + 1;
        let (mut at, mut depth) = (start, 0);
        while let Some(c) = self.text.get(at) {
            match c {
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                ')' => {
                    let closed = (0..=opened).all(|more| self.text.get(at + more) == Some(&')'));
                    if !closed {
                        return None;
                    }
                    let text = self.text[start..at].iter().collect();
                    self.at = at + opened + 1;
                    return Some(text);
                }
                _ => {}
            }
            at += 1;
        }
        None
    }
}
