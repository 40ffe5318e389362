//! What becomes of a request: the rule that fits it best, what that changes, and the backend that it goes to.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ServicePort;
use serde_json::Value;

use crate::api::Unstructured;
use crate::client::Informers;
use crate::machinery::duration::GoDuration;
use crate::machinery::random::Random;
use crate::machinery::shell::HttpRequest;
use crate::machinery::shell::regex::Regex;
use crate::machinery::time::Time;

use super::super::backends::ready_endpoints;
use super::super::headers::HeaderChange;
use super::attach::{attach, backend, host_fit, means_gateway};
use super::{Known, items, name, namespace, spec, text};

/// Where a request goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// To one of these endpoints.
    Endpoints(Vec<(Ipv4Addr, u16)>, Box<Onward>),
    /// Nowhere: this is the answer.
    Status(u16),
    /// To another place.
    Redirect(u16, String),
    /// Nobody listens there.
    Refused,
}

/// A request as it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onward {
    /// What the endpoint is asked.
    pub request: HttpRequest,
    /// What changes of its answer's headers.
    pub changes: Vec<HeaderChange>,
    /// How long the answer may take, if that is bounded.
    pub timeout: Option<Duration>,
    /// Who gets a copy, whose answer nobody waits for: one of each of these.
    pub mirrors: Vec<Vec<(Ipv4Addr, u16)>>,
}

/// How well a match fits, as the specification orders them: kind and length of the path, method, headers, parameters.
type Fit = (u8, usize, bool, usize, usize);

struct Candidate<'a> {
    /// How well the host fits, then the match.
    fit: (usize, Fit),
    route: &'a Arc<Unstructured>,
    rule: &'a Value,
    /// The path that matched, for what replaces it.
    prefix: &'a str,
}

/// Finds what a request to a Gateway is to become.
pub(super) fn send(
    known: &Known,
    informers: &Informers,
    gateway: &Unstructured,
    request: &HttpRequest,
    random: &mut Random,
) -> Sent {
    let host = request.header("host").unwrap_or(&request.host);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let protocol = if request.secure { "HTTPS" } else { "HTTP" };
    let listeners = items(&spec(gateway)["listeners"]).filter(|listener| {
        listener["port"].as_u64() == Some(u64::from(request.port)) && text(&listener["protocol"]) == protocol
    });
    let listeners: Vec<&Value> = listeners.collect();
    if listeners.is_empty() {
        return Sent::Refused;
    }
    let fitting =
        listeners.iter().filter_map(|listener| Some((host_fit(text(&listener["hostname"]), host)?, listener)));
    let Some((_, listener)) = fitting.max_by_key(|(fit, _)| *fit) else { return Sent::Status(404) };
    let Some(candidate) = best(known, informers, gateway, listener, host, request) else { return Sent::Status(404) };
    let timeout = timeout(candidate.rule);
    let mut changed = Onward { request: request.clone(), changes: Vec::new(), timeout, mirrors: Vec::new() };
    for filter in items(&candidate.rule["filters"]) {
        match text(&filter["type"]) {
            "RequestRedirect" => return redirect(&filter["requestRedirect"], &candidate, host, request, listener),
            "RequestMirror" => {
                changed.mirrors.extend(mirror(known, informers, candidate.route, &filter["requestMirror"], random));
            }
            _ => apply(filter, candidate.prefix, &mut changed),
        }
    }
    pass_on(known, informers, &candidate, changed, random)
}

