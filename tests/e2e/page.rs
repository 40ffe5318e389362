//! The page as a person uses it: what the tests write, press and read.

use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::harness::{Tab, World};

/// Pods that run and are ready, counted.
const RUNNING: &str = "document.querySelectorAll('[data-kind=Pod][data-phase=Running][data-ready=true]').length";

/// A Deployment named `web` of this many pods, with a probe that answers after a second or two.
pub fn deployment(replicas: u32, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: {replicas}\n  selector:\n    \
         matchLabels:\n      app: web\n  template:\n    metadata:\n      labels:\n        app: web\n    spec:\n      \
         containers:\n      - name: web\n        image: {image}\n        readinessProbe:\n          httpGet:\n            \
         path: /\n            port: 80\n          periodSeconds: 2\n"
    )
}

/// Waits until the engine lives.
pub async fn live(tab: &Tab) {
    tab.until("the engine is alive", "document.querySelector('#kubetab')?.dataset.engine === 'live'").await;
}

/// Opens the page and waits until it lives.
pub async fn open(world: &World, screen: crate::harness::Screen, rest: &str) -> Tab {
    let tab = world.open(screen, rest).await;
    live(&tab).await;
    tab
}

/// Waits until so many pods run and are ready.
pub async fn until_running(tab: &Tab, pods: usize) {
    tab.until(&format!("{pods} pods run"), &format!("{RUNNING} === {pods}")).await;
}

/// Replaces what stands in the editor, as pasting does.
pub async fn paste(tab: &Tab, text: &str) {
    let editor = tab.element(".cm-content").await;
    editor.send_keys(Key::Control + "a").await.expect("the editor takes keys");
    let text = serde_json::to_string(text).expect("a string is JSON");
    tab.evaluate(&format!(
        "((data) => (data.setData('text/plain', {text}), document.querySelector('.cm-content').dispatchEvent(\
         new ClipboardEvent('paste', {{ clipboardData: data, bubbles: true, cancelable: true }})), true))(new DataTransfer())"
    ))
    .await;
}

/// Pastes a file and applies it.
pub async fn apply(tab: &Tab, text: &str) {
    paste(tab, text).await;
    tab.click("#apply").await;
}

/// Selects an item of the picture.
pub async fn select(tab: &Tab, css: &str) {
    tab.element(css).await;
    let css = serde_json::to_string(css).expect("a string is JSON");
    let click = "dispatchEvent(new MouseEvent('click', { bubbles: true }))";
    tab.evaluate(&format!("(document.querySelector({css}).closest('.item').{click}, true)")).await;
}

/// Chooses how fast time runs.
pub async fn speed(tab: &Tab, factor: &str) {
    tab.evaluate(&format!(
        "((select) => (select.value = '{factor}', select.dispatchEvent(new Event('change', {{ bubbles: true }})), true))\
         (document.querySelector('#speed'))"
    ))
    .await;
}

/// Stops time and returns the hash of the state.
pub async fn hash(tab: &Tab) -> String {
    let playing = tab.evaluate("document.querySelector('#kubetab').dataset.playing === 'true'").await;
    if playing == true {
        tab.click("#play").await;
    }
    let value = tab.until("time stands", "document.querySelector('#kubetab').dataset.hash").await;
    value.as_str().expect("a hash is text").to_owned()
}

/// The simulated clock, in seconds since 1970.
pub async fn clock(tab: &Tab) -> f64 {
    let micros = tab.evaluate("Number(document.querySelector('#kubetab').dataset.clock)").await;
    micros.as_f64().expect("a number") / 1e6
}

/// Runs a script in the page that says itself when it is done: its last argument is to be called with the result.
pub async fn run_async(tab: &Tab, script: &str, seconds_max: u64) -> Value {
    let limit = std::time::Duration::from_secs(seconds_max);
    tab.set_script_timeout(limit).await.expect("a limit can be set");
    let result = tab.execute_async(script, vec![json!(null)]).await;
    result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
}
