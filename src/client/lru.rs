//! A memory that forgets what was not asked for longest, as `k8s.io/utils/lru`.

use crate::machinery::persistent::{OrdMap, OrdSet};
use crate::machinery::time::Time;

/// What stands for a text where only equality counts: FNV-1a with 64 bits. The names of events are long, and each
/// component remembers thousands of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) fn of(text: &str) -> Self {
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }
}

#[derive(Clone, Debug)]
struct Entry<V> {
    value: V,
    used: Time,
}

/// At most so many values by name.
#[derive(Clone, Debug)]
pub(super) struct Lru<V> {
    entries: OrdMap<Digest, Entry<V>>,
    /// The names by when they were used last; the first goes first.
    ages: OrdSet<(Time, Digest)>,
    entries_max: usize,
}

impl<V: Clone> Lru<V> {
    pub(super) fn new(entries_max: usize) -> Self {
        assert!(entries_max > 0, "a memory of nothing is a bug");
        Self { entries: OrdMap::new(), ages: OrdSet::new(), entries_max }
    }

    /// The value of a name, which counts as used now.
    pub(super) fn get_mut(&mut self, name: &str, now: Time) -> Option<&mut V> {
        let name = Digest::of(name);
        let entry = self.entries.get_mut(&name)?;
        if entry.used != now {
            self.ages.remove(&(entry.used, name));
            self.ages.insert((now, name));
            entry.used = now;
        }
        Some(&mut entry.value)
    }

    /// Remembers a value, and forgets another when there are too many.
    pub(super) fn insert(&mut self, name: &str, value: V, now: Time) {
        let name = Digest::of(name);
        if let Some(old) = self.entries.insert(name, Entry { value, used: now }) {
            self.ages.remove(&(old.used, name));
        } else if self.entries.len() > self.entries_max
            && let Some((_, oldest)) = self.ages.pop_min()
        {
            self.entries.remove(&oldest);
        }
        self.ages.insert((now, name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut memory = Lru::new(2);
        let at = Time::from_micros;
        memory.insert("a", 1, at(1));
        memory.insert("b", 2, at(2));
        assert_eq!(memory.get_mut("a", at(3)), Some(&mut 1));
        memory.insert("c", 3, at(4));
        assert_eq!(memory.get_mut("b", at(5)), None, "it was not used since 2");
        memory.insert("a", 4, at(6));
        let values = [memory.get_mut("a", at(7)).copied(), memory.get_mut("c", at(7)).copied()];
        assert_eq!(values, [Some(4), Some(3)], "a name is there once");
    }
}
