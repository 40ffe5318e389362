//! The recorded cases of `tests/cases/podlife`, played on the bench: a reader of the few commands that they use.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

use crate::api::{Kind, Object, Resource, form};

use super::super::NodeConfig;
use super::harness::{Bench, python};

/// What each command of a case takes.
const COMMAND_TIME: &str = "0.3s";

fn read(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/podlife").join(name);
    let text = std::fs::read_to_string(&path).expect("the case can be read");
    serde_yaml::from_str(&text).expect("the case is YAML")
}

/// Plays a case; says what was answered other than recorded.
///
/// When within a second the kubelet looks at its runtime is chance, and the recordings fell on different moments: the
/// case holds when it does for one of them.
pub(super) fn play(name: &str) -> String {
    let moments = ["70.1s", "70.3s", "70.5s", "70.7s", "70.9s"];
    let tries = moments.iter().map(|start| play_from(name, start));
    tries.min_by_key(String::len).unwrap_or_default()
}

fn play_from(name: &str, start: &str) -> String {
    let (case, recorded) = (read(&format!("{name}.yaml")), read(&format!("{name}.recorded.yaml")));
    let mut player = Player::new(start);
    let steps = case["steps"].as_array().expect("a case has steps");
    let mut differences = String::new();
    for (index, step) in steps.iter().enumerate() {
        let answer = recorded.get(index).cloned().unwrap_or_default();
        if let Some(difference) = player.step(step, &answer) {
            let what = step["run"].as_str().or_else(|| step["until"].as_str()).unwrap_or("");
            writeln!(differences, "step {index}: {what}\n{difference}").expect("a text grows");
        }
    }
    if !differences.is_empty() {
        write!(differences, "{}", player.bench.history("p")).expect("a text grows");
    }
    differences
}

struct Player {
    bench: Bench,
}

impl Player {
    fn new(start: &str) -> Self {
        let images = ["nginx:1.25", "nginx:1.27", "busybox:1.36"];
        let mut bench =
            Bench::with(NodeConfig { preloaded_images: images.map(str::to_owned).to_vec(), ..NodeConfig::default() });
        bench.run(start);
        Self { bench }
    }

