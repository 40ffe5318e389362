//! Which part of the picture is seen: all of it, until somebody zooms or drags.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{PointerEvent, WheelEvent};

use crate::key;
use crate::view::layout::{Layout, Window};

use super::drawing::{moved, push_scaled};
use super::signs::Signs;
use crate::page::erase::hear;

const SCALE_MIN: f64 = 0.15;
const SCALE_MAX: f64 = 4.0;
/// A picture that does not fill its window hangs at most so far below the upper edge. In pixels.
const TOP_MAX: f64 = 36.0;
/// One press of a zoom button.
const STEP: f64 = 1.3;
/// From this scale on even small items show their words.
const SCALE_CLOSE: f64 = 1.9;
/// A pointer that moved less than this has clicked, not dragged. In pixels.
const DRAG_MIN: f64 = 4.0;

/// What the camera shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sight {
    x: f64,
    y: f64,
    scale: f64,
}

/// The camera over the picture.
#[derive(Clone, Copy)]
pub(super) struct Camera {
    /// What somebody chose to see; `None` fits everything into the window.
    chosen: RwSignal<Option<Sight>>,
    sight: Memo<Sight>,
    window: RwSignal<Window>,
    /// Whether a pointer drags the picture.
    dragging: RwSignal<bool>,
}

impl Camera {
    pub(super) fn new(layout: Memo<Layout>, window: RwSignal<Window>) -> Self {
        let chosen = RwSignal::new(None);
        let sight = Memo::new(move |_| {
            chosen.get().unwrap_or_else(|| {
                let window = window.get();
                layout.with(|layout| Sight {
                    x: (window.width - layout.width * layout.scale) / 2.0,
                    y: ((window.height - layout.height * layout.scale) / 2.0).clamp(0.0, TOP_MAX),
                    scale: layout.scale,
                })
            })
        });
        Self { chosen, sight, window, dragging: RwSignal::new(false) }
    }

    /// Shows everything again.
    pub(super) fn fit(self) {
        self.chosen.set(None);
    }

    /// Zooms in.
    pub(super) fn closer(self) {
        self.zoom_middle(STEP);
    }

    /// Zooms out.
    pub(super) fn farther(self) {
        self.zoom_middle(1.0 / STEP);
    }

    fn zoom_middle(self, factor: f64) {
        let window = self.window.get_untracked();
        self.zoom(window.width / 2.0, window.height / 2.0, factor);
    }

    /// Zooms so that what is at a point of the window stays there.
    fn zoom(self, x: f64, y: f64, factor: f64) {
        let sight = self.sight.get_untracked();
        let scale = (sight.scale * factor).clamp(SCALE_MIN, SCALE_MAX);
        let factor = scale / sight.scale;
        self.chosen.set(Some(Sight { x: x - (x - sight.x) * factor, y: y - (y - sight.y) * factor, scale }));
    }

    fn pan(self, dx: f64, dy: f64) {
        let sight = self.sight.get_untracked();
        self.chosen.set(Some(Sight { x: sight.x + dx, y: sight.y + dy, ..sight }));
    }
}

/// The pointers that are down, where they were last.
#[derive(Clone, Default)]
struct Pointers(Rc<RefCell<Vec<(i32, f64, f64)>>>);

impl Pointers {
    fn down(&self, event: &PointerEvent) {
        self.0.borrow_mut().push((event.pointer_id(), f64::from(event.client_x()), f64::from(event.client_y())));
    }

    fn up(&self, event: &PointerEvent) {
        self.0.borrow_mut().retain(|(id, _, _)| *id != event.pointer_id());
    }

    /// Moves the picture with one pointer, or zooms it between two.
    fn moved(&self, camera: Camera, event: &PointerEvent, left: f64, top: f64) {
        let mut pointers = self.0.borrow_mut();
        let Some(index) = pointers.iter().position(|(id, _, _)| *id == event.pointer_id()) else { return };
        let before = pointers.clone();
        let (x, y) = (f64::from(event.client_x()), f64::from(event.client_y()));
        let (_, old_x, old_y) = before[index];
        if !camera.dragging.get_untracked() && (x - old_x).hypot(y - old_y) < DRAG_MIN {
            return;
        }
        camera.dragging.set(true);
        pointers[index] = (event.pointer_id(), x, y);
        match pointers.as_slice() {
            [_] => camera.pan(x - old_x, y - old_y),
            [(_, ax, ay), (_, bx, by), ..] => {
                let apart = |p: &[(i32, f64, f64)]| (p[0].1 - p[1].1).hypot(p[0].2 - p[1].2).max(1.0);
                camera.zoom((ax + bx) / 2.0 - left, (ay + by) / 2.0 - top, apart(&pointers) / apart(&before));
            }
            [] => {}
        }
    }
}

