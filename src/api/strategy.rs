//! What the API server does to an object of any kind between reading and storing it: the single entry.
//!
//! Follows `k8s.io/apiserver/pkg/registry/rest` (`BeforeCreate`, `BeforeUpdate`) and each kind's
//! `pkg/registry/<group>/<kind>/strategy.go`. A manifest is first brought into Go's form ([`super::form::tidy`]) and
//! read. For a creation the server then calls [`default`], [`prepare_for_create`], [`validate`], [`warnings`] and
//! [`canonicalize`]; for an update [`default`], [`prepare_for_update`], [`validate_update`], [`warnings`] and
//! [`canonicalize`]. All are pure: no clock, no store. What needs either (uid, creation time, cluster IPs and node
//! ports, the existence of a namespace) is the caller's work: before [`prepare_for_create`] for the metadata, between
//! it and [`validate`] for a Service's addresses.

use std::sync::Arc;

use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::machinery::apart::apart;
use crate::machinery::field::{ErrorList, Path};
use crate::machinery::names;

use super::check::{invalid_each, text};
use super::kind::Kind;
use super::kind::Subresource;
use super::object::Object;
use super::unstructured::Unstructured;
use super::{
    admission_registration, api_registration, apiextensions, apps, autoscaling, batch, certificates, coordination,
    core, discovery, flow_control, meta, networking, node, policy, rbac, resource, scheduling, storage,
};
use crate::machinery::time::Time;

/// Fills in what the manifest left out, as the kind's `SetDefaults_…` functions do.
pub fn default(object: &mut Object) {
    match object {
        Object::CronJob(object) => apart(|| batch::cron_job::default(Arc::make_mut(object))),
        Object::EndpointSlice(object) => apart(|| discovery::default(Arc::make_mut(object))),
        Object::DaemonSet(object) => apart(|| apps::daemon_set::default(Arc::make_mut(object))),
        Object::Unstructured(object) if admission_registration::has(object.kind) => {
            admission_registration::default(Arc::make_mut(object));
        }
        Object::Deployment(object) => apart(|| apps::deployment::default(Arc::make_mut(object))),
        Object::Job(object) => apart(|| batch::job::default(Arc::make_mut(object))),
        Object::LimitRange(object) => apart(|| core::limit_range::default(Arc::make_mut(object))),
        Object::Namespace(object) => apart(|| core::namespace::default(Arc::make_mut(object))),
        Object::Node(object) => apart(|| core::node::default(Arc::make_mut(object))),
        Object::PersistentVolume(object) => apart(|| core::persistent_volume::default(Arc::make_mut(object))),
        Object::PersistentVolumeClaim(object) => apart(|| core::claim::default(Arc::make_mut(object))),
        Object::Pod(object) => apart(|| core::pod::defaults::pod(Arc::make_mut(object))),
        Object::PriorityClass(object) => apart(|| scheduling::default(Arc::make_mut(object))),
        Object::ReplicaSet(object) => apart(|| apps::replica_set::default(Arc::make_mut(object))),
        Object::ReplicationController(object) => apart(|| core::replication_controller::default(Arc::make_mut(object))),
        Object::Secret(object) => apart(|| core::config::default_secret(Arc::make_mut(object))),
        Object::Service(object) => apart(|| core::service::default(Arc::make_mut(object))),
        Object::StatefulSet(object) => apart(|| apps::stateful_set::default(Arc::make_mut(object))),
        Object::ClusterRoleBinding(object) => {
            let binding = Arc::make_mut(object);
            rbac::default_binding(&mut binding.role_ref, binding.subjects.as_mut());
        }
        Object::Endpoints(object) => apart(|| core::endpoints::default(Arc::make_mut(object))),
        Object::HorizontalPodAutoscaler(object) => apart(|| autoscaling::default(Arc::make_mut(object))),
        Object::IngressClass(object) => apart(|| networking::ingress_class::default(Arc::make_mut(object))),
        Object::NetworkPolicy(object) => apart(|| networking::network_policy::default(Arc::make_mut(object))),
        Object::PodTemplate(object) => apart(|| core::pod_template::default(Arc::make_mut(object))),
        Object::RoleBinding(object) => {
            let binding = Arc::make_mut(object);
            rbac::default_binding(&mut binding.role_ref, binding.subjects.as_mut());
        }
        Object::StorageClass(object) => apart(|| storage::class::default(Arc::make_mut(object))),
        Object::Unstructured(object) => default_unstructured(object),
        _ => {}
    }
}