    fn step(&mut self, step: &Value, answer: &Value) -> Option<String> {
        if let Some(sleep) = step["sleep"].as_str() {
            self.bench.run(sleep);
            return None;
        }
        if let Some(until) = step["until"].as_str() {
            return self.until(until, step["for"].as_str().unwrap_or("60s"));
        }
        let run = step["run"].as_str().unwrap_or("");
        let watches = step["watch"].as_array().map_or(0, Vec::len);
        let stdin = step["stdin"].as_str().unwrap_or("");
        let hidden: Vec<&str> = step["hide"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.bench.run(COMMAND_TIME);
        let got = self.run(run, stdin);
        self.bench.run(&format!("{watches}s"));
        let expected = match &answer["json"] {
            Value::Null => answer["stdout"].as_str().unwrap_or("").to_owned(),
            json => python(&sorted(json)),
        };
        let (got, expected) = (normal(&got?, &hidden), normal(&expected, &hidden));
        (got != expected).then(|| format!("--- recorded\n{expected}--- here\n{got}"))
    }

    fn until(&mut self, condition: &str, limit: &str) -> Option<String> {
        let limit: u32 = limit.trim_end_matches('s').parse().expect("seconds");
        for _ in 0..limit * 2 {
            if self.holds(condition) {
                return None;
            }
            self.bench.run("0.5s");
        }
        Some(format!("never held: {}\n", self.line("p")))
    }

    fn holds(&self, condition: &str) -> bool {
        if condition.starts_with("! kubectl get pod p") {
            return self.bench.pod("p").is_none();
        }
        let (_, wanted) = condition.rsplit_once(' ').expect("a condition ends with a word");
        self.line("p").contains(wanted)
    }

    /// `kubectl get pod --no-headers`, its second and third column.
    fn line(&self, name: &str) -> String {
        self.bench.pod(name).map_or_else(|| "not found".to_owned(), |pod| columns(&pod))
    }

    /// Runs a command; `None` when its answer is not looked at here.
    fn run(&mut self, run: &str, stdin: &str) -> Option<String> {
        if run.starts_with("kubectl create -f -") {
            self.create(stdin);
            return None;
        }
        if run.ends_with("python3 status.py") {
            return Some(self.bench.status("p"));
        }
        if run.starts_with("kubectl get events") && run.contains("involvedObject.kind=Pod") {
            return Some(self.bench.recorded_events());
        }
        if run.contains("awk '{print $2, $3}'") {
            return Some(format!("{}\n", self.line("p")));
        }
        if run.contains("within four seconds") || run.contains("three to six seconds") {
            return Some(self.timed_deletion(run));
        }
        if let Some(answer) = self.pods_by_name(run).or_else(|| self.ask(run)) {
            return Some(answer);
        }
        self.change(run);
        self.jsonpath(run)
    }

    fn pods_by_name(&self, run: &str) -> Option<String> {
        if !run.starts_with("kubectl get pods --sort-by=.metadata.name") {
            return None;
        }
        let mut lines: Vec<String> = self
            .bench
            .all::<Pod>()
            .map(|pod| {
                let class = pod.status.as_ref().and_then(|status| status.qos_class.clone()).unwrap_or_default();
                format!("{}  {class}\n", pod.name())
            })
            .collect();
        lines.sort();
        Some(lines.concat())
    }

    /// Commands whose answers are looked at.
    fn ask(&mut self, run: &str) -> Option<String> {
        if let Some(patch) = run.strip_prefix("kubectl patch pod p ") {
            let json = patch.split('\'').nth(1)?;
            let patch_value = serde_json::from_str(json).expect("a patch is JSON");
            let answer = self.bench.patch("p", patch_value, patch.starts_with("--subresource=resize"));
            let shown = if patch.ends_with("| head -1") { 1 } else { usize::MAX };
            return Some(answer.lines().take(shown).map(|line| format!("{line}\n")).collect());
        }
        if run.contains("/pods/p/eviction") {
            let mut status = self.bench.evict("p");
            status["apiVersion"] = json!("v1");
            return Some(python(&sorted(&status)));
        }
        if run.contains("deletionGracePeriodSeconds") {
            return Some(self.deletions(run));
        }
        if run.contains("print(json.dumps(s))") {
            return Some(self.whole_status());
        }
        run.contains("sed -E 's/[0-9]+$/N/").then(|| self.addresses())
    }

    /// Deletions one after another, each answered with the grace period that holds from then on.
    fn deletions(&mut self, run: &str) -> String {
        let mut answers = Vec::new();
        for command in run.split(';').map(str::trim).filter(|command| command.starts_with("kubectl delete")) {
            let grace = command.split("--grace-period=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
            self.bench.delete("p", grace);
            let pod = self.bench.pod("p").expect("it takes its time");
            answers.push(pod.metadata.deletion_grace_period_seconds.unwrap_or_default().to_string());
            self.bench.run(COMMAND_TIME);
        }
        answers.join(" ")
    }

    /// The status of the pod in full, without addresses, identities and times.
    fn whole_status(&self) -> String {
        let pod = form::encode(&Object::Pod(self.bench.pod("p").expect("it is there")));
        let mut status = without_times(&pod["status"]);
        for key in ["hostIP", "hostIPs", "podIP", "podIPs"] {
            status[key] = json!("X");
        }
        for container in status["containerStatuses"].as_array_mut().into_iter().flatten() {
            container["containerID"] = json!("X");
            container["imageID"] = json!("X");
        }
        python(&sorted(&status))
    }

    fn addresses(&self) -> String {
        let status = self.bench.pod("p").and_then(|pod| pod.status.clone()).unwrap_or_default();
        let is = |text: Option<String>, begin: &str| text.is_some_and(|text| text.starts_with(begin));
        let host = if is(status.host_ip, "10.0.0.1") { "H" } else { "?" };
        let pod = if is(status.pod_ip, "10.244.") { "P" } else { "?" };
        format!("{host} {pod}.N")
    }

    fn jsonpath(&self, run: &str) -> Option<String> {
        let pod = self.bench.pod("p")?;
        let status = serde_json::to_value(pod.status.clone().unwrap_or_default()).expect("a status is JSON");
        let container = &status["containerStatuses"][0];
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if run.ends_with("{.status.containerStatuses[0].started} {.status.containerStatuses[0].ready}'") {
            return Some(format!("{} {}", text(&container["started"]), text(&container["ready"])));
        }
        run.ends_with("{.status.containerStatuses[0].image}'").then(|| text(&container["image"]))
    }

    fn change(&mut self, run: &str) {
        if run.starts_with("kubectl delete pod p --wait=false") {
            self.bench.delete("p", None);
        } else if run.starts_with("kubectl delete pod p --force") {
            self.bench.delete("p", Some(0));
        } else if run.starts_with("kubectl set image pod/p c=nginx:1.27") {
            self.bench.change("p", |pod| containers(pod)[0].image = Some("nginx:1.27".to_owned()));
        } else if run.contains("pods/p/ephemeralcontainers") {
            let container = json!({"name": "dbg", "image": "busybox:1.36", "command": ["sh", "-c", "sleep 3"],
                "targetContainerName": "c"});
            self.bench.add_ephemeral("p", container);
        } else if run.starts_with("kubectl create cm conf") {
            let map =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"b": "1"}});
            self.bench.make(Kind::ConfigMap, "ns", map);
        } else if run.starts_with("kubectl patch cm conf") {
            self.bench.set_config_map("conf", "a", "1");
        } else if run.starts_with("kubectl create secret generic nosuch") {
            let secret =
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nosuch"}, "data": {"a": "Yg=="}});
            self.bench.make(Kind::Secret, "ns", secret);
        }
    }

    fn timed_deletion(&mut self, run: &str) -> String {
        let began = self.bench.now;
        self.bench.delete("p", None);
        while self.bench.pod("p").is_some() && self.bench.now.since(began) < Duration::from_secs(60) {
            self.bench.run("0.1s");
        }
        let took = self.bench.now.since(began).as_secs_f64();
        let (at_least, at_most, words) = if run.contains("three to six") {
            (3.0, 6.0, "three to six seconds")
        } else {
            (0.0, 4.0, "within four seconds")
        };
        if took >= at_least && took <= at_most { format!("{words}\n") } else { format!("{took:.1} seconds\n") }
    }

    fn create(&mut self, stdin: &str) {
        use serde::Deserialize as _;
        for document in serde_yaml::Deserializer::from_str(stdin) {
            let mut value = Value::deserialize(document).expect("a manifest");
            if value["kind"] == "Pod" {
                value["spec"]["nodeName"] = json!("node-1");
                self.bench.make(Kind::Pod, "ns", value);
            }
        }
    }
}

