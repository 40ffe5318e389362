//! The shared nodes of the tree, and how it keeps its balance.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

/// A subtree, or nothing.
pub(super) type Link<K, V> = Option<Arc<Node<K, V>>>;

/// Left, where the smaller keys are.
pub(super) const LEFT: usize = 0;
/// Right, where the greater keys are.
pub(super) const RIGHT: usize = 1;

/// An entry with the entries below it.
#[derive(Clone, Debug)]
pub(super) struct Node<K, V> {
    pub key: K,
    pub value: V,
    pub children: [Link<K, V>; 2],
    /// Of the subtree that begins here: 1 for a leaf.
    height: u8,
}

fn height<K, V>(link: &Link<K, V>) -> u8 {
    link.as_ref().map_or(0, |node| node.height)
}

impl<K, V> Node<K, V> {
    fn new(key: K, value: V) -> Self {
        Self { key, value, children: [None, None], height: 1 }
    }

    fn measure(&mut self) {
        self.height = 1 + height(&self.children[LEFT]).max(height(&self.children[RIGHT]));
    }

    /// How much higher the left side is.
    fn lean(&self) -> i32 {
        i32::from(height(&self.children[LEFT])) - i32::from(height(&self.children[RIGHT]))
    }
}

/// The entry of a key.
pub(super) fn find<'a, K, V, Q>(mut link: &'a Link<K, V>, key: &Q) -> Option<&'a Node<K, V>>
where
    K: Borrow<Q>,
    Q: Ord + ?Sized,
{
    while let Some(node) = link {
        link = match key.cmp(node.key.borrow()) {
            Ordering::Less => &node.children[LEFT],
            Ordering::Greater => &node.children[RIGHT],
            Ordering::Equal => return Some(node),
        };
    }
    None
}

/// The entry of a key, to be changed: the path to it is copied where it is shared.
pub(super) fn find_mut<'a, K, V, Q>(mut link: &'a mut Link<K, V>, key: &Q) -> Option<&'a mut V>
where
    K: Borrow<Q> + Clone,
    V: Clone,
    Q: Ord + ?Sized,
{
    while let Some(shared) = link {
        let node = Arc::make_mut(shared);
        link = match key.cmp(node.key.borrow()) {
            Ordering::Less => &mut node.children[LEFT],
            Ordering::Greater => &mut node.children[RIGHT],
            Ordering::Equal => return Some(&mut node.value),
        };
    }
    None
}

/// The outermost entry of a side.
pub(super) fn outermost<K, V>(mut link: &Link<K, V>, side: usize) -> Option<&Node<K, V>> {
    let mut found = None;
    while let Some(node) = link {
        found = Some(&**node);
        link = &node.children[side];
    }
    found
}

/// Puts an entry where it belongs; what was there before comes back.
pub(super) fn insert<K: Ord + Clone, V: Clone>(link: &mut Link<K, V>, key: K, value: V) -> Option<V> {
    let Some(shared) = link else {
        *link = Some(Arc::new(Node::new(key, value)));
        return None;
    };
    let node = Arc::make_mut(shared);
    let side = match key.cmp(&node.key) {
        Ordering::Less => LEFT,
        Ordering::Greater => RIGHT,
        Ordering::Equal => return Some(std::mem::replace(&mut node.value, value)),
    };
    let before = insert(&mut node.children[side], key, value);
    if before.is_none() {
        balance(link);
    }
    before
}

/// Takes an entry out, which must be there.
pub(super) fn remove<K, V, Q>(link: &mut Link<K, V>, key: &Q) -> Option<(K, V)>
where
    K: Borrow<Q> + Clone,
    V: Clone,
    Q: Ord + ?Sized,
{
    let node = Arc::make_mut(link.as_mut()?);
    let removed = match key.cmp(node.key.borrow()) {
        Ordering::Less => remove(&mut node.children[LEFT], key),
        Ordering::Greater => remove(&mut node.children[RIGHT], key),
        Ordering::Equal => return Some(remove_root(link)),
    };
    balance(link);
    removed
}

/// Takes out the root of a subtree that is not empty; its successor moves up where there are entries on both sides.
fn remove_root<K: Clone, V: Clone>(link: &mut Link<K, V>) -> (K, V) {
    let mut node = link.take().map(Arc::unwrap_or_clone).expect("the subtree is not empty");
    if node.children[LEFT].is_some() && node.children[RIGHT].is_some() {
        let (key, value) = remove_outermost(&mut node.children[RIGHT], LEFT);
        let removed = (std::mem::replace(&mut node.key, key), std::mem::replace(&mut node.value, value));
        *link = Some(Arc::new(node));
        balance(link);
        return removed;
    }
    let [left, right] = node.children;
    *link = left.or(right);
    (node.key, node.value)
}

/// Takes out the outermost entry of a side of a subtree that is not empty.
pub(super) fn remove_outermost<K: Clone, V: Clone>(link: &mut Link<K, V>, side: usize) -> (K, V) {
    let node = Arc::make_mut(link.as_mut().expect("the subtree is not empty"));
    if node.children[side].is_none() {
        return remove_root(link);
    }
    let removed = remove_outermost(&mut node.children[side], side);
    balance(link);
    removed
}

/// Makes the sides of a subtree differ by one level at most, when one of them has just changed by one.
fn balance<K: Clone, V: Clone>(link: &mut Link<K, V>) {
    let Some(shared) = link else { return };
    let node = Arc::make_mut(shared);
    node.measure();
    let lean = node.lean();
    if lean.abs() < 2 {
        return;
    }
    let high = if lean > 0 { LEFT } else { RIGHT };
    let inner = node.children[high].as_ref().map_or(0, |child| child.lean());
    if inner != 0 && (inner > 0) != (lean > 0) {
        rotate(&mut node.children[high], 1 - high);
    }
    rotate(link, high);
}

/// Lifts the child of a side to the root.
fn rotate<K: Clone, V: Clone>(link: &mut Link<K, V>, side: usize) {
    let Some(mut root) = link.take() else { return };
    let node = Arc::make_mut(&mut root);
    let Some(mut lifted) = node.children[side].take() else {
        *link = Some(root);
        return;
    };
    let child = Arc::make_mut(&mut lifted);
    node.children[side] = child.children[1 - side].take();
    node.measure();
    child.children[1 - side] = Some(root);
    child.measure();
    *link = Some(lifted);
}
