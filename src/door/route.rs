//! What a request's path and method mean.

use serde_json::{Value, json};

use crate::api::table;
use crate::api::{Kind, Object, Subresource};
use crate::apiserver::address::{self, Query, unknown_address};
use crate::apiserver::{self, ApiServer, Call, Caller, ListOptions, Response, Target, User, Verb};
use crate::etcd::Revision;
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;
use crate::session::Session;
use crate::sim::{API_SERVER, API_SERVER_PORT, Cluster};

use super::logs::Follow;
use super::message::{HttpRequest, Reply};
use super::negotiate::{self, Format, Shape};
use super::talk::Talk;
use super::watch::Watch;
use super::{actions, authentication, discovery, health, keep, logs, openapi, order, proxy};

/// The version that is simulated.
pub(super) const VERSION: &str = "v1.36.2";

/// How client-go asks for `/openapi/v2`.
const OPENAPI_V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What it is then told to have got: the name that it asks by is no well-formed media type.
const OPENAPI_V2_PROTOBUF_SENT: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// What a request leads to.
pub(super) enum Answer {
    /// An answer, and that is all.
    Reply(Reply),
    /// An answer that goes on for as long as its stream is pumped.
    Stream(Reply, Stream),
}

/// An answer that goes on.
#[derive(Debug)]
pub(super) enum Stream {
    /// A watch.
    Watch(Box<Watch>),
    /// A log that is followed.
    Follow(Box<Follow>),
    /// A talk with a process in a container.
    Talk(Box<Talk>),
}

impl Stream {
    /// Sends what is new. Says whether there may be more.
    pub(super) fn pump(&mut self, cluster: &Cluster) -> bool {
        match self {
            Self::Watch(watch) => watch.pump(cluster),
            Self::Follow(follow) => follow.pump(cluster),
            Self::Talk(talk) => talk.pump(cluster),
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// Answers a request.
pub(super) fn answer(session: &mut Session, request: &HttpRequest) -> Answer {
    let query = Query::of(&request.path);
    let wants_protobuf =
        [OPENAPI_V2_PROTOBUF, OPENAPI_V2_PROTOBUF_SENT].iter().any(|name| request.accept.contains(name));
    if request.address() == "/openapi/v2" && wants_protobuf {
        let document = Reply::text(200, openapi::v2_protobuf());
        return keep::keep(request, Reply { content_type: OPENAPI_V2_PROTOBUF_SENT.into(), ..document }).into();
    }
    let format = match Format::agree(request, &query) {
        Ok(format) => format,
        // Whatever a client accepts, these are plain text.
        Err(_) if health::is_health(request.address()) => Format::plain(request),
        Err(status) => return Reply::refusal(&status, &Format::plain(request)).into(),
    };
    match route(session, request, &query, format) {
        Ok(answer) => answer,
        Err(status) if status.is_not_found() && leads_nowhere(session.cluster().api(), request) => {
            Reply::text(404, "404 page not found\n").into()
        }
        Err(status) => {
            Reply { warnings: status.warnings().to_vec(), ..Reply::refusal(&status, &format.whole()) }.into()
        }
    }
}

/// Whether an address is in a group and version that nobody serves. Upstream has no handler there at all, which is all that
/// it says; clients make a sentence of it.
fn leads_nowhere(api: &ApiServer, request: &HttpRequest) -> bool {
    let mut parts = request.address().trim_matches('/').split('/');
    let (Some("apis"), Some(group)) = (parts.next(), parts.next()) else { return false };
    let version = parts.next();
    let is_it =
        |own: &discovery::GroupVersion| own.group == group && version.is_none_or(|version| own.version == version);
    let has_resource = |kind: &Kind| {
        let info = kind.info();
        info.group == group
            && version == Some(info.version)
            && request.address().split('/').any(|part| part == info.plural)
    };
    !discovery::GroupVersion::all(&[]).iter().any(is_it) && !api.custom_versions().iter().any(has_resource)
}

fn route(session: &mut Session, request: &HttpRequest, query: &Query, format: Format) -> Result<Answer, Status> {
    let address = request.address();
    let caller = authentication::caller(request, session.cluster())?;
    let user = authentication::user(caller.as_ref());
    if !is_resource(address) {
        session.cluster().api().authorize_path(&user, address)?;
    }
    if health::is_health(address) {
        return health::answer(address, query).map(Answer::Reply).ok_or_else(health::unknown);
    }
    let parts: Vec<&str> = address.split('/').skip(1).filter(|part| !part.is_empty()).collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["kubetab", "v1", "actions"]) => {
            return actions::act(session, request, &format.whole()).map(Answer::Reply);
        }
        ("GET", ["kubetab", "v1", "session"]) => return Ok(actions::log(session).into()),
        ("GET" | "HEAD", ["openapi", "v3", path @ ..]) if !path.is_empty() => {
            let found = openapi::v3(&path.join("/"), session.cluster().api());
            let (text, hash) = found.ok_or_else(unknown_address)?;
            let reply = Reply { content_type: "application/json".into(), ..Reply::text(200, text) };
            return Ok(keep::keep_by_hash(request, query, hash, reply).into());
        }
        ("GET" | "HEAD", ["openid", "v1", "jwks"]) => {
            let reply = Reply::value(200, &keep::keys(apiserver::TOKEN_KEY), &format.whole());
            return Ok(Reply { content_type: "application/jwk-set+json".into(), ..reply }.into());
        }
        ("GET" | "HEAD", parts) => {
            if let Some((mut value, format)) = about(session.cluster().api(), parts, format) {
                if !session.cluster().api().has_metrics() {
                    if parts.get(1) == Some(&discovery::METRICS) {
                        return Err(unknown_address());
                    }
                    discovery::without_metrics(&mut value);
                }
                let reply = Reply::value(200, &value, &format);
                let is_kept = parts.first() == Some(&"openapi") || format.shape == Shape::Discovery;
                return Ok(if is_kept { keep::keep(request, reply) } else { reply }.into());
            }
        }
        _ => {}
    }
    resource(session, request, caller, query, format)
}

/// The revision that a request wants to see reached before it is answered: `waitUntilFreshAndBlock` of the watch cache.
pub(super) fn awaited_revision(request: &HttpRequest) -> Option<Revision> {
    let query = Query::of(&request.path);
    let is_watch = query.is_on("watch");
    // Other watches just have nothing to tell until then.
    let waits = !is_watch || (query.is_on("sendInitialEvents") && query.is_on("allowWatchBookmarks"));
    let is_read = request.method == "GET" && is_resource(request.address()) && !query.has("continue");
    query.get("resourceVersion").parse().ok().filter(|_| is_read && waits)
}

/// Whether an address is about objects of the API, for which roles speak of resources; for all others, of paths.
fn is_resource(address: &str) -> bool {
    let parts: Vec<&str> = address.split('/').skip(1).filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["api", rest @ ..] => rest.len() > 1,
        ["apis", rest @ ..] => rest.len() > 2,
        _ => false,
    }
}

