//! What there is outside of the cluster: a few well-known hosts, which answer with a page. Everything else out there has
//! neither a name nor an answer.

use std::net::Ipv4Addr;

use crate::machinery::shell::{HttpAnswer, NetworkAnswer, NetworkRequest, Record, RecordKind};

/// Hosts that people ask for to see whether the world can be reached.
const HOSTS: [&str; 20] = [
    "info.cern.ch",
    "example.com",
    "www.example.com",
    "example.org",
    "google.com",
    "www.google.com",
    "kubernetes.io",
    "k8s.io",
    "github.com",
    "raw.githubusercontent.com",
    "registry.k8s.io",
    "docker.io",
    "hub.docker.com",
    "quay.io",
    "httpbin.org",
    "ifconfig.me",
    "cloudflare.com",
    "www.cloudflare.com",
    "wikipedia.org",
    "deb.debian.org",
];
/// Public resolvers, which are pinged by their addresses.
const RESOLVERS: [Ipv4Addr; 4] =
    [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4), Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(9, 9, 9, 9)];
/// The hosts' network, which documentation may use (RFC 5737).
const NETWORK: [u8; 3] = [198, 51, 100];

/// What the names outside know of one of these names.
pub(super) fn find(names: &[String], kind: RecordKind) -> Option<Vec<Record>> {
    let known = |name: &String| HOSTS.iter().position(|host| name.trim_end_matches('.').eq_ignore_ascii_case(host));
    let (name, at) = names.iter().find_map(|name| Some((name, known(name)?)))?;
    if kind != RecordKind::A {
        return Some(Vec::new());
    }
    let [a, b, c] = NETWORK;
    let address = Ipv4Addr::new(a, b, c, u8::try_from(at + 1).unwrap_or(u8::MAX));
    Some(vec![Record { name: name.trim_end_matches('.').to_owned(), kind, data: address.to_string() }])
}

/// What comes of a request to an address outside; nothing when nobody has it.
pub(super) fn answer(request: &NetworkRequest, address: Ipv4Addr, client: Ipv4Addr) -> Option<NetworkAnswer> {
    let [a, b, c, host] = address.octets();
    let name = HOSTS.get(usize::from(host).wrapping_sub(1)).filter(|_| [a, b, c] == NETWORK);
    if name.is_none() && !RESOLVERS.contains(&address) {
        return None;
    }
    let is_open = matches!(request.port(), None | Some(80 | 443 | 53));
    Some(match (request, name) {
        _ if !is_open => NetworkAnswer::TimedOut { address: String::new() },
        (NetworkRequest::Http(_), Some(&"ifconfig.me")) => {
            NetworkAnswer::Http(HttpAnswer::text(200, client.to_string()))
        }
        (NetworkRequest::Http(_), Some(name)) => NetworkAnswer::Http(page(name)),
        _ => NetworkAnswer::Connected { address: String::new() },
    })
}

fn page(host: &str) -> HttpAnswer {
    let what = if host == "info.cern.ch" { " - home of the first website" } else { "" };
    let text = format!(
        "<html><head></head><body><header>\n<title>http://{host}</title>\n</header>\n\n<h1>http://{host}{what}</h1>\n</body></html>\n"
    );
    let mut answer = HttpAnswer::text(200, text);
    answer.headers.push(("Content-Type".to_owned(), "text/html".to_owned()));
    answer
}
