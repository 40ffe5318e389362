//! What can be said of an expression before it has a value: fields that there cannot be, operators that do not go with their
//! operands.
//!
//! Follows `github.com/google/cel-go/checker`, as far as types are known: what is not, fits everywhere.

use super::parse::{Error, Expression, Node};
use super::{functions, type_of};
use crate::machinery::schema::{self, Custom, Struct};

/// What is known of a value.
#[derive(Clone)]
pub enum Type<'a> {
    /// Nothing.
    Unknown,
    /// A type without parts: `bool`, `int`, `double`, `string` and the like.
    Named(&'static str),
    /// A list of such values.
    List(Box<Type<'a>>),
    /// A map to such values.
    Map(Box<Type<'a>>),
    /// An object with these fields and no others.
    Object(&'a dyn Fields),
}

/// The fields of an object.
pub trait Fields {
    /// The type of a field; nothing when there is none of the name.
    fn field(&self, name: &str) -> Option<Type<'_>>;
}

/// A kind's fields, by the table of types.
impl Fields for Struct {
    fn field(&self, name: &str) -> Option<Type<'_>> {
        match Self::field(self, name) {
            Some(field) => Some(declared(&field.ty)),
            None if matches!(name, "apiVersion" | "kind") => Some(Type::Named("string")),
            None => None,
        }
    }
}

fn declared(ty: &schema::Type) -> Type<'_> {
    match ty {
        schema::Type::Bool => Type::Named("bool"),
        schema::Type::Int32 | schema::Type::Int64 => Type::Named("int"),
        schema::Type::Float64 => Type::Named("double"),
        schema::Type::String(_) => Type::Named("string"),
        schema::Type::Bytes => Type::Named("bytes"),
        schema::Type::Custom(Custom::Time | Custom::MicroTime) => Type::Named("timestamp"),
        schema::Type::Custom(_) => Type::Unknown,
        schema::Type::Pointer(inner) | schema::Type::Named(_, _, inner) => declared(inner),
        schema::Type::List(item) => Type::List(Box::new(declared(item))),
        schema::Type::Map(_, item) => Type::Map(Box::new(declared(item))),
        schema::Type::Struct(reference) => Type::Object(reference.get()),
    }
}

impl Type<'_> {
    /// The name of the type; nothing when it is not known.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Named(name) => Some(name),
            Self::List(_) => Some("list"),
            Self::Map(_) | Self::Object(_) => Some("map"),
        }
    }

    /// The name, where two values of different names can never be one.
    fn simple(&self) -> Option<&'static str> {
        match self {
            Self::Named(name @ ("bool" | "int" | "double" | "string")) => Some(name),
            _ => None,
        }
    }
}

type Checked<'a> = Result<Type<'a>, Error>;

struct Checker<'a, 'v> {
    outer: &'v dyn Fn(&str) -> Option<Type<'a>>,
    /// The variables of comprehensions, innermost last.
    bound: Vec<(String, Type<'a>)>,
}

pub(super) fn check<'a>(root: &Expression, variable: &dyn Fn(&str) -> Option<Type<'a>>) -> Checked<'a> {
    Checker { outer: variable, bound: Vec::new() }.check(root)
}

