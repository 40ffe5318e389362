//! How an apply is refused that would take fields from their owners.
//!
//! Follows `managedfields/internal/conflict.go`.

use super::element::{Element, path};
use super::managed::Manager;
use super::set::Set;
use crate::machinery::quote::quote;
use crate::machinery::status::{Cause, Details, Reason, Status};

/// `metav1.CauseTypeFieldManagerConflict`.
const CAUSE: &str = "FieldManagerConflict";

/// One field that another owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who owns it.
    pub manager: Manager,
    /// Which field.
    pub path: Vec<Element>,
}

/// All of an apply's conflicts, by owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl Conflicts {
    /// Adds the fields that an owner would lose.
    pub(super) fn add(&mut self, manager: &Manager, lost: &Set) {
        let conflicts = lost.paths().into_iter().map(|path| Conflict { manager: manager.clone(), path });
        self.0.extend(conflicts);
    }

    /// Those that a set does not allow.
    #[must_use]
    pub fn without(&self, allowed: &Set) -> Self {
        Self(self.0.iter().filter(|conflict| !allowed.has(&conflict.path)).cloned().collect())
    }

    fn message(&self) -> String {
        if let [one] = self.0.as_slice() {
            return format!(
                "Apply failed with 1 conflict: conflict with {}: {}",
                printed(&one.manager),
                path(&one.path)
            );
        }
        let mut lines = Vec::new();
        for (index, conflict) in self.0.iter().enumerate() {
            if index == 0 || self.0[index - 1].manager != conflict.manager {
                lines.push(format!("conflicts with {}:", printed(&conflict.manager)));
            }
            lines.push(format!("- {}", path(&conflict.path)));
        }
        format!("Apply failed with {} conflicts: {}", self.0.len(), lines.join("\n"))
    }
}

impl From<Conflicts> for Status {
    fn from(conflicts: Conflicts) -> Self {
        let cause = |conflict: &Conflict| Cause {
            reason: CAUSE.to_owned(),
            message: format!("conflict with {}", printed(&conflict.manager)),
            field: path(&conflict.path),
        };
        let causes = conflicts.0.iter().map(cause).collect();
        Self::with_details(Reason::Conflict, conflicts.message(), Details { causes, ..Details::default() })
    }
}

fn printed(manager: &Manager) -> String {
    let mut text = quote(&manager.name);
    if !manager.subresource.is_empty() {
        text = format!("{text} with subresource {}", quote(&manager.subresource));
    }
    if manager.applies() { text } else { format!("{text} using {}", manager.api_version) }
}
