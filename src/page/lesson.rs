//! A lesson: one step at a time, with a button that does what the step says on the live engine.

use leptos::prelude::*;

use crate::key;
use crate::session::scenario::Text;
use crate::view::protocol::{Command, Lesson, LessonStep};
use crate::view::words::Language;
use crate::view::{Selection, Subject};

use super::erase::{hear, t};
use super::icons::{Icon, icon};
use super::state::App;

/// A lesson that is being taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) lesson: Lesson,
    pub(super) step: usize,
    /// Whether this step's work was done.
    pub(super) done: bool,
    /// Whether what this step leads to is there.
    pub(super) reached: bool,
}

impl Taken {
    /// The step of this number, or the last one, as it is first read.
    pub(super) fn at(lesson: Lesson, step: usize) -> Self {
        let step = step.min(lesson.steps.len().saturating_sub(1));
        Self { lesson, step, done: false, reached: false }
    }
}

impl App {
    /// Reads another step of the lesson, if there is such a step.
    pub(super) fn go_to_step(self, step: usize) {
        let Some(taken) = self.lesson.get_untracked() else { return };
        let taken = Taken::at(taken.lesson, step);
        self.send(&Command::Attend(taken.step));
        self.lesson.set(Some(taken));
    }
}

/// What the commands begin with that the page's terminal runs.
const COMMANDS: [&str; 3] = ["kubectl ", "curl ", "for "];

fn in_language(text: &Text, language: Language) -> String {
    match language {
        Language::English => text.en.clone(),
        Language::Korean => text.ko.clone(),
    }
}

/// What is taken now, as far as `read` tells it; what a lesson is without when there is none.
fn now<T: Default>(app: App, read: impl Fn(&Taken) -> T) -> T {
    app.lesson.with(|taken| taken.as_ref().map(read).unwrap_or_default())
}

#[component]
pub(super) fn LessonPanel(app: App) -> impl IntoView {
    // Only what changed is drawn anew: the focus stays on the button that was pressed, and what is read aloud is said once.
    let is_taken = Memo::new(move |_| app.lesson.with(Option::is_some));
    let place = Memo::new(move |_| now(app, |taken| Some((taken.lesson.id.clone(), taken.step))));
    move || is_taken.get().then(|| panel(app, place))
}

fn panel(app: App, place: Memo<Option<(String, usize)>>) -> AnyView {
    let heading = move || {
        let language = app.language.get();
        now(app, |taken| {
            let (number, all) = (taken.step + 1, taken.lesson.steps.len());
            format!("{} · {number} / {all}", in_language(&taken.lesson.title, language))
        })
    };
    let step = move || {
        // To track it is not enough: a memo that nobody reads follows nothing.
        place.with(|_| ());
        app.lesson.with_untracked(|taken| taken.as_ref().map(|taken| taken.lesson.steps[taken.step].clone()))
    };
    let text = move || step().map(|step| with_commands(app, &in_language(&step.text, app.language.get())));
    let status = move || match now(app, |taken| (is_waited_for(taken), taken.reached)) {
        (_, true) => app.text(key!("lesson.reached")),
        (true, _) => app.text(key!("lesson.waiting")),
        _ => "",
    };
    let is_done = move || now(app, |taken| taken.done);
    let button = move || {
        let step = step()?;
        let text = in_language(step.button.as_ref()?, app.language.get());
        let class = move || if is_done() { "pill" } else { "pill on" };
        Some(
            view! { <button id="do-it" class=class disabled=is_done on:click=hear(move |_| perform(app, &step))>{text}</button> },
        )
    };
    let is_first = move || now(app, |taken| taken.step == 0);
    let is_last = move || now(app, |taken| taken.step + 1 == taken.lesson.steps.len());
    // What a step does comes first, and then what it leads to; then the way on is the one to take.
    let next = move || if now(app, is_over) && !is_last() { "square on" } else { "square" };
    let go = move |by: isize| app.go_to_step(now(app, |taken| taken.step).saturating_add_signed(by));
    view! {
        <aside class="lesson" aria-label=t!(app, "lesson.title")>
            <p class="soft small">{heading}</p>
            <p class="lesson-text" aria-live="polite">{text}</p>
            <p class="lesson-status" role="status" class:reached=move || now(app, |taken| taken.reached)>{status}</p>
            <div class="lesson-buttons">
                {button}
                <button class="square" disabled=is_first aria-label=t!(app, "lesson.back") title=t!(app, "lesson.back") on:click=hear(move |_| go(-1))>{icon(Icon::Left)}</button>
                <button id="lesson-next" class=next disabled=is_last aria-label=t!(app, "lesson.next") title=t!(app, "lesson.next") on:click=hear(move |_| go(1))>{icon(Icon::Right)}</button>
                <button id="lesson-close" class="square" aria-label=t!(app, "lesson.close") title=t!(app, "lesson.close") on:click=hear(move |_| app.lesson.set(None))>{icon(Icon::Close)}</button>
            </div>
        </aside>
    }
    .into_any()
}

/// Whether there is nothing left for the reader to press in this step.
fn is_pressed(taken: &Taken) -> bool {
    taken.done || taken.lesson.steps[taken.step].button.is_none()
}

/// Whether what the step leads to is still to come.
fn is_waited_for(taken: &Taken) -> bool {
    is_pressed(taken) && taken.lesson.steps[taken.step].awaits && !taken.reached
}

/// Whether the step is over.
fn is_over(taken: &Taken) -> bool {
    is_pressed(taken) && !is_waited_for(taken)
}

/// A text in which what stands between backticks is code, and a command that runs when it is clicked.
fn with_commands(app: App, text: &str) -> Vec<AnyView> {
    let part = |(index, part): (usize, &str)| {
        let part = part.to_owned();
        if index % 2 == 0 {
            part.into_any()
        } else if COMMANDS.iter().any(|command| part.starts_with(command)) {
            let line = part.clone();
            view! { <button class="code" title=t!(app, "terminal.run") on:click=hear(move |_| app.run_line(&line))>{part}</button> }.into_any()
        } else {
            view! { <code class="code">{part}</code> }.into_any()
        }
    };
    text.split('`').enumerate().map(part).collect()
}

/// Does what the step says that is read now.
fn perform(app: App, step: &LessonStep) {
    let Some(index) = app.lesson.with_untracked(|taken| taken.as_ref().map(|taken| taken.step)) else { return };
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