/// The rule that fits best. Of several that fit alike, that of the oldest route counts, then that of the first by name.
fn best<'a>(
    known: &'a Known,
    informers: &Informers,
    gateway: &Unstructured,
    listener: &Value,
    host: &str,
    request: &HttpRequest,
) -> Option<Candidate<'a>> {
    let mut best: Option<Candidate<'a>> = None;
    for route in known.routes.values() {
        let is_attached = items(&spec(route)["parentRefs"]).any(|reference| {
            means_gateway(reference, route, gateway) && attach(reference, listener, route, gateway, informers).is_ok()
        });
        let hosts: Vec<&str> = items(&spec(route)["hostnames"]).map(text).collect();
        let of_host = if hosts.is_empty() { Some(0) } else { hosts.iter().filter_map(|one| host_fit(one, host)).max() };
        let Some(of_host) = of_host.filter(|_| is_attached) else { continue };
        for rule in items(&spec(route)["rules"]) {
            let everything = Value::Null;
            let mut matches: Vec<&Value> = items(&rule["matches"]).collect();
            if matches.is_empty() {
                matches.push(&everything);
            }
            for one in matches {
                let Some((fit, prefix)) = fits(one, request) else { continue };
                let fit = (of_host, fit);
                // What stays in `rule` outlives the match that was looked at.
                let prefix = text(&rule["matches"][position(rule, one)]["path"]["value"]).get(..prefix).unwrap_or("/");
                let is_better = best
                    .as_ref()
                    .is_none_or(|best| fit > best.fit || (fit == best.fit && order(route) < order(best.route)));
                if is_better {
                    best = Some(Candidate { fit, route, rule, prefix });
                }
            }
        }
    }
    best
}

fn position(rule: &Value, one: &Value) -> usize {
    items(&rule["matches"]).position(|other| std::ptr::eq(other, one)).unwrap_or(0)
}

fn order(route: &Unstructured) -> (Time, &str, &str) {
    let created = route.metadata.creation_timestamp.as_ref().map(Time::from).unwrap_or_default();
    (created, namespace(route), name(route))
}

/// Whether a match fits: how, and how much of its path is what a replacement replaces.
fn fits(one: &Value, request: &HttpRequest) -> Option<(Fit, usize)> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let wanted = one["path"]["value"].as_str().unwrap_or("/");
    let of_path = match one["path"]["type"].as_str().unwrap_or("PathPrefix") {
        "Exact" => (wanted == path).then_some((3, wanted.len())),
        "RegularExpression" => is_match(wanted, path).then_some((2, wanted.len())),
        _ => {
            let stem = wanted.trim_end_matches('/');
            let rest = path.strip_prefix(stem);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')).then_some((1, stem.len()))
        }
    }?;
    let method = one["method"].as_str();
    let is_value = |wanted: &Value, value: &str| match wanted["type"].as_str().unwrap_or("Exact") {
        "RegularExpression" => is_match(text(&wanted["value"]), value),
        _ => text(&wanted["value"]) == value,
    };
    let has_header =
        |wanted: &Value| request.header(text(&wanted["name"])).is_some_and(|value| is_value(wanted, value));
    let has_parameter = |wanted: &Value| {
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(key, _)| *key == text(&wanted["name"])).is_some_and(|(_, value)| is_value(wanted, value))
    };
    let fits = method.is_none_or(|method| method == request.method)
        && items(&one["headers"]).all(has_header)
        && items(&one["queryParams"]).all(has_parameter);
    let counts = (method.is_some(), items(&one["headers"]).count(), items(&one["queryParams"]).count());
    fits.then_some(((of_path.0, of_path.1, counts.0, counts.1, counts.2), wanted.len()))
}

/// Whether a whole text is of a regular expression.
fn is_match(pattern: &str, text: &str) -> bool {
    Regex::new(&format!("^({pattern})$"), true, false).is_ok_and(|regex| regex.is_match(text))
}

/// `http.HTTPPathModifier`.
fn replaced(path: &str, modifier: &Value, prefix: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let new = match text(&modifier["type"]) {
        "ReplaceFullPath" => text(&modifier["replaceFullPath"]).to_owned(),
        "ReplacePrefixMatch" => {
            let rest = path.strip_prefix(prefix.trim_end_matches('/')).unwrap_or("").trim_start_matches('/');
            let stem = text(&modifier["replacePrefixMatch"]).trim_end_matches('/');
            if rest.is_empty() && !stem.is_empty() { stem.to_owned() } else { format!("{stem}/{rest}") }
        }
        _ => path.to_owned(),
    };
    match query {
        Some(query) => format!("{new}?{query}"),
        None => new,
    }
}

/// How long an answer may take: the shorter of `timeouts`, of which nothing is none.
fn timeout(rule: &Value) -> Option<Duration> {
    let bounds = ["request", "backendRequest"]
        .into_iter()
        .filter_map(|name| GoDuration::parse(text(&rule["timeouts"][name])).ok().map(GoDuration::to_std));
    bounds.filter(|bound| !bound.is_zero()).min()
}

