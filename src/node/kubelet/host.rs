//! What the pods of a node share: the machine, the kubelet's managers and its timetable.

use std::sync::Arc;
use std::time::Duration;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::core::v1::{Node, Service};

use crate::api::ObjectKey;
use crate::machinery::random::Random;
use crate::machinery::time::Time;

use super::agenda::{Agenda, Work};
use super::backoff::Backoff;
use super::config::NodeConfig;
use super::csi::Plugins;
use super::eviction::Pressures;
use super::image_gc::ImageGc;
use super::images::ImageManager;
use super::kuberuntime::KubeRuntime;
use super::network::PodNetwork;

/// How often the kubelet looks at what changed in the runtime: `plegRelistPeriod`.
pub(super) const RELIST_PERIOD: Duration = Duration::from_micros(RELIST_MICROS);
const RELIST_MICROS: u64 = 1_000_000;
/// The first wait before a container that ended is started again: `initialNodeDecay`.
const CRASH_BACKOFF_BASE: Duration = Duration::from_secs(10);
/// The longest wait: `MaxContainerBackOff`.
const CRASH_BACKOFF_MAX: Duration = Duration::from_secs(300);

/// A node from a pod's point of view.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub config: Arc<NodeConfig>,
    pub runtime: KubeRuntime,
    pub agenda: Agenda,
    pub images: ImageManager,
    /// Containers that end too often.
    pub crashes: Backoff,
    pub services: OrdMap<ObjectKey, Arc<Service>>,
    pub node: Option<Arc<Node>>,
    /// When the kubelet started.
    pub started_at: Time,
    /// When the last status so far is written.
    pub statuses_written_at: Time,
    /// When it first looked at the runtime. Kubelets look each at moments of their own within a second.
    pub relists_from: Time,
    pub image_gc: ImageGc,
    pub pressures: Pressures,
    pub csi: Plugins,
    /// How often the machine was switched on after it had lost its power.
    pub boots: u32,
    /// Whether the machine is about to be switched off.
    pub is_shutting_down: bool,
    /// Whether somebody switched the machine on again before it was off.
    pub boots_again: bool,
}

impl Host {
    pub(super) fn new(config: Arc<NodeConfig>) -> Self {
        let network = PodNetwork::new(&config.internal_ip, &config.pod_cidr);
        let mut runtime = KubeRuntime::new(config.runtime_profile(), network);
        for image in &config.preloaded_images {
            // A name that is none is simply not there.
            let _ = runtime.cri.preload_image(image);
        }
        Self {
            config,
            runtime,
            agenda: Agenda::default(),
            images: ImageManager::new(),
            crashes: Backoff::new(CRASH_BACKOFF_BASE, CRASH_BACKOFF_MAX),
            services: OrdMap::new(),
            node: None,
            started_at: Time::default(),
            statuses_written_at: Time::default(),
            relists_from: Time::default(),
            image_gc: ImageGc::default(),
            pressures: Pressures::default(),
            csi: Plugins::default(),
            boots: 0,
            is_shutting_down: false,
            boots_again: false,
        }
    }

    /// The first relist later than `time`.
    pub(super) fn relist_after(&self, time: Time) -> Time {
        if time < self.relists_from {
            return self.relists_from;
        }
        let ticks = time.since(self.relists_from).as_micros() / RELIST_PERIOD.as_micros() + 1;
        self.relists_from + RELIST_PERIOD * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    /// The first tick of the sync loop at `time` or later.
    pub(super) fn tick_from(&self, time: Time) -> Time {
        self.relist_after(Time::from_micros(time.as_micros().saturating_sub(1)))
    }

    /// Plans what follows from a change in the runtime: its own next event, and the relist that will see this one.
    pub(super) fn plan_runtime(&mut self, now: Time) {
        match self.runtime.cri.next_wake(now) {
            Some(time) => self.agenda.set(Work::Runtime, time, false),
            None => self.agenda.cancel(Work::Runtime),
        }
        match self.runtime.cri.next_wake_at_rest(now) {
            Some(time) => self.agenda.set(Work::RuntimeAtRest, time, true),
            None => self.agenda.cancel(Work::RuntimeAtRest),
        }
        if self.runtime.has_changed() {
            let relist = self.relist_after(now);
            self.agenda.set_sooner(Work::Relist, relist, false);
        }
    }

    /// The kubelet starts, on a machine that keeps what it has.
    pub(super) fn restart(&mut self, now: Time, random: &mut Random) {
        self.agenda = Agenda::default();
        self.images = ImageManager::new();
        self.crashes = Backoff::new(CRASH_BACKOFF_BASE, CRASH_BACKOFF_MAX);
        self.services = OrdMap::new();
        self.node = None;
        self.started_at = now;
        self.statuses_written_at = now;
        self.relists_from = now + Duration::from_micros(random.below(RELIST_MICROS));
        self.image_gc = ImageGc::default();
        self.pressures = Pressures::default();
        self.csi = Plugins::default();
        self.is_shutting_down = false;
        self.boots_again = false;
        self.runtime.forget_askers(|_| true);
        self.runtime.advance(now);
    }

    /// What the API server says of the node.
    pub(super) fn set_node(&mut self, node: Option<Arc<Node>>) {
        if let Some(cidr) = node.as_ref().and_then(|node| node.spec.as_ref()?.pod_cidr.as_deref()) {
            self.runtime.network.set_range(cidr);
        }
        self.node = node;
    }
}
