//! Pods. Each is drawn once and moved: one that is bound flies from the tray to its node.

use std::sync::Arc;

use leptos::prelude::*;

use crate::key;
use crate::view::layout::{Detail, Rect};
use crate::view::pod::{Generation, PodView, Sign};

use super::drawing::{Anchor, Drawing};
use super::signs::word;
use super::{Item, Stage, each, object};

/// The id of a pod's element.
pub(super) fn id(uid: &str) -> String {
    format!("pod-{uid}")
}

#[component]
pub(super) fn Pods(stage: Stage) -> impl IntoView {
    let uids = Memo::new(move |_| stage.layout.with(|layout| layout.pods.keys().cloned().collect::<Vec<_>>()));
    view! {
        <g class="pods">
            {each(stage, uids, pod)}
        </g>
    }
}

fn pod(stage: Stage, uid: String) -> AnyView {
    let app = stage.app;
    let (sought, placed) = (uid.clone(), uid.clone());
    // A pod that leaves is drawn as it was last, until its element goes.
    let Some(first) = app.cluster.scene.with_untracked(|scene| scene.pods.get(&uid).cloned()) else {
        return ().into_any();
    };
    let (namespace, name) = (first.namespace.clone(), first.name.clone());
    let pod = Memo::new(move |last: Option<&Arc<PodView>>| {
        let now = app.cluster.scene.with(|scene| scene.pods.get(&sought).cloned());
        now.unwrap_or_else(|| last.cloned().unwrap_or_else(|| first.clone()))
    });
    let place = Memo::new(move |last: Option<&Rect>| {
        let now = stage.layout.with(|layout| layout.pods.get(&placed).copied());
        now.unwrap_or_else(|| last.copied().unwrap_or_default())
    });
    let detail = Memo::new(move |_| stage.layout.with(|layout| layout.detail.unwrap_or(Detail::Full)));
    let class = Signal::derive(move || {
        pod.with(|pod| format!("pod {} {} {}", pod.sign.id(), pod.generation.id(), detail.get().id()))
    });
    let label = Signal::derive(move || pod.with(|pod| spoken(stage, pod)));
    view! {
        <Item
            stage=stage
            id=id(&uid)
            class=class
            selection=object("Pod", &namespace, &name)
            label=label
            place=Signal::derive(move || place.with(|rect| (rect.x, rect.y)))
        >
            <g
                data-kind="Pod"
                data-name=name
                data-namespace=namespace
                data-phase=move || pod.with(|pod| pod.phase.clone())
                data-status=move || pod.with(|pod| pod.status.clone())
                data-ready=move || pod.with(|pod| pod.sign == Sign::Ready).to_string()
                data-node=move || pod.with(|pod| pod.node.clone().unwrap_or_default())
                data-image=move || pod.with(|pod| pod.images.join(","))
                inner_html=move || drawing(stage, &pod.get(), place.get(), detail.get()).title(&label.get()).finish()
            ></g>
        </Item>
    }
    .into_any()
}

/// A pod in words.
fn spoken(stage: Stage, pod: &PodView) -> String {
    let app = stage.app;
    let node = pod.node.clone().unwrap_or_else(|| app.text(key!("pod.no-node")).to_owned());
    app.fill(key!("pod.label"), &[&pod.name, app.text(word(pod.sign)), &pod.status, &pod.ready_text(), &node])
}

/// How round its corners are: what has ended is round, what has gone wrong is sharp.
const fn corner(sign: Sign, height: f64) -> f64 {
    match sign {
        Sign::Done => height / 2.0,
        Sign::Failed | Sign::Trouble => 2.0,
        _ => height / 5.0,
    }
}

fn drawing(stage: Stage, pod: &PodView, place: Rect, detail: Detail) -> Drawing {
    let Rect { width, height, .. } = place;
    let mut drawing = Drawing::default().rect("body", (0.0, 0.0), (width, height), corner(pod.sign, height));
    if pod.generation != Generation::Only && detail != Detail::Dot {
        let inset = if detail == Detail::Full { 7.0 } else { 5.0 };
        // A pod that is about to be drawn larger may still have its small place.
        drawing = drawing.rect("band", (3.0, inset), (4.0, (height - 2.0 * inset).max(0.0)), 2.0);
    }
    match detail {
        Detail::Full | Detail::Counted => full(stage, pod, width, drawing),
        Detail::Short => drawing.sign(pod.sign.id(), width / 2.0 - 5.0, height / 2.0 - 6.0, 12.0).words(
            "tiny",
            width / 2.0,
            height - 2.0,
            Anchor::Middle,
            pod.short_name(),
        ),
        Detail::Dot => drawing.sign(pod.sign.id(), 2.0, 2.0, 9.0),
    }
}

fn full(stage: Stage, pod: &PodView, width: f64, drawing: Drawing) -> Drawing {
    let short = shortened(pod.short_name(), 9);
    // The band of a roll-out stands at the left.
    let middle = width / 2.0 + 2.0;
    let word = short_word(stage, pod);
    // A long word reaches to the right edge, away from the sign.
    let (x, anchor) = if word.len() > 4 { (width - 4.0, Anchor::End) } else { (middle + 6.0, Anchor::Middle) };
    drawing
        .words("name", middle, 17.0, Anchor::Middle, &short)
        .sign(pod.sign.id(), 9.5, 25.0, 10.5)
        .words("word", x, 34.0, anchor, &word)
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// The few letters that fit beside the sign.
fn short_word(stage: Stage, pod: &PodView) -> String {
    let app = stage.app;
    let status = pod.status.as_str();
    let key = match pod.sign {
        Sign::Ready | Sign::NotReady => return pod.ready_text(),
        Sign::Starting => match status.strip_prefix("Init:") {
            Some(progress) if progress.contains('/') => return format!("init {progress}"),
            Some(_) => key!("word.init"),
            None if status == "PodInitializing" => key!("word.init"),
            None => key!("word.starting"),
        },
        Sign::Waiting if status == "SchedulingGated" => key!("word.gated"),
        Sign::Waiting => key!("word.waiting"),
        Sign::Trouble if status.contains("CrashLoop") => key!("word.crash"),
        Sign::Trouble if status.contains("Image") => key!("word.image"),
        Sign::Trouble if status.contains("OOM") => return "OOM".to_owned(),
        Sign::Trouble => key!("word.error"),
        Sign::Failed if status == "Evicted" => key!("word.evicted"),
        Sign::Failed => key!("word.failed"),
        Sign::Done => key!("word.done"),
        Sign::Terminating => key!("word.ending"),
        Sign::Lost => key!("word.lost"),
    };
    app.text(key).to_owned()
}
