//! Nodes with what is spoken for on them, and the tray of pods that have none yet.

use leptos::prelude::*;

use crate::key;
use crate::view::layout::{Detail, Rect, in_order, natural};
use crate::view::node::{NodeView, Share, bytes, cores};
use crate::view::pod::Sign;

use super::drawing::{Anchor, Drawing, moved};
use super::{Item, Stage, each, object};

/// Left and right of a bar in a node.
const BAR_LEFT: f64 = 74.0;
const BAR_RIGHT: f64 = 92.0;
const PADDING: f64 = 14.0;

/// The id of a node's element.
pub(super) fn id(name: &str) -> String {
    format!("node-{name}")
}

#[component]
pub(super) fn Nodes(stage: Stage) -> impl IntoView {
    let names = Memo::new(move |_| {
        stage.layout.with(|layout| {
            let names: Vec<&String> = layout.nodes.keys().collect();
            in_order(names, |name| natural(name)).into_iter().cloned().collect::<Vec<_>>()
        })
    });
    view! {
        <g class="nodes">
            {each(stage, names, machine)}
        </g>
    }
}

fn machine(stage: Stage, name: String) -> AnyView {
    let app = stage.app;
    let (sought, placed) = (name.clone(), name.clone());
    let node =
        Memo::new(move |_| app.cluster.scene.with(|scene| scene.nodes.get(&sought).cloned().unwrap_or_default()));
    let place = Memo::new(move |_| stage.layout.with(|layout| layout.nodes.get(&placed).copied().unwrap_or_default()));
    let class = Signal::derive(move || format!("node {}", node.with(|node| state(node))));
    let label = Signal::derive(move || {
        let node = node.get();
        let pods = node.pods.requested.to_string();
        app.fill(
            key!("node.label"),
            &[&node.name, app.text(state_word(&node)), &pods, &cores(node.cpu.requested), &cores(node.cpu.allocatable)],
        )
    });
    let counted = Memo::new(move |_| stage.layout.with(|layout| layout.detail == Some(Detail::Counted)));
    let data_name = name.clone();
    view! {
        <Item
            stage=stage
            id=id(&name)
            class=class
            selection=object("Node", "", &name)
            label=label
            place=Signal::derive(move || place.with(|rect| (rect.x, rect.y)))
        >
            <g
                data-kind="Node"
                data-name=data_name
                data-ready=move || node.with(|node| node.ready.clone())
                data-pods=move || node.with(|node| node.pods.requested)
                inner_html=move || {
                    let (node, place) = (node.get(), place.get());
                    let drawing = Drawing::default()
                        .rect("box", (0.0, 0.0), (place.width, place.height), 14.0)
                        .circle("port", place.width / 2.0, 0.0, 4.0)
                        .words("title", PADDING, 25.0, Anchor::Start, &name);
                    let drawing = load(stage, &node, place, state_line(stage, &node, place, drawing));
                    if counted.get() { counts(stage, &name, drawing).finish() } else { drawing.finish() }
                }
            ></g>
        </Item>
    }
    .into_any()
}

fn state(node: &NodeView) -> &'static str {
    match (node.ready.as_str(), node.cordoned) {
        ("True", false) => "ready",
        ("True", true) => "cordoned",
        ("Unknown", _) => "lost",
        _ => "not-ready",
    }
}

pub(in crate::page) fn state_word(node: &NodeView) -> crate::view::words::Key {
    match state(node) {
        "ready" => key!("node.ready"),
        "cordoned" => key!("node.cordoned"),
        "lost" => key!("node.lost"),
        _ => key!("node.not-ready"),
    }
}

fn state_line(stage: Stage, node: &NodeView, place: Rect, drawing: Drawing) -> Drawing {
    let picture = match state(node) {
        "ready" => "ready",
        "cordoned" => "terminating",
        "lost" => "lost",
        _ => "trouble",
    };
    // How wide the word is nobody knows here, so the sign stands behind it, where its place is fixed.
    let right = place.width - PADDING - 12.0;
    let word = stage.app.text(state_word(node));
    drawing.words("state", right - 5.0, 25.0, Anchor::End, word).sign(picture, right, 14.5, 12.0)
}

