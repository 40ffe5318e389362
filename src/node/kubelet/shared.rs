//! Volumes that machines share: network file systems, and disks that follow their pods from machine to machine.
//!
//! A machine holds a copy of each that its pods have used. What is written to one is told to the cluster, which stands for
//! whatever serves the volume and tells the other machines in the same moment.

use crate::client::Client;
use crate::machinery::shell::files::FileTree;
use crate::machinery::time::Time;

use super::Kubelet;

/// What a machine has to say of shared volumes.
#[derive(Clone, Debug, Default)]
pub struct SharedNews {
    /// Volumes that it wants to have.
    pub asked: Vec<String>,
    /// Volumes that were written to, with their files.
    pub written: Vec<(String, FileTree)>,
}

impl Kubelet {
    /// Whether there is anything to say of shared volumes.
    #[must_use]
    pub const fn has_shared_news(&self) -> bool {
        !self.host.runtime.asked_shared.is_empty() || self.host.runtime.cri.has_written_shared()
    }

    /// What there is to say, once.
    pub fn take_shared_news(&mut self) -> SharedNews {
        let asked = std::mem::take(&mut self.host.runtime.asked_shared);
        SharedNews { asked, written: self.host.runtime.cri.take_written_shared() }
    }

    /// A shared volume is like this now. Containers that watch its files notice.
    pub fn put_shared(&mut self, key: &str, files: FileTree, now: Time) {
        self.host.runtime.put_volume(key, files, now);
        self.host.plan_runtime(now);
    }

    /// Plans what follows from a change from outside.
    pub fn arm(&mut self, client: &mut Client<'_>) {
        self.host.agenda.arm(client);
    }
}
