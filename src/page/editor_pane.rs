//! What you say: files, their mistakes, and what became of them.

use std::time::Duration;

use leptos::prelude::*;

use crate::key;
use crate::session::File;
use crate::view::terminal::{TerminalInput, is_for_kubectl};

use super::editor::{Diagnostic, Editor, Options, Severity};
use super::erase::{hear, t};
use super::icons::{Icon, icon};
use super::state::{App, Message};
use super::storage;

/// How long nobody has typed before mistakes are looked for.
const CHECK_AFTER: Duration = Duration::from_millis(350);

#[component]
pub(super) fn EditorPane(app: App) -> impl IntoView {
    let files = app.files;
    let names =
        Memo::new(move |_| files.list.with(|list| list.iter().map(|file| file.name.clone()).collect::<Vec<_>>()));
    Effect::new(move || files.list.with(|list| storage::save_files(list)));
    let add = move |_| {
        let name = (1..).map(|number| format!("file-{number}.yaml")).find(|name| !names.get_untracked().contains(name));
        app.put_files(name.map(|name| File { name, text: String::new() }).into_iter().collect());
    };
    // Only when it is not where everybody expects it.
    let into_namespace = move || {
        let namespace = app.filter.with(|filter| filter.namespace.clone()).filter(|namespace| namespace != "default");
        namespace.map(|namespace| app.fill(key!("editor.into"), &[&namespace]))
    };
    view! {
        <section class="editor-pane" data-room="editor" aria-label=t!(app, "editor.title")>
            <div class="file-tabs" role="group" aria-label=t!(app, "editor.files")>
                <For each=move || names.get() key=Clone::clone children=move |name| view! { <Tab app=app name=name/> }/>
                <button class="square" aria-label=t!(app, "editor.add") on:click=hear(add)>{icon(Icon::Plus)}</button>
            </div>
            <Text app=app/>
            <div class="messages" id="messages" role="status" aria-live="polite">
                {move || files.messages.get().into_iter().map(|message| said(app, message)).collect_view()}
            </div>
            <div class="editor-buttons">
                <button id="apply" class="pill on" on:click=hear(move |_| app.apply(None))>{t!(app, "editor.apply")}<kbd>{apply_keys()}</kbd></button>
                <button id="dry-run" class="pill" on:click=hear(move |_| app.dry_run())>{t!(app, "editor.dry-run")}</button>
                <span class="soft" aria-live="polite">{into_namespace}</span>
            </div>
        </section>
    }
}

/// The keys that apply, as this machine names them.
fn apply_keys() -> &'static str {
    let machine = window().navigator().user_agent().unwrap_or_default();
    if machine.contains("Mac OS") { "⌘ ↵" } else { "Ctrl ↵" }
}

#[component]
fn Tab(app: App, name: String) -> impl IntoView {
    let files = app.files;
    let renaming = RwSignal::new(false);
    let (shown, chosen, renamed, closed, double) =
        (name.clone(), name.clone(), name.clone(), name.clone(), name.clone());
    let is_current = move || files.current.with(|current| *current == shown);
    let rename = move |event: web_sys::Event| {
        renaming.set(false);
        let new = event_target_value(&event).trim().to_owned();
        let taken = files.list.with_untracked(|list| list.iter().any(|file| file.name == new));
        if new.is_empty() || new.len() > 100 || taken {
            return;
        }
        files.list.update(|list| {
            if let Some(file) = list.iter_mut().find(|file| file.name == renamed) {
                file.name.clone_from(&new)
            }
        });
        files.current.set(new);
        files.replaced.update(|count| *count += 1);
    };
    let close = move |_| {
        files.list.update(|list| list.retain(|file| file.name != closed));
        if is_for_kubectl(&closed) {
            // Who waits for it gives up.
            app.tell_terminal(TerminalInput::Open(files.list.get_untracked()));
        }
        if files.list.with_untracked(Vec::is_empty) {
            files.list.set(vec![File { name: "web.yaml".to_owned(), text: String::new() }]);
        }
        files.current.set(files.list.with_untracked(|list| list[0].name.clone()));
        files.replaced.update(|count| *count += 1);
    };
    let label = name.clone();
    let is_on = is_current.clone();
    view! {
        <span class="file-tab" class:on=is_on>
            {move || if renaming.get() {
                view! { <input class="field" aria-label=t!(app, "editor.rename") prop:value=double.clone() on:change=hear(rename.clone()) on:blur=hear(move |_| renaming.set(false))/> }.into_any()
            } else {
                let (chosen, current) = (chosen.clone(), is_current.clone());
                view! {
                    <button class="file-name" aria-pressed=move || current().to_string() title=t!(app, "editor.rename-hint") on:click=hear(move |_| files.current.set(chosen.clone())) on:dblclick=hear(move |_| renaming.set(true))>
                        {label.clone()}
                    </button>
                }.into_any()
            }}
            <button class="close" aria-label=move || app.fill(key!("editor.close"), &[&name]) on:click=hear(close)>{icon(Icon::Close)}</button>
        </span>
    }
}

