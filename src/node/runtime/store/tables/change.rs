//! Statements that change something, and which statement is which.

use super::super::sql::{self, Cursor, Token};
use super::super::table::{Column, Evaluation, Table, Value};
use super::{Database, Outcome, Refused, Tables, failure_of};

/// Whether a statement is one that is kept and replicated.
pub(super) fn is_change(tokens: &[Token]) -> bool {
    let Some(Token::Word(first)) = tokens.first() else { return false };
    let changes = ["create", "drop", "insert", "replace", "update", "delete", "truncate", "alter"];
    changes.iter().any(|word| first.eq_ignore_ascii_case(word))
}

impl Tables {
    /// Does a statement.
    pub(super) fn execute(&mut self, tokens: &[Token], text: &str, database: &str) -> Result<Outcome, Refused> {
        let mut cursor = Cursor::new(tokens);
        if let Some(outcome) = self.look(&mut cursor, text, database) {
            return outcome;
        }
        let done = |word: &str| Ok(Outcome::Done(word.to_owned(), 0));
        if cursor.take("select") {
            return self.select(&mut cursor, database);
        }
        if cursor.take("insert into") || cursor.take("replace into") || cursor.take("insert ignore into") {
            return self.insert(&mut cursor, database);
        }
        if cursor.take("update") {
            return self.update(&mut cursor, database);
        }
        if cursor.take("delete from") {
            return self.delete(&mut cursor, database);
        }
        if cursor.take("truncate") {
            cursor.take("table");
            let table = self.table_mut(&mut cursor, database)?;
            (table.rows, table.next) = (Vec::new(), 1);
            return done("TRUNCATE TABLE");
        }
        if cursor.take("create database") || cursor.take("create schema") {
            return self.create_database(&mut cursor);
        }
        if cursor.take("drop database") || cursor.take("drop schema") {
            return self.drop_database(&mut cursor);
        }
        if cursor.take("create table") || cursor.take("create temporary table") {
            return self.create_table(&mut cursor, database);
        }
        if cursor.take("drop table") {
            return self.drop_table(&mut cursor, database);
        }
        if ["create user", "create role", "alter user", "alter role"].iter().any(|words| cursor.take(words)) {
            return self.set_user(&mut cursor);
        }
        if cursor.take("drop user") || cursor.take("drop role") {
            let name = user_name(&mut cursor).unwrap_or_default();
            self.users.remove(&name);
            return done("DROP ROLE");
        }
        let taken = [
            ("grant", "GRANT"),
            ("revoke", "REVOKE"),
            ("flush", ""),
            ("set", "SET"),
            ("begin", "BEGIN"),
            ("start transaction", "START TRANSACTION"),
            ("commit", "COMMIT"),
            ("rollback", "ROLLBACK"),
            ("lock", ""),
            ("unlock", ""),
            ("analyze", "ANALYZE"),
            ("vacuum", "VACUUM"),
            ("create index", "CREATE INDEX"),
            ("create unique index", "CREATE INDEX"),
            ("create extension", "CREATE EXTENSION"),
            ("alter", "ALTER TABLE"),
        ];
        match taken.iter().find(|(words, _)| cursor.take(words)) {
            Some((_, word)) => done(word),
            None => Err(self.syntax_error(text)),
        }
    }

    fn rest(&self, cursor: &Cursor<'_>) -> Refused {
        self.syntax_error(&sql::written(cursor.tokens.get(cursor.at..).unwrap_or_default()))
    }

    fn table_mut(&mut self, cursor: &mut Cursor<'_>, database: &str) -> Result<&mut Table, Refused> {
        let (database, name) = self.place(cursor, database)?;
        let refused = self.no_table(&database, &name);
        self.databases.get_mut(&database).and_then(|tables| tables.get_mut(&name)).ok_or(refused)
    }

    fn create_database(&mut self, cursor: &mut Cursor<'_>) -> Result<Outcome, Refused> {
        let if_new = cursor.take("if not exists");
        let name = cursor.name().ok_or_else(|| self.rest(cursor))?;
        if self.databases.contains_key(&name) {
            return match (if_new, self.is_postgres) {
                (true, _) => Ok(Outcome::Done("CREATE DATABASE".to_owned(), 1)),
                (false, true) => Err(format!("database \"{name}\" already exists")),
                (false, false) => Err(format!("1007 (HY000): Can't create database '{name}'; database exists")),
            };
        }
        self.databases.insert(name, Database::new());
        Ok(Outcome::Done("CREATE DATABASE".to_owned(), 1))
    }

