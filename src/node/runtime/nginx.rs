//! As much of nginx's configuration as lessons use: servers, locations with `root`, `try_files`, `return` and `proxy_pass`, upstreams,
//! included files; and the errors with which nginx refuses what it cannot read.

mod files;

use super::server::stamp;
use crate::machinery::order::Order as _;
use crate::machinery::shell::files::{FileError, Owner};
use crate::machinery::shell::regex::Regex;
use crate::machinery::shell::{CommandIo, HttpAnswer, HttpRequest, NetworkAnswer, utilities};
use crate::machinery::time::Time;

pub(super) use files::load;

/// How deep blocks may be nested.
const DEPTH_MAX: u32 = 10;

/// The directory that the image serves.
const ROOT: &str = "/usr/share/nginx/html";

/// A configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    servers: Vec<ServerBlock>,
    /// The servers behind a name.
    upstreams: Vec<(String, Vec<String>)>,
    /// The hosts that must have an address when nginx starts, each with its place in the files.
    hosts: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ServerBlock {
    ports: Vec<u16>,
    names: Vec<String>,
    rules: Rules,
    locations: Vec<(String, Rules)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    root: Option<String>,
    /// `alias`: what comes in place of the location's own path.
    alias: Option<String>,
    returns: Option<(u16, String)>,
    proxy: Option<String>,
    kind: Option<String>,
    lists: bool,
    tries: Vec<String>,
    tells_status: bool,
}

/// A directive with its block, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directive {
    words: Vec<String>,
    block: Option<Vec<Self>>,
    /// File and line, as in messages.
    place: String,
}

/// The host of an address with a port.
fn host_of(address: &str) -> &str {
    address.split(['/', ':']).next().unwrap_or_default()
}

/// What makes it give up, as it stands in its log and before the eyes of who started it.
pub(super) fn emergency(message: &str, now: Time) -> String {
    format!("{} [emerg] 1#1: {message}\nnginx: [emerg] {message}\n", stamp(now))
}

/// What it says to somebody who is not root.
pub(super) fn warnings(io: &CommandIo<'_>) -> String {
    if io.host.user().id == 0 {
        return String::new();
    }
    let text = "the \"user\" directive makes sense only if the master process runs with super-user privileges, ignored in \
                /etc/nginx/nginx.conf:2";
    format!("{} [warn] 1#1: {text}\nnginx: [warn] {text}\n", stamp(io.now()))
}

/// Why it cannot write where it has to: its root is read-only, or it is not the user whom its folders belong to.
pub(super) fn unwritable(io: &mut CommandIo<'_>) -> Option<String> {
    let failure = |what: &str, (code, why): (u16, FileError)| format!("{what} failed ({code}: {why})");
    if let Err(why) = may_write(io, "/var/cache/nginx") {
        return Some(failure("mkdir() \"/var/cache/nginx/client_temp\"", why));
    }
    // The one is a link to the other in the image.
    let pid = may_write(io, "/run").or_else(|why| may_write(io, "/var/run").map_err(|_| why));
    pid.err().map(|why| failure("open() \"/run/nginx.pid\"", why))
}

/// Whether the user of a container may make files in a folder; a folder that is not there is root's.
fn may_write(io: &mut CommandIo<'_>, folder: &str) -> Result<(), (u16, FileError)> {
    let user = io.host.user();
    let (is_read_only, entry) = io.files(|files| (files.is_read_only(folder), files.stat(folder, true).ok()));
    if is_read_only {
        return Err((30, FileError::ReadOnly));
    }
    let (mode, owner) = entry.map_or((0o755, Owner::default()), |entry| (entry.mode, entry.owner));
    let is_own = i64::from(owner.user) == user.id && mode & 0o200 != 0;
    let is_of_group = user.groups.iter().chain([&user.group]).any(|group| *group == i64::from(owner.group));
    let may = user.id == 0 || is_own || (is_of_group && mode & 0o020 != 0) || mode & 0o002 != 0;
    if may { Ok(()) } else { Err((13, FileError::Denied)) }
}

