//! Why: everything about what is selected, and what led to it.

use std::sync::Arc;

use leptos::prelude::*;

use crate::key;
use crate::session::{Action, File, ObjectName};
use crate::view::inspect::{Details, Fact, ObjectDetails, PartDetails};
use crate::view::protocol::Command;
use crate::view::why::Link;
use crate::view::{Actor, Subject};

use super::breaking;
use super::erase::{hear, t};
use super::graph::{part_name, part_purpose};
use super::icons::{Icon, icon};
use super::requests;
use super::state::{App, Dialog, Room};

/// What is shown, as far as the whole room must be drawn anew when it changes. While one object is looked at only the
/// sections that changed are: the focus, what was folded out and what was scrolled to stay.
#[derive(Clone, Debug, PartialEq)]
enum Shown {
    Nothing,
    Object(Subject),
    Gone(Subject, Vec<Link>),
    Part(PartDetails),
}

#[component]
pub(super) fn Inspector(app: App) -> impl IntoView {
    let shown = Memo::new(move |_| {
        app.details.with(|details| match details {
            None => Shown::Nothing,
            Some(Details::Object(details)) => Shown::Object(details.subject.clone()),
            Some(Details::Gone(subject, chain)) => Shown::Gone(subject.clone(), chain.clone()),
            Some(Details::Part(details)) => Shown::Part(details.clone()),
        })
    });
    view! {
        <aside class="inspector" id="inspector" data-room="inspector" aria-label=t!(app, "inspector.title")>
            {move || match shown.get() {
                Shown::Nothing => view! { <p class="soft hint-empty">{t!(app, "inspector.empty")}</p> }.into_any(),
                Shown::Object(subject) => object(app, subject),
                Shown::Gone(subject, chain) => gone(app, &subject, chain),
                Shown::Part(details) => part(app, details),
            }}
        </aside>
    }
}

fn close(app: App) -> AnyView {
    view! { <button class="square close-inspector" aria-label=t!(app, "close") on:click=hear(move |_| app.select(None))>{icon(Icon::Close)}</button> }.into_any()
}

fn gone(app: App, subject: &Subject, chain: Vec<Link>) -> AnyView {
    view! {
        <h2>{subject.to_string()}{close(app)}</h2>
        <p class="soft">{t!(app, "inspector.gone")}</p>
        {links(app, &chain)}
    }
    .into_any()
}

fn part(app: App, details: PartDetails) -> AnyView {
    let (name, purpose) = (part_name(&details.actor), part_purpose(&details.actor));
    view! {
        <h2>{move || app.text(name)}{close(app)}</h2>
        <p>{move || app.text(purpose)}</p>
        {breaking::part_buttons(app, &details.actor)}
        {facts(app, &details.facts)}
        <h3>{t!(app, "inspector.writes")}</h3>
        {links(app, &details.writes)}
    }
    .into_any()
}

/// A section of the details; the same as another when what it shows is. One type for all sections, see `erase`.
#[derive(Clone)]
struct Section {
    details: Option<Arc<ObjectDetails>>,
    same: fn(&ObjectDetails, &ObjectDetails) -> bool,
}

impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        match (&self.details, &other.details) {
            (Some(left), Some(right)) => (self.same)(left, right),
            (left, right) => left.is_none() == right.is_none(),
        }
    }
}

/// Draws a section anew only when what it shows has changed.
fn section(
    app: App,
    same: fn(&ObjectDetails, &ObjectDetails) -> bool,
    draw: fn(App, &ObjectDetails) -> AnyView,
) -> AnyView {
    let section = Memo::new(move |last: Option<&Section>| {
        app.details.with(|details| match details {
            Some(Details::Object(details)) => Section { details: Some(details.clone()), same },
            // The object is just being left; what is about to go stays as it is.
            _ => last.cloned().unwrap_or(Section { details: None, same }),
        })
    });
    view! { {move || section.with(|section| section.details.as_ref().map(|details| draw(app, details)))} }.into_any()
}

