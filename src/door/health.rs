//! `/healthz`, `/livez` and `/readyz` (`k8s.io/apiserver/pkg/server/healthz`).

use crate::apiserver::address::Query;
use crate::machinery::status::Status;

use super::message::Reply;

/// Whether a path asks after health.
pub(super) fn is_health(address: &str) -> bool {
    matches!(address.split('/').nth(1), Some("healthz" | "livez" | "readyz"))
}

/// The checks behind a path. All are of this process: it answers, so they hold.
fn checks(name: &str) -> &'static [&'static str] {
    match name {
        "readyz" => &["ping", "log", "etcd", "etcd-readiness", "informer-sync", "shutdown"],
        _ => &["ping", "log", "etcd"],
    }
}

/// The answer to a question after health, or after one of its checks; nothing when there is no such check.
pub(super) fn answer(address: &str, query: &Query) -> Option<Reply> {
    let mut parts = address.split('/').skip(1);
    let name = parts.next()?;
    if let Some(check) = parts.next().filter(|check| !check.is_empty()) {
        return checks(name).contains(&check).then(|| Reply::text(200, "ok"));
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    if !query.has("verbose") {
        return Some(Reply::text(200, "ok"));
    }
    let mut text = String::new();
    for check in checks(name) {
        let state = if excluded.contains(check) { "excluded: ok" } else { "ok" };
        text += &format!("[+]{check} {state}\n");
    }
    let unknown: Vec<String> =
        excluded.iter().filter(|check| !checks(name).contains(check)).map(|check| format!("{check:?}")).collect();
    if !unknown.is_empty() {
        text += &format!("warn: some health checks cannot be excluded: no matches for {}\n", unknown.join(","));
    }
    text += &format!("{name} check passed\n");
    Some(Reply::text(200, text))
}

/// The refusal of a check that does not exist.
pub(super) fn unknown() -> Status {
    crate::apiserver::address::unknown_address()
}
