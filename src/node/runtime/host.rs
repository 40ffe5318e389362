//! The world as the processes of a container see it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::machinery::persistent::OrdMap;

use super::catalogue::{Base, Catalogue, ImageDefinition, Program, SERVER};
use super::client::Client;
use super::container::{Container, ContainerConfig, Id};
use super::language::Language;
use super::packages::Installer;
use super::server::{Server, Surroundings};
use crate::machinery::random::Random;
use crate::machinery::shell::files::{FileSystem, FileTree, Owner, base_name, parent};
use crate::machinery::shell::{Flavor, Host, Lookup, Machine, Pid, Scripts, Signal, User, utilities};
use crate::machinery::time::Time;

/// Where the scripts of the catalogue find utilities that their image does not offer to anybody else.
const OWN_TOOLS: &str = "/.image";

/// Directories whose names may be left out before a command.
const PATH: [&str; 6] = ["/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// A container's surroundings while its processes are stepped.
pub(super) struct ContainerHost<'a> {
    pub now: Time,
    pub random: &'a mut Random,
    /// What the node's processes read before.
    pub scripts: &'a mut Scripts,
    pub root: &'a mut FileTree,
    pub volumes: &'a mut OrdMap<String, FileTree>,
    pub config: &'a ContainerConfig,
    pub image: &'a ImageDefinition,
    pub known_image: bool,
    pub surroundings: &'a Arc<Surroundings>,
    pub hostname: &'a str,
    pub addresses: &'a [IpAddr],
    pub containers: &'a OrdMap<Id, Arc<Container>>,
    /// Who shares the network: the containers of the sandbox, or of all sandboxes on the node's network.
    pub neighbour_containers: &'a [Id],
    pub own: &'a Id,
    /// Whether any number of processes may listen on one port.
    pub ports_are_shared: bool,
    pub machine: Machine,
    /// Volumes that were written.
    pub written: Vec<String>,
    /// The containers with which it shares its processes, itself among them, in the order in which they were made.
    pub process_neighbours: &'a [Id],
    /// Signals to processes of other containers.
    pub signals: Vec<(Id, Pid, Signal)>,
}

/// The process that holds a pod's namespaces together.
const PAUSE: Pid = 1;
/// The number of the first process of the first container beside it.
const FIRST_PROCESS: Pid = 8;
/// How far the numbers of two containers are apart.
const CONTAINER_PROCESSES: Pid = 100;

/// What is added to the numbers of a container's processes when it is so many places behind the first.
fn first_process(place: usize) -> Pid {
    FIRST_PROCESS - 1 + Pid::try_from(place).unwrap_or(0) * CONTAINER_PROCESSES
}

impl ContainerHost<'_> {
    /// The image's own program of a name or path.
    fn program(&self, name: &str) -> Option<&Program> {
        let programs = &self.image.programs;
        let is_bare = !name.contains('/');
        let inside = PATH.contains(&parent(name)).then(|| programs.get(base_name(name))).flatten();
        let own = programs.get(name).or(inside).filter(|_| !is_bare || self.has_file(name));
        own.or_else(|| Catalogue::builtin().packaged(base_name(name)).filter(|_| self.is_installed(name)))
    }

    /// Whether a program of the image is still where the image has it: somebody may have moved it away.
    fn has_file(&self, name: &str) -> bool {
        self.root.get(&format!("/usr/bin/{name}")).is_some()
    }

    /// Whether a package brought a command, or the image did.
    fn is_installed(&self, name: &str) -> bool {
        let is_in_path = !name.contains('/') || PATH.contains(&parent(name));
        is_in_path && self.has_file(base_name(name))
    }

    /// A package manager or a database's client.
    fn tool(&self, name: &str) -> Option<Lookup> {
        let manager = Installer::named(name).filter(|_| match self.image.base {
            Base::None | Base::Busybox => false,
            Base::Alpine => Installer::is_for_alpine(name),
            Base::Debian | Base::Full => !Installer::is_for_alpine(name),
        });
        if let Some(manager) = manager {
            return Some(Lookup::Run(Box::new(manager)));
        }
        let client = Client::named(name, &self.surroundings.tag).filter(|_| self.has_file(name));
        client.map(|client| Lookup::Run(Box::new(client)))
    }

    fn run(&self, name: &str, program: &Program) -> Lookup {
        if let Some(text) = &program.script {
            return Lookup::Script(Arc::clone(text));
        }
        if let Some(server) = &program.server {
            let server = Server::new(Arc::clone(server), Arc::clone(self.surroundings));
            return Lookup::Run(Box::new(server));
        }
        let language = program.language.as_deref().unwrap_or(name);
        Lookup::Run(Box::new(Language::new(language, Arc::clone(self.surroundings))))
    }
}

