//! kubectl's templates in its own dialect of JSONPath: `{.items[*].metadata.name}`.
//!
//! Follows `client-go/util/jsonpath`. Used by `-o jsonpath`, custom columns, `--sort-by` and
//! `kubectl wait`. Where upstream walks a Go map in random order this module goes by sorted keys.

use std::borrow::Cow;

use serde_json::Value;

use super::go_json;
use super::quote::plain;

mod evaluate;
mod parse;

use parse::Node;

/// A parsed template.
#[derive(Clone, Debug)]
pub struct JsonPath {
    nodes: Vec<Node>,
    allows_missing_keys: bool,
}

/// The values that one piece of a template (text, or an expression in braces) stands for.
pub type Results<'a> = Vec<Cow<'a, Value>>;

impl JsonPath {
    /// Reads a template. Missing keys are errors until [`JsonPath::allow_missing_keys`] is called.
    ///
    /// # Errors
    /// Upstream's text, without kubectl's `error parsing jsonpath …, ` before it.
    pub fn parse(template: &str) -> Result<Self, String> {
        let nodes = parse::parse(template, 0)?;
        Ok(Self { nodes, allows_missing_keys: false })
    }

    /// Whether a key that does not exist yields nothing instead of an error.
    #[must_use]
    pub fn allow_missing_keys(mut self, allow: bool) -> Self {
        self.allows_missing_keys = allow;
        self
    }

    /// The values of each piece of the template, in order, `range` blocks once per item.
    ///
    /// # Errors
    /// Upstream's text, such as `array index out of bounds: index 5, length 2`.
    pub fn find<'a>(&self, data: &'a Value) -> Result<Vec<Results<'a>>, String> {
        evaluate::find(&self.nodes, self.allows_missing_keys, data)
    }

    /// Fills the template in as text: the values of a piece are parted by blanks.
    ///
    /// # Errors
    /// As [`JsonPath::find`].
    pub fn execute(&self, data: &Value) -> Result<String, String> {
        let mut text = String::new();
        for results in self.find(data)? {
            let printed: Vec<String> = results.iter().map(|value| print(value)).collect();
            text.push_str(&printed.join(" "));
        }
        Ok(text)
    }

    /// Fills the template in as JSON: a list of values for every piece (`-o jsonpath-as-json`).
    ///
    /// # Errors
    /// As [`JsonPath::find`].
    pub fn execute_as_json(&self, data: &Value) -> Result<String, String> {
        let mut text = String::new();
        for results in self.find(data)? {
            let list = Value::Array(results.into_iter().map(Cow::into_owned).collect());
            text.push_str(&go_json::marshal_indent(&list, "    "));
            text.push('\n');
        }
        Ok(text)
    }
}

/// A value as templates print it: objects and lists as JSON, all else plainly.
pub fn print(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => go_json::marshal(value),
        Value::Null => "null".to_owned(),
        other => plain(other),
    }
}

/// Makes a template of what custom columns and `--sort-by` take: `x`, `.x`, `{x}` or `{.x}`
/// (`RelaxedJSONPathExpression`). An empty text stays empty.
///
/// # Errors
/// Upstream's text for anything else.
pub fn relaxed(expression: &str) -> Result<String, String> {
    if expression.is_empty() {
        return Ok(String::new());
    }
    let inner = expression.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.unwrap_or(expression);
    let path = match inner.strip_prefix('.') {
        Some(path) if !path.is_empty() => path,
        _ => inner,
    };
    if path.is_empty() || path.contains(['{', '}']) {
        return Err("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' \
             or '{.name1.name2}'"
            .to_owned());
    }
    Ok(format!("{{.{path}}}"))
}

#[cfg(test)]
mod tests;
