//! The processes of a cluster: who they are, and whether they run and can reach the API server.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::machinery::order::Order as _;
use crate::machinery::persistent::{OrdMap, OrdSet};

use crate::api::{Kind, Name, Object};
use crate::autoscaler::ClusterAutoscaler;
use crate::client::{Identity, Process, Recorder, WatchSelector, WatchSpec};
use crate::cloud::CloudControllerManager;
use crate::controllers::ControllerManager;
use crate::etcd::{Commit, Revision};
use crate::machinery::time::Time;
use crate::node::kubelet::Kubelet;
use crate::node::network::{ClusterDns, GatewayController, IngressController, PolicyAgent};
use crate::node::proxy::KubeProxy;

use super::metrics_server::MetricsServer;
use crate::scheduler::KubeScheduler;

/// A process's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessId {
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// cloud-controller-manager, together with the cloud that it speaks to.
    CloudControllerManager,
    /// The kubelet of a node, together with the machine that it runs on.
    Kubelet(Name),
    /// The kube-proxy of a node.
    KubeProxy(Name),
    /// The cluster's DNS server.
    ClusterDns,
    /// The agent that knows the network policies.
    PolicyAgent,
    /// The ingress controller.
    IngressController,
    /// kube-apiserver, which is no process here: what reaches it over the cluster's network.
    ApiServer,
    /// The world outside of the cluster, which is no process: what reaches its clients.
    Outside,
    /// metrics-server.
    MetricsServer,
    /// The gateway controller.
    GatewayController,
    /// cluster-autoscaler.
    ClusterAutoscaler,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControllerManager => f.write_str("kube-controller-manager"),
            Self::Scheduler => f.write_str("kube-scheduler"),
            Self::CloudControllerManager => f.write_str("cloud-controller-manager"),
            Self::Kubelet(node) => write!(f, "kubelet/{node}"),
            Self::KubeProxy(node) => write!(f, "kube-proxy/{node}"),
            Self::ClusterDns => f.write_str("coredns"),
            Self::PolicyAgent => f.write_str("network-policy-agent"),
            Self::IngressController => f.write_str("nginx-ingress-controller"),
            Self::ApiServer => f.write_str("kube-apiserver"),
            Self::Outside => f.write_str("outside"),
            Self::MetricsServer => f.write_str("metrics-server"),
            Self::GatewayController => f.write_str("gateway-controller"),
            Self::ClusterAutoscaler => f.write_str("cluster-autoscaler"),
        }
    }
}

impl FromStr for ProcessId {
    type Err = ();

    /// The process of a name, as [`fmt::Display`] writes it.
    fn from_str(name: &str) -> Result<Self, ()> {
        let of_node = |prefix: &str| name.strip_prefix(prefix).filter(|node| !node.is_empty()).map(Name::from);
        Ok(match name {
            "kube-controller-manager" => Self::ControllerManager,
            "kube-scheduler" => Self::Scheduler,
            "cloud-controller-manager" => Self::CloudControllerManager,
            "coredns" => Self::ClusterDns,
            "network-policy-agent" => Self::PolicyAgent,
            "nginx-ingress-controller" => Self::IngressController,
            "kube-apiserver" => Self::ApiServer,
            "metrics-server" => Self::MetricsServer,
            "cluster-autoscaler" => Self::ClusterAutoscaler,
            "gateway-controller" => Self::GatewayController,
            _ => match (of_node("kubelet/"), of_node("kube-proxy/")) {
                (Some(node), _) => Self::Kubelet(node),
                (_, Some(node)) => Self::KubeProxy(node),
                _ => return Err(()),
            },
        })
    }
}

/// The programs that a process can run, shared with earlier copies of the cluster until they change.
#[derive(Clone, Debug)]
pub(super) enum Program {
    ControllerManager(Arc<ControllerManager>),
    Scheduler(Arc<KubeScheduler>),
    CloudControllerManager(Arc<CloudControllerManager>),
    Kubelet(Arc<Kubelet>),
    KubeProxy(Arc<KubeProxy>),
    ClusterDns(Arc<ClusterDns>),
    PolicyAgent(Arc<PolicyAgent>),
    IngressController(Arc<IngressController>),
    MetricsServer(Arc<MetricsServer>),
    ClusterAutoscaler(Arc<ClusterAutoscaler>),
    GatewayController(Arc<GatewayController>),
}

