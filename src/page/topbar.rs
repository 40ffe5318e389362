//! The bar above: scenarios, time, breaking things, sharing, language and theme.

use leptos::prelude::*;
use wasm_bindgen::JsCast as _;

use crate::key;
use crate::session::{Action, NodeName};
use crate::view::protocol::{Command, Start};
use crate::view::words::Language;
use crate::view::{Selection, Subject};

use super::icons::{Icon, icon};
use super::state::{App, Dialog, t};
use super::storage;

const SPEEDS: [f64; 10] = [0.1, 0.25, 1.0, 2.0, 4.0, 10.0, 30.0, 100.0, 300.0, 1000.0];

#[component]
pub(super) fn TopBar(app: App, dark: RwSignal<bool>) -> impl IntoView {
    let toggle_theme = move |_| {
        dark.update(|dark| *dark = !*dark);
        storage::save(super::THEME, if dark.get_untracked() { "dark" } else { "light" });
    };
    let other_language = move || match app.language.get() {
        Language::English => Language::Korean,
        Language::Korean => Language::English,
    };
    view! {
        <header class="topbar">
            <span class="logo">"kube"<i>"tab"</i></span>
            {(!app.embedded).then(|| view! {
                <button id="gallery" class="pill" on:click=move |_| app.dialog.set(Some(Dialog::Gallery))>
                    {icon(Icon::Book)}<span>{t!(app, "gallery.open")}</span>
                </button>
            })}
            <span class="soft small version">{t!(app, "app.simulated")}</span>
            <TimeControls app=app/>
            {(!app.embedded).then(|| view! {
                <BreakIt app=app/>
                <button id="share" class="pill" on:click=move |_| app.dialog.set(Some(Dialog::Share))>
                    {icon(Icon::Share)}<span class="label">{t!(app, "share")}</span>
                </button>
            })}
            <button id="language" class="pill" lang=move || other_language().code() on:click=move |_| app.language.set(other_language())>
                {move || other_language().own_name()}
            </button>
            <button id="theme" class="pill" aria-label=t!(app, "theme") aria-pressed=move || dark.get().to_string() on:click=toggle_theme>
                {icon(Icon::Theme)}
            </button>
        </header>
    }
}

#[component]
fn TimeControls(app: App) -> impl IntoView {
    let clock = app.cluster.clock;
    let playing = Memo::new(move |_| clock.get().playing);
    let speed = Memo::new(move |_| clock.get().speed);
    let choose_speed = move |event: web_sys::Event| {
        if let Ok(speed) = event_target_value(&event).parse() {
            app.send(&Command::Speed(speed));
        }
    };
    let in_past = Memo::new(move |_| clock.with(|clock| clock.now < clock.end));
    view! {
        <div class="time" role="group" aria-label=t!(app, "time")>
            <button
                id="play"
                class="pill on"
                aria-label=move || if playing.get() { app.text(key!("time.pause")) } else { app.text(key!("time.play")) }
                on:click=move |_| app.send(&Command::Play(!playing.get_untracked()))
            >
                {move || icon(if playing.get() { Icon::Pause } else { Icon::Play })}
                <span class="label">{move || if playing.get() { app.text(key!("time.pause")) } else { app.text(key!("time.play")) }}</span>
            </button>
            <button id="step" class="pill" title=t!(app, "time.step") aria-label=t!(app, "time.step") on:click=move |_| app.send(&Command::Step)>
                {icon(Icon::Step)}
            </button>
            <button id="until-idle" class="pill" title=t!(app, "time.idle") aria-label=t!(app, "time.idle") on:click=move |_| app.send(&Command::UntilIdle)>
                {icon(Icon::Idle)}
            </button>
            <select id="speed" class="field" aria-label=t!(app, "time.speed") on:change=choose_speed>
                {SPEEDS.map(|value| view! {
                    <option value=value.to_string() selected=move || (speed.get() - value).abs() < 1e-9>{format!("{value}×")}</option>
                }).into_iter().collect_view()}
            </select>
            <output id="clock" class="clock" aria-label=t!(app, "time.clock")>{move || app.clock_text(clock.get().now)}</output>
            {move || in_past.get().then(|| view! {
                <button id="fork" class="pill" on:click=move |_| app.send(&Command::Fork)>
                    {icon(Icon::Fork)}<span class="label">{t!(app, "time.fork")}</span>
                </button>
            })}
            {move || {
                let branches = app.branches.get();
                (!branches.is_empty() && !app.embedded).then(|| view! {
                    <select id="branches" class="field" aria-label=t!(app, "branch.choose") on:change=move |event| {
                        let index: Option<usize> = event_target_value(&event).parse().ok();
                        let branch = index.and_then(|index| app.branches.with_untracked(|all| all.get(index).cloned()));
                        if let Some(branch) = branch { app.open(Start::Text(branch.text)) }
                    }>
                        <option value="">{t!(app, "branch.choose")}</option>
                        {branches.into_iter().enumerate().map(|(index, branch)| {
                            let name = app.fill(key!("branch.until"), &[&branch.clock]);
                            view! { <option value=index.to_string()>{name}</option> }
                        }).collect_view()}
                    </select>
                })
            }}
        </div>
    }
}

