//! The status that a kubelet keeps of a pod, which is hardly ever another than the pod's own.

use std::ops::Deref;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodStatus};

/// A pod's status. It takes no room of its own where a version of the pod has the same, which the kubelet and the API
/// server share.
#[derive(Clone, Debug)]
pub(super) enum KeptStatus {
    Own(Box<PodStatus>),
    OfPod(Arc<Pod>),
}

impl KeptStatus {
    /// Takes no room of its own from now on, when this version of the pod has the same status.
    pub(super) fn share(&mut self, pod: &Arc<Pod>) {
        let is_shared = matches!(self, Self::OfPod(known) if Arc::ptr_eq(known, pod));
        if !is_shared && pod.status.as_ref() == Some(&**self) {
            *self = Self::OfPod(pod.clone());
        }
    }
}

impl From<PodStatus> for KeptStatus {
    fn from(status: PodStatus) -> Self {
        Self::Own(Box::new(status))
    }
}

impl Deref for KeptStatus {
    type Target = PodStatus;

    fn deref(&self) -> &PodStatus {
        match self {
            Self::Own(status) => status,
            Self::OfPod(pod) => pod.status.as_ref().expect("only a pod with a status is shared"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shared_with_the_pod_that_has_the_same() {
        let status = |phase: &str| PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() };
        let pod = |phase| Arc::new(Pod { status: Some(status(phase)), ..Pod::default() });
        let mut kept = KeptStatus::from(status("Running"));
        kept.share(&pod("Pending"));
        assert!(matches!(kept, KeptStatus::Own(_)));
        let (first, second) = (pod("Running"), pod("Running"));
        for running in [&first, &second] {
            kept.share(running);
            assert!(matches!(&kept, KeptStatus::OfPod(known) if Arc::ptr_eq(known, running)));
        }
        assert_eq!(kept.phase.as_deref(), Some("Running"));
    }
}
