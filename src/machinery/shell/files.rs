//! Simulated files: a tree of paths as a value, and the file system that a container sees through its mounts.
//!
//! Paths are absolute and normalised (`/a/b`, the root is `/`). A tree is a persistent map: copying it is cheap, and
//! copies share every file that neither has changed.

use std::fmt;
use std::sync::Arc;

use crate::machinery::persistent::OrdMap;

use crate::machinery::time::Time;

/// How many real bytes one tree may hold; beyond it, writing says "No space left on device".
///
/// Zeros written by `dd`, `truncate` and `fallocate` are only counted, so that gigabytes can be simulated.
pub const TREE_BYTES_MAX: u64 = 4 << 20;

/// How many symbolic links may follow one another, as in Linux.
const LINKS_MAX: usize = 40;

/// Why a file operation failed, with the text of the C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileError {
    /// `ENOENT`.
    NotFound,
    /// `EISDIR`.
    IsDirectory,
    /// `ENOTDIR`.
    NotDirectory,
    /// `EACCES`.
    Denied,
    /// `EROFS`.
    ReadOnly,
    /// `EEXIST`.
    Exists,
    /// `ENOTEMPTY`.
    NotEmpty,
    /// `ELOOP`.
    TooManyLinks,
    /// `ENOSPC`.
    NoSpace,
    /// `EBUSY`: a mount point.
    Busy,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "No such file or directory",
            Self::IsDirectory => "Is a directory",
            Self::NotDirectory => "Not a directory",
            Self::Denied => "Permission denied",
            Self::ReadOnly => "Read-only file system",
            Self::Exists => "File exists",
            Self::NotEmpty => "Directory not empty",
            Self::TooManyLinks => "Too many levels of symbolic links",
            Self::NoSpace => "No space left on device",
            Self::Busy => "Device or resource busy",
        })
    }
}

/// What an entry of a tree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory; its entries are found by their paths.
    Directory,
    /// A file: its bytes, followed by so many zeros that are counted but not kept.
    File(Arc<Vec<u8>>, u64),
    /// A symbolic link and its target.
    Link(String),
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Directory, file or link.
    pub kind: FileKind,
    /// Permission bits, as `0o644`.
    pub mode: u32,
    /// When it was last written.
    pub modified: Time,
}

impl FileEntry {
    /// The length that `ls -l` shows, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.kind {
            FileKind::Directory => 4096,
            FileKind::File(bytes, zeros) => bytes.len() as u64 + zeros,
            FileKind::Link(target) => target.len() as u64,
        }
    }

    /// Whether this is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, FileKind::Directory)
    }

    /// Whether this is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.kind, FileKind::File(..))
    }
}

/// How to write into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAt {
    /// Replace what is there.
    Start,
    /// After what is there.
    End,
    /// Over what is there, from this byte.
    Offset(u64),
}

/// A tree of files: a container's root layer, or a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileTree {
    entries: OrdMap<String, FileEntry>,
    bytes: u64,
}

