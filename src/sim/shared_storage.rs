//! What serves the volumes that machines share: servers of network file systems, and the disks of a cloud.

use std::sync::Arc;

use crate::machinery::persistent::{OrdMap, OrdSet};
use crate::machinery::shell::files::FileTree;
use crate::node::kubelet::SharedNews;

use super::cluster::Cluster;
use super::processes::{ProcessId, Program};

#[derive(Clone, Debug, Default)]
struct Folder {
    files: FileTree,
    /// The kubelets of the machines that hold a copy.
    machines: OrdSet<ProcessId>,
}

/// The shared volumes by their keys.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedStorage {
    folders: OrdMap<String, Folder>,
}

impl Cluster {
    /// Does what a machine wants of shared volumes, and tells the others what it wrote.
    #[inline(never)]
    pub(super) fn share(&mut self, id: &ProcessId, news: SharedNews) {
        for key in news.asked {
            let folder = self.shared.folders.entry(key.clone()).or_default();
            folder.machines.insert(id.clone());
            let files = folder.files.clone();
            self.put_shared(id, &key, &files);
        }
        for (key, files) in news.written {
            let folder = self.shared.folders.entry(key.clone()).or_default();
            folder.files = files.clone();
            let others: Vec<ProcessId> = folder.machines.iter().filter(|other| *other != id).cloned().collect();
            for other in others {
                self.put_shared(&other, &key, &files);
            }
        }
    }

    fn put_shared(&mut self, id: &ProcessId, key: &str, files: &FileTree) {
        let now = self.now;
        let Some(slot) = self.processes.get_mut(id) else { return };
        if let Program::Kubelet(kubelet) = &mut slot.program {
            Arc::make_mut(kubelet).put_shared(key, files.clone(), now);
        }
        if slot.state.running {
            self.act_on_program(id, None, |program, client| {
                if let Program::Kubelet(kubelet) = program {
                    Arc::make_mut(kubelet).arm(client);
                }
            });
        }
    }
}
