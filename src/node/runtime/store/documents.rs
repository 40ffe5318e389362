//! MongoDB as mongosh shows it: documents in collections, the methods that tutorials use on them, and a few commands.
//!
//! What is not there: aggregation, indexes, replica sets of several members, JavaScript beyond one call with its literals.

mod literal;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use self::literal::{inspect, parse};
use super::{Reply, Statement, read, write};
use crate::machinery::shell::CommandIo;
use crate::machinery::shell::files::WriteAt;

/// Where documents are kept.
const FILE: &str = "collection-0.wt";

/// Everything of a server.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Documents {
    databases: BTreeMap<String, BTreeMap<String, Vec<Value>>>,
    users: BTreeMap<String, String>,
    directory: String,
    version: String,
    made: u64,
}

impl Documents {
    #[expect(clippy::unnecessary_wraps, reason = "every store begins in the same way")]
    pub(super) fn begin(&mut self, version: &str, io: &mut CommandIo<'_>) -> Result<(), String> {
        version.clone_into(&mut self.version);
        let arguments = io.arguments();
        let at = arguments.iter().position(|word| word == "--dbpath");
        self.directory = at.and_then(|at| arguments.get(at + 1)).cloned().unwrap_or_else(|| "/data/db".to_owned());
        if let (Some(user), Some(password)) =
            (io.variable("MONGO_INITDB_ROOT_USERNAME"), io.variable("MONGO_INITDB_ROOT_PASSWORD"))
        {
            self.users.insert(user, password);
        }
        for line in read(&self.file(), io).lines() {
            let mut parts = line.splitn(3, '\t');
            let (Some(database), Some(name), Some(text)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let documents = self.databases.entry(database.to_owned()).or_default().entry(name.to_owned()).or_default();
            if !text.is_empty() {
                documents.extend(parse(text));
            }
        }
        self.made = self.databases.values().flat_map(BTreeMap::values).map(|documents| documents.len() as u64).sum();
        Ok(())
    }

    fn file(&self) -> String {
        format!("{}/{FILE}", self.directory.trim_end_matches('/'))
    }

    fn save(&self, io: &mut CommandIo<'_>) {
        let mut text = String::new();
        for (database, collections) in &self.databases {
            for (name, documents) in collections {
                let _ = writeln!(text, "{database}\t{name}\t");
                for document in documents {
                    let _ = writeln!(text, "{database}\t{name}\t{document}");
                }
            }
        }
        write(&self.file(), &text, WriteAt::Start, io);
    }

    pub(super) fn answer(&mut self, statement: &Statement<'_>, io: &mut CommandIo<'_>) -> Reply {
        let text = statement.text.trim().trim_end_matches(';').trim();
        let database = match statement.option("database") {
            "" => "test".to_owned(),
            name => name.to_owned(),
        };
        let known = self.users.get(statement.option("user"));
        let gave_user = statement.has("user") && !statement.option("user").is_empty();
        if gave_user && known.is_none_or(|password| password != statement.option("password")) {
            return Reply::denied("MongoServerError: Authentication failed.\n");
        }
        let is_open = self.users.is_empty() || gave_user;
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            [] => return Reply::ok(""),
            ["use", name] => {
                let remember =
                    vec![("database".to_owned(), (*name).to_owned()), ("prompt".to_owned(), format!("{name}> "))];
                let text = if *name == database {
                    format!("already on db {name}\n")
                } else {
                    format!("switched to db {name}\n")
                };
                return Reply { status: 200, text, remember };
            }
            ["db"] => return Reply::ok(format!("{database}\n")),
            ["show", ..] if !is_open => {
                return Reply::error("MongoServerError[Unauthorized]: Command listDatabases requires authentication\n");
            }
            ["show", "dbs" | "databases"] => {
                let mut names: Vec<&str> = vec!["admin", "config", "local"];
                names.extend(self.databases.iter().filter(|(_, held)| !held.is_empty()).map(|(name, _)| name.as_str()));
                return Reply::ok(names.iter().map(|name| format!("{name:<7} 40.00 KiB\n")).collect::<String>());
            }
            ["show", "collections" | "tables"] => {
                let held = self.databases.get(&database);
                return Reply::ok(
                    held.into_iter().flat_map(BTreeMap::keys).map(|name| format!("{name}\n")).collect::<String>(),
                );
            }
            _ => {}
        }
        let Some(calls) = literal::calls(text) else {
            let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            return Reply::error(format!("ReferenceError: {word} is not defined\n"));
        };
        let before = self.databases.clone();
        match self.call(&calls, &database, is_open, io) {
            Ok(value) => {
                if self.databases != before {
                    self.save(io);
                }
                Reply::ok(value.map(|value| format!("{}\n", inspect(&value))).unwrap_or_default())
            }
            Err(error) => Reply::error(format!("{error}\n")),
        }
    }

