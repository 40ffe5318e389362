//! redis's commands on keys.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::notation::Value;
use super::{Data, Entry, Keys};
use crate::machinery::time::Time;

/// Commands that change keys.
const WRITES: &str = "SET SETNX SETEX PSETEX GETSET GETDEL MSET APPEND INCR DECR INCRBY DECRBY INCRBYFLOAT DEL UNLINK EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST RENAME FLUSHALL FLUSHDB LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP BLPOP BRPOP LREM LTRIM LSET RPOPLPUSH BRPOPLPUSH LMOVE BLMOVE HSET HMSET HSETNX HDEL HINCRBY SADD SREM SPOP ZADD ZREM ZINCRBY";

/// Whether a command changes keys.
pub(super) fn writes(verb: &str) -> bool {
    WRITES.split(' ').any(|known| known == verb)
}

/// Whether a text matches a pattern of redis's: `*`, `?`, `[ab]`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    crate::machinery::shell::pattern_matches(pattern, text)
}

fn wrong_type() -> Value {
    Value::error("WRONGTYPE Operation against a key holding the wrong kind of value")
}

fn not_integer() -> Value {
    Value::error("ERR value is not an integer or out of range")
}

fn or_nil(text: Option<String>) -> Value {
    text.map_or(Value::Nil, Value::Text)
}

/// The part of a list between two places, which count from the end when negative.
fn range(length: usize, from: &str, to: &str) -> Option<std::ops::Range<usize>> {
    let length = i64::try_from(length).ok()?;
    let place = |text: &str| text.parse::<i64>().ok().map(|at| if at < 0 { at + length } else { at });
    let (from, to) = (place(from)?.max(0), (place(to)? + 1).clamp(0, length));
    Some(usize::try_from(from.min(to)).unwrap_or(0)..usize::try_from(to).unwrap_or(0))
}

fn score(number: f64) -> String {
    number.to_string()
}

impl Keys {
    /// Runs a command. It changes nothing when it fails.
    pub(super) fn run(&mut self, words: &[String], now: Time) -> Value {
        let Some(verb) = words.first().map(|word| word.to_ascii_uppercase()) else { return Value::Nil };
        self.entries.retain(|_, entry| entry.expires.is_none_or(|time| time > now));
        let given: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let answer = self.on_keys(&verb, &given, now);
        let answer = answer.or_else(|| self.on_texts(&verb, &given, now));
        let answer = answer.or_else(|| self.on_numbers(&verb, &given));
        let answer = answer.or_else(|| self.on_lists(&verb, &given));
        let answer = answer.or_else(|| self.on_fields(&verb, &given));
        let answer = answer.or_else(|| self.on_members(&verb, &given));
        self.entries.retain(|_, entry| match &entry.data {
            Data::List(items) => !items.is_empty(),
            Data::Hash(fields) => !fields.is_empty(),
            Data::Set(items) => !items.is_empty(),
            Data::Sorted(members) => !members.is_empty(),
            Data::Text(_) => true,
        });
        answer.unwrap_or_else(|| {
            let known = writes(&verb)
                || "GET MGET STRLEN LRANGE LLEN LINDEX HGET HGETALL SMEMBERS ZRANGE TYPE TTL EXISTS ECHO KEYS"
                    .split(' ')
                    .any(|known| known == verb);
            if known {
                return Value::error(format!("ERR wrong number of arguments for '{}' command", verb.to_lowercase()));
            }
            let rest: String = given.iter().map(|word| format!("'{word}' ")).collect();
            Value::error(format!("ERR unknown command '{}', with args beginning with: {rest}", words[0]))
        })
    }

    fn put(&mut self, key: &str, data: Data) {
        self.entries.insert(key.to_owned(), Entry { data, expires: None });
    }

    /// A text at a key; an error when it holds something else.
    fn text(&self, key: &str) -> Result<Option<String>, Value> {
        match self.entries.get(key).map(|entry| &entry.data) {
            None => Ok(None),
            Some(Data::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong_type()),
        }
    }