    fn drop_database(&mut self, cursor: &mut Cursor<'_>) -> Result<Outcome, Refused> {
        let if_there = cursor.take("if exists");
        let name = cursor.name().ok_or_else(|| self.rest(cursor))?;
        if self.databases.remove(&name).is_none() && !if_there {
            return Err(match self.is_postgres {
                true => format!("database \"{name}\" does not exist"),
                false => format!("1008 (HY000): Can't drop database '{name}'; database doesn't exist"),
            });
        }
        Ok(Outcome::Done("DROP DATABASE".to_owned(), 0))
    }

    fn create_table(&mut self, cursor: &mut Cursor<'_>, database: &str) -> Result<Outcome, Refused> {
        let if_new = cursor.take("if not exists");
        let (database, name) = self.place(cursor, database)?;
        let done = Ok(Outcome::Done("CREATE TABLE".to_owned(), 0));
        let missing = self.no_table(&database, &name);
        let Some(tables) = self.databases.get(&database) else { return Err(missing) };
        if tables.contains_key(&name) {
            return match (if_new, self.is_postgres) {
                (true, _) => done,
                (false, true) => Err(format!("relation \"{name}\" already exists")),
                (false, false) => Err(format!("1050 (42S01): Table '{name}' already exists")),
            };
        }
        if !cursor.sign("(") {
            return Err(self.rest(cursor));
        }
        let mut table = Table { next: 1, ..Table::default() };
        loop {
            let tokens = cursor.until(&[]);
            column(tokens, &mut table);
            if !cursor.sign(",") {
                break;
            }
        }
        if !cursor.sign(")") || table.columns.is_empty() {
            return Err(self.rest(cursor));
        }
        if let Some(tables) = self.databases.get_mut(&database) {
            tables.insert(name, table);
        }
        done
    }

    fn drop_table(&mut self, cursor: &mut Cursor<'_>, database: &str) -> Result<Outcome, Refused> {
        let if_there = cursor.take("if exists");
        let (database, name) = self.place(cursor, database)?;
        let gone = self.databases.get_mut(&database).and_then(|tables| tables.remove(&name));
        match (gone.is_some() || if_there, self.is_postgres) {
            (true, _) => Ok(Outcome::Done("DROP TABLE".to_owned(), 0)),
            (false, true) => Err(format!("table \"{name}\" does not exist")),
            (false, false) => Err(format!("1051 (42S02): Unknown table '{database}.{name}'")),
        }
    }

    fn set_user(&mut self, cursor: &mut Cursor<'_>) -> Result<Outcome, Refused> {
        cursor.take("if not exists");
        cursor.take("if exists");
        let name = user_name(cursor).ok_or_else(|| self.rest(cursor))?;
        let password = cursor.tokens[cursor.at..].iter().rev().find_map(|token| match token {
            Token::Text(text) => Some(text.clone()),
            _ => None,
        });
        self.users.insert(name, password.unwrap_or_default());
        Ok(Outcome::Done("CREATE ROLE".to_owned(), 0))
    }

    fn insert(&mut self, cursor: &mut Cursor<'_>, database: &str) -> Result<Outcome, Refused> {
        let start = cursor.at;
        let table = self.table_of(cursor, database)?;
        let mut names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        if cursor.sign("(") {
            names = std::iter::from_fn(|| {
                let name = cursor.name()?;
                cursor.sign(",");
                Some(name)
            })
            .collect();
            cursor.sign(")");
        }
        if !(cursor.take("values") || cursor.take("value")) {
            return Err(self.rest(cursor));
        }
        let (mut made, mut next) = (Vec::new(), table.next);
        while cursor.sign("(") {
            let mut given = Vec::new();
            loop {
                let tokens = cursor.until(&[]);
                given.push(tokens);
                if !cursor.sign(",") {
                    break;
                }
            }
            if !cursor.sign(")") {
                return Err(self.rest(cursor));
            }
            let row = self.row(table, &names, &given, made.len(), &mut next)?;
            self.is_unique(table, &made, &row)?;
            made.push(row);
            cursor.sign(",");
        }
        if made.is_empty() {
            return Err(self.rest(cursor));
        }
        let count = made.len();
        cursor.at = start;
        let table = self.table_mut(cursor, database)?;
        table.rows.extend(made);
        table.next = next;
        Ok(Outcome::Done(format!("INSERT 0 {count}"), count))
    }

