//! Small HTTP servers: busybox `httpd`, and what `nc -l` sends.

use super::super::files::{base_name, normalise};
use super::super::host::{CommandPoll, CommandRun, HttpAnswer, HttpRequest, NetworkAnswer, Signal, SignalAction};
use super::super::io::CommandIo;
use super::Arguments;
use crate::machinery::time::Time;

/// What a raw text that `nc` sends is to an HTTP client.
#[must_use]
pub fn parse_raw_answer(bytes: &[u8]) -> NetworkAnswer {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let Some(first) = text.lines().next().filter(|line| line.starts_with("HTTP/")) else {
        return NetworkAnswer::Connected { address: String::new() };
    };
    let status = first.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(200);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let headers = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    NetworkAnswer::Http(HttpAnswer { status, headers, body: body.as_bytes().to_vec(), ..HttpAnswer::default() })
}

/// A file below `root`, as a web server gives it: directories by their index, or by a list if `lists`.
pub fn serve_files(io: &mut CommandIo<'_>, root: &str, path: &str, lists: bool) -> HttpAnswer {
    let path = path.split('?').next().unwrap_or_default();
    let inside = normalise(path, "/");
    let mut file = normalise(&format!("{root}/{inside}"), "/");
    let is_directory = |io: &mut CommandIo<'_>, path: &str| {
        io.files(|files| files.stat(path, true)).is_ok_and(|entry| entry.is_directory())
    };
    if is_directory(io, &file) {
        let index = format!("{}/index.html", file.trim_end_matches('/'));
        if io.files(|files| files.stat(&index, true)).is_ok() {
            file = index;
        } else if lists {
            let names = io.files(|files| files.list(&file)).unwrap_or_default();
            let rows: String = names.iter().map(|name| format!("<li><a href=\"{name}\">{name}</a></li>\n")).collect();
            return html(200, format!("<h1>Directory listing for {inside}</h1>\n<ul>\n{rows}</ul>\n"));
        } else {
            return HttpAnswer::text(403, "");
        }
    }
    match io.files(|files| files.read(&file)) {
        Ok(bytes) => {
            let kind = match base_name(&file).rsplit('.').next() {
                Some("html" | "htm") => "text/html",
                Some("json") => "application/json",
                Some("css") => "text/css",
                Some("js") => "text/javascript",
                _ => "text/plain",
            };
            let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
            HttpAnswer { status: 200, headers, body: bytes.to_vec(), ..HttpAnswer::default() }
        }
        Err(_) => HttpAnswer::text(404, ""),
    }
}

fn html(status: u16, body: String) -> HttpAnswer {
    let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
    HttpAnswer { status, headers, body: body.into_bytes(), ..HttpAnswer::default() }
}

#[derive(Clone, Debug)]
struct Httpd {
    parsed: Arguments,
    started: bool,
    directory: String,
}

/// busybox `httpd`. Without `-f` it leaves its caller alone, for which a script may use `&`.
pub(super) fn httpd(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "p h c u r");
    Box::new(Httpd { parsed, started: false, directory: String::new() })
}

impl Httpd {
    fn port(&self) -> u16 {
        let text = self.parsed.value("p").unwrap_or("80");
        text.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80)
    }
}

impl CommandRun for Httpd {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if !self.started {
            let port = self.port();
            if io.port_in_use(port) {
                io.complain("bind: Address already in use");
                return CommandPoll::Exited(1);
            }
            self.directory = io.path(self.parsed.value("h").unwrap_or("."));
            self.started = true;
        }
        CommandPoll::Forever
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn ports(&self) -> Vec<u16> {
        if self.started { vec![self.port()] } else { Vec::new() }
    }

    fn listens(&self, port: u16, _now: Time) -> bool {
        self.started && port == self.port()
    }

    fn signal(&mut self, _signal: Signal) -> SignalAction {
        SignalAction::Default
    }

    fn connect(&mut self, request: &HttpRequest, io: &mut CommandIo<'_>) -> NetworkAnswer {
        let mut answer = serve_files(io, &self.directory.clone(), &request.path, false);
        if answer.status == 404 {
            answer = html(404, "<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD>\n<BODY><H1>404 Not Found</H1>\nThe requested URL was not found\n</BODY></HTML>\n".to_owned());
        }
        NetworkAnswer::Http(answer)
    }
}
