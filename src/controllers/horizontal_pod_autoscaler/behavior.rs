//! What becomes of a number of replicas that the metrics ask for: bounds, stabilisation and rates.
//!
//! Follows `normalizeDesiredReplicas`, `normalizeDesiredReplicasWithBehaviors` and what they call in
//! `kubernetes/pkg/controller/podautoscaler/horizontal.go`.

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerBehavior};

use crate::machinery::time::Time;

/// `--horizontal-pod-autoscaler-downscale-stabilization`.
const DOWNSCALE_STABILISATION: Duration = Duration::from_secs(300);
const SCALE_UP_LIMIT_FACTOR: i32 = 2;
const SCALE_UP_LIMIT_MIN: i32 = 4;

/// A change of replicas that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScaleEvent {
    change: i32,
    time: Time,
    outdated: bool,
}

/// What the controller remembers of an autoscaler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    recommendations: Vec<(i32, Time)>,
    ups: Vec<ScaleEvent>,
    downs: Vec<ScaleEvent>,
}

/// What an autoscaler asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub least: i32,
    pub most: i32,
    pub current: i32,
    pub desired: i32,
}

/// A condition's reason and message.
pub(super) type Reason = (&'static str, &'static str);

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Normal {
    pub replicas: i32,
    /// `AbleToScale`, which is true.
    pub able: Reason,
    /// `ScalingLimited`, and whether it is.
    pub limited: (bool, Reason),
}

const READY: Reason = ("ReadyForNewScale", "recommended size matches current size");
const WITHIN: Reason = ("DesiredWithinRange", "the desired count is within the acceptable range");
const UP_LIMIT: Reason = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const DOWN_LIMIT: Reason =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");
const TOO_MANY: Reason = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: Reason = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const DOWN_STABILISED: Reason = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const UP_STABILISED: Reason = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);

impl Memory {
    /// `recordInitialRecommendation`.
    pub(super) fn begin(&mut self, current: i32, now: Time) {
        if self.recommendations.is_empty() {
            self.recommendations.push((current, now));
        }
    }

    /// The number that is to be, within bounds and rates.
    pub(super) fn normalise(
        &mut self,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        wanted: Wanted,
        now: Time,
    ) -> Normal {
        let rules = behavior.and_then(|behavior| behavior.scale_up.as_ref().zip(behavior.scale_down.as_ref()));
        let (stable, reason) = match rules {
            None => (self.stabilise(wanted.desired, now), DOWN_STABILISED),
            Some((up, down)) => self.stabilise_by_rules(wanted, up, down, now),
        };
        let able = if stable == wanted.desired { READY } else { reason };
        let stabilised = Wanted { desired: stable, ..wanted };
        let (replicas, limit) = match rules {
            None => limit(stabilised),
            Some((up, down)) => self.limit_by_rules(stabilised, up, down, now),
        };
        Normal { replicas, able, limited: (replicas != stable, limit) }
    }

    fn remember(&mut self, desired: i32, now: Time, old: Option<usize>) {
        match old {
            Some(old) => self.recommendations[old] = (desired, now),
            None => self.recommendations.push((desired, now)),
        }
    }

    /// `stabilizeRecommendation`.
    fn stabilise(&mut self, desired: i32, now: Time) -> i32 {
        let cutoff = now - DOWNSCALE_STABILISATION;
        let old = self.recommendations.iter().rposition(|(_, time)| *time < cutoff);
        let recent = self.recommendations.iter().filter(|(_, time)| *time >= cutoff).map(|(replicas, _)| *replicas);
        let highest = recent.max().map_or(desired, |highest| highest.max(desired));
        self.remember(desired, now, old);
        highest
    }

