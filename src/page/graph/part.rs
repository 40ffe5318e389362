//! The control plane: the parts above, and the API server that everything hangs on.

use leptos::prelude::*;

use crate::key;
use crate::view::layout::Rect;
use crate::view::words::Key;
use crate::view::{Actor, Selection};

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
    let class = format!("part {}", actor.id());
    let shape = if actor == Actor::Etcd { drum(place) } else { plate(place, if is_bus { "12" } else { "10" }) };
    let words = move || {
        let rect = place.get();
        let middle = rect.width / 2.0;
        if is_bus {
            view! {
                <text class="title" x="18" y="19">{app.text(title)}</text>
                <text class="soft" x=rect.width - 18.0 y="19" text-anchor="end">{move || second.get()}</text>
            }
            .into_any()
        } else {
            view! {
                <text class="title" x=middle y="20" text-anchor="middle">{app.text(title)}</text>
                <text class="soft" x=middle y="35" text-anchor="middle">{move || second.get()}</text>
            }
            .into_any()
        }
    };
    view! {
        <Item
            stage=stage
            id=id(&actor)
            class=class
            selection=Selection::Part(actor)
            label=label
            place=Signal::derive(move || place.with(|rect| (rect.x, rect.y)))
        >
            {shape}
            {words}
        </Item>
    }
}

fn plate(place: Memo<Rect>, radius: &'static str) -> AnyView {
    view! { <rect class="box" width=move || place.get().width height=move || place.get().height rx=radius></rect> }
        .into_any()
}

/// A store looks like a drum, as everybody draws it.
fn drum(place: Memo<Rect>) -> AnyView {
    let side = move || {
        let Rect { width, height, .. } = place.get();
        let (rx, low) = (width / 2.0, height - 6.0);
        format!("M0 6 A{rx} 6 0 0 1 {width} 6 V{low} A{rx} 6 0 0 1 0 {low} Z")
    };
    let lid = move || {
        let width = place.get().width;
        format!("M0 6 A{rx} 6 0 0 0 {width} 6", rx = width / 2.0)
    };
    view! { <path class="box" d=side></path><path class="lid" d=lid></path> }.into_any()
}

/// What a part is busy with, in few words.
fn second_line(stage: Stage, actor: Actor) -> Signal<String> {
    let app = stage.app;
    Signal::derive(move || {
        let counts = app.cluster.counts.get();
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