    fn on_keys(&mut self, verb: &str, given: &[&str], now: Time) -> Option<Value> {
        Some(match (verb, given) {
            ("PING", []) => Value::Status("PONG".to_owned()),
            ("PING" | "ECHO", [text]) => Value::Text((*text).to_owned()),
            ("DBSIZE", _) => Value::count(self.entries.len()),
            ("FLUSHALL" | "FLUSHDB", _) => {
                self.entries.clear();
                Value::ok()
            }
            ("KEYS", [pattern]) => {
                Value::texts(self.entries.keys().filter(|key| matches(pattern, key)).cloned().collect::<Vec<_>>())
            }
            ("SCAN", [_, rest @ ..]) => {
                let at = rest.iter().position(|word| word.eq_ignore_ascii_case("match"));
                let pattern = at.and_then(|at| rest.get(at + 1)).copied().unwrap_or("*");
                let found: Vec<String> = self.entries.keys().filter(|key| matches(pattern, key)).cloned().collect();
                Value::List(vec![Value::Text("0".to_owned()), Value::texts(found)])
            }
            ("DEL" | "UNLINK", [_, ..]) => {
                Value::count(given.iter().filter(|key| self.entries.remove(**key).is_some()).count())
            }
            ("EXISTS", [_, ..]) => Value::count(given.iter().filter(|key| self.entries.contains_key(**key)).count()),
            ("TYPE", [key]) => Value::Status(
                match self.entries.get(*key).map(|entry| &entry.data) {
                    None => "none",
                    Some(Data::Text(_)) => "string",
                    Some(Data::List(_)) => "list",
                    Some(Data::Hash(_)) => "hash",
                    Some(Data::Set(_)) => "set",
                    Some(Data::Sorted(_)) => "zset",
                }
                .to_owned(),
            ),
            ("RENAME", [from, to]) => match self.entries.remove(*from) {
                Some(entry) => {
                    self.entries.insert((*to).to_owned(), entry);
                    Value::ok()
                }
                None => Value::error("ERR no such key"),
            },
            ("EXPIRE" | "PEXPIRE" | "EXPIREAT" | "PEXPIREAT", [key, number, ..]) => {
                let Ok(number) = number.parse::<i64>() else { return Some(not_integer()) };
                let micros =
                    if verb.starts_with('P') { number.saturating_mul(1000) } else { number.saturating_mul(1_000_000) };
                let micros = u64::try_from(micros).unwrap_or(0);
                let base = if verb.ends_with("AT") { 0 } else { now.as_micros() };
                let Some(entry) = self.entries.get_mut(*key) else { return Some(Value::Integer(0)) };
                entry.expires = Some(Time::from_micros(base.saturating_add(micros)));
                Value::Integer(1)
            }
            ("PERSIST", [key]) => {
                let entry = self.entries.get_mut(*key);
                Value::count(usize::from(entry.is_some_and(|entry| entry.expires.take().is_some())))
            }
            ("TTL" | "PTTL", [key]) => match self.entries.get(*key).map(|entry| entry.expires) {
                None => Value::Integer(-2),
                Some(None) => Value::Integer(-1),
                Some(Some(time)) => {
                    let left = time.since(now);
                    let left = if verb == "TTL" { left.as_secs_f64().ceil() as i64 } else { left.as_millis() as i64 };
                    Value::Integer(left)
                }
            },
            _ => return None,
        })
    }

    fn on_texts(&mut self, verb: &str, given: &[&str], now: Time) -> Option<Value> {
        let seconds = |text: &str, micros: u64| {
            text.parse::<u64>().ok().map(|number| Time::from_micros(now.as_micros() + number * micros))
        };
        Some(match (verb, given) {
            ("GET", [key]) => self.text(key).map_or_else(|error| error, or_nil),
            ("MGET", [_, ..]) => {
                Value::List(given.iter().map(|key| or_nil(self.text(key).unwrap_or_default())).collect())
            }
            ("STRLEN", [key]) => match self.text(key) {
                Ok(text) => Value::count(text.unwrap_or_default().len()),
                Err(error) => error,
            },
            ("SET", [key, text, options @ ..]) => {
                let upper: Vec<String> = options.iter().map(|word| word.to_ascii_uppercase()).collect();
                let has = |name: &str| upper.iter().any(|word| word == name);
                let is_there = self.entries.contains_key(*key);
                let old = self.text(key);
                if (has("NX") && is_there) || (has("XX") && !is_there) {
                    return Some(Value::Nil);
                }
                let expires = upper
                    .iter()
                    .position(|word| word == "EX" || word == "PX")
                    .and_then(|at| seconds(options.get(at + 1)?, if upper[at] == "EX" { 1_000_000 } else { 1000 }));
                self.entries.insert((*key).to_owned(), Entry { data: Data::Text((*text).to_owned()), expires });
                if has("GET") { old.map_or_else(|error| error, or_nil) } else { Value::ok() }
            }
            ("SETNX", [key, text]) => {
                let is_new = !self.entries.contains_key(*key);
                if is_new {
                    self.put(key, Data::Text((*text).to_owned()));
                }
                Value::count(usize::from(is_new))
            }
            ("SETEX" | "PSETEX", [key, number, text]) => {
                let expires = seconds(number, if verb == "SETEX" { 1_000_000 } else { 1000 });
                if expires.is_none() {
                    return Some(not_integer());
                }
                self.entries.insert((*key).to_owned(), Entry { data: Data::Text((*text).to_owned()), expires });
                Value::ok()
            }
            ("GETSET", [key, text]) => {
                let old = self.text(key);
                self.put(key, Data::Text((*text).to_owned()));
                old.map_or_else(|error| error, or_nil)
            }
            ("GETDEL", [key]) => {
                let old = self.text(key);
                self.entries.remove(*key);
                old.map_or_else(|error| error, or_nil)
            }
            _ => return None,
        })
    }

