//! `tar`: archives in the `ustar` format, which `kubectl cp` speaks to both ends of.
//!
//! Creating (`c`), extracting (`x`) and listing (`t`), through `-f` or standard input and output. Compression is not there.

use super::super::files::{FileEntry, FileKind, WriteAt, normalise, parent};
use super::super::host::{CommandPoll, CommandRun};
use super::super::io::CommandIo;
use super::filter::Gather;
use super::{Arguments, Immediate};

/// The size of a header, and what everything is filled up to.
const BLOCK: usize = 512;
/// How deep directories are followed.
const DEPTH_MAX: u32 = 100;
/// The options that take a value.
const VALUED: &str = "C f directory file";

/// Letters that stand first without a dash are options too.
fn with_dash(arguments: &[String]) -> Vec<String> {
    let mut arguments = arguments.to_vec();
    if let Some(first) = arguments.first_mut().filter(|first| !first.starts_with('-')) {
        first.insert(0, '-');
    }
    arguments
}

/// `tar`.
pub(super) fn tar(arguments: &[String]) -> Box<dyn CommandRun> {
    let arguments = with_dash(arguments);
    let parsed = Arguments::parse(&arguments, VALUED);
    if parsed.has("x t extract get list") {
        let name = parsed.value("f file").unwrap_or("-").to_owned();
        return Gather::run(vec![name], &arguments, unpack);
    }
    Box::new(Pack { arguments })
}

#[derive(Clone, Debug)]
struct Pack {
    arguments: Vec<String>,
}

impl CommandRun for Pack {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let create: Immediate = pack;
        CommandPoll::Exited(create(io, &self.arguments))
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

fn pack(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, VALUED);
    if !parsed.has("c create") || parsed.rest.is_empty() {
        io.complain("must specify one of c, t and x, and what to put into an archive");
        return 1;
    }
    let directory = parsed.value("C directory").map_or_else(|| io.path("."), |name| io.path(name));
    let (mut archive, mut code) = (Vec::new(), 0);
    for name in &parsed.rest {
        // What is absolute is put in without its root, so that it can be unpacked anywhere.
        let stored = name.trim_start_matches('/').trim_end_matches('/');
        if !add(io, &mut archive, &normalise(name, &directory), stored, 0) {
            io.complain(&format!("{name}: No such file or directory"));
            code = 1;
        }
    }
    archive.extend([0; 2 * BLOCK]);
    match parsed.value("f file").unwrap_or("-") {
        "-" => io.write(1, &archive),
        name => {
            let path = io.path(name);
            if let Err(error) = io.files(|files| files.write(&path, &archive, WriteAt::Start)) {
                io.complain(&format!("can't open '{name}': {error}"));
                return 1;
            }
            io.table.files_changed = true;
        }
    }
    code
}

/// Puts a file, or a directory with all that is in it, into an archive. Says whether it was there.
fn add(io: &mut CommandIo<'_>, archive: &mut Vec<u8>, path: &str, stored: &str, depth: u32) -> bool {
    let Ok(entry) = io.files(|files| files.stat(path, false)) else { return false };
    match &entry.kind {
        FileKind::File(bytes, zeros) => {
            let length = bytes.len() + usize::try_from(*zeros).unwrap_or(0);
            archive.extend(header(stored, &entry, b'0', length, ""));
            archive.extend_from_slice(bytes);
            archive.resize((archive.len() + length - bytes.len()).next_multiple_of(BLOCK), 0);
        }
        FileKind::Link(target) => archive.extend(header(stored, &entry, b'2', 0, target)),
        FileKind::Directory => {
            archive.extend(header(&format!("{stored}/"), &entry, b'5', 0, ""));
            let names = io.files(|files| files.list(path)).unwrap_or_default();
            for name in names.into_iter().filter(|_| depth < DEPTH_MAX) {
                add(
                    io,
                    archive,
                    &format!("{}/{name}", path.trim_end_matches('/')),
                    &format!("{stored}/{name}"),
                    depth + 1,
                );
            }
        }
    }
    true
}

