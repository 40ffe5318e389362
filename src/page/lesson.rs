//! A lesson: one step at a time, with a button that does what the step says on the live engine.

use leptos::prelude::*;

use crate::session::scenario::Text;
use crate::view::protocol::LessonStep;
use crate::view::words::Language;
use crate::view::{Selection, Subject};

use super::erase::{hear, t};
use super::icons::{Icon, icon};
use super::state::App;

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
            let index = taken.step;
            let step = taken.lesson.steps[index].clone();
            let (number, all) = (index + 1, taken.lesson.steps.len());
            let button = step.button.as_ref().map(|text| in_language(text, language));
            let last = number == all;
            // What a step does comes first; then the way on is the one to take.
            let next_first = taken.done || button.is_none();
            view! {
                <aside class="lesson" aria-label=t!(app, "lesson.title")>
                    <p class="soft small">{in_language(&taken.lesson.title, language)}{format!(" · {number} / {all}")}</p>
                    <p class="lesson-text" aria-live="polite">{with_commands(app, &in_language(&step.text, language))}</p>
                    <div class="lesson-buttons">
                        {button.map(|text| {
                            let class = if taken.done { "pill" } else { "pill on" };
                            view! { <button id="do-it" class=class disabled=taken.done on:click=hear(move |_| perform(app, index, &step))>{text}</button> }.into_any()
                        })}
                        <button class="square" disabled=number == 1 aria-label=t!(app, "lesson.back") title=t!(app, "lesson.back") on:click=hear(move |_| go(-1))>{icon(Icon::Left)}</button>
                        <button id="lesson-next" class=if next_first && !last { "square on" } else { "square" } disabled=last aria-label=t!(app, "lesson.next") title=t!(app, "lesson.next") on:click=hear(move |_| go(1))>{icon(Icon::Right)}</button>
                        <button id="lesson-close" class="square" aria-label=t!(app, "lesson.close") title=t!(app, "lesson.close") on:click=hear(move |_| app.lesson.set(None))>{icon(Icon::Close)}</button>
                    </div>
                </aside>
            }
            .into_any()
        })
    }
}

/// A text in which what stands between backticks is code, and a command that runs when it is clicked.
fn with_commands(app: App, text: &str) -> Vec<AnyView> {
    let part = |(index, part): (usize, &str)| {
        let part = part.to_owned();
        if index % 2 == 0 {
            part.into_any()
        } else if part.starts_with("kubectl ") {
            let line = part.clone();
            view! { <button class="code" title=t!(app, "terminal.run") on:click=hear(move |_| app.run_line(&line))>{part}</button> }.into_any()
        } else {
            view! { <code class="code">{part}</code> }.into_any()
        }
    };
    text.split('`').enumerate().map(part).collect()
}

/// Does what a step says.
fn perform(app: App, index: usize, step: &LessonStep) {
    if !step.files.is_empty() {
        app.put_files(step.files.clone());
    }
    if !step.apply.is_empty() {
        app.apply(Some(&step.apply));
    }
    app.perform(index);
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
