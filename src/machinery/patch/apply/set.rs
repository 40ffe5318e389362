//! Sets of paths, as `fieldpath.Set`: a tree whose nodes are sorted, so that all operations are merges of sorted lists.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::element::Element;
use super::typed::TypeRef;
use crate::machinery::order::Order as _;

/// A set of paths. A path's beginnings are not in the set unless they were put there themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// The elements that end a path here.
    members: Vec<Element>,
    /// The elements that paths go on from. No node is without paths.
    children: Vec<(Element, Set)>,
}

/// What becomes of what two sorted lists hold, one element after the other.
enum Pair<'a, T> {
    Left(&'a T),
    Right(&'a T),
    Both(&'a T, &'a T),
}

/// Walks two sorted lists together.
fn zip<'a, T>(left: &'a [T], right: &'a [T], key: impl Fn(&T) -> &Element, mut visit: impl FnMut(Pair<'a, T>)) {
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        let order = match (left.get(i), right.get(j)) {
            (Some(a), Some(b)) => key(a).cmp(key(b)),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        match order {
            Ordering::Less => visit(Pair::Left(&left[i])),
            Ordering::Greater => visit(Pair::Right(&right[j])),
            Ordering::Equal => visit(Pair::Both(&left[i], &right[j])),
        }
        i += usize::from(order != Ordering::Greater);
        j += usize::from(order != Ordering::Less);
    }
}

const fn itself(element: &Element) -> &Element {
    element
}

const fn of_child(child: &(Element, Set)) -> &Element {
    &child.0
}

impl Set {
    /// The set of these paths of fields.
    #[must_use]
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<Element> = path.iter().map(|name| Element::field(name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Puts a path into the set. The empty path, the object itself, is owned by nobody.
    pub fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => {
                if let Err(place) = self.members.binary_search(last) {
                    self.members.insert(place, last.clone());
                }
            }
            [first, rest @ ..] => self.child_mut(first).insert(rest),
        }
    }

    fn child_mut(&mut self, element: &Element) -> &mut Self {
        let place = match self.children.binary_search_by(|child| child.0.cmp(element)) {
            Ok(place) => place,
            Err(place) => {
                self.children.insert(place, (element.clone(), Self::default()));
                place
            }
        };
        &mut self.children[place].1
    }

    /// The paths that go on from an element, without it.
    #[must_use]
    pub fn child(&self, element: &Element) -> Option<&Self> {
        let place = self.children.binary_search_by(|child| child.0.cmp(element)).ok()?;
        Some(&self.children[place].1)
    }

    /// Whether a path of this one element is in the set.
    #[must_use]
    pub fn has_member(&self, element: &Element) -> bool {
        self.members.binary_search(element).is_ok()
    }

