//! The shell's parser: recursive descent over the text itself, as the grammar of a shell depends on what came before.
//!
//! POSIX sh as busybox and dash read it, with what scripts borrow from bash: `[[ ]]`, `(( ))`, `&>`, `<<<`,
//! `function`, `${x/a/b}`, `$'…'`. `<(…)`. Arrays and coprocesses are not there.

mod alias;
mod compound;
mod lexer;

use std::fmt;
use std::sync::Arc;

pub use alias::Aliases;

use super::syntax::{
    Assignment, Chain, Command, CommandKind, Item, Joint, List, Part, Pipeline, Redirect, RedirectKind, Word,
};

/// How deep compound commands and substitutions may be nested.
const DEPTH_MAX: u32 = 60;

/// Words that are keywords where a command begins.
const RESERVED: [&str; 16] =
    ["if", "then", "elif", "else", "fi", "while", "until", "do", "done", "for", "case", "esac", "{", "}", "!", "[["];

/// Why a text is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// busybox's text, after "syntax error: ".
    pub message: String,
    /// The line it was noticed on, from 1.
    pub line: u32,
    /// Whether more text could complete the script: an interactive shell then asks for the next line.
    pub incomplete: bool,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "syntax error: {}", self.message)
    }
}

/// Parses a whole script.
///
/// # Errors
/// When the text is no script; the error says whether it only ended too early.
pub fn parse(text: &str) -> Result<Arc<List>, SyntaxError> {
    parse_with(text, &Aliases::new())
}

/// The same with aliases.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(text: &str, aliases: &Aliases) -> Result<Arc<List>, SyntaxError> {
    let mut parser = Parser::new(text, 0);
    parser.aliasing.known = aliases.clone();
    let list = parser.list(&[])?;
    match parser.token()? {
        Token::End => Ok(list),
        token => Err(parser.unexpected(&token)),
    }
}

/// A token, as seen where a command may begin or go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word.
    Word(Word),
    /// An operator.
    Operator(&'static str),
    /// The descriptor before a redirection.
    Descriptor(u32),
    /// The end of a line.
    Newline,
    /// The end of the text.
    End,
}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// The parser's place in the text.
#[derive(Debug)]
pub(super) struct Parser {
    pub(super) text: Arc<[char]>,
    pub(super) at: usize,
    pub(super) line: u32,
    pub(super) depth: u32,
    peeked: Option<Token>,
    /// Where the next line end is, and where reading goes on after the here-documents that follow it.
    here: Option<(usize, usize)>,
    aliasing: alias::Aliasing,
}

/// Operators, longest first.
const OPERATORS: [&str; 22] = [
    "&>>", "<<<", "<<-", ";;&", "&&", "||", ";;", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "|&", "|", "&", ";", "<",
    ">", "(", ")",
];

impl Parser {
    pub(super) fn new(text: &str, depth: u32) -> Self {
        Self {
            text: text.chars().collect(),
            at: 0,
            line: 1,
            depth,
            peeked: None,
            here: None,
            aliasing: alias::Aliasing::default(),
        }
    }

