//! The autoscaling group: defaults, validation and columns of its kind.

mod columns;
mod defaults;
mod validation;

pub(super) use columns::{COLUMNS, row};
pub(super) use defaults::default;
pub(super) use validation::{validate, validate_update};

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus};

use super::kind::Subresource;

pub(super) fn prepare_for_create(autoscaler: &mut HorizontalPodAutoscaler) {
    autoscaler.status = Some(HorizontalPodAutoscalerStatus::default());
}

pub(super) fn prepare_for_update(
    new: &mut HorizontalPodAutoscaler,
    old: &HorizontalPodAutoscaler,
    subresource: Option<Subresource>,
) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
    } else {
        new.status.clone_from(&old.status);
    }
}
