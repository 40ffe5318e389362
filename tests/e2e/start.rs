//! The page comes up: it paints, the worker answers, the editor loads, nothing is refused.

use crate::harness::{Screen, Tab, World, run};

async fn comes_up(world: &World, screen: Screen, name: &str) {
    let tab = world.open(screen, "").await;
    wait_for_all(&tab).await;
    let (paint, live) = tab.paint_times_ms().await;
    println!("{name}: first paint after {paint:.0} ms, live cluster after {live:.0} ms");
    tab.screenshot(name).await;
}

async fn wait_for_all(tab: &Tab) {
    tab.until("the engine is alive", "document.querySelector('#kubetab')?.dataset.engine === 'live'").await;
    tab.until("the editor is there", "document.querySelector('.cm-content') !== null").await;
}

#[test]
fn comes_up_on_a_desktop() {
    run("comes_up_on_a_desktop", async |world| {
        comes_up(world, Screen::Desktop, "start-desktop").await;
    });
}

#[test]
fn comes_up_on_a_phone() {
    run("comes_up_on_a_phone", async |world| {
        comes_up(world, Screen::Phone, "start-phone").await;
    });
}

#[test]
fn comes_up_in_the_dark_without_motion() {
    run("comes_up_in_the_dark_without_motion", async |world| {
        let tab = world.browser(Screen::Desktop).await;
        tab.prefer(&[("prefers-color-scheme", "dark"), ("prefers-reduced-motion", "reduce")]).await;
        tab.goto(world.address("")).await.expect("the page opens");
        wait_for_all(&tab).await;
        assert_eq!(tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches").await, true);
        assert_eq!(tab.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches").await, true);
        tab.screenshot("start-dark").await;
    });
}

#[test]
fn readme_screenshot() {
    run("readme_screenshot", async |world| {
        let tab = world.open(Screen::Desktop, "?scenario=rolling-update").await;
        wait_for_all(&tab).await;
        tab.click("#do-it").await;
        tab.click("#lesson-next").await;
        // Half-way: old pods and new ones are there.
        tab.until_text(".graph", "new 3").await;
        tab.screenshot("readme").await;
    });
}

/// The page may load what its own host serves, and nothing else.
#[test]
fn other_hosts_are_refused() {
    run("other_hosts_are_refused", async |world| {
        let tab = world.open(Screen::Desktop, "").await;
        tab.expect_console_error("Content Security Policy");
        let fetched =
            "fetch('http://127.0.0.1:9/').then(() => { window.fetched = 'yes' }, () => { window.fetched = 'no' })";
        tab.evaluate(fetched).await;
        let answer = tab.until("the fetch has an answer", "window.fetched").await;
        assert_eq!(answer, "no");
    });
}