#[inline(never)]
fn default_unstructured(object: &mut Arc<Unstructured>) {
    match object.kind {
        Kind::CSIDriver => apart(|| storage::csi_driver::default(Arc::make_mut(object))),
        Kind::APIService => apart(|| api_registration::default(Arc::make_mut(object))),
        kind if flow_control::has(kind) => flow_control::default(Arc::make_mut(object)),
        kind if resource::has(kind) => resource::default(Arc::make_mut(object)),
        Kind::CustomResourceDefinition => apart(|| apiextensions::default(Arc::make_mut(object))),
        Kind::Custom(custom) => apart(|| apiextensions::custom::default(Arc::make_mut(object), custom)),
        _ => {}
    }
}

/// Clears what a client may not set at creation (status above all) and sets what every new object has.
///
/// Name, namespace, uid and creation time are the caller's, before this.
pub fn prepare_for_create(object: &mut Object) {
    let metadata = object.metadata_mut();
    metadata.deletion_timestamp = None;
    metadata.deletion_grace_period_seconds = None;
    metadata.self_link = None;
    match object {
        Object::CronJob(object) => apart(|| batch::cron_job::prepare_for_create(Arc::make_mut(object))),
        Object::EndpointSlice(object) => apart(|| discovery::prepare_for_create(Arc::make_mut(object))),
        Object::DaemonSet(object) => apart(|| apps::daemon_set::prepare_for_create(Arc::make_mut(object))),
        Object::Deployment(object) => apart(|| apps::deployment::prepare_for_create(Arc::make_mut(object))),
        Object::Job(object) => apart(|| batch::job::prepare_for_create(Arc::make_mut(object))),
        Object::Namespace(object) => apart(|| core::namespace::prepare_for_create(Arc::make_mut(object))),
        Object::Node(object) => apart(|| core::node::prepare_for_create(Arc::make_mut(object))),
        Object::PersistentVolume(object) => {
            apart(|| core::persistent_volume::prepare_for_create(Arc::make_mut(object)))
        }
        Object::PersistentVolumeClaim(object) => apart(|| core::claim::prepare_for_create(Arc::make_mut(object))),
        Object::Pod(object) => apart(|| core::pod::strategy::prepare_for_create(Arc::make_mut(object))),
        Object::PodDisruptionBudget(object) => apart(|| policy::prepare_for_create(Arc::make_mut(object))),
        Object::PriorityClass(object) => apart(|| scheduling::prepare_for_create(Arc::make_mut(object))),
        Object::ReplicaSet(object) => apart(|| apps::replica_set::prepare_for_create(Arc::make_mut(object))),
        Object::ReplicationController(object) => {
            core::replication_controller::prepare_for_create(Arc::make_mut(object));
        }
        Object::ResourceQuota(object) => apart(|| core::resource_quota::prepare_for_create(Arc::make_mut(object))),
        Object::Service(object) => apart(|| core::service::prepare_for_create(Arc::make_mut(object))),
        Object::StatefulSet(object) => apart(|| apps::stateful_set::prepare_for_create(Arc::make_mut(object))),
        Object::ServiceAccount(object) => apart(|| core::config::prepare_service_account(Arc::make_mut(object))),
        Object::VolumeAttachment(object) => {
            apart(|| storage::volume_attachment::prepare_for_create(Arc::make_mut(object)))
        }
        Object::HorizontalPodAutoscaler(object) => apart(|| autoscaling::prepare_for_create(Arc::make_mut(object))),
        Object::Ingress(object) => apart(|| networking::ingress::prepare_for_create(Arc::make_mut(object))),
        Object::IngressClass(object) => apart(|| networking::ingress_class::prepare_for_create(Arc::make_mut(object))),
        Object::NetworkPolicy(object) => {
            apart(|| networking::network_policy::prepare_for_create(Arc::make_mut(object)))
        }
        Object::PodTemplate(object) => apart(|| core::pod_template::prepare_for_create(Arc::make_mut(object))),
        Object::Unstructured(object) => {
            let object = Arc::make_mut(object);
            object.prepare_for_create();
            if object.kind == Kind::CustomResourceDefinition {
                apiextensions::prepare_for_create(object);
            }
        }
        _ => {}
    }
}

