//! The targets of `fuzz/`, run on the inputs of `fuzz/corpus` and on mutations of them: a few seconds of what libFuzzer would
//! do for hours, the same at each run.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::disallowed_methods, reason = "the environment says how long to go on")]

use kubetab::machinery::random::Random;

#[path = "../fuzz/src/targets.rs"]
#[allow(dead_code, reason = "cargo-fuzz calls each target by its name")]
mod targets;

/// How many inputs each target gets, unless `ROUNDS` in the environment says another number.
const ROUNDS: u32 = 3_000;
/// How long an input may be, in bytes.
const BYTES_MAX: usize = 600;

/// The inputs that are kept for a target, in order: sound ones to begin with, and what broke something once.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    // A target for which nothing was kept has no folder.
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("it can be read")).collect()
}

/// Pieces that mean something to one reader or another.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ":",
    ",",
    "-",
    "- ",
    "\n",
    "  ",
    "---\n",
    "'",
    "\"",
    "\\",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "<<: ",
    "null",
    "true",
    "~",
    "0",
    "-1",
    "1e309",
    "0x1F",
    "99999999999999999999",
    ".",
    "..",
    "?",
    "$patch: delete",
    "/",
    "~1",
    "%2F",
    "%",
    "é",
    "\u{feff}",
    "\u{0}",
    "\t",
    "#",
    "@",
    "$",
    "=",
    "!=",
    " in ",
    "&&",
    "v1/",
    "Ki",
    "m",
    "e",
    "E",
];

fn mutate(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() as u64 + 1) as usize;
        match random.below(6) {
            0 if at < input.len() => input[at] = random.next_u64() as u8,
            1 if at < input.len() => drop(input.remove(at)),
            2 => input.truncate(at),
            3 if !other.is_empty() => {
                let from = random.below(other.len() as u64) as usize;
                let to = (from + random.below(40) as usize).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            4 if at < input.len() => {
                let to = (at + random.below(30) as usize).min(input.len());
                let copied = input[at..to].to_vec();
                input.splice(at..at, copied);
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len() as u64) as usize];
                input.splice(at..at, piece.bytes());
            }
        }
    }
    input.truncate(BYTES_MAX);
}

fn run(name: &str) {
    let (_, target) = targets::ALL.iter().find(|(known, _)| *known == name).expect("a target of this name");
    let own = corpus(name);
    let all: Vec<Vec<u8>> = targets::ALL.iter().flat_map(|(name, _)| corpus(name)).collect();
    // A target without inputs of its own gets those of all.
    let seeds = if own.is_empty() { &all } else { &own };
    seeds.iter().for_each(|seed| target(seed));
    let mut random = Random::new(name.bytes().map(u64::from).sum());
    let mut input = Vec::new();
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..rounds {
        // Now and then it begins anew, and otherwise goes on from what it came to.
        if round % 8 == 0 {
            input = seeds[random.below(seeds.len() as u64) as usize].clone();
        }
        let other = &all[random.below(all.len() as u64) as usize];
        mutate(&mut random, &mut input, other);
        target(&input);
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            let known: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
            assert_eq!(known, run);
        }
    };
}

targets! {
    address, apply, cel, jsonpath, json_patch, labels, link, merge_patch, quantity, request, strategic_patch, strict, yaml,
}
