//! Requests through the simulated network: clients that send them at a rate, and what becomes of what they send.

use leptos::prelude::*;

use crate::key;
use crate::session::Action;
use crate::sim::{TrafficSource, TrafficSpec};
use crate::view::layout::{in_order, natural};
use crate::view::requests::{ClientView, Target};
use crate::view::words::Key;

use super::erase::{hear, t};
use super::graph::Drawing;
use super::icons::{Icon, icon};
use super::state::{App, Room};

/// How many pods are offered as senders.
const PODS_OFFERED_MAX: usize = 50;
/// How wide and how high a client's picture is on each side of its line, in its own units.
const PICTURE: (f64, f64) = (240.0, 24.0);

/// What is about to be sent. Copy it freely.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    /// Empty for the world outside, `node/NAME` or `pod/NAMESPACE/NAME`.
    from: RwSignal<String>,
    url: RwSignal<String>,
    per_second: RwSignal<String>,
    seconds: RwSignal<String>,
}

impl Default for Draft {
    fn default() -> Self {
        let text = |text: &str| RwSignal::new(text.to_owned());
        Self { from: text(""), url: text("http://"), per_second: text("10"), seconds: text("60") }
    }
}

impl Draft {
    fn source(self) -> Option<TrafficSource> {
        let from = self.from.get_untracked();
        let mut parts = from.splitn(3, '/').map(str::to_owned);
        match (parts.next().as_deref(), parts.next(), parts.next()) {
            (Some("node"), Some(node), None) => Some(TrafficSource { node, ..TrafficSource::default() }),
            (Some("pod"), Some(namespace), Some(pod)) => Some(TrafficSource { namespace, pod, node: String::new() }),
            _ => None,
        }
    }
}

impl App {
    /// Opens the room of requests with an address filled in.
    pub(super) fn aim(self, target: &Target) {
        let draft = self.draft;
        draft.url.set(target.url.clone());
        let is_outside = draft.from.with_untracked(String::is_empty);
        if target.outside {
            draft.from.set(String::new());
        } else if is_outside {
            // An address of the cluster is known within it only.
            let node = self.cluster.scene.with_untracked(|scene| scene.nodes.keys().next().cloned());
            draft.from.set(node.map_or_else(String::new, |node| format!("node/{node}")));
        }
        self.show(Room::Requests);
    }

    fn start_client(self) {
        let draft = self.draft;
        let name = self.cluster.clients.with_untracked(|clients| {
            let taken = |name: &String| clients.iter().any(|client| client.name == *name);
            (1..).map(|n| format!("client-{n}")).find(|name| !taken(name)).unwrap_or_default()
        });
        let number = |field: RwSignal<String>| field.with_untracked(|text| text.trim().parse().unwrap_or(0));
        let spec = TrafficSpec {
            name,
            url: draft.url.get_untracked().trim().to_owned(),
            from: draft.source(),
            per_second: number(draft.per_second),
            seconds: number(draft.seconds),
            ..TrafficSpec::default()
        };
        self.act(Action::StartTraffic(spec));
    }
}

/// The senders that are offered, as values and names.
fn senders(app: App) -> Vec<(String, String)> {
    app.cluster.scene.with(|scene| {
        let nodes = in_order(scene.nodes.keys().collect::<Vec<_>>(), |name| natural(name));
        let nodes = nodes.into_iter().map(|name| (format!("node/{name}"), format!("node/{name}")));
        let running = scene.pods.values().filter(|pod| pod.phase == "Running");
        let pods = running.map(|pod| (format!("pod/{}/{}", pod.namespace, pod.name), format!("pod/{}", pod.name)));
        nodes.chain(pods.take(PODS_OFFERED_MAX)).collect()
    })
}

#[component]
pub(super) fn Requests(app: App) -> impl IntoView {
    let draft = app.draft;
    let offered = Memo::new(move |_| senders(app));
    let field = move |id: &'static str, key: Key, value: RwSignal<String>, kind: &'static str| {
        view! {
            <label class=id>{move || app.text(key)}<input id=id class="field" type=kind min="1" spellcheck="false" autocomplete="off" prop:value=move || value.get() on:input=hear(move |event| value.set(event_target_value(&event)))/></label>
        }
        .into_any()
    };
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        app.start_client();
    };
    let names = Memo::new(move |_| {
        app.cluster.clients.with(|clients| clients.iter().map(|client| client.name.clone()).collect::<Vec<_>>())
    });
    view! {
        <div class="requests" role="region" aria-label=t!(app, "room.requests")>
            <form on:submit=hear(send)>
                <label>{t!(app, "requests.from")}
                    <select id="request-from" class="field" prop:value=move || { offered.with(|_| ()); draft.from.get() } on:change=hear(move |event| draft.from.set(event_target_value(&event)))>
                        <option value="">{t!(app, "requests.outside")}</option>
                        {move || offered.get().into_iter().map(|(value, name)| view! { <option value=value>{name}</option> }.into_any()).collect_view()}
                    </select>
                </label>
                {field("request-url", key!("requests.url"), draft.url, "url")}
                {field("request-rate", key!("requests.rate"), draft.per_second, "number")}
                {field("request-seconds", key!("requests.seconds"), draft.seconds, "number")}
                <button id="send" class="pill on">{t!(app, "requests.send")}</button>
            </form>
            <ul class="clients">
                <For each=move || names.get() key=Clone::clone children=move |name| client(app, name)/>
            </ul>
            {move || names.with(Vec::is_empty).then(|| view! { <p class="soft">{t!(app, "requests.none")}</p> })}
        </div>
    }
}

