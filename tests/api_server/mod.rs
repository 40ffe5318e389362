//! The API server's way with one object, without a store: what `kubectl create` and `kubectl patch` run through.

#![allow(dead_code, reason = "each test that includes this uses a part of it")]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Service, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time as MetaTime;
use kubetab::api::core::service::{needs_cluster_ip, needs_health_check, needs_node_port, validate_families};
use kubetab::api::{Kind, Object, Subresource, form, strategy};
use kubetab::machinery::field::ErrorList;
use kubetab::machinery::status::Status;
use kubetab::machinery::time::Time;
use kubetab::machinery::{patch, schema, yaml};
use serde_json::{Value, json};

/// What a write came to: the stored object and what the server warned of, or what kubectl prints.
pub type Outcome = Result<(Object, Vec<String>), String>;

/// A test's steps and other data.
pub fn read_cases(folder: &str) -> Vec<(String, Value)> {
    let path = std::path::Path::new("tests").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(path).expect("a folder of cases").flatten().collect();
    files.sort_by_key(std::fs::DirEntry::path);
    let read = |file: &std::fs::DirEntry| {
        let text = std::fs::read_to_string(file.path()).expect("a readable case");
        let case: serde_yaml::Value = serde_yaml::from_str(&text).expect("a case in YAML");
        (file.file_name().to_string_lossy().into_owned(), serde_json::to_value(case).expect("text keys"))
    };
    files.iter().map(read).collect()
}

/// The objects of one case.
pub struct Server {
    namespace: String,
    stored: BTreeMap<(Kind, String), Object>,
}

impl Server {
    /// A server whose only namespace is `namespace`.
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), stored: BTreeMap::new() }
    }

    /// Creates what the manifest says; texts `<fill>` become that many letters.
    pub fn create(&mut self, manifest: &str, fill: Option<usize>) -> Outcome {
        let mut value = yaml::read_one(manifest).expect("a manifest").value;
        if let Some(letters) = fill {
            fill_texts(&mut value, &"x".repeat(letters));
        }
        let text = |field: &str| value[field].as_str().expect("a text").to_owned();
        let kind = Kind::from_manifest(&text("apiVersion"), &text("kind")).expect("a known kind");
        form::tidy(kind, &mut value);
        let mut object = Object::from_value(kind, &value).expect("an object");
        self.prepare_metadata(&mut object);
        strategy::default(&mut object);
        admit(&mut object);
        strategy::prepare_for_create(&mut object);
        allocate(&mut object, false);
        refuse(&object, &strategy::validate(&object))?;
        let warnings = strategy::warnings(&object, None);
        strategy::canonicalize(&mut object);
        object.metadata_mut().resource_version = Some("1".to_owned());
        self.store(&object);
        Ok((object, warnings))
    }

    fn prepare_metadata(&self, object: &mut Object) {
        let namespaced = object.kind().info().namespaced;
        let metadata = object.metadata_mut();
        if !namespaced {
            metadata.namespace = None;
        } else if metadata.namespace.as_deref().unwrap_or("").is_empty() {
            metadata.namespace = Some(self.namespace.clone());
        }
        if let (None, Some(base)) = (&metadata.name, &metadata.generate_name) {
            metadata.name = Some(format!("{base}xxxxx"));
        }
        metadata.uid = Some("00000000-0000-0000-0000-000000000000".to_owned());
        metadata.creation_timestamp = Some(MetaTime(Time::DEFAULT_START.to_meta().0));
        metadata.generation = None;
    }

    /// Patches a stored object.
    pub fn patch(&mut self, patch: &Value) -> Outcome {
        let text = |field: &str| patch[field].as_str().expect("a text");
        let kind = *Kind::ALL.iter().find(|kind| kind.info().kind == text("kind")).expect("a known kind");
        let old = self.stored[&(kind, text("name").to_owned())].clone();
        let subresource = patch["subresource"].as_str().map(subresource);
        let body = yaml::read_one(text("patch")).expect("a patch").value;
        let schema = schema::lookup(&kind.api_version(), kind.info().kind).expect("a schema");
        let patched = match text("type") {
            "json" => patch::json::decode(&body).and_then(|operations| patch::json::apply(old.to_value(), &operations)),
            "merge" => patch::merge::apply(old.to_value(), body),
            _ => patch::strategic::apply(old.to_value(), body, schema),
        };
        let mut value = patched.unwrap_or_else(|error| panic!("{}", error.message()));
        form::tidy(kind, &mut value);
        let mut new = Object::from_value(kind, &value).expect("an object");
        strategy::default(&mut new);
        strategy::prepare_for_update(&mut new, &old, subresource);
        allocate(&mut new, true);
        refuse(&new, &strategy::validate_update(&new, &old, subresource))?;
        let warnings = strategy::warnings(&new, Some(&old));
        strategy::canonicalize(&mut new);
        self.store(&new);
        Ok((new, warnings))
    }

    fn store(&mut self, object: &Object) {
        let name = object.metadata().name.clone().expect("a name");
        self.stored.insert((object.kind(), name), object.clone());
    }
}

