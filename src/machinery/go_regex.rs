//! Regular expressions as Go's `regexp` reads them (RE2): patterns of schemas, and of CEL.
//!
//! They are rewritten into extended POSIX expressions, for which there is an engine already ([`super::shell::regex`]). What
//! may match is the same; which of several matches is found first is not always. Not there: Unicode classes other than
//! letters, digits and blanks, and flags in the middle of an expression.

use super::shell::regex::Regex;

/// Compiles an expression.
///
/// # Errors
/// Go's words: ``missing closing ): `(a` ``, without `error parsing regexp: ` before them. An expression that is only too
/// large for the engine is none: it gives nothing.
pub fn compile(pattern: &str) -> Result<Option<Regex>, String> {
    let mut rewriter =
        Rewriter { text: pattern.chars().collect(), at: 0, out: String::new(), depth: 0, ignore_case: false };
    rewriter.rewrite().map_err(|(why, from)| {
        let rest: String = rewriter.text.iter().skip(from).collect();
        format!("{why}: `{rest}`")
    })?;
    Ok(Regex::new(&rewriter.out, true, rewriter.ignore_case).ok())
}

/// What is wrong, and from where.
type Wrong = (&'static str, usize);

struct Rewriter {
    text: Vec<char>,
    at: usize,
    out: String,
    depth: usize,
    ignore_case: bool,
}

impl Rewriter {
    fn rewrite(&mut self) -> Result<(), Wrong> {
        // Whether something stands before that can be repeated, and whether it was already.
        let (mut is_repeatable, mut is_repeated) = (false, false);
        while let Some(letter) = self.text.get(self.at).copied() {
            let begin = self.at;
            self.at += 1;
            match letter {
                '(' => {
                    self.group(begin)?;
                    (is_repeatable, is_repeated) = (false, false);
                    continue;
                }
                ')' if self.depth == 0 => return Err(("unexpected )", 0)),
                ')' => {
                    self.depth -= 1;
                    self.out.push(')');
                }
                '|' => {
                    self.out.push('|');
                    (is_repeatable, is_repeated) = (false, false);
                    continue;
                }
                '*' | '+' | '?' => {
                    if letter == '?' && is_repeated {
                        // A lazy repetition finds the same texts.
                        is_repeated = false;
                        continue;
                    }
                    if !is_repeatable {
                        return Err(("missing argument to repetition operator", begin));
                    }
                    if is_repeated {
                        return Err(("invalid nested repetition operator", begin - 1));
                    }
                    self.out.push(letter);
                    is_repeated = true;
                    continue;
                }
                '{' => {
                    if let Some(length) = self.bounds() {
                        if !is_repeatable {
                            return Err(("missing argument to repetition operator", begin));
                        }
                        self.out.extend(&self.text[begin..begin + length]);
                        self.at = begin + length;
                        is_repeated = true;
                        continue;
                    }
                    self.out.push_str("\\{");
                }
                '[' => self.class(begin)?,
                '\\' => self.escaped()?,
                other => self.out.push(other),
            }
            (is_repeatable, is_repeated) = (true, false);
        }
        if self.depth > 0 { Err(("missing closing )", 0)) } else { Ok(()) }
    }

    /// What stands behind a bracket: nothing, a name, or flags for all that follows.
    fn group(&mut self, begin: usize) -> Result<(), Wrong> {
        if self.text.get(self.at) == Some(&'?') {
            let rest: String = self.text[self.at + 1..].iter().collect();
            let end = rest.find([':', ')', '>']).ok_or(("missing argument to repetition operator", self.at))?;
            let flags = &rest[..end];
            self.at += 2 + flags.chars().count();
            if flags.starts_with("P<") || flags.starts_with('<') {
                self.out.push('(');
                self.depth += 1;
                return Ok(());
            }
            if !flags.chars().all(|flag| matches!(flag, 'i' | 'm' | 's' | 'U' | '-')) {
                return Err(("invalid or unsupported Perl syntax", begin));
            }
            self.ignore_case |= flags.contains('i') && !flags.starts_with('-');
            if rest[end..].starts_with(')') {
                return Ok(());
            }
        }
        self.out.push('(');
        self.depth += 1;
        Ok(())
    }

    /// The length of `{2,3}`, when it is that.
    fn bounds(&self) -> Option<usize> {
        let inner: String = self.text[self.at..].iter().take_while(|letter| **letter != '}').collect();
        let is_closed = self.text.get(self.at + inner.chars().count()) == Some(&'}');
        let (least, most) = inner.split_once(',').unwrap_or((&inner, ""));
        let is_number = |text: &str| text.chars().all(|letter| letter.is_ascii_digit());
        (is_closed && !least.is_empty() && is_number(least) && is_number(most)).then(|| inner.len() + 2)
    }

    fn escaped(&mut self) -> Result<(), Wrong> {
        let begin = self.at - 1;
        let letter = *self.text.get(self.at).ok_or(("trailing backslash at end of expression", self.text.len()))?;
        self.at += 1;
        match letter {
            'A' => self.out.push('^'),
            'z' => self.out.push('$'),
            'd' | 's' | 'w' => self.out.push_str(&format!("[{}]", named(letter))),
            'D' | 'S' | 'W' => self.out.push_str(&format!("[^{}]", named(letter.to_ascii_lowercase()))),
            'b' => self.out.push_str("\\b"),
            'p' => {
                let class = self.unicode();
                self.out.push_str(&format!("[{class}]"));
            }
            _ => {
                let letter = self.letter(letter).ok_or(("invalid escape sequence", begin))?;
                if letter.is_ascii_punctuation() && letter != '<' && letter != '>' {
                    self.out.push('\\');
                }
                self.out.push(letter);
            }
        }
        Ok(())
    }

    /// The letter that an escape means, behind its backslash.
    fn letter(&mut self, letter: char) -> Option<char> {
        Some(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\x0c',
            'v' => '\x0b',
            'a' => '\x07',
            'x' => {
                let digits: String = if self.text.get(self.at) == Some(&'{') {
                    let digits: String = self.text[self.at + 1..].iter().take_while(|letter| **letter != '}').collect();
                    self.at += digits.len() + 2;
                    digits
                } else {
                    let digits: String = self.text[self.at..].iter().take(2).collect();
                    self.at += digits.len();
                    digits
                };
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
            }
            letter if letter.is_ascii_alphanumeric() => return None,
            letter => letter,
        })
    }

    /// What is known of `{L}` or `L` behind `\p`.
    fn unicode(&mut self) -> &'static str {
        let name: String = if self.text.get(self.at) == Some(&'{') {
            self.text[self.at + 1..].iter().take_while(|letter| **letter != '}').collect()
        } else {
            self.text[self.at..].iter().take(1).collect()
        };
        self.at += if self.text.get(self.at) == Some(&'{') { name.chars().count() + 2 } else { 1 };
        match name.chars().next() {
            Some('N') => "[:digit:]",
            Some('Z') => "[:space:]",
            Some('P' | 'S') => "[:punct:]",
            _ if name == "Lu" => "[:upper:]",
            _ if name == "Ll" => "[:lower:]",
            _ => "[:alpha:]",
        }
    }

    /// A class, in which POSIX knows no escapes: what would mean something there is put where it does not.
    fn class(&mut self, begin: usize) -> Result<(), Wrong> {
        let open: Wrong = ("missing closing ]", begin);
        let negated = self.text.get(self.at) == Some(&'^');
        self.at += usize::from(negated);
        let (mut items, mut has_bracket, mut has_dash, mut has_caret) = (String::new(), false, false, false);
        let mut is_first = true;
        loop {
            let letter = *self.text.get(self.at).ok_or(open)?;
            self.at += 1;
            if letter == ']' && !is_first {
                break;
            }
            is_first = false;
            if letter == '[' && self.text.get(self.at) == Some(&':') {
                let rest: String = self.text[self.at..].iter().collect();
                let end = rest.find(":]").ok_or(open)?;
                items.push_str(&format!("[{}]", &rest[..end + 1]));
                self.at += end + 2;
                continue;
            }
            let letter = if letter == '\\' {
                let escape = *self.text.get(self.at).ok_or(open)?;
                self.at += 1;
                match escape {
                    'd' | 's' | 'w' => {
                        items.push_str(named(escape));
                        continue;
                    }
                    'p' => {
                        items.push_str(self.unicode());
                        continue;
                    }
                    _ => self.letter(escape).ok_or(("invalid escape sequence", self.at - 2))?,
                }
            } else {
                letter
            };
            if let Some(end) = self.range_end() {
                let end = end.ok_or(("invalid escape sequence", self.at))?;
                if end < letter {
                    return Err(("invalid character class range", self.at));
                }
                items.extend([letter, '-', end]);
                continue;
            }
            match letter {
                ']' => has_bracket = true,
                '-' => has_dash = true,
                '^' => has_caret = true,
                other => items.push(other),
            }
        }
        let is_lone_caret = has_caret && items.is_empty() && !has_bracket && !negated;
        self.out.push_str(match (is_lone_caret, has_dash) {
            (true, true) => "[-^]",
            (true, false) => "\\^",
            _ => "",
        });
        if is_lone_caret {
            return Ok(());
        }
        let part = |is_there: bool, letter: &'static str| if is_there { letter } else { "" };
        self.out.push('[');
        self.out.push_str(part(negated, "^"));
        self.out.push_str(part(has_bracket, "]"));
        self.out.push_str(&items);
        self.out.push_str(part(has_caret, "^"));
        self.out.push_str(part(has_dash, "-"));
        self.out.push(']');
        Ok(())
    }

    /// The last letter of a range, when the next letters are `-` and one more.
    fn range_end(&mut self) -> Option<Option<char>> {
        let (dash, end) = (self.text.get(self.at)?, *self.text.get(self.at + 1)?);
        if *dash != '-' || end == ']' {
            return None;
        }
        if end != '\\' {
            self.at += 2;
            return Some(Some(end));
        }
        let escape = *self.text.get(self.at + 2)?;
        if matches!(escape, 'd' | 's' | 'w' | 'p') {
            return None;
        }
        self.at += 3;
        Some(self.letter(escape))
    }
}

