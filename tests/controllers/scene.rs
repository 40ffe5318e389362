//! A small cluster without machines, and words for what happens in it.

use std::fmt::Write as _;
use std::time::Duration;

use kubetab::api::{Kind, ObjectKey, Subresource};
use kubetab::apiserver::{
    Body, DeleteOptions, Patch, Propagation, Request, Response, Target, User, Verb, WriteOptions,
};
use kubetab::etcd::{Cause, Commit, Revision, Why};
use kubetab::machinery::status::Status;
use kubetab::machinery::time::Time;
use kubetab::sim::{Cluster, Profile};
use serde_json::Value;

/// A cluster, and since when a test looks at it.
pub struct Scene {
    pub cluster: Cluster,
    since: Time,
    revision: Revision,
}

/// `ConfigMap a`, `Pod default/a`, `Node n`: a kind and a name, in `default` unless it says otherwise.
fn parse(object: &str) -> (Kind, ObjectKey) {
    let (kind, name) = object.split_once(' ').expect("a kind and a name");
    let kind = *Kind::ALL.iter().find(|known| known.info().kind == kind).expect("the kind is served");
    let namespace = if kind.info().namespaced { "default" } else { "" };
    let (namespace, name) = name.split_once('/').unwrap_or((namespace, name));
    (kind, ObjectKey::new(namespace, name))
}

impl Scene {
    /// A cluster without nodes that has come to rest.
    pub fn new() -> Self {
        Self::with_nodes(0)
    }

    /// A cluster of so many machines, `node-1` and on, that has come to rest.
    pub fn with_nodes(nodes: u32) -> Self {
        Self::of(Profile { nodes, ..Profile::bare() })
    }

    /// The same in a cloud.
    pub fn in_cloud(nodes: u32) -> Self {
        Self::of(Profile { nodes, ..Profile::default() })
    }

    /// A cluster of a profile that has come to rest.
    pub fn of(profile: Profile) -> Self {
        let mut scene = Self { cluster: Cluster::new(profile, 1), since: Time::default(), revision: 0 };
        scene.run(10);
        scene.mark();
        scene
    }

    /// From now on is told of what happens.
    pub fn mark(&mut self) {
        self.since = self.cluster.now();
        self.revision = self.cluster.api().etcd().revision();
    }

    pub fn run(&mut self, seconds: u64) {
        self.run_millis(seconds * 1000);
    }

    pub fn run_millis(&mut self, millis: u64) {
        self.cluster.run_for(Duration::from_millis(millis));
    }

    pub fn send(&mut self, target: Target, verb: Verb) -> Result<Response, Status> {
        let cause = Cause::new("test", Why::plain("The test wants it."));
        let request = Request { user: User::admin(), cause, target, verb };
        self.cluster.request(request).map(|answer| answer.response)
    }

    /// Creates the objects of a YAML text, in `default` unless they say otherwise.
    pub fn create(&mut self, yaml: &str) {
        for document in serde_yaml::Deserializer::from_str(yaml) {
            let value: Value = serde::Deserialize::deserialize(document).expect("the test's YAML is right");
            self.create_value(value);
        }
    }

    pub fn create_value(&mut self, value: Value) {
        let text = |field: &str| value[field].as_str().unwrap_or("").to_owned();
        let kind = Kind::from_manifest(&text("apiVersion"), &text("kind")).expect("the kind is served");
        let namespace = value["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let namespace = if kind.info().namespaced { namespace } else { String::new() };
        let verb = Verb::Create { body: Body::Json(value), options: WriteOptions::default() };
        self.send(Target::collection(kind, namespace), verb).expect("the object is created");
    }

    /// An object's JSON; null when it is not there.
    pub fn get(&self, object: &str) -> Value {
        let (kind, key) = parse(object);
        self.cluster.api().etcd().get(kind, &key).map_or(Value::Null, |object| object.to_value())
    }

    pub fn exists(&self, object: &str) -> bool {
        !self.get(object).is_null()
    }

    pub fn uid(&self, object: &str) -> String {
        self.get(object)["metadata"]["uid"].as_str().expect("the object exists").to_owned()
    }

    pub fn delete(&mut self, object: &str) {
        self.delete_with(object, DeleteOptions::default());
    }

    pub fn delete_as(&mut self, object: &str, propagation: Propagation) {
        self.delete_with(object, DeleteOptions::default().propagate(propagation));
    }

    pub fn delete_with(&mut self, object: &str, options: DeleteOptions) {
        let (kind, key) = parse(object);
        self.send(Target::object(kind, &key), Verb::Delete(options)).expect("the object is deleted");
    }

    /// Merges a patch in YAML into an object.
    pub fn patch(&mut self, object: &str, yaml: &str) {
        let (kind, key) = parse(object);
        let patch = Patch::Merge(serde_yaml::from_str(yaml).expect("the test's YAML is right"));
        let target = Target::object(kind, &key);
        self.send(target, Verb::Patch { patch, options: WriteOptions::default() }).expect("the object is patched");
    }

    /// Lets a pod of `default` fail, as a kubelet does that evicts it.
    pub fn fail_pod(&mut self, name: &str) {
        let target = Target::object(Kind::Pod, &ObjectKey::new("default", name)).below(Subresource::Status);
        let patch = Patch::Merge(serde_json::json!({ "status": { "phase": "Failed", "reason": "Evicted" } }));
        self.send(target, Verb::Patch { patch, options: WriteOptions::default() }).expect("the status is patched");
    }

    /// What an actor wrote since the mark, with the second and the reason. Events are left out.
    pub fn log(&self, actor: &str) -> String {
        let mut out = String::new();
        let commits = self.cluster.api().etcd().commits(self.revision);
        for commit in commits.filter(|commit| &*commit.cause.actor == actor && commit.kind() != Kind::Event) {
            let second = commit.time.since(self.since).as_secs();
            writeln!(out, "{second} {} {}: {}", verb(commit), name(commit), commit.cause.why).expect("it is a string");
        }
        out
    }

    /// The events that an actor wrote since the mark.
    pub fn events(&self, actor: &str) -> String {
        let mut out = String::new();
        let commits = self.cluster.api().etcd().commits(self.revision);
        for commit in commits.filter(|commit| &*commit.cause.actor == actor && commit.kind() == Kind::Event) {
            let event = commit.object().to_value();
            let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
            let about =
                format!("{} {}", text(&event["involvedObject"]["kind"]), text(&event["involvedObject"]["name"]));
            let second = commit.time.since(self.since).as_secs();
            let (kind, reason, message) = (text(&event["type"]), text(&event["reason"]), text(&event["message"]));
            writeln!(out, "{second} {kind} {reason} {about}: {message}").expect("it is a string");
        }
        out
    }
}

fn verb(commit: &Commit) -> &'static str {
    match (&commit.before, &commit.after) {
        (None, _) => "creates",
        (_, None) => "removes",
        (Some(before), Some(after)) if !before.is_deleting() && after.is_deleting() => "marks",
        _ => "changes",
    }
}

fn name(commit: &Commit) -> String {
    format!("{} {}", commit.kind(), commit.key)
}
