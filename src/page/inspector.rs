//! Why: everything about what is selected, and what led to it.

use leptos::prelude::*;
use serde_json::json;

use crate::key;
use crate::session::{Action, File, ObjectName};
use crate::view::inspect::{Condition, Decision, Details, Fact, ObjectDetails, PartDetails};
use crate::view::protocol::Command;
use crate::view::why::Link;
use crate::view::{Actor, Subject};

use super::graph::{part_name, part_purpose};
use super::icons::{Icon, icon};
use super::state::{App, Dialog, Room, t};

#[component]
pub(super) fn Inspector(app: App) -> impl IntoView {
    view! {
        <aside class="inspector" id="inspector" data-room="inspector" aria-label=t!(app, "inspector.title")>
            {move || match app.details.get() {
                None => view! { <p class="soft hint-empty">{t!(app, "inspector.empty")}</p> }.into_any(),
                Some(Details::Object(details)) => object(app, *details),
                Some(Details::Gone(subject, chain)) => gone(app, &subject, chain),
                Some(Details::Part(details)) => part(app, details),
            }}
        </aside>
    }
}

fn close(app: App) -> AnyView {
    view! { <button class="square close-inspector" aria-label=t!(app, "close") on:click=move |_| app.select(None)>{icon(Icon::Close)}</button> }.into_any()
}

fn gone(app: App, subject: &Subject, chain: Vec<Link>) -> AnyView {
    view! {
        <h2>{subject.to_string()}{close(app)}</h2>
        <p class="soft">{t!(app, "inspector.gone")}</p>
        {links(app, chain)}
    }
    .into_any()
}

fn part(app: App, details: PartDetails) -> AnyView {
    let (name, purpose) = (part_name(&details.actor), part_purpose(&details.actor));
    view! {
        <h2>{move || app.text(name)}{close(app)}</h2>
        <p>{move || app.text(purpose)}</p>
        {facts(app, details.facts)}
        <h3>{t!(app, "inspector.writes")}</h3>
        {links(app, details.writes)}
    }
    .into_any()
}

fn object(app: App, details: ObjectDetails) -> AnyView {
    let subject = details.subject.clone();
    let created = app.clock_text(details.created);
    let yaml = details.yaml.clone();
    let status = if details.deleting { app.text(key!("inspector.deleting")).to_owned() } else { String::new() };
    view! {
        <h2>{subject.to_string()}{close(app)}</h2>
        <p class="soft small">{app.fill(key!("inspector.created"), &[&created])}" "{status}</p>
        {buttons(app, &details)}
        {facts(app, details.facts)}
        {(!details.containers.is_empty()).then(|| view! {
            <table class="containers"><thead><tr><th>{t!(app, "inspector.container")}</th><th>{t!(app, "outline.state")}</th><th>{t!(app, "outline.restarts")}</th></tr></thead><tbody>
            {details.containers.into_iter().map(|row| view! { <tr><td>{row.name}<br/><span class="soft">{row.image}</span></td><td>{row.state}</td><td>{row.restarts}</td></tr> }).collect_view()}
            </tbody></table>
        })}
        <h3 id="why">{t!(app, "inspector.why")}</h3>
        {links(app, details.made)}
        {details.decision.map(|decision| scores(app, decision))}
        {(details.changes.len() > 1).then(|| changes(app, details.changes))}
        {(!details.conditions.is_empty()).then(|| conditions(app, details.conditions))}
        {(!details.events.is_empty()).then(|| view! {
            <h3>{t!(app, "events.title")}</h3>
            <ul class="own-events">
                {details.events.into_iter().map(|event| view! { <li class:warning=event.warning><b>{event.reason}</b>" "{event.message}{(event.count > 1).then(|| format!(" (×{})", event.count))}</li> }).collect_view()}
            </ul>
        })}
        {(!details.owned.is_empty()).then(|| view! {
            <h3>{t!(app, "inspector.owns")}</h3>
            <ul class="owned">{details.owned.into_iter().map(|subject| view! { <li>{object_link(app, subject.to_string(), subject)}</li> }).collect_view()}</ul>
        })}
        <details class="yaml"><summary>"YAML"</summary><pre tabindex="0">{yaml}</pre></details>
    }
    .into_any()
}

fn object_link(app: App, text: String, subject: Subject) -> AnyView {
    view! { <button class="link" on:click=move |_| app.select_object(subject.clone())>{text}</button> }.into_any()
}

