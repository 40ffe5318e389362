//! Clients of databases: what is typed at them goes to a server as raw requests, and what it answers is shown.
//!
//! `redis-cli`, `mysql`, `psql`, `mongosh`, and the tools of RabbitMQ. What a statement comes to is the server's to say
//! (`store`); here is how each is called, where it connects to, its prompts, and what it says when nobody is there.

mod arguments;

use std::collections::VecDeque;
use std::time::Duration;

use crate::machinery::shell::{
    CommandIo, CommandPoll, CommandRun, HttpAnswer, HttpRequest, Input, NetworkAnswer, NetworkRequest, Signal,
    SignalAction,
};
use crate::machinery::time::Time;

/// How long a client tries to connect.
const PATIENCE: Duration = Duration::from_secs(130);
/// How often a client asks again that waits for something to come.
const POLL: Duration = Duration::from_millis(200);

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Redis,
    MySql,
    Postgres,
    Mongo,
    Rabbit,
}

/// The client of a name, for machines that are no containers.
#[must_use]
pub fn program(name: &str) -> Option<Box<dyn CommandRun>> {
    let is_offered = matches!(name, "redis-cli" | "mysql" | "psql" | "mongosh" | "mongo");
    Client::named(name, "").filter(|_| is_offered).map(|client| -> Box<dyn CommandRun> { Box::new(client) })
}

/// A running client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    dialect: Dialect,
    name: String,
    version: String,
    host: String,
    port: u16,
    headers: Vec<(String, String)>,
    statements: VecDeque<String>,
    /// Whether all statements stood on the command line.
    is_single: bool,
    began: bool,
    is_interactive: bool,
    asks_password: bool,
    typed: String,
    prompted: bool,
    under_way: Option<String>,
    waits_since: Option<Time>,
    again: Option<String>,
    code: i32,
}

impl Client {
    /// The client of a name; `tag` is that of the image it is from.
    pub(super) fn named(name: &str, tag: &str) -> Option<Self> {
        let (dialect, port, usual) = match name {
            "redis-cli" | "valkey-cli" => (Dialect::Redis, 6379, "8.2.3"),
            "mysql" | "mariadb" => (Dialect::MySql, 3306, "9.5.0"),
            "psql" => (Dialect::Postgres, 5432, "18.1"),
            "mongosh" | "mongo" => (Dialect::Mongo, 27017, "2.5.9"),
            "rabbitmqctl"
            | "rabbitmq-diagnostics"
            | "rabbitmqadmin"
            | "amqp-declare-queue"
            | "amqp-publish"
            | "amqp-get"
            | "amqp-delete-queue" => (Dialect::Rabbit, 5672, "4.2.0"),
            _ => return None,
        };
        let end = tag.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(tag.len());
        let version = if end == 0 || dialect == Dialect::Mongo { usual } else { &tag[..end] };
        Some(Self {
            dialect,
            name: name.to_owned(),
            version: version.to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
            headers: Vec::new(),
            statements: VecDeque::new(),
            is_single: false,
            began: false,
            is_interactive: false,
            asks_password: false,
            typed: String::new(),
            prompted: false,
            under_way: None,
            waits_since: None,
            again: None,
            code: 0,
        })
    }

    fn is_local(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "")
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Reads the command line; the exit code when there is nothing more to do.
    fn begin(&mut self, io: &mut CommandIo<'_>) -> Option<i32> {
        let given = io.arguments();
        let asks_version = ["--version", "-V"].iter().any(|flag| given.iter().any(|word| word == flag));
        if asks_version || (given.iter().any(|word| word == "-v") && self.dialect == Dialect::Redis) {
            let version = &self.version;
            io.out(&match self.dialect {
                Dialect::Redis => format!("redis-cli {version}\n"),
                Dialect::MySql => {
                    format!("{}  Ver {version} for Linux on x86_64 (MySQL Community Server - GPL)\n", self.name)
                }
                Dialect::Postgres => format!("psql (PostgreSQL) {version}\n"),
                Dialect::Mongo | Dialect::Rabbit => format!("{version}\n"),
            });
            return Some(0);
        }
        if let Err(text) = self.read_arguments(&given, io) {
            io.write(2, text.as_bytes());
            return Some(1);
        }
        self.is_interactive = !self.is_single && io.is_terminal(0);
        if self.is_local() {
            self.set("local", "yes");
        }
        if self.is_interactive {
            self.set("interactive", "yes");
        }
        if io.is_terminal(1) {
            self.set("framed", "yes");
        }
        if self.dialect == Dialect::Redis {
            let format = if io.is_terminal(1) && self.get("raw").is_empty() { "people" } else { "scripts" };
            self.set("format", format);
        } else if !self.is_single {
            // Whether the server lets it in shows at once.
            self.statements.push_front(String::new());
        }
        None
    }

