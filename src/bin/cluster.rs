//! The Web Worker: a cluster behind messages, so that the page stays smooth whatever it does.

#[cfg(target_arch = "wasm32")]
fn main() {
    use wasm_bindgen::JsCast as _;

    console_error_panic_hook::set_once();
    let scope: web_sys::DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    // A worker without a page has nobody to tell that its message was lost.
    let _ = scope.post_message(&wasm_bindgen::JsValue::from_str("ready"));
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This binary is the page's Web Worker and runs in a browser only. Build and open the page: make serve");
    std::process::exit(2);
}
