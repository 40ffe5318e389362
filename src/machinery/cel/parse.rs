//! From text to a tree.

use super::value::Value;

/// How deep expressions may be nested.
const DEPTH_MAX: usize = 64;

/// Something wrong at a place in the text, counted in letters.
#[derive(Clone, Debug)]
pub(super) struct Error {
    at: usize,
    message: String,
}

impl Error {
    pub(super) fn at(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// The message with the line and a mark under the place.
    pub(super) fn show(&self, text: &str) -> String {
        let before: String = text.chars().take(self.at).collect();
        let line = before.matches('\n').count();
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count();
        let shown = text.split('\n').nth(line).unwrap_or("");
        let dots = ".".repeat(column);
        format!("ERROR: <input>:{}:{}: {}\n | {shown}\n | {dots}^", line + 1, column + 1, self.message)
    }
}

/// A part of an expression, and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub at: usize,
    pub node: Node,
}

/// What a part of an expression is.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Literal(Value),
    Name(String),
    List(Vec<Expression>),
    Map(Vec<(Expression, Expression)>),
    Select(Box<Expression>, String),
    /// A field that may be missing: `.?`.
    OptionalSelect(Box<Expression>, String),
    Index(Box<Expression>, Box<Expression>),
    /// A function with its receiver, if it has one, and arguments.
    Call(String, Option<Box<Expression>>, Vec<Expression>),
    Has(Box<Expression>, String),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    Binary(&'static str, Box<Expression>, Box<Expression>),
    Conditional(Box<Expression>, Box<Expression>, Box<Expression>),
    /// A macro over the items of a list or the keys of a map.
    Comprehension {
        macro_name: &'static str,
        of: Box<Expression>,
        variable: String,
        body: Box<Expression>,
        /// What `map` makes of items that a condition selects.
        result: Option<Box<Expression>>,
    },
}

impl Expression {
    /// The parts, but for those of a comprehension, which see another variable.
    pub(super) fn children(&self) -> Vec<&Self> {
        match &self.node {
            Node::Literal(_) | Node::Name(_) => Vec::new(),
            Node::List(items) => items.iter().collect(),
            Node::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Node::Select(of, _) | Node::OptionalSelect(of, _) | Node::Has(of, _) | Node::Not(of) | Node::Negate(of) => {
                vec![of]
            }
            Node::Index(left, right) | Node::Binary(_, left, right) => vec![left, right],
            Node::Call(_, receiver, arguments) => receiver.iter().map(|one| &**one).chain(arguments).collect(),
            Node::Conditional(condition, yes, no) => vec![condition, yes, no],
            Node::Comprehension { of, .. } => vec![of],
        }
    }
}

/// A word of the language.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Literal(Value),
    Word(String),
    Symbol(&'static str),
    End,
}

const SYMBOLS: [&str; 26] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}", "=", "&",
];

/// Operators from the loosest to the tightest.
const LEVELS: [&[&str]; 5] =
    [&["||"], &["&&"], &["==", "!=", "<=", ">=", "<", ">", "in"], &["+", "-"], &["*", "/", "%"]];

/// What an operand may begin with, as the grammar names it.
const OPERANDS: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, \
                        IDENTIFIER}";

/// The macros over lists and maps.
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "map", "filter"];

