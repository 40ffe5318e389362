//! The page's end of the wire to its worker: commands go, reports come, and a worker that dies is replaced.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::{ErrorEvent, MessageEvent, Worker};

use crate::machinery::json;
use crate::view::protocol::{Command, Report, Start};

use super::state::{App, Engine, now_ms};

/// A worker that dies within this time of being restored will do so again: then the user decides. In milliseconds.
const DIES_AGAIN_MS: f64 = 20_000.0;

/// A worker and what listens to it.
#[derive(Clone, Default)]
pub(super) struct WorkerLink {
    worker: Rc<RefCell<Option<Worker>>>,
    /// What was said before the worker said that it listens; a worker that still loads would lose it.
    waiting: Rc<RefCell<Option<Vec<Command>>>>,
    /// When the worker was last restored, in milliseconds of the browser's clock.
    restored_at: Rc<Cell<Option<f64>>>,
}

impl WorkerLink {
    /// Tells the worker something.
    pub(super) fn send(&self, command: &Command) {
        if let Some(waiting) = &mut *self.waiting.borrow_mut() {
            waiting.push(command.clone());
            return;
        }
        if let Some(worker) = &*self.worker.borrow() {
            let message = serde_wasm_bindgen::to_value(&json::to_value(command)).expect("commands are plain data");
            // A worker that has died hears nothing; it is replaced when its death is told.
            let _ = worker.post_message(&message);
        }
    }

    /// The worker listens: tells it what waited.
    fn listens(&self) {
        let waiting = self.waiting.take();
        for command in waiting.into_iter().flatten() {
            self.send(&command);
        }
    }
}

/// The address of the worker's script, which the build wrote into `index.html`.
fn address() -> Option<String> {
    document().query_selector("meta[name=kubetab-cluster]").ok()??.get_attribute("content")
}

/// Starts the worker and opens a session in it.
pub(super) fn start(app: App, first: &[Command]) {
    let link = WorkerLink::default();
    app.connect(link.clone());
    spawn(app, &link, first);
}

fn spawn(app: App, link: &WorkerLink, first: &[Command]) {
    link.waiting.replace(Some(Vec::new()));
    match try_spawn(app, link) {
        Ok(worker) => {
            if let Some(old) = link.worker.replace(Some(worker)) {
                old.terminate();
            }
            for command in first {
                link.send(command);
            }
        }
        Err(error) => app.engine.set(Engine::Dead(format!("{error:?}"))),
    }
}

/// What the worker said. By way of a JSON value, so that serde's code is there for one deserializer only.
fn read(message: JsValue) -> Result<Vec<Report>, String> {
    let value: serde_json::Value = serde_wasm_bindgen::from_value(message).map_err(|error| error.to_string())?;
    json::from_value(&value).map_err(|error| error.to_string())
}

fn try_spawn(app: App, link: &WorkerLink) -> Result<Worker, JsValue> {
    let address = address().ok_or("index.html does not name the worker's script")?;
    let worker = Worker::new(&address)?;
    let listening = link.clone();
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| match read(event.data()) {
        Ok(reports) => {
            for report in reports {
                if matches!(report, Report::Ready { .. }) {
                    listening.listens();
                }
                app.receive(report);
            }
        }
        Err(error) => leptos::logging::error!("the worker said what the page does not understand: {error}"),
    });
    worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    let (link, dying) = (link.clone(), worker.clone());
    let on_error = Closure::<dyn Fn(ErrorEvent)>::new(move |event: ErrorEvent| {
        event.prevent_default();
        // One that has been replaced may have more to say: it went on for a moment.
        if link.worker.borrow().as_ref() == Some(&dying) {
            died(app, &link, &event.message());
        }
    });
    worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
    on_error.forget();
    Ok(worker)
}

/// The engine died: it is started again from what was saved, unless that was done a moment ago.
fn died(app: App, link: &WorkerLink, message: &str) {
    if let Some(worker) = link.worker.take() {
        worker.terminate();
    }
    let now = now_ms();
    let again = link.restored_at.get().is_some_and(|before| now - before < DIES_AGAIN_MS);
    if again {
        app.engine.set(Engine::Dead(message.to_owned()));
    } else {
        restore(app, link, false, true);
    }
}

fn restore(app: App, link: &WorkerLink, without_last: bool, play: bool) {
    link.restored_at.set(Some(now_ms()));
    let saved = app.saved.get_untracked();
    let start = match (saved.is_empty(), without_last) {
        (true, _) => Start::New,
        (false, false) => Start::Text(saved),
        (false, true) => Start::WithoutLast(saved),
    };
    let play = play && app.cluster.clock.get_untracked().playing;
    let filter = app.filter.get_untracked();
    app.engine.set(Engine::Restored);
    spawn(app, link, &[Command::Open { start, play }, Command::Filter(filter), Command::Events(true)]);
}

/// Starts a dead engine again as the user has decided: as it was but with time standing, or without the last action.
pub(super) fn revive(app: App, without_last: bool) {
    let link = WorkerLink::default();
    app.connect(link.clone());
    restore(app, &link, without_last, false);
}
