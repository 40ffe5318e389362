//! The page: Leptos components around the cluster, which runs in a Web Worker.

pub mod editor;

mod breaking;
mod dialogs;
mod editor_pane;
mod erase;
mod graph;
mod icons;
mod inspector;
mod lesson;
mod link;
mod looks;
mod outline;
mod ports;
mod requests;
mod state;
mod storage;
mod terminal;
mod timeline;
mod topbar;

use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, closure::Closure};

use crate::session::File;
use crate::view::protocol::{Command, Start};
use crate::view::words::Language;

use erase::{hear, t};
use state::{App, Engine, Room};

const LANGUAGE: &str = "kubetab.language";
const THEME: &str = "kubetab.theme";
const FOLDED: &str = "kubetab.folded";
const PANEL: &str = "kubetab.panel";

/// What the editor holds when nobody has written anything yet.
const FIRST_FILE: &str = include_str!("../../assets/editor/first.yaml");

/// Puts the page into the document's body, in place of the words shown while it loads.
pub fn mount() {
    if let Some(starting) = document().get_element_by_id("starting") {
        starting.remove();
    }
    mount_to_body(Page);
}

fn parameter(name: &str) -> Option<String> {
    let search = window().location().search().unwrap_or_default();
    web_sys::UrlSearchParams::new_with_str(&search).ok()?.get(name)
}

/// Whether the page stands in a slide, as `?embed=1` asks: the cluster alone.
fn is_embedded() -> bool {
    parameter("embed").is_some()
}

fn first_language() -> Language {
    let browser = || window().navigator().language();
    parameter("lang")
        .or_else(|| storage::load(LANGUAGE))
        .or_else(browser)
        .and_then(|tag| Language::from_tag(&tag))
        .unwrap_or_default()
}

/// Whether the system is dark, now and whenever that changes.
fn prefers_dark() -> RwSignal<bool> {
    let Some(query) = window().match_media("(prefers-color-scheme: dark)").ok().flatten() else {
        return RwSignal::new(false);
    };
    let dark = RwSignal::new(query.matches());
    let changed = Closure::<dyn Fn(web_sys::Event)>::new({
        let query = query.clone();
        move |_| dark.set(query.matches())
    });
    // A browser that does not tell of the change keeps the looks it had when the page was opened.
    let _ = query.add_event_listener_with_callback("change", changed.as_ref().unchecked_ref());
    changed.forget();
    dark
}

/// Writes an attribute of `<html>`, which style sheets and screen readers read.
fn set_root(name: &str, value: &str) {
    if let Some(root) = document().document_element() {
        // Only an invalid name could be refused, and these are constants.
        let _ = root.set_attribute(name, value);
    }
}

/// The session to begin with: a shared link, or what was saved, or a new one.
fn first_commands(app: App) -> Vec<Command> {
    let hash = window().location().hash().unwrap_or_default();
    let saved = app.saved.get_untracked();
    let mut commands = Vec::new();
    let own = if saved.is_empty() { Start::New } else { Start::Text(saved.clone()) };
    commands.push(Command::Open { start: own, play: storage::load_playing() });
    if hash.starts_with("#v") {
        if !saved.is_empty() {
            app.keep_branch(state::Branch { text: saved, clock: String::from("…") });
        }
        commands.push(Command::Open { start: Start::Text(hash), play: false });
        forget_link();
    } else if let Some(id) = parameter("scenario") {
        commands.push(Command::Open { start: Start::Scenario(id), play: true });
    }
    if commands.len() == 1
        && let Some((id, _)) = storage::load_lesson()
    {
        commands.push(Command::Lesson(id));
    }
    commands.push(Command::Events(true));
    commands
}

/// Takes the link out of the address: reloading shall continue the work, not open the link again. A slide has no work
/// of its own, and opens its link every time.
fn forget_link() {
    if is_embedded() {
        return;
    }
    let location = window().location();
    let address = location.pathname().unwrap_or_default() + &location.search().unwrap_or_default();
    if let Ok(history) = window().history() {
        // Should the browser refuse, the link stays in the address, and the session is kept all the same.
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&address));
    }
}

/// Opens a link that is put into the address while the page is there.
fn watch_address(app: App) {
    let changed = Closure::<dyn Fn()>::new(move || {
        let hash = window().location().hash().unwrap_or_default();
        if hash.starts_with("#v") {
            forget_link();
            app.open(Start::Text(hash), false);
        }
    });
    // Without it such a link is opened by reloading.
    let _ = window().add_event_listener_with_callback("hashchange", changed.as_ref().unchecked_ref());
    changed.forget();
}

/// Knows whether a part of the page is missing because it could not be loaded; `assets/start/start.js` tells of it.
fn watch_parts(app: App) {
    for (event, is_missing) in [("kubetab-missing", true), ("kubetab-complete", false)] {
        let told = Closure::<dyn Fn()>::new(move || app.incomplete.set(is_missing));
        // Without it the part is asked for all the same.
        let _ = window().add_event_listener_with_callback(event, told.as_ref().unchecked_ref());
        told.forget();
    }
}

