//! The main job on the real page: a Deployment comes to be, rolls out, and what breaks is replaced.

use crate::harness::{Screen, run};
use crate::page::{apply, clock, deployment, open, paste, run_async, select, speed, until_running};

/// Presses the page's own button for single steps until the roll-out has ended, and notes the extremes of what the
/// picture shows after each.
const STEP_THROUGH: &str = r"
const done = arguments[arguments.length - 1];
const page = document.querySelector('#kubetab');
const all = (css) => [...document.querySelectorAll(css)];
const step = () => new Promise((made) => {
  const before = page.dataset.steps;
  const observer = new MutationObserver(() => {
    if (page.dataset.steps === before) return;
    observer.disconnect();
    setTimeout(made);
  });
  observer.observe(page, { attributes: true, attributeFilter: ['data-steps'] });
  document.querySelector('#step').click();
});
(async () => {
  const seen = { steps: 0, availableMin: Infinity, totalMax: 0, countedMax: 0, surged: 0, ended: false };
  while (seen.steps < 6000 && !seen.ended) {
    await step();
    seen.steps += 1;
    const pods = all('[data-kind=Pod]').filter((pod) => !pod.closest('.item').classList.contains('terminating'));
    const ready = pods.filter((pod) => pod.dataset.ready === 'true');
    const card = document.querySelector('[data-kind=Deployment]').dataset;
    seen.availableMin = Math.min(seen.availableMin, ready.length);
    seen.totalMax = Math.max(seen.totalMax, pods.length);
    seen.countedMax = Math.max(seen.countedMax, Number(card.total));
    seen.ended = card.progress === 'steady' && all('[data-kind=Pod]').every((pod) => pod.dataset.image === 'nginx:1.28');
  }
  done(seen);
})();
";

#[test]
fn a_new_image_rolls_out_within_its_bounds() {
    run("a_new_image_rolls_out_within_its_bounds", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        // Ctrl-Enter in the editor applies, as the button does.
        paste(&tab, &deployment(3, "nginx:1.27")).await;
        let editor = tab.element(".cm-content").await;
        editor.send_keys(thirtyfour::Key::Control + thirtyfour::Key::Enter).await.expect("the editor takes keys");
        until_running(&tab, 3).await;
        let bound = tab.evaluate("[...document.querySelectorAll('[data-kind=Pod]')].every(p => p.dataset.node)").await;
        assert_eq!(bound, true);
        tab.click("#play").await;
        apply(&tab, &deployment(3, "nginx:1.28")).await;
        tab.until_text("#messages", "deployment.apps/web configured").await;
        let seen = run_async(&tab, STEP_THROUGH, 240).await;
        println!("roll-out, at every step: {seen}");
        // 25 % of 3 replicas: at most one more, rounded up, and none fewer, rounded down.
        assert_eq!(seen["ended"], true, "{seen}");
        assert_eq!(seen["availableMin"], 3, "{seen}");
        assert_eq!((&seen["totalMax"], &seen["countedMax"]), (&4.into(), &4.into()), "{seen}");
        assert!(seen["steps"].as_u64().is_some_and(|steps| steps > 50), "{seen}");
        until_running(&tab, 3).await;
    });
}

#[test]
fn pods_of_a_dead_node_move_after_their_toleration() {
    run("pods_of_a_dead_node_move_after_their_toleration", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        apply(&tab, &deployment(3, "nginx:1.28")).await;
        until_running(&tab, 3).await;
        tab.click("#play").await;
        let stopped_at = clock(&tab).await;
        tab.click("#break").await;
        tab.click("#stop-node-1").await;
        tab.until_text(".notices", "You cut the power of node-1.").await;
        let lost = "[...document.querySelectorAll('[data-kind=Pod][data-node=node-1]')]";
        assert_eq!(tab.evaluate(&format!("{lost}.length")).await, 1);
        speed(&tab, "30").await;
        tab.click("#play").await;
        tab.until("the node is Unknown", "document.querySelector('[data-name=node-1]').dataset.ready === 'Unknown'")
            .await;
        let unknown_after = clock(&tab).await - stopped_at;
        tab.screenshot("node-lost").await;
        let moved = "[...document.querySelectorAll('[data-kind=Pod][data-phase=Running][data-ready=true]')]\
                     .filter(p => ['node-2', 'node-3'].includes(p.dataset.node)).length === 3";
        tab.until("three pods run elsewhere", moved).await;
        let moved_after = clock(&tab).await - stopped_at;
        println!("node Unknown after {unknown_after:.1} s, its pod replaced after {moved_after:.1} s");
        assert!((40.0..80.0).contains(&unknown_after), "{unknown_after}");
        // The pod tolerates the taint for 300 s.
        assert!((340.0..420.0).contains(&moved_after), "{moved_after}");
    });
}

/// The name of the first pod.
const FIRST_POD: &str = "document.querySelector('[data-kind=Pod]').dataset.name";

