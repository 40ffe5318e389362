//! The nodes of a cluster: the kubelet with its container runtime, and kube-proxy.

pub mod kubelet;
pub mod proxy;
pub mod runtime;
