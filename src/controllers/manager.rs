//! The process that runs the controllers.

use std::fmt;
use std::sync::Arc;

use crate::api::Kind;
use crate::client::{Client, Controller, InformerEvent, Informers, Process, Purpose, Token, WatchSpec, Worker};

/// A controller with what belongs to it.
struct Slot {
    controller: Box<dyn Controller + Send + Sync>,
    worker: Worker,
    /// What it reads, by the index of the kind.
    watched: Arc<[bool]>,
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        Self { controller: self.controller.boxed_clone(), worker: self.worker.clone(), watched: self.watched.clone() }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("controller", &self.controller.name())
            .field("queue", &self.worker.queue.len())
            .finish()
    }
}

/// The controller manager.
#[derive(Clone, Debug)]
pub struct ControllerManager {
    informers: Informers,
    slots: Vec<Slot>,
}

impl ControllerManager {
    /// A manager that runs `controllers`.
    #[must_use]
    pub fn new(controllers: Vec<Box<dyn Controller + Send + Sync>>) -> Self {
        let slots = controllers.into_iter().enumerate().map(|(index, controller)| Slot::new(index, controller));
        Self { informers: Informers::new(), slots: slots.collect() }
    }

    /// What it knows of what it watches.
    #[must_use]
    pub const fn informers(&self) -> &Informers {
        &self.informers
    }

    /// The name of each controller and how many keys wait in its queue.
    pub fn queues(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.slots.iter().map(|slot| (slot.controller.name(), slot.worker.queue.len()))
    }
}

impl Slot {
    fn new(index: usize, controller: Box<dyn Controller + Send + Sync>) -> Self {
        let specs = controller.watches();
        let mut watched = vec![false; Kind::PLACES];
        specs.iter().for_each(|spec| watched[spec.kind.index()] = true);
        let worker = Worker::new(index, controller.name(), controller.account(), controller.backoff())
            .with_rate_factors(controller.rate_factors())
            .with_workers(controller.workers())
            .waiting_for_ever(controller.waits_for_ever());
        Self { controller, worker, watched: watched.into() }
    }
}

impl Process for ControllerManager {
    fn watches(&self) -> Vec<WatchSpec> {
        let mut watches: Vec<WatchSpec> = Vec::new();
        for spec in self.slots.iter().flat_map(|slot| slot.controller.watches()) {
            if !watches.contains(&spec) {
                watches.push(spec);
            }
        }
        watches
    }

    fn start(&mut self, client: &mut Client<'_>) {
        self.informers = Informers::new();
        for slot in &mut self.slots {
            slot.controller.reset();
            slot.worker.start(slot.controller.period(), client);
        }
    }

    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        self.informers.apply(event);
        for slot in &mut self.slots {
            if slot.watched[event.kind.index()] {
                let (controller, informers) = (&mut slot.controller, &self.informers);
                slot.worker.handle(event.revision, client, |queue| controller.on_event(event, informers, queue));
            }
        }
    }

    fn wake(&mut self, token: Token, client: &mut Client<'_>) {
        let (index, purpose) = Purpose::of(token);
        let Some(Slot { controller, worker, .. }) = self.slots.get_mut(index) else { return };
        let informers = &self.informers;
        match purpose {
            Purpose::Work => worker.work(client, |key, client| controller.sync(key, informers, client)),
            Purpose::Due => worker.due(client),
            Purpose::Tick => {
                let period = controller.period();
                worker.tick(period, client, |queue, client| controller.tick(informers, queue, client));
            }
        }
    }
}
