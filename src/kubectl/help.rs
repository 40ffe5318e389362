//! `--help`, in our own words.

use std::fmt::Write as _;

use super::PLUGINS;
use super::cli::{Cli, Step};
use super::command::Command;
use super::commands::{GLOBAL, ROOT};
use super::failure::Failure;
use super::flags::{Flag, FlagKind};
use super::tabwriter::TabWriter;

/// What commands do: the words behind `kubectl`, a sentence, how they are called, and examples. In a file of its own, a
/// command a paragraph.
const COMMANDS: &str = include_str!("help/commands.txt");
/// What flags mean, a flag a line.
const FLAGS: &str = include_str!("help/flags.txt");

/// A command's paragraph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct About {
    sentence: &'static str,
    usage: &'static str,
    examples: &'static str,
}

fn about(path: &str) -> About {
    let name = path.strip_prefix("kubectl").unwrap_or(path).trim();
    let paragraphs = COMMANDS.split("\n\n").filter_map(|paragraph| paragraph.split_once('\n'));
    let found = paragraphs.into_iter().find(|(first, _)| *first == name);
    let Some((_, rest)) = found else { return About::default() };
    let (sentence, rest) = rest.split_once('\n').unwrap_or((rest, ""));
    let (usage, examples) = rest.split_once('\n').unwrap_or((rest, ""));
    About { sentence: sentence.trim(), usage: usage.trim(), examples }
}

fn flag_words(name: &str) -> &'static str {
    FLAGS
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .find(|(known, _)| *known == name)
        .map_or("", |(_, words)| words)
}

/// Shows what the command does.
pub(super) fn show(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    show_text(cli);
    Ok(Step::Done)
}

/// Puts the command's help on standard output, before something else is said.
pub(super) fn show_text(cli: &mut Cli<'_>) {
    let text = of(cli.parsed.command, &cli.parsed.path);
    cli.out.push_str(&text);
}

/// Runs a command that is only there for those below it: `DefaultSubCommandRun`.
pub(super) fn group(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if let Some(words) = Some(cli.arguments()).filter(|words| !words.is_empty()) {
        return Err(cli.usage(&format!("unknown command {:?}", words.join(" "))));
    }
    if cli.parsed.command.name == "rollout" {
        show_text(cli);
        return Err(Failure::Silent);
    }
    let text = of(cli.parsed.command, &cli.parsed.path);
    cli.complain(text.trim_end());
    Err(Failure::Silent)
}

/// Runs `kubectl help`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let mut command: &Command = &ROOT;
    let mut path = "kubectl".to_owned();
    for word in cli.arguments() {
        let Some(child) = command.child(word) else {
            // Behind a command's name further words mean nothing.
            if std::ptr::eq(command, &raw const ROOT) {
                let topic = cli.arguments().join("` `");
                cli.complain(&format!("Unknown help topic [`{topic}`]\n{}", of(&ROOT, "kubectl").trim_end()));
                return Ok(Step::Done);
            }
            break;
        };
        command = child;
        path = format!("{path} {}", child.name);
    }
    let text = of(command, &path);
    cli.out.push_str(&text);
    Ok(Step::Done)
}

/// Runs `kubectl options`.
pub(super) fn options(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let text = format!("These flags can be given to every command:\n\n{}", flags(GLOBAL.iter()));
    cli.out.push_str(&text);
    Ok(Step::Done)
}

/// Runs `kubectl completion`.
pub(super) fn completion(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    const SHELLS: [&str; 4] = ["bash", "zsh", "fish", "powershell"];
    match cli.arguments() {
        [] => Err(cli.usage("Shell not specified.")),
        [shell] if SHELLS.contains(&shell.as_str()) => {
            cli.say("# Nothing to do here: this shell completes kubectl's words by itself, with the Tab key.");
            cli.say(&format!("# On your own machine: source <(kubectl completion {shell})"));
            Ok(Step::Done)
        }
        [shell] => Err(cli.usage(&format!("Unsupported shell type {shell:?}."))),
        _ => Err(cli.usage("Too many arguments. Expected only the shell type.")),
    }
}

/// Runs `kubectl plugin list`.
pub(super) fn plugins(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let folder = if cli.flags().is("name-only", false) { "" } else { "/usr/bin/" };
    cli.say("The following compatible plugins are available:\n");
    PLUGINS.iter().for_each(|name| cli.say(&format!("{folder}kubectl-{name}")));
    Ok(Step::Done)
}

fn of(command: &Command, path: &str) -> String {
    let about = about(path);
    let mut text = format!("{}\n", about.sentence);
    // Writing into a string cannot fail.
    if !command.commands.is_empty() {
        text.push_str("\nCommands:\n");
        let mut rows = String::new();
        for child in command.commands {
            let _ = writeln!(rows, "  {}\t{}", child.name, self::about(&format!("{path} {}", child.name)).sentence);
        }
        text.push_str(&TabWriter::DESCRIPTION.format(&rows));
    }
    if !command.aliases.is_empty() {
        let _ = write!(text, "\nAliases:\n  {}, {}\n", command.name, command.aliases.join(", "));
    }
    if !about.examples.trim().is_empty() {
        let _ = write!(text, "\nExamples:\n{}\n", about.examples.trim_end());
    }
    let own: Vec<&Flag> = command.own_flags().collect();
    if !own.is_empty() {
        let _ = write!(text, "\nFlags:\n{}", flags(own.into_iter()));
    }
    let usage = if about.usage.is_empty() { "[flags]" } else { about.usage };
    let _ = write!(text, "\nUsage:\n  {path} {usage}\n\nUse \"kubectl options\" for flags of all commands.\n");
    text
}

/// A table of flags with what they mean.
fn flags<'a>(flags: impl Iterator<Item = &'a Flag>) -> String {
    let mut flags: Vec<&Flag> = flags.collect();
    flags.sort_by_key(|flag| flag.name);
    let mut rows = String::new();
    for flag in flags {
        let short = flag.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let value = match flag.kind {
            FlagKind::Bool => "",
            FlagKind::Text => "=TEXT",
            FlagKind::Texts => "=TEXT,…",
            FlagKind::Pairs | FlagKind::Map => "=KEY=VALUE,…",
            FlagKind::Integer => "=NUMBER",
            FlagKind::Duration => "=DURATION",
        };
        // Writing into a string cannot fail.
        let _ = writeln!(rows, "  {short}--{}{value}\t{}", flag.name, flag_words(flag.name));
    }
    TabWriter::DESCRIPTION.format(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(command: &'static Command, path: &str, visit: &mut dyn FnMut(&'static Command, &str)) {
        visit(command, path);
        for child in command.commands {
            every(child, &format!("{path} {}", child.name), visit);
        }
    }

    #[test]
    fn every_command_and_every_flag_says_what_it_is_for() {
        let mut silent = Vec::new();
        every(&ROOT, "kubectl", &mut |command, path| {
            if about(path).sentence.is_empty() {
                silent.push(path.to_owned());
            }
            for flag in command.own_flags().chain(GLOBAL) {
                if flag_words(flag.name).is_empty() {
                    silent.push(format!("--{}", flag.name));
                }
            }
        });
        silent.sort();
        silent.dedup();
        assert!(silent.is_empty(), "{silent:?}");
    }

    #[test]
    fn help_shows_usage_flags_and_examples() {
        let text = of(ROOT.child("scale").expect("there is such a command"), "kubectl scale");
        assert!(text.contains("\nUsage:\n  kubectl scale "), "{text}");
        assert!(text.contains("--replicas=NUMBER") && text.contains("\nExamples:\n"), "{text}");
    }
}
