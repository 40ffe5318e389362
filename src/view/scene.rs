//! What the graph shows: one value made from the store, and the differences between two of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::{Kind, Resource as _};
use crate::cloud::NodeGroup;
use crate::etcd::Etcd;
use crate::machinery::labels::Selector;

use super::node::{self, NodeView};
use super::pod::{self, PodView};
use super::service::{self, ServiceView};
use super::workload::{self, Revisions, WorkloadView};

/// Everything that the graph shows, by uid (nodes by name). What does not change is shared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// The machines.
    pub nodes: BTreeMap<String, Arc<NodeView>>,
    /// The pods that pass the filter.
    pub pods: BTreeMap<String, Arc<PodView>>,
    /// Deployments, and ReplicaSets that no Deployment owns.
    pub workloads: BTreeMap<String, Arc<WorkloadView>>,
    /// Services.
    pub services: BTreeMap<String, Arc<ServiceView>>,
    /// All namespaces, whatever the filter.
    pub namespaces: Vec<String>,
    /// How many pods the filter hides.
    pub hidden_pods: usize,
    /// Groups of machines that the cluster autoscaler makes larger and smaller.
    pub node_groups: Vec<NodeGroupView>,
}

/// A group of machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroupView {
    /// Its name.
    pub name: String,
    /// How many nodes it has at least.
    pub min: u32,
    /// How many it has at most.
    pub max: u32,
    /// How many it has or is about to have.
    pub target: u32,
}

impl From<&NodeGroup> for NodeGroupView {
    fn from(group: &NodeGroup) -> Self {
        Self { name: group.name.to_string(), min: group.min, max: group.max, target: group.target }
    }
}

/// Which objects are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Only this namespace; all of them when it is `None`.
    pub namespace: Option<String>,
    /// Only objects whose labels match, as `kubectl -l` reads it. Empty matches all.
    pub selector: String,
}

impl Filter {
    /// The selector, ready to match.
    ///
    /// # Errors
    /// What kubectl says about a selector that it cannot read.
    pub fn parsed(&self) -> Result<Selector, String> {
        Selector::parse(&self.selector)
    }
}

/// How one map of a scene differs from another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changes<T> {
    /// What is new or different.
    pub changed: Vec<(String, Arc<T>)>,
    /// What is gone.
    pub removed: Vec<String>,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self { changed: Vec::new(), removed: Vec::new() }
    }
}

type Shared<T> = BTreeMap<String, Arc<T>>;

fn shared<T>(map: BTreeMap<String, T>) -> Shared<T> {
    map.into_iter().map(|(key, value)| (key, Arc::new(value))).collect()
}

impl<T: Clone + PartialEq> Changes<T> {
    fn between(before: &Shared<T>, after: &Shared<T>) -> Self {
        let changed = after
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let removed = before.keys().filter(|key| !after.contains_key(*key)).cloned().collect();
        Self { changed, removed }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }

    /// Applies the difference.
    pub fn apply(self, map: &mut Shared<T>) {
        for key in self.removed {
            map.remove(&key);
        }
        map.extend(self.changed);
    }
}

/// How one scene differs from another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SceneChanges {
    /// Machines.
    pub nodes: Changes<NodeView>,
    /// Pods.
    pub pods: Changes<PodView>,
    /// Workloads.
    pub workloads: Changes<WorkloadView>,
    /// Services.
    pub services: Changes<ServiceView>,
    /// The namespaces, when they are not the same.
    pub namespaces: Option<Vec<String>>,
    /// How many pods the filter hides.
    pub hidden_pods: usize,
    /// The groups of machines, when they are not the same.
    pub node_groups: Option<Vec<NodeGroupView>>,
}

impl SceneChanges {
    /// What turns `before` into `after`.
    #[must_use]
    pub fn between(before: &Scene, after: &Scene) -> Self {
        Self {
            nodes: Changes::between(&before.nodes, &after.nodes),
            pods: Changes::between(&before.pods, &after.pods),
            workloads: Changes::between(&before.workloads, &after.workloads),
            services: Changes::between(&before.services, &after.services),
            namespaces: (before.namespaces != after.namespaces).then(|| after.namespaces.clone()),
            hidden_pods: after.hidden_pods,
            node_groups: (before.node_groups != after.node_groups).then(|| after.node_groups.clone()),
        }
    }
}

