//! What the scheduler's plugins look at, in a sentence each: their reasons are upstream's words, which say little to somebody
//! who sees them for the first time.

use crate::scheduler::framework::plugin::Plugin;

/// Why the plugin rules a node out; nothing for one that never does.
#[must_use]
pub const fn filter_sentence(plugin: Plugin) -> Option<&'static str> {
    Some(match plugin {
        Plugin::NodeUnschedulable => "The node is cordoned, and the pod does not tolerate that.",
        Plugin::NodeName => "The pod names another node.",
        Plugin::TaintToleration => "The node has a taint that the pod does not tolerate.",
        Plugin::NodeAffinity => "The node is not one that the pod's nodeSelector and required node affinity ask for.",
        Plugin::NodePorts => "A pod on the node holds a host port that this pod wants.",
        Plugin::NodeResourcesFit => {
            "The pods on the node leave less than this pod requests: what counts are requests, not what is really used."
        }
        Plugin::VolumeRestrictions => "A disk or a claim of the pod is for one pod at a time, and another has it.",
        Plugin::NodeVolumeLimits => "The node cannot attach so many volumes of the pod's driver.",
        Plugin::VolumeBinding => "The pod's volumes cannot be used on the node, or none can be had there.",
        Plugin::VolumeZone => "The pod's volumes are in another zone.",
        Plugin::PodTopologySpread => {
            "The pod would be one too many where the node is, by its topology spread constraints."
        }
        Plugin::InterPodAffinity => "Pods are missing that must be near, or there are some that must not be.",
        Plugin::DynamicResources => {
            "The node has no devices for the pod's claims, or cannot reach those that they have."
        }
        Plugin::NodeDeclaredFeatures => "The pod needs something of a kubelet that the node does not declare.",
        _ => return None,
    })
}

/// What the plugin gives points for; nothing for one that gives none.
#[must_use]
pub const fn score_sentence(plugin: Plugin) -> Option<&'static str> {
    Some(match plugin {
        Plugin::TaintToleration => "The fewer PreferNoSchedule taints that the pod does not tolerate, the more points.",
        Plugin::NodeAffinity => "The more the node has of what the pod's node affinity prefers, the more points.",
        Plugin::NodeResourcesFit => {
            "How much of the node would be requested with the pod on it: by default, the less, the more points."
        }
        Plugin::NodeResourcesBalancedAllocation => {
            "The more evenly processors and memory would be requested than before, the more points."
        }
        Plugin::PodTopologySpread => "The fewer pods like this one are where the node is, the more points.",
        Plugin::InterPodAffinity => "Points for pods nearby that are liked, fewer for those that are to be avoided.",
        Plugin::VolumeBinding => "Volumes give no points, unless they are told to.",
        Plugin::DynamicResources => "The earlier the alternative that the pod's claims would get, the more points.",
        Plugin::ImageLocality => "The more of the pod's images the node has already, by their sizes, the more points.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::framework::extension_point::ExtensionPoint;
    use crate::view::words::is_translated;

    #[test]
    fn every_plugin_is_explained_in_both_languages() {
        for plugin in Plugin::ALL {
            for (point, sentence) in
                [(ExtensionPoint::Filter, filter_sentence(plugin)), (ExtensionPoint::Score, score_sentence(plugin))]
            {
                assert_eq!(sentence.is_some(), point.has(plugin), "{plugin} at {point:?}");
                assert!(sentence.is_none_or(is_translated), "{plugin} at {point:?}");
            }
        }
    }
}
