//! Utilities that tell something or change nothing but processes.

use super::super::escape::unescape;
use super::super::files::base_name;
use super::super::host::{Signal, User};
use super::super::io::CommandIo;
use super::Arguments;

/// Prints a line.
pub(super) fn print(io: &mut CommandIo<'_>, text: &str) -> i32 {
    io.out(&format!("{text}\n"));
    0
}

/// `echo`.
pub(in super::super) fn echo(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let is_option =
        |word: &&String| word.len() > 1 && word.starts_with('-') && word[1..].chars().all(|c| "neE".contains(c));
    let options: String = arguments.iter().take_while(is_option).cloned().collect();
    let words = &arguments[arguments.iter().take_while(is_option).count()..];
    let text = words.join(" ");
    let mut bytes = if options.contains('e') {
        let unescaped = unescape(&text);
        if unescaped.stop {
            io.write(1, &unescaped.bytes);
            return 0;
        }
        unescaped.bytes
    } else {
        text.into_bytes()
    };
    if !options.contains('n') {
        bytes.push(b'\n');
    }
    io.write(1, &bytes);
    0
}

/// `basename`.
pub(super) fn basename(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let Some(path) = arguments.first() else {
        io.complain("missing operand");
        return 1;
    };
    let name = base_name(path);
    let suffix = arguments.get(1).map_or("", String::as_str);
    let name = name.strip_suffix(suffix).filter(|rest| !rest.is_empty()).unwrap_or(name).to_owned();
    print(io, &name)
}

/// `dirname`.
pub(super) fn dirname(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let path = arguments.first().map_or("", |path| path.trim_end_matches('/'));
    let directory = match path.rfind('/') {
        None => ".".to_owned(),
        Some(0) => "/".to_owned(),
        Some(at) => path[..at].to_owned(),
    };
    print(io, &directory)
}

/// `hostname`.
pub(super) fn hostname(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let name = io.host.hostname();
    let text = match arguments.first().map(String::as_str) {
        Some("-i" | "-I") => io.host.addresses().join(" "),
        Some("-f" | "--fqdn") => full_name(io, name),
        Some("-d") => full_name(io, name).split_once('.').map_or_else(String::new, |(_, domain)| domain.to_owned()),
        Some("-s") => name.split('.').next().unwrap_or_default().to_owned(),
        _ => name,
    };
    print(io, &text)
}

/// A host's name with its domain, as `/etc/hosts` tells it.
fn full_name(io: &mut CommandIo<'_>, name: String) -> String {
    let Ok(bytes) = io.files(|files| files.read("/etc/hosts")) else { return name };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = text.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<&str>>());
    let found = lines.find(|names| names.contains(&name.as_str()));
    found.and_then(|names| names.first().map(|first| (*first).to_owned())).unwrap_or(name)
}

/// `uname`.
pub(super) fn uname(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let host = io.host.hostname();
    let letters: String = arguments.iter().flat_map(|argument| argument.trim_start_matches('-').chars()).collect();
    let all = letters.contains('a');
    let parts = [
        ('s', "Linux"),
        ('n', host.as_str()),
        ('r', "6.8.0-kubetab"),
        ('v', "#1 SMP PREEMPT_DYNAMIC"),
        ('m', "x86_64"),
        ('o', "GNU/Linux"),
    ];
    let wanted = |letter: char| all || letters.contains(letter) || (letters.is_empty() && letter == 's');
    let words: Vec<&str> = parts.iter().filter(|(letter, _)| wanted(*letter)).map(|(_, word)| *word).collect();
    print(io, &words.join(" "))
}

/// `whoami`.
pub(super) fn whoami(io: &mut CommandIo<'_>, _: &[String]) -> i32 {
    let user = io.host.user();
    match user.name {
        Some(name) => print(io, &name),
        None => {
            io.complain(&format!("unknown uid {}", user.id));
            1
        }
    }
}

/// All groups of a user, in order.
fn groups(user: &User) -> std::collections::BTreeSet<i64> {
    user.groups.iter().copied().chain([user.group]).collect()
}