/// A client with what it came to. The row stays while its numbers change.
fn client(app: App, name: String) -> AnyView {
    let known = name.clone();
    let view = Memo::new(move |last: Option<&ClientView>| {
        let found = app.cluster.clients.with(|clients| clients.iter().find(|client| client.name == known).cloned());
        found.or_else(|| last.cloned()).unwrap_or_default()
    });
    let stop = move |_| app.act(Action::StopTraffic { name: name.clone() });
    view! {
        <li class="client" class:ended=move || view.with(|view| !view.running)>
            <p class="client-head"><b>{move || view.with(|view| view.url.clone())}</b>" "<span class="soft">{move || view.with(|view| origin(app, view))}</span>
                {move || view.with(|view| view.running).then(|| view! { <button class="pill stop" on:click=hear(stop.clone())>{icon(Icon::Close)}{t!(app, "requests.stop")}</button> })}
            </p>
            <svg class="spark" viewBox="0 -24 240 48" preserveAspectRatio="none" aria-hidden="true" inner_html=move || view.with(|view| picture(&view.seconds))></svg>
            <p>{move || view.with(|view| counts(app, view))}</p>
            <p class="soft small">{move || view.with(|view| view.last.clone())}</p>
            {move || view.with(why).map(|why| view! { <p class="small">{app.text(why)}</p> })}
        </li>
    }
    .into_any()
}

/// Where a client stands, and how much it sends.
fn origin(app: App, view: &ClientView) -> String {
    let from = if view.from.is_empty() { app.text(key!("requests.outside")) } else { &view.from };
    app.fill(key!("requests.origin"), &[from, &view.per_second.to_string()])
}

/// What it commonly means that requests fail as most of a client's did.
fn why(view: &ClientView) -> Option<Key> {
    let (how, _) = view.failures.iter().max_by_key(|(_, count)| *count)?;
    match how.as_str() {
        "unknown host" => Some(key!("requests.why.unknown-host")),
        "Connection refused" => Some(key!("requests.why.refused")),
        "No route to host" => Some(key!("requests.why.no-route")),
        "Connection reset by peer" => Some(key!("requests.why.reset")),
        "timed out" => Some(key!("requests.why.timed-out")),
        _ => None,
    }
}

/// What became of a client's requests, in words.
fn counts(app: App, view: &ClientView) -> String {
    let failed: u64 = view.failures.iter().map(|(_, count)| count).sum();
    let mut text = app.fill(key!("requests.counts"), &[&view.succeeded.to_string(), &failed.to_string()]);
    if !view.failures.is_empty() {
        let list: Vec<String> = view.failures.iter().map(|(how, count)| format!("{how} ×{count}")).collect();
        text.push_str(&format!(" ({})", list.join(", ")));
    }
    let millis = |value: Option<u64>| match value {
        Some(u64::MAX) => "> 5000".to_owned(),
        Some(value) => format!("≤ {value}"),
        None => "–".to_owned(),
    };
    if view.succeeded > 0 {
        text.push_str(" · ");
        text.push_str(&app.fill(key!("requests.latency"), &[&millis(view.median_ms), &millis(view.p99_ms)]));
    }
    text
}

/// The last seconds as bars: above the line what was answered well, below it what failed.
fn picture(seconds: &[(u32, u32)]) -> String {
    let most = seconds.iter().map(|(good, bad)| good.max(bad)).max().unwrap_or(&1);
    let (width, height) = PICTURE;
    let (step, scale) = (width / 60.0, (height - 1.0) / f64::from((*most).max(1)));
    let mut drawing = Drawing::default().rect("axis", (0.0, -0.5), (width, 1.0), 0.0);
    let mut x = 0.0;
    for (good, bad) in seconds {
        let (up, down) = (f64::from(*good) * scale, f64::from(*bad) * scale);
        drawing = drawing.rect("good", (x, -up - 0.5), (step - 0.8, up), 0.0);
        drawing = drawing.rect("failed", (x, 0.5), (step - 0.8, down), 0.0);
        x += step;
    }
    drawing.finish()
}

/// The button that aims requests at what is selected.
pub(super) fn button(app: App, target: Option<&Target>) -> AnyView {
    let Some(target) = target.cloned() else { return ().into_any() };
    view! { <button id="aim" class="pill" on:click=hear(move |_| app.aim(&target))>{icon(Icon::Send)}{t!(app, "requests.aim")}</button> }.into_any()
}