/// A header. A name that is too long for it goes before it, as GNU has it.
fn header(name: &str, entry: &FileEntry, kind: u8, length: usize, target: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    if name.len() > 100 {
        let long = [name.as_bytes(), b"\0"].concat();
        bytes.extend(header("././@LongLink", entry, b'L', long.len(), ""));
        bytes.extend(&long);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    let mut block = [0_u8; BLOCK];
    let mut put = |at: usize, most: usize, text: &[u8]| {
        let length = text.len().min(most);
        block[at..at + length].copy_from_slice(&text[..length]);
    };
    put(0, 100, name.as_bytes());
    put(100, 8, format!("{:07o}", entry.mode & 0o7777).as_bytes());
    put(108, 8, b"0000000");
    put(116, 8, b"0000000");
    put(124, 12, format!("{length:011o}").as_bytes());
    put(136, 12, format!("{:011o}", entry.modified.as_secs()).as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[kind]);
    put(157, 100, target.as_bytes());
    put(257, 8, b"ustar\x0000");
    put(265, 32, b"root");
    put(297, 32, b"root");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    bytes.extend(block);
    bytes
}

/// One member of an archive.
struct Member<'a> {
    name: String,
    kind: u8,
    mode: u32,
    target: String,
    bytes: &'a [u8],
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn octal(bytes: &[u8]) -> Option<u64> {
    let digits = text(bytes);
    let digits = digits.trim();
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

/// `path=…` of an extended header (POSIX pax): each record begins with its own length.
fn pax_path(bytes: &[u8]) -> Option<String> {
    let all = String::from_utf8_lossy(bytes).into_owned();
    all.lines().find_map(|line| line.split_once(' ')?.1.strip_prefix("path=").map(str::to_owned))
}

/// The members of an archive; nothing when it is none.
fn members(archive: &[u8]) -> Option<Vec<Member<'_>>> {
    let (mut members, mut at, mut long) = (Vec::new(), 0, None);
    if archive.len() < BLOCK {
        return None;
    }
    while let Some(block) = archive.get(at..at + BLOCK) {
        if block.iter().all(|byte| *byte == 0) {
            break;
        }
        if &block[257..262] != b"ustar" {
            return None;
        }
        let length = usize::try_from(octal(&block[124..136])?).ok()?;
        let bytes = archive.get(at + BLOCK..)?.get(..length)?;
        at += BLOCK + length.next_multiple_of(BLOCK);
        let kind = block[156];
        match kind {
            b'L' => long = Some(text(bytes)),
            b'x' => long = pax_path(bytes).or(long),
            b'g' => {}
            _ => {
                let (prefix, name) = (text(&block[345..500]), text(&block[..100]));
                let short = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                let mode = u32::try_from(octal(&block[100..108])?).ok()?;
                members.push(Member {
                    name: long.take().unwrap_or(short),
                    kind,
                    mode,
                    target: text(&block[157..257]),
                    bytes,
                });
            }
        }
    }
    Some(members)
}

fn unpack(io: &mut CommandIo<'_>, arguments: &[String], archive: Vec<u8>) -> i32 {
    let parsed = Arguments::parse(arguments, VALUED);
    let Some(members) = members(&archive) else {
        io.complain("invalid tar magic");
        return 1;
    };
    let lists = parsed.has("t list");
    let directory = parsed.value("C directory").map_or_else(|| io.path("."), |name| io.path(name));
    if !lists && !io.files(|files| files.stat(&directory, true)).is_ok_and(|entry| entry.is_directory()) {
        let name = parsed.value("C directory").unwrap_or(".");
        io.complain(&format!("can't change directory to '{name}': No such file or directory"));
        return 1;
    }
    let mut code = 0;
    for member in members {
        if lists || parsed.has("v verbose") {
            io.out(&format!("{}\n", member.name));
        }
        if lists {
            continue;
        }
        if let Err(why) = extract(io, &directory, &member) {
            io.complain(&why);
            code = 1;
        }
    }
    io.table.files_changed = true;
    code
}

fn extract(io: &mut CommandIo<'_>, directory: &str, member: &Member<'_>) -> Result<(), String> {
    let name = member.name.trim_start_matches('/').trim_end_matches('/');
    if name.split('/').any(|part| part == "..") {
        return Err(format!("name with '..' skipped: '{name}'"));
    }
    let path = normalise(name, directory);
    let failed = |error: super::super::files::FileError| format!("can't create '{name}': {error}");
    make_directories(io, parent(&path))?;
    match member.kind {
        b'5' => make_directories(io, &path),
        b'2' => io
            .files(|files| {
                // A link of that name is replaced; when there is none, there is nothing to remove.
                let _ = files.remove(&path);
                files.make_link(&path, &member.target)
            })
            .map_err(failed),
        b'0' | 0 => io
            .files(|files| {
                files.write(&path, member.bytes, WriteAt::Start)?;
                files.set_mode(&path, member.mode & 0o7777)
            })
            .map_err(failed),
        _ => Ok(()),
    }
}

fn make_directories(io: &mut CommandIo<'_>, path: &str) -> Result<(), String> {
    if path.is_empty() || io.files(|files| files.stat(path, true)).is_ok() {
        return Ok(());
    }
    make_directories(io, parent(path))?;
    io.files(|files| files.make_directory(path)).map_err(|error| format!("can't create directory '{path}': {error}"))
}
