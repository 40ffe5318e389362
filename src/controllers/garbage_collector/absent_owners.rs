//! Owners that were looked for and not found, so that a thousand dependents ask for them once.
//!
//! Follows `kubernetes/pkg/controller/garbagecollector/uid_cache.go`.

use crate::machinery::persistent::OrdMap;

use super::graph::Identity;

/// How many are remembered; those that were asked for least recently are forgotten first.
const CAPACITY: usize = 500;

/// The identities under which nothing is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct AbsentOwners {
    last_use: OrdMap<Identity, u64>,
    by_use: OrdMap<u64, Identity>,
    uses: u64,
}

impl AbsentOwners {
    pub fn add(&mut self, identity: Identity) {
        self.uses += 1;
        if let Some(before) = self.last_use.insert(identity.clone(), self.uses) {
            self.by_use.remove(&before);
        }
        self.by_use.insert(self.uses, identity);
        if self.last_use.len() > CAPACITY
            && let Some((_, identity)) = self.by_use.pop_min()
        {
            self.last_use.remove(&identity);
        }
    }

    /// Whether nothing is stored there, as far as is known. Asking counts as a use.
    pub fn has(&mut self, identity: &Identity) -> bool {
        let known = self.last_use.contains_key(identity);
        if known {
            self.add(identity.clone());
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Name;

    #[test]
    fn what_was_not_asked_for_is_forgotten_first() {
        let identity = |number: usize| Identity {
            kind: Name::from("Pod"),
            api_version: Name::from("v1"),
            namespace: Name::from("default"),
            name: Name::from("x"),
            uid: Name::from(number.to_string()),
        };
        let mut absent = AbsentOwners::default();
        for number in 0..CAPACITY {
            absent.add(identity(number));
        }
        assert!(absent.has(&identity(0)));
        absent.add(identity(CAPACITY));
        assert!(absent.has(&identity(0)), "it was asked for");
        assert!(!absent.has(&identity(1)), "it was the oldest");
        assert_eq!((absent.last_use.len(), absent.by_use.len()), (CAPACITY, CAPACITY));
    }
}
