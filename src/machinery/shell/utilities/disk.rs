//! Utilities that work on files.

use super::super::files::{FileEntry, FileError, FileKind, WriteAt, base_name, parent};
use super::super::io::CommandIo;
use super::{Arguments, parse_size};

/// How deep `rm -r`, `cp -r` and `du` go.
const DEPTH_MAX: u32 = 100;

/// Does `work` with each path; the exit code of the whole.
fn each(
    io: &mut CommandIo<'_>,
    paths: &[String],
    mut work: impl FnMut(&mut CommandIo<'_>, &str) -> Result<(), String>,
) -> i32 {
    let mut code = 0;
    for path in paths {
        if let Err(message) = work(io, path) {
            io.complain(&message);
            code = 1;
        }
    }
    if !paths.is_empty() {
        io.table.files_changed = true;
    }
    code
}

fn needs(io: &mut CommandIo<'_>, parsed: &Arguments, least: usize) -> bool {
    let missing = parsed.rest.len() < least;
    if missing {
        io.complain("missing operand");
    }
    missing
}

/// `touch`.
pub(super) fn touch(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "d t r");
    each(io, &parsed.rest, |io, name| {
        let path = io.path(name);
        io.files(|files| match files.stat(&path, true) {
            Ok(entry) if entry.is_directory() => Ok(()),
            Err(FileError::NotFound) if parsed.has("c") => Ok(()),
            _ => files.write(&path, b"", WriteAt::End),
        })
        .map_err(|error| format!("{name}: {error}"))
    })
}

/// `mkdir`.
pub(super) fn mkdir(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "m mode");
    if needs(io, &parsed, 1) {
        return 1;
    }
    each(io, &parsed.rest, |io, name| {
        let path = io.path(name);
        make_directory(io, &path, parsed.has("p parents"))
            .map_err(|error| format!("can't create directory '{name}': {error}"))
    })
}

fn make_directory(io: &mut CommandIo<'_>, path: &str, parents: bool) -> Result<(), FileError> {
    if !parents {
        return io.files(|files| files.make_directory(path));
    }
    let mut at = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        at.push('/');
        at.push_str(part);
        io.files(|files| match files.stat(&at, true) {
            Ok(entry) if entry.is_directory() => Ok(()),
            Ok(_) => Err(FileError::Exists),
            Err(_) => files.make_directory(&at),
        })?;
    }
    Ok(())
}

/// `rmdir`.
pub(super) fn rmdir(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "");
    each(io, &parsed.rest, |io, name| {
        let path = io.path(name);
        let is_directory = io.files(|files| files.stat(&path, false)).is_ok_and(|entry| entry.is_directory());
        let result = if is_directory { io.files(|files| files.remove(&path)) } else { Err(FileError::NotDirectory) };
        result.map_err(|error| format!("'{name}': {error}"))
    })
}

/// `rm`.
pub(super) fn rm(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "");
    let (force, recursive) = (parsed.has("f force"), parsed.has("r R recursive"));
    if !force && needs(io, &parsed, 1) {
        return 1;
    }
    each(io, &parsed.rest, |io, name| {
        let path = io.path(name);
        match io.files(|files| files.stat(&path, false)) {
            Err(FileError::NotFound) if force => Ok(()),
            Err(error) => Err(format!("can't remove '{name}': {error}")),
            Ok(entry) if entry.is_directory() && !recursive => Err(format!("'{name}' is a directory")),
            Ok(_) => remove(io, &path, 0).map_err(|error| format!("can't remove '{name}': {error}")),
        }
    })
}

fn remove(io: &mut CommandIo<'_>, path: &str, depth: u32) -> Result<(), FileError> {
    if depth < DEPTH_MAX && io.files(|files| files.stat(path, false))?.is_directory() {
        for name in io.files(|files| files.list(path))? {
            remove(io, &join(path, &name), depth + 1)?;
        }
    }
    io.files(|files| files.remove(path))
}

fn join(directory: &str, name: &str) -> String {
    if directory == "/" { format!("/{name}") } else { format!("{directory}/{name}") }
}

/// Where `cp`, `mv` and `ln` put each of their sources.
fn targets(io: &mut CommandIo<'_>, names: &[String]) -> Option<Vec<(String, String)>> {
    let (last, sources) = names.split_last().filter(|(_, sources)| !sources.is_empty())?;
    let target = io.path(last);
    let into = io.files(|files| files.stat(&target, true)).is_ok_and(|entry| entry.is_directory());
    let place = |source: &String| {
        let at = if into { join(&target, base_name(source)) } else { target.clone() };
        (source.clone(), at)
    };
    Some(sources.iter().map(place).collect())
}

