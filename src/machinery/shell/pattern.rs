//! Shell patterns: `*`, `?`, `[a-z]`, and the globs made of them.

/// Whether `text` matches the whole `pattern`. A backslash takes the next character as it is.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    matches_chars(&pattern, &text)
}

fn matches_chars(pattern: &[char], text: &[char]) -> bool {
    // Only the last star can need another try: what an earlier one took does not matter to what follows.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
            continue;
        }
        if t == text.len() {
            return pattern[p.min(pattern.len())..].iter().all(|c| *c == '*');
        }
        if let Some(next) = match_one(pattern, p, text[t]) {
            (p, t) = (next, t + 1);
        } else if let Some((after, taken)) = star {
            (p, t) = (after + 1, taken + 1);
            star = Some((after, taken + 1));
        } else {
            return false;
        }
    }
}

/// Matches one character; where the pattern goes on if it does.
fn match_one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match *pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => match class(pattern, p, c) {
            Some((true, end)) => Some(end),
            Some((false, _)) => None,
            None => (c == '[').then_some(p + 1),
        },
        '\\' if p + 1 < pattern.len() => (pattern[p + 1] == c).then_some(p + 2),
        literal => (literal == c).then_some(p + 1),
    }
}

/// A bracket expression from `p`: whether `c` is in it, and where it ends. Nothing when it is not closed.
pub(super) fn class(pattern: &[char], p: usize, c: char) -> Option<(bool, usize)> {
    let mut at = p + 1;
    let negated = matches!(pattern.get(at), Some('!' | '^'));
    at += usize::from(negated);
    let first = at;
    let mut found = false;
    loop {
        let mut low = *pattern.get(at)?;
        if low == ']' && at > first {
            return Some((found != negated, at + 1));
        }
        if low == '[' && pattern.get(at + 1) == Some(&':') {
            let end = pattern[at + 2..].iter().position(|c| *c == ':')? + at + 2;
            let name: String = pattern[at + 2..end].iter().collect();
            found |= named_class(&name, c);
            at = end + 2;
            continue;
        }
        if low == '\\' && at + 1 < pattern.len() {
            at += 1;
            low = pattern[at];
        }
        if pattern.get(at + 1) == Some(&'-') && pattern.get(at + 2).is_some_and(|high| *high != ']') {
            found |= (low..=pattern[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= low == c;
            at += 1;
        }
    }
}

/// `[:alpha:]` and its like.
pub(super) fn named_class(name: &str, c: char) -> bool {
    match name {
        "alpha" => c.is_alphabetic(),
        "digit" => c.is_ascii_digit(),
        "alnum" => c.is_alphanumeric(),
        "upper" => c.is_uppercase(),
        "lower" => c.is_lowercase(),
        "space" => c.is_whitespace(),
        "blank" => c == ' ' || c == '\t',
        "punct" => c.is_ascii_punctuation(),
        "xdigit" => c.is_ascii_hexdigit(),
        "cntrl" => c.is_control(),
        "print" => !c.is_control(),
        "graph" => !c.is_control() && c != ' ',
        _ => false,
    }
}

/// Whether a pattern has anything that is not simply itself.
#[must_use]
pub fn is_glob(pattern: &str) -> bool {
    let mut escaped = false;
    pattern.chars().any(|c| {
        let special = !escaped && matches!(c, '*' | '?' | '[');
        escaped = !escaped && c == '\\';
        special
    })
}

/// A text as a pattern that matches only itself.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '-' | '!' | '^') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The text that a pattern without specials stands for.
#[must_use]
pub fn unescape(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    text
}

/// The end of the shortest or longest prefix of `text` that matches, in bytes.
#[must_use]
pub fn prefix(pattern: &str, text: &str, longest: bool) -> Option<usize> {
    let mut ends = boundaries(text);
    if longest {
        ends.reverse();
    }
    ends.into_iter().find(|end| matches(pattern, &text[..*end]))
}

/// The beginning of the shortest or longest suffix of `text` that matches, in bytes.
#[must_use]
pub fn suffix(pattern: &str, text: &str, longest: bool) -> Option<usize> {
    let mut starts = boundaries(text);
    if !longest {
        starts.reverse();
    }
    starts.into_iter().find(|start| matches(pattern, &text[*start..]))
}

fn boundaries(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_texts() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "é", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[[:digit:]]*", "7up", true),
            ("[", "[", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("*.log", "x.log", true),
            ("****a", "bbbbbbbbbbbbbbbbbb", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn ends() {
        assert_eq!(prefix("*/", "a/b/c", false), Some(2));
        assert_eq!(prefix("*/", "a/b/c", true), Some(4));
        assert_eq!(suffix(".*", "a.tar.gz", false), Some(5));
        assert_eq!(suffix(".*", "a.tar.gz", true), Some(1));
        assert_eq!(suffix("x", "abc", true), None);
        assert_eq!(unescape(&escape("a*[b]\\")), "a*[b]\\");
        assert!(is_glob("a*") && !is_glob(r"a\*"));
    }
}