impl FileTree {
    /// An empty tree, of the root directory only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree with these text files, as a ConfigMap or Secret volume is.
    #[must_use]
    pub fn from_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>, mode: u32, now: Time) -> Self {
        let mut tree = Self::new();
        for (path, bytes) in files {
            tree.put(path, bytes, mode, now);
        }
        tree
    }

    /// Puts a file and the directories above it, whatever was there.
    pub fn put(&mut self, path: &str, bytes: &[u8], mode: u32, now: Time) {
        let path = normalise(path, "/");
        self.put_directories(parent(&path), now);
        self.insert(&path, FileKind::File(Arc::new(bytes.to_vec()), 0), mode, now);
    }

    /// Puts a directory and those above it.
    pub fn put_directories(&mut self, path: &str, now: Time) {
        let mut at = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at.push('/');
            at.push_str(name);
            if !self.entries.contains_key(&at) {
                self.insert(&at, FileKind::Directory, 0o755, now);
            }
        }
    }

    /// The entry at exactly this path, links not followed.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<FileEntry> {
        if path == "/" {
            return Some(FileEntry { kind: FileKind::Directory, mode: 0o755, modified: Time::default() });
        }
        self.entries.get(path).cloned()
    }

    /// The names in a directory, in order.
    #[must_use]
    pub fn names(&self, directory: &str) -> Vec<String> {
        let prefix = if directory == "/" { "/".to_owned() } else { format!("{directory}/") };
        self.entries
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix))
            .filter_map(|(path, _)| {
                let name = &path[prefix.len()..];
                (!name.contains('/')).then(|| name.to_owned())
            })
            .collect()
    }

    /// Every file with its path, in order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.entries.iter().filter(|(_, entry)| entry.is_file()).map(|(path, entry)| (path.as_str(), entry))
    }

    /// How many bytes its files take, simulated zeros among them: what `sizeLimit` is compared with.
    #[must_use]
    pub fn usage(&self) -> u64 {
        self.files().map(|(_, entry)| entry.size()).sum()
    }

    fn insert(&mut self, path: &str, kind: FileKind, mode: u32, now: Time) {
        assert!(path.starts_with('/') && path.len() > 1, "not a path inside a tree: {path:?}");
        self.forget_bytes(path);
        if let FileKind::File(bytes, _) = &kind {
            self.bytes += bytes.len() as u64;
        }
        self.entries.insert(path.to_owned(), FileEntry { kind, mode, modified: now });
    }

    fn forget_bytes(&mut self, path: &str) {
        if let Some(FileEntry { kind: FileKind::File(bytes, _), .. }) = self.entries.get(path) {
            self.bytes -= bytes.len() as u64;
        }
    }

    fn take(&mut self, path: &str) -> Option<FileEntry> {
        self.forget_bytes(path);
        self.entries.remove(path)
    }

    fn write(&mut self, path: &str, data: &[u8], at: WriteAt, now: Time) -> Result<(), FileError> {
        let (old, zeros, mode) = match self.entries.get(path) {
            Some(FileEntry { kind: FileKind::File(bytes, zeros), mode, .. }) => (Arc::clone(bytes), *zeros, *mode),
            Some(FileEntry { kind: FileKind::Directory, .. }) => return Err(FileError::IsDirectory),
            Some(FileEntry { kind: FileKind::Link(_), .. }) => return Err(FileError::TooManyLinks),
            None => (Arc::default(), 0, 0o644),
        };
        if matches!(at, WriteAt::Start) {
            self.fits(data.len() as u64)?;
            self.insert(path, FileKind::File(Arc::new(data.to_vec()), 0), mode, now);
            return Ok(());
        }
        let offset = match at {
            WriteAt::Offset(offset) => offset,
            _ => old.len() as u64 + zeros,
        };
        // Zeros before the place of writing become real bytes.
        let end = offset.checked_add(data.len() as u64).ok_or(FileError::NoSpace)?;
        let kept = end.max(old.len() as u64);
        self.fits(kept - old.len() as u64)?;
        let total = end.max(old.len() as u64 + zeros);
        drop(self.entries.remove(path));
        self.bytes -= old.len() as u64;
        let mut bytes = Arc::unwrap_or_clone(old);
        bytes.resize(kept as usize, 0);
        bytes[offset as usize..end as usize].copy_from_slice(data);
        self.insert(path, FileKind::File(Arc::new(bytes), total - kept), mode, now);
        Ok(())
    }

    fn fits(&self, more: u64) -> Result<(), FileError> {
        if self.bytes + more > TREE_BYTES_MAX { Err(FileError::NoSpace) } else { Ok(()) }
    }
}

/// Where a container sees a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// `mountPath`: an absolute, normalised path in the container.
    pub path: String,
    /// The volume's key.
    pub volume: String,
    /// `subPath` within the volume, without a leading slash; empty for the whole volume.
    pub sub_path: String,
    /// Writing says "Read-only file system".
    pub read_only: bool,
}

