//! Tokens of service accounts: `pkg/serviceaccount/claims.go` and `pkg/registry/core/serviceaccount/storage/token.go`.
//!
//! A token has the form and the claims of a real one (three parts in base 64 with dots between), so that tools that take it
//! apart find what they look for. Its signature is none that the published key would verify: every pod gets a token, and to
//! sign it with RSA would cost more than all else that is done for the pod. Anybody who can read this program can forge one,
//! which in a cluster in a browser tab harms nobody.

use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use serde_json::{Value, json};

use super::authorization::{is_component, node_identity, service_account};
use super::{ApiServer, Body, Context, Response, Target, User};
use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::etcd::Etcd;
use crate::machinery::field::{FieldError, Path};
use crate::machinery::names::fnv32a;
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::machinery::{base64, go_json};

/// Whom a token is for when nobody else is named.
pub const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";
/// The name of the key that tokens are signed with, as if there were one.
pub const KEY: &str = "kubetab";
/// How long a token lives when nothing is said, in seconds.
const LIFETIME_SECONDS: i64 = 3600;
/// `MinTokenAgeSec`: the shortest life that can be asked for.
const LIFETIME_SECONDS_MIN: i64 = 600;
/// The longest one: `1<<32` seconds.
const LIFETIME_SECONDS_MAX: i64 = 1 << 32;
/// `WarnOnlyBoundTokenExpirationPeriod`: what the admission plugin asks for. Such a token only begins to be warned of then.
const WARN_ONLY_SECONDS: i64 = 3607;
/// `ExpirationExtensionSeconds`: for how long it is taken.
const EXTENSION_SECONDS: i64 = 365 * 24 * 3600;

impl ApiServer {
    /// `TokenREST.Create`.
    pub(super) fn issue_token(&self, context: &Context<'_>, target: &Target, body: Body) -> Result<Response, Status> {
        let Body::Json(mut request) = body else {
            return Err(Status::bad_request("the request's body is of another kind"));
        };
        let object = self.get(&Target { subresource: None, ..target.clone() })?;
        let account = object.downcast::<ServiceAccount>().ok_or_else(Status::method_not_allowed)?;
        let seconds: i64 = request["spec"]["expirationSeconds"].as_i64().unwrap_or(LIFETIME_SECONDS);
        let detail = if seconds < LIFETIME_SECONDS_MIN {
            Some("may not specify a duration less than 10 minutes")
        } else {
            (seconds > LIFETIME_SECONDS_MAX).then_some("may not specify a duration larger than 2^32 seconds")
        };
        if let Some(detail) = detail {
            let at = Path::new("spec").child("expirationSeconds");
            let errors = vec![FieldError::invalid(&at, seconds, detail)];
            return Err(Status::invalid("authentication.k8s.io", "TokenRequest", "", &errors));
        }
        self.admit_node_token(context.user(), target, &request["spec"]["boundObjectRef"])?;
        let bound = self.bound_object(account, target, &request["spec"]["boundObjectRef"])?;
        let audiences = match request["spec"]["audiences"].as_array() {
            Some(given) if !given.is_empty() => given.clone(),
            _ => vec![AUDIENCE.into()],
        };
        let is_extended = bound.iter().any(|bound| bound.kind == "pod")
            && seconds == WARN_ONLY_SECONDS
            && audiences.iter().any(|audience| audience == AUDIENCE);
        let life = Life { now: context.now, seconds, is_extended };
        let token = sign(&claims(account, &life, &audiences, &bound));
        let expires = context.now + seconds_of(seconds);
        request["kind"] = "TokenRequest".into();
        request["apiVersion"] = "authentication.k8s.io/v1".into();
        request["metadata"] = json!({
            "name": account.name(),
            "namespace": account.namespace(),
            "creationTimestamp": context.now.to_rfc3339(),
        });
        request["spec"] = json!({
            "audiences": audiences,
            "expirationSeconds": seconds,
            "boundObjectRef": request["spec"]["boundObjectRef"].take(),
        });
        request["status"] = json!({ "token": token, "expirationTimestamp": expires.to_rfc3339() });
        Ok(Response::Value(request))
    }

