//! The signs of states: each has a form of its own, so that none is told by its colour alone.

use leptos::prelude::*;

use crate::view::pod::Sign;

/// The drawings that the graph refers to, 12 by 12 each.
#[component]
pub(super) fn Signs() -> impl IntoView {
    view! {
        <defs>
            <symbol id="sign-ready" viewBox="0 0 12 12"><path d="M2 6.5 5 9.5 10.5 3"></path></symbol>
            <symbol id="sign-not-ready" viewBox="0 0 12 12">
                <circle cx="6" cy="6" r="4.2"></circle>
                <path class="fill" d="M6 1.8a4.2 4.2 0 0 1 0 8.4z"></path>
            </symbol>
            <symbol id="sign-starting" viewBox="0 0 12 12"><path d="M10.3 6a4.3 4.3 0 1 1-1.5-3.3M9 .8v2.2H6.8"></path></symbol>
            <symbol id="sign-waiting" viewBox="0 0 12 12"><path d="M3 1.5h6M3 10.5h6M3.5 1.5C3.5 5 8.5 7 8.5 10.5M8.5 1.5C8.5 5 3.5 7 3.5 10.5"></path></symbol>
            <symbol id="sign-trouble" viewBox="0 0 12 12"><path d="M6 1.3 11.2 10.5H.8zM6 4.8v2.7M6 9v.3"></path></symbol>
            <symbol id="sign-failed" viewBox="0 0 12 12"><path d="M2.5 2.5l7 7M9.5 2.5l-7 7"></path></symbol>
            <symbol id="sign-done" viewBox="0 0 12 12"><path d="M1.5 6.5 3.8 8.8 7.5 4M5.5 8 6.3 8.8 10.5 4"></path></symbol>
            <symbol id="sign-terminating" viewBox="0 0 12 12"><path d="M2 6h8"></path></symbol>
            <symbol id="sign-lost" viewBox="0 0 12 12"><path d="M3.8 4.3a2.2 2.2 0 1 1 3.4 1.9C6.3 6.8 6 7.2 6 8M6 10v.3"></path></symbol>
            <pattern id="old-stripes" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
                <rect class="stripe" width="2.2" height="4"></rect>
            </pattern>
        </defs>
    }
}

/// The text key of a sign's word.
pub(super) const fn word(sign: Sign) -> crate::view::words::Key {
    use crate::key;
    match sign {
        Sign::Ready => key!("sign.ready"),
        Sign::NotReady => key!("sign.not-ready"),
        Sign::Starting => key!("sign.starting"),
        Sign::Waiting => key!("sign.waiting"),
        Sign::Trouble => key!("sign.trouble"),
        Sign::Failed => key!("sign.failed"),
        Sign::Done => key!("sign.done"),
        Sign::Terminating => key!("sign.terminating"),
        Sign::Lost => key!("sign.lost"),
    }
}