    /// `db.collection.method(…).method(…)`.
    fn call(
        &mut self,
        calls: &literal::Calls,
        database: &str,
        is_open: bool,
        io: &CommandIo<'_>,
    ) -> Result<Option<Value>, String> {
        let path: Vec<&str> = calls.path.iter().map(String::as_str).collect();
        let Some((method, arguments)) = calls.made.first() else {
            return match path.as_slice() {
                ["db", name @ ..] if !name.is_empty() => Ok(Some(json!(format!("{database}.{}", name.join("."))))),
                ["db"] => Ok(Some(json!(database))),
                [name, ..] => Err(format!("ReferenceError: {name} is not defined")),
                [] => Ok(None),
            };
        };
        match (path.as_slice(), method.as_str()) {
            (["rs"], "initiate") => Ok(Some(
                json!({"info2": "no configuration specified. Using a default configuration for the set", "ok": 1}),
            )),
            (["rs"], "status") => Err("MongoServerError[NoReplicationEnabled]: not running with --replSet".to_owned()),
            (["console"], "log") | ([], "print" | "printjson") => Ok(arguments.first().cloned()),
            (["db"], "runCommand" | "adminCommand" | "command") => self.command(arguments.first(), is_open, io),
            (["db"], "version") => Ok(Some(json!(self.version))),
            (["db"], "hello" | "isMaster") => Ok(Some(json!({"isWritablePrimary": true, "ok": 1}))),
            (["db"], "getName") => Ok(Some(json!(database))),
            (["db"], "auth") => Ok(Some(json!({"ok": 1}))),
            (["db" | "rs" | "sh"], _) | (["db", ..], _) if !is_open => {
                Err(format!("MongoServerError[Unauthorized]: Command {method} requires authentication"))
            }
            (["db"], "getCollectionNames") => {
                let names: Vec<&String> = self.databases.get(database).into_iter().flat_map(BTreeMap::keys).collect();
                Ok(Some(json!(names)))
            }
            (["db"], "dropDatabase") => {
                self.databases.remove(database);
                Ok(Some(json!({"ok": 1, "dropped": database})))
            }
            (["db"], "createCollection") => {
                let name = arguments.first().and_then(Value::as_str).unwrap_or_default().to_owned();
                self.databases.entry(database.to_owned()).or_default().entry(name).or_default();
                Ok(Some(json!({"ok": 1})))
            }
            (["db"], "createUser") => {
                let of = |field: &str| {
                    arguments.first().and_then(|user| user[field].as_str()).unwrap_or_default().to_owned()
                };
                if !self.users.is_empty() {
                    self.users.insert(of("user"), of("pwd"));
                }
                Ok(Some(json!({"ok": 1})))
            }
            (["db"], "getCollection") => {
                let name = arguments.first().and_then(Value::as_str).unwrap_or_default().to_owned();
                self.on_collection(database, &name, &calls.made[1..], io)
            }
            (["db", name @ ..], _) => self.on_collection(database, &name.join("."), &calls.made, io),
            ([name, ..], _) => Err(format!("ReferenceError: {name} is not defined")),
            ([], name) => Err(format!("ReferenceError: {name} is not defined")),
        }
    }

