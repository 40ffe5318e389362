//! The cluster as one value: clock, event queue, chance, processes, and the API server that they meet at.
//!
//! A [`Cluster`] is [`Clone`] with structural sharing and has no globals, no threads and no wall clock. From this
//! alone come pause, step, any speed, rewinding, forking and exact replay.

mod activity;
mod bootstrap;
mod cluster;
mod faults;
mod hash;
mod inspection;
mod invariants;
mod machines;
mod metrics_server;
mod network;
mod node_groups;
mod processes;
mod profile;
mod queue;
mod shared_storage;
mod streams;
mod watches;

pub use activity::{Activity, Journey, Origin, Recent};
pub use bootstrap::{API_SERVER, API_SERVER_PORT};
pub use cluster::{Cluster, Step, StepKind};
pub use faults::{ComponentFault, FaultError};
pub use invariants::Invariants;
pub use machines::{MachineError, NodeShutdown, NodeSpec, NodeTaint};
pub use network::{TrafficError, TrafficReport, TrafficSource, TrafficSpec};
pub use node_groups::NodeGroupSpec;
pub use processes::{ProcessId, ProcessState};
pub use profile::{Latencies, Profile};
pub use streams::{AttachStream, ExecStream, PodAnswer, PodLogOptions, StreamOutput};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::{ConfigMap, Pod};

    use super::*;
    use crate::api::{Kind, Object, ObjectKey};
    use crate::apiserver::{Body, Request, Target, User, Verb, WriteOptions};
    use crate::etcd::{Cause, Etcd, Why};
    use crate::machinery::time::Time;

    fn create(cluster: &mut Cluster, kind: Kind, body: Body) {
        let verb = Verb::Create { body, options: WriteOptions::default() };
        let cause = Cause::new("test", Why::default());
        let target = Target::collection(kind, "default");
        cluster.request(Request { user: User::admin(), cause, target, verb }).expect("the object is good");
    }

    #[test]
    fn a_new_cluster_gives_each_namespace_its_account_and_comes_to_rest() {
        let mut cluster = Cluster::new(Profile::default(), 1);
        let limit = Time::DEFAULT_START + Duration::from_secs(60);
        assert!(cluster.run_until_idle(limit), "nothing is left to do");
        assert_eq!(cluster.api().etcd().count(Kind::ServiceAccount), 4);
    }

    #[test]
    fn the_same_seed_gives_the_same_cluster_and_a_clone_goes_its_own_way() {
        let run = |seed| {
            let mut cluster = Cluster::new(Profile::default(), seed);
            cluster.run_for(Duration::from_secs(5));
            cluster
        };
        assert_eq!(run(7).hash(), run(7).hash());
        assert_ne!(run(7).hash(), run(8).hash());
        let original = run(7);
        let before = original.hash();
        let mut copy = original.clone();
        copy.run_for(Duration::from_secs(60));
        assert_eq!(original.hash(), before);
    }

    /// Twenty thousand pods that were created at once once took more of history than is kept, and the scheduler never
    /// heard of a third of them.
    #[test]
    fn a_watch_event_arrives_even_when_history_has_lost_its_commit() {
        let mut cluster = Cluster::new(Profile { nodes: 1, ..Profile::default() }, 1);
        cluster.run_for(Duration::from_secs(30));
        let pod = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "first" },
            "spec": { "containers": [{ "name": "web", "image": "nginx" }] },
        });
        create(&mut cluster, Kind::Pod, Body::Json(pod));
        let revision = cluster.api().etcd().revision();
        // Much is written before anybody can have heard of the pod.
        cluster.run_for(Duration::from_millis(1));
        let data = ByteString(vec![b'x'; 1_000_000]);
        for number in 0..=Etcd::HISTORY_KIBIBYTES_MAX / 970 {
            let mut config = ConfigMap::default();
            config.metadata.name = Some(format!("large-{number}"));
            config.binary_data = Some([("data".to_owned(), data.clone())].into());
            create(&mut cluster, Kind::ConfigMap, Body::Object(Object::from(config)));
        }
        assert!(cluster.api().etcd().commit_at(revision).is_none(), "history has lost the pod's creation");
        cluster.run_for(Duration::from_secs(30));
        let stored = cluster.api().etcd().get(Kind::Pod, &ObjectKey::new("default", "first"));
        let phase = stored.and_then(|object| object.downcast::<Pod>()?.status.as_ref()?.phase.as_deref());
        assert_eq!(phase, Some("Running"));
        assert_eq!(cluster.stale_caches(), Vec::<String>::new());
    }

    #[test]
    fn who_was_told_and_does_not_know_is_found() {
        let mut cluster = Cluster::new(Profile { nodes: 1, ..Profile::bare() }, 1);
        cluster.run_for(Duration::from_secs(30));
        assert_eq!(cluster.stale_caches(), Vec::<String>::new());
        let mut config = ConfigMap::default();
        config.metadata.name = Some("news".to_owned());
        create(&mut cluster, Kind::ConfigMap, Body::Object(Object::from(config)));
        assert_eq!(cluster.stale_caches(), Vec::<String>::new(), "it is on its way");
        // As if it had been told.
        let revision = cluster.api().etcd().revision();
        let manager = cluster.processes.get_mut(&ProcessId::ControllerManager).expect("it runs");
        manager.sent.insert(Kind::ConfigMap, revision);
        let found = cluster.stale_caches();
        assert!(found.iter().any(|line| line.contains("has another ConfigMap default/news")), "{found:?}");
        assert!(found.iter().any(|line| line.starts_with("kube-controller-manager has")), "{found:?}");
    }

    /// What one request writes is sent to its watchers after it, however much it is.
    #[test]
    fn history_keeps_all_that_was_written_in_one_moment() {
        let mut etcd = Etcd::new();
        let mut create = |number: usize, time| {
            let mut config = ConfigMap::default();
            config.metadata.name = Some(format!("large-{number}"));
            config.binary_data = Some([("data".to_owned(), ByteString(vec![b'x'; 1_000_000]))].into());
            etcd.create(time, Object::from(config), Cause::new("test", Why::default())).expect("it is new");
            etcd.commits(0).count()
        };
        let written = 1 + Etcd::HISTORY_KIBIBYTES_MAX / 970;
        let kept = (0..written).map(|number| create(number, Time::DEFAULT_START)).last();
        assert_eq!(kept, Some(written));
        assert!(create(written, Time::DEFAULT_START + Duration::from_micros(1)) < written);
    }
}
