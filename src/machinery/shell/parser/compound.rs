//! Compound commands and functions.

use std::sync::Arc;

use super::super::syntax::{Command, CommandKind, Part, Word};
use super::{Parsed, Parser, Token, is_name};

impl Parser {
    pub(super) fn branches(&mut self) -> Parsed<CommandKind> {
        self.take()?;
        let mut branches = Vec::new();
        loop {
            let condition = self.body("then")?;
            let body = self.list(&["elif", "else", "fi"])?;
            if body.items.is_empty() {
                let token = self.token()?;
                return Err(self.unexpected(&token));
            }
            branches.push((condition, body));
            if self.take_keyword("elif")? {
                continue;
            }
            let otherwise = if self.take_keyword("else")? {
                Some(self.body("fi")?)
            } else {
                self.require_keyword("fi")?;
                None
            };
            return Ok(CommandKind::If { branches, otherwise });
        }
    }

    pub(super) fn counted_or_for(&mut self) -> Parsed<CommandKind> {
        self.take()?;
        self.skip_blanks();
        if self.looking_at("((") {
            self.at += 1;
            let Some(text) = self.arithmetic_text(1) else {
                return self.unfinished("missing '))'");
            };
            let parts: Vec<&str> = text.split(';').collect();
            let [start, condition, step] = parts.as_slice() else {
                return self.error("bad for loop variable");
            };
            let expressions = [self.nested_word(start)?, self.nested_word(condition)?, self.nested_word(step)?];
            self.take_operator(";")?;
            self.skip_newlines()?;
            self.require_keyword("do")?;
            return Ok(CommandKind::Count { expressions, body: self.body("done")? });
        }
        let Token::Word(word) = self.take()? else {
            return self.error("bad for loop variable");
        };
        let Some(name) = word.literal().filter(|name| is_name(name)).map(str::to_owned) else {
            return self.error("bad for loop variable");
        };
        self.skip_newlines()?;
        let mut words = None;
        if self.take_keyword("in")? {
            let mut list = Vec::new();
            while let Token::Word(word) = self.token()? {
                self.take()?;
                list.push(word);
            }
            words = Some(list);
        }
        let token = self.token()?;
        if !matches!(token, Token::Operator(";") | Token::Newline) && words.is_some() {
            return Err(self.unexpected(&token));
        }
        self.take_operator(";")?;
        self.skip_newlines()?;
        self.require_keyword("do")?;
        Ok(CommandKind::For { name, words, body: self.body("done")? })
    }

    pub(super) fn case(&mut self) -> Parsed<CommandKind> {
        self.take()?;
        let word = match self.take()? {
            Token::Word(word) => word,
            token => return Err(self.unexpected(&token)),
        };
        self.skip_newlines()?;
        self.require_keyword("in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.take_keyword("esac")? {
                return Ok(CommandKind::Case { word, arms });
            }
            self.take_operator("(")?;
            let mut patterns = Vec::new();
            loop {
                match self.take()? {
                    Token::Word(word) => patterns.push(word),
                    token => return Err(self.unexpected(&token)),
                }
                if self.take_operator("|")? {
                    continue;
                }
                if self.take_operator(")")? {
                    break;
                }
                let token = self.token()?;
                return Err(self.expected(&token, ")"));
            }
            let body = self.list(&["esac"])?;
            arms.push((patterns, body));
            if !self.take_operator(";;")? && !self.take_operator(";;&")? {
                self.skip_newlines()?;
                if !self.is_keyword("esac")? {
                    let token = self.token()?;
                    return Err(self.expected(&token, ";;"));
                }
            }
        }
    }

    pub(super) fn function_after_keyword(&mut self, line: u32) -> Parsed<Command> {
        let name = match self.take()? {
            Token::Word(word) if word.literal().is_some() => word.literal().unwrap_or_default().to_owned(),
            token => return Err(self.unexpected(&token)),
        };
        if self.take_operator("(")? && !self.take_operator(")")? {
            let token = self.token()?;
            return Err(self.expected(&token, ")"));
        }
        self.function(name, line)
    }

    pub(super) fn function(&mut self, name: String, line: u32) -> Parsed<Command> {
        self.skip_newlines()?;
        self.deeper()?;
        let body = Arc::new(self.command()?);
        self.depth -= 1;
        Ok(Command { kind: CommandKind::Function { name, body }, redirects: Vec::new(), line })
    }

    /// The words up to `]]`; operators among them become words.
    pub(super) fn test_words(&mut self) -> Parsed<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            match self.take()? {
                Token::Word(word) if word.literal() == Some("]]") => return Ok(words),
                Token::Word(word) => {
                    let pattern = word.literal() == Some("=~");
                    words.push(word);
                    if pattern {
                        words.push(self.regex_word()?);
                    }
                }
                Token::Operator(operator) => {
                    words.push(Word { parts: vec![Part::Literal(operator.to_owned())] });
                }
                Token::Newline => {}
                token => return Err(self.expected(&token, "]]")),
            }
        }
    }
}
