//! Images on a node: pulling, listing, removing.

use std::sync::Arc;
use std::time::Duration;

use super::catalogue::{Catalogue, ImageDefinition};
use super::profile::PullTime;
use super::reference::{ImageReference, digest_of};
use super::{Runtime, RuntimeEvent};
use crate::machinery::shell::files::FileTree;
use crate::machinery::time::Time;

/// The number of a pull.
pub type PullId = u64;

/// Words that make a name one that no registry knows.
const ABSENT_WORDS: [&str; 4] = ["doesnotexist", "nonexist", "missing", "invalid"];

/// How much longer than planned a pull by size may take, in percent.
const PULL_JITTER_PERCENT: u32 = 30;

/// An image on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageStatus {
    /// Its identity: `sha256:…`.
    pub id: String,
    /// Names with tags.
    pub tags: Vec<String>,
    /// Names with digests.
    pub digests: Vec<String>,
    /// What the runtime tells of its size, in bytes: containerd tells what a pull moves.
    pub size: u64,
    /// The user that its program runs as; 0 is root.
    pub user: i64,
}

impl ImageStatus {
    /// The identity that a container's status shows: a name with a digest.
    #[must_use]
    pub fn reference(&self) -> &str {
        self.digests.first().unwrap_or(&self.id)
    }
}

/// A pull that is under way.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    pub image: String,
    pub reference: ImageReference,
    pub started: Time,
    pub ends: Time,
    pub result: Result<(), String>,
}

/// A pull that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulling {
    /// When it ends.
    pub ends: Time,
    /// What will come of it: the image, or the registry's refusal.
    pub result: Result<ImageStatus, String>,
}

/// What came of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The image.
    pub image: ImageStatus,
    /// How long it took.
    pub took: Duration,
}

fn bytes(megabytes: f64) -> u64 {
    (megabytes.max(0.0) * 1_000_000.0) as u64
}

impl Runtime {
    /// Begins to pull an image now, or later when the kubelet waits for another pull first. `RuntimeEvent::ImagePulled`
    /// tells when it came to what is foreseen here.
    ///
    /// # Errors
    /// When the name is none; the kubelet reports the text as `InvalidImageName`.
    pub fn pull_image(&mut self, image: &str, begins: Time) -> Result<Pulling, String> {
        let reference = ImageReference::parse(image)?;
        let result = self.find_in_registry(image, &reference);
        let (definition, _) = Catalogue::builtin().find(&reference);
        let takes = match self.profile.pull {
            PullTime::Fixed(takes) => takes,
            PullTime::BySize { latency, bytes_per_second } => {
                let known = self.has_image(&reference) || self.is_pulling(&reference, begins);
                let moved = if result.is_ok() && !known { bytes(definition.size) } else { 0 };
                let micros = u128::from(moved) * 1_000_000 / u128::from(bytes_per_second.max(1));
                let takes = latency + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
                self.random.jitter(takes, PULL_JITTER_PERCENT)
            }
        };
        self.next_number += 1;
        let ends = begins + takes;
        let foreseen = result.clone().map(|()| describe(&reference, &definition));
        let pull = Pull { image: image.to_owned(), reference, started: begins, ends, result };
        self.pulls.insert(self.next_number, pull);
        Ok(Pulling { ends, result: foreseen })
    }

    /// Whether an image will be there at a time by a pull that is under way.
    fn is_pulling(&self, reference: &ImageReference, at: Time) -> bool {
        let mut pulls = self.pulls.values();
        pulls.any(|pull| pull.result.is_ok() && pull.ends <= at && pull.reference == *reference)
    }

