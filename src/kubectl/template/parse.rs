//! From a template's text to its nodes.

use serde_json::Value;

use super::functions::FUNCTIONS;
use super::{Node, Operand, Pipeline};

/// How deep blocks may stand in each other.
const DEPTH_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    /// A field, and whether it stands right behind what it is a field of.
    Field(String, bool),
    Variable(String),
    Pipe,
    Open,
    Close,
    Comma,
    Assign,
    Dot,
}

/// What ended a block.
pub(super) enum End {
    Text,
    Word(String),
}

pub(super) struct Parser<'a> {
    rest: &'a str,
    line: usize,
    trim_next: bool,
}

impl<'a> Parser<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { rest: text, line: 1, trim_next: false }
    }

    /// The line that was reached, counted from 1.
    pub(super) const fn line(&self) -> usize {
        self.line
    }

    pub(super) fn block(&mut self, depth: usize) -> Result<(Vec<Node>, End), String> {
        if depth > DEPTH_MAX {
            return Err(format!("{}: exceeded max expression depth", self.line));
        }
        let mut nodes = Vec::new();
        loop {
            let at = self.rest.find("{{");
            let mut text = self.rest[..at.unwrap_or(self.rest.len())].to_owned();
            self.line += text.matches('\n').count();
            if std::mem::take(&mut self.trim_next) {
                text = text.trim_start().to_owned();
            }
            let Some(at) = at else {
                self.rest = "";
                nodes.push(Node::Text(text));
                return Ok((nodes, End::Text));
            };
            self.rest = &self.rest[at + 2..];
            if let Some(rest) = self.rest.strip_prefix("- ") {
                self.rest = rest;
                text.truncate(text.trim_end().len());
            }
            nodes.push(Node::Text(text));
            let tokens = self.action()?;
            if let Some(end) = self.node(tokens, depth, &mut nodes)? {
                return Ok((nodes, End::Word(end)));
            }
        }
    }

    /// Turns an action into a node, or tells what ends the block.
    fn node(&mut self, tokens: Vec<Token>, depth: usize, nodes: &mut Vec<Node>) -> Result<Option<String>, String> {
        let Some(Token::Word(word)) = tokens.first() else {
            if !tokens.is_empty() {
                nodes.push(Node::Pipeline(self.pipeline(&tokens)?));
            }
            return Ok(None);
        };
        match word.as_str() {
            "end" => Ok(Some("end".to_owned())),
            "else" if matches!(tokens.get(1), Some(Token::Word(_))) => {
                // `else if` is an `if` of its own in the other branch; both end at one `end`.
                let mut inner = Vec::new();
                self.node(tokens[1..].to_vec(), depth + 1, &mut inner)?;
                nodes.push(Node::Text(String::new()));
                nodes.extend(inner);
                Ok(Some("else if".to_owned()))
            }
            "else" => Ok(Some("else".to_owned())),
            "if" | "with" | "range" => {
                let pipeline = self.pipeline(&tokens[1..])?;
                let (body, otherwise) = self.branches(depth)?;
                nodes.push(match word.as_str() {
                    "if" => Node::If(pipeline, body, otherwise),
                    "with" => Node::With(pipeline, body, otherwise),
                    _ => Node::Range(pipeline, body, otherwise),
                });
                Ok(None)
            }
            _ => {
                nodes.push(Node::Pipeline(self.pipeline(&tokens)?));
                Ok(None)
            }
        }
    }

    fn branches(&mut self, depth: usize) -> Result<(Vec<Node>, Vec<Node>), String> {
        let (mut body, end) = self.block(depth + 1)?;
        match end {
            End::Word(word) if word == "end" => Ok((body, Vec::new())),
            // What follows `else if` was read into the last node already, up to the common end.
            End::Word(word) if word == "else if" => {
                let otherwise = body.pop().into_iter().collect();
                Ok((body, otherwise))
            }
            End::Word(_) => match self.block(depth + 1)? {
                (otherwise, End::Word(word)) if word == "end" => Ok((body, otherwise)),
                _ => Err(format!("{}: expected end; found {{{{else}}}}", self.line)),
            },
            End::Text => Err(format!("{}: unexpected EOF", self.line)),
        }
    }

    /// The tokens up to the end of an action.
    fn action(&mut self) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        loop {
            let trimmed = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let attached = trimmed.len() == self.rest.len();
            self.rest = trimmed;
            if let Some(rest) = self.rest.strip_prefix("-}}") {
                self.rest = rest;
                self.trim_next = true;
                return Ok(tokens);
            }
            if let Some(rest) = self.rest.strip_prefix("}}") {
                self.rest = rest;
                return Ok(tokens);
            }
            if let Some(rest) = self.rest.strip_prefix("/*") {
                let end = rest.find("*/").ok_or_else(|| format!("{}: unclosed comment", self.line))?;
                self.rest = &rest[end + 2..];
                continue;
            }
            let token = self.token()?;
            tokens.push(match token {
                Token::Field(name, _) => Token::Field(name, attached),
                other => other,
            });
        }
    }

    fn token(&mut self) -> Result<Token, String> {
        let Some(first) = self.rest.chars().next() else {
            return Err(format!("{}: unclosed action", self.line));
        };
        let word_length = |text: &str| text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        let (token, length) = match first {
            '|' => (Token::Pipe, 1),
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            ':' if self.rest.starts_with(":=") => (Token::Assign, 2),
            '=' => (Token::Assign, 1),
            '"' | '`' => return self.quoted(first),
            '$' => {
                let length = word_length(&self.rest[1..]);
                (Token::Variable(self.rest[1..=length].to_owned()), length + 1)
            }
            '.' => match word_length(&self.rest[1..]) {
                0 => (Token::Dot, 1),
                length => (Token::Field(self.rest[1..=length].to_owned(), false), length + 1),
            },
            '-' | '+' | '0'..='9' => {
                let digits = self.rest[1..]
                    .find(|c: char| !(c.is_ascii_digit() || c == '.'))
                    .map_or(self.rest.len(), |at| at + 1);
                (Token::Number(self.rest[..digits].to_owned()), digits)
            }
            letter if letter.is_alphabetic() || letter == '_' => {
                let length = word_length(self.rest);
                (Token::Word(self.rest[..length].to_owned()), length)
            }
            other => return Err(format!("{}: unexpected {other:?} in command", self.line)),
        };
        self.rest = &self.rest[length..];
        Ok(token)
    }

    fn quoted(&mut self, quote: char) -> Result<Token, String> {
        let (mut text, mut escaped) = (String::new(), false);
        for (at, letter) in self.rest.char_indices().skip(1) {
            if escaped {
                text.push(match letter {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
                escaped = false;
            } else if letter == '\\' && quote == '"' {
                escaped = true;
            } else if letter == quote {
                self.rest = &self.rest[at + 1..];
                return Ok(Token::Text(text));
            } else {
                text.push(letter);
            }
        }
        Err(format!("{}: unterminated quoted string", self.line))
    }

    fn pipeline(&self, tokens: &[Token]) -> Result<Pipeline, String> {
        let mut tokens = tokens;
        let mut variables = Vec::new();
        if let Some(at) = tokens.iter().position(|token| *token == Token::Assign) {
            variables = tokens[..at]
                .iter()
                .filter_map(|token| match token {
                    Token::Variable(name) => Some(name.clone()),
                    _ => None,
                })
                .collect();
            tokens = &tokens[at + 1..];
        }
        let mut commands = vec![Vec::new()];
        let mut at = 0;
        while at < tokens.len() {
            if tokens[at] == Token::Pipe {
                commands.push(Vec::new());
                at += 1;
            } else {
                let operand = self.operand(tokens, &mut at)?;
                commands.last_mut().into_iter().for_each(|command| command.push(operand.clone()));
            }
        }
        if commands.iter().any(Vec::is_empty) {
            return Err(format!("{}: missing value for command", self.line));
        }
        Ok(Pipeline { variables, commands })
    }

    fn operand(&self, tokens: &[Token], at: &mut usize) -> Result<Operand, String> {
        let token = &tokens[*at];
        *at += 1;
        Ok(match token {
            Token::Field(name, _) => {
                let mut path = vec![name.clone()];
                path.extend(fields(tokens, at));
                Operand::Field(path)
            }
            Token::Dot => Operand::Field(Vec::new()),
            Token::Variable(name) => Operand::Variable(name.clone(), fields(tokens, at)),
            Token::Text(text) => Operand::Literal(text.as_str().into()),
            Token::Number(number) => {
                let value = serde_json::from_str(number.trim_start_matches('+'));
                Operand::Literal(value.map_err(|_| format!("{}: bad number syntax: {number:?}", self.line))?)
            }
            Token::Word(word) => match word.as_str() {
                "true" => Operand::Literal(true.into()),
                "false" => Operand::Literal(false.into()),
                "nil" => Operand::Literal(Value::Null),
                known if FUNCTIONS.contains(&known) => Operand::Function(word.clone()),
                _ => return Err(format!("{}: function {word:?} not defined", self.line)),
            },
            Token::Open => {
                let (start, mut depth) = (*at, 1);
                while depth > 0 {
                    match tokens.get(*at) {
                        Some(Token::Open) => depth += 1,
                        Some(Token::Close) => depth -= 1,
                        Some(_) => {}
                        None => return Err(format!("{}: unclosed left paren", self.line)),
                    }
                    *at += 1;
                }
                let inner = self.pipeline(&tokens[start..*at - 1])?;
                Operand::Group(Box::new(inner), fields(tokens, at))
            }
            other => return Err(format!("{}: unexpected {other:?} in operand", self.line)),
        })
    }
}

/// The fields that follow an operand at once: `$x.a.b`.
fn fields(tokens: &[Token], at: &mut usize) -> Vec<String> {
    let mut path = Vec::new();
    while let Some(Token::Field(name, true)) = tokens.get(*at) {
        path.push(name.clone());
        *at += 1;
    }
    path
}
