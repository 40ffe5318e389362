//! What can go wrong with components and their connections, besides whole machines.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use super::processes::ProcessId;

/// What goes wrong with a component, or is set right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ComponentFault {
    /// It ends, and nobody starts it again. Not for what runs on a node: there a whole machine stops.
    Stop,
    /// It starts again after it was stopped.
    Start,
    /// It dies, and is started again at once. All that it knew is forgotten; what it is responsible for stays: the
    /// containers of a kubelet's machine run on.
    Restart,
    /// Everything that it watches reaches it so much later than usual, until this is said again with 0.
    SlowWatch {
        /// How much later.
        milliseconds: u32,
    },
    /// Its watches break, with what was on its way in them, and go on where they broke off.
    BreakWatch,
    /// Its watches break, and the API server does not know any more what came after: 410 Expired. It lists anew.
    ExpireWatch,
}

/// Why a fault cannot happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// There is no such component.
    NoSuchComponent(String),
    /// The component does not run.
    NotRunning(String),
    /// The component runs.
    Running(String),
    /// The component belongs to a machine.
    OnMachine(String),
    /// What a component watches comes late enough.
    TooSlow(u32),
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchComponent(name) => write!(f, "there is no component {name:?}"),
            Self::NotRunning(name) => write!(f, "{name} does not run"),
            Self::Running(name) => write!(f, "{name} runs already"),
            Self::OnMachine(name) => write!(f, "{name} runs as long as its node does: stop or start the node"),
            Self::TooSlow(milliseconds) => {
                write!(f, "{milliseconds} ms are too many: at most {} are taken", Cluster::WATCH_DELAY_MS_MAX)
            }
        }
    }
}

impl std::error::Error for FaultError {}

impl Cluster {
    /// How much later than usual watch events may come at most.
    pub const WATCH_DELAY_MS_MAX: u32 = 600_000;

    /// Something goes wrong with a component, or is set right again. The API server keeps all that it knows in etcd: of
    /// it one notices only that everybody's watches break.
    ///
    /// # Errors
    /// Why that cannot happen now.
    pub fn disturb(&mut self, component: &str, fault: ComponentFault) -> Result<(), FaultError> {
        let no_such = || FaultError::NoSuchComponent(component.to_owned());
        let id: ProcessId = component.parse().map_err(|()| no_such())?;
        if id == ProcessId::ApiServer {
            return self.disturb_all(component, fault);
        }
        let state = self.process_state(&id).ok_or_else(no_such)?;
        let on_machine = matches!(id, ProcessId::Kubelet(_) | ProcessId::KubeProxy(_));
        match fault {
            ComponentFault::Stop | ComponentFault::Start if on_machine => {
                return Err(FaultError::OnMachine(component.to_owned()));
            }
            ComponentFault::Start if state.running => return Err(FaultError::Running(component.to_owned())),
            ComponentFault::Start | ComponentFault::SlowWatch { .. } => {}
            _ if !state.running => return Err(FaultError::NotRunning(component.to_owned())),
            _ => {}
        }
        match fault {
            ComponentFault::Stop => self.stop_process(&id),
            ComponentFault::Start => self.start_process(&id),
            ComponentFault::Restart => {
                self.stop_process(&id);
                self.start_process(&id);
            }
            ComponentFault::SlowWatch { milliseconds } => self.delay_watches(&id, milliseconds)?,
            ComponentFault::BreakWatch => self.break_watches(&id),
            ComponentFault::ExpireWatch => self.expire_watches(&id),
        }
        Ok(())
    }

    /// What goes wrong with the API server does so for everybody.
    fn disturb_all(&mut self, component: &str, fault: ComponentFault) -> Result<(), FaultError> {
        let everybody: Vec<ProcessId> = self.processes.keys().cloned().collect();
        for id in everybody {
            match fault {
                ComponentFault::Restart | ComponentFault::BreakWatch => self.break_watches(&id),
                ComponentFault::ExpireWatch => self.expire_watches(&id),
                ComponentFault::SlowWatch { milliseconds } => self.delay_watches(&id, milliseconds)?,
                ComponentFault::Start => return Err(FaultError::Running(component.to_owned())),
                ComponentFault::Stop => return Err(FaultError::NoSuchComponent(component.to_owned())),
            }
        }
        Ok(())
    }

    fn delay_watches(&mut self, id: &ProcessId, milliseconds: u32) -> Result<(), FaultError> {
        if milliseconds > Self::WATCH_DELAY_MS_MAX {
            return Err(FaultError::TooSlow(milliseconds));
        }
        if let Some(slot) = self.processes.get_mut(id) {
            slot.watch_delay = Duration::from_millis(milliseconds.into());
        }
        Ok(())
    }

    /// etcd's quota is used up, so that nothing can be written any more, or there is room again. Heartbeats are writes,
    /// too.
    pub const fn fill_store(&mut self, full: bool) {
        self.api.set_full(full);
    }
}