fn object(app: App, subject: Subject) -> AnyView {
    view! {
        <h2>{subject.to_string()}{close(app)}</h2>
        {section(app, |a, b| (a.created, a.deleting) == (b.created, b.deleting), head)}
        {section(app, |a, b| (a.replicas, &a.target) == (b.replicas, &b.target), buttons)}
        {breaking::buttons(app, &subject)}
        {section(app, |a, b| a.facts == b.facts, |app, details| facts(app, &details.facts))}
        {section(app, |a, b| a.containers == b.containers, containers)}
        <h3 id="why">{t!(app, "inspector.why")}</h3>
        {section(app, |a, b| a.made == b.made, |app, details| links(app, &details.made))}
        {section(app, |a, b| a.decision == b.decision, scores)}
        {section(app, |a, b| a.logs == b.logs, logs)}
        {section(app, |a, b| a.changes == b.changes, changes)}
        {section(app, |a, b| a.conditions == b.conditions, conditions)}
        {section(app, |a, b| a.events == b.events, events)}
        {section(app, |a, b| a.owned == b.owned, owned)}
        <details class="yaml"><summary>"YAML"</summary>{section(app, |a, b| a.yaml == b.yaml, yaml)}</details>
    }
    .into_any()
}

fn head(app: App, details: &ObjectDetails) -> AnyView {
    // The API tells it in whole seconds.
    let clock = app.clock_text(details.created);
    let created = clock.split('.').next().unwrap_or(&clock);
    let status = if details.deleting { app.text(key!("inspector.deleting")) } else { "" };
    view! { <p class="soft small">{app.fill(key!("inspector.created"), &[created])}" "<b>{status}</b></p> }.into_any()
}

fn containers(app: App, details: &ObjectDetails) -> AnyView {
    if details.containers.is_empty() {
        return ().into_any();
    }
    let rows = details.containers.iter().cloned().map(|row| {
        let name = if row.init { format!("{} (init)", row.name) } else { row.name };
        view! { <tr><td>{name}<br/><span class="soft">{row.image}</span></td><td>{row.state}</td><td>{row.restarts}</td></tr> }.into_any()
    });
    view! {
        <table class="containers">
            <thead><tr><th>{t!(app, "inspector.container")}</th><th>{t!(app, "outline.state")}</th><th>{t!(app, "outline.restarts")}</th></tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
    }
    .into_any()
}

/// The last lines of each container. A container that has no log yet says why.
fn logs(app: App, details: &ObjectDetails) -> AnyView {
    let written: Vec<_> =
        details.logs.iter().filter(|log| !log.lines.is_empty() || !log.refusal.is_empty()).cloned().collect();
    if written.is_empty() {
        return ().into_any();
    }
    let logs = written.into_iter().map(|log| {
        let lines: Vec<String> = log.lines.into_iter().map(|line| line.text).collect();
        let text = if log.refusal.is_empty() { lines.join("\n") } else { log.refusal };
        view! { <p class="soft small">{log.container}</p><pre class="log" tabindex="0">{text}</pre> }.into_any()
    });
    view! { <h3>{t!(app, "inspector.logs")}</h3>{logs.collect_view()} }.into_any()
}

fn events(app: App, details: &ObjectDetails) -> AnyView {
    if details.events.is_empty() {
        return ().into_any();
    }
    let rows = details.events.iter().cloned().map(|event| {
        let time = app.clock_text(event.last_seen);
        let times = if event.count > 1 { format!(" (×{})", event.count) } else { String::new() };
        let kind = if event.warning { "Warning " } else { "" };
        view! { <li class:warning=event.warning><time>{time}</time><b>{kind}{event.reason}</b>" "{event.message}{times}</li> }.into_any()
    });
    view! { <h3>{t!(app, "events.title")}</h3><ul class="own-events">{rows.collect_view()}</ul> }.into_any()
}

fn owned(app: App, details: &ObjectDetails) -> AnyView {
    if details.owned.is_empty() {
        return ().into_any();
    }
    let rows = details
        .owned
        .iter()
        .cloned()
        .map(|subject| view! { <li>{object_link(app, subject.to_string(), subject)}</li> }.into_any());
    view! { <h3>{t!(app, "inspector.owns")}</h3><ul class="owned">{rows.collect_view()}</ul> }.into_any()
}

