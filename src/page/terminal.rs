//! The terminal: what was written stands above, and the line that is typed below.
//!
//! What is written is added to the document as it comes and never drawn again; a screen reader reads it as a log.

use leptos::ev::{ClipboardEvent, KeyboardEvent, MouseEvent, SubmitEvent};
use leptos::html::{Div, Input};
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;

use crate::view::protocol::Command;
use crate::view::terminal::{Completion, PortAnswer, TerminalInput, TerminalOutput};

use super::erase::{hear, t};
use super::ports;
use super::state::{App, Room};
use super::storage;

/// How many pieces of text stay on the screen; the oldest go first.
const PIECES_MAX: u32 = 1_500;
/// How many lines stay there: a command that never ends must not make the page draw all that it wrote.
const LINES_MAX: usize = 2_000;
/// How many bytes of text are shown of one piece, which may be a single line.
const PIECE_BYTES_MAX: usize = 100_000;
/// How many lines are remembered.
const HISTORY_MAX: usize = 300;
/// What clears a terminal.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// What the terminal's parts share. Copy it freely.
#[derive(Clone, Copy, Default)]
pub(super) struct Screen {
    log: NodeRef<Div>,
    frame: NodeRef<Div>,
    input: NodeRef<Input>,
    /// The line that is not ended yet: mostly the shell's prompt.
    prompt: RwSignal<String>,
    busy: RwSignal<bool>,
    /// Whether the last command failed.
    failed: RwSignal<bool>,
    /// The ports behind which programs of the terminal answer, and what the last one said.
    pub(super) ports: RwSignal<Vec<u16>>,
    pub(super) answer: RwSignal<Option<PortAnswer>>,
    /// How many lines stand in the log.
    lines: StoredValue<usize>,
    /// Whether the shell was asked to show itself.
    opened: StoredValue<bool>,
    /// What is to be run as soon as the shell asks for the first time; nothing any more once it did.
    waiting: StoredValue<Waiting>,
    history: StoredValue<Vec<String>>,
    /// Which line of the history is shown, and what was typed before.
    recalled: StoredValue<Option<(usize, String)>>,
}

/// The lines that were given before the shell asked for one.
enum Waiting {
    For(Vec<String>),
    Over,
}

impl Default for Waiting {
    fn default() -> Self {
        Self::For(Vec::new())
    }
}

/// How what programs say about their work begins, which is no error though it goes the way of errors.
const NOTES: [&str; 6] = [
    "No resources found",
    "Defaulted container",
    "Found ",
    "If you don't see a command prompt",
    "All commands and output from this session",
    "Warning:",
];

impl Screen {
    /// Adds text of a class to the log.
    fn add(self, class: &str, text: &str) {
        let Some(log) = self.log.get_untracked() else { return };
        if text.is_empty() {
            return;
        }
        let Ok(span) = document().create_element("span") else { return };
        let text = end_of(text);
        span.set_class_name(class);
        span.set_text_content(Some(text));
        // The log is in the document, so there is room for one more.
        let _ = log.append_child(&span);
        let mut lines = self.lines.get_value() + lines_of(text);
        while log.child_element_count() > PIECES_MAX || (lines > LINES_MAX && log.child_element_count() > 1) {
            let Some(first) = log.first_element_child() else { break };
            lines = lines.saturating_sub(lines_of(&first.text_content().unwrap_or_default()));
            first.remove();
        }
        self.lines.set_value(lines);
    }

    fn clear(self) {
        if let Some(log) = self.log.get_untracked() {
            log.set_inner_html("");
            self.lines.set_value(0);
        }
    }

    /// Shows the line that is typed, whatever was written above it.
    fn scroll_down(self) {
        if let Some(frame) = self.frame.get_untracked() {
            frame.set_scroll_top(frame.scroll_height());
        }
    }

    fn text(self) -> String {
        self.input.get_untracked().map_or_else(String::new, |input| input.value())
    }

    fn set_text(self, text: &str) {
        if let Some(input) = self.input.get_untracked() {
            input.set_value(text);
        }
    }

    /// Takes in what was written. What follows the last line's end stands before the line that is typed.
    fn write(self, class: &str, text: &str) {
        let text = match text.rfind(CLEAR) {
            Some(at) => {
                self.clear();
                self.prompt.set(String::new());
                &text[at + CLEAR.len()..]
            }
            None => text,
        };
        let whole = self.prompt.get_untracked() + &without_escapes(text);
        let (lines, rest) = whole.rsplit_once('\n').map_or(("", whole.as_str()), |(lines, rest)| (lines, rest));
        if whole.len() > rest.len() {
            self.add(class, &format!("{lines}\n"));
        }
        self.prompt.set(rest.to_owned());
    }

    fn remember(self, line: &str) {
        self.recalled.set_value(None);
        if line.trim().is_empty() {
            return;
        }
        self.history.update_value(|history| {
            history.retain(|known| known != line);
            history.push(line.to_owned());
            let surplus = history.len().saturating_sub(HISTORY_MAX);
            history.drain(..surplus);
        });
        self.history.with_value(|history| storage::save_history(history));
    }

