//! What an awk program is.

use crate::machinery::shell::regex::Regex;

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Number(f64),
    Text(String),
    /// A regular expression, which alone means that the line matches it.
    Regex(Regex),
    Variable(String),
    /// `$2`.
    Field(Box<Self>),
    /// `a[i, j]`.
    Element(String, Vec<Self>),
    /// `x = y`, and with an operator `x += y`.
    Assign(Box<Self>, Option<Operator>, Box<Self>),
    /// `x++` and its like: what is added, and whether the value is that from before.
    Step(Box<Self>, f64, bool),
    Not(Box<Self>),
    Negative(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Choice(Box<Self>, Box<Self>, Box<Self>),
    /// `i in a`.
    In(Vec<Self>, String),
    /// `x ~ y`, or `!~`.
    Match(Box<Self>, Box<Self>, bool),
    Call(String, Vec<Self>),
}

/// What is done with two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    Concatenate,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
}

/// A statement.
#[derive(Clone, Debug)]
pub(super) enum Statement {
    Expression(Expression),
    /// `print` and `printf`: the values, and the file they go to, from its start or behind its end.
    Print(Vec<Expression>, Option<(Expression, bool)>),
    Format(Vec<Expression>, Option<(Expression, bool)>),
    If(Expression, Box<Self>, Option<Box<Self>>),
    While(Expression, Box<Self>),
    DoWhile(Box<Self>, Expression),
    For(Option<Box<Self>>, Option<Expression>, Option<Box<Self>>, Box<Self>),
    ForIn(String, String, Box<Self>),
    Block(Vec<Self>),
    Next,
    Exit(Option<Expression>),
    Break,
    Continue,
    Delete(String, Option<Vec<Expression>>),
}

/// When a rule is meant.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Begin,
    End,
    Always,
    When(Expression),
    /// From a line that fits the first to one that fits the second.
    Between(Expression, Expression),
}

/// A rule: without an action the line is printed.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub pattern: Pattern,
    pub action: Option<Vec<Statement>>,
}
