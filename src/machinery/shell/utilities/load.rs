//! Utilities that use memory, processors or disks: `stress`, `dd`, `yes`.

use std::time::Duration;

use super::super::host::{CommandPoll, CommandRun};
use super::super::io::CommandIo;
use super::{Arguments, parse_size};
use crate::machinery::time::Time;

/// How fast memory is filled, in bytes a second.
const FILL_BYTES_A_SECOND: u64 = 1 << 30;
/// How fast `dd` copies, in bytes a second.
const COPY_BYTES_A_SECOND: u64 = 1 << 30;

fn filled(since: Option<Time>, now: Time, most: u64) -> u64 {
    let millis = since.map_or(0, |since| u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX));
    (millis.saturating_mul(FILL_BYTES_A_SECOND) / 1000).min(most)
}

#[derive(Clone, Debug)]
struct Stress {
    name: String,
    processors: u64,
    memory: u64,
    vm: u64,
    io: u64,
    disk: u64,
    limit: Option<Duration>,
    since: Option<Time>,
}

/// `stress` and `stress-ng`.
pub(super) fn stress(name: &str, arguments: &[String]) -> Box<dyn CommandRun> {
    let valued = "c cpu m vm i io d hdd t timeout vm-bytes vm-hang hdd-bytes cpu-load cpu-method vm-method backoff l";
    let parsed = Arguments::parse(arguments, valued);
    let count = |names: &str| parsed.value(names).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let vm = count("m vm");
    let each = parsed.value("vm-bytes").and_then(parse_size).unwrap_or(256 << 20);
    let load = parsed.value("cpu-load l").and_then(|text| text.parse::<u64>().ok()).unwrap_or(100).min(100);
    let limit = parsed.value("t timeout").and_then(|text| {
        let digits = text.trim_end_matches(['s', 'm', 'h']);
        let factor = if text.ends_with('m') {
            60
        } else if text.ends_with('h') {
            3600
        } else {
            1
        };
        digits.parse::<u64>().ok().map(|number| Duration::from_secs(number.saturating_mul(factor)))
    });
    let hang = parsed.has("vm-hang");
    let busy_vm = if hang { 0 } else { vm };
    Box::new(Stress {
        name: name.to_owned(),
        processors: count("c cpu").saturating_mul(load) / 100 + busy_vm,
        memory: vm.saturating_mul(each),
        vm,
        io: count("i io"),
        disk: count("d hdd"),
        limit: limit.filter(|limit| !limit.is_zero()),
        since: None,
    })
}

impl CommandRun for Stress {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let now = io.now();
        let pid = io.process.pid;
        if self.since.is_none() {
            let hogs = [self.processors.saturating_sub(self.vm.min(self.processors)), self.io, self.vm, self.disk];
            if hogs == [0; 4] && self.processors == 0 {
                io.out("`stress' imposes certain types of compute stress on your system\n");
                return CommandPoll::Exited(0);
            }
            let cpu = if self.processors >= self.vm { self.processors - self.vm.min(self.processors) } else { 0 };
            io.out(&format!(
                "{}: info: [{pid}] dispatching hogs: {cpu} cpu, {} io, {} vm, {} hdd\n",
                self.name, self.io, self.vm, self.disk
            ));
            self.since = Some(now);
        }
        let since = self.since.unwrap_or(now);
        if let Some(limit) = self.limit.filter(|limit| since + *limit <= now) {
            io.out(&format!("{}: info: [{pid}] successful run completed in {}s\n", self.name, limit.as_secs()));
            return CommandPoll::Exited(0);
        }
        let end = self.limit.map(|limit| since + limit);
        // Woken while memory fills up, so that the limit is noticed when it is passed.
        if filled(self.since, now, self.memory) < self.memory {
            let next = now + Duration::from_millis(20);
            return CommandPoll::Until(end.map_or(next, |end| end.min(next)));
        }
        end.map_or(CommandPoll::Forever, CommandPoll::Until)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn memory(&self, now: Time) -> u64 {
        (1 << 20) + filled(self.since, now, self.memory)
    }

    fn processor(&self, _now: Time) -> u32 {
        u32::try_from(self.processors.saturating_mul(1000)).unwrap_or(u32::MAX)
    }
}

#[derive(Clone, Debug)]
struct Dd {
    input: String,
    output: String,
    block: u64,
    count: Option<u64>,
    started: Option<Time>,
    until: Option<Time>,
}

/// `dd`.
pub(super) fn dd(arguments: &[String]) -> Box<dyn CommandRun> {
    let value = |name: &str| arguments.iter().find_map(|word| word.strip_prefix(name));
    Box::new(Dd {
        input: value("if=").unwrap_or("-").to_owned(),
        output: value("of=").unwrap_or("-").to_owned(),
        block: value("bs=").and_then(parse_size).unwrap_or(512).max(1),
        count: value("count=").and_then(|text| text.parse().ok()),
        started: None,
        until: None,
    })
}

impl Dd {
    /// Writes zeros, as many as there is room for.
    fn fill(&self, io: &mut CommandIo<'_>, path: &str, total: u64) -> CommandPoll {
        let written = io.files(|files| {
            files.write(path, b"", super::super::files::WriteAt::Start)?;
            let fits = files.room(path).map_or(total, |room| room.min(total));
            files.extend(path, fits).map(|()| fits)
        });
        io.table.files_changed = true;
        match written {
            Ok(fits) if fits == total => self.report(io, total),
            Ok(fits) => {
                io.complain(&format!("error writing '{}': No space left on device", self.output));
                self.report(io, fits);
                CommandPoll::Exited(1)
            }
            Err(error) => {
                io.complain(&format!("can't open '{}': {error}", self.output));
                CommandPoll::Exited(1)
            }
        }
    }

