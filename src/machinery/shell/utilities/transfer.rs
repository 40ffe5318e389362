//! `wget` and `curl`.

use std::time::Duration;

use super::super::files::{WriteAt, base_name};
use super::super::host::{CommandPoll, CommandRun, HttpAnswer, HttpRequest, NetworkAnswer, NetworkRequest};
use super::super::io::CommandIo;
use super::Arguments;
use super::network::CONNECT_SECONDS;
use super::resolve::{Found, Target};
use crate::machinery::time::Time;

/// How many redirections are followed.
const REDIRECTS_MAX: u32 = 20;

/// The next request when an answer sends elsewhere.
fn redirected(answer: &HttpAnswer, from: &HttpRequest) -> Option<HttpRequest> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"))?;
    if location.1.starts_with('/') {
        return Some(HttpRequest { path: location.1.clone(), ..from.clone() });
    }
    HttpRequest::of_url(&location.1)
}

#[derive(Clone, Debug)]
struct Wget {
    parsed: Arguments,
    urls: Vec<String>,
    request: Option<HttpRequest>,
    target: Target,
    /// Whether the request is under way, and not only the question for the address.
    sent: bool,
    redirects: u32,
    tries: u32,
    code: i32,
}

/// `wget`, as busybox has it.
pub(super) fn wget(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "O T t P U o header post-data user-agent output-document timeout tries");
    let mut urls = parsed.rest.clone();
    urls.reverse();
    let target = Target::default();
    Box::new(Wget { parsed, urls, request: None, target, sent: false, redirects: 0, tries: 0, code: 0 })
}

impl Wget {
    fn quiet(&self) -> bool {
        self.parsed.has("q quiet")
    }

    /// Sends a request once the address of its host is known.
    fn send(&mut self, io: &mut CommandIo<'_>, request: HttpRequest) -> Option<CommandPoll> {
        if self.target.host() != request.host {
            self.target = Target::new(&request.host);
        }
        let address = match self.target.find(io, None) {
            Found::Address(address) => address,
            Found::Wait(poll) => {
                self.request = Some(request);
                return Some(poll);
            }
            Found::Unknown | Found::Silence => {
                io.complain(&format!("bad address '{}'", request.host));
                self.code = 1;
                return None;
            }
        };
        if !self.quiet() {
            let (host, port) = (&request.host, request.port);
            let default = if request.secure { 443 } else { 80 };
            let shown = if port == default { host.clone() } else { format!("{host}:{port}") };
            io.write(2, format!("Connecting to {shown} ({address}:{port})\n").as_bytes());
        }
        let request = HttpRequest { address, ..request };
        self.request = Some(request.clone());
        self.sent = true;
        let seconds = self.parsed.value("T timeout").and_then(|text| text.parse().ok()).unwrap_or(CONNECT_SECONDS);
        let deadline = io.now() + Duration::from_secs(seconds);
        Some(CommandPoll::Network(NetworkRequest::Http(request), Some(deadline)))
    }

