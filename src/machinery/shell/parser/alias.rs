//! Aliases: a text that stands for the word with which a command begins.
//!
//! As POSIX wants it, the text takes the word's place before anything is read on, so that it may hold several words or
//! half a command; a name is not replaced again within its own text.

use super::super::syntax::Word;
use super::{Parsed, Parser, Token};
use crate::machinery::persistent::OrdMap;

/// Aliases with their texts.
pub type Aliases = OrdMap<String, String>;

/// How many are replaced in one script, and how long they may make it: each may hold others.
const REPLACED_MAX: usize = 1000;
const TEXT_MAX: usize = 1 << 20;

/// What is known of aliases while a text is read. Places are counted from the text's end, which stays where it is.
#[derive(Debug, Default)]
pub(super) struct Aliasing {
    pub known: Aliases,
    /// The names whose texts are being read, with where these end.
    within: Vec<(String, usize)>,
    replaced: usize,
    /// Where a text ended with a blank: the next word may be an alias, too.
    blank_at: Option<usize>,
}

impl Parser {
    /// Puts the texts of aliases in the places of their names, where a command begins.
    pub(super) fn expand_aliases(&mut self) -> Parsed<()> {
        if self.aliasing.known.is_empty() {
            return Ok(());
        }
        while self.expand_alias()? {}
        Ok(())
    }

    /// The same for the word behind an alias whose text ends with a blank.
    pub(super) fn expand_after_blank(&mut self) -> Parsed<()> {
        let Some(blank_at) = self.aliasing.blank_at else { return Ok(()) };
        if let Token::Word(word) = self.token()?
            && self.start_of(&word).is_some_and(|start| self.text.len() - start <= blank_at)
        {
            self.aliasing.blank_at = None;
            self.expand_aliases()?;
        }
        Ok(())
    }

    /// Where the word begins that was read last; nothing when it is not written as it reads.
    fn start_of(&self, word: &Word) -> Option<usize> {
        let name = word.literal()?;
        let start = self.at.checked_sub(name.chars().count())?;
        self.text[start..self.at].iter().copied().eq(name.chars()).then_some(start)
    }

    fn expand_alias(&mut self) -> Parsed<bool> {
        let Token::Word(word) = self.token()? else { return Ok(false) };
        let (Some(name), Some(start)) = (word.literal(), self.start_of(&word)) else { return Ok(false) };
        let Some(value) = self.aliasing.known.get(name).cloned() else { return Ok(false) };
        let left = self.text.len() - start;
        self.aliasing.within.retain(|(_, end)| left > *end);
        let is_within = self.aliasing.within.iter().any(|(known, _)| known == name);
        if is_within || self.aliasing.replaced >= REPLACED_MAX || self.text.len() + value.len() > TEXT_MAX {
            return Ok(false);
        }
        let end = self.text.len() - self.at;
        self.aliasing.replaced += 1;
        self.aliasing.within.push((name.to_owned(), end));
        if value.ends_with([' ', '\t']) {
            self.aliasing.blank_at = Some(end);
        }
        let (old, new) = (self.at - start, value.chars().count());
        self.text = self.text[..start]
            .iter()
            .copied()
            .chain(value.chars())
            .chain(self.text[self.at..].iter().copied())
            .collect();
        // What was seen of the text behind has moved.
        self.here = self.here.map(|(newline, resume)| (newline + new - old, resume + new - old));
        self.at = start;
        self.peeked = None;
        Ok(true)
    }
}
