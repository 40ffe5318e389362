//! Where everything stands in the graph. Pure geometry: a scene and a window go in, places come out.
//!
//! The API server is a bar that everything else hangs on: the parts of the control plane above it, the nodes below it
//! on a wire that runs down the left edge. In between stand the workloads and Services, and the tray of pods that wait
//! for a node. How much each pod says of itself follows from how many there are, so that the whole stays readable.

use std::collections::BTreeMap;

use super::Actor;
use super::pod::PodView;
use super::scene::Scene;
use crate::machinery::order::Order as _;

/// The least scale at which the words in the graph can be read; below it pods say less.
const SCALE_MIN: f64 = 0.78;
/// Nothing is drawn larger than it was designed, save a little.
const SCALE_MAX: f64 = 1.6;
/// With more pods than this a node only counts its pods.
const PODS_DRAWN_MAX: usize = 1_500;
/// How many waiting pods the tray shows; it counts the rest.
const WAITING_SHOWN_MAX: usize = 120;

const MARGIN: f64 = 18.0;
const TRUNK_X: f64 = 8.0;
const GAP: f64 = 12.0;
const PART: Size = Size { width: 84.0, height: 44.0 };
const WIRE: f64 = 24.0;
const BUS_HEIGHT: f64 = 46.0;
/// How far above the lower edge of the API server requests and watch events travel, below its words.
const LANE: f64 = 13.0;
const CARD: Size = Size { width: 288.0, height: 72.0 };
const CARD_SMALL: Size = Size { width: 168.0, height: 38.0 };
const SERVICE: Size = Size { width: 170.0, height: 44.0 };
const TRAY_HEADER: f64 = 22.0;
const TRAY_EMPTY: f64 = 30.0;
const NODE_HEADER: f64 = 82.0;
const NODE_PADDING: f64 = 12.0;
const NODE_ROW_GAP: f64 = 22.0;
const NODE_BODY_MIN: f64 = 48.0;
const COUNTS_SIZE: Size = Size { width: 200.0, height: 54.0 };
const WIDTH_MIN: f64 = 480.0;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Size {
    width: f64,
    height: f64,
}

/// A place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Its left edge.
    pub x: f64,
    /// Its upper edge.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

impl Rect {
    const fn new(x: f64, y: f64, size: Size) -> Self {
        Self { x, y, width: size.width, height: size.height }
    }

    /// Its middle from left to right.
    #[must_use]
    pub fn center_x(&self) -> f64 {
        self.x + self.width / 2.0
    }

    /// The height within the API server at which requests and watch events travel.
    #[must_use]
    pub fn lane(&self) -> f64 {
        self.bottom() - LANE
    }

    /// Its lower edge.
    #[must_use]
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }
}

/// A point.
pub type Point = (f64, f64);

/// How much a pod says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Name, sign and words.
    Full,
    /// A sign.
    Short,
    /// A mark.
    Dot,
    /// Nothing: its node counts it.
    Counted,
}

impl Detail {
    /// A name without blanks for attributes and style sheets.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Short => "short",
            Self::Dot => "dot",
            Self::Counted => "counted",
        }
    }

    const fn size(self) -> Size {
        match self {
            Self::Full | Self::Counted => Size { width: 64.0, height: 44.0 },
            Self::Short => Size { width: 28.0, height: 26.0 },
            Self::Dot => Size { width: 13.0, height: 13.0 },
        }
    }

    const fn gap(self) -> f64 {
        match self {
            Self::Full | Self::Counted => 6.0,
            Self::Short => 5.0,
            Self::Dot => 4.0,
        }
    }

    /// How many pods may stand side by side in a node.
    const fn columns(self) -> &'static [usize] {
        match self {
            Self::Full => &[2, 3, 4, 5, 6],
            Self::Short => &[6, 8, 10, 14],
            Self::Dot => &[11, 14, 18, 24],
            Self::Counted => &[3],
        }
    }

    fn width_of(self, columns: usize) -> f64 {
        count(columns) * (self.size().width + self.gap()) - self.gap()
    }

    fn height_of(self, pods: usize, columns: usize) -> f64 {
        let rows = count(pods.div_ceil(columns.max(1)));
        if rows == 0.0 { 0.0 } else { rows * (self.size().height + self.gap()) - self.gap() }
    }

    /// The place of the pod with this number in a grid that begins at a point.
    fn place(self, (x, y): Point, index: usize, columns: usize) -> Rect {
        let size = self.size();
        let column = count(index % columns.max(1));
        let row = count(index / columns.max(1));
        Rect::new(x + column * (size.width + self.gap()), y + row * (size.height + self.gap()), size)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand things at most are drawn")]
const fn count(number: usize) -> f64 {
    number as f64
}

/// The window into which the graph is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Its width in pixels.
    pub width: f64,
    /// Its height in pixels.
    pub height: f64,
}