/// `cp`.
pub(super) fn cp(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "t");
    let recursive = parsed.has("r R a recursive archive");
    let Some(pairs) = targets(io, &parsed.rest) else {
        io.complain("missing operand");
        return 1;
    };
    let mut code = 0;
    for (name, to) in pairs {
        let from = io.path(&name);
        let entry = io.files(|files| files.stat(&from, true));
        let result = match entry {
            Err(error) => Err(format!("can't stat '{name}': {error}")),
            Ok(entry) if entry.is_directory() && !recursive => Err(format!("omitting directory '{name}'")),
            Ok(_) if to.starts_with(&format!("{from}/")) => {
                Err(format!("recursion detected, omitting directory '{name}'"))
            }
            Ok(_) => copy(io, &from, &to, 0).map_err(|error| format!("can't create '{to}': {error}")),
        };
        if let Err(message) = result {
            io.complain(&message);
            code = 1;
        }
    }
    io.table.files_changed = true;
    code
}

fn copy(io: &mut CommandIo<'_>, from: &str, to: &str, depth: u32) -> Result<(), FileError> {
    let entry = io.files(|files| files.stat(from, true))?;
    if entry.is_directory() && depth < DEPTH_MAX {
        if io.files(|files| files.stat(to, true)).is_err() {
            io.files(|files| files.make_directory(to))?;
        }
        for name in io.files(|files| files.list(from))? {
            copy(io, &join(from, &name), &join(to, &name), depth + 1)?;
        }
        return Ok(());
    }
    let FileKind::File(bytes, zeros) = entry.kind else {
        return Ok(());
    };
    io.files(|files| {
        files.write(to, &bytes, WriteAt::Start)?;
        files.extend(to, zeros)?;
        files.set_mode(to, entry.mode)
    })
}

/// `mv`.
pub(super) fn mv(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "t");
    let Some(pairs) = targets(io, &parsed.rest) else {
        io.complain("missing operand");
        return 1;
    };
    let mut code = 0;
    for (name, to) in pairs {
        let from = io.path(&name);
        if let Err(error) = io.files(|files| files.rename(&from, &to)) {
            io.complain(&format!("can't rename '{name}': {error}"));
            code = 1;
        }
    }
    io.table.files_changed = true;
    code
}

/// `ln`; hard links become symbolic ones.
pub(super) fn ln(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "t");
    let Some(pairs) = targets(io, &parsed.rest) else {
        io.complain("missing operand");
        return 1;
    };
    let mut code = 0;
    for (name, at) in pairs {
        if parsed.has("f") {
            let _ = io.files(|files| files.remove(&at));
        }
        let target = if parsed.has("s") { name.clone() } else { io.path(&name) };
        if let Err(error) = io.files(|files| files.make_link(&at, &target)) {
            io.complain(&format!("{at}: {error}"));
            code = 1;
        }
    }
    code
}

/// `chmod`.
pub(super) fn chmod(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    // `-x` is a mode here; only `-R` and `-v` are options.
    let words: Vec<String> =
        arguments.iter().filter(|word| !matches!(word.as_str(), "-R" | "-v" | "-f")).cloned().collect();
    let Some((mode, paths)) = words.split_first() else {
        io.complain("missing operand");
        return 1;
    };
    each(io, paths, |io, name| {
        let path = io.path(name);
        let entry = io.files(|files| files.stat(&path, true)).map_err(|error| format!("{name}: {error}"))?;
        let bits = new_mode(mode, entry.mode).ok_or_else(|| format!("invalid mode '{mode}'"))?;
        io.files(|files| files.set_mode(&path, bits)).map_err(|error| format!("{name}: {error}"))
    })
}

fn new_mode(mode: &str, old: u32) -> Option<u32> {
    if let Ok(bits) = u32::from_str_radix(mode, 8) {
        return Some(bits & 0o7777);
    }
    let mut bits = old;
    for clause in mode.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let who = clause[..at].chars().fold(0, |mask, c| {
            mask | match c {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                _ => 0o777,
            }
        });
        let who = if at == 0 { 0o777 } else { who };
        let what = clause[at + 1..].chars().fold(0, |mask, c| {
            mask | match c {
                'r' => 0o444,
                'w' => 0o222,
                'x' | 'X' => 0o111,
                _ => 0,
            }
        });
        bits = match &clause[at..=at] {
            "+" => bits | (who & what),
            "-" => bits & !(who & what),
            _ => (bits & !who) | (who & what),
        };
    }
    Some(bits)
}