    fn on_numbers(&mut self, verb: &str, given: &[&str]) -> Option<Value> {
        Some(match (verb, given) {
            ("MSET", pairs) if pairs.len() >= 2 && pairs.len() % 2 == 0 => {
                for pair in pairs.chunks(2) {
                    self.put(pair[0], Data::Text(pair[1].to_owned()));
                }
                Value::ok()
            }
            ("APPEND", [key, more]) => match self.text(key) {
                Ok(text) => {
                    let text = text.unwrap_or_default() + more;
                    let length = text.len();
                    self.put(key, Data::Text(text));
                    Value::count(length)
                }
                Err(error) => error,
            },
            ("INCR", [key]) => self.add(key, 1),
            ("DECR", [key]) => self.add(key, -1),
            ("INCRBY" | "DECRBY", [key, by]) => match by.parse::<i64>() {
                Ok(by) => self.add(key, if verb == "INCRBY" { by } else { by.saturating_neg() }),
                Err(_) => not_integer(),
            },
            _ => return None,
        })
    }

    fn add(&mut self, key: &str, by: i64) -> Value {
        let text = match self.text(key) {
            Ok(text) => text.unwrap_or_else(|| "0".to_owned()),
            Err(error) => return error,
        };
        let Some(number) = text.parse::<i64>().ok().and_then(|number| number.checked_add(by)) else {
            return not_integer();
        };
        let expires = self.entries.get(key).and_then(|entry| entry.expires);
        self.entries.insert(key.to_owned(), Entry { data: Data::Text(number.to_string()), expires });
        Value::Integer(number)
    }

    /// A list at a key, made when it is not there.
    fn list(&mut self, key: &str) -> Result<&mut VecDeque<String>, Value> {
        let entry = self.entries.entry(key.to_owned());
        let entry = entry.or_insert_with(|| Entry { data: Data::List(VecDeque::new()), expires: None });
        match &mut entry.data {
            Data::List(items) => Ok(items),
            _ => Err(wrong_type()),
        }
    }

    fn pop(&mut self, key: &str, from_left: bool) -> Result<Option<String>, Value> {
        let list = self.list(key)?;
        Ok(if from_left { list.pop_front() } else { list.pop_back() })
    }

