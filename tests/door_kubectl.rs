//! A real kubectl against the HTTP door, where one is on the PATH.
//!
//! What kubectl itself prints differs between its versions; looked at is only what the server makes it print.

#![cfg(not(target_arch = "wasm32"))]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kubetab::door::{self, Clock, Door};
use kubetab::session::{Action, Session, SessionConfig};
use kubetab::sim::Profile;
use tokio::net::TcpListener;

#[path = "door/verbs.rs"]
mod verbs;

/// How many simulated seconds pass in a real one.
const SPEED: f64 = 20.0;

/// A cluster behind a door, in this process, with kubectl beside it.
struct Cluster {
    directory: PathBuf,
    door: Door,
    runtime: tokio::runtime::Runtime,
}

/// What a command came to.
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Said {
    /// Its output, when it succeeded.
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.error);
        self.out
    }

    /// What it complained of, when it failed.
    fn failed(self) -> String {
        assert_ne!(self.code, Some(0), "{}", self.out);
        self.error
    }
}

fn kubectl_is_there() -> bool {
    let found =
        Command::new("kubectl").args(["version", "--client"]).output().is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED: there is no kubectl on the PATH, so nothing was tried with a real one");
    }
    found
}

impl Cluster {
    fn open(name: &str) -> Option<Self> {
        if !kubectl_is_there() {
            return None;
        }
        let directory = std::env::temp_dir().join(format!("kubetab-door-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory of our own");
        let profile = Profile { nodes: 3, node_prefix: "worker-".to_owned(), ..Profile::bare() };
        let mut session = Session::new(SessionConfig { seed: 3, profile, ..SessionConfig::default() });
        session.run_until(session.now() + Duration::from_secs(60));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (door, port) = runtime.block_on(async {
            let door = Door::open(session, Clock::Real(SPEED));
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = listener.local_addr().expect("it is bound").port();
            tokio::spawn(door::serve(listener, door.clone()));
            (door, port)
        });
        let config = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\ncurrent-context: c\n"
        );
        std::fs::write(directory.join("config"), config).expect("it can be written");
        Some(Self { directory, door, runtime })
    }

    /// Runs a command of a shell's, in which `$KUBECONFIG` leads to the cluster.
    fn sh(&self, command: &str, input: &str) -> Said {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .current_dir(&self.directory)
            .env("KUBECONFIG", self.directory.join("config"))
            .env("HOME", &self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that does not read is none the worse for it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: status.code(), out: text(stdout), error: text(stderr) }
    }

    fn kubectl(&self, line: &str) -> Said {
        self.sh(&format!("kubectl {line}"), "")
    }

    fn apply(&self, manifest: &str) -> String {
        self.sh("kubectl apply -f -", manifest).ok()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What is left in the directory for temporary files is the system's to clean up.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: 'nginx:1.27', ports: [{containerPort: 80}]}]
";

const WIDGETS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.shop.example}
spec:
  group: shop.example
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Size, type: string, jsonPath: .spec.size}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: string, enum: [small, large], description: How large it is.}
              replicas: {type: integer, default: 1}
";

const BOX: &str = "
apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  containers: [{name: box, image: 'busybox:1.36', command: [sh, -c, 'echo begun; sleep 86400']}]
";