    /// A node may only ask for the tokens of its own pods: `admitServiceAccount` of the NodeRestriction plugin.
    fn admit_node_token(&self, user: &User, target: &Target, bound: &Value) -> Result<(), Status> {
        let Some(node) = node_identity(user).filter(|_| !is_component(user)) else { return Ok(()) };
        let refused = |why: &str| Err(Status::forbidden("", "serviceaccounts", &target.name, why));
        let text = |field: &str| bound[field].as_str().unwrap_or("");
        if (text("apiVersion"), text("kind")) != ("v1", "Pod") || text("name").is_empty() {
            return refused("node requested token not bound to a pod");
        }
        if text("uid").is_empty() {
            return refused("node requested token with a pod binding without a uid");
        }
        let key = ObjectKey::new(target.namespace.clone(), text("name"));
        let found = self.etcd.get(Kind::Pod, &key).and_then(Object::downcast::<Pod>);
        let pod = found.ok_or_else(|| Status::not_found("", "pods", text("name")))?;
        if pod.uid() != text("uid") {
            let uid = text("uid");
            return refused(&format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have \
                 been deleted and then recreated"
            ));
        }
        if pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) != Some(node) {
            return refused("node requested token bound to a pod scheduled on a different node");
        }
        Ok(())
    }

    /// The objects that a token tells of: the one whose end is the token's end, and of a pod its node.
    fn bound_object(&self, account: &ServiceAccount, target: &Target, reference: &Value) -> Result<Vec<Bound>, Status> {
        if reference.is_null() {
            return Ok(Vec::new());
        }
        let text = |field: &str| reference[field].as_str().unwrap_or("");
        let (version, kind, name, uid) = (text("apiVersion"), text("kind"), text("name"), text("uid"));
        let (kind, claim) = match (version, kind) {
            ("v1", "Pod") => (Kind::Pod, "pod"),
            ("v1", "Secret") => (Kind::Secret, "secret"),
            ("v1", "Node") => (Kind::Node, "node"),
            _ => {
                let separator = if version.contains('/') { "" } else { "/" };
                let told = format!("cannot bind token to object of type {separator}{version}, Kind={kind}");
                return Err(Status::bad_request(told));
            }
        };
        let namespace = if kind == Kind::Node { "" } else { &*target.namespace };
        let Some(object) = self.etcd.get(kind, &ObjectKey::new(namespace, name)) else {
            return Err(Status::not_found("", kind.info().plural, name));
        };
        if let Object::Pod(pod) = object
            && pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()) != Some(account.name())
        {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                account.name()
            )));
        }
        if !uid.is_empty() && uid != object.uid() {
            let why = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have \
                 been deleted and then recreated"
            );
            return Err(Status::conflict("", kind.info().kind, name, &why));
        }
        let mut bound = vec![Bound { kind: claim, name: name.to_owned(), uid: object.uid().to_owned() }];
        let node = object.downcast::<Pod>().and_then(|pod| pod.spec.as_ref()?.node_name.clone());
        if let Some(node) = node.filter(|node| !node.is_empty()) {
            let uid = self.etcd.get(Kind::Node, &ObjectKey::new("", node.as_str())).map(|node| node.uid().to_owned());
            bound.push(Bound { kind: "node", name: node, uid: uid.unwrap_or_default() });
        }
        Ok(bound)
    }
}

/// An object that a token tells of.
struct Bound {
    /// `pod`, `node` or `secret`.
    kind: &'static str,
    name: String,
    uid: String,
}

/// How long a token lives.
struct Life {
    now: Time,
    seconds: i64,
    /// Whether it is taken for longer than was asked for.
    is_extended: bool,
}

