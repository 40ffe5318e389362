//! Nobody makes more pods than are wanted, and a roll-out stays within its bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kubetab::api::{Kind, Object, ObjectKey, Resource, controller_of};
use kubetab::sim::Cluster;

use super::{Finding, Lately, Sight, actor, condemned, created, is_active, is_ready, look, pods_of, ready_since};

/// The bounds of a Deployment: how many pods at most, how many available ones at least.
#[derive(Default)]
struct Bounds {
    most: Lately<i64>,
    least: Lately<i64>,
}

#[derive(Default)]
pub struct Rollouts {
    /// By the uid of a ReplicaSet, how many pods it wanted.
    replicas: BTreeMap<String, Lately<i64>>,
    /// By the uid of a Deployment.
    bounds: BTreeMap<String, Bounds>,
}

type Looks = BTreeMap<&'static str, u64>;

impl Rollouts {
    pub fn commit(&mut self, sight: &Sight<'_>, looks: &mut Looks) -> Finding {
        let now = sight.commit.time;
        match &sight.commit.after {
            Some(Object::ReplicaSet(set)) => {
                let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
                self.replicas.entry(set.uid().to_owned()).or_default().note(now, i64::from(wanted));
                self.total(sight, set, looks)?;
            }
            Some(Object::Deployment(deployment)) => {
                let (most, least) = bounds(deployment);
                let bounds = self.bounds.entry(deployment.uid().to_owned()).or_default();
                bounds.most.note(now, most);
                bounds.least.note(now, least);
            }
            _ => {}
        }
        if let Some(pod) = created::<Pod>(sight.commit)
            && let Some(owner) = controller_of(&pod.metadata)
        {
            match owner.kind.as_str() {
                "ReplicaSet" => self.pod_of_set(sight, pod, &owner.uid, looks)?,
                "StatefulSet" => pod_of_stateful_set(sight, pod, &owner.name, looks)?,
                "DaemonSet" => pod_of_daemon_set(sight, pod, &owner.name, looks)?,
                _ => {}
            }
        }
        match condemned(sight.commit).filter(|_| sight.is_calm && actor(sight.commit) == "replicaset-controller") {
            Some(pod) => self.availability(sight, pod, looks),
            None => Ok(()),
        }
    }

    /// A ReplicaSet has made another pod.
    fn pod_of_set(&self, sight: &Sight<'_>, pod: &Pod, uid: &str, looks: &mut Looks) -> Finding {
        look(looks, "replicas");
        let active = pods_of(sight.cluster, pod.namespace(), uid).filter(|pod| is_active(pod)).count() as i64;
        let most = self.replicas.get(uid).and_then(|replicas| replicas.most(sight.commit.time)).unwrap_or(0);
        if active > most { Err(format!("is one of {active} pods of a ReplicaSet that wants {most}")) } else { Ok(()) }
    }

    /// All ReplicaSets of a Deployment together want no more pods than it may have.
    fn total(&self, sight: &Sight<'_>, set: &ReplicaSet, looks: &mut Looks) -> Finding {
        let grown = match &sight.commit.before {
            Some(Object::ReplicaSet(before)) => {
                before.spec.as_ref().and_then(|spec| spec.replicas) < set.spec.as_ref().and_then(|spec| spec.replicas)
            }
            _ => true,
        };
        let Some(owner) = controller_of(&set.metadata).filter(|owner| grown && owner.kind == "Deployment") else {
            return Ok(());
        };
        if !sight.is_calm {
            return Ok(());
        }
        let Some(most) = self.bounds.get(&owner.uid).and_then(|bounds| bounds.most.most(sight.commit.time)) else {
            return Ok(());
        };
        look(looks, "surge");
        let total: i64 = sets_of(sight.cluster, set.namespace(), &owner.uid)
            .map(|set| i64::from(set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)))
            .sum();
        if total > most { Err(format!("brings its Deployment to {total} pods, of {most} at most")) } else { Ok(()) }
    }

    /// A pod of a ReplicaSet goes because there are enough.
    fn availability(&self, sight: &Sight<'_>, pod: &Pod, looks: &mut Looks) -> Finding {
        let (etcd, now) = (sight.cluster.api().etcd(), sight.commit.time);
        let set = controller_of(&pod.metadata).and_then(|owner| {
            etcd.get(Kind::ReplicaSet, &ObjectKey::new(pod.namespace(), owner.name.as_str()))?.downcast::<ReplicaSet>()
        });
        let Some(owner) = set.and_then(|set| controller_of(&set.metadata)) else { return Ok(()) };
        let deployment = etcd.get(Kind::Deployment, &ObjectKey::new(pod.namespace(), owner.name.as_str()));
        let Some(deployment) = deployment.and_then(|object| object.downcast::<Deployment>()) else { return Ok(()) };
        let wait = deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
        let is_available = |pod: &Pod| {
            is_active(pod)
                && ready_since(pod).is_some_and(|since| since + seconds(wait) <= now + Duration::from_secs(1))
        };
        let Some(least) = self.bounds.get(&owner.uid).and_then(|bounds| bounds.least.least(now)) else { return Ok(()) };
        if !is_available(pod) {
            return Ok(());
        }
        look(looks, "availability");
        let left: usize = sets_of(sight.cluster, pod.namespace(), &owner.uid)
            .map(|set| pods_of(sight.cluster, pod.namespace(), set.uid()).filter(|pod| is_available(pod)).count())
            .sum();
        if (left as i64) < least {
            return Err(format!("leaves Deployment {} with {left} available pods, of {least} at least", owner.name));
        }
        Ok(())
    }
}