impl Program {
    pub(super) fn process(&mut self) -> &mut dyn Process {
        match self {
            Self::ControllerManager(program) => Arc::<ControllerManager>::make_mut(program),
            Self::Scheduler(program) => Arc::<KubeScheduler>::make_mut(program),
            Self::CloudControllerManager(program) => Arc::<CloudControllerManager>::make_mut(program),
            Self::Kubelet(program) => Arc::<Kubelet>::make_mut(program),
            Self::KubeProxy(program) => Arc::<KubeProxy>::make_mut(program),
            Self::ClusterDns(program) => Arc::<ClusterDns>::make_mut(program),
            Self::PolicyAgent(program) => Arc::<PolicyAgent>::make_mut(program),
            Self::IngressController(program) => Arc::<IngressController>::make_mut(program),
            Self::MetricsServer(program) => Arc::<MetricsServer>::make_mut(program),
            Self::GatewayController(program) => Arc::<GatewayController>::make_mut(program),
            Self::ClusterAutoscaler(program) => Arc::<ClusterAutoscaler>::make_mut(program),
        }
    }
}

/// Whether a process runs and can reach the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessState {
    /// Whether it runs.
    pub running: bool,
    /// Whether it can reach the API server.
    pub connected: bool,
}

/// A process with what the cluster knows of it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub program: Program,
    pub identity: Identity,
    pub recorder: Recorder,
    pub state: ProcessState,
    /// Counts its starts, so that what was meant for an earlier life is not delivered.
    pub epoch: u32,
    /// Counts the connections of its watches, so that what was on its way on a broken one is lost.
    pub connection: u32,
    /// How much longer than usual its watch events take.
    pub watch_delay: Duration,
    pub watches: Arc<[WatchSpec]>,
    /// Per kind, when the last delivery on its way arrives: watch events never overtake each other.
    pub horizon: OrdMap<Kind, Time>,
    /// Per kind, the newest revision that was sent, from which a broken watch goes on.
    pub sent: OrdMap<Kind, Revision>,
}

impl Slot {
    /// How the process sees a commit through its watches.
    pub(super) fn view(&self, commit: &Commit) -> Option<crate::client::InformerEvent> {
        let kind = commit.kind().as_watched();
        self.watches.iter().filter(|spec| spec.kind == kind).find_map(|spec| spec.view(commit))
    }
}

/// Who watches a kind, arranged so that a change finds its watchers without asking each of them.
#[derive(Clone, Debug, Default)]
struct Watchers {
    all: OrdSet<ProcessId>,
    by_node: OrdMap<Name, OrdSet<ProcessId>>,
    by_name: OrdMap<Name, OrdSet<ProcessId>>,
}

impl Watchers {
    fn of(&mut self, selector: &WatchSelector) -> &mut OrdSet<ProcessId> {
        match selector {
            WatchSelector::All => &mut self.all,
            WatchSelector::OnNode(node) => self.by_node.entry(node.clone()).or_default(),
            WatchSelector::Named(name) => self.by_name.entry(name.clone()).or_default(),
        }
    }
}

/// Who watches what.
#[derive(Clone, Debug)]
pub(super) struct Subscriptions {
    kinds: Vec<Watchers>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { kinds: vec![Watchers::default(); Kind::PLACES] }
    }
}

impl Subscriptions {
    pub(super) fn add(&mut self, process: &ProcessId, kind: Kind, selector: &WatchSelector) {
        self.kinds[kind.index()].of(selector).insert(process.clone());
    }

    pub(super) fn remove(&mut self, process: &ProcessId, watches: &[WatchSpec]) {
        for spec in watches {
            self.kinds[spec.kind.index()].of(&spec.selector).remove(process);
        }
    }

    /// The processes that a commit concerns, in their order.
    pub(super) fn watchers(&self, commit: &Commit) -> Vec<ProcessId> {
        let of_kind = &self.kinds[commit.kind().index()];
        let mut watchers: Vec<ProcessId> = of_kind.all.iter().cloned().collect();
        watchers.extend(of_kind.by_name.get(&commit.key.name).into_iter().flatten().cloned());
        for object in [&commit.before, &commit.after].into_iter().flatten() {
            let node = node_of(object).and_then(|node| of_kind.by_node.get(node));
            watchers.extend(node.into_iter().flatten().cloned());
        }
        watchers.order();
        watchers.dedup();
        watchers
    }
}

fn node_of(object: &Object) -> Option<&str> {
    match object {
        Object::Pod(pod) => pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty()),
        _ => None,
    }
}
