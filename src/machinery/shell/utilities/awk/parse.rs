//! Reads an awk program, from the loosest operator down to a value.

use super::lexer::{self, Token};
use super::syntax::{Expression, Operator, Pattern, Rule, Statement};
use crate::machinery::shell::regex::Regex;

/// How deep expressions and statements may be nested.
const DEPTH_MAX: usize = 100;

type Parsed<T> = Result<T, String>;
/// The file that is written to, and whether what is in it stays.
type Redirection = (Expression, bool);

/// Words that begin or join statements, and are no variables.
pub(super) fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "BEGIN"
            | "END"
            | "if"
            | "else"
            | "while"
            | "do"
            | "for"
            | "in"
            | "print"
            | "printf"
            | "next"
            | "exit"
            | "break"
            | "continue"
            | "delete"
            | "return"
            | "function"
            | "getline"
    )
}

/// Reads a program.
pub(super) fn program(text: &str) -> Parsed<Vec<Rule>> {
    let mut parser = Parser { tokens: lexer::read(text)?, at: 0, depth: 0, in_print: false };
    let mut rules = Vec::new();
    loop {
        while parser.take("\n") || parser.take(";") {}
        if *parser.peek() == Token::End {
            return Ok(rules);
        }
        rules.push(parser.rule()?);
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// In a list of what is printed, `>` names a file.
    in_print: bool,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn is(&self, wanted: &str) -> bool {
        match self.peek() {
            Token::Sign(sign) => *sign == wanted,
            Token::Name(name) => name == wanted,
            Token::Newline => wanted == "\n",
            _ => false,
        }
    }

    fn take(&mut self, wanted: &str) -> bool {
        let is = self.is(wanted);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, wanted: &str) -> Parsed<()> {
        if self.take(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> String {
        match self.peek() {
            Token::End => "unexpected end of program".to_owned(),
            Token::Newline => "unexpected newline".to_owned(),
            Token::Number(number) => format!("syntax error at {number}"),
            Token::Text(text) => format!("syntax error at {text:?}"),
            Token::Regex(text) => format!("syntax error at /{text}/"),
            Token::Name(name) | Token::Function(name) => format!("syntax error at {name}"),
            Token::Sign(sign) => format!("syntax error at {sign}"),
        }
    }

    fn skip_newlines(&mut self) {
        while self.take("\n") {}
    }

    fn rule(&mut self) -> Parsed<Rule> {
        let pattern = if self.take("BEGIN") {
            Pattern::Begin
        } else if self.take("END") {
            Pattern::End
        } else if self.is("{") {
            Pattern::Always
        } else {
            let first = self.expression()?;
            if self.take(",") { Pattern::Between(first, self.expression()?) } else { Pattern::When(first) }
        };
        let action = if self.is("{") { Some(self.block()?) } else { None };
        if action.is_none() && matches!(pattern, Pattern::Begin | Pattern::End) {
            return Err(self.unexpected());
        }
        Ok(Rule { pattern, action })
    }

    fn block(&mut self) -> Parsed<Vec<Statement>> {
        self.expect("{")?;
        let mut statements = Vec::new();
        loop {
            while self.take("\n") || self.take(";") {}
            if self.take("}") {
                return Ok(statements);
            }
            statements.push(self.statement()?);
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too deeply nested".to_owned());
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn statement(&mut self) -> Parsed<Statement> {
        self.deeper(Self::statement_here)
    }

    fn statement_here(&mut self) -> Parsed<Statement> {
        if self.is("{") {
            return Ok(Statement::Block(self.block()?));
        }
        if self.take("if") {
            let condition = self.condition()?;
            let then = Box::new(self.body()?);
            let before = self.at;
            while self.take("\n") || self.take(";") {}
            if self.take("else") {
                return Ok(Statement::If(condition, then, Some(Box::new(self.body()?))));
            }
            self.at = before;
            return Ok(Statement::If(condition, then, None));
        }
        if self.take("while") {
            let condition = self.condition()?;
            return Ok(Statement::While(condition, Box::new(self.body()?)));
        }
        if self.take("do") {
            let body = Box::new(self.body()?);
            while self.take("\n") || self.take(";") {}
            self.expect("while")?;
            return Ok(Statement::DoWhile(body, self.condition()?));
        }
        if self.take("for") {
            return self.for_loop();
        }
        let statement = self.simple()?;
        if !(self.is("}") || self.is(")") || *self.peek() == Token::End || self.take(";") || self.take("\n")) {
            return Err(self.unexpected());
        }
        Ok(statement)
    }

    fn condition(&mut self) -> Parsed<Expression> {
        self.expect("(")?;
        let condition = self.expression()?;
        self.expect(")")?;
        Ok(condition)
    }

    fn body(&mut self) -> Parsed<Statement> {
        self.skip_newlines();
        if self.take(";") { Ok(Statement::Block(Vec::new())) } else { self.statement() }
    }

    fn for_loop(&mut self) -> Parsed<Statement> {
        self.expect("(")?;
        if let [Token::Name(name), Token::Name(word), Token::Name(array), Token::Sign(")"), ..] =
            &self.tokens[self.at..]
            && word == "in"
        {
            let (name, array) = (name.clone(), array.clone());
            self.at += 4;
            return Ok(Statement::ForIn(name, array, Box::new(self.body()?)));
        }
        let first = if self.is(";") { None } else { Some(Box::new(self.simple()?)) };
        self.expect(";")?;
        let condition = if self.is(";") { None } else { Some(self.expression()?) };
        self.expect(";")?;
        let step = if self.is(")") { None } else { Some(Box::new(self.simple()?)) };
        self.expect(")")?;
        Ok(Statement::For(first, condition, step, Box::new(self.body()?)))
    }

    fn simple(&mut self) -> Parsed<Statement> {
        let Token::Name(word) = self.peek().clone() else {
            return Ok(Statement::Expression(self.expression()?));
        };
        if !is_keyword(&word) {
            return Ok(Statement::Expression(self.expression()?));
        }
        self.at += 1;
        Ok(match word.as_str() {
            "next" => Statement::Next,
            "break" => Statement::Break,
            "continue" => Statement::Continue,
            "exit" if self.ends() => Statement::Exit(None),
            "exit" => Statement::Exit(Some(self.expression()?)),
            "delete" => {
                let Token::Name(name) = self.peek().clone() else { return Err(self.unexpected()) };
                self.at += 1;
                let index = if self.take("[") { Some(self.list("]")?) } else { None };
                Statement::Delete(name, index)
            }
            "print" | "printf" => {
                let (values, file) = self.printed()?;
                if word == "print" { Statement::Print(values, file) } else { Statement::Format(values, file) }
            }
            _ => return Err(format!("{word} is not there")),
        })
    }

    fn ends(&self) -> bool {
        self.is(";") || self.is("}") || self.is("\n") || *self.peek() == Token::End
    }

    /// What a print statement prints, and the file that it goes to.
    fn printed(&mut self) -> Parsed<(Vec<Expression>, Option<Redirection>)> {
        let mut values = Vec::new();
        self.in_print = true;
        // Parentheses around all that is printed are no part of it.
        let before = self.at;
        if self.take("(") {
            self.in_print = false;
            values = self.list(")")?;
            self.in_print = true;
            if !(self.ends() || self.is(">") || self.is(">>") || self.is("|")) {
                self.at = before;
                values = Vec::new();
            }
        }
        if values.is_empty() && !self.ends() && !self.is(">") && !self.is(">>") {
            values.push(self.expression()?);
            while self.take(",") {
                self.skip_newlines();
                values.push(self.expression()?);
            }
        }
        let appends = self.is(">>");
        let file = if self.take(">") || self.take(">>") { Some((self.concatenation()?, appends)) } else { None };
        self.in_print = false;
        Ok((values, file))
    }

    fn list(&mut self, end: &str) -> Parsed<Vec<Expression>> {
        let mut list = Vec::new();
        while !self.take(end) {
            if !list.is_empty() {
                self.expect(",")?;
                self.skip_newlines();
            }
            list.push(self.expression()?);
        }
        Ok(list)
    }

    fn expression(&mut self) -> Parsed<Expression> {
        self.deeper(Self::choice)
    }

    fn choice(&mut self) -> Parsed<Expression> {
        let first = self.any()?;
        if self.take("?") {
            self.skip_newlines();
            let yes = self.expression()?;
            self.skip_newlines();
            self.expect(":")?;
            self.skip_newlines();
            let no = self.expression()?;
            return Ok(Expression::Choice(Box::new(first), Box::new(yes), Box::new(no)));
        }
        let operators = [
            ("=", None),
            ("+=", Some(Operator::Add)),
            ("-=", Some(Operator::Subtract)),
            ("*=", Some(Operator::Multiply)),
            ("/=", Some(Operator::Divide)),
            ("%=", Some(Operator::Remainder)),
            ("^=", Some(Operator::Power)),
        ];
        let Some((_, operator)) = operators.into_iter().find(|(sign, _)| self.is(sign)) else { return Ok(first) };
        if !is_place(&first) {
            return Err(self.unexpected());
        }
        self.at += 1;
        self.skip_newlines();
        Ok(Expression::Assign(Box::new(first), operator, Box::new(self.expression()?)))
    }

    fn any(&mut self) -> Parsed<Expression> {
        let mut left = self.all()?;
        while self.take("||") {
            self.skip_newlines();
            left = Expression::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Parsed<Expression> {
        let mut left = self.membership()?;
        while self.take("&&") {
            self.skip_newlines();
            left = Expression::And(Box::new(left), Box::new(self.membership()?));
        }
        Ok(left)
    }

    fn membership(&mut self) -> Parsed<Expression> {
        let mut left = self.matching()?;
        while self.take("in") {
            let Token::Name(array) = self.peek().clone() else { return Err(self.unexpected()) };
            self.at += 1;
            left = Expression::In(vec![left], array);
        }
        Ok(left)
    }

    fn matching(&mut self) -> Parsed<Expression> {
        let mut left = self.comparison()?;
        loop {
            let negated = self.is("!~");
            if !self.take("~") && !self.take("!~") {
                return Ok(left);
            }
            left = Expression::Match(Box::new(left), Box::new(self.comparison()?), negated);
        }
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.concatenation()?;
        let operators = [
            ("<", Operator::Less),
            ("<=", Operator::LessOrEqual),
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            (">", Operator::Greater),
            (">=", Operator::GreaterOrEqual),
        ];
        let found = operators.into_iter().find(|(sign, _)| self.is(sign) && !(self.in_print && *sign == ">"));
        let Some((_, operator)) = found else { return Ok(left) };
        self.at += 1;
        Ok(Expression::Binary(operator, Box::new(left), Box::new(self.concatenation()?)))
    }

    /// Values side by side are joined.
    fn concatenation(&mut self) -> Parsed<Expression> {
        let mut left = self.sum()?;
        while self.begins_a_value() {
            left = Expression::Binary(Operator::Concatenate, Box::new(left), Box::new(self.sum()?));
        }
        Ok(left)
    }

    fn begins_a_value(&self) -> bool {
        match self.peek() {
            Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Function(_) => true,
            Token::Name(name) => !is_keyword(name),
            Token::Sign(sign) => matches!(*sign, "(" | "$" | "!" | "-" | "+" | "++" | "--"),
            _ => false,
        }
    }

    fn sum(&mut self) -> Parsed<Expression> {
        let mut left = self.product()?;
        loop {
            let operator = if self.is("+") { Operator::Add } else { Operator::Subtract };
            if !self.take("+") && !self.take("-") {
                return Ok(left);
            }
            left = Expression::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Parsed<Expression> {
        let mut left = self.sign()?;
        let operators = [("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)];
        while let Some((_, operator)) = operators.into_iter().find(|(sign, _)| self.is(sign)) {
            self.at += 1;
            left = Expression::Binary(operator, Box::new(left), Box::new(self.sign()?));
        }
        Ok(left)
    }

    fn sign(&mut self) -> Parsed<Expression> {
        if self.take("!") {
            return Ok(Expression::Not(Box::new(self.deeper(Self::sign)?)));
        }
        if self.take("-") {
            return Ok(Expression::Negative(Box::new(self.deeper(Self::sign)?)));
        }
        if self.take("+") {
            return self.deeper(Self::sign);
        }
        let base = self.stepped()?;
        if self.take("^") {
            let exponent = self.deeper(Self::sign)?;
            return Ok(Expression::Binary(Operator::Power, Box::new(base), Box::new(exponent)));
        }
        Ok(base)
    }

    fn stepped(&mut self) -> Parsed<Expression> {
        for (sign, by) in [("++", 1.0), ("--", -1.0)] {
            if self.take(sign) {
                return Ok(Expression::Step(Box::new(self.value()?), by, false));
            }
        }
        let value = self.value()?;
        for (sign, by) in [("++", 1.0), ("--", -1.0)] {
            if is_place(&value) && self.take(sign) {
                return Ok(Expression::Step(Box::new(value), by, true));
            }
        }
        Ok(value)
    }

    fn value(&mut self) -> Parsed<Expression> {
        let token = self.peek().clone();
        self.at += 1;
        Ok(match token {
            Token::Number(number) => Expression::Number(number),
            Token::Text(text) => Expression::Text(text),
            Token::Regex(text) => Expression::Regex(Regex::new(&text, true, false)?),
            Token::Sign("$") => Expression::Field(Box::new(self.deeper(Self::stepped)?)),
            Token::Sign("(") => {
                let printing = std::mem::take(&mut self.in_print);
                let mut inner = self.list(")")?;
                self.in_print = printing;
                if self.is("in") && inner.len() > 1 {
                    self.at += 1;
                    let Token::Name(array) = self.peek().clone() else { return Err(self.unexpected()) };
                    self.at += 1;
                    return Ok(Expression::In(inner, array));
                }
                if inner.len() != 1 {
                    return Err(self.unexpected());
                }
                inner.remove(0)
            }
            Token::Function(name) => {
                self.at += 1;
                let printing = std::mem::take(&mut self.in_print);
                let arguments = self.list(")")?;
                self.in_print = printing;
                if !super::functions::exists(&name) {
                    return Err(format!("function {name} is not there"));
                }
                Expression::Call(name, arguments)
            }
            // The one function that may stand without parentheses.
            Token::Name(name) if name == "length" => Expression::Call(name, Vec::new()),
            Token::Name(name) if !is_keyword(&name) => {
                if self.take("[") {
                    Expression::Element(name, self.list("]")?)
                } else {
                    Expression::Variable(name)
                }
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        })
    }
}

/// Whether something can be put there.
fn is_place(expression: &Expression) -> bool {
    matches!(expression, Expression::Variable(_) | Expression::Field(_) | Expression::Element(..))
}