    fn command(&self, command: Option<&Value>, is_open: bool, io: &CommandIo<'_>) -> Result<Option<Value>, String> {
        let name = match command {
            Some(Value::Object(fields)) => fields.keys().next().cloned(),
            Some(Value::String(name)) => Some(name.clone()),
            _ => None,
        };
        Ok(Some(match name.as_deref().unwrap_or_default() {
            "ping" => json!({"ok": 1}),
            "hello" | "isMaster" | "ismaster" => json!({"isWritablePrimary": true, "ok": 1}),
            "buildInfo" => json!({"version": self.version, "ok": 1}),
            name if !is_open => {
                return Err(format!("MongoServerError[Unauthorized]: Command {name} requires authentication"));
            }
            "connectionStatus" => {
                json!({"authInfo": {"authenticatedUsers": [], "authenticatedUserRoles": []}, "ok": 1})
            }
            "serverStatus" => json!({"host": io.host.hostname(), "version": self.version, "ok": 1}),
            "listDatabases" => {
                let names: Vec<Value> = self.databases.keys().map(|name| json!({"name": name})).collect();
                json!({"databases": names, "ok": 1})
            }
            name => return Err(format!("MongoServerError[CommandNotFound]: no such command: '{name}'")),
        }))
    }

    fn on_collection(
        &mut self,
        database: &str,
        name: &str,
        calls: &[(String, Vec<Value>)],
        io: &CommandIo<'_>,
    ) -> Result<Option<Value>, String> {
        let Some((method, arguments)) = calls.first() else { return Ok(Some(json!(format!("{database}.{name}")))) };
        let first = arguments.first().cloned().unwrap_or(Value::Null);
        let place = self.databases.get(database).and_then(|held| held.get(name));
        let found = |documents: Option<&Vec<Value>>| -> Vec<Value> {
            documents.into_iter().flatten().filter(|document| matches(document, &first)).cloned().collect()
        };
        let value = match method.as_str() {
            "insertOne" | "insertMany" | "insert" => self.insert(database, name, method, first, io)?,
            "find" => Value::Array(cursor(found(place), &calls[1..])),
            "findOne" => found(place).into_iter().next().unwrap_or(Value::Null),
            "countDocuments" | "count" | "estimatedDocumentCount" => return Ok(Some(json!(found(place).len()))),
            "distinct" => {
                let field = first.as_str().unwrap_or_default();
                let mut values: Vec<Value> = Vec::new();
                for document in place.into_iter().flatten() {
                    if let Some(value) = document.get(field).filter(|value| !values.contains(value)) {
                        values.push(value.clone());
                    }
                }
                Value::Array(values)
            }
            "deleteOne" | "deleteMany" | "remove" => {
                let most = if method == "deleteOne" { 1 } else { usize::MAX };
                self.delete(database, name, &first, most)
            }
            "updateOne" | "updateMany" | "replaceOne" => {
                let change = arguments.get(1).cloned().unwrap_or(Value::Null);
                self.change(database, name, &first, &change, method == "updateMany")
            }
            "drop" => {
                let gone = self.databases.get_mut(database).and_then(|held| held.remove(name)).is_some();
                json!(gone)
            }
            "createIndex" => json!(
                first
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, order)| format!("{key}_{order}"))
                    .collect::<Vec<_>>()
                    .join("_")
            ),
            other => return Err(format!("TypeError: db.{name}.{other} is not a function")),
        };
        Ok(Some(value))
    }

    fn insert(
        &mut self,
        database: &str,
        name: &str,
        method: &str,
        first: Value,
        io: &CommandIo<'_>,
    ) -> Result<Value, String> {
        let documents = match first {
            Value::Array(items) => items,
            one => vec![one],
        };
        let mut ids = Vec::new();
        for mut document in documents {
            let Some(fields) = document.as_object_mut() else {
                return Err("MongoInvalidArgumentError: Document must be a valid JS object".to_owned());
            };
            if !fields.contains_key("_id") {
                self.made += 1;
                let id = format!("{:08x}{:010x}{:06x}", io.now().as_secs(), 0x3f_2a91_c0de_u64, self.made);
                let mut with_id = Map::from_iter([("_id".to_owned(), json!({"$oid": id}))]);
                with_id.append(fields);
                *fields = with_id;
            }
            ids.push(document["_id"].clone());
            self.databases.entry(database.to_owned()).or_default().entry(name.to_owned()).or_default().push(document);
        }
        Ok(if method == "insertOne" {
            json!({"acknowledged": true, "insertedId": ids.first()})
        } else {
            let ids: Map<String, Value> =
                ids.into_iter().enumerate().map(|(index, id)| (index.to_string(), id)).collect();
            json!({"acknowledged": true, "insertedIds": ids})
        })
    }

    fn delete(&mut self, database: &str, name: &str, query: &Value, most: usize) -> Value {
        let Some(documents) = self.collection(database, name) else {
            return json!({"acknowledged": true, "deletedCount": 0});
        };
        let (before, mut left) = (documents.len(), most);
        documents.retain(|document| {
            let goes = left > 0 && matches(document, query);
            left -= usize::from(goes);
            !goes
        });
        json!({"acknowledged": true, "deletedCount": before - documents.len()})
    }

    fn change(&mut self, database: &str, name: &str, query: &Value, change: &Value, all: bool) -> Value {
        let mut count = 0;
        for document in self.collection(database, name).into_iter().flatten() {
            if matches(document, query) && (count == 0 || all) {
                count += 1;
                update(document, change);
            }
        }
        json!({"acknowledged": true, "insertedId": null, "matchedCount": count, "modifiedCount": count, "upsertedCount": 0})
    }

    fn collection(&mut self, database: &str, name: &str) -> Option<&mut Vec<Value>> {
        self.databases.get_mut(database).and_then(|held| held.get_mut(name))
    }
}