/// A value with the keys of its objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str().to_owned());
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// A value with times and generated names as the recordings have them.
fn without_times(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| {
                    let is_time = (key.ends_with("Time") || key.ends_with("At")) && value.is_string();
                    (key.clone(), if is_time { json!("<time>") } else { without_times(value) })
                })
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.iter().map(without_times).collect()),
        Value::String(text) if text.starts_with("kube-api-access-") => json!("kube-api-access-<rand>"),
        other => other.clone(),
    }
}

fn containers(pod: &mut Pod) -> &mut Vec<Container> {
    &mut pod.spec.get_or_insert_default().containers
}

fn normal(text: &str, hidden: &[&str]) -> String {
    let mut text = text.to_owned();
    for pattern in hidden {
        text = hide(&text, pattern);
    }
    let lines: String = text.lines().map(|line| format!("{line}\n")).collect();
    lines.trim_start().to_owned()
}

/// The few patterns that the cases hide.
fn hide(text: &str, pattern: &str) -> String {
    let cut = |text: &str, from: &str, to: &str| -> String {
        match text.split_once(from) {
            Some((before, after)) => {
                let rest = after.find(to).map_or("", |at| &after[at..]);
                format!("{before}<hidden>{rest}")
            }
            None => text.to_owned(),
        }
    };
    match pattern {
        "used: [0-9]+" => cut(text, "used: ", ","),
        _ => cut(text, "{\"waiting\": {", "}}"),
    }
}

/// READY and STATUS as kubectl prints them.
fn columns(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let mut shown = status.reason.clone().or(status.phase.clone()).unwrap_or_default();
    let init = status.init_container_statuses.clone().unwrap_or_default();
    let spec = pod.spec.clone().unwrap_or_default();
    let sidecars: Vec<String> = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|one| one.restart_policy.as_deref() == Some("Always"))
        .map(|one| one.name.clone())
        .collect();
    let mut initialising = false;
    for (index, one) in init.iter().enumerate() {
        let state = one.state.clone().unwrap_or_default();
        let sidecar = sidecars.contains(&one.name);
        if state.terminated.as_ref().is_some_and(|ended| ended.exit_code == 0) || (sidecar && one.started == Some(true))
        {
            continue;
        }
        shown = match (&state.terminated, &state.waiting) {
            (Some(ended), _) => format!("Init:{}", ended.reason.clone().unwrap_or_default()),
            (_, Some(waiting)) if waiting.reason.as_deref() != Some("PodInitializing") => {
                format!("Init:{}", waiting.reason.clone().unwrap_or_default())
            }
            _ => format!("Init:{index}/{}", init.len()),
        };
        initialising = true;
        break;
    }
    let containers = status.container_statuses.clone().unwrap_or_default();
    if !initialising {
        for one in containers.iter().rev() {
            let state = one.state.clone().unwrap_or_default();
            let reason =
                state.waiting.and_then(|waiting| waiting.reason).or(state.terminated.and_then(|end| end.reason));
            shown = reason.unwrap_or(shown);
        }
    }
    let ready = containers.iter().filter(|one| one.ready).count()
        + init.iter().filter(|one| one.ready && sidecars.contains(&one.name)).count();
    format!("{ready}/{} {shown}", spec.containers.len() + sidecars.len())
}

impl Bench {
    /// The events of pods as the cases print them.
    fn recorded_events(&self) -> String {
        let mut lines: Vec<String> = self
            .all::<k8s_openapi::api::core::v1::Event>()
            .filter(|event| event.involved_object.kind.as_deref() == Some("Pod"))
            .filter(|event| !matches!(event.reason.as_deref(), Some("Pulling" | "Pulled" | "Scheduled")))
            .map(|event| {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                let uid = text(&event.involved_object.uid);
                let message = text(&event.message).replace(&format!("ns({uid})"), "NS(UID)");
                let message = message.replace("ConfigMap ns/", "ConfigMap beh-podlife-missing-configmap/");
                let kind = text(&event.type_);
                format!("{kind}  {}  kubelet  {}\n", text(&event.reason), message.trim_end())
            })
            .collect();
        lines.sort();
        lines.dedup();
        lines.concat()
    }

    fn set_config_map(&mut self, name: &str, key: &str, value: &str) {
        let map = self.all::<k8s_openapi::api::core::v1::ConfigMap>().find(|map| map.name() == name).cloned();
        let mut map = (*map.expect("it is there")).clone();
        map.data.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        self.replace(crate::api::Object::from(map));
    }
}
