//! An Ingress that says nothing of a class gets the default one.
//!
//! `kubernetes/plugin/pkg/admission/network/defaultingressclass`.

use k8s_openapi::api::networking::v1::{Ingress, IngressClass};

use crate::api::{Kind, networking};
use crate::etcd::Etcd;

/// Of several default classes the youngest, and of equally young ones the first by name.
fn default_class(etcd: &Etcd) -> Option<&IngressClass> {
    let classes = etcd.range(Kind::IngressClass, None).filter_map(|(_, class)| class.downcast::<IngressClass>());
    let defaults = classes.map(|class| &**class).filter(|class| networking::is_default(class));
    // They come in the order of their names, and a later one must be younger to win.
    defaults.fold(None, |best: Option<&IngressClass>, class| match best {
        Some(best) if best.metadata.creation_timestamp >= class.metadata.creation_timestamp => Some(best),
        _ => Some(class),
    })
}

pub(super) fn admit(etcd: &Etcd, ingress: &mut Ingress) {
    if networking::has_class(ingress) {
        return;
    }
    if let Some(class) = default_class(etcd) {
        ingress.spec.get_or_insert_default().ingress_class_name.clone_from(&class.metadata.name);
    }
}
