//! The files as one container sees them.

use std::sync::Arc;

use crate::machinery::order::Order as _;
use crate::machinery::persistent::OrdMap;

use super::{FileEntry, FileError, FileKind, FileTree, Owner, TREE_BYTES_MAX, WriteAt, normalise, parent};
use crate::machinery::time::Time;

/// How many symbolic links may follow one another, as in Linux.
const LINKS_MAX: usize = 40;

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
    /// How many bytes it takes at most when it lies in memory: a `tmpfs`. Nothing for one that lies on a disk.
    pub in_memory: Option<u64>,
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
    /// Whom what is made through this view belongs to.
    owner: Owner,
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
        Self { root, volumes, mounts, now, written: Vec::new(), root_read_only: false, owner: Owner::default() }
    }

    /// As `securityContext.readOnlyRootFilesystem`.
    #[must_use]
    pub fn with_read_only_root(mut self, read_only: bool) -> Self {
        self.root_read_only = read_only;
        self
    }

    /// The files as somebody sees them to whom belongs what is made.
    #[must_use]
    pub const fn owned_by(mut self, owner: Owner) -> Self {
        self.owner = owner;
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
                let (mode, owner) = (0o755, Owner::default());
                Some(FileEntry { kind: FileKind::Directory, mode, modified: Time::default(), owner })
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
        names.order();
        names.dedup();
        Ok(names)
    }

    /// Whether nothing can be written below a path.
    #[must_use]
    pub fn is_read_only(&self, path: &str) -> bool {
        match self.locate(path).mount {
            Some(index) => self.mounts[index].read_only,
            None => self.root_read_only,
        }
    }

    /// How much more can be written at a path, if that lies in memory.
    #[must_use]
    pub fn room(&self, path: &str) -> Option<u64> {
        let place = self.locate(path);
        let size = place.mount.and_then(|index| self.mounts[index].in_memory)?;
        Some(size.saturating_sub(self.tree(&place).map_or(0, FileTree::usage)))
    }

    /// Whether so much more has room in memory, if that is where it goes.
    fn fits_in_memory(&self, place: &Place, more: u64) -> Result<(), FileError> {
        let size = place.mount.and_then(|index| self.mounts[index].in_memory);
        let used = self.tree(place).map_or(0, FileTree::usage);
        if size.is_some_and(|size| used.saturating_add(more) > size) { Err(FileError::NoSpace) } else { Ok(()) }
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
        let (place, now, owner) = (self.locate(&path), self.now, self.owner);
        if place.path == "/" {
            return Err(FileError::IsDirectory);
        }
        self.fits_in_memory(&place, data.len() as u64)?;
        self.tree_for_writing(&place)?.write(&place.path, data, at, owner, now)
    }

    /// Makes a file `zeros` longer, without keeping the zeros.
    ///
    /// # Errors
    /// As `write`.
    pub fn extend(&mut self, path: &str, zeros: u64) -> Result<(), FileError> {
        self.write(path, b"", WriteAt::End)?;
        let path = self.resolve(path, true)?;
        let place = self.locate(&path);
        self.fits_in_memory(&place, zeros)?;
        let tree = self.tree_for_writing(&place)?;
        if let Some(entry) = tree.entries.get_mut(place.path.as_str())
            && let FileKind::File(_, counted) = &mut entry.kind
        {
            *counted = counted.saturating_add(zeros);
            tree.usage = tree.usage.saturating_add(zeros);
        }
        Ok(())
    }

    fn create(&mut self, path: &str, kind: FileKind, mode: u32) -> Result<(), FileError> {
        let path = self.resolve(path, false)?;
        if self.entry_at(&path).is_some() {
            return Err(FileError::Exists);
        }
        self.check_parent(&path)?;
        let (place, now, owner) = (self.locate(&path), self.now, self.owner);
        self.tree_for_writing(&place)?.insert(&place.path, kind, mode, owner, now);
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
        self.tree_for_writing(&target)?.insert(&target.path, entry.kind, entry.mode, entry.owner, entry.modified);
        let source = self.locate(&from);
        self.tree_for_writing(&source)?.take(&source.path);
        Ok(())
    }

    /// Gives a file or directory to somebody else: the user, the group, or both.
    ///
    /// # Errors
    /// When it is missing or read-only.
    pub fn set_owner(&mut self, path: &str, user: Option<u32>, group: Option<u32>) -> Result<(), FileError> {
        let path = self.resolve(path, true)?;
        self.entry_at(&path).ok_or(FileError::NotFound)?;
        let place = self.locate(&path);
        if let Some(entry) = self.tree_for_writing(&place)?.entries.get_mut(place.path.as_str()) {
            entry.owner.user = user.unwrap_or(entry.owner.user);
            entry.owner.group = group.unwrap_or(entry.owner.group);
        }
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
        if let Some(entry) = self.tree_for_writing(&place)?.entries.get_mut(place.path.as_str()) {
            entry.mode = mode;
        }
        Ok(())
    }
}
