//! What processes need from the world around them, and what that world can give them to run.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::files::FileSystem;
use super::io::CommandIo;
use super::scripts::Scripts;
use super::table::Pid;
use crate::machinery::time::Time;

/// The world around the processes of one container, or of the page's terminal.
pub trait Host {
    /// The simulated time.
    fn now(&self) -> Time;
    /// Random bits for `$RANDOM` and the like.
    fn random(&mut self) -> u64;
    /// Runs `work` on the files. A closure, as a view of files borrows the host.
    fn with_files(&mut self, work: &mut dyn FnMut(&mut FileSystem<'_>));
    /// What runs under a name or path. `argv` holds the name and the arguments.
    fn lookup(&mut self, name: &str, argv: &[String]) -> Lookup;
    /// The host name.
    fn hostname(&self) -> String;
    /// The host's own IP addresses.
    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }
    /// What programs of the host's own work with besides, such as a whole cluster for kubectl.
    fn world(&mut self) -> Option<&mut dyn Any> {
        None
    }
    /// The version of the busybox that the utilities are, where they are one whose version is known.
    fn busybox_version(&self) -> Option<(u32, u32)> {
        None
    }
    /// Scripts that were read already; `None` reads each one anew.
    fn scripts(&mut self) -> Option<&mut Scripts> {
        None
    }
    /// Who runs the processes.
    fn user(&self) -> User {
        User::root()
    }
    /// What has to be added to the numbers of processes for what they see of themselves: they are not alone in their
    /// process namespace.
    fn first_process(&self) -> Pid {
        0
    }
    /// The processes that others have in the same namespace.
    fn other_processes(&self) -> Vec<(Pid, Pid, String, Time)> {
        Vec::new()
    }
    /// Sends a signal to a process of somebody else; whether there is such a process.
    fn signal_other(&mut self, _pid: Pid, _signal: Option<Signal>) -> bool {
        false
    }
    /// Whether some other process listens on a port.
    fn port_in_use(&self, _port: u16) -> bool {
        false
    }
    /// What `nproc` and `free` show.
    fn machine(&self) -> Machine {
        Machine { processors: 4, processor_millis: 4_000, memory_bytes: 8 << 30 }
    }
}

/// A user, as `id` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: i64,
    /// Its group's number.
    pub group: i64,
    /// The other groups that it is in.
    pub groups: Vec<i64>,
    /// Its name, if `/etc/passwd` knows it.
    pub name: Option<String>,
}

impl User {
    /// root.
    #[must_use]
    pub fn root() -> Self {
        Self { id: 0, group: 0, groups: Vec::new(), name: Some("root".to_owned()) }
    }
}

/// The machine that processes see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Processors.
    pub processors: u32,
    /// How much of them processes may use, in thousandths of one.
    pub processor_millis: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Nothing.
    Missing,
    /// One of the utilities of this room, by its own name.
    Utility,
    /// A shell.
    Shell(Flavor),
    /// A shell script that belongs to an image.
    Script(Arc<str>),
    /// A program of the host's own.
    Run(Box<dyn CommandRun>),
}

/// Which shell: they differ in messages and in a few habits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// busybox's ash.
    Ash,
    /// Debian's dash.
    Dash,
    /// bash.
    Bash,
}

/// A running program that is not a shell script. It is stepped until it exits; between steps it may wait.
pub trait CommandRun: fmt::Debug + Send + Sync {
    /// Goes on until it exits, has to wait, or did a fair share of work.
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll;
    /// A copy, as every process is part of a cluster that can be copied.
    fn clone_box(&self) -> Box<dyn CommandRun>;
    /// What it does with a signal.
    fn signal(&mut self, _signal: Signal) -> SignalAction {
        SignalAction::Default
    }
    /// Whether it stands for a terminal elsewhere, so that Ctrl-C is meant for that.
    fn has_terminal(&self) -> bool {
        false
    }
    /// Memory in use, in bytes.
    fn memory(&self, _now: Time) -> u64 {
        512 << 10
    }
    /// Processor time in use, in thousandths of a processor.
    fn processor(&self, _now: Time) -> u32 {
        0
    }
    /// The same without what the requests that it answers cost, which [`Self::spent`] counts.
    fn processor_at_rest(&self, now: Time) -> u32 {
        self.processor(now)
    }
    /// Processor time that its requests have cost since it began, in milliseconds.
    fn spent(&self) -> u64 {
        0
    }
    /// Whether it answers on a TCP port by now.
    fn listens(&self, _port: u16, _now: Time) -> bool {
        false
    }
    /// The ports it answers on or is about to.
    fn ports(&self) -> Vec<u16> {
        Vec::new()
    }
    /// Answers a request that came in on a port it listens on.
    fn connect(&mut self, _request: &HttpRequest, _io: &mut CommandIo<'_>) -> NetworkAnswer {
        NetworkAnswer::Refused { address: String::new() }
    }
}

