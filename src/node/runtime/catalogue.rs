//! The image catalogue: what known images are made of and what their programs do.
//!
//! `assets/images.yaml` says it in words; this room reads it. An image that is not there counts as somebody's own: it
//! has every tool, and its program is a server on the ports that its pod declares.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::reference::ImageReference;
use crate::machinery::json;
use crate::machinery::shell::files::FileTree;
use crate::machinery::shell::regex::Regex;
use crate::machinery::shell::{Flavor, utilities};
use crate::machinery::time::Time;
use crate::machinery::yaml;

/// The catalogue's own text.
const IMAGES: &str = include_str!("../../../assets/images.yaml");

/// When the files of images were written: a month before clusters begin.
const BUILT: Time = Time::from_micros(1_764_547_200_000_000);

/// What an image is built on: which shell and tools it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Nothing: neither shell nor tools, as distroless and scratch images.
    None,
    /// busybox.
    Busybox,
    /// Alpine Linux: busybox and a package manager.
    Alpine,
    /// Debian's slim images: dash, bash, coreutils; neither `ps` nor network tools.
    Debian,
    /// Every tool there is.
    #[default]
    Full,
}

/// An image.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageDefinition {
    /// What it is built on.
    pub base: Base,
    /// What a pull moves, in megabytes.
    pub size: f64,
    /// What it takes on a node's disk, in megabytes.
    pub unpacked: f64,
    /// A regular expression of the tags that exist; any without one.
    pub tags: Option<String>,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
    /// `ENV`.
    pub environment: BTreeMap<String, String>,
    /// `WORKDIR`.
    pub directory: String,
    /// `USER`; 0 is root.
    pub user: i64,
    /// `STOPSIGNAL`: the signal that tells its program to stop; `TERM` when empty.
    pub stop_signal: String,
    /// Files besides those of the base.
    pub files: BTreeMap<String, String>,
    /// Programs besides those of the base, by name or path.
    pub programs: Arc<BTreeMap<String, Program>>,
    /// Utilities besides those of the base.
    pub tools: Vec<String>,
    /// The name of an entry that this one takes its programs and files from.
    pub like: Option<String>,
    /// The files of a new container, which all containers of the image share until they write.
    #[serde(skip)]
    root: FileTree,
}

/// A program of an image. Exactly one of its fields is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Program {
    /// A shell script.
    pub script: Option<Arc<str>>,
    /// A server.
    pub server: Option<Arc<ServerDefinition>>,
    /// A programming language's interpreter, of which only the name is known.
    pub language: Option<String>,
}

/// A server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerDefinition {
    /// The ports it listens on.
    pub ports: Vec<PortDefinition>,
    /// How long it takes until it listens, in seconds.
    pub startup: f64,
    /// Lines it prints at its start.
    pub logs: Vec<String>,
    /// Lines it prints once it listens.
    pub ready: Vec<String>,
    /// Lines it prints when it is told to stop.
    pub stop: Vec<String>,
    /// The exit code after `TERM`; without one it has no handler.
    pub term: Option<i32>,
    /// What it answers to HTTP requests; nothing when it speaks another protocol.
    pub http: Option<HttpDefinition>,
    /// The line it prints for a request.
    pub access: Option<String>,
    /// Memory when idle, in MiB.
    pub memory: f64,
    /// Processor time when idle, in thousandths.
    pub cpu: u32,
    /// Processor time of a request, in milliseconds.
    pub cpu_request: u32,
    /// How it reads its configuration files: `nginx`, or not at all.
    pub config: Option<String>,
    /// The database that it is, by a name that `store` knows.
    pub store: Option<String>,
    /// The version of a database whose image's tag names none.
    pub version: Option<String>,
    /// A file whose text is the answer to whatever is sent over a connection.
    pub gives: Option<String>,
}

