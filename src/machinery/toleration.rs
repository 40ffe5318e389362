//! Which taints a pod tolerates.
//!
//! Follows `k8s.io/component-helpers/scheduling/corev1` and `Toleration.ToleratesTaint`.

use k8s_openapi::api::core::v1::{Taint, Toleration};

use super::intstr::parse_int;

/// Pods that do not tolerate it are not placed here.
pub const NO_SCHEDULE: &str = "NoSchedule";
/// Pods that do not tolerate it are placed here only if nothing better is found.
pub const PREFER_NO_SCHEDULE: &str = "PreferNoSchedule";
/// Pods that do not tolerate it are evicted.
pub const NO_EXECUTE: &str = "NoExecute";

/// Whether a toleration covers a taint: the effect (none covers all), the key (none covers all when the operator is
/// `Exists`) and the value.
#[must_use]
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !effect.is_empty() && effect != taint.effect {
        return false;
    }
    let key = toleration.key.as_deref().unwrap_or_default();
    if !key.is_empty() && key != taint.key {
        return false;
    }
    let ours = toleration.value.as_deref().unwrap_or_default();
    let theirs = taint.value.as_deref().unwrap_or_default();
    let numbers = || Some((parse_int(theirs).ok()?, parse_int(ours).ok()?));
    match toleration.operator.as_deref().unwrap_or_default() {
        "" | "Equal" => ours == theirs,
        "Exists" => true,
        "Lt" => numbers().is_some_and(|(theirs, ours)| theirs < ours),
        "Gt" => numbers().is_some_and(|(theirs, ours)| theirs > ours),
        _ => false,
    }
}

/// Whether any of the tolerations covers a taint.
#[must_use]
pub fn tolerates_taint(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

/// Whether a taint keeps pods away that do not tolerate it.
#[must_use]
pub fn keeps_away(taint: &Taint) -> bool {
    taint.effect == NO_SCHEDULE || taint.effect == NO_EXECUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let taint = Taint { key: "k".into(), value: Some("5".into()), effect: NO_SCHEDULE.into(), time_added: None };
        let cases = [
            ("", "Exists", "", "", true),
            ("k", "Exists", "", "", true),
            ("k", "", "5", "", true),
            ("k", "Equal", "6", "", false),
            ("k", "Equal", "5", NO_EXECUTE, false),
            ("k", "Equal", "5", NO_SCHEDULE, true),
            ("other", "Exists", "", "", false),
            ("k", "Gt", "4", "", true),
            ("k", "Lt", "4", "", false),
        ];
        for (key, operator, value, effect, expected) in cases {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let toleration = Toleration {
                key: text(key),
                operator: text(operator),
                value: text(value),
                effect: text(effect),
                toleration_seconds: None,
            };
            assert_eq!(tolerates(&toleration, &taint), expected, "{toleration:?}");
        }
    }
}
