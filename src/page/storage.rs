//! What stays in the browser: the session, the files, the branches and the page's looks.
//!
//! A browser may refuse to keep anything (private windows, full disks): then the page works all the same.

use leptos::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::machinery::json;
use crate::session::File;

use super::state::Branch;

const SESSION: &str = "kubetab.session";
const FILES: &str = "kubetab.files";
const BRANCHES: &str = "kubetab.branches";
const LESSON: &str = "kubetab.lesson";
const HISTORY: &str = "kubetab.history";
const PLAYING: &str = "kubetab.playing";
/// What is larger is not kept: browsers allow some five million characters for a whole site.
const CHARACTERS_MAX: usize = 2_000_000;

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// What was kept under a name.
pub(super) fn load(name: &str) -> Option<String> {
    storage()?.get_item(name).ok().flatten()
}

/// Keeps a text under a name. A page in a slide keeps nothing: what is kept is the user's own.
pub(super) fn save(name: &str, text: &str) {
    if super::is_embedded() {
        return;
    }
    if let Some(storage) = storage()
        && text.len() <= CHARACTERS_MAX
    {
        // A full store keeps what it has; the session lives on in the page.
        let _ = storage.set_item(name, text);
    }
}

fn load_json<T: DeserializeOwned + Default>(name: &str) -> T {
    // By way of the browser's own JSON, which costs the download nothing.
    let value = |text: String| serde_wasm_bindgen::from_value(js_sys::JSON::parse(&text).ok()?).ok();
    load_own(name).and_then(value).and_then(|value| json::from_value(&value).ok()).unwrap_or_default()
}

fn save_json<T: Serialize>(name: &str, value: &T) {
    let value = json::to_value(value).serialize(&serde_wasm_bindgen::Serializer::json_compatible());
    let text = |value: JsValue| js_sys::JSON::stringify(&value).ok()?.as_string();
    if let Some(text) = value.ok().and_then(text) {
        save(name, &text);
    }
}

/// As [`load`], for what is the user's own work, which a page in a slide does not show.
fn load_own(name: &str) -> Option<String> {
    load(name).filter(|text| !text.is_empty() && !super::is_embedded())
}

/// The session as it was last saved.
pub(super) fn load_session() -> Option<String> {
    load_own(SESSION)
}

/// Whether time ran when the page was left.
pub(super) fn load_playing() -> bool {
    load_own(PLAYING).is_none_or(|text| text != "false")
}

/// Keeps whether time runs.
pub(super) fn save_playing(playing: bool) {
    save(PLAYING, if playing { "true" } else { "false" });
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

/// The lines that were typed in the terminal.
pub(super) fn load_history() -> Vec<String> {
    load_json(HISTORY)
}

/// Keeps the lines that were typed in the terminal.
pub(super) fn save_history(lines: &[String]) {
    save_json(HISTORY, &lines);
}

/// The lesson that is taken, and its step.
pub(super) fn load_lesson() -> Option<(String, usize)> {
    let text = load_own(LESSON)?;
    let (id, step) = text.split_once(' ')?;
    Some((id.to_owned(), step.parse().ok()?))
}

/// Keeps which lesson is taken.
pub(super) fn save_lesson(lesson: Option<(&str, usize)>) {
    save(LESSON, &lesson.map_or_else(String::new, |(id, step)| format!("{id} {step}")));
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