/// Where a server's port comes from: the first of these that is given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PortDefinition {
    /// Arguments that name it: `--port 80`, `--port=80`, `-listen=:80`.
    pub flags: Vec<String>,
    /// An environment variable.
    pub env: Option<String>,
    /// The port otherwise; 0 for none.
    pub port: u16,
    /// What an image's tag has in it that has this port.
    pub tag: Option<String>,
}

/// What a server answers over HTTP.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpDefinition {
    /// A directory whose files it serves.
    pub files: Option<String>,
    /// Whether it lists directories.
    pub lists: bool,
    /// Answers by path; `*` stands for any other path. Texts are templates.
    pub paths: BTreeMap<String, String>,
    /// Paths that answer with a status of their own.
    pub statuses: BTreeMap<String, u16>,
    /// The body of a 404; a template.
    pub missing: Option<String>,
    /// After so many seconds every path answers 500, as the documentation's liveness example.
    pub fails_after: Option<f64>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Server`; a template.
    pub server: Option<String>,
}

/// An image with its smaller variants, which tags of Debian-based images name.
#[derive(Debug)]
struct Family {
    whole: Arc<ImageDefinition>,
    alpine: Arc<ImageDefinition>,
    slim: Arc<ImageDefinition>,
}

impl Family {
    fn new(whole: ImageDefinition) -> Self {
        let smaller = |base: Base, factor: f64| {
            let (size, unpacked) = (whole.size * factor, whole.unpacked * factor);
            Arc::new(ImageDefinition { base, size, unpacked, ..whole.clone() }.with_root())
        };
        if whole.base != Base::Debian {
            let whole = Arc::new(whole.with_root());
            return Self { alpine: Arc::clone(&whole), slim: Arc::clone(&whole), whole };
        }
        let (alpine, slim) = (smaller(Base::Alpine, 0.35), smaller(Base::Debian, 0.5));
        Self { whole: Arc::new(whole.with_root()), alpine, slim }
    }
}

/// Every image that is known by name.
#[derive(Debug)]
pub struct Catalogue {
    images: BTreeMap<String, Family>,
    unknown: Arc<ImageDefinition>,
    absent: Vec<String>,
    packages: BTreeMap<String, Program>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Repositories that people type by mistake.
    absent: Vec<String>,
    /// Programs that packages bring, into whatever image they are installed.
    #[serde(default)]
    packages: BTreeMap<String, Program>,
    images: BTreeMap<String, ImageDefinition>,
}

impl Catalogue {
    /// The project's own catalogue, which never changes. It is read when somebody first looks into it: a cluster without
    /// pods does not need it, nor the reader of YAML.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Catalogue> =
            LazyLock::new(|| Catalogue::parse(IMAGES).expect("the catalogue is of its own form"));
        &BUILTIN
    }

    /// Reads a catalogue.
    ///
    /// # Errors
    /// When it is not of the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = yaml::read_one(text).map_err(|error| error.to_string())?;
        let file: File = json::from_value(&document.value).map_err(|error| error.to_string())?;
        let mut images = BTreeMap::new();
        for (name, mut definition) in file.images.clone() {
            if let Some(other) = &definition.like {
                let other =
                    file.images.get(other).ok_or_else(|| format!("{name} is like {other}, which is not there"))?;
                inherit(&mut definition, other);
            }
            if let Some(pattern) = &definition.tags {
                Regex::new(pattern, true, false).map_err(|error| format!("{name}: {error}"))?;
            }
            // An image of this last name is the same in whatever registry somebody keeps it.
            let full = if name.starts_with("*/") { name } else { ImageReference::parse(&name)?.name() };
            images.insert(full, Family::new(definition));
        }
        let absent: Result<Vec<String>, String> =
            file.absent.iter().map(|name| ImageReference::parse(name).map(|reference| reference.name())).collect();
        Ok(Self { images, unknown: Arc::new(unknown().with_root()), absent: absent?, packages: file.packages })
    }

    /// What is known of an image, and whether it is known at all.
    #[must_use]
    pub fn find(&self, reference: &ImageReference) -> (Arc<ImageDefinition>, bool) {
        let name = reference.name();
        let last = name.rsplit('/').next().unwrap_or_default();
        // Somebody's mirror of an image holds what the image holds.
        let anywhere = || {
            let places = [format!("*/{last}"), format!("docker.io/library/{last}")];
            places.iter().find_map(|place| self.images.get(place))
        };
        let Some(family) = self.images.get(&name).or_else(anywhere) else {
            return (Arc::clone(&self.unknown), false);
        };
        let tag = reference.tag.as_deref().unwrap_or_default();
        let definition = if tag.contains("alpine") {
            &family.alpine
        } else if tag.contains("slim") {
            &family.slim
        } else {
            &family.whole
        };
        (Arc::clone(definition), true)
    }

    /// A program that a package brings.
    pub(super) fn packaged(&self, name: &str) -> Option<&Program> {
        self.packages.get(name)
    }

    /// Whether a registry has an image: names that are known to be wrong, and tags that a known image does not have.
    #[must_use]
    pub fn exists(&self, reference: &ImageReference) -> bool {
        if self.absent.contains(&reference.name()) {
            return false;
        }
        let tags = self.images.get(&reference.name()).and_then(|family| family.whole.tags.as_deref());
        match (tags, &reference.tag) {
            (Some(pattern), Some(tag)) => Regex::new(pattern, true, false).is_ok_and(|regex| regex.is_match(tag)),
            _ => true,
        }
    }

    /// Whether a repository is known to be wrong, whatever its tag.
    #[must_use]
    pub fn is_absent(&self, reference: &ImageReference) -> bool {
        self.absent.contains(&reference.name())
    }

    /// The names of all images, for completion in an editor.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.images
            .keys()
            .filter(|name| !name.starts_with('*'))
            .map(|name| name.strip_prefix("docker.io/library/").unwrap_or(name))
    }
}

impl ImageDefinition {
    /// The files of a new container.
    pub(super) fn root(&self) -> &FileTree {
        &self.root
    }

    fn with_root(mut self) -> Self {
        let mut tree = base_files(self.base);
        // Programs are empty executable files, so that they can be seen, moved away and back.
        let tools = self.tools.iter().map(String::as_str);
        for name in self.programs.keys().map(String::as_str).chain(tools) {
            match name.strip_prefix("./") {
                Some(_) => {}
                None if name.starts_with('/') => tree.put(name, b"", 0o755, BUILT),
                None => tree.put(&format!("/usr/bin/{name}"), b"", 0o755, BUILT),
            }
        }
        for (path, text) in &self.files {
            tree.put(path, text.as_bytes(), if text.starts_with("#!") { 0o755 } else { 0o644 }, BUILT);
        }
        if !self.directory.is_empty() {
            tree.put_directories(&self.directory, BUILT);
        }
        self.root = tree;
        self
    }
}

fn inherit(definition: &mut ImageDefinition, other: &ImageDefinition) {
    let programs = Arc::make_mut(&mut definition.programs);
    for (name, program) in other.programs.iter() {
        programs.entry(name.clone()).or_insert_with(|| program.clone());
    }
    for (path, text) in &other.files {
        definition.files.entry(path.clone()).or_insert_with(|| text.clone());
    }
    for (name, value) in &other.environment {
        definition.environment.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if definition.entrypoint.is_empty() && definition.command.is_empty() {
        definition.entrypoint.clone_from(&other.entrypoint);
        definition.command.clone_from(&other.command);
    }
    if definition.directory.is_empty() {
        definition.directory.clone_from(&other.directory);
    }
    for tool in &other.tools {
        if !definition.tools.contains(tool) {
            definition.tools.push(tool.clone());
        }
    }
    if definition.base == Base::Full {
        definition.base = other.base;
    }
}

/// Somebody's own image: a server on whatever ports its pod declares, in which every tool is at hand.
fn unknown() -> ImageDefinition {
    let server = ServerDefinition {
        startup: 0.5,
        term: Some(0),
        memory: 24.0,
        cpu: 2,
        cpu_request: 2,
        http: Some(HttpDefinition {
            paths: BTreeMap::from([("*".to_owned(), "{image} on {hostname}\n".to_owned())]),
            ..HttpDefinition::default()
        }),
        ..ServerDefinition::default()
    };
    let language = |name: &str| (name.to_owned(), Program { language: Some(name.to_owned()), ..Program::default() });
    let mut programs: BTreeMap<String, Program> =
        ["node", "python", "python3", "perl"].into_iter().map(language).collect();
    programs.insert(SERVER.to_owned(), Program { server: Some(Arc::new(server)), ..Program::default() });
    ImageDefinition {
        base: Base::Full,
        size: 60.0,
        unpacked: 150.0,
        command: vec![SERVER.to_owned()],
        programs: Arc::new(programs),
        ..ImageDefinition::default()
    }
}

/// The program of an image that nobody knows.
pub const SERVER: &str = "/app/server";

/// Tools of Debian's slim images: coreutils, findutils, grep, sed, and little else.
const DEBIAN_TOOLS: &str = "arch awk base64 basename cat chgrp chmod chown clear comm cp cut date dd df diff dirname du echo egrep env expr fallocate false fgrep find getent grep groups head hostname id kill ln ls mkdir mktemp mount mv nice nl nohup nproc paste pidof printenv printf pwd readlink realpath rev rm rmdir sed seq setsid sha256sum shuf sleep sort stat stdbuf sync tac tail tee test timeout touch tr true truncate tty uname uniq wc which whoami xargs yes [";

/// Utilities that no busybox has.
const NOT_BUSYBOX: [&str; 14] = [
    "curl",
    "dig",
    "host",
    "getent",
    "stress",
    "stress-ng",
    "ss",
    "ncat",
    "stdbuf",
    "sudo",
    "jq",
    "column",
    "envsubst",
    "gawk",
];

impl Base {
    /// Whether an image of this base has a utility.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Busybox | Self::Alpine => utilities::exists(name) && !NOT_BUSYBOX.contains(&name),
            Self::Debian => DEBIAN_TOOLS.split(' ').any(|tool| tool == name),
            Self::Full => utilities::exists(name),
        }
    }

    /// The shell of a name.
    #[must_use]
    pub fn shell(self, name: &str) -> Option<Flavor> {
        match (self, name) {
            (Self::Busybox | Self::Alpine, "sh" | "ash") | (Self::Full, "ash") => Some(Flavor::Ash),
            (Self::Debian, "sh" | "dash") => Some(Flavor::Dash),
            (Self::Full, "sh") => Some(Flavor::Ash),
            (Self::Debian | Self::Full, "bash") => Some(Flavor::Bash),
            _ => None,
        }
    }
}

fn base_files(base: Base) -> FileTree {
    let mut tree = FileTree::new();
    let now = BUILT;
    let directories = "/bin /dev /etc /home /proc /root /run /sys /tmp /usr/bin /usr/local/bin /usr/share /var/log /var/run /var/cache /var/lib /opt /srv /mnt";
    for directory in directories.split(' ') {
        tree.put_directories(directory, now);
    }
    let (id, name) = match base {
        Base::None => ("distroless", "Distroless"),
        Base::Busybox => ("busybox", "BusyBox"),
        Base::Alpine => ("alpine", "Alpine Linux"),
        Base::Debian | Base::Full => ("debian", "Debian GNU/Linux 12 (bookworm)"),
    };
    tree.put("/etc/os-release", format!("NAME=\"{name}\"\nID={id}\n").as_bytes(), 0o644, now);
    let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
    tree.put("/etc/passwd", users.as_bytes(), 0o644, now);
    if base == Base::Alpine {
        tree.put("/etc/alpine-release", b"3.22.1\n", 0o644, now);
    }
    tree
}
