//! The nodes of a cluster: the kubelet with its container runtime.

pub mod kubelet;
pub mod runtime;
