//! What must hold in WebAssembly as it does natively. `make wasm-test` runs this in headless
//! Chromium, with the profile that the page is built with.
#![cfg(target_arch = "wasm32")]

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn numbers_are_those_of_a_browser() {
    assert_eq!(usize::BITS, 32);
}