/// `id`.
pub(super) fn id(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let user = io.host.user();
    let text = match arguments.first().map(String::as_str) {
        Some("-u") => user.id.to_string(),
        Some("-g") => user.group.to_string(),
        Some("-G") => groups(&user).iter().map(i64::to_string).collect::<Vec<_>>().join(" "),
        Some("-un" | "-nu") => user.name.unwrap_or_else(|| user.id.to_string()),
        _ => {
            let name = user.name.as_ref().map(|name| format!("({name})")).unwrap_or_default();
            let group = |id: i64| if id == 0 { "0(root)".to_owned() } else { id.to_string() };
            let groups: Vec<String> = groups(&user).into_iter().map(group).collect();
            format!("uid={}{name} gid={} groups={}", user.id, group(user.group), groups.join(","))
        }
    };
    print(io, &text)
}

/// `nproc`.
pub(super) fn nproc(io: &mut CommandIo<'_>, _: &[String]) -> i32 {
    let count = io.host.machine().processors.to_string();
    print(io, &count)
}

/// `tty`.
pub(super) fn tty(io: &mut CommandIo<'_>, _: &[String]) -> i32 {
    if io.is_terminal(0) {
        return print(io, "/dev/pts/0");
    }
    print(io, "not a tty");
    1
}

/// `uptime`.
pub(super) fn uptime(io: &mut CommandIo<'_>, _: &[String]) -> i32 {
    let seconds = io.now().as_secs() % 86_400;
    let text = format!(
        " {:02}:{:02}:{:02} up 1 day,  load average: 0.00, 0.00, 0.00",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    print(io, &text)
}

/// `free`.
pub(super) fn free(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let total = io.host.machine().memory_bytes;
    let used = io.table.memory(io.host.now());
    let unit = if arguments.iter().any(|argument| argument == "-m") { 1 << 20 } else { 1 << 10 };
    let (total, used) = (total / unit, used / unit);
    let free = total.saturating_sub(used);
    io.out(&format!(
        "              total        used        free      shared  buff/cache   available\nMem:    {total:11} {used:11} {free:11}           0           0 {free:11}\nSwap:             0           0           0\n"
    ));
    0
}

/// `printenv`.
pub(super) fn printenv(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    if arguments.is_empty() {
        let text: String = io.environment().iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        io.out(&text);
        return 0;
    }
    let mut code = 0;
    for name in arguments {
        match io.variable(name) {
            Some(value) => drop(print(io, &value)),
            None => code = 1,
        }
    }
    code
}

/// `seq`.
pub(super) fn seq(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    // A minus begins a number here, not always an option.
    let (mut separator, mut wide, mut numbers) = ("\n".to_owned(), false, Vec::new());
    let mut left = arguments.iter();
    while let Some(argument) = left.next() {
        match argument.as_str() {
            "-s" => separator = left.next().cloned().unwrap_or_default(),
            "-w" => wide = true,
            text if text.starts_with("-s") => separator = text[2..].to_owned(),
            text => match text.parse::<i64>() {
                Ok(number) => numbers.push(number),
                Err(_) => {
                    io.complain(&format!("invalid number '{text}'"));
                    return 1;
                }
            },
        }
    }
    let (first, step, last) = match numbers.as_slice() {
        [last] => (1, 1, *last),
        [first, last] => (*first, 1, *last),
        [first, step, last] => (*first, *step, *last),
        _ => {
            io.complain("missing operand");
            return 1;
        }
    };
    if step == 0 || last.abs_diff(first) / step.unsigned_abs() > 1_000_000 {
        io.complain("too many numbers");
        return 1;
    }
    let goes_on = |at: &i64| if step > 0 { *at <= last } else { *at >= last };
    let width = if wide { first.to_string().len().max(last.to_string().len()) } else { 0 };
    let numbers = std::iter::successors(Some(first), |at| at.checked_add(step)).take_while(goes_on);
    let text: Vec<String> = numbers.map(|number| format!("{number:0width$}")).collect();
    if !text.is_empty() {
        io.out(&format!("{}\n", text.join(&separator)));
    }
    0
}

/// `which`.
pub(super) fn which_utility(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let mut code = 0;
    for name in arguments.iter().filter(|argument| !argument.starts_with('-')) {
        match super::which(io, name) {
            Some(path) => drop(print(io, &path)),
            None => code = 1,
        }
    }
    code
}

/// `ps`.
pub(super) fn ps(io: &mut CommandIo<'_>, _: &[String]) -> i32 {
    let user = io.host.user();
    let name = user.name.unwrap_or_else(|| user.id.to_string());
    let rows = io.processes();
    let mut text = "PID   USER     TIME  COMMAND\n".to_owned();
    for (pid, _, command, _) in rows {
        text.push_str(&format!("{pid:5} {name:<8}  0:00 {command}\n"));
    }
    io.out(&text);
    0
}

fn named(io: &CommandIo<'_>, name: &str, in_arguments: bool) -> Vec<u32> {
    let own = io.process.pid;
    let matches = |command: &str| {
        let program = base_name(command.split(' ').next().unwrap_or_default());
        if in_arguments { command.contains(name) } else { program == name }
    };
    io.processes().into_iter().filter(|row| row.0 != own && matches(&row.2)).map(|row| row.0).collect()
}

/// `pidof` and `pgrep`.
pub(super) fn pidof(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "");
    let pgrep = io.name() == "pgrep";
    let name = parsed.rest.first().map_or("", String::as_str);
    let pids: Vec<String> = named(io, name, pgrep && parsed.has("f")).iter().map(u32::to_string).collect();
    if pids.is_empty() {
        return 1;
    }
    print(io, &pids.join(if pgrep { "\n" } else { " " }))
}

