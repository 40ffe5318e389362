//! What each metric of an autoscaler asks for: the number of replicas, the metric's status, and what it is called.
//!
//! Follows `computeReplicasForMetric` and the `computeStatusFor…` functions of
//! `kubernetes/pkg/controller/podautoscaler/horizontal.go`.

use std::sync::Arc;

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricStatus, ExternalMetricStatus, HorizontalPodAutoscaler, MetricIdentifier, MetricSpec,
    MetricStatus, MetricTarget, MetricValueStatus, ObjectMetricStatus, PodsMetricStatus, ResourceMetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::api::Resource;
use crate::client::{Client, ClientError};
use crate::machinery::labels;
use crate::machinery::quantity::{Format, Quantity};

use super::metrics;
use super::replica_calculator::{self as calculator, Proposal, Scene, Tolerances};

/// `--horizontal-pod-autoscaler-tolerance`.
const TOLERANCE: f64 = 0.1;

/// What a metric asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub replicas: i32,
    /// What the metric is called in messages.
    pub name: String,
    pub status: MetricStatus,
}

/// Why a metric asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The reason of the event and of the condition.
    pub reason: &'static str,
    /// What both say.
    pub why: String,
    /// How the failure is told where all metrics are summed up.
    pub summary: String,
}

/// The target as its scale tells it.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// How many replicas are wanted.
    pub wanted: i32,
    /// How many there are.
    pub there: i32,
    /// Which pods they are.
    pub selector: String,
    /// Those pods.
    pub pods: Vec<Arc<Pod>>,
}

/// How far off a metric may be: the autoscaler's own word, or the controller's.
fn tolerances(autoscaler: &HorizontalPodAutoscaler) -> Tolerances {
    let behavior = autoscaler.spec.behavior.as_ref();
    let of = |amount: Option<&ApiQuantity>| amount.map_or(TOLERANCE, |amount| Quantity::of(amount).as_f64());
    Tolerances {
        scale_up: of(behavior.and_then(|it| it.scale_up.as_ref()?.tolerance.as_ref())),
        scale_down: of(behavior.and_then(|it| it.scale_down.as_ref()?.tolerance.as_ref())),
    }
}

fn milli(amount: &ApiQuantity) -> i64 {
    Quantity::of(amount).milli_value()
}

fn quantity(milli: i64) -> ApiQuantity {
    Quantity::new_milli(milli, Format::DecimalSI).to_api()
}

fn average(raw: i64) -> MetricValueStatus {
    MetricValueStatus { average_value: Some(quantity(raw)), ..MetricValueStatus::default() }
}

fn value(raw: i64) -> MetricValueStatus {
    MetricValueStatus { value: Some(quantity(raw)), ..MetricValueStatus::default() }
}

/// The metric that is looked at, with all that this takes.
pub(super) struct Look<'a, 'c> {
    pub autoscaler: &'a HorizontalPodAutoscaler,
    pub scale: &'a Scale,
    pub client: &'a mut Client<'c>,
}

