//! The HTTP door, opened in this process and spoken to over a socket. Simulated time passes only when a test says so.

#![cfg(not(target_arch = "wasm32"))]

use std::future::Future;
use std::time::Duration;

use expect_test::expect;
use kubetab::door::{self, Clock, Door};
use kubetab::session::{Action, Session, SessionConfig, SessionLog};
use kubetab::sim::Profile;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[path = "door/bounds.rs"]
mod bounds;
#[path = "door/reads.rs"]
mod reads;
#[path = "door/recorded.rs"]
mod recorded;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A client that knows just enough HTTP.
struct Client {
    port: u16,
    door: Door,
}

/// An answer's head and body.
struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn message(&self) -> String {
        let value = self.json();
        assert_eq!((&value["kind"], value["code"].as_u64()), (&json!("Status"), Some(u64::from(self.code))));
        value["message"].as_str().unwrap_or("").to_owned()
    }
}

type Connection = BufReader<TcpStream>;

impl Client {
    async fn open() -> Self {
        let profile = Profile { nodes: 2, node_prefix: "worker-".to_owned(), ..Profile::bare() };
        let config = SessionConfig { seed: 7, profile, ..SessionConfig::default() };
        let mut session = Session::new(config);
        session.run_until(session.now() + Duration::from_secs(30));
        let door = Door::open(session, Clock::Manual);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        tokio::spawn(door::serve(listener, door.clone()));
        Self { port, door }
    }

    /// Sends a request and reads the head of the answer.
    async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (Connection, u16, String) {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await.expect("it listens"));
        let mut head = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += "Host: localhost\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        stream.write_all(head.as_bytes()).await.expect("the head is taken");
        // A server that refuses need not read all of the body.
        let _ = stream.write_all(body).await;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.expect("a head") > 0 {}
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{head}"));
        (stream, code, head.to_ascii_lowercase())
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let (mut stream, code, head) = self.begin(method, path, headers, body).await;
        let mut body = String::new();
        stream.read_to_string(&mut body).await.expect("a body");
        Answer { code, head, body }
    }

    /// Lets time pass until there is an answer.
    async fn patient<T>(&self, answer: impl Future<Output = T>) -> T {
        let mut answer = std::pin::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(Duration::from_millis(50)) => self.door.advance(Duration::from_secs(1)).await,
            }
        }
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        self.send("GET", path, &[("Accept", accept)], b"").await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("Content-Type", "application/json"), ("User-Agent", "kubectl/v1.36.2 (linux/amd64)")];
        self.send("POST", path, &json, body.to_string().as_bytes()).await
    }
}

/// The next event of a watch: of a chunked body, the next line that is JSON.
async fn event(stream: &mut Connection) -> Value {
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.expect("the watch goes on") > 0, "the watch ended");
        if line.starts_with('{') {
            return serde_json::from_str(&line).expect("an event");
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test);
}

#[test]
fn clients_discover_what_is_served() {
    run(async {
        let client = Client::open().await;
        assert_eq!(client.get("/version", "*/*").await.json()["gitVersion"], "v1.36.2");
        for path in ["/healthz", "/livez", "/readyz"] {
            let answer = client.get(path, "text/plain").await;
            assert_eq!((answer.code, answer.body.as_str()), (200, "ok"));
        }
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        let groups = client.get("/apis", aggregated).await;
        assert!(
            groups.head.contains("content-type: application/json;g=apidiscovery.k8s.io;v=v2;as="),
            "{}",
            groups.head
        );
        assert_eq!(groups.json()["items"][1]["metadata"]["name"], "apps");
        let core = client.get("/api", aggregated).await.json();
        let resources = core["items"][0]["versions"][0]["resources"].as_array().cloned().unwrap_or_default();
        let pods = resources.iter().find(|resource| resource["resource"] == "pods").expect("pods are served");
        assert_eq!(pods["shortNames"], json!(["po"]));
        assert_eq!(
            pods["subresources"][3]["responseKind"],
            json!({"group": "policy", "version": "v1", "kind": "Eviction"})
        );
        let older = client.get("/apis/apps/v1", "application/json").await.json();
        assert_eq!((&older["kind"], &older["groupVersion"]), (&json!("APIResourceList"), &json!("apps/v1")));
        assert_eq!(client.get("/apis", "*/*").await.json()["groups"][1]["preferredVersion"]["groupVersion"], "apps/v1");
        let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
        let (mut stream, code, head) = client.begin("GET", "/openapi/v2", &[("Accept", protobuf)], b"").await;
        let mut body = Vec::new();
        stream.read_to_end(&mut body).await.expect("a body");
        let has = |text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(code == 200 && has("v1.36.2") && has("io.k8s.api.apps.v1.Deployment"), "{head}");
        let index = client.get("/openapi/v3", "application/json").await.json();
        let address = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().expect("a document").to_owned();
        let document = client.get(&address, "application/json").await.json();
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
        assert!(patch["parameters"].to_string().contains("fieldValidation"));
    });
}

