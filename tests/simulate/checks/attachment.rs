//! A disk that one node can use is attached to one node at a time, whatever became of the other.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kubetab::api::{Kind, Object, ObjectKey, Resource as _};

use super::{Finding, Sight, look};

/// Looks at an attachment that changed.
pub fn commit(sight: &Sight<'_>, looks: &mut BTreeMap<&'static str, u64>) -> Finding {
    let Some(Object::VolumeAttachment(attachment)) = &sight.commit.after else { return Ok(()) };
    if !is_attached(attachment) {
        return Ok(());
    }
    let etcd = sight.cluster.api().etcd();
    let volume = attachment.spec.source.persistent_volume_name.as_deref().unwrap_or("");
    let found = etcd.get(Kind::PersistentVolume, &ObjectKey::new("", volume));
    let modes =
        found.and_then(Object::downcast::<PersistentVolume>).and_then(|it| it.spec.as_ref()?.access_modes.clone());
    if modes.unwrap_or_default().iter().any(|mode| mode.ends_with("Many")) {
        return Ok(());
    }
    look(looks, "attachments");
    for (_, object) in etcd.range(Kind::VolumeAttachment, None) {
        let Some(other) = object.downcast::<VolumeAttachment>() else { continue };
        let is_same = other.spec.source.persistent_volume_name.as_deref() == Some(volume);
        if is_same && other.name() != attachment.name() && is_attached(other) {
            let (here, there) = (&attachment.spec.node_name, &other.spec.node_name);
            return Err(format!("{volume} is attached to {here} and to {there}"));
        }
    }
    Ok(())
}

fn is_attached(attachment: &VolumeAttachment) -> bool {
    attachment.status.as_ref().is_some_and(|status| status.attached)
}
