//! The page's words in its languages: a table that is checked when the page is compiled.
//!
//! `assets/locales/en.txt` and `ko.txt` hold a line a text, `key = text`, with the same keys in the same order. A key
//! that neither file has, or that only one has, does not compile. Sentences that the engine says (causes, marks) are
//! looked up by their English in `assets/locales/phrases.ko.txt`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Sentence;

const EN: &str = include_str!("../../assets/locales/en.txt");
const KO: &str = include_str!("../../assets/locales/ko.txt");
const PHRASES_KO: &str = include_str!("../../assets/locales/phrases.ko.txt");

/// What stands between a key and its text.
const SEPARATOR: &str = " = ";

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Korean.
    Korean,
}

impl Language {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// Its code, as `lang` attributes have it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }

    /// Its name in itself.
    #[must_use]
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Korean => "한국어",
        }
    }

    /// The language that a browser's tag such as `ko-KR` asks for, if the page speaks it.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let code = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(code))
    }
}

/// A text of the page, known to be in the table. Made by [`key!`](crate::key).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(usize);

/// The key of a text, checked when this is compiled.
#[macro_export]
macro_rules! key {
    ($name:expr) => {
        const { $crate::view::words::Key::named($name) }
    };
}

impl Key {
    /// The text of this name.
    ///
    /// # Panics
    /// When there is none; [`key!`](crate::key) calls this while compiling.
    #[must_use]
    pub const fn named(name: &str) -> Self {
        match find(EN, name) {
            Some(index) => Self(index),
            None => panic!("assets/locales/en.txt has no text of this name"),
        }
    }

    /// The text in a language; `{}` are gaps.
    #[must_use]
    pub fn text(self, language: Language) -> &'static str {
        let table = match language {
            Language::English => &TEXTS.0,
            Language::Korean => &TEXTS.1,
        };
        table[self.0]
    }
}

static TEXTS: LazyLock<(Vec<&str>, Vec<&str>)> = LazyLock::new(|| (texts(EN), texts(KO)));
static PHRASES: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| entries(PHRASES_KO).collect());

const _: () = assert!(same_keys(EN, KO), "assets/locales/en.txt and ko.txt must have the same keys in the same order");

fn entries(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(SEPARATOR))
}

