//! The words of an awk program.

use crate::machinery::shell::escape::unescape;

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Regex(String),
    Name(String),
    /// A name right before a parenthesis, which is a call.
    Function(String),
    Sign(&'static str),
    Newline,
    End,
}

const SIGNS: &[&str] = &[
    "**=", "&&", "||", "==", "!=", "<=", ">=", ">>", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "!~", "**", "{",
    "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^", "!", "<", ">", "|", "?", ":", "~",
];

/// Takes a program apart.
pub(super) fn read(text: &str) -> Result<Vec<Token>, String> {
    let text: Vec<char> = text.chars().collect();
    let (mut tokens, mut at): (Vec<Token>, usize) = (Vec::new(), 0);
    while let Some(&letter) = text.get(at) {
        match letter {
            ' ' | '\t' | '\r' => at += 1,
            '\\' if text.get(at + 1) == Some(&'\n') => at += 2,
            '#' => at += text[at..].iter().take_while(|c| **c != '\n').count(),
            '\n' => {
                tokens.push(Token::Newline);
                at += 1;
            }
            '"' => tokens.push(Token::Text(quoted(&text, &mut at, '"')?)),
            '/' if regex_may_follow(tokens.last()) => tokens.push(Token::Regex(regex(&text, &mut at)?)),
            '0'..='9' | '.' => tokens.push(number(&text, &mut at)?),
            letter if letter.is_alphabetic() || letter == '_' => tokens.push(name(&text, &mut at)),
            '$' => {
                tokens.push(Token::Sign("$"));
                at += 1;
            }
            '=' if text.get(at + 1) != Some(&'=') => {
                tokens.push(Token::Sign("="));
                at += 1;
            }
            _ => {
                let is_here = |sign: &&&str| sign.chars().enumerate().all(|(i, c)| text.get(at + i) == Some(&c));
                let sign = SIGNS.iter().find(is_here).ok_or_else(|| format!("syntax error at {letter}"))?;
                at += sign.len();
                tokens.push(Token::Sign(match *sign {
                    "**" => "^",
                    "**=" => "^=",
                    sign => sign,
                }));
            }
        }
    }
    tokens.push(Token::End);
    Ok(tokens)
}

/// A slash begins a regular expression where no value ended, which it could divide.
fn regex_may_follow(last: Option<&Token>) -> bool {
    match last {
        Some(Token::Number(_) | Token::Text(_) | Token::Regex(_)) => false,
        Some(Token::Name(name)) => super::parse::is_keyword(name),
        Some(Token::Sign(sign)) => !matches!(*sign, ")" | "]" | "++" | "--"),
        _ => true,
    }
}

fn quoted(text: &[char], at: &mut usize, end: char) -> Result<String, String> {
    let mut raw = String::new();
    *at += 1;
    loop {
        match text.get(*at) {
            None | Some('\n') => return Err("unterminated string".to_owned()),
            Some('\\') if text.get(*at + 1) == Some(&'/') => *at += 1,
            Some('\\') => {
                raw.push('\\');
                *at += 1;
            }
            Some(letter) if *letter == end => break,
            Some(_) => {}
        }
        raw.extend(text.get(*at));
        *at += 1;
    }
    *at += 1;
    Ok(String::from_utf8_lossy(&unescape(&raw).bytes).into_owned())
}

fn regex(text: &[char], at: &mut usize) -> Result<String, String> {
    let (mut raw, mut in_class) = (String::new(), false);
    *at += 1;
    loop {
        match text.get(*at) {
            None | Some('\n') => return Err("unterminated regexp".to_owned()),
            Some('/') if !in_class => break,
            Some('\\') => {
                *at += 1;
                if text.get(*at) != Some(&'/') {
                    raw.push('\\');
                }
            }
            Some('[') => in_class = true,
            Some(']') => in_class = false,
            Some(_) => {}
        }
        raw.extend(text.get(*at));
        *at += 1;
    }
    *at += 1;
    Ok(raw)
}

fn number(text: &[char], at: &mut usize) -> Result<Token, String> {
    let start = *at;
    while let Some(letter) = text.get(*at) {
        let exponent = matches!(letter, 'e' | 'E')
            && text.get(*at + 1).is_some_and(|next| next.is_ascii_digit() || matches!(next, '-' | '+'));
        let sign = matches!(letter, '-' | '+') && matches!(text[*at - 1], 'e' | 'E') && *at > start;
        if !(letter.is_ascii_digit() || *letter == '.' || exponent || sign) {
            break;
        }
        *at += 1;
    }
    let word: String = text[start..*at].iter().collect();
    word.parse().map(Token::Number).map_err(|_| format!("syntax error at {word}"))
}

fn name(text: &[char], at: &mut usize) -> Token {
    let start = *at;
    while text.get(*at).is_some_and(|letter| letter.is_alphanumeric() || *letter == '_') {
        *at += 1;
    }
    let name: String = text[start..*at].iter().collect();
    if text.get(*at) == Some(&'(') && !super::parse::is_keyword(&name) {
        Token::Function(name)
    } else {
        Token::Name(name)
    }
}
