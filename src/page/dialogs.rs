//! Dialogs: the browser's own `<dialog>`, which keeps the focus inside and closes with Escape.

use leptos::prelude::*;

use crate::key;
use crate::session::scenario::{Card, Group};
use crate::session::{Action, NodeName, ObjectName};
use crate::sim::{NodeGroupSpec, NodeSpec, NodeTaint};
use crate::view::protocol::{Command, Start};
use crate::view::scene::NodeGroupView;
use crate::view::words::Key;

use super::erase::{hear, t};
use super::icons::{Icon, icon};
use super::lesson::localised;
use super::state::{App, Dialog};

/// Some chat programs cut addresses that are longer than this.
const LINK_CUT: usize = 2_000;
/// Many servers and programs refuse addresses that are longer than this.
const LINK_REFUSED: usize = 8_000;

#[component]
pub(super) fn Dialogs(app: App) -> impl IntoView {
    move || app.dialog.get().map(|dialog| view! { <Frame app=app dialog=dialog/> })
}

#[component]
fn Frame(app: App, dialog: Dialog) -> impl IntoView {
    let element = NodeRef::<leptos::html::Dialog>::new();
    Effect::new(move || {
        if let Some(dialog) = element.get() {
            // A dialog that is open already needs no opening.
            request_animation_frame(move || {
                let _ = dialog.show_modal();
            });
        }
    });
    let title = match &dialog {
        Dialog::Gallery => key!("gallery.title"),
        Dialog::Share => key!("share.title"),
        Dialog::AddNode => key!("break.add"),
        Dialog::BreakImage => key!("break.image"),
        Dialog::Delete(_) => key!("delete.title"),
    };
    let body = match dialog {
        Dialog::Gallery => gallery(app),
        Dialog::Share => share(app),
        Dialog::AddNode => add_node(app),
        Dialog::BreakImage => break_image(app),
        Dialog::Delete(object) => delete(app, object),
    };
    view! {
        <dialog class="dialog" node_ref=element aria-labelledby="dialog-title" on:close=hear(move |_| app.dialog.set(None))>
            <header><h2 id="dialog-title">{move || app.text(title)}</h2>
                <button class="square" aria-label=t!(app, "close") on:click=hear(move |_| app.dialog.set(None))>{icon(Icon::Close)}</button>
            </header>
            {body}
        </dialog>
    }
}

impl App {
    /// Shows what can be opened; the worker is asked for it when somebody wants to see it for the first time.
    pub(super) fn open_gallery(self) {
        if self.gallery.with_untracked(Vec::is_empty) {
            self.send(&Command::Gallery);
        }
        self.dialog.set(Some(Dialog::Gallery));
    }
}

fn gallery(app: App) -> AnyView {
    let new = view! { <CardButton app=app id="new".to_owned() start=Start::New title=app.text(key!("gallery.new")).to_owned() text=app.text(key!("gallery.new-text")).to_owned()/> };
    view! {
        <div class="cards">{new}</div>
        {move || app.gallery.with(|cards| cards.chunk_by(|left, right| left.group == right.group).map(|cards| section(app, cards)).collect_view())}
    }
    .into_any()
}

/// The cards of a group, under its heading.
fn section(app: App, cards: &[Card]) -> AnyView {
    let card = |card: &Card| {
        let (title, text) = (localised(app, &card.title), localised(app, &card.summary));
        view! { <CardButton app=app id=card.id.clone() start=Start::Scenario(card.id.clone()) title=title text=text/> }
    };
    let heading = heading(cards[0].group);
    view! {
        <section>
            <h3>{app.text(heading)}</h3>
            <div class="cards">{cards.iter().map(card).collect_view()}</div>
        </section>
    }
    .into_any()
}

const fn heading(group: Group) -> Key {
    match group {
        Group::Basics => key!("group.basics"),
        Group::RollOuts => key!("group.roll-outs"),
        Group::Workloads => key!("group.workloads"),
        Group::Scheduling => key!("group.scheduling"),
        Group::Network => key!("group.network"),
        Group::Storage => key!("group.storage"),
        Group::Safety => key!("group.safety"),
    }
}

#[component]
fn CardButton(app: App, id: String, start: Start, title: String, text: String) -> impl IntoView {
    let open = move |_| {
        app.dialog.set(None);
        app.open(start.clone(), true);
    };
    view! { <button class="card" id=format!("scenario-{id}") on:click=hear(open)><b>{title}</b><span>{text}</span></button> }
}

fn base_address() -> String {
    let location = window().location();
    location.origin().unwrap_or_default() + &location.pathname().unwrap_or_default()
}

