//! How a component meets the rest of the cluster: caches that lag, a queue of work, and requests.
//!
//! Follows `k8s.io/client-go` (`tools/cache`, `util/workqueue`, `tools/record`) and
//! `kubernetes/pkg/controller/controller_utils.go`. Components share nothing but the API server.

pub mod csi;
pub mod csi_translation;
mod expectations;
mod handle;
mod informer;
mod limiter;
mod lru;
pub mod node_taints;
mod process;
mod recorder;
pub mod volumes;
mod worker;
mod workqueue;

pub use expectations::Expectations;
pub use handle::{Client, ClientError, Identity, WakeUp};
pub use informer::{InformerEvent, Informers, WatchSelector, WatchSpec};
pub use limiter::TokenBucket;
pub use process::{Controller, Process, Requeue, Token};
pub use recorder::{EventType, Recorder, reference, reference_to};
pub use worker::{Purpose, Worker};
pub use workqueue::{QueueKey, WorkQueue};