/// Where everything stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// The width of all.
    pub width: f64,
    /// The height of all.
    pub height: f64,
    /// The scale at which all fits into the window.
    pub scale: f64,
    /// How much pods say of themselves.
    pub detail: Option<Detail>,
    /// The parts of the control plane, the API server among them.
    pub parts: Vec<(Actor, Rect)>,
    /// Whether the parts of the control plane have room for few words only.
    pub narrow_parts: bool,
    /// Workloads, by uid.
    pub workloads: BTreeMap<String, Rect>,
    /// Whether there are so many workloads that they say less.
    pub small_cards: bool,
    /// Services, by uid.
    pub services: BTreeMap<String, Rect>,
    /// The tray of pods that wait for a node.
    pub waiting: Rect,
    /// How many waiting pods the tray does not show.
    pub waiting_hidden: usize,
    /// The nodes, by name.
    pub nodes: BTreeMap<String, Rect>,
    /// The pods that are drawn, by uid.
    pub pods: BTreeMap<String, Rect>,
    /// How each program reaches the API server: from its own place to the API server's.
    pub wires: BTreeMap<Actor, Vec<Point>>,
}

/// Lays out a scene.
#[must_use]
pub fn layout(scene: &Scene, window: Window) -> Layout {
    let pods = PodsByPlace::of(scene);
    let grid = Grid::choose(scene, &pods, window);
    let mut layout = Layout { width: grid.width, detail: Some(grid.detail), ..Layout::default() };
    let mut y = layout.place_control_plane(MARGIN - 4.0);
    y = layout.place_cards(scene, y + GAP);
    y = layout.place_waiting(&pods.waiting, grid.detail, y + GAP);
    y = layout.place_nodes(&pods, &grid, y);
    layout.height = y + MARGIN;
    layout.scale = fit(layout.width, layout.height, window);
    layout
}

fn fit(width: f64, height: f64, window: Window) -> f64 {
    (window.width / width).min(window.height / height).min(SCALE_MAX)
}

/// Pods arranged by where they stand; each list in the order of creation.
struct PodsByPlace<'a> {
    nodes: Vec<(&'a str, Vec<&'a str>)>,
    waiting: Vec<&'a str>,
}

impl<'a> PodsByPlace<'a> {
    fn of(scene: &'a Scene) -> Self {
        let mut by_node: BTreeMap<&str, Vec<(&str, &PodView)>> = BTreeMap::new();
        let mut waiting = Vec::new();
        for (uid, pod) in &scene.pods {
            match pod.node.as_deref().filter(|node| scene.nodes.contains_key(*node)) {
                Some(node) => by_node.entry(node).or_default().push((uid, pod)),
                None => waiting.push((uid.as_str(), &**pod)),
            }
        }
        let by_age = |pods: Vec<(&'a str, &'a PodView)>| {
            let pods = in_order(pods, |(_, pod)| ("", pod.created.as_micros(), &pod.name));
            pods.into_iter().map(|(uid, _)| uid).collect::<Vec<_>>()
        };
        let nodes: Vec<(&str, Vec<&str>)> = scene
            .nodes
            .keys()
            .map(|name| (name.as_str(), by_age(by_node.remove(name.as_str()).unwrap_or_default())))
            .collect();
        Self { nodes: in_order(nodes, |(name, _)| natural(name)), waiting: by_age(waiting) }
    }

    fn count(&self) -> usize {
        self.waiting.len() + self.nodes.iter().map(|(_, pods)| pods.len()).sum::<usize>()
    }
}

/// What things are ordered by: a name, a number, another name.
pub type Rank<'a> = (&'a str, u64, &'a str);

/// Puts things in order.
#[must_use]
pub fn in_order<'a, T>(mut things: Vec<T>, rank: impl Fn(&T) -> Rank<'a>) -> Vec<T> {
    things.order_by_key(rank);
    things
}

/// An order by which `node-2` comes before `node-10`.
#[must_use]
pub fn natural(name: &str) -> Rank<'_> {
    let stem = name.trim_end_matches(|character: char| character.is_ascii_digit());
    (stem, name[stem.len()..].parse().unwrap_or(0), name)
}

