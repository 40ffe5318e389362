//! Field selectors: `metadata.name=web,status.phase!=Running`.
//!
//! Follows `apimachinery/pkg/fields`. Which fields a kind can be selected by is the API's matter.

use crate::machinery::order::Order as _;
use std::collections::BTreeMap;
use std::fmt;

/// Something that has fields to select by. A field that is missing is the empty string.
pub trait Fields {
    /// The value of a field.
    fn field(&self, name: &str) -> Option<&str>;
}

impl Fields for BTreeMap<String, String> {
    fn field(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// One term of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    field: String,
    value: String,
    negated: bool,
}

impl Requirement {
    /// The path of the field.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What the field is compared with, unescaped.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the field must differ from the value.
    pub const fn is_negated(&self) -> bool {
        self.negated
    }

    /// Whether a field of this value is selected.
    pub fn matches_value(&self, value: &str) -> bool {
        (value == self.value) != self.negated
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.negated { "!=" } else { "=" };
        write!(formatter, "{}{operator}{}", self.field, escape_value(&self.value))
    }
}

/// All terms must hold; no terms select everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

impl Selector {
    /// Selects everything.
    pub const fn everything() -> Self {
        Self { requirements: Vec::new() }
    }

    /// Selects by one field (`OneTermEqualSelector`).
    pub fn one(field: &str, value: &str) -> Self {
        Self { requirements: vec![Requirement { field: field.to_owned(), value: value.to_owned(), negated: false }] }
    }

    /// Reads a selector; its terms are sorted by their text (`ParseSelector`).
    ///
    /// # Errors
    /// Upstream's text, such as `invalid selector: 'a'; can't understand 'a'`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = split_terms(text);
        parts.order();
        let mut requirements = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let (field, value, negated) =
                split_term(part).ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{part}'"))?;
            requirements.push(Requirement { field: field.to_owned(), value: unescape_value(value)?, negated });
        }
        Ok(Self { requirements })
    }

    /// Whether `fields` satisfy every term.
    pub fn matches(&self, fields: &(impl Fields + ?Sized)) -> bool {
        let value_of = |name: &str| fields.field(name).unwrap_or_default();
        self.requirements.iter().all(|requirement| requirement.matches_value(value_of(&requirement.field)))
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The terms.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The only value that `field` may have, if the selector fixes it.
    pub fn requires_exact_match(&self, field: &str) -> Option<&str> {
        let fixes = |requirement: &&Requirement| requirement.field == field && !requirement.negated;
        self.requirements.iter().find(fixes).map(Requirement::value)
    }

    /// Converts every term, as the API does to check and rename the fields that are asked for. A
    /// term that becomes empty selects everything.
    ///
    /// # Errors
    /// What `convert` refuses.
    pub fn transform<E>(self, mut convert: impl FnMut(&str, &str) -> Result<(String, String), E>) -> Result<Self, E> {
        let mut requirements = Vec::new();
        for requirement in self.requirements {
            let (field, value) = convert(&requirement.field, &requirement.value)?;
            if !(field.is_empty() && value.is_empty()) {
                requirements.push(Requirement { field, value, negated: requirement.negated });
            }
        }
        Ok(Self { requirements })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            requirement.fmt(formatter)?;
        }
        Ok(())
    }
}

/// Splits into terms, at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut is_escaped = false;
    text.split(|character: char| {
        let splits = character == ',' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        splits
    })
    .collect()
}

/// The field, the value and whether they must differ.
fn split_term(term: &str) -> Option<(&str, &str, bool)> {
    for (index, _) in term.char_indices() {
        let (field, rest) = term.split_at(index);
        if let Some(value) = rest.strip_prefix("!=") {
            return Some((field, value, true));
        }
        if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
            return Some((field, value, false));
        }
    }
    None
}

/// Puts a backslash before what has a meaning of its own (`EscapeValue`).
pub fn escape_value(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | ',' | '=') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn unescape_value(value: &str) -> Result<String, String> {
    let invalid = |sequence: &str| Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
    let mut unescaped = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(next @ ('\\' | ',' | '=')) => unescaped.push(next),
                Some(next) => return invalid(&format!("\\{next}")),
                None => return invalid("\\"),
            },
            ',' | '=' => {
                let code = u32::from(character);
                return Err(format!("invalid field selector: unescaped character in value: {code}"));
            }
            other => unescaped.push(other),
        }
    }
    Ok(unescaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let cases = [
            ("", ""),
            ("x=a,y=b,z=c", "x=a,y=b,z=c"),
            ("z=1,a==2", "a=2,z=1"),
            ("x!=a,y=b", "x!=a,y=b"),
            ("x=", "x="),
            ("x=a\\,b", "x=a\\,b"),
            ("x=\\=\\\\", "x=\\=\\\\"),
            (",x=1,", "x=1"),
        ];
        for (text, expected) in cases {
            assert_eq!(Selector::parse(text).expect(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_with_upstreams_words() {
        let cases = [
            ("status.phase", "invalid selector: 'status.phase'; can't understand 'status.phase'"),
            ("x=a||y=b", "invalid field selector: unescaped character in value: 61"),
            ("x=\\a", "invalid field selector: invalid escape sequence: \\a"),
            ("x=\\", "invalid field selector: invalid escape sequence: \\"),
        ];
        for (text, expected) in cases {
            assert_eq!(Selector::parse(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn matches_and_transforms() {
        let fields: BTreeMap<String, String> = [("metadata.name".to_owned(), "web".to_owned())].into_iter().collect();
        for (text, expected) in [
            ("", true),
            ("metadata.name=web", true),
            ("metadata.name!=web", false),
            ("spec.nodeName=", true),
            ("spec.nodeName!=", false),
            ("metadata.name=web,spec.nodeName=a", false),
        ] {
            assert_eq!(Selector::parse(text).expect(text).matches(&fields), expected, "{text}");
        }
        let selector = Selector::parse("name=web").expect("valid");
        assert_eq!(selector.requires_exact_match("name"), Some("web"));
        let renamed =
            selector.clone().transform(|field, value| Ok::<_, String>((format!("metadata.{field}"), value.to_owned())));
        assert_eq!(renamed, Ok(Selector::one("metadata.name", "web")));
        let refused = selector.transform(|field, _| Err(format!("field label not supported: {field}")));
        assert_eq!(refused, Err("field label not supported: name".to_owned()));
    }
}
