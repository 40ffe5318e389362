//! A tree of files as a value.

use std::ops::Bound;
use std::sync::Arc;

use crate::machinery::persistent::OrdMap;

use super::{FileError, normalise, parent};
use crate::machinery::time::Time;

/// How many real bytes one tree may hold; beyond it, writing says "No space left on device".
///
/// Zeros written by `dd`, `truncate` and `fallocate` are only counted, so that gigabytes can be simulated.
pub const TREE_BYTES_MAX: u64 = 4 << 20;

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

/// Whom a file belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user's number; 0 is root.
    pub user: u32,
    /// The group's number.
    pub group: u32,
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
    /// Whom it belongs to.
    pub owner: Owner,
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

    /// The bytes of a regular file that are kept; zeros that are only counted are not among them.
    #[must_use]
    pub fn bytes(&self) -> Option<&Arc<Vec<u8>>> {
        match &self.kind {
            FileKind::File(bytes, _) => Some(bytes),
            _ => None,
        }
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
    pub(super) entries: OrdMap<Arc<str>, FileEntry>,
    /// The bytes that are kept.
    bytes: u64,
    /// What the files take, simulated zeros among them.
    pub(super) usage: u64,
    /// The permission bits of its root directory, where they are not `0o755`.
    root_mode: Option<u32>,
    /// The group that everything in it belongs to, whoever makes it: `fsGroup`.
    group: Option<u32>,
}

/// What a group may do with the files of its volume: `rwMask` of `pkg/volume/volume_linux.go`.
const GROUP_FILE_BITS: u32 = 0o660;
/// What it may do with directories, where what is made later belongs to it, too.
const GROUP_DIRECTORY_BITS: u32 = 0o2770;

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
        self.insert(&path, FileKind::File(Arc::new(bytes.to_vec()), 0), mode, Owner::default(), now);
    }

    /// Puts a symbolic link and the directories above it.
    pub fn put_link(&mut self, path: &str, target: &str, now: Time) {
        let path = normalise(path, "/");
        self.put_directories(parent(&path), now);
        self.insert(&path, FileKind::Link(target.to_owned()), 0o777, Owner::default(), now);
    }

    /// Puts a directory and those above it.
    pub fn put_directories(&mut self, path: &str, now: Time) {
        let mut at = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at.push('/');
            at.push_str(name);
            if !self.entries.contains_key(at.as_str()) {
                self.insert(&at, FileKind::Directory, 0o755, Owner::default(), now);
            }
        }
    }

    /// The entry at exactly this path, links not followed.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<FileEntry> {
        if path == "/" {
            return Some(self.root());
        }
        self.entries.get(path).cloned()
    }

    fn root(&self) -> FileEntry {
        let own = self.root_mode.unwrap_or(0o755);
        FileEntry {
            kind: FileKind::Directory,
            mode: if self.group.is_some() { own | GROUP_DIRECTORY_BITS } else { own },
            modified: Time::default(),
            owner: Owner { user: 0, group: self.group.unwrap_or(0) },
        }
    }

    /// The same tree with a root directory of these permission bits.
    #[must_use]
    pub fn with_root_mode(self, mode: u32) -> Self {
        Self { root_mode: Some(mode), ..self }
    }

    /// From now on everything in the tree belongs to a group, which may write: `SetVolumeOwnership`.
    pub fn set_group(&mut self, group: u32) {
        self.group = Some(group);
        let paths: Vec<Arc<str>> = self.entries.keys().cloned().collect();
        for path in paths {
            if let Some(entry) = self.entries.get_mut(&path) {
                entry.owner.group = group;
                match entry.kind {
                    FileKind::Directory => entry.mode |= GROUP_DIRECTORY_BITS,
                    FileKind::File(..) => entry.mode |= GROUP_FILE_BITS,
                    FileKind::Link(_) => {}
                }
            }
        }
    }

    /// The names in a directory, in order.
    #[must_use]
    pub fn names(&self, directory: &str) -> Vec<String> {
        let prefix = if directory == "/" { "/".to_owned() } else { format!("{directory}/") };
        self.entries
            .range::<str>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .take_while(|(path, _)| path.starts_with(&prefix))
            .filter_map(|(path, _)| {
                let name = &path[prefix.len()..];
                (!name.contains('/')).then(|| name.to_owned())
            })
            .collect()
    }

    /// Every file with its path, in order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.entries.iter().filter(|(_, entry)| entry.is_file()).map(|(path, entry)| (&**path, entry))
    }

    /// How many bytes its files take, simulated zeros among them: what `sizeLimit` is compared with.
    #[must_use]
    pub const fn usage(&self) -> u64 {
        self.usage
    }

    /// How many files, directories and links there are.
    #[must_use]
    pub const fn inodes(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(super) fn insert(&mut self, path: &str, kind: FileKind, mode: u32, owner: Owner, now: Time) {
        assert!(path.starts_with('/') && path.len() > 1, "not a path inside a tree: {path:?}");
        self.forget_bytes(path);
        if let FileKind::File(bytes, zeros) = &kind {
            self.bytes += bytes.len() as u64;
            self.usage = self.usage.saturating_add(bytes.len() as u64).saturating_add(*zeros);
        }
        let owner = Owner { group: self.group.unwrap_or(owner.group), ..owner };
        self.entries.insert(Arc::from(path), FileEntry { kind, mode, modified: now, owner });
    }

    pub(super) fn forget_bytes(&mut self, path: &str) {
        if let Some(FileEntry { kind: FileKind::File(bytes, zeros), .. }) = self.entries.get(path) {
            self.bytes -= bytes.len() as u64;
            self.usage = self.usage.saturating_sub(bytes.len() as u64).saturating_sub(*zeros);
        }
    }

    pub(super) fn take(&mut self, path: &str) -> Option<FileEntry> {
        self.forget_bytes(path);
        self.entries.remove(path)
    }

    pub(super) fn write(
        &mut self,
        path: &str,
        data: &[u8],
        at: WriteAt,
        writer: Owner,
        now: Time,
    ) -> Result<(), FileError> {
        let (old, zeros, mode, owner) = match self.entries.get(path) {
            Some(FileEntry { kind: FileKind::File(bytes, zeros), mode, owner, .. }) => {
                (Arc::clone(bytes), *zeros, *mode, *owner)
            }
            Some(FileEntry { kind: FileKind::Directory, .. }) => return Err(FileError::IsDirectory),
            Some(FileEntry { kind: FileKind::Link(_), .. }) => return Err(FileError::TooManyLinks),
            None => (Arc::default(), 0, 0o644, writer),
        };
        if matches!(at, WriteAt::Start) {
            self.fits(data.len() as u64)?;
            self.insert(path, FileKind::File(Arc::new(data.to_vec()), 0), mode, owner, now);
            return Ok(());
        }
        if data.is_empty() && matches!(at, WriteAt::End) && self.entries.contains_key(path) {
            // Nothing is written behind zeros, which so need not be kept.
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
        drop(self.take(path));
        let mut bytes = Arc::unwrap_or_clone(old);
        bytes.resize(kept as usize, 0);
        bytes[offset as usize..end as usize].copy_from_slice(data);
        self.insert(path, FileKind::File(Arc::new(bytes), total - kept), mode, owner, now);
        Ok(())
    }

    pub(super) fn fits(&self, more: u64) -> Result<(), FileError> {
        if self.bytes + more > TREE_BYTES_MAX { Err(FileError::NoSpace) } else { Ok(()) }
    }
}
