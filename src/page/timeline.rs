//! When: a line of time to go back on, what is marked on it, and the cluster's events.

use leptos::prelude::*;

use crate::key;
use crate::machinery::time::Time;
use crate::view::protocol::Command;
use crate::view::timeline::{Mark, MarkKind};
use crate::view::words::Key;

use super::erase::{hear, t};
use super::graph::Drawing;
use super::requests::Requests;
use super::state::{App, Room};
use super::terminal::Terminal;

/// The timeline is this long at least, in seconds, so that a young cluster does not fill it.
const SECONDS_MIN: f64 = 60.0;
/// Marks are told apart at so many places.
const PLACES: f64 = 500.0;

#[component]
pub(super) fn Timeline(app: App) -> impl IntoView {
    let clock = app.cluster.clock;
    let bounds = Memo::new(move |_| {
        let (start, end) = (app.cluster.start.get(), clock.with(|clock| clock.end));
        (start, end.since(start).as_secs_f64().max(SECONDS_MIN) * 1.02)
    });
    let part = move |time: Time| {
        let (start, seconds) = bounds.get();
        (time.since(start).as_secs_f64() / seconds).clamp(0.0, 1.0)
    };
    let marks = Memo::new(move |_| {
        let (start, seconds) = bounds.get();
        app.cluster.marks.with(|marks| {
            // Marks come in order, so those of one place and kind lie near each other, and the last is shown.
            let mut places: Vec<((i32, MarkKind), Mark)> = Vec::new();
            for mark in marks {
                let place = (mark.at.since(start).as_secs_f64() / seconds * PLACES).floor();
                #[allow(clippy::cast_possible_truncation, reason = "a number between 0 and PLACES")]
                let key = (place as i32, mark.kind);
                let of_place = places.iter_mut().rev().take_while(|((place, _), _)| *place == key.0);
                match of_place.into_iter().find(|(known, _)| *known == key) {
                    Some((_, known)) => *known = mark.clone(),
                    None => places.push((key, mark.clone())),
                }
            }
            places
        })
    });
    // What happened last before the moment that is shown.
    let last_mark = Memo::new(move |_| {
        let now = clock.with(|clock| clock.now);
        app.cluster
            .marks
            .with(|marks| marks.iter().rev().find(|mark| mark.at <= now).map(|mark| (mark.at, mark.clone())))
    });
    let seek = move |seconds: f64| {
        let (start, _) = bounds.get_untracked();
        app.send(&Command::Play(false));
        app.send(&Command::Seek(start + std::time::Duration::from_secs_f64(seconds.max(0.0))));
    };
    let on_input = move |event: web_sys::Event| {
        let seconds = event_target::<web_sys::HtmlInputElement>(&event).value_as_number();
        let known = clock.with_untracked(|clock| clock.end.since(app.cluster.start.get_untracked()).as_secs_f64());
        seek(seconds.min(known));
    };
    view! {
        <section class="bottom" data-room="events" aria-label=t!(app, "timeline.title")>
            <div class="scrub">
                <svg class="line" viewBox="0 0 1000 36" preserveAspectRatio="none" aria-hidden="true" inner_html=move || {
                    let line = Drawing::default()
                        .rect("track", (0.0, 17.0), (1000.0, 4.0), 2.0)
                        .rect("known", (0.0, 17.0), (part(clock.get().end) * 1000.0, 4.0), 2.0)
                        .rect("past", (0.0, 17.0), (part(clock.get().now) * 1000.0, 4.0), 2.0);
                    marks.with(|marks| {
                        let draw = |line: Drawing, ((place, kind), _): &((i32, MarkKind), Mark)| {
                            let (y, height) = if *kind == MarkKind::Change { (13.0, 12.0) } else { (8.0, 22.0) };
                            line.rect(mark_class(*kind), (f64::from(*place) / PLACES * 1000.0, y), (2.5, height), 0.0)
                        };
                        marks.iter().fold(line, draw).finish()
                    })
                }></svg>
                <input
                    id="scrubber"
                    type="range"
                    min="0"
                    step="0.1"
                    max=move || bounds.get().1
                    prop:value=move || clock.get().now.since(bounds.get().0).as_secs_f64()
                    aria-label=t!(app, "timeline.scrub")
                    aria-valuetext=move || app.clock_text(clock.get().now)
                    on:input=hear(on_input)
                />
            </div>
            <p class="caption" id="caption">{move || last_mark.get().map(|(at, mark)| {
                let sign = match mark.kind { MarkKind::Action => "●", MarkKind::Trouble => "▲", MarkKind::Change => "○" };
                view! { <time>{app.clock_text(at)}</time><span class=format!("mark-sign {}", mark.kind.id()) aria-hidden="true">{sign}</span>{app.say(&mark.text)} }.into_any()
            })}</p>
            {(!app.embedded).then(|| view! {
                <div class="panels">
                    <div class="panel-tabs" role="group" aria-label=t!(app, "rooms")>
                        {panel(app, Room::Events, key!("room.events"))}
                        {panel(app, Room::Terminal, key!("room.terminal"))}
                        {panel(app, Room::Requests, key!("room.requests"))}
                    </div>
                    <div class="panel" hidden=move || app.panel.get() != Room::Events><Events app=app/></div>
                    <div class="panel" hidden=move || app.panel.get() != Room::Terminal><Terminal app=app/></div>
                    <div class="panel" hidden=move || app.panel.get() != Room::Requests><Requests app=app/></div>
                </div>
            }.into_any())}
        </section>
    }
}

