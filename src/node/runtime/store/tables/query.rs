//! `SELECT`.

use std::cmp::Ordering;

use super::super::sql::{self, Cursor, Token};
use super::super::table::{Evaluation, Rows, Table, Value};
use super::{Outcome, Refused, Tables, failure_of};
use crate::machinery::order::Order as _;

/// Words that end a list of expressions.
const CLAUSES: [&str; 12] =
    ["from", "where", "group", "having", "order", "limit", "offset", "as", "union", "for", "asc", "desc"];
const AGGREGATES: [&str; 5] = ["count", "sum", "min", "max", "avg"];

/// An item of the list of a `SELECT`.
struct Item<'a> {
    tokens: &'a [Token],
    name: Option<String>,
}

impl Item<'_> {
    /// The function that makes one row of many.
    fn aggregate(&self) -> Option<(&str, &[Token])> {
        match self.tokens {
            [Token::Word(name), Token::Sign("("), inner @ .., Token::Sign(")")] => {
                AGGREGATES.iter().find(|known| name.eq_ignore_ascii_case(known)).map(|known| (*known, inner))
            }
            _ => None,
        }
    }

    fn title(&self, is_postgres: bool) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        match self.tokens {
            [.., Token::Word(name) | Token::Name(name)] => name.clone(),
            [Token::Word(name), Token::Sign("("), ..] if is_postgres => name.to_lowercase(),
            _ if is_postgres => "?column?".to_owned(),
            [Token::Text(text)] => text.clone(),
            tokens => sql::written(tokens),
        }
    }
}

/// The list of a `SELECT`.
fn items<'a>(cursor: &mut Cursor<'a>) -> Vec<Item<'a>> {
    cursor.take("distinct");
    let mut items = Vec::new();
    loop {
        let tokens = cursor.until(&CLAUSES);
        let named = cursor.take("as");
        items.push(Item { tokens, name: named.then(|| cursor.name()).flatten() });
        if !cursor.sign(",") {
            break;
        }
    }
    items
}

impl Tables {
    /// `SELECT` after its word.
    pub(super) fn select(&self, cursor: &mut Cursor<'_>, database: &str) -> Result<Outcome, Refused> {
        let tokens = cursor.tokens;
        let items = items(cursor);
        if items.iter().any(|item| item.tokens.is_empty()) {
            return Err(self.syntax_error(&sql::written(&tokens[cursor.at..])));
        }
        let table = match cursor.take("from") {
            true => Some(self.table_of(cursor, database)?),
            false => None,
        };
        let condition = if cursor.take("where") { cursor.until(&CLAUSES) } else { &[] };
        let mut rows: Vec<Option<&Vec<Value>>> = match table {
            Some(table) => table.rows.iter().map(Some).collect(),
            None => vec![None],
        };
        let value = |tokens: &[Token], row: Option<&Vec<Value>>| {
            let place = table.zip(row.map(Vec::as_slice));
            Evaluation::new(tokens, place, self).whole().map_err(|failure| failure_of(self, &failure, tokens))
        };
        if !condition.is_empty() {
            let mut kept = Vec::new();
            for row in rows {
                if value(condition, row)?.is_true() {
                    kept.push(row);
                }
            }
            rows = kept;
        }
        if cursor.take("group") {
            return Err(self.syntax_error("GROUP"));
        }
        if cursor.take("order by") {
            let key = cursor.until(&CLAUSES);
            let descending = !cursor.take("asc") && cursor.take("desc");
            let mut keyed = Vec::new();
            for row in rows {
                keyed.push((value(key, row)?, row));
            }
            keyed.order_by(|left, right| {
                let order = left.0.compare(&right.0).unwrap_or(Ordering::Equal);
                if descending { order.reverse() } else { order }
            });
            rows = keyed.into_iter().map(|(_, row)| row).collect();
        }
        if cursor.take("limit")
            && let Some(Token::Number(most)) = cursor.next()
        {
            rows.truncate(most.parse().unwrap_or(usize::MAX));
        }
        if cursor.peek().is_some() {
            return Err(self.syntax_error(&sql::written(&tokens[cursor.at..])));
        }
        if items.iter().any(|item| item.aggregate().is_some()) {
            return self.aggregated(&items, &rows, table);
        }
        self.rows_of(&items, rows, table)
    }

