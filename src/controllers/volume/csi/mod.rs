//! What stands beside a storage driver in a cluster: the sidecars that make, attach and enlarge its volumes.
//!
//! In a cloud a driver is there as soon as somebody makes its CSIDriver object, as with a cloud's own add-ons; without one,
//! claims and attachments wait for it. The drivers themselves are disks of the simulated cloud: they take their time, keep
//! what was written to them, and refuse what the real ones are known to refuse. Follows
//! `kubernetes-csi/external-{provisioner,attacher,resizer}`; snapshots and clones are left out.

mod attacher;
mod capacity;
mod drivers;
mod modifier;
mod provisioner;
mod resizer;

pub use attacher::CsiAttacher;
pub use capacity::CsiCapacity;
pub use modifier::CsiModifier;
pub use provisioner::CsiProvisioner;
pub use resizer::CsiResizer;

use std::sync::Arc;
use std::time::Duration;

use crate::api::{Kind, Object, ObjectKey, Unstructured};
use crate::client::Informers;

/// The first and the longest wait of what failed: `--retry-interval-start`, `--retry-interval-max`.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The object of a driver that is installed.
fn installed<'a>(driver: &str, listers: &'a Informers) -> Option<&'a Arc<Unstructured>> {
    match listers.object(Kind::CSIDriver, &ObjectKey::new("", driver)) {
        Some(Object::Unstructured(driver)) => Some(driver),
        _ => None,
    }
}
