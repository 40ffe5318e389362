//! Sorting and ordered maps, at a small price in what the page downloads.
//!
//! The standard library's sort is unrolled anew for each type and each comparison, about 5 kB of WebAssembly a time,
//! and a `BTreeMap` that is collected brings one along. Here one sort of positions serves all.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Sorts slices; equal items keep their order.
pub trait Order<T> {
    /// Sorts by the items' own order.
    fn order(&mut self)
    where
        T: Ord;

    /// Sorts by a comparison.
    fn order_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering);

    /// Sorts by a key.
    fn order_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K);
}

impl<T> Order<T> for [T] {
    fn order(&mut self)
    where
        T: Ord,
    {
        self.order_by(T::cmp);
    }

    fn order_by(&mut self, mut compare: impl FnMut(&T, &T) -> Ordering) {
        let order = {
            let items = &*self;
            sorted_positions(items.len(), &mut |left, right| compare(&items[left], &items[right]))
        };
        arrange(self, order);
    }

    fn order_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K) {
        self.order_by(|left, right| key(left).cmp(&key(right)));
    }
}

/// The positions of `len` items in sorted order: a merge sort from below. The standard library's panics when a
/// comparison is no total order, and some of upstream's are none (the ranks of pods to delete, where pods of about the
/// same age are told apart by their uids, and pods of the very same age by other things).
#[inline(never)]
fn sorted_positions(len: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..len).collect();
    let mut merged = Vec::with_capacity(len);
    let mut run = 1;
    while run < len {
        merged.clear();
        for pair in positions.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let (Some(&first), Some(&second)) = (left.first(), right.first()) {
                // Equal items keep their order.
                if compare(second, first) == Ordering::Less {
                    merged.push(second);
                    right = &right[1..];
                } else {
                    merged.push(first);
                    left = &left[1..];
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut positions, &mut merged);
        run *= 2;
    }
    positions
}

/// Puts at each place the item that was at the position which `order` has there.
fn arrange<T>(items: &mut [T], mut order: Vec<usize>) {
    for start in 0..order.len() {
        let mut place = start;
        // Follows the cycle that begins here; a place that is done points to itself.
        loop {
            let from = std::mem::replace(&mut order[place], place);
            if from == start {
                break;
            }
            items.swap(place, from);
            place = from;
        }
    }
}

/// The entries as an ordered map; of equal keys the last one wins.
pub fn map_of<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    for (key, value) in entries {
        map.insert(key, value);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::random::Random;

    #[test]
    fn it_sorts_as_the_standard_library_does() {
        let mut random = Random::new(3);
        for len in 0..60 {
            let items: Vec<(u64, usize)> = (0..len).map(|index| (random.below(10), index)).collect();
            let (mut ours, mut theirs) = (items.clone(), items.clone());
            ours.order_by_key(|item| item.0);
            theirs.sort_by_key(|item| item.0);
            assert_eq!(ours, theirs, "stable, by a key");
            ours.order_by(|left, right| right.cmp(left));
            theirs.sort_by(|left, right| right.cmp(left));
            assert_eq!(ours, theirs, "by a comparison");
            ours.order();
            assert_eq!(
                ours,
                {
                    theirs.sort();
                    theirs
                },
                "by themselves"
            );
        }
    }
}
