//! Interpreters of programming languages, of which a simulation knows only appearances.
//!
//! A program's text is not run. What it prints as plain string literals is printed, a port it is seen to listen on is
//! served, an exit code it is seen to give is given, and a loop without end runs for ever. Of Python, conditions on the
//! environment are decided, and pauses are kept. Two things are done for
//! real, since Kubernetes' own documentation uses them: `perl -Mbignum=bpi -wle 'print bpi(2000)'` and
//! `python -m http.server`.

mod python;

use std::sync::Arc;
use std::time::Duration;

use super::catalogue::{HttpDefinition, PortDefinition, ServerDefinition};
use super::server::{Server, Surroundings};
use crate::machinery::shell::{CommandIo, CommandPoll, CommandRun, HttpRequest, NetworkAnswer, Signal, SignalAction};
use crate::machinery::time::Time;

/// How many digits of pi are calculated.
const PI_DIGITS_MAX: usize = 5000;

/// An interpreter that runs a program.
#[derive(Clone, Debug)]
pub(super) struct Language {
    name: String,
    surroundings: Arc<Surroundings>,
    server: Option<Server>,
    stays: bool,
    /// What is left of the program after a pause, and when it goes on.
    later: Option<(Time, String)>,
}

impl Language {
    pub(super) fn new(name: &str, surroundings: Arc<Surroundings>) -> Self {
        Self { name: name.to_owned(), surroundings, server: None, stays: false, later: None }
    }

    fn is_python(&self) -> bool {
        self.name.starts_with("python")
    }

    fn begin(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let arguments = io.arguments();
        if arguments.iter().any(|word| matches!(word.as_str(), "--version" | "-V" | "-version")) {
            let tag = &self.surroundings.tag;
            let end = tag.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(tag.len());
            let version = if end == 0 { "3.13.0" } else { &tag[..end] };
            let text = match self.name.as_str() {
                "node" => format!("v{version}\n"),
                name if name.starts_with("python") => format!("Python {version}\n"),
                name => format!("{name} {version}\n"),
            };
            io.out(&text);
            return CommandPoll::Exited(0);
        }
        if self.is_python() && arguments.windows(2).any(|pair| pair[0] == "-m" && pair[1] == "http.server") {
            return self.serve_files(&arguments, io);
        }
        let inline = arguments.iter().position(|word| {
            let letters = word.strip_prefix('-').unwrap_or_default();
            let perl = self.name == "perl" && letters.ends_with('e') && !letters.starts_with('M');
            perl || matches!(word.as_str(), "-c" | "-e" | "-p" | "--eval")
        });
        let source = match inline {
            Some(at) => arguments.get(at + 1).cloned().unwrap_or_default(),
            None => match arguments.iter().find(|word| !word.starts_with('-')).cloned() {
                Some(file) => match self.read(&file, io) {
                    Ok(text) => text,
                    Err(code) => return CommandPoll::Exited(code),
                },
                None if io.is_terminal(0) => {
                    self.stays = true;
                    io.out(if self.is_python() { ">>> " } else { "> " });
                    return CommandPoll::Forever;
                }
                // Without a program and without a terminal the input is at its end at once.
                None => return CommandPoll::Exited(0),
            },
        };
        if self.is_python() {
            let decided = python::decided(&source, &|name| io.variable(name));
            return self.run(&decided, io);
        }
        self.run(&source, io)
    }

    /// Runs a program up to its first pause, if it goes straight on from there.
    fn run_to_pause(&mut self, source: &str, io: &mut CommandIo<'_>) -> Option<CommandPoll> {
        let (before, after) = source.split_once("time.sleep(").filter(|_| self.is_python())?;
        let (seconds, rest) = after.split_once(')')?;
        let seconds: f64 = seconds.trim().parse().ok()?;
        let has_loop = ["for ", "while ", "def "].iter().any(|word| source.contains(word));
        let ends = ["exit(", "raise "].iter().any(|sign| before.contains(sign));
        if has_loop || ends || !(0.0..1e9).contains(&seconds) {
            return None;
        }
        for line in printed(before) {
            io.out(&format!("{line}\n"));
        }
        let until = io.now() + Duration::from_secs_f64(seconds);
        self.later = Some((until, rest.to_owned()));
        Some(CommandPoll::Until(until))
    }