/// A menu of everything that can go wrong. What it does depends on what is selected.
#[component]
fn BreakIt(app: App) -> impl IntoView {
    let open = RwSignal::new(false);
    let menu = NodeRef::<leptos::html::Div>::new();
    let on_blur = move |event: web_sys::FocusEvent| {
        let to = event.related_target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        if !menu.get_untracked().is_some_and(|menu| menu.contains(to.as_ref())) {
            open.set(false);
        }
    };
    view! {
        <div class="menu" node_ref=menu on:focusout=on_blur on:keydown=move |event| if event.key() == "Escape" { open.set(false) }>
            <button id="break" class="pill" aria-haspopup="true" aria-expanded=move || open.get().to_string() on:click=move |_| open.update(|open| *open = !*open)>
                {icon(Icon::Bolt)}<span class="label">{t!(app, "break")}</span>
            </button>
            {move || open.get().then(|| view! { <div class="menu-list">{entries(app, open)}</div> })}
        </div>
    }
}

fn entry(open: RwSignal<bool>, id: String, text: String, act: impl Fn() + 'static) -> AnyView {
    view! { <button id=id on:click=move |_| { open.set(false); act(); }>{text}</button> }.into_any()
}

fn entries(app: App, open: RwSignal<bool>) -> Vec<AnyView> {
    let mut list = vec![
        entry(open, "add-node".into(), app.text(key!("break.add")).into(), move || {
            app.dialog.set(Some(Dialog::AddNode))
        }),
        entry(open, "break-image".into(), app.text(key!("break.image")).into(), move || {
            app.dialog.set(Some(Dialog::BreakImage))
        }),
    ];
    let nodes = app.cluster.scene.with_untracked(|scene| scene.nodes.clone());
    let selection = app.selection.get_untracked();
    if let Some(Selection::Object(Subject { kind, namespace, name })) = &selection
        && kind == "Pod"
    {
        let (namespace, pod) = (namespace.clone(), name.clone());
        let crash = Action::CrashContainer { namespace: namespace.clone(), pod: pod.clone(), container: String::new() };
        list.push(entry(open, "crash".into(), app.fill(key!("break.crash"), &[&pod]), move || app.act(crash.clone())));
        for (probe, fails, word) in [
            ("readiness", true, key!("break.readiness")),
            ("liveness", true, key!("break.liveness")),
            ("readiness", false, key!("break.ready-again")),
        ] {
            let action = Action::FailProbe {
                namespace: namespace.clone(),
                pod: pod.clone(),
                container: String::new(),
                probe: probe.into(),
                fails,
            };
            list.push(entry(open, format!("probe-{probe}-{fails}"), app.fill(word, &[&pod]), move || {
                app.act(action.clone())
            }));
        }
    }
    for (name, node) in nodes {
        let to = || NodeName { name: name.clone() };
        let actions = match node.fault.as_deref() {
            Some("stopped") => vec![("start", key!("break.start"), Action::StartNode(to()))],
            Some(_) => vec![("heal", key!("break.heal"), Action::HealNode(to()))],
            None => vec![
                ("stop", key!("break.stop"), Action::StopNode(to())),
                ("partition", key!("break.partition"), Action::PartitionNode(to())),
                ("remove", key!("break.remove"), Action::RemoveNode(to())),
            ],
        };
        for (id, word, action) in actions {
            list.push(entry(open, format!("{id}-{name}"), app.fill(word, &[&name]), move || app.act(action.clone())));
        }
    }
    list
}
