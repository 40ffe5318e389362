//! Go templates, as `-o go-template` takes them.
//!
//! Follows `text/template`: text, fields, pipelines, `if`, `with`, `range`, variables, comparisons, `and`, `or`, `not`,
//! `len`, `index`, `print`, `printf` with `%s`, `%v`, `%d` and `%q`, and trimming of blanks. There are no defined templates
//! and no `break`.

use serde_json::Value;

use super::printer::go_print;
use crate::machinery::quote;

/// How deep blocks may stand in each other.
const DEPTH_MAX: usize = 64;

/// A template that was read.
#[derive(Clone, Debug)]
pub(super) struct Template {
    text: String,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Text(String),
    Pipeline(Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range(Pipeline, Vec<Node>, Vec<Node>),
}

/// Commands whose results are handed on, and the variables that get the last one.
#[derive(Clone, Debug)]
struct Pipeline {
    variables: Vec<String>,
    commands: Vec<Vec<Operand>>,
}

#[derive(Clone, Debug)]
enum Operand {
    /// `.a.b`; none for the dot itself.
    Field(Vec<String>),
    /// `$x.a`.
    Variable(String, Vec<String>),
    Literal(Value),
    Function(String),
    Group(Box<Pipeline>, Vec<String>),
}

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

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text, line: 1, trim_next: false };
        let (nodes, end) = parser.block(0)?;
        match end {
            End::Text => Ok(Self { text: text.to_owned(), nodes }),
            End::Word(word) => Err(format!("{}: unexpected {{{{{word}}}}}", parser.line)),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn execute(&self, data: &Value) -> Result<String, String> {
        let mut run = Run { variables: vec![(String::new(), data.clone())], out: String::new() };
        run.nodes(&self.nodes, data)?;
        Ok(run.out)
    }
}

/// What ended a block.
enum End {
    Text,
    Word(String),
}

struct Parser<'a> {
    rest: &'a str,
    line: usize,
    trim_next: bool,
}

