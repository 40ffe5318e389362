//! Images: whether one is there, whether it may be pulled, and when a pull that failed may be tried again.
//!
//! `pkg/kubelet/images/image_manager.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ImageVolumeSource, Pod};

use crate::api::Resource;
use crate::client::Client;
use crate::machinery::time::Time;
use crate::node::runtime::{ImageReference, ImageStatus};

use super::backoff::{Backoff, go_duration};
use super::container_status::StartFailure;
use super::events::{self, Normal, Warning};
use super::kuberuntime::KubeRuntime;

/// The first wait after a pull that failed.
const BACKOFF_BASE: Duration = Duration::from_secs(10);
/// The longest wait after a pull that failed: `MaxImageBackOff`.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// Who needs an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The container that is made from it; nothing for one that is a volume.
    container: &'a str,
    /// As the pod names it.
    image: &'a str,
    policy: &'a str,
}

impl<'a> Wanted<'a> {
    pub(super) fn by_container(container: &'a Container) -> Self {
        Self {
            container: &container.name,
            image: container.image.as_deref().unwrap_or(""),
            policy: container.image_pull_policy.as_deref().unwrap_or("IfNotPresent"),
        }
    }

    pub(super) fn by_volume(source: &'a ImageVolumeSource) -> Self {
        Self {
            container: "",
            image: source.reference.as_deref().unwrap_or(""),
            policy: source.pull_policy.as_deref().unwrap_or("IfNotPresent"),
        }
    }
}

/// The kubelet's image manager.
#[derive(Clone, Debug)]
pub(super) struct ImageManager {
    backoff: Backoff,
    /// Images are pulled one after another (`serializeImagePulls`): when the last pull so far ends.
    busy_until: Time,
    /// Why the last pull of a pod's image failed (`prevPullErrMsg`), by the key of its back-off.
    errors: BTreeMap<String, String>,
}

/// A pull on its way.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    /// When it ends.
    pub until: Time,
    asked_at: Time,
    began_at: Time,
    answer: Result<ImageStatus, String>,
}

/// What there is to do before a container can be created.
#[derive(Clone, Debug)]
pub(super) enum Ensure {
    /// The image is there.
    Present,
    /// It is being pulled.
    Pulling(Pull),
    /// It cannot be had now, and when to try again if that is known.
    Failed(StartFailure, Option<Time>),
}

impl ImageManager {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(BACKOFF_BASE, BACKOFF_MAX), busy_until: Time::default(), errors: BTreeMap::new() }
    }

    /// Forgets the failed pulls of a pod that is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        let prefix = format!("{uid}_");
        self.backoff.forget(&prefix);
        self.errors.retain(|key, _| !key.starts_with(&prefix));
    }

    /// `EnsureImageExists` up to the pull.
    pub(super) fn ensure(
        &mut self,
        pod: &Pod,
        wanted: Wanted<'_>,
        runtime: &mut KubeRuntime,
        client: &mut Client<'_>,
    ) -> Ensure {
        let asked = wanted.image;
        let tell = |client: &mut Client<'_>, kind, reason: &str, message: &str| {
            events::about_container(client, pod, wanted.container, kind, reason, message);
        };
        if let Err(error) = ImageReference::parse(asked) {
            let message = format!("Failed to apply default image tag {asked:?}: {error}");
            tell(client, Warning, "InspectFailed", &message);
            return Ensure::Failed(StartFailure { reason: "InvalidImageName", message }, None);
        }
        let image = with_default_tag(asked);
        let present = runtime.image(&image).is_some();
        match present {
            true if wanted.policy != "Always" => {
                let message =
                    format!("Container image {asked:?} already present on machine and can be accessed by the pod");
                tell(client, Normal, "Pulled", &message);
                return Ensure::Present;
            }
            false if wanted.policy == "Never" => {
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
            // The event is always the same, the status tells more.
            let message = match self.errors.get(&key) {
                Some(error) => format!("{message}: ErrImagePull: {error}"),
                None => message,
            };
            return Ensure::Failed(StartFailure { reason: "ImagePullBackOff", message }, Some(until));
        }
        tell(client, Normal, "Pulling", &format!("Pulling image {asked:?}"));
        let began_at = client.now.max(self.busy_until);
        let (ends, answer) = match runtime.pull(&image, began_at) {
            Ok(pulling) => (pulling.ends, pulling.result),
            Err(error) => (began_at, Err(error)),
        };
        self.busy_until = ends;
        Ensure::Pulling(Pull { until: ends, asked_at: client.now, began_at, answer })
    }

    /// `EnsureImageExists` from the pull on.
    pub(super) fn pulled(
        &mut self,
        pod: &Pod,
        wanted: Wanted<'_>,
        pull: &Pull,
        client: &mut Client<'_>,
    ) -> Result<(), StartFailure> {
        let asked = wanted.image;
        match &pull.answer {
            Ok(record) => {
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
                events::about_container(client, pod, wanted.container, Normal, "Pulled", &message);
                self.errors.remove(&format!("{}_{asked}", pod.uid()));
                Ok(())
            }
            Err(error) => {
                let message = format!("Failed to pull image {asked:?}: {error}");
                events::about_container(client, pod, wanted.container, Warning, "Failed", &message);
                let key = format!("{}_{asked}", pod.uid());
                self.backoff.next(&key, client.now, client.now);
                self.errors.insert(key, error.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tag() {
        assert_eq!(with_default_tag("ghcr.io:443/a"), "ghcr.io:443/a:latest");
        assert_eq!(with_default_tag("nginx:1"), "nginx:1");
    }
}