struct Parser {
    tokens: Vec<(usize, Token)>,
    /// The text of each token, for messages.
    texts: Vec<String>,
    next: usize,
    depth: usize,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, Error> {
    let mut parser = Parser { tokens: Vec::new(), texts: Vec::new(), next: 0, depth: 0 };
    parser.tokenize(&text.chars().collect::<Vec<char>>())?;
    let expression = parser.conditional()?;
    match parser.peek() {
        Token::End => Ok(expression),
        _ => Err(parser.unexpected()),
    }
}

impl Parser {
    fn tokenize(&mut self, letters: &[char]) -> Result<(), Error> {
        let mut at = 0;
        while at < letters.len() {
            let rest = &letters[at..];
            if rest[0].is_whitespace() {
                at += 1;
                continue;
            }
            if rest.starts_with(&['/', '/']) {
                at += rest.iter().take_while(|letter| **letter != '\n').count();
                continue;
            }
            let (token, length) = token(rest).map_err(|message| Error::at(at, message))?;
            self.tokens.push((at, token));
            self.texts.push(rest[..length].iter().collect());
            at += length;
        }
        self.tokens.push((letters.len(), Token::End));
        Ok(())
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    fn at(&self) -> usize {
        self.tokens[self.next].0
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(known) if *known == symbol);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Error> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> Error {
        let message = match (self.peek(), self.next.checked_sub(1)) {
            (Token::End, Some(last)) => format!("Syntax error: no viable alternative at input '{}'", self.texts[last]),
            (Token::End, None) => "Syntax error: mismatched input '<EOF>'".to_owned(),
            _ => format!("Syntax error: extraneous input '{}'", self.texts[self.next]),
        };
        Error::at(self.at(), message)
    }

    fn word(&mut self) -> Result<String, Error> {
        match self.peek() {
            Token::Word(word) => {
                let word = word.clone();
                self.next += 1;
                Ok(word)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn conditional(&mut self) -> Result<Expression, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::at(self.at(), "expression recursion limit exceeded"));
        }
        let condition = self.binary(0)?;
        let expression = if self.take("?") {
            let yes = self.binary(0)?;
            self.expect(":")?;
            let no = self.conditional()?;
            let node = Node::Conditional(Box::new(condition.clone()), Box::new(yes), Box::new(no));
            Expression { at: condition.at, node }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn binary(&mut self, level: usize) -> Result<Expression, Error> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let found = operators.iter().find(|operator| match self.peek() {
                Token::Symbol(symbol) => symbol == *operator,
                Token::Word(word) => word == *operator,
                _ => false,
            });
            let Some(operator) = found else { return Ok(left) };
            let at = self.at();
            self.next += 1;
            let right = self.binary(level + 1)?;
            left = Expression { at, node: Node::Binary(operator, Box::new(left), Box::new(right)) };
        }
    }

    fn unary(&mut self) -> Result<Expression, Error> {
        let at = self.at();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::at(at, "expression recursion limit exceeded"));
        }
        let node = if self.take("!") {
            Node::Not(Box::new(self.unary()?))
        } else if self.take("-") {
            Node::Negate(Box::new(self.unary()?))
        } else {
            self.depth -= 1;
            return self.member();
        };
        self.depth -= 1;
        Ok(Expression { at, node })
    }

    fn member(&mut self) -> Result<Expression, Error> {
        let mut expression = self.primary()?;
        loop {
            let at = self.at();
            if self.take(".") {
                let is_optional = self.take("?");
                let name = self.word()?;
                if is_optional {
                    expression = Expression { at, node: Node::OptionalSelect(Box::new(expression), name) };
                    continue;
                }
                expression = if self.take("(") {
                    if matches!(&expression.node, Node::Name(library) if library == "jsonpatch") {
                        let arguments = self.arguments(")")?;
                        expression = Expression { at, node: Node::Call(format!("jsonpatch.{name}"), None, arguments) };
                        continue;
                    }
                    if matches!(&expression.node, Node::Name(library) if library == "cel") && name == "bind" {
                        expression = Expression { at, node: self.binding(at)? };
                        continue;
                    }
                    self.method(at, expression, name)?
                } else {
                    Expression { at, node: Node::Select(Box::new(expression), name) }
                };
            } else if is_message(&expression) && self.take("{") {
                expression = Expression { at: expression.at, node: Node::Map(self.fields()?) };
            } else if self.take("[") {
                let index = self.conditional()?;
                self.expect("]")?;
                expression = Expression { at, node: Node::Index(Box::new(expression), Box::new(index)) };
            } else {
                return Ok(expression);
            }
        }
    }

    /// `cel.bind(name, value, expression)`.
    fn binding(&mut self, at: usize) -> Result<Node, Error> {
        let arguments = self.arguments(")")?;
        let Ok([name, value, body]) = <[Expression; 3]>::try_from(arguments) else {
            return Err(Error::at(at, "found no matching overload for 'bind'"));
        };
        let Node::Name(variable) = name.node else {
            return Err(Error::at(name.at, "cel.bind() variable names must be simple identifiers"));
        };
        let (of, body) = (Box::new(value), Box::new(body));
        Ok(Node::Comprehension { macro_name: "bind", of, variable, body, result: None })
    }

