//! What must hold in WebAssembly as it does natively. `make wasm-test` runs this in headless
//! Chromium, with the profile that the page is built with.
#![cfg(target_arch = "wasm32")]

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn numbers_are_those_of_a_browser() {
    assert_eq!(usize::BITS, 32);
}

mod support;

/// `tests/determinism.rs` writes the same number down natively.
#[wasm_bindgen_test]
fn the_golden_session_has_its_golden_hash() {
    assert_eq!(format!("{:016x}", support::played(1).hash()), include_str!("golden_hash.txt").trim());
}
