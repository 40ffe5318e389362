//! Which images are on which nodes.
//!
//! Follows `addNodeImageStates` of `pkg/scheduler/backend/cache/cache.go`: an image has one size in the whole cluster,
//! the one that the first node told.

use crate::machinery::persistent::{OrdMap, OrdSet};
use k8s_openapi::api::core::v1::Node;

use crate::api::Name;

use super::super::node_info::NodeId;

/// An image that some node has.
#[derive(Clone, Debug, Default)]
pub struct ImageState {
    /// Its size in bytes.
    pub size: i64,
    /// The nodes that have it.
    pub nodes: OrdSet<NodeId>,
}

/// All images on nodes, by name.
#[derive(Clone, Debug, Default)]
pub struct ImageStates(OrdMap<Name, ImageState>);

impl ImageStates {
    pub(super) fn add(&mut self, id: NodeId, node: &Node) {
        let images = node.status.as_ref().and_then(|status| status.images.as_ref());
        for image in images.into_iter().flatten() {
            for name in image.names.iter().flatten() {
                let size = image.size_bytes.unwrap_or(0);
                let state =
                    self.0.entry(name.as_str().into()).or_insert_with(|| ImageState { size, nodes: OrdSet::new() });
                state.nodes.insert(id);
            }
        }
    }

    pub(super) fn remove(&mut self, id: NodeId, node: &Node) {
        let images = node.status.as_ref().and_then(|status| status.images.as_ref());
        for name in images.into_iter().flatten().flat_map(|image| image.names.iter().flatten()) {
            let Some(state) = self.0.get_mut(name.as_str()) else { continue };
            state.nodes.remove(&id);
            if state.nodes.is_empty() {
                self.0.remove(name.as_str());
            }
        }
    }

    /// The image of a name, if any node has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ImageState> {
        self.0.get(name)
    }

    /// Whether no node has told of any image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
