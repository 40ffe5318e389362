//! The terminal, by typing: what a student does in the first lesson.

use thirtyfour::prelude::*;

use crate::harness::{Screen, Tab, run};
use crate::page::{hash, live, open};

/// What stands in the terminal.
const SCREEN: &str = "document.querySelector('.screen').textContent";

/// Types a line and waits until the terminal says this.
async fn type_line(tab: &Tab, line: &str, answer: &str) {
    let before = tab.evaluate(&format!("{SCREEN}.length")).await;
    let input = tab.element("#command-line").await;
    input.send_keys(format!("{line}\n")).await.expect("the line can be typed");
    let answer = serde_json::to_string(answer).expect("a text");
    tab.until(
        &format!("{answer} after {line}"),
        &format!("{SCREEN}.slice({before}).includes({answer}) && document.querySelector('.prompt').textContent !== ''"),
    )
    .await;
}

async fn open_terminal(tab: &Tab) {
    tab.click("#panel-terminal").await;
    tab.until("the shell asks", "document.querySelector('.prompt').textContent === '$ '").await;
}

/// What a course begins with, and what each line is answered with.
async fn first_lesson(tab: &Tab, shot: &str) {
    for (line, answer) in [
        ("kubectl create deployment web --image=nginx:1.27 --replicas=2", "deployment.apps/web created"),
        ("kubectl rollout status deployment/web", "successfully rolled out"),
        ("kubectl get deployments", "2/2"),
        ("kubectl describe deployment web", "Scaled up replica set web-"),
        ("kubectl logs deployment/web --tail=1", "Found 2 pods"),
        ("kubectl exec deploy/web -- cat /etc/nginx/conf.d/default.conf | head -2", "server {"),
        ("kubectl expose deployment web --port=80", "service/web exposed"),
        ("kubectl scale deployment web --replicas=3", "deployment.apps/web scaled"),
    ] {
        type_line(tab, line, answer).await;
    }
    tab.until("three pods are drawn", "document.querySelectorAll('[data-kind=Pod]').length === 3").await;
    for (line, answer) in [
        ("kubectl set image deployment/web nginx=nginx:1.28", "image updated"),
        ("kubectl rollout status deployment/web", "successfully rolled out"),
        ("kubectl rollout undo deployment/web", "rolled back"),
    ] {
        type_line(tab, line, answer).await;
    }
    tab.screenshot(shot).await;
    type_line(tab, "kubectl delete deployment,service web", "service \"web\" deleted").await;
    type_line(tab, "kubectl get deployments", "No resources found").await;
}

#[test]
fn the_first_lesson_is_typed() {
    run("the_first_lesson_is_typed", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        open_terminal(&tab).await;
        first_lesson(&tab, "terminal").await;
        // What was typed is in the session, and comes back with it; the terminal's own history does, too.
        let before = hash(&tab).await;
        tab.refresh().await.expect("the page reloads");
        live(&tab).await;
        assert_eq!(hash(&tab).await, before);
        let input = tab.element("#command-line").await;
        input.send_keys(Key::Up + "").await.expect("a key");
        tab.until(
            "the last line is back",
            "document.querySelector('#command-line').value === 'kubectl get deployments'",
        )
        .await;
    });
}