#[test]
fn a_crash_a_failing_probe_and_a_broken_image_are_seen() {
    run("a_crash_a_failing_probe_and_a_broken_image_are_seen", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        apply(&tab, &deployment(3, "nginx:1.27")).await;
        until_running(&tab, 3).await;
        let name = tab.evaluate(FIRST_POD).await.as_str().expect("a name").to_owned();
        let pod = format!("[data-kind=Pod][data-name={name}]");
        select(&tab, &pod).await;
        tab.click(&format!("#inspector #crash-{name}")).await;
        tab.until_text(".notices", &format!("You crashed a container of {name}.")).await;
        let restarts = "document.querySelector('.containers tbody td:nth-child(3)')?.innerText === '1'";
        tab.until("its container was started again", restarts).await;
        until_running(&tab, 3).await;

        tab.click(&format!("#inspector #fail-readiness-{name}")).await;
        tab.until("it is not ready", &format!("document.querySelector('{pod}').dataset.ready === 'false'")).await;
        tab.screenshot("not-ready").await;
        tab.click(&format!("#inspector #mend-readiness-{name}")).await;
        until_running(&tab, 3).await;

        tab.click("#break").await;
        tab.click("#break-image").await;
        tab.evaluate("((input) => (input.value = 'nginx:1.28', input.dispatchEvent(new Event('input', { bubbles: true })), true))(document.querySelector('#image'))").await;
        tab.click("#confirm").await;
        apply(&tab, &deployment(3, "nginx:1.28")).await;
        speed(&tab, "10").await;
        let stuck =
            "[...document.querySelectorAll('[data-kind=Pod]')].some(p => p.dataset.status === 'ImagePullBackOff')";
        tab.until("the pull fails and backs off", stuck).await;
        tab.screenshot("broken-image").await;
        tab.click("#break").await;
        tab.click("#break-image").await;
        tab.evaluate("((input) => (input.value = 'nginx:1.28', input.dispatchEvent(new Event('input', { bubbles: true })), true))(document.querySelector('#image'))").await;
        tab.click("#mend").await;
        let new = "[...document.querySelectorAll('[data-kind=Pod][data-ready=true]')].filter(p => p.dataset.image === 'nginx:1.28').length === 3";
        tab.until("the roll-out ends after all", new).await;
    });
}

#[test]
fn nodes_come_with_labels_and_taints_and_go() {
    run("nodes_come_with_labels_and_taints_and_go", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        tab.click("#break").await;
        tab.click("#add-node").await;
        let fill = |id: &str, value: &str| {
            format!(
                "((input) => (input.value = '{value}', input.dispatchEvent(new Event('input', {{ bubbles: true }})), true))\
                 (document.querySelector('#{id}'))"
            )
        };
        tab.element("#node-labels").await;
        tab.evaluate(&fill("node-labels", "nonsense")).await;
        tab.click("#confirm").await;
        tab.until_text(".dialog", "nonsense").await;
        tab.evaluate(&fill("node-labels", "disk=ssd")).await;
        tab.evaluate(&fill("node-taints", "gpu=yes:NoSchedule")).await;
        tab.evaluate(&fill("node-cpu", "2")).await;
        tab.screenshot("add-node").await;
        tab.click("#confirm").await;
        tab.until(
            "it is ready",
            "document.querySelector('[data-kind=Node][data-name=node-4]')?.dataset.ready === 'True'",
        )
        .await;
        select(&tab, "[data-kind=Node][data-name=node-4]").await;
        tab.until_text("#inspector", "disk=ssd").await;
        tab.until_text("#inspector", "gpu=yes:NoSchedule").await;
        // What is offered follows what was done.
        tab.click("#inspector #partition-node-4").await;
        tab.click("#inspector #heal-node-4").await;
        tab.element("#inspector #partition-node-4").await;
        tab.click("#inspector #remove-node-4").await;
        // The cloud's controller looks for machines that are gone when their nodes have fallen silent.
        speed(&tab, "100").await;
        tab.until("it is gone", "document.querySelector('[data-kind=Node][data-name=node-4]') === null").await;
    });
}

#[test]
fn the_inspector_scales_explains_and_deletes() {
    run("the_inspector_scales_explains_and_deletes", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        apply(&tab, &deployment(3, "nginx:1.28")).await;
        until_running(&tab, 3).await;
        select(&tab, "[data-kind=Deployment]").await;
        tab.click("#scale-up").await;
        until_running(&tab, 4).await;
        tab.until_text("#inspector", "NewReplicaSetAvailable").await;
        select(&tab, "[data-kind=Pod]").await;
        tab.until_text("#inspector .chain", "You ").await;
        tab.until_text("#inspector .scores", "NodeResourcesFit").await;
        tab.screenshot("why").await;
        select(&tab, "[data-kind=Deployment]").await;
        tab.click("#delete").await;
        tab.click("#confirm").await;
        tab.until(
            "nothing is left",
            "document.querySelectorAll('[data-kind=Deployment], [data-kind=Pod]').length === 0",
        )
        .await;
        tab.until_text("#inspector", "It is not there any more").await;
    });
}