fn collect(directives: &[Directive], config: &mut Config) {
    for directive in directives {
        let Some(block) = &directive.block else {
            continue;
        };
        match directive.words.first().map(String::as_str) {
            Some("server") => {
                config.servers.push(server(block));
                note_hosts(block, config);
            }
            Some("upstream") => {
                let servers = block.iter().filter(|inner| inner.words.first().is_some_and(|word| word == "server"));
                let mut addresses = Vec::new();
                for server in servers {
                    let address = server.words.get(1).cloned().unwrap_or_default();
                    config.hosts.push((host_of(&address).to_owned(), server.place.clone()));
                    addresses.push(address);
                }
                config.upstreams.push((directive.words.get(1).cloned().unwrap_or_default(), addresses));
            }
            Some("http") => collect(block, config),
            _ => {}
        }
    }
}

/// Notes the hosts that a server's locations pass requests on to.
fn note_hosts(block: &[Directive], config: &mut Config) {
    for directive in block {
        if let [word, url, ..] = directive.words.as_slice()
            && word == "proxy_pass"
            && !url.contains('$')
        {
            let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            config.hosts.push((host_of(rest).to_owned(), directive.place.clone()));
        }
        note_hosts(directive.block.as_deref().unwrap_or_default(), config);
    }
}

fn server(block: &[Directive]) -> ServerBlock {
    let mut server = ServerBlock { rules: rules(block), ..ServerBlock::default() };
    for directive in block {
        let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["listen", address, ..] => {
                server.ports.extend(address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()));
            }
            ["server_name", names @ ..] => server.names.extend(names.iter().map(|name| (*name).to_owned())),
            ["location", path @ ..] => {
                let rules = rules(directive.block.as_deref().unwrap_or_default());
                server.locations.push((path.join(" "), rules));
            }
            _ => {}
        }
    }
    if server.ports.is_empty() {
        server.ports.push(80);
    }
    server
}

fn rules(block: &[Directive]) -> Rules {
    let mut rules = Rules::default();
    for directive in block.iter().filter(|directive| directive.block.is_none()) {
        let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["root", path] => rules.root = Some((*path).to_owned()),
            ["alias", path] => rules.alias = Some((*path).to_owned()),
            ["return", code] => rules.returns = Some((code.parse().unwrap_or(200), String::new())),
            ["return", code, text, ..] => rules.returns = Some((code.parse().unwrap_or(200), (*text).to_owned())),
            ["proxy_pass", url] => rules.proxy = Some((*url).to_owned()),
            ["default_type", kind] => rules.kind = Some((*kind).to_owned()),
            ["add_header", "Content-Type", kind, ..] => rules.kind = Some((*kind).to_owned()),
            ["autoindex", "on"] => rules.lists = true,
            ["try_files", tries @ ..] => rules.tries = tries.iter().map(|path| (*path).to_owned()).collect(),
            ["stub_status", ..] => rules.tells_status = true,
            _ => {}
        }
    }
    rules
}

struct Parser<'a> {
    text: std::iter::Peekable<std::str::Chars<'a>>,
    path: &'a str,
    line: u32,
    depth: u32,
}

/// Reads a file into directives.
fn parse(text: &str, path: &str) -> Result<Vec<Directive>, String> {
    let mut parser = Parser { text: text.chars().peekable(), path, line: 1, depth: 0 };
    parser.block()
}

