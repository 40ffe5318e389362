//! `kubectl cp`: files go through `tar`, which must be in the container's image.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/cp`.

use super::api::{ExecRequest, Stream};
use super::cli::{Cli, Step, Waiting};
use super::exec;
use super::failure::Failure;
use crate::machinery::shell;
use crate::node::runtime::StreamInput;

/// What archives are made of.
const BLOCK: usize = 512;
/// How deep directories are followed.
const DEPTH_MAX: usize = 40;

/// `namespace/pod:path`, `pod:path` or a path here: `fileSpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    namespace: Option<String>,
    pod: String,
    path: String,
}

impl Place {
    fn read(text: &str) -> Result<Self, Failure> {
        let local = || Self { path: text.to_owned(), ..Self::default() };
        let Some((holder, path)) = text.split_once(':') else { return Ok(local()) };
        if holder.is_empty() {
            return Err(Failure::message("filespec must match the canonical format: [[namespace/]pod:]file/path"));
        }
        let (namespace, pod) = holder.split_once('/').map_or((None, holder), |(space, pod)| (Some(space), pod));
        if pod.contains('/') {
            return Err(Failure::message("filespec must match the canonical format: [[namespace/]pod:]file/path"));
        }
        Ok(Self { namespace: namespace.map(str::to_owned), pod: pod.to_owned(), path: path.to_owned() })
    }
}

/// Files on their way.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    stream: Stream,
    /// How many pieces of its output have been seen.
    seen: u64,
    /// What came from the container so far, and where it goes: the path there and the path here.
    back: Option<(Vec<u8>, String, String)>,
    complaint: String,
}

/// Runs `kubectl cp`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let [from, to] = cli.arguments() else {
        return Err(Failure::message("source and destination are required"));
    };
    let (from, to) = (Place::read(from)?, Place::read(to)?);
    if !from.pod.is_empty() && !to.pod.is_empty() {
        return Err(Failure::message("one of src or dest must be a local file specification"));
    }
    if from.path.is_empty() || to.path.is_empty() {
        return Err(Failure::message("filepath can not be empty"));
    }
    if from.pod.is_empty() && to.pod.is_empty() {
        return Err(Failure::message("one of src or dest must be a remote file specification"));
    }
    if from.pod.is_empty() && cli.files.list(&from.path).is_none() && cli.files.read(&from.path).is_err() {
        return Err(Failure::Message(format!("{} doesn't exist in local filesystem", from.path)));
    }
    let remote = if from.pod.is_empty() { &to } else { &from };
    let namespace = remote.namespace.clone().unwrap_or_else(|| cli.namespace());
    let pod = cli.get(crate::api::Kind::Pod, &namespace, &remote.pod)?;
    let container = exec::container(cli, &pod)?;
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let request = |command, stdin| ExecRequest { pod: exec::key_of(&pod), container, command, stdin, tty: false };
    let copy = if from.pod.is_empty() {
        let (archive, directory) = packed(cli, &from.path, &to.path)?;
        let mut command = words(&["tar", "-xmf", "-"]);
        if !directory.is_empty() {
            command.extend(words(&["-C", &directory]));
        }
        let stream = cli.api.exec(&request(command, true)).map_err(exec::not_run)?;
        cli.api.stream_input(&stream, StreamInput::of_bytes(&archive));
        cli.api.stream_input(&stream, StreamInput::End);
        Copy { stream, seen: 0, back: None, complaint: String::new() }
    } else {
        let command = words(&["tar", "cf", "-", &from.path]);
        let stream = cli.api.exec(&request(command, false)).map_err(exec::not_run)?;
        Copy { stream, seen: 0, back: Some((Vec::new(), from.path, to.path)), complaint: String::new() }
    };
    copy.poll(cli)
}

impl Copy {
    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        let said = cli.api.stream_output(&self.stream, self.seen);
        self.seen = said.seen;
        for piece in said.output {
            match (&mut self.back, piece.stream) {
                (Some((archive, ..)), shell::Stream::Out) => archive.extend(piece.bytes),
                _ => self.complaint.push_str(&String::from_utf8_lossy(&piece.bytes)),
            }
        }
        if !said.ended {
            return Ok(Step::Wait(Waiting::Copy(self)));
        }
        for line in self.complaint.lines() {
            cli.complain(line);
        }
        if let Some(code) = said.exit_code.filter(|code| *code != 0) {
            return Err(Failure::Command(code));
        }
        if let Some((archive, from, to)) = self.back {
            unpack(cli, &archive, &from, &to)?;
        }
        Ok(Step::Done)
    }
}

