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
    use super::*;
    use crate::api::Kind;
    use crate::machinery::time::Time;
    use std::time::Duration;

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
}