impl Parser<'_> {
    fn place(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }

    fn fail<T>(&self, message: &str) -> Result<T, String> {
        Err(format!("{message} in {}", self.place()))
    }

    fn next(&mut self) -> Option<char> {
        let next = self.text.next();
        self.line += u32::from(next == Some('\n'));
        next
    }

    fn block(&mut self) -> Result<Vec<Directive>, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail("too many nested blocks");
        }
        let (mut directives, mut words) = (Vec::new(), Vec::new());
        loop {
            match self.text.peek().copied() {
                None if self.depth > 1 => return self.fail("unexpected end of file, expecting \"}\""),
                None if words.is_empty() => return Ok(directives),
                None => return self.fail("unexpected end of file, expecting \";\" or \"}\""),
                Some('#') => {
                    while self.text.peek().is_some_and(|c| *c != '\n') {
                        self.next();
                    }
                }
                Some(c) if c.is_whitespace() => drop(self.next()),
                Some(';') => {
                    self.next();
                    if words.is_empty() {
                        return self.fail("unexpected \";\"");
                    }
                    let place = self.place();
                    directives.push(Directive { words: std::mem::take(&mut words), block: None, place });
                }
                Some('{') => {
                    self.next();
                    if words.is_empty() {
                        return self.fail("unexpected \"{\"");
                    }
                    let place = self.place();
                    let block = self.block()?;
                    directives.push(Directive { words: std::mem::take(&mut words), block: Some(block), place });
                }
                Some('}') => {
                    self.next();
                    if !words.is_empty() || self.depth == 1 {
                        return self.fail("unexpected \"}\"");
                    }
                    self.depth -= 1;
                    return Ok(directives);
                }
                Some(quote @ ('"' | '\'')) => {
                    self.next();
                    words.push(self.quoted(quote)?);
                }
                Some(_) => words.push(self.word()),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return self.fail("unexpected end of file, expecting \";\" or \"}\""),
                Some(c) if c == quote => return Ok(text),
                Some('\\') => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    other => text.extend(other),
                },
                Some(c) => text.push(c),
            }
        }
    }

    fn word(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.text.peek().copied() {
            // A brace within a word belongs to a variable: `${name}`.
            if c.is_whitespace() || c == ';' || (c == '{' && !text.ends_with('$')) {
                break;
            }
            if c == '}' && !text.contains("${") {
                break;
            }
            text.extend(self.next());
        }
        text
    }
}

impl Config {
    /// The ports it listens on.
    pub(super) fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> = self.servers.iter().flat_map(|server| server.ports.iter().copied()).collect();
        ports.order();
        ports.dedup();
        ports
    }

    /// The hosts that must have an address when it starts, each with its place in the files.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_upstream = |host: &str| self.upstreams.iter().any(|(name, _)| name == host);
        let is_address = |host: &str| host.parse::<std::net::IpAddr>().is_ok() || host.starts_with("unix");
        let named = self.hosts.iter().filter(move |(host, _)| !is_upstream(host) && !is_address(host));
        named.map(|(host, place)| (host.as_str(), place.as_str()))
    }

    /// What it answers; nothing when the image's own files are to be served.
    pub(super) fn answer(&self, request: &HttpRequest, io: &mut CommandIo<'_>) -> Option<NetworkAnswer> {
        let on_port = |server: &&ServerBlock| server.ports.contains(&request.port);
        let header = request.header("host").unwrap_or(&request.host);
        let host = header.split(':').next().unwrap_or_default();
        let named = self.servers.iter().filter(on_port).find(|server| server.names.iter().any(|name| name == host));
        let server = named.or_else(|| self.servers.iter().find(on_port))?;
        let path = request.path.split('?').next().unwrap_or_default();
        let location = server.location(path);
        let empty = Rules::default();
        let rules = location.map_or(&empty, |(_, rules)| rules);
        if rules.tells_status {
            let text =
                "Active connections: 1 \nserver accepts handled requests\n 1 1 1 \nReading: 0 Writing: 1 Waiting: 0 \n";
            return Some(NetworkAnswer::Http(HttpAnswer::text(200, text)));
        }
        if let Some((status, text)) = rules.returns.as_ref().or(server.rules.returns.as_ref()) {
            return Some(NetworkAnswer::Http(returned(*status, text, request, rules, io)));
        }
        if let Some(url) = &rules.proxy {
            let prefix = location.map_or("/", |(path, _)| path);
            return Some(self.forward(url, prefix, request, io));
        }
        let root = rules.root.as_ref().or(server.rules.root.as_ref());
        let tries = if rules.tries.is_empty() { &server.rules.tries } else { &rules.tries };
        match (&rules.alias, root) {
            (Some(alias), _) => {
                let prefix = location.map_or("/", |(path, _)| path);
                let rest = path.strip_prefix(prefix).unwrap_or(path);
                Some(NetworkAnswer::Http(utilities::serve_files(io, alias, rest, rules.lists)))
            }
            (None, root) if !tries.is_empty() => {
                Some(NetworkAnswer::Http(tried(tries, root.map_or(ROOT, String::as_str), path, io)))
            }
            (None, Some(root)) if root != ROOT || rules.lists => {
                Some(NetworkAnswer::Http(utilities::serve_files(io, root, path, rules.lists)))
            }
            _ => None,
        }
        .map(with_error_page)
    }

    /// Passes a request on, to one of the servers of an upstream if it names one.
    fn forward(&self, url: &str, prefix: &str, request: &HttpRequest, io: &mut CommandIo<'_>) -> NetworkAnswer {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let (name, base) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let servers = self.upstreams.iter().find(|(known, _)| known == name).map(|(_, servers)| servers.as_slice());
        match servers {
            Some(servers) if !servers.is_empty() => {
                let at = if servers.len() == 1 { 0 } else { io.host.random() % servers.len() as u64 };
                let server = &servers[usize::try_from(at).unwrap_or(0)];
                forward(&format!("{scheme}://{server}{base}"), prefix, request)
            }
            _ => forward(url, prefix, request),
        }
    }
}

