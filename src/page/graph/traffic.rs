//! What travels: requests and watch events of the control plane along their wires, and requests of the simulated network
//! from whoever sent them by a Service to a pod. Each dot is something that the engine did.
//!
//! A write travels from its program to the API server and on to etcd, a watch event from there to its program. In a
//! busy cluster all this happens within milliseconds; the dots set out one after another, in the order of what
//! happened, so that the eye can follow. Those who want less motion see the wires light up instead.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, closure::Closure};

use crate::view::Actor;
use crate::view::layout::{Layout, Point};
use crate::view::protocol::Pulse;
use crate::view::requests::{Flight, Place};

use super::Stage;
use super::drawing::push_number;
use super::edges::{bend, wire_id};

/// How many dots travel at once; later ones wait.
const DOTS_MAX: usize = 48;
/// How fast a dot travels, in units of the picture a second.
const SPEED: f64 = 420.0;
/// The least and the most that a journey takes, in seconds.
const JOURNEY_SECONDS: (f64, f64) = (0.35, 1.1);
/// The time between two departures: short when many wait. In seconds.
const DEPARTURE_SECONDS: (f64, f64) = (0.012, 0.09);
/// What waits should be on its way after about so long, in seconds.
const BACKLOG_SECONDS: f64 = 0.9;
/// At most so many dots say what they carry.
const NAMED_MAX: usize = 6;
/// Left of this runs the wire that leads down to the nodes.
const TRUNK_ROOM: f64 = 17.0;
/// About how far a dot reaches from its middle.
const DOT_RADIUS: f64 = 6.0;
/// How high the words of a dot are, with some air.
const WORDS_HEIGHT: f64 = 15.0;
/// So far above what they reach first set out requests from outside.
const OUTSIDE_ROOM: f64 = 26.0;
/// Where a node's own requests leave it, from its left edge.
const NODE_DOOR: f64 = 30.0;
/// How long a wire stays lit for those who want less motion, in milliseconds.
const LIT_MS: u64 = 700;

/// A dot on its way.
struct Dot {
    element: web_sys::Element,
    path: Vec<Point>,
    lengths: Vec<f64>,
    total: f64,
    seconds: f64,
    age: f64,
    /// What it carries, in words, and how wide they are; empty for what is not worth naming.
    words: String,
    width: f64,
    /// Whether the words are shown.
    named: bool,
}

impl Dot {
    /// Shows or hides its words.
    fn name(&mut self, named: bool) {
        if self.named != named {
            self.named = named;
            if let Some(text) = self.element.last_element_child() {
                text.set_text_content(Some(if named { &self.words } else { "" }));
            }
        }
    }
}

impl Dot {
    fn position(&self) -> Point {
        let mut rest = self.total * ease((self.age / self.seconds).clamp(0.0, 1.0));
        for (index, length) in self.lengths.iter().enumerate() {
            if rest <= *length {
                let part = if *length > 0.0 { rest / length } else { 0.0 };
                let ((ax, ay), (bx, by)) = (self.path[index], self.path[index + 1]);
                return (ax + (bx - ax) * part, ay + (by - ay) * part);
            }
            rest -= length;
        }
        self.path.last().copied().unwrap_or_default()
    }
}

/// `translate(12.5 3)`, as SVG moves things.
fn placed(x: f64, y: f64) -> String {
    let mut text = String::from("translate(");
    push_number(&mut text, x);
    text.push(' ');
    push_number(&mut text, y);
    text.push(')');
    text
}

/// Slow at both ends.
fn ease(part: f64) -> f64 {
    part * part * (3.0 - 2.0 * part)
}

/// The dots and the loop that moves them.
struct Loop {
    stage: Stage,
    group: web_sys::Element,
    dots: RefCell<Vec<Dot>>,
    spare: RefCell<Vec<web_sys::Element>>,
    next_departure: Cell<f64>,
    next_flight: Cell<f64>,
    last: Cell<f64>,
}

#[component]
pub(super) fn Traffic(stage: Stage) -> impl IntoView {
    let group = NodeRef::<leptos::svg::G>::new();
    Effect::new(move || {
        if let Some(element) = group.get() {
            let element: web_sys::Element = element.unchecked_into();
            let traffic = Rc::new(Loop {
                stage,
                group: element,
                dots: RefCell::default(),
                spare: RefCell::default(),
                next_departure: Cell::new(0.0),
                next_flight: Cell::new(0.0),
                last: Cell::new(0.0),
            });
            run(&traffic);
        }
    });
    view! { <g class="traffic" aria-hidden="true" node_ref=group></g> }
}

/// What the browser calls before it draws; the time is in milliseconds.
type FrameCallback = Closure<dyn FnMut(f64)>;

fn run(traffic: &Rc<Loop>) {
    let slot: Rc<RefCell<Option<FrameCallback>>> = Rc::default();
    let (again, traffic) = (slot.clone(), traffic.clone());
    *slot.borrow_mut() = Some(Closure::new(move |now_ms: f64| {
        if !traffic.group.is_connected() {
            // The picture is gone. The closure may not free itself while it runs; it frees what it holds instead.
            traffic.dots.borrow_mut().clear();
            return;
        }
        traffic.frame(now_ms / 1000.0);
        if let Some(closure) = &*again.borrow() {
            let _ = window().request_animation_frame(closure.as_ref().unchecked_ref());
        }
    }));
    if let Some(closure) = &*slot.borrow() {
        let _ = window().request_animation_frame(closure.as_ref().unchecked_ref());
    }
}