fn seconds_of(seconds: i64) -> std::time::Duration {
    std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// The token that a Secret of an account holds: it has no end.
#[must_use]
pub fn legacy_token(account: &ServiceAccount, secret: &str) -> String {
    let key = |what: &str| format!("kubernetes.io/serviceaccount/{what}");
    let claims = [
        ("iss".to_owned(), "kubernetes/serviceaccount".to_owned()),
        (key("namespace"), account.namespace().to_owned()),
        (key("secret.name"), secret.to_owned()),
        (key("service-account.name"), account.name().to_owned()),
        (key("service-account.uid"), account.uid().to_owned()),
        ("sub".to_owned(), format!("system:serviceaccount:{}:{}", account.namespace(), account.name())),
    ];
    sign(&claims.into_iter().map(|(key, value)| (key, value.into())).collect::<serde_json::Map<_, _>>().into())
}

/// `Claims`, with the fields of each object in their order.
fn claims(account: &ServiceAccount, life: &Life, audiences: &[Value], bound: &[Bound]) -> Value {
    let now = life.now.as_secs();
    let seconds = if life.is_extended { EXTENSION_SECONDS } else { life.seconds };
    let mut own = json!({ "namespace": account.namespace() });
    for kind in ["node", "pod", "secret"] {
        if let Some(bound) = bound.iter().find(|bound| bound.kind == kind) {
            own[kind] = json!({ "name": bound.name, "uid": bound.uid });
        }
    }
    own["serviceaccount"] = json!({ "name": account.name(), "uid": account.uid() });
    if life.is_extended {
        own["warnafter"] = (life.now + seconds_of(life.seconds)).as_secs().into();
    }
    json!({
        "aud": audiences,
        "exp": (life.now + seconds_of(seconds)).as_secs(),
        "iat": now,
        "iss": AUDIENCE,
        "jti": identifier(&format!("{now} {own}")),
        "kubernetes.io": own,
        "nbf": now,
        "sub": format!("system:serviceaccount:{}:{}", account.namespace(), account.name()),
    })
}

/// A token's own identifier, in the form of a uid. It follows from what the token is about, since chance is the cluster's.
fn identifier(about: &str) -> String {
    let part = |number: u32| fnv32a(format!("{number} {about}").as_bytes());
    let [first, second, third, fourth] = [0, 1, 2, 3].map(part);
    let (version, variant) = (0x4000 | (second & 0xfff), 0x8000 | (third >> 16 & 0x3fff));
    format!("{first:08x}-{:04x}-{version:04x}-{variant:04x}-{:04x}{fourth:08x}", second >> 16, third & 0xffff)
}

/// Base 64 as addresses have it: without `+`, `/` and filling.
fn url_encode(bytes: &[u8]) -> String {
    base64::encode(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn url_decode(text: &str) -> Option<Vec<u8>> {
    let mut text = text.replace('-', "+").replace('_', "/");
    text.extend(std::iter::repeat_n('=', (4 - text.len() % 4) % 4));
    base64::decode(&text).ok()
}

fn signature(signed: &str) -> String {
    url_encode(&fnv32a(signed.as_bytes()).to_be_bytes())
}

fn sign(claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "kid": KEY });
    let signed = format!(
        "{}.{}",
        url_encode(go_json::marshal(&header).as_bytes()),
        url_encode(go_json::marshal(claims).as_bytes())
    );
    format!("{signed}.{}", signature(&signed))
}

/// Whom a token makes its bearer.
pub(super) struct Bearer {
    pub(super) user: User,
    /// What else is known of him: which token it was, and the pod that has it.
    pub(super) extra: Value,
    /// For whom the token is, of those that were asked for.
    pub(super) audiences: Vec<String>,
}

/// The user that a token makes its bearer, when it is for one of some audiences.
///
/// # Errors
/// Why the token is not taken.
pub(super) fn bearer(etcd: &Etcd, now: Time, token: &str, wanted: &[&str]) -> Result<Bearer, String> {
    const INVALID: &str = "invalid bearer token";
    let (signed, signature_given) = token.rsplit_once('.').ok_or(INVALID)?;
    let payload = signed.split_once('.').map(|(_, payload)| payload).ok_or(INVALID)?;
    if signature(signed) != signature_given {
        return Err(INVALID.to_owned());
    }
    let bytes = url_decode(payload).ok_or(INVALID)?;
    let claims: Value = serde_json::from_slice(&bytes).map_err(|_| INVALID)?;
    let account = &claims["kubernetes.io"];
    // The token of a Secret says it in another way, and has no end.
    let said = |value: &Value, legacy: &str| {
        let legacy = || claims[&format!("kubernetes.io/serviceaccount/{legacy}")].as_str().map(str::to_owned);
        value.as_str().map(str::to_owned).or_else(legacy)
    };
    let namespace = said(&account["namespace"], "namespace").ok_or(INVALID)?;
    let name = said(&account["serviceaccount"]["name"], "service-account.name").ok_or(INVALID)?;
    let uid = said(&account["serviceaccount"]["uid"], "service-account.uid").ok_or(INVALID)?;
    let audiences = audiences(&claims, wanted)?;
    let has_end = !account.is_null();
    if has_end && claims["exp"].as_u64().is_none_or(|expires| expires <= now.as_secs()) {
        return Err("[invalid bearer token, service account token has expired]".to_owned());
    }
    let stored = etcd.get(Kind::ServiceAccount, &ObjectKey::new(namespace.as_str(), name.as_str()));
    if stored.is_none_or(|stored| stored.uid() != uid) {
        return Err(format!("[invalid bearer token, serviceaccounts {name:?} not found]"));
    }
    for (field, kind) in [("pod", Kind::Pod), ("secret", Kind::Secret)] {
        let Some(bound) = account[field]["name"].as_str() else { continue };
        let stored = etcd.get(kind, &ObjectKey::new(namespace.as_str(), bound));
        if stored.is_none_or(|stored| account[field]["uid"] != *stored.uid()) {
            return Err("[invalid bearer token, service account token has been invalidated]".to_owned());
        }
    }
    Ok(Bearer { user: service_account(&namespace, &name), extra: extra(&claims), audiences })
}

/// Those of the audiences asked for that a token is for.
fn audiences(claims: &Value, wanted: &[&str]) -> Result<Vec<String>, String> {
    // The token of a Secret is for this server.
    let given: Vec<&str> = match claims["aud"].as_array() {
        Some(given) => given.iter().filter_map(Value::as_str).collect(),
        None => vec![AUDIENCE],
    };
    let both: Vec<String> =
        wanted.iter().filter(|wanted| given.contains(wanted)).map(|&both| both.to_owned()).collect();
    let quoted = |names: &[&str]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" ");
    if both.is_empty() {
        let (given, wanted) = (quoted(&given), quoted(wanted));
        return Err(format!(
            "[invalid bearer token, token audiences [{given}] is invalid for the target audiences [{wanted}]]"
        ));
    }
    Ok(both)
}

