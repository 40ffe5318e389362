//! The Web Worker: a session behind messages, so that the page stays smooth whatever the cluster does.
//!
//! The work is done by `kubetab::view::host`; here are the browser's messages, its clock and a timer.

#[cfg(target_arch = "wasm32")]
fn main() {
    worker::start();
}

#[cfg(target_arch = "wasm32")]
mod worker {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use gloo_timers::callback::Interval;
    use kubetab::machinery::json;
    use kubetab::view::host::Host;
    use kubetab::view::protocol::{Command, Report};
    use serde_json::Value;
    use wasm_bindgen::{JsCast as _, closure::Closure};
    use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

    /// How often time is moved on, in milliseconds.
    const TICK_MS: u32 = 16;
    /// How long the engine may work in one tick, in milliseconds; the rest is for messages.
    const BUDGET_MS: f64 = 24.0;

    /// What the page says while it opens; the part of the program that is loaded first does it. Whatever else is said
    /// waits until the rest is there, and time in the cluster goes on meanwhile.
    const AT_ONCE: [&str; 5] = ["Open", "Lesson", "Events", "Filter", "Drawn"];
    /// The only one that says nothing about what waits.
    const APART: &str = "Drawn";

    /// What the worker's listeners share.
    struct Engine {
        scope: DedicatedWorkerGlobalScope,
        host: RefCell<Host>,
        /// Whether the page has said with which session it begins. Before that there is nothing to show, or to save.
        is_open: Cell<bool>,
        /// Messages that wait for the rest of the program, until it is there.
        waiting: RefCell<Option<Vec<Value>>>,
    }

    /// Starts listening and ticking, for as long as the page lives.
    pub(crate) fn start() {
        console_error_panic_hook::set_once();
        let engine = Rc::new(Engine {
            scope: js_sys::global().unchecked_into(),
            host: RefCell::new(Host::new()),
            is_open: Cell::new(false),
            waiting: RefCell::new(Some(Vec::new())),
        });
        send(&engine.scope, engine.host.borrow_mut().take_reports());
        listen(&engine);
        expect_the_rest(&engine);
        tick(engine);
    }

    impl Engine {
        fn hear(&self, message: Value) {
            if let Some(waiting) = self.waiting.borrow_mut().as_mut().filter(|waiting| must_wait(&message, waiting)) {
                return waiting.push(message);
            }
            self.obey(&message);
        }

        fn obey(&self, message: &Value) {
            // A message that is no command is a bug of the page; the page sees the engine die of it.
            let command: Command = json::from_value(message).expect("the page sends commands");
            let mut host = self.host.borrow_mut();
            host.command(command);
            self.is_open.set(true);
            send(&self.scope, host.take_reports());
        }
    }

    /// Whether a message comes too early. What is said after one that waits, waits as well, and so the order stays.
    fn must_wait(message: &Value, waiting: &[Value]) -> bool {
        let name = match message {
            Value::Object(command) => command.keys().next().map_or("", String::as_str),
            _ => message.as_str().unwrap_or_default(),
        };
        !AT_ONCE.contains(&name) || (!waiting.is_empty() && name != APART)
    }

    fn listen(engine: &Rc<Engine>) {
        let listening = engine.clone();
        let listener = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            listening.hear(serde_wasm_bindgen::from_value(event.data()).expect("the page sends data"));
        });
        engine.scope.set_onmessage(Some(listener.as_ref().unchecked_ref()));
        listener.forget();
    }

    /// Does what waited when `assets/start/start.js` says that the program is whole. When it says that the rest cannot
    /// be loaded, that is done as well: the first command that needs it brings the engine down, and the page says why.
    fn expect_the_rest(engine: &Rc<Engine>) {
        let expecting = engine.clone();
        let listener = Closure::<dyn Fn()>::new(move || {
            let messages = expecting.waiting.take();
            for message in messages.into_iter().flatten() {
                expecting.obey(&message);
            }
        });
        for event in ["kubetab-complete", "kubetab-missing"] {
            let heard = engine.scope.add_event_listener_with_callback(event, listener.as_ref().unchecked_ref());
            heard.expect("every scope has listeners");
        }
        listener.forget();
    }

    fn tick(engine: Rc<Engine>) {
        let clock = engine.scope.performance().expect("workers have a clock");
        let mut last = clock.now();
        let interval = Interval::new(TICK_MS, move || {
            let now = clock.now();
            let elapsed = (now - last) / 1000.0;
            last = now;
            if engine.is_open.get() {
                let mut host = engine.host.borrow_mut();
                host.tick(elapsed, &mut || clock.now() - now < BUDGET_MS);
                send(&engine.scope, host.take_reports());
            }
        });
        interval.forget();
    }

    fn send(scope: &DedicatedWorkerGlobalScope, reports: Vec<Report>) {
        if reports.is_empty() {
            return;
        }
        let message = serde_wasm_bindgen::to_value(&json::to_value(&reports)).expect("reports are plain data");
        // A worker whose page has gone has nobody to tell.
        let _ = scope.post_message(&message);
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This binary is the page's Web Worker and runs in a browser only. Build and open the page: make serve");
    std::process::exit(2);
}
