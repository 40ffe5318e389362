//! `/metrics`: what is cheap to count, under upstream's names and in Prometheus's text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::api::Kind;
use crate::apiserver::address::{self, Query};
use crate::sim::Cluster;

use super::health;
use super::message::{HttpRequest, Reply};

/// Prometheus's text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How many requests there were, by what they were about and what came of them.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: BTreeMap<Labels, u64>,
    checks: health::Counts,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    code: u16,
    dry_run: &'static str,
    kind: Option<Kind>,
    subresource: &'static str,
    scope: &'static str,
    verb: &'static str,
}

impl Metrics {
    /// Counts a request that was answered.
    pub(super) fn count(&mut self, request: &HttpRequest, code: u16) {
        let target = address::target(&request.path).ok();
        let query = Query::of(&request.path);
        let is_collection = target.as_ref().is_some_and(|target| target.name.is_empty());
        let verb = match request.method.as_str() {
            "GET" if query.is_on("watch") => "WATCH",
            "GET" if is_collection => "LIST",
            "DELETE" if is_collection => "DELETECOLLECTION",
            "GET" | "HEAD" => "GET",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" if request.content_type.starts_with("application/apply-patch") => "APPLY",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            _ => "other",
        };
        let scope = match &target {
            None => "",
            Some(target) if !target.name.is_empty() || verb == "POST" => "resource",
            Some(target) if target.namespace.is_empty() => "cluster",
            Some(_) => "namespace",
        };
        let labels = Labels {
            code,
            dry_run: if query.has("dryRun") { "All" } else { "" },
            kind: target.as_ref().map(|target| target.kind),
            subresource: target.and_then(|target| target.subresource).map_or("", |subresource| subresource.as_str()),
            scope,
            verb,
        };
        *self.requests.entry(labels).or_default() += 1;
        if health::is_health(request.address()) {
            self.checks.count(request.address(), &query);
        }
    }

    /// What there is to tell of the checks of health: `/metrics/slis`.
    pub(super) fn health(&self) -> Reply {
        Reply { content_type: CONTENT_TYPE.into(), ..Reply::text(200, self.checks.text()) }
    }

    /// All that there is to tell.
    pub(super) fn reply(&self, cluster: &Cluster, streams: usize) -> Reply {
        let mut text = String::new();
        head(
            &mut text,
            "apiserver_request_total",
            "counter",
            "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, \
             scope, component, and HTTP response code.",
        );
        for (labels, count) in &self.requests {
            let Labels { code, dry_run, subresource, scope, verb, .. } = labels;
            let (group, resource, version) = labels.kind.map_or(("", "", ""), |kind| {
                let info = kind.info();
                (info.group, info.plural, info.version)
            });
            // Writing into a string cannot fail.
            let _ = writeln!(
                text,
                "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"{dry_run}\",group=\"{group}\",\
                 resource=\"{resource}\",scope=\"{scope}\",subresource=\"{subresource}\",verb=\"{verb}\",\
                 version=\"{version}\"}} {count}"
            );
        }
        head(
            &mut text,
            "apiserver_resource_objects",
            "gauge",
            "[ALPHA] Number of stored objects at the time of last check split by kind.",
        );
        for kind in Kind::ALL.iter().copied().chain(cluster.api().custom_kinds()) {
            let info = kind.info();
            let count = cluster.api().etcd().count(kind);
            let _ = writeln!(
                text,
                "apiserver_resource_objects{{group=\"{}\",resource=\"{}\"}} {count}",
                info.group, info.plural
            );
        }
        head(
            &mut text,
            "apiserver_longrunning_requests",
            "gauge",
            "[STABLE] Gauge of all active long-running apiserver requests. Not all requests are tracked this way.",
        );
        let _ = writeln!(text, "apiserver_longrunning_requests{{component=\"apiserver\"}} {streams}");
        Reply { content_type: CONTENT_TYPE.into(), ..Reply::text(200, text) }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    *text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
}
