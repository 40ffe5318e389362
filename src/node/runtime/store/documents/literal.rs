//! JavaScript's literals: reading a call with its arguments, and showing a value as Node's `util.inspect` does.

use serde_json::{Map, Value, json};

/// How long a value may be on one line.
const LINE_MAX: usize = 72;
/// How deep values may be nested.
const DEPTH_MAX: u32 = 30;

/// A chain of calls: `db.people.find({}).limit(2)`.
#[derive(Debug, PartialEq)]
pub(super) struct Calls {
    /// The names before the first method.
    pub path: Vec<String>,
    /// The methods with their arguments.
    pub made: Vec<(String, Vec<Value>)>,
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    depth: u32,
}

/// Reads a chain of calls.
pub(super) fn calls(text: &str) -> Option<Calls> {
    let mut reader = Reader { rest: text.chars().peekable(), depth: 0 };
    let mut calls = Calls { path: Vec::new(), made: Vec::new() };
    loop {
        let name = reader.name()?;
        reader.blanks();
        if reader.take('(') {
            let mut arguments = Vec::new();
            reader.blanks();
            while !reader.take(')') {
                arguments.push(reader.value()?);
                reader.blanks();
                reader.take(',');
                reader.blanks();
            }
            calls.made.push((name, arguments));
        } else if calls.made.is_empty() {
            calls.path.push(name);
        } else {
            return None;
        }
        reader.blanks();
        if reader.rest.peek().is_none() {
            return Some(calls);
        }
        if !reader.take('.') {
            return None;
        }
    }
}

/// Reads a literal.
pub(super) fn parse(text: &str) -> Option<Value> {
    Reader { rest: text.chars().peekable(), depth: 0 }.value()
}

impl Reader<'_> {
    fn blanks(&mut self) {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
    }

    fn take(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn name(&mut self) -> Option<String> {
        self.blanks();
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
            name.push(c);
        }
        (!name.is_empty()).then_some(name)
    }

    fn quoted(&mut self) -> Option<String> {
        let quote = self.rest.next()?;
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                c if c == quote => return Some(text),
                '\\' => match self.rest.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    other => text.push(other),
                },
                c => text.push(c),
            }
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        self.blanks();
        let value = match *self.rest.peek()? {
            '{' => self.object()?,
            '[' => {
                self.rest.next();
                let mut items = Vec::new();
                self.blanks();
                while !self.take(']') {
                    items.push(self.value()?);
                    self.blanks();
                    self.take(',');
                    self.blanks();
                }
                Value::Array(items)
            }
            '"' | '\'' | '`' => Value::String(self.quoted()?),
            c if c.is_ascii_digit() || c == '-' => {
                let mut text = String::new();
                while let Some(c) = self.rest.next_if(|c| c.is_ascii_digit() || "+-.eE".contains(*c)) {
                    text.push(c);
                }
                match text.parse::<i64>() {
                    Ok(number) => json!(number),
                    Err(_) => json!(text.parse::<f64>().ok()?),
                }
            }
            _ => self.word()?,
        };
        self.depth -= 1;
        Some(value)
    }

    /// `true`, `null`, and constructors.
    fn word(&mut self) -> Option<Value> {
        let name = self.name()?;
        if name == "new" {
            return self.word();
        }
        self.blanks();
        if !self.take('(') {
            return match name.as_str() {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                "null" | "undefined" => Some(Value::Null),
                _ => None,
            };
        }
        self.blanks();
        let inner = if self.rest.peek() == Some(&')') { Value::Null } else { self.value()? };
        self.blanks();
        self.take(')').then_some(())?;
        Some(match name.as_str() {
            "ObjectId" => json!({"$oid": inner}),
            _ => inner,
        })
    }

    fn object(&mut self) -> Option<Value> {
        self.rest.next();
        let mut fields = Map::new();
        self.blanks();
        while !self.take('}') {
            let name = match self.rest.peek()? {
                '"' | '\'' => self.quoted()?,
                _ => self.name()?,
            };
            self.blanks();
            self.take(':').then_some(())?;
            let value = self.value()?;
            fields.insert(name, value);
            self.blanks();
            self.take(',');
            self.blanks();
        }
        Some(Value::Object(fields))
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('\'', "\\'").replace('\n', "\\n")),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Array(items) => format!("[ {} ]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            if let Some(id) = fields.get("$oid").and_then(Value::as_str) {
                return format!("ObjectId('{id}')");
            }
            let parts: Vec<String> =
                fields.iter().map(|(name, value)| format!("{}: {}", key(name), inline(value))).collect();
            if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
        }
        other => other.to_string(),
    }
}

fn key(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { format!("'{name}'") }
}

fn shown(value: &Value, indent: usize) -> String {
    let line = inline(value);
    let is_broken = |value: &Value| matches!(value, Value::Array(items) if items.iter().any(Value::is_object));
    if line.len() + indent <= LINE_MAX && !is_broken(value) {
        return line;
    }
    let (inner, outer) = (" ".repeat(indent + 2), " ".repeat(indent));
    match value {
        Value::Array(items) if !items.is_empty() => {
            let parts: Vec<String> = items.iter().map(|item| format!("{inner}{}", shown(item, indent + 2))).collect();
            format!("[\n{}\n{outer}]", parts.join(",\n"))
        }
        Value::Object(fields) if !fields.is_empty() && !fields.contains_key("$oid") => {
            let part = |(name, value): (&String, &Value)| format!("{inner}{}: {}", key(name), shown(value, indent + 2));
            let parts: Vec<String> = fields.iter().map(part).collect();
            format!("{{\n{}\n{outer}}}", parts.join(",\n"))
        }
        _ => line,
    }
}

/// A value as mongosh shows it.
pub(super) fn inspect(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // What was made is told on several lines, however short.
        Value::Object(fields) if fields.contains_key("acknowledged") => {
            let parts: Vec<String> =
                fields.iter().map(|(name, value)| format!("  {}: {}", key(name), shown(value, 2))).collect();
            format!("{{\n{}\n}}", parts.join(",\n"))
        }
        other => shown(other, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_values() {
        let chain = calls("db.people.find({ name: 'a', \"age\": {$gt: 3} }).limit(2)").unwrap();
        assert_eq!(chain.path, ["db", "people"]);
        assert_eq!(chain.made[0], ("find".to_owned(), vec![json!({"name": "a", "age": {"$gt": 3}})]));
        assert_eq!(chain.made[1], ("limit".to_owned(), vec![json!(2)]));
        assert_eq!(calls("db.x("), None);
        assert_eq!(inspect(&json!({"ok": 1})), "{ ok: 1 }");
        assert_eq!(
            inspect(&json!([{"_id": {"$oid": "ab"}, "a-b": "c"}])),
            "[\n  { _id: ObjectId('ab'), 'a-b': 'c' }\n]"
        );
    }
}