    fn method(&mut self, at: usize, receiver: Expression, name: String) -> Result<Expression, Error> {
        let mut arguments = self.arguments(")")?;
        if let Some(macro_name) = MACROS.into_iter().find(|known| *known == name)
            && let Some(Expression { node: Node::Name(variable), .. }) = arguments.first()
            && (arguments.len() == 2 || (arguments.len() == 3 && name == "map"))
        {
            let variable = variable.clone();
            let result = (arguments.len() == 3).then(|| arguments.remove(2)).map(Box::new);
            let body = Box::new(arguments.remove(1));
            let node = Node::Comprehension { macro_name, of: Box::new(receiver), variable, body, result };
            return Ok(Expression { at, node });
        }
        Ok(Expression { at, node: Node::Call(name, Some(Box::new(receiver)), arguments) })
    }

    fn arguments(&mut self, end: &str) -> Result<Vec<Expression>, Error> {
        let mut arguments = Vec::new();
        while !self.take(end) {
            arguments.push(self.conditional()?);
            if !self.take(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Result<Expression, Error> {
        let at = self.at();
        let token = self.peek().clone();
        let node = match token {
            Token::Literal(value) => {
                self.next += 1;
                Node::Literal(value)
            }
            Token::Word(word) => {
                self.next += 1;
                if self.take("(") { self.function(at, word)? } else { named(word) }
            }
            Token::Symbol("(") => {
                self.next += 1;
                let inner = self.conditional()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("[") => {
                self.next += 1;
                Node::List(self.arguments("]")?)
            }
            Token::Symbol("{") => {
                self.next += 1;
                Node::Map(self.entries()?)
            }
            Token::End => {
                return Err(Error::at(at, format!("Syntax error: mismatched input '<EOF>' expecting {OPERANDS}")));
            }
            _ => return Err(self.unexpected()),
        };
        Ok(Expression { at, node })
    }

    fn entries(&mut self) -> Result<Vec<(Expression, Expression)>, Error> {
        let mut entries = Vec::new();
        while !self.take("}") {
            let key = self.conditional()?;
            self.expect(":")?;
            entries.push((key, self.conditional()?));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(entries)
    }

    /// The fields of an object that is written out: its value is that of a map.
    fn fields(&mut self) -> Result<Vec<(Expression, Expression)>, Error> {
        let mut fields = Vec::new();
        while !self.take("}") {
            let at = self.at();
            let name = Expression { at, node: Node::Literal(Value::Text(self.word()?)) };
            self.expect(":")?;
            fields.push((name, self.conditional()?));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(fields)
    }

    fn function(&mut self, at: usize, name: String) -> Result<Node, Error> {
        let mut arguments = self.arguments(")")?;
        if name != "has" {
            return Ok(Node::Call(name, None, arguments));
        }
        match (arguments.len(), arguments.pop().map(|argument| argument.node)) {
            (1, Some(Node::Select(of, field))) => Ok(Node::Has(of, field)),
            _ => Err(Error::at(at, "invalid argument to has() macro")),
        }
    }
}

/// Whether a name is that of a type whose objects can be written out: `Object`, `Object.spec`, `JSONPatch`.
fn is_message(expression: &Expression) -> bool {
    match &expression.node {
        Node::Name(name) => name == "Object" || name == "JSONPatch",
        Node::Select(of, _) => is_message(of) && !matches!(&of.node, Node::Name(name) if name == "JSONPatch"),
        _ => false,
    }
}

/// A word that stands for itself, for a type or for a variable.
fn named(word: String) -> Node {
    const TYPES: [&str; 7] = ["bool", "int", "double", "string", "list", "map", "null_type"];
    match word.as_str() {
        "true" => Node::Literal(Value::Bool(true)),
        "false" => Node::Literal(Value::Bool(false)),
        "null" => Node::Literal(Value::Null),
        _ => TYPES
            .into_iter()
            .find(|name| *name == word)
            .map_or(Node::Name(word), |name| Node::Literal(Value::Type(name))),
    }
}

/// The token at the beginning of the letters, and how long it is.
fn token(letters: &[char]) -> Result<(Token, usize), String> {
    let first = letters[0];
    let raw = matches!(first, 'r' | 'R') && letters.get(1).is_some_and(|next| matches!(next, '\'' | '"'));
    if raw || matches!(first, '\'' | '"') {
        let (text, length) = text(&letters[usize::from(raw)..], raw)?;
        return Ok((Token::Literal(Value::Text(text)), length + usize::from(raw)));
    }
    if first.is_ascii_digit() {
        return number(letters);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let length = letters.iter().take_while(|letter| letter.is_ascii_alphanumeric() || **letter == '_').count();
        return Ok((Token::Word(letters[..length].iter().collect()), length));
    }
    let starts = |symbol: &&str| symbol.chars().zip(letters).filter(|(a, b)| a == *b).count() == symbol.len();
    match SYMBOLS.into_iter().find(|symbol| starts(symbol)) {
        Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
        None => Err(format!("Syntax error: token recognition error at: '{first}'")),
    }
}

fn number(letters: &[char]) -> Result<(Token, usize), String> {
    let is_hexadecimal = letters.starts_with(&['0', 'x']);
    let mut length = if is_hexadecimal { 2 } else { 0 };
    let mut is_double = false;
    while let Some(letter) = letters.get(length) {
        let after_exponent = matches!(letters.get(length.wrapping_sub(1)), Some('e' | 'E')) && !is_hexadecimal;
        let fraction = *letter == '.' && letters.get(length + 1).is_some_and(char::is_ascii_digit);
        let exponent = matches!(letter, 'e' | 'E') && !is_hexadecimal;
        is_double |= fraction || exponent;
        let goes_on =
            letter.is_ascii_digit() || fraction || exponent || (after_exponent && matches!(letter, '+' | '-'));
        if !(goes_on || is_hexadecimal && letter.is_ascii_hexdigit()) {
            break;
        }
        length += 1;
    }
    let text: String = letters[..length].iter().collect();
    let value = if is_double {
        text.parse().map(Value::Double).map_err(|_| "invalid double literal")
    } else if is_hexadecimal {
        i64::from_str_radix(&text[2..], 16).map(Value::Int).map_err(|_| "invalid int literal")
    } else {
        text.parse().map(Value::Int).map_err(|_| "invalid int literal")
    };
    // There is one sort of whole number, so a `u` behind it says nothing.
    let unsigned = usize::from(!is_double && letters.get(length) == Some(&'u'));
    Ok((Token::Literal(value?), length + unsigned))
}

/// A text in quotes, which may be three of a kind.
fn text(letters: &[char], raw: bool) -> Result<(String, usize), String> {
    let quote = letters[0];
    let width = if letters.starts_with(&[quote; 3]) { 3 } else { 1 };
    let mut at = width;
    let mut text = String::new();
    loop {
        let rest = letters.get(at..).unwrap_or(&[]);
        match rest.first() {
            None => return Err("Syntax error: token recognition error at: unterminated text".to_owned()),
            Some(_) if rest.len() >= width && rest[..width].iter().all(|letter| *letter == quote) => {
                return Ok((text, at + width));
            }
            Some('\\') if !raw => {
                let (letter, length) = escape(rest)?;
                text.push(letter);
                at += length;
            }
            Some(letter) => {
                text.push(*letter);
                at += 1;
            }
        }
    }
}

fn escape(letters: &[char]) -> Result<(char, usize), String> {
    let invalid = || "invalid escape sequence".to_owned();
    let plain = match letters.get(1) {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some(letter @ ('\\' | '\'' | '"' | '`' | '?')) => *letter,
        Some(kind @ ('x' | 'u' | 'U')) => {
            let digits = match kind {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let code: String = letters.iter().skip(2).take(digits).collect();
            let letter = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).ok_or_else(invalid)?;
            return Ok((letter, 2 + digits));
        }
        _ => return Err(invalid()),
    };
    Ok((plain, 2))
}
