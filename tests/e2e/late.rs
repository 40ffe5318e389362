//! What comes late: page and engine run with their first parts, and load the rest by themselves (`assets/start/start.js`).

use serde_json::json;

use crate::harness::{Screen, run, run_without};
use crate::page::{hash, live, open, until_running};

/// How the rest of the page came, once it is there.
const HOW: &str = "performance.getEntriesByName('kubetab-late')[0]?.detail";

#[test]
fn the_rest_of_the_page_comes_after_its_first_paint() {
    run("the_rest_of_the_page_comes_after_its_first_paint", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        assert_eq!(tab.until("the rest is there", HOW).await, "in the background");
        let asked =
            "performance.getEntriesByType('resource').find((entry) => entry.name.includes('/page_late-')).startTime";
        let asked = tab.evaluate(asked).await.as_f64().expect("a time");
        let (painted, alive) = tab.paint_times_ms().await;
        println!(
            "asked for the rest of the page after {asked:.0} ms, painted after {painted:.0}, live after {alive:.0}"
        );
        assert!(asked >= painted, "{asked} {painted}");
    });
}

/// Whoever clicks before the rest of the page is there waits for it, and no click is lost.
#[test]
fn a_click_that_comes_too_early_loads_the_rest_of_the_page() {
    run("a_click_that_comes_too_early_loads_the_rest_of_the_page", async |world| {
        let tab = world.browser(Screen::Desktop).await;
        tab.expect_console_error("/page_late-");
        tab.cdp_send("Network.enable", json!({})).await;
        tab.cdp_send("Network.setBlockedURLs", json!({ "urls": ["*/page_late-*"] })).await;
        tab.goto(world.address("")).await.expect("the page opens");
        live(&tab).await;
        tab.until_text("#incomplete", "could not be loaded").await;
        tab.screenshot("incomplete").await;
        tab.cdp_send("Network.setBlockedURLs", json!({ "urls": [] })).await;
        tab.click("#share").await;
        tab.until("the dialog is open", "document.querySelector('#share-link')?.value").await;
        assert_eq!(tab.until("the rest is there", HOW).await, "called for");
        tab.until("nothing is missing", "document.querySelector('#incomplete') === null").await;
    });
}

/// The cluster lives without the rest of the engine, until that is needed. Then the page says what is missing, and when
/// it can be had, all goes on.
#[test]
fn an_engine_that_lacks_its_rest_says_so_and_loses_nothing() {
    run_without("an_engine_that_lacks_its_rest", Some("cluster_late-"), async |world| {
        let tab = world.open(Screen::Desktop, "").await;
        tab.expect_console_error("cluster_late-");
        let drawn = "performance.getEntriesByName('kubetab-live').length > 0";
        tab.until("the first part draws a cluster by itself", drawn).await;
        tab.until_text(".banner.bad", "could not be loaded: 404").await;
        tab.screenshot("engine-incomplete").await;
        world.bring_what_is_missing();
        tab.click("#revive").await;
        let _ = hash(&tab).await;
        tab.click("#play").await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
    });
}
