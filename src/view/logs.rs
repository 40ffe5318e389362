//! The last lines that a pod's containers wrote, for the inspector.

use serde::{Deserialize, Serialize};

use crate::api::{Kind, Object, ObjectKey};
use crate::machinery::shell::Stream;
use crate::machinery::time::Time;
use crate::sim::{Cluster, PodLogOptions};
use k8s_openapi::api::core::v1::Pod;

/// How many lines of a pod are shown, over all its containers.
const LINES_MAX: usize = 200;
/// How many bytes of them.
const BYTES_MAX: usize = 32 << 10;

/// The end of a container's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerLog {
    /// The container.
    pub container: String,
    /// Its last lines, oldest first.
    pub lines: Vec<LogRow>,
    /// Why there is no log, in the kubelet's words; empty when there is one.
    pub refusal: String,
}

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// When.
    pub at: Time,
    /// Whether to standard error.
    pub error: bool,
    /// What, without the line's end.
    pub text: String,
}

/// The logs of a pod's containers, init containers first.
#[must_use]
pub fn of(cluster: &Cluster, key: &ObjectKey) -> Vec<ContainerLog> {
    let Some(pod) = cluster.api().etcd().get(Kind::Pod, key).and_then(Object::downcast::<Pod>) else {
        return Vec::new();
    };
    let spec = pod.spec.clone().unwrap_or_default();
    let on_node = spec.node_name.is_some_and(|node| !node.is_empty());
    let init = spec.init_containers.unwrap_or_default().into_iter();
    let names: Vec<String> = init.chain(spec.containers).map(|container| container.name).collect();
    let share = names.len().max(1);
    let (lines, bytes) = (LINES_MAX / share, BYTES_MAX / share);
    let names = names.into_iter().filter(|_| on_node);
    names.map(|container| of_container(cluster, key, container, lines, bytes)).collect()
}

fn of_container(
    cluster: &Cluster,
    key: &ObjectKey,
    container: String,
    lines_max: usize,
    bytes_max: usize,
) -> ContainerLog {
    let options =
        PodLogOptions { container: container.clone(), tail_lines: Some(lines_max), ..PodLogOptions::default() };
    let lines = match cluster.pod_logs(&key.namespace, &key.name, &options) {
        Ok(lines) => lines,
        Err(status) => return ContainerLog { container, lines: Vec::new(), refusal: status.message().to_owned() },
    };
    let mut bytes = 0;
    let newest_first = lines.into_iter().rev().take_while(|line| {
        bytes += line.text.len();
        bytes <= bytes_max
    });
    let row = |line: crate::node::runtime::LogLine| LogRow {
        at: line.time,
        error: line.stream == Stream::Error,
        text: line.text.to_string(),
    };
    let mut rows: Vec<LogRow> = newest_first.map(row).collect();
    rows.reverse();
    ContainerLog { container, lines: rows, refusal: String::new() }
}