    /// A row for each row.
    fn rows_of(
        &self,
        items: &[Item<'_>],
        rows: Vec<Option<&Vec<Value>>>,
        table: Option<&Table>,
    ) -> Result<Outcome, Refused> {
        let mut made = Rows::default();
        for item in items {
            match (item.tokens, table) {
                ([.., Token::Sign("*")], Some(table)) => {
                    made.names.extend(table.columns.iter().map(|column| column.name.clone()));
                }
                _ => made.names.push(item.title(self.is_postgres)),
            }
        }
        for row in rows {
            let mut fields = Vec::new();
            for item in items {
                match (item.tokens, row) {
                    ([.., Token::Sign("*")], Some(row)) => fields.extend(row.iter().cloned()),
                    _ => {
                        let place = table.zip(row.map(Vec::as_slice));
                        let found = Evaluation::new(item.tokens, place, self).whole();
                        fields.push(found.map_err(|failure| failure_of(self, &failure, item.tokens))?);
                    }
                }
            }
            made.rows.push(fields);
        }
        Ok(Outcome::Rows(made, None))
    }

    fn aggregated(
        &self,
        items: &[Item<'_>],
        rows: &[Option<&Vec<Value>>],
        table: Option<&Table>,
    ) -> Result<Outcome, Refused> {
        let mut made = Rows { names: Vec::new(), rows: vec![Vec::new()] };
        for item in items {
            made.names.push(item.title(self.is_postgres));
            let (kind, inner) = item.aggregate().unwrap_or(("min", item.tokens));
            let counts_rows = kind == "count" && matches!(inner, [Token::Sign("*")]);
            let mut values = Vec::new();
            for row in rows {
                values.push(if counts_rows {
                    Value::Integer(1)
                } else {
                    let place = table.zip(row.map(Vec::as_slice));
                    let found = Evaluation::new(inner, place, self).whole();
                    found.map_err(|failure| failure_of(self, &failure, inner))?
                });
            }
            values.retain(|value| *value != Value::Null);
            let numbers = || values.iter().filter_map(|value| value.text().parse::<f64>().ok());
            let whole = |number: f64| {
                if number.fract() == 0.0 { Value::Integer(number as i64) } else { Value::Real(number) }
            };
            let extreme = |wanted: Ordering| {
                let better = |best: Value, next: &Value| match next.compare(&best) {
                    Some(order) if order == wanted => next.clone(),
                    _ => best,
                };
                values.first().map_or(Value::Null, |first| values.iter().fold(first.clone(), better))
            };
            made.rows[0].push(match kind {
                "count" => Value::Integer(i64::try_from(values.len()).unwrap_or(i64::MAX)),
                _ if values.is_empty() => Value::Null,
                "sum" => whole(numbers().sum()),
                "avg" => Value::Real(numbers().sum::<f64>() / values.len() as f64),
                "max" => extreme(Ordering::Greater),
                _ => extreme(Ordering::Less),
            });
        }
        Ok(Outcome::Rows(made, None))
    }

    /// The table that a statement names.
    pub(super) fn table_of(&self, cursor: &mut Cursor<'_>, database: &str) -> Result<&Table, Refused> {
        let (database, name) = self.place(cursor, database)?;
        let tables = self.databases.get(&database);
        tables.and_then(|tables| tables.get(&name)).ok_or_else(|| self.no_table(&database, &name))
    }

    /// The database and the table that a statement names.
    pub(super) fn place(&self, cursor: &mut Cursor<'_>, database: &str) -> Result<(String, String), Refused> {
        let rest = sql::written(&cursor.tokens[cursor.at..]);
        let Some((of, name)) = cursor.path() else { return Err(self.syntax_error(&rest)) };
        if self.is_postgres {
            // What stands before is the schema.
            return Ok((database.to_owned(), name.to_lowercase()));
        }
        let database = of.unwrap_or_else(|| database.to_owned());
        match database.is_empty() {
            true => Err("1046 (3D000): No database selected".to_owned()),
            false => Ok((database, name)),
        }
    }

    pub(super) fn no_table(&self, database: &str, name: &str) -> Refused {
        match (self.is_postgres, self.databases.contains_key(database)) {
            (true, _) => format!("relation \"{name}\" does not exist"),
            (false, true) => format!("1146 (42S02): Table '{database}.{name}' doesn't exist"),
            (false, false) => format!("1049 (42000): Unknown database '{database}'"),
        }
    }
}
