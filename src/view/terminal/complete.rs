//! How a line can go on when Tab is pressed.

use std::collections::BTreeSet;

use crate::kubectl;
use crate::machinery::shell::files::{FileTree, normalise};
use crate::machinery::shell::utilities;
use crate::session::Session;

use super::Completion;

/// How many possibilities are told.
const CHOICES_MAX: usize = 60;

/// Completes the last word of a line.
pub(super) fn complete(
    line: &str,
    directory: &str,
    root: &FileTree,
    namespace: &str,
    session: &mut Session,
) -> Completion {
    // What follows the last `|`, `;` or `&` is a command of its own.
    let start = line.rfind(['|', ';', '&', '(']).map_or(0, |at| at + 1);
    let words: Vec<&str> = line[start..].split_whitespace().collect();
    let last = if line.ends_with(char::is_whitespace) { "" } else { words.last().copied().unwrap_or("") };
    let before = &words[..words.len() - usize::from(!last.is_empty())];
    let found: BTreeSet<String> = match before.split_first() {
        None => commands().filter(|name| name.starts_with(last)).collect(),
        Some((&("kubectl" | "k"), rest)) => {
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

/// The commands of the terminal that somebody may look for.
fn commands() -> impl Iterator<Item = String> {
    let names = [
        "alias", "awk", "cat", "cd", "clear", "curl", "cut", "date", "echo", "edit", "env", "exit", "export", "find",
        "for", "grep", "head", "history", "kubectl", "ls", "mkdir", "mv", "cp", "rm", "sed", "seq", "sh", "sleep",
        "sort", "tail", "tee", "touch", "tr", "uniq", "vi", "watch", "wc", "wget", "while", "xargs",
    ];
    let is_there =
        |name: &&str| super::programs::find(name, &[]).is_some() || utilities::exists(name) || is_builtin(name);
    names.into_iter().filter(is_there).map(str::to_owned)
}

fn is_builtin(name: &str) -> bool {
    matches!(name, "alias" | "cd" | "exit" | "export" | "for" | "kubectl" | "sh" | "while")
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
