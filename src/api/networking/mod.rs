//! The networking group: defaults, validation, strategies and columns of its kinds.

pub(crate) mod addresses;
pub(super) mod ingress;
pub(super) mod ingress_class;
pub(super) mod network_policy;

pub(crate) use ingress::has_class;
pub(crate) use ingress_class::is_default;
