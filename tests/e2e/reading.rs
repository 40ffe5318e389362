//! That everybody can read and use the page: names, sizes, contrast, language, keyboard, a narrow screen.

use serde_json::Value;
use thirtyfour::prelude::*;

use crate::harness::{Screen, Tab, run};
use crate::page::{apply, deployment, open, select, until_running};

/// Looks for controls without names, controls that are too small, and words without contrast; returns what it found.
const LOOK: &str = r"
((...found) => {
  const seen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && element.getClientRects().length > 0;
  const place = (element) => `${element.tagName.toLowerCase()}#${element.id}.${element.getAttribute('class') ?? ''} “${(element.textContent ?? '').trim().slice(0, 30)}”`;
  const labels = (element) => [...(element.labels ?? [])].map((label) => label.textContent).join(' ');
  for (const element of document.querySelectorAll('button, a, input, select, textarea, [role=button], dialog, [role=region], [role=group]')) {
    if (!seen(element)) continue;
    const labelled = (element.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' ');
    const own = ['BUTTON', 'A'].includes(element.tagName) ? element.textContent : '';
    const name = [element.getAttribute('aria-label'), labelled, labels(element), own].join(' ').trim();
    if (name === '') found.push(`no name: ${place(element)}`);
    const control = ['BUTTON', 'INPUT', 'SELECT', 'TEXTAREA'].includes(element.tagName);
    const { width, height } = element.getBoundingClientRect();
    if (control && (width < 23.5 || height < 23.5)) found.push(`${width.toFixed(1)} × ${height.toFixed(1)} px: ${place(element)}`);
  }
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      if (at.namespaceURI.endsWith('svg')) {
        // What a word of the picture stands on is the box or body that is drawn before it.
        const box = at.querySelector(':scope > .box, :scope > .body');
        const fill = box && getComputedStyle(box).fill;
        if (fill && fill !== 'none') layers.push(rgba(fill));
      } else layers.push(rgba(getComputedStyle(at).backgroundColor));
    }
    return layers.reverse().reduce((back, front) => over(front, back), rgba(getComputedStyle(document.body).backgroundColor));
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let words = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === '' || ['TITLE', 'SCRIPT', 'STYLE', 'OPTION'].includes(element.tagName.toUpperCase()) || !seen(element)) continue;
    if (element.closest('[aria-hidden=true], :disabled, .traffic')) continue;
    const style = getComputedStyle(element);
    const back = ground(element);
    const front = over(rgba(element.namespaceURI.endsWith('svg') ? style.fill : style.color), back);
    const [high, low] = [luminance(front), luminance(back)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    words += 1;
    if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(2)}: ${place(element)} ${style.color} on ${back}`);
  }
  if (words < 20) found.push(`only ${words} words were looked at`);
  if (document.documentElement.scrollWidth > innerWidth) found.push(`scrolls sideways: ${document.documentElement.scrollWidth} > ${innerWidth}`);
  return [...new Set(found)];
})()";

async fn look(tab: &Tab, what: &str) -> Vec<String> {
    let found = tab.evaluate(LOOK).await;
    let found: Vec<String> = serde_json::from_value(found).expect("a list of words");
    found.into_iter().map(|fault| format!("{what}: {fault}")).collect()
}

/// Goes through the page's rooms and dialogs, and looks at each.
async fn look_everywhere(tab: &Tab, name: &str) -> Vec<String> {
    let mut faults = look(tab, "at rest").await;
    apply(tab, &deployment(3, "nginx:1.28")).await;
    until_running(tab, 3).await;
    select(tab, "[data-kind=Pod]").await;
    tab.until_text("#inspector", "NodeResourcesFit").await;
    faults.extend(look(tab, "a pod is selected").await);
    tab.screenshot(&format!("reading-{name}")).await;
    for (button, what, part) in [("#gallery", "gallery", "#scenario-canary"), ("#share", "share", "#share-link")] {
        tab.click(button).await;
        tab.until("the dialog is open", "document.querySelector('dialog')?.open").await;
        tab.element(part).await;
        faults.extend(look(tab, what).await);
        tab.screenshot(&format!("reading-{name}-{what}")).await;
        tab.click(".dialog header button").await;
        tab.until("the dialog is closed", "document.querySelector('dialog') === null").await;
    }
    for (button, what) in [("#add-node", "add a node"), ("#break-image", "break an image")] {
        tab.click("#break").await;
        tab.element(button).await;
        faults.extend(look(tab, "the menu").await);
        tab.click(button).await;
        tab.until("the dialog is open", "document.querySelector('dialog')?.open").await;
        faults.extend(look(tab, what).await);
        tab.click(".dialog header button").await;
        tab.until("the dialog is closed", "document.querySelector('dialog') === null").await;
    }
    tab.evaluate("(document.querySelector('#as-table').click(), true)").await;
    tab.element(".outline").await;
    faults.extend(look(tab, "as a table").await);
    faults
}

#[test]
fn everything_has_a_name_a_size_and_contrast_in_the_light() {
    run("everything_has_a_name_a_size_and_contrast_in_the_light", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        assert_eq!(look_everywhere(&tab, "light").await, Vec::<String>::new());
    });
}

#[test]
fn everything_has_a_name_a_size_and_contrast_in_the_dark() {
    run("everything_has_a_name_a_size_and_contrast_in_the_dark", async |world| {
        let tab = world.browser(Screen::Desktop).await;
        tab.prefer(&[("prefers-color-scheme", "dark")]).await;
        tab.goto(world.address("")).await.expect("the page opens");
        tab.until("it is dark", "document.documentElement.dataset.theme === 'dark'").await;
        assert_eq!(look_everywhere(&tab, "dark").await, Vec::<String>::new());
    });
}

#[test]
fn a_phone_shows_one_room_at_a_time() {
    run("a_phone_shows_one_room_at_a_time", async |world| {
        let tab = open(world, Screen::Phone, "").await;
        let mut faults = Vec::new();
        for (number, name) in ["editor", "graph", "details", "events"].into_iter().enumerate() {
            tab.evaluate(&format!("(document.querySelectorAll('.tabs-bottom button')[{number}].click(), true)")).await;
            if name == "editor" {
                tab.click("#apply").await;
                until_running(&tab, 3).await;
            }
            if name == "graph" {
                select(&tab, "[data-kind=Pod]").await;
            }
            faults.extend(look(&tab, name).await);
            tab.screenshot(&format!("phone-{name}")).await;
        }
        assert_eq!(faults, Vec::<String>::new());
    });
}

#[test]
fn the_page_speaks_korean() {
    run("the_page_speaks_korean", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
        tab.click("#language").await;
        tab.until("the page says so", "document.documentElement.lang === 'ko'").await;
        tab.until_text("#apply", "적용").await;
        select(&tab, "[data-kind=Pod]").await;
        tab.until_text("#inspector .chain", "적용했습니다").await;
        let english = "[...document.querySelectorAll('#inspector .chain li')].map(li => li.innerText).filter(text => !/[가-힣]/.test(text))";
        assert_eq!(tab.evaluate(english).await, Value::Array(Vec::new()), "every cause is told in Korean");
        tab.screenshot("korean").await;
        tab.refresh().await.expect("the page reloads");
        tab.until_text("#apply", "적용").await;
    });
}

#[test]
fn the_theme_follows_the_system_until_somebody_chooses() {
    run("the_theme_follows_the_system_until_somebody_chooses", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        let theme = |name: &str| format!("document.documentElement.dataset.theme === '{name}'");
        tab.prefer(&[("prefers-color-scheme", "dark")]).await;
        tab.until("the page is dark as the system", &theme("dark")).await;
        tab.click("#theme").await;
        tab.until("it is light", &theme("light")).await;
        tab.click("#theme").await;
        tab.until("it is dark", &theme("dark")).await;
        tab.click("#theme").await;
        tab.prefer(&[("prefers-color-scheme", "light")]).await;
        tab.until("it is light as the system again", &theme("light")).await;
    });
}

#[test]
fn rooms_fold_away_and_stay_folded() {
    run("rooms_fold_away_and_stay_folded", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        let width = "document.querySelector('.stage').getBoundingClientRect().width";
        let before = tab.evaluate(width).await.as_f64().expect("a number");
        tab.click("#projector").await;
        tab.until("the picture has all the width", &format!("{width} === innerWidth")).await;
        tab.screenshot("projector").await;
        tab.refresh().await.expect("the page reloads");
        tab.until("they are folded still", &format!("document.querySelector('.stage') && {width} === innerWidth"))
            .await;
        tab.click("#fold-editor").await;
        tab.until("the editor is there", "document.querySelector('.editor-pane').getBoundingClientRect().width > 200")
            .await;
        tab.click("#projector").await;
        tab.click("#projector").await;
        tab.until("all is as it was", &format!("Math.abs({width} - {before}) < 1")).await;
    });
}

#[test]
fn the_keyboard_reaches_everything() {
    run("the_keyboard_reaches_everything", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#apply").await;
        until_running(&tab, 3).await;
        let stops = tab.evaluate("document.querySelectorAll('.picture [tabindex=\"0\"]').length").await;
        assert_eq!(stops, 1, "Tab reaches the picture once; arrow keys move in it");
        tab.evaluate("(document.querySelector('.picture [tabindex=\"0\"]').focus(), true)").await;
        for _ in 0..6 {
            tab.active_element()
                .await
                .expect("something has the focus")
                .send_keys(Key::Down)
                .await
                .expect("it takes keys");
        }
        let kind = tab.evaluate("document.activeElement.querySelector('[data-kind]')?.dataset.kind").await;
        assert_eq!(kind, "Pod", "arrow keys lead down to a pod");
        tab.active_element()
            .await
            .expect("something has the focus")
            .send_keys(Key::Enter)
            .await
            .expect("it takes keys");
        tab.until_text("#inspector h2", "Pod web-").await;
        tab.active_element()
            .await
            .expect("something has the focus")
            .send_keys(Key::Escape)
            .await
            .expect("it takes keys");
        tab.until("nothing is selected", "document.querySelector('.item.selected') === null").await;
    });
}

/// With less motion wanted nothing flies: wires light up instead.
#[test]
fn less_motion_means_no_flight() {
    run("less_motion_means_no_flight", async |world| {
        let tab = world.browser(Screen::Desktop).await;
        tab.prefer(&[("prefers-reduced-motion", "reduce")]).await;
        tab.goto(world.address("")).await.expect("the page opens");
        crate::page::live(&tab).await;
        tab.click("#apply").await;
        tab.until("a wire lights up", "document.querySelector('.wire.lit') !== null").await;
        assert_eq!(tab.evaluate("document.querySelectorAll('.dot').length").await, 0);
        until_running(&tab, 3).await;
        let moving = "getComputedStyle(document.querySelector('[data-kind=Pod]').closest('.item')).transitionDuration";
        assert_eq!(tab.evaluate(moving).await, "0s");
    });
}
