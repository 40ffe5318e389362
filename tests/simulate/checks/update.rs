//! An update of a StatefulSet goes from the last place to the first, and one of a DaemonSet leaves as many nodes with a pod
//! as its bounds say.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, StatefulSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kubetab::api::{Kind, Object, ObjectKey, Resource as _, controller_of};

use super::rollout::{scaled, target_node};
use super::{Finding, Lately, Sight, actor, condemned, has_ended, is_deleting, is_ready, look, pods_of};

type Looks = BTreeMap<&'static str, u64>;

/// By the uid of a set.
#[derive(Default)]
pub struct Updates {
    /// How many pods StatefulSets wanted, at the places from the first on.
    places: BTreeMap<String, Lately<(i32, i32)>>,
    /// On how many nodes a DaemonSet may lack a pod.
    unavailable: BTreeMap<String, Lately<i64>>,
}

impl Updates {
    pub fn commit(&mut self, sight: &Sight<'_>, looks: &mut Looks) -> Finding {
        let now = sight.commit.time;
        match &sight.commit.after {
            Some(Object::StatefulSet(set)) => {
                self.places.entry(set.uid().to_owned()).or_default().note(now, places(set));
            }
            Some(Object::DaemonSet(set)) => {
                let nodes = sight.cluster.api().etcd().count(Kind::Node) as i64;
                self.unavailable.entry(set.uid().to_owned()).or_default().note(now, unavailable(set, nodes));
            }
            _ => {}
        }
        let Some(pod) = condemned(sight.commit).filter(|pod| sight.is_calm && is_ready(pod)) else { return Ok(()) };
        let Some(owner) = controller_of(&pod.metadata) else { return Ok(()) };
        match (actor(sight.commit), owner.kind.as_str()) {
            ("statefulset-controller", "StatefulSet") => self.pod_of_stateful_set(sight, pod, &owner.uid, looks),
            ("daemonset-controller", "DaemonSet") => self.pod_of_daemon_set(sight, pod, &owner.name, looks),
            _ => Ok(()),
        }
    }

    /// A pod that was well goes although its set has a place for it: it is replaced, and so all after it are new and well.
    fn pod_of_stateful_set(&self, sight: &Sight<'_>, pod: &Pod, uid: &str, looks: &mut Looks) -> Finding {
        let now = sight.commit.time;
        let Some(lately) = self.places.get(uid) else { return Ok(()) };
        let Some((first, wanted)) = lately.most(now).filter(|most| lately.least(now) == Some(*most)) else {
            return Ok(());
        };
        let ordinal = |pod: &Pod| pod.name().rsplit('-').next().and_then(|number| number.parse::<i32>().ok());
        let own = ordinal(pod).unwrap_or(-1);
        if own < first || own >= first + wanted {
            return Ok(());
        }
        look(looks, "updates of places");
        let is_well = |place: i32| {
            let mut pods = pods_of(sight.cluster, pod.namespace(), uid);
            pods.any(|pod| ordinal(pod) == Some(place) && is_ready(pod) && !is_deleting(pod))
        };
        match (own + 1..first + wanted).find(|place| !is_well(*place)) {
            Some(place) => Err(format!("is replaced although the pod at place {place} is not well")),
            None => Ok(()),
        }
    }

    /// A pod that was well goes from a node that it may be on.
    fn pod_of_daemon_set(&self, sight: &Sight<'_>, pod: &Pod, name: &str, looks: &mut Looks) -> Finding {
        let etcd = sight.cluster.api().etcd();
        let set = etcd.get(Kind::DaemonSet, &ObjectKey::new(pod.namespace(), name));
        let Some(set) = set.and_then(Object::downcast::<DaemonSet>).filter(|set| !surges(set)) else { return Ok(()) };
        let nodes = etcd.range(Kind::Node, None).filter_map(|(_, object)| object.downcast::<Node>());
        let is_open = |node: &Node| node.spec.as_ref().is_none_or(|spec| spec.taints.iter().flatten().count() == 0);
        let open: Vec<&str> = nodes.filter(|node| is_open(node)).map(|node| node.name()).collect();
        if !open.contains(&target_node(pod).as_str()) {
            return Ok(());
        }
        // A second pod of a node has to go in any case.
        let here: Vec<&Pod> = pods_of(sight.cluster, pod.namespace(), set.uid()).collect();
        let is_well = |node: &str| {
            let mut pods = here.iter().filter(|pod| target_node(pod) == node && !has_ended(pod) && !is_deleting(pod));
            pods.any(|pod| is_ready(pod))
        };
        let Some(most) = self.unavailable.get(set.uid()).and_then(|lately| lately.most(sight.commit.time)) else {
            return Ok(());
        };
        look(looks, "updates of nodes");
        let lacking = open.iter().filter(|node| !is_well(node)).count() as i64;
        match is_well(&target_node(pod)) || lacking <= most {
            true => Ok(()),
            false => Err(format!("leaves {lacking} nodes without a pod of DaemonSet {name}, of {most} at most")),
        }
    }
}

/// The first place of a set, and how many it has.
fn places(set: &StatefulSet) -> (i32, i32) {
    let spec = set.spec.as_ref();
    let first = spec.and_then(|spec| spec.ordinals.as_ref()?.start).unwrap_or(0);
    (first, spec.and_then(|spec| spec.replicas).unwrap_or(1))
}

fn surges(set: &DaemonSet) -> bool {
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    let surge = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.max_surge.as_ref());
    surge.is_some_and(|surge| *surge != IntOrString::Int(0))
}

fn unavailable(set: &DaemonSet, nodes: i64) -> i64 {
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    let most = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.max_unavailable.as_ref());
    most.map_or(1, |most| scaled(Some(most), nodes, true).max(1))
}