/// The files as one container sees them: its root layer, and volumes at their mount points.
#[derive(Debug)]
pub struct FileSystem<'a> {
    root: &'a mut FileTree,
    volumes: &'a mut OrdMap<String, FileTree>,
    mounts: &'a [MountPoint],
    now: Time,
    /// Volumes written through this view.
    pub written: Vec<String>,
    root_read_only: bool,
}

/// A path within one of the trees.
#[derive(Debug)]
struct Place {
    mount: Option<usize>,
    path: String,
}

impl<'a> FileSystem<'a> {
    /// A view through `mounts`. A mount of a volume that is not there shows an empty directory.
    pub fn new(
        root: &'a mut FileTree,
        volumes: &'a mut OrdMap<String, FileTree>,
        mounts: &'a [MountPoint],
        now: Time,
    ) -> Self {
        Self { root, volumes, mounts, now, written: Vec::new(), root_read_only: false }
    }

    /// As `securityContext.readOnlyRootFilesystem`.
    #[must_use]
    pub fn with_read_only_root(mut self, read_only: bool) -> Self {
        self.root_read_only = read_only;
        self
    }

    /// The mount points, for `df` and `mount`.
    #[must_use]
    pub fn mounts(&self) -> &[MountPoint] {
        self.mounts
    }