fn facts(app: App, facts: Vec<Fact>) -> AnyView {
    let rows = facts.into_iter().map(|fact| {
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

fn buttons(app: App, details: &ObjectDetails) -> AnyView {
    let (name, subject) = (name_of(details), details.subject.clone());
    let editable =
        File { name: format!("{}-{}.yaml", subject.kind.to_lowercase(), subject.name), text: details.editable.clone() };
    let restart = (subject.kind == "Deployment").then(|| {
        let object = name.clone();
        move |_| {
            let at = crate::machinery::time::Time::to_string(&app.cluster.clock.get_untracked().now);
            let patch =
                json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": at}}}}});
            app.act(Action::Patch { object: object.clone(), patch });
        }
    });
    let scale = details.replicas.map(|replicas| {
        let object = name.clone();
        let to = move |replicas: i32| app.act(Action::Scale { object: object.clone(), replicas: replicas.clamp(0, 5_000) });
        let (less, more) = (to.clone(), to.clone());
        view! {
            <span class="scale" role="group" aria-label=t!(app, "inspector.scale")>
                <button class="square" aria-label=t!(app, "inspector.less") on:click=move |_| less(replicas - 1)>{icon(Icon::Minus)}</button>
                <input id="replicas" class="field" type="number" min="0" max="5000" aria-label=t!(app, "inspector.scale") prop:value=replicas on:change=move |event| if let Ok(replicas) = event_target_value(&event).parse() { to(replicas) }/>
                <button class="square" aria-label=t!(app, "inspector.more") on:click=move |_| more(replicas + 1)>{icon(Icon::Plus)}</button>
            </span>
        }
    });
    view! {
        <div class="object-buttons">
            {scale}
            <button class="pill" on:click=move |_| { app.put_files(vec![editable.clone()]); app.room.set(Room::Editor); }>{icon(Icon::Edit)}{t!(app, "inspector.edit")}</button>
            {restart.map(|restart| view! { <button class="pill" on:click=restart>{icon(Icon::Restart)}{t!(app, "inspector.restart")}</button> })}
            <button id="delete" class="pill" on:click=move |_| app.dialog.set(Some(Dialog::Delete(subject.clone())))>{icon(Icon::Trash)}{t!(app, "inspector.delete")}</button>
        </div>
    }
    .into_any()
}

/// A chain of causes, each link with who wrote and when.
fn links(app: App, links: Vec<Link>) -> AnyView {
    let items = links.into_iter().map(|link| {
        let time = app.clock_text(link.at);
        let who = match link.actor {
            Actor::You => app.text(key!("part.you")).to_owned(),
            _ => link.name.clone(),
        };
        let text = app.say(&link.sentence);
        view! { <li class=if link.actor == Actor::You { "you" } else { "" }><time>{time}</time><b>{who}</b>" "{text}</li> }
    });
    view! { <ol class="chain">{items.collect_view()}</ol> }.into_any()
}

/// What happened to the object since; each opens the chain that led to it.
fn changes(app: App, changes: Vec<Link>) -> AnyView {
    let items = changes.into_iter().skip(1).map(|link| {
        let revision = link.revision;
        let time = app.clock_text(link.at);
        let text = app.say(&link.sentence);
        let open = move || app.chain.with(|chain| chain.as_ref().filter(|(opened, _)| *opened == revision).map(|(_, links)| links.clone()));
        view! {
            <li>
                <time>{time}</time><b>{link.name}</b>" "{text}" "
                <button class="link" on:click=move |_| app.send(&Command::Explain(revision))>{t!(app, "inspector.why-this")}</button>
                {move || open().map(|chain| links(app, chain))}
            </li>
        }
    });
    view! { <h3>{t!(app, "inspector.since")}</h3><ol class="chain">{items.collect_view()}</ol> }.into_any()
}

fn scores(app: App, decision: Decision) -> AnyView {
    let title = match &decision.chosen {
        Some(node) => app.fill(key!("scores.chosen"), &[node]),
        None => app.text(key!("scores.none")).to_owned(),
    };
    let chosen = decision.chosen.clone();
    let plugins = decision.plugins.clone();
    let rows = decision.nodes.into_iter().map(|verdict| {
        let is_chosen = chosen.as_deref() == Some(&verdict.node);
        let node = object_link(app, verdict.node.clone(), Subject::new("Node", "", &*verdict.node));
        let cells = match verdict.filtered_by {
            Some(plugin) => view! { <td class="filtered" colspan=plugins.len() + 1>{plugin}": "{verdict.reasons.join(", ")}</td> }.into_any(),
            None => view! { {verdict.scores.iter().map(|score| view! { <td>{*score}</td> }).collect_view()}<td><b>{verdict.total}</b></td> }.into_any(),
        };
        view! { <tr class:chosen=is_chosen><th scope="row">{node}</th>{cells}</tr> }
    });
    let heads = decision.plugins.iter().map(|plugin| view! { <th scope="col">{plugin.clone()}</th> }).collect_view();
    view! {
        <h3>{title}</h3>
        <p class="soft small">{decision.message}</p>
        <div class="scroll" tabindex="0" role="region" aria-label=t!(app, "scores.table")>
            <table class="scores"><thead><tr><th></th>{heads}<th>{t!(app, "scores.total")}</th></tr></thead><tbody>{rows.collect_view()}</tbody></table>
        </div>
    }
    .into_any()
}

fn conditions(app: App, conditions: Vec<Condition>) -> AnyView {
    let rows = conditions.into_iter().map(|condition| view! {
        <tr><th scope="row">{condition.type_}</th><td>{condition.status}</td><td>{condition.reason}<br/><span class="soft">{condition.message}</span></td></tr>
    });
    view! { <h3>{t!(app, "inspector.conditions")}</h3><table class="conditions"><tbody>{rows.collect_view()}</tbody></table> }.into_any()
}
