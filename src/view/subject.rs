//! What on the page can be pointed at: objects of the API and the programs that work on them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::{Kind, Object, ObjectKey};

/// An object of the API by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// Its kind, such as `Deployment`.
    pub kind: String,
    /// Its namespace; empty for kinds that have none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Subject {
    /// The object of a kind under a name.
    pub fn new(kind: impl Into<String>, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// The subject that `object` is.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        Self::from_key(object.kind(), &object.key())
    }

    /// The subject of a kind and key.
    #[must_use]
    pub fn from_key(kind: Kind, key: &ObjectKey) -> Self {
        Self::new(kind.info().kind, &*key.namespace, &*key.name)
    }

    /// The kind's row of the table, when the cluster knows the kind.
    #[must_use]
    pub fn known_kind(&self) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.info().kind == self.kind)
    }

    /// The key under which the object is stored.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(&*self.namespace, &*self.name)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A program that speaks with the API server, or the store behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Actor {
    /// The user, through kubectl or the page.
    You,
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The scheduler.
    Scheduler,
    /// The controllers within kube-controller-manager.
    Controllers,
    /// The controllers within cloud-controller-manager.
    Cloud,
    /// The kubelet (and kube-proxy) of a node.
    Node(String),
}

impl Actor {
    /// The parts of the control plane, in the order in which they are drawn.
    pub const PARTS: [Self; 6] =
        [Self::You, Self::Etcd, Self::ApiServer, Self::Scheduler, Self::Controllers, Self::Cloud];

    /// The program behind the name with which a client writes: `kubelet/node-1`, `deployment-controller`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let (program, host) = name.split_once('/').unwrap_or((name, ""));
        match program {
            "kubelet" | "kube-proxy" if !host.is_empty() => Self::Node(host.to_owned()),
            "kube-scheduler" | "default-scheduler" | "scheduler" => Self::Scheduler,
            "kube-apiserver" | "apiserver" => Self::ApiServer,
            "etcd" => Self::Etcd,
            "kubectl" | "you" | "user" => Self::You,
            "service-controller" => Self::Cloud,
            program if program.starts_with("cloud-") => Self::Cloud,
            _ => Self::Controllers,
        }
    }

    /// A name without blanks for attributes and tests.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::You => "you",
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::Scheduler => "kube-scheduler",
            Self::Controllers => "kube-controller-manager",
            Self::Cloud => "cloud-controller-manager",
            Self::Node(name) => name,
        }
    }
}

/// What is selected on the page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Selection {
    /// An object.
    Object(Subject),
    /// A part of the control plane.
    Part(Actor),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_drawn_where_they_run() {
        let cases = [
            ("kubelet/node-1", Actor::Node("node-1".into())),
            ("kube-scheduler", Actor::Scheduler),
            ("deployment-controller", Actor::Controllers),
            ("cloud-node-controller", Actor::Cloud),
            ("service-controller", Actor::Cloud),
            ("node-controller", Actor::Controllers),
            ("kubectl", Actor::You),
        ];
        for (name, expected) in cases {
            assert_eq!(Actor::from_name(name), expected, "{name}");
        }
    }
}
