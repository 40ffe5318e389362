//! Lines: the wires along which requests and watch events travel, and which pods belong to what.

use std::fmt::Write as _;

use leptos::prelude::*;

use crate::view::Actor;
use crate::view::layout::{Layout, Point, Rect};
use crate::view::scene::Scene;
use crate::view::{Selection, Subject};

use super::{Stage, pod, workload};

/// With at most so many pods all lines are shown unasked.
const SHOWN_UNASKED_MAX: usize = 12;
/// More lines than this are a tangle.
const LINES_MAX: usize = 400;

/// The wires, each under its program's name.
#[component]
pub(super) fn Wires(stage: Stage) -> impl IntoView {
    let actors = Memo::new(move |_| stage.layout.with(|layout| layout.wires.keys().cloned().collect::<Vec<_>>()));
    view! {
        <g class="wires">
            <For
                each=move || actors.get()
                key=Clone::clone
                children=move |actor| {
                    let id = wire_id(&actor);
                    let path = move || stage.layout.with(|layout| layout.wires.get(&actor).map(|points| polyline(points)));
                    view! { <path class="wire" id=id d=move || path().unwrap_or_default()></path> }
                }
            />
        </g>
    }
}

/// The id of a wire's element.
pub(super) fn wire_id(actor: &Actor) -> String {
    format!("wire-{}", actor.id())
}

fn polyline(points: &[Point]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        // Writing into a string cannot fail.
        let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
    }
    path
}

/// A line from a workload or Service to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    path: String,
    class: &'static str,
}

/// Which pods belong to what: of what is selected or pointed at, and of everything when asked.
#[component]
pub(super) fn Edges(stage: Stage, all: RwSignal<bool>) -> impl IntoView {
    let app = stage.app;
    let lines = Memo::new(move |_| {
        let selected = app.selection.get();
        let hovered = stage.hovered.get();
        app.cluster.scene.with(|scene| {
            stage.layout.with(|layout| {
                let focus = Focus { selected: selected.as_ref(), hovered: hovered.as_deref() };
                let everything = all.get() || scene.pods.len() <= SHOWN_UNASKED_MAX;
                lines(scene, layout, &focus, everything)
            })
        })
    });
    view! {
        <g class="edges" aria-hidden="true">
            {move || lines.get().into_iter().map(|line| view! { <path class=line.class d=line.path></path> }).collect_view()}
        </g>
    }
}

struct Focus<'a> {
    selected: Option<&'a Selection>,
    hovered: Option<&'a str>,
}

impl Focus<'_> {
    fn is_on(&self, id: &str, kind: &str, namespace: &str, name: &str) -> bool {
        self.hovered == Some(id)
            || matches!(self.selected, Some(Selection::Object(Subject { kind: k, namespace: s, name: n }))
                if k == kind && s == namespace && n == name)
    }
}

fn lines(scene: &Scene, layout: &Layout, focus: &Focus<'_>, everything: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for (uid, pod_view) in &scene.pods {
        let (Some(place), Some(owner)) = (layout.pods.get(uid), pod_view.workload.as_deref()) else { continue };
        let (Some(card), Some(view)) = (layout.workloads.get(owner), scene.workloads.get(owner)) else { continue };
        let on = focus.is_on(&workload::id(owner), &view.kind, &view.namespace, &view.name)
            || focus.is_on(&pod::id(uid), "Pod", &pod_view.namespace, &pod_view.name);
        if on || everything {
            let class = match (on, pod_view.generation) {
                (true, crate::view::pod::Generation::Old) => "edge on old",
                (true, _) => "edge on",
                (false, _) => "edge",
            };
            lines.push(Line { path: curve(card, place), class });
        }
    }
    for (uid, service) in &scene.services {
        let Some(card) = layout.services.get(uid) else { continue };
        let on_service = focus.is_on(&workload::service_id(uid), "Service", &service.namespace, &service.name);
        let pods = service.ready.iter().map(|pod| (pod, true)).chain(service.not_ready.iter().map(|pod| (pod, false)));
        for (pod_uid, ready) in pods {
            let (Some(place), Some(view)) = (layout.pods.get(pod_uid), scene.pods.get(pod_uid)) else { continue };
            let on = on_service || focus.is_on(&pod::id(pod_uid), "Pod", &view.namespace, &view.name);
            if on || everything {
                let class = match (on, ready) {
                    (true, true) => "edge traffic on",
                    (true, false) => "edge traffic off on",
                    (false, true) => "edge traffic",
                    (false, false) => "edge traffic off",
                };
                lines.push(Line { path: curve(card, place), class });
            }
        }
    }
    lines.truncate(LINES_MAX);
    lines
}

/// From the middle of a card's lower edge to the middle of a pod's upper edge.
fn curve(from: &Rect, to: &Rect) -> String {
    let (x, y, end_x, end_y) = (from.center_x(), from.bottom(), to.center_x(), to.y);
    let bend = ((end_y - y) / 2.0).max(12.0);
    format!("M{x:.1} {y:.1}C{x:.1} {:.1} {end_x:.1} {:.1} {end_x:.1} {end_y:.1}", y + bend, end_y - bend)
}
