//! The cluster as tables: the same as the picture, for those who read rather than look.

use leptos::prelude::*;

use crate::key;
use crate::view::Subject;
use crate::view::node::{bytes, cores};
use crate::view::words::Key;

use super::erase::{hear, t};
use super::graph::{count, progress_word, state_word};
use super::state::{App, Room};

#[component]
pub(super) fn Outline(app: App) -> impl IntoView {
    let link = move |subject: Subject| {
        let name = subject.name.clone();
        view! { <button class="link" on:click=hear(move |_| { app.select_object(subject.clone()); app.show(Room::Inspector); })>{name}</button> }
    };
    let heads = |keys: &[Key]| {
        keys.iter()
            .map(|key| {
                let key = *key;
                view! { <th scope="col">{move || app.text(key)}</th> }
            })
            .collect_view()
    };
    let none = move || view! { <tr><td class="soft" colspan="6">{t!(app, "outline.none")}</td></tr> };
    view! {
        <div class="outline" tabindex="0" role="region" aria-label=t!(app, "graph.table")>
            <h3>{t!(app, "outline.nodes")}</h3>
            <table><thead><tr>{heads(&[key!("outline.name"), key!("outline.state"), key!("node.cpu"), key!("node.memory"), key!("outline.pods")])}</tr></thead><tbody>
                {move || app.cluster.scene.with(|scene| scene.nodes.values().map(|node| view! {
                    <tr><td>{link(Subject::new("Node", "", &*node.name))}</td><td>{app.text(state_word(node))}</td>
                    <td>{format!("{} / {}", cores(node.cpu.requested), cores(node.cpu.allocatable))}</td>
                    <td>{format!("{} / {}", bytes(node.memory.requested), bytes(node.memory.allocatable))}</td>
                    <td>{format!("{} / {}", node.pods.requested, node.pods.allocatable)}</td></tr>
                }).collect_view())}
            </tbody></table>
            <h3>{t!(app, "outline.workloads")}</h3>
            <table><thead><tr>{heads(&[key!("outline.name"), key!("outline.kind"), key!("outline.state"), key!("outline.ready")])}</tr></thead><tbody>
                {move || app.cluster.scene.with(|scene| scene.workloads.values().map(|workload| view! {
                    <tr><td>{link(Subject::new(&*workload.kind, &*workload.namespace, &*workload.name))}</td><td>{workload.kind.clone()}</td>
                    <td>{app.text(progress_word(workload.progress))}</td><td>{count(app, workload)}</td></tr>
                }).collect_view())}
                {move || app.cluster.scene.with(|scene| scene.workloads.is_empty()).then(none)}
            </tbody></table>
            <h3>{t!(app, "outline.services")}</h3>
            <table><tbody>
                {move || app.cluster.scene.with(|scene| scene.services.values().map(|service| view! {
                    <tr><td>{link(Subject::new("Service", &*service.namespace, &*service.name))}</td><td>{service.type_.clone()}</td>
                    <td>{service.cluster_ip.clone()}</td><td>{service.ports.clone()}</td></tr>
                }).collect_view())}
                {move || app.cluster.scene.with(|scene| scene.services.is_empty()).then(none)}
            </tbody></table>
            <h3>{t!(app, "outline.pods")}</h3>
            <table><thead><tr>{heads(&[key!("outline.name"), key!("outline.ready"), key!("outline.state"), key!("outline.restarts"), key!("outline.node")])}</tr></thead><tbody>
                {move || app.cluster.scene.with(|scene| scene.pods.values().map(|pod| view! {
                    <tr><td>{link(Subject::new("Pod", &*pod.namespace, &*pod.name))}</td><td>{pod.ready_text()}</td>
                    <td>{pod.status.clone()}</td><td>{pod.restarts}</td><td>{pod.node.clone().unwrap_or_default()}</td></tr>
                }).collect_view())}
                {move || app.cluster.scene.with(|scene| scene.pods.is_empty()).then(none)}
            </tbody></table>
        </div>
    }
}
