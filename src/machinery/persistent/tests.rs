use std::collections::BTreeMap;

use super::OrdMap;
use super::node::{LEFT, Link, RIGHT};
use crate::machinery::random::Random;

/// How high a subtree is, whose sides must differ by one level at most.
fn height<K, V>(link: &Link<K, V>) -> u32 {
    let Some(node) = link else { return 0 };
    let (left, right) = (height(&node.children[LEFT]), height(&node.children[RIGHT]));
    assert!(left.abs_diff(right) <= 1, "a node's sides are {left} and {right} high");
    1 + left.max(right)
}

/// Holds a map against the standard library's through thousands of random changes, and each copy against what it was.
#[test]
fn a_map_does_what_a_standard_map_does() {
    let mut random = Random::new(7);
    let mut ours: OrdMap<u64, u64> = OrdMap::new();
    let mut theirs: BTreeMap<u64, u64> = BTreeMap::new();
    let mut copies = Vec::new();
    for round in 0..6_000 {
        // Small keys meet often; the map grows first and shrinks later.
        let key = random.below(400);
        let removes = random.below(6_000) < round;
        if removes {
            assert_eq!(ours.remove(&key), theirs.remove(&key));
        } else {
            assert_eq!(ours.insert(key, round), theirs.insert(key, round));
        }
        if let Some(value) = ours.get_mut(&(key / 2)) {
            *value += 1;
        }
        theirs.entry(key / 2).and_modify(|value| *value += 1);
        assert_eq!(ours.get(&key), theirs.get(&key));
        assert_eq!(ours.len(), theirs.len());
        if round % 500 == 0 {
            height(ours.root());
            copies.push((ours.clone(), theirs.clone()));
        }
    }
    copies.push((ours, theirs));
    for (ours, theirs) in &copies {
        assert!(ours.iter().eq(theirs.iter()), "equal forwards");
        assert!(ours.iter().rev().eq(theirs.iter().rev()), "equal backwards");
        assert_eq!(ours.get_min(), theirs.first_key_value());
        assert_eq!(ours.get_max(), theirs.last_key_value());
    }
}

#[test]
fn ranges_are_those_of_a_standard_map() {
    let numbers = (0..100).map(|number| (number * 3, number));
    let ours: OrdMap<i32, i32> = numbers.clone().collect();
    let theirs: BTreeMap<i32, i32> = numbers.collect();
    for from in -1..40 {
        for to in from..60 {
            assert!(ours.range(from..to).eq(theirs.range(from..to)), "{from}..{to}");
            assert!(ours.range(from..=to).rev().eq(theirs.range(from..=to).rev()), "{from}..={to} backwards");
        }
        assert!(ours.range(from..).eq(theirs.range(from..)), "{from}..");
    }
}

#[test]
fn the_two_ends_of_a_walk_meet_once() {
    for len in 0..20 {
        let map: OrdMap<i32, ()> = (0..len).map(|number| (number, ())).collect();
        for front in 0..=len {
            let mut walk = map.keys();
            let mut seen: Vec<i32> =
                walk.by_ref().take(usize::try_from(front).expect("it is small")).copied().collect();
            seen.extend(walk.rev());
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..len), "{len} entries, {front} from the front: {seen:?}");
        }
    }
}

#[test]
fn the_tree_stays_low() {
    let mut map: OrdMap<u32, ()> = (0..100_000).map(|number| (number, ())).collect();
    for number in 0..99_000 {
        map.remove(&number);
    }
    assert_eq!(map.len(), 1_000);
    assert!(height(map.root()) <= 14);
    assert!(map.keys().copied().eq(99_000..100_000));
    while map.pop_min().is_some() {}
    assert!(map.is_empty() && map.iter().next().is_none());
}
