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
use crate::machinery::shell::files::{FileSystem, FileTree, base_name, parent};
use crate::machinery::shell::{Flavor, Host, Lookup, Machine, Scripts, User, utilities};
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
        let files = FileSystem::new(self.root, self.volumes, &self.config.mounts, self.now);
        let mut files = files.with_read_only_root(self.config.read_only_root);
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