    fn request(&self, text: &str) -> CommandPoll {
        let host = if self.is_local() { "127.0.0.1" } else { &self.host };
        let mut request = HttpRequest::raw(host, self.port, text);
        request.headers.clone_from(&self.headers);
        CommandPoll::Network(NetworkRequest::Http(request), None)
    }

    fn prompt(&self) -> String {
        match self.dialect {
            Dialect::Redis => format!("{}:{}> ", self.host, self.port),
            Dialect::MySql if self.typed.trim().is_empty() => "mysql> ".to_owned(),
            Dialect::MySql => "    -> ".to_owned(),
            Dialect::Postgres => {
                let sign = if self.typed.trim().is_empty() { "=" } else { "-" };
                format!("{}{sign}# ", self.get("database"))
            }
            Dialect::Mongo => match self.get("database") {
                "" => "test> ".to_owned(),
                name => format!("{name}> "),
            },
            Dialect::Rabbit => String::new(),
        }
    }

    /// What the client says when it is let in.
    fn greeting(&self) -> String {
        let version = &self.version;
        match self.dialect {
            Dialect::MySql => format!(
                "Welcome to the MySQL monitor.  Commands end with ; or \\g.\nYour MySQL connection id is 8\nServer version: {version} MySQL Community Server - GPL\n\nType 'help;' or '\\h' for help. Type '\\c' to clear the current input statement.\n\n"
            ),
            Dialect::Postgres => format!("psql ({version})\nType \"help\" for help.\n\n"),
            Dialect::Mongo => format!(
                "Connecting to:\t\tmongodb://{}:{}/?directConnection=true&serverSelectionTimeoutMS=2000&appName=mongosh+{version}\nUsing Mongosh:\t\t{version}\n\n",
                self.host, self.port
            ),
            Dialect::Redis | Dialect::Rabbit => String::new(),
        }
    }

