//! The table of kinds. A new kind is one row here, plus its defaults, validation and columns.

use std::fmt;
use std::sync::LazyLock;

use super::apiextensions::CustomKind;
use crate::machinery::schema::{self, Struct};

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
    Approval,
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
            Self::Approval => "approval",
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
        pub enum Kind {
            $($kind,)*
            /// A kind that a CustomResourceDefinition declares.
            Custom(CustomKind),
        }

        /// The places of the kinds in the table.
        #[derive(Clone, Copy)]
        enum Place { $($kind,)* Custom }

        impl Kind {
            /// Every kind that is built in, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The kind's place in the table; all custom kinds share the one behind it.
            #[must_use]
            pub const fn index(self) -> usize {
                match self {
                    $(Self::$kind => Place::$kind as usize,)*
                    Self::Custom(_) => Place::Custom as usize,
                }
            }

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
                    Self::Custom(custom) => custom.info(),
                }
            }
        }
    };
}

kinds! {
    ConfigMap, "", "v1", "configmaps", "configmap", ["cm"], true, [], [], false;
    Binding, "", "v1", "bindings", "binding", [], true, [], [], false;
    ComponentStatus, "", "v1", "componentstatuses", "componentstatus", ["cs"], false, [], [], false;
    Endpoints, "", "v1", "endpoints", "endpoints", ["ep"], true, [], [], false;
    Event, "", "v1", "events", "event", ["ev"], true, [], [], false;
    LimitRange, "", "v1", "limitranges", "limitrange", ["limits"], true, [], [], false;
    Namespace, "", "v1", "namespaces", "namespace", ["ns"], false, [], [Status, Finalize], false;
    Node, "", "v1", "nodes", "node", ["no"], false, [], [Status, Proxy], false;
    PersistentVolume, "", "v1", "persistentvolumes", "persistentvolume", ["pv"], false, [], [Status], false;
    PersistentVolumeClaim, "", "v1", "persistentvolumeclaims", "persistentvolumeclaim", ["pvc"], true, [], [Status], false;
    Pod, "", "v1", "pods", "pod", ["po"], true, ["all"], [Status, Binding, Eviction, EphemeralContainers, Resize, Log, Exec, Attach, PortForward, Proxy], true;
    PodTemplate, "", "v1", "podtemplates", "podtemplate", [], true, [], [], true;
    ReplicationController, "", "v1", "replicationcontrollers", "replicationcontroller", ["rc"], true, ["all"], [Status, Scale], true;
    ResourceQuota, "", "v1", "resourcequotas", "resourcequota", ["quota"], true, [], [Status], false;
    Secret, "", "v1", "secrets", "secret", [], true, [], [], false;
    ServiceAccount, "", "v1", "serviceaccounts", "serviceaccount", ["sa"], true, [], [Token], false;
    Service, "", "v1", "services", "service", ["svc"], true, ["all"], [Status, Proxy], false;
    APIService, "apiregistration.k8s.io", "v1", "apiservices", "apiservice", [], false, ["api-extensions"], [Status], false;
    ControllerRevision, "apps", "v1", "controllerrevisions", "controllerrevision", [], true, [], [], false;
    DaemonSet, "apps", "v1", "daemonsets", "daemonset", ["ds"], true, ["all"], [Status], true;
    Deployment, "apps", "v1", "deployments", "deployment", ["deploy"], true, ["all"], [Status, Scale], true;
    ReplicaSet, "apps", "v1", "replicasets", "replicaset", ["rs"], true, ["all"], [Status, Scale], true;
    StatefulSet, "apps", "v1", "statefulsets", "statefulset", ["sts"], true, ["all"], [Status, Scale], true;
    SelfSubjectReview, "authentication.k8s.io", "v1", "selfsubjectreviews", "selfsubjectreview", [], false, [], [], false;
    TokenReview, "authentication.k8s.io", "v1", "tokenreviews", "tokenreview", [], false, [], [], false;
    LocalSubjectAccessReview, "authorization.k8s.io", "v1", "localsubjectaccessreviews", "localsubjectaccessreview", [], true, [], [], false;
    SelfSubjectAccessReview, "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "selfsubjectaccessreview", [], false, [], [], false;
    SelfSubjectRulesReview, "authorization.k8s.io", "v1", "selfsubjectrulesreviews", "selfsubjectrulesreview", [], false, [], [], false;
    SubjectAccessReview, "authorization.k8s.io", "v1", "subjectaccessreviews", "subjectaccessreview", [], false, [], [], false;
    HorizontalPodAutoscaler, "autoscaling", "v2", "horizontalpodautoscalers", "horizontalpodautoscaler", ["hpa"], true, ["all"], [Status], false;
    CronJob, "batch", "v1", "cronjobs", "cronjob", ["cj"], true, ["all"], [Status], true;
    Job, "batch", "v1", "jobs", "job", [], true, ["all"], [Status], true;
    CertificateSigningRequest, "certificates.k8s.io", "v1", "certificatesigningrequests", "certificatesigningrequest", ["csr"], false, [], [Approval, Status], false;
    IngressClass, "networking.k8s.io", "v1", "ingressclasses", "ingressclass", [], false, [], [], true;
    Ingress, "networking.k8s.io", "v1", "ingresses", "ingress", ["ing"], true, [], [Status], true;
    IPAddress, "networking.k8s.io", "v1", "ipaddresses", "ipaddress", ["ip"], false, [], [], false;
    NetworkPolicy, "networking.k8s.io", "v1", "networkpolicies", "networkpolicy", ["netpol"], true, [], [], true;
    ServiceCIDR, "networking.k8s.io", "v1", "servicecidrs", "servicecidr", [], false, [], [Status], false;
    PodDisruptionBudget, "policy", "v1", "poddisruptionbudgets", "poddisruptionbudget", ["pdb"], true, [], [Status], true;
    ClusterRoleBinding, "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "clusterrolebinding", [], false, [], [], false;
    ClusterRole, "rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", [], false, [], [], false;
    RoleBinding, "rbac.authorization.k8s.io", "v1", "rolebindings", "rolebinding", [], true, [], [], false;
    Role, "rbac.authorization.k8s.io", "v1", "roles", "role", [], true, [], [], false;
    CSIDriver, "storage.k8s.io", "v1", "csidrivers", "csidriver", [], false, [], [], false;
    CSINode, "storage.k8s.io", "v1", "csinodes", "csinode", [], false, [], [], false;
    CSIStorageCapacity, "storage.k8s.io", "v1", "csistoragecapacities", "csistoragecapacity", [], true, [], [], false;
    StorageClass, "storage.k8s.io", "v1", "storageclasses", "storageclass", ["sc"], false, [], [], false;
    VolumeAttachment, "storage.k8s.io", "v1", "volumeattachments", "volumeattachment", [], false, [], [Status], false;
    VolumeAttributesClass, "storage.k8s.io", "v1", "volumeattributesclasses", "volumeattributesclass", ["vac"], false, [], [], false;
    MutatingAdmissionPolicy, "admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", "mutatingadmissionpolicy", [], false, ["api-extensions"], [], true;
    MutatingAdmissionPolicyBinding, "admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings", "mutatingadmissionpolicybinding", [], false, ["api-extensions"], [], true;
    MutatingWebhookConfiguration, "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "mutatingwebhookconfiguration", [], false, ["api-extensions"], [], true;
    ValidatingAdmissionPolicy, "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "validatingadmissionpolicy", [], false, ["api-extensions"], [Status], true;
    ValidatingAdmissionPolicyBinding, "admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "validatingadmissionpolicybinding", [], false, ["api-extensions"], [], true;
    ValidatingWebhookConfiguration, "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "validatingwebhookconfiguration", [], false, ["api-extensions"], [], true;
    CustomResourceDefinition, "apiextensions.k8s.io", "v1", "customresourcedefinitions", "customresourcedefinition", ["crd", "crds"], false, ["api-extensions"], [Status], true;
    PriorityClass, "scheduling.k8s.io", "v1", "priorityclasses", "priorityclass", ["pc"], false, [], [], true;
    Lease, "coordination.k8s.io", "v1", "leases", "lease", [], true, [], [], false;
    RuntimeClass, "node.k8s.io", "v1", "runtimeclasses", "runtimeclass", [], false, [], [], false;
    EndpointSlice, "discovery.k8s.io", "v1", "endpointslices", "endpointslice", [], true, [], [], true;
    DeviceClass, "resource.k8s.io", "v1", "deviceclasses", "deviceclass", [], false, [], [], true;
    ResourceClaim, "resource.k8s.io", "v1", "resourceclaims", "resourceclaim", [], true, [], [Status], false;
    ResourceClaimTemplate, "resource.k8s.io", "v1", "resourceclaimtemplates", "resourceclaimtemplate", [], true, [], [], false;
    ResourceSlice, "resource.k8s.io", "v1", "resourceslices", "resourceslice", [], false, [], [], true;
    FlowSchema, "flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "flowschema", [], false, [], [Status], true;
    PriorityLevelConfiguration, "flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", "prioritylevelconfiguration", [], false, [], [Status], true;
    NodeMetrics, "metrics.k8s.io", "v1beta1", "nodes", "", [], false, [], [], false;
    PodMetrics, "metrics.k8s.io", "v1beta1", "pods", "", [], true, [], [], false;
}

