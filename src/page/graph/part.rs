//! The control plane: the parts above, and the API server that everything hangs on.

use leptos::prelude::*;

use crate::key;
use crate::view::layout::Rect;
use crate::view::words::Key;
use crate::view::{Actor, Selection};

use super::drawing::{Anchor, Drawing, push_number};
use super::{Item, Stage};

/// The id of a part's element.
pub(super) fn id(actor: &Actor) -> String {
    format!("part-{}", actor.id())
}

/// A part's name as people call it.
pub(in crate::page) const fn name(actor: &Actor) -> Key {
    match actor {
        Actor::You => key!("part.you"),
        Actor::Etcd => key!("part.etcd"),
        Actor::ApiServer => key!("part.apiserver"),
        Actor::Scheduler => key!("part.scheduler"),
        Actor::Controllers => key!("part.controllers"),
        Actor::Cloud => key!("part.cloud"),
        Actor::Node(_) => key!("part.kubelet"),
    }
}

/// What a part does, in a sentence.
pub(in crate::page) const fn purpose(actor: &Actor) -> Key {
    match actor {
        Actor::You => key!("purpose.you"),
        Actor::Etcd => key!("purpose.etcd"),
        Actor::ApiServer => key!("purpose.apiserver"),
        Actor::Scheduler => key!("purpose.scheduler"),
        Actor::Controllers => key!("purpose.controllers"),
        Actor::Cloud => key!("purpose.cloud"),
        Actor::Node(_) => key!("purpose.kubelet"),
    }
}

#[component]
pub(super) fn Parts(stage: Stage) -> impl IntoView {
    let parts = Actor::PARTS.into_iter().map(|actor| view! { <Part stage=stage actor=actor/> });
    view! { <g class="parts">{parts.collect_view()}</g> }
}

#[component]
fn Part(stage: Stage, actor: Actor) -> impl IntoView {
    let app = stage.app;
    let sought = actor.clone();
    let place = Memo::new(move |_| {
        stage.layout.with(|layout| {
            layout.parts.iter().find(|(actor, _)| *actor == sought).map_or_else(Rect::default, |(_, rect)| *rect)
        })
    });
    let is_bus = actor == Actor::ApiServer;
    let title = name(&actor);
    let second = second_line(stage, actor.clone());
    let label = Signal::derive(move || format!("{}: {}", app.text(title), second.get()));
    let (class, part) = (format!("part {}", actor.id()), actor.clone());
    let is_down = Memo::new(move |_| app.cluster.counts.with(|counts| counts.is_down(&part)));
    let is_drum = actor == Actor::Etcd;
    let draw = move || {
        let rect = place.get();
        let shape = if is_drum { drum(rect) } else { plate(rect, if is_bus { 12.0 } else { 10.0 }) };
        let (title, second) = (app.text(title), second.get());
        let words = if is_bus {
            shape.words("title", 18.0, 19.0, Anchor::Start, title).words(
                "soft",
                rect.width - 18.0,
                19.0,
                Anchor::End,
                &second,
            )
        } else {
            let middle = rect.width / 2.0;
            shape.words("title", middle, 20.0, Anchor::Middle, title).words(
                "soft",
                middle,
                35.0,
                Anchor::Middle,
                &second,
            )
        };
        words.finish()
    };
    view! {
        <Item
            stage=stage
            id=id(&actor)
            class=Signal::derive(move || if is_down.get() { format!("{class} down") } else { class.clone() })
            selection=Selection::Part(actor)
            label=label
            place=Signal::derive(move || place.with(|rect| (rect.x, rect.y)))
        >
            <g inner_html=draw></g>
        </Item>
    }
}

fn plate(place: Rect, radius: f64) -> Drawing {
    Drawing::default().rect("box", (0.0, 0.0), (place.width, place.height), radius)
}

/// A store looks like a drum, as everybody draws it.
fn drum(Rect { width, height, .. }: Rect) -> Drawing {
    // The letters of a path with a number behind each; an arc has five numbers besides its end.
    let arc = |form: &mut String, sweep: char, end_x: f64, end_y: f64| {
        form.push('A');
        push_number(form, width / 2.0);
        form.push_str(" 6 0 0 ");
        form.push(sweep);
        form.push(' ');
        push_number(form, end_x);
        form.push(' ');
        push_number(form, end_y);
    };
    let low = height - 6.0;
    let mut side = String::from("M0 6");
    arc(&mut side, '1', width, 6.0);
    side.push('V');
    push_number(&mut side, low);
    arc(&mut side, '1', 0.0, low);
    side.push('Z');
    let mut lid = String::from("M0 6");
    arc(&mut lid, '0', width, 6.0);
    Drawing::default().path("box", "", &side).path("lid", "", &lid)
}

/// What a part is busy with, in few words.
fn second_line(stage: Stage, actor: Actor) -> Signal<String> {
    let app = stage.app;
    Signal::derive(move || {
        let counts = app.cluster.counts.get();
        if counts.is_down(&actor) {
            return app.text(key!("part.stopped")).to_owned();
        }
        match actor {
            Actor::You => app.text(key!("part.you.line")).to_owned(),
            Actor::Etcd => app.fill(key!("part.etcd.line"), &[&counts.revision.to_string()]),
            Actor::ApiServer => app.fill(key!("part.apiserver.line"), &[&counts.watches.to_string()]),
            Actor::Scheduler => {
                let (active, waiting) = (counts.active, counts.backing_off + counts.unschedulable);
                let (active_text, waiting_text) = (active.to_string(), waiting.to_string());
                match (active, waiting) {
                    (0, 0) => app.text(key!("part.scheduler.idle")).to_owned(),
                    (_, 0) => app.fill(key!("part.scheduler.active"), &[&active_text]),
                    (0, _) => app.fill(key!("part.scheduler.waiting"), &[&waiting_text]),
                    // Where there is little room the sum is told; the inspector tells more.
                    _ if stage.layout.with(|layout| layout.narrow_parts) => {
                        app.fill(key!("part.scheduler.waiting"), &[&(active + waiting).to_string()])
                    }
                    _ => app.fill(key!("part.scheduler.line"), &[&active_text, &waiting_text]),
                }
            }
            Actor::Controllers => app.text(key!("part.controllers.line")).to_owned(),
            Actor::Cloud | Actor::Node(_) => app.text(key!("part.cloud.line")).to_owned(),
        }
    })
}