fn yaml(_app: App, details: &ObjectDetails) -> AnyView {
    view! { <pre tabindex="0">{details.yaml.clone()}</pre> }.into_any()
}

fn object_link(app: App, text: String, subject: Subject) -> AnyView {
    view! { <button class="link" on:click=hear(move |_| app.select_object(subject.clone()))>{text}</button> }.into_any()
}

fn facts(app: App, facts: &[Fact]) -> AnyView {
    let rows = facts.iter().cloned().map(|fact| {
        let value = match fact.link {
            Some(link) => object_link(app, fact.value, link),
            None => view! { <span>{fact.value}</span> }.into_any(),
        };
        view! { <dt>{app.phrase(&fact.label)}</dt><dd>{value}</dd> }
    });
    view! { <dl class="facts">{rows.collect_view()}</dl> }.into_any()
}

fn name_of(details: &ObjectDetails) -> ObjectName {
    let Subject { kind, namespace, name } = details.subject.clone();
    ObjectName { api_version: details.api_version.clone(), kind, namespace, name }
}

/// The object as a file that a person edits, as it is now.
fn editable(app: App) -> Option<File> {
    app.details.with_untracked(|details| match details {
        Some(Details::Object(details)) => {
            let name = format!("{}-{}.yaml", details.subject.kind.to_lowercase(), details.subject.name);
            Some(File { name, text: details.editable.clone() })
        }
        _ => None,
    })
}

fn buttons(app: App, details: &ObjectDetails) -> AnyView {
    let (name, replicas) = (name_of(details), details.replicas);
    let restart = matches!(name.kind.as_str(), "DaemonSet" | "Deployment" | "StatefulSet").then(|| {
        let object = name.clone();
        let restart = move |_| app.restart(object.clone());
        view! { <button id="restart" class="pill" on:click=hear(restart)>{icon(Icon::Restart)}{t!(app, "inspector.restart")}</button> }.into_any()
    });
    let scale = replicas.map(|replicas| scale(app, name.clone(), replicas));
    let edit = move |_| {
        if let Some(file) = editable(app) {
            app.put_files(vec![file]);
            app.show(Room::Editor);
        }
    };
    view! {
        <div class="object-buttons">
            {scale}
            <button id="edit" class="pill" on:click=hear(edit)>{icon(Icon::Edit)}{t!(app, "inspector.edit")}</button>
            {restart}
            {requests::button(app, details.target.as_ref())}
            <button id="delete" class="pill" on:click=hear(move |_| app.dialog.set(Some(Dialog::Delete(name.clone()))))>{icon(Icon::Trash)}{t!(app, "inspector.delete")}</button>
        </div>
    }
    .into_any()
}

fn scale(app: App, object: ObjectName, replicas: i32) -> AnyView {
    let to = move |replicas: i32| app.act(Action::Scale { object: object.clone(), replicas: replicas.clamp(0, 5_000) });
    let (less, more) = (to.clone(), to.clone());
    view! {
        <span class="scale" role="group" aria-label=t!(app, "inspector.scale")>
            <button id="scale-down" class="square" aria-label=t!(app, "inspector.less") on:click=hear(move |_| less(replicas - 1))>{icon(Icon::Minus)}</button>
            <input id="replicas" class="field" type="number" min="0" max="5000" aria-label=t!(app, "inspector.scale") prop:value=replicas on:change=hear(move |event| if let Ok(replicas) = event_target_value(&event).parse() { to(replicas) })/>
            <button id="scale-up" class="square" aria-label=t!(app, "inspector.more") on:click=hear(move |_| more(replicas + 1))>{icon(Icon::Plus)}</button>
        </span>
    }
    .into_any()
}

/// A chain of causes, each link with who wrote and when.
fn links(app: App, links: &[Link]) -> AnyView {
    let items = links.iter().cloned().map(|link| {
        let time = app.clock_text(link.at);
        // What you did begins with "You" anyway.
        let (class, who) = match link.actor {
            Actor::You => ("you", String::new()),
            _ => ("", link.name + " "),
        };
        let text = app.say(&link.sentence);
        view! { <li class=class><time>{time}</time><b>{who}</b>{text}</li> }.into_any()
    });
    view! { <ol class="chain">{items.collect_view()}</ol> }.into_any()
}

