//! Which nodes a pod may or would like to run on: node selectors, compiled once a pod.
//!
//! Follows `k8s.io/component-helpers/scheduling/corev1/nodeaffinity`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PreferredSchedulingTerm,
};

use super::labels::{Operator, Requirement, Selector};

type Name = Arc<str>;

/// The one field that a term may ask for.
const OBJECT_NAME_FIELD: &str = "metadata.name";

#[derive(Clone, Debug)]
struct FieldRequirement {
    is_in: bool,
    value: Name,
}

/// One term of a node selector: all its expressions must hold.
#[derive(Clone, Debug)]
struct Term {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

impl Term {
    /// `None` for a term that selects nothing: an empty one, or one that cannot be read.
    fn new(term: &NodeSelectorTerm) -> Option<Self> {
        let expressions = term.match_expressions.as_deref().unwrap_or_default();
        let fields = term.match_fields.as_deref().unwrap_or_default();
        if expressions.is_empty() && fields.is_empty() {
            return None;
        }
        Some(Self {
            labels: expressions.iter().map(requirement).collect::<Option<_>>()?,
            fields: fields.iter().map(field_requirement).collect::<Option<_>>()?,
        })
    }

    fn matches(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|requirement| requirement.matches(labels))
            && self.fields.iter().all(|field| (&*field.value == name) == field.is_in)
    }
}

fn requirement(expression: &NodeSelectorRequirement) -> Option<Requirement> {
    let operator = match expression.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan,
        "Lt" => Operator::LessThan,
        _ => return None,
    };
    Requirement::new(&expression.key, operator, expression.values.clone().unwrap_or_default()).ok()
}

fn field_requirement(field: &NodeSelectorRequirement) -> Option<FieldRequirement> {
    let is_in = match field.operator.as_str() {
        "In" => true,
        "NotIn" => false,
        _ => return None,
    };
    let [value] = field.values.as_deref().unwrap_or_default() else { return None };
    (field.key == OBJECT_NAME_FIELD).then(|| FieldRequirement { is_in, value: value.as_str().into() })
}

/// A node selector by itself, as volumes have one: its terms are ORed.
#[derive(Clone, Debug)]
pub struct NodeTerms(Vec<Option<Term>>);

impl NodeTerms {
    /// Compiles a selector.
    #[must_use]
    pub fn new(selector: &NodeSelector) -> Self {
        Self(selector.node_selector_terms.iter().map(Term::new).collect())
    }

    /// Whether a node is one of those.
    #[must_use]
    pub fn matches(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().flatten().any(|term| term.matches(name, labels))
    }
}

/// Which nodes a pod may run on: its `nodeSelector` and its required node affinity.
#[derive(Clone, Debug)]
pub struct RequiredNodeAffinity {
    selector: Option<Selector>,
    /// `None` when there is no required node affinity; the terms are ORed, and none at all match nothing.
    terms: Option<Vec<Option<Term>>>,
    /// See [`Self::node_names`].
    names: NodeNames,
}

/// The nodes that a required node affinity names by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeNames {
    /// It does not: all nodes are to be looked at.
    All,
    /// Only these can match.
    Only(BTreeSet<Name>),
    /// Its terms contradict each other: no node can match.
    Conflict,
}

impl RequiredNodeAffinity {
    /// What a pod requires of its node; `None` when it requires nothing.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Box<Self>> {
        let spec = pod.spec.as_ref()?;
        let required = spec
            .affinity
            .as_ref()
            .and_then(|affinity| affinity.node_affinity.as_ref())
            .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
        if required.is_none() && spec.node_selector.is_none() {
            return None;
        }
        let terms = required.map(|required| &required.node_selector_terms);
        Some(Box::new(Self {
            selector: spec.node_selector.as_ref().filter(|map| !map.is_empty()).map(Selector::from_map),
            terms: terms.map(|terms| terms.iter().map(Term::new).collect()),
            names: terms.map_or(NodeNames::All, |terms| node_names(terms)),
        }))
    }

    /// Whether the node with this name and these labels is one of those.
    #[must_use]
    pub fn matches(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        if self.selector.as_ref().is_some_and(|selector| !selector.matches(labels)) {
            return false;
        }
        self.terms.as_ref().is_none_or(|terms| terms.iter().flatten().any(|term| term.matches(name, labels)))
    }

    /// The nodes that can match at all, when every term asks for names.
    #[must_use]
    pub const fn node_names(&self) -> &NodeNames {
        &self.names
    }
}

fn node_names(terms: &[NodeSelectorTerm]) -> NodeNames {
    let mut names = BTreeSet::new();
    for term in terms {
        let mut of_term: Option<BTreeSet<Name>> = None;
        for field in term.match_fields.iter().flatten() {
            if field.key != OBJECT_NAME_FIELD || field.operator != "In" {
                continue;
            }
            let values = field.values.iter().flatten().map(|value| Name::from(value.as_str()));
            of_term = Some(match of_term {
                None => values.collect(),
                Some(known) => values.filter(|value| known.contains(value)).collect(),
            });
        }
        match of_term {
            // One term that asks for no name lets every node be eligible, since terms are ORed.
            None => return NodeNames::All,
            Some(of_term) => names.extend(of_term),
        }
    }
    match (terms.is_empty(), names.is_empty()) {
        (true, _) => NodeNames::All,
        (false, true) => NodeNames::Conflict,
        (false, false) => NodeNames::Only(names),
    }
}

/// Which nodes a pod would like to run on, and how much.
#[derive(Clone, Debug)]
pub struct PreferredNodeAffinity(Vec<(Option<Term>, i64)>);

impl PreferredNodeAffinity {
    /// What a pod prefers; `None` when it prefers nothing.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Box<Self>> {
        let preferred = pod
            .spec
            .as_ref()?
            .affinity
            .as_ref()?
            .node_affinity
            .as_ref()?
            .preferred_during_scheduling_ignored_during_execution
            .as_ref()
            .filter(|terms| !terms.is_empty())?;
        Some(Box::new(Self::new(preferred)))
    }

    /// Compiles wishes by themselves.
    #[must_use]
    pub fn new(terms: &[PreferredSchedulingTerm]) -> Self {
        let weighted = |wish: &PreferredSchedulingTerm| (Term::new(&wish.preference), i64::from(wish.weight));
        Self(terms.iter().map(weighted).collect())
    }

    /// The weights of the terms that the node with this name and these labels satisfies, added up.
    #[must_use]
    pub fn score(&self, name: &str, labels: &BTreeMap<String, String>) -> i64 {
        let holds = |term: &Option<Term>| term.as_ref().is_some_and(|term| term.matches(name, labels));
        let satisfied = self.0.iter().filter(|(term, _)| holds(term));
        satisfied.map(|(_, weight)| weight).sum()
    }
}
