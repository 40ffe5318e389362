//! Kubetab: a whole Kubernetes cluster as one value.
//!
//! The map of the house, one line a room. Dependencies point upwards only: no room imports one below it here.

pub mod machinery; // quantity, labels, names, metav1.Status, strict decoding, YAML with spans, patches
pub mod api; // the table of kinds; per group: defaults, validation, printer columns
pub mod etcd; // revisions, ranges, transactions, compaction, watch
pub mod apiserver; // request → admission → defaulting → validation → etcd; tables, subresources
pub mod client; // informer, lister, work queue, expectations, event recorder
pub mod controllers; // one room a controller
pub mod scheduler; // queue, cache, framework, plugins
pub mod cloud; // cloud-controller-manager
pub mod node; // kubelet, proxy, runtime, network
pub mod autoscaler; // cluster-autoscaler: nodes come and go as pods need them
pub mod sim; // clock, event queue, faults, causes, invariants: the `Cluster`
pub mod kubectl; // command line, verbs, printers
pub mod session; // the log, share links, scenarios, save and restore
pub mod view; // plain data for the page: scene, timeline, explanations
#[cfg(all(feature = "serve", not(target_arch = "wasm32")))]
pub mod door; // a session behind HTTP, for real clients
#[cfg(target_arch = "wasm32")]
pub mod page; // Leptos components