/// Everything that is wrong with a new object, in upstream's order.
#[must_use]
pub fn validate(object: &Object) -> ErrorList {
    let errors = match object {
        Object::ConfigMap(object) => apart(|| core::config::validate_config_map(object)),
        Object::Unstructured(object) if admission_registration::has(object.kind) => {
            admission_registration::validate(object)
        }
        Object::ControllerRevision(object) => apart(|| apps::controller_revision::validate(object)),
        Object::CronJob(object) => apart(|| batch::cron_job::validate(object)),
        Object::DaemonSet(object) => apart(|| apps::daemon_set::validate(object)),
        Object::Deployment(object) => apart(|| apps::deployment::validate(object)),
        Object::EndpointSlice(object) => apart(|| discovery::validate(object)),
        Object::Event(object) => apart(|| core::event::validate(object)),
        Object::Job(object) => apart(|| batch::job::validate(object)),
        Object::CSINode(object) => apart(|| storage::csi_node::validate(object)),
        Object::Lease(object) => apart(|| coordination::validate(object)),
        Object::LimitRange(object) => apart(|| core::limit_range::validate(object)),
        Object::Namespace(object) => apart(|| core::namespace::validate(object)),
        Object::Node(object) => apart(|| core::node::validate(object)),
        Object::PersistentVolume(object) => apart(|| core::persistent_volume::validate(object)),
        Object::PersistentVolumeClaim(object) => apart(|| core::claim::validate(object)),
        Object::Pod(object) => apart(|| core::pod::strategy::validate(object)),
        Object::PodDisruptionBudget(object) => apart(|| policy::validate(object)),
        Object::PriorityClass(object) => apart(|| scheduling::validate(object)),
        Object::ReplicaSet(object) => apart(|| apps::replica_set::validate(object)),
        Object::ReplicationController(object) => apart(|| core::replication_controller::validate(object)),
        Object::ResourceQuota(object) => apart(|| core::resource_quota::validate(object)),
        Object::RuntimeClass(object) => apart(|| node::validate(object)),
        Object::Secret(object) => apart(|| core::config::validate_secret(object)),
        Object::Service(object) => apart(|| core::service::validate(object)),
        Object::StatefulSet(object) => apart(|| apps::stateful_set::validate(object)),
        Object::ServiceAccount(object) => apart(|| core::config::validate_service_account(object)),
        Object::StorageClass(object) => apart(|| storage::class::validate(object)),
        Object::VolumeAttachment(object) => apart(|| storage::volume_attachment::validate(object)),
        Object::Unstructured(object) => validate_unstructured(object),
        Object::ClusterRole(object) => apart(|| rbac::validate_cluster_role(object)),
        Object::ClusterRoleBinding(object) => apart(|| rbac::validate_cluster_binding(object)),
        Object::Endpoints(object) => apart(|| core::endpoints::validate(object)),
        Object::HorizontalPodAutoscaler(object) => apart(|| autoscaling::validate(object)),
        Object::Ingress(object) => apart(|| networking::ingress::validate(object)),
        Object::IngressClass(object) => apart(|| networking::ingress_class::validate(object)),
        Object::NetworkPolicy(object) => apart(|| networking::network_policy::validate(object)),
        Object::PodTemplate(object) => apart(|| core::pod_template::validate(object)),
        Object::Role(object) => apart(|| rbac::validate_role(object)),
        Object::RoleBinding(object) => apart(|| rbac::validate_binding(object)),
    };
    // What every kind's name must be at least is asked only when nothing else is wrong.
    if errors.is_empty() { validate_name_in_address(object) } else { errors }
}