/// The archive of a file or a directory under the name that it is to have, and the directory that it goes into.
fn packed(cli: &mut Cli<'_>, from: &str, to: &str) -> Result<(Vec<u8>, String), Failure> {
    let base = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or("").to_owned();
    // Into a directory a file goes under its own name.
    let to = if to.ends_with('/') { format!("{to}{}", base(from)) } else { to.to_owned() };
    let directory = to.rsplit_once('/').map_or("", |(directory, _)| if directory.is_empty() { "/" } else { directory });
    let mut archive = Vec::new();
    add(cli, &mut archive, from, &base(&to), 0)?;
    archive.extend([0; 2 * BLOCK]);
    Ok((archive, directory.to_owned()))
}

fn add(cli: &mut Cli<'_>, archive: &mut Vec<u8>, path: &str, name: &str, depth: usize) -> Result<(), Failure> {
    if let Some(names) = cli.files.list(path) {
        archive.extend(header(&format!("{name}/"), b'5', 0));
        for below in names.iter().filter(|_| depth < DEPTH_MAX) {
            add(cli, archive, &format!("{path}/{below}"), &format!("{name}/{below}"), depth + 1)?;
        }
        return Ok(());
    }
    let bytes = cli.files.read(path);
    let bytes = bytes.map_err(|_| Failure::Message(format!("{path} doesn't exist in local filesystem")))?;
    archive.extend(header(name, b'0', bytes.len()));
    let filled = bytes.len().next_multiple_of(BLOCK);
    archive.extend(&bytes);
    archive.extend(std::iter::repeat_n(0, filled - bytes.len()));
    Ok(())
}

/// The header of a member, as `ustar` has it.
fn header(name: &str, kind: u8, length: usize) -> Vec<u8> {
    let mut header = vec![0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name.as_bytes()[..name.len().min(100)]);
    put(100, if kind == b'5' { b"0000755" } else { b"0000644" });
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{length:011o}").as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// Writes the members of an archive below the destination, without what stands before them there.
fn unpack(cli: &mut Cli<'_>, archive: &[u8], from: &str, to: &str) -> Result<(), Failure> {
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or(&[])).into_owned();
    let prefix = from.trim_matches('/').to_owned();
    let into = cli.files.list(to).is_some().then(|| prefix.rsplit('/').next().unwrap_or("").to_owned());
    let mut rest = archive;
    while let Some((header, after)) = rest.split_at_checked(BLOCK).filter(|(header, _)| header[0] != 0) {
        let length = usize::from_str_radix(text(&header[124..136]).trim(), 8).unwrap_or(0);
        let filled = length.next_multiple_of(BLOCK).min(after.len());
        let (content, next) = after.split_at(filled);
        rest = next;
        let name = match text(&header[345..500]).as_str() {
            "" => text(&header[..100]),
            before => format!("{before}/{}", text(&header[..100])),
        };
        let below = name.trim_matches('/').strip_prefix(prefix.as_str()).unwrap_or(&name).trim_matches('/').to_owned();
        // Names that lead out of the destination are not followed.
        if matches!(header[156], b'0' | 0) && !below.split('/').any(|part| part == "..") {
            let parts = [Some(to.trim_end_matches('/').to_owned()), into.clone(), Some(below)];
            let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
            let path = parts.join("/");
            let written = cli.files.write(&path, &content[..length.min(content.len())]);
            written.map_err(|why| Failure::Message(format!("open {path}: {why}")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn places_are_read_as_upstream_reads_them() {
        let place = |text: &str| Place::read(text).map(|place| (place.namespace, place.pod, place.path));
        let of = |space: Option<&str>, pod: &str, path: &str| {
            Ok((space.map(str::to_owned), pod.to_owned(), path.to_owned()))
        };
        assert_eq!(place("/tmp/a"), of(None, "", "/tmp/a"));
        assert_eq!(place("web:/tmp/a"), of(None, "web", "/tmp/a"));
        assert_eq!(place("ns/web:a"), of(Some("ns"), "web", "a"));
        assert!(place(":a").is_err() && place("a/b/c:d").is_err());
    }
}
