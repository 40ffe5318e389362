//! The scheduler's configuration file, which is the ConfigMap `kube-scheduler-config` in `kube-system`.
//!
//! In a real cluster the file is mounted into the scheduler's pod (`--config`), and whoever changes it restarts the pod.
//! The simulated scheduler sees the change itself and begins anew with what the file says. What upstream's would not
//! start with it refuses, and goes on as it is. Both it tells in an event about the ConfigMap. Without the ConfigMap, the
//! defaults hold.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;

use crate::api::{Kind, Name};
use crate::client::{Client, EventType, InformerEvent, WatchSelector, WatchSpec};
use crate::etcd::Why;
use crate::scheduler::configuration::{Configuration, load};
use crate::scheduler::pod_info::PodInfo;

use super::{KubeScheduler, truncate};

const NAME: &str = "kube-scheduler-config";
const NAMESPACE: &str = "kube-system";
const KEY: &str = "config.yaml";
const ACTION: &str = "Restarting";

/// What the file said; `None` when the ConfigMap has no such file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigurationFile(Option<Arc<str>>);

impl ConfigurationFile {
    fn of(map: &ConfigMap) -> Self {
        Self(map.data.as_ref().and_then(|data| data.get(KEY)).map(|text| text.as_str().into()))
    }

    fn load(&self) -> Result<Configuration, String> {
        match &self.0 {
            Some(text) => load(text),
            None => Err(format!("open /etc/kubernetes/{NAME}/{KEY}: no such file or directory")),
        }
    }
}

/// The watch by which it sees its file.
pub(super) fn watch() -> WatchSpec {
    WatchSpec { kind: Kind::ConfigMap, selector: WatchSelector::Named(Name::from(NAME)) }
}

impl KubeScheduler {
    /// The file appeared, changed or is gone.
    pub(super) fn configure(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        let file = event.after::<ConfigMap>().map(ConfigurationFile::of);
        if &*event.key.namespace != NAMESPACE || file == self.configuration_file {
            return;
        }
        let loaded = file.as_ref().map_or_else(|| Ok(Configuration::default()), ConfigurationFile::load);
        self.configuration_file = file;
        let (event_type, reason, note) = match loaded {
            Ok(configuration) => {
                let names: Vec<&str> = configuration.profiles.iter().map(|profile| &*profile.scheduler_name).collect();
                let note = format!("kube-scheduler restarted with this configuration; profiles: {}", names.join(", "));
                self.restart(configuration, client);
                (EventType::Normal, "ConfigurationLoaded", note)
            }
            Err(error) => {
                let note = format!("kube-scheduler goes on with the configuration that it has: {error}");
                (EventType::Warning, "InvalidConfiguration", note)
            }
        };
        client.because(Why::plain("The scheduler's configuration changed."));
        // Nobody can be told about a ConfigMap that is gone.
        if let Some(map) = event.after::<ConfigMap>() {
            client.event_v1(map, event_type, reason, ACTION, &truncate(&note));
        }
    }

    /// Begins anew. Pods whose volumes were waited for are thought about again.
    fn restart(&mut self, configuration: Configuration, client: &mut Client<'_>) {
        let mut abandoned: Vec<Arc<PodInfo>> = Vec::new();
        for pending in std::mem::take(&mut self.pending).values() {
            self.scheduler.listers.revert(pending.decisions());
            self.unreserve_claims(pending.pod(), client);
            abandoned.push(Arc::clone(pending.pod()));
        }
        self.scheduler.restart(configuration, abandoned, client.now);
    }
}
