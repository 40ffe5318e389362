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

/// The verbs of kubectl by which lessons change a cluster.
const CHANGING: [&str; 12] =
    ["annotate", "cordon", "create", "delete", "drain", "label", "patch", "run", "scale", "set", "taint", "uncordon"];

/// Whether a command does something to the cluster.
fn changes(command: &str) -> bool {
    let mut words = command.split(' ');
    words.next() == Some("kubectl") && words.next().is_some_and(|verb| CHANGING.contains(&verb))
}

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
        }
        // What the step leads to comes after all that is done to the cluster, and what only reads comes after that.
        let last = commands.iter().rposition(|command| changes(command)).map_or(0, |last| last + 1);
        let (first, then) = commands.split_at(last);
        let type_all = |player: &mut Player, commands: &[&str], wrong: &mut Vec<String>| {
            for command in commands {
                let screen = player.type_line(command);
                println!("{id}, step {}, {}\n$ {command}\n{screen}", number + 1, player.clock());
                wrong.extend(printed.compare(id, number + 1, command, &screen).err());
            }
        };
        type_all(&mut player, first, &mut wrong);
        wrong.extend(player.await_reached(number, &step).err());
        type_all(&mut player, then, &mut wrong);
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
fn no_request_is_lost_when_a_service_turns_from_blue_to_green() {
    let mut player = Player::open("blue-green");
    for number in 0..2 {
        let step = player.steps[number].clone();
        player.attend(number);
        player.press(number, &step).expect("it is done");
        player.await_reached(number, &step).expect("it comes");
        let (before, _) = player.requests();
        player.wait(5.0);
        let (sent, failed) = player.requests();
        assert!(sent >= before + 20, "the client sends five a second: {before}, {sent}");
        assert_eq!(failed, 0, "step {}", number + 1);
    }
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
