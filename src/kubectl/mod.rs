//! kubectl: what a person says to a cluster.
//!
//! Follows `k8s.io/kubectl/pkg/cmd`. Everything here works on API requests and answers alone ([`Api`]), so that the same
//! command through the page and a real kubectl through the HTTP door do the same.
//!
//! A [`Kubectl`] is one run of the program. It never blocks: whoever runs it polls it as simulated time passes, and a
//! command that waits (`rollout status`, `wait`, `delete`) looks at what has changed since it was polled last. Verbs
//! are a file each; [`command`] lists them with their flags.
//!
//! What a program needs besides the cluster and its files is the host's: an editor is run for it ([`Polled::run`]), and
//! who asks at a port that it holds open is told where to go ([`Kubectl::connect`]).

pub mod apply;

mod api;
mod attach;
mod auth;
mod autoscale;
mod builder;
mod certificate;
mod cli;
mod command;
mod commands;
mod complete;
mod config;
mod config_entries;
mod copy;
mod create;
mod debug;
mod delete;
mod describe;
mod diff;
mod discovery;
mod drain;
mod dump;
mod edit;
mod environment;
mod events;
mod exec;
mod explain;
mod expose;
mod failure;
mod flags;
mod forward;
mod generate;
mod generate_access;
mod generate_ingress;
mod generate_jobs;
mod generate_policy;
mod generate_secrets;
mod get;
mod hash;
mod help;
mod history;
mod kustomize;
mod kyaml;
mod label;
mod logs;
mod manifest;
mod patch;
mod printer;
mod prune;
mod program;
mod raw;
mod reconcile;
mod replace;
mod resource;
mod rollout;
mod rollout_status;
mod rules;
mod scale;
mod server_side;
mod set;
mod tabwriter;
mod taint;
mod template;
mod top;
mod wait;

pub use api::{Api, Change, ExecRequest, Stream};
pub use cli::{Config, Fetched, Files};
pub use complete::complete;
pub use config::namespace_of_config;
pub use forward::Forwarded;
pub use program::{NOTES, Program, WANTED};

use crate::api::Kind;
use crate::machinery::duration::GoDuration;
use crate::machinery::shell::{self, HttpRequest};
use crate::machinery::time::Time;
use crate::node::runtime::StreamInput;
use cli::{Cli, Step, Waiting};
use command::Parsed;
use failure::Failure;

/// What programs on the path are called as if they were kubectl's own commands. Whoever runs kubectl runs them.
pub(crate) const PLUGINS: &[&str] = &["why"];

/// The kind that a word means: plural, singular or short name.
#[must_use]
pub fn kind_named(api: &dyn Api, word: &str) -> Option<Kind> {
    resource::kind_of(api, word).ok()
}

/// Lays out lines whose cells end with tabs, as kubectl's tables are.
#[must_use]
pub fn table(text: &str) -> String {
    tabwriter::TabWriter::TABLE.format(text)
}

/// One run of kubectl.
#[derive(Clone, Debug)]
pub struct Kubectl {
    config: Config,
    stdin: String,
    state: State,
    /// When the command began to wait, from which its `--timeout` counts.
    began: Time,
    /// What was typed into a talk since the last poll.
    typed: Vec<StreamInput>,
    /// The exit code of the program that was run for it.
    status: Option<i32>,
}

#[derive(Clone, Debug)]
enum State {
    /// The command line is not read yet.
    New(Vec<String>),
    /// It waits for the cluster.
    Waiting(Box<(Parsed, Waiting)>),
    /// It ended with this code.
    Exited(i32),
}

/// What a poll of kubectl brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// What was written where, in order.
    pub written: Vec<(shell::Stream, String)>,
    /// The exit code, once it ended; without one it waits for the cluster and is to be polled again.
    pub exit: Option<i32>,
    /// A program that is to be run before it is polled again, and whose exit code it is to be told: an editor.
    pub run: Option<Vec<String>>,
}

impl Polled {
    /// All that was written to one of the two.
    #[must_use]
    pub fn text(&self, stream: shell::Stream) -> String {
        self.written.iter().filter(|(known, _)| *known == stream).map(|(_, text)| text.as_str()).collect()
    }
}

impl Kubectl {
    /// A run with these arguments (without the program's name), whose standard input holds `stdin`.
    #[must_use]
    pub fn new(arguments: Vec<String>, config: Config, stdin: String) -> Self {
        Self {
            config,
            stdin,
            state: State::New(arguments),
            began: Time::DEFAULT_START,
            typed: Vec::new(),
            status: None,
        }
    }

