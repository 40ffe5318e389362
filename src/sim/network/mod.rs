//! The network between machines: how a request that leaves a pod gets to where it is answered, hop by hop.
//!
//! Everything that travels is an event in the cluster's queue. A name is asked for at the cluster's DNS server; an address
//! of a Service is exchanged for one of its endpoints' by the rules of kube-proxy on the node where the request is, as
//! old as they are there; network policies are asked when the request arrives; the machine of the pod answers, and the
//! answer travels back. What is lost on its way (a machine that is off or cut off, an address that nobody has, a policy)
//! is never told to the sender: its own patience ends.
//!
//! Not simulated: the internet but for a few hosts that answer (`internet`), IPv6, UDP but for names, connections that stay open, bandwidth.

mod api;
mod carry;
mod gateway;
mod ingress;
mod internet;
mod names;
mod packet;
mod traffic;

pub(super) use packet::{Network, Packet};
pub use traffic::{TrafficError, TrafficReport, TrafficSource, TrafficSpec};