fn subresource(name: &str) -> Subresource {
    match name {
        "status" => Subresource::Status,
        "resize" => Subresource::Resize,
        other => panic!("no test needs the subresource {other}"),
    }
}

fn fill_texts(value: &mut Value, with: &str) {
    match value {
        Value::String(text) if text == "<fill>" => with.clone_into(text),
        Value::Object(map) => map.iter_mut().for_each(|(_, value)| fill_texts(value, with)),
        _ => {}
    }
}

/// What admission plugins add to a pod, as far as the recordings show it, and to a node.
fn admit(object: &mut Object) {
    match object {
        Object::Pod(pod) => admit_pod(std::sync::Arc::make_mut(pod)),
        Object::Node(node) => {
            let taints = std::sync::Arc::make_mut(node).spec.get_or_insert_default().taints.get_or_insert_default();
            let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
            taints.push(serde_json::from_value(taint).expect("a taint"));
        }
        _ => {}
    }
}

fn admit_pod(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    spec.service_account_name.get_or_insert_with(|| "default".to_owned());
    spec.priority = Some(if spec.priority_class_name.is_some() { 2_000_000_000 } else { 0 });
    spec.preemption_policy = Some("PreemptLowerPriority".to_owned());
    let tolerations = spec.tolerations.get_or_insert_default();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = |toleration: &Toleration| toleration.key.as_deref().is_none_or(|own| own == key);
        if !tolerations
            .iter()
            .any(|toleration| toleration.operator.as_deref() == Some("Exists") && tolerated(toleration))
        {
            let added = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
            tolerations.push(serde_json::from_value(added).expect("a toleration"));
        }
    }
    if spec.automount_service_account_token == Some(false) {
        return;
    }
    let volume = json!({"name": "kube-api-access-xxxxx", "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}});
    spec.volumes.get_or_insert_default().push(serde_json::from_value(volume).expect("a volume"));
    let mount = json!({"name": "kube-api-access-xxxxx", "readOnly": true,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"});
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        let mount = serde_json::from_value(mount.clone()).expect("a mount");
        container.volume_mounts.get_or_insert_default().push(mount);
    }
}

/// Gives a Service an address and ports, unless it would be refused them.
fn allocate(object: &mut Object, is_stored: bool) {
    let Object::Service(service) = object else { return };
    let service: &mut Service = std::sync::Arc::make_mut(service);
    if !validate_families(service, is_stored).is_empty() {
        return;
    }
    let spec = service.spec.get_or_insert_default();
    if needs_cluster_ip(spec) && spec.cluster_ip.as_deref().unwrap_or("").is_empty() {
        spec.cluster_ip = Some("10.96.77.1".to_owned());
        spec.cluster_ips = Some(vec!["10.96.77.1".to_owned()]);
    }
    if needs_node_port(spec) {
        for (port, number) in spec.ports.iter_mut().flatten().zip(31_000..) {
            port.node_port = port.node_port.filter(|port| *port != 0).or(Some(number));
        }
    }
    if needs_health_check(spec) {
        spec.health_check_node_port.get_or_insert(32_000);
    }
}

/// The errors as kubectl prints the server's answer.
fn refuse(object: &Object, errors: &ErrorList) -> Result<(), String> {
    if errors.is_empty() {
        return Ok(());
    }
    let info = object.kind().info();
    let name = object.metadata().name.as_deref().unwrap_or("");
    let status = Status::invalid("", info.kind, name, errors);
    let mut lines: Vec<String> = Vec::new();
    for cause in &status.details().causes {
        let line = format!("{}: {}", cause.field, cause.message);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let head = format!("The {} {name:?} is invalid:", info.kind);
    Err(match lines.as_slice() {
        [line] => format!("{head} {line}"),
        lines => format!("{head}\n* {}", lines.join("\n* ")),
    })
}