    pub(super) fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { message: message.into(), line: self.line, incomplete: false })
    }

    pub(super) fn unfinished<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { message: message.into(), line: self.line, incomplete: true })
    }

    pub(super) fn unexpected(&self, token: &Token) -> SyntaxError {
        let message = match token {
            Token::End => "unexpected end of file".to_owned(),
            Token::Newline => "unexpected newline".to_owned(),
            Token::Operator(operator) => format!("unexpected \"{operator}\""),
            Token::Descriptor(_) => "unexpected redirection".to_owned(),
            Token::Word(word) => match word.literal() {
                Some(text) if RESERVED.contains(&text) => format!("unexpected \"{text}\""),
                _ => "unexpected word".to_owned(),
            },
        };
        SyntaxError { message, line: self.line, incomplete: *token == Token::End }
    }

    fn expected(&self, token: &Token, what: &str) -> SyntaxError {
        let mut error = self.unexpected(token);
        error.message.push_str(&format!(" (expecting \"{what}\")"));
        error
    }

    fn is_operator(&mut self, operator: &str) -> Parsed<bool> {
        Ok(matches!(self.token()?, Token::Operator(found) if found == operator))
    }

    fn take_operator(&mut self, operator: &str) -> Parsed<bool> {
        let found = self.is_operator(operator)?;
        if found {
            self.take()?;
        }
        Ok(found)
    }

    fn is_keyword(&mut self, keyword: &str) -> Parsed<bool> {
        Ok(matches!(self.token()?, Token::Word(word) if word.literal() == Some(keyword)))
    }

    fn take_keyword(&mut self, keyword: &str) -> Parsed<bool> {
        let found = self.is_keyword(keyword)?;
        if found {
            self.take()?;
        }
        Ok(found)
    }

    fn require_keyword(&mut self, keyword: &str) -> Parsed<()> {
        if self.take_keyword(keyword)? {
            return Ok(());
        }
        let token = self.token()?;
        Err(self.expected(&token, keyword))
    }

    fn skip_newlines(&mut self) -> Parsed<()> {
        while self.token()? == Token::Newline {
            self.take()?;
        }
        Ok(())
    }

    pub(super) fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { self.error("too deeply nested") } else { Ok(()) }
    }

    /// Chains until the end of the text, a `)`, `;;` or one of these keywords.
    pub(super) fn list(&mut self, ends: &[&str]) -> Parsed<Arc<List>> {
        self.deeper()?;
        let mut items = Vec::new();
        loop {
            self.skip_newlines()?;
            match self.token()? {
                Token::End | Token::Operator(")" | ";;" | ";;&") => break,
                Token::Word(word) if word.literal().is_some_and(|text| ends.contains(&text)) => break,
                _ => {}
            }
            let chain = Arc::new(self.chain()?);
            let background = self.take_operator("&")?;
            let ended = background || self.take_operator(";")? || self.token()? == Token::Newline;
            items.push(Item { chain, background });
            if !ended {
                break;
            }
        }
        self.depth -= 1;
        Ok(Arc::new(List { items }))
    }

    /// A list that must hold something, and the keyword after it.
    fn body(&mut self, end: &str) -> Parsed<Arc<List>> {
        let list = self.list(&[end])?;
        let token = self.token()?;
        if list.items.is_empty() {
            return Err(self.unexpected(&token));
        }
        self.require_keyword(end)?;
        Ok(list)
    }

    fn chain(&mut self) -> Parsed<Chain> {
        let mut links = vec![(Joint::And, self.pipeline()?)];
        loop {
            let joint = if self.take_operator("&&")? {
                Joint::And
            } else if self.take_operator("||")? {
                Joint::Or
            } else {
                return Ok(Chain { links });
            };
            self.skip_newlines()?;
            links.push((joint, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        let mut negated = false;
        while self.take_keyword("!")? {
            negated = !negated;
        }
        // `time` before a pipeline says nothing of use where commands take no time.
        if self.is_keyword("time")? {
            self.take()?;
        }
        let mut commands = vec![Arc::new(self.command()?)];
        loop {
            if self.take_operator("|&")? {
                if let Some(last) = commands.last_mut() {
                    let target = Word { parts: vec![Part::Literal("1".to_owned())] };
                    let redirect = Redirect { descriptor: Some(2), kind: RedirectKind::Duplicate, target };
                    Arc::make_mut(last).redirects.push(redirect);
                }
            } else if !self.take_operator("|")? {
                return Ok(Pipeline { negated, commands });
            }
            self.skip_newlines()?;
            commands.push(Arc::new(self.command()?));
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let line = self.line;
        self.expand_aliases()?;
        let token = self.token()?;
        let kind = match &token {
            Token::Operator("(") => {
                self.take()?;
                if self.looking_at("(")
                    && let Some(text) = self.arithmetic_text(1)
                {
                    CommandKind::Arithmetic(self.nested_word(&text)?)
                } else {
                    let list = self.list(&[])?;
                    if !self.take_operator(")")? {
                        let token = self.token()?;
                        return Err(self.expected(&token, ")"));
                    }
                    CommandKind::Subshell(list)
                }
            }
            Token::Word(word) => match word.literal() {
                Some("{") => {
                    self.take()?;
                    CommandKind::Group(self.body("}")?)
                }
                Some("if") => self.branches()?,
                Some(name @ ("while" | "until")) => {
                    self.take()?;
                    let condition = self.body("do")?;
                    CommandKind::Loop { until: name == "until", condition, body: self.body("done")? }
                }
                Some("for") => self.counted_or_for()?,
                Some("case") => self.case()?,
                Some("function") => {
                    self.take()?;
                    return self.function_after_keyword(line);
                }
                Some("[[") => {
                    self.take()?;
                    test_of(self.test_words()?, line)
                }
                Some(text) if RESERVED.contains(&text) => return Err(self.unexpected(&token)),
                _ => return self.simple(line),
            },
            Token::Operator("<" | ">" | ">>" | "<<" | "<<-" | "<<<" | "<&" | ">&" | "<>" | ">|" | "&>" | "&>>")
            | Token::Descriptor(_) => return self.simple(line),
            _ => return Err(self.unexpected(&token)),
        };
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(Command { kind, redirects, line })
    }

    fn simple(&mut self, line: u32) -> Parsed<Command> {
        let (mut assignments, mut words, mut redirects) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            if words.is_empty() {
                self.expand_aliases()?;
            } else {
                self.expand_after_blank()?;
            }
            match self.token()? {
                Token::Word(word) => {
                    self.take()?;
                    match assignment(&word).filter(|_| words.is_empty()) {
                        Some(mut assignment) => {
                            if assignment.value.parts.is_empty() && self.take_operator("(")? {
                                assignment.items = Some(self.elements()?);
                            }
                            assignments.push(assignment);
                        }
                        None => words.push(word),
                    }
                }
                Token::Operator("(") if words.len() == 1 && assignments.is_empty() && redirects.is_empty() => {
                    let Some(name) = words[0].literal().map(str::to_owned) else {
                        return Err(self.unexpected(&Token::Operator("(")));
                    };
                    self.take()?;
                    if !self.take_operator(")")? {
                        let token = self.token()?;
                        return Err(self.expected(&token, ")"));
                    }
                    return self.function(name, line);
                }
                Token::Operator("(") => return Err(self.unexpected(&Token::Operator("("))),
                _ => break,
            }
        }
        Ok(Command { kind: CommandKind::Simple { assignments, words }, redirects, line })
    }

    /// The elements of an array, up to its parenthesis.
    fn elements(&mut self) -> Parsed<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            match self.take()? {
                Token::Word(word) => words.push(word),
                Token::Newline => {}
                Token::Operator(")") => return Ok(words),
                token => return Err(self.expected(&token, ")")),
            }
        }
    }

    fn redirect(&mut self) -> Parsed<Option<Redirect>> {
        let descriptor = match self.token()? {
            Token::Descriptor(number) => {
                self.take()?;
                Some(number)
            }
            _ => None,
        };
        let kind = match self.token()? {
            Token::Operator("<") => RedirectKind::Input,
            Token::Operator(">" | ">|") => RedirectKind::Output,
            Token::Operator(">>") => RedirectKind::Append,
            Token::Operator("<>") => RedirectKind::Both,
            Token::Operator("&>") => RedirectKind::OutputAndError,
            Token::Operator("&>>") => RedirectKind::AppendOutputAndError,
            Token::Operator("<&" | ">&") => RedirectKind::Duplicate,
            Token::Operator("<<" | "<<-" | "<<<") => RedirectKind::Text,
            _ => return Ok(None),
        };
        let operator = self.take()?;
        let descriptor = match operator {
            Token::Operator(">&") if descriptor.is_none() => Some(1),
            _ => descriptor,
        };
        let word = match self.take()? {
            Token::Word(word) => word,
            Token::Descriptor(number) => Word { parts: vec![Part::Literal(number.to_string())] },
            token => return Err(self.unexpected(&token)),
        };
        let target = match operator {
            Token::Operator("<<<") => Word { parts: vec![Part::Double(word.parts), Part::Quoted("\n".to_owned())] },
            Token::Operator("<<") => self.here_document(&word, false)?,
            Token::Operator("<<-") => self.here_document(&word, true)?,
            _ => word,
        };
        Ok(Some(Redirect { descriptor, kind, target }))
    }
}