    /// Whether a path is in the set.
    #[must_use]
    pub fn has(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.has_member(last),
            [first, rest @ ..] => self.child(first).is_some_and(|child| child.has(rest)),
        }
    }

    /// Whether no path is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.iter().all(|(_, child)| child.is_empty())
    }

    fn push_child(&mut self, element: &Element, child: Self) {
        if !child.is_empty() {
            self.children.push((element.clone(), child));
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut set = Self::default();
        zip(&self.members, &other.members, itself, |pair| match pair {
            Pair::Left(element) | Pair::Right(element) | Pair::Both(element, _) => set.members.push(element.clone()),
        });
        zip(&self.children, &other.children, of_child, |pair| match pair {
            Pair::Left(child) | Pair::Right(child) => set.children.push(child.clone()),
            Pair::Both((element, a), (_, b)) => set.push_child(element, a.union(b)),
        });
        set
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut set = Self::default();
        zip(&self.members, &other.members, itself, |pair| {
            if let Pair::Both(element, _) = pair {
                set.members.push(element.clone());
            }
        });
        zip(&self.children, &other.children, of_child, |pair| {
            if let Pair::Both((element, a), (_, b)) = pair {
                set.push_child(element, a.intersection(b));
            }
        });
        set
    }

    /// What is in this set and not in the other. Paths below one of the other's stay.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut set = Self::default();
        self.members_without(other, &mut set);
        zip(&self.children, &other.children, of_child, |pair| match pair {
            Pair::Left((element, a)) => set.push_child(element, a.clone()),
            Pair::Both((element, a), (_, b)) => set.push_child(element, a.difference(b)),
            Pair::Right(_) => {}
        });
        set
    }

    /// What is in this set and neither in the other nor below one of its paths.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let mut set = Self::default();
        self.members_without(other, &mut set);
        zip(&self.children, &other.children, of_child, |pair| match pair {
            Pair::Left((element, a)) if !other.has_member(element) => set.push_child(element, a.clone()),
            Pair::Both((element, a), (_, b)) if !other.has_member(element) => {
                set.push_child(element, a.recursive_difference(b));
            }
            _ => {}
        });
        set
    }

    fn members_without(&self, other: &Self, set: &mut Self) {
        zip(&self.members, &other.members, itself, |pair| {
            if let Pair::Left(element) = pair {
                set.members.push(element.clone());
            }
        });
    }

    /// The set with all the fields of structs that its paths go through: `EnsureNamedFieldsAreMembers`.
    #[must_use]
    pub fn with_named_fields(&self, of: TypeRef) -> Self {
        let mut set = Self { members: self.members.clone(), children: Vec::with_capacity(self.children.len()) };
        for (element, child) in &self.children {
            if let Element::Field(name) = element
                && of.is_declared(name)
            {
                set.insert(std::slice::from_ref(element));
            }
            set.children.push((element.clone(), child.with_named_fields(of.step(element))));
        }
        set
    }

    /// Every path, parents' members first.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<Element>, paths: &mut Vec<Vec<Element>>) {
        for member in &self.members {
            let mut path = prefix.clone();
            path.push(member.clone());
            paths.push(path);
        }
        for (element, child) in &self.children {
            prefix.push(element.clone());
            child.collect(prefix, paths);
            prefix.pop();
        }
    }

    /// The set as `FieldsV1`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.encode(false)
    }

    fn encode(&self, is_member: bool) -> Value {
        let mut fields = Map::new();
        if is_member && !self.is_empty() {
            fields.insert(".".to_owned(), Value::Object(Map::new()));
        }
        let leaf = || Value::Object(Map::new());
        let (mut i, mut j) = (0, 0);
        while i < self.members.len() || j < self.children.len() {
            let order = match (self.members.get(i), self.children.get(j)) {
                (Some(member), Some(child)) => member.cmp(&child.0),
                (Some(_), None) => Ordering::Less,
                _ => Ordering::Greater,
            };
            if order == Ordering::Less {
                fields.insert(self.members[i].encode(), leaf());
                i += 1;
                continue;
            }
            let (element, child) = &self.children[j];
            fields.insert(element.encode(), child.encode(order == Ordering::Equal));
            i += usize::from(order == Ordering::Equal);
            j += 1;
        }
        Value::Object(fields)
    }

    /// Reads `FieldsV1`.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_value(value: &Value) -> Result<Self, String> {
        Ok(Self::decode(value)?.0)
    }

    /// The paths below a node, and whether the node ends a path itself: it does when it says so, or has nothing below.
    fn decode(value: &Value) -> Result<(Self, bool), String> {
        let Value::Object(fields) = value else { return Err("no object".to_owned()) };
        let mut is_member = false;
        let mut nodes = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            if key == "." {
                is_member = true;
            } else if let Some(element) = Element::decode(key)? {
                nodes.push((element, Self::decode(value)?));
            }
        }
        nodes.order_by(|a, b| a.0.cmp(&b.0));
        let mut set = Self::default();
        for (element, (child, child_is_member)) in nodes {
            if child_is_member {
                set.insert(std::slice::from_ref(&element));
            }
            if !child.is_empty() {
                *set.child_mut(&element) = child;
            }
        }
        let is_member = is_member || set.is_empty();
        Ok((set, is_member))
    }
}