/// `try_files`: the first that is there, or what stands last.
fn tried(tries: &[String], root: &str, path: &str, io: &mut CommandIo<'_>) -> HttpAnswer {
    let Some((last, first)) = tries.split_last() else { return HttpAnswer::text(404, "") };
    for candidate in first {
        let answer = utilities::serve_files(io, root, &candidate.replace("$uri", path), false);
        if answer.status == 200 {
            return answer;
        }
    }
    match last.strip_prefix('=') {
        Some(code) => HttpAnswer::text(code.parse().unwrap_or(404), ""),
        None => utilities::serve_files(io, root, &last.replace("$uri", path), false),
    }
}

/// nginx's own page for an error.
fn with_error_page(answer: NetworkAnswer) -> NetworkAnswer {
    match answer {
        NetworkAnswer::Http(mut answer) if answer.status >= 400 && answer.body.is_empty() => {
            let line = format!("{} {}", answer.status, answer.reason());
            answer.body = format!(
                "<html>\r\n<head><title>{line}</title></head>\r\n<body>\r\n<center><h1>{line}</h1></center>\r\n\
                 <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
            )
            .into_bytes();
            NetworkAnswer::Http(answer)
        }
        other => other,
    }
}

impl ServerBlock {
    /// The location that a path belongs to: an exact one, else an expression that fits, else the longest prefix.
    fn location<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a Rules)> {
        let exact = self.locations.iter().find(|(pattern, _)| pattern.strip_prefix("= ") == Some(path));
        if let Some((_, rules)) = exact {
            return Some((path, rules));
        }
        let plain = |pattern: &'_ str| pattern.strip_prefix("^~ ").unwrap_or(pattern).to_owned();
        let prefixes = self.locations.iter().filter(|(pattern, _)| !pattern.starts_with(['=', '~', '@']));
        let longest = prefixes
            .filter(|(pattern, _)| path.starts_with(&plain(pattern)))
            .max_by_key(|(pattern, _)| plain(pattern).len());
        if !longest.is_some_and(|(pattern, _)| pattern.starts_with("^~")) {
            let fits = |(pattern, _): &&(String, Rules)| {
                let (ignores_case, expression) = match (pattern.strip_prefix("~* "), pattern.strip_prefix("~ ")) {
                    (Some(expression), _) => (true, expression),
                    (None, Some(expression)) => (false, expression),
                    (None, None) => return false,
                };
                Regex::new(expression, true, ignores_case).is_ok_and(|regex| regex.is_match(path))
            };
            if let Some((_, rules)) = self.locations.iter().find(fits) {
                return Some((path, rules));
            }
        }
        longest.map(|(pattern, rules)| (pattern.strip_prefix("^~ ").unwrap_or(pattern), rules))
    }
}

