//! The page: Leptos components around the cluster, which runs in a Web Worker.

pub mod editor;

use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};

/// Puts the page into the document's body, in place of the words shown while it loads.
pub fn mount() {
    if let Some(starting) = document().get_element_by_id("starting") {
        starting.remove();
    }
    mount_to_body(Page);
}

/// The address of the worker's script, which the build wrote into `index.html`.
fn cluster_address() -> Option<String> {
    let selector = "meta[name=kubetab-cluster]";
    document().query_selector(selector).ok()??.get_attribute("content")
}

/// Starts the worker and hands each of its messages to `on_message`.
fn start_cluster(on_message: impl Fn(JsValue) + 'static) -> Result<web_sys::Worker, JsValue> {
    let address = cluster_address().ok_or("index.html does not name the worker's script")?;
    let worker = web_sys::Worker::new(&address)?;
    let listener = Closure::<dyn Fn(web_sys::MessageEvent)>::new(move |event: web_sys::MessageEvent| {
        on_message(event.data());
    });
    worker.set_onmessage(Some(listener.as_ref().unchecked_ref()));
    listener.forget();
    Ok(worker)
}

#[component]
fn Page() -> impl IntoView {
    let state = RwSignal::new(String::from("starting"));
    let on_message = move |message: JsValue| {
        state.set(message.as_string().unwrap_or_default());
        // The browser tests read this mark: from here on the cluster is alive on the page.
        let _ = window().performance().map(|performance| performance.mark("kubetab-live"));
    };
    match start_cluster(on_message) {
        Ok(worker) => std::mem::forget(worker),
        Err(error) => state.set(format!("{error:?}")),
    }
    let parent = NodeRef::<leptos::html::Section>::new();
    Effect::new(move || {
        if let Some(parent) = parent.get() {
            leptos::task::spawn_local(async move {
                let options = editor::Options { text: "kind: Pod\n", dark: false, label: "Manifest" };
                match editor::Editor::create(&parent, &options, |_| {}, || {}).await {
                    Ok(editor) => std::mem::forget(editor),
                    Err(error) => leptos::logging::error!("{error:?}"),
                }
            });
        }
    });
    view! {
        <main>
            <h1>"Kubetab"</h1>
            <p id="cluster-state">{state}</p>
            <section node_ref=parent></section>
        </main>
    }
}
