//! Lines: the wires along which requests and watch events travel, and which pods belong to what.

use leptos::prelude::*;

use crate::view::Actor;
use crate::view::layout::{Layout, Point, Rect};
use crate::view::scene::Scene;
use crate::view::{Selection, Subject};

use super::drawing::{Drawing, push_number};
use super::{Stage, pod, workload};

/// With at most so many pods all lines are shown unasked.
const SHOWN_UNASKED_MAX: usize = 12;
/// How many straight pieces a curve is made of for what travels along it.
const BEND_STEPS: i32 = 12;
/// More lines than this are a tangle.
const LINES_MAX: usize = 400;

/// The wires, each under its program's name.
#[component]
pub(super) fn Wires(stage: Stage) -> impl IntoView {
    let wires = move || {
        stage.layout.with(|layout| {
            let wires = layout.wires.iter();
            let draw = |drawing: Drawing, (actor, points): (&Actor, &Vec<Point>)| {
                drawing.path("wire", &wire_id(actor), &polyline(points))
            };
            wires.fold(Drawing::default(), draw).finish()
        })
    };
    view! { <g class="wires" inner_html=wires></g> }
}

/// The id of a wire's element.
pub(super) fn wire_id(actor: &Actor) -> String {
    format!("wire-{}", actor.id())
}

fn polyline(points: &[Point]) -> String {
    let mut path = String::new();
    for (index, point) in points.iter().enumerate() {
        path.push(if index == 0 { 'M' } else { 'L' });
        push_points(&mut path, &[*point]);
    }
    path
}

fn push_points(path: &mut String, points: &[Point]) {
    for (x, y) in points {
        push_number(path, *x);
        path.push(' ');
        push_number(path, *y);
        path.push(' ');
    }
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
        <g
            class="edges"
            aria-hidden="true"
            inner_html=move || lines.with(|lines| {
                lines.iter().fold(Drawing::default(), |drawing, line| drawing.path(line.class, "", &line.path)).finish()
            })
        ></g>
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

/// Points along the curve that [`curve`] draws between two points.
pub(super) fn bend((x, y): Point, (end_x, end_y): Point) -> impl Iterator<Item = Point> {
    let pull = ((end_y - y) / 2.0).max(12.0);
    (0..=BEND_STEPS).map(move |step| {
        let part = f64::from(step) / f64::from(BEND_STEPS);
        let rest = 1.0 - part;
        let (near, far) = (rest * rest * (1.0 + 2.0 * part), part * part * (1.0 + 2.0 * rest));
        let pulled = 3.0 * rest * part * pull * (rest - part);
        (x * near + end_x * far, y * near + end_y * far + pulled)
    })
}

/// From the middle of a card's lower edge to the middle of a pod's upper edge.
fn curve(from: &Rect, to: &Rect) -> String {
    let (x, y, end_x, end_y) = (from.center_x(), from.bottom(), to.center_x(), to.y);
    let bend = ((end_y - y) / 2.0).max(12.0);
    let mut path = String::from("M");
    push_points(&mut path, &[(x, y)]);
    path.push('C');
    push_points(&mut path, &[(x, y + bend), (end_x, end_y - bend), (end_x, end_y)]);
    path
}