fn share(app: App) -> AnyView {
    let address = move || format!("{}#{}", base_address(), app.saved.get());
    let warning = move || {
        let length = address().len();
        if length <= LINK_CUT {
            None
        } else if length <= LINK_REFUSED {
            Some(app.text(key!("share.cut")))
        } else {
            Some(app.text(key!("share.refused")))
        }
    };
    let embed = move || {
        format!("<iframe src=\"{}?embed=1#{}\" width=\"960\" height=\"600\"></iframe>", base_address(), app.saved.get())
    };
    let copy = move |text: String| {
        // Without leave to use the clipboard the text stands there to be copied by hand.
        let _ = window().navigator().clipboard().write_text(&text);
        app.notice(false, app.text(key!("share.copied")).to_owned());
    };
    let import = move |event: web_sys::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        let Some(file) = input.files().and_then(|files| files.get(0)) else { return };
        leptos::task::spawn_local(async move {
            if let Ok(text) = wasm_bindgen_futures::JsFuture::from(file.text()).await {
                app.dialog.set(None);
                app.open(Start::Text(text.as_string().unwrap_or_default()), false);
            }
        });
    };
    view! {
        <label>{t!(app, "share.link")}<textarea id="share-link" class="field" readonly=true rows="3" prop:value=address></textarea></label>
        <p class="small soft">{move || app.fill(key!("share.length"), &[&address().len().to_string()])}</p>
        <p class="small bad" role="status">{warning}</p>
        <button id="copy-link" class="pill on" on:click=hear(move |_| copy(address()))>{t!(app, "share.copy")}</button>
        <button id="export" class="pill" on:click=hear(move |_| app.send(&Command::Export))>{t!(app, "share.export")}</button>
        <label class="pill file">{t!(app, "share.import")}<input id="import" type="file" accept=".json,application/json" on:change=hear(import)/></label>
        <label>{t!(app, "share.embed")}<textarea class="field" readonly=true rows="2" prop:value=embed></textarea></label>
    }
    .into_any()
}

/// The items of a list with commas between; or the first that cannot be read.
fn items<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| read(item).ok_or_else(|| item.to_owned())).collect()
}

fn label(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
}

/// `key=value:Effect` or `key:Effect`.
fn taint(text: &str) -> Option<NodeTaint> {
    let (rest, effect) = text.rsplit_once(':')?;
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    Some(NodeTaint { key: key.to_owned(), value: value.to_owned(), effect: effect.to_owned() })
}

/// A line to be filled in.
fn field(app: App, id: &'static str, key: Key, value: RwSignal<String>, example: &'static str) -> AnyView {
    view! {
        <label>{move || app.text(key)}<input id=id class="field" spellcheck="false" autocomplete="off" placeholder=example prop:value=move || value.get() on:input=hear(move |event| value.set(event_target_value(&event)))/></label>
    }
    .into_any()
}

/// A group of machines like one, with its least and its largest size.
fn node_group(spec: NodeSpec, sizes: [RwSignal<String>; 2]) -> Result<Action, String> {
    let count = |value: RwSignal<String>| {
        let text = value.get_untracked();
        text.trim().parse().map_err(|_| text)
    };
    let [min, max] = sizes;
    let NodeSpec { name, labels, taints, capacity, .. } = spec;
    let group = NodeGroupSpec { name, min: count(min)?, max: count(max)?, labels, taints, capacity, stock: None };
    Ok(Action::SetNodeGroup(group))
}

