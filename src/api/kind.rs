//! The table of kinds. A new kind is one row here, plus its defaults, validation and columns.

use std::fmt;

/// What the API server knows of a kind before it has seen an object.
#[derive(Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// The API group; empty for core.
    pub group: &'static str,
    /// The version in the group.
    pub version: &'static str,
    /// The kind, such as `Deployment`.
    pub kind: &'static str,
    /// The resource's name in addresses, such as `deployments`.
    pub plural: &'static str,
    /// The resource's name for one object, such as `deployment`.
    pub singular: &'static str,
    /// What a hurried person types.
    pub short_names: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Groups of kinds that a client may ask for at once.
    pub categories: &'static [&'static str],
    /// What stands below an object's address.
    pub subresources: &'static [Subresource],
    /// Whether `metadata.generation` counts changes of the spec.
    pub generation: bool,
}

/// What stands below an object's address and has verbs of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the API's own")]
pub enum Subresource {
    Status,
    Scale,
    Binding,
    Eviction,
    EphemeralContainers,
    Resize,
    Log,
    Exec,
    Attach,
    PortForward,
    Proxy,
    Token,
    Finalize,
}

impl Subresource {
    /// Its name in an address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Resize => "resize",
            Self::Log => "log",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Proxy => "proxy",
            Self::Token => "token",
            Self::Finalize => "finalize",
        }
    }
}

/// A row of the table below, in the order: type, group, version, plural, singular, short names, scope, categories,
/// subresources, generation.
macro_rules! kinds {
    ($($kind:ident, $group:literal, $version:literal, $plural:literal, $singular:literal, [$($short:literal),*],
       $namespaced:literal, [$($category:literal),*], [$($sub:ident),*], $generation:literal;)*) => {
        /// A kind of the API that this server serves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the names are the API's own")]
        pub enum Kind { $($kind),* }

        impl Kind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The kind's row of the table.
            #[must_use]
            pub const fn info(self) -> &'static KindInfo {
                match self {
                    $(Self::$kind => &KindInfo {
                        group: $group,
                        version: $version,
                        kind: stringify!($kind),
                        plural: $plural,
                        singular: $singular,
                        short_names: &[$($short),*],
                        namespaced: $namespaced,
                        categories: &[$($category),*],
                        subresources: &[$(Subresource::$sub),*],
                        generation: $generation,
                    },)*
                }
            }
        }
    };
}

kinds! {
    ConfigMap, "", "v1", "configmaps", "configmap", ["cm"], true, [], [], false;
    Event, "", "v1", "events", "event", ["ev"], true, [], [], false;
    Namespace, "", "v1", "namespaces", "namespace", ["ns"], false, [], [Status, Finalize], false;
    Node, "", "v1", "nodes", "node", ["no"], false, [], [Status, Proxy], false;
    Pod, "", "v1", "pods", "pod", ["po"], true, ["all"], [Status, Binding, Eviction, EphemeralContainers, Resize, Log, Exec, Attach, PortForward, Proxy], true;
    Secret, "", "v1", "secrets", "secret", [], true, [], [], false;
    ServiceAccount, "", "v1", "serviceaccounts", "serviceaccount", ["sa"], true, [], [Token], false;
    Service, "", "v1", "services", "service", ["svc"], true, ["all"], [Status, Proxy], false;
    ControllerRevision, "apps", "v1", "controllerrevisions", "controllerrevision", [], true, [], [], false;
    Deployment, "apps", "v1", "deployments", "deployment", ["deploy"], true, ["all"], [Status, Scale], true;
    ReplicaSet, "apps", "v1", "replicasets", "replicaset", ["rs"], true, ["all"], [Status, Scale], true;
    Lease, "coordination.k8s.io", "v1", "leases", "lease", [], true, [], [], false;
    EndpointSlice, "discovery.k8s.io", "v1", "endpointslices", "endpointslice", [], true, [], [], true;
}

impl Kind {
    /// The kind's place in the table.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `v1` or `apps/v1`.
    #[must_use]
    pub fn api_version(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.version.to_owned() } else { format!("{}/{}", info.group, info.version) }
    }

    /// The kind that a manifest with these two fields means.
    #[must_use]
    pub fn from_manifest(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|candidate| candidate.info().kind == kind && candidate.api_version() == api_version)
    }

    /// `deployments.apps` or `pods`: the resource with its group.
    #[must_use]
    pub fn resource(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.plural.to_owned() } else { format!("{}.{}", info.plural, info.group) }
    }

    /// Whether a subresource of this name exists for the kind.
    #[must_use]
    pub fn has(self, subresource: Subresource) -> bool {
        self.info().subresources.contains(&subresource)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().kind)
    }
}