/// The window with the picture in it.
#[component]
pub(super) fn Stage(camera: Camera, window: RwSignal<Window>, children: Children) -> impl IntoView {
    let stage = NodeRef::<leptos::html::Div>::new();
    Effect::new(move || {
        if let Some(element) = stage.get() {
            watch_size(&element, window);
        }
    });
    let corner = move || {
        stage.get_untracked().map_or((0.0, 0.0), |element| {
            let rect = element.get_bounding_client_rect();
            (rect.left(), rect.top())
        })
    };
    let on_wheel = move |event: WheelEvent| {
        event.prevent_default();
        let (left, top) = corner();
        let factor = (-event.delta_y() * if event.delta_mode() == 0 { 0.0016 } else { 0.05 }).exp();
        camera.zoom(f64::from(event.client_x()) - left, f64::from(event.client_y()) - top, factor);
    };
    let pointers = StoredValue::new_local(Pointers::default());
    let release = move |event: PointerEvent| {
        pointers.with_value(|pointers| pointers.up(&event));
        // The click that ends a drag is still to come; it must not choose what lies under the pointer.
        set_timeout(move || camera.dragging.set(false), std::time::Duration::ZERO);
    };
    let transform = move || {
        camera.sight.with(|sight| {
            let mut text = moved(sight.x, sight.y) + " scale(";
            push_scaled(&mut text, sight.scale, 10_000);
            text.push(')');
            text
        })
    };
    view! {
        <div
            class="stage"
            class:dragging=move || camera.dragging.get()
            node_ref=stage
            on:wheel=hear(on_wheel)
            on:pointerdown=hear(move |event| pointers.with_value(|pointers| pointers.down(&event)))
            on:pointermove=hear(move |event| {
                let (left, top) = corner();
                pointers.with_value(|pointers| pointers.moved(camera, &event, left, top));
            })
            on:pointerup=hear(release)
            on:pointercancel=hear(release)
            on:pointerleave=hear(release)
        >
            <svg class="picture" width="100%" height="100%">
                <Signs/>
                <g
                    class="sight"
                    class:chosen=move || camera.chosen.with(Option::is_some)
                    class:close=move || camera.sight.with(|sight| sight.scale >= SCALE_CLOSE)
                    style:transform=transform
                >
                    {children()}
                </g>
            </svg>
        </div>
    }
}

/// Keeps the signal at the element's size.
fn watch_size(element: &web_sys::HtmlElement, window: RwSignal<Window>) {
    let watched = element.clone();
    let on_resize = Closure::<dyn Fn()>::new(move || {
        let rect = watched.get_bounding_client_rect();
        if rect.width() > 0.0 && rect.height() > 0.0 {
            window.set(Window { width: rect.width(), height: rect.height() });
        }
    });
    if let Ok(observer) = web_sys::ResizeObserver::new(on_resize.as_ref().unchecked_ref()) {
        observer.observe(element);
    }
    // Observer and element hold each other; the browser frees both when the element is gone.
    on_resize.forget();
}

/// The zoom buttons.
#[component]
pub(super) fn Zoom(app: super::App, camera: Camera) -> impl IntoView {
    use super::super::icons::{Icon, icon};
    view! {
        <div class="zoom" role="group" aria-label=move || app.text(key!("graph.zoom"))>
            <button class="square" on:click=hear(move |_| camera.farther()) aria-label=move || app.text(key!("graph.farther"))>
                {icon(Icon::Minus)}
            </button>
            <button class="square" on:click=hear(move |_| camera.closer()) aria-label=move || app.text(key!("graph.closer"))>
                {icon(Icon::Plus)}
            </button>
            <button class="square" on:click=hear(move |_| camera.fit()) aria-label=move || app.text(key!("graph.fit"))>
                {icon(Icon::Fit)}
            </button>
        </div>
    }
}
