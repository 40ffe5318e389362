//! Brace expansion, which bash has and the smaller shells do not: `a{b,c}`, `{1..5}`, `{a..e}`, `{0..10..2}`.

use super::host::Flavor;
use super::syntax::{Part, Word};

/// How many words one word may become.
const WORDS_MAX: usize = 10_000;

/// The words that a word stands for; in shells other than bash only itself.
pub(super) fn expand(word: &Word, flavor: Flavor) -> Vec<Word> {
    let has_brace = |part: &Part| matches!(part, Part::Literal(text) if text.contains('{'));
    if flavor != Flavor::Bash || !word.parts.iter().any(has_brace) {
        return vec![word.clone()];
    }
    let mut words = vec![Word::default()];
    for part in &word.parts {
        let choices = match part {
            Part::Literal(text) => texts(text).into_iter().map(Part::Literal).collect(),
            other => vec![other.clone()],
        };
        if words.len() * choices.len() > WORDS_MAX {
            return vec![word.clone()];
        }
        let with = |choice: &Part| {
            let choice = choice.clone();
            move |word: &Word| {
                let mut word = word.clone();
                word.parts.push(choice.clone());
                word
            }
        };
        words = match choices.as_slice() {
            [only] => words.iter().map(with(only)).collect(),
            _ => words.iter().flat_map(|word| choices.iter().map(move |choice| with(choice)(word))).collect(),
        };
    }
    words
}

/// The texts that a text with braces stands for.
fn texts(text: &str) -> Vec<String> {
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| at + from) {
        if let Some((close, commas)) = closing(text, open) {
            let inner = &text[open + 1..close];
            let choices = if commas.is_empty() {
                range(inner)
            } else {
                let mut starts = vec![open + 1];
                starts.extend(commas.iter().map(|at| at + 1));
                let ends = commas.iter().copied().chain([close]);
                let pieces = starts.iter().zip(ends).map(|(start, end)| &text[*start..end]);
                Some(pieces.flat_map(texts).collect())
            };
            if let Some(choices) = choices {
                let rests = texts(&text[close + 1..]);
                if choices.len() * rests.len() > WORDS_MAX {
                    return vec![text.to_owned()];
                }
                let head = &text[..open];
                let join =
                    |choice: &String| rests.iter().map(|rest| format!("{head}{choice}{rest}")).collect::<Vec<_>>();
                return choices.iter().flat_map(join).collect();
            }
        }
        from = open + 1;
    }
    vec![text.to_owned()]
}

/// Where a brace closes, and the commas of its own level.
fn closing(text: &str, open: usize) -> Option<(usize, Vec<usize>)> {
    let (mut depth, mut commas) = (0, Vec::new());
    for (at, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some((open + at, commas));
                }
            }
            ',' if depth == 1 => commas.push(open + at),
            _ => {}
        }
    }
    None
}

fn range(inner: &str) -> Option<Vec<String>> {
    let mut parts = inner.split("..");
    let (first, last, step) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let step = step.map_or(Some(1), |step| step.parse::<i64>().ok())?.unsigned_abs().max(1);
    let letter = |text: &str| text.chars().next().filter(|c| text.len() == 1 && c.is_ascii_alphabetic());
    let (start, end, width, letters) = match (first.parse::<i64>(), last.parse::<i64>()) {
        (Ok(start), Ok(end)) => {
            let padded = [first, last]
                .iter()
                .any(|text| text.trim_start_matches('-').len() > 1 && text.trim_start_matches('-').starts_with('0'));
            (start, end, if padded { first.len().max(last.len()) } else { 0 }, false)
        }
        _ => (i64::from(u32::from(letter(first)?)), i64::from(u32::from(letter(last)?)), 0, true),
    };
    if start.abs_diff(end) / step >= WORDS_MAX as u64 {
        return None;
    }
    let count = start.abs_diff(end) / step;
    let values = (0..=count).map(|index| {
        let offset = (index * step).cast_signed();
        if start <= end { start + offset } else { start - offset }
    });
    Some(
        values
            .map(|value| match u32::try_from(value).ok().and_then(char::from_u32).filter(|_| letters) {
                Some(letter) => letter.to_string(),
                None => format!("{value:0width$}"),
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces() {
        for (text, expected) in [
            ("a{b,c}d", "abd acd"),
            ("{1..4}", "1 2 3 4"),
            ("{3..1}", "3 2 1"),
            ("{01..03}", "01 02 03"),
            ("{a..c}{1,2}", "a1 a2 b1 b2 c1 c2"),
            ("{0..10..5}", "0 5 10"),
            ("{a,{b,c}}", "a b c"),
            ("{x}", "{x}"),
            ("{", "{"),
            ("a{,b}", "a ab"),
            ("{1..x}", "{1..x}"),
        ] {
            assert_eq!(texts(text).join(" "), expected, "{text}");
        }
    }
}