impl Clone for Box<dyn CommandRun> {
    fn clone(&self) -> Self {
        self.clone_box()
    }
}

/// How far a program came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandPoll {
    /// It ended with this code.
    Exited(i32),
    /// It can go on at once, after others had their turn.
    Again,
    /// It goes on when there is something to read on this descriptor.
    Readable(u32),
    /// It goes on when there is something to read on this descriptor, and at this time whether or not there is.
    ReadableUntil(u32, Time),
    /// It goes on when there is room to write on this descriptor.
    Writable(u32),
    /// It goes on at this time.
    Until(Time),
    /// It goes on when some file was written.
    Files,
    /// It does nothing until a signal comes.
    Forever,
    /// It goes on when the network answered, or has not until then.
    Network(NetworkRequest, Option<Time>),
    /// It goes on when this command, run with its own descriptors, ended, or has not until then.
    Run(Vec<String>, Option<Time>),
    /// It becomes this command.
    Exec(Vec<String>),
}

/// Signals that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// `HUP`, 1.
    Hangup,
    /// `INT`, 2.
    Interrupt,
    /// `QUIT`, 3.
    Quit,
    /// `KILL`, 9.
    Kill,
    /// `USR1`, 10.
    User1,
    /// `USR2`, 12.
    User2,
    /// `PIPE`, 13.
    Pipe,
    /// `ALRM`, 14.
    Alarm,
    /// `TERM`, 15.
    Terminate,
}

/// Every signal with its number and name.
const SIGNALS: [(Signal, i32, &str); 9] = [
    (Signal::Hangup, 1, "HUP"),
    (Signal::Interrupt, 2, "INT"),
    (Signal::Quit, 3, "QUIT"),
    (Signal::Kill, 9, "KILL"),
    (Signal::User1, 10, "USR1"),
    (Signal::User2, 12, "USR2"),
    (Signal::Pipe, 13, "PIPE"),
    (Signal::Alarm, 14, "ALRM"),
    (Signal::Terminate, 15, "TERM"),
];

impl Signal {
    /// The signal of a name, with or without `SIG`, or of a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        SIGNALS.iter().find(|(_, number, known)| *known == name || number.to_string() == name).map(|found| found.0)
    }

    /// Its number in Linux.
    #[must_use]
    pub fn number(self) -> i32 {
        SIGNALS.iter().find(|found| found.0 == self).map_or(0, |found| found.1)
    }

    /// Its name without `SIG`.
    #[must_use]
    pub fn name(self) -> &'static str {
        SIGNALS.iter().find(|found| found.0 == self).map_or("", |found| found.2)
    }

    /// The exit code of a process that this signal ended.
    #[must_use]
    pub fn exit_code(self) -> i32 {
        128 + self.number()
    }
}

/// What a program does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalAction {
    /// It has no handler: it dies, unless it is process 1, which the kernel spares.
    Default,
    /// It goes on.
    Ignore,
    /// It goes on, and is stepped at once to do something about it.
    Wake,
    /// It ends with this code.
    Exit(i32),
}

/// A request that leaves a process over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkRequest {
    /// An HTTP request.
    Http(HttpRequest),
    /// Whether a TCP port answers.
    Connect {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// An echo request.
    Ping {
        /// A name or an address.
        host: String,
    },
    /// What a name stands for.
    Resolve(Question),
}

impl NetworkRequest {
    /// The name or address it goes to.
    #[must_use]
    pub fn host(&self) -> &str {
        match self {
            Self::Http(request) => &request.host,
            Self::Connect { host, .. } | Self::Ping { host } => host,
            Self::Resolve(question) => &question.name,
        }
    }

    /// The address that it connects to: the one that its name was found to have, or the host itself.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Http(request) if !request.address.is_empty() => &request.address,
            other => other.host(),
        }
    }

    /// The port that it connects to.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Http(HttpRequest { port, .. }) | Self::Connect { port, .. } => Some(*port),
            Self::Ping { .. } | Self::Resolve(_) => None,
        }
    }
}

/// What a record of the domain name system tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordKind {
    /// An IPv4 address.
    #[default]
    A,
    /// An IPv6 address.
    Aaaa,
    /// The name that another name stands for.
    Cname,
    /// The name of an address.
    Ptr,
    /// Port and name of a service.
    Srv,
    /// A text.
    Txt,
}

