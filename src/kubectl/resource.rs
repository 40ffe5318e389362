//! The names that kinds go by, and what a resource is called in kubectl's sentences.

use super::failure::Failure;
use crate::api::Kind;

/// The kind that a word means: plural, singular or short name, `KIND.GROUP` or `KIND.VERSION.GROUP`.
pub(super) fn kind_of(word: &str) -> Result<Kind, Failure> {
    let lower = word.to_lowercase();
    let (resource, rest) = lower.split_once('.').unwrap_or((&lower, ""));
    let fits = |kind: &&Kind| {
        let info = kind.info();
        let (version, group) = rest.split_once('.').unwrap_or((rest, ""));
        rest.is_empty()
            || rest == info.group && !info.group.is_empty()
            || version == info.version && group == info.group
    };
    let named = |kind: &&Kind| {
        let info = kind.info();
        resource == info.plural || resource == info.singular || info.short_names.contains(&resource)
    };
    Kind::ALL.iter().filter(named).find(fits).copied().ok_or_else(|| no_such_type(resource))
}

fn no_such_type(resource: &str) -> Failure {
    Failure::Message(format!("the server doesn't have a resource type {resource:?}"))
}

/// The kinds that a comma-separated list of words means; `all` and other categories are several.
pub(super) fn kinds_of(words: &str) -> Result<Vec<Kind>, Failure> {
    let mut kinds = Vec::new();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        let category: Vec<Kind> =
            Kind::ALL.iter().filter(|kind| kind.info().categories.contains(&word)).copied().collect();
        if category.is_empty() {
            kinds.push(kind_of(word)?);
        } else {
            kinds.extend(category);
        }
    }
    Ok(kinds)
}

/// `deployment.apps`: the kind with its group, as in `deployment.apps/web created`.
pub(super) fn printed(kind: Kind) -> String {
    let info = kind.info();
    if info.group.is_empty() { info.singular.to_owned() } else { format!("{}.{}", info.singular, info.group) }
}

/// `deployments.apps "web"`: how sentences name an object.
pub(super) fn quoted(kind: Kind, name: &str) -> String {
    format!("{} {name:?}", kind.resource())
}