    fn read(&self, file: &str, io: &mut CommandIo<'_>) -> Result<String, i32> {
        let path = io.path(file);
        match io.files(|files| files.read(&path)) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                let (text, code) = match self.name.as_str() {
                    "node" => (
                        format!(
                            "node:internal/modules/cjs/loader:1404\n  throw err;\n  ^\n\nError: Cannot find module '{path}'\n    at Function._resolveFilename (node:internal/modules/cjs/loader:1401:15) {{\n  code: 'MODULE_NOT_FOUND',\n  requireStack: []\n}}\n\nNode.js v{}\n",
                            self.surroundings.tag
                        ),
                        1,
                    ),
                    name if name.starts_with("python") => {
                        (format!("{name}: can't open file '{path}': [Errno 2] {error}\n"), 2)
                    }
                    "java" => (format!("Error: Unable to access jarfile {file}\n"), 1),
                    "php" => (format!("Could not open input file: {file}\n"), 1),
                    name => (format!("{name}: {file}: {error}\n"), 2),
                };
                io.write(2, text.as_bytes());
                Err(code)
            }
        }
    }

    fn run(&mut self, source: &str, io: &mut CommandIo<'_>) -> CommandPoll {
        if let Some(digits) = number_after(source, "bpi(") {
            io.out(&format!("{}\n", pi(usize::try_from(digits).unwrap_or(0).min(PI_DIGITS_MAX))));
            return CommandPoll::Exited(0);
        }
        if let Some(poll) = self.run_to_pause(source, io) {
            return poll;
        }
        for line in printed(source) {
            io.out(&format!("{line}\n"));
        }
        let signs = [
            ".listen(",
            "PORT || ",
            "port: ",
            "port=",
            "port = ",
            "PORT = ",
            "HTTPServer((",
            "bind((",
            "app.run(",
            "ListenAndServe(\":",
        ];
        let port = signs.iter().find_map(|sign| number_after(source, sign)).and_then(|port| u16::try_from(port).ok());
        let served = port.filter(|port| *port > 0).or_else(|| {
            let serves = source.contains("createServer(") || source.contains("app.listen");
            self.surroundings.declared.first().copied().filter(|_| serves)
        });
        if let Some(port) = served {
            self.listen(
                port,
                HttpDefinition {
                    paths: [("*".to_owned(), "{hostname}\n".to_owned())].into(),
                    ..HttpDefinition::default()
                },
            );
            return CommandPoll::Again;
        }
        let endless = ["while True", "while(true)", "while (true)", "setInterval(", "for (;;)", "while 1", "loop do"];
        if endless.iter().any(|sign| source.contains(sign)) {
            self.stays = true;
            return CommandPoll::Forever;
        }
        let code = ["process.exit(", "sys.exit(", "exit("].iter().find_map(|sign| number_after(source, sign));
        let raises = source
            .lines()
            .any(|line| line.trim_start().starts_with("raise ") || line.trim_start().starts_with("throw "));
        CommandPoll::Exited(code.map_or(i32::from(raises), |code| i32::try_from(code & 0xff).unwrap_or(1)))
    }

    fn listen(&mut self, port: u16, http: HttpDefinition) {
        let definition = ServerDefinition {
            ports: vec![PortDefinition { port, ..PortDefinition::default() }],
            http: Some(http),
            memory: 30.0,
            cpu: 1,
            cpu_request: 2,
            ..ServerDefinition::default()
        };
        self.server = Some(Server::new(Arc::new(definition), Arc::clone(&self.surroundings)));
    }

    fn serve_files(&mut self, arguments: &[String], io: &mut CommandIo<'_>) -> CommandPoll {
        let port = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(8000);
        let at = arguments.iter().position(|word| word == "--directory" || word == "-d");
        let root = at.and_then(|at| arguments.get(at + 1)).map_or(".", String::as_str);
        let files = Some(io.path(root));
        self.listen(port, HttpDefinition { files, lists: true, ..HttpDefinition::default() });
        CommandPoll::Again
    }
}

