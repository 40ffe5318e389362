//! Package managers: `apt-get`, `apk`, `yum` and their like.
//!
//! What they install are commands that the simulation knows: an installed one is an empty executable file, as are the programs
//! that an image brings along. A package whose commands are not known installs nothing that could be run.

use std::time::Duration;

use crate::machinery::shell::files::{FileSystem, WriteAt};
use crate::machinery::shell::{CommandIo, CommandPoll, CommandRun};
use crate::machinery::time::Time;

/// Where Debian's lists of packages lie once they were fetched.
const LISTS: &str = "/var/lib/apt/lists/packages";
/// Where the names of installed packages are noted.
const INSTALLED: &str = "/var/lib/installed-packages";

/// Packages by their names in several distributions, with their commands. Others are named like their command.
const COMMANDS: [(&str, &str); 17] = [
    ("dnsutils bind9-dnsutils bind9-host bind-tools bind-utils knot-dnsutils", "dig host nslookup"),
    ("iputils-ping iputils inetutils-ping", "ping"),
    ("netcat netcat-openbsd netcat-traditional nmap-ncat ncat nmap", "nc ncat netcat"),
    ("procps procps-ng", "ps free pgrep pkill uptime sysctl"),
    ("psmisc", "killall"),
    ("net-tools", "netstat"),
    ("iproute2 iproute", "ss"),
    ("redis-tools redis redis-server", "redis-cli"),
    ("mysql-client default-mysql-client mariadb-client mysql", "mysql mysqladmin"),
    ("postgresql-client postgresql16-client postgresql17-client postgresql", "psql pg_isready"),
    ("amqp-tools rabbitmq-c-utils", "amqp-declare-queue amqp-publish amqp-get amqp-consume amqp-delete-queue"),
    ("mongodb-mongosh mongodb-clients mongodb-org-shell", "mongosh mongo"),
    ("gettext gettext-base", "envsubst"),
    ("bsdmainutils bsdextrautils util-linux", "column"),
    (
        "coreutils findutils grep sed gawk ca-certificates gnupg lsb-release apt-transport-https software-properties-common",
        "",
    ),
    ("apache2-utils httpd-tools", "ab"),
    ("stress stress-ng", "stress stress-ng"),
];

/// The package managers.
const NAMES: [&str; 7] = ["apt-get", "apt", "apk", "yum", "dnf", "microdnf", "tdnf"];

/// The commands of a package.
fn commands(package: &str) -> Vec<&str> {
    let name = package.split(['=', '~', '<', '>', ':']).next().unwrap_or_default();
    match COMMANDS.iter().find(|(packages, _)| packages.split(' ').any(|known| known == name)) {
        Some((_, commands)) => commands.split_whitespace().collect(),
        None => vec![name],
    }
}

/// A package manager at work.
#[derive(Clone, Debug)]
pub(super) struct Installer {
    name: String,
    until: Option<Time>,
}

