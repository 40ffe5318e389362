//! What the annotations of an Ingress make of a request.
//!
//! Follows `ingress-nginx/internal/ingress/annotations` and the configuration that its template makes of them.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::networking::v1::Ingress;

use crate::machinery::ip::Cidr;
use crate::machinery::random::Random;
use crate::machinery::shell::HttpRequest;
use crate::machinery::shell::regex::Regex;

use super::{Routed, host_fit};

/// What the controller's own annotations begin with.
const PREFIX: &str = "nginx.ingress.kubernetes.io/";

pub(super) fn annotation<'a>(ingress: &'a Ingress, name: &str) -> Option<&'a str> {
    let annotations = ingress.metadata.annotations.as_ref()?;
    let found = annotations.iter().find(|(key, _)| key.strip_prefix(PREFIX) == Some(name));
    found.map(|(_, value)| value.as_str())
}

pub(super) fn is_canary(ingress: &Ingress) -> bool {
    annotation(ingress, "canary") == Some("true")
}

/// Whether a host is one of those by which the Ingress's own can be called, too.
pub(super) fn is_alias(ingress: &Ingress, host: &str) -> bool {
    let names = annotation(ingress, "server-alias").unwrap_or("");
    names.split(',').any(|name| name.trim().eq_ignore_ascii_case(host))
}

/// How long an answer may take, if the Ingress says so.
pub(super) fn read_timeout(ingress: &Ingress) -> Option<Duration> {
    let seconds = annotation(ingress, "proxy-read-timeout")?.parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|timeout| !timeout.is_zero())
}

/// What is answered without asking any endpoint.
pub(super) fn answer(ingress: &Ingress, host: &str, request: &HttpRequest) -> Option<Routed> {
    let ranges = annotation(ingress, "whitelist-source-range").or(annotation(ingress, "allowlist-source-range"));
    if let (Some(ranges), Ok(client)) = (ranges, request.client.parse::<IpAddr>()) {
        let contains = |range: &str| Cidr::parse(range.trim()).is_some_and(|range| range.contains(client));
        if !ranges.split(',').any(contains) {
            return Some(Routed::Status(403));
        }
    }
    if !request.secure && is_redirected(ingress, host) {
        return Some(Routed::Redirect(308, format!("https://{host}{}", request.path)));
    }
    if let Some(url) = annotation(ingress, "temporal-redirect") {
        return Some(Routed::Redirect(302, url.to_owned()));
    }
    if let Some(url) = annotation(ingress, "permanent-redirect") {
        let code = annotation(ingress, "permanent-redirect-code").and_then(|code| code.parse().ok());
        return Some(Routed::Redirect(code.unwrap_or(301), url.to_owned()));
    }
    let root = annotation(ingress, "app-root").filter(|_| request.path == "/")?;
    let scheme = if request.secure { "https" } else { "http" };
    Some(Routed::Redirect(302, format!("{scheme}://{host}{root}")))
}

/// Whether plain requests for a host are sent to https, as they are for hosts that have a certificate.
fn is_redirected(ingress: &Ingress, host: &str) -> bool {
    if annotation(ingress, "force-ssl-redirect") == Some("true") {
        return true;
    }
    let certificates = ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
    let mut hosts = certificates.flat_map(|certificate| certificate.hosts.iter().flatten());
    annotation(ingress, "ssl-redirect") != Some("false") && hosts.any(|one| host_fit(one, host).is_some())
}