/// `serviceaccount.ServiceAccountInfo.UserInfo`: what a token tells of its bearer beside the account.
fn extra(claims: &Value) -> Value {
    let mut extra = serde_json::Map::new();
    if let Some(identifier) = claims["jti"].as_str() {
        extra.insert("authentication.kubernetes.io/credential-id".to_owned(), json!([format!("JTI={identifier}")]));
    }
    for kind in ["node", "pod"] {
        for field in ["name", "uid"] {
            if let Some(text) = claims["kubernetes.io"][kind][field].as_str() {
                extra.insert(format!("authentication.kubernetes.io/{kind}-{field}"), json!([text]));
            }
        }
    }
    extra.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_again_and_a_changed_one_is_not_taken() {
        let metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            name: Some("robot".to_owned()),
            namespace: Some("a".to_owned()),
            uid: Some("u".to_owned()),
            ..Default::default()
        };
        let account = ServiceAccount { metadata, ..ServiceAccount::default() };
        let now = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        let expires = now + std::time::Duration::from_secs(600);
        let life = Life { now, seconds: 600, is_extended: false };
        let token = sign(&claims(&account, &life, &[AUDIENCE.into()], &[]));
        let mut etcd = Etcd::new();
        let user = |etcd: &Etcd, now: Time, token: &str| bearer(etcd, now, token, &[AUDIENCE]).map(|it| it.user);
        assert!(user(&etcd, now, &token).is_err());
        let cause = crate::etcd::Cause::new("test", crate::etcd::Why::plain("A test."));
        etcd.create(now, account.into(), cause).expect("it is new");
        assert_eq!(&*user(&etcd, now, &token).expect("it is valid").name, "system:serviceaccount:a:robot");
        assert!(user(&etcd, expires, &token).is_err());
        let forged = token.replacen("eyJ", "eyK", 1);
        assert!(user(&etcd, now, &forged).is_err());
        let other = bearer(&etcd, now, &token, &["vault", "a"]).err().unwrap_or_default();
        let told = format!(
            "[invalid bearer token, token audiences [{AUDIENCE:?}] is invalid for the target audiences [\"vault\" \"a\"]]"
        );
        assert_eq!(other, told);
    }

    #[test]
    fn the_token_of_a_pod_tells_of_it_and_is_warned_of_before_it_ends() {
        let account = ServiceAccount::default();
        let now = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        let bound = ["pod", "node"].map(|kind| Bound { kind, name: kind.to_owned(), uid: "u".to_owned() });
        let life = Life { now, seconds: WARN_ONLY_SECONDS, is_extended: true };
        let claims = claims(&account, &life, &[AUDIENCE.into()], &bound);
        let own: Vec<&String> = claims["kubernetes.io"].as_object().expect("an object").keys().collect();
        assert_eq!(own, ["namespace", "node", "pod", "serviceaccount", "warnafter"]);
        let seconds = |value: &Value| value.as_u64().unwrap_or(0) - now.as_secs();
        assert_eq!(seconds(&claims["kubernetes.io"]["warnafter"]), 3607);
        assert_eq!(seconds(&claims["exp"]), 365 * 24 * 3600);
        let identifier = claims["jti"].as_str().expect("it has one");
        assert_eq!((identifier.len(), &identifier[14..15]), (36, "4"), "{identifier}");
        assert_eq!(extra(&claims)["authentication.kubernetes.io/pod-name"], json!(["pod"]));
    }
}
