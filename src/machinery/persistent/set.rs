//! The ordered set.

use std::borrow::Borrow;
use std::fmt;
use std::ops::RangeBounds;

use super::iter::Keys;
use super::map::OrdMap;

/// An ordered set. A copy is cheap and shares all it can.
pub struct OrdSet<K>(OrdMap<K, ()>);

impl<K> OrdSet<K> {
    /// A set without members.
    #[must_use]
    pub const fn new() -> Self {
        Self(OrdMap::new())
    }

    /// How many members there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members in order.
    #[must_use]
    pub fn iter(&self) -> Keys<'_, K, ()> {
        self.0.keys()
    }

    /// The smallest member.
    #[must_use]
    pub fn get_min(&self) -> Option<&K> {
        self.0.get_min().map(|(key, ())| key)
    }

    /// The greatest member.
    #[must_use]
    pub fn get_max(&self) -> Option<&K> {
        self.0.get_max().map(|(key, ())| key)
    }

    /// The member that equals a value.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&K>
    where
        K: Borrow<Q>,
    {
        self.0.get_key_value(key).map(|(key, ())| key)
    }

    /// Whether it is a member.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// The members in a range, in order.
    pub fn range<Q: Ord + ?Sized>(&self, range: impl RangeBounds<Q>) -> Keys<'_, K, ()>
    where
        K: Borrow<Q>,
    {
        Keys(self.0.range(range))
    }
}

impl<K: Ord + Clone> OrdSet<K> {
    /// Adds a member. Says whether it was none before.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Takes a member out. Says whether it was one.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove(key).is_some()
    }

    /// Takes out the smallest member.
    pub fn pop_min(&mut self) -> Option<K> {
        self.0.pop_min().map(|(key, ())| key)
    }
}

impl<K> Clone for OrdSet<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Default for OrdSet<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PartialEq> PartialEq for OrdSet<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Eq> Eq for OrdSet<K> {}

impl<K: fmt::Debug> fmt::Debug for OrdSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone> FromIterator<K> for OrdSet<K> {
    fn from_iter<T: IntoIterator<Item = K>>(members: T) -> Self {
        Self(members.into_iter().map(|member| (member, ())).collect())
    }
}

impl<K: Ord + Clone> Extend<K> for OrdSet<K> {
    fn extend<T: IntoIterator<Item = K>>(&mut self, members: T) {
        self.0.extend(members.into_iter().map(|member| (member, ())));
    }
}

impl<'a, K> IntoIterator for &'a OrdSet<K> {
    type Item = &'a K;
    type IntoIter = Keys<'a, K, ()>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