impl<'a> Checker<'a, '_> {
    fn check(&mut self, expression: &Expression) -> Checked<'a> {
        match &expression.node {
            Node::Name(name) => {
                let bound = self.bound.iter().rev().find(|(known, _)| known == name).map(|(_, ty)| ty.clone());
                Ok(bound.or_else(|| (self.outer)(name)).unwrap_or(Type::Unknown))
            }
            Node::Select(of, field) => self.select(expression, of, field),
            Node::Has(of, field) => self.select(expression, of, field).map(|_| Type::Named("bool")),
            Node::Index(of, index) => {
                self.check(index)?;
                Ok(match self.check(of)? {
                    Type::List(item) | Type::Map(item) => *item,
                    _ => Type::Unknown,
                })
            }
            Node::Not(of) => {
                let found = self.check(of)?;
                expect(&found, "bool", expression.at, "!_", &[&found])?;
                Ok(Type::Named("bool"))
            }
            Node::Binary(operator, left, right) => self.binary(expression.at, operator, left, right),
            Node::Conditional(condition, yes, no) => {
                let (condition, yes, no) = (self.check(condition)?, self.check(yes)?, self.check(no)?);
                expect(&condition, "bool", expression.at, "_?_:_", &[&condition, &yes, &no])?;
                Ok(if yes.name() == no.name() { yes } else { Type::Unknown })
            }
            Node::Comprehension { macro_name: "bind", of, variable, body, .. } => {
                let value = self.check(of)?;
                self.bound.push((variable.clone(), value));
                let body = self.check(body);
                self.bound.pop();
                body
            }
            Node::Comprehension { macro_name, of, variable, body, result } => {
                let item = match self.check(of)? {
                    Type::List(item) => *item,
                    Type::Map(_) | Type::Object(_) => Type::Named("string"),
                    _ => Type::Unknown,
                };
                self.bound.push((variable.clone(), item.clone()));
                let body = self.check(body);
                let made = result.as_ref().map(|result| self.check(result)).transpose();
                self.bound.pop();
                let (body, made) = (body?, made?);
                Ok(match *macro_name {
                    "map" => Type::List(Box::new(made.unwrap_or(body))),
                    "filter" => Type::List(Box::new(item)),
                    _ => Type::Named("bool"),
                })
            }
            Node::Call(name, receiver, arguments) => {
                let receiver = receiver.as_ref().map(|receiver| self.check(receiver)).transpose()?;
                for argument in arguments {
                    self.check(argument)?;
                }
                Ok(functions::result_type(name, receiver.is_some()).map_or(Type::Unknown, Type::Named))
            }
            Node::Negate(of) => self.check(of),
            _ => {
                for child in expression.children() {
                    self.check(child)?;
                }
                Ok(type_of(expression)
                    .filter(|name| !matches!(*name, "list" | "map"))
                    .map_or(Type::Unknown, Type::Named))
            }
        }
    }

    fn select(&mut self, expression: &Expression, of: &Expression, field: &str) -> Checked<'a> {
        match self.check(of)? {
            Type::Object(fields) => {
                fields.field(field).ok_or_else(|| Error::at(expression.at, format!("undefined field '{field}'")))
            }
            Type::Map(item) => Ok(*item),
            Type::Named(name @ ("bool" | "int" | "double" | "string")) => {
                Err(Error::at(expression.at, format!("type '{name}' does not support field selection")))
            }
            _ => Ok(Type::Unknown),
        }
    }

    fn binary(&mut self, at: usize, operator: &'static str, left: &Expression, right: &Expression) -> Checked<'a> {
        let (left, right) = (self.check(left)?, self.check(right)?);
        let is_number = |ty: &Type<'_>| matches!(ty.simple(), Some("int" | "double"));
        let differ = matches!((left.simple(), right.simple()), (Some(left), Some(right)) if left != right);
        let function = format!("_{operator}_");
        match operator {
            "&&" | "||" => {
                expect(&left, "bool", at, &function, &[&left, &right])?;
                expect(&right, "bool", at, &function, &[&left, &right])?;
                Ok(Type::Named("bool"))
            }
            "==" | "!=" | "<" | "<=" | ">" | ">=" => {
                // Numbers of both sorts are ordered, but never equal by their types.
                let are_ordered = operator.starts_with(['<', '>']) && is_number(&left) && is_number(&right);
                if differ && !are_ordered {
                    return Err(no_overload(at, &function, &[&left, &right]));
                }
                Ok(Type::Named("bool"))
            }
            "in" => Ok(Type::Named("bool")),
            _ if differ => Err(no_overload(at, &function, &[&left, &right])),
            _ => Ok(left.simple().or_else(|| right.simple()).map_or(Type::Unknown, Type::Named)),
        }
    }
}

/// The type must be this one, if it is known.
fn expect(found: &Type<'_>, wanted: &str, at: usize, function: &str, operands: &[&Type<'_>]) -> Result<(), Error> {
    match found.name() {
        Some(name) if name != wanted => Err(no_overload(at, function, operands)),
        _ => Ok(()),
    }
}

fn no_overload(at: usize, function: &str, operands: &[&Type<'_>]) -> Error {
    let types: Vec<&str> = operands.iter().map(|ty| ty.name().unwrap_or("dyn")).collect();
    Error::at(at, format!("found no matching overload for '{function}' applied to '({})'", types.join(", ")))
}
