//! Everything that can go wrong, as buttons: in the menu of the top bar and beside what is selected.

use leptos::prelude::*;
use wasm_bindgen::JsCast as _;

use crate::key;
use crate::session::{Action, Disturbance, NodeName};
use crate::sim::ComponentFault;
use crate::view::layout::{in_order, natural};
use crate::view::words::Key;
use crate::view::{Actor, Selection, Subject};

use super::erase::{hear, t};
use super::graph::part_name;
use super::icons::{Icon, icon};
use super::state::{App, Dialog};

/// Something that can go wrong with a thing.
struct Fault {
    /// A name for tests.
    id: &'static str,
    /// What stands on the button.
    short: Key,
    /// The same with the thing's name, for those who hear the button alone.
    long: Key,
    action: Action,
}

/// What can go wrong with a node, or be set right again.
fn of_node(app: App, name: &str) -> Vec<Fault> {
    let fault = app.cluster.scene.with_untracked(|scene| scene.nodes.get(name).and_then(|node| node.fault.clone()));
    let to = || NodeName { name: name.to_owned() };
    let remove = Fault {
        id: "remove",
        short: key!("fault.remove"),
        long: key!("break.remove"),
        action: Action::RemoveNode(to()),
    };
    match fault.as_deref() {
        Some("stopped") => vec![
            Fault {
                id: "start",
                short: key!("fault.start"),
                long: key!("break.start"),
                action: Action::StartNode(to()),
            },
            remove,
        ],
        Some(_) => vec![
            Fault { id: "heal", short: key!("fault.heal"), long: key!("break.heal"), action: Action::HealNode(to()) },
            remove,
        ],
        None => vec![
            Fault { id: "stop", short: key!("fault.stop"), long: key!("break.stop"), action: Action::StopNode(to()) },
            Fault {
                id: "partition",
                short: key!("fault.partition"),
                long: key!("break.partition"),
                action: Action::PartitionNode(to()),
            },
            remove,
        ],
    }
}

/// What can go wrong with a pod.
fn of_pod(app: App, namespace: &str, name: &str) -> Vec<Fault> {
    let crash = Action::CrashContainer { namespace: namespace.into(), pod: name.into(), container: String::new() };
    let probe = |probe: &str, fails| Action::FailProbe {
        namespace: namespace.into(),
        pod: name.into(),
        container: String::new(),
        probe: probe.into(),
        fails,
    };
    let mut faults = vec![
        Fault { id: "crash", short: key!("fault.crash"), long: key!("break.crash"), action: crash },
        Fault {
            id: "fail-readiness",
            short: key!("fault.readiness"),
            long: key!("break.readiness"),
            action: probe("readiness", true),
        },
        Fault {
            id: "fail-liveness",
            short: key!("fault.liveness"),
            long: key!("break.liveness"),
            action: probe("liveness", true),
        },
        Fault {
            id: "mend-readiness",
            short: key!("fault.ready-again"),
            long: key!("break.ready-again"),
            action: probe("readiness", false),
        },
    ];
    let image = app.cluster.scene.with_untracked(|scene| {
        let pod = scene.pods.values().find(|pod| pod.name == name && pod.namespace == namespace);
        pod.and_then(|pod| pod.images.first().cloned())
    });
    if let Some(image) = image {
        let action = Action::BreakImage { image, broken: true };
        faults.push(Fault { id: "break-its-image", short: key!("fault.image"), long: key!("break.its-image"), action });
    }
    faults
}

/// The parts of the control plane that can be stopped.
const STOPPABLE: [Actor; 3] = [Actor::Scheduler, Actor::Controllers, Actor::Cloud];

/// What can happen to a part of the control plane.
fn of_part(app: App, part: &Actor) -> Vec<Fault> {
    let disturb = |fault| Action::Disturb(Disturbance { component: part.id().to_owned(), fault });
    let fault = |id, short, long, fault| Fault { id, short, long, action: disturb(fault) };
    if app.cluster.counts.with_untracked(|counts| counts.is_down(part)) {
        return vec![fault("start", key!("fault.begin"), key!("break.begin"), ComponentFault::Start)];
    }
    vec![
        fault("stop", key!("fault.end"), key!("break.end"), ComponentFault::Stop),
        fault("restart", key!("fault.restart"), key!("break.restart"), ComponentFault::Restart),
    ]
}

/// The buttons that stop a part of the control plane, for the inspector.
pub(super) fn part_buttons(app: App, part: &Actor) -> AnyView {
    if !STOPPABLE.contains(part) {
        return ().into_any();
    }
    let (part, of) = (part.clone(), part.clone());
    let is_down = Memo::new(move |_| app.cluster.counts.with(|counts| counts.is_down(&of)));
    let buttons = move || {
        // As above: what is only tracked follows nothing.
        let _ = is_down.get();
        of_part(app, &part).into_iter().map(|fault| button(app, part.id(), fault, || ())).collect_view()
    };
    view! { <div class="faults" role="group" aria-label=t!(app, "break")>{icon(Icon::Bolt)}{buttons}</div> }.into_any()
}

