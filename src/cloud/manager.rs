//! The process that runs the cloud's controllers.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;

use crate::api::Kind;
use crate::client::{Client, InformerEvent, Informers, Process, Purpose, Token, WatchSpec, WorkQueue, Worker};

use super::provider::{Cloud, CloudConfig};
use super::service::{self, RETRY_DELAYS, ServiceController};
use super::{node, node_lifecycle, route};

/// How often the addresses of nodes are looked at: `--node-status-update-frequency`.
const NODE_STATUS_UPDATE_FREQUENCY: Duration = Duration::from_secs(300);
/// How often the cloud is asked for the machines of nodes that are not ready: `--node-monitor-period`.
const NODE_MONITOR_PERIOD: Duration = Duration::from_secs(5);

/// How often routes are looked at: `--route-reconciliation-period`.
const ROUTE_RECONCILIATION_PERIOD: Duration = Duration::from_secs(10);

/// The places of the workers.
const NODE: usize = 0;
const NODE_LIFECYCLE: usize = 1;
const SERVICE: usize = 2;
const ROUTE: usize = 3;

const fn period(index: usize) -> Option<Duration> {
    match index {
        NODE => Some(NODE_STATUS_UPDATE_FREQUENCY),
        NODE_LIFECYCLE => Some(NODE_MONITOR_PERIOD),
        ROUTE => Some(ROUTE_RECONCILIATION_PERIOD),
        _ => None,
    }
}

/// cloud-controller-manager, together with the cloud that it speaks to.
#[derive(Clone, Debug)]
pub struct CloudControllerManager {
    cloud: Cloud,
    informers: Informers,
    services: ServiceController,
    workers: [Worker; 4],
}

impl CloudControllerManager {
    /// A manager in a cloud without machines.
    #[must_use]
    pub fn new(config: CloudConfig) -> Self {
        let backoff = (WorkQueue::BACKOFF_MIN, WorkQueue::BACKOFF_MAX);
        Self {
            cloud: Cloud::new(config),
            informers: Informers::new(),
            services: ServiceController::default(),
            workers: [
                Worker::new(NODE, "cloud-node-controller", "node-controller", backoff),
                Worker::new(NODE_LIFECYCLE, "cloud-node-lifecycle-controller", "node-controller", backoff),
                Worker::new(SERVICE, "service-controller", "service-controller", RETRY_DELAYS),
                Worker::new(ROUTE, "route-controller", "route-controller", backoff),
            ],
        }
    }

    /// What it knows of what it watches.
    #[must_use]
    pub const fn informers(&self) -> &Informers {
        &self.informers
    }

    /// The cloud.
    #[must_use]
    pub const fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The cloud, in which something happens without this program's doing.
    pub const fn cloud_mut(&mut self) -> &mut Cloud {
        &mut self.cloud
    }
}

impl Process for CloudControllerManager {
    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Node), WatchSpec::all(Kind::Service)]
    }

    fn start(&mut self, client: &mut Client<'_>) {
        self.informers = Informers::new();
        self.services = ServiceController::default();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            worker.start(period(index), client);
        }
    }

    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        self.informers.apply(event);
        if let (Some(before), Some(after)) = (event.before::<Service>(), event.after::<Service>()) {
            service::tell_change(before, after, client);
        }
        if event.kind == Kind::Node {
            self.workers[NODE].handle(event.revision, client, |queue| node::on_event(event, queue));
        }
        self.workers[SERVICE].handle(event.revision, client, |queue| ServiceController::on_event(event, queue));
    }

    fn wake(&mut self, token: Token, client: &mut Client<'_>) {
        let (index, purpose) = Purpose::of(token);
        let Some(worker) = self.workers.get_mut(index) else { return };
        let (cloud, listers, services) = (&mut self.cloud, &self.informers, &mut self.services);
        match (purpose, index) {
            (Purpose::Work, NODE) => worker.work(client, |key, client| node::sync(key, cloud, listers, client)),
            (Purpose::Work, _) => worker.work(client, |key, client| services.sync(key, cloud, listers, client)),
            (Purpose::Due, _) => worker.due(client),
            (Purpose::Tick, NODE) => worker.tick(period(NODE), client, |_, client| node::tick(cloud, listers, client)),
            (Purpose::Tick, ROUTE) => {
                worker.tick(period(ROUTE), client, |_, client| route::tick(cloud, listers, client));
            }
            (Purpose::Tick, _) => {
                worker.tick(period(index), client, |_, client| node_lifecycle::tick(cloud, listers, client));
            }
        }
    }
}