fn plain_text(part: &Part) -> String {
    match part {
        Part::Literal(text) | Part::Quoted(text) => text.clone(),
        Part::Double(parts) => parts.iter().map(plain_text).collect(),
        _ => String::new(),
    }
}

/// Whether this may be a variable's name.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}

/// The assignment that a word is, if it is one.
fn assignment(word: &Word) -> Option<Assignment> {
    let Some(Part::Literal(first)) = word.parts.first() else {
        return None;
    };
    let (name, value) = first.split_once('=')?;
    let (name, append) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
    if !is_name(name) {
        return None;
    }
    let mut parts = word.parts.clone();
    if value.is_empty() {
        parts.remove(0);
    } else {
        parts[0] = Part::Literal(value.to_owned());
    }
    Some(Assignment { name: name.to_owned(), append, value: Word { parts }, items: None })
}

/// `[[ a && b ]]` is what `[[ a ]] && [[ b ]]` is: what comes later is only expanded when it counts.
fn test_of(words: Vec<Word>, line: u32) -> CommandKind {
    let has = |sign: &str| words.iter().any(|word| word.literal() == Some(sign));
    if !has("&&") || has("||") || has("(") {
        return CommandKind::Test(words);
    }
    let parts = words.split(|word| word.literal() == Some("&&"));
    let link = |words: &[Word]| {
        let command = Command { kind: CommandKind::Test(words.to_vec()), redirects: Vec::new(), line };
        (Joint::And, Pipeline { negated: false, commands: vec![Arc::new(command)] })
    };
    let chain = Arc::new(Chain { links: parts.map(link).collect() });
    CommandKind::Group(Arc::new(List { items: vec![Item { chain, background: false }] }))
}
