//! The page: mounts the Leptos components into `index.html`. Its work is done by `kubetab::page`.

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    kubetab::page::mount();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This binary is the page and runs in a browser only. Build and open it: make serve");
    std::process::exit(2);
}
