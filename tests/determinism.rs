//! The same log gives the same cluster, event for event, for any seed.

mod support;

use kubetab::session::{Session, SessionLog};

#[test]
fn a_hundred_seeds_replay_to_the_same_hash() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let session = support::played(seed);
        let log = SessionLog::from_json(&session.log().to_json()).expect("a session's own log is well-formed");
        let again = Session::from_log(log);
        assert_eq!(again.hash(), session.hash(), "seed {seed}");
        assert_eq!(again.cluster().steps(), session.cluster().steps(), "seed {seed}");
        hashes.insert(session.hash());
    }
    assert_eq!(hashes.len(), 100, "another seed gives another cluster");
}

#[test]
fn rewinding_to_any_moment_and_back_changes_nothing() {
    let mut session = support::played(7);
    let (end, hash) = (session.now(), session.hash());
    let start = session.config().profile.start;
    for percent in [90, 10, 50, 0, 75] {
        session.rewind_to(start + end.since(start) * percent / 100);
        session.rewind_to(end);
        assert_eq!(session.hash(), hash, "after a visit at {percent} %");
    }
}

/// `tests/wasm.rs` holds WebAssembly to the same number.
#[test]
fn the_golden_session_has_its_golden_hash() {
    assert_eq!(format!("{:016x}", support::played(1).hash()), include_str!("golden_hash.txt").trim());
}
