//! Sessions: what was done to a cluster, as data that can be kept, shared and played again.

pub mod link;
