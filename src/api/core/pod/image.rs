//! What an image's name says about pulling it. Follows `k8s.io/kubernetes/pkg/util/parsers`.

/// The pull policy of a container that names none: `latest`, written or meant, is pulled always.
pub(super) fn default_pull_policy(image: &str) -> &'static str {
    if tag(image) == Some("latest") { "Always" } else { "IfNotPresent" }
}

/// Whether a name is one that an image can have.
#[must_use]
pub fn is_reference(image: &str) -> bool {
    parts(image).is_some()
}

/// The tag, `latest` when there is neither tag nor digest; `None` with a digest only or when the name makes no sense.
fn tag(image: &str) -> Option<&str> {
    match parts(image)? {
        (None, Some(_)) => None,
        (tag, _) => Some(tag.unwrap_or("latest")),
    }
}

/// Tag and digest; `None` when the name makes no sense.
fn parts(image: &str) -> Option<(Option<&str>, Option<&str>)> {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last_begins = name.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match name[last_begins..].split_once(':') {
        Some((last, tag)) => (&name[..last_begins + last.len()], Some(tag)),
        None => (name, None),
    };
    let valid = is_repository(repository) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    valid.then_some((tag, digest))
}

/// Components of lower-case letters, digits and separators, after an optional registry.
fn is_repository(name: &str) -> bool {
    let path = match name.split_once('/') {
        Some((registry, path)) if registry.contains(['.', ':']) || registry == "localhost" => path,
        _ => name,
    };
    path.split('/').all(is_component)
}

fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(&first), Some(&last)) => {
            alphanumeric(first)
                && alphanumeric(last)
                && bytes.iter().all(|&byte| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-'))
        }
        _ => false,
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_is_pulled_always() {
        let digest = format!("x@sha256:{}", "0".repeat(64));
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("reg.example:5000/a/b", "Always"),
            ("reg.example:5000/a/b:v1", "IfNotPresent"),
            (digest.as_str(), "IfNotPresent"),
            ("", "IfNotPresent"),
            ("Upper", "IfNotPresent"),
        ] {
            assert_eq!(default_pull_policy(image), policy, "{image}");
        }
    }
}
