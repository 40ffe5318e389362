//! What the controllers do to a cluster: objects are made by hand, and what follows is read from the store's commits.

mod admission;
mod autoscaling;
mod certificates;
mod cloud;
mod drivers;
mod garbage;
mod gateway;
mod jobs;
mod node_groups;
mod nodes;
mod proxy;
mod scene;
mod storage;
mod timeline;
mod workloads;
