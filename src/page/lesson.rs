//! A lesson: one step at a time, with a button that does what the step says on the live engine.

use leptos::prelude::*;

use crate::session::scenario::{LessonStep, Text};
use crate::view::protocol::Command;
use crate::view::words::Language;
use crate::view::{Selection, Subject};

use super::icons::{Icon, icon};
use super::state::{App, t};

fn in_language(text: &Text, language: Language) -> String {
    match language {
        Language::English => text.en.clone(),
        Language::Korean => text.ko.clone(),
    }
}

#[component]
pub(super) fn LessonPanel(app: App) -> impl IntoView {
    let go = move |by: isize| {
        app.lesson.update(|taken| {
            if let Some(taken) = taken {
                taken.step = taken.step.saturating_add_signed(by).min(taken.lesson.steps.len() - 1);
                taken.done = false;
            }
        });
    };
    move || {
        app.lesson.get().map(|taken| {
        let language = app.language.get();
        let step = taken.lesson.steps[taken.step].clone();
        let (number, all) = (taken.step + 1, taken.lesson.steps.len());
        let button = step.button.as_ref().map(|text| in_language(text, language));
        let last = number == all;
        view! {
            <aside class="lesson" aria-label=t!(app, "lesson.title")>
                <p class="soft small">{in_language(&taken.lesson.title, language)}{format!(" · {number}/{all}")}</p>
                <p class="lesson-text" aria-live="polite">{in_language(&step.text, language)}</p>
                <div class="lesson-buttons">
                    {button.map(|text| {
                        let step = step.clone();
                        view! { <button id="do-it" class="pill on" disabled=taken.done on:click=move |_| perform(app, &step)>{text}</button> }
                    })}
                    <button class="square" disabled=number == 1 aria-label=t!(app, "lesson.back") on:click=move |_| go(-1)>{icon(Icon::Left)}</button>
                    <button id="lesson-next" class="square" disabled=last aria-label=t!(app, "lesson.next") on:click=move |_| go(1)>{icon(Icon::Right)}</button>
                    <button class="square" aria-label=t!(app, "lesson.close") on:click=move |_| app.lesson.set(None)>{icon(Icon::Close)}</button>
                </div>
            </aside>
        }
    })
    }
}

/// Does what a step says.
fn perform(app: App, step: &LessonStep) {
    if !step.files.is_empty() {
        app.put_files(step.files.clone());
    }
    if let Some(speed) = step.speed {
        app.send(&Command::Speed(speed));
    }
    if !step.apply.is_empty() {
        app.apply(Some(&step.apply));
    }
    for action in &step.actions {
        app.act(action.clone());
    }
    for _ in 0..step.steps.min(1_000) {
        app.send(&Command::Step);
    }
    if step.skip_seconds > 0.0 {
        app.send(&Command::Skip(step.skip_seconds));
    }
    if step.until_idle {
        app.send(&Command::UntilIdle);
    }
    if let Some(play) = step.play {
        app.send(&Command::Play(play));
    }
    if let Some(pointed) = &step.select {
        let found = app.cluster.scene.with_untracked(|scene| {
            let pods = scene.pods.values().filter(|pod| pointed.kind == "Pod" && pod.name.starts_with(&pointed.name));
            pods.map(|pod| pod.name.clone()).next()
        });
        let name = found.unwrap_or_else(|| pointed.name.clone());
        app.select(Some(Selection::Object(Subject::new(&*pointed.kind, &*pointed.namespace, name))));
    }
    app.lesson.update(|taken| {
        if let Some(taken) = taken {
            taken.done = true;
        }
    });
}

/// The gallery's text in the page's language.
pub(super) fn localised(app: App, text: &Text) -> String {
    in_language(text, app.language.get())
}