    /// A row to be inserted.
    fn row(
        &self,
        table: &Table,
        names: &[String],
        given: &[&[Token]],
        number: usize,
        next: &mut i64,
    ) -> Result<Vec<Value>, Refused> {
        if given.len() > names.len() || (given.len() < names.len() && !self.is_postgres) {
            return Err(match self.is_postgres {
                true => "INSERT has more expressions than target columns".to_owned(),
                false => format!("1136 (21S01): Column count doesn't match value count at row {}", number + 1),
            });
        }
        if let Some(name) = names.iter().find(|name| table.column(name).is_none()) {
            return Err(match self.is_postgres {
                true => format!("column \"{name}\" of relation does not exist"),
                false => format!("1054 (42S22): Unknown column '{name}' in 'field list'"),
            });
        }
        let mut row = Vec::new();
        for column in &table.columns {
            let at = names.iter().position(|name| name.eq_ignore_ascii_case(&column.name));
            let tokens = at.and_then(|at| given.get(at)).copied();
            let is_default = matches!(tokens, Some([Token::Word(word)]) if word.eq_ignore_ascii_case("default"));
            let tokens = tokens.filter(|_| !is_default).or(column.default.as_deref());
            let value = match tokens {
                Some(tokens) => {
                    let found = Evaluation::new(tokens, None, self).whole();
                    column.fit(found.map_err(|failure| failure_of(self, &failure, tokens))?)
                }
                None => Value::Null,
            };
            row.push(match value {
                Value::Null if column.counts => {
                    *next += 1;
                    Value::Integer(*next - 1)
                }
                Value::Null if column.is_required => {
                    return Err(match self.is_postgres {
                        true => format!("null value in column \"{}\" violates not-null constraint", column.name),
                        false if tokens.is_none() => {
                            format!("1364 (HY000): Field '{}' doesn't have a default value", column.name)
                        }
                        false => format!("1048 (23000): Column '{}' cannot be null", column.name),
                    });
                }
                Value::Integer(number) if column.counts => {
                    *next = (*next).max(number.saturating_add(1));
                    Value::Integer(number)
                }
                value => value,
            });
        }
        Ok(row)
    }

    fn is_unique(&self, table: &Table, made: &[Vec<Value>], row: &[Value]) -> Result<(), Refused> {
        for (at, column) in table.columns.iter().enumerate().filter(|(_, column)| column.is_unique) {
            let taken = table.rows.iter().chain(made).any(|held| held[at] == row[at] && row[at] != Value::Null);
            if taken {
                let key = if column.is_key { "PRIMARY" } else { column.name.as_str() };
                return Err(match self.is_postgres {
                    true => "duplicate key value violates unique constraint".to_owned(),
                    false => format!("1062 (23000): Duplicate entry '{}' for key '{key}'", row[at].text()),
                });
            }
        }
        Ok(())
    }

    fn update(&mut self, cursor: &mut Cursor<'_>, database: &str) -> Result<Outcome, Refused> {
        let start = cursor.at;
        let table = self.table_of(cursor, database)?;
        if !cursor.take("set") {
            return Err(self.rest(cursor));
        }
        let mut changes = Vec::new();
        loop {
            let name = cursor.name().unwrap_or_default();
            let Some(at) = table.column(&name).filter(|_| cursor.sign("=")) else { return Err(self.rest(cursor)) };
            changes.push((at, cursor.until(&["where"])));
            if !cursor.sign(",") {
                break;
            }
        }
        let condition = if cursor.take("where") { cursor.until(&[]) } else { &[] };
        let (mut rows, mut count) = (table.rows.clone(), 0);
        for row in &mut rows {
            if !self.holds(condition, table, row)? {
                continue;
            }
            count += 1;
            let before = row.clone();
            for (at, tokens) in &changes {
                let found = Evaluation::new(tokens, Some((table, &before)), self).whole();
                row[*at] = table.columns[*at].fit(found.map_err(|failure| failure_of(self, &failure, tokens))?);
            }
        }
        cursor.at = start;
        self.table_mut(cursor, database)?.rows = rows;
        Ok(Outcome::Done(format!("UPDATE {count}"), count))
    }