    fn next(&mut self, io: &mut CommandIo<'_>) -> Option<CommandPoll> {
        let url = self.urls.pop()?;
        let Some(mut request) = HttpRequest::of_url(&url) else {
            io.complain(&format!("not an http or ftp url: {url}"));
            return Some(CommandPoll::Exited(1));
        };
        for header in self.parsed.values("header") {
            if let Some((name, value)) = header.split_once(':') {
                request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        request.headers.push(("User-Agent".to_owned(), self.parsed.value("U user-agent").unwrap_or("Wget").to_owned()));
        if let Some(body) = self.parsed.value("post-data") {
            request.method = "POST".to_owned();
            request.body = body.as_bytes().to_vec();
        }
        self.redirects = 0;
        self.send(io, request)
    }

    /// Puts the body where it belongs; the exit code.
    fn save(&self, io: &mut CommandIo<'_>, answer: &HttpAnswer, request: &HttpRequest) -> i32 {
        let length = answer.body.len();
        if self.parsed.has("spider") {
            if !self.quiet() {
                io.write(2, b"remote file exists\n");
            }
            return 0;
        }
        let target = self.parsed.value("O output-document").map_or_else(
            || {
                let name = base_name(request.path.split('?').next().unwrap_or_default());
                if name.is_empty() { "index.html".to_owned() } else { name.to_owned() }
            },
            str::to_owned,
        );
        if target == "-" || target == "/dev/stdout" {
            if !self.quiet() {
                io.write(2, b"writing to stdout\n");
            }
            io.write(1, &answer.body);
        } else if target != "/dev/null" {
            let directory = self.parsed.value("P").unwrap_or(".");
            let path = if self.parsed.has("O output-document") {
                io.path(&target)
            } else {
                io.path(&format!("{directory}/{target}"))
            };
            if let Err(error) = io.files(|files| files.write(&path, &answer.body, WriteAt::Start)) {
                io.complain(&format!("can't open '{target}': {error}"));
                return 1;
            }
            io.table.files_changed = true;
            if !self.quiet() {
                io.write(2, format!("saving to '{target}'\n").as_bytes());
            }
        }
        if !self.quiet() {
            let stars = "*".repeat(32);
            let (shown, done) = if target == "-" {
                ("-", "written to stdout".to_owned())
            } else {
                (target.as_str(), format!("'{target}' saved"))
            };
            io.write(2, format!("{shown:<20} 100% |{stars}| {length:5}  0:00:00 ETA\n{done}\n").as_bytes());
        }
        0
    }

    fn answered(&mut self, io: &mut CommandIo<'_>, request: HttpRequest) -> Option<CommandPoll> {
        if !std::mem::replace(&mut self.sent, false) {
            return self.send(io, request);
        }
        let answer = io.take_answer();
        let address = &request.address;
        let problem = match answer {
            Some(NetworkAnswer::Http(answer)) => {
                if self.parsed.has("S server-response") {
                    let heads: String =
                        answer.headers.iter().map(|(name, value)| format!("  {name}: {value}\n")).collect();
                    let text = format!("  HTTP/1.1 {} {}\n{heads}", answer.status, answer.reason());
                    io.write(2, text.as_bytes());
                }
                if let Some(next) = redirected(&answer, &request).filter(|_| self.redirects < REDIRECTS_MAX) {
                    self.redirects += 1;
                    return self.send(io, next);
                }
                if answer.status < 400 {
                    self.code = self.code.max(self.save(io, &answer, &request));
                    return None;
                }
                format!("server returned error: HTTP/1.1 {} {}", answer.status, answer.reason())
            }
            Some(NetworkAnswer::NameUnknown { .. }) => format!("bad address '{}'", request.host),
            Some(NetworkAnswer::Refused { .. }) => {
                format!("can't connect to remote host ({address}): Connection refused")
            }
            Some(NetworkAnswer::Unreachable { .. }) => {
                format!("can't connect to remote host ({address}): Host is unreachable")
            }
            Some(NetworkAnswer::TimedOut { .. }) if !self.parsed.has("T timeout") => {
                format!("can't connect to remote host ({address}): Operation timed out")
            }
            Some(NetworkAnswer::TimedOut { .. }) | None => "download timed out".to_owned(),
            Some(_) => "error getting response".to_owned(),
        };
        io.complain(&problem);
        self.code = 1;
        None
    }
}

impl CommandRun for Wget {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if self.urls.is_empty() && self.request.is_none() && self.tries == 0 {
            io.write(2, b"BusyBox wget: Usage: wget [-q] [-O FILE] [-T SEC] URL...\n");
            return CommandPoll::Exited(1);
        }
        self.tries = 1;
        if let Some(request) = self.request.take()
            && let Some(poll) = self.answered(io, request)
        {
            return poll;
        }
        while !self.urls.is_empty() {
            if let Some(poll) = self.next(io) {
                return poll;
            }
        }
        CommandPoll::Exited(self.code)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

#[derive(Clone, Debug)]
struct Curl {
    parsed: Arguments,
    urls: Vec<String>,
    request: Option<HttpRequest>,
    target: Target,
    /// Whether the request is under way, and not only the question for the address.
    connects: bool,
    redirects: u32,
    retries: u32,
    sent: Option<Time>,
    /// The end of the pause before another try.
    pause: Option<Time>,
    code: i32,
}

const CURL_VALUED: &str = "X H d o u A m w x b c e F T E r Y y z request header data output user user-agent max-time write-out connect-timeout retry retry-delay data-raw data-binary data-urlencode cacert cert key resolve url proxy cookie form retry-max-time json interface";

/// What `curl` says of a server whose certificate it cannot check.
const UNKNOWN_ISSUER: &str = "SSL certificate problem: unable to get local issuer certificate\nMore details here: \
    https://curl.se/docs/sslcerts.html\n\ncurl failed to verify the legitimacy of the server and therefore could not\n\
    establish a secure connection to it. To learn more about this situation and\nhow to fix it, please visit the webpage \
    mentioned above.";

/// `curl`.
pub(super) fn curl(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, CURL_VALUED);
    let mut urls: Vec<String> =
        parsed.rest.iter().cloned().chain(parsed.values("url").iter().map(|url| (*url).to_owned())).collect();
    urls.reverse();
    Box::new(Curl {
        parsed,
        urls,
        request: None,
        target: Target::default(),
        connects: false,
        redirects: 0,
        retries: 0,
        sent: None,
        pause: None,
        code: 0,
    })
}

impl Curl {
    fn seconds(&self, names: &str) -> Option<Duration> {
        self.parsed
            .value(names)
            .and_then(|text| text.parse::<f64>().ok())
            .map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
    }

    fn limit(&self) -> Duration {
        let limits = [self.seconds("m max-time"), self.seconds("connect-timeout")];
        limits.into_iter().flatten().min().unwrap_or(Duration::from_secs(CONNECT_SECONDS))
    }

    /// Begins a request: finds the address of its host first.
    fn send(&mut self, io: &mut CommandIo<'_>, request: HttpRequest) -> Option<CommandPoll> {
        self.sent = Some(io.now());
        self.target = Target::new(self.fixed_address(&request).as_deref().unwrap_or(&request.host));
        self.connect(io, request)
    }

    /// What `--resolve host:port:address` says.
    fn fixed_address(&self, request: &HttpRequest) -> Option<String> {
        let wanted = format!("{}:{}:", request.host, request.port);
        self.parsed.values("resolve").iter().find_map(|text| text.strip_prefix(&wanted)).map(str::to_owned)
    }

    fn connect(&mut self, io: &mut CommandIo<'_>, request: HttpRequest) -> Option<CommandPoll> {
        let deadline = self.sent.unwrap_or_else(|| io.now()) + self.limit();
        let is_limited = self.parsed.has("m max-time connect-timeout");
        match self.target.find(io, is_limited.then_some(deadline)) {
            Found::Address(address) => {
                let request = HttpRequest { address, ..request };
                self.request = Some(request.clone());
                self.connects = true;
                Some(CommandPoll::Network(NetworkRequest::Http(request), Some(deadline)))
            }
            Found::Wait(poll) => {
                self.request = Some(request);
                Some(poll)
            }
            Found::Silence if is_limited && io.now() >= deadline => {
                let millis = self.limit().as_millis();
                self.fail(io, 28, &format!("Resolving timed out after {millis} milliseconds"));
                None
            }
            Found::Unknown | Found::Silence => {
                self.fail(io, 6, &format!("Could not resolve host: {}", request.host));
                None
            }
        }
    }

    fn build(&self, io: &mut CommandIo<'_>, url: &str) -> Option<HttpRequest> {
        let mut request = HttpRequest::of_url(url)?;
        let mut data = self.parsed.values("d data data-raw data-binary data-urlencode json").join("&");
        if let Some(name) = data.strip_prefix('@') {
            let name = name.to_owned();
            data = super::filter::read_named(io, &name)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default();
        }
        if self.parsed.has("d data data-raw data-binary data-urlencode json F form") {
            request.method = "POST".to_owned();
            request.body = data.into_bytes();
        }
        if self.parsed.has("I head") {
            request.method = "HEAD".to_owned();
        }
        if let Some(method) = self.parsed.value("X request") {
            request.method = method.to_owned();
        }
        for header in self.parsed.values("H header") {
            if let Some((name, value)) = header.split_once(':') {
                request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        let agent = self.parsed.value("A user-agent").unwrap_or("curl/8.14.1");
        request.headers.push(("User-Agent".to_owned(), agent.to_owned()));
        request.headers.push(("Accept".to_owned(), "*/*".to_owned()));
        Some(request)
    }

    fn fail(&mut self, io: &mut CommandIo<'_>, code: i32, text: &str) {
        self.code = code;
        if !self.parsed.has("s silent") || self.parsed.has("S show-error") {
            io.write(2, format!("curl: ({code}) {text}\n").as_bytes());
        }
        self.write_out(io, None);
    }

    fn write_out(&self, io: &mut CommandIo<'_>, answer: Option<&HttpAnswer>) {
        let Some(format) = self.parsed.value("w write-out") else {
            return;
        };
        let status = answer.map_or(0, |answer| answer.status);
        let size = answer.map_or(0, |answer| answer.body.len());
        let taken = self.sent.map_or(Duration::ZERO, |sent| io.now().since(sent)).as_secs_f64();
        let location = |answer: &HttpAnswer| {
            let header = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
            header.filter(|_| (300..400).contains(&answer.status)).map(|(_, value)| value.clone())
        };
        let filled = format
            .replace("%{redirect_url}", &answer.and_then(location).unwrap_or_default())
            .replace("%{http_code}", &format!("{status:03}"))
            .replace("%{response_code}", &format!("{status:03}"))
            .replace("%{size_download}", &size.to_string())
            .replace("%{time_total}", &format!("{taken:.6}"))
            .replace("%{remote_ip}", answer.map_or("", |answer| &answer.address));
        io.write(1, &super::super::escape::unescape(&filled).bytes);
    }

    fn show(&mut self, io: &mut CommandIo<'_>, request: &HttpRequest, answer: &HttpAnswer) {
        if self.parsed.has("v verbose") {
            let (host, port) = (&request.host, request.port);
            let sent: String = request.headers.iter().map(|(name, value)| format!("> {name}: {value}\n")).collect();
            let got: String = answer.headers.iter().map(|(name, value)| format!("< {name}: {value}\n")).collect();
            let text = format!(
                "* Connected to {host} ({}) port {port}\n> {} {} HTTP/1.1\n> Host: {host}\n{sent}>\n< HTTP/1.1 {} {}\n{got}<\n",
                answer.address,
                request.method,
                request.path,
                answer.status,
                answer.reason()
            );
            io.write(2, text.as_bytes());
        }
        if answer.status >= 400 && self.parsed.has("f fail") {
            self.fail(io, 22, &format!("The requested URL returned error: {}", answer.status));
            return;
        }
        let mut body = Vec::new();
        if self.parsed.has("i include I head") {
            let head: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            body.extend(format!("HTTP/1.1 {} {}\r\n{head}\r\n", answer.status, answer.reason()).into_bytes());
        }
        if request.method != "HEAD" {
            body.extend_from_slice(&answer.body);
        }
        let named = self.parsed.has("O remote-name").then(|| base_name(&request.path).to_owned());
        let target = self.parsed.value("o output").map(str::to_owned).or(named);
        match target.as_deref() {
            None | Some("-" | "/dev/stdout") => io.write(1, &body),
            Some("/dev/null") => {}
            Some(name) => {
                let path = io.path(name);
                if let Err(error) = io.files(|files| files.write(&path, &body, WriteAt::Start)) {
                    self.fail(io, 23, &format!("Failed to open the file {name}: {error}"));
                    return;
                }
                io.table.files_changed = true;
            }
        }
        self.write_out(io, Some(answer));
    }

    /// Deals with what came back; a poll when there is more to wait for.
    fn answered(&mut self, io: &mut CommandIo<'_>, request: HttpRequest) -> Option<CommandPoll> {
        if !std::mem::replace(&mut self.connects, false) {
            return self.connect(io, request);
        }
        let answer = io.take_answer();
        let (host, port) = (request.host.clone(), request.port);
        let millis = self.sent.map_or(Duration::ZERO, |sent| io.now().since(sent)).as_millis();
        let retry = self.parsed.value("retry").and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        let refused = matches!(answer, Some(NetworkAnswer::Refused { .. }));
        let failed = !matches!(answer, Some(NetworkAnswer::Http(_)));
        if failed && self.retries < retry && (!refused || self.parsed.has("retry-connrefused retry-all-errors")) {
            self.retries += 1;
            let pause = self.seconds("retry-delay").unwrap_or(Duration::from_secs(1 << (self.retries - 1).min(9)));
            let until = io.now() + pause;
            self.pause = Some(until);
            self.request = Some(request);
            return Some(CommandPoll::Until(until));
        }
        match answer {
            Some(NetworkAnswer::Http(_)) if request.secure && !self.parsed.has("k insecure cacert") => {
                // No certificate here is signed by anybody whom a container knows by itself.
                self.fail(io, 60, UNKNOWN_ISSUER);
            }
            Some(NetworkAnswer::Http(answer)) => {
                let follows = self.parsed.has("L location") && self.redirects < REDIRECTS_MAX;
                if let Some(next) = redirected(&answer, &request).filter(|_| follows) {
                    self.redirects += 1;
                    return self.send(io, next);
                }
                self.show(io, &request, &answer);
            }
            Some(NetworkAnswer::NameUnknown { .. }) => self.fail(io, 6, &format!("Could not resolve host: {host}")),
            Some(NetworkAnswer::Refused { .. } | NetworkAnswer::Unreachable { .. }) => {
                let text =
                    format!("Failed to connect to {host} port {port} after {millis} ms: Couldn't connect to server");
                self.fail(io, 7, &text);
            }
            Some(NetworkAnswer::Reset | NetworkAnswer::Forward(_)) => {
                self.fail(io, 56, "Recv failure: Connection reset by peer")
            }
            Some(NetworkAnswer::Connected { .. } | NetworkAnswer::Resolved { .. }) => {
                self.fail(io, 52, "Empty reply from server");
            }
            Some(NetworkAnswer::TimedOut { .. }) | None => {
                let text = if self.parsed.has("m max-time") || self.parsed.has("connect-timeout") {
                    format!("Connection timed out after {millis} milliseconds")
                } else {
                    format!("Failed to connect to {host} port {port} after {millis} ms: Couldn't connect to server")
                };
                self.fail(io, 28, &text);
            }
        }
        None
    }
}

impl CommandRun for Curl {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if let Some(until) = self.pause {
            if until > io.now() {
                return CommandPoll::Until(until);
            }
            self.pause = None;
            if let Some(request) = self.request.take()
                && let Some(poll) = self.send(io, request)
            {
                return poll;
            }
        }
        if let Some(request) = self.request.take()
            && let Some(poll) = self.answered(io, request)
        {
            return poll;
        }
        if self.urls.is_empty() && self.sent.is_none() {
            io.write(
                2,
                b"curl: (2) no URL specified\ncurl: try 'curl --help' or 'curl --manual' for more information\n",
            );
            return CommandPoll::Exited(2);
        }
        while let Some(url) = self.urls.pop() {
            let Some(request) = self.build(io, &url) else {
                self.sent = Some(io.now());
                self.fail(io, 3, "URL rejected: Malformed input to a URL function");
                return CommandPoll::Exited(3);
            };
            (self.redirects, self.retries) = (0, 0);
            if let Some(poll) = self.send(io, request) {
                return poll;
            }
        }
        CommandPoll::Exited(self.code)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
