//! What containers, images and volumes take of the machine: its memory, its disk and its processes.

use std::collections::BTreeSet;

use super::container::{Container, ContainerState};
use super::images::ImageStatus;
use super::{Runtime, SHARED_VOLUME};
use crate::machinery::shell::files::FileTree;
use crate::machinery::time::Time;

/// How big a file of an image is, as a rule of thumb: what stands in the catalogue are sizes, not files.
const IMAGE_FILE_BYTES: u64 = 64 << 10;

impl Runtime {
    /// The memory of all running containers, in bytes.
    #[must_use]
    pub fn memory_in_use(&self, now: Time) -> u64 {
        let running = self.containers.values().filter(|container| container.state == ContainerState::Running);
        running.map(|container| container.memory(now) + self.memory_of_mounts(container)).sum()
    }

    /// What a running container's volumes take of memory that lie there.
    pub(super) fn memory_of_mounts(&self, container: &Container) -> u64 {
        if container.state != ContainerState::Running {
            return 0;
        }
        let mounts = container.config.mounts.iter().filter(|mount| mount.in_memory.is_some());
        mounts.map(|mount| self.volume_usage(&mount.volume)).sum()
    }

    /// How much memory a container may use, if that is bounded.
    #[must_use]
    pub fn memory_limit(&self, id: &str) -> Option<u64> {
        self.containers.get(id)?.memory_limit
    }

    /// What images, layers and logs of containers, and volumes take of the disk, in bytes.
    #[must_use]
    pub fn disk_in_use(&self) -> u64 {
        self.disk_and_files().0
    }

    /// The same with how many files that are.
    #[must_use]
    pub fn disk_and_files(&self) -> (u64, u64) {
        let add = |sum: (u64, u64), bytes: u64, files: u64| (sum.0.saturating_add(bytes), sum.1.saturating_add(files));
        let images = self.images.values().map(|image| image.size);
        let images = images.fold((0, 0), |sum, size| add(sum, size, size / IMAGE_FILE_BYTES));
        let containers = self.containers.values().fold(images, |sum, container| {
            add(sum, container.layer_bytes() + container.log.size(), container.inodes())
        });
        let own = self.volumes.iter().filter(|(key, _)| !key.starts_with(SHARED_VOLUME));
        own.fold(containers, |sum, (_, files)| add(sum, files.usage(), files.inodes()))
    }

    /// How many processes all containers and sandboxes have.
    #[must_use]
    pub fn processes_in_use(&self) -> u64 {
        let running = self.containers.values().filter(|container| container.state == ContainerState::Running);
        let processes: u64 = running.map(|container| container.table.processes() as u64).sum();
        let paused = self.sandboxes.values().filter(|sandbox| sandbox.ready).count() as u64;
        processes + paused
    }

    /// How many files a volume has.
    #[must_use]
    pub fn volume_inodes(&self, key: &str) -> u64 {
        self.volumes.get(key).map_or(0, FileTree::inodes)
    }

    /// What a volume's files take, in bytes.
    #[must_use]
    pub fn volume_usage(&self, key: &str) -> u64 {
        self.volumes.get(key).map_or(0, FileTree::usage)
    }

    /// The names of the images that no container was made from, whether it runs or has ended.
    #[must_use]
    pub fn unused_images(&self) -> BTreeSet<String> {
        let used: BTreeSet<&str> = self.containers.values().map(|container| container.image_id.as_str()).collect();
        let unused = self.images.iter().filter(|(_, image)| !used.contains(image.reference()));
        unused.map(|(name, _)| name.clone()).collect()
    }

    /// An image by its full name.
    #[must_use]
    pub fn named_image(&self, name: &str) -> Option<&ImageStatus> {
        self.images.get(name).map(|image| &**image)
    }

    /// The images by their full names.
    pub fn named_images(&self) -> impl Iterator<Item = (&String, &ImageStatus)> {
        self.images.iter().map(|(name, image)| (name, &**image))
    }
}

impl Container {
    /// The files that it has in its own layer, and the file of its log.
    pub(super) const fn inodes(&self) -> u64 {
        self.root.inodes().saturating_sub(self.initial_inodes) + 1
    }

    /// What it wrote into its own layer, in bytes.
    pub(super) const fn layer_bytes(&self) -> u64 {
        self.root.usage().saturating_sub(self.initial_layer_bytes)
    }
}