/// How the nodes are arranged.
#[derive(Clone, Debug)]
struct Grid {
    detail: Detail,
    /// Pods side by side in a node.
    pod_columns: usize,
    /// Nodes side by side.
    node_columns: usize,
    width: f64,
}

impl Grid {
    /// The arrangement in which pods say most of themselves while all stays readable.
    fn choose(scene: &Scene, pods: &PodsByPlace<'_>, window: Window) -> Self {
        let mut best: Option<(f64, Self)> = None;
        let details = if pods.count() > PODS_DRAWN_MAX {
            &[Detail::Counted][..]
        } else {
            &[Detail::Full, Detail::Short, Detail::Dot][..]
        };
        for &detail in details {
            for &pod_columns in detail.columns() {
                for node_columns in 1..=pods.nodes.len().clamp(1, 40) {
                    let grid = Self::new(detail, pod_columns, node_columns);
                    let scale = fit(grid.width, grid.height(scene, pods), window);
                    if best.as_ref().is_none_or(|(most, _)| scale > *most + 1e-6) {
                        best = Some((scale, grid));
                    }
                }
            }
            if best.as_ref().is_some_and(|(scale, _)| *scale >= SCALE_MIN) {
                break;
            }
        }
        best.map_or_else(|| Self::new(Detail::Full, 3, 1), |(_, grid)| grid)
    }

    fn new(detail: Detail, pod_columns: usize, node_columns: usize) -> Self {
        let mut grid = Self { detail, pod_columns, node_columns, width: 0.0 };
        let nodes = count(node_columns) * (grid.node_width() + GAP) - GAP;
        grid.width = (nodes + 2.0 * MARGIN).max(WIDTH_MIN);
        grid
    }

    fn node_width(&self) -> f64 {
        let inner = match self.detail {
            Detail::Counted => COUNTS_SIZE.width - 2.0 * NODE_PADDING,
            detail => detail.width_of(self.pod_columns),
        };
        inner.max(176.0) + 2.0 * NODE_PADDING
    }

    fn node_height(&self, pods: usize) -> f64 {
        let inner = match self.detail {
            Detail::Counted => COUNTS_SIZE.height,
            detail => detail.height_of(pods, self.pod_columns),
        };
        NODE_HEADER + inner.max(NODE_BODY_MIN) + NODE_PADDING
    }

    /// The height of the whole graph with these nodes.
    fn height(&self, scene: &Scene, pods: &PodsByPlace<'_>) -> f64 {
        let rows = pods.nodes.chunks(self.node_columns).map(|row| {
            let most = row.iter().map(|(_, pods)| pods.len()).max().unwrap_or(0);
            NODE_ROW_GAP + self.node_height(most)
        });
        let cards = Cards::of(scene, self.width).height;
        let tray = tray_height(pods.waiting.len(), self.detail, self.width);
        2.0 * MARGIN + PART.height + WIRE + BUS_HEIGHT + GAP + cards + GAP + tray + rows.sum::<f64>()
    }
}

/// Workloads and Services, placed in rows from the upper left.
struct Cards {
    places: Vec<(String, bool, Point, Size)>,
    small: bool,
    height: f64,
}

impl Cards {
    fn of(scene: &Scene, width: f64) -> Self {
        let small = scene.workloads.len() > 8 || (width < 700.0 && scene.workloads.len() > 3);
        let card = if small { CARD_SMALL } else { CARD };
        let workloads: Vec<_> = scene.workloads.iter().collect();
        let workloads = in_order(workloads, |(_, workload)| (&workload.namespace, 0, &workload.name));
        let services: Vec<_> = scene.services.iter().collect();
        let services = in_order(services, |(_, service)| (&service.namespace, 0, &service.name));
        let all = workloads
            .into_iter()
            .map(|(uid, _)| (uid.clone(), false, card))
            .chain(services.into_iter().map(|(uid, _)| (uid.clone(), true, SERVICE)));
        let (mut x, mut y, mut row_height) = (0.0, 0.0, 0.0_f64);
        let inner = width - 2.0 * MARGIN;
        let mut places = Vec::new();
        for (uid, is_service, size) in all {
            if x > 0.0 && x + size.width > inner {
                y += row_height + GAP;
                (x, row_height) = (0.0, 0.0);
            }
            places.push((uid, is_service, (x, y), size));
            x += size.width + GAP;
            row_height = row_height.max(size.height);
        }
        Self { places, small, height: y + row_height }
    }
}