impl Host for ContainerHost<'_> {
    fn now(&self) -> Time {
        self.now
    }

    fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    fn scripts(&mut self) -> Option<&mut Scripts> {
        Some(self.scripts)
    }

    fn with_files(&mut self, work: &mut dyn FnMut(&mut FileSystem<'_>)) {
        let number = |id: Option<i64>| id.and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
        let owner =
            Owner { user: number(Some(self.config.user.unwrap_or(self.image.user))), group: number(self.config.group) };
        let files = FileSystem::new(self.root, self.volumes, &self.config.mounts, self.now);
        let mut files = files.with_read_only_root(self.config.read_only_root).owned_by(owner);
        work(&mut files);
        for volume in files.written {
            if !self.written.contains(&volume) {
                self.written.push(volume);
            }
        }
    }

    fn lookup(&mut self, name: &str, _argv: &[String]) -> Lookup {
        if let Some(program) = self.program(name) {
            return self.run(name, program);
        }
        let has_path = name.contains('/');
        let base = base_name(name);
        if parent(name) == OWN_TOOLS {
            if let Some(client) = Client::named(base, &self.surroundings.tag) {
                return Lookup::Run(Box::new(client));
            }
            return if utilities::exists(base) { Lookup::Utility } else { Lookup::Missing };
        }
        if !has_path || PATH.contains(&parent(name)) {
            let installed = base == "bash" && self.is_installed(base);
            if let Some(flavor) = self.image.base.shell(base).or(installed.then_some(Flavor::Bash)) {
                return Lookup::Shell(flavor);
            }
            if let Some(tool) = self.tool(base) {
                return tool;
            }
            let is_offered = self.image.base.has(base) || self.image.tools.iter().any(|tool| tool == base);
            if is_offered || (self.has_file(base) && utilities::exists(base)) {
                return Lookup::Utility;
            }
        }
        // Somebody's own image has somebody's own programs, which lie where nobody else's do.
        let is_own = !self.known_image && has_path && !PATH.contains(&parent(name)) && !name.contains("doesnotexist");
        match self.image.programs.get(SERVER).filter(|_| is_own && self.image.base == Base::Full) {
            Some(program) => self.run(name, program),
            None => Lookup::Missing,
        }
    }

    fn hostname(&self) -> String {
        self.hostname.to_owned()
    }

    fn busybox_version(&self) -> Option<(u32, u32)> {
        let tag = self.surroundings.tag.split('-').next().filter(|_| self.image.base == Base::Busybox)?;
        let mut numbers = tag.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    fn addresses(&self) -> Vec<String> {
        self.addresses.iter().map(IpAddr::to_string).collect()
    }

    fn user(&self) -> User {
        let id = self.config.user.unwrap_or(self.image.user);
        let name = match id {
            0 => Some("root".to_owned()),
            65534 => Some("nobody".to_owned()),
            _ => None,
        };
        User { id, group: self.config.group.unwrap_or(0), groups: self.config.groups.clone(), name }
    }

    fn first_process(&self) -> Pid {
        self.process_neighbours.iter().position(|id| id == self.own).map_or(0, first_process)
    }

    fn other_processes(&self) -> Vec<(Pid, Pid, String, Time)> {
        let mut rows = vec![(PAUSE, 0, "/pause".to_owned(), Time::default())];
        for (place, id) in self.process_neighbours.iter().enumerate() {
            let first = first_process(place);
            let Some(other) = self.containers.get(id) else { continue };
            rows.extend(other.table.rows().into_iter().map(|(pid, parent, command, started)| {
                (pid + first, if parent == 0 { 0 } else { parent + first }, command, started)
            }));
        }
        rows
    }

    fn signal_other(&mut self, pid: Pid, signal: Option<Signal>) -> bool {
        for (place, id) in self.process_neighbours.iter().enumerate() {
            let own = pid.checked_sub(first_process(place)).filter(|own| *own < CONTAINER_PROCESSES);
            let Some((own, other)) = own.zip(self.containers.get(id)) else { continue };
            if other.table.is_alive(own) {
                self.signals.extend(signal.map(|signal| (Arc::clone(id), own, signal)));
                return true;
            }
        }
        false
    }

    fn port_in_use(&self, port: u16) -> bool {
        if self.ports_are_shared {
            return false;
        }
        let others = self.neighbour_containers.iter().filter(|id| *id != self.own);
        others.filter_map(|id| self.containers.get(id)).any(|other| other.table.ports().contains(&port))
    }

    fn machine(&self) -> Machine {
        self.machine
    }
}