    /// The longest mount point that holds `path`.
    fn locate(&self, path: &str) -> Place {
        let mut best: Option<(usize, &MountPoint)> = None;
        for (index, mount) in self.mounts.iter().enumerate() {
            let inside = path.strip_prefix(mount.path.as_str());
            if inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || mount.path == "/")
                && best.is_none_or(|(_, held)| held.path.len() <= mount.path.len())
            {
                best = Some((index, mount));
            }
        }
        match best {
            Some((index, mount)) => {
                let rest = path.strip_prefix(mount.path.as_str()).unwrap_or_default();
                let inner = normalise(&format!("/{}/{}", mount.sub_path, rest), "/");
                Place { mount: Some(index), path: inner }
            }
            None => Place { mount: None, path: path.to_owned() },
        }
    }

    fn tree(&self, place: &Place) -> Option<&FileTree> {
        match place.mount {
            None => Some(self.root),
            Some(index) => self.volumes.get(&self.mounts[index].volume),
        }
    }

    fn tree_for_writing(&mut self, place: &Place) -> Result<&mut FileTree, FileError> {
        match place.mount {
            None if self.root_read_only => Err(FileError::ReadOnly),
            None => Ok(self.root),
            Some(index) => {
                let mount = &self.mounts[index];
                if mount.read_only {
                    return Err(FileError::ReadOnly);
                }
                if !self.written.contains(&mount.volume) {
                    self.written.push(mount.volume.clone());
                }
                Ok(self.volumes.entry(mount.volume.clone()).or_default())
            }
        }
    }

    fn entry_at(&self, path: &str) -> Option<FileEntry> {
        let place = self.locate(path);
        let entry = self.tree(&place).and_then(|tree| tree.get(&place.path));
        // A mount point, and what lies on the way to one, is there even when no layer holds it.
        let below = if path == "/" { path.to_owned() } else { format!("{path}/") };
        let on_the_way = || {
            self.mounts
                .iter()
                .any(|mount| (mount.path == path && mount.sub_path.is_empty()) || mount.path.starts_with(&below))
        };
        match entry {
            None if on_the_way() => {
                Some(FileEntry { kind: FileKind::Directory, mode: 0o755, modified: Time::default() })
            }
            entry => entry,
        }
    }

    /// The path with every link on the way replaced, and the last one too when `follow` is set.
    fn resolve(&self, path: &str, follow: bool) -> Result<String, FileError> {
        let mut rest: Vec<String> = path.split('/').rev().filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let (mut at, mut links) = (String::new(), 0);
        while let Some(name) = rest.pop() {
            if name == ".." {
                at.truncate(at.rfind('/').unwrap_or(0));
                continue;
            }
            let next = format!("{at}/{name}");
            match self.entry_at(&next) {
                Some(FileEntry { kind: FileKind::Link(target), .. }) if follow || !rest.is_empty() => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(FileError::TooManyLinks);
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    rest.extend(
                        target.split('/').rev().filter(|part| !part.is_empty() && *part != ".").map(str::to_owned),
                    );
                }
                Some(entry) if !rest.is_empty() && !entry.is_directory() => return Err(FileError::NotDirectory),
                None if !rest.is_empty() => return Err(FileError::NotFound),
                _ => at = next,
            }
        }
        Ok(if at.is_empty() { "/".to_owned() } else { at })
    }

    /// What is at `path`, links followed when `follow` is set.
    ///
    /// # Errors
    /// When nothing is there, or the way to it does not exist.
    pub fn stat(&self, path: &str, follow: bool) -> Result<FileEntry, FileError> {
        let path = self.resolve(path, follow)?;
        self.entry_at(&path).ok_or(FileError::NotFound)
    }

    /// A file's bytes; counted zeros are given up to `TREE_BYTES_MAX`.
    ///
    /// # Errors
    /// When it is no file.
    pub fn read(&self, path: &str) -> Result<Arc<Vec<u8>>, FileError> {
        match self.stat(path, true)?.kind {
            FileKind::File(bytes, 0) => Ok(bytes),
            FileKind::File(bytes, zeros) => {
                let mut bytes = Arc::unwrap_or_clone(bytes);
                let length = (bytes.len() as u64).saturating_add(zeros).min(TREE_BYTES_MAX);
                bytes.resize(length as usize, 0);
                Ok(Arc::new(bytes))
            }
            _ => Err(FileError::IsDirectory),
        }
    }

    /// The names in a directory, in order.
    ///
    /// # Errors
    /// When it is no directory.
    pub fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let path = self.resolve(path, true)?;
        let entry = self.entry_at(&path).ok_or(FileError::NotFound)?;
        if !entry.is_directory() {
            return Err(FileError::NotDirectory);
        }
        let place = self.locate(&path);
        let mut names = self.tree(&place).map(|tree| tree.names(&place.path)).unwrap_or_default();
        let prefix = if path == "/" { path } else { format!("{path}/") };
        for mount in self.mounts {
            if let Some(rest) = mount.path.strip_prefix(&prefix)
                && let Some(name) = rest.split('/').next().filter(|name| !name.is_empty())
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn check_parent(&self, path: &str) -> Result<(), FileError> {
        match self.entry_at(parent(path)) {
            Some(entry) if entry.is_directory() => Ok(()),
            Some(_) => Err(FileError::NotDirectory),
            None => Err(FileError::NotFound),
        }
    }

    /// Writes into a file, which is made when it is not there.
    ///
    /// # Errors
    /// When its directory is missing, it is a directory, it is read-only, or the tree is full.
    pub fn write(&mut self, path: &str, data: &[u8], at: WriteAt) -> Result<(), FileError> {
        let path = self.resolve(path, true)?;
        if path == "/" {
            return Err(FileError::IsDirectory);
        }
        self.check_parent(&path)?;
        let (place, now) = (self.locate(&path), self.now);
        if place.path == "/" {
            return Err(FileError::IsDirectory);
        }
        self.tree_for_writing(&place)?.write(&place.path, data, at, now)
    }

    /// Makes a file `zeros` longer, without keeping the zeros.
    ///
    /// # Errors
    /// As `write`.
    pub fn extend(&mut self, path: &str, zeros: u64) -> Result<(), FileError> {
        self.write(path, b"", WriteAt::End)?;
        let path = self.resolve(path, true)?;
        let place = self.locate(&path);
        let tree = self.tree_for_writing(&place)?;
        if let Some(entry) = tree.entries.get_mut(&place.path)
            && let FileKind::File(_, counted) = &mut entry.kind
        {
            *counted = counted.saturating_add(zeros);
        }
        Ok(())
    }

    fn create(&mut self, path: &str, kind: FileKind, mode: u32) -> Result<(), FileError> {
        let path = self.resolve(path, false)?;
        if self.entry_at(&path).is_some() {
            return Err(FileError::Exists);
        }
        self.check_parent(&path)?;
        let (place, now) = (self.locate(&path), self.now);
        self.tree_for_writing(&place)?.insert(&place.path, kind, mode, now);
        Ok(())
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// When something is there, or the directory above is not.
    pub fn make_directory(&mut self, path: &str) -> Result<(), FileError> {
        self.create(path, FileKind::Directory, 0o755)
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// When something is there, or the directory above is not.
    pub fn make_link(&mut self, path: &str, target: &str) -> Result<(), FileError> {
        self.create(path, FileKind::Link(target.to_owned()), 0o777)
    }

    /// Removes a file, a link or an empty directory.
    ///
    /// # Errors
    /// When it is missing, read-only, a mount point, or a directory with entries.
    pub fn remove(&mut self, path: &str) -> Result<(), FileError> {
        let path = self.resolve(path, false)?;
        let entry = self.entry_at(&path).ok_or(FileError::NotFound)?;
        if path == "/" || self.mounts.iter().any(|mount| mount.path == path) {
            return Err(FileError::Busy);
        }
        if entry.is_directory() && !self.list(&path)?.is_empty() {
            return Err(FileError::NotEmpty);
        }
        let place = self.locate(&path);
        self.tree_for_writing(&place)?.take(&place.path);
        Ok(())
    }

    /// Moves a file or a whole directory.
    ///
    /// # Errors
    /// As for reading the one and writing the other.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        let (from, to) = (self.resolve(from, false)?, self.resolve(to, false)?);
        let entry = self.entry_at(&from).ok_or(FileError::NotFound)?;
        if from == to {
            return Ok(());
        }
        if self.mounts.iter().any(|mount| mount.path == from || mount.path == to) {
            return Err(FileError::Busy);
        }
        self.check_parent(&to)?;
        if entry.is_directory() {
            if self.entry_at(&to).is_none() {
                self.make_directory(&to)?;
            }
            for name in self.list(&from)? {
                self.rename(&format!("{from}/{name}"), &format!("{to}/{name}"))?;
            }
            return self.remove(&from);
        }
        let target = self.locate(&to);
        self.tree_for_writing(&target)?.insert(&target.path, entry.kind, entry.mode, entry.modified);
        let source = self.locate(&from);
        self.tree_for_writing(&source)?.take(&source.path);
        Ok(())
    }

    /// Sets permission bits.
    ///
    /// # Errors
    /// When it is missing or read-only.
    pub fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), FileError> {
        let path = self.resolve(path, true)?;
        self.entry_at(&path).ok_or(FileError::NotFound)?;
        let place = self.locate(&path);
        if let Some(entry) = self.tree_for_writing(&place)?.entries.get_mut(&place.path) {
            entry.mode = mode;
        }
        Ok(())
    }
}

