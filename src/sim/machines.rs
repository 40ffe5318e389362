//! What can be done to machines: they come, go, lose their power and their network, and their containers crash.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A taint of a new node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTaint {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// A machine that joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Labels besides those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<NodeTaint>,
    /// Its resources, as quantities: `cpu`, `memory`, `pods`, and any other.
    pub capacity: BTreeMap<String, String>,
}

/// Why something could not be done to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineError {
    /// There is no machine of that name.
    NoSuchNode(String),
    /// There is a machine of that name already.
    NodeExists(String),
    /// What is asked for a new machine makes no sense.
    BadNode(String),
    /// The pod is on no machine, or not there at all.
    NoSuchPod(String),
    /// The pod has no such container, or it does not run.
    NoSuchContainer(String),
}

impl fmt::Display for MachineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchNode(name) => write!(f, "there is no node {name:?}"),
            Self::NodeExists(name) => write!(f, "there is a node {name:?} already"),
            Self::BadNode(why) => write!(f, "this node cannot join: {why}"),
            Self::NoSuchPod(name) => write!(f, "the pod {name:?} runs on no node"),
            Self::NoSuchContainer(name) => write!(f, "the container {name:?} does not run"),
        }
    }
}

impl std::error::Error for MachineError {}
