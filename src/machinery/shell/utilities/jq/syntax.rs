//! What a filter of jq is.

use serde_json::Value;

/// A filter: for each value that it is given it has any number of results.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    /// `.`
    Identity,
    /// `..`
    Everything,
    Literal(Value),
    /// `$name`
    Variable(String),
    /// `x.name` and `x[y]`, where `y` sees what the whole filter was given.
    Index(Box<Self>, Box<Self>),
    /// `x[y:z]`
    Slice(Box<Self>, Option<Box<Self>>, Option<Box<Self>>),
    /// `x[]`
    Each(Box<Self>),
    /// `x?`, and `try x catch y`.
    Try(Box<Self>, Option<Box<Self>>),
    /// A text with filters in it, and how their results are written: `@base64 "\(x)"`.
    Text(String, Vec<Piece>),
    /// `[x]`
    Array(Option<Box<Self>>),
    /// `{x: y}`
    Object(Vec<(Self, Self)>),
    Negative(Box<Self>),
    Pipe(Box<Self>, Box<Self>),
    Comma(Box<Self>, Box<Self>),
    Operation(Operator, Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    /// `x // y`
    Alternative(Box<Self>, Box<Self>),
    /// `x |= y`
    Update(Box<Self>, Box<Self>),
    /// `x = y`, and with an operator `x += y`.
    Assign(Box<Self>, Option<Operator>, Box<Self>),
    If(Box<Self>, Box<Self>, Option<Box<Self>>),
    /// `x as $name | y`
    Bind(Box<Self>, String, Box<Self>),
    /// `reduce x as $name (y; z)`
    Reduce(Box<Self>, String, Box<Self>, Box<Self>),
    Call(String, Vec<Self>),
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Plain(String),
    Filled(Filter),
}

/// What is done with two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Alternative,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