impl Parser<'_> {
    fn block(&mut self, depth: usize) -> Result<(Vec<Node>, End), String> {
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

const FUNCTIONS: [&str; 17] = [
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "len",
    "index",
    "print",
    "printf",
    "println",
    "exists",
    "base64decode",
    "html",
];

struct Run {
    variables: Vec<(String, Value)>,
    out: String,
}

impl Run {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Pipeline(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        let printed = value.as_ref().map_or("<no value>".to_owned(), go_print);
                        self.out.push_str(&printed);
                    } else {
                        self.set(&pipeline.variables, &[value.unwrap_or(Value::Null)]);
                    }
                }
                Node::If(pipeline, body, otherwise) => {
                    let value = self.pipeline(pipeline, dot)?;
                    self.scoped(if truth(value.as_ref()) { body } else { otherwise }, dot, &[], &[])?;
                }
                Node::With(pipeline, body, otherwise) => match self.pipeline(pipeline, dot)? {
                    Some(value) if truth(Some(&value)) => {
                        self.scoped(body, &value, &pipeline.variables, std::slice::from_ref(&value))?;
                    }
                    _ => self.scoped(otherwise, dot, &[], &[])?,
                },
                Node::Range(pipeline, body, otherwise) => self.range(pipeline, body, otherwise, dot)?,
            }
        }
        Ok(())
    }

    fn range(&mut self, pipeline: &Pipeline, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<(), String> {
        let items: Vec<(Value, Value)> = match self.pipeline(pipeline, dot)? {
            Some(Value::Array(items)) => items.into_iter().enumerate().map(|(at, item)| (at.into(), item)).collect(),
            Some(Value::Object(map)) => {
                let mut entries: Vec<(String, Value)> = map.into_iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.into_iter().map(|(key, value)| (key.into(), value)).collect()
            }
            None | Some(Value::Null) => Vec::new(),
            Some(other) => return Err(format!("range can't iterate over {}", go_print(&other))),
        };
        if items.is_empty() {
            return self.scoped(otherwise, dot, &[], &[]);
        }
        for (key, item) in items {
            let values = if pipeline.variables.len() > 1 { vec![key, item.clone()] } else { vec![item.clone()] };
            self.scoped(body, &item, &pipeline.variables, &values)?;
        }
        Ok(())
    }

    fn scoped(&mut self, nodes: &[Node], dot: &Value, names: &[String], values: &[Value]) -> Result<(), String> {
        let height = self.variables.len();
        self.variables.extend(names.iter().cloned().zip(values.iter().cloned()));
        let result = self.nodes(nodes, dot);
        self.variables.truncate(height);
        result
    }

    fn set(&mut self, names: &[String], values: &[Value]) {
        for (name, value) in names.iter().zip(values) {
            match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
                Some((_, held)) => *held = value.clone(),
                None => self.variables.push((name.clone(), value.clone())),
            }
        }
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Option<Value>, String> {
        let mut piped: Option<Option<Value>> = None;
        for command in &pipeline.commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        Ok(piped.flatten())
    }

    fn command(&self, command: &[Operand], dot: &Value, piped: Option<Option<Value>>) -> Result<Option<Value>, String> {
        let Some((Operand::Function(name), arguments)) = command.split_first() else {
            return match command.first() {
                Some(operand) => self.operand(operand, dot),
                None => Ok(None),
            };
        };
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            values.push(self.operand(argument, dot)?);
        }
        values.extend(piped);
        call(name, values)
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Option<Value>, String> {
        match operand {
            Operand::Field(path) => walk(dot, path),
            Operand::Variable(name, path) => {
                let held = self.variables.iter().rev().find(|(known, _)| known == name);
                walk(&held.ok_or_else(|| format!("undefined variable: ${name}"))?.1, path)
            }
            Operand::Literal(value) => Ok(Some(value.clone())),
            Operand::Function(name) => call(name, Vec::new()),
            Operand::Group(pipeline, path) => match self.pipeline(pipeline, dot)? {
                Some(value) => walk(&value, path),
                None => Ok(None),
            },
        }
    }
}

fn walk(value: &Value, path: &[String]) -> Result<Option<Value>, String> {
    let mut value = value;
    for name in path {
        match value {
            Value::Object(map) => match map.get(name) {
                Some(field) => value = field,
                None => return Ok(None),
            },
            Value::Null => return Err(format!("nil pointer evaluating interface {{}}.{name}")),
            other => return Err(format!("can't evaluate field {name} in type {}", go_type(other))),
        }
    }
    Ok(Some(value.clone()))
}

const fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        _ => "interface {}",
    }
}

fn truth(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
    }
}