/// What the server says of itself.
fn about(api: &ApiServer, parts: &[&str], format: Format) -> Option<(Value, Format)> {
    let is_aggregated = format.shape == Shape::Discovery;
    let custom = || api.custom_versions();
    let value = match parts {
        ["api"] if is_aggregated => return Some((discovery::aggregated(true, &[]), format)),
        ["apis"] if is_aggregated => return Some((discovery::aggregated(false, &custom()), format)),
        [] => discovery::paths(&custom()),
        ["version"] => version(),
        ["api"] => discovery::core_versions(),
        ["apis"] => discovery::groups(&custom()),
        ["api", version] => discovery::resources("", version, &[])?,
        ["apis", group] => discovery::group(group, &custom())?,
        ["apis", group, version] => discovery::resources(group, version, &custom())?,
        [".well-known", "openid-configuration"] => {
            keep::issuer(apiserver::TOKEN_AUDIENCE, &format!("{API_SERVER}:{API_SERVER_PORT}"))
        }
        ["openapi", "v2"] => openapi::v2(),
        ["openapi", "v3"] => openapi::index(api),
        _ => return None,
    };
    Some((value, format.whole()))
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

fn resource(
    session: &mut Session,
    request: &HttpRequest,
    caller: Option<Caller>,
    query: &Query,
    format: Format,
) -> Result<Answer, Status> {
    let is_get = matches!(request.method.as_str(), "GET" | "HEAD");
    let user = authentication::user(caller.as_ref());
    if let Some(path) = old_watch_path(&request.path).filter(|_| is_get) {
        let target = session.cluster().api().address(&path)?;
        return watch(session, &user, target, query, format);
    }
    if !matches!(request.address().split('/').nth(1), Some("api" | "apis")) {
        return Err(unknown_address());
    }
    if let Some(passage) = proxy::passage(&request.path) {
        let target = passage.target();
        session.cluster().api().authorize(&user, http_verb(&request.method), &target)?;
        let now = session.now();
        let warnings = session.cluster().api().admit_connection(now, &user, &target, passage.options())?;
        let mut reply = passage.answer(session, request)?;
        reply.warnings.extend(warnings);
        return Ok(reply.into());
    }
    let target = session.cluster().api().address(&request.path)?;
    if is_get && target.name.is_empty() && query.is_on("watch") {
        return watch(session, &user, target, query, format);
    }
    if is_get && target.subresource == Some(Subresource::Log) {
        session.cluster().api().authorize(&user, "get", &target)?;
        if query.is_on("follow") {
            let (follow, reply) = Follow::open(session.cluster(), target, query)?;
            return Ok(Answer::Stream(reply, Stream::Follow(Box::new(follow))));
        }
        return logs::read(session.cluster(), &target, query).map(Answer::Reply);
    }
    let mut call = Call {
        method: request.method.clone(),
        path: request.path.clone(),
        content_type: request.content_type.clone(),
        body: Value::Null,
        client: request.client().to_owned(),
        line: String::new(),
        user: caller,
    };
    // Where there is no such way, nobody looks at the body.
    if let Err(status) = call.request(session.cluster().api())
        && matches!(status.reason(), Reason::MethodNotAllowed | Reason::NotFound)
    {
        return Err(status);
    }
    let read = negotiate::read(request, target.kind.info().kind)?;
    call.body = read.value;
    if !read.duplicates.is_empty() && query.get("fieldValidation") == "Strict" {
        let why = format!("strict decoding error: {}", read.duplicates.join(", "));
        return Err(Status::bad_request(crate::machinery::strict::cannot_be_handled(
            &target.kind.api_version(),
            target.kind.info().kind,
            &why,
        )));
    }
    let mut answer = session.request(&call)?;
    session.cluster().api().show_managed_fields(&mut answer.response);
    let mut reply = show(&call, &answer, format, session.now());
    if query.get("fieldValidation") != "Ignore" {
        reply.warnings = read.duplicates;
    }
    reply.warnings.extend(answer.warnings);
    Ok(reply.into())
}

/// `/api/v1/watch/namespaces/a/pods/p` of old, without its `watch`.
fn old_watch_path(path: &str) -> Option<String> {
    let (before, after) = path.split('?').next()?.split_once("/watch/")?;
    let is_prefix = matches!(before.split('/').skip(1).collect::<Vec<_>>().as_slice(), ["api", _] | ["apis", _, _]);
    is_prefix.then(|| format!("{before}/{after}"))
}

/// What a method is called where there is no verb of the API's own.
fn http_verb(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "get",
    }
}