    /// Brings back a line: the next older or younger one that begins with, or when searched for contains, what was typed.
    fn recall(self, older: bool, searched: bool) {
        let typed = self.recalled.with_value(|recalled| recalled.clone().map(|(_, typed)| typed));
        let typed = typed.unwrap_or_else(|| self.text());
        let fits = |line: &String| if searched { line.contains(&typed) } else { line.starts_with(&typed) };
        let at = self.recalled.with_value(|recalled| recalled.as_ref().map(|(at, _)| *at));
        let found = self.history.with_value(|history| {
            let places = 0..history.len();
            let mut fitting = places.filter(|place| history.get(*place).is_some_and(&fits));
            let place = if older {
                fitting.rfind(|place| at.is_none_or(|at| *place < at))
            } else {
                fitting.find(|place| at.is_some_and(|at| *place > at))
            };
            place.and_then(|place| Some((place, history.get(place)?.clone())))
        });
        match found {
            Some((place, line)) => {
                self.recalled.set_value(Some((place, typed)));
                self.set_text(&line);
            }
            None if !older => {
                self.recalled.set_value(None);
                self.set_text(&typed);
            }
            None => {}
        }
    }
}

fn lines_of(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// The end of a text, as far as it is shown.
fn end_of(text: &str) -> &str {
    let mut from = text.len().saturating_sub(PIECE_BYTES_MAX);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let text = &text[from..];
    // The last line's end, and the ends of as many lines before it as stay.
    text.rmatch_indices('\n').nth(LINES_MAX).map_or(text, |(at, _)| &text[at + 1..])
}

/// The text without the sequences that colour terminals, and without carriage returns.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\u{1b}' => {
                if rest.next() == Some('[') {
                    rest.by_ref().find(char::is_ascii_alphabetic);
                }
            }
            '\r' => {}
            letter => plain.push(letter),
        }
    }
    plain
}

impl App {
    pub(super) fn tell_terminal(self, input: TerminalInput) {
        self.send(&Command::Terminal(input));
    }

    /// Takes in what the terminal's commands wrote and did.
    pub(super) fn hear_terminal(self, output: TerminalOutput) {
        for piece in &output.pieces {
            if !piece.error {
                self.screen.write("out", &piece.text);
                continue;
            }
            for line in piece.text.split_inclusive('\n') {
                let is_note = NOTES.iter().any(|note| line.starts_with(note));
                self.screen.write(if is_note { "note" } else { "err" }, line);
            }
        }
        self.begin_waiting();
        self.screen.busy.set(output.busy);
        self.screen.failed.set(output.failed && !output.busy);
        if self.screen.ports.get_untracked() != output.ports {
            self.screen.ports.set(output.ports);
        }
        if output.answer.is_some() {
            self.screen.answer.set(output.answer);
        }
        if let Some(path) = output.wanted {
            ports::fetch(self, path);
        }
        self.screen.scroll_down();
        let current = output.open.unwrap_or_else(|| self.files.current.get_untracked());
        let changed = !output.files.is_empty() || !output.removed.is_empty();
        if changed {
            let kept = |name: &String| !output.removed.contains(name);
            self.files.list.update(|list| {
                list.retain(|file| kept(&file.name));
                for file in output.files {
                    match list.iter_mut().find(|known| known.name == file.name) {
                        Some(known) => known.text = file.text,
                        None => list.push(file),
                    }
                }
            });
        }
        let names =
            self.files.list.with_untracked(|list| list.iter().map(|file| file.name.clone()).collect::<Vec<_>>());
        let current = if names.contains(&current) { Some(current) } else { names.first().cloned() };
        if let Some(current) = current.filter(|current| changed || *current != self.files.current.get_untracked()) {
            self.files.current.set(current);
            self.files.replaced.update(|count| *count += 1);
        }
    }

    /// Takes in how a line can go on, unless something else was typed meanwhile.
    pub(super) fn hear_completion(self, completion: Completion) {
        if self.screen.text() != completion.line {
            return;
        }
        if completion.completed == completion.line && !completion.choices.is_empty() {
            let prompt = self.screen.prompt.get_untracked();
            self.screen.add("typed", &format!("{prompt}{}\n", completion.line));
            self.screen.add("out", &format!("{}\n", completion.choices.join("  ")));
            self.screen.scroll_down();
        }
        self.screen.set_text(&completion.completed);
    }

    /// Runs a line in the terminal, and shows it.
    pub(super) fn run_line(self, line: &str) {
        self.show(Room::Terminal);
        self.open_terminal();
        self.submit(line);
    }

    /// Lets the shell show its prompt.
    fn open_terminal(self) {
        if !self.screen.opened.get_value() {
            self.screen.opened.set_value(true);
            self.tell_terminal(TerminalInput::Open(self.files.list.get_untracked()));
        }
    }

    /// Runs what was given before the shell asked, now that it does.
    fn begin_waiting(self) {
        if self.screen.prompt.with_untracked(String::is_empty) {
            return;
        }
        let waiting = self.screen.waiting.try_update_value(|waiting| std::mem::replace(waiting, Waiting::Over));
        if let Some(Waiting::For(lines)) = waiting
            && !lines.is_empty()
        {
            self.submit(&lines.join("\n"));
        }
    }