/// `truncate -s SIZE` and `fallocate -l SIZE`.
pub(super) fn truncate(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "s l o size length");
    let size = parsed.value("s l size length").and_then(parse_size);
    let Some(size) = size else {
        io.complain("you must specify a length");
        return 1;
    };
    each(io, &parsed.rest, |io, name| {
        let path = io.path(name);
        let held = io.files(|files| files.stat(&path, true)).map_or(0, |entry| entry.size());
        io.files(|files| {
            if held <= size {
                return files.extend(&path, size - held);
            }
            let bytes = files.read(&path)?;
            let kept = bytes.len().min(usize::try_from(size).unwrap_or(usize::MAX));
            files.write(&path, &bytes[..kept], WriteAt::Start)?;
            files.extend(&path, size - kept as u64)
        })
        .map_err(|error| format!("{name}: {error}"))
    })
}

/// `mktemp`.
pub(super) fn mktemp(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "p");
    let directory = parsed.value("p").unwrap_or("/tmp").to_owned();
    let template = parsed.rest.first().cloned().unwrap_or_else(|| format!("{directory}/tmp.XXXXXX"));
    let letters = "abcdefghijkmnpqrstuvwxyzABCDEFGH";
    let random: String = (0..6).map(|_| char::from(letters.as_bytes()[(io.host.random() % 32) as usize])).collect();
    let name = format!("{}{random}", template.trim_end_matches('X'));
    let path = io.path(&name);
    let made =
        io.files(
            |files| {
                if parsed.has("d") { files.make_directory(&path) } else { files.write(&path, b"", WriteAt::Start) }
            },
        );
    match made {
        Ok(()) => super::basic::print(io, &name),
        Err(error) => {
            io.complain(&format!("{name}: {error}"));
            1
        }
    }
}

/// `readlink` and `realpath`.
pub(super) fn readlink(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "");
    let resolves = parsed.has("f e") || io.name() == "realpath";
    let mut code = 0;
    for name in &parsed.rest {
        let path = io.path(name);
        match io.files(|files| files.stat(&path, false)).map(|entry| entry.kind) {
            Ok(FileKind::Link(target)) if resolves => {
                let target = super::super::files::normalise(&target, parent(&path));
                super::basic::print(io, &target);
            }
            Ok(FileKind::Link(target)) => drop(super::basic::print(io, &target)),
            Ok(_) if resolves => drop(super::basic::print(io, &path)),
            _ => code = 1,
        }
    }
    code
}

fn permissions(entry: &FileEntry) -> String {
    let kind = match entry.kind {
        FileKind::Directory => 'd',
        FileKind::Link(_) => 'l',
        FileKind::File(..) if entry.mode & 0o170_000 == 0o060_000 => 'b',
        FileKind::File(..) => '-',
    };
    let bit = |index: u32| {
        let is_set = entry.mode & (1 << (8 - index)) != 0;
        match index {
            // Who is in the group stays in the group with what is made there.
            5 if entry.mode & 0o2000 != 0 => {
                if is_set {
                    's'
                } else {
                    'S'
                }
            }
            8 if entry.mode & 0o1000 != 0 => {
                if is_set {
                    't'
                } else {
                    'T'
                }
            }
            _ if is_set => char::from(b"rwx"[index as usize % 3]),
            _ => '-',
        }
    };
    std::iter::once(kind).chain((0..9).map(bit)).collect()
}

fn human(size: u64) -> String {
    let units = ["", "K", "M", "G", "T"];
    let mut unit = 0;
    let mut value = size as f64;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { size.to_string() } else { format!("{value:.1}{}", units[unit]) }
}