/// What happened to the object since; each opens the chain that led to it.
fn changes(app: App, details: &ObjectDetails) -> AnyView {
    if details.changes.len() < 2 {
        return ().into_any();
    }
    let items = details.changes.iter().skip(1).cloned().map(|link| {
        let revision = link.revision;
        let time = app.clock_text(link.at);
        let text = app.say(&link.sentence);
        let who = if link.actor == Actor::You { String::new() } else { link.name + " " };
        let open = Memo::new(move |_| {
            app.chain.with(|chain| chain.as_ref().filter(|(opened, _)| *opened == revision).map(|(_, links)| links.clone()))
        });
        let ask = move |_| {
            if open.with_untracked(Option::is_some) { app.chain.set(None) } else { app.send(&Command::Explain(revision)) }
        };
        view! {
            <li>
                <time>{time}</time><b>{who}</b>{text}" "
                <button class="link" aria-expanded=move || open.with(Option::is_some).to_string() on:click=hear(ask)>{t!(app, "inspector.why-this")}</button>
                {move || open.get().map(|chain| links(app, &chain))}
            </li>
        }
        .into_any()
    });
    view! { <h3>{t!(app, "inspector.since")}</h3><ol class="chain">{items.collect_view()}</ol> }.into_any()
}

/// The scheduler's table: nodes as rows, the points of its plugins as columns.
fn scores(app: App, details: &ObjectDetails) -> AnyView {
    let Some(decision) = details.decision.clone() else { return ().into_any() };
    let title = match &decision.chosen {
        Some(node) => app.fill(key!("scores.chosen"), &[node]),
        None => app.text(key!("scores.none")).to_owned(),
    };
    let chosen = decision.chosen.clone();
    let columns = decision.plugins.len() + 1;
    let rows = decision.nodes.into_iter().map(|verdict| {
        let is_chosen = chosen.as_deref() == Some(&verdict.node);
        let node = object_link(app, verdict.node.clone(), Subject::new("Node", "", &*verdict.node));
        let cells = match verdict.filtered_by {
            Some(plugin) => view! { <td class="filtered" colspan=columns>"✕ "<b>{plugin}</b>" "{verdict.reasons.join(", ")}</td> }.into_any(),
            None => view! { {verdict.scores.iter().map(|score| view! { <td>{*score}</td> }.into_any()).collect_view()}<td><b>{verdict.total}</b></td> }.into_any(),
        };
        let mark = is_chosen.then_some("✓ ");
        view! { <tr class:chosen=is_chosen><th scope="row">{mark}{node}</th>{cells}</tr> }.into_any()
    });
    let legend = decision.legend.into_iter().map(move |entry| {
        let mark = entry.rules_out.then_some("✕ ");
        let sentence = app.phrase(&entry.sentence);
        view! { <li>{mark}<b>{entry.plugin}</b>" "{sentence}</li> }.into_any()
    });
    let heads =
        decision.plugins.iter().map(|plugin| view! { <th scope="col">{plugin.clone()}</th> }.into_any()).collect_view();
    view! {
        <h3>{title}</h3>
        <p class="soft small">{decision.message}</p>
        <div class="scroll" tabindex="0" role="region" aria-label=t!(app, "scores.table")>
            <table class="scores"><thead><tr><th></th>{heads}<th scope="col">{t!(app, "scores.total")}</th></tr></thead><tbody>{rows.collect_view()}</tbody></table>
        </div>
        <ul class="legend soft small">{legend.collect_view()}</ul>
    }
    .into_any()
}

fn conditions(app: App, details: &ObjectDetails) -> AnyView {
    if details.conditions.is_empty() {
        return ().into_any();
    }
    let rows = details.conditions.iter().cloned().map(|condition| view! {
        <tr><th scope="row">{condition.type_}</th><td>{condition.status}</td><td>{condition.reason}<br/><span class="soft">{condition.message}</span></td></tr>
    }.into_any());
    view! { <h3>{t!(app, "inspector.conditions")}</h3><table class="conditions"><tbody>{rows.collect_view()}</tbody></table> }.into_any()
}