    /// Why there is no connection, as the client says it, and its exit code.
    fn no_connection(&self, answer: Option<&NetworkAnswer>) -> (String, i32) {
        let (host, port) = (&self.host, self.port);
        let is_unknown = matches!(answer, Some(NetworkAnswer::NameUnknown { .. }));
        let is_refused = matches!(answer, Some(NetworkAnswer::Refused { .. }));
        let address = match answer {
            Some(NetworkAnswer::Refused { address } | NetworkAnswer::TimedOut { address }) => address.as_str(),
            _ => host,
        };
        let why = match answer {
            _ if is_unknown => "Name or service not known",
            _ if is_refused => "Connection refused",
            Some(NetworkAnswer::Unreachable { .. }) => "No route to host",
            Some(NetworkAnswer::TimedOut { .. }) | None => "Connection timed out",
            _ => "Connection reset by peer",
        };
        match self.dialect {
            Dialect::Redis => (format!("Could not connect to Redis at {host}:{port}: {why}\n"), 1),
            Dialect::MySql if self.is_local() && host != "127.0.0.1" => (
                "ERROR 2002 (HY000): Can't connect to local MySQL server through socket '/var/run/mysqld/mysqld.sock' (2)\n".to_owned(),
                1,
            ),
            Dialect::MySql if is_unknown => (format!("ERROR 2005 (HY000): Unknown MySQL server host '{host}' (-2)\n"), 1),
            Dialect::MySql => {
                let number = if is_refused { 111 } else { 110 };
                (format!("ERROR 2003 (HY000): Can't connect to MySQL server on '{host}:{port}' ({number})\n"), 1)
            }
            Dialect::Postgres if host.is_empty() => (
                format!("psql: error: connection to server on socket \"/var/run/postgresql/.s.PGSQL.{port}\" failed: No such file or directory\n\tIs the server running locally and accepting connections on that socket?\n"),
                2,
            ),
            Dialect::Postgres if is_unknown => {
                (format!("psql: error: could not translate host name \"{host}\" to address: {why}\n"), 2)
            }
            Dialect::Postgres => (
                format!("psql: error: connection to server at \"{host}\" ({address}), port {port} failed: {why}\n\tIs the server running on that host and accepting TCP/IP connections?\n"),
                2,
            ),
            Dialect::Mongo if is_unknown => (format!("MongoNetworkError: getaddrinfo ENOTFOUND {host}\n"), 1),
            Dialect::Mongo if is_refused => (format!("MongoNetworkError: connect ECONNREFUSED {address}:{port}\n"), 1),
            Dialect::Mongo => ("MongoServerSelectionError: Server selection timed out after 30000 ms\n".to_owned(), 1),
            Dialect::Rabbit if self.name.starts_with("rabbitmq") => {
                ("Error: unable to perform an operation on node. Please see diagnostics information and suggestions below.\n".to_owned(), 69)
            }
            Dialect::Rabbit => (format!("opening socket to {host}:{port}: {why}\n"), 1),
        }
    }

