//! SQL as words: splitting a text into statements, and a statement into tokens.

/// A token of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A keyword or a name, as it was written.
    Word(String),
    /// A name in quotes.
    Name(String),
    /// A text.
    Text(String),
    /// A number.
    Number(String),
    /// `@@name` and `@name`.
    Variable(String),
    /// An operator or a sign.
    Sign(&'static str),
}

const SIGNS: [&str; 22] = [
    "<>", "!=", "<=", ">=", "::", "||", "(", ")", ",", ";", "*", ".", "=", "<", ">", "+", "-", "/", "%", "[", "]", ":",
];

/// A statement of a text, and whether it ended with `\G`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub text: String,
    pub vertical: bool,
}

/// The statements of a text, without comments. The last need not be ended.
pub(super) fn split(text: &str) -> Vec<Part> {
    let (mut parts, mut current, mut quote) = (Vec::new(), String::new(), None);
    let mut chars = text.chars().peekable();
    let mut end = |current: &mut String, vertical| {
        let text = std::mem::take(current).trim().to_owned();
        if !text.is_empty() {
            parts.push(Part { text, vertical });
        }
    };
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) => {
                current.push(c);
                if c == '\\' && open != '"' {
                    current.extend(chars.next());
                } else if c == open {
                    quote = None;
                }
            }
            (None, '\'' | '"' | '`') => {
                quote = Some(c);
                current.push(c);
            }
            (None, '-') if chars.peek() == Some(&'-') => while chars.next_if(|c| *c != '\n').is_some() {},
            (None, '#') => while chars.next_if(|c| *c != '\n').is_some() {},
            (None, '/') if chars.peek() == Some(&'*') => {
                let mut last = ' ';
                for c in chars.by_ref() {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
            }
            (None, ';') => end(&mut current, false),
            (None, '\\') if matches!(chars.peek(), Some('G' | 'g')) => {
                let vertical = chars.next() == Some('G');
                end(&mut current, vertical);
            }
            (None, c) => current.push(c),
        }
    }
    end(&mut current, false);
    parts
}

/// The tokens of a statement; the place that is none. To MySQL double quotes hold texts, to others names.
pub(super) fn tokens(text: &str, double_is_text: bool) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end_of = |is_part: fn(char) -> bool| rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let used = if matches!(first, '\'' | '"' | '`') {
            let (content, used) = quoted(rest, first).ok_or_else(|| rest.to_owned())?;
            let is_text = first == '\'' || (first == '"' && double_is_text);
            tokens.push(if is_text { Token::Text(content) } else { Token::Name(content) });
            used
        } else if first.is_ascii_digit() {
            let end = end_of(|c| c.is_ascii_digit() || c == '.');
            tokens.push(Token::Number(rest[..end].to_owned()));
            end
        } else if first == '@' {
            let end = end_of(|c| c.is_alphanumeric() || "@_.".contains(c));
            tokens.push(Token::Variable(rest[..end].trim_start_matches('@').to_owned()));
            end
        } else if first.is_alphabetic() || first == '_' {
            let end = end_of(|c| c.is_alphanumeric() || "_$".contains(c));
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign)).ok_or_else(|| rest.to_owned())?;
            tokens.push(Token::Sign(sign));
            sign.len()
        };
        rest = rest[used..].trim_start();
    }
    Ok(tokens)
}

/// A quoted text and how many bytes it took.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if chars.next_if(|(_, next)| *next == quote).is_none() {
                return Some((content, at + c.len_utf8()));
            }
            content.push(quote);
        } else if c == '\\' && quote == '\'' {
            content.extend(chars.next().map(|(_, c)| match c {
                'n' => '\n',
                't' => '\t',
                other => other,
            }));
        } else {
            content.push(c);
        }
    }
    None
}

/// A place in a statement.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    pub tokens: &'a [Token],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(tokens: &'a [Token]) -> Self {
        Self { tokens, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at);
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes these keywords, if they come next.
    pub(super) fn take(&mut self, words: &str) -> bool {
        let wanted: Vec<&str> = words.split(' ').collect();
        let comes = wanted.iter().enumerate().all(|(index, word)| match self.tokens.get(self.at + index) {
            Some(Token::Word(held)) => held.eq_ignore_ascii_case(word),
            _ => false,
        });
        self.at += if comes { wanted.len() } else { 0 };
        comes
    }

    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let comes = matches!(self.peek(), Some(Token::Sign(held)) if *held == sign);
        self.at += usize::from(comes);
        comes
    }

    /// A name.
    pub(super) fn name(&mut self) -> Option<String> {
        match self.peek()? {
            Token::Word(name) | Token::Name(name) => {
                self.at += 1;
                Some(name.clone())
            }
            _ => None,
        }
    }

    /// A name that another may qualify: `database.table`.
    pub(super) fn path(&mut self) -> Option<(Option<String>, String)> {
        let first = self.name()?;
        if self.sign(".") {
            return Some((Some(first), self.name()?));
        }
        Some((None, first))
    }

    /// What stands up to a comma or one of these words, outside of parentheses.
    pub(super) fn until(&mut self, ends: &[&str]) -> &'a [Token] {
        let (start, mut depth) = (self.at, 0);
        while let Some(token) = self.peek() {
            match token {
                Token::Sign("(") => depth += 1,
                Token::Sign(")") if depth == 0 => break,
                Token::Sign(")") => depth -= 1,
                Token::Sign(",") if depth == 0 => break,
                Token::Word(word) if depth == 0 && ends.iter().any(|end| word.eq_ignore_ascii_case(end)) => break,
                _ => {}
            }
            self.at += 1;
        }
        &self.tokens[start..self.at]
    }
}

/// Tokens as they are written, for headers and messages.
pub(super) fn written(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Word(word) | Token::Number(word) => {
                if text.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    text.push(' ');
                }
                text.push_str(word);
            }
            Token::Name(name) => text.push_str(name),
            Token::Text(content) => text.push_str(&format!("'{content}'")),
            Token::Variable(name) => text.push_str(&format!("@@{name}")),
            Token::Sign(sign) => text.push_str(sign),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_and_tokens() {
        let parts = split("SELECT ';' -- none\n; show slave status\\G\n insert into t values (1, 'it''s')");
        let texts: Vec<(&str, bool)> = parts.iter().map(|part| (part.text.as_str(), part.vertical)).collect();
        assert_eq!(
            texts,
            [("SELECT ';'", false), ("show slave status", true), ("insert into t values (1, 'it''s')", false)]
        );
        assert_eq!(written(&tokens("count( * ), @@server_id,'a'", false).unwrap()), "count(*),@@server_id,'a'");
        assert_eq!(
            tokens("'it''s' <> \"b\"", false).unwrap(),
            [Token::Text("it's".to_owned()), Token::Sign("<>"), Token::Name("b".to_owned())]
        );
        assert!(tokens("'open", true).is_err());
    }
}
