//! What recordings looked at with Python, looked at in the same way.
//!
//! A case's script is known by its name or, for one-liners, by its text; the functions here print the same lines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubetab::api::{Kind, ObjectKey, form};
use kubetab::kubectl::Api;
use kubetab::machinery::shell::{CommandIo, CommandPoll, CommandRun, Input};
use kubetab::machinery::time::Time;
use kubetab::sim::Cluster;
use serde_json::{Value, json};

use super::observe_jobs;
use super::python::{dumps, dumps_sorted, printed, repr};

/// The program behind a call of Python.
pub fn find(argv: &[String], namespace: &str) -> Option<Box<dyn CommandRun>> {
    let arguments: Vec<&str> = argv.iter().skip(1).map(String::as_str).collect();
    let namespace = namespace.to_owned();
    match arguments.as_slice() {
        ["follow.py", _, command] => {
            let command = (*command).to_owned();
            Some(Box::new(Follow { namespace, command, phase: Phase::Begin, revision: 0, rows: Rows::default() }))
        }
        ["timeline.py", node, length] => {
            let length = Duration::from_secs_f64(length.parse().expect("a length in seconds"));
            Some(Box::new(Timeline {
                namespace,
                node: (*node).to_owned(),
                length,
                began: None,
                first: None,
                last: BTreeSet::new(),
            }))
        }
        ["lat.py"] => Some(Box::new(Measure { namespace })),
        ["status.py"] => Some(Box::new(Filter { work: pod_status, held: Vec::new(), file: None })),
        ["-c", code] => {
            let one_liner = ONE_LINERS.iter().find(|(begin, ..)| code.contains(begin));
            let (_, file, work) = one_liner.unwrap_or_else(|| panic!("a one-liner that is not known: {code}"));
            Some(Box::new(Filter { work: *work, held: Vec::new(), file: *file }))
        }
        _ => None,
    }
}

/// What tells a one-liner from the others, the file that it reads in place of its input, and what it does.
type OneLiner = (&'static str, Option<&'static str>, fn(&Value) -> String);

const ONE_LINERS: &[OneLiner] = &[
    ("print(\"slice\", s[\"addressType\"]", None, slices),
    ("print(sum(len(s.get(\"endpoints\")", None, endpoints_in_all),
    ("print(sorted(len(s.get(\"endpoints\")", None, endpoints_in_each),
    ("len(o[\"subsets\"][0][\"addresses\"])", None, addresses_of_first_subset),
    ("c=s.pop(\"conditions\", [])", None, observe_jobs::status),
    ("p[\"metadata\"][\"generateName\"], p[\"metadata\"][\"annotations\"]", None, observe_jobs::indexed_pods),
    ("gaps, as the back-off that they show:", None, observe_jobs::gaps),
    ("'app':'squat'", Some("rs.json"), squatting_set),
    ("o[\"spec\"].get(\"finalizers\")", None, namespace_state),
    ("\"ephemeralContainers\"]=[{\"name\":\"dbg\"", None, with_ephemeral_container),
    ("o[\"status\"][\"podIP\"]==o[\"status\"][\"hostIP\"]", None, host_network),
    ("s.update({k: \"X\"})", None, status_without_addresses),
    ("\"press\" in n[\"metadata\"][\"name\"]", None, pressure_taints),
    ("\"Revision\" not in k", None, stateful_set_status),
    ("{\"tolerations\": p[\"tolerations\"]", None, tolerations_and_affinity),
];

/// A script that turns one JSON value into text.
#[derive(Clone, Debug)]
struct Filter {
    work: fn(&Value) -> String,
    held: Vec<u8>,
    file: Option<&'static str>,
}