fn add_node(app: App) -> AnyView {
    let name = RwSignal::new(app.cluster.scene.with_untracked(|scene| {
        (1..).map(|n| format!("node-{n}")).find(|name| !scene.nodes.contains_key(name)).unwrap_or_default()
    }));
    let text = |text: &str| RwSignal::new(text.to_owned());
    let (cpu, memory, pods, labels, taints) = (text("4"), text("8Gi"), text("110"), text(""), text(""));
    let (is_group, min, max) = (RwSignal::new(false), text("0"), text("5"));
    let wrong = RwSignal::new(None::<String>);
    let spec = move || -> Result<NodeSpec, String> {
        let amounts = [("cpu", cpu), ("memory", memory), ("pods", pods)];
        Ok(NodeSpec {
            name: name.get_untracked().trim().to_owned(),
            labels: items(&labels.get_untracked(), label)?.into_iter().collect(),
            taints: items(&taints.get_untracked(), taint)?,
            capacity: amounts.map(|(name, amount)| (name.to_owned(), amount.get_untracked())).into_iter().collect(),
            ..NodeSpec::default()
        })
    };
    let proposed = name.get_untracked();
    let choose = move |event: web_sys::Event| {
        is_group.set(event_target_checked(&event));
        // A group has another name than a node, unless somebody has chosen one already.
        if is_group.get_untracked() && name.get_untracked() == proposed {
            name.set("pool".to_owned());
        }
    };
    let action = move || match (spec()?, is_group.get_untracked()) {
        (spec, true) => node_group(spec, [min, max]),
        (spec, false) => Ok(Action::AddNode(spec)),
    };
    let add = move |_| match action() {
        Ok(action) => {
            app.dialog.set(None);
            app.act(action);
        }
        Err(item) => wrong.set(Some(app.fill(key!("break.unreadable"), &[&item]))),
    };
    view! {
        {field(app, "node-name", key!("outline.name"), name, "node-4")}
        <div class="fields">
            {field(app, "node-cpu", key!("node.cpu"), cpu, "4")}
            {field(app, "node-memory", key!("node.memory"), memory, "8Gi")}
            {field(app, "node-pods", key!("outline.pods"), pods, "110")}
        </div>
        {field(app, "node-labels", key!("break.labels"), labels, "zone=a,disk=ssd")}
        {field(app, "node-taints", key!("break.taints"), taints, "gpu=yes:NoSchedule")}
        <label class="check"><input id="node-group" type="checkbox" prop:checked=move || is_group.get() on:change=hear(choose)/>{t!(app, "group.as")}</label>
        {move || is_group.get().then(|| view! {
            <p class="small soft">{t!(app, "group.text")}</p>
            <div class="fields">
                {field(app, "group-min", key!("group.min"), min, "0")}
                {field(app, "group-max", key!("group.max"), max, "5")}
            </div>
        })}
        <p class="small bad" role="alert">{move || wrong.get()}</p>
        <button id="confirm" class="pill on" on:click=hear(add)>{move || app.text(if is_group.get() { key!("group.set") } else { key!("break.add") })}</button>
        {groups(app)}
    }
    .into_any()
}

/// The groups of machines that there are, each with a button to give it up.
fn groups(app: App) -> AnyView {
    let rows = move || {
        let groups = app.cluster.scene.with(|scene| scene.node_groups.clone());
        let row = move |group: NodeGroupView| {
            let name = group.name.clone();
            let give_up = move |_| app.act(Action::RemoveNodeGroup(NodeName { name: name.clone() }));
            let counts = [group.target, group.min, group.max].map(|count| count.to_string());
            let values = [group.name, counts[0].clone(), counts[1].clone(), counts[2].clone()];
            let text = move || app.fill(key!("group.is"), &values.each_ref().map(String::as_str));
            view! { <p class="small">{text}" "<button class="pill" on:click=hear(give_up)>{t!(app, "group.remove")}</button></p> }.into_any()
        };
        groups.into_iter().map(row).collect_view()
    };
    view! { <div>{rows}</div> }.into_any()
}

fn break_image(app: App) -> AnyView {
    let images = app.cluster.scene.with_untracked(|scene| {
        let mut images: Vec<String> = Vec::new();
        for image in scene.pods.values().flat_map(|pod| &pod.images) {
            if !images.contains(image) {
                images.push(image.clone());
            }
        }
        images
    });
    let image = RwSignal::new(images.first().cloned().unwrap_or_else(|| "nginx:1.28".to_owned()));
    let act = move |broken: bool| {
        app.dialog.set(None);
        app.act(Action::BreakImage { image: image.get_untracked(), broken });
    };
    view! {
        <label>{t!(app, "break.image-name")}<input id="image" class="field" list="images" prop:value=move || image.get() on:input=hear(move |event| image.set(event_target_value(&event)))/></label>
        <datalist id="images">{images.into_iter().map(|image| view! { <option value=image></option> }).collect_view()}</datalist>
        <button id="confirm" class="pill on" on:click=hear(move |_| act(true))>{t!(app, "break.image-off")}</button>
        <button id="mend" class="pill" on:click=hear(move |_| act(false))>{t!(app, "break.image-on")}</button>
    }
    .into_any()
}

fn delete(app: App, object: ObjectName) -> AnyView {
    let text = format!("{} {}", object.kind, object.name);
    let act = move |_| {
        app.dialog.set(None);
        app.act(Action::Delete { object: object.clone(), propagation: None, grace_period_seconds: None });
    };
    view! {
        <p>{move || app.fill(key!("delete.text"), &[&text])}</p>
        <button id="confirm" class="pill on" on:click=hear(act)>{t!(app, "inspector.delete")}</button>
        <button class="pill" on:click=hear(move |_| app.dialog.set(None))>{t!(app, "cancel")}</button>
    }
    .into_any()
}
