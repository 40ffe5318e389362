//! Images: whether one is there, whether it may be pulled, and when a pull that failed may be tried again.
//!
//! `pkg/kubelet/images/image_manager.go`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::api::Resource;
use crate::client::Client;
use crate::machinery::time::Time;

use super::backoff::{Backoff, go_duration};
use super::container_status::StartFailure;
use super::events::{self, Normal, Warning};
use super::machine::{ImageRecord, Machine};

/// The first wait after a pull that failed.
const BACKOFF_BASE: Duration = Duration::from_secs(10);
/// The longest wait after a pull that failed: `MaxImageBackOff`.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// The kubelet's image manager.
#[derive(Clone, Debug)]
pub(super) struct ImageManager {
    backoff: Backoff,
    /// Images are pulled one after another (`serializeImagePulls`): when the last pull so far ends.
    busy_until: Time,
}

/// A pull on its way.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    pub image: String,
    /// When it ends.
    pub until: Time,
    asked_at: Time,
    began_at: Time,
    answer: Result<ImageRecord, String>,
}

/// What there is to do before a container can be created.
#[derive(Clone, Debug)]
pub(super) enum Ensure {
    /// The image is there: its reference.
    Present(String),
    /// It is being pulled.
    Pulling(Pull),
    /// It cannot be had now, and when to try again if that is known.
    Failed(StartFailure, Option<Time>),
}

impl ImageManager {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(BACKOFF_BASE, BACKOFF_MAX), busy_until: Time::default() }
    }

    /// Forgets the failed pulls of a pod that is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        self.backoff.forget(&format!("{uid}_"));
    }

    /// `EnsureImageExists` up to the pull.
    pub(super) fn ensure(
        &mut self,
        pod: &Pod,
        container: &Container,
        machine: &Machine,
        client: &mut Client<'_>,
    ) -> Ensure {
        let asked = container.image.as_deref().unwrap_or("");
        let tell = |client: &mut Client<'_>, kind, reason: &str, message: &str| {
            events::about_container(client, pod, &container.name, kind, reason, message);
        };
        if !is_reference(asked) {
            let message = format!(
                "Failed to apply default image tag {asked:?}: couldn't parse image name {asked:?}: invalid reference \
                 format"
            );
            tell(client, Warning, "InspectFailed", &message);
            return Ensure::Failed(StartFailure { reason: "InvalidImageName", message }, None);
        }
        let image = with_default_tag(asked);
        let present = machine.image(&image);
        let policy = container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
        match present {
            Some(record) if policy != "Always" => {
                let message =
                    format!("Container image {asked:?} already present on machine and can be accessed by the pod");
                tell(client, Normal, "Pulled", &message);
                return Ensure::Present(record.image_ref.clone());
            }
            None if policy == "Never" => {
                let message = format!("Container image {asked:?} is not present with pull policy of Never");
                tell(client, Warning, "ErrImageNeverPull", &message);
                return Ensure::Failed(StartFailure { reason: "ErrImageNeverPull", message }, None);
            }
            _ => {}
        }
        let key = format!("{}_{asked}", pod.uid());
        if let Some(until) = self.backoff.until_since_update(&key, client.now) {
            let message = format!("Back-off pulling image {asked:?}");
            tell(client, Normal, "BackOff", &message);
            return Ensure::Failed(StartFailure { reason: "ImagePullBackOff", message }, Some(until));
        }
        tell(client, Normal, "Pulling", &format!("Pulling image {asked:?}"));
        let (time, answer) = machine.pull(&image);
        let began_at = client.now.max(self.busy_until);
        self.busy_until = began_at + time;
        Ensure::Pulling(Pull { image, until: self.busy_until, asked_at: client.now, began_at, answer })
    }

    /// `EnsureImageExists` from the pull on: the image's reference.
    pub(super) fn pulled(
        &mut self,
        pod: &Pod,
        container: &Container,
        pull: &Pull,
        machine: &mut Machine,
        client: &mut Client<'_>,
    ) -> Result<String, StartFailure> {
        let asked = container.image.as_deref().unwrap_or("");
        match &pull.answer {
            Ok(record) => {
                machine.add_image(&pull.image, record.clone());
                let rounded = |since: Time| {
                    let millis = u64::try_from(pull.until.since(since).as_millis()).unwrap_or(u64::MAX);
                    go_duration(Duration::from_millis(millis))
                };
                let message = format!(
                    "Successfully pulled image {asked:?} in {} ({} including waiting). Image size: {} bytes.",
                    rounded(pull.began_at),
                    rounded(pull.asked_at),
                    record.size,
                );
                events::about_container(client, pod, &container.name, Normal, "Pulled", &message);
                Ok(record.image_ref.clone())
            }
            Err(error) => {
                let message = format!("Failed to pull image {asked:?}: {error}");
                events::about_container(client, pod, &container.name, Warning, "Failed", &message);
                self.backoff.next(&format!("{}_{asked}", pod.uid()), client.now, client.now);
                Err(StartFailure { reason: "ErrImagePull", message: error.clone() })
            }
        }
    }
}

/// The image with the tag `latest` when it names neither tag nor digest: `applyDefaultImageTag`.
pub(super) fn with_default_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') || last.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}

/// Whether a text is an image reference: `[domain[:port]/]path[:tag][@digest]`, the path in small letters.
fn is_reference(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match name[slash..].split_once(':') {
        Some((last, tag)) => (&name[..slash + last.len()], Some(tag)),
        None => (name, None),
    };
    let tag_is_valid = tag.is_none_or(|tag| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (1..=128).contains(&tag.len()) && tag.starts_with(word) && tag.chars().all(|c| word(c) || c == '.' || c == '-')
    });
    let digest_is_valid = digest.is_none_or(|digest| {
        digest.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty() && hex.len() >= 32 && hex.chars().all(|c| c.is_ascii_hexdigit())
        })
    });
    let mut parts = path.split('/').peekable();
    let first = parts.peek().copied().unwrap_or("");
    let has_domain = path.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    if has_domain {
        parts.next();
    }
    let part_is_valid = |part: &str| {
        let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(small)
            && part.ends_with(small)
            && part.chars().all(|c| small(c) || matches!(c, '.' | '_' | '-'))
    };
    tag_is_valid && digest_is_valid && parts.all(part_is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for good in [
            "nginx",
            "nginx:1.25",
            "ghcr.io/a/b-c:v1",
            "localhost:5000/x",
            "a/b@sha256:0123456789abcdef0123456789abcdef",
        ] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", "Nginx", "nginx:", "nginx:a b", "a//b", "nginx@sha256:1", "/nginx", "-x"] {
            assert!(!is_reference(bad), "{bad}");
        }
        assert_eq!(with_default_tag("ghcr.io:443/a"), "ghcr.io:443/a:latest");
        assert_eq!(with_default_tag("nginx:1"), "nginx:1");
    }
}
