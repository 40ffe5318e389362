//! What the terminal's programs need of the page: a look behind the ports that they hold open, and files from afar.

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::view::terminal::{PortAnswer, TerminalInput};

use super::erase::{hear, t};
use super::state::App;

#[wasm_bindgen(module = "/assets/page/descriptions.js")]
extern "C" {
    #[wasm_bindgen(js_name = fetchDescriptions, catch)]
    async fn fetch_descriptions() -> Result<JsValue, JsValue>;
}

/// Fetches a file that a program waits for. Without it the program goes on as well as it can.
pub(super) fn fetch(app: App, path: String) {
    spawn_local(async move {
        let text = fetch_descriptions().await.ok().and_then(|text| text.as_string()).unwrap_or_default();
        app.tell_terminal(TerminalInput::Fetched { path, text });
    });
}

/// A field for a path behind each open port, and what was answered there last.
pub(super) fn panel(app: App) -> AnyView {
    let ports = app.screen.ports;
    view! {
        <div class="ports" hidden=move || ports.with(Vec::is_empty)>
            {move || ports.get().into_iter().map(|port| port_row(app, port)).collect_view()}
        </div>
    }
    .into_any()
}

fn port_row(app: App, port: u16) -> AnyView {
    let path = RwSignal::new("/".to_owned());
    let ask = move |event: SubmitEvent| {
        event.prevent_default();
        app.tell_terminal(TerminalInput::Request { port, path: path.get_untracked() });
    };
    let name = format!("port-{port}");
    let answer = move || app.screen.answer.get().filter(|answer| answer.port == port).map(|answer| shown(app, answer));
    view! {
        <form class="port" on:submit=hear(ask)>
            <label for=name.clone()>{format!("http://localhost:{port}")}</label>
            <input id=name class="field" autocomplete="off" spellcheck="false" prop:value=move || path.get() on:input=hear(move |event| path.set(event_target_value(&event)))/>
            <button class="pill">{t!(app, "terminal.request")}</button>
        </form>
        <div class="answer" role="status" aria-live="polite">{answer}</div>
    }
    .into_any()
}

fn shown(app: App, answer: PortAnswer) -> AnyView {
    if answer.status.is_empty() {
        return view! { <p>{t!(app, "terminal.no-answer")}</p> }.into_any();
    }
    view! {
        <p><strong>{answer.status}</strong></p>
        <pre tabindex="0">{answer.headers}"\n"{answer.body}</pre>
    }
    .into_any()
}
