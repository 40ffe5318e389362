//! Completion indexes: which pod works at which number, and sets of numbers as `status.completedIndexes` writes them.
//!
//! Follows `kubernetes/pkg/controller/job/indexed_job_utils.go`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod, PodTemplateSpec};

/// `batch.JobCompletionIndexAnnotation`, which is the label too.
pub(super) const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// `batch.JobIndexFailureCountAnnotation`: how many pods of the index failed before.
pub(super) const FAILURE_COUNT: &str = "batch.kubernetes.io/job-index-failure-count";
/// `batch.JobIndexIgnoredFailureCountAnnotation`: how many failed without being counted.
pub(super) const IGNORED_FAILURE_COUNT: &str = "batch.kubernetes.io/job-index-ignored-failure-count";
/// `completionIndexEnvName`.
const COMPLETION_INDEX_ENV: &str = "JOB_COMPLETION_INDEX";
/// `names.MaxGeneratedNameLength`.
const GENERATED_PREFIX_BYTES_MAX: usize = 58;

fn annotation<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// The number of a pod; `None` when it has none that makes sense.
pub(super) fn completion_index(pod: &Pod) -> Option<i32> {
    annotation(pod, COMPLETION_INDEX)?.parse().ok().filter(|index| *index >= 0)
}

/// The numbers of some pods.
pub(super) fn indexes_of<'a>(pods: impl IntoIterator<Item = &'a Arc<Pod>>) -> BTreeSet<i32> {
    pods.into_iter().filter_map(|pod| completion_index(pod)).collect()
}

fn count(pod: &Pod, name: &str) -> i32 {
    annotation(pod, name).and_then(|count| count.parse().ok()).filter(|count| *count >= 0).unwrap_or(0)
}

/// How many pods of the index failed, and were counted, before this one.
pub(super) fn failure_count(pod: &Pod) -> i32 {
    count(pod, FAILURE_COUNT)
}

/// How many pods of the index failed without being counted before this one.
pub(super) fn ignored_failure_count(pod: &Pod) -> i32 {
    count(pod, IGNORED_FAILURE_COUNT)
}

/// How many pods of the index failed before this one.
pub(super) fn absolute_failure_count(pod: &Pod) -> i32 {
    failure_count(pod).saturating_add(ignored_failure_count(pod))
}

/// `podGenerateNameWithIndex`: the name's end is cut rather than the number.
pub(super) fn generate_name(job: &str, index: i32) -> String {
    let end = format!("-{index}-");
    let room = GENERATED_PREFIX_BYTES_MAX.saturating_sub(end.len());
    let name = if job.len() > room && job.is_char_boundary(room) { &job[..room] } else { job };
    format!("{name}{end}")
}

/// Tells every container of the template the number of its pod, unless it says so itself.
pub(super) fn add_completion_index_variable(template: &mut PodTemplateSpec) {
    let Some(spec) = &mut template.spec else { return };
    spec.init_containers.iter_mut().flatten().chain(&mut spec.containers).for_each(add_variable);
}

fn add_variable(container: &mut Container) {
    let variables = container.env.get_or_insert_default();
    if variables.iter().any(|variable| variable.name == COMPLETION_INDEX_ENV) {
        return;
    }
    let field_ref =
        ObjectFieldSelector { field_path: format!("metadata.labels['{COMPLETION_INDEX}']"), api_version: None };
    variables.push(EnvVar {
        name: COMPLETION_INDEX_ENV.to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() }),
        ..EnvVar::default()
    });
}

/// A set of numbers as intervals in increasing order, which do not touch: `orderedIntervals`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Intervals(Vec<(i32, i32)>);