impl Installer {
    /// The package manager of a name.
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMES.contains(&name).then(|| Self { name: name.to_owned(), until: None })
    }

    /// Whether a package manager belongs to an image on Alpine (`true`) or on one of the others.
    pub(super) fn is_for_alpine(name: &str) -> bool {
        name == "apk"
    }

    fn update(&self, io: &mut CommandIo<'_>) -> CommandPoll {
        if self.name.starts_with("apt") {
            io.files(|files| write(files, LISTS, "", 0o644));
            io.out("Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]\nGet:2 http://deb.debian.org/debian bookworm/main amd64 Packages [8693 kB]\nFetched 8844 kB in 2s (4422 kB/s)\nReading package lists... Done\n");
        } else if self.name == "apk" {
            io.out(
                "v3.22.1 [https://dl-cdn.alpinelinux.org/alpine/v3.22/main]\nOK: 25395 distinct packages available\n",
            );
        }
        CommandPoll::Exited(0)
    }

    fn install(&self, packages: &[String], io: &mut CommandIo<'_>) -> CommandPoll {
        let is_apt = self.name.starts_with("apt");
        if is_apt && io.files(|files| files.read(LISTS)).is_err() {
            io.out("Reading package lists... Done\nBuilding dependency tree... Done\n");
            for package in packages {
                io.write(2, format!("E: Unable to locate package {package}\n").as_bytes());
            }
            return CommandPoll::Exited(100);
        }
        let mut known =
            String::from_utf8_lossy(&io.files(|files| files.read(INSTALLED)).unwrap_or_default()).into_owned();
        let fresh: Vec<&String> =
            packages.iter().filter(|package| !known.lines().any(|line| line == package.as_str())).collect();
        let mut written = true;
        for package in &fresh {
            known.push_str(&format!("{package}\n"));
            for command in commands(package) {
                written &= io.files(|files| {
                    files.stat(&format!("/usr/bin/{command}"), true).is_ok()
                        || write(files, &format!("/usr/bin/{command}"), "", 0o755)
                });
            }
        }
        written &= io.files(|files| write(files, INSTALLED, &known, 0o644));
        if !written {
            io.write(
                2,
                format!(
                    "{}: Read-only file system\n",
                    if is_apt {
                        "E: Could not open lock file /var/lib/dpkg/lock-frontend - open"
                    } else {
                        "ERROR: Unable to lock database"
                    }
                )
                .as_bytes(),
            );
            return CommandPoll::Exited(if is_apt { 100 } else { 99 });
        }
        self.tell(&fresh, io);
        CommandPoll::Exited(0)
    }

    fn tell(&self, fresh: &[&String], io: &mut CommandIo<'_>) {
        if self.name == "apk" {
            for (number, package) in fresh.iter().enumerate() {
                io.out(&format!("({}/{}) Installing {package}\n", number + 1, fresh.len()));
            }
            io.out(&format!("OK: {} MiB in {} packages\n", 8 + 2 * fresh.len(), 16 + fresh.len()));
        } else if self.name.starts_with("apt") {
            let names: Vec<&str> = fresh.iter().map(|name| name.as_str()).collect();
            io.out(
                "Reading package lists... Done\nBuilding dependency tree... Done\nReading state information... Done\n",
            );
            if !names.is_empty() {
                io.out(&format!("The following NEW packages will be installed:\n  {}\n", names.join(" ")));
            }
            io.out(&format!("0 upgraded, {} newly installed, 0 to remove and 0 not upgraded.\n", names.len()));
            for name in names {
                io.out(&format!("Setting up {name} ...\n"));
            }
        } else {
            io.out("Dependencies resolved.\nRunning transaction\n");
            for name in fresh {
                io.out(&format!("  Installing       : {name}\n"));
            }
            io.out("Complete!\n");
        }
    }
}

fn write(files: &mut FileSystem<'_>, path: &str, text: &str, mode: u32) -> bool {
    for (at, _) in path.match_indices('/').skip(1) {
        // One that is there already needs not be made.
        let _ = files.make_directory(&path[..at]);
    }
    files.write(path, text.as_bytes(), WriteAt::Start).is_ok() && files.set_mode(path, mode).is_ok()
}

impl CommandRun for Installer {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let arguments = io.arguments();
        let words: Vec<String> = arguments.iter().filter(|word| !word.starts_with('-')).cloned().collect();
        let (verb, packages) = words.split_first().map_or(("", &[][..]), |(verb, rest)| (verb.as_str(), rest));
        if io.host.user().id != 0 && matches!(verb, "install" | "add" | "update" | "upgrade") {
            let text = if self.name == "apk" {
                "ERROR: Unable to lock database: Permission denied\nERROR: Failed to open apk database: Permission denied\n"
            } else {
                "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?\n"
            };
            io.write(2, text.as_bytes());
            return CommandPoll::Exited(if self.name == "apk" { 99 } else { 100 });
        }
        let seconds = match verb {
            "update" | "makecache" => 2,
            "install" | "add" => 1 + packages.len() as u64,
            _ => 0,
        };
        let until = *self.until.get_or_insert(io.now() + Duration::from_secs(seconds));
        if until > io.now() {
            return CommandPoll::Until(until);
        }
        match verb {
            "update" | "makecache" => self.update(io),
            "install" | "add" => self.install(packages, io),
            "" => CommandPoll::Exited(1),
            _ => CommandPoll::Exited(0),
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
