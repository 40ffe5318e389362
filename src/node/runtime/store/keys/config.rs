//! redis's configuration: the file, then what the command line adds.

use std::collections::BTreeMap;

use super::super::words;
use crate::machinery::shell::{CommandIo, utilities};

/// Directives that mean something here, or that people look at, with their defaults.
const DEFAULTS: [(&str, &str); 22] = [
    ("appendfsync", "everysec"),
    ("appendonly", "no"),
    ("bind", "* -::*"),
    ("config_file", ""),
    ("databases", "16"),
    ("dbfilename", "dump.rdb"),
    ("dir", "/data"),
    ("hz", "10"),
    ("loglevel", "notice"),
    ("masterauth", ""),
    ("maxclients", "10000"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("maxmemory-samples", "5"),
    ("port", "6379"),
    ("protected-mode", "no"),
    ("replicaof", ""),
    ("requirepass", ""),
    ("save", "3600 1 300 100 60 10000"),
    ("slowlog-log-slower-than", "10000"),
    ("tcp-keepalive", "300"),
    ("timeout", "0"),
];

/// Directives that are only taken.
const TAKEN: &str = include_str!("../../../../../assets/redis-settings.txt");

/// The names of all that can be asked for.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    DEFAULTS.iter().map(|(name, _)| *name).filter(|name| *name != "config_file")
}

/// What a directive is without being set.
pub(super) fn default(name: &str) -> &'static str {
    DEFAULTS.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// Whether there is such a directive.
pub(super) fn is_known(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    DEFAULTS.iter().any(|(known, _)| *known == name) || TAKEN.lines().any(|known| known == name)
}

/// A value as redis keeps it: sizes are bytes.
pub(super) fn value(name: &str, text: &str) -> String {
    let text = text.trim();
    if name != "maxmemory" {
        return text.to_owned();
    }
    // `k` counts thousands, `kb` counts 1,024.
    let lower = text.to_ascii_lowercase();
    let decimal = [("k", 1000), ("m", 1_000_000), ("g", 1_000_000_000_u64)];
    for (suffix, factor) in decimal {
        if let Some(number) = lower.strip_suffix(suffix).and_then(|number| number.parse::<u64>().ok()) {
            return (number * factor).to_string();
        }
    }
    utilities::parse_size(&lower).map_or_else(|| text.to_owned(), |bytes| bytes.to_string())
}

/// Reads the configuration; redis's last words when it is none.
pub(super) fn load(version: &str, io: &mut CommandIo<'_>) -> Result<BTreeMap<String, String>, String> {
    let mut settings = BTreeMap::new();
    let arguments = io.arguments();
    let mut text = String::new();
    let mut rest = arguments.as_slice();
    if let [file, others @ ..] = rest
        && !file.starts_with('-')
    {
        let path = io.path(file);
        let Ok(bytes) = io.files(|files| files.read(&path)) else {
            return Err(format!("Fatal error, can't open config file '{path}': No such file or directory"));
        };
        text = String::from_utf8_lossy(&bytes).into_owned();
        settings.insert("config_file".to_owned(), path);
        rest = others;
    }
    for argument in rest {
        match argument.strip_prefix("--") {
            Some(name) => text.push_str(&format!("\n{name}")),
            None => text.push_str(&format!(" \"{argument}\"")),
        }
    }
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words = words(line).unwrap_or_default();
        let name = words.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
        if !is_known(&name) || words.len() < 2 {
            return Err(format!(
                "\n*** FATAL CONFIG FILE ERROR (Redis {version}) ***\nReading the configuration file, at line {}\n>>> '{line}'\nBad directive or wrong number of arguments",
                number + 1
            ));
        }
        let name = if name == "slaveof" { "replicaof".to_owned() } else { name };
        let value = value(&name, &words[1..].join(" "));
        settings.insert(name, value);
    }
    Ok(settings)
}
