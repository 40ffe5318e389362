//! From a template's text to its nodes.
//!
//! Follows `client-go/util/jsonpath/parser.go`.

use super::super::intstr::atoi;

/// Templates within templates (in filters and unions) deeper than this are refused, so that no
/// input can exhaust the stack.
const DEPTH_MAX: usize = 32;

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Text outside of braces, or quoted in them.
    Text(String),
    /// Everything between two braces.
    List(Vec<Node>),
    Field(String),
    Array(Slice),
    Filter {
        left: Vec<Node>,
        right: Vec<Node>,
        operator: String,
    },
    Integer(i64),
    Float(f64),
    Bool(bool),
    Wildcard,
    Recursive,
    Union(Vec<Vec<Node>>),
    /// `range`, `end` or something that is not known.
    Identifier(String),
}

/// `[begin:end:step]`, in which anything may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Slice {
    pub(super) begin: Option<i64>,
    pub(super) end: Option<i64>,
    /// Whether the end is only the begin's successor: a single index.
    pub(super) is_index: bool,
    pub(super) step: Option<i64>,
}

/// Reads a whole template.
pub(super) fn parse(template: &str, depth: usize) -> Result<Vec<Node>, String> {
    if depth > DEPTH_MAX {
        return Err("expression is nested too deeply".to_owned());
    }
    let mut parser = Parser { input: template, position: 0, depth };
    let mut nodes = Vec::new();
    while let Some(begin) = parser.rest().find('{') {
        if begin > 0 {
            nodes.push(Node::Text(parser.rest()[..begin].to_owned()));
        }
        parser.position += begin + 1;
        nodes.push(Node::List(parser.action()?));
    }
    if !parser.rest().is_empty() {
        nodes.push(Node::Text(parser.rest().to_owned()));
    }
    Ok(nodes)
}

/// Reads an expression as if it stood in braces.
fn parse_action(expression: &str, depth: usize) -> Result<Vec<Node>, String> {
    let template = format!("{{{expression}}}");
    match parse(&template, depth + 1)?.into_iter().next() {
        Some(Node::List(nodes)) => Ok(nodes),
        _ => Ok(Vec::new()),
    }
}

struct Parser<'a> {
    input: &'a str,
    position: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.input[self.position..]
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.position += text.len();
        }
        found
    }

    /// Everything up to the closing brace, which is consumed.
    fn action(&mut self) -> Result<Vec<Node>, String> {
        let mut nodes = Vec::new();
        loop {
            if self.skip("}") {
                return Ok(nodes);
            }
            if self.skip("[?(") {
                nodes.push(self.filter()?);
                continue;
            }
            if self.skip("..") {
                if nodes.last() == Some(&Node::Recursive) {
                    return Err("invalid multiple recursive descent".to_owned());
                }
                nodes.push(Node::Recursive);
                if self.rest().starts_with(is_alphanumeric) {
                    nodes.push(self.field());
                }
                continue;
            }
            let begin = self.position;
            match self.next() {
                None | Some('\r' | '\n') => return Err("unclosed action".to_owned()),
                Some(' ' | '@' | '$') => {}
                Some('[') => self.array(&mut nodes)?,
                Some(quote @ ('"' | '\'')) => nodes.push(self.quoted(begin, quote)?),
                Some('.') => nodes.push(self.field()),
                Some(next) if matches!(next, '+' | '-') || next.is_numeric() => {
                    nodes.push(self.number(begin)?);
                }
                Some(next) if is_alphanumeric(next) => nodes.push(self.identifier(begin)),
                Some(next) => {
                    let code = u32::from(next);
                    return Err(format!("unrecognized character in action: U+{code:04X} '{next}'"));
                }
            }
        }
    }

    fn identifier(&mut self, begin: usize) -> Node {
        let length = self.rest().find(is_terminator).unwrap_or(self.rest().len());
        self.position += length;
        match &self.input[begin..self.position] {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            name => Node::Identifier(name.to_owned()),
        }
    }

    fn number(&mut self, begin: usize) -> Result<Node, String> {
        let is_part = |character: char| character == '.' || character.is_numeric();
        let rest = self.rest();
        self.position += rest.find(|character| !is_part(character)).unwrap_or(rest.len());
        let text = &self.input[begin..self.position];
        if let Ok(integer) = atoi(text) {
            return Ok(Node::Integer(integer));
        }
        text.parse().map(Node::Float).map_err(|_| format!("cannot parse number {text}"))
    }

    /// A field's name up to the next terminator that no backslash precedes.
    fn field(&mut self) -> Node {
        let begin = self.position;
        while let Some(next) = self.rest().chars().next() {
            if next == '\\' {
                self.next();
            } else if is_terminator(next) {
                break;
            }
            self.next();
        }
        match &self.input[begin..self.position] {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn quoted(&mut self, begin: usize, quote: char) -> Result<Node, String> {
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(next) if next == quote => {
                    if !self.input[..self.position - 1].ends_with('\\') {
                        break;
                    }
                }
                Some(_) => {}
            }
        }
        let text = &self.input[begin..self.position];
        unquote(text).map(Node::Text).ok_or_else(|| format!("unquote string {text} error invalid syntax"))
    }

    /// What stands in brackets: an index, a slice, a key or several of them.
    fn array(&mut self, nodes: &mut Vec<Node>) -> Result<(), String> {
        let begin = self.position;
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated array".to_owned()),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text = match &self.input[begin..self.position - 1] {
            "*" => ":",
            text => text,
        };
        if text.contains(',') {
            let members =
                text.split(',').map(|member| parse_action(&format!("[{}]", member.trim_matches(' ')), self.depth));
            nodes.push(Node::Union(members.collect::<Result<_, _>>()?));
            return Ok(());
        }
        let key = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        if let Some(key) = key.filter(|key| !key.contains('\'')) {
            nodes.extend(parse_action(&format!(".{key}"), self.depth)?);
            return Ok(());
        }
        nodes.push(Node::Array(slice(text)?));
        Ok(())
    }

    fn filter(&mut self) -> Result<Node, String> {
        let begin = self.position;
        let mut quote = None;
        let mut is_closed = false;
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated filter".to_owned()),
                Some(next @ ('"' | '\'')) => match quote {
                    None => quote = Some(next),
                    Some(quote) => {
                        let is_escaped = self.input[..self.position - 1].ends_with('\\');
                        is_closed |= quote == next && !is_escaped;
                    }
                },
                Some(')') if quote.is_some() == is_closed => break,
                Some(_) => {}
            }
        }
        let text = &self.input[begin..self.position - 1];
        if self.next() != Some(']') {
            return Err("unclosed array expect ]".to_owned());
        }
        let Some((left, operator, right)) = comparison(text) else {
            let left = parse_action(text, self.depth)?;
            return Ok(Node::Filter { left, right: Vec::new(), operator: "exists".to_owned() });
        };
        Ok(Node::Filter {
            left: parse_action(left, self.depth)?,
            right: parse_action(right, self.depth)?,
            operator: operator.to_owned(),
        })
    }
}

