//! The controller manager and its controllers, a room each.
//!
//! Follows `kubernetes/cmd/kube-controller-manager`: one process, shared caches, and for each controller a queue, a
//! name and a rate-limited client of its own.

mod manager;

pub use manager::ControllerManager;
