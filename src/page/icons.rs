//! Small pictures, drawn with the colour of the text around them. They are decoration: words stand beside them or in
//! an `aria-label`.

use leptos::prelude::*;

/// A picture of 16 by 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icon {
    Play,
    Pause,
    Step,
    Idle,
    Fork,
    Share,
    Bolt,
    Theme,
    Book,
    Plus,
    Close,
    Left,
    Right,
    Fit,
    Minus,
    Graph,
    Table,
    Edges,
    Trash,
    Edit,
    Restart,
    StepBack,
    Sun,
    Moon,
    PaneLeft,
    PaneRight,
    PaneBottom,
    Projector,
    Send,
}

impl Icon {
    const fn path(self) -> &'static str {
        match self {
            Self::Play => "M5 3.2v9.6L13 8z",
            Self::Pause => "M4.5 3.5h2.6v9H4.5zM8.9 3.5h2.6v9H8.9z",
            Self::Step => "M3 3.5v9L10 8zM11 3.5h2v9h-2z",
            Self::Idle => "M2 3.5v9L7.5 8zM7.5 3.5v9L13 8zM13 3.5h1.6v9H13z",
            Self::Fork => "M4 2.5v11M4 9c4 0 7-1.5 7-5M8.7 6 11 3.4 13.3 6",
            Self::Share => "M8 10V2M5 4.6 8 2l3 2.6M3.5 7.5v6h9v-6",
            Self::Bolt => "M9 1.5 3.5 9H7l-.8 5.5L12.5 6.5H8.6z",
            Self::Theme => "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
            Self::Book => {
                "M2.5 3h4c1 0 1.5.6 1.5 1.4V13c0-.7-.6-1.2-1.5-1.2h-4zM13.5 3h-4C8.5 3 8 3.6 8 4.4V13c0-.7.6-1.2 1.5-1.2h4z"
            }
            Self::Plus => "M8 3v10M3 8h10",
            Self::Minus => "M3 8h10",
            Self::Close => "M4 4l8 8M12 4l-8 8",
            Self::Left => "M10 3.5 5.5 8 10 12.5",
            Self::Right => "M6 3.5 10.5 8 6 12.5",
            Self::Fit => "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
            Self::Graph => "M8 5.5v3M8 8.5 4 11M8 8.5l4 2.5M6 2.5h4v3H6zM2 11h4v2.8H2zM10 11h4v2.8h-4z",
            Self::Table => "M2.5 3h11v10h-11zM2.5 6.3h11M2.5 9.6h11M6.5 6.3V13",
            Self::Edges => "M4 3.5C4 9 12 7 12 12.5M2.5 3.5h3M10.5 12.5h3",
            Self::Send => "M2 8h9M8 4.5 11.5 8 8 11.5M13.5 3v10",
            Self::Trash => "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 9h5.8l.6-9M7 7v4M9 7v4",
            Self::Edit => "M3 13l.8-3L10.5 3.3l2.2 2.2L6 12.2zM9 4.8 11.2 7",
            Self::StepBack => "M13 3.5v9L6 8zM5 3.5H3v9h2z",
            Self::Sun => {
                "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1"
            }
            Self::Moon => "M13 9.6A5.6 5.6 0 0 1 6.4 3 5.6 5.6 0 1 0 13 9.6",
            Self::PaneLeft => "M2.5 3h11v10h-11zM6.2 3v10",
            Self::PaneRight => "M2.5 3h11v10h-11zM9.8 3v10",
            Self::PaneBottom => "M2.5 3h11v10h-11zM2.5 9.4h11",
            Self::Projector => "M1.8 3h12.4M2.8 3v7.5h10.4V3M8 10.5v1.8M8 12.3l-2.4 2M8 12.3l2.4 2",
            Self::Restart => "M12.8 8A4.8 4.8 0 1 1 11 4.3M11.2 1.8v2.8H8.4",
        }
    }

    const fn is_filled(self) -> bool {
        matches!(self, Self::Play | Self::Pause | Self::Step | Self::StepBack | Self::Idle | Self::Bolt)
    }
}

/// The picture.
pub(super) fn icon(icon: Icon) -> AnyView {
    let class = if icon.is_filled() { "icon filled" } else { "icon" };
    view! {
        <svg class=class viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
            <path d=icon.path()></path>
        </svg>
    }
    .into_any()
}
