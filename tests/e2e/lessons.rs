//! The gallery: every scenario opens, and every lesson is taken from its first step to its last.

use crate::harness::{Screen, run};
use crate::page::{live, open};

#[test]
fn every_lesson_is_taken_to_its_end() {
    run("every_lesson_is_taken_to_its_end", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#gallery").await;
        tab.element("#scenario-canary").await;
        let ids = tab.evaluate("[...document.querySelectorAll('[id^=scenario-]')].map(card => card.id)").await;
        let ids: Vec<String> = serde_json::from_value(ids).expect("a list of names");
        assert!(ids.len() >= 28, "an empty cluster and all scenarios: {ids:?}");
        let headings =
            tab.evaluate("[...document.querySelectorAll('.dialog section h3')].map(each => each.innerText)").await;
        assert_eq!(headings.as_array().map(Vec::len), Some(7), "a heading for each group: {headings}");
        for id in ids.into_iter().filter(|id| id != "scenario-new") {
            let name = id.trim_start_matches("scenario-");
            tab.goto(world.address(&format!("?scenario={name}"))).await.expect("the page opens");
            live(&tab).await;
            tab.element(".lesson").await;
            let (mut step, mut pressed) = (1, 0);
            let mut read = String::new();
            loop {
                // Each step says something else.
                let text = tab.evaluate("document.querySelector('.lesson-text').innerText").await;
                let text = text.as_str().expect("words").to_owned();
                assert!(!text.is_empty() && text != read, "{name}, step {step}: {text}");
                read = text;
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

/// What is pressed leads to something in the cluster, a command in the text runs in the terminal, and the focus stays.
#[test]
fn a_lesson_says_when_what_it_leads_to_is_there() {
    run("a_lesson_says_when_what_it_leads_to_is_there", async |world| {
        let tab = open(world, Screen::Desktop, "?scenario=first-pod").await;
        tab.element(".lesson").await;
        assert_eq!(tab.evaluate("document.querySelector('.lesson-status').innerText").await, "");
        tab.click("#do-it").await;
        tab.element(".lesson-status.reached").await;
        tab.click("#lesson-next").await;
        tab.until_text(".lesson", "2 / ").await;
        assert_eq!(tab.evaluate("document.activeElement.id").await, "lesson-next");
        assert_eq!(tab.evaluate("document.querySelector('.lesson-status.reached') === null").await, true);
        tab.click(".lesson button.code").await;
        tab.until_text(".terminal", "hello   1/1     Running").await;
        // The shell was not there yet when the command was clicked; it stands behind its prompt all the same.
        let first = tab.evaluate("document.querySelector('.screen').textContent.trim().split('\\n')[0]").await;
        assert!(first.as_str().is_some_and(|line| line.starts_with("$ kubectl")), "{first}");
        tab.screenshot("lesson-command").await;
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
