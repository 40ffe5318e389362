//! MySQL and PostgreSQL: databases of tables, users and their passwords, what is kept, and replication by statements.
//!
//! Each statement that changes something is written to a file in the data directory, and read again at the next start: so data
//! are as lasting as the volume below that directory. A replica asks its source for the statements after those that it has.
//! Queries are of one table; what is not there: joins, groups, views, transactions that are rolled back, indexes, rights.

mod change;
mod query;
mod show;

use std::collections::BTreeMap;

use super::sql::{self, Part, Token};
use super::table::{Failure, Rows, Scope, Table, Value};
use super::{Reply, Statement, escape, read, unescape, write};
use crate::machinery::shell::files::WriteAt;
use crate::machinery::shell::{CommandIo, HttpRequest, utilities};
use crate::machinery::time::Time;

/// Where a binary log's positions begin.
const FIRST_POSITION: usize = 154;

/// Tables by name.
type Database = BTreeMap<String, Table>;

/// Whom a replica follows.
#[derive(Clone, Debug, Default)]
struct Source {
    host: String,
    port: u16,
    user: String,
    password: String,
    runs: bool,
    is_connected: bool,
}

/// Everything of a server.
#[derive(Clone, Debug)]
pub(in super::super) struct Tables {
    is_postgres: bool,
    databases: BTreeMap<String, Database>,
    /// Passwords by user.
    users: BTreeMap<String, String>,
    /// The statements that made all of this, each with its database.
    log: Vec<String>,
    file: String,
    version: String,
    server_id: i64,
    is_read_only: bool,
    source: Source,
    began: Time,
    now: Time,
    host: String,
    questions: u64,
}

/// What came of a statement.
enum Outcome {
    /// Rows to be shown, with a title.
    Rows(Rows, Option<String>),
    /// Something was done: PostgreSQL's word for it, and how many rows it touched.
    Done(String, usize),
    /// Another database is looked at from now on.
    Use(String),
    /// A text as it is.
    Text(String),
}

/// An error: MySQL's number and state before the text, PostgreSQL's without.
type Refused = String;

impl Tables {
    pub(super) fn new(is_postgres: bool) -> Self {
        Self {
            is_postgres,
            databases: BTreeMap::new(),
            users: BTreeMap::new(),
            log: Vec::new(),
            file: String::new(),
            version: String::new(),
            server_id: 1,
            is_read_only: false,
            source: Source::default(),
            began: Time::default(),
            now: Time::default(),
            host: String::new(),
            questions: 0,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "every store begins in the same way")]
    pub(super) fn begin(&mut self, version: &str, io: &mut CommandIo<'_>) -> Result<(), String> {
        version.clone_into(&mut self.version);
        (self.began, self.now, self.host) = (io.now(), io.now(), io.host.hostname());
        self.file = if self.is_postgres {
            let directory = io.variable("PGDATA").unwrap_or_else(|| "/var/lib/postgresql/data".to_owned());
            format!("{}/base/statements", directory.trim_end_matches('/'))
        } else {
            "/var/lib/mysql/ibdata1".to_owned()
        };
        self.found();
        if !self.is_postgres {
            self.configure(io);
        }
        let text = read(&self.file, io);
        if text.is_empty() {
            self.initialise(io);
            let lines: String = self.log.iter().map(|line| format!("{line}\n")).collect();
            write(&self.file, &lines, WriteAt::Start, io);
        }
        for line in text.lines() {
            self.replay(line);
        }
        self.source = self.source_of_file(io);
        Ok(())
    }

    /// The databases that are always there.
    fn found(&mut self) {
        let names: &[&str] = if self.is_postgres {
            &["postgres", "template0", "template1"]
        } else {
            &["information_schema", "mysql", "performance_schema", "sys"]
        };
        for name in names {
            self.databases.insert((*name).to_owned(), Database::new());
        }
    }

