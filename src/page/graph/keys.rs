//! Moving through the graph with the arrow keys: to the nearest item in that direction.

use wasm_bindgen::JsCast as _;

use leptos::prelude::*;

use crate::view::layout::{Layout, Rect};

use super::{Stage, node, part, pod, workload};

/// All items with their places.
fn places(layout: &Layout) -> Vec<(String, Rect)> {
    let parts = layout.parts.iter().map(|(actor, rect)| (part::id(actor), *rect));
    let workloads = layout.workloads.iter().map(|(uid, rect)| (workload::id(uid), *rect));
    let services = layout.services.iter().map(|(uid, rect)| (workload::service_id(uid), *rect));
    let nodes = layout.nodes.iter().map(|(name, rect)| {
        // A node is entered through its head; its pods lie below.
        (node::id(name), Rect { height: 40.0, ..*rect })
    });
    let pods = layout.pods.iter().map(|(uid, rect)| (pod::id(uid), *rect));
    parts.chain(workloads).chain(services).chain(nodes).chain(pods).collect()
}

/// The item that an arrow key leads to.
fn neighbour(places: &[(String, Rect)], from: &Rect, key: &str) -> Option<String> {
    let (cx, cy) = (from.center_x(), from.y + from.height / 2.0);
    let cost = |rect: &Rect| {
        let (dx, dy) = (rect.center_x() - cx, rect.y + rect.height / 2.0 - cy);
        let (along, across) = match key {
            "ArrowRight" => (dx, dy),
            "ArrowLeft" => (-dx, dy),
            "ArrowDown" => (dy, dx),
            _ => (-dy, dx),
        };
        // What lies sideways counts double, so that rows and columns are followed.
        (along > 1.0).then(|| along + 2.0 * across.abs())
    };
    let reachable = places.iter().filter_map(|(id, rect)| Some((cost(rect)?, id)));
    reachable.min_by(|(left, _), (right, _)| left.total_cmp(right)).map(|(_, id)| id.clone())
}

/// Answers arrow keys, Home and Escape.
pub(super) fn move_focus(stage: Stage, event: &web_sys::KeyboardEvent) {
    let key = event.key();
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    if key == "Escape" {
        stage.app.select(None);
        return;
    }
    let places = stage.layout.with_untracked(places);
    let next = match key.as_str() {
        "Home" => places.first().map(|(id, _)| id.clone()),
        "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown" => {
            let stop = stage.stop.get_untracked();
            let from = places.iter().find(|(id, _)| *id == stop).or(places.first());
            from.and_then(|(_, rect)| neighbour(&places, rect, &key))
        }
        _ => return,
    };
    event.prevent_default();
    if let Some(element) = next.and_then(|id| document().get_element_by_id(&id)) {
        // Elements of the picture can be focused, whatever their class in the browser's API is called.
        let _ = element.unchecked_into::<web_sys::HtmlElement>().focus();
    }
}

/// Whatever has the focus is where Tab comes back to.
pub(super) fn remember_focus(stage: Stage, event: &web_sys::FocusEvent) {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    if let Some(id) = target.map(|element| element.id()).filter(|id| !id.is_empty()) {
        stage.stop.set(id);
    }
}