impl Look<'_, '_> {
    fn scene(&self) -> Scene<'_> {
        Scene {
            current: self.scale.wanted,
            pods: &self.scale.pods,
            tolerances: tolerances(self.autoscaler),
            now: self.client.now,
        }
    }

    fn namespace(&self) -> String {
        self.autoscaler.namespace().to_owned()
    }

    /// What a metric asks for.
    pub(super) fn ask(&mut self, metric: &MetricSpec) -> Result<Result<Asked, Failure>, ClientError> {
        match metric.type_.as_str() {
            "Resource" => {
                let Some(source) = &metric.resource else { return Ok(Err(unknown(metric))) };
                let asked = self.resource(&source.name, "", &source.target)?;
                Ok(asked
                    .map_err(|why| failure("FailedGetResourceMetric", why, &format!("{} resource", source.name)))
                    .map(|(replicas, name, current)| Asked {
                        replicas,
                        name,
                        status: MetricStatus {
                            type_: "Resource".to_owned(),
                            resource: Some(ResourceMetricStatus { name: source.name.clone(), current }),
                            ..MetricStatus::default()
                        },
                    }))
            }
            "ContainerResource" => {
                let Some(source) = &metric.container_resource else { return Ok(Err(unknown(metric))) };
                let asked = self.resource(&source.name, &source.container, &source.target)?;
                let what = format!("{} container", source.container);
                Ok(asked.map_err(|why| failure("FailedGetContainerResourceMetric", why, &what)).map(
                    |(replicas, name, current)| Asked {
                        replicas,
                        name,
                        status: MetricStatus {
                            type_: "ContainerResource".to_owned(),
                            container_resource: Some(ContainerResourceMetricStatus {
                                name: source.name.clone(),
                                container: source.container.clone(),
                                current,
                            }),
                            ..MetricStatus::default()
                        },
                    },
                ))
            }
            "Pods" => Ok(self.pods(metric).map_err(|why| failure("FailedGetPodsMetric", why, "pods"))),
            "Object" => Ok(self.object(metric)?.map_err(|why| failure("FailedGetObjectMetric", why, "object"))),
            "External" => {
                let Some(source) = &metric.external else { return Ok(Err(unknown(metric))) };
                let (name, is_shared) = (source.metric.name.clone(), source.target.average_value.is_some());
                Ok(self.external(metric)?.map_err(|why| {
                    let told = match is_shared {
                        true => format!("failed to get {name} external metric: {why}"),
                        false => format!("failed to get external metric {name}: {why}"),
                    };
                    Failure {
                        summary: failure("", told, &format!("{name} external")).summary,
                        ..failure("FailedGetExternalMetric", why, "")
                    }
                }))
            }
            _ => Ok(Err(unknown(metric))),
        }
    }

    /// `computeStatusForResourceMetricGeneric`.
    fn resource(
        &mut self,
        resource: &str,
        container: &str,
        target: &MetricTarget,
    ) -> Result<Result<(i32, String, MetricValueStatus), String>, ClientError> {
        let namespace = self.namespace();
        let found = metrics::of_resource(self.client, (&namespace, &self.scale.selector), container, resource)?;
        let found = found.map_err(|why| format!("unable to get metrics for resource {resource}: {why}"));
        if let Some(amount) = &target.average_value {
            let proposal = found.and_then(|found| calculator::by_average(self.scene(), found, milli(amount), resource));
            return Ok(proposal
                .map(|Proposal { replicas, raw, .. }| (replicas, format!("{resource} resource"), average(raw)))
                .map_err(|why| format!("failed to get {resource} usage: {why}")));
        }
        let Some(percent) = target.average_utilization else {
            let why = "invalid resource metric source: neither an average utilization target nor an average value \
                       (usage) target was set";
            return Ok(Err(why.to_owned()));
        };
        let proposal =
            found.and_then(|found| calculator::by_utilization(self.scene(), found, percent, container, resource));
        Ok(proposal
            .map(|Proposal { replicas, utilization, raw }| {
                let whose = if container.is_empty() { "" } else { "container " };
                let name = format!("{resource} {whose}resource utilization (percentage of request)");
                (replicas, name, MetricValueStatus { average_utilization: Some(utilization), ..average(raw) })
            })
            .map_err(|why| format!("failed to get {resource} utilization: {why}")))
    }

    /// `computeStatusForPodsMetric`.
    fn pods(&self, metric: &MetricSpec) -> Result<Asked, String> {
        let source = metric.pods.as_ref().ok_or_else(|| unknown(metric).why)?;
        let name = &source.metric.name;
        let target = source.target.average_value.as_ref().map_or(0, milli);
        let found = metrics::of_pods(&self.scale.pods, name, self.client.now)
            .map_err(|why| format!("unable to get metric {name}: {why}"))?;
        let Proposal { replicas, raw, .. } = calculator::by_average(self.scene(), found, target, "")?;
        let status = PodsMetricStatus { metric: source.metric.clone(), current: average(raw) };
        Ok(Asked {
            replicas,
            name: format!("pods metric {name}"),
            status: MetricStatus { type_: "Pods".to_owned(), pods: Some(status), ..MetricStatus::default() },
        })
    }

    /// `computeStatusForObjectMetric`.
    fn object(&mut self, metric: &MetricSpec) -> Result<Result<Asked, String>, ClientError> {
        let Some(source) = &metric.object else { return Ok(Err(unknown(metric).why)) };
        let (name, described) = (&source.metric.name, &source.described_object);
        let namespace = self.namespace();
        let found = match metrics::of_object(self.client, &namespace, described, name)? {
            Ok(found) => found,
            Err(why) => {
                // Upstream's words are in this order: the error comes where the object's name is announced.
                let place = format!("{} on {namespace} {}", described.kind, described.name);
                return Ok(Err(format!("unable to get metric {name}: {place}/{why}")));
            }
        };
        let called = match source.target.average_value {
            // Upstream calls it so.
            Some(_) => format!("external metric {name}({})", labels::go_text(source.metric.selector.as_ref())),
            None => format!("{} metric {name}", described.kind),
        };
        let status = |current| MetricStatus {
            type_: "Object".to_owned(),
            object: Some(ObjectMetricStatus {
                current,
                described_object: described.clone(),
                metric: source.metric.clone(),
            }),
            ..MetricStatus::default()
        };
        Ok(self.of_whole(found, &source.target, (called, "object"), &status))
    }

    /// `computeStatusForExternalMetric`.
    fn external(&mut self, metric: &MetricSpec) -> Result<Result<Asked, String>, ClientError> {
        let Some(source) = &metric.external else { return Ok(Err(unknown(metric).why)) };
        let MetricIdentifier { name, selector } = &source.metric;
        let namespace = self.namespace();
        let selector = labels::go_text(selector.as_ref());
        let found = match metrics::external(self.client, &namespace, name)? {
            Ok(found) => found,
            Err(why) => {
                return Ok(Err(format!("unable to get external metric {namespace}/{name}/{selector}: {why}")));
            }
        };
        let called = format!("external metric {name}({selector})");
        let status = |current| MetricStatus {
            type_: "External".to_owned(),
            external: Some(ExternalMetricStatus { current, metric: source.metric.clone() }),
            ..MetricStatus::default()
        };
        Ok(self.of_whole(found, &source.target, (called, "external"), &status))
    }

    /// What a number for all replicas together asks for.
    fn of_whole(
        &self,
        found: i64,
        target: &MetricTarget,
        (name, sort): (String, &str),
        status: &dyn Fn(MetricValueStatus) -> MetricStatus,
    ) -> Result<Asked, String> {
        if let Some(amount) = &target.average_value {
            let Proposal { replicas, raw, .. } =
                calculator::by_share(self.scene(), self.scale.there, found, milli(amount));
            return Ok(Asked { replicas, name, status: status(average(raw)) });
        }
        let Some(amount) = &target.value else {
            return Err(format!(
                "invalid {sort} metric source: neither a value target nor an average value target was set"
            ));
        };
        let Proposal { replicas, raw, .. } = calculator::by_value(self.scene(), found, milli(amount))?;
        Ok(Asked { replicas, name, status: status(value(raw)) })
    }
}

fn failure(reason: &'static str, why: String, what: &str) -> Failure {
    let summary = format!("failed to get {what} metric value: {why}");
    Failure { reason, why, summary }
}

fn unknown(metric: &MetricSpec) -> Failure {
    let why = format!("unknown metric source type {:?}", metric.type_);
    Failure { reason: "InvalidMetricSourceType", summary: why.clone(), why }
}
