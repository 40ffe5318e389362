//! How each client is called.

use super::{Client, Dialect};
use crate::machinery::shell::CommandIo;

/// An option with its value, or a word besides.
type Given = (Option<String>, String);

/// Reads a command line. `valued` takes the next word, `attached` only what is written right after the letter.
fn options(words: &[String], valued: &str, attached: &str) -> Vec<Given> {
    let is_of = |list: &str, name: &str| list.split(' ').any(|known| known == name);
    let (mut given, mut left) = (Vec::new(), words.iter());
    while let Some(word) = left.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None if is_of(valued, long) => (long, left.next().cloned().unwrap_or_default()),
                None => (long, String::new()),
            };
            given.push((Some(name.to_owned()), value));
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            given.push((None, word.clone()));
            continue;
        };
        for (at, letter) in letters.char_indices() {
            let (name, rest) = (letter.to_string(), &letters[at + letter.len_utf8()..]);
            if is_of(attached, &name) {
                given.push((Some(name), rest.to_owned()));
                break;
            }
            if is_of(valued, &name) {
                let value = if rest.is_empty() { left.next().cloned().unwrap_or_default() } else { rest.to_owned() };
                given.push((Some(name), value));
                break;
            }
            given.push((Some(name), String::new()));
        }
    }
    given
}

/// A command of psql that begins with a backslash, as the server knows it.
pub(super) fn meta(text: &str) -> String {
    match text.strip_prefix('\\') {
        Some(rest) => format!("psql {}", rest.trim_end_matches(';').replace('+', "")),
        None => text.to_owned(),
    }
}

impl Client {
    pub(super) fn read_arguments(&mut self, given: &[String], io: &mut CommandIo<'_>) -> Result<(), String> {
        match self.dialect {
            Dialect::Redis => self.redis(given, io),
            Dialect::MySql => self.mysql(given, io),
            Dialect::Postgres => self.postgres(given, io),
            Dialect::Mongo => self.mongo(given),
            Dialect::Rabbit => self.rabbit(given),
        }
    }