impl CommandRun for Filter {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if let Some(name) = self.file {
            let path = io.path(name);
            self.held = io.files(|files| files.read(&path)).map(|bytes| bytes.to_vec()).unwrap_or_default();
        } else {
            loop {
                match io.read(0, 1 << 16) {
                    Input::Data(bytes) => self.held.extend(bytes),
                    Input::Pending => return CommandPoll::Readable(0),
                    Input::End => break,
                }
            }
        }
        let Ok(value) = serde_json::from_slice(&self.held) else {
            io.complain("json.decoder.JSONDecodeError");
            return CommandPoll::Exited(1);
        };
        io.out(&(self.work)(&value));
        CommandPoll::Exited(0)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

fn stateful_set_status(set: &Value) -> String {
    let status = &set["status"];
    let entries = status.as_object().into_iter().flatten().filter(|(name, _)| !name.contains("Revision"));
    let numbers: Value = entries.map(|(name, value)| (name.clone(), value.clone())).collect();
    let same = status["currentRevision"] == status["updateRevision"];
    format!("{} {}\n", printed(&numbers), if same { "same revision" } else { "two revisions" })
}

fn tolerations_and_affinity(pods: &Value) -> String {
    let spec = &pods["items"][0]["spec"];
    format!("{}\n", dumps(&json!({ "tolerations": spec["tolerations"], "affinity": spec["affinity"] })))
}

fn endpoint_counts(list: &Value) -> Vec<usize> {
    let slices = list["items"].as_array().into_iter().flatten();
    slices.map(|slice| slice["endpoints"].as_array().map_or(0, Vec::len)).collect()
}

fn endpoints_in_all(list: &Value) -> String {
    format!("{}\n", endpoint_counts(list).iter().sum::<usize>())
}

fn endpoints_in_each(list: &Value) -> String {
    let mut counts = endpoint_counts(list);
    counts.sort_unstable();
    format!("{counts:?}\n")
}

fn addresses_of_first_subset(endpoints: &Value) -> String {
    format!("{}\n", endpoints["subsets"][0]["addresses"].as_array().map_or(0, Vec::len))
}

fn slices(list: &Value) -> String {
    let mut text = String::new();
    let mut slices: Vec<&Value> = list["items"].as_array().into_iter().flatten().collect();
    slices.sort_by_key(|slice| repr(&slice["ports"]));
    for slice in slices {
        text.push_str(&format!(
            "slice {} ports {} labels {}\n",
            printed(&slice["addressType"]),
            dumps(&slice["ports"]),
            dumps_sorted(&slice["metadata"]["labels"])
        ));
        let mut endpoints: Vec<&Value> = slice["endpoints"].as_array().into_iter().flatten().collect();
        endpoints.sort_by_key(|one| printed(&one["targetRef"]["name"]) + &repr(&one["addresses"]));
        for one in endpoints {
            text.push_str(&format!(
                "   {} {} {} {} {} {}\n",
                printed(&one["targetRef"]["kind"]),
                printed(&one["targetRef"]["name"]),
                dumps(&one["conditions"]),
                printed(&one["hostname"]),
                repr(&Value::Bool(one["nodeName"].as_str().is_some_and(|name| !name.is_empty()))),
                printed(&one["zone"]),
            ));
        }
    }
    text
}

/// `lat.py`: how many pods became ready; the figures that it writes beside are not compared.
#[derive(Clone, Debug)]
struct Measure {
    namespace: String,
}

impl CommandRun for Measure {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let is_ready = |pod: &Value| {
            let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        let pods = cluster(io).api().etcd().range(Kind::Pod, Some(&self.namespace));
        let ready = pods.filter(|(_, pod)| is_ready(&form::encode(pod))).count();
        io.out(&format!("{ready} pods measured\n"));
        CommandPoll::Exited(0)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

fn squatting_set(set: &Value) -> String {
    let labels = json!({ "app": "squat" });
    let mut object = set.clone();
    object["metadata"] = json!({ "name": set["metadata"]["name"], "labels": labels });
    object["spec"] = json!({
        "replicas": 0,
        "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "z", "image": "z" }] } },
    });
    object.as_object_mut().into_iter().for_each(|fields| drop(fields.shift_remove("status")));
    format!("{}\n", dumps(&object))
}

fn namespace_state(namespace: &Value) -> String {
    let mut text = format!(
        "{} {} {}\n",
        printed(&namespace["status"]["phase"]),
        printed(&namespace["spec"]["finalizers"]),
        printed(&namespace["metadata"]["finalizers"])
    );
    for condition in namespace["status"]["conditions"].as_array().into_iter().flatten() {
        let field = |name: &str| printed(&condition[name]);
        text.push_str(&format!("{} {} {} {}\n", field("type"), field("status"), field("reason"), field("message")));
    }
    text
}

fn with_ephemeral_container(pod: &Value) -> String {
    let mut pod = pod.clone();
    pod["spec"]["ephemeralContainers"] = json!([{
        "name": "dbg", "image": "busybox:1.36", "command": ["sh", "-c", "sleep 3"], "targetContainerName": "c",
    }]);
    format!("{}\n", dumps(&pod))
}

fn host_network(pod: &Value) -> String {
    let same = pod["status"]["podIP"] == pod["status"]["hostIP"];
    format!("{} {}\n", repr(&same.into()), repr(&pod["spec"]["containers"][0]["ports"]))
}

fn status_without_addresses(pod: &Value) -> String {
    let mut status = pod["status"].clone();
    let hide = |value: &mut Value, names: &[&str]| {
        for name in names {
            if !value[*name].is_null() {
                value[*name] = "X".into();
            }
        }
    };
    hide(&mut status, &["hostIP", "hostIPs", "podIP", "podIPs"]);
    for container in status["containerStatuses"].as_array_mut().into_iter().flatten() {
        container["containerID"] = "X".into();
        container["imageID"] = "X".into();
    }
    format!("{}\n", dumps(&status))
}

fn pressure_taints(nodes: &Value) -> String {
    let mut text = String::new();
    for node in nodes["items"].as_array().into_iter().flatten() {
        let name = printed(&node["metadata"]["name"]);
        if !name.contains("press") {
            continue;
        }
        let taints: Vec<&Value> = node["spec"]["taints"].as_array().into_iter().flatten().collect();
        let mut all: Vec<String> =
            taints.iter().map(|taint| format!("{}:{}", printed(&taint["key"]), printed(&taint["effect"]))).collect();
        all.sort();
        let timed: Vec<Value> = taints
            .iter()
            .filter(|taint| !taint["timeAdded"].is_null() && taint["effect"] == "NoExecute")
            .map(|taint| taint["key"].clone())
            .collect();
        text.push_str(&format!("{name} {} timed {}\n", repr(&json!(all)), repr(&timed.into())));
    }
    text
}

/// `status.py`: a pod's status without addresses and times.
fn pod_status(pod: &Value) -> String {
    let status = without_times(&pod["status"]);
    let field = |name: &str| printed(&status[name]);
    let mut text = format!(
        "phase {} | reason {} | message {} | qos {} | observed {} generation {}\n",
        field("phase"),
        field("reason"),
        field("message"),
        field("qosClass"),
        field("observedGeneration"),
        printed(&pod["metadata"]["generation"])
    );
    for condition in status["conditions"].as_array().into_iter().flatten() {
        text.push_str(&format!("condition {}\n", dumps_sorted(condition)));
    }
    for list in ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"] {
        for container in status[list].as_array().into_iter().flatten() {
            let kept = ["name", "ready", "started", "restartCount", "state", "lastState"];
            let fields = container.as_object().into_iter().flatten().filter(|(name, _)| kept.contains(&name.as_str()));
            let fields: serde_json::Map<String, Value> =
                fields.map(|(name, value)| (name.clone(), value.clone())).collect();
            text.push_str(&format!("{list} {}\n", dumps_sorted(&fields.into())));
        }
    }
    text
}

fn without_times(value: &Value) -> Value {
    const DROPPED: [&str; 7] = ["containerID", "imageID", "podIP", "podIPs", "hostIP", "hostIPs", "uid"];
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(name, _)| {
                !name.ends_with("Time") && !name.ends_with("At") && !DROPPED.contains(&name.as_str())
            });
            kept.map(|(name, value)| (name.clone(), without_times(value))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(without_times).collect(),
        other => other.clone(),
    }
}

fn cluster<'a>(io: &'a mut CommandIo<'_>) -> &'a mut Cluster {
    let world = io.host.world().expect("there is a cluster");
    world.downcast_mut::<Cluster>().expect("it is a cluster")
}

/// `follow.py`: follows the ReplicaSets of the namespace while a command runs.
#[derive(Clone, Debug)]
struct Follow {
    namespace: String,
    command: String,
    phase: Phase,
    revision: u64,
    rows: Rows,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Begin,
    /// The watch runs; the command comes next.
    Watches,
    /// The command runs, and these many rows were there before.
    Runs(usize),
    /// The command is over; the last events may come.
    Ends(usize),
}

/// The sizes of all sets after each event: per set, what is wanted and what is available.
#[derive(Clone, Debug, Default)]
struct Rows {
    known: BTreeMap<String, (i64, i64)>,
    order: Vec<String>,
    rows: Vec<BTreeMap<String, (i64, i64)>>,
}

impl Rows {
    fn add(&mut self, event: &str, set: &Value) {
        let name = printed(&set["metadata"]["name"]);
        if !self.order.contains(&name) {
            self.order.push(name.clone());
        }
        if event == "DELETED" {
            self.known.remove(&name);
        } else {
            let number = |value: &Value| value.as_i64().unwrap_or(0);
            let sizes = (number(&set["spec"]["replicas"]), number(&set["status"]["availableReplicas"]));
            self.known.insert(name, sizes);
        }
        self.rows.push(self.known.clone());
    }