    fn submit(self, text: &str) {
        let screen = self.screen;
        let waits = screen.waiting.try_update_value(|waiting| match waiting {
            Waiting::For(lines) => {
                lines.push(text.to_owned());
                true
            }
            Waiting::Over => false,
        });
        if waits == Some(true) {
            return;
        }
        let prompt = screen.prompt.get_untracked();
        screen.add("typed", &format!("{prompt}{text}\n"));
        screen.prompt.set(String::new());
        for line in text.lines() {
            screen.remember(line);
        }
        screen.scroll_down();
        self.tell_terminal(TerminalInput::Line { text: text.to_owned(), files: self.files.list.get_untracked() });
    }
}

#[component]
pub(super) fn Terminal(app: App) -> impl IntoView {
    let screen = app.screen;
    screen.history.set_value(storage::load_history());
    Effect::new(move || {
        // The engine has to be there before it can be asked.
        if app.panel.get() == Room::Terminal && app.cluster.frames.get() > 0 {
            app.open_terminal();
        }
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let text = screen.text();
        screen.set_text("");
        app.submit(&text);
    };
    // A click beside the line means the line, unless it was to mark something.
    let focus = move |_: MouseEvent| {
        let marks = window().get_selection().ok().flatten().is_some_and(|selection| !selection.is_collapsed());
        if let Some(input) = screen.input.get_untracked().filter(|_| !marks) {
            // Only an element outside the document cannot be focused.
            let _ = input.focus();
        }
    };
    view! {
        <div class="terminal" node_ref=screen.frame on:click=hear(focus)>
            {ports::panel(app)}
            <p class="terminal-hint" id="terminal-hint">{t!(app, "terminal.hint")}</p>
            <div class="screen" node_ref=screen.log role="log" aria-label=t!(app, "terminal.title") tabindex="0"></div>
            <form class="ask" on:submit=hear(submit)>
                <span class="prompt" class:failed=move || screen.failed.get() aria-hidden="true">{move || screen.prompt.get()}</span>
                <input
                    id="command-line"
                    node_ref=screen.input
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    aria-label=t!(app, "terminal.line")
                    aria-describedby="terminal-hint"
                    on:keydown=hear(move |event| key(app, &event))
                    on:paste=hear(move |event| paste(app, &event))
                />
                <button type="button" class="fault" id="interrupt" hidden=move || !screen.busy.get() on:click=hear(move |_| interrupt(app))>{t!(app, "terminal.stop")}" ⌃C"</button>
            </form>
        </div>
    }
}

fn interrupt(app: App) {
    let screen = app.screen;
    screen.add("typed", &format!("{}{}^C", screen.prompt.get_untracked(), screen.text()));
    screen.prompt.set(String::new());
    screen.set_text("");
    screen.recalled.set_value(None);
    app.tell_terminal(TerminalInput::Interrupt);
}

fn key(app: App, event: &KeyboardEvent) {
    let screen = app.screen;
    // An input method that is at work needs its keys itself.
    if event.is_composing() {
        return;
    }
    let control = event.ctrl_key() && !event.alt_key() && !event.meta_key();
    match event.key().as_str() {
        "ArrowUp" => screen.recall(true, false),
        "ArrowDown" => screen.recall(false, false),
        "r" if control => screen.recall(true, true),
        "c" if control && !has_selection() => interrupt(app),
        "l" if control => screen.clear(),
        "d" if control && screen.text().is_empty() => app.tell_terminal(TerminalInput::EndOfInput),
        // With nothing typed Tab leads on, so that nobody is caught in here.
        "Tab" if !event.shift_key() && !screen.text().is_empty() => {
            let line = screen.text();
            app.tell_terminal(TerminalInput::Complete { line, files: app.files.list.get_untracked() });
        }
        other => {
            // Whoever changes the line begins a new search.
            if other.chars().count() == 1 || matches!(other, "Backspace" | "Delete") {
                screen.recalled.set_value(None);
            }
            return;
        }
    }
    event.prevent_default();
}

/// Whether something is marked on the page or in the line, which Ctrl-C copies.
fn has_selection() -> bool {
    let on_page = window().get_selection().ok().flatten().is_some_and(|selection| !selection.is_collapsed());
    let focused = document().active_element().and_then(|element| element.dyn_into::<web_sys::HtmlInputElement>().ok());
    let in_line =
        focused.is_some_and(|input| input.selection_start().ok().flatten() != input.selection_end().ok().flatten());
    on_page || in_line
}

/// Several lines that are pasted are run, as a terminal does.
fn paste(app: App, event: &ClipboardEvent) {
    let text = event.clipboard_data().and_then(|data| data.get_data("text/plain").ok()).unwrap_or_default();
    if !text.trim_end_matches('\n').contains('\n') {
        return;
    }
    event.prevent_default();
    let typed = app.screen.text();
    app.screen.set_text("");
    app.submit(&format!("{typed}{}", text.trim_end_matches('\n').replace('\r', "")));
}
