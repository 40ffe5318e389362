//! The utilities of busybox and coreutils that containers' scripts use.
//!
//! Most give their answer at once (`Immediate`); those that read their input, wait or run other commands are
//! `CommandRun`s. Messages are busybox's.

mod awk;
mod basic;
mod column;
mod date;
mod disk;
mod expr;
mod filter;
mod find;
mod grep;
mod jq;
mod load;
mod network;
mod printf;
mod resolve;
mod runners;
mod sed;
mod serve;
mod sort;
mod tail;
mod tar;
mod text;
mod transfer;

use super::builtins;
use super::host::{CommandRun, Lookup};
use super::io::CommandIo;

pub(super) use basic::{echo, kill};
pub use date::format as format_time;
pub(super) use printf::printf;
pub use serve::{parse_raw_answer, serve_files};

/// A utility that needs neither time nor input: it gets its arguments and gives its exit code.
pub type Immediate = fn(&mut CommandIo<'_>, &[String]) -> i32;

/// The immediate utility of a name.
#[must_use]
pub fn immediate(name: &str) -> Option<Immediate> {
    Some(match name {
        "[" | "test" => super::test::run,
        "arch" => |io, _| basic::print(io, "x86_64"),
        "basename" => basic::basename,
        "chmod" => disk::chmod,
        "chown" | "chgrp" => disk::chown,
        "sync" | "clear" | "reset" | "ldconfig" | "mount" | "umount" | "modprobe" | "sysctl" => |_, _| 0,
        "cp" => disk::cp,
        "date" => date::date,
        "df" => disk::df,
        "dirname" => basic::dirname,
        "du" => disk::du,
        "echo" => basic::echo,
        "expr" => expr::expr,
        "fallocate" | "truncate" => disk::truncate,
        "false" => |_, _| 1,
        "free" => basic::free,
        "groups" => |io, _| basic::print(io, "root"),
        "hostname" => basic::hostname,
        "id" => basic::id,
        "kill" => basic::kill,
        "killall" | "pkill" => basic::kill_by_name,
        "ln" => disk::ln,
        "logger" => |_, _| 0,
        "ls" => disk::ls,
        "mkdir" => disk::mkdir,
        "mktemp" => disk::mktemp,
        "mv" => disk::mv,
        "netstat" | "ss" => basic::netstat,
        "nproc" => basic::nproc,
        "pgrep" | "pidof" => basic::pidof,
        "printenv" => basic::printenv,
        "printf" => printf::printf,
        "ps" => basic::ps,
        "pwd" => |io, _| {
            let directory = io.process.directory.clone();
            basic::print(io, &directory)
        },
        "readlink" | "realpath" => disk::readlink,
        "rm" => disk::rm,
        "rmdir" => disk::rmdir,
        "seq" => basic::seq,
        "stat" => disk::stat,
        "touch" => disk::touch,
        "true" | ":" => |_, _| 0,
        "tty" => basic::tty,
        "uname" => basic::uname,
        "uptime" => basic::uptime,
        "usleep" => |_, _| 0,
        "which" => basic::which_utility,
        "whoami" => basic::whoami,
        _ => return None,
    })
}

/// The program of a name, ready to be stepped.
#[must_use]
pub fn find(name: &str, argv: &[String]) -> Option<Box<dyn CommandRun>> {
    let arguments = argv.get(1..).unwrap_or_default();
    if let Some(function) = immediate(name) {
        return Some(Box::new(Once { function }));
    }
    Some(match name {
        "awk" | "gawk" | "mawk" => awk::awk(arguments),
        "base64" => sort::base64(arguments),
        "cat" | "less" | "more" => text::cat(arguments),
        "column" => column::column(arguments),
        "comm" => column::comm(arguments),
        "diff" => column::diff(arguments),
        "envsubst" => column::envsubst(arguments),
        "jq" => jq::jq(arguments),
        "sha256sum" => column::checksum(arguments),
        "paste" => column::paste(arguments),
        "curl" => transfer::curl(arguments),
        "cut" => text::cut(arguments),
        "dd" => load::dd(arguments),
        "dig" | "host" | "getent" | "nslookup" => resolve::resolve(name, arguments),
        "egrep" | "fgrep" | "grep" => grep::grep(name, arguments),
        "env" | "nice" | "nohup" | "setsid" | "sudo" | "stdbuf" | "ionice" => runners::prefix(name, arguments),
        "find" => find::find(arguments),
        "head" => text::head(arguments),
        "httpd" => serve::httpd(arguments),
        "nc" | "netcat" | "ncat" => network::netcat(arguments),
        "nl" => text::number_lines(arguments),
        "ping" => network::ping(arguments),
        "rev" => text::reverse(arguments),
        "sed" => sed::sed(arguments),
        "shuf" | "sort" | "tac" => sort::sort(name, arguments),
        "sleep" => runners::sleep(arguments),
        "stress" | "stress-ng" => load::stress(name, arguments),
        "tail" => tail::tail(arguments),
        "tar" => tar::tar(arguments),
        "tee" => text::tee(arguments),
        "timeout" => runners::timeout(arguments),
        "tr" => text::translate(arguments),
        "uniq" => text::uniq(arguments),
        "wc" => text::word_count(arguments),
        "wget" => transfer::wget(arguments),
        "xargs" => runners::xargs(arguments),
        "yes" => load::yes(arguments),
        _ => return None,
    })
}

/// Whether there is a utility of this name.
#[must_use]
pub fn exists(name: &str) -> bool {
    immediate(name).is_some() || find(name, &[]).is_some()
}

/// Where a command would be found.
pub(super) fn which(io: &mut CommandIo<'_>, name: &str) -> Option<String> {
    if name.contains('/') {
        return builtins::executable(io, name);
    }
    match io.host.lookup(name, &[name.to_owned()]) {
        Lookup::Missing => None,
        Lookup::Script(_) | Lookup::Run(_) => Some(format!("/usr/local/bin/{name}")),
        Lookup::Utility | Lookup::Shell(_) => Some(format!("/bin/{name}")),
    }
}

/// An immediate utility in a process of its own.
#[derive(Clone, Debug)]
struct Once {
    function: Immediate,
}

impl CommandRun for Once {
    fn step(&mut self, io: &mut CommandIo<'_>) -> super::host::CommandPoll {
        let arguments = io.arguments();
        super::host::CommandPoll::Exited((self.function)(io, &arguments))
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// Arguments as letters with their values, and the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments {
    options: Vec<(String, String)>,
    pub rest: Vec<String>,
}

impl Arguments {
    /// Reads `-a`, `-ab`, `-n5`, `-n 5`, `--name`, `--name=5` and `--name 5`. `valued` lists the letters and long names
    /// that take a value, separated by blanks.
    pub(super) fn parse(arguments: &[String], valued: &str) -> Self {
        let takes_value = |name: &str| valued.split(' ').any(|known| known == name);
        let mut parsed = Self::default();
        let mut left = arguments.iter();
        while let Some(argument) = left.next() {
            if argument == "--" {
                parsed.rest.extend(left.cloned());
                break;
            }
            if let Some(long) = argument.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, value.to_owned()),
                    None if takes_value(long) => (long, left.next().cloned().unwrap_or_default()),
                    None => (long, String::new()),
                };
                parsed.options.push((name.to_owned(), value));
                continue;
            }
            let Some(letters) = argument.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                parsed.rest.push(argument.clone());
                continue;
            };
            for (at, letter) in letters.char_indices() {
                let name = letter.to_string();
                if !takes_value(&name) {
                    parsed.options.push((name, String::new()));
                    continue;
                }
                let attached = &letters[at + letter.len_utf8()..];
                let value = if attached.is_empty() { left.next().cloned() } else { Some(attached.to_owned()) };
                parsed.options.push((name, value.unwrap_or_default()));
                break;
            }
        }
        parsed
    }

    /// Whether an option is there, by one of its names.
    pub(super) fn has(&self, names: &str) -> bool {
        self.value(names).is_some()
    }

    /// The last value of an option, by one of its names.
    pub(super) fn value(&self, names: &str) -> Option<&str> {
        let wanted = |option: &&(String, String)| names.split(' ').any(|name| name == option.0);
        self.options.iter().rev().find(wanted).map(|(_, value)| value.as_str())
    }

    /// Every value of an option.
    pub(super) fn values(&self, names: &str) -> Vec<&str> {
        let wanted = |option: &&(String, String)| names.split(' ').any(|name| name == option.0);
        self.options.iter().filter(wanted).map(|(_, value)| value.as_str()).collect()
    }
}

/// A size with a suffix, in bytes: `10`, `4k`, `150M`, `1G`, `2GiB`.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].to_ascii_lowercase().as_str() {
        "" | "c" | "b" => 1,
        "w" => 2,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}