impl Kind {
    /// `v1` or `apps/v1`.
    #[must_use]
    pub fn api_version(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.version.to_owned() } else { format!("{}/{}", info.group, info.version) }
    }

    /// The kind's fields, as the table of types declares them; `None` for a kind that it does not know.
    #[must_use]
    pub fn schema(self) -> Option<&'static Struct> {
        static SCHEMAS: LazyLock<Vec<Option<&'static Struct>>> = LazyLock::new(|| {
            let schema = |kind: &Kind| schema::lookup(&kind.api_version(), kind.info().kind);
            Kind::ALL.iter().map(schema).collect()
        });
        SCHEMAS.get(self.index()).copied().flatten()
    }

    /// How many places [`Self::index`] tells apart.
    pub const PLACES: usize = Self::ALL.len() + 1;

    /// The kind under which its objects are watched: components watch all custom kinds or none.
    #[must_use]
    pub const fn as_watched(self) -> Self {
        if let Self::Custom(_) = self { Self::Custom(CustomKind::ANY) } else { self }
    }

    /// The kind of lists of the kind: `PodList`.
    #[must_use]
    pub fn list_kind(self) -> String {
        match self {
            Self::Custom(custom) => custom.definition().list_kind.to_owned(),
            kind => format!("{kind}List"),
        }
    }

    /// The kind's definition, when it is a custom one.
    #[must_use]
    pub const fn custom(self) -> Option<CustomKind> {
        if let Self::Custom(custom) = self { Some(custom) } else { None }
    }

    /// The built-in kind that a manifest with these two fields means.
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

    /// Whether objects of the kind are kept. The others are questions and orders: they can be created, are answered and
    /// are gone.
    #[must_use]
    pub const fn is_stored(self) -> bool {
        !self.is_computed()
            && !matches!(
                self,
                Self::Binding
                    | Self::SelfSubjectReview
                    | Self::TokenReview
                    | Self::LocalSubjectAccessReview
                    | Self::SelfSubjectAccessReview
                    | Self::SelfSubjectRulesReview
                    | Self::SubjectAccessReview
            )
    }

    /// Whether objects of the kind are worked out when somebody asks for them: they can be read, and nothing else.
    #[must_use]
    pub const fn is_computed(self) -> bool {
        matches!(self, Self::ComponentStatus | Self::NodeMetrics | Self::PodMetrics)
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
