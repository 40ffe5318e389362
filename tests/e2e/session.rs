//! The session on the real page: apply, share, reload, go back in time, and come back from a crash.

use crate::harness::{Screen, run};
use crate::page::{apply, deployment, hash, live, open, until_running};

#[test]
fn three_pods_of_the_first_file_run() {
    run("three_pods_of_the_first_file_run", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#apply").await;
        tab.until_text("#messages", "deployment.apps/web created").await;
        until_running(&tab, 3).await;
        let bound = tab.evaluate("[...document.querySelectorAll('[data-kind=Pod]')].every(p => p.dataset.node)").await;
        assert_eq!(bound, true);
        tab.screenshot("three-pods").await;
    });
}

#[test]
fn a_reload_loses_nothing() {
    run("a_reload_loses_nothing", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
        let before = hash(&tab).await;
        tab.refresh().await.expect("the page reloads");
        live(&tab).await;
        until_running(&tab, 3).await;
        assert_eq!(hash(&tab).await, before, "the very same state, and time stands as it stood");
    });
}

/// Also within a moment, after single steps, the link and the reload lead to the very step.
#[test]
fn a_reload_after_single_steps_is_exact() {
    run("a_reload_after_single_steps_is_exact", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#play").await;
        tab.click("#apply").await;
        for _ in 0..25 {
            let steps = tab.evaluate("document.querySelector('#kubetab').dataset.steps").await;
            tab.click("#step").await;
            tab.until("a step was made", &format!("document.querySelector('#kubetab').dataset.steps !== {steps}"))
                .await;
        }
        let before = hash(&tab).await;
        let steps = tab.evaluate("document.querySelector('#kubetab').dataset.steps").await;
        let saved = "localStorage.getItem('kubetab.session')";
        let first = tab.evaluate(saved).await;
        tab.until("it is saved", &format!("{saved} && (window.seen ??= performance.now()) + 3000 < performance.now()"))
            .await;
        println!("the saved session changed: {}", tab.evaluate(saved).await != first);
        tab.refresh().await.expect("the page reloads");
        live(&tab).await;
        assert_eq!(tab.evaluate("document.querySelector('#kubetab').dataset.steps").await, steps);
        assert_eq!(hash(&tab).await, before);
    });
}

#[test]
fn a_link_leads_others_to_the_same_state() {
    run("a_link_leads_others_to_the_same_state", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        apply(&tab, &deployment(3, "nginx:1.28")).await;
        until_running(&tab, 3).await;
        let before = hash(&tab).await;
        tab.click("#share").await;
        let link = tab.until("there is a link", "document.querySelector('#share-link')?.value").await;
        let link = link.as_str().expect("a link is text").to_owned();
        tab.until_text(".dialog", &format!("{} characters", link.len())).await;
        tab.screenshot("share").await;
        let other = world.browser(Screen::Desktop).await;
        other.goto(&link).await.expect("the link opens");
        live(&other).await;
        until_running(&other, 3).await;
        assert_eq!(hash(&other).await, before);
        let text = other.until("the file came along", "document.querySelector('.cm-content')?.innerText").await;
        assert!(text.as_str().is_some_and(|text| text.contains("nginx:1.28")), "{text}");
    });
}

#[test]
fn a_broken_link_says_what_is_wrong_and_leaves_the_work_alone() {
    run("a_broken_link_says_what_is_wrong_and_leaves_the_work_alone", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
        let before = hash(&tab).await;
        for (link, what) in [
            ("#v1/eNrtVE2P2jAQ_Su", "the link is damaged"),
            ("#v7/AAAA", "version \"v7\""),
            ("#v1/ab%20c", "a character at"),
        ] {
            // Once while the page is there, and once into a page that has just been opened.
            for fresh in [false, true] {
                if fresh {
                    tab.goto("about:blank").await.expect("nothing opens");
                }
                tab.goto(world.address(link)).await.expect("the page opens");
                live(&tab).await;
                tab.until_text(".notices", what).await;
                until_running(&tab, 3).await;
                assert_eq!(hash(&tab).await, before, "{link}");
                assert_eq!(tab.evaluate("location.hash").await, "", "a reload must not open it again");
            }
        }
    });
}