fn tray_columns(detail: Detail, width: f64) -> usize {
    let size = detail.size().width + detail.gap();
    let inner = width - 2.0 * MARGIN - 2.0 * NODE_PADDING;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let columns = (inner / size) as usize;
    columns.max(1)
}

fn tray_height(waiting: usize, detail: Detail, width: f64) -> f64 {
    match waiting.min(WAITING_SHOWN_MAX) {
        0 => TRAY_EMPTY,
        shown => TRAY_HEADER + 6.0 + detail.height_of(shown, tray_columns(detail, width)) + 10.0,
    }
}

impl Layout {
    /// Places the control plane from `y` down; returns where it ends.
    fn place_control_plane(&mut self, y: f64) -> f64 {
        let inner = self.width - 2.0 * MARGIN;
        let above: Vec<Actor> = Actor::PARTS.into_iter().filter(|part| *part != Actor::ApiServer).collect();
        let step = inner / count(above.len());
        // Wide windows leave air between the parts instead of stretching them.
        let size = Size { width: (step - 8.0).clamp(PART.width, 150.0), ..PART };
        self.narrow_parts = size.width < 130.0;
        let bus = Rect { x: MARGIN, y: y + PART.height + WIRE, width: inner, height: BUS_HEIGHT };
        for (index, part) in above.into_iter().enumerate() {
            let center = MARGIN + step * (count(index) + 0.5);
            self.parts.push((part.clone(), Rect::new(center - size.width / 2.0, y, size)));
            self.wires.insert(part, vec![(center, y + PART.height), (center, bus.y)]);
        }
        self.parts.push((Actor::ApiServer, bus));
        bus.bottom()
    }

    fn place_cards(&mut self, scene: &Scene, y: f64) -> f64 {
        let cards = Cards::of(scene, self.width);
        self.small_cards = cards.small;
        for (uid, is_service, (x, down), size) in cards.places {
            let rect = Rect::new(MARGIN + x, y + down, size);
            let places = if is_service { &mut self.services } else { &mut self.workloads };
            places.insert(uid, rect);
        }
        y + cards.height
    }

    fn place_waiting(&mut self, waiting: &[&str], detail: Detail, y: f64) -> f64 {
        let width = self.width - 2.0 * MARGIN;
        let height = tray_height(waiting.len(), detail, self.width);
        self.waiting = Rect { x: MARGIN, y, width, height };
        self.waiting_hidden = waiting.len().saturating_sub(WAITING_SHOWN_MAX);
        let columns = tray_columns(detail, self.width);
        for (index, uid) in waiting.iter().take(WAITING_SHOWN_MAX).enumerate() {
            let origin = (MARGIN + NODE_PADDING, y + TRAY_HEADER + 6.0);
            self.pods.insert((*uid).to_owned(), detail.place(origin, index, columns));
        }
        y + height
    }