    /// Deals with what came back; a poll when the client goes or waits.
    fn answered(&mut self, statement: String, io: &mut CommandIo<'_>) -> Option<CommandPoll> {
        let answer = match io.take_answer() {
            Some(NetworkAnswer::Http(answer)) => answer,
            other => {
                let (text, code) = self.no_connection(other.as_ref());
                io.write(2, text.as_bytes());
                // At a prompt redis-cli tries again with the next command.
                if self.dialect == Dialect::Redis && self.is_interactive {
                    return None;
                }
                return Some(CommandPoll::Exited(code));
            }
        };
        if answer.status == 202 {
            return self.wait(statement, &answer, io);
        }
        self.waits_since = None;
        for (name, value) in &answer.headers {
            if matches!(name.as_str(), "database" | "password") {
                self.set(name, value);
            }
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status == 401 {
            return Some(self.sent_away(&text, io));
        }
        if statement.is_empty() && self.is_interactive {
            let greeting = self.greeting();
            io.out(&greeting);
        }
        if answer.status == 400 && self.dialect != Dialect::Redis {
            let (said, error) = text.split_once('\0').unwrap_or(("", &text));
            io.out(said);
            io.write(2, error.as_bytes());
            if !self.is_interactive && self.dialect != Dialect::Postgres || self.is_single {
                return Some(CommandPoll::Exited(1));
            }
            return None;
        }
        io.out(&text);
        None
    }

    fn wait(&mut self, statement: String, answer: &HttpAnswer, io: &mut CommandIo<'_>) -> Option<CommandPoll> {
        let now = io.now();
        let since = *self.waits_since.get_or_insert(now);
        let most: f64 = String::from_utf8_lossy(&answer.body).trim().parse().unwrap_or(0.0);
        if most > 0.0 && now.since(since).as_secs_f64() >= most {
            self.waits_since = None;
            io.out(if self.get("format") == "people" { "(nil)\n" } else { "\n" });
            return None;
        }
        self.again = Some(statement);
        // Who waits for long looks less often.
        let pause = if now.since(since).as_secs() < 10 { POLL } else { POLL * 5 };
        Some(CommandPoll::Until(now + pause))
    }

    /// The server does not let the client in.
    fn sent_away(&self, text: &str, io: &mut CommandIo<'_>) -> CommandPoll {
        if self.dialect != Dialect::Postgres {
            io.write(2, text.as_bytes());
            return CommandPoll::Exited(if self.name == "amqp-get" { 2 } else { 1 });
        }
        let at = if self.host.is_empty() {
            format!("on socket \"/var/run/postgresql/.s.PGSQL.{}\"", self.port)
        } else {
            format!("at \"{}\", port {}", self.host, self.port)
        };
        io.write(2, format!("psql: error: connection to server {at} failed: {text}").as_bytes());
        CommandPoll::Exited(2)
    }

    /// Takes the complete statements of what was typed.
    fn take_typed(&mut self, is_end: bool) -> bool {
        let is_sql = matches!(self.dialect, Dialect::MySql | Dialect::Postgres);
        let mut leaves = false;
        while let Some(end) = self.typed.find('\n') {
            let first = self.typed[..end].trim().to_owned();
            let word = first.trim_end_matches(';').trim();
            if matches!(word, "exit" | "quit" | "\\q" | "exit()" | "quit()" | "exit 0") {
                leaves = true;
                self.typed.drain(..=end);
                break;
            }
            let is_command = first.starts_with('\\') && is_sql;
            let is_use = self.dialect == Dialect::MySql && first.to_ascii_lowercase().starts_with("use ");
            if !is_sql || is_command || is_use || first.is_empty() {
                self.typed.drain(..=end);
                if !first.is_empty() {
                    self.statements.push_back(arguments::meta(&first));
                }
                continue;
            }
            let Some(at) = statement_end(&self.typed) else { break };
            let statement: String = self.typed.drain(..at).collect();
            self.statements.push_back(statement.trim().to_owned());
            if self.typed.starts_with('\n') {
                self.typed.remove(0);
            }
        }
        if is_end && !self.typed.trim().is_empty() && !leaves {
            let rest = std::mem::take(&mut self.typed);
            self.statements.push_back(arguments::meta(rest.trim()));
        }
        leaves
    }

    fn read(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if self.is_interactive && !self.prompted {
            self.prompted = true;
            let prompt = self.prompt();
            io.out(&prompt);
        }
        let is_end = match io.read(0, 16 << 10) {
            Input::Data(bytes) => {
                self.typed.push_str(&String::from_utf8_lossy(&bytes));
                false
            }
            Input::End => true,
            Input::Pending => return CommandPoll::Readable(0),
        };
        if !is_end && self.typed.ends_with('\n') {
            self.prompted = false;
        }
        let leaves = self.take_typed(is_end);
        if is_end || leaves {
            self.is_single = true;
        }
        if leaves && self.dialect == Dialect::MySql && self.is_interactive {
            io.out("Bye\n");
        }
        CommandPoll::Again
    }
}

/// Where the first statement ends: after its semicolon, outside of quotes.
fn statement_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            None if c == ';' => return Some(at + 1),
            None if c == '\\' && matches!(chars.peek(), Some((_, 'G' | 'g'))) => return Some(at + 2),
            None => {}
        }
    }
    None
}

impl CommandRun for Client {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if !std::mem::replace(&mut self.began, true)
            && let Some(code) = self.begin(io)
        {
            return CommandPoll::Exited(code);
        }
        if self.asks_password {
            match io.read(0, 1024) {
                Input::Data(bytes) => {
                    let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                    self.set("password", &line);
                }
                Input::End => {}
                Input::Pending => return CommandPoll::Readable(0),
            }
            self.asks_password = false;
            io.out("\n");
        }
        if let Some(statement) = self.under_way.take()
            && let Some(poll) = self.answered(statement, io)
        {
            return poll;
        }
        if let Some(statement) = self.again.take().or_else(|| self.statements.pop_front()) {
            let poll = self.request(&statement);
            self.under_way = Some(statement);
            return match poll {
                CommandPoll::Network(request, _) => CommandPoll::Network(request, Some(io.now() + PATIENCE)),
                other => other,
            };
        }
        if self.is_single {
            return CommandPoll::Exited(self.code);
        }
        self.read(io)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn signal(&mut self, _signal: Signal) -> SignalAction {
        SignalAction::Default
    }

    fn memory(&self, _now: Time) -> u64 {
        4 << 20
    }
}
