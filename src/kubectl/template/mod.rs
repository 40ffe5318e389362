//! Go templates, as `-o go-template` takes them.
//!
//! Follows `text/template`: text, fields, pipelines, `if`, `with`, `range`, variables, comparisons, `and`, `or`, `not`,
//! `len`, `index`, `print`, `printf` with `%s`, `%v`, `%d` and `%q`, and trimming of blanks. There are no defined templates
//! and no `break`.

mod execute;
mod functions;
mod parse;

use serde_json::Value;

use execute::Run;
use parse::{End, Parser};

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

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser::new(text);
        let (nodes, end) = parser.block(0)?;
        match end {
            End::Text => Ok(Self { text: text.to_owned(), nodes }),
            End::Word(word) => Err(format!("{}: unexpected {{{{{word}}}}}", parser.line())),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn execute(&self, data: &Value) -> Result<String, String> {
        Run::of(&self.nodes, data)
    }
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