    /// `scheme://user:password@host:port/database`.
    fn address(&mut self, url: &str) {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split('?').next().unwrap_or_default();
        let (rest, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        if let Some(login) = login {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            if !user.is_empty() {
                self.set("user", user);
            }
            self.set("password", password);
        }
        let (host, port) = place.split_once(':').unwrap_or((place, ""));
        if !host.is_empty() {
            host.clone_into(&mut self.host);
        }
        self.port = port.parse().unwrap_or(self.port);
        if !database.is_empty() && self.dialect != Dialect::Redis {
            self.set("database", database);
        }
    }

    fn one(&mut self, statement: String) {
        self.is_single = true;
        self.statements.push_back(statement);
    }

    fn redis(&mut self, given: &[String], io: &mut CommandIo<'_>) -> Result<(), String> {
        // What comes after the first word belongs to the command.
        let valued = "h p a n u i r t s user pass";
        let first = {
            let (mut at, mut first) = (0, given.len());
            while let Some(word) = given.get(at) {
                if !word.starts_with('-') {
                    first = at;
                    break;
                }
                let name = word.trim_start_matches('-');
                at += if valued.split(' ').any(|known| known == name) { 2 } else { 1 };
            }
            first
        };
        if let Some(password) = io.variable("REDISCLI_AUTH") {
            self.set("password", &password);
        }
        for (name, value) in options(&given[..first], valued, "") {
            match name.as_deref() {
                Some("h") => self.host = value,
                Some("p") => self.port = value.parse().unwrap_or(self.port),
                Some("a" | "pass") => {
                    if !given.iter().any(|word| word == "--no-auth-warning") {
                        io.write(2, b"Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n");
                    }
                    self.set("password", &value);
                }
                Some("u") => self.address(&value),
                Some("raw") => self.set("raw", "yes"),
                _ => {}
            }
        }
        let command: Vec<String> = given[first..]
            .iter()
            .map(|word| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")))
            .collect();
        if !command.is_empty() {
            self.one(command.join(" "));
        }
        Ok(())
    }

    fn mysql(&mut self, given: &[String], io: &mut CommandIo<'_>) -> Result<(), String> {
        "localhost".clone_into(&mut self.host);
        self.set("user", "root");
        if let Some(password) = io.variable("MYSQL_PWD") {
            self.set("password", &password);
        }
        if let Some(host) = io.variable("MYSQL_HOST") {
            self.host = host;
        }
        for (name, value) in options(given, "h P u D e host port user database execute protocol S socket", "p") {
            match name.as_deref() {
                Some("h" | "host") => self.host = value,
                Some("P" | "port") => self.port = value.parse().unwrap_or(self.port),
                Some("u" | "user") => self.set("user", &value),
                Some("p" | "password") if value.is_empty() => {
                    self.asks_password = io.is_terminal(0);
                    if self.asks_password {
                        io.out("Enter password: ");
                    }
                }
                Some("p" | "password") => {
                    if self.name == "mysql" {
                        io.write(
                            2,
                            b"mysql: [Warning] Using a password on the command line interface can be insecure.\n",
                        );
                    }
                    self.set("password", &value);
                }
                Some("D" | "database") | None => self.set("database", &value),
                Some("e" | "execute") => self.one(value),
                Some("N" | "skip-column-names") => self.set("tuples", "yes"),
                Some("t" | "table") => self.set("framed", "yes"),
                Some("E" | "vertical") => self.set("vertical", "yes"),
                _ => {}
            }
        }
        Ok(())
    }

    fn postgres(&mut self, given: &[String], io: &mut CommandIo<'_>) -> Result<(), String> {
        self.host = io.variable("PGHOST").unwrap_or_default();
        self.port = io.variable("PGPORT").and_then(|port| port.parse().ok()).unwrap_or(self.port);
        let user = io.variable("PGUSER").or_else(|| io.host.user().name).unwrap_or_else(|| "postgres".to_owned());
        self.set("user", &user);
        self.set("password", &io.variable("PGPASSWORD").unwrap_or_default());
        if let Some(database) = io.variable("PGDATABASE") {
            self.set("database", &database);
        }
        let mut words = 0;
        for (name, value) in options(given, "h p U d c f v host port username dbname command file set variable", "") {
            match name.as_deref() {
                Some("h" | "host") => self.host = value,
                Some("p" | "port") => self.port = value.parse().unwrap_or(self.port),
                Some("U" | "username") => self.set("user", &value),
                Some("d" | "dbname") | None if value.contains("://") => self.address(&value),
                Some("d" | "dbname") => self.set("database", &value),
                None if words == 0 => {
                    words += 1;
                    self.set("database", &value);
                }
                None => self.set("user", &value),
                Some("c" | "command") => self.one(meta(&value)),
                Some("l" | "list") => {
                    self.set("database", "postgres");
                    self.one("psql l".to_owned());
                }
                Some("f" | "file") => {
                    let path = io.path(&value);
                    let Ok(bytes) = io.files(|files| files.read(&path)) else {
                        return Err(format!("psql: error: {value}: No such file or directory\n"));
                    };
                    self.one(String::from_utf8_lossy(&bytes).into_owned());
                }
                Some("t" | "tuples-only") => self.set("tuples", "yes"),
                Some("A" | "no-align") => self.set("unaligned", "yes"),
                Some("q" | "quiet") => self.set("quiet", "yes"),
                _ => {}
            }
        }
        if self.get("database").is_empty() {
            let user = self.get("user").to_owned();
            self.set("database", &user);
        }
        Ok(())
    }

    fn mongo(&mut self, given: &[String]) -> Result<(), String> {
        for (name, value) in options(given, "host port u p username password authenticationDatabase eval file", "") {
            match name.as_deref() {
                Some("host") => self.address(&value),
                Some("port") => self.port = value.parse().unwrap_or(self.port),
                Some("u" | "username") => self.set("user", &value),
                Some("p" | "password") => self.set("password", &value),
                Some("eval") => self.one(value),
                None if value.contains("://") || value.contains(':') => self.address(&value),
                None => self.set("database", &value),
                _ => {}
            }
        }
        // Several calls stand behind each other.
        let evaluated: Vec<String> = self.statements.drain(..).collect();
        for text in evaluated {
            self.statements
                .extend(text.split(['\n', ';']).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
        }
        Ok(())
    }

    fn rabbit(&mut self, given: &[String]) -> Result<(), String> {
        let valued = "u q r b s t n e c url queue routing-key body server port timeout node exchange formatter vhost";
        let given = options(given, valued, "");
        let value = |names: &str| {
            let wanted = |name: &str| names.split(' ').any(|known| known == name);
            given.iter().rev().find(|(name, _)| name.as_deref().is_some_and(wanted)).map(|(_, value)| value.clone())
        };
        if let Some(url) = value("u url") {
            self.address(&url);
        }
        if let Some(server) = value("s server") {
            self.address(&server);
        }
        let queue = value("q queue").unwrap_or_default();
        let statement = match self.name.as_str() {
            "amqp-declare-queue" => {
                let durable = if given.iter().any(|(name, _)| matches!(name.as_deref(), Some("d" | "durable"))) {
                    " durable"
                } else {
                    ""
                };
                format!("declare \"{queue}\"{durable}")
            }
            "amqp-publish" => {
                let body = value("b body").unwrap_or_default().replace('\\', "\\\\").replace('"', "\\\"");
                format!("publish \"{}\" \"{body}\"", value("r routing-key").unwrap_or_default())
            }
            "amqp-delete-queue" => format!("delete_queue \"{queue}\""),
            "amqp-get" => format!("take \"{queue}\""),
            _ => {
                let words: Vec<&str> =
                    given.iter().filter(|(name, _)| name.is_none()).map(|(_, word)| word.as_str()).collect();
                if words.is_empty() {
                    return Err("Usage\n\nrabbitmqctl [--node <node>] [--timeout <timeout>] [--longnames] [--quiet] <command> [<command options>]\n".to_owned());
                }
                words.join(" ")
            }
        };
        self.one(statement);
        Ok(())
    }
}
