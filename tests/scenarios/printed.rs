//! `commands.txt`: what commands print.
//!
//! A block is `## scenario step`, `$ command`, and lines: each is a part of what the command prints, with any blanks
//! between its words; after `!` it is no part of it.

use std::collections::BTreeMap;

/// Scenario, step, command.
type Place = (String, usize, String);

pub(super) struct Printed(BTreeMap<Place, Vec<String>>);

/// One blank between words.
fn even(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Printed {
    pub(super) fn read(text: &str) -> Self {
        let (mut blocks, mut at, mut place) = (BTreeMap::new(), (String::new(), 0), None::<Place>);
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            if let Some(heading) = line.strip_prefix("## ") {
                let (id, step) = heading.split_once(' ').expect("a scenario and a step");
                at = (id.to_owned(), step.parse().expect("the number of a step"));
            } else if let Some(command) = line.strip_prefix("$ ") {
                let command = (at.0.clone(), at.1, command.to_owned());
                assert!(blocks.insert(command.clone(), Vec::new()).is_none(), "twice: {command:?}");
                place = Some(command);
            } else {
                let place = place.as_ref().expect("a command comes first");
                blocks.get_mut(place).expect("it was put there").push(line.to_owned());
            }
        }
        Self(blocks)
    }

    /// Whether a command printed what it should.
    pub(super) fn compare(&self, id: &str, step: usize, command: &str, screen: &str) -> Result<(), String> {
        let lines = self.0.get(&(id.to_owned(), step, command.to_owned())).map(Vec::as_slice).unwrap_or_default();
        let printed = even(screen);
        let is_there = |line: &String| match line.strip_prefix('!') {
            Some(part) => !printed.contains(&even(part)),
            None => printed.contains(&even(line)),
        };
        let missing: Vec<_> = lines.iter().filter(|line| !is_there(line)).collect();
        if !lines.is_empty() && missing.is_empty() {
            return Ok(());
        }
        let why = if lines.is_empty() { "commands.txt has nothing".to_owned() } else { format!("not {missing:?}") };
        Err(format!("step {step}, {command}: {why}\n{screen}"))
    }

    /// The commands that no step of the scenario names.
    pub(super) fn without<'a>(&self, id: &str, texts: impl Iterator<Item = &'a str>) -> Vec<String> {
        let texts: Vec<&str> = texts.collect();
        let is_named = |step: usize, command: &str| {
            texts.get(step.wrapping_sub(1)).is_some_and(|text| text.split('`').any(|part| part == command))
        };
        let own = self.0.keys().filter(|(scenario, step, command)| scenario == id && !is_named(*step, command));
        own.map(|(_, step, command)| format!("step {step} does not name {command}")).collect()
    }
}
