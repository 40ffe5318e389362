//! The aggregated API `metrics.k8s.io`: what metrics-server found out at its last look at the nodes.
//!
//! Upstream's server passes such a request on to metrics-server, as an APIService says. Here metrics-server leaves at the
//! server what it would answer. Follows `sigs.k8s.io/metrics-server/pkg/api/{pod,node}.go`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::ApiServer;
use crate::api::{Kind, Name, Object, ObjectKey, Unstructured};
use crate::machinery::persistent::OrdMap;
use crate::machinery::quantity::{Format, Quantity};
use crate::machinery::time::Time;

/// What something used over a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, in nanoseconds a second.
    pub processor_nanos: u64,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// What a pod or a node used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured<T> {
    /// The end of the time.
    pub timestamp: Time,
    /// How long it was.
    pub window: Duration,
    /// What was used.
    pub usage: T,
}

/// The containers of a pod, each with what it used.
pub type Containers = Arc<[(String, Usage)]>;

/// What metrics-server answers from.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Nodes.
    pub nodes: OrdMap<Name, Measured<Usage>>,
    /// Pods.
    pub pods: OrdMap<ObjectKey, Measured<Containers>>,
}

impl ApiServer {
    /// Takes over what metrics-server found out; from then on its API is served.
    pub fn set_metrics(&mut self, metrics: Metrics) {
        self.metrics = Some(Arc::new(metrics));
    }

    /// What metrics-server found out, where there is one.
    #[must_use]
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_deref()
    }

    /// Whether `metrics.k8s.io` is served.
    #[must_use]
    pub const fn has_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// All objects of one of the kinds of `metrics.k8s.io`. What has no pod or node any more is not told.
    pub(super) fn measured(&self, kind: Kind, now: Time) -> Vec<Unstructured> {
        let Some(metrics) = &self.metrics else { return Vec::new() };
        if kind == Kind::NodeMetrics {
            let nodes = metrics.nodes.iter().filter_map(|(name, measured)| {
                let key = ObjectKey::new("", &**name);
                let labels = labels(self.etcd.get(Kind::Node, &key)?);
                let fields = [("usage", usage(&measured.usage))];
                Some(object(kind, &key, labels, now, (measured.timestamp, measured.window), fields))
            });
            return nodes.collect();
        }
        let pods = metrics.pods.iter().filter_map(|(key, measured)| {
            let labels = labels(self.etcd.get(Kind::Pod, key)?);
            let containers: Vec<Value> =
                measured.usage.iter().map(|(name, used)| json!({ "name": name, "usage": usage(used) })).collect();
            let fields = [("containers", containers.into())];
            Some(object(kind, key, labels, now, (measured.timestamp, measured.window), fields))
        });
        pods.collect()
    }
}

fn labels(object: &Object) -> Option<BTreeMap<String, String>> {
    object.metadata().labels.clone()
}

fn usage(usage: &Usage) -> Value {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let processor = Quantity::scaled(number(usage.processor_nanos), -9, Format::DecimalSI);
    let memory = Quantity::new(number(usage.memory_bytes), Format::BinarySI);
    json!({ "cpu": processor.to_string(), "memory": memory.to_string() })
}

fn object(
    kind: Kind,
    key: &ObjectKey,
    labels: Option<BTreeMap<String, String>>,
    now: Time,
    (timestamp, window): (Time, Duration),
    own: [(&str, Value); 1],
) -> Unstructured {
    let metadata = ObjectMeta {
        name: Some(key.name.to_string()),
        namespace: Some(key.namespace.to_string()).filter(|namespace| !namespace.is_empty()),
        labels,
        creation_timestamp: Some(now.to_meta()),
        ..ObjectMeta::default()
    };
    let window = crate::machinery::duration::GoDuration::from(window).to_string();
    let mut fields = Map::new();
    fields.insert("timestamp".to_owned(), timestamp.to_string().into());
    fields.insert("window".to_owned(), window.into());
    fields.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Unstructured { kind, metadata, fields }
}