/// The button that shows one of the panels.
fn panel(app: App, room: Room, key: Key) -> AnyView {
    let is_shown = move || app.panel.get() == room;
    view! {
        <button id=format!("panel-{}", room.id()) class="panel-tab" aria-pressed=move || is_shown().to_string() on:click=hear(move |_| app.show(room))>
            {move || app.text(key)}
        </button>
    }
    .into_any()
}

const fn mark_class(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Action => "mark action",
        MarkKind::Trouble => "mark trouble",
        MarkKind::Change => "mark change",
    }
}

#[component]
fn Events(app: App) -> impl IntoView {
    let seconds = Memo::new(move |_| app.cluster.clock.get().now.as_secs());
    view! {
        <div class="events" tabindex="0" role="region" aria-label=t!(app, "events.title")>
            <table>
                <thead><tr>
                    <th>{t!(app, "events.last")}</th><th>{t!(app, "events.type")}</th><th>{t!(app, "events.reason")}</th>
                    <th>{t!(app, "events.object")}</th><th>{t!(app, "events.message")}</th>
                </tr></thead>
                <tbody>
                    {move || app.cluster.events.get().into_iter().take(100).map(|event| {
                        let subject = event.subject.clone();
                        let seen = event.last_seen.as_secs();
                        let name = format!("{}/{}", event.subject.kind.to_lowercase(), event.subject.name);
                        let times = if event.count > 1 { format!(" (×{})", event.count) } else { String::new() };
                        view! {
                            <tr class:warning=event.warning>
                                <td>{move || age(seconds.get().saturating_sub(seen))}</td>
                                <td>{if event.warning { "Warning" } else { "Normal" }}</td>
                                <td>{event.reason}</td>
                                <td><button class="link" on:click=hear(move |_| { app.select_object(subject.clone()); app.show(Room::Inspector); })>{name}</button></td>
                                <td class="wide">{event.message}{times}</td>
                            </tr>
                        }
                    }).collect_view()}
                </tbody>
            </table>
            {move || app.cluster.events.with(Vec::is_empty).then(|| view! { <p class="soft empty">{app.text(key!("events.none"))}</p> })}
        </div>
    }
}

/// `42s`, `5m`, `3h`, as kubectl tells ages.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