/// `ls`.
pub(super) fn ls(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "");
    let names = if parsed.rest.is_empty() { vec![".".to_owned()] } else { parsed.rest.clone() };
    let (mut code, mut text, mut directories) = (0, String::new(), Vec::new());
    for name in &names {
        let path = io.path(name);
        match io.files(|files| files.stat(&path, !parsed.has("l n"))) {
            Ok(entry) if entry.is_directory() && !parsed.has("d") => directories.push((name.clone(), path)),
            Ok(entry) => text.push_str(&row(io, &parsed, name, &path, &entry)),
            Err(error) => {
                io.complain(&format!("{name}: {error}"));
                code = 1;
            }
        }
    }
    let (several, mut first) = (names.len() > 1 || parsed.has("R"), text.is_empty());
    while !directories.is_empty() {
        let (name, path) = directories.remove(0);
        if several {
            text.push_str(&format!("{}{name}:\n", if first { "" } else { "\n" }));
        }
        first = false;
        let held = io.files(|files| files.list(&path)).unwrap_or_default();
        let mut shown: Vec<String> =
            held.into_iter().filter(|name| parsed.has("a A") || !name.starts_with('.')).collect();
        if parsed.has("a") {
            shown.splice(0..0, [".".to_owned(), "..".to_owned()]);
        }
        if parsed.has("r") {
            shown.reverse();
        }
        if parsed.has("l n") {
            text.push_str(&format!("total {}\n", shown.len() * 4));
        }
        for entry_name in shown {
            let entry_path = super::super::files::normalise(&entry_name, &path);
            let Ok(entry) = io.files(|files| files.stat(&entry_path, false)) else {
                continue;
            };
            text.push_str(&row(io, &parsed, &entry_name, &entry_path, &entry));
            let inner = entry.is_directory() && !entry_name.starts_with('.');
            if parsed.has("R") && inner && directories.len() < 1000 {
                directories.push((format!("{name}/{entry_name}"), entry_path));
            }
        }
    }
    io.out(&text);
    code
}

fn row(io: &mut CommandIo<'_>, parsed: &Arguments, name: &str, path: &str, entry: &FileEntry) -> String {
    if !(parsed.has("l n")) {
        return format!("{name}\n");
    }
    let (user, group) = owner_names(io, entry, parsed.has("n"));
    let size = if parsed.has("h") { human(entry.size()) } else { entry.size().to_string() };
    let time = super::date::format(entry.modified, "%b %e %H:%M");
    let arrow = match io.files(|files| files.stat(path, false)).map(|entry| entry.kind) {
        Ok(FileKind::Link(target)) => format!(" -> {target}"),
        _ => String::new(),
    };
    let links = if entry.is_directory() { 2 } else { 1 };
    format!("{}    {links} {user:<8} {group:<8}  {size:>9} {time} {name}{arrow}\n", permissions(entry))
}

/// Whom a file belongs to, by the names that are known.
fn owner_names(io: &CommandIo<'_>, entry: &FileEntry, as_numbers: bool) -> (String, String) {
    let own = io.host.user();
    let user = match (entry.owner.user, own.name) {
        (id, _) if as_numbers => id.to_string(),
        (0, _) => "root".to_owned(),
        (id, Some(name)) if i64::from(id) == own.id => name,
        (id, _) => id.to_string(),
    };
    let is_root = entry.owner.group == 0 && !as_numbers;
    (user, if is_root { "root".to_owned() } else { entry.owner.group.to_string() })
}

/// `chown` and `chgrp`, of numbers and root.
pub(super) fn chown(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let is_deep = arguments.iter().any(|word| word == "-R");
    let words: Vec<String> = arguments.iter().filter(|word| !word.starts_with('-')).cloned().collect();
    let Some((who, paths)) = words.split_first() else {
        io.complain("missing operand");
        return 1;
    };
    let (user, group) = match who.split_once([':', '.']) {
        Some((user, group)) => (Some(user), Some(group)),
        None if io.name() == "chgrp" => (None, Some(who.as_str())),
        None => (Some(who.as_str()), None),
    };
    // Who has a name only is somebody whose number nobody here knows.
    let number = |name: Option<&str>| name.and_then(|name| if name == "root" { Some(0) } else { name.parse().ok() });
    let (user, group) = (number(user), number(group));
    each(io, paths, |io, name| {
        let mut left = vec![io.path(name)];
        while let Some(path) = left.pop() {
            let changed = io.files(|files| files.set_owner(&path, user, group));
            changed.map_err(|error| format!("{name}: {error}"))?;
            let is_directory = io.files(|files| files.stat(&path, false)).is_ok_and(|entry| entry.is_directory());
            if is_deep && is_directory {
                let names = io.files(|files| files.list(&path)).unwrap_or_default();
                left.extend(names.iter().map(|inner| join(&path, inner)));
            }
        }
        Ok(())
    })
}