#[test]
fn the_keyboard_is_enough_in_the_terminal() {
    run("the_keyboard_is_enough_in_the_terminal", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        open_terminal(&tab).await;
        let input = tab.element("#command-line").await;
        input.send_keys("kubectl get nod").await.expect("typed");
        input.send_keys(Key::Tab + "").await.expect("a key");
        tab.until("it is completed", "document.querySelector('#command-line').value === 'kubectl get nodes '").await;
        input.send_keys(Key::Tab + "").await.expect("a key");
        tab.until(
            "the start that all share",
            "document.querySelector('#command-line').value === 'kubectl get nodes node-'",
        )
        .await;
        input.send_keys(Key::Tab + "").await.expect("a key");
        tab.until("the choices are told", &format!("{SCREEN}.includes('node-1  node-2  node-3')")).await;
        type_line(&tab, "2", "node-2").await;
        // What waits is ended by Ctrl-C.
        input.send_keys("kubectl get pods -w\n").await.expect("typed");
        tab.until("it waits", "!document.querySelector('#interrupt').hidden").await;
        input.send_keys(Key::Control + "c").await.expect("a key");
        tab.until("the shell asks again", "document.querySelector('#interrupt').hidden").await;
        // What never ends does not stop the page: the screen keeps its last lines, and the interrupt is heard.
        input.send_keys("while true; do echo again; done\n").await.expect("typed");
        tab.until("it writes", &format!("{SCREEN}.split('again').length > 1500")).await;
        input.send_keys(Key::Control + "c").await.expect("a key");
        tab.until("the loop ends", "document.querySelector('#interrupt').hidden").await;
        let lines = tab.evaluate(&format!("{SCREEN}.split('\\n').length")).await;
        assert!(lines.as_u64().is_some_and(|lines| lines < 5_000), "{lines} lines are kept");
        // Files of the editor are files here, and the other way round.
        type_line(
            &tab,
            "sed 's/name: web/name: two/' web.yaml > two.yaml && kubectl apply -f .",
            "deployment.apps/two created",
        )
        .await;
        tab.until("it is a tab", "document.querySelector('.file-tabs').textContent.includes('two.yaml')").await;
        // With nothing typed Tab leads out.
        input.send_keys(Key::Tab + "").await.expect("a key");
        tab.until("nobody is caught", "document.activeElement.id !== 'command-line'").await;
    });
}

#[test]
fn a_korean_types_on_a_phone() {
    run("a_korean_types_on_a_phone", async |world| {
        let tab = open(world, Screen::Phone, "?lang=ko").await;
        tab.until("the tab is there", "[...document.querySelectorAll('.tabs-bottom button')].find(b => b.textContent.trim() === '터미널')?.click() ?? true").await;
        tab.until("the shell asks", "document.querySelector('.prompt').textContent === '$ '").await;
        type_line(&tab, "kubectl get nodes", "Ready").await;
        type_line(&tab, "kubectl run 한글 --image=nginx", "RFC 1123").await;
        tab.until("it is told to have failed", "document.querySelector('.prompt').classList.contains('failed')").await;
        tab.screenshot("terminal-phone").await;
        first_lesson(&tab, "terminal-phone-lesson").await;
        tab.until("that is no failure", "!document.querySelector('.prompt').classList.contains('failed')").await;
        let wide = tab.evaluate("document.documentElement.scrollWidth > innerWidth").await;
        assert_eq!(wide, false, "nothing is cut off");
    });
}

#[test]
fn the_page_serves_programs_of_the_terminal() {
    run("the_page_serves_programs_of_the_terminal", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        open_terminal(&tab).await;
        type_line(&tab, "kubectl create deployment web --image=nginx:1.27", "deployment.apps/web created").await;
        type_line(&tab, "kubectl rollout status deployment/web", "successfully rolled out").await;
        // `edit` waits for its tab in the editor.
        let input = tab.element("#command-line").await;
        input.send_keys("kubectl edit deployment web\n").await.expect("the line can be typed");
        tab.until(
            "the object is open",
            "document.querySelector('.file-tab.on .file-name')?.textContent.includes('kubectl-edit-')",
        )
        .await;
        tab.until(
            "it is shown",
            "document.querySelector('.cm-content')?.textContent.includes('Please edit the object below')",
        )
        .await;
        tab.element(".cm-content").await.send_keys(Key::Control + Key::Enter).await.expect("keys");
        tab.until("nothing was changed", &format!("{SCREEN}.includes('Edit cancelled, no changes made.')")).await;
        tab.until("the tab is gone", "!document.querySelector('.file-tabs').textContent.includes('kubectl-edit-')")
            .await;
        // What fields are for is fetched when somebody asks.
        type_line(&tab, "kubectl explain pod.spec.hostname", "Specifies the hostname of the Pod").await;
        // A port that is forwarded has a field on the page.
        let input = tab.element("#command-line").await;
        input.send_keys("kubectl port-forward deployment/web 8080:80 &\n").await.expect("the line can be typed");
        // It says so behind the prompt, as what runs in the background does.
        tab.until("it forwards", &format!("{SCREEN}.includes('Forwarding from 127.0.0.1:8080 -> 80')")).await;
        tab.until("there is a field", "document.querySelector('#port-8080') !== null").await;
        tab.click(".port button").await;
        tab.until("nginx answers", "document.querySelector('.answer').textContent.includes('200 OK')").await;
        tab.screenshot("terminal-port").await;
        type_line(&tab, "curl -s localhost:8080 | grep title", "Welcome to nginx!").await;
    });
}
