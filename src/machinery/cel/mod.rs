//! The Common Expression Language, as far as admission policies use it.
//!
//! Follows `github.com/google/cel-spec` and the libraries of `k8s.io/apiserver/pkg/cel`: operators, comprehension macros,
//! functions on texts and lists, quantities. Values are those of JSON, so that there is one sort of whole number and a
//! map's keys are texts. Not there: bytes, addresses as values, time zones, `authorizer`, and static types
//! beyond what [`Type`] tells. Objects that an expression writes out (`Object.spec{replicas: 1}`) are maps, and `cel.bind` is a
//! comprehension over one value.

mod check;
mod evaluate;
mod functions;
mod parse;
mod semver;
mod time;
mod value;

use super::schema::Struct;
pub use check::{Fields, Type};
use parse::{Expression, Node};
pub use semver::Semver;
pub use value::Value;

/// Words of the language, which are no names of variables or fields.
pub const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// An expression that was understood.
#[derive(Clone, Debug)]
pub struct Program {
    root: Expression,
}

impl Program {
    /// Reads an expression that may refer to the variables `declared`.
    ///
    /// # Errors
    /// What is wrong with it, with its place, as cel-go's compiler says it.
    pub fn compile(text: &str, declared: &[&str]) -> Result<Self, String> {
        let place = |error: parse::Error| error.show(text);
        let root = parse::parse(text).map_err(place)?;
        check_references(&root, &mut declared.to_vec()).map_err(place)?;
        Ok(Self { root })
    }

    /// The type that the expression has in any case, such as `bool` or `int`; nothing where that depends on the data.
    #[must_use]
    pub fn static_type(&self) -> Option<&'static str> {
        type_of(&self.root)
    }

    /// The type of the expression, as far as that can be told from the types of its variables; `text` is what it was made of.
    ///
    /// # Errors
    /// What can never have a value, with its place, as cel-go's checker says it.
    pub fn check<'a>(&self, text: &str, variable: &dyn Fn(&str) -> Option<Type<'a>>) -> Result<Type<'a>, String> {
        check::check(&self.root, variable).map_err(|error| error.show(text))
    }

    /// What is wrong with the types of the expression when it is about objects of a kind, as cel-go's checker says it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place in `text`.
    pub fn check_types(&self, text: &str, kind: &'static Struct) -> Result<(), String> {
        let of_kind = |name: &str| matches!(name, "object" | "oldObject").then_some(Type::Object(kind));
        self.check(text, &of_kind).map(|_| ())
    }

    /// Whether the expression speaks of a variable.
    #[must_use]
    pub fn refers_to(&self, variable: &str) -> bool {
        refers_to(&self.root, variable)
    }

    /// Evaluates the expression; `variable` tells what a name means.
    ///
    /// # Errors
    /// Why it has no value, as cel-go says it.
    pub fn evaluate(&self, variable: &dyn Fn(&str) -> Option<Result<Value, String>>) -> Result<Value, String> {
        evaluate::Scope::new(variable).evaluate(&self.root)
    }
}

/// Every name must be a variable that there is.
fn check_references<'a>(expression: &'a Expression, known: &mut Vec<&'a str>) -> Result<(), parse::Error> {
    match &expression.node {
        Node::Name(name) if !known.contains(&name.as_str()) => {
            Err(parse::Error::at(expression.at, format!("undeclared reference to '{name}' (in container '')")))
        }
        Node::Comprehension { of, variable, body, result, .. } => {
            check_references(of, known)?;
            known.push(variable);
            let checked = std::iter::once(body).chain(result).try_for_each(|part| check_references(part, known));
            known.pop();
            checked
        }
        _ => expression.children().into_iter().try_for_each(|child| check_references(child, known)),
    }
}

fn refers_to(expression: &Expression, wanted: &str) -> bool {
    match &expression.node {
        Node::Name(name) => name == wanted,
        Node::Comprehension { of, body, result, .. } => {
            [of, body].into_iter().chain(result).any(|part| refers_to(part, wanted))
        }
        _ => expression.children().into_iter().any(|child| refers_to(child, wanted)),
    }
}

