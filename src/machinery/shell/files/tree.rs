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
            if !self.entries.contains_key(at.as_str()) {
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

    pub(super) fn insert(&mut self, path: &str, kind: FileKind, mode: u32, now: Time) {
        assert!(path.starts_with('/') && path.len() > 1, "not a path inside a tree: {path:?}");
        self.forget_bytes(path);
        if let FileKind::File(bytes, zeros) = &kind {
            self.bytes += bytes.len() as u64;
            self.usage = self.usage.saturating_add(bytes.len() as u64).saturating_add(*zeros);
        }
        self.entries.insert(Arc::from(path), FileEntry { kind, mode, modified: now });
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

    pub(super) fn write(&mut self, path: &str, data: &[u8], at: WriteAt, now: Time) -> Result<(), FileError> {
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
        self.insert(path, FileKind::File(Arc::new(bytes), total - kept), mode, now);
        Ok(())
    }

    pub(super) fn fits(&self, more: u64) -> Result<(), FileError> {
        if self.bytes + more > TREE_BYTES_MAX { Err(FileError::NoSpace) } else { Ok(()) }
    }
}
