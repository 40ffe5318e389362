//! The manifest editor: CodeMirror behind `assets/editor/editor.js`, loaded after first paint.
//!
//! Lines and columns count from 1, columns in characters, as the engine counts them.

use js_sys::{Array, Function, Object, Reflect};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/assets/editor/load.js")]
extern "C" {
    #[wasm_bindgen(js_name = loadEditor, catch)]
    async fn load_editor() -> Result<JsValue, JsValue>;
}

/// What the editor starts with.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The text of the first file.
    pub text: &'a str,
    /// Whether to show light letters on a dark ground.
    pub dark: bool,
    /// The editor's name for screen readers.
    pub label: &'a str,
}

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The API server refuses it.
    Error,
    /// It is accepted, but probably not meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// A message at a place in the text.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// First line, from 1.
    pub line: u32,
    /// First column, from 1, in characters.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column after the last character; the same place as the start marks the rest of the line.
    pub end_column: u32,
    /// How bad it is.
    pub severity: Severity,
    /// The API server's own words.
    pub message: String,
    /// A helpful second line in ours.
    pub hint: Option<String>,
}

/// A live editor; dropping it removes it from the page.
#[derive(Debug)]
pub struct Editor {
    handle: JsValue,
    // The editor calls these for as long as it lives.
    _on_change: Closure<dyn Fn(String)>,
    _on_apply: Closure<dyn Fn()>,
}

impl Editor {
    /// Loads CodeMirror, unless that was done before, and puts an editor into `parent`.
    ///
    /// `on_change` hears the text after each change by the user, `on_apply` hears
    /// Ctrl-Enter and Cmd-Enter.
    ///
    /// # Errors
    /// When the bundle cannot be loaded.
    pub async fn create(
        parent: &web_sys::HtmlElement,
        options: &Options<'_>,
        on_change: impl Fn(String) + 'static,
        on_apply: impl Fn() + 'static,
    ) -> Result<Self, JsValue> {
        let module = load_editor().await?;
        let on_change = Closure::<dyn Fn(String)>::new(on_change);
        let on_apply = Closure::<dyn Fn()>::new(on_apply);
        let settings = object(&[
            ("text", options.text.into()),
            ("dark", options.dark.into()),
            ("onChange", on_change.as_ref().clone()),
            ("onApply", on_apply.as_ref().clone()),
            ("labels", object(&[("editor", options.label.into())])),
        ]);
        let handle = call(&module, "create", &[parent.into(), settings])?;
        Ok(Self { handle, _on_change: on_change, _on_apply: on_apply })
    }

    /// The text of the file in view.
    pub fn text(&self) -> String {
        self.call("getText", &[]).as_string().unwrap_or_default()
    }

    /// Replaces the text as one change that can be undone; `on_change` does not hear it.
    pub fn set_text(&self, text: &str) {
        self.call("setText", &[text.into()]);
    }

    /// Shows another file; one that was open before comes back with its undo history.
    pub fn open(&self, name: &str, text: &str) {
        self.call("open", &[name.into(), text.into()]);
    }

    /// Forgets a file that [`Self::open`] showed.
    pub fn close(&self, name: &str) {
        self.call("close", &[name.into()]);
    }

    /// Shows these messages instead of the last ones.
    pub fn set_diagnostics(&self, diagnostics: &[Diagnostic]) {
        let list: Array = diagnostics.iter().map(diagnostic_object).collect();
        self.call("setDiagnostics", &[list.into()]);
    }

    /// Words that the editor offers to complete.
    pub fn set_words(&self, words: &[&str]) {
        let list: Array = words.iter().map(|word| JsValue::from_str(word)).collect();
        self.call("setWords", &[list.into()]);
    }

    /// Switches between light and dark.
    pub fn set_dark(&self, dark: bool) {
        self.call("setDark", &[dark.into()]);
    }

    /// Puts the keyboard's focus into the editor.
    pub fn focus(&self) {
        self.call("focus", &[]);
    }

    /// Moves the cursor to a place and brings it into view.
    pub fn go_to(&self, line: u32, column: u32) {
        self.call("goTo", &[line.into(), column.into()]);
    }

    fn call(&self, method: &str, arguments: &[JsValue]) -> JsValue {
        // These methods fail only when editor.js and this file disagree: a bug, shown as one.
        call(&self.handle, method, arguments).unwrap_or_else(|error| panic!("editor.{method}: {error:?}"))
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.call("destroy", &[]);
    }
}

fn diagnostic_object(diagnostic: &Diagnostic) -> JsValue {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    object(&[
        ("line", diagnostic.line.into()),
        ("column", diagnostic.column.into()),
        ("endLine", diagnostic.end_line.into()),
        ("endColumn", diagnostic.end_column.into()),
        ("severity", severity.into()),
        ("message", diagnostic.message.as_str().into()),
        ("hint", diagnostic.hint.as_deref().map_or(JsValue::UNDEFINED, JsValue::from_str)),
    ])
}

fn object(entries: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (key, value) in entries {
        Reflect::set(&object, &JsValue::from_str(key), value).expect("a new object takes any property");
    }
    object.into()
}

fn call(target: &JsValue, method: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let function: Function = Reflect::get(target, &JsValue::from_str(method))?.dyn_into()?;
    function.apply(target, &arguments.iter().collect::<Array>())
}
