//! `SHOW`, `DESCRIBE`, `USE`, replication's statements, and psql's commands with a backslash.

use super::super::sql::{self, Cursor, Token};
use super::super::table::{Rows, Value};
use super::{Outcome, Refused, Source, Tables};
use crate::machinery::shell::pattern_matches;

impl Tables {
    /// A statement that looks at the server and not at rows; nothing when it is another one.
    pub(super) fn look(
        &mut self,
        cursor: &mut Cursor<'_>,
        text: &str,
        database: &str,
    ) -> Option<Result<Outcome, Refused>> {
        if self.is_postgres {
            return self.look_postgres(cursor, database);
        }
        if cursor.take("use") {
            let name = cursor.name().unwrap_or_default();
            return Some(match self.databases.contains_key(&name) {
                true => Ok(Outcome::Use(name)),
                false => Err(format!("1049 (42000): Unknown database '{name}'")),
            });
        }
        if let [Token::Word(select), Token::Word(name), Token::Sign("("), Token::Sign(")")] = cursor.tokens
            && select.eq_ignore_ascii_case("select")
            && ["database", "schema"].iter().any(|known| name.eq_ignore_ascii_case(known))
        {
            let value = if database.is_empty() { Value::Null } else { Value::Text(database.to_owned()) };
            return Some(Ok(Outcome::Rows(
                Rows { names: vec![sql::written(&cursor.tokens[1..])], rows: vec![vec![value]] },
                None,
            )));
        }
        if cursor.take("describe") || cursor.take("desc") || cursor.take("show columns from") {
            return Some(self.describe(cursor, database));
        }
        if let Some(outcome) = self.replicate(cursor) {
            return Some(outcome);
        }
        cursor.take("show").then(|| self.show(cursor, text, database))
    }

    fn show(&self, cursor: &mut Cursor<'_>, text: &str, database: &str) -> Result<Outcome, Refused> {
        let rows = |rows| Ok(Outcome::Rows(rows, None));
        cursor.take("global");
        cursor.take("session");
        let pattern = cursor.tokens.iter().rev().find_map(|token| match token {
            Token::Text(text) => Some(text.replace('%', "*").replace('_', "?")),
            _ => None,
        });
        let fits = |name: &str| pattern.as_ref().is_none_or(|pattern| pattern_matches(pattern, name));
        if cursor.take("databases") || cursor.take("schemas") {
            let names = self.databases.keys().filter(|name| fits(name)).map(|name| [name.clone()]);
            return rows(Rows::of(["Database"], names.collect()));
        }
        if cursor.take("tables") || cursor.take("full tables") {
            let of = if cursor.take("from") || cursor.take("in") { cursor.name() } else { None };
            let of = of.unwrap_or_else(|| database.to_owned());
            let Some(tables) = self.databases.get(&of) else {
                return Err(if of.is_empty() {
                    "1046 (3D000): No database selected".to_owned()
                } else {
                    self.no_table(&of, "")
                });
            };
            let names = tables.keys().filter(|name| fits(name)).map(|name| [name.clone()]);
            let mut shown = Rows::of([""], names.collect());
            shown.names = vec![format!("Tables_in_{of}")];
            return rows(shown);
        }
        if cursor.take("variables") || cursor.take("status") {
            let all = self.variables().into_iter().filter(|(name, _)| fits(name));
            return rows(Rows::of(
                ["Variable_name", "Value"],
                all.map(|(name, value)| [name.to_owned(), value]).collect(),
            ));
        }
        if cursor.take("processlist") || cursor.take("full processlist") {
            let row = ["8", "root", "localhost", database, "Query", "0", "init", text].map(str::to_owned);
            return rows(Rows::of(["Id", "User", "Host", "db", "Command", "Time", "State", "Info"], vec![row]));
        }
        if cursor.take("warnings") || cursor.take("errors") {
            return rows(Rows::of(["Level", "Code", "Message"], Vec::new()));
        }
        if cursor.take("grants") {
            let mut shown = Rows::of(
                [""],
                vec![["GRANT ALL PRIVILEGES ON *.* TO 'root'@'localhost' WITH GRANT OPTION".to_owned()]],
            );
            shown.names = vec!["Grants for root@localhost".to_owned()];
            return rows(shown);
        }
        Err(self.syntax_error(text))
    }

