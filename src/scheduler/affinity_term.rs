//! Terms of pod affinity and anti-affinity, compiled once a pod.
//!
//! Follows `pkg/scheduler/framework/types.go` (`AffinityTerm`, `WeightedAffinityTerm`).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm, WeightedPodAffinityTerm};

use crate::api::{Name, Resource};
use crate::machinery::labels::Selector;

use super::listers::Listers;
use super::pod_info::PodInfo;

/// Which pods a term means, and within what.
#[derive(Clone, Debug)]
pub struct AffinityTerm {
    /// The namespaces that are named.
    namespaces: BTreeSet<Name>,
    /// The namespaces that are selected by their labels.
    namespace_selector: Selector,
    /// The pods.
    selector: Selector,
    /// The node label whose value two pods must, or must not, share.
    pub topology_key: Name,
}

impl AffinityTerm {
    fn new(pod: &Pod, term: &PodAffinityTerm) -> Result<Self, String> {
        let mut namespaces: BTreeSet<Name> =
            term.namespaces.iter().flatten().map(|name| Name::from(name.as_str())).collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(pod.namespace().into());
        }
        Ok(Self {
            namespaces,
            namespace_selector: Selector::from_label_selector(term.namespace_selector.as_ref())?,
            selector: Selector::from_label_selector(term.label_selector.as_ref())?,
            topology_key: term.topology_key.as_str().into(),
        })
    }

    /// Whether the term means `pod`, whose namespace has these labels.
    #[must_use]
    pub fn matches(&self, pod: &PodInfo, namespace_labels: Option<&BTreeMap<String, String>>) -> bool {
        self.matches_namespace(&pod.key.namespace, namespace_labels) && self.selector.matches(&*pod.labels)
    }

    /// Whether the term means pods of a namespace that has these labels.
    #[must_use]
    pub fn matches_namespace(&self, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.namespaces.contains(namespace)
            || (!self.namespace_selector.matches_nothing() && self.namespace_selector.matches(&labels))
    }

    /// Whether the term means pods with these labels, wherever they are.
    #[must_use]
    pub fn matches_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.matches(labels)
    }

    /// The term with the namespaces that its selector means now named one by one, as PreFilter and PreScore see it.
    #[must_use]
    pub fn with_namespaces_resolved(&self, listers: &Listers) -> Self {
        let mut resolved = self.clone();
        if self.namespace_selector.matches_nothing() || self.namespace_selector.is_empty() {
            return resolved;
        }
        let selected = listers.namespaces.iter().filter(|(_, labels)| self.namespace_selector.matches(&***labels));
        resolved.namespaces.extend(selected.map(|(name, _)| name.clone()));
        resolved.namespace_selector = Selector::nothing();
        resolved
    }
}

/// A term that is a wish: how much it weighs, 1 to 100.
#[derive(Clone, Debug)]
pub struct WeightedAffinityTerm {
    /// The term.
    pub term: AffinityTerm,
    /// Its weight.
    pub weight: i64,
}

/// All terms of a pod.
#[derive(Clone, Debug, Default)]
pub struct AffinityTerms {
    /// Pods that must be there.
    pub required_affinity: Vec<AffinityTerm>,
    /// Pods that must not be there.
    pub required_anti_affinity: Vec<AffinityTerm>,
    /// Pods that should be there.
    pub preferred_affinity: Vec<WeightedAffinityTerm>,
    /// Pods that should not be there.
    pub preferred_anti_affinity: Vec<WeightedAffinityTerm>,
}

impl AffinityTerms {
    /// The terms of a pod; `None` when it has none. Terms that cannot be read are left out: validation refused them.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Box<Self>> {
        let affinity = pod.spec.as_ref()?.affinity.as_ref()?;
        let required = |terms: Option<&Vec<PodAffinityTerm>>| {
            terms.into_iter().flatten().filter_map(|term| AffinityTerm::new(pod, term).ok()).collect::<Vec<_>>()
        };
        let preferred = |terms: Option<&Vec<WeightedPodAffinityTerm>>| {
            let weighted = |wish: &WeightedPodAffinityTerm| {
                let term = AffinityTerm::new(pod, &wish.pod_affinity_term).ok()?;
                Some(WeightedAffinityTerm { term, weight: wish.weight.into() })
            };
            terms.into_iter().flatten().filter_map(weighted).collect::<Vec<_>>()
        };
        let together = affinity.pod_affinity.as_ref();
        let apart = affinity.pod_anti_affinity.as_ref();
        let terms = Self {
            required_affinity: required(
                together.and_then(|terms| terms.required_during_scheduling_ignored_during_execution.as_ref()),
            ),
            required_anti_affinity: required(
                apart.and_then(|terms| terms.required_during_scheduling_ignored_during_execution.as_ref()),
            ),
            preferred_affinity: preferred(
                together.and_then(|terms| terms.preferred_during_scheduling_ignored_during_execution.as_ref()),
            ),
            preferred_anti_affinity: preferred(
                apart.and_then(|terms| terms.preferred_during_scheduling_ignored_during_execution.as_ref()),
            ),
        };
        (!terms.is_empty()).then(|| Box::new(terms))
    }

    /// Whether there is no term at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.required_affinity.is_empty()
            && self.required_anti_affinity.is_empty()
            && self.preferred_affinity.is_empty()
            && self.preferred_anti_affinity.is_empty()
    }

    /// The terms with their namespace selectors resolved.
    #[must_use]
    pub fn with_namespaces_resolved(&self, listers: &Listers) -> Self {
        let required = |terms: &[AffinityTerm]| {
            terms.iter().map(|term| term.with_namespaces_resolved(listers)).collect::<Vec<_>>()
        };
        let preferred = |terms: &[WeightedAffinityTerm]| {
            let resolve = |wish: &WeightedAffinityTerm| WeightedAffinityTerm {
                term: wish.term.with_namespaces_resolved(listers),
                weight: wish.weight,
            };
            terms.iter().map(resolve).collect::<Vec<_>>()
        };
        Self {
            required_affinity: required(&self.required_affinity),
            required_anti_affinity: required(&self.required_anti_affinity),
            preferred_affinity: preferred(&self.preferred_affinity),
            preferred_anti_affinity: preferred(&self.preferred_anti_affinity),
        }
    }
}
