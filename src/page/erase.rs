//! One type for many. Whatever `view!` is given is generic, and each closure has a type of its own, for which the
//! compiler would write the whole machinery of views once more; the page would be twice as large. Closures without
//! arguments are put behind one type by Leptos itself (`--cfg erase_components`, see `.cargo/config.toml`); what it
//! leaves alone is done here.

use crate::view::words::Key;

use super::state::App;

/// A listener to an event.
pub(super) fn hear<E: 'static>(listener: impl FnMut(E) + 'static) -> Box<dyn FnMut(E)> {
    Box::new(listener)
}

/// A text of the page in its language; tracks the language.
pub(super) fn words(app: App, key: Key) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
    move || app.text(key)
}

/// As [`words`], by the name of the text.
macro_rules! t {
    ($app:expr, $name:literal) => {
        $crate::page::erase::words($app, $crate::key!($name))
    };
}
pub(super) use t;
