//! One value that can be an object of any kind, and the trait that takes it apart again.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    PodTemplate, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::{CSINode, StorageClass, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kind::Kind;
use super::unstructured::Unstructured;
use crate::machinery::json::{self, ReadError};

/// A text that is copied often and changed never.
pub type Name = Arc<str>;

/// Which object of a kind: its namespace (empty for cluster-scoped kinds) and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: Name,
    /// The name.
    pub name: Name,
}

impl ObjectKey {
    /// The key of `name` in `namespace`.
    pub fn new(namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of the object that carries `metadata`.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::new(metadata.namespace.as_deref().unwrap_or(""), metadata.name.as_deref().unwrap_or(""))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A type that is one of the kinds of the table.
pub trait Resource:
    Metadata<Ty = ObjectMeta> + Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + Default + 'static
{
    /// Its row in the table.
    const OBJECT_KIND: Kind;

    /// As a value that can be any kind.
    fn into_object(this: Arc<Self>) -> Object;

    /// From a value that can be any kind; `None` when it is another.
    fn from_object(object: &Object) -> Option<&Arc<Self>>;

    /// The object's key.
    fn key(&self) -> ObjectKey {
        ObjectKey::of(self.metadata())
    }

    /// The object's name; empty before it has one.
    fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or("")
    }

    /// The object's namespace; empty for cluster-scoped kinds.
    fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or("")
    }

    /// The object's uid; empty before it is stored.
    fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or("")
    }

    /// Whether deletion was asked for.
    fn is_deleting(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }
}

/// The metadata of an object that is copied first when it is shared. By itself for each kind, so that the copying of kinds
/// that a new cluster has none of is not among what the page loads first.
#[inline(never)]
fn own_metadata<T: Resource>(object: &mut Arc<T>) -> &mut ObjectMeta {
    Arc::make_mut(object).metadata_mut()
}

macro_rules! objects {
    ($($kind:ident),* $(,)?) => {
        /// An object of any kind, shared and cheap to clone.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "the names are the API's own")]
        pub enum Object {
            $($kind(Arc<$kind>),)*
            /// An object of a kind that is stored and handed out, but that no component acts on.
            Unstructured(Arc<Unstructured>),
        }

        impl Object {
            /// The object's kind.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* Self::Unstructured(object) => object.kind }
            }

            /// The object's metadata.
            #[must_use]
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Self::$kind(object) => object.metadata(),)*
                    Self::Unstructured(object) => &object.metadata,
                }
            }

            /// The object's metadata, to be changed; copies the object when it is shared.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self {
                    $(Self::$kind(object) => own_metadata(object),)*
                    Self::Unstructured(object) => &mut Arc::make_mut(object).metadata,
                }
            }

            /// Reads an object of `kind` from JSON whose shape was checked before.
            ///
            /// # Errors
            /// When the shape is wrong all the same.
            pub fn from_value(kind: Kind, value: &Value) -> Result<Self, ReadError> {
                Ok(match kind {
                    $(Kind::$kind => Self::$kind(Arc::new(json::from_value(value)?)),)*
                    _ => Self::Unstructured(Arc::new(Unstructured::from_value(kind, value)?)),
                })
            }

            /// The object as JSON, with `apiVersion` and `kind`.
            #[must_use]
            pub fn to_value(&self) -> Value {
                match self {
                    $(Self::$kind(object) => json::to_value(&**object),)*
                    Self::Unstructured(object) => object.to_value(),
                }
            }

            /// Whether both are one and the same allocation: equal without a look.
            #[must_use]
            pub fn ptr_eq(&self, other: &Self) -> bool {
                match (self, other) {
                    $((Self::$kind(a), Self::$kind(b)) => Arc::ptr_eq(a, b),)*
                    (Self::Unstructured(a), Self::Unstructured(b)) => Arc::ptr_eq(a, b),
                    _ => false,
                }
            }
        }

        $(impl Resource for $kind {
            const OBJECT_KIND: Kind = Kind::$kind;

            fn into_object(this: Arc<Self>) -> Object {
                Object::$kind(this)
            }

            fn from_object(object: &Object) -> Option<&Arc<Self>> {
                if let Object::$kind(object) = object { Some(object) } else { None }
            }
        }

        impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$kind(Arc::new(object))
            }
        })*
    };
}

objects! {
    ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodTemplate,
    ReplicationController, ResourceQuota, Secret, ServiceAccount, Service, ControllerRevision, DaemonSet, Deployment,
    ReplicaSet, StatefulSet, HorizontalPodAutoscaler, CronJob, Job, Ingress, IngressClass, NetworkPolicy, RuntimeClass,
    PodDisruptionBudget, ClusterRole, ClusterRoleBinding, Role, RoleBinding, PriorityClass, CSINode, StorageClass,
    VolumeAttachment, Lease, EndpointSlice,
}

impl Object {
    /// The object's key.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::of(self.metadata())
    }

    /// The object as another version of its custom kind has it; of built-in kinds, the object.
    #[must_use]
    pub fn in_version(self, kind: Kind) -> Self {
        match (self, kind) {
            (Self::Unstructured(object), Kind::Custom(wanted)) => {
                Self::Unstructured(super::apiextensions::in_version(object, wanted))
            }
            (object, _) => object,
        }
    }

    /// The object as the type `K`, or `None` when it is of another kind.
    #[must_use]
    pub fn downcast<K: Resource>(&self) -> Option<&Arc<K>> {
        K::from_object(self)
    }

    /// The object's uid; empty before it is stored.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or("")
    }

    /// Whether deletion was asked for.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }
}

/// The owner that manages an object, if any: `metav1.GetControllerOf`.
#[must_use]
pub fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}