/// Every kind of record with its name.
const RECORD_KINDS: [(RecordKind, &str); 6] = [
    (RecordKind::A, "A"),
    (RecordKind::Aaaa, "AAAA"),
    (RecordKind::Cname, "CNAME"),
    (RecordKind::Ptr, "PTR"),
    (RecordKind::Srv, "SRV"),
    (RecordKind::Txt, "TXT"),
];

impl RecordKind {
    /// The kind of a name, in capitals or not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        RECORD_KINDS.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|found| found.0)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        RECORD_KINDS.iter().find(|found| found.0 == self).map_or("", |found| found.1)
    }
}

/// A record of the domain name system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The full name, without a dot at its end.
    pub name: String,
    /// What it tells.
    pub kind: RecordKind,
    /// The address, the name, or what else it tells.
    pub data: String,
}

/// A question to the domain name system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The name as somebody typed it.
    pub name: String,
    /// What is asked for.
    pub kind: RecordKind,
    /// Whether the domains of `/etc/resolv.conf` are tried.
    pub search: bool,
    /// Whether `/etc/hosts` is asked first, as programs do and the tools for DNS do not.
    pub hosts_file: bool,
    /// The server to ask in place of that of `/etc/resolv.conf`.
    pub server: Option<String>,
}

impl Question {
    /// What a program asks that wants to connect to a name: `getaddrinfo`.
    #[must_use]
    pub fn address(name: &str) -> Self {
        Self { name: name.to_owned(), search: true, hosts_file: true, ..Self::default() }
    }
}

/// What stands in place of a method when a program sends bytes over a connection and speaks no HTTP.
const RAW: &str = "TCP";

/// An HTTP request, or bytes that are sent over a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET` and the like.
    pub method: String,
    /// Whether over TLS.
    pub secure: bool,
    /// A name or an address.
    pub host: String,
    /// The address that the name was found to have. When it is empty, whoever carries the request finds it.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The path with its query.
    pub path: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The address it comes from, as the server sees it.
    pub client: String,
}

impl HttpRequest {
    /// A `GET` of a path.
    #[must_use]
    pub fn get(host: &str, port: u16, path: &str) -> Self {
        Self { method: "GET".to_owned(), host: host.to_owned(), port, path: path.to_owned(), ..Self::default() }
    }

    /// Bytes that are sent to a port, in whatever language the server speaks. Its answer is the body of an HTTP answer.
    #[must_use]
    pub fn raw(host: &str, port: u16, text: &str) -> Self {
        Self { method: RAW.to_owned(), body: text.as_bytes().to_vec(), ..Self::get(host, port, "") }
    }

    /// Whether it is bytes and not HTTP.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.method == RAW
    }

    /// A request for a URL; the scheme may be missing.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        let (secure, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return None,
            None => (false, url),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) =
            match authority.rsplit_once(':').filter(|(host, _)| !host.ends_with(':') && !host.contains("::")) {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (authority, if secure { 443 } else { 80 }),
            };
        let host = host.trim_matches(['[', ']']);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (!host.is_empty()).then(|| Self { secure, ..Self::get(host, port, &path) })
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// An HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the server took.
    pub latency: Duration,
    /// How much processor time that cost it.
    pub processor_time: Duration,
    /// The address that answered; whoever routes the request fills it in.
    pub address: String,
}

impl HttpAnswer {
    /// An answer with a text.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into().into_bytes(), ..Self::default() }
    }

    /// The words after a status code.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            201 => "Created",
            204 => "No Content",
            301 => "Moved Permanently",
            302 => "Found",
            304 => "Not Modified",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            409 => "Conflict",
            429 => "Too Many Requests",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "",
        }
    }
}

/// What came of a network request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkAnswer {
    /// An HTTP server answered.
    Http(HttpAnswer),
    /// The port is open, or the host is there; who has the connection but speaks no HTTP sends this too.
    Connected {
        /// The address that answered.
        address: String,
    },
    /// The name is known, and this is what is known of it: nothing, when it has no record of the kind.
    Resolved {
        /// The server that said so, with its port: `10.96.0.10:53`.
        server: String,
        /// The records, aliases first.
        records: Vec<Record>,
    },
    /// No such name.
    NameUnknown {
        /// The server that said so.
        server: String,
    },
    /// Nothing listens there.
    Refused {
        /// The address that refused.
        address: String,
    },
    /// Nothing answers.
    TimedOut {
        /// The address that does not.
        address: String,
    },
    /// There is no way to it.
    Unreachable {
        /// The address that nobody has.
        address: String,
    },
    /// The connection was cut.
    Reset,
    /// The server passes the request on to another, as a proxy does. Whoever carries requests carries this one on and
    /// gives its answer to who asked.
    Forward(Box<HttpRequest>),
}