    /// The runtime's text when a registry does not give an image.
    fn find_in_registry(&self, image: &str, reference: &ImageReference) -> Result<(), String> {
        let failed = |name: &str, code: &str, why: &str| {
            Err(format!(
                "rpc error: code = {code} desc = failed to pull and unpack image \"{name}\": failed to resolve reference \"{name}\": {why}"
            ))
        };
        if ABSENT_WORDS.iter().any(|word| image.contains(word)) || reference.tag.as_deref() == Some("404") {
            return failed(image, "NotFound", &format!("{image}: not found"));
        }
        let full = reference.to_string();
        // Names that are reserved for documents stand for registries that are not there.
        let is_reserved =
            [".example.com", ".example", ".invalid", ".test"].iter().any(|end| reference.registry.ends_with(end));
        if is_reserved && !self.profile.answers_everywhere {
            let host = &reference.registry;
            let tag = reference.tag.as_deref().or(reference.digest.as_deref()).unwrap_or("latest");
            let url = format!("https://{host}/v2/{}/manifests/{tag}", reference.repository);
            let why =
                format!("failed to do request: Head \"{url}\": dial tcp: lookup {host} on 10.0.0.2:53: no such host");
            return failed(&full, "Unknown", &why);
        }
        let is_cut_off = |pattern: &String| *pattern == image || *pattern == full || *pattern == reference.registry;
        if self.unpullable.iter().any(is_cut_off) {
            let host = if reference.registry == "docker.io" { "registry-1.docker.io" } else { &reference.registry };
            let tag = reference.tag.as_deref().or(reference.digest.as_deref()).unwrap_or("latest");
            let url = format!("https://{host}/v2/{}/manifests/{tag}", reference.repository);
            return failed(
                &full,
                "Unavailable",
                &format!("failed to do request: Head \"{url}\": dial tcp: connect: connection refused"),
            );
        }
        if Catalogue::builtin().is_absent(reference) {
            return failed(
                &full,
                "Unknown",
                "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            );
        }
        if !Catalogue::builtin().exists(reference) {
            return failed(&full, "NotFound", &format!("{full}: not found"));
        }
        Ok(())
    }

    /// Puts an image on the node without a pull, as a node that had pods before.
    ///
    /// # Errors
    /// When the name is none.
    pub fn preload_image(&mut self, image: &str) -> Result<ImageStatus, String> {
        let reference = ImageReference::parse(image)?;
        Ok(self.add_image(&reference))
    }

    /// The files that are in an image; nothing when the name is none.
    #[must_use]
    pub fn image_files(image: &str) -> Option<FileTree> {
        let reference = ImageReference::parse(image).ok()?;
        Some(Catalogue::builtin().find(&reference).0.root().clone())
    }

    fn add_image(&mut self, reference: &ImageReference) -> ImageStatus {
        let (definition, _) = Catalogue::builtin().find(reference);
        let status = describe(reference, &definition);
        self.images.insert(reference.to_string(), Arc::new(status.clone()));
        status
    }

    fn has_image(&self, reference: &ImageReference) -> bool {
        self.images.contains_key(&reference.to_string())
    }

    /// An image that is on the node.
    #[must_use]
    pub fn image_status(&self, image: &str) -> Option<ImageStatus> {
        let reference = ImageReference::parse(image).ok()?;
        self.images.get(&reference.to_string()).map(|status| ImageStatus::clone(status))
    }

    /// Every image on the node, by name.
    pub fn images(&self) -> impl Iterator<Item = &ImageStatus> {
        self.images.values().map(Arc::as_ref)
    }

    /// Removes an image; whether it was there.
    pub fn remove_image(&mut self, image: &str) -> bool {
        let Ok(reference) = ImageReference::parse(image) else {
            return false;
        };
        self.images.remove(&reference.to_string()).is_some()
    }

    /// Lets an image, or a whole registry, become impossible to pull, or possible again. Pulls that are under way are
    /// not touched.
    pub fn set_unpullable(&mut self, image_or_registry: &str, unpullable: bool) {
        self.unpullable.retain(|held| held != image_or_registry);
        if unpullable {
            self.unpullable.push(image_or_registry.to_owned());
        }
    }

    /// Lets the pulls end that are due.
    pub fn finish_pulls(&mut self, now: Time) {
        let ended: Vec<PullId> = self.pulls.iter().filter(|(_, pull)| pull.ends <= now).map(|(id, _)| *id).collect();
        for id in ended {
            let Some(pull) = self.pulls.remove(&id) else {
                continue;
            };
            let took = pull.ends.since(pull.started);
            let result = pull.result.map(|()| Pulled { image: self.add_image(&pull.reference), took });
            self.events.push(RuntimeEvent::ImagePulled { pull: id, image: pull.image, result });
        }
    }
}

fn describe(reference: &ImageReference, definition: &ImageDefinition) -> ImageStatus {
    let full = reference.to_string();
    let digest = reference.digest.clone().unwrap_or_else(|| format!("sha256:{}", digest_of(&full)));
    ImageStatus {
        id: format!("sha256:{}", digest_of(&format!("config of {digest}"))),
        tags: reference.tag.iter().map(|_| full.clone()).collect(),
        digests: vec![format!("{}@{digest}", reference.name())],
        size: bytes(definition.size),
        user: definition.user,
    }
}
