//! The nodes of a cluster: the kubelet with its container runtime, kube-proxy, and what makes their network one.

pub mod kubelet;
pub mod network;
pub mod proxy;
pub mod runtime;
