//! Workloads, with old and new beside each other during a roll-out, and Services.

use std::sync::Arc;

use leptos::prelude::*;

use crate::key;
use crate::view::layout::Rect;
use crate::view::pod::Generation;
use crate::view::service::ServiceView;
use crate::view::words::Key;
use crate::view::workload::{Bounds, Goal, Progress, WorkloadView};

use crate::page::state::App;

use super::drawing::{Anchor, Drawing};
use super::{Item, Stage, each, object};

/// The id of a workload's element.
pub(super) fn id(uid: &str) -> String {
    format!("workload-{uid}")
}

/// The id of a Service's element.
pub(super) fn service_id(uid: &str) -> String {
    format!("service-{uid}")
}

#[component]
pub(super) fn Workloads(stage: Stage) -> impl IntoView {
    let uids = Memo::new(move |_| stage.layout.with(|layout| layout.workloads.keys().cloned().collect::<Vec<_>>()));
    view! {
        <g class="workloads">
            {each(stage, uids, card)}
        </g>
    }
}

fn card(stage: Stage, uid: String) -> AnyView {
    let app = stage.app;
    let (sought, placed) = (uid.clone(), uid.clone());
    let Some(first) = app.cluster.scene.with_untracked(|scene| scene.workloads.get(&uid).cloned()) else {
        return ().into_any();
    };
    let selection = object(&first.kind, &first.namespace, &first.name);
    let (kind, name) = (first.kind.clone(), first.name.clone());
    let workload = Memo::new(move |last: Option<&Arc<WorkloadView>>| {
        let now = app.cluster.scene.with(|scene| scene.workloads.get(&sought).cloned());
        now.unwrap_or_else(|| last.cloned().unwrap_or_else(|| first.clone()))
    });
    let place =
        Memo::new(move |_| stage.layout.with(|layout| layout.workloads.get(&placed).copied().unwrap_or_default()));
    let small = Memo::new(move |_| stage.layout.with(|layout| layout.small_cards));
    let label = Signal::derive(move || {
        let workload = workload.get();
        let state = app.text(progress_word(workload.progress));
        app.fill(key!("workload.label"), &[&workload.kind, &workload.name, state, &count(app, &workload)])
    });
    view! {
        <Item
            stage=stage
            id=id(&uid)
            class=Signal::derive(move || format!("workload {}", workload.with(|workload| workload.progress.id())))
            selection=selection
            label=label
            place=Signal::derive(move || place.with(|rect| (rect.x, rect.y)))
        >
            <g
                data-kind=kind
                data-name=name
                data-progress=move || workload.with(|workload| workload.progress.id())
                data-desired=move || workload.with(|workload| workload.desired)
                data-total=move || workload.with(|workload| workload.total)
                data-updated=move || workload.with(|workload| workload.updated)
                data-available=move || workload.with(|workload| workload.available)
                inner_html=move || {
                    let (workload, place) = (workload.get(), place.get());
                    let drawing = Drawing::default().rect("box", (0.0, 0.0), (place.width, place.height), 10.0);
                    let words = if small.get() { small_words } else { words };
                    words(stage, &workload, place, drawing).finish()
                }
            ></g>
        </Item>
    }
    .into_any()
}

pub(in crate::page) const fn progress_word(progress: Progress) -> Key {
    match progress {
        Progress::Steady => key!("progress.steady"),
        Progress::Rolling => key!("progress.rolling"),
        Progress::Scaling => key!("progress.scaling"),
        Progress::Stuck => key!("progress.stuck"),
        Progress::Paused => key!("progress.paused"),
        Progress::Running => key!("progress.running"),
        Progress::Complete => key!("progress.complete"),
        Progress::Failed => key!("progress.failed"),
    }
}

const fn progress_sign(progress: Progress) -> &'static str {
    match progress {
        Progress::Steady => "ready",
        Progress::Rolling | Progress::Scaling | Progress::Running => "starting",
        Progress::Complete => "done",
        Progress::Failed => "failed",
        Progress::Stuck => "trouble",
        Progress::Paused => "terminating",
    }
}