    /// Whether a command line reads its standard input: `-f -` and its like.
    #[must_use]
    pub fn reads_stdin(arguments: &[String]) -> bool {
        // What comes after `--` is for somebody else.
        let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
        let arguments = &arguments[..end];
        let pairs = arguments.iter().zip(arguments.iter().skip(1));
        let separate = |(flag, value): (&String, &String)| {
            value == "-" && matches!(flag.as_str(), "-f" | "--filename" | "--patch-file")
        };
        pairs.into_iter().any(separate)
            || arguments.iter().any(|word| matches!(word.as_str(), "-f-" | "-f=-" | "--filename=-" | "-"))
    }

    /// Whether it talks with a program in a container that reads what is typed, or asks something itself.
    #[must_use]
    pub fn is_talking(&self) -> bool {
        let asks = matches!(&self.state, State::Waiting(waiting) if matches!(waiting.1, Waiting::Question(_)));
        asks || self.talk().is_some_and(exec::Talk::reads)
    }

    /// Whether it stands for a terminal in a container.
    #[must_use]
    pub fn has_terminal(&self) -> bool {
        self.talk().is_some_and(exec::Talk::has_terminal)
    }

    /// The program that was run for it ended with this code.
    pub const fn ran(&mut self, status: i32) {
        self.status = Some(status);
    }

    fn forward(&self) -> Option<&forward::Forward> {
        match &self.state {
            State::Waiting(waiting) => match &waiting.1 {
                Waiting::Forward(forward) => Some(forward),
                _ => None,
            },
            _ => None,
        }
    }

    /// The ports that it holds open.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.forward().map(forward::Forward::ports).unwrap_or_default()
    }

    /// Where a request goes that came to one of them, and what is said of it on standard output.
    pub fn connect(&self, request: &HttpRequest, api: &mut dyn Api) -> Option<(Forwarded, String)> {
        self.forward().map(|forward| forward.connect(request, api))
    }

    fn talk(&self) -> Option<&exec::Talk> {
        match &self.state {
            State::Waiting(waiting) => match &waiting.1 {
                Waiting::Talk(talk) => Some(talk),
                _ => None,
            },
            _ => None,
        }
    }

    /// Takes what was typed, for the next poll.
    pub fn typed(&mut self, input: StreamInput) {
        self.typed.push(input);
    }

    /// Goes on as far as it can at this moment.
    pub fn poll(&mut self, api: &mut dyn Api, files: &mut dyn Files) -> Polled {
        let state = std::mem::replace(&mut self.state, State::Exited(1));
        let mut polled = Polled::default();
        self.state = match state {
            State::New(arguments) => {
                self.began = api.now();
                match command::parse(&arguments).and_then(|parsed| self.configured(parsed, files)) {
                    Ok(parsed) => self.run(parsed, None, api, files, &mut polled),
                    Err(failure) => fail(&failure, &mut polled),
                }
            }
            State::Waiting(waiting) => {
                let (parsed, waiting) = *waiting;
                self.run(parsed, Some(waiting), api, files, &mut polled)
            }
            exited @ State::Exited(_) => exited,
        };
        if let State::Exited(code) = self.state {
            polled.exit = Some(code);
        }
        polled
    }

    /// Takes the namespace from the kubeconfig, where there is one.
    fn configured(&mut self, parsed: Parsed, files: &mut dyn Files) -> Result<Parsed, Failure> {
        let timeout = parsed.flags.text("request-timeout");
        if !timeout.is_empty() && timeout.parse::<i64>().is_err() && GoDuration::parse(timeout).is_err() {
            return Err(Failure::message(
                "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a \
                 corresponding time unit (e.g. 1s | 2m | 3h)",
            ));
        }
        if let Some(namespace) = config::namespace(files, &self.config, parsed.flags.text("context"))? {
            self.config.namespace = namespace;
        }
        Ok(parsed)
    }

    fn run(
        &mut self,
        parsed: Parsed,
        waiting: Option<Waiting>,
        api: &mut dyn Api,
        files: &mut dyn Files,
        polled: &mut Polled,
    ) -> State {
        let mut cli = Cli::new(&parsed, &self.config, &self.stdin, self.began, api, files);
        cli.typed = std::mem::take(&mut self.typed);
        cli.status = self.status.take();
        let result = match waiting {
            None if parsed.flags.is("help", false) => help::show(&mut cli),
            None => {
                cli.warn_of_dry_run();
                (parsed.command.run)(&mut cli)
            }
            Some(waiting) => waiting.poll(&mut cli),
        };
        cli.flush();
        polled.written = std::mem::take(&mut cli.written);
        polled.run = cli.run.take();
        match result {
            Ok(Step::Done) => State::Exited(0),
            Ok(Step::Wait(waiting)) => State::Waiting(Box::new((parsed, waiting))),
            Err(failure) => fail(&failure, polled),
        }
    }
}

fn fail(failure: &Failure, polled: &mut Polled) -> State {
    polled.written.push((shell::Stream::Error, failure.text()));
    State::Exited(failure.exit_code())
}

#[cfg(test)]
mod tests;
