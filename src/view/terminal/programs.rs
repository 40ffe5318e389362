//! Programs of the terminal that no container has.

use std::time::Duration;

use crate::machinery::shell::files::{WriteAt, normalise};
use crate::machinery::shell::{CommandIo, CommandPoll, CommandRun};

use super::{HOME, NOTES};

/// The note that names a file for the editor.
pub(super) const OPEN: &str = "open";
/// The note that names a file which was saved.
pub(super) const SAVED: &str = "saved";
/// What clears a terminal: to the upper left, and everything away.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// The program of a name.
pub(super) fn find(name: &str, argv: &[String]) -> Option<Box<dyn CommandRun>> {
    let arguments = argv.get(1..).unwrap_or_default().to_vec();
    match name {
        "vi" | "vim" | "nano" | "edit" | "code" => Some(Box::new(Edit::new(arguments))),
        "clear" | "reset" => Some(Box::new(Clear)),
        "watch" => Some(Box::new(Watch::new(arguments))),
        _ => None,
    }
}

/// Shows a file in the page's editor. Who calls it for kubectl, or with `--wait`, waits until the file is saved or its tab
/// is closed.
#[derive(Clone, Debug)]
struct Edit {
    file: Option<String>,
    waits: bool,
    is_shown: bool,
}

impl Edit {
    fn new(arguments: Vec<String>) -> Self {
        let mut waits = arguments.iter().any(|word| matches!(word.as_str(), "--wait" | "-w"));
        let file = arguments.into_iter().find(|word| !word.starts_with('-'));
        waits |= file.as_ref().is_some_and(|file| is_for_kubectl(file.rsplit('/').next().unwrap_or("")));
        Self { file, waits, is_shown: false }
    }

    /// Whether the file was saved, or is not there any more.
    fn is_over(io: &mut CommandIo<'_>, path: &str, name: &str) -> bool {
        let note = format!("{NOTES}/{SAVED}");
        io.files(|files| {
            let is_saved = files.read(&note).is_ok_and(|saved| saved.as_slice() == name.as_bytes());
            if is_saved {
                // It was there a moment ago.
                let _ = files.remove(&note);
            }
            is_saved || files.stat(path, true).is_err()
        })
    }
}

/// Whether a file is one that `kubectl edit` waits for.
#[must_use]
pub fn is_for_kubectl(name: &str) -> bool {
    name.starts_with("kubectl-edit-")
}

impl CommandRun for Edit {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let Some(file) = &self.file else {
            io.complain("which file?");
            return CommandPoll::Exited(1);
        };
        let path = normalise(file, &io.process.directory);
        let name = path.strip_prefix(HOME).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default().to_owned();
        if !super::is_name(&name) {
            io.complain(&format!("the editor holds the files of {HOME} only"));
            return CommandPoll::Exited(1);
        }
        if self.is_shown {
            return if Self::is_over(io, &path, &name) { CommandPoll::Exited(0) } else { CommandPoll::Files };
        }
        self.is_shown = true;
        let note = format!("{NOTES}/{OPEN}");
        let written = io.files(|files| {
            if files.stat(&path, true).is_err() {
                files.write(&path, b"", WriteAt::Start)?;
            }
            files.write(&note, name.as_bytes(), WriteAt::Start)
        });
        match written {
            Ok(()) if self.waits => {
                io.write(
                    2,
                    format!("{name} is open in the editor: apply it there to go on, or close it to give up.\n")
                        .as_bytes(),
                );
                CommandPoll::Files
            }
            Ok(()) => CommandPoll::Exited(0),
            Err(error) => {
                io.complain(&format!("{name}: {error}"));
                CommandPoll::Exited(1)
            }
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// `clear`.
#[derive(Clone, Debug)]
struct Clear;

impl CommandRun for Clear {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        io.write(1, CLEAR.as_bytes());
        CommandPoll::Exited(0)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// `watch`: runs a command again and again.
#[derive(Clone, Debug)]
struct Watch {
    interval: Duration,
    words: Vec<String>,
    titled: bool,
    running: bool,
}

impl Watch {
    fn new(arguments: Vec<String>) -> Self {
        let mut watch = Self { interval: Duration::from_secs(2), words: Vec::new(), titled: true, running: false };
        let mut rest = arguments.into_iter();
        while let Some(word) = rest.next() {
            let seconds = match word.as_str() {
                "-n" | "--interval" => rest.next(),
                "-t" | "--no-title" => {
                    watch.titled = false;
                    continue;
                }
                "-d" | "-x" | "--" => continue,
                word if word.starts_with("-n") => Some(word[2..].to_owned()),
                _ => {
                    watch.words = std::iter::once(word).chain(rest).collect();
                    break;
                }
            };
            let seconds = seconds.and_then(|text| text.parse::<f64>().ok()).filter(|seconds| seconds.is_finite());
            watch.interval = Duration::from_secs_f64(seconds.unwrap_or(2.0).clamp(0.1, 86_400.0));
        }
        watch
    }
}

impl CommandRun for Watch {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if self.words.is_empty() {
            io.complain("what?");
            return CommandPoll::Exited(1);
        }
        if std::mem::take(&mut self.running) {
            return CommandPoll::Until(io.now() + self.interval);
        }
        self.running = true;
        let command = self.words.join(" ");
        io.write(1, CLEAR.as_bytes());
        if self.titled {
            io.write(1, format!("Every {:.1}s: {command}\n\n", self.interval.as_secs_f64()).as_bytes());
        }
        CommandPoll::Run(vec!["sh".to_owned(), "-c".to_owned(), command], None)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