/// `http.HTTPHeaderFilter`.
fn change(filter: &Value) -> HeaderChange {
    let headers = |list: &Value| -> Vec<(String, String)> {
        items(list).map(|one| (text(&one["name"]).to_owned(), text(&one["value"]).to_owned())).collect()
    };
    let remove = items(&filter["remove"]).map(|name| text(name).to_owned()).collect();
    HeaderChange { set: headers(&filter["set"]), add: headers(&filter["add"]), remove }
}

/// Lets a filter change a request, or what becomes of its answer.
fn apply(filter: &Value, prefix: &str, onward: &mut Onward) {
    let request = &mut onward.request;
    match text(&filter["type"]) {
        "RequestHeaderModifier" => change(&filter["requestHeaderModifier"]).apply(&mut request.headers),
        "ResponseHeaderModifier" => onward.changes.push(change(&filter["responseHeaderModifier"])),
        "URLRewrite" => {
            let change = &filter["urlRewrite"];
            if let Some(host) = change["hostname"].as_str() {
                host.clone_into(&mut request.host);
                request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
            }
            if change["path"].is_object() {
                request.path = replaced(&request.path, &change["path"], prefix);
            }
        }
        _ => {}
    }
}

/// The answer of a `RequestRedirect`.
fn redirect(filter: &Value, candidate: &Candidate<'_>, host: &str, request: &HttpRequest, listener: &Value) -> Sent {
    let own = if request.secure { "https" } else { "http" };
    let scheme = filter["scheme"].as_str().unwrap_or(own);
    let host = filter["hostname"].as_str().unwrap_or(host);
    let of_scheme = if scheme == "https" { 443 } else { 80 };
    // Another scheme has its own port, the same one keeps the listener's.
    let kept = if filter["scheme"].is_null() { listener["port"].as_u64().unwrap_or(of_scheme) } else { of_scheme };
    let port = filter["port"].as_u64().unwrap_or(kept);
    let port = if port == of_scheme { String::new() } else { format!(":{port}") };
    let path = replaced(&request.path, &filter["path"], candidate.prefix);
    let status = filter["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(302);
    Sent::Redirect(status, format!("{scheme}://{host}{port}{path}"))
}

/// The ready endpoints that get a copy, if this request is one of those that are copied.
fn mirror(
    known: &Known,
    informers: &Informers,
    route: &Unstructured,
    filter: &Value,
    random: &mut Random,
) -> Option<Vec<(Ipv4Addr, u16)>> {
    let whole = filter["fraction"]["denominator"].as_u64().unwrap_or(100).max(1);
    let part = filter["percent"].as_u64().or(filter["fraction"]["numerator"].as_u64());
    if part.is_some_and(|part| random.below(whole) >= part) {
        return None;
    }
    let reference = &filter["backendRef"];
    let (namespace, service) = backend(known, informers, route, reference).ok()?;
    let is_meant = |port: &ServicePort| reference["port"].as_i64() == Some(i64::from(port.port));
    ready_endpoints(informers, namespace, service, is_meant).filter(|endpoints| !endpoints.is_empty())
}

/// Chooses a backend by weight, and answers in its place when there is none.
fn pass_on(
    known: &Known,
    informers: &Informers,
    candidate: &Candidate<'_>,
    mut onward: Onward,
    random: &mut Random,
) -> Sent {
    let weight = |reference: &Value| reference["weight"].as_u64().unwrap_or(1);
    let references: Vec<&Value> = items(&candidate.rule["backendRefs"]).collect();
    let total: u64 = references.iter().map(|reference| weight(reference)).sum();
    if total == 0 {
        return Sent::Status(500);
    }
    let mut drawn = random.below(total);
    let chosen = references.iter().find(|reference| {
        let weight = weight(reference);
        let is_chosen = drawn < weight;
        drawn = drawn.saturating_sub(weight);
        is_chosen
    });
    let Some(reference) = chosen else { return Sent::Status(500) };
    let Ok((namespace, service)) = backend(known, informers, candidate.route, reference) else {
        return Sent::Status(500);
    };
    let is_meant = |port: &ServicePort| reference["port"].as_i64() == Some(i64::from(port.port));
    match ready_endpoints(informers, namespace, service, is_meant) {
        None => Sent::Status(500),
        Some(endpoints) if endpoints.is_empty() => Sent::Status(503),
        Some(endpoints) => {
            for filter in items(&reference["filters"]) {
                apply(filter, candidate.prefix, &mut onward);
            }
            Sent::Endpoints(endpoints, Box::new(onward))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(method: &str, path: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HttpRequest { method: method.to_owned(), headers, ..HttpRequest::get("example.com", 80, path) }
    }

    #[test]
    fn matches_are_of_path_method_headers_and_query() {
        let prefix = json!({ "path": { "type": "PathPrefix", "value": "/shop" } });
        let table = [
            (prefix.clone(), asked("GET", "/shop/cart?x=1", &[]), true),
            (prefix, asked("GET", "/shopping", &[]), false),
            (json!({ "path": { "type": "Exact", "value": "/a" } }), asked("GET", "/a/", &[]), false),
            (json!({ "path": { "type": "RegularExpression", "value": "/[a-c]+" } }), asked("GET", "/abc", &[]), true),
            (json!({ "path": { "type": "RegularExpression", "value": "/[a-c]" } }), asked("GET", "/abc", &[]), false),
            (json!({ "method": "POST" }), asked("GET", "/", &[]), false),
            (json!({ "headers": [{ "name": "version", "value": "2" }] }), asked("GET", "/", &[("Version", "2")]), true),
            (
                json!({ "headers": [{ "name": "version", "value": "2" }] }),
                asked("GET", "/", &[("Version", "1")]),
                false,
            ),
            (json!({ "queryParams": [{ "name": "a", "value": "1" }] }), asked("GET", "/?b=2&a=1", &[]), true),
            (json!({ "queryParams": [{ "name": "a", "value": "1" }] }), asked("GET", "/?a=2", &[]), false),
        ];
        for (one, request, expected) in table {
            assert_eq!(fits(&one, &request).is_some(), expected, "{one} {}", request.path);
        }
    }

    #[test]
    fn paths_are_replaced_whole_or_at_their_beginning() {
        let prefix = |new: &str| json!({ "type": "ReplacePrefixMatch", "replacePrefixMatch": new });
        assert_eq!(replaced("/foo/bar?a=1", &prefix("/xyz"), "/foo"), "/xyz/bar?a=1");
        assert_eq!(replaced("/foo/bar", &prefix("/"), "/foo"), "/bar");
        assert_eq!(replaced("/foo", &prefix("/xyz/"), "/foo"), "/xyz");
        assert_eq!(replaced("/foo", &prefix(""), "/foo"), "/");
        let full = json!({ "type": "ReplaceFullPath", "replaceFullPath": "/new" });
        assert_eq!(replaced("/foo/bar?a=1", &full, "/foo"), "/new?a=1");
    }

    #[test]
    fn headers_are_set_added_and_removed() {
        let filter = json!({ "type": "RequestHeaderModifier", "requestHeaderModifier": {
            "set": [{ "name": "a", "value": "1" }],
            "add": [{ "name": "B", "value": "2" }, { "name": "c", "value": "3" }],
            "remove": ["d"],
        } });
        let request = asked("GET", "/", &[("A", "0"), ("b", "1"), ("D", "9")]);
        let mut onward = Onward { request, changes: Vec::new(), timeout: None, mirrors: Vec::new() };
        apply(&filter, "/", &mut onward);
        let told: Vec<String> = onward.request.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(told, ["b=1,2", "a=1", "c=3"]);
        let filter = json!({ "type": "ResponseHeaderModifier", "responseHeaderModifier": {
            "remove": ["Server"], "add": [{ "name": "x", "value": "1" }],
        } });
        apply(&filter, "/", &mut onward);
        let mut headers = vec![("server".to_owned(), "nginx".to_owned())];
        onward.changes[0].apply(&mut headers);
        assert_eq!(headers, [("x".to_owned(), "1".to_owned())]);
    }
}
