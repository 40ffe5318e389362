//! The house's order, which DESIGN and ARCHITECTURE.md state: which room may import which,
//! and what is absent outside the page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// From the ground up. A room imports only what stands in a line above its own here.
const FLOORS: &[&[&str]] = &[
    &["machinery"],
    &["api"],
    &["etcd"],
    &["apiserver"],
    &["client"],
    // They meet only through the API server, so they do not import one another either.
    &["controllers", "scheduler", "cloud", "node"],
    // It judges nodes by the scheduler's own filters, and is told by the cloud what groups of machines there are.
    &["autoscaler"],
    &["sim"],
    &["kubectl"],
    &["session"],
    &["view"],
    // The page and the door are two ways in, and know nothing of each other.
    &["page", "door"],
];

/// What the engine must not know: the browser, the wall clock, threads, orders that differ
/// from run to run. clippy.toml forbids most of them by type; this finds them unexpanded.
const ABSENT: &[&str] =
    &["web_sys", "js_sys", "leptos", "std::time::Instant", "SystemTime", "HashMap", "HashSet", "std::thread"];

#[test]
fn no_room_imports_one_above_it() {
    let mut broken = String::new();
    for (file, source) in engine_and_page() {
        let Some(room) = room_of(&file) else { continue };
        for imported in rooms_imported(&file, &source) {
            if imported != room && floor(&imported) >= floor(&room) {
                writeln!(broken, "{}: {room} imports {imported}", file.display()).expect("a string grows");
            }
        }
    }
    assert!(broken.is_empty(), "dependencies point downwards only:\n{broken}");
}

#[test]
fn every_room_has_its_floor() {
    for (file, _) in engine_and_page() {
        if let Some(room) = room_of(&file) {
            assert!(FLOORS.iter().flat_map(|rooms| rooms.iter()).any(|known| *known == room), "{room} has no floor");
        }
    }
}

#[test]
fn the_engine_knows_no_browser_and_no_clock() {
    let mut broken = String::new();
    for (file, source) in engine_and_page() {
        if room_of(&file).is_none_or(|room| room == "page" || room == "door") {
            continue;
        }
        for (number, line) in source.lines().enumerate() {
            for word in ABSENT.iter().filter(|word| line.contains(*word)) {
                writeln!(broken, "{}:{}: {word}", file.display(), number + 1).expect("a string grows");
            }
            if line.contains("std::time::{") && line.contains("Instant") {
                writeln!(broken, "{}:{}: Instant", file.display(), number + 1).expect("a string grows");
            }
        }
    }
    assert!(broken.is_empty(), "these belong into the page, the binaries or the tests:\n{broken}");
}

#[test]
fn imports_are_read_as_rust_writes_them() {
    let source =
        "use crate::{api::Kind, etcd::{Store, self}};\nfn f() { crate::client::now() }\nuse super::super::node;";
    let rooms = rooms_imported(Path::new("src/sim/clock.rs"), source);
    assert_eq!(rooms, ["api", "etcd", "client", "node"]);
    assert_eq!(rooms_imported(Path::new("src/sim/mod.rs"), "use super::node::kubelet;"), ["node"]);
    assert_eq!(rooms_imported(Path::new("src/sim/clock.rs"), "use super::node;"), [""; 0]);
}

/// Every file of `src/` but the binaries, with comments and strings left out.
fn engine_and_page() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("tests run in the project's folder") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() && path != Path::new("src/bin") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).expect("the file can be read");
                files.push((path, without_comments(&source)));
            }
        }
    }
    files.sort();
    files
}

fn without_comments(source: &str) -> String {
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned() + "\n";
    source.lines().map(code).collect()
}

fn room_of(file: &Path) -> Option<String> {
    let mut parts = file.iter().skip(1).map(|part| part.to_string_lossy());
    let room = parts.next().filter(|first| !first.ends_with(".rs"))?;
    Some(room.into_owned())
}

fn floor(room: &str) -> usize {
    let known = FLOORS.iter().position(|rooms| rooms.contains(&room));
    known.unwrap_or_else(|| panic!("crate::{room} is no room"))
}

/// The rooms that a file names: `crate::room`, `crate::{room, …}`, `super::super::room`.
fn rooms_imported(file: &Path, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("crate::") {
        // `$crate::` in a macro and `some_crate::` are other words.
        if source[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$') {
            continue;
        }
        found.extend(names_at(&source[at + "crate::".len()..]));
    }
    let to_root = "super::".repeat(depth(file));
    for (at, _) in source.match_indices(&to_root) {
        let longer = source[..at].ends_with("super::") || source[at + to_root.len()..].starts_with("super");
        if !longer {
            found.extend(names_at(&source[at + to_root.len()..]));
        }
    }
    let is_room = |name: &String| FLOORS.iter().any(|rooms| rooms.contains(&name.as_str()));
    found.retain(is_room);
    found
}

/// How many `super::` lead from a file's module to the crate's root.
fn depth(file: &Path) -> usize {
    let parts = file.iter().count() - 1;
    if file.ends_with("mod.rs") { parts - 1 } else { parts }
}

/// The first name of a path, or each of them when the path goes on with a group in braces.
fn names_at(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return vec![name_at(rest)] };
    let mut names = Vec::new();
    let mut open = 1;
    let mut expects_name = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => open += 1,
            '}' => open -= 1,
            ',' if open == 1 => expects_name = true,
            letter if expects_name && open == 1 && !letter.is_whitespace() => {
                names.push(name_at(&group[at..]));
                expects_name = false;
            }
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
    names
}

fn name_at(rest: &str) -> String {
    rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}