impl Intervals {
    /// Reads `1,3-5,7`, up to `completions`; what makes no sense is passed over.
    pub(super) fn parse(text: &str, completions: i32) -> Self {
        let mut result: Vec<(i32, i32)> = Vec::new();
        for interval in text.split(',') {
            let (first, last) = interval.split_once('-').unwrap_or((interval, interval));
            let Ok(first) = first.parse::<i32>() else { continue };
            if first >= completions {
                break;
            }
            let Ok(last) = last.parse::<i32>() else { continue };
            let last = last.min(completions - 1);
            match result.last_mut() {
                Some(previous) if previous.1 == first - 1 => previous.1 = last,
                _ => result.push((first, last)),
            }
        }
        Self(result)
    }

    /// With these numbers, which come in increasing order.
    pub(super) fn with(&self, indexes: impl IntoIterator<Item = i32>) -> Self {
        self.merge(&Self(indexes.into_iter().map(|index| (index, index)).collect()))
    }

    /// The numbers of both.
    pub(super) fn merge(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut result: Vec<(i32, i32)> = Vec::new();
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.0 < b.0 => left.next(),
                (_, Some(_)) => right.next(),
                (Some(_), None) => left.next(),
                (None, None) => return Self(result),
            };
            let Some(&(first, last)) = next else { return Self(result) };
            match result.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
                _ => result.push((first, last)),
            }
        }
    }

    /// How many numbers there are.
    pub(super) fn total(&self) -> i32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a number is among them.
    pub(super) fn has(&self, index: i32) -> bool {
        let place = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(place).is_some_and(|(first, _)| *first <= index)
    }

    /// How many numbers both have.
    pub(super) fn common(&self, other: &Self) -> i32 {
        let overlap = |a: &(i32, i32), b: &(i32, i32)| (a.1.min(b.1) - a.0.max(b.0) + 1).max(0);
        self.0.iter().map(|a| other.0.iter().map(|b| overlap(a, b)).sum::<i32>()).sum()
    }

    /// The first `count` numbers below `completions` that are not among them.
    pub(super) fn first_missing(&self, count: usize, completions: i32) -> Vec<i32> {
        let mut missing = Vec::new();
        let mut candidate = 0;
        let ends = self.0.iter().copied().chain([(completions, completions)]);
        for (first, last) in ends {
            while candidate < first.min(completions) && missing.len() < count {
                missing.push(candidate);
                candidate += 1;
            }
            candidate = candidate.max(last + 1);
        }
        missing
    }
}

impl fmt::Display for Intervals {
    /// `0,2,3,5-7`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match last - first {
                0 => write!(formatter, "{comma}{first}")?,
                1 => write!(formatter, "{comma}{first},{last}")?,
                _ => write!(formatter, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_and_written() {
        for (text, completions, expected) in [
            ("", 5, ""),
            ("0-2,4", 5, "0-2,4"),
            ("0,1", 5, "0,1"),
            ("0,1,2", 5, "0-2"),
            ("1-9", 5, "1-4"),
            ("x,3,7", 5, "3"),
        ] {
            assert_eq!(Intervals::parse(text, completions).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn intervals_are_sets() {
        let some = Intervals::parse("0-2,6", 9);
        assert_eq!(some.with([3, 5, 8]).to_string(), "0-3,5,6,8");
        assert_eq!(some.with([]).to_string(), "0-2,6");
        assert_eq!(some.total(), 4);
        assert!(some.has(1) && some.has(6) && !some.has(3) && !some.has(7));
        assert_eq!(some.common(&Intervals::parse("2-6", 9)), 2);
        assert_eq!(some.first_missing(3, 9), [3, 4, 5]);
        assert_eq!(some.first_missing(9, 9), [3, 4, 5, 7, 8]);
        assert_eq!(some.first_missing(9, 2), [] as [i32; 0]);
        assert_eq!(Intervals::default().first_missing(2, 9), [0, 1]);
    }

    #[test]
    fn names_keep_the_number() {
        assert_eq!(generate_name("j", 12), "j-12-");
        assert_eq!(generate_name(&"j".repeat(60), 7).len(), 58);
    }
}