/// The letters of `\d`, `\s` and `\w`, within a class.
const fn named(letter: char) -> &'static str {
    match letter {
        'd' => "0-9",
        's' => " \t\n\r\x0c",
        _ => "a-zA-Z0-9_",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_they_mean_in_go() {
        for (pattern, matching, other) in [
            (r"^[\w.-]+$", "a_b-c.d", "a b"),
            (r"^[^\s/]+$", "abc", "a c"),
            (r"^(?:a|b)+?$", "abba", "abc"),
            (r"^[a-z\-\]]+$", "a-]", "a\\"),
            (r"^\d{1,3}(\.\d{1,3}){3}$", "10.0.0.1", "10.0.0"),
            (r"(?i)^yes$", "YES", "no"),
            (r"^\x41\x{42}\.$", "AB.", "ABx"),
            (r"^(?P<name>x)\D$", "xy", "x1"),
            (r"^[\^]$", "^", "\\"),
            (r"^[\^-]+$", "^-", "a"),
            (r"^a{$", "a{", "a"),
            (r"^[[:alpha:]\d]+$", "a1", "a-"),
            (r"^\/\*$", "/*", "/"),
        ] {
            let regex = compile(pattern).expect(pattern).expect(pattern);
            assert!(regex.is_match(matching), "{pattern} {matching}");
            assert!(!regex.is_match(other), "{pattern} {other}");
        }
        assert_eq!(compile("^[a-z]{0,5000}$"), Ok(None), "it is well-formed");
        for (pattern, why) in [
            ("(a", "missing closing ): `(a`"),
            ("a)", "unexpected ): `a)`"),
            ("x[a-z", "missing closing ]: `[a-z`"),
            ("*a", "missing argument to repetition operator: `*a`"),
            ("a\\", "trailing backslash at end of expression: ``"),
        ] {
            assert_eq!(compile(pattern).expect_err(pattern), why);
        }
    }
}