#[inline(never)]
fn validate_unstructured(object: &Unstructured) -> ErrorList {
    match object.kind {
        Kind::CSIDriver => apart(|| storage::csi_driver::validate(object)),
        Kind::CSIStorageCapacity => apart(|| storage::capacity::validate(object)),
        Kind::VolumeAttributesClass => apart(|| storage::attributes_class::validate(object)),
        Kind::APIService => apart(|| api_registration::validate(object)),
        Kind::CertificateSigningRequest => apart(|| certificates::validate(object)),
        Kind::IPAddress | Kind::ServiceCIDR => apart(|| networking::addresses::validate(object)),
        Kind::CustomResourceDefinition => apart(|| apiextensions::validate(object)),
        Kind::Custom(custom) => apart(|| apiextensions::custom::validate(object, None, custom)),
        kind if flow_control::has(kind) => flow_control::validate(object),
        kind if resource::has(kind) => apart(|| resource::validate(object)),
        _ => ErrorList::new(),
    }
}

/// `ValidateObjectMetaAccessor` with `ValidatePathSegmentName`: what an address can carry.
fn validate_name_in_address(object: &Object) -> ErrorList {
    let namespaced = object.kind().info().namespaced;
    let finalizers = meta::Finalizers::Qualified;
    let mut errors = meta::validate_with(object.metadata(), namespaced, names::is_path_segment_name, finalizers);
    let name = text(&object.metadata().name);
    if errors.is_empty() {
        invalid_each(&mut errors, &Path::new("metadata").child("name"), name, names::is_path_segment_name(name));
    }
    errors
}

/// Runs the body of the kind that both objects are of; the last one is for kinds that need nothing of their own.
macro_rules! both {
    ($new:expr, $old:expr, { $($kind:ident => |$a:ident, $b:ident| $body:expr,)* _ => $otherwise:expr }) => {
        match ($new, $old) {
            $((Object::$kind($a), Object::$kind($b)) => $body,)*
            _ => $otherwise,
        }
    };
}

/// Takes over from `old` what an update of this sort may not change, and counts the generation.
///
/// `subresource` is `None` for the object itself.
///
/// # Panics
/// When both are not of one kind, which the server rules out before.
pub fn prepare_for_update(new: &mut Object, old: &Object, subresource: Option<Subresource>) {
    assert_eq!(new.kind(), old.kind(), "an update never changes the kind");
    meta::carry_over(new.metadata_mut(), old.metadata());
    both!(new, old, {
        CronJob => |new, old| batch::cron_job::prepare_for_update(Arc::make_mut(new), old, subresource),
        DaemonSet => |new, old| apps::daemon_set::prepare_for_update(Arc::make_mut(new), old, subresource),
        Deployment => |new, old| apps::deployment::prepare_for_update(Arc::make_mut(new), old, subresource),
        EndpointSlice => |new, old| discovery::prepare_for_update(Arc::make_mut(new), old),
        Job => |new, old| batch::job::prepare_for_update(Arc::make_mut(new), old, subresource),
        Namespace => |new, old| core::namespace::prepare_for_update(Arc::make_mut(new), old, subresource),
        Node => |new, old| core::node::prepare_for_update(Arc::make_mut(new), old, subresource),
        PersistentVolume => |new, old| core::persistent_volume::prepare_for_update(Arc::make_mut(new), old, subresource),
        PersistentVolumeClaim => |new, old| core::claim::prepare_for_update(Arc::make_mut(new), old, subresource),
        Pod => |new, old| core::pod::strategy::prepare_for_update(Arc::make_mut(new), old, subresource),
        PodDisruptionBudget => |new, old| policy::prepare_for_update(Arc::make_mut(new), old, subresource),
        ReplicaSet => |new, old| apps::replica_set::prepare_for_update(Arc::make_mut(new), old, subresource),
        ReplicationController => |new, old| {
            core::replication_controller::prepare_for_update(Arc::make_mut(new), old, subresource)
        },
        ResourceQuota => |new, old| core::resource_quota::prepare_for_update(Arc::make_mut(new), old, subresource),
        Secret => |new, old| core::config::prepare_secret_for_update(Arc::make_mut(new), old),
        Service => |new, old| core::service::prepare_for_update(Arc::make_mut(new), old, subresource),
        StatefulSet => |new, old| apps::stateful_set::prepare_for_update(Arc::make_mut(new), old, subresource),
        ServiceAccount => |new, _old| core::config::prepare_service_account(Arc::make_mut(new)),
        VolumeAttachment => |new, old| storage::volume_attachment::prepare_for_update(Arc::make_mut(new), old, subresource),
        Unstructured => |new, old| match new.kind {
            Kind::CSIDriver => apart(|| storage::csi_driver::prepare_for_update(Arc::make_mut(new), old)),
            Kind::CertificateSigningRequest => apart(|| certificates::prepare_for_update(Arc::make_mut(new), old, subresource)),
            Kind::CustomResourceDefinition => {
                apiextensions::prepare_for_update(Arc::make_mut(new), old, subresource);
            }
            Kind::Custom(_) => apart(|| apiextensions::custom::prepare_for_update(Arc::make_mut(new), old, subresource)),
            _ => Arc::make_mut(new).prepare_for_update(old, subresource),
        },
        HorizontalPodAutoscaler => |new, old| autoscaling::prepare_for_update(Arc::make_mut(new), old, subresource),
        Ingress => |new, old| networking::ingress::prepare_for_update(Arc::make_mut(new), old, subresource),
        IngressClass => |new, old| networking::ingress_class::prepare_for_update(Arc::make_mut(new), old),
        NetworkPolicy => |new, old| networking::network_policy::prepare_for_update(Arc::make_mut(new), old),
        PodTemplate => |new, old| core::pod_template::prepare_for_update(Arc::make_mut(new), old),
        _ => ()
    });
}