/// `stat`.
pub(super) fn stat(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "c format");
    let format = parsed.value("c format").map(str::to_owned);
    let mut text = String::new();
    let code = each(io, &parsed.rest, |io, name| {
        let path = io.path(name);
        let entry =
            io.files(|files| files.stat(&path, false)).map_err(|error| format!("can't stat '{name}': {error}"))?;
        let kind = if entry.is_directory() { "directory" } else { "regular file" };
        let (size, mode) = (entry.size().to_string(), format!("{:o}", entry.mode));
        let (user, group) = owner_names(io, &entry, false);
        let (uid, gid) = (entry.owner.user.to_string(), entry.owner.group.to_string());
        text.push_str(&match &format {
            Some(format) => {
                let words = [("%s", size.as_str()), ("%a", &mode), ("%n", name), ("%F", kind), ("%U", &user), ("%G", &group), ("%u", &uid), ("%g", &gid)];
                let seconds = entry.modified.as_secs().to_string();
                let filled = words.iter().fold(format.clone(), |text, (mark, value)| text.replace(mark, value));
                format!("{}\n", filled.replace("%Y", &seconds))
            }
            None => format!("  File: {name}\n  Size: {size}\t\t{kind}\nAccess: ({mode:0>4}/{})  Uid: ({uid:>5}/{user:>8})   Gid: ({gid:>5}/{group:>8})\nModify: {}\n", permissions(&entry), super::date::format(entry.modified, "%F %T.%N %z")),
        });
        Ok(())
    });
    io.out(&text);
    code
}

fn usage(io: &mut CommandIo<'_>, path: &str, depth: u32) -> u64 {
    let Ok(entry) = io.files(|files| files.stat(path, false)) else {
        return 0;
    };
    if !entry.is_directory() || depth > DEPTH_MAX {
        return entry.size().div_ceil(4096) * 4;
    }
    let names = io.files(|files| files.list(path)).unwrap_or_default();
    4 + names.iter().map(|name| usage(io, &join(path, name), depth + 1)).sum::<u64>()
}

/// `du`.
pub(super) fn du(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "d");
    let names = if parsed.rest.is_empty() { vec![".".to_owned()] } else { parsed.rest.clone() };
    let mut text = String::new();
    let code = each(io, &names, |io, name| {
        let path = io.path(name);
        io.files(|files| files.stat(&path, false)).map_err(|error| format!("{name}: {error}"))?;
        let kilobytes = usage(io, &path, 0);
        let size = if parsed.has("h") { human(kilobytes << 10) } else { kilobytes.to_string() };
        text.push_str(&format!("{size}\t{name}\n"));
        Ok(())
    });
    io.out(&text);
    code
}

/// `df`: all that is mounted, or what the files that are named lie on.
pub(super) fn df(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let is_human = arguments.iter().any(|argument| argument.starts_with('-') && argument.contains('h'));
    let total: u64 = 100 << 20;
    let mounts: Vec<(String, Option<u64>)> = io.files(|files| {
        let mounts = files.mounts().iter().map(|mount| (mount.path.clone(), mount.in_memory));
        std::iter::once(("/".to_owned(), None)).chain(mounts).collect()
    });
    let named: Vec<String> = arguments.iter().filter(|one| !one.starts_with('-')).map(|name| io.path(name)).collect();
    let holds = |mount: &str, path: &str| {
        let inside = path.strip_prefix(mount);
        mount == "/" || inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let holder = |path: &String| mounts.iter().filter(|mount| holds(&mount.0, path)).max_by_key(|mount| mount.0.len());
    let shown: Vec<&(String, Option<u64>)> =
        if named.is_empty() { mounts.iter().collect() } else { named.iter().filter_map(holder).collect() };
    let size = if is_human { "     Size" } else { "1K-blocks" };
    let mut text = format!("Filesystem           {size}      Used Available Use% Mounted on\n");
    for (mount, in_memory) in shown {
        let total = in_memory.map_or(total, |size| size >> 10);
        let used = usage(io, mount, 0);
        let left = total.saturating_sub(used);
        let show = |kilobytes: u64| if is_human { human(kilobytes << 10) } else { kilobytes.to_string() };
        let name = match mount.as_str() {
            _ if in_memory.is_some() => "tmpfs",
            "/" => "overlay",
            _ => "/dev/vda1",
        };
        let percent = used * 100 / total.max(1);
        text.push_str(&format!(
            "{name:<20} {:>9} {:>9} {:>9} {percent:>3}% {mount}\n",
            show(total),
            show(used),
            show(left)
        ));
    }
    io.out(&text);
    0
}