    fn report(&self, io: &mut CommandIo<'_>, bytes: u64) -> CommandPoll {
        let (whole, part) = (bytes / self.block, u64::from(!bytes.is_multiple_of(self.block)));
        let seconds = bytes as f64 / COPY_BYTES_A_SECOND as f64;
        let human = if bytes >= 1 << 20 {
            format!(" ({:.1}MB)", bytes as f64 / 1_048_576.0)
        } else {
            format!(" ({:.1}KB)", bytes as f64 / 1024.0)
        };
        let text = format!(
            "{whole}+{part} records in\n{whole}+{part} records out\n{bytes} bytes{human} copied, {seconds:.6} seconds, 1.0GB/s\n"
        );
        io.write(2, text.as_bytes());
        CommandPoll::Exited(0)
    }
}

impl CommandRun for Dd {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let now = io.now();
        let total = self.count.map(|count| count.saturating_mul(self.block));
        let from_device = matches!(self.input.as_str(), "/dev/zero" | "/dev/urandom" | "/dev/random");
        if self.started.is_none() {
            self.started = Some(now);
            let Some(total) = total.filter(|_| from_device) else {
                if from_device {
                    return CommandPoll::Forever;
                }
                return match self.copy(io) {
                    Ok(bytes) => self.report(io, bytes),
                    Err(problem) => {
                        io.complain(&problem);
                        CommandPoll::Exited(1)
                    }
                };
            };
            let micros = u128::from(total) * 1_000_000 / u128::from(COPY_BYTES_A_SECOND);
            self.until = Some(now + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)));
        }
        match (self.until, total) {
            (Some(until), _) if until > now => CommandPoll::Until(until),
            (Some(_), Some(total)) => {
                if self.output == "-" {
                    io.write(1, &vec![0; usize::try_from(total.min(1 << 20)).unwrap_or(0)]);
                    return self.report(io, total);
                }
                let path = io.path(&self.output);
                let is_device = self.output.starts_with("/dev/") && !self.output.starts_with("/dev/shm/");
                if is_device && io.files(|files| files.stat(&path, true)).is_err() {
                    return self.report(io, total);
                }
                self.fill(io, &path, total)
            }
            _ => CommandPoll::Forever,
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn memory(&self, now: Time) -> u64 {
        (512 << 10) + filled(self.started, now, self.block)
    }

    fn processor(&self, _now: Time) -> u32 {
        1000
    }
}

impl Dd {
    fn copy(&self, io: &mut CommandIo<'_>) -> Result<u64, String> {
        let mut bytes = if self.input == "-" {
            let mut all = Vec::new();
            while let super::super::io::Input::Data(more) = io.read(0, 16 << 10) {
                all.extend_from_slice(&more);
            }
            all
        } else {
            super::filter::read_named(io, &self.input)
                .map_err(|error| format!("can't open '{}': {error}", self.input))?
        };
        if let Some(count) = self.count {
            bytes.truncate(usize::try_from(count.saturating_mul(self.block)).unwrap_or(usize::MAX));
        }
        if self.output == "-" {
            io.write(1, &bytes);
        } else if !self.output.starts_with("/dev/") {
            let path = io.path(&self.output);
            let written = io.files(|files| files.write(&path, &bytes, super::super::files::WriteAt::Start));
            written.map_err(|error| format!("can't open '{}': {error}", self.output))?;
            io.table.files_changed = true;
        }
        Ok(bytes.len() as u64)
    }
}

#[derive(Clone, Debug)]
struct Yes {
    lines: String,
}

/// `yes`.
pub(super) fn yes(arguments: &[String]) -> Box<dyn CommandRun> {
    let words = if arguments.is_empty() { "y".to_owned() } else { arguments.join(" ") };
    let line = format!("{words}\n");
    Box::new(Yes { lines: line.repeat((1024 / line.len()).max(1)) })
}

impl CommandRun for Yes {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        while io.budget > 0 && !io.process.broken_pipe {
            if io.is_congested(1) {
                return CommandPoll::Writable(1);
            }
            io.out(&self.lines.clone());
        }
        CommandPoll::Again
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn processor(&self, _now: Time) -> u32 {
        1000
    }
}

/// `head -c` of `/dev/zero`: zeros for whoever reads them, which a file only counts.
#[derive(Clone, Debug)]
struct Zeros {
    left: u64,
}

/// So many zeros.
pub(super) fn zeros(count: u64) -> Box<dyn CommandRun> {
    Box::new(Zeros { left: count })
}

impl CommandRun for Zeros {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if let Some(path) = io.file_path(1) {
            let left = self.left;
            let written = io.files(|files| files.extend(&path, left));
            io.table.files_changed = true;
            return CommandPoll::Exited(i32::from(written.is_err()));
        }
        while self.left > 0 && io.budget > 0 && !io.process.broken_pipe {
            if io.is_congested(1) {
                return CommandPoll::Writable(1);
            }
            let count = self.left.min(16 << 10);
            io.write(1, &vec![0; count as usize]);
            self.left -= count;
        }
        if self.left == 0 { CommandPoll::Exited(0) } else { CommandPoll::Again }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