    fn describe(&self, cursor: &mut Cursor<'_>, database: &str) -> Result<Outcome, Refused> {
        let table = self.table_of(cursor, database)?;
        let row = |column: &super::super::table::Column| {
            let default = column.default.as_deref().map_or_else(|| "NULL".to_owned(), sql::written);
            [
                column.name.clone(),
                column.kind.clone(),
                if column.is_required { "NO" } else { "YES" }.to_owned(),
                if column.is_key {
                    "PRI"
                } else if column.is_unique {
                    "UNI"
                } else {
                    ""
                }
                .to_owned(),
                default,
                if column.counts { "auto_increment" } else { "" }.to_owned(),
            ]
        };
        let rows = table.columns.iter().map(row).collect();
        Ok(Outcome::Rows(Rows::of(["Field", "Type", "Null", "Key", "Default", "Extra"], rows), None))
    }

    /// The server's variables and counters.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let switch = |is_on: bool| if is_on { "ON" } else { "OFF" }.to_owned();
        vec![
            ("character_set_server", "utf8mb4".to_owned()),
            ("datadir", "/var/lib/mysql/".to_owned()),
            ("gtid_mode", "OFF".to_owned()),
            ("hostname", self.host.clone()),
            ("log_bin", switch(!self.is_read_only)),
            ("max_connections", "151".to_owned()),
            ("port", "3306".to_owned()),
            ("questions", self.questions.to_string()),
            ("read_only", switch(self.is_read_only)),
            ("server_id", self.server_id.to_string()),
            ("super_read_only", switch(self.is_read_only)),
            ("threads_connected", "1".to_owned()),
            ("uptime", self.now.since(self.began).as_secs().to_string()),
            ("version", self.version.clone()),
        ]
    }

    /// Statements of replication.
    fn replicate(&mut self, cursor: &mut Cursor<'_>) -> Option<Result<Outcome, Refused>> {
        let done = Some(Ok(Outcome::Done(String::new(), 0)));
        if cursor.take("change master to") || cursor.take("change replication source to") {
            let mut source = Source { port: 3306, runs: self.source.runs, ..Source::default() };
            while let Some(name) = cursor.name() {
                cursor.sign("=");
                let value = match cursor.next() {
                    Some(Token::Text(text) | Token::Number(text)) => text.clone(),
                    _ => String::new(),
                };
                match name.to_ascii_lowercase().trim_start_matches("master_").trim_start_matches("source_") {
                    "host" => source.host = value,
                    "port" => source.port = value.parse().unwrap_or(3306),
                    "user" => source.user = value,
                    "password" => source.password = value,
                    _ => {}
                }
                cursor.sign(",");
            }
            self.source = source;
            return done;
        }
        if cursor.take("start slave") || cursor.take("start replica") {
            if self.source.host.is_empty() {
                return Some(Err(
                    "1200 (HY000): The server is not configured as slave; fix in config file or with CHANGE MASTER TO"
                        .to_owned(),
                ));
            }
            self.source.runs = true;
            return done;
        }
        if cursor.take("stop slave") || cursor.take("stop replica") {
            self.source.runs = false;
            return done;
        }
        if cursor.take("reset slave") || cursor.take("reset replica") {
            self.source = Source::default();
            return done;
        }
        if cursor.take("show master status") || cursor.take("show binary log status") {
            let row = [self.log_name(), self.position().to_string(), String::new(), String::new(), String::new()];
            let names = ["File", "Position", "Binlog_Do_DB", "Binlog_Ignore_DB", "Executed_Gtid_Set"];
            return Some(Ok(Outcome::Rows(Rows::of(names, vec![row]), None)));
        }
        if cursor.take("show slave status") || cursor.take("show replica status") {
            return Some(Ok(Outcome::Rows(self.replica_status(), None)));
        }
        None
    }

    fn replica_status(&self) -> Rows {
        let source = &self.source;
        if source.host.is_empty() {
            return Rows::default();
        }
        let thread = match (source.runs, source.is_connected) {
            (false, _) => "No",
            (true, true) => "Yes",
            (true, false) => "Connecting",
        };
        let state = if source.is_connected { "Waiting for master to send event" } else { "Connecting to master" };
        let behind = if source.is_connected { "0" } else { "NULL" };
        let row = [
            state.to_owned(),
            source.host.clone(),
            source.user.clone(),
            source.port.to_string(),
            self.position().to_string(),
            thread.to_owned(),
            if source.runs { "Yes" } else { "No" }.to_owned(),
            self.position().to_string(),
            behind.to_owned(),
        ];
        let names = [
            "Slave_IO_State",
            "Master_Host",
            "Master_User",
            "Master_Port",
            "Read_Master_Log_Pos",
            "Slave_IO_Running",
            "Slave_SQL_Running",
            "Exec_Master_Log_Pos",
            "Seconds_Behind_Master",
        ];
        Rows::of(names, vec![row])
    }

    /// PostgreSQL: `SHOW`, and what psql makes of its own commands.
    fn look_postgres(&self, cursor: &mut Cursor<'_>, database: &str) -> Option<Result<Outcome, Refused>> {
        if let [Token::Word(select), Token::Word(name), Token::Sign("("), Token::Sign(")")] = cursor.tokens
            && select.eq_ignore_ascii_case("select")
            && name.eq_ignore_ascii_case("current_database")
        {
            return Some(Ok(Outcome::Rows(Rows::of(["current_database"], vec![[database.to_owned()]]), None)));
        }
        if cursor.take("show") {
            let name = cursor.name().unwrap_or_default().to_lowercase();
            let value = match name.as_str() {
                "server_version" => self.version.clone(),
                "max_connections" => "100".to_owned(),
                "data_directory" => self.file.trim_end_matches("/base/statements").to_owned(),
                "port" => "5432".to_owned(),
                _ => return Some(Err(format!("unrecognized configuration parameter \"{name}\""))),
            };
            return Some(Ok(Outcome::Rows(Rows { names: vec![name], rows: vec![vec![Value::Text(value)]] }, None)));
        }
        if !cursor.take("psql") {
            return None;
        }
        let command = cursor.name().unwrap_or_default();
        let argument = cursor.name();
        Some(match (command.as_str(), argument) {
            ("l", _) => Ok(self.list_databases()),
            ("c", Some(name)) => match self.databases.contains_key(&name) {
                true => Ok(Outcome::Use(name)),
                false => Err(format!("database \"{name}\" does not exist")),
            },
            ("d" | "dt", None) => Ok(self.list_relations(database)),
            ("d", Some(name)) => self.describe_relation(database, &name),
            ("du", _) => {
                let rows = self.users.keys().map(|name| {
                    [name.clone(), "Superuser, Create role, Create DB, Replication, Bypass RLS".to_owned()]
                });
                Ok(Outcome::Rows(
                    Rows::of(["Role name", "Attributes"], rows.collect()),
                    Some("List of roles".to_owned()),
                ))
            }
            _ => Ok(Outcome::Text(String::new())),
        })
    }

    fn owner(&self) -> String {
        self.users.keys().next().cloned().unwrap_or_default()
    }

    fn list_databases(&self) -> Outcome {
        let row = |name: &String| {
            [
                name.clone(),
                self.owner(),
                "UTF8".to_owned(),
                "libc".to_owned(),
                "en_US.utf8".to_owned(),
                "en_US.utf8".to_owned(),
            ]
        };
        let names = ["Name", "Owner", "Encoding", "Locale Provider", "Collate", "Ctype"];
        Outcome::Rows(Rows::of(names, self.databases.keys().map(row).collect()), Some("List of databases".to_owned()))
    }

    fn list_relations(&self, database: &str) -> Outcome {
        let names: Vec<&String> = self.databases.get(database).into_iter().flat_map(|tables| tables.keys()).collect();
        if names.is_empty() {
            return Outcome::Text("Did not find any relations.\n".to_owned());
        }
        let row = |name: &&String| ["public".to_owned(), (*name).clone(), "table".to_owned(), self.owner()];
        let rows = Rows::of(["Schema", "Name", "Type", "Owner"], names.iter().map(row).collect());
        Outcome::Rows(rows, Some("List of relations".to_owned()))
    }

    fn describe_relation(&self, database: &str, name: &str) -> Result<Outcome, Refused> {
        let table = self.databases.get(database).and_then(|tables| tables.get(name));
        let Some(table) = table else {
            return Ok(Outcome::Text(format!("Did not find any relation named \"{name}\".\n")));
        };
        let row = |column: &super::super::table::Column| {
            let kind = match column.kind.as_str() {
                "int" | "serial" | "int4" => "integer".to_owned(),
                "bigserial" => "bigint".to_owned(),
                kind => kind.replace("varchar", "character varying"),
            };
            let default = match (&column.default, column.counts) {
                (Some(tokens), _) => sql::written(tokens),
                (None, true) => format!("nextval('{name}_{}_seq'::regclass)", column.name),
                (None, false) => String::new(),
            };
            [
                column.name.clone(),
                kind,
                String::new(),
                if column.is_required { "not null" } else { "" }.to_owned(),
                default,
            ]
        };
        let rows =
            Rows::of(["Column", "Type", "Collation", "Nullable", "Default"], table.columns.iter().map(row).collect());
        Ok(Outcome::Rows(rows, Some(format!("Table \"public.{name}\""))))
    }
}
