//! Names of images: `nginx`, `registry.example:5000/team/app:1.2`, `busybox@sha256:…`.
//!
//! Follows `github.com/distribution/reference`, which the kubelet asks before it pulls.

use std::fmt;

/// A name of an image, completed as the kubelet and the runtime complete it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageReference {
    /// The registry: `docker.io` when none is given.
    pub registry: String,
    /// The path below the registry: `library/nginx`.
    pub repository: String,
    /// The tag: `latest` when neither tag nor digest is given.
    pub tag: Option<String>,
    /// The digest, if one is given: `sha256:…`.
    pub digest: Option<String>,
}

/// How long a name may be, without tag and digest.
const NAME_LENGTH_MAX: usize = 255;

impl ImageReference {
    /// Reads a name.
    ///
    /// # Errors
    /// The kubelet's text for a name that is none, which it reports as `InvalidImageName`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("couldn't parse image name {text:?}: invalid reference format{why}"));
        // Letters are looked at first, even when there is more that is wrong.
        let (registry, rest) = split_registry(text);
        let rest =
            if registry == "docker.io" && !rest.contains('/') { format!("library/{rest}") } else { rest.to_owned() };
        let remote = rest.split(':').next().unwrap_or(&rest);
        if remote.chars().any(char::is_uppercase) {
            return refuse(&format!(": repository name ({remote}) must be lowercase"));
        }
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse("");
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return refuse("");
        }
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[slash..].rfind(':') {
            Some(at) => (&rest[..slash + at], Some(&rest[slash + at + 1..])),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return refuse("");
        }
        let (registry, path) = split_registry(name);
        let repository =
            if registry == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if !repository.split('/').all(is_component) || !is_domain(registry) || name.len() > NAME_LENGTH_MAX {
            return refuse("");
        }
        let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { registry: registry.to_owned(), repository, tag, digest: digest.map(str::to_owned) })
    }

    /// Registry and repository: `docker.io/library/nginx`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for ImageReference {
    /// The full name: `docker.io/library/nginx:latest`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The first part of a name is a registry if it looks like a host.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            let registry = if first == "index.docker.io" { "docker.io" } else { first };
            (registry, rest)
        }
        _ => ("docker.io", name),
    }
}

/// Letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_component(part: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joints = part.split(is_letter).filter(|joint| !joint.is_empty());
    part.starts_with(is_letter)
        && part.ends_with(is_letter)
        && joints.into_iter().all(|joint| matches!(joint, "." | "_" | "__") || joint.chars().all(|c| c == '-'))
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.split_once(':').unwrap_or((domain, "1"));
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c == '-' || c.is_ascii_alphanumeric())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(is_label) && !port.is_empty() && port.chars().all(|c| c.is_ascii_digit())
}

fn is_tag(tag: &str) -> bool {
    let is_letter = |c: char| c == '_' || c.is_ascii_alphanumeric();
    tag.starts_with(is_letter) && tag.len() <= 128 && tag.chars().all(|c| is_letter(c) || c == '.' || c == '-')
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let is_hex = hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        is_component(algorithm) && is_hex && (algorithm != "sha256" || hex.len() == 64) && hex.len() >= 32
    })
}

/// 256 bits that follow from a text, in hexadecimal: the digests of simulated images. They are no real hash.
#[must_use]
pub(super) fn digest_of(text: &str) -> String {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let mut random = crate::machinery::random::Random::new(state);
    (0..4).map(|_| format!("{:016x}", random.next_u64())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed() {
        let long = format!("x@sha256:{}", "0".repeat(64));
        for (text, full) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.25", "docker.io/library/nginx:1.25"),
            ("bitnami/redis", "docker.io/bitnami/redis:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("reg.example:5000/a/b", "reg.example:5000/a/b:latest"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
            (&long, &format!("docker.io/library/{long}")),
            ("a__b/c-d.e_f", "docker.io/a__b/c-d.e_f:latest"),
        ] {
            assert_eq!(ImageReference::parse(text).unwrap().to_string(), full, "{text}");
        }
    }

    #[test]
    fn what_is_no_name() {
        for text in [
            "",
            " nginx",
            "nginx:",
            "nginx:a b",
            "a//b",
            "-a",
            "a:",
            ":a",
            "x@sha256:12",
            "a..b",
            "a___b",
            "nginx:1.25:2",
        ] {
            assert!(ImageReference::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            ImageReference::parse("Nginx").unwrap_err(),
            "couldn't parse image name \"Nginx\": invalid reference format: repository name (library/Nginx) must be lowercase"
        );
    }

    #[test]
    fn digests_differ() {
        assert_eq!(digest_of("a").len(), 64);
        assert_ne!(digest_of("a"), digest_of("b"));
    }
}