fn call(name: &str, values: Vec<Option<Value>>) -> Result<Option<Value>, String> {
    let value = |at: usize| values.get(at).cloned().flatten();
    let texts = || values.iter().map(|value| value.as_ref().map_or("<no value>".to_owned(), go_print));
    let result = match name {
        "and" => return Ok(values.iter().find(|value| !truth(value.as_ref())).or(values.last()).cloned().flatten()),
        "or" => return Ok(values.iter().find(|value| truth(value.as_ref())).or(values.last()).cloned().flatten()),
        "not" => (!truth(value(0).as_ref())).into(),
        "eq" => values.iter().skip(1).any(|other| *other == value(0)).into(),
        "ne" => (value(0) != value(1)).into(),
        "lt" | "le" | "gt" | "ge" => {
            let order = compare(value(0).as_ref(), value(1).as_ref())?;
            match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            }
            .into()
        }
        "len" => match value(0) {
            Some(Value::Array(items)) => items.len().into(),
            Some(Value::Object(map)) => map.len().into(),
            Some(Value::String(text)) => text.len().into(),
            _ => return Err("error calling len: len of nil pointer".to_owned()),
        },
        "index" => return index(&values),
        "print" | "html" => texts().collect::<String>().into(),
        "println" => format!("{}\n", texts().collect::<Vec<_>>().join(" ")).into(),
        "printf" => printf(&values)?.into(),
        "exists" => value(0).is_some().into(),
        "base64decode" => {
            let text = value(0).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
            let bytes = crate::machinery::base64::decode(&text).map_err(|_| "illegal base64 data".to_owned())?;
            String::from_utf8_lossy(&bytes).into_owned().into()
        }
        other => return Err(format!("function {other:?} not defined")),
    };
    Ok(Some(result))
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Result<std::cmp::Ordering, String> {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            Ok(a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(std::cmp::Ordering::Equal))
        }
        (Some(Value::String(a)), Some(Value::String(b))) => Ok(a.cmp(b)),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn index(values: &[Option<Value>]) -> Result<Option<Value>, String> {
    let mut current = values.first().cloned().flatten();
    for key in values.iter().skip(1) {
        current = match (current, key) {
            (Some(Value::Object(map)), Some(Value::String(key))) => map.get(key).cloned(),
            (Some(Value::Array(items)), Some(Value::Number(at))) => {
                let at = at.as_i64().unwrap_or(-1);
                let item = usize::try_from(at).ok().and_then(|at| items.get(at));
                Some(item.cloned().ok_or_else(|| format!("error calling index: index out of range: {at}"))?)
            }
            (None | Some(Value::Null), _) => return Err("error calling index: index of untyped nil".to_owned()),
            _ => return Err("error calling index: cannot index".to_owned()),
        };
    }
    Ok(current)
}

fn printf(values: &[Option<Value>]) -> Result<String, String> {
    let Some(Some(Value::String(format))) = values.first() else {
        return Err("error calling printf: wrong type for value; expected string".to_owned());
    };
    let mut left = values[1..].iter();
    let (mut text, mut letters) = (String::new(), format.chars());
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') => text.push('%'),
            Some('q') => {
                let value = left.next().cloned().flatten();
                text.push_str(&quote::quote(&value.as_ref().map_or(String::new(), go_print)));
            }
            Some(_) => {
                let value = left.next().cloned().flatten();
                text.push_str(&value.as_ref().map_or("<nil>".to_owned(), go_print));
            }
            None => text.push_str("%!(NOVERB)"),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Template;

    fn check(template: &str, expected: &str) {
        let data = json!({"status": {"phase": "Running", "n": 2, "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Odd", "status": "False"}]}, "labels": {"b": "2", "a": "1"}});
        let result = Template::parse(template).and_then(|template| template.execute(&data));
        assert_eq!(result.unwrap_or_else(|why| why), expected, "{template}");
    }

    #[test]
    fn templates_of_course_scripts() {
        check("{{.status.phase}}", "Running");
        check("{{.nosuch}}", "<no value>");
        check("{{range .status.conditions}}{{.type}}={{.status}}{{\"\\n\"}}{{end}}", "Ready=True\nOdd=False\n");
        check("{{range .status.conditions}}{{if eq .type \"Odd\"}}{{.status}}{{end}}{{end}}", "False");
        check("{{if .nosuch}}a{{else if eq .status.n 2}}b{{else}}c{{end}}", "b");
        check("{{if .nosuch}}a{{else if eq .status.n 3}}b{{else}}c{{end}}|", "c|");
        check("{{range $k, $v := .labels}}{{$k}}={{$v}} {{end}}", "a=1 b=2 ");
        check(
            "{{len .labels}} {{(index .status.conditions 1).type}} {{printf \"%s-%d\" .status.phase .status.n}}",
            "2 Odd Running-2",
        );
        check("{{ .status.n | print | printf \"%q\" }}", "\"2\"");
        check("a {{- 1 -}} b", "a1b");
        check("{{with .status}}{{.phase}} {{$.labels.a}}{{end}}", "Running 1");
        check("{{.x", "1: unclosed action");
        check("{{nosuch}}", "1: function \"nosuch\" not defined");
    }
}
