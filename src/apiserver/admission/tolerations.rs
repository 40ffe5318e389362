//! Every pod tolerates an ailing node for five minutes unless it says otherwise.
//!
//! `kubernetes/plugin/pkg/admission/defaulttolerationseconds`; with the `MemoryPressure` part of
//! `podtolerationrestriction` left out, as that plugin is off by default.

use k8s_openapi::api::core::v1::{Pod, Toleration};

/// `--default-not-ready-toleration-seconds` and its sister.
const TOLERATION_SECONDS: i64 = 300;
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

pub(super) fn admit(pod: &mut Pod) {
    let Some(spec) = pod.spec.as_mut() else { return };
    for key in [NOT_READY, UNREACHABLE] {
        let tolerations = spec.tolerations.get_or_insert_default();
        let tolerated = tolerations.iter().any(|toleration| {
            let any_key = toleration.key.as_deref().is_none_or(str::is_empty);
            let effect = toleration.effect.as_deref().unwrap_or("");
            (toleration.key.as_deref() == Some(key) || any_key) && (effect == "NoExecute" || effect.is_empty())
        });
        if !tolerated {
            tolerations.reserve_exact(1);
            tolerations.push(Toleration {
                key: Some(key.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoExecute".to_owned()),
                toleration_seconds: Some(TOLERATION_SECONDS),
                value: None,
            });
        }
    }
}
