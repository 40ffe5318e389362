//! Unified differences of two texts, line by line.
//!
//! Follows `pmezard/go-difflib`, itself a port of Python's `difflib`: the same lines are matched, so that messages
//! that carry a difference equal the API server's.

use crate::machinery::order::Order as _;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many equal lines stand around a change.
const CONTEXT: usize = 3;
/// From this many lines on, lines that are frequent no longer begin a match.
const AUTOJUNK_LINES_MIN: usize = 200;

/// A run of `size` equal lines, at `a` in the old text and at `b` in the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    a: usize,
    b: usize,
    size: usize,
}

/// What to do with `a[a1..a2]` to get `b[b1..b2]`.
#[derive(Clone, Copy, Debug)]
struct Operation {
    equal: bool,
    a1: usize,
    a2: usize,
    b1: usize,
    b2: usize,
}

/// The hunks that turn `old` into `new`, without a header; empty when both are equal.
#[must_use]
pub fn unified(old: &str, new: &str) -> String {
    let a: Vec<&str> = old.split('\n').collect();
    let b: Vec<&str> = new.split('\n').collect();
    let mut text = String::new();
    for group in grouped(operations(&a, &b)) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "@@ -{} +{} @@", range(first.a1, last.a2), range(first.b1, last.b2));
        for operation in &group {
            if operation.equal {
                write_lines(&mut text, ' ', &a[operation.a1..operation.a2]);
            } else {
                write_lines(&mut text, '-', &a[operation.a1..operation.a2]);
                write_lines(&mut text, '+', &b[operation.b1..operation.b2]);
            }
        }
    }
    text
}

fn write_lines(text: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        text.push(sign);
        text.push_str(line);
        text.push('\n');
    }
}

/// A range of lines as the head of a hunk tells it.
fn range(start: usize, stop: usize) -> String {
    match stop - start {
        1 => format!("{}", start + 1),
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    }
}

/// Cuts the operations into hunks with at most [`CONTEXT`] equal lines around them.
fn grouped(mut operations: Vec<Operation>) -> Vec<Vec<Operation>> {
    if let Some(first) = operations.first_mut().filter(|first| first.equal) {
        first.a1 = first.a1.max(first.a2.saturating_sub(CONTEXT));
        first.b1 = first.b1.max(first.b2.saturating_sub(CONTEXT));
    }
    if let Some(last) = operations.last_mut().filter(|last| last.equal) {
        last.a2 = last.a2.min(last.a1 + CONTEXT);
        last.b2 = last.b2.min(last.b1 + CONTEXT);
    }
    let mut groups = Vec::new();
    let mut group: Vec<Operation> = Vec::new();
    for mut operation in operations {
        if operation.equal && operation.a2 - operation.a1 > 2 * CONTEXT {
            group.push(Operation { a2: operation.a1 + CONTEXT, b2: operation.b1 + CONTEXT, ..operation });
            groups.push(std::mem::take(&mut group));
            operation.a1 = operation.a2 - CONTEXT;
            operation.b1 = operation.b2 - CONTEXT;
        }
        group.push(operation);
    }
    groups.push(group);
    groups.retain(|group| group.iter().any(|operation| !operation.equal));
    groups
}

fn operations(a: &[&str], b: &[&str]) -> Vec<Operation> {
    let mut operations = Vec::new();
    let (mut i, mut j) = (0, 0);
    for found in matching_blocks(a, b) {
        if i < found.a || j < found.b {
            operations.push(Operation { equal: false, a1: i, a2: found.a, b1: j, b2: found.b });
        }
        (i, j) = (found.a + found.size, found.b + found.size);
        if found.size > 0 {
            operations.push(Operation { equal: true, a1: found.a, a2: i, b1: found.b, b2: j });
        }
    }
    operations
}

/// All matching runs in order, adjacent ones joined, with an empty one at the end.
fn matching_blocks(a: &[&str], b: &[&str]) -> Vec<Match> {
    let places = places_of_lines(b);
    let mut queue = vec![(0, a.len(), 0, b.len())];
    let mut found = Vec::new();
    while let Some((a_low, a_high, b_low, b_high)) = queue.pop() {
        let longest = longest_match(a, b, &places, (a_low, a_high), (b_low, b_high));
        if longest.size == 0 {
            continue;
        }
        let (a_end, b_end) = (longest.a + longest.size, longest.b + longest.size);
        found.push(longest);
        if a_low < longest.a && b_low < longest.b {
            queue.push((a_low, longest.a, b_low, longest.b));
        }
        if a_end < a_high && b_end < b_high {
            queue.push((a_end, a_high, b_end, b_high));
        }
    }
    found.order();
    let mut joined: Vec<Match> = Vec::new();
    for next in found {
        match joined.last_mut() {
            Some(last) if last.a + last.size == next.a && last.b + last.size == next.b => last.size += next.size,
            _ => joined.push(next),
        }
    }
    joined.push(Match { a: a.len(), b: b.len(), size: 0 });
    joined
}

/// Where each line of `b` stands; frequent lines of a long text are left out.
fn places_of_lines<'a>(b: &[&'a str]) -> BTreeMap<&'a str, Vec<usize>> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, line) in b.iter().enumerate() {
        places.entry(line).or_default().push(index);
    }
    if b.len() >= AUTOJUNK_LINES_MIN {
        let most = b.len() / 100 + 1;
        places.retain(|_, indices| indices.len() <= most);
    }
    places
}

/// The longest run of equal lines in both windows; of several the one that begins first in `a`, then in `b`.
fn longest_match(
    a: &[&str],
    b: &[&str],
    places: &BTreeMap<&str, Vec<usize>>,
    (a_low, a_high): (usize, usize),
    (b_low, b_high): (usize, usize),
) -> Match {
    let mut best = Match { a: a_low, b: b_low, size: 0 };
    // For each place in b, how long the run is that ends there and at the line of a before.
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    for (i, line) in a.iter().enumerate().take(a_high).skip(a_low) {
        let mut next = BTreeMap::new();
        for &j in places.get(line).into_iter().flatten().filter(|&&j| (b_low..b_high).contains(&j)) {
            let length = 1 + j.checked_sub(1).and_then(|before| lengths.get(&before)).copied().unwrap_or(0);
            next.insert(j, length);
            if length > best.size {
                best = Match { a: i + 1 - length, b: j + 1 - length, size: length };
            }
        }
        lengths = next;
    }
    // Lines that are too frequent to begin a match may still lengthen one.
    while best.a > a_low && best.b > b_low && a[best.a - 1] == b[best.b - 1] {
        best = Match { a: best.a - 1, b: best.b - 1, size: best.size + 1 };
    }
    while best.a + best.size < a_high && best.b + best.size < b_high && a[best.a + best.size] == b[best.b + best.size] {
        best.size += 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(unified("a\nb", "a\nb"), "");
    }

    #[test]
    fn changes_stand_in_their_context() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n11\n12\n13\n14";
        expect![[r#"
            @@ -2,7 +2,7 @@
             2
             3
             4
            -5
            +five
             6
             7
             8
            @@ -11,3 +11,4 @@
             11
             12
             13
            +14
        "#]]
        .assert_eq(&unified(old, new));
    }

    #[test]
    fn one_line_becomes_three() {
        expect![[r#"
            @@ -1,3 +1,5 @@
             {
            -"x": null
            +"x": [
            + 1
            +]
             }
        "#]]
        .assert_eq(&unified("{\n\"x\": null\n}", "{\n\"x\": [\n 1\n]\n}"));
    }
}