/// What is spoken for; or, of a node that is silent, since when.
fn load(stage: Stage, node: &NodeView, place: Rect, drawing: Drawing) -> Drawing {
    let app = stage.app;
    if node.ready == "Unknown" {
        let heartbeat = node.heartbeat.map_or_else(String::new, |time| app.clock_text(time));
        let since = heartbeat.split('.').next().unwrap_or_default().to_owned();
        // Upstream's own taints are known by their last word.
        let taint = node.taints.iter().map(|taint| taint.rsplit('/').next().unwrap_or(taint)).next_back();
        return drawing.words("soft", PADDING, 48.0, Anchor::Start, &app.fill(key!("node.silent"), &[&since])).words(
            "soft",
            PADDING,
            66.0,
            Anchor::Start,
            taint.unwrap_or_default(),
        );
    }
    let cpu = format!("{} / {}", cores(node.cpu.requested), cores(node.cpu.allocatable));
    let drawing = bar(app.text(key!("node.cpu")), node.cpu, &cpu, 48.0, place, drawing);
    bar(app.text(key!("node.memory")), node.memory, &memory_text(node.memory), 66.0, place, drawing)
}

fn memory_text(share: Share) -> String {
    let (used, all) = (bytes(share.requested), bytes(share.allocatable));
    // `3.1 / 8 Gi` when both are in the same unit.
    match (used.split_once(' '), all.split_once(' ')) {
        (Some((amount, unit)), Some((_, same))) if unit == same => format!("{amount} / {all}"),
        _ => format!("{used} / {all}"),
    }
}

fn bar(name: &str, share: Share, text: &str, y: f64, place: Rect, drawing: Drawing) -> Drawing {
    let width = (place.width - BAR_LEFT - BAR_RIGHT).max(10.0);
    let class = if share.fraction() > 0.9 { "used full" } else { "used" };
    drawing
        .words("soft", PADDING, y, Anchor::Start, name)
        .rect("track", (BAR_LEFT, y - 8.0), (width, 6.0), 3.0)
        .rect(class, (BAR_LEFT, y - 8.0), (width * share.fraction(), 6.0), 3.0)
        .words("soft", place.width - PADDING, y, Anchor::End, text)
}

/// With very many pods a node only counts them.
fn counts(stage: Stage, node: &str, mut drawing: Drawing) -> Drawing {
    let tally = stage.app.cluster.scene.with(|scene| {
        let mut tally: Vec<(Sign, usize)> = Vec::new();
        for pod in scene.pods.values().filter(|pod| pod.node.as_deref() == Some(node)) {
            match tally.iter_mut().find(|(sign, _)| *sign == pod.sign) {
                Some((_, count)) => *count += 1,
                None => tally.push((pod.sign, 1)),
            }
        }
        tally
    });
    let mut left = PADDING;
    for (state, count) in tally.into_iter().take(4) {
        let count = count.to_string();
        drawing = drawing.sign(state.id(), left, 90.0, 12.0).words("title", left + 16.0, 101.0, Anchor::Start, &count);
        left += 46.0;
    }
    drawing
}

/// The tray of pods that wait for a node.
#[component]
pub(super) fn Tray(stage: Stage) -> impl IntoView {
    let app = stage.app;
    let place = Memo::new(move |_| stage.layout.with(|layout| layout.waiting));
    let waiting = Memo::new(move |_| {
        app.cluster.scene.with(|scene| scene.pods.values().filter(|pod| pod.node.is_none()).count())
    });
    let hidden = Memo::new(move |_| stage.layout.with(|layout| layout.waiting_hidden));
    let words = move || match waiting.get() {
        0 => app.text(key!("tray.empty")).to_owned(),
        some if hidden.get() > 0 => app.fill(key!("tray.more"), &[&some.to_string(), &hidden.get().to_string()]),
        some => app.fill(key!("tray.some"), &[&some.to_string()]),
    };
    view! {
        <g
            class="tray"
            class:empty=move || waiting.get() == 0
            style:transform=move || place.with(|rect| moved(rect.x, rect.y))
            data-waiting=move || waiting.get()
            inner_html=move || {
                let place = place.get();
                let drawing = Drawing::default().rect("box", (0.0, 0.0), (place.width, place.height), 10.0);
                drawing.words("soft", 14.0, 19.0, Anchor::Start, &words()).finish()
            }
        ></g>
    }
}
