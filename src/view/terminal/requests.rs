//! Requests of the terminal's programs, and of the page at ports that these hold open.

use serde::{Deserialize, Serialize};

use crate::machinery::shell::{HttpRequest, NetworkAnswer, NetworkRequest, RequestId};
use crate::node::runtime::StreamInput;
use crate::session::{OutsideRequest, PodRequest, Session};
use crate::sim::PodAnswer;

use super::Terminal;
use super::machine::{self, Machine};

/// How much of an answer is shown, in bytes.
const BODY_BYTES_MAX: usize = 32 << 10;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A program.
    Program(RequestId),
    /// Who looks at a port.
    Page(u16),
}

/// What was answered at a port that somebody looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortAnswer {
    /// The port.
    pub port: u16,
    /// The status code with its words; empty when there was no answer.
    pub status: String,
    /// Headers, a line each.
    pub headers: String,
    /// The beginning of the body.
    pub body: String,
}

impl PortAnswer {
    fn of(port: u16, answer: &NetworkAnswer) -> Self {
        let NetworkAnswer::Http(http) = answer else { return Self { port, ..Self::default() } };
        let headers = http.headers.iter().flat_map(|(name, value)| [name.as_str(), ": ", value, "\n"]).collect();
        let body = &http.body[..http.body.len().min(BODY_BYTES_MAX)];
        Self {
            port,
            status: format!("{} {}", http.status, http.reason()),
            headers,
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }
}

impl Terminal {
    /// Looks at a path behind a port.
    pub(super) fn look(&mut self, session: &mut Session, port: u16, path: &str) {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let request = HttpRequest { address: "127.0.0.1".to_owned(), ..HttpRequest::get("localhost", port, &path) };
        self.send(session, Asker::Page(port), &NetworkRequest::Http(request));
    }

    /// Takes a request to where it is answered: a program of the machine, the machine itself, or the cluster from outside.
    pub(super) fn send(&mut self, session: &mut Session, asker: Asker, request: &NetworkRequest) {
        if let Some(port) = request.port().filter(|port| self.is_open(request, *port, session)) {
            return self.connect(session, asker, request, port);
        }
        let answer = machine::answer(&self.root, request);
        let sent = OutsideRequest::of(request).filter(|_| answer.is_none());
        match sent.map(|sent| session.send_from_outside(&sent)) {
            Some(Ok(number)) => self.requests.push((asker, number)),
            _ => {
                let address = request.address().to_owned();
                self.reply(asker, answer.unwrap_or(NetworkAnswer::Unreachable { address }));
            }
        }
    }

    /// Whether a program of the machine answers at the port.
    fn is_open(&self, request: &NetworkRequest, port: u16, session: &Session) -> bool {
        let is_here = request.address().parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
        is_here && self.table.listens(port, session.now())
    }

    fn connect(&mut self, session: &mut Session, asker: Asker, request: &NetworkRequest, port: u16) {
        let NetworkRequest::Http(http) = request else {
            let address = request.address().to_owned();
            return self.reply(asker, NetworkAnswer::Connected { address });
        };
        let mut machine = Machine { session, root: &mut self.root, random: &mut self.random };
        let answer = self.table.connect(http, &mut machine);
        // What was said of it is shown with the next step.
        self.running = true;
        let NetworkAnswer::Forward(onward) = answer else { return self.reply(asker, answer) };
        let Some((namespace, pod)) = onward.address.strip_prefix("pod:").and_then(|key| key.split_once('/')) else {
            return self.reply(asker, NetworkAnswer::Reset);
        };
        let passed = PodRequest {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            port: onward.port,
            method: onward.method.clone(),
            path: onward.path.clone(),
            headers: headers(&onward, port),
            body: Some(onward.body.as_slice()).filter(|body| !body.is_empty()).map(StreamInput::of_bytes),
        };
        match session.pod_request(&passed) {
            Ok(PodAnswer::Answered(answer)) => self.reply(asker, answer),
            Ok(PodAnswer::UnderWay(number)) => self.requests.push((asker, number)),
            Err(_) => self.reply(asker, NetworkAnswer::Reset),
        }
    }

    /// Passes on the answers that have come.
    pub(super) fn take_answers(&mut self, session: &Session) {
        for (asker, number) in std::mem::take(&mut self.requests) {
            match session.cluster().outside_answer(number) {
                Some(answer) => self.reply(asker, answer.clone()),
                None => self.requests.push((asker, number)),
            }
        }
    }

    fn reply(&mut self, asker: Asker, answer: NetworkAnswer) {
        match asker {
            Asker::Program(id) => self.table.answer(id, answer),
            Asker::Page(port) => self.answered = Some(PortAnswer::of(port, &answer)),
        }
    }
}

/// The headers of a request, with the host that it was made to.
fn headers(request: &HttpRequest, port: u16) -> Vec<(String, String)> {
    let mut headers = request.headers.clone();
    if request.header("host").is_none() {
        headers.insert(0, ("Host".to_owned(), format!("{}:{port}", request.host)));
    }
    headers
}