    fn on_lists(&mut self, verb: &str, given: &[&str]) -> Option<Value> {
        let answer = match (verb, given) {
            ("LPUSH" | "RPUSH", [key, items @ ..]) if !items.is_empty() => self.list(key).map(|list| {
                for item in items {
                    if verb == "LPUSH" {
                        list.push_front((*item).to_owned());
                    } else {
                        list.push_back((*item).to_owned());
                    }
                }
                Value::count(list.len())
            }),
            ("LPOP" | "RPOP", [key]) => self.pop(key, verb == "LPOP").map(or_nil),
            ("LPOP" | "RPOP", [key, count]) => {
                let count: usize = count.parse().unwrap_or(0);
                let taken: Result<Vec<_>, _> = (0..count.min(10_000)).map(|_| self.pop(key, verb == "LPOP")).collect();
                taken.map(|items| Value::texts(items.into_iter().flatten().collect::<Vec<_>>()))
            }
            ("BLPOP" | "BRPOP", [keys @ .., _]) => {
                for key in keys {
                    match self.pop(key, verb == "BLPOP") {
                        Ok(Some(item)) => return Some(Value::texts([(*key).to_owned(), item])),
                        Ok(None) => {}
                        Err(error) => return Some(error),
                    }
                }
                Ok(Value::Nil)
            }
            ("RPOPLPUSH", [from, to]) | ("BRPOPLPUSH", [from, to, _]) => self.shift(from, to, false, true),
            ("LMOVE", [from, to, out, into]) | ("BLMOVE", [from, to, out, into, _]) => {
                self.shift(from, to, out.eq_ignore_ascii_case("left"), into.eq_ignore_ascii_case("left"))
            }
            ("LLEN", [key]) => self.list(key).map(|list| Value::count(list.len())),
            ("LRANGE", [key, from, to]) => self.list(key).map(|list| match range(list.len(), from, to) {
                Some(range) => Value::texts(list.range(range).cloned().collect::<Vec<_>>()),
                None => not_integer(),
            }),
            ("LTRIM", [key, from, to]) => self.list(key).map(|list| match range(list.len(), from, to) {
                Some(range) => {
                    *list = list.range(range).cloned().collect();
                    Value::ok()
                }
                None => not_integer(),
            }),
            ("LINDEX", [key, at]) => self.list(key).map(|list| {
                let place = range(list.len(), at, at).map(|range| range.start);
                or_nil(place.and_then(|place| list.get(place).cloned()))
            }),
            ("LREM", [key, count, item]) => self.list(key).map(|list| {
                let most = match count.parse::<i64>().unwrap_or(0).unsigned_abs() {
                    0 => usize::MAX,
                    most => usize::try_from(most).unwrap_or(usize::MAX),
                };
                let mut removed = 0;
                list.retain(|held| {
                    let goes = held == item && removed < most;
                    removed += usize::from(goes);
                    !goes
                });
                Value::count(removed)
            }),
            _ => return None,
        };
        Some(answer.unwrap_or_else(|error| error))
    }

    fn shift(&mut self, from: &str, to: &str, from_left: bool, to_left: bool) -> Result<Value, Value> {
        let Some(item) = self.pop(from, from_left)? else { return Ok(Value::Nil) };
        let target = self.list(to)?;
        if to_left {
            target.push_front(item.clone());
        } else {
            target.push_back(item.clone());
        }
        Ok(Value::Text(item))
    }

    fn hash(&mut self, key: &str) -> Result<&mut BTreeMap<String, String>, Value> {
        let entry = self.entries.entry(key.to_owned());
        let entry = entry.or_insert_with(|| Entry { data: Data::Hash(BTreeMap::new()), expires: None });
        match &mut entry.data {
            Data::Hash(fields) => Ok(fields),
            _ => Err(wrong_type()),
        }
    }

    fn on_fields(&mut self, verb: &str, given: &[&str]) -> Option<Value> {
        let answer = match (verb, given) {
            ("HSET" | "HMSET" | "HSETNX", [key, pairs @ ..]) if pairs.len() >= 2 && pairs.len() % 2 == 0 => {
                self.hash(key).map(|fields| {
                    let mut added = 0;
                    for pair in pairs.chunks(2) {
                        if verb != "HSETNX" || !fields.contains_key(pair[0]) {
                            added += usize::from(fields.insert(pair[0].to_owned(), pair[1].to_owned()).is_none());
                        }
                    }
                    if verb == "HMSET" { Value::ok() } else { Value::count(added) }
                })
            }
            ("HGET", [key, field]) => self.hash(key).map(|fields| or_nil(fields.get(*field).cloned())),
            ("HMGET", [key, names @ ..]) => self
                .hash(key)
                .map(|fields| Value::List(names.iter().map(|name| or_nil(fields.get(*name).cloned())).collect())),
            ("HGETALL", [key]) => self.hash(key).map(|fields| {
                Value::texts(fields.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect::<Vec<_>>())
            }),
            ("HKEYS", [key]) => self.hash(key).map(|fields| Value::texts(fields.keys().cloned().collect::<Vec<_>>())),
            ("HVALS", [key]) => self.hash(key).map(|fields| Value::texts(fields.values().cloned().collect::<Vec<_>>())),
            ("HLEN", [key]) => self.hash(key).map(|fields| Value::count(fields.len())),
            ("HEXISTS", [key, field]) => {
                self.hash(key).map(|fields| Value::count(usize::from(fields.contains_key(*field))))
            }
            ("HDEL", [key, names @ ..]) => self
                .hash(key)
                .map(|fields| Value::count(names.iter().filter(|name| fields.remove(**name).is_some()).count())),
            ("HINCRBY", [key, field, by]) => self.hash(key).map(|fields| {
                let held = fields.get(*field).map_or(Ok(0), |text| text.parse::<i64>());
                match (held, by.parse::<i64>()) {
                    (Ok(held), Ok(by)) => {
                        let sum = held.saturating_add(by);
                        fields.insert((*field).to_owned(), sum.to_string());
                        Value::Integer(sum)
                    }
                    _ => Value::error("ERR hash value is not an integer"),
                }
            }),
            _ => return None,
        };
        Some(answer.unwrap_or_else(|error| error))
    }