    fn report(&self, before: usize) -> (String, String) {
        let seen = &self.rows[before.saturating_sub(1)..];
        let most = seen.iter().map(|row| row.values().map(|sizes| sizes.0).sum::<i64>()).max().unwrap_or(0);
        let fewest = seen.iter().map(|row| row.values().map(|sizes| sizes.1).sum::<i64>()).min().unwrap_or(0);
        let mut text = format!("most wanted over all sets: {most}\nfewest available over all sets: {fewest}\n");
        let mut paths = Vec::new();
        for (at, name) in self.order.iter().enumerate() {
            let mut sizes: Vec<i64> = seen.iter().filter_map(|row| row.get(name)).map(|sizes| sizes.0).collect();
            sizes.dedup();
            let first_change = sizes.get(1).map_or_else(|| "-".to_owned(), i64::to_string);
            text.push_str(&format!(
                "set {}: starts {}, first change to {first_change}, ends {}\n",
                at + 1,
                sizes.first().expect("a set was seen"),
                sizes.last().expect("a set was seen")
            ));
            let sizes: Vec<String> = sizes.iter().map(i64::to_string).collect();
            paths.push(format!("set {} {}", at + 1, sizes.join(">")));
        }
        (text, format!("sizes: {}\n", paths.join(" | ")))
    }
}

impl Follow {
    fn read(&mut self, io: &mut CommandIo<'_>) {
        let cluster = cluster(io);
        for change in cluster.changes(Kind::ReplicaSet, self.revision).expect("the watch is not too old") {
            self.revision = change.revision;
            if change.object.metadata().namespace.as_deref() == Some(&self.namespace) {
                self.rows.add(change.event, &change.value());
            }
        }
    }
}

impl CommandRun for Follow {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        match self.phase {
            Phase::Begin => {
                let cluster = cluster(io);
                self.revision = cluster.revision();
                let sets = cluster.api().etcd().range(Kind::ReplicaSet, Some(&self.namespace));
                let sets: Vec<Value> = sets.map(|(_, set)| form::encode(set)).collect();
                sets.iter().for_each(|set| self.rows.add("ADDED", set));
                self.phase = Phase::Watches;
                CommandPoll::Until(io.now() + Duration::from_millis(1500))
            }
            Phase::Watches => {
                self.read(io);
                self.phase = Phase::Runs(self.rows.rows.len());
                let command = format!("( {} ) >/dev/null", self.command);
                CommandPoll::Run(["bash", "-c", &command].map(str::to_owned).into(), None)
            }
            Phase::Runs(before) => {
                self.phase = Phase::Ends(before);
                CommandPoll::Until(io.now() + Duration::from_millis(1500))
            }
            Phase::Ends(before) => {
                self.read(io);
                let (out, error) = self.rows.report(before);
                io.out(&out);
                io.write(2, error.as_bytes());
                CommandPoll::Exited(0)
            }
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// `timeline.py`: which facts about a node and its pods appeared and went.
#[derive(Clone, Debug)]
struct Timeline {
    namespace: String,
    node: String,
    length: Duration,
    began: Option<Time>,
    first: Option<BTreeSet<String>>,
    last: BTreeSet<String>,
}

impl Timeline {
    fn facts(&self, cluster: &Cluster) -> BTreeSet<String> {
        let etcd = cluster.api().etcd();
        let mut facts = BTreeSet::new();
        match etcd.get(Kind::Node, &ObjectKey::new("", self.node.as_str())).map(form::encode) {
            None => drop(facts.insert("node absent".to_owned())),
            Some(node) => {
                for condition in node["status"]["conditions"].as_array().into_iter().flatten() {
                    let field = |name: &str| printed(&condition[name]);
                    facts.insert(format!("node {}={} {}", field("type"), field("status"), field("reason")));
                }
                for taint in
                    node["spec"]["taints"].as_array().into_iter().flatten().filter(|taint| taint["key"] != "beh")
                {
                    facts.insert(format!("node taint {}:{}", printed(&taint["key"]), printed(&taint["effect"])));
                }
            }
        }
        for (_, pod) in etcd.range(Kind::Pod, Some(&self.namespace)) {
            self.pod_facts(&form::encode(pod), &mut facts);
        }
        facts
    }