/// Writes down when a volume entered its phase, or when somebody decided: all that an update's strategy needs a clock
/// for.
pub fn stamp(new: &mut Object, old: &Object, now: Time) {
    match (new, old) {
        (Object::PersistentVolume(new), Object::PersistentVolume(old)) => {
            core::persistent_volume::stamp_phase(Arc::make_mut(new), old, now);
        }
        (Object::Unstructured(new), Object::Unstructured(old)) if new.kind == Kind::CertificateSigningRequest => {
            certificates::stamp(Arc::make_mut(new), old, now);
        }
        (new, _) => stamp_new(new, now),
    }
}

/// Writes down since when devices have their taints: all that a creation's strategy needs a clock for.
pub fn stamp_new(new: &mut Object, now: Time) {
    if let Object::Unstructured(new) = new
        && new.kind == Kind::ResourceSlice
    {
        resource::stamp(Arc::make_mut(new), now);
    }
}

/// Everything that is wrong with an update, in upstream's order.
///
/// # Panics
/// When both are not of one kind, which the server rules out before.
#[must_use]
pub fn validate_update(new: &Object, old: &Object, subresource: Option<Subresource>) -> ErrorList {
    assert_eq!(new.kind(), old.kind(), "an update never changes the kind");
    if let Object::Service(service) = new {
        // The allocator looks at a Service before anybody else does.
        let errors = core::service::validate_families(service, true);
        if !errors.is_empty() && subresource.is_none() {
            return errors;
        }
    }
    let mut errors = meta::validate_update_common(new.metadata(), old.metadata());
    errors.extend(both!(new, old, {
        ConfigMap => |new, old| core::config::validate_config_map_update(new, old),
        ControllerRevision => |new, old| apps::controller_revision::validate_update(new, old),
        CronJob => |new, old| batch::cron_job::validate_update(new, old, subresource),
        DaemonSet => |new, old| apps::daemon_set::validate_update(new, old, subresource),
        Deployment => |new, old| apps::deployment::validate_update(new, old, subresource),
        EndpointSlice => |new, old| discovery::validate_update(new, old),
        Event => |new, old| core::event::validate_update(new, old),
        Job => |new, old| batch::job::validate_update(new, old, subresource),
        CSINode => |new, old| storage::csi_node::validate_update(new, old),
        Lease => |new, old| coordination::validate_update(new, old),
        LimitRange => |new, _old| core::limit_range::validate(new),
        Namespace => |new, old| core::namespace::validate_update(new, old, subresource),
        Node => |new, old| core::node::validate_update(new, old, subresource),
        PersistentVolume => |new, old| core::persistent_volume::validate_update(new, old, subresource),
        PersistentVolumeClaim => |new, old| core::claim::validate_update(new, old, subresource),
        Pod => |new, old| core::pod::strategy::validate_update(new, old, subresource),
        PodDisruptionBudget => |new, _old| policy::validate_update(new, subresource),
        PriorityClass => |new, old| scheduling::validate_update(new, old),
        ReplicaSet => |new, old| apps::replica_set::validate_update(new, old, subresource),
        ReplicationController => |new, old| core::replication_controller::validate_update(new, old, subresource),
        ResourceQuota => |new, old| core::resource_quota::validate_update(new, old, subresource),
        RuntimeClass => |new, old| node::validate_update(new, old),
        Secret => |new, old| core::config::validate_secret_update(new, old),
        Service => |new, old| match subresource {
            Some(Subresource::Status) => core::service::validate_status(new, old),
            _ => core::service::validate_update(new, old),
        },
        ServiceAccount => |new, old| core::config::validate_service_account_update(new, old),
        StatefulSet => |new, old| apps::stateful_set::validate_update(new, old, subresource),
        StorageClass => |new, old| storage::class::validate_update(new, old),
        VolumeAttachment => |new, old| storage::volume_attachment::validate_update(new, old),
        Unstructured => |new, old| match new.kind {
            kind if admission_registration::has(kind) => {
                if subresource.is_none() { admission_registration::validate(new) } else { ErrorList::new() }
            }
            _ => validate_unstructured_update(new, old, subresource),
        },
        ClusterRole => |new, old| rbac::validate_cluster_role_update(new, old),
        ClusterRoleBinding => |new, old| rbac::validate_cluster_binding_update(new, old),
        Endpoints => |new, old| core::endpoints::validate_update(new, old),
        HorizontalPodAutoscaler => |new, old| autoscaling::validate_update(new, old, subresource),
        Ingress => |new, old| networking::ingress::validate_update(new, old, subresource),
        IngressClass => |new, old| networking::ingress_class::validate_update(new, old),
        NetworkPolicy => |new, old| networking::network_policy::validate_update(new, old),
        PodTemplate => |new, old| core::pod_template::validate_update(new, old),
        Role => |new, old| rbac::validate_role_update(new, old),
        RoleBinding => |new, old| rbac::validate_binding_update(new, old),
        _ => ErrorList::new()
    }));
    errors
}