    fn set(&mut self, key: &str) -> Result<&mut BTreeSet<String>, Value> {
        let entry = self.entries.entry(key.to_owned());
        let entry = entry.or_insert_with(|| Entry { data: Data::Set(BTreeSet::new()), expires: None });
        match &mut entry.data {
            Data::Set(items) => Ok(items),
            _ => Err(wrong_type()),
        }
    }

    fn sorted(&mut self, key: &str) -> Result<&mut BTreeMap<String, f64>, Value> {
        let entry = self.entries.entry(key.to_owned());
        let entry = entry.or_insert_with(|| Entry { data: Data::Sorted(BTreeMap::new()), expires: None });
        match &mut entry.data {
            Data::Sorted(members) => Ok(members),
            _ => Err(wrong_type()),
        }
    }

    fn on_members(&mut self, verb: &str, given: &[&str]) -> Option<Value> {
        let answer = match (verb, given) {
            ("SADD", [key, items @ ..]) if !items.is_empty() => self
                .set(key)
                .map(|set| Value::count(items.iter().filter(|item| set.insert((**item).to_owned())).count())),
            ("SREM", [key, items @ ..]) => {
                self.set(key).map(|set| Value::count(items.iter().filter(|item| set.remove(**item)).count()))
            }
            ("SMEMBERS", [key]) => self.set(key).map(|set| Value::texts(set.iter().cloned().collect::<Vec<_>>())),
            ("SCARD", [key]) => self.set(key).map(|set| Value::count(set.len())),
            ("SPOP", [key]) => self.set(key).map(|set| or_nil(set.pop_first())),
            ("SISMEMBER", [key, item]) => self.set(key).map(|set| Value::count(usize::from(set.contains(*item)))),
            ("ZADD", [key, pairs @ ..]) if pairs.len() >= 2 && pairs.len() % 2 == 0 => {
                self.sorted(key).map(|members| {
                    let mut added = 0;
                    for pair in pairs.chunks(2) {
                        let Ok(score) = pair[0].parse::<f64>() else {
                            return Value::error("ERR value is not a valid float");
                        };
                        added += usize::from(members.insert(pair[1].to_owned(), score).is_none());
                    }
                    Value::count(added)
                })
            }
            ("ZINCRBY", [key, by, member]) => self.sorted(key).map(|members| {
                let held = members.entry((*member).to_owned()).or_insert(0.0);
                *held += by.parse().unwrap_or(0.0);
                Value::Text(score(*held))
            }),
            ("ZSCORE", [key, member]) => {
                self.sorted(key).map(|members| or_nil(members.get(*member).map(|held| score(*held))))
            }
            ("ZREM", [key, items @ ..]) => self
                .sorted(key)
                .map(|members| Value::count(items.iter().filter(|item| members.remove(**item).is_some()).count())),
            ("ZCARD", [key]) => self.sorted(key).map(|members| Value::count(members.len())),
            ("ZRANGE" | "ZREVRANGE", [key, from, to, options @ ..]) => self.sorted(key).map(|members| {
                let mut ranked: Vec<(&String, f64)> = members.iter().map(|(member, score)| (member, *score)).collect();
                ranked.sort_by(|left, right| left.1.total_cmp(&right.1));
                let has = |name: &str| options.iter().any(|word| word.eq_ignore_ascii_case(name));
                if verb == "ZREVRANGE" || has("rev") {
                    ranked.reverse();
                }
                let Some(range) = range(ranked.len(), from, to) else { return not_integer() };
                let with_scores = has("withscores");
                Value::texts(
                    ranked[range]
                        .iter()
                        .flat_map(|(member, number)| {
                            std::iter::once((*member).clone()).chain(with_scores.then(|| score(*number)))
                        })
                        .collect::<Vec<_>>(),
                )
            }),
            _ => return None,
        };
        Some(answer.unwrap_or_else(|error| error))
    }
}
