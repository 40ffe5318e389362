//! Workloads, with old and new beside each other during a roll-out, and Services.

use std::sync::Arc;

use leptos::prelude::*;

use crate::key;
use crate::view::layout::Rect;
use crate::view::pod::Generation;
use crate::view::service::ServiceView;
use crate::view::words::Key;
use crate::view::workload::{Bounds, Progress, WorkloadView};

use super::signs::sign;
use super::{Item, Stage, object};

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
            <For each=move || uids.get() key=Clone::clone children=move |uid| view! { <Card stage=stage uid=uid/> }/>
        </g>
    }
}

#[component]
fn Card(stage: Stage, uid: String) -> impl IntoView {
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
        let (ready, desired) = (workload.ready.to_string(), workload.desired.to_string());
        let state = app.text(progress_word(workload.progress));
        app.fill(key!("workload.label"), &[&workload.kind, &workload.name, state, &ready, &desired])
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
            >
                <rect class="box" width=move || place.get().width height=move || place.get().height rx="10"></rect>
                {move || {
                    let workload = workload.get();
                    if small.get() { small_words(stage, &workload, place.get()) } else { words(stage, &workload, place.get()) }
                }}
            </g>
        </Item>
    }
    .into_any()
}

const fn progress_word(progress: Progress) -> Key {
    match progress {
        Progress::Steady => key!("progress.steady"),
        Progress::Rolling => key!("progress.rolling"),
        Progress::Scaling => key!("progress.scaling"),
        Progress::Stuck => key!("progress.stuck"),
        Progress::Paused => key!("progress.paused"),
    }
}

const fn progress_sign(progress: Progress) -> &'static str {
    match progress {
        Progress::Steady => "ready",
        Progress::Rolling | Progress::Scaling => "starting",
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

fn words(stage: Stage, workload: &WorkloadView, place: Rect) -> AnyView {
    let app = stage.app;
    let state = app.text(progress_word(workload.progress));
    let right = place.width - 14.0;
    view! {
        <text class="title" x="14" y="22">{title(workload, 18)}</text>
        <text class="soft" x="14" y="39">{workload.kind.clone()}</text>
        <text class="state" x=right - 17.0 y="22" text-anchor="end">{state}</text>
        {sign(progress_sign(workload.progress), right - 12.0, 11.5, 12.0)}
        {revisions(stage, workload, right)}
        {bounds(stage, workload)}
    }
    .into_any()
}

fn small_words(stage: Stage, workload: &WorkloadView, place: Rect) -> AnyView {
    let right = place.width - 12.0;
    let count = stage.app.fill(key!("workload.count"), &[&workload.ready.to_string(), &workload.desired.to_string()]);
    view! {
        <text class="title" x="12" y="24">{title(workload, 10)}</text>
        <text class="state" x=right - 17.0 y="24" text-anchor="end">{count}</text>
        {sign(progress_sign(workload.progress), right - 12.0, 13.5, 12.0)}
    }
    .into_any()
}

/// Old and new pods, each with its own look; or how many there are, when all are alike.
fn revisions(stage: Stage, workload: &WorkloadView, right: f64) -> AnyView {
    let app = stage.app;
    let is_old = |generation: Generation| generation == Generation::Old;
    let old: i32 = workload.revisions.iter().filter(|set| is_old(set.generation)).map(|set| set.current).sum();
    let any_old = workload.revisions.iter().any(|set| is_old(set.generation));
    if !any_old {
        let count = app.fill(key!("workload.count"), &[&workload.ready.to_string(), &workload.desired.to_string()]);
        return view! { <text class="soft" x=right y="39" text-anchor="end">{count}</text> }.into_any();
    }
    view! {
        <rect class="chip old" x=right - 122.0 y="30" width="11" height="11" rx="3"></rect>
        <text class="count" x=right - 107.0 y="39">{app.fill(key!("workload.old"), &[&old.to_string()])}</text>
        <rect class="chip new" x=right - 54.0 y="30" width="11" height="11" rx="3"></rect>
        <text class="count" x=right y="39" text-anchor="end">
            {app.fill(key!("workload.new"), &[&workload.updated.to_string()])}
        </text>
    }
    .into_any()
}

/// What there is counted against what there may be.
fn bounds(stage: Stage, workload: &WorkloadView) -> AnyView {
    let app = stage.app;
    let Some(Bounds { total_max, available_min, .. }) = workload.bounds else {
        let image = workload.images.first().cloned().unwrap_or_default();
        let text = if workload.strategy == "Recreate" { app.text(key!("workload.recreate")).to_owned() } else { image };
        return view! { <text class="soft" x="14" y="59">{text}</text> }.into_any();
    };
    let total = app.fill(key!("workload.total"), &[&workload.total.to_string(), &total_max.to_string()]);
    // While it comes up for the first time fewer are available than a roll-out would keep; that breaks no promise.
    let rolling = workload.revisions.iter().any(|set| set.generation == Generation::Old);
    let (key, state) = match (workload.available >= available_min, rolling) {
        (true, _) => (key!("workload.available"), Bound::Kept),
        (false, false) => (key!("workload.coming"), Bound::Coming),
        (false, true) => (key!("workload.unavailable"), Bound::Broken),
    };
    let available = app.fill(key, &[&workload.available.to_string(), &available_min.to_string()]);
    view! {
        {bound(total, if workload.total <= total_max { Bound::Kept } else { Bound::Broken }, 14.0)}
        {bound(available, state, 138.0)}
    }
    .into_any()
}

/// How a number stands to its bound.
#[derive(Clone, Copy)]
enum Bound {
    Kept,
    /// It was never reached yet.
    Coming,
    Broken,
}

fn bound(text: String, state: Bound, x: f64) -> AnyView {
    let (class, picture) = match state {
        Bound::Kept => ("bound kept", "ready"),
        Bound::Coming => ("bound coming", "starting"),
        Bound::Broken => ("bound broken", "trouble"),
    };
    view! {
        <g class=class>
            {sign(picture, x, 50.5, 10.0)}
            <text x=x + 14.0 y="59">{text}</text>
        </g>
    }
    .into_any()
}

#[component]
pub(super) fn Services(stage: Stage) -> impl IntoView {
    let uids = Memo::new(move |_| stage.layout.with(|layout| layout.services.keys().cloned().collect::<Vec<_>>()));
    view! {
        <g class="services">
            <For each=move || uids.get() key=Clone::clone children=move |uid| view! { <Service stage=stage uid=uid/> }/>
        </g>
    }
}

#[component]
fn Service(stage: Stage, uid: String) -> impl IntoView {
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
            <g data-kind="Service" data-name=name data-ready=move || service.with(|service| service.ready.len())>
                <rect class="box" width=move || place.get().width height=move || place.get().height rx="22"></rect>
                {move || {
                    let service = service.get();
                    let ready = app.fill(key!("service.ready"), &[&service.ready.len().to_string()]);
                    view! {
                        <text class="title" x="20" y="19">{service.name.clone()}</text>
                        <text class="soft" x="20" y="34">{format!("{} · {ready}", service.type_)}</text>
                    }
                }}
            </g>
        </Item>
    }
    .into_any()
}
