//! kubectl: what a person says to a cluster.
//!
//! Follows `k8s.io/kubectl/pkg/cmd`. Everything here works on API requests and answers alone ([`Api`]), so that the same
//! command through the page and a real kubectl through the HTTP door do the same.
//!
//! A [`Kubectl`] is one run of the program. It never blocks: whoever runs it polls it as simulated time passes, and a
//! command that waits (`rollout status`, `wait`, `delete`) looks at what has changed since it was polled last. Verbs
//! are a file each; [`command`] lists them with their flags.
//!
//! Not there: `edit`, `attach`, `port-forward` and terminals in containers, which need somebody who types.

pub mod apply;

mod api;
mod top;
mod kustomize;
mod help;
mod explain;
mod exec;
mod events;
mod discovery;
mod debug;
mod copy;
mod certificate;
mod reconcile;
mod kyaml;
mod hash;
mod generate_secrets;
mod generate_ingress;
mod diff;
mod autoscale;
mod auth;
mod builder;
mod cli;
mod command;
mod commands;
mod config;
mod create;
mod delete;
mod describe;
mod drain;
mod environment;
mod expose;
mod failure;
mod flags;
mod generate;
mod generate_access;
mod generate_jobs;
mod generate_policy;
mod get;
mod history;
mod label;
mod logs;
mod manifest;
mod patch;
mod printer;
mod program;
mod raw;
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
mod wait;

pub use api::{Api, Change};
pub use cli::{Config, Files};
pub use program::Program;

use crate::machinery::shell::Stream;
use crate::machinery::time::Time;
use cli::{Cli, Step, Waiting};
use command::Parsed;
use failure::Failure;

/// One run of kubectl.
#[derive(Clone, Debug)]
pub struct Kubectl {
    config: Config,
    stdin: String,
    state: State,
    /// When the command began to wait, from which its `--timeout` counts.
    began: Time,
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
    pub written: Vec<(Stream, String)>,
    /// The exit code, once it ended; without one it waits for the cluster and is to be polled again.
    pub exit: Option<i32>,
}

impl Polled {
    /// All that was written to one of the two.
    #[must_use]
    pub fn text(&self, stream: Stream) -> String {
        self.written.iter().filter(|(known, _)| *known == stream).map(|(_, text)| text.as_str()).collect()
    }
}

impl Kubectl {
    /// A run with these arguments (without the program's name), whose standard input holds `stdin`.
    #[must_use]
    pub fn new(arguments: Vec<String>, config: Config, stdin: String) -> Self {
        Self { config, stdin, state: State::New(arguments), began: Time::DEFAULT_START }
    }

    /// Whether a command line reads its standard input: `-f -` and its like.
    #[must_use]
    pub fn reads_stdin(arguments: &[String]) -> bool {
        let pairs = arguments.iter().zip(arguments.iter().skip(1));
        let separate = |(flag, value): (&String, &String)| {
            value == "-" && matches!(flag.as_str(), "-f" | "--filename" | "--patch-file")
        };
        // A command in a container reads it where it is asked to.
        let in_container = matches!(arguments.first().map(String::as_str), Some("exec"))
            && arguments.iter().take_while(|word| *word != "--").any(|word| {
                matches!(word.as_str(), "--stdin" | "--stdin=true")
                    || word.starts_with('-') && !word.starts_with("--") && word.contains('i')
            });
        in_container
            || pairs.into_iter().any(separate)
            || arguments.iter().any(|word| matches!(word.as_str(), "-f-" | "-f=-" | "--filename=-" | "-"))
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
        if let Some(namespace) = config::namespace(files, parsed.flags.text("context"))? {
            self.config.namespace = namespace;
        }
        Ok(parsed)
    }

    fn run(
        &self,
        parsed: Parsed,
        waiting: Option<Waiting>,
        api: &mut dyn Api,
        files: &mut dyn Files,
        polled: &mut Polled,
    ) -> State {
        let mut cli = Cli::new(&parsed, &self.config, &self.stdin, self.began, api, files);
        let result = match waiting {
            None if parsed.flags.is("help", false) => help::show(&mut cli),
            None => (parsed.command.run)(&mut cli),
            Some(waiting) => waiting.poll(&mut cli),
        };
        cli.flush();
        polled.written = std::mem::take(&mut cli.written);
        match result {
            Ok(Step::Done) => State::Exited(0),
            Ok(Step::Wait(waiting)) => State::Waiting(Box::new((parsed, waiting))),
            Err(failure) => fail(&failure, polled),
        }
    }
}

fn fail(failure: &Failure, polled: &mut Polled) -> State {
    polled.written.push((Stream::Error, failure.text()));
    State::Exited(failure.code())
}

#[cfg(test)]
mod tests;