    fn pod_facts(&self, pod: &Value, facts: &mut BTreeSet<String>) {
        let label = &pod["metadata"]["labels"]["name"];
        let mut name = format!("pod {}", printed(if label.is_null() { &pod["metadata"]["name"] } else { label }));
        if pod["spec"]["nodeName"] != self.node.as_str() {
            name.push_str(" (elsewhere)");
        }
        facts.insert(format!("{name} exists"));
        facts.insert(format!("{name} is {}", printed(&pod["status"]["phase"])));
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            facts.insert(format!("{name} is deleting"));
        }
        for condition in pod["status"]["conditions"].as_array().into_iter().flatten() {
            let field = |name: &str| printed(&condition[name]);
            match field("type").as_str() {
                "Ready" => drop(facts.insert(format!("{name} Ready={}", field("status")))),
                "DisruptionTarget" => drop(facts.insert(format!("{name} DisruptionTarget {}", field("reason")))),
                _ => {}
            }
        }
    }
}

impl CommandRun for Timeline {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let now = io.now();
        let began = *self.began.get_or_insert(now);
        if now.since(began) < self.length {
            let cluster = cluster(io);
            self.last = self.facts(cluster);
            self.first.get_or_insert_with(|| self.last.clone());
            return CommandPoll::Until(now + Duration::from_millis(1200));
        }
        let first = self.first.clone().unwrap_or_default();
        let appeared =
            self.last.difference(&first).filter(|fact| !fact.contains("Pending")).map(|fact| format!("+ {fact}"));
        let mut lines: Vec<String> =
            appeared.chain(first.difference(&self.last).map(|fact| format!("- {fact}"))).collect();
        lines.sort();
        io.out(&format!("{}\n", lines.join("\n")));
        CommandPoll::Exited(0)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
