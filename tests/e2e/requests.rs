//! Requests through the simulated network: a client is aimed at a Service, and the page shows what became of what it sends.

use crate::harness::{Screen, run};
use crate::page::{apply, deployment, hash, live, open, select, speed, until_running};

const SERVICE: &str = "\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector:\n    app: web\n  ports:\n    - port: 80\n";

#[test]
fn requests_are_sent_to_a_service_and_counted() {
    run("requests_are_sent_to_a_service_and_counted", async |world| {
        let tab = open(world, Screen::Desktop, "").await;
        apply(&tab, &(deployment(2, "nginx:1.28") + SERVICE)).await;
        until_running(&tab, 2).await;
        select(&tab, "[aria-label*='web'].service").await;
        tab.click("#aim").await;
        tab.until(
            "the Service's address is filled in",
            "document.querySelector('#request-url').value.startsWith('http://10.96.')",
        )
        .await;
        tab.click("#send").await;
        tab.until(
            "its requests are answered",
            "/^[1-9]\\d* answered well/.test(document.querySelector('.client p:nth-of-type(2)')?.textContent ?? '')",
        )
        .await;
        tab.until("they are seen on their way", "document.querySelector('.traffic .dot.good') !== null").await;
        tab.screenshot("requests").await;
        // Without pods behind it a Service refuses them.
        select(&tab, ".item.workload").await;
        tab.click("#scale-down").await;
        tab.click("#scale-down").await;
        speed(&tab, "10").await;
        tab.until("requests fail", "/Connection refused ×\\d/.test(document.querySelector('.clients').textContent)")
            .await;
        tab.screenshot("requests-failed").await;
        tab.until("it has sent all", "document.querySelector('.client.ended') !== null").await;
        // The client stands in the session.
        let before = hash(&tab).await;
        tab.refresh().await.expect("the page reloads");
        live(&tab).await;
        assert_eq!(hash(&tab).await, before);
        tab.until("its counts are back", "/failed/.test(document.querySelector('.client').textContent)").await;
    });
}