    /// `stabilizeRecommendationWithBehaviors`.
    fn stabilise_by_rules(
        &mut self,
        wanted: Wanted,
        up: &HPAScalingRules,
        down: &HPAScalingRules,
        now: Time,
    ) -> (i32, Reason) {
        let cutoff = |rules: &HPAScalingRules, otherwise: Duration| {
            let seconds = rules.stabilization_window_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            now - seconds.map_or(otherwise, Duration::from_secs)
        };
        let (up_cutoff, down_cutoff) = (cutoff(up, Duration::ZERO), cutoff(down, DOWNSCALE_STABILISATION));
        let (mut lowest, mut highest) = (wanted.desired, wanted.desired);
        let mut old = None;
        for (index, &(replicas, time)) in self.recommendations.iter().enumerate() {
            if time > up_cutoff {
                lowest = lowest.min(replicas);
            }
            if time > down_cutoff {
                highest = highest.max(replicas);
            }
            if time < up_cutoff && time < down_cutoff {
                old = Some(index);
            }
        }
        // First up to the lower bound, then down to the upper one.
        let stable = wanted.current.max(lowest).min(highest);
        self.remember(wanted.desired, now, old);
        (stable, if wanted.desired >= wanted.current { UP_STABILISED } else { DOWN_STABILISED })
    }

    /// `convertDesiredReplicasWithBehaviorRate`.
    fn limit_by_rules(&self, wanted: Wanted, up: &HPAScalingRules, down: &HPAScalingRules, now: Time) -> (i32, Reason) {
        if wanted.desired > wanted.current {
            let limit = self.up_limit(wanted.current, up, now).max(wanted.current);
            let (most, reason) = if wanted.most > limit { (limit, UP_LIMIT) } else { (wanted.most, TOO_MANY) };
            if wanted.desired > most {
                return (most, reason);
            }
        } else if wanted.desired < wanted.current {
            let limit = self.down_limit(wanted.current, down, now).min(wanted.current);
            let (least, reason) = if wanted.least < limit { (limit, DOWN_LIMIT) } else { (wanted.least, TOO_FEW) };
            if wanted.desired < least {
                return (least, reason);
            }
        }
        (wanted.desired, WITHIN)
    }

    /// How many replicas there were at the beginning of a policy's period.
    fn at_start(&self, current: i32, seconds: i32, now: Time) -> i32 {
        let cutoff = now - Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let changed =
            |events: &[ScaleEvent]| events.iter().filter(|it| it.time > cutoff).map(|it| it.change).sum::<i32>();
        current - changed(&self.ups) + changed(&self.downs)
    }