impl Scene {
    /// The scene of a store. Objects that `filter` hides are left out; nodes are always shown, with what all their
    /// pods request.
    #[must_use]
    pub fn of(etcd: &Etcd, filter: &Filter) -> Self {
        // A selector that cannot be read is reported where it was typed; until it is mended nothing is hidden.
        let selector = filter.parsed().unwrap_or_else(|_| Selector::everything());
        let namespace = filter.namespace.as_deref();
        let revisions = Revisions::of(etcd);
        let nodes: BTreeMap<String, NodeView> = node::views(etcd);
        let mut pods = BTreeMap::new();
        for (_, object) in etcd.range(Kind::Pod, namespace) {
            let Some(pod) = object.downcast::<k8s_openapi::api::core::v1::Pod>() else { continue };
            if selector.matches(&pod.metadata.labels) {
                pods.insert(pod.uid().to_owned(), Arc::new(pod::view(pod, &revisions, &nodes)));
            }
        }
        let hidden_pods = etcd.count(Kind::Pod) - pods.len();
        let namespaces = etcd.range(Kind::Namespace, None).map(|(key, _)| key.name.to_string()).collect();
        Self {
            workloads: shared(workload::views(etcd, namespace, &selector, &revisions)),
            services: shared(service::views(etcd, namespace, &selector)),
            nodes: shared(nodes),
            pods,
            namespaces,
            hidden_pods,
            node_groups: Vec::new(),
        }
    }

    /// Applies a difference.
    pub fn apply(&mut self, changes: SceneChanges) {
        changes.nodes.apply(&mut self.nodes);
        changes.pods.apply(&mut self.pods);
        changes.workloads.apply(&mut self.workloads);
        changes.services.apply(&mut self.services);
        if let Some(namespaces) = changes.namespaces {
            self.namespaces = namespaces;
        }
        if let Some(node_groups) = changes.node_groups {
            self.node_groups = node_groups;
        }
        self.hidden_pods = changes.hidden_pods;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::Object;
    use crate::etcd::{Cause, Why};
    use crate::machinery::time::Time;

    /// A store that holds these objects.
    pub(crate) fn store(objects: &[Value]) -> Etcd {
        let mut etcd = Etcd::new();
        for value in objects {
            let text = |field: &str| value[field].as_str().expect("a manifest names its kind");
            let kind = Kind::from_manifest(text("apiVersion"), text("kind")).expect("a kind of the table");
            let object = Object::from_value(kind, value).expect("an object");
            let cause = Cause::new("kubectl", Why::plain("A test made it."));
            etcd.create(Time::DEFAULT_START, object, cause).expect("a new object");
        }
        etcd
    }

    fn pod(name: &str, namespace: &str, app: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": name, "namespace": namespace, "uid": name, "labels": {"app": app},
        }, "spec": {"containers": [{"name": "c", "image": "nginx:1.28"}]}})
    }

    #[test]
    fn a_filter_hides_what_does_not_match_and_counts_it() {
        let etcd = store(&[pod("a", "default", "web"), pod("b", "default", "db"), pod("c", "other", "web")]);
        let shown = |namespace: Option<&str>, selector: &str| {
            let filter = Filter { namespace: namespace.map(str::to_owned), selector: selector.to_owned() };
            let scene = Scene::of(&etcd, &filter);
            (scene.pods.into_keys().collect::<Vec<_>>().join(" "), scene.hidden_pods)
        };
        assert_eq!(shown(None, ""), ("a b c".to_owned(), 0));
        assert_eq!(shown(Some("default"), ""), ("a b".to_owned(), 1));
        assert_eq!(shown(None, "app in (web)"), ("a c".to_owned(), 1));
        assert_eq!(shown(Some("default"), "app!=web"), ("b".to_owned(), 2));
        assert_eq!(shown(None, "app=="), ("".to_owned(), 3));
        assert_eq!(shown(None, "(("), ("a b c".to_owned(), 0), "a selector that cannot be read hides nothing");
    }

    #[test]
    fn changes_turn_one_scene_into_the_other() {
        let filter = Filter::default();
        let before = Scene::of(&store(&[pod("a", "default", "web"), pod("b", "default", "web")]), &filter);
        let mut moved = pod("b", "default", "web");
        moved["spec"]["nodeName"] = json!("node-1");
        let after = Scene::of(&store(&[moved, pod("c", "default", "web")]), &filter);
        let changes = SceneChanges::between(&before, &after);
        assert_eq!(changes.pods.removed, ["a"]);
        assert_eq!(changes.pods.changed.iter().map(|(uid, _)| uid.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        let mut scene = before;
        scene.apply(changes);
        assert_eq!(scene, after);
    }
}
