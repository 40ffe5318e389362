//! Walks through the tree in the order of keys.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Bound;

use super::node::{LEFT, Link, Node, RIGHT};

/// The entries of a map, or of a part of it, in order. Can be walked from both ends.
#[derive(Debug)]
pub struct Iter<'a, K, V> {
    /// For each end, the entries that are still to come from there, the next one last; the subtree behind each of them
    /// has not been looked at.
    stacks: [Vec<&'a Node<K, V>>; 2],
    /// The last entry that will come from each end, so that the ends notice when they meet.
    done: bool,
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { stacks: self.stacks.clone(), done: self.done }
    }
}

impl<'a, K, V> Iter<'a, K, V> {
    pub(super) fn new(root: &'a Link<K, V>) -> Self {
        let mut iter = Self { stacks: [Vec::new(), Vec::new()], done: root.is_none() };
        iter.descend(root, LEFT);
        iter.descend(root, RIGHT);
        iter
    }

    /// The entries between two bounds.
    pub(super) fn range<Q>(root: &'a Link<K, V>, from: Bound<&Q>, to: Bound<&Q>) -> Self
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut iter = Self { stacks: [Vec::new(), Vec::new()], done: false };
        iter.seek(root, from, LEFT);
        iter.seek(root, to, RIGHT);
        let (first, last) = (iter.stacks[LEFT].last(), iter.stacks[RIGHT].last());
        iter.done = match (first, last) {
            (Some(first), Some(last)) => first.key.borrow() > last.key.borrow(),
            _ => true,
        };
        iter
    }

    /// Goes to the outermost entry of an end that the bound allows.
    fn seek<Q>(&mut self, mut link: &'a Link<K, V>, bound: Bound<&Q>, end: usize)
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (key, included) = match bound {
            Bound::Unbounded => return self.descend(link, end),
            Bound::Included(key) => (key, true),
            Bound::Excluded(key) => (key, false),
        };
        let inwards = if end == LEFT { Ordering::Greater } else { Ordering::Less };
        while let Some(node) = link {
            let order = node.key.borrow().cmp(key);
            if order == inwards || (included && order == Ordering::Equal) {
                self.stacks[end].push(node);
                link = &node.children[end];
            } else {
                link = &node.children[1 - end];
            }
        }
    }

    fn descend(&mut self, mut link: &'a Link<K, V>, end: usize) {
        while let Some(node) = link {
            self.stacks[end].push(node);
            link = &node.children[end];
        }
    }

    fn advance(&mut self, end: usize) -> Option<(&'a K, &'a V)> {
        if self.done {
            return None;
        }
        let node = self.stacks[end].pop()?;
        // The ends meet at one node, which both have as their next.
        self.done = self.stacks[1 - end].last().is_none_or(|other| std::ptr::eq(*other, node));
        self.descend(&node.children[1 - end], end);
        Some((&node.key, &node.value))
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        self.advance(LEFT)
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.advance(RIGHT)
    }
}

/// The keys of a map in order.
#[derive(Debug)]
pub struct Keys<'a, K, V>(pub(super) Iter<'a, K, V>);

impl<K, V> Clone for Keys<'_, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'a, K, V> Iterator for Keys<'a, K, V> {
    type Item = &'a K;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, _)| key)
    }
}

impl<K, V> DoubleEndedIterator for Keys<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(key, _)| key)
    }
}

/// The values of a map in the order of their keys.
#[derive(Debug)]
pub struct Values<'a, K, V>(pub(super) Iter<'a, K, V>);

impl<K, V> Clone for Values<'_, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'a, K, V> Iterator for Values<'a, K, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(_, value)| value)
    }
}

impl<K, V> DoubleEndedIterator for Values<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(_, value)| value)
    }
}