    fn place_nodes(&mut self, pods: &PodsByPlace<'_>, grid: &Grid, mut y: f64) -> f64 {
        let inner = self.width - 2.0 * MARGIN;
        let columns = grid.node_columns.min(pods.nodes.len()).max(1);
        // Nodes fill the width, so that the picture has one right edge.
        let width = (inner + GAP) / count(columns) - GAP;
        let spare = width - 2.0 * NODE_PADDING + grid.detail.gap();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let pod_columns = ((spare / (grid.detail.size().width + grid.detail.gap())) as usize).max(1);
        let grid = Grid { pod_columns, ..grid.clone() };
        let bus_y = self.parts.last().map_or(0.0, |(_, bus)| bus.bottom());
        for row in pods.nodes.chunks(columns) {
            let lane = y + NODE_ROW_GAP / 2.0;
            y += NODE_ROW_GAP;
            let most = row.iter().map(|(_, pods)| pods.len()).max().unwrap_or(0);
            let height = grid.node_height(most);
            for (index, (name, uids)) in row.iter().enumerate() {
                let rect = Rect { x: MARGIN + count(index) * (width + GAP), y, width, height };
                let center = rect.center_x();
                let wire = vec![(center, rect.y), (center, lane), (TRUNK_X, lane), (TRUNK_X, bus_y - LANE)];
                let wire = wire.into_iter().chain([(MARGIN, bus_y - LANE)]).collect();
                self.wires.insert(Actor::Node((*name).to_owned()), wire);
                self.nodes.insert((*name).to_owned(), rect);
                if grid.detail != Detail::Counted {
                    let origin = (rect.x + NODE_PADDING, rect.y + NODE_HEADER);
                    for (index, uid) in uids.iter().enumerate() {
                        self.pods.insert((*uid).to_owned(), grid.detail.place(origin, index, pod_columns));
                    }
                }
            }
            y += height;
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::node::NodeView;
    use crate::view::pod::{Generation, Sign};

    const DESKTOP: Window = Window { width: 720.0, height: 590.0 };
    const PHONE: Window = Window { width: 390.0, height: 600.0 };

    fn scene(nodes: usize, pods: usize, waiting: usize) -> Scene {
        let mut scene = Scene::default();
        for index in 1..=nodes {
            let name = format!("node-{index}");
            scene.nodes.insert(name.clone(), NodeView { name, answers: true, ..NodeView::default() }.into());
        }
        for index in 0..pods + waiting {
            let node = (index < pods && nodes > 0).then(|| format!("node-{}", index % nodes + 1));
            scene.pods.insert(format!("{index:05}"), pod(&format!("web-{index:05}"), node).into());
        }
        scene
    }

    fn pod(name: &str, node: Option<String>) -> PodView {
        PodView {
            namespace: "default".into(),
            name: name.into(),
            node,
            phase: "Running".into(),
            status: "Running".into(),
            sign: Sign::Ready,
            ready: 1,
            containers: 1,
            restarts: 0,
            generation: Generation::Only,
            workload: None,
            owner: None,
            images: Vec::new(),
            created: crate::machinery::time::Time::DEFAULT_START,
        }
    }

    fn inside(outer: &Rect, inner: &Rect) -> bool {
        inner.x >= outer.x
            && inner.y >= outer.y
            && inner.x + inner.width <= outer.x + outer.width + 0.01
            && inner.bottom() <= outer.bottom() + 0.01
    }

    #[test]
    fn pods_say_less_the_more_there_are() {
        let detail = |nodes, pods| layout(&scene(nodes, pods, 0), DESKTOP).detail;
        assert_eq!(detail(3, 6), Some(Detail::Full));
        assert_eq!(detail(3, 120), Some(Detail::Short));
        assert_eq!(detail(5, 400), Some(Detail::Dot));
        assert_eq!(detail(100, 10_000), Some(Detail::Counted));
    }

    #[test]
    fn every_pod_stands_within_its_node_and_no_two_overlap() {
        for (nodes, pods, waiting, window) in
            [(3, 9, 2, DESKTOP), (3, 70, 0, DESKTOP), (7, 500, 30, DESKTOP), (2, 5, 1, PHONE), (1, 40, 0, PHONE)]
        {
            let scene = scene(nodes, pods, waiting);
            let layout = layout(&scene, window);
            let mut places: Vec<&Rect> = Vec::new();
            for (uid, pod) in &scene.pods {
                let place = &layout.pods[uid];
                let outer = pod.node.as_ref().map_or(&layout.waiting, |node| &layout.nodes[node]);
                assert!(inside(outer, place), "{nodes} nodes, {pods} pods: {place:?} in {outer:?}");
                let overlaps = |other: &&&Rect| {
                    (other.x - place.x).abs() < place.width && (other.y - place.y).abs() < place.height
                };
                assert!(!places.iter().any(|other| overlaps(&other)), "{place:?} overlaps another pod");
                places.push(place);
            }
            let whole = Rect { x: 0.0, y: 0.0, width: layout.width, height: layout.height };
            assert!(layout.nodes.values().all(|node| inside(&whole, node)));
        }
    }

    #[test]
    fn the_tray_counts_what_it_does_not_show() {
        let layout = layout(&scene(2, 0, 200), DESKTOP);
        assert_eq!((layout.pods.len(), layout.waiting_hidden), (WAITING_SHOWN_MAX, 200 - WAITING_SHOWN_MAX));
    }

    #[test]
    fn an_empty_cluster_has_a_layout_too() {
        let layout = layout(&Scene::default(), PHONE);
        assert!(layout.scale > 0.5 && layout.nodes.is_empty() && layout.parts.len() == 6);
    }

    #[test]
    fn nodes_are_numbered_as_people_count() {
        let names = in_order(vec!["node-10", "node-2", "a", "node-1"], |name| natural(name));
        assert_eq!(names, ["a", "node-1", "node-2", "node-10"]);
    }
}