fn title(workload: &WorkloadView, letters: usize) -> String {
    if workload.name.chars().count() <= letters {
        workload.name.clone()
    } else {
        workload.name.chars().take(letters - 1).chain(['…']).collect()
    }
}

fn words(stage: Stage, workload: &WorkloadView, place: Rect, drawing: Drawing) -> Drawing {
    let state = stage.app.text(progress_word(workload.progress));
    let right = place.width - 14.0;
    let drawing = drawing
        .words("title", 14.0, 22.0, Anchor::Start, &title(workload, 18))
        .words("soft", 14.0, 39.0, Anchor::Start, &workload.kind)
        .words("state", right - 17.0, 22.0, Anchor::End, state)
        .sign(progress_sign(workload.progress), right - 12.0, 11.5, 12.0);
    bounds(stage, workload, revisions(stage, workload, right, drawing))
}

fn small_words(stage: Stage, workload: &WorkloadView, place: Rect, drawing: Drawing) -> Drawing {
    let right = place.width - 12.0;
    drawing
        .words("title", 12.0, 24.0, Anchor::Start, &title(workload, 10))
        .words("state", right - 17.0, 24.0, Anchor::End, &count(stage.app, workload))
        .sign(progress_sign(workload.progress), right - 12.0, 13.5, 12.0)
}

/// How far it is from what it is after.
pub(in crate::page) fn count(app: App, workload: &WorkloadView) -> String {
    match &workload.goal {
        Goal::Replicas => {
            app.fill(key!("workload.count"), &[&workload.ready.to_string(), &workload.desired.to_string()])
        }
        Goal::Completions { succeeded, wanted } => {
            app.fill(key!("workload.done"), &[&succeeded.to_string(), &wanted.to_string()])
        }
        Goal::Schedule { active, .. } => app.fill(key!("workload.active"), &[&active.to_string()]),
    }
}

/// Old and new pods, each with its own look; or how many there are, when all are alike.
fn revisions(stage: Stage, workload: &WorkloadView, right: f64, drawing: Drawing) -> Drawing {
    let app = stage.app;
    let is_old = |generation: Generation| generation == Generation::Old;
    let old: i32 = workload.revisions.iter().filter(|set| is_old(set.generation)).map(|set| set.current).sum();
    let any_old = workload.revisions.iter().any(|set| is_old(set.generation));
    if !any_old {
        return drawing.words("soft", right, 39.0, Anchor::End, &count(stage.app, workload));
    }
    let old = app.fill(key!("workload.old"), &[&old.to_string()]);
    let new = app.fill(key!("workload.new"), &[&workload.updated.to_string()]);
    drawing
        .rect("chip old", (right - 140.0, 30.0), (11.0, 11.0), 3.0)
        .words("count", right - 125.0, 39.0, Anchor::Start, &old)
        .rect("chip new", (right - 64.0, 30.0), (11.0, 11.0), 3.0)
        .words("count", right - 49.0, 39.0, Anchor::Start, &new)
}

