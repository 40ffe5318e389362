//! `/healthz`, `/livez` and `/readyz` (`k8s.io/apiserver/pkg/server/healthz`), and what `/metrics/slis` tells of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::apiserver::address::Query;
use crate::machinery::status::Status;

use super::message::Reply;

/// What can be asked after.
const KINDS: [&str; 3] = ["healthz", "livez", "readyz"];

/// Every check of a kube-apiserver of v1.36, in its order. All are of this process here: it answers, so they hold.
const CHECKS: &[&str] = &[
    "ping",
    "log",
    "etcd",
    "etcd-readiness",
    "informer-sync",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/aggregator-reload-proxy-client-cert",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
    "shutdown",
];
/// Those of [`CHECKS`] that only `/readyz` knows.
const READY_ONLY: &[&str] = &["etcd-readiness", "informer-sync", "shutdown"];

/// Whether a path asks after health.
pub(super) fn is_health(address: &str) -> bool {
    address.split('/').nth(1).is_some_and(|kind| KINDS.contains(&kind))
}

/// The checks behind a path.
fn checks(kind: &str) -> impl Iterator<Item = &'static str> {
    let is_ready = kind == "readyz";
    CHECKS.iter().copied().filter(move |check| is_ready || !READY_ONLY.contains(check))
}

/// What is asked: after which kind of health, and after which of its checks (empty for all).
fn asked(address: &str) -> Option<(&str, &str)> {
    let address = address.strip_prefix('/')?;
    let (kind, check) = address.split_once('/').unwrap_or((address, ""));
    let is_known = KINDS.contains(&kind) && (check.is_empty() || checks(kind).any(|known| known == check));
    is_known.then_some((kind, check))
}

/// Every address that can be asked.
pub(super) fn paths() -> impl Iterator<Item = String> {
    KINDS.iter().flat_map(|kind| {
        let all = std::iter::once(format!("/{kind}"));
        all.chain(checks(kind).map(move |check| format!("/{kind}/{check}")))
    })
}

/// The answer to a question after health, or after one of its checks; nothing when there is no such check.
pub(super) fn answer(address: &str, query: &Query) -> Option<Reply> {
    let (kind, check) = asked(address)?;
    if !check.is_empty() || !query.has("verbose") {
        return Some(Reply::text(200, "ok"));
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    let mut text = String::new();
    for check in checks(kind) {
        let state = if excluded.contains(&check) { "excluded: ok" } else { "ok" };
        text += &format!("[+]{check} {state}\n");
    }
    let is_unknown = |name: &&&str| !checks(kind).any(|check| check == **name);
    let unknown: Vec<String> = excluded.iter().filter(is_unknown).map(|name| format!("{name:?}")).collect();
    if !unknown.is_empty() {
        text += &format!("warn: some health checks cannot be excluded: no matches for {}\n", unknown.join(","));
    }
    text += &format!("{kind} check passed\n");
    Some(Reply::text(200, text))
}

/// The refusal of a check that does not exist.
pub(super) fn unknown() -> Status {
    crate::apiserver::address::unknown_address()
}

/// How often each check was made, by name and kind of health (`k8s.io/component-base/metrics/prometheus/slis`).
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<(&'static str, &'static str), u64>);

impl Counts {
    /// Counts the checks that a question after health made.
    pub(super) fn count(&mut self, address: &str, query: &Query) {
        let Some((asked_kind, asked_check)) = asked(address) else { return };
        let excluded: Vec<&str> = query.all("exclude").collect();
        let Some(kind) = KINDS.into_iter().find(|kind| *kind == asked_kind) else { return };
        for check in checks(kind) {
            if asked_check == check || (asked_check.is_empty() && !excluded.contains(&check)) {
                *self.0.entry((check, kind)).or_default() += 1;
            }
        }
    }

    /// What `/metrics/slis` says.
    pub(super) fn text(&self) -> String {
        let mut text =
            "# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.\n\
                        # TYPE kubernetes_healthcheck gauge\n"
                .to_owned();
        // Writing into a string cannot fail.
        for (name, kind) in self.0.keys() {
            let _ = writeln!(text, "kubernetes_healthcheck{{name=\"{name}\",type=\"{kind}\"}} 1");
        }
        text += "# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.\n\
                 # TYPE kubernetes_healthchecks_total counter\n";
        for ((name, kind), count) in &self.0 {
            let _ = writeln!(
                text,
                "kubernetes_healthchecks_total{{name=\"{name}\",status=\"success\",type=\"{kind}\"}} {count}"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::message::Content;

    fn told(path: &str) -> Option<String> {
        let reply = answer(path.split('?').next().unwrap_or(""), &Query::of(path))?;
        let Content::Whole(bytes) = reply.content else { return None };
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn checks_are_told_in_order_and_may_be_asked_alone() {
        let ready = told("/readyz?verbose").expect("it is known");
        assert!(ready.starts_with("[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n"), "{ready}");
        assert!(ready.ends_with("[+]shutdown ok\nreadyz check passed\n"), "{ready}");
        let live = told("/livez?verbose&exclude=etcd&exclude=no").expect("it is known");
        assert!(live.contains("[+]etcd excluded: ok\n") && !live.contains("shutdown"), "{live}");
        assert!(live.contains("warn: some health checks cannot be excluded: no matches for \"no\"\n"), "{live}");
        assert_eq!(told("/livez/poststarthook/rbac/bootstrap-roles").as_deref(), Some("ok"));
        assert_eq!(told("/livez/shutdown"), None);
        assert_eq!(told("/readyz/shutdown").as_deref(), Some("ok"));
    }

    #[test]
    fn checks_are_counted_as_they_are_made() {
        let mut counts = Counts::default();
        for path in ["/livez", "/livez/ping", "/readyz?exclude=ping", "/nowhere"] {
            counts.count(path.split('?').next().unwrap_or(""), &Query::of(path));
        }
        let text = counts.text();
        assert!(text.contains("total{name=\"ping\",status=\"success\",type=\"livez\"} 2\n"), "{text}");
        assert!(!text.contains("{name=\"ping\",type=\"readyz\"}"), "{text}");
    }
}
