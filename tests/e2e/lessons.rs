//! The gallery: every scenario opens, and every lesson is taken from its first step to its last.

use crate::harness::{Screen, run};
use crate::page::{live, open};

#[test]
fn every_lesson_is_taken_to_its_end() {
    run("every_lesson_is_taken_to_its_end", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#gallery").await;
        let ids = tab
            .until("there are scenarios", "[...document.querySelectorAll('[id^=scenario-]')].map(card => card.id)")
            .await;
        let ids: Vec<String> = serde_json::from_value(ids).expect("a list of names");
        assert!(ids.len() >= 11, "an empty cluster and at least ten scenarios: {ids:?}");
        for id in ids.into_iter().filter(|id| id != "scenario-new") {
            let name = id.trim_start_matches("scenario-");
            tab.goto(world.address(&format!("?scenario={name}"))).await.expect("the page opens");
            live(&tab).await;
            tab.element(".lesson").await;
            let (mut step, mut pressed) = (1, 0);
            loop {
                if tab.evaluate("document.querySelector('#do-it') !== null").await == true {
                    tab.evaluate("(document.querySelector('#do-it').click(), true)").await;
                    pressed += 1;
                    tab.until("it was done", "document.querySelector('#do-it').disabled").await;
                    tab.until("time has come there", "document.querySelector('#messages .message.bad') === null").await;
                }
                tab.screenshot(&format!("lesson-{name}-{step}")).await;
                if tab.evaluate("document.querySelector('#lesson-next').disabled").await == true {
                    break;
                }
                tab.evaluate("(document.querySelector('#lesson-next').click(), true)").await;
                step += 1;
            }
            assert!(pressed > 0, "{name} has nothing to do");
        }
    });
}

#[test]
fn a_lesson_survives_a_reload() {
    run("a_lesson_survives_a_reload", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#gallery").await;
        tab.click("#scenario-canary").await;
        tab.until_text(".lesson", "1 / ").await;
        tab.click("#lesson-next").await;
        tab.until_text(".lesson", "2 / ").await;
        tab.refresh().await.expect("the page reloads");
        live(&tab).await;
        tab.until_text(".lesson", "2 / ").await;
        assert_eq!(tab.evaluate("document.querySelector('.lesson').innerText.includes('Canary')").await, true);
    });
}