/// A plain text field until CodeMirror is there, and if it never comes.
#[component]
fn Text(app: App) -> impl IntoView {
    let files = app.files;
    let place = NodeRef::<leptos::html::Div>::new();
    let editor = StoredValue::new_local(None::<Editor>);
    let loaded = RwSignal::new(false);
    let wanted = RwSignal::new(false);
    let changes = StoredValue::new(0_u32);
    let changed = move |text: String| {
        let name = files.current.get_untracked();
        files.list.update(|list| {
            if let Some(file) = list.iter_mut().find(|file| file.name == name) {
                file.text = text
            }
        });
        changes.update_value(|count| *count += 1);
        let count = changes.get_value();
        set_timeout(
            move || {
                if changes.get_value() == count {
                    app.check()
                }
            },
            CHECK_AFTER,
        );
    };
    let current_text = move || {
        let name = files.current.get();
        files
            .list
            .with(|list| list.iter().find(|file| file.name == name).map_or_else(String::new, |file| file.text.clone()))
    };
    Effect::new(move || {
        if app.cluster.frames.get() > 0 && place.get().is_some() && !wanted.get_untracked() {
            wanted.set(true);
            let Some(parent) = place.get_untracked() else { return };
            leptos::task::spawn_local(async move {
                let label = app.language.with_untracked(|language| key!("editor.title").text(*language));
                let text = untrack(current_text);
                let options = Options { text: &text, dark: app.dark.get_untracked(), label };
                match Editor::create(&parent, &options, changed, move || app.apply(None)).await {
                    Ok(made) => {
                        made.open(&files.current.get_untracked(), &text);
                        editor.set_value(Some(made));
                        loaded.set(true);
                    }
                    Err(error) => leptos::logging::error!("{error:?}"),
                }
            });
        }
    });
    let with_editor = move |act: &dyn Fn(&Editor)| {
        editor.with_value(|editor| {
            if let Some(editor) = editor {
                act(editor)
            }
        })
    };
    Effect::new(move || {
        let (_, name) = (files.replaced.get(), files.current.get());
        if loaded.get() {
            let text = untrack(current_text);
            with_editor(&|editor| editor.open(&name, &text));
        }
        app.check();
    });
    Effect::new(move || {
        let dark = app.dark.get();
        if loaded.get() {
            with_editor(&|editor| editor.set_dark(dark));
        }
    });
    Effect::new(move || {
        let (problems, name) = (files.problems.get(), files.current.get());
        if !loaded.get() {
            return;
        }
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let shown: Vec<Diagnostic> = problems
            .into_iter()
            .filter(|problem| problem.file == name)
            .map(|problem| Diagnostic {
                line: number(problem.line),
                column: number(problem.column),
                end_line: number(problem.end_line),
                end_column: number(problem.end_column),
                severity: if problem.warning { Severity::Warning } else { Severity::Error },
                message: problem.message,
                hint: problem.hint.map(|hint| app.say(&hint)),
            })
            .collect();
        with_editor(&|editor| editor.set_diagnostics(&shown));
    });
    Effect::new(move || {
        if let Some((file, line, column)) = files.go_to.get() {
            files.current.set(file);
            let number = |value: usize| u32::try_from(value).unwrap_or(1);
            with_editor(&|editor| editor.go_to(number(line), number(column)));
        }
    });
    let on_key = move |event: web_sys::KeyboardEvent| {
        if event.key() == "Enter" && (event.ctrl_key() || event.meta_key()) {
            event.prevent_default();
            app.apply(None);
        }
    };
    view! {
        <div class="text" node_ref=place>
            {move || (!loaded.get()).then(|| view! {
                <textarea class="plain" spellcheck="false" aria-label=t!(app, "editor.title") prop:value=current_text on:input=hear(move |event| changed(event_target_value(&event))) on:keydown=hear(on_key)></textarea>
            })}
        </div>
    }
}

fn said(app: App, message: Message) -> AnyView {
    match message {
        Message::Line(text) => view! { <p class="message good">{text}</p> }.into_any(),
        Message::Refusal(text) => view! { <p class="message bad">{text}</p> }.into_any(),
        Message::Problem(problem) => {
            let target = (problem.file.clone(), problem.line, problem.column);
            let place = format!("{}:{}:{}", problem.file, problem.line, problem.column);
            let hint = problem.hint.as_ref().map(|hint| app.say(hint));
            view! {
                <p class=if problem.warning { "message warn" } else { "message bad" }>
                    <button class="place" on:click=hear(move |_| app.files.go_to.set(Some(target.clone())))>{place}</button>
                    " "{problem.message}
                    {hint.map(|hint| view! { <span class="hint">{hint}</span> })}
                </p>
            }
            .into_any()
        }
    }
}