impl Loop {
    fn frame(&self, now: f64) {
        let elapsed = (now - self.last.replace(now)).clamp(0.0, 0.1);
        self.depart(now);
        self.fly(now);
        let mut dots = self.dots.borrow_mut();
        let mut places = Vec::with_capacity(dots.len());
        for dot in dots.iter_mut() {
            dot.age += elapsed;
            let (x, y) = dot.position();
            let _ = dot.element.set_attribute("transform", &placed(x, y));
            places.push((x, y));
        }
        self.name(&mut dots, &places);
        let arrived = |dot: &mut Dot| dot.age >= dot.seconds;
        for dot in dots.extract_if(.., arrived) {
            dot.element.remove();
            self.spare.borrow_mut().push(dot.element);
        }
    }

    /// Shows the words of those dots that have room for them: neither words nor other dots may lie there. Who set out
    /// first keeps the room.
    fn name(&self, dots: &mut [Dot], places: &[Point]) {
        let (mut taken, right_edge) = self.stage.layout.with_untracked(|layout| (words_of_bus(layout), layout.width));
        let standing = taken.len();
        for (index, dot) in dots.iter_mut().enumerate() {
            let (x, y) = places[index];
            let is_free = |left: f64, top: f64, width: f64| {
                (y - top).abs() > WORDS_HEIGHT || x + dot.width < left || x + DOT_RADIUS > left + width
            };
            // On the wire to the nodes' kubelets there is no room for words.
            let free = !dot.words.is_empty()
                && x > TRUNK_ROOM
                && x + dot.width < right_edge
                && taken.len() < standing + NAMED_MAX
                && taken.iter().all(|(left, top, width)| is_free(*left, *top, *width))
                && places
                    .iter()
                    .enumerate()
                    .all(|(other, place)| other == index || is_free(place.0 - DOT_RADIUS, place.1, 2.0 * DOT_RADIUS));
            dot.name(free);
            if free {
                taken.push((x, y, dot.width));
            }
        }
    }

    /// Lets the dots that are due set out.
    fn depart(&self, now: f64) {
        let pulses = self.stage.app.cluster.pulses;
        while now >= self.next_departure.get() && self.dots.borrow().len() < DOTS_MAX {
            let mut waiting = 0;
            let next = pulses.try_update_value(|pulses| {
                waiting = pulses.len();
                pulses.pop_front()
            });
            let Some(pulse) = next.flatten() else { return };
            self.next_departure.set(self.next_departure.get().max(now - 0.1) + gap(waiting));
            if wants_less_motion() { light(&pulse) } else { self.set_out(&pulse) }
        }
    }

    fn set_out(&self, pulse: &Pulse) {
        let Some(path) = self.stage.layout.with_untracked(|layout| journey(layout, pulse)) else { return };
        let class = match (pulse.write, pulse.kind.as_str()) {
            (_, "Lease") => "dot faint",
            (true, _) => "dot write",
            (false, _) => "dot told",
        };
        let radius = if pulse.kind == "Lease" { 2.5 } else { (4.0 + f64::from(pulse.count).ln()).min(9.0) };
        let words = match (pulse.kind.as_str(), pulse.count) {
            ("Lease", _) => String::new(),
            (kind, 1) => kind.to_owned(),
            (kind, count) => format!("{kind} ×{count}"),
        };
        self.begin(path, class, radius, words);
    }

    /// Lets the requests that are due set out.
    fn fly(&self, now: f64) {
        let flights = self.stage.app.cluster.flights;
        while now >= self.next_flight.get() && self.dots.borrow().len() < DOTS_MAX {
            let mut waiting = 0;
            let next = flights.try_update_value(|flights| {
                waiting = flights.len();
                flights.pop_front()
            });
            let Some(flight) = next.flatten() else { return };
            self.next_flight.set(self.next_flight.get().max(now - 0.1) + gap(waiting));
            let Some(path) = self.stage.layout.with_untracked(|layout| way(layout, &flight)) else { continue };
            let times = if flight.count > 1 { format!(" ×{}", flight.count) } else { String::new() };
            let (class, words) = match flight.succeeded {
                true => ("dot good", times.trim_start().to_owned()),
                false => ("dot failed", format!("✕{times}")),
            };
            let path = if wants_less_motion() { path.last().map(|end| vec![*end]).unwrap_or_default() } else { path };
            self.begin(path, class, (4.0 + f64::from(flight.count).ln()).min(9.0), words);
        }
    }