fn returned(status: u16, text: &str, request: &HttpRequest, rules: &Rules, io: &CommandIo<'_>) -> HttpAnswer {
    let text = text
        .replace("$hostname", &io.host.hostname())
        .replace("$remote_addr", &request.client)
        .replace("$request_uri", &request.path)
        .replace("$host", &request.host);
    if (300..400).contains(&status) {
        let headers = vec![("Location".to_owned(), text)];
        return HttpAnswer { status, headers, ..HttpAnswer::default() };
    }
    let mut answer = HttpAnswer::text(status, text);
    let kind = rules.kind.clone().unwrap_or_else(|| "text/plain".to_owned());
    answer.headers.push(("Content-Type".to_owned(), kind));
    answer
}

fn forward(url: &str, prefix: &str, request: &HttpRequest) -> NetworkAnswer {
    let (secure, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme == "https", rest),
        None => (false, url),
    };
    let (authority, base) = rest.find('/').map_or((rest, None), |at| (&rest[..at], Some(&rest[at..])));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(80)),
        None => (authority, if secure { 443 } else { 80 }),
    };
    let path = match base {
        None => request.path.clone(),
        Some(base) => format!("{base}{}", request.path.strip_prefix(prefix).unwrap_or(&request.path)),
    };
    let mut onward =
        HttpRequest { secure, host: host.to_owned(), address: String::new(), port, path, ..request.clone() };
    onward.headers.push(("X-Forwarded-For".to_owned(), request.client.clone()));
    NetworkAnswer::Forward(Box::new(onward))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        let mut config = Config::default();
        let directives = parse(text, "default.conf")?;
        files::check(&directives)?;
        collect(&directives, &mut config);
        Ok(config)
    }

    #[test]
    fn servers_and_locations() {
        let config = config(
            "http { server { listen 8080; # a comment\n server_name a.example; location / { return 200 'hi\\n'; }\n\
             location /api/ { proxy_pass http://api:3000/v1/; } location = /x { root /srv; }\n\
             location ~ \\.php$ { return 404; } location ^~ /raw { root /raw; } } }\n\
             upstream back { server one:81; }\nserver { listen [::]:9090 default_server; location / { proxy_pass http://back; } }",
        )
        .unwrap();
        assert_eq!(config.ports(), [8080, 9090]);
        let server = &config.servers[0];
        assert_eq!(server.location("/api/users").unwrap().0, "/api/");
        assert_eq!(server.location("/x").unwrap().1.root.as_deref(), Some("/srv"));
        assert_eq!(server.location("/y").unwrap().1.returns, Some((200, "hi\n".to_owned())));
        assert_eq!(server.location("/a.php").unwrap().1.returns, Some((404, String::new())));
        assert_eq!(server.location("/raw/a.php").unwrap().1.root.as_deref(), Some("/raw"));
        assert_eq!(config.hosts().collect::<Vec<_>>(), [("api", "default.conf:3"), ("one", "default.conf:5")]);
        let request = HttpRequest::get("web", 8080, "/api/users");
        let NetworkAnswer::Forward(onward) = forward("http://api:3000/v1/", "/api/", &request) else {
            panic!("a proxy passes on");
        };
        assert_eq!((onward.host.as_str(), onward.port, onward.path.as_str()), ("api", 3000, "/v1/users"));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, message) in [
            ("server {\n listen 80\n}", "unexpected \"}\" in default.conf:3"),
            ("server {\n listen 80;\n", "unexpected end of file, expecting \"}\" in default.conf:3"),
            ("}", "unexpected \"}\" in default.conf:1"),
            ("server {\n lisen 80;\n}", "unknown directive \"lisen\" in default.conf:2"),
            ("a", "unexpected end of file, expecting \";\" or \"}\" in default.conf:1"),
        ] {
            assert_eq!(config(text).unwrap_err(), message);
        }
    }
}
