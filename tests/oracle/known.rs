//! Steps that are known to differ, each with its reason.

use std::collections::BTreeMap;

/// The known differences of one area.
pub struct Known {
    /// Per case, the steps; `None` stands for all of them.
    steps: BTreeMap<(String, Option<usize>), State>,
    area: String,
}

#[derive(Default)]
struct State {
    differed: bool,
    /// Chance decides it, in a real cluster too: it may hold.
    by_chance: bool,
}

/// Reads the differences of an area from its section of `KNOWN_DIFFERENCES.md`: lines `- CASE:STEP reason`, or
/// `- CASE reason` for a whole case. A reason that begins with `chance:` says that nothing but chance decides the step.
pub fn read(area: &str) -> Known {
    let text = include_str!("KNOWN_DIFFERENCES.md");
    let heading = format!("## {area}");
    let section = text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let mut steps = BTreeMap::new();
    for line in section.filter_map(|line| line.strip_prefix("- ")) {
        let (place, reason) = line.split_once(' ').unwrap_or_else(|| panic!("a difference has a reason: {line}"));
        assert!(!reason.trim().is_empty(), "a difference has a reason: {line}");
        let (name, step) = match place.split_once(':') {
            Some((name, step)) => (name, Some(step.parse().unwrap_or_else(|_| panic!("a step is a number: {line}")))),
            None => (place, None),
        };
        let by_chance = reason.trim().starts_with("chance:");
        let before = steps.insert((name.to_owned(), step), State { by_chance, ..State::default() });
        assert!(before.is_none(), "a step is listed once: {line}");
    }
    Known { steps, area: area.to_owned() }
}

impl Known {
    /// Whether a step is listed.
    pub fn take(&mut self, name: &str, step: usize, differs: bool) -> bool {
        for key in [(name.to_owned(), Some(step)), (name.to_owned(), None)] {
            if let Some(state) = self.steps.get_mut(&key) {
                state.differed |= differs;
                return true;
            }
        }
        false
    }

    /// Leaves out a case that is not played.
    pub fn forget(&mut self, name: &str) {
        self.steps.retain(|(known, _), _| known != name);
    }

    /// The listed steps that hold after all.
    pub fn passed(&self) -> String {
        let passed = self.steps.iter().filter(|(_, state)| !state.differed && !state.by_chance);
        let line = |(name, step): &(String, Option<usize>)| {
            let step = step.map_or_else(String::new, |step| format!(":{step}"));
            format!("{}/{name}{step} is listed as different but is not\n", self.area)
        };
        passed.map(|(key, _)| line(key)).collect()
    }
}
