//! The picture of the cluster: what there is, where it runs, and what travels between.

mod camera;
mod drawing;
mod edges;
mod keys;
mod node;
mod part;
mod pod;
mod signs;
mod toolbar;
mod traffic;
mod workload;

use leptos::prelude::*;
use leptos::reactive::computed::Selector;

use crate::key;
use crate::view::layout::{Layout, Window, layout};
use crate::view::{Actor, Selection, Subject};

use super::erase::{hear, t};
use super::outline::Outline;
use super::state::App;

use camera::{Camera, Stage as CameraStage};

pub(super) use drawing::Drawing;
pub(super) use node::state_word;
pub(super) use part::{name as part_name, purpose as part_purpose};
pub(super) use workload::{count, progress_word};

/// What the items of the graph share.
#[derive(Clone, Copy)]
pub(super) struct Stage {
    pub(super) app: App,
    pub(super) layout: Memo<Layout>,
    /// The item that the keyboard reaches first; the arrow keys move it.
    pub(super) stop: RwSignal<String>,
    pub(super) hovered: RwSignal<Option<String>>,
    selectors: StoredValue<(Selector<String>, Selector<Option<Selection>>)>,
}

impl Stage {
    fn new(app: App, window: RwSignal<Window>) -> Self {
        let layout = Memo::new(move |_| app.cluster.scene.with(|scene| layout(scene, window.get())));
        let stop = RwSignal::new(part::id(&Actor::ApiServer));
        let stops = Selector::new(move || stop.get());
        let selected = Selector::new(move || app.selection.get());
        Self { app, layout, stop, hovered: RwSignal::default(), selectors: StoredValue::new((stops, selected)) }
    }

    /// `0` for the one item that Tab reaches, `-1` for the others.
    fn tab_index(self, id: &str) -> &'static str {
        let id = id.to_owned();
        if self.selectors.with_value(|(stops, _)| stops.selected(&id)) { "0" } else { "-1" }
    }

    fn is_selected(self, selection: &Selection) -> bool {
        let selection = Some(selection.clone());
        self.selectors.with_value(|(_, selected)| selected.selected(&selection))
    }
}

/// What every item of the graph has in common: it can be reached, named, chosen and pointed at.
#[component]
fn Item(
    stage: Stage,
    /// The element's id.
    id: String,
    /// The item's class beside `item`.
    #[prop(into)]
    class: Signal<String>,
    /// What is selected by it.
    selection: Selection,
    /// Its name for those who do not see it.
    #[prop(into)]
    label: Signal<String>,
    /// Where it stands.
    #[prop(into)]
    place: Signal<(f64, f64)>,
    children: Children,
) -> impl IntoView {
    let (tab_id, hover_id) = (id.clone(), id.clone());
    let (chosen, pressed) = (selection.clone(), selection.clone());
    let choose = move || {
        let again = stage.app.selection.get_untracked().as_ref() == Some(&selection);
        stage.app.select((!again).then(|| selection.clone()));
    };
    let on_key = {
        let choose = choose.clone();
        move |event: web_sys::KeyboardEvent| {
            if matches!(event.key().as_str(), "Enter" | " ") {
                event.prevent_default();
                choose();
            }
        }
    };
    view! {
        <g
            id=id
            class=move || format!("item {}", class.get())
            class:selected=move || stage.is_selected(&chosen)
            role="button"
            tabindex=move || stage.tab_index(&tab_id)
            aria-label=move || label.get()
            aria-pressed=move || if stage.is_selected(&pressed) { "true" } else { "false" }
            style:transform=move || place.with(|(x, y)| drawing::moved(*x, *y))
            on:click=hear(move |_| choose())
            on:keydown=hear(on_key)
            on:pointerenter=hear(move |_| stage.hovered.set(Some(hover_id.clone())))
            on:pointerleave=hear(move |_| stage.hovered.set(None))
        >
            {children()}
        </g>
    }
}

/// The graph with its tools, or the same as a table.
#[component]
pub(super) fn Graph(app: App) -> impl IntoView {
    let as_table = RwSignal::new(false);
    let window = RwSignal::new(Window { width: 720.0, height: 560.0 });
    let stage = Stage::new(app, window);
    let camera = Camera::new(stage.layout, window);
    let all_edges = RwSignal::new(false);
    view! {
        <section class="graph" aria-label=t!(app, "graph.title") data-room="graph">
            <toolbar::Toolbar app=app camera=camera as_table=as_table all_edges=all_edges/>
            {move || {
                if as_table.get() {
                    view! { <Outline app=app/> }.into_any()
                } else {
                    view! { <Picture stage=stage camera=camera window=window all_edges=all_edges/> }.into_any()
                }
            }}
        </section>
    }
}

#[component]
fn Picture(stage: Stage, camera: Camera, window: RwSignal<Window>, all_edges: RwSignal<bool>) -> impl IntoView {
    let app = stage.app;
    let items = move || {
        view! {
            <edges::Wires stage=stage/>
            <part::Parts stage=stage/>
            <workload::Workloads stage=stage/>
            <workload::Services stage=stage/>
            <node::Tray stage=stage/>
            <node::Nodes stage=stage/>
            <edges::Edges stage=stage all=all_edges/>
            <pod::Pods stage=stage/>
            <traffic::Traffic stage=stage/>
        }
    };
    view! {
        <CameraStage camera=camera window=window>
            <g
                class="items"
                role="group"
                aria-label=move || app.text(key!("graph.items"))
                on:keydown=hear(move |event| keys::move_focus(stage, &event))
                on:focusin=hear(move |event| keys::remember_focus(stage, &event))
            >
                {items()}
            </g>
        </CameraStage>
    }
}

/// Things of one kind, each drawn once under its key and then moved and changed.
fn each(stage: Stage, keys: Memo<Vec<String>>, draw: fn(Stage, String) -> AnyView) -> AnyView {
    view! { <For each=move || keys.get() key=Clone::clone children=move |key| draw(stage, key)/> }.into_any()
}

/// A subject as something that can be selected.
fn object(kind: &str, namespace: &str, name: &str) -> Selection {
    Selection::Object(Subject::new(kind, namespace, name))
}
