//! Continue tokens: where a page of a list ended, and at which version the list was begun.
//!
//! `k8s.io/apiserver/pkg/storage/continue.go` and `storage/etcd3/errors.go`. The token is upstream's own: JSON in base64,
//! with the key at which the next page begins.

use serde_json::json;

use crate::api::ObjectKey;
use crate::etcd::Revision;
use crate::machinery::base64;
use crate::machinery::status::Status;
use crate::machinery::yaml;

use super::Target;

/// What a token says in place of a version when the list need not be consistent any more.
const INCONSISTENT: i64 = -1;

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Continuation {
    /// The version that the list was begun at; nothing for the newest.
    pub(super) revision: Option<Revision>,
    /// The last object of the page before.
    pub(super) after: ObjectKey,
}

impl Continuation {
    /// The token, as a client is given it.
    pub(super) fn encode(&self, target: &Target) -> String {
        let ObjectKey { namespace, name } = &self.after;
        // The first key that there may be behind this one.
        let start = if target.namespace.is_empty() && !namespace.is_empty() {
            format!("{namespace}/{name}\0")
        } else {
            format!("{name}\0")
        };
        let revision = self.revision.and_then(|revision| i64::try_from(revision).ok()).unwrap_or(INCONSISTENT);
        let token = json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": start });
        base64::encode(token.to_string().as_bytes()).trim_end_matches('=').replace('+', "-").replace('/', "_")
    }

    /// Reads a token.
    ///
    /// # Errors
    /// `BadRequest` when it is none of ours.
    pub(super) fn decode(token: &str, target: &Target) -> Result<Self, Status> {
        let invalid =
            |why: &str| Status::bad_request(format!("invalid continue token: continue key is not valid{why}"));
        let standard = token.replace('-', "+").replace('_', "/");
        let padding = "=".repeat((4 - standard.len() % 4) % 4);
        let bytes = base64::decode(&(standard + &padding))
            .map_err(|at| invalid(&format!(": illegal base64 data at input byte {at}")))?;
        let value = yaml::read_json(&String::from_utf8_lossy(&bytes))
            .map_err(|error| invalid(&format!(": {}", error.json_words())))?
            .value;
        let version = value["v"].as_str().unwrap_or("");
        if version != "meta.k8s.io/v1" {
            return Err(invalid(&format!(": server does not recognize this encoded version {version}")));
        }
        let revision = match value["rv"].as_i64().unwrap_or(0) {
            0 => return Err(invalid(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)")),
            revision => u64::try_from(revision).ok(),
        };
        let start = value["start"].as_str().unwrap_or("");
        if start.is_empty() {
            return Err(invalid(": encoded start key empty (version meta.k8s.io/v1)"));
        }
        let key = start.trim_end_matches('\0');
        if key.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(invalid(&format!(": {key}")));
        }
        let after = match key.split_once('/') {
            Some((namespace, name)) => ObjectKey::new(namespace, name),
            None => ObjectKey::new(&*target.namespace, key),
        };
        Ok(Self { revision, after })
    }

    /// The refusal of a token whose version is not kept any more, with one in it that goes on all the same.
    pub(super) fn expired(&self, target: &Target) -> Status {
        let go_on = Self { revision: None, after: self.after.clone() };
        Status::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of \
             the results. Continuing with the provided token results in an inconsistent list - objects that were \
             created, modified, or deleted between the time the first chunk was returned and now may show up in the \
             list.",
        )
        .with_continue(go_on.encode(target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;

    #[test]
    fn tokens_are_read_as_they_were_written_and_nothing_else_is() {
        let all = Target::collection(Kind::Pod, "");
        let one = Target::collection(Kind::Pod, "a");
        for (target, revision) in [(&all, Some(12)), (&one, Some(3)), (&one, None)] {
            let continuation = Continuation { revision, after: ObjectKey::new("a", "pod-1") };
            let token = continuation.encode(target);
            assert_eq!(Continuation::decode(&token, target).expect("our own"), continuation);
        }
        let token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTAsInN0YXJ0IjoiYlx1MDAwMCJ9";
        let upstream = Continuation::decode(token, &one).expect("one of a real server's");
        assert_eq!(upstream, Continuation { revision: Some(10), after: ObjectKey::new("a", "b") });
        for token in ["%", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "nonsense"] {
            assert!(Continuation::decode(token, &all).is_err(), "{token}");
        }
    }
}