/// The faults of an object, if it is one that can break.
fn of(app: App, subject: &Subject) -> Vec<Fault> {
    match subject.kind.as_str() {
        "Node" => of_node(app, &subject.name),
        "Pod" => of_pod(app, &subject.namespace, &subject.name),
        _ => Vec::new(),
    }
}

fn button(app: App, name: &str, fault: Fault, done: impl Fn() + 'static) -> AnyView {
    let Fault { id, short, long, action } = fault;
    let label = app.fill(long, &[name]);
    let act = move |_| {
        app.act(action.clone());
        done();
    };
    view! { <button id=format!("{id}-{name}") class="fault" title=label.clone() aria-label=label on:click=hear(act)>{move || app.text(short)}</button> }
        .into_any()
}

/// The buttons that break an object, for the inspector.
pub(super) fn buttons(app: App, subject: &Subject) -> AnyView {
    if !matches!(subject.kind.as_str(), "Node" | "Pod") {
        return ().into_any();
    }
    let (name, subject) = (subject.name.clone(), subject.clone());
    // A node that was stopped can be started: what is offered follows what was done.
    let fault = Memo::new({
        let name = name.clone();
        move |_| app.cluster.scene.with(|scene| scene.nodes.get(&name).and_then(|node| node.fault.clone()))
    });
    let buttons = move || {
        // To track it is not enough: a memo that nobody reads follows nothing.
        fault.with(|_| ());
        of(app, &subject).into_iter().map(|fault| button(app, &name, fault, || ())).collect_view()
    };
    view! { <div class="faults" role="group" aria-label=t!(app, "break")>{icon(Icon::Bolt)}{buttons}</div> }.into_any()
}

/// A menu of everything that can go wrong.
#[component]
pub(super) fn BreakIt(app: App) -> impl IntoView {
    let open = RwSignal::new(false);
    let menu = NodeRef::<leptos::html::Div>::new();
    let on_blur = move |event: web_sys::FocusEvent| {
        let to = event.related_target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        if !menu.get_untracked().is_some_and(|menu| menu.contains(to.as_ref())) {
            open.set(false);
        }
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        if event.key() == "Escape" {
            open.set(false);
            if let Some(button) = document().get_element_by_id("break") {
                // Whatever had the focus in the menu is gone with it.
                let _ = button.unchecked_into::<web_sys::HtmlElement>().focus();
            }
        }
    };
    view! {
        <div class="menu" node_ref=menu on:focusout=hear(on_blur) on:keydown=hear(on_key)>
            <button id="break" class="pill" aria-label=t!(app, "break") aria-expanded=move || open.get().to_string() on:click=hear(move |_| open.update(|open| *open = !*open))>
                {icon(Icon::Bolt)}<span class="label">{t!(app, "break")}</span>
            </button>
            {move || open.get().then(|| entries(app, open))}
        </div>
    }
}

fn entries(app: App, open: RwSignal<bool>) -> AnyView {
    let entry = move |id: &'static str, key: Key, dialog: Dialog| {
        let ask = move |_| {
            open.set(false);
            app.dialog.set(Some(dialog.clone()));
        };
        view! { <button id=id on:click=hear(ask)>{move || app.text(key)}</button> }.into_any()
    };
    let row = move |subject: Subject| {
        let name = subject.name.clone();
        let buttons = of(app, &subject)
            .into_iter()
            .map(|fault| button(app, &subject.name, fault, move || open.set(false)))
            .collect_view();
        view! { <div class="menu-row" role="group" aria-label=name.clone()><b>{name.clone()}</b><span class="menu-faults">{buttons}</span></div> }.into_any()
    };
    let pod = match app.selection.get_untracked() {
        Some(Selection::Object(subject)) if subject.kind == "Pod" => row(subject),
        _ => view! { <p class="soft small menu-hint">{t!(app, "break.select-pod")}</p> }.into_any(),
    };
    let nodes = app.cluster.scene.with_untracked(|scene| {
        let names: Vec<&String> = scene.nodes.keys().collect();
        in_order(names, |name| natural(name)).into_iter().cloned().collect::<Vec<_>>()
    });
    let nodes = nodes.into_iter().map(|name| row(Subject::new("Node", "", name))).collect_view();
    let parts = STOPPABLE.into_iter().map(|part| {
        let buttons = of_part(app, &part).into_iter().map(|fault| button(app, part.id(), fault, move || open.set(false)));
        let name = part_name(&part);
        view! { <div class="menu-row" role="group" aria-label=move || app.text(name)><b>{move || app.text(name)}</b><span class="menu-faults">{buttons.collect_view()}</span></div> }.into_any()
    });
    view! {
        <div class="menu-list">
            {pod}
            {nodes}
            {parts.collect_view()}
            <div class="menu-row">
                {entry("add-node", key!("break.add"), Dialog::AddNode)}
                {entry("break-image", key!("break.image"), Dialog::BreakImage)}
            </div>
        </div>
    }
    .into_any()
}
