//! How a line can go on when Tab is pressed.

use std::collections::BTreeSet;

use crate::kubectl;
use crate::machinery::shell::files::{FileTree, normalise};
use crate::machinery::shell::{Aliases, utilities};
use crate::session::Session;

use super::Completion;

/// How many aliases stand for one another.
const ALIASES_MAX: usize = 8;

/// A line up to the cursor, and what the shell would make of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub text: &'a str,
    pub directory: &'a str,
    pub aliases: &'a Aliases,
}

/// How many possibilities are told.
const CHOICES_MAX: usize = 60;

/// Completes the last word of a line.
pub(super) fn complete(line: &Line<'_>, root: &FileTree, namespace: &str, session: &mut Session) -> Completion {
    let Line { text: line, directory, aliases } = *line;
    // What follows the last `|`, `;` or `&` is a command of its own.
    let start = line.rfind(['|', ';', '&', '(']).map_or(0, |at| at + 1);
    let words: Vec<&str> = line[start..].split_whitespace().collect();
    let last = if line.ends_with(char::is_whitespace) { "" } else { words.last().copied().unwrap_or("") };
    let before: Vec<&str> = words[..words.len() - usize::from(!last.is_empty())].to_vec();
    let before = meant(before, aliases);
    let found: BTreeSet<String> = match before.split_first() {
        None => {
            let names = commands().chain(aliases.keys().cloned());
            names.filter(|name| name.starts_with(last)).collect()
        }
        Some((&"kubectl", rest)) => {
            let owned: Vec<String> = rest.iter().map(|word| (*word).to_owned()).collect();
            match kubectl::complete(&owned, last, namespace, session) {
                Some(words) => words.into_iter().filter(|word| word.starts_with(last)).collect(),
                None => files(last, directory, root),
            }
        }
        Some(_) => files(last, directory, root),
    };
    let stem = line[..line.len() - last.len()].to_owned();
    let mut completed = stem + &common_start(&found, last);
    if found.len() == 1 && !completed.ends_with(['/', '=']) {
        completed.push(' ');
    }
    let choices = if found.len() > 1 { found.into_iter().take(CHOICES_MAX).collect() } else { Vec::new() };
    Completion { line: line.to_owned(), completed, choices }
}

/// The words with what an alias or a program that runs others stands before taken away: what is completed is the
/// command itself.
fn meant<'a>(words: Vec<&'a str>, aliases: &'a Aliases) -> Vec<&'a str> {
    let mut words = words;
    for _ in 0..ALIASES_MAX {
        let Some((first, rest)) = words.split_first() else { return words };
        if matches!(*first, "watch" | "time" | "sudo" | "do" | "then" | "else" | "!") {
            words = rest.iter().copied().skip_while(|word| word.starts_with('-')).collect();
        } else if let Some(text) = aliases.get(*first) {
            words = text.split_whitespace().chain(rest.iter().copied()).collect();
        } else {
            return words;
        }
    }
    words
}

/// The commands of the terminal that somebody may look for.
fn commands() -> impl Iterator<Item = String> {
    let names = [
        "alias", "awk", "base64", "cat", "cd", "clear", "column", "comm", "curl", "cut", "date", "diff", "echo",
        "edit", "env", "envsubst", "exit", "export", "find", "for", "grep", "head", "history", "jq", "kubectl", "less",
        "ls", "mkdir", "mv", "cp", "paste", "rm", "sed", "seq", "sh", "sleep", "sort", "tail", "tee", "touch", "tr",
        "unalias", "uniq", "unset", "vi", "watch", "wc", "wget", "while", "xargs",
    ];
    let is_there =
        |name: &&str| super::programs::find(name, &[]).is_some() || utilities::exists(name) || is_builtin(name);
    names.into_iter().filter(is_there).map(str::to_owned)
}

fn is_builtin(name: &str) -> bool {
    matches!(name, "alias" | "cd" | "exit" | "export" | "for" | "kubectl" | "sh" | "unalias" | "unset" | "while")
}

fn files(last: &str, directory: &str, root: &FileTree) -> BTreeSet<String> {
    let (folder, start) = last.rsplit_once('/').map_or(("", last), |(folder, start)| (folder, start));
    let path = normalise(if folder.is_empty() { "." } else { folder }, directory);
    let shown = |name: &String| name.starts_with(start) && (start.starts_with('.') || !name.starts_with('.'));
    let whole = |name: String| {
        let is_directory = root.get(&normalise(&name, &path)).is_some_and(|entry| entry.is_directory());
        let slash = if is_directory { "/" } else { "" };
        if folder.is_empty() && !last.starts_with('/') {
            format!("{name}{slash}")
        } else {
            format!("{folder}/{name}{slash}")
        }
    };
    root.names(&path).into_iter().filter(shown).map(whole).collect()
}

/// How far all possibilities agree; what was typed, when there are none.
fn common_start(found: &BTreeSet<String>, typed: &str) -> String {
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return typed.to_owned() };
    // In order, the first and the last differ the earliest.
    first.chars().zip(last.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}
