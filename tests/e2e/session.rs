//! The main job on the real page: apply, roll out, break, share, reload, and come back from a crash.

use crate::harness::{Screen, Tab, run};

const RUNNING: &str = "document.querySelectorAll('[data-kind=Pod][data-phase=Running][data-ready=true]').length";

async fn live(tab: &Tab) {
    tab.until("the engine is alive", "document.querySelector('#kubetab')?.dataset.engine === 'live'").await;
}

async fn until_running(tab: &Tab, pods: usize) {
    tab.until(&format!("{pods} pods run"), &format!("{RUNNING} === {pods}")).await;
}

/// Stops time and returns the hash of the state.
async fn hash(tab: &Tab) -> String {
    let playing = tab.evaluate("document.querySelector('#kubetab').dataset.playing === 'true'").await;
    if playing == true {
        tab.click("#play").await;
    }
    let value = tab.until("time stands", "document.querySelector('#kubetab').dataset.hash").await;
    value.as_str().expect("a hash is text").to_owned()
}

#[test]
fn three_pods_of_the_first_file_run() {
    run("three_pods_of_the_first_file_run", async |world| {
        let tab = world.open(Screen::Desktop, "").await;
        live(&tab).await;
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
        let tab = world.open(Screen::Desktop, "").await;
        live(&tab).await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
        hash(&tab).await;
        tab.until("it is saved", "localStorage.getItem('kubetab.session')").await;
        tab.refresh().await.expect("the page reloads");
        live(&tab).await;
        until_running(&tab, 3).await;
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
