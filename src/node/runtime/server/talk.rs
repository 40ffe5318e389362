//! What a server says besides its answers to HTTP: bytes of other languages, questions to the server it follows, and
//! nginx's questions for addresses.

use std::sync::Arc;
use std::time::Duration;

use super::super::nginx;
use super::{Following, Server, stamp};
use crate::machinery::shell::{
    CommandIo, CommandPoll, HttpAnswer, HttpRequest, NetworkAnswer, NetworkRequest, Question, utilities,
};

/// How long a replica waits for its leader's answer.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(5);

impl Server {
    /// nginx wants an address for each host that it passes requests on to, and does not start without.
    pub(super) fn look_up(&mut self, io: &mut CommandIo<'_>) -> Option<CommandPoll> {
        let answer = io.take_answer();
        if let Some(answer) = answer
            && let Some((host, place)) = self.hosts.pop()
            && !matches!(&answer, NetworkAnswer::Resolved { records, .. } if !records.is_empty())
        {
            let message = format!("host not found in upstream \"{host}\" in {place}");
            return Some(CommandPoll::Exited(emergency(&message, io)));
        }
        let (host, _) = self.hosts.last()?;
        let question = NetworkRequest::Resolve(Question::address(host));
        Some(CommandPoll::Network(question, None))
    }

    /// Reads nginx's configuration anew, and keeps the old one when the new one is none.
    pub(super) fn reload(&mut self, io: &mut CommandIo<'_>) {
        self.reloads = false;
        let now = stamp(io.now());
        match nginx::load(io) {
            Ok(config) => {
                io.write(2, format!("{now} [notice] 1#1: signal 1 (SIGHUP) received from 30, reconfiguring\n{now} [notice] 1#1: reconfiguring\n").as_bytes());
                self.ports = config.ports();
                self.nginx = Some(Arc::new(config));
            }
            Err(message) => drop(emergency(&message, io)),
        }
    }

    /// A replica asks its leader every now and then what is new.
    pub(super) fn follow(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let now = io.now();
        let Some((request, pause)) = self.store.as_ref().and_then(|store| store.follow()) else {
            return CommandPoll::Forever;
        };
        match self.follows {
            Following::Rests(until) if until > now => return CommandPoll::Until(until),
            Following::Asked(until) => {
                let answer = io.take_answer();
                // Somebody else may have connected meanwhile, for which the question is asked again.
                if answer.is_some() || until <= now {
                    let lines = self.store.as_mut().map(|store| Arc::make_mut(store).followed(answer, io));
                    for line in lines.unwrap_or_default() {
                        let stamp = utilities::format_time(now, "%d %b %Y %H:%M:%S.000");
                        io.out(&format!("1:S {stamp} * {line}\n"));
                    }
                    self.follows = Following::Rests(now + pause);
                    return CommandPoll::Until(now + pause);
                }
            }
            _ => {}
        }
        let until = now + FOLLOW_TIMEOUT;
        self.follows = Following::Asked(until);
        CommandPoll::Network(NetworkRequest::Http(request), Some(until))
    }

    /// What a server answers to bytes that are no HTTP request of a client's own making.
    pub(super) fn respond_raw(&mut self, request: &HttpRequest, io: &mut CommandIo<'_>) -> NetworkAnswer {
        if let Some(store) = &mut self.store {
            return NetworkAnswer::Http(Arc::make_mut(store).answer(request, io));
        }
        if let Some(path) = &self.definition.gives {
            let body = io.files(|files| files.read(path)).unwrap_or_default().to_vec();
            return NetworkAnswer::Http(HttpAnswer { status: 200, body, ..HttpAnswer::default() });
        }
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let mut words = text.lines().next().unwrap_or_default().split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return NetworkAnswer::Connected { address: String::new() };
        };
        let typed =
            HttpRequest { method: method.to_owned(), path: path.to_owned(), body: Vec::new(), ..request.clone() };
        let NetworkAnswer::Http(answer) = self.respond(&typed, io) else {
            return NetworkAnswer::Connected { address: String::new() };
        };
        let heads: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut body = format!("HTTP/1.1 {} {}\r\n{heads}\r\n", answer.status, answer.reason()).into_bytes();
        body.extend_from_slice(&answer.body);
        NetworkAnswer::Http(HttpAnswer { body, headers: Vec::new(), ..answer })
    }
}

/// nginx's last words; its exit code.
pub(super) fn emergency(message: &str, io: &mut CommandIo<'_>) -> i32 {
    io.write(2, nginx::emergency(message, io.now()).as_bytes());
    1
}
