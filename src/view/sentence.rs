//! A sentence that can be said in another language.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::etcd::Why;

/// An English sentence with `{}` gaps, and what fills them. The English is the key to its translations.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sentence {
    /// The sentence; each `{}` is a gap.
    pub template: String,
    /// What fills the gaps, in order.
    pub values: Vec<String>,
}

impl Sentence {
    /// A sentence and what fills its gaps.
    pub fn new(template: &str, values: impl IntoIterator<Item = String>) -> Self {
        Self { template: template.to_owned(), values: values.into_iter().collect() }
    }

    /// The same values in another language's sentence.
    #[must_use]
    pub fn in_words_of(&self, template: &str) -> String {
        fill(template, &self.values)
    }
}

impl From<&Why> for Sentence {
    fn from(why: &Why) -> Self {
        Self { template: why.template.to_owned(), values: why.values.to_vec() }
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fill(&self.template, &self.values))
    }
}

/// Puts values into the gaps of a template. `{}` takes the next one, `{1}` the first: languages differ in their order.
#[must_use]
pub fn fill<S: AsRef<str>>(template: &str, values: &[S]) -> String {
    let mut text = String::with_capacity(template.len() + 16);
    let mut rest = template;
    let mut next = 0;
    while let Some(start) = rest.find('{') {
        let (before, after) = rest.split_at(start);
        text.push_str(before);
        let Some(end) = after.find('}') else { return text + after };
        let index = match &after[1..end] {
            "" => Some(next),
            number => number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)),
        };
        if let Some(index) = index {
            text.push_str(values.get(index).map_or("", AsRef::as_ref));
            next = index + 1;
            rest = &after[end + 1..];
        } else {
            text.push('{');
            rest = &after[1..];
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_in_order_or_by_number() {
        let cases = [
            ("You applied {} {}.", "You applied Pod web."),
            ("{1} {2}을(를) 적용했습니다.", "Pod web을(를) 적용했습니다."),
            ("{2}, then {1}", "web, then Pod"),
            ("no gap", "no gap"),
            ("{} {} {}!", "Pod web !"),
            ("a {brace} and {", "a {brace} and {"),
        ];
        for (template, expected) in cases {
            assert_eq!(fill(template, &["Pod", "web"]), expected, "{template}");
        }
    }
}