#[test]
fn what_is_embedded_touches_nothing_of_the_users() {
    run("what_is_embedded_touches_nothing_of_the_users", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
        let before = hash(&tab).await;
        tab.goto(world.address("?embed=1&scenario=rolling-update")).await.expect("the page opens");
        live(&tab).await;
        until_running(&tab, 6).await;
        assert_eq!(
            tab.evaluate("document.querySelector('.editor-pane, .inspector, #share')").await,
            serde_json::Value::Null
        );
        tab.screenshot("embedded").await;
        tab.goto(world.address("")).await.expect("the page opens");
        live(&tab).await;
        until_running(&tab, 3).await;
        assert_eq!(hash(&tab).await, before);
    });
}

#[test]
fn a_session_goes_through_a_file() {
    run("a_session_goes_through_a_file", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
        let before = hash(&tab).await;
        // What would be saved as a file is caught, and chosen as a file in another browser.
        tab.evaluate("(URL.createObjectURL = (blob) => (blob.text().then((text) => { window.exported = text }), 'data:,'), true)").await;
        tab.click("#share").await;
        tab.click("#export").await;
        let text = tab.until("it was exported", "window.exported").await;
        let other = open(world, Screen::Desktop, "").await;
        other.click("#share").await;
        other.element("#import").await;
        other
            .evaluate(&format!(
                "((data, input) => (data.items.add(new File([{text}], 'session.json')), input.files = data.files, \
                 input.dispatchEvent(new Event('change', {{ bubbles: true }})), true))\
                 (new DataTransfer(), document.querySelector('#import'))"
            ))
            .await;
        until_running(&other, 3).await;
        assert_eq!(hash(&other).await, before);
    });
}

#[test]
fn time_goes_back_and_forks() {
    run("time_goes_back_and_forks", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
        let before = hash(&tab).await;
        let scrub = |part: &str| {
            format!(
                "((line) => (line.value = {part}, line.dispatchEvent(new Event('input', {{ bubbles: true }})), true))\
                 (document.querySelector('#scrubber'))"
            )
        };
        tab.evaluate(&scrub("0")).await;
        tab.until("nothing was applied yet", "document.querySelectorAll('[data-kind=Deployment]').length === 0").await;
        tab.screenshot("rewound").await;
        tab.evaluate(&scrub("line.max")).await;
        until_running(&tab, 3).await;
        assert_eq!(hash(&tab).await, before, "what was known comes again");
        tab.evaluate(&scrub("0")).await;
        tab.click("#fork").await;
        tab.until_text(".notices", "kept among the other branches").await;
        tab.click("#play").await;
        let branch = "((select) => (select.value = '0', select.dispatchEvent(new Event('change', { bubbles: true })), true))\
                      (document.querySelector('#branches'))";
        tab.element("#branches").await;
        tab.evaluate(branch).await;
        until_running(&tab, 3).await;
        assert_eq!(hash(&tab).await, before, "the other branch is as it was left");
    });
}

#[test]
fn bad_yaml_is_marked_at_its_line() {
    run("bad_yaml_is_marked_at_its_line", async |world| {
        let tab = world.browser(Screen::Desktop).await;
        tab.goto(world.address("")).await.expect("the page opens");
        live(&tab).await;
        let text = "apiVersion: v1\\nkind: Pod\\nmetadata:\\n  name: a\\nspec:\\n  containers:\\n  - name: a\\n    imagee: nginx\\n";
        tab.evaluate(&format!(
            "localStorage.setItem('kubetab.files', JSON.stringify([{{name: 'a.yaml', text: '{text}'}}]))"
        ))
        .await;
        tab.refresh().await.expect("the page reloads");
        live(&tab).await;
        tab.until("the field is marked", "document.querySelector('.cm-lintRange-error')?.textContent === 'imagee'")
            .await;
        tab.click("#apply").await;
        tab.until_text("#messages", "Did you mean image?").await;
    });
}

#[test]
fn an_engine_that_dies_is_restored() {
    run("an_engine_that_dies_is_restored", async |world| {
        let tab = world.browser(Screen::Desktop).await;
        tab.expect_console_error("");
        let spy = "const W = Worker; window.Worker = class extends W { constructor(...a) { super(...a); window.theWorker = this; } };";
        let parameters = serde_json::json!({ "source": spy });
        tab.cdp_send("Page.addScriptToEvaluateOnNewDocument", parameters).await;
        tab.goto(world.address("")).await.expect("the page opens");
        live(&tab).await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
        tab.evaluate("(window.theWorker.postMessage('nonsense'), true)").await;
        tab.until("it was restored", "document.querySelector('#kubetab').dataset.engine === 'restored'").await;
        until_running(&tab, 3).await;
    });
}
