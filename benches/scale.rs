//! How a cluster grows: from 1,000 pods on 34 nodes to 150,000 pods on 5,000 nodes, thirty a node.
//!
//! Each size is built in a process of its own. All pods are created in one moment, once all nodes are in service. What is
//! told is processor time, since that does not depend on what else the machine does: of all nodes until they are in
//! service, of all pods from their creation until they are ready, and of a minute at rest; how long the pods took in
//! simulated time; and the memory in the end and at most. Growth is linear when what a pod takes stays the same.
//!
//! By itself it goes up to 10,000 pods. `cargo bench --bench scale -- all` measures all sizes and takes some ten minutes,
//! `-- 150000` only that one; the largest wants 10 GB of memory.

#![expect(clippy::disallowed_methods, reason = "it measures itself, and starts itself")]

mod support;

use std::process::{Command, ExitCode};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kubetab::api::Kind;
use kubetab::sim::Cluster;
use support::{cluster_of, create_json, pod, ready};

/// Says to the process that measures how many pods it is to run.
const VARIABLE: &str = "KUBETAB_SCALE";
const SIZES: [usize; 4] = [1_000, 10_000, 50_000, 150_000];
/// The largest that is measured without being asked for.
const DEFAULT_MAX: usize = 10_000;
const PODS_PER_NODE: usize = 30;
/// Pods have so many different sets of labels.
const SORTS: usize = 100;
/// How long it may take until all pods are ready, in simulated time.
const LIMIT: Duration = Duration::from_secs(3600);

/// The processor time that this process has taken so far, in seconds.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in parentheses and may hold blanks; utime and stime are the twelfth and
    // thirteenth field behind it, in hundredths of a second.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// A line of `/proc/self/status`, in MiB: `VmRSS` is the memory that this process has, `VmHWM` what it had at most.
fn mebibytes(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim_start_matches(':').split_whitespace().next()?.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        / 1024.0
}

/// How many nodes take pods: nothing keeps them away.
fn open_nodes(cluster: &Cluster) -> usize {
    let nodes = cluster.api().etcd().range(Kind::Node, None).filter_map(|(_, object)| object.downcast::<Node>());
    nodes.filter(|node| node.spec.as_ref().is_none_or(|spec| spec.taints.is_none())).count()
}

fn measure(pods: usize) {
    let nodes = pods.div_ceil(PODS_PER_NODE);
    let mut cluster = cluster_of(u32::try_from(nodes).expect("there are few nodes"));
    // The cloud's controllers bring some ten nodes into service each second.
    let limit = cluster.now() + LIMIT;
    while open_nodes(&cluster) < nodes && cluster.now() < limit {
        cluster.run_for(Duration::from_secs(5));
    }
    assert_eq!(open_nodes(&cluster), nodes, "all nodes take pods");
    let (nodes_ready, empty_memory) = (processor_seconds(), mebibytes("VmRSS"));
    for index in 0..pods {
        let mut pod = pod(&format!("web-{index}"));
        pod["metadata"]["labels"]["app"] = format!("web-{}", index % SORTS).into();
        cluster.request(create_json(Kind::Pod, "default", pod)).expect("a pod is created");
    }
    let created = cluster.now();
    let limit = created + LIMIT;
    while ready(&cluster) < pods && cluster.now() < limit {
        cluster.run_for(Duration::from_secs(5));
    }
    assert_eq!(ready(&cluster), pods, "all pods become ready");
    let simulated = cluster.now().since(created).as_secs();
    let (all_ready, full_memory) = (processor_seconds(), mebibytes("VmRSS"));
    cluster.run_for(Duration::from_secs(60));
    let rest = processor_seconds() - all_ready;
    let each = |seconds: f64, count: usize| seconds * 1e6 / count as f64;
    println!(
        "{pods:>9} {nodes:>7} {nodes_ready:>9.2} {:>9.0} {:>9.2} {:>9.0} {simulated:>9} {rest:>9.2} {:>9.1} \
         {full_memory:>9.0} {:>9.0} {:>9.1}",
        each(nodes_ready, nodes),
        all_ready - nodes_ready,
        each(all_ready - nodes_ready, pods),
        each(rest, nodes * 60),
        mebibytes("VmHWM"),
        (full_memory - empty_memory) * 1024.0 / pods as f64,
    );
}

/// Lets a process of its own measure one size, and prints what it says.
fn measure_apart(pods: usize) -> bool {
    let program = std::env::current_exe().expect("a program knows where it is");
    match Command::new(program).env(VARIABLE, pods.to_string()).output() {
        Ok(output) if output.status.success() => {
            print!("{}", String::from_utf8_lossy(&output.stdout));
            true
        }
        failed => {
            println!("{pods} pods: {failed:?}");
            false
        }
    }
}

fn main() -> ExitCode {
    if let Some(pods) = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok()) {
        measure(pods);
        return ExitCode::SUCCESS;
    }
    // What cargo adds, such as `--bench`, chooses nothing.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    println!(
        "                    nodes ready, s, µs            pods ready, s, µs, s    a minute s, µs  memory, MiB, MiB, KiB"
    );
    println!(
        "     pods   nodes  together      each  together      each simulated  together    node·s    in end   at most      each"
    );
    let is_wanted = |size: &usize| match filter.as_str() {
        "" => *size <= DEFAULT_MAX,
        "all" => true,
        filter => size.to_string() == filter,
    };
    let measured: Vec<bool> = SIZES.into_iter().filter(is_wanted).map(measure_apart).collect();
    if measured.into_iter().all(|succeeded| succeeded) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