    fn delete(&mut self, cursor: &mut Cursor<'_>, database: &str) -> Result<Outcome, Refused> {
        let start = cursor.at;
        let table = self.table_of(cursor, database)?;
        let condition = if cursor.take("where") { cursor.until(&[]) } else { &[] };
        let mut rows = Vec::new();
        for row in &table.rows {
            if !self.holds(condition, table, row)? {
                rows.push(row.clone());
            }
        }
        let count = table.rows.len() - rows.len();
        cursor.at = start;
        self.table_mut(cursor, database)?.rows = rows;
        Ok(Outcome::Done(format!("DELETE {count}"), count))
    }

    fn holds(&self, condition: &[Token], table: &Table, row: &[Value]) -> Result<bool, Refused> {
        if condition.is_empty() {
            return Ok(true);
        }
        let found = Evaluation::new(condition, Some((table, row)), self).whole();
        Ok(found.map_err(|failure| failure_of(self, &failure, condition))?.is_true())
    }
}

/// A user's name: `'name'@'host'`, or a word.
fn user_name(cursor: &mut Cursor<'_>) -> Option<String> {
    let name = match cursor.next()? {
        Token::Text(name) | Token::Word(name) | Token::Name(name) => name.clone(),
        _ => return None,
    };
    if matches!(cursor.peek(), Some(Token::Variable(_))) {
        cursor.next();
        if matches!(cursor.peek(), Some(Token::Text(_))) {
            cursor.next();
        }
    }
    Some(name)
}

impl Column {
    /// A value in this column's type.
    fn fit(&self, value: Value) -> Value {
        let is_whole = self.kind.contains("int") || self.kind.contains("serial");
        match value {
            Value::Text(text) if is_whole => text.parse().map_or(Value::Text(text), Value::Integer),
            Value::Integer(number) if self.kind.contains("char") || self.kind.contains("text") => {
                Value::Text(number.to_string())
            }
            Value::Integer(number) if self.kind.starts_with("bool") => {
                Value::Text(if number == 0 { "f" } else { "t" }.to_owned())
            }
            other => other,
        }
    }
}

/// A column or a constraint of `CREATE TABLE`.
fn column(tokens: &[Token], table: &mut Table) {
    let mut cursor = Cursor::new(tokens);
    if cursor.take("primary key") || cursor.take("unique") {
        let named = tokens.iter().filter_map(|token| match token {
            Token::Word(name) | Token::Name(name) => Some(name),
            _ => None,
        });
        let named: Vec<&String> = named.collect();
        for column in &mut table.columns {
            if named.iter().any(|name| column.name.eq_ignore_ascii_case(name)) {
                (column.is_unique, column.is_required) = (true, true);
                column.is_key = true;
            }
        }
        return;
    }
    if ["constraint", "foreign", "key", "index", "check", "unique"].iter().any(|word| cursor.take(word)) {
        return;
    }
    let Some(name) = cursor.name() else { return };
    let kind = cursor.name().unwrap_or_default().to_lowercase();
    let mut column = Column { name, counts: kind.contains("serial"), kind, ..Column::default() };
    if cursor.sign("(") {
        let size = cursor.until(&[]);
        column.kind = format!("{}({})", column.kind, sql::written(size));
        while !cursor.sign(")") && cursor.next().is_some() {}
    }
    while cursor.peek().is_some() {
        if cursor.take("primary key") {
            (column.is_key, column.is_unique, column.is_required) = (true, true, true);
        } else if cursor.take("auto_increment") {
            column.counts = true;
        } else if cursor.take("not null") {
            column.is_required = true;
        } else if cursor.take("unique") {
            column.is_unique = true;
        } else if cursor.take("default") {
            column.default =
                Some(cursor.until(&["not", "null", "primary", "unique", "on", "check", "comment"]).to_vec());
        } else {
            cursor.next();
        }
    }
    table.columns.push(column);
}
