//! What can be said of an expression's types before there is an object: fields that its kind does not have, and values
//! that cannot be compared.
//!
//! Follows cel-go's checker as far as `k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go` makes use
//! of it: `object` and `oldObject` are of the kind, everything else is of any type.

use super::functions;
use super::parse::{Error, Expression, Node};
use super::value::Value;
use crate::machinery::schema::{Custom, Struct, Type};

/// The type of a part of an expression.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// Nothing is known of it.
    Any,
    /// A plain type of the language, by its name.
    Plain(&'static str),
    Struct(&'static Struct),
    List(&'static Type),
    Map(&'static Type),
}

impl Of {
    fn declared(ty: &'static Type) -> Self {
        match ty {
            Type::Bool => Self::Plain("bool"),
            Type::Int32 | Type::Int64 => Self::Plain("int"),
            Type::Float64 => Self::Plain("double"),
            Type::String(_) => Self::Plain("string"),
            Type::Bytes => Self::Plain("bytes"),
            Type::Custom(Custom::Time | Custom::MicroTime) => Self::Plain("timestamp"),
            Type::Custom(_) => Self::Any,
            Type::Pointer(inner) | Type::Named(_, _, inner) => Self::declared(inner),
            Type::List(item) => Self::List(item),
            Type::Map(_, item) => Self::Map(item),
            Type::Struct(reference) => Self::Struct(reference.get()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Any => "dyn",
            Self::Plain(name) => name,
            Self::Struct(_) => "object",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }
}

/// What is wrong with the types of an expression about objects of a kind.
pub(super) fn check(expression: &Expression, kind: &'static Struct) -> Result<(), Error> {
    Checker { kind, bound: Vec::new() }.infer(expression).map(|_| ())
}

struct Checker<'a> {
    kind: &'static Struct,
    /// The variables of comprehensions, innermost last.
    bound: Vec<(&'a str, Of)>,
}

impl<'a> Checker<'a> {
    fn infer(&mut self, expression: &'a Expression) -> Result<Of, Error> {
        let at = expression.at;
        Ok(match &expression.node {
            Node::Literal(value) => literal(value),
            Node::Name(name) => self.name(name),
            Node::Select(of, field) => self.select(at, of, field)?,
            Node::Has(of, field) => {
                self.select(at, of, field)?;
                Of::Plain("bool")
            }
            Node::Index(of, index) => {
                self.infer(index)?;
                match self.infer(of)? {
                    Of::List(item) | Of::Map(item) => Of::declared(item),
                    _ => Of::Any,
                }
            }
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.infer(left)?, self.infer(right)?);
                self.binary(at, operator, left, right)?
            }
            Node::Not(of) => {
                self.infer(of)?;
                Of::Plain("bool")
            }
            Node::Negate(of) => self.infer(of)?,
            Node::Conditional(condition, yes, no) => {
                self.infer(condition)?;
                self.infer(no)?;
                self.infer(yes)?
            }
            Node::Call(name, receiver, arguments) => {
                for part in receiver.iter().map(|one| &**one).chain(arguments) {
                    self.infer(part)?;
                }
                functions::result_type(name, receiver.is_some()).map_or(Of::Any, Of::Plain)
            }
            Node::Comprehension { macro_name, of, variable, body, result } => {
                let item = match self.infer(of)? {
                    Of::List(item) => Of::declared(item),
                    Of::Map(_) => Of::Plain("string"),
                    _ => Of::Any,
                };
                self.bound.push((variable, item));
                let checked = std::iter::once(body).chain(result).try_for_each(|part| self.infer(part).map(|_| ()));
                self.bound.pop();
                checked?;
                if matches!(*macro_name, "map" | "filter") { Of::Any } else { Of::Plain("bool") }
            }
            Node::List(_) | Node::Map(_) | Node::OptionalSelect(..) => {
                for child in expression.children() {
                    self.infer(child)?;
                }
                Of::Any
            }
        })
    }

    fn name(&self, name: &str) -> Of {
        let bound = self.bound.iter().rev().find(|(known, _)| *known == name).map(|(_, of)| *of);
        bound.unwrap_or(if matches!(name, "object" | "oldObject") { Of::Struct(self.kind) } else { Of::Any })
    }

    fn select(&mut self, at: usize, of: &'a Expression, field: &str) -> Result<Of, Error> {
        match self.infer(of)? {
            Of::Struct(fields) => match fields.field(field) {
                Some(field) => Ok(Of::declared(&field.ty)),
                None if matches!(field, "apiVersion" | "kind") => Ok(Of::Plain("string")),
                None => Err(Error::at(at, format!("undefined field '{field}'"))),
            },
            Of::Map(item) => Ok(Of::declared(item)),
            Of::Any => Ok(Of::Any),
            other => Err(Error::at(at, format!("type '{}' does not support field selection", other.name()))),
        }
    }

    fn binary(&self, at: usize, operator: &str, left: Of, right: Of) -> Result<Of, Error> {
        let differ = match (left, right) {
            (Of::Plain(left), Of::Plain(right)) => left != right && left != "null_type" && right != "null_type",
            _ => false,
        };
        let compares = matches!(operator, "==" | "!=" | "<" | "<=" | ">" | ">=");
        let computes = matches!(operator, "+" | "-" | "*" | "/" | "%");
        let mixed_numbers = matches!((left.name(), right.name()), ("int", "double") | ("double", "int"));
        if differ && (computes || (compares && !mixed_numbers)) {
            let types = format!("({}, {})", left.name(), right.name());
            let why = format!("found no matching overload for '_{operator}_' applied to '{types}'");
            return Err(Error::at(at, why));
        }
        Ok(if computes { left } else { Of::Plain("bool") })
    }
}

fn literal(value: &Value) -> Of {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Double(_) | Value::Text(_) | Value::Null => {
            Of::Plain(value.type_name())
        }
        _ => Of::Any,
    }
}
