//! The names that kinds go by, and what a resource is called in kubectl's sentences.

use super::api::Api;
use super::failure::Failure;
use crate::api::Kind;

/// Every kind that is served.
fn all_kinds(api: &dyn Api) -> Vec<Kind> {
    Kind::ALL.iter().copied().chain(api.custom_kinds()).collect()
}

/// The kind that a word means: plural, singular or short name, `KIND.GROUP` or `KIND.VERSION.GROUP`.
pub(super) fn kind_of(api: &dyn Api, word: &str) -> Result<Kind, Failure> {
    let lower = word.to_lowercase();
    let (resource, rest) = lower.split_once('.').unwrap_or((&lower, ""));
    let fits = |kind: &Kind| {
        let info = kind.info();
        let versioned = rest.split_once('.');
        rest.is_empty()
            || rest == info.group && !info.group.is_empty()
            || versioned.is_some_and(|(version, group)| version == info.version && group == info.group)
    };
    let named = |kind: &Kind| {
        let info = kind.info();
        resource == info.plural || resource == info.singular || info.short_names.contains(&resource)
    };
    all_kinds(api).into_iter().filter(named).find(fits).ok_or_else(|| no_such_type(resource))
}

fn no_such_type(resource: &str) -> Failure {
    Failure::Message(format!("the server doesn't have a resource type {resource:?}"))
}

/// The kinds that a comma-separated list of words means; `all` and other categories are several.
pub(super) fn kinds_of(api: &dyn Api, words: &str) -> Result<Vec<Kind>, Failure> {
    let mut kinds: Vec<Kind> = Vec::new();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        let mut category: Vec<Kind> = all_kinds(api);
        category.retain(|kind| kind.info().categories.contains(&word));
        if category.is_empty() {
            kinds.push(kind_of(api, word)?);
            continue;
        }
        // Of several versions the preferred one comes first.
        for kind in category {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
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
