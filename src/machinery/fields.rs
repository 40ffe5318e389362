//! Field selectors: `status.phase=Running,spec.nodeName!=node-1`.
//!
//! Follows `k8s.io/apimachinery/pkg/fields/selector.go`.

/// One term of a field selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    field: String,
    equal: bool,
    value: String,
}

impl Requirement {
    /// The path of the field.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Whether a field of this value is selected.
    #[must_use]
    pub fn matches_value(&self, value: &str) -> bool {
        (value == self.value) == self.equal
    }
}

/// Terms that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// Upstream's sentence when a term has no operator or a bad escape.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for term in split_terms(text) {
            if term.is_empty() {
                continue;
            }
            let (field, equal, value) =
                split_term(term).ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{term}'"))?;
            requirements.push(Requirement { field: field.to_owned(), equal, value: unescape(value)? });
        }
        Ok(Self { requirements })
    }

    /// The terms.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }
}

/// Splits at commas that no backslash stands before.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find('=')?;
    if term[at..].starts_with("==") {
        return Some((&term[..at], true, &term[at + 2..]));
    }
    match term[..at].strip_suffix('!') {
        Some(field) => Some((field, false, &term[at + 1..])),
        None => Some((&term[..at], true, &term[at + 1..])),
    }
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                Some(other) => return Err(format!("invalid field selector: invalid escape sequence: \\{other}")),
                None => return Err("invalid field selector: invalid escape sequence: \\".to_owned()),
            },
            ',' | '=' => {
                return Err(format!("invalid field selector: unescaped character in value: {character}"));
            }
            other => plain.push(other),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_and_matched() {
        let selector = Selector::parse("status.phase!=Running,spec.nodeName==a\\,b").expect("it is well-formed");
        let [phase, node] = selector.requirements() else { panic!("two terms: {selector:?}") };
        assert_eq!(
            (phase.field(), phase.matches_value("Pending"), phase.matches_value("Running")),
            ("status.phase", true, false)
        );
        assert!(node.matches_value("a,b"));
        assert_eq!(
            Selector::parse("nonsense").unwrap_err(),
            "invalid selector: 'nonsense'; can't understand 'nonsense'"
        );
    }
}
