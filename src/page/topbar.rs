//! The bar above: scenarios, time, breaking things, sharing, language and theme.

use leptos::prelude::*;

use crate::key;
use crate::view::protocol::{Command, Start};
use crate::view::words::{Key, Language};

use super::breaking::BreakIt;
use super::erase::{hear, t};
use super::icons::{Icon, icon};
use super::state::{App, Dialog, Folded, Room, Theme};

/// How much simulated time passes in a second, in words and as a number.
const SPEEDS: [(&str, f64); 10] = [
    ("0.1", 0.1),
    ("0.25", 0.25),
    ("1", 1.0),
    ("2", 2.0),
    ("4", 4.0),
    ("10", 10.0),
    ("30", 30.0),
    ("100", 100.0),
    ("300", 300.0),
    ("1000", 1000.0),
];

#[component]
pub(super) fn TopBar(app: App) -> impl IntoView {
    let other_language = move || match app.language.get() {
        Language::English => Language::Korean,
        Language::Korean => Language::English,
    };
    let own = !app.embedded;
    view! {
        <header class="topbar">
            <h1 class="logo">"kube"<i>"tab"</i></h1>
            {own.then(|| view! {
                <button id="gallery" class="pill" aria-label=t!(app, "gallery.open") on:click=hear(move |_| app.open_gallery())>
                    {icon(Icon::Book)}<span class="label">{t!(app, "gallery.open")}</span>
                </button>
            }.into_any())}
            <span class="soft small version">{t!(app, "app.simulated")}</span>
            <TimeControls app=app/>
            {own.then(|| view! {
                <BreakIt app=app/>
                <button id="share" class="pill" aria-label=t!(app, "share") on:click=hear(move |_| app.dialog.set(Some(Dialog::Share)))>
                    {icon(Icon::Share)}<span class="label">{t!(app, "share")}</span>
                </button>
                {folds(app)}
            }.into_any())}
            <button id="language" class="pill" lang=move || other_language().code() on:click=hear(move |_| app.language.set(other_language()))>
                {move || other_language().own_name()}
            </button>
            {theme(app)}
        </header>
    }
}

const fn theme_name(theme: Theme) -> Key {
    match theme {
        Theme::Auto => key!("theme.auto"),
        Theme::Light => key!("theme.light"),
        Theme::Dark => key!("theme.dark"),
    }
}

fn theme(app: App) -> AnyView {
    let name = move || app.fill(key!("theme"), &[app.text(theme_name(app.theme.get()))]);
    let picture = move || {
        icon(match app.theme.get() {
            Theme::Auto => Icon::Theme,
            Theme::Light => Icon::Sun,
            Theme::Dark => Icon::Moon,
        })
    };
    view! {
        <button id="theme" class="pill" data-theme-choice=move || app.theme.get().id() aria-label=name title=name on:click=hear(move |_| app.theme.update(|theme| *theme = theme.next()))>
            {picture}
        </button>
    }
    .into_any()
}

/// Buttons that fold rooms away, one by one or all but the picture.
fn folds(app: App) -> AnyView {
    let toggle = move |room: Room, picture: Icon, key: Key| {
        let shown = move || app.folded.with(|folded| !folded.contains(room));
        view! {
            <button id=format!("fold-{}", room.id()) class="square" aria-pressed=move || shown().to_string() aria-label=move || app.text(key) title=move || app.text(key) on:click=hear(move |_| app.folded.update(|folded| folded.toggle(room)))>
                {icon(picture)}
            </button>
        }
        .into_any()
    };
    let is_alone = move || app.folded.with(|folded| *folded == Folded::all());
    let alone = move |_| app.folded.set(if is_alone() { Folded::default() } else { Folded::all() });
    view! {
        <div class="folds" role="group" aria-label=t!(app, "rooms")>
            {toggle(Room::Editor, Icon::PaneLeft, key!("fold.editor"))}
            {toggle(Room::Events, Icon::PaneBottom, key!("fold.events"))}
            {toggle(Room::Inspector, Icon::PaneRight, key!("fold.inspector"))}
            <button id="projector" class="square" aria-pressed=move || is_alone().to_string() aria-label=t!(app, "fold.projector") title=t!(app, "fold.projector") on:click=hear(alone)>
                {icon(Icon::Projector)}
            </button>
        </div>
    }
    .into_any()
}

#[component]
fn TimeControls(app: App) -> impl IntoView {
    let clock = app.cluster.clock;
    let playing = Memo::new(move |_| clock.get().playing);
    let speed = Memo::new(move |_| clock.get().speed);
    let choose_speed = move |event: web_sys::Event| {
        let chosen = event_target_value(&event);
        if let Some((_, speed)) = SPEEDS.into_iter().find(|(words, _)| *words == chosen) {
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
                on:click=hear(move |_| app.send(&Command::Play(!playing.get_untracked())))
            >
                {move || icon(if playing.get() { Icon::Pause } else { Icon::Play })}
                <span class="label">{move || if playing.get() { app.text(key!("time.pause")) } else { app.text(key!("time.play")) }}</span>
            </button>
            <button id="step-back" class="pill" title=t!(app, "time.back") aria-label=t!(app, "time.back") on:click=hear(move |_| app.send(&Command::StepBack))>
                {icon(Icon::StepBack)}
            </button>
            <button id="step" class="pill" title=t!(app, "time.step") aria-label=t!(app, "time.step") on:click=hear(move |_| app.send(&Command::Step))>
                {icon(Icon::Step)}
            </button>
            <button id="until-idle" class="pill" title=t!(app, "time.idle") aria-label=t!(app, "time.idle") on:click=hear(move |_| app.send(&Command::UntilIdle))>
                {icon(Icon::Idle)}
            </button>
            <select id="speed" class="field" aria-label=t!(app, "time.speed") on:change=hear(choose_speed)>
                {move || {
                    // A lesson may choose a speed of its own.
                    let own = speed.get();
                    let is_known = SPEEDS.iter().any(|(_, value)| (own - value).abs() < 1e-9);
                    (!is_known).then(|| view! { <option selected=true>{format!("{own}×")}</option> }.into_any())
                }}
                {SPEEDS.map(|(words, value)| view! {
                    <option value=words selected=move || (speed.get() - value).abs() < 1e-9>{format!("{words}×")}</option>
                }.into_any()).into_iter().collect_view()}
            </select>
            <output id="clock" class="clock" aria-label=t!(app, "time.clock")>{move || app.clock_text(clock.get().now)}</output>
            {move || in_past.get().then(|| view! {
                <button id="fork" class="pill" on:click=hear(move |_| app.send(&Command::Fork))>
                    {icon(Icon::Fork)}<span class="label">{t!(app, "time.fork")}</span>
                </button>
            })}
            {move || {
                let branches = app.branches.get();
                (!branches.is_empty() && !app.embedded).then(|| view! {
                    <select id="branches" class="field" aria-label=t!(app, "branch.choose") on:change=hear(move |event| {
                        let index: Option<usize> = event_target_value(&event).parse().ok();
                        let branch = index.and_then(|index| app.branches.with_untracked(|all| all.get(index).cloned()));
                        if let Some(branch) = branch { app.open(Start::Text(branch.text), false) }
                    })>
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
