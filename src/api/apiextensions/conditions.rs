//! Which names of a definition are accepted, and what its conditions say.
//!
//! Follows `pkg/controller/status/naming_controller.go`, `pkg/controller/establish`, `pkg/controller/apiapproval` and
//! `pkg/controller/finalizer/crd_finalizer.go`. Upstream runs these within the API server; here it does their work at the
//! moment of the write that they would see.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::machinery::time::Time;

/// A condition of a CustomResourceDefinition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `Established`, `NamesAccepted`, `Terminating`, …
    pub ty: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in a word.
    pub reason: &'static str,
    /// Why, in a sentence.
    pub message: String,
}

impl Condition {
    /// A condition.
    pub fn new(ty: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { ty, holds, reason, message: message.into() }
    }

    /// Puts the condition into a status: `SetCRDCondition`.
    pub fn set(&self, status: &mut Value, now: Time) {
        if !status["conditions"].is_array() {
            status["conditions"] = json!([]);
        }
        let holds = if self.holds { "True" } else { "False" };
        let mut new = json!({
            "type": self.ty,
            "status": holds,
            "lastTransitionTime": now.to_rfc3339(),
            "reason": self.reason,
            "message": self.message,
        });
        let Some(conditions) = status["conditions"].as_array_mut() else { return };
        match conditions.iter_mut().find(|known| known["type"] == self.ty) {
            Some(known) => {
                if known["status"] == holds {
                    new["lastTransitionTime"] = known["lastTransitionTime"].clone();
                }
                *known = new;
            }
            None => conditions.push(new),
        }
    }
}

/// Whether a condition of a status holds.
#[must_use]
pub fn is_true(status: &Value, ty: &str) -> bool {
    status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == ty && condition["status"] == "True")
}

/// Names that definitions of a group have taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Taken {
    /// Adds the names that a definition was given.
    pub fn add(&mut self, accepted: &Value) {
        let text = |name: &str| accepted[name].as_str().unwrap_or("").to_owned();
        let short = accepted["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        self.resources.extend([text("plural"), text("singular")]);
        self.resources.extend(short.map(str::to_owned));
        self.kinds.extend([text("kind"), text("listKind")]);
    }
}

/// What becomes of the status of a definition that asks for names: `calculateNamesAndConditions`, and the establishing
/// controller after it. Nothing when nothing is to be changed.
#[must_use]
pub fn accept_names(spec: &Value, status: &Value, taken: &Taken, now: Time) -> Option<Value> {
    let (wanted, held) = (&spec["names"], &status["acceptedNames"]);
    if wanted == held && is_true(status, "Established") && is_true(status, "NamesAccepted") {
        return None;
    }
    let mut accepted = if held.is_object() { held.clone() } else { json!({ "plural": "", "kind": "" }) };
    let mut conflict = None;
    for (name, reason, names) in [
        ("plural", "PluralConflict", &taken.resources),
        ("singular", "SingularConflict", &taken.resources),
        ("shortNames", "ShortNamesConflict", &taken.resources),
        ("kind", "KindConflict", &taken.kinds),
        ("listKind", "ListKindConflict", &taken.kinds),
    ] {
        let in_use = conflicts(&wanted[name], held, name, names);
        match in_use.as_slice() {
            [] if wanted[name].is_null() => drop(accepted.as_object_mut().map(|names| names.shift_remove(name))),
            [] => accepted[name] = wanted[name].clone(),
            [one] => conflict = Some((reason, one.clone())),
            several => conflict = Some((reason, format!("[{}]", several.join(", ")))),
        }
    }
    match &wanted["categories"] {
        Value::Null => drop(accepted.as_object_mut().map(|names| names.shift_remove("categories"))),
        categories => accepted["categories"] = categories.clone(),
    }
    let mut new = status.clone();
    new["acceptedNames"] = accepted;
    match conflict {
        Some((reason, message)) => {
            Condition::new("NamesAccepted", false, reason, message).set(&mut new, now);
            if !is_true(status, "Established") {
                Condition::new("Established", false, "NotAccepted", "not all names are accepted").set(&mut new, now);
            }
        }
        None => {
            Condition::new("NamesAccepted", true, "NoConflicts", "no conflicts found").set(&mut new, now);
            if !is_true(status, "Established") {
                let why = "the initial names have been accepted";
                Condition::new("Established", true, "InitialNamesAccepted", why).set(&mut new, now);
            }
        }
    }
    (new != *status).then_some(new)
}

/// What is wrong with one name, or with several short ones: `equalToAcceptedOrFresh`.
fn conflicts(wanted: &Value, held: &Value, name: &str, taken: &BTreeSet<String>) -> Vec<String> {
    let in_use = |wanted: &str| taken.contains(wanted).then(|| format!("{wanted:?} is already in use"));
    if wanted == &held[name] {
        return Vec::new();
    }
    let Some(short) = wanted.as_array() else {
        return wanted.as_str().and_then(in_use).into_iter().collect();
    };
    let known = held["shortNames"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_own = |short: &&Value| known.contains(short) || held["plural"] == **short || held["singular"] == **short;
    short.iter().filter(|short| !is_own(short)).filter_map(|short| short.as_str().and_then(in_use)).collect()
}

/// The annotation that a definition in a group of Kubernetes itself must have: `KubeAPIApprovedAnnotation`.
pub(super) const APPROVED: &str = "api-approved.kubernetes.io";

/// Whether a group belongs to the community.
pub(super) fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|own| group.strip_suffix(own).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

/// What the annotation says of a definition: `GetAPIApprovalState`. Nothing for groups that need none.
#[must_use]
pub fn approval(group: &str, annotation: Option<&str>) -> Option<Condition> {
    const TYPE: &str = "KubernetesAPIApprovalPolicyConformant";
    const SEE: &str = "see https://github.com/kubernetes/enhancements/pull/1111";
    if !is_protected(group) {
        return None;
    }
    let annotation = annotation.filter(|annotation| !annotation.is_empty());
    Some(match annotation {
        None => {
            let why = format!("protected groups must have approval annotation {APPROVED:?}, {SEE}");
            Condition::new(TYPE, false, "MissingAnnotation", why)
        }
        Some(text) if text.starts_with("unapproved") => {
            Condition::new(TYPE, false, "UnapprovedAnnotation", format!("not approved: {text:?}"))
        }
        Some(text) if text.starts_with("http://") || text.starts_with("https://") => {
            Condition::new(TYPE, true, "ApprovedAnnotation", format!("approved in {text}"))
        }
        Some(_) => {
            let why = format!(
                "protected groups must have approval annotation {APPROVED:?} with either a URL or a reason starting with \
                 \"unapproved\", {SEE}"
            );
            Condition::new(TYPE, false, "InvalidAnnotation", why)
        }
    })
}
