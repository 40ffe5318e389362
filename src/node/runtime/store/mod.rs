//! What database servers keep, and how they answer those who speak their language.
//!
//! A client's statement comes as a raw request (`HttpRequest::raw`), its options as headers, and the answer is the text that the
//! real client would show: status 200 for its output, 400 for its error, 401 when it must go. What is kept lies in files
//! where the real server has its data, so that it lives as long as the volume there. Only as much of each language is
//! understood as tutorials and people at a prompt use; everything else is answered with the server's own syntax error.

mod cache;
mod documents;
mod keys;
mod notation;
mod queues;
mod sql;
mod table;
mod tables;
mod tree;

use std::time::Duration;

use crate::machinery::shell::files::WriteAt;
use crate::machinery::shell::{CommandIo, HttpAnswer, HttpRequest, NetworkAnswer};

/// What came of a statement: text for who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// 200, 400 or 401.
    pub status: u16,
    /// What is printed.
    pub text: String,
    /// What the client is to remember: its database, its prompt.
    pub remember: Vec<(String, String)>,
}

impl Reply {
    fn ok(text: impl Into<String>) -> Self {
        Self { status: 200, text: text.into(), remember: Vec::new() }
    }

    fn error(text: impl Into<String>) -> Self {
        Self { status: 400, text: text.into(), remember: Vec::new() }
    }

    fn denied(text: impl Into<String>) -> Self {
        Self { status: 401, text: text.into(), remember: Vec::new() }
    }
}

/// A client's statement with its options.
pub(super) struct Statement<'a> {
    pub text: String,
    request: &'a HttpRequest,
}

impl Statement<'_> {
    fn option(&self, name: &str) -> &str {
        self.request.header(name).unwrap_or_default()
    }

    fn has(&self, name: &str) -> bool {
        self.request.header(name).is_some()
    }
}

/// A kind of database. All of its state is a value.
#[derive(Clone, Debug)]
pub(super) enum Store {
    /// redis.
    Keys(keys::Keys),
    /// MySQL and PostgreSQL.
    Tables(tables::Tables),
    /// MongoDB.
    Documents(documents::Documents),
    /// memcached.
    Cache(cache::Cache),
    /// RabbitMQ.
    Queues(queues::Queues),
    /// ZooKeeper.
    Tree(tree::Tree),
}

impl Store {
    /// The store of a name that the catalogue uses.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "redis" => Self::Keys(keys::Keys::default()),
            "mysql" | "postgres" => Self::Tables(tables::Tables::new(name == "postgres")),
            "mongo" => Self::Documents(documents::Documents::default()),
            "memcached" => Self::Cache(cache::Cache::default()),
            "rabbitmq" => Self::Queues(queues::Queues::default()),
            "zookeeper" => Self::Tree(tree::Tree::default()),
            _ => return None,
        })
    }

    /// Reads configuration and data; the last words of a server that cannot start.
    pub(super) fn begin(&mut self, version: &str, io: &mut CommandIo<'_>) -> Result<(), String> {
        match self {
            Self::Keys(store) => store.begin(version, io),
            Self::Tables(store) => store.begin(version, io),
            Self::Documents(store) => store.begin(version, io),
            Self::Cache(_) => Ok(()),
            Self::Queues(store) => store.begin(version, io),
            Self::Tree(store) => store.begin(io),
        }
    }

    /// The port that its configuration names.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Keys(store) => store.port(),
            _ => None,
        }
    }

    /// Answers a statement.
    pub(super) fn answer(&mut self, request: &HttpRequest, io: &mut CommandIo<'_>) -> HttpAnswer {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let statement = Statement { text, request };
        let reply = match self {
            Self::Keys(store) => store.answer(&statement, io),
            Self::Tables(store) => store.answer(&statement, io),
            Self::Documents(store) => store.answer(&statement, io),
            Self::Cache(store) => store.answer(&statement, io),
            Self::Queues(store) => store.answer(&statement, io),
            Self::Tree(store) => store.answer(&statement, io),
        };
        let body = reply.text.into_bytes();
        HttpAnswer { status: reply.status, headers: reply.remember, body, ..HttpAnswer::default() }
    }

    /// Whether a client told the server to end.
    pub(super) const fn ends(&self) -> bool {
        matches!(self, Self::Keys(keys::Keys { ends: true, .. }))
    }

    /// Keeps what an orderly stop keeps.
    pub(super) fn end(&self, io: &mut CommandIo<'_>) {
        if let Self::Keys(store) = self {
            store.save(io);
        }
    }

    /// What a follower asks its leader, and how long it waits before it asks again.
    pub(super) fn follow(&self) -> Option<(HttpRequest, Duration)> {
        let request = match self {
            Self::Keys(store) => store.follow()?,
            Self::Tables(store) => store.follow()?,
            _ => return None,
        };
        Some((request, Duration::from_secs(1)))
    }

    /// What the leader said; lines for the server's log.
    pub(super) fn followed(&mut self, answer: Option<NetworkAnswer>, io: &mut CommandIo<'_>) -> Vec<String> {
        let said = match answer {
            Some(NetworkAnswer::Http(answer)) if answer.status == 200 => {
                Some(String::from_utf8_lossy(&answer.body).into_owned())
            }
            _ => None,
        };
        match self {
            Self::Keys(store) => store.followed(said, io),
            Self::Tables(store) => store.followed(said, io),
            _ => Vec::new(),
        }
    }

    /// Memory of what is kept, in bytes.
    pub(super) fn memory(&self) -> u64 {
        match self {
            Self::Keys(store) => store.memory(),
            _ => 0,
        }
    }
}

/// A file's text; empty when it is not there.
fn read(path: &str, io: &mut CommandIo<'_>) -> String {
    let bytes = io.files(|files| files.read(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes a text into a file, whose directory is made when it is not there.
fn write(path: &str, text: &str, at: WriteAt, io: &mut CommandIo<'_>) -> bool {
    let directory = crate::machinery::shell::files::parent(path).to_owned();
    io.files(|files| {
        make_directories(files, &directory);
        files.write(path, text.as_bytes(), at)
    })
    .is_ok()
}

fn make_directories(files: &mut crate::machinery::shell::files::FileSystem<'_>, path: &str) {
    let mut at = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        at = format!("{at}/{part}");
        // One that is there already, or that cannot be made, shows when the file is written.
        let _ = files.make_directory(&at);
    }
}

/// One line for a text that may have several.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

/// The text of such a line.
fn unescape(line: &str) -> String {
    let (mut text, mut chars) = (String::new(), line.chars());
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => text.extend(match chars.next() {
                Some('n') => Some('\n'),
                other => other,
            }),
            (other, false) => text.push(other),
        }
    }
    text
}

/// A text as words, as shells and redis split them: blanks separate, quotes hold together.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut chars) = (Vec::new(), text.chars().peekable());
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(first) = chars.peek().copied() else { return Some(words) };
        let mut word = String::new();
        if matches!(first, '"' | '\'') {
            chars.next();
            loop {
                match chars.next()? {
                    c if c == first => break,
                    '\\' => match chars.next()? {
                        'n' => word.push('\n'),
                        't' => word.push('\t'),
                        'r' => word.push('\r'),
                        other => word.push(other),
                    },
                    c => word.push(c),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
        words.push(word);
    }
}