/// The number that follows a text.
fn number_after(source: &str, sign: &str) -> Option<i64> {
    source.match_indices(sign).find_map(|(at, _)| {
        let rest = source[at + sign.len()..].trim_start();
        // An address may stand before a port: `('', 8000)`.
        let rest = rest
            .strip_prefix("'',")
            .or_else(|| rest.strip_prefix("\"\","))
            .or_else(|| rest.strip_prefix("\"0.0.0.0\","));
        let rest = rest.unwrap_or(source[at + sign.len()..].trim_start()).trim_start();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

/// The string literals that a program prints.
fn printed(source: &str) -> Vec<String> {
    let signs = [
        "print(",
        "console.log(",
        "console.error(",
        "println!(",
        "Println(",
        "System.out.println(",
        "puts ",
        "print ",
        "echo ",
    ];
    let mut found = Vec::new();
    for line in source.split(['\n', ';']).map(str::trim) {
        let Some(rest) = signs.iter().find_map(|sign| line.strip_prefix(sign)) else {
            continue;
        };
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else {
            continue;
        };
        if let Some(end) = rest[1..].find(quote) {
            found.push(rest[1..=end].replace("\\n", "\n"));
        }
    }
    found
}

/// Pi with so many digits, the last one rounded as `bpi` does.
fn pi(digits: usize) -> String {
    let digits = digits.max(1);
    let mut exact = spigot(digits + 1).into_bytes();
    if exact.pop().is_some_and(|next| next >= b'5') {
        let mut at = exact.len();
        while at > 0 {
            at -= 1;
            if exact[at] < b'9' {
                exact[at] += 1;
                break;
            }
            exact[at] = b'0';
        }
    }
    let mut out: String = exact.into_iter().map(char::from).collect();
    if out.len() > 1 {
        out.insert(1, '.');
    }
    out
}

/// The digits of pi, by the spigot of Rabinowitz and Wagon.
fn spigot(digits: usize) -> String {
    let length = digits * 10 / 3 + 2;
    let mut remainders = vec![2_u64; length];
    let (mut out, mut nines, mut held): (String, usize, Option<u64>) = (String::new(), 0, None);
    for _ in 0..=digits + 1 {
        let mut carry = 0;
        for index in (0..length).rev() {
            let value = remainders[index] * 10 + carry * (index as u64 + 1);
            let divisor = if index == 0 { 10 } else { 2 * index as u64 + 1 };
            remainders[index] = value % divisor;
            carry = value / divisor;
        }
        match carry {
            9 => nines += 1,
            10 => {
                out.extend(held.map(|digit| (digit + 1).to_string()));
                out.push_str(&"0".repeat(nines));
                (held, nines) = (Some(0), 0);
            }
            digit => {
                out.extend(held.map(|digit| digit.to_string()));
                out.push_str(&"9".repeat(nines));
                (held, nines) = (Some(digit), 0);
            }
        }
    }
    out.extend(held.map(|digit| digit.to_string()));
    out.truncate(digits);
    out
}

impl CommandRun for Language {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if let Some(server) = &mut self.server {
            return server.step(io);
        }
        if self.stays {
            return CommandPoll::Forever;
        }
        if let Some((until, source)) = self.later.take() {
            if until > io.now() {
                self.later = Some((until, source));
                return CommandPoll::Until(until);
            }
            return self.run(&source, io);
        }
        self.begin(io)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn signal(&mut self, _signal: Signal) -> SignalAction {
        SignalAction::Default
    }

    fn memory(&self, now: Time) -> u64 {
        self.server.as_ref().map_or(20 << 20, |server| server.memory(now))
    }

    fn processor(&self, now: Time) -> u32 {
        self.server.as_ref().map_or(0, |server| server.processor(now))
    }

    fn processor_at_rest(&self, now: Time) -> u32 {
        self.server.as_ref().map_or(0, |server| server.processor_at_rest(now))
    }

    fn spent(&self) -> u64 {
        self.server.as_ref().map_or(0, CommandRun::spent)
    }

    fn listens(&self, port: u16, now: Time) -> bool {
        self.server.as_ref().is_some_and(|server| server.listens(port, now))
    }

    fn ports(&self) -> Vec<u16> {
        self.server.as_ref().map(Server::ports).unwrap_or_default()
    }

    fn connect(&mut self, request: &HttpRequest, io: &mut CommandIo<'_>) -> NetworkAnswer {
        match &mut self.server {
            Some(server) => server.connect(request, io),
            None => NetworkAnswer::Refused { address: String::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_pi() {
        assert_eq!(pi(20), "3.1415926535897932385");
        assert!(pi(1000).ends_with("216420199"), "{}", pi(1000));
        assert_eq!(pi(0), "3");
    }

    #[test]
    fn appearances() {
        assert_eq!(printed("print(\"a\"); print('b')\nx = print\n  console.log(`c`)"), ["a", "b", "c"]);
        assert_eq!(number_after("HTTPServer(('', 8000), H)", "HTTPServer(("), Some(8000));
        assert_eq!(number_after("app.listen(process.env.PORT || 3000)", "PORT || "), Some(3000));
    }
}
