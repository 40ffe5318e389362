//! Plain data for the page: what is drawn, what happened and why. There is no browser in here.
//!
//! The worker makes these values from the cluster, the page draws them; both sides share the types through
//! [`protocol`]. Nothing here changes a cluster.

pub mod actions;
pub mod decision;
pub mod events;
pub mod hints;
pub mod host;
pub mod inspect;
pub mod layout;
pub mod logs;
pub mod node;
pub mod plugins;
pub mod pod;
pub mod protocol;
pub mod requests;
pub mod scene;
pub mod sentence;
pub mod service;
pub mod subject;
pub mod terminal;
pub mod timeline;
pub mod why;
pub mod words;
pub mod workload;
pub mod yaml;

pub use sentence::Sentence;
pub use subject::{Actor, Selection, Subject};

use crate::api::Kind;
use crate::autoscaler::STATUS_CONFIG_MAP;
use crate::etcd::Commit;

/// Whether a commit is only a sign of life, which nobody wants to see each time.
fn is_sign_of_life(commit: &Commit) -> bool {
    match commit.kind() {
        Kind::Lease => true,
        Kind::ConfigMap => *commit.key.name == *STATUS_CONFIG_MAP && commit.before.is_some(),
        _ => false,
    }
}
