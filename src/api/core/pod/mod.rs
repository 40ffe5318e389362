//! Pods, and the pod templates of other kinds.

mod app_armor;
pub mod columns;
pub(crate) mod containers;
pub(crate) mod defaults;
pub(crate) mod env;
pub mod image;
mod overlaps;
pub(crate) mod placement;
pub(crate) mod probes;
pub mod qos;
pub(crate) mod requirements;
pub(crate) mod resize;
pub mod resources;
pub(crate) mod security;
pub(crate) mod status;
pub(crate) mod strategy;
pub(crate) mod update;
pub(crate) mod validation;
pub(crate) mod volumes;
mod volumes_projected;
mod volumes_removed;
pub(crate) mod warnings;

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::super::check::list;

/// Whether an init container runs beside the main ones for the pod's whole life.
#[must_use]
pub fn is_restartable_init(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The containers with the spec's field they stand in and their place there, init containers first
/// (`VisitContainersWithPath`; ephemeral containers are visited by those who look at them).
pub(crate) fn containers_with_field(spec: &PodSpec) -> impl Iterator<Item = (&'static str, usize, &Container)> {
    let init = list(&spec.init_containers).iter().enumerate().map(|(index, c)| ("initContainers", index, c));
    init.chain(spec.containers.iter().enumerate().map(|(index, c)| ("containers", index, c)))
}