#[inline(never)]
fn validate_unstructured_update(new: &Unstructured, old: &Unstructured, subresource: Option<Subresource>) -> ErrorList {
    match new.kind {
        Kind::CSIDriver => apart(|| storage::csi_driver::validate_update(new, old)),
        Kind::CSIStorageCapacity => apart(|| storage::capacity::validate_update(new, old)),
        Kind::VolumeAttributesClass => apart(|| storage::attributes_class::validate_update(new, old)),
        Kind::CertificateSigningRequest => apart(|| certificates::validate_update(new, old, subresource)),
        Kind::APIService if subresource.is_none() => apart(|| api_registration::validate(new)),
        Kind::IPAddress | Kind::ServiceCIDR => apart(|| networking::addresses::validate_update(new, old)),
        Kind::CustomResourceDefinition => apart(|| apiextensions::validate_update(new, old, subresource)),
        Kind::Custom(custom) => apart(|| apiextensions::custom::validate(new, Some((old, subresource)), custom)),
        kind if flow_control::has(kind) && subresource.is_none() => flow_control::validate(new),
        kind if resource::has(kind) => apart(|| resource::validate_update(new, old, subresource)),
        _ => ErrorList::new(),
    }
}

/// What the server says in `Warning` headers about a write that it accepts; `old` is `None` for a creation.
#[must_use]
pub fn warnings(new: &Object, old: Option<&Object>) -> Vec<String> {
    match new {
        Object::CronJob(new) => {
            apart(|| batch::cron_job::warnings(new, old.and_then(Object::downcast).map(|old| &**old)))
        }
        Object::DaemonSet(new) => {
            apart(|| apps::daemon_set::warnings(new, old.and_then(Object::downcast).map(|old| &**old)))
        }
        Object::Deployment(new) => {
            apart(|| apps::deployment::warnings(new, old.and_then(Object::downcast).map(|old| &**old)))
        }
        Object::EndpointSlice(new) => apart(|| discovery::warnings(new)),
        Object::Endpoints(new) => apart(|| core::endpoints::warnings(new)),
        Object::NetworkPolicy(new) => apart(|| networking::network_policy::warnings(new)),
        Object::Job(new) => apart(|| batch::job::warnings(new, old.and_then(Object::downcast).map(|old| &**old))),
        Object::Node(new) => apart(|| core::node::warnings(new)),
        Object::PersistentVolume(new) => apart(|| core::persistent_volume::warnings(new)),
        Object::PersistentVolumeClaim(new) => apart(|| core::claim::warnings(new)),
        Object::StorageClass(new) => apart(|| storage::class::warnings(new)),
        Object::Unstructured(new) => match new.kind {
            Kind::CSIStorageCapacity => apart(|| storage::capacity::warnings(new)),
            Kind::CustomResourceDefinition => apart(|| apiextensions::warnings(new, old)),
            Kind::Custom(_) => apart(|| apiextensions::custom::warnings(new, old)),
            _ => Vec::new(),
        },
        Object::Pod(new) => {
            let old = old.and_then(Object::downcast).map(|old| &**old);
            core::pod::strategy::warnings(new, old)
        }
        Object::PodTemplate(new) => {
            apart(|| core::pod_template::warnings(new, old.and_then(Object::downcast).map(|old| &**old)))
        }
        Object::ReplicaSet(new) => {
            apart(|| apps::replica_set::warnings(new, old.and_then(Object::downcast).map(|old| &**old)))
        }
        Object::ReplicationController(new) => {
            core::replication_controller::warnings(new, old.and_then(Object::downcast).map(|old| &**old))
        }
        Object::Service(new) => apart(|| core::service::warnings(new)),
        Object::ServiceAccount(new) => {
            core::config::service_account_warnings(new, old.and_then(Object::downcast).map(|old| &**old))
        }
        Object::StatefulSet(new) => {
            apart(|| apps::stateful_set::warnings(new, old.and_then(Object::downcast).map(|old| &**old)))
        }
        Object::Ingress(new) if old.is_none() => apart(|| networking::ingress::warnings(new)),
        _ => Vec::new(),
    }
}