/// `kill`.
pub(in super::super) fn kill(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let mut left = arguments;
    let mut signal = Some(Signal::Terminate);
    match left.first().map(String::as_str) {
        Some("-l") => {
            io.out("HUP\nINT\nQUIT\nKILL\nUSR1\nUSR2\nPIPE\nALRM\nTERM\n");
            return 0;
        }
        Some(flag) if flag.len() > 1 && flag.starts_with('-') => {
            let name = if flag == "-s" || flag == "-n" { left.get(1).map_or("", String::as_str) } else { &flag[1..] };
            let name = name.to_owned();
            left = &left[if flag == "-s" || flag == "-n" { 2.min(left.len()) } else { 1 }..];
            if name == "0" {
                signal = None;
            } else if name != "-" {
                signal = Signal::parse(&name);
                if signal.is_none() {
                    io.write(2, format!("sh: kill: bad signal name '{name}'\n").as_bytes());
                    return 1;
                }
            }
        }
        _ => {}
    }
    if left.is_empty() {
        io.write(2, b"sh: kill: you need to specify whom to kill\n");
        return 1;
    }
    let mut code = 0;
    for target in left {
        let pid = target.trim_start_matches(['-', '%']).parse::<u32>();
        match pid {
            Ok(pid) if io.kill(pid, signal) => {}
            Ok(pid) => {
                io.write(2, format!("sh: can't kill pid {pid}: No such process\n").as_bytes());
                code = 1;
            }
            Err(_) => {
                io.write(2, format!("sh: invalid number '{target}'\n").as_bytes());
                code = 1;
            }
        }
    }
    code
}

/// `pkill` and `killall`.
pub(super) fn kill_by_name(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let flag = arguments.iter().find_map(|argument| argument.strip_prefix('-').and_then(Signal::parse));
    let signal = flag.unwrap_or(Signal::Terminate);
    let by_arguments = arguments.iter().any(|argument| argument == "-f");
    let mut code = 1;
    for name in arguments.iter().filter(|argument| !argument.starts_with('-')) {
        for pid in named(io, name, by_arguments) {
            io.kill(pid, Some(signal));
            code = 0;
        }
        if code == 1 && io.name() == "killall" {
            io.complain(&format!("{name}: no process killed"));
        }
    }
    code
}

/// `netstat` and `ss`: what listens.
pub(super) fn netstat(io: &mut CommandIo<'_>, _: &[String]) -> i32 {
    let mut text = "Active Internet connections (only servers)\nProto Recv-Q Send-Q Local Address           Foreign Address         State\n".to_owned();
    let now = io.now();
    for port in io.table.ports() {
        if io.table.listens(port, now) {
            text.push_str(&format!(
                "tcp        0      0 {:<23} 0.0.0.0:*               LISTEN\n",
                format!("0.0.0.0:{port}")
            ));
        }
    }
    io.out(&text);
    0
}