#[test]
fn workloads_are_rolled_out_looked_at_and_taken_away() {
    let Some(cluster) = Cluster::open("workloads") else { return };
    assert_eq!(cluster.apply(WEB), "deployment.apps/web created\n");
    let rolled = cluster.kubectl("rollout status deployment/web --timeout=60s").ok();
    assert!(rolled.contains("successfully rolled out"), "{rolled}");
    assert_eq!(cluster.apply(&WEB.replace("replicas: 3", "replicas: 2")), "deployment.apps/web configured\n");
    assert_eq!(cluster.apply(&WEB.replace("replicas: 3", "replicas: 2")), "deployment.apps/web unchanged\n");
    cluster.kubectl("set image deployment/web web=nginx:1.28").ok();
    cluster.kubectl("rollout status deployment/web --timeout=60s").ok();
    assert!(cluster.kubectl("rollout history deployment/web").ok().contains("\n2"));
    cluster.kubectl("rollout undo deployment/web").ok();
    cluster.kubectl("scale deployment/web --replicas=1").ok();
    cluster.kubectl("wait deployment/web --for=jsonpath={.status.replicas}=1 --timeout=60s").ok();
    let wide = cluster.kubectl("get deployment web -o wide").ok();
    assert!(wide.contains("CONTAINERS") && wide.contains("nginx:1.27"), "{wide}");
    for form in ["json", "yaml", "name", "jsonpath={.metadata.name}", "custom-columns=A:.metadata.name"] {
        assert!(cluster.kubectl(&format!("get deployment web -o '{form}'")).ok().contains("web"), "{form}");
    }
    assert!(cluster.kubectl("describe deployment web").ok().contains("ScalingReplicaSet"));
    for (kind, patch) in [
        ("merge", r#"{"spec":{"template":{"metadata":{"annotations":{"a":"1"}}}}}"#),
        (
            "strategic",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"}]}]}}}}"#,
        ),
        ("json", r#"[{"op":"replace","path":"/spec/replicas","value":2}]"#),
    ] {
        let patched = cluster.kubectl(&format!("patch deployment web --type {kind} -p '{patch}'")).ok();
        assert_eq!(patched, "deployment.apps/web patched\n");
    }
    let image = cluster.kubectl("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}").ok();
    assert_eq!(image, "nginx:1.27", "the strategic patch merged by name");
    cluster.kubectl("label deployment web a=b").ok();
    cluster.kubectl("annotate deployment web a=b").ok();
    let differs = cluster.sh("kubectl diff -f -", &WEB.replace("1.27", "1.29"));
    assert_eq!(differs.code, Some(1), "{}", differs.error);
    assert!(differs.out.contains("+") && differs.out.contains("nginx:1.29"), "{}", differs.out);
    cluster.kubectl("taint node worker-1 a=b:NoSchedule").ok();
    cluster.kubectl("cordon worker-2").ok();
    let drained = cluster.kubectl("drain worker-3 --ignore-daemonsets --force --timeout=60s").ok();
    assert!(drained.contains("node/worker-3 drained"), "{drained}");
    cluster.kubectl("delete deployment web --cascade=orphan").ok();
    assert!(cluster.kubectl("get replicaset -o name").ok().contains("replicaset.apps/web-"));
    cluster.kubectl("delete replicaset,pod --all --cascade=foreground --timeout=120s").ok();
    assert_eq!(cluster.kubectl("get pods -o name").ok(), "");
    assert!(cluster.kubectl("get pod none").failed().contains("pods \"none\" not found"));
}

#[test]
fn commands_run_in_containers_and_are_played_again() {
    let Some(cluster) = Cluster::open("exec") else { return };
    cluster.apply(BOX);
    cluster.kubectl("wait pod/box --for=condition=Ready --timeout=60s").ok();
    for sockets in ["true", "false"] {
        let set = format!("export KUBECTL_REMOTE_COMMAND_WEBSOCKETS={sockets}; kubectl");
        let said = cluster.sh(&format!("{set} exec box -- sh -c 'echo out; echo problem >&2; exit 3'"), "");
        assert_eq!((said.code, said.out.as_str()), (Some(3), "out\n"), "{}", said.error);
        assert!(said.error.starts_with("problem\n") && said.error.contains("exit code 3"), "{}", said.error);
        assert_eq!(cluster.sh(&format!("{set} exec -i box -- cat"), "piped in\n").ok(), "piped in\n");
        let missing = cluster.sh(&format!("{set} exec box -- nonsense"), "").failed();
        assert!(missing.contains("executable file not found in $PATH"), "{missing}");
    }
    let large = "0123456789abcdef\n".repeat(20_000);
    assert_eq!(
        cluster.sh("kubectl exec -i box -- sh -c 'cat > /tmp/large; wc -c < /tmp/large'", &large).ok().trim(),
        "340000"
    );
    assert!(cluster.kubectl("exec box -c nobody -- ls").failed().contains("container nobody is not valid for pod box"));
    assert!(cluster.kubectl("exec none -- ls").failed().contains("pods \"none\" not found"));
    assert_eq!(cluster.kubectl("logs box").ok(), "begun\n");
    assert_eq!(cluster.sh("timeout 2 kubectl logs -f box", "").out, "begun\n");
    cluster.sh("echo copied > file && kubectl cp file box:/tmp/there", "").ok();
    assert_eq!(cluster.kubectl("exec box -- cat /tmp/there").ok(), "copied\n");
    cluster.sh("kubectl cp box:/tmp/there back", "").ok();
    assert_eq!(cluster.sh("cat back", "").ok(), "copied\n");
    let attached =
        cluster.sh("kubectl run -i --rm --restart=Never --image=busybox:1.36 cat -- cat", "to the container\n").ok();
    assert!(attached.contains("to the container\n"), "{attached}");
    let (log, hash) = cluster.runtime.block_on(cluster.door.log()).expect("the session goes on");
    let again = Session::from_log(log);
    assert_eq!(again.hash(), hash, "all that was done in containers is done again");
    let commands = again.entries().iter().filter_map(|entry| match &entry.action {
        Action::Exec(command) => Some(command.command.join(" ")),
        _ => None,
    });
    let commands: Vec<String> = commands.collect();
    assert!(commands.len() >= 8, "{commands:?}");
    assert!(!commands.iter().any(|command| command == "nonsense"), "what is refused leaves no trace: {commands:?}");
}

#[test]
fn custom_resources_are_like_any_others() {
    let Some(cluster) = Cluster::open("custom") else { return };
    cluster.apply(WIDGETS);
    cluster.kubectl("wait --for=condition=Established crd/widgets.shop.example --timeout=30s").ok();
    assert!(cluster.kubectl("api-resources --api-group=shop.example").ok().contains("widgets   wd"));
    let widget = "apiVersion: shop.example/v1\nkind: Widget\nmetadata: {name: one}\nspec: {size: small}\n";
    cluster.apply(widget);
    let table = cluster.kubectl("get wd").ok();
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    assert_eq!(words, [["NAME", "SIZE", "REPLICAS"], ["one", "small", "1"]]);
    assert!(cluster.kubectl("get all").ok().contains("widget.shop.example/one"));
    assert!(cluster.kubectl("explain widget.spec.size").ok().contains("How large it is."));
    assert!(cluster.kubectl("explain widget.metadata").ok().contains("ownerReferences"));
    cluster.apply(&widget.replace("small", "large"));
    cluster.kubectl("scale wd one --replicas=3").ok();
    assert_eq!(cluster.kubectl("get wd one -o jsonpath='{.spec.size} {.spec.replicas}'").ok(), "large 3");
    let huge = widget.replace("small", "huge");
    let refused = cluster.sh("kubectl apply -f -", &huge).failed();
    assert!(
        refused.contains("spec.size: Unsupported value: \"huge\": supported values: \"small\", \"large\""),
        "{refused}"
    );
    let other = cluster.sh("kubectl apply --server-side --field-manager=other -f -", widget).failed();
    assert!(other.contains("conflict with \"kubectl-client-side-apply\""), "{other}");
    let strategic = cluster.kubectl("patch wd one -p '{}'").failed();
    assert!(strategic.contains("is not supported by shop.example/v1, Kind=Widget"), "{strategic}");
    cluster.kubectl("delete crd widgets.shop.example").ok();
    let gone = cluster.kubectl("get wd").failed();
    assert!(gone.contains("the server could not find the requested resource (get widgets.shop.example)"), "{gone}");
}

#[test]
fn ports_are_forwarded() {
    let Some(cluster) = Cluster::open("ports") else { return };
    if Command::new("curl").arg("--version").output().is_err() {
        println!("SKIPPED: there is no curl on the PATH");
        return;
    }
    cluster.kubectl("run web --image=nginx:1.27 --port=80").ok();
    cluster.kubectl("wait pod/web --for=condition=Ready --timeout=60s").ok();
    for sockets in ["true", "false"] {
        let script = format!(
            "export KUBECTL_PORT_FORWARD_WEBSOCKETS={sockets}
             kubectl port-forward pod/web :80 > forwarded 2>&1 & forward=$!
             for try in 1 2 3 4 5 6 7 8 9 10; do grep -q 'Forwarding from 127' forwarded && break; sleep 0.3; done
             port=$(sed -n 's/Forwarding from 127.0.0.1:\\([0-9]*\\) .*/\\1/p' forwarded)
             curl -s http://127.0.0.1:$port/ http://127.0.0.1:$port/missing
             kill $forward"
        );
        let said = cluster.sh(&script, "");
        assert!(
            said.out.contains("Welcome to nginx!") && said.out.contains("404 Not Found"),
            "{}{}",
            said.out,
            said.error
        );
    }
    cluster.kubectl("expose pod web --port=8080 --target-port=80").ok();
    let place = "/api/v1/namespaces/default";
    for server in ["pods/web", "pods/web:80", "services/web", "services/web:8080"] {
        let answered = cluster.kubectl(&format!("get --raw {place}/{server}/proxy/")).ok();
        assert!(answered.contains("Welcome to nginx!"), "{server}: {answered}");
    }
    let refused = cluster.kubectl(&format!("get --raw {place}/pods/web:81/proxy/")).failed();
    assert!(refused.contains(":81: connect: connection refused"), "{refused}");
    let logs = cluster.kubectl("logs web").ok();
    assert!(logs.contains("\"GET / HTTP/1.1\" 200") && logs.contains("\"GET /missing HTTP/1.1\" 404"), "{logs}");
}

#[test]
fn kinds_are_listed_and_explained() {
    let Some(cluster) = Cluster::open("explain") else { return };
    let versions = cluster.kubectl("api-versions").ok();
    assert!(versions.lines().any(|line| line == "apps/v1") && versions.lines().last() == Some("v1"), "{versions}");
    let resources = cluster.kubectl("api-resources --no-headers").ok();
    assert!(resources.lines().next().is_some_and(|line| line.starts_with("bindings ")), "{resources}");
    let explained = cluster.kubectl("explain pod.spec.containers").ok();
    for part in [
        "KIND:       Pod\nVERSION:    v1\n\nFIELD: containers <[]Container>\n",
        "\nFIELDS:\n  args\t<[]string>\n",
        "  name\t<string> -required-\n",
        "  livenessProbe\t<Probe>\n",
    ] {
        assert!(explained.contains(part), "{part:?} in {explained}");
    }
    let deep = cluster.kubectl("explain deployment --recursive").ok();
    assert!(deep.starts_with("GROUP:      apps\nKIND:       Deployment\nVERSION:    v1\n"), "{deep}");
    assert!(deep.contains("          containerPort\t<integer> -required-\n"), "{deep}");
    assert!(cluster.kubectl("explain pod.nosuch").failed().contains("field \"nosuch\" does not exist"));
    assert!(cluster.kubectl("get --raw /readyz?verbose").ok().contains("[+]etcd ok\n"));
    assert!(cluster.kubectl("get --raw /metrics").ok().contains("apiserver_request_total{code=\"200\""));
    assert!(cluster.kubectl("version").ok().contains("Server Version: v1.36.2"));
}
