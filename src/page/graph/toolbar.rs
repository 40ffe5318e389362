//! What is shown of the cluster, and how.

use leptos::prelude::*;

use crate::key;
use crate::view::protocol::Command;

use super::camera::{Camera, Zoom};
use crate::page::erase::{hear, t};
use crate::page::icons::{Icon, icon};
use crate::page::state::App;

#[component]
pub(super) fn Toolbar(app: App, camera: Camera, as_table: RwSignal<bool>, all_edges: RwSignal<bool>) -> impl IntoView {
    let filter = move || app.send(&Command::Filter(app.filter.get_untracked()));
    let choose_namespace = move |event: web_sys::Event| {
        let value = event_target_value(&event);
        app.filter.update(|filter| filter.namespace = (!value.is_empty()).then_some(value));
        filter();
    };
    let write_selector = move |event: web_sys::Event| {
        let value = event_target_value(&event);
        app.filter.update(|filter| filter.selector = value);
        filter();
    };
    let namespaces = Memo::new(move |_| app.cluster.scene.with(|scene| scene.namespaces.clone()));
    let hidden = Memo::new(move |_| app.cluster.scene.with(|scene| scene.hidden_pods));
    view! {
        <div class="toolbar">
            <div class="segments" role="group" aria-label=t!(app, "graph.form")>
                <button class="segment" aria-pressed=move || (!as_table.get()).to_string() on:click=hear(move |_| as_table.set(false))>
                    {icon(Icon::Graph)}<span>{t!(app, "graph.picture")}</span>
                </button>
                <button class="segment" id="as-table" aria-pressed=move || as_table.get().to_string() on:click=hear(move |_| as_table.set(true))>
                    {icon(Icon::Table)}<span>{t!(app, "graph.table")}</span>
                </button>
            </div>
            <select
                id="namespace"
                class="field"
                aria-label=t!(app, "filter.namespace")
                on:change=hear(choose_namespace)
                prop:value=move || app.filter.with(|filter| filter.namespace.clone()).unwrap_or_default()
            >
                <option value="">{t!(app, "filter.all")}</option>
                <For each=move || namespaces.get() key=Clone::clone children=move |name| {
                    let value = name.clone();
                    let chosen = name.clone();
                    let selected = move || app.filter.with(|filter| filter.namespace.as_deref() == Some(&chosen));
                    view! { <option value=value selected=selected>{name}</option> }
                }/>
            </select>
            <input
                id="selector"
                class="field selector"
                type="text"
                spellcheck="false"
                autocomplete="off"
                aria-label=t!(app, "filter.selector")
                aria-invalid=move || app.filter_error.with(Option::is_some).to_string()
                aria-describedby="selector-error"
                placeholder="app=web"
                prop:value=move || app.filter.with(|filter| filter.selector.clone())
                on:input=hear(write_selector)
            />
            <span id="selector-error" class="small bad" role="status">{move || app.filter_error.get()}</span>
            <span class="small soft">
                {move || match hidden.get() {
                    0 => String::new(),
                    some => app.fill(key!("filter.hidden"), &[&some.to_string()]),
                }}
            </span>
            <span class="space"></span>
            <button
                id="all-edges"
                class="square"
                aria-pressed=move || all_edges.get().to_string()
                aria-label=t!(app, "graph.edges")
                title=t!(app, "graph.edges")
                on:click=hear(move |_| all_edges.update(|all| *all = !*all))
            >
                {icon(Icon::Edges)}
            </button>
            <Zoom app=app camera=camera/>
        </div>
    }
}
