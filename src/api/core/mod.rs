//! The core group: defaults, validation, strategies and columns of its kinds.

pub(crate) mod config;
pub(crate) mod endpoints;
pub(crate) mod event;
pub(crate) mod namespace;
pub(crate) mod node;
pub mod pod;
pub(crate) mod pod_template;
pub mod service;
