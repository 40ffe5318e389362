//! How the page is arranged and coloured.

/// The rooms of the page; on a phone one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Editor,
    Graph,
    Inspector,
    Events,
    Terminal,
    Requests,
}

impl Room {
    /// Those that can be folded away.
    pub(super) const FOLDABLE: [Self; 3] = [Self::Editor, Self::Inspector, Self::Events];

    /// Those that share the place below the timeline.
    pub(super) const PANELS: [Self; 3] = [Self::Events, Self::Terminal, Self::Requests];

    /// The panel of a name; the events for any other.
    pub(super) fn panel(id: &str) -> Self {
        Self::PANELS.into_iter().find(|panel| panel.id() == id).unwrap_or(Self::Events)
    }

    /// A name without blanks for attributes and style sheets.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Editor => "editor",
            Self::Graph => "graph",
            Self::Inspector => "inspector",
            Self::Events => "events",
            Self::Terminal => "terminal",
            Self::Requests => "requests",
        }
    }
}

/// Which rooms are folded away on a wide screen, as words with blanks between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folded(pub(super) String);

impl Folded {
    /// Everything but the picture and the line of time: what a class on a projector needs.
    pub(super) fn all() -> Self {
        Self(Room::FOLDABLE.map(Room::id).join(" "))
    }

    pub(super) fn contains(&self, room: Room) -> bool {
        self.0.split(' ').any(|word| word == room.id())
    }

    pub(super) fn toggle(&mut self, room: Room) {
        let others = Room::FOLDABLE.into_iter().filter(|other| self.contains(*other) != (*other == room));
        *self = Self(others.map(Room::id).collect::<Vec<_>>().join(" "));
    }
}

/// How the page looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// As the system does.
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) fn from_id(id: &str) -> Self {
        [Self::Light, Self::Dark].into_iter().find(|theme| theme.id() == id).unwrap_or_default()
    }

    pub(super) const fn next(self) -> Self {
        match self {
            Self::Auto => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::Auto,
        }
    }
}
