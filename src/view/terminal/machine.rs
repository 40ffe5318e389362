//! The machine that the terminal's shell runs on.

use std::any::Any;
use std::time::Duration;

use crate::kubectl::{self, Config, Program};
use crate::machinery::persistent::OrdMap;
use crate::machinery::random::Random;
use crate::machinery::shell::files::{FileSystem, FileTree};
use crate::machinery::shell::{
    Flavor, Host, Lookup, NetworkAnswer, NetworkRequest, Record, RecordKind, User, utilities,
};
use crate::machinery::time::Time;
use crate::node::runtime::client_program;
use crate::session::Session;

use super::{HOME, NOTES, programs, why};

/// Files and chance of the machine, and the session beside it.
pub(super) struct Machine<'a> {
    pub session: &'a mut Session,
    pub root: &'a mut FileTree,
    pub random: &'a mut Random,
}

/// A view of the files, to be changed.
fn files(root: &mut FileTree, now: Time, work: &mut dyn FnMut(&mut FileSystem<'_>)) {
    work(&mut FileSystem::new(root, &mut OrdMap::new(), &[], now));
}

/// Removes a file, if it is there.
pub(super) fn remove(root: &mut FileTree, path: &str, now: Time) {
    files(root, now, &mut |files| {
        // One that is not there is gone already.
        let _ = files.remove(path);
    });
}

/// What a program noted for the page, which is told once.
pub(super) fn take_note(root: &mut FileTree, name: &str) -> Option<String> {
    let path = format!("{NOTES}/{name}");
    let text = root.get(&path).and_then(|entry| entry.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
    if text.is_some() {
        remove(root, &path, Time::DEFAULT_START);
    }
    text
}

/// Where kubectl keeps its configuration.
fn config_file() -> String {
    format!("{HOME}/.kube/config")
}

/// The namespace of kubectl's current context.
pub(super) fn namespace(root: &FileTree) -> String {
    let file = root.get(&config_file());
    let text = file.and_then(|entry| entry.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
    text.and_then(|text| kubectl::namespace_of_config(&text)).unwrap_or_else(|| Config::default().namespace)
}

/// What comes of a request at once: names are those of `/etc/hosts`, and nothing listens on the machine itself. Nothing
/// for one that leaves it.
pub(super) fn answer(root: &FileTree, request: &NetworkRequest) -> Option<NetworkAnswer> {
    let unknown = || NetworkAnswer::NameUnknown { server: "127.0.0.53:53".to_owned() };
    let address = match request {
        NetworkRequest::Resolve(question) => {
            let data =
                if question.name == "localhost" { Some("127.0.0.1".to_owned()) } else { host(root, &question.name) };
            let record = |data| Record { name: question.name.clone(), kind: RecordKind::A, data };
            let known = |data| NetworkAnswer::Resolved { server: String::new(), records: vec![record(data)] };
            return Some(data.map_or_else(unknown, known));
        }
        other => other.address(),
    };
    match address.parse::<std::net::Ipv4Addr>() {
        Ok(loopback) if loopback.is_loopback() => Some(NetworkAnswer::Refused { address: address.to_owned() }),
        Ok(_) => None,
        Err(_) => Some(unknown()),
    }
}

/// The address of a name in `/etc/hosts`.
fn host(root: &FileTree, name: &str) -> Option<String> {
    let entry = root.get("/etc/hosts")?;
    let text = String::from_utf8_lossy(entry.bytes()?).into_owned();
    text.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let address = words.next()?;
        words.any(|word| word == name).then(|| address.to_owned())
    })
}

impl Host for Machine<'_> {
    fn now(&self) -> Time {
        self.session.now()
    }

    fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    fn with_files(&mut self, work: &mut dyn FnMut(&mut FileSystem<'_>)) {
        files(self.root, self.session.now(), work);
    }

    fn lookup(&mut self, name: &str, argv: &[String]) -> Lookup {
        match name.rsplit('/').next().unwrap_or_default() {
            "bash" | "sh" => Lookup::Shell(Flavor::Bash),
            "kubectl" if argv.get(1).is_some_and(|word| kubectl::PLUGINS.contains(&word.as_str())) => {
                Lookup::Run(Box::new(why::Program { namespace: namespace(self.root) }))
            }
            "kubectl-why" => Lookup::Run(Box::new(why::Program { namespace: namespace(self.root) })),
            "kubectl" => {
                let config = Config { namespace: namespace(self.root), file: config_file(), ..Config::default() };
                Lookup::Run(Box::new(Program::<Session>::new(config, Duration::ZERO)))
            }
            other => match programs::find(other, argv).or_else(|| client_program(other)) {
                Some(program) => Lookup::Run(program),
                None if utilities::exists(other) => Lookup::Utility,
                None => Lookup::Missing,
            },
        }
    }

    fn hostname(&self) -> String {
        "kubetab".to_owned()
    }

    fn user(&self) -> User {
        User { id: 1000, group: 1000, groups: Vec::new(), name: Some("you".to_owned()) }
    }

    fn world(&mut self) -> Option<&mut dyn Any> {
        Some(self.session)
    }
}
