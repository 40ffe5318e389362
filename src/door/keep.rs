//! Documents that clients keep: discovery and OpenAPI, with the hash by which a client finds out that they are the same.
//!
//! `k8s.io/kube-openapi/pkg/handler3` and `k8s.io/apiserver/pkg/endpoints/discovery/aggregated/etag.go`.

use serde_json::{Value, json};

use crate::apiserver::address::Query;
use crate::machinery::base64;
use crate::machinery::random::Random;

use super::message::{Content, HttpRequest, Reply};

/// How many bytes the modulus of a key of 2,048 bits has.
const MODULUS_BYTES: usize = 256;

/// FNV-1a, 64 bits, as it stands in addresses and headers.
pub(super) fn fingerprint(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// An answer that a client need not be sent again when it has it.
pub(super) fn keep(request: &HttpRequest, mut reply: Reply) -> Reply {
    let Content::Whole(body) = &reply.content else { return reply };
    let tag = format!("\"{:016X}\"", fingerprint(body));
    let is_known = request.if_none_match.split(',').any(|known| known.trim().trim_start_matches("W/") == tag);
    reply.headers.push(("etag", tag));
    reply.headers.push(("vary", "Accept".to_owned()));
    if is_known {
        reply.code = 304;
        reply.content = Content::Whole(Default::default());
    }
    reply
}

/// A document whose address may have its hash, and then never changes; whoever asks by an old hash is led to the new one.
pub(super) fn keep_by_hash(request: &HttpRequest, query: &Query, hash: u64, reply: Reply) -> Reply {
    let (asked, hash) = (query.get("hash"), format!("{hash:016X}"));
    if asked.is_empty() {
        return keep(request, reply);
    }
    if asked != hash {
        let address = format!("{}?hash={hash}", request.address());
        return Reply { headers: vec![("location", address)], ..Reply::text(301, "") };
    }
    let mut reply = keep(request, reply);
    reply.headers.push(("cache-control", "public, immutable".to_owned()));
    reply
}

/// Who issues the tokens of service accounts, and where its keys are: `OpenIDMetadata`.
pub(super) fn issuer(issuer: &str, server: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("https://{server}/openid/v1/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

/// The keys. Tokens are not really signed here, so this one has the form of a key and opens nothing.
pub(super) fn keys(name: &str) -> Value {
    let mut random = Random::new(fingerprint(name.as_bytes()));
    let mut modulus: Vec<u8> = (0..MODULUS_BYTES / 8).flat_map(|_| random.next_u64().to_be_bytes()).collect();
    if let [first, .., last] = modulus.as_mut_slice() {
        (*first, *last) = (*first | 0x80, *last | 1);
    }
    let modulus = base64::encode(&modulus).replace('+', "-").replace('/', "_");
    json!({ "keys": [{
        "use": "sig",
        "kty": "RSA",
        "kid": name,
        "alg": "RS256",
        "n": modulus.trim_end_matches('='),
        "e": "AQAB",
    }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::route;
    use crate::session::{Session, SessionConfig};

    fn request(path: &str, if_none_match: &str) -> HttpRequest {
        let (path, if_none_match) = (path.to_owned(), if_none_match.to_owned());
        HttpRequest { method: "GET".to_owned(), path, if_none_match, ..HttpRequest::default() }
    }

    fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
        reply.headers.iter().rev().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    #[test]
    fn what_a_client_has_is_not_sent_again() {
        let first = keep(&request("/openapi/v2", ""), Reply::text(200, "a"));
        assert_eq!(first.code, 200);
        let tag = header(&first, "etag").to_owned();
        assert_eq!(keep(&request("/openapi/v2", &tag), Reply::text(200, "a")).code, 304);
        assert_eq!(keep(&request("/openapi/v2", &tag), Reply::text(200, "b")).code, 200);
    }

    #[test]
    fn the_door_keeps_documents_and_tells_who_signs_tokens() {
        let mut session = Session::new(SessionConfig::default());
        let mut ask = |path: &str, if_none_match: &str| match route::answer(&mut session, &request(path, if_none_match))
        {
            route::Answer::Reply(reply) => reply,
            route::Answer::Stream(..) => panic!("{path} is no stream"),
        };
        let json = |reply: &Reply| match &reply.content {
            Content::Whole(body) => serde_json::from_slice::<Value>(body).unwrap_or_default(),
            Content::Stream(_) => Value::Null,
        };
        let index = ask("/openapi/v3", "");
        assert_eq!(ask("/openapi/v3", header(&index, "etag")).code, 304);
        let address = json(&index)["paths"]["api/v1"]["serverRelativeURL"].as_str().unwrap_or("").to_owned();
        assert_eq!(header(&ask(&address, ""), "cache-control"), "public, immutable");
        assert_eq!(header(&ask("/openapi/v3/api/v1?hash=0", ""), "location"), address);
        let issuer = json(&ask("/.well-known/openid-configuration", ""));
        assert_eq!(issuer["issuer"], "https://kubernetes.default.svc.cluster.local");
        let keys = ask("/openid/v1/jwks", "");
        assert_eq!(keys.content_type, "application/jwk-set+json");
        assert_eq!(json(&keys)["keys"][0]["kty"], "RSA");
    }

    #[test]
    fn an_old_hash_leads_to_the_new_one() {
        let ask = |path: &str| keep_by_hash(&request(path, ""), &Query::of(path), 255, Reply::text(200, "a"));
        assert_eq!(ask("/openapi/v3/api/v1").code, 200);
        let right = ask("/openapi/v3/api/v1?hash=00000000000000FF");
        assert_eq!((right.code, header(&right, "cache-control")), (200, "public, immutable"));
        let wrong = ask("/openapi/v3/api/v1?hash=1");
        assert_eq!((wrong.code, header(&wrong, "location")), (301, "/openapi/v3/api/v1?hash=00000000000000FF"));
    }
}