/// The directory that holds `path`.
#[must_use]
pub fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// The last name of a path.
#[must_use]
pub fn base_name(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

/// An absolute path without `.`, `..` and doubled slashes; a relative one is taken from `directory`.
#[must_use]
pub fn normalise(path: &str, directory: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let from = if path.starts_with('/') { "" } else { directory };
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(work: impl FnOnce(&mut FileSystem<'_>)) -> (FileTree, OrdMap<String, FileTree>) {
        let mut root = FileTree::new();
        root.put("/etc/hostname", b"web-0\n", 0o644, Time::default());
        root.put_directories("/tmp", Time::default());
        let config = FileTree::from_files([("a.txt", &b"A"[..]), ("sub/b.txt", b"B")], 0o644, Time::default());
        let mut volumes = OrdMap::from_iter([("config".to_owned(), config), ("data".to_owned(), FileTree::new())]);
        let mounts = [
            MountPoint { path: "/config".into(), volume: "config".into(), sub_path: String::new(), read_only: true },
            MountPoint { path: "/etc/one".into(), volume: "config".into(), sub_path: "a.txt".into(), read_only: true },
            MountPoint { path: "/var/data".into(), volume: "data".into(), sub_path: String::new(), read_only: false },
        ];
        work(&mut FileSystem::new(&mut root, &mut volumes, &mounts, Time::from_micros(7)));
        (root, volumes)
    }

    #[test]
    fn mounts_are_seen_and_kept_apart() {
        let (root, volumes) = mounted(|files| {
            assert_eq!(files.read("/config/sub/b.txt").unwrap().as_slice(), b"B");
            assert_eq!(files.read("/etc/one").unwrap().as_slice(), b"A");
            assert_eq!(files.list("/").unwrap(), ["config", "etc", "tmp", "var"]);
            assert_eq!(files.list("/etc").unwrap(), ["hostname", "one"]);
            assert_eq!(files.write("/config/a.txt", b"x", WriteAt::Start), Err(FileError::ReadOnly));
            files.write("/var/data/log", b"one\n", WriteAt::End).unwrap();
            files.write("/var/data/log", b"two\n", WriteAt::End).unwrap();
            assert_eq!(files.write("/nowhere/log", b"", WriteAt::End), Err(FileError::NotFound));
            assert_eq!(files.remove("/var/data"), Err(FileError::Busy));
            assert_eq!(files.written, ["data"]);
        });
        assert!(root.get("/var").is_none());
        let log = volumes["data"].get("/log").unwrap();
        assert_eq!(log.kind, FileKind::File(Arc::new(b"one\ntwo\n".to_vec()), 0));
    }

    #[test]
    fn links_lead_through_mounts_and_loops_end() {
        mounted(|files| {
            files.make_link("/tmp/c", "/config").unwrap();
            files.make_link("/tmp/d", "c/sub").unwrap();
            assert_eq!(files.read("/tmp/d/b.txt").unwrap().as_slice(), b"B");
            files.make_link("/tmp/loop", "loop").unwrap();
            assert_eq!(files.read("/tmp/loop").unwrap_err(), FileError::TooManyLinks);
            assert!(matches!(files.stat("/tmp/loop", false).unwrap().kind, FileKind::Link(_)));
        });
    }

    #[test]
    fn zeros_are_counted_not_kept() {
        let (root, _) = mounted(|files| {
            files.extend("/tmp/big", 3 << 30).unwrap();
            assert_eq!(files.stat("/tmp/big", true).unwrap().size(), 3 << 30);
            let full = vec![1; TREE_BYTES_MAX as usize];
            assert_eq!(files.write("/tmp/full", &full, WriteAt::Start), Err(FileError::NoSpace));
        });
        assert_eq!(root.usage(), (3 << 30) + 6);
    }

    #[test]
    fn directories_move_whole() {
        mounted(|files| {
            files.make_directory("/tmp/a").unwrap();
            files.write("/tmp/a/f", b"f", WriteAt::Start).unwrap();
            files.rename("/tmp/a", "/var/data/b").unwrap();
            assert_eq!(files.read("/var/data/b/f").unwrap().as_slice(), b"f");
            assert_eq!(files.stat("/tmp/a", true), Err(FileError::NotFound));
            assert_eq!(files.remove("/var/data/b"), Err(FileError::NotEmpty));
        });
    }

    #[test]
    fn paths() {
        assert_eq!(normalise("../a//./b/", "/x/y"), "/x/a/b");
        assert_eq!(normalise("/..", "/x"), "/");
        assert_eq!((parent("/a/b"), parent("/a"), base_name("/a/b/")), ("/a", "/", "b"));
    }
}
