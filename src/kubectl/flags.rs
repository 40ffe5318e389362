//! Flags: which there are, and how a command line gives them values.
//!
//! Follows `github.com/spf13/pflag`: long and short names, values attached or behind, `--` ends the flags.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failure::Failure;
use crate::machinery::duration::GoDuration;

/// What values a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlagKind {
    /// None, or `=true` and `=false`.
    Bool,
    /// A text.
    Text,
    /// Texts, several in one value with commas between them.
    Texts,
    /// `KEY=VALUE`: pflag's `stringToString`.
    Pairs,
    /// The same as `MapStringString` of `k8s.io/component-base` has it.
    Map,
    /// A whole number.
    Integer,
    /// A duration such as `1m30s`.
    Duration,
}

/// A flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// The long name.
    pub name: &'static str,
    /// The short name.
    pub short: Option<char>,
    /// What it takes.
    pub kind: FlagKind,
    /// What it means without a value, for those that need none: pflag's `NoOptDefVal`.
    pub implied: Option<&'static str>,
}

impl Flag {
    const fn new(name: &'static str, kind: FlagKind) -> Self {
        Self { name, short: None, kind, implied: None }
    }

    pub(super) const fn switch(name: &'static str) -> Self {
        Self { implied: Some("true"), ..Self::new(name, FlagKind::Bool) }
    }

    pub(super) const fn text(name: &'static str) -> Self {
        Self::new(name, FlagKind::Text)
    }

    pub(super) const fn texts(name: &'static str) -> Self {
        Self::new(name, FlagKind::Texts)
    }

    pub(super) const fn pairs(name: &'static str) -> Self {
        Self::new(name, FlagKind::Pairs)
    }

    pub(super) const fn map(name: &'static str) -> Self {
        Self::new(name, FlagKind::Map)
    }

    pub(super) const fn integer(name: &'static str) -> Self {
        Self::new(name, FlagKind::Integer)
    }

    pub(super) const fn duration(name: &'static str) -> Self {
        Self::new(name, FlagKind::Duration)
    }

    pub(super) const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    pub(super) const fn implied(self, value: &'static str) -> Self {
        Self { implied: Some(value), ..self }
    }

    /// Whether a value can be read: pflag's own words when not.
    fn check(&self, value: &str) -> Result<(), String> {
        let number = |function: &str| format!("strconv.{function}: parsing {value:?}: invalid syntax");
        let why = match self.kind {
            FlagKind::Bool if parse_bool(value).is_none() => number("ParseBool"),
            FlagKind::Integer if value.parse::<i64>().is_err() => number("ParseInt"),
            FlagKind::Pairs if value.split(',').any(|pair| !pair.contains('=')) => {
                format!("{value} must be formatted as key=value")
            }
            FlagKind::Map if value.split(',').any(|pair| !pair.contains('=')) => {
                "malformed pair, expect string=string".to_owned()
            }
            FlagKind::Duration => match GoDuration::parse(value) {
                Ok(_) => return Ok(()),
                Err(why) => why,
            },
            _ => return Ok(()),
        };
        let name = self.short.map_or_else(|| format!("--{}", self.name), |short| format!("-{short}, --{}", self.name));
        Err(format!("invalid argument {value:?} for {name:?} flag: {why}"))
    }
}

pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The values of the flags of a command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Flags {
    /// Whether the flag was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Every value, as given.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The last value, or the empty text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all(name).last().map_or("", String::as_str)
    }

    /// Every value, taken apart at commas.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let given = self.all(name).iter().filter(|value| !value.is_empty());
        given.flat_map(|value| value.split(',')).map(str::to_owned).collect()
    }

    /// A switch.
    pub(super) fn is(&self, name: &str, default: bool) -> bool {
        self.all(name).last().and_then(|value| parse_bool(value)).unwrap_or(default)
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.all(name).last().and_then(|value| value.parse().ok())
    }

    /// A duration; nothing when it was not given or is zero or less.
    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        let value = self.all(name).last()?;
        GoDuration::parse(value).ok().map(GoDuration::to_std).filter(|duration| !duration.is_zero())
    }
}

/// Takes the flags out of a command line. `path` is the command, such as `kubectl rollout status`.
pub(super) fn parse(
    words: &[String],
    known: &[Flag],
    path: &str,
) -> Result<(Flags, Vec<String>, Option<usize>), Failure> {
    let refuse = |text: String| Failure::Message(format!("{text}\nSee '{path} --help' for usage."));
    let mut flags = Flags::default();
    let mut arguments = Vec::new();
    let mut dash = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            dash = Some(arguments.len());
            arguments.extend(words.by_ref().cloned());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, attached) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let flag =
                known.iter().find(|flag| flag.name == name).ok_or_else(|| refuse(format!("unknown flag: --{name}")))?;
            let value = attached.or_else(|| flag.implied.map(str::to_owned)).or_else(|| words.next().cloned());
            let value = value.ok_or_else(|| refuse(format!("flag needs an argument: --{name}")))?;
            flag.check(&value).map_err(refuse)?;
            flags.values.entry(flag.name).or_default().push(value);
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let mut rest = letters;
            while let Some(letter) = rest.chars().next() {
                rest = &rest[letter.len_utf8()..];
                let flag = known
                    .iter()
                    .find(|flag| flag.short == Some(letter))
                    .ok_or_else(|| refuse(format!("unknown shorthand flag: '{letter}' in -{letters}")))?;
                let value = if let Some(value) = rest.strip_prefix('=') {
                    rest = "";
                    Some(value.to_owned())
                } else if let Some(implied) = flag.implied {
                    Some(implied.to_owned())
                } else if rest.is_empty() {
                    words.next().cloned()
                } else {
                    Some(std::mem::take(&mut rest).to_owned())
                };
                let value = value.ok_or_else(|| refuse(format!("flag needs an argument: '{letter}' in -{letters}")))?;
                flag.check(&value).map_err(refuse)?;
                flags.values.entry(flag.name).or_default().push(value);
            }
        } else {
            arguments.push(word.clone());
        }
    }
    Ok((flags, arguments, dash))
}