fn watch(session: &Session, user: &User, target: Target, query: &Query, format: Format) -> Result<Answer, Status> {
    session.cluster().api().authorize(user, "watch", &target)?;
    if target.kind.is_computed() {
        return Err(Status::method_not_allowed());
    }
    // What could not be listed cannot be watched.
    session.cluster().api().check_conversion(&target, &Verb::List(ListOptions::default()))?;
    let (watch, receiver) = Watch::open(session.cluster(), target, query, format)?;
    Ok(Answer::Stream(Reply::stream(format.whole().content_type(), receiver), Stream::Watch(Box::new(watch))))
}

/// An answer of the API server's in the form that the client wants.
fn show(call: &Call, answer: &apiserver::Answer, format: Format, now: Time) -> Reply {
    let response = &answer.response;
    let code = match response {
        Response::Value(value) if value["kind"] == "Status" => {
            value["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(200)
        }
        _ if call.method == "POST" || answer.created => 201,
        _ => 200,
    };
    let value = match format.shape {
        Shape::Table(include) => response.to_table(include, now).map(|mut table| {
            table["metadata"] = metadata(response);
            table
        }),
        Shape::Metadata => match response {
            Response::Object(object) => Some(table::partial_metadata(object)),
            Response::List(list) => Some(json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": list.metadata(),
                "items": list.items.iter().map(table::partial_metadata).collect::<Vec<_>>(),
            })),
            Response::Value(_) => None,
        },
        Shape::Whole | Shape::Discovery => None,
    };
    let mut value = value.unwrap_or_else(|| in_version(&call.path, whole(response)));
    order::arrange(&mut value);
    Reply::value(code, &value, &format.whole())
}

/// An answer in the version that the path asks for.
fn in_version(path: &str, mut value: Value) -> Value {
    let Some(version) = address::asked_version(path) else { return value };
    let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) else {
        let is_own = value["kind"] == version.kind.info().kind;
        return if is_own { version.from_stored(value) } else { value };
    };
    for item in items {
        *item = version.from_stored(item.take());
        item.as_object_mut().into_iter().for_each(|fields| drop(fields.shift_remove("apiVersion")));
    }
    value["apiVersion"] = version.api_version().into();
    value
}

/// The metadata of a table: the list's, or the object's version.
fn metadata(response: &Response) -> Value {
    match response {
        Response::List(list) => list.metadata(),
        Response::Object(object) => json!({ "resourceVersion": version_of(object) }),
        Response::Value(value) => json!({ "resourceVersion": value["metadata"]["resourceVersion"] }),
    }
}

fn version_of(object: &Object) -> &str {
    object.metadata().resource_version.as_deref().unwrap_or("")
}

/// The answer as it is; items of a list say no kind of their own, as the list says it for them.
fn whole(response: &Response) -> Value {
    let mut value = response.wire();
    if let Response::List(_) = response {
        let items = value.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten();
        for fields in items.filter_map(Value::as_object_mut) {
            fields.shift_remove("kind");
            fields.shift_remove("apiVersion");
        }
    }
    value
}
