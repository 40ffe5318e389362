//! What stays in the browser: the session, the files, the branches and the page's looks.
//!
//! A browser may refuse to keep anything (private windows, full disks): then the page works all the same.

use leptos::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast as _;

use crate::machinery::json;
use crate::session::File;

use super::state::Branch;

const SESSION: &str = "kubetab.session";
const FILES: &str = "kubetab.files";
const BRANCHES: &str = "kubetab.branches";
/// What is larger is not kept: browsers allow some five million characters for a whole site.
const CHARACTERS_MAX: usize = 2_000_000;

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// What was kept under a name.
pub(super) fn load(name: &str) -> Option<String> {
    storage()?.get_item(name).ok().flatten()
}

/// Keeps a text under a name.
pub(super) fn save(name: &str, text: &str) {
    if let Some(storage) = storage()
        && text.len() <= CHARACTERS_MAX
    {
        // A full store keeps what it has; the session lives on in the page.
        let _ = storage.set_item(name, text);
    }
}

fn load_json<T: DeserializeOwned + Default>(name: &str) -> T {
    load(name).and_then(|text| json::from_value(&serde_json::from_str(&text).ok()?).ok()).unwrap_or_default()
}

fn save_json<T: Serialize>(name: &str, value: &T) {
    save(name, &json::to_value(value).to_string());
}

/// The session as it was last saved.
pub(super) fn load_session() -> Option<String> {
    load(SESSION).filter(|text| !text.is_empty())
}

/// Keeps the session.
pub(super) fn save_session(text: &str) {
    save(SESSION, text);
}

/// The editor's files.
pub(super) fn load_files() -> Vec<File> {
    load_json(FILES)
}

/// Keeps the editor's files.
pub(super) fn save_files(files: &[File]) {
    save_json(FILES, &files);
}

/// The branches that were left.
pub(super) fn load_branches() -> Vec<Branch> {
    load_json(BRANCHES)
}

/// Keeps the branches.
pub(super) fn save_branches(branches: &[Branch]) {
    save_json(BRANCHES, &branches);
}

/// Offers a text to the user as a file.
pub(super) fn download(name: &str, text: &str) {
    let parts = js_sys::Array::of1(&text.into());
    let options = web_sys::BlobPropertyBag::new();
    options.set_type("application/json");
    let Ok(blob) = web_sys::Blob::new_with_str_sequence_and_options(&parts, &options) else { return };
    let Ok(address) = web_sys::Url::create_object_url_with_blob(&blob) else { return };
    if let Ok(anchor) = document().create_element("a") {
        let anchor: web_sys::HtmlAnchorElement = anchor.unchecked_into();
        anchor.set_href(&address);
        anchor.set_download(name);
        anchor.click();
    }
    // The browser has begun to save; should the address still be there, nothing is lost by forgetting it later.
    let _ = web_sys::Url::revoke_object_url(&address);
}
