//! Nodes with what is spoken for on them, and the tray of pods that have none yet.

use leptos::prelude::*;

use crate::key;
use crate::view::layout::{Detail, Rect, in_order, natural};
use crate::view::node::{NodeView, Share, bytes, cores};
use crate::view::pod::Sign;

use super::signs::sign;
use super::{Item, Stage, object};

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
            <For each=move || names.get() key=Clone::clone children=move |name| view! { <Machine stage=stage name=name/> }/>
        </g>
    }
}

#[component]
fn Machine(stage: Stage, name: String) -> impl IntoView {
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
    let (title, data_name) = (name.clone(), name.clone());
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
            >
                <rect class="box" width=move || place.get().width height=move || place.get().height rx="14"></rect>
                <circle class="port" cx=move || place.get().width / 2.0 cy="0" r="4"></circle>
                <text class="title" x=PADDING y="25">{title}</text>
                {move || state_line(stage, &node.get(), place.get())}
                {move || load(stage, &node.get(), place.get())}
                {move || counted.get().then(|| counts(stage, &name))}
            </g>
        </Item>
    }
}

fn state(node: &NodeView) -> &'static str {
    match (node.ready.as_str(), node.cordoned) {
        ("True", false) => "ready",
        ("True", true) => "cordoned",
        ("Unknown", _) => "lost",
        _ => "not-ready",
    }
}

fn state_word(node: &NodeView) -> crate::view::words::Key {
    match state(node) {
        "ready" => key!("node.ready"),
        "cordoned" => key!("node.cordoned"),
        "lost" => key!("node.lost"),
        _ => key!("node.not-ready"),
    }
}

fn state_line(stage: Stage, node: &NodeView, place: Rect) -> AnyView {
    let picture = match state(node) {
        "ready" => "ready",
        "cordoned" => "terminating",
        "lost" => "lost",
        _ => "trouble",
    };
    let word = stage.app.text(state_word(node));
    // How wide the word is nobody knows here, so the sign stands behind it, where its place is fixed.
    let right = place.width - PADDING - 12.0;
    view! {
        <text class="state" x=right - 5.0 y="25" text-anchor="end">{word}</text>
        {sign(picture, right, 14.5, 12.0)}
    }
    .into_any()
}

/// What is spoken for; or, of a node that is silent, since when.
fn load(stage: Stage, node: &NodeView, place: Rect) -> AnyView {
    let app = stage.app;
    if node.ready == "Unknown" {
        let heartbeat = node.heartbeat.map_or_else(String::new, |time| app.clock_text(time));
        let since = heartbeat.split('.').next().unwrap_or_default().to_owned();
        // Upstream's own taints are known by their last word.
        let taint = node.taints.iter().map(|taint| taint.rsplit('/').next().unwrap_or(taint)).next_back();
        return view! {
            <text class="soft" x=PADDING y="48">{app.fill(key!("node.silent"), &[&since])}</text>
            <text class="soft" x=PADDING y="66">{taint.unwrap_or_default().to_owned()}</text>
        }
        .into_any();
    }
    let cpu = format!("{} / {}", cores(node.cpu.requested), cores(node.cpu.allocatable));
    let memory = memory_text(node.memory);
    view! {
        {bar(app.text(key!("node.cpu")), node.cpu, cpu, 48.0, place)}
        {bar(app.text(key!("node.memory")), node.memory, memory, 66.0, place)}
    }
    .into_any()
}

fn memory_text(share: Share) -> String {
    let (used, all) = (bytes(share.requested), bytes(share.allocatable));
    // `3.1 / 8 Gi` when both are in the same unit.
    match (used.split_once(' '), all.split_once(' ')) {
        (Some((amount, unit)), Some((_, same))) if unit == same => format!("{amount} / {all}"),
        _ => format!("{used} / {all}"),
    }
}

fn bar(name: &'static str, share: Share, text: String, y: f64, place: Rect) -> AnyView {
    let width = (place.width - BAR_LEFT - BAR_RIGHT).max(10.0);
    let class = if share.fraction() > 0.9 { "used full" } else { "used" };
    view! {
        <text class="soft" x=PADDING y=y>{name}</text>
        <rect class="track" x=BAR_LEFT y=y - 8.0 width=width height="6" rx="3"></rect>
        <rect class=class x=BAR_LEFT y=y - 8.0 width=width * share.fraction() height="6" rx="3"></rect>
        <text class="soft" x=place.width - PADDING y=y text-anchor="end">{text}</text>
    }
    .into_any()
}

/// With very many pods a node only counts them.
fn counts(stage: Stage, node: &str) -> AnyView {
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
    let mut x = PADDING;
    let shown = tally.into_iter().take(4).map(|(state, count)| {
        let left = x;
        x += 46.0;
        view! {
            <g class=format!("count {}", state.id())>
                {sign(state.id(), left, 90.0, 12.0)}
                <text class="title" x=left + 16.0 y="101">{count}</text>
            </g>
        }
    });
    shown.collect::<Vec<_>>().into_any()
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
            style:transform=move || place.with(|rect| format!("translate({:.1}px, {:.1}px)", rect.x, rect.y))
            data-waiting=move || waiting.get()
        >
            <rect class="box" width=move || place.get().width height=move || place.get().height rx="10"></rect>
            <text class="soft" x="14" y="19">{words}</text>
        </g>
    }
}
