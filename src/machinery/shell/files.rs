//! Simulated files: a tree of paths as a value, and the file system that a container sees through its mounts.
//!
//! Paths are absolute and normalised (`/a/b`, the root is `/`). A tree is a persistent map: copying it is cheap, and
//! copies share every file that neither has changed.

mod tree;
mod view;

use std::fmt;

pub use tree::{FileEntry, FileKind, FileTree, Owner, TREE_BYTES_MAX, WriteAt};
pub use view::{FileSystem, MountPoint};

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
    use std::sync::Arc;

    use crate::machinery::persistent::OrdMap;

    use super::*;
    use crate::machinery::time::Time;

    fn mounted(work: impl FnOnce(&mut FileSystem<'_>)) -> (FileTree, OrdMap<String, FileTree>) {
        let mut root = FileTree::new();
        root.put("/etc/hostname", b"web-0\n", 0o644, Time::default());
        root.put_directories("/tmp", Time::default());
        let config = FileTree::from_files([("a.txt", &b"A"[..]), ("sub/b.txt", b"B")], 0o644, Time::default());
        let mut volumes = OrdMap::from_iter([("config".to_owned(), config), ("data".to_owned(), FileTree::new())]);
        let mounts = [
            MountPoint {
                path: "/config".into(),
                volume: "config".into(),
                sub_path: String::new(),
                read_only: true,
                in_memory: None,
            },
            MountPoint {
                path: "/etc/one".into(),
                volume: "config".into(),
                sub_path: "a.txt".into(),
                read_only: true,
                in_memory: None,
            },
            MountPoint {
                path: "/var/data".into(),
                volume: "data".into(),
                sub_path: String::new(),
                read_only: false,
                in_memory: None,
            },
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