#[component]
fn Page() -> impl IntoView {
    let embedded = is_embedded();
    let app = App::new(first_language(), prefers_dark(), embedded);
    if app.files.list.with_untracked(Vec::is_empty) {
        app.files.list.set(vec![File { name: "web.yaml".to_owned(), text: FIRST_FILE.to_owned() }]);
    }
    app.files.current.set(app.files.list.with_untracked(|list| list[0].name.clone()));
    Effect::new(move || {
        let language = app.language.get();
        set_root("lang", language.code());
        storage::save(LANGUAGE, language.code());
    });
    Effect::new(move || set_root("data-theme", if app.dark.get() { "dark" } else { "light" }));
    // Until the cluster is there, what was kept of the last visit still holds.
    let playing = Memo::new(move |_| match app.cluster.frames.get() {
        0 => storage::load_playing(),
        _ => app.cluster.clock.with(|clock| clock.playing),
    });
    Effect::new(move || storage::save(THEME, app.theme.get().id()));
    Effect::new(move || app.folded.with(|folded| storage::save(FOLDED, &folded.0)));
    Effect::new(move || storage::save(PANEL, app.panel.get().id()));
    Effect::new(move |live: Option<bool>| {
        let drawn = app.cluster.frames.get() > 0;
        if drawn && live != Some(true) {
            // The browser tests read this mark: from here on the cluster is alive on the page.
            let _ = window().performance().map(|performance| performance.mark("kubetab-live"));
        }
        drawn || live == Some(true)
    });
    Effect::new(move || storage::save_playing(playing.get()));
    Effect::new(move || {
        let taken = app.lesson.get();
        if app.cluster.frames.get() > 0 {
            storage::save_lesson(taken.as_ref().map(|taken| (taken.lesson.id.as_str(), taken.step)));
        }
    });
    link::start(app, &first_commands(app));
    watch_address(app);
    watch_parts(app);
    view! {
        <div
            id="kubetab"
            class="page"
            class:embedded=embedded
            data-engine=move || app.engine.with(Engine::id)
            data-clock=move || app.cluster.clock.with(|clock| clock.now.as_micros())
            data-playing=move || app.cluster.clock.with(|clock| clock.playing).to_string()
            data-hash=move || app.cluster.hash.get()
            data-revision=move || app.cluster.counts.with(|counts| counts.revision)
            data-steps=move || app.cluster.clock.with(|clock| clock.steps)
            data-room=move || app.room.get().id()
            data-folded=move || app.folded.with(|folded| folded.0.clone())
        >
            <topbar::TopBar app=app/>
            <Banner app=app/>
            <Incomplete app=app/>
            <main class="rooms">
                {(!embedded).then(|| view! { <editor_pane::EditorPane app=app/> })}
                <div class="middle">
                    <lesson::LessonPanel app=app/>
                    <graph::Graph app=app/>
                </div>
                {(!embedded).then(|| view! { <inspector::Inspector app=app/> })}
                <timeline::Timeline app=app/>
            </main>
            <RoomTabs app=app/>
            <dialogs::Dialogs app=app/>
            <div class="notices" role="status" aria-live="polite">
                {move || app.notices.get().into_iter().map(|notice| {
                    view! { <p class=if notice.bad { "notice bad" } else { "notice" }>{notice.text}</p> }
                }).collect_view()}
            </div>
        </div>
    }
}

/// What is said when the engine has died.
#[component]
fn Banner(app: App) -> impl IntoView {
    move || {
        match app.engine.get() {
        Engine::Restored => Some(
            view! {
                <div class="banner" role="status">
                    <span>{t!(app, "engine.restored")}</span>
                    <button on:click=hear(move |_| app.engine.set(Engine::Live))>{t!(app, "close")}</button>
                </div>
            }
            .into_any(),
        ),
        Engine::Dead(why) => Some(
            view! {
                <div class="banner bad" role="alert">
                    <span>{t!(app, "engine.dead")}" "<code>{why}</code></span>
                    <button id="revive" on:click=hear(move |_| link::revive(app, false))>{t!(app, "engine.revive")}</button>
                    <button id="undo-last" on:click=hear(move |_| link::revive(app, true))>{t!(app, "engine.undo")}</button>
                </div>
            }
            .into_any(),
        ),
        Engine::Starting | Engine::Live => None,
    }
    }
}

/// What is said while a part of the page cannot be loaded.
#[component]
fn Incomplete(app: App) -> impl IntoView {
    move || {
        app.incomplete.get().then(|| {
            view! {
                <div class="banner bad" id="incomplete" role="alert">
                    <span>{t!(app, "page.incomplete")}</span>
                </div>
            }
            .into_any()
        })
    }
}

/// On a phone one room is seen at a time.
#[component]
fn RoomTabs(app: App) -> impl IntoView {
    let tab = move |room: Room, key: crate::view::words::Key| {
        view! {
            <button aria-pressed=move || (app.room.get() == room).to_string() on:click=hear(move |_| app.show(room))>
                {move || app.text(key)}
            </button>
        }
    };
    view! {
        <nav class="tabs-bottom" aria-label=t!(app, "rooms")>
            {tab(Room::Editor, crate::key!("room.editor"))}
            {tab(Room::Graph, crate::key!("room.graph"))}
            {tab(Room::Inspector, crate::key!("room.inspector"))}
            {tab(Room::Events, crate::key!("room.events"))}
            {tab(Room::Terminal, crate::key!("room.terminal"))}
            {tab(Room::Requests, crate::key!("room.requests"))}
        </nav>
    }
}
