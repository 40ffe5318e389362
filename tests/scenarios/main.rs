//! Every scenario of the gallery, played to its end: what a step says is done, by its button and in the terminal, and what
//! it leads to must come, at the speed at which a student sees it.
//!
//! `commands.txt` says what the commands in the texts print. `LESSON=first-pod cargo test --test scenarios -- --nocapture`
//! plays one lesson, and shows all of it.

#![expect(clippy::disallowed_methods, reason = "the environment says which lesson to play")]

mod player;
mod printed;

use kubetab::session::scenario::SCENARIOS;

use player::Player;
use printed::Printed;

/// Plays a scenario, and says what was not as it should be.
fn play(id: &str) -> Result<(), String> {
    let printed = Printed::read(include_str!("commands.txt"));
    let mut player = Player::open(id);
    let mut wrong = Vec::new();
    for number in 0..player.steps.len() {
        let step = player.steps[number].clone();
        let commands: Vec<&str> = step.text.en.split('`').skip(1).step_by(2).collect();
        player.attend(number);
        if !step.expect.is_empty() && player.is_met(&step) {
            wrong.push(format!("step {}: what it leads to is there before it is done", number + 1));
        }
        if step.button.is_some() {
            wrong.extend(player.press(number, &step).err());
            wrong.extend(player.await_reached(number, &step).err());
        }
        for command in &commands {
            let screen = player.type_line(command);
            println!("{id}, step {}, {}\n$ {command}\n{screen}", number + 1, player.clock());
            wrong.extend(printed.compare(id, number + 1, command, &screen).err());
        }
        if step.button.is_none() {
            wrong.extend(player.await_reached(number, &step).err());
        }
    }
    wrong.extend(printed.without(id, player.steps.iter().map(|step| step.text.en.as_str())));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

#[test]
fn every_lesson_comes_to_its_end_as_its_words_say() {
    let only = std::env::var("LESSON").ok();
    let chosen = SCENARIOS.iter().filter(|(id, _)| only.as_ref().is_none_or(|only| only == id));
    let wrong: Vec<String> = chosen.filter_map(|(id, _)| play(id).err().map(|why| format!("{id}:\n{why}"))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_lesson_that_is_played_twice_is_the_same() {
    let play = || {
        let mut player = Player::open("statefulset");
        let step = player.steps[0].clone();
        player.press(0, &step).expect("it is applied");
        player.await_reached(0, &step).expect("it comes");
        (player.type_line("kubectl get pods -o wide"), player.hash())
    };
    assert_eq!(play(), play());
}