fn seconds(count: i32) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

fn sets_of<'a>(cluster: &'a Cluster, namespace: &'a str, uid: &'a str) -> impl Iterator<Item = &'a ReplicaSet> {
    let sets = cluster.api().etcd().range(Kind::ReplicaSet, Some(namespace));
    let sets = sets.filter_map(|(_, object)| object.downcast::<ReplicaSet>()).map(|set| &**set);
    sets.filter(move |set| controller_of(&set.metadata).is_some_and(|owner| owner.uid == uid))
}

/// A number or a part of a whole.
pub fn scaled(amount: Option<&IntOrString>, whole: i64, round_up: bool) -> i64 {
    match amount {
        Some(IntOrString::Int(number)) => i64::from(*number),
        Some(IntOrString::String(text)) => {
            let hundredths: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            (hundredths * whole + if round_up { 99 } else { 0 }) / 100
        }
        None => scaled(Some(&IntOrString::String("25%".to_owned())), whole, round_up),
    }
}

/// How many pods a Deployment has at most, and how many available ones at least.
fn bounds(deployment: &Deployment) -> (i64, i64) {
    let spec = deployment.spec.clone().unwrap_or_default();
    let replicas = i64::from(spec.replicas.unwrap_or(1));
    let strategy = spec.strategy.unwrap_or_default();
    if strategy.type_.as_deref() == Some("Recreate") {
        return (replicas, 0);
    }
    let rolling = strategy.rolling_update.unwrap_or_default();
    let surge = scaled(rolling.max_surge.as_ref(), replicas, true);
    let mut unavailable = scaled(rolling.max_unavailable.as_ref(), replicas, false);
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    (replicas + surge, (replicas - unavailable).max(0))
}

/// With `OrderedReady`, those before it are there and ready.
fn pod_of_stateful_set(sight: &Sight<'_>, pod: &Pod, name: &str, looks: &mut Looks) -> Finding {
    let etcd = sight.cluster.api().etcd();
    let set =
        etcd.get(Kind::StatefulSet, &ObjectKey::new(pod.namespace(), name)).and_then(Object::downcast::<StatefulSet>);
    let Some(spec) = set.and_then(|set| set.spec.clone()) else { return Ok(()) };
    if spec.pod_management_policy.as_deref() == Some("Parallel") || !sight.is_calm {
        return Ok(());
    }
    look(looks, "order");
    let first = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
    let own: i32 = pod.name().rsplit('-').next().and_then(|ordinal| ordinal.parse().ok()).unwrap_or(0);
    for ordinal in first..own {
        let before = ObjectKey::new(pod.namespace(), format!("{name}-{ordinal}").as_str());
        let before = etcd.get(Kind::Pod, &before).and_then(Object::downcast::<Pod>);
        if !before.is_some_and(|before| is_ready(before)) {
            return Err(format!("was made before {name}-{ordinal} is ready"));
        }
    }
    Ok(())
}

/// A DaemonSet has one pod on a node, and one more while it surges.
fn pod_of_daemon_set(sight: &Sight<'_>, pod: &Pod, name: &str, looks: &mut Looks) -> Finding {
    let set = sight.cluster.api().etcd().get(Kind::DaemonSet, &ObjectKey::new(pod.namespace(), name));
    let Some(set) = set.and_then(Object::downcast::<DaemonSet>) else { return Ok(()) };
    look(looks, "daemons");
    // The controller may not have heard yet that it is not to surge any more.
    let etcd = sight.cluster.api().etcd();
    let lately = etcd.commits(etcd.revision().saturating_sub(20)).filter_map(|commit| commit.before.as_ref());
    let was = lately.filter_map(Object::downcast::<DaemonSet>).filter(|was| was.uid() == set.uid());
    let most = if was.chain([set]).any(|set| surges(set)) { 2 } else { 1 };
    let own = target_node(pod);
    let on_node =
        pods_of(sight.cluster, pod.namespace(), set.uid()).filter(|pod| is_active(pod) && target_node(pod) == own);
    match on_node.count() {
        count if count > most => Err(format!("is one of {count} pods of its DaemonSet for node {own:?}")),
        _ => Ok(()),
    }
}

fn surges(set: &DaemonSet) -> bool {
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    let surge = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.max_surge.as_ref());
    surge.is_some_and(|surge| *surge != IntOrString::Int(0))
}

/// The node that a pod of a DaemonSet is for.
pub fn target_node(pod: &Pod) -> String {
    let value = kubetab::machinery::json::to_value(pod);
    let terms = &value["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    terms["nodeSelectorTerms"][0]["matchFields"][0]["values"][0].as_str().unwrap_or("").to_owned()
}