fn texts(table: &'static str) -> Vec<&'static str> {
    entries(table).map(|(_, text)| text).collect()
}

/// Whether the engine's English has a translation; English itself needs none.
#[must_use]
pub fn is_translated(english: &str) -> bool {
    PHRASES.contains_key(english)
}

/// An English phrase of the engine in a language; as it is when nobody has translated it.
#[must_use]
pub fn phrase(english: &str, language: Language) -> &str {
    match language {
        Language::English => english,
        Language::Korean => PHRASES.get(english).copied().unwrap_or(english),
    }
}

/// A sentence of the engine in a language.
#[must_use]
pub fn say(sentence: &Sentence, language: Language) -> String {
    let text = sentence.in_words_of(phrase(&sentence.template, language));
    if language == Language::Korean { with_particles(&text) } else { text }
}

/// Chooses the Korean particles that follow the sound of the word before them: `web을(를)` becomes `web을`.
#[must_use]
pub fn with_particles(text: &str) -> String {
    const PAIRS: [(&str, &str, &str); 4] =
        [("을(를)", "을", "를"), ("이(가)", "이", "가"), ("은(는)", "은", "는"), ("(으)로", "으로", "로")];
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    'next: while let Some(character) = rest.chars().next() {
        for (both, after_consonant, after_vowel) in PAIRS {
            if let Some(after) = rest.strip_prefix(both) {
                let ends_in_r = both == "(으)로" && last_sound(&result) == Sound::R;
                let consonant = last_sound(&result) != Sound::Vowel && !ends_in_r;
                result.push_str(if consonant { after_consonant } else { after_vowel });
                rest = after;
                continue 'next;
            }
        }
        result.push(character);
        rest = &rest[character.len_utf8()..];
    }
    result
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sound {
    Vowel,
    /// ㄹ, after which `로` needs no `으`.
    R,
    Consonant,
}

/// How a word sounds at its end when a Korean reads it aloud.
fn last_sound(text: &str) -> Sound {
    match text.chars().rev().find(|character| character.is_alphanumeric()) {
        Some(syllable @ '가'..='힣') => match (u32::from(syllable) - u32::from('가')) % 28 {
            0 => Sound::Vowel,
            8 => Sound::R,
            _ => Sound::Consonant,
        },
        // 일, 칠, 팔 end in ㄹ; 영, 삼, 육 in another consonant; 이, 사, 오, 구 in a vowel.
        Some('1' | '7' | '8') => Sound::R,
        Some('0' | '3' | '6') => Sound::Consonant,
        Some('l' | 'L' | 'r' | 'R') => Sound::R,
        Some('m' | 'n' | 'M' | 'N' | 'b' | 'k' | 'p' | 't' | 'B' | 'K' | 'P' | 'T') => Sound::Consonant,
        _ => Sound::Vowel,
    }
}

// What follows runs while the page is compiled, where iterators cannot.

const fn find(table: &str, name: &str) -> Option<usize> {
    let (table, name) = (table.as_bytes(), name.as_bytes());
    let mut index = 0;
    let mut line = 0;
    while line < table.len() {
        let end = end_of_line(table, line);
        if let Some(key_end) = end_of_key(table, line, end) {
            if equal(table, line, key_end, name, 0, name.len()) {
                return Some(index);
            }
            index += 1;
        }
        line = end + 1;
    }
    None
}

const fn same_keys(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let (mut a, mut b) = (0, 0);
    loop {
        a = next_entry(left, a);
        b = next_entry(right, b);
        if a >= left.len() || b >= right.len() {
            return a >= left.len() && b >= right.len();
        }
        let (a_end, b_end) = (end_of_line(left, a), end_of_line(right, b));
        match (end_of_key(left, a, a_end), end_of_key(right, b, b_end)) {
            (Some(a_key), Some(b_key)) if equal(left, a, a_key, right, b, b_key) => {}
            _ => return false,
        }
        a = a_end + 1;
        b = b_end + 1;
    }
}

/// The beginning of the next line that is an entry.
const fn next_entry(table: &[u8], mut line: usize) -> usize {
    while line < table.len() {
        let end = end_of_line(table, line);
        if end_of_key(table, line, end).is_some() {
            return line;
        }
        line = end + 1;
    }
    line
}

const fn end_of_line(table: &[u8], mut place: usize) -> usize {
    while place < table.len() && table[place] != b'\n' {
        place += 1;
    }
    place
}

/// Where the key of a line ends; `None` for comments and empty lines.
const fn end_of_key(table: &[u8], start: usize, end: usize) -> Option<usize> {
    if start < end && table[start] == b'#' {
        return None;
    }
    let mut place = start;
    while place + 2 < end {
        if table[place] == b' ' && table[place + 1] == b'=' && table[place + 2] == b' ' {
            return Some(place);
        }
        place += 1;
    }
    None
}

const fn equal(left: &[u8], from: usize, to: usize, right: &[u8], other_from: usize, other_to: usize) -> bool {
    if to - from != other_to - other_from {
        return false;
    }
    let mut offset = 0;
    while from + offset < to {
        if left[from + offset] != right[other_from + offset] {
            return false;
        }
        offset += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(text: &str) -> usize {
        text.matches('{').count()
    }

    #[test]
    fn both_languages_have_every_text_with_the_same_gaps() {
        let (english, korean): (Vec<_>, Vec<_>) = (entries(EN).collect(), entries(KO).collect());
        assert_eq!(english.len(), korean.len());
        for ((key, en), (other, ko)) in english.into_iter().zip(korean) {
            assert_eq!(key, other);
            assert!(!en.trim().is_empty() && !ko.trim().is_empty(), "{key} is empty");
            assert_eq!(gaps(en), gaps(ko), "{key}: {en} / {ko}");
        }
    }

    #[test]
    fn every_line_is_an_entry_or_a_comment() {
        for (name, table) in [("en", EN), ("ko", KO), ("phrases.ko", PHRASES_KO)] {
            for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                assert!(line.contains(SEPARATOR), "{name}: {line}");
            }
        }
        for (english, korean) in entries(PHRASES_KO) {
            assert!(gaps(korean) <= gaps(english), "{english} / {korean}");
        }
    }

    /// Whatever the engine says while the lessons are played, and when a node dies, is said in Korean too.
    #[test]
    fn every_cause_is_translated() {
        use crate::session::scenario::SCENARIOS;
        use crate::session::{Action, NodeName};
        use std::collections::BTreeSet;
        use std::time::Duration;

        let mut english = BTreeSet::new();
        for (id, _) in SCENARIOS {
            let scenario = crate::session::scenario::Scenario::named(id).expect("it is listed");
            let mut session = scenario.session();
            for step in scenario.steps {
                if !step.apply.is_empty() {
                    let files = if step.files.is_empty() { scenario.files.clone() } else { step.files };
                    let action = Action::Apply { files, namespace: "default".to_owned(), dry_run: false };
                    session.act(action).expect("it is taken");
                }
                for action in step.actions {
                    session.act(action).expect("it is taken");
                }
                session.run_until(session.now() + Duration::from_secs(60));
            }
            session.act(Action::StopNode(NodeName { name: "node-2".to_owned() })).expect("it is taken");
            session.run_until(session.now() + Duration::from_secs(400));
            session.act(Action::StartNode(NodeName { name: "node-2".to_owned() })).expect("it is taken");
            session.run_until(session.now() + Duration::from_secs(60));
            let etcd = session.cluster().api().etcd();
            english.extend(etcd.commits(0).map(|commit| commit.cause.why.template));
        }
        let missing: Vec<&str> = english.into_iter().filter(|text| !text.is_empty() && !is_translated(text)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn keys_are_found() {
        assert_eq!(key!("app.name").text(Language::English), "Kubetab");
        assert_eq!(find(EN, "no.such.key"), None);
        assert!(!same_keys("a = 1\nb = 2\n", "a = 1\nc = 2\n"));
        assert!(!same_keys("a = 1\n", "a = 1\nb = 2\n"));
        assert!(same_keys("# c\na = 1\n\nb = 2\n", "a = x\nb = y"));
    }

    #[test]
    fn korean_particles_follow_the_sound_of_the_word() {
        let cases = [
            ("파드을(를)", "파드를"),
            ("노드은(는) 클러스터이(가)", "노드는 클러스터가"),
            ("레플리카셋을(를)", "레플리카셋을"),
            ("node-1(으)로", "node-1로"),
            ("node-3(으)로", "node-3으로"),
            ("web을(를) nginx이(가)", "web을 nginx가"),
            ("서울(으)로", "서울로"),
        ];
        for (text, expected) in cases {
            assert_eq!(with_particles(text), expected);
        }
    }

    #[test]
    fn browsers_tags_choose_a_language() {
        let chosen = ["ko-KR", "en", "EN_us", "fr"].map(Language::from_tag);
        assert_eq!(chosen, [Some(Language::Korean), Some(Language::English), Some(Language::English), None]);
    }
}
