//! How a command line finds its command and reads its flags.
//!
//! Follows `github.com/spf13/cobra` as `k8s.io/kubectl/pkg/cmd/cmd.go` sets it up.

use super::cli::{Cli, Step};
use super::commands::{GLOBAL, ROOT};
use super::failure::Failure;
use super::flags::{self, Flag, Flags};

/// A command, or a group of them.
#[derive(Debug)]
pub(super) struct Command {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Its flags: those that it shares with others, and its own.
    pub flags: [&'static [&'static [Flag]]; 2],
    /// What it does.
    pub run: fn(&mut Cli<'_>) -> Result<Step, Failure>,
    /// The commands below it.
    pub commands: &'static [Self],
}

impl Command {
    pub(super) const fn new(name: &'static str, run: fn(&mut Cli<'_>) -> Result<Step, Failure>) -> Self {
        Self { name, aliases: &[], flags: [&[], &[]], run, commands: &[] }
    }

    pub(super) const fn flags(self, flags: &'static [&'static [Flag]]) -> Self {
        Self { flags: [flags, self.flags[1]], ..self }
    }

    /// The same with flags of its own.
    pub(super) const fn and(self, own: &'static [&'static [Flag]]) -> Self {
        Self { flags: [self.flags[0], own], ..self }
    }

    /// Its flags without those of every command.
    pub(super) fn own_flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.into_iter().flatten().copied().flatten()
    }

    pub(super) const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    pub(super) const fn commands(self, commands: &'static [Self]) -> Self {
        Self { commands, ..self }
    }

    /// Its own flags, then those of every command.
    fn all_flags(&self) -> Vec<Flag> {
        self.own_flags().chain(GLOBAL).copied().collect()
    }

    /// The command below it of a name.
    pub(super) fn child(&self, name: &str) -> Option<&'static Self> {
        self.commands.iter().find(|command| command.name == name || command.aliases.contains(&name))
    }
}

/// A command line whose command was found.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    /// The command.
    pub command: &'static Command,
    /// Its full name, such as `kubectl rollout status`.
    pub path: String,
    /// The line as it was typed.
    pub line: String,
    /// The flags.
    pub flags: Flags,
    /// All other words behind the command's name.
    pub arguments: Vec<String>,
    /// How many of them stand before `--`, where there is one.
    pub dash: Option<usize>,
}

/// Finds the command of a command line and reads its flags.
pub(super) fn parse(words: &[String]) -> Result<Parsed, Failure> {
    let mut words = words.to_vec();
    let mut command = &ROOT;
    let mut path = "kubectl".to_owned();
    let line = std::iter::once("kubectl").chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    while let Some(at) = first_argument(&words, &command.all_flags()) {
        let Some(child) = command.child(&words[at]) else { break };
        words.remove(at);
        command = child;
        path = format!("{path} {}", child.name);
    }
    let known = command.all_flags();
    if std::ptr::eq(command, &raw const ROOT)
        && let Some(at) = first_argument(&words, &known)
    {
        return Err(unknown_command(&words[at]));
    }
    let (flags, arguments, dash) = flags::parse(&words, &known, &path)?;
    Ok(Parsed { command, path, line, flags, arguments, dash })
}

/// The command that a line has come to, and the words that are left for it.
pub(super) fn deepest(words: &[String]) -> (&'static Command, Vec<String>) {
    let mut words = words.to_vec();
    let mut command = &ROOT;
    while let Some(at) = first_argument(&words, &command.all_flags()) {
        let Some(child) = command.child(&words[at]) else { break };
        words.remove(at);
        command = child;
    }
    (command, words)
}

/// The names of a command's flags.
pub(super) fn flag_names(command: &Command) -> impl Iterator<Item = &'static str> {
    command.all_flags().into_iter().map(|flag| flag.name)
}

/// Whether a flag of a command takes the next word as its value.
pub(super) fn takes_value(command: &Command, name: &str) -> bool {
    command.all_flags().iter().any(|flag| flag.name == name && flag.implied.is_none())
}

/// Where the first word stands that is neither a flag nor a flag's value.
fn first_argument(words: &[String], known: &[Flag]) -> Option<usize> {
    let mut skip = false;
    for (at, word) in words.iter().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        if word == "--" {
            return None;
        }
        let takes_word = |flag: &Flag| flag.implied.is_none();
        if let Some(name) = word.strip_prefix("--") {
            skip = !name.contains('=') && known.iter().find(|flag| flag.name == name).is_some_and(takes_word);
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let mut letters = letters.chars();
            let first = letters.next();
            let flag = known.iter().find(|flag| flag.short == first && first.is_some());
            skip = letters.next().is_none() && flag.is_some_and(takes_word);
        } else {
            return Some(at);
        }
    }
    None
}

fn unknown_command(name: &str) -> Failure {
    let mut text = format!("unknown command {name:?} for \"kubectl\"");
    let close = ROOT.commands.iter().filter(|command| {
        distance(name, command.name) <= 2 || command.name.to_lowercase().starts_with(&name.to_lowercase())
    });
    let close: Vec<&str> = close.map(|command| command.name).collect();
    if !close.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        for name in close {
            text.push_str(&format!("\t{name}\n"));
        }
    }
    Failure::Message(text)
}

/// The edit distance of two words, in ordinary letters: cobra's `ld`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Parsed {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words).unwrap_or_else(|failure| panic!("{line}: {}", failure.text()))
    }

    #[test]
    fn flags_may_stand_anywhere_and_take_values_in_every_form() {
        let line = parsed("-n a rollout --namespace=b status -w=false deploy/web --timeout 5s");
        assert_eq!(line.path, "kubectl rollout status");
        assert_eq!(line.flags.text("namespace"), "b");
        assert!(!line.flags.is("watch", true));
        assert_eq!(line.flags.duration("timeout"), Some(std::time::Duration::from_secs(5)));
        assert_eq!(line.arguments, ["deploy/web"]);
    }

    #[test]
    fn letters_may_stand_together_and_two_dashes_end_the_flags() {
        let line = parsed("get pods -Aowide");
        assert!(line.flags.is("all-namespaces", false));
        assert_eq!(line.flags.text("output"), "wide");
        let line = parsed("create deployment d --image=a -- x --image=b");
        assert_eq!(line.arguments, ["d", "x", "--image=b"]);
        assert_eq!(line.dash, Some(1));
    }

    #[test]
    fn a_word_that_is_no_command_is_told_its_neighbours() {
        let failure = parse(&["gte".to_owned()]).expect_err("no command");
        assert_eq!(failure.text(), "error: unknown command \"gte\" for \"kubectl\"\n\nDid you mean this?\n\tget\n");
    }
}
