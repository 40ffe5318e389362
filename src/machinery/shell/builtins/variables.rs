//! Builtins that make, mark and take away variables, and the shell's own options.

use super::super::expand::set_variable;
use super::super::host::Flavor;
use super::super::io::CommandIo;
use super::super::parser::is_name;
use super::super::shell::{Frame, Shell, Variable};
use super::complain;

pub(super) fn export(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let keep = arguments.first().is_none_or(|argument| argument != "-n");
    let names: Vec<&String> =
        arguments.iter().filter(|argument| !matches!(argument.as_str(), "-p" | "-n" | "--")).collect();
    if names.is_empty() {
        let lines: String =
            io.environment().iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect();
        io.out(&lines);
        return 0;
    }
    change_variables(shell, io, "export", &names, |variable| variable.exported = keep)
}

pub(super) fn readonly(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    change_variables(shell, io, "readonly", &names, |variable| variable.read_only = true)
}

fn change_variables(
    shell: &mut Shell,
    io: &mut CommandIo<'_>,
    builtin: &str,
    arguments: &[&String],
    change: impl Fn(&mut Variable),
) -> i32 {
    let mut code = 0;
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument.as_str(), None),
        };
        if !is_name(name) {
            let message = if shell.flavor == Flavor::Bash {
                format!("`{argument}': not a valid identifier")
            } else {
                format!("{name}: bad variable name")
            };
            complain(shell, io, builtin, &message);
            code = if shell.flavor == Flavor::Bash { 1 } else { 2 };
            continue;
        }
        if let Some(value) = value
            && let Err(message) = set_variable(shell, io, name, value.to_owned())
        {
            complain(shell, io, builtin, &message);
            code = 2;
            continue;
        }
        if value.is_none() && !io.process.variables.contains_key(name) {
            continue;
        }
        if let Some(held) = io.process.variables.get_mut(name) {
            change(held);
        }
    }
    code
}

pub(super) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

pub(super) fn declare(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let flags: String = arguments.iter().filter(|argument| argument.starts_with('-')).cloned().collect();
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    remember_locals(shell, io, &names);
    change_variables(shell, io, "declare", &names, |variable| {
        variable.exported |= flags.contains('x');
        variable.read_only |= flags.contains('r');
    })
}

pub(super) fn local(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    if !shell.frames.iter().any(|frame| matches!(frame, Frame::Call { .. })) {
        let text = if shell.flavor == Flavor::Bash { "can only be used in a function" } else { "not in a function" };
        complain(shell, io, "local", text);
        return 1;
    }
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    remember_locals(shell, io, &names);
    for name in names.iter().filter(|name| !name.contains('=')) {
        io.process.variables.remove(name.as_str());
    }
    change_variables(shell, io, "local", &names, |_| {})
}

fn remember_locals(shell: &mut Shell, io: &CommandIo<'_>, names: &[&String]) {
    let call = shell.frames.iter_mut().rev().find_map(|frame| match frame {
        Frame::Call { locals, .. } => Some(locals),
        _ => None,
    });
    if let Some(locals) = call {
        for name in names {
            let name = name.split('=').next().unwrap_or_default();
            if !locals.iter().any(|(held, _)| held == name) {
                locals.push((name.to_owned(), io.process.variables.get(name).cloned()));
            }
        }
    }
}

pub(super) fn unset(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let functions = arguments.first().is_some_and(|argument| argument == "-f");
    for name in arguments.iter().filter(|argument| !argument.starts_with('-')) {
        if functions {
            shell.functions.remove(name);
        } else if io.process.variables.get(name).is_some_and(|held| held.read_only) {
            complain(shell, io, "unset", &format!("{name}: is read only"));
            return 1;
        } else if io.process.variables.remove(name).is_none() {
            shell.functions.remove(name);
        }
    }
    0
}

pub(super) fn set(shell: &mut Shell, io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    if arguments.is_empty() {
        let lines: String =
            io.process.variables.iter().map(|(name, held)| format!("{name}={}\n", quoted(&held.value))).collect();
        io.out(&lines);
        return 0;
    }
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        let on = argument.starts_with('-');
        let Some(letters) = argument.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty()) else {
            break;
        };
        at += 1;
        if letters == "-" {
            shell.positional = arguments[at..].to_vec();
            return 0;
        }
        for letter in letters.chars() {
            let known = if letter == 'o' {
                let option = arguments.get(at).cloned().unwrap_or_default();
                at += 1;
                option.is_empty() || shell.options.set_long(&option, on)
            } else {
                shell.options.set_letter(letter, on)
            };
            if !known {
                complain(shell, io, "set", &format!("illegal option {argument}"));
                return 2;
            }
        }
    }
    if at < arguments.len() {
        shell.positional = arguments[at..].to_vec();
    }
    0
}
