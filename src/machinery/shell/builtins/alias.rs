//! `alias`, `unalias`, and of `shopt` what is about them.

use super::super::host::Flavor;
use super::super::io::CommandIo;
use super::super::shell::Shell;
use super::{complain, quoted};

/// An alias as it would be set.
pub(super) fn line(shell: &Shell, name: &str, text: &str) -> String {
    let command = if shell.flavor == Flavor::Bash { "alias " } else { "" };
    format!("{command}{name}={}", quoted(text))
}

/// `alias NAME=TEXT` sets one, `alias NAME` shows one, `alias` shows all.
pub(super) fn alias(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let mut words: Vec<&String> = arguments.iter().filter(|word| !matches!(word.as_str(), "-p" | "--")).collect();
    let all: Vec<String> = shell.aliases.keys().cloned().collect();
    if words.is_empty() {
        words = all.iter().collect();
    }
    let mut code = 0;
    for word in words {
        if let Some((name, text)) = word.split_once('=').filter(|(name, _)| !name.is_empty()) {
            shell.aliases.insert(name.to_owned(), text.to_owned());
        } else if let Some(text) = shell.aliases.get(word.as_str()) {
            io.out(&format!("{}\n", line(shell, word, text)));
        } else {
            missing(shell, io, "alias", word);
            code = 1;
        }
    }
    code
}

/// `unalias NAME…`, `unalias -a`.
pub(super) fn unalias(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    if arguments.first().is_some_and(|word| word == "-a") {
        shell.aliases.clear();
        return 0;
    }
    if arguments.is_empty() {
        complain(shell, io, "unalias", "usage: unalias [-a] name [name ...]");
        return 2;
    }
    let mut code = 0;
    for name in arguments {
        if shell.aliases.remove(name.as_str()).is_none() {
            missing(shell, io, "unalias", name);
            code = 1;
        }
    }
    code
}

fn missing(shell: &Shell, io: &mut CommandIo<'_>, builtin: &str, name: &str) {
    complain(shell, io, builtin, &format!("{name}: not found"));
}

/// `shopt -s expand_aliases`; other options say nothing here.
pub(super) fn shopt(shell: &mut Shell, _: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    if arguments.iter().any(|word| word == "expand_aliases") {
        shell.takes_aliases = !arguments.iter().any(|word| word == "-u");
    }
    0
}
