//! What a cluster has come to once nothing is broken any more and nothing is left to do.
//!
//! Objects are looked at as JSON: each of these is looked at once, and by what anybody can read of it.

use std::collections::{BTreeMap, BTreeSet};

use kubetab::api::{Kind, Object};
use kubetab::session::Session;
use serde_json::Value;

use super::checks::Finding;
use super::faults::machines;

/// A cluster's objects at rest.
struct Rest<'a> {
    session: &'a Session,
    pods: Vec<Value>,
    /// Whether some pod finds no room anywhere, so that its owner waits for ever.
    lacks_room: bool,
    /// The namespaces that may not have any number of pods.
    limited: BTreeSet<String>,
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// Where a pod of a DaemonSet says which node it is for.
const TARGET_NODE: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution\
                           /nodeSelectorTerms/0/matchFields/0/values/0";

fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn name(value: &Value) -> String {
    format!("{} {}/{}", text(value, "/kind"), text(value, "/metadata/namespace"), text(value, "/metadata/name"))
}

fn condition<'a>(value: &'a Value, of_type: &str) -> &'a str {
    let conditions = value.pointer("/status/conditions").and_then(Value::as_array);
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == of_type);
    found.map_or("", |condition| text(condition, "/status"))
}

fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready") == "True"
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn objects(session: &Session, kind: Kind) -> Vec<Value> {
    session.cluster().api().etcd().range(kind, None).map(|(_, object)| object.to_value()).collect()
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Finding {
    if holds { Ok(()) } else { Err(what()) }
}

/// Whether the cluster is as its users want it.
pub fn check(session: &Session) -> Finding {
    let pods = objects(session, Kind::Pod);
    let waits = |pod: &Value| text(pod, "/spec/nodeName").is_empty() && !has_ended(pod);
    let lacks_room = pods.iter().any(waits);
    let quotas = objects(session, Kind::ResourceQuota);
    let limited = quotas.iter().map(|quota| text(quota, "/metadata/namespace").to_owned()).collect();
    let rest = Rest { session, pods, lacks_room, limited };
    if let Some(stale) = session.cluster().stale_caches().first() {
        return Err(stale.clone());
    }
    rest.nodes()?;
    rest.waiting_pods()?;
    rest.owners()?;
    rest.machines()?;
    for pod in &rest.pods {
        rest.pod(pod)?;
    }
    for kind in [
        Kind::ResourceQuota,
        Kind::HorizontalPodAutoscaler,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::Job,
        Kind::CronJob,
        Kind::PodDisruptionBudget,
        Kind::Service,
        Kind::PersistentVolumeClaim,
        Kind::PersistentVolume,
        Kind::VolumeAttachment,
    ] {
        for object in &objects(session, kind) {
            rest.object(kind, object)?;
        }
    }
    Ok(())
}

impl Rest<'_> {
    fn object(&self, kind: Kind, object: &Value) -> Finding {
        match kind {
            Kind::ResourceQuota => self.quota(object),
            Kind::HorizontalPodAutoscaler => self.autoscaler(object),
            Kind::Deployment => self.deployment(object),
            Kind::ReplicaSet => self.replica_set(object),
            Kind::StatefulSet => self.stateful_set(object),
            Kind::DaemonSet => self.daemon_set(object),
            Kind::Job => self.job(object),
            Kind::CronJob => self.cron_job(object),
            Kind::PodDisruptionBudget => self.budget(object),
            Kind::Service => self.service(object),
            Kind::PersistentVolumeClaim => self.claim(object),
            Kind::VolumeAttachment => self.attachment(object),
            _ => self.volume(object),
        }
    }

    fn pods_of(&self, uid: &str) -> impl Iterator<Item = &Value> {
        let is_owned = move |pod: &&Value| {
            let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            owners.into_iter().flatten().any(|owner| owner["controller"] == true && owner["uid"] == uid)
        };
        self.pods.iter().filter(is_owned)
    }

    /// Whether an owner of pods may have fewer than it wants.
    fn is_short(&self, owner: &Value) -> bool {
        self.lacks_room || self.limited.contains(text(owner, "/metadata/namespace"))
    }

    /// A quota's account is of what there is.
    fn quota(&self, quota: &Value) -> Finding {
        let namespace = text(quota, "/metadata/namespace");
        let counted = self.pods.iter().filter(|pod| text(pod, "/metadata/namespace") == namespace && !has_ended(pod));
        let (counted, used) = (counted.count().to_string(), text(quota, "/status/used/pods"));
        ensure(counted == used, || format!("{} counts {used} pods of {counted}", name(quota)))
    }

    /// What is scaled stays within its bounds, where anything is known of what it uses.
    fn autoscaler(&self, autoscaler: &Value) -> Finding {
        let target = text(autoscaler, "/spec/scaleTargetRef/name");
        let deployments = objects(self.session, Kind::Deployment);
        let same = |deployment: &&Value| {
            text(deployment, "/metadata/name") == target
                && deployment["metadata"]["namespace"] == autoscaler["metadata"]["namespace"]
        };
        let Some(deployment) = deployments.iter().find(same) else { return Ok(()) };
        let replicas = number(deployment, "/spec/replicas");
        let most = number(autoscaler, "/spec/maxReplicas");
        // At 0 it is switched off.
        ensure(replicas <= most, || format!("{} lets {target} have {replicas} pods", name(autoscaler)))
    }

    fn nodes(&self) -> Finding {
        let machines: BTreeSet<String> = machines(self.session).into_iter().collect();
        let nodes = objects(self.session, Kind::Node);
        let names: BTreeSet<String> = nodes.iter().map(|node| text(node, "/metadata/name").to_owned()).collect();
        ensure(machines == names, || format!("there are machines {machines:?} and nodes {names:?}"))?;
        for node in &nodes {
            ensure(condition(node, "Ready") == "True", || format!("{} is not ready", name(node)))?;
            let taints = &node["spec"]["taints"];
            ensure(taints.as_array().is_none_or(Vec::is_empty), || format!("{} has the taints {taints}", name(node)))?;
        }
        Ok(())
    }

    /// A pod that waits fits nowhere.
    fn waiting_pods(&self) -> Finding {
        let amount = |value: &Value| {
            kubetab::machinery::quantity::Quantity::parse(value.as_str().unwrap_or("0")).map_or(0, |q| q.milli_value())
        };
        let cpu = |pod: &Value| -> i64 {
            let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
            containers.into_iter().flatten().map(|one| amount(&one["resources"]["requests"]["cpu"])).sum()
        };
        for pod in self.pods.iter().filter(|pod| text(pod, "/spec/nodeName").is_empty() && !has_ended(pod)) {
            let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
            if volumes.into_iter().flatten().any(|volume| !volume["persistentVolumeClaim"].is_null()) {
                // A folder of a node that left is gone with it.
                continue;
            }
            for node in objects(self.session, Kind::Node) {
                let node_name = text(&node, "/metadata/name");
                // A pod of a DaemonSet is for one node.
                let target = text(pod, TARGET_NODE);
                if !target.is_empty() && target != node_name {
                    continue;
                }
                let there: Vec<&Value> = self
                    .pods
                    .iter()
                    .filter(|pod| text(pod, "/spec/nodeName") == node_name && !has_ended(pod))
                    .collect();
                let used: i64 = there.iter().map(|pod| cpu(pod)).sum();
                let fits = used + cpu(pod) <= amount(&node["status"]["allocatable"]["cpu"])
                    && (there.len() as i64) * 1000 < amount(&node["status"]["allocatable"]["pods"]);
                ensure(!fits, || format!("{} waits though it fits {node_name}: {}", name(pod), pod["status"]))?;
            }
        }
        Ok(())
    }

    /// Nothing is left whose owners are gone, and nothing that was asked to go.
    fn owners(&self) -> Finding {
        let etcd = self.session.cluster().api().etcd();
        let all = || Kind::ALL.iter().flat_map(|&kind| etcd.range(kind, None).map(|(_, object)| object));
        let uids: BTreeSet<&str> = all().filter_map(|object| object.metadata().uid.as_deref()).collect();
        for object in all().filter(|object| object.kind() != Kind::Event) {
            let metadata = object.metadata();
            let what = || format!("{} {}", object.kind(), object.key());
            for owner in metadata.owner_references.iter().flatten() {
                ensure(uids.contains(owner.uid.as_str()), || format!("{} outlives its owner {}", what(), owner.name))?;
            }
            let is_kept = matches!(object.kind(), Kind::PersistentVolumeClaim | Kind::PersistentVolume);
            ensure(metadata.deletion_timestamp.is_none() || is_kept, || {
                format!("{} is being deleted for ever, for {:?}", what(), metadata.finalizers)
            })?;
        }
        Ok(())
    }

    /// What machines run is what the store says of them.
    fn machines(&self) -> Finding {
        let mut running: BTreeMap<String, String> = BTreeMap::new();
        for node in machines(self.session) {
            for (key, uid) in self.session.cluster().running_pods(&node) {
                let before = running.insert(uid.to_string(), node.clone());
                ensure(before.is_none(), || format!("pod {key} runs on two machines"))?;
                let known = self.pods.iter().find(|pod| text(pod, "/metadata/uid") == &*uid);
                let known = known.filter(|pod| text(pod, "/spec/nodeName") == node && !has_ended(pod));
                ensure(known.is_some(), || format!("{node} still runs containers of pod {key} ({uid})"))?;
            }
        }
        for pod in self.pods.iter().filter(|pod| is_ready(pod)) {
            ensure(running.contains_key(text(pod, "/metadata/uid")), || {
                format!("{} is ready and does not run", name(pod))
            })?;
        }
        Ok(())
    }

    fn pod(&self, pod: &Value) -> Finding {
        let is_bound = !text(pod, "/spec/nodeName").is_empty();
        let is_server = text(pod, "/metadata/labels/work").is_empty();
        ensure(!is_bound || !is_server || is_ready(pod) || has_ended(pod), || {
            format!("{} is not ready: {}", name(pod), pod["status"])
        })
    }

    fn deployment(&self, deployment: &Value) -> Finding {
        let status = &deployment["status"];
        let what = |what: &str| format!("{}: {what}: {} {}", name(deployment), deployment["spec"]["replicas"], status);
        ensure(number(deployment, "/metadata/generation") == number(status, "/observedGeneration"), || {
            what("is not observed")
        })?;
        let replicas = number(deployment, "/spec/replicas");
        // One that was paused before its first pods has none.
        let is_paused = deployment["spec"]["paused"] == true;
        if is_paused || self.is_short(deployment) {
            return Ok(());
        }
        let sets = objects(self.session, Kind::ReplicaSet);
        let owned =
            sets.iter().filter(|set| set["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]);
        // Whoever scales a Deployment with several ReplicaSets and then changes its strategy to Recreate has it hang:
        // upstream's `scale` does nothing then, and leaves the note by which it knows that there is something to scale.
        let is_to_scale = |set: &&Value| {
            let noted = &set["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"];
            number(set, "/spec/replicas") > 0 && noted.as_str() != Some(replicas.to_string().as_str())
        };
        if deployment["spec"]["strategy"]["type"] == "Recreate" && owned.clone().filter(is_to_scale).count() > 1 {
            return Ok(());
        }
        for field in ["/replicas", "/readyReplicas", "/availableReplicas", "/updatedReplicas"] {
            ensure(number(status, field) == replicas, || what(field))?;
        }
        let (used, old): (Vec<&Value>, Vec<&Value>) = owned.partition(|set| number(set, "/spec/replicas") > 0);
        ensure(used.len() <= 1, || what("has several ReplicaSets with pods"))?;
        let limit = number(deployment, "/spec/revisionHistoryLimit") + 1;
        ensure(old.len() as i64 <= limit, || format!("{} of {limit}", what("has too many old ReplicaSets")))
    }

    fn replica_set(&self, set: &Value) -> Finding {
        let what = |what: &str| format!("{}: {what}: {} {}", name(set), set["spec"]["replicas"], set["status"]);
        ensure(number(set, "/metadata/generation") == number(set, "/status/observedGeneration"), || {
            what("is not observed")
        })?;
        let pods = self.pods_of(text(set, "/metadata/uid")).filter(|pod| !has_ended(pod)).count() as i64;
        let is_short = self.limited.contains(text(set, "/metadata/namespace"));
        ensure(is_short || pods == number(set, "/spec/replicas"), || format!("{} of {pods}", what("pods")))?;
        ensure(pods == number(set, "/status/replicas"), || what("replicas"))?;
        ensure(self.is_short(set) || pods == number(set, "/status/availableReplicas"), || what("available"))
    }

    fn stateful_set(&self, set: &Value) -> Finding {
        let (status, replicas) = (&set["status"], number(set, "/spec/replicas"));
        let what = |what: &str| format!("{}: {what}: {} {}", name(set), set["spec"], status);
        ensure(number(set, "/metadata/generation") == number(status, "/observedGeneration"), || {
            what("is not observed")
        })?;
        if self.is_short(set) || self.is_stuck(set) {
            return Ok(());
        }
        for field in ["/replicas", "/readyReplicas", "/availableReplicas"] {
            ensure(number(status, field) == replicas, || what(field))?;
        }
        let partition = number(set, "/spec/updateStrategy/rollingUpdate/partition");
        if set["spec"]["updateStrategy"]["type"] == "RollingUpdate" && partition == 0 {
            ensure(status["currentRevision"] == status["updateRevision"], || what("is not updated"))?;
        }
        Ok(())
    }

    /// Whether a set waits for ever with too many pods, as upstream's does: of those without a place the last goes first, but
    /// one that is not well goes only when all before it are.
    fn is_stuck(&self, set: &Value) -> bool {
        let end = number(set, "/spec/ordinals/start") + number(set, "/spec/replicas");
        let ordinal =
            |pod: &Value| text(pod, "/metadata/name").rsplit('-').next().and_then(|it| it.parse::<i64>().ok());
        let beyond = self.pods_of(text(set, "/metadata/uid")).filter(|pod| ordinal(pod).is_some_and(|own| own >= end));
        set["spec"]["podManagementPolicy"] != "Parallel" && beyond.filter(|pod| !is_ready(pod)).count() > 1
    }

    fn daemon_set(&self, set: &Value) -> Finding {
        let status = &set["status"];
        let what = |what: &str| format!("{}: {what}: {status}", name(set));
        ensure(number(set, "/metadata/generation") == number(status, "/observedGeneration"), || {
            what("is not observed")
        })?;
        let nodes = objects(self.session, Kind::Node).len() as i64;
        for field in ["/desiredNumberScheduled", "/currentNumberScheduled", "/numberReady", "/numberAvailable"] {
            ensure(number(status, field) == nodes || self.is_short(set), || what(field))?;
        }
        ensure(number(status, "/numberMisscheduled") == 0, || what("misscheduled"))?;
        let updates = set["spec"]["updateStrategy"]["type"] == "RollingUpdate";
        ensure(!updates || self.is_short(set) || number(status, "/updatedNumberScheduled") == nodes, || what("updated"))
    }

    fn job(&self, job: &Value) -> Finding {
        let status = &job["status"];
        let what = |what: &str| format!("{}: {what}: {} {status}", name(job), job["spec"]);
        let is_over = condition(job, "Complete") == "True" || condition(job, "Failed") == "True";
        let rests = job["spec"]["suspend"] == true || number(job, "/spec/parallelism") == 0 || self.is_short(job);
        ensure(is_over || rests, || what("has not ended"))?;
        let active = self.pods_of(text(job, "/metadata/uid")).filter(|pod| !has_ended(pod)).count() as i64;
        ensure(active == number(status, "/active"), || format!("{} of {active}", what("active")))?;
        ensure(!is_over || active == 0, || what("has pods though it is over"))?;
        let is_indexed = job["spec"]["completionMode"] == "Indexed";
        let by_policy = !job["spec"]["successPolicy"].is_null();
        if condition(job, "Complete") == "True" && !by_policy && !job["spec"]["completions"].is_null() {
            ensure(number(status, "/succeeded") == number(job, "/spec/completions"), || what("succeeded"))?;
        }
        if is_over && is_indexed && !by_policy && condition(job, "Complete") == "True" {
            ensure(!text(status, "/completedIndexes").is_empty(), || what("indexes"))?;
        }
        // With a limit for each index, the last failed pod of an index is kept to tell how long to wait for the next.
        let keeps = !is_over && !job["spec"]["backoffLimitPerIndex"].is_null();
        let tracked = self.pods_of(text(job, "/metadata/uid")).find(|pod| {
            let finalizers = pod.pointer("/metadata/finalizers").and_then(Value::as_array);
            finalizers.into_iter().flatten().any(|one| one == "batch.kubernetes.io/job-tracking") && has_ended(pod)
        });
        ensure(keeps || tracked.is_none(), || what("has not counted a pod"))
    }

    fn cron_job(&self, cron_job: &Value) -> Finding {
        let jobs = objects(self.session, Kind::Job);
        let owned: Vec<&Value> = jobs
            .iter()
            .filter(|job| job["metadata"]["ownerReferences"][0]["uid"] == cron_job["metadata"]["uid"])
            .collect();
        for (of_type, field) in
            [("Complete", "/spec/successfulJobsHistoryLimit"), ("Failed", "/spec/failedJobsHistoryLimit")]
        {
            let kept = owned.iter().filter(|job| condition(job, of_type) == "True").count() as i64;
            let limit = number(cron_job, field);
            ensure(kept <= limit, || format!("{} keeps {kept} jobs of {limit}", name(cron_job)))?;
        }
        let active =
            owned.iter().filter(|job| condition(job, "Complete").is_empty() && condition(job, "Failed").is_empty());
        let listed = cron_job.pointer("/status/active").and_then(Value::as_array).map_or(0, Vec::len);
        let active = active.count();
        ensure(active == listed, || format!("{} lists {listed} active jobs of {active}", name(cron_job)))
    }

    fn budget(&self, budget: &Value) -> Finding {
        let app = &budget["spec"]["selector"]["matchLabels"]["app"];
        let is_covered = |pod: &&Value| {
            pod["metadata"]["labels"]["app"] == *app && pod["metadata"]["namespace"] == budget["metadata"]["namespace"]
        };
        let healthy = self.pods.iter().filter(is_covered).filter(|pod| is_ready(pod)).count() as i64;
        let status = &budget["status"];
        let what =
            |what: &str| format!("{}: {what}: {healthy} pods are healthy: {} {status}", name(budget), budget["spec"]);
        ensure(number(budget, "/metadata/generation") == number(status, "/observedGeneration"), || {
            what("is not observed")
        })?;
        // Upstream's controller looks only at what a pod has become: that one lost the label it hears from the pod that
        // comes in its place, and from nobody where no controller makes one.
        let lost_one = number(status, "/expectedPods") == 0 && number(status, "/currentHealthy") > healthy;
        if lost_one {
            return Ok(());
        }
        ensure(number(status, "/currentHealthy") == healthy, || what("healthy"))?;
        let is_wanted = number(status, "/expectedPods") > 0;
        let allowed = if is_wanted { (healthy - number(status, "/desiredHealthy")).max(0) } else { 0 };
        ensure(number(status, "/disruptionsAllowed") == allowed, || what("allowed"))
    }

    fn service(&self, service: &Value) -> Finding {
        let Some(app) = service.pointer("/spec/selector/app") else { return Ok(()) };
        let namespace = &service["metadata"]["namespace"];
        let ready = self.pods.iter().filter(|pod| {
            pod["metadata"]["labels"]["app"] == *app && pod["metadata"]["namespace"] == *namespace && is_ready(pod)
        });
        let wanted: BTreeSet<String> = ready.map(|pod| text(pod, "/status/podIP").to_owned()).collect();
        let slices = objects(self.session, Kind::EndpointSlice);
        let of_service = |slice: &&Value| {
            slice["metadata"]["namespace"] == *namespace
                && slice["metadata"]["labels"]["kubernetes.io/service-name"] == service["metadata"]["name"]
        };
        let endpoints =
            slices.iter().filter(of_service).flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
        let found: BTreeSet<String> = ready.map(|endpoint| text(endpoint, "/addresses/0").to_owned()).collect();
        ensure(wanted == found, || format!("{} has the endpoints {found:?}, of {wanted:?}", name(service)))?;
        if service["spec"]["type"] == "LoadBalancer" && self.session.cluster().cloud().is_some() {
            let address = text(service, "/status/loadBalancer/ingress/0/ip");
            let host = text(service, "/status/loadBalancer/ingress/0/hostname");
            return ensure(!address.is_empty() || !host.is_empty(), || {
                format!("{} has no address from outside", name(service))
            });
        }
        Ok(())
    }

    /// Claims that pods use have volumes.
    fn claim(&self, claim: &Value) -> Finding {
        let users = self.pods.iter().filter(|pod| {
            let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
            pod["metadata"]["namespace"] == claim["metadata"]["namespace"]
                && volumes
                    .into_iter()
                    .flatten()
                    .any(|one| one["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"])
        });
        let is_used = users.count() > 0;
        let phase = text(claim, "/status/phase");
        ensure(!is_used || self.lacks_room || phase == "Bound", || format!("{} is {phase}", name(claim)))?;
        let is_going = !claim["metadata"]["deletionTimestamp"].is_null();
        ensure(!is_going || is_used, || format!("{} is being deleted for ever", name(claim)))
    }

    /// What is attached is used there.
    fn attachment(&self, attachment: &Value) -> Finding {
        let (volume, node) =
            (text(attachment, "/spec/source/persistentVolumeName"), text(attachment, "/spec/nodeName"));
        ensure(attachment["status"]["attached"] == true, || format!("{} is not attached", name(attachment)))?;
        let claims = objects(self.session, Kind::PersistentVolumeClaim);
        let claim = claims.iter().find(|claim| text(claim, "/spec/volumeName") == volume);
        let is_user = |pod: &&Value| {
            let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
            text(pod, "/spec/nodeName") == node
                && volumes.into_iter().flatten().any(|one| {
                    claim.is_some_and(|claim| {
                        one["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
                            && pod["metadata"]["namespace"] == claim["metadata"]["namespace"]
                    })
                })
        };
        ensure(self.pods.iter().any(|pod| is_user(&pod)), || format!("{volume} stays attached to {node} for nobody"))
    }

    fn volume(&self, volume: &Value) -> Finding {
        let phase = text(volume, "/status/phase");
        let is_kept = volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain";
        ensure(phase == "Bound" || is_kept, || format!("{} is {phase}", name(volume)))?;
        let claim = format!("{}/{}", text(volume, "/spec/claimRef/namespace"), text(volume, "/spec/claimRef/name"));
        let etcd = self.session.cluster().api().etcd();
        let is_there = etcd.range(Kind::PersistentVolumeClaim, None).any(|(key, object): (_, &Object)| {
            format!("{}/{}", key.namespace, key.name) == claim
                && object.metadata().uid.as_deref() == Some(text(volume, "/spec/claimRef/uid"))
        });
        ensure(is_there || is_kept, || format!("{} is bound to {claim}, which is gone", name(volume)))
    }
}
