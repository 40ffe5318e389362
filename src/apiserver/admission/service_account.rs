//! Every pod runs as a service account and can reach the API with its token.
//!
//! `kubernetes/plugin/pkg/admission/serviceaccount`.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, Container, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector, Pod,
    ProjectedVolumeSource, ServiceAccount, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::apiserver::Context;
use crate::etcd::Etcd;
use crate::machinery::status::{Details, Reason, Status};

const DEFAULT_NAME: &str = "default";
/// `DefaultAPITokenMountPath`.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX: &str = "kube-api-access-";
/// Volumes of a token are renewed once an hour, plus seven seconds that show whose default it is.
const TOKEN_SECONDS: i64 = 3607;

pub(super) fn admit(etcd: &Etcd, context: &mut Context<'_>, pod: &mut Pod) -> Result<(), Status> {
    // A mirror pod is its kubelet's own and has no account.
    let is_mirror = pod
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror"));
    if is_mirror {
        return Ok(());
    }
    let (pod_name, namespace) = (pod.name().to_owned(), pod.namespace().to_owned());
    let Some(spec) = pod.spec.as_mut() else { return Ok(()) };
    let name = spec.service_account_name.clone().filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| DEFAULT_NAME.to_owned());
    spec.service_account_name = Some(name.clone());
    spec.service_account = Some(name.clone());
    let key = ObjectKey::new(namespace.as_str(), name.as_str());
    let account = etcd.get(Kind::ServiceAccount, &key).and_then(Object::downcast::<ServiceAccount>);
    let Some(account) = account else {
        return Err(missing_account(&pod_name, &namespace, &name));
    };
    let mounts = spec.automount_service_account_token.or(account.automount_service_account_token).unwrap_or(true);
    if mounts {
        mount_token(context, spec);
    }
    if spec.image_pull_secrets.as_ref().is_none_or(Vec::is_empty) {
        spec.image_pull_secrets = account.image_pull_secrets.clone().filter(|secrets| !secrets.is_empty());
    }
    Ok(())
}

fn missing_account(pod: &str, namespace: &str, account: &str) -> Status {
    let message = format!(
        "pods {pod:?} is forbidden: error looking up service account {namespace}/{account}: serviceaccount \
         {account:?} not found"
    );
    let details = Details { name: pod.to_owned(), kind: "pods".to_owned(), ..Details::default() };
    Status::with_details(Reason::Forbidden, message, details)
}

fn mount_token(context: &mut Context<'_>, spec: &mut k8s_openapi::api::core::v1::PodSpec) {
    let known = spec.volumes.iter().flatten().find(|volume| volume.name.starts_with(VOLUME_PREFIX));
    let volume = match known {
        Some(volume) => volume.name.clone(),
        None => format!("{VOLUME_PREFIX}{}", context.random.suffix(5)),
    };
    let mut used = false;
    let containers = spec.init_containers.iter_mut().flatten().chain(spec.containers.iter_mut());
    for container in containers {
        used |= mount_in(container, &volume);
    }
    if used && !spec.volumes.iter().flatten().any(|known| known.name == volume) {
        let volumes = spec.volumes.get_or_insert_default();
        volumes.reserve_exact(1);
        volumes.push(token_volume(&volume));
    }
}

fn mount_in(container: &mut Container, volume: &str) -> bool {
    let mounts = container.volume_mounts.get_or_insert_default();
    if mounts.iter().any(|mount| mount.mount_path == TOKEN_PATH) {
        return false;
    }
    mounts.reserve_exact(1);
    mounts.push(VolumeMount {
        name: volume.to_owned(),
        mount_path: TOKEN_PATH.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    true
}

fn token_volume(name: &str) -> Volume {
    let token = ServiceAccountTokenProjection {
        expiration_seconds: Some(TOKEN_SECONDS),
        path: "token".to_owned(),
        ..ServiceAccountTokenProjection::default()
    };
    let authority = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
        optional: None,
    };
    let namespace = DownwardAPIVolumeFile {
        path: "namespace".to_owned(),
        field_ref: Some(ObjectFieldSelector {
            api_version: Some("v1".to_owned()),
            field_path: "metadata.namespace".to_owned(),
        }),
        ..DownwardAPIVolumeFile::default()
    };
    let sources = vec![
        VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() },
        VolumeProjection { config_map: Some(authority), ..VolumeProjection::default() },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace]) }),
            ..VolumeProjection::default()
        },
    ];
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource { default_mode: Some(420), sources: Some(sources) }),
        ..Volume::default()
    }
}