/// Splits at the first run of comparing characters; both sides must have something.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_sign = |character: char| matches!(character, '!' | '<' | '>' | '=');
    let begin = text.find(is_sign).filter(|begin| *begin > 0)?;
    let end = begin + text[begin..].find(|character| !is_sign(character))?;
    Some((&text[..begin], &text[begin..end], &text[end..]))
}

/// Reads `-?[0-9]*(:-?[0-9]*)?(:-?[0-9]*)?`.
fn slice(text: &str) -> Result<Slice, String> {
    let invalid = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 {
        return Err(invalid());
    }
    let number = |part: &str| {
        let digits = part.strip_prefix('-').unwrap_or(part);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        if part.is_empty() {
            return Ok(None);
        }
        atoi(part).map(Some).map_err(|_| format!("array index {part} is not a number"))
    };
    let mut numbers = [None; 3];
    for (known, part) in numbers.iter_mut().zip(&parts) {
        *known = number(part)?;
    }
    let [begin, end, step] = numbers;
    let is_index = parts.len() == 1;
    let end = if is_index { Some(begin.unwrap_or(0).saturating_add(1)) } else { end };
    Ok(Slice { begin, end, is_index, step })
}

fn is_alphanumeric(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

fn is_terminator(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

/// Takes quotes off and resolves escapes as Go's `strconv.UnquoteChar` does.
fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next()?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut unquoted = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        unquoted.push(if character == '\\' { escape(&mut characters, quote)? } else { character });
    }
    Some(unquoted)
}

/// The character that stands behind a backslash.
fn escape(characters: &mut std::str::Chars<'_>, quote: char) -> Option<char> {
    let digits = match characters.next()? {
        'a' => return Some('\u{07}'),
        'b' => return Some('\u{08}'),
        'f' => return Some('\u{0c}'),
        'n' => return Some('\n'),
        'r' => return Some('\r'),
        't' => return Some('\t'),
        'v' => return Some('\u{0b}'),
        '\\' => return Some('\\'),
        other if other == quote => return Some(other),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let code: String = characters.take(digits).collect();
    if code.len() != digits {
        return None;
    }
    char::from_u32(u32::from_str_radix(&code, 16).ok()?)
}