fn type_of(expression: &Expression) -> Option<&'static str> {
    match &expression.node {
        Node::Literal(value) => Some(value.type_name()),
        Node::List(_) => Some("list"),
        Node::Map(_) => Some("map"),
        Node::Has(..) | Node::Not(_) => Some("bool"),
        Node::Negate(of) => type_of(of),
        Node::Binary(operator, left, right) => match *operator {
            "+" | "-" | "*" | "/" | "%" => {
                let (left, right) = (type_of(left)?, type_of(right)?);
                (left == right).then_some(left)
            }
            _ => Some("bool"),
        },
        Node::Comprehension { macro_name, .. } => match *macro_name {
            "map" | "filter" => Some("list"),
            "bind" => None,
            _ => Some("bool"),
        },
        Node::Conditional(_, yes, no) => type_of(yes).filter(|kind| type_of(no) == Some(*kind)),
        Node::Call(name, receiver, _) => functions::result_type(name, receiver.is_some()),
        Node::OptionalSelect(..) => Some("optional_type"),
        Node::Name(_) | Node::Select(..) | Node::Index(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn evaluate(text: &str) -> String {
        let object = json!({
            "metadata": { "name": "web", "labels": { "app": "a" } },
            "spec": { "replicas": 3, "ports": [80, 443], "image": "nginx:1.25", "memory": "1Gi", "ratio": 0.5 },
        });
        let program = match Program::compile(text, &["object", "variables"]) {
            Ok(program) => program,
            Err(why) => return why,
        };
        let result = program.evaluate(&|name| (name == "object").then(|| Ok(Value::from_json(&object))));
        result.map_or_else(|why| format!("error: {why}"), |value| value.show())
    }

    #[test]
    fn types_are_checked_against_a_kind() {
        let table = [
            ("object.spec.replicas > 1", None),
            ("object.spec.template.spec.containers.all(c, c.image.startsWith('a'))", None),
            ("object.metadata.labels.app == 'a' && has(object.spec.paused)", None),
            ("variables.x > object.spec.replicas", None),
            (
                "object.replicas > 1",
                Some("ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^"),
            ),
            (
                "object.spec.replicas > '1'",
                Some(
                    "ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'\n | \
                     object.spec.replicas > '1'\n | .....................^",
                ),
            ),
            (
                "object.spec.template.spec.containers.exists(c, c.picture == '')",
                Some(
                    "ERROR: <input>:1:49: undefined field 'picture'\n | \
                     object.spec.template.spec.containers.exists(c, c.picture == '')\n | \
                     ................................................^",
                ),
            ),
        ];
        let kind = crate::machinery::schema::lookup("apps/v1", "Deployment").expect("the table has it");
        for (text, expected) in table {
            let program = Program::compile(text, &["object", "variables"]).expect("it is understood");
            assert_eq!(program.check_types(text, kind).err().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn objects_can_be_written_out() {
        let json = |text: &str| {
            let program = Program::compile(text, &["object"]).expect("it is understood");
            program.evaluate(&|_| None).map(|value| value.to_json())
        };
        let object = json("Object{spec: Object.spec{replicas: 1 + 1, paused: true}}");
        assert_eq!(object, Ok(json!({ "spec": { "replicas": 2, "paused": true } })));
        let patch = json("[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'x'}]");
        assert_eq!(patch, Ok(json!([{ "op": "add", "path": "/metadata/labels/a~1b", "value": "x" }])));
    }

    #[test]
    fn expressions_have_values() {
        let table = [
            ("1 + 2 * 3 - 4 / 2 % 2", "7"),
            ("object.spec.replicas <= 5 && object.metadata.name.startsWith('w')", "true"),
            ("!has(object.metadata.labels) || !('bad' in object.metadata.labels)", "true"),
            ("'at most ' + string(5) + \" replicas\"", "at most 5 replicas"),
            ("object.spec.ports.all(p, p > 10) ? 'yes' : 'no'", "yes"),
            ("object.spec.ports.exists_one(p, p == 80)", "true"),
            ("object.spec.ports.map(p, p + 1)[1]", "444"),
            ("object.spec.ports.filter(p, p < 100).size() == 1", "true"),
            ("object.metadata.labels.exists(k, k == 'app')", "true"),
            ("size({'a': 1, 'b': 2}) == size([1, 2])", "true"),
            ("object.spec.image.matches('^nginx:[0-9.]+$')", "true"),
            ("quantity(object.spec.memory).isGreaterThan(quantity('500Mi'))", "true"),
            ("object.spec.ratio * 2.0 == 1", "true"),
            ("object.spec.nothing == 1", "error: no such key: nothing"),
            ("true || object.spec.nothing == 1", "true"),
            ("object.spec.nothing == 1 || true", "true"),
            ("1 / 0", "error: division by zero"),
            ("r'\\d' == '\\\\d'", "true"),
            ("'a,b'.split(',').join('-') + 'X'.lowerAscii()", "a-bx"),
            ("[1] + [2] == [1, 2] && 2 in [1, 2]", "true"),
            ("object.?spec.?nothing.orValue(7) + object.?spec.replicas.orValue(0)", "10"),
            ("object.?metadata.?nothing.deep.hasValue()", "false"),
            ("-object.spec.replicas < 0 && type(1) == int", "true"),
            ("duration('1h30m') > duration('89m') && duration('90s').getMinutes() == 1", "true"),
            ("string(timestamp('2026-01-01T00:00:00Z') + duration('36h'))", "2026-01-02T12:00:00Z"),
            ("timestamp('2026-02-03T04:05:06Z').getFullYear() + timestamp('2026-02-03T04:05:06Z').getHours()", "2030"),
            ("(timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z')).getHours()", "24"),
            ("duration('soon')", "error: type conversion error from 'string' to 'google.protobuf.Duration'"),
            ("int(object.metadata.name)", "error: type conversion error from 'string' to 'int'"),
            ("int(1e300)", "error: integer overflow"),
            ("object.spec.replicas.x == 1", "error: no such key: x"),
            ("has(object.spec.replicas.x)", "false"),
            ("object.spec.replicas + object.metadata.name", "error: no such overload"),
            ("object.metadata + 1", "error: no such overload: _+_"),
            ("object.spec.replicas < object.metadata.name", "error: no such overload"),
            ("object.spec.ports[object.metadata.name]", "error: unsupported index type 'string' in list"),
            ("object.spec.ports[9]", "error: index out of bounds: 9"),
            ("object.spec.replicas.startsWith('a')", "error: no such overload: startsWith(int, string)"),
            ("object.spec.replicas ? 1 : 2", "error: no such overload"),
            ("object.spec.replicas.all(x, x)", "error: no such overload"),
            ("semver('1.10.0').isGreaterThan(semver('1.9.2')) && semver('1.2.3').minor() == 2", "true"),
            ("cel.bind(n, object.spec.replicas + 1, n * n)", "16"),
            ("[3, 1, 2].max() - [3, 1, 2].min() + object.spec.ports.sum()", "525"),
            (
                "'a1b22'.findAll('[0-9]+').join('-') + 'a1'.find('\\\\d') + [1, 2].reverse().map(n, string(n)).join()",
                "1-22121",
            ),
            ("isIP('10.0.0.1') && !isCIDR('10.0.0.1') && [1, 1, 2].distinct().slice(0, 1).size() == 1", "true"),
        ];
        for (text, expected) in table {
            assert_eq!(evaluate(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_shown_in_its_place() {
        let table = [
            (
                "object.",
                "ERROR: <input>:1:8: Syntax error: no viable alternative at input '.'\n | object.\n | .......^",
            ),
            (
                "nosuch == 1",
                "ERROR: <input>:1:1: undeclared reference to 'nosuch' (in container '')\n | nosuch == 1\n | ^",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(evaluate(text), expected);
        }
        assert_eq!(Program::compile("1 + 1", &[]).map(|program| program.static_type()), Ok(Some("int")));
        assert_eq!(Program::compile("object.x", &["object"]).map(|program| program.static_type()), Ok(None));
    }
}
