//! The cloud that a cluster may run in, and cloud-controller-manager, which joins the two.
//!
//! Follows `k8s.io/cloud-provider`. The cloud itself ([`Cloud`]) is simulated: machines are its instances, and it makes
//! load balancers. Its controllers give nodes what the cloud knows of their machines, remove the Node objects of
//! instances that are gone, route pods' addresses to them, and get load balancers for Services. Groups of machines ([`NodeGroup`]) grow and shrink as
//! somebody asks for it; the cluster autoscaler does.
//!
//! Not simulated: how long the cloud takes to answer, except for making and taking away load balancers.

mod manager;
mod node;
mod node_group;
mod node_lifecycle;
mod provider;
mod route;
mod service;

pub use manager::CloudControllerManager;
pub use node::initialize;
pub use node_group::{GroupMachine, NodeGroup, NodeGroupCall};
pub use provider::{Cloud, CloudConfig, Instance, LoadBalancer};
