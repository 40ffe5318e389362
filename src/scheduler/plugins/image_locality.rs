//! ImageLocality: a node that has the pod's images already is better, the more so the larger they are.
//!
//! Follows `imagelocality/image_locality.go`.

use crate::scheduler::cache::ImageState;
use crate::scheduler::framework::Handle;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::score_table::MAX_NODE_SCORE;
use crate::scheduler::node_info::NodeInfo;

const MEBIBYTE: i64 = 1024 * 1024;
/// Less than this is not worth a point.
const MIN_THRESHOLD: i64 = 23 * MEBIBYTE;
/// More than this a container is not worth more.
const MAX_CONTAINER_THRESHOLD: i64 = 1000 * MEBIBYTE;

/// The sizes of the pod's images that a node has, each scaled by the share of all nodes that have it.
///
/// The scaling keeps one node that alone has an image from drawing all pods to itself.
#[must_use]
pub fn score(state: &CycleState, handle: Handle<'_>, nodes: &[&NodeInfo]) -> Vec<i64> {
    let images = handle.cache.images();
    if images.is_empty() {
        return vec![0; nodes.len()];
    }
    let node_count = handle.cache.node_count();
    let scaled = |image: &ImageState| (image.size as f64 * (image.nodes.len() as f64 / node_count as f64)) as i64;
    let known: Vec<(&ImageState, i64)> =
        state.pod.images.iter().filter_map(|name| images.get(name)).map(|image| (image, scaled(image))).collect();
    let score_one = |node: &&NodeInfo| {
        let there = known.iter().filter(|(image, _)| image.nodes.contains(&node.id));
        priority(there.map(|(_, size)| size).sum(), state.pod.images.len() as i64)
    };
    nodes.iter().map(score_one).collect()
}

fn priority(sum: i64, image_count: i64) -> i64 {
    if image_count == 0 {
        return 0;
    }
    let max = MAX_CONTAINER_THRESHOLD * image_count;
    MAX_NODE_SCORE * (sum.clamp(MIN_THRESHOLD, max) - MIN_THRESHOLD) / (max - MIN_THRESHOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let cases = [(5, 0, 0), (0, 1, 0), (23, 1, 0), (1000, 1, 100), (4000, 1, 100), (500, 1, 48), (500, 2, 24)];
        for (mebibytes, images, expected) in cases {
            assert_eq!(priority(mebibytes * MEBIBYTE, images), expected, "{mebibytes} MiB, {images}");
        }
    }
}