/// Brings an object that passed validation into the one form in which it is stored: empty maps and lists of the
/// metadata are missing ones, and a namespace's label is its name, which may be a generated one.
pub fn canonicalize(object: &mut Object) {
    meta::canonicalize(object.metadata_mut());
    match object {
        Object::Job(object) => apart(|| batch::job::canonicalize(Arc::make_mut(object))),
        Object::Namespace(object) => apart(|| core::namespace::default(Arc::make_mut(object))),
        _ => {
            let template = template_of(object).and_then(|template| template.metadata.as_mut());
            template.into_iter().for_each(meta::canonicalize);
        }
    }
}

/// The template of the pods of a workload that runs for ever.
fn template_of(object: &mut Object) -> Option<&mut PodTemplateSpec> {
    match object {
        Object::CronJob(object) => Some(&mut Arc::make_mut(object).spec.job_template.spec.as_mut()?.template),
        Object::DaemonSet(object) => Some(&mut Arc::make_mut(object).spec.as_mut()?.template),
        Object::Deployment(object) => Some(&mut Arc::make_mut(object).spec.as_mut()?.template),
        Object::PodTemplate(object) => Arc::make_mut(object).template.as_mut(),
        Object::ReplicaSet(object) => Arc::make_mut(object).spec.as_mut()?.template.as_mut(),
        Object::ReplicationController(object) => Arc::make_mut(object).spec.as_mut()?.template.as_mut(),
        Object::StatefulSet(object) => Some(&mut Arc::make_mut(object).spec.as_mut()?.template),
        _ => None,
    }
}
