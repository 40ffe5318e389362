//! Reads a filter, from the loosest operator down to a term.

use serde_json::Value;

use super::syntax::{Filter, Operator, Piece};

/// How deep filters may be nested.
const DEPTH_MAX: usize = 100;

type Parsed<T> = Result<T, String>;

/// Reads a filter.
pub(super) fn filter(text: &str) -> Parsed<Filter> {
    let mut parser = Parser { text: text.chars().collect(), at: 0, depth: 0 };
    parser.skip_blanks();
    if parser.peek().is_none() {
        return Ok(Filter::Identity);
    }
    let filter = parser.pipe()?;
    parser.skip_blanks();
    if parser.peek().is_some() { Err(parser.unexpected()) } else { Ok(filter) }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

fn is_name_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(letter) if letter.is_whitespace() => self.at += 1,
                Some('#') => self.at += self.text[self.at..].iter().take_while(|c| **c != '\n').count(),
                _ => return,
            }
        }
    }

    fn unexpected(&self) -> String {
        match self.peek() {
            None => "syntax error, unexpected end of file".to_owned(),
            Some(letter) => format!("syntax error, unexpected '{letter}'"),
        }
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(at, wanted)| self.text.get(self.at + at) == Some(&wanted))
    }

    /// Takes a sign; one that is the beginning of a longer one is another.
    fn take(&mut self, sign: &str) -> bool {
        self.skip_blanks();
        let longer: &[&str] = match sign {
            "|" => &["|="],
            "=" => &["=="],
            "/" => &["//", "/="],
            "//" => &["//="],
            "<" => &["<="],
            ">" => &[">="],
            "+" => &["+="],
            "-" => &["-="],
            "*" => &["*="],
            "%" => &["%="],
            _ => &[],
        };
        let is = self.looking_at(sign) && !longer.iter().any(|longer| self.looking_at(longer));
        if is {
            self.at += sign.chars().count();
        }
        is
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The name that stands here, which is not taken.
    fn name_here(&mut self) -> Option<String> {
        self.skip_blanks();
        let first = self.peek().filter(|letter| letter.is_alphabetic() || *letter == '_')?;
        let rest = self.text[self.at + 1..].iter().copied().take_while(|letter| is_name_letter(*letter));
        Some(std::iter::once(first).chain(rest).collect())
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is = self.name_here().is_some_and(|name| name == word);
        if is {
            self.at += word.chars().count();
        }
        is
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn pipe(&mut self) -> Parsed<Filter> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too deeply nested".to_owned());
        }
        let left = self.comma()?;
        let filter = if self.take_word("as") {
            let name = self.variable()?;
            self.expect("|")?;
            Filter::Bind(Box::new(left), name, Box::new(self.pipe()?))
        } else if self.take("|") {
            Filter::Pipe(Box::new(left), Box::new(self.pipe()?))
        } else {
            left
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn variable(&mut self) -> Parsed<String> {
        self.expect("$")?;
        let name = self.name_here().ok_or_else(|| self.unexpected())?;
        self.at += name.chars().count();
        Ok(name)
    }

    fn comma(&mut self) -> Parsed<Filter> {
        let mut left = self.alternative()?;
        while self.take(",") {
            left = Filter::Comma(Box::new(left), Box::new(self.alternative()?));
        }
        Ok(left)
    }

    fn alternative(&mut self) -> Parsed<Filter> {
        let left = self.assignment()?;
        if self.take("//") {
            return Ok(Filter::Alternative(Box::new(left), Box::new(self.alternative()?)));
        }
        Ok(left)
    }

    fn assignment(&mut self) -> Parsed<Filter> {
        let left = self.any()?;
        if self.take("|=") {
            return Ok(Filter::Update(Box::new(left), Box::new(self.alternative()?)));
        }
        let operators = [
            ("//=", Some(Operator::Alternative)),
            ("+=", Some(Operator::Add)),
            ("-=", Some(Operator::Subtract)),
            ("*=", Some(Operator::Multiply)),
            ("/=", Some(Operator::Divide)),
            ("%=", Some(Operator::Remainder)),
            ("=", None),
        ];
        for (sign, operator) in operators {
            if self.take(sign) {
                return Ok(Filter::Assign(Box::new(left), operator, Box::new(self.alternative()?)));
            }
        }
        Ok(left)
    }

    fn any(&mut self) -> Parsed<Filter> {
        let mut left = self.all()?;
        while self.take_word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Parsed<Filter> {
        let mut left = self.comparison()?;
        while self.take_word("and") {
            left = Filter::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Parsed<Filter> {
        let left = self.sum()?;
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        for (sign, operator) in operators {
            if self.take(sign) {
                return Ok(Filter::Operation(operator, Box::new(left), Box::new(self.sum()?)));
            }
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed<Filter> {
        let mut left = self.product()?;
        loop {
            let operator = if self.take("+") {
                Operator::Add
            } else if self.take("-") {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            left = Filter::Operation(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Parsed<Filter> {
        let mut left = self.signed()?;
        loop {
            let operator = if self.take("*") {
                Operator::Multiply
            } else if self.take("/") {
                Operator::Divide
            } else if self.take("%") {
                Operator::Remainder
            } else {
                return Ok(left);
            };
            left = Filter::Operation(operator, Box::new(left), Box::new(self.signed()?));
        }
    }

    fn signed(&mut self) -> Parsed<Filter> {
        if self.take("-") { Ok(Filter::Negative(Box::new(self.postfix()?))) } else { self.postfix() }
    }

    fn postfix(&mut self) -> Parsed<Filter> {
        let mut term = self.term()?;
        loop {
            self.skip_blanks();
            if self.looking_at(".[") {
                self.at += 1;
            }
            if self.take("?") {
                term = Filter::Try(Box::new(term), None);
            } else if self.peek() == Some('[') {
                term = self.brackets(term)?;
            } else if self.peek() == Some('.')
                && self.text.get(self.at + 1).is_some_and(|next| is_name_letter(*next) || *next == '"')
            {
                self.at += 1;
                term = self.field(term)?;
            } else {
                return Ok(term);
            }
        }
    }

    fn field(&mut self, of: Filter) -> Parsed<Filter> {
        let key = if self.peek() == Some('"') {
            self.text("text")?
        } else {
            let name: String =
                self.text[self.at..].iter().copied().take_while(|letter| is_name_letter(*letter)).collect();
            self.at += name.chars().count();
            Filter::Literal(name.into())
        };
        Ok(Filter::Index(Box::new(of), Box::new(key)))
    }

    fn brackets(&mut self, of: Filter) -> Parsed<Filter> {
        self.expect("[")?;
        if self.take("]") {
            return Ok(Filter::Each(Box::new(of)));
        }
        if self.take(":") {
            let to = self.pipe()?;
            self.expect("]")?;
            return Ok(Filter::Slice(Box::new(of), None, Some(Box::new(to))));
        }
        let index = self.pipe()?;
        if self.take(":") {
            let to = if self.take("]") { None } else { Some(Box::new(self.pipe()?)) };
            if to.is_some() {
                self.expect("]")?;
            }
            return Ok(Filter::Slice(Box::new(of), Some(Box::new(index)), to));
        }
        self.expect("]")?;
        Ok(Filter::Index(Box::new(of), Box::new(index)))
    }

    fn term(&mut self) -> Parsed<Filter> {
        self.skip_blanks();
        match self.peek() {
            Some('.') => {
                self.at += 1;
                match self.peek() {
                    Some('.') => {
                        self.at += 1;
                        Ok(Filter::Everything)
                    }
                    Some(next) if next == '"' || next == '_' || next.is_alphabetic() => self.field(Filter::Identity),
                    _ => Ok(Filter::Identity),
                }
            }
            Some('"') => self.text("text"),
            Some('@') => {
                self.at += 1;
                let name = self.name_here().ok_or_else(|| self.unexpected())?;
                self.at += name.chars().count();
                self.skip_blanks();
                if self.peek() == Some('"') {
                    return self.text(&name);
                }
                Ok(Filter::Text(name, vec![Piece::Filled(Filter::Identity)]))
            }
            Some('$') => Ok(Filter::Variable(self.variable()?)),
            Some('(') => {
                self.at += 1;
                let inner = self.pipe()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some('[') => {
                self.at += 1;
                if self.take("]") {
                    return Ok(Filter::Array(None));
                }
                let inner = self.pipe()?;
                self.expect("]")?;
                Ok(Filter::Array(Some(Box::new(inner))))
            }
            Some('{') => self.object(),
            Some(letter) if letter.is_ascii_digit() => self.number(),
            _ => self.word(),
        }
    }

    fn number(&mut self) -> Parsed<Filter> {
        let is_part = |letter: &char| letter.is_ascii_digit() || matches!(letter, '.' | 'e' | 'E');
        let text: String = self.text[self.at..].iter().take_while(|letter| is_part(letter)).collect();
        self.at += text.chars().count();
        let number: Value = serde_json::from_str(&text).map_err(|_| format!("syntax error, unexpected {text:?}"))?;
        Ok(Filter::Literal(number))
    }

    /// A text in quotes, with what is filled in.
    fn text(&mut self, format: &str) -> Parsed<Filter> {
        self.at += 1;
        let (mut pieces, mut raw) = (Vec::new(), String::new());
        let plain = |raw: &mut String, pieces: &mut Vec<Piece>| -> Parsed<()> {
            if !raw.is_empty() {
                let quoted = format!("\"{}\"", std::mem::take(raw));
                let text = serde_json::from_str(&quoted).map_err(|_| format!("syntax error in {quoted}"))?;
                pieces.push(Piece::Plain(text));
            }
            Ok(())
        };
        loop {
            let letter = self.peek().ok_or_else(|| self.unexpected())?;
            self.at += 1;
            match letter {
                '"' => break,
                '\\' if self.peek() == Some('(') => {
                    self.at += 1;
                    plain(&mut raw, &mut pieces)?;
                    pieces.push(Piece::Filled(self.pipe()?));
                    self.expect(")")?;
                }
                '\\' => {
                    raw.push('\\');
                    raw.extend(self.peek());
                    self.at += 1;
                }
                '\n' => raw.push_str("\\n"),
                '\t' => raw.push_str("\\t"),
                other => raw.push(other),
            }
        }
        plain(&mut raw, &mut pieces)?;
        Ok(match pieces.as_slice() {
            [] => Filter::Literal("".into()),
            [Piece::Plain(text)] => Filter::Literal(text.clone().into()),
            _ => Filter::Text(format.to_owned(), pieces),
        })
    }

    fn object(&mut self) -> Parsed<Filter> {
        self.expect("{")?;
        let mut fields = Vec::new();
        while !self.take("}") {
            if !fields.is_empty() {
                self.expect(",")?;
            }
            self.skip_blanks();
            let (key, short) = match self.peek() {
                Some('(') => {
                    self.at += 1;
                    let key = self.pipe()?;
                    self.expect(")")?;
                    (key, None)
                }
                Some('$') => {
                    let name = self.variable()?;
                    (Filter::Literal(name.clone().into()), Some(Filter::Variable(name)))
                }
                Some('"' | '@') => {
                    let key = self.term()?;
                    (key.clone(), Some(Filter::Index(Box::new(Filter::Identity), Box::new(key))))
                }
                _ => {
                    let name = self.name_here().ok_or_else(|| self.unexpected())?;
                    self.at += name.chars().count();
                    let key = Filter::Literal(name.into());
                    (key.clone(), Some(Filter::Index(Box::new(Filter::Identity), Box::new(key))))
                }
            };
            let value = if self.take(":") { self.object_value()? } else { short.ok_or_else(|| self.unexpected())? };
            fields.push((key, value));
        }
        Ok(Filter::Object(fields))
    }

    /// What stands behind a key: commas part fields there.
    fn object_value(&mut self) -> Parsed<Filter> {
        let left = self.alternative()?;
        if self.take("|") {
            return Ok(Filter::Pipe(Box::new(left), Box::new(self.object_value()?)));
        }
        Ok(left)
    }

    fn word(&mut self) -> Parsed<Filter> {
        let name = self.name_here().ok_or_else(|| self.unexpected())?;
        self.at += name.chars().count();
        match name.as_str() {
            "null" => return Ok(Filter::Literal(Value::Null)),
            "true" => return Ok(Filter::Literal(true.into())),
            "false" => return Ok(Filter::Literal(false.into())),
            "if" => return self.condition(),
            "try" => {
                let tried = self.postfix()?;
                let caught = if self.take_word("catch") { Some(Box::new(self.postfix()?)) } else { None };
                return Ok(Filter::Try(Box::new(tried), caught));
            }
            "reduce" => {
                let source = self.postfix()?;
                self.expect_word("as")?;
                let name = self.variable()?;
                self.expect("(")?;
                let first = self.pipe()?;
                self.expect(";")?;
                let step = self.pipe()?;
                self.expect(")")?;
                return Ok(Filter::Reduce(Box::new(source), name, Box::new(first), Box::new(step)));
            }
            "def" | "foreach" | "label" | "import" | "include" => return Err(format!("{name} is not there")),
            "then" | "elif" | "else" | "end" | "as" | "and" | "or" | "catch" => {
                return Err(format!("syntax error, unexpected {name}"));
            }
            _ => {}
        }
        let mut arguments = Vec::new();
        if self.take("(") {
            loop {
                arguments.push(self.pipe()?);
                if self.take(")") {
                    break;
                }
                self.expect(";")?;
            }
        }
        if !super::functions::exists(&name, arguments.len()) {
            return Err(format!("{name}/{} is not defined", arguments.len()));
        }
        Ok(Filter::Call(name, arguments))
    }

    fn condition(&mut self) -> Parsed<Filter> {
        let condition = self.pipe()?;
        self.expect_word("then")?;
        let then = self.pipe()?;
        let otherwise = if self.take_word("elif") {
            Some(self.condition()?)
        } else {
            let otherwise = if self.take_word("else") { Some(self.pipe()?) } else { None };
            self.expect_word("end")?;
            otherwise
        };
        Ok(Filter::If(Box::new(condition), Box::new(then), otherwise.map(Box::new)))
    }
}
