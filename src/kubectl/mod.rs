//! kubectl: what a person says to a cluster.
//!
//! Follows `k8s.io/kubectl/pkg/cmd`. Everything here works on API requests and answers alone, so that the same command
//! through the page and a real kubectl through the HTTP door do the same.

pub mod apply;