#[test]
fn objects_are_written_and_shown_in_the_form_that_a_client_wants() {
    run(async {
        let client = Client::open().await;
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "datta": {"x": "1"}});
        let created = client.post(&format!("{CONFIG_MAPS}?fieldValidation=Warn"), &object).await;
        assert_eq!(created.code, 201);
        assert!(created.head.contains(r#"warning: 299 - "unknown field \"datta\"""#), "{}", created.head);
        assert_eq!(created.json()["metadata"]["namespace"], "default");
        let strict = client.post(&format!("{CONFIG_MAPS}?fieldValidation=Strict"), &object).await;
        assert_eq!(strict.code, 400);
        assert!(strict.message().contains("strict decoding error: unknown field \"datta\""), "{}", strict.body);

        let table =
            client.get(CONFIG_MAPS, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").await.json();
        assert_eq!((&table["kind"], &table["rows"][0]["cells"][0]), (&json!("Table"), &json!("a")));
        assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert!(table["metadata"]["resourceVersion"].is_string());
        let page = client.get(&format!("{CONFIG_MAPS}?limit=1"), "application/json").await.json();
        let token = page["metadata"]["continue"].as_str().expect("there is more").to_owned();
        assert_eq!(
            (page["items"].as_array().map(Vec::len), page["metadata"]["remainingItemCount"].as_u64()),
            (Some(1), Some(1))
        );
        let rest = client.get(&format!("{CONFIG_MAPS}?limit=1&continue={token}"), "*/*").await.json();
        assert_eq!(rest["items"][0]["metadata"]["name"], "kube-root-ca.crt");
        let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
        assert_eq!(client.get("/api/v1/nodes", metadata).await.json()["kind"], "PartialObjectMetadataList");
        let yaml = client.get(&format!("{CONFIG_MAPS}/a"), "application/yaml").await;
        assert!(yaml.body.starts_with("apiVersion: v1\n"), "{}", yaml.body);

        let merge = [("Content-Type", "application/merge-patch+json")];
        let patched = client.send("PATCH", &format!("{CONFIG_MAPS}/a"), &merge, br#"{"data":{"x":"2"}}"#).await;
        assert_eq!((patched.code, &patched.json()["data"]["x"]), (200, &json!("2")));
        let yaml = [("Content-Type", "application/yaml")];
        let written =
            client.send("PUT", &format!("{CONFIG_MAPS}/a"), &yaml, b"metadata: {name: a}\ndata: {x: '3'}").await;
        assert_eq!((written.code, &written.json()["data"]["x"]), (200, &json!("3")));
        // What is no list has no items: clients take what has them for one.
        assert!(written.json().get("items").is_none());
        let deleted = client.send("DELETE", &format!("{CONFIG_MAPS}/a?dryRun=All"), &[], b"").await;
        assert_eq!(deleted.code, 200);
        let deleted = client.send("DELETE", &format!("{CONFIG_MAPS}/a"), &[], b"").await;
        assert_eq!(deleted.json()["status"], "Success");
    });
}

#[test]
fn refusals_have_the_codes_of_the_real_server() {
    run(async {
        let client = Client::open().await;
        let named = |name: &str| json!({"metadata": {"name": name}});
        let missing = client.get(&format!("{CONFIG_MAPS}/none"), "*/*").await;
        assert_eq!((missing.code, missing.message().as_str()), (404, "configmaps \"none\" not found"));
        let nowhere = client.get("/api/v1/nosuch", "*/*").await;
        assert_eq!((nowhere.code, nowhere.json()["details"].clone()), (404, json!({})));
        assert_eq!(client.post(CONFIG_MAPS, &named("a")).await.code, 201);
        let twice = client.post(CONFIG_MAPS, &named("a")).await;
        assert_eq!((twice.code, twice.message().as_str()), (409, "configmaps \"a\" already exists"));
        assert_eq!(client.post(CONFIG_MAPS, &named("A")).await.code, 422);
        assert_eq!(client.post(&format!("{CONFIG_MAPS}?dryRun=Some"), &named("b")).await.code, 422);
        assert_eq!(client.send("PUT", "/api/v1/namespaces", &[], b"{}").await.code, 405);
        assert_eq!(client.get("/api/v1/nodes", "application/vnd.kubernetes.protobuf").await.code, 406);
        let typed = |content_type| [("Content-Type", content_type)];
        for (method, path, content_type) in [
            ("POST", CONFIG_MAPS.to_owned(), "application/vnd.kubernetes.protobuf"),
            ("PATCH", format!("{CONFIG_MAPS}/a"), "application/patch+yaml"),
            ("PATCH", format!("{CONFIG_MAPS}/a"), "application/json"),
        ] {
            assert_eq!(
                client.send(method, &path, &typed(content_type), b"{}").await.code,
                415,
                "{method} {content_type}"
            );
        }
        let deep = "[".repeat(10_000);
        for body in [&b"{"[..], b"\xff\xfe{", b"nonsense", deep.as_bytes(), b"{\"metadata\": 3}", b""] {
            let answer = client.send("POST", CONFIG_MAPS, &typed("application/json"), body).await;
            assert!(matches!(answer.code, 400 | 422), "{}", answer.body);
        }
        let large = vec![b' '; (3 << 20) + 1];
        let answer = client.send("POST", CONFIG_MAPS, &typed("application/json"), &large).await;
        assert_eq!((answer.code, answer.message().as_str()), (413, "Request entity too large: limit is 3145728"));
        assert_eq!(client.send("GET", "/api/v1/nodes", &[("Host", "evil.example")], b"").await.code, 403);
        let climbed = client.get("/api/v1/namespaces/default/pods/..%2f..%2fx", "*/*").await;
        assert_eq!(climbed.code, 404);
    });
}

/// Each line is a request: its method, its path, its content type and its body.
const REFUSED: &str = r#"
GET configmaps?limit=1&continue=abc - -
GET configmaps?resourceVersion=abc - -
GET configmaps?resourceVersion=99999999 - -
GET configmaps?watch=1&timeoutSeconds=abc - -
GET configmaps/a?resourceVersion=abc - -
POST configmaps application/json -
POST configmaps application/json []
POST configmaps application/json {"kind":"ConfigMap","apiVersion":"v2","metadata":{"name":"x"}}
POST configmaps application/json {"metadata":{"name":"b","resourceVersion":"5"}}
POST configmaps?fieldManager=a%01b application/json {"metadata":{"name":"b"}}
PUT configmaps/a application/json {"metadata":{"name":"a","resourceVersion":"abc"}}
PUT configmaps/a application/json {"metadata":{}}
PATCH configmaps/a application/merge-patch+json {
PATCH configmaps/a application/strategic-merge-patch+json {a}
DELETE configmaps/a?orphanDependents=true&propagationPolicy=Foreground - -
POST serviceaccounts/default/token application/json {"spec":{"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"none"}}}
POST serviceaccounts/default/token application/json {"spec":{"boundObjectRef":{"apiVersion":"v1","kind":"ConfigMap","name":"a"}}}
POST pods/p/binding application/json {"metadata":{"name":"p"},"target":{"kind":"Pod"}}
GET pods/p/log?tailLines=-1&sinceSeconds=0 - -
"#;

#[test]
fn refusals_are_in_the_words_of_the_real_server() {
    run(async {
        let client = Client::open().await;
        assert_eq!(client.post(CONFIG_MAPS, &json!({"metadata": {"name": "a"}})).await.code, 201);
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}});
        assert_eq!(client.post("/api/v1/namespaces/default/pods", &pod).await.code, 201);
        let mut told = String::new();
        for line in REFUSED.lines().filter(|line| !line.is_empty()) {
            let parts: Vec<&str> = line.splitn(4, ' ').collect();
            let [method, path, content_type, body] = parts[..] else { panic!("{line}") };
            let (path, body) = (format!("/api/v1/namespaces/default/{path}"), body.strip_prefix('-').unwrap_or(body));
            let headers = [("Content-Type", content_type)];
            let headers = if content_type == "-" { &[][..] } else { &headers };
            let answer = client.patient(client.send(method, &path, headers, body.as_bytes())).await;
            // What is current hangs on all that the cluster did so far.
            told += &format!("{} {}\n", answer.code, answer.message().split(", current").next().unwrap_or(""));
        }
        expect![[r#"
            400 invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value
            400 invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax
            504 Timeout: Too large resource version: 99999999
            400 strconv.ParseInt: parsing "abc": invalid syntax
            500 resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax
            400 the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)
            400 the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" } (5b5d)
            400 ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v2" in scheme "pkg/api/legacyscheme/scheme.go:30"
            500 resourceVersion should not be set on objects to be created
            422 CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "a\x01b": invalid character U+0001 (at position 1)
            500 strconv.ParseUint: parsing "abc": invalid syntax
            400 the name of the object (a based on URL) was undeterminable: name must be provided
            400 error decoding patch: unexpected end of JSON input
            400 invalid character 'a' looking for beginning of object key string
            422 DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Foreground": orphanDependents and deletionPropagation cannot be both set
            404 pods "none" not found
            400 cannot bind token to object of type /v1, Kind=ConfigMap
            500 [target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>", target.name: Required value]
            422 PodLogOptions "p" is invalid: [tailLines: Invalid value: -1: must be greater than or equal to 0, sinceSeconds: Invalid value: 0: must be greater than 0]
        "#]].assert_eq(&told);
    });
}

#[test]
fn watches_see_changes_in_order_and_as_their_selectors_mean_them() {
    run(async {
        let client = Client::open().await;
        let object = json!({"metadata": {"name": "a", "labels": {"app": "x"}}});
        assert_eq!(client.post(CONFIG_MAPS, &object).await.code, 201);
        let path = format!("{CONFIG_MAPS}?watch=1&labelSelector=app%3Dx&allowWatchBookmarks=true&timeoutSeconds=90");
        let (mut watch, code, _) = client.begin("GET", &path, &[], b"").await;
        assert_eq!(code, 200);
        let first = event(&mut watch).await;
        assert_eq!((&first["type"], &first["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("a")));
        let merge = [("Content-Type", "application/merge-patch+json")];
        for app in ["y", "x"] {
            let patch = json!({"metadata": {"labels": {"app": app}}}).to_string();
            client.send("PATCH", &format!("{CONFIG_MAPS}/a"), &merge, patch.as_bytes()).await;
        }
        let gone = event(&mut watch).await;
        assert_eq!((&gone["type"], &gone["object"]["metadata"]["labels"]["app"]), (&json!("DELETED"), &json!("x")));
        assert_eq!(event(&mut watch).await["type"], "ADDED");
        client.send("DELETE", &format!("{CONFIG_MAPS}/a"), &[], b"").await;
        assert_eq!(event(&mut watch).await["type"], "DELETED");
        client.door.advance(Duration::from_secs(61)).await;
        assert_eq!(event(&mut watch).await["type"], "BOOKMARK");
        client.door.advance(Duration::from_secs(40)).await;
        let mut rest = String::new();
        watch.read_to_string(&mut rest).await.expect("it ends by itself");
        assert!(!rest.contains("ERROR"), "{rest}");

        let listed = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let (mut watch, ..) = client.begin("GET", &format!("{CONFIG_MAPS}?watch=1&{listed}"), &[], b"").await;
        assert_eq!(event(&mut watch).await["object"]["metadata"]["name"], "kube-root-ca.crt");
        let bookmark = event(&mut watch).await;
        assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
        assert_eq!(client.get(&format!("{CONFIG_MAPS}?watch=1&sendInitialEvents=true"), "*/*").await.code, 422);

        // History older than two compactions is gone.
        client.door.advance(Duration::from_secs(700)).await;
        let late = client.get(&format!("{CONFIG_MAPS}?watch=1&resourceVersion=1"), "*/*").await;
        assert!(late.body.contains(r#""reason":"Expired""#) && late.body.contains(r#""code":410"#), "{}", late.body);
    });
}

#[test]
fn the_cluster_runs_can_be_acted_on_and_its_log_plays_again() {
    run(async {
        let client = Client::open().await;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", "echo hello; sleep 9; echo bye"]}]},
        });
        assert_eq!(client.post("/api/v1/namespaces/default/pods", &pod).await.code, 201);
        let action = json!({"addNode": {"name": "extra", "labels": {}, "taints": [], "capacity": {"cpu": "1", "memory": "1Gi", "pods": "9"}}});
        assert_eq!(client.post("/kubetab/v1/actions", &action).await.code, 200);
        assert_eq!(client.post("/kubetab/v1/actions", &action).await.code, 422);
        assert_eq!(client.post("/kubetab/v1/actions", &json!({"nonsense": {}})).await.code, 400);
        client.door.advance(Duration::from_secs(8)).await;
        assert_eq!(client.get("/api/v1/nodes", "*/*").await.json()["items"].as_array().map(Vec::len), Some(3));
        let log = client.get("/api/v1/namespaces/default/pods/p/log", "application/json, */*").await;
        assert_eq!((log.code, log.body.as_str()), (200, "hello\n"));
        let path = "/api/v1/namespaces/default/pods/p/log?follow=true&tailLines=1";
        let (mut follow, code, _) = client.begin("GET", path, &[], b"").await;
        assert_eq!(code, 200);
        let before = client.get("/api/v1/namespaces/default/pods/p", "*/*").await.json();
        assert_eq!(before["status"]["phase"], "Running");
        // The container ends while its log is followed, and its last words are heard.
        for _ in 0..100 {
            client.door.advance(Duration::from_millis(200)).await;
        }
        let mut said = String::new();
        follow.read_to_string(&mut said).await.expect("it ends with the container");
        let said: Vec<&str> = said.lines().filter(|line| matches!(*line, "hello" | "bye")).collect();
        assert_eq!(said, ["hello", "bye"]);
        let session = client.get("/kubetab/v1/session", "*/*").await;
        let replayed = Session::from_log(SessionLog::from_json(&session.body).expect("a session"));
        let etcd = replayed.cluster().api().etcd();
        assert_eq!(
            etcd.revision().to_string(),
            client.get("/api/v1/nodes", "*/*").await.json()["metadata"]["resourceVersion"].as_str().unwrap_or("")
        );
    });
}

#[test]
fn objects_are_applied_by_parts_and_conflicts_are_told() {
    run(async {
        let client = Client::open().await;
        let apply = async |query: &str, body: &str| {
            let headers = [("Content-Type", "application/apply-patch+yaml"), ("User-Agent", "argo/v1")];
            client.send("PATCH", &format!("{CONFIG_MAPS}/a?{query}"), &headers, body.as_bytes()).await
        };
        let one = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata: {x: '1'}\n";
        let nameless = apply("", one).await;
        assert_eq!(
            (nameless.code, nameless.message().as_str()),
            (
                422,
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
            )
        );
        let created = apply("fieldManager=one", one).await;
        assert_eq!(created.code, 201, "{}", created.body);
        assert_eq!(created.json()["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:data": {"f:x": {}}}));
        assert_eq!(apply("fieldManager=one", one).await.code, 200);
        let conflict = apply("fieldManager=two", &one.replace("'1'", "'2'")).await;
        assert_eq!(
            conflict.json(),
            json!({
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": "Apply failed with 1 conflict: conflict with \"one\": .data.x",
                "reason": "Conflict",
                "details": {"causes": [
                    {"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.x"},
                ]},
                "code": 409,
            })
        );
        let forced = apply("fieldManager=two&force=true", &one.replace("'1'", "'2'")).await.json();
        assert_eq!(forced["data"]["x"], "2");
        // Whoever writes without a word is known by its program's name.
        let merge = [("Content-Type", "application/merge-patch+json"), ("User-Agent", "k9s/v0.50 (linux)")];
        let patched = client.send("PATCH", &format!("{CONFIG_MAPS}/a"), &merge, br#"{"data":{"x":"3"}}"#).await.json();
        let entries = patched["metadata"]["managedFields"].as_array().expect("owners").clone();
        assert_eq!(entries.len(), 1);
        assert_eq!((&entries[0]["manager"], &entries[0]["operation"]), (&json!("k9s"), &json!("Update")));
        let list = client.get(CONFIG_MAPS, "application/json").await.json();
        assert_eq!(list["items"][0]["metadata"]["managedFields"], json!(entries));
        let bad = apply("fieldManager=one", &one.replace("data: {", "datta: {")).await;
        assert_eq!(
            (bad.code, bad.message().as_str()),
            (
                500,
                "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .datta: field not declared in schema"
            )
        );
        let other = apply("fieldManager=one", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n").await;
        assert_eq!((other.code, other.message().as_str()), (400, "invalid object type: /v1, Kind=Secret"));
        let owned = one.replace("  name: a", "  name: a\n  managedFields: []");
        assert_eq!(apply("fieldManager=one", &owned).await.message(), "metadata.managedFields must be nil");
        let merge = client.send("PATCH", &format!("{CONFIG_MAPS}/a?force=true"), &merge, b"{}").await;
        assert!(
            merge.message().contains("force: Forbidden: may not be specified for non-apply patch"),
            "{}",
            merge.body
        );
    });
}

#[test]
fn lists_go_on_where_they_were_and_say_when_they_cannot() {
    run(async {
        let client = Client::open().await;
        let page = client.get("/api/v1/nodes?limit=1", "*/*").await.json();
        let token = page["metadata"]["continue"].as_str().expect("there is more").to_owned();
        let rest = client.get(&format!("/api/v1/nodes?limit=1&continue={token}"), "*/*").await.json();
        assert_eq!(rest["metadata"]["resourceVersion"], page["metadata"]["resourceVersion"]);
        // History older than two compactions is gone.
        client.door.advance(Duration::from_secs(700)).await;
        let late = client.get(&format!("/api/v1/nodes?limit=1&continue={token}"), "*/*").await;
        let status = late.json();
        assert_eq!((late.code, &status["reason"]), (410, &json!("Expired")));
        let token = status["metadata"]["continue"].as_str().expect("a token that goes on all the same").to_owned();
        let rest = client.get(&format!("/api/v1/nodes?limit=1&continue={token}"), "*/*").await.json();
        assert_eq!(rest["items"][0]["metadata"]["name"], "worker-2");
        for (query, code) in [
            ("continue=nonsense", 400),
            ("resourceVersionMatch=Exact", 422),
            ("resourceVersionMatch=Exact&resourceVersion=0", 422),
            ("resourceVersionMatch=Odd&resourceVersion=1", 422),
        ] {
            assert_eq!(client.get(&format!("/api/v1/nodes?{query}"), "*/*").await.code, code, "{query}");
        }
    });
}

#[test]
fn whoever_is_impersonated_stands_in_the_log() {
    run(async {
        let client = Client::open().await;
        let body = json!({"metadata": {"name": "a"}}).to_string();
        let json_type = ("Content-Type", "application/json");
        let jane =
            [json_type, ("Impersonate-User", "jane"), ("Impersonate-Group", "dev"), ("Impersonate-Extra-Scope", "x")];
        let refused = client.send("POST", CONFIG_MAPS, &jane, body.as_bytes()).await;
        let why = "configmaps is forbidden: User \"jane\" cannot create resource \"configmaps\" in API group \"\" in the \
                   namespace \"default\"";
        assert_eq!((refused.code, refused.message().as_str()), (403, why));
        let binding = json!({
            "metadata": {"name": "developers"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"}],
        });
        let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        assert_eq!(client.post(bindings, &binding).await.code, 201);
        assert_eq!(client.send("POST", CONFIG_MAPS, &jane, body.as_bytes()).await.code, 201);
        let nobody = [json_type, ("Impersonate-Group", "dev")];
        assert_eq!(client.send("POST", CONFIG_MAPS, &nobody, body.as_bytes()).await.code, 500);
        let (log, _) = client.door.log().await.expect("the session goes on");
        let Some(Action::Request(call)) = log.entries.last().map(|entry| &entry.action) else { panic!("{log:?}") };
        let user = call.user.clone().expect("somebody else");
        assert_eq!(
            (user.name.as_str(), user.groups),
            ("jane", vec!["dev".to_owned(), "system:authenticated".to_owned()])
        );
        assert_eq!(user.extra, [("scope".to_owned(), "x".to_owned())]);
    });
}

/// A right to be one user gives none of the groups that could be asked for with it.
#[test]
fn streams_are_opened_by_those_who_may_and_in_a_protocol_that_is_known() {
    run(async {
        let client = Client::open().await;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "busybox:1.36", "command": ["sleep", "999"]}]},
        });
        assert_eq!(client.post("/api/v1/namespaces/default/pods", &pod).await.code, 201);
        let path = "/api/v1/namespaces/default/pods/p/exec?command=ls&stdout=true";
        let web = [
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ("Sec-WebSocket-Version", "13"),
        ];
        let with = |more: &[(&'static str, &'static str)]| [&web[..], more].concat();
        let early = client.send("GET", path, &with(&[("Sec-WebSocket-Protocol", "v5.channel.k8s.io")]), b"").await;
        assert_eq!((early.code, early.message().as_str()), (400, "pod p does not have a host assigned"));
        client.door.advance(Duration::from_secs(5)).await;
        assert_eq!(client.get(path, "*/*").await.message(), "Upgrade request required");
        let unknown = client.send("GET", path, &with(&[("Sec-WebSocket-Protocol", "v9.channel.k8s.io")]), b"").await;
        assert_eq!(unknown.code, 403);
        let own = [("Sec-WebSocket-Protocol", "v5.channel.k8s.io"), ("Origin", "http://localhost:8080")];
        let (_, code, head) = client.begin("GET", path, &with(&own), b"").await;
        assert_eq!(code, 101);
        assert!(head.contains("sec-websocket-accept: ") && head.contains("v5.channel.k8s.io"), "{head}");
        let stranger = [("Sec-WebSocket-Protocol", "v5.channel.k8s.io"), ("Origin", "https://evil.example")];
        assert_eq!(client.send("GET", path, &with(&stranger), b"").await.code, 403);
        // Scripts may do the same by an action.
        let exec = json!({"exec": {"namespace": "default", "pod": "p", "command": ["touch", "/tmp/a"]}});
        assert_eq!(client.post("/kubetab/v1/actions", &exec).await.code, 200);
        let nonsense = json!({"exec": {"namespace": "default", "pod": "p", "command": ["nonsense"]}});
        assert_eq!(client.post("/kubetab/v1/actions", &nonsense).await.code, 422);
    });
}