/// What there is counted against what there may be.
fn bounds(stage: Stage, workload: &WorkloadView, drawing: Drawing) -> Drawing {
    let app = stage.app;
    let Some(Bounds { total_max, available_min, .. }) = workload.bounds else {
        let image = || workload.images.first().cloned().unwrap_or_default();
        let text = match (&workload.goal, workload.strategy.as_str()) {
            (Goal::Schedule { schedule, .. }, _) => schedule.clone(),
            (_, "Recreate") => app.text(key!("workload.recreate")).to_owned(),
            (_, "OnDelete") => app.text(key!("workload.on-delete")).to_owned(),
            _ => image(),
        };
        return drawing.words("soft", 14.0, 59.0, Anchor::Start, &text);
    };
    // A Deployment counts what its ReplicaSets are told to have. While they still delete, there may be more for a moment.
    let total_key = if workload.total <= total_max { key!("workload.total") } else { key!("workload.exceeded") };
    let total = app.fill(total_key, &[&workload.total.to_string(), &total_max.to_string()]);
    // While it comes up for the first time fewer are available than a roll-out would keep; that breaks no promise.
    let rolling = workload.revisions.iter().any(|set| set.generation == Generation::Old);
    let (key, state) = match (workload.available >= available_min, rolling) {
        (true, _) => (key!("workload.available"), Bound::Kept),
        (false, false) => (key!("workload.coming"), Bound::Coming),
        (false, true) => (key!("workload.unavailable"), Bound::Broken),
    };
    let available = app.fill(key, &[&workload.available.to_string(), &available_min.to_string()]);
    let total_state = if workload.total <= total_max { Bound::Kept } else { Bound::Broken };
    bound(&available, state, 138.0, bound(&total, total_state, 14.0, drawing))
}

/// How a number stands to its bound.
#[derive(Clone, Copy)]
enum Bound {
    Kept,
    /// It was never reached yet.
    Coming,
    Broken,
}

fn bound(text: &str, state: Bound, x: f64, drawing: Drawing) -> Drawing {
    let (class, picture) = match state {
        Bound::Kept => ("bound kept", "ready"),
        Bound::Coming => ("bound coming", "starting"),
        Bound::Broken => ("bound broken", "trouble"),
    };
    drawing.group(class, |drawing| drawing.sign(picture, x, 50.5, 10.0).words("", x + 14.0, 59.0, Anchor::Start, text))
}

#[component]
pub(super) fn Services(stage: Stage) -> impl IntoView {
    let uids = Memo::new(move |_| stage.layout.with(|layout| layout.services.keys().cloned().collect::<Vec<_>>()));
    view! {
        <g class="services">
            {each(stage, uids, service)}
        </g>
    }
}

fn service(stage: Stage, uid: String) -> AnyView {
    let app = stage.app;
    let (sought, placed) = (uid.clone(), uid.clone());
    let Some(first) = app.cluster.scene.with_untracked(|scene| scene.services.get(&uid).cloned()) else {
        return ().into_any();
    };
    let (namespace, name) = (first.namespace.clone(), first.name.clone());
    let service = Memo::new(move |last: Option<&Arc<ServiceView>>| {
        let now = app.cluster.scene.with(|scene| scene.services.get(&sought).cloned());
        now.unwrap_or_else(|| last.cloned().unwrap_or_else(|| first.clone()))
    });
    let place =
        Memo::new(move |_| stage.layout.with(|layout| layout.services.get(&placed).copied().unwrap_or_default()));
    let label = Signal::derive(move || {
        let service = service.get();
        app.fill(key!("service.label"), &[&service.name, &service.type_, &service.ready.len().to_string()])
    });
    view! {
        <Item
            stage=stage
            id=service_id(&uid)
            class=Signal::derive(move || {
                (if service.with(|service| service.ready.is_empty()) { "service none" } else { "service" }).to_owned()
            })
            selection=object("Service", &namespace, &name)
            label=label
            place=Signal::derive(move || place.with(|rect| (rect.x, rect.y)))
        >
            <g
                data-kind="Service"
                data-name=name
                data-ready=move || service.with(|service| service.ready.len())
                inner_html=move || {
                    let (service, place) = (service.get(), place.get());
                    let ready = app.fill(key!("service.ready"), &[&service.ready.len().to_string()]);
                    Drawing::default()
                        .rect("box", (0.0, 0.0), (place.width, place.height), 22.0)
                        .words("title", 20.0, 19.0, Anchor::Start, &service.name)
                        .words("soft", 20.0, 34.0, Anchor::Start, &format!("{} · {ready}", service.type_))
                        .finish()
                }
            ></g>
        </Item>
    }
    .into_any()
}
