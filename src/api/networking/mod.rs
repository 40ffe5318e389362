//! The networking group: defaults, validation, strategies and columns of its kinds.

pub(super) mod ingress;
pub(super) mod ingress_class;
pub(super) mod network_policy;