/// A cookie that a request has.
fn cookie<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let pairs = request.header("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

/// Whether a canary is chosen for a request: by a header, else by a cookie, else by chance: `route_to_alternative_balancer`.
pub(super) fn is_chosen(ingress: &Ingress, request: &HttpRequest, random: &mut Random) -> bool {
    let always_or_never = |value: &str| match value {
        "always" => Some(true),
        "never" => Some(false),
        _ => None,
    };
    if let Some(header) = annotation(ingress, "canary-by-header").and_then(|name| request.header(name)) {
        let wanted = annotation(ingress, "canary-by-header-value").filter(|wanted| !wanted.is_empty());
        let pattern = annotation(ingress, "canary-by-header-pattern").filter(|pattern| !pattern.is_empty());
        let decided = match (wanted, pattern) {
            (Some(wanted), _) => (header == wanted).then_some(true),
            (None, Some(pattern)) => {
                Regex::new(pattern, true, false).is_ok_and(|regex| regex.is_match(header)).then_some(true)
            }
            (None, None) => always_or_never(header),
        };
        if let Some(decided) = decided {
            return decided;
        }
    }
    let by_cookie = annotation(ingress, "canary-by-cookie").and_then(|name| always_or_never(cookie(request, name)?));
    if let Some(decided) = by_cookie {
        return decided;
    }
    let number = |name: &str| annotation(ingress, name).and_then(|text| text.parse::<u64>().ok());
    let weight = number("canary-weight").unwrap_or(0);
    weight > 0 && random.below(number("canary-weight-total").unwrap_or(100).max(1)) < weight
}

/// The path that a backend sees.
fn rewritten(target: Option<&str>, pattern: &str, path_and_query: &str) -> String {
    let Some(target) = target.filter(|target| !target.is_empty() && *target != pattern) else {
        return path_and_query.to_owned();
    };
    let (path, query) = path_and_query.split_once('?').map_or((path_and_query, None), |(a, b)| (a, Some(b)));
    let mut result = target.to_owned();
    let letters: Vec<char> = path.chars().collect();
    if target.contains('$')
        && let Ok(regex) = Regex::new(&format!("^{pattern}"), true, true)
        && let Some(groups) = regex.find(&letters, 0)
    {
        for number in (1..10).rev() {
            let group = groups.get(number).copied().flatten().map_or(&[][..], |(from, to)| &letters[from..to]);
            result = result.replace(&format!("${number}"), &group.iter().collect::<String>());
        }
    }
    match query {
        Some(query) => format!("{result}?{query}"),
        None => result,
    }
}

/// A request as it goes on to an endpoint, with the headers that nginx sets. `path` is the rule's.
pub(super) fn onward(ingress: &Ingress, path: &str, host: &str, request: &HttpRequest, random: &Random) -> HttpRequest {
    let mut onward = request.clone();
    onward.path = rewritten(annotation(ingress, "rewrite-target"), path, &request.path);
    // The next choice of an endpoint moves chance on, so that the next request has another number.
    let mut chance = random.clone();
    let mut id = String::new();
    for _ in 0..2 {
        // Writing into a text cannot fail.
        let _ = write!(id, "{:016x}", chance.next_u64());
    }
    let (scheme, port) = if request.secure { ("https", "443") } else { ("http", "80") };
    let mut set = |name: &str, value: &str| {
        onward.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        onward.headers.push((name.to_owned(), value.to_owned()));
    };
    for (name, value) in [
        ("X-Request-ID", id.as_str()),
        ("X-Real-IP", &request.client),
        ("X-Forwarded-For", &request.client),
        ("X-Forwarded-Host", host),
        ("X-Forwarded-Port", port),
        ("X-Forwarded-Proto", scheme),
        ("X-Forwarded-Scheme", scheme),
        ("X-Scheme", scheme),
    ] {
        set(name, value);
    }
    if let Some(prefix) = annotation(ingress, "x-forwarded-prefix") {
        set("X-Forwarded-Prefix", prefix);
    }
    if let Some(host) = annotation(ingress, "upstream-vhost") {
        set("Host", host);
    }
    onward
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ingress(annotations: Value) -> Ingress {
        let annotations: serde_json::Map<String, Value> = annotations
            .as_object()
            .expect("annotations")
            .iter()
            .map(|(name, value)| (format!("{PREFIX}{name}"), value.clone()))
            .collect();
        serde_json::from_value(json!({ "metadata": { "annotations": annotations } })).expect("it is written out")
    }

    fn asked(path: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HttpRequest { headers, client: "203.0.113.10".to_owned(), ..HttpRequest::get("a.example", 80, path) }
    }

    #[test]
    fn a_canary_is_chosen_by_header_then_cookie_then_weight() {
        let all = json!({ "canary-by-header": "X-Canary", "canary-by-cookie": "canary", "canary-weight": "100" });
        let value = json!({ "canary-by-header": "X-Canary", "canary-by-header-value": "yes" });
        let pattern = json!({ "canary-by-header": "X-Canary", "canary-by-header-pattern": "^(a|b)$" });
        let table = [
            (all.clone(), vec![], true),
            (all.clone(), vec![("X-Canary", "never")], false),
            (all.clone(), vec![("Cookie", "a=b; canary=never")], false),
            (all, vec![("X-Canary", "always"), ("Cookie", "canary=never")], true),
            (value.clone(), vec![("X-Canary", "yes")], true),
            (value, vec![("X-Canary", "always")], false),
            (pattern.clone(), vec![("X-Canary", "b")], true),
            (pattern, vec![("X-Canary", "bb")], false),
            (json!({ "canary-weight": "0" }), vec![], false),
        ];
        for (annotations, headers, expected) in table {
            let chosen = is_chosen(&ingress(annotations.clone()), &asked("/", &headers), &mut Random::new(1));
            assert_eq!(chosen, expected, "{annotations} {headers:?}");
        }
    }

    #[test]
    fn some_requests_are_answered_without_an_endpoint() {
        let url = "https://b.example/".to_owned();
        let table = [
            (json!({}), "/", None),
            (json!({ "whitelist-source-range": "10.0.0.0/8, 203.0.113.0/24" }), "/", None),
            (json!({ "whitelist-source-range": "10.0.0.0/8" }), "/", Some(Routed::Status(403))),
            (json!({ "permanent-redirect": url }), "/", Some(Routed::Redirect(301, url.clone()))),
            (json!({ "temporal-redirect": url }), "/", Some(Routed::Redirect(302, url.clone()))),
            (json!({ "app-root": "/app" }), "/", Some(Routed::Redirect(302, "http://a.example/app".to_owned()))),
            (json!({ "app-root": "/app" }), "/x", None),
            (
                json!({ "force-ssl-redirect": "true" }),
                "/x?y",
                Some(Routed::Redirect(308, "https://a.example/x?y".to_owned())),
            ),
        ];
        for (annotations, path, expected) in table {
            let told = answer(&ingress(annotations.clone()), "a.example", &asked(path, &[]));
            assert_eq!(told, expected, "{annotations} {path}");
        }
    }

    #[test]
    fn an_endpoint_sees_who_asked_and_another_path() {
        let rewritten = |target, pattern, path| rewritten(Some(target), pattern, path);
        assert_eq!(rewritten("/$2", "/app(/|$)(.*)", "/app/a/b?c"), "/a/b?c");
        assert_eq!(rewritten("/", "/app", "/app/a/b"), "/");
        assert_eq!(rewritten("/app", "/app", "/app/a"), "/app/a");
        let ingress = ingress(json!({ "upstream-vhost": "inner", "x-forwarded-prefix": "/p" }));
        let onward = onward(&ingress, "/", "a.example", &asked("/", &[("X-Real-IP", "lie")]), &Random::new(1));
        let header = |name: &str| onward.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("X-Real-IP"), "203.0.113.10");
        assert_eq!(header("X-Forwarded-Proto"), "http");
        assert_eq!((header("Host"), header("X-Forwarded-Prefix")), ("inner".to_owned(), "/p".to_owned()));
        assert_eq!(header("X-Request-ID").len(), 32);
    }
}