    /// `calculateScaleUpLimitWithScalingRules`.
    fn up_limit(&self, current: i32, rules: &HPAScalingRules, now: Time) -> i32 {
        let policies = rules.policies.iter().flatten().map(|policy| {
            let start = self.at_start(current, policy.period_seconds, now);
            match policy.type_.as_str() {
                "Pods" => start.saturating_add(policy.value),
                _ => (f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32,
            }
        });
        match rules.select_policy.as_deref() {
            Some("Disabled") => current,
            Some("Min") => policies.min().unwrap_or(i32::MAX),
            _ => policies.max().unwrap_or(i32::MIN),
        }
    }

    /// `calculateScaleDownLimitWithBehaviors`: for scaling down the smallest change leaves the most.
    fn down_limit(&self, current: i32, rules: &HPAScalingRules, now: Time) -> i32 {
        let policies = rules.policies.iter().flatten().map(|policy| {
            let start = self.at_start(current, policy.period_seconds, now);
            match policy.type_.as_str() {
                "Pods" => start - policy.value,
                _ => (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as i32,
            }
        });
        match rules.select_policy.as_deref() {
            Some("Disabled") => current,
            Some("Min") => policies.max().unwrap_or(i32::MIN),
            _ => policies.min().unwrap_or(i32::MAX),
        }
    }

    /// `storeScaleEvent`.
    pub(super) fn scaled(
        &mut self,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        [before, after]: [i32; 2],
        now: Time,
    ) {
        let Some(behavior) = behavior else { return };
        let (events, rules) =
            if after > before { (&mut self.ups, &behavior.scale_up) } else { (&mut self.downs, &behavior.scale_down) };
        let periods =
            rules.iter().flat_map(|rules| rules.policies.iter().flatten()).map(|policy| policy.period_seconds);
        let longest = u64::try_from(periods.max().unwrap_or(0)).unwrap_or(0);
        let cutoff = now - Duration::from_secs(longest);
        for event in events.iter_mut() {
            event.outdated |= event.time < cutoff;
        }
        let event = ScaleEvent { change: (after - before).abs(), time: now, outdated: false };
        match events.iter().rposition(|event| event.outdated) {
            Some(old) => events[old] = event,
            None => events.push(event),
        }
    }
}

/// `convertDesiredReplicasWithRules`.
fn limit(wanted: Wanted) -> (i32, Reason) {
    let up_limit = wanted.current.saturating_mul(SCALE_UP_LIMIT_FACTOR).max(SCALE_UP_LIMIT_MIN);
    let (most, reason) = if wanted.most > up_limit { (up_limit, UP_LIMIT) } else { (wanted.most, TOO_MANY) };
    if wanted.desired < wanted.least {
        (wanted.least, TOO_FEW)
    } else if wanted.desired > most {
        (most, reason)
    } else {
        (wanted.desired, WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(seconds: u64) -> Time {
        Time::DEFAULT_START + Duration::from_secs(seconds)
    }

    fn behavior(up: Value, down: Value) -> HorizontalPodAutoscalerBehavior {
        serde_json::from_value(json!({ "scaleUp": up, "scaleDown": down })).expect("the behaviour is written out")
    }

    const fn wanted(current: i32, desired: i32) -> Wanted {
        Wanted { least: 1, most: 100, current, desired }
    }

    #[test]
    fn without_rules_it_goes_up_at_once_and_down_after_five_minutes() {
        let mut memory = Memory::default();
        memory.begin(3, at(0));
        let up = memory.normalise(None, wanted(3, 50), at(15));
        assert_eq!((up.replicas, up.able, up.limited), (6, READY, (true, UP_LIMIT)));
        let down = memory.normalise(None, wanted(6, 2), at(30));
        assert_eq!((down.replicas, down.able.0), (12, "ScaleDownStabilized"));
        let later = memory.normalise(None, wanted(6, 2), at(316));
        assert_eq!((later.replicas, later.able, later.limited), (2, READY, (false, WITHIN)));
        let few = memory.normalise(None, wanted(6, 0), at(700));
        assert_eq!((few.replicas, few.limited), (1, (true, TOO_FEW)));
    }

    #[test]
    fn rules_limit_how_fast() {
        let pods = |value: i32| json!([{ "type": "Pods", "value": value, "periodSeconds": 60 }]);
        let up = json!({ "stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": pods(4) });
        let down = json!({ "stabilizationWindowSeconds": 60, "selectPolicy": "Max", "policies": pods(1) });
        let rules = behavior(up, down);
        let mut memory = Memory::default();
        memory.begin(2, at(0));
        let first = memory.normalise(Some(&rules), wanted(2, 20), at(15));
        assert_eq!((first.replicas, first.limited), (6, (true, UP_LIMIT)));
        memory.scaled(Some(&rules), [2, 6], at(15));
        // Within the same minute nothing more is added.
        assert_eq!(memory.normalise(Some(&rules), wanted(6, 20), at(30)).replicas, 6);
        assert_eq!(memory.normalise(Some(&rules), wanted(6, 20), at(76)).replicas, 10);
        let down = memory.normalise(Some(&rules), wanted(10, 3), at(91));
        assert_eq!((down.replicas, down.able.0), (10, "ScaleDownStabilized"));
        let down = memory.normalise(Some(&rules), wanted(10, 3), at(160));
        assert_eq!((down.replicas, down.limited), (9, (true, DOWN_LIMIT)));
    }

    #[test]
    fn a_direction_can_be_shut() {
        let open =
            json!({ "selectPolicy": "Max", "policies": [{ "type": "Percent", "value": 100, "periodSeconds": 15 }] });
        let shut = json!({ "selectPolicy": "Disabled", "stabilizationWindowSeconds": 0, "policies": [] });
        let mut memory = Memory::default();
        memory.begin(8, at(0));
        let rules = behavior(open, shut);
        assert_eq!(memory.normalise(Some(&rules), wanted(8, 2), at(400)).replicas, 8);
        assert_eq!(memory.normalise(Some(&rules), wanted(8, 40), at(800)).replicas, 16);
    }
}