    /// Lets a dot set out.
    fn begin(&self, path: Vec<Point>, class: &'static str, radius: f64, words: String) {
        let Some(&(x, y)) = path.first() else { return };
        let element = self.spare.borrow_mut().pop().or_else(new_dot);
        let Some(element) = element else { return };
        let lengths: Vec<f64> =
            path.windows(2).map(|ends| (ends[1].0 - ends[0].0).hypot(ends[1].1 - ends[0].1)).collect();
        let total: f64 = lengths.iter().sum();
        #[allow(clippy::cast_precision_loss, reason = "a few letters")]
        let width = words.chars().count() as f64 * 6.4 + 16.0;
        let _ = element.set_attribute("class", class);
        if let (Some(circle), Some(text)) = (element.first_element_child(), element.last_element_child()) {
            let mut size = String::new();
            push_number(&mut size, radius);
            let _ = circle.set_attribute("r", &size);
            text.set_text_content(None);
        }
        let _ = element.set_attribute("transform", &placed(x, y));
        let _ = self.group.append_child(&element);
        let seconds = (total / SPEED).clamp(JOURNEY_SECONDS.0, JOURNEY_SECONDS.1);
        let dot = Dot { element, path, lengths, total, seconds, age: 0.0, words, width, named: false };
        self.dots.borrow_mut().push(dot);
    }
}

/// A circle and its words.
fn new_dot() -> Option<web_sys::Element> {
    const SVG: &str = "http://www.w3.org/2000/svg";
    let make = |name| document().create_element_ns(Some(SVG), name).ok();
    let (group, circle, text) = (make("g")?, make("circle")?, make("text")?);
    text.set_attribute("x", "9").ok()?;
    text.set_attribute("y", "4").ok()?;
    group.append_child(&circle).ok()?;
    group.append_child(&text).ok()?;
    Some(group)
}

/// Where words stand in the API server: left, top and width.
fn words_of_bus(layout: &Layout) -> Vec<(f64, f64, f64)> {
    let bus = layout.parts.iter().find(|(actor, _)| *actor == Actor::ApiServer).map(|(_, rect)| *rect);
    bus.map_or_else(Vec::new, |bus| {
        vec![(bus.x, bus.y + 15.0, 110.0), (bus.x + bus.width - 120.0, bus.y + 15.0, 120.0)]
    })
}

/// The way of a pulse through the picture: along its program's wire, along the API server, up to etcd or down from it.
fn journey(layout: &Layout, pulse: &Pulse) -> Option<Vec<Point>> {
    let (_, bus) = layout.parts.iter().find(|(actor, _)| *actor == Actor::ApiServer)?;
    let middle = bus.lane();
    let etcd = layout.wires.get(&Actor::Etcd)?;
    let mut path: Vec<Point> = match &pulse.actor {
        // What the API server writes by itself begins in its middle.
        Actor::ApiServer | Actor::Etcd => vec![(bus.center_x(), middle)],
        actor => layout.wires.get(actor)?.clone(),
    };
    let (x, _) = *path.last()?;
    path.push((x, middle));
    let (etcd_x, _) = *etcd.last()?;
    path.push((etcd_x, middle));
    path.extend(etcd.iter().rev());
    if !pulse.write {
        path.reverse();
    }
    Some(path)
}

/// The way of requests through the picture: from the sender to the Service, and on to the pod that answers.
fn way(layout: &Layout, flight: &Flight) -> Option<Vec<Point>> {
    let service = flight.service.as_ref().and_then(|uid| layout.services.get(uid));
    let pod = flight.pod.as_ref().and_then(|uid| layout.pods.get(uid));
    let first = service.or(pod)?;
    let sender = match &flight.from {
        Place::Outside => Some((first.center_x(), first.y - OUTSIDE_ROOM)),
        Place::Node(name) => layout.nodes.get(name).map(|node| (node.x + NODE_DOOR, node.y)),
        Place::Pod(uid) => layout.pods.get(uid).map(|pod| (pod.center_x(), pod.y)),
    };
    let mut path: Vec<Point> = sender.into_iter().collect();
    match (service, pod) {
        (Some(service), Some(pod)) => {
            path.push((service.center_x(), service.y + service.height / 2.0));
            path.extend(bend((service.center_x(), service.bottom()), (pod.center_x(), pod.y)));
        }
        (Some(card), None) | (None, Some(card)) => path.push((card.center_x(), card.y + card.height / 2.0)),
        (None, None) => {}
    }
    Some(path)
}

/// The time until the next dot sets out, in seconds.
#[allow(clippy::cast_precision_loss, reason = "a few hundred at most")]
fn gap(waiting: usize) -> f64 {
    (BACKLOG_SECONDS / waiting.max(1) as f64).clamp(DEPARTURE_SECONDS.0, DEPARTURE_SECONDS.1)
}

fn wants_less_motion() -> bool {
    let query = window().match_media("(prefers-reduced-motion: reduce)").ok().flatten();
    query.is_some_and(|query| query.matches())
}

/// Lights a wire up for a moment.
fn light(pulse: &Pulse) {
    let Some(wire) = document().get_element_by_id(&wire_id(&pulse.actor)) else { return };
    let _ = wire.set_attribute("class", "wire lit");
    set_timeout(
        move || {
            let _ = wire.set_attribute("class", "wire");
        },
        std::time::Duration::from_millis(LIT_MS),
    );
}