/// What is left of documents after a cursor's own methods.
fn cursor(mut documents: Vec<Value>, calls: &[(String, Vec<Value>)]) -> Vec<Value> {
    for (method, arguments) in calls {
        let number = arguments.first().and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        match method.as_str() {
            "limit" => documents.truncate(number.unwrap_or(usize::MAX)),
            "skip" => drop(documents.drain(..number.unwrap_or(0).min(documents.len()))),
            "count" => return vec![json!(documents.len())],
            _ => {}
        }
    }
    documents
}

/// Whether a document is as a query says.
fn matches(document: &Value, query: &Value) -> bool {
    let Some(wanted) = query.as_object() else { return true };
    wanted.iter().all(|(name, wanted)| {
        let held = document.get(name).unwrap_or(&Value::Null);
        let Some(operators) =
            wanted.as_object().filter(|fields| fields.keys().any(|key| key.starts_with('$') && key != "$oid"))
        else {
            return held == wanted || held.as_f64().is_some_and(|held| Some(held) == wanted.as_f64());
        };
        operators.iter().all(|(operator, value)| {
            let order = match (held.as_f64(), value.as_f64(), held.as_str(), value.as_str()) {
                (Some(held), Some(value), _, _) => held.partial_cmp(&value),
                (_, _, Some(held), Some(value)) => Some(held.cmp(value)),
                _ => None,
            };
            match operator.as_str() {
                "$gt" => order.is_some_and(std::cmp::Ordering::is_gt),
                "$gte" => order.is_some_and(std::cmp::Ordering::is_ge),
                "$lt" => order.is_some_and(std::cmp::Ordering::is_lt),
                "$lte" => order.is_some_and(std::cmp::Ordering::is_le),
                "$ne" => held != value,
                "$in" => value.as_array().is_some_and(|values| values.contains(held)),
                "$exists" => (*held != Value::Null) == value.as_bool().unwrap_or(true),
                _ => false,
            }
        })
    })
}

/// Changes a document: by `$set`, `$inc` and `$unset`, or to another one.
fn update(document: &mut Value, change: &Value) {
    let Some(fields) = document.as_object_mut() else { return };
    let Some(change) = change.as_object() else { return };
    if !change.keys().any(|key| key.starts_with('$')) {
        fields.retain(|name, _| name == "_id");
        fields.extend(change.iter().map(|(name, value)| (name.clone(), value.clone())));
        return;
    }
    for (operator, values) in change {
        for (name, value) in values.as_object().into_iter().flatten() {
            match operator.as_str() {
                "$set" => drop(fields.insert(name.clone(), value.clone())),
                "$unset" => drop(fields.remove(name)),
                "$inc" => {
                    let held = fields.get(name).and_then(Value::as_i64).unwrap_or(0);
                    fields.insert(name.clone(), json!(held + value.as_i64().unwrap_or(0)));
                }
                _ => {}
            }
        }
    }
}
