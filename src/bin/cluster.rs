//! The cluster.

fn main() {}