    /// Reads `my.cnf` and what lies beside it, then the arguments.
    fn configure(&mut self, io: &mut CommandIo<'_>) {
        let mut text = read("/etc/my.cnf", io) + &read("/etc/mysql/my.cnf", io);
        for directory in ["/etc/mysql/conf.d", "/etc/my.cnf.d"] {
            for name in io.files(|files| files.list(directory)).unwrap_or_default() {
                text.push('\n');
                text.push_str(&read(&format!("{directory}/{name}"), io));
            }
        }
        for argument in io.arguments() {
            text.push('\n');
            text.push_str(argument.trim_start_matches('-'));
        }
        for line in text.lines().map(str::trim) {
            let (name, value) = line.split_once('=').unwrap_or((line, "1"));
            match name.trim().replace('_', "-").as_str() {
                "server-id" => self.server_id = value.trim().parse().unwrap_or(1),
                "super-read-only" | "read-only" => {
                    self.is_read_only = !matches!(value.trim().to_ascii_lowercase().as_str(), "0" | "off");
                }
                _ => {}
            }
        }
    }

    /// The first start: users and databases of the environment, and the scripts that the image runs then.
    fn initialise(&mut self, io: &mut CommandIo<'_>) {
        let variable = |io: &CommandIo<'_>, names: &[&str]| {
            names.iter().find_map(|name| io.variable(name)).filter(|value| !value.is_empty())
        };
        let mut database = String::new();
        if self.is_postgres {
            let user = variable(io, &["POSTGRES_USER"]).unwrap_or_else(|| "postgres".to_owned());
            let password = self.secret(io, "POSTGRES_PASSWORD");
            database = variable(io, &["POSTGRES_DB"]).unwrap_or_else(|| user.clone());
            self.note("", &format!("CREATE USER \"{user}\" PASSWORD '{}'", password.replace('\'', "''")));
            if database != "postgres" {
                self.note("", &format!("CREATE DATABASE \"{database}\""));
            }
        } else {
            let root = self.secret(io, "MYSQL_ROOT_PASSWORD");
            let root = if root.is_empty() { self.secret(io, "MARIADB_ROOT_PASSWORD") } else { root };
            self.note("", &format!("CREATE USER 'root' IDENTIFIED BY '{}'", root.replace('\'', "''")));
            if let Some(name) = variable(io, &["MYSQL_DATABASE", "MARIADB_DATABASE"]) {
                self.note("", &format!("CREATE DATABASE `{name}`"));
                database = name;
            }
            if let Some(user) = variable(io, &["MYSQL_USER", "MARIADB_USER"]) {
                let password = self.secret(io, "MYSQL_PASSWORD");
                let password = if password.is_empty() { self.secret(io, "MARIADB_PASSWORD") } else { password };
                self.note("", &format!("CREATE USER '{user}' IDENTIFIED BY '{}'", password.replace('\'', "''")));
            }
        }
        const SCRIPTS: &str = "/docker-entrypoint-initdb.d";
        for name in io.files(|files| files.list(SCRIPTS)).unwrap_or_default() {
            if name.ends_with(".sql") {
                let mut current = database.clone();
                for part in sql::split(&read(&format!("{SCRIPTS}/{name}"), io)) {
                    if let Ok(Outcome::Use(next)) = self.perform(&part.text, &current, true) {
                        current = next;
                    }
                }
            }
        }
    }

    /// A secret of the environment, or of the file that `NAME_FILE` names.
    fn secret(&self, io: &mut CommandIo<'_>, name: &str) -> String {
        match io.variable(&format!("{name}_FILE")) {
            Some(path) => read(&path, io).trim_end_matches('\n').to_owned(),
            None => io.variable(name).unwrap_or_default(),
        }
    }

    /// Does and notes a statement of the server's own.
    fn note(&mut self, database: &str, text: &str) {
        // What the image does at its first start cannot fail but for names that are none.
        drop(self.perform(text, database, true));
    }

    fn replay(&mut self, line: &str) {
        let (database, text) = line.split_once('\t').unwrap_or(("", line));
        // A statement that was noted had succeeded.
        drop(self.perform(&unescape(text), database, true));
    }

    /// Does a statement, and notes it when it changed something.
    fn perform(&mut self, text: &str, database: &str, is_own: bool) -> Result<Outcome, Refused> {
        let tokens = sql::tokens(text, !self.is_postgres).map_err(|rest| self.syntax_error(&rest))?;
        let is_change = change::is_change(&tokens);
        if is_change && self.is_read_only && !is_own {
            return Err("1290 (HY000): The MySQL server is running with the --super-read-only option so it cannot execute this statement".to_owned());
        }
        let outcome = self.execute(&tokens, text, database)?;
        if is_change {
            self.log.push(format!("{database}\t{}", escape(text)));
        }
        Ok(outcome)
    }

    fn syntax_error(&self, near: &str) -> Refused {
        if self.is_postgres {
            let word = near.split_whitespace().next().unwrap_or_default();
            return if word.is_empty() {
                "syntax error at end of input".to_owned()
            } else {
                format!("syntax error at or near \"{word}\"")
            };
        }
        format!(
            "1064 (42000): You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near '{near}' at line 1"
        )
    }

    pub(super) fn answer(&mut self, statement: &Statement<'_>, io: &mut CommandIo<'_>) -> Reply {
        self.now = io.now();
        if let Err(reply) = self.authenticate(statement) {
            return reply;
        }
        if statement.has("replica") {
            let from = statement.option("replica").parse().unwrap_or(0);
            let lines = self.log.get(from..).unwrap_or_default();
            return Reply::ok(lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
        let mut database = statement.option("database").to_owned();
        if !database.is_empty() && !self.databases.contains_key(&database) {
            return Reply::denied(if self.is_postgres {
                format!("FATAL:  database \"{database}\" does not exist\n")
            } else {
                format!("ERROR 1049 (42000): Unknown database '{database}'\n")
            });
        }
        let noted = self.log.len();
        let (mut out, mut remember, mut failure) = (String::new(), Vec::new(), None);
        for part in sql::split(&statement.text) {
            self.questions += 1;
            match self.perform(&part.text, &database, false) {
                Ok(Outcome::Use(next)) => {
                    out.push_str(&self.changed(&next, statement));
                    remember.push(("database".to_owned(), next.clone()));
                    database = next;
                }
                Ok(outcome) => out.push_str(&self.told(outcome, &part, statement)),
                Err(error) => {
                    failure = Some(self.refused(&error, &part, statement));
                    break;
                }
            }
        }
        let lines: String = self.log[noted..].iter().map(|line| format!("{line}\n")).collect();
        if !lines.is_empty() {
            write(&self.file, &lines, WriteAt::End, io);
        }
        self.keep_source(io);
        match failure {
            Some(error) => Reply { status: 400, text: format!("{out}\0{error}"), remember },
            None => Reply { status: 200, text: out, remember },
        }
    }

    /// Whether who asks may come in.
    fn authenticate(&self, statement: &Statement<'_>) -> Result<(), Reply> {
        let (user, given) = (statement.option("user"), statement.option("password"));
        let is_local = statement.has("local");
        let known = self.users.get(user);
        if self.is_postgres {
            return match known {
                None => Err(Reply::denied(format!("FATAL:  role \"{user}\" does not exist\n"))),
                Some(password) if is_local || password.is_empty() || given == password => Ok(()),
                Some(_) if given.is_empty() => Err(Reply::denied("fe_sendauth: no password supplied\n")),
                Some(_) => Err(Reply::denied(format!("FATAL:  password authentication failed for user \"{user}\"\n"))),
            };
        }
        if known.is_some_and(|password| password == given) {
            return Ok(());
        }
        let from = if is_local { "localhost".to_owned() } else { statement.request.client.clone() };
        let used = if given.is_empty() { "NO" } else { "YES" };
        Err(Reply::denied(format!(
            "ERROR 1045 (28000): Access denied for user '{user}'@'{from}' (using password: {used})\n"
        )))
    }

    fn changed(&self, database: &str, statement: &Statement<'_>) -> String {
        match (self.is_postgres, statement.has("interactive")) {
            (true, _) => {
                format!("You are now connected to database \"{database}\" as user \"{}\".\n", statement.option("user"))
            }
            (false, true) => "Database changed\n".to_owned(),
            (false, false) => String::new(),
        }
    }

    /// An outcome as the client shows it.
    fn told(&self, outcome: Outcome, part: &Part, statement: &Statement<'_>) -> String {
        let interactive = statement.has("interactive");
        match outcome {
            Outcome::Use(_) => String::new(),
            Outcome::Text(text) => text,
            Outcome::Done(word, _) if self.is_postgres => {
                if statement.has("quiet") || word.is_empty() {
                    String::new()
                } else {
                    format!("{word}\n")
                }
            }
            Outcome::Done(_, touched) if interactive => {
                format!("Query OK, {touched} row{} affected (0.01 sec)\n\n", if touched == 1 { "" } else { "s" })
            }
            Outcome::Done(..) => String::new(),
            Outcome::Rows(rows, title) if self.is_postgres => {
                let tuples_only = statement.has("tuples");
                if statement.has("unaligned") {
                    return rows.plain(!tuples_only, "|", "");
                }
                rows.aligned(title.as_deref(), tuples_only)
            }
            Outcome::Rows(rows, _) => {
                let count = rows.rows.len();
                let table = match (part.vertical || statement.has("vertical"), statement.has("framed")) {
                    (true, _) => rows.vertical(),
                    (false, true) => rows.framed(),
                    (false, false) => rows.plain(!statement.has("tuples"), "\t", "NULL"),
                };
                match (interactive, count) {
                    (false, _) => table,
                    (true, 0) => "Empty set (0.00 sec)\n\n".to_owned(),
                    (true, 1) => format!("{table}1 row in set (0.00 sec)\n\n"),
                    (true, _) => format!("{table}{count} rows in set (0.00 sec)\n\n"),
                }
            }
        }
    }

    /// An error as the client shows it.
    fn refused(&self, error: &str, part: &Part, statement: &Statement<'_>) -> String {
        if !self.is_postgres {
            return if statement.has("interactive") {
                format!("ERROR {error}\n")
            } else {
                let (code, text) = error.split_once(": ").unwrap_or(("1105 (HY000)", error));
                format!("ERROR {code} at line 1: {text}\n")
            };
        }
        let mut text = format!("ERROR:  {error}\n");
        let pointed = error.split('"').nth(1).filter(|_| error.contains("near") || error.contains("exist"));
        if let Some(at) = pointed.and_then(|word| part.text.find(word)) {
            let line = part.text.lines().next().unwrap_or_default();
            if at < line.len() {
                text.push_str(&format!("LINE 1: {line};\n{:>1$}^\n", "", at + 8));
            }
        }
        text
    }
}

/// Replication.
impl Tables {
    /// Where a replica notes whom it follows.
    const SOURCE_FILE: &'static str = "/var/lib/mysql/master.info";

    fn source_of_file(&self, io: &mut CommandIo<'_>) -> Source {
        if self.is_postgres {
            return Source::default();
        }
        let text = read(Self::SOURCE_FILE, io);
        let mut lines = text.lines().map(str::to_owned);
        let mut next = || lines.next().unwrap_or_default();
        let (host, port, user, password, runs) = (next(), next(), next(), next(), next());
        Source { host, port: port.parse().unwrap_or(3306), user, password, runs: runs == "1", is_connected: false }
    }

    fn keep_source(&self, io: &mut CommandIo<'_>) {
        let Source { host, port, user, password, runs, .. } = &self.source;
        let text = format!("{host}\n{port}\n{user}\n{password}\n{}\n", u8::from(*runs));
        if !host.is_empty() && text != read(Self::SOURCE_FILE, io) {
            write(Self::SOURCE_FILE, &text, WriteAt::Start, io);
        }
    }

    pub(super) fn follow(&self) -> Option<HttpRequest> {
        let source = Some(&self.source).filter(|source| source.runs && !source.host.is_empty())?;
        let mut request = HttpRequest::raw(&source.host, source.port, "");
        let headers =
            [("replica", &self.log.len().to_string()), ("user", &source.user), ("password", &source.password)];
        request.headers.extend(headers.map(|(name, value)| (name.to_owned(), value.clone())));
        Some(request)
    }

    pub(super) fn followed(&mut self, said: Option<String>, io: &mut CommandIo<'_>) -> Vec<String> {
        self.source.is_connected = said.is_some();
        let Some(lines) = said.filter(|lines| !lines.is_empty()) else { return Vec::new() };
        for line in lines.lines() {
            let before = self.log.len();
            self.replay(line);
            // What changed nothing here counts all the same, so that both count alike.
            if self.log.len() == before {
                self.log.push(line.to_owned());
            }
        }
        write(&self.file, &lines, WriteAt::End, io);
        Vec::new()
    }

    fn position(&self) -> usize {
        FIRST_POSITION + self.log.len()
    }

    fn log_name(&self) -> String {
        format!("{}-bin.000003", self.host)
    }
}

impl Scope for Tables {
    fn variable(&self, name: &str) -> Option<Value> {
        let name = name.to_ascii_lowercase();
        let name = name.trim_start_matches("global.").trim_start_matches("session.");
        let (_, value) = self.variables().into_iter().find(|(known, _)| *known == name)?;
        Some(value.parse().map_or(Value::Text(value), Value::Integer))
    }

    fn function(&self, name: &str, arguments: &[Value]) -> Option<Value> {
        let text = |index: usize| arguments.get(index).map(Value::text).unwrap_or_default();
        let now = |pattern: &str| Value::Text(utilities::format_time(self.now, pattern));
        Some(match name {
            "now" | "current_timestamp" | "sysdate" | "localtimestamp" if self.is_postgres => {
                now("%Y-%m-%d %H:%M:%S.000000+00")
            }
            "now" | "current_timestamp" | "sysdate" | "localtimestamp" => now("%Y-%m-%d %H:%M:%S"),
            "curdate" | "current_date" => now("%Y-%m-%d"),
            "curtime" => now("%H:%M:%S"),
            "unix_timestamp" => Value::Integer(i64::try_from(self.now.as_secs()).unwrap_or(0)),
            "version" if self.is_postgres => Value::Text(format!(
                "PostgreSQL {} (Debian {}-1.pgdg12+1) on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14+deb12u1) 12.2.0, 64-bit",
                self.version, self.version
            )),
            "version" => Value::Text(self.version.clone()),
            "pg_is_in_recovery" => Value::Text("f".to_owned()),
            "inet_server_addr" => Value::Null,
            "connection_id" => Value::Integer(i64::try_from(self.questions).unwrap_or(0) + 8),
            "upper" | "ucase" => Value::Text(text(0).to_uppercase()),
            "lower" | "lcase" => Value::Text(text(0).to_lowercase()),
            "length" | "char_length" => Value::Integer(i64::try_from(text(0).chars().count()).unwrap_or(0)),
            "concat" => Value::Text(arguments.iter().map(Value::text).collect()),
            "coalesce" | "ifnull" => {
                arguments.iter().find(|value| **value != Value::Null).cloned().unwrap_or(Value::Null)
            }
            "sleep" | "pg_sleep" => Value::Integer(0),
            _ => return None,
        })
    }
}

/// An expression that has no value, as an error.
fn failure_of(tables: &Tables, failure: &Failure, tokens: &[Token]) -> Refused {
    match failure {
        Failure::Column(name) if tables.is_postgres => format!("column \"{name}\" does not exist"),
        Failure::Column(name) if name.starts_with("@@") => {
            format!("1193 (HY000): Unknown system variable '{}'", name.trim_start_matches('@'))
        }
        Failure::Column(name) => format!("1054 (42S22): Unknown column '{name}' in 'field list'"),
        Failure::Function(name) if tables.is_postgres => format!("function {name}() does not exist"),
        Failure::Function(name) => format!("1305 (42000): FUNCTION {name} does not exist"),
        Failure::Syntax(at) => tables.syntax_error(&sql::written(tokens.get(*at..).unwrap_or_default())),
    }
}
