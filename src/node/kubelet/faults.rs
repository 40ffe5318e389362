//! What somebody does to a machine from outside: containers crash, probes fail, images cannot be pulled.

use crate::api::{Name, ObjectKey, Resource};
use crate::client::Client;

use super::Kubelet;
use super::agenda::{PodId, Work};
use super::kuberuntime::ContainerRecord;

/// The exit code of a container that crashes because somebody wants it to.
const CRASH_CODE: i32 = 1;

impl Kubelet {
    fn find(&self, pod: &ObjectKey) -> Option<(PodId, Name)> {
        let mut workers = self.workers.values();
        let worker = workers.find(|worker| !worker.is_gone && worker.pod.key() == *pod)?;
        Some((worker.id, worker.uid.clone()))
    }

    /// The newest container of a name in a pod; its first regular one when the name is empty.
    fn container(&self, pod: &ObjectKey, container: &str) -> Option<ContainerRecord> {
        let (id, uid) = self.find(pod)?;
        let spec = self.workers.get(&id)?.pod.spec.as_ref()?;
        let name = if container.is_empty() { spec.containers.first()?.name.as_str() } else { container };
        self.host.runtime.pod(&uid).newest(name).cloned()
    }

    /// Lets a container's process crash; the pod's first container when none is named. Says whether it ran.
    pub fn crash_container(&mut self, pod: &ObjectKey, container: &str, client: &mut Client<'_>) -> bool {
        let Some(record) = self.container(pod, container) else { return false };
        if !self.host.runtime.is_running(&record.id) {
            return false;
        }
        self.host.runtime.cri.crash_container(&record.id, CRASH_CODE, client.now);
        self.host.plan_runtime(client.now);
        self.host.agenda.arm(client);
        true
    }

    /// Lets a probe (`startup`, `liveness` or `readiness`) of a container fail from now on, through all its restarts, or
    /// follow its own mind again. Says whether there is such a probe.
    pub fn fail_probe(
        &mut self,
        pod: &ObjectKey,
        container: &str,
        probe: &str,
        fails: bool,
        client: &mut Client<'_>,
    ) -> bool {
        let Some(((id, uid), record)) = self.find(pod).zip(self.container(pod, container)) else { return false };
        let Some(worker) = self.workers.get(&id) else { return false };
        let mut probes = worker.probes.workers.iter();
        let Some(index) = probes.position(|one| one.word() == probe && one.container == record.name) else {
            return false;
        };
        // From here on its answers matter again, even if nothing was expected of them any more.
        let next = worker.probes.workers[index].next_tick(client.now);
        self.host.runtime.set_failing(&uid, &record.name, probe, fails);
        self.host.agenda.set(Work::Probe(id, u16::try_from(index).unwrap_or(u16::MAX)), next, false);
        self.host.agenda.arm(client);
        true
    }

    /// Lets an image become impossible to pull, or possible again.
    pub fn break_image(&mut self, image: &str, broken: bool) {
        self.host.runtime.cri.set_unpullable(&super::images::with_default_tag(image), broken);
    }
}
